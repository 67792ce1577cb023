--- A study in a database. What the rules are, store_state.lua says; here they are statements.
--
-- A claim, from the first look to the commit, is one transaction; so is whatever else changes something. Each write of
-- an attempt asks for the trial under its epoch first, and locks its row.

return function (lurn)
  local optuna, machine, json = lurn.store_optuna, lurn.store_state, lurn.json
  local M = {}

  local Handle = {}
  Handle.__index = Handle
  M.Handle = Handle

  --- Parameters by name, each with what Optuna writes about it.
  function M.space (spec)
    local space = {}
    for _, p in ipairs(spec.space or {}) do space[p.name] = {p = p, distribution = optuna.distribution(p)} end
    return space
  end

  -- Its own trial, be it running or put back; else the lowest that was put back or whose lease ran out; else the lowest
  -- that was enqueued. Mostly there is none: to see that takes a fifth of the time that sorting them takes.
  local OPEN = " FROM lurn_trial%s WHERE study_id = $1 AND queue IN (0, 1%s) "
    .. "AND (queue > 0 OR worker = $2 OR lease < $3) "
  local ANY = "SELECT 1" .. OPEN .. "LIMIT 1"
  local PICK = "SELECT number, trial_id, epoch, queue" .. OPEN
    .. "ORDER BY CASE WHEN worker = $2 THEN queue ELSE 2 END, number LIMIT 1%s"
  local FRESH = "SELECT number, trial_id, epoch, queue FROM lurn_trial%s WHERE study_id = $1 AND queue = 2 "
    .. "ORDER BY number LIMIT 1%s"

  function M.new (link, id, name, direction, spec)
    local d = link.dialect
    return setmetatable({any = ANY:format(d.by_queue, ", 2"), pick = PICK:format(d.by_queue, "", d.skip),
      fresh = FRESH:format(d.by_queue, d.skip), link = link, id = id, name = name, direction = direction, given = spec,
      space = M.space(spec), total = machine.total(spec), view = {trials = lurn.changes.begin {}, since = -1}}, Handle)
  end

  function Handle:spec () return self.given end

  ---------------------------------------------------------------- small writes

  -- One for all that a transaction changes.
  local function version (self, run)
    local link = self.link
    link.version = link.version or link.dialect.version(run, self.id)
    return link.version
  end

  local MOST_ROWS = 12

  -- " VALUES ($1, $2), ($3, $4)" between head and tail; each text is made once.
  local texts = {}
  local function insert_text (head, tail, width, count)
    local made = texts[head] or {}
    texts[head] = made
    if not made[count] then
      local groups = {}
      for g = 1, count do
        local names = {}
        for c = 1, width do names[c] = "$" .. (g - 1) * width + c end
        groups[g] = "(" .. table.concat(names, ", ") .. ")"
      end
      made[count] = head .. " VALUES " .. table.concat(groups, ", ") .. (tail or "")
    end
    return made[count]
  end

  -- INSERT of many rows in few statements. values: those of all rows, one after the other, `width` to a row; n of them.
  local function insert_rows (run, head, width, values, n, tail)
    for from = 1, n, MOST_ROWS * width do
      local count = math.min((n - from + 1) // width, MOST_ROWS)
      run(insert_text(head, tail, width, count), table.unpack(values, from, from + count * width - 1))
    end
  end

  local function insert_params (self, run, trial_id, params)
    local values, n = {}, 0
    for name, value in next, params do
      local p = self.space[name]
      if not p then error(("parameter '%s' is not in the study's space"):format(name), 0) end
      values[n + 1], values[n + 2], values[n + 3], values[n + 4] = trial_id, name, optuna.internal(p.p, value),
        p.distribution
      n = n + 4
    end
    insert_rows(run, "INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json)", 4, values, n)
  end

  local function insert_attrs (run, trial_id, attrs)
    local values, n = {}, 0
    for key, value in next, attrs do
      values[n + 1], values[n + 2], values[n + 3] = trial_id, key, json.encode(value)
      n = n + 3
    end
    insert_rows(run, "INSERT INTO trial_user_attributes (trial_id, key, value_json)", 3, values, n,
      " ON CONFLICT (trial_id, key) DO UPDATE SET value_json = excluded.value_json")
  end

  -- What Optuna's own view of a trial has no column for goes there under a name of lurn's.
  local function own_attrs (self, t)
    local attrs = machine.copy(t.attrs or {})
    if (self.given.seeds or 1) > 1 then attrs["lurn.config"], attrs["lurn.seed"] = t.config, t.seed end
    return attrs
  end

  local INSERT_TRIAL = "INSERT INTO lurn_trial (study_id, number, trial_id, config, seed, state, queue, worker, epoch, "
    .. "crashes, lease, started, note, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, $10, $11, $12, $13)"

  -- e: as the machine's create; c: who claims it at once, or nil.
  local function insert_trial (self, run, e, v, c)
    local state = c and "RUNNING" or "WAITING"
    local trial_id = self.link:insert(run, "INSERT INTO trials (number, study_id, state, datetime_start) "
      .. "VALUES ($1, $2, $3, $4)", "trial_id", e.number, self.id, state, optuna.time(c and c.at))
    run(INSERT_TRIAL, self.id, e.number, trial_id, e.config, e.seed, state, c and 0 or 2, c and c.worker, c and 1 or 0,
      c and c.at + c.lease, c and c.at, e.note ~= nil and json.encode(e.note) or nil, v)
    insert_params(self, run, trial_id, e.params)
    insert_attrs(run, trial_id, own_attrs(self, e))
  end

  local function insert_attempt (self, run, number, epoch, c)
    run("INSERT INTO lurn_attempt (study_id, number, epoch, worker, host, pid, started) "
      .. "VALUES ($1, $2, $3, $4, $5, $6, $7)", self.id, number, epoch, c.worker, c.host, c.pid, c.at)
  end

  local function close_attempt (self, run, number, epoch, at, reason, id)
    run("UPDATE lurn_attempt SET ended = $1, reason = $2, id = $3 WHERE study_id = $4 AND number = $5 AND epoch = $6",
      at, reason, id, self.id, number, epoch)
  end

  -- The counter of trials, whose row is ours until the transaction ends.
  local function counter (self, run)
    local row = run("SELECT next_number FROM lurn_study WHERE study_id = $1" .. self.link.dialect.lock, self.id)[1]
    if not row then error({message = ("the study '%s' was deleted"):format(self.name), code = "ENOENT"}, 0) end
    return row[1]
  end

  -- Moves it on; the version of the change.
  local function set_counter (self, run, number)
    run("UPDATE lurn_study SET next_number = $1 WHERE study_id = $2", number, self.id)
    return version(self, run)
  end

  function Handle:enqueue (list)
    return self.link:write(function (run)
      local number = counter(self, run)
      local v = set_counter(self, run, number + #list)
      for k, e in ipairs(list) do
        e.number = number + k - 1
        e.config, e.seed, e.attrs = e.config or e.number, e.seed or 1, e.attrs or {}
        insert_trial(self, run, e, v)
      end
      return true
    end)
  end

  ---------------------------------------------------------------- claims

  local function pick (self, run, c)
    local any = run(self.any, self.id, c.worker, c.at)[1]
    return any and (run(self.pick, self.id, c.worker, c.at)[1] or run(self.fresh, self.id)[1])
  end

  local function take_again (self, run, row, c)
    local number, trial_id, epoch, queue = row[1], row[2], row[3], row[4]
    if queue == 0 then close_attempt(self, run, number, epoch, c.at, "LOST") end
    run("UPDATE lurn_trial SET state = 'RUNNING', queue = 0, reason = NULL, worker = $1, epoch = $2, lease = $3, "
      .. "started = COALESCE(started, $4), version = $5 WHERE study_id = $6 AND number = $7",
      c.worker, epoch + 1, c.at + c.lease, c.at, version(self, run), self.id, number)
    insert_attempt(self, run, number, epoch + 1, c)
    run("UPDATE trials SET state = 'RUNNING', datetime_start = COALESCE(datetime_start, $1) WHERE trial_id = $2",
      optuna.time(c.at), trial_id)
    return self:read(run, number)
  end

  local function take_new (self, run, c)
    local number = counter(self, run)
    if number >= self.total or not c.propose then return nil, number < self.total end
    local e = c.propose(number)
    if not e then return nil, false end
    e.number, e.config, e.seed, e.attrs = number, e.config or number, e.seed or 1, e.attrs or {}
    insert_trial(self, run, e, set_counter(self, run, number + 1), c)
    insert_attempt(self, run, number, 1, c)
    return {number = number, config = e.config, seed = e.seed, params = e.params, attrs = e.attrs, note = e.note,
      epoch = 1, state = "RUNNING", worker = c.worker, lease = c.at + c.lease, started = c.at, reports = {},
      attempts = {{epoch = 1, worker = c.worker, host = c.host, pid = c.pid, started = c.at}}}
  end

  local function claim (self, run, c)
    c.at = self.link:now(run)
    local row = pick(self, run, c)
    if row then return take_again(self, run, row, c) end
    local t, more = take_new(self, run, c)
    if t then return t end
    -- Also one that another transaction is about to give away counts as running.
    local open = more or run("SELECT 1 FROM lurn_trial WHERE study_id = $1 AND queue IN (0, 1, 2) LIMIT 1", self.id)[1]
    return false, open and "nothing" or "done"
  end

  -- A claim (and a renewal) is no promise to anybody but this worker, so it need not be on disk before it is played;
  -- the next result, report or pause takes it there.
  function Handle:claim (c)
    local t, why, code = self.link:write(function (run) return claim(self, run, c) end, "loose")
    return t or nil, why, code
  end

  ---------------------------------------------------------------- what an attempt writes

  -- The trial's row when the event's attempt still has it; else false.
  local function held (self, run, e)
    local row = run("SELECT trial_id, crashes, worker FROM lurn_trial WHERE study_id = $1 AND number = $2 "
      .. "AND epoch = $3 AND state = 'RUNNING'" .. self.link.dialect.lock, self.id, e.number, e.epoch)[1]
    return row and machine.is_of(e, row[3]) and row or false
  end

  local function or_lost (done, why, code)
    if done == false then return nil, "lost" end
    return done, why, code
  end

  function Handle:renew (e)
    return or_lost(self.link:write(function (run)
      local row = held(self, run, e)
      return row and run("UPDATE lurn_trial SET lease = $1, version = $2 WHERE study_id = $3 AND number = $4",
        self.link:now(run) + e.lease, version(self, run), self.id, e.number) and true
    end, "loose"))
  end

  local function write_series (self, run, e, trial_id)
    local values, n = {}, 0
    for _, p in ipairs(e.points or {}) do
      values[n + 1], values[n + 2], values[n + 3], values[n + 4] = trial_id, p[1], optuna.value(p[2])
      n = n + 4
    end
    insert_rows(run, "INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, "
      .. "intermediate_value_type)", 4, values, n, " ON CONFLICT (trial_id, step) DO UPDATE "
      .. "SET intermediate_value = excluded.intermediate_value, "
      .. "intermediate_value_type = excluded.intermediate_value_type")
    for name, points in next, e.metrics or {} do
      values, n = {}, 0
      for _, p in ipairs(points) do
        values[n + 1], values[n + 2], values[n + 3], values[n + 4], values[n + 5] = self.id, e.number, name, p[1], p[2]
        n = n + 5
      end
      insert_rows(run, "INSERT INTO lurn_metric (study_id, number, name, step, value)", 5, values, n,
        " ON CONFLICT (study_id, number, name, step) DO UPDATE SET value = excluded.value")
    end
  end

  local function touch (self, run, number)
    run("UPDATE lurn_trial SET version = $1 WHERE study_id = $2 AND number = $3", version(self, run), self.id, number)
  end

  function Handle:report (e)
    return or_lost(self.link:write(function (run)
      local row = held(self, run, e)
      if not row then return false end
      write_series(self, run, e, row[1])
      touch(self, run, e.number)
      return true
    end))
  end

  -- A result that came too late: kept, once.
  local function orphan (self, run, e)
    local there = run("SELECT id, worker FROM lurn_attempt WHERE study_id = $1 AND number = $2 AND epoch = $3"
      .. self.link.dialect.lock, self.id, e.number, e.epoch)[1]
    if not there or not machine.is_of(e, there[2]) then return false end
    if there[1] == e.id then return true end
    if not machine.OVER[e.state] then return false end
    local n = run("SELECT count(*) FROM lurn_orphan WHERE study_id = $1 AND number = $2 AND epoch = $3", self.id,
      e.number, e.epoch)[1][1]
    local _, changes = run("INSERT INTO lurn_orphan (study_id, number, epoch, place, id, result) "
      .. "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (study_id, number, epoch, id) DO NOTHING", self.id, e.number,
      e.epoch, n, e.id, json.encode {id = e.id, at = e.at, state = e.state, reason = e.reason, value = e.value,
        run = e.run, attrs = e.attrs})
    if changes > 0 then touch(self, run, e.number) end
    return false
  end

  local function put_value (run, trial_id, x)
    local value, word = optuna.value(x)
    run("INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES ($1, 0, $2, $3)", trial_id, value,
      word)
  end

  local QUEUE = {WAITING = 1}

  local function finish (self, run, e)
    e.at = self.link:now(run)
    local row = held(self, run, e)
    if not row then return orphan(self, run, e) end
    local trial_id, crashes = row[1], row[2]
    local state, reason = machine.outcome(self.given, crashes, e)
    local over = machine.OVER[state]
    run("UPDATE lurn_trial SET state = $1, queue = $2, reason = $3, lease = NULL, crashes = $4, "
      .. "run = COALESCE($5, run), ended = $6, version = $7 WHERE study_id = $8 AND number = $9", state,
      QUEUE[state], reason, crashes + (e.reason == "CRASHED" and 1 or 0), e.run, over and e.at or nil,
      version(self, run), self.id, e.number)
    close_attempt(self, run, e.number, e.epoch, e.at, e.reason or reason or e.state, e.id)
    run("UPDATE trials SET state = $1, datetime_complete = $2 WHERE trial_id = $3", optuna.STATES[state],
      over and optuna.time(e.at) or nil, trial_id)
    if over and state ~= "FAIL" and e.value then
      put_value(run, trial_id, e.value)
    end
    local attrs = machine.copy(e.attrs or {})
    if over then attrs["lurn.reason"] = reason end
    insert_attrs(run, trial_id, attrs)
    return true, state
  end

  --- when: nil, or "later" (see Link:write).
  function Handle:finish (e, when)
    return or_lost(self.link:write(function (run) return finish(self, run, e) end, when))
  end

  --- A result and the next claim, in one transaction.
  function Handle:turn (e, c, when)
    return self.link:write(function (run)
      local done, state = finish(self, run, e)
      local t, why = claim(self, run, c)
      return {done = done or nil, state = done == false and "lost" or state, trial = t or nil, why = why}
    end, when)
  end

  ---------------------------------------------------------------- whole trials

  local function put_attempts (self, run, t)
    for _, a in ipairs(t.attempts) do
      run("INSERT INTO lurn_attempt (study_id, number, epoch, worker, host, pid, started, ended, reason, id) "
        .. "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)", self.id, t.number, a.epoch, a.worker, a.host, a.pid,
        a.started, a.ended, a.reason, a.id)
      for place, o in ipairs(a.orphans or {}) do
        run("INSERT INTO lurn_orphan (study_id, number, epoch, place, id, result) VALUES ($1, $2, $3, $4, $5, $6)",
          self.id, t.number, a.epoch, place - 1, o.id, json.encode(o))
      end
    end
  end

  local function put (self, run, t, v)
    local trial_id = self.link:insert(run, "INSERT INTO trials (number, study_id, state, datetime_start, "
      .. "datetime_complete) VALUES ($1, $2, $3, $4, $5)", "trial_id", t.number, self.id, optuna.STATES[t.state],
      optuna.time(t.started), optuna.time(t.ended))
    local queue = t.state == "RUNNING" and 0 or t.state == "WAITING" and (t.epoch > 0 and 1 or 2) or nil
    run("INSERT INTO lurn_trial (study_id, number, trial_id, config, seed, state, queue, reason, worker, epoch, "
      .. "crashes, lease, started, ended, run, note, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, "
      .. "$12, $13, $14, $15, $16, $17)", self.id, t.number, trial_id, t.config, t.seed, t.state, queue, t.reason,
      t.worker, t.epoch, machine.crashes(t), t.lease, t.started, t.ended, t.run,
      t.note ~= nil and json.encode(t.note) or nil, v)
    insert_params(self, run, trial_id, t.params)
    local attrs = own_attrs(self, t)
    if machine.OVER[t.state] then attrs["lurn.reason"] = t.reason end
    insert_attrs(run, trial_id, attrs)
    if t.value then put_value(run, trial_id, t.value) end
    put_attempts(self, run, t)
    write_series(self, run, {number = t.number, points = t.reports, metrics = t.metrics}, trial_id)
  end

  --- Trials of another store, as they are, into an empty study.
  function Handle:put (trials)
    return self.link:write(function (run)
      local v = set_counter(self, run, #trials)
      for _, t in ipairs(trials) do put(self, run, t, v) end
      for _, sql in ipairs(self.link.dialect.filled) do run(sql) end
      return true
    end)
  end

  ---------------------------------------------------------------- promotion

  function Handle:promote (number)
    local done, message, code = self.link:write(function (run)
      local row = run("SELECT trial_id FROM lurn_trial WHERE study_id = $1 AND number = $2 AND state = 'PAUSED'"
        .. self.link.dialect.lock, self.id, number)[1]
      if not row then return false end
      run("UPDATE lurn_trial SET state = 'WAITING', queue = 1, reason = NULL, version = $1 WHERE study_id = $2 AND "
        .. "number = $3", version(self, run), self.id, number)
      run("UPDATE trials SET state = 'WAITING' WHERE trial_id = $1", row[1])
      return true
    end)
    if done == false then return nil, "not paused" end
    return done, message, code
  end

  ---------------------------------------------------------------- plain values of the study

  function Handle:set (key, value)
    return self.link:write(function (run)
      counter(self, run)
      if value == nil then
        run("DELETE FROM study_user_attributes WHERE study_id = $1 AND key = $2", self.id, key)
      else
        run("INSERT INTO study_user_attributes (study_id, key, value_json) VALUES ($1, $2, $3) "
          .. "ON CONFLICT (study_id, key) DO UPDATE SET value_json = excluded.value_json", self.id, key,
          json.encode(value))
      end
      return true
    end)
  end

  function Handle:get (key)
    local row, message, code = self.link:look(function (run)
      return run("SELECT value_json FROM study_user_attributes WHERE study_id = $1 AND key = $2", self.id, key)
    end)
    if not row then return nil, message, code end
    return row[1] and json.decode(row[1][1], {nonfinite = true})
  end

  function Handle:keys ()
    return self.link:look(function (run)
      local keys = {}
      for _, r in ipairs(run("SELECT key, value_json FROM study_user_attributes WHERE study_id = $1", self.id)) do
        keys[r[1]] = json.decode(r[2], {nonfinite = true})
      end
      return keys
    end)
  end

  require "lurn.store_sql_read" (lurn, Handle)
  return M
end
