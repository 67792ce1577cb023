--- What one trial costs, measured before anything is spent: the script is started with its defaults in a process of its
-- own, writes nothing, and is stopped after a few steps.

return function (lurn)
  local process = lurn.process
  local M = {}

  local STEPS, WARM, SECONDS = 40, 3, 3      -- at most so many, the first ones not counted; at most so long

  local function plan_of (run)
    local bytes = 0
    for _, model in ipairs(run.models) do
      local ok, plan = pcall(model.plan, model)
      if ok then bytes = bytes + plan.bytes end
    end
    return bytes
  end

  -- Steps that are played one by one, with evaluations left out of the time of a step where one falls among them.
  local function measure (run, began, clock)
    run:step(1)
    local cost = {start = clock() - began}
    local first, at = nil, 0
    while run.status == "waiting" and run.done < STEPS and clock() - began < SECONDS do
      run:step(1)
      if run.done == WARM then first, at = clock(), run.done end
    end
    if first and run.done > at then cost.step = (clock() - first) / (run.done - at) end
    cost.total, cost.done, cost.status = run.total, run.done, run.status
    cost.seconds = clock() - began
    cost.plan, cost.memory = plan_of(run), lurn.sys.peak_rss()
    cost.message = run.error and tostring(run.error) or run.message
    cost.value = type(run.result) == "number" and run.result or run.best.value
    return cost
  end

  local function play (script, params, seed, channel)
    local clock = lurn.sys.clock
    local began = clock()
    local experiment = lurn.trial.compile(script, seed)
    local run = experiment:start(params, {seed = seed, write = false, quiet = true, threads = 1})
    channel:send {cost = measure(run, began, clock)}
  end

  --- {total, step, start, plan, memory, ...}: steps of a trial (nil: the script has no loop of batches), seconds a
  -- step and before the first one, bytes that its models plan, bytes that its process has at most; or nil, message.
  ---@param script table    {path, text, lua}
  ---@param params table
  ---@param seed integer
  ---@param patience? number   seconds, 60 by default
  ---@return table? cost
  ---@return string? message
  function M.measure (script, params, seed, patience)
    local pid, fd = process.fork()
    if pid == 0 then
      local channel = lurn.channel.new(fd)
      local ok, message = pcall(process.redirect, "/dev/null")
      if ok then ok, message = pcall(play, script, params, seed, channel) end
      if not ok then channel:send {cost = {status = "failed", message = tostring(message)}} end
      process.exit(0)
    end
    if not pid then return nil, fd end
    local channel, till, cost = lurn.channel.new(fd), lurn.sys.clock() + (patience or 60), nil
    repeat
      process.poll({fd}, 0.1)
      local messages, open = channel:messages()
      if messages[1] then cost = messages[1].cost end
    until cost or not open or lurn.sys.clock() > till
    process.kill(pid, "KILL")
    channel:close()
    while not process.ended(pid) do process.poll({}, 0.005) end
    if not cost then return nil, "the script did not come to its first steps" end
    if cost.status == "failed" then return nil, cost.message end
    return cost
  end

  return M
end
