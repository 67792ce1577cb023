--- A store that may be away for a while: what a worker has to say is written into a file of its own, and into the store
-- when it is back, in order. Claims wait for the store; results do not.
--
--   FOLDER/ADDRESS.HOST.PID.N.jsonl      one event a line, each on disk before the worker is told; beside it a lock
--
-- A file whose process is gone is taken over by whoever opens the same store with the same folder next. To write an
-- event twice is to write it once (results have names), so nothing needs to know how far a file had got.

return function (lurn)
  local json, sys = lurn.json, lurn.sys
  local M = {}

  -- What says that the store is away, not that the event is wrong.
  local AWAY = {ECONN = true, EIO = true, EBUSY = true}

  local Spool = {}
  Spool.__index = Spool

  local function adopt (self, name)
    local path = self.folder .. "/" .. name
    local lock = sys.lock(path .. ".lock")
    if not lock then return end
    if sys.exists(path) then self.files[#self.files + 1] = {path = path, lock = lock, at = 0}
    else lock:release() end
  end

  --- The spool of a store. nil, message, code when its folder cannot be written to.
  function M.new (store, url, folder)
    local made, message, code = sys.mkdir(folder)
    if not made then return nil, message, code end
    local self = setmetatable({store = store, folder = folder, files = {}, studies = {},
      unsettled = {}, prefix = sys.sha256(url):sub(1, 16) .. "."}, Spool)
    local names = sys.list(folder) or {}
    table.sort(names)
    for _, name in ipairs(names) do
      if name:sub(1, #self.prefix) == self.prefix and name:find "%.jsonl$" then adopt(self, name) end
    end
    return self
  end

  --- Whether something waits, and what the store said last when it was away.
  function Spool:waits () return #self.files > 0, self.trouble end

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

  -- One line into the store. true: it is there, or nobody wants it; nil, message, code: the store is away.
  local function pass_on (self, line)
    local entry = json.decode(line, {nonfinite = true})
    if type(entry) ~= "table" then return true end      -- cut off by a crash: nobody was told that it was written
    if not self.studies[entry.study] then
      local study, message, code = self.store:study(entry.study)
      if not study and AWAY[code] then return nil, message, code end
      if not study then return true end
      self.studies[entry.study] = study
    end
    local study = self.studies[entry.study]
    local done, why, reason = study[entry.op](study, entry.e)
    if not done and AWAY[reason] then return nil, why, reason end
    return true
  end

  local function drain_file (self, file)
    local f = io.open(file.path, "rb")
    if f then
      f:seek("set", file.at)
      for line in f:read "a":gmatch "[^\n]*\n" do
        local done, message, code = pass_on(self, line)
        if not done then
          f:close()
          return nil, message, code
        end
        file.at = file.at + #line
      end
      f:close()
    end
    sys.remove(file.path)
    file.lock:release()
    return true
  end

  --- Writes what waits into the store. nil, message, code when the store is (still) away.
  function Spool:drain ()
    while self.files[1] do
      local done, message, code = drain_file(self, self.files[1])
      if not done then
        self.trouble = message
        return nil, message, code
      end
      table.remove(self.files, 1)
    end
    return true
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
      if done or message == "lost" then keep(self, op, e, when) end
      if done or not AWAY[code] then return done, message, code end
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
  Handle.claim, Handle.renew, Handle.promote = behind "claim", behind "renew", behind "promote"

  --- A result that has to wait does so alone.
  function Handle:turn (e, c, when)
    if self.spool:drain() then
      local both, message, code = (self.kept.turn or lurn.store_state.turn)(self.kept, copied(e), c, when)
      if both then keep(self, "finish", e, when) end
      if both or not AWAY[code] then return both, message, code end
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

  --- What the disk refused is said again when the store is back: true, "spooled".
  function Store:settle ()
    local list, spool = self.spool.unsettled, self.spool
    local done, message, code = true, nil, nil
    if self.kept.settle then done, message, code = self.kept:settle() end
    if not done and not AWAY[code] then return nil, message, code end
    if not done then spool.trouble = message end
    while not done and list[1] do
      local written
      written, message, code = write(spool, list[1].study, list[1].op, list[1].e)
      if not written then return nil, message, code end
      table.remove(list, 1)
    end
    spool.unsettled = {}
    return true, not done and "spooled" or nil
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
