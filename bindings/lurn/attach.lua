--- A run file seen from a prompt, of a run that is over or that another process still plays.
--
--   r = attach "charlm-20261125"       a path, or the beginning of a run's name in the folder runs
--   r.params  r.metrics  r.loss        what it was told, what it measured (also what was not yet in the file)
--   r.model                            with the weights of its last checkpoint; r:best_model() with the best ones
--   r:refresh()                        what was written since
--   f = r:fork({lr = 1e-4}, {step = 400});  f:step(10);  f:continue()
--
-- The model is built from the program in the file: nothing of the run's script is executed, except by fork, which
-- plays it.

return function (session)
  local lurn, show = session.lurn, session.show
  local schema = lurn.schema

  ---@class lurn.Attached
  ---@field path string
  ---@field name string
  ---@field status string      as of the last checkpoint
  ---@field steps integer      of it
  ---@field params table
  ---@field metrics table      series {step =, value =} by name
  ---@field model lurn.Model   with the weights of the last checkpoint
  local Attached = {__name = "lurn.Attached"}

  -- Fields that are made when they are asked for; any other name is that of a metric.
  local lazy = {}

  function lazy.model (self) return self:build() end

  -- As a run has them, for who stands for its data, too; `missing` says why there are none.
  function lazy.datasets (self)
    local _ <close> = lurn.source.aside()
    local data, message = lurn.source.own_data(self.file)
    return data and {data} or {missing = message .. " (the run's own data)"}
  end

  function Attached.__index (self, key)
    if Attached[key] ~= nil then return Attached[key] end
    if lazy[key] then
      local value = lazy[key](self)
      rawset(self, key, value)
      return value
    end
    local metrics = rawget(self, "metrics")
    return metrics and metrics[key]
  end

  function Attached.__tostring (self) return show.run(self) end

  ---------------------------------------------------------------- reading

  -- Lines that came after the checkpoint lie beside it. The last one may be half written.
  local function add_live (self)
    local f = io.open(lurn.runfile.live_path(self.path), "rb")
    local last = {}
    for name, series in next, self.metrics do last[name] = series.step[#series.step] or 0 end
    for text in f and f:lines() or function () end do
      local line = lurn.json.decode(text, {nonfinite = true})
      if type(line) ~= "table" then break end
      for name, value in next, line do
        if name ~= "step" and math.type(line.step) and type(value) == "number" and name ~= "seconds" then
          if line.step > (last[name] or 0) then
            local series = self.metrics[name] or {step = {}, value = {}}
            self.metrics[name] = series
            table.insert(series.step, line.step)
            table.insert(series.value, value + 0.0)
          end
        end
      end
    end
    if f then f:close() end
  end

  local function fill (self, file)
    for _, key in ipairs {"path", "name", "status", "steps", "params", "metrics", "best", "vocab", "lineage"} do
      rawset(self, key, file[key])
    end
    rawset(self, "file", file)
    rawset(self, "model", nil)
    add_live(self)
    for name, series in next, self.metrics do series.name = name end
    self.summary = lurn.run.Run.summary {metrics = self.metrics, experiment = {direction = file.config.direction}}
    return self
  end

  --- Reads the file again: the state of a run that goes on.
  ---@return lurn.Attached
  function Attached:refresh ()
    local file, message = lurn.runfile.read(self.path)
    if not file then error(message, 2) end
    return fill(self, file)
  end

  --- The run's k-th model with the weights of the last checkpoint.
  ---@param k? integer      1
  ---@param weights? table  of another place in the file
  ---@return lurn.Model
  function Attached:build (k, weights)
    local saved = self.file.models[k or 1] or error(("%s: the run has no model yet"):format(self.path), 2)
    local current = lurn.current
    lurn.current = nil
    local model = assert(lurn.from_program(saved.program))
    lurn.current = current
    lurn.runfile.fill(model, weights or saved.weights, "weights")
    return model
  end

  --- The run's k-th model with the weights of its best evaluation.
  ---@param k? integer   1
  ---@return lurn.Model
  function Attached:best_model (k)
    local best = self.file.best.weights
    if not best then error(("%s: nothing was evaluated yet"):format(self.path), 2) end
    return self:build(k, best[k or 1])
  end

  --- Ids of a text, with the run's vocabulary.
  function Attached:encode (text)
    if not self.vocab then error(("%s: the run has no vocabulary"):format(self.path), 2) end
    return lurn.sample.codec(self.vocab).encode(text)
  end

  --- A language model's text, see lurn.sample.
  ---@param options? table
  ---@return string
  function Attached:sample (options)
    if not self.vocab then error(("%s: the run has no vocabulary"):format(self.path), 2) end
    return lurn.sample(self.model, self.vocab, options)
  end

  ---------------------------------------------------------------- forking

  local FORK = {
    step = {"integer", nil, {0, 1e15}, "the kept checkpoint of that step; the last state by default"},
    seed = {"integer", nil, nil, "of everything random; the run's by default"},
    out = {"string", nil, nil, "the run file; runs/NAME-ID.h5 by default"},
    quiet = {"boolean", false, nil, "no progress"},
  }

  local function parent_file (self, step)
    if not step or step == self.steps then return self.file end
    local path = lurn.run.Run.kept_path(self.path, step)
    local file, message = lurn.runfile.read(path)
    if not file then
      error(("fork: no checkpoint of step %d was kept (lurn run --keep N keeps them): %s"):format(step, message), 3)
    end
    return file
  end

  local function experiment_of (file)
    if not file.script.text then error(file.path .. ": the run was not started from a script", 3) end
    local experiment, message = lurn.experiment.restore(file.script)
    return experiment or error(message, 3)
  end

  --- A new run that goes on from the state of this one, with other parameters; it waits for step or continue. Its
  -- script, which is in the file, is executed.
  ---@param params? table
  ---@param options? {step: integer?, seed: integer?, out: string?, quiet: boolean?}
  ---@return lurn.Run
  function Attached:fork (params, options)
    local o = schema.check("fork", options, FORK)
    local file = parent_file(self, o.step)
    if file.precision ~= lurn.precision then
      error(("fork: the run is %s, this prompt %s (LURN_PRECISION=%s lurn)"):format(file.precision, lurn.precision,
        file.precision), 2)
    end
    local experiment = experiment_of(file)
    local all = experiment:known(file.params)
    for name, value in next, params or {} do all[name] = value end
    return experiment:start(all, {fork = file, seed = o.seed, out = o.out, quiet = o.quiet})
  end

  -- What completion offers inside the braces of a method: the parameters that a fork may change.
  function Attached.__options (self, method)
    if method ~= "fork" then return nil end
    local rules = {}
    for name, value in next, self.params do rules[name] = {type(value), value} end
    return rules
  end

  ---------------------------------------------------------------- finding

  local function find (path)
    if lurn.sys.exists(path) then return path end
    local shelf, found = require "lurn.shelf" (lurn), nil
    for _, candidate in ipairs(shelf.paths "runs") do
      if shelf.begins(candidate:match "[^/]*$", path) then
        if found then error(("attach: several runs begin with '%s': %s, %s"):format(path, found, candidate), 3) end
        found = candidate
      end
    end
    return found or error(("attach: no such file, and no run in the folder runs begins with '%s'"):format(path), 3)
  end

  ---@param path string|lurn.Run
  ---@return lurn.Attached
  return function (path)
    if getmetatable(path) == lurn.run.Run then path = path.path end
    if type(path) ~= "string" then error("attach: expected a run, or the path of a run file", 3) end
    local file, message = lurn.runfile.read(find(path))
    if not file then error(message, 2) end
    return fill(setmetatable({}, Attached), file)
  end
end
