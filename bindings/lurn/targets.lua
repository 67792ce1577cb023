--- Targets that are numbers, seen as a whole: a loss or a metric may be for some of them only, and says so before the
-- first step instead of a figure that means nothing.

return function ()
  local M = {}

  -- A set does not change: it is read once. {low, high, binary}
  local seen = setmetatable({}, {__mode = "k"})

  local function note (f, low, high, binary)
    f.low, f.high, f.binary = math.min(f.low, low), math.max(f.high, high), f.binary and binary
  end

  -- Number by number: steps whose mask is 0 may hold anything, NaN as well.
  local function walk (f, t, mask)
    for k, x in ipairs(t) do
      local m = mask and mask[k]
      if type(m) == "table" then m = m[1] end
      if m == 0 then goto next_one end
      if type(x) == "table" then walk(f, x)
      elseif x == x then note(f, x, x, x == 0 or x == 1) end
      ::next_one::
    end
  end

  local function look (set)
    local f = {low = math.huge, high = -math.huge, binary = true}
    for i = 1, set.n do
      local s = set:sequence(i)
      local y = s.y or set.targets == "next" and s.x
      local low = y and y:numel() > 0 and not s.mask and y:min()
      if low and low == low then note(f, low, y:max(), f.binary and (y * y - y):abs():max() == 0)
      elseif y then walk(f, y:totable(), s.mask and s.mask:totable()) end
    end
    return f
  end

  local function set_of (split) return type(split) == "table" and split.data and split.data.set or nil end

  --- What a split's targets are; nil where there are none, or it is not a data set's.
  ---@param split any
  ---@return "numbers"|"classes"|nil
  function M.kind (split)
    local set = set_of(split)
    return set and (set.y_dim and "numbers" or set.nclass and "classes") or nil
  end

  --- The range of a split's targets and whether all are 0 or 1; nil where they are no numbers, or not a data set's.
  ---@param split any
  ---@return {low: number, high: number, binary: boolean}?
  function M.of (split)
    if M.kind(split) ~= "numbers" then return nil end
    local set = set_of(split)
    seen[set] = seen[set] or look(set)
    return seen[set]
  end

  --- A loss of probabilities has no meaning for other numbers: -8.8 for a cross-entropy.
  ---@param where string
  ---@param model lurn.Model   of lurn.stack; nobody knows what the function of another one costs
  ---@param split any
  ---@param level integer      as in error
  function M.check_loss (where, model, split, level)
    local loss = model.info and model.info.loss
    local f = loss and loss.probabilities and M.of(split)
    if f and (f.low < 0 or f.high > 1) then
      error(("%s: lurn.loss.%s is for targets from 0 to 1, and there are %.4g to %.4g; a table's normalise = \"x\" "
        .. "leaves targets as they are"):format(where, loss.name, f.low, f.high), level + 1)
    end
  end

  local TARGETS = "batch field 'y': the model expects (%a+) %b() (%a+), got (%a+) %(%d+%) (%a+)"

  --- The engine's message about a batch that does not fit, and where it is about targets what to do.
  ---@param message any
  function M.advise (message)
    local want_axis, want, have_axis, have = tostring(message):match(TARGETS)
    local advice = {}
    if want_axis == "time" and have_axis == "row" then
      advice[1] = "give the last recurrent layer pool = \"last\""
    end
    if want == "real" and have == "index" then
      advice[#advice + 1] = "y is a class: lurn.loss.cross_entropy()"
    elseif want == "index" and have == "real" then
      advice[#advice + 1] = "y is numbers: lurn.loss.mse(), or class = true in lurn.csv"
    end
    return advice[1] and message .. "; " .. table.concat(advice, "; ") or message
  end

  return M
end
