--- Reads tables of text: CSV and TSV as spreadsheets write them (RFC 4180), from a file to lists of cells.
--
-- Cells may be quoted, with "" for a quote and with separators and line ends inside; lines end in LF or CRLF; an
-- empty line is no row. What is wrong is said with its line, because that is where it will be looked for.

local M = {}

local QUOTE = 34

local function fail (line, message) error({line = line, message = message}, 0) end

-- A quoted cell that begins at `at`: its text, the place behind the closing quote, line ends in it.
local function quoted (text, at, line)
  local from = at + 1
  while true do
    local close = text:find('"', from, true) or fail(line, "a quote is opened and never closed")
    if text:byte(close + 1) ~= QUOTE then
      local cell = text:sub(at + 1, close - 1):gsub('""', '"')
      return cell, close + 1, select(2, cell:gsub("\n", "\n"))
    end
    from = close + 2
  end
end

-- A row that begins at `at`: its cells, where the next one begins, and at which line.
local function row (text, at, line, stop)
  local cells, lines = {}, 0
  while true do
    local cell
    if text:byte(at) == QUOTE then
      local more
      cell, at, more = quoted(text, at, line)
      lines = lines + more
      if at <= #text and text:find(stop, at) ~= at then fail(line + lines, "text behind a closing quote") end
    else
      local e = text:find(stop, at) or #text + 1
      cell, at = text:sub(at, e - 1):match "^%s*(.-)%s*$", e
    end
    cells[#cells + 1] = cell
    local c = text:sub(at, at)
    if c == "\r" and text:sub(at + 1, at + 1) == "\n" then at, c = at + 1, "\n" end
    at = at + 1
    if c == "\n" or c == "\r" or c == "" then return cells, at, line + lines + 1 end
  end
end

--- All rows of a text: lists of cells, each with `line`, where it begins.
---@param text string
---@param sep string   one character
---@return table[]
function M.rows (text, sep)
  local rows, line = {}, 1
  local at = text:sub(1, 3) == "\239\187\191" and 4 or 1      -- a byte order mark is no part of a name
  local stop = "[\r\n" .. (sep:find "%w" and sep or "%" .. sep) .. "]"
  if sep == "\t" then stop = "[\r\n\t]" end
  while at <= #text do
    local begin = line
    local cells
    cells, at, line = row(text, at, line, stop)
    if #cells > 1 or cells[1] ~= "" then
      cells.line = begin
      rows[#rows + 1] = cells
    end
  end
  return rows
end

local MISSING = {}
for _, word in ipairs {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "?"} do
  MISSING[word] = true
end

--- What was wrong with a file, as its line and what to say; nil of an error of another kind.
---@param path string
---@param e any   as raised here
---@return string?
function M.told (path, e)
  if type(e) ~= "table" or not e.message then return nil end
  return ("%s%s: %s"):format(path, e.line and ":" .. e.line or "", e.message)
end

--- Whether a cell says that there is no value.
function M.missing (cell) return cell == nil or MISSING[cell] == true end

--- What stands between the cells of a file, by its name.
function M.separator (path) return path:find "%.tsv$" and "\t" or "," end

--- What to say of a table that does not fit when its head is one cell in which other separators stand; "" else.
---@param names string[]
---@return string
function M.hint (names)
  local other = not names[2] and names[1]:match "[;\t|]"
  if not other then return "" end
  return (" (its cells seem to end at %s; sep says so)"):format(other == "\t" and "tabs" or "'" .. other .. "'")
end

--- The names of the columns and the rows below them; without a header columns are called "1", "2", ...
---@return {names: string[], rows: table[]}
function M.table_of (text, sep, header)
  if text:find "^\255\254" or text:find "^\254\255" then fail(1, "is UTF-16; save the table as UTF-8") end
  local rows, names = M.rows(text, sep), {}
  if not rows[1] then fail(1, "the table is empty") end
  if header then names = table.remove(rows, 1) end
  if not header then for c = 1, #rows[1] do names[c] = tostring(c) end end
  for _, cells in ipairs(rows) do
    if #cells ~= #names then
      fail(cells.line, ("%d cells, and the table has %d columns%s"):format(#cells, #names, M.hint(names)))
    end
  end
  return {names = names, rows = rows}
end

return M
