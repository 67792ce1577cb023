-- The whole way on the command line: from a table to a data set, a trained model, and a file of predictions.

local lurn = require "lurn".f64
local json = require "lurn.json" {}
local read = require "lurn.csv_read"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

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
    assert.equal("set.h5: 160 sequences, 800 rows of 2 numbers, 2 classes\n  train 96, valid 32, test 32 sequences\n",
      out)
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
    assert.same({"sequence", "time", "out1", "out2", "class"}, {table.unpack(rows.names)})
    assert.same({"s1", "s160"}, {rows.rows[1][1], rows.rows[160][1]})
    local set = assert(lurn.open(shell.path "set.h5"))
    assert.same(norm, set.normalisation.x)
    local right = 0
    for i, row in ipairs(rows.rows) do
      if row[5] == (i % 8 == 0 and "rare, indeed" or "common") then right = right + 1 end
    end
    assert.is_true(right >= 150, tostring(right))
    code, _, err = shell.lurn "predict run.h5 --split test -o out.csv"
    assert.equal(0, code, err)
    local of = {}
    for _, row in ipairs(rows.rows) do of[row[1]] = row[3] end
    for _, row in ipairs(read.table_of(shell.read "out.csv", ",", true).rows) do assert.equal(of[row[1]], row[3]) end
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
    -- A table that is written in another way, and has gaps.
    local plain = "id,step,value,other,label\ns5,1,0.5,7,common\ns5,2,0.25,9,common\n"
    shell.write("plain.csv", plain)
    shell.write("german.csv", (plain:gsub(",", ";"):gsub("%.", ","):gsub(";9;", ";;")))
    local out
    local code, _, err = shell.lurn "predict own.h5 --data plain.csv -o plain_out.csv"
    assert.equal(0, code, err)
    code, out, err = shell.lurn "predict own.h5 --data german.csv -o german_out.csv --sep ';' --decimal ,"
    assert.same({3, ""}, {code, out})
    assert.matches("german.csv:3: column 4 %('other'%) is empty; missing = ", err)
    code, _, err = shell.lurn "predict own.h5 --data german.csv -o german_out.csv --sep ';' --decimal , --missing 9"
    assert.equal(0, code, err)
    assert.equal(shell.read "plain_out.csv", shell.read "german_out.csv")
    local words = " --sep ';' --decimal , --missing fill"
    code, out, err = shell.lurn("eval own.h5 --data german.csv" .. words)
    assert.equal(0, code, err)
    assert.matches("^all +loss %S+  over 1 targets\n$", out)
    for _, given in ipairs {"", " --data own.h5"} do
      code, out, err = shell.lurn("eval own.h5 --missing drop" .. given)
      assert.same({2, ""}, {code, out})
      assert.matches("^lurn: %-%-missing", err)
    end
    -- The own table under another name, with its parts.
    shell.run "mv table.csv moved.csv"
    code, out, err = shell.lurn "predict own.h5 --data moved.csv --split test -o test.csv"
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

  when_built("says that there are no targets", function ()
    shell.write("none.csv", "id,step,value,other,label\ns5,1,0.5,7,\ns5,2,0.25,9,NA\n")
    for _, words in ipairs {"", " --json"} do
      local code, out, err = shell.lurn("eval run.h5 --data none.csv" .. words)
      assert.same({3, "lurn: no targets in none.csv (all)\n"}, {code, err})
      assert.not_matches("loss", out)
    end
  end)

  when_built("reads tables for the model of a data set that was made of one", function ()
    local code, _, err = shell.lurn "predict run.h5 --data table.csv -o from_table.csv"
    assert.equal(0, code, err)
    assert.equal(0, (shell.lurn "predict run.h5 --data set.h5 -o from_set.csv"))
    local timed = read.table_of(shell.read "from_table.csv", ",", true)
    assert.same({"sequence", "time", "out1", "out2", "class"}, {table.unpack(timed.names)})
    assert.equal(shell.read "from_table.csv", shell.read "from_set.csv")
    for k, row in ipairs(timed.rows) do assert.equal(tostring(3 + k % 5), row[2]) end      -- of the last step
    local set = assert(lurn.open(shell.path "set.h5"))
    assert.same({{"1", "2", "3", "4"}, 160}, {set.times[1], #set.times})
    set = assert(lurn.open(shell.path "set.h5"))
    shell.run "mv set.h5 away.h5"
    assert.is_nil(set.times)      -- a file that is gone has none
    shell.run "mv away.h5 set.h5"
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

  when_built("goes on to the last row of a table, the model's own one too", function ()
    shell.write("ahead.lua", [[
local lurn = require "lurn"
return lurn.experiment {name = "ahead", run = function (run)
  local data = assert(lurn.csv("hours.csv", {time = "t", x = "a", y = "a", window = 5, horizon = 4, stride = 7,
    normalise = true, split = {30, 20}}))
  local model = lurn.stack {input = data, lurn.rnn {hidden = 2, pool = "last"}, lurn.linear(), loss = lurn.loss.mse()}
  run:fit {model = model, optim = lurn.optim.sgd(model), train = data.train, valid = data.valid, seq = 0, steps = 2}
end}]])
    local lines = {"t,a"}
    for t = 1, 50 do lines[t + 1] = ("%d,%.3f"):format(t, math.sin(t)) end
    shell.write("hours.csv", table.concat(lines, "\n"))
    local code, _, err = shell.lurn "run ahead.lua --out ahead.h5 --quiet"
    assert.equal(0, code, err)
    local function times (words)
      code, _, err = shell.lurn("predict ahead.h5 -o out.csv " .. words)
      assert.equal(0, code, err)
      local list = {}
      for k, row in ipairs(read.table_of(shell.read "out.csv", ",", true).rows) do list[k] = tonumber(row[2]) end
      return list
    end
    local every = {}
    for t = 5, 50 do every[#every + 1] = t end
    assert.same(every, times "--data hours.csv")
    shell.run "cp hours.csv copy.csv"
    assert.same(every, times "--data copy.csv")
    -- Its parts are windows that have a target, as they were trained on.
    assert.same({5, 12, 19, 26, 35, 42}, times "")
    assert.same({35, 42}, times "--data copy.csv --split valid")
    shell.write("copy.csv", shell.read "hours.csv" .. "\n51,0.5\n")
    every[#every + 1] = 51
    assert.same(every, times "--data copy.csv")
    code, _, err = shell.lurn "predict ahead.h5 -o out.csv --data copy.csv --split valid"
    assert.equal(3, code)
    assert.matches("the data have no split 'valid'", err)
    -- What has no forecast is said.
    shell.write("gaps.csv", shell.read "hours.csv" .. "\n51,\n51,0.5\n")
    code, _, err = shell.lurn "predict ahead.h5 -o out.csv --data gaps.csv --missing drop"
    assert.equal(0, code)
    assert.matches("^lurn: gaps.csv: 1 of 52 rows: the time of the row before, again\n"
      .. "lurn: gaps.csv: 1 of 52 rows: dropped for empty cells\n", err)
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
