--- The text of functions at a prompt: shown by ??NAME, changed in an editor by %edit.
--
-- A function that was typed here has the entry that defines it as its text. One of a file has its lines there; what is
-- played after it was changed sees the same locals of that file (upvalues) as the function that it replaces.

return function (session)
  local lurn = session.lurn
  local M = {}

  ---------------------------------------------------------------- where the text is

  -- The last entry that defines a function of that name.
  local function entry_of (name)
    local last = name:match "[%w_]*$"
    local patterns = {"%f[%w_]function%s+[%w_.:]-%f[%w_]" .. last .. "%s*%(",
      "%f[%w_]" .. last .. "%s*=%s*function%f[%W]"}
    for i = #session.entries, 1, -1 do
      for _, pattern in ipairs(patterns) do
        if session.entries[i]:find(pattern) then return session.entries[i] end
      end
    end
  end

  local function lines_of (info)
    local f, lines, number = io.open(info.source:sub(2), "r"), {}, 0
    for line in f and f:lines() or function () end do
      number = number + 1
      if number >= info.linedefined and number <= info.lastlinedefined then lines[#lines + 1] = line end
    end
    if f then f:close() end
    return table.concat(lines, "\n")
  end

  -- Of lines with more in them than the function: from one "function" in the first to one "end" in the last, as soon
  -- as what is between compiles. Gives its arguments and body, and whether its name has a colon.
  local function cut_out (text, parameters)
    for name, first in text:gmatch "%f[%w_]function%s*([%w_.:]*)%s*()%(" do
      for last in text:gmatch "%f[%w_]end%f[^%w_]()" do
        local piece = text:sub(first, last - 1)
        local chunk = load("return function " .. piece, "=source", "t", {})
        local own = parameters - (name:find ":" and 1 or 0)
        if chunk and debug.getinfo(chunk(), "u").nparams == own then return piece, name:find ":" ~= nil end
      end
    end
  end

  -- The locals of its file that a function uses, and at which place each is.
  local function upvalues_of (f)
    local names, at = {}, {}
    for i = 1, 255 do
      local name = debug.getupvalue(f, i)
      if not name then break end
      if name ~= "_ENV" then names[#names + 1], at[name] = name, i end
    end
    return names, at
  end

  -- A function of a file under the name that it has at the prompt.
  local function text_of (name, f)
    local info = debug.getinfo(f, "Su")
    local piece, method = cut_out(lines_of(info), info.nparams)
    if not piece then
      return nil, ("%s: its text is not at lines %d to %d of %s any more"):format(name, info.linedefined,
        info.lastlinedefined, info.short_src)
    end
    local called = method and name:gsub("[.:]([%w_]+)$", ":%1") or name:gsub(":", ".")
    return ("function %s %s"):format(called, piece)
  end

  --- The text of what a name stands for; nil and a message when it has none.
  ---@param name string
  ---@return string? text
  ---@return string? message
  ---@return function? f      where the text is that of a file
  function M.of (name)
    local f = session.part "complete".value_of(name)
    if type(f) == "table" then f = (debug.getmetatable(f) or {}).__call or f end
    if f == nil then return nil, ("%s: there is no such name"):format(name) end
    if type(f) ~= "function" then return nil, ("%s is no function"):format(name) end
    local source = debug.getinfo(f, "S").source
    if source:sub(1, 1) == "@" then
      local text, message = text_of(name, f)
      return text, message, f
    end
    if source == "=prompt" then
      local text = entry_of(name)
      return text, not text and ("%s: nothing typed here defines it under this name"):format(name) or nil
    end
    return nil, ("%s has no text in Lua"):format(name)
  end

  ---------------------------------------------------------------- editing

  local function editor ()
    for _, name in ipairs {"VISUAL", "EDITOR"} do
      local value = os.getenv(name)
      if value and value ~= "" then return value end
    end
    return "vi"
  end

  -- What the text is when the editor has ended; nil and a message when that went wrong.
  local function edited (text)
    local temp = os.tmpname()
    local path = temp .. ".lua"
    local f, message = io.open(path, "w")
    if not f then return nil, "%edit: " .. message end
    f:write(text, "\n")
    f:close()
    local ok = os.execute(editor() .. " " .. lurn.shell.quote(path))
    f = io.open(path, "r")
    local new = ok and f and f:read "a"
    if f then f:close() end
    os.remove(path)
    os.remove(temp)
    return new, not new and ("%%edit: '%s' failed; VISUAL or EDITOR names another editor"):format(editor()) or nil
  end

  -- The new function gets the locals that the old one had.
  local function join (new, old)
    local _, at = upvalues_of(old)
    local names, places = upvalues_of(new)
    for _, name in ipairs(names) do
      if at[name] then debug.upvaluejoin(new, places[name], old, at[name]) end
    end
  end

  --- Lets an editor change the last entry, or the text of a function, and gives what is to be played then.
  ---@param name string         "" for the last entry
  ---@return string? code
  ---@return string? message
  ---@return {kept: string?, after: function?}?
  function M.edit (name)
    if not session.interactive then return nil, "%edit: there is no terminal" end
    local text, message, f
    if name == "" then text, message = session.entries[#session.entries], "%edit: nothing was typed yet"
    else text, message, f = M.of(name) end
    if not text then return nil, message end
    local new
    new, message = edited(text)
    if not new then return nil, message end
    new = new:gsub("%s+$", "")
    if new == text or new == "" then return nil, "%edit: nothing has changed" end
    session.remember(new)
    table.insert(session.entries, new)
    local locals = f and upvalues_of(f) or {}
    if not locals[1] then return new, nil, {kept = new} end
    -- On the same line, so that errors name the lines of the text.
    return ("local %s; %s"):format(table.concat(locals, ", "), new), nil, {after = function ()
      local value = session.part "complete".value_of(new:match "^%s*function%s+([%w_.:]+)" or name)
      if type(value) == "function" then join(value, f) end
    end}
  end

  return M
end
