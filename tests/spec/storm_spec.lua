-- A short storm (tests/tools/storm.lua; the long one is `make storm`): a few kills at random instants, the same bits.

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
end)
