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

  local CELL = {
    name = {"string", schema.required, nil, "of the cell; its layers' parameters begin with it"},
    state = {"table", nil, nil, "names of the states; the first one is the output; {\"h\"} by default"},
    columns = {"function", nil, nil,
      "function (o, x) -> {NAME = columns, or a shape {h, w, c}} of the states that are not `hidden` wide"},
    counters = {"table", nil, nil, "names of the states that count time: no option starts or changes them"},
    step = {"function", schema.required, nil, "function (c, x, s, o) -> the next states by name"},
    options = {"table", nil, nil, "the cell's own options: a schema declaration"},
    forget_bias = {"table", nil, nil, "biases that do not start at zero, by gate: {f = 1}"},
  }

  -- What a step asks for its parameters. Operands are told apart by what they are: the input is "x", a state
  -- has its name, anything else its place; so the weights are Wx, Wh, W3. A pair {operand, "Wh"} names its weight.
  local Context = {}
  Context.__index = Context

  local function letter (c, operand, place)
    if rawequal(operand, c.x) then return "Wx" end
    for name, state in next, c.states do
      if rawequal(operand, state) then return "W" .. name end
    end
    return "W" .. place
  end

  -- Recurrent dropout (Gal & Ghahramani 2016): a state that enters a product is multiplied by a mask, the same
  -- one at every step. The state itself goes on whole; a mask on that would empty its columns for good.
  local function masked (c, x)
    local rate = c.options.recurrent_dropout or 0
    if rate == 0 then return x end
    for name, state in next, c.states do
      if rawequal(x, state) then
        c.dropped = true
        return lurn.locked(x, rate, ("%s.recurrent_dropout.%s"):format(c.path, name))
      end
    end
    return x
  end

  local function is_state (c, x)
    for _, state in next, c.states do if rawequal(x, state) then return true end end
    return false
  end

  -- One operand of linear: {symbol, name of its weight}.
  local function term (c, operand, place)
    local pair = lurn.is_symbol(operand) and {operand, letter(c, operand, place)} or operand
    return {masked(c, pair[1]), pair[2]}, pair[1]
  end

  --- b + the sum of operand W, over the operands, as one chain of products.
  ---@param gate string?     name of its block of parameters
  ---@param list table       operands
  ---@param options? {size: integer?, bias: boolean|number|string|nil, init: table?}   hidden columns; a bias "b" that
  -- starts at 0, or its first value, or another name; initialisers of the weights, {Wh = {"identity"}}
  function Context:linear (gate, list, options)
    local o = options or {}
    local bias = o.bias
    if bias == nil then bias = self.biases[gate] or 0 end
    local name = type(bias) == "string" and bias or bias and "b" or nil
    if type(bias) ~= "number" then bias = 0 end
    local terms, size, inits = {}, o.size or self.hidden, {}
    for i, x in ipairs(list) do
      local plain
      terms[i], plain = term(self, x, i)
      -- Square weights of a state start orthogonal, behind a mask and where a layer goes across places, too.
      if is_state(self, plain) and plain.shape[#plain.shape] == size then inits[terms[i][2]] = {"orthogonal", 1, 0} end
    end
    local y = self.program:affine(self.path, gate, size, name, bias, table.unpack(terms))
    for k, v in next, o.init or {} do inits[k] = v end
    for weight, init in next, inits do
      self.program:setinit(("%s.%s%s"):format(self.path, gate and gate .. "." or "", weight), init)
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
    local o, prefix = options or {}, gate and gate .. "." or ""
    local kernel, size, bias = o.kernel or 3, o.size or self.hidden, o.bias
    local kh, kw = kernel, kernel
    if type(kernel) == "table" then kh, kw = kernel[1], kernel[2] end
    if bias == nil then bias = self.biases[gate] or 0 end
    local y = bias and self:param(prefix .. "b", {size}, bias) or nil
    for i, x in ipairs(list) do
      local operand, plain = term(self, x, i)
      local init = (o.init or {})[operand[2]] or is_state(self, plain) and {"orthogonal"} or nil
      local w = self:param(prefix .. operand[2], {kh, kw, plain.shape[#plain.shape], size}, init)
      y = lurn.conv2d(operand[1], w, {padding = "same", dilation = o.dilation, bias = y})
    end
    return y
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

  -- What a state is before the first step: zeros, or a parameter that all sequences share.
  local function first (c, name, shape)
    local learned = c.options.init_state == "learned" and not c.counts[name]
    if not learned then return c.program:fill(0, "row", shape) end
    return c.program:spread(c.program:param(("%s.%s0"):format(c.path, name), shape, 0), "row")
  end

  -- A state has as many columns for each place that the input has: for a vector, one vector; for an image, an image.
  local function wide (x, columns)
    local shape = x.shape
    shape[#shape] = columns
    return shape
  end

  -- Zoneout (Krueger et al. 2017): with probability z a column keeps its value, h' = h + k (new - h). k is 0 or 1 in
  -- training and 1 - z in evaluation: (1 - z) times a dropout of one.
  local function zoneout (c, name, old, new)
    local rates = c.options.zoneout or 0
    local z = type(rates) == "table" and (rates[name] or 0) or type(rates) == "number" and rates or 0
    if z == 0 or c.counts[name] then return new end
    local ones = c.program:fill(1, "time", old.shape)
    return old + (1 - z) * lurn.drop(ones, z, ("%s.zoneout.%s"):format(c.path, name)) * (new - old)
  end

  -- The states before the first step, each as `start` (name, value) makes it.
  local function open (cell, c, start)
    local s = setmetatable({}, {__index = function (_, name)
      error(("cell '%s': step reads s.%s, which is no state of it"):format(cell.name, name), 2)
    end})
    local columns = cell.columns and cell.columns(c.options, c.x) or {}
    for _, name in ipairs(cell.state) do
      local shape = columns[name] or c.hidden
      s[name] = start(name, first(c, name, type(shape) == "table" and shape or wide(c.x, shape)))
      c.states[name] = s[name]
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
    end
    return list
  end

  -- An option that changes nothing is a mistake that nobody would notice.
  local function check_options (cell, c)
    local o = c.options
    if (o.recurrent_dropout or 0) > 0 and not c.dropped then
      error(("cell '%s': recurrent_dropout, but no state enters a c:linear of it"):format(cell.name), 0)
    end
    for name in next, type(o.zoneout) == "table" and o.zoneout or {} do
      if not c.states[name] then error(("cell '%s': zoneout of '%s', which is no state of it"):format(cell.name,
        name), 0) end
    end
  end

  local function context (cell, o, program, x, path)
    local c = setmetatable({program = program, path = path, hidden = o.hidden, x = x, states = {}, counts = {},
      biases = cell.forget_bias or {}, options = o}, Context)
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
  local function trace (cell, o, program, x, path, reverse)
    local c = context(cell, o, program, x, path)
    program:scan(path, reverse)
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
        s[name] = on_axis(name, next_states[name])       -- a symbol of its own, however many states have this value
        c.states[name] = s[name]
      end
    end
    check_options(cell, c)
    return outputs
  end

  --- One layer of a cell: its output over time. Whatever goes wrong leaves no scan open.
  local function build (cell, o, program, x, path, reverse)
    local ok, y = pcall(trace, cell, o, program, x, path, reverse)
    if ok then return y end
    program:abandon()
    error(y, 0)
  end

  return function (options)
    local cell = schema.check("lurn.cell", options, CELL)
    cell.state = cell.state or {"h"}
    function cell.build (o, program, x, path, reverse) return build(cell, o, program, x, path, reverse) end
    function cell.unroll (o, program, list, path, reverse) return unroll(cell, o, program, list, path, reverse) end
    return lurn.layers.recurrent(cell)
  end
end
