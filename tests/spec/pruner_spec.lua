-- Pruners against numbers worked out by hand.
local lurn = require "lurn"

local function trial (number, state, values, first)
  local reports = {}
  for i, value in ipairs(values) do reports[i] = {(first or 0) + i - 1, value} end
  return {number = number, config = number, seed = 1, state = state, reports = reports, value = values[#values]}
end

local nan = 0 / 0

local function five (step_values)
  local list = {}
  for i, values in ipairs(step_values) do list[i] = trial(i - 1, "COMPLETE", values) end
  return list
end

describe("a pruner", function ()
  it("is known by name, and its options too", function ()
    assert.error_matches(function () lurn.pruner.new "medain" end,
      "unknown pruner 'medain', did you mean 'median'?", 1, true)
    assert.error_matches(function () lurn.pruner.new("median", {startup = 3}) end, "unknown option 'startup'")
  end)

  it("nop stops nothing", function ()
    local p = lurn.pruner.new "nop"
    assert.is_nil(p:decide(trial(1, "RUNNING", {nan}), {}))
    assert.is_nil(p:promote {})
    assert.is_nil(p:budget(trial(1, "RUNNING", {})))
  end)
end)

describe("median", function ()
  local others = five {{9, 1}, {9, 2}, {9, 3}, {9, 4}, {9, 5}}

  it("stops what was never as good as half of the others at this step", function ()
    local p = lurn.pruner.new "median"
    assert.equal("prune", (p:decide(trial(9, "RUNNING", {9, 3.5}), others)))
    assert.is_nil(p:decide(trial(9, "RUNNING", {9, 3}), others))
    assert.is_nil(p:decide(trial(9, "RUNNING", {2, 8}), others))           -- it was good once
    assert.is_nil(p:decide(trial(9, "RUNNING", {9, 3.5}), {others[1], others[2], others[3], others[4]}))
    assert.is_nil(p:decide(trial(9, "RUNNING", {9, 9, 9}), others))        -- nobody was there
    assert.equal("prune", (p:decide(trial(9, "RUNNING", {nan, nan}), others)))
    assert.is_nil(p:decide(trial(9, "RUNNING", {}), others))
  end)

  it("knows the other direction", function ()
    local p = lurn.pruner.new("median", {direction = "maximize"})
    assert.equal("prune", (p:decide(trial(9, "RUNNING", {1, 2.5}), others)))
    assert.is_nil(p:decide(trial(9, "RUNNING", {1, 3}), others))
  end)

  it("waits and checks as often as it was told", function ()
    local p = lurn.pruner.new("median", {n_warmup_steps = 1, interval_steps = 2, n_startup_trials = 1})
    local other = {trial(0, "COMPLETE", {0, 0, 0, 0, 0, 0})}
    local verdicts = {}
    for n = 1, 6 do
      local values = {}
      for i = 1, n do values[i] = 1 end
      verdicts[n] = p:decide(trial(9, "RUNNING", values), other) or "-"
    end
    assert.same({"-", "prune", "-", "prune", "-", "prune"}, verdicts)
  end)

  it("wants as many values as it was told", function ()
    local p = lurn.pruner.new("median", {n_startup_trials = 0, n_min_trials = 2})
    assert.is_nil(p:decide(trial(9, "RUNNING", {5}), {trial(0, "COMPLETE", {1})}))
    assert.equal("prune", (p:decide(trial(9, "RUNNING", {5}), {trial(0, "COMPLETE", {1}), trial(1, "COMPLETE", {2})})))
  end)
end)

describe("percentile", function ()
  it("interpolates between neighbours", function ()
    local p = lurn.pruner.new("percentile", {percentile = 25, n_startup_trials = 1})
    local others = five {{1}, {2}, {3}, {4}}          -- the percentile 25 is 1.75
    assert.is_nil(p:decide(trial(9, "RUNNING", {1.75}), others))
    assert.equal("prune", (p:decide(trial(9, "RUNNING", {1.7501}), others)))
  end)
end)

describe("median_mean", function ()
  it("takes the others' running means", function ()
    local p = lurn.pruner.new("median_mean", {n_startup_trials = 1})
    local others = five {{8, 2, 0}, {6, 2, 0}, {4, 2, 0}}        -- means up to step 1: 5, 4, 3
    assert.is_nil(p:decide(trial(9, "RUNNING", {9, 4}), others))
    assert.equal("prune", (p:decide(trial(9, "RUNNING", {9, 4.1}), others)))
  end)
end)
