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

  it("would be seen to be larger: random draws are", function ()
    local found = {}
    for seed = 1, SEEDS do found[seed] = h.study(h.tasks[2], "random", seed) end
    assert.is_true(h.p_larger(found, optuna.hartmann) < 1e-3)
  end)
end)
