-- Optimisers as scripts use them: clipping, accumulation, groups, rates, saving. Their formulas are checked in C.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "engine_helper"

local batch, window, model_of = h.batch, h.window, h.model_of
local values, gradient_norm, learn, distance = h.values, h.gradient_norm, h.learn, h.distance

describe("clipping", function ()
  for precision, limit in pairs {f32 = 1e-6, f64 = 1e-14} do
    local l = lurn[precision]
    it("by norm leaves exactly the threshold in " .. precision, function ()
      local model = model_of(l, "lstm")
      local free = l.optim.sgd(model, {lr = 0})
      local norm = learn(model, free, batch(l, {5, 3}))
      assert(norm > 0.5 and math.abs(norm - gradient_norm(model)) < limit * norm)
      local clipped = l.optim.sgd(model, {lr = 0, clip_norm = 0.25})
      assert.equal(norm, learn(model, clipped, batch(l, {5, 3})))
      assert(math.abs(gradient_norm(model) - 0.25) < limit * 0.25)
      local loose = l.optim.sgd(model, {lr = 0, clip_norm = 2 * norm})
      learn(model, loose, batch(l, {5, 3}))
      assert(math.abs(gradient_norm(model) - norm) < limit * norm)
    end)
  end

  it("by value cuts what is larger and nothing else", function ()
    local l = lurn.f64
    local model = model_of(l, "rnn")
    learn(model, l.optim.sgd(model, {lr = 0}), batch(l, {5, 3}))
    local before = {}
    for _, p in ipairs(model:parameters()) do before[p.path] = p.grad:clone() end
    learn(model, l.optim.sgd(model, {lr = 0, clip_value = 0.1}), batch(l, {5, 3}))
    local cut = 0
    for _, p in ipairs(model:parameters()) do
      assert(bits(p.grad) == bits(before[p.path]:clamp(-0.1, 0.1)))
      cut = cut + before[p.path]:abs():gt(0.1):sum()
    end
    assert(cut > 0)
  end)
end)

describe("clipping by layer", function ()
  it("brings each layer's own norm down, whatever the others have", function ()
    local l = lurn.f64
    local function layer_norms (model)
      local squares = {}
      for _, p in ipairs(model:parameters()) do
        local name = p.path:match "^[^.]+"
        squares[name] = (squares[name] or 0) + p.grad:norm()^2
      end
      for name, x in pairs(squares) do squares[name] = math.sqrt(x) end
      return squares
    end
    local model, other = model_of(l, "lstm"), model_of(l, "lstm")
    local norm = learn(model, l.optim.sgd(model, {lr = 0}), batch(l, {5, 3}))
    local free = layer_norms(model)
    local limit = (free.lstm1 + free.lstm2) / 2         -- one of them is above it
    assert.equal(norm, learn(other, l.optim.sgd(other, {lr = 0, clip_layer = limit}), batch(l, {5, 3})))
    for name, x in pairs(layer_norms(other)) do
      assert(math.abs(x - math.min(free[name], limit)) < 1e-14 * limit, name)
    end
    learn(other, l.optim.sgd(other, {lr = 0, clip_layer = limit, clip_norm = 0.1}), batch(l, {5, 3}))
    assert(math.abs(gradient_norm(other) - 0.1) < 1e-15)
  end)
end)

describe("gradients of several batches", function ()
  it("make one step of their mean", function ()
    local l = lurn.f64
    local one, two = model_of(l, "gru", "mean"), model_of(l, "gru", "mean")
    local whole, parts = l.optim.sgd(one, {lr = 0.1}), l.optim.sgd(two, {lr = 0.1, accumulate = 2})
    local norm = learn(one, whole, batch(l, {4, 4, 4, 4}))
    local before = bits(values(two))
    learn(two, parts, batch(l, {4, 4}))
    assert(bits(values(two)) == before and parts.steps == 0)
    assert(math.abs(learn(two, parts, batch(l, {[3] = 4, [4] = 4})) - norm) < 1e-14)
    assert.equal(1, parts.steps)
    for path, v in pairs(values(one)) do assert(distance(values(two)[path], v) < 1e-14, path) end
    learn(two, parts, batch(l, {4, 4}))                     -- the next sum starts from nothing
    learn(two, parts, batch(l, {[3] = 4, [4] = 4}))
    learn(one, whole, batch(l, {4, 4, 4, 4}))
    for path, v in pairs(values(one)) do assert(distance(values(two)[path], v) < 1e-14, path) end
  end)

  it("leave out a batch that is not finite", function ()
    local l = lurn.f64
    local one, two = model_of(l, "gru"), model_of(l, "gru")
    local clean, tried = l.optim.sgd(one, {lr = 0.1, accumulate = 2}), l.optim.sgd(two, {lr = 0.1, accumulate = 2})
    local bad = window(l, 1, 3)
    local x = bad.x
    x[2][2][1] = 0 / 0
    for k = 1, 4 do
      learn(one, clean, window(l, k, k + 3, {carry = k > 1}))
      learn(two, tried, window(l, k, k + 3, {carry = k > 1}))
      local norm = learn(two, tried, l.batch {x = x, y = bad.y, carry = true})
      assert(norm ~= norm)
      assert(bits {values(one), one:state(), clean:save()} == bits {values(two), two:state(), tried:save()})
    end
    assert.equal(2, tried.steps)
  end)
end)

