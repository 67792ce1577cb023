--- A run file is written by one process at a time. Beside RUN.h5 the process that writes it holds a lock on
-- RUN.h5.lock, in which it says who it is. The system drops the lock when the process ends, by whatever: a file
-- that was left behind by kill -9 is no lock, and the next one takes it over. Readers ask for no lock, as a run file is
-- replaced as a whole; whether somebody has it tells them how far a run is to be believed that says it is running.

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

  --- How a run ended that says so in its file; "killed" where it says that it is running and no process writes it.
  ---@param path string     of the run file
  ---@param status string   what it says
  ---@return string
  function M.status (path, status)
    return status == "running" and lurn.sys.is_locked(M.path(path)) == false and "killed" or status
  end

  return M
end
