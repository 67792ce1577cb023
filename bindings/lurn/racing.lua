--- Racing: configurations have several seeds, and only those that may still win get more of them.
--
--   local racing = lurn.racing.new {seeds = 5, direction = "minimize", trials = 200}
--   local place = racing:next(trials)               {config =, seed =} of a new trial, or nil: nothing to do now
--   local mean, sd, n, bound = racing:score(trials_of_one_configuration)
--   for rank, r in ipairs(racing:ranking(trials)) do ... r.config, r.mean, r.sd, r.n, r.bound
--
-- The incumbent is the configuration with the best bound. Whoever may still beat it gets its next seed before a new
-- configuration is begun, as in SMAC's intensification (Hutter et al., LION 2011), here with a t-test on the means
-- instead of a comparison of them: a configuration is hopeless when its mean is worse than the
-- incumbent's at level alpha (one-sided, equal variances; with one seed the incumbent's variance serves for both).
-- One that failed or was pruned is hopeless, too. Seed k of every configuration is the same training seed.
--
-- Without racing (race = false) every configuration has all its seeds in turn: next is the first place that nobody has
-- begun, whoever put in what lies behind it. Without seeds a configuration has its trial's number.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local OPTIONS = {
    seeds = {"integer", 1, {1, 1e6}, "of each configuration, at most"},
    trials = {"integer", nil, {1, 2^53}, "configurations in all"},
    direction = {"string", "minimize", {"minimize", "maximize"}, "what is better"},
    race = {"boolean", true, nil, "false: all seeds of all configurations"},
    alpha = {"number", 0.1, {1e-6, 0.5}, "level of the test, and of the confidence bound"},
  }

  ---@class lurn.Racing
  local Racing = {}
  Racing.__index = Racing

  ---@param options? table
  ---@return lurn.Racing
  function M.new (options)
    local self = setmetatable(schema.check("lurn.racing", options, OPTIONS), Racing)
    self.sign = self.direction == "maximize" and -1 or 1
    self.fields, self.tables = setmetatable({}, {__mode = "k"}), setmetatable({}, {__mode = "k"})
    return self
  end

  -- ---- Student's t ------------------------------------------------------------------------------------

  -- The share of Student's t with df degrees of freedom between -t and t (Abramowitz & Stegun 26.7.3, 26.7.4).
  local function t_inside (t, df)
    local angle = math.atan(t / math.sqrt(df))
    local square, term, sum = math.cos(angle)^2, 1, 1
    if df == 1 then return 2 / math.pi * angle end
    for k = df % 2 == 0 and 2 or 3, df - 2, 2 do
      term = term * square * (k - 1) / k
      sum = sum + term
    end
    if df % 2 == 0 then return math.sin(angle) * sum end
    return 2 / math.pi * (angle + math.sin(angle) * math.cos(angle) * sum)
  end

  local quantiles = {}        -- asked for again and again; by alpha and df

  --- The t that has the share alpha above it, 0 < alpha < 1/2.
  ---@param alpha number
  ---@param df integer
  function M.t_quantile (alpha, df)
    local key = ("%a %d"):format(alpha, df)
    if quantiles[key] then return quantiles[key] end
    local low, high = 0, 1
    while t_inside(high, df) < 1 - 2 * alpha do high = 2 * high end
    for _ = 1, 60 do
      local middle = (low + high) / 2
      if t_inside(middle, df) < 1 - 2 * alpha then low = middle else high = middle end
    end
    quantiles[key] = (low + high) / 2
    return quantiles[key]
  end

  -- ---- scores -----------------------------------------------------------------------------------------

  -- Mean, sum of squared distances from it, and number of the complete trials of a list.
  local function moments (list)
    local n, sum, squares = 0, 0, 0
    for _, trial in ipairs(list) do
      if trial.state == "COMPLETE" then n, sum = n + 1, sum + trial.value end
    end
    local mean = sum / n
    for _, trial in ipairs(list) do
      if trial.state == "COMPLETE" then squares = squares + (trial.value - mean)^2 end
    end
    return mean, squares, n
  end

  --- Mean, standard deviation (nil with one seed) and number of the complete trials of one configuration; bound: the
  -- mean is at least as good with confidence 1 - alpha. A study without seeds has its values as bounds; one seed of
  -- several says nothing of the spread, so its bound is infinitely bad. nil without a complete trial.
  ---@param list table
  ---@return number? mean
  ---@return number? sd
  ---@return integer n
  ---@return number? bound
  function Racing:score (list)
    local mean, squares, n = moments(list)
    if n == 0 then return nil, nil, 0, nil end
    if self.seeds == 1 then return mean, nil, n, mean end
    if n == 1 then return mean, nil, 1, self.sign * math.huge end
    local sd = math.sqrt(squares / (n - 1))
    return mean, sd, n, mean + self.sign * M.t_quantile(self.alpha, n - 1) * sd / math.sqrt(n)
  end

  -- ---- configurations -----------------------------------------------------------------------------------

  local lost, over = {FAIL = true, PRUNED = true}, lurn.store_state.OVER

  local function has_lost (list)
    for _, trial in ipairs(list) do if lost[trial.state] then return true end end
    return false
  end

  local function all_done (list)
    for _, trial in ipairs(list) do
      if not over[trial.state] then return false end
    end
    return true
  end

  -- The least seed that nobody has begun, or nil.
  local function free_seed (self, list)
    local taken = {}
    for _, trial in ipairs(list) do taken[trial.seed or 1] = true end
    for seed = 1, self.seeds do if not taken[seed] then return seed end end
  end

  -- By bound, then by mean; those that lost a seed behind.
  local function ahead (a, b)
    if a.lost ~= b.lost then return b.lost end
    if a.first_key ~= b.first_key then return a.first_key < b.first_key end
    if a.second_key ~= b.second_key then return a.second_key < b.second_key end
    return a.config < b.config
  end

  --- What is kept of trials, which may come one by one, and again when they have changed.
  ---@class lurn.Field
  ---@field racing lurn.Racing
  ---@field by table<integer, table>   configurations by number: {config, trials, lost, mean, sd, n, bound}
  ---@field highest integer            the largest number of a configuration, or -1
  ---@field ranking lurn.Ranks         those with a result
  ---@field settled lurn.Ranks         of them, who gets no other seed whatever happens
  ---@field racers lurn.Ranks          who may get another one now
  ---@field beaten table               who could get another one, and was hopeless when the incumbent was the judge
  local Field = {}
  Field.__index = Field

  -- Infinite values have a mean, but no spread.
  local function key (racing, x) return x == x and racing.sign * x or math.huge end

  local function weigh (racing, c)
    c.mean, c.sd, c.n, c.bound = racing:score(c.trials)
    if not c.mean then return end
    c.lost, c.first_key, c.second_key = has_lost(c.trials), key(racing, c.bound), key(racing, c.mean)
    c.settled = c.lost or #c.trials >= racing.seeds
    c.races = not c.lost and all_done(c.trials) and free_seed(racing, c.trials) ~= nil
  end

  local function withdraw (self, c)
    if not c.mean then return end
    self.ranking:remove(c)
    if c.settled then self.settled:remove(c) end
    if self.beaten[c] then self.beaten[c] = nil elseif c.races then self.racers:remove(c) end
  end

  local function enter (self, c)
    weigh(self.racing, c)
    if not c.mean then return end
    self.ranking:add(c)
    if c.settled then self.settled:add(c) end
    if c.races then self.racers:add(c) end
  end

  -- Where a trial stands, or would stand, in its configuration's list, which is in order of number.
  local function place_of (list, number)
    local k = #list
    while k > 0 and list[k].number > number do k = k - 1 end
    if k > 0 and list[k].number == number then return k, true end
    return k + 1, false
  end

  -- The configuration of a trial.
  local function of (self, trial)
    local config = trial.config or trial.number
    local c = self.by[config] or {config = config, trials = {}}
    self.by[config], self.highest = c, math.max(self.highest, config)
    return c
  end

  local function insert (list, trial)
    local k, there = place_of(list, trial.number)
    if there then list[k] = trial else table.insert(list, k, trial) end
  end

  --- A trial as it is by now.
  function Field:put (trial)
    local c = of(self, trial)
    withdraw(self, c)
    insert(c.trials, trial)
    enter(self, c)
  end

  --- As if that trial had never been.
  function Field:drop (trial)
    local c = of(self, trial)
    local k, there = place_of(c.trials, trial.number)
    if not there then return end
    withdraw(self, c)
    table.remove(c.trials, k)
    if c.trials[1] then enter(self, c) else self.by[c.config] = nil end
  end

  -- Those of a list of which a field is true.
  local function which (list, name)
    local out = {}
    for _, c in ipairs(list) do if c[name] then out[#out + 1] = c end end
    return out
  end

  --- The field of a list of trials, at the price of sorting it.
  ---@param trials table
  ---@return lurn.Field
  function Racing:field (trials)
    local field, list = setmetatable({racing = self, by = {}, highest = -1, beaten = {}}, Field), {}
    for _, trial in ipairs(trials) do insert(of(field, trial).trials, trial) end
    for _, c in next, field.by do
      weigh(self, c)
      if c.mean then list[#list + 1] = c end
    end
    table.sort(list, ahead)
    field.ranking, field.settled = lurn.ranks.new(ahead, list), lurn.ranks.new(ahead, which(list, "settled"))
    field.racers = lurn.ranks.new(ahead, which(list, "races"))
    return field
  end

  local function field_of (self, trials)
    return lurn.changes.follow(self.fields, trials, function () return self:field(trials) end, Field.put)
  end

  --- Configurations by bound, then by mean; those that lost a seed come behind, those without a result not at all. They
  -- are the race's own: to be looked at.
  ---@param trials table
  ---@return {config: integer, mean: number, sd: number?, n: integer, bound: number, lost: boolean, trials: table}[]
  function Racing:ranking (trials) return field_of(self, trials).ranking:list() end

  -- ---- the race -----------------------------------------------------------------------------------------

  --- Whether a configuration's mean is worse than the incumbent's beyond chance. Without any spread known: no.
  ---@param list table        its trials
  ---@param incumbent table   an entry of ranking
  function Racing:hopeless (list, incumbent)
    if has_lost(list) then return true end
    local mean, squares, n = moments(list)
    local best, best_squares, best_n = moments(incumbent.trials)
    local df = math.max(n - 1, 0) + best_n - 1
    if n == 0 or df < 1 then return false end
    local error_of_difference = math.sqrt((squares + best_squares) / df * (1 / n + 1 / best_n))
    return self.sign * (mean - best) > M.t_quantile(self.alpha, df) * error_of_difference
  end

  -- The incumbent. Who is hopeless against one that is another by now, or has had another seed, may not be so now.
  local function incumbent_of (field)
    local first, was = field.ranking:first(), field.judge
    if not first or was and was.config == first.config and was.n == first.n and was.mean == first.mean then
      return first
    end
    field.judge = {config = first.config, n = first.n, mean = first.mean}
    for c in next, field.beaten do field.racers:add(c) end
    field.beaten = {}
    return first
  end

  -- A seed for whoever may still win, the best first. A configuration is judged when nothing of it is open.
  local function next_seed (self, field)
    local first = incumbent_of(field)
    local c = field.racers:first()
    while c and c ~= first and self:hopeless(c.trials, first) do
      field.racers:remove(c)
      field.beaten[c] = true
      c = field.racers:first()
    end
    return c and {config = c.config, seed = free_seed(self, c.trials)}
  end

  -- ---- all seeds in turn --------------------------------------------------------------------------------

  -- What has been begun: `had`, of each configuration the seeds and how many; no configuration below `first` lacks one.
  local function begin (begun, trial)
    local config, seed = trial.config or trial.number, trial.seed or 1
    local c = begun.had[config] or {n = 0}
    begun.had[config] = c
    if not c[seed] then c[seed], c.n = true, c.n + 1 end
  end

  local function all_begun (trials)
    local begun = {had = {}, first = 0}
    for _, trial in ipairs(trials) do begin(begun, trial) end
    return begun
  end

  local function first_place (self, trials)
    local begun = lurn.changes.follow(self.tables, trials, all_begun, begin)
    local had, seed = begun.had, 1
    while had[begun.first] and had[begun.first].n >= self.seeds do begun.first = begun.first + 1 end
    while had[begun.first] and had[begun.first][seed] do seed = seed + 1 end
    return {config = begun.first, seed = seed}
  end

  -- ---- the next trial -----------------------------------------------------------------------------------

  --- What a new trial is to play. number: of that trial; only needed without seeds.
  ---@param trials table
  ---@param number? integer
  ---@return {config: integer, seed: integer}?
  function Racing:next (trials, number)
    local place
    if self.seeds == 1 then place = {config = number or #trials, seed = 1}
    elseif not self.race then place = first_place(self, trials)
    else
      local field = field_of(self, trials)
      place = next_seed(self, field) or {config = field.highest + 1, seed = 1}
    end
    return (not self.trials or place.config < self.trials) and place or nil
  end

  return M
end
