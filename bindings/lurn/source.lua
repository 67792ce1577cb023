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
-- The options of a table are as they came out: its classes and its normalisation, not that there are any, so that
-- another table can be read as it was when it is gone. A data set file that was made of a table has them, too.
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

  --- Until the value is closed, what is read is only looked at, and not the run's.
  function M.aside ()
    local run = lurn.current
    lurn.current = nil
    return setmetatable({}, {__close = function () lurn.current = run end})
  end

  -- The manifest may be anybody's, and so may its options.
  local function read_table (path, options)
    local ok, data, message, code = lurn.patience.pcall(lurn.csv, path, options)
    if not ok then return nil, tostring(data), "EFORMAT" end
    return data, message, code
  end

  --- Reads a data set or arrays again, from a file that may be the same: nil, message, code when it cannot be read so.
  ---@param source table   of a manifest
  ---@param path string
  ---@param vocab? table   of a text, frozen
  function M.open (source, path, vocab)
    local t, arrays = source.text, M.is_arrays(source)
    if t then return lurn.text(path, {level = t.level, split = t.split, min_count = t.min_count, vocab = vocab}) end
    if source.csv and not lurn.data.is_hdf5(path) then return read_table(path, options_of(source.csv)) end
    if arrays == "idx" then return lurn.idx(path, source.idx.most) end
    return lurn[arrays or "open"](path)
  end

  --- The first source of a run that is a data set's file; nil where there is none.
  ---@param file table   what lurn.runfile.read gave
  function M.own_source (file)
    for _, source in ipairs(file.manifest.data or {}) do
      if source.path and not M.is_arrays(source) then return source end
    end
  end

  --- The data set of that source, from where it was: looked for here, then where the run was started. Says on stderr
  -- when it is no longer the same.
  ---@param file table
  ---@return lurn.Data? data
  ---@return boolean|string? same   or a message
  function M.own_data (file)
    local source = M.own_source(file)
    if not source then return nil, file.path .. ": data that came from no file" end
    local path, folder = source.path, file.manifest.folder
    if not lurn.sys.exists(path) and not path:find "^/" and folder then path = folder .. "/" .. path end
    local data, message = M.open(source, path, file.vocab)
    if not data then return nil, message end
    if source.hash and data.hash ~= source.hash then
      io.stderr:write(("lurn: %s is not the data of the run any more: its hash is %.12s, and was %.12s\n")
        :format(path, data.hash, source.hash))
    end
    return data, source.hash and data.hash == source.hash
  end

  --- Whether the options of a table say how it came out; those of earlier versions said what was asked for.
  ---@param source table   of a manifest: {csv = ...}
  function M.is_settled (source)
    local o = source.csv
    local has_scale = not o.normalise or type(o.normalise) == "table"
    return has_scale and (not o.y or o.class == false or type(o.class) == "table")
  end

  --- Reads a table that a model is to be used on as its own one was read: the same classes, the same scale, one part.
  -- Without `targets` it need not have any, and windows go from row to row up to its last one, whatever the stride that
  -- was enough to learn; data.classes and data.normalisation are the own one's all the same.
  ---@param source table   of a manifest, settled
  ---@param path string
  ---@param targets boolean
  ---@param given? table   options of lurn.csv that are other than the own table's: how this one is written
  function M.alike (source, path, targets, given)
    local o = options_of(source.csv)
    for key, value in next, given or {} do o[key] = value end
    local classes, normalisation = o.class or nil, o.normalise or {}
    o.split = nil
    if not targets then o.y, o.horizon, o.stride = nil, nil, nil end
    local data, message, code = read_table(path, o)
    if data then data.classes, data.normalisation = classes, normalisation end
    return data, message, code
  end

  --- The hash of the content of a file, read as a source was, and what was read; nil when it cannot be read so. The
  -- manifest may be anybody's, and so may its options.
  ---@param source table
  ---@param path string
  ---@return string? hash
  ---@return any data
  function M.hash (source, path)
    local _ <close> = M.aside()
    local ok, value = lurn.patience.pcall(M.open, source, path)
    if ok and value then return M.of(value).hash, value end
  end

  return M
end
