--- Messages between an agent and the trials it has started: tables of plain values, a line of JSON each, over the
-- socket that process.fork made. NaN and infinities arrive as what they are.

return function (lurn)
  local process, json = lurn.process, lurn.json
  local M = {}

  ---@class lurn.Channel
  local Channel = {}
  Channel.__index = Channel

  ---@param fd integer
  ---@return lurn.Channel
  function M.new (fd) return setmetatable({fd = fd, rest = ""}, Channel) end

  --- False when nobody listens any more.
  ---@param message table
  ---@return boolean
  function Channel:send (message) return process.write(self.fd, json.encode(message) .. "\n") end

  -- The next line of what has come, as a table; nil when no line is whole yet. What is no message (a script that
  -- writes into the socket) is passed over.
  local function take (self)
    while true do
      local line, rest = self.rest:match "^(.-)\n(.*)$"
      if not line then return nil end
      self.rest = rest
      local message = json.decode(line, {nonfinite = true})
      if type(message) == "table" then return message end
    end
  end

  --- Waits for the next message; nil when the other side is gone.
  ---@return table?
  function Channel:receive ()
    while true do
      local message = take(self)
      if message then return message end
      local bytes = process.read(self.fd)
      if not bytes then process.poll({self.fd}, 1)
      elseif bytes == "" then return nil
      else self.rest = self.rest .. bytes end
    end
  end

  --- What has come, without waiting, and whether more may come.
  ---@return table[] messages
  ---@return boolean open
  function Channel:messages ()
    local list, bytes = {}, process.read(self.fd)
    while bytes and bytes ~= "" do
      self.rest = self.rest .. bytes
      bytes = process.read(self.fd)
    end
    for message in take, self do list[#list + 1] = message end
    return list, bytes == nil
  end

  function Channel:close ()
    process.close(self.fd)
    self.fd = nil
  end

  return M
end
