--- Copy memory: ten symbols are seen, T steps pass, then they are to be repeated.
--
--   lurn run scripts/copy.lua --T 50
--   lurn run scripts/copy.lua --T 50 --variant tcn
--
-- Who knows when to answer but has no memory loses nothing on the blanks and guesses ten times: 10 ln(8) / (T + 20)
-- nats a step. The loss is averaged over blanks, too, so it is small when nothing is learnt at all (0.0204 for T =
-- 1000): the number to look at is the recall, the share of the last ten steps that is right, 1/8 by guessing.

local lurn = require "lurn"

local cells = {rnn = lurn.rnn, lstm = lurn.lstm, gru = lurn.gru, irnn = lurn.cells.irnn}

-- Biases that make a gate hold for 1 to T steps from the start (Tallec & Ollivier 2018).
local function chrono (cell, T)
  local keep = {lstm = {["f.b"] = {"chrono", T}, ["i.b"] = {"chrono", -T}}, gru = {["z.b"] = {"chrono", T}}}
  return keep[cell]
end

-- The share of right answers among the last `length` steps of every sequence, as a metric.
local function recall (length)
  return function (out, y)
    local called, T, right = out:argmax(3), #y, 0
    local B = y:size(2)
    for t = T - length + 1, T do
      for b = 1, B do if called(t, b) == y(t, b) then right = right + 1 end end
    end
    return right / (length * B)
  end
end

return lurn.experiment {
  name = "copy", direction = "minimize",
  help = "copy memory: repeat ten symbols after T steps",

  params = {
    T = {50, int = true, help = "steps between seeing and repeating"},
    length = {10, int = true, help = "symbols to be repeated"},
    variant = {"arjovsky", choice = {"arjovsky", "tcn"}, sweep = false, help = "whose definition"},
    n = {50000, int = true, help = "sequences to train on"},
    cell = {"lstm", choice = {"rnn", "lstm", "gru", "irnn"}},
    hidden = {128, int = {32, 512}, log = true},
    chrono = {true, help = "gates start by holding for up to 3/2 T steps", when = function (p)
      return p.cell == "lstm" or p.cell == "gru" end},
    steps = {8000, int = true, help = "at most; it stops at the goal"},
    goal = {1e-3, float = true, help = "nats a step on the validation sequences that count as solved"},
    batch = {32, int = true},
    lr = {1e-2, float = {1e-4, 1e-1}, log = true, help = "falls to 0 along a cosine"},
    clip_norm = {1, float = true, help = "of the gradient; 0 does not clip"},
    eval_every = {500, int = true, help = "steps between evaluations"},
  },

  run = function (run, p)
    local data = lurn.tasks.copy {T = p.T, length = p.length, n = p.n, variant = p.variant, seed = run.seed}
    local model = lurn.stack {input = data,
      data.vocab and function (x) return lurn.one_hot(x, #data.vocab) end or lurn.identity,
      cells[p.cell] {hidden = p.hidden, init = p.chrono and chrono(p.cell, 3 * p.T // 2) or nil},
      lurn.linear {}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = p.lr, clip_norm = p.clip_norm, schedule = "cosine"})
    run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0, batch = p.batch,
      steps = p.steps, eval_every = p.eval_every, goal = p.goal, metrics = {recall = recall(p.length)}}
    local test = model:evaluate(data.test, {metrics = {recall = recall(p.length)}})
    print(("%-50s %.4f nats a step, recall %.4f"):format(data.guess, data.baseline,
      1 / (#data.set.classes - 2)))
    print(("%-50s %.4f nats a step, recall %.4f after %d sequences"):format(
      ("%s of %d units (%d parameters), T = %d"):format(p.cell, p.hidden, model:count(), p.T), test.loss, test.recall,
      run.steps * p.batch))
    return test.loss
  end,
}
