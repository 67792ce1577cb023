-- SIGINT, SIGTERM and SIGHUP: a checkpoint within a step, the exit codes, an evaluation that is not waited for, a
-- second signal. With real processes; what is measured in seconds is generous, because the machine may be busy.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

-- The script says in a file where it is; `at` chooses the moment at which a signal is wanted.
local SCRIPT = [[
local lurn = require "lurn"
local function say (what) io.open(what, "w"):close() end
local function wait (seconds)      -- os.execute would ignore SIGINT meanwhile
  local clock = lurn.sys.clock
  local till = clock() + seconds
  while clock() < till do end
end
return lurn.experiment {name = "signals", params = {at = "step", steps = 40, hidden = 16},
  run = function (run, p)
    if p.at == "data" then
      say "ready"
      while true do math.sin(1) end
    end
    local long = {}
    for i = 1, 100 do long[i] = {(i * 37 % 101) / 101} end
    local set = {split = {train = {1, 16}, valid = {17, 216}}}
    for i = 1, 216 do set[i] = {x = long, y = long} end
    local data = assert(lurn.dataset(set))
    local model = lurn.stack {input = data, lurn.lstm {hidden = p.hidden}, lurn.linear {size = 1},
      loss = lurn.loss.mse()}
    local log = run.log
    function run:log (values)
      log(self, values)
      if p.at == "step" and self.steps == 15 then say "ready" end
      if p.at == "late" and self.steps == 15 then
        say "ready"
        wait(2)
      end
    end
    local forward = model.forward
    function model:forward (batch)
      if p.at == "step" and run.steps > 15 and run.steps < 20 then wait(0.1) end
      return forward(self, batch)
    end
    local evaluate, times = model.evaluate, 0
    function model:evaluate (...)
      times = times + 1
      if os.getenv "LURN_TEST_FAIL" then error "no evaluation" end
      if p.at == "evaluation" and times == 2 then
        say "ready"
        for _ = 1, 1000 do evaluate(self, ...) end
      end
      return evaluate(self, ...)
    end
    run:fit {model = model, optim = lurn.optim.adam(model), train = data.train, valid = data.valid, seq = 0, batch = 4,
      steps = p.steps, eval_every = 10}
    if p.at == "end" then
      say "ready"
      for _ = 1, 1000 do evaluate(model, data.valid) end
    end
    return 1
  end}
]]

-- A loop by hand, whose evaluations take a while: the first one a second, the second one more than a minute.
local LOOP = [[
local lurn = require "lurn"
return lurn.experiment {name = "loop", params = {times = 1}, run = function (run, p)
  local data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}})
  local model = lurn.stack {input = data, lurn.rnn {hidden = 2}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
  local optim = lurn.optim.sgd(model)
  for batch, step in run:batches(data.train, {steps = 40}) do
    model:forward(batch)
    model:backward()
    optim:step()
    if step % 10 == 0 then
      if step == 10 * p.times then io.open("ready", "w"):close() end
      local till = lurn.sys.clock() + (step == 10 and 1 or 60)
      repeat model:evaluate(data.train) until lurn.sys.clock() > till
      run:report(1 / step)
    end
  end
end}
]]

-- A shell has what it starts in the background ignore SIGINT, and nohup a hangup, hence env.
local function begin (options, script)
  os.remove(shell.path "ready")
  os.remove(shell.path "code")
  os.remove(shell.path "run.h5")
  assert(os.execute(("cd %s && { (env --default-signal=INT,HUP %s run %s --quiet --out run.h5 %s "
    .. ">/dev/null 2>err & echo $! >pid; wait $!; echo $? >code.tmp; mv code.tmp code) & }"):format(shell.folder,
    shell.bin, script or "script.lua", options)))
  for _ = 1, 600 do
    if shell.exists "ready" then return tonumber(shell.read "pid") end
    os.execute "sleep 0.02"
  end
  error("the script never came there: " .. shell.read "err")
end

-- Sends the signals; the exit code and the seconds until there was one.
local function stop (pid, ...)
  local began = lurn.sys.clock()
  for _, signal in ipairs {...} do os.execute(("kill -%s %d; sleep 0.05"):format(signal, pid)) end
  while not shell.exists "code" do os.execute "sleep 0.01" end
  return tonumber(shell.read "code"), lurn.sys.clock() - began
end

local function content ()
  local file = assert(lurn.runfile.read(shell.path "run.h5"))
  local out = {steps = file.counters.steps, metrics = file.metrics, best = file.best_value}
  for path, tensor in pairs(file.models[1].weights) do out[path] = tensor:totable() end
  for name, tensor in pairs(file.optims[1].tensors) do out[name] = tensor:totable() end
  return lurn.json.encode(out), file
end

local MOST = os.getenv "LURN_CHECK" and 10 or 1.5

