--- What a run measures: its series of numbers, its best evaluation and the weights it had then.
--
-- Not a module of its own: run.lua calls this with the class it adds methods to.

local direction = require "lurn.direction"

return function (lurn, Run)
  local schema = lurn.schema

  local function record (self, name, value)
    local series = self.metrics[name]
    if not series then
      series = {step = {}, value = {}}
      self.metrics[name] = series
    end
    local n = #series.step + 1
    series.step[n], series.value[n] = self.steps, value + 0.0
  end

  --- A line of the file beside the run file, which exists once the run file does.
  function Run:write_live (line)
    if not self.path or not self.written then return end
    if not self.live then
      self.live, self.live_bytes = lurn.runfile.open_live(self.path, self.live_bytes)
      if not self.live then
        self.live_bytes = 0
        return
      end
    end
    line = lurn.json.encode(line) .. "\n"
    self.live:write(line)
    self.live_bytes = self.live_bytes + #line
  end

  --- Keeps numbers of this step, by name, in the run file and in the file beside it.
  ---@param values table<string, number>
  function Run:note (values)
    local line = {step = self.steps}
    for name, value in next, values do
      if type(name) ~= "string" or type(value) ~= "number" then
        error(("run:log: values are numbers by name, got %s = %s"):format(tostring(name), schema.describe(value)), 3)
      end
      record(self, name, value)
      line[name] = value
    end
    self:write_live(line)
  end

  -- Operations of a step of the models that played this one.
  local function work_of (self)
    local work = 0
    for _, model in ipairs(self.models) do
      if model.batch == self.batch and self.batch then work = work + model:operations(self.batch) end
    end
    return work
  end

  -- What came since it was shown last is smoothed, as far back as smoothing remembers.
  local function show_step (self, values)
    local progress, list = self.progress, self.metrics.loss
    if progress.smooth and list and values.loss then
      local n = #list.value
      for i = math.max(1, n - math.min(self.unseen, 150) + 1), n - 1 do progress:smooth(list.value[i]) end
    end
    progress:update {step = self.steps, total = self.total, epoch = self.epoch, epochs = self.epochs,
      best = self.best.value, loss = values.loss, grad_norm = values.grad_norm, steps = self.unseen,
      count = self.batch and Run.frames(self.batch), work = work_of(self)}
    self.unseen = 0
  end

  --- Notes numbers of this step and shows them: run:log {loss = loss, grad_norm = norm}. Once a step.
  ---@param values table<string, number>
  function Run:log (values)
    self:note(values)
    local progress = self.progress
    if progress.quiet then return end
    self.unseen = self.unseen + 1
    if self.unseen >= (progress.ahead or 1) or self.steps == self.total then show_step(self, values) end
  end

  --- Targets in a batch, for speeds: characters of a text.
  function Run.frames (batch)
    local n = batch.N or batch.frames
    return type(n) == "number" and n or 0
  end

  local function better (self, value)
    if value ~= value then return false end
    local best = self.best.value
    if best == nil then return true end
    if self.experiment.direction == "maximize" then return value > best end
    return value < best
  end

  local function keep_weights (self)
    self.best.weights = self.best.weights or {}
    for k, model in ipairs(self.models) do
      local kept = self.best.weights[k] or {}
      self.best.weights[k] = kept
      for _, p in ipairs(model:parameters()) do
        if kept[p.path] then kept[p.path]:copy(p.value) else kept[p.path] = p.value:clone() end
      end
    end
  end

  -- The newest point of every other series that has one since the step of the report before.
  local function beside (self, reported, before)
    local points = {}
    for name, series in next, self.metrics do
      local n = #series.step
      if name ~= reported and series.step[n] > before then points[name] = {series.step[n], series.value[n]} end
    end
    return points
  end

  --- The value of an evaluation: what the experiment minimises (or maximises). Keeps the weights when it
  -- is the best so far, has a checkpoint written when this iteration is over, and ends the run then
  -- when it was pruned or paused.
  ---@param value number
  ---@param name? string   of the series; "objective" by default
  ---@return boolean improved
  function Run:report (value, name)
    if type(value) ~= "number" or name ~= nil and type(name) ~= "string" then
      error(("run:report: expected a number and perhaps the name of a series, got %s, %s; the step is counted by "
        .. "run:batches"):format(schema.describe(value), schema.describe(name)), 2)
    end
    -- A loop of the script's own has no steps, and to pruners all its evaluations are one.
    if self.steps == 0 and self.metrics[name or "objective"] and not self.stepless then
      self.stepless = true
      self.progress:say("lurn: run:report: again in step 0; steps are counted by run:batches (or run:fit)")
    end
    record(self, name or "objective", value)
    self:write_live {step = self.steps, [name or "objective"] = value}
    local improved = better(self, value)
    if improved then
      self.best.value, self.best.step = value + 0.0, self.steps
      keep_weights(self)
    end
    self.checkpoint_due, self.digest_due = not self.options.sparse and "keep" or self.checkpoint_due, true
    local before, pruner = self.last_report or 0, self.options.pruner
    self.next_report, self.last_report = 2 * self.steps - before, self.steps
    local verdict = pruner and pruner(self.steps, value, beside(self, name or "objective", before))
    if verdict then self.give_up = verdict == true and "pruned" or verdict end
    return improved
  end

  --- Forgets the best value so far: what is reported from now on is measured against itself only.
  function Run:forget_best ()
    self.best = {}
  end

  --- Puts the best weights so far back into the models. False when nothing was reported yet.
  ---@return boolean
  function Run:restore_best ()
    if not self.best.weights then return false end
    for k, model in ipairs(self.models) do
      if self.best.weights[k] then lurn.runfile.fill(model, self.best.weights[k], "best weights") end
    end
    return true
  end

  --- Last and best value of every metric: {loss = {last = 1.4, best = 1.3, step = 4000}}.
  ---@return table
  function Run:summary ()
    local out = {}
    for name, series in next, self.metrics do
      local best, at
      local upwards = direction.grows(name, self.experiment.direction)
      for i, value in ipairs(series.value) do
        local gains = best == nil or upwards and value > best or not upwards and value < best
        if value == value and gains then best, at = value, series.step[i] end
      end
      out[name] = {last = series.value[#series.value], best = best, step = at}
    end
    return out
  end
end
