-- Losses with options: the numbers of PyTorch (tests/fixtures/make_losses.py), gradients against differences, class
-- weights that are counted, and what is refused.
local h = require "torch_helper"
local lurn = h.lurn

local LIMIT, GRADIENT = 1e-10, 1e-6
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

---------------------------------------------------------------------- gradients

local function wave (seed, ...)
  local shape, n = {...}, 1
  for _, d in ipairs(shape) do n = n * d end
  local list = {}
  for i = 1, n do list[i] = math.sin(seed + 1.7 * i * i + 0.3 * i) end
  return lurn.tensor(list):reshape(...)
end

local function ids (most)
  local t = {}
  for s = 1, 5 do
    t[s] = {}
    for r = 1, 3 do t[s][r] = (s * 7 + r * 3) % (most + 1) end
  end
  return lurn.ids(t)
end

describe("gradients of the loss", function ()
  local y = wave(3, 5, 3, C)
  local positive = y * y + 0.1
  local kinds = {
    mae = y, huber = y, huber_delta = y, poisson = positive, cosine = y, bce_number = y:gt(0), bce_list = y:gt(0),
    kl = positive / positive:sum(3):unsqueeze(3), gaussian_nll = wave(3, 5, 3, C // 2),
    cross_entropy_weight = ids(C), cross_entropy_smoothing = ids(C), cross_entropy_both = ids(C),
  }
  local mask = wave(4, 5, 3):abs()
  mask[1][1], mask[2][2] = 0, 0

  for name, target in pairs(kinds) do
    it(name .. ", with every reduction, with and without a mask", function ()
      for _, how in ipairs {"mean", "time", "sum"} do
        for _, masked in ipairs {false, true} do
          local model = lurn.stack {input = {dim = 3}, lurn.gru {hidden = 3}, lurn.linear {size = C},
            name == "kl" and lurn.log_softmax or lurn.identity, mask = masked, loss = loss_of(name, how)}
          local batch = lurn.batch {x = wave(1, 5, 3, 3), y = target, lengths = {2, 5, 3},
            mask = masked and mask or nil}
          local r
          for seed = 1, 5 do      -- a difference across a kink says nothing; a wrong derivative is wrong every time
            model:init(seed)
            r = lurn.gradcheck(model, batch)
            if r.worst < GRADIENT or not name:find "^huber" and name ~= "mae" then break end
          end
          assert(r.worst < GRADIENT, ("%s: off by %g at %s"):format(how, r.worst, r.path))
        end
      end
    end)
  end

  it("per sequence, of weighted classes", function ()
    local model = lurn.stack {input = {dim = 3}, lurn.lstm {hidden = 3}, lurn.last, lurn.linear {size = C},
      loss = loss_of("cross_entropy_both")}
    local r = lurn.gradcheck(model, lurn.batch {x = wave(1, 5, 3, 3), y = lurn.ids {2, 0, 3}, lengths = {2, 5, 3}})
    assert(r.worst < GRADIENT)
  end)

  it("are finite where a target that does not count is NaN", function ()
    for name, target in pairs(kinds) do
      if target.dtype ~= "index" and not name:find "^cross" then
        local broken = target:clone()
        broken[1][1][1] = 0 / 0
        local model = lurn.stack {input = {dim = 3}, lurn.linear {size = C}, mask = true, loss = loss_of(name)}
        local loss = model:forward(lurn.batch {x = wave(1, 5, 3, 3), y = broken, mask = mask})
        model:backward()
        assert.equal(loss, loss)
        for _, p in ipairs(model:parameters()) do assert(p.grad:abs():max() < math.huge, name) end
      end
    end
  end)
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

  it("are refused when there is nothing to count or a number is wrong", function ()
    local function refused (pattern, options, input)
      assert.error_matches(function () stack(lurn.loss.cross_entropy(options), input) end, pattern)
    end
    refused("give data = the data set", {weight = "balanced"}, {dim = 1})
    refused("expected 3 numbers, one a column, got 2", {weight = {1, 2}})
    refused("%[2%] must be a number from 0, got %-1", {weight = {1, -1, 2}})
    refused("%[3%] must be a number from 1e%-30, got 0", {weight = {1, 1, 0}, smoothing = 0.1})
    refused("must be one of balanced, got 'ballanced'", {weight = "ballanced"})
    assert.error_matches(function ()
      lurn.stack {input = {dim = 1}, lurn.linear {size = 3}, loss = lurn.loss.gaussian_nll()}
    end, "out has 3 columns; it takes as many means as log variances")
  end)
end)
