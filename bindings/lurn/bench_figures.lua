--- Figures of `lurn bench` that are no step beside a peer's: waiting for data, starting, threads, growth with the size.

return function (lurn, work)
  local time = require "lurn.bench_time" (lurn)
  local M = require "lurn.bench_prompt" (lurn, work)

  local quote = lurn.shell.quote

  ---------------------------------------------------------------- a text on disk

  -- A data set of random characters, prepared as `lurn data text` does it; its path.
  local function make_text (program, case, characters)
    local path = os.tmpname()
    local text, letters = assert(io.open(path, "w")), {}
    local alphabet = {"\n"}
    for k = 2, case.vocab do alphabet[k] = string.char(k + 30) end
    for i = 1, characters do letters[i] = alphabet[math.random(case.vocab)] end
    for k = 1, case.vocab do letters[k] = alphabet[k] end      -- every one is in it
    text:write(table.concat(letters))
    text:close()
    local done = os.execute(("%s data text %s -o %s > /dev/null 2>&1"):format(quote(program), quote(path),
      quote(path .. ".h5")))
    os.remove(path)
    if not done then error("lurn data text failed", 0) end
    return path .. ".h5"
  end

  local function text_model (case, data)
    return lurn.stack {input = data, lurn.embedding {size = case.D},
      lurn.layers[case.cell] {hidden = case.H, layers = case.layers}, lurn.linear {size = #data.vocab},
      loss = lurn.loss.cross_entropy()}
  end

  ---------------------------------------------------------------- waiting for data

  -- One epoch of training on one thread, batches read from the file: the share of its time in which it waits for a
  -- batch. Sequences that end share no batch with what was timed before, so the first batch counts, too.
  function M.stall (row, context)
    local path = make_text(context.program, row.case, context.characters)
    local data = assert(lurn.open(path))
    lurn.core.threads(1)
    local model = text_model(row.case, data)
    local adam = lurn.optim.adam(model, {lr = 1e-3, clip_norm = 5})
    local feed = data.all:feed {batch = row.case.B, seq = row.case.T}
    local waited, start = 0, lurn.sys.clock()
    for k = 1, feed.steps do
      local before = lurn.sys.clock()
      local batch = feed:batch(1, k)
      waited = waited + lurn.sys.clock() - before
      model:forward(batch)
      model:backward()
      adam:step()
    end
    local whole = lurn.sys.clock() - start
    os.remove(path)
    return {share = waited / whole, ms = 1000 * whole, note = ("%d batches, %.0f ms in all"):format(feed.steps,
      1000 * whole)}
  end

  ---------------------------------------------------------------- starting up

  local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "start", params = {data = ""}, run = function (run, p)
  local data = assert(lurn.open(p.data))
  local model = lurn.stack {input = data, lurn.embedding {size = %d}, lurn.%s {hidden = %d, layers = %d},
    lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
  local optim = lurn.optim.adam(model, {clip_norm = 5})
  for batch in run:batches(data.all, {batch = %d, seq = %d, steps = 1}) do
    run:log {ready = lurn.sys.clock(), loss = model:forward(batch)}
    model:backward()
    optim:step()
    return lurn.sys.clock()
  end
end}
]]

  -- From the shell's command until the first step of `lurn run` is done, run file and all; beside it a PyTorch that
  -- starts, and does its first step of the same case. The clock is the machine's, one for all processes.
  function M.start_up (row, context)
    local case, path = row.case, make_text(context.program, row.case, 30000)
    local script, out = os.tmpname(), os.tmpname()
    local f = assert(io.open(script, "w"))
    f:write(SCRIPT:format(case.D, case.cell, case.H, case.layers, case.B, case.T))
    f:close()
    local seconds, ready, peer = {}, {}, {}
    for turn = 1, context.quick and 3 or 9 do
      local start = lurn.sys.clock()
      local run = io.popen(("%s run %s --data %s --out %s --json --quiet 2> /dev/null"):format(quote(context.program),
        quote(script), quote(path), quote(out .. ".h5")))
      local answer = lurn.json.decode(run:read "a")
      run:close()
      if not answer or type(answer.result) ~= "number" then error("lurn run did not start", 0) end
      seconds[turn], ready[turn] = answer.result - start, answer.metrics.ready.last - start
      os.remove(out .. ".h5")
      os.remove(out .. ".jsonl")
      local again = turn <= 3 and context.peers.torch and context.start_again(context.peers.torch)
      if again then
        again:begin(case)
        peer[#peer + 1] = lurn.sys.clock() - again.began
        again:finish()
        again:close()
      end
    end
    for _, name in ipairs {path, script, out} do os.remove(name) end
    local ms, theirs = 1000 * time.median(seconds), peer[1] and 1000 * time.median(peer)
    local note = ("its first batch is there after %.0f ms"):format(1000 * time.median(ready))
    if theirs then note = ("%s; %s: %.0f ms"):format(note, context.peers.torch.name, theirs) end
    return {ms = ms, peer_ms = theirs, note = note}
  end

  ---------------------------------------------------------------- threads

  -- 1, 2, 4, .. and as many as there are cores.
  local function numbers_of_threads ()
    local list, most = {}, lurn.sys.cpus()
    for k = 0, 10 do if 2 ^ k < most then list[k + 1] = 2 ^ k | 0 end end
    list[#list + 1] = most
    return list
  end

  --- A step on more and more threads: how many times faster than on one. The model is planned for all of them.
  function M.threads (row, context)
    local counts, sides = numbers_of_threads(), {}
    lurn.core.threads(counts[#counts])
    local step = work.make(row.case)
    step()
    for i, threads in ipairs(counts) do
      sides[i] = time.side("lurn", time.timed(step, threads), {threads = threads})
      time.calibrate(sides[i], context.budget.block)
    end
    time.take_turns(sides, 1, context.budget)
    local words, best = {("one thread %.4g ms"):format(1000 * time.median(sides[1].wall))}, time.best_of(sides)
    for i = 2, #sides do
      words[i] = ("%d: %.2f x"):format(counts[i], time.ratio_of(sides[i], sides[1], "wall").median)
    end
    return {ms = 1000 * time.median(best.wall), note = table.concat(words, ", ")}
  end

  ---------------------------------------------------------------- growth

  -- Sizes that one of T, B and H takes while the others stay.
  local FIXED = {kind = "train", cell = "lstm", T = 50, B = 32, D = 64, H = 64, layers = 1, out = 1, loss = "mse"}
  local SERIES = {T = {50, 100, 200, 400, 800}, B = {32, 64, 128, 256, 512}, H = {128, 192, 256, 384, 512}}
  local UNIT = {T = "steps", B = "rows", H = "parameters"}

  -- The slope of log y over log x, by least squares: time as a power of size.
  local function exponent (xs, ys)
    local n, sx, sy, sxx, sxy = #xs, 0, 0, 0, 0
    for i = 1, n do
      local x, y = math.log(xs[i]), math.log(ys[i])
      sx, sy, sxx, sxy = sx + x, sy + y, sxx + x * x, sxy + x * y
    end
    return (n * sxy - sx * sy) / (n * sxx - sx * sx)
  end

  -- The least CPU time of some steps, and how much the process has grown by them, beside what was to be expected: the
  -- model's plan, weights, gradients and two moments of each, the batch.
  local function one_size (case, tries, memory)
    local real = lurn.precision == "f64" and 8 or 4
    memory.forget()
    local before = memory.peak()
    local model, batch = work.stack(case), work.batch(case)
    local adam = lurn.optim.adam(model, {lr = 1e-3, clip_norm = 5})
    local least = math.huge
    for _ = 1, tries do
      local start = os.clock()
      model:forward(batch)
      model:backward()
      adam:step()
      least = math.min(least, os.clock() - start)
    end
    local known = real * (4 * model:count() + case.T * case.B * (case.D + case.out))
    return {ms = 1000 * least, parameters = model:count(), plan = model:plan(case.T, case.B).bytes + known,
      grown = memory.peak() - before}
  end

  --- Time of a training step, on one thread, as T, B or the parameters grow, and memory beside the plan.
  ---@return {points: table[], unit: string, exponent: number, excess: number}
  function M.growth (row, context)
    lurn.core.threads(1)
    local points, xs, ys, excess = {}, {}, {}, -math.huge
    for i, n in ipairs(SERIES[row.vary]) do
      local case = {}
      for k, v in next, FIXED do case[k] = v end
      case[row.vary] = n
      if row.vary == "H" then case.D = n end
      local p = one_size(case, context.quick and 3 or 7, context.memory)
      p.size = row.vary == "H" and p.parameters or n
      points[i], xs[i], ys[i] = p, p.size, p.ms
      excess = math.max(excess, p.grown - p.plan)
    end
    return {points = points, unit = UNIT[row.vary], exponent = exponent(xs, ys), excess = excess}
  end

  return M
end
