-- What the options of recurrent layers mean, and that PyTorch agrees where it has them (to 1e-10, in f64). Its
-- numbers come from tests/fixtures/make_layers.py.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "engine_helper"
local torch = require "torch_helper"

local D, K, H = h.D, h.K, 5

local function play (player, b, purpose)
  local loss = assert(player:forward(b, 1, 0, purpose or "eval"))
  player:commit()
  return loss
end

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

  it("recurrent_dropout_kind = \"update\" drops what is new, other columns every step, never what is kept", function ()
    local plain, dropped = pair({hidden = H}, {recurrent_dropout = 0.5, recurrent_dropout_kind = "update"})
    assert(bits(outputs(l, plain, "eval")) == bits(outputs(l, dropped, "eval")))
    -- h' = h + 1, where 1 is what is new: it is 0 or doubled.
    local sum = l.cell {name = "sum", step = function (c, x, s) return s.h + c:update(0 * c:linear(nil, {x}) + 1) end}
    local layer, kinds = sum {hidden = 40, recurrent_dropout = 0.5, recurrent_dropout_kind = "update"}, {}
    local y = outputs(l, layer, "train")
    for t = 2, 7 do
      local step = (y[t][1] - y[t - 1][1]):contiguous()
      for j = 1, 40 do assert(step[j] == 0 or step[j] == 2) end
      kinds[bits(step)] = true
    end
    assert(next(kinds, next(kinds)), "all steps have the same mask")
  end)

  it("weight_drop drops weights Wh, the same for all steps and rows, others in another training step", function ()
    local function layer (rate) return l.gru {hidden = H, reset_after = false, weight_drop = rate} end
    local model, plain = layer_of(l, layer(0.4)), layer_of(l, layer(0))
    -- The masks, asked for by name; then the plain layer with the weights that they leave.
    local masks = l.model(function (m)
      local x, list = m:input("x", "real", "time", {D}), {}
      for _, gate in ipairs {"r", "z", "n"} do
        list[gate] = l.drop(m.program:fill(1, "once", {H, H}), 0.4, ("gru1.%s.weight_drop.Wh"):format(gate))
      end
      list.out = x
      return list
    end)
    local b, last = h.batch(l, {3, 7, 5}, {y = l.zeros(7, 3, 1)}), nil
    local function output (m, step, purpose, name)
      local player = m.native:player {}
      assert(player:forward(b, 1, step, purpose))
      return player:output(name or "out")
    end
    for step = 0, 1 do
      for i, p in ipairs(plain:parameters()) do
        local gate = p.path:match "^gru1%.(%a)%.Wh$"
        p.value:copy(model:parameters()[i].value)
        if gate then p.value:copy(p.value * output(masks, step, "train", gate)) end
      end
      plain:touch()
      local y = output(model, step, "train")
      assert(bits(y) == bits(output(plain, step, "eval")))
      assert(bits(y) ~= last)
      last = bits(y)
    end
    plain = layer_of(l, layer(0))
    assert(bits(output(model, 0, "eval")) == bits(output(plain, 0, "eval")))
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

  it("init_state is given by the batch, by path and state", function ()
    local x, first = h.window(l, 1, 3).x, {}
    for k, name in ipairs {"lstm1.h0", "lstm1.c0", "lstm1_reverse.h0", "lstm1_reverse.c0"} do
      first[name] = l.tensor(h.row(k, 3, H, 1))
    end
    local function batch (more)
      local fields = {x = x, y = l.zeros(3, 3, 1)}
      for name, value in pairs(more) do fields[name] = value end
      return l.batch(fields)
    end
    local given = layer_of(l, l.lstm {hidden = H, init_state = "given", bidirectional = true}).native:player {}
    local ok, message = pcall(play, given, batch {})
    assert(not ok and tostring(message):find("asks for 'lstm1", 1, true), tostring(message))
    play(given, batch(first))
    local one = layer_of(l, l.lstm {hidden = H}).native:player {}
    one:setstate {["lstm1.h"] = first["lstm1.h0"], ["lstm1.c"] = first["lstm1.c0"]}
    play(one, batch {carry = true})
    assert(bits(given:output "out":narrow(3, 1, H):contiguous()) == bits(one:output "out"))
  end)

  it("final states are those at each row's own last step", function ()
    local model = l.model(function (m)
      local y, s = m:recur(l.gru {hidden = H, layers = 2, reverse = true}, m:input("x", "real", "time", {D}))
      local z, t = m:recur(l.lstm {hidden = H}, y)
      return {y = y, up = s[2].h, z = z, h = t.h, c = t.c}
    end)
    local player, b = model.native:player {}, h.batch(l, {3, 7, 5})
    play(player, b)
    local y, up, z, last = player:output "y", player:output "up", player:output "z", player:output "h"
    for place, n in ipairs(b.lengths) do
      assert(bits(up[place]) == bits(y[1][place]))
      assert(bits(last[place]) == bits(z[n][place]))
    end
    assert(bits(player:output "c") == bits(player:state()["lstm1.c"]))
  end)

  it("init_state is learned over carried windows by the first one alone", function ()
    local model = layer_of(l, l.lstm {hidden = H, init_state = "learned"})
    local optim = l.optim.sgd(model, {lr = 0.01})
    local function gradient ()
      local sum = 0.0
      for _, p in ipairs(model:parameters()) do
        if p.path:find "0$" then sum = sum + p.grad:abs():sum() end
      end
      return sum
    end
    for step, w in ipairs {{1, 3}, {4, 6}, {7, 9}, {1, 3}} do
      model:forward(h.window(l, w[1], w[2], {carry = w[1] > 1, y = l.zeros(3, 3, 1)}))
      model:backward()
      assert.equal(w[1] == 1, gradient() > 0, "window " .. step)
      optim:step()
    end
  end)

  it("init takes chrono biases, the input gate's the negative of the forget gate's, and trains on", function ()
    local model = layer_of(l, l.lstm {hidden = 200, init_state = "learned", init = {["f.b"] = {"chrono", 50},
      ["i.b"] = {"chrono", -50}}})
    local b = {}
    for _, p in ipairs(model:parameters()) do b[p.path] = p.value end
    local f, sum = b["lstm1.f.b"], 0.0
    assert.same((-f):totable(), b["lstm1.i.b"]:totable())
    assert(f:min() >= 0 and f:max() <= math.log(49) and f:max() > math.log(45))
    for i = 1, 200 do sum = sum + math.exp(f[i]) end
    assert(math.abs(sum / 200 - 25) < 4)                  -- the mean of U(1, 49), deviation 14 / sqrt 200
    local optim = l.optim.sgd(model, {lr = 1e-4})
    local first
    for epoch = 1, 5 do
      for _, w in ipairs {{1, 3}, {4, 6}, {7, 9}} do
        local loss = model:forward(h.window(l, w[1], w[2], {carry = w[1] > 1, y = l.zeros(3, 3, 1)}))
        model:backward()
        optim:step()
        if w[1] == 7 then
          assert(epoch == 1 or loss < first)
          first = loss
        end
      end
    end
    local ok, message = pcall(layer_of, l, l.lstm {hidden = H, init = {["f.b"] = {"chrono", 2}}})
    assert(not ok and tostring(message):find("more than 2 steps", 1, true), tostring(message))
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

  it("dropout of an embedding drops tokens wherever they stand, and scales the others", function ()
    local V, ids = 50, {}
    for t = 1, 40 do ids[t] = {(7 * t) % V + 1, (3 * t) % V + 1} end
    local model = l.stack {input = {vocab = V}, l.embedding {size = 3, dropout = 0.4}}
    local w, player = model:parameters()[1].value, model.native:player {}
    local function seen (step)
      assert(player:forward(l.batch {x = l.ids(ids)}, 1, step, "train"))
      local y, kept, dropped = player:output "out", {}, 0
      for t = 1, 40 do
        for r = 1, 2 do
          local id, zero = ids[t][r], y[t][r]:abs():max() == 0
          assert(kept[id] ~= zero)
          if kept[id] == nil and zero then dropped = dropped + 1 end
          kept[id] = not zero
          if not zero then assert((y[t][r] - w[id] / 0.6):abs():max() < 1e-12) end
        end
      end
      assert(dropped > 5 and dropped < 35, dropped)
      return kept
    end
    local one, two, same = seen(0), seen(1), true
    for id, k in pairs(one) do same = same and k == two[id] end
    assert(not same, "two steps have the same mask")
    assert(player:forward(l.batch {x = l.ids(ids)}, 1, 0, "eval"))
    assert(bits(player:output "out"[5][2]) == bits(w[ids[5][2]]))
  end)

  it("is refused where it makes no sense", function ()
    local function refuses (words, make)
      local ok, message = pcall(function () return layer_of(l, make()) end)
      assert(not ok and tostring(message):find(words, 1, true), tostring(message))
    end
    local data = l.dataset {{x = {1.0}}}
    for _, input in ipairs {data.train, 3, "data"} do
      assert.error_matches(function () l.stack {input = input, l.linear {size = 1}} end,
        "lurn.stack: input: expected a data set")
    end
    for name, layer in pairs {gru = l.gru {hidden = 2}, linear = l.linear {size = 2}} do
      assert.error_matches(function () l.stack {input = {vocab = 3}, layer} end,
        "lurn." .. name .. ": it is given ids, expected numbers: lurn.embedding")
    end
    refuses("both ways", function () return l.gru {hidden = H, bidirectional = true, reverse = true} end)
    refuses("'pool' must be", function () return l.gru {hidden = H, pool = true} end)
    refuses("'pool' must be", function () return l.gru {hidden = H, pool = "first"} end)
    refuses("zoneout of 'c'", function () return l.gru {hidden = H, zoneout = {c = 0.1}} end)
    refuses("'zoneout.h' must be", function () return l.gru {hidden = H, zoneout = {h = 2}} end)
    refuses("no state enters", function () return l.cells.indrnn {hidden = H, recurrent_dropout = 0.1} end)
    local function started (layer, states)
      return {apply = function (_, m, x) return m:recur(layer, x, states(x)) end}
    end
    local function from (states) return function () return states end end
    refuses("starts from (5) for each sequence",
      function () return started(l.gru {hidden = H},
      function (x) return {h = x} end) end)
    refuses("it has h", function () return started(l.gru {hidden = H}, from {c = 1}) end)
    refuses("got a number", function () return started(l.gru {hidden = H}, from {h = 1}) end)
    refuses("expected a table", function () return started(l.gru {hidden = H}, from(1)) end)
    refuses("only a recurrent", function () return started(l.dropout(0.5), from {}) end)
    refuses("'h' has no place", function () return started(l.gru {hidden = H, layers = 2}, from {h = 1}) end)
    refuses("'3' has no place", function () return started(l.gru {hidden = H, layers = 2}, from {{}, {}, {}}) end)
    refuses("got a number", function ()
      return started(l.gru {hidden = H, bidirectional = true}, from {reverse = 1})
    end)
    refuses("it has h", function () return started(l.cells.clockwork {hidden = 8}, from {n = 1}) end)
    refuses("weight_drop, but", function () return l.cells.indrnn {hidden = H, weight_drop = 0.1} end)
    refuses("no c:update", function ()
      return l.rnn {hidden = H, recurrent_dropout = 0.1, recurrent_dropout_kind = "update"}
    end)
    refuses("no parameter 'embedding1.W'", function () return l.linear {tied = "embedding1"} end)
    local function tied (size, hidden, more)
      more.tied = "embedding1"
      return l.stack {input = {vocab = 7}, l.embedding {size = size}, l.gru {hidden = hidden}, l.linear(more)}
    end
    assert.equal(7 * 4 + 7 + 3 * (2 * 16 + 4) + 4, tied(4, 4, {}):count())
    refuses("takes 4 columns and gives 7: got 5", function () return tied(4, 5, {}) end)
    refuses("takes 4 columns and gives 7: got 4 columns and size 8", function () return tied(4, 4, {size = 8}) end)
    refuses("no parameter 'Wo'", function () return tied(4, 4, {init = {Wo = 0}}) end)
    refuses("proj_size", function () return l.gru {hidden = H, proj_size = 2} end)
  end)
end)

---------------------------------------------------------------------- PyTorch

describe("as PyTorch", function ()
  local l, cases = lurn.f64, torch.read "torch_layers"
  local options = {
    both = {bidirectional = true}, both_layers = {bidirectional = true, layers = 2},
    learned = {init_state = "learned", layers = 2}, learned_both = {init_state = "learned", bidirectional = true},
    last = {pool = "last", bidirectional = true, layers = 2}, mean = {pool = "mean"},
    max = {pool = "max", bidirectional = true}, proj = {proj_size = 3},
    proj_all = {proj_size = 3, bidirectional = true, layers = 2, init_state = "learned", pool = "last"},
  }

  -- A layer that begins where another one ended, and its own ends behind its outputs. The time axis keeps what
  -- is a row's at every step.
  local function chain (kind)
    local function make () return l[kind] {hidden = 4, layers = 2, bidirectional = true} end
    return {name = "chain", apply = function (_, m, x)
      local _, states = m:recur(make(), x)
      local y, last = m:recur(make(), x, states)
      for _, s in ipairs {"h", "c"} do
        if last[2][s] then y = l.concat(y, m.program:spread(l.concat(last[2][s], last[2].reverse[s]), "time")) end
      end
      return y
    end}
  end

  local norms = {plain = {}, gain = {bias = false, eps = 0.1}, bare = {gain = false, bias = false}}

  local function layer (name)
    local kind, option = name:match "^(%a+)_(.*)$"
    if option == "chain" then return chain(kind) end
    if kind == "cell" then return l.cells[option] {hidden = 4} end
    if kind == "norm" then return l.layer_norm(norms[option]) end
    local o = {hidden = 4}
    for k, v in pairs(options[option]) do o[k] = v end
    return l[kind](o)
  end

  local function build (name)
    if name == "tied" then
      return l.stack {input = {vocab = 7}, l.embedding {size = 4}, l.lstm {hidden = 4}, l.linear {tied = "embedding1"},
        loss = l.loss.cross_entropy()}
    end
    return l.stack {input = {dim = D}, layer(name), l.linear {size = K}, loss = l.loss.mse()}
  end

  it("in every case", function ()
    local n = 0
    for _ in pairs(cases) do n = n + 1 end
    assert.equal(3 * 7 + 2 + 9 + 3 + 1 + 3, n)
  end)

  for name, case in pairs(cases) do
    it(name, function ()
      for _, twin in ipairs {false, true} do
        local worst = torch.compare(build(name), case, {twin = twin})
        for _, what in ipairs {"out", "loss", "grad", name ~= "tied" and "dx" or nil} do
          assert(worst[what] <= 1e-10, ("%s: off by %g"):format(what, worst[what]))
        end
      end
    end)
  end
end)
