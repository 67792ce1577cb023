-- A study in one file: what is given away is all of it, and its best figure can be done again.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "tiny", params = {hidden = {4, int = {2, 6}}, lr = {0.1, float = {0.05, 0.2}},
    size = {4, int = {2, 4}, when = function (p) return p.hidden > 3 end}, file = "data/text.txt"},
  run = function (run, p)
    print "the script says hello"
    local data = assert(lurn.text(p.file))
    local model = lurn.stack {input = data, lurn.embedding {size = p.size}, lurn.rnn {hidden = p.hidden},
      lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
    return run:fit {model = model, optim = lurn.optim.adam(model, {lr = p.lr}), train = data.train, steps = 12,
      batch = 2, seq = 5, eval_every = 4}.loss
  end}
]]

local QUICK = [[
local lurn = require "lurn"
return lurn.experiment {name = "quick", params = {x = {0.5, float = {-2, 2}}},
  run = function (run, p) return (p.x - 0.3)^2 end}
]]

local function document (out) return assert(lurn.json.decode(out, {nonfinite = true})) end

local function study_of (url, name)
  local store = assert(lurn.store.open(url, {create = false}))
  return assert(store:study(name)), store
end

-- All that a store knows, without the places of run files.
local function content (url, name)
  local study, store = study_of(url, name)
  local list = lurn.store_state.copy(assert(study:sync()))
  for _, t in ipairs(list) do
    t.metrics, t.run = study:metrics(t.number), nil
  end
  local spec, problems = study:spec(), study:check()
  store:close()
  assert.same({}, problems)
  return {spec = spec, trials = list}
end

