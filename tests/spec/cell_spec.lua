-- Cells written in Lua: the same program and the same bits as the built-in ones, and one clear message for
-- each mistake.
local lurn = require "lurn"
local bits = require "bits_helper"

local D, H = 3, 5

---------------------------------------------------------------------- the built-in cells, written again

local function written (l)
  local function affine (c, x, s) return function (g) return c:linear(g, {x, s.h}) end end

  local function gru (reset_after)
    return l.cell {name = "gru", step = function (c, x, s)
      local a = affine(c, x, s)
      local r, z = l.sigmoid(a "r"), l.sigmoid(a "z")
      local n
      if reset_after then n = c:linear("n", {x}) + r * c:linear("n", {s.h}, {bias = "bh"})
      else n = c:linear("n", {x, {r * s.h, "Wh"}}) end
      return (1 - z) * l.tanh(n) + z * s.h
    end}
  end

  local lstm = l.cell {name = "lstm", state = {"h", "c"}, forget_bias = {f = 1},
    step = function (c, x, s)
      local a = affine(c, x, s)
      local cell = l.sigmoid(a "f") * s.c + l.sigmoid(a "i") * l.tanh(a "g")
      return {h = l.sigmoid(a "o") * l.tanh(cell), c = cell}
    end}

  -- The same in another order of writing, with a name for every part and what nobody needs.
  local wordy = l.cell {name = "lstm", state = {"h", "c"}, forget_bias = {f = 1},
    step = function (c, x, s)
      local out = c:linear("o", {x, s.h}):sigmoid()
      local new = l.tanh(c:linear("g", {x, s.h}))
      local input, again = l.sigmoid(c:linear("i", {x, s.h})), l.sigmoid(c:linear("i", {x, s.h}))
      local _ = l.exp(again) + 3
      local keep = s.c * l.sigmoid(c:linear("f", {x, s.h}))
      local state = new * again + keep
      local _ = input
      return {c = state, h = state:tanh() * out}
    end}

  return {
    rnn = l.cell {name = "rnn", step = function (c, x, s) return l.tanh(c:linear(nil, {x, s.h})) end},
    lstm = lstm, wordy = wordy, gru = gru(true), gru_before = gru(false),
  }
end

local function built_in (l)
  return {
    rnn = l.rnn, lstm = l.lstm, wordy = l.lstm, gru = l.gru,
    gru_before = function (o) o.reset_after = false; return l.gru(o) end,
  }
end

local function model_of (l, make)
  local function layer () return make {hidden = H} end
  return l.stack {input = {dim = D}, layer(), layer(), l.linear {size = 2}, loss = l.loss.mse()}
end

local function data (l, seed)
  local x, y = {}, {}
  for t = 1, 7 do
    x[t], y[t] = {}, {}
    for r = 1, 4 do
      x[t][r], y[t][r] = {}, {}
      for d = 1, D do x[t][r][d] = math.sin(seed + 3 * t + 5 * r * d) end
      for d = 1, 2 do y[t][r][d] = math.cos(seed + t * d + r) end
    end
  end
  return l.batch {x = l.tensor(x), y = l.tensor(y), lengths = {7, 2, 5, 5}, carry = seed > 1}
end

