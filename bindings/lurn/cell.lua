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

  --- b + the sum of operand W, over the operands, as one chain of products.
  ---@param gate string?     name of its block of parameters
  ---@param list table       operands
  ---@param options? {size: integer?, bias: boolean|number|string|nil}   hidden columns; a bias "b" that starts at 0,
  -- or its first value, or another name
  function Context:linear (gate, list, options)
    local o = options or {}
    local bias = o.bias
    if bias == nil then bias = self.biases[gate] or 0 end
    local name = type(bias) == "string" and bias or bias and "b" or nil
    if type(bias) ~= "number" then bias = 0 end
    local terms = {}
    for i, x in ipairs(list) do terms[i] = lurn.is_symbol(x) and {x, letter(self, x, i)} or x end
    return self.program:affine(self.path, gate, o.size or self.hidden, name, bias, table.unpack(terms))
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

  -- Plays the step once between scan and close.
  local function trace (cell, o, program, x, path, reverse)
    local c = setmetatable({program = program, path = path, hidden = o.hidden, x = x, states = {},
      biases = cell.forget_bias or {},
      options = o}, Context)
    program:scan(path, reverse)
    local s = setmetatable({}, {__index = function (_, name)
      error(("cell '%s': step reads s.%s, which is no state of it"):format(cell.name, name), 2)
    end})
    for _, name in ipairs(cell.state) do
      s[name] = program:state(name, program:fill(0, "row", {o.hidden}))
      c.states[name] = s[name]
    end
    local next_states = cell.step(c, x, s, o)
    if lurn.is_symbol(next_states) then next_states = {[cell.state[1]] = next_states} end
    if type(next_states) ~= "table" then error(("cell '%s': step must return its next states"):format(cell.name),
      0) end
    for name in next, next_states do
      if not c.states[name] then error(("cell '%s': step returned '%s', which is no state of it"):format(cell.name,
        name), 0) end
    end
    for _, name in ipairs(cell.state) do
      if not next_states[name] then error(("cell '%s': step did not return state '%s'"):format(cell.name, name),
        0) end
      program:next(c.states[name], next_states[name])
    end
    program:close()
    return next_states[cell.state[1]]
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
    return lurn.layers.recurrent(cell)
  end
end
