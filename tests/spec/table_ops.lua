-- table_ops.lua: rows of the ops, each in the open and, where it can be, in a step between state and state.
local h = require "table_helper"

local C, D = h.C, h.D
local M = {}

-- An entry is f (p, a, b, m, l) -> y: p emits; a and b are (C) over time and depend on parameters, m is the model.
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
function ops.where (_, a, b, _, l) return l.where(l.gt(a, 0.1), a * b, b) end
function ops.fill (p, a) return a * p:fill(0.3, "once", {C}) end

---------------------------------------------------------------------- products, sums over frames

ops["product, outer"] = function (_, a, b, m) return a % m:param("w", {C, 2}) + b % m:param("v", {C, 2}) end
-- A bias for all places of a frame, and a factor for all frames.
ops.placesum = function (p, a, _, m, l)
  return p:write("product", {m:param("v", {2}, {"normal", 0, 1}), l.reshape(a, 2, 2), m:param("u", {2, 2})})
end
function ops.coldot (_, a, _, m) return a * m:param("m", {C}, {"normal", 0, 1}) end
ops["gather, scatter"] = function (_, a, _, m, l) return a * l.gather(m:param("w", {5, C}), m.i) end
function whole.colsum (p, a, _, m) return p:emit("colsum", nil, a * a) * m:param("m", {C}, {"normal", 0, 1}) end
function whole.fold (_, a, _, _, l) return l.sum_time(a * a) end
function whole.total (_, a, _, _, l) return l.total(l.tanh(a)) end
function whole.size (_, a, _, _, l) return l.total(a) / l.size(a) end
function whole.rows (p, a, _, _, l) return l.total(a) / p:emit("rows", a) end

---------------------------------------------------------------------- indices

function ops.pick (_, a, _, m, l) return l.pick(a, m.i) end
function ops.unpick (p, a, _, m, l) return p:emit("unpick", l.sum(a), m.i, nil, 0, 6) end
function ops.live (_, a, _, m, l) return a * l.live(m.i) end
function ops.argmax (_, a, b, _, l) return l.pick(b, l.argmax(a)) end
function ops.iwhere (p, a, b, m, l) return l.pick(a, p:emit("iwhere", l.gt(l.sum(b), 0), m.i, l.argmax(b))) end
function ops.ifill (p, a, b) return p:emit("pick", a * b, p:emit("ifill", nil, nil, nil, 0, 2, 0)) end
function ops.sample (p, a, b) return p:emit("pick", b, p:emit("sample", a, nil, nil, 0.7, 0, 0, "choice")) end

---------------------------------------------------------------------- over columns

function ops.rowsum (_, a, b, _, l) return l.sum(a * b) end
function ops.rowmax (_, a, b, _, l) return l.max(a * b) end
function ops.lse (_, a, b, _, l) return l.logsumexp(a - b) end
ops["norm, norm_grad"] = function (_, a, b, _, l) return l.normalise(a, 0.1) * b end
function ops.expand (p, a, b, _, l) return p:emit("expand", l.sum(a), nil, nil, 0, C) * b end
function ops.concat (_, a, b, _, l) return l.concat(a, b * b) end
function ops.slice (_, a, b, _, l) return l.slice(a, 2, 3) * l.slice(b, 1, 2) end
function ops.pad (p, a) return p:emit("pad", a, nil, nil, 0, 2, C + 3) end
function ops.reshape (_, a, b, m, l)
  return l.reshape(a, 2, 2) % m:param("w", {2, 3}) + l.reshape(b, 2, 2) % m:param("v", {2, 3})
end
function ops.dropout (_, a, b, _, l) return l.drop(a, 0.4, "test") * b end
function ops.detach (_, a, b, _, l) return l.detach(a) * b end

---------------------------------------------------------------------- over time

function whole.shift (_, a, b, _, l) return l.shift(a, 1) * b + l.shift(b, -2) * a end
function whole.last (_, a, b, _, l) return l.last(a) * l.first(b) end
function whole.unlast (p, a, b, _, l)
  return p:emit("unlast", l.last(a)) * b + p:emit("unlast", l.first(b), nil, nil, 0, 1) * a
end
function whole.reorder (p, a, _, m, l)
  local s = m:input("s", "real", "time2", {2})
  return l.reorder(l.last(a), s) * l.last(p:affine("s", nil, C, "b", 0.1, {s, "W"}))
end

---------------------------------------------------------------------- images

-- Two channels of 2 x 2 places from C = 4 columns, twice.
local function image_of (l, a, b) return l.reshape(l.concat(a, b), 2, 2, 2) end
function ops.crop (p, a, b, _, l)
  local x = image_of(l, a, b)
  return p:write("crop", {x}, 0, {0, 1, 1, 1, 2, 1}) * p:write("crop", {x}, 0, {0, 0, 1, 2, 2, 1})
end
function ops.place (p, a, b, _, l)
  return p:write("place", {image_of(l, a, b)}, 0, {1, 0, 2, 1, 4, 3})
    * p:write("place", {image_of(l, b, a)}, 0, {1, 1, 2, 1, 4, 3})
