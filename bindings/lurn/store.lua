--- Where the trials of studies are kept, so that none is lost: one interface, several kinds.
--
--   local store = assert(lurn.store.open "sweep.db")          -- a file of SQLite: processes of one machine
--   "dir:/shared/folder"                                      -- a folder that several machines see; no server
--   "postgresql://user@host/db"                               -- PostgreSQL: many machines
--   "memory:"                                                 -- nothing is kept
--
--   local study = assert(store:create {name = "lr", direction = "minimize", spec = {trials = 100, space = {...}}})
--   local trial, why = study:claim {worker = "me", lease = 60, propose = function (number) return {params = ...} end}
--   study:report(trial, {{100, 0.7}})
--   study:finish(trial, {state = "COMPLETE", value = 0.7})
--
-- A worker claims a trial for the length of a lease, which it renews; a lease that ran out is anybody's. Each claim
-- raises the trial's epoch, and every write says which epoch it is of: what comes too late (from a worker that was
-- frozen, cut off, or given up for dead) is told so, and its result is kept as an orphan that counts nowhere. The same
-- result twice is one. Times are seconds since 1970 by the store's own clock.
--
-- A result, a report, a pause that was acknowledged is on disk; a result that may be there later is acknowledged when
-- store:settle() returns, and meanwhile its worker can begin the next trial. A claim in a file of SQLite need not be:
-- it outlives every process, but a power cut, which ends its worker too, may take it; then its number is given again.
--
-- With a spool, a store that is away costs no result: reports and results wait on the local disk ("spooled") until it
-- is back; claims and renewals say nil, message, code. What waits gets in with the calls that come, a moment each.
--
-- Misuse raises; the outside world (and a trial that was lost) is nil, message, code. Codes: ENOENT, EEXIST, EBUSY (try
-- again), ECONN (no connection), EIO, EFORMAT, EREADONLY, EAGAIN (the store is there: what waits in the spool gets in).

