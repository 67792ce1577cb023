-- What a run file says of its making.

local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
local part = require "part"
return lurn.experiment {name = "tiny", params = {steps = 4}, run = function (run, p)
  local data = assert(lurn.text "text.txt")
  local model = lurn.stack {input = data, lurn.embedding {size = 4}, lurn.rnn {hidden = part.hidden},
    lurn.linear {size = #data.vocab},
    loss = lurn.loss.cross_entropy()}
  local optim = lurn.optim.sgd(model, {lr = 0.1})
  local int, log = os.getenv "INT", run.log
  function run:log (values)
    log(self, values)
    if self.steps == tonumber(int) then io.popen("kill -INT " .. lurn.sys.pid()):close() end
  end
  run:fit {model = model, optim = optim, train = data.train, steps = p.steps, batch = 2, seq = 5}
  assert(lurn.text "late.txt")
end}
]]

local function read (name)
  local lurn = require "lurn"
  return assert(lurn.runfile.read(shell.path(name)))
end

describe("the manifest", function ()
  setup(function ()
    shell.open()
    shell.write("text.txt", ("to be or not to be, that is the question. "):rep(20))
    shell.write("late.txt", "and what comes later counts too")
    shell.write("tiny.lua", SCRIPT)
    shell.write("part.lua", "return {hidden = 5}\n")
    shell.run("git init -q . && git add tiny.lua text.txt "
      .. "&& git -c user.name=a -c user.email=a@b commit -qm one")
    shell.run "git remote add origin https://ada:pw0rd@example.org/x.git"
    shell.write("tiny.lua", SCRIPT .. "-- api_key = 'abcdef'\n-- lr = 3\n")
  end)
  teardown(shell.close)

  when_built("names versions, machine, sources, data and environment", function ()
    local code, _, err = shell.lurn("run tiny.lua --quiet --out a.h5", "LURN_SECRET=x OMP_NUM_THREADS=1 HOME_TOWN=y")
    assert.equal(0, code, err)
    local m = read("a.h5").manifest
    for _, key in ipairs {"lurn", "lua", "hdf5", "libc", "engine", "isa", "precision", "threads", "cpu", "os", "flags",
      "compiler", "seed", "folder"} do assert.is_truthy(m[key], key) end
    local sys = require("lurn").sys
    assert.equal(sys.sha256(shell.read "tiny.lua"), m.script.sha256)
    assert.same({part = sys.sha256(shell.read "part.lua")}, m.files)
    assert.equal("text.txt", m.data[1].path)
    assert.matches("^%x+$", m.data[1].hash)
    assert.matches("^%x+$", m.data[1].split)
    assert.equal("late.txt", m.data[2].path)
    assert.equal("1", m.environment.OMP_NUM_THREADS)
    assert.equal("***", m.environment.LURN_SECRET)
    assert.is_nil(m.environment.HOME_TOWN)
  end)

  when_built("names OpenBLAS once the run has come to use it", function ()
    shell.write("late.lua", (SCRIPT:gsub("run:fit", "local _ = lurn.ones(2, 2) %% lurn.ones(2, 2)\n  %0")))
    assert.equal(0, (shell.lurn "run late.lua --quiet --out late.h5"))
    assert.equal(0, (shell.lurn("run tiny.lua --quiet --out o.h5", "LURN_ENGINE=openblas")))
    local files = {["a.h5"] = false, ["late.h5"] = true, ["o.h5"] = true}
    for name, used in pairs(files) do
      local m = read(name).manifest
      for _, key in ipairs {"blas", "blas_core", "blas_threads"} do assert.equal(used, m[key] ~= nil, name .. key) end
    end
  end)

  when_built("knows the repository, without its passwords", function ()
    if (shell.run "git rev-parse HEAD") ~= 0 then return end      -- no git here, which is no error
    local git = read("a.h5").manifest.git
    assert.matches("^%x+$", git.commit)
    assert.equal("https://ada:***@example.org/x.git", git.remote)
    assert.matches("+%-%- api_key = '%*%*%*'\n%+%-%- lr = 3", git.diff)
  end)

  when_built("lists its attempts, and what changed between them", function ()
    assert.equal(130, (shell.lurn("run tiny.lua --quiet --out b.h5", "INT=2")))
    assert.equal(0, (shell.lurn("run --resume b.h5 --quiet", "OMP_NUM_THREADS=2")))
    local m = read("b.h5").manifest
    assert.equal(2, #m.attempts)
    local a, b = m.attempts[1], m.attempts[2]
    assert.same({"interrupted", 0, 2}, {a.status, a.from, a.to})
    assert.same({"done", 2, 4}, {b.status, b.from, b.to})
    assert.matches("^%d+%-%d+%-%d+T", b.start)
    assert.matches("^%d+%-%d+%-%d+T", b["end"])
    assert.same({["environment.OMP_NUM_THREADS"] = "2"}, b.differs)
    assert.equal("late.txt", m.data[2].path)
  end)

  when_built("keeps the files that were required, also when it is resumed where they are not", function ()
    assert.equal(130, (shell.lurn("run tiny.lua --quiet --out c.h5", "INT=2")))
    shell.run "mkdir else && cp text.txt late.txt else && cd else"
    assert.equal(0, (shell.run(("cd else && %s run --resume ../c.h5 --quiet"):format(shell.bin))))
    assert.same({part = "return {hidden = 5}\n"}, read("c.h5").script.lua)
  end)
end)
