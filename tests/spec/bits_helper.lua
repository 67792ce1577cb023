-- bits_helper.lua: numbers as the bytes they are, so that "equal" tells -0 from 0 and a NaN is equal to itself.

--- Of a number, a tensor, or a list or table of such, nested.
local function bits (x)
  local kind = type(x)
  if kind == "number" then return string.pack("<d", x) end
  if kind == "userdata" then return bits(x:totable()) end
  assert(kind == "table", "a number, a tensor or a table was expected, got " .. kind)
  local keys, parts = {}, {}
  for k in pairs(x) do keys[#keys + 1] = k end
  table.sort(keys)
  for i, k in ipairs(keys) do parts[i] = ("%s=%s;"):format(k, bits(x[k])) end
  return table.concat(parts)
end

return bits
