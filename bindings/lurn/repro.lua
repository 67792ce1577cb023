--- What makes a script as reproducible as the engine: `pairs` in sorted order, and math.random as
-- a stream that a checkpoint can hold. Installed while a run plays, taken out afterwards.

return function (lurn)
  local M = {}

  local plain_pairs, plain_random, plain_seed = pairs, math.random, math.randomseed

  --- The stream: element i of the named stream of the seed. Its whole state is name and i.
  M.stream = {seed = 1, name = "", i = 0}

  local rank = {number = 1, string = 2, boolean = 3}

  local function before (a, b)
    local x, y = rank[type(a)] or 4, rank[type(b)] or 4
    if x ~= y then return x < y end
    if x < 3 then return a < b end
    if x == 3 then return a and not b or false end
    return false        -- functions, tables, userdata have no order that survives a restart
  end

  local function sorted_next (keys)
    local i = 0
    return function (t)
      local value
      repeat
        i = i + 1
        if keys[i] == nil then return nil end
        value = t[keys[i]]
      until value ~= nil            -- entries may be cleared on the way, as with `next`
      return keys[i], value
    end
  end

  --- Like pairs, but visits numbers, then strings, then booleans, each in rising order.
  ---@param t table
  function M.pairs (t)
    local meta = getmetatable(t)
    if type(t) ~= "table" or (type(meta) == "table" and meta.__pairs) then return plain_pairs(t) end
    local keys = {}
    for k in next, t do keys[#keys + 1] = k end
    table.sort(keys, before)
    return sorted_next(keys), t, nil
  end

  local function draw ()
    local s = M.stream
    s.i = s.i + 1
    return s
  end

  --- math.random: the same arguments and results, but element after element of the stream.
  function M.random (low, high, ...)
    if select("#", ...) > 0 then error("wrong number of arguments", 2) end
    if low == nil then
      local s = draw()
      return lurn.core.rng.uniform(s.seed, "script", s.name, s.i)
    end
    if high == nil then low, high = 1, low end
    low = math.tointeger(low) or error("bad argument #1 to 'random' (an integer expected)", 2)
    high = math.tointeger(high) or error("bad argument #2 to 'random' (an integer expected)", 2)
    if low > high then error("bad argument to 'random' (interval is empty)", 2) end
    local s = draw()
    return low + lurn.core.rng.below(s.seed, "script", s.name, s.i, high - low + 1)
  end

  --- math.randomseed: another stream of the same run, from its beginning.
  function M.randomseed (name)
    M.stream.name, M.stream.i = name == nil and "" or tostring(name), 0
  end

  ---@param stream table {seed, name, i}
  function M.install (stream)
    M.stream = stream
    rawset(_G, "pairs", M.pairs)
    rawset(math, "random", M.random)
    rawset(math, "randomseed", M.randomseed)
  end

  function M.uninstall ()
    rawset(_G, "pairs", plain_pairs)
    rawset(math, "random", plain_random)
    rawset(math, "randomseed", plain_seed)
  end

  return M
end
