-- A pass that is interrupted is played anew to the same bits, wherever the signal comes: at the k-th look that the
-- engine takes at its stop flag (some dozens of k, spread over all looks of a run; then at the 2k-th, the 4k-th from
-- there), and between two instructions of Lua. Meanwhile a prompt plays with the same model.
local lurn = require "lurn"
local shell = require "shell_helper"
local signal = lurn.signal

local SEQUENCES, LENGTH = 8, 24

local function data_of (classes)
  local set = {split = {train = {1, SEQUENCES - 2}, valid = {SEQUENCES - 1, SEQUENCES}}}
  for i = 1, SEQUENCES do
    local x = {}
    for t = 1, LENGTH do x[t] = (i * 37 + t * 11) % classes + 1 end
    set[i] = {x = x, y = x}
  end
  return lurn.dataset(set)
end

local function stack (classes, options)
  local layers = {input = {vocab = classes}, lurn.embedding {size = 8}, loss = lurn.loss.cross_entropy()}
  for _, layer in ipairs(options) do layers[#layers + 1] = layer end
  layers.checkpoint, layers.keep_out = options.checkpoint, options.keep_out
  layers[#layers + 1] = lurn.linear {size = classes}
  return lurn.stack(layers)
end

local function attend (h) return lurn.attend(h, h, h) end

-- By lot: another schedule each time, whose looks are others. No choice changes a bit.
local lot = 0
local function by_lot ()
  lot = lot + 1
  return lurn.model(function (m, batch)
    local h = m:apply(lurn.lstm {hidden = 12, dropout = 0.2}, m:apply(lurn.embedding {size = 8}, batch.x))
    local loss, weight = lurn.loss.cross_entropy():build(m, m:apply(lurn.linear {size = 5}, h))
    return {loss = loss, weight = weight}
  end, {input = {vocab = 5, classes = 5}, dice = lot})
end

local programs = {
  lstm = function () return stack(5, {lurn.lstm {hidden = 32, layers = 2, dropout = 0.3}}) end,
  softmax = function () return stack(1100, {lurn.gru {hidden = 6}, keep_out = false}) end,
  convolution = function () return stack(5, {lurn.conv1d {size = 24, kernel = 3}, lurn.rnn {hidden = 24}}) end,
  directions = function () return stack(5, {lurn.lstm {hidden = 16, bidirectional = true}}) end,
  windows = function () return stack(5, {lurn.gru {hidden = 24, dropout = 0.2}, checkpoint = 3}) end,
  attention = function () return stack(5, {lurn.gru {hidden = 16}, attend}) end,
  lot = by_lot,
}
local classes = {softmax = 1100}

-- A loop by hand: two windows for one update, the second of which carries on a state that nobody has committed; and
-- what is read after it.
local function by_hand (run, model, optim, train)
  local sum = 0.0
  local feed = assert(train:feed {batch = 2, seq = 6, shuffle = false})
  for _ in run:batches(train, {batch = 2, seq = 12, steps = 4}) do
    sum = sum + model:forward(assert(feed:batch(1, 1)))
    sum = sum + model:forward(assert(feed:batch(1, 2)))
    model:backward()
    optim:step()
    sum = sum + model:output "out":sum()
    for _, p in ipairs(model:parameters()) do sum = sum + p.grad:norm() end
  end
  return sum
end

local function experiment (name, hand)
  return lurn.experiment {name = "bits", run = function (run)
    local data, model = data_of(classes[name] or 5), programs[name]()
    local optim = lurn.optim.adam(model, {lr = 0.01, clip_norm = 1})
    if hand then return by_hand(run, model, optim, data.train) end
    return run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 8, batch = 4, steps = 4,
      eval_every = 2}.loss
  end}
end

local function start (name, hand, options)
  local o = {quiet = true, seed = 3}
  for k, v in next, options or {write = false} do o[k] = v end
  return experiment(name, hand):start({}, o)
end

local function bits (run)
  return {run.status, run.result, lurn.json.encode(run.metrics), run.digests.hex[#run.digests.hex]}
end

-- What a prompt does with the model of a run that is paused, another thing each time.
local function look (run, n)
  if not run.model or run.status ~= "waiting" then return end
  local batch = lurn.batch {x = lurn.ids {{1}, {2}, {3}}, y = lurn.ids {{2}, {3}, {4}}}
  if n % 3 ~= 2 then run.model:forward(batch) end
  if n % 3 == 1 then run.model:backward() end
  if n % 4 == 3 then run.model:evaluate(run.datasets[1].valid, {seq = 20, batch = 2}) end
end

-- Plays a run to its end in a coroutine that `arm (k)` has interrupted; gaps between signals grow, so that it ends.
local function play (run, k, arm)
  local thread, pauses = coroutine.create(function () run:continue() end), 0
  while true do
    arm(k << pauses, thread)
    local ok, message = signal.resume(thread)
    signal.raise()
    signal.clear()
    if ok ~= nil then
      assert.is_true(ok, message)
      return pauses
    end
    pauses = pauses + 1
    look(run, k + pauses)
  end
end

local function looks_of (name, hand)
  signal.raise(1 << 30)
  local run = start(name, hand):continue()
  return (1 << 30) - signal.raise(), bits(run)
end

local function threads (n) lurn.core.threads(n) end

describe("an interrupted pass", function ()
  local before
  setup(function ()
    before = lurn.core.threads()
    signal.prompt(true)
    signal.coroutines(true)
  end)
  teardown(function ()
    signal.raise()
    signal.coroutines(false)
    signal.prompt(false)
    threads(before)
  end)

  for name in pairs(programs) do
    for _, n in ipairs {1, 2} do
      it(("of %s has the bits of one that never was, by %d threads"):format(name, n), function ()
        threads(n)
        local looks, straight = looks_of(name)
        local stride, pauses = math.max(1, looks // 24), 0
        for k = 1, looks, stride do
          local run = start(name)
          pauses = pauses + play(run, k, signal.raise)
          assert.same(straight, bits(run), ("signals from look %d on"):format(k))
        end
        assert.is_true(pauses >= 24)
      end)
    end
  end

  it("leaves what a script carries by hand", function ()
    threads(1)
    local looks, straight = looks_of("lstm", true)
    for k = 1, looks, math.max(1, looks // 40) do
      local run = start("lstm", true)
      play(run, k, signal.raise)
      assert.same(straight, bits(run), ("signals from look %d on"):format(k))
    end
  end)

  -- Of the script's coroutine, and of the one around it, whose turn comes when a pause is over.
  for _, where in ipairs {"script", "prompt"} do
    it("may be paused between instructions of the " .. where, function ()
      threads(1)
      local straight = {}
      for _, hand in ipairs {false, true} do straight[hand] = bits(start("lstm", hand):continue()) end
      local pauses = 0
      for k = 1, 60 do
        local hand = k % 2 == 0
        local run = start("lstm", hand)
        run:step(1)
        pauses = pauses + play(run, k * (where == "script" and 37 or 1), function (after, thread)
          debug.sethook(where == "script" and run.thread or thread, function () signal.raise(0) end, "", after)
        end)
        assert.same(straight[hand], bits(run), ("signals from instruction %d on"):format(k))
      end
      assert.is_true(pauses > 60)
    end)
  end

  it("is not seen by a run that waits between two steps", function ()
    for _, hand in ipairs {false, true} do
      local straight, run = bits(start("lstm", hand):continue()), start("lstm", hand)
      for n = 1, 3 do
        run:step(1)
        look(run, n)
      end
      assert.same(straight, bits(run:continue()))
    end
  end)
end)

describe("a run that a signal ends in a pass", function ()
  setup(function () shell.open() end)
  teardown(function ()
    signal.raise()
    shell.close()
  end)

  it("is resumed from its last committed step to the same bits", function ()
    local looks, straight = looks_of("lstm")
    local ended = 0
    for k = 1, looks, math.max(1, looks // 16) do
      local path = shell.path("k" .. k .. ".h5")
      signal.raise(k)
      local run = start("lstm", false, {out = path}):continue()
      signal.raise()
      signal.clear()
      signal.restore()
      if run.status ~= "done" then
        assert.equal("interrupted", run.status)
        ended = ended + 1
        run = start("lstm", false, {out = path, resume = assert(lurn.runfile.read(path))}):continue()
      end
      assert.same(straight, bits(run), ("a signal at look %d"):format(k))
    end
    assert.is_true(ended > 10)
  end)
end)
