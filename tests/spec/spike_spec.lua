-- Spikes: what counts as one, and that a step which is refused has never happened. On the real engine.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "engine_helper"
local shell = require "shell_helper"

local l = lurn.f64
local spikes = l.spike

describe("a window of numbers", function ()
  local function filled (list)
    local w = spikes.new(#list)
    for _, x in ipairs(list) do spikes.add(w, x, 7) end
    return w
  end

  it("scores by deviations from the mean of those before, once it is full", function ()
    local w = spikes.new(4)
    for k, x in ipairs {1, 3, 1, 3} do
      assert.is_nil(spikes.score(w, 100), k)
      spikes.add(w, x, 7)
    end
    assert.equal(0.0, spikes.score(w, 2))
    assert.equal(98.0, spikes.score(w, 100))
    assert.equal(-1.0, spikes.score(w, 1))
    spikes.add(w, 5, 7)                               -- in place of the oldest: 5, 3, 1, 3
    assert(math.abs(spikes.score(w, 5) - math.sqrt(2)) < 1e-12)
  end)

  it("is not blinded by a spike, and gets used to a level", function ()
    local list = {}
    for k = 1, 128 do list[k] = 1 + 0.1 * math.sin(k) end
    local w = filled(list)
    spikes.add(w, 1e9, 7)
    assert(spikes.score(w, 3) > 7)
    local steps = 0
    while spikes.score(w, 50) > 7 do
      spikes.add(w, 50, 7)
      steps = steps + 1
    end
    assert(steps > 3 and steps < 50, steps)
  end)

  it("that hardly moves allows a hundredth of the mean as a deviation", function ()
    local w = filled {2, 2, 2, 2}
    assert.equal(0.0, spikes.score(w, 2))
    assert(math.abs(spikes.score(w, 2.1) - 5) < 1e-9)
  end)
end)

-- A run of 60 steps over sequences; at(step, model) may change the gradient after the backward pass.
local function start (fit, at, name)
  local experiment = l.experiment {name = "spike", run = function (run)
    local set = {}
    for i = 1, 12 do set[i] = {x = h.row(i, 8, h.D, 1), y = h.row(i, 8, h.K, 2)} end
    local data = l.dataset(set)
    local model = l.stack {input = data, l.gru {hidden = 4}, l.linear {size = h.K}, loss = l.loss.mse()}
    local optim = l.optim.adam(model, {lr = 1e-3, clip_norm = 1})
    local backward = model.backward
    function model.backward (m)
      backward(m)
      if at then at(run.steps, m) end
    end
    local o = {model = model, optim = optim, train = data.train, valid = data.train, steps = 60, batch = 4, seq = 4,
      spike_window = 20, eval_every = 10}
    for k, v in pairs(fit) do o[k] = v end
    return run:fit(o)
  end}
  return experiment:start(nil, {out = name and shell.path(name), write = name ~= nil, quiet = true})
end

local function times (factor, ...)
  local steps = {}
  for _, step in ipairs {...} do steps[step] = true end
  return function (step, model)
    if not steps[step] then return end
    for _, p in ipairs(model:parameters()) do p.grad:mul_(factor) end
  end
end

local function whole (run)
  return bits {h.values(run.model), run.model:state(), run.optims[1]:save().tensors, run.model.step_count}
end

describe("a spike", function ()
  setup(shell.open)
  teardown(shell.close)

  it("is none without on_spike, nor before the window is full", function ()
    assert(whole(start({}, times(1e4, 30)):play()) ~= whole(start({}):play()))
    local run = start({on_spike = "skip"}, times(1e4, 20)):play()
    assert.same({"done", 0}, {run.status, run.result.skipped})
  end)

  it("that is skipped is as if that step had not been finite", function ()
    local spike = start({on_spike = "skip"}, times(1e4, 30, 31)):play()
    local broken = start({on_nan = "skip"}, times(0 / 0, 30, 31)):play()
    assert.same({"done", 2, 2}, {spike.status, spike.result.skipped, broken.result.skipped})
    assert(whole(spike) == whole(broken))
    assert.equal(60, #spike.metrics.grad_norm.step)
    assert(spike.metrics.grad_norm.value[30] > 100)
  end)

  it("can be one of the loss alone", function ()
    local run = start({on_spike = "stop"}, nil)
    local experiment_model
    run:step(25)
    experiment_model = run.model
    local forward = experiment_model.forward
    function experiment_model.forward (m, b) return forward(m, b) * 50 end
    local before = whole(run)
    run:play()
    assert.equal("diverged", run.status)
    assert.matches("^step 26: loss [%d.]+ %(z = [%d.]+%), gradient norm [%d.]+ %(z = %-?[%d.]+%)$", run.message)
    assert(whole(run) == before)
  end)

  it("that stops leaves the state before it", function ()
    local run = start({on_spike = "stop"}, times(1e4, 30), "stop.h5"):play()
    assert.equal("diverged", run.status)
    assert.equal(29, run.done)
    local file = assert(l.runfile.read(shell.path "stop.h5"))
    assert.equal(29, file.steps)
    local straight = start({steps = 29, restore_best = false}):play()
    assert(bits(file.models[1].weights) == bits(h.values(straight.model)))
  end)

  it("that rolls back returns to the best weights at half the rate", function ()
    local seen
    local run = start({on_spike = "rollback"}, function (step, model)
      times(1e4, 35)(step, model)
      if step == 36 then seen = h.values(model) end
    end):play()
    assert.equal(1, run.result.skipped)
    assert.equal(5e-4, run.optims[1].lr)
    local best = start({steps = 30, restore_best = false}):play()
    assert.equal(30, best.best.step)
    assert(bits(seen) == bits(h.values(best.model)))
  end)

  it("is decided by a function, which may look", function ()
    local asked = {}
    local run = start({spike_z = 20, on_spike = function (r, what)
      asked[#asked + 1] = {r.steps, what.norm > 10, what.norm_z > 20, what.loss_z < 20, what.batch.B}
      return "skip"
    end}, times(1e4, 30)):play()
    assert.same({{30, true, true, true, 4}}, asked)
    assert.equal("done", run.status)
  end)

  it("includes what is not finite, unless on_nan says otherwise", function ()
    assert.equal("done", start({on_spike = "skip"}, times(0 / 0, 5)):play().status)
    assert.equal("diverged", start({on_spike = "skip", on_nan = "stop"}, times(0 / 0, 5)):play().status)
    assert.equal("diverged", start({}, times(0 / 0, 5)):play().status)
  end)

  it("is the same one after a resume", function ()
    local at = times(1e4, 30, 44)
    local straight = start({on_spike = "skip"}, at, "straight.h5"):play()
    local run = start({on_spike = "skip"}, at, "cut.h5")
    run:step(29)
    assert(run:checkpoint())
    run:release_lock()
    local resumed = run.experiment:start(nil, {out = shell.path "cut.h5", quiet = true,
      resume = assert(l.runfile.read(shell.path "cut.h5"))}):play()
    assert.equal(2, resumed.result.skipped)
    assert(whole(straight) == whole(resumed))
    assert.equal(bits(straight.metrics.loss.value), bits(resumed.metrics.loss.value))
  end)

  it("before the first evaluation returns to the weights of --init, after a resume too", function ()
    local parent = start({steps = 12}, nil, "parent.h5"):play()
    local seen = {}
    local function at (step, model)
      times(0 / 0, 6)(step, model)
      if step == 7 then seen[#seen + 1] = h.values(model) end
    end
    local fit = {on_nan = "rollback", steps = 30}
    local function begin (name, options)
      options.out, options.quiet = shell.path(name), true
      return start(fit, at).experiment:start(nil, options)
    end
    local init = assert(l.runfile.read(parent.path))
    local straight = begin("straight.h5", {init = init}):play()
    local run = begin("cut.h5", {init = init})
    run:step(4)
    assert(run:checkpoint())
    run:release_lock()
    os.remove(parent.path)
    local resumed = begin("cut.h5", {resume = assert(l.runfile.read(shell.path "cut.h5"))}):play()
    assert.same({"done", "done", 1, 1}, {straight.status, resumed.status, straight.result.skipped,
      resumed.result.skipped})
    assert.equal(bits(init.best.weights[1]), bits(seen[1]))
    assert.equal(bits(seen[1]), bits(seen[2]))
    assert(whole(straight) == whole(resumed))
    assert.equal(bits(straight.metrics.loss.value), bits(resumed.metrics.loss.value))
  end)

  it("of a batch leaves gathered gradients as they were", function ()
    local function train (bad)
      local model = h.model_of(l, "gru", "mean")
      local optim = l.optim.sgd(model, {lr = 0.1, accumulate = 2})
      for k = 1, 4 do
        if k == bad then
          model:forward(h.window(l, 1, 3))
          model:backward()
          local norm, taken = optim:step(function (x) return x > 1e9 end)
          assert(norm > 0 and taken == false)
        end
        h.learn(model, optim, h.window(l, k, k + 2, {carry = k > 1}))
      end
      return bits {h.values(model), model:state(), optim:save()}
    end
    assert(train(0) == train(2) and train(0) == train(3))
  end)
end)
