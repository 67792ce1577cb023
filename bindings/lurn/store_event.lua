--- What a study is told, as events: plain values, checked, which the kinds of stores take (see store_state.lua).
--
-- Each function here is called by a method of a study or a store, `where`, and misuse is told at the line that called
-- the method.

return function (lurn)
  local schema, json, machine = lurn.schema, lurn.json, lurn.store_state
  local M = {}

  -- What JSON gives back as it was: true, and a copy; nothing of it is a table, or a number or a text it has to bend.
  local function flat (value)
    if type(value) ~= "table" then return false end
    local out = {}
    for k, v in next, value do
      local kind = type(v)
      local same = kind == "number" and v - v == 0 or kind == "boolean" or kind == "string" and utf8.len(v)
      if not same or type(k) ~= "string" or not utf8.len(k) then return false end
      out[k] = v
    end
    return true, out
  end

  local function plain (where, what, value)
    local same, copy = flat(value)
    if same then return copy end
    local ok, message = pcall(json.encode, value, {name = what})
    if not ok then error(("%s: %s"):format(where, message), 4) end
    return value ~= nil and json.decode(message, {nonfinite = true}) or nil
  end

  --- A plain value by name. In parentheses, as a tail call is a level less for the error.
  function M.value (where, key, value) return (plain(where, key, value)) end

  local STUDY = {name = {"string", schema.required},
    spec = {"table", schema.required, nil, "space, trials, seeds, ..."},
    direction = {"string", "minimize", {"minimize", "maximize"}},
    keys = {"table", nil, nil, "plain values by name, as study:set sets them"}}
  local CLAIM = {worker = {"string", schema.required, nil, "who asks: a name that stays when the process does not"},
    lease = {"number", 60, {0, 1e9}, "seconds"}, host = {"string"}, pid = {"integer"},
    propose = {"function", nil, nil, "number -> {params =, config =, seed =, note =, attrs =} or nil"}}
  local PROPOSED = {params = {"table", schema.required, nil, "values by name"},
    config = {"integer"}, seed = {"integer"}, note = {"any"}, attrs = {"table"}}
  local RESULT = {state = {"string", schema.required, {"COMPLETE", "PRUNED", "FAIL"}},
    reason = {"string", nil, machine.REASONS}, value = {"number"}, run = {"string"}, attrs = {"table"}, id = {"string"},
    when = {"string", nil, {"later"}, "on disk when store:settle() has returned, not before"}}
  local KEPT = {run = {"string"}, attrs = {"table"}}

  --- A new study.
  function M.study (where, study)
    local s = schema.check(where, study, STUDY, 2)
    if s.name == "" or #s.name > 512 then error(where .. ": a name has 1 to 512 bytes", 3) end
    s.spec, s.keys = plain(where, "spec", s.spec), plain(where, "keys", s.keys or {})
    return s
  end

  --- A trial that is to be played.
  function M.proposal (where, e)
    e = schema.check(where, e, PROPOSED, 2)
    for _, key in ipairs {"params", "note", "attrs"} do e[key] = plain(where, key, e[key]) end
    return e
  end

  --- Who asks for a trial, and what is proposed when none waits.
  function M.claim (where, options)
    local c = schema.check(where, options, CLAIM, 2)
    local propose = c.propose
    c.propose = propose and function (number)
      local e = propose(number)
      return e and M.proposal(where .. ": propose", e)
    end
    return c
  end

  -- What every event of a trial begins with.
  local function event_of (where, trial)
    if type(trial) ~= "table" or math.type(trial.number) ~= "integer" or math.type(trial.epoch) ~= "integer" then
      error(("%s: expected a trial as claim gives it, got %s"):format(where, schema.describe(trial)), 4)
    end
    return {number = trial.number, epoch = trial.epoch, worker = trial.worker}
  end

  function M.renewal (where, trial, lease)
    local e = event_of(where, trial)
    e.lease = lease or 60
    return e
  end

  -- A copy of a series, each step once: the value that was said last is the one.
  local function check_points (where, points)
    local list, place = {}, {}
    for _, p in ipairs(points) do
      if type(p) ~= "table" or math.type(p[1]) ~= "integer" or type(p[2]) ~= "number" then
        error(("%s: expected a list of {step, value}, step a whole number"):format(where), 4)
      end
      local k = place[p[1]] or #list + 1
      list[k], place[p[1]] = {p[1], p[2] + 0.0}, k
    end
    return list
  end

  function M.report (where, trial, points, metrics)
    local e = event_of(where, trial)
    e.points = check_points(where, points or {})
    e.metrics = metrics and {}
    for name, series in next, metrics or {} do
      e.metrics[name] = check_points(where .. ": " .. tostring(name), series)
    end
    return e
  end

  -- The same end of the same attempt has one name, so that it can be said again when nobody heard the answer.
  local function id_of (what, trial) return ("%s/%s/%d"):format(what, trial.worker or "", trial.epoch) end

  --- The end of an attempt with its result.
  ---@return table e
  ---@return string? when   "later": see study:finish
  function M.result (where, trial, result)
    local e, r = event_of(where, trial), schema.check(where, result, RESULT, 2)
    if r.state == "COMPLETE" and not r.value then error(where .. ": COMPLETE needs a value", 3) end
    if r.state == "FAIL" then r.reason, r.value = r.reason or "CRASHED", nil else r.reason = nil end
    r.attrs = plain(where, "attrs", r.attrs)
    r.value = r.value and r.value + 0.0
    r.id = r.id or id_of("finish", trial)
    local when = r.when
    r.when = nil
    for key, value in next, r do e[key] = value end
    return e, when
  end

  --- The end of an attempt that is no result. state: PAUSED, or FAIL with a reason that puts the trial back.
  function M.leaving (where, trial, state, reason, kept)
    local e, k = event_of(where, trial), schema.check(where, kept, KEPT, 2)
    e.state, e.reason, e.run, e.attrs = state, reason, k.run, plain(where, "attrs", k.attrs)
    e.id = id_of(state, trial)
    return e
  end

  return M
end
