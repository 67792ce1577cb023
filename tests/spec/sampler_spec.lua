-- Samplers: draws that depend on nothing but (seed, number, name); grids that have every cell once.
local lurn = require "lurn"

local SPACE = {
  {name = "cell", kind = "choice", choice = {"rnn", "lstm", "gru"}, default = "lstm"},
  {name = "hidden", kind = "int", low = 8, high = 64, log = true, default = 16},
  {name = "lr", kind = "float", low = 1e-4, high = 1e-1, log = true, default = 1e-2},
}

describe("every sampler", function ()
  it("begins with the defaults, unless it may not", function ()
    assert.same({cell = "lstm", hidden = 16, lr = 1e-2}, (lurn.sampler.new("random", SPACE):suggest(0)))
    assert.not_same({cell = "lstm", hidden = 16, lr = 1e-2},
      (lurn.sampler.new("random", SPACE, {defaults = false}):suggest(0)))
  end)

  it("says what it does not know", function ()
    assert.error_matches(function () lurn.sampler.new("randm", SPACE) end,
      "unknown sampler 'randm', did you mean 'random'?", 1, true)
    assert.error_matches(function () lurn.sampler.new("random", SPACE, {points = 3}) end, "unknown option 'points'")
  end)
end)

describe("random", function ()
  it("is a function of seed, number and name", function ()
    local a, b = lurn.sampler.new("random", SPACE, {seed = 7}), lurn.sampler.new("random", SPACE, {seed = 7})
    for number = 20, 1, -1 do b:suggest(number) end
    local wider = {table.unpack(SPACE)}
    wider[4] = {name = "clip", kind = "float", low = 0, high = 1}
    local c, d = lurn.sampler.new("random", wider, {seed = 7}), lurn.sampler.new("random", SPACE, {seed = 8})
    local differ = 0
    for number = 1, 20 do
      local p, q = a:suggest(number), c:suggest(number)
      assert.same(p, (b:suggest(number)))
      q.clip = nil
      assert.same(p, q)
      differ = differ + (p.lr ~= d:suggest(number).lr and 1 or 0)
      assert.is_true(a:replay(number, p))
    end
    assert.equal(20, differ)
    local ok, message = a:replay(3, a:suggest(4))
    assert.is_false(ok)
    assert.matches("configuration 3: parameter '%w+' is", message)
  end)

  it("covers its space evenly", function ()
    local s, n, count, sum = lurn.sampler.new("random", SPACE, {defaults = false}), 3000, {}, 0
    for number = 0, n - 1 do
      local p = s:suggest(number)
      count[p.cell] = (count[p.cell] or 0) + 1
      sum = sum + math.log(p.lr / 1e-4, 10) / 3
      assert.is_true(p.hidden >= 8 and p.hidden <= 64 and p.lr >= 1e-4 and p.lr <= 1e-1)
    end
    assert.near(0.5, sum / n, 4 * math.sqrt(1 / 12 / n))
    for _, cell in ipairs(SPACE[1].choice) do assert.near(1 / 3, count[cell] / n, 4 * math.sqrt(2 / 9 / n)) end
  end)

  it("leaves out what means nothing", function ()
    local s = lurn.sampler.new("random", SPACE, {active = function (p) return {cell = true, lr = p.cell ~= "rnn"} end})
    for number = 1, 30 do
      local p = s:suggest(number)
      assert.is_nil(p.hidden)
      assert.equal(p.cell == "rnn", p.lr == nil)
    end
  end)
end)

