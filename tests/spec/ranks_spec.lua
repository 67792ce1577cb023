-- Lists that stay in order, and lists that tell what has changed in them.
local lurn = require "lurn"

describe("a list in order", function ()
  it("is what sorting gives, whatever comes and goes", function ()
    local list, plain = lurn.ranks.new(), {}
    local function u (i) return (lurn.rng.uniform(1, "search", "ranks", i) * 2000) // 1 end
    for i = 1, 3000 do
      local x = u(2 * i)
      if #plain > 0 and i % 5 == 0 or i > 2000 then
        local k = 1 + u(2 * i + 1) * #plain // 2000
        assert.is_true(list:remove(table.remove(plain, k)))
      else
        plain[#plain + 1] = x
        table.sort(plain)
        list:add(x)
      end
      assert.equal(#plain, list.n)
      if i % 100 == 0 then
        assert.same(plain, list:list())
        local before = 0
        for _, y in ipairs(plain) do before = before + (y < x and 1 or 0) end
        assert.equal(before + 1, list:place(x))
        assert.equal(plain[1 + i % #plain], list:at(1 + i % #plain))
        assert.equal(plain[1], list:first())
      end
    end
    assert.is_nil(list:at(#plain + 1))
    assert.is_false(list:remove(-1))
  end)

  it("may become empty", function ()
    local list = lurn.ranks.new(function (a, b) return a.x < b.x end)
    local one = {x = 1}
    list:add(one)
    assert.equal(1, list:place(one))
    assert.is_true(list:remove(one))
    assert.is_nil(list:first())
    assert.same({}, list:list())
  end)

  it("begins with what is in order already", function ()
    for _, n in ipairs {0, 1, 256, 257, 512, 1000} do
      local sorted = {}
      for k = 1, n do sorted[k] = k end
      local list = lurn.ranks.new(nil, sorted)
      assert.same(sorted, list:list())
      list:add(n // 2 + 0.5)
      assert.equal(n // 2 + 1, list:place(n // 2 + 0.5))
      assert.equal(n + 1, list.n)
    end
  end)
end)

describe("what changed in a list of trials", function ()
  -- What is kept is how often each trial was taken.
  local function count (kept, t) kept[t.number] = (kept[t.number] or 0) + 1 end
  local function new (trials)
    local kept = {}
    for _, t in ipairs(trials) do count(kept, t) end
    return kept
  end

  it("is all that is looked at again", function ()
    local trials, cache = lurn.changes.begin {}, setmetatable({}, {__mode = "k"})
    local function put (number)
      trials[number + 1] = {number = number}
      lurn.changes.note(trials, number)
    end
    for number = 0, 9 do put(number) end
    local kept = lurn.changes.follow(cache, trials, new, count)
    put(3)
    put(10)
    assert.equal(kept, lurn.changes.follow(cache, trials, new, count))
    assert.same({1, 1, 2, 1}, {kept[0], kept[2], kept[3], kept[10]})
    put(4)
    put(4)
    assert.equal(2, lurn.changes.follow(cache, trials, new, count)[4])      -- what it is now, once
    -- Who has not looked for long enough looks at all.
    for _ = 1, 3000 do put(3) end
    local anew = lurn.changes.follow(cache, trials, new, count)
    assert.not_equal(kept, anew)
    assert.same({1, 1, 1}, {anew[0], anew[3], anew[10]})
    put(4)
    assert.equal(2, lurn.changes.follow(cache, trials, new, count)[4])
  end)

  it("is not known of any other list", function ()
    local trials, cache = {{number = 0}}, {}
    local kept = lurn.changes.follow(cache, trials, new, count)
    assert.not_equal(kept, lurn.changes.follow(cache, trials, new, count))
  end)
end)
