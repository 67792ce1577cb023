--- Verbs that use a trained model: sample, eval, predict.
--
-- The model is built from the program in the run file and filled with its weights, the best ones where
-- there are any. The script is not run: a run file of a stranger can be sampled from without running
-- a line of the stranger's Lua.

return function (cli)
  local M = {}

  local input = require "lurn.cli_input" (cli)
  local only_file = input.only_file

  -- What a model uses and lurn does not have: --op FILE,FILE.
  local function load_ops (lurn, list)
    for _, path in ipairs(input.words(list)) do
      local name, message = lurn.load_op(path, {check = false})
      if not name then cli.fail(cli.INPUT, message) end
    end
  end

  local function read_run (path, options)
    local lurn, file = input.run(path)
    load_ops(lurn, options.op)
    if not file.models[1] then cli.fail(cli.INPUT, path .. ": the run has no model yet") end
    return lurn, file
  end

  -- The k-th model of a run with its best weights, else the last ones.
  local function build (lurn, file, k)
    local saved = file.models[k]
    local model, message = lurn.from_program(saved.program or "")
    if not model then cli.fail(cli.INPUT, ("%s: damaged run file: %s"):format(file.path, message)) end
    local best = file.best.weights and file.best.weights[k]
    local ok, why = pcall(lurn.runfile.fill, model, best or saved.weights, "weights")
    if not ok then cli.fail(cli.INPUT, ("%s: damaged run file: %s"):format(file.path, why)) end
    return model
  end

  ---------------------------------------------------------------- sample

  local function check_sampling (lurn, file, start)
    if not file.vocab then cli.fail(cli.INPUT, file.path .. ": the run has no vocabulary: not a language model") end
    local readable, why = lurn.sample.codec(file.vocab).encode(start)
    if not readable then cli.usage("--start: " .. why) end
  end

  function M.sample (options, rest)
    local lurn, file = read_run(only_file("sample", rest), options)
    local start = options.start or ""
    check_sampling(lurn, file, start)
    local model = build(lurn, file, 1)
    local function write (text)
      if not options.json then
        io.stdout:write(text)
        io.stdout:flush()
      end
    end
    write(start)
    local text = lurn.sample(model, file.vocab, {length = options.length, start = start,
      temperature = options.temperature, top_k = options.top_k, seed = options.seed, write = write})
    if options.json then cli.document {run = file.path, start = start, text = text}
    else write("\n") end
    return cli.OK
  end

  ---------------------------------------------------------------- eval

  -- How a table is written, where it is not as the run's own one was.
  local function written (options)
    local o = {sep = options.sep, decimal = options.decimal, missing = tonumber(options.missing) or options.missing}
    return next(o) and o
  end

  -- The data the run was trained on, by the path in the manifest; says so when it is no longer the same.
  local function own_data (lurn, file, options)
    local how = options and next(written(options) or {})
    if how then cli.usage(("--%s is of a table that --data names; the run's own one is read as it was"):format(how)) end
    local data, same = lurn.source.own_data(file)
    if not data then cli.fail(cli.INPUT, same .. " (the run's own data; or give --data FILE)") end
    return data, same
  end

  local function same_vocabulary (a, b)
    if not a or not b or #a ~= #b then return a == b end
    for i, token in ipairs(a) do if b[i] ~= token then return false end end
    return true
  end

  -- A table is read as the run read its own one. The very same, wherever it is by now, has its parts, and the windows
  -- that have targets; without `own` it is read as any other.
  local function given_table (lurn, file, source, options, targets, own)
    local path, how, hash, same = options.data, written(options), nil, nil
    if own and not how then hash, same = lurn.source.hash(source, path) end
    if hash and hash == source.hash then return same end
    if not lurn.source.is_settled(source) then source = own_data(lurn, file) end
    local data, message = lurn.source.alike(source, path, targets, how)
    for _, note in ipairs(data and data.notes or {}) do io.stderr:write(("lurn: %s: %s\n"):format(path, note)) end
    return data or cli.fail(cli.INPUT, message)
  end

  local function given_data (lurn, file, options, targets, own)
    local path, source = options.data, lurn.source.own_source(file)
    local text = lurn.sys.exists(path) and not lurn.data.is_hdf5(path)
    if text and source and source.csv then return given_table(lurn, file, source, options, targets, own) end
    local how = lurn.sys.exists(path) and next(written(options) or {})
    if how then cli.usage(("--%s: %s is not read as a table"):format(how, path)) end
    if text and not file.vocab then
      cli.fail(cli.INPUT, path .. ": no data set file, and the run's data were neither a table nor a text")
    end
    local data, message = lurn.text(path, {vocab = file.vocab, level = file.level, split = {0, 0, 1}})
    if not data then cli.fail(cli.INPUT, message) end
    if not same_vocabulary(data.vocab, file.vocab) then
      cli.fail(cli.INPUT, path .. ": its vocabulary is not that of the run")
    end
    return data
  end

  local function splits_of (lurn, file, options)
    if options.data then return {{"all", given_data(lurn, file, options, true, true).all}} end
    local data, same = own_data(lurn, file, options)
    local list = {}
    for _, name in ipairs {"valid", "test"} do
      if data[name] then list[#list + 1] = {name, data[name]} end
    end
    if not list[1] then list[1] = {"all", data.all} end
    return list, same
  end

  -- Bits and perplexity say something of a language model only.
  local function show (name, r, language)
    local line = ("%-6s loss %.4f"):format(name, r.loss)
    if language then line = line .. (" nats  %.4f bits  perplexity %.3f"):format(r.bits, r.perplexity) end
    print(("%s  over %.0f %s"):format(line, r.count, language and "characters" or "targets"))
  end

  -- The metrics that are asked for, each a name that lurn knows; whether they are of such targets is seen with these.
  local function metrics_of (lurn, text)
    local list = text and input.words(text)
    local why = list and lurn.metrics.fault(list)
    if why then cli.usage("--metrics: " .. why) end
    return list
  end

  -- A number, or a matrix of counts: a row for each true class.
  local function show_metric (lurn, name, value, classes)
    if type(value) ~= "table" then print(("       %s %.4f"):format(name, value)) return end
    local rows, head = {}, {name}
    for k, counts in ipairs(value) do
      local class = classes and classes[k] or tostring(k)
      rows[k], head[k + 1] = {class, table.unpack(counts)}, class
    end
    print((("       " .. require "lurn.sheet" (lurn).text(head, rows)):gsub("\n", "\n       ")))
  end

  -- method: model.evaluate or model.predict. What it raises about shapes is a bad input file.
  local function over_split (method, file, model, split, options, metrics)
    local ok, r, more = pcall(method, model, split, {batch = options.batch, seq = options.seq, metrics = metrics})
    if ok then return r, more end
    if type(r) ~= "string" then error(r, 0) end
    cli.fail(cli.INPUT, ("%s: the data do not fit the model: %s"):format(file.path, (r:gsub("^[^\n]-:%d+: ", ""))))
  end

  function M.eval (options, rest)
    local lurn, file = read_run(only_file("eval", rest), options)
    local models, document = {}, {run = file.path, splits = {}}
    for k, saved in ipairs(file.models) do
      if (saved.program or ""):find("\noutput loss ") then models[#models + 1] = build(lurn, file, k) end
    end
    if not models[1] then cli.fail(cli.INPUT, file.path .. ": the run's model has no loss") end
    local metrics = metrics_of(lurn, options.metrics)
    local splits, same = splits_of(lurn, file, options)
    document.same_data = same
    for k, model in ipairs(models) do
      local results = {}
      if #models > 1 and not options.json then print("model " .. k) end
      for _, pair in ipairs(splits) do
        local r = over_split(model.evaluate, file, model, pair[2], options, metrics)
        if r.count == 0 then cli.fail(cli.INPUT, ("no targets in %s (%s)"):format(pair[2].data.path, pair[1])) end
        local result = {loss = r.loss, bits = r.bits, perplexity = r.perplexity, count = r.count, weight = r.weight}
        results[pair[1]] = result
        if not options.json then show(pair[1], r, file.vocab) end
        for _, name in ipairs(metrics or {}) do
          result[name] = r[name]
          if not options.json then show_metric(lurn, name, r[name], pair[2].data.set.classes) end
        end
      end
      document.splits = k == 1 and results or document.splits
      if #models > 1 then
        document.models = document.models or {}
        document.models[k] = {splits = results}
      end
    end
    if options.json then cli.document(document) end
    return cli.OK
  end

  ---------------------------------------------------------------- predict

  -- A split is one of the own table: of another all rows are wanted, those, too, whose targets are still to come.
  local function any_data (lurn, file, options)
    if options.data then return given_data(lurn, file, options, false, options.split ~= nil) end
    return (own_data(lurn, file, options))
  end

  M.predict = require "lurn.cli_predict" (cli, {run = read_run, build = build, data = any_data,
    over_split = over_split})
    .predict

  return M
end