return function (lurn)
  local schema, machine, event = lurn.schema, lurn.store_state, lurn.store_event
  local M = {}

  ---------------------------------------------------------------- addresses

  -- As in Optuna and SQLAlchemy: three slashes and a path of the current folder, or four and one from the root.
  local SCHEMES = {sqlite = "store_sqlite", dir = "store_dir", memory = "store_memory",
    postgresql = "store_postgres", postgres = "store_postgres"}

  --- Kind and place of a store's address; a text without a scheme is a file of SQLite.
  ---@param url string         "sweep.db", "sqlite:///sweep.db", "dir:/shared/folder", "postgresql://user@host:5432/db",
  -- "memory:"
  ---@return string? kind       "sqlite", "dir", "postgresql", "memory"
  ---@return string place       a path, or the address as it is; or what is wrong
  function M.parse (url)
    local scheme, rest = url:match "^(%a[%w+]*):(.*)$"
    if not scheme then
      if url == "" then return nil, "the address of a store is empty" end
      return "sqlite", url
    end
    scheme = scheme:match "^%a+"      -- postgresql+psycopg2, as SQLAlchemy has it
    if not SCHEMES[scheme] then
      return nil, ("%s: %s"):format(url, schema.unknown("unknown kind of store", scheme, {"sqlite", "dir", "postgresql",
        "memory"}))
    end
    if scheme == "postgres" or scheme == "postgresql" then return "postgresql", "postgresql:" .. rest end
    if scheme == "sqlite" then rest = rest:gsub("^///", "") end
    if rest == "" and scheme ~= "memory" then return nil, ("%s: where? A path is missing"):format(url) end
    return scheme, rest
  end

  local OPEN = {create = {"boolean", true, nil, "make the store when it is not there"},
    read_only = {"boolean", false, nil, "nothing is written"},
    spool = {"string", nil, nil, "folder for what cannot be written while the store is away"},
    patience = {"number", 30, {0, 1e6}, "seconds to try again while others write, or while the server is away"},
    clock = {"function", nil, nil, "instead of the store's clock, for tests"}}

  ---------------------------------------------------------------- a study

  local Study = {}
  Study.__index = Study

  --- Name and direction are fields: study.name, study.direction.
  function Study:spec () return self.kept:spec() end

  --- A plain value of the study as a whole, by name. Setting nil removes it.
  function Study:set (key, value)
    return self.kept:set(key, event.value("study:set", key, value))
  end
  function Study:get (key) return self.kept:get(key) end

  --- Puts configurations in, to be played before anything is proposed.
  ---@param list {params: table, config: integer?, seed: integer?, attrs: table?}[]
  function Study:enqueue (list)
    local checked = {}
    for k, e in ipairs(list) do checked[k] = event.proposal("study:enqueue", e) end
    return self.kept:enqueue(checked)
  end

  --- A trial for this worker: its own unfinished one; else the lowest of those put back or whose lease ran out; else
  -- the lowest that was enqueued; else a new number, as long as the study's total allows, with what `propose` gives for
  -- it. `propose` is called within the transaction: it is quick and asks no store; a number may be proposed for twice.
  ---@param options table
  ---@return table? trial    {number, epoch, config, seed, params, attrs, reports, run, attempts, ...}
  ---@return string? why     "nothing" (others are at work), "done" (nothing runs, waits or may be new), or a message
  ---@return string? code
  function Study:claim (options)
    return self.kept:claim(event.claim("study:claim", options))
  end

  --- The lease lasts so many seconds from now. nil, "lost" when the trial is somebody else's, or over.
  function Study:renew (trial, lease)
    return self.kept:renew(event.renewal("study:renew", trial, lease))
  end

  --- Values on the way, by step; a step that was there gets the new value.
  ---@param points number[][]    {{step, value}, ...}: what pruners look at
  ---@param metrics? table       other series by name, {NAME = {{step, value}, ...}}
  function Study:report (trial, points, metrics)
    return self.kept:report(event.report("study:report", trial, points, metrics))
  end

  --- The attempt is over. A crash is forgiven as often as spec.retries.crashed says, being preempted or lost always:
  -- the trial waits again, and the second value says so. A COMPLETE that is NaN is a FAIL, DIVERGED.
  -- nil, "lost": the result came too late and is kept as an orphan. true, "spooled": the store is away.
  -- With when = "later" it need not be on disk yet (the others see it, and no end of a process takes it): nobody may be
  -- told that it is done before store:settle() has returned. Where there is nothing to gain it is on disk at once.
  ---@param result {state: string, reason: string?, value: number?, run: string?, attrs: table?, id: string?,
  -- when: string?}
  ---@return true? done
  ---@return string? state      the trial's from now on; or "lost", or a message
  ---@return string? code
  function Study:finish (trial, result)
    return self.kept:finish(event.result("study:finish", trial, result))
  end

  --- A result and the next claim in one, where that is possible with one commit. when = "later": as for finish.
  ---@param options table   as for claim
  ---@return {done: true?, state: string?, trial: table?, why: string?}?   as finish and claim say it
  ---@return string? message
  ---@return string? code
  function Study:turn (trial, result, options)
    local e, when = event.result("study:turn", trial, result)
    return (self.kept.turn or machine.turn)(self.kept, e, event.claim("study:turn", options), when)
  end

  --- The trial rests (PAUSED) until it is promoted. kept: {run = its run file, attrs =}
  function Study:pause (trial, kept)
    return self.kept:finish(event.leaving("study:pause", trial, "PAUSED", nil, kept))
  end

  --- The trial is given back and waits for whoever comes, its own worker first. reason: "PREEMPTED" by default.
  function Study:release (trial, reason, kept)
    return self.kept:finish(event.leaving("study:release", trial, "FAIL", reason or "PREEMPTED", kept))
  end

  --- A trial that is PAUSED waits again. nil, "not paused" otherwise.
  ---@param number integer
  function Study:promote (number) return self.kept:promote(number) end

  --- All trials in order of number, trial N at N + 1. The list stays the same table; only what changed since the last
  -- call is read.
  ---@return table[]? trials
  function Study:sync () return self.kept:sync() end

  --- How many trials there are in each state: {WAITING =, RUNNING =, PAUSED =, COMPLETE =, PRUNED =, FAIL =}.
  function Study:counts () return self.kept:counts() end

  --- The attempts of a trial: {epoch, worker, host, pid, started, ended, reason, id, orphans = {what came late}}.
  function Study:attempts (number)
    local trials, message, code = self:sync()
    if not trials then return nil, message, code end
    local t = trials[number + 1]
    if not t then return nil, ("there is no trial %s"):format(number), "ENOENT" end
    return t.attempts
  end

  --- The other series that were reported of a trial: {NAME = {{step, value}, ...}}.
  function Study:metrics (number) return self.kept:metrics(number) end

  --- What is wrong in the store, as a list of sentences; empty when all is well.
  function Study:check () return self.kept:check() end

  --- All that the store knows of the study, as plain tables that are the caller's own: {name, direction, spec, keys,
  -- trials}, the trials with their other series as `metrics`.
  ---@return table? gathered
  function Study:gather ()
    local trials, message, code = self:sync()
    if not trials then return nil, message, code end
    local keys
    keys, message, code = self.kept:keys()
    if not keys then return nil, message, code end
    local out = {name = self.name, direction = self.direction, spec = self:spec(), keys = machine.copy(keys),
      trials = machine.copy(trials)}
    for _, t in ipairs(out.trials) do
      t.metrics, message, code = self:metrics(t.number)
      if not t.metrics then return nil, message, code end
    end
    return out
  end

  --- Copies the study, whole, into another store (or, under another name, into this one).
  ---@param url string|table    an address, or a store
  ---@param name? string
  ---@return table? study       the copy
  function Study:export (url, name)
    local store, message, code = url, nil, nil
    if type(url) == "string" then store, message, code = M.open(url) end
    if not store then return nil, message, code end
    local gathered
    gathered, message, code = self:gather()
    if not gathered then return nil, message, code end
    gathered.name = name or self.name
    return store:put(gathered)
  end

  ---------------------------------------------------------------- a store

  local Store = {}
  Store.__index = Store

  local function study_of (self, kept, message, code)
    if not kept then return nil, message, code end
    return setmetatable({kept = kept, store = self, name = kept.name, direction = kept.direction}, Study)
  end

  --- A new study, with plain values (`keys`) that are there as soon as it is. nil, message, "EEXIST" when there is one
  -- of that name.
  ---@param study {name: string, direction: string?, spec: table, keys: table<string, any>?}
  function Store:create (study)
    return study_of(self, self.kept:create(event.study("store:create", study)))
  end

  --- A new study with all that another one has. The tables of its trials are the store's from now on.
  ---@param gathered table   as study:gather gives it
  ---@return table? study
  function Store:put (gathered)
    local study, message, code = self:create {name = gathered.name, direction = gathered.direction,
      spec = gathered.spec, keys = gathered.keys}
    if not study then return nil, message, code end
    local ok
    ok, message, code = study.kept:put(gathered.trials)
    if not ok then return nil, message, code end
    return study
  end

  --- nil, message, "ENOENT" when there is none of that name.
  function Store:study (name) return study_of(self, self.kept:study(name)) end

  --- The names of the studies there are, sorted.
  ---@return string[]? names
  function Store:names ()
    local names, message, code = self.kept:names()
    if not names then return nil, message, code end
    table.sort(names)
    return names
  end

  --- What studies there are, by name: {{name, direction, counts, trials = total, best = {number, value, params},
  -- study = itself, whose trials have been read}}.
  function Store:studies ()
    local names, message, code = self:names()
    if not names then return nil, message, code end
    local list = {}
    for _, name in ipairs(names) do
      local s = self:study(name)
      local trials = s and s:sync()
      if trials then
        local t = machine.best(trials, s.direction)
        list[#list + 1] = {name = name, direction = s.direction, counts = s:counts(), trials = s:spec().trials,
          study = s, best = t and {number = t.number, value = t.value, params = t.params} or nil}
      end
    end
    return list
  end

  --- With a spool: writes what waits there into the store, for a fifth of a second. nil, message, "EAGAIN": there is
  -- more, for the next call; nil, message, another code: the store is still away.
  ---@return true? done
  function Store:drain ()
    if not self.kept.spool then return true end
    return self.kept.spool:drain()
  end

  --- With a spool: whether something waits there, and why.
  ---@return boolean waits
  ---@return string? why
  function Store:waits ()
    if not self.kept.spool then return false end
    return self.kept.spool:waits()
  end

  --- With a spool: what was set aside since this was asked last, as sentences. What waits for a study that is not there
  -- (its disk is not mounted; it was deleted) stays in a file, and is told nobody.
  ---@return string[] notes
  function Store:orphans ()
    if not self.kept.spool then return {} end
    return self.kept.spool:orphans()
  end

  --- Waits until the results that were to be on disk later are there. true, "spooled": the disk refused, and they wait
  -- in the spool. nil, message, code: those since the last settle may not outlive a power cut: to be said again.
  ---@return true? done
  function Store:settle ()
    if not self.kept.settle then return true end
    return self.kept:settle()
  end

  --- From now on it is tried for so many seconds, as open's `patience` says.
  function Store:be_patient (seconds) return self.kept.be_patient and self.kept:be_patient(seconds) end

  --- Whoever still works on it is told in a database that its trials are lost, and of a claim nil, message, ENOENT; a
  -- study of the same name that is made later is another one.
  function Store:delete (name) return self.kept:delete(name) end
  function Store:close () return self.kept:close() end

  --- Opens a store, and makes it unless options.create is false.
  ---@param url string       see M.parse
  ---@param options? {create: boolean?, read_only: boolean?, spool: string?, clock: function?}
  ---@return table? store
  ---@return string? message
  ---@return string? code
  function M.open (url, options)
    local o = schema.check("lurn.store.open", options, OPEN)
    local kind, place = M.parse(url)
    if not kind then return nil, place, "EINVAL" end
    local kept, message, code = lurn[SCHEMES[kind]].open(place, o)
    if kept and o.spool then kept, message, code = lurn.store_spool.wrap(kept, url, o.spool) end
    if not kept then return nil, message, code end
    return setmetatable({kept = kept, url = url, kind = kind}, Store)
  end

  return M
end
