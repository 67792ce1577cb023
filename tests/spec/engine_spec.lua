-- What the engine promises beyond right numbers: the same bits whoever plays and however time is cut (rows alone, the
-- twin and schedules: table_spec.lua), and steps that are transactions.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "engine_helper"

local D, H, K = h.D, h.H, h.K
local row, batch, window, makers, model_of = h.row, h.batch, h.window, h.makers, h.model_of
local values, gradient_norm, learn, distance = h.values, h.gradient_norm, h.learn, h.distance

local function each (f)
  for _, precision in ipairs {"f32", "f64"} do
    for name in pairs(makers) do f(lurn[precision], name) end
  end
end

local function play (player, b, purpose)
  local loss = assert(player:forward(b, 1, 0, purpose or "eval"))
  player:commit()
  return loss
end

describe("the same bits", function ()
  it("step by step as at once", function ()
    each(function (l, name)
      local model = model_of(l, name)
      local player = model.native:player {}
      play(player, batch(l, {7}))
      local whole, stream = player:output "out", model:stream()
      for t, frame in ipairs(row(1, 7, D, 1)) do
        assert(bits(stream:step(frame)) == bits(whole[t][1]), name .. " at step " .. t)
      end
      assert(bits(stream:state()) == bits(player:state()))
    end)
  end)

  it("step by step as at once, of ids", function ()
    for _, l in ipairs {lurn.f32, lurn.f64} do
      local model = l.stack {input = {vocab = 9}, l.embedding {size = 4}, l.gru {hidden = H, layers = 2, dropout = 0.5},
        l.linear {size = 9}, loss = l.loss.cross_entropy()}
      local ids = {3, 1, 9, 0, 4, 4, 8}
      local player, stream = model.native:player {infer = true}, model:stream()
      play(player, l.batch {x = l.ids(ids)})
      local whole = player:output "out"
      for t, id in ipairs(ids) do assert(bits(stream:step(id)) == bits(whole[t][1])) end
    end
  end)

  it("in carried windows as in one long window", function ()
    each(function (l, name)
      local model = model_of(l, name)
      local long, short = model.native:player {}, model.native:player {}
      play(long, window(l, 1, 9))
      local out = long:output "out"
      for _, w in ipairs {{1, 3}, {4, 4}, {5, 9}} do
        play(short, window(l, w[1], w[2], {carry = w[1] > 1}))
        assert(bits(short:output "out") == bits(out:narrow(1, w[1], w[2] - w[1] + 1):contiguous()), name)
      end
      assert(bits(short:state()) == bits(long:state()))
    end)
  end)

  it("after a reset as from the start, and a NaN before it stays behind", function ()
    each(function (l, name)
      local model = model_of(l, name)
      local b = window(l, 1, 9)
      local x, y, reset = b.x, b.y, l.zeros(9, 3)
      reset[4][1], reset[6][3] = 1, 1
      x[2][1] = 0 / 0
      local player = model.native:player {grad = true, grad_inputs = true, reset = true}
      play(player, l.batch {x = x, y = y, reset = reset})
      player:backward()
      local out, dx = player:output "out", player:output "d:x"
      for r, from in pairs {[1] = 4, [2] = 1, [3] = 6} do
        local fresh, n = model.native:player {grad = true, grad_inputs = true}, 10 - from
        play(fresh, l.batch {x = x:narrow(1, from, n):narrow(2, r, 1), y = y:narrow(1, from, n):narrow(2, r, 1)})
        fresh:backward()
        for t = 1, n do
          assert(bits(out[from + t - 1][r]) == bits(fresh:output "out"[t][1]), name .. ": outputs")
          assert(bits(dx[from + t - 1][r]) == bits(fresh:output "d:x"[t][1]), name .. ": input gradients")
        end
      end
      local cut = model.native:player {grad = true, grad_inputs = true}        -- nothing flows back across a reset
      play(cut, l.batch {x = x:narrow(1, 1, 5):narrow(2, 3, 1), y = y:narrow(1, 1, 5):narrow(2, 3, 1)})
      cut:backward()
      for t = 1, 5 do assert(bits(dx[t][3]) == bits(cut:output "d:x"[t][1]), name .. ": before the reset") end
    end)
  end)
end)

