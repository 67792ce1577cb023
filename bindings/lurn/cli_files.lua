--- Verbs about files: inspect, data.

return function (cli)
  local M = {}

  local input = require "lurn.cli_input" (cli)
  local words = input.words

  ---------------------------------------------------------------- inspect

  local function shape_text (shape)
    return "(" .. table.concat(shape, ", ") .. ")"
  end

  local function list_arrays (r, group, out, depth)
    local names, message = r:list(group)
    for _, name in ipairs(names or {}) do
      local path = (group == "/" and "" or group) .. "/" .. name
      local shape, kind = r:shape(path)
      if shape then out[#out + 1] = {name = path, type = kind, shape = shape}
      elseif kind == "group" and depth < 15 and message == nil then
        message = select(2, list_arrays(r, path, out, depth + 1))
      end
    end
    return message == nil and out or nil, message
  end

  -- What data the run had, by path and the beginning of their hash, and where its series ended.
  local function print_outcome (lurn, file)
    local sources, rows = file.manifest.data or {}, {}
    if sources[1] then print "data:" end
    for _, source in ipairs(sources) do print(("  %-12s %.12s"):format(source.path or "-", source.hash or "")) end
    for name, s in next, require "lurn.shelf" (lurn).summary(file) do
      rows[#rows + 1] = {name, s.last, s.best or false, s.step or false}
    end
    table.sort(rows, function (a, b) return a[1] < b[1] end)
    if not rows[1] then return end
    print "metrics:"
    local text = require "lurn.sheet" (lurn).text({"", "last", "best", "at step"}, rows)
    print((("  " .. text):gsub("\n", "\n  ")))
  end

  local function print_run (lurn, file)
    print(("%s: run '%s', %s after %d steps, %s"):format(file.path, file.name,
      lurn.lock.status(file.path, file.status), file.steps or 0, lurn.quantity.duration(file.seconds or 0)))
    if file.best_value then print(("best %.6g at step %d"):format(file.best_value, file.best_step)) end
    print(("seed %d, %s, created %s, updated %s"):format(file.seed, file.precision, file.created, file.updated))
    local bytes, kept = lurn.run.Run.sizes(file.path, file.counters.rotation and file.counters.rotation.steps)
    for _, line in ipairs(lurn.lineage.lines(file.lineage)) do print(line) end
    print("size " ..  lurn.quantity.size(bytes))
    for _, k in ipairs(kept) do print(("kept %s, %s"):format(k.path, lurn.quantity.size(k.bytes))) end
    print("parameters:")
    local names = {}
    for name in next, file.params do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do print(("  %-12s %s"):format(name, tostring(file.params[name]))) end
    print_outcome(lurn, file)
  end

  -- The script of a run, or a Lua file that it required. The text may be a stranger's: on a terminal it controls
  -- nothing.
  local function print_script (lurn, path, module)
    local _, file = input.run(path)
    local text, required = file.script.text, {}
    for name in next, file.script.lua do required[#required + 1] = name end
    table.sort(required)
    if module then text = file.script.lua[module] end
    if not text then
      local missing = module and lurn.schema.unknown("its script required no", module, required) or "it has no script"
      cli.fail(cli.INPUT, ("%s: %s"):format(path, missing))
    end
    if lurn.sys.isatty(1) then text = text:gsub("[^%C\n\t]", "?") end
    io.stdout:write(text, text:find "\n$" and "" or "\n")
    if required[1] and not module then
      io.stderr:write(("lurn: it required %s (--module NAME)\n"):format(table.concat(required, ", ")))
    end
    return cli.OK
  end

  function M.inspect (options, rest)
    local path = input.only_file("inspect", rest, "file")
    local lurn = cli.lurn()
    if options.script or options.module then return print_script(lurn, path, options.module) end
    local r, message = lurn.h5.open(path)
    if not r then cli.fail(cli.INPUT, message) end
    local attributes, arrays
    attributes, message = r:attrs("/")
    if attributes then arrays, message = list_arrays(r, "/", {}, 1) end
    r:close()
    if not arrays then cli.fail(cli.INPUT, message) end
    local file
    if attributes.format == lurn.runfile.format then
      file = lurn.runfile.read(path, "metrics")
      if not file then file, message = lurn.runfile.read(path, true) end      -- its series may be damaged
      if not file then cli.fail(cli.INPUT, message) end
    end
    if options.json then
      cli.document {file = path, attributes = attributes, arrays = arrays, params = file and file.params,
        manifest = file and file.manifest}
      return cli.OK
    end
    if file then print_run(lurn, file)
    else
      print(path .. ":")
      for key, value in pairs(attributes) do print(("  %-16s %s"):format(key, tostring(value))) end
    end
    print("arrays:")
    for _, a in ipairs(arrays) do print(("  %-40s %-5s %s"):format(a.name, a.type, shape_text(a.shape))) end
    return cli.OK
  end

  ---------------------------------------------------------------- data

  local function import_text (lurn, options, path)
    local done, message = lurn.data.import_text(path, options.out, {level = options.level})
    local data
    if done then data, message = lurn.open(options.out) end
    if not data then cli.fail(cli.INPUT, message) end
    if options.json then
      cli.document {file = options.out, tokens = data.count, vocabulary = #data.vocab, level = data.level,
        hash = data.hash}
    else
      print(("%s: %d tokens, %d different"):format(options.out, data.count, #data.vocab))
    end
  end

  local function split_options (options)
    if not options.split and not options.by then return nil end
    local o = {by = options.by, group = options.group, seed = options.seed}
    for k, part in ipairs(words(options.split or "80,10,10")) do
      o[k] = tonumber(part) or cli.usage("--split: expected three numbers such as 80,10,10")
    end
    return o
  end

  -- Options of lurn.csv, of the words on the command line.
  local function table_options (options)
    local o = {x = words(options.x), y = options.y and words(options.y), header = not options.no_header,
      categories = options.categories and words(options.categories)}
    for _, name in ipairs {"sequence", "time", "class", "targets", "sep", "decimal", "normalise", "window", "stride",
      "horizon"} do o[name] = options[name] end
    o.missing = tonumber(options.missing) or options.missing
    o.split = split_options(options)
    return o
  end

  local function import_table (lurn, options, path)
    if not options.x then cli.usage("which columns are x? --x a,b", cli.describe(cli.verbs.data)) end
    local fine, done, message = pcall(lurn.import_csv, path, options.out, table_options(options))
    if not fine then cli.usage((tostring(done):gsub("^[^\n]-:%d+: ", ""))) end
    local data
    if done then data, message = lurn.open(options.out) end
    if not data then cli.fail(cli.INPUT, message) end
    local set = data.set
    if options.json then
      cli.document {file = options.out, sequences = set.n, rows = set.total, inputs = set.dim, classes = set.classes,
        hash = data.hash}
    else
      print(("%s: %d sequences, %d rows of %d numbers%s"):format(options.out, set.n, set.total, set.dim,
        set.classes and (", %d classes"):format(#set.classes) or ""))
    end
  end

  local function import_arrays (lurn, options, ...)
    local files, o = {...}, {targets = options.targets, split = split_options(options), as = {}}
    for _, word in ipairs(words(options.as)) do
      local name, kind = word:match "^([%w_]+)=(%a+)$"
      if not name then cli.usage("--as: expected NAME=numbers or NAME=ids, got " .. word) end
      o.as[name] = kind
    end
    local fine, done, message = pcall(lurn.import_npy, files, options.out, o)
    if not fine then cli.fail(cli.INPUT, (tostring(done):gsub("^[^\n]-:%d+: ", ""))) end
    local data
    if done then data, message = lurn.open(options.out) end
    if not data then cli.fail(cli.INPUT, message) end
    local set = data.set
    if options.json then
      cli.document {file = options.out, sequences = set.n, steps = set.total, hash = data.hash}
    else
      print(("%s: %d sequences, %d steps"):format(options.out, set.n, set.total))
    end
  end

  local function import_images (lurn, options, images, labels)
    local o = {}
    for _, name in ipairs {"test_images", "test_labels", "steps", "rows", "patch", "valid", "source", "licence"} do
      o[name] = options[name]
    end
    local fine, done, message = pcall(lurn.import_idx, images, labels, options.out, o)
    if not fine then cli.usage((tostring(done):gsub("^[^\n]-:%d+: ", ""))) end
    local data
    if done then data, message = lurn.open(options.out) end
    if not data then cli.fail(cli.INPUT, message) end
    local set = data.set
    if options.json then
      cli.document {file = options.out, images = set.n, steps = set.lengths[1], inputs = set.dim, classes = set.classes,
        hash = data.hash}
    else
      print(("%s: %d images, each %d steps of %d numbers, %d classes"):format(options.out, set.n, set.lengths[1],
        set.dim, #set.classes))
    end
  end

  -- Name -> what does it, of how many files, and whether of more.
  local importers = {text = {import_text, 1}, csv = {import_table, 1}, npy = {import_arrays, 1, true},
    idx = {import_images, 2}}

  -- A data set gives way to its next version; a table that was named by mistake, or a run, does not.
  local function check_out (lurn, path)
    if not lurn.sys.exists(path) then return end
    local r <close> = lurn.data.is_hdf5(path) and lurn.h5.open(path) or nil
    if r and not r:attr("/", "format") then return end
    cli.usage(("--out: %s is there already, and is no data set"):format(path))
  end

  function M.data (options, rest)
    local importer = importers[rest[1]]
    if not importer then
      cli.usage(rest[1] and ("unknown importer '%s'"):format(rest[1]) or "which importer?",
        cli.describe(cli.verbs.data))
    end
    local import, files, more = table.unpack(importer)
    if not rest[files + 1] or not options.out then
      cli.usage(files == 1 and "which file, and where to?" or "which images, which labels, and where to?",
        cli.describe(cli.verbs.data))
    end
    check_out(cli.lurn(), options.out)
    import(cli.lurn(), options, table.unpack(rest, 2, more and #rest or files + 1))
    return cli.OK
  end

  return M
end
