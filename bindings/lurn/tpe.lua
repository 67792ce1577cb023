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
-- The note says which trials were open at the time (the rest is what became of them), so a proposal can be repeated;
-- where many are paused it says what is not as in the note of an earlier trial.

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
  tpe.looks = true
  require "lurn.tpe_history" (lurn, tpe)
  require "lurn.tpe_note" (tpe)

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

  --- Sorted lists of names, each to be drawn together. What nobody had so far is drawn alone.
  ---@param kinds table   of a view
  ---@return string[][]
  function tpe:groups (kinds)
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
    for i = 1, view.n do
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
    self:forget()
    self.sign = self.direction == "maximize" and -1 or 1
    for _, p in ipairs(self.space) do
      self.by_name[p.name] = p
      if space.count(p) ~= 1 then self.open[p.name] = true end
    end
  end

  function tpe:propose (number, trials)
    local view, seen = self:survey(trials, number)
    local params, startup = {}, view.finished < self.n_startup_trials
    for _, p in ipairs(self.space) do
      if startup or not self.open[p.name] then
        params[p.name] = space.at(p, lurn.rng.uniform(self.seed, "search", "random:" .. p.name, number * 4096 + 1))
      end
    end
    if not startup then
      local below, chosen = self:split(view)
      for _, names in ipairs(self:groups(view.kinds)) do
        propose_group(self, number, params, names, view, below, chosen)
      end
    end
    return params, {seen = seen}
  end
end
