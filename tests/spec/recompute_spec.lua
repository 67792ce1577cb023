-- Checkpointing over time: a step played in windows, whose activations are worked out twice, is the same step, bit
-- for bit; its memory is that of a window and of the states between windows.
local lurn = require "lurn"
local bits = require "bits_helper"

local D, V, H = 3, 6, 5
local LENGTHS = {9, 2, 7, 7, 1}

local function wave (l, seed, ...)
  local n, list = 1, {}
  for _, d in ipairs {...} do n = n * d end
  for i = 1, n do list[i] = math.sin(seed + 1.7 * i * i + 0.3 * i) end
  return l.tensor(list):reshape(...)
end

local function ids (l, least)
  local t = {}
  for s = 1, 9 do
    t[s] = {}
    for r = 1, 5 do t[s][r] = math.max(least, (s * 7 + r * 3) % (V + 1)) end
  end
  return l.ids(t)
end

local function stack (...)
  local layers = {...}
  return function (l)
    local o = {input = {dim = D}, loss = l.loss.mse()}
    for i, f in ipairs(layers) do o[i] = f(l) end
    return l.stack(o)
  end
end

local function linear (l) return l.linear {size = 2} end
local function recurrent (name, o)
  return function (l) return (l[name] or l.cells[name])(o) end
end

local models = {
  ["rnn"] = stack(recurrent("rnn", {hidden = H}), linear),
  ["lstm, two layers with dropout"] = stack(recurrent("lstm", {hidden = H, layers = 2, dropout = 0.4}), linear),
  ["gru with recurrent dropout and a learned first state"] = stack(recurrent("gru", {hidden = H,
    recurrent_dropout = 0.3, init_state = "learned"}), linear),
  ["lstm with zoneout, locked dropout behind it"] = stack(recurrent("lstm", {hidden = H, zoneout = 0.2}),
    function (l) return l.dropout {rate = 0.3, locked = true} end, linear),
  ["clockwork"] = stack(recurrent("clockwork", {hidden = H, periods = {1, 2}}), linear),
  ["pooled last"] = stack(recurrent("gru", {hidden = H, pool = "last"}), linear),
  ["pooled mean"] = stack(recurrent("lstm", {hidden = H, pool = "mean"}), linear),
  ["a weight used twice, once as its transpose"] = function (l)
    return l.model(function (m)
      local x, w = m:input("x", "real", "time", {D}), m:param("w", {D, H})
      local h = m:apply(l.rnn {hidden = H}, x % w)
      local out = m.program:emit("product", nil, h, w, 0, 1)
      return {loss = l.loss.mse():build(m, l.slice(out, 1, 2)), row = l.last(h)}
    end)
  end,
  ["words"] = function (l)
    return l.stack {input = {vocab = V}, l.embedding {size = 4}, l.gru {hidden = H}, l.linear {size = V},
      loss = l.loss.cross_entropy()}
  end,
  ["rows that count as a mask says"] = function (l)
    return l.stack {input = {dim = D}, mask = true, l.gru {hidden = H}, l.linear {size = 2}, loss = l.loss.mse()}
  end,
  ["words, summed over time"] = function (l)
    return l.stack {input = {vocab = V}, l.embedding {size = 4}, l.lstm {hidden = H}, l.linear {size = V},
      loss = l.loss.cross_entropy {reduction = "time"}}
  end,
  ["a decoder that attends to another axis"] = function (l)
    return l.model(function (m)
      local x, s = m:input("x", "real", "time", {D}), m:input("s", "real", "time2", {2})
      local memory = m:apply(l.gru {hidden = H, bidirectional = true}, s)
      local u = m:param("u", {2 * H}, {"normal", 0, 1})
      local reader = l.cell {name = "reader", step = function (c, input, state)
        local query = c:linear("q", {state.h}, {size = 2 * H, bias = false})
        return l.tanh(c:linear(nil, {input, state.h, {l.attend(query, memory, memory, u), "Wc"}}))
      end}
      return {loss = l.loss.mse():build(m, m:apply(l.linear {size = 2}, m:apply(reader {hidden = H}, x)))}
    end)
  end,
}

-- Its gradient in p is taken of what the mirror's step finds, not of what it makes.
models["an encoder that forgets what it says"] = function (l)
  return l.model(function (m)
    local x, s = m:input("x", "real", "time", {H}), m:input("s", "real", "time2", {2})
    local p = m:param("p", {H}, {"normal", 0, 1})
    local program = m.program
    program:scan("a", false, "time2")
    local h = program:state("h", program:fill(0, "row2", {H}))
    local said = l.tanh(h + s % m:param("W", {2, H}))
    program:next(h, p)
    program:close()
    return {loss = l.loss.mse():build(m, m:apply(l.linear {size = 2}, x * l.last(said)))}
  end)
end

local function batch (l, name, carry, reset)
  local words, pooled = name:find "^words" ~= nil, name:find "^pooled"
  local columns = name:find "forgets" and H or D
  return l.batch {x = words and ids(l, 1) or wave(l, 1, 9, 5, columns), lengths = LENGTHS, carry = carry,
    y = words and ids(l, 0) or pooled and wave(l, 2, 5, 2) or wave(l, 2, 9, 5, 2), mask = wave(l, 5, 9, 5):abs(),
    reset = reset and wave(l, 4, 9, 5):gt(0.4),
    time2 = {s = wave(l, 3, 6, 5, 2), lengths = {1, 6, 2, 3, 3}}}
end

