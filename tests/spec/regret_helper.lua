-- Tasks on which samplers are compared, the same as in tests/tools/regret.py, and the test that compares them.
local lurn = require "lurn"

local M = {}

local folder = debug.getinfo(1, "S").source:match "^@(.*)spec/[^/]*$" or "../"

local function read (name)
  local file <close> = assert(io.open(folder .. "fixtures/" .. name))
  return file:read "a"
end

-- ---- tasks ----------------------------------------------------------------------------------------------

local function branin (p)
  local x, y = p.x, p.y
  return (y - 5.1 / (4 * math.pi^2) * x * x + 5 / math.pi * x - 6)^2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10
end

local A = {{10, 3, 17, 3.5, 1.7, 8}, {0.05, 10, 17, 0.1, 8, 14}, {3, 3.5, 1.7, 10, 17, 8}, {17, 8, 0.05, 10, 0.1, 14}}
local P = {{1312, 1696, 5569, 124, 8283, 5886}, {2329, 4135, 8307, 3736, 1004, 9991},
  {2348, 1451, 3522, 2883, 3047, 6650}, {4047, 8828, 8732, 5743, 1091, 381}}
local C = {1, 1.2, 3, 3.2}

local function hartmann (p)
  local sum = 0
  for i = 1, 4 do
    local d = 0
    for k = 1, 6 do d = d + A[i][k] * (p["x" .. k] - P[i][k] / 1e4)^2 end
    sum = sum - C[i] * math.exp(-d)
  end
  return sum
end

local function float (name, low, high) return {name = name, kind = "float", low = low, high = high} end
local function int (name, low, high) return {name = name, kind = "int", low = low, high = high} end

