--- The documentation as a prompt wants it, read from the Lua files of this folder: comments above definitions.
--
-- A comment that begins with three dashes documents what stands directly below it: a function, a method, a field of a
-- module, and one-line functions that follow it without a gap; at the beginning of a file it documents the module. A
-- family whose members are made by calls of a local `define` is documented by the comment above each call, or by the
-- text in it. What a name is publicly called follows from its file and from where lurn has the value.

return function (lurn)
  local M = {}
  local source_folder = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or "."

  local entries, places, last, members = {}, {}, {}, {}
  local texts = {}

  local function lines_of (path)
    if not texts[path] then
      local list, f = {}, io.open(path, "r")
      for line in f and f:lines() or function () end do list[#list + 1] = line end
      if f then f:close() end
      texts[path] = list
    end
    return texts[path]
  end

  ---------------------------------------------------------------- comments

  -- "---@param x any   what it is" as a line of help.
  local function tag_text (line)
    local tag, rest = line:match "^@(%a+)%s*(.-)%s*$"
    if tag == "param" then
      local name, what = rest:match "^(%S+)%s*(.*)$"
      return name and ("%s: %s"):format(name, what)
    end
    if tag == "return" then return "gives " .. rest end
    if tag == "field" then return (rest:gsub("^(%S+)%s+", "%1: ")) end
    return nil
  end

  -- The text of a block of comment lines, and the class that it declares.
  local function read_block (block)
    local out, class = {}, nil
    for _, line in ipairs(block) do
      class = class or line:match "^@class%s+([%w_.]+)"
      local text = line:sub(1, 1) == "@" and tag_text(line) or line:sub(1, 1) ~= "@" and line or nil
      if text then out[#out + 1] = text end
    end
    return table.concat(out, "\n"), class
  end

  ---------------------------------------------------------------- names

  -- Where lurn has a function of the module in FILE.lua: its own name, that of a family, or none.
  local function public (file, name)
    local family = lurn[file]
    if type(family) == "table" and rawget(family, name) ~= nil then
      return lurn[name] == family[name] and "lurn." .. name or ("lurn.%s.%s"):format(file, name)
    end
    local own = lurn[name]
    local source = type(own) == "function" and debug.getinfo(own, "S").source
    return source == ("@%s/%s.lua"):format(source_folder, file) and "lurn." .. name or nil
  end

  local OWNERS = {Attached = "attached"}

  local function name_of (file, owner, mark, name)
    if file == "meta" then return owner and owner .. mark .. name or name end
    if owner == "M" then return public(file, name) end
    if owner == "words" then return name end
    if owner == "commands" then return "%" .. name end
    if owner == "lurn" then return "lurn." .. name end
    if owner and owner:find "^%u" then return (OWNERS[owner] or owner:lower()) .. ":" .. name end
  end

  local function add (entry)
    if not entry.name then return end
    local known = entries[entry.name]
    if known == nil or known.text == "" then entries[entry.name] = entry end
    local short = entry.name:match "[%w_]+$"
    if short and (last[short] == nil or #entry.name < #last[short]) then last[short] = entry.name end
    local class = entry.name:match "^([%l_]+):"
    if class then
      members[class] = members[class] or {}
      table.insert(members[class], short)
    end
  end

  ---------------------------------------------------------------- files

  -- What a line defines: owner, mark, name, arguments.
  local function definition (line)
    local owner, mark, name, arguments = line:match "^%s*function%s+([%w_.]-)([.:])([%w_]+)%s*(%b())"
    if name then return owner, mark, name, arguments end
    owner, name = line:match "^%s*([%w_]+)%.([%w_]+)%s*=%s*"
    if name then return owner, ".", name, line:match "=%s*function%s*(%b())" or "(options)" end
    name = line:match "^%s*define[%w_]*%s*%(\"([%w_]+)\""
    if name then return "M", ".", name, "(options)" end
    name, arguments = line:match "^%s*local%s+function%s+([%w_]+)%s*(%b())"
    return nil, nil, name, arguments
  end

  -- One line that begins and ends a function: what follows it shares its comment.
  local function is_short (line) return line:find "^%s*function.*%f[%w]end%s*$" ~= nil end

  local function read_file (file, path)
    local block, documented, shared = {}, false, false
    for number, line in ipairs(lines_of(path)) do
      local dashes, text = line:match "^%s*(%-%-%-?)%s?(.*)$"
      if dashes and shared then block, documented, shared = {}, false, false end
      if dashes and text:find "^%-%-%-%-" then block, documented = {}, false
      elseif dashes then
        documented = documented or dashes == "---"
        block[#block + 1] = text
      else
        local owner, mark, name, arguments = definition(line)
        local family = line:find "^%s*define"
        local said, class = read_block(block)
        if #block == number - 1 and documented then      -- the file's own comment
          add {name = lurn[file] ~= nil and "lurn." .. file or nil, head = "lurn." .. file, text = said}
        end
        if class then add {name = class, head = class, text = said} end
        if name and (family or #block > 0 and documented) then
          if said == "" then said = line:match "^%s*define%w*%(\"[%w_]+\",%s*%a+,%s*\"([^\"]+)\"" or "" end
          local full = name_of(file, owner, mark, name)
          local entry = {name = full, head = (full or name) .. " " .. arguments, text = said}
          places[path .. ":" .. number] = entry
          if said ~= "" then add(entry) end
        elseif #block > 0 and documented and line:find "^%s*return function" then
          places[path .. ":" .. number] = {name = nil, head = "lurn." .. file, text = said}
          add {name = lurn[file] and "lurn." .. file or nil, head = "lurn." .. file, text = said}
        end
        shared = is_short(line)
        if not shared then block, documented = {}, false end
      end
    end
  end

  local pipe = io.popen("ls -- " .. lurn.shell.quote(source_folder))
  local files = {}
  for name in pipe:lines() do files[#files + 1] = name:match "^([%w_]+)%.lua$" end
  pipe:close()
  for _, file in ipairs(files) do read_file(file, source_folder .. "/" .. file .. ".lua") end
  for class, list in next, members do
    table.sort(list)
    local entry = entries["lurn." .. class:gsub("^%l", string.upper)]
    if entry then entry.members = list end
  end

  ---------------------------------------------------------------- asking

  -- In-place methods of tensors share the help of the method without the dash.
  local function named (name)
    if entries[name] then return entries[name] end
    local method = name:match "^tensor:(.*)_$"
    local entry = method and entries["tensor:" .. method]
    return entry and {name = name, head = entry.head:gsub(method, "%0_", 1),
      text = entry.text .. "\nWritten into the tensor itself."}
  end

  --- The entry of a full name: "lurn.lstm", "model:evaluate", "tensor:sum".
  M.named = named

  --- The entry of the definition that a function comes from.
  function M.at (f)
    local info = debug.getinfo(f, "S")
    return places[(info.source:sub(2)) .. ":" .. info.linedefined]
  end

  --- The text of a function in Lua.
  function M.body (f)
    local info = debug.getinfo(f, "S")
    if info.source:sub(1, 1) ~= "@" then return nil end
    return table.concat(lines_of(info.source:sub(2)), "\n", info.linedefined,
      math.min(info.lastlinedefined, #lines_of(info.source:sub(2))))
  end

  local names

  -- Every value that lurn has under a name, itself and in its families.
  local function name_values ()
    names = {}
    local function note (prefix, t)
      for key, value in pairs(t) do
        if type(key) == "string" and (type(value) == "function" or type(value) == "table") then
          names[value] = names[value] or prefix .. key
        end
      end
    end
    note("lurn.", lurn)
    for _, family in ipairs {"loss", "optim", "cells", "metrics", "tasks", "plot", "rng", "h5", "json"} do
      if type(lurn[family]) == "table" then note("lurn." .. family .. ".", lurn[family]) end
    end
  end

  --- The entry of a value that lurn has under a name; of a tensor that of tensors.
  function M.of_value (x)
    if lurn.is_tensor(x) then return entries["lurn.Tensor"] end
    if not names then name_values() end
    return names[x] and named(names[x])
  end

  --- The first sentence of an entry, as a line.
  function M.sentence (entry)
    local text = entry.text:gsub("\n", " ")
    return (text:match "^(.-[^%d]%.)%s" or text)
  end

  --- Last parts of all names, for suggestions, and the full name of one.
  function M.last_names ()
    local list = {}
    for short in next, last do list[#list + 1] = short end
    return list
  end
  function M.full (short) return last[short] end

  --- Entries whose name or text has the word in it, by name.
  ---@param word string
  function M.search (word)
    local list = {}
    word = word:lower()
    for name, entry in next, entries do
      local all = name .. "\n" .. entry.text .. "\n" .. (M.options_text and M.options_text(name) or "")
      if all:lower():find(word, 1, true) then list[#list + 1] = entry end
    end
    table.sort(list, function (a, b) return a.name < b.name end)
    return list
  end

  return M
end
