--- The embedded Reber grammar: after which letters which may follow, and once, what was the second letter?
--
--   lurn run scripts/reber.lua
--   lurn run scripts/reber.lua --cell rnn --steps 20000
--
-- Experiment 1 of Hochreiter & Schmidhuber (1997), by their rules: 256 strings to train on, one at a time, and 256 to
-- test. A string is predicted rightly when at every step the letters that may follow are rated above all that
-- may not; solved means that all strings of both sets are. The letter before the last is the same as the second, which
-- has to be remembered through the inner string; who has forgotten it gets half of the strings wrong. Of the
-- LSTM of 1997 the best took 8,440 sequences on average.

local lurn = require "lurn"

local cells = {rnn = lurn.rnn, lstm = lurn.lstm, gru = lurn.gru}

-- For each string of a split, for each step, which letters may follow: {[id] = true}.
local function answers (data, split)
  local list, range = {}, data.set.splits[split][1]
  for i = range[1], range[2] do
    local steps = lurn.tasks.reber_next(data.set:sequence(i).x:totable())
    for t, ids in ipairs(steps) do
      steps[t] = {}
      for _, id in ipairs(ids) do steps[t][id] = true end
    end
    list[#list + 1] = steps
  end
  return list
end

-- Whether every letter that may follow is rated above every one that may not.
local function separates (rates, possible)
  local least, most = math.huge, -math.huge
  for id, rate in ipairs(rates) do
    if possible[id] then least = math.min(least, rate) else most = math.max(most, rate) end
  end
  return least > most
end

-- How many strings are predicted wrongly somewhere.
local function count_wrong (model, split, answer)
  local wrong = 0
  for i, out in ipairs(model:predict(split)) do
    out = out:totable()
    for t, possible in ipairs(answer[i]) do
      if not separates(out[t], possible) then
        wrong = wrong + 1
        break
      end
    end
  end
  return wrong
end

return lurn.experiment {
  name = "reber", direction = "minimize",
  help = "the embedded Reber grammar, by the rules of Hochreiter & Schmidhuber 1997",

  params = {
    cell = {"lstm", choice = {"rnn", "lstm", "gru"}},
    hidden = {16, int = {8, 64}, log = true},
    batch = {1, int = true, help = "strings in a step"},
    steps = {8440, int = true, help = "at most; it stops when all strings are right"},
    lr = {1e-2, float = {1e-4, 1e-1}, log = true},
    clip_norm = {1, float = true, help = "of the gradient; 0 does not clip"},
    eval_every = {100, int = true, help = "steps between looks at all strings"},
  },

  run = function (run, p)
    local data = lurn.tasks.reber {seed = run.seed}
    local answer = {train = answers(data, "train"), test = answers(data, "test")}
    local model = lurn.stack {input = data, function (x) return lurn.one_hot(x, #data.vocab) end,
      cells[p.cell] {hidden = p.hidden}, lurn.linear {}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = p.lr, clip_norm = p.clip_norm})
    local wrong = run:keep("wrong", {train = #answer.train, test = #answer.test})

    for batch, step in run:batches(data.train, {seq = 0, batch = p.batch, steps = p.steps}) do
      local loss = model:forward(batch)
      model:backward()
      run:log {loss = loss, grad_norm = optim:step()}
      if step % p.eval_every == 0 or step == run.total then
        for split in pairs(wrong) do wrong[split] = count_wrong(model, data[split], answer[split]) end
        run:report(wrong.train + wrong.test, "wrong")
        if wrong.train + wrong.test == 0 then run:leave_loop() end
      end
    end

    print(("%-40s %.4f nats a letter, half of the strings wrong"):format(data.guess, data.baseline))
    print(("%-40s %.4f nats a letter"):format("all that can be known", data.floor))
    print(("%-40s %.4f nats a letter, %d of %d test strings wrong after %d sequences")
      :format(("%s of %d units (%d parameters)"):format(p.cell, p.hidden, model:count()),
        model:evaluate(data.test).loss, wrong.test, #answer.test, run.steps * p.batch))
    return run.steps * p.batch
  end,
}
