--- What sweep.sh prints: of one seed, and of several.
--
--   loadfile "sweep_report.lua" {seed =, hidden =, at = {start, between, end}}     in the folder of that seed
--   loadfile "sweep_report.lua" {hidden =}                                         in the folder above, of all seeds

local lurn, o = require "lurn", ...

local function text (path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

-- Processor time of a shell's children, as `times` prints it in its second line.
local function processor (path)
  local seconds = 0
  for m, s in text(path):match "\n(.*)":gmatch "(%d+)m([%d.]+)s" do seconds = seconds + 60 * m + s end
  return seconds
end

-- When lurn had a trial as good as that, in seconds after a time.
local function found_after (document, value, start)
  local store, found = assert(lurn.store.open(document.store)), nil
  for _, trial in ipairs(assert(store:study(document.study)):sync()) do
    if trial.value and trial.value <= value then found = math.min(found or math.huge, trial.ended - start) end
  end
  return found and ("%.1f s"):format(found) or "no time"
end

local function one ()
  local ours, theirs = lurn.json.decode(text "lurn.json"), lurn.json.decode(text "optuna.json")
  local wall, peer_wall = o.at[2] - o.at[1], o.at[3] - o.at[2]
  local cpu, peer_cpu = processor "between" - processor "start", processor "end" - processor "between"
  print(("seed %d, hidden %s: lurn %.1f s, best %.4f; Optuna and PyTorch %.1f s, best %.4f; %.2f times as fast")
    :format(o.seed, o.hidden, wall, ours.best.value, peer_wall, theirs.best, peer_wall / wall))
  print(("processor time: %.1f s, %.1f s, %.2f times as little"):format(cpu, peer_cpu, peer_cpu / cpu))
  print(("a loss of %.4f: lurn after %s, Optuna after %.1f s"):format(theirs.best,
    found_after(ours, theirs.best, o.at[1]), theirs.found))
  local all <close> = assert(io.open("../all", "a"))
  all:write(lurn.json.encode {wall, peer_wall, cpu, peer_cpu, ours.best.value, theirs.best}:gsub("%s+", " "), "\n")
end

-- Mean and standard error.
local function moments (list)
  local sum, square = 0, 0
  for _, x in ipairs(list) do sum = sum + x end
  for _, x in ipairs(list) do square = square + (x - sum / #list)^2 end
  return sum / #list, math.sqrt(square / (#list - 1) / #list)
end

local function several ()
  local sums, differences, good = {0, 0, 0, 0, 0, 0}, {}, 0
  for line in io.lines "all" do
    local row = lurn.json.decode(line)
    for k, x in ipairs(row) do sums[k] = sums[k] + x end
    differences[#differences + 1], good = row[5] - row[6], good + (row[5] <= row[6] and 1 or 0)
  end
  local n = #differences
  if n < 2 then return end
  local wall, peer_wall, cpu, peer_cpu = table.unpack(sums)
  print(("%d seeds, hidden %s: lurn %.1f s, Optuna and PyTorch %.1f s, %.2f times as fast"):format(n, o.hidden, wall,
    peer_wall, peer_wall / wall))
  print(("processor time: %.1f s, %.1f s, %.2f times as little"):format(cpu, peer_cpu, peer_cpu / cpu))
  print(("best losses, mean: lurn %.4f, Optuna and PyTorch %.4f; lurn's is lower by %.4f, standard error %.4f, and no "
    .. "higher with %d of %d seeds"):format(sums[5] / n, sums[6] / n, -moments(differences),
    select(2, moments(differences)), good, n))
end

if o.seed then one() else several() end
