--- Verbs about files: sample, eval, inspect, data.

return function (cli)
  local M = {}

  local function only_file (verb, rest)
    if not rest[1] then cli.usage("which file?", cli.describe(cli.verbs[verb])) end
    if rest[2] then cli.usage(("one file, please; what is '%s'?"):format(rest[2]), cli.describe(cli.verbs[verb])) end
    return rest[1]
  end

  local function read_run (path)
    local lurn = cli.lurn()
    local file, message = lurn.runfile.read(path)
    if file and file.precision ~= lurn.precision then
      lurn = cli.lurn(file.precision)
      file, message = lurn.runfile.read(path)
    end
    if not file then cli.fail(cli.INPUT, message) end
    return lurn, file
  end

  -- The model of a run with its best weights. The script is played up to the first step of its loop,
  -- with the state of the file put back there; then it is stopped.
  local function rebuild (lurn, file)
    local cli_run = require("lurn.cli_run")(cli)
    local experiment = cli_run.experiment_of(lurn, file)
    local known = {}
    for name in next, experiment.declarations do known[name] = file.params[name] end
    local run = experiment:start(known, {resume = file, probe = true, write = false, quiet = true})
    run:play()
    if run.status ~= "probed" then
      local code = cli_run.bad_input(lurn, run) and cli.INPUT or cli.FAILED
      cli.fail(code, ("%s: the script does not build its model again: %s"):format(file.path,
        tostring(run.error or run.message or run.status)))
    end
    run:restore_best()
    return run
  end

  function M.sample (options, rest)
    local lurn, file = read_run(only_file("sample", rest))
    if not file.vocab then cli.fail(cli.INPUT, file.path .. ": the run has no vocabulary: not a language model") end
    local run = rebuild(lurn, file)
    local start = options.start or ""
    local readable, why = lurn.sample.codec(file.vocab).encode(start)
    if not readable then cli.usage("--start: " .. why) end
    local function write (text)
      if not options.json then
        io.stdout:write(text)
        io.stdout:flush()
      end
    end
    write(start)
    local text = lurn.sample(run.model, file.vocab, {length = options.length, start = start,
      temperature = options.temperature, top_k = options.top_k, seed = options.seed, write = write})
    if options.json then cli.document {run = file.path, start = start, text = text}
    else write("\n") end
    return cli.OK
  end

  local function splits_of (lurn, run, options, file)
    if options.data then
      local data, message = lurn.text(options.data, {vocab = file.vocab, level = file.level, split = {0, 0, 1}})
      if not data then cli.fail(cli.INPUT, message) end
      return {{"all", data.test or data.all}}
    end
    local data = run.datasets[1]
    if not data then cli.fail(cli.INPUT, file.path .. ": the run has no data of its own; give --data FILE") end
    if data.missing then cli.fail(cli.INPUT, data.missing .. " (the run's own data; or give --data FILE)") end
    return {{"valid", data.valid}, {"test", data.test}}
  end

  function M.eval (options, rest)
    local lurn, file = read_run(only_file("eval", rest))
    local run = rebuild(lurn, file)
    local document = {run = file.path, splits = {}}
    for _, pair in ipairs(splits_of(lurn, run, options, file)) do
      local name, split = pair[1], pair[2]
      if split then
        local r = run.model:evaluate(split, {batch = options.batch, seq = options.seq})
        document.splits[name] = {loss = r.loss, bits = r.bits, perplexity = r.perplexity, count = r.count}
        if not options.json then
          print(("%-6s loss %.4f nats  %.4f bits  perplexity %.3f  over %d targets"):format(name, r.loss, r.bits,
            r.perplexity, r.count))
        end
      end
    end
    if options.json then cli.document(document) end
    return cli.OK
  end

  ---------------------------------------------------------------- inspect

  local function shape_text (shape)
    return "(" .. table.concat(shape, ", ") .. ")"
  end

  local function list_arrays (r, group, out, depth)
    for _, name in ipairs(assert(r:list(group))) do
      local path = (group == "/" and "" or group) .. "/" .. name
      local shape, kind = r:shape(path)
      if shape then out[#out + 1] = {name = path, type = kind, shape = shape}
      elseif kind == "group" and depth < 15 then list_arrays(r, path, out, depth + 1) end
    end
    return out
  end

  local function print_run (lurn, file)
    print(("%s: run '%s', %s after %d steps, %s"):format(file.path, file.name, file.status, file.steps or 0,
      lurn.progress.duration(file.seconds or 0)))
    if file.best_value then print(("best %.6g at step %d"):format(file.best_value, file.best_step)) end
    print(("seed %d, %s, created %s, updated %s"):format(file.seed, file.precision, file.created, file.updated))
    print("parameters:")
    local names = {}
    for name in next, file.params do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do print(("  %-12s %s"):format(name, tostring(file.params[name]))) end
  end

  function M.inspect (options, rest)
    local path = only_file("inspect", rest)
    local lurn = cli.lurn()
    local r, message = lurn.h5.open(path)
    if not r then cli.fail(cli.INPUT, message) end
    local attributes = assert(r:attrs("/"))
    local ok, arrays = pcall(list_arrays, r, "/", {}, 1)
    r:close()
    if not ok then cli.fail(cli.INPUT, tostring(arrays)) end
    local file
    if attributes.format == lurn.runfile.format then
      file, message = lurn.runfile.read(path, true)
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

  function M.data (options, rest)
    local importer, path = rest[1], rest[2]
    if importer ~= "text" then
      cli.usage(importer and ("unknown importer '%s'"):format(importer) or "which importer?",
        cli.describe(cli.verbs.data))
    end
    if not path or not options.out then cli.usage("which file, and where to?", cli.describe(cli.verbs.data)) end
    local lurn = cli.lurn()
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
    return cli.OK
  end

  return M
end
