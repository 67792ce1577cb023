--- What `lurn bench` times: lurn's side of a case, which tests/bench/*_peer do as well.
--
-- A case says its work in words that all sides understand: kind, cell, T, B, D, H, layers, out (the head's columns),
-- last (a head at the last step alone), loss, vocab (an embedding), carry, lengths (ragged batches).

return function (lurn)
  local M = {}

  ---------------------------------------------------------------- models, batches

  local function recurrent (case)
    local layer = lurn.layers[case.cell] or lurn.cells[case.cell]
    return layer {hidden = case.H, layers = case.layers}
  end

  local function stack (case)
    local layers = {input = {vocab = case.vocab, dim = not case.vocab and case.D or nil}, loss = lurn.loss[case.loss]()}
    if case.vocab then layers[1] = lurn.embedding {size = case.D} end
    layers[#layers + 1] = recurrent(case)
    if case.last then layers[#layers + 1] = lurn.last end
    layers[#layers + 1] = lurn.linear {size = case.out}
    return lurn.stack(layers)
  end

  -- Rows of random ids, (T,B) or (B).
  local function random_ids (n, T, B)
    local rows = {}
    for t = 1, T do
      rows[t] = {}
      for b = 1, B do rows[t][b] = math.random(n) end
    end
    return lurn.ids(rows)
  end

  local function targets (case)
    if case.loss == "cross_entropy" then return random_ids(case.out, case.T, case.B) end
    if case.last then return lurn.normal(case.B, case.out, {name = "y"}) end
    return lurn.normal(case.T, case.B, case.out, {name = "y"})
  end

  -- Seconds that drawing data has taken, which is no part of a first step.
  local drawing = 0

  local function draw (f)
    local start = lurn.sys.clock()
    local b = lurn.batch(f())
    drawing = drawing + lurn.sys.clock() - start
    return b
  end

  local function batch (case)
    return draw(function ()
      local x = case.vocab and random_ids(case.vocab, case.T, case.B)
        or lurn.normal(case.T, case.B, case.D, {name = "x"})
      return {x = x, y = targets(case), carry = case.carry}
    end)
  end

  ---------------------------------------------------------------- kinds

  -- kind -> function (case) -> a function that does one step, operations of its products.
  local makers = {}

  local function operations (player, case) return 2 * player:products(case.T, case.B) end

  -- Where weights do not change, what is computed of them alone (a table of an embedding's products) is computed once,
  -- and no part of a step.
  local function of_frames (player, case)
    return 2 * (player:products(2 * case.T, case.B) - player:products(case.T, case.B))
  end

  -- A step is one update for each of the batches.
  local function training (case, batches)
    local model = stack(case)
    local adam = lurn.optim.adam(model, {lr = 1e-3, clip_norm = 5})
    return function ()
      for _, b in ipairs(batches) do
        model:forward(b)
        model:backward()
        adam:step()
      end
    end, model
  end

  function makers.train (case)
    local step, model = training(case, {batch(case)})
    return step, operations(model:player(), case)
  end

  -- Binary numbers, (T,B,D); those beyond a row's length are not looked at.
  local function random_bits (T, B, D, share)
    return lurn.uniform(T, B, D, {name = "bits"}):lt(share)
  end

  -- Sequences of the given lengths, `B` side by side, in the order in which they stand; a step is an epoch of them.
  function makers.ragged (case)
    local batches, frames = {}, 0
    for first = 1, #case.lengths, case.B do
      local lengths = table.move(case.lengths, first, math.min(first + case.B - 1, #case.lengths), 1, {})
      local T = math.max(table.unpack(lengths))
      for _, n in ipairs(lengths) do frames = frames + n end
      batches[#batches + 1] = draw(function ()
        return {x = random_bits(T, #lengths, case.D, case.share), y = random_bits(T, #lengths, case.D, case.share),
          lengths = lengths}
      end)
    end
    local step, model = training(case, batches)
    return step, 2 * model:player():products(frames, 1)
  end

  -- The recurrent layers between a given input, whose gradient is wanted, too, and a given gradient of the output:
  -- the loss is their product, whose derivative by the output that is.
  function makers.layers (case)
    local model = lurn.model(function (m)
      local x = m:input("x", "real", "time", {case.D})
      local h = m:apply(recurrent(case), x)
      return {loss = lurn.total(h * m:input("y", "real", "time", {h.cols}))}
    end)
    local player = model.native:player {grad = true, grad_inputs = true, carry = false}
    local b = draw(function ()
      return {x = lurn.normal(case.T, case.B, case.D, {name = "x"}),
        y = lurn.normal(case.T, case.B, case.H, {name = "y"})}
    end)
    return function ()
      model:touch()                              -- as after an update: weights are packed anew
      assert(player:forward(b, 1, 1, "train"))
      assert(player:backward())
    end, operations(player, case)
  end

  function makers.diagnose (case)
    local model, b = stack(case), batch(case)
    return function () model:diagnose(b) end
  end

  -- One link of the chain by which a run is verified, over the losses of a hundred steps (run_digest.lua).
  function makers.chain (case)
    local loss, run = {step = {}, value = {}}, {models = {stack(case)}, options = {}, done = 100}
    for step = 1, 100 do loss.step[step], loss.value[step] = step, 1 / step end
    run.metrics = {loss = loss}
    return function ()
      run.digests = {step = {}, hex = {}}
      lurn.run.Run.digest(run)
    end
  end

  -- The digests of the tensors in a run file: weights, best weights, Adam's moments (runfile_tensors.lua).
  function makers.tensors (case)
    local tensors = require "lurn.runfile_tensors" (lurn, assert, error)
    local nowhere, weights = {}, {}
    function nowhere.write () return true end
    function nowhere.attr () return true end
    for _, p in ipairs(stack(case):parameters()) do weights[p.path] = p.value end
    return function ()
      for _ = 1, 4 do tensors.write(nowhere, "/weights", weights) end
    end
  end

  function makers.eval (case)
    local model, b = stack(case), batch(case)
    local player = model.native:player {carry = true}
    local step = 0
    return function ()
      step = step + 1
      assert(player:forward(b, 1, step, "eval"))
      player:commit()
    end, of_frames(player, case)
  end

  function makers.stream (case)
    local stream = stack(case):stream()
    return function () stream:step(1) end, of_frames(stream.player, case)
  end

  -- Building includes drawing the weights, which is timed apart and taken off.
  function makers.trace (case)
    return function ()
      stack(case):plan(case.T, case.B)
    end
  end

  function makers.init (case)
    local model = stack(case)
    return function () model:init(1) end
  end

  --- lurn's side of a case: a function that does one step, and the floating-point operations of the matrix products
  -- in it (forward, and for training both gradients; the gradient of an input that is data is not needed).
  ---@param case table
  ---@return fun() step
  ---@return number? operations
  function M.make (case) return makers[case.kind](case) end

  --- Builds a case, draws its weights and does its first step; how long that took, without drawing its data.
  ---@return number seconds
  function M.first (case)
    local start = lurn.sys.clock()
    drawing = 0
    M.make(case)()
    return lurn.sys.clock() - start - drawing
  end

  --- The model and the batch of a training case, for those who look closer.
  M.stack, M.batch = stack, batch

  return M
end
