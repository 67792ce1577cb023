--- Temporal order: two (or three) letters among a hundred are X or Y; which came first?
--
--   lurn run scripts/temporal_order.lua
--   lurn run scripts/temporal_order.lua --variant 6b --hidden 64
--
-- Experiments 6a and 6b of Hochreiter & Schmidhuber (1997): four or eight classes, asked for at the very end, each as
-- likely, so that guessing costs ln 4 or ln 8 nats. Theirs took 31,390 and 571,100 sequences.

local lurn = require "lurn"

local cells = {rnn = lurn.rnn, lstm = lurn.lstm, gru = lurn.gru, irnn = lurn.cells.irnn}

-- Biases that make a gate hold for 1 to T steps from the start (Tallec & Ollivier 2018).
local function chrono (cell, T)
  local keep = {lstm = {["f.b"] = {"chrono", T}, ["i.b"] = {"chrono", -T}}, gru = {["z.b"] = {"chrono", T}}}
  return keep[cell]
end

return lurn.experiment {
  name = "temporal_order", direction = "minimize",
  help = "temporal order of Hochreiter & Schmidhuber 1997: which letters came in which order",

  params = {
    T = {100, int = true, help = "steps of the shortest sequences"},
    variant = {"6a", choice = {"6a", "6b"}, sweep = false,
      help = "6a: two letters, four classes; 6b: three letters, eight classes"},
    n = {20000, int = true, help = "sequences to train on"},
    cell = {"lstm", choice = {"rnn", "lstm", "gru", "irnn"}},
    hidden = {32, int = {16, 256}, log = true},
    chrono = {true, help = "gates start by holding for up to T steps", when = function (p)
      return p.cell == "lstm" or p.cell == "gru" end},
    steps = {3000, int = true, help = "at most; it stops at the goal"},
    goal = {1e-3, float = true, help = "nats on the validation sequences that count as solved"},
    batch = {32, int = true},
    lr = {5e-3, float = {1e-4, 1e-1}, log = true},
    clip_norm = {1, float = true, help = "of the gradient; 0 does not clip"},
    eval_every = {100, int = true, help = "steps between evaluations"},
  },

  run = function (run, p)
    local data = lurn.tasks.temporal_order {T = p.T, n = p.n, variant = p.variant, seed = run.seed}
    local model = lurn.stack {input = data, function (x) return lurn.one_hot(x, #data.vocab) end,
      cells[p.cell] {hidden = p.hidden, pool = "last", init = p.chrono and chrono(p.cell, p.T) or nil},
      lurn.linear {}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = p.lr, clip_norm = p.clip_norm})
    run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0, batch = p.batch,
      steps = p.steps, eval_every = p.eval_every, goal = p.goal}
    local test = model:evaluate(data.test, {metrics = {"accuracy"}})
    print(("%-45s %.4f nats, accuracy %.4f"):format(data.guess, data.baseline, math.exp(-data.baseline)))
    print(("%-45s %.4f nats, accuracy %.4f after %d sequences"):format(
      ("%s of %d units (%d parameters), T = %d"):format(p.cell, p.hidden, model:count(), p.T), test.loss,
      test.accuracy, run.steps * p.batch))
    return test.loss
  end,
}
