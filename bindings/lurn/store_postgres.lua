--- "postgresql://user@host/db": a store on a PostgreSQL server, for many machines. See store_sql.lua.

return function (lurn)
  local M = {}

  local function enumeration (name, words)
    return ("DO $do$ BEGIN CREATE TYPE %s AS ENUM (%s); EXCEPTION WHEN duplicate_object THEN NULL; END $do$")
      :format(name, words)
  end

  -- Where neither the server nor the address says anything else.
  local function unless_set (name, value)
    return ("SELECT set_config('%s', '%s', false) WHERE current_setting('%s') = '0'"):format(name, value, name)
  end

  M.dialect = {
    kind = "postgresql",
    types = {id = "SERIAL NOT NULL PRIMARY KEY", double = "DOUBLE PRECISION", bigint = "BIGINT", time = "TIMESTAMP",
      trialstate = "trialstate", studydirection = "studydirection", trialvaluetype = "trialvaluetype",
      trialintermediatevaluetype = "trialintermediatevaluetype", keyed = "",
      first = {
        "SELECT pg_advisory_xact_lock(1819636334)",      -- two who make the tables at once are in each other's way
        enumeration("trialstate", "'RUNNING', 'COMPLETE', 'PRUNED', 'FAIL', 'WAITING'"),
        enumeration("studydirection", "'NOT_SET', 'MINIMIZE', 'MAXIMIZE'"),
        enumeration("trialvaluetype", "'FINITE', 'INF_POS', 'INF_NEG'"),
        enumeration("trialintermediatevaluetype", "'FINITE', 'INF_POS', 'INF_NEG', 'NAN'")}},
    study_id = "DEFAULT",      -- of a sequence, which gives no number twice
    begin = "BEGIN", look = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    lock = " FOR UPDATE", skip = " FOR UPDATE SKIP LOCKED",
    returning = " RETURNING %s",
    by_queue = "", by_version = "",
    mark = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint + 0 * $1::bigint", since = ">=",
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() "
      .. "AND tablename IN ('studies', 'lurn_study')",
    -- Of a process that was frozen within a transaction the server takes the locks away, and who waits for one does not
    -- wait for ever.
    -- Tables that were filled in one go are unknown to its planner for a minute: meanwhile it would read them whole.
    filled = {"ANALYZE trials, trial_params, trial_values, trial_user_attributes, trial_intermediate_values, "
      .. "lurn_trial, lurn_attempt"},
    optimize = {unless_set("idle_in_transaction_session_timeout", "20s"), unless_set("lock_timeout", "3s")},
  }

  --- Writers do not wait for each other, so what was written last may be seen before what was written first. A change
  -- bears its transaction's number; whoever looks remembers the oldest transaction that was still at work (`mark`), and
  -- the next time looks again at all from that one on.
  function M.dialect.version (run) return run "SELECT pg_current_xact_id()::text::bigint"[1][1] end

  --- The time by the server's clock.
  function M.dialect.now (run) return run "SELECT extract(epoch FROM clock_timestamp())::float8"[1][1] end

  function M.dialect.problems () return {} end
  function M.dialect.busy () return nil end

  function M.open (url, options)
    return lurn.store_sql.open(M.dialect, url, options)
  end

  return M
end
