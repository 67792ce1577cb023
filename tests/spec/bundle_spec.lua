-- Runs in one file: what goes in comes out, and the table over seeds is right.

local shell = require "shell_helper"
local json = require "lurn.json" {}
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "tiny", params = {hidden = 4}, run = function (run, p)
  local data = assert(lurn.text "data/text.txt")
  local model = lurn.stack {input = data, lurn.embedding {size = 4}, lurn.rnn {hidden = p.hidden},
    lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
  return run:fit {model = model, optim = lurn.optim.adam(model, {lr = 0.1}), train = data.train, steps = 12,
    batch = 2, seq = 5, eval_every = 4}.loss
end}
]]

local function content (name)
  local lurn = require("lurn").f64
  local file = assert(lurn.runfile.read(shell.path(name)))
  local out = {}
  for key, value in pairs(file) do if key ~= "path" then out[key] = value end end
  local function plain (value)
    if type(value) == "userdata" then return value:totable() end
    if type(value) ~= "table" then return value end
    local t = {}
    for k, v in pairs(value) do t[k] = plain(v) end
    return t
  end
  return plain(out)
end

describe("a bundle", function ()
  setup(function ()
    shell.open()
    shell.run "mkdir data"
    shell.write("data/text.txt", ("to be or not to be, that is the question. "):rep(20) .. "\0\0")
    shell.write("tiny.lua", SCRIPT)
    if not shell.ready then return end
    for seed = 1, 3 do
      for _, hidden in ipairs {4, 6} do
        local code, _, err = shell.lurn(("run tiny.lua --quiet --seed %d --hidden %d --out runs/%d-%d.h5%s")
          :format(seed, hidden, seed, hidden, seed == 3 and " --precision f64" or ""))
        assert(code == 0, err)
      end
    end
    local code, _, err = shell.lurn "bundle runs -o all.h5 --with-data"
    assert(code == 0, err)
  end)
  teardown(shell.close)

  when_built("gives back the runs and the data, bit for bit", function ()
    local code, out, err = shell.lurn "bundle all.h5 --extract parts"
    assert.equal(0, code, err)
    assert.matches("%(headline%)", out)
    for _, name in ipairs {"1-4", "2-6", "3-4", "3-6"} do
      assert.same(content("runs/" .. name .. ".h5"), content("parts/" .. name .. ".h5"))
    end
    assert.equal(shell.read "data/text.txt", shell.read "parts/text.txt")
    assert.same({3, "", "lurn: all.h5: a bundle of runs: lurn bundle all.h5 --extract FOLDER takes its run files out\n"
      }, {shell.lurn "sample all.h5"})
  end)

  when_built("has a line for every setting with mean and spread over seeds", function ()
    local code, out = shell.lurn "bundle all.h5 --table csv"
    assert.equal(0, code)
    assert.matches("^run,hidden,seeds,mean,sd,min,max\n", out)
    for _, hidden in ipairs {4, 6} do
      local x = {}
      for seed = 1, 3 do x[seed] = content(("runs/%d-%d.h5"):format(seed, hidden)).best_value end
      local mean = (x[1] + x[2] + x[3]) / 3
      local sd = math.sqrt(((x[1] - mean)^2 + (x[2] - mean)^2 + (x[3] - mean)^2) / 2)
      local line = out:match(("\ntiny,%d,([^\n]*)"):format(hidden))
      local found = {}
      for word in line:gmatch "[^,]+" do found[#found + 1] = tonumber(word) end
      assert.equal(3, found[1])
      for i, expected in ipairs {mean, sd, math.min(table.unpack(x)), math.max(table.unpack(x))} do
        assert.is_true(math.abs(found[i + 1] - expected) <= 1e-12, line)
      end
    end
    local _, md = shell.lurn "bundle all.h5 --metric loss.last"
    assert.matches("^| run | hidden | seeds | mean | sd | min | max |\n| %-%-%- | %-%-%-: |", md)
  end)

  when_built("is verified with the data inside: its best run, or another", function ()
    shell.run "mv data gone"
    local code, out, err = shell.lurn "verify all.h5 --json --quiet"
    assert.equal(0, code, err)
    local d = assert(json.decode(out))
    assert.is_true(d.equal)
    local best = math.huge
    for seed = 1, 3 do
      for _, hidden in ipairs {4, 6} do
        best = math.min(best, content(("runs/%d-%d.h5"):format(seed, hidden)).best_value)
      end
    end
    assert.equal(best, d.best.value)
    code, out, err = shell.lurn "verify all.h5 --run 3-4 --quiet"
    assert.equal(0, code, err)
    assert.matches("^all.h5:3%-4: the same to the last bit: 12 steps", out)
    assert.equal(2, (shell.lurn "verify all.h5 --run nobody"))
    code, out, err = shell.lurn "bundle runs/1-4.h5 -o none.h5 --with-data"
    assert.equal("", out)
    assert.equal(3, code)
    assert.matches("data/text.txt: the data of runs/1%-4.h5 are not there", err)
    assert.is_false(shell.exists "none.h5")
    shell.run "mv gone data"
  end)

  when_built("is refused when it is broken, and when its names lead elsewhere", function ()
    shell.write("half.h5", shell.read("all.h5"):sub(1, 20000))
    assert.equal(3, (shell.lurn "bundle half.h5"))
    assert.equal(3, (shell.lurn "bundle runs/1-4.h5"))
    local lurn = require "lurn"
    local w <close> = assert(lurn.h5.create(shell.path "evil.h5"))
    assert(w:attr("/", "format", "lurn bundle"))
    assert(w:attr("/", "version", 1))
    assert(w:write("/runs/a b/x", "1"))
    assert(w:commit())
    local code, _, err = shell.lurn "bundle evil.h5 --extract evil"
    assert.equal(3, code)
    assert.matches("evil.h5: a name that is no file's: 'a b'", err)
    shell.write("later.h5", "")
    local v <close> = assert(lurn.h5.create(shell.path "later.h5"))
    assert(v:attr("/", "format", "lurn bundle"))
    assert(v:attr("/", "version", 9))
    assert(v:commit())
    code, _, err = shell.lurn "verify later.h5"
    assert.equal(3, code)
    assert.matches("a bundle of version 9; this lurn knows versions up to 2", err)
  end)
end)
