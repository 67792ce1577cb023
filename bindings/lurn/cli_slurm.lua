--- lurn slurm: a study, and an array of workers that play its trials.

return function (cli)
  local sweeps = require "lurn.cli_sweep" (cli)
  local M = {}

  -- SQLite is for one host.
  local function default_store (name) return ("dir:%s/%s"):format(sweeps.FOLDER, name) end

  -- The words with which each task of the array takes part.
  local function command_of (found, options)
    local program = (rawget(_G, "arg") or {})[0] or "lurn"
    if program:find "/" then program = found.lurn.shell.absolute(program) end
    local words = {program, "worker", "--store", found.url, "--study", found.study.name, "--workers",
      tostring(options.workers or 1)}
    for _, name in ipairs {"folder", "lease", "stall"} do
      if options[name] then
        words[#words + 1] = "--" .. name
        words[#words + 1] = tostring(options[name])
      end
    end
    return words
  end

  -- Every host must find the store: a path means the same from any folder.
  local function for_all_hosts (lurn, url)
    local kind, place = lurn.store.parse(url)
    if kind == "memory" then
      cli.usage("--store memory: is inside this process; workers need dir:/shared/folder or postgresql://...")
    end
    local absolute = lurn.shell.absolute
    return kind == "dir" and "dir:" .. absolute(place) or kind == "sqlite" and absolute(place) or url
  end

  function M.slurm (options, rest, words)
    if options.tasks and options.tasks < 1 then cli.usage("--tasks must be at least 1, got " .. options.tasks) end
    local found, code = sweeps.prepare(options, rest, words, "slurm", default_store)
    if not found then return code end
    local lurn, study = found.lurn, found.study
    found.url = for_all_hosts(lurn, found.url)
    local folder = study:get "folder"
    local made, why = lurn.sys.mkdir(folder)
    if not made then cli.fail(cli.INPUT, why) end
    local path = options.write or folder .. "/slurm.sh"
    local file, message = io.open(path, "w")
    if not file then cli.fail(cli.INPUT, message) end
    file:write(lurn.slurm.script {study = study.name, tasks = options.tasks or 8, workers = options.workers or 1,
      output = folder .. "/slurm-%A_%a.out", command = command_of(found, options)})
    file:close()
    local job
    if not options.write then
      job, message = lurn.slurm.submit(path, options.behind or {})
      if not job then cli.fail(cli.FAILED, message .. "; the script is " .. path) end
    end
    local document = {study = study.name, store = found.url, script = path, job = job and tonumber(job)}
    if options.json then cli.document(document)
    elseif job then
      print(("job %s: %d tasks on the study '%s'"):format(job, options.tasks or 8, study.name))
      print(("watch it: lurn study show %s --store %s"):format(study.name, found.url))
    else print("written: " .. path) end
    return cli.OK
  end

  return M
end
