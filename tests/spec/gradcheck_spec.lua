-- Derived gradients against differences of the loss, in f64, with ragged batches, beyond what the table has
-- (table_spec.lua): between axes, of several losses at once. Worst relative error: below 1e-6.
local lurn = require "lurn".f64
local table_helper = require "table_helper"
local ops = require "table_ops"

local LIMIT = 1e-6
local D, C = 3, 4                       -- columns of x, columns of what the ops work on
local LENGTHS = {2, 5, 3}

-- A number for each place, irrational enough that no two operands are equal.
local function wave (seed, ...)
  local shape = {...}
  local n = 1
  for _, d in ipairs(shape) do n = n * d end
  local list = {}
  for i = 1, n do list[i] = math.sin(seed + 1.7 * i * i + 0.3 * i) end
  return lurn.tensor(list):reshape(...)
end

-- Ids from 0 (none) to n.
local function ids (n, seed)
  local t = {}
  for s = 1, 5 do
    t[s] = {}
    for r = 1, 3 do t[s][r] = (s * 7 + r * 3 + seed) % (n + 1) end
  end
  return lurn.ids(t)
end

local function batch (more)
  local fields = {x = wave(1, 5, 3, D), lengths = LENGTHS}
  for k, v in pairs(more or {}) do fields[k] = v end
  return lurn.batch(fields)
end

local function check (model, b, draws)
  local r
  for seed = 1, draws or 1 do
    model:init(seed)
    r = lurn.gradcheck(model, b)
    assert.equal(model:count(), r.checked)
    if r.worst < LIMIT then return end
  end
  error(("off by %g at %s: %.12g derived, %.12g by differences"):format(r.worst, r.path, r.analytic, r.numeric), 2)
end

-- A difference taken across a kink or a jump says nothing. Where there are some, other weights are drawn; a
-- wrong derivative is wrong for all of them.
local DRAWS = 5
local kinks = {}
for _, name in ipairs {"abs", "sign", "max", "min", "max_imm", "min_imm", "gt", "ge", "gt_imm", "ge_imm", "gate_gt",
  "gate_lt", "where", "rowmax", "relu", "leaky_relu", "selu", "hard_sigmoid", "hard_tanh"} do kinks[name] = DRAWS end

local operand, reduce = ops.operand, function (y) return table_helper.reduce(lurn, y) end
local inputs = ops.inputs

---------------------------------------------------------------------- axes

describe("gradients between axes", function ()
  local function of (f)
    return function ()
      local model = lurn.model(function (m) return {loss = reduce(f(m, operand(m, "a", inputs(m))))} end)
      check(model, batch {i = ids(4, 1)})
    end
  end

  it("row to time, once to time, once to row", of(function (m, a)
    local once = m:param("p", {C}, {"normal", 0, 1})
    return lurn.tanh(a * lurn.last(a) + once * a) * (lurn.last(a * a) - once)
  end))

  it("one column to several", of(function (_, a) return lurn.mean(a) * a + lurn.softmax(a) end))

  it("a weight used twice, once as its transpose", of(function (m, a)
    local w = m:param("w", {5, C})
    return m.program:emit("product", nil, a * lurn.gather(w, m.i), w, 0, 1)
  end))

  it("a first state that is learned, from row and from once", of(function (m, a)
    local p = m.program
    local h0, g0 = p:spread(m:param("h0", {C}, {"normal", 0, 1}), "row"), lurn.last(a)
    p:scan("loop")
    local h, g = p:state("h", h0), p:state("g", g0)
    local y = lurn.tanh(h * g + a)
    p:next(h, y)
    p:next(g, lurn.sigmoid(g * y))
    p:close()
    return y
  end))

  it("attention in a step, over a layer below", of(function (m, a)
    local memory = m:apply(lurn.rnn {hidden = C}, a)
    return m:apply(lurn.cell {name = "reader", step = function (c, x, s)
      return lurn.tanh(c:linear(nil, {x, s.h, lurn.attend(s.h, memory)}))
    end} {hidden = C}, a)
  end))

  it("a bias for all places, where there is one place and where there are more", of(function (m, a)
    local v = m:param("v", {2}, {"normal", 0, 1})
    local one = m.program:write("product", {v, lurn.reshape(a, 1, 1, C), m:param("w", {C, 2})})
    local more = m.program:write("product", {v, lurn.reshape(a, 2, 2), m:param("u", {2, 2})})
    return lurn.reshape(one, 2) * lurn.sum(lurn.tanh(more))
  end))

  it("one column and a number to images, and to weights", of(function (m, a)
    local x, w = lurn.reshape(a, 2, 2, 1), m:param("w", {2, 2, 1, 3}) / 3
    return m.program:write("conv", {nil, x / 2 + lurn.mean(a) * x, w}, 0, {1, 1, 1, 1})
  end))

  it("columns of images side by side, and apart", of(function (_, a)
    local x = lurn.reshape(a, 2, 1, 2)
    local y = lurn.concat(x, x * x)
    return lurn.slice(y, 2, 3) * lurn.slice(y, 1, 2)
  end))

  it("a convolution of what there is once, or once for a sequence, in a step and outside", of(function (m, a)
    local p = m.program
    local function image (x) return lurn.reshape(x, 2, 2, 1) end
    local w, bias = m:param("w", {1, 2, 1, 2}), m:param("m", {2}, {"normal", 0, 1})
    local function conv (x, acc) return p:write("conv", {acc or bias, image(x), w}, 0, {1, 1, 1, 1}) end
    local once, row = conv(m:param("p", {C}, {"normal", 0, 1})), conv(lurn.last(a))
    p:scan("loop")
    local s = p:state("s", p:fill(0, "row", {2, 1, 2}))
    local y = lurn.tanh(conv(a, once) + conv(a * a, row) + s)
    p:next(s, y)
    p:close()
    return y
  end))

  it("none through detach", function ()
    local model = lurn.model(function (m)
      local x = inputs(m)
      return {loss = reduce(operand(m, "a", x) + lurn.detach(operand(m, "b", x)))}
    end)
    model:forward(batch {i = ids(4, 1)})
    model:backward()
    for _, p in ipairs(model:parameters()) do
      assert.equal(p.path:find "^b" ~= nil, p.grad:abs():max() == 0)
    end
  end)
end)

