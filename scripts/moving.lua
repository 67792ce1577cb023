--- Moving digits: what a convolution inside the step is good for.
--
--   lurn run scripts/moving.lua
--   lurn run scripts/moving.lua --images t10k-images-idx3-ubyte.gz --frame 24
--
-- Two digits fly through a small frame and bounce off its walls; at every step the next frame is to be predicted. A
-- ConvLSTM (Shi et al. 2015) applies one equation at every pixel: what it learns of a moving edge in one place it knows
-- everywhere. An LSTM of equal size (as many parameters, as many steps of training) sees pixels without neighbours, and
-- so does a wider one. Beside them stands the best that can be said without a memory: of a pixel alone (the mean image)
-- and of what the same pixel was (the copied frame). Losses are nats per pixel on films that were not trained on; those
-- in column k are of k frames behind the first `context` ones, predictions being fed back as if they were frames.
--
-- With the defaults and seed 1, in 190 s of CPU time (one core of an AMD EPYC, avx2), this was printed:
--
--                  parameters  next frame         1       2       3       4       5
--   mean image                     0.3101    0.3080  0.3057  0.3136  0.3122  0.3029
--   copied frame                   0.3244    0.3180  0.3263  0.3428  0.3412  0.3424
--   ConvLSTM            27665      0.1682    0.1553  0.2099  0.2914  0.3519  0.3766
--   LSTM, equal         27536      0.2460    0.2418  0.2877  0.3444  0.3758  0.3819
--   LSTM, wide         591104      0.2091    0.2025  0.2581  0.3337  0.3776  0.3878
--
-- Four and five frames behind, every model is worse than the mean image: none was trained on its own blurred frames.

local lurn = require "lurn"

---------------------------------------------------------------- models

local function conv_lstm (data, p)
  return lurn.stack {input = data, lurn.image(p.frame, p.frame, 1),
    lurn.cells.conv_lstm {hidden = p.channels, kernel = p.kernel},
    lurn.conv2d {size = 1, kernel = p.kernel, padding = "same"}, lurn.flatten(),
    loss = lurn.loss.bce()}
end

local function lstm (data, p, hidden)
  return lurn.stack {input = data, lurn.lstm {hidden = hidden}, lurn.linear {size = p.frame * p.frame},
    loss = lurn.loss.bce()}
end

-- Units H of an LSTM with so many parameters, its linear layer included, for D pixels in and out:
--   4 H (D + H + 1) + D (H + 1) = count          4 H^2 + (5 D + 4) H + D - count = 0
local function equal_width (count, D)
  local b, c = 5 * D + 4, D - count
  return math.max(1, math.floor((math.sqrt(b * b - 16 * c) - b) / 8 + 0.5))
end

---------------------------------------------------------------- what can be said without a memory

