-- Ctrl-C at a prompt: what is played pauses wherever it is, and goes on to the bits it would have had.

local lurn = require "lurn"
local signal = lurn.signal

-- The signal comes from another process, after so many seconds.
local function interrupt (after)
  os.execute(("(sleep %g; kill -INT %d) &"):format(after, lurn.sys.pid()))
end

-- Played with signals that come again and again: the results, and how often it was paused.
local function play (f, ask, each)
  local thread, pauses = coroutine.create(f), 0
  while true do
    ask()
    local found = table.pack(signal.resume(thread))
    signal.raise()
    signal.clear()
    if found[1] ~= nil then return pauses, table.unpack(found, 1, found.n) end
    pauses = pauses + 1
    if each then each() end
  end
end

-- Longer than any pass of the experiment below, so that it goes on.
local function in_a_pass () signal.raise(400) end

local function experiment (steps)
  return lurn.experiment {name = "pause", run = function (run)
    local set = {split = {train = {1, 12}, valid = {13, 16}}}
    for i = 1, 16 do
      local x = {}
      for t = 1, 60 do x[t] = (i * 37 + t * 11) % 5 + 1 end
      set[i] = {x = x, y = x}
    end
    local data = lurn.dataset(set)
    local model = lurn.stack {input = {vocab = 5}, lurn.embedding {size = 8}, lurn.lstm {hidden = 48, layers = 2,
      dropout = 0.3}, lurn.linear {size = 5}, loss = lurn.loss.cross_entropy()}
    return run:fit {model = model, optim = lurn.optim.adam(model, {lr = 0.01}), train = data.train, valid = data.valid,
      seq = 20, batch = 4, steps = steps, eval_every = 10}.loss
  end}
end

local function start (steps) return experiment(steps):start({}, {write = false, quiet = true, seed = 3}) end

local function bits (run) return run.result, lurn.json.encode(run.metrics.loss.value), run.model.native:hash() end

describe("a section that is played stretch by stretch", function ()
  it("gives the bits of the naive twin", function ()
    local model = lurn.stack {input = {dim = 8}, lurn.lstm {hidden = 64}, lurn.linear {size = 300},
      lurn.linear {size = 1}, loss = lurn.loss.mse()}
    local batch = lurn.batch {x = lurn.normal(500, 16, 8, {name = "x"}), y = lurn.normal(500, 16, 1, {name = "y"})}
    local found = {}
    for i, twin in ipairs {false, true} do
      local player = model.native:player {grad = true, twin = twin}
      local loss = player:forward(batch, 1, 0, "train")
      player:backward()
      found[i] = {loss}
      for _, p in ipairs(model:parameters()) do table.insert(found[i], lurn.sys.sha256(p.grad)) end
    end
    assert.same(found[1], found[2])
  end)
end)

describe("a prompt's Ctrl-C", function ()
  setup(function ()
    signal.prompt(true)
    signal.coroutines(true)
  end)
  teardown(function ()
    signal.coroutines(false)
    signal.prompt(false)
  end)

  it("pauses a loop of Lua and a coroutine within it, and loses nothing", function ()
    local n = 0
    local pauses, ok, sum = play(function ()
      local s = 0
      for k in coroutine.wrap(function ()
        for k = 1, 3 do
          for _ = 1, 4e6 do n = n + 1 end
          coroutine.yield(k)
        end
      end) do s = s + k end
      local inner = coroutine.create(function (a) return a + coroutine.yield(a) end)
      local _, a = coroutine.resume(inner, 5)
      local _, b = coroutine.resume(inner, 6)
      return s + a + b
    end, function () interrupt(0.02) end)
    os.execute "sleep 0.05"      -- the last signal finds nobody
    signal.clear()
    assert.is_true(pauses > 0)
    assert.same({true, 6 + 5 + 11, 12000000}, {ok, sum, n})
  end)

  it("comes back within 0.2 s", function ()
    local clock = lurn.sys.clock
    local thread = coroutine.create(function () while true do end end)
    interrupt(0.1)
    local begin = clock()
    assert.is_nil(signal.resume(thread))
    signal.clear()
    assert.is_true(clock() - begin < (os.getenv "LURN_CHECK" and 3 or 0.3), clock() - begin)
  end)

  it("is an error where a coroutine cannot yield", function ()
    interrupt(0.05)
    local ok, message = signal.resume(coroutine.create(function ()
      local t = {}
      for i = 1, 100 do t[i] = i end
      table.sort(t, function () while true do end end)
    end))
    signal.clear()
    assert.is_false(ok)
    assert.matches("interrupted", message)
  end)

  it("pauses a run within a step; it goes on to the same bits, whatever was looked at meanwhile", function ()
    local steps = 60
    local straight = start(steps):continue()
    local run, looks = start(steps), 0
    local batch = lurn.batch {x = lurn.ids {{1}, {2}, {3}}, y = lurn.ids {{2}, {3}, {4}}}
    local pauses, ok = play(function () run:continue() end, in_a_pass, function ()
      assert.is_nil(lurn.current)
      looks = looks + 1
      run.model:forward(batch)
      if looks % 2 == 0 then run.model:backward() end
      if looks % 3 == 0 then run.model:evaluate(run.datasets[1].valid, {seq = 20, batch = 2}) end
    end)
    assert.is_true(ok)
    assert.is_true(pauses > 5 and looks == pauses)
    assert.equal("done", run.status)
    assert.same({bits(straight)}, {bits(run)})
  end)

  it("leaves a run to others: who plays it next goes on from there", function ()
    local run = start(60)
    local thread = coroutine.create(function () run:continue() end)
    in_a_pass()
    local ok = signal.resume(thread)
    signal.raise()
    signal.clear()
    assert.is_nil(ok)
    run:continue()
    assert.same({bits(start(60):continue())}, {bits(run)})
    assert.is_true(signal.resume(thread))      -- the call that was paused finds the run at its end
  end)
end)
