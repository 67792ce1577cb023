-- torch_helper.lua: reads the cases that tests/fixtures/make_torch.py wrote and plays them on the f64 core.
local assert = require "luassert"
local lurn = require "lurn".f64

local h = {lurn = lurn}

-- Errors are relative above 1 and absolute below.
function h.difference (got, want)
  assert.same(want.shape, got.shape)
  return ((got - want):abs() / want:abs():maximum(1)):max()
end

local function read_group (file, name)
  local case = {state0 = {}, state1 = {}, state2 = {}}
  for _, key in ipairs(file:list("/" .. name)) do
    local value = assert(file:read("/" .. name .. "/" .. key))
    local state, path = key:match "^(state%d)%.(.+)$"
    if state then case[state][path] = value else case[key] = value end
  end
  return case
end

--- Name -> case of a file of fixtures. A case is what its group holds, with the states in tables of their own.
function h.read (name)
  local folder = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$"
  local file <close> = assert(lurn.h5.open(folder .. "fixtures/" .. name .. ".h5"))
  local cases = {}
  for _, group in ipairs(file:list "/") do cases[group] = read_group(file, group) end
  return cases
end

-- Parameters lie end to end in order of their paths, here and in the file.
function h.set_parameters (model, case)
  local at = 1
  for i, p in ipairs(model:parameters()) do
    assert.equal(case.paths[i], p.path)
    local n = p.value:numel()
    p.value:copy(case.param:narrow(1, at, n):reshape(table.unpack(p.value.shape)))
    at = at + n
  end
  assert.equal(#case.paths, #model:parameters())
  assert.equal(case.param:numel() + 1, at)
  model.native:touch()
end

function h.batch (case, k, carry)
  return lurn.batch {x = case["x" .. k], y = case["y" .. k], i = case["i" .. k], mask = case["mask" .. k],
    lengths = case["lengths" .. k], carry = carry,
    time2 = case["s" .. k] and {s = case["s" .. k], labels = case["labels" .. k], lengths = case["time2_lengths" .. k]}}
end

-- A batch has its longest rows first; the file has them as they come.
local function reordered (t, order, dim)
  local rows = {}
  for place, row in ipairs(order) do rows[row] = t:select(dim, place):unsqueeze(dim) end
  return lurn.cat(rows, dim)
end

local function gradients (model)
  local flat = {}
  for _, p in ipairs(model:parameters()) do flat[#flat + 1] = p.grad:clone():reshape(p.grad:numel()) end
  return lurn.cat(flat)
end

-- What one window gave, under the names of the file.
local function collect (model, player, batch, loss)
  local out, found, order = player:output "out", {}, batch.order
  found.out = out and reordered(out, order, #out.shape - 1)
  found.loss = lurn.tensor {loss}
  if #model:parameters() > 0 then found.grad = gradients(model) end
  local dx = player:output "d:x" or lurn.zeros(table.unpack(batch.x.shape))     -- none: the loss does not see it
  found.dx = #dx.shape == 3 and reordered(dx, order, 2) or nil
  player:commit()
  found.state = {}
  for name, t in pairs(player:state()) do found.state[name] = reordered(t, order, 1) end
  return found
end

local function in_order (state, order)
  local sorted = {}
  for name, t in pairs(state) do
    local rows = {}
    for place, row in ipairs(order) do rows[place] = t:select(1, row):unsqueeze(1) end
    sorted[name] = lurn.cat(rows, 1)
  end
  return sorted
end

--- Plays window k on a player that may have played the one before it.
function h.window (model, player, case, k)
  local given = next(case.state0) ~= nil
  local batch = h.batch(case, k, k > 1 or given)
  if k == 1 and given then player:setstate(in_order(case.state0, batch.order)) end
  local loss = assert(player:forward(batch, 1, 0, "eval"))
  assert(player:backward())
  return collect(model, player, batch, loss)
end

--- The largest error of every window of a case: name -> error. Nothing that the file has may be missing.
function h.compare (model, case, options)
  local worst = {}
  local player = model.native:player {grad = true, grad_inputs = true, twin = options and options.twin}
  local function note (name, e)
    if not (e <= (worst[name] or -1)) then worst[name] = e end      -- a NaN is noted too
  end
  if #model:parameters() > 0 then h.set_parameters(model, case) end
  for k = 1, case.x2 and 2 or 1 do
    local got = h.window(model, player, case, k)
    for _, name in ipairs {"out", "dx", "grad"} do
      if case[name .. k] then note(name, h.difference(assert(got[name], name), case[name .. k])) end
    end
    if case["loss" .. k] then note("loss", h.difference(got.loss, lurn.tensor {case["loss" .. k]})) end
    for path, want in pairs(case["state" .. k]) do
      note("state", h.difference(assert(got.state[path], path), want))
    end
  end
  return worst
end

return h
