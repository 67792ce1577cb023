-- Whoever looks at a run in the middle of it (evaluates, samples, diagnoses, tries things at a prompt) leaves its bits
-- as they are: weights, moments, carried state, metrics, the script's random numbers, digests.

local lurn = require "lurn"
local bits = require "bits_helper"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "visited", params = {looks = false}, run = function (run, p)
  local data = assert(lurn.text "text.txt")
  local model = lurn.stack {input = data, lurn.embedding {size = 5}, lurn.lstm {hidden = 7, layers = 2, dropout = 0.3},
    lurn.linear {size = #data.vocab}, loss = lurn.loss.cross_entropy()}
  local optim = lurn.optim.adam(model, {lr = 0.01})
  local draws = 0
  for batch, step in run:batches(data.train, {batch = 4, seq = 6, epochs = 2}) do
    run:log {loss = model:forward(batch)}
    model:backward()
    optim:step()
    draws = draws + math.random()
    run.state.draws = draws
    if p.looks and step % 5 == 0 then looks(lurn, model, data, batch) end
  end
  return draws
end}
]]

-- All that the module offers to someone who is curious.
local function looks (l, model, data, batch)
  model:evaluate(data.valid, {batch = 3, seq = 5})
  l.sample(model, data.vocab, {length = 20, temperature = 0.8, seed = 9})
  model:stream {seed = 2}:step(1)
  model:diagnose(batch)
  model:lags(batch)
  model:gradient_norms(batch)
  model:predict(data.valid)
  l.tensor {1, 2, 3}
end

local function content (run)
  local out = {draws = run.result, metrics = {}}
  for name, series in pairs(run.metrics) do out.metrics[name] = {series.step, series.value} end
  out.state = run.state.draws
  for _, p in ipairs(run.model:parameters()) do out[p.path] = p.value end
  return bits(out), run.digests.hex
end

describe("a visit in mid-run", function ()
  local straight, digests, experiment

  local function start () return experiment:start(nil, {quiet = true, out = shell.path "v.h5"}) end

  setup(function ()
    shell.open()
    local lines = {}
    for i = 1, 40 do lines[i] = ("%d bottles of beer on the wall."):format(i * i) end
    shell.write("text.txt", table.concat(lines, "\n"))
    shell.write("v.lua", (SCRIPT:gsub("text.txt", shell.path "text.txt")))
    experiment = assert(lurn.experiment.load(shell.path "v.lua"))
    local run = start():play()
    assert(run.status == "done", run.trace)
    straight, digests = content(run)
    assert(#digests >= 2)
  end)
  teardown(shell.close)

  it("by the script, between the steps of its loop", function ()
    rawset(_G, "looks", looks)
    local run = experiment:start({looks = true}, {quiet = true, out = shell.path "w.h5"}):play()
    rawset(_G, "looks", nil)
    assert.equal("done", run.status, run.trace)
    local seen, chain = content(run)
    assert.equal(straight, seen)
    assert.same(digests, chain)
  end)

  it("by someone who lets it go step by step, with random numbers of his own", function ()
    local run = start()
    for _ = 1, 4 do
      run:step(3)
      local data = run.datasets[1]
      looks(lurn, run.model, data, lurn.batch {x = lurn.ids {{1, 2, 3}}, y = lurn.ids {{2, 3, 4}}})
      math.random()
      math.randomseed(5)
    end
    local seen, chain = content(run:continue())
    assert.equal(straight, seen)
    assert.same(digests, chain)
  end)

  when_built("at the prompt of the launcher", function ()
    shell.write("prompt.txt", [[
e = assert(lurn.experiment.load "v.lua")
run = e:start(nil, {quiet = true, out = "q.h5"})
run:step(7)
run.model:evaluate(run.datasets[1].valid).loss
lurn.sample(run.model, run.datasets[1].vocab, {length = 30})
run.model:diagnose(lurn.batch {x = lurn.ids {{1, 2, 3}}, y = lurn.ids {{2, 3, 4}}})
math.random()
run:continue().done
]])
    local _, _, code = os.execute(("cd %s && %s <prompt.txt >out 2>err"):format(shell.folder, shell.bin))
    assert.equal(0, code, shell.read "err")
    assert.equal("", shell.read "err")
    local file = assert(lurn.runfile.read(shell.path "q.h5"))
    assert.equal("done", file.status)
    assert.same(digests, file.digests.hex)
  end)
end)
