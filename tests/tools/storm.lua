-- storm.lua: training under fire. Every script of scripts/ is played once undisturbed, then again and again with kill
-- -9 and SIGTERM at random instants, resumed each time, until it is done: weights, moments, carried state, metrics,
-- run.state and what the script prints must be the same to the last bit, and whatever a kill leaves in the folder must
-- be whole.
--
--   lua5.4 tests/tools/storm.lua [--kills 50] [--seed 1] [--only charlm,ctc]     part of .ci/run: make storm
--   lua5.4 tests/tools/storm.lua --list [--only ...]                             the names, for one process each
--
-- From the environment: LURN_BIN (the launcher), LUA_PATH and LUA_CPATH that find the module. Exit code 1 when a bit
-- differs.

local lurn = require "lurn"
local json = lurn.json

local here = io.popen "pwd":read "l"
local bin = os.getenv "LURN_BIN" or here .. "/build/bin/lurn"

-- Sizes at which a script trains for a second or two: long enough to be killed several times. kills: how often, unless
-- --kills says so. tail: it prints as it goes, so that the last process prints the end of it all. anew: it has no loop
-- that a run file could stand in, and is begun anew after each kill; it says why. timed: its numbers are times.
local SCRIPTS = {
  {"charlm", "--data README.md --hidden 48 --embed 16 --batch 10 --seq 25 --steps 220 --eval_every 20 --dropout 0.2 "
    .. "--length 100", kills = 50},
  {"parity", "--T 20 --n 1000 --steps 400 --eval_every 20 --goal 0", kills = 50},
  {"adding", "--T 30 --n 1000 --hidden 24 --steps 300 --eval_every 20 --goal 0", kills = 50},
  {"memory", "--sequences 200 --epochs 12", kills = 50},
  {"ctc", "--sequences 300 --held 60 --hidden 16 --epochs 6", kills = 50},
  {"copy", "--T 10 --n 1000 --hidden 24 --steps 150 --eval_every 20 --goal 0", kills = 10},
  {"temporal_order", "--T 20 --n 1000 --hidden 16 --steps 150 --eval_every 20 --goal 0", kills = 10},
  {"reber", "--hidden 8 --steps 300 --eval_every 50", kills = 10},
  {"numbers", "--train 300 --test 20 --hidden 16 --epochs 6", kills = 10},
  {"mnist", "--data DIGITS --hidden 8 --batch 20 --epochs 8", kills = 10, tail = true},
  {"table", "--data TABLE --sequence id --x a,b,word --categories word --y a --window 8 --horizon 1 --epochs 6 "
    .. "--dropout 0.2", kills = 10, tail = true},
  {"moving", "--frame 8 --T 6 --n 40 --channels 2 --kernel 3 --wide 16 --steps 30 --context 3 --ahead 2 --films 2",
    kills = 10},
  {"rnn", "--steps 400 --rows 100 --hidden 100", kills = 10, anew = true},
  {"bucket", "--sequences 400 --hidden 32 --longest 200", kills = 10, anew = true, timed = true},
}

local function parse (words)
  local o = {seed = 1, list = words[1] == "--list"}
  for i = o.list and 2 or 1, #words, 2 do
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

