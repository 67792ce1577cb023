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

describe("asha", function ()
  local function race (options, values)
    local p, trials, verdicts = lurn.pruner.new("asha", options), {}, {}
    for i, value in ipairs(values) do
      trials[i] = trial(i - 1, "RUNNING", {value}, 1)
      local verdict = p:decide(trials[i], trials)
      verdicts[i] = verdict and "F" or "T"
      trials[i].state = verdict and "PRUNED" or "COMPLETE"
    end
    return table.concat(verdicts)
  end

  it("decides by who came before, as Optuna does", function ()
    assert.equal("TTFTFTFTTT", race({min_resource = 1}, {.5, .4, .6, .3, .35, .2, .45, .25, .1, .15}))
    assert.equal("FFTFT", race({min_resource = 1, reduction_factor = 2, bootstrap_count = 2}, {.5, .4, .3, .6, .1}))
  end)

  it("asks at rungs only", function ()
    local p = lurn.pruner.new("asha", {min_resource = 2, reduction_factor = 2})
    local good = trial(0, "COMPLETE", {1, 1, 1, 1, 1, 1, 1, 1}, 1)
    local seen = {}
    for n = 1, 8 do
      local values = {}
      for i = 1, n do values[i] = i == 2 and 0.5 or 2 end
      seen[n] = p:decide(trial(1, "RUNNING", values, 1), {good}) or "-"
    end
    assert.same({"-", "-", "-", "prune", "-", "-", "-", "prune"}, seen)
    assert.equal("prune", (p:decide(trial(1, "RUNNING", {2, nan}, 1), {good})))
  end)

  it("finds out what a first rung is", function ()
    local p, long = lurn.pruner.new "asha", {}
    for i = 1, 300 do long[i] = 1 end
    local first, second = trial(0, "COMPLETE", long, 1), trial(1, "COMPLETE", {1}, 1)
    first.ended, second.ended = 10.0, 20.0
    assert.is_nil(p:decide(trial(2, "RUNNING", {2, 2}, 1), {first, second}))
    assert.equal("prune", (p:decide(trial(2, "RUNNING", {2, 2, 2}, 1), {first, second})))
    assert.is_nil(p:decide(trial(2, "RUNNING", {2, 2, 2}, 1), {}))
    assert.error_matches(function () lurn.pruner.new("asha", {bootstrap_count = 1}) end,
      "bootstrap_count needs a number")
  end)
end)

