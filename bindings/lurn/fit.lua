--- run:fit: training with everything that training usually wants, in plain Lua over public calls.
-- Copy it into your script when you want another loop: nothing here is privileged.
--
--   local best = run:fit {model = model, optim = optim, train = data.train, valid = data.valid,
--                         epochs = 10, batch = 50, seq = 50}
--   best.loss, best.step          of the best evaluation; the model has its weights again
--   best.value                    what was the best there: the loss, or the metric that `monitor` names

local direction = require "lurn.direction"

return function (lurn)
  local schema, spikes = lurn.schema, lurn.spike

  local OPTIONS = {
    model = {"any", schema.required, nil, "what to train"},
    optim = {"any", schema.required, nil, "the optimiser, made for that model"},
    train = {"any", schema.required, nil, "the split to train on"},
    valid = {"any", nil, nil, "the split to evaluate on; without it the mean training loss counts"},
    epochs = {"number", nil, {0, 1e12}, "passes over train; parts of a pass count"},
    steps = {"integer", nil, {0, 1e15}, "iterations, instead of epochs"},
    batch = {"integer", 32, {1, 1e9}, "sequences side by side"},
    seq = {"integer", nil, {0, 1e9}, "time steps in a window, 50; 0: whole sequences, so where each has one target"},
    shuffle = {"boolean", nil, nil, "another order every epoch"},
    stride = {"integer", nil, {1, 1e9}, "new time steps in a window of seq, see split:feed"},
    bucket = {"boolean|integer", nil, {1, 1e9}, "sequences of like length together, see split:feed"},
    eval_every = {"integer", nil, {1, 1e15}, "iterations between evaluations; one epoch by default"},
    eval_batch = {"integer", nil, {1, 1e9}, "for evaluation: 1 for a text, else as batch"},
    eval_seq = {"integer", nil, {0, 1e9}, "as seq, for evaluation"},
    metrics = {"table", nil, nil, "of every evaluation, logged as valid_NAME: names and functions, see lurn.metrics"},
    monitor = {"string", "loss", nil, "by what an evaluation is the best: the loss, or one of metrics"},
    goal = {"number", nil, nil, "stop when an evaluation is as good as that"},
    patience = {"integer", nil, {1, 1e9}, "stop after so many evaluations without a new best"},
    on_nan = {"string|function", nil, {"stop", "skip", "rollback"},
      "when the loss or the gradient is not finite; as on_spike, or stop"},
    on_spike = {"string|function", nil, {"stop", "skip", "rollback"},
      "when the loss or the gradient norm is far above what it was lately; nil: nothing"},
    spike_z = {"number", 7, {0, 1e9}, "how many standard deviations above the mean are a spike"},
    spike_window = {"integer", 128, {2, 1e6}, "of how many steps before"},
    diagnose = {"integer", nil, {1, 1e15}, "iterations between diagnoses of the gradients, noted as diag/..."},
    keep = {"integer", nil, {1, 1e6}, "checkpoints of evaluations to keep beside the run file, and the best"},
    restore_best = {"boolean", true, nil, "put the best weights back at the end"},
  }

  local MOST_SKIPS = 100      -- in a row; then nothing will come of it

  local function finite (x) return x and x == x and x ~= math.huge and x ~= -math.huge end

  local function show (x, z)
    if x == nil then return "not computed" end
    return (x ~= x and "NaN" or ("%.6g"):format(x)) .. (z and (" (z = %.3g)"):format(z) or "")
  end

  -- A step that is not finite, or a spike, has changed nothing: it was not committed. What now?
  --   stop      the run ends as diverged
  --   skip      the batch is left out
  --   rollback  the best weights so far (at first: the initial ones) and half the learning rate
  --   function  decides: function (run, what) -> one of these words
  local function trouble (run, o, s, what)
    local broken = not (finite(what.loss) and finite(what.norm))
    local policy = broken and (o.on_nan or o.on_spike or "stop") or o.on_spike
    if type(policy) == "function" then policy = policy(run, what) or "skip" end
    s.skipped, s.in_a_row = s.skipped + 1, s.in_a_row + 1
    local message = ("step %d: loss %s, gradient norm %s"):format(run.steps, show(what.loss, what.loss_z),
      show(what.norm, what.norm_z))
    if policy == "stop" or s.in_a_row >= MOST_SKIPS then run:diverged(message) end
    if s.in_a_row == 1 then
      local why = broken and (run:blame() or "no value to blame") or "a spike"
      run.progress:say("%s; %s: %s", message, why, policy)
    end
    o.model:rollback()      -- what the pass left behind of its carried state is not finite either
    if policy == "rollback" then
      if not run:restore_best() then run:first_weights(o.model) end
      o.model:resetstate()
      o.optim.lr = o.optim.lr / 2
    end
  end

  -- What is wrong with the metrics, and what decides, is said before the first step, not an epoch later.
  local function check_metrics (o)
    local wanted = o.metrics and next(o.metrics) ~= nil
    if not o.valid and (wanted or o.monitor ~= "loss") then
      error("run:fit: metrics: they are of valid, and there is none (data.valid is nil: the split has no such part)", 3)
    end
    local why = wanted and lurn.metrics.fault(o.metrics, o.valid)
    if why then error("run:fit: metrics: " .. why, 3) end
  end

  -- The experiment says which way is better. A loss, and a metric that lurn knows, is better one way only.
  local function check_monitor (run, o)
    local name, given = o.monitor, run.experiment.direction
    local names, what, right = {"loss"}, nil, direction.of(name)
    for key, metric in next, o.metrics or {} do
      local own = type(key) == "string" and key or type(metric) == "string" and metric or nil
      names[#names + 1] = own
      if own == name then what = metric end
      if key == name and type(metric) == "string" then right = direction.of(metric) end
    end
    if name ~= "loss" and not what then
      error(schema.unknown("run:fit: option 'monitor' must be loss, or one of metrics, of valid; got", name, names), 3)
    end
    if what == "confusion" then error(("run:fit: monitor = \"%s\": a matrix is no number to go by"):format(name), 3) end
    if right and given ~= right then
      error(("run:fit: monitor = \"%s\" needs an experiment with direction = \"%s\", and this one has \"%s\"")
        :format(name, right, given), 3)
    end
  end

  -- Numbers go into the log, but for the one that is reported; a confusion matrix is none.
  local function log_metrics (run, o, result)
    local found = {valid_loss = o.monitor ~= "loss" and result.loss or nil}
    for _, name in ipairs(o.metrics and lurn.metrics.result_names(o.metrics) or {}) do
      if type(result[name]) == "number" and name ~= o.monitor then found["valid_" .. name] = result[name] end
    end
    if next(found) then run:note(found) end
  end

  local function learns_ids (model)
    local text = model:source_text()
    return (text:find "\ninput r%d+ y index " or text:find "\ninput r%d+ labels index ") ~= nil
  end

  -- A loss in bits, too, where it is one of ids; that of numbers is no information. The model is asked once.
  local function in_bits (o, loss)
    if o.learns_ids == nil then o.learns_ids = learns_ids(o.model) end
    return o.learns_ids and (" (%.3f bits)"):format(loss / math.log(2)) or ""
  end

  local function is_reached (run, goal, value)
    if run.experiment.direction == "maximize" then return value >= goal end
    return value <= goal
  end

  -- Loss, what decides, and its name.
  local function judge (run, o, s)
    if not o.valid then
      local loss = s.sum / math.max(1, s.count)
      return loss, loss, "mean_loss"
    end
    local stream = o.valid.data and o.valid.data.stream
    local result = o.model:evaluate(o.valid, {batch = o.eval_batch or (stream and 1 or o.batch),
      seq = o.eval_seq or o.seq or run.default_seq(o.valid), metrics = o.metrics})
    log_metrics(run, o, result)
    return result.loss, result[o.monitor] or 0 / 0, "valid_" .. o.monitor      -- of one class there is no AUC
  end

  local function evaluate (run, o, s)
    local loss, value, name = judge(run, o, s)
    s.sum, s.count = 0.0, 0
    if o.goal and is_reached(run, o.goal, value) then run:leave_loop() end
    local improved = run:report(value, name)
    o.optim:report(loss)                          -- schedule "plateau" listens
    s.waiting = improved and 0 or s.waiting + 1
    if improved then s.loss, s.value, s.step = loss, value, run.steps end
    local beside = o.monitor ~= "loss" and ("  loss %.4f"):format(loss) or ""
    run.progress:say("step %d  %s %.4f%s%s%s", run.steps, name, value, beside, in_bits(o, loss),
      improved and "  best" or "")
  end

  -- Forward, backward, and the update unless something speaks against it. What it measured, and whether it was taken.
  local function play (o, s, batch)
    local what = {loss = o.model:forward(batch), batch = batch}
    if not finite(what.loss) then return what, false end
    o.model:backward()
    if not o.on_spike then
      what.norm = o.optim:step()
      return what, finite(what.norm)
    end
    s.lately = s.lately or {loss = spikes.new(o.spike_window), norm = spikes.new(o.spike_window)}
    local lately, taken, watched = s.lately, nil, nil
    what.norm = o.optim:step(function (norm)
      what.loss_z, what.norm_z = spikes.score(lately.loss, what.loss), spikes.score(lately.norm, norm)
      watched, taken = norm, math.max(what.loss_z or 0, what.norm_z or 0) <= o.spike_z
      return taken
    end)
    if not finite(what.norm) then return what, false end
    spikes.add(lately.loss, what.loss, o.spike_z)
    spikes.add(lately.norm, watched, o.spike_z)
    return what, taken
  end

  ---@param run lurn.Run
  ---@param options table   see OPTIONS above
  ---@return {loss: number, value: number, step: integer, steps: integer, skipped: integer}
  return function (run, options)
    local o = schema.check("run:fit", options, OPTIONS)
    check_metrics(o)
    check_monitor(run, o)
    lurn.targets.check_loss("run:fit", o.model, o.train, 2)
    local model = run:adopt("model", o.model)
    run:adopt("optim", o.optim)
    local s = run:keep("fit", {waiting = 0, sum = 0.0, count = 0, skipped = 0, in_a_row = 0})
    if not s.begun then run:forget_best() end      -- a second fit in a run has a best of its own
    s.begun = true
    run:keep_checkpoints(not run.options.keep and o.keep or nil)

    for batch, step, feed in run:batches(o.train, {batch = o.batch, seq = o.seq, epochs = o.epochs,
                                                   steps = o.steps, stride = o.stride, shuffle = o.shuffle,
                                                   bucket = o.bucket}) do
      if o.diagnose and step % o.diagnose == 0 then run:note(model:diagnose(batch):metrics()) end
      local what, taken = play(o, s, batch)
      if taken then s.sum, s.count, s.in_a_row = s.sum + what.loss, s.count + 1, 0
      else trouble(run, o, s, what) end
      run:log {loss = what.loss, grad_norm = what.norm, penalty = model.penalty}

      local every = o.eval_every or feed.steps
      if step % every == 0 or step == run.total then
        evaluate(run, o, s)
        if o.patience and s.waiting >= o.patience then run:leave_loop() end
      end
      if (step + 1) % every == 0 or step + 1 == run.total then run:expect_report() end
    end

    if o.restore_best then run:restore_best() end
    return {loss = s.loss, value = s.value, step = s.step, steps = run.steps, skipped = s.skipped}
  end
end
