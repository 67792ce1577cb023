--- A run again, of nothing but its run file and its data: what `lurn rerun` and `lurn verify` share.
--
-- The script and the Lua files that it required come from the run file, the parameters, the seed and the engine too.
-- Data are looked for where the script says, then below the folder where the run was started, then among files that are
-- given; what counts is the hash of their content.

return function (lurn)
  local M = {}

  -- Functions that give a data set or arrays.
  local READERS = {"text", "open", "csv", "npy", "npz", "idx"}

  -- Hashes of what a reader gave in the run, and what a path's was, or that of the data that come now: a script opens
  -- them in the same order again. A run that had not come so far has none; nor has a run file of before arrays had
  -- hashes any of them.
  local function hashes_of (file, name, path)
    local hashes, was, kind = {}, nil, lurn.source.is_arrays {[name] = true}
    local place = lurn.current and #lurn.current.sources + 1
    for i, source in ipairs(file.manifest.data or {}) do
      if source.hash and source.path and lurn.source.is_arrays(source) == kind then
        hashes[source.hash] = true
        if source.path == path or not was and i == place then was = source.hash end
      end
    end
    return hashes, was
  end

  -- Of the places where data may be, the first in which they are those of the run; else the first that could be read,
  -- and why the first could not.
  local function search (open, hashes, places, ...)
    local _ <close> = lurn.source.aside()
    local first, message, code
    for _, place in ipairs(places) do
      local ok, data, why, what = lurn.patience.pcall(open, place, ...)
      if ok and data and hashes[lurn.source.of(data).hash] then return data end
      first = first or ok and data or nil
      message, code = message or (ok and why or data), code or what
    end
    return nil, first, message, code
  end

  local function found_by_hash (name, file, given, strict, or_else)
    local open = lurn[name]
    return function (path, ...)
      if type(path) ~= "string" then return open(path, ...) end
      local hashes, was = hashes_of(file, name, path)
      local own, first, message, code = search(open, hashes, lurn.manifest.places(file.manifest, path, given), ...)
      if own or first and not (strict and was) then return lurn.source.adopt(own or first) end
      if not first then
        lurn.data.failure = ("%s (data of the run; --data FILE says where they are)"):format(message)
      else
        lurn.data.failure = ("%s: not the data of the run: the hash of the content is %.12s, and was %.12s; --data "
          .. "FILE says where they are%s"):format(path, lurn.source.of(first).hash, was, or_else or "")
      end
      return nil, lurn.data.failure, code or "EFORMAT"
    end
  end

  --- From now on the script's data are looked for as described above. With `strict` other data than the run's are an
  -- error of the one who opens them; without, the first that can be opened are taken.
  ---@param file table      what lurn.runfile.read gave
  ---@param given string[]  files that may be the data
  ---@param strict boolean
  ---@param or_else? string   what else can be done, for the message
  function M.find_data (file, given, strict, or_else)
    for _, name in ipairs(READERS) do lurn[name] = found_by_hash(name, file, given, strict, or_else) end
  end

  --- A run that waits, of an experiment that came out of a run file.
  ---@param experiment lurn.Experiment
  ---@param file table
  ---@param options table   of lurn.run; seed: another one
  function M.start (experiment, file, options)
    options.seed = options.seed or file.seed
    local engine = os.getenv "LURN_ENGINE"
    if file.manifest.engine and (not engine or engine == "") then lurn.engine(file.manifest.engine) end
    return experiment:start(experiment:known(file.params), options)
  end

  ---------------------------------------------------------------- comparing

  local function same (a, b) return a == b or (a ~= a and b ~= b) end

  -- The first step up to `last` where two series differ: step, values; nil when they are equal.
  local function first_difference (a, b, last)
    a, b = a or {step = {}, value = {}}, b or {step = {}, value = {}}
    for k = 1, math.max(#a.step, #b.step) do
      local was, is = a.step[k], b.step[k]
      local step = math.min(was or math.huge, is or math.huge)
      if step > last then return nil end
      if was ~= is or not same(a.value[k], b.value[k]) then
        return step, was == step and a.value[k] or nil, is == step and b.value[k] or nil
      end
    end
  end

  --- The metric that differs first, up to a step: those in the digests first, others only when `all`.
  ---@return {name: string, step: integer, was: number?, is: number?}?
  function M.first_metric (was, is, last, all)
    local first
    local function look (name)
      if not (all or lurn.run.Run.digested(name)) then return end
      local step, old, new = first_difference(was[name], is[name], last)
      if step and (not first or step < first.step or (step == first.step and name < first.name)) then
        first = {name = name, step = step, was = old, is = new}
      end
    end
    for name in next, was do look(name) end
    for name in next, is do if not was[name] then look(name) end end
    return first
  end

  --- Compares what a trial of a study reports, report after report, with what the store had of it: `hear` is for the
  -- run's option pruner, `close` for when it is over. differs: {step, was, is}, step nil for the trial's value. A trial
  -- that did not come to its end gives up at its last report, and has no value to compare.
  ---@param trial table
  ---@return {hear: function, close: function, count: integer, differs: table?}
  function M.recorded (trial)
    local c, whole = {count = 0}, trial.state == "COMPLETE"
    function c.hear (step, value)
      if c.differs then return "parted" end
      local was = trial.reports[c.count + 1] or {step}
      if was[1] ~= step or not same(was[2], value + 0.0) then
        c.differs = {step = math.min(was[1], step), was = was[1] <= step and was[2] or nil,
          is = step <= was[1] and value or nil}
        return "parted"
      end
      c.count = c.count + 1
      return not whole and c.count == #trial.reports and "pruned" or nil
    end
    function c.close (value)
      local missing = trial.reports[c.count + 1]
      if not c.differs and missing then c.differs = {step = missing[1], was = missing[2]} end
      if whole and not c.differs and not same(trial.value, value) then c.differs = {was = trial.value, is = value} end
    end
    return c
  end

  --- Compares digest after digest as they come: on_digest is for the run's option of that name. equal: the last step at
  -- which all was the same; parted: the step of the first digest that was not. The run gives up there.
  ---@param file table
  ---@return {on_digest: function, count: integer, equal: integer?, parted: integer?}
  function M.comparison (file)
    local chain, c = file.digests, {count = 0}
    function c.on_digest (run, step, hex)
      local k = c.count + 1
      if c.parted or not chain.step[k] then return end
      if chain.step[k] == step and chain.hex[k] == hex then
        c.count, c.equal = k, step
      else
        c.parted, run.give_up = math.min(step, chain.step[k]), "parted"
      end
    end
    return c
  end

  return M
end
