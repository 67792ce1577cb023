-- Derived gradients against differences of the loss, in f64, with ragged batches: every op that has a gradient,
-- outside and inside a step, every activation, cell, loss and reduction. Worst relative error: below 1e-6.
local lurn = require "lurn".f64

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

---------------------------------------------------------------------- one model for each op

-- An entry is f (p, a, b, m) -> symbol: p emits, a and b are (C) over time and depend on parameters, m is the
-- model. Ops of whole axes cannot stand in a step.
local ops, whole = {}, {}

local function positive (a) return a * a + 1 end
local function emit (name, k) return function (p, a) return p:emit(name, a, nil, nil, k or 0) end end
local function emit2 (name, k) return function (p, a, b) return p:emit(name, a, b, nil, k or 0) end end

for _, name in ipairs {"copy", "neg", "abs", "sign", "exp", "expm1", "sin", "cos", "erf", "tanh", "sigmoid"} do
  ops[name] = emit(name)
end
for _, name in ipairs {"log", "log1p", "sqrt"} do ops[name] = function (p, a) return p:emit(name, positive(a)) end end
for name, k in pairs {add_imm = 0.7, mul_imm = -1.3, rsub_imm = 0.4, max_imm = 0.1, min_imm = 0.1, gt_imm = 0.1,
  ge_imm = 0.1} do ops[name] = emit(name, k) end
for _, name in ipairs {"add", "sub", "mul", "max", "min", "gt", "ge", "eq", "tanh_grad", "sigmoid_grad"} do
  ops[name] = emit2(name)
end
ops.gate_gt, ops.gate_lt = emit2("gate_gt", 0.1), emit2("gate_lt", 0.1)
function ops.rdiv_imm (p, a) return p:emit("rdiv_imm", positive(a), nil, nil, 1.5) end
function ops.div (p, a, b) return p:emit("div", a, positive(b)) end
function ops.where (_, a, b) return lurn.where(lurn.gt(a, 0.1), a * b, b) end
function ops.fill (p, a) return a * p:fill(0.3, "once", {C}) end

function ops.product (_, a, b, m) return a % m:param("w", {C, 2}) + b % m:param("v", {C, 2}) end
function whole.colsum (p, a) return p:emit("colsum", nil, a * a) end
function whole.fold (_, a) return lurn.sum_time(a * a) end
function ops.gather (_, a, _, m) return a * lurn.gather(m:param("w", {5, C}), m.i) end
function ops.pick (_, a, _, m) return lurn.pick(a, m.i) end
function ops.unpick (p, a, _, m) return p:emit("unpick", lurn.sum(a), m.i, nil, 0, 6) end

function ops.rowsum (_, a, b) return lurn.sum(a * b) end
function ops.rowmax (_, a, b) return lurn.max(a * b) end
function ops.lse (_, a, b) return lurn.logsumexp(a - b) end
function ops.norm (_, a, b) return lurn.normalise(a, 0.1) * b end
function ops.expand (p, a, b) return p:emit("expand", lurn.sum(a), nil, nil, 0, C) * b end
function whole.total (_, a) return lurn.total(lurn.tanh(a)) end

function whole.shift (_, a, b) return lurn.shift(a, 1) * b + lurn.shift(b, -2) * a end
function whole.last (_, a, b) return lurn.last(a) * lurn.first(b) end
function whole.unlast (p, a, b)
  return p:emit("unlast", lurn.last(a)) * b + p:emit("unlast", lurn.first(b), nil, nil, 0, 1) * a
end
function ops.concat (_, a, b) return lurn.concat(a, b * b) end
function ops.slice (_, a, b) return lurn.slice(a, 2, 3) * lurn.slice(b, 1, 2) end
function ops.pad (p, a) return p:emit("pad", a, nil, nil, 0, 2, C + 3) end
function ops.reshape (_, a, b, m)
  return lurn.reshape(a, 2, 2) % m:param("w", {2, 3}) + lurn.reshape(b, 2, 2) % m:param("v", {2, 3})
end
function ops.dropout (_, a, b) return lurn.drop(a, 0.4, "test") * b end
function whole.attend (_, a, b) return lurn.attend(a, b) end

-- Any shape on any axis to one number in which every element counts differently enough.
local function reduce (y) return lurn.total(y * y * 0.5 + y) end

local function inputs (m)
  m.i = m:input("i", "index", "time", {1})
  return m:input("x", "real", "time", {D})
end

local function operand (m, name, x) return m.program:affine(name, nil, C, "b", 0.1, {x, "W"}) end

local function outside (f)
  return lurn.model(function (m)
    local x = inputs(m)
    return {loss = reduce(f(m.program, operand(m, "a", x), operand(m, "b", x), m))}
  end)
end

-- The op between state and state. What comes out is narrowed to a column, which every column of h then sees.
local function inside (f)
  local layer_of = function (m)
    return lurn.cell {name = "cell", step = function (c, x, s)
      local y = f(c.program, c:linear("a", {x, s.h}, {bias = 0.1}), c:linear("b", {x, s.h}, {bias = -0.2}), m)
      local wide = #y.shape > 1 and lurn.reshape(y, y.cols) or y
      return lurn.tanh(c:linear("o", {x, s.h}) + lurn.mean(wide * wide + wide))
    end} {hidden = C}
  end
  return lurn.model(function (m)
    local x = inputs(m)
    return {loss = reduce(m:apply(layer_of(m), x))}
  end)
end

local function uses (model, op)
  return model:source_text():find(("= %s[ @]"):format(op)) ~= nil
end

describe("gradients of the op", function ()
  it("table are all looked at", function ()
    for _, op in ipairs(lurn.core.ops()) do
      local known = ops[op.name] or whole[op.name]
      assert(not op.gradient or known, op.name .. " has a gradient and no model here")
      assert(op.gradient or not known, op.name .. " has no gradient but a model here")
    end
  end)

  local b = batch {i = ids(4, 1)}
  for name, f in pairs(ops) do
    it(name .. ", in the open and in a step", function ()
      for _, model in ipairs {outside(f), inside(f)} do
        assert(uses(model, name), "the model does not use the op")
        check(model, b, kinks[name])
      end
    end)
  end
  for name, f in pairs(whole) do
    it(name .. ", over a whole axis", function ()
      assert(uses(outside(f), name), "the model does not use the op")
      check(outside(f), b)
    end)
  end
end)

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

  it("embedding", function ()
    local model = lurn.stack {input = {vocab = 6}, lurn.embedding {size = 3}, lurn.dropout(0.2), lurn.lstm {hidden = C},
      lurn.linear {size = 6}, loss = lurn.loss.cross_entropy()}
    check(model, lurn.batch {x = ids(6, 0), y = ids(6, 2), lengths = LENGTHS})
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
