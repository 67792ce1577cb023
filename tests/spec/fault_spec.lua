-- What goes wrong in mid-step leaves the last committed state; what is wrong with a file or a shape gives one
-- message. On the real engine. (kill -9 and Ctrl-C at the end of a step: resume_spec.lua.)

local lurn = require "lurn"
local json = lurn.json
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local TEXT = {}
for i = 1, 80 do TEXT[i] = ("%d bottles of beer on the wall, %d bottles of beer."):format(i, i * i) end

-- Everything of a run file that a step changes, as text.
local function content (name)
  local file = assert(lurn.runfile.read(shell.path(name)))
  local out = {steps = file.steps, state = file.state, numbers = file.optims[1].numbers, metrics = file.metrics,
    random = file.counters.random}
  for group, tensors in pairs {weights = file.models[1].weights, carried = file.models[1].state,
                               moments = file.optims[1].tensors, best = file.best.weights and file.best.weights[1]} do
    out[group] = {}
    for key, tensor in pairs(tensors) do out[group][key] = tensor:totable() end
  end
  return json.encode(out), file
end

-- A run over the text; disturb (model, run) may wrap the model's methods.
local function start (name, disturb, fit)
  local experiment = lurn.experiment {name = "fault", run = function (run)
    local data = assert(lurn.text(shell.path "text.txt"))
    local model = lurn.stack {input = data, lurn.embedding {size = 6}, lurn.lstm {hidden = 8, layers = 2},
      lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = 1e-2})
    if disturb then disturb(model, run, optim) end
    local o = {model = model, optim = optim, train = data.train, valid = data.valid, steps = 40, batch = 5, seq = 7,
      eval_every = 10}
    for key, value in pairs(fit or {}) do o[key] = value end
    return run:fit(o)
  end}
  return experiment:start(nil, {out = shell.path(name), quiet = true, seed = 3})
end

local function parameter (model, path)
  for _, p in ipairs(model:parameters()) do if p.path == path then return p end end
end

-- A gradient that is not finite, made after the backward pass of the given steps.
local function bad_gradient (steps)
  return function (model, run)
    local backward = model.backward
    function model.backward (m)
      backward(m)
      if steps[run.steps] then parameter(m, "lstm1.i.Wh").grad:fill(0 / 0) end
    end
  end
end

-- A weight that is not finite during the forward pass of the given steps, and itself again afterwards.
local function bad_weight (path, steps)
  return function (model, run)
    local forward = model.forward
    function model.forward (m, batch)
      local value = parameter(m, path).value
      local kept = value:clone()
      if steps[run.steps] then value:fill(0 / 0) end
      m:touch()
      local loss = forward(m, batch)
      if steps[run.steps] then m.where = m:blame() end
      value:copy(kept)
      m:touch()
      return loss
    end
  end
end

