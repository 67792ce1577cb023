-- store_bench.lua: what a trial costs in the store: a claim of a random configuration of ten parameters and its result,
-- each on disk before it is acknowledged, and whether that stays the same as a study grows.
--
--   lua5.4 tests/tools/store_bench.lua [--store sqlite,dir,postgresql,memory] [--most 100000] [--params 10]
--
-- A line per kind and number n of trials that are there: milliseconds a trial, over WINDOW trials from n on, of claim
-- and finish as two commits; of `turn`, which is one; of bringing the list of trials up to date after each; and how
-- long a process needs to read the whole study. From the environment: LUA_PATH, LUA_CPATH; STORES, a folder on the
-- disk to measure. Beside it, by tests/tools/optuna_bench.py where Optuna is: the same with Optuna and its SQLite.

package.path = "tests/spec/?.lua;" .. package.path
local lurn = require "lurn"
local stores = require "store_helper"

local WINDOW = 300

local function parse (words)
  local o = {store = "sqlite,dir,postgresql,memory", most = 100000, params = 10}
  for i = 1, #words, 2 do
    local name = words[i]:match "^%-%-(%a+)$"
    if not name or o[name] == nil then error("store_bench: what is " .. words[i] .. "?", 0) end
    o[name] = name == "store" and words[i + 1] or math.tointeger(tonumber(words[i + 1]))
      or error(("store_bench: --%s needs a whole number"):format(name), 0)
  end
  return o
end

-- Milliseconds a piece of n pieces of work, of wall time and of this process's CPU time.
local function timed (n, f)
  local wall, cpu = lurn.sys.clock(), os.clock()
  for _ = 1, n do f() end
  return 1e3 * (lurn.sys.clock() - wall) / n, 1e3 * (os.clock() - cpu) / n
end

local RESULT = {state = "COMPLETE", value = 0.5}

local function bench (kind, url, o)
  stores.clear(kind)
  local store = assert(lurn.store.open(url))
  local space, params = {}, {}
  for k = 1, o.params do
    space[k] = {name = ("p%02d"):format(k), kind = "float", low = 0.0, high = 1.0}
    params[space[k].name] = 1 / (k + 1)
  end
  local study = assert(store:create {name = "bench", spec = {space = space}})
  local options = {worker = "w", host = "h", pid = 1, lease = 60, propose = function () return {params = params} end}
  local trial = assert(study:claim(options))
  local function turn ()
    local r = assert(study:turn(trial, RESULT, options))
    trial = r.trial
  end
  local function two ()
    assert(study:finish(trial, RESULT))
    trial = assert(study:claim(options))
  end
  local n = 1000
  while n <= o.most do
    while trial.number < n do turn() end
    study:sync()
    local both, both_cpu = timed(WINDOW, two)
    local one, one_cpu = timed(WINDOW, turn)
    study:sync()
    local synced = timed(WINDOW, function ()
      turn()
      study:sync()
    end)
    local reader = assert(store:study "bench")
    local read = timed(1, function () reader:sync() end)
    print(("%-10s %6d trials: claim + finish %.3f ms (CPU %.3f), turn %.3f ms (CPU %.3f), turn + sync %.3f ms; all "
      .. "read in %.2f s"):format(kind, n, both, both_cpu, one, one_cpu, synced, read / 1e3))
    io.stdout:flush()
    n = 10 * n
  end
  store:close()
end

local o = parse(arg)
local probe = stores.folder .. "/probe"
print(("one line written and synced on this disk: %.3f ms"):format((timed(200, function ()
  assert(lurn.sys.append(probe, ("x"):rep(80)))
end))))
for kind in o.store:gmatch "%w+" do
  local url = stores.urls[kind]
  if kind == "postgresql" then url = stores.with_server() end
  if url then bench(kind, url, o) else print(("%-10s left out: %s"):format(kind, stores.why or "no such store")) end
end
stores.close()