describe("groups of parameters", function ()
  it("that are frozen keep every bit, and do not count for the norm", function ()
    for rule in pairs {sgd = 1, rmsprop = 1, adagrad = 1, adadelta = 1, adam = 1, adamw = 1} do
      local l = lurn.f32
      local model = model_of(l, "lstm")
      local before = values(model)
      local optim = l.optim[rule](model, {lr = 0.1, weight_decay = 0.1, groups = {{"^lstm1", frozen = true}}})
      for _ = 1, 3 do learn(model, optim, batch(l, {5, 3})) end
      local norm, sum = learn(model, optim, batch(l, {5, 3})), 0.0
      for _, p in ipairs(model:parameters()) do
        local frozen = p.path:find "^lstm1" ~= nil
        assert.equal(frozen, bits(p.value) == bits(before[p.path]), rule .. " " .. p.path)
        if not frozen then sum = sum + p.grad:norm()^2 end
      end
      assert(math.abs(norm - math.sqrt(sum)) < 1e-5 * norm)
    end
  end)

  it("that fit nothing, or are no groups, are refused", function ()
    local model = model_of(lurn, "lstm")
    local function make (group) return function () lurn.optim.adam(model, {groups = {group}}) end end
    assert.error_matches(make {"^lsmt", frozen = true}, "'^lsmt' fits no parameter", 1, true)
    assert.error_matches(make {"lstm", froozen = true}, "did you mean 'frozen'", 1, true)
    assert.error_matches(make "lstm", "expected a table", 1, true)
  end)

  it("have their own rate and decay", function ()
    local l = lurn.f64
    local one, two = model_of(l, "rnn"), model_of(l, "rnn")
    learn(one, l.optim.sgd(one, {lr = 0.1, weight_decay = 0.3}), batch(l, {5}))
    local groups = {{"%.b$", lr = 0.1, weight_decay = 0.3}, {".", lr = 0.05, weight_decay = 0}}
    learn(two, l.optim.sgd(two, {lr = 0.2, groups = groups}), batch(l, {5}))
    local start = values(model_of(l, "rnn"))
    for _, p in ipairs(two:parameters()) do
      if p.path:find "%.b$" then assert(distance(p.value, values(one)[p.path]) < 1e-15)
      else assert(distance(p.value, start[p.path] - p.grad * 0.05) < 1e-15) end
    end
  end)
end)

