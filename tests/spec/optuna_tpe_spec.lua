-- Samplers and pruners beside the original: what Optuna decided is in tests/fixtures/optuna.json (make_optuna.py).
local lurn = require "lurn"

local folder = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$" or "../"
local file = assert(io.open(folder .. "fixtures/optuna.json"))
local fixture = assert(lurn.json.decode(file:read "a"))
file:close()

local SPACE = {
  {name = "choice", kind = "choice", choice = {"a", "b", "c", "d"}},
  {name = "float", kind = "float", low = -2, high = 3},
  {name = "int", kind = "int", low = 1, high = 12},
  {name = "intlog", kind = "int", low = 2, high = 300, log = true},
  {name = "intstep", kind = "int", low = 0, high = 30, step = 3},
  {name = "log", kind = "float", low = 1e-5, high = 1e-1, log = true},
  {name = "step", kind = "float", low = 0, high = 1, step = 0.125},
}

describe("tpe beside Optuna", function ()
  local states = {C = "COMPLETE", P = "PRUNED", R = "RUNNING"}
  local f = fixture.densities

  local function params_of (row, from)
    local params = {}
    for i, name in ipairs(f.names) do params[name] = row[from + i] end
    return params
  end

  local trials = {}
  for i, row in ipairs(f.trials) do
    local reports = {}
    for step = 1, row[1] == "P" and row[3] or 0 do reports[step] = {step, step == 6 and 0 / 0 or row[2] + step} end
    trials[i] = {number = i - 1, config = i - 1, seed = 1, state = states[row[1]], reports = reports,
      value = row[1] == "C" and row[2] or nil, params = params_of(row, 3)}
  end

  local function coordinates (row)
    local point = {("abcd"):find(row[1], 1, true)}
    for i = 2, #row do point[i] = row[i] end
    return point
  end

  for _, case in ipairs(f.cases) do
    it(("after %d trials, %s: the same good ones, densities and choice"):format(case.n, case.direction), function ()
      local s = lurn.sampler.new("tpe", SPACE, {direction = case.direction})
      local list = table.move(trials, 1, case.n, 1, {})
      local view = s:survey(list)
      local below, chosen = s:split(view)
      local numbers = {}
      for i, trial in ipairs(below) do numbers[i] = trial.number end
      assert.same(case.below, numbers)
      local good, bad = s:fitted(f.names, view, below, chosen)
      local points = {}
      for c, row in ipairs(case.points) do points[c] = coordinates(row) end
      local l, g, best = good:score(points), bad:score(points), 1
      for c = 1, #points do
        assert.near(case.l[c], l[c], 1e-9 * math.abs(case.l[c]))
        assert.near(case.g[c], g[c], 1e-9 * math.abs(case.g[c]))
        if l[c] - g[c] > l[best] - g[best] then best = c end
      end
      assert.equal(case.best, best - 1)
    end)
  end

  it("gives the same densities when it has come there step by step", function ()
    local s, t = lurn.sampler.new("tpe", SPACE), lurn.sampler.new("tpe", SPACE)
    local points = {}
    for c, row in ipairs(f.cases[#f.cases].points) do points[c] = coordinates(row) end
    local list = {}
    for n = 1, 120 do
      list[n] = trials[n]
      local view = s:survey(list)
      s:fitted(f.names, view, s:split(view))
    end
    local view = t:survey(list)
    local a, b = s:fitted(f.names, view, s:split(view))
    local c, d = t:fitted(f.names, view, t:split(view))
    assert.same(c:score(points), a:score(points))
    assert.same(d:score(points), b:score(points))
  end)
end)

describe("pruners beside Optuna", function ()
  -- The values of make_optuna.py.
  local function value (number, step)
    local h = (number * 7919 + step * 104729 + number * step * 31) % 10007
    if h % 97 == 0 then return 0 / 0 end
    return number * 37 % 23 + h % 16 / 8 - step / 4
  end

  -- Four workers play trials in turn, one report each; what the pruner says, report by report.
  local function play (pruner, count, steps, workers)
    local trials, slots, verdicts, clock = {}, {}, {}, 0
    local function step_of (w)
      if not slots[w] then
        if #trials == count then return end
        slots[w] = {number = #trials, config = #trials, seed = 1, state = "RUNNING", reports = {}}
        trials[#trials + 1] = slots[w]
      end
      local trial = slots[w]
      local step = #trial.reports + 1
      trial.reports[step] = {step, value(trial.number, step)}
      local verdict = pruner:decide(trial, trials)
      verdicts[#verdicts + 1] = verdict and "x" or "."
      if verdict or step == steps then
        clock = clock + 1
        trial.state, trial.ended, slots[w] = verdict and "PRUNED" or "COMPLETE", clock, nil
      end
    end
    repeat
      for w = 1, workers do step_of(w) end
    until #trials == count and not next(slots)
    return table.concat(verdicts)
  end

  for _, case in ipairs(fixture.verdicts) do
    it(("%s %s, %s: the same verdicts"):format(case.name, lurn.json.encode(case.options), case.direction), function ()
      local options = {direction = case.direction, study = "study"}
      for key, option in pairs(case.options) do options[key] = option end
      assert.equal(case.verdicts, play(lurn.pruner.new(case.name, options), 40, 27, 4))
      assert.is_truthy(case.verdicts:find "x")
    end)
  end
end)