describe("a step that is not finite", function ()
  local straight
  setup(function ()
    shell.open()
    shell.write("text.txt", table.concat(TEXT, "\n"))
    -- What the run file holds after 12 steps.
    local run = start("straight.h5")
    run:step(12)
    assert(run:checkpoint())
    straight = content "straight.h5"
  end)
  teardown(shell.close)

  it("leaves parameters, moments and carried state as the last commit made them", function ()
    local bad = {[13] = true}
    for what, disturb in pairs {gradient = bad_gradient(bad), weight = bad_weight("lstm2.f.b", bad)} do
      local run = start("nan.h5", disturb):play()
      assert.equal("diverged", run.status, what)
      assert.equal(12, run.done)
      local now, file = content "nan.h5"
      assert.equal(straight, now, what)
      assert.equal("diverged", file.status)
    end
  end)

  it("names what, where and when", function ()
    local run = start("nan.h5", function (model, run)
      local forward = model.forward
      function model.forward (m, batch)
        if run.steps == 13 then
          parameter(m, "lstm2.f.b").value[3] = 0 / 0
          m:touch()
        end
        return forward(m, batch)
      end
    end):play()
    assert.equal("step 13: loss NaN, gradient norm not computed; parameter lstm2.f.b is not finite (element 3)",
      run.message)
  end)

  it("names operation, layer, step and row of an overflow", function ()
    -- Sums of 40 terms of this size leave the range of f32 in some column.
    local rows = {}
    for i = 1, 4 do
      local x = lurn.f32.ones(3, 40)
      if i == 3 then x[2]:fill(3e38) end
      rows[i] = {x = x, y = lurn.f32.zeros(3, 1)}
    end
    local experiment = lurn.f32.experiment {name = "overflow", run = function (run)
      local data = lurn.f32.dataset(rows)
      local model = lurn.f32.stack {input = data, lurn.f32.rnn {hidden = 64, activation = "identity"},
        lurn.f32.linear {size = 1}, loss = lurn.f32.loss.mse()}
      return run:fit {model = model, optim = lurn.f32.optim.sgd(model), train = data.train, batch = 4, shuffle = false}
    end}
    local run = experiment:start(nil, {write = false, quiet = true}):play()
    assert.equal("diverged", run.status)
    assert.matches("^step 1: loss %a+, gradient norm not computed; forward pass: product in rnn1 %(register r%d+%) at "
      .. "step 2, row 3$", run.message)
  end)

  it("is left out under skip: the next step goes on from the last committed state", function ()
    local carried
    local function look (wrap)
      return function (model, run)
        wrap(model, run)
        local forward = model.forward
        function model.forward (m, batch)
          if run.steps == 15 then carried = m:state() end
          return forward(m, batch)
        end
      end
    end
    local bad = {[13] = true, [14] = true}
    for _, wrap in ipairs {bad_gradient(bad), bad_weight("lstm1.g.b", bad)} do
      local run = start("skip.h5", look(wrap), {on_nan = "skip"}):play()
      assert.equal("done", run.status, run.trace)
      assert.equal(2, run.result.skipped)
      assert.equal(40, run.done)
      assert.equal(38, select(2, content "skip.h5").optims[1].numbers.steps)
      local file = assert(lurn.runfile.read(shell.path "straight.h5"))
      for name, tensor in pairs(file.models[1].state) do
        assert.same(tensor:totable(), carried[name]:totable(), name)
      end
      assert.is_true(run.result.loss == run.result.loss)
    end
  end)

  it("ends a run after a hundred in a row", function ()
    local all = setmetatable({}, {__index = function () return true end})
    local run = start("many.h5", bad_gradient(all), {on_nan = "skip", steps = 300}):play()
    assert.equal("diverged", run.status)
    assert.equal(99, run.done)
  end)

  it("goes back to the best weights at half the rate under rollback", function ()
    local rate, weights
    local run = start("roll.h5", function (model, run, optim)
      bad_gradient {[17] = true} (model, run)
      local forward = model.forward
      function model.forward (m, batch)
        if run.steps == 18 then rate, weights = optim.lr, parameter(m, "linear1.Wo").value:totable() end
        return forward(m, batch)
      end
    end, {on_nan = "rollback"})
    run:step(16)
    local best = run.best.weights[1]["linear1.Wo"]:totable()
    assert.equal(10, run.best.step)
    run:continue()
    assert.equal(5e-3, rate)
    assert.same(best, weights)
    assert.equal("done", run.status)
  end)

  it("asks a function, which may look", function ()
    local asked
    local run = start("ask.h5", bad_gradient {[13] = true}, {on_nan = function (r, what)
      asked = {r.steps, what.loss == what.loss, what.norm ~= what.norm, type(what.batch)}
      return "stop"
    end}):play()
    assert.equal("diverged", run.status)
    assert.same({13, true, true, "userdata"}, asked)
  end)
end)

-- Steps of some milliseconds, so that a signal that comes at any time comes in the middle of one.
local SLOW = [[
local lurn = require "lurn"
return lurn.experiment {name = "slow", run = function (run)
  local data = assert(lurn.text "text.txt")
  local model = lurn.stack {input = data, lurn.embedding {size = 16}, lurn.lstm {hidden = 40, layers = 2,
    dropout = 0.1}, lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
  local optim = lurn.optim.adam(model, {lr = 1e-2, schedule = "cosine"})
  return run:fit {model = model, optim = optim, train = data.train, valid = data.valid, steps = 40, batch = 20,
    seq = 50, eval_every = 15}.loss
end}
]]

describe("Ctrl-C", function ()
  setup(function ()
    shell.open()
    shell.write("text.txt", table.concat(TEXT, "\n"):rep(2))
    shell.write("slow.lua", SLOW)
  end)
  teardown(shell.close)

  when_built("at any moment leaves a whole run file, from which the run goes on bit for bit", function ()
    local code, _, err = shell.lurn "run slow.lua --quiet --out straight.h5"
    assert.equal(0, code, err)
    local straight, whole = content "straight.h5"
    local seconds, stopped = whole.seconds, 0
    local times = os.getenv "LURN_CHECK" and 2 or 4
    for k = 1, times do
      os.remove(shell.path "cut.h5")
      -- The start of the process takes some time too; where in a step the signal comes nobody can say.
      local wait = 0.05 + seconds * (k - 0.5) / times
      code = shell.lurn("run slow.lua --quiet --out cut.h5",
        ("timeout --foreground --preserve-status -s INT %.3f"):format(wait))
      if shell.exists "cut.h5" then
        local _, file = content "cut.h5"
        assert.is_true(code == 0 or code == 130, code)
        if file.status == "interrupted" then
          stopped = stopped + 1
          assert.equal(file.steps, file.optims[1].numbers.steps)
        end
        code, _, err = shell.lurn "run --quiet --resume cut.h5"
        assert.equal(0, code, err)
        assert.equal(straight, (content "cut.h5"))
      end
    end
    assert.is_true(stopped > 0)
  end)
end)

local USES = [[
local lurn = require "lurn"
return lurn.experiment {name = "uses", params = {data = "", kind = "text"}, run = function (run, p)
  local data
  if p.kind == "text" then data = assert(lurn.text(p.data))
  elseif p.kind == "open" then data = assert(lurn.open(p.data))
  elseif p.kind == "nan" then data = assert(lurn.dataset {{x = {{1.0}, {0 / 0}}, y = {{1.0}, {2.0}}}})
  elseif p.kind == "uneven" then data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}, {3.0}}}})
  else data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}}) end
  local model = lurn.stack {input = data, lurn.rnn {hidden = 2}, lurn.linear {size = 3}, loss = lurn.loss.mse()}
  return run:fit {model = model, optim = lurn.optim.sgd(model), train = data.train}.loss
