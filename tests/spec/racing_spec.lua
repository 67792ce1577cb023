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

  it("gives all seeds in turn without racing: the first place that nobody has", function ()
    local r = lurn.racing.new {seeds = 3, race = false, trials = 4}
    local trials = lurn.changes.begin {}
    local function put (config, seed)
      trials[#trials + 1] = {number = #trials, config = config, seed = seed, state = "RUNNING"}
      lurn.changes.note(trials, #trials - 1)
    end
    local function play (count)
      local played = {}
      for k = 1, count do
        local place = r:next(trials)
        assert.same(place, lurn.racing.new({seeds = 3, race = false}):next {table.unpack(trials)})
        put(place.config, place.seed)
        played[k] = ("%d.%d"):format(place.config, place.seed)
      end
      return table.concat(played, " ")
    end
    assert.equal("0.1 0.2 0.3 1.1", play(4))
    for seed = 1, 3 do put(2, seed) end      -- put in while configuration 1 has one of its seeds
    lurn.changes.note(trials, 0)
    assert.equal("1.2 1.3 3.1 3.2 3.3", play(5))
    assert.is_nil(r:next(trials))
  end)

  it("has a configuration for each number without seeds", function ()
    local r = lurn.racing.new {trials = 6}
    assert.same({config = 5, seed = 1}, r:next({}, 5))
    assert.is_nil(r:next({}, 6))
  end)

  -- The rule as it reads, of all trials anew.
  local function next_of_all (r, trials, seeds)
    local rows = r:ranking(trials)
    for _, row in ipairs(rows) do
      local open, taken, seed = false, {}, 1
      for _, t in ipairs(row.trials) do
        open, taken[t.seed] = open or t.state == "RUNNING", true
      end
      while taken[seed] do seed = seed + 1 end
      local wins = row == rows[1] and not row.lost or not r:hopeless(row.trials, rows[1])
      if not open and seed <= seeds and wins then return {config = row.config, seed = seed} end
    end
    local highest = -1
    for _, t in ipairs(trials) do highest = math.max(highest, t.config) end
    return {config = highest + 1, seed = 1}
  end

  it("says of a list that grows what it says of all of it", function ()
    for study, direction in ipairs {"minimize", "maximize", "minimize"} do
      local seeds = 2 + study
      local old, trials, running = lurn.racing.new {seeds = seeds, direction = direction}, lurn.changes.begin {}, {}
      local function u (what, i) return lurn.rng.uniform(study, "search", what, i) end
      local function put (t)
        trials[t.number + 1] = t
        lurn.changes.note(trials, t.number)
      end
      local more = 0
      for i = 1, 200 do
        if #running > 3 or u("ends", i) < 0.5 and running[1] then
          local t = table.remove(running, 1 + (u("which", i) * #running) // 1)
          local fate = u("fate", i)
          local value = u("level", t.config + 1) + 0.3 * u("noise", t.number + 1)
          put {number = t.number, config = t.config, seed = t.seed, value = fate > 0.1 and value or nil,
            state = fate > 0.1 and "COMPLETE" or fate > 0.05 and "FAIL" or "PRUNED"}
        end
        local fresh = lurn.racing.new {seeds = seeds, direction = direction}
        local place = old:next(trials)
        assert.same(next_of_all(fresh, {table.unpack(trials)}, seeds), place)
        if i % 50 == 0 then assert.same(fresh:ranking {table.unpack(trials)}, old:ranking(trials)) end
        more = more + (place.seed > 1 and 1 or 0)
        running[#running + 1] = {number = #trials, config = place.config, seed = place.seed, state = "RUNNING"}
        put(running[#running])
      end
      assert.is_true(more > 20 and more < 180, more)
    end
  end)

  it("has room for values that are not finite", function ()
    local r = lurn.racing.new {seeds = 2}
    local rows = r:ranking(trials_of {{math.huge, math.huge}, {1, 2}, {-math.huge, math.huge}, {3, math.huge}})
    assert.equal(4, #rows)
    assert.equal(1, rows[1].config)
  end)
end)