---------------------------------------------------------------------- activations, cells

local function recurrent (...)
  return lurn.stack {input = {dim = D}, loss = lurn.loss.mse(), ...}
end

-- Equations of torch_spec.lua, here only to be differentiated.
local peephole = lurn.cell {name = "peephole", state = {"h", "c"},
  step = function (c, x, s, o)
    local function gate (g, cell)
      return lurn.sigmoid(c:linear(g, {x, s.h}) + c:param(g .. ".p", {o.hidden}, 0.3) * cell)
    end
    local cell = gate("f", s.c) * s.c + gate("i", s.c) * lurn.tanh(c:linear("g", {x, s.h}))
    return {h = gate("o", cell) * lurn.tanh(cell), c = cell}
  end}

local layers = {
  ["rnn"] = function () return lurn.rnn {hidden = C} end,
  ["rnn with an output of its own"] = function () return lurn.rnn {hidden = C, out = 2, out_activation = "sigmoid"} end,
  ["rnn, two layers and dropout"] = function () return lurn.rnn {hidden = C, layers = 2, dropout = 0.3} end,
  ["lstm"] = function () return lurn.lstm {hidden = C} end,
  ["lstm, two layers and dropout"] = function () return lurn.lstm {hidden = C, layers = 2, dropout = 0.3} end,
  ["lstm, reversed"] = function () return lurn.lstm {hidden = C, reverse = true} end,
  ["lstm with another activation"] = function () return lurn.lstm {hidden = C, activation = "softsign"} end,
  ["gru"] = function () return lurn.gru {hidden = C} end,
  ["gru, reset before"] = function () return lurn.gru {hidden = C, reset_after = false} end,
  ["gru, reversed, two layers"] = function () return lurn.gru {hidden = C, reverse = true, layers = 2} end,
  ["a cell written in Lua"] = function () return peephole {hidden = C} end,
  ["dropout in a step"] = function ()
    return lurn.cell {name = "noisy", step = function (c, x, s)
      return lurn.tanh(c:linear(nil, {x, c:dropout(s.h, 0.3)}))
    end} {hidden = C}
  end,
}

describe("gradients of the layer", function ()
  for name, make in pairs(layers) do
    it(name, function ()
      check(recurrent(make(), lurn.linear {size = 2}), batch {y = wave(2, 5, 3, 2)})
      check(recurrent(make(), lurn.last, lurn.linear {size = 2}), batch {y = wave(2, 3, 2)})
    end)
  end

  for _, name in ipairs(lurn.core.activations()) do
    it("rnn with " .. name .. ", and a linear one", function ()
      local model = recurrent(lurn.rnn {hidden = C, activation = name}, lurn.linear {size = 2, activation = name})
      check(model, batch {y = wave(2, 5, 3, 2)}, kinks[name])
    end)
  end

  it("feed-forward", function ()
    local model = recurrent(lurn.linear {size = 5, activation = "tanh"}, lurn.dropout(0.3),
      lurn.linear {size = 2, bias = false})
    check(model, batch {y = wave(2, 5, 3, 2)})
  end)

  it("layer normalisation, between recurrent layers and of a matrix", function ()
    local matrix = function (x) return lurn.reshape(x, 2, 2) end
    local vector = function (x) return lurn.reshape(x, C) end
    local model = recurrent(lurn.rnn {hidden = C}, lurn.layer_norm {}, matrix,
      lurn.layer_norm {eps = 0.1, bias = false}, vector, lurn.rnn {hidden = C}, lurn.linear {size = 2})
    check(model, batch {y = wave(2, 5, 3, 2)})
  end)

  it("embedding, also with dropout and tied to the output", function ()
    local model = lurn.stack {input = {vocab = 6}, lurn.embedding {size = 3}, lurn.dropout(0.2), lurn.lstm {hidden = C},
      lurn.linear {size = 6}, loss = lurn.loss.cross_entropy()}
    check(model, lurn.batch {x = ids(6, 0), y = ids(6, 2), lengths = LENGTHS})
    local tied = lurn.stack {input = {vocab = 6}, lurn.embedding {size = C, dropout = 0.3}, lurn.lstm {hidden = C},
      lurn.linear {tied = "embedding1", activation = "tanh"}, loss = lurn.loss.cross_entropy()}
    check(tied, lurn.batch {x = ids(6, 0), y = ids(6, 2), lengths = LENGTHS})
  end)
end)

