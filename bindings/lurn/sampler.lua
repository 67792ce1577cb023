--- Samplers: who proposes configurations. Pure functions of (options, number, trials): no files, no clocks.
--
--   local sampler = lurn.sampler.new("random", space, {seed = 1, direction = "minimize"})
--   local params, note = sampler:suggest(number, trials)      number: of the configuration, from 0
--
-- Every draw is a function of (seed, number, parameter's name) by Philox (core/rng.h), so a sweep is the same
-- with one worker or a thousand, and one more parameter does not shift the others. params holds only what means
-- something (`active`); nil: there is nothing left to propose. note is what the sampler wants to be kept with the
-- trial, so that `replay` can repeat the proposal.
--
--   random   independent draws
--   grid     every combination once, shuffled
--   sobol    a scrambled low-discrepancy sequence (sobol.lua)
--   tpe      tree-structured Parzen estimator (tpe.lua)

return function (lurn)
  local schema, space = lurn.schema, lurn.space
  local M = {}

  local COMMON = {
    seed = {"integer", 1, nil, "of all draws: the study's seed"},
    direction = {"string", "minimize", {"minimize", "maximize"}, "what is better"},
    defaults = {"boolean", true, nil, "configuration 0 is the defaults (a grid has none)"},
    active = {"function", nil, nil, "(params) -> set of the names that mean something, as lurn.space.conditions"},
  }

  ---@class lurn.Sampler
  ---@field name string
  ---@field space table
  local Sampler = {}
  Sampler.__index = Sampler

  --- The kinds there are, by name. A kind has `declaration` (its options), `propose (self, number, trials)` ->
  -- params of the whole space, note; where it has to prepare, `start (self)`; and `looks`, true where a proposal
  -- depends on the trials there are.
  M.kinds = {}

  --- Makes a sampler.
  ---@param name string
  ---@param params table     a space (lurn.space)
  ---@param options? table   seed, direction, defaults, active and those of the kind
  ---@return lurn.Sampler
  function M.new (name, params, options)
    local self = schema.of_kind("sampler", M.kinds, Sampler, COMMON, name, options)
    self.space = space.check(params)
    if self.start then self:start() end
    return self
  end

  -- Drops what means nothing beside the rest.
  function Sampler:keep (params)
    return self.active and space.meaningful(params, self.active) or params
  end

  --- A uniform number in [0, 1): draw k, from 0 and below 4096, for a parameter of a configuration.
  function Sampler:uniform (number, name, k)
    return lurn.rng.uniform(self.seed, "search", self.name .. ":" .. name, number * 4096 + (k or 0) + 1)
  end

  --- The configuration with this number, or nil when there is none.
  ---@param number integer   from 0
  ---@param trials? table    all trials there are, in order of number
  ---@return table<string, any>? params
  ---@return table? note
  function Sampler:suggest (number, trials)
    if number == 0 and self.defaults then return self:keep(space.defaults(self.space)) end
    local params, note = self:propose(number, trials or {})
    return params and self:keep(params), note
  end

  local function same (a, b)
    for name, value in pairs(a) do if b[name] ~= value then return name end end
    for name in pairs(b) do if a[name] == nil then return name end end
  end

  --- Whether the sampler proposes these parameters again.
  ---@param number integer
  ---@param params table
  ---@param note? table     as suggest gave it
  ---@param trials? table   all trials there are by now
  ---@return boolean same
  ---@return string? message
  function Sampler:replay (number, params, note, trials)
    local looked = self.recall and not (number == 0 and self.defaults)
    if looked then trials = self:recall(note, trials or {}) end
    local again = self:suggest(number, trials)
    if not again then return false, ("configuration %d: the sampler proposes nothing"):format(number) end
    local name = same(params, again)
    if not name then return true end
    return false, ("configuration %d: parameter '%s' is %s, the sampler proposes %s"):format(number, name,
      tostring(params[name]), tostring(again[name]))
  end

  -- ---- random ---------------------------------------------------------------------------------------

  M.kinds.random = {declaration = {}}

  function M.kinds.random:propose (number)
    local params = {}
    for _, p in ipairs(self.space) do params[p.name] = space.at(p, self:uniform(number, p.name)) end
    return params
  end

  local function take_enqueued (set, trial)
    if trial.attrs and trial.attrs.enqueued then set[trial.config] = true end
  end

  --- The numbers of the configurations that were enqueued, not proposed, as a set.
  ---@param trials table
  ---@return table<integer, true>
  function M.enqueued (trials)
    local set = {}
    for _, trial in ipairs(trials) do take_enqueued(set, trial) end
    return set
  end

  -- ---- grid -----------------------------------------------------------------------------------------

  local grid = {declaration = {
    points = {"integer", nil, {2, 1e6}, "values along a continuous parameter, and at most so many along any range"},
    shuffle = {"boolean", true, nil, "visited in random order, so that a part of the grid is spread over all of it"},
  }}
  M.kinds.grid = grid
  grid.looks = true

  local MOST = 1000000

  -- Cell c, from 0, as parameters: a number whose digits are the places along the axes, the last one fastest.
  local function cell (self, c)
    local params, places = {}, {}
    for i = #self.space, 1, -1 do
      local axis = self.axes[i]
      places[i] = c % #axis
      params[self.space[i].name] = axis[places[i] + 1]
      c = c // #axis
    end
    return params, places
  end

  local everything = setmetatable({}, {__index = function () return true end})

  -- A cell stands for all that differ from it only in what means nothing: it has the first places there. A parameter
  -- without an axis may mean nothing anywhere; where it means something, its message comes second.
  local function distinct (self, c, no_axis)
    local params, places = cell(self, c)
    local means = self.active and self.active(params) or everything
    for i, p in ipairs(self.space) do
      if means[p.name] and no_axis[p.name] then return false, no_axis[p.name] end
      if not means[p.name] and places[i] > 0 then return false end
    end
    return true
  end

  function grid:start ()
    self.axes, self.defaults, self.enqueued = {}, false, setmetatable({}, {__mode = "k"})
    local cells, no_axis, defaults = 1, {}, space.defaults(self.space)
    for i, p in ipairs(self.space) do
      self.axes[i], no_axis[p.name] = space.values(p, self.points)
      self.axes[i] = self.axes[i] or {defaults[p.name]}
      cells = cells * #self.axes[i]
      if cells > MOST then error(("lurn.sampler: a grid has at most %d cells"):format(MOST), 3) end
    end
    self.cells = {}
    for c = 0, cells - 1 do
      local stands, message = distinct(self, c, no_axis)
      if message then error("lurn.sampler: grid: " .. message, 3) end
      if stands then self.cells[#self.cells + 1] = c end
    end
    self.size = #self.cells
    self.order = self.shuffle and lurn.rng.permutation(self.seed, "search", "grid", self.size)
  end

  -- Configurations that were enqueued have numbers, too, but no cell of their own: how many there are before this one.
  local function enqueued_before (self, trials, number)
    local count = 0
    for config in next, lurn.changes.follow(self.enqueued, trials, M.enqueued, take_enqueued) do
      if config < number then count = count + 1 end
    end
    return count
  end

  function grid:propose (number, trials)
    local k = number - enqueued_before(self, trials, number)
    if k >= self.size then return nil end
    return (cell(self, self.cells[self.order and self.order[k + 1] or k + 1]))
  end

  return M
end
