--- The manifest of a run file: with what, on what and of what a run was made, so that whoever repeats it and gets other
-- bits can see what is not the same.
--
--   lurn, commit, flags, compiler                      this build
--   lua, hdf5, libc, blas, blas_core, blas_threads     libraries; OpenBLAS where the run came to use it
--   engine, isa, precision, threads                    how it computes
--   cpu, cpus, os                                      the machine
--   script {path, sha256}, files {NAME = sha256}, seed, params, data {{path, hash, split, ...}, ...}
--                                                      data sets and files of arrays, see source.lua
--   command, folder, environment, git {commit, branch, remote, diff}
--   attempts {{start, end, status, pid, command, differs}, ...}   every start and resume
--
-- The manifest says how a run began. An attempt that went on elsewhere notes in `differs` what was not the same there.
-- Secrets are taken out (redact.lua). Nothing here stops a run: what cannot be found out is left out.

return function (lurn)
  local redact = require "lurn.redact" ()
  local M = {}

  M.redact = redact

  -- Environment variables that can change a result or say where it was made. Others are nobody's business.
  local VARIABLES = {"^LURN_", "^OPENBLAS_", "^GOTO_NUM_THREADS$", "^OMP_", "^LC_ALL$", "^LANG$", "^TZ$",
    "^LUA_PATH", "^LUA_CPATH", "^LD_LIBRARY_PATH$", "^LD_PRELOAD$",
    "^SLURM_JOB_ID$", "^SLURM_ARRAY_JOB_ID$", "^SLURM_ARRAY_TASK_ID$",
    "^SLURM_JOB_NODELIST$", "^SLURM_CPUS_PER_TASK$"}

  local MOST_DIFF = 256 * 1024      -- bytes of an uncommitted diff that are kept

  --- A time (now by default) as it stands in files.
  ---@param time? integer
  function M.date (time) return os.date("!%Y-%m-%dT%H:%M:%SZ", time) end

  local date = M.date

  local function sha256 (text) return lurn.sys and lurn.sys.sha256 and lurn.sys.sha256(text) end

  ---------------------------------------------------------------- environment and git

  --- The variables of the allow-list, without secrets.
  ---@return table<string, string>
  function M.environment ()
    local out = {}
    for _, line in ipairs(lurn.sys and lurn.sys.environ and lurn.sys.environ() or {}) do
      local name, value = line:match "^([^=]+)=(.*)$"
      for _, pattern in ipairs(VARIABLES) do
        if name and name:find(pattern) then out[name] = redact.variable(name, value) end
      end
    end
    return out
  end

  local quoted = lurn.shell.quote

  -- One shell asks git everything. No hook, no pager, no program that a repository's configuration names is started.
  local QUESTIONS = "cd -- %s && g='git -c core.fsmonitor=false' && $g rev-parse HEAD --abbrev-ref HEAD && "
    .. "{ $g remote get-url origin || echo; } && $g diff --no-ext-diff --no-textconv --no-color HEAD"

  local remembered = {}

  --- Asks for the repository that a folder is in; what is returned gives the answer when it is called: commit, branch,
  -- remote and what is not committed; nil without git or outside of a repository. Git works meanwhile.
  ---@param folder string
  ---@return fun(): table?
  function M.ask_git (folder)
    local known = remembered[folder]
    if known ~= nil then return function () return known or nil end end
    local pipe = io.popen(("exec 2>/dev/null; %s"):format(QUESTIONS:format(quoted(folder))))
    return function ()
      local commit, branch, remote = pipe and pipe:read "l", pipe and pipe:read "l", pipe and pipe:read "l"
      local diff = remote and pipe:read(MOST_DIFF + 1)
      if pipe then pipe:close() end
      if not branch then return nil end
      local cut = diff and #diff > MOST_DIFF
      if cut then diff = diff:sub(1, MOST_DIFF):gsub("[^\n]*$", "") end
      return {commit = commit, branch = branch, remote = remote ~= "" and remote and redact.text(remote) or nil,
        diff = diff and redact.text(diff), diff_cut = cut or nil}
    end
  end

  --- From now on the answer about this folder is what is so now: many runs that start together ask once.
  ---@param folder string
  function M.remember_git (folder)
    remembered[folder] = nil
    remembered[folder] = M.ask_git(folder)() or false
  end

  ---------------------------------------------------------------- the experiment

  -- What is in the splits, as a hash: names and ranges in the order of names.
  local function split_hash (data)
    local names, lines = {}, {}
    for name in next, data.set and data.set.splits or {} do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do
      for _, range in ipairs(data.set.splits[name]) do
        lines[#lines + 1] = ("%s %d %d\n"):format(name, range[1], range[2])
      end
    end
    return names[1] and sha256(table.concat(lines)) or nil
  end

  local function data_of (run)
    local list = {}
    for i, data in ipairs(run.sources) do
      list[i] = {path = data.path, hash = data.hash, split = split_hash(data), text = data.text, csv = data.csv,
        npy = data.npy, npz = data.npz, idx = data.idx}
    end
    return list
  end

  --- Lua files that the script required, by module name. lurn's own are named by its version. A file is read once, so
  -- that what was edited later does not pass for what was run.
  ---@return table<string, string>
  function M.required (run)
    local files, before = run.experiment.required or {}, run.experiment.loaded_before
    run.experiment.required = files
    if not before then return files end
    for name in next, package.loaded do
      local own = name == "lurn" or name:find("^lurn%.")
      local path = not files[name] and not before[name] and not own and package.searchpath(name, package.path)
      local file = path and io.open(path, "rb")
      if file then
        files[name] = file:read("a")
        file:close()
      end
    end
    return files
  end

  local function hashes (files)
    local out = {}
    for name, text in next, files do out[name] = sha256(text) end
    return out
  end

  local function folder_of (path) return path and path:match("^(.*)/[^/]*$") or "." end

  --- Asks what takes long to find out, before a run is played that will say it.
  ---@param run lurn.Run
  function M.prepare (run)
    if run.experiment.script and run.path and not run.manifest and not run.git then
      run.git = M.ask_git(folder_of(run.experiment.path))
    end
  end

  local function add_blas (m)
    local info = lurn.core and lurn.core.blas_info
    for k, v in next, info and info() or {} do m[k] = v end
  end

  --- What is to be said of a run that plays here and now.
  ---@param run lurn.Run
  ---@return table
  function M.of (run)
    local sys, script = lurn.sys or {}, run.experiment.script
    local m = {
      lurn = lurn.version, lua = _VERSION, precision = lurn.precision, cpus = sys.cpus and sys.cpus(), seed = run.seed,
      threads = lurn.core and lurn.core.threads and lurn.core.threads() or 1, params = run.params,
      command = run.options.arguments and redact.words(run.options.arguments), folder = os.getenv "PWD",
      environment = M.environment(), data = data_of(run), files = hashes(M.required(run)),
      script = script and {path = run.experiment.path, sha256 = sha256(script)} or nil,
    }
    M.prepare(run)
    if run.git then m.git, run.git = run.git(), nil end
    local info = lurn.core and lurn.core.info
    for k, v in next, info and info() or {} do if k ~= "version" then m[k] = v end end
    add_blas(m)
    return m
  end

  ---------------------------------------------------------------- what differs

  -- These differ between any two runs, say nothing of the result, or follow from the content of data, which has a hash.
  local ALWAYS = {attempts = true, command = true, folder = true, cpus = true, lineage = true}
  local OF_DATA = {path = true, ["csv.normalise"] = true, ["csv.class"] = true,
    ["csv.categories"] = true}
  local function counts (path)
    local of_data = path:match "^data%.%d+%.(.*)$"
    return not ALWAYS[path:match "^[^%.]*"] and path ~= "script.path"
      and not (of_data and OF_DATA[of_data:match "^csv%.%w+" or of_data])
  end

  local function flatten (value, path, out)
    if type(value) ~= "table" then
      if counts(path) then out[path] = value end
      return out
    end
    for k, v in next, value do flatten(v, path == "" and tostring(k) or path .. "." .. k, out) end
    return out
  end

  --- The entries of two manifests that differ: a list {entry, then, now}, sorted by entry; nil where there is none.
  ---@param a table
  ---@param b table
  ---@return {entry: string, was: any, is: any}[]
  function M.differences (a, b)
    local was, is, names, list = flatten(a, "", {}), flatten(b, "", {}), {}, {}
    for name in next, was do names[#names + 1] = name end
    for name in next, is do if was[name] == nil then names[#names + 1] = name end end
    table.sort(names)
    for _, name in ipairs(names) do
      if was[name] ~= is[name] then list[#list + 1] = {entry = name, was = was[name], is = is[name]} end
    end
    return list
  end

  --- Files of data that are not what a manifest has of them: a list {path, was, is}, of hashes. The k-th data of a
  -- script are the k-th of its manifest, wherever they are now; `by_path`: those of the same path, of another script.
  ---@param m table
  ---@param sources table[]    of a run
  ---@param by_path? boolean
  function M.other_data (m, sources, by_path)
    local list, known = {}, {}
    for _, was in ipairs(m.data or {}) do if was.path then known[was.path] = was end end
    for i, source in ipairs(sources) do
      local was
      if by_path then was = known[source.path] else was = m.data and m.data[i] end
      if source.path and was and was.path and was.hash and source.hash ~= was.hash then
        list[#list + 1] = {path = source.path, was = was.hash, is = source.hash}
      end
    end
    return list
  end

  --- Says what M.other_data found, in one line.
  function M.say_other (list)
    local words = {}
    for i, d in ipairs(list) do
      words[i] = ("%s (the hash of the content is %.12s, and was %.12s)"):format(d.path, d.is, d.was)
    end
    return table.concat(words, ", ")
  end

  ---------------------------------------------------------------- attempts

  local function attempt_of (run, first)
    local played = run.began and math.floor(run.clock() - run.began) or 0
    local attempt = {start = date(os.time() - played), from = first and run.options.resume.counters.steps or 0,
      pid = lurn.sys and lurn.sys.pid and lurn.sys.pid()}
    if not first then return attempt end
    local here, changed = M.of(run), {}
    attempt.command = here.command
    for _, d in ipairs(M.differences(first, here)) do
      local to_come = d.is == nil and (d.entry:find "^data" or d.entry:find "^files" or d.entry:find "^blas")
      if not to_come then changed[d.entry] = d.is == nil and "(none)" or d.is end
    end
    attempt.differs = next(changed) and changed or nil
    return attempt
  end

  -- Data may be opened, Lua files required and OpenBLAS loaded late; what is known already stays as it was at first,
  -- but for data of a run that goes on with others.
  local function complete (m, run)
    m.data, m.files = m.data or {}, m.files or {}
    local others = run.options.other_data
    local data = (others or #run.sources > #m.data) and data_of(run) or {}
    for i = others and 1 or #m.data + 1, #data do m.data[i] = data[i] end
    for name, text in next, M.required(run) do m.files[name] = m.files[name] or sha256(text) end
    if not m.blas then add_blas(m) end
  end

  --- Where data of a run may lie: where its script says, below the folder where it was started, among given files.
  ---@param m table          the run's manifest
  ---@param path string      as the script says it
  ---@param given string[]
  ---@return string[]
  function M.places (m, path, given)
    local list = {path}
    if m.folder and not path:find "^/" then list[2] = m.folder .. "/" .. path end
    return table.move(given, 1, #given, #list + 1, list)
  end

  --- The manifest of a run as its file is renewed: made the first time, the current attempt brought up to date later.
  ---@param run lurn.Run
  ---@param status string
  ---@return table
  function M.renew (run, status)
    local m = run.manifest
    if not m then
      local saved = run.options.resume
      m = saved and saved.manifest or M.of(run)
      m.attempts = m.attempts or {}
      m.attempts[#m.attempts + 1] = attempt_of(run, saved and m)
      run.manifest = m
    end
    complete(m, run)
    local attempt = m.attempts[#m.attempts]
    attempt["end"], attempt.status, attempt.to = date(), status, run.done
    return m
  end

  return M
end
