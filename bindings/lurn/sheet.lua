--- Tables of text and numbers for a terminal and as CSV: rows are lists of cells, a missing cell is false.

return function (lurn)
  local M = {}

  local json, screen = lurn.json, lurn.screen

  local function shown (cell)
    if cell == false or cell == nil then return "" end
    if math.type(cell) == "float" then return ("%.6g"):format(cell) end
    return (tostring(cell):gsub("%c", " "))
  end

  local function exact (cell)
    if cell == false or cell == nil then return "" end
    local text = json.plain(cell)
    return text:find '[",\r\n]' and '"' .. text:gsub('"', '""') .. '"' or text
  end

  --- The columns that rows ask for: all names in the tables that they have under that key, in order.
  ---@param rows table[]
  ---@param key string
  ---@return string[]
  function M.names (rows, key)
    local seen, list = {}, {}
    for _, row in ipairs(rows) do
      for name in next, row[key] or {} do
        if not seen[name] then seen[name], list[#list + 1] = true, name end
      end
    end
    table.sort(list)
    return list
  end

  -- So many of the columns, two blanks apart, fit into that many characters; the first always does.
  local function fitting (width, most)
    local sum = width[1] or 0
    for c = 2, #width do
      sum = sum + 2 + width[c]
      if sum > most then return c - 1 end
    end
    return #width
  end

  --- Columns side by side; numbers end where their column ends, texts begin where it begins. With `most` characters
  -- columns at the right that do not fit are left out, and named below.
  ---@param head string[]
  ---@param rows any[][]
  ---@param most? integer
  ---@return string
  function M.text (head, rows, most)
    local width, right, lines = {}, {}, {}
    for c, name in ipairs(head) do
      width[c] = screen.width(name)
      for _, row in ipairs(rows) do
        width[c] = math.max(width[c], screen.width(shown(row[c])))
        right[c] = right[c] or type(row[c]) == "number"
      end
    end
    local kept = most and fitting(width, most) or #head
    local function add (row)
      local cells = {}
      for c = 1, kept do
        local text = shown(row[c])
        local pad = (" "):rep(width[c] - screen.width(text))
        cells[c] = right[c] and pad .. text or text .. pad
      end
      lines[#lines + 1] = (table.concat(cells, "  "):gsub("%s+$", ""))
    end
    add(head)
    for _, row in ipairs(rows) do add(row) end
    if kept < #head then
      lines[#lines + 1] = ("(too narrow for %s; --csv has them)"):format(table.concat(head, ", ", kept + 1))
    end
    return table.concat(lines, "\n")
  end

  --- The same as a table of Markdown.
  ---@param head string[]
  ---@param rows any[][]
  ---@return string
  function M.markdown (head, rows)
    local lines, rule = {}, {}
    for c = 1, #head do rule[c] = rows[1] and type(rows[1][c]) == "number" and "---:" or "---" end
    local function add (cells) lines[#lines + 1] = "| " .. table.concat(cells, " | ") .. " |" end
    add(head)
    add(rule)
    for _, row in ipairs(rows) do
      local cells = {}
      for c = 1, #head do cells[c] = shown(row[c]):gsub("|", "\\|") end
      add(cells)
    end
    return table.concat(lines, "\n")
  end

  --- The same as CSV, numbers with all their digits.
  ---@param head string[]
  ---@param rows any[][]
  ---@return string
  function M.csv (head, rows)
    local lines = {}
    for _, row in ipairs {head, table.unpack(rows)} do
      local cells = {}
      for c = 1, #head do cells[c] = exact(row[c]) end
      lines[#lines + 1] = table.concat(cells, ",")
    end
    return table.concat(lines, "\n")
  end

  return M
end
