--- A store in a database: what is the same for SQLite and PostgreSQL. What differs is in a dialect, a small table
-- (store_sqlite.lua, store_postgres.lua); the tables are in store_schema.lua, a study in store_sql_study.lua.
--
-- Every change is one short transaction. A transaction that met another one, or whose connection broke, is played again
-- until `patience` seconds are over; that is safe because a claim gives a worker its own trial back and a result has a
-- name. From then on the store is away, and is asked now and then only, without waiting.

return function (lurn)
  local schema = lurn.store_schema
  local M = {}

  local LONGEST = 2        -- seconds between two tries while it is away
  local A_MOMENT = 0.05    -- that such a try waits for others who write
  local REST = 5           -- times as long as such a try took

  ---------------------------------------------------------------- a connection

  local Link = {}
  Link.__index = Link

  -- Statements within a transaction raise what the outside world says, as {message =, code =}; transact catches it.
  local function run (self, sql, ...)
    local rows, changes, code = self.db:run(sql, ...)
    if not rows then error({message = changes, code = code}, 0) end
    return rows, changes
  end

  local function connect (self)
    if self.db then return end
    local d = self.dialect
    local db, message, code = lurn.core.db.open(d.kind, self.place, self.options.read_only, self.waiting)
    if not db then error({message = message, code = code}, 0) end
    self.db = db
    for _, sql in ipairs(d.optimize) do run(self, sql) end
  end

  -- All that was committed is on disk when this returns: nil, or what the disk said. Whoever waits later for what was
  -- committed before is told, too (settle): a disk that refused once may say yes the next time, and have nothing.
  local function sync (self)
    local done, message, code = self.db:sync()
    local trouble = not done and {message = message, code = code} or nil
    if self.settles then self.settles, self.unsafe = false, self.unsafe or trouble end
    return trouble
  end

  local function disconnect (self)
    if not self.db then return end
    if self.settles then sync(self) end
    self.db:close()
    self.db = nil
  end

  -- How long statements to come wait for others.
  local function wait_at_most (self, seconds)
    if self.db and self.waiting ~= seconds then self.db:patience(seconds) end
    self.waiting = seconds
  end

  -- durable: "later" where somebody will ask for it (settle). What comes behind something that is not safe is not
  -- safe either.
  local function once (self, begin, f, durable)
    connect(self)
    self.version = nil
    run(self, begin)
    local a, b, c = f(self.run)
    run(self, "COMMIT")
    if durable == "later" then self.settles = true
    elseif durable then
      local trouble = sync(self) or self.unsafe
      if trouble then error(trouble, 0) end
    end
    return a, b, c
  end

  local function undo (self, trouble)
    if not self.db then return end
    -- SQLite complains where there is nothing to undo.
    local _, rolled = pcall(self.db.run, self.db, "ROLLBACK")
    -- Whoever only reads may not be who answers next time: another server, a file system that was mounted again.
    local another = trouble.code == "ECONN" or trouble.code == "EREADONLY"
    if another or not rolled then disconnect(self) end
  end

  -- Tries that take long, since the server is silent, are made the less often: others wait meanwhile.
  local function go_away (self, trouble, started, began)
    local now = lurn.sys.clock()
    local rest = math.max(LONGEST, REST * (now - began))
    self.since, self.away, self.trouble = self.since or started, now + rest, trouble
    if trouble.code == "EBUSY" then
      trouble.message = self.dialect.busy(self.place, now - self.since) or trouble.message
    end
  end

  --- Plays f(run) as one transaction, again if need be, and returns what it returns (up to three values); nil, message,
  -- code when the world does not let it. Errors that are misuse are raised.
  ---@param begin string
  ---@param f fun(run: function): any
  ---@param durable? boolean|"later"   it waits for the disk, or whoever asks for it does: see settle
  function Link:transact (begin, f, durable)
    local started, pause = lurn.sys.clock(), 0.01
    if self.away and started < self.away then return nil, self.trouble.message, self.trouble.code end
    wait_at_most(self, self.away and A_MOMENT or self.patience)
    while true do
      local began = lurn.sys.clock()
      local ok, a, b, c = pcall(once, self, begin, f, durable)
      if ok then
        self.away, self.since = nil, nil
        return a, b, c
      end
      local trouble = type(a) == "table" and a.code and a or nil
      undo(self, trouble or {})
      if not trouble then error(a, 0) end
      local again = trouble.code == "ECONN" or trouble.code == "EBUSY"
      if not again or self.away or lurn.sys.clock() - started >= self.patience then
        if again then go_away(self, trouble, started, began) end
        return nil, trouble.message, trouble.code
      end
      -- Two who met once must not meet again.
      lurn.sys.sleep(pause * (0.5 + math.random()))
      pause = math.min(LONGEST, 2 * pause)
    end
  end

  --- when: nil, it is on disk when this returns; "later", when settle() has; "loose", a power cut may take it, where
  -- that harms nobody (see the dialect's `loose`).
  function Link:write (f, when)
    local durable = when == "later" and when or not (when == "loose" and self.dialect.loose)
    return self:transact(self.dialect.begin, f, durable)
  end
  function Link:look (f) return self:transact(self.dialect.look, f) end

  --- Waits until all that was written is on disk. nil, message, code: what was to be there later may not be.
  function Link:settle ()
    if self.settles then sync(self) end
    local unsafe = self.unsafe
    self.unsafe = nil
    if unsafe then return nil, unsafe.message, unsafe.code end
    return true
  end

  --- The time by the store's clock.
  function Link:now (run_) return self.options.clock and self.options.clock() or self.dialect.now(run_) end

  --- Inserts a row; the number it was given, in this column.
  function Link:insert (run_, sql, column, ...)
    local texts = self.texts
    texts[sql] = texts[sql] or sql .. self.dialect.returning:format(column)
    local row = run_(texts[sql], ...)[1]
    return row and row[1] or run_(self.dialect.inserted)[1][1]
  end

  ---------------------------------------------------------------- a store

  local Store = {}
  Store.__index = Store

  local function make_tables (link)
    return link:write(function (run_)
      for _, sql in ipairs(schema.statements(link.dialect.types)) do run_(sql) end
      return true
    end)
  end

  -- Whether lurn's tables are there, and whether any are.
  local function look_at_tables (link)
    local ours, message, code = link:look(function (run_)
      local n = run_(link.dialect.tables)[1][1]
      local revision = n > 0 and run_ "SELECT version_num FROM alembic_version"[1]
      return {n = n, revision = revision and revision[1]}
    end)
    if not ours then return nil, message, code end
    if ours.n > 0 and ours.revision ~= "v3.2.0.a" then
      return nil, ("%s: tables of Optuna in another version (%s); `optuna storage upgrade` of Optuna 3.2 or later "
        .. "makes them v3.2.0.a"):format(link.place, ours.revision or "none"), "EFORMAT"
    end
    return ours.n
  end

  --- Opens a database as a store.
  ---@param dialect table
  ---@param place string
  ---@param options table   whole, as lurn.store.open has checked them
  function M.open (dialect, place, options)
    local link = setmetatable({dialect = dialect, place = place, options = options, patience = options.patience,
      texts = {}}, Link)
    link.run = function (sql, ...) return run(link, sql, ...) end
    local n, message, code = look_at_tables(link)
    if not n then return nil, message, code end
    if n == 0 then
      if not options.create or options.read_only then return nil, place .. ": there is no store in it", "ENOENT" end
      n, message, code = make_tables(link)
      if not n then return nil, message, code end
    end
    return setmetatable({link = link, ours = n ~= 1}, Store)
  end

  local function insert_study (link, run_, s)
    local id = link:insert(run_, ("INSERT INTO studies (study_id, study_name) VALUES (%s, $1)"):format(
      link.dialect.study_id), "study_id", s.name)
    run_("INSERT INTO study_directions (study_id, objective, direction) VALUES ($1, 0, $2)", id, s.direction:upper())
    run_("INSERT INTO lurn_study (study_id, spec, next_number, version) VALUES ($1, $2, 0, 0)", id,
      lurn.json.encode(s.spec))
    for key, value in next, s.keys do
      run_("INSERT INTO study_user_attributes (study_id, key, value_json) VALUES ($1, $2, $3)", id, key,
        lurn.json.encode(value))
    end
    return id
  end

  function Store:create (s)
    if not self.ours then
      local done, message, code = make_tables(self.link)
      if not done then return nil, message, code end
      self.ours = true
    end
    lurn.store_sql_study.space(s.spec)      -- raises when it is none
    local id, message, code = self.link:write(function (run_) return insert_study(self.link, run_, s) end)
    if code == "EEXIST" then message = ("there is a study '%s' already"):format(s.name) end
    if not id then return nil, message, code end
    return lurn.store_sql_study.new(self.link, id, s.name, s.direction, s.spec)
  end

  function Store:study (name)
    local found, message, code = self.link:look(function (run_)
      local id = run_("SELECT study_id FROM studies WHERE study_name = $1", name)[1]
      if not id then return {} end
      local row = run_("SELECT direction FROM study_directions WHERE study_id = $1 ORDER BY objective", id[1])
      local spec = self.ours and run_("SELECT spec FROM lurn_study WHERE study_id = $1", id[1])[1]
      return {id = id[1], directions = row, spec = spec and spec[1]}
    end)
    if not found then return nil, message, code end
    if not found.id then return nil, ("there is no study '%s'"):format(name), "ENOENT" end
    if not found.spec then return lurn.store_foreign.new(self.link, found.id, name, found.directions) end
    return lurn.store_sql_study.new(self.link, found.id, name, found.directions[1][1]:lower(),
      lurn.json.decode(found.spec, {nonfinite = true}))
  end

  function Store:names ()
    return self.link:look(function (run_)
      local list = {}
      for k, row in ipairs(run_ "SELECT study_name FROM studies ORDER BY study_id") do list[k] = row[1] end
      return list
    end)
  end

  function Store:delete (name)
    return self.link:write(function (run_)
      local row = run_("SELECT study_id FROM studies WHERE study_name = $1", name)[1]
      if not row then error({message = ("there is no study '%s'"):format(name), code = "ENOENT"}, 0) end
      local function clear (tables, condition)
        for _, t in ipairs(tables) do run_(("DELETE FROM %s WHERE %s"):format(t, condition), row[1]) end
      end
      if self.ours then clear(schema.OURS, "study_id = $1") end
      clear(schema.OF_TRIAL, "trial_id IN (SELECT trial_id FROM trials WHERE study_id = $1)")
      clear(schema.OF_STUDY, "study_id = $1")
      return true
    end)
  end

  function Store:settle () return self.link:settle() end

  --- Seconds to try again from now on.
  function Store:be_patient (seconds) self.link.patience = seconds end

  function Store:close () disconnect(self.link) end

  return M
end
