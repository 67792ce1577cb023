-- Metrics: numbers worked out by hand, ties, ragged batches; what evaluate and fit make of them; predict.
local lurn = require "lurn".f64

local function collect (list, out, y, lengths, mask)
  local c = lurn.metrics.collector(list)
  c:add(lurn.tensor(out), y, lengths, mask and lurn.tensor(mask))
  return c:result()
end

-- One logit vector a sequence whose likeliest class is the guess.
local function called (guesses, classes)
  local out = {}
  for i, g in ipairs(guesses) do
    out[i] = {}
    for c = 1, classes do out[i][c] = c == g and 1.0 or 0.0 end
  end
  return out
end

local function ones (n)
  local list = {}
  for i = 1, n do list[i] = 1 end
  return list
end

describe("metrics of classes", function ()
  -- truth 1 1 1 2 2 3, guess 1 1 2 2 1 1: tp 2 1 0, there 3 2 1, called 4 2 0
  local truth, guess = {1, 1, 1, 2, 2, 3}, {1, 1, 2, 2, 1, 1}
  local function of (list) return collect(list, called(guess, 3), lurn.ids(truth), ones(6)) end

  it("are those of the confusion matrix", function ()
    local r = of {"accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_micro", "confusion"}
    assert.same({{2, 1, 0}, {1, 1, 0}, {1, 0, 0}}, r.confusion)
    assert.near(3 / 6, r.accuracy, 1e-15)
    assert.near((2 / 3 + 1 / 2 + 0) / 3, r.balanced_accuracy, 1e-15)
    assert.near((4 / 7 + 2 / 4 + 0) / 3, r.f1, 1e-15)
    assert.equal(r.f1, r.f1_macro)
    assert.near(r.accuracy, r.f1_micro, 1e-15)
  end)

  it("leave out rows that have ended, targets that are none and frames without weight", function ()
    local out = {{{0, 1.0}, {0, 1.0}}, {{0, 1.0}, {0, 1.0}}, {{0, 1.0}, {0, 1.0}}}     -- (3,2,2): always class 2
    local y = lurn.ids {{2, 2}, {1, 2}, {0, 1}}
    assert.near(3 / 4, collect({"accuracy"}, out, y, {3, 2}).accuracy, 1e-15)
    local mask = {{{1.0}, {1.0}}, {{0.0}, {1.0}}, {{1.0}, {1.0}}}
    assert.near(1, collect({"accuracy"}, out, y, {3, 2}, mask).accuracy, 1e-15)
    local none = collect({"accuracy"}, out, lurn.ids {{0, 0}, {0, 0}, {0, 0}}, {3, 2}).accuracy
    assert.is_true(none ~= none)
  end)

  it("take several labels as decisions of two classes", function ()
    local r = collect({"accuracy", "f1_micro"}, {{1.0, -1.0}, {2.0, 3.0}}, lurn.tensor {{1.0, 1.0}, {0.0, 1.0}}, {1, 1})
    assert.near(0.5, r.accuracy, 1e-15)
    assert.near(2 * 2 / (3 + 3), r.f1_micro, 1e-15)
  end)

  it("go on from batch to batch", function ()
    local whole = of {"f1", "accuracy"}
    local c = lurn.metrics.collector {"f1", "accuracy"}
    for i = 1, 6 do c:add(lurn.tensor(called({guess[i]}, 3)), lurn.ids {truth[i]}, {1}) end
    assert.same(whole, c:result())
  end)

  it("are refused by name", function ()
    assert.error_matches(function () of {"acuracy"} end, "unknown metric 'acuracy', did you mean 'accuracy'%?")
    assert.error_matches(function () of {"rmse"} end, "targets that are numbers")
    assert.error_matches(function () of {"auc"} end, "auc is for two classes")
    assert.error_matches(function () of {3} end, "a metric is a name or a function, got 3")
  end)
end)

