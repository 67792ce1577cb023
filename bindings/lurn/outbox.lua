--- What an agent has to tell a store that is away: kept in order, in a file that survives the agent, and told when the
-- store is back. As long as the store answers nothing is written here.
--
--   outbox:report(trial, points)   finish(trial, result)   pause(trial, kept)   release(trial, reason, kept)
--
-- They answer as the store does, or true when the word is kept. What is told twice (the agent died between the store's
-- answer and the end of the file) counts once: the store knows results by their id.

return function (lurn)
  local json = lurn.json
  local M = {}

  ---@class lurn.Outbox
  ---@field trouble string?   what the store said last, while it is away
  local Outbox = {}
  Outbox.__index = Outbox

  local function read (path)
    local list, file = {}, io.open(path, "rb")
    for line in file and file:lines() or function () end do
      local event = json.decode(line, {nonfinite = true})
      if type(event) == "table" then list[#list + 1] = event end      -- a last line may be cut off
    end
    if file then file:close() end
    return list
  end

  --- The outbox of an agent, with what an agent of that name left there.
  ---@param handle table   of the study
  ---@param path string
  ---@return lurn.Outbox
  function M.new (handle, path) return setmetatable({handle = handle, path = path, list = read(path)}, Outbox) end

  --- How many words wait.
  function Outbox:count () return #self.list end

  local function tell (self, e)
    return self.handle[e.method](self.handle, e.trial, table.unpack(e.args, 1, e.n))
  end

  local function keep (self, e)
    self.list[#self.list + 1] = e
    local ok, message = lurn.sys.append(self.path, json.encode(e) .. "\n")
    if not ok then self.trouble = ("%s; nor can it be kept: %s"):format(self.trouble or "the store is away", message) end
    return true
  end

  for _, method in ipairs {"report", "finish", "pause", "release"} do
    Outbox[method] = function (self, trial, ...)
      local e = {method = method, trial = {number = trial.number, epoch = trial.epoch, worker = trial.worker},
        args = {...}, n = select("#", ...)}
      if self.list[1] then return keep(self, e) end
      local done, message, code = tell(self, e)
      if done or not code then return done, message end
      self.trouble = message
      return keep(self, e)
    end
  end

  --- Tells what waits, in order, until the store is away again. Whether all is told.
  ---@return boolean
  function Outbox:drain ()
    while self.list[1] do
      local done, message, code = tell(self, self.list[1])
      if not done and code then
        self.trouble = message
        return false
      end
      table.remove(self.list, 1)
    end
    if lurn.sys.exists(self.path) then os.remove(self.path) end
    self.trouble = nil
    return true
  end

  return M
end