-- Where two traces differ: for a message.
local function difference (a, b)
  for key, value in pairs(a) do
    if value ~= b[key] then return type(value) == "string" and ("%s: %s"):format(key, value:match "^[%w%p ]*") end
  end
end

-- Loss, gradients and states of two batches, the second of which carries on.
local function trace (l, model, name, o)
  local seen = {}
  local player = model.native:player {grad = true, window = o.window, reset = o.reset, carry = true}
  for step, carry in ipairs {false, true} do
    local loss, weight = assert(player:forward(batch(l, name, carry, o.reset), 1, step, "train"))
    assert(player:backward())
    player:commit()
    seen[#seen + 1] = ("%a %a"):format(loss, weight or 0)
    for _, p in ipairs(model:parameters()) do seen[#seen + 1] = p.path .. bits(p.grad:contiguous()) end
    for state, value in pairs(player:state()) do seen[state .. step] = bits(value) end
    local row = player:output "row"
    seen[#seen + 1] = row and bits(row) or ""
  end
  return seen
end

describe("played in windows", function ()
  for name, make in pairs(models) do
    it(name .. ": loss, gradients and states have the same bits", function ()
      for _, l in ipairs {lurn.f32, lurn.f64} do
        local model = make(l)
        for _, reset in ipairs {false, true} do
          local plain = trace(l, model, name, {reset = reset})
          for _, window in ipairs {1, 2, 4, 9, 20, -1} do
            local where = difference(plain, trace(l, model, name, {reset = reset, window = window}))
            assert(not where, ("window %d, reset %s: %s"):format(window, reset, where))
          end
        end
      end
    end)
  end

  it("the twin agrees, too", function ()
    local l = lurn.f64
    local model = models["pooled mean"](l)
    local player, twin = model.native:player {grad = true, window = 2}, model.native:player {grad = true, twin = true}
    local b, seen = batch(l, "pooled mean"), {}
    for i, p in ipairs {player, twin} do
      assert(p:forward(b, 1, 0, "train"))
      assert(p:backward())
      seen[i] = ""
      for _, w in ipairs(model:parameters()) do seen[i] = seen[i] .. bits(w.grad:contiguous()) end
    end
    assert(seen[1] == seen[2])
  end)

  it("training learns the same weights", function ()
    local function train (checkpoint)
      local model = lurn.stack {input = {dim = D}, lurn.lstm {hidden = H}, lurn.linear {size = 2},
        loss = lurn.loss.mse(),
        checkpoint = checkpoint}
      local optim = lurn.optim.adam(model, {lr = 0.01})
      for step = 1, 5 do
        model:forward(batch(lurn, "rnn", step > 1))
        model:backward()
        optim:step()
      end
      local all = ""
      for _, p in ipairs(model:parameters()) do all = all .. bits(p.value:contiguous()) end
      return all, model
    end
    local plain = train(false)
    assert(plain == train(true))
    local again, model = train(3)
    assert(plain == again)
    assert.has_error.matches(function () model:output() end, "keeps nothing that has a value for every step")
  end)

  it("what looks across steps is named", function ()
    local function refused (message, ...)
      local model = stack(...)(lurn)
      assert.has_error.matches(function () model.native:player {grad = true, window = 4} end, message)
    end
    refused("'gru1_reverse' runs from the last step", recurrent("gru", {hidden = H, bidirectional = true}), linear)
    refused("'gru1' runs from the last step", recurrent("gru", {hidden = H, reverse = true, init_state = "learned"}),
      linear)
    refused("shift in the model looks from one step at another", function (l) return l.shift end, linear)
    refused("must know the whole sequence", recurrent("gru", {hidden = H}),
      function (l) return function (y) return y * l.last(y) end end, linear)
    refused("reads all steps of its own time axis", recurrent("rnn", {hidden = H}),
      function (l) return function (y) return l.attend(y, y) end end, linear)
  end)

  it("memory grows as the square root of the length", function ()
    local model = lurn.stack {input = {dim = D}, lurn.lstm {hidden = 32}, lurn.linear {size = 2},
      loss = lurn.loss.mse(),
      checkpoint = true}
    local function bytes (T) return model:plan(T, 4).arena end
    local least, more, most = bytes(1000), bytes(4000), bytes(100000)
    assert(more < 2.1 * least, more / least)          -- twice, and what does not depend on T
    assert(most < 10.5 * least, most / least)         -- ten times
    model = lurn.stack {input = {dim = D}, lurn.lstm {hidden = 32}, lurn.linear {size = 2}, loss = lurn.loss.mse()}
    least = bytes(1000)
    assert(bytes(4000) > 3.9 * least)
  end)

  it("sequences of 100,000 steps and of one are trained side by side", function ()
    local function gradients (checkpoint, x, y, lengths)
      local model = lurn.stack {input = {dim = 1}, lurn.gru {hidden = 4}, lurn.linear {size = 1},
        loss = lurn.loss.mse(), checkpoint = checkpoint}
      model:forward(lurn.batch {x = x, y = y, lengths = lengths})
      model:backward()
      local all = ""
      for _, p in ipairs(model:parameters()) do all = all .. bits(p.grad:contiguous()) end
      return all, model
    end
    local T = 100000
    local x = lurn.randn and lurn.randn(T, 3, 1) or lurn.ones(T, 3, 1)
    local plain = gradients(false, x, x, {1, T, 5})
    local windows, model = gradients(true, x, x, {1, T, 5})
    assert(plain == windows)
    assert(model:plan(T, 3).arena < 2^20)
  end)
end)
