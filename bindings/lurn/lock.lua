--- A run file is written by one process at a time. Beside RUN.h5 the process that writes it holds a lock on
-- RUN.h5.lock, in which it says who it is. The system drops the lock when the process ends, by whatever: a file
-- that was left behind by kill -9 is no lock, and the next one takes it over. Readers ask for no lock: a run file is
-- replaced as a whole.

return function (lurn)
  local M = {}

  --- RUN.h5 -> RUN.h5.lock
  function M.path (path) return path .. ".lock" end

  --- Takes the lock of a run file; its folder is made. nil, message, code when somebody has it or the folder cannot be
  -- written to.
  ---@param path string   of the run file
  ---@return userdata? lock   lock:release() ends it
  ---@return string? message
  ---@return string? code
  function M.take (path)
    local folder = path:match "^(.*)/[^/]*$"
    if folder and folder ~= "" then
      local made, message, code = lurn.sys.mkdir(folder)
      if not made then return nil, message, code end
    end
    local lock, message, code = lurn.sys.lock(M.path(path))
    if lock then return lock end
    if message:find(": held by ", 1, true) then
      message = ("%s is being written by %s"):format(path, message:match ": held by (.*)$")
    end
    return nil, message, code
  end

  return M
end
