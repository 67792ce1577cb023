--- lurn verify of a trial whose run file was not kept, or has no digests: it is played anew from the script and the
-- parameters that its study has, and what it reports and is worth is compared with what the store had of it.
--
-- Not a module of its own: cli_verify.lua calls it.

return function (cli)
  local M = {}

  local input = require "lurn.cli_input" (cli)
  local runner = require "lurn.cli_run" (cli)

  --- The trial of a study that a name stands for, "trial-000036".
  ---@param study table   as bundle_study.lua gathers it
  function M.trial_of (study, name)
    local number = math.tointeger(tonumber(name and name:match "^trial%-(%d+)$"))
    return number and study.trials[number + 1]
  end

  -- What a run file of the trial would say, as far as the study knows it. Which data it had, and on what it was played,
  -- is what another trial's file tells, if there is one.
  local function file_of (lurn, parts, trial)
    local spec, manifest = parts.study.spec, nil
    for _, path in next, parts.runs do
      local file = not manifest and lurn.runfile.read(path, "metrics")
      manifest = manifest or file and file.manifest
    end
    return {seed = (spec.train_seed or 1) + trial.seed - 1, known = manifest ~= nil,
      manifest = manifest or {folder = spec.script.folder}}
  end

  local function check (parts, trial, name, options)
    local script = parts.study.spec.script
    if type(script) ~= "table" or type(script.text) ~= "string" then
      cli.fail(cli.INPUT, name .. ": the study has no script to play")
    end
    if trial.state ~= "COMPLETE" and not trial.reports[1] then
      cli.fail(cli.INPUT, ("%s: the trial is %s, and has reported nothing to compare with"):format(name,
        trial.state:lower()))
    end
    if options.steps or options.script or options.seed then
      cli.usage(name .. " has no digests to compare: --steps, --script and --seed are for run files")
    end
  end

  ---------------------------------------------------------------- playing

  local function play (parts, trial, name, options)
    local spec = parts.study.spec
    local lurn = cli.lurn(spec.precision)
    local replay = require "lurn.replay" (lurn)
    local record = replay.recorded(trial)
    if not options.quiet then io.stderr:write(("lurn: executing the script inside %s\n"):format(name)) end
    local restore <close> = cli.keep_stdout_clean()      -- luacheck: ignore restore
    local file = file_of(lurn, parts, trial)
    replay.find_data(file, input.words(options.data), false)
    local ok, experiment = pcall(lurn.sweep.experiment_of, {spec = function () return spec end})
    if not ok then cli.fail(cli.FAILED, tostring(experiment)) end
    file.params = lurn.sweep.whole(spec, lurn.space.conditions(experiment, spec.fixed), trial.params)
    local run = replay.start(experiment, file, {write = false, quiet = options.quiet, threads = options.threads,
      pruner = record.hear})
    run:play()
    run.progress:clear()
    record.close(run.status == "done" and lurn.trial.value_of(run) or nil)
    return lurn, run, record, file
  end

  ---------------------------------------------------------------- saying

  local function number (x) return x and ("%.17g"):format(x) or "(none)" end

  --- Where a trial parts from what the store had of it, as replay.recorded says it.
  function M.difference_text (d)
    return ("%s was %s, is %s"):format(d.step and ("the report of step %d"):format(d.step) or "the value",
      number(d.was), number(d.is))
  end

  -- Parameters and seed are the trial's own; nothing can be said where no file says how it was.
  local function differences_of (lurn, file, run)
    local list = {}
    for _, d in ipairs(file.known and lurn.manifest.differences(file.manifest, lurn.manifest.of(run)) or {}) do
      local part = d.entry:match "^%a+"
      if part ~= "params" and part ~= "seed" and part ~= "environment" then list[#list + 1] = d end
    end
    return list
  end

  local function show (name, trial, run, record, list, here)
    local d = record.differs
    if not d then
      local value = trial.state == "COMPLETE" and ("value %.6g, "):format(trial.value) or ""
      print(("%s: played anew, the same to the last bit: %s%d reports (%s, %s, threads: %d)"):format(name, value,
        record.count, here.isa or "", here.engine or "", here.threads))
      return
    end
    if run.status == "failed" then
      print(("%s: the repetition failed: %s"):format(name, tostring(run.error):match "^[^\n]*"))
    end
    print(("%s: differs: %s"):format(name, M.difference_text(d)))
    for _, e in ipairs(list) do print(("  %s: was %s, is %s"):format(e.entry, tostring(e.was), tostring(e.is))) end
  end

  --- Plays the trial and says whether it is what it was; the exit code.
  ---@param parts table     of a bundle
  ---@param trial table
  ---@param name string     for messages
  ---@param options table   of the command line
  function M.verify (parts, trial, name, options)
    check(parts, trial, name, options)
    local lurn, run, record, file = play(parts, trial, name, options)
    if run.status == "interrupted" or run.status == "terminated" then
      return run.status == "interrupted" and cli.INTERRUPTED or cli.TERMINATED
    end
    local bad_input = runner.bad_input_of(lurn, run)
    if bad_input then cli.fail(cli.INPUT, bad_input) end
    local list, d = differences_of(lurn, file, run), record.differs
    if options.json then
      cli.document {run = name, equal = not d, steps = run.done, reports = record.count, value = trial.value,
        parted = d, differences = list, error = run.error and tostring(run.error)}
    else show(name, trial, run, record, list, lurn.manifest.of(run)) end
    return d and cli.FAILED or cli.OK
  end

  return M
end
