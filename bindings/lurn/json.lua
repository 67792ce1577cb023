--- JSON, for run files, metrics and `--json`.
--
-- Written here because the packaged libraries print floats with 14 digits, and a metric or a
-- setting that comes back from a run file must be the number that went in. So: floats with as
-- many digits as it takes to read back the same bits, integers stay integers (a float that
-- happens to be whole keeps its ".0"), keys are sorted (equal tables give equal text), and numbers
-- JSON cannot say are the strings "NaN", "Infinity" and "-Infinity".

return function (lurn)
  local M = {}

  -- What C reads of texts without anything rare in them. Where only this file is wanted, or a core is stood in for, it
  -- is not there.
  local quick = lurn and lurn.core and lurn.core.json
  local fast = quick and quick.decode

  --- Stands for null where a Lua table cannot hold nil; encodes as null.
  M.null = setmetatable({}, {__tostring = function () return "null" end})

  local escapes = {['"'] = '\\"', ["\\"] = "\\\\", ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n",
    ["\r"] = "\\r", ["\t"] = "\\t"}

  local function escape (c)
    return escapes[c] or ("\\u%04x"):format(c:byte())
  end

  local function quote (s)
    s = s:gsub('[%c"\\\127]', escape)
    if not utf8.len(s) then      -- arbitrary bytes: shown as Latin-1, so that the document stays valid
      s = s:gsub("[\128-\255]", function (c) return ("\\u%04x"):format(c:byte()) end)
    end
    return '"' .. s .. '"'
  end

  --- The shortest of 15, 16 or 17 digits that reads back as the same number.
  ---@param x number
  ---@return string
  function M.number (x)
    if math.type(x) == "integer" then return ("%d"):format(x) end
    if x ~= x then return '"NaN"' end
    if x == math.huge then return '"Infinity"' end
    if x == -math.huge then return '"-Infinity"' end
    for digits = 15, 17 do
      local s = ("%." .. digits .. "g"):format(x)
      if tonumber(s) == x then
        return s:find("[%.eE]") and s or s .. ".0"
      end
    end
  end

  --- A value outside of a document: a number with all its digits, anything else as tostring has it.
  ---@return string
  function M.plain (x) return type(x) == "number" and (M.number(x):gsub('"', "")) or tostring(x) end

  local encode

  local function is_array (t)
    local n = #t
    if n == 0 then return false end
    local count = 0
    for _ in next, t do count = count + 1 end
    return count == n
  end

  local function key_text (k, path)
    if type(k) == "string" then return k end
    if math.type(k) == "integer" then return ("%d"):format(k) end
    error(("json: %s has a key that is a %s; keys are strings"):format(path, type(k)), 0)
  end

  local function encode_array (t, out, path, pad, seen)
    out[#out + 1] = "["
    for i = 1, #t do
      if i > 1 then out[#out + 1] = pad and ", " or "," end
      encode(t[i], out, path .. "[" .. i .. "]", pad and pad .. "  ", seen)
    end
    out[#out + 1] = "]"
  end

  local function encode_object (t, out, path, pad, seen)
    local keys, value = {}, {}
    for k, v in next, t do
      local text = key_text(k, path)
      keys[#keys + 1], value[text] = text, v
    end
    table.sort(keys)
    local inner = pad and pad .. "  "
    out[#out + 1] = "{"
    for i, k in ipairs(keys) do
      out[#out + 1] = (i > 1 and "," or "") .. (pad and "\n" .. inner or "") .. quote(k) .. (pad and ": " or ":")
      encode(value[k], out, path .. "." .. k, inner, seen)
    end
    out[#out + 1] = (pad and #keys > 0 and "\n" .. pad or "") .. "}"
  end

  function encode (v, out, path, pad, seen)
    local kind = type(v)
    if v == nil or v == M.null then out[#out + 1] = "null"
    elseif kind == "boolean" then out[#out + 1] = tostring(v)
    elseif kind == "number" then out[#out + 1] = M.number(v)
    elseif kind == "string" then out[#out + 1] = quote(v)
    elseif kind == "table" then
      if seen[v] then error(("json: %s contains itself"):format(path), 0) end
      seen[v] = true
      local write = is_array(v) and encode_array or encode_object
      write(v, out, path, pad, seen)
      seen[v] = nil
    else
      error(("json: %s is a %s; only nil, booleans, numbers, strings and tables can be kept"):format(path, kind), 0)
    end
  end

  --- Text of a value. Raises when it holds what JSON cannot: functions, userdata, cycles.
  ---@param value any
  ---@param options? {indent: boolean?, name: string?}   name: what messages call the value
  ---@return string
  function M.encode (value, options)
    local out = {}
    encode(value, out, options and options.name or "value", options and options.indent and "" or nil, {})
    return table.concat(out)
  end

  local decode
  local unescapes = {b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/"}
  local MAX_DEPTH = 200      -- a hostile file must not exhaust the C stack

  local function fail (s, at, what)
    local _, line = s:sub(1, at):gsub("\n", "")
    error({json = ("%s at byte %d (line %d)"):format(what, at, line + 1)}, 0)
  end

  local function skip (s, i) return s:find("[^ \t\r\n]", i) or #s + 1 end

  local function code_point (s, i)
    local hex = s:match("^%x%x%x%x", i)
    if not hex then fail(s, i, "bad \\u escape") end
    local code = tonumber(hex, 16)
    if code >= 0xD800 and code < 0xDC00 then
      local low = s:match("^\\u([dD][c-fC-F]%x%x)", i + 4)
      if low then return 0x10000 + (code - 0xD800) * 0x400 + tonumber(low, 16) - 0xDC00, i + 10 end
    end
    return code, i + 4
  end

  local function decode_string (s, i)
    local parts = {}
    i = i + 1
    while true do
      local j = s:find('[%c"\\]', i)
      if not j then fail(s, i, "unfinished string") end
      parts[#parts + 1] = s:sub(i, j - 1)
      local c = s:sub(j, j)
      if c == '"' then return table.concat(parts), j + 1 end
      if c ~= "\\" and c ~= "\127" then fail(s, j, "control character in a string") end
      local e = s:sub(j + 1, j + 1)
      if c == "\127" then
        parts[#parts + 1], i = c, j + 1
      elseif e == "u" then
        local code, after = code_point(s, j + 2)
        parts[#parts + 1], i = utf8.char(code), after
      else
        parts[#parts + 1], i = unescapes[e] or fail(s, j, "bad escape"), j + 2
      end
    end
  end

  local function decode_number (s, i)
    local text = s:match("^-?%d+%.?%d*[eE]?[+-]?%d*", i)
    local value = text and not text:find("^-?0%d") and tonumber(text)
    if not value then fail(s, i, "unexpected character") end
    return value, i + #text
  end

  local function decode_array (s, i, o, depth)
    local list, n = {}, 0
    i = skip(s, i + 1)
    if s:sub(i, i) == "]" then return list, i + 1 end
    while true do
      n = n + 1
      list[n], i = decode(s, i, o, depth)
      i = skip(s, i)
      local c = s:sub(i, i)
      if c == "]" then return list, i + 1 end
      if c ~= "," then fail(s, i, "expected ',' or ']'") end
      i = skip(s, i + 1)
    end
  end

  local function decode_object (s, i, o, depth)
    local object = {}
    i = skip(s, i + 1)
    if s:sub(i, i) == "}" then return object, i + 1 end
    while true do
      if s:sub(i, i) ~= '"' then fail(s, i, "expected a key") end
      local key
      key, i = decode_string(s, i)
      i = skip(s, i)
      if s:sub(i, i) ~= ":" then fail(s, i, "expected ':'") end
      object[key], i = decode(s, skip(s, i + 1), o, depth)
      i = skip(s, i)
      local c = s:sub(i, i)
      if c == "}" then return object, i + 1 end
      if c ~= "," then fail(s, i, "expected ',' or '}'") end
      i = skip(s, i + 1)
    end
  end

  local words = {["true"] = true, ["false"] = false}
  local numbers = {NaN = 0 / 0, Infinity = math.huge, ["-Infinity"] = -math.huge}

  function decode (s, i, o, depth)
    if depth > MAX_DEPTH then fail(s, i, "nested too deeply") end
    local c = s:sub(i, i)
    if c == "{" then return decode_object(s, i, o, depth + 1) end
    if c == "[" then return decode_array(s, i, o, depth + 1) end
    if c == '"' then
      local text, after = decode_string(s, i)
      if o.nonfinite and numbers[text] then return numbers[text], after end
      return text, after
    end
    local word = s:match("^%a+", i)
    if word == "null" then return o.null, i + 4 end
    if word and words[word] ~= nil then return words[word], i + #word end
    return decode_number(s, i)
  end

  --- The value of a text, or nil and a message that says where it goes wrong.
  -- null becomes options.null (nil by default). With options.nonfinite the strings "NaN", "Infinity"
  -- and "-Infinity" come back as the numbers they stand for.
  ---@param text string
  ---@param options? {null: any, nonfinite: boolean?}
  ---@return any value
  ---@return string? message
  function M.decode (text, options)
    if fast then
      local read, found = fast(text, options and options.null, options and options.nonfinite)
      if read then return found end
    end
    local ok, value, after = pcall(decode, text, skip(text, 1), options or {}, 0)
    if ok and skip(text, after) <= #text then
      ok, value = pcall(fail, text, skip(text, after), "something follows the value")
    end
    if ok then return value end
    if type(value) == "table" and value.json then return nil, "json: " .. value.json end
    error(value, 0)
  end

  return M
end
