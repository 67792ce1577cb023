-- Two time axes: an encoder's steps and a decoder's, each with lengths and an order of rows of its own. Gradients and
-- schedules: table_layers.lua, "that reads another axis".
local lurn = require "lurn"
local bits = require "bits_helper"

local D, S, H = 3, 2, 4
local LENGTHS, LENGTHS2 = {2, 5, 3}, {4, 1, 6}

local function wave (l, seed, ...)
  local n, list = 1, {}
  for _, d in ipairs {...} do n = n * d end
  for i = 1, n do list[i] = math.sin(seed + 1.7 * i * i + 0.3 * i) end
  return l.tensor(list):reshape(...)
end

-- An encoder both ways, and a decoder that starts from its end and attends to all of it, with and without u.
local function translator (l, learned)
  return l.model(function (m)
    local x, s = m:input("x", "real", "time", {D}), m:input("s", "real", "time2", {S})
    local memory = m:apply(l.gru {hidden = H, bidirectional = true}, s)
    local u = learned and m:param("u", {2 * H}, {"normal", 0, 1}) or nil
    local first = l.tanh(l.last(memory) % m:param("start", {2 * H, H}))
    local p = m.program
    p:scan("decoder", false, x.axis)
    local h = p:state("h", first)
    local query = p:affine("q", nil, 2 * H, nil, 0, {h, "W"})
    local seen = l.attend(query, memory, memory, u)
    local y = l.tanh(p:affine("decoder", nil, H, "b", 0, {x, "Wx"}, {h, "Wh"}, {seen, "Wc"}))
    p:next(h, y)
    p:close()
    return {loss = l.total(y * y * 0.5 + y), out = y, memory = memory, row = l.last(memory)}
  end)
end

local function batch_of (l, x, s, lengths, lengths2)
  return l.batch {x = x, lengths = lengths, time2 = {s = s, lengths = lengths2}}
end

local function batch (l) return batch_of(l, wave(l, 1, 5, 3, D), wave(l, 2, 6, 3, S), LENGTHS, LENGTHS2) end

describe("a second time axis", function ()
  it("is shown in the order of the batch's rows", function ()
    local b = batch(lurn)
    assert.same({5, 3, 2}, b.lengths)
    assert.same({1, 6, 4}, b.lengths2)
    local s = wave(lurn, 2, 6, 3, S)
    for place, row in ipairs(b.order) do
      for t = 1, LENGTHS2[row] do assert.same(s[t][row]:totable(), b.s[t][place]:totable()) end
    end
  end)

  for _, learned in ipairs {false, true} do
    local what = learned and "learned scores" or "dot products"

    -- Outputs and input gradients: what other rows a sequence is played with must not show.
    it("gives each row what it has alone, with " .. what, function ()
      for _, l in ipairs {lurn.f32, lurn.f64} do
        local model = translator(l, learned)
        local player = model.native:player {grad = true, grad_inputs = true}
        local x, s, b = wave(l, 1, 5, 3, D), wave(l, 2, 6, 3, S), batch(l)
        assert(player:forward(b, 1, 0, "eval"))
        assert(player:backward())
        local together = {out = player:output "out", memory = player:output "memory", row = player:output "row",
          dx = player:output "d:x"}
        for place, row in ipairs(b.order) do
          local T, T2 = LENGTHS[row], LENGTHS2[row]
          local alone = model.native:player {grad = true, grad_inputs = true}
          local one = batch_of(l, x:narrow(1, 1, T):narrow(2, row, 1), s:narrow(1, 1, T2):narrow(2, row, 1))
          assert(alone:forward(one, 1, 0, "eval"))
          assert(alone:backward())
          for name, n in pairs {out = T, memory = T2, dx = T} do
            local own, all = alone:output(name == "dx" and "d:x" or name), together[name]
            for t = 1, n do assert(bits(own[t][1]) == bits(all[t][place]), name) end
          end
          assert(bits(alone:output("row")[1]) == bits(together.row[place]))
        end
      end
    end)
  end

  -- What is there once goes to all steps of the axis where it is needed, whether that is the longer one or the shorter.
  it("shares weights with the first, longer or shorter", function ()
    local l = lurn.f64
    local model = l.model(function (m)
      local p, total = m:param("p", {D}, {"normal", 0, 1}), 0
      for _, axis in ipairs {"time", "time2", "time3"} do
        local x = m:input("x" .. axis, "real", axis, {D})
        total = total + l.total(l.tanh(x * p + p)) + l.total(x * x * p)
      end
      return {loss = total}
    end)
    for _, T in ipairs {{2, 4, 6}, {6, 4, 2}, {4, 6, 2}} do
      local x = wave(l, 1, T[1], 2, D)
      local b = l.batch {x = x, xtime = x, time2 = {xtime2 = wave(l, 2, T[2], 2, D), lengths = {1, T[2]}},
        time3 = {xtime3 = wave(l, 3, T[3], 2, D), lengths = {T[3], 1}}}
      local want
      for _, options in ipairs {{twin = true}, {}, {dice = 3}, {dice = 8}, {window = 1}, {window = 3}} do
        options.grad = true
        local player = model.native:player(options)
        assert(player:forward(b, 1, 0, "eval"))
        assert(player:backward())
        local grad = bits(model:parameters()[1].grad)
        want = want or grad
        assert(grad == want)
      end
      assert(l.gradcheck(model, b).worst < 1e-6)
    end
  end)

  it("comes back from the program's text", function ()
    local text = translator(lurn, true):source_text()
    assert.matches("scan forward2 gru1\n", text)
    assert.matches("scan backward2 gru1_reverse\n", text)
    assert.equal(text, lurn.core.parse(text):text())
  end)

  it("does not meet the first by itself", function ()
    assert.has_error.matches(function ()
      lurn.model(function (m)
        return {out = m:input("x", "real", "time", {D}) + m:input("s", "real", "time2", {D})}
      end)
    end, "rows of different time axes do not meet: time and time2")
    assert.has_error.matches(function ()
      translator(lurn).native:player {}:forward(lurn.batch {x = wave(lurn, 1, 5, 3, D)}, 1, 0, "eval")
    end, "along an axis '%l+2', which the batch does not have")
  end)

  it("refuses an empty one and lengths beyond it", function ()
    local x = wave(lurn, 1, 5, 3, D)
    assert.has_error.matches(function () lurn.batch {x = x, time2 = {}} end, "time2: expected ids")
    assert.has_error.matches(function ()
      lurn.batch {x = x, time2 = {s = wave(lurn, 2, 6, 3, S), lengths = {7, 1, 1}}}
    end, "length of a row")
  end)
end)
