--- lurn study: what is in the stores of sweeps.

return function (cli)
  local sheet = require "lurn.sheet" (cli.lurn())
  local M = {}

  ---------------------------------------------------------------- which store, which study

  -- The stores a command is about: the one it names, or those that lurn sweep makes here.
  local function urls_of (lurn, options)
    if options.store then return {options.store} end
    local sweeps, list = require "lurn.cli_sweep" (cli), {}
    for _, name in ipairs(lurn.sys.list(sweeps.FOLDER) or {}) do
      if name:find "%.db$" then list[#list + 1] = sweeps.FOLDER .. "/" .. name end
    end
    table.sort(list)
    if not list[1] then
      cli.fail(cli.INPUT, ("no store in %s/; --store URL says where trials are"):format(sweeps.FOLDER))
    end
    return list
  end

  local function open (lurn, url)
    local store, message = lurn.store.open(url, {create = false})
    return store or cli.fail(cli.INPUT, message)
  end

  --- A study of a store; without a name the only one.
  function M.study_of (store, url, name)
    if not name then
      local names, message = store:names()
      if not names then cli.fail(cli.INPUT, ("%s: %s"):format(url, message)) end
      if #names == 0 then cli.fail(cli.INPUT, url .. ": no study in it") end
      if #names > 1 then cli.usage(("%s: which study? %s"):format(url, table.concat(names, ", "))) end
      name = names[1]
    end
    local study, message = store:study(name)
    return study or cli.fail(cli.INPUT, ("%s: %s"):format(url, message))
  end

  --- The spec of a study that a sweep made; the end of the command where it says nothing of what its trials play.
  function M.spec_of (study, url)
    local spec = study:spec()
    if spec.script and spec.sampler and spec.pruner then return spec end
    cli.fail(cli.INPUT, ("%s: the study '%s' has no script: lurn sweep did not make it, so its trials can be shown and "
      .. "exported, and not played"):format(url, study.name))
  end

  -- "lurn study show NAME": the name may be anywhere among the stores.
  local function find (lurn, options, name)
    local urls = urls_of(lurn, options)
    if not name and #urls == 1 then
      local store = open(lurn, urls[1])
      return M.study_of(store, urls[1]), urls[1], store
    end
    for _, url in ipairs(name and urls or {}) do
      local store = open(lurn, url)
      local study, message, code = store:study(name)
      if study then return study, url, store end
      store:close()
      if code ~= "ENOENT" then cli.fail(cli.INPUT, ("%s: %s"):format(url, message)) end
    end
    if name then cli.fail(cli.INPUT, ("there is no study '%s' in %s"):format(name, table.concat(urls, ", "))) end
    cli.usage("which study? lurn study list shows them", cli.describe(cli.verbs.study))
  end

  ---------------------------------------------------------------- results

  --- The command that plays a trial again; nil where the study has no script.
  function M.command (lurn, spec, trial)
    if not spec.script then return nil end
    local all, names, words = {}, {}, {}
    for name, value in next, spec.fixed or {} do all[name] = value end
    for _, name in ipairs(trial.attrs and trial.attrs.unused or {}) do all[name] = nil end
    for name, value in next, trial.params do all[name] = value end
    for name in next, all do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do words[i] = ("--%s %s"):format(name, lurn.shell.word(lurn.json.plain(all[name]))) end
    local seed = (spec.train_seed or 1) + trial.seed - 1
    if seed ~= 1 then words[#words + 1] = "--seed " .. seed end
    if spec.precision and spec.precision ~= "f32" then words[#words + 1] = "--precision " .. spec.precision end
    return ("lurn run %s %s"):format(lurn.shell.word(spec.script.path), table.concat(words, " "))
  end

  local function best_of (lurn, study, rows)
    local row = rows[1]
    if not row or not row.best then return nil end
    local t, spec = row.best, study:spec()
    local run = t.run and lurn.sys.exists(t.run) and t.run or nil
    return {number = t.number, value = t.value, config = row.config, params = t.params, seed = t.seed, n = row.n,
      mean = row.mean, sd = row.sd, run = run, command = M.command(lurn, spec, t)}
  end

  --- The JSON document of a study.
  function M.document (lurn, study, trials, url)
    local rows = lurn.study_table.configurations(trials, study.direction, study:spec().seeds)
    return {study = study.name, store = url, direction = study.direction, counts = lurn.store_state.count(trials),
      trials = study:get "trials", seeds = study:spec().seeds, best = best_of(lurn, study, rows)}
  end

  --- The best configuration, for people, on stdout.
  function M.show_best (lurn, study, document)
    local best = document.best
    if not best then print("no trial is complete") return end
    print(("best %.6g, trial %d"):format(best.value, best.number))
    if (document.seeds or 1) > 1 then
      local deviation = best.sd and ("%.3g"):format(best.sd) or "?"
      print(("mean %.6g, deviation %s, of %d seeds"):format(best.mean, deviation, best.n))
    end
    for _, name in ipairs(lurn.study_table.names {{params = best.params}}) do
      print(("  %s %s"):format(name, lurn.json.plain(best.params[name])))
    end
    if best.command then print("again: " .. best.command) end
    if best.run then print("weights: " .. best.run) end
    if (study:spec().seeds or 1) == 1 and document.counts.COMPLETE < 2 then return end
    local usual = document.store == require "lurn.cli_sweep" (cli).default_store(study.name)
    local where = usual and "" or " --store " .. lurn.shell.word(document.store)
    print(("all: lurn study show %s%s"):format(study.name, where))
  end

  ---------------------------------------------------------------- verbs

  local verbs = {}

  function verbs.list (lurn, options)
    local rows, documents = {}, {}
    for _, url in ipairs(urls_of(lurn, options)) do
      local store = open(lurn, url)
      for _, s in ipairs(assert(store:studies())) do
        local c, study = s.counts, s.study
        local seeds, total = study:spec().seeds or 1, study:get "trials"
        local leader = lurn.study_table.configurations(assert(study:sync()), s.direction, seeds)[1] or {}
        rows[#rows + 1] = {s.name, url, total or false, seeds, c.COMPLETE, c.RUNNING, c.PRUNED, c.FAIL,
          leader.mean or false, leader.sd or false}
        documents[#documents + 1] = {study = s.name, store = url, direction = s.direction, counts = c, trials = total,
          seeds = seeds, best = s.best, mean = leader.mean, sd = leader.sd}
      end
      store:close()
    end
    if options.json then return cli.document(documents) end
    local head = {"study", "store", "trials", "seeds", "complete", "running", "pruned", "failed", "best", "deviation"}
    print(options.csv and sheet.csv(head, rows) or cli.fit(sheet.text(head, rows, cli.width()), 1))
  end

  local function seconds_of (t)
    if t.attrs.seconds then return t.attrs.seconds end
    return t.ended and t.started and t.ended - t.started or false
  end

  -- Values of the parameters of that name, behind the cells that are there.
  local function add_params (cells, names, params)
    for _, name in ipairs(names) do
      local value = params[name]
      if value == nil then value = false elseif value == false then value = "false" end
      cells[#cells + 1] = value
    end
    return cells
  end

  -- A row a configuration: rank, value or mean and deviation, parameters.
  local function show_table (lurn, study, trials, options)
    local names, seeds = lurn.study_table.names(trials), study:spec().seeds or 1
    local head, rows = {"trial", "state"}, {}
    local values = seeds > 1 and {"seeds", "mean", "deviation", "best", "seconds"} or {"value", "seconds"}
    table.move(values, 1, #values, #head + 1, head)
    table.move(names, 1, #names, #head + 1, head)
    for k, row in ipairs(lurn.study_table.configurations(trials, study.direction, seeds)) do
      if k > (options.top or 10) and not options.csv then break end
      local t = row.best or row.last
      local state = t.reason and ("%s %s"):format(t.state:lower(), t.reason:lower()) or t.state:lower()
      local cells = {t.number, state, t.value or false}
      if seeds > 1 then
        cells = {t.number, state, row.n, row.mean or false, row.sd or false, row.best and row.best.value or false}
      end
      cells[#cells + 1] = seconds_of(t)
      rows[k] = add_params(cells, names, t.params)
    end
    print(options.csv and sheet.csv(head, rows) or cli.fit(sheet.text(head, rows, cli.width()), 1))
  end

  local function show_trial (lurn, study, trials, options)
    local t = trials[options.trial + 1]
      or cli.fail(cli.INPUT, ("%s has trials 0 to %d"):format(study.name, #trials - 1))
    local metrics = assert(study:metrics(t.number))
    if options.json then
      t.metrics = metrics
      return cli.document(t)
    end
    print(("trial %d  %s%s%s"):format(t.number, t.state:lower(), t.reason and " " .. t.reason:lower() or "",
      t.value and ("  %.9g"):format(t.value) or ""))
    for _, name in ipairs(lurn.study_table.names {t}) do
      print(("  %s %s"):format(name, lurn.json.plain(t.params[name])))
    end
    if t.attrs.error then print("error: " .. t.attrs.error) end
    for _, r in ipairs(t.reports) do print(("  step %d  %.6g"):format(r[1], r[2])) end
    for _, name in ipairs(lurn.study_table.names {{params = metrics}}) do
      local last = metrics[name][#metrics[name]]
      print(("  %s %.6g at step %d"):format(name, last[2], last[1]))
    end
    for _, a in ipairs(t.attempts) do
      print(("attempt by %s, process %s: %s"):format(a.worker, a.pid or "?", (a.reason or "running"):lower()))
    end
    local again = M.command(lurn, study:spec(), t)
    if again then print("again: " .. again) end
    if t.run and lurn.sys.exists(t.run) then print("weights: " .. t.run) end
  end

  function verbs.show (lurn, options, name)
    local study, url = find(lurn, options, name)
    local trials = assert(study:sync())
    if options.trial then return show_trial(lurn, study, trials, options) end
    if options.json then
      local document = M.document(lurn, study, trials, url)
      document.list = trials
      cli.document(document)
      return
    end
    if not options.csv then
      local c, total = lurn.store_state.count(trials), study:get "trials"
      total = total and (" of %d"):format(total * (study:spec().seeds or 1)) or ""
      local rest = (c.WAITING > 0 and (", %d waiting"):format(c.WAITING) or "")
        .. (c.PAUSED > 0 and (", %d paused"):format(c.PAUSED) or "")
      print(("%s (%s): %d complete, %d running, %d pruned, %d failed%s%s"):format(study.name, study.direction,
        c.COMPLETE, c.RUNNING, c.PRUNED, c.FAIL, rest, total))
    end
    show_table(lurn, study, trials, options)
  end

  function verbs.best (lurn, options, name)
    local study, url = find(lurn, options, name)
    local document = M.document(lurn, study, assert(study:sync()), url)
    if options.json then cli.document(document) return end
    M.show_best(lurn, study, document)
  end

  -- All there is of every trial, a row each.
  local function table_of (lurn, study, trials)
    local names = lurn.study_table.names(trials)
    local head = {"number", "config", "seed", "state", "reason", "value", "started", "ended", "steps", "seconds"}
    local rows, first = {}, study:spec().train_seed or 1
    for _, name in ipairs(names) do head[#head + 1] = "params." .. name end
    for k, t in ipairs(trials) do
      rows[k] = add_params({t.number, t.config, first + t.seed - 1, t.state, t.reason or false, t.value or false,
        t.started or false, t.ended or false, t.attrs.steps or false, seconds_of(t)}, names, t.params)
    end
    return sheet.csv(head, rows)
  end

  local function write (path, text)
    local file, message = io.open(path, "wb")
    local ok = file and file:write(text, "\n") and file:close()
    if not ok then cli.fail(cli.INPUT, message or path .. ": cannot be written") end
    io.stderr:write("lurn: wrote ", path, "\n")
  end

  -- A name that says nothing of what shall be written would be that of an SQLite file.
  local function check_target (out)
    for _, pattern in ipairs {"^%a[%w+]*:", "%.csv$", "%.json$", "%.db$", "%.sqlite3?$"} do
      if out:find(pattern) then return end
    end
    cli.usage(("'%s': in which format? FILE.csv, FILE.json, or a store: FILE.db, dir:FOLDER, postgresql://...")
      :format(out), cli.describe(cli.verbs.study))
  end

  function verbs.export (lurn, options, name)
    local study, url = find(lurn, options, name)
    local out, trials = options.out, assert(study:sync())
    if out then check_target(out) end
    if not out then print(table_of(lurn, study, trials))
    elseif out:find "%.csv$" then write(out, table_of(lurn, study, trials))
    elseif out:find "%.json$" then
      local document = M.document(lurn, study, trials, url)
      document.spec, document.list = study:spec(), trials
      write(out, lurn.json.encode(document, {indent = true, name = "study"}))
    else
      local copy, message = study:export(out)
      if not copy then cli.fail(cli.INPUT, message) end
      io.stderr:write(("lurn: copied %d trials to %s\n"):format(#trials, out))
    end
  end

  --- Whether the store is whole, and whether the sampler proposes every trial again: this executes the study's script.
  function verbs.check (lurn, options, name)
    local study, url, store = find(lurn, options, name)
    local precision = M.spec_of(study, url).precision or lurn.precision
    if precision ~= lurn.precision then
      store:close()
      lurn = cli.lurn(precision)
      study, url = find(lurn, options, study.name)
    end
    local problems, trials = assert(study:check()), assert(study:sync())
    local choose, replayed = lurn.sweep.chooser(study, lurn.sweep.experiment_of(study)), 0
    for _, t in ipairs(trials) do
      local same, message = choose.replay(t, trials)
      if same then replayed = replayed + 1 elseif same == false then problems[#problems + 1] = message end
    end
    if options.json then
      cli.document {study = study.name, store = url, trials = #trials, replayed = replayed, problems = problems}
    else
      for _, problem in ipairs(problems) do print(problem) end
      print(("%s: %d trials, %d proposals of %s repeated, %d problems"):format(study.name, #trials, replayed,
        study:spec().sampler.name, #problems))
    end
    return problems[1] and cli.FAILED or cli.OK
  end

  verbs["import"] = function (lurn, options, from, name)
    if not from or not options.store then
      cli.usage("lurn study import URL [STUDY] --store URL: from where, to where?", cli.describe(cli.verbs.study))
    end
    local store = open(lurn, from)
    local study = M.study_of(store, from, name)
    local copy, message = study:export(options.store)
    if not copy then cli.fail(cli.INPUT, message) end
    io.stderr:write(("lurn: copied %d trials of %s to %s\n"):format(#assert(copy:sync()), study.name, options.store))
  end

  function verbs.delete (lurn, options, name)
    if not (name or options.study) then cli.usage("delete which study?", cli.describe(cli.verbs.study)) end
    local study, url, store = find(lurn, options, name)
    local count = #assert(study:sync())
    if not options.yes then
      cli.usage(("this would delete the %d trials of %s in %s: say --yes; their run files in %s stay"):format(count,
        study.name, url, study:get "folder" or "?"))
    end
    local ok, message = store:delete(study.name)
    if not ok then cli.fail(cli.INPUT, message) end
    io.stderr:write(("lurn: deleted %s (%d trials) from %s\n"):format(study.name, count, url))
  end

  function M.study (options, rest)
    local verb = rest[1] or "list"
    if not verbs[verb] then
      cli.usage(cli.lurn().schema.unknown("unknown command of lurn study", verb, {"list", "show", "best", "check",
        "export", "import", "delete"}), cli.describe(cli.verbs.study))
    end
    local surplus = rest[verb == "import" and 4 or verb == "list" and 2 or 3]
    if surplus then cli.usage(("what is '%s'?"):format(surplus), cli.describe(cli.verbs.study)) end
    return verbs[verb](cli.lurn(), options, rest[2] or options.study, rest[3]) or cli.OK
  end

  return M
end
