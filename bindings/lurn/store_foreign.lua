--- A study that Optuna wrote: it is read, never written to, for Optuna knows nothing of leases. Export copies it into a
-- study of lurn's own. Its distributions are the space; a trial's state, values and attributes are as they are there.

return function (lurn)
  local optuna, machine, json = lurn.store_optuna, lurn.store_state, lurn.json
  local M = {}

  local Handle = {}
  Handle.__index = Handle

  -- "2026-11-25 21:46:06.123456", as UTC, which is what Optuna writes from 5.0 on; before, it was local time.
  local function seconds (text)
    local y, mo, d, h, mi, s = tostring(text):match "^(%d+)-(%d+)-(%d+)[ T](%d+):(%d+):([%d.]+)"
    if not y then return nil end
    y, mo, d = tonumber(y), tonumber(mo), tonumber(d)
    -- Days since 1970 of a date, by years that begin in March.
    local year = mo <= 2 and y - 1 or y
    local day = 365 * year + year // 4 - year // 100 + year // 400 + (153 * ((mo + 9) % 12) + 2) // 5 + d - 719469
    return day * 86400 + tonumber(h) * 3600 + tonumber(mi) * 60 + tonumber(s)
  end
  M.seconds = seconds

  local TRIALS = "SELECT t.trial_id, t.number, CAST(t.state AS VARCHAR(8)), CAST(t.datetime_start AS VARCHAR(32)), "
    .. "CAST(t.datetime_complete AS VARCHAR(32)), v.value, CAST(v.value_type AS VARCHAR(8)) FROM trials t "
    .. "LEFT JOIN trial_values v ON v.trial_id = t.trial_id AND v.objective = 0 WHERE t.study_id = $1 ORDER BY t.number"
  local PART = "SELECT x.trial_id, %s FROM %s x JOIN trials t ON t.trial_id = x.trial_id WHERE t.study_id = $1 "
    .. "ORDER BY x.trial_id"

  local function trial_of (row)
    local t = {number = row[2], config = row[2], seed = 1, state = row[3], started = seconds(row[4]),
      ended = seconds(row[5]), value = row[7] and optuna.number(row[6], row[7]) or nil, params = {}, attrs = {},
      reports = {}, attempts = {}}
    t.epoch = t.state == "WAITING" and 0 or 1
    if t.epoch == 1 then
      local reason = machine.OVER[t.state] and t.state or nil
      t.attempts[1] = {epoch = 1, worker = "optuna", started = t.started, ended = t.ended, reason = reason}
      t.worker, t.lease = "optuna", t.state == "RUNNING" and 0.0 or nil
    end
    if t.state == "FAIL" then t.reason = "CRASHED" end
    return t
  end

  -- The space as it was last: Optuna lets a distribution's range change from trial to trial, but not its kind.
  local function add_param (space, t, row)
    local p = optuna.parameter(row[2], row[4])
    if not p then return end
    space[p.name] = p
    t.params[p.name] = optuna.external(p, row[3])
  end

  local function read (self)
    return self.link:look(function (run)
      local list, by_id, space = {}, {}, {}
      for k, row in ipairs(run(TRIALS, self.id)) do
        row[2] = k - 1
        list[k] = trial_of(row)
        by_id[row[1]] = list[k]
      end
      local function each (columns, tables, f)
        for _, row in ipairs(run(PART:format(columns, tables), self.id)) do f(by_id[row[1]], row) end
      end
      each("x.param_name, x.param_value, x.distribution_json", "trial_params", function (t, row)
        add_param(space, t, row)
      end)
      each("x.key, x.value_json", "trial_user_attributes", function (t, row) t.attrs[row[2]] = json.decode(row[3]) end)
      each("x.step, x.intermediate_value, CAST(x.intermediate_value_type AS VARCHAR(8))", "trial_intermediate_values",
        function (t, row) table.insert(t.reports, {row[2], optuna.number(row[3], row[4])}) end)
      for _, t in ipairs(list) do table.sort(t.reports, function (a, b) return a[1] < b[1] end) end
      return {trials = list, space = space}
    end)
  end

  --- Reads it whole each time.
  function Handle:sync ()
    local all, message, code = read(self)
    if not all then return nil, message, code end
    for k, t in ipairs(all.trials) do self.trials[k] = t end
    return self.trials
  end

  function Handle:spec ()
    local all = read(self)
    local space = {}
    for _, p in next, all and all.space or {} do space[#space + 1] = p end
    table.sort(space, function (a, b) return a.name < b.name end)
    return {space = space, foreign = "optuna"}
  end

  function Handle:counts ()
    local trials, message, code = self:sync()
    if not trials then return nil, message, code end
    return machine.count(trials)
  end

  function Handle:keys ()
    return self.link:look(function (run)
      local keys = {}
      for _, r in ipairs(run("SELECT key, value_json FROM study_user_attributes WHERE study_id = $1", self.id)) do
        keys[r[1]] = json.decode(r[2])
      end
      return keys
    end)
  end

  function Handle:get (key)
    local keys, message, code = self:keys()
    if not keys then return nil, message, code end
    return keys[key]
  end

  function Handle.metrics () return {} end
  function Handle:check () return self:sync() and {} end

  local function refuse (self)
    return nil, ("study '%s' was written by Optuna, which knows no leases: it can be read, and copied with export")
      :format(self.name), "EREADONLY"
  end
  for _, name in ipairs {"claim", "renew", "report", "finish", "turn", "promote", "enqueue", "set", "put"} do
    Handle[name] = refuse
  end

  --- nil, message, code for a study of several objectives.
  function M.new (link, id, name, directions)
    if #directions ~= 1 then
      return nil, ("study '%s' has %d objectives; one is what lurn can read"):format(name, #directions), "EFORMAT"
    end
    local direction = directions[1][1] == "MAXIMIZE" and "maximize" or "minimize"
    return setmetatable({link = link, id = id, name = name, direction = direction, trials = {}}, Handle)
  end

  return M
end
