local schema = require "lurn.schema" {}

local LSTM = {
  hidden = {"integer", 128, {1, 1e6}, "width"}, layers = {"integer", 1}, lr = {"number"}, cell = {"string", "lstm",
    {"rnn", "lstm"}}, init = {"string|table|function"}, size = {"integer", schema.required, nil, "how many classes"},
  bias = {"boolean", true},
}

local function message (options)
  local ok, text = pcall(schema.check, "lurn.lstm", options, LSTM)
  assert.is_false(ok)
  return text
end

describe("an option table", function ()
  it("gets its defaults, and is itself left alone", function ()
    local given = {size = 3, bias = false}
    local o = schema.check("lurn.lstm", given, LSTM)
    assert.same({hidden = 128, layers = 1, cell = "lstm", size = 3, bias = false}, o)
    assert.same({size = 3, bias = false}, given)
  end)

  it("knows other libraries' words", function ()
    for theirs, ours in pairs {hidden_size = "hidden", rnn_size = "hidden", units = "hidden", num_layers = "layers",
      learning_rate = "lr", learningRate = "lr"} do
      assert.matches("unknown option '" .. theirs .. "', did you mean '" .. ours .. "'%?", message {[theirs] = 1})
    end
  end)

  it("names the nearest known option, or none", function ()
    assert.matches("did you mean 'layers'", message {layrs = 1})
    assert.matches("did you mean 'hidden'", message {hiden = 1})
    assert.matches("did you mean 'hidden'", message {Hidden = 1})
    assert.not_matches("did you mean", message {quux = 1})
    assert.matches("known: bias, cell, hidden, init, layers, lr, size", message {quux = 1})
  end)

  it("checks types, ranges, choices and what must be there", function ()
    assert.matches("lurn.lstm: option 'hidden' must be integer, got 'a'", message {size = 1, hidden = "a"})
    assert.matches("must be integer, got 1.5", message {size = 1, hidden = 1.5})
    assert.matches("between 1 and 1e%+06, got 0", message {size = 1, hidden = 0})
    assert.matches("one of rnn, lstm, got 'gru'", message {size = 1, cell = "gru"})
    assert.matches("must be string or table or function, got true", message {size = 1, init = true})
    assert.matches("option 'size' is missing %(how many classes%)", message {})
    assert.matches("must be integer, got %-?nan", message {size = 0 / 0})
    assert.matches("expected a table of options, got 3", message(3))
  end)

  it("turns whole floats into integers", function ()
    assert.equal("integer", math.type(schema.check("x", {size = 3.0}, LSTM).size))
  end)

  it("takes a list when it declares one", function ()
    local o = schema.check("stack", {1, 2, size = 3}, {{"number"}, size = {"integer"}})
    assert.same({1, 2, size = 3}, o)
    assert.error_matches(function () schema.check("stack", {1, "b"}, {{"number"}}) end, "%[2%]")
    assert.error_matches(function () schema.check("stack", {1}, {size = {"integer"}}) end, "unknown option '1'")
  end)

  it("blames the line of the caller", function ()
    local function lstm (options)
      local o = schema.check("lurn.lstm", options, LSTM)     -- no tail call: that would lose the frame
      return o
    end
    local line = debug.getinfo(1, "l").currentline + 2
    local _, text = pcall(function ()
      local layer = lstm {wrong = 1}
      return layer
    end)
    assert.matches("schema_spec.lua:" .. line .. ": ", text)
  end)

  it("measures distances of words", function ()
    assert.equal(0, schema.distance("abc", "abc"))
    assert.equal(3, schema.distance("", "abc"))
    assert.equal(1, schema.distance("abc", "acb"))
    assert.equal(3, schema.distance("kitten", "sitting"))
  end)
end)
