--- What has changed in a list of trials that a store keeps, for those who make something of all of them and have to
-- bring it up to date again and again: at the cost of what changed, not of what there is.
--
--   local kept = lurn.changes.follow(cache, trials, make, take)
--
-- Trial N stands at N + 1. Who keeps a list says `begin` once and `note` whenever another table stands for a trial. Of
-- any other list (of a test, of a script) nobody knows what has changed in it: there everything is made anew.

return function ()
  local M = {}

  local SPARE = 1000      -- notes beyond two for each trial

  -- list of trials -> {numbers in the order of their changes; `gone`: how many of the oldest are forgotten}
  local logs = setmetatable({}, {__mode = "k"})

  --- From now on every change of this list is noted.
  ---@param trials table
  ---@return table trials
  function M.begin (trials)
    logs[trials] = {gone = 0}
    return trials
  end

  -- Whoever has not looked for so long looks at all.
  local function forget_half (log)
    local n, half = #log, #log // 2
    table.move(log, half + 1, n, 1)
    for k = n - half + 1, n do log[k] = nil end
    log.gone = log.gone + half
  end

  --- Another table stands for this trial.
  ---@param trials table
  ---@param number integer
  function M.note (trials, number)
    local log = logs[trials]
    log[#log + 1] = number
    if #log > 2 * #trials + SPARE then forget_half(log) end
  end

  -- take(kept, trial) for all that changed behind a place in the log.
  local function catch_up (kept, trials, log, at, take)
    local taken = {}
    for k = at - log.gone + 1, #log do
      local number = log[k]
      if not taken[number] then take(kept, trials[number + 1]) end
      taken[number] = true
    end
  end

  --- What somebody makes of a list, brought up to date: make(trials) at first, then take(kept, trial) for each trial
  -- that is new, or another table by now.
  ---@param cache table    of the caller, with weak keys: by list
  ---@param trials table
  ---@param make fun(trials: table): any
  ---@param take fun(kept: any, trial: table)
  ---@return any kept
  function M.follow (cache, trials, make, take)
    local log, known = logs[trials], cache[trials]
    if log and known and known.at >= log.gone then catch_up(known.kept, trials, log, known.at, take)
    else known = {kept = make(trials)} end
    known.at = log and log.gone + #log
    cache[trials] = log and known or nil
    return known.kept
  end

  return M
end
