--- Functions of symbols, tensors and numbers: one name for all three.
--
-- On a symbol (while a cell or a model is traced) they write an instruction; on a tensor and on a number
-- they compute. A symbol also takes them as methods: x:tanh().

return function (lurn)
  local core = lurn.core
  local M = {}
  local is = core.issymbol

  -- The program a list of operands belongs to, and the operands with numbers made symbols.
  local function operands (name, ...)
    local list, program = table.pack(...), nil
    for i = 1, list.n do if is(list[i]) then program = list[i].program end end
    if not program then error(("%s: expected a symbol or a tensor"):format(name), 3) end
    for i = 1, list.n do
      if type(list[i]) == "number" then list[i] = program:fill(list[i], "once", {1}) end
    end
    return program, list
  end

  local function on_number (name, x)
    local t = lurn.tensor {x}
    return t[name](t)[1]
  end

  -- Maps of one operand. A tensor has a method of the same name.
  local function define_map (name, build)
    M[name] = function (x)
      if is(x) then return build(x.program, x) end
      if type(x) == "number" then return on_number(name, x) end
      return x[name](x)
    end
  end

  for _, name in ipairs {"exp", "expm1", "log", "log1p", "sqrt", "cos", "erf", "abs", "sign"} do
    define_map(name, function (p, x) return p:emit(name, x) end)
  end
  for _, name in ipairs(core.activations()) do
    define_map(name, function (p, x) return p:activation(name, x) end)
  end

  local function define_pair (name, op, method)
    M[name] = function (a, b)
      if not is(a) and not is(b) then return a[method](a, b) end
      local p, in_ = operands(name, a, b)
      return p:emit(op, in_[1], in_[2])
    end
  end
  define_pair("maximum", "max", "maximum")
  define_pair("minimum", "min", "minimum")
  define_pair("gt", "gt", "gt")
  define_pair("ge", "ge", "ge")
  define_pair("eq", "eq", "eq")

  --- c != 0 ? a : b, element by element. The way to branch on a value.
  function M.where (c, a, b)
    if not is(c) then return c:where(a, b) end
    local p, in_ = operands("where", c, a, b)
    return p:emit("where", in_[1], in_[2], in_[3])
  end

  -- Reductions of a symbol go over its columns; the result has one. Of a tensor they go over everything, or along
  -- `dim`. (As a loss they are called with targets behind the symbol.)
  local function over_columns (name, dim)
    if type(dim) == "number" then
      error(("%s: a symbol's columns are all it goes over; dimension %s is for tensors"):format(name, dim), 3)
    end
  end

  local function column (name, op)
    M[name] = function (x, dim)
      if not is(x) then return x[name](x, dim) end
      over_columns(name, dim)
      return x.program:emit(op, x)
    end
  end
  column("logsumexp", "lse")
  column("argmax", "argmax")

  --- Largest column.
  function M.max (x, dim)
    if not is(x) then return x:max(dim) end
    over_columns("max", dim)
    return x.program:emit("rowmax", x)
  end

  --- Sum over the columns.
  function M.sum (x, dim)
    if not is(x) then return x:sum(dim) end
    over_columns("sum", dim)
    return x.cols == 1 and x or x.program:emit("rowsum", x)
  end

  --- Mean over the columns.
  function M.mean (x, dim)
    if not is(x) then return x:mean(dim) end
    over_columns("mean", dim)
    return M.sum(x) / x.cols
  end

  --- e^x / sum e^x over the columns.
  function M.softmax (x, dim)
    if not is(x) then return x:softmax(dim) end
    over_columns("softmax", dim)
    return M.exp(x - M.logsumexp(x))
  end

  --- The logarithm of softmax, over the columns.
  function M.log_softmax (x, dim)
    if not is(x) then return x:log_softmax(dim) end
    over_columns("log_softmax", dim)
    return x - M.logsumexp(x)
  end

  --- Columns of mean 0 and variance 1: (x - mean x) / sqrt(mean (x - mean x)^2 + eps), row by row.
  ---@param eps? number   1e-5
  function M.normalise (x, eps) return x.program:emit("norm", x, nil, nil, eps or 1e-5) end

  --- Columns side by side; of images, channels.
  function M.concat (first, ...)
    local y = first
    for _, x in ipairs {...} do y = y.program:emit("concat", y, x) end
    return y
  end

  --- Columns a to b, both included.
  function M.slice (x, a, b) return x.program:emit("slice", x, nil, nil, 0, a - 1, b - a + 1) end

  --- The same numbers per row in another shape: lurn.reshape(x, 4, 8).
  function M.reshape (x, ...)
    local d = {...}
    return x.program:write("reshape", {x}, d[3] or 0, {d[1], d[2] or 0, d[4] or 0})
  end

  --- x of k steps before (k < 0: after), zeros outside the sequence.
  function M.shift (x, k) return x.program:emit("shift", x, nil, nil, 0, k or 1) end

  --- x at the last (first) step of each sequence.
  function M.last (x) return x.program:emit("last", x, nil, nil, 0, 0) end
  function M.first (x) return x.program:emit("last", x, nil, nil, 0, 1) end

  --- Sum over the steps of each sequence.
  function M.sum_time (x) return x.program:emit("fold", nil, x, nil, 0, 1) end

  --- Sum of everything, one number; how many numbers there are.
  function M.total (x) return x.program:emit("total", x) end
  function M.size (x) return x.program:emit("size", x) end

  --- The column of x that the index i names; W's row that it names; 1 at that column of n, 0 elsewhere.
  function M.pick (x, i) return x.program:emit("pick", x, i) end
  function M.gather (w, i) return w.program:emit("gather", w, i) end
  function M.one_hot (i, n) return i.program:emit("unpick", i.program:fill(1, "once", {1}), i, nil, 0, n) end

  --- Attention of q over the steps of keys and values, which may lie along another time axis: the sum over j of
  -- softmax(q . k_j) v_j (Luong et al. 2015, "dot"); with `u`, a parameter of as many columns as the keys, of
  -- softmax(u . tanh(k_j + q)) v_j (Bahdanau et al. 2015). The values are the keys where they are not given.
  function M.attend (q, keys, values, u) return q.program:write("attend", {u, q, keys, values or keys}) end

  --- 1 where there is a target, 0 where the index is none.
  function M.live (i) return i.program:emit("live", i) end

  --- x, through which no gradient flows.
  function M.detach (x) return x.program:emit("detach", x) end

  --- x with a share `rate` of its numbers zero and the others scaled up, in training only. `name` tells
  -- the random streams of several dropouts apart.
  function M.drop (x, rate, name)
    if rate == 0 then return x end
    return x.program:emit("dropout", x, nil, nil, rate, 0, 0, name or "dropout")
  end

  --- drop with one mask for all steps of a sequence (of a window, where a sequence comes in several).
  function M.locked (x, rate, name)
    if rate == 0 then return x end
    return x * M.drop(x.program:fill(1, M.rows_of(x), x.shape), rate, name)
  end

  --- The axis of x's rows: "row", or "row2" for what lies along a second time axis.
  function M.rows_of (x) return (x.axis:gsub("time", "row")) end

  --- x, which is known per row, for the rows of the time axis that `like` lies along.
  function M.reorder (x, like)
    local rows = M.rows_of(like)
    if x.axis == rows then return x end
    for i, axis in ipairs {"row", "row2", "row3"} do
      if axis == rows then return x.program:emit("reorder", x, nil, nil, 0, 2 * i - 1) end
    end
  end

  for name, f in next, M do core.symbol_methods[name] = f end

  local BEHIND = {
    k = {"number", 0, nil, "the op's number"},
    i = {"table", nil, nil, "its whole numbers"},
    name = {"string", nil, nil, "of its random stream"},
  }

  -- What stands behind the operands of an op, in a table.
  local function behind (name, list)
    local last = list[list.n]
    if type(last) ~= "table" then last = {} else list.n = list.n - 1 end
    return lurn.schema.check("op " .. name, last, BEHIND)
  end

  --- An op of the table as a function of symbols: lurn.op "norm" (x, {k = 1e-5}). Numbers are constants; nil is an
  -- operand that is left out. For ops that have no function of their own, such as those of lurn.load_op.
  ---@param name string
  ---@return fun(...): any   operands, then {k = its number, i = {its whole numbers}, name = of its random stream}
  function M.op (name)
    local known = false
    for _, op in ipairs(core.ops()) do known = known or op.name == name end
    if not known then error(("lurn.op: there is no op '%s'; one from outside is loaded with lurn.load_op"):format(name),
      2) end
    return function (...)
      local given = table.pack(...)
      local more = behind(name, given)
      local p, list = operands(name, table.unpack(given, 1, given.n))
      return p:write(name, list, more.k, more.i, more.name)
    end
  end
  M.is_symbol = is
  return M
end