-- The recorded runs: losses by cell and places along the other axes.
local function table_of_runs ()
  local axes = {hidden = {[8] = 0, [16] = 1, [32] = 2, [64] = 3}, batch = {[4] = 0, [8] = 1, [16] = 2},
    lr = {[0.001] = 0, [0.003] = 1, [0.01] = 2, [0.03] = 3, [0.1] = 4, [0.3] = 5}}
  local runs, least = {}, math.huge
  for line in read("runs.csv"):gmatch "[^\n]+" do
    local cell, hidden, lr, batch, rest = line:match "^(%l+),([%d.]+),([%d.]+),([%d.]+),(.*)$"
    if cell then
      local losses = {}
      for word in rest:gmatch "[^,]+" do losses[#losses + 1] = tonumber(word) or 0 / 0 end
      runs[("%s %d %d %d"):format(cell, axes.hidden[tonumber(hidden)], axes.lr[tonumber(lr)],
        axes.batch[tonumber(batch)])] = losses
      least = math.min(least, losses[#losses])
    end
  end
  return runs, least
end

local runs, least_run = table_of_runs()
local RUNS = {{name = "cell", kind = "choice", choice = {"rnn", "lstm", "gru"}}, int("hidden", 0, 3), int("lr", 0, 5),
  int("batch", 0, 2)}
local function curve (p) return runs[("%s %d %d %d"):format(p.cell, p.hidden, p.lr, p.batch)] end

local HARTMANN = {}
for i = 1, 6 do HARTMANN[i] = float("x" .. i, 0, 1) end

--- name, space, minimum, and the loss with its number of trials, or the curve with its number of evaluations.
M.tasks = {
  {name = "branin", space = {float("x", -5, 10), float("y", 0, 15)}, loss = branin, trials = 60, least = 0.397887},
  {name = "hartmann", space = HARTMANN, loss = hartmann, trials = 100, least = -3.32237},
  {name = "runs", space = RUNS, loss = function (p) return curve(p)[10] end, trials = 40, least = least_run},
  {name = "runs+asha", space = RUNS, curve = curve, evaluations = 200, least = least_run},
}

--- The task of a name.
function M.task (name)
  for _, task in ipairs(M.tasks) do if task.name == name then return task end end
end

-- ---- studies --------------------------------------------------------------------------------------------

local function whole (task, trials, p)
  local value = task.loss(p)
  trials[#trials + 1] = {number = #trials, config = #trials, seed = 1, state = "COMPLETE", params = p, value = value,
    reports = {}}
  return value, 1
end

local AFTER = {prune = "PRUNED", pause = "PAUSED"}

-- A trial goes on until a pruner has it stop or wait, or to its end: the value there, and the evaluations it took.
local function go_on (task, pruner, trials, trial)
  local losses, cost = task.curve(trial.params), 0
  trial.state = "RUNNING"
  for step = #trial.reports + 1, #losses do
    cost = cost + 1
    trial.reports[step] = {step, losses[step]}
    local verdict = pruner:decide(trial, trials)
    if verdict then
      trial.state = AFTER[verdict]
      return nil, cost
    end
  end
  local value = losses[#losses]
  trial.state, trial.value = value == value and "COMPLETE" or "FAIL", value
  return value, cost
end

local function new_trial (trials, p)
  local trial = {number = #trials, config = #trials, seed = 1, state = "RUNNING", params = p, reports = {}}
  trials[#trials + 1] = trial
  return trial
end

--- Plays a study of a task: the least value found.
---@param task table
---@param name string    of the sampler
---@param seed integer
function M.study (task, name, seed)
  local sampler = lurn.sampler.new(name, task.space, {seed = seed, defaults = false})
  local pruner = task.curve and lurn.pruner.new("asha", {min_resource = 1, reduction_factor = 3})
  local trials, left, least = {}, task.trials or task.evaluations, math.huge
  while left > 0 do
    local p = sampler:suggest(#trials, trials)
    local value, cost
    if pruner then value, cost = go_on(task, pruner, trials, new_trial(trials, p))
    else value, cost = whole(task, trials, p) end
    left = left - cost
    if value and value < least then least = value end
  end
  return least
end

--- Plays so many trials of a task that has curves, with tpe and a pruner: the least value of a whole one, the
-- evaluations of all, and how many were whole.
---@param name string     of the pruner
function M.halving (task, name, options, count, seed)
  local sampler = lurn.sampler.new("tpe", task.space, {seed = seed})
  local halve = lurn.pruner.new(name, options)
  local trials, least, spent, wholes = {}, math.huge, 0, 0
  while true do
    local number = halve.promote and halve:promote(trials)
    if not number and #trials == count then return least, spent, wholes end
    local trial = number and trials[number + 1] or new_trial(trials, sampler:suggest(#trials, trials))
    local value, cost = go_on(task, halve, trials, trial)
    spent = spent + cost
    if value then
      wholes = wholes + 1
      if value < least then least = value end
    end
  end
end

--- What Optuna found: least values by task's name (tests/tools/regret.py).
function M.optuna () return assert(lurn.json.decode(read "regret.json")) end

-- ---- statistics -----------------------------------------------------------------------------------------

--- Mean of a list and the standard error of that mean.
function M.mean (list)
  local sum, squares = 0, 0
  for _, x in ipairs(list) do sum = sum + x end
  local mean = sum / #list
  for _, x in ipairs(list) do squares = squares + (x - mean)^2 end
  return mean, math.sqrt(squares / (#list - 1) / #list)
end

-- Ranks of all values of two lists, ties sharing theirs: the sum of the first list's, and the sum of t^3 - t over ties.
local function rank_sum (a, b)
  local all, sum, ties, i = {}, 0, 0, 1
  for _, x in ipairs(a) do all[#all + 1] = {x, 1} end
  for _, x in ipairs(b) do all[#all + 1] = {x, 0} end
  table.sort(all, function (x, y) return x[1] < y[1] end)
  while i <= #all do
    local k = i
    while all[k + 1] and all[k + 1][1] == all[i][1] do k = k + 1 end
    for j = i, k do sum = sum + all[j][2] * (i + k) / 2 end
    ties, i = ties + (k - i + 1)^3 - (k - i + 1), k + 1
  end
  return sum, ties
end

--- Mann and Whitney's test, normal approximation with ties: the share of samples as far on the side of "a is larger" as
-- these, if both lists came from one distribution.
function M.p_larger (a, b)
  local n, m = #a, #b
  local sum, ties = rank_sum(a, b)
  local u, all = sum - n * (n + 1) / 2, n + m
  local deviation = math.sqrt(n * m / 12 * (all + 1 - ties / (all * (all - 1))))
  if deviation == 0 then return 0.5 end
  return 1 - lurn.core.parzen.below((u - n * m / 2) / deviation)
end

return M
