--- Numbers as bars of text, for a terminal, a log or a mail.
--
-- Bars are eighths of blocks where the locale has UTF-8 (LC_ALL, else LC_CTYPE, else LANG), plain # elsewhere. There is
-- no colour in them, whatever NO_COLOR says.

return function ()
  local M = {}

  local EIGHTHS = {"▏", "▎", "▍", "▌", "▋", "▊", "▉"}

  --- Whether the locale of this process says UTF-8.
  ---@return boolean
  function M.utf8 ()
    for _, name in ipairs {"LC_ALL", "LC_CTYPE", "LANG"} do
      local value = os.getenv(name)
      if value and value ~= "" then return value:lower():find "utf%-?8" ~= nil end
    end
    return false
  end

  -- A bar of so many columns, a part of one included.
  local function bar (columns, blocks)
    local whole = math.floor(columns)
    if not blocks then return ("#"):rep(math.floor(columns + 0.5)) end
    return ("█"):rep(whole) .. (EIGHTHS[math.floor((columns - whole) * 8)] or "")
  end

  local function finite (x) return x == x and x > -math.huge and x < math.huge end

  -- Where the axis begins and ends. A logarithmic one spans whole decades; below the first number above zero lies
  -- nothing but zero.
  local function axis (rows, log)
    local low, high = math.huge, -math.huge
    for _, r in ipairs(rows) do
      if finite(r[2]) and (not log or r[2] > 0) then low, high = math.min(low, r[2]), math.max(high, r[2]) end
    end
    if low > high then return 0, 1 end
    if not log then return math.min(0, low), math.max(0, high) end
    return math.floor(math.log(low, 10)), math.max(math.ceil(math.log(high, 10)), math.floor(math.log(low, 10)) + 1)
  end

  --- Lines of a label, a number and a bar. On a logarithmic axis the bar of a number that starts the lowest decade is
  -- empty, and one of the highest decade's end is `width` long; zeros, negative numbers and NaN have none.
  ---@param rows table[]    {label, number}
  ---@param options? {log: boolean?, width: integer?, utf8: boolean?}   width 40; utf8 as the locale says
  ---@return string
  function M.bars (rows, options)
    local o = options or {}
    local blocks, width, longest = o.utf8, o.width or 40, 0
    if blocks == nil then blocks = M.utf8() end
    local low, high = axis(rows, o.log)
    for _, r in ipairs(rows) do longest = math.max(longest, #tostring(r[1])) end
    local lines = {}
    for i, r in ipairs(rows) do
      local x = o.log and math.log(math.max(r[2], 0), 10) or r[2]
      local share = finite(x) and high > low and (x - low) / (high - low) or 0
      local number = r[2] == r[2] and ("%.3g"):format(r[2]) or "NaN"
      if math.type(r[2]) == "integer" then number = ("%d"):format(r[2]) end
      local line = ("  %" .. longest .. "s  %9s  %s"):format(tostring(r[1]), number,
        bar(width * math.max(0, math.min(1, share)), blocks))
      lines[i] = line:gsub(" +$", "")
    end
    return table.concat(lines, "\n")
  end

  return M
end
