--- Cells written in Lua: an equation for one time step, traced once.
--
--   local lstm = lurn.cell {name = "my_lstm", state = {"h", "c"},
--     step = function (c, x, s, o)
--       local function a (g) return c:linear(g, {x, s.h}) end          -- x Wx + h Wh + b
--       local cell = lurn.sigmoid(a "f") * s.c + lurn.sigmoid(a "i") * lurn.tanh(a "g")
--       return {h = lurn.sigmoid(a "o") * lurn.tanh(cell), c = cell}
--     end}
--   lstm {hidden = 128}                      -- a layer, as lurn.lstm {hidden = 128} is one

return function (lurn)
  local schema = lurn.schema
  local told = require "lurn.user_line".told

  local CELL = {
    name = {"string", schema.required, nil, "of the cell; its layers' parameters begin with it"},
    state = {"table", nil, nil, "names of the states; the first one is the output; {\"h\"} by default"},
    columns = {"function", nil, nil,
      "function (o, x) -> {NAME = columns, or a shape {h, w, c}} of the states that are not `hidden` wide"},
    counters = {"table", nil, nil, "names of the states that count time: no option starts or changes them"},
    step = {"function", schema.required, nil, "function (c, x, s, o) -> the next states by name"},
    options = {"table", nil, nil, "the cell's own options: NAME = {type, default, range, help}"},
    forget_bias = {"table", nil, nil, "biases that do not start at zero, by gate: {f = 1}"},
  }

  -- What a step asks for its parameters. Operands are told apart by what they are: the input is "x", a state
  -- has its name, anything else its place; so the weights are Wx, Wh, W3. A pair {operand, "Wh"} names its weight.
  local Context = {}
  Context.__index = Context

  -- The name of the state that x is, or nil.
  local function state_of (c, x)
    for name, state in next, c.states do
      if rawequal(x, state) then return name end
    end
  end

  local function letter (c, operand, place)
    if rawequal(operand, c.x) then return "Wx" end
    return "W" .. (state_of(c, operand) or place)
  end

  -- Recurrent dropout (Gal & Ghahramani 2016): a state that enters a product is multiplied by a mask, the same
  -- one at every step. The state itself goes on whole; a mask on that would empty its columns for good.
  local function masked (c, x)
    local o, name = c.options, state_of(c, x)
    if not name or o.recurrent_dropout == 0 or o.recurrent_dropout_kind ~= "state" then return x end
    c.used.recurrent_dropout = true
    return lurn.locked(x, o.recurrent_dropout, ("%s.recurrent_dropout.%s"):format(c.path, name))
  end

  -- Weight drop (Merity et al. 2018, DropConnect of Wan et al. 2013): single weights of what a state comes back
  -- through, Wh, are dropped, one mask for all steps and sequences of a forward pass.
  local function dropped (c, block, w, name)
    local rate = c.options.weight_drop
    if rate == 0 or not c.states[name:sub(2)] then return w end
    c.used.weight_drop = true
    return lurn.drop(w, rate, ("%s.weight_drop.%s"):format(block, name))
  end

  -- One operand of linear or conv: the symbol, the name of its weight, and how that starts where nothing else is
  -- said: square weights of a state orthogonal, behind a mask and where a layer goes across places, too.
  local ORTHOGONAL, XAVIER = {"orthogonal", 1, 0}, {"xavier_uniform", 1, 0}     -- as lurn_affine writes them
  local function operand_of (c, operand, place, size)
    local x, name = operand, letter(c, operand, place)
    if not lurn.is_symbol(operand) then x, name = operand[1], operand[2] end
    return x, name, state_of(c, x) and x.shape[#x.shape] == size and ORTHOGONAL or XAVIER
  end

  local function kind_of (value)
    return lurn.is_symbol(value) and "symbol" or lurn.is_tensor(value) and "tensor" or type(value)
  end

  -- What linear and conv are called with, before it is taken apart.
  local function check_operands (what, gate, list)
    if gate ~= nil and type(gate) ~= "string" then
      error(("c:%s: expected the name of a gate, got a %s"):format(what, kind_of(gate)), 3)
    end
    if type(list) ~= "table" then
      error(("c:%s: expected a list of operands, {x, s.h}, got a %s"):format(what, kind_of(list)), 3)
    end
    for i, operand in ipairs(list) do
      local pair = type(operand) == "table" and lurn.is_symbol(operand[1]) and type(operand[2]) == "string"
      if not pair and not lurn.is_symbol(operand) then
        error(("c:%s: operand %d: expected a symbol, or {symbol, \"Wh\"}, got a %s"):format(what, i,
          kind_of(operand)), 3)
      end
    end
  end

  --- b + the sum of operand W, over the operands, as one chain of products. The same gate again is the same weights.
  ---@param gate string?     name of its block of parameters
  ---@param list table       operands
  ---@param options? {size: integer?, bias: boolean|number|string|nil, init: table?}   hidden columns; a bias "b" that
  -- starts at 0, or its first value, or another name; initialisers of the weights, {Wh = {"identity"}}: by default
  -- square weights of a state start orthogonal, others as Glorot & Bengio 2010 say
  function Context:linear (gate, list, options)
    check_operands("linear", gate, list)
    local o, block = options or {}, gate and self.path .. "." .. gate or self.path
    local size, bias, y = o.size or self.hidden, o.bias, nil
    if bias == nil then bias = self.biases[gate] or 0 end
    if bias then
      y = self.program:param(("%s.%s"):format(block, type(bias) == "string" and bias or "b"), {size},
        type(bias) == "number" and bias or 0)
    end
    for i, operand in ipairs(list) do
      local x, name, init = operand_of(self, operand, i, size)
      local w = self.program:param(("%s.%s"):format(block, name), {x.shape[#x.shape], size},
        o.init and o.init[name] or init)
      y = self.program:emit("product", y, masked(self, x), dropped(self, block, w, name))
    end
    return y
  end

  --- b + the sum of operand * W over the operands, which are images (h, w, ..): convolutions that leave their size,
  -- in one chain. Weights (kh, kw, C, size) have the names that linear's have; those of a state start orthogonal.
  ---@param gate string?     name of its block of parameters
  ---@param list table       operands
  ---@param options? {size: integer?, kernel: integer|table|nil, dilation: integer|table|nil, bias: boolean|number|nil,
  -- init: table?}   hidden channels, 3 x 3 taps; the others as linear has them
  function Context:conv (gate, list, options)
    check_operands("conv", gate, list)
    local o, prefix = options or {}, gate and gate .. "." or ""
    local kernel, size, bias = o.kernel or 3, o.size or self.hidden, o.bias
    local kh, kw = kernel, kernel
    if type(kernel) == "table" then kh, kw = kernel[1], kernel[2] end
    if bias == nil then bias = self.biases[gate] or 0 end
    local y = bias and self:param(prefix .. "b", {size}, bias) or nil
    for i, operand in ipairs(list) do
      local x, name, init = operand_of(self, operand, i, size)
      local path = prefix .. name
      local w = self:param(path, {kh, kw, x.shape[#x.shape], size}, o.init and o.init[name] or init)
      w = dropped(self, gate and self.path .. "." .. gate or self.path, w, name)
      y = lurn.conv2d(masked(self, x), w, {padding = "same", dilation = o.dilation, bias = y})
    end
    return y
  end

  --- What a step would add to its state: x, or with recurrent_dropout_kind = "update" a dropout of it, another mask
  -- every step (Semeniuta et al. 2016: what is remembered is never dropped, so it may be remembered for long).
  function Context:update (x)
    local o = self.options
    self.used.update = (self.used.update or 0) + 1
    if o.recurrent_dropout == 0 or o.recurrent_dropout_kind ~= "update" then return x end
    self.used.recurrent_dropout = true
    return lurn.drop(x, o.recurrent_dropout, ("%s.recurrent_dropout.update%d"):format(self.path, self.used.update))
  end

  --- A parameter of this layer.
  ---@param name string
  ---@param shape integer[]
  ---@param init? table|number   {"normal", 0, 0.1}, {"orthogonal"}, 0 ...
  function Context:param (name, shape, init)
    return self.program:param(self.path .. "." .. name, shape, init or {"xavier_uniform"})
  end

  --- A constant of H columns.
  function Context:fill (value) return self.program:fill(value, "once", {self.hidden}) end

  --- Dropout inside the step: another mask every step.
  function Context:dropout (x, rate, name) return lurn.drop(x, rate,
    ("%s.%s"):format(self.path, name or "dropout")) end

  -- What a state is before the first step: what it was given, a field of the batch, a parameter that all sequences
  -- share, or zeros.
  local function first (c, name, shape)
    local from, path = c.options.init_state, ("%s.%s0"):format(c.path, name)
    local given = c.given[name]
    if given then
      local wanted = table.concat(shape, ", ")
      local fits = not given.axis:find "^time" and given.dtype == "real" and table.concat(given.shape, ", ") == wanted
      return fits and given or error(("%s: state '%s' starts from (%s) for each sequence, got %s"):format(c.path, name,
        wanted, tostring(given)), 0)
    end
    if from == "zeros" or c.counts[name] then return c.program:fill(0, c.rows, shape) end
    if from == "given" then return c.program:input(path, "real", c.rows, shape) end
    return c.program:spread(c.program:param(path, shape, 0), c.rows)
  end

  -- A state has as many columns for each place that the input has: for a vector, one vector; for an image, an image.
  local function wide (x, columns)
    local shape = x.shape
    shape[#shape] = columns
    return shape
  end

  -- What starts states must be symbols, by the names of states that something may start.
  local function check_given (cell, c)
    local names = {}
    for _, name in ipairs(cell.state) do names[#names + 1] = not c.counts[name] and name or nil end
    for name, value in next, c.given do
      if not c.states[name] or c.counts[name] then error(("%s: no state '%s' to start: it has %s"):format(c.path,
        tostring(name), table.concat(names, ", ")), 0) end
      if not lurn.is_symbol(value) then error(("%s: state '%s' starts from a symbol, got a %s"):format(c.path, name,
        type(value)), 0) end
    end
  end

  -- Zoneout (Krueger et al. 2017): with probability z a column keeps its value, h' = h + k (new - h). k is 0 or 1 in
  -- training and 1 - z in evaluation: (1 - z) times a dropout of one.
  local function zoneout (c, name, old, new)
    local rates = c.options.zoneout or 0
    local z = type(rates) == "table" and (rates[name] or 0) or type(rates) == "number" and rates or 0
    if z == 0 or c.counts[name] then return new end
    local ones = c.program:fill(1, old.axis, old.shape)
    return old + (1 - z) * lurn.drop(ones, z, ("%s.zoneout.%s"):format(c.path, name)) * (new - old)
  end

  -- The states before the first step, each as `start` (name, value) makes it.
  local function open (cell, c, start)
    local s = setmetatable({}, {
      __index = function (_, name)
        return c.states[name]
          or error(("cell '%s': step reads s.%s, which is no state of it"):format(cell.name, name), 2)
      end,
      __newindex = function (_, name)
        error(("cell '%s': step writes s.%s; states stay as they are, step returns the next ones: {%s = ...}"):format(
          cell.name, name, name), 2)
      end})
    local columns = cell.columns and cell.columns(c.options, c.x) or {}
    for _, name in ipairs(cell.state) do c.states[name] = true end
    check_given(cell, c)
    for _, name in ipairs(cell.state) do
      local shape = columns[name] or c.hidden
      c.states[name] = start(name, first(c, name, type(shape) == "table" and shape or wide(c.x, shape)))
    end
    return s
  end

  -- The step's results by name, or what is wrong with them.
  local function results (cell, c, list)
    if lurn.is_symbol(list) then list = {[cell.state[1]] = list} end
    if type(list) ~= "table" then error(("cell '%s': step must return its next states"):format(cell.name), 0) end
    for name in next, list do
      if not c.states[name] then error(("cell '%s': step returned '%s', which is no state of it"):format(cell.name,
        name), 0) end
    end
    for _, name in ipairs(cell.state) do
      if not list[name] then error(("cell '%s': step did not return state '%s'"):format(cell.name, name), 0) end
      if not lurn.is_symbol(list[name]) then error(("cell '%s': step returned a %s as state '%s', expected a symbol")
        :format(cell.name, kind_of(list[name]), name), 0) end
    end
    return list
  end

  -- An option that changes nothing is a mistake that nobody would notice.
  local function check_options (cell, c)
    local o = c.options
    if o.recurrent_dropout > 0 and not c.used.recurrent_dropout then
      error(("cell '%s': recurrent_dropout of the %s, but %s"):format(cell.name, o.recurrent_dropout_kind,
        o.recurrent_dropout_kind == "state" and "no state enters a c:linear of it" or "it has no c:update"), 0)
    end
    if o.weight_drop > 0 and not c.used.weight_drop then
      error(("cell '%s': weight_drop, but it has no weights Wh of a state"):format(cell.name), 0)
    end
    for name in next, type(o.zoneout) == "table" and o.zoneout or {} do
      if not c.states[name] then error(("cell '%s': zoneout of '%s', which is no state of it"):format(cell.name,
        name), 0) end
    end
  end

  local function context (cell, o, program, x, path, given)
    local c = setmetatable({program = program, path = path, hidden = o.hidden, x = x, rows = lurn.rows_of(x),
      states = {}, counts = {}, used = {}, given = given or {}, biases = cell.forget_bias or {}, options = o}, Context)
    for _, name in ipairs(cell.counters or {}) do c.counts[name] = true end
    return c
  end

  -- The step's next states by name.
  local function step (cell, c, x, s)
    local list, next_states = results(cell, c, cell.step(c, x, s, c.options)), {}
    for _, name in ipairs(cell.state) do next_states[name] = zoneout(c, name, s[name], list[name]) end
    return next_states
  end

  -- Plays the step once between scan and close.
  local function trace (cell, o, program, x, path, reverse, given)
    local c = context(cell, o, program, x, path, given)
    program:scan(path, reverse, x.axis)
    local s = open(cell, c, function (name, init) return program:state(name, init) end)
    local next_states = step(cell, c, x, s)
    check_options(cell, c)
    for _, name in ipairs(cell.state) do program:next(s[name], next_states[name]) end
    program:close()
    return next_states[cell.state[1]]
  end

  -- Plays the step once for each symbol of the list, from the last one when `reverse`: the states go from one to the
  -- next without a scan. The outputs in the order of the list.
  local function unroll (cell, o, program, list, path, reverse)
    local c, outputs = context(cell, o, program, list[1], path), {}
    local function on_axis (_, init) return program:spread(init, list[1].axis) end
    local s = open(cell, c, on_axis)
    for k = reverse and #list or 1, reverse and 1 or #list, reverse and -1 or 1 do
      c.x = list[k]
      local next_states = step(cell, c, list[k], s)
      outputs[k] = next_states[cell.state[1]]
      for _, name in ipairs(cell.state) do
        c.states[name] = on_axis(name, next_states[name])      -- one of its own, however many states have this value
      end
    end
    check_options(cell, c)
    return outputs
  end

  --- One layer of a cell: its output over time. Whatever goes wrong leaves no scan open. given: {state = symbol}
  -- that starts some of its states.
  local function build (cell, o, program, x, path, reverse, given)
    local ok, y = xpcall(trace, told, cell, o, program, x, path, reverse, given)
    if ok then return y end
    program:abandon()
    error(y, 0)
  end

  --- A constructor of layers from one step's equations: step (c, x, s, o) gives the next states by name. In it
  -- c:linear(gate, {x, s.h}) is x Wx + h Wh + b, s.NAME a state, o the layer's options.
  return function (options)
    local cell = schema.check("lurn.cell", options, CELL)
    cell.state = cell.state or {"h"}
    for option, rule in next, cell.options or {} do
      if type(rule) ~= "table" or type(rule[1]) ~= "string" then
        error(("lurn.cell: option '%s' is declared as {type, default, range, help}: {\"number\", 0.5, {0, 1}}")
          :format(tostring(option)), 2)
      end
    end
    function cell.build (...) return build(cell, ...) end
    function cell.unroll (...) return unroll(cell, ...) end
    return lurn.layers.recurrent(cell)
  end
end
