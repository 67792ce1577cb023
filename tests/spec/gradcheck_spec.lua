-- Derived gradients against differences of the loss, in f64, with ragged batches, beyond what the table has
-- (table_spec.lua): between axes, of several losses at once. Worst relative error: below 1e-6.
local lurn = require "lurn".f64
local h = require "table_helper"
local ops = require "table_ops"

local LIMIT = 1e-6
local D, C = h.D, h.C                   -- columns of x, columns of what the ops work on
local operand, inputs = ops.operand, ops.inputs

local function reduce (y) return h.reduce(lurn, y) end
local function batch (fields) return h.whole(lurn, {fields = fields}) end

local function check (model, b)
  local r = lurn.gradcheck(model, b)
  assert.equal(model:count(), r.checked)
  if r.worst < LIMIT then return end
  error(("off by %g at %s: %.12g derived, %.12g by differences"):format(r.worst, r.path, r.analytic, r.numeric), 2)
end

---------------------------------------------------------------------- axes

describe("gradients between axes", function ()
  local function of (f)
    return function ()
      local model = lurn.model(function (m) return {loss = reduce(f(m, operand(m, "a", inputs(m))))} end)
      check(model, batch())
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

  it("a product of rows that are looked up, which becomes a lookup of products", of(function (m, a)
    local w, bias = m:param("w", {5, C}), m:param("bias", {D}, {"normal", 0, 1})
    local y = m.program:emit("product", bias, lurn.gather(w, m.i), m:param("v", {C, D}))
    return lurn.sum(y * y) * a + lurn.sum(m.program:emit("product", nil, lurn.gather(w, m.i), w, 0, 1))
  end))

  it("a first state that is learned, from row and from once", of(function (m, a)
    local p = m.program
    local f0, g0 = p:spread(m:param("f0", {C}, {"normal", 0, 1}), "row"), lurn.last(a)
    p:scan("loop")
    local f, g = p:state("f", f0), p:state("g", g0)
    local y = lurn.tanh(f * g + a)
    p:next(f, y)
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

  -- The memory is then along the higher axis, whose rows are in another order.
  it("attention of one query for a sequence, with dot products and learned scores", of(function (m, a)
    local s = m:input("s", "real", "time2", {2})
    local k = m.program:affine("s", nil, C, "b", 0.1, {s, "W"})
    local y = lurn.attend(lurn.last(a), k, k * k)
    local back = lurn.attend(lurn.last(k), a, a * a, m:param("u", {C}, {"normal", 0, 1}))
    return a * y + a * back
  end))

  it("none through detach", function ()
    local model = lurn.model(function (m)
      local x = inputs(m)
      return {loss = reduce(operand(m, "a", x) + lurn.detach(operand(m, "b", x)))}
    end)
    model:forward(batch())
    model:backward()
    for _, p in ipairs(model:parameters()) do
      assert.equal(p.path:find "^b" ~= nil, p.grad:abs():max() == 0)
    end
  end)
end)

---------------------------------------------------------------------- losses

describe("gradients of the loss", function ()
  it("two heads and a penalty", function ()
    local model = lurn.model(function (m)
      local x = inputs(m)
      local y = m:apply(lurn.lstm {hidden = C}, x)
      local one = lurn.loss.cross_entropy():build(m, m:apply(lurn.linear {size = 4}, y))
      local two = lurn.total(m:apply(lurn.linear {size = 2}, lurn.last(y))^2)
      return {loss = one + 0.5 * two + 0.01 * lurn.total(y * y) / lurn.size(y)}
    end)
    check(model, batch {y = h.ids(C, 1)})
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
  local function model_of (l)
    return l.stack {input = {dim = D}, l.lstm {hidden = C}, l.linear {size = h.K}, loss = l.loss.mse()}
  end

  it("runs from the f32 instance in f64", function ()
    local single = require "lurn".f32
    local model = model_of(single)
    local r = single.gradcheck(model, function (l)
      assert.equal("f64", l.precision)
      return batch()
    end)
    assert(r.worst < LIMIT)
    assert.equal(model:count(), r.checked)
  end)

  it("leaves the weights as they were", function ()
    local model, before = model_of(lurn), {}
    for i, p in ipairs(model:parameters()) do before[i] = p.value:totable() end
    check(model, batch())
    for i, p in ipairs(model:parameters()) do assert.same(before[i], p.value:totable()) end
  end)
end)
