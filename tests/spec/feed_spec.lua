-- Batches: every target once, in an order that is a function of the seed, and nothing made up.
local lurn = require "lurn"
local core = lurn.core

local function ids (n) local t = {} for i = 1, n do t[i] = i end return t end

-- A text of n different symbols, so that an id tells its place.
local function text (n, split, unit)
  return core.dataset {{x = ids(n)}, kind = "text", targets = "next", unit = unit or "frame", split = split}
end

-- Sequences of those lengths; the value of frame t of sequence i is 100 i + t.
local function sequences (lengths, more)
  local t = {}
  for i, length in ipairs(lengths) do
    local x, y = {}, {}
    for s = 1, length do x[s], y[s] = {100 * i + s}, {-(100 * i + s)} end
    t[i] = {x = x, y = y}
  end
  for key, value in pairs(more or {}) do t[key] = value end
  return core.dataset(t)
end

local function each (feed, epoch)
  local step, steps = 0, feed:steps(epoch)
  return function ()
    step = step + 1
    if step <= steps then return assert(feed:batch(epoch, step)), step end
  end
end

describe("a stream", function ()
  it("plays every target once, whatever the sizes", function ()
    for _, n in ipairs {2, 3, 10, 50, 101} do
      local d = text(n)
      for _, B in ipairs {1, 2, 3, 7, 50} do
        for _, seq in ipairs {1, 2, 5, 100} do
          local f = core.feed {data = d, batch = B, seq = seq}
          local seen, count = {}, 0
          for b in each(f, 1) do
            local x, y, lengths = b.x:totable(), b.y:totable(), b.lengths
            assert.truthy(b.B <= B and b.T <= seq and b.T <= f.T and b.N <= f.N)
            for r = 1, b.B do
              for t = 1, b.T do
                if t <= lengths[r] then
                  assert.equal(x[t][r] + 1, y[t][r])
                  assert.is_nil(seen[y[t][r]])
                  seen[y[t][r]] = true
                  count = count + 1
                else
                  assert.equal(0, y[t][r])
                end
              end
            end
          end
          assert.equal(n - 1, count)
          assert.equal(n - 1, f:frames())
        end
      end
    end
  end)

  it("carries rows on from window to window", function ()
    local f = core.feed {data = text(41), batch = 4, seq = 3}
    local last = {}
    for b, step in each(f, 1) do
      assert.equal(step > 1, b.carry)
      local x = b.x:totable()
      for r = 1, b.B do
        if step > 1 then assert.equal(last[r] + 1, x[1][r]) end
        assert.equal(r, b.seq[r])
        assert.equal(3 * (step - 1) + 1, b.pos[r])
        last[r] = x[b.lengths[r]][r]
      end
    end
  end)

  it("stays inside its split", function ()
    local d = text(100, {train = {1, 80}, valid = {{81, 85}, {90, 100}}, test = {3, 3}, none = {5, 4}})
    local seen = {}
    for b in each(core.feed {data = d, split = "valid", batch = 1, seq = 4}, 1) do
      for _, row in ipairs(b.y:totable()) do seen[#seen + 1] = row[1] end
    end
    assert.same({82, 83, 84, 85, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100}, seen)
    for _, name in ipairs {"test", "none"} do
      local f = core.feed {data = d, split = name, batch = 2, seq = 4}
      assert.equal(0, f:steps(1))
      assert.error_matches(function () f:batch(1, 1) end, "nothing to play")
    end
    assert.error_matches(function () core.feed {data = d, split = "vaild", seq = 1} end, "no split")
  end)

  it("is the same from a file that does not fit into memory", function ()
    local path = os.tmpname()
    finally(function () os.remove(path) end)
    local d = text(200000)
    assert(d:save(path))
    local e = assert(core.dataset.open(path, 0))
    local f, g = core.feed {data = d, batch = 3, seq = 7}, core.feed {data = e, batch = 3, seq = 7, mode = "stream"}
    assert.equal(f:steps(1), g:steps(1))
    for _, step in ipairs {1, 2, 5000, 17, f:steps(1), 3} do
      assert.same(f:batch(1, step).y:totable(), g:batch(1, step).y:totable())
    end
  end)
end)

describe("sequences", function ()
  local lengths = {3, 1, 4, 1, 5, 9, 2, 6}

  it("come whole, each once, longest first in a batch", function ()
    local d = sequences(lengths)
    for B = 1, 9 do
      local f, seen = core.feed {data = d, batch = B, seed = 7}, {}
      for b in each(f, 3) do
        local x, y = b.x:totable(), b.y:totable()
        for r = 1, b.B do
          local i = b.seq[r]
          assert.is_nil(seen[i])
          seen[i] = true
          assert.equal(lengths[i], b.lengths[r])
          if r > 1 then assert.truthy(b.lengths[r] <= b.lengths[r - 1]) end
          for t = 1, b.T do
            local expected = t <= lengths[i] and 100 * i + t or 0
            assert.equal(expected, x[t][r][1])
            assert.equal(-expected, y[t][r][1])
          end
        end
        assert.is_false(b.carry)
      end
      for i = 1, #lengths do assert.is_true(seen[i]) end
    end
  end)

  it("have an order that is a function of seed and epoch", function ()
    local d = sequences(lengths)
    local function order (seed, epoch, shuffle)
      local t = {}
      for b in each(core.feed {data = d, batch = 1, seed = seed, shuffle = shuffle}, epoch) do t[#t + 1] = b.seq[1] end
      return table.concat(t, " ")
    end
    assert.equal(order(1, 1), order(1, 1))
    assert.not_equal(order(1, 1), order(1, 2))
    assert.not_equal(order(1, 1), order(2, 1))
    assert.equal("1 2 3 4 5 6 7 8", order(1, 1, false))
    -- Asked for in any order, epochs are what they are.
    local f = core.feed {data = d, batch = 3, seed = 5}
    local first = f:batch(1, 2).seq
    f:batch(9, 1)
    assert.same(first, f:batch(1, 2).seq)
  end)

  it("keep equal lengths in the order in which they came", function ()
    local b = core.feed({data = sequences {2, 3, 2, 3}, batch = 4, shuffle = false}):batch(1, 1)
    assert.same({2, 4, 1, 3}, b.seq)
  end)

  it("come with others of like length when they are asked to, still each once", function ()
    local d, many = sequences(lengths), {}
    local function batches (f, epoch)
      local list = {}
      for b in each(f, epoch) do list[#list + 1] = b.seq end
      return list
    end
    local plain = core.feed {data = d, batch = 2, bucket = 2, shuffle = false}
    assert.same({{3, 1}, {2, 4}, {6, 8}, {5, 7}}, batches(plain, 1))
    for i = 1, 203 do many[i] = (i * 37) % 50 + 1 end
    d = sequences(many)
    for _, how in ipairs {{1, 3}, {4, 1}, {4, 5}, {8, 1000}, {300, 2}} do
      local f = core.feed {data = d, batch = how[1], bucket = how[2], seed = 3}
      local first, seen, frames = batches(f, 1), {}, 0
      for _, list in ipairs(first) do
        for _, i in ipairs(list) do
          assert.is_nil(seen[i])
          seen[i], frames = true, frames + many[i]
        end
      end
      for i = 1, #many do assert.is_true(seen[i]) end
      assert.equal(f:frames(), frames)
      -- A function of seed and epoch, whatever was asked before.
      local second = batches(f, 2)
      assert.same(first, batches(f, 1))
      if how[1] < 300 then assert.not_same(first, second) end
    end
    assert.error_matches(function () core.feed {data = text(100), seq = 5, bucket = 2} end, "bucket is for sequences")
  end)

  it("in buckets have fewer steps, in windows too", function ()
    local many = {}
    for i = 1, 400 do many[i] = (i * 37) % 50 + 1 end
    local function steps (bucket, seq)
      local n = 0
      local f = core.feed {data = sequences(many), batch = 16, bucket = bucket, seq = seq, seed = 1}
      for b in each(f, 1) do n = n + b.T end
      return n
    end
    assert(steps(25) < 0.55 * steps(0))          -- the mean length instead of the longest of 16
    assert.equal(steps(25), steps(25, 7))
  end)

  it("are played in windows, rows dropping out as they end", function ()
    local d = sequences {5, 2, 4}
    local f = core.feed {data = d, batch = 3, seq = 2, shuffle = false}
    local shape = {}
    for b in each(f, 1) do
      shape[#shape + 1] = {b.carry, b.seq, b.lengths, b.pos}
    end
    assert.same({
      {false, {1, 3, 2}, {2, 2, 2}, {1, 1, 1}}, {true, {1, 3}, {2, 2}, {3, 3}}, {true, {1}, {1}, {5}}
    }, shape)
    for epoch = 1, 5 do
      f = core.feed {data = sequences(lengths), batch = 3, seq = 2, seed = 1}
      local frames = 0
      for b in each(f, epoch) do frames = frames + b.N end
      assert.equal(31, frames)
    end
  end)

  it("have the next x for a target when they are asked to", function ()
    local d = core.dataset {{x = {1, 2, 3}}, {x = {7}}, {x = {4, 5}}, targets = "next"}
    local f = core.feed {data = d, batch = 3, shuffle = false}
    local b = f:batch(1, 1)
    assert.same({{1, 4}, {2, 0}}, b.x:totable())
    assert.same({{2, 5}, {3, 0}}, b.y:totable())
    assert.same({1, 3}, b.seq)
    assert.equal(3, f:frames())
  end)

  it("may have one target each, and weights", function ()
    local d = core.dataset {{x = {1, 2}, y = 2, mask = {1, 0}}, {x = {3}, y = 1, mask = {0.5}}}
    local b = core.feed({data = d, batch = 2, shuffle = false}):batch(1, 1)
    assert.same({2, 1}, b.y:totable())
    assert.same({{{1}, {0.5}}, {{0}, {0}}}, b.mask:totable())
    assert.error_matches(function () core.feed {data = d, batch = 2, seq = 1} end, "whole sequences")
  end)

  it("keep the data alive", function ()
    local f = core.feed {data = sequences(lengths), batch = 2}
    local b = f:batch(1, 1)
    f = nil
    collectgarbage()
    collectgarbage()
    assert.equal(2, b.B)
    assert.truthy(b.x:totable())
    assert.is_nil(f)
  end)
end)

describe("a batch of tensors", function ()
  it("sorts its rows and remembers the order", function ()
    local b = core.batch {
      x = lurn.tensor {{{1}, {2}, {3}}, {{4}, {5}, {6}}, {{7}, {8}, {9}}}, y = lurn.ids {1, 2, 3},
      mask = lurn.tensor {{1, 1, 1}, {1, 1, 0}, {1, 1, 1}}, lengths = {1, 3, 2}
    }
    assert.same({3, 3, 6}, {b.T, b.B, b.N})
    assert.same({2, 3, 1}, b.order)
    assert.same({3, 2, 1}, b.lengths)
    assert.same({{{2}, {3}, {1}}, {{5}, {6}, {0}}, {{8}, {0}, {0}}}, b.x:totable())
    assert.same({2, 3, 1}, b.y:totable())
    assert.same({{{1}, {1}, {1}}, {{1}, {0}, {0}}, {{1}, {0}, {0}}}, b.mask:totable())
  end)

  it("is one row when its x is (T,D), or ids (T)", function ()
    local b = core.batch {x = lurn.tensor {{1, 2}, {3, 4}}, y = lurn.ids {1, 2}}
    assert.same({2, 1}, {b.T, b.B})
    assert.same({{{1, 2}}, {{3, 4}}}, b.x:totable())
    assert.same({{1}, {2}}, b.y:totable())
    b = core.batch {x = lurn.ids {5, 6, 7}, y = lurn.ids {1}}
    assert.same({{5}, {6}, {7}}, b.x:totable())
    assert.same({1}, b.y:totable())
  end)

  it("says what does not fit", function ()
    assert.error_matches(function () core.batch {} end, "expected a tensor")
    assert.error_matches(function () core.batch {x = lurn.tensor {{1, 2}}, y = lurn.ids {1, 2, 3}} end, "y: expected")
    assert.error_matches(function () core.batch {x = lurn.ids {1, 2}, lengths = {3}} end, "length of a row")
  end)
end)

describe("windows that overlap", function ()
  local function data_of (lengths)
    local set = {targets = "next"}
    for i, n in ipairs(lengths) do
      set[i] = {x = {}}
      for t = 1, n do set[i].x[t] = (i * 31 + t * t) % 7 + 1 end
    end
    return lurn.dataset(set)
  end

  -- Every target once, in order, for each sequence.
  it("have each target once, whatever seq and stride are", function ()
    for _, how in ipairs {{4, 1}, {4, 3}, {4, 4}, {5, 2}, {20, 3}} do
      local data, seen = data_of {9, 14, 2, 6}, {}
      local feed = data.all:feed {batch = 3, seq = how[1], stride = how[2], shuffle = false}
      for step = 1, feed.steps do
        local b = feed:batch(1, step)
        for r, i in ipairs(b.seq) do
          for t = 1, b.lengths[r] do
            local at = b.pos[r] + t - 1               -- pos counts from 1
            assert.equal((i * 31 + at * at) % 7 + 1, b.x[t][r])
            local y = b.y[t][r]
            if y ~= 0 then
              seen[i] = seen[i] or {}
              assert.is_nil(seen[i][at])
              seen[i][at] = y
              assert.equal((i * 31 + (at + 1)^2) % 7 + 1, y)
              assert(b.lengths[r] - t < how[2])       -- among the new ones
            end
          end
          assert(b.lengths[r] <= how[1])
        end
      end
      for i, n in ipairs {9, 14, 2, 6} do assert.equal(n - 1, #seen[i]) end
    end
  end)

  -- Without updates the state at any step is that of the whole sequence; and the gradient is that of the new steps'
  -- loss, from the state in which the window begins.
  it("carry on the state, bit for bit, and follow the gradient back over all of a window", function ()
    local l = lurn.f64
    local set = {targets = "next", {x = {}}}
    for t = 1, 23 do set[1].x[t] = t * t % 7 + 1 end
    local data = l.dataset(set)
    local function model ()
      return l.stack {input = {vocab = 7}, l.embedding {size = 3}, l.lstm {hidden = 4, layers = 2}, l.linear {size = 7},
        loss = l.loss.cross_entropy {reduction = "sum"}}
    end
    local whole, windows, hand = model(), model(), model()
    whole:forward(data.all:feed {batch = 1}:batch(1, 1))
    local out = whole:output "out"
    local feed = data.all:feed {batch = 1, seq = 7, stride = 3}
    local at, states = 0, {}
    for step = 1, feed.steps do
      local b = feed:batch(1, step)
      windows:forward(b)
      local o = windows:output "out"
      for t = 1, b.T do assert.same(out[b.pos[1] + t - 1][1]:totable(), o[t][1]:totable()) end
      windows:backward()
      windows:commit()
      -- The same by hand: the state kept at each step of a walk of single steps.
      local player = hand.native:player {grad = true, carry = true}
      if b.pos[1] > 1 then player:setstate(states[b.pos[1] - 1]) end
      assert(player:forward(l.batch {x = b.x, y = b.y, carry = b.pos[1] > 1}, 1, 0, "train"))
      assert(player:backward())
      local want = {}
      for _, p in ipairs(hand:parameters()) do want[p.path] = p.grad:totable() end
      for _, p in ipairs(windows:parameters()) do assert.same(want[p.path], p.grad:totable()) end
      local walk = hand.native:player {carry = true}
      for t = at + 1, b.pos[1] + b.T - 1 do
        if states[t - 1] then walk:setstate(states[t - 1]) end
        assert(walk:forward(l.batch {x = l.ids {{set[1].x[t]}}, y = l.ids {{1}}, carry = t > 1}, 1, 0, "eval"))
        walk:commit()
        states[t], at = walk:state(), t
      end
    end
    assert.equal(22, at)
  end)

  it("weigh nothing where they are old: all columns of a mask that has more than one", function ()
    local l = lurn.f64
    local x, mask = {}, {}
    for t = 1, 90 do x[t], mask[t] = {t + 0.5}, {1, 2, 3} end
    local feed = l.dataset {{x = x, y = x, mask = mask}}.all:feed {batch = 1, seq = 50, stride = 10}
    for step = 1, feed.steps do
      local b = feed:batch(1, step)
      for t = 1, b.T do
        assert.same(b.T - t < 10 and {1, 2, 3} or {0, 0, 0}, b.mask[t][1]:totable())
      end
    end
  end)

  it("are refused where they make no sense", function ()
    local data = data_of {9, 14}
    assert.has_error(function () data.all:feed {batch = 1, seq = 4, stride = 5} end)
    local numbers = lurn.dataset {{x = {{1.0}, {2.0}, {3.0}}, y = {{1.0}, {2.0}, {3.0}}}}
    assert.has_error.matches(function () numbers.all:feed {batch = 1, seq = 2, stride = 1} end, "need a column mask")
    local next = lurn.dataset {targets = "next", {x = {{1.0}, {2.0}, {3.0}}}}
    assert.has_error.matches(function () next.all:feed {batch = 1, seq = 2, stride = 1} end, "need a column mask")
    local model = lurn.stack {input = {vocab = 7}, lurn.embedding {size = 2}, lurn.gru {hidden = 2},
      lurn.linear {size = 7}, loss = lurn.loss.cross_entropy(), checkpoint = 2}
    local feed = data.all:feed {batch = 2, seq = 4, stride = 2}
    assert.has_error.matches(function () model:forward(feed:batch(1, 2)) end, "cannot be played in windows")
    model:forward(data.all:feed {batch = 2, seq = 4, stride = 4}:batch(1, 2))       -- these do not overlap
  end)
end)
