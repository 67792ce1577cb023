-- tpe finds minima as well as Optuna's does: the first seeds of tests/tools/regret.lua, which plays a hundred.
local h = require "regret_helper"

local SEEDS = os.getenv "LURN_CHECK" and 5 or 12

describe("regret of tpe", function ()
  local optuna = h.optuna()
  for _, task in ipairs(h.tasks) do
    it(("on %s is not larger than Optuna's"):format(task.name), function ()
      local found = {}
      for seed = 1, SEEDS do found[seed] = h.study(task, "tpe", seed) end
      local p = h.p_larger(found, optuna[task.name])
      assert.is_true(p > 0.01, ("p = %.4f"):format(p))
    end)
  end

  it("is no larger for three quarters of the evaluations, with promotion that waits instead of asha", function ()
    local task, asha, delayed, spent = h.task "runs+asha", {}, {}, {0, 0}
    for seed = 1, SEEDS do
      local cost
      asha[seed], cost = h.halving(task, "asha", {min_resource = 1}, 100, seed)
      spent[1] = spent[1] + cost
      delayed[seed], cost = h.halving(task, "promotion", {reduction_factor = 2, delay = true, max_resource = 10}, 100,
        seed)
      spent[2] = spent[2] + cost
    end
    local p = h.p_larger(delayed, asha)
    assert.is_true(p > 0.01, ("p = %.4f"):format(p))
    assert.is_true(spent[2] < 0.75 * spent[1], ("%d and %d"):format(spent[1], spent[2]))
  end)

  it("would be seen to be larger: random draws are", function ()
    local found = {}
    for seed = 1, SEEDS do found[seed] = h.study(h.tasks[2], "random", seed) end
    assert.is_true(h.p_larger(found, optuna.hartmann) < 1e-3)
  end)
end)
