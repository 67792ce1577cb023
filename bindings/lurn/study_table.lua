--- Trials as people compare them: a row a configuration, with mean and spread over its seeds, best first.

return function ()
  local M = {}

  -- Mean and standard deviation (n - 1), the sum in order.
  local function moments (values)
    local n, sum, square = #values, 0.0, 0.0
    for _, v in ipairs(values) do sum = sum + v end
    local mean = n > 0 and sum / n or nil
    for _, v in ipairs(values) do square = square + (v - mean) ^ 2 end
    return mean, n > 1 and math.sqrt(square / (n - 1)) or nil
  end

  local function gather (trials)
    local rows, by_config = {}, {}
    for _, t in ipairs(trials) do
      local row = by_config[t.config]
      if not row then
        row = {config = t.config, params = t.params, trials = {}, values = {}}
        by_config[t.config], rows[#rows + 1] = row, row
      end
      row.trials[#row.trials + 1] = t
      if t.state == "COMPLETE" then row.values[#row.values + 1] = t.value end
    end
    return rows
  end

  -- The trial of a configuration that is shown for it: its best one.
  local function best_of (row, sign)
    for _, t in ipairs(row.trials) do
      local value = t.state == "COMPLETE" and sign * t.value
      if value and (not row.best or value < sign * row.best.value) then row.best = t end
    end
    row.last = row.trials[#row.trials]
  end

  --- Configurations by rank: {config, params, n, mean, sd, best = trial, trials, values}. Those that have fewer seeds than
  -- others were given up, so they come behind; those without a result come last.
  ---@param trials table[]
  ---@param direction string
  ---@return table[]
  function M.configurations (trials, direction)
    local sign, rows = direction == "maximize" and -1 or 1, gather(trials)
    for _, row in ipairs(rows) do
      row.mean, row.sd = moments(row.values)
      row.n = #row.values
      best_of(row, sign)
    end
    table.sort(rows, function (a, b)
      if (a.n > 0) ~= (b.n > 0) then return a.n > 0 end
      if a.n ~= b.n then return a.n > b.n end
      if a.mean and a.mean ~= b.mean then return sign * a.mean < sign * b.mean end
      return a.config < b.config
    end)
    return rows
  end

  --- Names of the parameters of trials, in order.
  function M.names (trials)
    local seen, list = {}, {}
    for _, t in ipairs(trials) do
      for name in next, t.params do
        if not seen[name] then seen[name], list[#list + 1] = true, name end
      end
    end
    table.sort(list)
    return list
  end

  return M
end
