-- table_columns.lua: the columns of the table: what has to hold for every row.
--
-- A row without a word for a column is played and must hold; a row with a word is played where that can be done,
-- and must not hold: a reason that is none fails.
local lurn = require "lurn"
local bits = require "bits_helper"
local h = require "table_helper"
local torch = require "torch_helper"

local M = {}

--- Words for what cannot be, and what they mean. Where one has a second text, it is what the engine says about it.
M.reasons = {
  none = {"PyTorch has no such thing"},
  drawn = {"a random number belongs to a place in a sequence, and to a stream that only lurn has"},
  stopped = {"no gradient flows through it, and that is what it is for"},
  backward = {"it runs from the last step to the first", "runs from the last step to the first"},
  across = {"a step sees other steps", "looks from one step at another"},
  memory = {"a step sees all steps of its own axis", "reads all steps of its own time axis"},
  order = {"it sums in another order than windows are played", "does not sum in the order"},
  later = {"a step sees what is known at the end", "must know the whole sequence"},
  pooled = {"one result for a sequence, not one for a step"},
  once = {"one result for all sequences of the batch"},
  divided = {"the loss is divided by what all sequences of the batch have"},
}

M.columns = {"gradient", "torch", "alone", "stepped", "checkpoint", "twin"}
M.titles = {gradient = "f64 gradient", torch = "PyTorch", alone = "row as alone", stepped = "stepped as whole",
  checkpoint = "checkpointed as plain", twin = "twin as schedules"}

local function fail (...) error((select("#", ...) > 1 and string.format or tostring)(...), 0) end

---------------------------------------------------------------------- playing

-- One pass of a player: everything that it shows, by name.
local function show (model, player, b, purpose)
  local loss = assert(player:forward(b, 1, 0, purpose))
  assert(player:backward())
  player:commit()
  local seen = {loss = loss, state = player:state(), grad = {}}
  for _, p in ipairs(model:parameters()) do seen.grad[p.path] = p.grad:clone() end
  return seen
end

local function show_all (model, player, b, purpose)
  local seen = show(model, player, b, purpose)
  seen.out, seen.dx = player:output "out", player:output "d:x"
  return seen
end

-- The first name whose bits differ, or nil.
local function difference (a, b)
  for name, value in pairs(a) do
    if b[name] == nil or bits(value) ~= bits(b[name]) then return name end
  end
end

-- n frames of one place of (T,B,...).
local function frames (t, place, n)
  local list = {}
  for s = 1, n do list[s] = t[s][place] end
  return list
end

local function each_precision (row, f)
  for _, precision in ipairs {"f32", "f64"} do
    local l = lurn[precision]
    f(l, (h.build(l, row)))
  end
end

---------------------------------------------------------------------- gradient

-- A difference taken across a kink or a jump says nothing. Where there are some, other weights are drawn; a wrong
-- derivative is wrong for all of them.
local LIMIT, DRAWS = 1e-6, 8

function M.gradient (row)
  local l = lurn.f64
  local model, r = h.build(l, row), nil
  for seed = 1, row.kinks and DRAWS or 1 do
    h.draw(model, seed)
    r = l.gradcheck(model, h.whole(l, row))
    if r.checked ~= model:count() or r.checked == 0 then fail("%d of %d checked", r.checked, model:count()) end
    if (r.worst < LIMIT) == (row.gradient == nil) then return end
  end
  if row.gradient then fail("the gradient is right: '%s' is no reason", row.gradient) end
  fail("off by %g at %s: %.12g derived, %.12g by differences", r.worst, r.path, r.analytic, r.numeric)
end

---------------------------------------------------------------------- PyTorch

local known, cases = {}, {}

-- Is there such a case? The specs of the files play all that are there; those of the ops are played here.
local function check_case (file, name)
  if not known[file] then
    local folder, list = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$", {}
    local f <close> = assert(lurn.f64.h5.open(("%sfixtures/%s.h5"):format(folder, file)))
    for _, group in ipairs(f:list "/") do list[group] = true end
    known[file] = list
  end
  if not known[file][name] then fail("no case '%s' in %s.h5", name, file) end
end

local function check_same (row, file, name)
  cases[file] = cases[file] or torch.read(file)
  for _, twin in ipairs {false, true} do
    local model = h.build(lurn.f64, row)
    local worst = torch.compare(model, h.join(cases[file].batch, cases[file][name]), {twin = twin})
    for _, what in ipairs {"loss", "grad", "dx", h.axis_of(model) ~= "once" and "out" or nil} do
      if not (worst[what] and worst[what] <= 1e-10) then fail("%s: off by %s", what, worst[what]) end
    end
  end
end

function M.torch (row)
  if M.reasons[row.torch] then return end
  for _, case in ipairs(type(row.torch) == "table" and row.torch or {row.torch}) do
    local file, name = case:match "^([^:]+):(.+)$"
    check_case(file, name)
    if row.same then check_same(row, file, name) end
  end
end

---------------------------------------------------------------------- alone

local function check_sum (what, whole, sum, size)
  if (whole - sum):abs():max() > 1e-12 * size:max() then fail("%s: not the sum of those of the rows", what) end
