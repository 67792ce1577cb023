-- One process writes a run file; a lock does not outlive its owner. With real processes.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "long", params = {steps = 100000}, run = function (run, p)
  local data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}})
  local model = lurn.stack {input = data, lurn.rnn {hidden = 2}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
  local log = run.log
  function run:log (values)
    log(self, values)
    if self.steps == 3 and p.steps > 10 then
      io.open("ready", "w"):close()
      os.execute("sleep 30")
    end
  end
  return run:fit {model = model, optim = lurn.optim.sgd(model), train = data.train, steps = p.steps,
    eval_every = 1}.loss
end}
]]

describe("a run file", function ()
  setup(function ()
    shell.open()
    shell.write("long.lua", SCRIPT)
  end)
  teardown(shell.close)

  -- A run that sleeps in its third step; its process id.
  local function begin ()
    os.remove(shell.path "ready")
    assert(os.execute(("cd %s && { %s run long.lua --quiet --out run.h5 >/dev/null 2>&1 & echo $! >pid; }")
      :format(shell.folder, shell.bin)))
    for _ = 1, 200 do
      if shell.exists "ready" then break end
      os.execute "sleep 0.05"
    end
    return tonumber(shell.read "pid")
  end

  when_built("is written by one process; the next is told by whom, and takes over when that one was killed", function ()
    local pid = begin()
    local held = ("run.h5 is being written by process %d on host "):format(pid)
    for _, arguments in ipairs {"run --quiet --resume run.h5", "run long.lua --quiet --steps 5 --out run.h5"} do
      local code, _, err = shell.lurn(arguments)
      assert.equal(3, code, err)
      assert.equal("lurn: " .. held, err:sub(1, #held + 6), err)
      assert.equal(1, select(2, err:gsub("\n", "")))
    end
    -- who reads need not ask
    assert.matches(", running after 2 steps", select(2, shell.lurn "inspect run.h5"), 1, true)
    os.execute("kill -9 " .. pid)
    assert.is_true(shell.exists "run.h5.lock")
    for _ = 1, 100 do      -- the process may take a moment to die
      if not lurn.sys.is_locked(shell.path "run.h5.lock") then break end
      os.execute "sleep 0.05"
    end
    assert.matches(", killed after 2 steps", select(2, shell.lurn "inspect run.h5"), 1, true)
    assert.matches("run.h5%s+killed%s+2 ", select(2, shell.lurn "ls ."))
    local code, _, err = shell.lurn "run long.lua --quiet --steps 5 --force --out run.h5"
    assert.equal(0, code, err)
    assert.is_false(shell.exists "run.h5.lock")
  end)

  it("has one lock in a process, too, and gives it back", function ()
    local path = shell.path "one.h5"
    local lock = assert(lurn.lock.take(path))
    local none, message, code = lurn.lock.take(path)
    assert.is_nil(none)
    assert.equal("EIO", code)
    assert.matches(("one.h5 is being written by process %d on host "):format(lurn.sys.pid()), message, 1, true)
    lock:release()
    lock:release()
    local again <close> = setmetatable({assert(lurn.lock.take(path))}, {__close = function (t) t[1]:release() end})
    assert.matches("held", tostring(again[1]))
  end)

  it("is not locked by what another process left behind", function ()
    shell.write("left.h5.lock", "process 1 on host elsewhere\n")
    local lock = assert(lurn.lock.take(shell.path "left.h5"))
    lock:release()
    assert.is_false(shell.exists "left.h5.lock")
  end)
end)
