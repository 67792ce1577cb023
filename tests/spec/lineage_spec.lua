-- Runs that come from other runs: --fork and --init.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "parent", params = {lr = 0.01, epochs = 2, hidden = 6, classes = 0, goal = -1.0},
  run = function (run, p)
    local data = assert(lurn.text "text.txt")
    local model = lurn.stack {input = data, lurn.embedding {size = 4}, lurn.lstm {hidden = p.hidden, dropout = 0.1},
      lurn.linear {size = #data.vocab + p.classes}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = p.lr})
    run.state.rates = run.state.rates or {}
    local fit = run:fit {model = model, optim = optim, train = data.train, valid = data.valid, epochs = p.epochs,
      batch = 5, seq = 8, goal = p.goal}
    return {loss = fit.loss, lr = optim.lr, draw = math.random(1000)}
  end}
]]

local function content (name)
  local file = assert(lurn.runfile.read(shell.path(name)))
  local out = {steps = file.counters.steps, metrics = file.metrics, best = file.best_value, state = file.state,
    random = file.counters.random, numbers = file.optims[1].numbers}
  for group, tensors in pairs {weights = file.models[1].weights, carried = file.models[1].state,
                               moments = file.optims[1].tensors, best_weights = file.best.weights[1]} do
    out[group] = {}
    for path, tensor in pairs(tensors) do out[group][path] = tensor:totable() end
  end
  return lurn.json.encode(out), file
end

local function ok (arguments)
  local code, out, err = shell.lurn(arguments)
  assert.equal(0, code, err)
  return out, err
end

