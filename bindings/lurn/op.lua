--- Ops in C from outside (core/plugin.h says how one is written and compiled), and the checks that let them in.
--
--   local cumsum = lurn.op(assert(lurn.load_op "./cumsum.so"))      -- cumsum.f32.so, cumsum.f64.so
--   local y = cumsum(x)                                             -- in a cell, a layer, a loss
--
-- An op is played in small models before anyone else may use it: in the open and between state and state. What is
-- asked of it is what is asked of the built-in ones (tests/spec): the gradient against differences in f64, a row of a
-- ragged batch with the bits it has alone, step by step as at once, the naive twin and schedules by lot alike.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local LIMIT, DRAWS = 1e-6, 5            -- worst relative error; weights to draw where a kink may be in the way
  local D, C = 3, 4                       -- columns of x, and of the operands
  local T, LENGTHS = 7, {3, 7, 1, 5}

  ---------------------------------------------------------------- small tools

  -- Numbers as the bytes they are.
  local function bits (x)
    if type(x) == "number" then return string.pack("<d", x) end
    local parts = {}
    for i, v in ipairs(type(x) == "table" and x or x:totable()) do parts[i] = bits(v) end
    return table.concat(parts, ";")
  end

  local function row_of (l, name)
    for _, op in ipairs(l.core.ops()) do if op.name == name then return op end end
  end

  -- What a check found wrong. Anything else that is raised is a mistake of the example or of lurn.
  local Wrong = {}

  local function demand (ok, message, ...)
    if not ok then error(setmetatable({text = message:format(...)}, Wrong), 0) end
  end

  ---------------------------------------------------------------- models of the op

  -- Six operands that depend on parameters, over time, (C) each.
  local function operands (m, x)
    local list = {}
    for i = 1, 6 do list[i] = m.program:affine(string.char(96 + i), nil, C, "b", 0.1 * i, {x, "W"}) end
    return list
  end

  local function inputs (m)
    m.ids = m:input("ids", "index", "time", {1})
    return m:input("x", "real", "time", {D})
  end

  -- One number in which every element counts differently.
  local function reduce (l, y) return l.total(y * y * 0.5 + y) end

  local function in_the_open (l, f)
    return l.model(function (m)
      local y = f(m, operands(m, inputs(m)))
      return {loss = reduce(l, y), out = y}
    end)
  end

  -- Between state and state: what comes out is narrowed to a column, which every column of h then sees.
  local function in_a_step (l, f)
    return l.model(function (m)
      local cell = l.cell {name = "cell", step = function (c, x, s)
        local list = operands(m, x)
        for i = 1, 6 do list[i] = list[i] + c:linear("s" .. i, {s.h}) end
        local y = f(m, list)
        local flat = #y.shape > 1 and l.reshape(y, y.cols) or y
        return l.tanh(c:linear(nil, {x, s.h}) + l.mean(flat * flat + flat))
      end}
      local h = m:apply(cell {hidden = C}, inputs(m))
      return {loss = reduce(l, h), out = h}
    end)
  end

  ---------------------------------------------------------------- data

  -- Rows r of the list, of these lengths: the same numbers for a row in whatever batch it is.
  local function batch (l, rows)
    local x, ids, lengths = {}, {}, {}
    for t = 1, T do
      x[t], ids[t] = {}, {}
      for k, r in ipairs(rows) do
        x[t][k], ids[t][k] = {}, (3 * t + r) % C + 1
        for d = 1, D do x[t][k][d] = l.rng.normal(1, "script", "op", (t * 10 + r) * D + d) end
      end
    end
    for k, r in ipairs(rows) do lengths[k] = LENGTHS[r] end
    return l.batch {x = l.tensor(x), ids = l.ids(ids), lengths = lengths}
  end

  local function play (player, b, purpose)
    local loss = assert(player:forward(b, 1, 0, purpose))
    if purpose == "train" then assert(player:backward()) end
    return loss
  end

  ---------------------------------------------------------------- checks

  local function check_gradient (model, where)
    local l, r = lurn.f64, nil
    for seed = 1, DRAWS do
      model:init(seed)
      r = l.gradcheck(model, batch(l, {1, 2, 3}))
      if r.worst < LIMIT then return end
    end
    demand(false, "its gradient, %s, is off by %.3g at %s: %.9g derived, %.9g by differences", where, r.worst, r.path,
      r.analytic, r.numeric)
  end

  -- All that a step of training gives.
  local function everything (model, options, b)
    options.grad, options.grad_inputs = true, true
    local player = model.native:player(options)
    local all = {play(player, b, "train"), player:output "out", player:output "d:x"}
    for _, p in ipairs(model:parameters()) do all[#all + 1] = p.grad end
    return bits(all)
  end

  local function check_schedules (l, model, where)
    local b = batch(l, {1, 2, 3, 4})
    local twin = everything(model, {twin = true}, b)
    for dice = 0, 4 do
      demand(everything(model, dice > 0 and {dice = dice} or {}, b) == twin,
        "%s the naive twin and the schedule give other bits (%s)", where, l.precision)
    end
  end

  local function check_rows (l, model, axis, where)
    local together, b = model.native:player {grad = true, grad_inputs = true}, batch(l, {1, 2, 3, 4})
    play(together, b, "train")
    local out, dx = together:output "out", together:output "d:x"
    for place, r in ipairs(b.order) do
      local alone = model.native:player {grad = true, grad_inputs = true}
      play(alone, batch(l, {r}), "train")
      local one, one_dx = alone:output "out", alone:output "d:x"
      for t = 1, axis == "time" and LENGTHS[r] or 1 do
        local same = axis == "time" and bits(out[t][place]) == bits(one[t][1]) or axis == "row"
          and bits(out[place]) == bits(one[1])
        demand(same, "%s a row has other bits in a batch than alone (%s)", where, l.precision)
      end
      for t = 1, LENGTHS[r] do
        demand(bits(dx[t][place]) == bits(one_dx[t][1]),
          "%s a row's gradient has other bits in a batch than alone (%s)", where, l.precision)
      end
    end
  end

  local function check_steps (l, model, where)
    local whole, steps, b = model.native:player {infer = true}, model.native:player {infer = true}, batch(l, {2})
    play(whole, b, "eval")
    local out = whole:output "out"
    for t = 1, T do
      local one = l.batch {x = b.x:narrow(1, t, 1):contiguous(), ids = l.ids {{(3 * t + 2) % C + 1}}, carry = t > 1}
      play(steps, one, "eval")
      steps:commit()
      demand(bits(out[t]) == bits(steps:output "out"[1]), "%s it has other bits step by step than at once (%s)", where,
        l.precision)
    end
  end

  -- Ids lie in memory otherwise than numbers do: an op that takes both for the same would read beyond its operand.
  local function check_operands (l, name, example)
    local op, place = l.op(name), 1
    local function probe (m, list)
      example(function (...)
        local given = table.pack(...)
        if l.is_symbol(given[place]) and given[place].dtype == "real" then
          given[place] = m.ids
          demand(not pcall(op, table.unpack(given, 1, given.n)), "it takes ids as its operand %d, which is of numbers",
            place)
        end
        return op(...)
      end, m, table.unpack(list))
    end
    for k = 1, 6 do
      place = k
      in_the_open(l, function (m, list)
        probe(m, list)
        return list[1]
      end)
    end
  end

  local function check_model (l, model, row, axis, where)
    check_schedules(l, model, where .. ":")
    -- Random numbers are those of a sequence, which in another place is another one.
    if axis ~= "once" and not row.random then check_rows(l, model, axis, where .. ":") end
    local stepped = axis == "time" and not (row.whole or row.memory or row.random)
    if stepped then check_steps(l, model, where .. ":") end
    if l.precision == "f64" and row.gradient then check_gradient(model, where) end
  end

  local function check_in (l, name, example)
    local row, axis = row_of(l, name), nil
    local function f (m, list)
      local y = example(l.op(name), m, table.unpack(list))
      demand(l.is_symbol(y) and y.dtype == "real", "its example must give a symbol of numbers")
      axis = y.axis
      return y
    end
    check_operands(l, name, example)
    local open = in_the_open(l, f)
    demand(open:source_text():find(("= %s[ @]"):format(name)), "its example does not use it")
    check_model(l, open, row, axis, "in the open")
    if not row.whole and not row.memory then check_model(l, in_a_step(l, f), row, "time", "in a step") end
  end

  -- The operands that an op has, from the first one on.
  local function plain (row)
    return function (op, _, ...) return op(table.unpack({...}, 1, row.operands)) end
  end

  -- Models that are made while a run is on are the run's; these are not.
  local function apart (l, f, ...)
    local run = l.current
    l.current = nil
    local ok, what = pcall(f, l, ...)
    l.current = run
    if ok then return true end
    return false, getmetatable(what) == Wrong and what.text or tostring(what)
  end

  local function instances () return lurn.precision == "f64" and {lurn} or {lurn, lurn.f64} end

  --- Whether an op keeps what every op promises. Played in this precision and in f64.
  ---@param name string
  ---@param example? fun(op, m, a, b, c, d, e, f): any   uses `op` on operands it takes; those it is given are vectors
  -- over time, m.ids are ids from 1 to 4 over time. By default op(a, b, ...) with as many as it has
  ---@return boolean? ok
  ---@return string? message
  function M.check_op (name, example)
    local row = row_of(lurn, name) or error(("lurn.check_op: there is no op '%s'"):format(name), 2)
    for _, l in ipairs(instances()) do
      local ok, message = apart(l, check_in, name, example or plain(row))
      if not ok then return nil, message end
    end
    return true
  end

  ---------------------------------------------------------------- loading

  local LOAD = {
    check = {"boolean", true, nil, "load the op for f64 as well, and play it in both before it may be used"},
    example = {"function", nil, nil, "function (op, m, a, b, ...): how it is used; op(a, b, ...) by default"},
  }

  -- "cumsum.so" is "cumsum.f32.so" where there is one.
  local function file_of (path, l)
    local own = path:gsub("%.so$", "") .. "." .. l.precision .. ".so"
    return l.sys.exists(own) and own or path
  end

  -- For this precision, and for f64 where it is to be checked: the name, or nil, message, code.
  local function load_all (path, list)
    local name, message, code
    for _, l in ipairs(list) do
      name, message, code = l.core.load_op(file_of(path, l))
      if not name then return nil, message, code end
    end
    return name
  end

  --- Loads an op from a shared object, for this precision and for f64, in which gradients are checked.
  ---@param path string   "./cumsum.so": cumsum.f32.so and cumsum.f64.so beside it, or that file
  ---@param options? {example: function?, check: boolean?}
  ---@return string? name   of the op
  ---@return string? message   when the file is none, or the op does not do what an op must
  ---@return string? code
  function M.load_op (path, options)
    local o = schema.check("lurn.load_op", options or {}, LOAD)
    local list = o.check and instances() or {lurn}
    local name, message, code = load_all(path, list)
    if not name or not o.check then return name, message, code end
    local ok, wrong = M.check_op(name, o.example)
    if ok then return name end
    for _, l in ipairs(list) do l.core.refuse_op(name) end
    return nil, ("%s: the op '%s' is refused: %s"):format(path, name, wrong), "EFORMAT"
  end

  return M
end
