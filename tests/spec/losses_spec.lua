-- Losses with options: the numbers of PyTorch (tests/fixtures/make_losses.py), targets that do not count, class weights
-- that are counted, and what is refused. Gradients against differences: table_losses.lua.
local h = require "torch_helper"
local lurn = h.lurn

local LIMIT = 1e-10
local C = 4
local WEIGHT = {0.5, 2, 1, 3.25}

-- By the name of the case in the file.
local OPTIONS = {
  huber_delta = {delta = 0.3},
  cross_entropy_weight = {weight = WEIGHT},
  cross_entropy_smoothing = {smoothing = 0.15},
  cross_entropy_both = {weight = WEIGHT, smoothing = 0.15},
  bce_number = {pos_weight = 2.5},
  bce_list = {pos_weight = {3, 0.25, 1, 7.5}},
}

local function loss_of (name, how)
  local kind = name
  while not lurn.loss[kind] do kind = assert(kind:match "^(.*)_[^_]*$", name) end
  local options = {reduction = how}
  for key, value in pairs(OPTIONS[name] or {}) do options[key] = value end
  return lurn.loss[kind](options)
end

describe("as PyTorch, the loss", function ()
  local count = 0
  for case_name, case in pairs(h.read "torch_losses2") do
    count = count + 1
    it(case_name, function ()
      local name, how = case_name:match "^([%w_]+):(%a+)"
      local model = lurn.model(function (m)
        m.mask = case.mask1 ~= nil
        local x = m:input("x", "real", "time", {C})
        local loss, weight = loss_of(name, how):build(m, x)
        return {loss = loss, weight = weight, out = x}
      end)
      local worst = h.compare(model, case)
      for _, key in ipairs {"loss", "dx"} do
        assert(worst[key] <= LIMIT, ("%s: off by %g"):format(key, worst[key]))
      end
    end)
  end

  it("in every case", function () assert.equal(28, count) end)
end)

---------------------------------------------------------------------- what does not count

