--- One run of an experiment: its loop, its metrics, its checkpoints, its end.
--
-- Everything happens at the boundary between two iterations: there the finished iteration is
-- counted, signals are looked at, the run file is renewed, a pruned run ends, a prompt takes over.
-- Inside an iteration nothing of this can happen, so a checkpoint is always a state from which the
-- rest of the run follows bit for bit: counters (the cursor is a function of them), parameters,
-- moments, carried state, run.state, the random stream, metrics and best weights.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  ---@class lurn.Run
  ---@field steps integer     iterations of the run so far; inside the loop, the one being played
  ---@field total integer?    the last step of the loop being played
  ---@field state table       plain values that survive a resume; keep it small, it is copied every step
  ---@field seed integer
  ---@field status string     "waiting", "running", "done", "failed", "diverged", "interrupted", "terminated", "pruned"
  ---@field result any        what the experiment returned
  ---@field model any         the first model that was built; models has all of them
  local Run = {}
  Run.__index = Run
  M.Run = Run

  local RENEW = 60        -- seconds between checkpoints, apart from those at evaluations

  local OPTIONS = {
    seed = {"integer", 1, nil, "of everything random"},
    out = {"string", nil, nil, "the run file; runs/NAME-ID.h5 by default"},
    write = {"boolean", true, nil, "false: no files at all"},
    quiet = {"boolean", false, nil, "no progress"},
    progress = {"table", nil, nil, "a reporter of your own"},
    resume = {"table", nil, nil, "what lurn.runfile.read returned"},
    arguments = {"table", nil, nil, "the command line, for the record"},
    threads = {"integer", nil, nil, "for the record"},
    probe = {"boolean", false, nil, "stop before the first step: builds the model only"},
    pruner = {"function", nil, nil, "function (step, value) -> true: give up"},
  }

  -- Raised through the script to end a run at a boundary; scripts never see it unless they pcall.
  local End = {}
  End.__index = End
  End.__tostring = function (e) return "run ended: " .. e.status end

  local function finish_by (status, message)
    error(setmetatable({status = status, message = message}, End), 0)
  end

  local function clock ()
    return lurn.sys and lurn.sys.clock and lurn.sys.clock() or os.time()
  end

  local function fresh_id ()
    local random = io.open("/dev/urandom", "rb")
    local bytes = random and random:read(3) or tostring(os.clock()):sub(-3)
    if random then random:close() end
    return os.date("%Y%m%d-%H%M%S-") .. bytes:gsub(".", function (c) return ("%02x"):format(c:byte()) end)
  end

  --- A run that waits for step or continue. Experiment:start is the usual way to one.
  ---@return lurn.Run
  function M.new (experiment, params, options)
    local o = schema.check("run", options, OPTIONS)
    local saved = o.resume
    local self = setmetatable({
      experiment = experiment, params = params, seed = saved and saved.seed or o.seed, options = o,
      path = o.out, status = "waiting", steps = 0, done = 0, kept = 0, state = saved and saved.state or {},
      models = {}, optims = {}, datasets = {}, metrics = saved and saved.metrics or {}, loops = {},
      best = saved and saved.best or {}, spent = saved and saved.counters.seconds or 0, saved = saved,
      live_bytes = saved and saved.counters.live_bytes or 0,
    }, Run)
    self.random = {seed = self.seed, name = "", i = 0}
    self.created = saved and saved.created or os.date("!%Y-%m-%dT%H:%M:%SZ")
    if o.write and not self.path then self.path = ("runs/%s-%s.h5"):format(experiment.name, fresh_id()) end
    self.progress = o.progress or lurn.progress.new {quiet = o.quiet}
    self.thread = coroutine.create(function () return experiment.body(self, M.copy(params)) end)
    self.boundary = {}
    return self
  end

  --- A copy of plain values, tables included. Raises on what a run file could not hold.
  function M.copy (value)
    if type(value) ~= "table" then return value end
    local out = {}
    for k, v in next, value do out[k] = M.copy(v) end
    return out
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
    if kind == "model" then
      self.model = self.model or object
      object:init(self.seed + #list - 1)
    elseif kind == "optim" and type(object) == "table" then
      -- From the commit to the end of the iteration a first Ctrl-C waits: half an iteration
      -- cannot be resumed. Optimisers call this hook when they have committed.
      object.committed = function () self:committed() end
    end
    return object
  end

  function Run:committed ()
    self.dirty = true
    if lurn.signal then lurn.signal.hold(true) end
  end

  ---------------------------------------------------------------- the boundary

  local function remember (self)
    local b = self.boundary
    b.state, b.random = M.copy(self.state), {name = self.random.name, i = self.random.i}
    b.live_bytes = self.live_bytes
    self.dirty = false
  end

  local function count_iteration (self, loop)
    if loop.playing then
      loop.playing, loop.done = false, loop.done + 1
      self.done = self.done + 1
    end
  end

  -- The script left its last loop by break: that iteration counts, and after a resume the loop is over.
  local function settle (self)
    local loop = self.loops[#self.loops]
    if loop and loop.playing then
      count_iteration(self, loop)
      loop.ended = true
    end
  end

  -- The iteration that was handed out last is over. Counts it and does all that waits for this moment.
  -- Ends (by signal, by pruning) raise: the checkpoint is written where the run is closed.
  local function at_boundary (self, loop)
    count_iteration(self, loop)
    remember(self)
    if lurn.signal then lurn.signal.hold(false) end
    local pending = lurn.signal and lurn.signal.pending()
    if pending then finish_by(pending == "TERM" and "terminated" or "interrupted") end
    if self.give_up then finish_by(self.give_up) end
    if self.checkpoint_due or clock() - (self.written or -math.huge) >= RENEW then self:checkpoint() end
    if self.budget then
      if self.budget <= 0 then coroutine.yield() end
      self.budget = self.budget and self.budget - 1
    end
  end

  local function restore_tensors (saved, model, what)
    for _, p in ipairs(model:parameters()) do
      local value = saved[p.path]
      if not value then error(("resume: the run file's %s have no '%s': the script builds another model")
        :format(what, p.path), 0) end
      p.value:copy(value)
    end
    local native = model.touch and model or model.native
    if native and native.touch then native:touch() end      -- what was made of the old values (packs) is stale
  end

  -- At the first boundary after a resume: whatever the script did up to here, the saved state holds.
  local function restore (self)
    local saved = self.saved
    if #saved.models > #self.models or #saved.optims > #self.optims then
      error(("resume: the run file has %d models and %d optimisers, the script built %d and %d")
        :format(#saved.models, #saved.optims, #self.models, #self.optims), 0)
    end
    for k, model in ipairs(saved.models) do
      restore_tensors(model.weights, self.models[k], "weights")
      if next(model.state) then self.models[k]:setstate(model.state) end
    end
    for k, optim in ipairs(saved.optims) do self.optims[k]:load(optim) end
    self.random.name, self.random.i = saved.counters.random.name, saved.counters.random.i
    self.done, self.steps = saved.counters.steps, saved.counters.steps
    self.written = clock()
    self.saved = nil
  end

  -- The cursor of the k-th loop of the script. On resume, loops before the one that was being played
  -- are over, and that one goes on where it stopped.
  local function open_loop (self, total)
    settle(self)
    local k = #self.loops + 1
    local loop = {done = 0, total = total}
    self.loops[k] = loop
    local saved = self.saved and self.saved.counters.loops
    if saved and saved[k] then
      loop.done = saved[k].done
      loop.over, loop.ended = k < #saved, saved[k].ended
      if k == #saved then restore(self) end
    end
    self.total = self.done + math.max(0, total - loop.done)
    return loop
  end

  local BATCHES = {
    batch = {"integer", 32, {1, 1e9}, "sequences side by side"},
    seq = {"integer", 50, {0, 1e9}, "time steps in a window; 0: whole sequences"},
    epochs = {"number", nil, {0, 1e12}, "passes over the split; parts of a pass count"},
    steps = {"integer", nil, {0, 1e15}, "iterations, instead of epochs"},
    shuffle = {"boolean", nil, nil, "another order every epoch; streams of text keep theirs"},
  }

  local function open_feed (self, split, o)
    if split.batch and split.steps then return split end     -- it is a feed already
    return assert(split:feed {batch = o.batch, seq = o.seq, shuffle = o.shuffle, seed = self.seed})
  end

  local function steps_of (feed, epoch)
    return feed.steps_of and feed:steps_of(epoch) or feed.steps
  end

  -- Iterations in so many epochs, the last of which may be a part.
  local function count_steps (feed, epochs)
    local whole = math.floor(epochs)
    local steps = 0
    if feed.varies then
      for epoch = 1, whole do steps = steps + steps_of(feed, epoch) end
    else
      steps = whole * feed.steps
    end
    return steps + math.ceil((epochs - whole) * steps_of(feed, whole + 1) - 1e-9)
  end

  -- Epoch and batch of the next iteration of the loop: a function of loop.done alone, found from where
  -- the search stopped last.
  local function locate (feed, loop)
    loop.epoch, loop.before = loop.epoch or 1, loop.before or 0
    if not feed.varies and loop.epoch == 1 then
      loop.epoch = loop.done // feed.steps + 1
      loop.before = (loop.epoch - 1) * feed.steps
    end
    while loop.done >= loop.before + steps_of(feed, loop.epoch) do
      loop.before, loop.epoch = loop.before + steps_of(feed, loop.epoch), loop.epoch + 1
    end
    return loop.epoch, loop.done - loop.before + 1
  end

  local function tell_schedules (self, total)
    for _, optim in ipairs(self.optims) do
      local options = optim.options or optim      -- each optimiser's schedule spans the first loop it sees
      if options.total == nil then options.total = total end
    end
  end

  --- The loop: for batch, step in run:batches(data.train, {batch = 50, seq = 50, epochs = 10}) do ... end
  ---@param split any       a split of a data set, or a feed
  ---@param options? table  batch, seq, epochs or steps, shuffle
  ---@return function      gives batch, step and the feed; steps count all iterations of the run from 1
  function Run:batches (split, options)
    local o = schema.check("run:batches", options, BATCHES)
    if self.options.probe then
      open_loop(self, 0)
      finish_by("probed")
    end
    local feed = open_feed(self, split, o)
    if feed.steps < 1 then error("run:batches: the split is too small for a single batch", 2) end
    local total = o.steps or count_steps(feed, o.epochs or 1)
    tell_schedules(self, total)
    local loop = open_loop(self, total)
    if loop.over then return function () end end
    return function ()
      at_boundary(self, loop)
      if loop.done >= total or loop.ended then return nil end
      local epoch, index = locate(feed, loop)
      local batch = assert(feed:batch(epoch, index))
      loop.playing = true
      self.steps, self.epoch, self.batch = self.done + 1, epoch, batch
      return batch, self.steps, feed
    end
  end

  --- Ends the loop when this iteration is over. Unlike break it is remembered by a checkpoint that
  -- is written at that very moment.
  function Run:leave_loop ()
    self.loops[#self.loops].ended = true
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

  ---------------------------------------------------------------- metrics

  local function record (self, name, value)
    local series = self.metrics[name]
    if not series then
      series = {step = {}, value = {}}
      self.metrics[name] = series
    end
    local n = #series.step + 1
    series.step[n], series.value[n] = self.steps, value + 0.0
  end

  local function write_live (self, line)
    if not self.path or not self.written then return end
    if not self.live then
      self.live, self.live_bytes = lurn.runfile.open_live(self.path, self.live_bytes)
      if not self.live then
        self.live_bytes = 0
        return
      end
    end
    line = lurn.json.encode(line) .. "\n"
    self.live:write(line)
    self.live_bytes = self.live_bytes + #line
  end

  --- Notes numbers of this step: run:log {loss = loss, grad_norm = norm}. Shows and keeps them.
  ---@param values table<string, number>
  function Run:log (values)
    local line = {step = self.steps}
    for name, value in next, values do
      if type(name) ~= "string" or type(value) ~= "number" then
        error(("run:log: values are numbers by name, got %s = %s"):format(tostring(name), schema.describe(value)), 2)
      end
      record(self, name, value)
      line[name] = value
    end
    write_live(self, line)
    self.progress:update {step = self.steps, total = self.total, epoch = self.epoch, best = self.best.value,
      loss = values.loss, grad_norm = values.grad_norm, count = self.batch and M.frames(self.batch)}
  end

  --- Targets in a batch, for speeds: characters of a text.
  function M.frames (batch)
    local n = batch.N or batch.frames
    return type(n) == "number" and n or 0
  end

  local function better (self, value)
    if value ~= value then return false end
    local best = self.best.value
    if best == nil then return true end
    if self.experiment.direction == "maximize" then return value > best end
    return value < best
  end

  local function keep_weights (self)
    self.best.weights = self.best.weights or {}
    for k, model in ipairs(self.models) do
      local kept = self.best.weights[k] or {}
      self.best.weights[k] = kept
      for _, p in ipairs(model:parameters()) do
        if kept[p.path] then kept[p.path]:copy(p.value) else kept[p.path] = p.value:clone() end
      end
    end
  end

  --- The value of an evaluation: what the experiment minimises (or maximises). Keeps the weights when it
  -- is the best so far, has a checkpoint written when this iteration is over, and ends the run then
  -- when it was pruned.
  ---@param value number
  ---@param name? string   of the series; "objective" by default
  ---@return boolean improved
  function Run:report (value, name)
    record(self, name or "objective", value)
    write_live(self, {step = self.steps, [name or "objective"] = value})
    local improved = better(self, value)
    if improved then
      self.best.value, self.best.step = value + 0.0, self.steps
      keep_weights(self)
    end
    self.checkpoint_due = true
    if self.options.pruner and self.options.pruner(self.steps, value) then self.give_up = "pruned" end
    return improved
  end

  --- Forgets the best value so far: what is reported from now on is measured against itself only.
  function Run:forget_best ()
    self.best = {}
  end

  --- Puts the best weights so far back into the models. False when nothing was reported yet.
  ---@return boolean
  function Run:restore_best ()
    if not self.best.weights then return false end
    for k, model in ipairs(self.models) do
      if self.best.weights[k] then restore_tensors(self.best.weights[k], model, "best weights") end
    end
    return true
  end

  --- Ends the run as diverged; the state before this iteration is what the run file keeps.
  ---@param message string
  function Run.diverged (_, message)
    finish_by("diverged", message)
  end

  --- Trains as run.fit describes. See fit.lua: it is meant to be read and copied.
  function Run:fit (options)
    return lurn.fit(self, options)
  end

  ---------------------------------------------------------------- files

  --- Seconds this run has taken, those before a resume included.
  function Run:seconds ()
    return self.spent + (self.began and clock() - self.began or 0)
  end

  --- Renews the run file from the state of the last boundary. The run goes on when the disk does not
  -- let it: nil and the message, which is also shown.
  ---@param status? string
  function Run:checkpoint (status)
    self.checkpoint_due, self.written = false, clock()
    if not self.path then return true end
    local ok, message = lurn.runfile.write(self, status or "running")
    if not ok then self.progress:say("lurn: checkpoint not written: %s", message) end
    return ok, message
  end

  ---------------------------------------------------------------- playing

  local function enter (self)
    self.outer, lurn.current = lurn.current, self
    self.began = clock()
    self.status = "running"
    lurn.repro.install(self.random)
    if lurn.signal then lurn.signal.install() end
  end

  local function leave (self)
    self.spent, self.began = self:seconds(), nil
    lurn.current, self.outer = self.outer, nil
    lurn.repro.uninstall()
    if lurn.signal then lurn.signal.restore() end
  end

  -- How the run ended, and whether the state in memory is one that a checkpoint may keep.
  local function judge (self, ok, value)
    if ok then return "done", nil, true end
    if getmetatable(value) == End then return value.status, value.message, not self.dirty end
    if value ~= nil and value == lurn.interrupted then
      local pending = lurn.signal and lurn.signal.pending()
      return pending == "TERM" and "terminated" or "interrupted", nil, not self.dirty
    end
    return "failed", value, not self.dirty
  end

  local function close (self, ok, value)
    local status, message, clean = judge(self, ok, value)
    self.status = status
    if ok then
      self.result = value
      settle(self)
      remember(self)
    end
    if status == "failed" then
      self.error = message
      self.trace = type(message) == "string" and debug.traceback(self.thread, message) or tostring(message)
    else
      self.message = message
    end
    write_live(self, {event = "end", status = status, seconds = self:seconds()})
    local started = self.done > 0 or self.written
    if clean and status ~= "probed" and (ok or started) and not self.saved then
      local saved, why = self:checkpoint(status)
      if not saved and ok then self.status, self.error, self.trace = "failed", why, why end
    end
    if self.live then self.live:close(); self.live = nil end
    self.progress:clear()
  end

  --- Plays until the script ends, the budget is used up, or something stops it. Never raises for
  -- what the script does: status, error and trace tell.
  function Run:play ()
    if coroutine.status(self.thread) == "dead" then
      error("this run has ended: " .. self.status, 2)
    end
    enter(self)
    local ok, value = coroutine.resume(self.thread)
    if coroutine.status(self.thread) == "suspended" then
      self.status = "waiting"
    else
      close(self, ok, value)
    end
    leave(self)
    return self
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

  --- Last and best value of every metric: {loss = {last = 1.4, best = 1.3, step = 4000}}.
  ---@return table
  function Run:summary ()
    local out = {}
    for name, series in next, self.metrics do
      local best, at
      for i, value in ipairs(series.value) do
        local gains = best == nil or (self.experiment.direction == "maximize" and value > best)
          or (self.experiment.direction ~= "maximize" and value < best)
        if value == value and gains then best, at = value, series.step[i] end
      end
      out[name] = {last = series.value[#series.value], best = best, step = at}
    end
    return out
  end

  return M
end
