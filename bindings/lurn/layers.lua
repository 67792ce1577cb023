--- Layers: descriptions of what a stack does to its input. A layer is a table with a method
-- apply (m, x) -> y, where m is the model being built; a plain function of a symbol is one too.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local function layer (name, options, apply) return {name = name, options = options, apply = apply} end

  local INIT = {"table", nil, nil,
    "initialisers by letter or gate and letter: {Wh = {\"orthogonal\"}, b = 0, [\"f.b\"] = 2}"}

  -- Overrides the initialisers of the parameters under `path`. A name that fits none is a mistake.
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
    name = {"string", nil, nil, "of the random stream"}}

  --- Dropout between layers: a new mask for every frame, in training only.
  function M.dropout (options)
    local o = schema.check("lurn.dropout", type(options) == "number" and {rate = options} or options or {}, DROPOUT)
    return layer(o.name or "dropout", o, function (self, m, x) return lurn.drop(x, o.rate, m:path(self)) end)
  end

  ---------------------------------------------------------------- recurrent

  local RECURRENT = {
    hidden = {"integer", schema.required, {1, 1e6}, "units H of each layer"},
    layers = {"integer", 1, {1, 100}, "one above the other"},
    dropout = {"number", 0, {0, 1}, "between the layers"},
    reverse = {"boolean", false, nil, "from the last step to the first"},
    init = INIT,
    name = {"string", nil, nil, "of its parameters"},
  }

  local function declaration (own)
    local d = {}
    for k, v in next, RECURRENT do d[k] = v end
    for k, v in next, own or {} do d[k] = v end
    return d
  end

  --- The constructor of layers of a cell {name, build = function (o, program, x, path, reverse), options}.
  function M.recurrent (cell)
    local declared = declaration(cell.options)
    return function (options)
      local o = schema.check("lurn." .. cell.name, options, declared)
      return layer(o.name or cell.name, o, function (self, m, x)
        for k = 1, o.layers do
          local path = m:path(self)
          if k > 1 then x = lurn.drop(x, o.dropout, path .. ".dropout") end
          x = cell.build(o, m.program, x, path, o.reverse)
          initialise(m.program, path, o.init)
        end
        return x
      end)
    end
  end

  local function built_in (name, options, finish)
    local cell = {name = name, options = options}
    function cell.build (o, program, x, path, reverse)
      local y = program:cell(name, {path = path, hidden = o.hidden, activation = o.activation,
        reset_after = o.reset_after,
        forget_bias = o.forget_bias}, x, reverse)
      return finish and finish(o, program, y, path) or y
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
  M.lstm = built_in("lstm", {activation = ACTIVATION, forget_bias = {"number", 1, nil,
    "at which the forget gate's bias starts"}})

  --- Gated recurrent unit.
  M.gru = built_in("gru", {activation = ACTIVATION,
    reset_after = {"boolean", true, nil,
      "the reset gate after the product (PyTorch, cuDNN) or before it (Cho et al.)"}})

  return M
end
