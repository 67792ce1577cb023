--- Writes the data set that a table makes, with what was done to its numbers.
--
-- Not a module of its own: csv.lua calls this with its reader.

return function (lurn, csv)
  local function column (set, name)
    local list = {}
    for i = 1, set.n do
      local t = set:sequence(i)[name]
      if not t then return nil end
      if name == "y" and set.targets == "sequence" then
        t = t:dtype() == "ids" and t:reshape(1) or t:reshape(1, t:numel())
      end
      list[i] = t
    end
    return lurn.cat(list, 1)
  end

  -- What the column `time` says of all steps, one sequence behind the other, as x has them.
  local function times_of (data)
    if not data.times then return nil end
    local list = {}
    for i, n in ipairs(data.set.lengths) do table.move(data.times[i], 1, n, #list + 1, list) end
    return list
  end

  local function arrays_of (data)
    local set = data.set
    local offsets, arrays = {0}, {names = data.names, times = times_of(data), x = column(set, "x"),
      y = column(set, "y"), classes = set.classes}
    for i, n in ipairs(set.lengths) do offsets[i + 1] = offsets[i] + n end
    arrays.offsets = offsets
    for name, ranges in next, set.splits do
      local list = {}
      for i, r in ipairs(ranges) do list[i] = {r[1] - 1, r[2]} end      -- from 0, the end is not in it
      arrays["split/" .. name] = list
    end
    return arrays
  end

  -- The hash is left out: readers work it out. Attributes are texts, so that any program can read them.
  local function attributes_of (data)
    local set = data.set
    local list = {lurn_schema = 1, kind = "sequences", unit = "sequence", source = set.source, targets = set.targets,
      csv = lurn.json.encode(data.csv)}
    for key, what in next, data.normalisation do list["normalisation_" .. key] = lurn.json.encode(what) end
    return list
  end

  --- Writes a table as a data set file: the path and data.notes, or nil, message, code. The means and deviations are
  -- the attributes normalisation_x and normalisation_y, how the table was read is the attribute csv, in JSON.
  ---@param path string
  ---@param out string
  ---@param options table   as for lurn.csv
  return function (path, out, options)
    local data, message, code = csv(path, options)
    if not data then return nil, message, code end
    local w
    w, message, code = lurn.h5.create(out)
    local function try (ok, why, which)
      if ok == nil or ok == false then error({why, which}, 0) end
    end
    local done, e = pcall(function ()
      try(w, message, code)
      for name, value in next, arrays_of(data) do try(w:write("/" .. name, value)) end
      for key, value in next, attributes_of(data) do try(w:attr("/", key, value)) end
      try(w:commit())
    end)
    if done then return out, data.notes end
    if type(e) ~= "table" then error(e, 0) end
    lurn.data.failure = e[1]
    return nil, e[1], e[2]
  end
end
