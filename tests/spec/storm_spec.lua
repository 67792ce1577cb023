-- Short storms (tests/tools/storm.lua, store_storm.lua, sweep_storm.lua; the long ones are `make storm`, `make
-- store-storm` and `make sweep-storm`): a few kills at random instants, and the same bits; and no trial lost or counted
-- twice.

local shell = require "shell_helper"
local when_built = shell.ready and it or pending

describe("training under fire", function ()
  when_built("ends with the bits of an undisturbed run", function ()
    -- LURN_CHECK: a build that is several times slower.
    local few = os.getenv "LURN_CHECK" and "--kills 2 --only memory" or "--kills 4 --only charlm,memory"
    local pipe = io.popen(("cd %s && lua5.4 tests/tools/storm.lua %s 2>&1"):format(shell.here, few))
    local text = pipe:read "a"
    assert.is_true(pipe:close(), text)
    assert.matches("storm: %d+ kills, nothing lost\n$", text)
  end)

  when_built("costs no trial", function ()
    local few = os.getenv "LURN_CHECK" and "--trials 30 --workers 2 --store dir"
      or "--trials 100 --workers 3 --store sqlite,dir"
    local pipe = io.popen(("cd %s && lua5.4 tests/tools/store_storm.lua %s 2>&1"):format(shell.here, few))
    local text = pipe:read "a"
    assert.is_true(pipe:close(), text)
    assert.matches("dir +%d+ trials, .* 0 lost, 0 counted twice, %d+ late ones kept as orphans, checks clean", text)
  end)

  when_built("costs no trial of a sweep", function ()
    local few = os.getenv "LURN_CHECK" and "--trials 30 --agents 2 --slots 2 --freezes 0 --store dir"
      or "--trials 60 --agents 2 --freezes 1 --store sqlite,dir"
    local pipe = io.popen(("cd %s && lua5.4 tests/tools/sweep_storm.lua %s 2>&1"):format(shell.here, few))
    local text = pipe:read "a"
    assert.is_true(pipe:close(), text)
    assert.matches("dir +%d+ trials, .* 0 lost, 0 counted twice, %d+ late results kept as orphans, checks clean", text)
  end)
end)
