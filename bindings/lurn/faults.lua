--- Errors at a prompt: the message, the user's own lines, and what a misspelt name may have meant.

return function (session)
  local lurn, schema = session.lurn, session.lurn.schema
  local M = {}

  local folder = debug.getinfo(1, "S").source:match "^@(.*)/[^/]*$" or "?"

  -- Frames of lurn's own files and of C say nothing about the user's mistake.
  local function is_own (frame)
    return not (frame:find("^%s*%[C%]") or frame:find(folder, 1, true) or frame:find "^%s*%.%.%..*/lurn/[%w_]+%.lua"
      or frame:find "^%s*%(%.%.%.tail calls" or frame:find "^stack traceback")
  end

  -- Of a message with a traceback in it: the message, and the frames that are worth a line.
  local function split (text)
    local message, trace = text:match "^(.-)\nstack traceback:\n(.*)$"
    local frames = {}
    for frame in (trace or ""):gmatch "[^\n]+" do
      if is_own(frame) then
        frames[#frames + 1] = frame:gsub("^%s+", "  at "):gsub(": in upvalue 'chunk'$", ""):gsub(": in main chunk$", "")
      end
    end
    return message or text, frames
  end

  -- What a file of lurn says of a misuse stands for the line of the user's that led there. A failure of its own (an
  -- attempt to ...) keeps its place.
  local function at_user (message, frames)
    local place, text = message:match "^([^\n]-%.lua:%d+): (.*)$"
    if not place or not place:find(folder, 1, true) or text:find "^attempt to " then return message end
    local line = frames[1] and frames[1]:match "^  at ([^\n]-:%d+)"
    return line and line .. ": " .. text or text
  end

  -- What reads files gives nil and a message, which an assignment drops.
  local function dropped (name)
    for i = #session.entries, 1, -1 do
      local what = session.entries[i]:match("%f[%w_]" .. name .. "%s*=%s*([%a_][%w_.:]*)%s*[%(%{\"']")
      if what and what ~= "assert" then return ("%s gave nil: assert(%s ...) says why"):format(what, what) end
    end
  end

  local function hint (what, name)
    if what == "global" and session.scope[name] == nil and dropped(name) then return dropped(name) end
    if #name < 3 then return nil end      -- everything short is near to it
    local complete, value = session.part "complete", session.scope
    if what ~= "global" then
      local base = (session.text or ""):match("([%a_][%w_.]*)%s*[.:]%s*" .. name .. "%f[^%w_]")
      value = base and complete.value_of(base)
      if value == nil then return nil end
    end
    local near = schema.nearest(name, complete.names(value))
    return near and near ~= name and ("did you mean '%s'?"):format(near) or nil
  end

  --- The text for an error: of a thread that died, or any value.
  ---@param fault any
  ---@param thread thread?
  ---@return string
  function M.explain (fault, thread)
    if fault == lurn.interrupted then return "interrupted" end
    local text = fault == nil and "an error without a message" or type(fault) == "table" and session.show.text(fault)
      or tostring(fault)
    if type(fault) == "string" and thread and not text:find("\nstack traceback:", 1, true) then
      text = debug.traceback(thread, text)
    end
    local message, frames = split(text)
    message = at_user(message, frames)
    local what, name = message:match "%((%a+) '([%w_]+)'%)"
    local more = name and hint(what, name)
    if more then message = message .. "; " .. more end
    -- The innermost frame stands in the message already.
    if #frames > 1 then message = message .. "\n" .. table.concat(frames, "\n") end
    return message
  end

  return M
end
