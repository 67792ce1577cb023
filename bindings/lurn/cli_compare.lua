--- Verbs that look at several run files: ls, compare, diff. None executes anything of a run file.

return function (cli)
  local M = {}

  local input = require "lurn.cli_input" (cli)
  local sheet, textdiff = require "lurn.sheet" (cli.lurn()), require "lurn.textdiff" ()

  local function show (options, head, rows, document)
    if options.json then cli.document(document)
    elseif options.csv then print(sheet.csv(head, rows))
    else print(cli.fit(sheet.text(head, rows, cli.width()), 1)) end
  end

  -- A missing value is an empty cell; false is a value.
  local function cell_of (value)
    if type(value) == "boolean" then return tostring(value) end
    return value or false
  end

  -- A row as JSON: all but the file itself.
  local function plain (row)
    local out = {}
    for k, v in next, row do if k ~= "file" then out[k] = v end end
    return out
  end

  local function plain_all (rows)
    local out = {}
    for i, row in ipairs(rows) do out[i] = plain(row) end
    return out
  end

  ---------------------------------------------------------------- ls

  local function rows_of (shelf, lurn, options, folder)
    local keep, names
    if options.where then
      keep, names = shelf.filter(options.where)
      if not keep then cli.usage(names, cli.describe(cli.verbs.ls)) end
    end
    local rows = {}
    for _, path in ipairs(shelf.paths(folder)) do
      local row = shelf.row(path)
      -- A data set is an HDF5 file too, and no damaged run.
      local r = row.error and lurn.h5.open(path)
      local other = r and r:attr("/", "format") ~= lurn.runfile.format
      if r then r:close() end
      if not other and (not keep or not row.error and keep(row)) then rows[#rows + 1] = row end
    end
    for name, found in pairs(names or {}) do
      if not found then io.stderr:write(("lurn: --where: no run here has '%s'\n"):format(name)) end
    end
    return rows
  end

  -- What every table has; another name to sort by is a column more.
  local COLUMNS = {best = true, steps = true, status = true, path = true}

  local function ls_row (shelf, row, varying, sort)
    if row.error then return {" ", row.path, row.status} end
    local cells = {row.best_of_name and "*" or " ", row.path, row.status, row.steps or false, row.best or false}
    if sort then cells[#cells + 1] = cell_of(shelf.value(row, sort)) end
    for _, name in ipairs(varying) do cells[#cells + 1] = cell_of(row.params[name]) end
    return cells
  end

  function M.ls (options, rest)
    if rest[2] then cli.usage(("one folder, please; what is '%s'?"):format(rest[2]), cli.describe(cli.verbs.ls)) end
    local lurn, folder = cli.lurn(), rest[1] or "runs"
    if not lurn.sys.exists(folder) then cli.fail(cli.INPUT, folder .. ": no such folder") end
    local shelf = require "lurn.shelf" (lurn)
    local rows = rows_of(shelf, lurn, options, folder)
    if not rows[1] and lurn.data.is_hdf5(folder) then input.run(folder) end      -- says what it is instead
    shelf.mark_best(rows)
    local sort = options.sort
    if sort and rows[1] and not shelf.known(rows, sort) then
      io.stderr:write(("lurn: --sort: no run here has '%s'\n"):format(sort))
    end
    if sort then shelf.sort(rows, sort) end
    local sorted_by = sort and not COLUMNS[sort] and sort or nil
    local head, cells, varying = {" ", "run", "status", "steps", "best", sorted_by}, {}, {}
    for _, name in ipairs(shelf.varying(rows)) do if name ~= sorted_by then varying[#varying + 1] = name end end
    table.move(varying, 1, #varying, #head + 1, head)
    for i, row in ipairs(rows) do cells[i] = ls_row(shelf, row, varying, sorted_by) end
    show(options, head, cells, {folder = folder, runs = plain_all(rows)})
    for _, row in ipairs(rows) do if row.error then io.stderr:write("lurn: ", row.error, "\n") end end
    return cli.OK
  end

  ---------------------------------------------------------------- compare

  local function read_rows (verb, shelf, paths)
    if not paths[1] then cli.usage("which run files?", cli.describe(cli.verbs[verb])) end
    local rows, message = {}, nil
    for i, path in ipairs(paths) do
      rows[i] = shelf.row(path, verb == "diff")
      message = message or rows[i].error
    end
    return rows, message
  end

  local function line (title, rows, f)
    local cells = {title}
    for i, row in ipairs(rows) do
      if row.error then cells[i + 1] = false else cells[i + 1] = cell_of(f(row)) end
    end
    return cells
  end

  -- A row for every thing, a column for every run.
  local function side_by_side (shelf, rows, metrics)
    local cells = {}
    local function add (title, f) cells[#cells + 1] = line(title, rows, f) end
    for _, key in ipairs {"status", "steps", "seconds", "seed", "precision"} do
      add(key, function (row) return row[key] end)
    end
    for _, name in ipairs(shelf.varying(rows)) do
      add(name, function (row) return row.params[name] end)
    end
    for _, name in ipairs(metrics or sheet.names(rows, "metrics")) do
      add(name .. " last", function (row) return row.metrics[name] and row.metrics[name].last end)
      add(name .. " best", function (row) return row.metrics[name] and row.metrics[name].best end)
    end
    return cells
  end

  -- One curve a run, named by its file.
  local function draw (lurn, rows, metric, path)
    local list = {}
    for _, row in ipairs(rows) do
      local series = row.file and row.file.metrics[metric]
      if series then list[#list + 1] = {name = row.path:match "[^/]*$", x = series.step, y = series.value} end
    end
    if not list[1] then cli.usage(("--plot: no run here has '%s'; --metric NAME"):format(metric)) end
    local ok, message = require "lurn.chart_file" (lurn).curves(path, list, {title = metric})
    if not ok then cli.fail(cli.FAILED, message) end
  end

  -- The metrics that are asked for, each of which some run has.
  local function metrics_of (lurn, rows, text)
    if not text then return nil end
    local list, known = input.words(text), sheet.names(rows, "metrics")
    local there = {}
    for _, name in ipairs(known) do there[name] = true end
    for _, name in ipairs(list) do
      if not there[name] then cli.usage("--metric: " .. lurn.schema.unknown("no run here has", name, known)) end
    end
    return list
  end

  function M.compare (options, rest)
    local shelf = require "lurn.shelf" (cli.lurn())
    local rows, message = read_rows("compare", shelf, rest)
    if message then io.stderr:write("lurn: ", message, "\n") end
    shelf.mark_best(rows)
    local metrics = metrics_of(cli.lurn(), rows, options.metric)
    if options.plot then draw(cli.lurn(), rows, metrics and metrics[1] or "loss", options.plot) end
    local head = {""}
    for i, row in ipairs(rows) do head[i + 1] = (row.best_of_name and #rows > 1 and "*" or "") .. row.path end
    show(options, head, side_by_side(shelf, rows, metrics), {runs = plain_all(rows), varying = shelf.varying(rows)})
    return message and cli.INPUT or cli.OK
  end

  ---------------------------------------------------------------- diff

  local function add_edits (list, what, a, b)
    if a == b then return end
    list[#list + 1] = {file = what, lines = textdiff.edits(a or "", b or "")}
  end

  local function code_of (a, b)
    local list = {}
    add_edits(list, "script", a.script.text, b.script.text)
    for _, name in ipairs(sheet.names({a.script, b.script}, "lua")) do
      add_edits(list, name, a.script.lua[name], b.script.lua[name])
    end
    return list
  end

  local function programs_of (a, b)
    local list = {}
    for k = 1, math.max(#a.models, #b.models) do
      local x, y = a.models[k] or {}, b.models[k] or {}
      add_edits(list, "program" .. (k > 1 and "_" .. k or ""), x.program, y.program)
    end
    return list
  end

  local function params_of (a, b)
    local list, names = {}, {}
    for name in next, a.params do names[name] = true end
    for name in next, b.params do names[name] = true end
    for name in pairs(names) do
      if a.params[name] ~= b.params[name] then
        list[#list + 1] = {entry = name, was = a.params[name], is = b.params[name]}
      end
    end
    if a.seed ~= b.seed then list[#list + 1] = {entry = "seed", was = a.seed, is = b.seed} end
    table.sort(list, function (x, y) return x.entry < y.entry end)
    return list
  end

  -- Data and environment: what the manifests say, without what stands elsewhere in the comparison.
  local function manifests_of (lurn, a, b)
    local data, environment = {}, {}
    for _, d in ipairs(lurn.manifest.differences(a.manifest, b.manifest)) do
      local part = d.entry:match "^%a+"
      if part == "data" then data[#data + 1] = d
      elseif part ~= "params" and part ~= "seed" and part ~= "script" and part ~= "files" then
        environment[#environment + 1] = d
      end
    end
    return data, environment
  end

  local function curves_of (lurn, rows)
    local list, replay = {}, require "lurn.replay" (lurn)
    for _, name in ipairs(sheet.names(rows, "metrics")) do
      local a, b = rows[1].file.metrics, rows[2].file.metrics
      local first = replay.first_metric({[name] = a[name]}, {[name] = b[name]}, math.huge, true)
      if first then
        local x, y = rows[1].metrics[name] or {}, rows[2].metrics[name] or {}
        list[#list + 1] = {name = name, from = first.step, last = {x.last or false, y.last or false},
          best = {x.best or false, y.best or false}}
      end
    end
    return list
  end

  local function short (value)
    local text = (type(value) == "number" and "%.6g" or "%s"):format(value == nil and "(none)"
      or type(value) == "number" and value or tostring(value)):gsub("\n", " ")
    return #text > 60 and text:sub(1, 57) .. "..." or text
  end

  local function print_entries (title, list)
    if list[1] then print(title .. ":") end
    for _, d in ipairs(list) do print(("  %s: %s -> %s"):format(d.entry, short(d.was), short(d.is))) end
  end

  local function print_edits (title, list)
    for _, part in ipairs(list) do
      print(("%s, %s:"):format(title, part.file))
      for _, e in ipairs(part.lines) do print(("  %s%d: %s"):format(e.sign, e.line, e.text)) end
    end
  end

  local function print_curves (list)
    if list[1] then print("curves:") end
    for _, c in ipairs(list) do
      print(("  %s: from step %d on; last %s -> %s, best %s -> %s"):format(c.name, c.from, short(c.last[1] or nil),
        short(c.last[2] or nil), short(c.best[1] or nil), short(c.best[2] or nil)))
    end
  end

  local function print_difference (d)
    print_entries("parameters", d.params)
    print_edits("code", d.code)
    print_entries("data", d.data)
    print_entries("environment", d.environment)
    print_edits("programs", d.programs)
    print_curves(d.curves)
    if d.equal then print("nothing differs") end
  end

  -- The same as rows: part, entry, a, b.
  local function csv_rows (d)
    local rows = {}
    for _, part in ipairs {"params", "data", "environment"} do
      for _, e in ipairs(d[part]) do rows[#rows + 1] = {part, e.entry, cell_of(e.was), cell_of(e.is)} end
    end
    for _, part in ipairs {"code", "programs"} do
      for _, f in ipairs(d[part]) do
        for _, e in ipairs(f.lines) do
          local out = e.sign == "-"
          rows[#rows + 1] = {part, ("%s:%d"):format(f.file, e.line), out and e.text, not out and e.text}
        end
      end
    end
    for _, c in ipairs(d.curves) do rows[#rows + 1] = {"curves", c.name, c.last[1], c.last[2]} end
    return rows
  end

  function M.diff (options, rest)
    if #rest ~= 2 then cli.usage("two run files, please", cli.describe(cli.verbs.diff)) end
    local lurn = cli.lurn()
    local rows, message = read_rows("diff", require "lurn.shelf" (lurn), rest)
    if message then cli.fail(cli.INPUT, message) end
    local a, b = rows[1].file, rows[2].file
    local d = {a = a.path, b = b.path, params = params_of(a, b), code = code_of(a, b), programs = programs_of(a, b),
      curves = curves_of(lurn, rows)}
    d.data, d.environment = manifests_of(lurn, a, b)
    d.equal = not (d.params[1] or d.code[1] or d.programs[1] or d.curves[1] or d.data[1] or d.environment[1])
    if options.json then cli.document(d)
    elseif options.csv then print(sheet.csv({"part", "entry", "a", "b"}, csv_rows(d)))
    else print_difference(d) end
    return cli.OK
  end

  return M
end
