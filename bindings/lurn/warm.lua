--- Data that many trials load are loaded once: what lurn.text, lurn.open, lurn.csv and lurn.npz give is kept, and a
-- process that is forked afterwards has it already, in the same memory as all others.
--
-- A trial that loads something says so (on_load), its agent then loads it too (M.load), and later trials find it. What
-- was loaded is known by its file as it is now and by the options; a file that has changed is loaded again. Options
-- that hold functions or userdata are not plain enough to be compared: then nothing is kept.

return function (lurn)
  local M = {}

  local MOST = 16      -- data sets that are kept

  local LOADERS = {"text", "open", "csv", "npz"}
  local plain, kept, count = {}, {}, 0

  --- Called as on_load(name, path, options, seconds) when something was loaded, in so many seconds, that nobody had.
  M.on_load = nil

  local function is_plain (value)
    if type(value) ~= "table" then return type(value) ~= "function" and type(value) ~= "userdata" end
    for k, v in next, value do
      if not (type(k) == "string" or math.type(k) == "integer") or not is_plain(v) then return false end
    end
    return getmetatable(value) == nil
  end

  -- Sorted by key, so that equal options are equal texts; nil for what is not to be kept.
  local function text_of (value)
    if type(value) ~= "table" then return ("%s:%s"):format(math.type(value) or type(value), value) end
    local list = {}
    for k, v in next, value do list[#list + 1] = ("%s=%s"):format(k, text_of(v)) end
    table.sort(list)
    return "{" .. table.concat(list, ",") .. "}"
  end

  local function key_of (name, path, options)
    local identity = type(path) == "string" and lurn.sys.identity(path)
    if not identity or not is_plain(options) then return nil end
    return table.concat({name, path, identity, text_of(options)}, "\0")
  end

  local function loader (name)
    return function (path, options, ...)
      local key = select("#", ...) == 0 and key_of(name, path, options)
      local data = key and kept[key]
      if data then
        if lurn.current then lurn.current:adopt("data", data) end
        return data
      end
      local began = lurn.sys.clock()
      local message, code
      data, message, code = plain[name](path, options, ...)
      if data and key and M.on_load then M.on_load(name, path, options, lurn.sys.clock() - began) end
      return data, message, code
    end
  end

  -- HDF5 takes some milliseconds to come up: once here, not once a trial. The file is never committed: there is none.
  local function wake_h5 (folder)
    local file = lurn.h5.create(folder .. "/.warm.h5")
    if not file then return end
    file:attr("/", "warm", 1)
    file:abort()
  end

  --- From now on the loaders look first at what is kept. All of lurn is read now, not once a trial.
  ---@param folder string   where a file may be tried
  function M.install (folder)
    wake_h5(folder)
    pairs(lurn)
    for _, name in ipairs(LOADERS) do
      plain[name] = plain[name] or lurn[name]
      lurn[name] = loader(name)
    end
  end

  --- Loads what a trial said it had loaded. A file that cannot be read here is nobody's trouble.
  ---@return boolean kept
  function M.load (name, path, options)
    local key = plain[name] and key_of(name, path, options)
    if not key or kept[key] or count >= MOST then return false end
    local ok, data = pcall(plain[name], path, options)
    if not ok or not data then return false end
    kept[key], count = data, count + 1
    return true
  end

  return M
end
