-- A run file proves itself: the same bits elsewhere, or the step and the cause of the first other ones.

local shell = require "shell_helper"
local json = require "lurn.json" {}
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "tiny", params = {lr = 0.01, steps = 110}, run = function (run, p)
  print "the script says hello"
  local data = assert(lurn.text "text.txt")
  local model = lurn.stack {input = data, lurn.embedding {size = 8}, lurn.gru {hidden = 12, layers = 2, dropout = 0.2},
    lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
  return run:fit {model = model, optim = lurn.optim.adam(model, {lr = p.lr}), train = data.train, valid = data.valid,
    steps = p.steps, batch = 5, seq = 7, eval_every = 40}.loss
end}
]]

local function text ()
  local lines = {}
  for i = 1, 80 do lines[i] = ("%d bottles of beer on the wall, %d bottles of beer."):format(i, i * i) end
  return table.concat(lines, "\n")
end

local function verify (words, before)
  local code, out, err = shell.lurn("verify --json --quiet " .. words, before)
  return code, json.decode(out) or {error = out .. err}
end

local function entries (d)
  local list = {}
  for _, e in ipairs(d.differences) do if not e.entry:find "^environment" then list[#list + 1] = e.entry end end
  return list
end

describe("lurn verify", function ()
  setup(function ()
    shell.open()
    shell.write("text.txt", text())
    shell.write("tiny.lua", SCRIPT)
    if shell.ready then
      local code, _, err = shell.lurn "run tiny.lua --quiet --lr 0.02 --seed 3 --out a.h5"
      assert(code == 0, err)
    end
  end)
  teardown(shell.close)

  when_built("passes with other threads, another instruction set, another folder, another user", function ()
    shell.run "mkdir -p else && cp a.h5 else && mv tiny.lua gone.lua"
    for _, case in ipairs {{"a.h5"}, {"a.h5 --threads 2"}, {"a.h5", "LURN_ISA=c"}} do
      local code, d = verify(case[1], case[2])
      assert.equal(0, code, d.error)
      assert.is_true(d.equal)
      assert.equal(110, d.steps)
      assert.equal(110, d.equal_until)
      assert.equal(5, d.digests)      -- 0, 40, 80, 100, 110
    end
    if io.popen "id -u":read "l" == "0" then      -- as another user, who may write nothing here
      shell.run "chmod 755 . && chmod 644 a.h5"
      local code, d = verify("a.h5", "setpriv --reuid=65534 --regid=65534 --clear-groups")
      assert.equal(0, code, d.error)
      assert.is_true(d.equal)
    end
    shell.run "mv gone.lua tiny.lua"
    local code, out, err = shell.run(("cd else && %s verify a.h5"):format(shell.bin))
    assert.equal(0, code, err)
    assert.matches("^a.h5: the same to the last bit: 110 steps[^\n]*\n$", out)
    assert.matches("the script says hello", err)
    assert.matches("executing the script inside a.h5", err)
  end)

  when_built("passes on a run that was interrupted or killed and resumed", function ()
    local slow = SCRIPT:gsub("return run:fit", "local log = run.log\n  function run:log (v) log(self, v) "
      .. "if self.steps == tonumber(os.getenv 'AT') then "
      .. "io.popen('kill -' .. os.getenv 'SIG' .. ' ' .. lurn.sys.pid()):close() end end\n  %0")
    shell.write("slow.lua", slow)
    shell.lurn("run slow.lua --quiet --out b.h5", "AT=61 SIG=INT")
    local code, d = verify "b.h5"
    assert.equal(0, code, d.error)
    assert.same({61, 40}, {d.steps, d.equal_until})
    shell.lurn("run --resume b.h5 --quiet", "AT=97 SIG=9")
    shell.lurn "run --resume b.h5 --quiet"
    code, d = verify "b.h5"
    assert.equal(0, code, d.error)
    assert.same({110, 110}, {d.steps, d.equal_until})
  end)

  when_built("names the seed", function ()
    local code, d = verify "a.h5 --seed 4"
    assert.equal(1, code)
    assert.same({false, 0, nil}, {d.equal, d.parted, d.equal_until})
    assert.same({"seed"}, entries(d))
  end)

  when_built("names the script and shows its lines", function ()
    shell.write("other.lua", (SCRIPT:gsub("eval_every = 40", "eval_every = 41")))
    local code, d = verify "a.h5 --script other.lua"
    assert.equal(1, code)
    assert.same({40, 0}, {d.parted, d.equal_until})
    assert.same({"script.sha256"}, entries(d))
    local _, out = shell.lurn "verify a.h5 --quiet --script other.lua"
    assert.matches("differs at step 40; equal up to step 0", out)
    assert.matches("script %-8: +steps = p.steps.-eval_every = 40", out)
    assert.matches("script %+8: +steps = p.steps.-eval_every = 41", out)
  end)

  when_built("names the loss that differs first, between two digests", function ()
    shell.write("late.lua", (SCRIPT:gsub("return run:fit", "local log = run.log\n  function run:log (v)"
      .. " if self.steps == 57 then v.loss = v.loss + 1 end log(self, v) end\n  %0")))
    local code, d = verify "a.h5 --script late.lua"
    assert.equal(1, code)
    assert.same({80, 40, "loss", 57}, {d.parted, d.equal_until, d.metric.name, d.metric.step})
  end)

  -- Prescott, without AVX, is a core that every build of OpenBLAS for x86-64 has; elsewhere there is no such choice.
  local x86 = io.popen "uname -m":read "l" == "x86_64"
  local on_x86 = shell.ready and x86 and it or pending
  on_x86("names the core of OpenBLAS where its engine gives other bits", function ()
    assert.equal(0, (shell.lurn("run tiny.lua --quiet --steps 60 --out o.h5", "LURN_ENGINE=openblas")))
    local code, d = verify("o.h5", "OPENBLAS_CORETYPE=Prescott")
    assert.equal(1, code, d.error)
    assert.is_truthy(d.parted)
    local cores = {}
    for _, e in ipairs(d.differences) do if e.entry:find "blas_core" then cores = {e.was, e.is} end end
    assert.equal("Prescott", cores[2])
    assert.not_equal("Prescott", cores[1])
    assert.equal(0, (shell.lurn("run tiny.lua --quiet --steps 60 --force --out o.h5",
      "LURN_ENGINE=openblas OPENBLAS_CORETYPE=Prescott")))
    code, d = verify("o.h5", "OPENBLAS_CORETYPE=Prescott")
    assert.equal(0, code, d.error)
  end)

  when_built("does not take the same bits of another script for the same run", function ()
    shell.write("comment.lua", SCRIPT .. "--")
    local code, d = verify "a.h5 --script comment.lua --steps 5"
    assert.equal(1, code)
    assert.same({"script.sha256"}, entries(d))
    assert.is_nil(d.parted)
  end)

  when_built("resume, too, finds data that have moved, and takes no others", function ()
    local stops = SCRIPT:gsub("local model", [[
      local log = run.log
      function run:log (values)
        log(self, values)
        if self.steps == 50 and not os.getenv "GO_ON" then io.popen("kill -INT " .. lurn.sys.pid()):close() end
      end
      local model]], 1)
    shell.write("stops.lua", stops)
    local code, _, err = shell.lurn "run stops.lua --quiet --lr 0.02 --seed 3 --out stopped.h5"
    assert.equal(130, code, err)
    shell.run "mv text.txt moved && cp tiny.lua other.txt"
    code, _, err = shell.lurn("run --resume stopped.h5 --quiet", "GO_ON=1")
    assert.equal(3, code)
    assert.matches("text.txt: .-%-%-data FILE says where they are", err)
    code, _, err = shell.lurn("run --resume stopped.h5 --quiet --data other.txt", "GO_ON=1")
    assert.equal(3, code)
    assert.matches("text.txt: .-%-%-data FILE says where they are", err)
    code, _, err = shell.lurn("run --resume stopped.h5 --quiet --data moved", "GO_ON=1")
    assert.equal(0, code, err)
    shell.run "mv moved text.txt"
    local lurn = require "lurn"
    local whole = assert(lurn.runfile.read(shell.path "a.h5"))
    local stopped = assert(lurn.runfile.read(shell.path "stopped.h5"))
    assert.same(whole.metrics.loss, stopped.metrics.loss)
  end)

  when_built("resume refuses data that are not what they were, and goes on with them when it is told to", function ()
    local code, _, err = shell.lurn "run stops.lua --quiet --lr 0.02 --seed 3 --out grown.h5"
    assert.equal(130, code, err)
    local lurn = require "lurn"
    local function hash () return lurn.runfile.read(shell.path "grown.h5", true).manifest.data[1].hash end
    local was = hash()
    shell.write("text.txt", text() .. text())
    code, _, err = shell.lurn("run --resume grown.h5 --quiet", "GO_ON=1")
    assert.equal(3, code)
    assert.matches("text.txt: not the data of the run: .- %-%-other%-data goes on with them", err)
    -- Started by hand, as a trial of a sweep is: refused where it would go on, so that a sweep begins it anew.
    local file = assert(lurn.runfile.read(shell.path "grown.h5"))
    shell.run "mkdir -p hand && cp grown.h5 hand"
    shell.write("hand.lua", [[
      local lurn = require "lurn"
      local file = assert(lurn.runfile.read "hand/grown.h5")
      local experiment = assert(lurn.experiment.restore(file.script))
      local run = experiment:start(file.params, {resume = file, out = "hand/grown.h5", quiet = true}):play()
      print(run.status, run.refused, run.error)]])
    local out
    code, out, err = shell.run(('eval "$(%s env)" && GO_ON=1 lua5.4 hand.lua'):format(shell.bin))
    assert.equal(0, code, err)
    assert.matches("failed%strue%sresume: not the data of the run: text.txt %(the hash", out)
    assert.equal(was, hash())
    assert.equal(file.steps, lurn.runfile.read(shell.path "grown.h5", true).steps)
    code, _, err = shell.lurn("run --resume grown.h5 --other-data", "GO_ON=1")
    assert.equal(0, code, err)
    assert.matches("resume: other data from here on: text.txt", err)
    assert.not_equal(was, hash())
    local attempts = lurn.runfile.read(shell.path "grown.h5", true).manifest.attempts
    assert.equal(hash(), attempts[2].differs["data.1.hash"])
    for _, how in ipairs {"fork", "init"} do
      code, _, err = shell.lurn(("run --%s a.h5 --quiet --steps 112 --out grown_%s.h5"):format(how, how))
      assert.equal(0, code, err)
      assert.matches("lurn: " .. how .. ": other data than the parent's: text.txt", err)
    end
    assert.equal(2, (shell.lurn "run tiny.lua --other-data"))
    shell.write("text.txt", text())
  end)

  when_built("names the data when one byte differs, and finds them by their content", function ()
    for _, change in ipairs {{"1 bottles", "2 bottles"}, {"80 bottles", "81 bottles"}} do      -- of train, of test
      shell.write("text.txt", (text():gsub(change[1], change[2], 1)))
      local code, d = verify "a.h5"
      assert.equal(1, code)
      assert.same({"data.1.hash"}, entries(d))
    end
    shell.write("elsewhere", text())
    assert.equal(0, (verify "a.h5 --steps 10 --data tiny.lua,elsewhere"))
    local code, _, err = shell.lurn "rerun a.h5 --quiet --out again.h5"
    assert.equal(3, code)
    assert.matches("text.txt: not the data of the run: the hash of the content is %x+, and was %x+; %-%-data", err)
    shell.run "rm text.txt"
    code, _, err = shell.lurn "verify a.h5 --quiet"
    assert.equal(3, code)
    assert.matches("text.txt: .-%-%-data FILE says where they are", err)
    code, _, err = shell.lurn "rerun a.h5 --quiet --out again.h5 --data elsewhere"
    assert.equal(0, code, err)
    local lurn = require "lurn"
    local a, b = assert(lurn.runfile.read(shell.path "a.h5")), assert(lurn.runfile.read(shell.path "again.h5"))
    assert.same(a.digests, b.digests)
    assert.same(a.params, b.params)
    assert.same(3, b.seed)
    shell.write("text.txt", text())
  end)

  when_built("has a script that is shown and not executed", function ()
    local code, out, err = shell.lurn "inspect a.h5 --script"
    assert.same({0, SCRIPT, ""}, {code, out, err})
    shell.write("half.lua", "return {steps = 2}")
    shell.write("whole.lua", 'local steps = require "half".steps\n' .. SCRIPT:gsub("steps = p.steps", "steps = steps"))
    assert.equal(0, (shell.lurn "run whole.lua --quiet --out whole.h5"))
    code, out, err = shell.lurn "inspect whole.h5 --script"
    assert.same({0, true, "lurn: it required half (--module NAME)\n"}, {code, #out > 300, err})
    assert.same({0, "return {steps = 2}\n", ""}, {shell.lurn "inspect whole.h5 --module half"})
    code, out, err = shell.lurn "inspect whole.h5 --module hafl"
    assert.same({3, "", "lurn: whole.h5: its script required no 'hafl', did you mean 'half'?\n"}, {code, out, err})
    assert.equal(3, (shell.lurn "inspect text.txt --script"))
  end)

  when_built("answers for files that it cannot use", function ()
    assert.equal(3, (shell.lurn "verify nowhere.h5"))
    assert.equal(3, (shell.lurn "rerun text.txt"))
    assert.equal(2, (shell.lurn "verify"))
  end)

  when_built("plays a fork and a run with first weights again from the run that they come from", function ()
    for name, words in pairs {fork = "--fork a.h5 --lr 0.005 --steps 150", init = "tiny.lua --init a.h5"} do
      local code, _, err = shell.lurn(("run --quiet %s --out %s.h5"):format(words, name))
      assert.equal(0, code, err)
      local d
      code, d = verify(name .. ".h5")
      assert.equal(0, code, d.error)
      assert.is_true(d.equal)
      assert.equal(name == "fork" and 150 or 110, d.steps)
      assert.equal(name == "fork" and 3 or 5, d.digests)      -- 110, 120, 150 of the fork
      shell.run "mkdir -p away && mv a.h5 away/b.h5"
      code, d = verify(name .. ".h5")
      assert.equal(3, code)
      assert.matches("of a.h5 at step %d+, and no file with those weights is there", d.error)
      code, d = verify(name .. ".h5 --data away/b.h5")
      assert.equal(0, code, d.error)
      assert.is_true(d.equal)
      shell.run "mv away/b.h5 a.h5"
    end
  end)

  when_built("plays a run with first weights of the other precision again", function ()
    assert.equal(0, (shell.lurn "run tiny.lua --quiet --precision f64 --steps 60 --out wide.h5"))
    for precision, parent in pairs {f32 = "wide.h5", f64 = "a.h5"} do
      local code, _, err = shell.lurn(("run tiny.lua --quiet --precision %s --init %s --steps 30 --force "
        .. "--out crossed.h5"):format(precision, parent))
      assert.equal(0, code, err)
      local d
      code, d = verify "crossed.h5"
      assert.equal(0, code, d.error)
      assert.is_true(d.equal)
      assert.equal(30, d.steps)
    end
  end)
end)