end}
]]

describe("one message for", function ()
  setup(function ()
    shell.open()
    shell.write("text.txt", "some text")
    shell.write("empty.txt", "")
    shell.write("not.h5", "this is no HDF5 file\n")
    shell.write("uses.lua", USES)
    local set = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}})
    assert(set.set:save(shell.path "set.h5"))
    local whole = shell.read "set.h5"
    for i, part in ipairs {0.2, 0.5, 0.9} do shell.write(("cut%d.h5"):format(i), whole:sub(1, #whole * part // 1)) end
  end)
  teardown(shell.close)

  local function refused (code, arguments, pattern)
    local got, out, err = shell.lurn(arguments)
    assert.equal(code, got, arguments .. ": " .. err)
    assert.equal("", out)
    assert.matches(pattern, err)
    if code == 3 then
      assert.equal(1, select(2, err:gsub("\n", "")), err)
      assert.matches("^lurn: ", err)
    end
  end

  when_built("files that are missing, empty, truncated or something else", function ()
    refused(3, "run uses.lua --quiet --data nowhere.txt", "nowhere.txt")
    refused(3, "run uses.lua --quiet --data empty.txt", "empty.txt: empty")
    refused(3, "run uses.lua --quiet --kind open --data nowhere.h5", "nowhere.h5: cannot open")
    refused(3, "run uses.lua --quiet --kind open --data not.h5", "not.h5: not an HDF5 file")
    refused(3, "run uses.lua --quiet --kind open --data text.txt", "text.txt: not an HDF5 file")
    for i = 1, 3 do
      local name = ("cut%d.h5"):format(i)
      refused(3, "run uses.lua --quiet --kind open --data " .. name, name .. ": ")
      refused(3, "inspect " .. name, name .. ": ")
      refused(3, "sample " .. name, name .. ": ")
      refused(3, "run --resume " .. name, name .. ": ")
    end
    refused(3, "sample set.h5", "set.h5: an HDF5 file, but not a run file of lurn")
    refused(3, "run --resume text.txt", "text.txt: not an HDF5 file")
  end)

  when_built("shapes that do not fit and numbers that are none", function ()
    refused(1, "run uses.lua --quiet --kind shape", "'y': the model expects time %(3%) real, got time %(1%) real")
    refused(1, "run uses.lua --quiet --kind nan", "x of sequence 1, step 2, column 1: not a number")
    refused(1, "run uses.lua --quiet --kind uneven", "sequence 1 has 2 steps of x and 3 of y")
  end)

  it("the same in the module: nil, message and code for files, an error for the rest", function ()
    for name, pattern in pairs {["nowhere.h5"] = "cannot open", ["not.h5"] = "not an HDF5 file",
                                ["cut2.h5"] = ": truncated file: "} do
      local data, message, code = lurn.open(shell.path(name))
      assert.is_nil(data)
      assert.equal(shell.path(name), message:sub(1, #shell.path(name)))
      assert.matches(pattern, message)
      assert.equal("string", type(code))
    end
    local data, message = lurn.text(shell.path "empty.txt")
    assert.is_nil(data)
    assert.matches("empty.txt: empty", message)
    assert.error_matches(function () return lurn.dataset {{x = {{1.0}, {1 / 0}}, y = {{1.0}, {2.0}}}} end,
      "x of sequence 1, step 2, column 1: infinite")
    local model = lurn.stack {input = {dim = 2}, lurn.rnn {hidden = 2}, loss = lurn.loss.mse()}
    local batch = lurn.batch {x = lurn.zeros(3, 1, 4), y = lurn.zeros(3, 1, 2)}
    assert.error_matches(function () return model:forward(batch) end,
      "'x': the model expects time %(2%) real, got time %(4%) real")
  end)
end)
