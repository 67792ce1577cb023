--- Optimisers: lurn.optim.adam(model, {lr = 1e-3, clip_norm = 5, schedule = "cosine"}).
--
-- optim:step() ends a step as a transaction: gradients are clipped, and when their norm is finite the
-- parameters, the moments, the carried state and the counters change together. A norm that is not
-- finite changes nothing at all and is returned for the script to decide.
--
-- Names, defaults and formulas are torch.optim's (core/optim.c).

return function (lurn)
  local schema, core = lurn.schema, lurn.core
  local M = {}

  local COMMON = {
    lr = {"number", nil, {0, 1e6}, "learning rate"},
    weight_decay = {"number", 0, {0, 1e6}, "L2 penalty; decoupled for adamw"},
    clip_norm = {"number", 0, {0, 1e30}, "largest global norm of the gradient; 0: any"},
    clip_layer = {"number", 0, {0, 1e30}, "largest norm of the gradient of one layer; 0: any"},
    clip_value = {"number", 0, {0, 1e30}, "largest size of one gradient element; 0: any"},
    schedule = {"string|table", "constant", nil,
      "of the rate: a name, or {name, warmup =, gamma =, every =, total =, low =}"},
    total = {"integer", nil, {1, 1e15}, "steps that the schedule spans; the run's by default"},
    groups = {"table", nil, nil,
      "list of {\"pattern\", lr =, weight_decay =, frozen =}; the first that fits a path counts"},
    accumulate = {"integer", 1, {1, 1e9}, "batches whose gradients make one step"},
  }

  local RULES = {
    sgd = {momentum = {"number", 0, {0, 1}, "share of the last update"},
      dampening = {"number", 0, {0, 1}, "of the gradient in the momentum"},
      nesterov = {"boolean", false, nil, "look ahead"}},
    rmsprop = {alpha = {"number", 0.99, {0, 1}, "smoothing"}, eps = {"number", 1e-8, {0, 1}, "added to the root"},
      centered = {"boolean", false, nil, "divide by the deviation"},
        momentum = {"number", 0, {0, 1}, "share of the last update"}},
    adagrad = {lr_decay = {"number", 0, {0, 1e6}, "of the rate"},
      eps = {"number", 1e-10, {0, 1}, "added to the root"},
      initial_accumulator = {"number", 0, {0, 1e30}, "where the sum of squares starts"}},
    adadelta = {rho = {"number", 0.9, {0, 1}, "smoothing"}, eps = {"number", 1e-6, {0, 1}, "inside the roots"}},
    adam = {beta1 = {"number", 0.9, {0, 1}, "of the mean"}, beta2 = {"number", 0.999, {0, 1}, "of the square"},
      eps = {"number", 1e-8, {0, 1}, "added to the root"}},
  }
  RULES.adamw = RULES.adam
  local RATES = {sgd = 1e-3, rmsprop = 1e-2, adagrad = 1e-2, adadelta = 1, adam = 1e-3, adamw = 1e-3}
  local DECAY = {adamw = 1e-2}

  local SCHEDULE = {
    {"any"},
    warmup = {"integer", 0, {0, 1e15}, "steps of linear warm-up"},
    gamma = {"number", nil, {0, 1e6}, "factor of step and exponential"},
    every = {"integer", nil, {1, 1e15}, "steps between the factors of step"},
    total = {"integer", nil, {1, 1e15}, "last step of cosine; the run's by default"},
    low = {"number", 0, {0, 1e6}, "rate at the end of cosine"},
    factor = {"number", 0.1, {0, 1}, "of plateau"},
    patience = {"integer", 10, {0, 1e9}, "of plateau: reports without a new best"},
    threshold = {"number", 1e-4, {0, 1e6}, "of plateau: relative improvement that counts"},
    cooldown = {"integer", 0, {0, 1e9}, "of plateau"}, min_lr = {"number", 0, {0, 1e6}, "of plateau"},
  }
  local NAMES = {constant = true, step = true, exponential = true, cosine = true, plateau = true}

  local function read_schedule (s)
    if type(s) == "string" then s = {s} end
    local o = schema.check("schedule", s, SCHEDULE)
    o.name = o[1] or "constant"
    if not NAMES[o.name] then
      error("schedule: expected constant, step, exponential, cosine or plateau, got " .. tostring(o.name), 4)
    end
    return o
  end

  local GROUP = {
    {"string"},
    lr = {"number", nil, {0, 1e6}, "rate of these parameters"},
    weight_decay = {"number", nil, {0, 1e6}, "decay of these parameters"},
    frozen = {"boolean", false, nil, "they do not change"},
  }

  -- A pattern that fits nothing is a mistake: what should be frozen would be trained.
  local function check_group (model, group)
    local g = schema.check("group", group, GROUP, 4)
    for _, p in ipairs(model:parameters()) do if p.path:find(g[1] or "") then return g end end
    error(("group '%s' fits no parameter of the model"):format(g[1]), 5)
  end

  -- What the engine is given of each parameter that a group names.
  local function read_groups (model, groups, lr, decay)
    if not groups then return nil end
    local list, out = {}, {}
    for i, g in ipairs(groups) do list[i] = check_group(model, g) end
    for _, p in ipairs(model:parameters()) do
      for _, g in ipairs(list) do
        if p.path:find(g[1] or "") then
          out[p.path] = {lr_scale = (g.lr or lr) / (lr > 0 and lr or 1), weight_decay = g.weight_decay or decay,
            frozen = g.frozen}
          break
        end
      end
    end
    return out
  end

  ---@class lurn.Optim
  ---@field lr number       the base rate; assigning it changes the rest of the run
  ---@field steps integer   committed steps
  local Optim = {}
  Optim.__index, Optim.__name = Optim, "lurn.Optim"

  function Optim.__tostring (self) return ("optim %s: lr %g, %d steps"):format(self.rule, self:rate(), self.steps) end

  local function declare (rule)
    local declared = {}
    for k, v in next, COMMON do declared[k] = v end
    for k, v in next, RULES[rule] do declared[k] = v end
    return declared
  end

  local function create (rule, declared, model, options)
    if type(model) ~= "table" or not model.native then
      error(("lurn.optim.%s: expected a model, then options, got %s"):format(rule, schema.describe(model)), 3)
    end
    local o = schema.check("lurn.optim." .. rule, options or {}, declared)
    for _, k in ipairs {"beta1", "beta2"} do      -- a mean that never moves is divided by zero
      if o[k] == 1 then error(("lurn.optim.%s: option '%s' must be below 1"):format(rule, k), 3) end
    end
    if (options or {}).weight_decay == nil then o.weight_decay = DECAY[rule] or 0 end
    local self = setmetatable({rule = rule, model = model, options = o, lr = o.lr or RATES[rule],
      first_lr = o.lr or RATES[rule], steps = 0, gathered = 0}, Optim)
    self.native = {rule = rule}
    for k in next, RULES[rule] do self.native[k] = o[k] end
    for _, k in ipairs {"weight_decay", "clip_norm", "clip_layer", "clip_value"} do self.native[k] = o[k] end
    self.schedule = read_schedule(o.schedule)
    self.groups = read_groups(model, o.groups, self.lr, o.weight_decay)
    self.flat, self.moments = model.native:moments(self.native)
    if o.accumulate > 1 then self.sum = lurn.zeros(model.native:flat()) end
    self.plateau = {best = math.huge, bad = 0, cooling = 0}
    if lurn.current then lurn.current:adopt("optim", self) end
    return self
  end

  --- The rate of the step that comes next.
  function Optim:rate ()
    local s = self.schedule
    if s.name == "plateau" then return core.lr({kind = "constant", base = self.lr}, self.steps + 1) end
    local total = s.total or self.options.total or (lurn.current and lurn.current.total)
    if s.name == "cosine" and not total then
      error("schedule cosine: total is not given and no run says how many steps there are", 3)
    end
    return core.lr({kind = s.name, base = self.lr, warmup = s.warmup, gamma = s.gamma, every = s.every,
      total = total, low = s.low}, self.steps + 1)
  end

  --- For schedule plateau: a report of the metric that should fall.
  function Optim:report (metric)
    if self.schedule.name == "plateau" then self.lr = core.plateau(self.schedule, self.plateau, metric, self.lr) end
  end

  local function finite (x) return x == x and x ~= math.huge and x ~= -math.huge end

  --- The end of a step: clip, update, commit. Returns the gradient's norm before it was scaled; a norm that is
  -- not finite has changed nothing, and neither has one that `accept` refuses. With accumulate = k only every k-th call
  -- changes the weights; the others commit the carried state and the sum of gradients, which a checkpoint keeps;
  -- it is then the batch's own norm that is refused.
  ---@param accept? fun(norm: number): boolean
  ---@return number norm
  ---@return boolean committed
  function Optim:step (accept)
    local _ <close> = lurn.patience.whole()
    local native, rate = self.model.native, self:rate()     -- a rate that is refused must not end half a step
    if self.sum then
      local norm = native:clip({rule = self.rule}, self.groups)
      if not finite(norm) or accept and not accept(norm) then
        self.model:rollback()
        return norm, false
      end
      if self.committed then self.committed() end
      native:accumulate(self.sum)
      self.gathered = self.gathered + 1
      if self.gathered < self.options.accumulate then
        self.model:commit()
        return norm, true
      end
      native:accumulate(self.sum, self.gathered)
      self.sum:fill(0)
      self.gathered = 0
    end
    local norm = native:clip(self.native, self.groups)
    if not finite(norm) or accept and not self.sum and not accept(norm) then
      self.model:rollback()
      return norm, false
    end
    self.native.lr = rate
    if self.committed then self.committed() end
    native:update(self.native, self.groups, self.steps + 1, self.flat)
    self.steps = self.steps + 1
    self.model:commit()
    return norm, true
  end

  local function has_begun (self) return self.steps > 0 or self.gathered > 0 end

  --- What a checkpoint keeps: {numbers =, tensors =}; load takes the same. Before the first step there are no tensors:
  -- they are as the script has made them.
  function Optim:save ()
    local tensors, begun = {}, has_begun(self)
    for _, m in ipairs(begun and self.moments or {}) do tensors[m.name] = m.value end
    if begun and self.sum then tensors.gradient_sum = self.sum end
    local best = self.plateau.best
    local numbers = {steps = self.steps, lr = self.lr, first_lr = self.first_lr, gathered = self.gathered,
      model_steps = self.model.step_count,
      plateau_best = finite(best) and best or nil, plateau_bad = self.plateau.bad,
      plateau_cooling = self.plateau.cooling}
    return {numbers = numbers, tensors = tensors}
  end

  --- Takes over what save gave.
  function Optim:load (saved)
    local n = saved.numbers
    if next(saved.tensors) ~= nil or n.steps > 0 then
      for _, m in ipairs(self.moments) do
        m.value:copy(saved.tensors[m.name] or error("the optimiser's " .. m.name .. " is missing", 2))
      end
    elseif has_begun(self) then
      self.flat, self.moments = self.model.native:moments(self.native)
      if self.sum then self.sum:fill(0) end
    end
    if self.sum and saved.tensors.gradient_sum then self.sum:copy(saved.tensors.gradient_sum) end
    self.steps, self.lr, self.gathered = n.steps, n.lr, n.gathered or 0
    if n.first_lr and n.first_lr ~= self.first_lr then self.lr = self.first_lr end      -- a fork that asks for another
    self.model.step_count = n.model_steps or n.steps
    self.plateau = {best = n.plateau_best or math.huge, bad = n.plateau_bad or 0, cooling = n.plateau_cooling or 0}
  end

  for rule in next, RULES do
    local declared = declare(rule)
    M[rule] = function (model, options) return create(rule, declared, model, options) end
  end
  return M
end
