--- lurn: recurrent neural networks, scripted.
--
--   local lurn = require "lurn"              -- numbers are f32; LURN_PRECISION=f64 asks for the other core
--   lurn.f32, lurn.f64                       -- the instance of each precision, side by side
--
-- Each module of this folder is a function of the instance it becomes a part of, so that two
-- precisions share the text of the Lua half and nothing else.

local folder = ...
folder = (folder or "lurn"):gsub("%.init$", "")

local parts = require(folder .. ".parts")

local instances = {}

-- Parts by name, what adds to a part, and names that a late part will define -> the part.
local rows, additions, promised = {}, {}, {}
for _, row in ipairs(parts) do
  local name = row[1]
  rows[name] = row
  if row.adds_to then
    additions[row.adds_to] = additions[row.adds_to] or {}
    table.insert(additions[row.adds_to], name)
  end
  if row.late then
    promised[name] = name
    for _, k in ipairs(row.spread or {}) do promised[k] = name end
  end
end

local function adopt (lurn, names, module)
  if names == true then for k, v in next, module do lurn[k] = v end end
  if type(names) == "table" then for _, k in ipairs(names) do lurn[k] = module[k] end end
end

local load_part
function load_part (lurn, name)
  local module = rows[name].native and lurn.core[name] or require(folder .. "." .. name)(lurn)
  if rawget(lurn, name) == nil then lurn[name] = module end
  adopt(lurn, rows[name].spread, module)
  for _, addition in ipairs(additions[name] or {}) do load_part(lurn, addition) end
end

local make
local Instance = {}

function Instance.__index (lurn, key)
  if key == "f32" or key == "f64" then return instances[key] or make(key) end
  local name = promised[key]
  if not name then return nil end
  load_part(lurn, name)
  return rawget(lurn, key)
end

-- Who looks through everything finds everything.
function Instance.__pairs (lurn)
  for _, row in ipairs(parts) do if row.late and rawget(lurn, row[1]) == nil then load_part(lurn, row[1]) end end
  return next, lurn
end

function make (precision)
  local core = require("lurn." .. precision)
  local lurn = {core = core, version = core.version, precision = precision, interrupted = setmetatable({}, {
    __tostring = function () return "interrupted" end})}
  instances[precision] = lurn
  for name, f in next, core.tensor do lurn[name] = f end
  setmetatable(lurn, Instance)
  for _, row in ipairs(parts) do if not row.late and not row.adds_to then load_part(lurn, row[1]) end end
  lurn.engine, lurn.threads = core.engine, core.threads
  --- A prompt in this interpreter; what `lurn` without arguments starts.
  function lurn.repl (options) return require(folder .. ".repl")(lurn, options) end
  return lurn
end

local wanted = os.getenv "LURN_PRECISION"
if wanted == "" then wanted = nil end
if wanted and wanted ~= "f32" and wanted ~= "f64" then
  error(("LURN_PRECISION: expected f32 or f64, got %s"):format(wanted), 0)
end
return make(wanted or "f32")
