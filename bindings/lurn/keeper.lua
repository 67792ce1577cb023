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

  -- The trial of a configuration whose file is the one to keep: the best of those that have one.
  local function best_file (self, row)
    local best
    for _, t in ipairs(row.trials) do
      local value = self.files[t.number] and t.value and self.racing.sign * t.value
      if value and (not best or value < self.racing.sign * best.value) then best = t end
    end
    return best
  end

  -- Whether a configuration that has not had all its seeds gets another one, now or later.
  local function goes_on (self, row)
    return not self.racing.race or not self.racing:hopeless(row.trials, self.field.ranking:first())
  end

  -- Whether the file of a trial is to stay.
  local function stays (self, number, over)
    local row = self.field.by[self.trials[number].config]
    if not row.mean or best_file(self, row) ~= self.trials[number] then return false end
    if self.field.ranking:place(row) <= self.most then return true end
    if self.seeds == 1 or over or self.most == 0 then return false end
    if row.settled then return self.field.settled:place(row) <= self.most end
    return goes_on(self, row)
  end

  local function note (self, trial, value, has_file)
    local t = {number = trial.number, config = trial.config, seed = trial.seed, value = value,
      state = value and "COMPLETE" or "FAIL"}
    self.trials[t.number], self.files[t.number] = t, value ~= nil and has_file
    return t
  end

  ---@param spec table        of the study: keep, of how many configurations (5); seeds (1); race
  ---@param direction string  "minimize" or "maximize"
  ---@param trials table      what there is; those count that are over
  ---@param has_file fun(number: integer): boolean   whether the run file of a trial is there
  ---@return lurn.Keeper
  function M.new (spec, direction, trials, has_file)
    local seeds, over = spec.seeds or 1, {}
    local racing = lurn.racing.new {seeds = seeds, direction = direction, race = spec.race ~= false}
    -- files: by number, of trials that are over, whether there is one that may have to stay; those that are not in it
    -- need no look again.
    local self = setmetatable({most = spec.keep or 5, seeds = seeds, racing = racing, trials = {}, files = {}}, Keeper)
    for _, t in ipairs(trials) do
      if lurn.store_state.OVER[t.state] then
        over[#over + 1] = note(self, t, t.state == "COMPLETE" and t.value or nil, has_file(t.number))
      end
    end
    self.field = racing:field(over)
    return self
  end

  local function forget (self, number)
    self.field:drop(self.trials[number])
    self.trials[number] = nil
  end

  --- A trial is over.
  ---@param trial table
  ---@param value number?     nil: it gave no result
  ---@param has_file boolean  whether its run file is there
  function Keeper:add (trial, value, has_file)
    self.field:put(note(self, trial, value, has_file))
  end

  --- Whether the file of a trial with this value would be among those that stay.
  ---@param trial table
  ---@param value number?
  ---@return boolean
  function Keeper:wants (trial, value)
    if not value or value ~= value or self.most == 0 then return false end
    self:add(trial, value, true)
    local wanted = stays(self, trial.number)
    forget(self, trial.number)
    self.files[trial.number] = nil
    return wanted
  end

  --- Numbers of the trials whose files may go now.
  ---@param over? boolean   the study is: nobody else may still win
  ---@return integer[]
  function Keeper:spare (over)
    local list = {}
    for number, has_file in next, self.files do
      if not has_file or not stays(self, number, over) then list[#list + 1] = number end
    end
    for _, number in ipairs(list) do
      self.files[number] = nil
      -- Without seeds, who is behind so many stays there.
      if self.seeds == 1 then forget(self, number) end
    end
    return list
  end

  return M
end