-- The bundle again, with another study in it.
local function forge (from, to, change)
  local bundle = require "lurn.bundle" (lurn)
  local parts <close> = assert(bundle.opened(shell.path(from)))
  change(parts.study)
  local rows = {}
  for _, path in next, parts.runs do rows[#rows + 1] = require "lurn.shelf" (lurn).row(path) end
  for _, t in ipairs(parts.study.trials) do t.run = parts.runs[t.run] end
  assert(bundle.write(shell.path(to), rows, false, {}, parts.study))
end

local best, others

describe("a bundle of a study", function ()
  setup(function ()
    shell.open()
    shell.run "mkdir data"
    shell.write("data/text.txt", ("to be or not to be, that is the question. "):rep(20))
    shell.write("tiny.lua", SCRIPT)
    shell.write("quick.lua", QUICK)
    if not shell.ready then return end
    for _, command in ipairs {"sweep tiny.lua --quiet --sampler random --pruner none --trials 3 --seeds 2 --all_seeds "
      .. "--keep 1", "sweep quick.lua --quiet --sampler random --trials 3 --store dir:shared",
      "sweep quick.lua --quiet --sampler random --trials 2 --store dir:shared --study second",
      "bundle sweeps/tiny.db -o tiny.h5 --with-data"} do
      local code, _, err = shell.lurn(command)
      assert(code == 0, err)
    end
    local rows = lurn.study_table.configurations(content(shell.path "sweeps/tiny.db", "tiny").trials, "minimize", 2)
    best, others = rows[1].best, rows[3].best
  end)
  teardown(shell.close)

  when_built("has configurations with mean and spread over seeds, best first", function ()
    local code, out, err = shell.lurn "bundle tiny.h5 --table csv"
    assert.equal(0, code, err)
    local rows = lurn.study_table.configurations(content(shell.path "sweeps/tiny.db", "tiny").trials, "minimize", 2)
    local lines = {}
    for line in out:gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.equal("trial,hidden,lr,size,seeds,mean,sd,min,max", lines[1])
    assert.equal(4, #lines)
    for k, row in ipairs(rows) do
      local cells = {}
      for cell in (lines[k + 1] .. ","):gmatch "([^,]*)," do cells[#cells + 1] = tonumber(cell) or false end
      local a, b = row.trials[1].value, row.trials[2].value
      assert.same({row.best.number, row.params.hidden, row.params.lr, row.params.size or false, 2},
        table.move(cells, 1, 5, 1, {}))
      for i, expected in ipairs {(a + b) / 2, math.abs(a - b) / math.sqrt(2), math.min(a, b), math.max(a, b)} do
        assert.is_true(math.abs(cells[5 + i] - expected) <= 1e-12, lines[k + 1])
      end
    end
    local _, md = shell.lurn "bundle tiny.h5 --metric loss.last"
    assert.matches("^| trial | hidden | lr | size | seeds | mean | sd | min | max |\n| %-%-%-: |", md)
  end)

  when_built("becomes a store again, with its run files and its data", function ()
    local code, out, err = shell.lurn "bundle tiny.h5 --extract parts"
    assert.equal(0, code, err)
    assert.matches("^parts/tiny.db  %(study tiny%)\n", out)
    assert.same(content(shell.path "sweeps/tiny.db", "tiny"), content(shell.path "parts/tiny.db", "tiny"))
    assert.equal(shell.read "data/text.txt", shell.read "parts/text.txt")
    local d = document(select(2, shell.lurn "study best --store parts/tiny.db --json"))
    assert.equal(best.number, d.best.number)
    assert.matches(("/parts/trial%%-%06d.h5$"):format(best.number), d.best.run)
    assert.equal("done", assert(lurn.runfile.read(d.best.run)).status)
    assert.equal(3, (shell.lurn "bundle tiny.h5 --extract parts"))
  end)

  when_built("is verified far from its store: by digests, or played anew where no run file was kept", function ()
    shell.run "mkdir far && mv tiny.h5 far && mv data gone && mv sweeps away"
    local code, out, err = shell.run(("cd far && %s verify tiny.h5"):format(shell.bin))
    assert.equal(0, code, err)
    assert.matches(("^tiny.h5:trial%%-%06d: the same to the last bit: 12 steps, %%d+ digests"):format(best.number), out)
    local name = ("trial-%06d"):format(others.number)
    code, out, err = shell.run(("cd far && %s verify tiny.h5 --run %s"):format(shell.bin, name))
    assert.equal(0, code, err)
    assert.matches(("^tiny.h5:trial%%-%06d: played anew, the same to the last bit: value "):format(others.number), out)
    assert.matches("3 reports", out)
    assert.matches("the script says hello", err)
    code, out, err = shell.run(("cd far && %s rerun tiny.h5 --run %s"):format(shell.bin, name))
    assert.equal("", out)
    assert.equal(3, code)
    assert.matches("its run file was not kept", err)
    shell.run "mv far/tiny.h5 . && mv gone data && mv away sweeps"
  end)

  when_built("is verified as far as a trial went that was pruned", function ()
    forge("tiny.h5", "pruned.h5", function (s)
      local t = s.trials[others.number + 1]
      t.state, t.value, t.reports[3] = "PRUNED", nil, nil
    end)
    local code, out, err = shell.lurn(("verify pruned.h5 --run trial-%06d --json --quiet"):format(others.number))
    assert.equal(0, code, err)
    local d = document(out)
    assert.same({true, 2, 8}, {d.equal, d.reports, d.steps})
  end)

  when_built("does not pass when it claims what is not so", function ()
    forge("tiny.h5", "value.h5", function (s) s.trials[best.number + 1].value = best.value - 1e-9 end)
    local code, out = shell.lurn "verify value.h5 --quiet"
    assert.equal(1, code)
    assert.matches("the same bits as its run file, but the study says otherwise: the value was", out)
    forge("tiny.h5", "report.h5", function (s) s.trials[others.number + 1].reports[2][2] = 3.5 end)
    local name = ("trial-%06d"):format(others.number)
    code, out = shell.lurn(("verify report.h5 --quiet --run %s --json"):format(name))
    assert.equal(1, code)
    local d = document(out)
    assert.is_false(d.equal)
    assert.same({8, 3.5, others.reports[2][2]}, {d.parted.step, d.parted.was, d.parted.is})
    forge("tiny.h5", "script.h5", function (s) s.spec.script.text = SCRIPT:gsub("seq = 5", "seq = 6") end)
    code, out = shell.lurn(("verify script.h5 --quiet --run %s"):format(name))
    assert.equal(1, code)
    assert.matches("differs: the report of step 4 was", out)
  end)

  when_built("is made of a shared folder, too, and of one study of several", function ()
    local code, _, err = shell.lurn "bundle dir:shared -o q.h5"
    assert.equal(2, code)
    assert.matches("which study%? quick, second", err)
    assert.equal(0, (shell.lurn "bundle dir:shared#second -o q.h5"))
    assert.matches("\n| [01] |", (select(2, shell.lurn "bundle q.h5")))
    assert.equal(0, (shell.lurn "bundle dir:shared --study quick -o q.h5 --json"))
    code, _, err = shell.lurn "bundle q.h5 --extract q"
    assert.equal(0, code, err)
    assert.same(content("dir:" .. shell.path "shared", "quick"), content(shell.path "q/quick.db", "quick"))
    local out      -- trains nothing, so that there are no digests
    code, out, err = shell.lurn "verify q.h5"
    assert.equal(0, code, err)
    assert.matches("played anew, the same to the last bit: value [%d.e-]+, 0 reports", out)
  end)

  when_built("is refused when it is damaged", function ()
    for what, change in pairs {
      ["its name"] = function () end,
      ["its spec"] = function (w) assert(w:write("/study/spec", "[")) end,
      ["trial%-000000: state"] = function (w)
        assert(w:write("/study/trials", '{"number":0,"epoch":1,"config":0,"seed":1,"params":{},"reports":[],'
          .. '"attempts":[],"attrs":{},"metrics":{},"state":"GONE"}'))
      end,
      ["trial%-000000: reports"] = function (w)
        assert(w:write("/study/trials", '{"number":0,"epoch":1,"config":0,"seed":1,"params":{},"reports":["x"],'
          .. '"attempts":[],"attrs":{},"metrics":{},"state":"PRUNED"}'))
      end} do
      do
        local w <close> = assert(lurn.h5.create(shell.path "bad.h5"))
        assert(w:attr("/", "format", "lurn bundle"))
        assert(w:attr("/", "version", 2))
        if what ~= "its spec" then assert(w:write("/study/spec", "{}")) end
        assert(w:write("/study/keys", "{}"))
        if not what:find "^trial" then assert(w:write("/study/trials", "\n")) end
        change(w)
        assert(w:attr("/study", "direction", "minimize"))
        assert(w:attr("/study", "name", what == "its name" and 3 or "n"))
        assert(w:commit())
      end
      local code, _, err = shell.lurn "bundle bad.h5"
      assert.equal(3, code)
      assert.matches("bad.h5: the study is damaged: " .. what, err)
      assert.equal(3, (shell.lurn "verify bad.h5"))
    end
  end)
end)
