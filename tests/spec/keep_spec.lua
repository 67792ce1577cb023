-- Checkpoints that stay beside the run file: the last ones and the best.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

-- Evaluations at steps 10, 20, ...; the losses are made up.
local function start (options)
  local losses = {3, 1, 2.5, 2.4, 2.3, 2.2, 2.1, 2}
  return lurn.experiment {name = "kept", run = function (run)
    local data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}})
    local model = lurn.stack {input = data, lurn.rnn {hidden = 2}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
    function model.evaluate () return {loss = losses[run.steps // 10]} end
    run:fit {model = model, optim = lurn.optim.sgd(model), train = data.train, valid = data.train, steps = 80,
      eval_every = 10, keep = options.fit_keep}
  end}:start(nil, {out = shell.path "run.h5", quiet = true, keep = options.keep, resume = options.resume})
end

local function there ()
  local steps = {}
  for step = 0, 80 do
    if shell.exists(("run.step-%06d.h5"):format(step)) then steps[#steps + 1] = step end
  end
  return steps
end

describe("kept checkpoints", function ()
  before_each(shell.open)
  after_each(shell.close)

  it("are none by default", function ()
    start {}:play()
    assert.same({}, there())
  end)

  it("are the last ones and the best, whole run files each", function ()
    local run = start {keep = 3}:play()
    assert.equal("done", run.status)
    assert.same({20, 60, 70, 80}, there())
    for _, step in ipairs(there()) do
      local file = assert(lurn.runfile.read(shell.path(("run.step-%06d.h5"):format(step))))
      assert.equal(step, file.counters.steps)
    end
    local _, kept = run.sizes(run.path, run.rotation.steps)
    assert.equal(4, #kept)
    assert.equal(lurn.sys.filesize(kept[1].path), kept[1].bytes)
  end)

  it("are asked for by run:fit as well, and go on to rotate after a resume", function ()
    local run = start {fit_keep = 2}
    run:step(45)
    assert.same({20, 30, 40}, there())
    run:release_lock()
    run = start {fit_keep = 2, resume = assert(lurn.runfile.read(shell.path "run.h5"))}:play()
    assert.equal("done", run.status)
    assert.same({20, 70, 80}, there())
  end)

  it("are there until the new one is", function ()
    shell.write("a", "new")
    shell.write("b", "old")
    assert(lurn.sys.link(shell.path "a", shell.path "b"))
    assert(lurn.sys.link(shell.path "a", shell.path "b"))      -- it is the same file already
    assert.equal("new", shell.read "b")
    assert.is_nil((lurn.sys.link(shell.path "nothing", shell.path "b")))
    assert.equal("new", shell.read "b")
    shell.run "mkdir -p sub/full && echo x >sub/full/x"
    assert.is_nil((lurn.sys.link(shell.path "a", shell.path "sub/full")))
    local _, out = shell.run "ls -A . sub | grep tmp"
    assert.equal("", out)
  end)

  it("are copied where there are no links", function ()
    shell.write("a", ("0123456789"):rep(30000))
    assert(lurn.sys.link(shell.path "a", shell.path "b"))
    shell.run "echo changed >> a"
    assert.equal(shell.read "a", shell.read "b")
    local elsewhere = "/dev/shm/lurn-" .. lurn.sys.pid()      -- another file system, as a rule
    local ok, message = lurn.sys.link(shell.path "a", elsewhere)
    assert.is_true(ok, message)
    local f = assert(io.open(elsewhere, "rb"))
    assert.equal(shell.read "a", f:read "a")
    f:close()
    os.remove(elsewhere)
    assert.is_nil((lurn.sys.link(shell.path "nothing", shell.path "c")))
  end)

  when_built("are named with their sizes at the end and by inspect", function ()
    shell.write("text.txt", ("some text to learn from\n"):rep(40))
    local code, _, err = shell.lurn("run " .. shell.here .. "/scripts/charlm.lua --data text.txt --hidden 4 --embed 4 "
      .. "--batch 4 --seq 5 --steps 40 --eval_every 10 --keep 2 --length 0 --out run.h5")
    assert.equal(0, code, err)
    assert.matches("run file run%.h5 %([%d.]+ kB%)", err)
    assert.matches("kept run%.step%-000040%.h5 %([%d.]+ kB%)", err)
    local _, out = shell.lurn "inspect run.h5"
    assert.matches("size [%d.]+ kB", out)
    assert.matches("kept run%.step%-000030%.h5, [%d.]+ kB", out)
    assert.matches("\ndata:\n  text%.txt     %x%x%x%x%x%x%x%x%x%x%x%x\n", out)
    assert.matches("\nmetrics:\n +last +best +at step\n", out)
    assert.matches("\n  valid_loss +%d%.%d+ +%d%.%d+ +%d+\n", out)
    code, _, err = shell.lurn "inspect run.step-000030.h5"
    assert.equal(0, code, err)
  end)
end)
