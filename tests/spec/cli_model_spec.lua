-- lurn sample and lurn eval: the model comes from the run file alone, and no line of its script is run.

local json = require "lurn.json" {}
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
local witness = io.open("witness", "a")
witness:write("x")
witness:close()
return lurn.experiment {name = "small", params = {hidden = 6, units = {choice = {"tanh", "relu"}}},
  run = function (_, p)
    local run = lurn.current
    local data = assert(lurn.text("text.txt", {split = {80, 10, 10}}))
    local model = lurn.stack {input = data, lurn.embedding {size = 4},
      lurn.rnn {hidden = tonumber(os.getenv "LURN_TEST_HIDDEN") or p.hidden, activation = p.units},
      lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = 1e-2})
    return run:fit {model = model, optim = optim, train = data.train, valid = data.valid, steps = 30, batch = 4,
      seq = 10, eval_every = 10}.loss
  end}
]]

local function witnesses () return #shell.read("witness") end

describe("a model from its run file", function ()
  local valid
  setup(function ()
    shell.open()
    local lines = {}
    for i = 1, 60 do lines[i] = ("%d green bottles hanging on the wall"):format(i * i) end
    shell.write("text.txt", table.concat(lines, "\n"))
    shell.write("small.lua", SCRIPT)
    if not shell.ready then return end
    local code, out, err = shell.lurn "run small.lua --quiet --out a.h5"
    assert.equal(0, code, err)
    valid = tonumber(out:match "result (%S+)")
  end)
  teardown(shell.close)

  when_built("is evaluated to the very number that training reported", function ()
    local before = witnesses()
    local code, out, err = shell.lurn "eval a.h5 --json"
    assert.equal(0, code, err)
    local d = assert(json.decode(out))
    assert.equal(("%.6g"):format(valid), ("%.6g"):format(d.splits.valid.loss))
    assert.near(d.splits.valid.loss / math.log(2), d.splits.valid.bits, 1e-12)
    assert.near(math.exp(d.splits.valid.loss), d.splits.valid.perplexity, 1e-9)
    assert.equal("integer", math.type(d.splits.test.count))
    assert.is_true(d.same_data)
    assert.equal(before, witnesses())
    code, out = shell.lurn "eval a.h5 --batch 2"
    assert.equal(0, code)
    assert.matches("valid +loss [%d.]+ nats +[%d.]+ bits +perplexity [%d.]+ +over %d+ characters", out)
  end)

  when_built("writes without its script, its text or a line of Lua", function ()
    local before = witnesses()
    os.rename(shell.folder .. "/text.txt", shell.folder .. "/text.away")
    local code, out, err = shell.lurn "sample a.h5 --length 40 --start wall --seed 3"
    assert.equal(0, code, err)
    assert.equal(40 + #"wall" + 1, #out)
    assert.equal("wall", out:sub(1, 4))
    local _, again = shell.lurn "sample a.h5 --length 40 --start wall --seed 3"
    assert.equal(out, again)
    code, out, err = shell.lurn "eval a.h5"
    assert.equal(3, code)
    assert.equal("", out)
    assert.matches("^lurn: [^\n]*text.txt: [^\n]*%-%-data FILE%)\n$", err)
    os.rename(shell.folder .. "/text.away", shell.folder .. "/text.txt")
    assert.equal(before, witnesses())
  end)

  when_built("is evaluated on other data with its own vocabulary", function ()
    shell.write("other.txt", "99 green walls on the bottles\n")
    shell.write("greek.txt", "\206\177\206\178\206\179")
    local code, out, err = shell.lurn "eval a.h5 --data other.txt"
    assert.equal(0, code, err)
    assert.matches("^all +loss", out)
    code, out, err = shell.lurn "eval a.h5 --data greek.txt"
    assert.equal(3, code)
    assert.equal("", out)
    assert.matches("greek.txt: [^\n]*vocabulary[^\n]*\n$", err)
    assert.equal(0, (shell.lurn "data text greek.txt -o greek.h5"))
    code, out, err = shell.lurn "eval a.h5 --data greek.h5"
    assert.equal(3, code, out)
    assert.matches("its vocabulary is not that of the run", err)
  end)

  when_built("says when the data are no longer what they were", function ()
    local text = shell.read "text.txt"
    shell.write("text.txt", text:gsub("green", "wrong"))
    local code, out, err = shell.lurn "eval a.h5"
    assert.equal(0, code, err)
    assert.matches("valid +loss", out)
    assert.matches("text.txt is not the data of the run any more: its hash is %x+, and was %x+\n", err)
    shell.write("text.txt", text)
  end)

  when_built("is not resumed as another model", function ()
    local code, _, err = shell.lurn("run --quiet --resume a.h5 --out b.h5", "LURN_TEST_HIDDEN=7")
    assert.equal(3, code)
    assert.matches("the script builds another model: instruction in line %d+ of the program was\n  [^\n]*%(6"
      .. "[^\n]*\nand is now\n  [^\n]*%(7", err)
  end)

  when_built("is refused in one sentence when its program is damaged", function ()
    local lurn = require "lurn"
    local file = assert(lurn.runfile.read(shell.folder .. "/a.h5"))
    assert.matches("^lurn program 1\n", file.models[1].program)
    for old, new in pairs {["rnn1.Wx (4,6)"] = "rnn1.Wx (4,7)", ["tanh"] = "hnat", ["output loss"] = "output mess",
                           ["rnn1.Wh"] = "rnn1.Wz", ["program 1"] = "program 9"} do
      shell.write("c.h5", shell.read "a.h5")
      assert.is_true(shell.patch("c.h5", old, new), old)
      local code, out, err = shell.lurn "eval c.h5"
      assert.equal(3, code, err)
      assert.equal("", out)
      assert.not_matches("traceback", err)
      assert.equal(1, select(2, err:gsub("\n", "")), err)
    end
  end)
end)
