--- Successive halving: who is not among the best at a rung goes no further.
--
-- Rung r is the first report at step min_resource * reduction_factor^(min_early_stopping_rate + r) or later. What a
-- trial's value at a rung is follows from its reports, so nothing but them has to be kept.
--
--   asha        stops trials (Li et al., "Massively Parallel Hyperparameter Tuning", MLSys 2020, without promotion, as
--               optuna/pruners/_successive_halving.py): at each rung the best 1/reduction_factor of those that came
--               there so far go on, and while there are fewer than reduction_factor the best one does
--   hyperband   several asha, one for each min_early_stopping_rate; trials are dealt to these brackets by a checksum of
--               the study's name and their number (optuna/pruners/_hyperband.py; Li et al., JMLR 2018)
--   promotion   pauses every trial at every rung, and lets those go on that turn out to be among the best
--               1/reduction_factor (the algorithm of the MLSys paper itself). A paused one resumes from its checkpoint.
--               Where a sampler learns, newcomers are among the best of all so far more often than one in
--               reduction_factor, and most of the time goes into whole trials; with `delay` a rung lets the next one
--               go on only when reduction_factor times as many have come to it as have gone on (D-ASHA in Li et al.,
--               "Hyper-Tune: Towards Efficient Hyper-parameter Tuning at Scale", VLDB 2022)
--
-- "auto" takes the resource from the complete trial that ended first, so it does not change when others end. Trials
-- that run at that moment are judged at the rungs they come to from then on, and count at those they have passed
-- (in Optuna they are judged late, and the first trial does not count).

