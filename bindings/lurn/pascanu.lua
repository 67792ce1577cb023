--- A penalty on gradients that vanish or explode on their way back: Pascanu, Mikolov & Bengio 2013, equation 9.
--
--   Omega = sum over t of (r_t - 1)^2,   r_t = |dL/dh_t  dh_t/dh_(t-1)| / |dL/dh_t|
--   h_t = act(x_t Wx + h_(t-1) Wh + b):   dL/dh_t dh_t/dh_(t-1) = (dL/dh_t * act'(a_t)) Wh^T
--
-- It asks each step to hand the gradient back at the length at which it came, in the direction in which it came and in
-- no other; nothing is asked of the eigenvalues of Wh. A row is one term by itself. The step into a row's first frame
-- counts too; a frame that no gradient reaches has no direction and does not count.
--
-- As in the paper (equation 10) only the immediate partial derivative is taken: dL/dh_t and h_t are constants, what
-- BPTT found them to be, and Omega has a gradient in Wh alone. With d = dL/dh_t, D = act'(a_t), u = (d * D) Wh^T:
--
--   dOmega/dWh = sum over t of  2 (r - 1) / (|d| |u|)  u^T (d * D)
--
-- (nothing where u is zero: there Omega has a kink). This is not written here; it is what the engine derives from Omega
-- as a program of three operands. act' is known from h_t: 1 - h^2 for tanh, h > 0 for relu.
--
-- The default reduction, "mean" over the terms that count, is that of the authors' code (there r is squared before 1 is
-- taken off), so that a weight means the same for any length and batch; their weight is 2. "time" is the paper's sum
-- over t, averaged over rows; "sum" adds up everything.

return function (lurn)
  local schema, core = lurn.schema, lurn.core

  -- act'(a) as a function of h = act(a).
  local slopes = {
    tanh = function (h) return 1 - h * h end,
    relu = function (h) return lurn.gt(h, 0) end,
  }

  local PASCANU = {
    {"number", nil, {0, 1e30}},
    reduction = {"string", "mean", {"mean", "time", "sum"}, "how terms become one number"},
  }

  -- Each row of d is divided by its largest element, which changes no ratio and keeps squares in range.
  local function omega (program, slope, hidden, path, reduction)
    local d = program:input("x", "real", "time", {hidden})
    local h = program:input("h", "real", "time", {hidden})
    local wh = program:param(path .. ".Wh", {hidden, hidden}, 0)
    local size = lurn.max(lurn.abs(d))
    local counts = lurn.gt(size, 0)
    d = d / lurn.where(counts, size, 1)
    local u = program:emit("product", nil, d * slope(h), wh, 0, 1)
    local before, after = lurn.sum(d * d), lurn.sum(u * u)
    local moves = lurn.gt(after, 0)
    local r = lurn.where(moves, lurn.sqrt(lurn.where(moves, after, 1) / lurn.where(counts, before, 1)), 0)
    return (program:reduce((r - 1)^2, counts, reduction))
  end

  ---@class lurn.Penalty
  local Penalty = {}
  Penalty.__index = Penalty

  -- The player of weight * Omega, made when it is first asked for.
  local function open (self)
    local program = core.program()
    program:output("loss", self.weight * omega(program, self.slope, self.hidden, self.path, self.reduction))
    self.native = core.model(program)
    self.player = self.native:player {grad = true, carry = false}
    self.wh = self.native:parameters()[1]
  end

  --- Adds the gradient of weight * Omega to the model's, after its backward pass. Returns weight * Omega.
  ---@param model lurn.Model
  function Penalty:add (model)
    local played = model:player()
    local d = played:output(("grad:%s.h"):format(self.path))
    if not d then return 0.0 end
    if not self.native then open(self) end
    local target
    for _, p in ipairs(model:parameters()) do if p.path == self.wh.path then target = p end end
    self.wh.value:copy(target.value)
    self.native:touch()
    local batch = core.batch {x = d, h = played:output(("value:%s.h"):format(self.path)), lengths = model.batch.lengths}
    local value = lurn.patience.attempt_both(self.player, 3, batch, model.seed, model.step_count, "train")
    target.grad:add_(self.wh.grad)
    return value
  end

  --- The penalty of one layer of lurn.rnn {pascanu = ...}.
  ---@param o table      the layer's options
  ---@param path string
  return function (o, path)
    local given = schema.check("lurn.rnn: pascanu", type(o.pascanu) == "table" and o.pascanu or {o.pascanu}, PASCANU)
    local slope = slopes[o.activation]
    if not slope then
      error(("lurn.rnn: pascanu: its closed form is for tanh and relu, not for '%s'"):format(o.activation), 0)
    end
    if o.recurrent_dropout > 0 or o.zoneout ~= 0 then
      error("lurn.rnn: pascanu: its closed form knows neither recurrent_dropout nor zoneout", 0)
    end
    return setmetatable({path = path, hidden = o.hidden, slope = slope, weight = given[1] or 1,
      reduction = given.reduction}, Penalty)
  end
end
