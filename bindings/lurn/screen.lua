--- The screen that text is made for: its size, whether it has colour and UTF-8.
--
-- COLUMNS and LINES win over the terminal's own answer; NO_COLOR (not empty), TERM=dumb and a file instead of a
-- terminal mean no colour. Widths are counted in characters, which is right for everything but wide East Asian ones.

return function (lurn)
  local M = {}

  local function number (name)
    local n = math.tointeger(tonumber(os.getenv(name) or ""))
    return n and n > 0 and n or nil
  end

  --- Characters in a line of stdout, or else of stderr; or of the one that is asked for (2).
  ---@param descriptor? integer
  function M.columns (descriptor)
    return number "COLUMNS" or lurn.sys.columns(descriptor or 1) or lurn.sys.columns(2) or 80
  end

  --- Lines of that screen.
  function M.lines () return number "LINES" or lurn.sys.lines(1) or 24 end

  --- Whether characters beyond ASCII may be printed.
  function M.utf8 () return lurn.plot.utf8() end

  function M.color ()
    return lurn.sys.isatty(1) and (os.getenv "NO_COLOR" or "") == "" and os.getenv "TERM" ~= "dumb"
  end

  --- Characters of a text; bytes where it is no UTF-8.
  function M.width (text) return utf8.len(text) or #text end

  --- The first so many characters of a text, or all that it has.
  function M.head (text, most)
    if M.width(text) <= most then return text end
    return text:sub(1, (utf8.len(text) and utf8.offset(text, most + 1) or most + 1) - 1)
  end

  --- Cut to so many characters; what is left out shows as dots.
  function M.cut (text, most)
    if M.width(text) <= most then return text end
    local dots = M.utf8() and "…" or "..."
    return M.head(text, math.max(0, most - M.width(dots))) .. dots
  end

  --- Blanks behind it, up to so many characters.
  function M.pad (text, width) return text .. (" "):rep(width - M.width(text)) end

  --- Characters of the widest cell in a column of rows.
  function M.widest (rows, column)
    local width = 0
    for _, row in ipairs(rows) do width = math.max(width, M.width(row[column] or "")) end
    return width
  end

  --- Lines that are longer than `most`, broken between words. What goes on stands below the second column, where there
  -- is one in the left half, or a little further to the right than the line.
  function M.wrap (text, most)
    local lines = {}
    for line in (text .. "\n"):gmatch "(.-)\n" do
      local column = line:match "^%s*%S.-%s%s+()%S"
      local indent = column and column <= most // 2 and (" "):rep(column - 1) or line:match "^%s*" .. "  "
      while M.width(line) > most do
        local head = M.head(line, most + 1):match "^(.*%S)%s+%S*$"
        if not head or #head <= #indent then break end
        lines[#lines + 1] = head
        line = indent .. line:sub(#head + 1):match "^%s*(.*)$"
      end
      lines[#lines + 1] = line
    end
    return table.concat(lines, "\n")
  end

  --- A text for stdout (1) or stderr (2): wrapped where that is a terminal.
  function M.fit (text, descriptor) return lurn.sys.isatty(descriptor) and M.wrap(text, M.columns()) or text end

  --- Rows of cells as aligned lines, each cut to the screen. Columns named in `right` (by number) are flush right.
  ---@param rows string[][]
  ---@param right? table<integer, boolean>
  ---@return string
  function M.table (rows, right)
    local widths, lines, most = {}, {}, M.columns()
    for _, row in ipairs(rows) do
      for k, cell in ipairs(row) do widths[k] = math.max(widths[k] or 0, M.width(cell)) end
    end
    for i, row in ipairs(rows) do
      local cells = {}
      for k, cell in ipairs(row) do
        local blanks = (" "):rep(widths[k] - M.width(cell))
        cells[k] = right and right[k] and blanks .. cell or cell .. blanks
      end
      lines[i] = M.cut(("  " .. table.concat(cells, "  ")):gsub(" +$", ""), most)
    end
    return table.concat(lines, "\n")
  end

  return M
end
