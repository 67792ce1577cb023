--- What the sampler tpe makes of the trials there are: configurations, and which of them are good. Not a module of its
-- own: tpe.lua calls this with the class it adds methods to.
--
-- A proposal looks at a view: trials in order of number that count, with what they add up to. Most of them were there
-- at the proposal before and will never change, so a view of these is kept (`settled`) and only the rest is looked at.

return function (lurn, tpe)
  local over = lurn.store_state.OVER

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

  -- ---- views ------------------------------------------------------------------------------------------

  local MOST_GOOD = 25
  local function gamma (n) return math.min(math.ceil(0.1 * n), MOST_GOOD) end

  -- n trials that count and their numbers + 1; the complete ones with the least values, and how many are complete; the
  -- pruned ones; each different set of parameters that finished ones had, by one of them.
  local function new_view ()
    return {n = 0, trials = {}, numbers = {}, best = {}, values = {}, complete = 0, pruned = {}, kinds = {},
      known = {}}
  end

  local function copy (list) return table.move(list, 1, #list, 1, {}) end

  -- A view that goes on from another. The long lists are shared: who goes on overwrites what is behind n.
  local function fork (view)
    local known = {}
    for kind in pairs(view.known) do known[kind] = true end
    return {n = view.n, trials = view.trials, numbers = view.numbers, best = copy(view.best),
      values = copy(view.values), complete = view.complete, pruned = copy(view.pruned), kinds = copy(view.kinds),
      known = known}
  end

  -- Puts a trial into the list of the best, behind its equals.
  local function among_best (view, trial, value)
    local best, values = view.best, view.values
    local at = math.min(#best + 1, MOST_GOOD)
    if #best == MOST_GOOD and value >= values[MOST_GOOD] then return end
    while at > 1 and value < values[at - 1] do
      best[at], values[at] = best[at - 1], values[at - 1]
      at = at - 1
    end
    best[at], values[at] = trial, value
  end

  local function same (a, b)
    for name, value in pairs(a) do if b[name] ~= value then return false end end
    for name in pairs(b) do if a[name] == nil then return false end end
    return true
  end

  -- Notes the parameters of a configuration. Those of one number hardly ever change; what was made of others is
  -- forgotten. A store makes a new table of a trial whenever something of it changes: what was made of equal ones
  -- stays, since a parzen never lets go of an observation.
  local function learn (self, number, params)
    local known = self.params[number]
    self.params[number] = params
    if known and same(known, params) then return end
    local names = {}
    for name in pairs(params) do if self.open[name] then names[#names + 1] = name end end
    table.sort(names)
    self.kind[number] = table.concat(names, "\0")
    for _, pair in pairs(self.pairs_of) do pair.below.places[number], pair.above.places[number] = nil, nil end
  end

  -- Adds a trial, of a larger number than all before, to a view.
  local function take (self, view, trial)
    local how = counts[trial.state]
    if not how then return end
    local number, params, n = trial.number + 1, trial.params, view.n + 1
    view.n, view.trials[n], view.numbers[n] = n, trial, number
    if self.params[number] ~= params then learn(self, number, params) end
    if how == "running" then return end
    if how == "complete" then
      view.complete = view.complete + 1
      among_best(view, trial, self.sign * trial.value)
    else
      view.pruned[#view.pruned + 1] = trial
    end
    local kind = self.kind[number]
    if not view.known[kind] then view.known[kind], view.kinds[#view.kinds + 1] = true, params end
  end

  -- How many trials from the first on are settled: without a gap, without seeds, for ever what they are. self.settled
  -- is brought up to date; it begins anew when it was made of other trials.
  local function settle (self, trials)
    local raw, m = self.raw, 0
    while raw[m + 1] and raw[m + 1] == trials[m + 1] do m = m + 1 end
    if raw[m + 1] then
      raw, m = {}, 0
      self.raw, self.settled = raw, new_view()
    end
    while true do
      local trial = trials[m + 1]
      if not trial or not over[trial.state] or trial.number ~= m or (trial.config or m) ~= m then return m end
      m = m + 1
      raw[m] = trial
      take(self, self.settled, trial)
    end
  end

  --- Forgets all that was kept of trials.
  function tpe:forget ()
    self.params, self.kind = {}, {}              -- of each configuration, by number + 1: see learn
    self.raw, self.settled = {}, new_view()      -- trials of the settled view, and the view
    self.noted = {}                              -- the last note that was looked into: see tpe_note.lua
  end

  --- Looks at all trials.
  ---@param trials table
  ---@param number? integer   of the configuration that is to be proposed
  ---@return table view
  ---@return string seen   what recall needs to see them again
  function tpe:survey (trials, number)
    local m = settle(self, trials)
    local seen, plain, open = self:seen(trials, m, number)
    local view = fork(self.settled)
    if plain and (self.constant_liar or open == 0) then
      for i = m + 1, #trials do take(self, view, trials[i]) end
    else
      view = new_view()
      for _, c in ipairs(self:configurations(trials)) do take(self, view, c) end
    end
    view.finished = view.complete + #view.pruned
    return view, seen
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

  --- The good ones of a view, in order of number; chosen: their numbers + 1 as a set.
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
end