-- 300 images with a class each, which a network can learn: mnist.lua's data, beside the folder that is watched.
local digits = folder .. ".digits.h5"
local function make_digits ()
  local images, labels, size = {}, {}, 28 * 28
  for i = 1, 300 do
    local class = i % 10
    labels[i] = string.char(class)
    for at = 1, size do images[#images + 1] = string.char(at // 79 == class and 200 or (i * 31 + at * 17) % 90) end
  end
  for name, text in pairs {images = "\0\0\8\3" .. (">I4I4I4"):pack(300, 28, 28) .. table.concat(images),
                           labels = "\0\0\8\1" .. (">I4"):pack(300) .. table.concat(labels)} do
    local f = assert(io.open(folder .. "." .. name, "wb"))
    f:write(text)
    f:close()
  end
  assert(lurn.import_idx(folder .. ".images", folder .. ".labels", digits, {valid = 60,
    test_images = folder .. ".images", test_labels = folder .. ".labels"}))
end

-- Forty sequences of thirty rows: table.lua's data.
local rows = folder .. ".table.csv"
local function make_table ()
  local f = assert(io.open(rows, "w"))
  f:write "id,a,b,word\n"
  for i = 1, 1200 do
    f:write(("%d,%.4f,%.4f,%s\n"):format(i // 30, math.sin(i / 3), math.cos(i * i), i % 3 == 0 and "up" or "down"))
  end
  f:close()
end

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

-- What a script printed, as far as it must be the same.
local function printed_of (row)
  local text = read "out"
  return row.timed and text:gsub("%d+%.?%d*", "#"):gsub(" +", " ") or text
end

local function straight (script, row)
  local arguments = row[2]:gsub("DIGITS", digits):gsub("TABLE", rows)
  os.execute(("rm -rf %s && mkdir -p %s && cp %s/README.md %s"):format(folder, folder, here, folder))
  local command = ("%s run %s/scripts/%s.lua --quiet --keep 2 --out run.h5 %s"):format(bin, here, script, arguments)
  local began = lurn.sys.clock()
  local code = run(command)
  if code ~= 0 then fail(script, "undisturbed: exit code %d", code) end
  local seconds, printed = lurn.sys.clock() - began, printed_of(row)
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

-- A script that is begun anew leaves no run file behind before it is done.
local function check_anew (script)
  local file = read "run.h5" and lurn.runfile.read(path_of "run.h5", true)
  if file and file.status ~= "done" then fail(script, "a run file from which nothing is resumed: %s", file.status) end
end

local function same_print (row, printed, straight_printed)
  if row.tail then return #printed > 0 and straight_printed:sub(-#printed) == printed end
  return printed == straight_printed
end

local function storm (script, row, kills)
  local s = straight(script, row)
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
      local printed = printed_of(row)
      if content(script) ~= s.digest then fail(script, "after %d kills the run is not the undisturbed one", done) end
      if not same_print(row, printed, s.printed) then
        fail(script, "it printed\n%s\nand undisturbed\n%s", printed, s.printed)
      end
      check_folder(script, s.steps)
      os.execute(("rm -f %s/run.*"):format(folder))
      runs, reach = runs + 1, 0.8 * reach
    else
      done, counts[signal] = done + 1, counts[signal] + 1
      check_folder(script)
      if row.anew then check_anew(script) end
      if read "run.h5" then midway = midway + 1 end
      if steps_there() == before then reach = 1.1 * reach end
    end
  end
  print(("%-14s %4d steps, %.1f s undisturbed; %d kill -9, %d SIGTERM, %d of them with a run file there; %d runs "
    .. "finished, same bits"):format(script, s.steps, s.seconds, counts.KILL, counts.TERM, midway, runs))
  io.stdout:flush()
  if midway == 0 and not row.anew then fail(script, "no kill came while it trained") end
  return done
end

-- The scripts are those of the folder: none is forgotten.
local function check_scripts ()
  local known = {}
  for _, row in ipairs(SCRIPTS) do known[row[1]] = true end
  local list = io.popen(("ls %s/scripts"):format(here))
  for name in list:lines() do
    local script = name:match "^(.*)%.lua$"
    if script and not known[script] then error(("storm.lua: scripts/%s is in no row"):format(name), 0) end
  end
  list:close()
end

local function main (words)
  local o, all = parse(words), 0
  check_scripts()
  for _, row in ipairs(SCRIPTS) do
    local chosen = not o.only or ("," .. o.only .. ","):find("," .. row[1] .. ",", 1, true)
    if chosen and o.list then print(row[1])
    elseif chosen then
      if row[2]:find "DIGITS" then make_digits() end
      if row[2]:find "TABLE" then make_table() end
      math.randomseed(o.seed, tonumber(lurn.sys.sha256(row[1]):sub(1, 8), 16))
      all = all + storm(row[1], row, o.kills or row.kills)
    end
  end
  if not o.list then print(("storm: %d kills, nothing lost"):format(all)) end
end

local ok, message = pcall(main, arg)
if ok then os.execute(("rm -rf %s %s.*"):format(folder, folder))
else io.stderr:write(tostring(message), "\nthe folder is kept: ", folder, "\n") end
os.exit(ok)
