--- lurn run: from the command line to a finished run and its exit code.

return function (cli)
  local M = {}

  local input = require "lurn.cli_input" (cli)

  local function read_file (lurn, path)
    local file, message = lurn.runfile.read(path)
    if not file then cli.fail(cli.INPUT, message) end
    return file
  end

  -- The experiment inside a run file, ready to be run again.
  local function experiment_of (lurn, file)
    if not file.script.text then cli.fail(cli.INPUT, file.path .. ": the run was not started from a script") end
    local experiment, message = lurn.experiment.restore(file.script)
    return experiment or cli.fail(cli.FAILED, message)
  end

  M.experiment_of = experiment_of

  local function load_script (lurn, path)
    if lurn.data.is_hdf5(path) then
      cli.usage(("%s is no script: lurn run --resume %s goes on with a run, lurn rerun %s plays it again"):format(path,
        path, path))
    end
    local experiment, message, code = lurn.experiment.load(path)
    if not experiment then cli.fail(code == "EIO" and cli.INPUT or cli.FAILED, message) end
    return experiment
  end

  local function parameters_text (experiment)
    return ("parameters of %s:\n%s"):format(experiment.path, experiment:help())
  end

  M.load_script, M.parameters_text = load_script, parameters_text

  --- Words that are no parameters may be options of the verb that are not quite right.
  function M.check_names (lurn, experiment, words, verb)
    local nearest, options = lurn.schema.nearest, cli.option_names(cli.verbs[verb].options)
    for name in next, words do
      local option = not experiment.declarations[name] and not nearest(name, {table.unpack(experiment.names)})
        and nearest(name, options)
      if option then
        cli.usage(("unknown parameter '%s', did you mean the option %s?"):format(name, cli.dashed(option)),
          parameters_text(experiment))
      end
    end
  end

  local function resolve (experiment, words)
    local given, message = experiment:parse(words)
    local values
    if given then values, message = experiment:resolve(given) end
    if not values then cli.usage(message, parameters_text(experiment)) end
    return values
  end

  --- What a verb says to --help behind a script.
  function M.help (experiment, verb)
    if experiment.help_line then print(experiment.help_line) end
    print(cli.fit(cli.describe(cli.verbs[verb or "run"]), 1))
    print(cli.fit(parameters_text(experiment), 1))
    return cli.OK
  end

  -- Taken before the file is read: what another process still writes is no place to go on from.
  local function take_lock (lurn, path)
    local lock, message = lurn.lock.take(path)
    if not lock then cli.fail(cli.INPUT, message) end
    return lock
  end

  -- How the file of a run ended, as far as it is one.
  local function describe_file (lurn, path)
    local file = lurn.runfile.read(path, true)
    return file and (", a run file (%s after %d steps)"):format(file.status, file.counters.steps) or ""
  end

  -- What is there already is written over only with --force.
  local function keep_file (lurn, options, lock)
    if not lurn.sys.exists(options.out) or options.force then return end
    lock:release()
    cli.usage(("--out: %s is there already%s; --force writes over it"):format(options.out,
      describe_file(lurn, options.out)))
  end

  --- The lock of a new run's file, where one is named.
  function M.new_file (lurn, options)
    if not options.out then return nil end
    local lock = take_lock(lurn, options.out)
    keep_file(lurn, options, lock)
    return lock
  end

  -- A new run, in a file of its own; `from` has the options of one that comes from another.
  local function start (lurn, experiment, values, options, arguments, from)
    local o = {seed = options.seed, out = options.out, lock = M.new_file(lurn, options), quiet = options.quiet,
      threads = options.threads, keep = options.keep, arguments = arguments}
    for name, value in next, from or {} do o[name] = value end
    return experiment:start(values, o)
  end

  local function start_new (lurn, path, options, words, arguments)
    lurn.repro.install {seed = options.seed or 1, name = "load", i = 0}
    local experiment = load_script(lurn, path)
    if options.help then return nil, experiment end
    M.check_names(lurn, experiment, words, "run")
    return start(lurn, experiment, resolve(experiment, words), options, arguments)
  end

  -- --data says where the run's data are now; they must be the same, or --other-data says that they are not.
  local function start_resumed (lurn, options, words, arguments)
    local data = words.data
    words.data = nil
    local stray = next(words) or (options.seed and "seed") or (options.precision and "precision")
    if stray then cli.usage("--resume goes on with the run's own settings; --" .. stray .. " cannot be changed") end
    local out = options.out or options.resume
    if not lurn.sys.exists(options.resume) then read_file(lurn, options.resume) end      -- says so, and locks nothing
    local lock = take_lock(lurn, out)
    local elsewhere = options.out and lurn.sys.identity(out) ~= lurn.sys.identity(options.resume)
    if elsewhere then keep_file(lurn, options, lock) end
    local file = read_file(lurn, options.resume)
    if lurn.precision ~= file.precision then
      lurn = cli.lurn(file.precision)
      file = read_file(lurn, options.resume)
    end
    require "lurn.replay" (lurn).find_data(file, input.words(data), not options.other_data,
      "; --other-data goes on with them")
    lurn.repro.install {seed = file.seed, name = "load", i = 0}
    local experiment = experiment_of(lurn, file)
    return experiment:start(experiment:known(file.params), {resume = file, out = out, lock = lock,
      other_data = options.other_data, quiet = options.quiet, threads = options.threads, keep = options.keep,
      arguments = arguments}), nil, lurn
  end

  -- Parameters of the file that the experiment knows, those of the command line before them.
  local function overlay (experiment, file, words)
    local given, message = experiment:parse(words)
    if not given then cli.usage(message, parameters_text(experiment)) end
    local all = experiment:known(file.params)
    for name, value in next, given do all[name] = value end
    local values
    values, message = experiment:resolve(all)
    if not values then cli.usage(message, parameters_text(experiment)) end
    return values
  end

  local function start_forked (lurn, options, words, arguments)
    local file = read_file(lurn, options.fork)
    input.keep(options.out, {options.fork})
    if options.precision and options.precision ~= file.precision then
      cli.usage("--fork goes on in the precision of the run, which is " .. file.precision)
    end
    if lurn.precision ~= file.precision then
      lurn = cli.lurn(file.precision)
      file = read_file(lurn, options.fork)
    end
    lurn.repro.install {seed = options.seed or file.seed, name = "load", i = 0}
    local experiment = experiment_of(lurn, file)
    local values = overlay(experiment, file, words)
    return start(lurn, experiment, values, options, arguments, {fork = file}), nil, lurn
  end

  -- Without a script, script and parameters come from the file, too.
  local function start_filled (lurn, path, options, words, arguments)
    local file = read_file(lurn, options.init)
    input.keep(options.out, {options.init})
    lurn.repro.install {seed = options.seed or 1, name = "load", i = 0}
    local experiment = path and load_script(lurn, path) or experiment_of(lurn, file)
    if options.help then return nil, experiment end
    local values = path and resolve(experiment, words) or overlay(experiment, file, words)
    return start(lurn, experiment, values, options, arguments, {init = file, partial = options.partial})
  end

  local codes = {done = cli.OK, pruned = cli.OK, interrupted = cli.INTERRUPTED, terminated = cli.TERMINATED}

  -- The message of a bad input file when that is what ended the run, or nil. A script says
  -- assert(lurn.text(p.data)): its error is then the message of the failed file behind a place in the script.
  local function bad_input_of (lurn, run)
    local message = lurn.data.failure
    if run.refused then return run.error end
    if run.status ~= "failed" or type(run.error) ~= "string" or not message then return nil end
    return run.error:sub(-#message) == message and message or nil
  end

  M.bad_input_of = bad_input_of

  local function plain (value)
    local kind = type(value)
    if kind == "table" then
      local out = {}
      for k, v in next, value do out[type(k) == "string" and k or tostring(k)] = plain(v) end
      return #value > 0 and table.move(value, 1, #value, 1, {}) or out
    end
    if kind == "number" or kind == "string" or kind == "boolean" or value == nil then return value end
    return tostring(value)
  end

  --- The JSON document of a run.
  function M.document (run)
    return {run = run.path, name = run.experiment.name, status = run.status, steps = run.done,
      seconds = run:seconds(), result = plain(run.result), params = run.params, seed = run.seed,
      metrics = run:summary(), kept = run.rotation and select(2, run.sizes(run.path, run.rotation.steps)),
      best = {value = run.best.value, step = run.best.step},
      error = run.error and tostring(run.error) or run.message}
  end

  -- The launcher as it was called: build/bin/lurn is not on everyone's path.
  local function own_name () return (rawget(_G, "arg") or {})[0] or "lurn" end

  -- What to do next, for those who are here for the first time.
  local function say_next (run)
    if not (run.written and run.path) then return end
    if run.status == "interrupted" or run.status == "terminated" then
      run.progress:say("go on with: %s run --resume %s", own_name(), run.path)
    elseif run.status == "done" and run.datasets[1] and run.datasets[1].level then
      run.progress:say("more of it: %s sample %s", own_name(), run.path)
    end
  end

  -- What a run that was stopped had come to: what it measured, without norms and diagnoses.
  local function say_metrics (run)
    local names, summary = {}, run:summary()
    for name in next, summary do
      if name ~= "grad_norm" and name ~= "penalty" and not name:find "/" then names[#names + 1] = name end
    end
    table.sort(names)
    for _, name in ipairs(names) do
      local s = summary[name]
      local best = s.best and s.step and (", best %.4f at step %d"):format(s.best, s.step) or ""
      run.progress:say("  %s %.4f%s", name, s.last, best)
    end
  end

  local function say_end (lurn, run)
    local duration, file = lurn.quantity.duration(run:seconds()), ""
    local bytes, kept = run.sizes(run.path or "", run.rotation and run.rotation.steps)
    if run.written and run.path then file = ("; run file %s (%s)"):format(run.path, lurn.quantity.size(bytes)) end
    local text = ("%s: %s after %d steps, %s%s"):format(run.experiment.name, run.status, run.done, duration, file)
    run.progress:say("%s", cli.fit(text, 2))
    for _, k in ipairs(kept) do run.progress:say("kept %s (%s)", k.path, lurn.quantity.size(k.bytes)) end
    if run.status == "interrupted" or run.status == "terminated" then say_metrics(run) end
    say_next(run)
  end

  local function say_failure (run, bad_input)
    if run.status == "failed" then
      io.stderr:write("lurn: ", bad_input or run.trace, "\n")
    elseif run.status == "diverged" then
      io.stderr:write("lurn: diverged: ", run.message or "", "\n")
    end
  end

  local function show_result (run)
    local result = plain(run.result)
    if type(result) == "number" then print(("result %.6g"):format(result))
    elseif result ~= nil then print("result " .. (type(result) == "table"
      and require("lurn.json")().encode(result) or tostring(result))) end
  end

  -- A misspelt option of the verb is taken for a parameter, and the script for its value.
  local function swallowed (words)
    for name, value in next, words do
      local near = cli.lurn().schema.nearest(name, cli.option_names(cli.verbs.run.options))
      if near then return (" --%s took '%s'; did you mean --%s?"):format(name, value, near) end
    end
    return ""
  end

  function M.run (options, rest, words)
    if #rest > 1 then cli.usage(("one script, please; what is '%s'?"):format(rest[2]), cli.describe(cli.verbs.run)) end
    local from = (options.resume and 1 or 0) + (options.fork and 1 or 0) + (options.init and 1 or 0)
    if from > 1 then cli.usage("give one of --resume, --fork and --init") end
    if not rest[1] and from == 0 then cli.usage("which script?" .. swallowed(words), cli.describe(cli.verbs.run)) end
    local whole = options.resume and "resume" or options.fork and "fork"
    if rest[1] and whole then cli.usage(("--%s takes the script from the run file; leave it out"):format(whole)) end
    if options.partial and not options.init then cli.usage("--partial belongs to --init") end
    if options.other_data and not options.resume then cli.usage("--other-data belongs to --resume") end
    if options.force and not options.out then cli.usage("--force belongs to --out") end
    local lurn = cli.lurn(options.precision)
    local arguments = M.arguments()
    local run, experiment, other
    if options.resume then run, experiment, other = start_resumed(lurn, options, words, arguments)
    elseif options.fork then run, experiment, other = start_forked(lurn, options, words, arguments)
    elseif options.init then run, experiment = start_filled(lurn, rest[1], options, words, arguments)
    else run, experiment = start_new(lurn, rest[1], options, words, arguments) end
    if not run then return M.help(experiment) end
    return M.play(other or lurn, run, options)
  end

  --- The words after the program's name, for the record.
  function M.arguments ()
    local all = rawget(_G, "arg") or {}
    return table.move(all, 1, #all, 1, {})
  end

  --- Plays a run that waits, says how it ended, and returns the exit code.
  function M.play (lurn, run, options)
    run:play()
    local bad_input = bad_input_of(lurn, run)
    local code = bad_input and cli.INPUT or codes[run.status] or cli.FAILED
    if not bad_input then say_end(lurn, run) end
    say_failure(run, bad_input)
    if options.json then cli.document(M.document(run))
    elseif code == cli.OK then show_result(run) end
    return code
  end

  return M
end
