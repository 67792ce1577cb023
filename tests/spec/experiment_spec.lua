local lurn = require("fake").new()

local function experiment (params)
  return lurn.experiment {name = "test", params = params, run = function () return 0 end}
end

local e = experiment {
  data = "book.txt", epochs = 10, rate = 0.5, tied = false,
  hidden = {128, int = {32, 512}, log = true, help = "width"},
  cell = {"lstm", choice = {"rnn", "lstm"}},
  k = {2, choice = {1, 2, 4}},
  layers = {2, int = {1, 3}},
  dropout = {0, float = {0, 0.5}, when = function (p) return p.layers > 1 end},
  note = {help = "optional"},
}

describe("an experiment", function ()
  it("fills in defaults of the declared types", function ()
    local p = assert(e:resolve {})
    assert.same({data = "book.txt", epochs = 10, rate = 0.5, tied = false, hidden = 128, cell = "lstm", k = 2,
      layers = 2, dropout = 0.0}, p)
    assert.equal("float", math.type(p.dropout))
    assert.equal("integer", math.type(p.epochs))
  end)

  it("reads values from the command line's words", function ()
    local p = assert(e:parse {data = "7", epochs = "3", rate = "1", tied = "true", hidden = "64", k = "4",
      dropout = "1e-1", note = "x"})
    assert.same({data = "7", epochs = 3, rate = 1.0, tied = true, hidden = 64, k = 4, dropout = 0.1, note = "x"}, p)
    assert.equal("float", math.type(p.rate))
  end)

  it("takes values from outside the range that a sweep looks in", function ()
    assert.equal(7, e:parse({hidden = "7"}).hidden)
    assert.equal(7, e:resolve({hidden = 7}).hidden)
  end)

  it("says what is wrong with a word", function ()
    local function why (words) return select(2, e:parse(words)) end
    assert.equal("parameter 'hidden' must be an integer, got 'many'", why {hidden = "many"})
    assert.equal("parameter 'epochs' must be an integer, got 0.5", why {epochs = "0.5"})
    assert.equal("parameter 'cell' must be one of rnn, lstm, got 'gru'", why {cell = "gru"})
    assert.equal("parameter 'tied' must be true or false, got 'maybe'", why {tied = "maybe"})
    assert.equal("parameter 'dropout' must be a number, got 'nan'", why {dropout = "nan"})
    assert.matches("'dropout' must be a number, got %-?nan", select(2, e:resolve {dropout = 0 / 0}))
    assert.equal("unknown parameter 'hidden_size', did you mean 'hidden'?", why {hidden_size = "7"})
    assert.equal("unknown parameter 'n_layers', did you mean 'layers'?", why {n_layers = "7"})
  end)

  it("holds back parameters that mean nothing", function ()
    assert.equal(0.25, e:resolve({dropout = 0.25}).dropout)
    assert.equal(0.0, e:resolve({layers = 1}).dropout)
    local p, message = e:resolve {layers = 1, dropout = 0.25}
    assert.is_nil(p)
    assert.matches("'dropout' means nothing", message)
  end)

  it("lists its parameters with ranges", function ()
    local text = e:help()
    assert.matches("%-%-hidden%s+128%s+int 32%.%.512, log: width", text)
    assert.matches("%-%-cell%s+lstm%s+rnn|lstm", text)
    assert.matches("%-%-note%s+string: optional", text)
  end)

  it("refuses wrong descriptions", function ()
    local function why (params) return select(2, pcall(experiment, params)) end
    assert.matches("default of parameter 'x' must be between 1 and 2, got 3", why {x = {3, int = {1, 2}}})
    assert.matches("one of choice, int and float", why {x = {3, int = {1, 5}, float = {1, 5}}})
    assert.matches("low <= high", why {x = {3, int = {5, 1}}})
    assert.matches("starts above 0", why {x = {3, int = {0, 5}, log = true}})
    assert.matches("unknown option 'ints'", why {x = {3, ints = {1, 5}}})
    assert.matches("a default is a number, a string or a boolean", why {x = print})
    assert.matches("an option of lurn run", why {seed = 1})
    assert.error_matches(function () lurn.experiment {name = "x"} end, "'run' is missing")
    assert.error_matches(function () lurn.experiment {name = "a/b", run = print} end, "becomes a file's name")
    assert.error_matches(function () lurn.experiment {name = "x", direction = "up", run = print} end,
      "one of minimize, maximize")
  end)

  it("is loaded from a script", function ()
    local path = os.tmpname()
    local function load_text (text)
      local f = assert(io.open(path, "w"))
      f:write(text)
      f:close()
      return lurn.experiment.load(path)
    end
    rawset(_G, "lurn_under_test", lurn)
    local loaded = assert(load_text 'return lurn_under_test.experiment {name = "a", run = function () return 5 end}')
    assert.equal(5, (loaded:run({}, {write = false, quiet = true})))
    assert.matches("does not return lurn.experiment", select(2, load_text "return 1"))
    assert.matches("syntax error near <eof>", select(2, load_text "x"))
    assert.matches("oh no", select(2, load_text "error 'oh no'"))
    rawset(_G, "lurn_under_test", nil)
    os.remove(path)
    local none, message, code = lurn.experiment.load "/nonexistent.lua"
    assert.is_nil(none)
    assert.matches("/nonexistent.lua", message)
    assert.equal("EIO", code)
  end)
end)
