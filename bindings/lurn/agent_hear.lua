--- What an agent hears of its trials, and what it does when they end.
--
-- Not a module of its own: agent.lua calls this with the class it adds methods to.

return function (lurn, Agent)
  local process = lurn.process

  local MOST_ERRORS = 5      -- scripts that fail, in a row and from the first one on, are a mistake

  ---------------------------------------------------------------- ending

  local function write_end (self, slot, e)
    local trial = slot.trial
    local run = slot.outcome and slot.outcome.run
    if e.state == "PAUSED" then return self.handle:pause(trial, {run = run}) end
    if e.state == "WAITING" then return self.handle:release(trial, e.reason, {run = run}) end
    return self.handle:finish(trial, {state = e.state, reason = e.reason, value = e.value, run = run,
      attrs = lurn.attempt.attributes(slot, e), id = slot.id})
  end

  -- A script that fails from the first trial on is not tried a hundred times.
  local function count_errors (self, e)
    if e.state == "COMPLETE" or e.state == "PRUNED" then self.complete = self.complete + 1 end
    if e.reason == "ERROR" then self.errors = self.errors + 1 end
    if self.complete == 0 and self.errors >= MOST_ERRORS and not self.stopping then
      self:stop(("the first %d trials failed, the last one: %s"):format(self.errors, e.message or "?"))
      self.failed = true
    end
  end

  -- Nothing was said.
  local function remove_empty_log (self, number)
    local log = self:path(number):gsub("%.h5$", ".log")
    if lurn.sys.exists(log) and lurn.sys.filesize(log) == 0 then os.remove(log) end
  end

  -- Files of what is over: the keeper says which stay, and logs do where something went wrong.
  local function tidy (self, slot, e)
    local trial = slot.trial
    if e.state ~= "FAIL" then remove_empty_log(self, trial.number) end
    if e.state == "WAITING" or e.state == "PAUSED" or e.reason == "CRASHED" then return end
    self.keeper:add(trial, e.state == "COMPLETE" and e.value or nil, slot.outcome ~= nil and slot.outcome.run ~= nil)
    for _, number in ipairs(self.keeper:spare()) do
      Agent.remove_run(self:path(number), number == trial.number and e.state == "FAIL")
    end
  end

  -- The slot's trial is over, whatever the store was told.
  local function set_free (slot)
    slot.trial, slot.lost, slot.over, slot.unsaid = nil, nil, nil, nil
  end

  -- The store is told how the attempt ended, and the slot becomes free. Where neither the store nor its spool takes
  -- it, the slot keeps it, and says it again (say_again). Of a trial that somebody else has by now nothing is counted
  -- here, and its files are not ours. Whether the result counts.
  local function tell (self, slot, e)
    local held, message = write_end(self, slot, e)
    slot.pid, slot.channel = nil, nil
    if not held and message ~= "lost" then
      slot.unsaid = e
      self:store_trouble(message)
      return true
    end
    if message == "spooled" then self:store_trouble(select(2, self.handle.store:waits())) end
    if held then
      tidy(self, slot, e)
      self.view:ended(slot.trial, e)
      count_errors(self, e)
    else
      self.view:say("trial %d: somebody else has it by now; what this attempt found is kept with it", slot.trial.number)
    end
    set_free(slot)
    if not self.trouble then self.retry = nil end
    return held
  end

  local function finish (self, slot, e)
    self.busy = self.busy + self.clock() - slot.began
    return tell(self, slot, e)
  end

  --- Results that nobody could be told of are said again, before anything new is asked for.
  function Agent:say_again ()
    if self.retry and self.clock() < self.retry then return end
    for _, slot in ipairs(self.slots) do
      if slot.unsaid then tell(self, slot, slot.unsaid) end
      if slot.unsaid then return end
    end
  end

  --- The agent ends, and nobody can be told: the trial is played again when its lease has run out.
  function Agent:give_up (slot)
    self.view:say("trial %d: its result could be written nowhere; it will be played again", slot.trial.number)
    set_free(slot)
  end

  -- A trial is complete. What its process still does (weights of the best are written) is waited for elsewhere, and the
  -- next trial can begin.
  local function complete (self, slot, message)
    local keep, channel = self.keeper:wants(slot.trial, message.done), slot.channel
    local number = slot.trial.number
    slot.outcome = {status = "done", value = message.done, steps = message.steps, seconds = message.seconds,
      metrics = message.metrics, run = keep and self:path(number) or nil}
    self.tails[#self.tails + 1] = {pid = slot.pid, channel = channel, number = number, since = self.clock()}
    local counts = finish(self, slot, lurn.attempt.judge(slot))
    channel:send {keep = keep and counts or false}
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

  -- What the trial has noted beside its value goes with it into the store, and is there for the pruner.
  local function hear_report (self, slot, point, beside)
    local trial, step, value, metrics = slot.trial, point[1], point[2], {}
    add(trial.reports, {step, value})
    for name, p in next, beside or {} do
      trial.metrics[name], metrics[name] = trial.metrics[name] or {}, {{p[1], p[2]}}
      add(trial.metrics[name], {p[1], p[2]})
    end
    slot.moved = self.clock()
    local held, message = self.handle:report(trial, {{step, value}}, metrics)
    if not held and message == "lost" then slot.lost = true end
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
