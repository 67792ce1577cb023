-- Convolutions and pooling: agreement with PyTorch (to 1e-10, in f64; its numbers come from
-- tests/fixtures/make_conv.py), the same bits however they are played, and what the layers refuse.
local lurn = require "lurn"
local bits = require "bits_helper"
local torch = require "torch_helper"

local HEIGHT, WIDTH, C, M = 4, 5, 2, 3

---------------------------------------------------------------------- PyTorch

describe("PyTorch agrees with", function ()
  local l = lurn.f64
  local LIMIT = 1e-10

  local function frames (...)
    return l.stack {input = {dim = HEIGHT * WIDTH * C}, loss = l.loss.mse(), l.image(HEIGHT, WIDTH, C), ...}
  end
  local function conv (o)
    o.size = M
    return frames(l.conv2d(o), l.flatten())
  end
  local function pool (layer) return frames(l.conv2d {size = M, kernel = {2, 1}}, layer, l.flatten()) end
  local function over_time (o)
    o.size = M
    return l.stack {input = {dim = C}, loss = l.loss.mse(), l.conv1d(o)}
  end
  local function cell (name, o)
    o.hidden = M
    return frames(l.cells[name](o), l.flatten())
  end

  local models = {
    conv2d = function () return conv {} end,
    conv2d_padding = function () return conv {kernel = {3, 2}, padding = {2, 1}} end,
    conv2d_stride = function () return conv {kernel = {2, 3}, stride = {2, 3}} end,
    conv2d_same = function () return conv {kernel = 3, padding = "same"} end,
    conv2d_same_even = function () return conv {kernel = {2, 4}, padding = "same"} end,
    conv2d_dilation = function () return conv {kernel = {2, 3}, dilation = {2, 2}} end,
    conv2d_all = function () return conv {kernel = {3, 2}, stride = {3, 2}, dilation = {1, 2}, padding = {1, 0}} end,
    conv2d_plain = function () return conv {kernel = 1, bias = false} end,
    transpose = function ()
      return l.model(function (m, batch)
        local w, b = m:param("m.W", {3, 2, M, C}), m:param("m.b", {M}, 0)
        local x = l.image(HEIGHT, WIDTH, C)(batch.x)
        local out = l.flatten(l.conv2d_transpose(x, w, {stride = {2, 1}, dilation = {1, 2}, bias = b}))
        return {out = out, loss = l.loss.mse():build(m, out)}
      end, {input = {dim = HEIGHT * WIDTH * C}})
    end,
    max_pool2d = function () return pool(l.max_pool2d(2)) end,
    max_pool2d_stride = function () return pool(l.max_pool2d {size = {2, 3}, stride = {1, 2}}) end,
    avg_pool2d = function () return pool(l.avg_pool2d {}) end,
    avg_pool2d_stride = function () return pool(l.avg_pool2d {size = {3, 2}, stride = {2, 1}}) end,
    conv1d = function () return over_time {kernel = 3} end,
    conv1d_dilation = function () return over_time {kernel = 3, dilation = 2} end,
    conv1d_centred = function () return over_time {kernel = 3, dilation = 2, causal = false} end,
    conv1d_centred_even = function () return over_time {kernel = 4, causal = false} end,
    conv_lstm = function () return cell("conv_lstm", {}) end,
    conv_lstm_peepholes = function () return cell("conv_lstm", {kernel = {1, 3}, peepholes = true}) end,
    conv_gru = function () return cell("conv_gru", {kernel = {3, 1}}) end,
  }

  for name, case in pairs(torch.read "torch_conv") do
    it(name, function ()
      for _, twin in ipairs {false, true} do
        local seen = torch.compare(assert(models[name], name)(), case, {twin = twin})
        for _, what in ipairs {"out", "dx", "grad", "loss"} do assert(seen[what], what .. " was not compared") end
        for what, e in pairs(seen) do assert(e <= LIMIT, ("%s off by %g"):format(what, e)) end
      end
    end)
  end

  it("the second engine, which multiplies tap by tap", function ()
    local engine = l.engine()
    finally(function () l.engine(engine) end)
    l.engine "openblas"
    for name, case in pairs(torch.read "torch_conv") do
      for what, e in pairs(torch.compare(models[name](), case)) do
        assert(e <= LIMIT, ("%s: %s off by %g"):format(name, what, e))
      end
    end
  end)
end)

