--- Help: what a name is about, out of the sources themselves.
--
-- There is one documentation: the comments above functions ("---", with @param and @return as LuaCATS has them), the
-- comments and help texts of families that are defined in a row, the declarations of option tables, and meta.lua for
-- what is written in C. All of it is read from the Lua files of this folder when help is first asked for.

return function (session)
  local lurn, schema = session.lurn, session.lurn.schema
  local docs, screen = require "lurn.help_source" (lurn), session.show.screen
  local M = {}

  ---------------------------------------------------------------- options

  local KINDS = {}
  for kind in ("any string number integer boolean table function userdata"):gmatch "%a+" do KINDS[kind] = true end

  local function is_rule (rule)
    if type(rule) ~= "table" or type(rule[1]) ~= "string" then return false end
    for kind in rule[1]:gmatch "[^|]+" do if not KINDS[kind] then return false end end
    return true
  end

  local function is_declaration (t)
    if type(t) ~= "table" or getmetatable(t) or next(t) == nil then return false end
    local named = false
    for key, rule in next, t do
      if not is_rule(rule) or type(key) ~= "string" and key ~= 1 then return false end
      named = named or type(key) == "string"
    end
    return named
  end

  -- What the function hands to schema.check; or, where it only hands its options on to another function, what that one
  -- does.
  local function declaration (f, depth)
    local body = docs.body(f)
    if not body then return nil end
    local wanted = {}
    for name in body:gmatch "schema%.check%(.-[, ]([%a_][%w_]*)[,)][^\n]*" do wanted[name] = true end
    local found, near = nil, {}
    for i = 1, 255 do
      local name, value = debug.getupvalue(f, i)
      if not name then break end
      near[name] = value
      if is_declaration(value) and (wanted[name] or not found) then found = value end
    end
    if found or depth == 0 then return found end
    for path, last in body:gmatch "%f[%w_]([%a_][%w_.]*)%s*%([^()\n]-([%a]+)%)" do
      local owner, name = path:match "^(%w+)%.([%w_]+)$"
      local target = near[path]
      if owner and type(near[owner]) == "table" then target = near[owner][name] end
      if last ~= "options" and last ~= "spec" then target = nil end
      if type(target) == "table" then target = (getmetatable(target) or {}).__call end
      local theirs = type(target) == "function" and target ~= f and declaration(target, depth - 1)
      if theirs then return theirs end
    end
  end

  --- The declaration (name -> rule) of the options that a function takes, or nil.
  ---@param f any
  ---@return table?
  function M.options (f)
    local mt = debug.getmetatable(f)
    if type(f) == "table" and mt and type(mt.__call) == "function" then
      f = mt.__call
    end
    return type(f) == "function" and declaration(f, 2) or nil
  end

  ---------------------------------------------------------------- one name

  -- "lurn.lstm", "model:evaluate", "tanh": what is known under the name, exactly or at its end.
  local function by_name (name)
    return docs.named(name) or docs.named("lurn." .. name)
  end

  -- The entry of a value: of a function by the place of its source, of an object by its class.
  local function by_value (x)
    local entry = docs.of_value(x)
    if entry then return entry end
    if type(x) == "function" then return docs.at(x) end
    local class = session.show.kind_of(x)
    return class and docs.named(class)
  end

  -- What stands under a path at the prompt: lurn.lstm, r.model.evaluate; of a class without an object its method.
  local function value_of (path)
    return session.part "complete".value_of(path)
  end

  --- What there is to say of a name or a value; nil when nothing is.
  ---@param x any
  ---@return {head: string, text: string, options: table?, members: string[]?}?
  function M.find (x)
    local value, entry = x, by_value(x)
    if type(x) == "string" then
      local path = x:gsub("%s", "")
      value = value_of(path)
      entry = value ~= nil and by_value(value) or by_name(path)
    end
    if not entry then return nil end
    local options = type(value) ~= "string" and value ~= nil and M.options(value) or nil
    return {head = entry.head, text = entry.text, options = options, members = entry.members}
  end

  local function print_entry (found)
    local lines = {found.head}
    if found.text ~= "" then lines[#lines + 1] = "  " .. found.text:gsub("\n", "\n  ") end
    if found.options then lines[#lines + 1] = "options:\n" .. schema.help(found.options) end
    if found.members then lines[#lines + 1] = "members: " .. table.concat(found.members, ", ") end
    print(screen.fit(table.concat(lines, "\n"), 1))
  end

  local KEYS = {
    {"?NAME  ??NAME", "what a name is about; the text of a function"},
    {"Tab", "names (see what lurn. has), options in {}, files in quotes"},
    {"Ctrl-C", "pauses what is played; continue goes on, to the same bits"},
    {"...;", "a value is not shown when its line ends in ;"},
    {"_ __ ___ _1 _2 ...", "the last value, the two before it, the first one, ..."},
    {"!COMMAND", "plays a command of the shell"},
  }

  -- What there is at a prompt, a line each: a screenful. Keys come last, where they stay in sight.
  local function overview ()
    local names, rows = {}, {}
    for name in next, session.words do
      if not name:find "^_" and not session.commands[name] then names[#names + 1] = name end
    end
    for name in next, session.commands do names[#names + 1] = "%" .. name end
    table.sort(names)
    for k, name in ipairs(names) do
      local entry = docs.named(name)
      local text = entry and docs.sentence(entry) or ""
      local usage, what = text:match "^(%%[^:]*): (.*)$"
      rows[k] = {usage or name, what or text}
    end
    print(screen.table(table.move(KEYS, 1, #KEYS, #rows + 1, rows)))
  end

  --- Prints the help of a name or a value.
  function M.help (...)
    if select("#", ...) == 0 then return overview() end
    local x = ...
    local found = M.find(x)
    if found then return print_entry(found) end
    if type(x) == "string" then
      local near = schema.nearest(x:match "[%w_]*$", docs.last_names())
      print(("no help for '%s'%s; apropos \"%s\" looks for the word in all of it"):format(x,
        near and (", did you mean '%s'?"):format(docs.full(near)) or "", x))
    else
      print(session.show.line(x))
    end
  end

  --- The options of a name as text, for searching.
  function docs.options_text (name)
    local value = value_of(name)
    local declared = type(value) == "function" and M.options(value)
    return declared and schema.help(declared)
  end

  --- Prints the names whose help, options included, has the word in it.
  ---@param word string
  function M.apropos (word)
    local rows = {}
    for _, entry in ipairs(docs.search(word)) do rows[#rows + 1] = {entry.name, docs.sentence(entry)} end
    if #rows == 0 then return print(("nothing has '%s' in its help"):format(word)) end
    print(session.show.screen.table(rows))
  end

  return M
end
