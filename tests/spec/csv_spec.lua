-- Tables of text as data sets: cells, sequences, missing values, splits, normalisation, windows; what is wrong is told
-- with its line and column. Then the whole way on the command line, from a table to a file of predictions.

local lurn = require "lurn".f64
local json = require "lurn.json" {}
local read = require "lurn.csv_read"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

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
    refused("no sequence is left", "a,b\n")
    local data, message = lurn.csv("/nowhere/at all.csv", {x = "a"})
    assert.is_nil(data)
    assert.matches("nowhere", message)
    assert.error_matches(function () lurn.csv("x.csv", {x = "a", windw = 3}) end, "did you mean 'window'")
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
    for _, other in ipairs {"5", "10.03.2024", "2024-03-02T14:30+01:00", ""} do
      local refused, message = lurn.csv(spit("t,a\n2024-03-10,3\n" .. other .. ",2\n"), {x = "a", time = "t"})
      assert.is_nil(refused)
      assert.matches("%.csv:3: column 1 %('t'%): '.*' is not a date as 2024%-03%-10 is", message)
    end
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

  it("is refused when it cannot be", function ()
    assert.error_matches(function () parts {80, 20, by = "grouped"} end, "needs group = a column")
    assert.error_matches(function () parts {80, 20, by = "stratifed"} end, "must be one of ordered, random")
    assert.error_matches(function () parts {0, 0} end, "all parts are 0")
    assert.error_matches(function () load("a,y\n1,2\n3,4\n", {x = "a", y = "y", split = {1, 1, by = "stratified"}}) end,
      "stratified needs classes")
  end)
end)

---------------------------------------------------------------------- the command line

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "table", params = {}, run = function (run)
  local data = assert(lurn.open "set.h5")
  local model = lurn.stack {input = data, lurn.gru {hidden = 8}, lurn.last, lurn.linear {size = #data.set.classes},
    loss = lurn.loss.cross_entropy {weight = "balanced"}}
  local optim = lurn.optim.adam(model, {lr = 2e-2})
  run:fit {model = model, optim = optim, train = data.train, valid = data.valid, epochs = 15, seq = 0, batch = 8,
    metrics = {"balanced_accuracy"}}
  local r = model:evaluate(data.test, {metrics = {"balanced_accuracy", "confusion"}})
  return {balanced = r.balanced_accuracy, confusion = r.confusion}
end}
]]

-- Writes a run file again with another manifest.
local function edit_manifest (name, edit)
  local copy = require "lurn.h5_copy" (lurn)
  local r <close> = assert(copy.h5().open(shell.path(name)))
  local w <close> = assert(copy.h5().create(shell.path(name)))
  local manifest = json.decode(assert(r:read "/manifest"))
  edit(manifest)
  copy.group(r, "", w, "", "/manifest")
  copy.attributes(r, "/", w, "/")
  assert(w:write("/manifest", json.encode(manifest)))
  assert(w:commit())
end

