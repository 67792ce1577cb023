--- A character-level language model of a text.
--
--   lurn run scripts/charlm.lua --data book.txt
--   lurn sample runs/charlm-....h5 --length 1000 --temperature 0.7
--
-- The text is cut into `batch` long pieces that are read side by side, `seq` characters at a time; each
-- row goes on where it stopped, its state with it (truncated backpropagation through time). The
-- loss is the mean of -ln p(next character): nats per character, validation with the state carried over
-- the whole split. Defaults are for a megabyte of text: two layers of 128 LSTM units in some minutes.

local lurn = require "lurn"

return lurn.experiment {
  name = "charlm", direction = "minimize",
  help = "a character-level language model of a text, and a sample of what it writes",

  params = {
    data      = {"kjv.txt", help = "a text file, or a data set made by lurn data text"},
    cell      = {"lstm", choice = {"rnn", "lstm", "gru"}},
    layers    = {2, int = {1, 3}},
    hidden    = {128, int = {32, 512}, log = true, help = "units of each layer"},
    embed     = {128, int = true, help = "numbers that stand for a character"},
    dropout   = {0, float = {0, 0.5}, when = function (p) return p.layers > 1 end, help = "between layers"},
    batch     = {50, int = true, help = "pieces of the text side by side"},
    seq       = {50, int = true, help = "characters in a window"},
    epochs    = {9, float = true, help = "passes over the text; 0.5 is half of it"},
    steps     = {int = true, help = "iterations, instead of epochs"},
    lr        = {5e-3, float = {1e-4, 1e-1}, log = true, help = "falls to 0 along a cosine"},
    clip_norm = {5, float = true, help = "of the gradient; 0 does not clip"},
    eval_every  = {int = true, help = "iterations between evaluations; an epoch by default"},
    eval_batch  = {1, int = true, help = "pieces of the validation text side by side; 1 reads it as one"},
    length      = {500, int = true, help = "characters of the sample at the end"},
    temperature = {0.8, float = true, help = "of the sample: below 1 bolder, above 1 wilder"},
  },

  run = function (run, p)
    local data = assert(lurn.text(p.data))
    local model = lurn.stack {input = data,
      lurn.embedding {size = p.embed},
      lurn[p.cell] {hidden = p.hidden, layers = p.layers, dropout = p.dropout},
      lurn.linear {size = #data.vocab},
      loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = p.lr, schedule = "cosine", clip_norm = p.clip_norm})
    run.progress:say("%d characters, %d different; %d parameters", data.count, #data.vocab, model:count())

    local best = run:fit {model = model, optim = optim, train = data.train, valid = data.valid,
      epochs = p.epochs, steps = p.steps, batch = p.batch, seq = p.seq, eval_every = p.eval_every,
      eval_batch = p.eval_batch}

    if p.length > 0 then
      print(lurn.sample(model, data.vocab, {length = p.length, temperature = p.temperature, seed = run.seed}))
    end
    return best.loss
  end,
}