end
-- Strides and dilations, a bias, weights and the bias used twice, a chain of two.
ops["conv, conv_dw"] = function (p, a, b, m, l)
  local x = p:write("place", {image_of(l, a, b)}, 0, {1, 2, 1, 2, 5, 7})
  local w, bias = m:param("w", {2, 3, 2, 3}), m:param("m", {3}, {"normal", 0, 1})
  local y = p:write("conv", {p:write("conv", {bias, x, w}, 0, {2, 1, 2, 1}), x * x, w}, 0, {2, 1, 2, 1})
  return y * p:write("conv", {bias, x, m:param("v", {2, 3, 2, 3})}, 0, {2, 1, 2, 1})
    + p:write("conv", {nil, x, m:param("u", {2, 2, 2, 3})}, 0, {2, 1, 2, 2})
end
function ops.conv_dx (p, a, b, m, l)
  local w, bias = m:param("w", {2, 3, 3, 2}), m:param("m", {3}, {"normal", 0, 1})
  return p:write("conv_dx", {p:write("conv_dx", {bias, image_of(l, a, b), w}, 0, {2, 1, 1, 2}), image_of(l, b, a), w},
    0, {2, 1, 1, 2})
end

---------------------------------------------------------------------- memories

-- With dot products and with learned scores.
local ATTEND = "attend, attend_dq, attend_dk, attend_dv, attend_du"
whole[ATTEND] = function (_, a, b, m, l)
  return l.concat(l.attend(a, b), l.attend(a * b, b, a, m:param("u", {C}, {"normal", 0, 1})))
end

-- The same over another time axis, which a step may do.
local function attend_over (p, a, b, m, l)
  local s = m:input("s", "real", "time2", {2})
  local k = p:affine("s", nil, C, "b", 0.1, {s, "W"})
  return l.concat(l.attend(a, k), l.attend(a * b, k, k * k, m:param("u", {C}, {"normal", 0, 1})))
end

whole["ctc, ctc_grad"] = function (p, a, _, m, l)
  return p:write("ctc", {l.log_softmax(a), m:input("labels", "index", "time2", {1})}, 0, {0, 0})
end

---------------------------------------------------------------------- models

local function inputs (m)
  m.i = m:input("i", "index", "time", {1})
  return m:input("x", "real", "time", {D})
end

function M.operand (m, name, x) return m.program:affine(name, nil, C, "b", 0.1, {x, "W"}) end

--- f of two operands, in the open.
function M.outside (f, linear)
  return function (l)
    return l.model(function (m)
      local x = inputs(m)
      local y = f(m.program, M.operand(m, "a", x), M.operand(m, "b", x), m, l)
      local out = y.axis ~= "once" and (#y.shape > 1 and l.reshape(y, y.cols) or y) or nil
      return {loss = linear and l.total(y) or h.reduce(l, y), out = out}
    end)
  end
end

-- The op between state and state. What comes out is narrowed to a column, which every column of h then sees.
local function inside (f)
  return function (l)
    local layer_of = function (m)
      return l.cell {name = "cell", step = function (c, x, s)
        local y = f(c.program, c:linear("a", {x, s.h}, {bias = 0.1}), c:linear("b", {x, s.h}, {bias = -0.2}), m, l)
        local wide = #y.shape > 1 and l.reshape(y, y.cols) or y
        return l.tanh(c:linear("o", {x, s.h}) + l.mean(wide * wide + wide))
      end} {hidden = C}
    end
    return l.model(function (m)
      local y = m:apply(layer_of(m), inputs(m))
      return {loss = h.reduce(l, y), out = y}
    end)
  end
end

---------------------------------------------------------------------- rows

-- Not differentiable everywhere.
local kinks = {}
for _, name in ipairs {"abs", "sign", "max", "min", "max_imm", "min_imm", "gt", "ge", "gt_imm", "ge_imm", "gate_gt",
  "gate_lt", "where", "rowmax", "argmax", "iwhere", "sample"} do kinks[name] = true end

local words = {
  dropout = {torch = "drawn"}, sample = {torch = "drawn", alone = "drawn", stepped = "drawn"},
  detach = {gradient = "stopped"}, colsum = {stepped = "once", checkpoint = "order"},
  total = {stepped = "once"}, size = {stepped = "once", alone = "divided"},
  rows = {stepped = "once", alone = "divided"},
  fold = {stepped = "pooled"}, last = {stepped = "pooled"}, reorder = {stepped = "pooled"},
  ctc = {stepped = "pooled", checkpoint = "across", lengths = {2, 5, 3}},
  shift = {stepped = "across", checkpoint = "across"},
  unlast = {stepped = "later", checkpoint = "later"}, attend = {stepped = "memory", checkpoint = "memory"},
}

local function add (name, how, f, more)
  local of = {}
  for op in name:gmatch "[%w_]+" do of[#of + 1] = op end
  h.add(h.join({kind = "op", of = of, how = how, build = f, kinks = kinks[of[1]], torch = "torch_ops:" .. of[1]},
    words[of[1]] or {}, more or {}))
end

local linear = {colsum = true, total = true, size = true, rows = true}     -- rows must not see each other

local names = {}
for name in pairs(h.join(ops, whole)) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  if whole[name] then add(name, nil, M.outside(whole[name], linear[name]), {same = true})
  else
    add(name, "in the open", M.outside(ops[name]), {same = true})
    add(name, "in a step", inside(ops[name]))
  end
end
local over = {torch = "torch_ops:attend_over", stepped = false, checkpoint = false}
add(ATTEND, "over another axis", M.outside(attend_over), h.join(over, {same = true}))
add(ATTEND, "over another axis, in a step", inside(attend_over), over)

M.inputs = inputs
return M