-- The films of a split, at most `most` of them: {x =, y =}.
local function films_of (data, name, most)
  local list = {}
  for _, range in ipairs(data.set.splits[name]) do
    for i = range[1], math.min(range[2], range[1] + most - 1) do list[#list + 1] = data.set:sequence(i) end
  end
  return list
end

-- Of a pixel: how often it is bright in these films, and how often it is so `lag` frames after it was bright, or dark.
-- One more pixel of each kind is counted in, so that no chance is 0 or 1.
local function count_pixels (films, lag)
  local frames, image, n, bright = 2, 1, {2, 2}, {1, 1}
  for _, film in ipairs(films) do
    local x, y = film.x, film.y
    local now, later = x:narrow(1, 1, #x - lag + 1):gt(0.5), y:narrow(1, lag, #y - lag + 1)
    frames, image = frames + #y, y:sum(1) + image
    n[1], bright[1] = n[1] + now:sum(), bright[1] + (now * later):sum()
    n[2], bright[2] = n[2] + (1 - now):sum(), bright[2] + ((1 - now) * later):sum()
  end
  return {image = image / frames, on = bright[1] / n[1], off = bright[2] / n[2]}
end

-- Chances as logits, ln p / (1 - p), which is what the models give.
local function logit (p) return (p / (1 - p)):log() end

-- Functions of a frame x, or of several: logits of the one that comes `lag` frames later.
local function copied_frame (films, lag)
  local c = count_pixels(films, lag)
  return function (x) return logit(x:gt(0.5) * (c.on - c.off) + c.off) end
end

local function mean_image (films)
  local image = logit(count_pixels(films, 1).image)
  return function (x) return image + x * 0 end
end

---------------------------------------------------------------- losses

-- -y ln p - (1 - y) ln (1 - p) with p = sigmoid(z), the mean over pixels.
local function bce (z, y) return (z:softplus() - y * z):mean() end

-- Calls each (k, logits) for the k-th of `ahead` frames behind the first `context` ones.
local function roll_out (model, x, p, each)
  local stream, z = model:stream(), nil
  local function see (frame) return stream:step(frame:reshape(1, 1, frame:numel())) end
  for t = 1, p.context do z = see(x[t]) end
  for k = 1, p.ahead do
    each(k, z)
    z = see(z:sigmoid())
  end
end

-- Mean losses of a model 1 to `ahead` frames behind.
local function model_ahead (films, p, model)
  local losses = {}
  for k = 1, p.ahead do losses[k] = 0.0 end
  for _, film in ipairs(films) do
    roll_out(model, film.x, p, function (k, z)
      losses[k] = losses[k] + bce(z, film.y[p.context + k - 1]) / #films
    end)
  end
  return losses
end

-- Those of a baseline, and its loss over all steps; make (films, lag) gives what it knows from training.
local function baseline_losses (data, p, make)
  local known, films, losses, all = films_of(data, "train", p.n), films_of(data, "test", p.n), {}, 0.0
  local see = make(known, 1)
  for _, film in ipairs(films) do all = all + bce(see(film.x), film.y) / #films end
  films = films_of(data, "test", p.films)
  for k = 1, p.ahead do
    see, losses[k] = make(known, k), 0.0
    for _, film in ipairs(films) do
      losses[k] = losses[k] + bce(see(film.x[p.context]), film.y[p.context + k - 1]) / #films
    end
  end
  return all, losses
end

---------------------------------------------------------------- printing

local function print_row (name, count, next_frame, ahead)
  local cells = {}
  for k, loss in ipairs(ahead) do cells[k] = ("%7.4f"):format(loss) end
  print(("%-14s %10s %11.4f   %s"):format(name, count or "", next_frame, table.concat(cells, " ")))
end

local function print_head (p)
  local cells = {}
  for k = 1, p.ahead do cells[k] = ("%7s"):format(k) end
  print(("%-14s %10s %11s   %s"):format("", "parameters", "next frame", table.concat(cells, " ")))
end

-- Frames (chances or pixels) side by side.
local function print_frames (title, frames, side)
  print(title)
  for r = 0, side - 1 do
    local line = {}
    for _, frame in ipairs(frames) do
      for c = 1, side do
        local v = frame[r * side + c]
        line[#line + 1] = v > 0.75 and "#" or v > 0.5 and "*" or v > 0.25 and ":" or v > 0.1 and "." or " "
      end
      line[#line + 1] = "|"
    end
    print("  |" .. table.concat(line))
  end
end

-- What was, and what each model thought would be, in the first film of test.
local function print_film (data, p, models)
  local first = data.set:sequence(data.set.splits.test[1][1])
  local shown = {}
  for k = 1, math.min(p.ahead, 110 // (p.frame + 1)) do shown[k] = first.y[p.context + k - 1] end
  print_frames(("frames %d to %d of a film"):format(p.context + 1, p.context + #shown), shown, p.frame)
  for _, m in ipairs(models) do
    local thought = {}
    roll_out(m.model, first.x, p, function (k, z) thought[k] = k <= #shown and z:sigmoid() or nil end)
    print_frames(m.name, thought, p.frame)
  end
end

---------------------------------------------------------------- the experiment

-- Trains one model; its row of the table.
local function train (run, data, p, name, model)
  local optim = lurn.optim.adam(model, {lr = p.lr, schedule = "cosine", clip_norm = 1})
  run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0, batch = p.batch,
    steps = p.steps, eval_every = math.max(1, p.steps // 10)}
  local loss = model:evaluate(data.test).loss
  print_row(name, model:count(), loss, model_ahead(films_of(data, "test", p.films), p, model))
  return {name = name, model = model, loss = loss}
end

return lurn.experiment {
  name = "moving", direction = "minimize",
  help = "predicting moving digits: a ConvLSTM against LSTMs",

  params = {
    frame    = {16, int = true, help = "rows and columns of a frame"},
    T        = {20, int = true, help = "frames of a film"},
    n        = {1000, int = true, help = "films to train on"},
    images   = {help = "an IDX file of digits, plain or .gz; they are drawn without it"},
    channels = {16, int = true, help = "of the ConvLSTM's state"},
    kernel   = {5, int = true, help = "rows and columns that a convolution looks at"},
    wide     = {256, int = true, help = "units of the wider LSTM"},
    batch    = {8, int = true},
    steps    = {1000, int = true, help = "iterations, of each model"},
    lr       = {1e-2, float = {1e-4, 1e-1}, log = true, help = "falls to 0 along a cosine"},
    context  = {10, int = true, help = "frames that are seen before predictions are fed back"},
    ahead    = {5, int = true, help = "frames that are predicted then"},
    films    = {50, int = true, help = "films of test that are predicted so"},
  },

  run = function (run, p)
    if p.context + p.ahead > p.T then error("context and ahead are more than the T frames of a film", 0) end
    local data = assert(lurn.moving {frame = p.frame, T = p.T, n = p.n, seed = run.seed,
      images = p.images})
    print_head(p)
    print_row("mean image", nil, baseline_losses(data, p, mean_image))
    print_row("copied frame", nil, baseline_losses(data, p, copied_frame))
    local conv = train(run, data, p, "ConvLSTM", conv_lstm(data, p))
    local equal = train(run, data, p, "LSTM, equal", lstm(data, p, equal_width(conv.model:count(), p.frame * p.frame)))
    local wide = train(run, data, p, "LSTM, wide", lstm(data, p, p.wide))
    print_film(data, p, {conv, equal, wide})
    return conv.loss
  end,
}
