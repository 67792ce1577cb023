--- Times, sizes and rates as people say and write them.

return function ()
  local M = {}

  --- Seconds as people say them: 12s, 3m05s, 2h07m.
  ---@param s number
  ---@return string
  function M.duration (s)
    if s ~= s or s == math.huge then return "?" end
    local whole = math.floor(s + 0.5)
    if whole < 60 then return whole .. "s" end
    if whole < 3600 then return ("%dm%02ds"):format(whole // 60, whole % 60) end
    if whole < 86400 then return ("%dh%02dm"):format(whole // 3600, whole % 3600 // 60) end
    return ("%dd%02dh"):format(whole // 86400, whole % 86400 // 3600)
  end

  --- A rate with a prefix: 950, 54.3k, 1.20M.
  ---@param x number
  ---@return string
  function M.rate (x)
    if x ~= x or x == math.huge then return "?" end
    if x >= 1e6 then return ("%.2fM"):format(x / 1e6) end
    if x >= 1e3 then return ("%.1fk"):format(x / 1e3) end
    return x >= 10 and ("%.0f"):format(x) or ("%.2g"):format(x)
  end

  --- Bytes as people say them: 950 bytes, 54.3 kB, 1.2 MB.
  ---@param bytes integer
  ---@return string
  function M.size (bytes)
    if bytes < 1000 then return bytes .. " bytes" end
    for _, unit in ipairs {"kB", "MB", "GB", "TB"} do
      bytes = bytes / 1000
      if bytes < 1000 or unit == "TB" then return ("%.1f %s"):format(bytes, unit) end
    end
  end

  local SECONDS = {[""] = 1, s = 1, m = 60, h = 3600, d = 86400}
  local BYTES = {[""] = 1, k = 1e3, kb = 1e3, m = 1e6, mb = 1e6, g = 1e9, gb = 1e9, kib = 1024, mib = 1024^2,
    gib = 1024^3}

  local function read (text, units)
    local number, unit = text:match "^([%d.]+)%s*(%a*)$"
    local factor = unit and units[unit:lower()]
    return factor and tonumber(number) and tonumber(number) * factor or nil
  end

  --- "90", "15m", "2h" in seconds; nil when it is none.
  ---@param text string
  ---@return number?
  function M.seconds (text) return read(text, SECONDS) end

  --- "500MB", "2g" in bytes; nil when it is none.
  ---@param text string
  ---@return integer?
  function M.bytes (text)
    local bytes = read(text, BYTES)
    return bytes and math.tointeger(bytes // 1)
  end

  return M
end
