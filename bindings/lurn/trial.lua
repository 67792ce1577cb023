--- One trial, in the process that its agent forked for it: a normal run, whose run file is the trial's, and which
-- says over the channel what it measures.
--
--   to the agent      {begin = {step, seconds}}         it plays; from that step on, so long before a resume
--                     {report = {step, value},          run:report; where the job says `ask`, an answer is waited for
--                      beside = {NAME = {step, value}}} what it noted of other series since the report before
--                     {at = step}                       it is alive: at most once a second
--                     {data = {name, path, options}}    it has loaded that
--                     {done = value, ...}               complete: are its weights wanted? An answer is waited for
--                     {outcome = {status, value, ...}}  the last one
--   to the trial      {verdict = nil | "pruned" | "paused"}, {keep = true | false}
--
-- The trial ends when its agent does: the channel is then closed. Nothing here knows the store.

return function (lurn)
  local process = lurn.process
  local M = {}

  M.STOPPED = 143          -- exit code of one that was told to stop before it had begun
  local PATIENCE = 10      -- seconds to wait for the lock of the run file
  local ENDING = 1         -- seconds of these that its last owner has to end by itself

  ---------------------------------------------------------------- the experiment

  -- Modules that the script requires when it is loaded come from the study, and are loaded again: what they draw at
  -- random belongs to this run.
  local function compile (script, seed)
    for name in next, script.lua or {} do package.loaded[name] = nil end
    lurn.repro.install {seed = seed, name = "load", i = 0}
    local experiment, message = lurn.experiment.restore(script)
    return experiment or error(message, 0)
  end

  M.compile = compile

  local function same (a, b)
    for name, value in next, a do if b[name] ~= value then return false end end
    for name in next, b do if a[name] == nil then return false end end
    return true
  end

  -- The state an earlier attempt left, or nil: then the trial begins anew, and says why.
  local function saved_state (job, params)
    if not lurn.sys.exists(job.path) then return nil end
    local file, message = lurn.runfile.read(job.path)
    if file and (file.seed ~= job.seed or not same(file.params, params)) then
      file, message = nil, job.path .. ": of another trial"
    end
    if not file then io.stderr:write("lurn: begun anew: ", message, "\n") end
    return file
  end

  -- Whether the process is one that an earlier attempt's agent started on this host.
  local function is_of_earlier_attempt (job, pid, host)
    local f = host == process.host() and io.open(("/proc/%s/stat"):format(pid))
    local parent = f and f:read "a":match "%) %a (%d+)"
    if f then f:close() end
    return parent and job.earlier and job.earlier[tonumber(parent)] or false
  end

  -- The lock of the run file. Where an earlier attempt has it still, its agent was given up for dead and is not (it was
  -- frozen, say): the trial is ours, and that process is in the way.
  local function take_lock (job)
    local clock = lurn.sys.clock
    local began = clock()
    while true do
      local lock, message = lurn.lock.take(job.path)
      if lock or clock() - began > PATIENCE then return lock, message end
      local pid, host = message:match "by process (%d+) on host (%S+)"
      if pid and clock() - began > ENDING and is_of_earlier_attempt(job, pid, host) then
        process.kill(tonumber(pid), "KILL")
      end
      process.poll({}, 0.05)
    end
  end

  ---------------------------------------------------------------- what is said

  local function pruner (job, channel)
    return function (step, value, beside)
      local heard = channel:send {report = {step, value}, beside = beside}
      if not heard then return "terminated" end
      if not job.ask then return nil end
      local answer = channel:receive()
      if not answer then return "terminated" end
      return answer.verdict
    end
  end

  local function beat (channel)
    local clock, said = lurn.sys.clock, -math.huge
    return function (run)
      if clock() - said < 1 then return end
      said = clock()
      if not channel:send {at = run.done} then lurn.run.Run.finish("terminated") end
    end
  end

  -- What the trial is worth: what the script returned, or the best that it reported; of one that was stopped, the last.
  local function value_of (run, reported)
    if run.status ~= "done" then return reported end
    if type(run.result) == "number" then return run.result + 0.0 end
    return run.best.value
  end

  M.value_of = value_of

  local function outcome_of (run, reported)
    local message = run.message or run.error and tostring(run.error) or nil
    local value, status = value_of(run, reported), run.status
    if status == "done" and value == nil then
      status, message = "failed", "the script returned no number and reported none: a sweep needs one to go by"
    end
    return {status = status, value = value, steps = run.done, seconds = run:seconds(), message = message,
      metrics = run:summary(), run = run.written and run.path or nil, refused = run.refused}
  end

  -- Who has lost leaves no weights behind; who is to go on does, and the best of those that are done.
  local KEPT = {paused = true, terminated = true, interrupted = true}

  local function wanted (channel)
    return function (run)
      if run.status ~= "done" then return KEPT[run.status] or false end
      local value = value_of(run)
      local sent = value and channel:send {done = value, steps = run.done, seconds = run:seconds(),
        metrics = run:summary()}
      if not sent then return false end
      local answer = channel:receive()
      return answer ~= nil and answer.keep
    end
  end

  ---------------------------------------------------------------- playing

  local function play (job, channel)
    local experiment, reported = compile(job.script, job.seed), nil
    local params, message = experiment:resolve(job.params)
    if not params then error(message, 0) end
    local lock
    lock, message = take_lock(job)
    if not lock then return {status = "terminated", message = message} end      -- given back: later it may be free
    local report, saved = pruner(job, channel), saved_state(job, params)
    channel:send {begin = {saved and saved.counters.steps or 0, saved and saved.counters.seconds or 0}}
    local function start (file)
      return experiment:start(params, {seed = job.seed, out = job.path, quiet = true, threads = 1, resume = file,
        lock = lock, memory = job.memory, on_step = beat(channel), arguments = job.arguments, sparse = true,
        wanted = wanted(channel),
        pruner = function (step, value, beside)
          reported = value + 0.0
          return report(step, value, beside)
        end})
    end
    local run = start(saved):play()
    if run.refused and saved then      -- by another lurn, or another model: what was saved is of no use
      io.stderr:write("lurn: begun anew: ", tostring(run.error), "\n")
      run.release_lock(run)
      lock = assert(take_lock(job))
      run = start(nil):play()
    end
    if run.status == "failed" then io.stderr:write("lurn: ", run.trace or "", "\n") end
    return outcome_of(run, reported)
  end

  -- Where the limit on memory was in the way, an allocation that failed is no crash.
  local function judge (job, outcome)
    local message = outcome.message
    local short = type(message) == "string" and (message:find("not enough memory", 1, true)
      or message:find("no memory for", 1, true))
    if job.memory and outcome.status == "failed" and short then outcome.status = "memoryout" end
    return outcome
  end

  --- Plays a trial and ends the process.
  ---@param job table   script, params, seed, path, ask, memory, core, arguments; earlier: pids of agents, as a set
  ---@param fd integer  the child's end of the socket
  function M.main (job, fd)
    local channel = lurn.channel.new(fd)
    if lurn.signal.pending() then process.exit(M.STOPPED) end
    lurn.signal.clear()
    lurn.signal.restore()
    local ok, outcome = xpcall(function ()
      local ready, message = process.redirect(job.log)
      if not ready then return {status = "terminated", message = message} end      -- given back: nothing was begun
      -- Where the study was begun, so that paths of data mean the same; elsewhere the script may manage without.
      if job.script.folder and job.script.folder ~= os.getenv "PWD" then process.enter(job.script.folder) end
      if job.core then process.pin(job.core) end
      if job.memory then assert(process.limit(2 * job.memory + (256 << 20))) end
      lurn.warm.on_load = function (name, path, options, seconds)
        channel:send {data = {name = name, path = path, options = options, seconds = seconds}}
      end
      return judge(job, play(job, channel))
    end, function (e) return type(e) == "string" and debug.traceback(e, 2) or tostring(e) end)
    if not ok then
      io.stderr:write("lurn: ", outcome, "\n")
      outcome = judge(job, {status = "failed", message = outcome:match "^[^\n]*"})
    end
    channel:send {outcome = outcome}
    process.exit(outcome.status == "failed" and 1 or 0)
  end

  return M
end
