-- storm.lua: training under fire. Each script is played once undisturbed, then again and again with kill -9 and
-- SIGTERM at random instants, resumed each time, until it is done: weights, moments, carried state, metrics, run.state
-- and what the script prints must be the same to the last bit, and whatever a kill leaves in the folder must be whole.
--
--   lua5.4 tests/tools/storm.lua [--kills 50] [--seed 1] [--only charlm,ctc]     part of .ci/run: make storm
--
-- From the environment: LURN_BIN (the launcher), LUA_PATH and LUA_CPATH that find the module. Exit code 1 when a bit
-- differs.

local lurn = require "lurn"
local json = lurn.json

local here = io.popen "pwd":read "l"
local bin = os.getenv "LURN_BIN" or here .. "/build/bin/lurn"

-- Sizes at which a script trains for a second or two: long enough to be killed several times.
local SCRIPTS = {
  {"charlm", "--data README.md --hidden 48 --embed 16 --batch 10 --seq 25 --steps 220 --eval_every 20 --dropout 0.2 "
    .. "--length 100"},
  {"parity", "--T 20 --n 1000 --steps 400 --eval_every 20 --goal 0"},
  {"adding", "--T 30 --n 1000 --hidden 24 --steps 300 --eval_every 20 --goal 0"},
  {"memory", "--sequences 200 --epochs 12"},
  {"ctc", "--sequences 300 --held 60 --hidden 16 --epochs 6"},
}

local function parse (words)
  local o = {kills = 50, seed = 1}
  for i = 1, #words, 2 do
    local name = words[i]:match "^%-%-(%a+)$"
    if name ~= "kills" and name ~= "seed" and name ~= "only" then error("storm.lua: what is " .. words[i] .. "?", 0) end
    o[name] = name == "only" and words[i + 1] or math.tointeger(tonumber(words[i + 1]))
      or error("storm.lua: --" .. name .. " needs a whole number", 0)
  end
  return o
end

local folder = os.tmpname()
os.remove(folder)

local function path_of (name) return folder .. "/" .. name end

local function read (name)
  local f = io.open(path_of(name), "rb")
  if not f then return nil end
  local text = f:read "a"
  f:close()
  return text
end

-- Exit code of a command in the folder; stdout in the file out, stderr in err.
local function run (command)
  local _, how, code = os.execute(("cd %s && { %s; } >out 2>err </dev/null"):format(folder, command))
  return how == "exit" and code or 128 + code
end

local function fail (script, ...)
  error(("storm: %s: %s\n%s"):format(script, string.format(...), read "err" or ""), 0)
end

-- All of a run that must be equal: the digest of its text, and the file.
local function content (script)
  local file, message = lurn.runfile.read(path_of "run.h5")
  if not file then fail(script, "%s", message) end
  local out = {status = file.status, steps = file.counters.steps, loops = file.counters.loops, state = file.state,
    random = file.counters.random, metrics = file.metrics, best = {file.best_value, file.best_step}}
  local function take (name, tensors) out[name] = tensors and lurn.lineage.digest(tensors, file.precision) end
  for k, model in ipairs(file.models) do
    take("weights" .. k, model.weights)
    take("carried" .. k, model.state)
    take("best" .. k, file.best.weights and file.best.weights[k])
  end
  for k, optim in ipairs(file.optims) do
    out["numbers" .. k] = optim.numbers
    take("moments" .. k, optim.tensors)
  end
  return lurn.sys.sha256(json.encode(out)), file
end

-- The lines beside the run file: each step once when the run is done, whole but for the last after a kill.
local function check_live (script, total)
  local step, text = 0, read "run.jsonl" or ""
  for line, stop in text:gmatch "([^\n]*)(\n?)" do
    local value = line ~= "" and json.decode(line)
    if line ~= "" and stop ~= "" and not value then fail(script, "a damaged line in run.jsonl: %s", line) end
    if value and value.loss then
      if value.step ~= step + 1 then fail(script, "run.jsonl: step %s follows step %d", tostring(value.step), step) end
      step = value.step
    end
  end
  if total and step ~= total then fail(script, "run.jsonl ends at step %d of %d", step, total) end
end

