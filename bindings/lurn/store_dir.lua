--- "dir:/shared/folder": a store in a folder that several machines see. No server, no locks: any POSIX file system
-- does.
--
--   NAME/study.json           name, direction, spec, plain values that it began with
--   NAME/logs/ID.jsonl        what one process wrote: it alone appends to it; a line is an event
--   NAME/claims/0/17.3        the third event of trial 17: a second name (link) of the log that it stands in
--   NAME/claims/keys/KEY.2    the second value of a plain value of the study
--
-- The events of a trial that change its state (claimed, finished, promoted, ...) have numbers, k = 1, 2, ... A process
-- that wants to make the next one appends it to its log, waits until that is on disk, and links the log to the event's
-- name. Of all who try, link(2) lets exactly one have the name: its event is a fact, those of the others are void. The
-- next line of a log says which the one before was; of the last line, the name in claims tells. So an event is written
-- before it is a fact, a fact is never without its text, and what is read does not depend on the order of reading. A
-- line that was cut off by a crash is no line.
--
-- Leases, reports and late results change no state and have no number. Times are those that the file system gives to
-- files: one clock for all machines.

return function (lurn)
  local machine, json, sys = lurn.store_state, lurn.json, lurn.sys
  local M = {}

  -- A file has at most 65,000 names on ext4; a new log is begun before.
  local MOST_NAMES = 20000
  local PER_FOLDER = 1000
  -- A log that has not grown for so many seconds is looked at every so many seconds only: most are of the dead.
  local QUIET, REST = 3, 0.5
  local NONFINITE = {nonfinite = true}
  -- What a server has is seen everywhere within moments: so many seconds are enough.
  local SEEN = 5
  local ENOENT = 2      -- as io.open says it

  -- Raised within this file, caught where a method ends: the outside world said no.
  local function check (value, message, code)
    if value == nil then error({message = message, code = code}, 0) end
    return value
  end

  local function guarded (f)
    return function (...)
      local ok, a, b, c = pcall(f, ...)
      if ok then return a, b, c end
      if type(a) == "table" and a.code then return nil, a.message, a.code end
      error(a, 0)
    end
  end

  -- A file, to be read; nil where there is none. One that is there and cannot be opened is not one that is missing.
  local function open (path)
    local f, message, errno = io.open(path, "rb")
    if not f and errno ~= ENOENT then check(nil, message, "EIO") end
    return f
  end

  -- Any text as a file name: what is not plain is written %XX.
  local function file_name (text)
    return (text:gsub("[^%w_-]", function (c) return ("%%%02X"):format(c:byte()) end))
  end
  M.file_name = file_name

  local Handle = {}
  Handle.__index = Handle

  ---------------------------------------------------------------- writing

  --- Host, process and instant: what no other process is called.
  function M.instance ()
    return ("%s.%d.%x"):format(file_name(lurn.process.host()), sys.pid(), (sys.time() * 1000) // 1 | 0)
  end

  local count = 0
  local function new_id ()
    count = count + 1
    return ("%s.%d"):format(M.instance(), count)
  end

  local function begin_log (self)
    local id = new_id()
    local own = {id = id, path = ("%s/logs/%s.jsonl"):format(self.folder, id), names = 0}
    check(sys.append(own.path, json.encode {log = id} .. "\n"))      -- where that fails nothing may follow, either
    self.own = own
    self.logs[id .. ".jsonl"] = false      -- what stands in it is known here
  end

  -- What the system did of that, nobody knows: nothing may follow in that log, which is read like another's.
  local function give_up_log (self, message, code)
    self.logs[self.own.id .. ".jsonl"] = {at = 0}
    self.own = nil
    check(nil, message, code)
  end

  -- One line, on disk when this returns.
  local function append (self, e)
    if not self.own then begin_log(self) end
    local own = self.own
    e.last, own.last = own.last, nil
    local done, message, code = sys.append(own.path, json.encode(e) .. "\n")
    if not done then give_up_log(self, message, code) end
  end

  local function now (self)
    if self.store.clock then return self.store.clock() end
    if not self.own then begin_log(self) end
    return check(sys.stamp(self.own.path))
  end

  local function chain_of (e)
    return e.key and "keys/" .. file_name(e.key) or ("%d/%d"):format(e.number // PER_FOLDER, e.number)
  end

  local function claim_path (self, e, k) return ("%s/claims/%s.%d"):format(self.folder, chain_of(e), k or e.k) end

  local function make_folder (self, e)
    local folder = claim_path(self, e):match "^(.*)/"
    if self.made[folder] then return end
    check(sys.mkdir(folder))
    self.made[folder] = true
  end

  --- Tries to make e the next event of its trial, or key. Whether it is.
  local function try (self, e)
    e.k = (self.k[e.key or e.number] or 0) + 1
    make_folder(self, e)
    if sys.exists(claim_path(self, e)) then return false end
    append(self, e)
    local own = self.own
    local message, code
    own.last, message, code = sys.claim(own.path, claim_path(self, e))
    if own.last == nil then give_up_log(self, message, code) end
    local won = own.last
    own.names = own.names + 1
    if own.names >= MOST_NAMES then
      append(self, {})
      self.own = nil
    end
    return won
  end

  ---------------------------------------------------------------- reading

  local play = {}      -- events that are facts, by name
  function play.create (state, e) state:create(e) end
  function play.claim (state, e) state:claim(e) end
  function play.finish (state, e) state:finish(e) end
  function play.promote (state, e) state:promote(e) end
  function play.put (state, e) state:put(e.trial) end
  function play.set (state, e) state.keys[e.key] = e.value end

  local note = {}      -- events that need no number
  function note.renew (state, e) state:renew(e) end
  function note.report (state, e) state:report(e) end
  function note.orphan (state, e)
    if not state:known(e.number, e.epoch, e.id) then state:orphan(e) end
  end

  local function apply (self, e)
    local chain = e.key or e.number
    play[e["do"]](self.state, e)
    self.k[chain] = e.k
    local early = self.early[chain]
    self.early[chain] = nil
    for _, n in ipairs(early or {}) do self:take_note(n) end
  end

  --- Leases, reports, late results: kept until the claim they belong to has been read.
  function Handle:take_note (e)
    local t = self.state.trials[e.number + 1]
    if t and e.epoch <= t.epoch then return note[e["do"]](self.state, e) end
    local list = self.early[e.number] or {}
    self.early[e.number] = list
    list[#list + 1] = e
  end

  -- Facts of one chain are played in order of k. Whether a trial's first one was among them.
  local function play_chain (self, chain)
    local facts, begins = self.facts[chain], false
    while facts do
      local k = self.k[chain] or 0
      local e = facts[k + 1]
      if not e or e.number and k == 0 and e.number ~= #self.state.trials then break end
      begins = begins or k == 0 and e.number ~= nil
      apply(self, e)
      facts[k + 1] = nil
      self.waiting = self.waiting - 1
      if next(facts) == nil then self.facts[chain], facts = nil, nil end
    end
    return begins
  end

  -- First ones of trials are played in order of their numbers: those of the next may have waited for it.
  local function play_facts (self, chain)
    while play_chain(self, chain) do chain = chain + 1 end
  end

  local function take_fact (self, e)
    local chain = e.key or e.number
    if e.k <= (self.k[chain] or 0) then return end
    local facts = self.facts[chain] or {}
    self.facts[chain] = facts
    if facts[e.k] then return end
    facts[e.k] = e
    self.waiting = self.waiting + 1
    play_facts(self, chain)
  end

  -- Whose the name of an event is: true this log's, false another's, nil nobody's yet.
  local function owner_is (self, e, id)
    local f = open(claim_path(self, e))
    if not f then return nil end
    local first = f:read "l"
    f:close()
    local head = first and json.decode(first)
    return head and head.log == id
  end

  local function take_line (self, log, line)
    local e = json.decode(line, NONFINITE)
    if type(e) ~= "table" then return end
    if e.log then log.id = e.log end
    if log.open then
      if e.last then take_fact(self, log.open) end
      log.open = nil
    end
    if e.k then log.open = e elseif e["do"] then self:take_note(e) end
  end

  local function read_log (self, name, log)
    -- Opened each time: a network file system then looks at what the server has.
    local f = open(("%s/logs/%s"):format(self.folder, name))
    if not f then return end
    local now_, grown = sys.clock(), f:seek "end" > log.at
    if grown or not log.grew then log.grew = now_ end
    log.later = now_ - log.grew > QUIET and now_ + REST or nil
    local text, message = "", nil
    if grown then
      f:seek("set", log.at)
      text, message = f:read "a"
    end
    f:close()
    for line in check(text, message, "EIO"):gmatch "[^\n]*\n" do
      log.at = log.at + #line
      take_line(self, log, line)
    end
    if not log.open then return end
    local owner = owner_is(self, log.open, log.id)
    if owner then take_fact(self, log.open) end
    if owner ~= nil then log.open = nil end
  end

  local function read_logs (self)
    for _, name in ipairs(check(sys.list(self.folder .. "/logs"))) do
      if self.logs[name] == nil then self.logs[name] = {at = 0} end
    end
    local at = sys.clock()
    for name, log in next, self.logs do
      if log and at >= (log.later or at) then read_log(self, name, log) end
    end
  end

  -- A log that is read later may hold what one that was read before builds on: then once more.
  local function refresh (self)
    for _ = 1, 5 do
      read_logs(self)
      if self.waiting == 0 then return end
    end
  end

  ---------------------------------------------------------------- what a store does

  function Handle:spec () return self.state.spec end

  --- The number behind all that somebody has, seen or not.
  local function new_number (self)
    local number = #self.state.trials
    while sys.exists(claim_path(self, {number = number}, 1)) do number = number + 1 end
    return number
  end

  local function unseen (self)
    check(nil, ("%s: what other processes wrote is not to be seen"):format(self.folder), "EIO")
  end

  -- Numbers below may have been taken since.
  local function wait_for (self, e)
    local till = sys.clock() + SEEN
    repeat
      if (self.k[e.key or e.number] or 0) >= e.k then return e end
      refresh(self)
      if self.waiting > 0 then sys.sleep(0.005) end
    until sys.clock() > till
    unseen(self)
  end

  -- Tries with make() until the event it gives is a fact; nil and what make says when it gives none. Where an event's
  -- name is taken, it is to be read soon what somebody else has made of it.
  local function insist (self, make)
    local taken, till
    while true do
      refresh(self)
      local e, why = make()
      if not e then return nil, why end
      if try(self, e) then
        take_fact(self, e)
        return wait_for(self, e)
      end
      local path = claim_path(self, e)
      if path ~= taken then taken, till = path, sys.clock() + SEEN end
      if sys.clock() > till then unseen(self) end
      sys.sleep(0.002 * math.random())
    end
  end

  local function proposed (self, c)
    local number = new_number(self)
    if number >= self.state.total then return nil, self.state:idle(number > #self.state.trials) end
    local e = c.propose and c.propose(number)
    if not e then return nil, self.state:idle(not c.propose or number > #self.state.trials) end
    e.number = number
    return e
  end

  Handle.claim = guarded(function (self, c)
    local e, why = insist(self, function ()
      local at = now(self)
      local number = self.state:pick(c.worker, at)
      local e, why = number and {number = number}, nil
      if not e then e, why = proposed(self, c) end
      if not e then return nil, why end
      e["do"], e.worker, e.host, e.pid, e.lease, e.at = "claim", c.worker, c.host, c.pid, c.lease, at
      return e
    end)
    if not e then return nil, why end
    -- Until what is below had been read, the lease may have run out, and the trial be another's: then it is not ours.
    if self.k[e.number] == e.k then return machine.copy(self.state.trials[e.number + 1]) end
    return self:claim(c)
  end)

  Handle.enqueue = guarded(function (self, list)
    for _, e in ipairs(list) do
      e["do"] = "create"
      insist(self, function ()
        e.number = new_number(self)
        return e
      end)
    end
    return true
  end)

  -- An event is of a claim. Where that is not to be read yet, though somebody has made one, nobody can say "lost".
  local function check_seen (self, e)
    local t = self.state.trials[e.number + 1]
    if t and e.epoch <= t.epoch then return end
    if sys.exists(claim_path(self, e, (self.k[e.number] or 0) + 1)) then unseen(self) end
  end

  -- The trial is the event's, as far as is known here, and nobody has made its next event since.
  local function is_held (self, e)
    if not self.state:held(e) then refresh(self) end
    if not self.state:held(e) then return check_seen(self, e) end
    return not sys.exists(claim_path(self, e, self.k[e.number] + 1))
  end

  local function write_note (self, kind, e)
    e["do"] = kind
    append(self, e)
    self:take_note(e)
    return true
  end

  Handle.renew = guarded(function (self, e)
    if not is_held(self, e) then return nil, "lost" end
    e.at = now(self)
    return write_note(self, "renew", e)
  end)

  Handle.report = guarded(function (self, e)
    if not is_held(self, e) then return nil, "lost" end
    return write_note(self, "report", e)
  end)

  Handle.finish = guarded(function (self, e)
    e["do"], e.at = "finish", now(self)
    if not self.state:held(e) then refresh(self) end
    if self.state:held(e) and try(self, e) then
      take_fact(self, e)
      return true, self.state.trials[e.number + 1].state
    end
    refresh(self)
    check_seen(self, e)
    local known = self.state:known(e.number, e.epoch, e.id)
    if known == "counted" then return true end
    if not known and machine.OVER[e.state] and self.state.trials[e.number + 1] then
      e.k = nil
      write_note(self, "orphan", e)
    end
    return nil, "lost"
  end)

  Handle.promote = guarded(function (self, number)
    local e = insist(self, function ()
      local t = self.state.trials[number + 1]
      return t and t.state == "PAUSED" and {["do"] = "promote", number = number} or nil
    end)
    if e then return true end
    return nil, "not paused"
  end)

  Handle.set = guarded(function (self, key, value)
    insist(self, function () return {["do"] = "set", key = key, value = value} end)
    return true
  end)

  Handle.get = guarded(function (self, key)
    refresh(self)
    return self.state.keys[key]
  end)

  Handle.keys = guarded(function (self)
    refresh(self)
    return self.state.keys
  end)

  -- What is read here stays: to look for garbage among it again and again takes a third of the time of a large study.
  local function undisturbed (f)
    return function (self)
      local runs = collectgarbage "isrunning"
      collectgarbage "stop"
      local ok, found = pcall(f, self)
      if runs then collectgarbage "restart" end
      if not ok then error(found, 0) end
      return found
    end
  end

  Handle.sync = guarded(undisturbed(function (self)
    refresh(self)
    return self.state:update(self.view)
  end))

  Handle.counts = guarded(function (self)
    refresh(self)
    return self.state:counts()
  end)

  Handle.metrics = guarded(function (self, number)
    refresh(self)
    return machine.copy(self.state.inner[number] and self.state.inner[number].metrics or {})
  end)

  --- Trials of another store, as they are, into an empty study.
  Handle.put = guarded(function (self, trials)
    for _, t in ipairs(trials) do
      insist(self, function () return {["do"] = "put", number = t.number, trial = t} end)
    end
    return true
  end)

  Handle.check = guarded(function (self)
    local list = machine.problems(self:sync())
    if self.waiting > 0 then list[#list + 1] = ("%d events whose forerunners are in no log"):format(self.waiting) end
    for _, t in ipairs(self.state.trials) do
      local path = claim_path(self, t, self.k[t.number] + 1)
      if sys.exists(path) then list[#list + 1] = ("trial %d: %s is in no log"):format(t.number, path) end
    end
    return list
  end)

  ---------------------------------------------------------------- the folder

  local Store = {}
  Store.__index = Store

  local function handle (store, folder, study)
    return setmetatable({store = store, folder = folder, name = study.name, direction = study.direction,
      state = machine.new(study.spec, study.keys), view = machine.view(), logs = {}, k = {}, facts = {}, early = {},
      made = {}, waiting = 0}, Handle)
  end

  local function folder_of (self, name) return ("%s/%s"):format(self.folder, file_name(name)) end

  Store.create = guarded(function (self, s)
    local folder = folder_of(self, s.name)
    check(sys.mkdir(folder .. "/logs"))
    check(sys.mkdir(folder .. "/claims/keys"))
    local temp = ("%s/logs/.%s.study"):format(folder, new_id())
    check(sys.append(temp, json.encode {name = s.name, direction = s.direction, spec = s.spec, keys = s.keys}))
    local ours = check(sys.claim(temp, folder .. "/study.json"))
    sys.remove(temp)
    if not ours then return nil, ("there is a study '%s' already"):format(s.name), "EEXIST" end
    return handle(self, folder, s)
  end)

  Store.study = guarded(function (self, name)
    local folder = folder_of(self, name)
    local f = open(folder .. "/study.json")
    if not f then return nil, ("there is no study '%s'"):format(name), "ENOENT" end
    local text, why = f:read "a"
    f:close()
    local study, message = json.decode(check(text, why, "EIO"), NONFINITE)
    if not study then return nil, ("%s/study.json: %s"):format(folder, message), "EFORMAT" end
    return handle(self, folder, study)
  end)

  Store.names = guarded(function (self)
    local list = {}
    for _, name in ipairs(check(sys.list(self.folder))) do
      if sys.exists(("%s/%s/study.json"):format(self.folder, name)) then
        list[#list + 1] = name:gsub("%%(%x%x)", function (hex) return string.char(tonumber(hex, 16)) end)
      end
    end
    return list
  end)

  --- The study is gone at once; its files follow.
  function Store:delete (name)
    local gone = ("%s/.deleted.%s"):format(self.folder, new_id())
    local done, message = os.rename(folder_of(self, name), gone)
    if not done then return nil, message, sys.exists(folder_of(self, name)) and "EIO" or "ENOENT" end
    os.execute("rm -rf -- " .. lurn.shell.quote(gone))
    return true
  end

  function Store.close () end

  function M.open (folder, options)
    if options.create and not options.read_only then
      local made, message, code = sys.mkdir(folder)
      if not made then return nil, message, code end
    else
      local names, message, code = sys.list(folder)
      if not names and sys.exists(folder) then return nil, message, code end
      if not names then return nil, folder .. ": there is no such folder", "ENOENT" end
    end
    return setmetatable({folder = folder, clock = options.clock}, Store)
  end

  return M
end