describe("a target that does not count and is NaN", function ()
  for name, columns in pairs {mae = C, huber = C, poisson = C, cosine = C, bce_number = C, bce_list = C, kl = C,
    gaussian_nll = C // 2} do
    it("does no harm to the gradients of " .. name, function ()
      local y, mask = lurn.full({5, 3, columns}, 0.5), lurn.ones(5, 3)
      y[1][1][1], mask[1][1] = 0 / 0, 0
      local model = lurn.stack {input = {dim = 3}, lurn.linear {size = C}, mask = true, loss = loss_of(name)}
      local loss = model:forward(lurn.batch {x = lurn.full({5, 3, 3}, 0.7), y = y, mask = mask})
      model:backward()
      assert.equal(loss, loss)
      for _, p in ipairs(model:parameters()) do assert(p.grad:abs():max() < math.huge) end
    end)
  end
end)

---------------------------------------------------------------------- class weights

describe("class weights", function ()
  -- Training has classes 1, 1, 1, 2 and none of 3; what is in valid does not count.
  local data = lurn.dataset {{x = {{1.0}, {2.0}}, y = {1, 1}}, {x = {{1.0}, {2.0}, {3.0}}, y = {2, 0, 1}},
    {x = {{1.0}}, y = {3}}, targets = "step", split = {train = {1, 2}, valid = {3, 3}}, classes = {"a", "b", "c"}}

  local function stack (loss, input)
    return lurn.stack {input = input or data, lurn.linear {size = 3}, loss = loss}
  end

  it("are counted from the training split when they are balanced", function ()
    local counted = stack(lurn.loss.cross_entropy {weight = "balanced"})
    local given = stack(lurn.loss.cross_entropy {weight = {4 / (3 * 3), 4 / (3 * 1), 4 / (3 * 1)}})
    assert.equal(given:program(), counted:program())
    local named = stack(lurn.loss.cross_entropy {weight = "balanced", data = data}, {dim = 1})
    assert.equal(given:program(), named:program())
  end)

  it("of a text are counted over the next characters", function ()
    local text = lurn.dataset {{x = {1, 1, 2, 1, 2, 1}}, vocab = {"a", "b"}, targets = "next", unit = "frame",
      split = {train = {1, 4}, valid = {5, 6}}}        -- the targets of train: 1 2 1 2
    local function writer (weight)
      return lurn.stack {input = text, lurn.embedding {size = 2}, lurn.linear {size = 2},
        loss = lurn.loss.cross_entropy {weight = weight}}
    end
    assert.equal(writer({1.0, 1.0}):program(), writer("balanced"):program())
  end)

  it("of one's own are refused when they are none", function ()
    local function refused (pattern, loss)
      assert.error_matches(function () lurn.stack {input = {dim = 1}, lurn.linear {size = 1}, loss = loss} end, pattern)
    end
    refused("loss: expected one of lurn.loss, as lurn.loss.mse%(%), or a function, got 'mse'", "mse")
    refused("a loss's function gives a symbol, the loss per frame, and not nil", function () end)
    refused("and not 3", function () return 3 end)
  end)

  it("are refused when there is nothing to count or a number is wrong", function ()
    local function refused (pattern, options, input)
      assert.error_matches(function () stack(lurn.loss.cross_entropy(options), input) end, pattern)
    end
    refused("give data = the data set", {weight = "balanced"}, {dim = 1})
    refused("numbers as targets are no classes", {weight = "balanced"}, lurn.dataset {{x = {{1}}, y = {{1.5}}}})
    refused("expected 3 numbers, one a column, got 2", {weight = {1, 2}})
    refused("%[2%] must be a number from 0, got %-1", {weight = {1, -1, 2}})
    refused("%[3%] must be a number from 1e%-30, got 0", {weight = {1, 1, 0}, smoothing = 0.1})
    refused("must be one of balanced, got 'ballanced'", {weight = "ballanced"})
    assert.error_matches(function ()
      lurn.stack {input = {dim = 1}, lurn.linear {size = 3}, loss = lurn.loss.gaussian_nll()}
    end, "out has 3 columns; it takes as many means as log variances")
  end)
end)

describe("a cross-entropy of numbers", function ()
  local function outcome (kind, y, mask)
    local data = lurn.dataset {{x = {{1}, {2}}, y = y, mask = mask}, {x = {{3}}, y = {{1}}, mask = mask and {1}}}
    local m = lurn.stack {input = data, lurn.linear {size = 1}, loss = lurn.loss[kind](), mask = mask ~= nil}
    local _, evaluated = pcall(m.evaluate, m, data.all)
    local run = lurn.experiment {name = "bce", run = function (run)
      return run:fit {model = m, optim = lurn.optim.sgd(m), train = data.train, steps = 1, seq = 0}.loss
    end}:start({}, {write = false, quiet = true}):play()
    return run, evaluated
  end

  it("refuses targets that are no probabilities", function ()
    for _, kind in ipairs {"bce", "kl"} do
      for _, y in ipairs {{{1.5}, {0}}, {{-0.5}, {1}}} do
        local run, evaluated = outcome(kind, y)
        assert.equal("failed", run.status)
        assert.matches("losses_spec.lua:%d+: run:fit: lurn.loss." .. kind .. " is for targets from 0 to 1, and there "
          .. 'are .-; a table\'s normalise = "x" leaves targets', run.error)
        assert.matches("model:evaluate: lurn.loss." .. kind .. " is for targets from 0 to 1", evaluated)
      end
    end
  end)

  it("takes all others, and none where they do not count", function ()
    for _, case in ipairs {{{{0.25}, {1}}}, {{{0}, {-7}}, {1, 0}}} do
      local run, evaluated = outcome("bce", case[1], case[2])
      assert.equal("done", run.status, run.error)
      assert.is_true(evaluated.loss > 0)
    end
    assert.equal("done", (outcome("mse", {{7}, {-7}})).status)
  end)
end)

describe("a model whose targets do not fit", function ()
  local numbers, classes = {{x = {{1}, {2}}, y = {{0.5}, {3}}}}, {{x = {{1}, {2}}, y = {1, 2}}}
  local one_number = {{x = {{1}, {2}}, y = {{0.5}}}, targets = "sequence"}
  local one_class = {{x = {{1}, {2}}, y = {2}}, targets = "sequence"}

  it("is told what to do", function ()
    for _, case in ipairs {
      {one_number, "mse", "got row %(1%) real %(one a sequence, not one a step%); give the last recurrent layer "
        .. 'pool = "last"$'},
      {one_class, "mse", 'pool = "last"; y is a class: lurn.loss.cross_entropy%(%)$'},
      {classes, "bce", "expects time %(1%) real, got time %(1%) index; y is a class: lurn.loss.cross_entropy%(%)$"},
      {numbers, "cross_entropy", "got time %(1%) real; y is numbers: lurn.loss.mse%(%), or class = true in lurn.csv$"},
    } do
      local data = lurn.dataset(case[1])
      local function model ()
        return lurn.stack {input = data, lurn.gru {hidden = 2}, lurn.linear {size = 1}, loss = lurn.loss[case[2]]()}
      end
      assert.error_matches(function () model():evaluate(data.all) end, case[3])
      local function plays (how)
        local run = lurn.experiment {name = "told", run = how}:start({}, {write = false, quiet = true}):play()
        assert.matches(case[3], run.error)
      end
      plays(function (run)
        local m = model()
        run:fit {model = m, optim = lurn.optim.sgd(m), train = data.train, steps = 1, seq = 0}
      end)
      plays(function (run)
        local m = model()
        for batch in run:batches(data.train, {seq = 0}) do m:forward(batch) end
      end)
    end
  end)
end)
