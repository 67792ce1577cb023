-- choice_bench.lua: what it costs, as a study grows, to say what comes next: whom a race gives a seed, whom promotion
-- lets go on, whom a pruner stops, whose files stay.
--
--   eval "$(build/bin/lurn env)"; lua5.4 tests/tools/choice_bench.lua [--least 1000] [--most 100000] [--turns 300]
--
-- A line per kind and number n of trials that are there, in a store in memory: processor time in ms of all choices of
-- one trial, the median of TURNS trials from n on; and what it takes to take all n in, once, which is what those took
-- that took much longer than the median. The store's own time is not in it.

package.path = "tests/tools/?.lua;" .. package.path
local lurn = require "lurn"
local tool = require "tool"

local SEEDS = 5

local function u (what, number) return lurn.rng.uniform(1, "search", what, number + 1) end

local function past (number, state, reports, value, config, seed)
  return {number = number, config = config or number, seed = seed or 1, params = {}, attrs = {}, state = state,
    value = value, epoch = 1, worker = "w", started = 1.0, ended = state ~= "PAUSED" and 2.0 or nil, reports = reports,
    attempts = {{epoch = 1, worker = "w", started = 1.0, ended = 2.0, reason = state, id = "w/1"}}}
end

local function curve (number, steps)
  local reports = {}
  for step = 1, steps do reports[step] = {step, u("level", number) + 1 / step} end
  return reports
end

-- The processor time that f takes is added to `spent`.
local spent = 0
local function clocked (f, ...)
  local from = os.clock()
  local a, b = f(...)
  spent = spent + os.clock() - from
  return a, b
end

local function unclocked (f, ...) return f(...) end

local kinds = {}      -- past(number) of a study that has been played; turn(study) plays one more trial

local function claim (study, e) return assert(study:claim {worker = "w", propose = function () return e end}) end
local function finish (study, trial, state, value) assert(study:finish(trial, {state = state, value = value})) end

-- Each configuration of the past had all its seeds when it was good, one when it was not: as races leave them behind.
function kinds.racing (watched)
  local racing, config, seed = lurn.racing.new {seeds = SEEDS}, -1, 1
  local function value (c, s) return u("level", c) + 0.1 * u("noise" .. s, c) end
  return {spec = {seeds = SEEDS},
    past = function (number)
      if seed < SEEDS and config >= 0 and u("level", config) < 0.05 then seed = seed + 1
      else config, seed = config + 1, 1 end
      return past(number, "COMPLETE", {}, value(config, seed), config, seed)
    end,
    turn = function (study)
      local place = (watched or clocked)(racing.next, racing, study:sync())
      finish(study, claim(study, {params = {}, config = place.config, seed = place.seed}), "COMPLETE",
        value(place.config, place.seed))
    end}
end

-- Every configuration has all its seeds in turn.
function kinds.seeds ()
  local racing = lurn.racing.new {seeds = SEEDS, race = false}
  return {spec = {seeds = SEEDS},
    past = function (number) return past(number, "COMPLETE", {}, 1, number // SEEDS, number % SEEDS + 1) end,
    turn = function (study)
      local place = clocked(racing.next, racing, study:sync())
      finish(study, claim(study, {params = {}, config = place.config, seed = place.seed}), "COMPLETE", 1)
    end}
end

-- Three of four of the past rest at the first rung, as many of the rest at the second one, and so on.
function kinds.promotion ()
  local pruner = lurn.pruner.new("promotion", {max_resource = 256})
  return {
    past = function (number)
      local steps, level = 1, u("level", number)
      while steps < 256 and level < 0.25 do steps, level = 4 * steps, 4 * level end
      return past(number, steps < 256 and "PAUSED" or "COMPLETE", curve(number, steps), steps == 256 and 1 or nil)
    end,
    turn = function (study)
      local number = clocked(pruner.promote, pruner, study:sync())
      if number then assert(study:promote(number)) end
      local trial = claim(study, {params = {}})
      local verdict
      repeat
        local step = #trial.reports + 1
        trial.reports[step] = {step, u("level", trial.number) + 1 / step}
        study:report(trial, {trial.reports[step]})
        verdict = clocked(pruner.decide, pruner, trial, study:sync())
      until verdict or step == 256
      if verdict == "pause" then study:pause(trial) else finish(study, trial, "COMPLETE", 1) end
    end}
end

local function stopping (name)
  return function ()
    local pruner = lurn.pruner.new(name)
    return {
      past = function (number) return past(number, "COMPLETE", curve(number, 10), 1) end,
      turn = function (study)
        local trial, verdict = claim(study, {params = {}}), nil
        for step = 1, 10 do
          trial.reports[step] = {step, u("level", trial.number) + 1 / step}
          study:report(trial, {trial.reports[step]})
          verdict = clocked(pruner.decide, pruner, trial, study:sync())
          if verdict then break end
        end
        finish(study, trial, verdict and "PRUNED" or "COMPLETE", trial.reports[#trial.reports][2])
      end}
  end
end
kinds.median, kinds.asha = stopping "median", stopping "asha"

-- Whose files stay, of a race.
function kinds.keeper ()
  local keeper, kind = nil, kinds.racing(unclocked)
  local turn = kind.turn
  function kind.turn (study)
    keeper = keeper or clocked(lurn.keeper.new, {seeds = SEEDS}, "minimize", study:sync(), function () return true end)
    turn(study)
    local trials = study:sync()
    local t = trials[#trials]
    local wanted = clocked(keeper.wants, keeper, t, t.value)
    clocked(keeper.add, keeper, t, t.value, wanted)
    clocked(keeper.spare, keeper)
  end
  return kind
end

local function measure (name, n, turns)
  local kind = kinds[name]()
  local spec, list = kind.spec or {}, {}
  local study = assert(assert(lurn.store.open "memory:"):create {name = "s", spec = spec})
  for number = 0, n - 1 do list[number + 1] = kind.past(number) end
  study.kept:put(list)
  study:sync()
  local times, once = {}, 0
  for k = 1, turns do
    spent = 0
    kind.turn(study)
    times[k] = 1e3 * spent
  end
  table.sort(times)
  local median = times[(turns + 1) // 2]
  for _, ms in ipairs(times) do if ms > 20 * median then once = once + ms end end
  print(("%-10s %6d trials: %.4f ms a trial; %.1f ms to take them in"):format(name, n, median, once))
  io.stdout:flush()
end

tool.run(function (words)
  local o = tool.parse("choice_bench", words, {least = 1000, most = 100000, turns = 300,
    kinds = "racing,seeds,promotion,median,asha,keeper"})
  for name in o.kinds:gmatch "%a+" do
    local n = o.least
    while n <= o.most do
      measure(name, n, o.turns)
      n = 10 * n
    end
  end
end)
