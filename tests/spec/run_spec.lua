-- Runs: the loop, checkpoints, resume, interrupts, policies. On a stand-in engine (fake.lua); the same
-- promises are tested on the real one in resume_spec.lua.

local fake = require "fake"

local function temporary ()
  local path = os.tmpname()
  os.remove(path)
  return path .. ".h5"
end

-- An experiment over the stand-in, with a hook that may disturb it.
local function experiment (lurn, change)
  change = change or {}
  return lurn.experiment {
    name = "fake", params = {lr = 0.02, epochs = {3, float = true}}, run = function (run, p)
      local model = fake.model(lurn)
      local optim = fake.optim(lurn, model, p.lr)
      if change.model then change.model(model, run) end
      local split = fake.split(40)
      local best = run:fit {model = model, optim = optim, train = split, valid = split, epochs = p.epochs,
        eval_every = 15, on_nan = change.on_nan, patience = change.patience,
        goal = change.goal}
      return best.loss
    end}
end

local function bits (run)
  local out = {}
  for i, v in ipairs(run.model.w.values) do out[i] = ("%a"):format(v) end
  for name, series in pairs(run.metrics) do
    for i, v in ipairs(series.value) do out[#out + 1] = ("%s %d %a"):format(name, series.step[i], v) end
  end
  table.sort(out)
  return table.concat(out, "\n")
end

describe("a run", function ()
  local lurn, path
  before_each(function () lurn, path = fake.new(), temporary() end)
  after_each(function ()
    os.remove(path)
    os.remove(lurn.runfile.live_path(path))
  end)

  local function start (change, options)
    options = options or {}
    options.quiet, options.out = true, options.out or path
    return experiment(lurn, change):start(nil, options)
  end

  local function resume (change)
    return start(change, {resume = assert(lurn.runfile.read(path))})
  end

  it("plays epochs, evaluates and keeps the best", function ()
    local run = start():play()
    assert.equal("done", run.status)
    assert.equal(120, run.done)
    assert.equal(120, #run.metrics.loss.step)
    assert.same({15, 30, 45, 60, 75, 90, 105, 120}, run.metrics.valid_loss.step)
    assert.equal(run.best.value, run.result)
    assert.equal(run.result, run:summary().valid_loss.best)
  end)

  it("takes part of an epoch", function ()
    local run = experiment(lurn):start({epochs = 0.25}, {quiet = true, write = false}):play()
    assert.equal(10, run.done)
  end)

  it("goes on bit for bit from any step, in the middle of an epoch too", function ()
    local straight = start():play()
    for _, stop in ipairs {1, 14, 15, 16, 40, 77, 119, 120} do
      local run = start({model = function (_, r)
        local log = r.log
        r.log = function (...)
          log(...)
          if r.steps == stop then lurn.signal.raise("INT") end
        end
      end})
      run:play()
      assert.equal("interrupted", run.status)
      assert.equal(stop, run.done)
      lurn.signal.clear()
      local again = resume():play()
      assert.equal("done", again.status)
      assert.equal(bits(straight), bits(again))
      assert.equal(straight.result, again.result)
    end
  end)

  it("abandons a step on Ctrl-C and keeps the state before it", function ()
    local straight = start():play()
    local run = start {model = function (model)
      model.on_forward = function (n)
        if n == 50 then
          lurn.signal.raise("TERM")
          error(lurn.interrupted, 0)
        end
      end
    end}:play()
    assert.equal("terminated", run.status)
    assert.equal(49, run.done)
    lurn.signal.clear()
    assert.equal(bits(straight), bits(resume():play()))
  end)

  it("plays a committed iteration to its end before it stops", function ()
    local run = start {model = function (model)
      model.on_evaluate = function () lurn.signal.raise("INT") end
    end}:play()
    assert.equal("interrupted", run.status)
    assert.equal(15, run.done)
    assert.equal(15, assert(lurn.runfile.read(path)).counters.steps)
  end)

  it("keeps the last checkpoint when an error comes after the commit", function ()
    local run = start {model = function (model)
      local seen = 0
      model.on_evaluate = function ()
        seen = seen + 1
        if seen == 2 then error("boom") end
      end
    end}:play()
    assert.equal("failed", run.status)
    assert.matches("boom", run.error)
    assert.equal(29, assert(lurn.runfile.read(path)).counters.steps)
  end)

  it("writes the file before the first step", function ()
    local seen
    start {model = function (model)
      model.on_forward = function (n)
        if n == 1 then seen = lurn.runfile.read(path) end
      end
    end}:play()
    assert.equal(0, seen.counters.steps)
    assert.equal("running", seen.status)
  end)

  it("goes on when the disk is full, and says at the end that the result is not on it", function ()
    local run = start {model = function (model)
      model.on_forward = function () lurn.h5.full = true end
    end}:play()
    assert.equal("failed", run.status)
    assert.equal(120, run.done)
    assert.matches("no space left", run.error)
  end)

  it("cuts live metrics back to the checkpoint", function ()
    local run = start {model = function (model)
      model.on_forward = function (n) if n == 50 then error("killed") end end
    end}:play()
    assert.equal("failed", run.status)
    resume():play()
    local steps, last = {}, nil
    for line in io.lines(lurn.runfile.live_path(path)) do
      last = assert(lurn.json.decode(line))
      if last.loss then steps[#steps + 1] = last.step end
    end
    assert.equal("done", last.status)
    assert.equal(120, #steps)
    for i, step in ipairs(steps) do assert.equal(i, step) end
  end)

  it("cuts them in a file of their own: whoever is killed meanwhile leaves what there was", function ()
    local live = lurn.runfile.live_path(path)
    local function write (text)
      local f = assert(io.open(live, "wb"))
      f:write(text)
      f:close()
    end
    write "one\ntwo\nthree\n"
    local before <close> = assert(io.open(live, "rb"))
    local file, kept = lurn.runfile.open_live(path, 8)
    assert.equal(8, kept)
    file:write "four\n"
    file:close()
    assert.equal("one\ntwo\nthree\n", before:read "a")
    local after <close> = assert(io.open(live, "rb"))
    assert.equal("one\ntwo\nfour\n", after:read "a")
    file = lurn.runfile.open_live(path, 13)      -- nothing is cut: it is the same file
    file:write "five\n"
    file:close()
    assert.equal("five\n", after:read "a")
  end)

  describe("with a loss that is not finite", function ()
    local function nan (at, on_nan)
      return start {on_nan = on_nan, model = function (model) model.nan_at = at end}
    end
    it("stops", function ()
      local run = nan {[20] = true}:play()
      assert.equal("diverged", run.status)
      assert.matches("step 20", run.message)
      assert.equal(19, assert(lurn.runfile.read(path)).counters.steps)
    end)
    it("skips", function ()
      local run = nan({[20] = true}, "skip"):play()
      assert.equal("done", run.status)
      assert.equal(120, run.done)
    end)
    it("gives up after a hundred skips in a row", function ()
      local always = setmetatable({}, {__index = function () return true end})
      assert.equal("diverged", nan(always, "skip"):play().status)
    end)
    it("rolls back to the best weights with half the rate", function ()
      local optim
      local run = nan({[20] = true}, function (r, what)
        optim = r.optims[1]
        assert.is_true(what.loss ~= what.loss)
        return "rollback"
      end):play()
      assert.equal("done", run.status)
      assert.equal(0.01, optim.lr)
    end)
  end)

  it("stops at the evaluation that reaches the goal, and stays stopped", function ()
    local change = {goal = 0.25, model = function (model)
      local value = 2
      model.evaluate = function ()
        value = value / 2
        return {loss = value}
      end
    end}
    local run = start(change):play()
    assert.equal("done", run.status)
    assert.equal(45, run.done)
    assert.equal(0.25, run.result)
    assert.equal(45, resume(change):play().done)
  end)

  it("stops early when patience is used up, and stays stopped", function ()
    local change = {patience = 2, model = function (model)
      local value = 0
      model.evaluate = function ()
        value = value + 1
        return {loss = value}
      end
    end}
    local run = start(change):play()
    assert.equal("done", run.status)
    assert.equal(45, run.done)
    assert.equal(45, resume(change):play().done)
  end)

  it("says what run:report wants, and who counts the steps", function ()
    for _, case in ipairs {{"3, 0.5", {3, 0.5}}, {"nil, nil", {}}, {"'0.5', nil", {"0.5"}}} do
      local told = lurn.experiment {name = "told", run = function (run) run:report(table.unpack(case[2], 1, 2)) end}
      local run = told:start({}, {write = false, quiet = true}):play()
      assert.equal("failed", run.status)
      assert.truthy(tostring(run.error):find("run_spec.lua", 1, true))
      assert.truthy(tostring(run.error):find("run:report: expected a number and perhaps the name of a series, got "
        .. case[1] .. "; the step is counted by run:batches", 1, true), run.error)
    end
  end)

  it("says once that a script reports again and again while no step is counted", function ()
    local out = {}
    local stream = {write = function (_, ...) for _, text in ipairs {...} do out[#out + 1] = text end end,
      flush = function () end}
    local told = lurn.experiment {name = "told", run = function (run) for k = 1, 4 do run:report(k) end end}
    local run = told:start({}, {write = false, progress = lurn.progress.new {stream = stream, tty = false}}):play()
    assert.equal("done", run.status)
    assert.equal(1, select(2, table.concat(out):gsub("again in step 0; steps are counted by run:batches", "")))
  end)

  it("remembers a loop that was left by break, and the next one", function ()
    local function make (stop)
      return lurn.experiment {name = "two", run = function (run)
        local model = fake.model(lurn)
        local optim = fake.optim(lurn, model)
        local function play (steps, leave)
          for batch, step in run:batches(fake.split(10), {steps = steps}) do
            run:log {loss = model:forward(batch)}
            model:backward()
            optim:step()
            run.state.draws = (run.state.draws or 0) + math.random()
            if step == stop then lurn.signal.raise("INT") end
            if step == leave then break end
          end
        end
        play(10, 4)
        play(6)
        return run.state.draws
      end}
    end
    local straight = make():start(nil, {quiet = true, out = path}):play()
    assert.equal(10, straight.done)
    for stop = 1, 9 do
      if stop ~= 4 then
        local run = make(stop):start(nil, {quiet = true, out = path}):play()
        assert.equal("interrupted", run.status)
        lurn.signal.clear()
        local again = make():start(nil, {quiet = true, resume = assert(lurn.runfile.read(path)), out = path}):play()
        assert.equal(straight.result, again.result)
        assert.equal(bits(straight), bits(again))
      end
    end
  end)

  it("plays step by step for a prompt", function ()
    local run = start()
    run:step(7)
    assert.equal("waiting", run.status)
    assert.equal(7, run.done)
    assert.is_nil(lurn.current)
    run:step()
    assert.equal(8, run.done)
    run:continue()
    assert.equal("done", run.status)
    assert.has_error(function () run:step() end, "this run has ended: done")
  end)

  it("has the parameters that it was started with, whoever writes into them; the rate is the optimiser's", function ()
    local run = start()
    run:step(3)
    run.params.lr = 1
    assert.has_error.matches(function () run:step(1) end, "params.lr is 0.02 since the run began")
    run.optim.lr = 0.01
    run:step(1)
    assert.same({0.02, 4}, {run.params.lr, run.done})
  end)

  it("raises from continue what the script raises, with the script's line", function ()
    local run = lurn.experiment {name = "bad", run = function () error("my mistake") end}
      :start(nil, {write = false, quiet = true})
    assert.error_matches(function () run:continue() end, "my mistake")
  end)

  it("refuses what is not a run file in one sentence", function ()
    local function message (text)
      local f = assert(io.open(path, "w"))
      f:write(text)
      f:close()
      local file, why, code = lurn.runfile.read(path)
      assert.is_nil(file)
      assert.equal("EFORMAT", code)
      assert.equal(path, why:sub(1, #path))
      return why:sub(#path + 3)
    end
    assert.equal("not an HDF5 file", message "hello")
    assert.equal("an HDF5 file, but not a run file of lurn", message '{"objects":{},"attributes":{"/":{}}}')
    assert.matches("version 99", message '{"objects":{},"attributes":{"/":{"format":"lurn run","version":99}}}')
    assert.matches("damaged", message '{"objects":{},"attributes":{"/":{"format":"lurn run","version":1}}}')
    assert.is_nil((lurn.runfile.read "/nonexistent.h5"))
  end)
end)

describe("a reproducible script", function ()
  local lurn = fake.new()

  it("visits keys in order, and math.random is a stream", function ()
    local stream = {seed = 3, name = "", i = 0}
    lurn.repro.install(stream)
    local keys = {}
    for k in pairs {b = 1, a = 2, [3] = 1, [1.5] = 1, [true] = 1, c = 3} do keys[#keys + 1] = tostring(k) end
    local first = {math.random(), math.random(6), math.random(-3, 3)}
    stream.i = 0
    local second = {math.random(), math.random(6), math.random(-3, 3)}
    lurn.repro.uninstall()
    assert.same({"1.5", "3", "a", "b", "c", "true"}, keys)
    assert.same(first, second)
    assert.is_true(first[2] >= 1 and first[2] <= 6 and first[3] >= -3 and first[3] <= 3)
  end)

  it("survives clearing while it is visited", function ()
    local t, seen = {a = 1, b = 2, c = 3}, {}
    for k in lurn.repro.pairs(t) do
      seen[#seen + 1] = k
      t.b = nil
    end
    assert.same({"a", "c"}, seen)
  end)
end)
