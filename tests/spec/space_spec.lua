-- Search spaces: what declarations and the command line's words make of one another; places and values.
local lurn = require "lurn"
local space = lurn.space

local function experiment (params)
  return lurn.experiment {name = "test", params = params, run = function () return 0 end}
end

local e = experiment {
  data = "book.txt", epochs = 10, rate = 0.5,
  hidden = {128, int = {32, 512}, log = true},
  cell = {"lstm", choice = {"rnn", "lstm", "gru"}},
  layers = {2, int = {1, 3}},
  drop = {0.25, float = {0, 0.5}, when = function (p) return p.layers > 1 end},
  deep = {1, int = {1, 9}, when = function (p) return p.drop > 0.3 end},
  lr = {5e-3, float = {1e-4, 1e-1}, log = true},
}

local function named (list)
  local out = {}
  for _, p in ipairs(list) do out[p.name] = p end
  return out
end

describe("a space", function ()
  it("is what the declarations leave open, in order of name", function ()
    local s, fixed = space.of(e)
    local names = {}
    for i, p in ipairs(s) do names[i] = p.name end
    assert.same({"cell", "deep", "drop", "hidden", "layers", "lr"}, names)
    assert.same({}, fixed)
    assert.same({cell = "lstm", deep = 1, drop = 0.25, hidden = 128, layers = 2, lr = 5e-3}, space.defaults(s))
    assert.same(s, space.check(lurn.json.decode(lurn.json.encode(s))))
  end)

  it("is narrowed and fixed by words", function ()
    local s, fixed = space.of(e, {lr = "1e-3..1e-2", cell = "rnn,gru", layers = "2", hidden = "64,128",
      rate = "0.1..0.9", epochs = "5..20,log", data = "a.txt,b.txt"})
    local p = named(s)
    assert.same({name = "lr", kind = "float", low = 1e-3, high = 1e-2, log = true, default = 5e-3}, p.lr)
    assert.same({name = "cell", kind = "choice", choice = {"rnn", "gru"}, default = "rnn"}, p.cell)
    assert.same({name = "hidden", kind = "choice", choice = {64, 128}, default = 128}, p.hidden)
    assert.same({name = "rate", kind = "float", low = 0.1, high = 0.9, default = 0.5}, p.rate)
    assert.same({name = "epochs", kind = "int", low = 5, high = 20, log = true, default = 10}, p.epochs)
    assert.same({layers = 2, data = "a.txt,b.txt"}, fixed)
    assert.is_nil(p.layers)
  end)

  it("says what is wrong with a word", function ()
    local function why (words) return select(2, space.of(e, words)) end
    assert.equal("parameter 'cell' must be one of rnn, lstm, gru, got 'cnn'", why {cell = "rnn,cnn"})
    assert.equal("parameter 'lr': a range goes from low to high, got 0.01..0.001", why {lr = "1e-2..1e-3"})
    assert.equal("unknown parameter 'learning_rate', did you mean 'lr'?", why {learning_rate = "1"})
    assert.equal("parameter 'layers' must be an integer, got 1.5", why {layers = "1.5..2"})
    assert.has_error(function () space.check {{name = "a", kind = "float", low = 1}} end,
      "space: parameter 'a' needs low and high")
    local both = {{name = "a", kind = "float", low = 1, high = 2, log = true, step = 1}}
    assert.has_error(function () space.check(both) end,
      "space: parameter 'a': log and step exclude each other")
  end)

  it("knows who means something, through chains of conditions", function ()
    local s = space.of(e)
    local active = space.conditions(e)
    local p = space.defaults(s)
    p.layers, p.drop, p.deep = 3, 0.4, 5
    local on = active(p)
    assert.is_true(on.drop and on.deep and on.lr)
    p.layers = 1                    -- drop stays 0.25 now, and so deep means nothing either
    on = active(p)
    assert.is_false(on.drop)
    assert.is_false(on.deep)
    assert.is_false(space.conditions(e, {layers = 1})({drop = 0.4}).drop)
    p.drop, p.deep = nil, nil
    assert.equal(1, e:resolve(p).deep)
  end)
end)

describe("a place in a range", function ()
  -- Uniform numbers of numpy.random.RandomState(42) and what Optuna's random sampler makes of them.
  local u = {0.3745401188473625, 0.9507143064099162, 0.7319939418114051, 0.5986584841970366, 0.15601864044243652,
    0.15599452033620265}

  it("is a share of it, or of its logarithm", function ()
    local p = space.check({{name = "x", kind = "float", low = -10, high = 10}})[1]
    for i, want in ipairs {-2.50919762305275, 9.014286128198322, 4.639878836228101, 1.973169683940732,
        -6.87962719115127, -6.880109593275947} do
      assert.near(want, space.at(p, u[i]), 1e-14)
    end
    p = space.check({{name = "x", kind = "float", low = 1e-5, high = 1e-1, log = true}})[1]
    for i, want in ipairs {0.00031489116479568613, 0.06351221010640701, 0.008471801418819975, 0.0024810409748678114} do
      assert.near(want, space.at(p, u[i]), want * 1e-14)
    end
  end)

  it("gives every value of a list or of steps the same share", function ()
    local function shares (p)
      p.name = "x"
      p = space.check({p})[1]
      local n, list = {}, {}
      for i = 1, 1200 do
        local value = space.at(p, (i - 0.5) / 1200)
        if not n[value] then list[#list + 1] = value end
        n[value] = (n[value] or 0) + 1
      end
      for _, value in ipairs(list) do assert.equal(1200 // #list, n[value]) end
      return list
    end
    assert.same({3, 4, 5, 6}, shares {kind = "int", low = 3, high = 6})
    assert.same({1, 4, 7}, shares {kind = "int", low = 1, high = 9, step = 3})
    assert.same({"a", "b", "c"}, shares {kind = "choice", choice = {"a", "b", "c"}})
    local steps = shares {kind = "float", low = 0, high = 1, step = 0.3}
    for i, want in ipairs {0, 0.3, 0.6, 0.9} do assert.near(want, steps[i], 1e-12) end
  end)

  it("of a logarithmic integer follows Optuna: half a step of room at both ends", function ()
    local p = space.check({{name = "x", kind = "int", low = 1, high = 8, log = true}})[1]
    local edge = math.log(1.5 / 0.5) / math.log(8.5 / 0.5)
    assert.equal(1, space.at(p, edge - 1e-9))
    assert.equal(2, space.at(p, edge + 1e-9))
    assert.equal(8, space.at(p, 1))
    assert.equal("integer", math.type(space.at(p, 0.3)))
  end)
end)
