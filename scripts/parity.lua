--- Parity: is the number of ones so far odd? One bit of memory, and no way to be half right.
--
--   lurn run scripts/parity.lua
--   lurn run scripts/parity.lua --variant last --T 20
--
-- Even and odd are as likely whatever was seen before, so guessing costs ln 2 nats, and a network that forgets a single
-- step can do no better. The last line shows sequences of ten times the length, which training has never seen.

local lurn = require "lurn"

local cells = {rnn = lurn.rnn, lstm = lurn.lstm, gru = lurn.gru, irnn = lurn.cells.irnn}

return lurn.experiment {
  name = "parity", direction = "minimize",
  help = "parity of a sequence of bits",

  params = {
    T = {50, int = true, help = "steps of the longest sequences"},
    shortest = {1, int = true, help = "steps of the shortest sequences"},
    variant = {"step", choice = {"step", "last"}, sweep = false, help = "an answer at every step, or one at the end"},
    n = {20000, int = true, help = "sequences to train on"},
    cell = {"lstm", choice = {"rnn", "lstm", "gru", "irnn"}},
    hidden = {16, int = {8, 128}, log = true},
    steps = {4000, int = true, help = "at most; it stops at the goal"},
    goal = {1e-3, float = true, help = "nats on the validation sequences that count as solved"},
    batch = {32, int = true},
    lr = {1e-2, float = {1e-4, 1e-1}, log = true},
    clip_norm = {1, float = true, help = "of the gradient; 0 does not clip"},
    eval_every = {100, int = true, help = "steps between evaluations"},
  },

  run = function (run, p)
    local data = lurn.tasks.parity {T = p.T, shortest = p.shortest, n = p.n, variant = p.variant, seed = run.seed}
    local model = lurn.stack {input = data, function (x) return lurn.one_hot(x, #data.vocab) end,
      cells[p.cell] {hidden = p.hidden, pool = p.variant == "last" and "last" or false}, lurn.linear {},
      loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = p.lr, clip_norm = p.clip_norm})
    run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0, batch = p.batch,
      steps = p.steps, eval_every = p.eval_every, goal = p.goal}

    local long = lurn.tasks.parity {T = 10 * p.T, n = 100, valid = 0, test = 0, variant = p.variant, seed = run.seed}
    local test = model:evaluate(data.test, {metrics = {"accuracy"}})
    local far = model:evaluate(long.all, {metrics = {"accuracy"}})
    print(("%-45s %.4f nats, accuracy 0.5000"):format(data.guess, data.baseline))
    print(("%-45s %.4f nats, accuracy %.4f after %d sequences"):format(
      ("%s of %d units (%d parameters), T = %d"):format(p.cell, p.hidden, model:count(), p.T), test.loss,
      test.accuracy, run.steps * p.batch))
    print(("%-45s %.4f nats, accuracy %.4f"):format(("the same network, T = %d"):format(10 * p.T), far.loss,
      far.accuracy))
    return test.loss
  end,
}
