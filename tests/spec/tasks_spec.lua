-- Synthetic tasks: what was drawn against definitions written down once more here, baselines against the data, and the
-- scripts that play them.

local lurn = require "lurn"
local tasks = lurn.tasks
local shell = require "shell_helper"
local when_built = shell.ready and it or pending
local when_probed = lurn.plot and when_built or pending     -- the module shows gradients by lag

local function sequences (data)
  local list = {}
  for i = 1, #data.set do
    local s = data.set:sequence(i)
    list[i] = {x = s.x:totable(), y = s.y and s.y:reshape(s.y:numel()):totable()}
  end
  return list
end

-- Plain assert where it is called for every step: busted's takes a thousand times as long.
local function near (want, got, tolerance, what)
  assert(math.abs(want - got) <= tolerance, ("%s: expected %g +- %g, got %g"):format(what, want, tolerance, got))
end

-- Mean squared error of always answering the mean, and how far from its expectation it may lie: five standard errors.
local function spread (list)
  local n, mean, m2, m4 = #list, 0, 0, 0
  for _, s in ipairs(list) do mean = mean + s.y[1] / n end
  for _, s in ipairs(list) do
    local d = (s.y[1] - mean)^2
    m2, m4 = m2 + d / n, m4 + d * d / n
  end
  return m2, 5 * math.sqrt((m4 - m2^2) / n)
end

