--- A store that may be away for a while: what a worker has to say is written into a file of its own, and into the store
-- when it is back, in order. Claims wait for the store; results do not.
--
--   FOLDER/ADDRESS.HOST.PID.N.jsonl      one event a line, each on disk before the worker is told; beside it a lock
--   ....jsonl.orphan                     lines of it that the store has no place for
--
-- A file whose process is gone is taken over by whoever opens the same store with the same folder next. To write an
-- event twice is to write it once (results have names), so nothing needs to know how far a file had got.
--
-- A line goes when the store has it, or says that the trial is lost, and for no other reason. Whatever else the store
-- answers (read-only, damaged, full), it is away. What it could never take (its study is not there; it raises an error)
-- is kept in the .orphan, which nobody reads before a user has renamed it.

return function (lurn)
  local json, sys = lurn.json, lurn.sys
  local M = {}

  local MOMENT = 0.2       -- seconds that one call gives to what waits: trials want to be heard meanwhile
  local ENOENT = 2         -- as io.open says it
  local OPS = {report = true, finish = true}

  local Spool = {}
  Spool.__index = Spool

  -- By its name, for where the file system knows no locks. Whoever is on another host may live.
  local function is_left (self, name)
    local host, pid = name:sub(#self.prefix + 1):match "^(.-)%.(%d+)%."
    return host == lurn.store_dir.file_name(lurn.process.host()) and not sys.exists("/proc/" .. pid)
  end

  local function adopt (self, name)
    local path = self.folder .. "/" .. name
    local lock, is_real = sys.lock(path .. ".lock")
    if not lock then return end
    if sys.exists(path) and (is_real or is_left(self, name)) then
      self.files[#self.files + 1] = {path = path, lock = lock, at = 0}
    else lock:release() end
  end

  --- The spool of a store. nil, message, code when its folder cannot be read and written to.
  function M.new (store, url, folder)
    local made, message, code = sys.mkdir(folder)
    if not made then return nil, message, code end
    local names
    names, message, code = sys.list(folder)
    if not names then return nil, message, code end
    local self = setmetatable({store = store, folder = folder, files = {}, studies = {}, notes = {},
      unsettled = {}, prefix = sys.sha256(url):sub(1, 16) .. "."}, Spool)
    table.sort(names)
    for _, name in ipairs(names) do
      if name:sub(1, #self.prefix) == self.prefix and name:find "%.jsonl$" then adopt(self, name) end
    end
    return self
  end

  --- Whether something waits, and what the store said last when it was away.
  function Spool:waits () return #self.files > 0, self.trouble end

  --- What was set aside since this was asked last, as sentences.
  function Spool:orphans ()
    local notes = self.notes
    self.notes = {}
    return notes
  end

  local function write (self, study, op, e)
    local file = self.files[#self.files]
    if not file or not file.own then
      self.count = (self.count or 0) + 1
      local path = ("%s/%s%s.%d.jsonl"):format(self.folder, self.prefix, lurn.store_dir.instance(), self.count)
      local lock, message, code = sys.lock(path .. ".lock")
      if not lock then return nil, message, code end
      file = {path = path, lock = lock, at = 0, own = true}
      self.files[#self.files + 1] = file
    end
    local done, message, code = sys.append(file.path, json.encode {study = study, op = op, e = e} .. "\n")
    if not done then file.own = false end      -- a line may have been cut off there: nothing may follow it
    return done, message, code
  end

  local function study_of (self, name)
    if self.studies[name] then return self.studies[name] end
    local study, message, code = self.store:study(name)
    self.studies[name] = study
    return study, message, code
  end

  -- One line into the store. true: it is there, or nobody wants it; false, why: it has no place there; nil, message,
  -- code: the store is away.
  local function pass_on (self, line)
    local entry = json.decode(line, {nonfinite = true})
    if type(entry) ~= "table" or type(entry.study) ~= "string" or not OPS[entry.op] then
      return false, "a damaged line"
    end
    local study, message, code = study_of(self, entry.study)
    if not study and code == "ENOENT" then return false, message end
    if not study then return nil, message, code end
    local ok, done, why, reason = pcall(study[entry.op], study, entry.e)
    if not ok and type(done) ~= "string" then error(done, 0) end      -- somebody interrupts: that says nothing of it
    if not ok then return false, done end
    if done or why == "lost" then return true end
    return nil, why, reason
  end

  -- Line after line, for a moment from the first answer on. Where in the file that led to; the lines that have no place
  -- in the store; then true at the end of the file, false when there is more, or nil, message, code.
  local function tell (self, f, at)
    local orphans = {}
    f:seek("set", at)
    while true do
      local line, message = f:read "L"
      if not line and message then return at, orphans, nil, message, "EIO" end
      -- The last one may have been cut off by a crash: nobody was told that it was written.
      if not line or line:sub(-1) ~= "\n" then return at, orphans, true end
      if self.till and sys.clock() >= self.till then return at, orphans, false end
      local done, why, code = pass_on(self, line)
      if done == nil then return at, orphans, nil, why, code end
      if not done then
        orphans[#orphans + 1] = line
        orphans.why = orphans.why or why
      end
      at, self.till = at + #line, self.till or sys.clock() + MOMENT
    end
  end

  local function set_aside (self, file, orphans)
    if not orphans[1] then return true end
    local path = file.path .. ".orphan"
    local done, message, code = sys.append(path, table.concat(orphans))
    if not done then return nil, message, code end
    if not file.said then
      table.insert(self.notes, ("results that waited for the store are kept in %s: %s; without '.orphan' in its name "
        .. "it is told at the next start"):format(path, orphans.why))
    end
    file.said = true
    return true
  end

  -- true: the file is empty, and gone; false: there is more in it; nil, message, code: the store, or the file, is away.
  local function drain_file (self, file)
    local f, trouble, errno = io.open(file.path, "rb")
    if not f and errno ~= ENOENT then return nil, trouble, "EIO" end
    if f then
      local at, orphans, done, message, code = tell(self, f, file.at)
      f:close()
      local kept, why, reason = set_aside(self, file, orphans)
      if not kept then return nil, why, reason end
      file.at = at
      if not done then return done, message, code end
      sys.remove(file.path)
    end
    file.lock:release()
    return true
  end

  local function rest (self)
    local bytes = 0
    for _, file in ipairs(self.files) do bytes = bytes + (sys.filesize(file.path) or 0) - file.at end
    return ("what waited for it is being written, %s to go"):format(lurn.quantity.size(math.max(bytes, 0)))
  end

  --- Writes what waits into the store, for a moment. nil, message, "EAGAIN" when there is more, for the next call; nil,
  -- message, code when the store is (still) away.
  function Spool:drain ()
    self.till = nil
    while self.files[1] do
      local done, message, code = drain_file(self, self.files[1])
      if done then table.remove(self.files, 1) end
      if done == false then message, code = rest(self), "EAGAIN" end
      if not done then
        self.trouble = message
        return nil, message, code
      end
    end
    return true
  end

  --- Whoever comes next has the files.
  function Spool:release ()
    for _, file in ipairs(self.files) do file.lock:release() end
    self.files = {}
  end

  ---------------------------------------------------------------- a study behind a spool

  local Handle = {}

  function Handle.__index (self, key)
    local method = Handle[key]
    if method then return method end
    method = self.kept[key]
    if type(method) ~= "function" then return method end
    return function (_, ...) return method(self.kept, ...) end
  end

  local function copied (e)
    local out = {}
    for k, v in next, e do out[k] = v end
    return out
  end

  -- What is in the store, and on disk later, is kept until it is.
  local function keep (self, op, e, when)
    if when == "later" then table.insert(self.spool.unsettled, {study = self.name, op = op, e = e}) end
  end

  -- Into the store, behind what waits; into the spool when it is away.
  local function say (self, op, e, when)
    if self.spool:drain() then
      local done, message, code = self.kept[op](self.kept, copied(e), when)
      if done or message == "lost" then
        keep(self, op, e, when)
        return done, message, code
      end
      self.spool.trouble = message
    end
    local written, message, code = write(self.spool, self.name, op, e)
    if written then return true, "spooled" end
    return nil, message, code
  end

  function Handle:report (e) return say(self, "report", e) end
  function Handle:finish (e, when) return say(self, "finish", e, when) end

  local function behind (op)
    return function (self, ...)
      local done, message, code = self.spool:drain()
      if not done then return nil, message, code end
      return self.kept[op](self.kept, ...)
    end
  end
  -- Not so a lease, which would run out meanwhile.
  Handle.claim, Handle.promote = behind "claim", behind "promote"

  --- A result that has to wait does so alone.
  function Handle:turn (e, c, when)
    if self.spool:drain() then
      local both, message = (self.kept.turn or lurn.store_state.turn)(self.kept, copied(e), c, when)
      if both then
        keep(self, "finish", e, when)
        return both
      end
      self.spool.trouble = message
    end
    local written, message, code = write(self.spool, self.name, "finish", e)
    if not written then return nil, message, code end
    return {done = true, state = "spooled"}
  end

  ---------------------------------------------------------------- a store behind a spool

  local Store = {}

  function Store.__index (self, key)
    local method = Store[key]
    if method then return method end
    method = self.kept[key]
    return method and function (_, ...) return method(self.kept, ...) end
  end

  local function behind_spool (self, kept, message, code)
    if not kept then return nil, message, code end
    self.spool.studies[kept.name] = kept
    return setmetatable({kept = kept, spool = self.spool, name = kept.name, direction = kept.direction}, Handle)
  end

  function Store:create (s) return behind_spool(self, self.kept:create(s)) end
  function Store:study (name) return behind_spool(self, self.kept:study(name)) end

  --- What the disk refused is said again when the store is back: true, "spooled". A disk refuses once: what the spool
  -- does not take either stays refused until it does.
  function Store:settle ()
    local list, spool = self.spool.unsettled, self.spool
    local done, message = true, nil
    if self.kept.settle then done, message = self.kept:settle() end
    if not done then spool.trouble, spool.refused = message, true end
    local refused = spool.refused
    while refused and list[1] do
      local written, why, code = write(spool, list[1].study, list[1].op, list[1].e)
      if not written then return nil, why, code end
      table.remove(list, 1)
    end
    spool.unsettled, spool.refused = {}, nil
    return true, refused and "spooled" or nil
  end

  function Store:close ()
    self.spool:release()
    return self.kept:close()
  end

  --- The store with a spool in front of it.
  function M.wrap (store, url, folder)
    local spool, message, code = M.new(store, url, folder)
    if not spool then return nil, message, code end
    spool:drain()
    return setmetatable({kept = store, spool = spool}, Store)
  end

  return M
end
