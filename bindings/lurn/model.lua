--- Models: a program traced from layers or from a function, its weights, and its uses.
--
--   local model = lurn.stack {input = data, lurn.embedding {size = 128}, lurn.lstm {hidden = 128},
--                             lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
--   local model = lurn.model(function (m, batch)
--     local h = m:apply(lurn.gru {hidden = 32}, batch.x)
--     local out = m:apply(lurn.linear {size = 1}, lurn.last(h))
--     return {loss = lurn.total((out - batch.y)^2), out = out}
--   end, {input = data})
--
-- A model is traced twice and the two programs compared: what a script draws at random or reads from a clock
-- while it builds is an error, not a model that no one can build again.
--
-- Training, evaluation and each stream are players of their own (core l_model.c): none disturbs another.

return function (lurn)
  local schema, core = lurn.schema, lurn.core
  local M = {}

  ---------------------------------------------------------------- building

  -- What layers and model functions see of the model under construction.
  local Builder = {}
  Builder.__index = Builder

  --- A field of the batch as a symbol.
  ---@param name string
  ---@param dtype "real"|"index"
  ---@param axis "time"|"row"
  ---@param shape integer[]
  function Builder:input (name, dtype, axis, shape) return self.program:input(name, dtype, axis, shape) end

  --- A parameter of the model.
  function Builder:param (path, shape, init) return self.program:param(path, shape, init or {"xavier_uniform"}) end

  --- Applies a layer, or a function of a symbol.
  function Builder:apply (layer, x)
    if type(layer) == "function" then return layer(x) end
    if type(layer) ~= "table" or not layer.apply then error("expected a layer or a function, got " .. type(layer),
      2) end
    return (layer:apply(self, x))
  end

  --- Applies a recurrent layer from given states, or from its own, and also gives its final ones: {h = , c = } of
  -- symbols, one row per sequence; a list of those, lowest first, for several layers; of both directions {h = , c = ,
  -- reverse = {h = , c = }}.
  ---@return any y
  ---@return table final
  function Builder:recur (layer, x, states)
    if type(layer) ~= "table" or not layer.stateful then error("only a recurrent layer starts from states", 2) end
    if states ~= nil and type(states) ~= "table" then error("states: expected a table, got a " .. type(states), 2) end
    return layer:apply(self, x, states)
  end

  -- "lstm1", "lstm2": the layer's name and how many of that name came before.
  function Builder:path (layer)
    self.names[layer.name] = (self.names[layer.name] or 0) + 1
    return layer.name .. self.names[layer.name]
  end

  local function builder () return setmetatable({program = core.program(), names = {}, penalties = {}}, Builder) end

  -- Traces once; returns the builder with its outputs written.
  local function trace (build)
    local m = builder()
    local outputs = build(m)
    if lurn.is_symbol(outputs) then outputs = {out = outputs} end
    if type(outputs) ~= "table" then error("a model's function returns {loss = ..., out = ...}", 0) end
    local names = {}
    for name in next, outputs do names[#names + 1] = name end
    table.sort(names)
    for _, name in ipairs(names) do m.program:output(name, outputs[name]) end
    return m
  end

  ---------------------------------------------------------------- models

  ---@class lurn.Model
  local Model = {}
  Model.__index, Model.__name = Model, "lurn.Model"

  function Model.__tostring (self)
    local lines = {("model: %d parameters"):format(self:count())}
    for _, p in ipairs(self:parameters()) do
      lines[#lines + 1] = ("  %-28s %s"):format(p.path, table.concat(p.value.shape, " x "))
    end
    return table.concat(lines, "\n")
  end

  local function wrap (program, info)
    local self = setmetatable({source = program, native = core.model(program), info = info or {}, step_count = 0,
      seed = 1}, Model)
    lurn.patience.know(self)
    return self
  end

  local function create (build, info)
    local m = trace(build)
    if trace(build).program:text() ~= m.program:text() then
      error("the model is not the same when it is built again: its function must not draw random numbers or read "
        .. "clocks", 3)
    end
    local self = wrap(m.program, info)
    self.penalties = m.penalties[1] and m.penalties
    if lurn.current then lurn.current:adopt("model", self) else self:init(1) end       -- a run draws by its own seed
    return self
  end

  --- The model that a source_text describes, with weights of zero: no Lua of the script that made it is run.
  ---@param text string
  ---@return lurn.Model? model
  ---@return string? message
  ---@return string? code
  function M.from_program (text)
    local program, message, code = core.parse(text)
    if not program then return nil, message, code end
    return wrap(program)
  end

  --- New weights: a pure function of seed, path and initialiser. Forgets the carried state.
  function Model:init (seed)
    self.seed = seed
    self.native:init(seed)
    if self.train_player then self.train_player:resetstate() end
  end

  --- List of {path, value, grad} by sorted path; value and grad are views of the model's own memory.
  function Model:parameters () return self.native:parameters() end

  --- How many numbers the model learns.
  function Model:count () return self.native:count() end

  --- To be called when weights were written through a view: packed copies are made anew.
  function Model:touch () self.native:touch() end

  --- The normalised program of training, as text.
  function Model:program () return self:player():text() end

  --- What a checkpoint keeps: the program before any variant was made of it.
  function Model:source_text () return self.source:normalise {}:text() end

  --- The training player, a program with its memory; made when it is first asked for.
  function Model:player ()
    if not self.train_player then
      self.train_player = self.native:player {grad = true, grad_states = self.penalties ~= nil,
        carry = not self.info.no_carry, lean = self.info.lean, dice = self.info.dice, window = self.info.window}
    end
    return self.train_player
  end

  local patience = lurn.patience
  local attempt, whole = patience.attempt, patience.whole

  -- A pass and the note of it belong together.
  local function forward (self, batch, level)
    local _ <close> = whole()
    patience.step_aside(self)
    local player = self:player()
    local loss = attempt(player, level + 1, player.forward, batch, self.seed, self.step_count, "train")
    self.batch = batch
    return loss
  end

  --- The loss of a batch, with everything that backward needs. Rows carry on from the batch before
  -- when the batch says so.
  ---@return number loss
  function Model:forward (batch)
    local loss = forward(self, batch, 2)
    return loss
  end

  --- Gradients of the last forward pass, into parameters()[i].grad; those of penalties are added, and `penalty` is what
  -- the penalties add to the loss.
  function Model:backward ()
    local _ <close> = whole()
    local before = self.train_player
    patience.step_aside(self)
    patience.keep_gradients(self)
    local player, batch, again = self:player(), self.batch, false
    if player ~= before and batch then forward(self, batch, 2) end      -- that pass is paused, too
    attempt(player, 2, function ()
      local loss, message, code = true, nil, nil
      if again then loss, message, code = player:forward(batch, self.seed, self.step_count, "train") end
      again = true
      if loss == nil then return nil, message, code end
      return player:backward()
    end)
    if not self.penalties then return end
    self.penalty = 0.0
    for _, term in ipairs(self.penalties) do self.penalty = self.penalty + term:add(self) end
  end

  --- What the last forward pass gave: (T, B, ...) for values over time.
  ---@param name? string   "out" by default
  function Model:output (name)
    if self.info.lean and (name or "out") == "out" then
      error("model:output: the model was built with keep_out = false; evaluate and predict give outputs", 2)
    end
    return self:player():output(name or "out")
  end

  --- Where the first NaN or Inf of the last pass appeared: a sentence, or nil.
  function Model:blame () return self:player():blame() end

  --- The step is committed: called by the optimiser.
  function Model:commit ()
    self:player():commit()
    self.step_count = self.step_count + 1
  end

  --- The step never was: what the last pass left of its carried state is forgotten.
  function Model:rollback () self:player():rollback() end

  --- The committed carried state, name -> tensor (B, H); setstate takes the same.
  function Model:state () return self:player():state() end
  function Model:setstate (state) self:player():setstate(state) end
  function Model:resetstate () self:player():resetstate() end

  --- Bytes of the training arena for windows of T steps and B rows.
  function Model:plan (T, B)
    local player = self:player()
    if not T then T, B = 1, 1 end
    local arena, state = player:plan(T, B)
    return {bytes = arena + state, arena = arena, state = state}
  end

  --- Floating-point operations of the products in a training step on a batch, a multiplication and an addition each:
  -- forward, and backward the gradients of weights and of what is no data. Element by element work is not counted.
  ---@param batch any     or its numbers {N = live frames, B = rows}
  ---@return number
  function Model:operations (batch)
    local cost = self.cost
    if not cost then       -- a program's products grow with its frames and its rows, each by itself
      local player = self:player()
      local one = player:products(1, 1)
      local frame = player:products(2, 1) - one
      local row = player:products(1, 2) - one - frame
      cost = {once = 2 * (one - frame - row), frame = 2 * frame, row = 2 * row}
      self.cost = cost
    end
    return cost.once + batch.N * cost.frame + batch.B * cost.row
  end

  require "lurn.evaluate" (lurn, Model)      -- evaluate, predict
  require "lurn.diagnose" (lurn, Model)      -- lags, gradient_norms, diagnose
  require "lurn.stream" (lurn, Model)        -- stream

  ---------------------------------------------------------------- checks

  --- Gradients against differences of the loss, in f64 whatever this instance's precision.
  ---@param batch any      made by lurn.batch, or a function (lurn) -> batch when this is not the f64 instance
  ---@return {worst: number, path: string, checked: integer}
  function M.gradcheck (model, batch, options)
    local o = options or {}
    if lurn.precision == "f64" then
      if type(batch) == "function" then batch = batch(lurn) end
      return model.native:gradcheck(batch, o.most or 0, o.seed or 1)
    end
    if type(batch) ~= "function" then
      error("gradcheck of an f32 model: give function (lurn) return lurn.batch {...} end; it is called with the f64 "
        .. "instance", 2)
    end
    local other = lurn.f64
    local native = other.core.model(assert(other.core.parse(model:source_text())))
    local values = {}
    for _, p in ipairs(model:parameters()) do values[p.path] = p.value:totable() end
    for _, p in ipairs(native:parameters()) do p.value:copy(other.tensor(values[p.path])) end
    native:touch()
    return native:gradcheck(batch(other), o.most or 0, o.seed or 1)
  end

  -- What a training step needs, for windows of the size that is planned (50 steps, 32 rows before that).
  local function bill (model)
    local b = model:player():bill()
    if not b then
      model:plan(50, 32)
      b = model:player():bill()
    end
    local function line (what, bytes) return ("  %-28s %12d bytes"):format(what, bytes) end
    return table.concat({("memory for windows of %d steps, %d rows:"):format(b.T, b.B),
      line("activations and gradients", b.activations), line("packed weights", b.packed), line("strips", b.strips),
      line("carried state", b.state), line("parameters, their gradients", 2 * 4 * model.native:flat()
        * (lurn.precision == "f64" and 2 or 1))}, "\n")
  end

  --- A program, its schedule and its memory bill.
  function M.show (x)
    if getmetatable(x) ~= Model then return tostring(x) end
    local player = x:player()
    return ("%s\n%s\n%s\n%s"):format(tostring(x), player:text(), player:schedule(), bill(x))
  end

  ---------------------------------------------------------------- two ways to say what a model is

  -- What a model must know of its input: columns of numbers or the size of a vocabulary, and the same of its targets.
  local function facts (input, where)
    if type(input) ~= "userdata" and (type(input) ~= "table" or input.feed) then
      error(("%s: input: expected a data set, {dim = D} or {vocab = V}, got %s"):format(where,
        type(input) == "table" and "a split of a data set" or schema.describe(input)), 3)
    end
    local set = input.set or input
    local vocab = type(input.vocab) == "number" and input.vocab or set.vocab_size
    if not vocab and type(input.vocab) == "table" then vocab = #input.vocab end
    if vocab == 0 then vocab = nil end
    local classes = input.classes or set.classes
    if type(classes) == "table" then classes = #classes end
    if set.targets == "next" then classes = classes or vocab end
    return {dim = set.dim or input.dim, vocab = vocab, classes = classes or set.nclass, y_dim = set.y_dim,
      y_axis = set.targets == "sequence" and "row" or "time", source_vocab = set.source_vocab or input.source_vocab,
      source_dim = set.source_dim or input.source_dim}
  end

  local function input_x (m, known, where)
    if known.vocab then return m:input("x", "index", "time", {1}) end
    return m:input("x", "real", "time", {known.dim or error(where .. ": input has neither dim nor vocab", 0)})
  end

  -- The batch of a data set as symbols: x, y, mask, reset, and along a second time axis source and labels, each asked
  -- for when it is first named.
  local function fields (m, known)
    local make = {
      x = function () return input_x(m, known, "lurn.model") end,
      y = function ()
        if known.y_dim then return m:input("y", "real", known.y_axis, {known.y_dim}) end
        return m:input("y", "index", known.y_axis, {1})
      end,
      mask = function () return m:input("mask", "real", known.y_axis, {1}) end,
      reset = function () return m:input("reset", "real", "time", {1}) end,
      source = function ()
        if known.source_vocab then return m:input("source", "index", "time2", {1}) end
        return m:input("source", "real", "time2", {known.source_dim or error("lurn.model: the input has no source", 0)})
      end,
      labels = function () return m:input("labels", "index", "time2", {1}) end,
    }
    return setmetatable({}, {__index = function (_, key)
      if not make[key] then error(("a batch has x, y, mask, reset, source and labels, no '%s'"):format(key), 2) end
      return make[key]()
    end})
  end

  local CHECKPOINT = {"boolean|integer", false, {1, 1e8},
    "train with activations of a few steps only and play the others again: true, or so many steps"}

  local KEEP_OUT = {"boolean", true, nil,
    "false: training keeps no output \"out\", and works wide ones out twice, some frames at a time"}

  -- Steps of a window as the engine wants them: 0 for none, -1 for the best.
  local function window (checkpoint) return checkpoint == true and -1 or checkpoint or 0 end

  local MODEL = {
    input = {"any", nil, nil, "a data set, or {dim = D}, or {vocab = V}: then f is given the batch's fields"},
    dice = {"integer", nil, {1, 1e9}, "schedule choices by lot, for tests"},
    checkpoint = CHECKPOINT,
    keep_out = KEEP_OUT,
  }

  --- A model of any shape: f (m, batch) -> {loss =, out =, weight =} or any named symbols. With `input`, batch.x,
  -- batch.y, batch.mask and batch.reset are the fields of its batches; m:input asks for others.
  ---@param f fun(m: any, batch: any): table
  ---@param options? table
  function M.model (f, options)
    local o = schema.check("lurn.model", options or {}, MODEL)
    local known = o.input and facts(o.input, "lurn.model")
    return create(function (m)
      if not known then return f(m) end
      m.vocab, m.classes, m.y_dim, m.data = known.vocab, known.classes, known.y_dim, o.input
      return f(m, fields(m, known))
    end, {dice = o.dice, lean = not o.keep_out, window = window(o.checkpoint)})
  end

  local STACK = {
    {"any"},
    input = {"any", schema.required, nil, "a data set, or {dim = D}, or {vocab = V}"},
    loss = {"any", nil, nil, "lurn.loss.* (), or a function (out, y) -> loss per frame"},
    mask = {"boolean", false, nil, "the batch has a field mask: how much each frame counts"},
    checkpoint = CHECKPOINT,
    keep_out = KEEP_OUT,
  }

  --- Layers one after the other. Elements are layers or functions of a symbol: lurn.tanh, lurn.last.
  function M.stack (options)
    local o = schema.check("lurn.stack", options, STACK)
    local known, loss = facts(o.input, "lurn.stack"), o.loss
    if type(loss) == "function" then loss = lurn.loss.custom(loss) end
    if loss and (type(loss) ~= "table" or not loss.build) then
      error(("lurn.stack: loss: expected one of lurn.loss, as lurn.loss.mse(), or a function, got %s"):format(
        schema.describe(loss)), 2)
    end
    return create(function (m)
      m.vocab, m.classes, m.y_dim, m.mask, m.data = known.vocab, known.classes, known.y_dim, o.mask, o.input
      local x = input_x(m, known, "lurn.stack")
      for _, layer in ipairs(o) do x = m:apply(layer, x) end
      if not loss then return {out = x} end
      local l, weight = loss:build(m, x)
      return {loss = l, weight = weight, out = x}
    end, {lean = not o.keep_out, window = window(o.checkpoint), loss = loss})
  end

  return M
end
