--- Rows measured now beside those of earlier benches of the same machine, kept as JSON beside the page.

-- Which program, on which machine, was measured beside whom: rows of one page have that in common. Who was not there
-- this time is no other.
local MACHINE, PEERS = {"cpu", "cores", "isa", "forced", "precision"}, {"peer", "layers"}

local function same_machine (a, b)
  for _, key in ipairs(MACHINE) do if a[key] ~= b[key] then return false end end
  for _, key in ipairs(PEERS) do if a[key] and b[key] and a[key] ~= b[key] then return false end end
  return true
end

local function read (json, path)
  local f = io.open(path, "rb")
  if not f then return nil end
  local result = json.decode(f:read "a", {nonfinite = true})
  f:close()
  return type(result) == "table" and type(result.rows) == "table" and result or nil
end

---@param path string       where the numbers of the page are
---@param result table      of this bench
---@param order table[]     all rows there are
---@return table result     with the rows of both, in order; a row measured again is the new one
return function (json, path, result, order)
  local m, by = result.machine, {}
  local taken = {command = result.command, forced = m.forced}
  for _, key in ipairs {"date", "version", "load", "load_after"} do taken[key] = m[key] end
  local old = read(json, path)
  if old and same_machine(old.machine, m) then
    for _, r in ipairs(old.rows) do by[r.name] = r end
    for _, key in ipairs(PEERS) do m[key] = m[key] or old.machine[key] end
    if #old.machine.others > #m.others then m.others = old.machine.others end
  end
  for _, r in ipairs(result.rows) do
    r.case, r.taken, by[r.name] = nil, taken, r
  end
  local merged = {machine = m, failed = result.failed, rows = {}}
  for _, row in ipairs(order) do merged.rows[#merged.rows + 1] = by[row.name] end
  return merged
end
