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

  -- "set xtics ('a' 1, 'b' 2)" of a list of names, or of the characters of a text; numbers where there are no names.
  local function tics (axis, names, n)
    local list = {}
    if not names then return ("set %stics 1,%d"):format(axis, math.ceil(n / 20)) end
    if type(names) == "string" then
      for _, c in utf8.codes(names, true) do list[#list + 1] = quote(utf8.char(c)) .. " " .. #list + 1 end
    else
      for k, name in ipairs(names) do list[k] = quote(name) .. " " .. k end
    end
    return ("set %stics (%s) noenhanced"):format(axis, table.concat(list, ", "))
  end

  -- As on the screen white is zero, and what is on both sides of it lies between equally strong blue and red.
  local function palette (rows)
    local low, high = 0, 0
    for _, row in ipairs(rows) do
      for _, x in ipairs(row) do if show(x) ~= "nan" then low, high = math.min(low, x), math.max(high, x) end end
    end
    if low == 0 and high == 0 then high = 1 end
    local most = math.max(-low, high)
    local colors = low == 0 and "0 'white', 1 'red'" or high == 0 and "0 'blue', 1 'white'"
      or "0 'blue', 0.5 'white', 1 'red'"
    return ("set palette defined (%s)\nset cbrange [%.10g:%.10g]"):format(colors, low < 0 and -most or 0,
      high > 0 and most or 0)
  end

  --- A matrix, its first row on top.
  function M.map (path, rows, o)
    local lines = head(o)
    lines[#lines + 1] = "unset grid\n" .. palette(rows)
    lines[#lines + 1] = ("set xrange [0.5:%d.5]\nset yrange [%d.5:0.5]"):format(#rows[1], #rows)
    lines[#lines + 1] = tics("x", o.labels, #rows[1])
    lines[#lines + 1] = tics("y", o.rows, #rows)
    -- An image has two rows and two columns at least: a single one is drawn as two halves.
    local across, down = #rows[1] == 1 and 2 or 1, #rows == 1 and 2 or 1
    local function place (column, times) return ("(($%d+%g)/%d)"):format(column, (times + 1) / 2, times) end
    lines[#lines + 1] = ("plot '-' matrix using %s:%s:3 with image notitle"):format(place(1, across), place(2, down))
    for _, row in ipairs(rows) do
      local cells = {}
      for j, x in ipairs(row) do cells[j] = (show(x) .. " "):rep(across) end
      for _ = 1, down do lines[#lines + 1] = table.concat(cells) end
    end
    lines[#lines + 1] = "e\ne"
    return draw(path, lines)
  end

  return M
end