describe("reset flags that are none", function ()
  it("are refused before anybody reads them", function ()
    local l = lurn.f64
    local model = model_of(l, "gru")
    local player = model.native:player {reset = true}
    local b, other = window(l, 1, 9), {source = l.zeros(2, 3, 1), reset = l.zeros(2, 3)}
    for why, more in pairs {
      ["'reset': the model expects time %(1%) real, got time %(1%) index"] = {reset = l.ids(9, 3)},
      ["'reset': the model expects time %(1%) real, got time2 %(1%) real"] = {time2 = other},
    } do
      more.x, more.y = b.x, b.y
      assert.error_matches(function () player:forward(l.batch(more), 1, 0, "eval") end, why)
    end
  end)
end)

---------------------------------------------------------------------- instruction sets, engines

-- Dropout, embedding, several steps, weights and everything on the way. dice: a schedule drawn by lot.
local function train (l, steps, rule, dice)
  local model = l.stack {input = {vocab = 17}, l.embedding {size = 11}, l.lstm {hidden = 19, layers = 2, dropout = 0.2},
    l.gru {hidden = 5, weight_drop = 0.1}, l.linear {size = 17}, loss = l.loss.cross_entropy()}
  model.info.dice = dice
  local optim = l.optim[rule or "adam"](model, {lr = 0.02, clip_norm = 1})
  local seen = {}
  for step = 1, steps do
    local x, y = {}, {}
    for t = 1, 9 do
      x[t], y[t] = {}, {}
      for r = 1, 14 do x[t][r], y[t][r] = (step * 5 + t * r) % 17 + 1, (step + t * 3 + r) % 18 end
    end
    local lengths = {9, 9, 9, 8, 8, 8, 7, 4, 4, 4, 4, 2, 2, 1}      -- rows enough to be shared among threads
    seen[#seen + 1] = model:forward(l.batch {x = l.ids(x), y = l.ids(y), lengths = lengths, carry = step > 1})
    model:backward()
    seen[#seen + 1] = optim:step()
    seen[#seen + 1] = model:output()
  end
  for _, p in ipairs(model:parameters()) do seen[#seen + 1] = p.value end
  return seen
end

-- Whatever happens in f, the kernels, the engine and the threads are those from before.
local function restoring (l, f)
  local isa, blas, threads = l.core.isa(), l.core.engine(), l.core.threads()
  local ok, message = pcall(f)
  l.core.isa(isa)
  l.core.engine(blas)
  l.core.threads(threads)
  if not ok then error(message, 0) end
end

describe("an instruction set", function ()
  for _, precision in ipairs {"f32", "f64"} do
    local l = lurn[precision]
    it("changes no bit of five training steps in " .. precision, function ()
      restoring(l, function ()
        local _, list = l.core.isa()
        l.core.engine "lurn"
        local first
        for _, name in ipairs(list) do
          assert.equal(name, (l.core.isa(name)))
          local seen = bits(train(l, 5))
          assert(seen == (first or seen), name .. " has other bits than " .. list[1])
          first = seen
        end
        assert.equal("c", list[1])
      end)
    end)
  end

  it("that is not there is named", function ()
    assert.has_error(function () lurn.core.isa "sse9" end)
  end)
end)

-- Work as small as this wakes no thread by default; schedules drawn by lot ask for them.
describe("threads", function ()
  it("know when there are more of them than processors", function ()
    for _, l in ipairs {lurn.f32, lurn.f64} do
      restoring(l, function ()
        local _, crowd = l.core.threads(1)
        assert.is_nil(crowd)
        _, crowd = l.core.threads(l.sys.cpus() + 1)
        assert.equal("own", crowd)
        train(l, 1)
        _, crowd = l.core.threads()
        assert.equal("own", crowd)
      end)
    end
  end)

  for _, precision in ipairs {"f32", "f64"} do
    local l = lurn[precision]
    it("change no bit of five training steps in " .. precision, function ()
      restoring(l, function ()
        l.core.engine "lurn"
        local first
        for _, n in ipairs {1, 2, 3} do
          assert.equal(n, l.core.threads(n))
          for _, dice in ipairs {0, 1, 2, 3} do
            local seen = bits(train(l, 5, "adam", dice > 0 and dice or nil))
            assert(seen == (first or seen), ("%d threads, schedule %d: other bits"):format(n, dice))
            first = seen
          end
        end
      end)
    end)
  end
end)

-- Plain gradient descent: Adam divides by the size of a gradient, and so makes much of a small difference.
describe("the engine openblas", function ()
  for precision, limit in pairs {f32 = 1e-4, f64 = 1e-12} do
    local l = lurn[precision]
    it("agrees in " .. precision, function ()
      restoring(l, function ()
        l.core.engine "lurn"
        local own = train(l, 5, "sgd")
        assert.equal("openblas", l.core.engine "openblas")
        for i, x in ipairs(train(l, 5, "sgd")) do
          assert(distance(x, own[i]) <= limit, ("%d: off by %g"):format(i, distance(x, own[i])))
        end
      end)
    end)

    it("may change places with the other while a player is in use, in " .. precision, function ()
      restoring(l, function ()
        local model = model_of(l, "lstm")
        local function loss (player, engine)
          l.core.engine(engine)
          return assert(player:forward(window(l, 1, 5), 1, 0, "eval"))
        end
        local player = model.native:player {grad = true}
        local other = loss(player, "openblas")
        assert(math.abs(loss(player, "lurn") - other) <= limit)
        assert.equal(loss(model.native:player {grad = true}, "lurn"), loss(player, "lurn"))
        local function gradient (forward, backward)
          local fresh = model.native:player {grad = true}
          loss(fresh, forward)
          l.core.engine(backward)
          assert(fresh:backward())
          return model:parameters()[1].grad:clone()
        end
        local own = gradient("lurn", "lurn")
        assert(distance(gradient("openblas", "lurn"), own) <= limit)
      end)
    end)
  end
end)

---------------------------------------------------------------------- what is not finite

describe("a value that is not finite", function ()
  local l = lurn.f32

  local function broken (fields)
    local b = window(l, 1, 5)
    local x, y = b.x, b.y
    fields(x, y)
    return l.batch {x = x, y = y, carry = true}
  end

  it("is traced to the parameter", function ()
    local model = model_of(l, "lstm")
    model:parameters()[3].value[2] = 0 / 0
    model:touch()
    local loss = model:forward(window(l, 1, 5))
    assert(loss ~= loss)
    assert.matches("parameter " .. model:parameters()[3].path:gsub("%p", "%%%0"), model:blame())
  end)

  it("is traced to the input", function ()
    local model = model_of(l, "lstm")
    model:forward(broken(function (x) x[3][2][1] = 1 / 0 end))
    assert.matches("the batch's 'x' is not finite", model:blame())
    model:forward(broken(function (_, y) y[3][2][1] = 0 / 0 end))
    assert.matches("the batch's 'y' is not finite", model:blame())
  end)

  it("is traced to the layer and the time where it appeared", function ()
    local model = l.stack {input = {dim = D}, l.lstm {hidden = 2}, l.rnn {hidden = 2, activation = "relu"},
      loss = l.loss.mse()}
    local fill = {["rnn1.Wh"] = 1e20, ["rnn1.b"] = 1}
    for _, p in ipairs(model:parameters()) do if fill[p.path] then p.value:fill(fill[p.path]) end end
    model:touch()
    local x = l.zeros(4, 1, D)
    assert(model:forward(l.batch {x = x, y = l.zeros(4, 1, 2)}) == math.huge)
    local sentence = model:blame()
    assert.matches("forward pass", sentence)
    assert.matches("rnn1", sentence)
    assert.matches("step 3, row 1", sentence)
  end)

  it("is traced into the backward pass", function ()
    local model = l.model(function (m)
      local x = m:input("x", "real", "time", {D})
      return {loss = l.total(l.sqrt(x * m:param("w", {D}, 1)))}
    end)
    assert(model:forward(l.batch {x = l.zeros(2, 1, D)}) == 0)
    model:backward()
    assert(gradient_norm(model) ~= gradient_norm(model))
    assert.matches("backward pass: div", model:blame())
  end)

  it("is not seen where there is none", function ()
    local model = model_of(l, "lstm")
    model:forward(window(l, 1, 5))
    model:backward()
    assert.is_nil(model:blame())
  end)

  for name in pairs(makers) do
    it("changes no bit of what was committed, in " .. name, function ()
      local one, two = model_of(l, name), model_of(l, name)
      local first, second = l.optim.adam(one, {clip_norm = 1}), l.optim.adam(two, {clip_norm = 1})
      for k = 1, 2 do
        learn(one, first, window(l, k, k + 4, {carry = k > 1}))
        learn(two, second, window(l, k, k + 4, {carry = k > 1}))
      end
      local before = bits {values(one), first:save(), one:state(), {one.step_count}}
      local norm = learn(one, first, broken(function (x) x[3][2][1] = 0 / 0 end))
      assert(norm ~= norm)
      assert(bits {values(one), first:save(), one:state(), {one.step_count}} == before)
      for k = 3, 4 do
        learn(one, first, window(l, k, k + 4, {carry = true}))
        learn(two, second, window(l, k, k + 4, {carry = true}))
      end
      assert(bits {values(one), first:save(), one:state()} == bits {values(two), second:save(), two:state()})
    end)
  end

  it("behind a mask of zero does no harm", function ()
    for _, loss in ipairs {"mse", "bce"} do
      local model = l.stack {input = {dim = D}, l.lstm {hidden = H}, l.linear {size = K}, mask = true,
        loss = l.loss[loss]()}
      local b, mask = window(l, 1, 5), l.ones(5, 3)
      local y = b.y
      mask[2][3] = 0
      y[2][3] = 0 / 0
      local loss_value = model:forward(l.batch {x = b.x, y = y, mask = mask})
      assert(loss_value == loss_value)
      model:backward()
      assert(gradient_norm(model) < math.huge, loss .. ": a gradient is not finite")
    end
  end)
end)

describe("a step", function ()
  it("that is rolled back has never happened", function ()
    local l = lurn.f64
    local model = model_of(l, "lstm")
    learn(model, l.optim.sgd(model), window(l, 1, 4))
    local before = bits(model:state())
    model:forward(window(l, 5, 8, {carry = true}))
    local once = bits(model:output())
    assert(bits(model:state()) == before)
    model:rollback()
    model:forward(window(l, 5, 8, {carry = true}))
    assert(bits(model:output()) == once)
  end)

  it("that was refused has cleared no state", function ()
    local l = lurn.f64
    local model = model_of(l, "lstm")
    learn(model, l.optim.sgd(model), window(l, 1, 4))
    model:forward(window(l, 5, 8, {carry = true}))
    local once = bits(model:output())
    model:rollback()
    assert.is_false(pcall(model.forward, model, l.batch {x = l.zeros(2, 1, D)}))
    model:forward(window(l, 5, 8, {carry = true}))
    assert(bits(model:output()) == once)
  end)

  it("is over when a larger plan takes its place", function ()
    local l = lurn.f64
    local model = model_of(l, "lstm")
    model:forward(window(l, 1, 4))
    model:plan(20, 8)
    local ok, message = pcall(model.backward, model)
    assert.is_false(ok)
    assert(message:find("without a forward pass", 1, true))
    assert.is_nil(model:output())
    assert.is_nil(model:blame())
  end)

  it("goes on after a plan for which there is no memory", function ()
    local l = lurn.f64
    local model = model_of(l, "lstm")
    learn(model, l.optim.sgd(model), window(l, 1, 4))
    local before = bits(model:state())
    local ok, message = pcall(model.plan, model, 1 << 14, 1 << 16)
    if not ok then assert(message:find("no memory", 1, true)) end     -- some systems promise any memory
    model:rollback()
    assert(bits(model:state()) == before)
    model:forward(window(l, 5, 8, {carry = true}))
    model:backward()
  end)

  it("has room for the states of many layers", function ()
    local l = lurn.f64
    local model = l.stack {input = {dim = D}, l.lstm {hidden = 2, layers = 20}, l.linear {size = K},
      loss = l.loss.mse()}
    learn(model, l.optim.sgd(model), window(l, 1, 4))
    local n = 0
    for _ in pairs(model:state()) do n = n + 1 end
    assert.equal(40, n)
  end)

  it("draws its dropout from seed, step and place alone", function ()
    local l = lurn.f32
    local function of (seed, step, purpose)
      local model = l.stack {input = {dim = D}, l.dropout(0.5), l.linear {size = K}}
      local player = model.native:player {}
      assert(player:forward(window(l, 1, 5), seed, step, purpose))
      return bits(player:output "out")
    end
    assert.equal(of(1, 1, "train"), of(1, 1, "train"))
    assert.not_equal(of(1, 1, "train"), of(1, 2, "train"))
    assert.not_equal(of(1, 1, "train"), of(2, 1, "train"))
    assert.equal(of(1, 1, "eval"), of(2, 2, "eval"))
    assert.not_equal(of(1, 1, "eval"), of(1, 1, "train"))
  end)
end)

describe("misuse has one message:", function ()
  local l = lurn.f64
  local model = model_of(l, "lstm")

  local function refuses (words, f)
    local ok, message = pcall(f)
    assert.is_false(ok)
    assert(tostring(message):find(words, 1, true), ("expected %q in %q"):format(words, tostring(message)))
  end

  local function forward (fields) return function () model:forward(l.batch(fields)) end end

  it("a batch that does not fit the model", function ()
    refuses("'x': the model expects time (3) real, got time (4) real",
      forward {x = l.zeros(5, 2, 4), y = l.zeros(5, 2, K)})
    refuses("'x': the model expects time (3) real, got time (1) index", forward {x = l.ids {{1}}, y = l.zeros(1, 1, K)})
    refuses("'y': the model expects time (2) real, got row (2) real (one a sequence, not one a step)",
      forward {x = l.zeros(5, 2, D), y = l.zeros(2, K)})
    refuses("asks for 'y'", forward {x = l.zeros(5, 2, D)})
    refuses("y: expected (5,2,K)", forward {x = l.zeros(5, 2, D), y = l.zeros(4, 2, K)})
    refuses("is empty", forward {x = l.zeros(0, 2, D)})
    refuses("from 1 to 5, got 6", forward {x = l.zeros(5, 2, D), y = l.zeros(5, 2, K), lengths = {6, 1}})
    refuses("batch expected, got table", function () model:forward {} end)
    refuses("batch expected", function () model:forward(batch(lurn.f32, {3})) end)
  end)

  it("an id that there is not", function ()
    local ids = l.stack {input = {vocab = 5}, l.embedding {size = 2}, l.linear {size = 5},
      loss = l.loss.cross_entropy()}
    refuses("x: index 6 is out of range", function () ids:forward(l.batch {x = l.ids {6}, y = l.ids {1}}) end)
    refuses("y: index 6 is out of range", function () ids:forward(l.batch {x = l.ids {5}, y = l.ids {6}}) end)
    assert.equal(0, ids:forward(l.batch {x = l.ids {5}, y = l.ids {0}}))
  end)

  it("things out of order", function ()
    refuses("backward without a forward", function () model_of(l, "rnn"):backward() end)
    refuses("cannot carry on the state of 1 rows", function ()
      model:forward(batch(l, {3}))
      model:commit()
      model:forward(batch(l, {3, 3}, {carry = true}))
    end)
    refuses("no step was made", function () model:stream():sample() end)
    refuses("of a finished model", function ()
      local program
      local none = l.model(function (m)
        program = program or m.program
        return {loss = l.total(m:input("x", "real", "time", {D}))}
      end)
      program:param("late", {1000})
      none:forward(batch(l, {3}))
    end)
    local rows = {}
    for r = 1, 3 do rows[r] = {x = l.zeros(r, D), y = l.zeros(r, K)} end
    local feed = l.dataset(rows).train:feed {batch = 2, shuffle = false}
    model:forward(feed:batch(1, 1))
    feed:batch(1, 2)
    refuses("its feed has made another one", function () model:backward() end)
    refuses("its feed has made another one", function () model:output() end)
    local player = model.native:player {}
    player:close()
    refuses("closed", function () player:forward(batch(l, {3}), 1, 0, "eval") end)
    refuses("without gradients", function ()
      local eval = model.native:player {}
      eval:forward(batch(l, {3}), 1, 0, "eval")
      eval:backward()
    end)
  end)

  it("a state that is none of the model", function ()
    model:forward(batch(l, {3, 3}))
    model:commit()
    local state = model:state()
    local before = bits(state)
    local function with (key, value)
      local copy = {}
      for k, v in pairs(state) do copy[k] = v end
      copy[key] = value
      return function () model:setstate(copy) end
    end
    refuses("no state 'k'", with("k", l.zeros(2, H)))
    refuses("'lstm1.h': expected reals (B, 6)", with("lstm1.h", l.zeros(2, 5)))
    refuses("'lstm1.h': expected reals (B, 6)", with("lstm1.h", l.ids {{1, 2, 3, 4, 5, 6}}))
    refuses("like the others, got 3", with("lstm2.h", l.zeros(3, H)))
    refuses("'lstm1.c' is missing", with("lstm1.c", nil))
    assert(bits(model:state()) == before)
    model:setstate(state)
    assert(bits(model:state()) == before)
    model:setstate {}
    assert.same({}, model:state())
  end)

  it("a plan beyond counting", function ()
    refuses("frames", function () model:plan(1 << 27, 1 << 20) end)
  end)

  it("a name that the engine's own begin with", function ()
    local p = l.core.program()
    refuses("input 'state:q': names that begin with 'state:'", function () p:input("state:q", "real", "row", {1}) end)
    local x = p:input("x", "real", "row", {1})
    refuses("output 'd:w': names that begin with 'd:'", function () p:output("d:w", x) end)
    assert.is_nil(p:scan("a"))                     -- no symbol: it has no value
    assert.is_nil(p:close())
  end)
end)

describe("a schedule", function ()
  it("names its units: calls, lists of products, strips of maps, loops", function ()
    local units = {}
    for word in ("\n" .. model_of(lurn, "lstm"):player():schedule()):gmatch "\n *(%l+)%f[ \n]" do units[word] = true end
    for _, word in ipairs {"call", "list", "strip", "loop"} do assert.is_true(units[word], word) end
  end)
end)

describe("a name", function ()
  -- Of two weights and two states whose names end differently, and nowhere else: each has what is its own.
  it("may be 95 bytes long", function ()
    local w, s, text = ("w"):rep(94), ("s"):rep(94), {"lurn program 1"}
    local function add (...) text[#text + 1] = string.format(...) end
    for i = 1, 2 do add("param r%d %s%d (1) 0 0 0", i, w, i) end
    add("input r3 x real time (1)")
    add("r4 = fill [0 1 1]")
    for i = 1, 2 do
      add("scan forward %s%d\n state r%d h from r4\n r%d = add r%d r3 [0 0 0]\n next h r%d\nend", s, i, 4 + i, 6 + i,
        4 + i, 6 + i)
    end
    add("r9 = mul r7 r1 [0 0 0]\nr10 = mul_imm r8 [3 0 0]\nr11 = detach r2 [0 0 0]\nr12 = mul r10 r%s [0 0 0]", "%d")
    add("r13 = add r9 r12 [0 0 0]\nr14 = total r13 [0 0 0]\noutput loss r14\noutput out r13\n")
    for second, want in pairs {[2] = 21, [11] = 0} do         -- with a gradient, and without one
      local model = assert(lurn.from_program((table.concat(text, "\n"):gsub("%%d", second))))
      for i = 1, 2 do
        model:forward(lurn.batch {x = lurn.tensor {{{1}}, {{1}}}, carry = i > 1})
        model:backward()
      end
      local list = model:parameters()
      assert.same({{7}, {want}}, {list[1].grad:totable(), list[2].grad:totable()})
      model.train_player:commit()
      assert.same({[s .. "1.h"] = {{4}}, [s .. "2.h"] = {{4}}}, {[s .. "1.h"] = model:state()[s .. "1.h"]:totable(),
        [s .. "2.h"] = model:state()[s .. "2.h"]:totable()})
    end
  end)
end)
