--- lurn sweep and lurn worker: from the command line to a study that is done.

return function (cli)
  local runner = require "lurn.cli_run" (cli)
  local csv_read = require "lurn.csv_read"
  local M = {}

  M.FOLDER = "sweeps"      -- of stores and run files, where nothing else is said

  ---------------------------------------------------------------- options

  local function time_of (lurn, options, name)
    local text = options[name]
    if not text then return nil end
    return lurn.quantity.seconds(text) or cli.usage(("--%s must be a time such as 90, 15m or 2h, got '%s'")
      :format(name:gsub("_", "-"), text))
  end

  local function limits_of (lurn, options)
    local text = options.limit_memory
    local memory = text and (lurn.quantity.bytes(text)
      or cli.usage(("--limit-memory must be a size such as 500MB or 2GB, got '%s'"):format(text)))
    return {seconds = time_of(lurn, options, "limit_time"), memory = memory}
  end

  local function choice_of (lurn, options, name)
    if not options[name] then return nil end
    local choice, message = lurn.sweep.parse_choice(options[name])
    return choice or cli.usage("--" .. name .. ": " .. message)
  end

  -- All that can be wrong is found before anything is made.
  local function check_options (lurn, options)
    time_of(lurn, options, "timeout")
    time_of(lurn, options, "stall")
    for name, low in next, {trials = 1, workers = 1, seeds = 1, keep = 0} do
      if options[name] and options[name] < low then
        cli.usage(("--%s must be at least %d, got %d"):format(name, low, options[name]))
      end
    end
  end

  -- What the command line says of the study, and which of it was said at all.
  local function read_options (lurn, options, words)
    check_options(lurn, options)
    local o = {words = words, study = options.study, direction = options.direction, trials = options.trials,
      seeds = options.seeds, seed = options.seed, train_seed = options.train_seed, keep = options.keep,
      sampler = choice_of(lurn, options, "sampler"), pruner = choice_of(lurn, options, "pruner"),
      race = not options.all_seeds, limits = limits_of(lurn, options)}
    local given = {words = next(words) ~= nil, limits = next(o.limits) ~= nil, precision = options.precision ~= nil,
      race = options.all_seeds ~= nil}
    for _, name in ipairs {"direction", "seeds", "seed", "train_seed", "keep", "sampler", "pruner"} do
      given[name] = o[name] ~= nil
    end
    return o, given
  end

  local function load (lurn, path, options)
    lurn.repro.install {seed = options.train_seed or 1, name = "load", i = 0}
    local experiment = runner.load_script(lurn, path)
    for name in next, experiment.declarations do
      if cli.verbs.sweep.options[name] then
        cli.usage(("parameter '%s' of %s has the name of an option of lurn sweep"):format(name, path))
      end
    end
    return experiment
  end

  local function describe (lurn, experiment, o)
    local study, message = lurn.sweep.describe(experiment, o)
    if not study then cli.usage(message, runner.parameters_text(experiment)) end
    return study
  end

  ---------------------------------------------------------------- the store

  function M.default_store (name) return ("%s/%s.db"):format(M.FOLDER, name) end

  -- nil where create is false and there is none; the end of the command where it cannot be opened.
  local function open (lurn, url, create)
    local store, message, code = lurn.store.open(url, {create = create, spool = M.FOLDER .. "/.spool"})
    for _, text in ipairs(store and store:orphans() or {}) do io.stderr:write("lurn: ", text, "\n") end
    if store or code == "ENOENT" and not create then return store, message end
    cli.fail(cli.INPUT, message)
  end

  --- An open store, or the end of the command.
  function M.open_store (lurn, url, create)
    local folder = not url:find "^%a[%w+]*:" and url:match "^(.*)/[^/]*$"
    if create and folder then
      local made, why = lurn.sys.mkdir(folder)
      if not made then cli.fail(cli.INPUT, why) end
    end
    local store, message = open(lurn, url, create)
    return store or cli.fail(cli.INPUT, message)
  end

  -- Run files lie beside the store: sweeps/NAME.db and sweeps/NAME/, /shared/studies and /shared/studies/.runs/NAME.
  local function folder_for (lurn, url, name)
    local kind, place = lurn.store.parse(url)      -- the store was opened, so it is a good address
    if kind == "dir" then return ("%s/.runs/%s"):format(place, name) end
    if kind ~= "sqlite" then return M.FOLDER .. "/" .. name end
    local stem = place:gsub("%.%w+$", "")
    return stem:match "[^/]*$" == name and stem or stem .. "/" .. name
  end

  -- The study of that name; nil where there is none.
  local function find (store, url, name)
    local study, message, code = store:study(name)
    if not study and code ~= "ENOENT" then cli.fail(cli.INPUT, ("%s: %s"):format(url, message)) end
    return study
  end

  -- nil where somebody else has made it meanwhile.
  local function make_study (lurn, store, url, now, options)
    local folder = lurn.shell.absolute(options.folder or folder_for(lurn, url, now.name))
    local study, message, code = store:create {name = now.name, direction = now.direction, spec = now.spec,
      keys = {trials = now.trials, folder = folder}}
    if not study and code ~= "EEXIST" then cli.fail(cli.INPUT, message) end
    return study
  end

  -- The study is taken up where it is; nothing of it may have changed, but how many trials there shall be.
  local function take_up (lurn, study, now, given)
    local list = lurn.sweep.differences(study, now, given)
    if list[1] then
      cli.usage(("the study '%s' was begun with something else:\n  %s\nanother study: --study NAME"):format(study.name,
        table.concat(list, "\n  ")))
    end
    local total, message, code = study:get "trials"
    if total == nil and not code then total, message = study:set("trials", now.trials) end      -- made by other means
    if not total then cli.fail(cli.INPUT, message) end
  end

  -- How many configurations there shall be, after so many more were enqueued: a grid has no more than its cells and
  -- what was enqueued beside them.
  local function settle_total (lurn, study, now, options, added)
    local most, was = now.size or math.huge, study:get "trials"
    for _ in next, now.size and lurn.sampler.enqueued(assert(study:sync())) or {} do most = most + 1 end
    local total = math.min(options.trials or (was == most - added and most or was), most)
    if total == was then return end
    local done, message = study:set("trials", total)
    if not done then cli.fail(cli.INPUT, message) end
  end

  ---------------------------------------------------------------- enqueue

  local function read_list (lurn, path)
    local file, message = io.open(path, "rb")
    local text = file and file:read "a"
    if file then file:close() end
    if not text then cli.fail(cli.INPUT, message or path .. ": cannot be read") end
    if text:find "^%s*[%[{]" then
      local list, why = lurn.json.decode(text)
      if list and text:find "^%s*{" then list = {list} end
      for _, row in ipairs(list or {}) do if type(row) ~= "table" then list = nil end end
      if not list then cli.fail(cli.INPUT, path .. ": " .. (why or "expected a list of objects")) end
      return list, text
    end
    local ok, t = pcall(csv_read.table_of, text, csv_read.separator(path), true)
    if not ok then cli.fail(cli.INPUT, csv_read.told(path, t) or t) end
    local list = {}
    for k, cells in ipairs(t.rows) do
      list[k] = {}
      for i, name in ipairs(t.names) do if cells[i] ~= "" then list[k][name] = cells[i] end end
    end
    return list, text
  end

  -- A value of a configuration, checked as those of the command line are, and against what the study searches.
  local function value_of (lurn, experiment, spec, entries, name, value)
    local d, p = experiment.declarations[name], entries[name]
    if not d then
      return nil, lurn.schema.unknown("unknown parameter", tostring(name), {table.unpack(experiment.names)})
    end
    local checked, message
    if type(value) == "string" then checked, message = lurn.experiment.parse(d, value)
    else checked, message = lurn.experiment.validate(d, value) end
    if checked == nil then return nil, message end
    local fixed = spec.fixed[name]
    if fixed == nil then fixed = d.default end
    if not p and checked ~= fixed then
      return nil, ("parameter '%s' is not searched in this study, it is %s"):format(name, tostring(fixed))
    end
    local inside = not p or p.kind == "choice" and lurn.space.index(p, checked)
      or p.kind ~= "choice" and checked >= p.low and checked <= p.high
    if not inside then
      return nil, ("parameter '%s' is searched in %s, got %s"):format(name, lurn.space.text(p), tostring(checked))
    end
    return checked
  end

  -- What a configuration does not say is at its default.
  local function configuration (lurn, experiment, spec, path, k, row)
    local params, entries = lurn.space.defaults(spec.space), {}
    for _, p in ipairs(spec.space) do entries[p.name] = p end
    for name, value in next, row do
      local checked, message = value_of(lurn, experiment, spec, entries, name, value)
      if checked == nil then cli.fail(cli.INPUT, ("%s: configuration %d: %s"):format(path, k, message)) end
      if entries[name] then params[name] = checked end
    end
    return lurn.space.meaningful(params, lurn.space.conditions(experiment, spec.fixed))
  end

  -- The configurations of a file, {params, ...}, and what names them; the end of the command where they do not fit the
  -- spec of the study that they are for.
  local function read_configurations (lurn, experiment, spec, path)
    if not path then return nil end
    local list, text = read_list(lurn, path)
    if not list[1] then cli.fail(cli.INPUT, path .. ": no configuration is in it") end
    for k, row in ipairs(list) do list[k] = configuration(lurn, experiment, spec, path, k, row) end
    return list, "enqueued " .. lurn.sys.sha256(text):sub(1, 16)
  end

  -- The configurations of trials that were put in, by name; which seeds each configuration has; the last number of one.
  local function configurations_of (trials)
    local named, seeds, last = {}, {}, -1
    for _, t in ipairs(trials) do
      local c = t.config
      seeds[c] = seeds[c] or {}
      seeds[c][t.seed], last = true, math.max(last, c)
      if t.attrs.enqueued then named[t.attrs.enqueued] = c end
    end
    return named, seeds, last
  end

  -- The same file is put in once, also when the command is given again; what a command that was cut short had put in
  -- stays. How many configurations are new to the study's total. With one seed the store gives them their numbers.
  local function enqueue (study, list, key)
    if not list or study:get(key) then return 0 end
    local named, had, last = configurations_of(assert(study:sync()))
    local seeds, new = study:spec().seeds or 1, {}
    for k, params in ipairs(list) do
      local name = ("%s %d"):format(key:match "%S+$", k)      -- of the file, and the place in it
      local config = named[name]
      if not config and seeds > 1 then config, last = last + 1, last + 1 end
      for seed = 1, seeds do
        if not (named[name] and had[config][seed]) then
          new[#new + 1] = {params = params, config = config, seed = seed, attrs = {enqueued = name}}
        end
      end
    end
    assert(study:enqueue(new))
    return #list
  end

  ---------------------------------------------------------------- the agent

  local function fresh_id (lurn)
    local random = io.open("/dev/urandom", "rb")
    local bytes = random and random:read(16) or ""
    if random then random:close() end
    return lurn.sys.sha256(lurn.store_dir.instance() .. bytes):sub(1, 8)
  end

  local function read_id (path)
    local file = io.open(path, "rb")
    local id = file and file:read "a":match "^%x+$"
    if file then file:close() end
    return id
  end

  -- What a folder is called wherever it is seen: chance has said so once, in a file of it. Locks keep those apart who
  -- share a folder; those who do not, be their folders' paths, their hosts' names or their jobs the same, are told
  -- apart by this. Whether the file is there for the next one.
  local function folder_id (lurn, folder)
    local path, id = folder .. "/.agents", fresh_id(lurn)
    local temp = ("%s.%s"):format(path, id)
    if not read_id(path) and lurn.sys.append(temp, id) then
      lurn.sys.claim(temp, path)
      lurn.sys.remove(temp)
    end
    local kept = read_id(path)
    return kept or id, kept ~= nil
  end

  -- What an agent is called: by the task of a batch system, which keeps its name when it is started again on another
  -- host that has the same folder, or by the host.
  local function names_of (lurn, id)
    local job, task = os.getenv "SLURM_ARRAY_JOB_ID", os.getenv "SLURM_ARRAY_TASK_ID"
    job = job and task and job .. "_" .. task or os.getenv "SLURM_JOB_ID"
    local stem = ("%s-%s"):format(job and "slurm-" .. job or lurn.process.host(), id)
    if job then return function (k) return k == 1 and stem or ("%s.%d"):format(stem, k) end end
    return function (k) return ("%s-%d"):format(stem, k) end
  end

  -- The first name that no living agent has, so that one that is started again takes up its own trials at once, and two
  -- that live do not take them from each other. Where the file system knows no locks, nobody's name comes again.
  local function agent_name (lurn, folder)
    local id, kept = folder_id(lurn, folder)
    local name_of = names_of(lurn, id)
    for k = 1, kept and 10000 or 0 do
      local held, is_real = lurn.sys.lock(("%s/%s.agent"):format(folder, name_of(k)))
      if held and is_real then return name_of(k), held end
      if held then break end
    end
    return ("%s.%d"):format(name_of(1), lurn.sys.pid())
  end

  -- Cores that no other agent on this machine has pinned its trials to. Where they are fewer than slots, the system
  -- places the rest.
  local function cores_for (lurn, workers)
    local list, locks = {}, {}
    for _, core in ipairs(lurn.process.cores()) do
      if #list == workers then break end
      local lock = lurn.sys.lock(("%s/lurn-core-%d.lock"):format(os.getenv "TMPDIR" or "/tmp", core))
      if lock then list[#list + 1], locks[#locks + 1] = core, lock end
    end
    for k = #list + 1, workers do list[k] = false end
    return list, locks
  end

  local function view_of (lurn, study, options)
    return lurn.sweep_view.new {quiet = options.quiet, direction = study.direction, seeds = study:spec().seeds}
  end

  local codes = {done = cli.OK, stopped = cli.OK, failed = cli.FAILED, INT = cli.INTERRUPTED, TERM = cli.TERMINATED}

  -- Plays trials of the study until it is done or told to stop.
  local function work (lurn, study, experiment, url, options, workers)
    local folder = options.folder and lurn.shell.absolute(options.folder) or study:get "folder"
      or lurn.shell.absolute(folder_for(lurn, url, study.name))
    local made, why = lurn.sys.mkdir(folder)
    if not made then cli.fail(cli.INPUT, why) end
    local name, lock = agent_name(lurn, folder)
    local cores, locks = cores_for(lurn, workers)
    lurn.manifest.remember_git((experiment.path or ""):match "^(.*)/[^/]*$" or ".")
    local agent = lurn.agent.new(study, experiment, {folder = folder, workers = workers, name = name, cores = cores,
      view = view_of(lurn, study, options), timeout = time_of(lurn, options, "timeout"), lease = options.lease,
      stall = time_of(lurn, options, "stall"), arguments = runner.arguments()})
    local how, message = agent:run()
    for _, held in ipairs(locks) do held:release() end
    if lock then lock:release() end
    if message and how ~= "done" then
      local more = how == "failed" and "" or "; the same command again goes on"
      io.stderr:write("lurn: ", message, more, "\n")
    end
    return agent, how
  end

  --- What is left to say when an agent has ended; returns the exit code.
  local function report (lurn, study, agent, how, options, url)
    local results = require "lurn.cli_study" (cli)
    local document = results.document(lurn, study, agent.trials, url)
    document.status, document.seconds = how, agent.clock() - agent.began
    document.busy = agent:share()
    if options.json then cli.document(document)
    else results.show_best(lurn, study, document) end
    if how == "done" and document.counts.COMPLETE == 0 then return cli.FAILED end
    return codes[how]
  end

  ---------------------------------------------------------------- the verbs

  --- The study that a command line describes, made or taken up where it is. `what` is the verb, which may have a
  -- default for the store of its own. nil and an exit code when there is nothing more to do.
  ---@return table? found   {lurn =, experiment =, study =, url =}
  ---@return integer? code
  function M.prepare (options, rest, words, what, default)
    local usage = cli.describe(cli.verbs[what])
    if not rest[1] then cli.usage("which script?", usage) end
    if rest[2] then cli.usage(("one script, please; what is '%s'?"):format(rest[2]), usage) end
    local lurn = cli.lurn(options.precision)
    local experiment = load(lurn, rest[1], options)
    if options.help then return nil, runner.help(experiment, what) end
    runner.check_names(lurn, experiment, words, what)
    local o, given = read_options(lurn, options, words)
    local now = describe(lurn, experiment, o)
    if options.dry_run then return nil, require "lurn.cli_dry_run" (cli).run(lurn, experiment, now, options) end
    local url = options.store or (default or M.default_store)(now.name)
    local store = open(lurn, url, false)
    local study = store and find(store, url, now.name)
    local precision = study and require "lurn.cli_study" (cli).spec_of(study, url).precision
    if precision and precision ~= lurn.precision and not options.precision then
      store:close()
      options.precision = precision
      return M.prepare(options, rest, words, what, default)
    end
    if study then take_up(lurn, study, now, given) end
    -- What cannot be read must not leave a study behind.
    local list, key = read_configurations(lurn, experiment, study and study:spec() or now.spec, options.enqueue)
    store = store or M.open_store(lurn, url, true)
    study = study or make_study(lurn, store, url, now, options)
    if not study then
      store:close()
      return M.prepare(options, rest, words, what, default)
    end
    local added = enqueue(study, list, key)
    settle_total(lurn, study, now, options, added)
    if added > 0 then assert(study:set(key, added)) end      -- last: a command that was cut short begins here again
    return {lurn = lurn, experiment = experiment, study = study, url = url}
  end

  function M.sweep (options, rest, words)
    local found, code = M.prepare(options, rest, words, "sweep")
    if not found then return code end
    local lurn, study = found.lurn, found.study
    local agent, how = work(lurn, study, found.experiment, found.url, options, options.workers or lurn.sys.cpus())
    return report(lurn, study, agent, how, options, found.url)
  end

  function M.worker (options, rest)
    if rest[1] then
      cli.usage(("what is '%s'? The script is in the study"):format(rest[1]), cli.describe(cli.verbs.worker))
    end
    if not options.store then cli.usage("which store? --store URL", cli.describe(cli.verbs.worker)) end
    local lurn = cli.lurn()
    check_options(lurn, options)
    local results = require "lurn.cli_study" (cli)
    local store = M.open_store(lurn, options.store, false)
    local study = results.study_of(store, options.store, options.study)
    local precision = results.spec_of(study, options.store).precision
    if precision and precision ~= lurn.precision then
      store:close()
      lurn = cli.lurn(precision)
      store = M.open_store(lurn, options.store, false)
      study = results.study_of(store, options.store, study.name)
    end
    local experiment = lurn.sweep.experiment_of(study)
    local agent, how = work(lurn, study, experiment, options.store, options, options.workers or 1)
    return report(lurn, study, agent, how, options, options.store)
  end

  return M
end
