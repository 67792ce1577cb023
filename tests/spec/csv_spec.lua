-- Tables of text as data sets: cells, sequences, missing values, splits, normalisation, windows; what is wrong is told
-- with its line and column. The whole way on the command line is in predict_spec.lua.

local lurn = require "lurn".f64
local read = require "lurn.csv_read"

local paths = {}
local function spit (text, name)
  local path = os.tmpname()
  os.remove(path)
  path = path .. (name or ".csv")
  paths[#paths + 1] = path
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  return path
end

after_each(function () while paths[1] do os.remove(table.remove(paths)) end end)

local function load (text, options) return assert(lurn.csv(spit(text), options)) end

local function xs (data, i) return data.set:sequence(i).x:totable() end
local function ys (data, i) return data.set:sequence(i).y:totable() end

describe("cells", function ()
  local function cells (text, sep)
    local list = read.rows(text, sep or ",")
    for _, row in ipairs(list) do row.line = nil end
    return list
  end

  it("are quoted or not, in lines of either kind", function ()
    assert.same({{"a", "b"}, {"1", "2"}}, cells "a,b\n1,2")
    assert.same({{"a", "b"}, {"1", "2"}}, cells "\239\187\191a , b\r\n\r\n1,2\r\n")
    assert.same({{"a,b", 'say "x"', ""}, {"two\nlines", "", "3"}}, cells '"a,b","say ""x""",\n"two\nlines",,3\n')
    assert.same({{"a b", "c"}}, cells("a b\tc", "\t"))
    assert.same({{"1.5", "2"}}, cells("1.5;2", ";"))
    assert.same({{"a", "b"}}, cells("a|b", "|"))
  end)

  it("that are wrong are told with their line", function ()
    local function refused (pattern, text, options)
      options = options or {x = "a", y = "b"}
      local data, message, code = lurn.csv(spit(text), options)
      assert.is_nil(data)
      assert.equal("EINVAL", code)
      assert.matches(pattern, message)
    end
    refused("%.csv:3: column 1 %('a'%): 'x7' is not a number", "a,b\n1,2\nx7,3\n")
    refused("%.csv:4: column 2 %('b'%): '1,5' is not a number", 'a,b\n\n1,2\n2,"1,5"\n', {x = {"a", "b"}})
    refused("%.csv:3: column 1 %('a'%) is empty; missing = \"drop\", \"fill\" or a number", "a,b\n1,2\n,3\n")
    refused("%.csv:2: column 1 %('a'%) is empty, and there is no value before", "a,b\n,2\n",
      {x = "a", missing = "fill"})
    refused("%.csv:3: 3 cells, and the table has 2 columns", "a,b\n1,2\n1,2,3\n")
    refused("%.csv:2: a quote is opened and never closed", 'a,b\n"1,2\n')
    refused("%.csv:2: text behind a closing quote", 'a,b\n"1"x,2\n')
    refused("no column 'temp', did you mean 'tmp'%?", "tmp,b\n1,2\n", {x = "temp"})
    refused("columns 1 and 3 are both called 'a'", "a,b,a\n1,2,3\n")
    refused("the table is empty", "")
    refused("no column 'a' %(columns: a;b%) %(its cells seem to end at ';'; sep says so%)", "a;b\n1;2\n")
    refused("3 cells, and the table has 1 columns %(its cells seem to end at tabs; sep says so%)", "a\tb\n1,5\t2,5\n")
    refused("%.csv:1: is UTF%-16", "\255\254a\0,\0b\0\n\0001\0,\0002\0\n\0")
    refused("%.csv:1: is not UTF%-8; save the table as UTF%-8$", "Gr\246\223e,k\n1,2\n", {x = "Größe"})
    refused("%.csv:3: is not UTF%-8; save", "a,k\n1,rot\n2,gr\252n\n", {x = "a", y = "k"})
    load("a,k\n1,rot\n2,gr\252n\n", {x = "a"})      -- in a column that is not asked for
    refused("no sequence is left", "a,b\n")
    local data, message = lurn.csv("/nowhere/at all.csv", {x = "a"})
    assert.is_nil(data)
    assert.matches("nowhere", message)
    assert.error_matches(function () lurn.csv("x.csv", {x = "a", windw = 3}) end, "did you mean 'window'")
    assert.error_matches(function () lurn.csv("x.csv", {x = {}}) end, "lurn.csv: x: no columns$")
  end)
end)

describe("a table", function ()
  it("is one sequence, or several, sorted by time", function ()
    local one = load("a,b\n1,10\n2,20\n", {x = "a", y = "b"})
    assert.same({{1}, {2}}, xs(one, 1))
    assert.same({{10}, {20}}, ys(one, 1))
    local many = load("id,t,a\nu,2,1\nv,1,5\nu,1,3\nv,0,7\n", {sequence = "id", time = "t", x = {"a", "t"}})
    assert.same({{3, 1}, {1, 2}}, xs(many, 1))
    assert.same({{7, 0}, {5, 1}}, xs(many, 2))
    assert.same({{2}, {1}}, xs(load("2\n1\n", {x = "1", header = false}), 1))
  end)

  it("is sorted by dates as by numbers", function ()
    local data = load("t,a\n2024-03-10,3\n2024-03-02T14:30:05Z,2\n2024-03-02 14:30,1\n2023-12-31,0\n",
      {x = "a", time = "t"})
    assert.same({{0}, {1}, {2}, {3}}, xs(data, 1))
    local function refused (pattern, ...)
      local no, message = lurn.csv(spit("t,a\n" .. table.concat({...}, ",3\n") .. ",2\n"), {x = "a", time = "t"})
      assert.is_nil(no)
      assert.matches("%.csv:" .. select("#", ...) + 1 .. ": column 1 %('t'%): " .. pattern, message)
    end
    for _, other in ipairs {"5", "10.03.2024", "", "2024-03-02 noon"} do
      refused("'.*' is not a date as 2024%-03%-10 is$", "2024-03-10", other)
    end
    refused("'.-%+01:00' has a zone; the only one that sorts is Z, .*$", "2024-03-10", "2024-03-02T14:30+01:00")
    refused("'.- %-0500' has a zone", "2024-03-02 14:30 -0500")
    refused("'2023%-01%-02 01:00 PM' is of a clock of 12 hours, .*$", "2023-01-02 01:00 PM")
    refused("'2023%-01%-02 noon' is not a date as 2024%-03%-02 14:30 is$", "2023-01-02 noon")
    for _, first in ipairs {"02.01.2023", "noon", "1/2/2023 4:00"} do
      refused("'" .. first .. "' is no time: numbers, or dates as 2024%-03%-02 14:30$", first)
    end
    refused("'2024%-03%-02' is no time", "5", "2024-03-02")
  end)

  it("has decimal commas where it is said", function ()
    local text = "a;b;k\n1,5;-2,25e1;x,1\n3;,5;y\n"
    local data = load(text, {x = {"a", "b"}, y = "k", sep = ";", decimal = ","})
    assert.same({{1.5, -22.5}, {3, 0.5}}, xs(data, 1))
    assert.same({"x,1", "y"}, data.set.classes)
    assert.same({{1.5}}, xs(load('a,k\n"1,5",1\n', {x = "a", decimal = ","}), 1))
  end)

  it("knows what its sequences are called, whatever becomes of them", function ()
    local text = "id,a\nv,1\nu,2\nv,3\nu,4\nempty,\nw,5\n"
    assert.same({"v", "u", "w"}, load(text, {sequence = "id", x = "a", missing = "drop"}).names)
    assert.same({"v", "u"}, load(text, {sequence = "id", x = "a", missing = "drop", window = 2}).names)
    assert.is_nil(load(text, {x = "a", missing = "drop"}).names)
  end)

  it("has the classes and the scale of another table, when they are given", function ()
    local first = load("a,k\n1,up\n3,down\n", {x = "a", y = "k", normalise = true})
    local o = {x = "a", y = "k", normalise = first.normalisation, class = first.set.classes}
    local second = load("a,k\n5,up\n", o)
    assert.same({{3}}, xs(second, 1))
    assert.same({2}, ys(second, 1))
    assert.same({"down", "up"}, second.set.classes)
    local refused, message = lurn.csv(spit "a,k\n1,up\n5,left\n", o)
    assert.is_nil(refused)
    assert.matches("%.csv:3: column 2 %('k'%): 'left' is no class: down, up", message)
    o.x, o.y, o.class = "b", nil, nil
    assert.error_matches(function () lurn.csv(spit "b\n1\n", o) end, "x was of columns a, here they are b")
    o.normalise = {}
    assert.error_matches(function () lurn.csv(spit "b\n1\n", o) end, "normalise: expected true")
    local y = load("a,y\n1,10\n3,30\n", {x = "a", y = "y", normalise = true}).normalisation
    assert.same({{3}}, ys(load("a,y\n1,50\n", {x = "a", y = "y", normalise = y}), 1))
  end)

  it("has classes where a target is no number, or where it is said", function ()
    local text = "id,a,k\n1,1,up\n1,2,down\n2,3,\n2,4,up\n"
    local data = load(text, {sequence = "id", x = "a", y = "k"})
    assert.same({"down", "up"}, data.set.classes)
    assert.same({2, 1}, ys(data, 1))
    assert.same({0, 2}, ys(data, 2))
    assert.same({2}, ys(load(text, {sequence = "id", x = "a", y = "k", targets = "sequence"}), 2))
    local numbers = load("a,k\n1,10\n2,9\n3,10\n", {x = "a", y = "k", class = true})
    assert.same({"9", "10"}, numbers.set.classes)
    assert.same({2, 1, 2}, ys(numbers, 1))
  end)

  it("of numbers is not one of classes for a cell that is none", function ()
    local lines = {"a,y"}
    for i = 1, 40 do lines[i + 1] = ("%d,%s"):format(i, i == 30 and "-" or i * 0.5) end
    local text = table.concat(lines, "\n")
    local data, message = lurn.csv(spit(text), {x = "a", y = "y"})
    assert.is_nil(data)
    assert.matches("%.csv:31: column 2 %('y'%): '%-' is not a number %(class = true: every value is a class%)$",
      message)
    assert.equal(40, #load(text, {x = "a", y = "y", class = true}).set.classes)
    assert.same({"1", "a", "b"}, load("a,y\n1,a\n2,1\n3,b\n4,1\n", {x = "a", y = "y"}).set.classes)
  end)

  it("has a number of 0 or 1 for each word of a category", function ()
    local text = "id,sky,t,day\n1,sun,1,10\n1,rain,3,9\n2,sun,5,10\n"
    local data = load(text, {sequence = "id", x = {"t", "sky", "day"}, categories = {"sky", "day"}, normalise = true,
      split = {1, 1, 0}})
    assert.same({"t", "sky=rain", "sky=sun", "day=9", "day=10"}, data.columns)
    assert.same({{-1, 0, 1, 0, 1}, {1, 1, 0, 1, 0}}, xs(data, 1))
    assert.same({{3, 0, 1, 0, 1}}, xs(data, 2))
    assert.same({sky = {"rain", "sun"}, day = {"9", "10"}}, data.csv.categories)
    assert.same(data.columns, data.normalisation.x.columns)
    -- Another table has the words of this one, and no others.
    local o = {x = {"t", "sky", "day"}, categories = data.csv.categories, normalise = data.normalisation}
    assert.same({{1, 0, 1, 1, 0}}, xs(load("t,sky,day\n3,sun,9\n", o), 1))
    local refused, message = lurn.csv(spit "t,sky,day\n3,snow,9\n", o)
    assert.is_nil(refused)
    assert.matches("%.csv:2: column 2 %('sky'%): 'snow' is no category: rain, sun", message)
    -- Without a word: none of them, or the one before.
    local gaps = "sky\nsun\nNA\nrain\n"
    assert.same({{0, 1}, {0, 0}, {1, 0}}, xs(load(gaps, {x = "sky", categories = "sky", missing = 7}), 1))
    assert.same({{0, 1}, {0, 1}, {1, 0}}, xs(load(gaps, {x = "sky", categories = "sky", missing = "fill"}), 1))
    assert.same({{0, 1}, {1, 0}}, xs(load(gaps, {x = "sky", categories = "sky", missing = "drop"}), 1))
  end)

  it("says which columns want to be categories, and which do not", function ()
    local _, message = lurn.csv(spit "sky,t\nsun,1\nrain,2\n", {x = {"sky", "t"}})
    assert.matches("2: column 1 .'sky'.: 'sun' is not a number %(a column of words: categories = {\"sky\"}%)$", message)
    for cell, advice in pairs {["1000,0"] = ' %(decimal = ","%)', ["-0,25"] = ' %(decimal = ","%)', ["1,234"] = "",
                               ["10%"] = "", ["1,234,567"] = "", ["12 kg"] = "", ["2024-03-02"] = "", ["-"] = ""} do
      _, message = lurn.csv(spit(('sky,t\n"%s",1\n'):format(cell)), {x = {"sky", "t"}})
      assert.matches("is not a number" .. advice .. "$", message)
    end
    assert.error_matches(function () lurn.csv(spit "a,b\n1,2\n", {x = "a", categories = "b"}) end,
      "categories: 'b' is no column of x")
    local lines = {"id"}
    for i = 1, 1001 do lines[i + 1] = "u" .. i end
    _, message = lurn.csv(spit(table.concat(lines, "\n")), {x = "id", categories = "id"})
    assert.matches("column 1 %('id'%) has 1001 different words; a category has at most 1000", message)
  end)

  it("with empty cells drops the row, or fills them", function ()
    local text = "a,b\n1,1\n,2\nn/a,3\n4,4\n"
    assert.same({{1, 1}, {4, 4}}, xs(load(text, {x = {"a", "b"}, missing = "drop"}), 1))
    assert.same({{1, 1}, {1, 2}, {1, 3}, {4, 4}}, xs(load(text, {x = {"a", "b"}, missing = "fill"}), 1))
    assert.same({{1, 1}, {-9, 2}, {-9, 3}, {4, 4}}, xs(load(text, {x = {"a", "b"}, missing = -9}), 1))
  end)

  it("is normalised by its training part alone", function ()
    local data = load("a,b,y\n1,5,10\n3,5,30\n100,6,50\n200,7,70\n", {x = {"a", "b"}, y = "y", normalise = true,
      split = {50, 25, 25}})
    assert.same({columns = {"a", "b"}, mean = {2, 5}, deviation = {1, 1}}, data.normalisation.x)
    assert.same({columns = {"y"}, mean = {20}, deviation = {10}}, data.normalisation.y)
    assert.same({{-1, 0}, {1, 0}}, xs(data, 1))
    assert.same({{98, 1}}, xs(data, 2))
    assert.same({{5}}, ys(data, 3))
    assert.same({train = {{1, 1}}, valid = {{2, 2}}, test = {{3, 3}}}, data.set.splits)
    assert.is_nil(load("a,y\n1,10\n3,30\n", {x = "a", y = "y", normalise = "x"}).normalisation.y)
  end)

  it("says what becomes of rows and sequences", function ()
    local text = "id,t,a\nu,1,1\nu,1,2\nu,2,\nu,3,4\nv,1,5\nv,2,6\nw,1,\nx,5,7\nx,6,8\nx,7,9\n"
    local o = {sequence = "id", time = "t", x = "a", missing = "drop", window = 3, split = {60, 40}}
    assert.same({"1 of 10 rows: the time of the row before, again", "2 of 10 rows: dropped for empty cells",
      "1 of 4 sequences: no row is left of them", "1 of 3 sequences: too short for window and horizon",
      "train 1, valid 1 windows"}, load(text, o).notes)
    assert.same({"train 1, valid 2 rows"}, load("a\n1\n2\n3\n", {x = "a", split = {30, 70}}).notes)
    assert.same({}, load("a\n1\n2\n", {x = "a"}).notes)
  end)

  it("becomes windows with a horizon, none of which crosses a split", function ()
    local lines = {"a"}
    for i = 1, 12 do lines[i + 1] = tostring(i) end
    local text = table.concat(lines, "\n")
    local data = load(text, {x = "a", y = "a", window = 3, horizon = 2})
    assert.equal(12 - 3 - 2 + 1, data.set.n)
    assert.same({{1}, {2}, {3}}, xs(data, 1))
    assert.same({{5}}, ys(data, 1))
    assert.same({{12}}, ys(data, 8))
    local parts = load(text, {x = "a", y = "a", window = 2, horizon = 1, stride = 2, split = {6, 6}})
    assert.same({train = {{1, 2}}, valid = {{3, 4}}}, parts.set.splits)
    assert.same({{7}, {8}}, xs(parts, 3))
    assert.same({{9}}, ys(parts, 3))
    local ahead = load(text, {x = "a", y = "a", horizon = 4})
    assert.same({{1}, {2}, {3}, {4}, {5}, {6}, {7}, {8}}, xs(ahead, 1))
    assert.same({{5}, {6}, {7}, {8}, {9}, {10}, {11}, {12}}, ys(ahead, 1))
  end)
end)

describe("a split", function ()
  -- 40 sequences of one row; every fourth is of class b; four to a group.
  local lines = {"id,a,k,g"}
  for i = 1, 40 do lines[i + 1] = ("%d,%d,%s,g%d"):format(i, i, i % 4 == 0 and "b" or "a", (i - 1) // 4) end
  local text = table.concat(lines, "\n")

  local function parts (split)
    local data = load(text, {sequence = "id", x = "a", y = "k", targets = "sequence", split = split})
    local found, seen = {}, 0
    for name, ranges in pairs(data.set.splits) do
      found[name] = {n = 0, b = 0, groups = {}}
      for _, r in ipairs(ranges) do
        for i = r[1], r[2] do
          local p = found[name]
          p.n, p.b, seen = p.n + 1, p.b + ys(data, i)[1] - 1, seen + 1
          p.groups[(i - 1) // 4] = true
        end
      end
    end
    assert.equal(40, seen)
    return found, data.set.splits
  end

  it("is ordered, random, stratified or grouped", function ()
    local _, ranges = parts {50, 25, 25}
    assert.same({train = {{1, 20}}, valid = {{21, 30}}, test = {{31, 40}}}, ranges)
    local p, one = parts {80, 10, 10, by = "random"}
    assert.same({32, 4, 4}, {p.train.n, p.valid.n, p.test.n})
    assert.same(one, select(2, parts {80, 10, 10, by = "random"}))
    assert.not_same(one, select(2, parts {80, 10, 10, by = "random", seed = 2}))
    p = parts {60, 20, 20, by = "stratified"}
    assert.same({24, 6, 8, 2, 8, 2}, {p.train.n, p.train.b, p.valid.n, p.valid.b, p.test.n, p.test.b})
    p = parts {50, 30, 20, by = "grouped", group = "g"}
    assert.same({20, 12, 8}, {p.train.n, p.valid.n, p.test.n})
    for g in pairs(p.train.groups) do assert.is_nil(p.valid.groups[g] or p.test.groups[g]) end
    for g in pairs(p.valid.groups) do assert.is_nil(p.test.groups[g]) end
  end)

  it("says which part got nothing, and why", function ()
    local rows, two = {"a"}, {"id,a"}
    for i = 1, 100 do rows[i + 1], two[i + 1] = tostring(i), ("%d,%d"):format(i % 2, i) end
    rows, two = table.concat(rows, "\n"), table.concat(two, "\n")
    local function refused (pattern, table_of, options)
      options.x = "a"
      local data, message, code = lurn.csv(spit(table_of), options)
      assert.is_nil(data)
      assert.equal("EINVAL", code)
      assert.matches(pattern, message)
    end
    refused("%.csv: split: valid got no sequence %(1 sequence; by = \"ordered\" cuts one by its rows%)$", rows,
      {split = {80, 10, 10, by = "random"}})
    refused("%.csv: split: valid got no sequence %(2 sequences, by = \"ordered\"%)$", two,
      {sequence = "id", split = {80, 10, 10}})
    refused("%.csv: split: valid got no row %(100 rows%)$", rows, {split = {99.6, 0.4}})
    refused("%.csv: split: train got no row", rows, {split = {0.1, 99.9}, normalise = true})
    refused("%.csv: split: valid has no window: a window of 8 rows and horizon 4 need 12 rows, the longest sequence "
      .. "has 10$", rows, {window = 8, horizon = 4, y = "a", split = {80, 10, 10}})
    refused("%.csv: split: test has no window: a window needs 11 rows, the longest sequence has 10$", rows,
      {window = 11, split = {70, 20, 10}})
    refused("%.csv: a window of 80 rows and horizon 24 need 104 rows, the longest sequence has 100$", rows,
      {window = 80, horizon = 24, y = "a"})
    refused("%.csv: horizon 60 needs 61 rows, the longest sequence has 50$", two,
      {sequence = "id", horizon = 60, y = "a"})
    local data = load(rows, {x = "a", split = {80, 0, 20}})
    assert.is_nil(data.valid)
    assert.same({{81, 100}}, {{data.set:sequence(2).x:totable()[1][1], data.set:sequence(2).x:totable()[20][1]}})
  end)

  it("is refused when it cannot be", function ()
    assert.error_matches(function () parts {80, 20, by = "grouped"} end, "needs group = a column")
    assert.error_matches(function () parts {80, 20, by = "stratifed"} end, "must be one of ordered, random")
    assert.error_matches(function () parts {0, 0} end, "all parts are 0")
    assert.error_matches(function () load("a,y\n1,2\n3,4\n", {x = "a", y = "y", split = {1, 1, by = "stratified"}}) end,
      "stratified needs classes")
  end)
end)
