--- Looking at a study in a database: its trials as tables, only what changed since the last look; counts; what is
-- wrong.
--
-- Not a module of its own: store_sql_study.lua calls this with the class it adds methods to.

return function (lurn, Handle)
  local optuna, machine, json = lurn.store_optuna, lurn.store_state, lurn.json

  local TRIALS = "SELECT t.number, t.trial_id, t.config, t.seed, t.state, t.reason, t.worker, t.epoch, t.lease, "
    .. "t.started, t.ended, t.run, t.note, v.value, v.value_type FROM lurn_trial AS t%s "
    .. "LEFT JOIN trial_values v ON v.trial_id = t.trial_id WHERE t.study_id = $1 AND %s"
  -- Each row begins with the number of its trial.
  local PARTS = {
    params = {"p.param_name, p.param_value", "trial_params p", "p.trial_id = t.trial_id"},
    attrs = {"a.key, a.value_json", "trial_user_attributes a", "a.trial_id = t.trial_id"},
    reports = {"i.step, i.intermediate_value, i.intermediate_value_type", "trial_intermediate_values i",
      "i.trial_id = t.trial_id", "i.step"},
    attempts = {"a.epoch, a.worker, a.host, a.pid, a.started, a.ended, a.reason, a.id", "lurn_attempt a",
      "a.study_id = t.study_id AND a.number = t.number", "a.epoch"},
    orphans = {"o.epoch, o.result", "lurn_orphan o", "o.study_id = t.study_id AND o.number = t.number",
      "o.epoch, o.place"},
  }

  local function part_sql (part, index, condition)
    local p = PARTS[part]
    return ("SELECT t.number, %s FROM lurn_trial AS t%s CROSS JOIN %s WHERE t.study_id = $1 AND %s AND %s%s"):format(
      p[1], index, p[2], condition, p[3], p[4] and " ORDER BY t.number, " .. p[4] or "")
  end

  local fill = {}
  function fill.params (self, t, row)
    local p = self.space[row[2]]
    t.params[row[2]] = p and optuna.external(p.p, row[3])
  end
  function fill.attrs (_, t, row)
    if not row[2]:find "^lurn%." then t.attrs[row[2]] = json.decode(row[3], {nonfinite = true}) end
  end
  function fill.reports (_, t, row) t.reports[#t.reports + 1] = {row[2], optuna.number(row[3], row[4])} end
  function fill.attempts (_, t, row)
    t.attempts[row[2]] = {epoch = row[2], worker = row[3], host = row[4], pid = row[5], started = row[6],
      ended = row[7], reason = row[8], id = row[9]}
  end
  function fill.orphans (_, t, row)
    local a = t.attempts[row[2]]
    a.orphans = a.orphans or {}
    table.insert(a.orphans, json.decode(row[3], {nonfinite = true}))
  end

  -- Trials that meet a condition ($2 is `value`), by number. index: which one to use.
  local function select (self, run, index, condition, value)
    local found = {}
    for _, r in ipairs(run(TRIALS:format(index, condition), self.id, value)) do
      found[r[1]] = {number = r[1], config = r[3], seed = r[4], state = r[5], reason = r[6], worker = r[7],
        epoch = r[8], lease = r[9], started = r[10], ended = r[11], run = r[12],
        note = r[13] and json.decode(r[13], {nonfinite = true}) or nil, value = r[15] and optuna.number(r[14], r[15]),
        params = {}, attrs = {}, reports = {}, attempts = {}}
    end
    if next(found) == nil then return found end
    for _, part in ipairs {"params", "attrs", "reports", "attempts", "orphans"} do
      for _, row in ipairs(run(part_sql(part, index, condition), self.id, value)) do
        fill[part](self, found[row[1]], row)
      end
    end
    return found
  end

  --- One trial, within a transaction.
  function Handle:read (run, number) return select(self, run, "", "t.number = $2", number)[number] end

  function Handle:sync ()
    local view, d = self.view, self.link.dialect
    local found, mark, code = self.link:look(function (run)
      local at = run(d.mark, self.id)[1]
      return select(self, run, d.by_version, ("t.version %s $2"):format(d.since), view.since), at and at[1]
    end)
    if not found then return nil, mark, code end
    for number, t in next, found do
      view.trials[number + 1] = t
      lurn.changes.note(view.trials, number)
    end
    view.since = mark or view.since
    return view.trials
  end

  function Handle:counts ()
    return self.link:look(function (run)
      local counts = machine.count {}
      for _, r in ipairs(run("SELECT state, count(*) FROM lurn_trial WHERE study_id = $1 GROUP BY state", self.id)) do
        counts[r[1]] = r[2]
      end
      return counts
    end)
  end

  function Handle:metrics (number)
    return self.link:look(function (run)
      local out = {}
      for _, r in ipairs(run("SELECT name, step, value FROM lurn_metric WHERE study_id = $1 AND number = $2 "
        .. "ORDER BY name, step", self.id, number)) do
        out[r[1]] = out[r[1]] or {}
        table.insert(out[r[1]], {r[2], r[3] or 0 / 0})
      end
      return out
    end)
  end

  -- {what it says, a statement that finds no row}: Optuna's tables against lurn's.
  local RULES = {
    {"the counter of trials", "SELECT s.next_number FROM lurn_study s WHERE s.study_id = $1 AND s.next_number <> "
      .. "(SELECT count(*) FROM lurn_trial t WHERE t.study_id = s.study_id)"},
    {"trial without its row in lurn_trial", "SELECT x.number FROM trials x LEFT JOIN lurn_trial t "
      .. "ON t.study_id = x.study_id AND t.number = x.number WHERE x.study_id = $1 "
      .. "AND (t.trial_id IS NULL OR t.trial_id <> x.trial_id)"},
    {"state of a trial", "SELECT t.number FROM lurn_trial t JOIN trials x ON x.trial_id = t.trial_id "
      .. "WHERE t.study_id = $1 AND CAST(x.state AS VARCHAR(8)) <> "
      .. "CASE t.state WHEN 'PAUSED' THEN 'RUNNING' ELSE t.state END"},
    {"value of a trial that has none", "SELECT t.number FROM lurn_trial t JOIN trial_values v "
      .. "ON v.trial_id = t.trial_id WHERE t.study_id = $1 AND t.state NOT IN ('COMPLETE', 'PRUNED')"},
    {"queue of a trial", "SELECT number FROM lurn_trial WHERE study_id = $1 AND COALESCE(queue, 3) <> CASE state WHEN "
      .. "'RUNNING' THEN 0 WHEN 'WAITING' THEN CASE WHEN epoch > 0 THEN 1 ELSE 2 END ELSE 3 END"},
  }

  function Handle:check ()
    local trials, message, code = self:sync()
    if not trials then return nil, message, code end
    local list = machine.problems(trials)
    local ok
    ok, message, code = self.link:look(function (run)
      for _, problem in ipairs(self.link.dialect.problems(run)) do list[#list + 1] = problem end
      for _, rule in ipairs(RULES) do
        for _, r in ipairs(run(rule[2], self.id)) do list[#list + 1] = ("%s: %s"):format(rule[1], r[1]) end
      end
      return true
    end)
    if not ok then return nil, message, code end
    return list
  end
end
