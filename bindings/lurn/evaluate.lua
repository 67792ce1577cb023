--- What a trained model does on a split: model:evaluate and model:predict.
--
-- Not a module of its own: model.lua calls this with the class it adds methods to.

return function (lurn, Model)
  local schema = lurn.schema

  local EVALUATE = {
    batch = {"integer", nil, {1, 1e9}, "rows side by side; 1 for a stream, 32 for sequences"},
    seq = {"integer", nil, {0, 1e9}, "steps in a window; 50 for a stream, whole sequences otherwise"},
    metrics = {"table", nil, nil, "names and functions (out, y, lengths, batch), see lurn.metrics"},
  }
  local PREDICT = {batch = EVALUATE.batch, seq = EVALUATE.seq}

  -- An evaluation changes nothing, so a signal need not wait for its end, not even behind the commit of a training
  -- step, where the engine is not told otherwise: when that step can be played again from the run file. What it was is
  -- put back when the value is closed.
  local function listen ()
    local signal, run = lurn.signal, lurn.current
    local held = signal and (not run or run:is_saved()) and signal.hold(false)
    return setmetatable({}, {__close = function () if held then signal.hold(true) end end})
  end

  -- Within a run, what the evaluation is at shows in the run's line; closed like the above.
  local function show (what, total)
    local progress = lurn.current and lurn.current.progress
    if progress and progress.begin then progress:begin(what, total)
    else progress = nil end
    return setmetatable({}, {__close = function () if progress then progress:finish() end end}), progress
  end

  -- Plays the split's batches in order on a player whose state is carried from window to window.
  local function play (model, player, split, o, what, each)
    local stream = split.data and split.data.stream
    local feed = split:feed {batch = o.batch or (stream and 1 or 32), seq = o.seq, shuffle = stream and nil or false}
    local _ <close> = listen()
    local shown, progress = show(what, feed.steps)
    local _ <close> = shown
    player:resetstate()
    for step = 1, feed.steps do
      local batch = feed:batch(1, step)
      local loss, weight = lurn.patience.attempt(player, 3, player.forward, batch, model.seed, step, "eval")
      each(batch, loss, weight or 1)
      player:commit()
      if progress then progress:part(step) end
    end
  end

  -- Targets of a batch, as metrics see them: neither those of none, nor those whose mask is 0. nil: it has none.
  local function targets_of (batch)
    local own, mask = batch.y, batch.mask      -- copies, each time they are asked for
    local y = own or batch.labels
    if not y then return nil end
    local ids = y:dtype() == "ids"
    local over_time, n = y:dim() == (ids and 2 or 3), 0
    if not (over_time and own) then mask = nil end
    if ids then
      local there = y:real():gt(0)
      return (mask and there * mask:reshape(y:size(1), y:size(2)):ne(0) or there):sum()
    end
    if mask then return mask:ne(0):sum() end
    for _, length in ipairs(batch.lengths) do n = n + (over_time and length or 1) end
    return n
  end

  --- Mean loss over a split, every target counted once, state carried from window to window; and metrics by name.
  -- count: the targets; weight: what the mean was divided by, which is another number where classes or frames have
  -- weights, or where the loss is a mean over sequences.
  ---@return {loss: number, count: integer, weight: number, bits: number, perplexity: number}
  function Model:evaluate (split, options)
    schema.check_split("model:evaluate", split)
    local o = schema.check("model:evaluate", options or {}, EVALUATE)
    lurn.targets.check_loss("model:evaluate", self, split, 2)
    local collector = o.metrics and lurn.metrics.collector(o.metrics)
    -- Taken away while it is used: who evaluates at a prompt while this one is paused gets another.
    local player = self.eval_player or self.native:player {carry = not self.info.no_carry}
    local sum, total, count = 0.0, 0.0, 0
    self.eval_player = nil
    play(self, player, split, o, "evaluation", function (batch, loss, weight)
      if type(loss) == "number" then sum, total = sum + loss * weight, total + weight end
      count = count + (targets_of(batch) or weight)
      if not collector then return end
      local out = player:output "out" or error("model:evaluate: metrics are of an output 'out'; the model has none", 0)
      local y = batch.y or batch.labels or error("model:evaluate: metrics need targets", 0)
      collector:add(out, y, batch.lengths, batch.mask, batch)
    end)
    self.eval_player = player
    local loss = total > 0 and sum / total or 0 / 0
    local result = {loss = loss, count = math.tointeger(count) or count, weight = total, bits = loss / math.log(2),
      perplexity = math.exp(loss)}
    for name, value in next, collector and collector:result() or {} do result[name] = value end
    return result
  end

  -- Row r of the outputs of a batch, as far as it goes: (T,..), or what the whole sequence has.
  local function row_of (out, r, length, over_time)
    if not over_time then return out:select(1, r):clone() end
    return out:select(2, r):narrow(1, 1, length):clone()
  end

  --- The axis of the output "out", "time" or "row", as the model's text has it.
  ---@return string
  function Model:output_axis ()
    local text = self:source_text()
    local register = text:match "\noutput out (r%d+)" or error("model:predict: the model has no output 'out'", 3)
    return text:match("\n *" .. register .. " = [^\n]*# (%w+)")
      or text:match("\ninput " .. register .. " [^\n]* (%w+) %(") or "once"
  end

  local function in_order (pieces)
    local keys, list = {}, {}
    for key in next, pieces do keys[#keys + 1] = key end
    table.sort(keys)
    for i, key in ipairs(keys) do
      local parts = pieces[key]
      list[i] = #parts == 1 and parts[1] or lurn.cat(parts, 1)
    end
    return list, keys
  end

  --- The outputs of every sequence of a split, in the order of the data set: a list of tensors, (T,C), or (C) where the
  -- model has one output a sequence; and the number of each in the data set. Targets are not needed; a stream gives one
  -- tensor.
  ---@param split lurn.Split
  ---@param options? {batch: integer?, seq: integer?}
  ---@return any[] outputs
  ---@return integer[] numbers
  function Model:predict (split, options)
    schema.check_split("model:predict", split)
    local o = schema.check("model:predict", options or {}, PREDICT)
    if split.data and split.data.stream and (o.batch or 1) ~= 1 then
      error("model:predict: a stream is read as one row; batch is for sequences", 2)
    end
    local player = self.predict_player or self.native:player {carry = not self.info.no_carry, infer = true}
    self.predict_player = nil
    local pieces, over_time = {}, self:output_axis() == "time"
    play(self, player, split, o, "prediction", function (batch)
      local out, seq = player:output "out", batch.seq
      for r, length in ipairs(batch.lengths) do
        local key = seq[r]
        pieces[key] = pieces[key] or {}
        table.insert(pieces[key], row_of(out, r, length, over_time))
      end
    end)
    self.predict_player = player
    return in_order(pieces)
  end
end
