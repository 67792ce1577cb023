--- What a study is: a machine of plain tables, with every rule of trials, leases and retries in it.
--
-- A trial goes through these states; every arrow is one event, and every claim raises the trial's epoch:
--
--   (none) --claim--> RUNNING --finish--> COMPLETE | PRUNED | FAIL            is over
--   (none) --enqueue--> WAITING --claim--> RUNNING --pause--> PAUSED --promote--> WAITING
--   RUNNING --release, or finish with PREEMPTED, LOST or a CRASHED that is forgiven--> WAITING
--   RUNNING whose lease ran out, or that its own worker asks for again --claim--> RUNNING
--
-- Events are plain values. The memory store plays them as they come, the shared folder replays what its files tell; the
-- SQL stores do the same things in SQL and share `outcome`, `total`, `crashes` and the words below.

return function (lurn)
  local M = {}

  M.OVER = {COMPLETE = true, PRUNED = true, FAIL = true}
  M.STATES = {"WAITING", "RUNNING", "PAUSED", "COMPLETE", "PRUNED", "FAIL"}
  M.REASONS = {"CRASHED", "TIMEOUT", "MEMORYOUT", "DIVERGED", "INFEASIBLE", "PREEMPTED", "LOST", "ERROR"}

  -- What ends an attempt and says nothing against the trial.
  local BLAMELESS = {PREEMPTED = true, LOST = true}

  --- How many trials there may be: configurations times seeds; math.huge where the study has no total.
  function M.total (spec)
    return spec.trials and spec.trials * (spec.seeds or 1) or math.huge
  end

  --- How many trials there are in each state: {WAITING =, RUNNING =, PAUSED =, COMPLETE =, PRUNED =, FAIL =}.
  ---@param trials table[]
  ---@return table<string, integer>
  function M.count (trials)
    local counts = {}
    for _, name in ipairs(M.STATES) do counts[name] = 0 end
    for _, t in ipairs(trials) do counts[t.state] = counts[t.state] + 1 end
    return counts
  end

  --- The complete trial with the best value, or nil.
  function M.best (trials, direction)
    local sign, found = direction == "maximize" and -1 or 1, nil
    for _, t in ipairs(trials) do
      if t.state == "COMPLETE" and (not found or sign * t.value < sign * found.value) then found = t end
    end
    return found
  end

  --- How many attempts of a trial crashed.
  function M.crashes (t)
    local n = 0
    for _, a in ipairs(t.attempts) do if a.reason == "CRASHED" then n = n + 1 end end
    return n
  end

  --- The state and the reason of a trial after its attempt ended so. `crashes`: attempts that crashed before this one.
  ---@param spec table
  ---@param crashes integer
  ---@param e {state: string, reason: string?, value: number?}
  ---@return string state
  ---@return string? reason
  function M.outcome (spec, crashes, e)
    if e.state ~= "FAIL" then
      if e.value ~= e.value then return "FAIL", "DIVERGED" end
      return e.state, e.reason
    end
    local forgiven = spec.retries and spec.retries.crashed or 2
    if BLAMELESS[e.reason] or e.reason == "CRASHED" and crashes < forgiven then return "WAITING", e.reason end
    return "FAIL", e.reason
  end

  --- A result and the next claim, one after the other: for stores that cannot do both in one.
  ---@param handle table   of a study within a store, with finish and claim
  ---@param e table        as for finish
  ---@param c table        as for claim
  function M.turn (handle, e, c)
    local done, state, code = handle:finish(e)
    if not done and state ~= "lost" then return nil, state, code end
    local t, why
    t, why, code = handle:claim(c)
    return {done = done, state = state, trial = t, why = why, code = code}
  end

  local State = {}
  State.__index = State

  --- An empty study. Trials stand in `trials` by number + 1; what a user does not see of them in `inner`. `log`
  -- says in which order they changed, so that a view of them is brought up to date at the cost of what changed. keys:
  -- the plain values that it begins with.
  function M.new (spec, keys)
    return setmetatable({spec = spec, total = M.total(spec), trials = {}, inner = {}, keys = keys or {}, log = {},
      running = {}, back = {}, fresh = 0}, State)
  end

  local function close (t, at, reason, id)
    local attempt = t.attempts[t.epoch]
    attempt.ended, attempt.reason, attempt.id = at, reason, id
  end

  --- The trial is in that state from now on, and in the lists that go with it.
  local function enter (self, t, state, reason)
    t.state, t.reason = state, reason
    self.running[t.number] = state == "RUNNING" and t or nil
    self.back[t.number] = state == "WAITING" and t.epoch > 0 and t or nil
    if state == "WAITING" and t.epoch == 0 and t.number < self.fresh then self.fresh = t.number end
    self.log[#self.log + 1] = t.number
  end

  ---------------------------------------------------------------- events

  --- e: {number, config, seed, params, attrs, note}
  function State:create (e)
    local t = {number = e.number, config = e.config or e.number, seed = e.seed or 1, params = e.params or {},
      attrs = e.attrs or {}, note = e.note, epoch = 0, reports = {}, attempts = {}}
    self.trials[e.number + 1], self.inner[e.number] = t, {crashes = 0, metrics = {}, epochs = {}}
    enter(self, t, "WAITING")
    return t
  end

  --- e: {number, worker, host, pid, at, lease = seconds}, and what create takes when the trial is new.
  function State:claim (e)
    local t = self.trials[e.number + 1] or self:create(e)
    if t.state == "RUNNING" then close(t, e.at, "LOST") end
    t.epoch, t.worker, t.lease = t.epoch + 1, e.worker, e.at + e.lease
    t.started = t.started or e.at
    t.attempts[t.epoch] = {epoch = t.epoch, worker = e.worker, host = e.host, pid = e.pid, started = e.at}
    enter(self, t, "RUNNING")
    return t
  end

  --- Whether an event was written by whom the attempt is of: one of a study that was deleted, or of a claim that a
  -- power cut took, may have the number and the epoch of another. Of one without a name (older spools) nobody knows
  -- better.
  ---@param e {worker: string?}
  ---@param worker string?
  ---@return boolean
  function M.is_of (e, worker) return e.worker == nil or e.worker == worker end

  --- The trial that an event of an attempt is meant for; nil when the attempt has lost it.
  function State:held (e)
    local t = self.trials[e.number + 1]
    return t and t.state == "RUNNING" and t.epoch == e.epoch and M.is_of(e, t.worker) and t or nil
  end

  -- The attempt that an event is of, over or not.
  local function attempt_of (self, e)
    local t = self.trials[e.number + 1]
    local attempt = t and t.attempts[e.epoch]
    return attempt and M.is_of(e, attempt.worker) and attempt or nil
  end

  --- e: {number, epoch, at, lease}
  function State:renew (e)
    local t = self:held(e)
    if not t then return false end
    t.lease = e.at + e.lease
    self.log[#self.log + 1] = t.number
    return true
  end

  -- Series are short and grow at their end. A step that a later epoch wrote stays as it is: where logs are merged, what
  -- was written first may be read last.
  local function upsert (series, epochs, step, value, epoch)
    if (epochs[step] or 0) > epoch then return end
    epochs[step] = epoch
    local k = #series
    while k > 0 and series[k][1] > step do k = k - 1 end
    if k > 0 and series[k][1] == step then series[k] = {step, value}
    else table.insert(series, k + 1, {step, value}) end
  end

  --- Of an attempt that has the trial, or had it then. e: {number, epoch, points = {{step, value}, ...},
  -- metrics = {NAME = points}}
  function State:report (e)
    local t, inner = self.trials[e.number + 1], self.inner[e.number]
    if not attempt_of(self, e) then return end
    for _, p in ipairs(e.points or {}) do upsert(t.reports, inner.epochs, p[1], p[2], e.epoch) end
    for name, points in next, e.metrics or {} do
      inner.metrics[name] = inner.metrics[name] or {}
      inner.epochs[name] = inner.epochs[name] or {}
      for _, p in ipairs(points) do upsert(inner.metrics[name], inner.epochs[name], p[1], p[2], e.epoch) end
    end
    self.log[#self.log + 1] = t.number
  end

  --- An attempt is over. e: {number, epoch, at, state = "PAUSED" or "WAITING" or one that is over, reason, value, run,
  -- attrs, id}
  function State:finish (e)
    local t = self:held(e)
    if not t then return false end
    local inner = self.inner[t.number]
    local state, reason = M.outcome(self.spec, inner.crashes, e)
    if e.reason == "CRASHED" then inner.crashes = inner.crashes + 1 end
    close(t, e.at, e.reason or reason or e.state, e.id)
    t.lease, t.run = nil, e.run or t.run
    for k, v in next, e.attrs or {} do t.attrs[k] = v end
    if M.OVER[state] then
      t.ended = e.at
      if state ~= "FAIL" then t.value = e.value end
    end
    enter(self, t, state, reason)
    return true
  end

  --- What came too late, kept with its attempt. e: as for finish.
  function State:orphan (e)
    local attempt = attempt_of(self, e)
    if not attempt then return false end
    attempt.orphans = attempt.orphans or {}
    table.insert(attempt.orphans, {id = e.id, at = e.at, state = e.state, reason = e.reason, value = e.value,
      run = e.run, attrs = e.attrs})
    self.log[#self.log + 1] = e.number
    return true
  end

  --- "counted" or "orphan" when this result was written before, else nil.
  function State:known (number, epoch, id)
    local t = self.trials[number + 1]
    local attempt = t and t.attempts[epoch]
    if attempt and attempt.id == id then return "counted" end
    for _, o in ipairs(attempt and attempt.orphans or {}) do if o.id == id then return "orphan" end end
  end

  --- e: {number}
  function State:promote (e)
    local t = self.trials[e.number + 1]
    if not t or t.state ~= "PAUSED" then return false end
    enter(self, t, "WAITING")
    return true
  end

  --- A whole trial of another store, as it is. t: {..., metrics = {NAME = points}}
  function State:put (t)
    self.inner[t.number] = {crashes = M.crashes(t), metrics = t.metrics or {}, epochs = {}}
    self.trials[t.number + 1], t.metrics = t, nil
    enter(self, t, t.state, t.reason)
  end

  ---------------------------------------------------------------- choices

  local function least (a, b) return (a == nil or b and b < a) and b or a end

  -- The lowest number that was put in by enqueue and that nobody has had yet.
  local function first_fresh (self)
    for number = self.fresh, #self.trials - 1 do
      local t = self.trials[number + 1]
      self.fresh = number
      if t.state == "WAITING" and t.epoch == 0 then return number end
    end
    self.fresh = #self.trials
  end

  --- Which of the trials that are there this worker gets: its own one, then one that was put back or whose lease ran
  -- out, then one that was put in by enqueue; in each group the lowest number. nil: none of them.
  ---@param worker string
  ---@param now number
  ---@return integer? number
  function State:pick (worker, now)
    local own, own_back, other
    for number, t in next, self.running do
      if t.worker == worker then own = least(own, number)
      elseif t.lease < now then other = least(other, number) end
    end
    for number, t in next, self.back do
      if t.worker == worker then own_back = least(own_back, number) else other = least(other, number) end
    end
    return own or own_back or other or first_fresh(self)
  end

  --- What to say to a worker for whom there is nothing. `more`: a new trial may still come.
  function State:idle (more)
    return (more or next(self.running)) and "nothing" or "done"
  end

  function State:counts () return M.count(self.trials) end

  ---------------------------------------------------------------- looks

  local copy = lurn.core.json.copy
  M.copy = copy

  --- A view of the trials that is yet to be brought up to date.
  function M.view () return {trials = lurn.changes.begin {}, at = 0} end

  --- Brings a view up to date: only what changed since is copied, and nothing of trials that are over, which hardly
  -- ever change again.
  ---@return table[] trials
  function State:update (view)
    local changed = {}
    for k = view.at + 1, #self.log do changed[self.log[k]] = true end
    for number in next, changed do
      local t = self.trials[number + 1]
      view.trials[number + 1] = M.OVER[t.state] and t or copy(t)
      lurn.changes.note(view.trials, number)
    end
    view.at = #self.log
    return view.trials
  end

  --- What is wrong in a study, as sentences: every trial against its attempts, every number against its place.
  ---@param trials table[]
  ---@return string[]
  function M.problems (trials)
    local list = {}
    local function check (t, good, ...)
      if not good then list[#list + 1] = ("trial %s: %s"):format(t.number, string.format(...)) end
    end
    for k, t in ipairs(trials) do
      check(t, t.number == k - 1, "stands in place %d", k - 1)
      check(t, #t.attempts == t.epoch, "%d attempts, epoch %d", #t.attempts, t.epoch)
      local counted = 0
      for epoch, a in ipairs(t.attempts) do
        local open = epoch == t.epoch and t.state == "RUNNING"
        check(t, open == (a.ended == nil), "attempt %d is %s, the trial %s", epoch, open and "over" or "open", t.state)
        if M.OVER[a.reason] then counted = counted + 1 end
      end
      check(t, t.state == "PRUNED" or (t.state == "COMPLETE") == (t.value ~= nil), "%s with value %s", t.state, t.value)
      check(t, counted <= 1, "%d results", counted)
      check(t, (M.OVER[t.state] == true) == (t.ended ~= nil), "%s, ended %s", t.state, t.ended)
    end
    return list
  end

  return M
end
