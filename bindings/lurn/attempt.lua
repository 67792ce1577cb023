--- What became of an attempt: from how its process ended and what it had said, to state and reason of its trial.
--
--   the trial says how it ended       COMPLETE, PRUNED, PAUSED, or FAIL with DIVERGED, INFEASIBLE, MEMORYOUT, or ERROR:
--                                     the script raised one, and would again
--   killed by its agent               TIMEOUT, MEMORYOUT; LOST when it has not moved for `stall` seconds
--   its process died                  MEMORYOUT when the system says that it needed the memory, else CRASHED
--   the agent is asked to stop        PREEMPTED: the trial has written its checkpoint

return function (lurn)
  local process = lurn.process
  local M = {}

  -- What the trial says of itself.
  local endings = {
    done = {state = "COMPLETE"}, pruned = {state = "PRUNED"}, paused = {state = "PAUSED"},
    diverged = {state = "FAIL", reason = "DIVERGED"}, infeasible = {state = "FAIL", reason = "INFEASIBLE"},
    memoryout = {state = "FAIL", reason = "MEMORYOUT"}, failed = {state = "FAIL", reason = "ERROR"},
    terminated = {state = "WAITING", reason = "PREEMPTED"}, interrupted = {state = "WAITING", reason = "PREEMPTED"},
  }

  local function said (outcome)
    local e, value = endings[outcome.status] or endings.failed, outcome.value
    if e.state == "COMPLETE" and not (value == value and math.abs(value) < math.huge) then
      return {state = "FAIL", reason = "DIVERGED", message = ("the result is %s"):format(value)}
    end
    return {state = e.state, reason = e.reason, value = value, message = outcome.message}
  end

  --- {state, reason, value, message}; the state WAITING: the trial is given back.
  ---@param slot table        outcome: what the trial said; killed: why its agent killed it; oom_kills: before it began
  ---@param code integer?     its exit code, or
  ---@param signal integer?   what killed it
  ---@param stopping boolean  its agent had asked it to stop
  function M.judge (slot, code, signal, stopping)
    if slot.outcome then return said(slot.outcome) end
    if slot.killed then
      local back = slot.killed == "LOST" or slot.killed == "PREEMPTED"
      return {state = back and "WAITING" or "FAIL", reason = slot.killed}
    end
    local stopped = stopping and (signal == 15 or code == lurn.trial.STOPPED)
    if stopped then return {state = "WAITING", reason = "PREEMPTED"} end
    local memory = signal == 9 and slot.oom_kills >= 0 and process.oom_kills() > slot.oom_kills
    return {state = "FAIL", reason = memory and "MEMORYOUT" or "CRASHED", message = signal
      and ("killed by signal %d"):format(signal) or ("the process ended with code %d"):format(code or -1)}
  end

  --- What the store keeps with the trial.
  function M.attributes (slot, e)
    local outcome = slot.outcome or {}
    return {metrics = outcome.metrics, steps = outcome.steps, seconds = outcome.seconds,
      error = e.state == "FAIL" and e.message or nil, unused = slot.unused}
  end

  return M
end
