--- Trials as people compare them: a row a configuration, with mean and spread over its seeds, best first.

return function (lurn)
  local sheet = require "lurn.sheet" (lurn)
  local M = {}

  local function gather (trials)
    local rows, by_config = {}, {}
    for _, t in ipairs(trials) do
      local row = by_config[t.config]
      if not row then
        row = {config = t.config, params = t.params, trials = {}}
        by_config[t.config], rows[#rows + 1] = row, row
      end
      row.trials[#row.trials + 1] = t
    end
    return rows, by_config
  end

  -- The trial of a configuration that is shown for it: its best one, or the last.
  local function best_of (row, sign)
    for _, t in ipairs(row.trials) do
      local value = t.state == "COMPLETE" and sign * t.value
      if value and (not row.best or value < sign * row.best.value) then row.best = t end
    end
    row.last = row.trials[#row.trials]
  end

  --- Configurations by rank: {config, params, n, mean, sd, bound, best = trial, last = trial, trials}. With seeds the
  -- rank is that of the race: by confidence bound, those that lost a seed behind. Those without a result come last.
  ---@param trials table[]
  ---@param direction string
  ---@param seeds? integer
  ---@return table[]
  function M.configurations (trials, direction, seeds)
    local racing = lurn.racing.new {seeds = seeds or 1, direction = direction}
    local rows, by_config = gather(trials)
    local list = {}
    for _, r in ipairs(racing:ranking(trials)) do
      local row = by_config[r.config]
      row.mean, row.sd, row.n, row.bound, row.ranked = r.mean, r.sd, r.n, r.bound, true
      list[#list + 1] = row
    end
    for _, row in ipairs(rows) do
      if not row.ranked then
        row.n = 0
        list[#list + 1] = row
      end
      best_of(row, racing.sign)
    end
    return list
  end

  --- Names of the parameters of trials, in order.
  function M.names (trials)
    return sheet.names(trials, "params")
  end

  return M
end
