-- A second time axis in data sets: source and labels, with lengths of their own, from tables to batches, files and
-- back; and the two scripts that live on it.
local lurn = require "lurn"
local shell = require "shell_helper"

local X, SOURCE = {3, 5, 1, 4}, {2, 1, 6, 3}

local function description (more)
  local set = {split = {train = {1, 3}, valid = {4, 4}}}
  for i, n in ipairs(X) do
    local one = {x = {}, source = {}, labels = {}}
    for t = 1, n do one.x[t] = {i + t / 10, -t} end
    for s = 1, SOURCE[i] do one.source[s], one.labels[s] = (i + s) % 7 + 1, (i * s) % 4 end
    set[i] = one
  end
  for k, v in pairs(more or {}) do set[k] = v end
  return set
end

local function check (set)
  for i, one in ipairs(description()) do
    local s = set:sequence(i)
    assert.same(one.source, s.source:totable())
    assert.same(one.labels, s.labels:totable())
    assert.equal(#one.x, s.x:size(1))
  end
end

describe("a data set with a second time axis", function ()
  setup(shell.open)
  teardown(shell.close)

  it("keeps it, in a file, too, and counts it in the hash", function ()
    local data = lurn.dataset(description())
    check(data.set)
    data.set:save(shell.folder .. "/second.h5")
    local again = assert(lurn.open(shell.folder .. "/second.h5"))
    check(again.set)
    assert.equal(data.hash, again.hash)
    local other = description()
    other[1].source, other[2].source = {1}, {1, 1}
    other[1].labels, other[2].labels = {1}, {1, 1}
    assert.not_equal(data.hash, lurn.dataset(other).hash)
    assert.equal(7, again.set.source_vocab)
    assert.equal(3, again.set.nclass)
  end)

  it("comes in batches, each row with what is its own", function ()
    local data, plain = lurn.dataset(description()), description()
    local feed = data.all:feed {batch = 3, shuffle = true, seed = 5}
    local seen = {}
    for epoch = 1, 2 do
      for step = 1, feed.steps do
        local b = feed:batch(epoch, step)
        for r, i in ipairs(b.seq) do
          seen[i] = (seen[i] or 0) + 1
          assert.equal(X[i], b.lengths[r])
          assert.equal(SOURCE[i], b.lengths2[r])
          for s = 1, SOURCE[i] do
            assert.equal(plain[i].source[s], b.source[s][r])
            assert.equal(plain[i].labels[s], b.labels[s][r])
          end
          for t = 1, X[i] do assert.near(plain[i].x[t][1], b.x[t][r][1], 1e-6) end
        end
      end
    end
    assert.same({2, 2, 2, 2}, seen)
  end)

  it("comes as often as a split names it", function ()
    local plain = description()
    local data = lurn.dataset(description {split = {train = {{3, 3}, {3, 3}, {3, 3}}}})
    local b = data.train:feed {batch = 3}:batch(1, 1)
    assert.same({6, 6, 6}, b.lengths2)
    for s = 1, 6 do
      for r = 1, 3 do
        assert.equal(plain[3].source[s], b.source[s][r])
        assert.equal(plain[3].labels[s], b.labels[s][r])
      end
    end
  end)

  it("says what does not fit", function ()
    local function refused (message, change, feed)
      local set = description()
      change(set)
      local ok, said = pcall(function ()
        local data = lurn.dataset(set)
        if feed then assert(data.train:feed(feed)) end
      end)
      assert(not ok and tostring(said):find(message, 1, true), tostring(said))
    end
    refused("sequence 2 has no labels", function (set) set[2].labels = nil end)
    refused("has 1 steps of source and 2 of labels", function (set) set[2].labels = {1, 2} end)
    refused("needs whole sequences, without windows", function () end, {batch = 2, seq = 2})
    refused("id -1, expected 0", function (set) set[1].source[1] = 0 end)
  end)

  it("must have offsets for it, and a step of every sequence", function ()
    local python = ([[
import h5py, numpy as np
def make(name, offsets2, source):
    with h5py.File("%s/" + name, "w") as f:
        f.attrs["lurn_schema"] = 1
        f["x"] = np.zeros((5, 2)); f["offsets"] = np.array([0, 2, 5])
        f["source"] = np.array(source, dtype="i4")
        if offsets2: f["offsets2"] = np.array(offsets2)
make("good.h5", [0, 1, 4], [3, 0, 1, 2])
make("none.h5", None, [3, 0, 1, 2])
make("empty.h5", [0, 0, 4], [3, 0, 1, 2])
make("short.h5", [0, 1, 3], [3, 0, 1, 2])
make("many.h5", [0, 1, 2, 4], [3, 0, 1, 2])
]]):format(shell.folder)
    shell.write("second.py", python)
    assert.equal(0, (shell.run("/usr/bin/python3 second.py")))
    local good = assert(lurn.open(shell.folder .. "/good.h5"))
    assert.same({1, 2, 3}, good.set:sequence(2).source:totable())
    for name, message in pairs {none = "without /offsets2", empty = "sequence 1 has no step there",
      short = "offsets2 go from 0 to 3, expected 0 to 4", many = "is of 3 sequences, /offsets of 2"} do
      local ok, said = lurn.open(("%s/%s.h5"):format(shell.folder, name))
      assert.is_nil(ok)
      assert.truthy(said:find(message, 1, true), said)
    end
  end)

  it("is what scripts/ctc.lua reads labels from", function ()
    local code, out = shell.lurn(("run --quiet %s/scripts/ctc.lua --symbols 3 --shortest 2 --longest 4 "
      .. "--sequences 1000 --held 60 --hidden 24 --epochs 6 --noise 0.1"):format(shell.here))
    assert.equal(0, code, out)
    assert(tonumber(out:match "label error ([%d.]+) %%") < 15, out)
  end)

  it("is what scripts/numbers.lua translates from", function ()
    for _, score in ipairs {"additive", "dot"} do
      local code, out = shell.lurn(("run --quiet %s/scripts/numbers.lua --train 200 --test 5 --hidden 16 --epochs 2 "
        .. "--score %s"):format(shell.here, score))
      assert.equal(0, code, out)
      assert.matches("of 5 numbers right", out)
    end
  end)
end)

describe("the best path", function ()
  it("drops repeats, then blanks", function ()
    local path = {1, 2, 2, 1, 2, 3, 3, 1}
    local out = lurn.zeros(8, 1, 3)
    for t, id in ipairs(path) do out[t][1][id] = 1 end
    assert.same({{2, 2, 3}}, lurn.metrics.best_path(out, {8}))
    assert.same({{2}}, lurn.metrics.best_path(out, {4}))
    local rate, n = lurn.metrics.label_error(out, lurn.ids {{2}, {3}, {0}}, {8})
    assert.equal(0.5, rate)
    assert.equal(2, n)
  end)
end)
