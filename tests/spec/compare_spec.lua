-- Runs side by side: ls, compare, diff. And the difference of two texts by itself.

local shell = require "shell_helper"
local json = require "lurn.json" {}
local textdiff = require "lurn.textdiff" ()
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "tiny", params = {lr = 0.1, cell = {"rnn", choice = {"rnn", "gru"}}, tied = false},
  run = function (run, p)
    local data = assert(lurn.text "text.txt")
    local model = lurn.stack {input = data, lurn.embedding {size = 4}, lurn[p.cell] {hidden = 5},
      lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
    return run:fit {model = model, optim = lurn.optim.adam(model, {lr = p.lr}), train = data.train, steps = 12,
      batch = 2, seq = 5, eval_every = 4}.loss
  end}
]]

local function lurn_json (words)
  local code, out, err = shell.lurn(words .. " --json")
  return assert(json.decode(out), err), code
end

local function names (list)
  local out = {}
  for i, row in ipairs(list) do out[i] = row.path:match "[^/]*$" end
  return out
end

describe("the difference of texts", function ()
  local function edits (a, b)
    local out = {}
    for i, e in ipairs(textdiff.edits(a, b)) do out[i] = ("%s%d%s"):format(e.sign, e.line, e.text) end
    return table.concat(out, " ")
  end

  it("is the lines that come and go", function ()
    assert.equal("", edits("a\nb\n", "a\nb\n"))
    assert.equal("-2b +2x", edits("a\nb\nc\n", "a\nx\nc\n"))
    assert.equal("+1x", edits("a\nb", "x\na\nb"))
    assert.equal("-1a -2b", edits("a\nb", ""))
    assert.equal("+1a", edits("", "a\n"))
  end)

  it("turns one text into the other, with the fewest lines", function ()
    local random = 7
    local function draw (n) random = (random * 1103515245 + 12345) % 2^31; return random // 65536 % n end
    for _ = 1, 200 do
      local a, b = {}, {}
      for i = 1, draw(9) do a[i] = string.char(97 + draw(3)) end
      for i = 1, draw(9) do b[i] = string.char(97 + draw(3)) end
      local lcs = {}      -- the longest common subsequence, by the table
      for i = 0, #a do
        lcs[i] = {}
        for j = 0, #b do
          lcs[i][j] = (i == 0 or j == 0) and 0 or a[i] == b[j] and lcs[i - 1][j - 1] + 1
            or math.max(lcs[i - 1][j], lcs[i][j - 1])
        end
      end
      local list = textdiff.edits(table.concat(a, "\n"), table.concat(b, "\n"))
      assert.equal(#a + #b - 2 * lcs[#a][#b], #list)
      local gone, new, made, i = {}, {}, {}, 1
      for _, e in ipairs(list) do (e.sign == "-" and gone or new)[e.line] = e.text end
      for line, text in pairs(gone) do assert.equal(a[line], text) end
      for k = 1, #b do
        while gone[i] do i = i + 1 end
        if new[k] then made[k] = new[k] else made[k], i = a[i], i + 1 end
      end
      assert.same(b, made)
    end
  end)
end)

describe("run files side by side", function ()
  setup(function ()
    shell.open()
    shell.write("text.txt", ("to be or not to be, that is the question. "):rep(20))
    shell.write("tiny.lua", SCRIPT)
    shell.write("other.lua", (SCRIPT:gsub("size = 4", "size = 6")))
    if not shell.ready then return end
    for name, words in pairs {a = "tiny.lua", b = "tiny.lua --lr 0.001 --tied true", c = "tiny.lua --cell gru --seed 2",
      d = "other.lua --precision f64"} do
      local code, _, err = shell.lurn(("run %s --quiet --out runs/%s.h5"):format(words, name))
      assert(code == 0, err)
    end
    shell.write("runs/broken.h5", shell.read("runs/a.h5"):sub(1, 5000))
    shell.write("runs/a.step-000004.h5", shell.read "runs/a.h5")      -- kept beside it: no run of its own
    shell.write("runs/text.h5", "no HDF5 at all")
    shell.lurn "data text text.txt -o runs/data.h5"
  end)
  teardown(shell.close)

  when_built("lists a folder, broken files too, data sets not", function ()
    local d, code = lurn_json "ls"
    assert.equal(0, code)
    assert.same({"a.h5", "b.h5", "broken.h5", "c.h5", "d.h5", "text.h5"}, names(d.runs))
    assert.equal("broken", d.runs[3].status)
    assert.matches("broken.h5: ", d.runs[3].error)
    local best
    for _, row in ipairs(d.runs) do
      if row.best and (not best or row.best < best.best) then best = row end
    end
    for _, row in ipairs(d.runs) do assert.equal(row == best or nil, row.best_of_name) end
    local _, out, err = shell.lurn "ls runs"
    assert.matches("\n +runs/broken.h5 +broken\n", out)
    assert.matches("\n%* +runs/" .. names({best})[1], out)
    assert.matches("broken.h5: ", err)
    assert.equal(3, (shell.lurn "ls nowhere"))
    assert.same({"a.h5"}, names((lurn_json "ls runs/a.h5").runs))
    code, _, err = shell.lurn "ls runs/data.h5"
    assert.equal(3, code)
    assert.matches("runs/data.h5: an HDF5 file, but not a run file", err)
    assert.equal(2, (shell.lurn "bundle runs/a.h5 -o runs/a.h5"))
    shell.lurn "bundle runs/a.h5 -o some.h5"
    code, _, err = shell.lurn "ls some.h5"
    assert.equal(3, code)
    assert.matches("some.h5: a bundle of runs", err)
  end)

  when_built("leaves a cell empty where a run has no such parameter", function ()
    shell.write("more.lua", (SCRIPT:gsub("params = {", "params = {extra = 7, ")))
    shell.run "mkdir mixed && cp runs/a.h5 mixed"
    shell.lurn "run more.lua --lr 0.01 --quiet --out mixed/m.h5"
    local _, out = shell.lurn "ls mixed --csv"
    assert.matches("best,extra,lr\n", out)
    assert.matches("a.h5,done,%d+,[%d.]+,,0.1\n", out)
    assert.matches("m.h5,done,%d+,[%d.]+,7,0.01\n", out)
  end)

  when_built("a loss is best where it is smallest, also where the experiment maximises", function ()
    shell.write("up.lua", [[
      local lurn = require "lurn"
      return lurn.experiment {name = "up", direction = "maximize", params = {least = 0.5}, run = function (run, p)
        for _, x in ipairs {0.9, p.least, 0.7} do
          run:note {valid_loss = x, grad_norm = x, own = x}
          run:report(1 - x, "valid_accuracy")
        end
      end}]])
    for name, least in pairs {x = 0.5, y = 0.25} do
      local code, _, err = shell.lurn(("run up.lua --quiet --least %g --out up/%s.h5"):format(least, name))
      assert.equal(0, code, err)
    end
    local runs = (lurn_json "ls up --sort valid_loss").runs
    assert.same({"y.h5", "x.h5"}, names(runs))
    assert.same({"y.h5", "x.h5"}, names((lurn_json "ls up --sort valid_loss.best").runs))
    assert.same({"y.h5", "x.h5"}, names((lurn_json "ls up --sort valid_accuracy").runs))
    for name, best in pairs {valid_loss = 0.25, grad_norm = 0.25, own = 0.9, valid_accuracy = 0.75} do
      assert.equal(best, runs[1].metrics[name].best, name)
    end
    local code, _, err = shell.lurn "bundle up/x.h5 up/y.h5 -o up.h5"
    assert.equal(0, code, err)
    local _, out = shell.lurn "bundle up.h5 --metric valid_loss"
    assert.matches("0.25", out)
  end)

  when_built("sorts and filters by parameters and metrics", function ()
    local d = lurn_json "ls --sort mean_loss"
    for i = 2, 4 do assert.is_true(d.runs[i - 1].metrics.mean_loss.best <= d.runs[i].metrics.mean_loss.best) end
    assert.equal("broken", d.runs[5].status)
    assert.same({"b.h5"}, names((lurn_json "ls --where 'lr<1e-2'").runs))
    assert.same({"c.h5"}, names((lurn_json "ls --where 'lr>=0.1 and cell=gru'").runs))
    assert.same({"a.h5", "c.h5"}, names((lurn_json "ls --where 'tied=false,precision!=f64'").runs))
    local code, out, err = shell.lurn "ls --where 'lrr<1' --csv"
    assert.same({0, " ,run,status,steps,best\n"}, {code, out})
    assert.matches("no run here has 'lrr'", err)
    code, out, err = shell.lurn "ls --sort mean_los --where 'lr<1e-2'"
    assert.equal(0, code)
    assert.matches("b.h5", out)
    assert.matches("^lurn: %-%-sort: no run here has 'mean_los'\n", err)
    assert.equal(2, (shell.lurn "ls --where 'lr>>1'"))
    assert.equal(2, (shell.lurn "ls --where 'os.exit()'"))
  end)

  when_built("compares what differs, with all digits as CSV", function ()
    local d = lurn_json "compare runs/a.h5 runs/b.h5 runs/c.h5"
    assert.same({"cell", "lr", "tied"}, d.varying)
    local _, out = shell.lurn "compare runs/a.h5 runs/b.h5 --csv"
    assert.matches("\nlr,0.1,0.001\ntied,false,true\n", out)
    assert.is_not.matches("cell", out)
    local last = d.runs[1].metrics.loss.last
    assert.matches("\nloss last," .. json.number(last):gsub("%p", "%%%0") .. ",", out)
    assert.equal(3, (shell.lurn "compare runs/a.h5 runs/broken.h5"))
    _, out = shell.lurn "compare runs/a.h5 runs/b.h5 --csv --metric mean_loss,loss"
    local rows = {}
    for word in out:gmatch "\n([%w_]+) last," do rows[#rows + 1] = word end
    assert.same({"mean_loss", "loss"}, rows)
    local code, err
    code, out, err = shell.lurn "compare runs/a.h5 runs/b.h5 --metric mean_los"
    assert.same({2, ""}, {code, out})
    assert.matches("%-%-metric: no run here has 'mean_los', did you mean 'mean_loss'%?", err)
  end)

  when_built("says what differs between two, and nothing else", function ()
    local d, code = lurn_json "diff runs/a.h5 runs/a.h5"
    assert.same({0, true}, {code, d.equal})
    d = lurn_json "diff runs/a.h5 runs/d.h5"
    assert.same({}, d.params)
    assert.equal(2, #d.code[1].lines)
    assert.same({"-", 5}, {d.code[1].lines[1].sign, d.code[1].lines[1].line})
    assert.same({"precision"}, {d.environment[1].entry})
    assert.equal("program", d.programs[1].file)
    assert.same({1, 1, 4}, {d.curves[1].from, d.curves[2].from, d.curves[3].from})
    local _, out = shell.lurn "diff runs/a.h5 runs/c.h5"
    assert.matches("^parameters:\n  cell: rnn %-> gru\n  seed: 1 %-> 2\nprograms, program:\n", out)
    assert.matches("\ncurves:\n", out)
    assert.equal(3, (shell.lurn "diff runs/a.h5 runs/text.h5"))
    assert.equal(2, (shell.lurn "diff runs/a.h5"))
  end)
end)
