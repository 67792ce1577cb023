--- A study of a sweep in a bundle: from a store of any kind into the file, and out of it into one of SQLite.
--
--   /study          attributes: name, direction
--   /study/spec     JSON: the script and the Lua files it required, the space, sampler, pruner, seeds, precision, ...
--   /study/keys     JSON: the study's other values, such as how many configurations there shall be
--   /study/trials   JSON, a line a trial: parameters, seed, state, reports, other series, attempts, what TPE had seen
--
-- Run files that the sweep kept are the bundle's runs, under the names of their trials: trial-000036.
--
-- Not a module of its own: bundle.lua calls it.

return function (lurn)
  local json, machine, shelf = lurn.json, lurn.store_state, require "lurn.shelf" (lurn)
  local M = {}

  --- The name of a trial in a bundle.
  ---@param number integer
  function M.name (number) return ("trial-%06d"):format(number) end

  ---------------------------------------------------------------- out of a store

  --- All that a store knows of a study (study:gather), but for the folder of its run files; nil and a message.
  ---@param study table   from lurn.store
  ---@return table? gathered
  ---@return string? message
  function M.gather (study)
    local out, message = study:gather()
    if not out then return nil, message end
    out.keys.folder = nil
    return out
  end

  --- The run files of complete trials that are there, in the order of trials.
  ---@return string[]
  function M.runs (gathered)
    local list = {}
    for _, t in ipairs(gathered.trials) do
      local there = t.state == "COMPLETE" and t.run and lurn.sys.exists(t.run)
      if there then list[#list + 1] = t.run else t.run = nil end
    end
    return list
  end

  ---------------------------------------------------------------- into a file, and out of it

  --- Writes a study into a bundle that is being made. names: of runs in the bundle, by path.
  function M.write (w, gathered, names)
    local lines = {}
    for k, t in ipairs(gathered.trials) do
      local copy = machine.copy(t)
      copy.run = names[t.run]
      lines[k] = json.encode(copy, {name = M.name(t.number)}) .. "\n"
    end
    assert(w:write("/study/spec", json.encode(gathered.spec, {name = "spec"})))
    assert(w:write("/study/keys", json.encode(gathered.keys, {name = "keys"})))
    assert(w:write("/study/trials", #lines > 0 and table.concat(lines) or "\n"))
    assert(w:attr("/study", "name", gathered.name))
    assert(w:attr("/study", "direction", gathered.direction))
  end

  local function bad (path, what) error(("%s: the study is damaged: %s"):format(path, what), 0) end

  local function decoded (path, what, text)
    local value = type(text) == "string" and json.decode(text, {nonfinite = true})
    if type(value) ~= "table" then bad(path, what) end
    return value
  end

  -- What a file of somebody else's says is looked at before anything goes by it.
  local TYPES = {number = "integer", epoch = "integer", config = "integer", seed = "integer", params = "table",
    reports = "table", attempts = "table", attrs = "table", metrics = "table"}

  local function check_series (path, what, list)
    for _, p in ipairs(list) do
      if type(p) ~= "table" or math.type(p[1]) ~= "integer" or type(p[2]) ~= "number" then bad(path, what) end
    end
  end

  local function check_trial (path, t, number)
    local what = M.name(number)
    for key, kind in next, TYPES do
      if (math.type(t[key]) or type(t[key])) ~= kind then bad(path, ("%s: %s"):format(what, key)) end
    end
    local value = t.value == nil or type(t.value) == "number"
    if t.number ~= number or not value or t.state == "COMPLETE" and not t.value then bad(path, what) end
    if t.run ~= nil and t.run ~= what then bad(path, what .. ": run") end
    local known = false
    for _, state in ipairs(machine.STATES) do known = known or t.state == state end
    if not known then bad(path, what .. ": state") end
    check_series(path, what .. ": reports", t.reports)
    for _, list in next, t.metrics do
      if type(list) ~= "table" then bad(path, what .. ": metrics") end
      check_series(path, what .. ": metrics", list)
    end
    for _, a in ipairs(t.attempts) do if type(a) ~= "table" then bad(path, what .. ": attempts") end end
    local metrics = t.attrs.metrics
    for _, m in next, type(metrics) == "table" and metrics or {metrics} do
      if type(m) ~= "table" then bad(path, what .. ": attrs.metrics") end
    end
  end

  --- The study of a bundle as gather gave it; nil when the bundle has none. Raises what is wrong with it.
  function M.read (r, path)
    if not r:exists "/study" then return nil end
    local out = {name = r:attr("/study", "name"), direction = r:attr("/study", "direction"), trials = {}}
    if type(out.name) ~= "string" or out.name == "" then bad(path, "its name") end
    if out.direction ~= "minimize" and out.direction ~= "maximize" then bad(path, "its direction") end
    out.spec = decoded(path, "its spec", r:read "/study/spec")
    out.keys = decoded(path, "its keys", r:read "/study/keys")
    local seeds = out.spec.seeds or 1
    if math.type(seeds) ~= "integer" or seeds < 1 or seeds > 1e6 then bad(path, "its seeds") end
    local lines = r:read "/study/trials"
    for line in (type(lines) == "string" and lines or bad(path, "its trials")):gmatch "[^\n]+" do
      local t = decoded(path, M.name(#out.trials), line)
      check_trial(path, t, #out.trials)
      out.trials[#out.trials + 1] = t
    end
    return out
  end

  --- Writes the study into a store of its own in a file of SQLite, its run files being where `runs` says.
  ---@param gathered table
  ---@param path string                 of the store; there may be none of that name
  ---@param runs table<string, string>  paths by name of trial
  ---@param folder string               for the run files of trials to come
  function M.restore (gathered, path, runs, folder)
    if lurn.sys.exists(path) then error(path .. " is there already", 0) end
    local store = assert(lurn.store.open(path))
    local whole = machine.copy(gathered)
    for _, t in ipairs(whole.trials) do t.run = runs[M.name(t.number)] end
    whole.keys.folder = folder
    assert(store:put(whole))
    store:close()
  end

  ---------------------------------------------------------------- what it says

  --- The trial that a study is about: the best one of the best configuration; nil when none is complete.
  function M.headline (gathered)
    local row = lurn.study_table.configurations(gathered.trials, gathered.direction, gathered.spec.seeds)[1]
    return row and row.best
  end

  local function figure (t, metric)
    if not metric then return t.value end
    local value = shelf.value({params = {}, metrics = t.attrs.metrics}, metric)
    return type(value) == "number" and value == value and value or nil
  end

  --- Configurations with a result, best first: each with its best trial, its parameters, and the figures of its
  -- complete trials, which are their values or those of a metric. A list of {cells, values}, and the heads of cells.
  function M.groups (gathered, metric)
    local names, groups, head = lurn.study_table.names(gathered.trials), {}, {"trial"}
    table.move(names, 1, #names, 2, head)
    for _, row in ipairs(lurn.study_table.configurations(gathered.trials, gathered.direction, gathered.spec.seeds)) do
      if not row.best then break end
      local cells, values = {row.best.number}, {}
      for _, name in ipairs(names) do
        local value = row.params[name]
        cells[#cells + 1] = type(value) == "boolean" and tostring(value) or value or false
      end
      for _, t in ipairs(row.trials) do
        if t.state == "COMPLETE" then values[#values + 1] = figure(t, metric) end
      end
      groups[#groups + 1] = {cells = cells, values = values}
    end
    return groups, head
  end

  return M
end
