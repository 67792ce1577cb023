-- regret.lua: how near lurn's samplers come to the minimum, beside Optuna's TPE (tests/fixtures/regret.json, made by
-- regret.py).
--
--   eval "$(build/bin/lurn env)"; lua5.4 tests/tools/regret.lua [SEEDS]      100 by default
--
-- Regret is the least value found less the minimum. The mean has its standard error; p is Mann and Whitney's, for
-- lurn's being larger: small where lurn is worse. Below, what a study of 100 trials of the recorded runs costs with
-- the pruners that halve, and what it finds.

local folder = arg[0]:match "^(.*)tools/[^/]*$" or "../"
package.path = folder .. "spec/?.lua;" .. package.path
local h = require "regret_helper"

local seeds = tonumber(arg[1] or 100)
local optuna = h.optuna()

local function regrets (list, least, count)
  local out = {}
  for i = 1, count do out[i] = list[i] - least end
  return out
end

local function median (list)
  local sorted = table.move(list, 1, #list, 1, {})
  table.sort(sorted)
  return (sorted[(#list + 1) // 2] + sorted[#list // 2 + 1]) / 2
end

print(("%-10s %-8s %9s %9s   %9s   %s"):format("task", "sampler", "mean", "error", "median", "p (larger)"))
for _, task in ipairs(h.tasks) do
  local theirs = regrets(optuna[task.name], task.least, #optuna[task.name])
  local mean, deviation = h.mean(theirs)
  print(("%-10s %-8s %9.4f %9.4f   %9.4f"):format(task.name, "optuna", mean, deviation, median(theirs)))
  for _, name in ipairs {"tpe", "random", "sobol"} do
    local found = {}
    for seed = 1, seeds do found[seed] = h.study(task, name, seed) end
    local mine = regrets(found, task.least, seeds)
    mean, deviation = h.mean(mine)
    print(("%-10s %-8s %9.4f %9.4f   %9.4f   %.3f"):format("", name, mean, deviation, median(mine),
      h.p_larger(mine, theirs)))
  end
end

print(("\n%-22s %9s %9s   %11s %6s"):format("100 trials, tpe and", "mean", "error", "evaluations", "whole"))
local task = h.task "runs+asha"
for _, pruner in ipairs {{"asha"}, {"promotion"}, {"promotion", delay = true}} do
  local name, delay = pruner[1], pruner.delay
  for _, factor in ipairs {2, 3, 4} do
    local options = {min_resource = 1, reduction_factor = factor, delay = delay,
      max_resource = name == "promotion" and 10 or nil}
    local found, spent, wholes = {}, 0, 0
    for seed = 1, seeds do
      local least, cost, whole = h.halving(task, name, options, 100, seed)
      found[seed], spent, wholes = least, spent + cost / seeds, wholes + whole / seeds
    end
    local mean, deviation = h.mean(regrets(found, task.least, seeds))
    local title = ("%s%s, 1/%d"):format(name, delay and ", delay" or "", factor)
    print(("%-22s %9.4f %9.4f   %11.0f %6.1f"):format(title, mean, deviation, spent, wholes))
  end
end
