--- One run of an experiment, from its start to its end. Its loop is in run_loop.lua, its metrics and best
-- weights in run_metrics.lua, its files in run_files.lua.
--
-- Nothing is saved or ended inside an iteration (run_loop.lua), so a checkpoint is always a state from
-- which the rest of the run follows bit for bit: counters (the cursor is a function of them), parameters,
-- moments, carried state, run.state, the random stream, metrics and best weights.

local told_of = require "lurn.user_line".told_of

return function (lurn)
  local schema = lurn.schema
  local M = {}

  ---@class lurn.Run
  ---@field steps integer     iterations of the run so far; inside the loop, the one being played
  ---@field total integer?    the last step of the loop being played
  ---@field state table       plain values that survive a resume; keep it small, it is copied every step
  ---@field seed integer
  ---@field status string     "waiting", "running", "done", "failed", "diverged", "interrupted", "terminated",
  -- "pruned", "paused", "infeasible"
  ---@field result any        what the experiment returned
  ---@field model any         the first model that was built; models has all of them
  ---@field optim any         the first optimiser, likewise: optim.lr = 1e-4 changes the rate of a run that waits
  ---@field datasets any[]   data sets that were built
  ---@field sources table[]  what was read or built, for the manifest: data sets and files of arrays, see source.lua
  local Run = {}
  Run.__name = "lurn.Run"

  -- run.loss and run.valid_loss are the series of that name: {step =, value =}.
  function Run.__index (self, key)
    local value = Run[key]
    if value ~= nil or key ~= "loss" and key ~= "valid_loss" then return value end
    return rawget(self, "metrics")[key]
  end
  M.Run = Run

  local OPTIONS = {
    seed = {"integer", nil, nil, "of everything random; 1 by default"},
    out = {"string", nil, nil, "the run file; runs/NAME-ID.h5 by default"},
    write = {"boolean", true, nil, "false: no files at all"},
    quiet = {"boolean", false, nil, "no progress"},
    progress = {"table", nil, nil, "a reporter of your own"},
    resume = {"table", nil, nil, "what lurn.runfile.read returned"},
    fork = {"table", nil, nil, "the same: a new run goes on from its state"},
    init = {"table", nil, nil, "the same: a new run begins with its weights, by name"},
    other_data = {"boolean", false, nil, "resume: goes on with other data than those so far"},
    partial = {"boolean", false, nil, "init: takes what fits, where not all do"},
    arguments = {"table", nil, nil, "the command line, for the record"},
    threads = {"integer", nil, {1, 64}, "of the engine; 1 by default"},
    on_digest = {"function", nil, nil, "function (run, step, hex): called with every digest"},
    pruner = {"function", nil, nil, "function (step, value, beside) -> 'pruned' or true: give up; 'paused': go on "
      .. "later; beside: what else was noted since the last report, {NAME = {step, value}}"},
    on_step = {"function", nil, nil, "function (run): called between two iterations"},
    memory = {"integer", nil, {1, 1e18}, "bytes: a run that plans to use more ends as infeasible before it does"},
    keep = {"integer", nil, {1, 1e6}, "checkpoints of evaluations to keep beside the run file, and the best"},
    sparse = {"boolean", false, nil, "a checkpoint every minute and at the end, none at first and at evaluations"},
    wanted = {"function", nil, nil, "function (run) -> false: nobody wants the checkpoint of a run that ended so"},
    lock = {"any", nil, nil, "of the run file, when the caller took it already"},
  }

  -- Raised through the script to end a run at a boundary; scripts never see it unless they pcall.
  local End = {}
  End.__index = End
  End.__tostring = function (e) return "run ended: " .. e.status end

  --- Ends the run that is being played.
  ---@param status string
  ---@param message? string
  function Run.finish (status, message)
    error(setmetatable({status = status, message = message}, End), 0)
  end

  --- Ends the run that is being played because of the outside world (a file), not of the script: no traceback.
  ---@param message string
  function Run.refuse (message)
    error(setmetatable({status = "failed", message = message, refused = true}, End), 0)
  end

  --- Seconds on a clock that never goes back.
  function Run.clock ()
    return lurn.sys and lurn.sys.clock and lurn.sys.clock() or os.time()
  end

  --- A copy of plain values, tables included.
  function Run.copy (value)
    if type(value) ~= "table" then return value end
    local out = {}
    for k, v in next, value do out[k] = Run.copy(v) end
    return out
  end

  require "lurn.run_metrics" (lurn, Run)
  require "lurn.run_digest" (lurn, Run)
  require "lurn.run_loop" (lurn, Run)
  require "lurn.run_files" (lurn, Run)

  local function fresh_id ()
    local random = io.open("/dev/urandom", "rb")
    local bytes = random and random:read(3) or tostring(os.clock()):sub(-3)
    if random then random:close() end
    return os.date("%Y%m%d-%H%M%S-") .. bytes:gsub(".", function (c) return ("%02x"):format(c:byte()) end)
  end

  -- All runs that there are: a prompt that is told to end saves what has begun.
  local all = setmetatable({}, {__mode = "k"})

  --- A run that waits for step or continue. Experiment:start is the usual way to one.
  ---@return lurn.Run
  function M.new (experiment, params, options)
    local o = schema.check("run", options, OPTIONS)
    local saved, lineage = o.resume, o.resume and o.resume.lineage
    if o.fork then saved, lineage = lurn.lineage.fork(o.fork, params) end
    local self = setmetatable({
      experiment = experiment, params = params, options = o, lineage = lineage,
      seed = o.resume and saved.seed or o.seed or saved and saved.seed or 1,
      path = o.out, lock = o.lock, status = "waiting", steps = 0, done = 0, kept = 0,
      state = saved and saved.state or {},
      lost = {}, unseen = 0, models = {}, optims = {}, datasets = {}, sources = {}, loops = {},
      metrics = saved and saved.metrics or {},
      best = saved and saved.best or {}, first = saved and saved.first or {},
      spent = saved and saved.counters.seconds or 0, saved = saved,
      live_bytes = saved and saved.counters.live_bytes or 0,
      digests = saved and saved.digests or {step = {}, hex = {}},
    }, Run)
    self.random = {seed = self.seed, name = "", i = 0}
    self.rotation = saved and saved.counters.rotation
    self:keep_checkpoints(o.keep)
    self.created = saved and saved.created or lurn.manifest.date()
    if o.write and not self.path then self.path = ("runs/%s-%s.h5"):format(experiment.name, fresh_id()) end
    self.progress = o.progress or lurn.progress.new {quiet = o.quiet}
    self.progress:rest()
    self.given = Run.copy(params)
    self.thread = coroutine.create(function () return experiment.body(self, Run.copy(params)) end)
    self.boundary = {}
    all[self] = true
    return self
  end

  ---------------------------------------------------------------- what the run keeps an eye on

  --- Called by the constructors of models, optimisers and data sets while a run is in progress
  -- (lurn.current): what was built in a run is saved and restored with it.
  ---@param kind "model"|"optim"|"data"
  ---@param object any
  function Run:adopt (kind, object)
    local list = kind == "model" and self.models or kind == "optim" and self.optims or self.datasets
    for _, known in ipairs(list) do if known == object then return object end end
    list[#list + 1] = object
    if kind == "data" then self.sources[#self.sources + 1] = object end
    if kind == "model" then
      self.model = self.model or object
      self:first_weights(object)
    elseif kind == "optim" and type(object) == "table" then
      self.optim = self.optim or object
      -- From the commit to the end of the iteration a first Ctrl-C waits: half an iteration
      -- cannot be resumed. Optimisers call this hook when they have committed.
      object.committed = function () self:committed() end
    end
    return object
  end

  --- The weights that a model of the run begins with: drawn by the run's seed, or those of another run (option init).
  -- The latter are in the run file, too: a resumed run does not ask for the other one. While it has not come to where
  -- it stopped, any weights do, as the file's take their place.
  function Run:first_weights (model)
    for k, known in ipairs(self.models) do
      if known == model then
        local first = not self.saved and self.first[k]
        if first then return lurn.runfile.fill(model, first, "first weights") end
        model:init(self.seed + k - 1)
        if self.options.init then lurn.lineage.fill(self, model, k) end
      end
    end
  end

  --- Called by optimisers: an update has been committed, the iteration is to be played to its end.
  function Run:committed ()
    self.dirty = true
    if lurn.signal then lurn.signal.hold(true) end
  end

  --- A table inside run.state for one piece of code: what it kept before a resume, or else `first`.
  -- The k-th call of a run gets the k-th table of that name.
  ---@param name string
  ---@param first table   plain values
  ---@return table
  function Run:keep (name, first)
    self.kept = self.kept + 1
    local key = name .. self.kept
    self.state[key] = self.state[key] or first
    return self.state[key]
  end

  --- Ends the run as diverged; the state before this iteration is what the run file keeps. The message
  -- gets a sentence on where the first NaN or infinity of the last pass appeared.
  ---@param message string
  function Run:diverged (message)
    local where = self:blame()
    Run.finish("diverged", where and message .. "; " .. where or message)
  end

  --- Where the first value that is not finite appeared in the last pass of a model: layer, tensor and
  -- time; nil when every value was finite.
  ---@return string?
  function Run:blame ()
    for _, model in ipairs(self.models) do
      local where = model:blame()
      if where then return where end
    end
  end

  --- Trains as run.fit describes. See fit.lua: it is meant to be read and copied.
  function Run:fit (options)
    return lurn.fit(self, options)
  end

  ---------------------------------------------------------------- files

  --- Seconds this run has taken, those before a resume included.
  function Run:seconds ()
    return self.spent + (self.began and Run.clock() - self.began or 0)
  end

  ---------------------------------------------------------------- playing

  -- Until the first loop there is nothing to save, and data may be made in plain Lua for a long time: there a signal is
  -- looked for every so many instructions. Not later: half an update that a script writes by hand is no state to keep.
  local function listen ()
    if lurn.signal.stop() then error(lurn.interrupted, 0) end
  end

  local function enter (self)
    self.outer, lurn.current = lurn.current, self
    self.began = Run.clock()
    self.status = "running"
    if self.options.threads then lurn.core.threads(self.options.threads) end
    lurn.repro.install(self.random)
    if not lurn.signal then return end
    lurn.signal.install()
    if not self.loops[1] then debug.sethook(self.thread, listen, "", 100000) end
  end

  local function leave (self)
    self.spent, self.began = self:seconds(), nil
    lurn.current, self.outer = self.outer, nil
    lurn.repro.uninstall()
    if lurn.signal then lurn.signal.restore() end
  end

  -- Nothing of the script was played: somebody else writes this run file, or nobody can.
  local function refuse (self, message)
    self.status, self.refused = "failed", true
    self.error, self.trace = message, message
    coroutine.close(self.thread)
    return self
  end

  -- How the run ended, and whether the state in memory is one that a checkpoint may keep.
  local function judge (self, ok, value)
    if ok and self.saved and self.saved.counters.loops[1] then
      return "failed", "resume: the script ended before it came to the loop that the run file stands in", false, true
    end
    if ok then return "done", nil, true end
    if getmetatable(value) == End then return value.status, value.message, not self.dirty, value.refused end
    if value ~= nil and value == lurn.interrupted then
      local pending = lurn.signal and lurn.signal.pending()
      return pending == "TERM" and "terminated" or "interrupted", nil, not self.dirty
    end
    return "failed", value, not self.dirty
  end

  local function close (self, ok, value)
    local status, message, clean, refused = judge(self, ok, value)
    self.status, ok = status, status == "done"
    if ok then
      self.result = value
      self:settle()
      self:digest(true)
      self:remember()
    end
    if status == "failed" then
      message = told_of(message, self.thread)
      self.error, self.refused = message, refused
      local plain = self.refused or type(message) ~= "string"
      self.trace = plain and tostring(message) or debug.traceback(self.thread, message)
    else
      self.message = message
    end
    self:write_live {event = "end", status = status, seconds = self:seconds()}
    local started = self.done > 0 or self.written
    local wanted = not self.options.wanted or self.options.wanted(self)
    if self.saved or self.refused then started, ok = false, false      -- the file is as it was
    elseif not clean then self:mark(status) end
    if wanted and clean and (ok or started) then
      local saved, why = self:checkpoint(status)
      if not saved and ok then self.status, self.error, self.trace = "failed", why, why end
    end
    if self.live then self.live:close(); self.live = nil end
    self:release_lock()
    self.progress:clear(status == "interrupted")
  end

  local resume = lurn.signal and lurn.signal.resume or coroutine.resume

  -- One stretch of the script; true when a prompt's Ctrl-C paused it, wherever it was. While it waits its models are
  -- marked: who plays with them at the prompt leaves them as they were.
  local function stretch (self)
    if self.marks then lurn.patience.put_back(self.marks) end
    self.marks = nil
    enter(self)
    self.progress:wake()
    local ok, value = resume(self.thread)
    self.progress:rest()
    if coroutine.status(self.thread) == "suspended" then
      self.status, self.marks = "waiting", lurn.patience.mark(self.models)
      self.progress:clear(ok == nil)
    else
      close(self, ok, value)
    end
    leave(self)
    return ok == nil
  end

  -- Parameters are what the run was started with, and its file says so. nil, or what somebody wrote into them since.
  local function keep_params (self)
    local message
    for name, value in next, self.given do
      if type(value) ~= "table" and value == value and self.params[name] ~= value then
        message = ("params.%s is %s since the run began; optim.lr = x changes a rate, attach(run):fork {%s = %s} "
          .. "begins another run"):format(name, tostring(value), name, schema.describe(self.params[name]))
        self.params[name] = value
      end
    end
    return message
  end

  --- Plays until the script ends, the budget is used up, or something stops it. Never raises for
  -- what the script does: status, error and trace tell. Paused, it goes on from there when it is played again.
  function Run:play ()
    if coroutine.status(self.thread) == "dead" then
      error("this run has ended: " .. self.status, 2)
    end
    local message = keep_params(self)
    if message then error(message, 3) end
    local _ <close> = lurn.patience.whole()      -- but for the script, which signal.resume plays
    local free
    free, message = self:take_lock()
    if not free then return refuse(self, message) end
    lurn.manifest.prepare(self)
    while stretch(self) do
      local budget = self.budget      -- others may play it before it is this call's turn again
      if not lurn.signal.pause() or coroutine.status(self.thread) == "dead" then break end
      self.budget = budget
    end
    return self
  end

  -- A paused run ends as a signal ends one that is played: its file holds the last boundary between two iterations. One
  -- that was paused behind its update is played up to the next boundary when its file cannot give it back.
  local function terminate (self, status)
    if self.dirty and not self:is_saved() then
      self.budget = 0
      stretch(self)
    end
    if self.status ~= "waiting" then return end
    keep_params(self)
    enter(self)
    close(self, false, setmetatable({status = status}, End))
    leave(self)
    coroutine.close(self.thread)
  end

  --- Ends all runs that wait in the middle, with a checkpoint: for a prompt that ends.
  ---@param status "terminated"|"interrupted"
  ---@return lurn.Run[]
  function M.terminate (status)
    local list = {}
    for run in next, all do
      if run.status == "waiting" and run.loops[1] then list[#list + 1] = run end
    end
    table.sort(list, function (a, b) return (a.path or "") < (b.path or "") end)
    for _, run in ipairs(list) do terminate(run, status) end
    return list
  end

  --- Plays n iterations (1 by default), then waits: for a prompt.
  ---@param n? integer
  function Run:step (n)
    self.budget = n or 1
    return self:play()
  end

  --- Plays the rest. Raises when the script raises.
  function Run:continue ()
    self.budget = nil
    self:play()
    if self.status == "failed" then error(self.trace or self.error, 0) end
    return self
  end

  return M
end
