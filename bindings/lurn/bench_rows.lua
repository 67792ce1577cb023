--- The rows of `lurn bench`: what is timed, and what was hoped for.
--
-- A row says its work in the words that both sides understand (kind, cell, T, B, D, H, layers, head, loss);
-- lurn's side is made of it here, PyTorch's by tests/bench/torch_peer.py. Goals are those of the design.

return function (lurn)
  local M = {}

  -- Heads are small, so that the recurrent layers decide: the outputs per step (or, `last`, of the last step) and
  -- the loss. `goals` is how many times faster than PyTorch a whole LSTM, GRU or RNN step should be.
  local SIZES = {
    {name = "online", T = 100, B = 1, D = 16, H = 32, layers = 1, out = 1, loss = "mse", goal = 50},
    {name = "sweep-small", T = 100, B = 16, D = 32, H = 64, layers = 1, out = 1, loss = "mse", goal = 6},
    {name = "adding", T = 200, B = 32, D = 2, H = 128, layers = 1, out = 1, last = true, loss = "mse", goal = 3},
    {name = "char-rnn", T = 50, B = 50, D = 128, H = 128, layers = 2, out = 65, loss = "cross_entropy", goal = 1.9},
    {name = "ptb-medium", T = 35, B = 20, D = 650, H = 650, layers = 2, out = 65, loss = "cross_entropy", goal = 1.8},
    {name = "large", T = 50, B = 64, D = 512, H = 1024, layers = 1, out = 16, loss = "mse", goal = 1.6},
  }
  -- Cells of lurn.cells beside the LSTM, as layers above a first one are: as many inputs as units. The head is small.
  local CELL_SIZES = {
    {T = 100, B = 16, D = 64, H = 64, layers = 1, out = 1, last = true, loss = "mse"},
    {T = 50, B = 50, D = 128, H = 128, layers = 1, out = 1, last = true, loss = "mse"},
  }
  -- Characters of the text whose epoch is extrapolated.
  M.TEXT = 300000

  local function copy (t, more)
    local out = {}
    for k, v in next, t do out[k] = v end
    for k, v in next, more or {} do out[k] = v end
    return out
  end

  local function size (name)
    for _, s in ipairs(SIZES) do if s.name == name then return s end end
  end

  ---------------------------------------------------------------- the work

  local function stack (case)
    local layer = lurn.layers[case.cell] or lurn.cells[case.cell]
    local layers = {input = {vocab = case.vocab, dim = not case.vocab and case.D or nil}, loss = lurn.loss[case.loss]()}
    if case.vocab then layers[1] = lurn.embedding {size = case.D} end
    layers[#layers + 1] = layer {hidden = case.H, layers = case.layers}
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

  local function batch (case)
    local x = case.vocab and random_ids(case.vocab, case.T, case.B) or lurn.normal(case.T, case.B, case.D, {name = "x"})
    return lurn.batch {x = x, y = targets(case), carry = case.carry}
  end

  -- kind -> function (case) -> a function that does one step, the player whose program it plays.
  local makers = {}

  function makers.train (case)
    local model, b = stack(case), batch(case)
    local adam = lurn.optim.adam(model, {lr = 1e-3, clip_norm = 5})
    return function ()
      model:forward(b)
      model:backward()
      adam:step()
    end, model:player()
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
    end, player
  end

  function makers.stream (case)
    local stream = stack(case):stream()
    return function () stream:step(1) end, stream.player
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
  function M.make (case)
    local step, player = makers[case.kind](case)
    return step, player and 2 * player:products(case.T, case.B)
  end

  ---------------------------------------------------------------- the table

  local function training_rows (add)
    for _, cell in ipairs {"lstm", "gru", "rnn"} do
      for _, s in ipairs(SIZES) do
        add {name = cell .. " " .. s.name, case = copy(s, {kind = "train", cell = cell}), goal = {ratio = s.goal}}
      end
    end
  end

  local function cell_rows (add)
    for _, s in ipairs {copy(size "sweep-small"), copy(size "char-rnn", {layers = 1})} do
      local name = "peephole " .. s.name
      local case = copy(s, {kind = "train", cell = "peephole"})
      add {name = name .. " / torch loop", case = case, goal = {ratio = 5}}
      -- 1.2 times the time of the built-in cell is a ratio of 1 / 1.2.
      add {name = name .. " / lurn lstm", case = case, against = copy(case, {cell = "lstm"}), goal = {ratio = 1 / 1.2}}
    end
  end

  local function library_rows (add)
    local names = {}
    for name in next, lurn.cells do
      if not lurn.layers[name] then names[#names + 1] = name end
    end
    table.sort(names)
    for _, s in ipairs(CELL_SIZES) do
      for _, name in ipairs(names) do
        local case = copy(s, {kind = "train", cell = name})
        add {name = ("cells %d %s"):format(s.H, name), case = case, against = copy(case, {cell = "lstm"}),
          goal = {cost = 1.5}}
      end
    end
  end

  local function language_rows (add)
    local text = copy(size "char-rnn", {cell = "lstm", vocab = 65})
    local steps = M.TEXT // (text.T * text.B)
    add {name = "char-rnn epoch", case = copy(text, {kind = "train", carry = true}), scale = steps, least = 20,
      goal = {ms = 2500, bytes = 100e6}}
    add {name = "char-rnn evaluation", case = copy(text, {kind = "eval"}), goal = {}}
    -- Taken every 100 steps it costs below 3 %: three steps' time at most.
    add {name = "char-rnn diagnosis / lurn step", case = copy(text, {kind = "diagnose"}),
      against = copy(text, {kind = "train"}), goal = {ratio = 1 / 3}}
    -- A digest every 100 steps costs below 1 % where it takes a step's time at most.
    add {name = "char-rnn digest / lurn step", case = copy(text, {kind = "chain"}),
      against = copy(text, {kind = "train"}), goal = {ratio = 1}}
    add {name = "char-rnn file digests / lurn step", case = copy(text, {kind = "tensors"}),
      against = copy(text, {kind = "train"}), goal = {}}
    local one = copy(text, {kind = "stream", T = 1, B = 1})
    add {name = "one character", case = one, goal = {ms = 0.015, ratio = 20}}
    local trace, init = copy(text, {kind = "trace"}), copy(text, {kind = "init"})
    add {name = "trace + plan", case = trace, less = init, goal = {ms = 5}}
  end

  --- All rows, in the table's order: {name, case, goal = {ratio, cost, ms, bytes}}; `against` is a case of lurn's own
  -- instead of PyTorch, `scale` multiplies a step's time, `least` is the fewest steps, `less` is taken off.
  ---@param pattern? string   only rows whose name it fits
  ---@return table[]
  function M.list (pattern)
    local rows = {}
    local function add (row)
      if not pattern or row.name:find(pattern) then rows[#rows + 1] = row end
    end
    training_rows(add)
    cell_rows(add)
    library_rows(add)
    language_rows(add)
    return rows
  end

  return M
end
