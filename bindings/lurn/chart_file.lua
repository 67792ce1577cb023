--- Pictures for a paper: the same curves, bars and maps as on the screen, drawn by gnuplot into an SVG or a PNG.
--
-- gnuplot is a program of its own (Debian: gnuplot-nox), started when a picture is asked for; without it everything
-- else works. What is drawn goes through its standard input: no file is left behind.

return function (lurn)
  local M = {}

  local TERMINALS = {svg = "svg size 640,400 dynamic background rgb 'white'",
    png = "pngcairo size 1280,800 fontscale 1.6"}

  -- In single quotes gnuplot knows no escapes but the doubled quote.
  local function quote (text) return "'" .. text:gsub("'", "''"):gsub("[%c]", " ") .. "'" end

  local function there ()
    local ok = os.execute "command -v gnuplot >/dev/null 2>&1"
    return ok or nil, "pictures in files are drawn by gnuplot, which is not installed (Debian: gnuplot-nox)"
  end

  -- What is not a number is missing.
  local function show (x) return x == x and x ~= math.huge and x ~= -math.huge and ("%.10g"):format(x) or "nan" end

  -- Hands gnuplot a script and its data; true, or nil and a message.
  local function draw (path, lines)
    local kind = path:match "%.(%a+)$"
    local terminal = TERMINALS[(kind or ""):lower()]
    if not terminal then return nil, ("%s: a picture's name ends in .svg or .png"):format(path) end
    local ok, message = there()
    if not ok then return nil, message end
    os.remove(path)
    local pipe = io.popen("gnuplot 2>/dev/null", "w")
    pipe:write("set terminal ", terminal, "\nset output ", quote(path), "\nset encoding utf8\n",
      table.concat(lines, "\n"), "\n")
    pipe:close()
    if not lurn.sys.exists(path) then return nil, path .. ": gnuplot could not write it" end
    return true
  end

  local function head (o)
    return {o.title and "set title " .. quote(o.title) .. " noenhanced" or "unset title", "set grid", "set border 3",
      "set tics nomirror"}
  end

  --- Curves of series {name, x, y}.
  function M.curves (path, list, o)
    local lines, parts = head(o), {}
    if o.log then lines[#lines + 1] = "set logscale y" end
    for k, s in ipairs(list) do
      parts[k] = ("'-' using 1:2 with lines lw 2 title %s noenhanced"):format(quote(s.name or "series " .. k))
    end
    lines[#lines + 1] = "plot " .. table.concat(parts, ", ")
    for _, s in ipairs(list) do
      for i, y in ipairs(s.y) do lines[#lines + 1] = show(s.x[i]) .. " " .. show(y) end
      lines[#lines + 1] = "e"
    end
    return draw(path, lines)
  end

  --- Bars of rows {label, count, place}.
  function M.bars (path, rows, o)
    local lines = head(o)
    if o.log then lines[#lines + 1] = "set logscale y" end
    lines[#lines + 1] = "set style fill solid 0.6\nset boxwidth 0.9 relative\nplot '-' using 1:2 with boxes notitle"
    for _, row in ipairs(rows) do lines[#lines + 1] = show(row[3]) .. " " .. show(row[2]) end
    lines[#lines + 1] = "e"
    return draw(path, lines)
  end

  --- A matrix, its first row on top.
  function M.map (path, rows, o)
    local lines = head(o)
    lines[#lines + 1] = "unset grid\nset yrange [] reverse\nset palette defined (0 'blue', 0.5 'white', 1 'red')"
    if o.labels then
      local tics, k = {}, 0
      local text = type(o.labels) == "string" and o.labels or table.concat(o.labels)
      for _, c in utf8.codes(text, true) do
        tics[#tics + 1] = quote(utf8.char(c)) .. " " .. k
        k = k + 1
      end
      lines[#lines + 1] = "set xtics (" .. table.concat(tics, ", ") .. ") noenhanced"
    end
    lines[#lines + 1] = "plot '-' matrix with image notitle"
    for _, row in ipairs(rows) do
      local cells = {}
      for j, x in ipairs(row) do cells[j] = show(x) end
      lines[#lines + 1] = table.concat(cells, " ")
    end
    lines[#lines + 1] = "e\ne"
    return draw(path, lines)
  end

  return M
end
