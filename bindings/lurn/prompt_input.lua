--- Where the prompt's lines come from: the terminal, edited and with a history, or a pipe.
--
-- The history is a text file, an entry a line, in $XDG_STATE_HOME/lurn/history (~/.local/state without it). It is
-- appended to entry by entry: whatever ends the process, nothing that was typed is lost.

return function (session)
  local lurn = session.lurn
  local line, sys = lurn.core.line, lurn.sys
  local M = {}
  local MOST = 2000      -- entries that are kept from session to session

  local function history_path ()
    local state, home = os.getenv "XDG_STATE_HOME", os.getenv "HOME"
    if state and state:sub(1, 1) == "/" then return state .. "/lurn/history" end
    return home and home ~= "" and home .. "/.local/state/lurn/history"
  end

  local function escape (text) return (text:gsub("[\\\n]", {["\\"] = "\\\\", ["\n"] = "\\n"})) end
  local function unescape (text) return (text:gsub("\\(.)", function (c) return c == "n" and "\n" or c end)) end

  local path = session.interactive and history_path() or nil

  -- A file that has grown far beyond what is kept is written anew, as a whole.
  local function shorten (entries)
    local temp = path .. ".new"
    local f = io.open(temp, "w")
    if not f then return end
    for _, text in ipairs(entries) do f:write(text, "\n") end
    f:close()
    sys.replace(temp, path)
  end

  local function recall ()
    local f = path and io.open(path, "r")
    if not f then return end
    local entries = {}
    for text in f:lines() do entries[#entries + 1] = text end
    f:close()
    entries = table.move(entries, math.max(1, #entries - MOST + 1), #entries, 1, {})
    for _, text in ipairs(entries) do line.add(unescape(text)) end
    local size = sys.filesize(path)
    if size and size > 400 * MOST then shorten(entries) end
  end

  --- Notes an entry: for the keys that go up and down, and for the next session.
  ---@param text string
  function M.remember (text)
    if not session.interactive or text == M.last then return end
    M.last = text
    line.add(text)
    if not path then return end
    sys.mkdir(path:match "^(.*)/")
    local f = io.open(path, "a")
    if not f then return end
    f:write(escape(text), "\n")
    f:close()
  end

  -- Loaded when a key asks for it: a prompt is there at once.
  local function complete (text, cursor)
    return session.part "complete".at(text, cursor)
  end

  --- A line; nil at the end of the input, false when Ctrl-C gave it up.
  ---@param prompt string
  ---@return string|false|nil
  function M.read (prompt)
    lurn.signal.clear()
    local text = line.read(prompt, session.interactive and complete or nil)
    if text == false then lurn.signal.clear() end
    return text
  end

  if session.interactive then
    local wanted = os.getenv "LURN_EDITOR"
    os.setlocale("", "ctype")      -- characters of more than a byte; numbers stay as they are
    if wanted == "" then wanted = nil end
    -- What is printed may go to a file; then the prompt is a plain one on stderr.
    if sys.isatty(1) and os.getenv "TERM" ~= "dumb" then session.editor = line.open(wanted) end
    recall()
  end
  return M
end
