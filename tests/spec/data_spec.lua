-- Data sets: from tables, from files, from texts; what is wrong with one is told with its place.
local lurn = require "lurn"
local core, h5 = lurn.core, lurn.h5

local made = {}

local function temp ()
  local name = os.tmpname()
  os.remove(name)
  made[#made + 1] = name
  return name
end

after_each(function ()
  for _, name in ipairs(made) do os.remove(name) end
  made = {}
end)

local function spit (path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

-- Writes a set by hand: `what` overrides the pieces of one that is in order; false leaves one out.
local function write (path, what, attrs)
  local w <close> = assert(h5.create(path))
  local pieces = {x = lurn.tensor {{1}, {2}, {3}}, offsets = {0, 2, 3}}
  for name, value in pairs(what) do pieces[name] = value end
  for name, value in pairs(pieces) do if value then assert(w:write("/" .. name, value)) end end
  local all = {lurn_schema = 1}
  for key, value in pairs(attrs or {}) do all[key] = value end
  for key, value in pairs(all) do if value then assert(w:attr("/", key, value)) end end
  assert(w:commit())
end

local function import (text, options)
  local path, out = temp(), temp()
  spit(path, text)
  local o = {path = path, out = out}
  for key, value in pairs(options or {}) do o[key] = value end
  local done, message, code = core.text(o)
  if not done then return nil, message, code end
  return assert(core.dataset.open(out)), out
end

describe("a data set", function ()
  it("is made of tables", function ()
    local d = core.dataset {
      {x = {{1, 2}, {3, 4}, {5, 6}}, y = 1}, {x = lurn.tensor {{7, 8}}, y = 2},
      split = {train = {1, 1}, test = {{2, 2}}}, source = "here"
    }
    assert.same({2, 4, 2, 2, "sequence"}, {d.n, d.total, d.dim, d.nclass, d.targets})
    assert.same({3, 1}, d.lengths)
    assert.same({train = {{1, 1}}, test = {{2, 2}}}, d.splits)
    assert.equal("here", d.source)
    assert.is_nil(d.vocab)
    assert.same({{7, 8}}, d:sequence(2).x:totable())
    assert.same({2}, d:sequence(2).y:totable())
    assert.equal(2, #d)
  end)

  it("tells ids from reals", function ()
    assert.equal(3, core.dataset {{x = {1, 2, 3}}}.vocab_size)
    assert.equal(1, core.dataset {{x = {1.0, 2, 3}}}.dim)
    assert.equal(5, core.dataset {{x = {1}}, vocab = {"a", "b", "c", "d", "e"}}.vocab_size)
  end)

  it("is saved and opened again, whole and by pages", function ()
    local path = temp()
    local d = core.dataset {
      {x = {1, 2, 3}, y = {0.5, 1, 2}, mask = {1, 0, 1}}, {x = {300}, y = {9.0}, mask = {1}}, split = {train = {1, 2}}
    }
    assert(d:save(path))
    for _, whole in ipairs {1 << 20, 0} do
      local e = assert(core.dataset.open(path, whole))
      assert.equal(d:hash(), e.sha256)
      assert.equal(d:hash(), e:hash())
      assert.equal("step", e.targets)
      assert.same({1, 2, 3}, e:sequence(1).x:totable())
      assert.same({{9}}, e:sequence(2).y:totable())
      assert.same(d.splits, e.splits)
      e:close()
    end
  end)

  it("has a hash of its content alone", function ()
    local function hash (t) return core.dataset(t):hash() end
    assert.equal(hash {{x = {1, 2}}}, hash {{x = lurn.ids {1, 2}}, source = "elsewhere"})
    assert.not_equal(hash {{x = {1, 2}}}, hash {{x = {2, 1}}})
    assert.not_equal(hash {{x = {1, 2}}}, hash {{x = {1}}, {x = {2}}})
    assert.not_equal(hash {{x = {1, 2}}}, hash {{x = {1, 2}}, split = {train = {1, 1}}})
  end)

  it("refuses tables that do not fit together", function ()
    for why, t in pairs {
      ["not one frame"] = {}, ["no x"] = {{y = 1}}, ["not like"] = {{x = {1, 2}}, {x = {1.5}}},
      ["3 steps of x and 2 of y"] = {{x = {1, 2, 3}, y = {1, 2}}}, ["not a number"] = {{x = {0 / 0}}},
      ["infinite"] = {{x = {1 / 0}}}, ["expected 0 to 1"] = {{x = {1, 3}}, vocab = {"a", "b"}},
      ["split a: range 1 to 5"] = {{x = {1}}, split = {a = {1, 5}}}, ["ids count from 1"] = {{x = {-4}}},
    } do
      assert.error_matches(function () core.dataset(t) end, why)
    end
  end)

  it("refuses ids in columns, and a mask of ids", function ()
    local pairs_, long = {}, {}
    for t = 1, 40 do pairs_[t], long[t] = {t, t + 1}, t end
    for why, t in pairs {
      ["x: 2 ids a step, expected one"] = {{x = lurn.ids(pairs_)}},
      ["y: 40 ids a sequence, expected one"] = {{x = long, y = long}, targets = "sequence"},
      ["labels: 2 ids a step"] = {{x = {1, 2}, labels = lurn.ids {{1, 2}}}},
      ["mask: expected real numbers, the weights, got ids"] = {{x = long, mask = lurn.ids(long)}},
    } do
      assert.error_matches(function () core.dataset(t):sequence(1) end, why)
    end
    local reals = core.dataset {{x = {{1, 2}, {3, 4}}, y = {1.0, 2.0}}, targets = "sequence"}
    assert.same({{1, 2}}, reals:sequence(1).y:totable())
  end)

  it("names the place of a fault", function ()
    assert.error_matches(function () core.dataset {{x = {{1, 2}}}, {x = {{1, 2}, {3, 0 / 0}}}} end,
                         "x of sequence 2, step 2, column 2: not a number")
  end)
end)

describe("a data set file", function ()
  it("may be written by hand", function ()
    local path = temp()
    write(path, {y = lurn.ids {1, 2}})
    local d = assert(core.dataset.open(path))
    assert.equal("sequence", d.targets)
    assert.same({2, 1}, d.lengths)
  end)

  it("is refused with one message when something is wrong", function ()
    for why, case in pairs {
      ["no attribute lurn_schema"] = {{}, {lurn_schema = false}}, ["another schema"] = {{}, {lurn_schema = 7}},
      ["/x is missing"] = {{x = false}}, ["/offsets: missing"] = {{offsets = false}},
      ["numbers, got"] = {{x = lurn.tensor {{{1}}}}}, ["offsets go from 0 to 9"] = {{offsets = {0, 2, 9}}},
      ["ends before it begins"] = {{offsets = {0, 4, 2, 3}}}, ["not one frame"] = {{offsets = {0}}},
      ["N%+1 integers"] = {{offsets = lurn.tensor {0, 3}}}, ["expected %(K, 2%)"] = {{["split/train"] = {1, 2}}},
      ["range 1 to 9"] = {{["split/train"] = {{0, 9}}}}, ["expected a list of texts"] = {{vocab = 3}},
      ["y: 7 rows, expected 3"] = {{y = lurn.tensor {1, 2, 3, 4, 5, 6, 7}}},
      ["id 2, expected 0 to 1"] = {{x = lurn.ids {1, 3, 1}, vocab = {"a", "b"}}},
      ["step 1, column 1: infinite"] = {{x = lurn.tensor {1, 2, 1 / 0}}},
      ["expected a text"] = {{}, {kind = 4}},
      ["unknown: id 2, expected %-1 %(none%) or one of the vocabulary, 0 to 1"] =
        {{x = lurn.ids {1, 2, 1}, vocab = {"a", "b"}}, {unknown = 2}},
      ["unknown: id %-2"] = {{}, {unknown = -2}},
    } do
      local path = temp()
      write(path, case[1], case[2])
      local d, message, code = core.dataset.open(path)
      assert.is_nil(d)
      assert.matches(why, message)
      assert.equal("EFORMAT", code)
      assert.equal(1, (message:find(path, 1, true)))
    end
  end)

  it("cut short anywhere is refused", function ()
    local path = temp()
    write(path, {y = lurn.ids {1, 2}})
    local f = assert(io.open(path, "rb"))
    local whole = f:read "a"
    f:close()
    for size = 0, #whole - 1, 61 do
      spit(path, whole:sub(1, size))
      local d, message = core.dataset.open(path)
      assert.is_nil(d)
      assert.is_string(message)
    end
  end)

  it("with damaged bytes never brings more than a message", function ()
    local path = temp()
    write(path, {y = lurn.ids {1, 2}, vocab = {"a", "b"}})
    local f = assert(io.open(path, "rb"))
    local whole = f:read "a"
    f:close()
    -- HDF5 itself is not safe against damage to its own structures, so only the numbers are hit.
    local at = whole:find(string.pack("<i8i8i8", 0, 2, 3), 1, true)
    for _, value in ipairs {-1, 3, 1 << 40, math.mininteger} do
      spit(path, whole:sub(1, at + 7) .. string.pack("<i8", value) .. whole:sub(at + 16))
      local d, message = core.dataset.open(path)
      assert.truthy(d and value == 3 or d == nil and type(message) == "string")
    end
  end)
end)

describe("a text", function ()
  it("becomes characters in the order of code points", function ()
    local d, out = import("b\u{e9}a\u{20ac}b\u{1f600}", {split = {1}})
    assert.same({"a", "b", "\u{e9}", "\u{20ac}", "\u{1f600}"}, d.vocab)
    assert.same({2, 3, 1, 4, 2, 5}, d:sequence(1).x:totable())
    assert.same({"text", "char", "next", "frame"}, {d.kind, d.level, d.targets, d.unit})
    assert.same({train = {{1, 6}}}, d.splits)
    assert.equal(d:hash(), d.sha256)
    local r <close> = assert(h5.open(out))
    assert.equal("u8", select(2, r:shape "/x"))
  end)

  it("becomes bytes", function ()
    local d = import("\255\0a", {level = "byte"})
    assert.same({"", "a", "\u{ff}"}, d.vocab)
    assert.same({3, 1, 2}, d:sequence(1).x:totable())
  end)

  it("may have more than 256 symbols", function ()
    local t = {}
    for c = 0x4e00, 0x4e00 + 999 do t[#t + 1] = utf8.char(c) end
    local d = import(table.concat(t))
    assert.equal(1000, d.vocab_size)
    assert.equal(d:hash(), d.sha256)
    assert.equal(1000, d:sequence(1).x:totable()[1000])
  end)

  it("is cut into splits by parts", function ()
    assert.same({train = {{1, 90}}, valid = {{91, 95}}, test = {{96, 100}}}, import(("ab"):rep(50)).splits)
    assert.same({train = {{1, 8}}, valid = {{9, 10}}}, import(("a"):rep(10), {split = {4, 1}}).splits)
    assert.same({{1, 1}}, import("x").splits.train)
  end)

  it("may be told in a table that makes its answers anew", function ()
    local path, out = temp(), temp()
    spit(path, "abcab")
    local long = ("/."):rep(40)      -- equal texts up to 40 bytes are one in Lua, and kept by whoever has one
    local answers, kept = {path = long .. path, out = long .. out, source = ("source"):rep(20)}, {}
    local options = setmetatable({}, {__index = function (_, key)
      collectgarbage()
      for i = 1, 100 do kept[#kept + 1] = ("x"):rep(60 + i) end      -- takes the memory of what was let go
      return answers[key] and answers[key]:sub(1, -2) .. answers[key]:sub(-1)
    end})
    assert.equal(answers.out, (assert(core.text(options))))
    assert.equal(answers.source, assert(core.dataset.open(out)).source)
  end)

  it("goes across the edges of what is read at a time", function ()
    local text = ("a"):rep((1 << 20) - 1) .. "\u{20ac}" .. ("b"):rep(10)
    local d = import(text)
    assert.equal((1 << 20) + 10, d.total)
    assert.same({"a", "b", "\u{20ac}"}, d.vocab)
  end)

  it("uses a frozen vocabulary", function ()
    local d = import "abcab"
    assert.same({3, 1}, import("ca", {vocab = d}):sequence(1).x:totable())
    local _, message, code = import("cax", {vocab = d})
    assert.matches("U%+0078", message)
    assert.equal("EFORMAT", code)
    local e = import("aaabbbc", {min_count = 2})
    assert.same({"a", "b", "<unk>"}, e.vocab)
    assert.equal(3, e.unknown)
    assert.same({3, 1, 3}, import("xa<", {vocab = e}):sequence(1).x:totable())
  end)

  it("is refused when there is none, or when it is none", function ()
    local _, message, code = import ""
    assert.matches("empty", message)
    assert.equal("EFORMAT", code)
    for _, bad in ipairs {"a\xff", "a\xc3", "a\xc3(", "a\xc0\x80", "a\xed\xa0\x80", "a\xf4\x90\x80\x80", "a\x80"} do
      _, message = import(bad)
      assert.matches("not UTF%-8 at byte offset %d", message)
    end
    _, message, code = core.text {path = "/nowhere/a.txt", out = temp()}
    assert.matches("cannot be opened", message)
    assert.equal("EIO", code)
    _, message = core.text {path = arg[0], out = "/nowhere/a.h5", level = "byte"}
    assert.matches("No such file", message)
  end)
end)
