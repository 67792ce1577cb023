--- Data sets of tables: one row per step, columns for the sequence, for x and for y.
--
--   local data = assert(lurn.csv("readings.csv", {sequence = "id", x = {"a", "b"}, y = "label", targets = "sequence",
--                                                 normalise = true, split = {80, 10, 10, by = "stratified"}}))
--
-- The order of work: rows are gathered into sequences (and sorted by time), what is missing is treated, sequences are
-- put into splits, normalised by the training part alone, and cut into windows. So a window never holds
-- rows of two splits, and no number of valid or test has a part in the normalisation.

return function (lurn)
  local schema = lurn.schema
  local read = require "lurn.csv_read"
  local column = require "lurn.csv_columns" (lurn)
  local splits = require "lurn.split" (lurn)
  local fail = column.fail
  local M = {}

  local OPTIONS = {
    sequence = {"string", nil, nil, "column that says which sequence a row is of; one sequence without it"},
    time = {"string", nil, nil,
      "column by which the rows of a sequence are sorted: numbers, or dates as 2024-03-02 14:30; else as in the file"},
    x = {"table|string", schema.required, nil, "columns of the inputs"},
    y = {"table|string", nil, nil, "columns of the targets"},
    class = {"boolean|table", nil, nil,
      "y is a class; so it is by itself when a cell of it is not a number. A list: these are the classes"},
    categories = {"table|string", nil, nil, "columns of x whose values are words: a number of 0 or 1 for each word. "
      .. "Another data's data.csv.categories: these words, and no others"},
    targets = {"string", "step", {"step", "sequence"}, "a target per step, or the last one of each sequence"},
    sep = {"string", nil, nil, "between cells: one character; \",\", and a tab for .tsv"},
    decimal = {"string", ".", {".", ","}, "what stands before the fraction of a number"},
    header = {"boolean", true, nil, "the first row names the columns; else they are \"1\", \"2\", ..."},
    missing = {"string|number", nil, {"drop", "fill"},
      "of empty cells: drop the row, fill with the value before, or with a number; an error by default"},
    normalise = {"boolean|string|table", false, {"x"},
      "x and numbers of y to mean 0, deviation 1 in train; \"x\": x alone. Another data's normalisation: as that was"},
    window = {"integer", nil, {1, 1e9}, "sequences become windows of so many rows"},
    stride = {"integer", 1, {1, 1e9}, "rows from window to window"},
    horizon = {"integer", nil, {0, 1e9}, "y is that many rows later; with windows: after the window's last row"},
    split = {"table", nil, nil, "{train, valid, test, by = ordered | random | stratified | grouped, group, seed}"},
  }

  ---------------------------------------------------------------- rows and sequences

  -- The values of a row in these columns, after what `missing` says; nil: the row is dropped.
  local function values (t, o, cells, columns, before)
    local list = {}
    for k, col in ipairs(columns) do
      local c = col.place
      if not read.missing(cells[c]) then list[k] = col:value(t, cells)
      elseif o.missing == "drop" then return nil
      elseif o.missing == "fill" then
        list[k] = before and before[k] or fail(cells.line,
          "column %d ('%s') is empty, and there is no value before it to fill it with", c, t.names[c])
      elseif o.missing then list[k] = col.ids and 0 or o.missing + 0.0      -- none of the words
      else fail(cells.line, "column %d ('%s') is empty; missing = \"drop\", \"fill\" or a number", c, t.names[c]) end
    end
    return list
  end

  -- Rows of each sequence, in the order in which sequences first appear.
  local function gather (t, o)
    local by, list = {}, {}
    local c = o.sequence and column.place(t, o.sequence)
    for _, cells in ipairs(t.rows) do
      local key = c and cells[c] or ""
      if not by[key] then
        by[key] = {name = key}
        list[#list + 1] = by[key]
      end
      table.insert(by[key], cells)
    end
    return list
  end

  -- A time is a number, or a date from the year down (ISO 8601: 2024-03-02, 2024-03-02T14:30:00), which sorts as a
  -- text. The first row says which; other dates, and zones, would sort wrongly and are refused.
  local function time_of (t, cells, c, date)
    if not date then return column.number(t, cells, c) end
    local rest = cells[c]:match "^%d%d%d%d%-%d%d%-%d%d(.*)$"
    if rest and rest:find "^[T ]?[%d:.]*Z?$" then return (cells[c]:gsub("[TZ]", {T = " ", Z = ""})) end
    fail(cells.line, "column %d ('%s'): '%s' is not a date as %s is", c, t.names[c], cells[c], date)
  end

  local function sort_by_time (t, rows, c)
    local at, place_of = {}, {}
    local date = t.rows[1][c]:match "^%d%d%d%d%-%d%d%-%d%d.*"
    for i, cells in ipairs(rows) do at[cells], place_of[cells] = time_of(t, cells, c, date), i end
    table.sort(rows, function (a, b)
      if at[a] ~= at[b] then return at[a] < at[b] end
      return place_of[a] < place_of[b]
    end)
  end

  -- One sequence {x = rows, y = rows of numbers, or ids}; nil when nothing of it is left.
  local function convert (t, o, rows, columns)
    local s = {name = rows.name, x = {}, y = {}, time = {}, group = columns.group and rows[1][columns.group]}
    if columns.time then sort_by_time(t, rows, columns.time) end
    local class, x, y = columns.class, nil, nil
    for _, cells in ipairs(rows) do
      local next_x = values(t, o, cells, columns.x, x)
      local next_y = class and (class:value(t, cells) or 0) or values(t, o, cells, columns.y, y)
      if next_x and next_y then
        x, y = next_x, next_y
        s.x[#s.x + 1], s.y[#s.y + 1] = column.numbers(columns.x, x), y
        s.time[#s.x] = columns.time and cells[columns.time]
      end
    end
    return s.x[1] and s
  end

  ---------------------------------------------------------------- splits

  local function piece (s, first, last)
    return {name = s.name, x = table.move(s.x, first, last, 1, {}), y = table.move(s.y, first, last, 1, {}),
      time = table.move(s.time, first, last, 1, {}), group = s.group, part = s.part}
  end

  -- A single sequence in order is cut by its rows: the past trains, the future tests.
  local function cut_one (s, o)
    local list, at = {}, 0
    for k, n in ipairs(splits.counts(o, #s.x)) do
      if n > 0 then
        s.part = splits.names[k]
        list[#list + 1] = piece(s, at + 1, at + n)
      end
      at = at + n
    end
    return list
  end

  local function split (sequences, o, columns)
    if o.by == "grouped" and not o.group then error("lurn.csv: split: by = \"grouped\" needs group = a column", 0) end
    if o.by == "stratified" and not columns.class then error("lurn.csv: split: stratified needs classes for y", 0) end
    if #sequences == 1 and o.by == "ordered" then return cut_one(sequences[1], o) end
    splits.deal(sequences, o, function (s) return s.y[#s.y] end)      -- the class of a sequence is its last target
    return sequences
  end

  ---------------------------------------------------------------- normalisation

  -- Mean and deviation of each number over the training part. One that does not change keeps its size, and those that
  -- stand for a category stay what they are.
  local function measure (sequences, key, columns)
    local names, indicators = column.names(columns)
    local n, mean, square = 0, {}, {}
    for k = 1, #names do mean[k], square[k] = 0.0, 0.0 end
    for _, s in ipairs(sequences) do
      for _, row in ipairs((s.part or "train") == "train" and s[key] or {}) do
        n = n + 1
        for k, x in ipairs(row) do                -- Welford: no difference of large sums
          local d = x - mean[k]
          mean[k] = mean[k] + d / n
          square[k] = square[k] + d * (x - mean[k])
        end
      end
    end
    if n == 0 then error("lurn.csv: normalise: the training part is empty", 0) end
    for k, q in ipairs(square) do square[k] = q > 0 and math.sqrt(q / n) or 1.0 end
    for k in next, indicators do mean[k], square[k] = 0.0, 1.0 end
    return {columns = names, mean = mean, deviation = square}
  end

  -- given: what measure said of another table, whose columns have to be these.
  local function normalise (sequences, key, columns, given)
    local m = given or measure(sequences, key, columns)
    local was, is = table.concat(m.columns, ", "), table.concat(column.names(columns), ", ")
    if was ~= is then error(("lurn.csv: normalise: %s was of columns %s, here they are %s"):format(key, was, is), 0) end
    for _, s in ipairs(sequences) do
      for _, row in ipairs(s[key]) do
        for k, x in ipairs(row) do row[k] = (x - m.mean[k]) / m.deviation[k] end
      end
    end
    return m
  end

  ---------------------------------------------------------------- windows

  -- Windows of W rows, and y `horizon` rows after the last of them; without windows all rows that have such a y.
  local function windows (s, o, list)
    local ahead, n = o.horizon or 0, #s.x
    if not o.window then
      if n > ahead then
        local whole = piece(s, 1, n - ahead)
        whole.y = table.move(s.y, 1 + ahead, n, 1, {})
        list[#list + 1] = whole
      end
      return
    end
    for first = 1, n - o.window - ahead + 1, o.stride do
      local w = piece(s, first, first + o.window - 1)
      w.y = {s.y[first + o.window - 1 + ahead]}
      list[#list + 1] = w
    end
  end

  ---------------------------------------------------------------- the data set

  local function describe (sequences, o, columns, path)
    local class, whole = columns.class, o.window or o.targets == "sequence"
    local d = {split = splits.ranges(sequences), classes = class and class.words, source = path:sub(-255),
      kind = "sequences"}
    if columns.y[1] then d.targets = whole and "sequence" or "step" end
    for i, s in ipairs(sequences) do
      local y = columns.y[1] and s.y or nil
      if y and whole then y = class and {y[#y]} or lurn.tensor(y[#y])
      elseif y then y = class and lurn.ids(y) or lurn.tensor(y) end
      d[i] = {x = lurn.tensor(s.x), y = y}
    end
    return d
  end

  -- Numbers with a decimal comma get the point that tonumber knows; what is no number stays as it is.
  local function point (t)
    for _, cells in ipairs(t.rows) do
      for c, cell in ipairs(cells) do
        local pointed = cell:gsub(",", ".")
        if tonumber(pointed) then cells[c] = pointed end
      end
    end
  end

  -- The options as a run file has them: of what depends on the whole table, how it came out.
  local function settled (options, norm, columns)
    local out = lurn.source.written(options)
    out.normalise, out.categories = next(norm) and norm or nil, column.categories(columns.x)
    if out.y then out.class = columns.class and columns.class.words or false end
    return out
  end

  -- A description for lurn.dataset, the options that read the table again, and what was done to the numbers.
  local function build (path, text, o, options)
    local t = read.table_of(text, o.sep or read.separator(path), o.header)
    if o.decimal == "," then point(t) end
    local columns, sequences, norm, list = column.of(t, o), {}, {}, {}
    for _, rows in ipairs(gather(t, o)) do sequences[#sequences + 1] = convert(t, o, rows, columns) or nil end
    if o.split then sequences = split(sequences, o.split, columns) end
    local given = type(o.normalise) == "table" and o.normalise
    if o.normalise and sequences[1] then
      norm.x = normalise(sequences, "x", columns.x, given and given.x)
      if (o.normalise == true or given and given.y) and columns.y[1] and not columns.class then
        norm.y = normalise(sequences, "y", columns.y, given and given.y)
      end
    end
    for _, s in ipairs(sequences) do windows(s, o, list) end
    if not list[1] then fail(1, "no sequence is left of the table's %d rows", #t.rows) end
    return describe(list, o, columns, path), settled(options, norm, columns), norm, list
  end

  -- Whether this is what measure gives: as many names as means and deviations.
  local function is_measured (m)
    if type(m) ~= "table" or type(m.columns) ~= "table" then return false end
    for _, list in ipairs {m.mean or false, m.deviation or false} do
      if type(list) ~= "table" or #list ~= #m.columns then return false end
      for k, x in ipairs(list) do if type(x) ~= "number" or type(m.columns[k]) ~= "string" then return false end end
    end
    return true
  end

  local function check (options)
    local o = schema.check("lurn.csv", options, OPTIONS, 2)
    if o.split then o.split = schema.check("lurn.csv: split", o.split, splits.declaration, 2) end
    local given = type(o.normalise) == "table" and o.normalise
    if given and not (is_measured(given.x) and (given.y == nil or is_measured(given.y))) then
      error("lurn.csv: normalise: expected true, \"x\", or the normalisation of other data, {x = , y = }", 3)
    end
    if o.sep and (#o.sep ~= 1 or o.sep:find '["\r\n]') then error("lurn.csv: sep is one character, no quote", 3) end
    return o
  end

  --- A table of text as data. data.normalisation: {x = {columns, mean, deviation}, y = ...}. data.names: what the
  -- column `sequence` says of each sequence; data.times: what the column `time` says of each step of each of them.
  ---@param path string
  ---@param options table   see OPTIONS above
  ---@return lurn.Data? data
  ---@return string? message
  ---@return string? code
  function M.csv (path, options)
    local o = check(options)
    local file, message = io.open(path, "rb")
    local text = file and file:read "a"
    if file then file:close() end
    if not text then
      lurn.data.failure = message or path .. ": cannot be read"
      return nil, lurn.data.failure, "ENOENT"
    end
    local ok, description, written, norm, list = pcall(build, path, text, o, options)
    if not ok then
      lurn.data.failure = read.told(path, description) or error(description, 2)
      return nil, lurn.data.failure, "EINVAL"
    end
    local data = lurn.dataset(description)
    data.normalisation, data.path, data.csv = norm, path, written
    data.names, data.times = o.sequence and {}, o.time and {}
    for i, s in ipairs(list) do
      if data.names then data.names[i] = s.name end
      if data.times then data.times[i] = s.time end
    end
    return data
  end

  --- What the numbers of x are called, by the options of a data set's table (data.csv).
  ---@param options table
  ---@return string[]
  function M.csv_columns (options)
    local list = {}
    for k, name in ipairs(type(options.x) == "string" and {options.x} or options.x) do
      list[k] = {name = name, words = options.categories and options.categories[name]}
    end
    return (column.names(list))
  end

  M.import_csv = require "lurn.csv_import" (lurn, M.csv)

  return M
end
