--- Values as a prompt shows them: what one wants to know of a tensor, a model, a cell, a data set, a run, and tables of
-- whatever, cut to the screen.
--
-- show.text(x) is all of it, show.line(x) one line. What a value is tells its metatable's __name; everything with a
-- __tostring of its own says it itself.

return function (lurn)
  local quantity, screen = lurn.quantity, lurn.screen
  local M = {screen = screen}
  local kinds = {}

  local function kind_of (x)
    local mt = getmetatable(x)
    return type(mt) == "table" and rawget(mt, "__name") or nil, mt
  end

  M.kind_of = kind_of

  local function shape_text (shape) return "(" .. table.concat(shape, ",") .. ")" end

  -- A tensor's own text, with as many of its columns, eleven characters each, as the screen has; its summary comes on a
  -- line of its own where it does not fit beside the shape.
  local function tensor_text (x)
    local most, lines, text = screen.columns(), {}, tostring(x)
    if #text:match "^[^\n]*" > most then text = text:gsub("  min", "\n  min", 1) end
    for line in text:gmatch "[^\n]+" do
      if #line > most and line:find "^%s+[-%d]" then line = line:sub(1, (most - 5) // 11 * 11) .. "  ..." end
      lines[#lines + 1] = screen.cut(line, most)
    end
    return table.concat(lines, "\n")
  end

  ---------------------------------------------------------------- models

  -- Parameters of one layer in short: those of several gates that have the same letter and shape once, "4 Wx (32,64)".
  local function letters (list)
    local order, count = {}, {}
    for _, p in ipairs(list) do
      local text = ("%s %s"):format(p.path:match "[^.]*$", shape_text(p.value.shape))
      if not count[text] then order[#order + 1] = text end
      count[text] = (count[text] or 0) + 1
    end
    for i, text in ipairs(order) do if count[text] > 1 then order[i] = count[text] .. " " .. text end end
    return table.concat(order, "  ")
  end

  -- Path -> where the program first uses the parameter.
  local function uses (text)
    local register, at = {}, {}
    for r, path in text:gmatch "param (r%d+) (%S+)" do register[r] = path end
    for place, line in text:gmatch "()([^\n]*=[^\n]*)" do
      for r in line:gmatch "r%d+" do
        local path = register[r]
        if path and not at[path] then at[path] = place end
      end
    end
    return at
  end

  -- Layers in the order in which the program uses them; parameters come sorted by path.
  local function layers_of (model)
    local list, by = {}, {}
    local at = uses(model:source_text())
    for _, p in ipairs(model:parameters()) do
      local name = p.path:match "^[^.]*"
      if not by[name] then
        by[name] = {name = name, at = math.huge, numbers = 0}
        list[#list + 1] = by[name]
      end
      local layer = by[name]
      layer[#layer + 1] = p
      layer.at, layer.numbers = math.min(layer.at, at[p.path] or math.huge), layer.numbers + p.value:numel()
    end
    table.sort(list, function (a, b)
      if a.at ~= b.at then return a.at < b.at end
      return a.name < b.name
    end)
    return list
  end

  kinds["lurn.Model"] = function (model)
    local bytes = lurn.precision == "f64" and 8 or 4
    local rows, total = {{"layer", "parameters", "numbers", "bytes"}}, 0
    for _, layer in ipairs(layers_of(model)) do
      rows[#rows + 1] = {layer.name, letters(layer), ("%d"):format(layer.numbers), quantity.size(layer.numbers * bytes)}
      total = total + layer.numbers
    end
    rows[#rows + 1] = {"all", "", ("%d"):format(total), quantity.size(total * bytes)}
    local others = 2
    for _, k in ipairs {1, 3, 4} do others = others + 2 + screen.widest(rows, k) end
    for _, row in ipairs(rows) do row[2] = screen.cut(row[2], math.max(20, screen.columns() - others)) end
    return ("model, %s, %d steps trained; lurn.show prints its program\n%s"):format(lurn.precision, model.step_count,
      screen.table(rows, {[3] = true, [4] = true}))
  end

  ---------------------------------------------------------------- cells and layers

  -- The program of one step, for inputs of D = 4 numbers, as the layer's cell writes it.
  local function program_of (cell, options)
    local program = lurn.core.program()
    local x = program:input("x", "real", "time", {4})
    program:output("out", cell.build(options, program, x, options.name or cell.name .. "1", false, {}))
    return (program:normalise {}:text():gsub("\n$", ""))
  end

  local function layer_text (layer)
    local set = {}
    for k, v in next, layer.options or {} do
      if type(k) == "string" and type(v) ~= "table" and type(v) ~= "function" then
        set[#set + 1] = ("%s = %s"):format(k, type(v) == "string" and ("%q"):format(v) or tostring(v))
      end
    end
    table.sort(set)
    local head = screen.cut(("layer %s {%s}"):format(layer.name, table.concat(set, ", ")), screen.columns())
    if not layer.cell then return head end
    local ok, text = pcall(program_of, layer.cell, layer.options)
    return ok and head .. "\nwith inputs of 4 numbers:\n" .. text or head
  end

  ---------------------------------------------------------------- data

  local function quantile (sorted, q) return sorted[math.max(1, math.ceil(q * #sorted))] end

  -- Lengths in up to eight ranges of as many lengths each; the last one may have fewer.
  local function length_bars (lengths)
    local sorted = table.move(lengths, 1, #lengths, 1, {})
    table.sort(sorted)
    local low, high = sorted[1], sorted[#sorted]
    if low == high then return ("  every sequence has %d steps"):format(low) end
    local rows, width = {}, (high - low + 8) // 8
    for first = low, high, width do
      local last = math.min(high, first + width - 1)
      rows[#rows + 1] = {first == last and ("%d"):format(first) or ("%d-%d"):format(first, last), 0}
    end
    for _, n in ipairs(sorted) do
      local row = rows[(n - low) // width + 1]
      row[2] = row[2] + 1
    end
    return ("  lengths: median %d, nine in ten up to %d\n%s"):format(quantile(sorted, 0.5), quantile(sorted, 0.9),
      lurn.plot.bars(rows, {width = 30, utf8 = screen.utf8()}))
  end

  local function first_sequence (data)
    local sequence = data.set:sequence(1)
    local x = sequence and sequence.x
    if not x then return nil end
    if not data.vocab then return M.text(x) end
    local ids = x:numel() > 80 and x:reshape(-1):narrow(1, 1, 80) or x:reshape(-1)
    local text = ("%q"):format(data:decode(ids:totable())):gsub("\\\n", "\\n")
    return screen.cut(text, screen.columns())
  end

  local function ranges_text (ranges)
    local words = {}
    for i, range in ipairs(ranges) do words[i] = ("%d to %d"):format(range[1], range[2]) end
    return table.concat(words, ", ")
  end

  kinds["lurn.Data"] = function (data)
    local set = data.set
    local lines = {("data %s: %d sequence%s, %d %s%s"):format(data.path or "(from tables)", set.n,
      set.n == 1 and "" or "s", set.total, data.unit,
      data.vocab and (", vocabulary of %d"):format(#data.vocab) or "")}
    local rows = {}
    for _, name in ipairs {"train", "valid", "test"} do
      local split = rawget(data, name)
      local ranges = split and split.split and set.splits[name]
      if ranges then rows[#rows + 1] = {name, ranges_text(ranges)} end
    end
    if rows[1] then lines[#lines + 1] = screen.table(rows) end
    for _, note in ipairs(data.notes or {}) do lines[#lines + 1] = screen.cut("  " .. note, screen.columns()) end
    if set.classes then
      lines[#lines + 1] = screen.cut("  classes " .. table.concat(set.classes, ", "), screen.columns())
    end
    if not data.stream then lines[#lines + 1] = length_bars(set.lengths) end
    local ok, first = pcall(first_sequence, data)
    if ok and first then lines[#lines + 1] = "  the first one begins\n" .. first end
    return table.concat(lines, "\n")
  end

  kinds["lurn.Split"] = function (split) return "split " .. tostring(split) end

  ---------------------------------------------------------------- runs

  local function sorted_keys (t)
    local keys = {}
    for k in next, t do keys[#keys + 1] = k end
    table.sort(keys, function (a, b)
      if type(a) == type(b) and (type(a) == "number" or type(a) == "string") then return a < b end
      return type(a) < type(b) or type(a) == type(b) and tostring(a) < tostring(b)
    end)
    return keys
  end

  --- Parameters, a line each metric, and the curve of the one that counts. Of runs and of run files.
  ---@param r {name: string, status: string, steps: integer, params: table, metrics: table, best: table, summary: table}
  function M.run (r)
    local lines = {("run %s: %s after %d steps"):format(r.name, r.status, r.steps)}
    if next(r.params) then lines[#lines + 1] = screen.cut("  " .. M.line(r.params), screen.columns()) end
    local rows = {{"metric", "last", "best", "at step"}}
    for _, name in ipairs(sorted_keys(r.summary)) do
      local s = r.summary[name]
      rows[#rows + 1] = {name, ("%.6g"):format(s.last), s.best and ("%.6g"):format(s.best) or "",
        s.step and ("%d"):format(s.step) or ""}
    end
    if rows[2] then lines[#lines + 1] = screen.table(rows, {[2] = true, [3] = true, [4] = true}) end
    local series = r.metrics.loss
    if series and #series.value > 1 then
      local chart = require "lurn.chart" {lurn = lurn, show = M}
      lines[#lines + 1] = chart.curve({{name = "loss", x = series.step, y = series.value}}, {height = 6})
    end
    return table.concat(lines, "\n")
  end

  kinds["lurn.Run"] = function (run)
    local text = M.run {name = run.experiment.name, status = run.status, steps = run.done, params = run.params,
      metrics = run.metrics, summary = run:summary()}
    local at = run.path and lurn.sys.exists(run.path) and "\n  file " .. run.path or ""
    local how = "\n  r:step(n) plays n steps, r:continue() the rest; r.optim.lr = x sets the rate"
    return text .. at .. (run.status == "waiting" and how or "")
  end

  kinds["lurn.Experiment"] = function (experiment)
    local text = ("experiment %s (%s)"):format(experiment.name, experiment.direction)
    local help = experiment:help()
    return help ~= "" and text .. "\n" .. help or text
  end

  ---------------------------------------------------------------- tables

  local DEPTH = 4

  local function key_text (k)
    if type(k) == "string" then return k:find "^[%a_][%w_]*$" and k or ("[%q]"):format(k) end
    return "[" .. tostring(k) .. "]"
  end

  -- One line of anything: what it is, not what it says of itself, which may have many lines.
  local function atom (x)
    if type(x) == "string" then return (("%q"):format(x):gsub("\\\n", "\\n")) end
    if type(x) == "number" or type(x) == "boolean" or x == nil then return tostring(x) end
    if lurn.is_tensor(x) then return ("tensor %s"):format(shape_text(x.shape)) end
    local name = kind_of(x)
    if name then return name:gsub("^lurn%.", "") end
    if type(x) == "function" then
      local info = debug.getinfo(x, "S")
      return info.what == "C" and "function" or ("function %s:%d"):format(info.short_src:match "[^/]*$",
        info.linedefined)
    end
    return type(x)
  end

  local function is_plain (x) return type(x) == "table" and kind_of(x) == nil and not lurn.is_tensor(x) end

  local function braced (x, depth, above)
    if above[x] then return "<above>" end
    if depth == 0 then return "{...}" end
    above[x] = true
    local parts, n, length = {}, rawlen(x), 0
    local function add (text)
      length = length + #text
      parts[#parts + 1] = text
    end
    local function value (v) return is_plain(v) and braced(v, depth - 1, above) or atom(v) end
    for i = 1, n do
      if length > 400 then
        add(("... %d more"):format(n - i + 1))
        break
      end
      add(value(x[i]))
    end
    for _, k in ipairs(sorted_keys(x)) do
      if length > 400 then
        add "..."
        break
      end
      if not (math.type(k) == "integer" and k >= 1 and k <= n) then add(key_text(k) .. " = " .. value(x[k])) end
    end
    above[x] = nil
    return "{" .. table.concat(parts, ", ") .. "}"
  end

  --- One line, cut to the screen.
  ---@param x any
  ---@return string
  function M.line (x)
    return screen.cut(is_plain(x) and braced(x, DEPTH, {}) or atom(x), screen.columns())
  end

  -- A table that does not fit on a line: an entry a line, as many as the screen has.
  local function tall (x)
    local lines, keys = {"{"}, sorted_keys(x)
    local most = math.max(8, screen.lines() - 4)
    for i, k in ipairs(keys) do
      if i > most then
        lines[#lines + 1] = ("  ... %d more"):format(#keys - most)
        break
      end
      local text = is_plain(x[k]) and braced(x[k], DEPTH - 1, {[x] = true}) or atom(x[k])
      lines[#lines + 1] = screen.cut(("  %s = %s,"):format(key_text(k), text), screen.columns())
    end
    lines[#lines + 1] = "}"
    return table.concat(lines, "\n")
  end

  -- The module itself: what scripts find in it.
  local function module_text ()
    local names = {}
    for _, row in ipairs(require "lurn.parts") do if row.inner == true then names[row[1]] = true end end
    for name in pairs(lurn) do if not names[name] then names[#names + 1] = name end end
    table.sort(names)
    return screen.wrap(("lurn %s, %s; ?lurn.NAME says more\n  %s"):format(lurn.version, lurn.precision,
      table.concat(names, ", ")), screen.columns())
  end

  local function is_layer (x) return type(x.name) == "string" and type(x.apply) == "function" end

  --- What a prompt prints of a value.
  ---@param x any
  ---@return string
  function M.text (x)
    if type(x) == "string" then return x end
    if x == lurn then return module_text() end
    local name, mt = kind_of(x)
    if kinds[name] then return kinds[name](x) end
    if type(x) == "function" then return atom(x) end
    if lurn.is_tensor(x) then return tensor_text(x) end
    if type(x) ~= "table" or type(mt) == "table" and mt.__tostring then return tostring(x) end
    if is_layer(x) then return layer_text(x) end
    local line = braced(x, DEPTH, {})
    if screen.width(line) <= screen.columns() then return line end
    return tall(x)
  end

  return M
end
