--- Where the data of a run came from: how a file was read, so that it can be read again, and the hash of what was in
-- it.
--
-- The manifest has a source for every data set and every file of arrays: {path, hash, ...} and how it was read:
--
--   text = {level, split, min_count}     lurn.text
--   csv = {options of lurn.csv}          lurn.csv; its split is {shares = {80, 10, 10}, by = ...}
--   npy = {}, npz = {}, idx = {most}     lurn.npy, lurn.npz, lurn.idx: arrays
--   none of them                         lurn.open
--
-- One of a table has its scale, too, normalisation = {x = {columns, mean, deviation}, y = ...} and classes = {...}, so
-- that another table can be read as it was when it is gone. A data set file that was made of a table says what that was.
--
-- The hash is one of the content: that of the data set (data.hash), or of the arrays, whatever way they are packed.

return function (lurn)
  local M = {}

  local ARRAYS = {"npy", "npz", "idx"}

  ---------------------------------------------------------------- arrays

  -- What was read from a file of arrays -> its source. A data set is its own.
  local read = setmetatable({}, {__mode = "k"})

  --- The source of what a reader of files gave: a data set, or arrays.
  function M.of (value) return read[value] or value end

  --- Says that the run in progress, if any, uses what was read. A script may read one file several times.
  ---@param value any
  function M.adopt (value)
    local run, source = lurn.current, M.of(value)
    if not run then return value end
    if source == value then return run:adopt("data", value) end
    for _, known in ipairs(run.sources) do
      if known.path == source.path and known.hash == source.hash then return value end
    end
    run.sources[#run.sources + 1] = source
    return value
  end

  --- What a reader of arrays gives: the value, whose source is known from now on.
  ---@param value table|userdata
  ---@param source table   {path, hash, npy|npz|idx = {...}}
  function M.arrays (value, source)
    read[value] = source
    return M.adopt(value)
  end

  --- Whether a source of a manifest is one of arrays, and of which reader.
  ---@return string? name
  function M.is_arrays (source)
    for _, name in ipairs(ARRAYS) do if source[name] then return name end end
  end

  ---------------------------------------------------------------- tables

  --- Options of lurn.csv as a manifest has them. JSON knows lists and objects, and the split is both.
  function M.written (options)
    local out = {}
    for key, value in next, options do out[key] = value end
    if out.split then
      out.split = {shares = {table.unpack(options.split)}}
      for key, value in next, options.split do if type(key) == "string" then out.split[key] = value end end
    end
    return out
  end

  local function options_of (written)
    local out = {}
    for key, value in next, written do out[key] = value end
    if out.split then
      out.split = {table.unpack(written.split.shares)}
      for key, value in next, written.split do if key ~= "shares" then out.split[key] = value end end
    end
    return out
  end

  ---------------------------------------------------------------- again

  --- Reads a data set or arrays again, from a file that may be the same: nil, message, code when it cannot be read so.
  ---@param source table   of a manifest
  ---@param path string
  ---@param vocab? table   of a text, frozen
  function M.open (source, path, vocab)
    local t, arrays = source.text, M.is_arrays(source)
    if t then return lurn.text(path, {level = t.level, split = t.split, min_count = t.min_count, vocab = vocab}) end
    if source.csv and not lurn.data.is_hdf5(path) then return lurn.csv(path, options_of(source.csv)) end
    if arrays == "idx" then return lurn.idx(path, source.idx.most) end
    return lurn[arrays or "open"](path)
  end

  --- The scale of a table, as a manifest has it; nothing of data that are none.
  ---@param data lurn.Data
  ---@return table? normalisation
  ---@return string[]? classes
  function M.scale (data)
    if data.csv then return data.normalisation, data.set.classes end
  end

  --- Reads a table that a model is to be used on as its own one was read: the same classes, the same scale, one part.
  -- Without `targets` it need not have any, windows go up to its last row; data.classes and data.normalisation are the
  -- own one's all the same. The manifest may be anybody's, and so may what it says of the own one.
  ---@param source table   of a manifest: {csv = ..., normalisation = ..., classes = ...}
  ---@param path string
  ---@param targets boolean
  function M.alike (source, path, targets)
    local o = options_of(source.csv)
    o.split, o.normalise, o.class = nil, next(source.normalisation) and source.normalisation, source.classes
    if not targets then o.y, o.horizon = nil, nil end
    local ok, data, message, code = pcall(lurn.csv, path, o)
    if not ok then return nil, tostring(data), "EFORMAT" end
    if data then data.classes, data.normalisation = source.classes, source.normalisation end
    return data, message, code
  end

  --- The hash of the content of a file, read as a source was, and what was read; nil when it cannot be read so. The
  -- manifest may be anybody's, and so may its options.
  ---@param source table
  ---@param path string
  ---@return string? hash
  ---@return any data
  function M.hash (source, path)
    local run = lurn.current
    lurn.current = nil        -- what is only looked at is not the run's
    local ok, value = pcall(M.open, source, path)
    lurn.current = run
    if ok and value then return M.of(value).hash, value end
  end

  return M
end
