-- Agreement with PyTorch in f64: outputs, states, losses, gradients of parameters and of inputs, to 1e-10.
-- The numbers come from tests/fixtures/make_torch.py. Every case of a file must have a model here.
local h = require "torch_helper"
local lurn = h.lurn

local LIMIT = 1e-10
local D, H, K = 3, 4, 2

---------------------------------------------------------------------- cells that are written in Lua

-- The same name and gates as the built-in cells, hence the same paths.
local function affine (c, x, s) return function (g) return c:linear(g, {x, s.h}) end end

local cells = {}

cells.lstm = lurn.cell {name = "lstm", state = {"h", "c"},
  step = function (c, x, s)
    local a = affine(c, x, s)
    local cell = lurn.sigmoid(a "f") * s.c + lurn.sigmoid(a "i") * lurn.tanh(a "g")
    return {h = lurn.sigmoid(a "o") * lurn.tanh(cell), c = cell}
  end}

cells.rnn = lurn.cell {name = "rnn", step = function (c, x, s) return lurn.tanh(c:linear(nil, {x, s.h})) end}

cells.rnn_relu = lurn.cell {name = "rnn", step = function (c, x, s) return lurn.relu(c:linear(nil, {x, s.h})) end}

cells.gru = lurn.cell {name = "gru",
  step = function (c, x, s, o)
    local a = affine(c, x, s)
    local r, z = lurn.sigmoid(a "r"), lurn.sigmoid(a "z")
    local bh = c:param("n.bh", {o.hidden}, 0)
    local n = lurn.tanh(c:linear("n", {x}) + r * (s.h % c:param("n.Wh", {o.hidden, o.hidden}, {"orthogonal"}) + bh))
    return (1 - z) * n + z * s.h
  end}

cells.peephole = lurn.cell {name = "peephole", state = {"h", "c"},
  step = function (c, x, s, o)
    local a = affine(c, x, s)
    local function peep (g, cell) return lurn.sigmoid(a(g) + c:param(g .. ".p", {o.hidden}, 0) * cell) end
    local cell = peep("f", s.c) * s.c + peep("i", s.c) * lurn.tanh(a "g")
    return {h = peep("o", cell) * lurn.tanh(cell), c = cell}
  end}

-- The candidate sees f * h, which has no name: its weight is called by its place, W2.
cells.minimal = lurn.cell {name = "minimal",
  step = function (c, x, s)
    local f = lurn.sigmoid(c:linear("f", {x, s.h}))
    return (1 - f) * s.h + f * lurn.tanh(c:linear("n", {x, f * s.h}))
  end}

-- The operand r * h has no name either; a weight can be asked for by hand to be called Wh.
cells.gru_before = lurn.cell {name = "gru",
  step = function (c, x, s, o)
    local a = affine(c, x, s)
    local r, z = lurn.sigmoid(a "r"), lurn.sigmoid(a "z")
    local n = lurn.tanh(c:linear("n", {x}) + (r * s.h) % c:param("n.Wh", {o.hidden, o.hidden}))
    return (1 - z) * n + z * s.h
  end}

---------------------------------------------------------------------- models

local function stack (...)
  local list = {input = {dim = D}, loss = lurn.loss.mse(), ...}
  list[#list + 1] = lurn.linear {size = K}
  return lurn.stack(list)
end

-- Built-in and written in Lua: makers of a layer, by the beginning of a case's name.
local layers = {
  rnn = {lurn.rnn, cells.rnn}, lstm = {lurn.lstm, cells.lstm}, gru = {lurn.gru, cells.gru},
  rnn_relu = {function (o) o.activation = "relu"; return lurn.rnn(o) end, cells.rnn_relu},
  gru_before = {function (o) o.reset_after = false; return lurn.gru(o) end, cells.gru_before},
  lstm_loop = {lurn.lstm, cells.lstm}, peephole = {cells.peephole}, minimal = {cells.minimal},
}

-- What the rest of the name asks for; a loop case is one layer even where it is carried.
local function options (kind, variant)
  local loop = kind == "gru_before" or kind == "lstm_loop" or kind == "peephole" or kind == "minimal"
  local two = variant == "layers" or variant == "carried" and not loop
  return {hidden = H, layers = two and 2 or 1, reverse = variant == "reverse"}
end

local special = {}

function special.embedding ()
  return {lurn.lstm, cells.lstm}, function (make)
    return lurn.stack {input = {vocab = 7}, lurn.embedding {size = D}, make {hidden = H}, lurn.linear {size = 7},
      loss = lurn.loss.cross_entropy()}
  end
end

function special.lstm_last ()
  return {lurn.lstm, cells.lstm}, function (make) return stack(make {hidden = H}, lurn.last) end
end

function special.both_ways ()
  return {lurn.gru, cells.gru}, function (make)
    return lurn.model(function (m)
      local x = m:input("x", "real", "time", {D})
      local forth, back = m:apply(make {hidden = H}, x), m:apply(make {hidden = H, reverse = true}, x)
      local out = m:apply(lurn.linear {size = K}, lurn.concat(forth, back))
      local loss, weight = lurn.loss.mse():build(m, out)
      return {loss = loss, weight = weight, out = out}
    end)
  end
end

local function plain (case)
  local kind, variant = case, ""
  while not layers[kind] do
    kind, variant = assert(kind:match "^(.*)_[^_]*$", "no model for the case " .. case), kind:match "[^_]*$"
  end
  return layers[kind], function (make) return stack(make(options(kind, variant))) end
end

---------------------------------------------------------------------- comparing

local function below (worst, wanted)
  for name, e in pairs(worst) do assert(e <= LIMIT, ("%s: off by %g"):format(name, e)) end
  for _, name in ipairs(wanted) do assert(worst[name], name .. " was not compared") end
end

describe("as PyTorch", function ()
  local cases, losses, maps = h.read "torch_cells", h.read "torch_losses", h.read "torch_maps"

  it("in every case", function ()
    local n = {0, 0}
    for _ in pairs(cases) do n[1] = n[1] + 1 end
    for _ in pairs(losses) do n[2] = n[2] + 1 end
    assert.same({31, 18}, n)
  end)

  for name, case in pairs(cases) do
    local makers, build = (special[name] or plain)(name)
    local wanted = {"out", "loss", "grad"}
    if name ~= "embedding" then wanted[#wanted + 1] = "dx" end
    if not name:find "_reverse$" then wanted[#wanted + 1] = "state" end
    for i, make in ipairs(makers) do
      it(name .. (i < #makers and "" or ", written in Lua"), function ()
        below(h.compare(build(make), case), wanted)
      end)
    end
    it(name .. ", the naive twin", function () below(h.compare(build(makers[1]), case, {twin = true}), wanted) end)
  end

  for name, case in pairs(losses) do
    it("loss " .. name, function ()
      local kind, how = name:gsub("_mask$", ""):match "^(.*)_(%a+)$"
      local model = lurn.stack {input = {dim = D}, lurn.linear {size = 4}, mask = name:find "_mask$" ~= nil,
        loss = lurn.loss[kind] {reduction = how}}
      below(h.compare(model, case), {"out", "loss", "grad", "dx"})
    end)
  end

  for _, name in ipairs(lurn.core.activations()) do
    it("activation " .. name, function ()
      local case = assert(maps[name], "no case for this activation: run make_torch.py")
      local model = lurn.model(function (m)
        local x = m:input("x", "real", "time", {6})
        local out = lurn[name](x)
        return {out = out, loss = lurn.total(out * m:input("y", "real", "time", {6}))}
      end)
      below(h.compare(model, case), {"out", "dx"})
    end)
  end
end)
