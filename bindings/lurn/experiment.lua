--- Experiments: a name, parameters with their ranges, and a function that runs.
--
--   return lurn.experiment {
--     name = "charlm", direction = "minimize",
--     params = {
--       data   = "book.txt",                                     -- just a default
--       hidden = {128, int = {32, 512}, log = true},             -- default, and where a sweep may look
--       cell   = {"lstm", choice = {"rnn", "lstm", "gru"}},
--       drop   = {0, float = {0, 0.5}, when = function (p) return p.layers > 1 end, help = "..."},
--     },
--     run = function (run, p) ... return validation_loss end,
--   }
--
-- A declaration is a table {default, ...} with at most one of choice, int, float. int and float are {low, high},
-- where a sweep looks, or true: just the type. A run takes values from outside the range, too: what is impossible the
-- layer or optimiser refuses that gets it. log and step say how a sweep draws; sweep = false keeps a choice out of it
-- that makes another task. when(p) tells whether the parameter means anything, given the others; one that does not
-- keeps its default. help is one line.
-- A declaration without a default makes an optional parameter: p.NAME is nil until it is given.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  ---@class lurn.Experiment
  ---@field name string
  ---@field direction "minimize"|"maximize"
  ---@field declarations table<string, table>
  local Experiment = {}
  Experiment.__index, Experiment.__name = Experiment, "lurn.Experiment"
  M.Experiment = Experiment

  -- What completion at a prompt offers inside the braces of start and run: the parameters, as options.
  function Experiment.__options (self, method)
    if method ~= "start" and method ~= "run" then return nil end
    local rules = {}
    for name, d in next, self.declarations do
      rules[name] = {d.kind == "choice" and "string" or d.kind, d.default, d.choice, d.help}
    end
    return rules
  end

  local SPEC = {
    name = {"string", schema.required, nil, "names the run files"},
    direction = {"string", "minimize", {"minimize", "maximize"}, "what is better"},
    params = {"table", nil, nil, "parameters: a default, or {default, ...}"},
    run = {"function", schema.required, nil, "function (run, p): the experiment"},
    help = {"string", nil, nil, "one line that says what it is about"},
  }

  local PARAM = {
    {"any"},
    choice = {"table", nil, nil, "list of the values it may take"},
    int = {"table|boolean", nil, nil, "{low, high}, or true"},
    float = {"table|boolean", nil, nil, "{low, high}, or true"},
    log = {"boolean", nil, nil, "drawn evenly on a logarithmic scale"},
    step = {"number", nil, {1e-300, 1e300}, "drawn in multiples from low"},
    sweep = {"boolean", true, nil, "false: a sweep leaves it alone, unless it is asked to"},
    when = {"function", nil, nil, "whether it means anything, given the others"},
    help = {"string", nil, nil, "one line"},
  }

  -- Words that `lurn run` and its relatives keep for themselves.
  local reserved = {}
  for word in ("seed seeds threads precision out json quiet resume fork init partial other_data force keep help "
    .. "trials store study workers sampler pruner timeout train_seed limit_time limit_memory enqueue "
    .. "dry_run"):gmatch "[%w_]+" do
    reserved[word] = true
  end

  local function kind_of (value, where)
    local kind = math.type(value) or type(value)
    local kinds = {integer = "int", float = "float", string = "string", boolean = "boolean"}
    return kinds[kind] or error(("%s: a default is a number, a string or a boolean, got %s")
      :format(where, schema.describe(value)), 0)
  end

  local function range_of (spec, where)
    local range = spec.int or spec.float
    if type(range) ~= "table" then return end
    local low, high = range[1], range[2]
    if type(low) ~= "number" or type(high) ~= "number" or not (low <= high) or #range ~= 2 then
      error(where .. ": a range is {low, high} with low <= high", 0)
    end
    if spec.log and low <= 0 then error(where .. ": a logarithmic range starts above 0", 0) end
    return low, high
  end

  local function declare_kind (d, spec, where)
    local kinds = (spec.choice and 1 or 0) + (spec.int and 1 or 0) + (spec.float and 1 or 0)
    if kinds > 1 then error(where .. ": give one of choice, int and float", 0) end
    if spec.choice then
      if #spec.choice == 0 then error(where .. ": choice is an empty list", 0) end
      d.kind, d.choice = "choice", spec.choice
    elseif kinds == 1 then
      d.kind = spec.int and "int" or "float"
      d.low, d.high = range_of(spec, where)
    elseif d.default == nil then
      d.kind = "string"
    else
      d.kind = kind_of(d.default, where)
    end
  end

  local function fail (d, what, value)
    return nil, ("parameter '%s' must be %s, got %s"):format(d.name, what, schema.describe(value))
  end

  local function declare (name, given)
    local where = ("parameter '%s'"):format(name)
    if reserved[name] then error(where .. ": this is an option of lurn run; choose another name", 0) end
    local spec = type(given) == "table" and given or {given}
    schema.check(where, spec, PARAM, 4)
    local d = {name = name, default = spec[1], log = spec.log, step = spec.step, when = spec.when, help = spec.help,
      sweep = spec.sweep ~= false}
    declare_kind(d, spec, where)
    if d.default ~= nil then
      local value, message = M.validate(d, d.default)
      if value ~= nil and d.low and not (value >= d.low and value <= d.high) then
        value, message = fail(d, ("between %g and %g"):format(d.low, d.high), value)
      end
      if value == nil then error("default of " .. message, 0) end
      d.default = value
    end
    return d
  end

  --- Makes an experiment of its description; raises when the description is wrong.
  ---@param spec table
  ---@return lurn.Experiment
  function M.new (spec)
    spec = schema.check("lurn.experiment", spec, SPEC)
    local self = setmetatable({name = spec.name, direction = spec.direction, body = spec.run, help_line = spec.help,
      declarations = {}, names = {}}, Experiment)
    if not spec.name:find("^[%w_.-]+$") then
      error("lurn.experiment: a name is made of letters, digits and . _ - (it becomes a file's name), got '"
        .. spec.name .. "'", 2)
    end
    for name, given in pairs(spec.params or {}) do
      local ok, d = pcall(declare, name, given)
      if not ok then error("lurn.experiment: " .. tostring(d), 2) end
      self.declarations[name] = d
      self.names[#self.names + 1] = name
    end
    table.sort(self.names)
    return self
  end

  local function check_choice (d, value)
    local shown = {}
    for i, choice in ipairs(d.choice) do
      if choice == value and math.type(choice) == math.type(value) then return value end
      shown[i] = tostring(choice)
    end
    return fail(d, "one of " .. table.concat(shown, ", "), value)
  end

  local function check_number (d, value)
    if type(value) ~= "number" or value ~= value then return fail(d, "a number", value) end
    if d.kind == "int" then
      local whole = math.tointeger(value)
      if not whole then return fail(d, "an integer", value) end
      value = whole
    else
      value = value + 0.0
    end
    return value
  end

  --- The value as the parameter's type, or nil and a message.
  ---@param d table     a declaration
  ---@param value any
  function M.validate (d, value)
    if d.kind == "choice" then return check_choice(d, value) end
    if d.kind == "int" or d.kind == "float" then return check_number(d, value) end
    if type(value) ~= d.kind then return fail(d, "a " .. d.kind, value) end
    return value
  end

  local booleans = {["true"] = true, ["false"] = false, yes = true, no = false, on = true, off = false,
    ["1"] = true, ["0"] = false}

  --- The value that a word on the command line means, or nil and a message.
  ---@param d table
  ---@param text string
  function M.parse (d, text)
    if d.kind == "choice" then
      for _, choice in ipairs(d.choice) do if tostring(choice) == text then return choice end end
      return check_choice(d, tonumber(text) or text)
    end
    if d.kind == "boolean" then
      local value = booleans[text:lower()]
      if value == nil then return fail(d, "true or false", text) end
      return value
    end
    if d.kind == "string" then return text end
    local value = tonumber(text)
    if not value then return fail(d, d.kind == "int" and "an integer" or "a number", text) end
    return M.validate(d, value)
  end

  --- What means something: a set of names, and all values with the defaults of what does not. Whether one parameter
  -- means something may depend on another that does not, so the question is asked until the answer stands still.
  ---@param values table<string, any>   of every parameter
  ---@return table<string, boolean> active
  ---@return table<string, any> settled
  function Experiment:active (values)
    local active, settled = {}, {}
    for name, value in pairs(values) do settled[name] = value end
    for _ = 0, #self.names do
      local changed = false
      for _, name in ipairs(self.names) do
        local d = self.declarations[name]
        active[name] = not d.when or d.when(settled) and true or false
        local value = d.default
        if active[name] then value = values[name] end
        changed = changed or settled[name] ~= value
        settled[name] = value
      end
      if not changed then break end
    end
    return active, settled
  end

  local function apply_when (self, values, given)
    local active, settled = self:active(values)
    for _, name in ipairs(self.names) do
      if not active[name] and given[name] ~= nil and values[name] ~= settled[name] then
        return nil, ("parameter '%s' means nothing with these other values (it stays %s)")
          :format(name, tostring(settled[name]))
      end
    end
    return settled
  end

  --- All parameters: those given, checked, and the defaults of the rest; or nil and a message.
  ---@param given table<string, any>
  ---@return table? values
  ---@return string? message
  function Experiment:resolve (given)
    local values = {}
    for name in pairs(given) do
      if not self.declarations[name] then
        return nil, schema.unknown("unknown parameter", tostring(name), {table.unpack(self.names)})
      end
    end
    for _, name in ipairs(self.names) do
      local d, value = self.declarations[name], given[name]
      if value == nil then
        values[name] = d.default
      else
        local valid, message = M.validate(d, value)
        if valid == nil then return nil, message end
        values[name] = valid
      end
    end
    return apply_when(self, values, given)
  end

  --- Of the parameters of a run those that this experiment has: a table of one's own, that others may be put into.
  ---@param params table<string, any>
  ---@return table<string, any>
  function Experiment:known (params)
    local known = {}
    for name in next, self.declarations do known[name] = params[name] end
    return known
  end

  --- Turns words of the command line into values; nil and a message when one does not fit.
  ---@param words table<string, string>
  function Experiment:parse (words)
    local given = {}
    for name, text in pairs(words) do
      local d = self.declarations[name]
      if not d then return nil, schema.unknown("unknown parameter", name, {table.unpack(self.names)}) end
      local value, message = M.parse(d, text)
      if value == nil then return nil, message end
      given[name] = value
    end
    return given
  end

  local function range_text (d)
    if d.choice then
      local shown = {}
      for i, choice in ipairs(d.choice) do shown[i] = tostring(choice) end
      return table.concat(shown, "|")
    end
    local text = d.kind
    if d.low then text = ("%s %g..%g"):format(text, d.low, d.high) end
    if d.log then text = text .. ", log" end
    return text
  end

  local function default_text (d)
    if d.default == nil then return "" end
    return (type(d.default) == "number" and "%.6g" or "%s"):format(type(d.default) == "number" and d.default
      or tostring(d.default))
  end

  --- The parameters as a table for people: name, default, range, help.
  ---@return string
  function Experiment:help ()
    local lines, widest, widest_default = {}, 4, 7
    for _, name in ipairs(self.names) do
      widest = math.max(widest, #name)
      widest_default = math.max(widest_default, #default_text(self.declarations[name]))
    end
    local format = ("  --%%-%ds  %%-%ds  %%s"):format(widest, math.min(widest_default, 24))
    for _, name in ipairs(self.names) do
      local d = self.declarations[name]
      local line = format:format(name, default_text(d), range_text(d))
      lines[#lines + 1] = d.help and line .. ": " .. d.help or line
    end
    return table.concat(lines, "\n")
  end

  --- Runs to the end. Raises what the script raises; the run object tells the rest.
  ---@param given? table   parameters that differ from their defaults
  ---@param options? table see lurn.run: seed, out, ...
  ---@return any result    what the experiment returned
  ---@return table run
  function Experiment:run (given, options)
    local run = self:start(given, options)
    run:continue()
    return run.result, run
  end

  --- Makes a run that waits: r:step(n) plays n iterations, r:continue() the rest.
  ---@param given? table
  ---@param options? table
  ---@return lurn.Run
  function Experiment:start (given, options)
    local values, message = self:resolve(given or {})
    if not values then
      error(message:find "did you mean" and message or message .. "\nparameters:\n" .. self:help(), 2)
    end
    return lurn.run.new(self, values, options)
  end

  --- Loads a script that returns an experiment. nil, message, code when it cannot be read.
  ---@param path string
  ---@return lurn.Experiment? experiment
  ---@return string? message
  ---@return string? code
  function M.load (path)
    local file, message = io.open(path, "rb")
    if not file then return nil, message, "EIO" end
    local text = file:read("a")
    file:close()
    if not text then return nil, path .. ": cannot be read (is it a folder?)", "EIO" end
    local experiment
    experiment, message = M.compile(text, path)
    if not experiment then return nil, message, "ESCRIPT" end
    return experiment
  end

  local function traced (message)
    return type(message) == "string" and debug.traceback(message, 2) or message
  end

  --- The experiment that a script's text describes, or nil and a message.
  ---@param text string
  ---@param path string   for messages
  function M.compile (text, path)
    local chunk, message = load(text, "@" .. path, "t")
    if not chunk then return nil, message end
    local before = {}
    for name in next, package.loaded do before[name] = true end
    local ok, experiment = xpcall(chunk, traced)
    if not ok then return nil, tostring(experiment) end
    if getmetatable(experiment) ~= Experiment then
      return nil, path .. ": the script does not return lurn.experiment {...}"
    end
    experiment.script, experiment.path, experiment.loaded_before = text, path, before
    return experiment
  end

  --- The experiment of a script that a run file or a study keeps, or nil and a message. Modules that the script
  -- required come from there, too, not from wherever they are today.
  ---@param script {text: string, path: string, lua: table<string, string>?}
  function M.restore (script)
    local required = {}
    for name, text in next, script.lua or {} do
      required[name], package.preload[name] = text, load(text, "@" .. name .. ".lua", "t")
    end
    local experiment, message = M.compile(script.text, script.path)
    if not experiment then return nil, message end
    experiment.required = required
    return experiment
  end

  return setmetatable(M, {__call = function (_, spec) return M.new(spec) end})
end