describe("hyperband", function ()
  it("deals trials to brackets as Optuna does, but counts brackets in whole numbers", function ()
    local function shares (low, high, eta)
      return lurn.pruner.new("hyperband", {min_resource = low, max_resource = high, reduction_factor = eta}):shares()
    end
    assert.same({81, 34, 15, 8, 5}, shares(1, 81, 3))
    assert.same({27, 12, 6, 4}, shares(1, 27, 3))
    assert.same({16, 10, 7, 5, 5}, shares(1, 16, 2))
    assert.same({64, 22, 8, 4}, shares(1, 64, 4))
    assert.equal(6, #shares(1, 243, 3))
    assert.equal(4, #shares(1, 1000, 10))
    local p, got = lurn.pruner.new("hyperband", {max_resource = 81, study = "study"}), {}
    for number = 0, 19 do got[number + 1] = p:bracket(number) end
    assert.same({1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 2, 0, 1, 0, 1, 0}, got)
  end)

  it("compares within a bracket", function ()
    local p = lurn.pruner.new("hyperband", {max_resource = 81, study = "study"})
    local trials = {}
    for number = 0, 19 do trials[number + 1] = trial(number, "COMPLETE", {number}, 1) end
    local mine = {}
    for i, t in ipairs(p:peers(8, trials)) do mine[i] = t.number end
    assert.same({0, 8, 16, 18}, mine)
    -- The list grows, and has trials as they are now.
    for number = 20, 60 do trials[number + 1] = trial(number, "RUNNING", {number}, 1) end
    p:peers(0, trials)
    trials[42] = trial(41, "COMPLETE", {3}, 1)
    for number = 0, 60 do
      local expected = {}
      for _, t in ipairs(trials) do
        if p:bracket(t.number) == p:bracket(number) then expected[#expected + 1] = t.number end
      end
      for i, t in ipairs(p:peers(number, trials)) do
        assert.equal(expected[i], t.number)
        assert.equal(trials[t.number + 1], t)
      end
    end
    assert.equal("prune", (p:decide(trial(1, "RUNNING", {19.5}, 1), trials)))
    assert.is_nil(p:decide(trial(8, "RUNNING", {19.5}, 1), trials))        -- bracket 1 begins at step 3
    assert.equal("prune", (p:decide(trial(8, "RUNNING", {1, 1, 9}, 1), {trial(0, "COMPLETE", {1, 1, 1}, 1)})))
  end)
end)

describe("promotion", function ()
  local p = lurn.pruner.new("promotion", {min_resource = 1, max_resource = 9, reduction_factor = 3})

  it("pauses at rungs and lets the best third go on", function ()
    local trials = {}
    for i, value in ipairs {5, 4, 6, 3, 7, 8} do trials[i] = trial(i - 1, "PAUSED", {value}, 1) end
    assert.is_nil(p:promote {trials[1], trials[2]})
    assert.equal(1, p:promote {trials[1], trials[2], trials[3]})
    assert.equal(3, p:promote(trials))
    trials[4] = trial(3, "RUNNING", {3}, 1)
    assert.equal(1, p:promote(trials))
    trials[2] = trial(1, "PAUSED", {4, 4, 4}, 1)
    assert.is_nil(p:promote(trials))                  -- two of six have gone on
    trials[7], trials[8], trials[9] = trial(6, "PAUSED", {1, 1, 1}, 1), trial(7, "PAUSED", {9, 9, 1.5}, 1), nil
    assert.equal(6, p:promote(trials))                -- the higher rung first: one of three
    trials[7] = trial(6, "RUNNING", {1, 1, 1}, 1)
    assert.is_nil(p:promote(trials))
  end)

  -- The rule as it reads, of all trials anew: rungs at the steps 1, 3 and 9.
  local function next_of_all (trials)
    local steps = {1, 3, 9}
    local function rung_of (t)
      local r = 0
      while steps[r + 1] and #t.reports >= steps[r + 1] do r = r + 1 end
      return r
    end
    for r = 3, 1, -1 do
      local list = {}
      for _, t in ipairs(trials) do
        local report = t.state ~= "FAIL" and t.reports[steps[r]]
        if report and report[2] == report[2] then list[#list + 1] = {report[2], t} end
      end
      table.sort(list, function (a, b) return a[1] < b[1] or a[1] == b[1] and a[2].number < b[2].number end)
      for k = 1, #list // 3 do
        local t = list[k][2]
        if t.state == "PAUSED" and rung_of(t) == r then return t.number end
      end
    end
  end

  it("says of a list that grows what it says of all of it", function ()
    local options = {min_resource = 1, max_resource = 27, reduction_factor = 3}
    local old, trials, on = lurn.pruner.new("promotion", options), lurn.changes.begin {}, {}
    local function u (i) return lurn.rng.uniform(5, "search", "promotion", i) end
    local function put (t)
      trials[t.number + 1] = t
      lurn.changes.note(trials, t.number)
      return t
    end
    local function moved (t, state)
      return put {number = t.number, state = state, reports = {table.unpack(t.reports)}}
    end
    local counts = {}
    for i = 1, 1500 do
      local number = old:promote(trials)
      assert.equal(next_of_all(trials), number)
      if number then on[#on + 1] = moved(trials[number + 1], "RUNNING")
      elseif #on < 4 then on[#on + 1] = put {number = #trials, state = "RUNNING", reports = {}} end
      local k = 1 + (u(3 * i) * #on) // 1
      local t = on[k]
      t = moved(t, "RUNNING")
      on[k], t.reports[#t.reports + 1] = t, {#t.reports + 1, u(3 * i + 1) < 0.02 and nan or (u(3 * i + 1) * 50) // 1}
      local all = {table.unpack(trials)}
      local verdict, why = old:decide(t, trials)
      assert.same({lurn.pruner.new("promotion", options):decide(t, all)}, {verdict, why})
      local over = verdict == "prune" and "PRUNED" or u(3 * i + 2) < 0.01 and "FAIL" or #t.reports == 27 and "COMPLETE"
      if over or verdict then
        moved(table.remove(on, k), over or "PAUSED")
        counts[over or "PAUSED"] = (counts[over or "PAUSED"] or 0) + 1
      end
      counts.more = (counts.more or 0) + (number and 1 or 0)
    end
    assert.is_true(counts.PAUSED > 100 and counts.COMPLETE > 3 and counts.FAIL > 3 and counts.more > 20)
  end)

  it("knows how far a trial may go", function ()
    assert.equal(1, p:budget(trial(0, "WAITING", {}, 1)))
    assert.equal(3, p:budget(trial(0, "RUNNING", {1}, 1)))
    assert.equal(3, p:budget(trial(0, "RUNNING", {1, 1}, 1)))
    assert.is_nil(p:budget(trial(0, "RUNNING", {1, 1, 1}, 1)))
  end)

  it("does not pause who may go on at once", function ()
    local others = {trial(0, "PAUSED", {5}, 1), trial(1, "PAUSED", {6}, 1)}
    assert.equal("pause", (p:decide(trial(2, "RUNNING", {7}, 1), {others[1], others[2], trial(2, "RUNNING", {7}, 1)})))
    assert.is_nil(p:decide(trial(2, "RUNNING", {4}, 1), {others[1], others[2], trial(2, "RUNNING", {4}, 1)}))
    assert.is_nil(p:decide(trial(2, "RUNNING", {7, 7}, 1), others))
    assert.equal("prune", (p:decide(trial(2, "RUNNING", {nan}, 1), others)))
  end)

  -- Losses that get better with the number, as those of a sampler that learns: plain promotion lets nearly all go on.
  local function whole_study (delay)
    local q = lurn.pruner.new("promotion", {max_resource = 9, reduction_factor = 3, delay = delay})
    local trials, reached = {}, {[1] = 0, [3] = 0, [9] = 0}
    local function play (t)
      t.state = "RUNNING"
      repeat
        local step = #t.reports + 1
        t.reports[step] = {step, 100 - t.number + 0.5 * ((t.number * 7) % 5)}
        if step == 9 then t.state = "COMPLETE" elseif q:decide(t, trials) then t.state = "PAUSED" end
        if reached[step] then
          reached[step] = reached[step] + 1
          if delay and step > 1 then assert.is_true(reached[step] <= reached[step // 3] // 3) end
        end
      until t.state ~= "RUNNING"
    end
    repeat
      local number = q:promote(trials)
      if not number and #trials < 60 then
        number = #trials
        trials[number + 1] = trial(number, "RUNNING", {}, 1)
      end
      if number then play(trials[number + 1]) end
    until not number
    return reached
  end

  it("with delay never lets more than one in so many go on", function ()
    local plain = whole_study(false)
    assert.is_true(plain[3] > 40 and plain[9] > 30)
    assert.same({[1] = 60, [3] = 20, [9] = 6}, whole_study(true))
  end)
end)

describe("threshold", function ()
  it("stops outliers", function ()
    local p = lurn.pruner.new("threshold", {lower = 0, upper = 1})
    assert.is_nil(p:decide(trial(0, "RUNNING", {0.5, 1})))
    assert.equal("prune", (p:decide(trial(0, "RUNNING", {0.5, 1.2}))))
    assert.equal("prune", (p:decide(trial(0, "RUNNING", {-0.1}))))
    assert.equal("prune", (p:decide(trial(0, "RUNNING", {nan}))))
    assert.error_matches(function () lurn.pruner.new "threshold" end, "give lower, upper or both")
  end)
end)

describe("patient", function ()
  it("waits for something better", function ()
    local p = lurn.pruner.new("patient", {patience = 1, min_delta = 0.5})
    assert.is_nil(p:decide(trial(0, "RUNNING", {1, 2})))
    assert.equal("prune", (p:decide(trial(0, "RUNNING", {1, 2, 1.6}))))
    assert.is_nil(p:decide(trial(0, "RUNNING", {1, 2, 1.5})))
    assert.is_nil(p:decide(trial(0, "RUNNING", {nan, 2, 2})))
  end)

  it("asks the pruner inside", function ()
    local p = lurn.pruner.new("patient", {patience = 0, pruner = {name = "median", n_startup_trials = 1}})
    local others = {trial(0, "COMPLETE", {1, 1})}
    assert.is_nil(p:decide(trial(9, "RUNNING", {3, 2}), others))
    assert.equal("prune", (p:decide(trial(9, "RUNNING", {2, 3}), others)))
    assert.is_nil(p:decide(trial(9, "RUNNING", {1, 3}), others))
  end)
end)

describe("health", function ()
  local p = lurn.pruner.new("health", {reports = 2})
  local function with (metrics, values)
    local t = trial(0, "RUNNING", values or {1, 1, 1, 1})
    t.metrics = metrics
    return t
  end
  local function list (values)
    local out = {}
    for i, value in ipairs(values) do out[i] = {i, value} end
    return out
  end

  it("lets what is well go on", function ()
    assert.is_nil(p:decide(with({grad_norm = list {1, 2, 1, 900}, ["diag/lstm1.g.saturated"] = list {0.5, 0.99}}), {}))
    assert.is_nil(p:decide(with({}, {1, 0.1, 1.1}), {}))
  end)

  it("stops NaN, explosions and saturation, and says which", function ()
    local function why (...) return select(2, p:decide(with(...), {})) end
    assert.matches("the value is", why({}, {1, nan}))
    assert.matches("the value is inf", why({}, {1, math.huge}))
    assert.matches("the loss has exploded, it is 12", why({}, {1, 11, 12}))
    assert.matches("gradient has exploded, grad_norm is 3000", why {grad_norm = list {1, 2, 1, 2000, 3000}})
    assert.matches("grad_norm is inf", why {grad_norm = list {1, math.huge}})
    assert.matches("saturated, diag/lstm1.g.saturated is 0.99",
      why {["diag/lstm1.g.saturated"] = list {0.5, 0.98, 0.99}})
  end)

  it("asks the pruner inside about the rest", function ()
    local q = lurn.pruner.new("health", {pruner = {name = "promotion", reduction_factor = 2}})
    assert.equal("pause", (q:decide(trial(0, "RUNNING", {1}, 1), {trial(0, "RUNNING", {1}, 1)})))
    assert.equal(1, q:budget(trial(0, "WAITING", {})))
    local plain = lurn.pruner.new("health", {pruner = "promotion"})      -- as the command line has it
    assert.equal("pause", (plain:decide(trial(0, "RUNNING", {1}, 1), {trial(0, "RUNNING", {1}, 1)})))
  end)
end)

describe("a pruner that has seen a list grow", function ()
  for _, name in ipairs {"median", "percentile", "median_mean", "asha", "hyperband", "promotion"} do
    it(("says what a fresh one says: %s"):format(name), function ()
      local old, trials, verdicts = lurn.pruner.new(name), {}, {}
      local function u (i) return lurn.rng.uniform(3, "search", name, i) end
      for i = 1, 400 do
        local t = trials[1 + (u(4 * i) * 6 // 1) + math.max(0, #trials - 5)]
        if not t or t.state ~= "RUNNING" then
          t = trial(#trials, "RUNNING", {})
          trials[#trials + 1] = t
        end
        t.reports[#t.reports + 1] = {#t.reports + 1, u(4 * i + 1)}
        local verdict, why = old:decide(t, trials)
        assert.same({lurn.pruner.new(name):decide(t, trials)}, {verdict, why})
        verdicts[verdict or "go"] = true
        if verdict then t.state = verdict == "pause" and "PAUSED" or "PRUNED"
        elseif #t.reports == 9 then t.state, t.ended, t.value = "COMPLETE", i + 0.0, t.reports[9][2] end
      end
      assert.is_true(verdicts.go and (verdicts.prune or verdicts.pause))
    end)
  end
end)
