--- The recurrent network by hand, beside the engine: the same equations, the same gradients.
--
--   lurn run scripts/rnn.lua --precision f64
--
--   h_t = act(x_t Wx + h_{t-1} Wh + b)          o_t = act(h_t Wo + bo)          L = sum over t of l_t(o_t, y_t)
--
-- The letters are those of the equations; lurn lists a model's parameters by path, with the same letters:
--
--   Wx (D,H)   rnn1.Wx          Wo (H,O)   rnn1.Wo          L    lurn.loss.mse {reduction = "time"}:
--   Wh (H,H)   rnn1.Wh          bo (O)     rnn1.bo               summed over t, averaged over rows
--   b  (H)     rnn1.b           act        activation, out_activation
--
-- Nothing is trained here, and there is no loop that a run file could stand in: who stops it starts it again.
--
-- Below, `%` is the matrix product and `*` goes element by element. Arrays over time are lists of (B, ...).

local lurn = require "lurn"

-- act(a) and its derivative as a function of the value: d tanh(a)/da = 1 - tanh(a)^2.
local function act (a) return a:tanh() end
local function dact (value) return 1 - value * value end

--- Forward: fills h[0..T] and o[1..T], returns L with l_t the mean of (o_t - y_t)^2 over the columns.
local function forward (w, x, y, h0)
  local h, o, L = {[0] = h0}, {}, 0
  for t = 1, #x do
    h[t] = act(x[t] % w.Wx + h[t - 1] % w.Wh + w.b)
    o[t] = act(h[t] % w.Wo + w.bo)
    local error = o[t] - y[t]
    L = L + (error * error):mean()
  end
  return L, h, o
end

--- Backpropagation through time: dL/dWx, dL/dWh, dL/db, dL/dWo, dL/dbo. A gradient is d + name; dh carries
-- what flows back from later steps.
local function backward (w, x, y, h, o)
  local d = {}
  for name, value in pairs(w) do d[name] = value * 0 end
  local dh = h[0] * 0
  for t = #x, 1, -1 do
    local count = o[t]:numel()
    local do_a = (o[t] - y[t]) * (2 / count) * dact(o[t])        -- at h_t Wo + bo
    d.Wo = d.Wo + h[t]:t() % do_a
    d.bo = d.bo + do_a:sum(1)
    dh = dh + do_a % w.Wo:t()
    local dh_a = dh * dact(h[t])                                 -- at x_t Wx + h_{t-1} Wh + b
    d.Wx = d.Wx + x[t]:t() % dh_a
    d.Wh = d.Wh + h[t - 1]:t() % dh_a
    d.b = d.b + dh_a:sum(1)
    dh = dh_a % w.Wh:t()
  end
  return d
end

-- B sequences of T steps: a batch for the engine, and lists over time of (B, ...) for the loops above.
local function make_data (p, seed)
  local x = lurn.normal(p.steps, p.rows, p.inputs, {seed = seed, name = "x"})
  local y = lurn.uniform(p.steps, p.rows, p.outputs, {seed = seed, name = "y", low = -0.9, high = 0.9})
  local sequences, xs, ys = {}, {}, {}
  for row = 1, p.rows do sequences[row] = {x = x:select(2, row), y = y:select(2, row)} end
  for t = 1, p.steps do xs[t], ys[t] = x[t], y[t] end
  return assert(lurn.dataset(sequences)), xs, ys
end

local function largest_difference (a, b)
  return (a - b):abs():max()
end

return lurn.experiment {
  name = "rnn", direction = "minimize",
  help = "a recurrent network by hand and by the engine: the same loss and gradients",

  params = {
    steps = {6, int = true, help = "T"}, rows = {4, int = true, help = "B"},
    inputs = {3, int = true, help = "D"}, hidden = {5, int = true, help = "H"},
    outputs = {2, int = true, help = "O"},
  },

  run = function (run, p)
    local data, x, y = make_data(p, run.seed)
    local model = lurn.stack {input = data,
      lurn.rnn {hidden = p.hidden, activation = "tanh", out = p.outputs, out_activation = "tanh"},
      loss = lurn.loss.mse {reduction = "time"}}
    local engine_loss = model:forward(data.all:feed({batch = p.rows}):batch(1, 1))
    model:backward()

    local w, engine = {}, {}
    for _, q in ipairs(model:parameters()) do
      local letter = q.path:match("[^.]+$")
      w[letter], engine[letter] = q.value, q.grad
    end
    local L, h, o = forward(w, x, y, lurn.zeros(p.rows, p.hidden))
    local d = backward(w, x, y, h, o)

    print(("L          by hand %.12f   engine %.12f"):format(L, engine_loss))
    local worst = math.abs(L - engine_loss)
    for _, name in ipairs {"Wx", "Wh", "b", "Wo", "bo"} do
      local difference = largest_difference(d[name], engine[name])
      worst = math.max(worst, difference)
      print(("dL/d%-4s   by hand |%.12f|   engine |%.12f|   largest difference %.1e"):format(name, d[name]:norm(),
        engine[name]:norm(), difference))
    end
    local tolerance = lurn.precision == "f64" and 1e-12 or 1e-5
    print(worst < tolerance and "equal" or "NOT EQUAL")
    return worst
  end,
}
