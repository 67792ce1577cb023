--- Columns of a table: where they stand, and what their cells say. A column is one of numbers, or one of words, which
-- have ids by their sorted list: the classes of y, and the categories of x. A category is as many numbers as it has
-- words, all 0 but the one of the row's word, which is 1.
--
-- Not a module of its own: csv.lua calls this.

return function (lurn)
  local schema = lurn.schema
  local read = require "lurn.csv_read"
  local M = {}

  local MOST = 1000      -- words of a category: more are hardly one

  --- What is wrong with a file is raised as {line, message} and becomes nil, message, code at the end. line: nil where
  -- it is the table as a whole.
  function M.fail (line, format, ...) error({line = line, message = format:format(...)}, 0) end

  local fail = M.fail

  --- What is kept as a text is UTF-8, in run files and data sets, too.
  function M.check_text (text, line)
    if not utf8.len(text) then fail(line, "is not UTF-8; save the table as UTF-8") end
  end

  --- Where a column stands.
  ---@param t table     from csv_read.table_of
  ---@param name string
  function M.place (t, name)
    local found
    for c, known in ipairs(t.names) do
      if known == name and found then fail(1, "columns %d and %d are both called '%s'", found, c, name) end
      if known == name then found = c end
    end
    if found then return found end
    for _, known in ipairs(t.names) do M.check_text(known, 1) end
    local near = schema.unknown("no column", name, {table.unpack(t.names)})
    fail(1, "%s (columns: %s)%s", near, table.concat(t.names, ", "), read.hint(t.names))
  end

  local function is_number (cell)
    local x = tonumber(cell)
    return x ~= nil and x == x and math.abs(x) < math.huge
  end

  -- Thousands are written as 1,234 is: that may be a fraction or none.
  local function has_decimal_comma (cell)
    return cell:find "^[-+]?%d+,%d+$" and not cell:find "^[-+]?%d%d?%d?,%d%d%d$"
  end

  -- A column in which every cell begins as a word does wants to be a category, maybe.
  local function advice (t, c, cell)
    if has_decimal_comma(cell) then return ' (decimal = ",")' end
    for _, cells in ipairs(t.rows) do
      if not read.missing(cells[c]) and not cells[c]:find "^[%a\128-\255]" then return "" end
    end
    return (" (a column of words: categories = {\"%s\"})"):format(t.names[c])
  end

  --- The number in a cell.
  function M.number (t, cells, c)
    if not is_number(cells[c]) then
      fail(cells.line, "column %d ('%s'): '%s' is not a number%s", c, t.names[c], cells[c], advice(t, c, cells[c]))
    end
    return tonumber(cells[c]) + 0.0
  end

  ---------------------------------------------------------------- times

  local EXAMPLE = "2024-03-02 14:30"

  -- A date from the year down (ISO 8601: 2024-03-02, 2024-03-02T14:30:00) sorts as a text; others, and those of
  -- different zones, would sort wrongly and are refused. example: the first of them.
  local function date_of (cell, example, complain)
    local rest = cell:match "^%d%d%d%d%-%d%d%-%d%d(.*)$"
    if not rest then complain("is not a date as %s is", example) end
    if rest:find "^[T ]?[%d:.]*Z?$" then return (cell:gsub("[TZ]", {T = " ", Z = ""})) end
    if rest:find "%d ?[AaPp]%.?[Mm]%.?$" then complain "is of a clock of 12 hours, and 1 PM would sort before 11 AM" end
    if rest:find "%d ?[-+]%d%d:?%d*$" then
      complain "has a zone; the only one that sorts is Z, of all times or of none"
    end
    complain("is not a date as %s is", example == cell and EXAMPLE or example)
  end

  --- What a cell of the column `time` is sorted by: a number or a text.
  ---@param first string   that column of the table's first row, which says whether times are numbers or dates
  ---@return number|string
  function M.time (t, cells, c, first)
    local cell = cells[c]
    local function complain (what, ...)
      fail(cells.line, "column %d ('%s'): '%s' " .. what, c, t.names[c], cell, ...)
    end
    if first:find "^%d%d%d%d%-%d%d%-%d%d" then return date_of(cell, first, complain) end
    if not is_number(cell) then complain("is no time: numbers, or dates as %s", EXAMPLE) end
    return tonumber(cell)
  end

  ---------------------------------------------------------------- words

  -- The words that another table had: a cell that is none of them is a mistake.
  local function given_words (t, c, words, what)
    local ids = {}
    for id, word in ipairs(words) do ids[word] = id end
    for _, cells in ipairs(t.rows) do
      if not read.missing(cells[c]) and not ids[cells[c]] then
        M.check_text(cells[c], cells.line)
        local known = table.concat(words, ", ")
        fail(cells.line, "column %d ('%s'): '%s' is no %s: %s", c, t.names[c], cells[c], what, known)
      end
    end
    return words, ids
  end

  -- The words of a column with their ids: numbers by size, then texts.
  local function words_of (t, c, given, what)
    if type(given) == "table" then return given_words(t, c, given, what) end
    local ids, words = {}, {}
    for _, cells in ipairs(t.rows) do
      local word = cells[c]
      if not read.missing(word) and not ids[word] then
        M.check_text(word, cells.line)
        ids[word] = true
        words[#words + 1] = word
      end
    end
    table.sort(words, function (a, b)
      local p, q = tonumber(a), tonumber(b)
      if p and q and p ~= q then return p < q end
      if (p == nil) ~= (q == nil) then return p ~= nil end
      return a < b
    end)
    for id, word in ipairs(words) do ids[word] = id end
    return words, ids
  end

  -- Without a word of the options the cells say it: where most of them are numbers, one that is none is a mistake.
  local function is_class (t, o, c)
    if o.class ~= nil then return o.class and true end
    local first, others, numbers = nil, 0, 0
    for _, cells in ipairs(t.rows) do
      if tonumber(cells[c]) then numbers = numbers + 1
      elseif not read.missing(cells[c]) then first, others = first or cells, others + 1 end
    end
    if first and numbers > others then
      fail(first.line, "column %d ('%s'): '%s' is not a number (class = true: every value is a class)", c, t.names[c],
        first[c])
    end
    return first ~= nil
  end

  ---------------------------------------------------------------- columns

  ---@class lurn.Column
  ---@field place integer
  ---@field name string
  ---@field words string[]?          of classes and categories
  ---@field ids table<string, integer>?
  local Column = {}
  Column.__index = Column

  --- The number in a row, or the id of its word.
  function Column:value (t, cells)
    if self.ids then return self.ids[cells[self.place]] end
    return M.number(t, cells, self.place)
  end

  local function columns (t, names)
    local list = {}
    for i, name in ipairs(type(names) == "string" and {names} or names or {}) do
      list[i] = setmetatable({place = M.place(t, name), name = name}, Column)
    end
    return list
  end

  -- Columns by name, each with its words or true. What is given: a name, a list, or what M.categories gave.
  local function wanted (categories)
    local set = {}
    for key, value in next, type(categories) == "string" and {categories} or categories or {} do
      if math.type(key) then set[value] = true else set[key] = value end
    end
    return set
  end

  local function categorise (t, list, categories)
    local want = wanted(categories)
    for _, column in ipairs(list) do
      local given, c = want[column.name], column.place
      want[column.name] = nil
      if given then column.words, column.ids = words_of(t, c, given, "category") end
      if given and #column.words > MOST then
        fail(1, "column %d ('%s') has %d different words; a category has at most %d", c, column.name, #column.words,
          MOST)
      end
    end
    local left = next(want)
    if left then error(("lurn.csv: categories: '%s' is no column of x"):format(tostring(left)), 0) end
  end

  --- The columns that the options of lurn.csv name: x, y, and the places of time and group; class: the one of y, where
  -- it is one of classes.
  ---@param t table
  ---@param o table
  function M.of (t, o)
    local list = {x = columns(t, o.x), y = columns(t, o.y), time = o.time and M.place(t, o.time)}
    if o.split and o.split.group then list.group = M.place(t, o.split.group) end
    categorise(t, list.x, o.categories)
    local y = list.y[1]
    if y and not list.y[2] and is_class(t, o, y.place) then
      y.words, y.ids = words_of(t, y.place, o.class, "class")
      list.class = y
    end
    return list
  end

  ---------------------------------------------------------------- categories as numbers

  --- The categories among columns, as the option `categories` takes them; nil where there is none.
  ---@param list lurn.Column[]
  ---@return table<string, string[]>?
  function M.categories (list)
    local out = {}
    for _, column in ipairs(list) do out[column.name] = column.words end
    return next(out) and out
  end

  --- What the numbers of columns are called, "NAME=WORD" those of a category; and which they are, as a set of places.
  ---@param list {name: string, words: string[]?}[]
  ---@return string[] names
  ---@return table<integer, true> indicators
  function M.names (list)
    local names, indicators = {}, {}
    for _, column in ipairs(list) do
      for _, word in ipairs(column.words or {false}) do
        names[#names + 1] = word and column.name .. "=" .. word or column.name
        indicators[#names] = word and true or nil
      end
    end
    return names, indicators
  end

  --- The numbers that the values of a row stand for.
  ---@param list lurn.Column[]
  ---@param values number[]
  function M.numbers (list, values)
    local out = {}
    for k, column in ipairs(list) do
      if not column.words then out[#out + 1] = values[k] end
      for id = 1, column.words and #column.words or 0 do out[#out + 1] = id == values[k] and 1.0 or 0.0 end
    end
    return out
  end

  return M
end
