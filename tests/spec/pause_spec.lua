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

  -- A comparison that table.sort calls: no coroutine can yield there.
  local function sort (seconds)
    local t, clock, n = {}, lurn.sys.clock, 0
    for i = 1, 100 do t[i] = i * 37 % 101 end
    local till = clock() + seconds
    table.sort(t, function (a, b)
      n = n + 1
      while n == 1 and clock() < till do math.sin(1) end
      return a < b
    end)
    for _ = 1, 1e5 do n = n + 1 end
    return t[1], t[100]
  end

  -- Signals that are late find nobody.
  local function drain ()
    os.execute "sleep 0.2"
    signal.clear()
  end

  -- Plays to the end, whatever comes; how often it was paused, and what it gave.
  local function to_end (thread)
    for pauses = 0, math.huge do
      local found = table.pack(signal.resume(thread))
      signal.clear()
      if found[1] ~= nil then
        drain()
        return pauses, table.unpack(found, 1, found.n)
      end
    end
  end

  it("waits where a coroutine cannot yield, and pauses as soon as it can", function ()
    for _, within in ipairs {function (f) return f end, coroutine.wrap} do
      local thread = coroutine.create(function () return within(function () return sort(0.6) end)() end)
      interrupt(0.1)
      assert.same({1, true, 1, 100}, {to_end(thread)})
    end
  end)

  it("pauses a coroutine within such a place no earlier", function ()
    local thread = coroutine.create(function ()
      local t = {3, 1, 2}
      table.sort(t, function (a, b)
        return coroutine.wrap(function ()
          local till = lurn.sys.clock() + 0.15
          while lurn.sys.clock() < till do math.sin(1) end
          return a < b
        end)()
      end)
      for _ = 1, 1e5 do math.sin(1) end
      return t[1], t[2], t[3]
    end)
    interrupt(0.1)
    assert.same({1, true, 1, 2, 3}, {to_end(thread)})
  end)

  it("is an error there when it comes again", function ()
    interrupt(0.1)
    interrupt(0.3)
    local pauses, ok, message = to_end(coroutine.create(function () return sort(1e9) end))
    assert.same({0, false}, {pauses, ok})
    assert.matches("interrupted", message)
  end)

  it("does not end a run that sorts, nor one whose comparison plays its model", function ()
    local straight, once = start(30):continue(), true
    local slow = lurn.experiment {name = "pause", run = function (r)
      function r.options.on_step (self)
        if self.steps ~= 10 or not once then return end
        once = false
        local batch = lurn.batch {x = lurn.ids {{1}, {2}, {3}}, y = lurn.ids {{2}, {3}, {4}}}
        local t, till = {2, 1}, lurn.sys.clock() + 0.5
        table.sort(t, function (a, b)
          repeat self.model:forward(batch) until lurn.sys.clock() > till
          self.model:rollback()
          return a < b
        end)
      end
      return experiment(30).body(r, {})
    end}
    local run = slow:start({}, {write = false, quiet = true, seed = 3})
    interrupt(0.3)
    local _, ok, message = to_end(coroutine.create(function () run:continue() end))
    assert.is_true(ok, message)
    assert.equal("done", run.status, run.trace)
    assert.same({bits(straight)}, {bits(run)})
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

  it("does not come between a run file and what the run knows of it", function ()
    local path = os.tmpname()
    local run = experiment(20):start({}, {out = path .. ".h5", quiet = true, seed = 3})
    local write, written = lurn.runfile.write, 0
    function lurn.runfile.write (...)
      local ok, message = write(...)
      written = written + 1
      signal.raise(0)
      return ok, message
    end
    local pauses = play(function () run:continue() end, function () end, function ()
      assert.equal(lurn.sys.identity(run.path), run.identity)
    end)
    lurn.runfile.write = write
    assert.is_true(pauses > 0 and written > 1)
    assert.is_false(lurn.sys.exists(path .. ".replaced-1.h5"))
    for _, name in ipairs {"", ".h5", ".jsonl", ".h5.lock"} do os.remove(path .. name) end
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
