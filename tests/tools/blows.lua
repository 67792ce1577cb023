-- What the storms over trials (store_storm.lua, sweep_storm.lua) do to processes.

local lurn = require "lurn"
local M = {}

--- Sends a signal, by its name or number, to all of them; those that are gone are passed over.
function M.signal (name, pids)
  if #pids > 0 then os.execute(("kill -%s %s 2>/dev/null"):format(name, table.concat(pids, " "))) end
end

--- Whether it runs, or is stopped; not what is left of a dead one until somebody asks for it.
---@return boolean
---@return string? state   as /proc has it
function M.alive (pid)
  local f = io.open(("/proc/%d/stat"):format(pid))
  local state = f and f:read "a":match "%) (%a)"
  if f then f:close() end
  return state ~= nil and state ~= "Z" and state ~= "X", state
end

--- Kills the database server of tests/spec/store_helper.lua, and starts it again.
function M.kill_server (stores)
  M.signal("9", {stores.postmaster()})
  for _ = 1, 100 do
    if stores.start_server() then return end      -- its children take a moment to see that it is gone
    lurn.sys.sleep(0.1)
  end
  error("the server does not start again", 0)
end

return M