end

-- Rows of a loss that sums over rows: loss and gradients of parameters are the sums of theirs, but for the rounding.
local function check_sums (l, together, each)
  local function of (what, pick)
    local sum, size = 0, 0
    for _, one in ipairs(each) do sum, size = sum + pick(one), size + pick(one):abs() end
    check_sum(what, pick(together), sum, size)
  end
  of("loss", function (seen) return l.tensor {seen.loss} end)
  for path in pairs(together.grad) do of(path, function (seen) return seen.grad[path] end) end
end

local function differs (axis, place, n, together, one)
  local timed = axis == "time"
  if axis ~= "once" and bits(timed and frames(together.out, place, n) or together.out[place])
    ~= bits(timed and frames(one.out, 1, n) or one.out[1]) then return "outputs" end
  if one.dx and bits(frames(together.dx, place, n)) ~= bits(frames(one.dx, 1, n)) then return "input gradients" end
  for name, state in pairs(one.state) do
    if bits(together.state[name][place]) ~= bits(state[1]) then return name end
  end
end

local function alone_in (l, model, row)
  local b, axis, lengths, each, where = h.whole(l, row), h.axis_of(model), h.lengths(row), {}, nil
  local function play (batch)
    return show_all(model, model.native:player {grad = true, grad_inputs = true}, batch, "eval")
  end
  local together = play(b)
  for place, r in ipairs(b.order) do
    each[place] = play(h.batch(l, row, {r}, {lengths[r]}))
    where = where or differs(axis, place, lengths[r], together, each[place])
  end
  if row.alone then
    if not where and axis ~= "once" then fail("it is the same: '%s' is no reason", row.alone) end
  elseif where then fail("%s are others", where)
  elseif l.precision == "f64" then check_sums(l, together, each)
  end
end

function M.alone (row) each_precision(row, function (l, model) alone_in(l, model, row) end) end

---------------------------------------------------------------------- stepped

-- Longest first, so that rows that go on keep their places when others end.
local STEPPED = {5, 5, 3}

-- The first thing that is another one step by step than at once.
local function step_by_step (l, model, row)
  local whole, steps, ended = model.native:player {}, model.native:player {}, {}
  assert(whole:forward(h.batch(l, row, {1, 2, 3}, STEPPED), 1, 0, "eval"))
  whole:commit()
  local out = whole:output "out"
  for t = 1, STEPPED[1] do
    assert(steps:forward(h.batch(l, row, {1, 2, 3}, STEPPED, t, t), 1, 0, "eval"))
    steps:commit()
    local y = steps:output "out"
    for r, n in ipairs(STEPPED) do
      if n >= t and bits(y[1][r]) ~= bits(out[t][r]) then return ("step %d of row %d"):format(t, r) end
      if n == t then ended[r] = steps:state() end
    end
  end
  for name, state in pairs(whole:state()) do
    for r in ipairs(STEPPED) do if bits(state[r]) ~= bits(ended[r][name][r]) then return name end end
  end
end

function M.stepped (row)
  each_precision(row, function (l, model)
    local axis = h.axis_of(model)
    if axis ~= "time" then
      local word = axis:find "^row" and "pooled" or "once"
      if row.stepped ~= word then fail("its output lies along axis %s: expected '%s'", axis, word) end
      return
    end
    local where = step_by_step(l, model, row)
    if where and not row.stepped then fail("%s is another one", where) end
    if not where and row.stepped then fail("it is the same: '%s' is no reason", row.stepped) end
  end)
end

---------------------------------------------------------------------- checkpoint

local WINDOW = 3

local function checkpointed (l, model, row)
  local plain = model.native:player {grad = true}
  local ok, windows = pcall(model.native.player, model.native, {grad = true, window = WINDOW})
  if row.checkpoint then
    local said = M.reasons[row.checkpoint][2] or "checkpointing over time"
    if ok then fail("it can be played in windows: '%s' is no reason", row.checkpoint) end
    if not tostring(windows):find(said, 1, true) then fail("expected '%s', got: %s", said, windows) end
    return
  end
  if not ok then error(windows, 0) end
  local one, other = {}, {}
  for seen, player in pairs {[one] = plain, [other] = windows} do
    for name, value in pairs(show(model, player, h.whole(l, row), "train")) do seen[name] = value end
    local axis = h.axis_of(model)
    seen.out = axis:find "^row" and player:output "out" or nil
  end
  local where = difference(one, other)
  if where then fail("%s: other bits", where) end
end

function M.checkpoint (row) each_precision(row, function (l, model) checkpointed(l, model, row) end) end

---------------------------------------------------------------------- twin

function M.twin (row)
  each_precision(row, function (l, model)
    local first
    for _, o in ipairs {{twin = true}, {}, {dice = 1}, {dice = 2}} do
      o.grad, o.grad_inputs = true, true
      local seen = show_all(model, model.native:player(o), h.whole(l, row), "train")
      first = first or seen
      local where = difference(first, seen)
      if where then fail("%s: schedule %s has other bits", where, o.dice or "by default") end
    end
  end)
end

return M
