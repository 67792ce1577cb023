--- Pictures in text: curves in braille, histograms, heat maps.
--
-- A curve's point is a dot of a braille character, 2 x 4 in each; where the locale has no UTF-8, or several series
-- cannot be told apart by colour, it is a character of its own. What cannot be drawn (NaN, infinity, on a logarithmic
-- axis what is not above zero) is counted and said. With options.file the same picture goes to a file: chart_file.lua.

return function (session)
  local lurn, screen = session.lurn, session.show.screen
  local schema = lurn.schema
  local M = {}

  local MARKS = {"*", "+", "o", "x", "#", "@"}
  local COLORS = {"36", "33", "35", "32", "31", "34"}

  local function finite (x) return type(x) == "number" and x == x and x > -math.huge and x < math.huge end

  ---------------------------------------------------------------- series

  local function numbers_of (x)
    if lurn.is_tensor(x) then return x:reshape(-1):totable() end
    return x
  end

  -- {name, x, y} of a list, a tensor, or a metric {step =, value =}.
  local function series_of (value, name, where)
    if type(value) == "table" and type(value.value) == "table" and type(value.step) == "table" then
      return {name = name or value.name, x = value.step, y = value.value}
    end
    local y = numbers_of(value)
    if type(y) ~= "table" or #y == 0 then
      error(("%s: expected a list of numbers, a tensor or a metric of a run, got %s"):format(where,
        schema.describe(value)), 3)
    end
    local x = {}
    for i = 1, #y do x[i] = i end
    return {name = name, x = x, y = y}
  end

  -- Points that can be drawn, their range, and how many cannot.
  local function points_of (list, log)
    local box, lost = {math.huge, -math.huge, math.huge, -math.huge}, 0
    for _, s in ipairs(list) do
      s.points = {}
      for i, y in ipairs(s.y) do
        local x = s.x[i]
        if finite(x) and finite(y) and (not log or y > 0) then
          if log then y = math.log(y, 10) end
          table.insert(s.points, {x, y})
          box[1], box[2] = math.min(box[1], x), math.max(box[2], x)
          box[3], box[4] = math.min(box[3], y), math.max(box[4], y)
        else lost = lost + 1 end
      end
    end
    if box[1] > box[2] then return nil, lost end
    if box[3] == box[4] then
      local room = box[3] == 0 and 1 or math.abs(box[3]) * 0.1
      box[3], box[4] = box[3] - room, box[4] + room
    end
    return box, lost
  end

  ---------------------------------------------------------------- the canvas

  -- across x down dots; put (i, j, k) sets the dot of series k in column i, row j from above, both from 0.
  local function canvas (columns, rows, braille)
    local c = {across = braille and 2 * columns or columns, down = braille and 4 * rows or rows, cells = {}, owner = {}}
    local BITS = {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}
    function c.put (i, j, k)
      if not braille then
        c.cells[j * columns + i] = k
        return
      end
      local at = (j // 4) * columns + i // 2
      c.cells[at] = (c.cells[at] or 0) | BITS[j % 4 + 1][i % 2 + 1]
      c.owner[at] = k
    end
    function c.row (j, color)
      local out = {}
      for i = 0, columns - 1 do
        local cell, k = c.cells[j * columns + i], c.owner[j * columns + i]
        local text = not cell and " " or braille and utf8.char(0x2800 + cell) or MARKS[(cell - 1) % #MARKS + 1]
        out[#out + 1] = cell and color and k and ("\27[%sm%s\27[0m"):format(COLORS[(k - 1) % #COLORS + 1], text) or text
      end
      return (table.concat(out):gsub(" +$", ""))
    end
    return c
  end

  -- A line from dot to dot, column by column; steep parts fill their columns.
  local function draw (c, points, box, k)
    local function place (p)
      local i = box[2] > box[1] and (p[1] - box[1]) / (box[2] - box[1]) * (c.across - 1) or 0
      local j = (box[4] - p[2]) / (box[4] - box[3]) * (c.down - 1)
      return math.floor(i + 0.5), math.floor(j + 0.5)
    end
    local i0, j0
    for _, p in ipairs(points) do
      local i, j = place(p)
      if not i0 then c.put(i, j, k) end
      local n = i0 and math.max(math.abs(i - i0), math.abs(j - j0)) or 0
      for step = 1, n do
        c.put(math.floor(i0 + (i - i0) * step / n + 0.5), math.floor(j0 + (j - j0) * step / n + 0.5), k)
      end
      i0, j0 = i, j
    end
  end

  local function number (x) return ("%.4g"):format(x) end

  local function labels (box, rows, log)
    local at, width = {}, 0
    for _, j in ipairs {0, (rows - 1) // 2, rows - 1} do
      local y = box[4] - (box[4] - box[3]) * (rows > 1 and j / (rows - 1) or 0)
      at[j] = number(log and 10^y or y)
      width = math.max(width, #at[j])
    end
    return at, width
  end

  -- On one line, or a line each where that would be too long.
  local function legend (list, color)
    local words, width = {}, 0
    for k, s in ipairs(list) do
      width = width + 6 + screen.width(s.name or "series " .. k)
      local mark = color and ("\27[%sm--\27[0m"):format(COLORS[(k - 1) % #COLORS + 1]) or MARKS[(k - 1) % #MARKS + 1]
      words[k] = ("%s %s"):format(mark, s.name or "series " .. k)
    end
    return "  " .. table.concat(words, width > screen.columns() and "\n  " or "   ")
  end

  --- A picture of series {name, x, y} as text.
  ---@param list table[]
  ---@param options? {width: integer?, height: integer?, log: boolean?, title: string?}
  ---@return string
  function M.curve (list, options)
    local o = options or {}
    local color = screen.color() and #list > 1
    local braille = screen.utf8() and (#list == 1 or color)
    local box, lost = points_of(list, o.log)
    local note = lost > 0 and ("  %d points cannot be drawn (NaN, infinite%s)"):format(lost,
      o.log and ", or not above 0" or "") or nil
    if not box then return note or "  nothing to draw" end
    local rows = o.height or math.max(4, math.min(14, screen.lines() - 6))
    local at, width = labels(box, rows, o.log)
    local c = canvas(math.max(10, (o.width or screen.columns()) - width - 4), rows, braille)
    for k, s in ipairs(list) do draw(c, s.points, box, k) end
    local lines = {o.title and "  " .. o.title or nil}
    local bar = screen.utf8() and "┤" or "|"
    for j = 0, rows - 1 do
      lines[#lines + 1] = ("  %s%s%s"):format((" "):rep(width - #(at[j] or "")) .. (at[j] or ""), bar, c.row(j, color))
    end
    local first, last = number(box[1]), number(box[2])
    local columns = braille and c.across // 2 or c.across
    lines[#lines + 1] = (" "):rep(width + 3) .. first .. (" "):rep(math.max(1, columns - #first - #last)) .. last
    if #list > 1 then lines[#lines + 1] = legend(list, color) end
    lines[#lines + 1] = note
    return table.concat(lines, "\n")
  end

  ---------------------------------------------------------------- the words of the prompt

  local OPTIONS = {
    log = {"boolean", false, nil, "a logarithmic axis upwards"},
    title = {"string", nil, nil, "above the picture"},
    names = {"table", nil, nil, "of the series, in their order"},
    width = {"integer", nil, {20, 1000}, "columns; the screen's by default"},
    height = {"integer", nil, {2, 200}, "lines"},
    file = {"string", nil, nil, "FILE.svg or FILE.png, drawn by gnuplot, instead of the screen"},
  }

  local function to_file (o, draw_it)
    local ok, message = draw_it(require "lurn.chart_file" (lurn))
    if not ok then error(message, 0) end
    print("  " .. o.file)
  end

  -- A table whose keys are all options.
  local function is_options (x)
    if type(x) ~= "table" or getmetatable(x) or next(x) == nil then return false end
    for key in next, x do if OPTIONS[key] == nil then return false end end
    return true
  end

  -- A run stands for its loss, and for that of its evaluations when it has one; beside others with its name, or that of
  -- its file, before them.
  local function add_series (list, value, name, alone)
    local metrics = type(value) == "table" and value.metrics
    if type(metrics) ~= "table" then
      list[#list + 1] = series_of(value, name, "plot")
      return
    end
    if not metrics.loss and not metrics.valid_loss then error("plot: this run has no loss yet", 3) end
    local whose = name or not alone and (value.path and value.path:match "([^/]*)%.h5$" or value.name)
    for _, metric in ipairs {"loss", "valid_loss"} do
      local title = whose and ("%s %s"):format(whose, metric) or metric
      if metrics[metric] then list[#list + 1] = series_of(metrics[metric], title, "plot") end
    end
  end

  --- plot(series, ..., options), see prompt_words.lua.
  function M.plot (...)
    local given, list = table.pack(...), {}
    local o = is_options(given[given.n]) and table.remove(given, given.n) or {}
    o = schema.check("plot", o, OPTIONS, 2)
    for k, value in ipairs(given) do add_series(list, value, o.names and o.names[k], #given == 1) end
    if #list == 0 then error("plot: nothing to draw", 3) end
    if o.file then return to_file(o, function (file) return file.curves(o.file, list, o) end) end
    print(M.curve(list, o))
  end

  local HIST = {
    bins = {"integer", 20, {1, 1000}, "ranges of equal width"},
    log = {"boolean", false, nil, "bars on a logarithmic axis"},
    title = OPTIONS.title,
    file = OPTIONS.file,
  }

  -- All numbers of what hist is given: a model's are those of its parameters.
  local function all_numbers (x)
    if type(x) == "table" and type(x.parameters) == "function" then
      local all = {}
      for _, p in ipairs(x:parameters()) do
        local values = numbers_of(p.value)
        table.move(values, 1, #values, #all + 1, all)
      end
      return all
    end
    return series_of(x, "", "hist").y
  end

  local function count_in_bins (values, n)
    local low, high, lost = math.huge, -math.huge, 0
    for _, v in ipairs(values) do
      if finite(v) then low, high = math.min(low, v), math.max(high, v) else lost = lost + 1 end
    end
    if low > high then return {}, lost end
    if low == high then high = low + 1 end
    local rows = {}
    for k = 1, n do rows[k] = {number(low + (k - 0.5) * (high - low) / n), 0, low + (k - 0.5) * (high - low) / n} end
    for _, v in ipairs(values) do
      if finite(v) then
        local row = rows[math.min(n, math.floor((v - low) / (high - low) * n) + 1)]
        row[2] = row[2] + 1
      end
    end
    return rows, lost
  end

  --- hist(x, options), see prompt_words.lua.
  function M.hist (x, options)
    local o = schema.check("hist", options, HIST, 2)
    local rows, lost = count_in_bins(all_numbers(x), o.bins)
    if o.file then return to_file(o, function (file) return file.bars(o.file, rows, o) end) end
    if o.title then print("  " .. o.title) end
    if rows[1] then
      print(lurn.plot.bars(rows, {log = o.log, width = math.max(10, screen.columns() - 30), utf8 = screen.utf8()}))
    end
    if lost > 0 then print(("  %d numbers are NaN or infinite"):format(lost)) end
  end

  ---------------------------------------------------------------- heat maps

  local BLOCKS, LETTERS = {" ", "░", "▒", "▓", "█"}, {" ", ".", ":", "+", "#", "@"}

  -- A colour of the 256 between blue (low), white and red (high).
  local function color_of (share)
    local rest = math.floor(10 * math.min(share, 1 - share) + 0.5)      -- what the others have beside red, or blue
    if share < 0.5 then return 16 + 36 * rest + 6 * rest + 5 end
    return 16 + 36 * 5 + 6 * rest + rest
  end

  -- In colour white is zero: numbers on both sides of it lie between equally strong blue and red, others on one side.
  local function ends (low, high, color)
    if not color then return low, high end
    local most = math.max(math.abs(low), math.abs(high))
    return -most, most
  end

  local function shade (x, low, high, color)
    if not finite(x) then return "?" end
    low, high = ends(low, high, color)
    local share = high > low and (x - low) / (high - low) or 0.5
    if color then return ("\27[48;5;%dm \27[0m"):format(color_of(share)) end
    local scale = screen.utf8() and BLOCKS or LETTERS
    return scale[math.min(#scale, math.floor(share * #scale) + 1)]
  end

  -- A character for every column, or `wide` of them: what would move the cursor becomes a dot.
  local function label_list (labels_given, n, wide)
    local list = {}
    if type(labels_given) == "string" then
      for _, c in utf8.codes(labels_given, true) do list[#list + 1] = c < 32 and "." or utf8.char(c) end
    else
      for i, text in ipairs(labels_given or {}) do
        list[i] = screen.pad(screen.head(text, wide), wide)
      end
    end
    return list[1] and table.move(list, 1, n, 1, {}) or nil
  end

  local function reaches (row, first, last, bound)
    for j = first, last do if row[j] > bound then return true end end
    return false
  end

  --- A matrix (list of rows) as lines; blocks of columns where the screen is narrower than it.
  ---@param rows number[][]
  ---@param options? {labels: any, rows: string[]?, title: string?, wide: integer?, low: number?, high: number?,
  -- above: number?}   wide: characters of a number; low, high: ends of the scale, if no number is beyond them;
  -- above: a block has only rows with such a number in it
  ---@return string
  function M.map (rows, options)
    local o = options or {}
    local low, high, names, width = o.low or math.huge, o.high or -math.huge, o.rows or {}, 0
    for i, row in ipairs(rows) do
      for _, x in ipairs(row) do if finite(x) then low, high = math.min(low, x), math.max(high, x) end end
      names[i] = names[i] or tostring(i)
      width = math.max(width, screen.width(names[i]))
    end
    local color, columns, wide = screen.color(), #rows[1], o.wide or 1
    local most = math.max(10, screen.columns() - width - 4) // wide
    local labels_here, lines = label_list(o.labels, columns, wide), {o.title and "  " .. o.title or nil}
    for first = 1, columns, most do
      local last = math.min(columns, first + most - 1)
      for i, row in ipairs(rows) do
        local cells = {}
        for j = first, last do cells[#cells + 1] = shade(row[j], low, high, color):rep(wide) end
        local name = (" "):rep(width - screen.width(names[i])) .. names[i]
        if not o.above or reaches(row, first, last, o.above) then
          lines[#lines + 1] = ("  %s %s"):format(name, table.concat(cells))
        end
      end
      if labels_here then
        lines[#lines + 1] = (" "):rep(width + 3) .. table.concat(labels_here, "", first, math.min(last, #labels_here))
      elseif columns > most then
        lines[#lines + 1] = ("%scolumns %d to %d"):format((" "):rep(width + 3), first, last)
      end
    end
    lines[#lines + 1] = ("  %s %s to %s %s"):format(shade(low, low, high, color), number(low), number(high),
      shade(high, low, high, color))
    return table.concat(lines, "\n")
  end

  local HEAT = {
    labels = {"string|table", nil, nil, "a character for every column, beneath it"},
    rows = {"table", nil, nil, "names of the rows"},
    wide = {"integer", 1, {1, 20}, "characters of a column"},
    title = OPTIONS.title,
    file = OPTIONS.file,
  }

  --- heat(x, options), see prompt_words.lua.
  function M.heat (x, options)
    local o = schema.check("heat", options, HEAT, 2)
    local rows = lurn.is_tensor(x) and x:totable() or x
    if type(rows) ~= "table" or type(rows[1]) ~= "table" or type(rows[1][1]) ~= "number" then
      error("heat: expected a matrix: a tensor (rows, columns) or a list of lists", 3)
    end
    if o.file then return to_file(o, function (file) return file.map(o.file, rows, o) end) end
    print(M.map(rows, o))
  end

  return M
end
