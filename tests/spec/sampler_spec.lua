-- Samplers: draws that depend on nothing but (seed, number, name); grids that have every cell once.
local lurn = require "lurn"

local SPACE = {
  {name = "cell", kind = "choice", choice = {"rnn", "lstm", "gru"}, default = "lstm"},
  {name = "hidden", kind = "int", low = 8, high = 64, log = true, default = 16},
  {name = "lr", kind = "float", low = 1e-4, high = 1e-1, log = true, default = 1e-2},
}

describe("every sampler", function ()
  it("begins with the defaults, unless it may not", function ()
    assert.same({cell = "lstm", hidden = 16, lr = 1e-2}, (lurn.sampler.new("random", SPACE):suggest(0)))
    assert.not_same({cell = "lstm", hidden = 16, lr = 1e-2},
      (lurn.sampler.new("random", SPACE, {defaults = false}):suggest(0)))
  end)

  it("says what it does not know", function ()
    assert.error_matches(function () lurn.sampler.new("randm", SPACE) end,
      "unknown sampler 'randm', did you mean 'random'?", 1, true)
    assert.error_matches(function () lurn.sampler.new("random", SPACE, {points = 3}) end, "unknown option 'points'")
  end)
end)

describe("random", function ()
  it("is a function of seed, number and name", function ()
    local a, b = lurn.sampler.new("random", SPACE, {seed = 7}), lurn.sampler.new("random", SPACE, {seed = 7})
    for number = 20, 1, -1 do b:suggest(number) end
    local wider = {table.unpack(SPACE)}
    wider[4] = {name = "clip", kind = "float", low = 0, high = 1}
    local c, d = lurn.sampler.new("random", wider, {seed = 7}), lurn.sampler.new("random", SPACE, {seed = 8})
    local differ = 0
    for number = 1, 20 do
      local p, q = a:suggest(number), c:suggest(number)
      assert.same(p, (b:suggest(number)))
      q.clip = nil
      assert.same(p, q)
      differ = differ + (p.lr ~= d:suggest(number).lr and 1 or 0)
      assert.is_true(a:replay(number, p))
    end
    assert.equal(20, differ)
    local ok, message = a:replay(3, a:suggest(4))
    assert.is_false(ok)
    assert.matches("configuration 3: parameter '%w+' is", message)
  end)

  it("covers its space evenly", function ()
    local s, n, count, sum = lurn.sampler.new("random", SPACE, {defaults = false}), 3000, {}, 0
    for number = 0, n - 1 do
      local p = s:suggest(number)
      count[p.cell] = (count[p.cell] or 0) + 1
      sum = sum + math.log(p.lr / 1e-4, 10) / 3
      assert.is_true(p.hidden >= 8 and p.hidden <= 64 and p.lr >= 1e-4 and p.lr <= 1e-1)
    end
    assert.near(0.5, sum / n, 4 * math.sqrt(1 / 12 / n))
    for _, cell in ipairs(SPACE[1].choice) do assert.near(1 / 3, count[cell] / n, 4 * math.sqrt(2 / 9 / n)) end
  end)

  it("leaves out what means nothing", function ()
    local s = lurn.sampler.new("random", SPACE, {active = function (p) return {cell = true, lr = p.cell ~= "rnn"} end})
    for number = 1, 30 do
      local p = s:suggest(number)
      assert.is_nil(p.hidden)
      assert.equal(p.cell == "rnn", p.lr == nil)
    end
  end)
end)

describe("a grid", function ()
  local function all (s)
    local seen, n, order = {}, 0, {}
    while true do
      local p = s:suggest(n)
      if not p then return n, seen, order end
      local key = ("%s/%s/%s"):format(p.cell, p.hidden, p.lr)
      seen[key], order[n + 1], n = (seen[key] or 0) + 1, key, n + 1
    end
  end

  it("has every cell once, in random order", function ()
    local s = lurn.sampler.new("grid", SPACE, {points = 4})
    local n, seen, order = all(s)
    assert.equal(3 * 4 * 4, n)
    assert.equal(n, s.size)
    for _, times in pairs(seen) do assert.equal(1, times) end
    local _, _, plain = all(lurn.sampler.new("grid", SPACE, {points = 4, shuffle = false}))
    assert.not_same(plain, order)
    table.sort(plain)
    table.sort(order)
    assert.same(plain, order)
    assert.same({1e-4, 1e-3, 1e-2, 1e-1}, lurn.space.values({kind = "float", low = 1e-4, high = 1e-1, log = true}, 4))
  end)

  it("has no cell twice where a parameter means nothing", function ()
    local s = lurn.sampler.new("grid", SPACE, {points = 4,
      active = function (p) return {cell = true, hidden = true, lr = p.cell ~= "rnn"} end})
    local n, seen = all(s)
    assert.equal(4 + 2 * 4 * 4, n)
    for _, times in pairs(seen) do assert.equal(1, times) end
  end)

  it("wants to know how many points a continuous range has", function ()
    assert.error_matches(function () lurn.sampler.new("grid", SPACE) end,
      "grid: parameter 'lr': is continuous: a grid needs a step, a list or a number of points", 1, true)
  end)
end)
