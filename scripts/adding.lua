--- The adding problem: two of T numbers are marked; what is their sum, asked at the very end?
--
--   lurn run scripts/adding.lua --T 200 --cell gru
--   lurn run scripts/adding.lua --T 200 --cell rnn --lags true
--
-- Who always answers the mean has the variance of the sum as mean squared error, 1/6 (lurn.tasks.adding has three
-- definitions, by paper). The first marked number has to be held over T / 2 steps and more, so the gradient of the
-- last step's loss has to reach back that far: `lags` shows how much of it is left after k steps.

local lurn = require "lurn"

local cells = {rnn = lurn.rnn, lstm = lurn.lstm, gru = lurn.gru, irnn = lurn.cells.irnn}

-- Biases that make a gate hold for 1 to T steps from the start (Tallec & Ollivier 2018).
local function chrono (cell, T)
  local keep = {lstm = {["f.b"] = {"chrono", T}, ["i.b"] = {"chrono", -T}}, gru = {["z.b"] = {"chrono", T}}}
  return keep[cell]
end

-- The variance of the targets of a split: what that answer costs there.
local function variance (data, split)
  local range, sum, squares = data.set.splits[split][1], 0, 0
  for i = range[1], range[2] do
    local y = data.set:sequence(i).y:item()
    sum, squares = sum + y, squares + y * y
  end
  local n = range[2] - range[1] + 1
  return squares / n - (sum / n)^2
end

-- How much of the last step's loss reaches the state of k steps before: norms on a logarithmic axis.
local function show_lags (model, batch, when)
  local norms, rows, most = model:lags(batch), {}, 10
  for i = 0, most do
    local k = i * (#norms - 1) // most
    rows[i + 1] = {"lag " .. k, norms[k + 1]}
  end
  print(("gradient of the loss in the state k steps before the end, %s"):format(when))
  print(lurn.plot.bars(rows, {log = true}))
end

return lurn.experiment {
  name = "adding", direction = "minimize",
  help = "the adding problem: a sum of two marked numbers, far apart",

  params = {
    T = {200, int = true, help = "steps of a sequence"},
    variant = {"arjovsky", choice = {"hs97", "arjovsky", "tcn"}, sweep = false, help = "whose definition"},
    n = {50000, int = true, help = "sequences to train on"},
    cell = {"gru", choice = {"rnn", "lstm", "gru", "irnn"}},
    hidden = {64, int = {16, 256}, log = true},
    chrono = {true, help = "gates start by holding for up to T steps", when = function (p)
      return p.cell == "lstm" or p.cell == "gru" end},
    steps = {6000, int = true, help = "at most; it stops at the goal"},
    goal = {1e-3, float = true, help = "mean squared error on the validation sequences that counts as solved"},
    batch = {32, int = true},
    lr = {5e-3, float = {1e-4, 1e-1}, log = true},
    clip_norm = {1, float = true, help = "of the gradient; 0 does not clip"},
    eval_every = {200, int = true, help = "steps between evaluations"},
    lags = {false, help = "show how far back the gradient reaches, before training and after"},
  },

  run = function (run, p)
    local data = lurn.tasks.adding {T = p.T, n = p.n, variant = p.variant, seed = run.seed}
    local model = lurn.stack {input = data,
      cells[p.cell] {hidden = p.hidden, pool = "last", init = p.chrono and chrono(p.cell, p.T) or nil},
      lurn.linear {size = 1}, loss = lurn.loss.mse()}
    local optim = lurn.optim.adam(model, {lr = p.lr, clip_norm = p.clip_norm})
    local probe = p.lags and data.test:feed({batch = p.batch}):batch(1, 1)
    if p.lags then show_lags(model, probe, "before training") end

    run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0, batch = p.batch,
      steps = p.steps, eval_every = p.eval_every, goal = p.goal}

    local loss = model:evaluate(data.test).loss
    print(("%-45s mean squared error %.4f, on these test sequences %.4f"):format(data.guess, data.baseline,
      variance(data, "test")))
    print(("%-45s mean squared error %.6f after %d sequences"):format(
      ("%s of %d units (%d parameters), T = %d"):format(p.cell, p.hidden, model:count(), p.T), loss,
      run.steps * p.batch))
    if p.lags then show_lags(model, probe, "after training") end
    return loss
  end,
}
