-- Racing over seeds: scores, the test, who gets the next seed.
local lurn = require "lurn"

local function trials_of (values)
  local list = {}
  for config, seeds in ipairs(values) do
    for seed, value in ipairs(seeds) do
      local state = type(value) == "number" and "COMPLETE" or value
      list[#list + 1] = {number = #list, config = config - 1, seed = seed, state = state,
        value = type(value) == "number" and value or nil}
    end
  end
  return list
end

describe("racing", function ()
  it("knows Student's t", function ()
    -- tables: t(0.05, 1), t(0.05, 4), t(0.1, 7), t(0.025, 30)
    for _, row in ipairs {{0.05, 1, 6.313752}, {0.05, 4, 2.131847}, {0.1, 7, 1.414924}, {0.025, 30, 2.042272}} do
      assert.near(row[3], lurn.racing.t_quantile(row[1], row[2]), 1e-6)
    end
  end)

  it("scores a configuration by a bound that its mean keeps", function ()
    local r = lurn.racing.new {seeds = 4, alpha = 0.05}
    local mean, sd, n, bound = r:score(trials_of {{1, 2, 3, 4}})
    assert.equal(2.5, mean)
    assert.near(1.2909944, sd, 1e-7)
    assert.equal(4, n)
    assert.near(2.5 + 2.353363 * 1.2909944 / 2, bound, 1e-5)
    local up = lurn.racing.new {seeds = 4, alpha = 0.05, direction = "maximize"}
    assert.near(2.5 - 2.353363 * 1.2909944 / 2, (select(4, up:score(trials_of {{1, 2, 3, 4}}))), 1e-5)
    assert.equal(math.huge, (select(4, r:score(trials_of {{1}}))))
    assert.equal(1, (select(4, lurn.racing.new():score(trials_of {{1}}))))
    assert.is_nil((r:score(trials_of {{"RUNNING"}})))
  end)

  it("stops the hopeless after few seeds", function ()
    local r = lurn.racing.new {seeds = 4, trials = 6}
    assert.same({config = 0, seed = 1}, r:next {})
    assert.same({config = 1, seed = 1}, r:next(trials_of {{"RUNNING"}}))
    assert.same({config = 0, seed = 2}, r:next(trials_of {{1}}))
    assert.same({config = 1, seed = 1}, r:next(trials_of {{1, 1.1, 0.9, 1}}))
    assert.same({config = 1, seed = 2}, r:next(trials_of {{1, 1.1, 0.9, 1}, {1.05}}))      -- may still win
    assert.same({config = 2, seed = 1}, r:next(trials_of {{1, 1.1, 0.9, 1}, {2}}))         -- may not
    assert.same({config = 2, seed = 1}, r:next(trials_of {{1, 1.1, 0.9, 1}, {"PRUNED"}}))
    assert.same({config = 2, seed = 1}, r:next(trials_of {{1, 1.1, 0.9, 1}, {1.05, "RUNNING"}}))
    assert.is_nil(r:next(trials_of {{1, 1.1, 0.9, 1}, {2}, {2}, {2}, {2}, {"FAIL"}}))
  end)

  it("finds the better of noisy configurations with fewer trials than all seeds of all", function ()
    local right, spent, all = 0, 0, 0
    for study = 1, 20 do
      local r, trials = lurn.racing.new {seeds = 8, trials = 20}, {}
      while true do
        local place = r:next(trials)
        if not place then break end
        local noise = lurn.rng.normal(study, "search", "noise" .. place.config, place.seed)
        trials[#trials + 1] = {number = #trials, config = place.config, seed = place.seed, state = "COMPLETE",
          value = (place.config * 7 % 20) + noise}
      end
      right = right + (r:ranking(trials)[1].config == 0 and 1 or 0)
      spent, all = spent + #trials, all + 8 * 20
    end
    assert.is_true(right >= 16, right .. " of 20")
    assert.is_true(spent < all / 2, spent .. " of " .. all)
  end)

  it("without racing is a function of the number", function ()
    local r = lurn.racing.new {seeds = 3, race = false, trials = 2}
    assert.same({config = 1, seed = 2}, r:next({}, 4))
    assert.is_nil(r:next({}, 6))
  end)
end)
