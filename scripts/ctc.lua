--- Labels that nobody has laid along the frames: connectionist temporal classification (Graves et al. 2006).
--
--   lurn run scripts/ctc.lua
--
-- A synthetic recording: every symbol of a string sounds for a few frames, with silence before, between (not always)
-- and behind, everything in noise. A symbol may be followed by itself, and then only a pause tells one from two. The
-- network sees the frames and the string, not where each symbol stands. What it then reads is compared with the
-- string by edit distance: the share of symbols that are wrong, missing or too many.

local lurn = require "lurn"

local BLANK = 1

-- What a symbol sounds like: a direction of its own in `dim` numbers, drawn once.
local function sounds (p)
  local list = {}
  for s = 1, p.symbols do
    local v, norm = {}, 0.0
    for d = 1, p.dim do
      v[d] = math.random() * 2 - 1
      norm = norm + v[d] * v[d]
    end
    for d = 1, p.dim do v[d] = v[d] / math.sqrt(norm) end
    list[s] = v
  end
  return list
end

local function noise () return math.sqrt(-2 * math.log(1 - math.random())) * math.cos(2 * math.pi * math.random()) end

local function sequence (p, list)
  local x, labels = {}, {}
  local function frames (n, sound)
    for _ = 1, n do
      local frame = {}
      for d = 1, p.dim do frame[d] = (sound and sound[d] or 0) + p.noise * noise() end
      x[#x + 1] = frame
    end
  end
  frames(math.random(1, 3))
  for i = 1, math.random(p.shortest, p.longest) do
    local s = math.random() < 0.2 and labels[i - 1] and labels[i - 1] - 1 or math.random(p.symbols)
    -- Between equal symbols there is always silence: nothing else could tell them apart.
    if labels[i - 1] == s + 1 or math.random() < 0.5 then frames(math.random(1, 3)) end
    frames(math.random(2, 5), list[s])
    labels[i] = s + 1
  end
  frames(math.random(1, 3))
  return {x = x, labels = labels}
end

local function make_data (p)
  local list, last = sounds(p), p.sequences + 2 * p.held
  local set = {split = {train = {1, p.sequences}, valid = {p.sequences + 1, p.sequences + p.held},
    test = {p.sequences + p.held + 1, last}}}
  for i = 1, last do set[i] = sequence(p, list) end
  return assert(lurn.dataset(set))
end

return lurn.experiment {
  name = "ctc", direction = "minimize",
  help = "connectionist temporal classification of noisy strings",

  params = {
    symbols = {8, int = true, help = "of the alphabet"},
    dim = {8, int = true, help = "numbers in a frame"},
    noise = {0.2, float = true, help = "standard deviation, beside sounds of length 1"},
    shortest = {3, int = true, help = "symbols in a string"},
    longest = {12, int = true},
    sequences = {4000, int = true, help = "to train on"},
    held = {300, int = true, help = "to validate, and as many to test"},
    hidden = {48, int = {16, 128}, log = true, help = "units of the bidirectional LSTM, each way"},
    epochs = {8, float = true},
    batch = {32, int = true},
    lr = {1e-2, float = {1e-4, 1e-1}, log = true},
  },

  run = function (run, p)
    local data = make_data(p)
    local model = lurn.stack {input = data, lurn.lstm {hidden = p.hidden, bidirectional = true},
      lurn.linear {size = p.symbols + 1}, loss = lurn.loss.ctc {blank = BLANK}}
    local optim = lurn.optim.adam(model, {lr = p.lr, schedule = "cosine", clip_norm = 1})
    run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0, epochs = p.epochs,
      batch = p.batch, metrics = {label_error = lurn.metrics.label_error}}
    local test = model:evaluate(data.test, {metrics = {label_error = lurn.metrics.label_error}})
    print(("label error %.2f %% on strings it never saw (who reads nothing: 100 %%)"):format(100 * test.label_error))
    return test.label_error
  end,
}
