--- Pruners: who stops trials that lose. Pure functions of a trial's reports and of those of the others.
--
--   local pruner = lurn.pruner.new("median", {direction = "minimize"})
--   local verdict, why = pruner:decide(trial, trials)          nil, "prune" or "pause"
--   local number = pruner:promote(trials)                      a paused trial that may go on, or nil
--   local step = pruner:budget(trial)                          up to which step it may go now, or nil
--   local others = pruner:peers(number, trials)                those that a sampler should look at for this number
--
-- trial.reports is a list of {step, value} in order of step, the newest last. Names, defaults and rules are Optuna's
-- (optuna/pruners/) where Optuna has the pruner. All values are made "smaller is better" inside.
--
--   nop                                 never stops anything
--   median, percentile, median_mean     against the others at the same step (pruner_percentile.lua)
--   threshold, patient, health          against itself (pruner_alone.lua)
--   asha, hyperband, promotion          successive halving (pruner_halving.lua)

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local COMMON = {
    direction = {"string", "minimize", {"minimize", "maximize"}, "what is better"},
    study = {"string", "", nil, "the study's name: hyperband deals trials to brackets by it"},
  }

  ---@class lurn.Pruner
  ---@field name string
  ---@field sign integer   1, or -1 where larger is better
  local Pruner = {}
  Pruner.__index = Pruner

  --- The kinds there are, by name. A kind has `declaration` (its options), `decide`, and of `start`, `promote`,
  -- `budget` and `peers` what it needs.
  M.kinds = {}

  --- Makes a pruner.
  ---@param name string
  ---@param options? table   direction, study and those of the kind
  ---@return lurn.Pruner
  function M.new (name, options)
    local kind = M.kinds[name]
    if not kind then
      local names = {}
      for known in pairs(M.kinds) do names[#names + 1] = known end
      error(schema.unknown("lurn.pruner: unknown pruner", tostring(name), names), 2)
    end
    kind.__index = kind
    setmetatable(kind, Pruner)
    local declaration = {}
    for key, rule in pairs(COMMON) do declaration[key] = rule end
    for key, rule in pairs(kind.declaration) do declaration[key] = rule end
    local self = setmetatable(schema.check("lurn.pruner: " .. name, options, declaration), kind)
    self.name, self.sign = name, self.direction == "maximize" and -1 or 1
    if self.start then self:start() end
    return self
  end

  function Pruner.promote () return nil end
  function Pruner.budget () return nil end
  function Pruner.peers (_, _, trials) return trials end

  --- The newest report: step and value made "smaller is better"; nil without reports.
  function Pruner:last (trial)
    local report = trial.reports and trial.reports[#trial.reports]
    if report then return report[1], self.sign * report[2] end
  end

  --- The value, "smaller is better", that a trial reported at a step, or nil.
  function Pruner:value_at (trial, step)
    local list = trial.reports or {}
    local low, high = 1, #list
    while low <= high do
      local middle = (low + high) // 2
      local at = list[middle][1]
      if at == step then return self.sign * list[middle][2] end
      if at < step then low = middle + 1 else high = middle - 1 end
    end
  end

  --- The least value so far, NaN left out; nil when all are NaN.
  function Pruner:best (trial, first, last)
    local best
    local list = trial.reports or {}
    for i = first or 1, last or #list do
      local value = self.sign * list[i][2]
      if value == value and (not best or value < best) then best = value end
    end
    return best
  end

  --- Whether a check is due at the newest report: the first one at or after warmup, warmup + interval, ...
  function Pruner:due (trial)
    local step = self:last(trial)
    if not step or step < self.n_warmup_steps then return false end
    local check = (step - self.n_warmup_steps) // self.interval_steps * self.interval_steps + self.n_warmup_steps
    local before = trial.reports[#trial.reports - 1]
    return not before or before[1] < check
  end

  --- Options of pruners that check every so often.
  M.interval = {
    n_warmup_steps = {"integer", 0, {0, 2^53}, "nothing is stopped below this step"},
    interval_steps = {"integer", 1, {1, 2^53}, "steps between two checks"},
  }

  M.kinds.nop = {declaration = {}}
  function M.kinds.nop.decide () return nil end

  return M
end
