--- The words of the prompt: what is at hand there besides Lua and lurn, and commands that are no Lua.
--
-- A word stands behind the globals: a script that has a function `plot` of its own keeps it.

return function (session)
  local schema = session.lurn.schema
  local words, commands = {}, {}

  local function later (name) return function () return require("lurn." .. name)(session) end end

  -- Parts of the prompt, loaded when they are first asked for.
  local parts = {complete = later "complete", help = later "help", chart = later "chart", look = later "look",
    source = later "prompt_source"}

  local function part (name)
    if type(parts[name]) == "function" then parts[name] = parts[name]() end
    return parts[name]
  end

  session.part = part

  ---------------------------------------------------------------- words

  --- What a name, a function or a value is about. Its documentation and its options.
  ---@param x any    "lurn.lstm", "model:evaluate", lurn.lstm, a model
  function words.help (...) part "help".help(...) end

  --- Names whose help has the word in it.
  ---@param word string
  function words.apropos (word) part "help".apropos(word) end

  --- A picture of numbers against their place. Of a list, a tensor, a metric of a run, or several of them.
  ---@param ... any       series; the last may be options
  ---@param options? {log: boolean?, title: string?, width: integer?, height: integer?, file: string?}
  function words.plot (...) part "chart".plot(...) end

  --- How often which numbers occur. Of a tensor, a list, or a model's parameters.
  ---@param x any
  ---@param options? {bins: integer?, log: boolean?, title: string?, file: string?}
  function words.hist (x, options) part "chart".hist(x, options) end

  --- Numbers of a matrix (rows, columns) as shades. `labels` stand beneath the columns, one each.
  ---@param x any
  ---@param options? {labels: string|string[]|nil, title: string?, file: string?}
  function words.heat (x, options) part "chart".heat(x, options) end

  --- A layer's state at every character of a text. A heat map, a row a unit.
  ---@param model any
  ---@param data any          whose vocabulary reads the text
  ---@param text string
  ---@param options? {layer: string?, state: string?, units: integer?, file: string?}
  function words.states (model, data, text, options) part "look".states(model, data, text, options) end

  --- How far back a gradient reaches. Its norm in a state, of the loss of the last step, by how many steps before.
  ---@param model any      or a run
  ---@param batch? any     of the run's own data by default
  ---@param options? {layer: string?, state: string?, file: string?}
  function words.lags (model, batch, options) part "look".lags(model, batch, options) end

  --- How often each gate is shut or open, layer by layer.
  ---@param model any      or a run
  ---@param batch? any     of the run's own data by default
  function words.gates (model, batch) part "look".gates(model, batch) end

  --- Which class a model takes for which, as shades and counts.
  ---@param model any      or a run: confusion(run, options)
  ---@param split any      the run's validation data by default
  ---@param options? table    of model:evaluate
  function words.confusion (model, split, options) part "look".confusion(model, split, options) end

  --- What a model says of a sequence beside what is so. Wrong places are marked; beside(run, options) takes a run's own
  -- model and its validation data. The picture in a file: both curves, where the labels are along the frames, or -ln p
  -- of what is so at every place.
  ---@param model any
  ---@param split any
  ---@param options? table    of lurn.beside; file
  function words.beside (model, split, options) part "look".beside(model, split, options) end

  --- What a language model writes. sample(run, options), or sample(model, data, options).
  ---@param model any
  ---@param data any          whose vocabulary it is
  ---@param options? table    of lurn.sample: length, temperature, top_k, start, seed
  ---@return string
  function words.sample (model, data, options) return part "look".sample(model, data, options) end

  --- The inside of a run file, also while the run goes on. Its parameters and curves, the model with its latest
  -- weights; :fork {lr = 1e-4} starts a new run from its state.
  ---@param path string|lurn.Run    a run file, the beginning of its name in the folder runs, or a run of this prompt
  ---@return lurn.Attached
  function words.attach (path) return part "look".attach(path) end

  --- Plays a function, says on stderr how many seconds it took, and gives what it gave.
  ---@param f function
  function words.time (f)
    if type(f) ~= "function" then error("time: expected a function; %time EXPRESSION plays an expression", 2) end
    local clock = session.lurn.sys.clock
    local begin = clock()
    local values = table.pack(f())
    io.stderr:write(("%.3g s\n"):format(clock() - begin))
    return table.unpack(values, 1, values.n)
  end

  -- Values that lines gave have names, of which so many are kept.
  local GIVEN = 20

  session.given = 0

  --- Notes a value: _ is the last one, __ and ___ are the two before it, _1 is the first one that a line gave.
  ---@param value any
  function session.give (value)
    if value == nil then return end
    rawset(_G, "_", nil)        -- a script's own _ is forgotten
    words.___, words.__, words._ = words.__, words._, value
    session.given = session.given + 1
    words["_" .. session.given], words["_" .. session.given - GIVEN] = value, nil
  end

  --- Loads a module anew. A table of functions keeps its identity and gets the new ones.
  ---@param name string
  function words.reload (name)
    if type(name) ~= "string" then error("reload: expected the name of a module", 2) end
    local old = package.loaded[name]
    package.loaded[name] = nil
    local ok, new = pcall(require, name)
    if not ok then
      package.loaded[name] = old
      error(new, 2)
    end
    if type(old) ~= "table" or type(new) ~= "table" then return new end
    for key in next, old do if new[key] == nil then old[key] = nil end end
    for key, value in next, new do old[key] = value end
    package.loaded[name] = old
    return old
  end

  --- Globals that were made at this prompt or by a script, with what they are, and the values that lines gave.
  function words.who ()
    local names, rows = {}, {}
    for name in next, _G do
      if type(name) == "string" and not session.before[name] then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do rows[#rows + 1] = {name, session.show.line(_G[name])} end
    for k = math.max(1, session.given - GIVEN + 1), session.given do
      local name = "_" .. k
      rows[#rows + 1] = {name, session.show.line(words[name])}
    end
    print(rows[1] and session.show.screen.table(rows) or "  no names yet")
  end

  session.before = {lurn = true}
  for name in next, _G do session.before[name] = true end

  ---------------------------------------------------------------- commands

  -- A command gives the Lua to be played, or nil and a message, and then {kept = what %save writes of it, after = what
  -- is called when it was played}.

  --- %time EXPRESSION: plays it and says how long it took.
  function commands.time (rest)
    if rest == "" then return nil, "%time: which expression?" end
    local code = load("return " .. rest) and "return " .. rest or rest
    return ("return time(function () %s end)"):format(code), nil, {kept = rest}
  end

  --- %edit [NAME]: an editor for the last entry, or for a function. It is $VISUAL or $EDITOR, and what was changed is
  -- played.
  function commands.edit (rest) return part "source".edit(rest) end

  -- Entries as a script. An expression is no statement, and what it gives may be asked for as _ further below.
  local function as_script (entries)
    local lines, asked = {}, false
    for _, text in ipairs(entries) do asked = asked or text:find "%f[%w_]_%f[^%w_]" ~= nil end
    for k, text in ipairs(entries) do
      local value = load("return " .. text:gsub("%s*;%s*$", "") .. "\n") and (asked or not load(text))
      lines[k] = value and "_ = " .. text or text
      if value then lines.named = true end
    end
    return (lines.named and "local _\n" or "") .. table.concat(lines, "\n")
  end

  --- %save FILE: writes what did not fail, as a script for lurn -i.
  function commands.save (rest)
    local path = rest:match "^[\"']?(.-)[\"']?%s*$"
    if path == "" then return nil, "%save: which file?" end
    local f, message = io.open(path, "w")
    if not f then return nil, "%save: " .. message end
    f:write("local lurn = require \"lurn\"\n", as_script(session.kept), "\n")
    f:close()
    io.stderr:write(("%d entries in %s\n"):format(#session.kept, path))
    return nil
  end

  --- %who: the names made so far, and the values that lines gave.
  function commands.who () return "who()" end

  ---------------------------------------------------------------- translation

  --- Whether the line goes on with what is paused.
  ---@param text string
  local function is_continue (text) return text:find "^%s*continue%s*%(?%s*%)?%s*;?%s*$" ~= nil end

  --- Whether the line is exit or quit, and no name of the user's.
  ---@param text string
  local function is_leave (text)
    local name = text:match "^%s*(%a+)%s*%(?%s*%)?%s*$"
    return (name == "exit" or name == "quit") and rawget(_G, name) == nil
  end

  --- Whether the line is no Lua but a command: ?NAME, NAME?, %COMMAND, !COMMAND of a shell, continue.
  ---@param text string
  local function is_command (text)
    for _, pattern in ipairs {"^%s*help%s*$", "^%s*%%%a", "^%s*[?!]", "^%s*[%a_][%w_.:]*%s*%?+%s*$"} do
      if text:find(pattern) then return true end
    end
    return is_continue(text)
  end

  --- The Lua that an entry stands for; nil when it was done already, with a message when it cannot be.
  ---@param text string
  ---@return string? code
  ---@return string? message
  ---@return {kept: string?, after: function?}? more
  local function translate (text)
    local shell = text:match "^%s*!(.*)$"
    if shell then
      io.stdout:flush()
      os.execute(shell)
      return nil
    end
    local name, rest = text:match "^%s*%%(%a+)%s*(.-)%s*$"
    if name and rest == "?" then return ("help(%q)"):format("%" .. name) end
    if name then
      if commands[name] then return commands[name](rest) end
      local names = {}
      for known in next, commands do names[#names + 1] = known end
      return nil, schema.unknown("unknown command", "%" .. name, {}) .. ": known are %"
        .. table.concat((table.sort(names) or names), ", %")
    end
    if text:find "^%s*help%s*$" then return "help()" end
    local marks, asked = text:match "^%s*(%?+)%s*(.-)%s*$"
    if not asked then asked, marks = text:match "^%s*([%a_][%w_.:]*)%s*(%?+)%s*$" end
    if asked and #marks > 1 and asked ~= "" then
      local source, message = part "source".of(asked)
      return source and ("print(%q)"):format(source), message
    end
    if asked then return ("help(%s)"):format(asked ~= "" and ("%q"):format(asked) or "") end
    return text, nil, {kept = text}
  end

  return {words = words, commands = commands, is_continue = is_continue, is_command = is_command, is_leave = is_leave,
    translate = translate}
end
