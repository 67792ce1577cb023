--- Arrays of NumPy: .npy, and .npz, a zip archive of them.
--
--   local t = assert(lurn.npy "features.npy")              -- a tensor
--   local data = lurn.dataset(assert(lurn.npz "set.npz"))  -- of arrays x, y, lengths ... (arrays.lua)
--
-- Floating-point numbers and truth values become numbers, integers ids: in files they count from 0, in Lua from 1.
-- `lengths`, `offsets` and `group` are counts, not ids: lists of integers as they are.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local KINDS = {"numbers", "ids", "list"}
  local COUNTS = {lengths = "list", offsets = "list", group = "list"}
  local NPY = {as = {"string", nil, KINDS, "what integers are: ids, numbers, or a list of integers"}}
  local NPZ = {as = {"table", {}, nil, "the same, by the array's name: {x = \"numbers\"}"}}

  local function world (value, message, code)
    if value == nil then lurn.data.failure = message end
    return value, message, code
  end

  local function contents (path)
    local file, message = io.open(path, "rb")
    local bytes = file and file:read "a"
    if file then file:close() end
    if bytes then return bytes end
    return nil, message or path .. ": cannot be read", "EIO"
  end

  --- One array: a tensor, or with as = "list" a list of integers in C order; nil, message, code.
  ---@param path string
  ---@param options? {as: string?}
  function M.npy (path, options)
    local o = schema.check("lurn.npy", options, NPY)
    local bytes, message, code = contents(path)
    if not bytes then return world(nil, message, code) end
    local value
    value, message, code = lurn.core.npy.array(bytes, path, o.as)
    if value == nil then return world(nil, message, code) end
    return lurn.source.arrays(value, {path = path, hash = lurn.core.npy.hash(bytes, path), npy = {}})
  end

  local function check_kinds (where, as)
    for name, kind in next, as do schema.value(where, "as." .. tostring(name), kind, NPY.as, 3) end
  end

  local function check_found (where, as, found)
    for name in next, as do
      if found[name] == nil then error(("%s: as: there is no array '%s'"):format(where, name), 3) end
    end
  end

  -- Of all arrays, in the order of their names: how the archive is packed, and in what order, says nothing.
  local function hash_of (hashes)
    local lines = {}
    for member, hash in next, hashes do lines[#lines + 1] = ("%s %s\n"):format(member, hash) end
    table.sort(lines)
    return lurn.sys.sha256("", table.unpack(lines))
  end

  local function read_npz (path, as)
    local bytes, message, code = contents(path)
    local members, found, hashes = nil, {}, {}
    if bytes then members, message, code = lurn.core.npy.members(bytes, path) end
    if not members then return world(nil, message, code) end
    for member, text in next, members do
      local name = member:gsub("%.npy$", "")
      found[name], message, code = lurn.core.npy.array(text, path .. ": " .. member, as[name] or COUNTS[name])
      if found[name] == nil then return world(nil, message, code) end
      hashes[name] = lurn.core.npy.hash(text, member)
    end
    return lurn.source.arrays(found, {path = path, hash = hash_of(hashes), npz = {}})
  end

  --- All arrays of an archive by name; nil, message, code.
  ---@param path string
  ---@param options? {as: table<string, string>?}
  function M.npz (path, options)
    local o = schema.check("lurn.npz", options, NPZ)
    check_kinds("lurn.npz", o.as)
    local found, message, code = read_npz(path, o.as)
    if not found then return nil, message, code end
    check_found("lurn.npz", o.as, found)
    return found
  end

  -- "x=features.npy" -> x, features.npy; "dir/x.npy" -> x, dir/x.npy
  local function named (file)
    local name, path = file:match "^([%a_][%w_]*)=(.+)$"
    if name then return name, path end
    return file:match "([^/]*)$":gsub("%.npy$", ""), file
  end

  local IMPORT = {
    as = NPZ.as,
    targets = {"string", nil, {"step", "sequence", "next"}, "what y is one per"},
    split = {"table", nil, nil, "shares {train, valid, test, by =, seed =}"},
  }

  -- The arrays of one file by name.
  local function read (file, as)
    local name, path = named(file)
    if path:find "%.npz$" then return read_npz(path, as) end
    local value, message, code = M.npy(path, {as = as[name] or COUNTS[name]})
    if value == nil then return nil, message, code end
    return {[name] = value}
  end

  --- Writes files of arrays as a data set: the path, or nil, message, code. A file is a .npz, a .npy whose name says
  -- what it is (x.npy), or NAME=FILE.npy.
  ---@param files string[]
  ---@param out string
  ---@param options? table   as, targets, split
  function M.import_npy (files, out, options)
    local o, arrays = schema.check("lurn.import_npy", options, IMPORT), {}
    check_kinds("lurn.import_npy", o.as)
    for _, file in ipairs(files) do
      local some, message, code = read(file, o.as)
      if not some then return nil, message, code end
      for name, value in next, some do
        if arrays[name] ~= nil then error(("lurn.import_npy: array '%s' comes twice"):format(name), 2) end
        arrays[name] = value
      end
    end
    check_found("lurn.import_npy", o.as, arrays)
    if arrays.x == nil then error("lurn.import_npy: none of the arrays is called x; NAME=FILE gives a name", 2) end
    arrays.targets, arrays.split, arrays.source = o.targets, o.split, table.concat(files, " "):sub(-255)
    local data = lurn.dataset(arrays)
    local ok, message, code = data.set:save(out)
    if not ok then return world(nil, message, code) end
    return out
  end

  return M
end
