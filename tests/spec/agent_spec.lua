-- The agent with a store in memory: how trials end, what they leave behind, what they are told.

local lurn = require "lurn"
local shell = require "shell_helper"

-- One parameter chooses what happens in a trial.
local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "ends", params = {x = {0.5, float = {0, 1}}, what = "fine", steps = 12, hidden = 2,
    T = 5, mark = ""},
  run = function (run, p)
    local clock = lurn.sys.clock
    if p.what == "error" then error "no luck" end
    if p.what == "none" then return "a text" end
    if p.what == "nan" then return 0 / 0 end
    if p.what == "killed" then lurn.process.kill(lurn.sys.pid(), "KILL") end
    if p.what == "hang" then while true do end end
    if p.what == "greedy" then
      local all = {}
      for k = 1, 1000 do all[k] = ("x"):rep(1 << 22) .. k end
      return #all
    end
    if p.what == "fine" then return p.x end
    if p.what == "slow" then lurn.sys.sleep(0.5) end
    local set = {split = {train = {1, 4}, valid = {5, 6}}}
    for i = 1, 6 do
      set[i] = {x = {}, y = {}}
      for t = 1, p.T do set[i].x[t], set[i].y[t] = (i * t % 7) / 7, (i + t) % 3 / 3 end
    end
    local data = lurn.dataset(set)
    if p.what == "exploding" or p.what == "saturating" then
      local model = lurn.stack {input = data, lurn.lstm {hidden = 3}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
      local wild = p.what == "exploding" and "linear1.W" or "lstm1.g.Wx"
      local log = run.log
      function run:log (values)
        log(self, values)
        for _, q in ipairs(model:parameters()) do
          if self.steps == 9 and q.path:find(wild, 1, true) then q.value:fill(1e4) end
        end
      end
      return run:fit {model = model, optim = lurn.optim.sgd(model, {lr = 1e-12}), train = data.train,
        valid = data.valid, batch = 4, seq = 0, steps = p.steps, eval_every = 4, diagnose = 4}.loss
    end
    local model = lurn.stack {input = data, lurn.rnn {hidden = p.hidden}, lurn.linear {size = 1},
      loss = lurn.loss.mse()}
    local optim = lurn.optim.adam(model, {lr = 0.01 * (1 + p.x)})
    if p.what == "once" and not lurn.sys.exists(p.mark) then
      local log = run.log
      function run:log (values)
        log(self, values)
        if self.steps == 8 then
          io.open(p.mark, "w"):close()
          run.checkpoint_due = "plain"
        elseif self.steps == 10 then lurn.process.kill(lurn.sys.pid(), "KILL") end
      end
    end
    if p.what == "homeless" then
      local log = run.log
      function run:log (values)
        log(self, values)
        if self.steps == 2 then
          assert(os.rename(p.mark, p.mark .. "-away"))
          io.open(p.mark, "w"):close()      -- a file where the folder was
          run.checkpoint_due = "plain"
        elseif self.steps == 6 then
          assert(os.remove(p.mark) and os.rename(p.mark .. "-away", p.mark))
        end
      end
    end
    return run:fit {model = model, optim = optim, train = data.train, valid = data.valid, batch = 4, seq = 0,
      steps = p.steps, eval_every = 4}.loss
  end}
]]

local experiment, script

-- A study in memory (or in `store`) and its agent. more: fields of the spec, and `agent`, options of the agent.
local function sweep (what, more, configs)
  local m = more or {}
  local spec = {script = script, race = m.race or false, fixed = {what = what}, space = lurn.space.of(experiment, {}),
    sampler = m.sampler or {name = "random"}, pruner = m.pruner or {name = "nop"}, trials = m.trials or 1,
    seeds = m.seeds or 1, seed = 1, train_seed = 1, limits = m.limits, keep = m.keep or 5,
    precision = lurn.precision, retries = m.retries}
  for name, value in pairs(m.fixed or {}) do spec.fixed[name] = value end
  local store = assert(lurn.store.open(m.store or "memory:", {spool = m.spool}))
  local study = assert(store:create {name = "s" .. what, spec = spec})
  if configs then study:enqueue(configs) end
  local folder = shell.path("runs-" .. what)
  os.execute("mkdir -p " .. folder)
  local options = {folder = folder, name = "here", workers = m.workers or 1}
  for name, value in pairs(m.agent or {}) do options[name] = value end
  local agent = lurn.agent.new(study, experiment, options)
  if m.prepare then m.prepare(agent) end
  local how, why = agent:run()
  return study:sync(), how, why, folder, agent