describe("adding", function ()
  local function marks (x)
    local at, sum = {}, 0
    for t, pair in ipairs(x) do
      if pair[2] == 1 then at[#at + 1], sum = t, sum + pair[1] end
    end
    return at, sum
  end

  it("asks for the sum of the marked numbers, one in each half", function ()
    local data = tasks.adding {T = 21, n = 3000, variant = "arjovsky"}
    local list = sequences(data)
    for _, s in ipairs(list) do
      local at, sum = marks(s.x)
      assert(#s.x == 21 and #at == 2 and at[1] <= 10 and at[2] > 10, "marks")
      near(sum, s.y[1], 1e-6, "sum")
      for t, pair in ipairs(s.x) do
        assert(pair[1] >= 0 and pair[1] < 1, "value")
        assert(pair[2] == 0 or t == at[1] or t == at[2], "marker")
      end
    end
    assert.equal(1 / 6, data.baseline)
    local got, tolerance = spread(list)
    near(data.baseline, got, tolerance, "baseline")
  end)

  it("has the marks anywhere in the definition of 2018", function ()
    local data = tasks.adding {T = 7, n = 3000, variant = "tcn"}
    local pairs_seen, kinds, list = {}, 0, sequences(data)
    for _, s in ipairs(list) do
      local at, sum = marks(s.x)
      near(sum, s.y[1], 1e-6, "sum")
      local key = at[1] .. " " .. at[2]
      if not pairs_seen[key] then pairs_seen[key], kinds = true, kinds + 1 end
    end
    assert.equal(7 * 6 // 2, kinds)
    local got, tolerance = spread(list)
    near(1 / 6, data.baseline, 0, "baseline")
    near(data.baseline, got, tolerance, "baseline")
  end)

  it("is scaled, ragged and fenced by -1 in the definition of 1997", function ()
    local T = 40
    local data = tasks.adding {T = T, n = 6000, variant = "hs97"}
    local list, lengths, lost = sequences(data), {}, 0
    for _, s in ipairs(list) do
      local at, sum = marks(s.x)
      lengths[#s.x] = true
      assert(#s.x >= T and #s.x <= T + T // 10, "length")
      assert(s.x[1][2] == -1 and s.x[#s.x][2] == -1, "fence")
      near(0.5 + sum / 4, s.y[1], 1e-6, "target")
      if #at == 1 then                       -- the other mark fell on the first pair
        lost = lost + 1
        assert(s.x[1][1] == 0, "value of the first pair")
      else
        assert(#at == 2 and at[1] <= 10, "marks")
      end
      assert(at[#at] <= T // 2, "marks")
    end
    for length = T, T + T // 10 do assert.is_true(lengths[length], length) end
    -- The first of ten (1 / 10), or one of T / 2 - 1 others after it was not.
    local p = 1 / 10 + 9 / 10 / (T // 2 - 1)
    near(p, lost / #list, 5 * math.sqrt(p * (1 - p) / #list), "pairs that fall on the first")
    local got, tolerance = spread(list)
    near(data.baseline, got, tolerance, "baseline")
    assert.error_matches(function () tasks.adding {T = 19, variant = "hs97"} end, "T from 20, got 19")
  end)
end)

describe("copy memory", function ()
  it("is ids with a delimiter in the definition of 2016", function ()
    local data = tasks.copy {T = 6, n = 50, length = 3, symbols = 4}
    for _, s in ipairs(sequences(data)) do
      local a, b, c = table.unpack(s.x)
      assert.is_true(math.max(a, b, c) <= 4)
      assert.same({a, b, c, 5, 5, 5, 5, 5, 6, 5, 5, 5}, s.x)
      assert.same({5, 5, 5, 5, 5, 5, 5, 5, 5, a, b, c}, s.y)
    end
    near(3 * math.log(4) / 12, data.baseline, 1e-15, "baseline")
    near(10 * math.log(8) / 120, tasks.copy({n = 1, valid = 0, test = 0}).baseline, 1e-15, "the usual baseline")
  end)

  it("is digits with a nine that stays on in the definition of 2018", function ()
    local data = tasks.copy {T = 6, n = 50, length = 3, variant = "tcn"}
    for _, s in ipairs(sequences(data)) do
      local a, b, c = s.x[1][1], s.x[2][1], s.x[3][1]
      local x = {}
      for t, row in ipairs(s.x) do x[t] = row[1] end
      assert.same({a, b, c, 0.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0}, x)
      assert.same({1, 1, 1, 1, 1, 1, 1, 1, 1, a + 1, b + 1, c + 1}, s.y)
      assert.is_true(math.min(a, b, c) >= 1 and math.max(a, b, c) <= 8)
    end
    assert.same({"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, data.set.classes)
  end)

  it("is one of two symbols around a fixed series in the definition of 1997", function ()
    local data = tasks.copy {T = 5, n = 50, variant = "hs97"}
    local seen = {}
    for _, s in ipairs(sequences(data)) do
      seen[s.x[1]] = true
      assert.same({s.x[1], 1, 2, 3, 4, s.x[1]}, s.x)
    end
    assert.same({[5] = true, [6] = true}, seen)
    near(math.log(2) / 5, data.baseline, 1e-15, "baseline")
  end)
end)

describe("temporal order", function ()
  -- {first, last} place of each letter that counts, for T = 100 (HS97).
  for variant, places in pairs {["6a"] = {{10, 20}, {50, 60}}, ["6b"] = {{10, 20}, {33, 43}, {66, 76}}} do
    it(variant .. " asks for the order of X and Y", function ()
      local data = tasks.temporal_order {T = 100, n = 1500, valid = 0, test = 0, variant = variant}
      local counts, list = {}, sequences(data)
      for _, s in ipairs(list) do
        local word, k = "", 0
        assert(#s.x >= 100 and #s.x <= 110, "length")
        for t, id in ipairs(s.x) do
          local letter = data.vocab[id]
          assert((t == 1) == (letter == "E"), "start")
          assert((t == #s.x) == (letter == "B"), "trigger")
          if letter == "X" or letter == "Y" then
            word, k = word .. letter, k + 1
            assert(t >= places[k][1] and t <= places[k][2], "place")
          end
        end
        assert(k == #places and word == data.set.classes[s.y[1]], "class")
        counts[word] = (counts[word] or 0) + 1
      end
      local nats = 0
      for _, n in pairs(counts) do nats = nats - n / #list * math.log(n / #list) end
      near(math.log(2^#places), data.baseline, 1e-15, "baseline")
      -- What the entropy of N draws falls short by is chi-squared with C - 1 degrees of freedom, over 2 N.
      local free = 2^#places - 1
      near(data.baseline, nats, (free + 5 * math.sqrt(2 * free)) / (2 * #list), "entropy of the classes")
    end)
  end
end)

describe("the embedded Reber grammar", function ()
  -- The inner automaton by state and letter; "end" is where E follows.
  local automaton = {
    start = {T = "a", P = "b"}, a = {S = "a", X = "c"}, b = {T = "b", V = "d"},
    c = {X = "b", S = "end"}, d = {P = "c", V = "end"}, ["end"] = {E = "over"},
  }

  -- What may follow after each letter, or nil where the string is not of the grammar.
  local function parse (text)
    local outer, inner = text:match "^B([TP])B(%u+)[TP]E$"
    if not outer or text:sub(-2, -2) ~= outer then return nil end
    local state, next_letters = "start", {"PT", "B"}
    for letter in inner:gmatch "." do
      local letters = {}
      for l in pairs(automaton[state] or {}) do letters[#letters + 1] = l end
      table.sort(letters)
      next_letters[#next_letters + 1] = table.concat(letters)
      state = (automaton[state] or {})[letter]
    end
    if state ~= "over" then return nil end
    next_letters[#next_letters + 1] = outer
    next_letters[#next_letters + 1] = "E"
    return next_letters
  end

  local data = tasks.reber {n = 3000, test = 100}

  it("is read by an automaton", function ()
    assert.is_nil(parse "BTBTXSEPE")
    assert.is_nil(parse "BTBTXXSETE")
    local outer = {}
    for _, s in ipairs(sequences(data)) do
      local text = data:decode(s.x)
      local want, got = assert(parse(text), text), {}
      for t, ids in ipairs(tasks.reber_next(s.x)) do
        local letters = {}
        for i, id in ipairs(ids) do letters[i] = data.vocab[id] end
        table.sort(letters)
        got[t] = table.concat(letters)
      end
      assert.same(want, got, text)
      outer[text:sub(2, 2)] = true
    end
    assert.same({T = true, P = true}, outer)
    assert.is_nil(data.valid)
  end)

  it("has the baseline that knowing the grammar gives", function ()
    local list, choices, letters = {}, 0, 0
    for i, s in ipairs(sequences(data)) do
      list[i] = {0, 0}
      for _, ids in ipairs(tasks.reber_next(s.x)) do
        list[i] = {list[i][1] + math.log(#ids), list[i][2] + 1}
      end
      choices, letters = choices + list[i][1], letters + list[i][2]
    end
    -- The standard error of a ratio of sums.
    local squares = 0
    for _, c in ipairs(list) do squares = squares + (c[1] - choices / letters * c[2])^2 end
    local tolerance = 5 * math.sqrt(squares) / letters
    near(data.floor, choices / letters, tolerance, "floor")
    near(data.baseline - data.floor, #list * math.log(2) / letters, tolerance, "the second letter")
  end)
end)

describe("parity", function ()
  it("counts ones", function ()
    for _, variant in ipairs {"step", "last"} do
      local data = tasks.parity {T = 9, shortest = 4, n = 300, variant = variant}
      local odd, n = 0, 0
      for _, s in ipairs(sequences(data)) do
        local ones = 0
        assert(#s.x >= 4 and #s.x <= 9, "length")
        for t, id in ipairs(s.x) do
          ones = ones + (data.vocab[id] == "1" and 1 or 0)
          if variant == "step" or t == #s.x then
            local y = s.y[variant == "step" and t or 1]
            assert((ones % 2 == 1 and "odd" or "even") == data.set.classes[y], "parity")
            odd, n = odd + y - 1, n + 1
          end
        end
      end
      near(0.5, odd / n, 5 * math.sqrt(0.25 / n), "share of odd")
      near(math.log(2), data.baseline, 0, "baseline")
    end
    assert.error_matches(function () tasks.parity {T = 3, shortest = 4} end, "longer than T")
  end)
end)

describe("every task", function ()
  local small = {
    adding = {T = 20}, copy = {T = 5}, temporal_order = {T = 20}, reber = {}, parity = {T = 5},
  }
  local variants = {adding = {"hs97", "arjovsky", "tcn"}, copy = {"hs97", "arjovsky", "tcn"},
    temporal_order = {"6a", "6b"}, parity = {"step", "last"}, reber = {}}

  local function make (name, options)
    local o = {n = 5, valid = 3, test = 2}
    for k, v in pairs(small[name]) do o[k] = v end
    for k, v in pairs(options) do o[k] = v end
    return tasks[name](o)
  end

  for name in pairs(small) do
    it(name .. " is a function of the seed, whatever the number of sequences", function ()
      for _, variant in ipairs(variants[name][1] and variants[name] or {false}) do
        local o = {variant = variant or nil}
        local data = make(name, o)
        assert.equal(data.hash, make(name, o).hash)
        o.seed = 2
        assert.not_equal(data.hash, make(name, o).hash)
        o.seed, o.n, o.valid, o.test = 1, 10, 0, 0
        assert.same(sequences(data), sequences(make(name, o)))
        assert.same({train = {{1, 5}}, valid = {{6, 8}}, test = {{9, 10}}}, data.set.splits)
        assert.is_true(data.baseline > 0 and type(data.guess) == "string")
      end
      assert.error_matches(function () make(name, {sed = 1}) end, "did you mean 'seed'")
    end)
  end
end)

describe("the demonstrations", function ()
  setup(shell.open)
  teardown(shell.close)

  local script = shell.here .. "/scripts/%s.lua"

  -- Runs a script; the loss it prints beside its baseline, which has to be the one given.
  local function play (name, arguments, baseline)
    local code, out, err = shell.lurn(("run %s --quiet %s"):format(script:format(name), arguments))
    assert.equal(0, code, err)
    assert.truthy(out:find((" %.4f"):format(baseline), 1, true), out)
    return out
  end

  when_built("print their baselines", function ()
    play("adding", "--T 20 --n 64 --hidden 4 --steps 4", 1 / 6)
    play("adding", "--T 20 --n 64 --hidden 4 --steps 4 --cell irnn --variant hs97", (1.9 - 0.1) / 48)
    play("copy", "--T 5 --n 64 --hidden 4 --steps 4", 10 * math.log(8) / 25)
    play("copy", "--T 5 --n 64 --hidden 4 --steps 4 --variant tcn --cell rnn", 10 * math.log(8) / 25)
    play("temporal_order", "--T 20 --n 64 --hidden 4 --steps 4 --variant 6b --cell gru", math.log(8))
    play("reber", "--hidden 4 --steps 4", 8 * math.log(2) / 11)
    play("parity", "--T 5 --n 64 --hidden 4 --steps 4 --variant last", math.log(2))
  end)

  when_probed("show how far back the gradient reaches", function ()
    local out = play("adding", "--T 20 --n 64 --hidden 4 --steps 4 --cell rnn --lags true", 1 / 6)
    for _, when in ipairs {"before", "after"} do
      local plot = out:match(("k steps before the end, %s training\n(.-lag 19 [^\n]*)"):format(when))
      local norms = {}
      for lag, norm in plot:gmatch "lag (%d+) +(%S+)" do norms[#norms + 1], norms[lag] = tonumber(norm), true end
      assert.equal(11, #norms)
      assert.is_true(norms["0"] and norms["19"])
      assert.is_true(norms[11] < norms[1])
    end
  end)

  when_built("solve what is solved in seconds", function ()
    local out = play("reber", "", 8 * math.log(2) / 11)
    local wrong, sequences_seen = out:match "(%d+) of 256 test strings wrong after (%d+) sequences"
    assert.equal("0", wrong)
    assert.is_true(tonumber(sequences_seen) < 8440)
    out = play("parity", "--T 20 --n 5000", math.log(2))
    assert.matches("T = 20 +0%.00%d%d nats, accuracy 1%.0000", out)
    assert.matches("T = 200 +0%.00%d%d nats, accuracy 1%.0000", out)
  end)
end)