describe("a signal", function ()
  local straight
  setup(function ()
    shell.open()
    shell.write("script.lua", SCRIPT)
    if not shell.ready then return end
    local code, _, err = shell.lurn "run script.lua --quiet --out run.h5"
    assert(code == 0, err)
    straight = content()
  end)
  teardown(shell.close)

  local function resume ()
    -- The script of the file asks for the same moment again; nobody sends a signal now.
    local code, _, err = shell.lurn "run --quiet --resume run.h5"
    assert.equal(0, code, err)
    assert.equal(straight, (content()))
  end

  for signal, expected in pairs {INT = 130, TERM = 143} do
    when_built(("SIG%s in a step is a checkpoint and exit code %d"):format(signal, expected), function ()
      local code, seconds = stop(begin "--at step", signal)
      assert.equal(expected, code, shell.read "err")
      assert.is_true(seconds < MOST, seconds)
      local _, file = content()
      assert.equal(signal == "INT" and "interrupted" or "terminated", file.status)
      assert.is_true(file.counters.steps >= 15 and file.counters.steps < 19)
      resume()
    end)

    when_built(("SIG%s in an evaluation does not wait for its end"):format(signal), function ()
      local code, seconds = stop(begin "--at evaluation", signal)
      assert.equal(expected, code, shell.read "err")
      assert.is_true(seconds < MOST, seconds)
      -- The step that was committed before the evaluation is played again: the file is of the boundary before it.
      local _, file = content()
      assert.equal(19, file.counters.steps)
      local status = signal == "INT" and "interrupted" or "terminated"
      local attempt = file.manifest.attempts[#file.manifest.attempts]
      assert.same({status, status, 19}, {file.status, attempt.status, attempt.to})
      -- The same is said of a script that fails there, also where the file is that of the process before.
      assert.equal(1, (shell.lurn("run --quiet --resume run.h5", "LURN_TEST_FAIL=1")))
      _, file = content()
      assert.same({"failed", 19}, {file.status, file.counters.steps})
    end)
  end

  when_built("changes nothing else in the run file by saying how the run ended", function ()
    shell.lurn "run script.lua --quiet --out m.h5 --steps 10"
    local function plain (value)
      if type(value) == "userdata" then return value:totable() end
      local out = value
      if type(value) == "table" then
        out = {}
        for k, v in pairs(value) do out[k] = plain(v) end
      end
      return out
    end
    local path = shell.path "m.h5"
    local before = plain(assert(lurn.runfile.read(path)))
    assert(lurn.runfile.mark(path, "terminated"))
    local after = plain(assert(lurn.runfile.read(path)))
    assert.same({"done", "terminated"}, {before.status, after.status})
    for _, file in ipairs {before, after} do
      local attempt = file.manifest.attempts[1]
      file.status, file.updated, attempt.status, attempt["end"] = nil, nil, nil, nil
    end
    assert.same(before, after)
  end)

  when_built("in an evaluation of a loop by hand waits for its end unless the run file was renewed before", function ()
    shell.write("loop.lua", LOOP)
    for times, steps in ipairs {10, 19} do      -- the first evaluation comes unexpected
      local code, seconds = stop(begin("--times " .. times, "loop.lua"), "TERM")
      assert.equal(143, code, shell.read "err")
      assert.is_true(seconds < MOST + (times == 1 and 1 or 0), seconds)
      local file = assert(lurn.runfile.read(shell.path "run.h5"))
      assert.same({steps, "terminated"}, {file.counters.steps, file.status})
    end
  end)

  when_built("in an evaluation loses nothing", function ()
    assert.equal(143, (stop(begin "--at evaluation", "TERM")))
    -- Without the thousand evaluations: they change nothing, so the run that has none is the same.
    shell.write("script.lua", (SCRIPT:gsub("for _ = 1, 1000 do evaluate%(self, %.%.%.%) end", "")
      :gsub('say "ready"', "")))
    local file = assert(lurn.runfile.read(shell.path "run.h5"))
    local experiment = assert(lurn.experiment.load(shell.path "script.lua"))
    local run = experiment:start({at = "evaluation"}, {resume = file, out = shell.path "run.h5", quiet = true}):play()
    shell.write("script.lua", SCRIPT)
    assert.equal("done", run.status, run.trace)
    assert.equal(straight, (content()))
  end)

  when_built("before the first step ends the run while its data are made", function ()
    local code, seconds = stop(begin "--at data", "TERM")
    assert.equal(143, code)
    assert.is_true(seconds < MOST, seconds)
    assert.is_false(shell.exists "run.h5")
  end)

  when_built("after the last step is a checkpoint from which the end is played again", function ()
    local code, seconds = stop(begin "--at end", "INT")
    assert.equal(130, code)
    assert.is_true(seconds < MOST, seconds)
    local _, file = content()
    assert.equal(40, file.counters.steps)
    assert.equal("interrupted", file.status)
  end)

  when_built("of a terminal that is gone is one to end, however often it comes", function ()
    assert.equal(143, (stop(begin "--at late", "HUP", "HUP", "HUP")))
    local _, file = content()
    assert.same({"terminated", 15}, {file.status, file.counters.steps})
  end)

  when_built("that comes second, of whichever kind, ends the process at once", function ()
    for _, pair in ipairs {{"INT", "TERM"}, {"TERM", "TERM"}, {"TERM", "INT"}} do
      local code, seconds = stop(begin "--at late", table.unpack(pair))
      assert.equal(pair[2] == "INT" and 130 or 143, code)
      assert.is_true(seconds < MOST, seconds)
      assert(lurn.runfile.read(shell.path "run.h5"))
    end
  end)
end)
