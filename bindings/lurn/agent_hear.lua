--- What an agent hears of its trials, and what it does when they end.
--
-- Not a module of its own: agent.lua calls this with the class it adds methods to.

return function (lurn, Agent)
  local process = lurn.process

  local MOST_ERRORS = 5      -- scripts that fail, in a row and from the first one on, are a mistake

  ---------------------------------------------------------------- ending

  -- What the store is to be told, as a function, since it may have to be told again; a result as itself, too.
  local function saying (self, slot, e)
    local trial, handle, run = slot.trial, self.handle, slot.outcome and slot.outcome.run
    if e.state == "PAUSED" then return function () return handle:pause(trial, {run = run}) end end
    if e.state == "WAITING" then return function () return handle:release(trial, e.reason, {run = run}) end end
    local result = {state = e.state, reason = e.reason, value = e.value, run = run,
      attrs = lurn.attempt.attributes(slot, e), id = slot.id, when = "later"}
    return function () return handle:finish(trial, result) end, result
  end

  -- An end is said behind the reports that nobody took (see hear_report).
  local function behind_reports (self, slot, say)
    local trial, untold = slot.trial, slot.untold
    if not untold then return say end
    return function ()
      local told, message, code = self.handle:report(trial, untold.points, untold.metrics)
      if not told and message ~= "lost" then return nil, message, code end
      return say()
    end
  end

  local function write_end (self, slot, e, say, result)
    if not result or e.state == "FAIL" or slot.untold or not self:goes_on() then return say() end
    local both, message, code = self.handle:turn(slot.trial, result, self:request(slot))
    if not both then return nil, message, code end
    slot.next = both.trial
    return both.done, both.state
  end

  local function worked (trials)
    for _, t in ipairs(trials) do if t.state == "COMPLETE" or t.state == "PRUNED" then return true end end
    return false
  end

  -- A script that fails from the first trial of the study on is not tried a hundred times.
  local function count_errors (self, e)
    self.works = self.works or e.state == "COMPLETE" or e.state == "PRUNED"
    if e.reason == "ERROR" then self.errors = self.errors + 1 end
    if self.works or self.errors < MOST_ERRORS then return end
    self.works = worked(self.trials)
    if not self.works and not self.stopping then
      self:stop(("the first %d trials failed, the last one: %s"):format(self.errors, e.message or "?"))
      self.failed = true
    end
  end

  -- Nothing was said.
  local function remove_empty_log (self, number)
    local log = self:path(number):gsub("%.h5$", ".log")
    if lurn.sys.exists(log) and lurn.sys.filesize(log) == 0 then os.remove(log) end
  end

  -- The store has it: what is begun next goes by it.
  local function note (self, ended)
    local e = ended.e
    if ended.noted then return end
    ended.noted = true
    count_errors(self, e)
    if e.state == "WAITING" or e.state == "PAUSED" or e.reason == "CRASHED" then return end
    self.keeper:add(ended.trial, e.state == "COMPLETE" and e.value or nil, ended.has_file)
    if e.state == "FAIL" then self.failures[ended.trial.number] = true end
    ended.is_over = true
  end

  -- Files of what is over: the keeper says which stay, and logs do where something went wrong.
  local function tidy (self, ended)
    if ended.e.state ~= "FAIL" then remove_empty_log(self, ended.trial.number) end
    if not ended.is_over then return end
    for _, number in ipairs(self.keeper:spare()) do
      Agent.remove_run(self:path(number), self.failures[number])
      self.failures[number] = nil
    end
  end

  -- Another agent has the trial: nothing of it is counted here, and its files are not ours.
  local function say_lost (self, trial)
    self.view:say("trial %d: somebody else has it by now; what this attempt found is kept with it", trial.number)
  end

  -- What the store answers to an end. Whether the trial was still ours; nil: nobody took it.
  local function heard (self, held, message)
    if not held and message == "lost" then return false end
    if not held then return self:store_trouble(message) end
    if message == "spooled" then self:store_trouble(select(2, self.handle.store:waits())) end
    return true
  end

  -- Where a trial could not begin, for its folder is away, say, it is given back, and so would be the next one: nothing
  -- is begun for a while, longer each time. It is said once.
  local function look_at_place (self, trial, e)
    if e.state ~= "WAITING" or not e.message or self.stopping then self.hindered = nil return end
    if not self.hindered then self.view:say("trial %d is given back: %s; new ones wait", trial.number, e.message) end
    self.hindered = math.min(10, (self.hindered or 0.05) * 2)
    self.retry = self.clock() + self.hindered
  end

  -- The store is told how the attempt ended, and the slot becomes free. Nobody else is told before that is on disk
  -- (settle): what has ended until then is in `ended`. Where neither the store nor its spool takes it, it stays there,
  -- is said again (say_again), and nothing new is begun.
  local function finish (self, slot, e)
    self.busy = self.busy + self.clock() - slot.began
    local say, result = saying(self, slot, e)
    say = behind_reports(self, slot, say)
    local ended = {trial = slot.trial, e = e, say = say, has_file = slot.outcome ~= nil and slot.outcome.run ~= nil}
    local held = heard(self, write_end(self, slot, e, say, result))
    ended.unsaid = held == nil
    if held then note(self, ended) end
    if held == false then say_lost(self, slot.trial) else table.insert(self.ended, ended) end
    if not self.trouble then self.retry = nil end
    look_at_place(self, slot.trial, e)
    slot.trial, slot.pid, slot.channel, slot.lost, slot.over, slot.untold = nil, nil, nil, nil, nil, nil
    return held ~= false and ended or nil
  end

  --- Ends that nobody could be told of are said again, before anything new is asked for.
  function Agent:say_again ()
    if self.retry and self.clock() < self.retry then return end
    for k = #self.ended, 1, -1 do
      local ended = self.ended[k]
      local held = not ended.unsaid or heard(self, ended.say())
      if held == nil then return end
      ended.unsaid = nil
      if held then note(self, ended)
      else
        say_lost(self, ended.trial)
        table.remove(self.ended, k)
      end
    end
  end

  -- A process that waits for what becomes of its weights.
  local function let_go (ended)
    local tail = ended.tail
    if tail and tail.channel.fd then tail.channel:send {keep = ended.keep} end
    ended.tail = nil
  end

  --- What has ended is on disk when this returns, and is done: the view is told, files that nobody needs go. The next
  -- trials play already.
  function Agent:settle ()
    local list, said = self.ended, false
    for _, ended in ipairs(list) do said = said or not ended.unsaid end
    if not said then return end
    local safe = heard(self, self.handle.store:settle())
    self.ended = {}
    for _, ended in ipairs(list) do
      let_go(ended)
      if safe and not ended.unsaid then
        tidy(self, ended)
        self.view:ended(ended.trial, ended.e)
      else
        ended.unsaid = true
        table.insert(self.ended, ended)
      end
    end
  end

  --- The agent ends, and nobody can be told: the trials are played again when their leases have run out.
  function Agent:give_up ()
    for k = #self.ended, 1, -1 do
      local ended = self.ended[k]
      if ended.unsaid then
        self.view:say("trial %d: its result could be written nowhere; it will be played again", ended.trial.number)
        table.remove(self.ended, k)
      end
    end
  end

  -- A trial is complete. What its process still does (weights of the best are written) is waited for elsewhere, and the
  -- next trial can begin.
  local function complete (self, slot, message)
    local keep, channel = self.keeper:wants(slot.trial, message.done), slot.channel
    local number = slot.trial.number
    slot.outcome = {status = "done", value = message.done, steps = message.steps, seconds = message.seconds,
      metrics = message.metrics, run = keep and self:path(number) or nil}
    local tail = {pid = slot.pid, channel = channel, number = number, since = self.clock()}
    self.tails[#self.tails + 1] = tail
    local ended = finish(self, slot, lurn.attempt.judge(slot))
    if not ended or ended.unsaid then channel:send {keep = ended and keep or false}
    else ended.tail, ended.keep = tail, keep end
  end

  -- Processes whose trials are complete.
  local function reap_tails (self)
    for i = #self.tails, 1, -1 do
      local tail = self.tails[i]
      if process.ended(tail.pid) then
        tail.channel:close()
        remove_empty_log(self, tail.number)
        table.remove(self.tails, i)
      elseif self.clock() - tail.since > self.o.grace then process.kill(tail.pid, "KILL") end
    end
  end

  ---------------------------------------------------------------- hearing

  local words = {prune = "pruned", pause = "paused"}

  -- What a series has from a step on is forgotten: an attempt that goes on from before says it again.
  local function cut (series, step)
    while series[1] and series[#series][1] >= step do series[#series] = nil end
  end

  local function add (series, point)
    cut(series, point[1])
    series[#series + 1] = point
  end

  local function hear_begin (slot, step, seconds)
    slot.step, slot.spent = step, seconds
    cut(slot.trial.reports, step + 1)
    for _, series in next, slot.trial.metrics do cut(series, step + 1) end
  end

  -- What neither the store nor its spool takes (both disks are full) is told again with the next report, or before the
  -- trial's end: no trial waits for that.
  local function tell_reports (self, slot)
    local untold = slot.untold
    local held, message = self.handle:report(slot.trial, untold.points, untold.metrics)
    if held or message == "lost" then slot.untold = nil else self:store_trouble(message) end
    if not held and message == "lost" then slot.lost = true end
  end

  -- What the trial has noted beside its value goes with it into the store, and is there for the pruner.
  local function hear_report (self, slot, point, beside)
    local trial, step, value = slot.trial, point[1], point[2]
    local untold = slot.untold or {points = {}, metrics = {}}
    slot.untold = untold
    add(trial.reports, {step, value})
    add(untold.points, {step, value})
    for name, p in next, beside or {} do
      trial.metrics[name], untold.metrics[name] = trial.metrics[name] or {}, untold.metrics[name] or {}
      add(trial.metrics[name], {p[1], p[2]})
      add(untold.metrics[name], {p[1], p[2]})
    end
    slot.moved = self.clock()
    tell_reports(self, slot)
    self.view:reported(trial, step, value)
    if self.spec.pruner.name == "nop" then return end
    self:sync()
    local verdict = slot.lost and "prune" or self.choose.decide(trial, self.trials)
    slot.channel:send {verdict = words[verdict]}
  end

  local function hear (self, slot, message)
    if message.begin then
      hear_begin(slot, message.begin[1], message.begin[2])
      slot.moved = self.clock()
    elseif message.report then hear_report(self, slot, message.report, message.beside)
    elseif message.at then
      if message.at ~= slot.step then slot.moved = self.clock() end
      slot.step = message.at
    elseif message.done then complete(self, slot, message)
    elseif message.data then self.to_load = self.to_load or message.data
    elseif message.outcome then slot.outcome = message.outcome
    end
  end

  -- What a trial has said; behind `done` the slot is somebody else's. Whether more may come.
  local function hear_all (self, slot)
    local channel = slot.channel
    local messages, open = channel:messages()
    for _, message in ipairs(messages) do
      if slot.channel == channel then hear(self, slot, message) end
    end
    if not open and slot.channel == channel then slot.over = true end
  end

  -- The end of a socket comes a moment before the end of its process.
  local function is_ending (self)
    for _, slot in ipairs(self.slots) do if slot.over then return true end end
    return #self.tails > 0
  end

  --- Hears what the trials say, for at most so long.
  ---@param seconds number
  function Agent:listen (seconds)
    local fds, slots = {}, {}
    if is_ending(self) then seconds = math.min(seconds, 0.002) end
    for _, slot in ipairs(self.slots) do
      if slot.channel and not slot.over then fds[#fds + 1], slots[#slots + 1] = slot.channel.fd, slot end
    end
    local ready = process.poll(fds, seconds)
    for i, slot in ipairs(slots) do
      if ready[i] then hear_all(self, slot) end
    end
  end

  --- Looks for processes that have ended.
  function Agent:reap ()
    for _, slot in ipairs(self.slots) do
      local ended, code, signal
      if slot.pid then ended, code, signal = process.ended(slot.pid) end
      if ended then hear_all(self, slot) end
      if ended and slot.pid then
        slot.channel:close()
        finish(self, slot, lurn.attempt.judge(slot, code, signal, self.stopping ~= nil))
      end
    end
    reap_tails(self)
  end

  --- Waits a moment for the last weights; false when there are none to wait for.
  ---@return boolean
  function Agent:linger ()
    if #self.tails == 0 then return false end
    process.poll({}, 0.005)
    reap_tails(self)
    return true
  end
end
