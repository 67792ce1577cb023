-- store_bench.lua: what a trial costs in the store: a claim of a random configuration of ten parameters and its result,
-- the result on disk before it is acknowledged, and whether that stays the same as a study grows.
--
--   lua5.4 tests/tools/store_bench.lua [--store sqlite,dir,postgresql,memory] [--least 1000] [--most 100000]
--     [--params 10]
--
-- A line per kind and number n of trials that are there, put in whole: milliseconds a trial, over WINDOW trials from n
-- on, of claim and finish as two commits; of `turn`, which is one, until it is on disk, and until the next trial can
-- begin, which keeps its worker from working; of bringing the list of trials up to date after each; and how long a
-- process needs to read the whole study. From the environment: LUA_PATH, LUA_CPATH; STORES, a folder on the disk to
-- measure. Beside it, by tests/tools/optuna_bench.py where Optuna is: the same with Optuna and its SQLite.

package.path = "tests/spec/?.lua;tests/tools/?.lua;" .. package.path
local lurn = require "lurn"
local stores, tool = require "store_helper", require "tool"

local WINDOW = 300

-- Milliseconds a piece of n pieces of work, of wall time and of this process's CPU time.
local function timed (n, f)
  local wall, cpu = lurn.sys.clock(), os.clock()
  for _ = 1, n do f() end
  return 1e3 * (lurn.sys.clock() - wall) / n, 1e3 * (os.clock() - cpu) / n
end

local RESULT = {state = "COMPLETE", value = 0.5}
local SOON = {state = "COMPLETE", value = 0.5, when = "later"}

-- A trial that is over, as it would have been played.
local function played (number, params)
  local at = 1.7e9 + number
  return {number = number, config = number, seed = 1, params = params, attrs = {}, state = "COMPLETE", value = 0.5,
    epoch = 1, worker = "w", started = at, ended = at + 0.5, reports = {}, attempts = {{epoch = 1, worker = "w",
      host = "h", pid = 1, started = at, ended = at + 0.5, reason = "COMPLETE", id = "finish/w/1"}}}
end

-- A shared folder gets the logs that eight workers left: to put trials in one by one would wait for the disk each time.
local function fill_folder (folder, n, params)
  local json = lurn.json
  for w = 0, 7 do
    local f = assert(io.open(("%s/logs/filled.%d.jsonl"):format(folder, w), "w"))
    f:write(json.encode {log = "filled." .. w}, "\n")
    local last
    for number = w, n - 1, 8 do
      f:write(json.encode {["do"] = "put", number = number, k = 1, trial = played(number, params), last = last}, "\n")
      last = true
    end
    f:write(json.encode {last = true}, "\n")
    f:close()
  end
end

local function fill (kind, study, n, params)
  if kind == "dir" then return fill_folder(study.kept.folder, n, params) end
  local list = {}
  for number = 0, n - 1 do list[number + 1] = played(number, params) end
  assert(study.kept:put(list))
end

local function measure (kind, store, n, space, params)
  local study = assert(store:create {name = "bench" .. n, spec = {space = space}})
  fill(kind, study, n, params)
  local options = {worker = "w", host = "h", pid = 1, lease = 60, propose = function () return {params = params} end}
  study:sync()
  local trial = assert(study:claim(options))
  assert(trial.number == n)
  local function turn () trial = assert(study:turn(trial, RESULT, options)).trial end
  local idle = 0
  local function play ()
    local began = lurn.sys.clock()
    trial = assert(study:turn(trial, SOON, options)).trial
    idle = idle + lurn.sys.clock() - began      -- its process has it now
    assert(store:settle())
  end
  local function two ()
    assert(study:finish(trial, RESULT))
    trial = assert(study:claim(options))
  end
  timed(WINDOW // 10, turn)
  local both, both_cpu = timed(WINDOW, two)
  local one, one_cpu = timed(WINDOW, turn)
  timed(WINDOW, play)
  study:sync()
  local synced = timed(WINDOW, function ()
    turn()
    study:sync()
  end)
  local reader = assert(store:study("bench" .. n))
  local read, read_cpu = timed(1, function () assert(#reader:sync() > n) end)
  print(("%-10s %6d trials: claim + finish %.3f ms (CPU %.3f), turn %.3f ms (CPU %.3f), the next trial after %.3f ms, "
    .. "turn + sync %.3f ms; all read in %.2f s (CPU %.2f)"):format(kind, n, both, both_cpu, one, one_cpu,
    1e3 * idle / WINDOW, synced, read / 1e3, read_cpu / 1e3))
  io.stdout:flush()
end

local function bench (kind, url, o)
  stores.clear(kind)
  local store = assert(lurn.store.open(url))
  local space, params = {}, {}
  for k = 1, o.params do
    space[k] = {name = ("p%02d"):format(k), kind = "float", low = 0.0, high = 1.0}
    params[space[k].name] = 1 / (k + 1)
  end
  local n = o.least
  while n <= o.most do
    measure(kind, store, n, space, params)
    n = 10 * n
  end
  store:close()
end

tool.run(function (words)
  local o = tool.parse("store_bench", words, {store = "sqlite,dir,postgresql,memory", least = 1000, most = 100000,
    params = 10})
  local probe = stores.folder .. "/probe"
  print(("one line written and synced on this disk: %.3f ms"):format((timed(200, function ()
    assert(lurn.sys.append(probe, ("x"):rep(80)))
  end))))
  tool.each_store(stores, o.store, function (kind, url) bench(kind, url, o) end)
end)
