-- Pascanu's penalty: against its closed form by hand on tensors, against PyTorch, and against differences of Omega in
-- Wh with the gradients and states held.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "engine_helper"

local l = lurn.f64
local batch = h.batch

local function parameter (model, path)
  for _, p in ipairs(model:parameters()) do if p.path == path then return p end end
end

local function model_of (i, activation, pascanu, more)
  local options = {hidden = h.H, activation = activation, pascanu = pascanu, init = {Wh = {"normal", 0, 0.6}}}
  for k, v in pairs(more or {}) do options[k] = v end
  return i.stack {input = {dim = h.D}, i.rnn(options), i.linear {size = h.K}, loss = i.loss.mse()}
end

local slopes = {tanh = function (x) return 1 - x * x end, relu = function (x) return x:gt(0) end}

-- Omega and its gradient for a layer: r = |u| / |d|, u = (d * act') Wh^T,
-- dOmega/dWh = sum of 2 (r - 1) / (|d| |u|) u^T (d * act').
local function by_hand (model, b, path, activation, reduction)
  local player, wh = model:player(), parameter(model, path .. ".Wh").value
  local ds, hs = player:output(("grad:%s.h"):format(path)), player:output(("value:%s.h"):format(path))
  local omega, g, terms = 0.0, wh * 0, 0
  for r, n in ipairs(b.lengths) do
    for t = 1, n do
      local d = ds[t]:narrow(1, r, 1)
      local q = d * slopes[activation](hs[t]:narrow(1, r, 1))
      local u = q % wh:t()
      if d:norm() > 0 then
        local ratio = u:norm() / d:norm()
        omega, terms = omega + (ratio - 1)^2, terms + 1
        if u:norm() > 0 then g = g + u:t() % q * (2 * (ratio - 1) / (d:norm() * u:norm())) end
      end
    end
  end
  local k = reduction == "mean" and terms or reduction == "time" and #b.lengths or 1
  return omega / k, g / k
end

describe("the penalty on gradients that vanish or explode", function ()
  for activation in pairs(slopes) do
    for _, reduction in ipairs {"mean", "time", "sum"} do
      it(("is Omega of %s by %s, in Wh alone"):format(activation, reduction), function ()
        for _, more in ipairs {{}, {layers = 2}, {bidirectional = true}, {reverse = true, init_state = "learned"}} do
          local plain = model_of(l, activation, nil, more)
          local model = model_of(l, activation, {0.7, reduction = reduction}, more)
          local b = batch(l, {6, 2, 5})
          assert.equal(plain:forward(b), model:forward(b))
          plain:backward()
          model:backward()
          local penalty = 0.0
          for _, p in ipairs(model:parameters()) do
            local own, path = parameter(plain, p.path).grad, p.path:match "^(rnn.*)%.Wh$"
            if path then
              local omega, g = by_hand(model, b, path, activation, reduction)
              penalty = penalty + 0.7 * omega
              assert(h.distance(p.grad, own + g * 0.7) < 1e-12, p.path)
              assert((p.grad - own):norm() > 1e-3)
            else assert(bits(p.grad) == bits(own), p.path) end
          end
          assert(math.abs(model.penalty - penalty) < 1e-12)
        end
      end)
    end

    it("is what PyTorch makes of it in " .. activation, function ()
      local layer = l.rnn {hidden = 4, activation = activation, pascanu = 3}
      local model, b, case = h.gradients(l, activation, layer)
      model:forward(b)
      model:backward()
      assert(math.abs(model.penalty - 3 * case.omega[1]) < 1e-12)
      assert(h.distance(parameter(model, "rnn1.Wh").grad, case["grad.Wh"] + case["omega.Wh"] * 3) < 1e-12)
    end)

    it("has the gradient that differences of Omega have in " .. activation, function ()
      local model, b = model_of(l, activation, 1), batch(l, {6, 2, 5})
      model:forward(b)
      model:backward()
      local player = model:player()
      local held = l.batch {x = player:output "grad:rnn1.h", h = player:output "value:rnn1.h", lengths = b.lengths}
      assert(model.penalties[1].native:gradcheck(held).worst < 1e-6)
    end)
  end

  it("asks nothing where no gradient comes, and no direction of a dead step", function ()
    local model = model_of(l, "relu", 1)
    local b = batch(l, {5, 3}, {y = l.zeros(2, h.K)})
    parameter(model, "rnn1.b").value:fill(-100)
    model:touch()
    local loss = model:forward(batch(l, {5, 3}))
    model:backward()
    assert(loss == loss and model.penalty == 1)      -- all units are dead: u = 0, r = 0
    assert.equal(0.0, parameter(model, "rnn1.Wh").grad:norm())
    local last = l.stack {input = {dim = h.D}, l.rnn {hidden = h.H, pascanu = 1}, function (x) return x * 0 end,
      l.last, l.linear {size = h.K}, loss = l.loss.mse()}
    last:forward(b)
    last:backward()
    assert.equal(0.0, last.penalty)                  -- dL/dh = 0 everywhere
    assert.equal(0.0, parameter(last, "rnn1.Wh").grad:norm())
  end)

  it("keeps what flows back at its length, and is the same with every number of threads", function ()
    local function train (pascanu, threads)
      local i = lurn.f32
      i.threads(threads)
      local model = model_of(i, "tanh", pascanu, {init = {Wh = {"normal", 0, 0.1}}})
      local sgd, b = i.optim.sgd(model, {lr = 0.1, clip_norm = 1}), batch(i, {12, 12, 12})
      for _ = 1, 60 do h.learn(model, sgd, b) end
      i.threads(1)
      local lags = model:lags(b)
      return lags[12] / lags[1], bits(h.values(model))
    end
    local free = train(nil, 1)
    local kept, one = train(2, 1)
    local _, two = train(2, 2)
    assert(free < 1e-3 and kept > 30 * free, ("%g, %g"):format(free, kept))
    assert(one == two)
  end)

  it("is refused where it is not what it says", function ()
    local function make (more)
      return function () model_of(l, more.activation or "tanh", more.pascanu or 1, more) end
    end
    assert.error_matches(make {activation = "sigmoid"}, "for tanh and relu, not for 'sigmoid'")
    assert.error_matches(make {zoneout = 0.1}, "neither recurrent_dropout nor zoneout")
    assert.error_matches(make {recurrent_dropout = 0.1}, "neither recurrent_dropout nor zoneout")
    assert.error_matches(make {pascanu = {1, reducton = "time"}}, "did you mean 'reduction'")
    assert.error_matches(make {pascanu = -1}, "pascanu")
    local model = model_of(l, "tanh", 0)
    model:forward(batch(l, {3}))
    model:backward()
    assert.is_nil(model.penalty)
  end)
end)
