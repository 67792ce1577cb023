-- The cells of the literature and the options of recurrent layers (what these mean: layers_spec.lua). For each:
-- gradients against differences in f64, the naive twin and schedules by lot with the same bits, the rows of a ragged
-- batch as alone, and what is causal step by step and in carried windows as at once.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "engine_helper"

local D, K, H = h.D, h.K, 5
local LIMIT = 1e-6
local LENGTHS = {3, 7, 1, 7, 5}
local POOLED = {3, 7, 2, 7, 5}          -- of one step, a target per sequence looks like one per step

---------------------------------------------------------------------- what there is

-- Entry: {make = function (l) -> layer, pooled =, whole = it sees the whole sequence, kinks =}.
local entries = {}

local function entry (name, make, more)
  local e = {name = name, make = make}
  for k, v in pairs(more or {}) do e[k] = v end
  entries[#entries + 1] = e
end

-- A layer between others that make the columns a row of another shape, and columns again.
local function shaped (make, ...)
  local shape = {...}
  return function (l)
    return {name = "shaped", apply = function (_, m, x)
      return l.flatten(m:apply(make(l), l.reshape(x, table.unpack(shape))))
    end}
  end
end

local function conv_cell (name, more)
  return shaped(function (l)
    local o = {hidden = 2, kernel = {3, 1}}
    for k, v in pairs(more or {}) do o[k] = v end
    return l.cells[name](o)
  end, D, 1, 1)
end

for name in pairs(lurn.cells) do
  -- relu is differentiated across its kink with some weights, and not with others. The IRNN starts on it.
  local kinks = name == "irnn" or name == "indrnn"
  local init = name == "irnn" and {Wx = {"normal", 0, 1}, b = 0.3} or nil
  local make = function (l) return l.cells[name] {hidden = H, init = init} end
  entry(name, name:find "^conv_" and conv_cell(name) or make, {kinks = kinks})
end
entry("conv_lstm, peepholes and everything", conv_cell("conv_lstm", {peepholes = true, zoneout = {c = 0.2},
  recurrent_dropout = 0.2, init_state = "learned", layers = 2, dropout = 0.2, locked = true}))
entry("conv_lstm, bidirectional", conv_cell("conv_lstm", {bidirectional = true, kernel = 3}), {whole = true})
entry("conv_gru, two layers, 5 taps", conv_cell("conv_gru", {layers = 2, kernel = {5, 3}, init_state = "learned"}))
entry("conv_gru, pool max", conv_cell("conv_gru", {pool = "max", bidirectional = true}), {pooled = true, kinks = true})
for _, kind in ipairs {"rnn", "lstm", "gru"} do
  entry(kind .. " over vectors side by side", shaped(function (l)
    return l[kind] {hidden = 2, layers = 2, bidirectional = true}
  end, D, 1), {whole = true})
end

-- Every option on a cell with one state, one with two and one that exists in Lua alone.
local options = {
  {"bidirectional", {bidirectional = true}, {whole = true}},
  {"bidirectional, two layers, locked dropout", {bidirectional = true, layers = 2, dropout = 0.3, locked = true},
    {whole = true}},
  {"locked dropout", {layers = 2, dropout = 0.3, locked = true}},
  {"pool last", {pool = "last", layers = 2}, {pooled = true}},
  {"pool last, reversed", {pool = "last", reverse = true}, {pooled = true}},
  {"pool last, bidirectional", {pool = "last", bidirectional = true, layers = 2}, {pooled = true}},
  {"pool mean", {pool = "mean"}, {pooled = true}},
  {"pool max", {pool = "max", bidirectional = true}, {pooled = true, kinks = true}},
  {"learned state", {init_state = "learned", layers = 2}},
  {"learned state, bidirectional", {init_state = "learned", bidirectional = true, pool = "last"}, {pooled = true}},
  {"recurrent dropout", {recurrent_dropout = 0.3}},
  {"zoneout", {zoneout = 0.3}},
  {"everything", {zoneout = {h = 0.2}, recurrent_dropout = 0.1, init_state = "learned", layers = 2, dropout = 0.2,
    locked = true, bidirectional = true, pool = "mean"}, {pooled = true}},
}
for _, o in ipairs(options) do
  for _, kind in ipairs {"rnn", "lstm", "gru", "peephole"} do
    entry(kind .. ", " .. o[1], function (l)
      local list = {hidden = H}
      for k, v in pairs(o[2]) do list[k] = v end
      return (l.layers[kind] or l.cells[kind])(list)
    end, o[3])
  end
end
entry("lstm, projected", function (l) return l.lstm {hidden = H, proj_size = 3, layers = 2} end)
entry("lstm, projected, bidirectional", function (l)
  return l.lstm {hidden = H, proj_size = 3, bidirectional = true, init_state = "learned", recurrent_dropout = 0.2}
end, {whole = true})
entry("jordan with an output of its own", function (l)
  return l.cells.jordan {hidden = H, out = 2, out_activation = "sigmoid", init_state = "learned", zoneout = 0.1}
end)
entry("clockwork with an option that its counters do not see", function (l)
  return l.cells.clockwork {hidden = H, periods = {1, 3}, zoneout = 0.4, init_state = "learned"}
end)
table.sort(entries, function (a, b) return a.name < b.name end)

local function model_of (l, e)
  return l.stack {input = {dim = D}, e.make(l), l.linear {size = K, activation = "tanh"},
    loss = l.loss.mse {reduction = "sum"}}
end

-- A learned state that is zero shows nothing: parameters that start at a constant are moved.
local function moved (model)
  for _, p in ipairs(model:parameters()) do
    if p.path:find "%.[hcy]0$" then
      local flat = p.value:reshape(p.value:numel())
      for i = 1, #flat do flat[i] = math.sin(2 + 3 * i) / 2 end
    end
  end
  model:touch()
  return model
end

-- engine_helper's rows; a pooled model has one target for a sequence.
local function batch (l, e, lengths, more)
  local b = h.batch(l, lengths)
  local given = {}
  for r = 1, 9 do given[#given + 1] = lengths[r] end
  local fields = {x = h.unsorted(b.x, b.order), y = h.unsorted(b.y, b.order), lengths = given}
  if e.pooled then fields.y = fields.y[1]:clone() end
  for k, v in pairs(more or {}) do fields[k] = v end
  return l.batch(fields)
end

local function play (player, b, purpose)
  local loss = assert(player:forward(b, 1, 0, purpose or "eval"))
  player:commit()
  return loss
end

local function rows (t, r, n)
  local list = {}
  for s = 1, n do list[s] = t[s][r]:totable() end
  return list
end

local function each (f, which)
  for _, e in ipairs(entries) do
    if not which or which(e) then
      for _, precision in ipairs {"f32", "f64"} do f(lurn[precision], e) end
    end
  end
end

local function causal (e) return not e.pooled and not e.whole end

---------------------------------------------------------------------- the table

describe("gradients of the cell", function ()
  local l = lurn.f64
  for _, e in ipairs(entries) do
    it(e.name, function ()
      local model, r = model_of(l, e), nil
      for seed = 1, e.kinks and 8 or 1 do
        model:init(seed)
        r = l.gradcheck(moved(model), batch(l, e, {3, 7, 5}))
        assert.equal(model:count(), r.checked)
        if r.worst < LIMIT then return end
      end
      error(("off by %g at %s"):format(r.worst, r.path))
    end)
  end
end)

describe("cells and options have the same bits", function ()
  it("whatever the schedule, and from the naive twin, in training", function ()
    each(function (l, e)
      local model, seen = moved(model_of(l, e)), nil
      for _, o in ipairs {{twin = true}, {}, {dice = 1}, {dice = 2}} do
        o.grad, o.grad_inputs = true, true
        local player = model.native:player(o)
        local all = {play(player, batch(l, e, {3, 7, 5}), "train")}
        player:backward()
        for _, p in ipairs(model:parameters()) do all[#all + 1] = p.grad end
        all = bits {all, player:output "out", player:output "d:x", player:state()}
        assert(all == (seen or all), e.name)
        seen = all
      end
    end)
  end)

  it("in a ragged batch as alone", function ()
    each(function (l, e)
      local model = moved(model_of(l, e))
      local together = model.native:player {grad = true, grad_inputs = true}
      local lengths = e.pooled and POOLED or LENGTHS
      local b = batch(l, e, lengths)
      play(together, b)
      together:backward()
      local out, dx, state = together:output "out", together:output "d:x", together:state()
      for place, r in ipairs(b.order) do
        local alone, n = model.native:player {grad = true, grad_inputs = true}, lengths[r]
        play(alone, batch(l, e, {[r] = n}))
        alone:backward()
        local one = alone:output "out"
        if e.pooled then assert(bits(out[place]) == bits(one[1]), e.name)
        else assert(bits(rows(out, place, n)) == bits(rows(one, 1, n)), e.name .. ": outputs") end
        assert(bits(rows(dx, place, n)) == bits(rows(alone:output "d:x", 1, n)), e.name .. ": input gradients")
        for key, t in pairs(alone:state()) do assert(bits(t[1]) == bits(state[key][place]), e.name .. ": " .. key) end
      end
    end)
  end)

  it("step by step as at once", function ()
    each(function (l, e)
      local model = moved(model_of(l, e))
      local player, stream = model.native:player {infer = true}, model:stream()
      play(player, batch(l, e, {7}))
      local whole = player:output "out"
      for t, frame in ipairs(h.row(1, 7, D, 1)) do
        assert(bits(stream:step(frame)) == bits(whole[t][1]), e.name .. " at step " .. t)
      end
    end, causal)
  end)

  it("in carried windows as in one long window, and after it from the start again", function ()
    each(function (l, e)
      local model = moved(model_of(l, e))
      local long, short = model.native:player {}, model.native:player {}
      play(long, h.window(l, 1, 9))
      local out = long:output "out"
      for _, w in ipairs {{1, 3}, {4, 4}, {5, 9}, {1, 2}} do
        play(short, h.window(l, w[1], w[2], {carry = w[1] > 1}))
        assert(bits(short:output "out") == bits(out:narrow(1, w[1], w[2] - w[1] + 1):contiguous()), e.name)
      end
    end, causal)
  end)
end)

describe("the library of cells", function ()
  it("has the built-in ones as their equations", function ()
    for _, name in ipairs {"rnn", "lstm", "gru"} do
      for _, o in ipairs {{hidden = H}, {hidden = H, activation = "softsign"}, {hidden = H, layers = 2,
        reverse = true}} do
        assert.equal(model_of(lurn, {make = function (l) return l[name](o) end}):program(),
          model_of(lurn, {make = function (l) return l.cells[name](o) end}):program())
      end
    end
    local before = {hidden = H, reset_after = false}
    assert.equal(model_of(lurn, {make = function (l) return l.gru(before) end}):program(),
      model_of(lurn, {make = function (l) return l.cells.gru(before) end}):program())
  end)

  it("starts as the papers say", function ()
    local function value (model, path)
      for _, p in ipairs(model:parameters()) do if p.path == path then return p.value end end
      error(path)
    end
    local irnn = model_of(lurn, {make = function (l) return l.cells.irnn {hidden = H} end})
    assert.same(lurn.eye(H):totable(), value(irnn, "irnn1.Wh"):totable())
    assert(value(irnn, "irnn1.Wx"):abs():max() < 0.01)
    local janet = model_of(lurn, {make = function (l) return l.cells.janet {hidden = H} end})
    assert.same({1, 1, 1, 1, 1}, value(janet, "janet1.f.b"):totable())
    -- A mask before the product leaves the first weights as they are without it.
    local plain = model_of(lurn, {make = function (l) return l.gru {hidden = H} end})
    local dropped = model_of(lurn, {make = function (l) return l.gru {hidden = H, recurrent_dropout = 0.5} end})
    local other = dropped:parameters()
    for i, p in ipairs(plain:parameters()) do assert.same(p.value:totable(), other[i].value:totable()) end
  end)

  it("lets a block of a clockwork stand still between its steps", function ()
    local l = lurn.f64
    local model = l.stack {input = {dim = D}, l.cells.clockwork {hidden = 4, periods = {1, 3}}}
    local stream, seen = model:stream(), {}
    for t, frame in ipairs(h.row(1, 7, D, 1)) do seen[t] = stream:step(frame):totable() end
    for t = 2, 7 do
      assert(seen[t][1] ~= seen[t - 1][1])
      assert.equal((t - 1) % 3 ~= 0, seen[t][3] == seen[t - 1][3])
    end
  end)
end)
