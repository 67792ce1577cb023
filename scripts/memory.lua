--- What a recurrent network is for: the same task for a feed-forward stack and a recurrent one of equal size.
--
--   lurn run scripts/memory.lua
--
-- Delayed recall: symbols come one by one, and at every step the symbol of `delay` steps ago is asked for.
-- The input of a step says nothing about the answer, so a network without a state can do no better
-- than to guess: ln(symbols) nats. A recurrent one carries what it saw and comes down to almost 0.

local lurn = require "lurn"

-- One sequence: x_t random, y_t = x_{t-delay}; the first answers do not exist (0 is "no target").
local function sequence (p)
  local x, y = {}, {}
  for t = 1, p.length do
    x[t] = math.random(p.symbols)
    y[t] = x[t - p.delay] or 0
  end
  return {x = x, y = y}
end

local function make_data (p)
  local last = p.sequences * 5 // 4
  local set = {vocab = {}, classes = {}, split = {train = {1, p.sequences}, valid = {p.sequences + 1, last}}}
  for i = 1, p.symbols do set.vocab[i], set.classes[i] = "s" .. i, "s" .. i end
  for i = 1, last do set[i] = sequence(p) end
  return assert(lurn.dataset(set))
end

-- Parameters of the tanh RNN layer (Wx, Wh, b) and of the linear layers, so that both stacks weigh the same:
--   recurrent     E H + H H + H  +  H V + V
--   feed-forward  E F + F        +  F V + V
local function equal_width (p)
  local E, H, V = p.embed, p.hidden, p.symbols
  return math.floor((E * H + H * H + H + H * V) / (E + 1 + V) + 0.5)
end

return lurn.experiment {
  name = "memory", direction = "minimize",
  help = "delayed recall: a feed-forward stack against a recurrent one of equal size",

  params = {
    symbols = {4, int = true, help = "how many there are"},
    delay = {5, int = true, help = "steps between seeing and answering"},
    length = {30, int = true, help = "steps in a sequence"},
    sequences = {800, int = true, help = "to train on; a quarter more to validate"},
    embed = {8, int = true},
    hidden = {32, int = {16, 256}, log = true, help = "units of the recurrent layer"},
    epochs = {30, float = true},
    batch = {32, int = true},
    lr = {5e-3, float = {1e-4, 1e-1}, log = true},
  },

  run = function (run, p)
    local data = make_data(p)
    local layers = {
      ["feed-forward"] = function () return lurn.linear {size = equal_width(p), activation = "tanh"} end,
      recurrent = function () return lurn.rnn {hidden = p.hidden} end,
    }
    local loss = {}
    for _, name in ipairs {"feed-forward", "recurrent"} do
      local model = lurn.stack {input = data, lurn.embedding {size = p.embed}, layers[name](),
        lurn.linear {size = p.symbols}, loss = lurn.loss.cross_entropy()}
      local optim = lurn.optim.adam(model, {lr = p.lr, schedule = "cosine", clip_norm = 1})
      loss[name] = run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0,
        epochs = p.epochs, batch = p.batch}.loss
      print(("%-13s %6d parameters   validation loss %.4f nats"):format(name, model:count(), loss[name]))
    end
    print(("guessing      ln(%d) = %.4f nats"):format(p.symbols, math.log(p.symbols)))
    return loss.recurrent
  end,
}
