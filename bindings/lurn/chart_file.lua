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
    local pipe = io.popen("gnuplot >/dev/null 2>&1", "w")
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

  -- "set xtics ('a' 0, 'b' 1)" of a list of names, or of the characters of a text.
  local function tics (axis, names)
    local list = {}
    if type(names) == "string" then
      for _, c in utf8.codes(names, true) do list[#list + 1] = quote(utf8.char(c)) .. " " .. #list end
    else
      for k, name in ipairs(names) do list[k] = quote(name) .. " " .. k - 1 end
    end
    return ("set %stics (%s) noenhanced"):format(axis, table.concat(list, ", "))
  end

  --- A matrix, its first row on top.
  function M.map (path, rows, o)
    local lines = head(o)
    lines[#lines + 1] = "unset grid\nset palette defined (0 'blue', 0.5 'white', 1 'red')"
    lines[#lines + 1] = ("set xrange [-0.5:%d.5]\nset yrange [%d.5:-0.5]"):format(#rows[1] - 1, #rows - 1)
    if o.labels then lines[#lines + 1] = tics("x", o.labels) end
    if o.rows then lines[#lines + 1] = tics("y", o.rows) end
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
