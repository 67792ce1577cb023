-- The cells of the literature and the options of recurrent layers. For each: gradients against differences in f64,
-- the naive twin and schedules by lot with the same bits, the rows of a ragged batch as alone, and what is causal
-- step by step and in carried windows as at once.
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

for name in pairs(lurn.cells) do
  -- relu is differentiated across its kink with some weights, and not with others. The IRNN starts on it.
  local kinks = name == "irnn" or name == "indrnn"
  local init = name == "irnn" and {Wx = {"normal", 0, 1}, b = 0.3} or nil
  entry(name, function (l) return l.cells[name] {hidden = H, init = init} end, {kinks = kinks})
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
      for i = 1, p.value:numel() do p.value[i] = math.sin(2 + 3 * i) / 2 end
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

---------------------------------------------------------------------- what the options mean

local function layer_of (l, layer) return l.stack {input = {dim = D}, layer, loss = l.loss.custom(l.sum)} end

-- The outputs of a layer for the same three rows: {[row] = list of frames}, or one row each when pooled.
local function outputs (l, layer, purpose, set)
  local model = layer_of(l, layer)
  for _, p in ipairs(model:parameters()) do
    for path, value in pairs(set or {}) do if p.path == path then p.value:copy(value) end end
  end
  model:touch()
  local player, b = model.native:player {grad = true}, h.batch(l, {3, 7, 5})
  b = l.batch {x = h.unsorted(b.x, b.order), lengths = {3, 7, 5}, y = l.zeros(7, 3, 1)}
  play(player, b, purpose)
  return player:output "out", b, model
end

