--- Layers: descriptions of what a stack does to its input. A layer is a table with a method
-- apply (m, x) -> y, where m is the model being built; a plain function of a symbol is one too. Recurrent ones
-- have states as well: apply (m, x, given) -> y, final.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local function layer (name, options, apply) return {name = name, options = options, apply = apply} end

  local INIT = {"table", nil, nil,
    "initialisers by letter or gate and letter: {Wh = {\"orthogonal\"}, b = 0, [\"f.b\"] = 2}"}

  --- Overrides the initialisers of the parameters under `path`, for layers. A name that fits none is a mistake.
  local function initialise (program, path, inits)
    for name, init in next, inits or {} do
      local found = false
      for _, p in ipairs(program:paths()) do
        local rest = p:sub(1, #path + 1) == path .. "." and p:sub(#path + 2)
        if rest and (rest == name or rest:match("[^.]+$") == name and not inits[rest]) then
          program:setinit(p, init)
          found = true
        end
      end
      if not found then error(("init: %s has no parameter '%s'"):format(path, name), 0) end
    end
  end

  M.initialise = initialise

  ---------------------------------------------------------------- without recurrence

  local EMBEDDING = {
    size = {"integer", schema.required, {1, 1e8}, "numbers that stand for a token"},
    vocab = {"integer", nil, {1, 1e8}, "how many tokens there are; the data's by default"},
    dropout = {"number", 0, {0, 1}, "share of the tokens whose row of W is dropped, wherever they stand"},
    init = {"table", {"normal", 0, 1}, nil, "initialiser"},
    name = {"string", nil, nil, "of its parameters"},
  }

  --- Token ids to vectors: the rows of W (V, size). Dropout is of whole rows, one mask for a forward pass (Gal &
  -- Ghahramani 2016): a token is dropped everywhere or nowhere. A row's mask is one number, looked up like the row.
  function M.embedding (options)
    local o = schema.check("lurn.embedding", options, EMBEDDING)
    return layer(o.name or "embedding", o, function (self, m, x)
      local vocab, path = o.vocab or m.vocab, m:path(self)
      if not vocab then error("lurn.embedding: vocab is not given and the input has none", 0) end
      local y = lurn.gather(m.program:param(path .. ".W", {vocab, o.size}, o.init), x)
      if o.dropout == 0 then return y end
      return y * lurn.gather(lurn.drop(m.program:fill(1, "once", {vocab, 1}), o.dropout, path .. ".dropout"), x)
    end)
  end

  local LINEAR = {
    size = {"integer", nil, {1, 1e8}, "columns of the output; those of the target by default: its classes, or numbers"},
    activation = {"string", "identity", nil, "of the output"},
    bias = {"boolean", true, nil, "add bo"},
    tied = {"string", nil, nil, "name of an embedding before it: Wo is its W transposed"},
    init = INIT,
    name = {"string", nil, nil, "of its parameters"},
  }

  -- x W^T + bo with the W (V, E) of the layer `tied` (Inan et al. 2017, Press & Wolf 2017).
  local function tied (program, o, x, path)
    local name = o.tied .. ".W"
    local known = table.concat(program:paths(), "\n") .. "\n"
    if not ("\n" .. known):find("\n" .. name .. "\n", 1, true) then
      error(("lurn.linear: tied: no parameter '%s' comes before it; an embedding's name has its number, 'embedding1'")
        :format(name), 0)
    end
    local w = program:param(name)
    local V, E = w.shape[1], w.shape[2]
    if #w.shape ~= 2 or x.cols ~= E or (o.size or V) ~= V then
      error(("lurn.linear: tied to %s (%s) it takes %s columns and gives %s: got %d columns and size %s"):format(name,
        table.concat(w.shape, ", "), E, V, x.cols, o.size or "nil"), 0)
    end
    return program:emit("product", o.bias and program:param(path .. ".bo", {V}, 0) or nil, x, w, 0, 1)
  end

  -- Ids are nothing to multiply.
  local function check_numbers (name, x)
    if x.dtype == "index" then
      error(("lurn.%s: it is given ids, expected numbers: lurn.embedding {size = ...} goes before it"):format(name), 0)
    end
  end

  --- act(x Wo + bo).
  function M.linear (options)
    local o = schema.check("lurn.linear", options or {}, LINEAR)
    return layer(o.name or "linear", o, function (self, m, x)
      local size, path, y = o.size or m.classes or m.y_dim, m:path(self), nil
      check_numbers("linear", x)
      if o.tied then y = tied(m.program, o, x, path)
      elseif size then y = m.program:affine(path, nil, size, o.bias and "bo" or nil, 0, {x, "Wo"})
      else error("lurn.linear: size is not given and the data have no targets", 0) end
      initialise(m.program, path, o.init)
      return m.program:activation(o.activation, y)
    end)
  end

  local DROPOUT = {rate = {"number", 0.5, {0, 1}, "share of the numbers that are dropped"},
    locked = {"boolean", false, nil, "one mask for all steps of a sequence"},
    name = {"string", nil, nil, "of the random stream"}}

  -- Between layers: a new mask for every frame, or one for a sequence (Gal & Ghahramani 2016, Merity et al. 2018).
  local function between (o, rate, x, name) return (o.locked and lurn.locked or lurn.drop)(x, rate, name) end

  --- Dropout between layers, in training only.
  function M.dropout (options)
    local o = schema.check("lurn.dropout", type(options) == "number" and {rate = options} or options or {}, DROPOUT)
    return layer(o.name or "dropout", o, function (self, m, x) return between(o, o.rate, x, m:path(self)) end)
  end

  local LAYER_NORM = {
    eps = {"number", 1e-5, {0, 1}, "added to the variance"},
    gain = {"boolean", true, nil, "multiply by g, a number for each column"},
    bias = {"boolean", true, nil, "add b"},
    init = INIT,
    name = {"string", nil, nil, "of its parameters"},
  }

  --- Layer normalisation (Ba et al. 2016, torch.nn.LayerNorm): g * (x - mean x) / sqrt(var x + eps) + b, over the
  -- numbers of a frame.
  function M.layer_norm (options)
    local o = schema.check("lurn.layer_norm", options or {}, LAYER_NORM)
    return layer(o.name or "layer_norm", o, function (self, m, x)
      local path, y = m:path(self), lurn.normalise(x, o.eps)
      if o.gain then y = y * m.program:param(path .. ".g", x.shape, 1) end
      if o.bias then y = y + m.program:param(path .. ".b", x.shape, 0) end
      initialise(m.program, path, o.init)
      return y
    end)
  end

  ---------------------------------------------------------------- recurrent

  local RECURRENT = {
    hidden = {"integer", schema.required, {1, 1e6}, "units H of each layer"},
    layers = {"integer", 1, {1, 100}, "one above the other"},
    dropout = {"number", 0, {0, 1}, "between the layers"},
    locked = {"boolean", false, nil, "dropout with one mask for all steps of a sequence"},
    recurrent_dropout = {"number", 0, {0, 1}, "of the states in the products, one mask for all steps"},
    recurrent_dropout_kind = {"string", "state", {"state", "update"},
      "or of what a step adds to its state, another mask every step"},
    weight_drop = {"number", 0, {0, 1}, "of the weights Wh, one mask for a forward pass"},
    zoneout = {"number|table", 0, {0, 1}, "share of a state that keeps its value; {h = 0.05, c = 0.5} by state"},
    init_state = {"string", "zeros", {"zeros", "learned", "given"},
      "before the first step: zeros, a parameter, or a field of the batch"},
    reverse = {"boolean", false, nil, "from the last step to the first"},
    bidirectional = {"boolean", false, nil, "both ways, 2H columns: forward, then backward"},
    pool = {"boolean|string", false, {"last", "mean", "max"}, "one row per sequence instead of one per step"},
    init = INIT,
    name = {"string", nil, nil, "of its parameters"},
  }

  local function declaration (own)
    local d = {}
    for k, v in next, RECURRENT do d[k] = v end
    for k, v in next, own or {} do d[k] = v end
    return d
  end

  -- The largest value of each column over the steps of a sequence: a scan that holds it. It runs backward, where
  -- nothing is carried from one window to the next.
  local function largest (program, y, path)
    program:scan(path .. ".pool", true, y.axis)
    local m = program:state("m", program:fill(-1e30, lurn.rows_of(y), y.shape))
    local next_m = lurn.maximum(m, y)
    program:next(m, next_m)
    program:close()
    return lurn.first(next_m)
  end

  local pools = {}
  -- What a scan knows in the end: at its own last step, which is the sequence's first when it runs backward.
  function pools.last (_, y, _, reverse) return reverse and lurn.first(y) or lurn.last(y) end
  function pools.mean (program, y) return lurn.sum_time(y) / lurn.sum_time(program:fill(1, y.axis, {1})) end
  function pools.max (program, y, path) return largest(program, y, path) end

  -- What each state is in the end, one row per sequence. What counts time is nothing to start from again.
  local function ends (cell, program, path, reverse)
    local final = {}
    for name, state in next, program:states(path) do final[name] = pools.last(program, state, path, reverse) end
    for _, name in ipairs(cell.counters or {}) do final[name] = nil end
    return final
  end

  -- One direction of one layer, and its final states; the topmost is pooled.
  local function direction (cell, o, m, x, path, reverse, top, given)
    local program = m.program
    local y = cell.build(o, program, x, path, reverse, given)
    initialise(program, path, o.init)
    if cell.built then cell.built(o, m, path) end
    return top and o.pool and pools[o.pool](program, y, path, reverse) or y, ends(cell, program, path, reverse)
  end

  -- A table of states as a table of its own.
  local function states_of (path, given)
    if given ~= nil and type(given) ~= "table" then error(("%s starts from a table of states, {h = ...}, got a %s")
      :format(path, type(given)), 0) end
    local states = {}
    for name, value in next, given or {} do states[name] = value end
    return states
  end

  -- One layer in all its directions, and its final states: {h = }, with those of the way back
  -- {h = , reverse = {h = }}.
  local function level (cell, o, m, x, path, top, given)
    local states, back_path = states_of(path, given), path .. "_reverse"
    if not o.bidirectional then return direction(cell, o, m, x, path, o.reverse, top, states) end
    local back = states_of(back_path, states.reverse)
    states.reverse = nil
    local y, final = direction(cell, o, m, x, path, false, top, states)
    local z
    z, final.reverse = direction(cell, o, m, x, back_path, true, top, back)
    return lurn.concat(y, z), final
  end

  local function check_recurrent (o, name)
    if o.bidirectional and o.reverse then error(("lurn.%s: bidirectional runs both ways: reverse says nothing more")
      :format(name), 0) end
    if o.pool == true then error(("lurn.%s: option 'pool' must be false, last, mean or max"):format(name), 0) end
    for state, rate in next, type(o.zoneout) == "table" and o.zoneout or {} do
      schema.value("lurn." .. name, "zoneout." .. state, rate, RECURRENT.dropout)
    end
  end

  -- Constructor -> its cell.
  local cells = setmetatable({}, {__mode = "k"})

  -- The states that layer k is given: a table of its own where there are several layers.
  local function given_to (o, name, given, k)
    if not given or o.layers == 1 then return given end
    for key in next, given do
      if math.type(key) ~= "integer" or key < 1 or key > o.layers then
        error(("lurn.%s: %d layers start from a list of tables of states, {{h = ...}, ...}; '%s' has no place in it")
          :format(name, o.layers, key), 0)
      end
    end
    return given[k]
  end

  --- The constructor of layers of a cell {name, options, build, unroll}. build (o, program, x, path, reverse, given) is
  -- one direction of one layer over time; unroll the same over a list of symbols, for lurn.across; built (o, m, path),
  -- where there is one, is told of each layer that stands. What a layer is given to start from and its final states
  -- look the same: {h = , c = }, as level says, and a list of those where there are several layers.
  function M.recurrent (cell)
    local declared = declaration(cell.options)
    local function construct (options)
      local o = schema.check("lurn." .. cell.name, options, declared)
      check_recurrent(o, cell.name)
      local made = layer(o.name or cell.name, o, function (self, m, x, given)
        local final = {}
        check_numbers(cell.name, x)
        for k = 1, o.layers do
          local path, top = m:path(self), k == o.layers
          if k > 1 then x = between(o, o.dropout, x, path .. ".dropout") end
          x, final[k] = level(cell, o, m, x, path, top, given_to(o, cell.name, given, k))
        end
        return x, o.layers == 1 and final[1] or final
      end)
      made.cell, made.stateful = cell, true
      return made
    end
    cells[construct] = cell
    return construct
  end

  -- Options that change a step are written in Lua once, for every cell there is (cell.lua). A built-in cell that
  -- gets one of them plays its equation from cells.lua, which is the same program.
  local function changes_step (o, given)
    return next(given) ~= nil or o.init_state ~= "zeros" or o.recurrent_dropout > 0 or o.weight_drop > 0
      or o.zoneout ~= 0 or o.proj_size ~= nil
  end

  local function built_in (name, options, finish, built)
    local cell = {name = name, options = options, built = built}
    function cell.build (o, program, x, path, reverse, given)
      local y
      if changes_step(o, given) then y = cells[lurn.cells[name]].build(o, program, x, path, reverse, given)
      else
        y = program:cell(name, {path = path, hidden = o.hidden, activation = o.activation,
          reset_after = o.reset_after, forget_bias = o.forget_bias}, x, reverse)
      end
      return finish and finish(o, program, y, path) or y
    end
    function cell.unroll (o, program, list, path, reverse)
      local y = cells[lurn.cells[name]].unroll(o, program, list, path, reverse)
      for k = 1, finish and #y or 0 do y[k] = finish(o, program, y[k], path) end
      return y
    end
    return M.recurrent(cell)
  end

  local ACTIVATION = {"string", "tanh", nil, "of the state"}

  --- h_t = act(x_t Wx + h_{t-1} Wh + b), and with `out` o_t = act(h_t Wo + bo).
  M.rnn = built_in("rnn", {
    activation = ACTIVATION,
    out = {"integer", nil, {1, 1e6}, "columns of o_t; without it h_t is the output"},
    out_activation = {"string", "identity", nil, "of o_t"},
    pascanu = {"number|table", nil, {0, 1e30},
      "weight of the penalty on gradients that vanish or explode, or {weight, reduction =}; see pascanu.lua"},
  }, function (o, program, h, path)
    if not o.out then return h end
    return program:activation(o.out_activation, program:affine(path, nil, o.out, "bo", 0, {h, "Wo"}))
  end, function (o, m, path)
    if o.pascanu and o.pascanu ~= 0 then table.insert(m.penalties, lurn.pascanu(o, path)) end
  end)

  --- Long short-term memory.
  M.lstm = built_in("lstm", {activation = ACTIVATION,
    forget_bias = {"number", 1, nil, "at which the forget gate's bias starts"},
    proj_size = {"integer", nil, {1, 1e6}, "columns P of the output, h = (o act(c)) Wp; without it H"}})

  --- Gated recurrent unit.
  M.gru = built_in("gru", {activation = ACTIVATION,
    reset_after = {"boolean", true, nil,
      "the reset gate after the product (PyTorch, cuDNN) or before it (Cho et al.)"}})

  return M
end
