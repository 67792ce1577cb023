--- A table, without a line of Lua: numbers are forecast, or classes told, from rows that are steps in time.
--
--   lurn run scripts/table.lua --data weather.csv --time when --x temp,wind,sky --categories sky \
--       --y temp --window 24 --horizon 1
--   lurn run scripts/table.lua --data faults.csv --sequence machine --time hour --x vibration,heat \
--       --y state --targets sequence --split 60,20,20 --by stratified --balanced true
--   lurn predict runs/table-....h5 --data new.csv -o out.csv --denormalise
--
-- The first learns temp an hour after windows of 24 rows, the second one answer for each machine (datasets/faults.lua
-- prints that table). What --window, --horizon, --missing, --by and the other options of a table mean: lurn.csv in
-- bindings/MANUAL.md. Inputs, and targets that are numbers, are normalised by the training part. Beside the errors on
-- the test part stand trivial answers: always the mean, the last value again, always the commonest class.

local lurn = require "lurn"

local function words (text)
  local list = {}
  for word in text:gmatch "[^,]+" do list[#list + 1] = word end
  return list
end

local function some (text) return text ~= "" and text or nil end

-- The table as data: what is not given is left to lurn.csv.
local function read (p)
  if p.x == "" or p.y == "" then error("which columns? --x a,b,c --y d", 0) end
  local split = words(p.split)
  for k, part in ipairs(split) do split[k] = tonumber(part) or error("--split: three numbers, 70,15,15", 0) end
  split.by, split.group = p.by, some(p.group)
  return assert(lurn.csv(p.data, {sequence = some(p.sequence), time = some(p.time), x = words(p.x), y = words(p.y),
    categories = some(p.categories) and words(p.categories), class = p.class or nil, targets = p.targets,
    missing = tonumber(p.missing) or some(p.missing), sep = some(p.sep), decimal = p.decimal, normalise = true,
    window = p.window > 0 and p.window or nil, stride = p.window > 0 and p.stride or nil,
    horizon = p.horizon > 0 and p.horizon or nil, split = split}))
end

-- The mean squared error of whoever always says the mean, which is 0 by now.
local function of_the_mean (_, y, lengths)
  local count = y:numel()
  if y:dim() > 2 then
    count = 0
    for _, n in ipairs(lengths) do count = count + n * y:size(3) end
  end
  return (y * y):sum() / count, count
end

-- That of whoever says the last value of a window again, where the target is among the inputs.
local function of_the_last (data, p)
  local scale, at = data.normalisation, nil
  for k, name in ipairs(data.columns) do if name == p.y then at = k end end
  if not (at and p.window > 0 and scale.y) then return nil end
  local from, to = {scale.x.mean[at], scale.x.deviation[at]}, {scale.y.mean[1], scale.y.deviation[1]}
  return function (_, y, lengths, batch)
    local last = batch.x:narrow(1, p.window, 1):narrow(3, at, 1):reshape(#lengths, 1)
    local d = (last * from[2] + (from[1] - to[1])) / to[2] - y
    return (d * d):sum() / #lengths
  end
end

local function print_numbers (data, r)
  local y = data.normalisation.y
  local scale = #y.columns == 1 and y.deviation[1] or nil
  local function text (x)
    return ("%.4g"):format(x) .. (scale and (" (%s: %.4g)"):format(y.columns[1], scale * x) or "")
  end
  print(("test: mae %s, rmse %s"):format(text(r.mae), text(r.rmse)))
  print(("always the mean: rmse %s"):format(text(r.mean ^ 0.5)))
  if r.last then print(("the last value again: rmse %s"):format(text(r.last ^ 0.5))) end
end

local function print_classes (data, r)
  local most, all = 0, 0
  for _, row in ipairs(r.confusion) do
    local n = 0
    for _, count in ipairs(row) do n = n + count end
    most, all = math.max(most, n), all + n
  end
  print(("test: accuracy %.4f, balanced %.4f; always the commonest class: %.4f, %.4f"):format(r.accuracy,
    r.balanced_accuracy, most / all, 1 / #r.confusion))
  for k, row in ipairs(r.confusion) do print(("  %s: %s"):format(data.set.classes[k], table.concat(row, " "))) end
end

return lurn.experiment {
  name = "table", direction = "minimize",
  help = "numbers or classes of a table, from the rows before",

  params = {
    data       = {"table.csv", help = "rows are steps in time"},
    x          = {"", help = "columns to learn from: a,b,c"},
    y          = {"", help = "the column to be told, or several of numbers"},
    sequence   = {"", help = "column that says which sequence a row is of; one sequence without it"},
    time       = {"", help = "column by which rows are sorted: numbers or dates"},
    categories = {"", help = "columns of x that are words"},
    class      = {false, sweep = false, help = "y is a class although it is a number"},
    targets    = {"step", choice = {"step", "sequence"}, sweep = false, help = "an answer a row, or one a sequence"},
    window     = {0, int = true, help = "rows that an answer is made of; 0: all rows of the sequence before it"},
    stride     = {1, int = true, help = "rows from window to window"},
    horizon    = {0, int = true, help = "y is so many rows later"},
    missing    = {"", help = "of empty cells: drop, fill, or a number; an error without it"},
    sep        = {"", help = "between cells; a comma, in .tsv a tab"},
    decimal    = {".", choice = {".", ","}, sweep = false},
    split      = {"70,15,15", help = "shares of train, valid, test"},
    by         = {"ordered", choice = {"ordered", "random", "stratified", "grouped"}, sweep = false},
    group      = {"", help = "column whose equal values stay in one part, --by grouped"},
    balanced   = {false, sweep = false, help = "a rare class weighs as much as a common one"},
    loss       = {"mse", choice = {"mse", "mae", "huber"}, sweep = false, help = "of numbers"},
    cell       = {"lstm", choice = {"rnn", "lstm", "gru"}},
    hidden     = {32, int = {8, 128}, log = true},
    layers     = {1, int = {1, 3}},
    dropout    = {0, float = {0, 0.5}},
    lr         = {1e-2, float = {1e-4, 1e-1}, log = true},
    batch      = {32, int = true},
    epochs     = {20, float = true},
    patience   = {0, int = true, help = "stop after so many evaluations without a better one; 0: never"},
  },

  run = function (run, p)
    local data = read(p)
    local classes, one = data.set.classes, p.window > 0 or p.targets == "sequence"
    local model = lurn.stack {input = data,
      lurn[p.cell] {hidden = p.hidden, layers = p.layers, dropout = p.layers > 1 and p.dropout or 0,
        pool = one and "last" or false},
      lurn.dropout {rate = p.dropout}, lurn.linear {},
      loss = classes and lurn.loss.cross_entropy {weight = p.balanced and "balanced" or nil} or lurn.loss[p.loss]()}
    local optim = lurn.optim.adam(model, {lr = p.lr, clip_norm = 1})
    run.progress:say("%d sequences, %d inputs, %d parameters", data.set.n, #data.columns, model:count())

    -- One long sequence is read in windows that go on where the one before stopped.
    local seq = (one or p.sequence ~= "") and 0 or 50
    local metrics = classes and {"accuracy", "balanced_accuracy"} or {"mae", "rmse"}
    local best = run:fit {model = model, optim = optim, train = data.train, valid = data.valid, epochs = p.epochs,
      batch = p.batch, seq = seq, metrics = metrics, patience = p.patience > 0 and p.patience or nil}

    if data.test then
      metrics[3] = classes and "confusion" or nil
      if not classes then metrics.mean, metrics.last = of_the_mean, of_the_last(data, p) end
      local r = model:evaluate(data.test, {batch = p.batch, seq = seq, metrics = metrics})
      if classes then print_classes(data, r) else print_numbers(data, r) end
    end
    return best.loss
  end,
}
