-- table_helper.lua: what the rows of the table (table_spec.lua) are made of: their sequences and their models.
--
-- A row is {of =, how =, build =, ...}:
--   kind     "op", "activation", "loss", "layer" or "cell"; `of` is its name, or a list of ops that one model uses
--   how      what is particular about it, where there are several rows of one name
--   build    function (l) -> model, for the instance l of either precision
--   fields   of the batch, beside those of FIELDS or instead of them
--   lengths  of its sequences, where h.lengths are too short
--   kinks    it is not differentiable everywhere: a difference may be taken across such a place
--   torch    "file:case", or a list of them: the cases of tests/fixtures that show it beside PyTorch
--   same     its model is that of the case, which is played
-- and for each column of table_columns.lua nothing where it holds, or one word of REASONS why it cannot.

local h = {D = 3, K = 2, C = 4, LENGTHS2 = {2, 1, 3}, rows = {}}
local D, K, C = h.D, h.K, h.C

---------------------------------------------------------------------- rows

function h.add (row)
  assert(row.of and row.build and row.kind and row.torch, "a row has kind, of, build and torch")
  row.name = type(row.of) == "table" and table.concat(row.of, ", ") or row.of
  if row.how then row.name = row.name .. ": " .. row.how end
  h.rows[#h.rows + 1] = row
end

-- A table with the fields of several, later ones first.
function h.join (...)
  local all = {}
  for _, t in ipairs {...} do for k, v in pairs(t) do all[k] = v end end
  return all
end

---------------------------------------------------------------------- sequences

-- The same row is the same whatever batch and window it is in: value (r, t, d) of row r at step t, column d.
local function wave (seed)
  return function (r, t, d) return math.sin(seed + 13.1 * r + 1.7 * t * d + t) end
end

--- Numbers over time (axis "row": one for each sequence; "time2": along the second time axis).
function h.reals (cols, seed, axis, value) return {cols = cols, axis = axis or "time", value = value or wave(seed)} end

--- Ids from 0 (none) to n.
function h.ids (n, seed, axis, value)
  local function any (r, t) return (t * 7 + r * 3 + seed) % (n + 1) end
  return {ids = true, axis = axis or "time", value = value or any}
end

local LABELS = {{2, 3}, {3}, {2, 2, 0}}          -- of one row twice the same, and none behind them
local FIELDS = {
  x = h.reals(D, 1), y = h.reals(K, 2), i = h.ids(C, 1), s = h.reals(2, 5, "time2"),
  labels = h.ids(C, 0, "time2", function (r, t) return LABELS[r][t] end),
  spelled = h.ids(C, 0, "time2", function (r, t) return r == 1 and 1 or LABELS[r][t] end),    -- 1 1 needs three steps
}

-- (T,B,cols), (T,B) or one step of them: rows side by side, 0 where they have ended.
local function side_by_side (l, f, rows, lengths, from)
  local list = {}
  for s = 1, f.axis == "row" and 1 or math.max(table.unpack(lengths)) do
    list[s] = {}
    for b, r in ipairs(rows) do
      local function at (d)
        return f.axis ~= "row" and s > lengths[b] and 0 or f.value(r, f.axis == "time" and from + s - 1 or s, d)
      end
      local frame = {}
      for d = 1, f.cols or 1 do frame[d] = at(d) end
      list[s][b] = f.cols and frame or frame[1]
    end
  end
  return (f.ids and l.ids or l.tensor)(f.axis == "row" and list[1] or list)
end

--- Steps from..to of some rows, those that have any. Windows after the first one carry on.
---@param rows integer[]      from 1 to 3
---@param lengths integer[]   of these, whole
function h.batch (l, row, rows, lengths, from, to)
  local list, steps, steps2, fields = {}, {}, {}, {}
  from, to = from or 1, to or math.huge
  for k, r in ipairs(rows) do
    if lengths[k] >= from then
      list[#list + 1], steps[#steps + 1] = r, math.min(lengths[k], to) - from + 1
      steps2[#steps2 + 1] = h.LENGTHS2[r]
    end
  end
  fields.lengths, fields.carry, fields.time2 = steps, from > 1, {lengths = steps2}
  for name, f in pairs(h.join(FIELDS, row.fields or {})) do
    local further = f.axis == "time2"
    local into = further and fields.time2 or fields
    into[name] = side_by_side(l, f, list, further and steps2 or steps, from)
  end
  return l.batch(fields)
end

--- How long rows 1, 2 and 3 are: not sorted, one of a single step. Of one row and one step, a field for a sequence
-- would look like one for a step; so there is no such row where the batch has fields of that kind.
function h.lengths (row)
  local short = not row.lengths
  for _, f in pairs(row.fields or {}) do short = short and f.axis ~= "row" end
  return row.lengths or short and {2, 5, 1} or {2, 5, 3}
end

--- All rows.
function h.whole (l, row) return h.batch(l, row, {1, 2, 3}, h.lengths(row)) end

---------------------------------------------------------------------- models

--- Any shape on any axis to one number in which every element counts differently enough.
function h.reduce (l, y) return l.total(y * y * 0.5 + y) end

--- Layers, a linear one behind them, and the squared error, summed: so rows do not see each other.
function h.stack (l, ...)
  local layers = {...}
  local last = l.linear {size = K, activation = "tanh"}
  return l.stack(h.join({input = {dim = D}, loss = l.loss.mse {reduction = "sum"}}, layers, {[#layers + 1] = last}))
end

-- Parameters that start at a constant are moved: a state, a bias or a peephole of zero shows nothing.
local function move (model)
  for _, p in ipairs(model:parameters()) do
    if p.value:min() == p.value:max() then
      local flat = p.value:reshape(p.value:numel())
      for i = 1, #flat do flat[i] = flat[i] + math.sin(2 + 3 * i) / 2 end
    end
  end
  model:touch()
  return model
end

--- New weights, none of them constant.
function h.draw (model, seed)
  model:init(seed)
  return move(model)
end

-- l, writing down which of its functions are asked for: "lstm", "cells.mgu", "loss.mse".
local function watched (l, used, prefix)
  return setmetatable({}, {__index = function (_, key)
    local value = l[key]
    if prefix == "" and (key == "cells" or key == "loss") then return watched(value, used, key .. ".") end
    used[prefix .. key] = true
    return value
  end})
end

--- The model of a row, and what it took to build it: {["lstm"] = true}, {["lurn.lstm"] = {zoneout = true}}.
function h.build (l, row)
  local used, options, check = {}, {}, l.schema.check
  function l.schema.check (where, given, ...)
    options[where] = options[where] or {}
    for key in pairs(type(given) == "table" and given or {}) do options[where][key] = true end
    return check(where, given, ...)
  end
  local ok, model = pcall(row.build, watched(l, used, ""))
  l.schema.check = check
  if not ok then error(("%s: %s"):format(row.name, model), 0) end
  return h.draw(model, 1), used, options
end

--- Along which axis the output lies, from the program's text; "once" where there is none.
function h.axis_of (model)
  local text = model:source_text()
  local register = text:match "\noutput out (r%d+)"
  if not register then return "once" end
  return text:match("%f[%w]" .. register .. " = [^\n]*# (%w+) %(")
    or text:match("\ninput " .. register .. " %S+ %S+ (%w+)")
end

return h