describe("a grid", function ()
  local function all (s)
    local seen, n, order = {}, 0, {}
    while true do
      local p = s:suggest(n)
      if not p then return n, seen, order end
      local key = ("%s/%s/%s"):format(p.cell, p.hidden, p.lr)
      seen[key], order[n + 1], n = (seen[key] or 0) + 1, key, n + 1
    end
  end

  it("has every cell once, in random order", function ()
    local s = lurn.sampler.new("grid", SPACE, {points = 4})
    local n, seen, order = all(s)
    assert.equal(3 * 4 * 4, n)
    assert.equal(n, s.size)
    for _, times in pairs(seen) do assert.equal(1, times) end
    local _, _, plain = all(lurn.sampler.new("grid", SPACE, {points = 4, shuffle = false}))
    assert.not_same(plain, order)
    table.sort(plain)
    table.sort(order)
    assert.same(plain, order)
    assert.same({1e-4, 1e-3, 1e-2, 1e-1}, lurn.space.values({kind = "float", low = 1e-4, high = 1e-1, log = true}, 4))
  end)

  it("has no cell twice where a parameter means nothing", function ()
    local s = lurn.sampler.new("grid", SPACE, {points = 4,
      active = function (p) return {cell = true, hidden = true, lr = p.cell ~= "rnn"} end})
    local n, seen = all(s)
    assert.equal(4 + 2 * 4 * 4, n)
    for _, times in pairs(seen) do assert.equal(1, times) end
  end)

  it("has every cell, whatever was enqueued between", function ()
    local s, trials, seen, n = lurn.sampler.new("grid", SPACE, {points = 4}), {}, {}, 0
    for number = 0, s.size + 3 do
      local enqueued = number < 2 or number == 7 or number == 20
      local params = enqueued and {} or s:suggest(number, trials)
      if not enqueued then seen[("%s/%s/%s"):format(params.cell, params.hidden, params.lr)] = true end
      trials[#trials + 1] = {number = number, config = number, params = params, attrs = {enqueued = enqueued or nil}}
    end
    for _ in pairs(seen) do n = n + 1 end
    assert.equal(s.size, n)
    assert.is_nil(s:suggest(#trials, trials))
    assert.is_true(s:replay(30, trials[31].params, nil, table.move(trials, 1, #trials, 1, {})))
  end)

  it("wants to know how many points a continuous range has", function ()
    assert.error_matches(function () lurn.sampler.new("grid", SPACE) end,
      "grid: parameter 'lr': is continuous: a grid needs a step, a list or a number of points (grid:points=5)", 1, true)
  end)

  it("does not want it of a range that means nothing in any cell", function ()
    local space = {SPACE[1], {name = "lr", kind = "float", low = 0, high = 1},
      {name = "hidden", kind = "int", low = 1, high = 2}}
    local function grid_where (cell)
      return lurn.sampler.new("grid", space,
        {active = function (p) return {cell = true, hidden = true, lr = p.cell == cell} end})
    end
    local n, seen = all(grid_where "none")
    assert.equal(6, n)
    for key, times in pairs(seen) do assert.is_truthy(times == 1 and key:find "/nil$") end
    assert.error_matches(function () grid_where "gru" end, "grid: parameter 'lr': is continuous", 1, true)
  end)
end)

describe("sobol", function ()
  local word = lurn.sampler.kinds.sobol.word
  local folder = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$" or "../"
  local file = assert(io.open(folder .. "fixtures/optuna.json"))
  local known = assert(lurn.json.decode(file:read "a")).sobol
  file:close()

  local function unit (n)
    local space = {}
    for i = 1, n do space[i] = {name = ("x%03d"):format(i), kind = "float", low = 0, high = 1} end
    return space
  end

  it("is the sequence of Joe and Kuo, as SciPy has it", function ()
    local s = lurn.sampler.new("sobol", unit(5), {scramble = false, defaults = false})
    for n, want in ipairs(known.first) do
      local p = s:suggest(n - 1)
      for i = 1, 5 do assert.equal(want[i], p[("x%03d"):format(i)]) end
    end
    for n, want in pairs(known.rows) do
      for i = 1, 64 do assert.equal(want[i], word(math.tointeger(n), i) / 2^32) end
    end
  end)

  it("scrambled, has a point in each of 2^m intervals, of squares too", function ()
    local s = lurn.sampler.new("sobol", unit(128), {seed = 5, defaults = false})
    local cells, squares, sum = {}, {}, 0
    for n = 0, 63 do
      local p = s:suggest(n)
      for name, x in pairs(p) do
        local cell = name .. math.floor(x * 64)
        assert.is_nil(cells[cell])
        cells[cell] = true
      end
      local square = ("%d %d"):format(p.x001 * 8 // 1, p.x002 * 8 // 1)
      assert.is_nil(squares[square])
      squares[square], sum = true, sum + p.x003 * p.x004
    end
    assert.near(0.25, sum / 64, 0.02)
    assert.not_same(s:suggest(0), (lurn.sampler.new("sobol", unit(128), {seed = 6, defaults = false}):suggest(0)))
    assert.error_matches(function () lurn.sampler.new("sobol", unit(129)) end, "at most 128 parameters, got 129")
  end)

  it("gives the same points in any order", function ()
    local s, t = lurn.sampler.new("sobol", SPACE, {seed = 2}), lurn.sampler.new("sobol", SPACE, {seed = 2})
    for n = 20, 0, -1 do t:suggest(n) end
    for n = 0, 20 do assert.same((s:suggest(n)), (t:suggest(n))) end
  end)
end)

describe("tpe", function ()
  -- Plays a study on one worker, with `open` trials still running while the next is proposed.
  local function study (space, loss, count, options, open)
    local s, trials = lurn.sampler.new("tpe", space, options), {}
    for number = 0, count - 1 do
      local p, note = s:suggest(number, trials)
      trials[number + 1] = {number = number, config = number, seed = 1, state = "RUNNING", params = p, note = note}
      local done = trials[number + 1 - (open or 0)]
      if done then done.state, done.value = "COMPLETE", loss(done.params) end
    end
    return trials, s
  end

  local function loss (p)
    return (math.log(p.lr, 10) + 2)^2 + (p.cell == "gru" and 0 or 0.3) + math.abs(p.hidden - 32) / 64
  end

  it("finds the minimum better than random draws do", function ()
    local function best (trials)
      local least = math.huge
      for _, trial in ipairs(trials) do least = math.min(least, trial.value or math.huge) end
      return least
    end
    local won = 0
    for seed = 1, 10 do
      local mine, least = study(SPACE, loss, 60, {seed = seed, defaults = false}), math.huge
      local random = lurn.sampler.new("random", SPACE, {seed = seed, defaults = false})
      for number = 0, 59 do least = math.min(least, loss(random:suggest(number))) end
      won = won + (best(mine) < least and 1 or 0)
    end
    assert.is_true(won >= 8, won .. " of 10")
  end)

  it("repeats every proposal from what it noted, whatever became of the trials since", function ()
    local trials, s = study(SPACE, loss, 40, {seed = 4}, 3)
    assert.equal("30 r27-29", trials[31].note.seen)
    local fresh = lurn.sampler.new("tpe", SPACE, {seed = 4})
    for i = #trials, 1, -1 do
      local trial = trials[i]
      assert.is_true(s:replay(trial.number, trial.params, trial.note, trials))
      assert.is_true(fresh:replay(trial.number, trial.params, trial.note, trials))
    end
    local ok, message = s:replay(30, trials[31].params, {seen = "30 r26-29"}, trials)
    assert.is_false(ok)
    assert.matches("configuration 30: parameter", message)
  end)

  it("keeps what it made of a trial when another table stands for it", function ()
    local trials, s = study(SPACE, loss, 40, {seed = 4}, 3)
    for _ = 1, 5 do
      for i, trial in ipairs(trials) do trials[i] = lurn.store_state.copy(trial) end
      s:suggest(40, trials)
    end
    for _, pair in pairs(s.pairs_of) do
      for _, mixture in pairs {pair.below, pair.above} do
        for _, place in pairs(mixture.places) do assert.is_true(place <= #trials) end
      end
    end
    trials[3] = lurn.store_state.copy(trials[3])
    trials[3].params.lr = 0.05      -- of other parameters it makes something else
    assert.same((lurn.sampler.new("tpe", SPACE, {seed = 4}):suggest(40, trials)), (s:suggest(40, trials)))
  end)

  it("says in few words what it saw", function ()
    local function t (number, state, step) return {number = number, state = state, reports = step and {{step, 1.0}}} end
    local s = lurn.sampler.new("tpe", SPACE)
    assert.equal("0", (s:seen {}))
    local list = {t(0, "COMPLETE"), t(1, "FAIL"), t(2, "RUNNING"), t(3, "WAITING"), t(4, "RUNNING"), t(7, "RUNNING"),
      t(8, "PAUSED", 30)}
    assert.equal("9 r2-4,7 s8:30", (s:seen(list)))
    -- As studies say it that were made before: of those that were not there yet, too.
    local got = {}
    table.insert(list, 6, t(5, "COMPLETE"))
    for i, trial in ipairs(s:recall({seen = "9 r2-3,7 a5-6 s4:10 s8:20"}, list)) do
      got[i] = trial.number .. trial.state
    end
    assert.equal("0COMPLETE 1FAIL 2RUNNING 3RUNNING 4PAUSED 7RUNNING 8PAUSED", table.concat(got, " "))
  end)

  -- Trials rest, go on, rest again and end; what proposals saw, and their notes.
  local function resting (count, see)
    local trials, seen = lurn.changes.begin {}, {}
    local function put (trial)
      trials[trial.number + 1] = trial
      lurn.changes.note(trials, trial.number)
    end
    local function u (what, i) return lurn.rng.uniform(3, "search", what, i + 1) end
    for number = 0, count - 1 do
      local text, params = see(number, trials)
      local was = {}
      for i, trial in ipairs(trials) do was[i] = trial.state .. (trial.state == "PAUSED" and #trial.reports or "") end
      seen[number + 1] = was
      put {number = number, config = number, state = "RUNNING", params = params or {}, reports = {},
        note = {seen = text}}
      for k = 1, 3 do
        local t = lurn.store_state.copy(trials[1 + (u("who" .. k, number)^0.5 * #trials) // 1])
        if t.state == "PAUSED" then t.state = k < 3 and "RUNNING" or t.state
        elseif t.state == "RUNNING" then
          t.state, t.reports[#t.reports + 1] = #t.reports < 3 and "PAUSED" or "PRUNED", {#t.reports + 1, 1.0}
        end
        put(t)
      end
    end
    return trials, seen
  end

  it("says of many that are paused what changed since an earlier note", function ()
    local agents = {[0] = lurn.sampler.new("tpe", SPACE), lurn.sampler.new("tpe", SPACE)}
    local trials, seen = resting(1100, function (number, list)
      local _, text = agents[number % 3 // 2]:survey(list, number)
      return text
    end)
    local longest, whole, fresh = 0, 0, lurn.sampler.new("tpe", SPACE)
    for _, order in ipairs {{1, #trials, 13}, {#trials, 1, -53}} do
      for k = order[1], order[2], order[3] do
        local got = {}
        for i, trial in ipairs(fresh:recall(trials[k].note, trials)) do
          got[i] = trial.state .. (trial.state == "PAUSED" and #trial.reports or "")
        end
        assert.same(seen[k], got)
      end
    end
    for _, trial in ipairs(trials) do
      local said = trial.note.seen:gsub(" r%S+", "")
      if said:find " b" then longest = math.max(longest, #said) else whole = whole + 1 end
    end
    assert.is_true(longest < 60 and whole < 20, ("%d bytes, %d whole"):format(longest, whole))
    assert.is_true(lurn.store_state.count(trials).PAUSED > 200)
    trials[1100].note.seen = trials[1100].note.seen:gsub("b%d+", "b1099")
    assert.error_matches(function () fresh:recall(trials[1100].note, trials) end, "in a circle")
    trials[1050].note = nil
    assert.error_matches(function () fresh:recall(trials[1090].note, trials) end, "the note of trial 1049, which")
  end)

  it("repeats every proposal where trials rest and go on", function ()
    local s, fresh = lurn.sampler.new("tpe", SPACE), lurn.sampler.new("tpe", SPACE)
    local trials = resting(70, function (number, list)
      local params, note = s:suggest(number, list)
      return note and note.seen, params
    end)
    for k = #trials, 1, -1 do
      assert.is_true(fresh:replay(k - 1, trials[k].params, trials[k].note, trials))
    end
    assert.is_truthy(trials[70].note.seen:find " b68 ")
    assert.is_true(lurn.store_state.count(trials).PRUNED > 0)
  end)

  it("repeats proposals within the brackets of hyperband, and does not speak of the others", function ()
    local function bracket () return lurn.pruner.new("hyperband", {study = "s", max_resource = 27}) end
    local s, pruner, trials = lurn.sampler.new("tpe", SPACE, {n_startup_trials = 4}), bracket(), {}
    for number = 0, 59 do
      local p, note = s:suggest(number, pruner:peers(number, trials))
      trials[number + 1] = {number = number, config = number, seed = 1, state = "COMPLETE", params = p, note = note,
        value = loss(p)}
    end
    local fresh, again, longest = lurn.sampler.new("tpe", SPACE, {n_startup_trials = 4}), bracket(), 0
    for k = 2, 60 do
      local trial, peers = trials[k], again:peers(k - 1, trials)
      assert.is_true(fresh:replay(k - 1, trial.params, trial.note, peers))
      longest = math.max(longest, #trial.note.seen)
      -- As a study says it that was made before.
      local there, words = {}, {trial.note.seen}
      for _, t in ipairs(peers) do there[t.number] = true end
      for n = 0, k - 2 do if not there[n] then words[#words + 1] = "a" .. n end end
      assert.is_true(fresh:replay(k - 1, trial.params, {seen = table.concat(words, " ")}, peers))
    end
    assert.is_true(longest <= 2)
  end)

  it("draws conditional parameters from those trials that have them", function ()
    local space = {
      {name = "deep", kind = "choice", choice = {false, true}},
      {name = "drop", kind = "float", low = 0, high = 1},
      {name = "x", kind = "float", low = 0, high = 1},
    }
    local active = function (p) return {deep = true, x = true, drop = p.deep} end
    local function cost (p) return (p.x - 0.5)^2 + (p.deep and (p.drop - 0.8)^2 or 0.2) end
    for _, group in ipairs {true, false} do
      local trials, s = study(space, cost, 80, {seed = 2, active = active, group = group})
      local deep, near = 0, 0
      for i = 41, 80 do
        local p = trials[i].params
        deep = deep + (p.deep and 1 or 0)
        near = near + (p.deep and math.abs(p.drop - 0.8) < 0.25 and 1 or 0)
        assert.equal(p.deep, p.drop ~= nil)
        assert.is_true(s:replay(i - 1, p, trials[i].note, trials))
      end
      assert.is_true(deep >= 24 and near >= 0.6 * deep, ("group %s: %d deep, %d near"):format(group, deep, near))
    end
  end)

  it("takes the mean over seeds as a configuration's value", function ()
    local s = lurn.sampler.new("tpe", SPACE)
    local function t (number, config, seed, state, value)
      return {number = number, config = config, seed = seed, state = state, value = value, params = {}}
    end
    local list = s:configurations {t(0, 0, 1, "COMPLETE", 1), t(1, 1, 1, "COMPLETE", 5), t(2, 0, 2, "COMPLETE", 3),
      t(3, 1, 2, "RUNNING"), t(4, 2, 1, "RUNNING"), t(5, 3, 1, "FAIL"), t(6, 2, 2, "PRUNED")}
    local got = {}
    for i, c in ipairs(list) do got[i] = {c.number, c.state, c.value} end
    assert.same({{0, "COMPLETE", 2}, {1, "COMPLETE", 5}, {2, "PRUNED"}}, got)
  end)
end)