end

local function ending (t) return t.state, t.reason end

describe("an agent", function ()
  setup(function ()
    shell.open()
    shell.write("ends.lua", SCRIPT)
    experiment = assert(lurn.experiment.load(shell.path "ends.lua"))
    script = {path = shell.path "ends.lua", text = SCRIPT, sha256 = lurn.sys.sha256(SCRIPT), lua = {}}
  end)
  teardown(shell.close)

  it("plays as many trials as there are, and the same with any number of workers", function ()
    local first
    for _, workers in ipairs {1, 2, 8} do
      local trials, how = sweep("fine", {trials = 20, workers = workers})
      assert.equal("done", how)
      assert.equal(20, #trials)
      local seen = {}
      for k, t in ipairs(trials) do
        assert.equal("COMPLETE", t.state)
        assert.equal(t.params.x, t.value)
        seen[k] = t.params.x
      end
      first = first or seen
      assert.same(first, seen)
      assert.equal(0.5, seen[1])      -- the defaults
    end
  end)

  it("plays a normal run: the same bits as lurn run", function ()
    local trials, _, _, folder = sweep("train", {trials = 3, workers = 2})
    for _, t in ipairs(trials) do
      local value, run = experiment:run({what = "train", x = t.params.x}, {write = false, quiet = true})
      assert.equal(value, t.value)
      local file = assert(lurn.runfile.read(("%s/trial-%06d.h5"):format(folder, t.number)))
      assert.equal("done", file.status)
      assert.equal(run.digests.hex[#run.digests.hex], file.digests.hex[#file.digests.hex])
      assert.same({{4, t.reports[1][2]}, {8, t.reports[2][2]}, {12, t.reports[3][2]}}, t.reports)
      assert.equal(12, t.attrs.steps)
    end
  end)

  it("tells how trials end", function ()
    for what, expected in pairs {error = {"FAIL", "ERROR", 1}, none = {"FAIL", "ERROR", 1},
      nan = {"FAIL", "DIVERGED", 1}, killed = {"FAIL", "CRASHED", 3}} do
      local trials = sweep(what)
      local state, reason = ending(trials[1])
      assert.equal(expected[1], state, what)
      assert.equal(expected[2], reason, what)
      assert.equal(expected[3], #trials[1].attempts, what)
    end
  end)

  it("keeps the message of a script's error, and the traceback in a file beside the run", function ()
    local trials, _, _, folder = sweep "error"
    assert.matches("ends.lua:6: no luck", trials[1].attrs.error)
    local log = assert(io.open(folder .. "/trial-000000.log")):read "a"
    assert.matches("no luck\nstack traceback", log)
  end)

  it("stops a script that fails from the first trial on", function ()
    local trials, how, why = sweep("error", {trials = 50})
    assert.equal("failed", how)
    assert.equal(5, #trials)
    assert.matches("no luck", why)
  end)

  it("goes on where the script has played other trials of the study", function ()
    local trials, how = sweep("error", {trials = 8, prepare = function (agent)
      local trial = agent.handle:claim {worker = "other", propose = function () return {params = {x = 0.1}} end}
      agent.handle:finish(trial, {state = "COMPLETE", value = 0.1})
    end})
    assert.same({"done", 8}, {how, #trials})
  end)

  it("ends what takes too long, from outside", function ()
    local trials = sweep("hang", {limits = {seconds = 0.3}})
    assert.same({"FAIL", "TIMEOUT"}, {ending(trials[1])})
  end)

  -- Sanitizers take more memory than the limits are.
  local with_limits = os.getenv "LURN_CHECK" and pending or it

  with_limits("ends what takes too much memory, from outside", function ()
    local trials = sweep("greedy", {limits = {memory = 80 << 20}})
    assert.same({"FAIL", "MEMORYOUT"}, {ending(trials[1])})
  end)

  with_limits("does not begin what plans for more than there may be", function ()
    local trials, _, _, folder = sweep("train", {limits = {memory = 100 << 20}, fixed = {hidden = 200, T = 20000}})
    assert.same({"FAIL", "INFEASIBLE"}, {ending(trials[1])})
    assert.matches("a batch of 20000 steps and 4 rows takes .* MB, the limit is 104.9 MB", trials[1].attrs.error)
    assert.same({}, trials[1].reports)
    assert.is_false(lurn.sys.exists(folder .. "/trial-000000.h5"))
    assert.same({"COMPLETE"}, {ending(sweep("train", {limits = {memory = 100 << 20}})[1])})
  end)

  it("gives up a trial that does not move", function ()
    local _, how, _, _, agent = sweep("hang", {agent = {stall = 0.2, timeout = 1}})
    assert.equal("stopped", how)
    local attempts = agent.trials[1].attempts
    assert.equal("LOST", attempts[1].reason)
    assert.is_true(#attempts > 1)
  end)

  it("takes up a trial that crashed where its last checkpoint is", function ()
    local trials = sweep("once", {fixed = {mark = shell.path "mark"}})
    assert.is_true(shell.exists "mark")
    local t = trials[1]
    assert.equal("COMPLETE", t.state)
    assert.equal(2, #t.attempts)
    assert.equal("CRASHED", t.attempts[1].reason)
    assert.equal((experiment:run({what = "train", x = t.params.x}, {write = false, quiet = true})), t.value)
  end)

  it("keeps the run files of the best only", function ()
    local trials, _, _, folder = sweep("fine", {trials = 12, workers = 2, keep = 3})
    table.sort(trials, function (a, b) return a.value < b.value end)
    for rank, t in ipairs(trials) do
      assert.equal(rank <= 3, lurn.sys.exists(("%s/trial-%06d.h5"):format(folder, t.number)), rank)
    end
  end)

  it("keeps with seeds those of the best configurations, of each the best seed's", function ()
    for _, race in ipairs {false, true} do
      local trials, _, _, folder = sweep("train", {trials = 6, seeds = 3, keep = 2, race = race})
      local stay, left = {}, 0
      for k, row in ipairs(lurn.study_table.configurations(trials, "minimize", 3)) do
        if k <= 2 then stay[row.best.number] = true end
      end
      for _, t in ipairs(trials) do
        local there = lurn.sys.exists(("%s/trial-%06d.h5"):format(folder, t.number))
        assert.equal(stay[t.number] or false, there, t.number)
        left = left + (there and 1 or 0)
      end
      assert.equal(2, left)
    end
  end)

  it("tells the store and the pruner what a run notes beside its loss", function ()
    local _, _, _, _, agent = sweep("train", {trials = 1, pruner = {name = "health"}})
    local _, run = experiment:run({what = "train"}, {write = false, quiet = true})
    local kept, norm = agent.handle:metrics(0), run.metrics.grad_norm
    assert.same({{4, norm.value[4]}, {8, norm.value[8]}, {12, norm.value[12]}}, kept.grad_norm)
    assert.equal(run.metrics.loss.value[12], kept.loss[3][2])
    assert.is_nil(kept.valid_loss)
  end)

  it("ends trials whose gradient explodes and those that saturate (health)", function ()
    local health = {name = "health", reports = 2, loss_factor = 1e300}      -- the loss explodes, too
    for what, message in pairs {exploding = "the gradient has exploded, grad_norm is",
      saturating = "saturated, diag/lstm1%.g%.saturated is"} do
      local why
      local trials, _, _, _, agent = sweep(what, {trials = 1, pruner = health, fixed = {steps = 40},
        prepare = function (a)
          local decide = a.choose.decide
          function a.choose.decide (...)
            local verdict, said = decide(...)
            why = why or said
            return verdict
          end
        end})
      assert.equal("PRUNED", trials[1].state, what)
      assert.matches(message, why)
      assert.is_true(#trials[1].reports < 10)
      assert.is_true(#agent.handle:metrics(0).grad_norm == #trials[1].reports)
      assert.equal("COMPLETE", sweep(what, {trials = 1, fixed = {steps = 40}})[1].state)
    end
  end)

  it("ends pruned trials at their report, and goes on with paused ones later", function ()
    local verdicts, promoted = {[0] = "pause", [1] = "prune"}, nil
    local trials, how = sweep("train", {trials = 3, prepare = function (agent)
      agent.spec.pruner.name = "by hand"
      function agent.choose.decide (t)
        return #t.reports == 1 and #t.attempts <= 1 and verdicts[t.number] or nil
      end
      function agent.choose.promote (list)
        if promoted or not list[3] or list[3].state ~= "COMPLETE" then return nil end
        promoted = true
        return 0
      end
    end})
    assert.equal("done", how)
    assert.is_true(promoted)
    assert.same({"COMPLETE", "PRUNED", "COMPLETE"}, {trials[1].state, trials[2].state, trials[3].state})
    assert.equal(1, #trials[2].reports)
    assert.equal(2, #trials[1].attempts)
    assert.same({4, 8, 12}, {trials[1].reports[1][1], trials[1].reports[2][1], trials[1].reports[3][1]})
    -- Paused and resumed from its checkpoint, it has the bits of a run that never stopped.
    assert.equal((experiment:run({what = "train", x = trials[1].params.x}, {write = false, quiet = true})),
      trials[1].value)
  end)

  it("lets the trial that is ahead come to its end when all wait at their rungs", function ()
    local pruner = {name = "promotion", min_resource = 4, reduction_factor = 3}
    local trials = sweep("train", {trials = 2, pruner = pruner})
    local complete = 0
    for _, t in ipairs(trials) do
      if t.state == "COMPLETE" then
        complete = complete + 1
        assert.equal((experiment:run({what = "train", x = t.params.x}, {write = false, quiet = true})), t.value)
      else
        assert.equal("PAUSED", t.state)
        assert.equal(1, #t.reports)
      end
    end
    assert.equal(1, complete)
  end)

  it("stays while another agent lets the trial that is ahead come to its end", function ()
    local late = 0
    local trials, how = sweep("train", {trials = 2, pruner = {name = "promotion", min_resource = 4},
      prepare = function (agent)
        local promote = agent.handle.promote
        function agent.handle.promote (...)
          late = late + 1
          assert.is_true(promote(...))      -- the other one
          return promote(...)
        end
      end})
    local counts = lurn.store_state.count(trials)
    assert.same({"done", 1, 1, 1}, {how, late, counts.COMPLETE, counts.PAUSED})
  end)

  it("knows which part of the time its workers were at work, and what the others waited for", function ()
    local _, _, _, _, agent = sweep("slow", {trials = 1, workers = 4})
    local share, why = agent:share()
    assert.is_true(share > 0.1 and share <= 0.25, share)
    assert.equal("others", why)
    _, _, _, _, agent = sweep("slow", {trials = 2, workers = 2})
    share = agent:share()
    assert.is_true(share > 0.5 and share <= 1, share)
  end)

  it("has seeds of a configuration share its parameters and differ in the training seed", function ()
    local trials = sweep("train", {trials = 2, seeds = 3})
    assert.equal(6, #trials)
    for k, t in ipairs(trials) do
      assert.equal((k - 1) // 3, t.config)
      assert.equal((k - 1) % 3 + 1, t.seed)
      assert.same(trials[(k - 1) // 3 * 3 + 1].params, t.params)
      assert.equal((experiment:run({what = "train", x = t.params.x}, {write = false, quiet = true, seed = t.seed})),
        t.value)
    end
    assert.not_equal(trials[1].value, trials[2].value)
    local rows = lurn.study_table.configurations(trials, "minimize", 3)
    assert.equal(2, #rows)
    assert.equal(3, rows[1].n)
    assert.is_true(rows[1].bound < rows[2].bound and rows[1].bound > rows[1].mean and rows[1].sd > 0)
  end)

  it("gives every configuration all seeds once, whatever was put in meanwhile, on 1 and 8 workers", function ()
    local first
    for _, workers in ipairs {1, 8} do
      local trials, how = sweep("fine", {trials = 4, seeds = 5, workers = workers, prepare = function (agent)
        local kept, claims = agent.handle.kept, 0
        local claim = kept.claim
        function kept.claim (_, c)
          claims = claims + 1
          if claims == 8 then
            local more = {}
            for seed = 1, 5 do more[seed] = {params = {x = 0.25}, config = 2, seed = seed} end
            agent.handle:enqueue(more)
          end
          return claim(kept, c)
        end
      end})
      assert.same({"done", 20}, {how, #trials})
      local seen = {}
      for k, t in ipairs(trials) do seen[k] = ("%d.%d %g"):format(t.config, t.seed, t.params.x) end
      first = first or seen
      assert.same(first, seen)
      assert.matches("^2%.5 0%.25 1%.3 .* 1%.4 .* 1%.5 .* 3%.1 ", table.concat(seen, " ", 12))
    end
  end)

  it("goes on while the store is away, and tells it all when it is back", function ()
    local away, said = 0, {}      -- until the agent has said so, and then some
    local view = setmetatable({say = function (_, format, ...) said[#said + 1] = format:format(...) end},
      {__index = function () return function () end end})
    local trials, how, _, _, agent = sweep("train", {trials = 4, workers = 2, spool = shell.path "spool",
      agent = {view = view}, prepare = function (a)
        local study = a.handle.kept.kept      -- behind the spool
        for _, name in ipairs {"claim", "report", "finish", "renew", "sync"} do
          local method = study[name]
          study[name] = function (...)
            if #a.trials >= 2 and (#said == 0 or away < 4) then
              away = away + 1
              return nil, "the store is away", "ECONN"
            end
            return method(...)
          end
        end
      end})
    assert.equal("done", how)
    assert.is_true(away > 0)
    for _, t in ipairs(trials) do
      assert.equal("COMPLETE", t.state)
      assert.equal(3, #t.reports)
      assert.equal(1, #t.attempts)
      assert.equal((experiment:run({what = "train", x = t.params.x}, {write = false, quiet = true})), t.value)
    end
    assert.equal(2, #said)
    assert.matches("^store: .* away; trials go on, new ones wait$", said[1])
    assert.equal("store: it answers again", said[2])
    assert.equal("store", select(2, agent:share()))
  end)

  it("says so when the store says something else", function ()
    local said, answers = {}, {"ECONN", "EREADONLY"}
    local view = setmetatable({say = function (_, format, ...) said[#said + 1] = format:format(...) end},
      {__index = function () return function () end end})
    sweep("fine", {agent = {view = view}, prepare = function (a)
      local kept = a.handle.kept
      local claim = kept.claim
      function kept.claim (_, c)
        local code = table.remove(answers, 1)
        if code then return nil, "it is " .. code, code end
        return claim(kept, c)
      end
    end})
    local rest = "; trials go on, new ones wait"
    assert.same({"store: it is ECONN" .. rest, "store: it is EREADONLY" .. rest, "store: it answers again"}, said)
  end)

  it("tells what waits between all else, begins nothing new before, and says so", function ()
    local said, told, asked = {}, 0, 0
    local view = setmetatable({say = function (_, format, ...) said[#said + 1] = format:format(...) end},
      {__index = function () return function () end end})
    local trials, how, _, _, agent = sweep("fine", {trials = 3, spool = shell.path "full", agent = {view = view},
      prepare = function (a)
        local study = a.handle.kept.kept      -- behind the spool
        local report = study.report
        local trial = a.handle:claim {worker = "other", propose = function (n) return a.choose.propose(n, {}) end}
        function study.report () return nil, "the store is away", "ECONN" end
        for step = 1, 60 do a.handle:report(trial, {{step, 1}}) end
        a.handle:finish(trial, {state = "PRUNED"})
        function a.handle.claim (handle, ...)
          local t, why, code = getmetatable(handle).claim(handle, ...)
          if code == "EAGAIN" then asked = asked + 1 end
          return t, why, code
        end
        function study.report (...)
          told = told + 1
          lurn.sys.sleep(0.02)
          return report(...)
        end
      end})
    assert.is_true(asked > 0 and asked < 5, asked)      -- the moments that claims give would not do
    assert.same({"done", 60, 60, false}, {how, told, #trials[1].reports, (agent.handle.store:waits())})
    assert.same({"PRUNED", "COMPLETE", "COMPLETE"}, {trials[1].state, trials[2].state, trials[3].state})
    assert.equal(2, #said)
    assert.matches("^store: what waited for it is being written, .* to go; trials go on, new ones wait$", said[1])
    assert.equal("store: it answers again", said[2])
  end)

  it("gives trials back while the folder of their files is away, and plays them when it is there again", function ()
    local folder, said = shell.path "runs-train", {}
    local view = setmetatable({say = function (_, format, ...) said[#said + 1] = format:format(...) end},
      {__index = function () return function () end end})
    local trials, how = sweep("train", {trials = 4, workers = 2, agent = {view = view}, prepare = function (agent)
      local release, count = agent.handle.release, 0
      assert(os.rename(folder, folder .. "-away"))
      function agent.handle.release (...)
        count = count + 1
        if count == 3 then assert(os.rename(folder .. "-away", folder)) end
        return release(...)
      end
    end})
    assert.equal("done", how)
    assert.equal(1, #said)
    assert.matches("^trial %d is given back: .*runs%-train/trial.*: No such file or directory; new ones wait$", said[1])
    local given_back = 0
    for _, t in ipairs(trials) do
      assert.equal("COMPLETE", t.state)
      for _, a in ipairs(t.attempts) do given_back = given_back + (a.reason == "PREEMPTED" and 1 or 0) end
    end
    assert.is_true(given_back >= 3)
  end)

  it("plays a trial to its end where its first checkpoint cannot be written", function ()
    local trials, _, _, folder = sweep("homeless", {fixed = {mark = shell.path "runs-homeless"}})
    assert.equal("COMPLETE", (ending(trials[1])), trials[1].attrs.error)
    assert.equal((experiment:run({what = "train", x = trials[1].params.x}, {write = false, quiet = true})),
      trials[1].value)
    assert.is_true(lurn.sys.exists(folder .. "/trial-000000.h5"))
  end)

  it("keeps a result that neither the store nor its spool takes, and says it again", function ()
    local refused, ids = 0, {}
    local trials, how = sweep("fine", {trials = 3, prepare = function (agent)
      local kept = agent.handle.kept
      local finish = kept.finish
      function kept.finish (_, e)
        if e.number ~= 1 or refused == 2 then return finish(kept, e) end
        refused, ids[e.id] = refused + 1, true
        return nil, "no space left on device", "ENOSPC"
      end
    end})
    assert.equal("done", how)
    assert.equal(2, refused)
    assert.is_nil(next(ids, (next(ids))))      -- by one name
    for _, t in ipairs(trials) do assert.same({"COMPLETE", 1}, {t.state, #t.attempts}) end
  end)

  it("tells reports that neither the store nor its spool takes with the next, or before the end", function ()
    local said, refused = {}, 0
    local view = setmetatable({say = function (_, format, ...) said[#said + 1] = format:format(...) end},
      {__index = function () return function () end end})
    local trials, _, _, _, agent = sweep("train", {trials = 2, agent = {view = view}, prepare = function (a)
      local kept = a.handle.kept
      local report, finish = kept.report, kept.finish
      function kept.report (_, e)
        local last = e.points[#e.points][1]
        if e.number == 0 and last == 4 or e.number == 1 and last == 12 and refused < 3 then
          refused = refused + 1
          return nil, "no space left on device", "ENOSPC"
        end
        return report(kept, e)
      end
      function kept.finish (_, e)
        assert.equal(3, #kept.state.trials[e.number + 1].reports)
        return finish(kept, e)
      end
    end})
    assert.equal(3, refused)
    for k, t in ipairs(trials) do
      assert.same({"COMPLETE", 3, 3}, {t.state, #t.reports, #agent.handle:metrics(k - 1).loss})
    end
    local word = "store: no space left on device; trials go on, new ones wait"
    assert.same({word, "store: it answers again", word}, {said[1], said[2], said[3]})
  end)

  it("calls a trial done when it is on disk, and plays the next one meanwhile", function ()
    local events, settles = {}, 0
    local view = setmetatable({}, {__index = function () return function () end end})
    function view.ended (_, trial) events[#events + 1] = "done " .. trial.number end
    local trials, how = sweep("fine", {trials = 4, agent = {view = view}, prepare = function (agent)
      function agent.handle.store.kept.settle ()
        settles = settles + 1
        local trial = agent.slots[1].trial
        events[#events + 1] = (settles == 2 and "refused" or "on disk") .. (trial and ", plays " .. trial.number or "")
        if settles == 2 then return nil, "the disk refuses", "EIO" end
        return true
      end
    end})
    assert.equal("done", how)
    for _, t in ipairs(trials) do assert.same({"COMPLETE", 1}, {t.state, #t.attempts}) end
    -- What was refused is said again, and nothing new is begun before.
    assert.same({"on disk, plays 1", "done 0", "refused, plays 2", "on disk", "done 2", "on disk, plays 3", "done 1",
      "on disk", "done 3"}, events)
  end)

  it("keeps the logs of trials that failed, however many reach the disk together", function ()
    local trials, _, _, folder = sweep("error", {trials = 3, workers = 3, prepare = function (agent)
      function agent.handle.store.kept.settle ()
        if #agent.ended < 3 then return nil, "the disk refuses", "EIO" end
        agent.handle.store.kept.settle = nil
        return true
      end
    end})
    for k, t in ipairs(trials) do
      assert.same({"FAIL", "ERROR"}, {ending(t)})
      assert.is_true(lurn.sys.exists(("%s/trial-%06d.log"):format(folder, k - 1)), k)
    end
  end)

  it("asks for the next trial together with a result where the sampler needs no look at it", function ()
    for name, expected in pairs {random = {turns = 4, claims = 1}, tpe = {turns = 0, claims = 6}} do
      local turns, claims = 0, 0
      local trials = sweep("fine", {trials = 5, sampler = {name = name}, prepare = function (agent)
        local kept = agent.handle.kept
        local claim = kept.claim
        function kept.claim (_, c)
          claims = claims + 1
          return claim(kept, c)
        end
        function kept.turn (_, e, c)
          local both = lurn.store_state.turn({finish = function (_, x) return kept:finish(x) end,
            claim = function (_, x) return claim(kept, x) end}, e, c)
          turns = turns + (both.trial and 1 or 0)
          return both
        end
      end})
      assert.equal(5, #trials)
      for _, t in ipairs(trials) do assert.same({"COMPLETE", 1}, {t.state, t.epoch}) end
      assert.equal(expected.turns, turns, name)
      assert.is_true(claims >= expected.claims and claims < expected.claims + 3, claims)
    end
  end)

  it("asks a sampler that looks at trials once for each claim, also when there is nothing left", function ()
    local proposals, claims = 0, 0
    sweep("fine", {trials = 1000, sampler = {name = "tpe"}, prepare = function (agent)
      agent.handle:set("trials", 3)
      local propose, claim = agent.choose.propose, agent.handle.claim
      function agent.choose.propose (...)
        proposals = proposals + 1
        return propose(...)
      end
      function agent.handle.claim (...)
        claims = claims + 1
        return claim(...)
      end
    end})
    assert.is_true(claims > 3)
    assert.equal(claims, proposals)
  end)

  it("gives back what it claimed together with a result when it is stopped then", function ()
    local trials, how = sweep("slow", {trials = 5, prepare = function (agent)
      function agent.view.ended () agent:stop "enough" end
    end, agent = {view = setmetatable({}, {__index = function () return function () end end})}})
    assert.equal("stopped", how)
    assert.same({"COMPLETE", "WAITING"}, {trials[1].state, trials[2].state})
    assert.equal("PREEMPTED", trials[2].attempts[1].reason)
  end)

  it("counts nothing of a trial that somebody else has by now, and leaves its files alone", function ()
    local path, ended = nil, 0
    local view = setmetatable({ended = function () ended = ended + 1 end}, {__index = function ()
      return function () end
    end})
    local trials = sweep("fine", {keep = 1, agent = {view = view, lease = 0.05}, prepare = function (agent)
      local kept = agent.handle.kept
      local finish = kept.finish
      function kept.finish (_, e)
        lurn.sys.sleep(0.1)
        local other = assert(agent.handle:claim {worker = "other"})
        path = agent:path(e.number)
        io.open(path, "w"):close()
        local done, why = finish(kept, e)
        assert.same({nil, "lost"}, {done, why})
        assert.is_true(finish(kept, {number = other.number, epoch = other.epoch, state = "PRUNED", value = 1.0,
          id = "other"}))
        return done, why
      end
    end})
    assert.equal(0, ended)
    assert.same({"PRUNED", 1, 0.5}, {trials[1].state, trials[1].value, trials[1].attempts[1].orphans[1].value})
  end)

  it("stops when its study was deleted, and writes nothing into another one of that name", function ()
    local url, other = shell.path "gone.db", nil
    local _, how, why = sweep("fine", {trials = 4, store = url, prepare = function (agent)
      local kept = agent.handle.kept
      local turn = kept.turn
      function kept.turn (...)
        local store = assert(lurn.store.open(url))
        if not other then
          assert(store:delete "sfine")
          other = assert(store:create {name = "sfine", spec = agent.spec})
          other:claim {worker = "other", propose = function () return {params = {x = 0.25}} end}
        end
        return turn(...)
      end
    end})
    assert.same({"failed", "the study 'sfine' was deleted"}, {how, why})
    local t = other:sync()
    assert.same({1, "RUNNING", "other", 0.25}, {#t, t[1].state, t[1].worker, t[1].params.x})
    other.store:close()
  end)

  it("ends what an earlier attempt left behind, when it is in the way", function ()
    local folder, began = shell.path "runs-fine", lurn.sys.clock()
    os.execute("mkdir -p " .. folder)
    -- Its agent stands in for one that was frozen: it has the lock, and a trial of it is another's by now.
    local pid, fd = lurn.process.fork()
    if pid == 0 then
      local child = lurn.process.fork()
      if child == 0 then assert(lurn.lock.take(folder .. "/trial-000000.h5")) end
      while true do lurn.process.poll({}, 1) end
    end
    while not lurn.sys.exists(folder .. "/trial-000000.h5.lock") do lurn.sys.sleep(0.01) end
    local trials = sweep("fine", {prepare = function (agent)
      agent.handle:claim {worker = "frozen", host = lurn.process.host(), pid = pid, lease = 0, propose = function (n)
        return agent.choose.propose(n, {})
      end}
    end})
    lurn.process.kill(pid, "KILL")
    lurn.process.close(fd)
    assert.same({"COMPLETE", 2}, {trials[1].state, #trials[1].attempts})
    assert.is_true(lurn.sys.clock() - began < 9)
  end)

  it("loads data once for all trials", function ()
    local path = shell.path "data.lua"
    shell.write("text.txt", ("to be or not to be "):rep(50))
    shell.write("data.lua", [[
      local lurn = require "lurn"
      return lurn.experiment {name = "data", params = {x = {0.5, float = {0, 1}}, path = "text.txt"},
        run = function (run, p)
          local import, imports = lurn.core.text, 0
          lurn.core.text = function (...) imports = imports + 1 return import(...) end
          local data = assert(lurn.text(p.path))
          assert(run.datasets[1] == data and #data.vocab == 7)
          return imports
        end}]])
    local other = assert(lurn.experiment.load(path))
    local store = assert(lurn.store.open "memory:")
    local study = assert(store:create {name = "data", spec = {script = {path = path, text = other.script, lua = {}},
      fixed = {path = shell.path "text.txt"}, space = lurn.space.of(other, {}), sampler = {name = "random"},
      pruner = {name = "nop"}, trials = 4, seeds = 1, seed = 1, keep = 0}})
    lurn.agent.new(study, other, {folder = shell.folder, name = "here"}):run()
    local values = {}
    for k, t in ipairs(study:sync()) do values[k] = t.value end
    assert.same({1, 0, 0, 0}, values)
  end)

  -- Plays two trials, of which one loads data and plays on, as then does the agent: slowly(whether it is, study).
  local function load_slowly (name, slowly)
    local path, here, import = shell.path(name .. ".lua"), lurn.sys.pid(), lurn.core.text
    shell.write(name .. ".txt", ("to be or not to be "):rep(50))
    shell.write(name .. ".lua", [[
      local lurn = require "lurn"
      return lurn.experiment {name = "slowly", params = {x = {0.5, float = {0, 1}}, path = "text.txt"},
        run = function (run, p)
          if p.x ~= 0.5 then return p.x end
          lurn.sys.sleep(0.1)
          assert(lurn.text(p.path))
          lurn.sys.sleep(1.3)
          return p.x
        end}]])
    local other = assert(lurn.experiment.load(path))
    local store = assert(lurn.store.open "memory:")
    local study = assert(store:create {name = name, spec = {script = {path = path, text = other.script, lua = {}},
      fixed = {path = shell.path(name .. ".txt")}, space = lurn.space.of(other, {}), sampler = {name = "random"},
      pruner = {name = "nop"}, trials = 2, seeds = 1, seed = 1, keep = 0}})
    function lurn.core.text (...)
      slowly(lurn.sys.pid() == here, study)
      return import(...)
    end
    lurn.agent.new(study, other, {folder = shell.folder, name = "here", workers = 2, lease = 0.4}):run()
    lurn.core.text = import
    for _, t in ipairs(study:sync()) do assert.same({"COMPLETE", 1}, {t.state, #t.attempts}) end
  end

  it("keeps its leases while it loads what took its trial long to load", function ()
    local taken, asked
    load_slowly("long", function (is_agent, study)
      lurn.sys.sleep(is_agent and 0.6 or 0.15)
      if is_agent then taken, asked = study:claim {worker = "other"}, true end
    end)
    assert.is_true(asked)
    assert.is_nil(taken)
  end)

  it("renews leases that ran out while it loaded before it claims anything", function ()
    local asked
    load_slowly("longer", function (is_agent)
      asked = is_agent
      if is_agent then lurn.sys.sleep(1.2) end
    end)
    assert.is_true(asked)
  end)
end)
