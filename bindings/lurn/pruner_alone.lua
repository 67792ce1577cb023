--- Pruners that look at a trial alone. patient and health can have another one inside, `pruner = {name =, ...}` or its
-- name.
--
--   threshold   stop when the newest value is below lower, above upper or NaN (optuna/pruners/_threshold.py)
--   patient     stop, or ask the pruner inside, when the last patience + 1 reports brought nothing better than those
--               before, by min_delta (optuna/pruners/_patient.py)
--   health      stop what goes wrong the way recurrent networks do, else ask the pruner inside:
--                 a value, or one of the metrics, that is not finite;
--                 a loss that has exploded: more than loss_factor times the least so far (where smaller is better);
--                 a gradient norm that has exploded: more than norm_factor times the median of those before it;
--                 saturation: a metric of model:diagnose that says so (shares of tanhs, those of states and
--                 candidates, beyond 0.9; of dead units) and stays at `saturated` or above. Sigmoids do not count:
--                 a gate that is always open is one that remembers
--               the last three for as many reports in a row as `reports` says
--
-- trial.metrics has what a trial reports beside its value: name -> list of {step, value}, the newest last.

return function (lurn)
  local pruner, kinds = lurn.pruner, lurn.pruner.kinds

  local function declare (more, interval)
    local declaration = {}
    for key, rule in pairs(interval and pruner.interval or {}) do declaration[key] = rule end
    for key, rule in pairs(more) do declaration[key] = rule end
    return declaration
  end

  -- ---- one inside another ------------------------------------------------------------------------------

  local INSIDE = {"table|string", nil, nil, "another pruner, a name or {name =, options}, that is asked then"}

  -- Makes the pruner inside. Its promote, budget and peers are those of the whole.
  local function start_inside (self)
    local given = self.pruner
    if not given then return end
    if type(given) == "string" then given = {name = given} end
    local options = {direction = self.direction, study = self.study}
    for key, value in pairs(given) do if key ~= "name" then options[key] = value end end
    self.inside = pruner.new(given.name, options)
  end

  local function delegate (kind)
    kind.start = start_inside
    function kind:promote (...) return self.inside and self.inside:promote(...) end
    function kind:budget (...) return self.inside and self.inside:budget(...) end
    function kind:peers (number, trials)
      return self.inside and self.inside:peers(number, trials) or trials
    end
  end

  -- ---- threshold ------------------------------------------------------------------------------------------

  local threshold = {declaration = declare({
    lower = {"number", nil, nil, "values below are outliers"},
    upper = {"number", nil, nil, "values above are outliers"},
  }, true)}
  kinds.threshold = threshold

  function threshold:start ()
    if not self.lower and not self.upper then error("lurn.pruner: threshold: give lower, upper or both", 3) end
    if (self.lower or -math.huge) > (self.upper or math.huge) then
      error(("lurn.pruner: threshold: lower %g is above upper %g"):format(self.lower, self.upper), 3)
    end
  end

  function threshold:decide (trial)
    if not self:due(trial) then return nil end
    local step, value = table.unpack(trial.reports[#trial.reports])
    if value ~= value then return "prune", ("step %d: NaN"):format(step) end
    if self.lower and value < self.lower then
      return "prune", ("step %d: %g is below %g"):format(step, value, self.lower)
    end
    if self.upper and value > self.upper then
      return "prune", ("step %d: %g is above %g"):format(step, value, self.upper)
    end
  end

  -- ---- patient --------------------------------------------------------------------------------------------

  local patient = {declaration = {
    patience = {"integer", 5, {0, 2^53}, "reports without anything better"},
    min_delta = {"number", 0, {0, 1e300}, "how much better it has to be"},
    pruner = INSIDE,
  }}
  kinds.patient = patient
  delegate(patient)

  function patient:decide (trial, trials)
    local n = trial.reports and #trial.reports or 0
    local border = n - self.patience - 1
    if border < 1 then return nil end
    local before, since = self:best(trial, 1, border), self:best(trial, border + 1, n)
    if not before or not since or not (before + self.min_delta < since) then return nil end
    if self.inside then return self.inside:decide(trial, trials) end
    return "prune", ("step %d: nothing better than %g for %d reports"):format(trial.reports[n][1], self.sign * before,
      self.patience + 1)
  end

  -- ---- health ---------------------------------------------------------------------------------------------

  local health = {declaration = {
    loss_factor = {"number", 10, {1, 1e300}, "times the least loss so far is an explosion"},
    norm_factor = {"number", 1000, {1, 1e300}, "times the median gradient norm so far is an explosion"},
    norm = {"string", "grad_norm", nil, "the metric that is the gradient norm"},
    saturated = {"number", 0.98, {0, 1}, "share of units from which on a layer counts as saturated"},
    reports = {"integer", 3, {1, 2^53}, "in a row that have to be bad; what is not finite counts at once"},
    pruner = INSIDE,
  }}
  kinds.health = health
  delegate(health)

  local function finite (x) return x == x and x ~= math.huge and x ~= -math.huge end

  -- Whether the last `many` of a list are all bad; bad (value, values before it).
  local function all_bad (list, many, bad)
    if #list < many then return false end
    for i = #list - many + 1, #list do
      if not bad(list[i][2], i) then return false end
    end
    return true
  end

  local function median_before (list, i)
    local values = {}
    for k = 1, i - 1 do values[k] = list[k][2] end
    table.sort(values)
    local n = #values
    return n > 0 and (values[(n + 1) // 2] + values[n // 2 + 1]) / 2 or math.huge
  end

  -- Names that model:diagnose gives to shares of units with nothing to say (diagnose.lua).
  local function is_share (name) return name:find "%.saturated$" or name:find "%.dead$" end

  local function loss_exploded (self, reports)
    if self.sign < 0 then return false end
    return all_bad(reports, self.reports, function (value, i)
      local least = math.huge
      for k = 1, i - 1 do least = math.min(least, reports[k][2]) end
      return least > 0 and least < math.huge and value > self.loss_factor * least
    end)
  end

  -- The norm is compared with what it was before the bad reports began.
  local function norm_exploded (self, list)
    local usual = median_before(list, #list - self.reports + 1)
    return all_bad(list, self.reports, function (value) return value > self.norm_factor * usual end)
  end

  local function sick_metric (self, name, list)
    local step, value = list[#list][1], list[#list][2]
    if not finite(value) then return ("step %d: %s is %g"):format(step, name, value) end
    if name == self.norm and norm_exploded(self, list) then
      return ("step %d: the gradient has exploded, %s is %g"):format(step, name, value)
    end
    if is_share(name) and all_bad(list, self.reports, function (share) return share >= self.saturated end) then
      return ("step %d: saturated, %s is %.3g"):format(step, name, value)
    end
  end

  local function sickness (self, trial)
    local reports, names = trial.reports or {}, {}
    local newest = reports[#reports]
    if newest and not finite(newest[2]) then return ("step %d: the value is %g"):format(newest[1], newest[2]) end
    if newest and loss_exploded(self, reports) then
      return ("step %d: the loss has exploded, it is %g"):format(newest[1], newest[2])
    end
    for name, list in pairs(trial.metrics or {}) do if list[1] then names[#names + 1] = name end end
    table.sort(names)
    for _, name in ipairs(names) do
      local why = sick_metric(self, name, trial.metrics[name])
      if why then return why end
    end
  end

  function health:decide (trial, trials)
    local why = sickness(self, trial)
    if why then return "prune", why end
    if self.inside then return self.inside:decide(trial, trials) end
  end
end
