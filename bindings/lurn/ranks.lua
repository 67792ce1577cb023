--- A list that stays in order while things come and go: who stands first, at which place somebody stands, who stands at
-- a place. With n of them that takes some microseconds, and hardly more for 100,000 than for 100.
--
--   local list = lurn.ranks.new(function (a, b) return a.value < b.value end)
--   list:add(x)      list:remove(x)      list.n
--   list:first()     list:at(k)          list:place(x)     how many stand before x, and one
--
-- It is kept in runs of some hundreds, so that to put one in moves no more than these.

return function ()
  local M = {}

  local LONGEST = 512      -- near the square root of the largest lists there are

  ---@class lurn.Ranks
  ---@field n integer   how many there are
  local Ranks = {}
  Ranks.__index = Ranks

  local function less (a, b) return a < b end

  --- A list. before(a, b): whether a stands before b; of two that are equal neither does. What it looks at must not
  -- change while they are in the list.
  ---@param before? fun(a, b): boolean   a < b by default
  ---@param sorted? table                what is in it at first, in that order
  ---@return lurn.Ranks
  function M.new (before, sorted)
    local self = setmetatable({before = before or less, runs = {{}}, n = sorted and #sorted or 0}, Ranks)
    for from = 1, self.n, LONGEST // 2 do
      self.runs[from // (LONGEST // 2) + 1] = table.move(sorted, from, math.min(from + LONGEST // 2 - 1, self.n), 1, {})
    end
    return self
  end

  -- The first run whose last element does not stand before x; the last run where all do.
  local function run_of (self, x)
    local runs, before = self.runs, self.before
    local low, high = 1, #runs
    while low < high do
      local middle = (low + high) // 2
      if before(runs[middle][#runs[middle]], x) then low = middle + 1 else high = middle end
    end
    return low
  end

  -- The first place in a run whose element does not stand before x.
  local function place_in (self, run, x)
    local before = self.before
    local low, high = 1, #run + 1
    while low < high do
      local middle = (low + high) // 2
      if before(run[middle], x) then low = middle + 1 else high = middle end
    end
    return low
  end

  local function split (runs, r)
    local run, half = runs[r], LONGEST // 2
    table.insert(runs, r + 1, table.move(run, half + 1, #run, 1, {}))
    runs[r] = table.move(run, 1, half, 1, {})
  end

  --- Puts x in, before its equals.
  function Ranks:add (x)
    local r = run_of(self, x)
    local run = self.runs[r]
    table.insert(run, place_in(self, run, x), x)
    self.n = self.n + 1
    if #run > LONGEST then split(self.runs, r) end
  end

  --- Takes x out, one of its equals; false when there is none.
  ---@return boolean
  function Ranks:remove (x)
    local r = run_of(self, x)
    local run = self.runs[r]
    local k = place_in(self, run, x)
    if run[k] == nil or self.before(x, run[k]) then return false end
    table.remove(run, k)
    self.n = self.n - 1
    if #run == 0 and #self.runs > 1 then table.remove(self.runs, r) end
    return true
  end

  --- How many stand before x, and one: where x stands, when it is there.
  ---@return integer
  function Ranks:place (x)
    local r = run_of(self, x)
    local place = place_in(self, self.runs[r], x)
    for k = 1, r - 1 do place = place + #self.runs[k] end
    return place
  end

  --- The one at place k, or nil.
  function Ranks:at (k)
    for _, run in ipairs(self.runs) do
      if k <= #run then return run[k] end
      k = k - #run
    end
  end

  function Ranks:first () return self.runs[1][1] end

  --- All, in order, in a list of the caller's own.
  ---@return table
  function Ranks:list ()
    local list = {}
    for _, run in ipairs(self.runs) do table.move(run, 1, #run, #list + 1, list) end
    return list
  end

  return M
end
