--- "sweep.db": a store in a file of SQLite, for the processes of one machine. See store_sql.lua.

return function (lurn)
  local M = {}

  M.dialect = {
    kind = "sqlite",
    types = {id = "INTEGER NOT NULL PRIMARY KEY", double = "FLOAT", bigint = "INTEGER", time = "DATETIME",
      enum = "VARCHAR(8)", trialintermediatevaluetype = "VARCHAR(7)", trialvaluetype = "VARCHAR(7)",
      keyed = " WITHOUT ROWID"},
    -- By itself it would give the number of a study that was deleted to the next one, and who still works on the former
    -- would write into the latter. So chance gives it.
    study_id = "random() & 2147483647",
    begin = "BEGIN IMMEDIATE", look = "BEGIN",
    -- All who use the file are on this machine: a power cut that takes a claim has taken its worker too, and the number
    -- is given again, to be played from the start. The end of processes takes nothing.
    loose = true,
    lock = "", skip = "",
    -- Its RETURNING makes a table of its own each time, which takes longer than to ask.
    returning = "", inserted = "SELECT last_insert_rowid()",
    -- Without statistics its planner takes the primary key, and with it all trials of the study.
    by_queue = " INDEXED BY lurn_trial_queue", by_version = " INDEXED BY lurn_trial_version",
    mark = "SELECT version FROM lurn_study WHERE study_id = $1", since = ">",
    tables = "SELECT count(*) FROM sqlite_master WHERE name IN ('studies', 'lurn_study')",
    filled = {},
    optimize = {"PRAGMA wal_autocheckpoint = 4000"},
  }

  --- There is one writer at a time: a number of the study's own tells what changed since.
  function M.dialect.version (run, id)
    run("UPDATE lurn_study SET version = version + 1 WHERE study_id = $1", id)
    return run("SELECT version FROM lurn_study WHERE study_id = $1", id)[1][1]
  end

  --- The time: of this machine, as all who use the file are on it.
  function M.dialect.now () return lurn.sys.time() end

  -- The lock for writing is byte 120 of the file of shared memory (sqlite.org/walformat.html, 2.3.1), and the system
  -- tells whose it is. To open that file here would let go of this process's own locks.
  local WRITE_LOCK = "^%d+: POSIX +ADVISORY +WRITE (%d+) %x+:%x+:(%d+) 120 120"

  local function writer (path)
    local inode = tonumber((lurn.sys.identity(path .. "-shm") or ""):match "^%x+%-(%x+)", 16)
    local f = inode and io.open "/proc/locks"
    for line in f and f:lines() or function () end do
      local pid, of = line:match(WRITE_LOCK)
      if tonumber(of) == inode then return f:close() and tonumber(pid) end
    end
    if f then f:close() end
  end

  --- What to say where another process writes for so long, and does not come to an end.
  function M.dialect.busy (path, seconds)
    local pid = writer(path)
    if not pid then return nil end
    local f = io.open(("/proc/%d/stat"):format(pid))
    local stopped = f and f:read "a":match "%) [Tt]"
    if f then f:close() end
    return ("%s: process %d has been writing to it for %s%s"):format(path, pid, lurn.quantity.duration(seconds),
      stopped and (", and is stopped: kill -CONT %d lets it go on"):format(pid) or "")
  end

  --- What SQLite itself finds wrong with the file.
  function M.dialect.problems (run)
    local list = {}
    for _, row in ipairs(run "PRAGMA integrity_check") do
      if row[1] ~= "ok" then list[#list + 1] = "integrity_check: " .. row[1] end
    end
    for _, row in ipairs(run "PRAGMA foreign_key_check") do
      list[#list + 1] = ("foreign_key_check: table %s, row %s"):format(row[1], row[2])
    end
    return list
  end

  function M.open (path, options)
    if not options.create and not options.read_only and not lurn.sys.exists(path) then
      return nil, path .. ": there is no such file", "ENOENT"
    end
    return lurn.store_sql.open(M.dialect, path, options)
  end

  return M
end
