--- The prompt: lines of Lua, with lurn at hand. An expression prints its value, an unfinished line asks
-- for more. Small on purpose.

return function (lurn)
  rawset(_G, "lurn", lurn)
  local interactive = lurn.sys and lurn.sys.isatty and lurn.sys.isatty(0)

  local function ask (prompt)
    if interactive then
      io.stderr:write(prompt)
      io.stderr:flush()
    end
    return io.read("L")
  end

  local function compile (text)
    local chunk = load("return " .. text, "=prompt", "t")
    if chunk then return chunk end
    return load(text, "=prompt", "t")
  end

  -- One complete chunk, read line by line; nil at the end of the input.
  local function read_chunk ()
    local text = ask("> ")
    while text do
      local chunk, message = compile(text)
      if chunk or not message:find("<eof>$") then return chunk or false, message end
      local more = ask(">> ")
      if not more then return false, message end
      text = text .. more
    end
  end

  local function show (ok, ...)
    if not ok then
      io.stderr:write(tostring((...)), "\n")
    elseif select("#", ...) > 0 then
      print(...)
    end
    return ok
  end

  local good = true
  if interactive then io.stderr:write(("lurn %s, %s; Ctrl-D leaves\n"):format(lurn.version or "", _VERSION)) end
  while true do
    local chunk, message = read_chunk()
    if chunk == nil then break end
    if chunk then good = show(xpcall(chunk, debug.traceback))
    else good = show(false, message) end
  end
  if interactive then io.stderr:write("\n") end
  return (interactive or good) and 0 or 1
end
