--- Search spaces: what an experiment's declarations, and words like --lr 1e-4..1e-2, leave to a sampler.
--
-- A space is a list of plain tables, sorted by name, which a store keeps as JSON:
--
--   {name =, kind = "float"|"int"|"choice", low =, high =, log =, step =, choice = {...}, default =}
--
-- low and high belong to the range. A float with a step takes low, low + step, ... and an int every whole
-- number unless it has a step. log and step exclude each other, as in Optuna (optuna/distributions.py). A
-- parameter has a place in the space, a number in [0, 1], which `at` turns into a value: a share of the range,
-- of its logarithm, or of the list of values.

return function (lurn)
  local schema = lurn.schema
  local ln, exp = lurn.core.parzen.log, lurn.core.parzen.exp      -- the same bits everywhere
  local M = {}

  local function fail (name, ...) return nil, ("parameter '%s': "):format(name) .. string.format(...) end

  -- The last value of a range with steps: 0..1 in steps of 0.3 ends at 0.9, and 0..0.9 at the 0.9 that was written.
  local function last_of (p)
    local last = p.low + (M.count(p) - 1) * p.step
    return math.abs(p.high - last) < 1e-8 * p.step and p.high or last
  end

  -- nil, message or the entry itself, whole: int ranges of integers, ends that the step reaches.
  local function finish (p)
    if p.kind == "choice" then
      if #p.choice == 0 then return fail(p.name, "an empty list of choices") end
      return p
    end
    if not (p.low <= p.high) then return fail(p.name, "a range goes from low to high, got %g..%g", p.low, p.high) end
    if p.log and p.step then return fail(p.name, "log and step exclude each other") end
    if p.log and p.low <= 0 then return fail(p.name, "a logarithmic range starts above 0, got %g", p.low) end
    if p.kind == "int" then
      for _, key in ipairs {"low", "high", "step"} do
        local whole = p[key] and math.tointeger(p[key])
        if p[key] and not whole then return fail(p.name, "%s is a whole number, got %g", key, p[key]) end
        p[key] = whole
      end
    else
      p.low, p.high, p.step = p.low + 0.0, p.high + 0.0, p.step and p.step + 0.0
    end
    if p.step then p.high = last_of(p) end
    return p
  end

  --- How many values the parameter can take; nil when it is continuous.
  ---@param p table   an entry of a space
  ---@return integer?
  function M.count (p)
    if p.kind == "choice" then return #p.choice end
    if p.low == p.high then return 1 end
    local step = p.step or p.kind == "int" and 1
    if not step then return nil end
    local steps = (p.high - p.low) / step
    return steps < 2^53 and math.floor(steps + 1e-8) + 1 or nil
  end

  local function clip (p, value) return math.min(math.max(value, p.low), p.high) end

  -- The value of steps that lies nearest.
  local function nearest_step (p, value)
    return clip(p, p.low + math.floor((value - p.low) / p.step + 0.5) * p.step)
  end

  --- The parameter's value nearest to a number in its range.
  function M.round (p, value)
    if p.step then value = nearest_step(p, value) end
    if p.kind == "int" then return math.tointeger(clip(p, math.floor(value + 0.5))) end
    return clip(p, value)
  end

  local function log_at (p, u)
    local half = p.kind == "int" and 0.5 or 0
    local low, high = ln(p.low - half), ln(p.high + half)
    return M.round(p, exp(low + u * (high - low)))
  end

  --- The value at place u in [0, 1]. Every value of a list, or of steps, has the same share.
  ---@param p table
  ---@param u number
  ---@return any
  function M.at (p, u)
    if p.log then return log_at(p, u) end
    local n = M.count(p)
    if not n then return M.round(p, p.low + u * (p.high - p.low)) end
    local k = math.min(math.floor(u * n), n - 1)
    if p.kind == "choice" then return p.choice[k + 1] end
    return M.round(p, p.low + k * (p.step or 1))
  end

  --- Position of a choice in its list, from 1; nil when it is none of them.
  function M.index (p, value)
    for i, choice in ipairs(p.choice) do if choice == value then return i end end
  end

  -- The declared default, brought into the range; the middle where there is none.
  local function default_in (p, default)
    if p.kind == "choice" then return M.index(p, default) and default or p.choice[1] end
    if type(default) ~= "number" then return M.at(p, 0.5) end
    return M.round(p, default)
  end

  --- The configuration of all defaults.
  ---@param space table
  ---@return table<string, any>
  function M.defaults (space)
    local params = {}
    for _, p in ipairs(space) do params[p.name] = default_in(p, p.default) end
    return params
  end

  -- ---- from an experiment -----------------------------------------------------------------------

  local function declared (d)
    if not d.sweep or not d.choice and not d.low then return nil end
    return {name = d.name, kind = d.kind, low = d.low, high = d.high, log = d.log, step = d.step,
      choice = d.choice and {table.unpack(d.choice)}, default = d.default}
  end

  local function split (text)
    local list = {}
    for word in (text .. ","):gmatch("([^,]*),") do list[#list + 1] = word end
    return list
  end

  -- "1e-4..1e-2" and "1e-4..1e-2,log"; nil when the words are none of a range.
  local function range_of (d, text)
    local low, high, log = text:match("^(.-)%.%.([^,]+)(,?l?o?g?)$")
    if not low or (log ~= "" and log ~= ",log") or not (d.kind == "int" or d.kind == "float") then return nil end
    return low, high, log == ",log"
  end

  local function narrow_range (d, low, high, log)
    local ends = {}
    for i, word in ipairs {low, high} do
      local value, message = lurn.experiment.parse(d, word)
      if value == nil then return nil, message end
      ends[i] = value
    end
    return {name = d.name, kind = d.kind, low = ends[1], high = ends[2], log = log or d.log, step = d.step,
      default = d.default}
  end

  local function narrow_list (d, words)
    local choice = {}
    for i, word in ipairs(words) do
      local value, message = lurn.experiment.parse(d, word)
      if value == nil then return nil, message end
      choice[i] = value
    end
    return {name = d.name, kind = "choice", choice = choice, default = d.default}
  end

  -- What one word of the command line leaves of a declaration: an entry, or nil and the value that it fixes.
  local function narrow (d, text)
    local low, high, log = range_of(d, text)
    if low then return narrow_range(d, low, high, log) end
    local words = split(text)
    if #words > 1 and d.kind ~= "string" then return narrow_list(d, words) end
    local value, message = lurn.experiment.parse(d, text)
    if value == nil then return nil, message end
    return nil, nil, value
  end

  --- The space of an experiment.
  -- words narrow and fix: "1e-4..1e-2" is a range (",log" behind it makes it logarithmic), "lstm,gru" a list,
  -- everything else one value, which takes the parameter out of the space. A range or a list also brings a
  -- parameter into the space that the script declares with nothing but a default. nil and a message when a word does
  -- not fit.
  ---@param experiment lurn.Experiment
  ---@param words? table<string, string>
  ---@return table? space
  ---@return table|string fixed   the parameters that words fix, or the message
  function M.of (experiment, words)
    local space, fixed = {}, {}
    for name in pairs(words or {}) do
      if not experiment.declarations[name] then
        return nil, schema.unknown("unknown parameter", tostring(name), {table.unpack(experiment.names)})
      end
    end
    for _, name in ipairs(experiment.names) do
      local d, text = experiment.declarations[name], words and words[name]
      local p, message, value
      if text then p, message, value = narrow(d, text) else p = declared(d) end
      if message then return nil, message end
      fixed[name] = value
      if p then
        p, message = finish(p)
        if not p then return nil, message end
        p.default = default_in(p, p.default)
        space[#space + 1] = p
      end
    end
    return space, fixed
  end

  --- Who means something: a function of the parameters drawn that gives a set of names, by the experiment's `when`.
  ---@param experiment lurn.Experiment
  ---@param fixed? table<string, any>   parameters outside the space that are not at their defaults
  ---@return fun(params: table): table<string, boolean>
  function M.conditions (experiment, fixed)
    return function (params)
      local values = {}
      for name, d in pairs(experiment.declarations) do values[name] = d.default end
      for name, value in pairs(fixed or {}) do values[name] = value end
      for name, value in pairs(params) do values[name] = value end
      return (experiment:active(values))
    end
  end

  --- The parameters that mean something beside the rest.
  ---@param params table<string, any>
  ---@param active fun(params: table): table<string, boolean>   from M.conditions
  ---@return table<string, any>
  function M.meaningful (params, active)
    local means, kept = active(params), {}
    for name, value in pairs(params) do if means[name] then kept[name] = value end end
    return kept
  end

  --- Checks a space that comes from outside (a store, a caller); raises what is wrong with it.
  ---@param space table
  ---@return table space   sorted by name, whole
  function M.check (space)
    local out = {}
    for i, given in ipairs(space) do
      local p = {}
      for key, value in pairs(given) do p[key] = value end
      if type(p.name) ~= "string" then error(("space: entry %d has no name"):format(i), 0) end
      if p.kind ~= "choice" and p.kind ~= "int" and p.kind ~= "float" then
        error(("space: parameter '%s' has kind %s, expected float, int or choice"):format(p.name,
          schema.describe(p.kind)), 0)
      end
      if p.kind == "choice" and type(p.choice) ~= "table" or p.kind ~= "choice" and not (tonumber(p.low) and
        tonumber(p.high)) then
        error(("space: parameter '%s' needs %s"):format(p.name, p.kind == "choice" and "a list choice" or
          "low and high"), 0)
      end
      local whole, message = finish(p)
      out[i] = whole or error("space: " .. message, 0)
    end
    table.sort(out, function (a, b) return a.name < b.name end)
    return out
  end

  -- ---- the grid -----------------------------------------------------------------------------------

  --- The values of a grid along one parameter: all there are, or `points` spread over the range, ends included.
  -- nil and a message when there are too many and points is not given.
  ---@param p table
  ---@param points? integer   of a continuous parameter, and at most so many of any other range
  ---@return any[]? values
  ---@return string? message
  function M.values (p, points)
    local n = M.count(p)
    if p.kind ~= "choice" and points and (not n or n > points) then n = points end
    if not n then
      return fail(p.name, "is continuous: a grid needs a step, a list or a number of points (grid:points=5)")
    end
    if n > 1e6 then return fail(p.name, "a grid of %d values", n) end
    if n == M.count(p) and not p.log then
      local list = {}
      for k = 1, n do list[k] = M.at(p, (k - 0.5) / n) end
      return list
    end
    local list = {}
    for k = 1, n do
      local u = n == 1 and 0.5 or (k - 1) / (n - 1)
      local value = p.log and p.low * (p.high / p.low) ^ u or p.low + u * (p.high - p.low)
      value = M.round(p, tonumber(("%.12g"):format(value)) + 0.0)      -- 0.001, not 0.00099999999999999980
      if value ~= list[#list] then list[#list + 1] = value end
    end
    return list
  end

  -- ---- for people -----------------------------------------------------------------------------------

  --- One parameter's range as text: "float 0.0001..0.01, log", "lstm|gru".
  ---@param p table
  ---@return string
  function M.text (p)
    if p.kind == "choice" then
      local shown = {}
      for i, choice in ipairs(p.choice) do shown[i] = tostring(choice) end
      return table.concat(shown, "|")
    end
    return ("%s %g..%g%s%s"):format(p.kind, p.low, p.high, p.log and ", log" or "",
      p.step and (", step %g"):format(p.step) or "")
  end

  return M
end
