--- The rows of `lurn bench`: what is timed, beside what, and what was hoped for.
--
-- A row says its work in the words of bench_work.lua, and its table: "step" (whole training steps and the like, beside
-- PyTorch), "layers" (recurrent layers alone, beside oneDNN), "own" (beside lurn itself), "figure" (one number, which
-- bench_figures.lua and bench_prompt.lua measure), "growth" (curves). Goals are those of the design.

return function (lurn)
  local M = {}

  -- Heads are small, so that the recurrent layers decide: the outputs per step (or, `last`, of the last step) and
  -- the loss. `goal` is how many times faster than PyTorch a whole LSTM, GRU or RNN step should be; `alone` the share
  -- of oneDNN's time that the layers alone should take.
  local SIZES = {
    {name = "online", T = 100, B = 1, D = 16, H = 32, layers = 1, out = 1, loss = "mse", goal = 50},
    {name = "sweep-small", T = 100, B = 16, D = 32, H = 64, layers = 1, out = 1, loss = "mse", goal = 6},
    {name = "adding", T = 200, B = 32, D = 2, H = 128, layers = 1, out = 1, last = true, loss = "mse", goal = 3},
    {name = "char-rnn", T = 50, B = 50, D = 128, H = 128, layers = 2, out = 65, loss = "cross_entropy", goal = 1.9},
    {name = "ptb-medium", T = 35, B = 20, D = 650, H = 650, layers = 2, out = 65, loss = "cross_entropy", goal = 1.8},
    {name = "large", T = 50, B = 64, D = 512, H = 1024, layers = 1, out = 16, loss = "mse", goal = 1.6, alone = 0.95},
  }
  local CELLS = {"lstm", "gru", "rnn"}
  -- Cells of lurn.cells beside the LSTM, as layers above a first one are: as many inputs as units. The head is small.
  local CELL_SIZES = {
    {T = 100, B = 16, D = 64, H = 64, layers = 1, out = 1, last = true, loss = "mse"},
    {T = 50, B = 50, D = 128, H = 128, layers = 1, out = 1, last = true, loss = "mse"},
  }
  -- Characters of the text whose epoch is timed.
  M.TEXT = 300000

  local function copy (t, more)
    local out = {}
    for k, v in next, t do out[k] = v end
    for k, v in next, more or {} do out[k] = v end
    return out
  end

  local function size (name, more)
    for _, s in ipairs(SIZES) do if s.name == name then return copy(s, more) end end
  end

  ---------------------------------------------------------------- chorales

  -- Every twentieth part of the lengths of the 229 training sequences of the JSB chorales in quarter notes
  -- (Boulanger-Lewandowski et al. 2012, Modeling temporal dependencies in high-dimensional sequences).
  local QUANTILES = {25, 33, 41, 41, 45, 48, 49, 49, 52, 57, 57, 61, 64, 65, 65, 65, 72, 76, 85, 105, 129}
  local CHORALES, NOTES = 229, 88

  -- Lengths of that distribution, in an order that the same numbers always give.
  local function chorale_lengths ()
    local lengths, state = {}, 1
    for i = 1, CHORALES do
      local at = (i - 1) / (CHORALES - 1) * (#QUANTILES - 1)
      local k = math.min(math.floor(at), #QUANTILES - 2)
      lengths[i] = math.floor(QUANTILES[k + 1] + (QUANTILES[k + 2] - QUANTILES[k + 1]) * (at - k) + 0.5)
    end
    for i = CHORALES, 2, -1 do
      state = state * 48271 % 2147483647
      local j = state % i + 1
      lengths[i], lengths[j] = lengths[j], lengths[i]
    end
    return lengths
  end

  -- The training sequences of a data set in a file: their lengths and their width decide the time.
  local function lengths_of (path)
    local data = assert(lurn.open(path))
    local set, lengths = data.set, {}
    for _, range in ipairs(set.splits.train or {{1, set.n}}) do
      for i = range[1], range[2] do lengths[#lengths + 1] = set.lengths[i] end
    end
    return lengths, set.dim or error(path .. ": a data set with rows of numbers is wanted", 0)
  end

  ---------------------------------------------------------------- the table

  local function training_rows (add)
    for _, cell in ipairs(CELLS) do
      for _, s in ipairs(SIZES) do
        add {table = "step", name = cell .. " " .. s.name, case = copy(s, {kind = "train", cell = cell}),
          goal = {ratio = s.goal}, others = true}
      end
    end
  end

  local function layer_rows (add)
    for _, cell in ipairs(CELLS) do
      for _, s in ipairs(SIZES) do
        add {table = "layers", name = ("layers %s %s"):format(cell, s.name), peer = "onednn",
          case = copy(s, {kind = "layers", cell = cell}), goal = {time = s.alone or 0.9, limit = 1}}
      end
    end
  end

  local function peephole_rows (add)
    for _, s in ipairs {size "online", size "sweep-small", size("char-rnn", {layers = 1})} do
      local name = "peephole " .. s.name
      local case = copy(s, {kind = "train", cell = "peephole"})
      -- 1.2 times the time of the built-in cell is a ratio of 1 / 1.2.
      local most = s.B == 1 and 1.5 or 1.2
      add {table = "step", name = name .. " / torch loop", case = case, goal = {ratio = 5}}
      add {table = "own", name = name .. " / lurn lstm", case = case, against = copy(case, {cell = "lstm"}),
        goal = {ratio = 1 / most}}
    end
  end

  local function library_rows (add)
    local names = {}
    for name in next, lurn.cells do
      -- Cells of images have other inputs than the columns that all of these get.
      if not lurn.layers[name] and not name:find "^conv_" then names[#names + 1] = name end
    end
    table.sort(names)
    for _, s in ipairs(CELL_SIZES) do
      for _, name in ipairs(names) do
        local case = copy(s, {kind = "train", cell = name})
        add {table = "own", name = ("cells %d %s"):format(s.H, name), case = case,
          against = copy(case, {cell = "lstm"}), goal = {cost = 1.5}}
      end
    end
  end

  local function language_rows (add)
    local text = size("char-rnn", {cell = "lstm", vocab = 65})
    local steps = M.TEXT // (text.T * text.B)
    add {table = "step", name = "char-rnn epoch", case = copy(text, {kind = "train", carry = true}), scale = steps,
      least = 20, goal = {ms = {2500, 1400}, bytes = 100e6}}
    add {table = "step", name = "char-rnn evaluation", case = copy(text, {kind = "eval"}), goal = {}}
    add {table = "step", name = "one character", case = copy(text, {kind = "stream", T = 1, B = 1}),
      goal = {ms = 0.015, ratio = 20}}
    local words = size("ptb-medium", {cell = "lstm", vocab = 10000, out = 10000})
    add {table = "step", name = "ptb-medium, 10,000 words", case = copy(words, {kind = "train", carry = true}),
      goal = {ratio = words.goal}}
    add {table = "step", name = "ptb-medium evaluation", case = copy(words, {kind = "eval"}), goal = {}}
    -- Taken every 100 steps it costs below 3 %: three steps' time at most.
    add {table = "own", name = "char-rnn diagnosis / lurn step", case = copy(text, {kind = "diagnose"}),
      against = copy(text, {kind = "train"}), goal = {ratio = 1 / 3}}
    -- A digest every 100 steps costs below 1 % where it takes a step's time at most.
    add {table = "own", name = "char-rnn digest / lurn step", case = copy(text, {kind = "chain"}),
      against = copy(text, {kind = "train"}), goal = {ratio = 1}}
    add {table = "own", name = "char-rnn file digests / lurn step", case = copy(text, {kind = "tensors"}),
      against = copy(text, {kind = "train"}), goal = {}}
    local trace, init = copy(text, {kind = "trace"}), copy(text, {kind = "init"})
    add {table = "own", name = "trace + plan", case = trace, less = init, goal = {ms = {5}}}
  end

  -- An epoch of whole chorales, 32 side by side: every live frame is played once.
  local function ragged_rows (add, file)
    local lengths, notes = chorale_lengths(), NOTES
    if file then lengths, notes = lengths_of(file) end
    add {table = "step", name = "ragged chorales", goal = {ratio = 3},
      case = {kind = "ragged", cell = "lstm", lengths = lengths, B = 32, D = notes, H = 128, layers = 1, out = notes,
        share = 0.044, loss = "bce"}}
  end

  local function figure_rows (add)
    local text = size("char-rnn", {kind = "train", cell = "lstm", vocab = 65})
    add {table = "figure", name = "loader stall", figure = "stall", case = text, goal = {share = 0.01}}
    add {table = "figure", name = "start-up", figure = "start_up", case = text, goal = {ms = 60}}
    add {table = "figure", name = "prompt", figure = "prompt", goal = {ms = 30}}
    add {table = "figure", name = "prompt completion", figure = "completion", goal = {ms = 50}}
    add {table = "figure", name = "progress", figure = "progress", goal = {share = 0.001},
      case = size("sweep-small", {kind = "train", cell = "lstm"})}
    for _, name in ipairs {"char-rnn", "ptb-medium", "large"} do
      add {table = "figure", name = "threads " .. name, figure = "threads", goal = {},
        case = size(name, {kind = "train", cell = "lstm"})}
    end
    for _, what in ipairs {"T", "B", "H"} do
      add {table = "growth", name = "growth with " .. what, vary = what, goal = {exponent = 1.1, excess = 40e6}}
    end
  end

  --- All rows, in the order of the tables: {table, name, case, goal = {ratio, cost, ms, bytes, time, limit, share,
  -- exponent, excess}}; `against` is a case of lurn's own instead of a peer's, `scale` multiplies a step's time,
  -- `least` is the fewest steps, `less` is taken off, `others` wants the other peers, too.
  ---@param pattern? string   only rows whose name it fits
  ---@param chorales? string  a data set of ragged sequences instead of the generated lengths
  ---@return table[]
  function M.list (pattern, chorales)
    local rows = {}
    local function add (row)
      if not pattern or row.name:find(pattern) then rows[#rows + 1] = row end
    end
    training_rows(add)
    language_rows(add)
    ragged_rows(add, chorales)
    peephole_rows(add)
    layer_rows(add)
    library_rows(add)
    figure_rows(add)
    local order = {step = 1, layers = 2, own = 3, figure = 4, growth = 5}
    local place = {}
    for i, row in ipairs(rows) do place[row] = order[row.table] * 1000 + i end
    table.sort(rows, function (a, b) return place[a] < place[b] end)
    return rows
  end

  return M
end
