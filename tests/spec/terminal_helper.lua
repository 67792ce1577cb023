-- A prompt at a pseudo-terminal, played by tests/tools/terminal.py; for specs of what a person at a keyboard sees.

local lurn = require "lurn"
local shell = require "shell_helper"
local M = {}

M.slow = os.getenv "LURN_CHECK" and 20 or 1      -- sanitizers

local PROMPT = "> "

--- Steps of a dialogue: send types text and Enter, expect waits, ...
function M.send (text) return {send = text .. "\r"} end
function M.keys (text) return {send = text} end
function M.paste (text) return {paste = text} end
function M.wait (seconds) return {sleep = seconds * M.slow} end
function M.columns (n) return {columns = n} end
function M.expect (pattern, within) return {expect = pattern, within = (within or 20) * M.slow} end
--- What is typed, and what comes before the next prompt.
function M.line (text, pattern) return {send = text .. "\r", expect = (pattern or "") .. ".*\n[^\n]*" .. PROMPT} end

--- Types Lua that plays for long, and waits until it does: a Ctrl-C that came before would only give up the line.
function M.begin (text) return {send = 'print("be" .. "gun") ' .. text .. "\r", expect = "begun"} end

M.interrupt, M.leave = "\3", "\4"

-- A step that types and then expects becomes two; played gives the result of the second.
local function flat (steps)
  local list, at = {}, {}
  for i, step in ipairs(steps) do
    if step.send and step.expect then
      list[#list + 1] = {send = step.send}
      step = {expect = step.expect, within = step.within or 20 * M.slow}
    end
    list[#list + 1] = step
    at[i] = #list
  end
  return list, at
end

--- Plays a dialogue in the shell helper's folder. Raises at the first step that fails, with the screen; gives the
-- results of the steps, the exit code, and all the output.
---@param steps table[]
---@param options? {command: string?, env: string?}
function M.play (steps, options)
  local o = options or {}
  local list, at = flat(steps)
  shell.write("dialogue.json", lurn.json.encode(list))
  local env = ("XDG_STATE_HOME=%s TERM=xterm LC_ALL=C.UTF-8 COLUMNS= NO_COLOR=1 %s"):format(shell.path "state",
    o.env or "")
  local code, out, err = shell.run(("env %s python3 %s/tests/tools/terminal.py dialogue.json result.json -- %s")
    :format(env, shell.here, o.command or shell.bin))
  assert(code == 0, out .. err)
  local result = assert(lurn.json.decode(shell.read "result.json"))
  for i, step in ipairs(result.steps) do
    if not step.ok then
      error(("step %d, %s: not within %g s; the screen:\n%s"):format(i, lurn.json.encode(list[i]), step.seconds,
        result.output), 2)
    end
  end
  local played = {}
  for i in ipairs(steps) do played[i] = result.steps[at[i]] end
  return played, result.code, result.output
end

--- Whether there is a line editor, and python3 to type.
local code, out = 1, ""
if shell.ready then
  local pipe = io.popen(shell.bin .. " -e 'print(lurn.core.line.open \"readline\")' 2>/dev/null")
  out = pipe:read "a"
  pipe:close()
  code = os.execute "command -v python3 >/dev/null 2>&1" and 0 or 1
end
M.typist = code == 0
M.editor = out:find "readline" ~= nil

return M
