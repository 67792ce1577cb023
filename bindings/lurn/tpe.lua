--- The sampler "tpe": tree-structured Parzen estimator (Bergstra et al., NIPS 2011), with Optuna 5's rules and defaults
-- (optuna/samplers/_tpe/sampler.py): multivariate kernels, constant liar, 10 random configurations first.
--
-- The best of what is finished (a tenth, at most 25) make one mixture of kernels, l(x); the rest, and what is still
-- running, make another, g(x). 24 candidates are drawn from l; the one with the largest l(x) / g(x) is
-- proposed. The mixtures are core/parzen.c.
--
-- Parameters that are not always there (`when`) are dealt with in groups: parameters that always come together share a
-- mixture, made of the trials that have them all.
--
-- A configuration with several seeds is one observation: its value is the mean over the seeds that are complete.
-- The note says which trials were open at the time (the rest is what became of them), so a proposal can be repeated.

return function (lurn)
  local space, parzen = lurn.space, lurn.core.parzen
  local tpe = {declaration = {
    n_startup_trials = {"integer", 10, {0, 1e9}, "finished configurations before the model is used"},
    n_ei_candidates = {"integer", 24, {1, 4096}, "drawn for each proposal"},
    constant_liar = {"boolean", true, nil, "what is running counts among the bad"},
    multivariate = {"boolean", true, nil, "one mixture over all parameters; false: one for each"},
    group = {"boolean", true, nil,
      "parameters that come together share a mixture; false: only those of every trial do, as Optuna's default"},
  }}
  lurn.sampler.kinds.tpe = tpe

  -- ---- what was seen --------------------------------------------------------------------------------

  -- How a trial counts. What waits or is paused has a configuration, like what runs.
  local counts = {COMPLETE = "complete", PRUNED = "pruned", PAUSED = "pruned", RUNNING = "running", WAITING = "running"}

  -- One configuration of all its trials: complete as soon as one of them is, else pruned, else running.
  local function add_seed (c, trial)
    local kind = counts[trial.state]
    if kind == "complete" then
      c.sum, c.seeds = (c.sum or 0) + trial.value, (c.seeds or 0) + 1
      c.state, c.value = "COMPLETE", c.sum / c.seeds
    elseif c.state ~= "COMPLETE" and (kind == "pruned" or not c.state) then
      c.state, c.reports = trial.state, trial.reports
    end
  end

  --- Trials as configurations, in order of their numbers; without the constant liar only the finished ones.
  function tpe:configurations (trials)
    local by, list = {}, {}
    for _, trial in ipairs(trials) do
      local kind, number = counts[trial.state], trial.config or trial.number
      if kind and (self.constant_liar or kind ~= "running") then
        local c = by[number]
        if not c then
          c = {number = number, params = trial.params}
          by[number], list[#list + 1] = c, c
        end
        add_seed(c, trial)
      end
    end
    table.sort(list, function (a, b) return a.number < b.number end)
    return list
  end

  -- Pruned trials: who came further is better, then whose last value is; who reported nothing is last.
  local function pruned_before (sign)
    local function key (trial)
      local last = trial.reports and trial.reports[#trial.reports]
      if not last then return 1, 0 end
      return -last[1], last[2] == last[2] and sign * last[2] or math.huge
    end
    return function (a, b)
      local step, value = key(a)
      local other_step, other_value = key(b)
      if step ~= other_step then return step < other_step end
      if value ~= other_value then return value < other_value end
      return a.number < b.number
    end
  end

  local MOST_GOOD = 25
  local function gamma (n) return math.min(math.ceil(0.1 * n), MOST_GOOD) end

  -- Puts a trial into the list of the best, the earlier one first of equals.
  local function among_best (view, trial, value)
    local best, values, n = view.best, view.values, view.good
    if n == MOST_GOOD and value > values[n] then return end
    n = math.min(n + 1, MOST_GOOD)
    local at = n
    while at > 1 and value <= values[at - 1] do
      best[at], values[at] = best[at - 1], values[at - 1]
      at = at - 1
    end
    best[at], values[at], view.good = trial, value, n
  end

  -- Notes the parameters of a configuration. Those of one number hardly ever change; what was made of others is
  -- forgotten.
  local function learn (self, number, params)
    local names = {}
    for name in pairs(params) do if self.open[name] then names[#names + 1] = name end end
    table.sort(names)
    self.params[number], self.kind[number] = params, table.concat(names, "\0")
    for _, pair in pairs(self.pairs_of) do pair.below.places[number], pair.above.places[number] = nil, nil end
  end

  --- Looks at every configuration once, the newest first, since those tend to be the better ones.
  ---@param list table      configurations or trials, in order of number
  ---@return table view     trials: those that count, newest first, and their numbers; best: the complete ones with the
  --- least values, values and how many (good); pruned; finished: how many are complete or pruned; kinds: the different
  --- sets of parameters that those had, each by one of them
  function tpe:survey (list)
    local trials, numbers, n, complete, seen = {}, {}, 0, 0, {}
    local view = {trials = trials, numbers = numbers, best = {}, values = {}, good = 0, pruned = {}, kinds = {}}
    local known, kind_of, sign = self.params, self.kind, self.sign
    for i = #list, 1, -1 do
      local trial = list[i]
      local number, params, state = trial.number + 1, trial.params, trial.state
      local how = counts[state]
      if how then
        n = n + 1
        trials[n], numbers[n] = trial, number
        if known[number] ~= params then learn(self, number, params) end
        if how == "complete" then
          complete = complete + 1
          among_best(view, trial, sign * trial.value)
        elseif how == "pruned" then view.pruned[#view.pruned + 1] = trial end
        local kind = kind_of[number]
        if not seen[kind] and how ~= "running" then seen[kind], view.kinds[#view.kinds + 1] = true, params end
      end
    end
    view.finished = complete + #view.pruned
    return view
  end

  --- The good ones among configurations, in order of number; chosen: their numbers + 1 as a set.
  ---@param view table
  ---@return table below
  ---@return table<integer, boolean> chosen
  function tpe:split (view)
    local good, pruned, chosen = gamma(view.finished), view.pruned, {}
    local below = table.move(view.best, 1, math.min(good, #view.best), 1, {})
    if #below < good then
      table.sort(pruned, pruned_before(self.sign))
      table.move(pruned, 1, math.min(good - #below, #pruned), #below + 1, below)
    end
    for _, trial in ipairs(below) do chosen[trial.number + 1] = true end
    table.sort(below, function (x, y) return x.number < y.number end)
    return below, chosen
  end

  -- ---- groups of parameters ---------------------------------------------------------------------------

  -- Splits groups (sets of names) so that each is wholly among these parameters or wholly not (Optuna's
  -- group_decomposed.py).
  local function decompose (groups, params, wanted)
    local out, left = {}, {}
    for name in pairs(params) do left[name] = wanted[name] end
    for _, group in ipairs(groups) do
      local inside, outside = {}, {}
      for name in pairs(group) do
        if left[name] then inside[name], left[name] = true, nil else outside[name] = true end
      end
      if next(inside) then out[#out + 1] = inside end
      if next(outside) then out[#out + 1] = outside end
    end
    if next(left) then out[#out + 1] = left end
    return out
  end

  local function names_of (group)
    local names = {}
    for name in pairs(group) do names[#names + 1] = name end
    table.sort(names)
    return names
  end

  -- Without groups: what every one of them has is drawn together (if multivariate), every other parameter alone.
  local function part (self, groups, kinds)
    local out, common = {}, {}
    for _, group in ipairs(groups) do
      for name in pairs(group) do
        local everywhere = self.multivariate
        for _, params in ipairs(kinds) do everywhere = everywhere and params[name] ~= nil end
        if everywhere then common[name] = true else out[#out + 1] = {[name] = true} end
      end
    end
    if next(common) then out[#out + 1] = common end
    return out
  end

  -- Lists of names, each to be drawn together. What nobody had so far is drawn alone.
  local function groups_of (self, kinds)
    local groups = {}
    for _, params in ipairs(kinds) do groups = decompose(groups, params, self.open) end
    if not self.multivariate or not self.group then groups = part(self, groups, kinds) end
    local lists, there = {}, {}
    for i, group in ipairs(groups) do
      lists[i] = names_of(group)
      for name in pairs(group) do there[name] = true end
    end
    for name in pairs(self.open) do if not there[name] then lists[#lists + 1] = {name} end end
    table.sort(lists, function (a, b) return a[1] < b[1] end)
    return lists
  end

  -- ---- mixtures ---------------------------------------------------------------------------------------

  local function axis_of (p)
    if p.kind == "choice" then return {name = p.name, kind = "choice", high = #p.choice} end
    local step = p.step or p.kind == "int" and 1
    return {name = p.name, kind = step and "steps" or "number", low = p.low, high = p.high, step = step or nil,
      log = p.log}
  end

  -- The pair of mixtures of a group, kept from proposal to proposal: a parzen keeps what it was given.
  local function mixtures (self, names)
    local key = table.concat(names, "\0")
    local pair = self.pairs_of[key]
    if not pair then
      local axes = {}
      for i, name in ipairs(names) do axes[i] = axis_of(self.by_name[name]) end
      local function make () return {
        parzen = parzen.new {seed = self.seed, name = "tpe", axes = axes}, places = {}, found = {}}
      end
      pair = {below = make(), above = make(), names = names}
      self.pairs_of[key] = pair
    end
    return pair
  end

  local function coordinate (p, value)
    if p.kind == "choice" then return space.index(p, value) end
    return math.type(value) and math.min(math.max(value, p.low), p.high)
  end

  -- A configuration as a point, or nil when it lacks one of the parameters (or has a value from outside the space).
  local function point_of (self, names, params)
    local point = {}
    for i, name in ipairs(names) do
      if params[name] == nil then return nil end
      point[i] = coordinate(self.by_name[name], params[name])
      if not point[i] then return nil end
    end
    return point
  end

  -- The place of a configuration in a mixture; false when it lacks one of the names.
  local function place_of (self, mixture, names, trial)
    local point = point_of(self, names, trial.params)
    local place = point and mixture.parzen:add(trial.number, point) or false
    mixture.places[trial.number + 1] = place
    return place
  end

  local function fit_below (self, mixture, names, below)
    local found, n = mixture.found, 0
    for _, trial in ipairs(below) do
      local place = mixture.places[trial.number + 1]
      if place == nil then place = place_of(self, mixture, names, trial) end
      if place then
        n = n + 1
        found[n] = place
      end
    end
    mixture.parzen:fit(found, n)
  end

  -- All of a view but the chosen ones.
  local function fit_above (self, mixture, names, view, chosen)
    local found, n, places, numbers = mixture.found, 0, mixture.places, view.numbers
    for i = #numbers, 1, -1 do
      local number = numbers[i]
      if not chosen[number] then
        local place = places[number]
        if place == nil then place = place_of(self, mixture, names, view.trials[i]) end
        if place then
          n = n + 1
          found[n] = place
        end
      end
    end
    mixture.parzen:fit(found, n)
  end

  local function value_of (p, x)
    if p.kind == "choice" then return p.choice[math.tointeger(x)] end
    return p.kind == "int" and math.tointeger(math.floor(x + 0.5)) or x
  end

  --- The mixtures of a group, fitted: l and g, each with draw and score (bindings/l_parzen.c).
  ---@param names string[]    of a group, sorted: the coordinates of points, in this order
  ---@param view table        of survey
  ---@param below table       as split gave them
  ---@param chosen table
  function tpe:fitted (names, view, below, chosen)
    local pair = mixtures(self, names)
    fit_below(self, pair.below, names, below)
    fit_above(self, pair.above, names, view, chosen)
    return pair.below.parzen, pair.above.parzen
  end

  -- The best of the candidates drawn for a group, put into params.
  local function propose_group (self, number, params, names, ...)
    local good, bad = self:fitted(names, ...)
    local points = good:draw(self.n_ei_candidates, number * 4096)
    local l, g, best = good:score(points), bad:score(points), 1
    for c = 2, #points do if l[c] - g[c] > l[best] - g[best] then best = c end end
    for i, name in ipairs(names) do params[name] = value_of(self.by_name[name], points[best][i]) end
  end

  -- ---- the sampler --------------------------------------------------------------------------------------

  function tpe:start ()
    self.by_name, self.open, self.pairs_of = {}, {}, {}
    self.params, self.kind = {}, {}               -- of each configuration, number 0 first: see learn
    self.sign = self.direction == "maximize" and -1 or 1
    for _, p in ipairs(self.space) do
      self.by_name[p.name] = p
      if space.count(p) ~= 1 then self.open[p.name] = true end
    end
  end

  function tpe:propose (number, trials)
    local seen, plain, open = tpe.seen(trials)
    local list = plain and (self.constant_liar or open == 0) and trials or self:configurations(trials)
    local view, params = self:survey(list), {}
    local startup = view.finished < self.n_startup_trials
    for _, p in ipairs(self.space) do
      if startup or not self.open[p.name] then
        params[p.name] = space.at(p, lurn.rng.uniform(self.seed, "search", "random:" .. p.name, number * 4096 + 1))
      end
    end
    if not startup then
      local below, chosen = self:split(view)
      for _, names in ipairs(groups_of(self, view.kinds)) do
        propose_group(self, number, params, names, view, below, chosen)
      end
    end
    return params, {seen = seen}
  end

  -- ---- what a proposal had seen ---------------------------------------------------------------------------

  -- "17" or "17-20".
  local function range_text (first, last) return first == last and tostring(first) or first .. "-" .. last end

  -- Numbers in ascending order as ranges: "1,4-6".
  local function ranges (numbers)
    local out, first, last = {}, nil, nil
    for _, n in ipairs(numbers) do
      if last and n == last + 1 then last = n
      else
        if first then out[#out + 1] = range_text(first, last) end
        first, last = n, n
      end
    end
    if first then out[#out + 1] = range_text(first, last) end
    return table.concat(out, ",")
  end

  --- What there was: "N" trials, then those that were not finished: "rA,B-C" running or waiting, "sN:STEP" paused after
  -- that step, "aN" not there yet. The others were what they are now.
  ---@param trials table
  ---@return string
  ---@return boolean plain   without seeds trials are configurations
  ---@return integer open    how many are running or waiting
  function tpe.seen (trials)
    local open, absent, paused, expected, plain = {}, {}, {}, 0, true
    for i = 1, #trials do
      local trial = trials[i]
      local number, state, config = trial.number, trial.state, trial.config
      if config ~= number and config then plain = false end
      while expected < number do absent[#absent + 1], expected = expected, expected + 1 end
      expected = number + 1
      if state == "RUNNING" or state == "WAITING" then open[#open + 1] = number
      elseif state == "PAUSED" then
        local last = trial.reports and trial.reports[#trial.reports]
        paused[#paused + 1] = ("s%d:%d"):format(trial.number, last and last[1] or -1)
      end
    end
    local words = {tostring(expected)}
    if open[1] then words[#words + 1] = "r" .. ranges(open) end
    if absent[1] then words[#words + 1] = "a" .. ranges(absent) end
    table.move(paused, 1, #paused, #words + 1, words)
    return table.concat(words, " "), plain, #open
  end

  local function each_number (text, set, value)
    for first, last in text:gmatch("(%d+)%-?(%d*)") do
      for n = first, last ~= "" and last or first do set[math.tointeger(n)] = value end
    end
  end

  -- The trial as it was when it was paused after a step.
  local function paused_at (trial, step)
    local reports = {}
    for i, report in ipairs(trial.reports or {}) do
      if report[1] > step then break end
      reports[i] = report
    end
    return {number = trial.number, config = trial.config, seed = trial.seed, params = trial.params, state = "PAUSED",
      reports = reports}
  end

  --- The trials as a proposal saw them.
  ---@param note table    {seen = text}
  ---@param trials table  as they are by now
  ---@return table
  function tpe:recall (note, trials)    -- luacheck: ignore self
    local seen = note and note.seen or error("lurn.sampler: tpe: without its note a proposal cannot be repeated", 3)
    local total, was, out = math.tointeger(seen:match("^%d+")), {}, {}
    for word in seen:gmatch("%f[%S]r(%S+)") do each_number(word, was, "running") end
    for word in seen:gmatch("%f[%S]a(%S+)") do each_number(word, was, "absent") end
    for number, step in seen:gmatch("%f[%S]s(%d+):(%-?%d+)") do was[math.tointeger(number)] = math.tointeger(step) end
    for _, trial in ipairs(trials) do
      local state = was[trial.number]
      if trial.number >= total then break end
      if state == "running" then
        out[#out + 1] = {number = trial.number, config = trial.config, seed = trial.seed, params = trial.params,
          state = "RUNNING"}
      elseif state ~= "absent" then
        out[#out + 1] = state and paused_at(trial, state) or trial
      end
    end
    return out
  end
end
