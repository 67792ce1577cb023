--- Figures of `lurn bench` that a person at a terminal feels: how long a prompt takes to be there, how long the key Tab
-- takes among many names, and what a run pays for its line of progress. Medians of twenty; CPU time stands beside.

return function (lurn, work)
  local time = require "lurn.bench_time" (lurn)
  local M = {}

  local TIMES, NAMES, CALLS = 20, 10000, 20000

  local function quote (text) return "'" .. text:gsub("'", "'\\''") .. "'" end

  ---------------------------------------------------------------- the prompt

  -- One start at a pseudo-terminal (script, of bsdutils): seconds until the prompt stands there, and the CPU time that
  -- the prompt itself, which is asked, has had by its first entry.
  local function start_once (program)
    local begin = lurn.sys.clock()
    -- At the end of its input script would wait a quarter of a second: that comes later.
    local command = "(printf 'os.clock()\\n\\004'; sleep 0.5) | TERM=xterm script -qfc %s /dev/null 2>&1"
    local pipe = io.popen(command:format(quote(program)))
    local text, seconds = "", nil
    while true do
      local c = pipe:read(1)
      if not c then break end
      text = text .. c
      if not seconds and c == " " and text:find "leaves.*> $" then seconds = lurn.sys.clock() - begin end
    end
    pipe:close()
    return seconds, tonumber(text:match "leaves.-(%d+%.%d+)\r?\n")
  end

  --- From the command `lurn` to its prompt, a pseudo-terminal's program included.
  function M.prompt (_, context)
    local wall, cpu = {}, {}
    for k = 1, context.quick and 5 or TIMES do
      wall[k], cpu[k] = start_once(context.program)
      if not wall[k] then return {ms = 0 / 0, note = "no prompt came; is there the command script (bsdutils)?"} end
    end
    return {ms = 1000 * time.median(wall), note = ("CPU %.1f ms; median of %d starts"):format(1000 * time.median(cpu),
      #wall)}
  end

  ---------------------------------------------------------------- completion

  --- The key Tab behind `t.name`, where t has ten thousand fields that begin so.
  function M.completion ()
    local many = {}
    for k = 1, NAMES do many[("name%05d"):format(k)] = k end
    local session = {lurn = lurn, show = require "lurn.show" (lurn), kept = {}, scope = {t = many}}
    session.words = require "lurn.prompt_words" (session).words
    local complete = require "lurn.complete" (session)
    local wall, cpu = {}, {}
    for k = 1, TIMES do
      local begin, clock = lurn.sys.clock(), os.clock()
      local _, list = complete.at("t.name", 7)
      wall[k], cpu[k] = lurn.sys.clock() - begin, os.clock() - clock
      if #list ~= NAMES then error(("completion found %d of %d names"):format(#list, NAMES), 0) end
    end
    return {ms = 1000 * time.median(wall), note = ("CPU %.1f ms; %d names"):format(1000 * time.median(cpu), NAMES)}
  end

  ---------------------------------------------------------------- progress

  -- CPU time of run:log a call, in a run whose steps take so long by the reporter's clock.
  local function log_cost (model, batch, step_seconds, quiet)
    local now, clock, cost = 0, lurn.sys.clock, nil
    local nowhere <close> = assert(io.open("/dev/null", "w"))
    local progress = lurn.progress.new {quiet = quiet, tty = true, columns = 80, stream = nowhere,
      clock = function () return now + 0 * clock() end}
    local feed = {steps = 1, batch = function () return batch end}
    lurn.experiment {name = "progress", run = function (run)
      run:adopt("model", model)
      for _ in run:batches(feed, {steps = 1}) do
        model:forward(batch)
        local begin = os.clock()
        for _ = 1, CALLS do
          now = now + step_seconds
          run:log {loss = 1.0, grad_norm = 1.0}
        end
        cost = (os.clock() - begin) / CALLS
      end
    end}:start({}, {write = false, progress = progress}):continue()
    return cost
  end

  --- What showing progress costs a training step: the difference that it makes to run:log, as a share of the step.
  function M.progress (row)
    local step = work.make(row.case)
    local model, batch = work.stack(row.case), work.batch(row.case)
    local steps, costs = {}, {}
    step()
    for k = 1, TIMES do
      local begin = os.clock()
      for _ = 1, 10 do step() end
      steps[k] = (os.clock() - begin) / 10
    end
    local each = time.median(steps)
    for k = 1, 5 do costs[k] = log_cost(model, batch, each, false) - log_cost(model, batch, each, true) end
    local cost = time.median(costs)
    return {share = cost / each, note = ("%.2f us of a step of %.0f us, CPU time"):format(1e6 * cost, 1e6 * each)}
  end

  return M
end
