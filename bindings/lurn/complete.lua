--- What the word at the cursor can become: names through metatables, methods behind a colon, the options of a call
-- inside its braces, files (and runs, by the beginning of their names) inside quotes.
--
-- at(text, cursor) gives the column where the word begins and the list of its completions. Of what stands before the
-- word only plain names, fields and numbers in brackets are evaluated: no function is called.

return function (session)
  local M = {}

  local KEYWORDS = {"and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in",
    "local", "nil", "not", "or", "repeat", "return", "then", "true", "until", "while"}

  ---------------------------------------------------------------- names of a value

  local function add_keys (set, t)
    local ok, iterate, state, first = pcall(pairs, t)
    if not ok then return end
    for key, value in iterate, state, first do
      if type(key) == "string" and not key:find "^__" then set[key] = value == nil or value end
    end
  end

  -- Tables behind an __index that is a function: C's have their methods as an upvalue, and so may Lua's.
  local function add_behind (set, f)
    for i = 1, 60 do
      local name, value = debug.getupvalue(f, i)
      if not name then return end
      if name == "" and type(value) == "table" then add_keys(set, value) end
    end
  end

  -- Name -> value of everything that value.name may be.
  local function fields (value)
    local set = {}
    for _ = 1, 10 do
      if type(value) == "table" then add_keys(set, value) end
      local mt = debug.getmetatable(value)
      if type(mt) ~= "table" then break end
      if rawget(mt, "__name") and type(value) == "table" then add_keys(set, mt) end
      local behind = rawget(mt, "__index")
      if type(behind) == "function" then add_behind(set, behind) end
      if type(behind) ~= "table" or behind == value then break end
      value = behind
    end
    return set
  end

  local function scope_names ()
    local set = {}
    add_keys(set, session.words)
    add_keys(set, _G)
    return set
  end

  local function sorted (set, keep)
    local list = {}
    for name, value in next, set do if not keep or keep(name, value) then list[#list + 1] = name end end
    table.sort(list)
    return list
  end

  --- All names of a value; of the prompt's scope those of the globals and the prompt's words.
  ---@param value any
  ---@return string[]
  function M.names (value)
    return sorted(value == session.scope and scope_names() or fields(value))
  end

  ---------------------------------------------------------------- reading the text before the cursor

  local OPEN, CLOSE = {["("] = true, ["{"] = true, ["["] = true}, {[")"] = true, ["}"] = true, ["]"] = true}

  -- Where a string or a comment that begins at i ends; nil when it does not, and whether it is a string.
  local function skip_text (text, i)
    local comment, level = text:match("^(%-*)%[(=*)%[", i)
    if level and (comment == "" or comment == "--") then
      local _, last = text:find("]" .. level .. "]", i, true)
      return last, comment == ""
    end
    if text:find("^%-%-", i) then return text:find("\n", i, true), false end
    local quote = text:match("^[\"']", i)
    local j = i + 1
    while j <= #text do
      local c = text:sub(j, j)
      if c == "\\" then j = j + 1
      elseif c == quote then return j, true
      elseif c == "\n" then return j, false end
      j = j + 1
    end
    return nil, true
  end

  -- The brackets that are open at the end of the text, outermost first, and where the string begins in which it ends.
  local function scan (text)
    local open, i = {}, 1
    while i <= #text do
      local c = text:sub(i, i)
      if c == '"' or c == "'" or text:find("^%-%-", i) or text:find("^%[=*%[", i) then
        local last, is_string = skip_text(text, i)
        if not last then return open, is_string and i or nil, not is_string end
        i = last
      elseif OPEN[c] then open[#open + 1] = i
      elseif CLOSE[c] then open[#open] = nil end
      i = i + 1
    end
    return open
  end

  -- The value of "a.b[2].c" from the prompt's scope, or nil.
  local function value_of (path)
    local value, rest = session.scope, path
    while rest ~= "" do
      local name, after = rest:match "^[.:]?([%a_][%w_]*)(.*)$"
      local index, behind = rest:match "^%[(%d+)%](.*)$"
      if not name and not index then return nil end
      local key = name or math.tointeger(index)
      local ok, found = pcall(function () return value[key] end)
      if not ok or found == nil then return nil end
      value, rest = found, after or behind
    end
    return value
  end

  M.value_of = value_of

  -- The expression that ends the text, as far as value_of understands it.
  local function path_at_end (text)
    return text:match "[%a_][%w_.:%[%]]*$"
  end

  -- The function that the brace at `at` belongs to: f {, f ({, f (x, {.
  local function callee (text, open, depth)
    local at = open[depth]
    local before = text:sub(1, at - 1):gsub("%s+$", "")
    local path = path_at_end(before)
    if path then return path end
    local outer = open[depth - 1]
    if outer and text:sub(outer, outer) == "(" and before:find "[%(,]$" then
      return path_at_end((text:sub(1, outer - 1):gsub("%s+$", "")))
    end
  end

  -- Declarations (name -> rule) of the call whose braces are open innermost.
  local function options_at (text, open)
    local depth = #open
    if depth == 0 or text:sub(open[depth], open[depth]) ~= "{" then return nil end
    local path = callee(text, open, depth)
    if not path then return nil end
    local f = value_of(path)
    local owner = value_of(path:match "^(.*)[.:][%w_]+$" or "")
    local mt = debug.getmetatable(owner)
    local own = type(mt) == "table" and rawget(mt, "__options")
    if own then
      local found = own(owner, path:match "[%w_]+$")
      if found then return found end
    end
    return f and session.part "help".options(f)
  end

  ---------------------------------------------------------------- completions

  local function with_prefix (list, prefix)
    local out = {}
    for _, name in ipairs(list) do
      if name:sub(1, #prefix) == prefix then out[#out + 1] = name end
    end
    return out
  end

  -- What `ls` says of a folder: folders end in a slash.
  local function entries (folder)
    local pipe = io.popen(("LC_ALL=C ls -1Ap -- %s 2>/dev/null"):format(session.lurn.shell.quote(folder)))
    local list = {}
    for name in pipe:lines() do list[#list + 1] = name end
    pipe:close()
    return list
  end

  local function files (word)
    local folder, name = word:match "^(.*/)([^/]*)$"
    local prefix = folder or ""
    name = name or word
    local place = folder or "."
    local home = os.getenv "HOME"
    if place:sub(1, 2) == "~/" and home then place = home .. place:sub(2) end
    local list = {}
    for _, entry in ipairs(entries(place)) do
      if entry:sub(1, #name) == name and (name ~= "" or entry:sub(1, 1) ~= ".") then
        list[#list + 1] = prefix .. entry
      end
    end
    return list
  end

  -- Runs of the folder runs whose name, or the time in it, begins with the word.
  local function runs (word)
    local shelf, list = require "lurn.shelf" (session.lurn), {}
    if word == "" or word:find "/" then return list end
    for _, entry in ipairs(entries "runs") do
      if entry:find "%.h5$" and shelf.begins(entry, word) then list[#list + 1] = "runs/" .. entry end
    end
    return list
  end

  -- Inside quotes: the choices of an option, else files and runs.
  local function in_string (text, open, start)
    local word, before = text:sub(start + 1), text:sub(1, start - 1)
    local key = before:match "([%a_][%w_]*)%s*=%s*$"
    local options = key and options_at(before, open)
    local rule = options and options[key]
    if rule and type(rule[3]) == "table" and type(rule[3][1]) == "string" then
      return start + 1, with_prefix(rule[3], word)
    end
    local list = files(word)
    for _, path in ipairs(runs(word)) do list[#list + 1] = path end
    return start + 1, list
  end

  local function option_names (text, open, word)
    if not text:find "[{,;]%s*$" then return {} end
    local options, list = options_at(text, open), {}
    for name in next, options or {} do
      if type(name) == "string" and name:sub(1, #word) == word then list[#list + 1] = name .. " = " end
    end
    table.sort(list)
    return list
  end

  local function in_code (text, open)
    local word = text:match "[%a_][%w_]*$" or ""
    local start = #text - #word + 1
    local before = text:sub(1, start - 1)
    local mark = before:match "[.:]$"
    if mark then
      local path = path_at_end(before:sub(1, -2))
      local value = path and value_of(path)
      if value == nil then return start, {} end
      local set = fields(value)
      local function keep (name, v)
        if name:sub(1, #word) ~= word then return false end
        return mark == "." or type(v) == "function" or v == true and type(value[name]) == "function"
      end
      return start, sorted(set, keep)
    end
    local list = option_names(before, open, word)
    if #list > 0 then return start, list end
    list = {}
    for _, name in ipairs(with_prefix(sorted(scope_names()), word)) do      -- _1, _2, ... when they are asked for
      if word ~= "" or name:sub(1, 1) ~= "_" then list[#list + 1] = name end
    end
    for _, name in ipairs(with_prefix(KEYWORDS, word)) do list[#list + 1] = name end
    return start, list
  end

  -- Words of a command: %NAME.
  local function commands (text)
    local word = text:match "^%s*%%(%a*)$"
    if not word then return nil end
    return #text - #word + 1, sorted(session.commands, function (name) return name:sub(1, #word) == word end)
  end

  --- Where the word at the cursor begins (from 1), and what it can become.
  ---@param text string
  ---@param cursor integer   bytes before it
  ---@return integer start
  ---@return string[] list
  function M.at (text, cursor)
    text = text:sub(1, cursor)
    local start, list = commands(text)
    if start then return start, list end
    local file_at = text:match "^%s*%%save%s+()" or text:match "^%s*!.*%s()"
    if file_at then return file_at, files(text:sub(file_at)) end
    local edited = text:match "^%s*%%edit()%s"
    if edited then text = (" "):rep(edited - 1) .. text:sub(edited) end
    local open, string_at, comment = scan((text:gsub("^(%s*)(%?+)", function (blanks, marks)
      return blanks .. (" "):rep(#marks)
    end)))
    if comment then return cursor + 1, {} end
    if string_at then return in_string(text, open, string_at) end
    return in_code(text, open)
  end

  return M
end
