--- Bundles: runs, or the study of a sweep with the run files it kept, a table over their seeds and, if wanted, their
-- data, in one HDF5 file to give away.
--
--   /              attributes: format, version (2 with a study), created, headline (the name of the best run or trial)
--   /study         what a store knows of it, see bundle_study.lua
--   /runs/NAME/... a run file as it is, one level deeper; its attributes are those of the group
--   /data/NAME     a data file's bytes; attributes: size, sha256 (of the bytes), hash (of the content), path
--   /table         mean and spread over seeds, Markdown; /table_csv with all digits
--
-- Taking one apart gives the run files back. Nothing of a bundle is executed here.

return function (lurn)
  local shelf, sheet, copy = require "lurn.shelf" (lurn), require "lurn.sheet" (lurn), require "lurn.h5_copy" (lurn)
  local studies = require "lurn.bundle_study" (lurn)
  local M = {studies = studies}

  M.format, M.version = "lurn bundle", 2

  ---------------------------------------------------------------- the table

  local function key_of (row, names)
    local words = {row.name}
    for i, name in ipairs(names) do words[i + 1] = tostring(row.params[name]) end
    return table.concat(words, "\0")
  end

  local function figure (row, metric)
    local value
    if metric then value = shelf.value(row, metric) else value = row.best end
    return type(value) == "number" and value == value and value or nil
  end

  -- Mean, sample standard deviation (n - 1), smallest and largest.
  local function spread (list)
    local sum, squares, low, high = 0.0, 0.0, math.huge, -math.huge
    for _, x in ipairs(list) do sum, low, high = sum + x, math.min(low, x), math.max(high, x) end
    local mean = sum / #list
    for _, x in ipairs(list) do squares = squares + (x - mean)^2 end
    return mean, #list > 1 and math.sqrt(squares / (#list - 1)) or false, low, high
  end

  -- Runs of one setting together: a list of {cells, values}, and the heads of cells.
  local function groups_of (rows, metric)
    local names, by_key, groups, head = shelf.varying(rows), {}, {}, {"run"}
    table.move(names, 1, #names, 2, head)
    for _, row in ipairs(rows) do
      local key = key_of(row, names)
      local group = by_key[key]
      if not group then
        group = {cells = {row.name}, values = {}}
        by_key[key], groups[#groups + 1] = group, group
        for _, name in ipairs(names) do
          local value = row.params[name]
          table.insert(group.cells, type(value) == "boolean" and tostring(value) or value or false)
        end
      end
      table.insert(group.values, figure(row, metric))
    end
    return groups, head
  end

  --- A line for every setting of the parameters, over its seeds: head and rows. The figure is the best value of what
  -- the experiment is about, or that of a metric. Those of a study are its configurations, best first.
  ---@param rows table[]   of shelf.row
  ---@param metric? string
  ---@param study? table   as bundle_study.lua gathers it, instead of the rows
  function M.table_of (rows, metric, study)
    local groups, head = (study and studies.groups or groups_of)(study or rows, metric)
    local out = {}
    table.move({"seeds", "mean", "sd", "min", "max"}, 1, 5, #head + 1, head)
    for k, group in ipairs(groups) do
      local cells, n = group.cells, #group.values
      local figures = n > 0 and {spread(group.values)} or {false, false, false, false}
      out[k] = table.move({n, table.unpack(figures)}, 1, 5, #cells + 1, cells)
    end
    return head, out
  end

  --- The table as "md" or "csv".
  function M.table_text (rows, kind, metric, study)
    local head, cells = M.table_of(rows, metric, study)
    return sheet[kind == "csv" and "csv" or "markdown"](head, cells)
  end

  ---------------------------------------------------------------- making one

  -- A name that any file may have.
  local function plain (name) return (name:gsub("[^%w_.%-]", "_"):gsub("^%.", "_")) end

  -- a/b/run-1.h5 -> run-1; a second of that name gets a number.
  local function name_in (taken, path)
    local stem = plain((path:match "[^/]*$":gsub("%.h5$", "")))
    local name, k = stem, 1
    while taken[name] do k, name = k + 1, ("%s-%d"):format(stem, k + 1) end
    taken[name] = true
    return name
  end

  local function add_run (w, name, path)
    local r <close> = assert(copy.h5().open(path))
    local group = "/runs/" .. name
    copy.group(r, "", w, group)
    copy.attributes(r, "/", w, group)
  end

  local function bytes_of (path)
    local file = io.open(path, "rb")
    local bytes = file and file:read "a"
    if file then file:close() end
    return bytes
  end

  -- The file that holds a run's data, where it was or among those given, as the lurn of the run's precision reads it.
  local function find_data (source, row, given)
    local reader = lurn[row.precision].source
    for _, place in ipairs(lurn.manifest.places(row.file.manifest, source.path, given)) do
      if lurn.sys.exists(place) and reader.hash(source, place) == source.hash then return place end
    end
  end

  -- Files are told by their bytes here: one may have been read in several ways.
  local function add_data (w, row, given, taken, done)
    for _, source in ipairs(row.file.manifest.data or {}) do
      if source.path and not done[source.hash] then
        local place = find_data(source, row, given)
        local bytes = place and bytes_of(place)
        if not bytes then
          return nil, ("%s: the data of %s are not there (--data FILE says where)"):format(source.path, row.path)
        end
        local digest = lurn.sys.sha256(bytes)
        if not done[digest] then
          local name = "/data/" .. name_in(taken, source.path)
          assert(w:write(name, bytes))
          for key, value in next, {size = #bytes, sha256 = digest, hash = source.hash, path = source.path} do
            assert(w:attr(name, key, value))
          end
        end
        done[source.hash], done[digest] = true, true
      end
    end
    return true
  end

  local function headline_of (rows, names, study)
    local best = study and studies.headline(study)
    if study then return best and studies.name(best.number) or "" end
    shelf.mark_best(rows)
    for i, row in ipairs(rows) do if row.best_of_name then return names[i] end end
    return names[1]
  end

  local function write (path, rows, with_data, given, study)
    local w <close> = assert(copy.h5().create(path))
    local taken, names, by_path, files, done = {}, {}, {}, {}, {}
    for i, row in ipairs(rows) do
      names[i] = name_in(taken, row.path)
      by_path[row.path] = names[i]
      add_run(w, names[i], row.path)
      if with_data then assert(add_data(w, row, given, files, done)) end
    end
    if study then studies.write(w, study, by_path) end
    assert(w:write("/table", M.table_text(rows, "md", nil, study)))
    assert(w:write("/table_csv", M.table_text(rows, "csv", nil, study)))
    for key, value in next, {format = M.format, version = study and 2 or 1, created = lurn.manifest.date(),
      headline = headline_of(rows, names, study)} do assert(w:attr("/", key, value)) end
    assert(w:commit())
    return names
  end

  -- What f gives, or nil and the message of its error, without the place in the source.
  local function attempt (f, ...)
    local ok, result = pcall(f, ...)
    if ok then return result end
    return nil, (tostring(result):gsub("^[^\n]-%.lua:%d+: ", ""))
  end

  --- Writes a bundle: the names of its runs, or nil and a message.
  ---@param path string
  ---@param rows table[]       of shelf.row, none of them broken
  ---@param with_data boolean  their data too
  ---@param given string[]     files that may be the data
  ---@param study? table       as bundle_study.lua gathers it; rows are those of its run files
  ---@return string[]? names
  ---@return string? message
  function M.write (path, rows, with_data, given, study)
    return attempt(write, path, rows, with_data, given, study)
  end

  ---------------------------------------------------------------- taking one apart

  --- Whether a file is a bundle; a message when it is one that this lurn does not know.
  ---@return boolean is
  ---@return string? message
  function M.is (path)
    local r = lurn.h5.open(path)
    if not r then return false end
    local format, version = r:attr("/", "format"), r:attr("/", "version")
    r:close()
    if format ~= M.format then return false end
    if math.type(version) ~= "integer" or version > M.version then
      return true, ("%s: a bundle of version %s; this lurn knows versions up to %d"):format(path, tostring(version),
        M.version)
    end
    return true
  end

  -- A name of somebody else's file becomes that of a file here.
  local function checked (path, name)
    if not name:find "^[%w_-][%w_.%-]*$" then error(("%s: a name that is no file's: '%s'"):format(path, name), 0) end
    return name
  end

  local function extract_run (r, path, name, folder)
    local target = ("%s/%s.h5"):format(folder, checked(path, name))
    local w <close> = assert(copy.h5().create(target))
    copy.group(r, "/runs/" .. name, w, "")
    copy.attributes(r, "/runs/" .. name, w, "/")
    assert(w:commit())
    return target
  end

  local function extract_data (r, path, name, folder)
    local source = "/data/" .. name
    local target = ("%s/%s"):format(folder, checked(path, name))
    local bytes, size, sha256 = assert(r:read(source)), r:attr(source, "size"), r:attr(source, "sha256")
    if type(bytes) ~= "string" or math.type(size) ~= "integer" or size < #bytes or size > #bytes + 2^20 then
      error(("%s: %s is damaged"):format(path, source), 0)
    end
    bytes = bytes .. ("\0"):rep(size - #bytes)      -- zeros at the end of a text are lost in HDF5
    if lurn.sys.sha256(bytes) ~= sha256 then error(("%s: %s is damaged"):format(path, source), 0) end
    local file = assert(io.open(target, "wb"))
    assert(file:write(bytes))
    assert(file:close())
    return target
  end

  local function extract (path, folder)
    local r <close> = assert(copy.h5().open(path))
    local out = {runs = {}, data = {}, headline = r:attr("/", "headline"), study = studies.read(r, path)}
    assert(lurn.sys.mkdir(folder))
    for _, name in ipairs((r:exists "/runs" or not out.study) and assert(r:list "/runs") or {}) do
      out.runs[name] = extract_run(r, path, name, folder)
    end
    for _, name in ipairs(r:exists "/data" and assert(r:list "/data") or {}) do
      out.data[#out.data + 1] = extract_data(r, path, name, folder)
    end
    return out
  end

  -- The study as a store, FOLDER/NAME.db, which has its run files where they are now.
  local function extract_store (parts, folder)
    local stem, runs = plain(parts.study.name), {}
    for name, file in next, parts.runs do runs[name] = lurn.shell.absolute(file) end
    parts.store = ("%s/%s.db"):format(folder, stem)
    studies.restore(parts.study, parts.store, runs, lurn.shell.absolute(folder))
  end

  --- The run files and the data of a bundle as files in a folder, or nil and a message:
  -- {runs = {NAME = path}, data = {path, ...}, headline = NAME, study = as it was gathered}
  ---@param path string
  ---@param folder string
  ---@param with_store? boolean   a study becomes a store there, too: store = its path
  function M.extract (path, folder, with_store)
    return attempt(function ()
      local parts = extract(path, folder)
      if with_store and parts.study then extract_store(parts, folder) end
      return parts
    end)
  end

  --- The same in a folder that is gone when the value is closed (local parts <close> = ...).
  function M.opened (path)
    local folder = os.tmpname()
    os.remove(folder)
    local parts, message = M.extract(path, folder)
    local function remove ()
      for _, file in next, parts and parts.runs or {} do os.remove(file) end
      for _, file in ipairs(parts and parts.data or {}) do os.remove(file) end
      os.remove(folder)
    end
    if not parts then
      remove()
      return nil, message
    end
    return setmetatable(parts, {__close = remove})
  end

  return M
end
