-- What the engine promises beyond right numbers: the same bits whoever plays and however time is cut, steps that
-- are transactions, and optimisers, rates and clipping as they are described.
local lurn = require "lurn"
local bits = require "bits_helper"

local D, H, K = 3, 6, 2

---------------------------------------------------------------------- sequences

-- Row r of length n as a list of frames; the same row is the same whatever batch it is in.
local function row (r, n, columns, seed)
  local frames = {}
  for t = 1, n do
    frames[t] = {}
    for d = 1, columns do frames[t][d] = math.sin(seed + 13.1 * r + 1.7 * t * d + t) end
  end
  return frames
end

-- Rows side by side, zeros behind the shorter ones.
local function side_by_side (l, rows)
  local T, columns = 0, #rows[1][1]
  for _, r in ipairs(rows) do T = math.max(T, #r) end
  local t = l.zeros(T, #rows, columns)
  for b, r in ipairs(rows) do
    for s, frame in ipairs(r) do t[s][b] = l.tensor(frame) end
  end
  return t
end

local function lengths_of (rows)
  local list = {}
  for i, r in ipairs(rows) do list[i] = #r end
  return list
end

-- A batch of the rows r of these lengths; a window of them when from is given.
local function batch (l, lengths, more)
  local x, y = {}, {}
  for r, n in pairs(lengths) do x[#x + 1], y[#y + 1] = row(r, n, D, 1), row(r, n, K, 2) end
  local fields = {x = side_by_side(l, x), y = side_by_side(l, y), lengths = lengths_of(x)}
  for k, v in pairs(more or {}) do fields[k] = v end
  return l.batch(fields)
end

local function window (l, from, to, more)
  local x, y = {}, {}
  for r = 1, 3 do
    x[r] = table.move(row(r, to, D, 1), from, to, 1, {})
    y[r] = table.move(row(r, to, K, 2), from, to, 1, {})
  end
  local fields = {x = side_by_side(l, x), y = side_by_side(l, y)}
  for k, v in pairs(more or {}) do fields[k] = v end
  return l.batch(fields)
end

---------------------------------------------------------------------- models

local makers = {
  rnn = function (l) return l.rnn {hidden = H, layers = 2} end,
  lstm = function (l) return l.lstm {hidden = H, layers = 2} end,
  gru = function (l) return l.gru {hidden = H, layers = 2, reset_after = false} end,
  lua = function (l)
    return l.cell {name = "mine", state = {"h", "m"}, step = function (c, x, s)
      local m = 0.9 * s.m + c:linear("m", {x, s.h})
      return {h = l.tanh(m) * l.sigmoid(c:linear("g", {x, m})), m = m}
    end} {hidden = H, layers = 2}
  end,
}

-- Loss "sum": what a row gets back does not depend on how many others there are.
local function model_of (l, name, reduction)
  return l.stack {input = {dim = D}, makers[name](l), l.linear {size = K, activation = "tanh"},
    loss = l.loss.mse {reduction = reduction or "sum"}}
end

local function each (f)
  for _, precision in ipairs {"f32", "f64"} do
    for name in pairs(makers) do f(lurn[precision], name) end
  end
end

local function play (player, b, purpose)
  local loss = assert(player:forward(b, 1, 0, purpose or "eval"))
  player:commit()
  return loss
end

-- Frames 1 to n of row r of (T,B,...).
local function frames (t, r, n)
  local list = {}
  for s = 1, n do list[s] = t[s][r]:totable() end
  return list
end

describe("the same bits", function ()
  it("step by step as at once", function ()
    each(function (l, name)
      local model = model_of(l, name)
      local player = model.native:player {}
      play(player, batch(l, {7}))
      local whole, stream = player:output "out", model:stream()
      for t, frame in ipairs(row(1, 7, D, 1)) do
        assert(bits(stream:step(frame)) == bits(whole[t][1]), name .. " at step " .. t)
      end
      assert(bits(stream:state()) == bits(player:state()))
    end)
  end)

  it("step by step as at once, of ids", function ()
    for _, l in ipairs {lurn.f32, lurn.f64} do
      local model = l.stack {input = {vocab = 9}, l.embedding {size = 4}, l.gru {hidden = H, layers = 2, dropout = 0.5},
        l.linear {size = 9}, loss = l.loss.cross_entropy()}
      local ids = {3, 1, 9, 0, 4, 4, 8}
      local player, stream = model.native:player {infer = true}, model:stream()
      play(player, l.batch {x = l.ids(ids)})
      local whole = player:output "out"
      for t, id in ipairs(ids) do assert(bits(stream:step(id)) == bits(whole[t][1])) end
    end
  end)

  it("in a ragged batch as alone: outputs, states, input gradients", function ()
    local lengths = {3, 7, 1, 7, 5}
    each(function (l, name)
      local model = model_of(l, name)
      local together = model.native:player {grad = true, grad_inputs = true}
      local b = batch(l, lengths)
      play(together, b)
      together:backward()
      local out, dx, state = together:output "out", together:output "d:x", together:state()
      for place, r in ipairs(b.order) do
        local alone, n = model.native:player {grad = true, grad_inputs = true}, lengths[r]
        play(alone, batch(l, {[r] = n}))
        alone:backward()
        assert(bits(frames(out, place, n)) == bits(frames(alone:output "out", 1, n)), name .. ": outputs")
        assert(bits(frames(dx, place, n)) == bits(frames(alone:output "d:x", 1, n)), name .. ": input gradients")
        for key, t in pairs(alone:state()) do assert(bits(t[1]) == bits(state[key][place]), name .. ": " .. key) end
      end
    end)
  end)

  it("in carried windows as in one long window", function ()
    each(function (l, name)
      local model = model_of(l, name)
      local long, short = model.native:player {}, model.native:player {}
      play(long, window(l, 1, 9))
      local out = long:output "out"
      for _, w in ipairs {{1, 3}, {4, 4}, {5, 9}} do
        play(short, window(l, w[1], w[2], {carry = w[1] > 1}))
        assert(bits(short:output "out") == bits(out:narrow(1, w[1], w[2] - w[1] + 1):contiguous()), name)
      end
      assert(bits(short:state()) == bits(long:state()))
    end)
  end)

  it("after a reset as from the start, and a NaN before it stays behind", function ()
    each(function (l, name)
      local model = model_of(l, name)
      local b = window(l, 1, 9)
      local x, y, reset = b.x, b.y, l.zeros(9, 3)
      reset[4][1], reset[6][3] = 1, 1
      x[2][1] = 0 / 0
      local player = model.native:player {grad = true, grad_inputs = true, reset = true}
      play(player, l.batch {x = x, y = y, reset = reset})
      player:backward()
      local out, dx = player:output "out", player:output "d:x"
      for r, from in pairs {[1] = 4, [2] = 1, [3] = 6} do
        local fresh, n = model.native:player {grad = true, grad_inputs = true}, 10 - from
        play(fresh, l.batch {x = x:narrow(1, from, n):narrow(2, r, 1), y = y:narrow(1, from, n):narrow(2, r, 1)})
        fresh:backward()
        for t = 1, n do
          assert(bits(out[from + t - 1][r]) == bits(fresh:output "out"[t][1]), name .. ": outputs")
          assert(bits(dx[from + t - 1][r]) == bits(fresh:output "d:x"[t][1]), name .. ": input gradients")
        end
      end
      local cut = model.native:player {grad = true, grad_inputs = true}        -- nothing flows back across a reset
      play(cut, l.batch {x = x:narrow(1, 1, 5):narrow(2, 3, 1), y = y:narrow(1, 1, 5):narrow(2, 3, 1)})
      cut:backward()
      for t = 1, 5 do assert(bits(dx[t][3]) == bits(cut:output "d:x"[t][1]), name .. ": before the reset") end
    end)
  end)

  it("whatever the schedule, and from the naive twin", function ()
    each(function (l, name)
      local model = model_of(l, name)
      local seen
      for _, options in ipairs {{twin = true}, {}, {dice = 1}, {dice = 2}, {dice = 3}} do
        options.grad, options.grad_inputs = true, true
        local player = model.native:player(options)
        local all = {play(player, batch(l, {3, 7, 5}), "train")}
        player:backward()
        for _, p in ipairs(model:parameters()) do all[#all + 1] = p.grad end
        all = bits {all, player:output "out", player:output "d:x", player:state()}
        assert(all == (seen or all), name)
        seen = all
      end
    end)
  end)
end)

---------------------------------------------------------------------- instruction sets, engines

-- Dropout, embedding, several steps, weights and everything on the way.
local function train (l, steps, rule)
  local model = l.stack {input = {vocab = 17}, l.embedding {size = 11}, l.lstm {hidden = 19, layers = 2, dropout = 0.2},
    l.gru {hidden = 5}, l.linear {size = 17}, loss = l.loss.cross_entropy()}
  local optim = l.optim[rule or "adam"](model, {lr = 0.02, clip_norm = 1})
  local seen = {}
  for step = 1, steps do
    local x, y = {}, {}
    for t = 1, 9 do
      x[t], y[t] = {}, {}
      for r = 1, 6 do x[t][r], y[t][r] = (step * 5 + t * r) % 17 + 1, (step + t * 3 + r) % 18 end
    end
    local lengths = {9, 9, 8, 4, 2, 1}
    seen[#seen + 1] = model:forward(l.batch {x = l.ids(x), y = l.ids(y), lengths = lengths, carry = step > 1})
    model:backward()
    seen[#seen + 1] = optim:step()
    seen[#seen + 1] = model:output()
  end
  for _, p in ipairs(model:parameters()) do seen[#seen + 1] = p.value end
  return seen
end

-- Whatever happens in f, the kernels and the engine are those from before.
local function restoring (l, f)
  local isa, blas = l.core.isa(), l.core.engine()
  local ok, message = pcall(f)
  l.core.isa(isa)
  l.core.engine(blas)
  if not ok then error(message, 0) end
end

describe("an instruction set", function ()
  for _, precision in ipairs {"f32", "f64"} do
    local l = lurn[precision]
    it("changes no bit of five training steps in " .. precision, function ()
      restoring(l, function ()
        local _, list = l.core.isa()
        l.core.engine "lurn"
        local first
        for _, name in ipairs(list) do
          assert.equal(name, (l.core.isa(name)))
          local seen = bits(train(l, 5))
          assert(seen == (first or seen), name .. " has other bits than " .. list[1])
          first = seen
        end
        assert.equal("c", list[1])
      end)
    end)
  end

  it("that is not there is named", function ()
    assert.has_error(function () lurn.core.isa "sse9" end)
  end)
end)

-- The largest difference, relative above 1, between two results of `train`.
local function distance (a, b)
  if type(a) == "number" then return math.abs(a - b) / math.max(1, math.abs(b)) end
  return ((a - b):abs() / b:abs():maximum(1)):max()
end

-- Plain gradient descent: Adam divides by the size of a gradient, and so makes much of a small difference.
describe("the engine openblas", function ()
  for precision, limit in pairs {f32 = 1e-4, f64 = 1e-12} do
    local l = lurn[precision]
    it("agrees in " .. precision, function ()
      restoring(l, function ()
        l.core.engine "lurn"
        local own = train(l, 5, "sgd")
        assert.equal("openblas", l.core.engine "openblas")
        for i, x in ipairs(train(l, 5, "sgd")) do
          assert(distance(x, own[i]) <= limit, ("%d: off by %g"):format(i, distance(x, own[i])))
        end
      end)
    end)
  end
end)

---------------------------------------------------------------------- optimisers

local function values (model)
  local list = {}
  for _, p in ipairs(model:parameters()) do list[p.path] = p.value:clone() end
  return list
end

local function gradient_norm (model)
  local sum = 0.0
  for _, p in ipairs(model:parameters()) do sum = sum + p.grad:norm()^2 end
  return math.sqrt(sum)
end

local function learn (model, optim, b)
  local loss = model:forward(b)
  model:backward()
  return optim:step(), loss
end

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
end)

---------------------------------------------------------------------- what is not finite

describe("a value that is not finite", function ()
  local l = lurn.f32

  local function broken (fields)
    local b = window(l, 1, 5)
    local x, y = b.x, b.y
    fields(x, y)
    return l.batch {x = x, y = y, carry = true}
  end

  it("is traced to the parameter", function ()
    local model = model_of(l, "lstm")
    model:parameters()[3].value[2] = 0 / 0
    model:touch()
    local loss = model:forward(window(l, 1, 5))
    assert(loss ~= loss)
    assert.matches("parameter " .. model:parameters()[3].path:gsub("%p", "%%%0"), model:blame())
  end)

  it("is traced to the input", function ()
    local model = model_of(l, "lstm")
    model:forward(broken(function (x) x[3][2][1] = 1 / 0 end))
    assert.matches("the batch's 'x' is not finite", model:blame())
    model:forward(broken(function (_, y) y[3][2][1] = 0 / 0 end))
    assert.matches("the batch's 'y' is not finite", model:blame())
  end)

  it("is traced to the layer and the time where it appeared", function ()
    local model = l.stack {input = {dim = D}, l.lstm {hidden = 2}, l.rnn {hidden = 2, activation = "relu"},
      loss = l.loss.mse()}
    local fill = {["rnn1.Wh"] = 1e20, ["rnn1.b"] = 1}
    for _, p in ipairs(model:parameters()) do if fill[p.path] then p.value:fill(fill[p.path]) end end
    model:touch()
    local x = l.zeros(4, 1, D)
    assert(model:forward(l.batch {x = x, y = l.zeros(4, 1, 2)}) == math.huge)
    local sentence = model:blame()
    assert.matches("forward pass", sentence)
    assert.matches("rnn1", sentence)
    assert.matches("step 3, row 1", sentence)
  end)

  it("is not seen where there is none", function ()
    local model = model_of(l, "lstm")
    model:forward(window(l, 1, 5))
    model:backward()
    assert.is_nil(model:blame())
  end)

  for name in pairs(makers) do
    it("changes no bit of what was committed, in " .. name, function ()
      local one, two = model_of(l, name), model_of(l, name)
      local first, second = l.optim.adam(one, {clip_norm = 1}), l.optim.adam(two, {clip_norm = 1})
      for k = 1, 2 do
        learn(one, first, window(l, k, k + 4, {carry = k > 1}))
        learn(two, second, window(l, k, k + 4, {carry = k > 1}))
      end
      local before = bits {values(one), first:save(), one:state(), {one.step_count}}
      local norm = learn(one, first, broken(function (x) x[3][2][1] = 0 / 0 end))
      assert(norm ~= norm)
      assert(bits {values(one), first:save(), one:state(), {one.step_count}} == before)
      for k = 3, 4 do
        learn(one, first, window(l, k, k + 4, {carry = true}))
        learn(two, second, window(l, k, k + 4, {carry = true}))
      end
      assert(bits {values(one), first:save(), one:state()} == bits {values(two), second:save(), two:state()})
    end)
  end

  it("behind a mask of zero does no harm", function ()
    for _, loss in ipairs {"mse", "bce"} do
      local model = l.stack {input = {dim = D}, l.lstm {hidden = H}, l.linear {size = K}, mask = true,
        loss = l.loss[loss]()}
      local b, mask = window(l, 1, 5), l.ones(5, 3)
      local y = b.y
      mask[2][3] = 0
      y[2][3] = 0 / 0
      local loss_value = model:forward(l.batch {x = b.x, y = y, mask = mask})
      assert(loss_value == loss_value)
      model:backward()
      assert(gradient_norm(model) < math.huge, loss .. ": a gradient is not finite")
    end
  end)
end)

describe("a step", function ()
  it("that is rolled back has never happened", function ()
    local l = lurn.f64
    local model = model_of(l, "lstm")
    learn(model, l.optim.sgd(model), window(l, 1, 4))
    local before = bits(model:state())
    model:forward(window(l, 5, 8, {carry = true}))
    local once = bits(model:output())
    assert(bits(model:state()) == before)
    model:rollback()
    model:forward(window(l, 5, 8, {carry = true}))
    assert(bits(model:output()) == once)
  end)

  it("draws its dropout from seed, step and place alone", function ()
    local l = lurn.f32
    local function of (seed, step, purpose)
      local model = l.stack {input = {dim = D}, l.dropout(0.5), l.linear {size = K}}
      local player = model.native:player {}
      assert(player:forward(window(l, 1, 5), seed, step, purpose))
      return bits(player:output "out")
    end
    assert.equal(of(1, 1, "train"), of(1, 1, "train"))
    assert.not_equal(of(1, 1, "train"), of(1, 2, "train"))
    assert.not_equal(of(1, 1, "train"), of(2, 1, "train"))
    assert.equal(of(1, 1, "eval"), of(2, 2, "eval"))
    assert.not_equal(of(1, 1, "eval"), of(1, 1, "train"))
  end)
end)
