--- Whose weights stay on the disk: those of the best trials of a study. Everybody else's run file goes when the
-- trial is over; parameters and metrics are in the store.

return function ()
  local M = {}

  ---@class lurn.Keeper
  local Keeper = {}
  Keeper.__index = Keeper

  ---@param spec table        of the study: keep, how many (5)
  ---@param direction string  "minimize" or "maximize"
  function M.new (spec, direction)
    return setmetatable({most = spec.keep or 5, sign = direction == "maximize" and -1 or 1, list = {}}, Keeper)
  end

  --- Whether a trial with this value would be among the best.
  ---@param value number?
  ---@return boolean
  function Keeper:wants (value)
    if not value or value ~= value or self.most == 0 then return false end
    local last = self.list[self.most]
    return not last or self.sign * value <= last.value
  end

  --- A trial is over; of equal ones the earlier number is better.
  ---@param trial table
  ---@param value number?   nil: it gave no result
  ---@return integer[] numbers   of trials whose files may go
  function Keeper:add (trial, value)
    if not value then return {trial.number} end
    local new, at = {number = trial.number, value = self.sign * value}, 1
    for i = #self.list, 1, -1 do
      if self.list[i].number == new.number then table.remove(self.list, i) end
    end
    while self.list[at] and (self.list[at].value < new.value
      or self.list[at].value == new.value and self.list[at].number < new.number) do at = at + 1 end
    table.insert(self.list, at, new)
    if #self.list <= self.most then return {} end
    return {table.remove(self.list).number}
  end

  return M
end
