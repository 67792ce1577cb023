-- Connectionist temporal classification: PyTorch's numbers (to 1e-8, in f64), the definition written out, and a small
-- network that learns to spell.
local lurn = require "lurn"
local torch = require "torch_helper"

local function fixture ()
  local l = lurn.f64
  local folder = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$"
  local file <close> = assert(l.h5.open(folder .. "fixtures/torch_ctc.h5"))
  local t = {}
  for _, key in ipairs(file:list "/") do t[key] = assert(file:read("/" .. key)) end
  return t
end

-- The fixture's labels, as many per row as it says, and 0 behind them; a row without has one of 0.
local function labels_of (t)
  local rows, lengths = {}, {}
  for r, n in ipairs(t.count) do
    lengths[r] = math.max(1, n)
    for j, id in ipairs(t.labels[r]) do
      rows[j] = rows[j] or {}
      rows[j][r] = j <= n and id + 1 or 0         -- Lua counts from 1
    end
  end
  return rows, lengths
end

local function batch_of (l, t, rows, lengths)
  return l.batch {x = t.logits, w = t.weight:reshape(t.weight:numel(), 1), lengths = t.lengths,
    time2 = {labels = l.ids(rows), lengths = lengths}}
end

local function model_of (l, t, o, weighted)
  return l.model(function (m)
    local x = m:input("x", "real", "time", {t.logits.shape[3]})
    if not weighted then return {loss = (l.loss.ctc(o):build(m, x))} end
    local labels = m:input("labels", "index", "time2", {1})
    local cost = m.program:write("ctc", {l.log_softmax(x), labels}, 0, {0, o.zero_infinity and 1 or 0})
    return {loss = l.total(cost * m:input("w", "real", "row", {1})), cost = cost}
  end)
end

describe("ctc", function ()
  local l, t = lurn.f64, fixture()
  local rows, lengths = labels_of(t)
  local b = batch_of(l, t, rows, lengths)

  local function close (got, want, limit)
    assert(math.abs(got - want) <= limit * math.max(1, math.abs(want)), ("%.17g, expected %.17g"):format(got, want))
  end

  local function check_gradient (player, want)
    local dx = player:output "d:x"
    for place, row in ipairs(b.order) do
      for s = 1, b.lengths[place] do
        assert(torch.difference(dx[s][place], want[s][row]) < 1e-8)
      end
    end
  end

  it("costs what PyTorch says, row by row", function ()
    local player = model_of(l, t, {}, true).native:player {}
    assert(player:forward(b, 1, 0, "eval"))
    local cost = player:output "cost"
    for place, row in ipairs(b.order) do
      if t.none[row] == math.huge then assert.equal(math.huge, cost[place][1])
      else close(cost[place][1], t.none[row], 1e-8) end
    end
  end)

  it("has PyTorch's gradient, of a weighted sum and of the mean", function ()
    for name, weighted in pairs {weighted = true, mean = false} do
      local player = model_of(l, t, {zero_infinity = true}, weighted).native:player {grad = true, grad_inputs = true}
      close(assert(player:forward(b, 1, 0, "eval")), t[name], 1e-8)
      assert(player:backward())
      check_gradient(player, t["d" .. name])
    end
  end)

  -- Every way to lay the labels along the frames, one by one.
  it("is the sum over all paths that spell the labels", function ()
    local T, C, spelled = 5, 3, {2, 3}
    local x = {}
    for s = 1, T do
      x[s] = {}
      for c = 1, C do x[s][c] = math.sin(s * 3.1 + c * c) end
    end
    local logits = l.tensor(x)
    local y, total = l.log_softmax(logits):totable(), 0.0
    local function walk (s, path, p)
      if s <= T then
        for c = 1, C do
          path[s] = c
          walk(s + 1, path, p + y[s][c])
        end
        return
      end
      local out = {}
      for i, c in ipairs(path) do if c ~= 1 and c ~= path[i - 1] then out[#out + 1] = c end end
      if table.concat(out, " ") == table.concat(spelled, " ") then total = total + math.exp(p) end
    end
    walk(1, {}, 0)
    local model = l.model(function (m)
      return {loss = (l.loss.ctc {reduction = "sum"}:build(m, m:input("x", "real", "time", {C})))}
    end)
    local batch = l.batch {x = logits:reshape(T, 1, C), time2 = {labels = l.ids {{2}, {3}}}}
    local loss = assert(model.native:player {}:forward(batch, 1, 0, "eval"))
    close(loss, -math.log(total), 1e-12)
  end)

  -- d(-ln p) / dx_t(k) = softmax(x_t)_k - what the places of class k have in frame t.
  it("has a gradient made of the shares that labels have in the frames", function ()
    local alignment = require "lurn.alignment"
    local T, C, spelled = 9, 4, {2, 2, 3, 2}
    local x = {}
    for s = 1, T do
      x[s] = {}
      for c = 1, C do x[s][c] = 2 * math.sin(s * 3.1 + c * c) end
    end
    local logits = l.tensor(x)
    local shares, p = alignment.shares(logits:log_softmax():totable(), spelled, 1)
    local model = l.model(function (m)
      return {loss = (l.loss.ctc {reduction = "sum"}:build(m, m:input("x", "real", "time", {C})))}
    end)
    local player = model.native:player {grad = true, grad_inputs = true}
    local batch = l.batch {x = logits:reshape(T, 1, C), time2 = {labels = l.ids {{2}, {2}, {3}, {2}}}}
    close(assert(player:forward(batch, 1, 0, "eval")), -p, 1e-12)
    assert(player:backward())
    local dx, soft = player:output "d:x":reshape(T, C):totable(), logits:softmax():totable()
    for s = 1, T do
      local of = {1, 0, 0, 0}
      for k, id in ipairs(spelled) do of[id], of[1] = of[id] + shares[k][s], of[1] - shares[k][s] end
      for c = 1, C do close(dx[s][c], soft[s][c] - of[c], 1e-12) end
    end
    assert.is_nil((alignment.shares({{0, 0, 0}}, {2, 3}, 1)))
    assert.same({{}, 0}, {alignment.shares({{0, 0}}, {}, 1)})
  end)

  it("refuses a blank that is no class, labels that are none, labels on the same axis", function ()
    local function build (axis, blank)
      return function ()
        l.model(function (m)
          local x = m:input("x", "real", "time", {3})
          return {loss = l.total(m.program:write("ctc", {x, m:input("labels", "index", axis, {1})}, 0, {blank, 0}))}
        end)
      end
    end
    assert.has_error.matches(build("time2", 3), "the blank is class 4 of 3")
    assert.has_error.matches(build("time", 0), "labels along another time axis")
    build("time2", 0)()
    local model = l.model(function (m) return {loss = (l.loss.ctc():build(m, m:input("x", "real", "time", {3})))} end)
    assert.has_error.matches(function ()
      model:forward(l.batch {x = l.zeros(4, 1, 3), time2 = {labels = l.ids {{4}}}})
    end, "labels: index 4 is out of range")
    local function made (label)
      return l.model(function (m)
        local p, x = m.program, l.log_softmax(m:input("x", "real", "time", {3}))
        local labels = p:emit("ifill", nil, nil, nil, 0, label, 4)         -- along time2
        return {loss = l.total(p:write("ctc", {x, labels}, 0, {0, 0}))}
      end)
    end
    assert.has_error.matches(function () made(3) end, "a class for every label")
    local said = l.batch {x = l.zeros(4, 1, 3), time2 = {labels = l.ids {{3}}}}
    assert.equal(assert(model:forward(said)), assert(made(2):forward(said)))
  end)
end)
