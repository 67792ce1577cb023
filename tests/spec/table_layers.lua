-- table_layers.lua: rows of the activations, the layers and the cells, with each of their options.
local lurn = require "lurn"
local h = require "table_helper"

local D, K, C = h.D, h.K, h.C
local H, V = 4, 6

local BACKWARD = {stepped = "backward", checkpoint = "backward"}
local POOLED = {stepped = "pooled", fields = {y = h.reals(K, 2, "row")}}

-- How a row is called: its options by name, and their values where these are short.
local function said (o)
  local words = {}
  for name, value in pairs(o) do
    local kind = type(value)
    local list = kind == "table" and math.type(value[1]) and table.concat(value, " x ")
    words[#words + 1] = value == true and name or kind == "table" and not list and name .. " of its own"
      or ("%s %s"):format(name, list or tostring(value))
  end
  table.sort(words)
  return words[1] and table.concat(words, ", ")
end

local function add (kind, of, how, build, torch, ...)
  h.add(h.join({kind = kind, of = of, how = how, build = build, torch = torch}, ...))
end

---------------------------------------------------------------------- activations

local kinks = {relu = true, leaky_relu = true, selu = true, hard_sigmoid = true, hard_tanh = true}

for _, name in ipairs(lurn.core.activations()) do
  add("activation", name, nil, function (l)
    return h.stack(l, l.rnn {hidden = H, activation = name}, l.linear {size = 2, activation = name})
  end, "torch_maps:" .. name, {kinks = kinks[name]})
end

---------------------------------------------------------------------- without recurrence

-- A layer of columns; the one behind it, which all stacks have, is linear.
local function plain (of, o, torch, ...)
  add("layer", of, said(o), function (l)
    return h.stack(l, l.linear {size = C, activation = "tanh"}, l[of](h.join({}, o)))
  end, torch, ...)
end

local LINEAR = "torch_losses:mse_sum"
plain("linear", {size = 3}, LINEAR)
plain("linear", {size = 3, bias = false}, "torch_conv:conv2d_plain")
plain("linear", {size = 3, activation = "softplus"}, "torch_maps:softplus")
plain("linear", {size = 3, init = {Wo = {"normal", 0, 1}, bo = 0.5}}, "drawn")
plain("linear", {size = 3, name = "mine"}, LINEAR)
plain("dropout", {rate = 0.3}, "drawn")
plain("dropout", {rate = 0.3, locked = true, name = "mine"}, "drawn")
plain("layer_norm", {}, "torch_layers:norm_plain")
plain("layer_norm", {bias = false, eps = 0.1}, "torch_layers:norm_gain")
plain("layer_norm", {gain = false, bias = false}, "torch_layers:norm_bare")
plain("layer_norm", {init = {g = {"normal", 1, 0.5}}, name = "mine"}, "drawn")
add("layer", "layer_norm", "of a matrix", function (l)
  return h.stack(l, l.linear {size = C}, function (x) return l.reshape(x, 2, 2) end, l.layer_norm {},
    function (x) return l.reshape(x, C) end)
end, "torch_layers:norm_plain")

-- Words: x are ids, the loss is that of the next one.
local WORDS = {fields = {x = h.ids(V, 0), y = h.ids(V, 2)}}
local function words (l, embedding, last)
  return l.stack {input = {vocab = V}, embedding, l.lstm {hidden = C}, last or l.linear {size = V},
    loss = l.loss.cross_entropy {reduction = "sum"}}
end
for _, o in ipairs {{}, {vocab = V + 2, name = "words"}, {init = {"uniform", -1, 1}}, {dropout = 0.3}} do
  add("layer", "embedding", said(o), function (l) return words(l, l.embedding(h.join({size = 3}, o))) end,
    o.dropout and "drawn" or "torch_cells:embedding", WORDS)
end
add("layer", "linear", "tied", function (l)
  return words(l, l.embedding {size = C, dropout = 0.3}, l.linear {tied = "embedding1", activation = "tanh"})
end, "torch_layers:tied", WORDS)

---------------------------------------------------------------------- images

-- Images of 4 x 3 places and two channels.
local IMAGES = {fields = {x = h.reals(24, 1)}}

local function images (of, o, torch, ...)
  add("layer", of, said(o), function (l)
    return l.stack {input = {dim = 24}, loss = l.loss.mse {reduction = "sum"}, l.image(4, 3, 2),
      l.conv2d {size = 2, kernel = 1, activation = "tanh"}, l[of](h.join({}, o)), l.flatten(), l.linear {size = K}}
  end, torch, IMAGES, ...)
end

images("conv2d", {size = 2}, "torch_conv:conv2d")
images("conv2d", {size = 2, kernel = {2, 1}, stride = {2, 1}}, "torch_conv:conv2d_stride")
images("conv2d", {size = 2, kernel = 2, dilation = {2, 1}, padding = {1, 0}}, "torch_conv:conv2d_all")
images("conv2d", {size = 2, padding = "same", activation = "sigmoid"}, "torch_conv:conv2d_same")
images("conv2d", {size = 2, kernel = 1, bias = false}, "torch_conv:conv2d_plain")
images("conv2d", {size = 2, init = {W = {"normal", 0, 0.5}}, name = "mine"}, "drawn")
images("max_pool2d", {size = 2}, "torch_conv:max_pool2d", {kinks = true})
images("max_pool2d", {size = {2, 1}, stride = 1, name = "mine"}, "torch_conv:max_pool2d_stride", {kinks = true})
images("avg_pool2d", {}, "torch_conv:avg_pool2d")
images("avg_pool2d", {size = {3, 2}, stride = {1, 1}, name = "mine"}, "torch_conv:avg_pool2d_stride")

-- Functions of a symbol, as layers.
local function between (of, f, torch, how)
  add("layer", of, how, function (l)
    return l.stack {input = {dim = 24}, loss = l.loss.mse {reduction = "sum"}, l.linear {size = 24},
      l.image(4, 3), function (x) return f(l, x) end, l.flatten(), l.linear {size = K, activation = "tanh"}}
  end, torch, IMAGES)
end
between("image", function (_, x) return x end, "torch_conv:conv2d")
between("flatten", function (l, x) return l.flatten(x) end, "torch_conv:conv2d")
between("crop", function (l, x) return l.crop(x, 2, 1, 2, 2, {2, 1}) end, "torch_ops:crop")
between("pad2d", function (l, x) return l.pad2d(x, {1, 0, 0, 2}) end, "torch_ops:place")
between("patches", function (l, x) return l.tanh(l.patches(2, 3)(x)) * 0.5 end, "torch_ops:crop")
add("layer", "conv2d_transpose", nil, function (l)
  return l.model(function (m)
    local x = l.image(4, 3, 2)(m:input("x", "real", "time", {24}))
    local y = l.conv2d_transpose(x, m:param("w", {2, 2, 2, 2}), {stride = {2, 1}, dilation = {1, 2},
      bias = m:param("b", {2}, 0)})
    local out = m:apply(l.linear {size = K}, l.flatten(l.tanh(y)))
    return {loss = (l.loss.mse {reduction = "sum"}:build(m, out)), out = out}
  end)
end, "torch_conv:transpose", IMAGES)

local function patched (how, torch, f, ...)
  add("layer", "across", how, function (l)
    return l.stack(h.join({input = {dim = 24}, loss = l.loss.mse {reduction = "sum"}}, {l.image(4, 3), l.patches(2, 1),
      f(l), l.flatten(), l.linear {size = K}}))
  end, torch, IMAGES, ...)
end
local function to_both_sides (l)
  return l.across(l.gru {hidden = 2, bidirectional = true, recurrent_dropout = 0.2, zoneout = 0.1})
end
patched("columns, of a gru, both ways", "torch_cells:both_ways", to_both_sides)
patched("rows, of an lstm, two layers", "torch_cells:lstm_layers", function (l)
  return l.across(l.lstm {hidden = 2, layers = 2, dropout = 0.2, init_state = "learned"}, "rows")
end)
-- Over time up and down, then to both sides.
patched("columns, behind a gru over time: a ReNet", "torch_cells:both_ways", function (l)
  local up_and_down = l.gru {hidden = 2, bidirectional = true}
  return {name = "renet", apply = function (_, m, x) return m:apply(to_both_sides(l), m:apply(up_and_down, x)) end}
end, BACKWARD)

local CENTRED = {stepped = "across", checkpoint = "across"}
for o, torch in pairs {
  [{size = 3}] = "conv1d", [{size = 3, dilation = 2, kernel = 2, activation = "tanh"}] = "conv1d_dilation",
  [{size = 3, causal = false}] = "conv1d_centred", [{size = 3, kernel = 1, bias = false, name = "mine"}] = "conv1d",
  [{size = 3, init = {W = {"normal", 0, 1}}}] = "conv1d",
} do plain("conv1d", o, "torch_conv:" .. torch, o.causal == false and CENTRED or nil) end

---------------------------------------------------------------------- recurrent layers

local function recurrent (of, how, o, torch, ...)
  add("layer", of, how, function (l) return h.stack(l, l[of](h.join({hidden = H}, o))) end, torch, ...)
end

-- What all of them have. torch: the end of the name of a case, in torch_layers.h5 or, with a colon, elsewhere.
local function given (of)
  local fields = {}
  for _, name in ipairs(of == "lstm" and {"h0", "c0"} or {"h0"}) do
    fields[("%s1.%s"):format(of, name)] = h.reals(H, 7, "row")
  end
  return {fields = fields}
end

local function shared (of)
  return {
    {{}, "torch_cells:" .. of .. "_ragged"}, {{layers = 2}, "torch_cells:" .. of .. "_layers"},
    {{name = "mine"}, "torch_cells:" .. of}, {{init = {Wh = {"normal", 0, 0.5}}}, "drawn"},
    {{layers = 2, dropout = 0.3}, "drawn"}, {{layers = 2, dropout = 0.3, locked = true}, "drawn"},
    {{recurrent_dropout = 0.3}, "none"},
    {{recurrent_dropout = 0.3, recurrent_dropout_kind = of == "rnn" and "state" or "update"}, "none"},
    {{weight_drop = 0.3, layers = 2}, "none"}, {{zoneout = 0.3}, "none"}, {{zoneout = {h = 0.3}}, "none"},
    {{init_state = "learned", layers = 2}, "torch_layers:" .. of .. "_learned"},
    {{init_state = "given"}, "torch_cells:" .. of .. "_carried", given(of)},
    {{reverse = true}, "torch_cells:" .. of .. "_reverse", BACKWARD},
    {{bidirectional = true}, "torch_layers:" .. of .. "_both", BACKWARD},
    {{bidirectional = true, layers = 2, dropout = 0.3, locked = true}, "drawn", BACKWARD},
    {{bidirectional = true, init_state = "learned"}, "torch_layers:" .. of .. "_learned_both", BACKWARD},
    {{pool = "last", layers = 2}, "torch_layers:" .. of .. "_last", POOLED},
    {{pool = "last", reverse = true}, "torch_layers:" .. of .. "_last", BACKWARD, POOLED},
    {{pool = "last", bidirectional = true, init_state = "learned"}, "torch_layers:" .. of .. "_last", BACKWARD, POOLED},
    {{pool = "mean"}, "torch_layers:" .. of .. "_mean", POOLED},
    {{pool = "max", bidirectional = true}, "torch_layers:" .. of .. "_max", BACKWARD, POOLED, {kinks = true}},
    {{zoneout = {h = 0.2}, recurrent_dropout = 0.1, weight_drop = 0.1, init_state = "learned", layers = 2,
      dropout = 0.2, locked = true, bidirectional = true, pool = "mean"}, "none", BACKWARD, POOLED},
  }
end

for _, of in ipairs {"rnn", "lstm", "gru"} do
  for _, e in ipairs(shared(of)) do
    recurrent(of, said(e[1]), e[1], e[2], table.unpack(e, 3))
  end
  -- From where another one ended, both ways.
  add("layer", of, "from given states", function (l)
    local function make () return l[of] {hidden = H, layers = 2, bidirectional = true} end
    return h.stack(l, {apply = function (_, m, x)
      local y, states = m:recur(make(), x)
      return (m:recur(make(), y, states))
    end})
  end, "torch_layers:" .. of .. "_chain", BACKWARD)
  -- Vectors side by side: a row shape of (places, columns).
  add("layer", of, "over vectors side by side", function (l)
    return h.stack(l, function (x) return l.reshape(x, D, 1) end, l[of] {hidden = 2, layers = 2, bidirectional = true},
      l.flatten())
  end, "torch_layers:" .. of .. "_both_layers", BACKWARD)
end

recurrent("rnn", "out, out_activation", {out = 2, out_activation = "sigmoid"}, "torch_cells:rnn")
recurrent("rnn", "activation relu", {activation = "relu"}, "torch_cells:rnn_relu", {kinks = true})
recurrent("lstm", "activation softsign", {activation = "softsign"}, "none")
recurrent("lstm", "forget_bias", {forget_bias = 0.5}, "torch_cells:lstm")
recurrent("lstm", "proj_size", {proj_size = 3, layers = 2}, "torch_layers:lstm_proj")
recurrent("lstm", "proj_size, both ways", {proj_size = 3, bidirectional = true, init_state = "learned",
  recurrent_dropout = 0.2}, "torch_layers:lstm_proj_all", BACKWARD)
recurrent("gru", "activation softsign", {activation = "softsign"}, "none")
recurrent("gru", "reset before", {reset_after = false}, "torch_cells:gru_before")

-- The penalty is a program of its own, over what this one gives: pascanu_spec.lua. Here it disturbs nothing.
recurrent("rnn", "pascanu", {pascanu = 0.5}, "torch_gradients:tanh")

add("layer", "cell", "with dropout of its own", function (l)
  return h.stack(l, l.cell {name = "noisy", step = function (c, x, s)
    return l.tanh(c:linear(nil, {x, c:dropout(s.h, 0.3)}))
  end} {hidden = H})
end, "drawn")
-- It starts from an encoder's end and attends to all its steps in each of its own.
for _, learned in ipairs {false, true} do
  local scores = learned and "learned scores" or "dot products"
  add("layer", "cell", "that reads another axis, with " .. scores, function (l)
    return l.model(function (m)
      local x, s = m:input("x", "real", "time", {D}), m:input("s", "real", "time2", {2})
      local memory = m:apply(l.gru {hidden = 2, bidirectional = true}, s)
      local u = learned and m:param("u", {C}, {"normal", 0, 1}) or nil
      local reader = l.cell {name = "reader", step = function (c, input, state)
        local query = c:linear("q", {state.h}, {size = C, bias = false})
        return l.tanh(c:linear(nil, {input, state.h, {l.attend(query, memory, memory, u), "Wc"}}))
      end}
      local start = l.reorder(l.tanh(l.last(memory) % m:param("start", {C, H})), x)
      local out = m:recur(reader {hidden = H}, x, {h = start})
      return {loss = h.reduce(l, out), out = out}
    end)
  end, "torch_ops:attend_over")
end

---------------------------------------------------------------------- cells

-- A layer between others that make the columns a row of another shape, and columns again.
local function cell (of, how, o, torch, ...)
  local image = of:find "^conv_"
  local basis = image and {hidden = 2, kernel = {3, 1}} or {hidden = H}
  add("cell", of, how, function (l)
    local layer = l.cells[of](h.join(basis, o))
    if not image then return h.stack(l, layer) end
    return h.stack(l, l.image(D, 1, 1), layer, l.flatten())
  end, torch, ...)
end

local cases = {rnn = "torch_cells:rnn", lstm = "torch_cells:lstm", gru = "torch_cells:gru",
  peephole = "torch_cells:peephole", mgu = "torch_cells:minimal", irnn = "torch_cells:rnn_relu",
  conv_lstm = "torch_conv:conv_lstm", conv_gru = "torch_conv:conv_gru"}
for _, name in ipairs {"cifg", "indrnn", "janet", "ln_gru", "ln_lstm", "ln_rnn", "qrnn", "sru", "ugrnn"} do
  cases[name] = "torch_layers:cell_" .. name
end

-- relu is differentiated across its kink with some weights, and not with others. The IRNN starts on it.
local RELU = {irnn = true, indrnn = true}
local names = {}
for name in pairs(lurn.cells) do names[#names + 1] = name end
table.sort(names)
for _, name in ipairs(names) do
  local init = name == "irnn" and {Wx = {"normal", 0, 1}, b = 0.3} or nil
  cell(name, nil, {init = init}, cases[name] or "none", {kinks = RELU[name]})
end

for _, name in ipairs {"peephole", "cifg", "janet", "mlstm", "ran", "ugrnn", "ln_lstm"} do
  cell(name, "forget_bias", {forget_bias = -0.5}, cases[name] or "none")
end
cell("rnn", "activation", {activation = "sigmoid"}, "none")
cell("lstm", "activation, forget_bias, proj_size", {activation = "softsign", forget_bias = 0, proj_size = 3}, "none")
cell("gru", "activation, reset before", {activation = "softsign", reset_after = false}, "torch_cells:gru_before")
cell("janet", "beta", {beta = 0.3}, "torch_layers:cell_janet")
cell("indrnn", "activation", {activation = "tanh"}, "torch_layers:cell_indrnn")
cell("irnn", "scale", {scale = 0.5, init = {Wx = {"normal", 0, 1}, b = 0.3}}, "torch_cells:rnn_relu", {kinks = true})
cell("leaky", "rate", {rate = 0.2}, "none")
cell("jordan", "everything", {activation = "softsign", out = 2, out_activation = "sigmoid", init_state = "learned",
  zoneout = 0.1}, "none")
cell("clockwork", "periods, and options that its counters do not see", {periods = {1, 3}, zoneout = 0.4,
  init_state = "learned"}, "none")
cell("sru", "a highway as wide as the input", {hidden = D}, "torch_layers:cell_sru")
cell("conv_lstm", "peepholes and everything", {peepholes = true, activation = "softsign", forget_bias = 0.5,
  zoneout = {c = 0.2}, recurrent_dropout = 0.2, init_state = "learned", layers = 2, dropout = 0.2, locked = true},
  "torch_conv:conv_lstm_peepholes")
cell("conv_lstm", "bidirectional, kernel", {bidirectional = true, kernel = 3}, "torch_conv:conv_lstm", BACKWARD)
cell("conv_gru", "two layers, five taps", {layers = 2, kernel = {5, 3}, activation = "softsign",
  init_state = "learned"}, "torch_conv:conv_gru")
cell("conv_gru", "pool max", {pool = "max", bidirectional = true}, "torch_conv:conv_gru", BACKWARD, POOLED,
  {kinks = true})

-- A cell that exists in Lua alone has the options of all.
for _, e in ipairs(shared "peephole") do
  local o = e[1]
  if next(o) and not o.name and o.init_state ~= "given" then
    cell("peephole", said(o), o, "none", table.unpack(e, 3))
  end
end
