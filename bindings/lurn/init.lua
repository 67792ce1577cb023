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
  "schema", "json", "symbol", "pascanu", "cell", "layers", "conv", "cells", "loss", "metrics", "plot", "probe", "model",
  "op", "optim", "sample", "data", "csv", "npy", "idx", "moving", "tasks", "progress", "repro", "lock", "manifest",
  "runfile", "store_state", "store_memory", "store_schema", "store_optuna", "store_foreign", "store_sql_study",
  "store_sql", "store_sqlite", "store_postgres", "store_dir", "store_spool", "store", "spike", "fit", "run", "watch",
  "lineage", "experiment", "space", "sampler", "sobol", "tpe", "pruner", "pruner_percentile", "pruner_alone",
  "pruner_halving", "racing", "channel", "warm", "trial", "keeper", "study_table", "sweep", "sweep_cost", "sweep_view",
  "agent",
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

local function make (precision)
  local core = require("lurn." .. precision)
  local lurn = {core = core, version = core.version, precision = precision, interrupted = setmetatable({}, {
    __tostring = function () return "interrupted" end})}
  instances[precision] = lurn
  for _, name in ipairs {"h5", "sys", "signal", "process", "rng", "batch"} do lurn[name] = core[name] end
  for name, f in next, core.tensor do lurn[name] = f end
  for _, name in ipairs(parts) do
    local module = require(folder .. "." .. name)(lurn)
    lurn[name] = lurn[name] == nil and module or lurn[name]
    adopt(lurn, name, module)
  end
  lurn.load, lurn.engine, lurn.threads = lurn.experiment.load, core.engine, core.threads
  return setmetatable(lurn, {__index = function (_, key)
    if key == "f32" or key == "f64" then return instances[key] or make(key) end
  end})
end

local wanted = os.getenv "LURN_PRECISION"
if wanted == "" then wanted = nil end
if wanted and wanted ~= "f32" and wanted ~= "f64" then
  error(("LURN_PRECISION: expected f32 or f64, got %s"):format(wanted), 0)
end
return make(wanted or "f32")
