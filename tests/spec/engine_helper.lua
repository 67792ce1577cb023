-- engine_helper.lua: sequences, models and steps that the specs of the engine share.

local D, H, K = 3, 6, 2
local h = {D = D, H = H, K = K}

---------------------------------------------------------------------- sequences

-- Row r of length n as a list of frames; the same row is the same whatever batch it is in.
function h.row (r, n, columns, seed)
  local frames = {}
  for t = 1, n do
    frames[t] = {}
    for d = 1, columns do frames[t][d] = math.sin(seed + 13.1 * r + 1.7 * t * d + t) end
  end
  return frames
end

-- Rows side by side, zeros behind the shorter ones.
local function side_by_side (l, rows)
  local T, columns = 0, #rows[1][1]
  for _, r in ipairs(rows) do T = math.max(T, #r) end
  local t = l.zeros(T, #rows, columns)
  for b, r in ipairs(rows) do
    for s, frame in ipairs(r) do t[s][b] = l.tensor(frame) end
  end
  return t
end

local function lengths_of (rows)
  local list = {}
  for i, r in ipairs(rows) do list[i] = #r end
  return list
end

--- A batch of the rows 1 to 9 that have a length: {4, 4}, {[3] = 5}. `more`: further fields.
function h.batch (l, lengths, more)
  local x, y = {}, {}
  for r = 1, 9 do
    local n = lengths[r]
    if n then x[#x + 1], y[#y + 1] = h.row(r, n, D, 1), h.row(r, n, K, 2) end
  end
  local fields = {x = side_by_side(l, x), y = side_by_side(l, y), lengths = lengths_of(x)}
  for k, v in pairs(more or {}) do fields[k] = v end
  return l.batch(fields)
end

--- A batch's tensor (T,B,...) with its rows in the order in which they came.
function h.unsorted (t, order)
  local sorted = t:clone()
  for place, row in ipairs(order) do
    for s = 1, #t do sorted[s][row]:copy(t[s][place]) end
  end
  return sorted
end

--- Steps from .. to of three rows.
function h.window (l, from, to, more)
  local x, y = {}, {}
  for r = 1, 3 do
    x[r] = table.move(h.row(r, to, D, 1), from, to, 1, {})
    y[r] = table.move(h.row(r, to, K, 2), from, to, 1, {})
  end
  local fields = {x = side_by_side(l, x), y = side_by_side(l, y)}
  for k, v in pairs(more or {}) do fields[k] = v end
  return l.batch(fields)
end

---------------------------------------------------------------------- models

h.makers = {
  rnn = function (l) return l.rnn {hidden = H, layers = 2} end,
  lstm = function (l) return l.lstm {hidden = H, layers = 2} end,
  gru = function (l) return l.gru {hidden = H, layers = 2, reset_after = false} end,
  lua = function (l)
    return l.cell {name = "mine", state = {"h", "m"}, step = function (c, x, s)
      local m = 0.9 * s.m + c:linear("m", {x, s.h})
      return {h = l.tanh(m) * l.sigmoid(c:linear("g", {x, m})), m = m}
    end} {hidden = H, layers = 2}
  end,
}

-- Loss "sum": what a row gets back does not depend on how many others there are.
function h.model_of (l, name, reduction)
  return l.stack {input = {dim = D}, h.makers[name](l), l.linear {size = K, activation = "tanh"},
    loss = l.loss.mse {reduction = reduction or "sum"}}
end

---------------------------------------------------------------------- fixtures

--- The f64 model of a group of torch_gradients.h5 (make_gradients.py), its batch, and the group as a table.
function h.gradients (l, group, layer)
  local folder = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$"
  local file <close> = assert(l.h5.open(folder .. "fixtures/torch_gradients.h5"))
  local case = {}
  for _, key in ipairs(file:list("/" .. group)) do case[key] = assert(file:read(("/%s/%s"):format(group, key))) end
  local model = l.stack {input = {dim = 3}, layer, l.linear {size = 2}, loss = l.loss.mse()}
  for _, p in ipairs(model:parameters()) do p.value:copy(case["param." .. p.path]) end
  model:touch()
  return model, l.batch {x = case.x, y = case.y}, case
end

---------------------------------------------------------------------- steps

function h.values (model)
  local list = {}
  for _, p in ipairs(model:parameters()) do list[p.path] = p.value:clone() end
  return list
end

function h.gradient_norm (model)
  local sum = 0.0
  for _, p in ipairs(model:parameters()) do sum = sum + p.grad:norm()^2 end
  return math.sqrt(sum)
end

function h.learn (model, optim, b)
  local loss = model:forward(b)
  model:backward()
  return optim:step(), loss
end

-- The largest difference, relative above 1, between two results of `train`.
function h.distance (a, b)
  if type(a) == "number" then return math.abs(a - b) / math.max(1, math.abs(b)) end
  return ((a - b):abs() / b:abs():maximum(1)):max()
end

return h
