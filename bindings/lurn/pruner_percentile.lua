--- Pruners that compare a trial with the finished ones at the same step.
--
--   percentile    stop when the trial's best value so far is worse than the percentile of the values that complete
--                 trials reported at this very step (optuna/pruners/_percentile.py)
--   median        the same with percentile = 50
--   median_mean   stop when the best so far is worse than the median of the others' running means up to this
--                 step (Golovin et al., "Google Vizier", KDD 2017, section 3.1; with the median of means)

return function (lurn)
  local pruner = lurn.pruner

  local function declare (more)
    local declaration = {
      n_startup_trials = {"integer", 5, {0, 2^53}, "nothing is stopped before so many trials are complete"},
      n_min_trials = {"integer", 1, {1, 2^53}, "values at a step that a comparison needs"},
    }
    for key, rule in pairs(pruner.interval) do declaration[key] = rule end
    for key, rule in pairs(more) do declaration[key] = rule end
    return declaration
  end

  -- The percentile q of a sorted list as NumPy has it: linear between neighbours, from the nearer one.
  local function percentile (sorted, q)
    local at = (sorted.n - 1) * (q / 100)
    local k = math.floor(at)
    local a, b, t = sorted:at(k + 1), sorted:at(math.min(k + 2, sorted.n)), at - k
    if t == 0 then return a end
    return t < 0.5 and a + (b - a) * t or b - (b - a) * (1 - t)
  end

  -- Whether a trial's best is worse than the percentile of what `value_of` says of the complete trials.
  local function decide (self, trial, trials, q, value_of)
    if not self:due(trial) then return nil end
    local step, h = self:last(trial), self:history(trials)
    if h.complete == 0 or h.complete < self.n_startup_trials then return nil end
    local best = self:best(trial)
    if not best then return "prune", ("step %d: nothing but NaN"):format(step) end
    local values, there = self.sorted(h, step, function (other)
      return other.state == "COMPLETE" and value_of(self, other, step) or nil
    end)
    if there < self.n_min_trials or values.n == 0 then return nil end
    local limit = percentile(values, q)
    if best > limit then
      return "prune", ("step %d: best %g is worse than %g, the percentile %g of %d"):format(step, self.sign * best,
        self.sign * limit, q, values.n)
    end
  end

  local kinds = pruner.kinds

  kinds.percentile = {declaration = declare {
    percentile = {"number", 25, {0, 100}, "this share of the trials goes on"},
  }}
  function kinds.percentile:decide (trial, trials)
    return decide(self, trial, trials, self.percentile, self.value_at)
  end

  kinds.median = {declaration = declare {}}
  function kinds.median:decide (trial, trials) return decide(self, trial, trials, 50, self.value_at) end

  -- The mean of what was reported up to a step; nil when nothing was.
  local function mean_to (self, trial, step)
    local sum, n = 0, 0
    for _, report in ipairs(trial.reports or {}) do
      if report[1] > step then break end
      sum, n = sum + report[2], n + 1
    end
    return n > 0 and self.sign * sum / n or nil
  end

  kinds.median_mean = {declaration = declare {}}
  function kinds.median_mean:decide (trial, trials) return decide(self, trial, trials, 50, mean_to) end
end
