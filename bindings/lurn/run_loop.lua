--- The loop of a run: run:batches, and what happens at the boundary between two iterations.
--
-- Everything that ends or saves a run waits for that boundary: there the finished iteration is counted,
-- signals are looked at, the run file is renewed, a pruned run ends, a prompt takes over. The place in the
-- data is a function of the counters, so a loop can be found again from its number of iterations alone.
--
-- Not a module of its own: run.lua calls this with the class it adds methods to.

return function (lurn, Run)
  local schema = lurn.schema

  local RENEW = 60        -- seconds between checkpoints, apart from those at evaluations

  ---------------------------------------------------------------- the boundary

  --- Notes what a checkpoint of this boundary says of the script's side.
  function Run:remember ()
    local b = self.boundary
    b.state, b.random = Run.copy(self.state), {name = self.random.name, i = self.random.i}
    b.live_bytes = self.live_bytes
    self.dirty = false
  end

  local function count_iteration (self, loop)
    if loop.playing then
      loop.playing, loop.done = false, loop.done + 1
      self.done = self.done + 1
    end
  end

  --- The script left its last loop by break: that iteration counts, and after a resume the loop is over.
  function Run:settle ()
    local loop = self.loops[#self.loops]
    if loop and loop.playing then
      count_iteration(self, loop)
      loop.ended = true
    end
  end

  local CROWDED = {
    own = "%d threads on %d processors: they wait for each other; fewer are faster",
    others = "%d threads wait for each other a third of the time: something else uses the machine's %d processors",
  }

  -- Too many threads, here or in other programs, are said once.
  local function look_at_threads (self)
    if self.crowded or not (lurn.core and lurn.core.threads) then return end
    local threads, crowd = lurn.core.threads()
    if not crowd then return end
    self.crowded = true
    self.progress:say(CROWDED[crowd], threads, lurn.sys.cpus())
  end

  -- The iteration that was handed out last is over. Counts it and does all that waits for this moment.
  -- Ends (by signal, by pruning) raise: the checkpoint is written where the run is closed.
  local function at_boundary (self, loop)
    count_iteration(self, loop)
    self:digest()
    self:remember()
    if lurn.signal then lurn.signal.hold(false) end
    local pending = lurn.signal and lurn.signal.pending()
    if pending and not lurn.signal.pause() then
      Run.finish(pending == "TERM" and "terminated" or "interrupted")
    end
    look_at_threads(self)
    if self.give_up then Run.finish(self.give_up) end
    if self.options.on_step then self.options.on_step(self) end
    -- What changes at every step shows at once, what changes at evaluations when their checkpoint is due.
    if loop.done <= 3 or self.checkpoint_due == "keep" then lurn.watch.look(self, loop) end
    if self.done + 1 == self.next_report then self:expect_report() end
    local since = self.written or self.options.sparse and self.began or -math.huge
    if self.checkpoint_due or Run.clock() - since >= RENEW then
      local written, message = self:checkpoint()
      -- Nothing is lost yet, and a run whose file cannot be written is better not begun. A trial has begun long since,
      -- and what counts of it is in the store.
      if not written and not self.on_disk and not self.options.sparse then Run.refuse(message) end
    end
    if self.budget then
      if self.budget <= 0 then coroutine.yield() end
      self.budget = self.budget and self.budget - 1
    end
  end

  local function first_difference (a, b)
    local next_a, next_b = (a .. "\n"):gmatch("(.-)\n"), (b .. "\n"):gmatch("(.-)\n")
    for line = 1, math.huge do
      local old, new = next_a(), next_b()
      if old ~= new then return line, old or "(no such line)", new or "(no such line)" end
      if not old then return line, "", "" end
    end
  end

  -- A model that the script builds differently today would take the weights and mean something else; one that is played
  -- differently would not give the same bits. Digests are compared; the texts say where they part.
  local function check_program (what, was, digest, is)
    if was == nil or digest == lurn.sys.sha256(is) then return end
    local line, old, new = first_difference(was, is)
    Run.refuse(("%s: instruction in line %d of the program was\n  %s\nand is now\n  %s"):format(what, line, old, new))
  end

  local function check_model (saved, model, forked)
    check_program((forked and "fork" or "resume") .. ": the script builds another model", saved.program, saved.digest,
      model:source_text())
    if forked then return end
    check_program("resume: this lurn trains the model by another program, so the bits would not be the same",
      saved.train_program, saved.train_digest, model:program())
  end

  local function put_back (self)
    local saved = self.saved
    if #saved.models > #self.models or #saved.optims > #self.optims then
      Run.refuse(("resume: the run file has %d models and %d optimisers, the script built %d and %d")
        :format(#saved.models, #saved.optims, #self.models, #self.optims))
    end
    for k, model in ipairs(saved.models) do
      check_model(model, self.models[k], saved.forked)
      lurn.runfile.fill(self.models[k], model.weights, "weights")
      if next(model.state) then self.models[k]:setstate(model.state) end
    end
    for k, optim in ipairs(saved.optims) do self.optims[k]:load(optim) end
  end

  -- A run that goes on with other data is another run: its numbers and its scale would be of neither. A fork is one.
  local function check_data (self, saved)
    local others = lurn.manifest.other_data(saved.manifest or {}, self.sources, saved.forked)
    if not others[1] then return end
    local text = lurn.manifest.say_other(others)
    if saved.forked then io.stderr:write("lurn: fork: other data than the parent's: ", text, "\n")
    elseif self.options.other_data then self.progress:say("resume: other data from here on: %s", text)
    else Run.refuse(("resume: not the data of the run: %s; --other-data goes on with them"):format(text)) end
  end

  -- At the first boundary after a resume: whatever the script did up to here, the saved state holds.
  local function restore (self)
    local saved = self.saved
    check_data(self, saved)
    local ok, message = pcall(put_back, self)
    if not ok and type(message) == "string" then
      Run.refuse(("resume: %s: damaged run file: %s"):format(saved.path,
        (message:gsub("^[^\n]-%.lua:%d+: ", ""))))
    end
    if not ok then error(message, 0) end
    self.random.name, self.random.i = saved.counters.random.name, saved.counters.random.i
    self.done, self.steps = saved.counters.steps, saved.counters.steps
    if saved.path == self.path then self.on_disk, self.written = self.done, Run.clock() end
    self.saved = nil
  end

  -- The cursor of the k-th loop of the script. On resume, loops before the one that was being played
  -- are over, and that one goes on where it stopped.
  local function open_loop (self, total)
    debug.sethook(self.thread)      -- see listen in run.lua
    self:settle()
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
    seq = {"integer", nil, {0, 1e9}, "time steps in a window, 50; 0: whole sequences, so where each has one target"},
    epochs = {"number", nil, {0, 1e12}, "passes over the split; parts of a pass count"},
    steps = {"integer", nil, {0, 1e15}, "iterations, instead of epochs"},
    shuffle = {"boolean", nil, nil, "another order every epoch; streams of text keep theirs"},
    stride = {"integer", nil, {1, 1e9}, "new time steps in a window of seq, see split:feed"},
    bucket = {"boolean|integer", nil, {1, 1e9}, "sequences of like length together, see split:feed"},
  }

  --- Time steps in a window where nobody says: sequences with one target each are read whole.
  ---@param split any
  ---@return integer
  function Run.default_seq (split)
    local set = split.data and split.data.set
    return set and set.targets == "sequence" and 0 or 50
  end

  local function open_feed (self, split, o)
    if type(split) == "table" and split.batch and split.steps then return split end     -- it is a feed already
    schema.check_split("run:batches", split)
    if split.data then self.progress.unit = split.data.unit end
    return assert(split:feed {batch = o.batch, seq = o.seq or Run.default_seq(split), stride = o.stride,
      shuffle = o.shuffle, bucket = o.bucket, seed = self.seed})
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

  -- What the process has now and what its models plan for this batch, without what they have been given already. The
  -- plan is made before anything of it is touched, so that a run which asks for too much costs nothing.
  local function check_memory (self, batch)
    local T, B, N = batch.T or 1, batch.B or 1, batch.N or 1
    local room = self.room or {T = 0, B = 0, N = 0, bytes = 0}
    if T <= room.T and B <= room.B and N <= room.N then return end
    local used, bytes = lurn.process.memory(lurn.sys.pid()), 0
    for _, model in ipairs(self.models) do
      local ok, arena, state = pcall(model:player().plan, model:player(), T, B, N)
      if not ok then Run.finish("infeasible", (tostring(arena):gsub("^.-no memory", "no memory"))) end
      bytes = bytes + arena + state
    end
    local wanted = used + bytes - room.bytes
    if wanted > self.options.memory then
      Run.finish("infeasible", ("a batch of %d steps and %d rows takes %.1f MB, the limit is %.1f MB")
        :format(T, B, wanted / 1e6, self.options.memory / 1e6))
    end
    self.room = {T = math.max(T, room.T), B = math.max(B, room.B), N = math.max(N, room.N), bytes = bytes}
  end

  --- The loop: for batch, step in run:batches(data.train, {batch = 50, seq = 50, epochs = 10}) do ... end
  ---@param split any       a split of a data set, or a feed
  ---@param options? table  batch, seq, stride, epochs or steps, shuffle, bucket
  ---@return function      gives batch, step and the feed; steps count all iterations of the run from 1
  function Run:batches (split, options)
    local o = schema.check("run:batches", options, BATCHES)
    local feed = open_feed(self, split, o)
    if feed.steps < 1 then error("run:batches: the split is too small for a single batch", 2) end
    local total = o.steps or count_steps(feed, o.epochs or 1)
    tell_schedules(self, total)
    local loop = open_loop(self, total)
    if loop.over then return function () end end
    self.epochs = not feed.varies and math.ceil(total / feed.steps) or nil
    return function ()
      at_boundary(self, loop)
      if loop.done >= total or loop.ended then return nil end
      local epoch, index = locate(feed, loop)
      local batch = assert(feed:batch(epoch, index))
      if self.options.memory then check_memory(self, batch) end
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
end
