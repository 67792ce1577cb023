--- Cells of the literature, each an equation for one time step: lurn.cells.peephole {hidden = 64} is a layer.
--
-- They are written for reading and for copying into a script. Row vectors times matrices; x_t is x, the state of
-- the step before is s.h, and c:linear("f", {x, s.h}) is x Wx + h Wh + b of gate f. In the formulas above them [x, h]
-- stands for those two products and their bias, * goes column by column, and a dash marks the next state.

return function (lurn)
  local M = {}
  local sigmoid, tanh, relu = lurn.sigmoid, lurn.tanh, lurn.relu

  local function define (name, cell)
    cell.name = name
    M[name] = lurn.cell(cell)
  end

  local ACTIVATION = {"string", "tanh", nil, "of the state"}
  local FORGET = {"number", 1, nil, "at which the forget gate's bias starts"}

  local function act (c, name, x) return c.program:activation(name, x) end

  ---------------------------------------------------------------- the built-in three, as equations

  -- Elman 1990, Finding structure in time.
  -- h' = act([x, h])
  define("rnn", {options = {activation = ACTIVATION}, step = function (c, x, s, o)
    return act(c, o.activation, c:linear(nil, {x, s.h}))
  end})

  -- Hochreiter & Schmidhuber 1997, Long short-term memory; Gers et al. 2000, Learning to forget.
  -- i, f, o = sigmoid([x, h])   c' = f * c + i * act([x, h])   h' = o * act(c')
  -- With proj_size P (Sak et al. 2014, as torch.nn.LSTM): h' = (o * act(c')) Wp
  define("lstm", {state = {"h", "c"}, options = {activation = ACTIVATION, forget_bias = FORGET,
    proj_size = {"integer", nil, {1, 1e6}, "columns P of the output; without it H"}},
    columns = function (o) return {h = o.proj_size} end,
    step = function (c, x, s, o)
      local function gate (g, bias) return c:linear(g, {x, s.h}, {bias = bias}) end
      local new = act(c, o.activation, gate "g")
      local cell = sigmoid(gate("f", o.forget_bias)) * s.c + sigmoid(gate "i") * new
      local h = sigmoid(gate "o") * act(c, o.activation, cell)
      if o.proj_size then h = h % c:param("Wp", {o.hidden, o.proj_size}) end
      return {h = h, c = cell}
    end})

  -- Cho et al. 2014, Learning phrase representations (reset_after = false); as cuDNN and PyTorch otherwise.
  -- r, z = sigmoid([x, h])   n = act(x Wx + b + r * (h Wh + bh))  or  act([x, r * h])   h' = (1 - z) * n + z * h
  define("gru", {options = {activation = ACTIVATION,
    reset_after = {"boolean", true, nil, "the reset gate after the product or before it"}},
    step = function (c, x, s, o)
      local function gate (g) return sigmoid(c:linear(g, {x, s.h})) end
      local r, z = gate "r", gate "z"
      local n = o.reset_after and c:linear("n", {x}) + r * c:linear("n", {s.h}, {bias = "bh"})
        or c:linear("n", {x, {r * s.h, "Wh"}})
      return (1 - z) * act(c, o.activation, n) + z * s.h
    end})

  ---------------------------------------------------------------- relatives of the LSTM

  -- Gers & Schmidhuber 2000, Recurrent nets that time and count: gates see the cell, the output gate the new one.
  -- i, f = sigmoid([x, h] + p * c)   c' = f * c + i * tanh([x, h])   o = sigmoid([x, h] + p * c')   h' = o * tanh(c')
  define("peephole", {state = {"h", "c"}, options = {forget_bias = FORGET}, step = function (c, x, s, o)
    local function gate (g, cell, bias)
      return sigmoid(c:linear(g, {x, s.h}, {bias = bias}) + c:param(g .. ".p", {o.hidden}, 0) * cell)
    end
    local cell = gate("f", s.c, o.forget_bias) * s.c + gate("i", s.c) * tanh(c:linear("g", {x, s.h}))
    return {h = gate("o", cell) * tanh(cell), c = cell}
  end})

  -- Greff et al. 2017, LSTM: a search space odyssey (CIFG): the input gate is what the forget gate leaves.
  -- f, o = sigmoid([x, h])   c' = f * c + (1 - f) * tanh([x, h])   h' = o * tanh(c')
  define("cifg", {state = {"h", "c"}, options = {forget_bias = FORGET}, step = function (c, x, s, o)
    local f = sigmoid(c:linear("f", {x, s.h}, {bias = o.forget_bias}))
    local cell = f * s.c + (1 - f) * tanh(c:linear("g", {x, s.h}))
    return {h = sigmoid(c:linear("o", {x, s.h})) * tanh(cell), c = cell}
  end})

  -- van der Westhuizen & Lasenby 2018, The unreasonable effectiveness of the forget gate (JANET).
  -- a = [x, h]   h' = sigmoid(a) * h + (1 - sigmoid(a - beta)) * tanh([x, h])
  define("janet", {options = {forget_bias = FORGET, beta = {"number", 1, nil, "by how much input outlasts forgetting"}},
    step = function (c, x, s, o)
      local a = c:linear("f", {x, s.h}, {bias = o.forget_bias})
      return sigmoid(a) * s.h + (1 - sigmoid(a - o.beta)) * tanh(c:linear("g", {x, s.h}))
    end})

  -- Krause et al. 2016, Multiplicative LSTM for sequence modelling.
  -- m = (x Wx) * (h Wh)   i, f, o = sigmoid([x, m])   c' = f * c + i * tanh([x, m])   h' = o * tanh(c')
  define("mlstm", {state = {"h", "c"}, options = {forget_bias = FORGET}, step = function (c, x, s, o)
    local m = c:linear("m", {x}, {bias = false}) * c:linear("m", {s.h}, {bias = false})
    local function gate (g, bias) return c:linear(g, {x, {m, "Wm"}}, {bias = bias}) end
    local cell = sigmoid(gate("f", o.forget_bias)) * s.c + sigmoid(gate "i") * tanh(gate "g")
    return {h = sigmoid(gate "o") * tanh(cell), c = cell}
  end})

  -- Lee et al. 2017, Recurrent additive networks.
  -- i, f = sigmoid([x, h])   c' = i * (x Wx) + f * c   h' = tanh(c')
  define("ran", {state = {"h", "c"}, options = {forget_bias = FORGET}, step = function (c, x, s, o)
    local i = sigmoid(c:linear("i", {x, s.h}))
    local f = sigmoid(c:linear("f", {x, s.h}, {bias = o.forget_bias}))
    local cell = i * c:linear("g", {x}, {bias = false}) + f * s.c
    return {h = tanh(cell), c = cell}
  end})

  ---------------------------------------------------------------- relatives of the GRU

  -- Zhou et al. 2016, Minimal gated unit for recurrent neural networks (MGU).
  -- f = sigmoid([x, h])   h' = (1 - f) * h + f * tanh([x, f * h])
  define("mgu", {step = function (c, x, s)
    local f = sigmoid(c:linear("f", {x, s.h}))
    return (1 - f) * s.h + f * tanh(c:linear("n", {x, {f * s.h, "Wh"}}))
  end})

  -- Collins et al. 2017, Capacity and trainability in recurrent neural networks (UGRNN).
  -- g = sigmoid([x, h])   h' = g * h + (1 - g) * tanh([x, h])
  define("ugrnn", {options = {forget_bias = FORGET}, step = function (c, x, s, o)
    local g = sigmoid(c:linear("g", {x, s.h}, {bias = o.forget_bias}))
    return g * s.h + (1 - g) * tanh(c:linear("n", {x, s.h}))
  end})

  -- Chen 2017, MinimalRNN: toward more interpretable and trainable recurrent neural networks.
  -- z = tanh([x])   u = sigmoid([h, z])   h' = u * h + (1 - u) * z
  define("minimal_rnn", {step = function (c, x, s)
    local z = tanh(c:linear("z", {x}))
    local u = sigmoid(c:linear("u", {s.h, {z, "Wz"}}))
    return u * s.h + (1 - u) * z
  end})

  ---------------------------------------------------------------- products of the input alone: fast, and stackable

  -- Lei et al. 2018, Simple recurrent units for highly parallelizable recurrence (SRU). Where x is not as wide as h
  -- the highway gets a product of its own.
  -- f = sigmoid([x] + v * c)   r = sigmoid([x] + v * c)   c' = f * c + (1 - f) * (x W)   h' = r * c' + (1 - r) * x
  define("sru", {state = {"h", "c"}, step = function (c, x, s, o)
    local function v (g) return c:param(g .. ".v", {o.hidden}, {"uniform", -1, 1}) end
    local function gate (g) return sigmoid(c:linear(g, {x}) + v(g) * s.c) end
    local f, r = gate "f", gate "r"
    local cell = f * s.c + (1 - f) * c:linear("g", {x}, {bias = false})
    local highway = x.cols == o.hidden and x or c:linear("x", {x}, {bias = false})
    return {h = r * cell + (1 - r) * highway, c = cell}
  end})

  -- Bradbury et al. 2017, Quasi-recurrent neural networks (fo-pooling, kernel of one step).
  -- z = tanh([x])   f, o = sigmoid([x])   c' = f * c + (1 - f) * z   h' = o * c'
  define("qrnn", {state = {"h", "c"}, step = function (c, x, s)
    local z, f = tanh(c:linear("z", {x})), sigmoid(c:linear("f", {x}))
    local cell = f * s.c + (1 - f) * z
    return {h = sigmoid(c:linear("o", {x})) * cell, c = cell}
  end})

  -- Li et al. 2018, Independently recurrent neural network (IndRNN): a unit sees its own past alone.
  -- h' = relu(x Wx + u * h + b)
  define("indrnn", {options = {activation = {"string", "relu", nil, "of the state"}}, step = function (c, x, s, o)
    return act(c, o.activation, c:linear(nil, {x}) + c:param("u", {o.hidden}, {"uniform", 0, 1}) * s.h)
  end})

  ---------------------------------------------------------------- relatives of the simple RNN

  -- Le et al. 2015, A simple way to initialize recurrent networks of rectified linear units (IRNN).
  -- h' = relu([x, h]), where Wh starts as the identity and Wx small
  define("irnn", {options = {scale = {"number", 1, nil, "of the identity"}}, step = function (c, x, s, o)
    return relu(c:linear(nil, {x, s.h}, {init = {Wh = {"identity", o.scale}, Wx = {"normal", 0, 0.001}}}))
  end})

  -- Jordan 1986, Serial order: what comes back is the output of the step before.
  -- y' = out_act(act(x Wx + y Wy + b) Wo + bo)
  define("jordan", {state = {"y"}, columns = function (o) return {y = o.out} end,
    options = {activation = ACTIVATION, out_activation = {"string", "identity", nil, "of y"},
      out = {"integer", nil, {1, 1e6}, "columns of y; hidden by default"}},
    step = function (c, x, s, o)
      local h = act(c, o.activation, c:linear(nil, {x, s.y}))
      return act(c, o.out_activation, c:linear(nil, {{h, "Wo"}}, {size = o.out or o.hidden, bias = "bo"}))
    end})

  -- Jaeger et al. 2007, Optimization and applications of echo state networks with leaky-integrator neurons.
  -- h' = (1 - a) * h + a * tanh([x, h])
  define("leaky", {options = {rate = {"number", 0.5, {0, 1}, "a: how much of a step is new"}},
    step = function (c, x, s, o) return (1 - o.rate) * s.h + o.rate * tanh(c:linear(nil, {x, s.h})) end})

  -- Koutnik et al. 2014, A clockwork RNN: the columns are as many blocks as there are periods. Block k is due every
  -- periods[k] steps and sees itself and the slower ones; between two of its steps it stands still.
  define("clockwork", {state = {"h", "n"}, counters = {"n"}, columns = function (o) return {n = #o.periods} end,
    options = {periods = {"table", {1, 2, 4, 8}, nil, "of the blocks, rising"}}, step = function (c, x, s, o)
      local K, h, n = #o.periods, {}, {}
      local w = o.hidden // K
      for k, period in ipairs(o.periods) do
        local from, to = (k - 1) * w + 1, k < K and k * w or o.hidden
        local now, old = lurn.slice(s.n, k, k), lurn.slice(s.h, from, to)
        local new = tanh(c:linear("m" .. k, {x, {lurn.slice(s.h, from, o.hidden), "Wh"}}, {size = to - from + 1}))
        h[k] = lurn.where(now, old, new)
        n[k] = lurn.where(lurn.ge(now + 1, period), 0, now + 1)
      end
      return {h = lurn.concat(table.unpack(h)), n = lurn.concat(table.unpack(n))}
    end})

  ---------------------------------------------------------------- images, with convolutions for products

  local KERNEL = {"integer|table", 3, nil, "taps k or {kh, kw}; uneven, so that a place has as much on every side"}

  -- States are images as high and wide as the input, with `hidden` channels.
  local function images (cell, ...)
    local names = {...}
    return function (o, x)
      if #x.shape ~= 3 then
        error(("lurn.cells.%s: expected images (h,w,c), got %s; lurn.image(h, w, c) makes images of columns"):format(
          cell, tostring(x)), 0)
      end
      local shapes = {}
      for _, name in ipairs(names) do shapes[name] = {x.shape[1], x.shape[2], o.hidden} end
      return shapes
    end
  end

  -- Shi et al. 2015, Convolutional LSTM network: the LSTM in which [x, h] is two convolutions and a bias. The paper's
  -- peepholes, p * c with a p for every place, are an option.
  -- i, f = sigmoid([x, h])   c' = f * c + i * tanh([x, h])   o = sigmoid([x, h])   h' = o * tanh(c')
  define("conv_lstm", {state = {"h", "c"}, columns = images("conv_lstm", "h", "c"),
    options = {activation = ACTIVATION, forget_bias = FORGET, kernel = KERNEL,
      peepholes = {"boolean", false, nil, "gates see the cell, the output gate the new one"}},
    step = function (c, x, s, o)
      local function a (g, bias) return c:conv(g, {x, s.h}, {kernel = o.kernel, bias = bias}) end
      local function gate (g, cell, bias)
        return sigmoid(o.peepholes and a(g, bias) + c:param(g .. ".p", cell.shape, 0) * cell or a(g, bias))
      end
      local cell = gate("f", s.c, o.forget_bias) * s.c + gate("i", s.c) * act(c, o.activation, a "g")
      return {h = gate("o", cell) * act(c, o.activation, cell), c = cell}
    end})

  -- Ballas et al. 2016, Delving deeper into convolutional networks for learning video representations (GRU-RCN).
  -- z, r = sigmoid([x, h])   h' = (1 - z) * h + z * act([x, r * h])
  define("conv_gru", {columns = images("conv_gru", "h"), options = {activation = ACTIVATION, kernel = KERNEL},
    step = function (c, x, s, o)
      local function a (g, h) return c:conv(g, {x, {h, "Wh"}}, {kernel = o.kernel}) end
      local z, r = sigmoid(a("z", s.h)), sigmoid(a("r", s.h))
      return (1 - z) * s.h + z * act(c, o.activation, a("n", r * s.h))
    end})

  ---------------------------------------------------------------- layer normalisation

  -- Ba et al. 2016, Layer normalization: a gain g and a bias b of their own behind each normalised sum, here one
  -- pair for each gate. The variance is the mean of squares, with 1e-5 against a division by zero.
  -- LN(a) = g * (a - mean a) / sqrt(var a + 1e-5) + b
  local function norm (c, name, a, bias)
    local d = a - lurn.mean(a)
    local y = c:param(name .. ".g", {a.cols}, 1) * (d / lurn.sqrt(lurn.mean(d * d) + 1e-5))
    return bias and y + c:param(name .. ".b", {a.cols}, bias) or y
  end

  -- LN(x Wx) + LN(h Wh) + b: input and state are normalised apart.
  local function apart (c, g, x, h, bias)
    local function product (a) return c:linear(g, {a}, {bias = false}) end
    return norm(c, g .. ".x", product(x)) + norm(c, g .. ".h", product(h), bias or 0)
  end

  -- h' = tanh(LN(x Wx + h Wh))
  define("ln_rnn", {step = function (c, x, s)
    return tanh(norm(c, "n", c:linear(nil, {x, s.h}, {bias = false}), 0))
  end})

  -- The LSTM with a = LN(x Wx) + LN(h Wh) + b for each gate, and h' = o * tanh(LN(c'))
  define("ln_lstm", {state = {"h", "c"}, options = {forget_bias = FORGET}, step = function (c, x, s, o)
    local function a (g, bias) return apart(c, g, x, s.h, bias) end
    local cell = sigmoid(a("f", o.forget_bias)) * s.c + sigmoid(a "i") * tanh(a "g")
    return {h = sigmoid(a "o") * tanh(norm(c, "c", cell, 0)), c = cell}
  end})

  -- r, z = sigmoid(LN(x Wx) + LN(h Wh))   h' = (1 - z) * h + z * tanh(LN(x Wx) + r * LN(h Wh))
  define("ln_gru", {step = function (c, x, s)
    local function product (g, a) return c:linear(g, {a}, {bias = false}) end
    local r, z = sigmoid(apart(c, "r", x, s.h)), sigmoid(apart(c, "z", x, s.h))
    local n = norm(c, "n.x", product("n", x), 0) + r * norm(c, "n.h", product("n", s.h), 0)
    return (1 - z) * s.h + z * tanh(n)
  end})

  return M
end
