--- Many run files side by side: what `lurn ls`, `lurn compare` and `lurn diff` know of each.
--
-- A row is {path, name, status, steps, seconds, seed, precision, params, metrics = {NAME = {last, best, step}}, ...},
-- or {path, error} for a file that cannot be read. Nothing of a run file is executed.

local direction = require "lurn.direction"

return function (lurn)
  local M = {}

  --- Last and best of every series, as Run:summary gives them.
  ---@param file table   what lurn.runfile.read gave
  ---@return table<string, {last: number, best: number?, step: integer?}>
  function M.summary (file)
    local run = {metrics = file.metrics, experiment = {direction = file.config.direction}}
    return lurn.run.Run.summary(run)
  end

  --- What a run file says in short. `whole`: file has all of it, else the header and the metrics.
  ---@param path string
  ---@param whole? boolean
  ---@return table row
  function M.row (path, whole)
    local file, message = lurn.runfile.read(path, not whole and "metrics" or nil)
    if not file then return {path = path, status = "broken", error = message} end
    local row = {path = path, file = file, params = file.params, direction = file.config.direction,
      metrics = M.summary(file), best = file.best_value}
    for _, key in ipairs {"name", "steps", "seconds", "seed", "precision", "created", "updated"} do
      row[key] = file[key]
    end
    row.status = lurn.lock.status(path, file.status)
    return row
  end

  -- RUN.step-000400.h5 beside RUN.h5 is an earlier state of that run, no run of its own.
  local function is_kept (path)
    local stem = path:match "^(.*)%.step%-%d+%.h5$"
    return stem and lurn.sys.exists(stem .. ".h5")
  end

  --- Run files of a folder and of those below it, in the order of names.
  ---@param folder string
  ---@return string[]
  function M.paths (folder)
    local list = {}
    local pipe = io.popen(("find -L %s -type f -name '*.h5' ! -name '.*' -print0 2>/dev/null")
      :format(lurn.shell.quote(folder)))
    for path in (pipe and pipe:read "a" or ""):gmatch "([^%z]+)%z" do
      if not is_kept(path) then list[#list + 1] = path end
    end
    if pipe then pipe:close() end
    table.sort(list)
    return list
  end

  --- Whether the name of a run file, or the time in it, begins so: NAME-20261125-...h5.
  ---@param name string        without a folder
  ---@param beginning string
  function M.begins (name, beginning)
    local id = name:match "^[%w_.-]-%-(%d.*)$" or name
    return name:sub(1, #beginning) == beginning or id:sub(1, #beginning) == beginning
  end

  ---------------------------------------------------------------- values by name

  --- The value that a name stands for in a row: a parameter, the best value of a metric (NAME.last: the last one), or
  -- one of the run's own (steps, seconds, seed, status, name, best). nil where there is none.
  ---@param row table
  ---@param name string
  function M.value (row, name)
    if row.params and row.params[name] ~= nil then return row.params[name] end
    local metric, which = name:match "^(.*)%.(%a+)$"
    if row.metrics and row.metrics[name] then return row.metrics[name].best end
    if metric and row.metrics and row.metrics[metric] and (which == "last" or which == "best") then
      return row.metrics[metric][which]
    end
    local own = name ~= "file" and name ~= "params" and name ~= "metrics" and row[name]
    return own or nil
  end

  --- Whether one of the rows has something of that name.
  function M.known (rows, name)
    for _, row in ipairs(rows) do if M.value(row, name) ~= nil then return true end end
    return false
  end

  local operators = {
    ["<"] = function (a, b) return a < b end, ["<="] = function (a, b) return a <= b end,
    [">"] = function (a, b) return a > b end, [">="] = function (a, b) return a >= b end,
    ["="] = function (a, b) return a == b end, ["!="] = function (a, b) return a ~= b end,
  }
  operators["=="], operators["~="] = operators["="], operators["!="]

  local function parse_condition (text)
    local name, sign, value = text:match "^%s*([%w_.%-/]+)%s*([<>=!~]=?)%s*(.-)%s*$"
    if not name or not operators[sign] or value == "" or value:find "^[<>=!~]" then
      return nil, ("--where: expected NAME<VALUE (also <= > >= = !=), got '%s'"):format(text)
    end
    value = value:match "^'(.*)'$" or value:match '^"(.*)"$' or value
    return {name = name, compare = operators[sign], ordered = sign:find "[<>]" ~= nil, text = value,
      number = tonumber(value)}
  end

  local function holds (row, c)
    local value = M.value(row, c.name)
    if value == nil then return false end
    if type(value) == "number" and c.number then return c.compare(value, c.number) end
    return not c.ordered and c.compare(tostring(value), c.text)
  end

  --- "lr<1e-3,cell=lstm" or "lr<1e-3 and cell=lstm" as a function of a row; nil and a message when it cannot be read.
  ---@param text string
  ---@return (fun(row: table): boolean)? filter
  ---@return any names_or_message   whether any row so far had something of that name
  function M.filter (text)
    local conditions, names = {}, {}
    for part in (text:gsub("%s+and%s+", ",") .. ","):gmatch "(.-)," do
      local c, message = parse_condition(part)
      if not c then return nil, message end
      conditions[#conditions + 1], names[c.name] = c, false
    end
    return function (row)
      for _, c in ipairs(conditions) do names[c.name] = names[c.name] or M.value(row, c.name) ~= nil end
      for _, c in ipairs(conditions) do if not holds(row, c) then return false end end
      return true
    end, names
  end

  ---------------------------------------------------------------- order

  -- What a metric is sorted by is its best first; anything else goes upwards.
  local function descends (rows, name)
    for _, row in ipairs(rows) do
      local known = row.metrics and row.metrics[name:gsub("%.%a+$", "")]
      if name == "best" or known then
        return direction.grows(name:gsub("%.%a+$", ""), row.direction)
      end
    end
    return false
  end

  local function before (a, b, down)
    if type(a) ~= type(b) then return type(a) == "number" end
    if type(a) ~= "number" then a, b = tostring(a), tostring(b) end
    if a == b or a ~= a or b ~= b then return a == a and b ~= b end
    if down then return a > b end
    return a < b
  end

  --- Sorts rows by a value, best first; rows that do not have it come last. Rows that are equal keep their order.
  ---@param rows table[]
  ---@param name string
  function M.sort (rows, name)
    local down, place, value = descends(rows, name), {}, {}
    for i, row in ipairs(rows) do place[row], value[row] = i, M.value(row, name) end
    table.sort(rows, function (a, b)
      local x, y = value[a], value[b]
      if x == nil or y == nil then
        if (x == nil) ~= (y == nil) then return x ~= nil end
        return place[a] < place[b]
      end
      if before(x, y, down) then return true end
      if before(y, x, down) then return false end
      return place[a] < place[b]
    end)
  end

  --- Marks the best run of every experiment name: best_of_name, by the best value of what it minimises or maximises.
  function M.mark_best (rows)
    local best = {}
    for _, row in ipairs(rows) do
      local other = row.best and best[row.name]
      local better = other and before(row.best, other.best, row.direction == "maximize")
      if row.best and row.best == row.best and (not other or better) then best[row.name] = row end
    end
    for _, row in next, best do row.best_of_name = true end
  end

  ---------------------------------------------------------------- what differs

  --- Parameters that are not the same in all rows, in the order of names.
  ---@return string[]
  function M.varying (rows)
    local first, names, list = nil, {}, {}
    for _, row in ipairs(rows) do
      if row.params then
        first = first or row
        for name in next, row.params do names[name] = true end
      end
    end
    for _, row in ipairs(rows) do
      for name in next, row.params and names or {} do
        if row.params[name] ~= first.params[name] then names[name] = "varies" end
      end
    end
    for name, how in next, names do if how == "varies" then list[#list + 1] = name end end
    table.sort(list)
    return list
  end

  return M
end