---------------------------------------------------------------------- bits

-- Rows of engine_helper are three columns wide; these are images of 4 x 3 and of two channels, from 1 to 9.
local D = 4 * 3 * 2

local function row (r, n)
  local list = {}
  for t = 1, n do
    list[t] = {}
    for d = 1, D do list[t][d] = math.sin(13.1 * r + 1.7 * t * d + t) end
  end
  return list
end

local function batch (l, rows, lengths, more)
  local T = math.max(table.unpack(lengths))
  local x = l.zeros(T, #rows, D)
  for b, r in ipairs(rows) do
    for t, frame in ipairs(row(r, lengths[b])) do x[t][b] = l.tensor(frame) end
  end
  local fields = {x = x, y = l.zeros(T, #rows, 1), lengths = lengths}
  for k, v in pairs(more or {}) do fields[k] = v end
  return l.batch(fields)
end

-- Everything at once: before, in and after a step, weights that are computed, a chain of convolutions.
local function model_of (l)
  return l.model(function (m, b)
    local x = l.image(4, 3, 2)(b.x)
    local w = l.drop(m:param("w", {2, 3, 2, 3}), 0.3, "weights")
    local y = l.tanh(l.conv2d(x, w, {padding = {1, 2}, stride = {2, 1}, dilation = {1, 2}}))
    y = m:apply(l.max_pool2d {size = {2, 2}, stride = 1}, y)
    y = m:apply(l.cells.conv_lstm {hidden = 2, kernel = {3, 2}, zoneout = 0.1}, y)
    y = l.avg_pool2d(y, {size = {1, 2}, stride = 1})
    y = m:apply(l.conv1d {size = 4, kernel = 3, dilation = 2, activation = "tanh"}, y:flatten())
    y = m:apply(l.linear {size = 1}, m:apply(l.conv1d {size = 3, kernel = 2, name = "second"}, y))
    return {out = y, loss = l.total((y - 1)^2)}
  end, {input = {dim = D}})
end

local function play (player, b, purpose)
  local loss = assert(player:forward(b, 1, 0, purpose or "eval"))
  player:commit()
  return loss
end

describe("convolutions have the same bits", function ()
  local function each (f)
    for _, precision in ipairs {"f32", "f64"} do f(lurn[precision], model_of(lurn[precision])) end
  end

  it("whatever the schedule and the threads, and from the naive twin", function ()
    each(function (l, model)
      local threads, seen = l.threads(), nil
      finally(function () l.threads(threads) end)
      for _, o in ipairs {{twin = true}, {}, {threads = 2}, {dice = 1}, {dice = 2, threads = 3}, {dice = 3}} do
        l.threads(o.threads or 1)
        local player = model.native:player {grad = true, grad_inputs = true, twin = o.twin, dice = o.dice}
        local many, lengths = {}, {}
        for r = 1, 14 do many[r], lengths[r] = r, 1 + r * 5 % 7 end
        local all = {play(player, batch(l, many, lengths), "train")}
        player:backward()
        for _, p in ipairs(model:parameters()) do all[#all + 1] = p.grad end
        all = bits {all, player:output "out", player:output "d:x", player:state()}
        assert(all == (seen or all))
        seen = all
      end
    end)
  end)

  it("step by step, in carried windows and from a state that was put back, as at once", function ()
    each(function (l, model)
      local whole = model.native:player {infer = true}
      play(whole, batch(l, {1}, {8}))
      local out, stream = whole:output "out", model:stream()
      local saved
      for t, frame in ipairs(row(1, 8)) do
        if t == 5 then saved = stream:state() end
        assert(bits(stream:step(frame)) == bits(out[t][1]))
      end
      local again = model:stream()
      again:setstate(saved)
      for t = 5, 8 do assert(bits(again:step(row(1, 8)[t])) == bits(out[t][1])) end
    end)
  end)

  it("after a reset as from the start", function ()
    each(function (l)
      local model = l.model(function (m, b)
        local y = m:apply(l.conv1d {size = 4, kernel = 3, dilation = 2}, b.x)
        y = m:apply(l.cells.conv_gru {hidden = 1}, l.reshape(y, 2, 2, 1))
        return {out = l.flatten(y) + 0 * b.reset, loss = l.total(y * y)}
      end, {input = {dim = D}})
      local player = model.native:player {reset = true}
      local x, reset = l.zeros(9, 1, D), l.zeros(9, 1)
      for t, frame in ipairs(row(1, 4)) do x[t][1] = l.tensor(frame) end
      for t, frame in ipairs(row(2, 5)) do x[4 + t][1] = l.tensor(frame) end
      reset[5][1] = 1
      play(player, l.batch {x = x, reset = reset})
      local out = player:output "out"
      for r, at in pairs {[1] = {1, 4}, [2] = {5, 9}} do
        local alone, n = model.native:player {}, at[2] - at[1] + 1
        play(alone, batch(l, {r}, {n}, {reset = l.zeros(n, 1)}))
        assert(bits(out:narrow(1, at[1], n):contiguous()) == bits(alone:output "out"))
      end
    end)
  end)

  it("from their text, in which a model of another precision finds them too", function ()
    local single = model_of(lurn.f32)
    local again = assert(lurn.f32.from_program(single:source_text()))
    assert.equal(single:source_text(), again:source_text())
    for i, p in ipairs(again:parameters()) do p.value:copy(single:parameters()[i].value) end
    again:touch()
    local one, two = single.native:player {infer = true}, again.native:player {infer = true}
    play(one, batch(lurn.f32, {1}, {5}))
    play(two, batch(lurn.f32, {1}, {5}))
    assert(bits(one:output "out") == bits(two:output "out"))
    local r = lurn.f32.gradcheck(single, function (l) return batch(l, {1, 2}, {2, 3}) end, {most = 10})
    assert(r.worst < 1e-6, r.worst)
  end)
end)

---------------------------------------------------------------------- across an image

describe("a layer across places", function ()
  local P, J = 2, 5                     -- numbers of a place, places
  local layers = {
    gru = function (l) return l.gru {hidden = 3, layers = 2} end,
    ["lstm, both ways"] = function (l) return l.lstm {hidden = 3, bidirectional = true} end,
    ["rnn, reversed, with an output of its own"] = function (l) return l.rnn {hidden = 3, out = 2, reverse = true} end,
    ["lstm, learned states"] = function (l) return l.lstm {hidden = 3, init_state = "learned"} end,
    ["conv_gru"] = function (l) return l.cells.conv_gru {hidden = 3, kernel = 1} end,
  }

  -- The same numbers as places of one frame, from left to right or downwards, and as steps of one place.
  local function pair (l, make, over)
    local h, w = over == "rows" and J or 1, over == "rows" and 1 or J
    local function model (dim, image, layer)
      return l.stack {input = {dim = dim}, loss = l.loss.mse {reduction = "sum"}, image, layer, l.flatten()}
    end
    return model(J * P, l.image(h, w, P), l.across(make(l), over)), model(P, l.image(1, 1, P), make(l))
  end

  for name, make in pairs(layers) do
    for _, over in ipairs {"columns", "rows"} do
      it(("has the bits of the same over time: %s, %s"):format(name, over), function ()
        for _, precision in ipairs {"f32", "f64"} do
          local l = lurn[precision]
          local across, along = pair(l, make, over)
          local one, other = across:parameters(), along:parameters()
          for i, p in ipairs(other) do
            assert.equal(p.path, one[i].path)
            if #p.path > 2 and not p.path:find "[hc]0$" then assert(bits(p.value) == bits(one[i].value), p.path) end
          end
          local numbers = {}
          for k = 1, J * P do numbers[k] = math.sin(3 * k + 1) end
          local x = l.tensor(numbers)
          local a, b = across.native:player {grad = true, grad_inputs = true}, along.native:player {grad = true,
            grad_inputs = true}
          local columns = name:find "both" and 6 or name:find "output" and 2 or 3
          play(a, l.batch {x = x:reshape(1, 1, J * P), y = l.zeros(1, 1, J * columns)})
          play(b, l.batch {x = x:reshape(J, 1, P), y = l.zeros(J, 1, columns)})
          assert(bits(a:output "out":reshape(J * columns)) == bits(b:output "out":reshape(J * columns)))
          a:backward()
          b:backward()
          local scale = J                         -- the mean over columns is taken in one frame, or in each
          local apart = (a:output "d:x":reshape(J * P) * scale - b:output "d:x":reshape(J * P)):abs():max()
          assert(apart < (precision == "f64" and 1e-12 or 1e-4), apart)
        end
      end)
    end
  end

  it("takes patches in the order of the image", function ()
    local l, out = lurn.f64, nil
    local model = l.model(function (_, b)
      out = l.flatten(l.patches(2, 2)(l.image(2, 4)(b.x)))
      return {out = out, loss = l.total(out)}
    end, {input = {dim = 8}})
    model:forward(l.batch {x = l.tensor {{{1, 2, 3, 4, 5, 6, 7, 8}}}})
    assert.same({1, 2, 5, 6, 3, 4, 7, 8}, model:output "out"[1][1]:totable())
  end)

  it("is no other layer, and is not pooled", function ()
    local l = lurn.f64
    assert.has_error(function () l.across(l.linear {size = 1}) end)
    assert.has_error(function () l.across(l.gru {hidden = 1, pool = "last"}) end)
    assert.has_error(function () l.across(l.gru {hidden = 1}, "diagonals") end)
  end)
end)

---------------------------------------------------------------------- what they are, what they refuse

describe("a convolution", function ()
  local l = lurn.f64

  local function out_of (f, x)
    local model = l.model(function (m, b)
      return {out = f(m, b.x), loss = l.total(b.x)}
    end, {input = {dim = x:size(3)}})
    model:forward(l.batch {x = x})
    return model:output "out"
  end

  it("cuts, surrounds and turns around the places of an image", function ()
    local x = l.tensor {{{1, 2, 3, 4, 5, 6}}}
    local function places (f)
      return out_of(function (_, c) return l.flatten(f(l.image(2, 3)(c))) end, x)[1][1]:totable()
    end
    assert.same({2, 3, 5, 6}, places(function (i) return l.crop(i, 1, 2, 2, 2) end))
    assert.same({4, 6}, places(function (i) return i:crop(2, 1, 1, 2, {1, 2}) end))
    assert.same({0, 1, 2, 3, 0, 4, 5, 6, 0, 0, 0, 0}, places(function (i) return l.pad2d(i, {0, 1, 1, 0}) end))
    assert.same({5, 6}, places(function (i) return l.max_pool2d(i, {size = 2, stride = 1}) end))
    assert.same({3, 4}, places(function (i) return l.avg_pool2d(i, {size = 2, stride = 1}) end))
  end)

  it("over time sees the last (k-1) d steps, or those around", function ()
    local x = l.tensor {{{1}}, {{2}}, {{3}}, {{4}}, {{5}}}
    local function weighed (o)
      o.size, o.init = 1, {W = {"constant", 1}}
      return out_of(function (m, c) return m:apply(l.conv1d(o), c) end, x):reshape(5):totable()
    end
    assert.same({1, 2, 4, 6, 9}, weighed {kernel = 3, dilation = 2})
    assert.same({3, 6, 9, 12, 9}, weighed {kernel = 3, causal = false})
    assert.same({1, 2, 3, 4, 5}, weighed {kernel = 1})
  end)

  it("over time keeps the taps of every step, not all that it remembers", function ()
    local model = l.stack {input = {dim = 4}, loss = l.loss.mse(), l.conv1d {size = 4, kernel = 2, dilation = 100},
      l.conv1d {size = 4, kernel = 2, dilation = 100}}
    local T, B = 50, 3
    local bytes = model.native:player {grad = true, carry = false}:plan(T, B)
    assert(bytes < T * B * 100 * 4 * 8, bytes)
  end)

  it("has weights that are computed, in another shape and scaled", function ()
    local model = l.model(function (m, b)
      local w = l.reshape(m:param("w", {6, 4}), 2, 1, 3, 4) / 2
      return {loss = l.total(l.conv2d(l.image(2, 2, 3)(b.x), w, {padding = {1, 0}})^2)}
    end, {input = {dim = 12}})
    local numbers = {}
    for k = 1, 24 do numbers[k] = math.sin(k) end
    assert(l.gradcheck(model, l.batch {x = l.tensor(numbers):reshape(2, 1, 12)}).worst < 1e-6)
  end)

  it("of one tap is a linear layer at each place", function ()
    local outs = {}
    for k, layer in ipairs {l.conv2d {size = 3, kernel = 1}, l.linear {size = 3, name = "conv2d"}} do
      local model = l.stack {input = {dim = 8}, loss = l.loss.mse(), l.image(2, 2), layer, l.flatten()}
      for _, p in ipairs(model:parameters()) do
        local flat = p.value:reshape(p.value:numel())
        for j = 1, #flat do flat[j] = math.sin(j + #flat) end
      end
      model:touch()
      local x = l.tensor {{{1, 2, 3, 4, 5, 6, 7, 8}}}
      model:forward(l.batch {x = x, y = l.zeros(1, 1, 12)})
      outs[k] = bits(model:output "out")
    end
    assert(outs[1] == outs[2])
  end)

  it("says what does not fit", function ()
    local function refuses (text, dim, ...)
      local ok, message = pcall(l.stack, {input = {dim = dim}, ...})
      assert(not ok and tostring(message):find(text, 1, true), tostring(message))
    end
    refuses("lurn.conv2d: expected images (h,w,c), got symbol time (12) real", 12, l.conv2d {size = 1})
    refuses("lurn.image: 12 columns are no image (2,3,3)", 12, l.image(2, 3, 3))
    refuses("a kernel that reaches 5 places does not fit into 4", 12, l.image(4, 3), l.conv2d {size = 1, dilation = 2})
    refuses("padding 3: nothing but zeros under a kernel that reaches 3 places", 12, l.image(4, 3),
      l.conv2d {size = 1, padding = 3})
    refuses("a window of 5 x 5 does not fit into an image of 4 x 3", 12, l.image(4, 3), l.max_pool2d(5))
    refuses("lurn.cells.conv_gru: expected images (h,w,c)", 12, l.cells.conv_gru {hidden = 1})
    refuses("lurn.conv1d: expected vectors over time", 12, l.image(4, 3), l.conv1d {size = 1})
    refuses("conv2d1 has no parameter 'Wx'", 12, l.image(4, 3), l.conv2d {size = 1, init = {Wx = 0}})
    refuses("crop: 3 x 1 places from (3,1) on, (1,1) apart, are not all in time (4, 3, 1) real", 12, l.image(4, 3),
      function (x) return l.crop(x, 3, 1, 3, 1) end)
    refuses("crop: 3 x 1 places from (2147483648,1) on, (1,1) apart, are not all in time (4, 3, 1) real", 12,
      l.image(4, 3), function (x) return x.program:write("crop", {x}, 0, {2^31 - 1 | 0, 0, 1, 1, 3, 1}) end)
    for options, text in pairs {[{size = 1, kernel_size = 3}] = "unknown option 'kernel_size', did you mean 'kernel'?",
      [{size = 1, kernel = 0}] = "option 'kernel' must be between 1", [{size = 1, padding = "valid"}] = "one of same",
      [{kernel = 3}] = "option 'size' is missing"} do
      assert.has_error(function ()
        local ok, message = pcall(l.conv2d, options)
        if not ok then error(tostring(message):find(text, 1, true) and "refused" or message, 0) end
      end, "refused")
    end
  end)
end)
