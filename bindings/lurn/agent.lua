--- The agent of a study on one host: it claims trials from the store, plays each in a process of its own (trial.lua),
-- listens to them, and writes what they say into the store. Many agents may work on one study.
--
-- One loop, which never waits for more than a moment: claim for the slots that are free; hear what the trials say and
-- answer; look after limits, leases and the ends of processes. A trial never waits for the store: what cannot be
-- written now is kept and written later (outbox.lua). Only new trials wait.
--
-- An attempt ends in one of these ways:
--
--   the trial says how it ended       COMPLETE, PRUNED, PAUSED, or FAIL with DIVERGED, INFEASIBLE, MEMORYOUT, or ERROR:
--                                     the script raised one, and would again
--   killed by its agent               TIMEOUT, MEMORYOUT; LOST when it has not moved for `stall` seconds
--   its process died                  MEMORYOUT when the system says that it needed the memory, else CRASHED
--   the agent is asked to stop        PREEMPTED: the trial has written its checkpoint

return function (lurn)
  local process, schema = lurn.process, lurn.schema
  local M = {}

  ---@class lurn.Agent
  local Agent = {}
  Agent.__index = Agent

  local OPTIONS = {
    folder = {"string", schema.required, nil, "for the run files of trials"},
    workers = {"integer", 1, {1, 1000}, "trials side by side"},
    name = {"string", schema.required, nil, "of this agent, the same when it is started again: it takes up its trials"},
    view = {"table", nil, nil, "told of everything: see sweep_view.lua"},
    timeout = {"number", nil, {0, 1e12}, "seconds; then trials write their checkpoints and are given back"},
    lease = {"number", 60, {0.05, 1e9}, "seconds that a trial is this agent's without a word to the store"},
    stall = {"number", 3600, {0.05, 1e12}, "seconds without a step after which a trial is taken to hang"},
    grace = {"number", 60, {0, 1e9}, "seconds that trials have for a last checkpoint"},
    arguments = {"table", nil, nil, "the command line, for the record"},
    cores = {"table", nil, nil, "of the machine, one a slot: pinned to it; false: to none"},
  }

  M.STOPPED = lurn.trial.STOPPED
  local MOST_ERRORS = 5      -- scripts that fail, in a row and from the first one on, are a mistake

  local silent = setmetatable({}, {__index = function () return function () end end})

  --- An agent for a study. The experiment is that of the study's script.
  ---@param handle table        of the study, from lurn.store
  ---@param experiment lurn.Experiment
  ---@param options table       see OPTIONS above
  ---@return lurn.Agent
  function M.new (handle, experiment, options)
    local o = schema.check("lurn.agent", options, OPTIONS)
    local spec = handle:spec()
    local self = setmetatable({handle = handle, spec = spec, o = o, view = o.view or silent, slots = {},
      trials = {}, errors = 0, complete = 0, clock = lurn.sys.clock, began = lurn.sys.clock(), busy = 0}, Agent)
    for k = 1, o.workers do self.slots[k] = {index = k, worker = ("%s-%d"):format(o.name, k)} end
    self.choose = lurn.sweep.chooser(handle, experiment)
    self.active = lurn.space.conditions(experiment, spec.fixed)
    self.outbox = lurn.outbox.new(handle, ("%s/%s.outbox"):format(o.folder, o.name))
    lurn.warm.install(o.folder)
    return self
  end

  --- The path of a trial's run file.
  function Agent:path (number) return ("%s/trial-%06d.h5"):format(self.o.folder, number) end

  --- Removes a run file and what lies beside it.
  ---@param path string
  function M.remove_run (path)
    local stem = path:gsub("%.h5$", "")
    for _, name in ipairs {path, path .. ".lock", stem .. ".jsonl"} do
      if lurn.sys.exists(name) then os.remove(name) end
    end
  end

  ---------------------------------------------------------------- the store

  -- Whatever the store answers: nil and a message of the outside world make new trials wait, and are said once.
  local function store_trouble (self, message)
    if not self.trouble then self.view:say("store: %s; trials go on, new ones wait", message) end
    self.trouble = message
    self.backoff = math.min(10, (self.backoff or 0.25) * 2)
    self.retry = self.clock() + self.backoff
  end

  -- What waits to be told is told before anything is claimed. False: the store is still away.
  local function catch_up (self)
    if self.outbox:count() == 0 or self.outbox:drain() then return true end
    return store_trouble(self, self.outbox.trouble) or false
  end

  local function store_works (self)
    if self.trouble then self.view:say("store: it answers again") end
    self.trouble, self.backoff, self.retry = nil, nil, nil
  end

  --- The trials there are, as far as the store can say now.
  function Agent:sync ()
    local trials, message = self.handle:sync()
    if not trials then return store_trouble(self, message) end
    self.trials = trials
    return trials
  end

  -- Of all trials that are over, those of other agents and of earlier starts too, only the best keep their files.
  local function take_stock (self)
    self.keeper = lurn.keeper.new(self.spec, self.handle.direction)
    for _, t in ipairs(self:sync() or {}) do
      local over = t.state == "COMPLETE" or t.state == "PRUNED" or t.state == "FAIL"
      for _, number in ipairs(over and self.keeper:add(t, t.state == "COMPLETE" and t.value or nil) or {}) do
        M.remove_run(self:path(number))
      end
    end
  end

  ---------------------------------------------------------------- starting

  -- In the child: nothing of the others is its business.
  local function become (self, slot, job, fd)
    for _, other in ipairs(self.slots) do
      if other.channel then other.channel:close() end
    end
    job.core = self.o.cores and self.o.cores[slot.index]
    lurn.trial.main(job, fd)
  end

  local function job_of (self, trial)
    local spec = self.spec
    local params, unused = lurn.sweep.whole(spec, self.active, trial.params)
    local path = self:path(trial.number)
    return {script = spec.script, params = params, unused = unused, seed = (spec.train_seed or 1) + trial.seed - 1,
      path = path, log = (path:gsub("%.h5$", ".log")), ask = spec.pruner.name ~= "nop",
      arguments = self.o.arguments, memory = spec.limits and spec.limits.memory}
  end

  --- Plays a trial in a slot.
  function Agent:start (slot, trial)
    local job, now = job_of(self, trial), self.clock()
    slot.trial, slot.began, slot.moved, slot.renewed, slot.unused = trial, now, now, now, job.unused
    slot.outcome, slot.killed, slot.spent, slot.step = nil, nil, 0, nil
    slot.oom_kills = process.oom_kills()
    trial.reports = trial.reports or {}
    if trial.epoch == 1 then M.remove_run(job.path) end      -- of a study that was deleted, perhaps
    local pid, fd, code = process.fork()
    if pid == 0 then become(self, slot, job, fd) end
    if not pid then
      self.view:say("no process for trial %d: %s", trial.number, fd)
      self.outbox:release(trial, "PREEMPTED")
      slot.trial, self.retry = nil, now + 1
      return nil, fd, code
    end
    slot.pid, slot.channel = pid, lurn.channel.new(fd)
    self.view:started(trial)
    return true
  end

  local function promote (self)
    local number = self.choose.promote(self.trials)
    while number and self.handle:promote(number) do
      self:sync()
      number = self.choose.promote(self.trials)
    end
  end

  -- How many configurations there shall be may be changed while the study runs.
  local function look_up_total (self)
    local now = self.clock()
    if self.looked and now - self.looked < 1 then return end
    self.looked = now
    self.choose.total = self.handle:get "trials" or self.choose.total
    self.view.total = self.choose.total < math.huge and self.choose.total * (self.spec.seeds or 1) or nil
  end

  --- Claims a trial for a free slot. True when it plays.
  function Agent:claim (slot)
    if not catch_up(self) or not self:sync() then return false end
    look_up_total(self)
    promote(self)
    local trial, message, code = self.handle:claim {worker = slot.worker, host = process.host(), pid = lurn.sys.pid(),
      lease = self.o.lease, propose = function (number) return self.choose.propose(number, self.trials) end}
    if trial then
      store_works(self)
      return self:start(slot, trial)
    end
    if code then store_trouble(self, message) return false end
    store_works(self)
    self.finished = message == "done" and not self.choose.starved
    -- Nothing is left to hand out, but what others play may come back.
    self.retry = self.clock() + (self.choose.starved and 0.02 or 1)
    return false
  end

  local function fill (self)
    if self.stopping or self.finished then return end
    for _, slot in ipairs(self.slots) do
      if self.retry and self.clock() < self.retry or self.stopping or self.finished then return end
      if not slot.trial then self:claim(slot) end
    end
  end

  ---------------------------------------------------------------- hearing

  local words = {prune = "pruned", pause = "paused"}

  local function hear_report (self, slot, point)
    local trial, step, value = slot.trial, point[1], point[2]
    trial.reports[#trial.reports + 1] = {step, value}
    slot.moved = self.clock()
    local held, message = self.outbox:report(trial, {{step, value}})
    if not held and message == "lost" then slot.lost = true end
    self.view:reported(trial, step, value)
    if self.spec.pruner.name == "nop" then return end
    self:sync()
    local verdict = slot.lost and "prune" or self.choose.decide(trial, self.trials)
    slot.channel:send {verdict = words[verdict]}
  end

  local function hear (self, slot, message)
    if message.begin then
      slot.spent, slot.step = message.begin[2], message.begin[1]
      slot.moved = self.clock()
    elseif message.report then hear_report(self, slot, message.report)
    elseif message.at then
      if message.at[1] ~= slot.step then slot.moved = self.clock() end
      slot.step, slot.total = message.at[1], message.at[2]
    elseif message.done then slot.channel:send {keep = self.keeper:wants(message.done)}
    elseif message.data then self.to_load = self.to_load or message.data
    elseif message.outcome then slot.outcome = message.outcome
    end
  end

  ---------------------------------------------------------------- ending

  local endings = {
    done = {state = "COMPLETE"}, pruned = {state = "PRUNED"}, paused = {state = "PAUSED"},
    diverged = {state = "FAIL", reason = "DIVERGED"}, infeasible = {state = "FAIL", reason = "INFEASIBLE"},
    memoryout = {state = "FAIL", reason = "MEMORYOUT"}, failed = {state = "FAIL", reason = "ERROR"},
    terminated = {state = "WAITING", reason = "PREEMPTED"}, interrupted = {state = "WAITING", reason = "PREEMPTED"},
  }

  -- What became of the attempt: how the process ended decides where it said nothing itself.
  local function judge (self, slot, code, signal)
    if slot.outcome then
      local e = endings[slot.outcome.status] or endings.failed
      local value = slot.outcome.value
      if e.state == "COMPLETE" and not (value == value and math.abs(value) < math.huge) then
        return {state = "FAIL", reason = "DIVERGED", message = ("the result is %s"):format(value)}
      end
      return {state = e.state, reason = e.reason, value = value, message = slot.outcome.message}
    end
    if slot.killed then
      local back = slot.killed == "LOST" or slot.killed == "PREEMPTED"
      return {state = back and "WAITING" or "FAIL", reason = slot.killed}
    end
    if self.stopping and (signal == 15 or code == M.STOPPED) then return {state = "WAITING", reason = "PREEMPTED"} end
    local memory = signal == 9 and slot.oom_kills >= 0 and process.oom_kills() > slot.oom_kills
    return {state = "FAIL", reason = memory and "MEMORYOUT" or "CRASHED", message = signal
      and ("killed by signal %d"):format(signal) or ("the process ended with code %d"):format(code or -1)}
  end

  local function attributes (slot, e)
    local outcome = slot.outcome or {}
    return {metrics = outcome.metrics, steps = outcome.steps, seconds = outcome.seconds,
      error = e.state == "FAIL" and e.message or nil, unused = slot.unused}
  end

  local function write_end (self, slot, e)
    local trial = slot.trial
    local run = slot.outcome and slot.outcome.run
    if e.state == "PAUSED" then return self.outbox:pause(trial, {run = run}) end
    if e.state == "WAITING" then return self.outbox:release(trial, e.reason, {run = run}) end
    return self.outbox:finish(trial, {state = e.state, reason = e.reason, value = e.value, run = run,
      attrs = attributes(slot, e), id = ("%s:%d:%d:%s"):format(slot.worker, trial.number, trial.epoch, slot.pid)})
  end

  -- A script that fails from the first trial on is not tried a hundred times.
  local function count_errors (self, e)
    if e.state == "COMPLETE" or e.state == "PRUNED" then self.complete = self.complete + 1 end
    if e.reason == "ERROR" then self.errors, self.last_error = self.errors + 1, e.message end
    if self.complete == 0 and self.errors >= MOST_ERRORS and not self.stopping then
      self:stop(("the first %d trials failed, the last one: %s"):format(self.errors, e.message or "?"))
      self.failed = true
    end
  end

  -- Files of what is over: the keeper says which weights stay. Logs stay where something was said or went wrong.
  local function tidy (self, slot, e)
    local trial, path = slot.trial, self:path(slot.trial.number)
    local log = path:gsub("%.h5$", ".log")
    if e.state ~= "FAIL" and lurn.sys.exists(log) and lurn.sys.filesize(log) == 0 then os.remove(log) end
    if e.state == "WAITING" or e.state == "PAUSED" or e.reason == "CRASHED" then return end
    local value = e.state == "COMPLETE" and e.value or nil
    for _, number in ipairs(self.keeper:add(trial, value)) do M.remove_run(self:path(number)) end
  end

  --- A process is gone: its slot becomes free.
  function Agent:finish (slot, code, signal)
    local e = judge(self, slot, code, signal)
    slot.channel:close()
    self.busy = self.busy + self.clock() - slot.began
    local held, message = write_end(self, slot, e)
    if not held and message == "lost" then
      self.view:say("trial %d: somebody else has it by now; what this attempt found is kept with it", slot.trial.number)
    elseif self.outbox.trouble then store_trouble(self, self.outbox.trouble) end
    tidy(self, slot, e)
    self.view:ended(slot.trial, e)
    count_errors(self, e)
    slot.trial, slot.pid, slot.channel, slot.lost, slot.over = nil, nil, nil, nil, nil
    if not self.trouble then self.retry = nil end
  end

  -- The end of a socket comes a moment before the end of its process.
  local function is_ending (self)
    for _, slot in ipairs(self.slots) do if slot.over then return true end end
    return false
  end

  local function listen (self, seconds)
    local fds, slots = {}, {}
    if is_ending(self) then seconds = math.min(seconds, 0.001) end
    for _, slot in ipairs(self.slots) do
      if slot.channel and not slot.over then fds[#fds + 1], slots[#slots + 1] = slot.channel.fd, slot end
    end
    local ready = process.poll(fds, seconds)
    for i, slot in ipairs(slots) do
      if ready[i] then
        local messages, open = slot.channel:messages()
        for _, message in ipairs(messages) do hear(self, slot, message) end
        if not open then slot.over = true end
      end
    end
  end

  local function reap (self)
    for _, slot in ipairs(self.slots) do
      if slot.trial then
        local ended, code, signal = process.ended(slot.pid)
        if ended then
          for _, message in ipairs((slot.channel:messages())) do hear(self, slot, message) end
          self:finish(slot, code, signal)
        end
      end
    end
  end

  ---------------------------------------------------------------- looking after

  local function kill (slot, reason)
    slot.killed = slot.killed or reason
    process.kill(slot.pid, "KILL")
  end

  local function check_limits (self, slot, now)
    local limits = self.spec.limits or {}
    if slot.outcome or slot.killed then return end
    if limits.seconds and slot.spent + now - slot.began > limits.seconds then return kill(slot, "TIMEOUT") end
    if limits.memory and process.memory(slot.pid) > limits.memory then return kill(slot, "MEMORYOUT") end
    if now - slot.moved > self.o.stall then
      self.view:say("trial %d has not moved for %s: ended", slot.trial.number, lurn.progress.duration(now - slot.moved))
      kill(slot, "LOST")
    end
  end

  local function renew (self, slot, now)
    if now - slot.renewed < self.o.lease / 3 then return end
    slot.renewed = now
    local held, message = self.handle:renew(slot.trial, self.o.lease)
    if not held and message == "lost" then
      self.view:say("trial %d: its lease ran out and somebody else has it; ended here", slot.trial.number)
      kill(slot, "LOST")
    end
  end

  local function look_after (self)
    local now = self.clock()
    for _, slot in ipairs(self.slots) do
      if slot.trial then
        check_limits(self, slot, now)
        renew(self, slot, now)
      end
    end
    if self.stopping and now > self.stopping + self.o.grace then
      for _, slot in ipairs(self.slots) do if slot.trial then kill(slot, "PREEMPTED") end end
    end
  end

  --- No more trials; those that play write their checkpoints and are given back.
  ---@param why string
  function Agent:stop (why)
    if self.stopping then return end
    self.stopping, self.why = self.clock(), why
    for _, slot in ipairs(self.slots) do
      if slot.trial and not slot.outcome then process.kill(slot.pid, "TERM") end
    end
  end

  local function heed (self)
    local signal = lurn.signal.pending()
    if signal and not self.signal then
      self.signal = signal
      self.view:say("stopping: trials write their checkpoints; once more to end at once")
      self:stop("SIG" .. signal)
    end
    if self.o.timeout and self.clock() - self.began > self.o.timeout then self:stop("timeout") end
  end

  local function is_playing (self)
    for _, slot in ipairs(self.slots) do if slot.trial then return true end end
    return false
  end

  -- One data set at a time, when the trials have been heard.
  local function load_data (self)
    local data = self.to_load
    self.to_load = nil
    if data then lurn.warm.load(data.name, data.path, data.options) end
  end

  --- One turn of the loop; false when there is nothing left to do.
  ---@param seconds number   how long to wait for something to happen
  ---@return boolean
  function Agent:turn (seconds)
    heed(self)
    fill(self)
    if not is_playing(self) and (self.stopping or self.finished) then
      catch_up(self)
      return false
    end
    listen(self, seconds)
    reap(self)
    look_after(self)
    load_data(self)
    self.view:update(self)
    return true
  end

  --- Plays until the study is done, or until it is told to stop.
  ---@return "done"|"stopped"|"failed"|"INT"|"TERM" how
  ---@return string? why
  function Agent:run ()
    lurn.signal.install()
    take_stock(self)
    while self:turn(0.1) do end
    lurn.signal.restore()
    take_stock(self)
    self.view:over(self)
    if self.outbox:count() > 0 then
      self.view:say("%d words to the store are kept in %s and told at the next start", self.outbox:count(),
        self.outbox.path)
    end
    if self.failed then return "failed", self.why end
    return self.signal or (self.stopping and "stopped") or "done", self.why
  end

  return M
end
