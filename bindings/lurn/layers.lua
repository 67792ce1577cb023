--- Layers: descriptions of what a stack does to its input. A layer is a table with a method
-- apply (m, x) -> y, where m is the model being built; a plain function of a symbol is one too.

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
    init = {"table", {"normal", 0, 1}, nil, "initialiser"},
    name = {"string", nil, nil, "of its parameters"},
  }

  --- Token ids to vectors: the rows of W (V, size).
  function M.embedding (options)
    local o = schema.check("lurn.embedding", options, EMBEDDING)
    return layer(o.name or "embedding", o, function (self, m, x)
      local vocab = o.vocab or m.vocab or error("lurn.embedding: vocab is not given and the input has none", 0)
      return m.program:emit("gather", m.program:param(m:path(self) .. ".W", {vocab, o.size}, o.init), x)
    end)
  end

  local LINEAR = {
    size = {"integer", nil, {1, 1e8}, "columns of the output; the number of classes by default"},
    activation = {"string", "identity", nil, "of the output"},
    bias = {"boolean", true, nil, "add bo"},
    init = INIT,
    name = {"string", nil, nil, "of its parameters"},
  }

  --- act(x Wo + bo).
  function M.linear (options)
    local o = schema.check("lurn.linear", options or {}, LINEAR)
    return layer(o.name or "linear", o, function (self, m, x)
      local size = o.size or m.classes or error("lurn.linear: size is not given and the data has no classes", 0)
      local path = m:path(self)
      local y = m.program:affine(path, nil, size, o.bias and "bo" or nil, 0, {x, "Wo"})
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

  ---------------------------------------------------------------- recurrent

  local RECURRENT = {
    hidden = {"integer", schema.required, {1, 1e6}, "units H of each layer"},
    layers = {"integer", 1, {1, 100}, "one above the other"},
    dropout = {"number", 0, {0, 1}, "between the layers"},
    locked = {"boolean", false, nil, "dropout with one mask for all steps of a sequence"},
    recurrent_dropout = {"number", 0, {0, 1}, "of the states in the products, one mask for all steps"},
    zoneout = {"number|table", 0, {0, 1}, "share of a state that keeps its value; {h = 0.05, c = 0.5} by state"},
    init_state = {"string", "zeros", {"zeros", "learned"}, "before the first step"},
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
    program:scan(path .. ".pool", true)
    local m = program:state("m", program:fill(-1e30, "row", y.shape))
    local next_m = lurn.maximum(m, y)
    program:next(m, next_m)
    program:close()
    return lurn.first(next_m)
  end

  local pools = {}
  -- What a scan knows in the end: at its own last step, which is the sequence's first when it runs backward.
  function pools.last (_, y, _, reverse) return reverse and lurn.first(y) or lurn.last(y) end
  function pools.mean (program, y) return lurn.sum_time(y) / lurn.sum_time(program:fill(1, "time", {1})) end
  function pools.max (program, y, path) return largest(program, y, path) end

  -- One direction of one layer; the topmost is pooled.
  local function direction (cell, o, program, x, path, reverse, top)
    local y = cell.build(o, program, x, path, reverse)
    initialise(program, path, o.init)
    return top and o.pool and pools[o.pool](program, y, path, reverse) or y
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

  --- The constructor of layers of a cell {name, options, build, unroll}. build (o, program, x, path, reverse) is one
  -- direction of one layer over time; unroll the same over a list of symbols, for lurn.across.
  function M.recurrent (cell)
    local declared = declaration(cell.options)
    local function construct (options)
      local o = schema.check("lurn." .. cell.name, options, declared)
      check_recurrent(o, cell.name)
      local made = layer(o.name or cell.name, o, function (self, m, x)
        for k = 1, o.layers do
          local path, top = m:path(self), k == o.layers
          if k > 1 then x = between(o, o.dropout, x, path .. ".dropout") end
          local y = direction(cell, o, m.program, x, path, o.reverse, top)
          if o.bidirectional then
            y = lurn.concat(y, direction(cell, o, m.program, x, path .. "_reverse", true, top))
          end
          x = y
        end
        return x
      end)
      made.cell = cell
      return made
    end
    cells[construct] = cell
    return construct
  end

  -- Options that change a step are written in Lua once, for every cell there is (cell.lua). A built-in cell that
  -- gets one of them plays its equation from cells.lua, which is the same program.
  local function changes_step (o)
    return o.init_state ~= "zeros" or o.recurrent_dropout > 0 or o.zoneout ~= 0 or o.proj_size ~= nil
  end

  local function built_in (name, options, finish)
    local cell = {name = name, options = options}
    function cell.build (o, program, x, path, reverse)
      local y
      if changes_step(o) then y = cells[lurn.cells[name]].build(o, program, x, path, reverse)
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
  }, function (o, program, h, path)
    if not o.out then return h end
    return program:activation(o.out_activation, program:affine(path, nil, o.out, "bo", 0, {h, "Wo"}))
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
