-- Times, sizes and rates as people say and write them, and words as a shell takes them.

local lurn = require "lurn"
local quantity, shell = lurn.quantity, lurn.shell

describe("quantities", function ()
  it("are said as people do", function ()
    assert.equal("12s", quantity.duration(12.3))
    assert.equal("3m05s", quantity.duration(185))
    assert.equal("2h07m", quantity.duration(7620))
    assert.equal("1d01h", quantity.duration(90000))
    assert.equal("54.3k", quantity.rate(54321))
    assert.equal("1.20M", quantity.rate(1.2e6))
    assert.equal("?", quantity.rate(0 / 0))
    assert.equal("950 bytes", quantity.size(950))
    assert.equal("54.3 kB", quantity.size(54321))
    assert.equal("999.7 kB", quantity.size(999700))
    assert.equal("2000.0 TB", quantity.size(2e15))
  end)

  it("are read with their units, or not at all", function ()
    assert.equal(90, quantity.seconds "90")
    assert.equal(900, quantity.seconds "15m")
    assert.equal(7200, quantity.seconds "2h")
    assert.equal(500000000, quantity.bytes "500MB")
    assert.equal(2000000000, quantity.bytes "2g")
    assert.equal("integer", math.type(quantity.bytes "1.5kB"))
    assert.equal(1536, quantity.bytes "1.5 KiB")
    for _, text in ipairs {"", "m", "1w", "-1", "1..2", "2 h 3"} do
      assert.is_nil(quantity.seconds(text))
      assert.is_nil(quantity.bytes(text))
    end
  end)
end)

describe("a word for a shell", function ()
  it("arrives as it was", function ()
    for _, word in ipairs {"", "a b", "it's", "$HOME `id` \"\\", "--lr=1e-3", "=ls", "*", "a\nb", "-"} do
      for _, how in ipairs {"quote", "word"} do
        local pipe = io.popen("printf %s. " .. shell[how](word))
        assert.equal(word .. ".", pipe:read "a")
        pipe:close()
      end
    end
    assert.equal("runs/a-1.h5", shell.word "runs/a-1.h5")
  end)
end)