describe("the rate", function ()
  local l = lurn.f64

  -- The rates of steps 1 to n; no weight is looked at.
  local function rates (options, n)
    local optim = l.optim.sgd(model_of(l, "rnn"), options)
    local list = {}
    for k = 1, n do
      list[k] = optim:rate()
      optim.steps = k
    end
    return list
  end

  local function near (want, got)
    assert.equal(#want, #got)
    for k, x in ipairs(want) do
      assert(math.abs(x - got[k]) < 1e-15, ("step %d: %g wanted, got %g"):format(k, x, got[k]))
    end
  end

  it("follows its schedule", function ()
    near({0.5, 0.5, 0.5}, rates({lr = 0.5}, 3))
    near({0.25, 0.5, 0.5}, rates({lr = 0.5, schedule = {"constant", warmup = 2}}, 3))
    near({1, 1, 0.5, 0.5, 0.25}, rates({lr = 1, schedule = {"step", every = 2, gamma = 0.5}}, 5))
    near({1, 0.9, 0.81}, rates({lr = 1, schedule = {"exponential", gamma = 0.9}}, 3))
    near({1, 0.5 + 0.5 * math.cos(math.pi / 4), 0.5, 0.5 + 0.5 * math.cos(3 * math.pi / 4), 0, 0},
      rates({lr = 1, schedule = "cosine", total = 4}, 6))
    near({0.5, 1, 1, 0.55, 0.1}, rates({lr = 1, schedule = {"cosine", total = 4, warmup = 2, low = 0.1}}, 5))
  end)

  it("can be changed in mid-run", function ()
    local optim = l.optim.sgd(model_of(l, "rnn"), {lr = 1, schedule = {"step", every = 1, gamma = 0.5}})
    optim.steps = 1
    optim.lr = 3
    assert.equal(1.5, optim:rate())
  end)

  it("falls on a plateau", function ()
    local schedule = {"plateau", patience = 1, factor = 0.5, min_lr = 0.2}
    local optim = l.optim.sgd(model_of(l, "rnn"), {lr = 1, schedule = schedule})
    local seen = {}
    for k, metric in ipairs {3, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1} do
      optim:report(metric)
      seen[k] = optim:rate()
    end
    assert.same({1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2, 0.2, 0.2, 0.2}, seen)
  end)

  it("scales the step", function ()
    local model = model_of(l, "rnn")
    local before = values(model)
    learn(model, l.optim.sgd(model, {lr = 0.8, schedule = {"constant", warmup = 4}}), batch(l, {5}))
    for _, p in ipairs(model:parameters()) do assert(distance(p.value, before[p.path] - p.grad * 0.2) < 1e-15) end
  end)

  it("says what it does not know", function ()
    assert.error_matches(function () rates({lr = 1, schedule = "cosine"}, 1) end, "total")
    assert.error_matches(function () rates({lr = 1, schedule = "cosinus"}, 1) end, "cosine")
    assert.has_error(function () rates({lr = 1, schedule = {"step", gama = 1}}, 1) end)
  end)
end)

describe("an optimiser refuses", function ()
  local l = lurn.f64

  it("a rate that is none, and has not begun a step then", function ()
    local model = model_of(l, "rnn")
    local optim = l.optim.sgd(model, {accumulate = 2})
    learn(model, optim, window(l, 1, 4))
    local before = bits {values(model), model:state(), optim:save().tensors}
    for _, lr in ipairs {math.huge, 0 / 0, -1} do
      optim.lr = lr
      assert.error_matches(function () learn(model, optim, window(l, 4, 8, {carry = true})) end, "learning rate")
      model:rollback()
    end
    assert.equal(1, optim.gathered)
    assert(bits {values(model), model:state(), optim:save().tensors} == before)
  end)

  it("a mean that never moves", function ()
    assert.error_matches(function () l.optim.adam(model_of(l, "rnn"), {beta1 = 1}) end, "beta1")
    assert.error_matches(function () l.optim.adam {lr = 1} end, "lurn.optim.adam: expected a model, then")
    assert.error_matches(function () l.optim.adamw(model_of(l, "rnn"), {beta2 = 1}) end, "beta2")
  end)
end)

-- What a checkpoint would keep, apart from the memory it was taken of.
local function copied (saved)
  local copy = {numbers = {}, tensors = {}}
  for k, v in pairs(saved.numbers) do copy.numbers[k] = v end
  for k, v in pairs(saved.tensors) do copy.tensors[k] = v:clone() end
  return copy
end

describe("a saved optimiser", function ()
  local rules = {
    sgd = {momentum = 0.9, nesterov = true}, rmsprop = {momentum = 0.5, centered = true}, adagrad = {lr_decay = 0.1},
    adadelta = {}, adam = {accumulate = 2}, adamw = {schedule = {"exponential", gamma = 0.7}},
  }
  for rule, options in pairs(rules) do
    it(("of %s goes on with the same bits"):format(rule), function ()
      local l = lurn.f32
      local function start ()
        local model = model_of(l, "gru", "mean")
        return model, l.optim[rule](model, options)
      end
      local one, first = start()
      for k = 1, 3 do learn(one, first, window(l, k, k + 3, {carry = k > 1})) end
      local saved, weights, state = copied(first:save()), values(one), one:state()
      for k = 4, 6 do learn(one, first, window(l, k, k + 3, {carry = true})) end
      local two, second = start()
      for _, p in ipairs(two:parameters()) do p.value:copy(weights[p.path]) end
      two.native:touch()
      two:setstate(state)
      second:load(saved)
      for k = 4, 6 do learn(two, second, window(l, k, k + 3, {carry = true})) end
      assert(bits {values(one), one:state(), first:save()} == bits {values(two), two:state(), second:save()})
    end)
  end

  it("writes into numbers without gaps alone, as many as the model has", function ()
    local l = lurn.f64
    local native = model_of(l, "gru", "mean").native
    local options, n = {rule = "adam"}, native:flat()
    for why, bad in pairs {["without gaps, got a view"] = l.zeros(1):expand(2 * n),
                           ["a tensor of numbers"] = l.ids(2 * n), ["of another model"] = l.zeros(n - 1)} do
      assert.error_matches(function () native:update(options, nil, 1, bad) end, why)
      assert.error_matches(function () native:accumulate(bad) end, why)
    end
    native:accumulate(l.zeros(n))
    native:update(options, nil, 1, l.zeros(2 * n))
  end)

  it("has no moments before the first step, and goes back to there", function ()
    local l = lurn.f32
    local model = model_of(l, "gru", "mean")
    local optim = l.optim.adagrad(model, {initial_accumulator = 0.5, accumulate = 2})
    local made, saved = optim.moments[1].value:clone(), copied(optim:save())
    assert.same({}, saved.tensors)
    optim.moments[1].value:fill(2)
    optim:load(saved)
    assert.equal(2, optim.moments[1].value[1])      -- what a script wrote into them it writes again, when it resumes
    learn(model, optim, window(l, 1, 4))
    assert.is_truthy(optim:save().tensors.gradient_sum)
    optim:load(saved)
    assert(bits {made} == bits {optim.moments[1].value})
    assert.same({}, optim:save().tensors)
  end)
end)
