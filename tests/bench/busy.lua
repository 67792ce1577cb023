-- How much of the time the workers of a sweep are at work, on trials of one second:
--
--   lua5.4 tests/bench/busy.lua [TRIALS [WORKERS [STORE]]]      after eval "$(build/bin/lurn env)"
--
-- A trial computes until a second has passed since its script began; what is lost to the agent, the store, forks, run
-- files and ends of processes is what is missing from 100 %. Wall time is that of the whole command.

local lurn = require "lurn"

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "busy", params = {lr = {1e-3, float = {1e-4, 1e-1}, log = true}},
  run = function (run, p)
    local began = lurn.sys.clock()
    local x = lurn.normal(64, 64, {name = "x"})
    while lurn.sys.clock() - began < 1 do x = (x + x):tanh() end
    return lurn.sys.clock() - began
  end}
]]

local trials, workers = tonumber(arg[1] or 20), tonumber(arg[2] or lurn.sys.cpus())
local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir -p " .. folder)
local file = assert(io.open(folder .. "/busy.lua", "w"))
file:write(SCRIPT)
file:close()
local bin = os.getenv "LURN_BIN" or "build/bin/lurn"
if not bin:find "^/" then bin = os.getenv "PWD" .. "/" .. bin end

local began = lurn.sys.clock()
local pipe = assert(io.popen(("cd %s && %s sweep busy.lua --sampler random --pruner none --quiet --json --trials %d "
  .. "--workers %d %s"):format(folder, bin, trials, workers, arg[3] and "--store " .. arg[3] or "")))
local document = assert(lurn.json.decode(pipe:read "a"))
pipe:close()
local wall = lurn.sys.clock() - began
os.execute("rm -rf " .. folder)

assert(document.counts.COMPLETE == trials, "not all trials are complete")
print(("%d trials of 1 s on %d workers: %.2f s, at work %.2f %% of the time"):format(trials, workers, wall,
  100 * trials / (workers * wall)))
