--- The groups of tensors in a run file: weights, best weights, moments, carried state.
--
-- Attribute sha256 of a group: SHA-256 over name, line break and bytes of each tensor, in the order of names, as
-- little-endian numbers of the file's precision. By it the reader knows that what it read is what was written: HDF5
-- has checksums for its structures, not for numbers. Files of before there were digests are read without.
--
-- Not a module of its own: runfile.lua calls it with its ways of refusing a file.

---@param lurn table
---@param try function       a value, or raises the nil, message, code of the outside world
---@param damaged function   (path, format, ...): raises
return function (lurn, try, damaged)
  local M = {}

  local function digest_of (sys, tensors)
    local names, pieces = {}, {}
    for name in next, tensors do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do pieces[2 * i - 1], pieces[2 * i] = name .. "\n", tensors[name] end
    return sys.sha256("", table.unpack(pieces))
  end

  --- Writes tensors by name into a group.
  ---@param w any
  ---@param group string
  ---@param tensors table<string, any>
  function M.write (w, group, tensors)
    for name, tensor in next, tensors do try(w:write(group .. "/" .. name, tensor)) end
    if next(tensors) then try(w:attr(group, "sha256", digest_of(lurn.sys, tensors))) end
  end

  --- What is in a group, by name; of nothing an empty table.
  ---@param r any
  ---@param path string     of the file, for messages
  ---@param group string
  ---@param except? string  a name that is left out
  ---@return table<string, any>
  function M.list (r, path, group, except)
    local out = {}
    if not r:exists(group) then return out end
    for _, name in ipairs(try(r:list(group))) do
      local array = group .. "/" .. name
      if name ~= except then
        if not r:shape(array) then damaged(path, "%s is a group among arrays", array) end
        out[name] = try(r:read(array))
      end
    end
    return out
  end

  -- The digest of what is in the file. Bytes are those of its precision, so that the core of that precision looks.
  local function digest_in (file, group, tensors, except)
    if file.precision == lurn.precision then return digest_of(lurn.sys, tensors) end
    local core = require("lurn." .. file.precision)
    local r <close> = try(core.h5.open(file.path))
    return digest_of(core.sys, M.list(r, file.path, group, except))
  end

  --- The tensors of a group, by name; refuses those that are not what was written.
  ---@param r any
  ---@param file table      with path and precision
  ---@param group string
  ---@param except? string
  ---@return table<string, any>
  function M.read (r, file, group, except)
    local tensors = M.list(r, file.path, group, except)
    local digest = next(tensors) and r:attr(group, "sha256")
    local ok, is = pcall(digest_in, file, group, tensors, except)      -- what is no tensor has no bytes
    if digest and not (ok and digest == is) then
      damaged(file.path, "%s: its tensors are not those that its digest was made of", group)
    end
    return tensors
  end

  return M
end
