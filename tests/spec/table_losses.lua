-- table_losses.lua: rows of the losses with each of their options, every reduction, masked and not, per step and per
-- sequence.
local h = require "table_helper"

local C, D = h.C, h.D
local WEIGHT = {0.5, 2, 1, 3.25}

local function sign (r, t, d) return (r * 3 + t * 5 + d * 2) % 7 < 3 and 1 or 0 end
local function positive (r, t, d) return 0.1 + math.sin(r + 2 * t + d)^2 end
local function share (r, t, d)                 -- of columns that sum to one, of which one is zero
  local sum = 0
  for k = 2, C do sum = sum + positive(r, t, k) end
  return d == 1 and 0 or positive(r, t, d) / sum
end

local REALS, CLASSES = h.reals(C, 3), h.ids(C, 0)
local BITS, COUNTS = h.reals(C, 3, "time", sign), h.reals(C, 3, "time", positive)
local MASK = h.reals(nil, 4, "time", function (r, t) return (r + t) % 4 == 0 and 0 or math.abs(math.sin(r + 3 * t)) end)

-- By the name of the case in torch_losses2.h5, or in torch_losses.h5: {loss, options, targets}.
local losses = {
  mse = {"mse", {}, REALS, old = true}, cross_entropy = {"cross_entropy", {}, CLASSES, old = true},
  bce = {"bce", {}, BITS, old = true},
  mae = {"mae", {}, REALS, kinks = true}, huber = {"huber", {}, REALS, kinks = true},
  huber_delta = {"huber", {delta = 0.3}, REALS, kinks = true}, poisson = {"poisson", {}, COUNTS},
  gaussian_nll = {"gaussian_nll", {}, h.reals(C // 2, 3)}, cosine = {"cosine", {}, REALS},
  kl = {"kl", {}, h.reals(C, 3, "time", share), before = "log_softmax"},
  bce_number = {"bce", {pos_weight = 2.5}, BITS}, bce_list = {"bce", {pos_weight = {3, 0.25, 1, 7.5}}, BITS},
  cross_entropy_weight = {"cross_entropy", {weight = WEIGHT}, CLASSES},
  cross_entropy_smoothing = {"cross_entropy", {smoothing = 0.15}, CLASSES},
  cross_entropy_both = {"cross_entropy", {weight = WEIGHT, smoothing = 0.15}, CLASSES},
}

-- A model whose loss is all it has: what is below is in other rows.
local function build (make, masked, pooled, before)
  return function (l)
    return l.model(function (m)
      m.mask = masked
      local out = m:apply(l.linear {size = C}, m:input("x", "real", "time", {D}))
      if pooled then out = l.last(out) end
      return {loss = (make(l):build(m, before and l[before](out) or out))}
    end)
  end
end

-- A mask is one of steps.
local function fields_of (y, pooled)
  return pooled and {y = h.join(y, {axis = "row"})} or {y = y, mask = MASK}
end

local function add (of, how, make, y, torch, more)
  local function row (reduction, masked, pooled)
    local said = {reduction}
    if how then table.insert(said, 1, how) end
    if masked then said[#said + 1] = "masked" end
    if pooled then said[#said + 1] = "per sequence" end
    h.add(h.join({kind = "loss", of = of, how = table.concat(said, ", "), stepped = "once",
      build = build(function (l) return make(l, reduction) end, masked, pooled, more and more.before),
      alone = reduction ~= "sum" and "divided" or nil, torch = torch(reduction, masked),
      fields = fields_of(y, pooled)}, more or {}))
  end
  for _, reduction in ipairs {"sum", "mean", "time"} do
    row(reduction)
    if more == nil or not more.unmasked then row(reduction, true) end
  end
  if more == nil or not more.unmasked then row("sum", false, true) end
end

local names = {}
for name in pairs(losses) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local kind, options, y = table.unpack(losses[name])
  local how = name ~= kind and name:sub(#kind + 2) or nil
  add(kind, how, function (l, reduction) return l.loss[kind](h.join(options, {reduction = reduction})) end, y,
    function (reduction, masked)
      if losses[name].old then return ("torch_losses:%s_%s%s"):format(name, reduction, masked and "_mask" or "") end
      return ("torch_losses2:%s:mean%s"):format(name, masked and ":ragged" or "")
    end, {kinks = losses[name].kinks, before = losses[name].before})
end

local function none () return "none" end

add("cross_entropy", "balanced", function (l, reduction)
  local counted = l.dataset {{x = {{1.0}, {2.0}, {3.0}, {4.0}}, y = {1, 1, 2, 3}}, targets = "step",
    classes = {"a", "b", "c", "d"}}
  return l.loss.cross_entropy {weight = "balanced", data = counted, reduction = reduction}
end, CLASSES, function () return "torch_losses2:cross_entropy_weight:mean" end)

add("custom", "of numbers", function (l, reduction)
  return l.loss.custom(function (out, y) return l.softplus(out * y) end, {reduction = reduction})
end, REALS, none)
add("custom", "of fewer columns", function (l, reduction)
  return l.loss.custom(function (out, y) return (l.slice(out, 1, 2) - y)^2 end, {size = 2, reduction = reduction})
end, h.reals(2, 3), none)
add("custom", "of classes", function (l, reduction)
  return l.loss.custom(function (out, y) return (1 - l.pick(l.softmax(out), y))^2 end,
    {target = "index", reduction = reduction})
end, CLASSES, none)

local ctc = {unmasked = true, checkpoint = "across", lengths = {2, 5, 3}}
for how, options in pairs {plain = {}, ["another blank, labels that may not fit"] = {blank = 4, zero_infinity = true,
  labels = "spelled"}} do
  add("ctc", how ~= "plain" and how or nil, function (l, reduction)
    return l.loss.ctc(h.join(options, {reduction = reduction}))
  end, REALS, function () return "torch_ctc:mean" end, ctc)
end
