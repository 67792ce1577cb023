--- Verbs that play a run again: rerun, and verify, which says whether it comes out the same to the last bit.
--
-- Both execute the script inside the run file, as `lurn run` does to go on with one. All other verbs that read run
-- files execute nothing of them.

return function (cli)
  local M = {}

  local input = require "lurn.cli_input" (cli)
  local runner = require "lurn.cli_run" (cli)
  local trials = require "lurn.cli_verify_trial" (cli)
  local textdiff = require "lurn.textdiff" ()

  -- What a bundle holds, in a folder of its own until it is closed; nil when the file is a run file or something else.
  local function parts_of (path)
    local bundle = require "lurn.bundle" (cli.lurn())
    local is, message = bundle.is(path)
    if not is then return nil end
    local parts
    if not message then parts, message = bundle.opened(path) end
    return parts or cli.fail(cli.INPUT, message)
  end

  local function contents (path)
    local file, message = io.open(path, "rb")
    local text = file and file:read "a"
    if file then file:close() end
    return text or cli.fail(cli.INPUT, message or path .. ": cannot be read")
  end

  -- A run of the file that waits. `script`: of this text instead of the file's own.
  local function start (lurn, file, options, strict, more)
    local replay = require "lurn.replay" (lurn)
    replay.find_data(file, input.words(options.data), strict)
    lurn.repro.install {seed = options.seed or file.seed, name = "load", i = 0}
    if options.script then
      file = setmetatable({script = {text = contents(options.script), path = options.script, lua = file.script.lua}},
        {__index = file})
    end
    local experiment = runner.experiment_of(lurn, file)
    if not options.quiet then
      io.stderr:write(("lurn: executing the script inside %s\n"):format(options.script or file.path))
    end
    if file.lineage then
      local parent, message = lurn.lineage.parent(file, input.words(options.data))
      more[file.lineage.kind], more.partial = parent or cli.fail(cli.INPUT, message), true
    end
    more.seed, more.quiet, more.threads = options.seed, options.quiet, options.threads
    return replay.start(experiment, file, more), replay
  end

  -- What a run may need of its bundle: the data, and the other runs, as it may have been made from one of them.
  local function find_inside (parts, options)
    local files = {options.data or "", table.unpack(parts.data)}
    for _, run in next, parts.runs do files[#files + 1] = run end
    options.data = table.concat(files, ",")
  end

  -- Of a bundle the best run, or --run NAME, with the data inside. Of a study the trial, too; it may have no run file.
  local function choose (parts, path, options)
    local name = options.run or parts.headline
    if parts.study and name == "" then cli.fail(cli.INPUT, path .. ": no trial of the study is complete") end
    local trial = parts.study and trials.trial_of(parts.study, name)
    if not parts.runs[name] and not trial then cli.usage(("%s has no run '%s'"):format(path, tostring(name))) end
    find_inside(parts, options)
    if not parts.runs[name] then return nil, {path = path .. ":" .. name}, parts, trial end
    local lurn, file = input.run(parts.runs[name])
    file.path = path .. ":" .. name
    return lurn, file, parts, trial
  end

  -- What the command line names: lurn, the run file, and what is to be closed in the end.
  local function open (verb, options, rest)
    local path = input.only_file(verb, rest)
    local parts = parts_of(path)
    if not parts then
      local lurn, file = input.run(path)
      return lurn, file
    end
    local found = table.pack(pcall(choose, parts, path, options))
    if found[1] then return table.unpack(found, 2, found.n) end
    getmetatable(parts).__close()
    error(found[2], 0)
  end

  ---------------------------------------------------------------- rerun

  function M.rerun (options, rest)
    local lurn, file, parts <close> = open("rerun", options, rest)      -- luacheck: ignore parts
    if options.force and not options.out then cli.usage("--force belongs to --out") end
    if not lurn then cli.fail(cli.INPUT, file.path .. ": its run file was not kept; lurn verify plays it anew") end
    local run = start(lurn, file, options, true, {out = options.out, lock = runner.new_file(lurn, options),
      arguments = runner.arguments()})
    return runner.play(lurn, run, options)
  end

  ---------------------------------------------------------------- verify

  -- Plays as far as the file goes, or as far as was asked, or until a digest differs. What the script prints goes to
  -- stderr: stdout is for the answer.
  local function play (run, file, steps)
    local last = math.min(steps or math.huge, file.steps or 0)
    local first = run.options.fork and file.lineage.step or 0
    local restore <close> = cli.keep_stdout_clean()      -- luacheck: ignore restore
    if file.status == "done" and last == file.steps then run:play()
    else
      repeat run:step(math.tointeger(last) - math.max(run.done, first))
      until run.status ~= "waiting" or run.done >= last
    end
    return last
  end

  local function judge (file, run, c, replay, last)
    local ended = run.status ~= "waiting" and run.done < last
    if not c.parted and ended then c.parted = run.done end
    local up_to = c.parted or last
    c.metric = replay.first_metric(file.metrics, run.metrics, up_to)
    if c.metric and not c.parted then c.parted = c.metric.step end
    if c.parted and not c.metric then c.metric = replay.first_metric(file.metrics, run.metrics, up_to, true) end
    if run.status == "failed" then c.error, c.parted = run.trace or run.error, c.parted or run.done end
  end

  local THE_RUN = {script = true, files = true, data = true, seed = true, params = true}

  -- The same bits of another script, other data or another seed prove nothing of this run. What was not reached yet,
  -- such as data that are opened at the end, is not other.
  local function others_of (differences)
    local list = {}
    for _, d in ipairs(differences) do
      local part = d.entry:match "^%a+"
      if d.is ~= nil and THE_RUN[part] then list[#list + 1] = d end
    end
    return list
  end

  local function short (value)
    local text = tostring(value == nil and "(none)" or value):gsub("\n", " ")
    return #text > 70 and text:sub(1, 67) .. "..." or text
  end

  local function number (x) return x and ("%.17g"):format(x) or "(none)" end

  local function show_others (file, c)
    print(("%s: the same bits, but of something else:"):format(file.path))
    for _, d in ipairs(c.others) do print(("  %s: was %s, is %s"):format(d.entry, short(d.was), short(d.is))) end
  end

  local function show_script (was, is)
    if not is or is == was then return end
    for _, e in ipairs(textdiff.edits(was, is)) do print(("  script %s%d: %s"):format(e.sign, e.line, e.text)) end
  end

  local function show_difference (file, c)
    if c.error then print(("%s: the repetition failed: %s"):format(file.path, tostring(c.error):match "^[^\n]*")) end
    print(("%s: differs at step %d; %s"):format(file.path, c.parted, c.equal and ("equal up to step %d"):format(c.equal)
      or "not equal before either"))
    local m = c.metric
    if m then print(("  %s at step %d: was %s, is %s"):format(m.name, m.step, number(m.was), number(m.is))) end
    if not c.differences[1] then
      print("  nothing in the manifest is different: look for what the script reads besides its data")
    end
    for _, d in ipairs(c.differences) do print(("  %s: was %s, is %s"):format(d.entry, short(d.was), short(d.is))) end
  end

  local function show (file, c, run, here)
    if c.parted then show_difference(file, c)
    elseif c.record then
      print(("%s: the same bits as its run file, but the study says otherwise: %s"):format(file.path,
        trials.difference_text(c.record)))
    elseif c.others[1] then show_others(file, c)
    else
      local best = run.best.value and (", best %.6g"):format(run.best.value) or ""
      print(("%s: the same to the last bit: %d steps, %d digests%s (%s, %s, threads: %d)"):format(file.path, run.done,
        c.count, best, here.isa or "", here.engine or "", here.threads))
    end
    show_script(file.script.text, run.experiment.script)
  end

  local function document (file, c, run)
    return {run = file.path, equal = not (c.parted or c.record or c.others[1]), steps = run.done, digests = c.count,
      best = {value = run.best.value, step = run.best.step}, equal_until = c.equal, parted = c.parted,
      metric = c.metric, record = c.record, differences = c.differences, error = c.error and tostring(c.error)}
  end

  function M.verify (options, rest)
    local lurn, file, parts <close>, trial = open("verify", options, rest)
    local digests = lurn and file.digests.step[1]
    if trial and not digests then return trials.verify(parts, trial, file.path, options) end
    if not digests then cli.fail(cli.INPUT, file.path .. ": the run has no digests to compare with") end
    local c = require "lurn.replay" (lurn).comparison(file)
    local record = trial and require "lurn.replay" (lurn).recorded(trial)
    local run, replay = start(lurn, file, options, false, {write = false, on_digest = c.on_digest,
      pruner = record and function (step, value) record.hear(step, value) end})
    local last = play(run, file, options.steps)
    if run.status == "interrupted" or run.status == "terminated" then
      return run.status == "interrupted" and cli.INTERRUPTED or cli.TERMINATED
    end
    local bad_input = runner.bad_input_of(lurn, run)
    if bad_input then cli.fail(cli.INPUT, bad_input) end
    judge(file, run, c, replay, last)
    if record and not c.parted and run.status == "done" then
      record.close(lurn.trial.value_of(run))
      c.record = record.differs
    end
    local here = lurn.manifest.of(run)
    c.differences = lurn.manifest.differences(file.manifest, here)
    c.others = others_of(c.differences)
    run.progress:clear()
    if options.json then cli.document(document(file, c, run)) else show(file, c, run, here) end
    return (c.parted or c.record or c.others[1]) and cli.FAILED or cli.OK
  end

  return M
end