-- What a kill left behind: whole run files, and files that are about to be written and hidden.
local function check_folder (script, done)
  local list = io.popen(("ls -A %s"):format(folder))
  for name in list:lines() do
    if name:find "%.h5$" and not name:find "^%." then
      local file, message = lurn.runfile.read(path_of(name))
      if not file then fail(script, "%s", message) end
      if run(("%s inspect %s"):format(bin, name)) ~= 0 then fail(script, "lurn inspect %s", name) end
    elseif name:find "%.tmp$" or name:find "%.lock$" then
      if done then fail(script, "%s was left behind", name) end
    elseif not ({["run.jsonl"] = 1, out = 1, err = 1, ["README.md"] = 1})[name] then
      fail(script, "what is %s?", name)
    end
  end
  list:close()
  check_live(script, done)
end

local function straight (script, arguments)
  os.execute(("rm -rf %s && mkdir -p %s && cp %s/README.md %s"):format(folder, folder, here, folder))
  local command = ("%s run %s/scripts/%s.lua --quiet --keep 2 --out run.h5 %s"):format(bin, here, script, arguments)
  local began = lurn.sys.clock()
  local code = run(command)
  if code ~= 0 then fail(script, "undisturbed: exit code %d", code) end
  local seconds, printed = lurn.sys.clock() - began, read "out"
  local digest, file = content(script)
  check_folder(script, file.counters.steps)
  os.execute(("rm -f %s/run.*"):format(folder))
  return {command = command, seconds = seconds, printed = printed, digest = digest, steps = file.counters.steps}
end

-- One process, which gets the signal after so many seconds unless it is done before. Whether it is done.
local function attempt (script, s, signal, seconds)
  local exists = read "run.h5" ~= nil
  local command = exists and bin .. " run --quiet --resume run.h5" or s.command
  -- What does not heed SIGTERM within ten seconds is killed, with another exit code.
  local code = run(("timeout --foreground --preserve-status -k 10 -s %s %.3f %s"):format(signal, seconds, command))
  if code == 0 then return true end
  local expected = signal == "KILL" and 137 or 143
  if code ~= expected then fail(script, "SIG%s after %.3f s: exit code %d", signal, seconds, code) end
  return false
end

-- Steps that the run file holds; -1 when there is none.
local function steps_there ()
  local file = read "run.h5" and lurn.runfile.read(path_of "run.h5", true)
  return file and file.counters.steps or -1
end

local function storm (script, arguments, kills)
  local s = straight(script, arguments)
  local done, runs, counts = 0, 0, {KILL = 0, TERM = 0}
  local midway = 0      -- kills that left a run file in the middle of its training
  -- Seconds within which a kill comes. They follow the machine, which may be busy with other things: more where nothing
  -- was gained, fewer where the run was over before it was hit.
  local reach = 0.35 * s.seconds
  while done < kills or runs == 0 or read "run.h5" do
    -- After the last kill the run is left in peace.
    local signal = done >= kills and "KILL" or math.random() < 0.6 and "KILL" or "TERM"
    local seconds = done >= kills and 600 or 0.03 + math.random() * reach
    local before = steps_there()
    if attempt(script, s, signal, seconds) then
      local printed = read "out"
      if content(script) ~= s.digest then fail(script, "after %d kills the run is not the undisturbed one", done) end
      if printed ~= s.printed then fail(script, "it printed\n%s\nand undisturbed\n%s", printed, s.printed) end
      check_folder(script, s.steps)
      os.execute(("rm -f %s/run.*"):format(folder))
      runs, reach = runs + 1, 0.8 * reach
    else
      done, counts[signal] = done + 1, counts[signal] + 1
      check_folder(script)
      if read "run.h5" then midway = midway + 1 end
      if steps_there() == before then reach = 1.1 * reach end
    end
  end
  print(("%-8s %4d steps, %.1f s undisturbed; %d kill -9, %d SIGTERM, %d of them with a run file there; %d runs "
    .. "finished, same bits"):format(script, s.steps, s.seconds, counts.KILL, counts.TERM, midway, runs))
  io.stdout:flush()
  if midway == 0 then fail(script, "no kill came while it trained") end
  return done
end

local function main (words)
  local o, all = parse(words), 0
  math.randomseed(o.seed)
  for _, row in ipairs(SCRIPTS) do
    local chosen = not o.only or ("," .. o.only .. ","):find("," .. row[1] .. ",", 1, true)
    if chosen then all = all + storm(row[1], row[2], o.kills) end
  end
  print(("storm: %d kills, nothing lost"):format(all))
end

local ok, message = pcall(main, arg)
if ok then os.execute("rm -rf " .. folder)
else io.stderr:write(tostring(message), "\nthe folder is kept: ", folder, "\n") end
os.exit(ok)
