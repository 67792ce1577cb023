-- Gradients by lag and by step, spectral radius, saturation: against backpropagation by hand, central differences and
-- counting, and that looking changes nothing.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "engine_helper"
local shell = require "shell_helper"

local l = lurn.f64
local batch, window, learn = h.batch, h.window, h.learn

local function tanh (x) return 1 - 2 / (math.exp(2 * x) + 1) end

local function near (want, got, limit)
  assert.equal(#want, #got)
  for k, x in ipairs(want) do
    local error = math.abs(x - got[k]) / math.max(math.abs(x), 1e-3)
    assert(error <= limit, ("entry %d: %.17g, got %.17g"):format(k, x, got[k]))
  end
end

local function weights (model)
  local w = {}
  for _, p in ipairs(model:parameters()) do w[p.path:match "[^.]+$"] = p.value end
  return w
end

-- dL/dh_t by hand, t = 1 .. T, of the losses of the steps that `counts` names: (o - y)^2, its columns averaged.
local function by_hand (w, b, counts)
  local hs, d = {[0] = l.zeros(b.B, h.H)}, {}
  for t = 1, b.T do hs[t] = (b.x[t] % w.Wx + hs[t - 1] % w.Wh + w.b):tanh() end
  local dh = hs[0]
  for t = b.T, 1, -1 do
    local own = (hs[t] % w.Wo + w.bo - b.y[t]) * (2 / h.K) % w.Wo:t()
    d[t] = counts(t) and dh + own or dh
    dh = d[t] * (1 - hs[t] * hs[t]) % w.Wh:t()
  end
  return d
end

local function rnn_model (options)
  options = options or {}
  return l.stack {input = {dim = h.D}, l.rnn {hidden = h.H}, l.linear {size = h.K},
    loss = l.loss.mse {reduction = options.reduction or "sum"}, mask = options.mask}
end

describe("gradients of a state", function ()
  it("by lag are those of one step's loss", function ()
    local model, b = rnn_model(), batch(l, {7, 7, 7})
    for _, tau in ipairs {7, 4, 1} do
      local d, want = by_hand(weights(model), b, function (t) return t == tau end), {}
      for k = 0, tau - 1 do want[k + 1] = d[tau - k]:norm() end
      near(want, model:lags(b, {step = tau}), 1e-12)
      if tau == 7 then near(want, model:lags(b), 1e-12) end
    end
  end)

  it("by step are those of the whole loss", function ()
    local model, b = rnn_model(), batch(l, {7, 7, 7})
    local d, want = by_hand(weights(model), b, function () return true end), {}
    for t = 1, 7 do want[t] = d[t]:norm() end
    near(want, model:gradient_norms(b), 1e-12)
  end)

  it("are those that PyTorch's autograd keeps", function ()
    for group, layer in pairs {lstm = l.lstm {hidden = 4, layers = 2}, tanh = l.rnn {hidden = 4},
                               relu = l.rnn {hidden = 4, activation = "relu"}} do
      local model, b, case = h.gradients(l, group, layer)
      local probe, compared = l.probe.take(model), 0
      for key, want in pairs(case) do
        local what, layer_path, state = key:match "^(%a+%d*)%.(%w+)%.([hc])$"
        local tau = what and tonumber(what:match "^step(%d)$")
        if tau or what == "total" then
          local chosen = tau and l.zeros(6, 3, 1) or l.ones(6, 3, 1)
          if tau then chosen[tau]:fill(1) end
          probe:play(b, chosen)
          assert(h.distance(probe:state("grad", layer_path, state), want) < 1e-12, group .. " " .. key)
          compared = compared + 1
        end
        if tau then
          for k, norm in ipairs(model:lags(b, {step = tau, layer = layer_path, state = state})) do
            assert(math.abs(norm - want[tau - k + 1]:norm()) < 1e-12)
          end
        end
      end
      assert.equal(group == "lstm" and 16 or 4, compared)
    end
  end)

  it("of rows of different lengths start at the last step of each", function ()
    local model, lengths = rnn_model(), {6, 3, 5}
    local want = {}
    for r, n in ipairs(lengths) do
      for k, x in ipairs(model:lags(batch(l, {[r] = n}))) do want[k] = math.sqrt((want[k] or 0)^2 + x^2) end
    end
    near(want, model:lags(batch(l, lengths)), 1e-12)
    near({model:lags(batch(l, {[1] = 6}), {step = 6})[1]}, {model:lags(batch(l, lengths), {step = 6})[1]}, 1e-12)
  end)

  it("in small numbers of f32 do not vanish before they do", function ()
    local l32 = lurn.f32
    local model = l32.stack {input = {dim = h.D}, l32.rnn {hidden = h.H, init = {Wh = {"identity", 0.05}}},
      l32.linear {size = h.K}, loss = l32.loss.mse()}
    local list = model:lags(batch(l32, {25}))
    for k = 16, 25 do assert(list[k] > 0 and list[k] < list[k - 1]) end
    assert(list[25] < 1e-28)      -- its square is below everything that f32 has
  end)

  -- What each frame's loss contributes adds up, whatever the cell and the reduction.
  for name, make in pairs {rnn = h.makers.rnn, lstm = h.makers.lstm, gru = h.makers.gru, lua = h.makers.lua,
                           both = function (i) return i.gru {hidden = h.H, bidirectional = true} end} do
    it("of the steps' losses add up to the whole in " .. name, function ()
      for _, reduction in ipairs {"mean", "time", "sum"} do
        local model = l.stack {input = {dim = h.D}, make(l), l.linear {size = h.K}, mask = true,
          loss = l.loss.mse {reduction = reduction}}
        local mask = l.tensor {{1, 1, 0.5}, {1, 0, 1}, {2, 1, 0}, {1, 1, 1}, {1, 1, 1}, {1, 1, 1}}
        local b = batch(l, {6, 2, 4}, {mask = mask})
        local probe = l.probe.take(model)
        local sums, loss = {}, 0.0
        for tau = 1, 6 do
          local chosen = l.zeros(6, 3, 1)
          chosen[tau]:fill(1)
          loss = loss + probe:play(b, chosen)
          for _, scan in ipairs(probe.scans) do
            for _, s in ipairs(scan.states) do
              local key, g = scan.name .. s.name, probe:state("grad", scan.name, s.name)
              sums[key] = sums[key] and sums[key] + g or g
            end
          end
        end
        assert(math.abs(probe:play(b) - loss) < 1e-13)
        for _, scan in ipairs(probe.scans) do
          for _, s in ipairs(scan.states) do
            assert(h.distance(sums[scan.name .. s.name], probe:state("grad", scan.name, s.name)) < 1e-13)
          end
        end
      end
    end)
  end

  -- The loss of steps 4 to 7 as a function of the state after step 3, which is carried in. A cell's c is also seen
  -- through the h = o tanh(c) of its own step.
  local moves = {
    h = function (state, r, c, x) state.h:set(r, c, x) end,
    c = function (state, r, c, x)
      state.h:set(r, c, state.h(r, c) * tanh(x) / tanh(state.c(r, c)))
      state.c:set(r, c, x)
    end,
  }
  local function differences (model, rest, layer, state, r, c)
    local saved = model:state()
    local function loss_at (dx)
      local there, list = model:state(), {}
      for key, value in pairs(there) do
        if key:match "^(.*)%." == layer then list[key:match "[^.]+$"] = value end
      end
      moves[state](list, r, c, list[state](r, c) + dx)
      model:setstate(there)
      local loss = model:forward(rest)
      model:setstate(saved)
      return loss
    end
    local e = 1e-4
    return (8 * (loss_at(e) - loss_at(-e)) - (loss_at(2 * e) - loss_at(-2 * e))) / (12 * e)
  end

  for name, states in pairs {rnn = {"h"}, gru = {"h"}, mine = {"h"}, lstm = {"h", "c"}} do
    it("agree with differences of the loss in " .. name, function ()
      local model = h.model_of(l, name == "mine" and "lua" or name)
      local probe, chosen, layer = l.probe.take(model), l.zeros(7, 3, 1), name .. "2"
      for t = 4, 7 do chosen[t]:fill(1) end
      probe:play(window(l, 1, 7), chosen)
      learn(model, l.optim.sgd(model, {lr = 0}), window(l, 1, 3))
      for _, state in ipairs(states) do
        local g = probe:state("grad", layer, state)[3]
        for r = 1, 3, 2 do
          for c = 1, h.H, 2 do
            local slope = differences(model, window(l, 4, 7, {carry = true}), layer, state, r, c)
            assert(math.abs(slope - g(r, c)) < 1e-7 * math.max(math.abs(slope), 1e-2), state)
          end
        end
      end
    end)
  end

  it("of a loss for each sequence start where its scans end", function ()
    local function model_of (reverse)
      return l.stack {input = {dim = h.D}, l.rnn {hidden = h.H, reverse = reverse, pool = "last"},
        l.linear {size = h.K}, loss = l.loss.mse {reduction = "sum"}}
    end
    local b = batch(l, {5, 5}, {y = l.ones(2, h.K)})
    assert.equal(5, #model_of(false):lags(b))
    assert.equal(5, #model_of(true):lags(b))
    local d = model_of(true):diagnose(b)
    near(d.lags["rnn1.h"], d.totals["rnn1.h"], 1e-14)       -- nothing is added on the way, and it goes forward
    assert.error_matches(function () model_of(false):lags(b, {step = 2}) end, "no sum over steps")
  end)

  it("are asked for by names that exist", function ()
    local model, b = rnn_model(), batch(l, {4, 4})
    assert.error_matches(function () model:lags(b, {layer = "rnn2"}) end, "unknown layer 'rnn2', did you mean 'rnn1'")
    assert.error_matches(function () model:gradient_norms(b, {state = "c"}) end, "unknown state 'c'")
    assert.error_matches(function () model:lags(b, {step = 5}) end, "4 steps, got 5")
    assert.error_matches(function () model:lags(b, {stepp = 5}) end, "did you mean 'step'")
    local feedforward = l.stack {input = {dim = h.D}, l.linear {size = h.K}, loss = l.loss.mse()}
    assert.error_matches(function () feedforward:lags(b) end, "no recurrent layer")
  end)
end)

describe("a batch made from another", function ()
  it("has its rows, fields and identities, and the fields given", function ()
    local other
    do
      local b = batch(l, {3, 6, 5})
      local with = l.batch {from = b, mask = l.ones(6, 3), extra = l.ones(6, 3, 2)}
      assert.same({6, 3, 14}, {with.T, with.B, with.N})
      assert.same({b.lengths, b.seq, b.pos, b.carry}, {with.lengths, with.seq, with.pos, with.carry})
      assert(bits(with.x) == bits(b.x) and bits(with.y) == bits(b.y))
      assert.is_nil(b.mask)
      assert.equal(14, with.mask:sum())              -- nothing where a row has ended
      other = l.batch {from = with, mask = l.zeros(6, 3)}
    end
    collectgarbage()
    collectgarbage()                                 -- the memory stays as long as it is used
    assert.equal(0, other.mask:sum())
    assert.equal(28, other.extra:sum())
  end)

  it("has its further time axes, or gets them, rows in its order", function ()
    local b = batch(l, {3, 6, 5})
    local s = l.tensor({{1, 2, 3}, {4, 0, 6}, {7, 0, 0}}):reshape(3, 3, 1)
    local with = l.batch {from = b, time2 = {s = s, lengths = {3, 1, 2}}}
    assert.same({b.seq, {3, 1, 2}}, {with.seq, with.lengths2})
    assert(bits(with.s) == bits(s))
    local more = l.batch {from = with, time2 = {extra = s * 2}, time3 = {i = l.ids {{1, 2, 3}}}}
    assert.same({{3, 1, 2}, {1, 1, 1}}, {more.lengths2, more.lengths3})
    assert(bits(more.extra) == bits(s * 2) and bits(more.s) == bits(s))
    assert.same({{1, 2, 3}}, more.i:totable())
    assert.error_matches(function () l.batch {from = with, time2 = {extra = s, lengths = {3, 1, 2}}} end,
      "time2: lengths are those of 'from'")
  end)

  it("goes with the frames of a feed's batch", function ()
    local data = l.dataset {{x = {{1.5}, {2.5}}, y = 1}, {x = {{3.5}, {4.5}}, y = 2}}
    local feed = data.all:feed {batch = 1, shuffle = false}
    local with = l.batch {from = feed:batch(1, 1), extra = l.ones(2, 1, 1)}
    local again = l.batch {from = with, mask = l.ones(2, 1)}
    assert.equal(1.5, again.x[1][1][1])
    feed:batch(1, 2)
    assert.error_matches(function () return again.x end, "its feed has made another one since")
    local model = l.model(function (m) return {loss = l.total(m:input("x", "real", "time", {1}))} end)
    assert.error_matches(function () model:forward(with) end, "its feed has made another one since")
  end)

  it("refuses what would be two batches", function ()
    local b = batch(l, {3, 6})
    assert.error_matches(function () l.batch {from = b, x = b.x} end, "x and lengths are those of 'from'")
    assert.error_matches(function () l.batch {from = b, lengths = {6, 3}} end, "x and lengths are those of 'from'")
    assert.error_matches(function () l.batch {from = b, mask = l.ones(5, 2)} end, "mask: expected %(6,2%)")
    assert.has_error(function () l.batch {from = 3} end)
  end)
end)

describe("a diagnosis", function ()
  local function deep (i)
    return i.stack {input = {dim = h.D}, i.lstm {hidden = h.H, layers = 2, dropout = 0.3}, i.rnn {hidden = 5,
      activation = "relu", init_state = "learned"}, i.linear {size = h.K}, loss = i.loss.mse()}
  end

  it("is of the step that comes next, and leaves no trace in it", function ()
    local function train (look)
      local model, seen = deep(lurn.f32), {}
      local adam = lurn.f32.optim.adam(model, {lr = 0.01, accumulate = 2})
      for k = 1, 6 do
        local b = window(lurn.f32, k, k + 3, {carry = k > 1})
        local d = look and model:diagnose(b)
        seen[k] = model:forward(b)
        model:backward()
        if look then
          assert.equal(seen[k], d.loss)
          local before = bits(h.values(model))
          for _, p in ipairs(model:parameters()) do
            assert(math.abs(d.gradient[p.path] - p.grad:norm()) <= 1e-6 * p.grad:norm(), p.path)
          end
          model:lags(b, {step = 2})
          assert(bits(h.values(model)) == before)
        end
        seen[k + 6] = adam:step()
      end
      local grads = {}
      for _, p in ipairs(model:parameters()) do grads[p.path] = p.grad:clone() end
      return bits {seen, h.values(model), grads, model:state(), adam:save().tensors}
    end
    assert(train(false) == train(true))
  end)

  it("names gates and what they are fed by", function ()
    local function names (layer)
      local model, found = l.stack {input = {dim = h.D}, layer, l.linear {size = h.K}, loss = l.loss.mse()}, {}
      local d = model:diagnose(batch(l, {4, 2}))
      for name, g in pairs(d.gates) do found[name] = g.kind end
      for name in pairs(d.dead) do found[name] = "relu" end
      return found
    end
    assert.same({["lstm1.i"] = "sigmoid", ["lstm1.f"] = "sigmoid", ["lstm1.o"] = "sigmoid", ["lstm1.g"] = "tanh",
      ["lstm1.c"] = "tanh"}, names(l.lstm {hidden = 4}))
    assert.same({["gru1.r"] = "sigmoid", ["gru1.z"] = "sigmoid", ["gru1.n"] = "tanh"}, names(l.gru {hidden = 4}))
    assert.same({["peephole1.i"] = "sigmoid", ["peephole1.f"] = "sigmoid", ["peephole1.o"] = "sigmoid",
      ["peephole1.g"] = "tanh", ["peephole1.c"] = "tanh"}, names(l.cells.peephole {hidden = 4}))
    assert.same({rnn1 = "relu"}, names(l.rnn {hidden = 4, activation = "relu"}))
    for _, act in ipairs {"leaky_relu", "elu", "softplus", "hard_sigmoid"} do
      assert.same({}, names(l.rnn {hidden = 4, activation = act}))
    end
  end)

  -- One cell each whose output is the activation itself; the batch is ragged, so that padding would show.
  it("counts saturated outputs and dead units", function ()
    local function seen (act)
      local model = l.model(function (m, fields)
        local out = m:apply(l.rnn {hidden = 6, activation = act, init = {Wx = {"normal", 0, 2}}}, fields.x)
        return {loss = l.total(out * out), out = out}
      end, {input = {dim = h.D}})
      for _, p in ipairs(model:parameters()) do
        if act == "relu" and p.path == "rnn1.b" then p.value:copy(l.tensor {0, -100, 0, 0, -100, 0}) end
      end
      model:touch()
      local b = batch(l, {6, 1, 3})
      model:forward(b)
      local values, out = {}, model:output()
      for r, n in ipairs(b.lengths) do
        for t = 1, n do for c = 1, 6 do values[#values + 1] = out(t, r, c) end end
      end
      return model:diagnose(b), values, out
    end
    local function share (values, f)
      local n = 0
      for _, x in ipairs(values) do if f(x) then n = n + 1 end end
      return n / #values
    end
    local d, values = seen "sigmoid"
    local g = d.gates.rnn1
    assert(g.low > 0 and g.high > 0 and g.low + g.high < 1)
    assert(math.abs(g.low - share(values, function (x) return x < 0.1 end)) < 1e-12)
    assert(math.abs(g.high - share(values, function (x) return x > 0.9 end)) < 1e-12)
    d, values = seen "tanh"
    assert(d.gates.rnn1.saturated > 0 and d.gates.rnn1.saturated < 1)
    assert(math.abs(d.gates.rnn1.saturated - share(values, function (x) return math.abs(x) > 0.9 end)) < 1e-12)
    local out, dead
    d, values, out = seen "relu"
    dead = 0
    assert(share(values, function (x) return x == 0 end) > 0.3)
    for c = 1, 6 do if out:select(3, c):max() == 0 then dead = dead + 1 end end
    assert(dead >= 2 and dead < 6)
    assert.same({share = dead / 6, units = 6}, d.dead.rnn1)
  end)

  it("knows the spectral radius of what a state is multiplied by", function ()
    local d = deep(l):diagnose(batch(l, {3, 2}))
    local paths = {}
    for path in pairs(d.radius) do paths[#paths + 1] = path end
    table.sort(paths)
    assert.same({"lstm1.f.Wh", "lstm1.g.Wh", "lstm1.i.Wh", "lstm1.o.Wh", "lstm2.f.Wh", "lstm2.g.Wh", "lstm2.i.Wh",
      "lstm2.o.Wh", "rnn1.Wh"}, paths)
    for n = 1, 40, 13 do
      local w = l.normal(n, n, {name = "w" .. n})
      local re, im = w:eig()
      local rho = math.sqrt((re * re + im * im):max())
      assert(math.abs(l.spectral_radius(w) - rho) < 1e-8 * rho)
      assert(math.abs(lurn.f32.spectral_radius(lurn.f32.tensor(w:totable())) - rho) < 1e-6 * rho)
    end
    assert.equal(0.0, l.spectral_radius(l.tensor {{0, 3, 1}, {0, 0, 2}, {0, 0, 0}}))
    assert(math.abs(l.spectral_radius(l.tensor {{0, -2}, {2, 0}}) - 2) < 1e-8)         -- plus and minus 2i
    assert(math.abs(l.spectral_radius(l.tensor {{0.5, 1}, {0, 0.5}}) - 0.5) < 1e-8)     -- a Jordan block
    assert(l.spectral_radius(l.tensor {{0 / 0}}) ~= l.spectral_radius(l.tensor {{0 / 0}}))
  end)

  it("is drawn with plain letters where there are no others", function ()
    local rows = {{"a", 1e-4}, {"bb", 1e-2}, {"c", 0}, {"d", 1}}
    assert.equal("   a     0.0001\n  bb       0.01  ####\n   c          0\n   d          1  ########",
      l.plot.bars(rows, {log = true, width = 8, utf8 = false}))
    assert.equal("  a        1.5  ██▋\n  b          5  █████████\n  c        NaN",
      l.plot.bars({{"a", 1.5}, {"b", 5}, {"c", 0 / 0}}, {width = 9, utf8 = true}))
    local text = tostring(deep(l):diagnose(batch(l, {30, 20})))
    for _, part in ipairs {"lstm1.h: gradient of the last step's loss, by lag", "\n  lag 29 ", "\n   step 1 ",
                           "rnn1.Wh", "spectral radius", "lstm2.f +sigmoid  below 0.1", "rnn1 +relu"} do
      assert.matches(part, text)
    end
    assert.is_nil(text:find "\27")
  end)
end)

describe("a run", function ()
  setup(shell.open)
  teardown(shell.close)

  local function run (name, fit)
    local experiment = l.experiment {name = "seen", run = function (r)
      local set = {}
      for i = 1, 12 do set[i] = {x = h.row(i, 3 + i % 4, h.D, 1), y = h.row(i, 3 + i % 4, h.K, 2)} end
      local data = l.dataset(set)
      local model = l.stack {input = data, l.gru {hidden = 4}, l.linear {size = h.K}, loss = l.loss.mse()}
      local options = {model = model, optim = l.optim.adam(model), train = data.train, epochs = 4, batch = 3, seq = 0}
      for k, v in pairs(fit) do options[k] = v end
      return r:fit(options).loss
    end}
    return experiment:start(nil, {out = shell.path(name), quiet = true}):play()
  end

  it("takes a diagnosis every so many steps, and keeps it under its name", function ()
    local plain, looked = run("plain.h5", {}), run("seen.h5", {diagnose = 4})
    assert.equal("done", looked.status, looked.trace)
    assert(bits(h.values(plain.model)) == bits(h.values(looked.model)))
    assert.equal(bits(plain.metrics.loss.value), bits(looked.metrics.loss.value))
    local file = assert(l.runfile.read(shell.path "seen.h5"))
    for _, name in ipairs {"diag/gru1.n.Wh.radius", "diag/gru1.n.Wh.grad", "diag/gru1.z.low", "diag/gru1.z.high",
                           "diag/gru1.n.saturated", "diag/gru1.h.lag0", "diag/gru1.h.lag2",
                           "diag/gru1.h.total_first"} do
      assert.same({4, 8, 12, 16}, file.metrics[name] and file.metrics[name].step, name)
      assert.same(looked.metrics[name].value, file.metrics[name].value)
    end
  end)
end)
