-- The launcher as a process inside a temporary folder, for specs of what a user sees: exit codes, stdout, stderr.

local M = {}

local pwd = io.popen "pwd"
M.here = pwd:read "l"
pwd:close()
M.bin = os.getenv "LURN_BIN" or M.here .. "/build/bin/lurn"

--- Makes the folder; every spec file has its own.
function M.open ()
  M.folder = os.tmpname()
  os.remove(M.folder)
  assert(os.execute("mkdir -p " .. M.folder))
end

function M.close () os.execute("rm -rf " .. M.folder) end

function M.path (name) return M.folder .. "/" .. name end

function M.write (name, text)
  local f = assert(io.open(M.path(name), "wb"))
  f:write(text)
  f:close()
end

function M.read (name)
  local f = assert(io.open(M.path(name), "rb"))
  local text = f:read "a"
  f:close()
  return text
end

function M.exists (name)
  local f = io.open(M.path(name), "rb")
  if f then f:close() end
  return f ~= nil
end

--- Runs a shell command in the folder: exit code, stdout, stderr.
function M.run (command)
  local _, _, code = os.execute(("cd %s && { %s; } >out 2>err </dev/null"):format(M.folder, command))
  return code, M.read "out", M.read "err"
end

--- Runs `lurn ARGUMENTS`; `before` goes in front: variables, or a command such as timeout.
function M.lurn (arguments, before)
  return M.run(("%s %s %s"):format(before and before:find "=" and "env " .. before or before or "", M.bin, arguments))
end

--- Replaces bytes of a file, wherever they are, by as many others; whether there were any.
function M.patch (name, old, new)
  assert(#old == #new)
  local text, times = M.read(name):gsub(old:gsub("%p", "%%%0"), (new:gsub("%%", "%%%%")))
  M.write(name, text)
  return times > 0
end

--- Whether there is something to run: local when_built = shell.ready and it or pending
local f = io.open(M.bin, "rb")
M.ready = f ~= nil and os.execute(M.bin .. " version >/dev/null 2>&1") == true
if f then f:close() end

return M
