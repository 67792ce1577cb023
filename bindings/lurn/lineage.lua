--- Runs that come from other runs.
--
--   fork    a new run that goes on from the state of another, with other parameters where that makes sense: the
--           learning rate, the number of epochs. Weights, moments, carried state, counters, metrics, run.state are
--           the parent's
--   init    a new run whose first weights are, by name, those of another: the best ones where there are any
--
-- /lineage of the run file says which: {kind, parent, file, step, weights, digest, changed, lineage of the parent}. The
-- digest is SHA-256 over the parameters of a model by sorted path, as little-endian numbers of the file's precision; an
-- init may come from a run of the other one, whose weights were rounded to it as they were read.

return function (lurn)
  local M = {}

  --- SHA-256 of a model's weights, as model.native:hash() has it.
  ---@param weights table<string, any>   tensors by path
  function M.digest (weights)
    local paths, all = {}, {}
    for path in next, weights do paths[#paths + 1] = path end
    table.sort(paths)
    for i, path in ipairs(paths) do all[i] = weights[path] end
    return lurn.sys.sha256("", table.unpack(all))
  end

  local function weights_of (file, k, best)
    return best and file.best.weights[k] or file.models[k].weights
  end

  -- What a run file says of where the run comes from.
  local function describe (kind, file, best, changed)
    local digest = {}
    for k in ipairs(file.models) do digest[k] = M.digest(weights_of(file, k, best)) end
    return {kind = kind, parent = file.path:match "[^/]*$":gsub("%.h5$", ""), file = file.path,
      step = best and file.best.step or file.counters.steps, weights = best and "best" or "last", digest = digest,
      changed = changed, lineage = file.lineage}
  end

  --- The run that a run comes from, looked for where it was, beside the run file under the same name, and among files
  -- that are given. It is known by its step and the digest of its weights.
  ---@param file table      what lurn.runfile.read returned
  ---@param given string[]
  ---@return table? parent  the same of that run
  ---@return string? message
  function M.parent (file, given)
    local l = file.lineage
    local places = {l.file, (file.path:gsub("[^/]*$", l.file:match "[^/]*$"))}
    for _, place in ipairs(table.move(given, 1, #given, #places + 1, places)) do
      local parent = place:find "%.h5$" and lurn.runfile.read(place)
      local best = l.weights == "best"
      if parent and (parent.best.weights or not best) then
        local is = describe(l.kind, parent, best)
        if is.step == l.step and table.concat(is.digest, " ") == table.concat(l.digest, " ") then return parent end
      end
    end
    return nil, ("%s: the run is a%s of %s at step %s, and no file with those weights is there; --data FILE says where "
      .. "it is"):format(file.path, l.kind == "fork" and " fork" or "n init", l.file, l.step)
  end

  -- Parameters that differ, by name: {was, is}.
  local function changes (was, is)
    local out = {}
    for name, value in next, is do if was[name] ~= value then out[name] = {was = was[name], is = value} end end
    for name, value in next, was do if is[name] == nil then out[name] = {was = value} end end
    return next(out) and out or nil
  end

  local function clones (weights)
    local out = {}
    for path, tensor in next, weights do out[path] = tensor:clone() end
    return out
  end

  --- The state of a run file as that of a new run: what counts the parent's time and files is left behind, and a loop
  -- that was left (by a goal, by patience) goes on.
  ---@param file table   what lurn.runfile.read returned; it stays as it is
  ---@param params table of the new run
  ---@return table saved
  ---@return table lineage
  function M.fork (file, params)
    local copy = lurn.run.Run.copy
    local saved = {}
    for key, value in next, file do saved[key] = value end
    saved.forked, saved.created, saved.digests = true, nil, {step = {}, hex = {}}
    saved.state, saved.metrics, saved.counters = copy(file.state), copy(file.metrics), copy(file.counters)
    saved.best = {value = file.best.value, step = file.best.step}
    if file.best.weights then
      saved.best.weights = {}
      for k, weights in ipairs(file.best.weights) do saved.best.weights[k] = clones(weights) end
    end
    local c = saved.counters
    c.seconds, c.live_bytes, c.rotation = 0.0, 0, nil
    if c.loops[1] then c.loops[#c.loops].ended = nil end
    return saved, describe("fork", file, false, changes(file.params, params))
  end

  ---------------------------------------------------------------- first weights

  local function shape_text (shape) return #shape == 0 and "one number" or table.concat(shape, " x ") end

  local function same_shape (a, b)
    if #a ~= #b then return false end
    for i = 1, #a do if a[i] ~= b[i] then return false end end
    return true
  end

  -- Parameters that are in both with the same shape, and what speaks against the others.
  local function compare (model, weights)
    local fits, against, known = {}, {missing = {}, shape = {}, left = {}}, {}
    for _, p in ipairs(model:parameters()) do
      local value = weights[p.path]
      known[p.path] = true
      if not value then table.insert(against.missing, p.path)
      elseif same_shape(value.shape, p.value.shape) then fits[#fits + 1] = p
      else
        table.insert(against.shape, ("%s (%s, the model has %s)"):format(p.path, shape_text(value.shape),
          shape_text(p.value.shape)))
      end
    end
    for path in next, weights do if not known[path] then table.insert(against.left, path) end end
    table.sort(against.left)
    return fits, against
  end

  local function sentence (against)
    local parts = {}
    for _, kind in ipairs {{"missing", "not in the file"}, {"shape", "of another shape"},
                           {"left", "not in the model"}} do
      local list = against[kind[1]]
      if #list > 0 then parts[#parts + 1] = kind[2] .. ": " .. table.concat(list, ", ") end
    end
    return table.concat(parts, "; ")
  end

  --- Puts the weights of the run's `init` file into its k-th model, and notes in run.first what it begins with. Ends
  -- the run when not all fit, unless it takes a part.
  ---@param run lurn.Run
  ---@param model any
  ---@param k integer
  function M.fill (run, model, k)
    local file, best = run.options.init, run.options.init.best.weights ~= nil
    local saved = file.models[k]
    local fits, against = compare(model, saved and weights_of(file, k, best) or {})
    local why = sentence(against)
    if why ~= "" and not run.options.partial then
      run.refuse(("init: %s does not fit model %d: %s; --partial takes what fits"):format(file.path, k, why))
    end
    local others = k == 1 and lurn.manifest.other_data(file.manifest or {}, run.sources, true) or {}
    if others[1] then
      io.stderr:write("lurn: init: other data than the parent's: ", lurn.manifest.say_other(others), "\n")
    end
    for _, p in ipairs(fits) do p.value:copy(weights_of(file, k, best)[p.path]) end
    model:touch()
    run.first[k] = {}
    for _, p in ipairs(model:parameters()) do run.first[k][p.path] = p.value:clone() end
    run.lineage = run.lineage or describe("init", file, best)
    run.progress:say("init: %d of %d parameters from %s, step %d%s", #fits, #model:parameters(), file.path,
      run.lineage.step or 0, why ~= "" and "; " .. why or "")
  end

  --- Lines for people, from the parent on: {"fork of charlm-1 at step 400", ...}.
  ---@param lineage table?
  function M.lines (lineage)
    local lines = {}
    while type(lineage) == "table" do
      lines[#lines + 1] = ("%s of %s at step %s (%s weights, %s)"):format(tostring(lineage.kind),
        tostring(lineage.parent), tostring(lineage.step), tostring(lineage.weights), tostring(lineage.file))
      lineage = lineage.lineage
    end
    return lines
  end

  return M
end
