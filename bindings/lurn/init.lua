--- lurn: recurrent neural networks, scripted.
--
--   local lurn = require "lurn"              -- numbers are f32; LURN_PRECISION=f64 asks for the other core
--   lurn.f32, lurn.f64                       -- the instance of each precision, side by side
--
-- Each module of this folder is a function of the instance it becomes a part of, so that two
-- precisions share the text of the Lua half and nothing else.

local folder = ...
folder = (folder or "lurn"):gsub("%.init$", "")

-- In order of dependence: a module finds those before it already in the instance.
local parts = {
  "schema", "json", "patience", "symbol", "pascanu", "cell", "layers", "conv", "cells", "loss", "probe", "model", "op",
  "optim", "sample", "source", "data", "progress", "repro", "lock", "manifest", "runfile", "spike", "fit", "run",
  "watch", "experiment",
}
-- What many programs never ask for is read when it is first asked for: reading all of the Lua half takes longer than
-- some runs have to wait for their first step.
local late = {
  "metrics", "beside", "plot", "csv", "npy", "idx", "moving", "tasks", "lineage",
  "store_state", "store_memory", "store_schema", "store_optuna", "store_foreign", "store_sql_study", "store_sql",
  "store_sqlite", "store_postgres", "store_dir", "store_spool", "store",
  "space", "sampler", "pruner", "racing",
  "channel", "warm", "trial", "attempt", "keeper", "study_table", "sweep", "sweep_cost", "sweep_view", "agent",
  "slurm",
}
-- What adds to a part, and comes with it.
local additions = {
  sampler = {"sobol", "tpe"},
  pruner = {"pruner_percentile", "pruner_alone", "pruner_halving"},
}

local instances = {}

-- Functions of these modules are lurn's own: lurn.tanh, lurn.lstm, lurn.text.
local spread = {symbol = true, layers = true, conv = true, data = {"text", "dataset", "open", "import_text"},
  csv = {"csv", "import_csv"}, npy = {"npy", "npz", "import_npy"}, idx = {"idx", "import_idx"}, moving = {"moving"},
  op = {"load_op", "check_op"},
  model = {"stack", "model", "show", "gradcheck", "from_program"}}

local function adopt (lurn, name, module)
  local names = spread[name]
  if names == true then for k, v in next, module do lurn[k] = v end end
  if type(names) == "table" then for _, k in ipairs(names) do lurn[k] = module[k] end end
end

local load_part
function load_part (lurn, name)
  local module = require(folder .. "." .. name)(lurn)
  if rawget(lurn, name) == nil then lurn[name] = module end
  adopt(lurn, name, module)
  for _, addition in ipairs(additions[name] or {}) do load_part(lurn, addition) end
end

-- Names that a late part will define -> the part.
local promised = {}
for _, name in ipairs(late) do
  promised[name] = name
  for _, k in ipairs(type(spread[name]) == "table" and spread[name] or {}) do promised[k] = name end
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
  for _, name in ipairs(late) do if rawget(lurn, name) == nil then load_part(lurn, name) end end
  return next, lurn
end

function make (precision)
  local core = require("lurn." .. precision)
  local lurn = {core = core, version = core.version, precision = precision, interrupted = setmetatable({}, {
    __tostring = function () return "interrupted" end})}
  instances[precision] = lurn
  for _, name in ipairs {"h5", "sys", "signal", "process", "rng", "batch"} do lurn[name] = core[name] end
  for name, f in next, core.tensor do lurn[name] = f end
  setmetatable(lurn, Instance)
  for _, name in ipairs(parts) do load_part(lurn, name) end
  lurn.load, lurn.engine, lurn.threads = lurn.experiment.load, core.engine, core.threads
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