describe("a run that comes from another", function ()
  setup(function ()
    shell.open()
    shell.write("parent.lua", SCRIPT)
    local lines = {}
    for i = 1, 30 do lines[i] = ("%d bottles of beer on the wall."):format(i * i) end
    shell.write("text.txt", table.concat(lines, "\n"))
    if shell.ready then ok "run parent.lua --quiet --seed 3 --keep 1 --out p.h5" end
  end)
  teardown(shell.close)

  when_built("as a fork goes on where the parent stopped, the bits of a run that was longer from the start", function ()
    -- When a run is done its file has the best weights; the last checkpoint that is kept has the last.
    local _, parent = content "p.h5"
    local last = ("p.step-%06d.h5"):format(parent.counters.steps)
    local before = shell.read(last)
    ok("run --quiet --fork " .. last .. " --epochs 5 --out f.h5")
    ok "run parent.lua --quiet --seed 3 --epochs 5 --out long.h5"
    local forked, file = content "f.h5"
    assert.equal((content "long.h5"), forked)
    assert.is_true(before == shell.read(last))
    local l = file.lineage
    assert.same({"fork", (last:gsub(".h5$", "")), last, parent.counters.steps, "last"},
      {l.kind, l.parent, l.file, l.step, l.weights})
    assert.same({epochs = {was = 2, is = 5}}, l.changed)
    assert.equal(3, file.seed)
    assert.equal(5, file.params.epochs)
  end)

  when_built("knows the parent's weights by their digest", function ()
    local _, file = content "f.h5"
    local _, parent = content(file.lineage.file)
    local model = lurn.from_program(parent.models[1].program)
    lurn.runfile.fill(model, parent.models[1].weights, "weights")
    assert.same({model.native:hash()}, file.lineage.digest)
    assert.not_equal(lurn.lineage.digest(file.models[1].weights), file.lineage.digest[1])
  end)

  when_built("as a fork takes another learning rate, and keeps the parent's when none is asked for", function ()
    local rate = lurn.json.decode((ok "run --quiet --json --fork p.h5 --epochs 3 --lr 0.002 --out g.h5")).result.lr
    assert.equal(0.002, rate)
    rate = lurn.json.decode((ok "run --quiet --json --fork p.h5 --epochs 3 --out h.h5")).result.lr
    assert.equal(0.01, rate)
    assert.not_equal((content "g.h5"), (content "h.h5"))
  end)

  when_built("as a fork is resumed like any other, and has ancestors", function ()
    ok "run --quiet --fork f.h5 --epochs 6 --out ff.h5"
    ok "run --quiet --resume ff.h5"
    local _, file = content "ff.h5"
    assert.equal("f", file.lineage.parent)
    assert.matches("^p.step", file.lineage.lineage.parent)
    local out = ok "inspect ff.h5"
    assert.matches("fork of f at step %d+ %(last weights, f.h5%)\n"
      .. "fork of p.step%-%d+ at step %d+ %(last weights, p.step%-%d+.h5%)\n", out)
  end)

  when_built("as a fork goes on behind a goal that ended the parent", function ()
    ok "run parent.lua --quiet --goal 100 --epochs 3 --out goal.h5"
    local _, parent = content "goal.h5"
    ok "run --quiet --fork goal.h5 --goal -1 --out on.h5"
    local _, file = content "on.h5"
    assert.equal(3 * parent.counters.steps, file.counters.steps)
  end)

  when_built("as a fork is not another model", function ()
    local code, _, err = shell.lurn "run --quiet --fork p.h5 --hidden 7 --out x.h5"
    assert.equal(3, code)
    assert.matches("^lurn: fork: the script builds another model: instruction in line %d+ ", err)
    assert.is_false(shell.exists "x.h5")
    code, _, err = shell.lurn "run --quiet --fork p.h5 --heads 7"
    assert.equal(2, code)
    assert.matches("unknown parameter 'heads'", err)
    assert.equal(2, (shell.lurn "run parent.lua --fork p.h5"))
    assert.equal(2, (shell.lurn "run --resume p.h5 --fork p.h5"))
    assert.equal(3, (shell.lurn "run --fork text.txt"))
    assert.equal(2, (shell.lurn "run --fork p.h5 --precision f64"))
    assert.equal(2, (shell.lurn "run --fork p.h5 --epochs 9 --out ./p.h5"))
  end)

  when_built("by its first weights begins with the parent's best, and is new in everything else", function ()
    local _, err = ok "run parent.lua --init p.h5 --seed 8 --epochs 0 --out i.h5"
    assert.matches("init: %d+ of %d+ parameters from p.h5, step %d+\n", err)
    local file, parent = assert(lurn.runfile.read(shell.path "i.h5")), assert(lurn.runfile.read(shell.path "p.h5"))
    for path, tensor in pairs(parent.best.weights[1]) do
      assert.same(tensor:totable(), file.models[1].weights[path]:totable(), path)
    end
    assert.same({"init", "p", "best", parent.best_step}, {file.lineage.kind, file.lineage.parent, file.lineage.weights,
      file.lineage.step})
    assert.equal(0, file.counters.steps)
    assert.equal(8, file.seed)
    ok "run --quiet --init p.h5 --epochs 1 --lr 0.1 --precision f64 --out i64.h5"      -- the file's own script
    file = assert(lurn.f64.runfile.read(shell.path "i64.h5"))
    assert.same({"f64", 0.1, 6}, {file.precision, file.params.lr, file.params.hidden})
  end)

  when_built("by its first weights says what does not fit, and takes a part when asked", function ()
    local code, _, err = shell.lurn "run parent.lua --quiet --init p.h5 --classes 2 --epochs 0 --out j.h5"
    assert.equal(3, code)
    assert.matches("^lurn: init: p.h5 does not fit model 1: of another shape: linear1.Wo %(6 x %d+, the model has 6 x "
      .. "%d+%), linear1.bo %([^\n]*%); %-%-partial takes what fits\n$", err)
    _, err = ok "run parent.lua --partial --init p.h5 --classes 2 --epochs 0 --out j.h5"
    assert.matches("init: %d+ of %d+ parameters from p.h5, step %d+; of another shape: linear1.Wo ", err)
    local file, parent = assert(lurn.runfile.read(shell.path "j.h5")), assert(lurn.runfile.read(shell.path "p.h5"))
    assert.same(parent.best.weights[1]["lstm1.i.Wx"]:totable(), file.models[1].weights["lstm1.i.Wx"]:totable())
    shell.write("two.lua", (SCRIPT:gsub("lurn.lstm {", "lurn.gru {")))
    code, _, err = shell.lurn "run two.lua --quiet --init p.h5 --epochs 0"
    assert.equal(3, code)
    assert.matches("not in the file: gru1[^;]*; not in the model: lstm1", err)
    assert.equal(2, (shell.lurn "run parent.lua --partial"))
  end)
end)
