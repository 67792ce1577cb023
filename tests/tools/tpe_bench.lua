-- tpe_bench.lua: what one proposal of the sampler tpe costs.
--
--   eval "$(build/bin/lurn env)"; lua5.4 tests/tools/tpe_bench.lua [TRIALS [PROPOSALS]]      1000 and 200
--
-- Ten parameters: four floats (two logarithmic), four integers (two logarithmic), a float with a step, a list. Each
-- proposal is followed by its trial, so a proposal sees one trial more than the one before. Processor time, in ms.

local lurn = require "lurn"

local n, proposals = tonumber(arg[1] or 1000), tonumber(arg[2] or 200)

local SPACE = {}
for i = 1, 4 do
  SPACE[#SPACE + 1] = {name = "x" .. i, kind = "float", low = 1e-4, high = 1, log = i > 2}
  SPACE[#SPACE + 1] = {name = "n" .. i, kind = "int", low = 1, high = 100, log = i > 2}
end
SPACE[#SPACE + 1] = {name = "step", kind = "float", low = 0, high = 1, step = 0.1}
SPACE[#SPACE + 1] = {name = "word", kind = "choice", choice = {"a", "b", "c"}}

local function loss (p)
  local sum = (p.word == "b" and 0 or 1) + p.step
  for i = 1, 4 do sum = sum + (p["x" .. i] - 0.3)^2 + (p["n" .. i] / 50 - 1)^2 end
  return sum
end

local random, tpe = lurn.sampler.new("random", SPACE), lurn.sampler.new("tpe", SPACE)
local trials, times = {}, {}
local function add (p)
  local number = #trials
  trials[number + 1] = {number = number, config = number, seed = 1, state = "COMPLETE", params = p, value = loss(p),
    reports = {}}
end
for number = 0, n - 1 do add(random:suggest(number)) end
tpe:suggest(n, trials)                -- the first one takes all trials in
for i = 1, proposals do
  local start = os.clock()
  local p = tpe:suggest(#trials, trials)
  times[i] = (os.clock() - start) * 1e3
  add(p)
end
table.sort(times)
print(("%d to %d trials, %d parameters, %d proposals: median %.3f ms, fastest %.3f, slowest tenth from %.3f"):format(n,
  n + proposals - 1, #SPACE, proposals, times[(proposals + 1) // 2], times[1], times[proposals * 9 // 10 + 1]))
