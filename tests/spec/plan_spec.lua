-- What a program will cost, before it is played. The plan says what a training process needs: a process of its own
-- trains a character model of charlm's size, and its peak must stay within the plan and 40 MB. The heap of the engine
-- itself is watched by tests/c/check_plan.c.

describe("the count of products", function ()
  local lurn = require "lurn"
  local T, B, D, H, K = 7, 3, 5, 4, 2

  -- Forward each product once, backward both gradients; that of an input that is data is not needed.
  it("is that of the formula", function ()
    for blocks, layer in pairs {[4] = lurn.lstm, [3] = lurn.gru, [1] = lurn.rnn} do
      local model = lurn.stack {input = {dim = D}, layer {hidden = H, layers = 2}, lurn.linear {size = K},
        loss = lurn.loss.mse()}
      local products = blocks * H * (D + H) + blocks * H * (H + H) + H * K
      assert.equal(T * B * (3 * products - blocks * H * D), model:player():products(T, B))
      assert.equal(T * B * products, model.native:player {}:products(T, B))
      assert.equal(B * products, model.native:player {infer = true}:products(1, B))
    end
  end)

  it("is of rows where they are rows, and of a matrix where it is one", function ()
    local model = lurn.stack {input = {dim = D}, lurn.last, lurn.linear {size = K}}
    assert.equal(B * D * K, model.native:player {}:products(T, B))
    model = lurn.model(function (m)
      local w = m:param("v", {D, H}) % m:param("w", {H, K})
      return {out = m:input("x", "real", "time", {D}) % w}
    end)
    assert.equal(D * H * K + T * B * D * K, model.native:player {}:products(T, B))
  end)
end)

describe("a wide output layer", function ()
  local lurn, bits = require "lurn", require "bits_helper"
  local V, T, B = 3000, 40, 20

  local function ids (k)
    local list = {}
    for t = 1, T do
      list[t] = {}
      for r = 1, B do list[t][r] = (t * k + r * r) % V end       -- a word, or now and then none
    end
    return lurn.ids(list)
  end

  -- Bits of loss and gradients, bytes of the arena.
  local function train (keep_out)
    local model = lurn.stack {input = {vocab = V}, lurn.embedding {size = 4}, lurn.rnn {hidden = 4},
      lurn.linear {size = V}, loss = lurn.loss.cross_entropy(), keep_out = keep_out}
    local seen = {model:forward(lurn.batch {x = ids(7), y = ids(11)})}
    model:backward()
    for _, p in ipairs(model:parameters()) do seen[#seen + 1] = p.grad end
    return bits(seen), model:plan(T, B).arena, model
  end

  local whole = T * B * V * (lurn.precision == "f64" and 8 or 4)

  it("keeps its outputs, but not what backward makes of them", function ()
    local _, arena = train(true)
    assert(arena > whole and arena < 2 * whole, arena / whole)
  end)

  it("has no room for all outputs when nobody wants them, and the same bits", function ()
    local kept = train(true)
    local seen, arena, model = train(false)
    assert(seen == kept)
    assert(arena < whole, arena / whole)
    assert.has_error(function () model:output() end,
      "model:output: the model was built with keep_out = false; evaluate and predict give outputs")
    assert.same({V}, model:stream():step(1).shape)
  end)
end)

describe("the memory plan", function ()
  local PROGRAM = [[
    local lurn = require "lurn"
    local V, T, B = 65, 50, 50
    local model = lurn.stack {input = {vocab = V}, lurn.embedding {size = 128}, lurn.lstm {hidden = 128, layers = 2},
      lurn.linear {size = V}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = 1e-3, clip_norm = 5})
    local plan = model:plan(T, B).bytes
    local x, y = {}, {}
    for t = 1, T do
      x[t], y[t] = {}, {}
      for r = 1, B do x[t][r], y[t][r] = (t * 7 + r) % V + 1, (t * 5 + r) % V + 1 end
    end
    local batch = lurn.batch {x = lurn.ids(x), y = lurn.ids(y)}
    for _ = 1, 4 do
      model:forward(batch)
      model:backward()
      optim:step()
    end
    local weights = model:count() * 4 * 4                -- values, gradients, two moments
    print(plan, model:plan(T, B).bytes, weights, lurn.sys.peak_rss())
  ]]

  local function numbers ()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write(PROGRAM)
    f:close()
    local pipe = assert(io.popen(("LURN_PRECISION=f32 %s %s"):format(os.getenv "LUA" or "lua5.4", path)))
    local line = pipe:read("a")
    pipe:close()
    os.remove(path)
    local list = {}
    for n in line:gmatch("%d+") do list[#list + 1] = tonumber(n) end
    return list
  end

  it("holds for a process that trains, to within 40 MB", function ()
    local before, after, weights, peak = table.unpack(numbers())
    assert.equal(before, after)
    assert.is_true(before > 20e6 and before < 60e6)
    if os.getenv "LURN_CHECK" then return end       -- a sanitizer keeps a shadow of all memory
    assert.is_true(peak <= before + weights + 40e6, ("peak %d, plan %d, weights %d"):format(peak, before, weights))
  end)
end)
