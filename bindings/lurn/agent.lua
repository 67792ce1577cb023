--- The agent of a study on one host: it claims trials from the store, plays each in a process of its own (trial.lua),
-- listens to them, and writes what they say into the store. Many agents may work on one study.
--
-- One loop, which never waits for more than a moment: claim for the slots that are free; wait for the disk, and say
-- what is done; hear what the trials say and answer; look after limits, leases and the ends of processes. A trial never
-- waits for the store: what cannot be written now waits in the store's spool. Only new trials wait. How attempts end:
-- attempt.lua.

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

  -- Seconds that the loop waits for a store whose other users do not come to an end, once; then the spool takes over.
  local PATIENCE = 3

  local silent = setmetatable({}, {__index = function () return function () end end})

  --- An agent for a study. The experiment is that of the study's script.
  ---@param handle table        of the study, from lurn.store
  ---@param experiment lurn.Experiment
  ---@param options table       see OPTIONS above
  ---@return lurn.Agent
  function M.new (handle, experiment, options)
    local o = schema.check("lurn.agent", options, OPTIONS)
    local spec = handle:spec()
    local self = setmetatable({handle = handle, spec = spec, o = o, view = o.view or silent, slots = {}, tails = {},
      ended = {}, failures = {}, trials = {}, errors = 0, works = false, busy = 0, free = 0,
      idle = {store = 0, others = 0}, clock = lurn.sys.clock, began = lurn.sys.clock()}, Agent)
    for k = 1, o.workers do self.slots[k] = {index = k, worker = ("%s-%d"):format(o.name, k)} end
    self.choose = lurn.sweep.chooser(handle, experiment)
    handle.store:be_patient(PATIENCE)
    self.active = lurn.space.conditions(experiment, spec.fixed)
    lurn.warm.install(o.folder)
    return self
  end

  --- The path of a trial's run file.
  function Agent:path (number) return ("%s/trial-%06d.h5"):format(self.o.folder, number) end

  require "lurn.agent_hear" (lurn, Agent)

  --- Removes a run file and what lies beside it; the log of a trial that failed stays.
  ---@param path string
  ---@param failed? boolean
  function Agent.remove_run (path, failed)
    local stem = path:gsub("%.h5$", "")
    for _, name in ipairs {path, path .. ".lock", stem .. ".jsonl", not failed and stem .. ".log" or nil} do
      if lurn.sys.exists(name) then os.remove(name) end
    end
  end

  ---------------------------------------------------------------- the store

  -- What the outside world says makes new trials wait, and is said once; again when it says something else.
  function Agent:store_trouble (message, code)
    local is_news = not self.trouble or code and self.code and code ~= self.code
    if is_news then self.view:say("store: %s; trials go on, new ones wait", message) end
    self.trouble, self.code = message, code or self.code
    self.backoff = math.min(10, (self.backoff or 0.25) * 2)
    self.retry = self.clock() + self.backoff
  end

  local function store_works (self)
    if self.trouble then self.view:say("store: it answers again") end
    self.trouble, self.code, self.backoff, self.retry = nil, nil, nil, nil
  end

  -- What waits in the spool goes into the store a moment at a time, between all else; then claims may go on.
  local function catch_up (self)
    local store = self.handle.store
    if store:waits() and (self.catching or not self.retry or self.clock() >= self.retry) then
      local done, message, code = store:drain()
      self.catching = code == "EAGAIN"
      if done then self.retry = nil
      elseif not self.catching or self.code ~= code then self:store_trouble(message, code) end
    end
    for _, text in ipairs(store:orphans()) do self.view:say("%s", text) end
  end

  --- The trials there are, as far as the store can say now.
  function Agent:sync ()
    local trials, message, code = self.handle:sync()
    if not trials then return self:store_trouble(message, code) end
    self.trials = trials
    return trials
  end

  -- Of all trials that are over, those of other agents and of earlier starts too, only the best keep their files.
  local function take_stock (self)
    local trials = self:sync() or {}
    self.keeper = lurn.keeper.new(self.spec, self.handle.direction, trials, function (number)
      return lurn.sys.exists(self:path(number))
    end)
    for _, number in ipairs(self.keeper:spare(self.finished)) do
      Agent.remove_run(self:path(number), trials[number + 1].state == "FAIL")
    end
  end

  ---------------------------------------------------------------- starting

  -- In the child: nothing of the others is its business.
  local function become (self, slot, job, fd)
    for _, list in ipairs {self.slots, self.tails} do
      for _, other in ipairs(list) do if other.channel then other.channel:close() end end
    end
    job.core = self.o.cores and self.o.cores[slot.index]
    lurn.trial.main(job, fd)
  end

  local function job_of (self, trial)
    local spec = self.spec
    local params, unused = lurn.sweep.whole(spec, self.active, trial.params)
    local path, earlier = self:path(trial.number), {}
    for epoch, a in ipairs(trial.attempts) do
      if epoch < trial.epoch and a.host == process.host() and a.pid then earlier[a.pid] = true end
    end
    return {script = spec.script, params = params, unused = unused, seed = (spec.train_seed or 1) + trial.seed - 1,
      path = path, earlier = earlier, log = (path:gsub("%.h5$", ".log")), ask = spec.pruner.name ~= "nop",
      arguments = self.o.arguments, memory = spec.limits and spec.limits.memory}
  end

  --- Plays a trial in a slot.
  function Agent:start (slot, trial)
    local job, now = job_of(self, trial), self.clock()
    slot.trial, slot.began, slot.moved, slot.renewed, slot.unused = trial, now, now, now, job.unused
    slot.outcome, slot.killed, slot.spent, slot.step = nil, nil, 0, nil
    slot.oom_kills = process.oom_kills()
    trial.reports = trial.reports or {}
    trial.metrics = trial.epoch > 1 and self.handle:metrics(trial.number) or {}
    if trial.epoch == 1 then Agent.remove_run(job.path) end      -- of a study that was deleted, perhaps
    local pid, fd, code = process.fork()
    if pid == 0 then become(self, slot, job, fd) end
    if not pid then
      self.view:say("no process for trial %d: %s", trial.number, fd)
      self.handle:release(trial, "PREEMPTED")
      slot.trial, self.retry = nil, now + 1
      return nil, fd, code
    end
    slot.pid, slot.channel = pid, lurn.channel.new(fd)
    slot.id = ("%s:%d:%d:%d"):format(slot.worker, trial.number, trial.epoch, pid)
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

  -- How many configurations there shall be may be changed while the study runs: looked up once a second at most, and
  -- with `sync` all trials, too.
  local function look_up_total (self, sync)
    local now = self.clock()
    if self.looked and now - self.looked < 1 then return end
    self.looked = now
    if sync then self:sync() end
    self.choose.total = self.handle:get "trials" or self.choose.total
    self.view.total = self.choose.total < math.huge and self.choose.total * (self.spec.seeds or 1) or nil
  end

  --- What a claim for a slot says to the store. A sampler that looks at trials thinks before the claim, so that others
  -- need not wait for it, and within it only where somebody else has the number meanwhile.
  function Agent:request (slot)
    local choose, trials = self.choose, self.trials
    local number = #trials
    local ahead = not choose.blind and choose.propose(number, trials) or nil
    return {worker = slot.worker, host = process.host(), pid = lurn.sys.pid(), lease = self.o.lease,
      propose = function (n)
        if n == number and not choose.blind then return ahead end
        return choose.propose(n, trials)
      end}
  end

  --- Whether the next trial of a slot can be claimed together with the result of the one before. A sampler that looks
  -- at trials has to see that one first, and thinks while nobody waits for it; so do those that promote.
  function Agent:goes_on ()
    if not self.choose.blind or self.stopping or self.finished or self.trouble then return false end
    look_up_total(self, true)
    return not self.choose.promote(self.trials)
  end

  -- Whether somebody is yet to come to the end; the store may be away, or another agent have seen to it.
  local function finish_leader (self)
    local number = self.choose.leader(self.trials)
    if number then self.handle:promote(number) end
    return number ~= nil
  end

  --- Claims a trial for a free slot. True when it plays.
  function Agent:claim (slot)
    if not self:sync() then return false end
    look_up_total(self)
    promote(self)
    local trial, message, code = self.handle:claim(self:request(slot))
    if trial then
      store_works(self)
      return self:start(slot, trial)
    end
    if code == "ENOENT" then      -- there is no study any more
      self.failed = true
      self:stop(message)
      return false
    end
    if code then self:store_trouble(message, code) return false end
    store_works(self)
    self.finished = message == "done" and not self.choose.starved and not finish_leader(self)
    -- Nothing is left to hand out, but what others play may come back.
    self.retry = self.clock() + ((self.choose.starved or message == "done") and 0.02 or 1)
    return false
  end

  -- Trials that were claimed with a result.
  local function start_claimed (self)
    for _, slot in ipairs(self.slots) do
      local trial = slot.next
      slot.next = nil
      if trial and self.stopping then self.handle:release(trial, "PREEMPTED")
      elseif trial then self:start(slot, trial) end
    end
  end

  local function fill (self)
    self:say_again()
    start_claimed(self)
    if self.stopping or self.finished then return end
    for _, slot in ipairs(self.slots) do
      if self.retry and self.clock() < self.retry or self.stopping or self.finished then return end
      if not slot.trial then self:claim(slot) end
    end
  end

  -- A slot that is free when all were offered a trial stays so until the next offer.
  local function count_idle (self)
    local now, why = self.clock(), self.trouble and "store" or "others"
    self.idle[why] = self.idle[why] + self.free * (now - (self.offered or now))
    self.offered, self.free = now, 0
    if self.stopping or self.finished then return end
    for _, slot in ipairs(self.slots) do if not slot.trial then self.free = self.free + 1 end end
  end

  --- Which part of the time workers were at work; nil before there was any. What most of the rest went by with:
  -- "store", it was away; "others", there was nothing to begin before other trials came further; nil: neither.
  ---@return number? share
  ---@return string? why
  function Agent:share ()
    local whole = #self.slots * (self.clock() - self.began)
    if whole <= 0 then return nil end
    for why, seconds in next, self.idle do
      if seconds > (whole - self.busy) / 2 then return self.busy / whole, why end
    end
    return self.busy / whole
  end

  ---------------------------------------------------------------- looking after

  local function kill (slot, reason)
    slot.killed = slot.killed or reason
    process.kill(slot.pid, "KILL")
  end

  local function check_limits (self, slot, now)
    local limits = self.spec.limits or {}
    if slot.killed then return end
    -- All is said, and it does not end.
    if slot.outcome then return now - slot.moved > self.o.grace and kill(slot, "LOST") end
    if limits.seconds and slot.spent + now - slot.began > limits.seconds then return kill(slot, "TIMEOUT") end
    if limits.memory and process.memory(slot.pid) > limits.memory then return kill(slot, "MEMORYOUT") end
    if now - slot.moved > self.o.stall then
      self.view:say("trial %d has not moved for %s: ended", slot.trial.number, lurn.quantity.duration(now - slot.moved))
      kill(slot, "LOST")
    end
  end

  local function renew (self, slot, lease)
    slot.renewed = self.clock()
    local held, message = self.handle:renew(slot.trial, lease)
    if not held and message == "lost" then
      self.view:say("trial %d: its lease ran out and somebody else has it; ended here", slot.trial.number)
      kill(slot, "LOST")
    end
  end

  -- Leases are good for so many seconds more; without a word, those that were renewed a while ago last as ever.
  local function keep_leases (self, seconds)
    for _, slot in ipairs(self.slots) do
      local due = slot.pid and (seconds or self.clock() - slot.renewed >= self.o.lease / 3)
      if due then renew(self, slot, seconds or self.o.lease) end
    end
  end

  local function look_after (self)
    local now = self.clock()
    for _, slot in ipairs(self.slots) do
      if slot.pid then check_limits(self, slot, now) end
    end
    if self.stopping and now > self.stopping + self.o.grace then
      for _, slot in ipairs(self.slots) do
        if slot.pid then kill(slot, "PREEMPTED") end
      end
      self:give_up()
    end
  end

  --- No more trials; those that play write their checkpoints and are given back.
  ---@param why string
  function Agent:stop (why)
    if self.stopping then return end
    self.stopping, self.why = self.clock(), why
    for _, slot in ipairs(self.slots) do
      if slot.pid and not slot.outcome then process.kill(slot.pid, "TERM") end
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
    return #self.ended > 0
  end

  -- So many times as long as it took its trial may it take to load data here, beside trials that play.
  local SLOWER = 10

  -- One data set at a time, when the trials have been heard. Nobody renews a lease meanwhile.
  local function load_data (self)
    local data = self.to_load
    self.to_load = nil
    if not data then return end
    local seconds = SLOWER * (data.seconds or 0)
    if seconds > self.o.lease / 3 then keep_leases(self, self.o.lease + seconds) end
    lurn.warm.load(data.name, data.path, data.options)
  end

  --- One turn of the loop; false when there is nothing left to do.
  ---@param seconds number   how long to wait for something to happen
  ---@return boolean
  function Agent:turn (seconds)
    heed(self)
    keep_leases(self)      -- first: what ran out while data were loaded is anybody's, and a claim would take it
    catch_up(self)
    fill(self)
    count_idle(self)
    self:settle()
    if not is_playing(self) and (self.stopping or self.finished) then return self:linger() end
    self.view:update(self)      -- of what is settled
    self:listen(seconds)
    self:reap()
    look_after(self)
    load_data(self)
    return true
  end

  -- Nobody waits to be heard any more: what the spool still has may take its time.
  local function take_leave (self)
    local till = self.clock() + self.o.grace
    repeat catch_up(self) until not self.catching or self.clock() > till
    take_stock(self)
    self.view:over(self)
    local waits, why = self.handle.store:waits()
    if waits then self.view:say("what the store was not told is kept, and told at the next start: %s", why) end
  end

  --- Plays until the study is done, or until it is told to stop.
  ---@return "done"|"stopped"|"failed"|"INT"|"TERM" how
  ---@return string? why
  function Agent:run ()
    lurn.signal.install()
    take_stock(self)
    while self:turn(0.1) do end
    lurn.signal.restore()
    take_leave(self)
    if self.failed then return "failed", self.why end
    return self.signal or (self.stopping and "stopped") or "done", self.why
  end

  return M
end
