--- The tables of a store in a database: Optuna's own (its schema version 12, so that optuna.load_study and
-- optuna-dashboard read what is there), and beside them those of lurn, which Optuna does not look at.
--
--   lurn_study    what is searched, and how; next_number is the counter of trials; version grows with every change
--   lurn_trial    one row per trial: who has it, under which epoch, until when. queue: 0 it runs, 1 it was put back, 2
--                 it was enqueued and nobody had it yet, NULL nobody may have it. version: of its last change
--   lurn_attempt  one row per claim;   lurn_orphan  results that came too late;   lurn_metric  other series
--
-- A trial that is PAUSED is RUNNING for Optuna, which has no such state. Its times are UTC, as Optuna 5 has them.

return function ()
  local M = {}

  -- {name, columns}: %id, %double, %bigint, %time and the names of enumerations stand for what a database calls them.
  local TABLES = {
    {"studies", "study_id %id, study_name VARCHAR(512) NOT NULL"},
    {"version_info", "version_info_id INTEGER NOT NULL PRIMARY KEY, schema_version INTEGER, "
      .. "library_version VARCHAR(256), CHECK (version_info_id = 1)"},
    {"alembic_version", "version_num VARCHAR(32) NOT NULL PRIMARY KEY"},
    {"study_directions", "study_direction_id %id, direction %studydirection NOT NULL, study_id INTEGER NOT NULL "
      .. "REFERENCES studies (study_id), objective INTEGER NOT NULL, UNIQUE (study_id, objective)"},
    {"study_user_attributes", "study_user_attribute_id %id, study_id INTEGER REFERENCES studies (study_id), "
      .. "key VARCHAR(512), value_json TEXT, UNIQUE (study_id, key)"},
    {"study_system_attributes", "study_system_attribute_id %id, study_id INTEGER REFERENCES studies (study_id), "
      .. "key VARCHAR(512), value_json TEXT, UNIQUE (study_id, key)"},
    {"trials", "trial_id %id, number INTEGER, study_id INTEGER REFERENCES studies (study_id), "
      .. "state %trialstate NOT NULL, datetime_start %time, datetime_complete %time"},
    {"trial_user_attributes", "trial_user_attribute_id %id, trial_id INTEGER REFERENCES trials (trial_id), "
      .. "key VARCHAR(512), value_json TEXT, UNIQUE (trial_id, key)"},
    {"trial_system_attributes", "trial_system_attribute_id %id, trial_id INTEGER REFERENCES trials (trial_id), "
      .. "key VARCHAR(512), value_json TEXT, UNIQUE (trial_id, key)"},
    {"trial_params", "param_id %id, trial_id INTEGER REFERENCES trials (trial_id), param_name VARCHAR(512), "
      .. "param_value %double, distribution_json TEXT, UNIQUE (trial_id, param_name)"},
    {"trial_values", "trial_value_id %id, trial_id INTEGER NOT NULL REFERENCES trials (trial_id), "
      .. "objective INTEGER NOT NULL, value %double, value_type %trialvaluetype NOT NULL, "
      .. "UNIQUE (trial_id, objective)"},
    {"trial_intermediate_values", "trial_intermediate_value_id %id, trial_id INTEGER NOT NULL REFERENCES trials "
      .. "(trial_id), step INTEGER NOT NULL, intermediate_value %double, intermediate_value_type "
      .. "%trialintermediatevaluetype NOT NULL, UNIQUE (trial_id, step)"},
    {"trial_heartbeats", "trial_heartbeat_id %id, trial_id INTEGER NOT NULL REFERENCES trials (trial_id), "
      .. "heartbeat %time NOT NULL, UNIQUE (trial_id)"},

    {"lurn_study", "study_id INTEGER NOT NULL PRIMARY KEY REFERENCES studies (study_id), spec TEXT NOT NULL, "
      .. "next_number INTEGER NOT NULL, version %bigint NOT NULL"},
    {"lurn_trial", "study_id INTEGER NOT NULL, number INTEGER NOT NULL, trial_id INTEGER NOT NULL REFERENCES trials "
      .. "(trial_id), config INTEGER NOT NULL, seed INTEGER NOT NULL, state VARCHAR(8) NOT NULL, queue INTEGER, "
      .. "reason VARCHAR(16), worker TEXT, epoch INTEGER NOT NULL, crashes INTEGER NOT NULL, lease %double, "
      .. "started %double, ended %double, run TEXT, note TEXT, version %bigint NOT NULL, "
      .. "PRIMARY KEY (study_id, number)", true},
    {"lurn_attempt", "study_id INTEGER NOT NULL, number INTEGER NOT NULL, epoch INTEGER NOT NULL, worker TEXT, "
      .. "host TEXT, pid %bigint, started %double, ended %double, reason VARCHAR(16), id TEXT, "
      .. "PRIMARY KEY (study_id, number, epoch)", true},
    {"lurn_orphan", "study_id INTEGER NOT NULL, number INTEGER NOT NULL, epoch INTEGER NOT NULL, "
      .. "place INTEGER NOT NULL, id TEXT NOT NULL, result TEXT NOT NULL, "
      .. "PRIMARY KEY (study_id, number, epoch, id)", true},
    {"lurn_metric", "study_id INTEGER NOT NULL, number INTEGER NOT NULL, name VARCHAR(512) NOT NULL, "
      .. "step INTEGER NOT NULL, value %double, PRIMARY KEY (study_id, number, name, step)", true},
  }

  local INDICES = {
    "CREATE UNIQUE INDEX IF NOT EXISTS ix_studies_study_name ON studies (study_name)",
    "CREATE INDEX IF NOT EXISTS ix_trials_study_id ON trials (study_id)",
    "CREATE INDEX IF NOT EXISTS lurn_trial_queue ON lurn_trial (study_id, queue, number) WHERE queue IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS lurn_trial_version ON lurn_trial (study_id, version)",
  }

  -- Optuna refuses to open what its migrations don't know: the last one's name belongs to schema version 12.
  local ROWS = {
    "INSERT INTO version_info VALUES (1, 12, '5.0.0') ON CONFLICT DO NOTHING",
    "INSERT INTO alembic_version VALUES ('v3.2.0.a') ON CONFLICT DO NOTHING",
  }

  --- Tables of a study by number, and tables of a trial by trial_id: for deleting.
  M.OURS = {"lurn_orphan", "lurn_metric", "lurn_attempt", "lurn_trial", "lurn_study"}
  M.OF_TRIAL = {"trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values",
    "trial_intermediate_values", "trial_heartbeats"}
  M.OF_STUDY = {"trials", "study_directions", "study_user_attributes", "study_system_attributes", "studies"}

  --- Statements that make what is missing.
  ---@param types table    what a database calls %id, %double, ...; keyed: what stands behind a table with its own key
  ---@return string[]
  function M.statements (types)
    local list = table.move(types.first or {}, 1, #(types.first or {}), 1, {})
    for _, t in ipairs(TABLES) do
      local columns = t[2]:gsub("%%(%a+)", function (name) return types[name] or types.enum end)
      list[#list + 1] = ("CREATE TABLE IF NOT EXISTS %s (%s)%s"):format(t[1], columns, t[3] and types.keyed or "")
    end
    table.move(INDICES, 1, #INDICES, #list + 1, list)
    return table.move(ROWS, 1, #ROWS, #list + 1, list)
  end

  return M
end
