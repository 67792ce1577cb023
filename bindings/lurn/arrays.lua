--- A data set of whole arrays, as NumPy keeps them: lurn.dataset {x = t, y = t, lengths = {...}}.
--
--   x   reals (N,T,D) or ids (N,T)           N sequences of T steps; with `lengths` of their first steps alone
--       reals (total,D) or ids (total)       with `lengths` (N) or `offsets` (N+1, from 0): one behind the other
--       reals (T,D) or ids (T)               one sequence; so one column of numbers is (N,T,1), not (N,T)
--   y   one per step, laid out like x: (N,T), (N,T,K), (total), (total,K); or one per sequence: (N), (N,K)
--   mask  a number per step
--
-- Not a module of its own: data.lua calls it with a description and gets one that is a list of sequences.

return function (lurn)
  local schema = lurn.schema
  local split = require "lurn.split" (lurn)

  local ARRAYS = {
    x = {"userdata", schema.required, nil, "inputs"},
    y = {"userdata", nil, nil, "targets"},
    mask = {"userdata", nil, nil, "how much each step counts"},
    lengths = {"table|userdata", nil, nil, "steps of each sequence"},
    offsets = {"table|userdata", nil, nil, "where each sequence begins, and the end"},
    group = {"table|userdata", nil, nil, "of each sequence, for a grouped split"},
    split = {"table", nil, nil, "ranges by name, or shares {train, valid, test, by =, seed =}"},
    targets = {"string", nil, {"step", "sequence", "next"}, "what y is one per"},
    vocab = {"table", nil, nil, "names of the ids of x"}, classes = {"table", nil, nil, "names of the ids of y"},
    unit = {"string", nil, nil, "sequence or frame"}, source = {"string", nil, nil, "where it is from"},
    licence = {"string", nil, nil, "of the data"}, name = {"string", nil, nil, "for messages"},
  }

  local function fail (format, ...) error(("lurn.dataset: " .. format):format(...), 0) end
  local function is_ids (t) return t:dtype() == "ids" end
  local function shape_of (t) return "(" .. table.concat(t.shape, ",") .. ")" end

  -- Counts are no ids: a tensor of ids would be off by one.
  local function whole_numbers (list, name)
    if type(list) == "userdata" then
      if is_ids(list) then fail("%s: expected numbers, got ids; lurn.npy has as = \"list\"", name) end
      list = list:totable()
    end
    local out = {}
    for i, n in ipairs(list) do
      out[i] = math.tointeger(n) or fail("%s: expected whole numbers, got %s at %d", name, tostring(n), i)
    end
    return out
  end

  local function lengths_of (d)
    if d.lengths and d.offsets then fail("either lengths or offsets, not both") end
    if not d.offsets then return d.lengths and whole_numbers(d.lengths, "lengths") end
    local at, list = whole_numbers(d.offsets, "offsets"), {}
    if at[1] ~= 0 then fail("offsets: expected 0 at the beginning, got %s", tostring(at[1])) end
    for i = 2, #at do list[i - 1] = at[i] - at[i - 1] end
    return list
  end

  -- How x lies: {n =, steps = {...}, stacked = T, or nil where sequences lie one behind the other}.
  local function layout_of (d)
    local x, lengths = d.x, lengths_of(d)
    local rank, full = #x.shape, is_ids(x) and 2 or 3
    if rank < 1 or rank > full then fail("x: expected %s, got %s", full == 2 and "ids (N,T) or (total)"
      or "reals (N,T,D) or (total,D)", shape_of(x)) end
    local stacked = rank == full and x.shape[2]
    local steps, sum = lengths or {}, 0
    if not lengths then
      for i = 1, stacked and x.shape[1] or 1 do steps[i] = stacked or x.shape[1] end
    end
    for i, n in ipairs(steps) do
      if n < 1 or stacked and n > stacked then fail("sequence %d has %d steps%s", i, n,
        stacked and (" of %d"):format(stacked) or "") end
      sum = sum + n
    end
    if stacked and #steps ~= x.shape[1] then fail("%d lengths for %d sequences of x", #steps, x.shape[1]) end
    if not stacked and sum ~= x.shape[1] then fail("the lengths come to %d steps, x has %d", sum, x.shape[1]) end
    return {n = #steps, steps = steps, stacked = stacked, total = x.shape[1]}
  end

  -- Whether t has one value for each step, laid out as x is.
  local function by_step (t, at)
    local s = t.shape
    if #s > (at.stacked and 2 or 1) + (is_ids(t) and 0 or 1) then return false end
    if not at.stacked then return s[1] == at.total end
    return s[1] == at.n and s[2] == at.stacked
  end

  local function targets_of (d, at)
    local y, says = d.y, d.targets
    if not y then return says end
    local step, sequence = by_step(y, at), y.shape[1] == at.n and #y.shape <= (is_ids(y) and 1 or 2)
    if step and says ~= "sequence" then return "step" end
    if sequence and says ~= "step" then return "sequence" end
    fail("y %s: expected one %s for x %s", shape_of(y), says and "per " .. says or "per step or per sequence",
      shape_of(d.x))
  end

  -- The part of t that belongs to sequence i, which begins at step `from`.
  local function piece (t, at, i, from)
    if at.stacked then return t[i]:narrow(1, 1, at.steps[i]) end
    return t:narrow(1, from, at.steps[i])
  end

  local function add_split (d, list, targets)
    local o = d.split
    if not o or type(o[1]) ~= "number" then return o end
    o = schema.check("lurn.dataset: split", o, split.declaration)
    if o.by == "stratified" and not (d.y and targets == "sequence" and is_ids(d.y)) then
      fail("split: stratified needs one class per sequence for y")
    end
    if o.by == "grouped" and not d.group then fail("split: grouped needs an array group, one number per sequence") end
    local group = d.group and (type(d.group) == "table" and d.group or d.group:totable())
    if group and #group ~= #list then fail("group: %d numbers for %d sequences", #group, #list) end
    local parts = {}
    for i, s in ipairs(list) do parts[i] = {class = s.y, group = group and group[i]} end
    split.deal(parts, o, function (s) return s.class end)
    return split.ranges(parts)
  end

  return function (description)
    local d = schema.check("lurn.dataset", description, ARRAYS, 2)
    local at = layout_of(d)
    local targets, from, list = targets_of(d, at), 1, {}
    if d.mask and not by_step(d.mask, at) then fail("mask %s: expected one per step of x %s", shape_of(d.mask),
      shape_of(d.x)) end
    for i = 1, at.n do
      local y = d.y and (targets == "sequence" and d.y[i] or piece(d.y, at, i, from)) or nil
      list[i] = {x = piece(d.x, at, i, from), y = y, mask = d.mask and piece(d.mask, at, i, from)}
      from = from + at.steps[i]
    end
    list.split, list.targets = add_split(d, list, targets), targets
    for _, key in ipairs {"vocab", "classes", "unit", "source", "licence", "name"} do list[key] = d[key] end
    return list
  end
end
