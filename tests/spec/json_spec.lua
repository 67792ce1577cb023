local json = require "lurn.json" {}

describe("json", function ()
  it("reads back every number it wrote, bit for bit", function ()
    local x = 0.5
    local numbers = {0.1 + 0.2, 1e300, 5e-324, 2^53, -0.0, 1 / 3, math.pi, math.mininteger, math.maxinteger, 0, 1.0}
    for i = 1, 500 do
      x = (x * 997.13 + i) % 1
      numbers[#numbers + 1] = x * 10.0^(i % 60 - 30)
    end
    local back = assert(json.decode(json.encode(numbers)))
    for i, n in ipairs(numbers) do
      assert.equal(math.type(n), math.type(back[i]))
      assert.equal(string.pack("n", n), string.pack("n", back[i]))
    end
  end)

  it("keeps integers and floats apart", function ()
    assert.equal("[1,1.0,1e+16,-0.0]", json.encode {1, 1.0, 1e16, -0.0})
  end)

  it("says what JSON cannot as strings, and takes them back when asked", function ()
    local text = json.encode {a = 0 / 0, b = math.huge, c = -math.huge}
    assert.equal('{"a":"NaN","b":"Infinity","c":"-Infinity"}', text)
    local back = json.decode(text, {nonfinite = true})
    assert.is_true(back.a ~= back.a)
    assert.equal(math.huge, back.b)
    assert.equal(-math.huge, back.c)
    assert.equal("NaN", json.decode(text).a)
  end)

  it("sorts keys", function ()
    assert.equal('{"1":true,"a":{"b":1,"c":2},"z":[]}', (json.encode({z = {}, a = {c = 2, b = 1}, [1] = true})
      :gsub("{}", "[]")))
  end)

  it("escapes, and keeps documents valid when a string is not UTF-8", function ()
    assert.equal([["a\"\\\n\t\u0001ä"]], json.encode 'a"\\\n\t\1ä')
    assert.equal([["\u00ff"]], json.encode "\255")
    assert.equal("ä😀\0", json.decode [["\u00e4\ud83d\ude00\u0000"]])
  end)

  it("raises on what a file cannot hold, and says where", function ()
    assert.error_matches(function () json.encode({a = {b = print}}, {name = "run.state"}) end,
      "run.state.a.b is a function")
    local loop = {}
    loop.loop = loop
    assert.error_matches(function () json.encode(loop) end, "contains itself")
    assert.error_matches(function () json.encode {[{}] = 1} end, "keys are strings")
  end)

  it("refuses broken text with the place", function ()
    for _, bad in ipairs {"", "{", "[1,]", "01", '{"a" 1}', "1 2", '"abc', "nul", "[1", '{"a":1,}', '"\\x"', "-",
      '"a\nb"', "+1", ".5", "1.e", ("["):rep(100000), '{"a":1', '[1}', '"\\u12"'} do
      local value, message = json.decode(bad)
      assert.is_nil(value)
      assert.matches("^json: .* at byte %d+ %(line %d+%)$", message)
    end
    assert.equal(false, json.decode " false ")
  end)

  it("reads the same in C as in Lua", function ()
    local quick = require "lurn".json
    local words = {"{", "}", "[", "]", ",", ":", " ", "\n", '"a"', '"b\\n\\"c"', '"\\u00e4"', '"NaN"', '"\127"', "0",
      "-0.0", "1e5", "12345678901234567890", "0.1", "01", "true", "false", "null", "nul", "x", '"'}
    local x, read = 0.5, 0
    for _ = 1, 20000 do
      local parts = {}
      for k = 1, 1 + x * 9 // 1 do
        x = (x * 997.13 + 0.01) % 1
        parts[k] = words[1 + x * #words // 1 | 0]
      end
      local text = table.concat(parts)
      for _, options in ipairs {{}, {nonfinite = true, null = json.null}} do
        local ours, why = json.decode(text, options)
        local value, message = quick.decode(text, options)
        assert.equal(why, message)
        assert.equal(json.encode(ours), json.encode(value))
        if not why then read = read + 1 end
      end
    end
    assert.is_true(read > 1000)
  end)
end)