describe("the option", function ()
  local l = lurn.f64

  -- The layer without `option`, with the same weights: paths and shapes are the same, so is the seed.
  local function pair (o, more)
    local with = {}
    for k, v in pairs(o) do with[k] = v end
    for k, v in pairs(more) do with[k] = v end
    return l.gru(o), l.gru(with)
  end

  it("bidirectional is two layers side by side", function ()
    local model = layer_of(l, l.lstm {hidden = H, bidirectional = true})
    local paths = {}
    for _, p in ipairs(model:parameters()) do paths[p.path] = p.value end
    assert(paths["lstm1.f.Wx"] and paths["lstm1_reverse.f.Wx"])
    local back = {}
    for path, value in pairs(paths) do
      if path:find "_reverse" then back[path:gsub("_reverse", "")] = value end
    end
    local both = outputs(l, l.lstm {hidden = H, bidirectional = true})
    assert(bits(both:narrow(3, 1, H):contiguous()) == bits(outputs(l, l.lstm {hidden = H})))
    assert(bits(both:narrow(3, H + 1, H):contiguous()) == bits(outputs(l, l.lstm {hidden = H, reverse = true}, nil,
      back)))
  end)

  it("pool takes the end, the mean or the largest of each sequence", function ()
    local plain, last = pair({hidden = H}, {pool = "last"})
    local y, b = outputs(l, plain)
    local function frame (t, place) return y[t][place] end
    local last_y = outputs(l, last)
    for place, n in ipairs(b.lengths) do assert(bits(last_y[place]) == bits(frame(n, place))) end
    local mean, max = outputs(l, l.gru {hidden = H, pool = "mean"}), outputs(l, l.gru {hidden = H, pool = "max"})
    for place, n in ipairs(b.lengths) do
      for j = 1, H do
        local sum, most = 0.0, -math.huge
        for t = 1, n do
          sum, most = sum + frame(t, place)[j], math.max(most, frame(t, place)[j])
        end
        assert(math.abs(sum / n - mean[place][j]) < 1e-12)
        assert.equal(most, max[place][j])
      end
    end
    local back, first = outputs(l, l.gru {hidden = H, reverse = true}), outputs(l, l.gru {hidden = H, reverse = true,
      pool = "last"})
    for place = 1, 3 do assert(bits(first[place]) == bits(back[1][place])) end
  end)

  it("locked keeps one mask for a sequence, another for the next one", function ()
    local model = l.stack {input = {dim = D}, l.dropout {rate = 0.5, locked = true}}
    local player, ones = model.native:player {}, l.ones(6, 8, D)
    play(player, l.batch {x = ones}, "train")
    local y, kinds = player:output "out", {}
    for r = 1, 8 do
      for t = 1, 6 do assert.same(y[1][r]:totable(), y[t][r]:totable()) end
      for d = 1, D do assert(y[1][r][d] == 0 or y[1][r][d] == 2) end
      kinds[bits(y[1][r])] = true
    end
    assert(next(kinds, next(kinds)), "all rows have the same mask")
    play(player, l.batch {x = ones}, "eval")
    assert(bits(player:output "out") == bits(ones))
  end)

  it("recurrent_dropout drops the same columns of the state at every step, and none in evaluation", function ()
    local plain, dropped = pair({hidden = H}, {recurrent_dropout = 0.5})
    assert(bits(outputs(l, plain, "eval")) == bits(outputs(l, dropped, "eval")))
    -- h' = h Wh + 1 with Wh = 1: a kept column doubles and counts on, a dropped one stays 1.
    local sum = l.rnn {hidden = 40, activation = "identity", recurrent_dropout = 0.5, init = {Wh = {"identity"}, Wx = 0,
      b = 1}}
    local y, kept = outputs(l, sum, "train"), 0
    for j = 1, 40 do
      local column = {}
      for t = 1, 7 do column[t] = y[t][1][j] end
      assert(column[2] == 1 or column[2] == 3)
      kept = kept + (column[2] == 3 and 1 or 0)
      for t = 2, 7 do assert.equal(column[2] == 3 and 2 * column[t - 1] + 1 or 1, column[t]) end
    end
    assert(kept > 5 and kept < 35)
  end)

  it("zoneout keeps a share of the state, in evaluation of every column", function ()
    -- h' = h + 1: a step that is zoned out does not count.
    local function count (o)
      return l.rnn {hidden = 40, activation = "identity", zoneout = o, init = {Wh = {"identity"}, Wx = 0, b = 1}}
    end
    local y, kept = outputs(l, count(0.25), "train"), 0
    for j = 1, 40 do
      for t = 2, 7 do
        local step = y[t][1][j] - y[t - 1][1][j]
        assert(math.abs(step) < 1e-12 or math.abs(step - 1) < 1e-12)
        if step < 0.5 then kept = kept + 1 end
      end
    end
    assert(kept > 30 and kept < 90)                      -- of 240, 60 are expected
    local mean = outputs(l, count {h = 0.25}, "eval")
    for t = 1, 7 do assert(math.abs(mean[t][1][1] - 0.75 * t) < 1e-12) end
  end)

  it("init_state begins every sequence at a parameter, in training, in a stream and backward", function ()
    local start = l.tensor {0.5, -0.25, 1, 2, -1}
    local function count (o)
      o.hidden, o.activation, o.init_state = H, "identity", "learned"
      o.init = {Wh = {"identity"}, Wx = 0, b = 1}
      return l.rnn(o)
    end
    local function same (list, n)
      for j = 1, H do assert(math.abs(list[j] - start[j] - n) < 1e-12) end
    end
    local y, b = outputs(l, count {}, "train", {["rnn1.h0"] = start})
    for place, n in ipairs(b.lengths) do for t = 1, n do same(y[t][place], t) end end
    y = outputs(l, count {reverse = true}, "train", {["rnn1.h0"] = start})
    for place, n in ipairs(b.lengths) do for t = 1, n do same(y[t][place], n - t + 1) end end
    local _, _, model = outputs(l, count {}, "eval", {["rnn1.h0"] = start})
    local stream = model:stream()
    for _ = 1, 2 do
      for t = 1, 3 do same(stream:step {0, 0, 0}, t) end
      stream:reset()
    end
  end)

  it("init_state is learned over carried windows by the first one alone", function ()
    local model = moved(model_of(l, {make = function () return l.lstm {hidden = H, init_state = "learned"} end}))
    local optim = l.optim.sgd(model, {lr = 0.01})
    local function gradient ()
      local sum = 0.0
      for _, p in ipairs(model:parameters()) do
        if p.path:find "0$" then sum = sum + p.grad:abs():sum() end
      end
      return sum
    end
    for step, w in ipairs {{1, 3}, {4, 6}, {7, 9}, {1, 3}} do
      model:forward(h.window(l, w[1], w[2], {carry = w[1] > 1}))
      model:backward()
      assert.equal(w[1] == 1, gradient() > 0, "window " .. step)
      optim:step()
    end
  end)

  it("reverse begins anew where a row is reset, and nowhere else", function ()
    local model = layer_of(l, l.gru {hidden = H, reverse = true})
    local whole, reset = h.window(l, 1, 9), l.zeros(9, 3)
    reset[4][1] = 1
    local player = model.native:player {reset = true}
    play(player, l.batch {x = whole.x, y = l.zeros(9, 3, 1), reset = reset})
    local y = player:output "out"
    local function part (r, from, n)
      local alone = model.native:player {}
      play(alone, l.batch {x = whole.x:narrow(1, from, n):narrow(2, r, 1):contiguous(), y = l.zeros(n, 1, 1)})
      local z = alone:output "out"
      for t = 1, n do assert(bits(y[from + t - 1][r]) == bits(z[t][1])) end
    end
    part(1, 1, 3)
    part(1, 4, 6)
    part(2, 1, 9)
  end)

  it("is refused where it makes no sense", function ()
    local function refuses (words, make)
      local ok, message = pcall(function () return layer_of(l, make()) end)
      assert(not ok and tostring(message):find(words, 1, true), tostring(message))
    end
    refuses("both ways", function () return l.gru {hidden = H, bidirectional = true, reverse = true} end)
    refuses("'pool' must be", function () return l.gru {hidden = H, pool = true} end)
    refuses("'pool' must be", function () return l.gru {hidden = H, pool = "first"} end)
    refuses("zoneout of 'c'", function () return l.gru {hidden = H, zoneout = {c = 0.1}} end)
    refuses("'zoneout.h' must be", function () return l.gru {hidden = H, zoneout = {h = 2}} end)
    refuses("no state enters", function () return l.cells.indrnn {hidden = H, recurrent_dropout = 0.1} end)
    refuses("proj_size", function () return l.gru {hidden = H, proj_size = 2} end)
  end)
end)