---------------------------------------------------------------------- losses

describe("gradients of the loss", function ()
  local losses = {
    cross_entropy = {make = lurn.loss.cross_entropy, y = ids(4, 0)},
    mse = {make = lurn.loss.mse, y = wave(3, 5, 3, 4)},
    bce = {make = lurn.loss.bce, y = wave(3, 5, 3, 4):gt(0)},
    ["one of its own"] = {make = function (o)
      return lurn.loss.custom(function (out, y) return lurn.softplus(out * y) end, o)
    end, y = wave(3, 5, 3, 4)},
    ["one of its own, of classes"] = {make = function (o)
      o.target = "index"
      return lurn.loss.custom(function (out, y) return (1 - lurn.pick(lurn.softmax(out), y))^2 end, o)
    end, y = ids(4, 0)},
  }
  local mask = wave(4, 5, 3):abs()
  mask[1][1], mask[2][2] = 0, 0

  for name, loss in pairs(losses) do
    for _, how in ipairs {"mean", "time", "sum"} do
      it(("%s, reduced by %s, with and without a mask"):format(name, how), function ()
        for _, masked in ipairs {false, true} do
          local model = lurn.stack {input = {dim = D}, lurn.gru {hidden = 3}, lurn.linear {size = 4}, mask = masked,
            loss = loss.make {reduction = how}}
          check(model, batch {y = loss.y, mask = masked and mask or nil})
        end
      end)
    end
  end

  it("per sequence, of classes", function ()
    local model = lurn.stack {input = {dim = D}, lurn.lstm {hidden = C}, lurn.last, lurn.linear {size = 3},
      loss = lurn.loss.cross_entropy()}
    check(model, batch {y = lurn.ids {2, 0, 3}})
  end)

  it("two heads and a penalty", function ()
    local model = lurn.model(function (m)
      local x = inputs(m)
      local h = m:apply(lurn.lstm {hidden = C}, x)
      local one = lurn.loss.cross_entropy():build(m, m:apply(lurn.linear {size = 4}, h))
      local two = lurn.total(m:apply(lurn.linear {size = 2}, lurn.last(h))^2)
      return {loss = one + 0.5 * two + 0.01 * lurn.total(h * h) / lurn.size(h)}
    end)
    check(model, batch {y = ids(4, 1), i = ids(4, 1)})
  end)

  it("whose output is the state before the step", function ()
    for _, reverse in ipairs {false, true} do
      check(lurn.model(function (m)
        local before
        local cell = lurn.cell {name = "late", step = function (c, x, s)
          before = s.h
          return lurn.tanh(c:linear(nil, {x, s.h}))
        end}
        m:apply(cell {hidden = C, reverse = reverse}, m:input("x", "real", "time", {D}))
        return {loss = lurn.total(before^2)}
      end), batch())
    end
  end)

  it("with a product of two matrices of parameters, twice", function ()
    check(lurn.model(function (m)
      local x, w = m:input("x", "real", "time", {D}), m:param("w", {D, C})
      local a, b = w % m:param("a", {C, 2}), w % m:param("b", {C, 5})
      return {loss = lurn.total((x % a)^2) + lurn.total(lurn.tanh(x % b))}
    end), batch())
  end)

  it("with a product that goes on from a matrix, one for all frames", function ()
    check(lurn.model(function (m)
      local x = m:input("x", "real", "time", {D})
      local rows = lurn.reshape(x % m:param("v", {D, 6}), 2, 3)
      local y = m.program:emit("product", m:param("acc", {2, C}), rows, m:param("w", {3, C}))
      return {loss = lurn.total(y^2)}
    end), batch())
  end)
end)

describe("the gradient check itself", function ()
  it("runs from the f32 instance in f64", function ()
    local single = require "lurn".f32
    local model = single.stack {input = {dim = D}, single.lstm {hidden = C}, single.linear {size = 2},
      loss = single.loss.mse()}
    local r = single.gradcheck(model, function (l)
      assert.equal("f64", l.precision)
      return batch {y = wave(2, 5, 3, 2)}
    end)
    assert(r.worst < LIMIT)
    assert.equal(model:count(), r.checked)
  end)

  it("leaves the weights as they were", function ()
    local model = recurrent(lurn.rnn {hidden = C}, lurn.linear {size = 2})
    local before = {}
    for i, p in ipairs(model:parameters()) do before[i] = p.value:totable() end
    check(model, batch {y = wave(2, 5, 3, 2)})
    for i, p in ipairs(model:parameters()) do assert.same(before[i], p.value:totable()) end
  end)
end)