return function (lurn)
  local schema, kinds = lurn.schema, lurn.pruner.kinds

  local HALVING = {
    min_resource = {"integer|string", "auto", {1, 2^53}, "the first rung's step; auto: a hundredth of a whole trial"},
    reduction_factor = {"integer", 4, {2, 2^31}, "one in so many goes on"},
    min_early_stopping_rate = {"integer", 0, {0, 62}, "rungs left out at the beginning"},
    bootstrap_count = {"integer", 0, {0, 2^53}, "trials at a rung before anybody goes on from it"},
  }

  local function check_auto (where, value, bootstrap)
    if type(value) == "string" and value ~= "auto" then
      error(("lurn.pruner: %s must be a number or auto, got %s"):format(where, schema.describe(value)), 4)
    end
    if value == "auto" and bootstrap > 0 then
      error(("lurn.pruner: bootstrap_count needs a number for %s, not auto"):format(where), 4)
    end
  end

  -- Position of the first report at a step or later, or nil.
  local function first_from (reports, step)
    local low, high = 1, #reports + 1
    while low < high do
      local middle = (low + high) // 2
      if reports[middle][1] >= step then high = middle else low = middle + 1 end
    end
    return reports[low] and low
  end

  -- The trial's value at a rung, "smaller is better"; nil where it was not, or had a NaN. A stopped trial whose last
  -- report jumped over several rungs was stopped at the first of them.
  local function value_at_rung (self, trial, step, step_before)
    local reports = trial.reports
    local at = reports and first_from(reports, step)
    if not at then return nil end
    if trial.state == "PRUNED" and at == #reports and step_before and first_from(reports, step_before) == at then
      return nil
    end
    local value = self.sign * reports[at][2]
    if value == value then return value end
  end

  -- How many others have been at a rung, and how many of them were better than a value. key: of the rung and of
  -- those that count, `counts`.
  local function others_at (self, trial, trials, value, rung)
    local function value_of (other)
      return rung.counts(other) and value_at_rung(self, other, rung.step, rung.before) or nil
    end
    local h = self:history(trials)
    local values = self.sorted(h, rung.key .. rung.step, value_of)
    local n, better = values.n, values:place(value) - 1
    for _, i in ipairs(h.open) do
      local other = trials[i].number ~= trial.number and value_of(trials[i])
      if other then n, better = n + 1, better + (other < value and 1 or 0) end
    end
    return n, better
  end

  local function everybody () return true end

  -- Plays all rungs that the newest report is the first to reach. key, counts: who is compared.
  local function halve (self, trial, trials, resource, rate, key, counts)
    local reports = trial.reports or {}
    local newest, before = reports[#reports], reports[#reports - 1]
    if not newest or not resource then return nil end
    local rung = {step = math.tointeger(resource * self.reduction_factor ^ rate), key = key, counts = counts}
    while rung.step and newest[1] >= rung.step do
      if not (before and before[1] >= rung.step) then
        local value = self.sign * newest[2]
        if value ~= value then return "prune", ("step %d: NaN at a rung"):format(newest[1]) end
        local n, better = others_at(self, trial, trials, value, rung)
        n = n + 1
        if n <= self.bootstrap_count or better >= math.max(n // self.reduction_factor, 1) then
          return "prune", ("step %d: %g is not among the best 1/%d of %d at the rung of step %d"):format(newest[1],
            newest[2], self.reduction_factor, n, rung.step)
        end
      end
      rung.before, rung.step = rung.step, math.tointeger(rung.step * (self.reduction_factor + 0.0))
    end
  end

  -- ---- asha -----------------------------------------------------------------------------------------

  local asha = {declaration = HALVING}
  kinds.asha = asha

  function asha:start () check_auto("asha: min_resource", self.min_resource, self.bootstrap_count) end

  function asha:decide (trial, trials)
    local resource = self.min_resource
    if resource == "auto" then
      local length = self:history(trials).length
      resource = length and math.max(length // 100, 1)
    end
    return halve(self, trial, trials, resource, self.min_early_stopping_rate, "", everybody)
  end

  -- ---- hyperband ------------------------------------------------------------------------------------

  local hyperband = {declaration = {
    min_resource = {"integer", 1, {1, 2^53}, "the first rung's step in the first bracket"},
    max_resource = {"integer|string", "auto", {1, 2^53}, "steps of a whole trial; auto: of the first complete one"},
    reduction_factor = {"integer", 3, {2, 2^31}, "one in so many goes on"},
    bootstrap_count = HALVING.bootstrap_count,
  }}
  kinds.hyperband = hyperband

  function hyperband:start ()
    check_auto("hyperband: max_resource", self.max_resource, self.bootstrap_count)
    self.sums = {}                -- checksums by number, worked out once
    self.dealt = setmetatable({}, {__mode = "k"})
  end

  -- CRC-32 (ISO 3309, the one of zlib), bit by bit: texts are short.
  local function crc32 (text)
    local crc = 0xffffffff
    for i = 1, #text do
      crc = crc ~ text:byte(i)
      for _ = 1, 8 do crc = crc >> 1 ~ (crc & 1) * 0xedb88320 end
    end
    return crc ~ 0xffffffff
  end

  --- How many of all trials each bracket gets, as whole numbers that are compared with their sum: of nb brackets
  -- ceil(nb eta^s / (s + 1)), s = nb - 1 down to 0, nb = floor(log_eta(max / min)) + 1 counted in whole numbers (the
  -- logarithm of 243 to base 3 is below 5 in floating point). nil while max_resource is not known.
  ---@param trials? table
  ---@return integer[]?
  function hyperband:shares (trials)
    local eta, most = self.reduction_factor, self.max_resource
    if most == "auto" then
      local length = trials and self:history(trials).length
      if not length then return nil end
      most = length + 1
    end
    local brackets, resource = 1, self.min_resource * eta
    while resource <= most do brackets, resource = brackets + 1, resource * eta end
    local shares = {}
    for s = brackets - 1, 0, -1 do shares[#shares + 1] = (brackets * eta ^ s // 1 + s) // (s + 1) | 0 end
    return shares
  end

  local function bracket_in (self, shares, number)
    local total, sum = 0, self.sums[number]
    if not sum then
      sum = crc32(("%s_%d"):format(self.study, number))
      self.sums[number] = sum
    end
    for _, share in ipairs(shares) do total = total + share end
    local left = sum % total
    for b, share in ipairs(shares) do
      if left < share then return b - 1 end
      left = left - share
    end
  end

  --- The bracket, from 0, of a configuration's trials; 0 while brackets are not known. All seeds of one are together.
  ---@param number integer
  ---@param trials? table
  function hyperband:bracket (number, trials)
    local shares = self:shares(trials)
    return shares and bracket_in(self, shares, number) or 0
  end

  local finished = lurn.store_state.OVER

  -- Trials by bracket, in order; `open` says where those stand that are not finished, and may be other tables by now.
  local function deal (self, trials, shares)
    local d = self.dealt[trials]
    if not d or d.brackets ~= #shares then
      d = {brackets = #shares, seen = 0, open = {}}
      for b = 0, #shares - 1 do d[b] = {} end
      self.dealt[trials] = d
    end
    for i = d.seen + 1, #trials do
      local list = d[bracket_in(self, shares, trials[i].config or trials[i].number)]
      list[#list + 1] = trials[i]
      d.open[#d.open + 1] = {i = i, list = list, at = #list}
    end
    d.seen = #trials
    local left = {}
    for _, o in ipairs(d.open) do
      o.list[o.at] = trials[o.i]
      if not finished[trials[o.i].state] then left[#left + 1] = o end
    end
    d.open = left
    return d
  end

  --- Those of the same bracket: one list, which grows with the trials.
  function hyperband:peers (number, trials)
    local shares = self:shares(trials)
    return shares and deal(self, trials, shares)[bracket_in(self, shares, number)] or trials
  end

  function hyperband:decide (trial, trials)
    local shares = self:shares(trials)
    if not shares then return nil end
    local bracket = bracket_in(self, shares, trial.config or trial.number)
    return halve(self, trial, trials, self.min_resource, bracket, ("%d of %d: "):format(bracket, #shares),
      function (other) return bracket_in(self, shares, other.config or other.number) == bracket end)
  end

  -- ---- promotion ------------------------------------------------------------------------------------

  local promotion = {declaration = {
    min_resource = {"integer", 1, {1, 2^53}, "the first rung's step"},
    max_resource = {"integer", nil, {1, 2^53}, "no rung from this step on: there a trial goes to its end"},
    reduction_factor = HALVING.reduction_factor,
    min_early_stopping_rate = HALVING.min_early_stopping_rate,
    delay = {"boolean", false, nil, "never more than one in reduction_factor has gone on"},
  }}
  kinds.promotion = promotion

  -- The step of rung r, from 0, or nil when there is no such rung.
  local function rung_step (self, r)
    local step = self.min_resource * self.reduction_factor ^ (self.min_early_stopping_rate + r)
    if step < math.min(self.max_resource or math.huge, 2^53) then return math.tointeger(step) end
  end

  -- The highest rung that a step reaches, or -1.
  local function rung_of (self, step)
    local r = -1
    while step do
      local next_step = rung_step(self, r + 1)
      if not next_step or step < next_step then return r end
      r = r + 1
    end
    return r
  end

  --- The step up to which a trial may go now; nil: to its end.
  function promotion:budget (trial)
    return rung_step(self, rung_of(self, self:last(trial)) + 1)
  end

  -- A ladder is what is kept of a list of trials. Each of its rungs, from 1 for rung 0, has two orders of {value,
  -- number}, best first: `all` that have been there, and who of them `rests` there. `places`: a trial's, by its number
  -- and rung; `trials`: what they were made of.
  local function new_ladder () return {rungs = {}, places = {}, trials = {}} end

  local function ahead (a, b) return a.value < b.value or a.value == b.value and a.number < b.number end

  local function rung_at (ladder, k)
    local rung = ladder.rungs[k]
    if not rung then
      rung = {all = lurn.ranks.new(ahead), rests = lurn.ranks.new(ahead)}
      ladder.rungs[k] = rung
    end
    return rung
  end

  -- Puts a trial where it stands by now.
  local function stand (self, ladder, trial)
    local number = trial.number
    for k, place in next, ladder.places[number] or {} do
      ladder.rungs[k].all:remove(place)
      ladder.rungs[k].rests:remove(place)
    end
    local places, top = {}, trial.state == "FAIL" and -1 or rung_of(self, self:last(trial))
    ladder.trials[number], ladder.places[number] = trial, places
    for r = 0, top do
      local rung, value = rung_at(ladder, r + 1), value_at_rung(self, trial, rung_step(self, r))
      if value then
        places[r + 1] = {value = value, number = number}
        rung.all:add(places[r + 1])
        if r == top and trial.state == "PAUSED" then rung.rests:add(places[r + 1]) end
      end
    end
  end

  local function ladder_of (self, trials)
    local function take (ladder, trial) stand(self, ladder, trial) end
    return lurn.changes.follow(self.ladders, trials, function ()
      local ladder = new_ladder()
      for _, trial in ipairs(trials) do stand(self, ladder, trial) end
      return ladder
    end, take)
  end

  -- Of those that rest at a rung the first one goes on first, so the others need no look.
  local function next_up (self, ladder)
    for k = #ladder.rungs, 1, -1 do
      local all, rests = ladder.rungs[k].all, ladder.rungs[k].rests
      local first, most = rests:first(), all.n // self.reduction_factor
      local open = not self.delay or all.n - rests.n < most
      if open and first and all:place(first) <= most then return first.number end
    end
  end

  function promotion:start () self.ladders = setmetatable({}, {__mode = "k"}) end

  --- The paused trial that may go on: the highest rung first, there the best of its best 1/reduction_factor that
  -- has not gone on yet.
  ---@param trials table
  ---@return integer? number
  function promotion:promote (trials) return next_up(self, ladder_of(self, trials)) end

  -- Whether the trial would go on at once if it were paused.
  local function goes_on (self, trial, trials)
    local ladder = ladder_of(self, trials)
    local was = ladder.trials[trial.number]
    if not was then return false end
    stand(self, ladder, {number = trial.number, state = "PAUSED", reports = trial.reports})
    local number = next_up(self, ladder)
    stand(self, ladder, was)
    return number == trial.number
  end

  function promotion:decide (trial, trials)
    local step, value = self:last(trial)
    local before = trial.reports and trial.reports[#trial.reports - 1]
    if not step or rung_of(self, step) == rung_of(self, before and before[1]) then return nil end
    if value ~= value then return "prune", ("step %d: NaN at a rung"):format(step) end
    if goes_on(self, trial, trials) then return nil end
    return "pause", ("step %d: waits at the rung of step %d"):format(step, rung_step(self, rung_of(self, step)))
  end
end
