-- How much of the time the workers of a sweep are at work, on trials of one second:
--
--   lua5.4 tests/bench/busy.lua [TRIALS [WORKERS [STORE [SECONDS]]]]      after eval "$(build/bin/lurn env)"
--
-- A trial computes until a second (or so many) has passed since its script began; what is lost to the agent, the store,
-- forks, run files and ends of processes is what is missing from 100 %. Wall time is that of the whole command; beside
-- it, what is lost per trial from the end of the first to the end of the last, by the store.

local lurn = require "lurn"

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "busy", params = {lr = {1e-3, float = {1e-4, 1e-1}, log = true}},
  run = function (run, p)
    local began = lurn.sys.clock()
    local x = lurn.normal(64, 64, {name = "x"})
    while lurn.sys.clock() - began < SECONDS do x = (x + x):tanh() end
    return lurn.sys.clock() - began
  end}
]]

local trials, workers = tonumber(arg[1] or 40), tonumber(arg[2] or lurn.sys.cpus())
local store, seconds = arg[3] or "sweeps/busy.db", tonumber(arg[4] or 1)
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir -p " .. folder)
local file = assert(io.open(folder .. "/busy.lua", "w"))
file:write((SCRIPT:gsub("SECONDS", seconds)))
file:close()
local bin = os.getenv "LURN_BIN" or "build/bin/lurn"
if not bin:find "^/" then bin = os.getenv "PWD" .. "/" .. bin end

local began = lurn.sys.clock()
local pipe = assert(io.popen(("cd %s && %s sweep busy.lua --sampler random --pruner none --quiet --json --trials %d "
  .. "--workers %d --store %s"):format(folder, bin, trials, workers, store)))
local document = assert(lurn.json.decode(pipe:read "a"))
pipe:close()
local wall = lurn.sys.clock() - began
local path = (store:find "^/" or store:find "^%a+:") and store or folder .. "/" .. store
local ended = {}
for k, t in ipairs(assert(assert(lurn.store.open(path)):study "busy"):sync()) do ended[k] = t.ended end
table.sort(ended)
os.execute("rm -rf " .. folder)

assert(document.counts.COMPLETE == trials, "not all trials are complete")
local lost = (ended[trials] - ended[workers]) * workers / (trials - workers) - seconds
print(("%d trials of %g s on %d workers: %.2f s, at work %.2f %% of the time; lost %.2f ms a trial"):format(trials,
  seconds, workers, wall, 100 * seconds * trials / (workers * wall), 1e3 * lost))