describe("the area under the curve", function ()
  local function auc (scores, labels)
    local out = {}
    for i, s in ipairs(scores) do out[i] = {0.0, s + 0.0} end
    return collect({"auc"}, out, lurn.ids(labels), ones(#scores)).auc
  end

  it("counts pairs, a tie as half", function ()
    assert.near(0.75, auc({0.1, 0.4, 0.35, 0.8}, {1, 1, 2, 2}), 1e-15)
    assert.near(1, auc({1, 2, 3, 4}, {1, 1, 2, 2}), 1e-15)
    assert.near(0.5, auc({1, 1, 1, 1}, {1, 2, 1, 2}), 1e-15)
    -- positive 2 2 5, negative 1 2 4: pairs won 1 + 1 + 3, tied 2 of 9
    assert.near((5 + 1) / 9, auc({2, 2, 5, 1, 2, 4}, {2, 2, 2, 1, 1, 1}), 1e-15)
    local alone = auc({1, 2}, {2, 2})
    assert.is_true(alone ~= alone)
  end)

  it("takes one logit and numbers", function ()
    assert.near(0.75, collect({"auc"}, {{0.1}, {0.4}, {0.35}, {0.8}}, lurn.tensor {{0.0}, {0.0}, {1.0}, {1.0}},
      ones(4)).auc, 1e-15)
  end)
end)

describe("metrics of numbers and of sequences", function ()
  it("rmse, mae", function ()
    local r = collect({"rmse", "mae"}, {{1.0, 2.0}, {3.0, 8.0}}, lurn.tensor {{1.0, 4.0}, {3.0, 4.0}}, {1, 1})
    assert.near(math.sqrt(20 / 4), r.rmse, 1e-15)
    assert.near(6 / 4, r.mae, 1e-15)
  end)

  it("perplexity, bits per character", function ()
    local r = collect({"perplexity", "bits_per_character"}, {{0.0, 0, 0, 0}, {0.0, 0, 0, 0}}, lurn.ids {1, 3}, {1, 1})
    assert.near(4, r.perplexity, 1e-12)
    assert.near(2, r.bits_per_character, 1e-12)
  end)

  it("edit distance", function ()
    local d = lurn.metrics.distance
    assert.equal(0, d({}, {}))
    assert.equal(3, d({1, 2, 3}, {}))
    assert.equal(3, d({11, 9, 20, 20, 5, 14}, {19, 9, 20, 20, 9, 14, 7}))       -- kitten, sitting
    local out = {}
    for t, g in ipairs {{1, 2}, {2, 2}, {3, 2}} do out[t] = called(g, 3) end
    local y = lurn.ids {{2, 2}, {3, 1}, {1, 0}}                             -- 123 for 231, 22 for 21
    assert.near((2 + 1) / 5, collect({"edit_distance"}, out, y, {3, 2}).edit_distance, 1e-15)
  end)
end)

describe("an evaluation", function ()
  local sequences = {}
  for i = 1, 7 do
    local x, y = {}, {}
    for t = 1, i do x[t], y[t] = {math.sin(i * t), math.cos(3 * i + t)}, (i * t) % 4 end
    sequences[i] = {x = x, y = y}
  end
  sequences.split, sequences.targets, sequences.classes = {train = {1, 3}, valid = {4, 7}}, "step", {"a", "b", "c"}
  local data = lurn.dataset(sequences)
  local model = lurn.stack {input = data, lurn.gru {hidden = 3}, lurn.linear {size = 3},
    loss = lurn.loss.cross_entropy()}

  it("counts targets, whatever they weigh", function ()
    local live = 0
    for i = 4, 7 do for _, y in ipairs(sequences[i].y) do live = live + (y > 0 and 1 or 0) end end
    for _, o in ipairs {{weight = {0.5, 3, 7}}, {reduction = "time"}, {}} do
      local weighted = lurn.stack {input = data, lurn.gru {hidden = 3}, lurn.linear {size = 3},
        loss = lurn.loss.cross_entropy(o)}
      local r = weighted:evaluate(data.valid, {batch = 2, seq = 3})
      assert.equal("integer", math.type(r.count))
      assert.equal(live, r.count)
      assert.equal(next(o) == nil, r.weight == live)
    end
    local set = {targets = "step"}
    for i = 1, 3 do
      set[i] = {x = {}, y = {}, mask = {}}
      for t = 1, 2 * i do set[i].x[t], set[i].y[t], set[i].mask[t] = {0.5 * t}, {1.0, 2.0}, (t + i) % 3 / 4 end
    end
    local masked = lurn.dataset(set)
    local mse = lurn.stack {input = masked, lurn.linear {size = 2}, loss = lurn.loss.mse(), mask = true}
    local r = mse:evaluate(masked.all)
    assert.same({1 + 2 + 4, 2 / 4 + 3 / 4 + 6 / 4}, {r.count, r.weight})
    for i = 1, 3 do set[i].mask = nil end
    masked = lurn.dataset(set)
    mse = lurn.stack {input = masked, lurn.linear {size = 2}, loss = lurn.loss.mse()}
    assert.equal(12, mse:evaluate(masked.all).count)
  end)

  it("has metrics beside the loss, the same for any batches", function ()
    local wanted = {"accuracy", "f1", "perplexity", "confusion", mine = function (out, y, lengths)
      assert.equal("f64", out:dtype())
      assert.equal("ids", y:dtype())
      return lengths[1], 1
    end}
    local one = model:evaluate(data.valid, {metrics = wanted, batch = 4})
    assert.near(one.loss, model:evaluate(data.valid).loss, 1e-12)
    assert.near(math.exp(one.loss), one.perplexity, 1e-9)
    assert.equal(7, one.mine)
    local n = 0
    for _, row in ipairs(one.confusion) do for _, k in ipairs(row) do n = n + k end end
    assert.equal(one.count, n)
    for _, o in ipairs {{batch = 1}, {batch = 3}, {batch = 2, seq = 2}} do
      o.metrics = {"accuracy", "f1", "perplexity", "confusion"}
      local other = model:evaluate(data.valid, o)
      assert.same(one.confusion, other.confusion)
      assert.equal(one.accuracy, other.accuracy)
      assert.near(one.perplexity, other.perplexity, 1e-9)
    end
    assert.is_true(model:evaluate(data.valid, {metrics = {function () return 3 end}}).metric1 == 3)
  end)

  it("predicts each sequence in its place, the same for any batches", function ()
    local list, numbers = model:predict(data.valid, {batch = 4})
    assert.equal(4, #list)
    assert.same({4, 5, 6, 7}, numbers)
    for i, out in ipairs(list) do assert.same({i + 3, 3}, out.shape) end
    for _, o in ipairs {{batch = 1}, {batch = 3}, {batch = 2, seq = 2}} do
      for i, out in ipairs(model:predict(data.valid, o)) do assert.is_true(out:equal(list[i])) end
    end
    local stream = model:stream()
    for t, x in ipairs(sequences[6].x) do assert.is_true(stream:step(x):equal(list[3][t])) end
  end)

  it("predicts without targets, one output a sequence too, and the whole of a text", function ()
    local bare = lurn.dataset {{x = {{1.0}, {2.0}}}, {x = {{3.0}}}}
    local last = lurn.stack {input = bare, lurn.rnn {hidden = 2}, lurn.last, lurn.linear {size = 3}}
    local list = last:predict(bare.all)
    assert.same({{3}, {3}}, {list[1].shape, list[2].shape})
    local text = lurn.dataset {{x = {1, 2, 3, 1, 2, 3, 1}}, vocab = {"a", "b", "c"}, targets = "next", unit = "frame"}
    local writer = lurn.stack {input = text, lurn.embedding {size = 2}, lurn.rnn {hidden = 2}, lurn.linear {size = 3},
      loss = lurn.loss.cross_entropy()}
    local whole = writer:predict(text.all, {seq = 50})
    assert.equal(1, #whole)
    assert.is_true(whole[1]:equal(writer:predict(text.all, {seq = 2})[1]))
  end)

  it("has as many outputs as the targets have numbers, where lurn.linear is told no size", function ()
    local numbers = lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0, 2.0, 3.0}, {4.0, 5.0, 6.0}}}}
    local m = lurn.stack {input = numbers, lurn.linear(), loss = lurn.loss.mse()}
    assert.same({2, 3}, m:predict(numbers.all)[1].shape)
    assert.error_matches(function () lurn.stack {input = {dim = 1}, lurn.linear()} end, "the data have no targets")
  end)

  it("says what a split is to whoever has none", function ()
    for _, method in ipairs {"evaluate", "predict"} do
      local function of (split) return function () return model[method](model, split) end end
      assert.error_matches(of(data.test), "model:" .. method .. ": expected a split .* got nil: the data")
      assert.error_matches(of(data), "got a table, a split of these data: data.all")
      assert.error_matches(of(3), "got a number")
    end
  end)

  it("says what run:batches wants, at the line of the script, also where run:fit calls it", function ()
    local function failure (body)
      local told = lurn.experiment {name = "told", run = body}
      local run = told:start({}, {write = false, quiet = true}):play()
      assert.equal("failed", run.status)
      return run.error
    end
    local line = debug.getinfo(1, "l").currentline
    local cases = {
      {function (run) run:batches(3) end, "a number"},
      {function (run) run:batches(data) end, "a table, a split of these data: data.all"},
      {function (run) run:fit {model = model, optim = lurn.optim.sgd(model), train = data} end, "a table, a split"},
      {function (run) run:batches(data.test) end, "nil: the data have no such split"},
    }
    for k, case in ipairs(cases) do
      local expected = ("metrics_spec.lua:%d: run:batches: expected a split (data.test, data.all), got %s")
        :format(line + 1 + k, case[2])
      local message = failure(case[1])
      assert.truthy(message:find(expected, 1, true), message)
    end
  end)

  it("in run:fit logs its metrics", function ()
    local series, summary
    local e = lurn.experiment {name = "metrics", params = {}, run = function (run)
      local m = lurn.stack {input = data, lurn.linear {size = 3}, loss = lurn.loss.cross_entropy {weight = "balanced"}}
      run:fit {model = m, optim = lurn.optim.adam(m), train = data.train, valid = data.valid, steps = 6, eval_every = 3,
        seq = 0, metrics = {"accuracy", "confusion", own = function () return 7 end}}
      series, summary = run.metrics, run:summary()
    end}
    e:run({}, {write = false, quiet = true})
    assert.same({3, 6}, series.valid_accuracy.step)
    assert.same({7, 7}, series.valid_own.value)
    assert.equal(math.max(table.unpack(series.valid_accuracy.value)), summary.valid_accuracy.best)
    assert.equal(math.min(table.unpack(series.valid_loss.value)), summary.valid_loss.best)
    assert.is_nil(series.valid_confusion)
    assert.equal(6, #series.loss.step)
  end)

  local function fitted (direction, options)
    local best, m
    local e = lurn.experiment {name = "monitor", direction = direction, params = {}, run = function (run)
      m = lurn.stack {input = data, lurn.linear {size = 3}, loss = lurn.loss.cross_entropy()}
      options.model, options.optim, options.train = m, lurn.optim.adam(m, {lr = 0.5}), data.train
      options.valid, options.seq, options.eval_every, options.steps = options.valid or data.valid, 0, 1, 12
      best = run:fit(options)
      return best.value
    end}
    local run = e:start({}, {write = false, quiet = true}):play()
    return run, best, m
  end

  it("in run:fit says which evaluation is the best", function ()
    local run, best, m = fitted("maximize", {metrics = {"accuracy", "confusion"}, monitor = "accuracy"})
    local series, at = run.metrics.valid_accuracy, 1
    assert.equal(12, #series.step)
    for k, value in ipairs(series.value) do if value > series.value[at] then at = k end end
    assert.same({series.value[at], series.step[at]}, {best.value, best.step})
    assert.equal(run.metrics.valid_loss.value[at], best.loss)
    assert.same({best.value, best.step}, {run.best.value, run.best.step})
    local again = m:evaluate(data.valid, {metrics = {"accuracy"}, seq = 0})      -- the weights are those
    assert.same({best.value, best.loss}, {again.accuracy, again.loss})
    -- A goal is reached upwards, and a metric of one's own is better as the experiment says.
    local k = 0
    local function own () k = k + 1 return k // 4 end
    run, best = fitted("maximize", {metrics = {own = own}, monitor = "own", goal = 0.01})
    assert.is_true(run.done < 12 and best.step == run.done)
    k = 0
    run, best = fitted("minimize", {metrics = {own = own}, monitor = "own"})
    assert.same({"done", 1}, {run.status, best.step})
  end)

  it("in run:fit is refused as what decides where that makes no sense", function ()
    for _, case in ipairs {
      {"minimize", {metrics = {"accuracy"}, monitor = "accuracy"},
        'monitor = "accuracy" needs an experiment with direction = "maximize", and this one has "minimize"'},
      {"maximize", {metrics = {"perplexity"}, monitor = "perplexity"}, 'monitor = "perplexity" needs .* "minimize"'},
      {"maximize", {}, 'monitor = "loss" needs an experiment with direction = "minimize"'},
      {"maximize", {metrics = {"accuracy"}, monitor = "acuracy"}, "'monitor' must be loss, .*; got 'acuracy'"},
      {"maximize", {monitor = "accuracy"}, "must be loss, or one of metrics"},
    } do
      local run = fitted(case[1], case[2])
      assert.equal("failed", run.status)
      assert.matches("metrics_spec.lua:%d+: run:fit: ", run.error)
      assert.matches(case[3], run.error)
    end
  end)

  it("in run:fit are looked at before the first step", function ()
    local numbers = lurn.dataset {{x = {{1}, {2}}, y = {{0.5}, {3}}}, {x = {{3}}, y = {{1}}},
      split = {train = {1, 1}, valid = {2, 2}}}
    for _, case in ipairs {
      {{"balancd_accuracy"}, "metrics: unknown metric 'balancd_accuracy', did you mean 'balanced_accuracy'"},
      {{"balancd_accuracy"}, "unknown metric .- did you mean 'balanced_accuracy'", monitor = "balancd_accuracy"},
      {{"accuracy"}, "got 'acuracy', did you mean 'accuracy'", monitor = "acuracy"},
      {{"rmse"}, "rmse is for targets that are numbers, not classes"},
      {{most = "confusion"}, 'monitor = "most": a matrix is no number to go by', monitor = "most"},
      {{"perplexity"}, "perplexity is for classes, and the targets are numbers; of numbers: mae, rmse", numbers},
      {{"f1"}, "f1 is for classes, and the targets are numbers other than 0 and 1; of numbers: mae, rmse", numbers},
      {{auc = "auc"}, "auc is for classes", numbers},
      {{"accuracy"}, "metrics: they are of valid, and there is none %(data.valid is nil", false},
      {nil, "metrics: they are of valid, and there is none %(data.valid is nil", false, monitor = "mae"},
    } do
      local d = case[3] or data
      local e = lurn.experiment {name = "first", direction = "maximize", run = function (run)
        local loss = d == data and lurn.loss.cross_entropy() or lurn.loss.mse()
        local m = lurn.stack {input = d, lurn.linear {size = d == data and 3 or 1}, loss = loss}
        run:fit {model = m, optim = lurn.optim.adam(m), train = d.train, steps = 2, seq = 0, metrics = case[1],
          valid = case[3] ~= false and d.valid or nil, monitor = case.monitor}
      end}
      local run = e:start({}, {write = false, quiet = true}):play()
      assert.same({"failed", 0}, {run.status, run.done})
      assert.matches("metrics_spec.lua:%d+: run:fit: ", run.error)
      assert.matches(case[2], run.error)
    end
  end)

  it("of classes are not those of a regression", function ()
    local numbers = lurn.dataset {{x = {{1}, {2}}, y = {{0}, {3}}}}
    local m = lurn.stack {input = numbers, lurn.linear {size = 1}, loss = lurn.loss.mse()}
    for _, name in ipairs {"accuracy", "balanced_accuracy", "f1", "confusion", "auc"} do
      assert.error_matches(function () m:evaluate(numbers.all, {metrics = {name}}) end,
        "metrics: %a+ is for classes, and the targets are numbers other than 0 and 1; of numbers: mae, rmse")
    end
    assert.is_true(m:evaluate(numbers.all, {metrics = {"mae"}}).mae > 0)
  end)

  it("reads sequences with one target each whole, in training too, where no seq is given", function ()
    local one = lurn.dataset {{x = {{1}, {2}}, y = {{0.5}}}, {x = {{3}, {1}, {4}}, y = {{1}}}, targets = "sequence",
      split = {train = {1, 2}, valid = {1, 2}}}
    local seen = {}
    lurn.experiment {name = "whole", run = function (run)
      local m = lurn.stack {input = one, lurn.gru {hidden = 2, pool = "last"}, lurn.linear {size = 1},
        loss = lurn.loss.mse()}
      local optim = lurn.optim.adam(m)
      run:fit {model = m, optim = optim, train = one.train, valid = one.valid, epochs = 1}
      for batch in run:batches(one.train, {batch = 1}) do seen[#seen + 1] = batch.T end
    end}:run({}, {write = false, quiet = true})
    table.sort(seen)
    assert.same({2, 3}, seen)
  end)
end)