describe("from a table to predictions", function ()
  setup(function ()
    shell.open()
    -- An imbalanced table: sequences that rise are "rare", one in eight.
    local lines = {"id,step,value,other,label"}
    for i = 1, 160 do
      for t = 1, 3 + i % 5 do
        local rare = i % 8 == 0
        lines[#lines + 1] = ("s%d,%d,%.4f,%.4f,%s"):format(i, t, math.sin(i) + (rare and t or -t) * 0.6, 100 +
          math.cos(7 * i + t), rare and "rare, indeed" or "common"):gsub("rare, indeed", '"%0"')
      end
    end
    shell.write("table.csv", table.concat(lines, "\r\n"))
    shell.write("table.lua", SCRIPT)
  end)
  teardown(shell.close)

  when_built("goes the whole way", function ()
    local _
    local code, out, err = shell.lurn("data csv table.csv -o set.h5 --sequence id --time step --x value,other "
      .. "--y label --targets sequence --normalise --split 60,20,20 --by stratified")
    assert.equal(0, code, err)
    assert.equal("set.h5: 160 sequences, 800 rows of 2 numbers, 2 classes\n", out)
    local file <close> = assert(lurn.h5.open(shell.path "set.h5"))
    local norm = json.decode(file:attr("/", "normalisation_x"))
    assert.same({"value", "other"}, norm.columns)
    assert.near(100, norm.mean[2], 0.2)
    code, out, err = shell.lurn "run table.lua --quiet --json --out run.h5"
    assert.equal(0, code, err)
    local result = json.decode(out)
    assert.is_true(result.result.balanced > 0.85, out)
    assert.is_true(result.metrics.valid_balanced_accuracy.last > 0.8, out)
    shell.run "rm table.lua"
    code, out, err = shell.lurn "predict run.h5 --data set.h5 -o out.csv"
    assert.equal(0, code, err)
    assert.equal("out.csv: 160 sequences, 2 columns\n", out)
    local rows = read.table_of(shell.read "out.csv", ",", true)
    assert.same({"sequence", "out1", "out2", "class"}, {table.unpack(rows.names)})
    assert.same({"s1", "s160"}, {rows.rows[1][1], rows.rows[160][1]})
    local set = assert(lurn.open(shell.path "set.h5"))
    assert.same(norm, set.normalisation.x)
    local right = 0
    for i, row in ipairs(rows.rows) do
      if row[4] == (i % 8 == 0 and "rare, indeed" or "common") then right = right + 1 end
    end
    assert.is_true(right >= 150, tostring(right))
    code, _, err = shell.lurn "predict run.h5 --split test -o out.csv"
    assert.equal(0, code, err)
    local of = {}
    for _, row in ipairs(rows.rows) do of[row[1]] = row[2] end
    for _, row in ipairs(read.table_of(shell.read "out.csv", ",", true).rows) do assert.equal(of[row[1]], row[2]) end
    code, out, err = shell.lurn "predict run.h5 --split test -o out.h5 --json"
    assert.equal(0, code, err)
    assert.equal(32, json.decode(out).sequences)
    local arrays <close> = assert(lurn.h5.open(shell.path "out.h5"))
    assert.same({32, 2}, arrays:read("/out").shape)
    code, out, err = shell.lurn "eval run.h5 --metrics balanced_accuracy,confusion"
    assert.equal(0, code, err)
    local balanced = ("%.4f"):format(result.result.balanced)
    assert.matches("test +loss %d%.%d+  over 32 targets\n +balanced_accuracy " .. balanced .. "\n", out)
    assert.matches("\n +confusion +common +rare, indeed\n +common +%d+ +%d+\n +rare, indeed +%d+ +%d+\n", out)
    code, out = shell.lurn "eval run.h5 --metrics confusion --json"
    assert.same({0, result.result.confusion}, {code, json.decode(out).splits.test.confusion})
    code, _, err = shell.lurn "eval run.h5 --metrics acuracy"
    assert.equal(2, code)
    assert.matches("%-%-metrics: unknown metric 'acuracy', did you mean 'accuracy'%?", err)
  end)

  when_built("reads tables for a model as the model's own one", function ()
    shell.write("own.lua", [[
local lurn = require "lurn"
return lurn.experiment {name = "own", params = {y = "label"}, run = function (run, p)
  local data = assert(lurn.csv("table.csv", {sequence = "id", time = "step", x = {"value", "other"}, y = p.y,
    targets = "sequence", normalise = true, split = {60, 20, 20}}))
  local model = lurn.stack {input = data, lurn.gru {hidden = 2, pool = "last"},
    lurn.linear {size = data.set.classes and 2 or 1},
    loss = data.set.classes and lurn.loss.cross_entropy() or lurn.loss.mse()}
  run:fit {model = model, optim = lurn.optim.sgd(model), train = data.train, seq = 0}
end}]])
    for _, y in ipairs {"label", "other"} do
      local code, _, err = shell.lurn("run own.lua --out own.h5 --force --y " .. y)
      assert.equal(0, code, err)
      assert.equal(y == "label", err:find "mean_loss %d%.%d+ %(%d%.%d+ bits%)" ~= nil, err)      -- classes have bits
      code, _, err = shell.lurn "predict own.h5 -o all.csv"
      assert.equal(0, code, err)
      assert.equal(y == "other", err:find "targets were normalised: other = 99.9%d+ %+ 0%.%d+ x output" ~= nil, err)
      -- Some of the machines, in another order and without their targets: the same predictions.
      local all, few = {}, {}
      for _, row in ipairs(read.table_of(shell.read "all.csv", ",", true).rows) do all[row[1]] = row end
      for _, name in ipairs {"s31", "s5"} do
        for line in shell.read "table.csv":gmatch("\n(" .. name .. ",[^\r\n]*)") do
          few[#few + 1] = y == "label" and line:match "^(.*,.*,.*),[^,]*$" or line
        end
      end
      shell.write("few.csv", (y == "label" and "id,step,value,other\n" or "id,step,value,other,label\n")
        .. table.concat(few, "\n"))
      -- The scale and the classes are the run's: the own table need not be there.
      shell.run "mv table.csv away.csv"
      code, _, err = shell.lurn "predict own.h5 --data few.csv -o few_out.csv"
      shell.run "mv away.csv table.csv"
      assert.equal(0, code, err)
      assert.equal(y == "other", err:find "targets were normalised: other = 99.9%d+ %+ 0%.%d+ x output" ~= nil, err)
      if y == "other" then
        local told = err
        code, _, err = shell.lurn "predict own.h5 --data few.csv -o back.csv --denormalise"
        assert.same({0, ""}, {code, err})
        local function output (name) return tonumber(shell.read(name):match "\ns31,(%S+)\n":match "[^,]*$") end
        local mean, deviation = told:match "other = (%S+) %+ (%S+) x output %(%-%-denormalise%)"
        assert.near(mean + deviation * output "few_out.csv", output "back.csv", 1e-4)
      end
      local rows = read.table_of(shell.read "few_out.csv", ",", true).rows
      assert.equal(2, #rows)
      for k, name in ipairs {"s31", "s5"} do
        rows[k].line, all[name].line = nil, nil
        assert.same(all[name], rows[k])
      end
    end
    -- The own table under another name, with its parts.
    shell.run "mv table.csv moved.csv"
    local code, out, err = shell.lurn "predict own.h5 --data moved.csv --split test -o test.csv"
    assert.equal(0, code, err)
    assert.equal("test.csv: 32 sequences, 1 columns\n", out)
    assert.matches("\ns129,", shell.read "test.csv")
    assert.equal(0, (shell.lurn "eval own.h5 --data moved.csv"))
    -- A run file that does not say the scale, as those of earlier versions: the own table is asked.
    local before = shell.read "few_out.csv"
    edit_manifest("own.h5", function (m) m.data[1].csv.normalise, m.data[1].csv.class = true, nil end)
    local _
    code, _, err = shell.lurn "predict own.h5 --data few.csv -o few_out.csv"
    assert.equal(3, code)
    assert.matches("table.csv: No such file", err)
    shell.run "mv moved.csv table.csv"
    code, _, err = shell.lurn "predict own.h5 --data few.csv -o few_out.csv"
    assert.equal(0, code, err)
    assert.equal(before, shell.read "few_out.csv")
    -- One in which it is not what lurn writes.
    edit_manifest("own.h5", function (m) m.data[1].csv.normalise = {x = {columns = {"value"}, mean = {1}}} end)
    code, _, err = shell.lurn "predict own.h5 --data few.csv -o few_out.csv"
    assert.equal(3, code, err)
    assert.matches("normalise: expected", err)
  end)

  when_built("reads tables for the model of a data set that was made of one", function ()
    local code, _, err = shell.lurn "predict run.h5 --data table.csv -o from_table.csv"
    assert.equal(0, code, err)
    assert.equal(0, (shell.lurn "predict run.h5 --data set.h5 -o from_set.csv"))
    local timed = read.table_of(shell.read "from_table.csv", ",", true)
    assert.same({"sequence", "time", "out1", "out2", "class"}, {table.unpack(timed.names)})
    for k, row in ipairs(read.table_of(shell.read "from_set.csv", ",", true).rows) do
      local other = timed.rows[k]
      assert.equal(tostring(3 + k % 5), table.remove(other, 2))      -- of the last step
      row.line, other.line = nil, nil
      assert.same(row, other)
    end
    local rows = shell.read "table.csv":match "\n(s31,.-\n)s32":gsub(",[^,]*\n", "\n")
    shell.write("five.csv", "id,step,value,other\n" .. rows)
    shell.run "mv set.h5 away.h5"
    code, _, err = shell.lurn "predict run.h5 --data five.csv -o five_out.csv"
    shell.run "mv away.h5 set.h5"
    assert.equal(0, code, err)
    local line = shell.read "five_out.csv":match "\n(s31,.-)\n"
    assert.is_truthy(shell.read "from_table.csv":find(line, 1, true))
    code, _, err = shell.lurn "predict run.h5 --data five.csv -o five_out.csv --denormalise"
    assert.equal(2, code)
    assert.matches("%-%-denormalise: the targets were not normalised", err)
  end)

  when_built("needs no script of one's own", function ()
    local script = shell.here .. "/scripts/table.lua"
    local code, out, err = shell.lurn(("run %s --data table.csv --sequence id --time step --x value,other --y label "
      .. "--targets sequence --by stratified --balanced true --hidden 8 --out own.h5 --force"):format(script))
    assert.equal(0, code, err)
    assert.matches("test: accuracy [01]%.%d+, balanced [01]%.%d+; always the commonest class: 0%.8750, 0%.5000\n"
      .. "  common: %d+ %d+\n  rare, indeed: %d+ %d+\nresult ", out)
    assert.not_matches("lost", err)
    -- A series, its last value again and its mean worked out by hand.
    local lines, series = {"t,a,word"}, {}
    for t = 1, 200 do
      series[t] = tonumber(("%.3f"):format(math.sin(t / 5) + math.cos(t * t) / 9))
      lines[t + 1] = ("%d,%.3f,%s"):format(t, series[t], t % 3 == 0 and "fizz" or "no")
    end
    shell.write("series.csv", table.concat(lines, "\n"))
    code, out, err = shell.lurn(("run %s --data series.csv --time t --x a,word --categories word --y a --window 10 "
      .. "--horizon 3 --split 60,20,20 --epochs 3 --quiet --out own.h5 --force"):format(script))
    assert.equal(0, code, err)
    local mean, again, squares, n = 0, 0, 0, 0
    for t = 1, 120 do mean = mean + series[t] / 120 end
    for t = 161 + 9, 200 - 3 do
      again, squares, n = again + (series[t + 3] - series[t])^2, squares + (series[t + 3] - mean)^2, n + 1
    end
    assert.near((squares / n)^0.5, tonumber(out:match "always the mean: rmse %S+ %(a: (%S+)%)"), 1e-3)
    assert.near((again / n)^0.5, tonumber(out:match "the last value again: rmse %S+ %(a: (%S+)%)"), 1e-3)
    code, out, err = shell.lurn(("run %s --data series.csv"):format(script))
    assert.same({1, ""}, {code, out})
    assert.matches("\nlurn: which columns%? %-%-x a,b,c %-%-y d\n", err)
  end)

  when_built("says what is wrong", function ()
    shell.write("bad.csv", "id,a\n1,2\n1,two\n")
    local code, _, err = shell.lurn "data csv bad.csv -o bad.h5 --x a"
    assert.equal(3, code)
    assert.equal("lurn: bad.csv:3: column 2 ('a'): 'two' is not a number\n", err)
    for _, out in ipairs {"bad.csv", "run.h5"} do
      local before = shell.read(out)
      code, _, err = shell.lurn("data csv table.csv --x value -o " .. out)
      assert.same({2, before}, {code, shell.read(out)})
      assert.matches("%-%-out: " .. out .. " is there already, and is no data set", err)
    end
    code, _, err = shell.lurn "data csv bad.csv -o bad.h5"
    assert.equal(2, code)
    assert.matches("which columns are x", err)
    code, _, err = shell.lurn "predict run.h5"
    assert.equal(2, code)
    assert.matches("where to%?", err)
    for _, out in ipairs {"table.csv", "run.h5"} do
      local before = shell.read(out)
      code, _, err = shell.lurn("predict run.h5 --data table.csv -o ./" .. out)
      assert.same({2, before}, {code, shell.read(out)})
      assert.matches("%-%-out: ./" .. out .. " is read here; give another name", err)
    end
    code, _, err = shell.lurn "predict nowhere.h5 -o x.csv"
    assert.equal(3, code)
    assert.matches("nowhere.h5", err)
    shell.write("other.csv", "a\n1\n2\n")
    assert.equal(0, (shell.lurn "data csv other.csv -o other.h5 --x a"))
    code, _, err = shell.lurn "predict run.h5 --data other.h5 -o x.csv"
    assert.equal(3, code)
    assert.matches("the data do not fit the model", err)
    code, _, err = shell.lurn "predict run.h5 --data other.csv -o x.csv"
    assert.equal(3, code)
    assert.matches("other.csv:1: no column 'value'", err)
  end)
end)
