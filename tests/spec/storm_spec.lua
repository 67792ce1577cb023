-- Short storms (tests/tools/storm.lua, store_storm.lua, sweep_storm.lua; the long ones are `make storm`, `make
-- store-storm` and `make sweep-storm`): a few kills at random instants, and the same bits; and no trial lost or counted
-- twice.

local shell = require "shell_helper"
local when_built = shell.ready and it or pending

-- What tests/tools/NAME.lua says; `slower` in a build that is several times slower.
local function storm (name, arguments, slower)
  local pipe = io.popen(("cd %s && lua5.4 tests/tools/%s.lua %s 2>&1"):format(shell.here, name,
    os.getenv "LURN_CHECK" and slower or arguments))
  local text = pipe:read "a"
  assert.is_true(pipe:close(), text)
  return text
end

describe("training under fire", function ()
  when_built("ends with the bits of an undisturbed run", function ()
    assert.matches("storm: %d+ kills, nothing lost\n$",
      storm("storm", "--kills 4 --only charlm,memory", "--kills 2 --only memory"))
  end)

  when_built("costs no trial", function ()
    local text = storm("store_storm", "--trials 100 --workers 3 --store sqlite,dir",
      "--trials 30 --workers 2 --store dir")
    assert.matches("dir +%d+ trials, .* 0 lost, 0 counted twice, %d+ late ones kept as orphans, checks clean", text)
  end)

  when_built("costs no trial of a sweep", function ()
    local text = storm("sweep_storm", "--trials 60 --agents 2 --freezes 1 --store sqlite,dir",
      "--trials 30 --agents 2 --slots 2 --freezes 0 --store dir")
    assert.matches("dir +%d+ trials, .* 0 lost, 0 counted twice, %d+ late results kept as orphans, checks clean", text)
  end)
end)