-- Everything that several steps show.
local function train (l, model)
  local optim = l.optim.adam(model, {lr = 0.01, clip_norm = 1})
  local seen = {}
  for step = 1, 5 do
    seen[#seen + 1] = model:forward(data(l, step))
    model:backward()
    for _, p in ipairs(model:parameters()) do seen[#seen + 1] = p.grad:clone() end
    seen[#seen + 1] = optim:step()
    seen[#seen + 1] = model:output()
  end
  for _, p in ipairs(model:parameters()) do seen[#seen + 1] = p.value end
  return seen
end

describe("a cell written in Lua", function ()
  local names = {"rnn", "lstm", "wordy", "gru", "gru_before"}

  it("normalises to the program of the built-in one", function ()
    for _, name in ipairs(names) do
      local one, two = model_of(lurn, built_in(lurn)[name]), model_of(lurn, written(lurn)[name])
      assert.equal(one:program(), two:program())
      assert.equal(one:source_text(), two:source_text())
    end
  end)

  for _, precision in ipairs {"f32", "f64"} do
    local l = lurn[precision]
    it("has the bits of the built-in one in " .. precision, function ()
      for _, name in ipairs(names) do
        local one, two = model_of(l, built_in(l)[name]), model_of(l, written(l)[name])
        local seen = train(l, one)
        assert(#seen > 50 and seen[1] == seen[1])
        assert(bits(seen) == bits(train(l, two)), name .. " has other bits")
      end
    end)
  end

  it("starts with the weights of the built-in one", function ()
    for _, name in ipairs(names) do
      local one, two = model_of(lurn, built_in(lurn)[name]), model_of(lurn, written(lurn)[name])
      for i, p in ipairs(one:parameters()) do assert.same(p.value:totable(), two:parameters()[i].value:totable()) end
    end
  end)

  it("starts with the forget gate open, as far as it is told to", function ()
    local function bias (make)
      for _, p in ipairs(model_of(lurn, make):parameters()) do
        if p.path == "lstm1.f.b" then return p.value:totable() end
      end
    end
    assert.same({1, 1, 1, 1, 1}, bias(lurn.lstm))
    assert.same({1, 1, 1, 1, 1}, bias(written(lurn).lstm))
    assert.same({2, 2, 2, 2, 2}, bias(function (o) o.forget_bias = 2; return lurn.lstm(o) end))
  end)

  it("has options of its own", function ()
    local leaky = lurn.cell {name = "leaky", options = {rate = {"number", 0.5, {0, 1}, "share of the new"}},
      step = function (c, x, s, o) return (1 - o.rate) * s.h + o.rate * lurn.tanh(c:linear(nil, {x, s.h})) end}
    local half, all = model_of(lurn, leaky), model_of(lurn, function (o) o.rate = 1; return leaky(o) end)
    assert.equal(0.5, leaky {hidden = H}.options.rate)
    assert(half:program() ~= all:program())
    assert.has_error(function () leaky {hidden = H, rote = 1} end)
  end)
end)

---------------------------------------------------------------------- mistakes

-- Builds a model around a step; what it raises is one line that has `words` in it.
local function refuses (words, step, more)
  local options = {name = "faulty", step = step}
  for k, v in pairs(more or {}) do options[k] = v end
  local ok, message = pcall(function () return model_of(lurn, lurn.cell(options)) end)
  assert(not ok, "no error was raised")
  assert(tostring(message):find(words, 1, true), ("expected %q in %q"):format(words, tostring(message)))
  assert(not tostring(message):find "\n", "the message is one line")
  assert(#tostring(message) < 300)
end

describe("a step is refused", function ()
  it("when it branches on a value", function ()
    refuses("lurn.where", function (_, _, s) if s.h > s.h then return s.h end end)
    refuses("lurn.where", function (_, x, s) return x > 0 and s.h or -s.h end)
    refuses("lurn.where", function (_, x, s) return 0 <= x and s.h or -s.h end)
    refuses("lurn.where", function (_, x, s) if x == s.h then return s.h end end)
  end)

  it("when it returns a state that is none", function ()
    refuses("'k', which is no state", function (_, _, s) return {h = s.h, k = s.h} end)
  end)

  it("when it forgets a state", function ()
    refuses("did not return state 'c'", function (_, _, s) return {h = s.h} end, {state = {"h", "c"}})
    refuses("did not return state 'c'", function (_, _, s) return s.h end, {state = {"h", "c"}})
    refuses("must return its next states", function () end)
    refuses("must return its next states", function () return 3 end)
    refuses("returned a number as state 'h'", function () return {h = 1} end)
    refuses("returned a tensor as state 'h'", function () return {h = lurn.zeros(H)} end)
  end)

  it("when it draws at random or counts", function ()
    refuses("random", function (_, _, s) return s.h * math.random() end)
    local calls = 0
    refuses("not the same", function (_, _, s) calls = calls + 1; return s.h * calls end)
  end)

  it("when it reads a state that it does not have", function ()
    refuses("s.m, which is no state", function (_, _, s) return s.h + s.m end)
  end)

  it("when it writes a state", function ()
    refuses("step writes s.h; states stay as they are", function (c, x, s)
      s.h = c:linear(nil, {x, s.h})
      return s.h
    end)
  end)

  it("when it calls linear with something else", function ()
    local no_gate = "c:linear: expected the name of a gate, got a table"
    refuses(no_gate, function (c, x, s) return c:linear {x, s.h} end)
    refuses(no_gate, function (c, x, s) return c.linear("a", {x, s.h}) end)
    refuses("expected a list of operands, {x, s.h}, got a symbol", function (c, x) return c:linear("a", x) end)
    refuses("c:linear: operand 2: expected a symbol, or {symbol, \"Wh\"}, got a tensor", function (c, x)
      return c:linear("a", {x, lurn.zeros(H)})
    end)
    refuses("c:conv: operand 1: expected a symbol", function (c, x, s) return c:conv("a", {{x, s.h}}) end)
  end)

  it("with the line of the step, where lurn's own code found the mistake", function ()
    local line = debug.getinfo(1, "l").currentline
    refuses(("cell_spec.lua:%d: slice: columns"):format(line + 2), function (_, _, s)
      local most = lurn.slice(s.h, 2, 9)
      return s.h * most
    end)
    refuses(("cell_spec.lua:%d: parameter faulty1.g: declared"):format(line + 6), function (c, _, s)
      local g, b = c:param("g", {H}), c:param("g", {1})
      return g * s.h + b
    end)
  end)

  it("when shapes do not fit", function ()
    refuses("expected time (3) real, got time (5) real", function (_, x, s) return x + s.h end)
    refuses("time (3) real", function (_, x) return x end)
    refuses("(4), got time (3)", function (c, x) return x % c:param("w", {4, H}) end)
    refuses("got time (6)", function (c, x, s) return c:linear(nil, {x, s.h}, {size = 6}) end)
    refuses("slice: columns 2 to 9 of 5", function (_, _, s) return lurn.slice(s.h, 2, 9) end)
    refuses("parameter faulty1.w", function (c, x, s)
      return lurn.tanh(x % c:param("w", {D, H}) + s.h % c:param("w", {H, H}))
    end)
  end)

  it("when it asks a symbol for what it has not", function ()
    refuses("no field 'tahn'", function (_, _, s) return s.h:tahn() end)
    refuses("sum: a symbol's columns are all it goes over; dimension 1", function (_, _, s) return s.h * s.h:sum(1) end)
    refuses("softmax: a symbol's columns", function (_, _, s) return lurn.softmax(s.h, 2) end)
    refuses("power", function (_, _, s) return s.h^0.3 end)
    refuses("inside the step", function (_, x, s) return s.h + lurn.mean(lurn.shift(x, 1)) end)
  end)

  it("and leaves no scan open behind it", function ()
    local bad = lurn.cell {name = "bad", step = function () error "by design" end}
    local good = lurn.stack {input = {dim = D}, function (x)
      local m = {program = x.program, names = {}, path = function () return "bad1" end}
      assert.has_error(function () bad {hidden = H}:apply(m, x) end)
      return lurn.tanh(x)
    end}
    assert.matches("tanh", good:source_text())
    assert.is_nil(good:source_text():find "scan")
  end)

  it("when its own code fails, with its own message", function ()
    refuses("by design", function () error("by design", 0) end)
    refuses("got nil", function (_, _, s) return s.h + nil end)
  end)

  it("when the cell is misdeclared", function ()
    assert.has_error(function () lurn.cell {step = function () end} end)
    assert.has_error(function () lurn.cell {name = "x"} end)
    assert.has_error(function () lurn.cell {name = "x", step = function () end, stat = {"h"}} end)
    assert.has_error(function () lurn.cell {name = "x", step = 3} end)
    assert.error_matches(function () lurn.cell {name = "x", step = print, options = {rate = 0.5}} end,
      "option 'rate' is declared as {type, default, range, help}")
  end)
end)

describe("a name is refused", function ()
  local function refused (words, f)
    local ok, message = pcall(f)
    assert.is_false(ok)
    assert(tostring(message):find(words, 1, true), message)
  end

  -- The text of a checkpoint would not be read again, or two states would be one.
  it("when the text form cannot hold it", function ()
    refused("layer 'my layer1'", function ()
      lurn.stack {input = {dim = 2}, lurn.rnn {hidden = 3, name = "my layer"}}
    end)
    refused("output 'a b'", function ()
      lurn.model(function (m) return {["a b"] = m:input("x", "real", "time", {2})} end)
    end)
    refused("at most 15 bytes", function ()
      local cell = lurn.cell {name = "c", state = {"attention_weights_a", "attention_weights_b"},
        step = function (_, x, s) return {attention_weights_a = x, attention_weights_b = s.attention_weights_a} end}
      lurn.stack {input = {dim = 3}, cell {hidden = 3}}
    end)
  end)

  it("when a random stream has none", function ()
    refused("needs a name", function ()
      lurn.model(function (m) return m.program:emit("dropout", m:input("x", "real", "time", {2}), nil, nil, 0.5) end)
    end)
  end)
end)

describe("an index", function ()
  it("of more columns than a table has rows is refused", function ()
    local ok, message = pcall(lurn.model, function (m)
      return lurn.gather(m:param("w", {3, 2}), lurn.argmax(m:input("x", "real", "time", {9})))
    end)
    assert.is_false(ok)
    assert(message:find("a row for every index", 1, true))
  end)

  it("that a state brings from outside and that has no row gives zeros", function ()
    local text = "lurn program 1\nparam r0 w (3,2) 0 1 0\ninput r1 x real time (1)\ninput r2 y index row (1)\n"
      .. "scan forward s\n  state r3 i from r2\n  r4 = gather r0 r3 [0 0 0]\n  r5 = argmax r1 [0 0 0]\n"
      .. "  next i r5\nend\noutput out r4\n"
    local model = assert(lurn.from_program(text))
    model:init(1)
    local player = model.native:player {carry = true}
    player:setstate {["s.i"] = lurn.ids {{1000000}}}
    assert(player:forward(lurn.batch {x = lurn.zeros(2, 1, 1), y = lurn.ids {1}, carry = true}, 1, 0, "eval"))
    local out = player:output("out")
    assert.same({0, 0}, out[1][1]:totable())
    assert.same({1, 1}, out[2][1]:totable())
  end)
end)

describe("a symbol of one model", function ()
  it("has no place in another", function ()
    local kept
    lurn.stack {input = {dim = D}, function (x) kept = x; return x end}
    local ok, message = pcall(lurn.stack, {input = {dim = D}, function (x) return x + kept end})
    assert.is_false(ok)
    assert.matches("another model", message)
  end)
end)
