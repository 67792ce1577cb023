-- lurn sweep, worker and study as a person uses them: real processes, SQLite, kills.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local QUICK = [[
local lurn = require "lurn"
return lurn.experiment {name = "quick", params = {
    x = {0.5, float = {-2, 2}}, k = {1, int = {0, 2}}, lr = {1e-3, float = {1e-5, 1e-1}, log = true}, note = "plain",
    cell = {"a", choice = {"a", "b", "c"}},
    y = {0.1, float = {0, 1}, when = function (p) return p.cell == "b" end}},
  run = function (run, p) return (p.x - 0.3)^2 + p.k / 10 + (p.cell == "b" and p.y or 0.2) end}
]]

-- Trains for some seconds, with steps of 10 ms and more; says in a file that it is on its way.
local SLOW = [[
local lurn = require "lurn"
return lurn.experiment {name = "slow", params = {x = {0.5, float = {0, 1}}, steps = 60},
  run = function (run, p)
    local set = {split = {train = {1, 4}, valid = {5, 6}}}
    for i = 1, 6 do
      set[i] = {x = {}, y = {}}
      for t = 1, 5 do set[i].x[t], set[i].y[t] = (i * t % 7) / 7, (i + t) % 3 / 3 end
    end
    local data = lurn.dataset(set)
    local model = lurn.stack {input = data, lurn.rnn {hidden = 3}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
    local optim = lurn.optim.adam(model, {lr = 0.01 * (1 + p.x)})
    local log = run.log
    function run:log (values)
      log(self, values)
      local till = lurn.sys.clock() + (lurn.sys.exists "slow.lua" and 0.01 or 0)      -- not in this process
      while lurn.sys.clock() < till do end
      if self.steps == 20 and lurn.sys.exists "slow.lua" then
        io.open("on-my-way", "a"):write(lurn.sys.pid(), "\n"):close()
        if lurn.sys.exists "renew" then self.checkpoint_due = "plain" end
      end
    end
    return run:fit {model = model, optim = optim, train = data.train, valid = data.valid, batch = 4, seq = 0,
      steps = p.steps, eval_every = 10}.loss
  end}
]]

local function document (out)
  return assert(lurn.json.decode(out, {nonfinite = true}))
end

-- Starts a sweep in the background and waits until so many trials are on their way; its process.
local function begin (arguments, many)
  os.remove(shell.path "on-my-way")
  os.remove(shell.path "code")
  assert(os.execute(("cd %s && { (env --default-signal=INT %s %s >out 2>err </dev/null & echo $! >pid; wait $!; "
    .. "echo $? >code.tmp; mv code.tmp code) & }"):format(shell.folder, shell.bin, arguments)))
  for _ = 1, 400 do
    local lines = shell.exists "on-my-way" and select(2, shell.read "on-my-way":gsub("\n", "")) or 0
    if lines >= many then return tonumber(shell.read "pid") end
    lurn.process.poll({}, 0.02)
  end
  error("it did not begin: " .. shell.read "err")
end

local function gone (pid, seconds)
  local till = lurn.sys.clock() + seconds
  while lurn.sys.clock() < till do
    if not os.execute(("kill -0 %d 2>/dev/null"):format(pid)) then return true end
    lurn.process.poll({}, 0.02)
  end
  return false
end

local function trials_of (url, name)
  local store = assert(lurn.store.open(shell.path(url), {create = false}))
  local study = assert(store:study(name))
  local list = study:sync()
  local problems = study:check()
  store:close()
  assert.same({}, problems)
  return list
end

local function straight ()
  local experiment = assert(lurn.experiment.load(shell.path "slow.lua"))
  return function (x) return (experiment:run({x = x, steps = 60}, {write = false, quiet = true})) end
end

describe("lurn sweep", function ()
  setup(function ()
    shell.open()
    shell.write("quick.lua", QUICK)
    shell.write("slow.lua", SLOW)
  end)
  teardown(shell.close)
  before_each(function () os.execute(("cd %s && rm -rf sweeps *.db* other renew"):format(shell.folder)) end)

  when_built("needs no option, and says the best, how to play it again and where its weights are", function ()
    local code, out, err = shell.lurn "sweep quick.lua --sampler random --trials 12"
    assert.equal(0, code, err)
    assert.matches("^best 0%.%d+, trial %d+\n", out)
    local command = out:match "\nagain: lurn (run quick.lua [^\n]+)\n"
    local best = tonumber(out:match "^best (%S+),")
    local _, again = shell.lurn(command)
    assert.is_true(math.abs(tonumber(again:match "result (%S+)") - best) < 1e-6)
    assert.is_true(lurn.sys.exists(out:match "\nweights: ([^\n]+)"))
    assert.matches("trial 0  0.34  best   cell a", err)
    assert.matches("12/12 done", err)
    assert.equal(12, #trials_of("sweeps/quick.db", "quick"))
  end)

  when_built("goes on with its study: totals, not so many more", function ()
    assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 5 --quiet"))
    local before = trials_of("sweeps/quick.db", "quick")
    assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 5 --quiet"))
    assert.same(before, trials_of("sweeps/quick.db", "quick"))
    local code, out = shell.lurn "sweep quick.lua --sampler random --trials 8 --quiet --json"
    assert.equal(0, code)
    local d = document(out)
    assert.equal("done", d.status)
    assert.equal(8, d.counts.COMPLETE)
    assert.equal("number", type(d.best.value))
    assert.equal(8, #trials_of("sweeps/quick.db", "quick"))
  end)

  when_built("refuses to go on with something else, and says what", function ()
    assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 3 --x 0..1 --quiet"))
    for arguments, pattern in pairs {["--x 0..2"] = "parameter 'x' was float 0..1 and is float 0..2 now",
      ["--x 0.5"] = "parameter 'x' was float 0..1 and is not searched now",
      ["--x 0..1 --note other"] = "parameter 'note' was not fixed, now it is other",
      ["--seed 4"] = "seed was 1 and is 4 now",
      ["--sampler grid:points=2"] = "sampler was random and is grid:points=2 now"} do
      local code, out, err = shell.lurn("sweep quick.lua --sampler random --trials 3 --quiet " .. arguments)
      assert.equal(2, code, arguments)
      assert.equal("", out)
      assert.truthy(err:find(pattern, 1, true), err)
    end
    shell.write("quick.lua", (QUICK:gsub("0%.3", "0.4")))
    local code, _, err = shell.lurn "sweep quick.lua --sampler random --trials 3 --quiet"
    shell.write("quick.lua", QUICK)
    assert.equal(2, code)
    assert.matches("the script: line 6 was", err)
    assert.matches("%(p.x %- 0%.4%)", err)
    assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 3 --quiet --study second"))
    -- A study that says it has this script, and has another one, is not played.
    local store = assert(lurn.store.open(shell.path "sweeps/forged.db"))
    local spec = assert(lurn.store.open(shell.path "sweeps/second.db"):study "second"):spec()
    spec.script.text = spec.script.text .. "os.execute 'touch forged'"
    assert(store:create {name = "forged", spec = spec}):set("trials", 3)
    store:close()
    code, _, err = shell.lurn "sweep quick.lua --sampler random --trials 3 --quiet --study forged"
    assert.equal(2, code)
    assert.matches("the script: line", err)
    assert.is_false(shell.exists "forged")
  end)

  when_built("may be started by several at once, and only with the same", function ()
    local command = "sweep quick.lua --sampler random --quiet --trials 6"
    for _, store in ipairs {"at.db", "dir:other/at"} do
      local one = ("{ %s %s --store %s >>all 2>&1 || touch failed; }"):format(shell.bin, command, store)
      shell.run(("%s & %s & %s & wait"):format(one, one, one))
      assert.is_false(shell.exists "failed", shell.exists "all" and shell.read "all")
    end
    assert.equal(6, #trials_of("at.db", "quick"))
    -- This one has looked, and found no study; while it reads what it shall enqueue, another one makes it.
    local code, _, err = shell.run(("mkfifo rows; "
      .. "{ timeout 20 %s %s --x 0..2 --store late.db --enqueue rows 2>said; echo $? >code; } & "
      .. "exec 3>rows; %s %s --store late.db --x 0..1 && echo '[{\"x\": 0.5}]' >&3; exec 3>&-; wait"):format(shell.bin,
      command, shell.bin, command))
    assert.equal(0, code, err)
    assert.equal("2\n", shell.read "code", shell.read "said")
    assert.matches("the study 'quick' was begun with something else", shell.read "said")
    assert.equal(6, #trials_of("late.db", "quick"))
  end)

  when_built("shows and exports a study that has no script, and says that it cannot be played", function ()
    local store = assert(lurn.store.open(shell.path "made.db"))
    local study = assert(store:create {name = "quick", spec = {trials = 100,
      space = {{name = "lr", kind = "float", low = 1e-5, high = 1e-1, log = true}}}})
    local trial = study:claim {worker = "me", propose = function () return {params = {lr = 0.01}} end}
    study:finish(trial, {state = "COMPLETE", value = 0.7})
    store:close()
    for arguments, pattern in pairs {best = "^best 0%.7, trial 0\n  lr 0.01\n$", ["show --json"] = '"value": 0.7',
      ["show --trial 0"] = "attempt by me", ["export quick -o made.json"] = "^$", list = "made.db"} do
      local code, out, err = shell.lurn("study " .. arguments .. " --store made.db", "timeout 5")
      assert.equal(0, code, err)
      assert.matches(pattern, out)
    end
    local db = assert(lurn.core.db.open("sqlite", shell.path "made.db"))
    assert(db:run "INSERT INTO studies (study_name) VALUES ('two')")
    for k = 0, 1 do
      assert(db:run("INSERT INTO study_directions (study_id, objective, direction) SELECT study_id, $1, 'MINIMIZE' "
        .. "FROM studies WHERE study_name = 'two'", k))
    end
    db:close()
    for _, command in ipairs {"study show two", "study best two", "sweep quick.lua --study two"} do
      local code, _, err = shell.lurn(command .. " --store made.db", "timeout 5")
      assert.equal(3, code)
      assert.matches("made.db: study 'two' has 2 objectives", err)
    end
    for _, command in ipairs {"sweep quick.lua", "worker --study quick", "study check quick"} do
      local code, _, err = shell.lurn(command .. " --store made.db", "timeout 5")
      assert.equal(3, code)
      assert.matches("^lurn: made.db: the study 'quick' has no script", err)
    end
  end)

  when_built("gives a study that has none a total", function ()
    local command = "sweep quick.lua --sampler grid --x 0.5 --y 0.1 --lr 1e-3 --k 0..1 --cell a,b --quiet"
    assert.equal(0, (shell.lurn(command)))
    local store = assert(lurn.store.open(shell.path "sweeps/quick.db"))
    assert(store:study "quick":set("trials", nil))
    store:close()
    local code, _, err = shell.lurn(command)
    assert.equal(0, code, err)
    assert.equal(4, #trials_of("sweeps/quick.db", "quick"))
  end)

  when_built("fixes and narrows parameters, keeps logarithms, and leaves out what means nothing", function ()
    local code, _, err = shell.lurn("sweep quick.lua --sampler random --trials 30 --quiet --x 0.25 --lr 1e-4..1e-2 "
      .. "--cell b,c --k 0..1")
    assert.equal(0, code, err)
    local low = 0
    for _, t in ipairs(trials_of("sweeps/quick.db", "quick")) do
      assert.is_nil(t.params.x)
      assert.is_true(t.params.lr >= 1e-4 and t.params.lr <= 1e-2)
      if t.params.lr < 1e-3 then low = low + 1 end
      assert.is_true(t.params.cell == "b" or t.params.cell == "c")
      assert.is_true(t.params.k <= 1)
      assert.equal(t.params.cell == "b", t.params.y ~= nil)
    end
    assert.is_true(low > 8)      -- one in ten on a scale that is not logarithmic
  end)

  when_built("plays the same trials with 1, 2 and 8 workers", function ()
    for _, sampler in ipairs {"random", "grid:points=3", "sobol"} do
      local first
      for _, workers in ipairs {1, 2, 8} do
        local code, _, err = shell.lurn(("sweep quick.lua --quiet --pruner none --trials 8 --sampler %s "
          .. "--workers %d --store w%d.db"):format(sampler, workers, workers))
        assert.equal(0, code, err)
        local seen = {}
        for k, t in ipairs(trials_of(("w%d.db"):format(workers), "quick")) do
          seen[k] = {t.number, t.config, t.params, t.value, t.state}
        end
        first = first or seen
        assert.equal(8, #seen)
        assert.same(first, seen)
      end
      os.execute(("cd %s && rm -rf w*"):format(shell.folder))
    end
  end)

  when_built("repeats every proposal of TPE from what it had seen, whatever the number of workers", function ()
    assert.equal(0, (shell.lurn "sweep quick.lua --trials 30 --workers 4 --quiet"))
    local code, out = shell.lurn "study check"
    assert.equal(0, code, out)
    assert.equal("quick: 30 trials, 30 proposals of tpe repeated, 0 problems\n", out)
  end)

  when_built("begins with the configurations of a file, once", function ()
    shell.write("first.json", '[{"x": 0.3, "k": 0, "cell": "b", "y": 0}, {"x": -1, "note": "plain"}]')
    shell.write("second.csv", "x,cell\n0.25,c\n")
    for _ = 1, 2 do
      assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 4 --quiet --enqueue first.json"))
    end
    local list = trials_of("sweeps/quick.db", "quick")
    assert.equal(4, #list)
    assert.equal(0.0, list[1].value)
    assert.equal(-1.0, list[2].params.x)
    assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 6 --quiet --enqueue second.csv"))
    list = trials_of("sweeps/quick.db", "quick")
    assert.same({"c", 0.25}, {list[5].params.cell, list[5].params.x})
    shell.write("wrong.json", '[{"x": 0.3}, {"hiden": 4}]')
    local code, _, err = shell.lurn "sweep quick.lua --sampler random --trials 6 --quiet --enqueue wrong.json"
    assert.equal(3, code)
    assert.matches("wrong.json: configuration 2: unknown parameter 'hiden'", err)
    shell.write("wrong.json", '[{"x": 3}]')
    code, _, err = shell.lurn "sweep quick.lua --sampler random --trials 6 --quiet --enqueue wrong.json"
    assert.equal(3, code)
    assert.matches("configuration 1: parameter 'x' is searched in float %-2%.%.2, got 3", err)
    shell.write("wrong.json", '[{"note": "b"}]')
    code, _, err = shell.lurn "sweep quick.lua --sampler random --trials 6 --quiet --enqueue wrong.json"
    assert.equal(3, code)
    assert.matches("parameter 'note' is not searched in this study, it is plain", err)
    for name, text in pairs {["empty.json"] = "[]", ["empty.csv"] = "x,cell\n"} do
      shell.write(name, text)
      code, _, err = shell.lurn("sweep quick.lua --sampler random --trials 6 --quiet --enqueue " .. name)
      assert.equal(3, code)
      assert.matches(name .. ": no configuration is in it", err)
    end
  end)

  when_built("puts in what a command that was cut short had not put in yet, and counts it once", function ()
    shell.write("first.json", '[{"cell": "b"}, {"cell": "c"}]')
    local command = "sweep quick.lua --sampler grid --x 0.5 --y 0.5 --lr 1e-3 --k 1 --cell a,b,c --seeds 2 "
      .. "--all_seeds --quiet --enqueue first.json --store dir:"
    assert.equal(0, (shell.lurn(command .. "whole")))
    local function played (folder)
      local list = {}
      local study = assert(lurn.store.open("dir:" .. shell.path(folder))):study "quick"
      for k, t in ipairs(study:sync()) do list[k] = {t.params, t.config, t.seed, t.state} end
      return list
    end
    local whole = assert(lurn.store.open("dir:" .. shell.path "whole")):study "quick":gather()
    assert.same({10, 5}, {#whole.trials, whole.keys.trials})
    for key in pairs(whole.keys) do if key:find "^enqueued" then whole.keys[key] = nil end end
    whole.keys.trials, whole.keys.folder = 3, shell.path "again-runs"
    for k = #whole.trials, 4, -1 do whole.trials[k] = nil end      -- one seed of the second one
    assert(assert(lurn.store.open("dir:" .. shell.path "again")):put(whole))
    for _ = 1, 2 do
      local code, _, err = shell.lurn(command .. "again")
      assert.equal(0, code, err)
      assert.same(played "whole", played "again")
    end
    os.execute(("cd %s && rm -rf whole again*"):format(shell.folder))
  end)

  when_built("plays every cell of a grid, beside what was enqueued before and later", function ()
    local function cells ()
      local list, enqueued = {}, 0
      for _, t in ipairs(trials_of("sweeps/quick.db", "quick")) do
        if t.attrs.enqueued then enqueued = enqueued + 1
        else list[#list + 1] = ("%s %g"):format(t.params.cell, t.params.k) end
      end
      table.sort(list)
      return list, enqueued
    end
    shell.write("first.json", '[{"cell": "b", "k": 1}]')
    shell.write("later.json", '[{"cell": "c", "k": 2}, {"cell": "a", "k": 1}]')
    local command = "sweep quick.lua --sampler grid --x 0.5 --y 0.5 --lr 1e-3 --cell a,b,c --k 1,2 --quiet --workers 2 "
    local all = {"a 1", "a 2", "b 1", "b 2", "c 1", "c 2"}
    assert.equal(0, (shell.lurn(command .. "--trials 4 --enqueue first.json")))
    local list, enqueued = cells()
    assert.same({3, 1}, {#list, enqueued})
    assert.equal(0, (shell.lurn(command .. "--trials 20 --enqueue later.json")))
    list, enqueued = cells()
    assert.same(all, list)
    assert.equal(3, enqueued)
    local code, out = shell.lurn "study check"
    assert.equal(0, code, out)
    assert.matches("9 trials, 6 proposals of grid repeated, 0 problems", out)
    code, out = shell.lurn "study list"
    assert.equal(0, code)
    assert.matches("quick.db +9 +1 +9 ", out)
  end)

  when_built("reads the configurations of a spreadsheet: quotes, a byte order mark, CRLF, tabs", function ()
    shell.write("sheet.csv", '\239\187\191"x",cell\r\n"0.25","c"\r\n\r\n-1,\r\n')
    shell.write("sheet.tsv", "x\tcell\n0.5\tb\n")
    assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 2 --quiet --enqueue sheet.csv"))
    assert.equal(0, (shell.lurn "sweep quick.lua --sampler random --trials 3 --quiet --enqueue sheet.tsv"))
    local list = trials_of("sweeps/quick.db", "quick")
    assert.same({0.25, "c", -1.0, "a", 0.5, "b"}, {list[1].params.x, list[1].params.cell, list[2].params.x,
      list[2].params.cell, list[3].params.x, list[3].params.cell})
    shell.write("sheet.csv", "x,cell\n0.1,a\n0.2\n")
    local code, _, err = shell.lurn "sweep quick.lua --sampler random --trials 3 --quiet --enqueue sheet.csv"
    assert.equal(3, code)
    assert.matches("sheet.csv:3: 1 cells, and the table has 2 columns", err)
  end)

  when_built("says why it cannot make its folder", function ()
    shell.run "ln -s nowhere sweeps"
    local code, _, err = shell.lurn "sweep quick.lua --trials 1 --quiet"
    assert.equal(3, code)
    assert.matches("sweeps: cannot make the folder: File exists", err)
  end)

  when_built("makes nothing when the file of configurations is wrong", function ()
    shell.write("wrong.json", '[{"x": 0.3}, {"hiden": 4}]')
    shell.write("numbers.json", "[1, 2]")
    for _, store in ipairs {"new/here.db", "dir:new/folder"} do
      for name, message in pairs {["wrong.json"] = "configuration 2: unknown parameter 'hiden'",
        ["numbers.json"] = "expected a list of objects", ["nowhere.json"] = "No such file"} do
        local command = "sweep quick.lua --trials 6 --quiet --store %s --enqueue %s"
        local code, _, err = shell.lurn(command:format(store, name))
        assert.equal(3, code)
        assert.matches(name .. ": " .. message, err)
        assert.is_false(shell.exists "new")
      end
    end
    -- The study that is there is the one that counts, not what this command would make.
    assert.equal(0, (shell.lurn "sweep quick.lua --x 5..6 --sampler random --trials 1 --quiet --store there.db"))
    shell.write("wide.json", '[{"x": 5.5}]')
    assert.equal(0, (shell.lurn "sweep quick.lua --trials 2 --quiet --store there.db --enqueue wide.json"))
    assert.equal(5.5, trials_of("there.db", "quick")[2].params.x)
  end)

  when_built("says with --dry-run what it would search and what a trial costs", function ()
    local code, out, err = shell.lurn "sweep slow.lua --sampler random --dry-run --json --trials 10 --workers 2"
    assert.equal(0, code, err)
    local d = document(out)
    assert.equal(60, d.cost.total)
    assert.is_true(d.cost.step >= 0.01 and d.cost.step < 0.1, d.cost.step)
    assert.is_true(d.cost.plan > 0 and d.cost.memory > d.cost.plan)
    assert.equal("x", d.continuous)
    code, out = shell.lurn "sweep quick.lua --sampler random --dry-run --lr 1e-3 --x 0.5 --y 0"
    assert.equal(0, code)
    assert.matches("a grid has 9 configurations", out)
    code, out = shell.lurn "sweep quick.lua --sampler random --dry-run"
    assert.equal(0, code)
    assert.matches("y +0.1 +float 0%.%.1 +%(means something in %d+ %% of all%)", out)
    assert.is_false(shell.exists "sweeps/quick.db")
  end)

  when_built("takes a killed trial up again and finishes what a killed agent left", function ()
    shell.write("renew", "")
    local pid = begin("sweep slow.lua --sampler random --pruner none --trials 4 --workers 2", 2)
    local child = tonumber(shell.read "on-my-way":match "%d+")
    os.execute("kill -9 " .. child)
    lurn.process.poll({}, 0.3)
    os.execute("kill -9 " .. pid)
    assert.is_true(gone(pid, 2))
    for line in shell.read "on-my-way":gmatch "%d+" do
      assert.is_true(gone(tonumber(line), 2), "a child outlived it")
    end
    local code, _, err = shell.lurn "sweep slow.lua --sampler random --pruner none --trials 4 --workers 2"
    assert.equal(0, code, err)
    local value, crashed, lost = straight(), 0, 0
    for _, t in ipairs(trials_of("sweeps/slow.db", "slow")) do
      assert.equal("COMPLETE", t.state)
      assert.equal(value(t.params.x), t.value)
      for _, a in ipairs(t.attempts) do
        if a.reason == "CRASHED" then crashed = crashed + 1 elseif a.reason == "LOST" then lost = lost + 1 end
      end
    end
    assert.equal(1, crashed)
    assert.is_true(lost >= 1)
  end)

  for signal, expected in pairs {INT = 130, TERM = 143} do
    when_built(("leaves checkpoints and exit code %d on SIG%s, and goes on from them"):format(expected, signal),
      function ()
        local pid = begin("sweep slow.lua --sampler random --pruner none --trials 3 --workers 2", 2)
        os.execute(("kill -%s %d"):format(signal, pid))
        for _ = 1, 300 do if shell.exists "code" then break end lurn.process.poll({}, 0.02) end
        assert.equal(expected, tonumber(shell.read "code"), shell.read "err")
        local waiting = 0
        for _, t in ipairs(trials_of("sweeps/slow.db", "slow")) do
          if t.state == "WAITING" then
            waiting = waiting + 1
            assert.equal("PREEMPTED", t.attempts[1].reason)
            assert.is_true(lurn.sys.exists(("%s/sweeps/slow/trial-%06d.h5"):format(shell.folder, t.number)))
          end
        end
        assert.is_true(waiting >= 1)
        assert.equal(0, (shell.lurn "sweep slow.lua --sampler random --pruner none --trials 3 --workers 2 --quiet"))
        local value = straight()
        for _, t in ipairs(trials_of("sweeps/slow.db", "slow")) do assert.equal(value(t.params.x), t.value) end
      end)
  end

  when_built("has other agents take part, and stops after --timeout", function ()
    local code, out = shell.lurn("sweep slow.lua --sampler random --pruner none --trials 6 --workers 2 --timeout 1 "
      .. "--json --quiet")
    assert.equal(0, code)
    assert.equal("stopped", document(out).status)
    local _, err
    code, _, err = shell.run(("mkdir -p other; (cd other; exec %s worker --store ../sweeps/slow.db --quiet --workers 2 "
      .. ">w1) & %s worker --store sweeps/slow.db --study slow --quiet >w2; wait"):format(shell.bin, shell.bin))
    assert.equal(0, code, err)
    local list, workers = trials_of("sweeps/slow.db", "slow"), {}
    assert.equal(6, #list)
    for _, t in ipairs(list) do
      assert.equal("COMPLETE", t.state)
      workers[t.worker:match "^(.*)%-%d+$"] = true
    end
    assert.truthy(next(workers, next(workers)))
  end)

  when_built("is called by its folder too: agents that share none have no name in common", function ()
    local total = 0
    local function worker_in (folder, before)
      total = total + 1
      local code, _, err = shell.lurn(("sweep quick.lua --sampler random --trials %d --workers 1 --quiet "
        .. "--store two.db --folder %s"):format(total, folder), before)
      assert.equal(0, code, err)
      return trials_of("two.db", "quick")[total].worker
    end
    for _, before in ipairs {"-u SLURM_JOB_ID A=1", "SLURM_JOB_ID=7"} do
      local here, there = worker_in("other/here", before), worker_in("other/there", before)
      assert.not_equal(here, there)
      assert.equal(here, worker_in("other/here", before))
    end
    assert.matches("^slurm%-7%-%x+%-1$", trials_of("two.db", "quick")[total].worker)
  end)

  when_built("is told apart from mistakes by one message", function ()
    shell.write("plain.lua", [[return require "lurn".experiment {name = "plain", params = {lr = 1},
      run = function () end}]])
    for arguments, pattern in pairs {["sweep"] = "which script%?",
      ["sweep quick.lua --trials 0"] = "%-%-trials must be at least 1",
      ["sweep quick.lua --trails 4"] = "unknown parameter 'trails', did you mean the option %-%-trials%?",
      ["run quick.lua --sed 2"] = "unknown parameter 'sed', did you mean the option %-%-seed%?",
      ["sweep quick.lua --nte b"] = "unknown parameter 'nte', did you mean 'note'%?",
      ["sweep plain.lua"] = "there is nothing to search",
      ["sweep quick.lua --x 0..much"] = "'x' must be a number",
      ["sweep quick.lua --timeout soon"] = "%-%-timeout must be a time", ["sweep quick.lua --sampler tipi"] =
      "unknown sampler 'tipi'", ["sweep quick.lua --sampler random --pruner asap"] = "unknown pruner",
      ["sweep quick.lua --limit-memory lots"] = "%-%-limit%-memory must be a size", ["sweep quick.lua --lr 0.1..0.01"] =
      "low to high", ["worker"] = "which store%?", ["study shwo"] = "did you mean 'show'"} do
      local code, out, err = shell.lurn(arguments)
      assert.equal(2, code, arguments .. err)
      assert.equal("", out)
      assert.matches(pattern, err)
      assert.not_matches("traceback", err)
    end
    assert.equal(3, (shell.lurn "worker --store nowhere.db"))
    assert.equal(3, (shell.lurn "study list"))
    assert.equal(3, (shell.lurn "sweep nowhere.lua"))
  end)

  when_built("stops no seed of those that all have all, unless a pruner is named", function ()
    for _, case in ipairs {{"--seeds 2 --all-seeds", "nop"}, {"--seeds 2 --all-seeds --pruner asha", "asha"},
      {"--seeds 2", "median"}, {"--all-seeds", "median"}} do
      local _, out = shell.lurn("sweep quick.lua --dry-run --study other " .. case[1])
      assert.matches("%(tpe, pruner " .. case[2] .. "%)", out)
    end
  end)

  when_built("shows, exports, copies and deletes studies", function ()
    assert.equal(0, (shell.lurn("sweep quick.lua --sampler random --trials 6 --seeds 2 --all_seeds --quiet "
      .. "--pruner none")))
    local _, out = shell.lurn "study list --csv"
    assert.matches("\nquick,sweeps/quick.db,6,2,12,0,0,0,0%.%d+,[%d.e-]+\n", out)
    _, out = shell.lurn "study show"
    assert.matches("quick %(minimize%): 12 complete, 0 running, 0 pruned, 0 failed of 12\n", out)
    assert.matches("trial +state +seeds +mean +deviation +best", out)
    _, out = shell.lurn "study show quick --trial 3 --json"
    assert.equal(3, document(out).number)
    _, out = shell.lurn "study best quick"
    assert.matches("mean %S+, deviation %S+, of 2 seeds", out)
    _, out = shell.lurn "study export"
    assert.equal(13, select(2, out:gsub("\n", "")))
    assert.matches("number,config,seed,state,reason,value,", out)
    assert.equal(0, (shell.lurn "study export quick -o all.json"))
    assert.equal(12, #document(shell.read "all.json").list)
    for arguments, message in pairs {["export quick -o all.tsv"] = "'all%.tsv': in which format%? FILE%.csv",
      ["show quick other"] = "what is 'other'%?"} do
      local code, _, err = shell.lurn("study " .. arguments)
      assert.equal(2, code)
      assert.matches(message, err)
    end
    assert.is_false(shell.exists "all.tsv")
    assert.equal(0, (shell.lurn "study import sweeps/quick.db --store copy.db"))
    assert.equal(12, #trials_of("copy.db", "quick"))
    assert.equal(2, (shell.lurn "study delete quick"))
    assert.equal(0, (shell.lurn "study delete quick --yes"))
    _, out = shell.lurn "study list --json"
    assert.same({}, document(out))
  end)

  when_built("plays no more configurations than a grid has", function ()
    local grid = "sweep quick.lua --sampler grid --x 0.5 --y 0.1 --lr 1e-3 --k 0..1 --cell a,b --json --trials "
    for _, trials in ipairs {9, 8} do
      local code, out, err = shell.lurn(grid .. trials)
      assert.equal(0, code, err)
      assert.same({4, 4}, {document(out).trials, document(out).counts.COMPLETE})
      assert.matches("4/4 done", err)
    end
  end)

  when_built("plays one configuration where there is nothing to search, with all its seeds", function ()
    for _, trials in ipairs {6, 5} do
      local code, out, err = shell.lurn("sweep quick.lua --x 0.5 --k 1 --lr 1e-3 --cell a --y 0 --seeds 2 --all_seeds "
        .. "--json --trials " .. trials)
      assert.equal(0, code, err)
      assert.same({1, 2}, {document(out).trials, document(out).counts.COMPLETE})
    end
  end)

  when_built("limits trials in time and memory from outside", function ()
    local code, _, err = shell.lurn "sweep slow.lua --sampler random --trials 1 --limit-time 0.2 --pruner none"
    assert.equal(1, code)
    assert.matches("trial 0  out of time", err)
    assert.equal("TIMEOUT", trials_of("sweeps/slow.db", "slow")[1].reason)
  end)
end)
