--- Who goes to train, valid and test: shares of a list of sequences, as pure functions of the seed.
--
-- Not a module of its own: csv.lua and arrays.lua call it. A sequence is any table; its part is put into s.part.

return function (lurn)
  local M = {}

  --- Options of a split.
  M.declaration = {
    {"number", nil, {0, 1e9}},
    by = {"string", "ordered", {"ordered", "random", "stratified", "grouped"}, "who goes where"},
    group = {"string", nil, nil, "grouped: column whose equal values stay together"},
    seed = {"integer", 1, nil, "of random, stratified and grouped"},
  }

  M.names = {"train", "valid", "test"}

  --- How many of n go to each part: whole numbers whose sum is n, borders rounded.
  function M.counts (shares, n)
    local total, before, list = 0, 0, {}
    for k = 1, 3 do total = total + (shares[k] or 0) end
    if total <= 0 then error("split: all parts are 0", 0) end
    local sum = 0
    for k = 1, 3 do
      sum = sum + (shares[k] or 0)
      local border = math.floor(n * sum / total + 0.5)
      list[k], before = border - before, border
    end
    return list
  end

  local function deal (order, shares, each)
    local at = 0
    for k, n in ipairs(M.counts(shares, #order)) do
      for i = at + 1, at + n do each(order[i], M.names[k]) end
      at = at + n
    end
  end

  local function shuffled (list, seed, name)
    local out = {}
    for i, k in ipairs(lurn.rng.permutation(seed, "data", name, #list)) do out[i] = list[k] end
    return out
  end

  -- Lists of sequences that have the same key, in order of appearance.
  local function together (sequences, key)
    local by, list = {}, {}
    for _, s in ipairs(sequences) do
      local k = key(s)
      if not by[k] then
        by[k] = {}
        list[#list + 1] = by[k]
      end
      table.insert(by[k], s)
    end
    return list
  end

  local function put (s, part) s.part = part end

  local ways = {}

  function ways.ordered (sequences, o) deal(sequences, o, put) end
  function ways.random (sequences, o) deal(shuffled(sequences, o.seed, "split"), o, put) end

  -- Each class is dealt by itself.
  function ways.stratified (sequences, o, class)
    for k, list in ipairs(together(sequences, class)) do deal(shuffled(list, o.seed, "split" .. k), o, put) end
  end

  function ways.grouped (sequences, o)
    local groups = together(sequences, function (s) return s.group end)
    deal(shuffled(groups, o.seed, "split"), o, function (group, part)
      for _, s in ipairs(group) do put(s, part) end
    end)
  end

  --- Gives every sequence its part; o as `declaration` says. class (s): what "stratified" keeps the shares of.
  function M.deal (sequences, o, class) ways[o.by](sequences, o, class) end

  --- The first part that was to have a share and has no sequence; nil: none is empty.
  ---@param shares number[]
  ---@param sequences table[]   that have their parts
  ---@return string?
  function M.empty (shares, sequences)
    local has = {}
    for _, s in ipairs(sequences) do has[s.part] = true end
    for k, name in ipairs(M.names) do if (shares[k] or 0) > 0 and not has[name] then return name end end
  end

  --- {train = {{first, last}, ...}, ...} of sequences that have their parts; nil when none has.
  function M.ranges (sequences)
    local ranges = {}
    for i, s in ipairs(sequences) do
      if s.part then
        local list = ranges[s.part] or {}
        ranges[s.part] = list
        local last = list[#list]
        if last and last[2] == i - 1 then last[2] = i else list[#list + 1] = {i, i} end
      end
    end
    return next(ranges) and ranges or nil
  end

  return M
end
