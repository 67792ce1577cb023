--- Whose weights stay on the disk: those of the best configurations of a study, of each the seed that did best. All
-- other run files go when their trials are over; parameters and metrics are in the store.
--
-- With seeds the best are those of the race (racing.lua). While it goes on, whoever has not had all seeds and may still
-- win keeps a file, too, and so do the best of those that have had them: others may yet fall behind these.

return function (lurn)
  local M = {}

  ---@class lurn.Keeper
  local Keeper = {}
  Keeper.__index = Keeper

  ---@param spec table        of the study: keep, of how many configurations (5); seeds (1); race
  ---@param direction string  "minimize" or "maximize"
  function M.new (spec, direction)
    local seeds = spec.seeds or 1
    return setmetatable({most = spec.keep or 5, seeds = seeds, trials = {}, files = {},
      racing = lurn.racing.new {seeds = seeds, direction = direction, race = spec.race ~= false}}, Keeper)
  end

  -- The trial of a configuration whose file is the one to keep: the best of those that have one.
  local function best_file (self, row)
    local best
    for _, t in ipairs(row.trials) do
      local value = self.files[t.number] and t.value and self.racing.sign * t.value
      if value and (not best or value < self.racing.sign * best.value) then best = t end
    end
    return best
  end

  local function choose (self, row, chosen)
    local t = best_file(self, row)
    if t then chosen[t.number] = true end
  end

  local function choose_first (self, rows, chosen)
    for k = 1, math.min(self.most, #rows) do choose(self, rows[k], chosen) end
  end

  -- Whether a configuration gets another seed, now or later.
  local function is_open (self, row, first)
    if row.lost or #row.trials >= self.seeds then return false end
    return not self.racing.race or not self.racing:hopeless(row.trials, first)
  end

  local function in_order (trials)
    local list = {}
    for _, t in next, trials do list[#list + 1] = t end
    table.sort(list, function (a, b) return a.number < b.number end)
    return list
  end

  -- Numbers of the trials whose files are to stay.
  local function chosen_of (self, over)
    local rows, chosen, settled = self.racing:ranking(in_order(self.trials)), {}, {}
    choose_first(self, rows, chosen)
    if self.seeds == 1 or over or self.most == 0 then return chosen end
    for _, row in ipairs(rows) do
      if is_open(self, row, rows[1]) then choose(self, row, chosen)
      elseif row.lost or #row.trials >= self.seeds then settled[#settled + 1] = row end
    end
    choose_first(self, settled, chosen)
    return chosen
  end

  --- A trial is over.
  ---@param trial table
  ---@param value number?     nil: it gave no result
  ---@param has_file boolean  whether its run file is there
  function Keeper:add (trial, value, has_file)
    self.files[trial.number] = value ~= nil and has_file
    self.trials[trial.number] = {number = trial.number, config = trial.config, seed = trial.seed, value = value,
      state = value and "COMPLETE" or "FAIL"}
  end

  --- Whether the file of a trial with this value would be among those that stay.
  ---@param trial table
  ---@param value number?
  ---@return boolean
  function Keeper:wants (trial, value)
    if not value or value ~= value or self.most == 0 then return false end
    self:add(trial, value, true)
    local wanted = chosen_of(self)[trial.number] or false
    self.trials[trial.number], self.files[trial.number] = nil, nil
    return wanted
  end

  --- Numbers of the trials whose files may go now.
  ---@param over? boolean   the study is: nobody else may still win
  ---@return integer[]
  function Keeper:spare (over)
    local chosen, list = chosen_of(self, over), {}
    for number in next, self.files do if not chosen[number] then list[#list + 1] = number end end
    for _, number in ipairs(list) do self.files[number] = nil end
    if self.seeds > 1 then return list end
    -- Without seeds, who is behind so many stays there.
    for number in next, self.trials do if not chosen[number] then self.trials[number] = nil end end
    return list
  end

  return M
end
