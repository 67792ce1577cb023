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
-- trials may be one list that grows and changes from call to call, as a store keeps it: those in it that are finished
-- are looked at once, so that a verdict does not cost more the more there are. A finished trial must stay what it is.
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
    local self = schema.of_kind("pruner", M.kinds, Pruner, COMMON, name, options)
    self.sign = self.direction == "maximize" and -1 or 1
    self.histories = setmetatable({}, {__mode = "k"})
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

  -- ---- many trials --------------------------------------------------------------------------------

  local finished = lurn.store_state.OVER

  -- Notes a finished trial: how many are complete, and the last step of the complete one that ended first.
  local function note_finished (h, trial)
    h.finished[#h.finished + 1] = trial
    if trial.state ~= "COMPLETE" then return end
    h.complete = h.complete + 1
    local reports, ended = trial.reports, trial.ended or math.huge
    if reports and reports[1] and (not h.length or ended < h.ended) then
      h.length, h.ended = reports[#reports][1], ended
    end
  end

  --- What is kept of a list of trials: `finished` in the order in which they were found so, `open` the places of the
  -- others, `complete` how many are, `length` the last step of the complete one that ended first.
  function Pruner:history (trials)
    local h = self.histories[trials]
    if not h then
      h = {seen = 0, open = {}, finished = {}, complete = 0, sorted = {}}
      self.histories[trials] = h
    end
    for i = h.seen + 1, #trials do h.open[#h.open + 1] = i end
    h.seen = #trials
    local left = {}
    for _, i in ipairs(h.open) do
      if finished[trials[i].state] then note_finished(h, trials[i]) else left[#left + 1] = i end
    end
    h.open = left
    return h
  end

  --- Values of finished trials in order (lurn.ranks), NaN left out; and how many there are with NaN. Kept under a key.
  ---@param h table                      a history
  ---@param key any                      stands for value_of
  ---@param value_of fun(trial): number? nil: the trial does not count
  function Pruner.sorted (h, key, value_of)
    local kept = h.sorted[key]
    if not kept then
      kept = {looked = 0, there = 0}
      h.sorted[key] = kept
    end
    local more = {}
    for k = kept.looked + 1, #h.finished do
      local value = value_of(h.finished[k])
      if value then kept.there = kept.there + 1 end
      if value and value == value then more[#more + 1] = value end
    end
    kept.looked = #h.finished
    if not kept.values then
      table.sort(more)
      kept.values = lurn.ranks.new(nil, more)
    else
      for _, value in ipairs(more) do kept.values:add(value) end
    end
    return kept.values, kept.there
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
