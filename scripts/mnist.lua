--- Handwritten digits, read as a series: a recurrent network goes over an image row by row.
--
--   lurn data idx train-images-idx3-ubyte.gz train-labels-idx1-ubyte.gz -o mnist.h5 \
--             --test-images t10k-images-idx3-ubyte.gz --test-labels t10k-labels-idx1-ubyte.gz
--   lurn run scripts/mnist.lua --data mnist.h5
--
-- A step of an LSTM's sequence is a row of 28 pixels. It looks at the image from the top and from the bottom; what both
-- directions know at their last rows decides which digit it is. The weights of the epoch with the best validation
-- accuracy are kept, and the test images are looked at once, in the end.
--
-- On one thread of an AMD EPYC (avx2), with the defaults, 163,338 parameters; scripts/repro/mnist.sh repeats it:
--
--   seed   best validation   test       CPU time
--   1      99.24 %           98.96 %    276 s
--   2      99.28 %           99.03 %    280 s
--   3      99.32 %           99.05 %    280 s

local lurn = require "lurn"

return lurn.experiment {
  name = "mnist", direction = "maximize",
  help = "images of digits, read row by row by a recurrent network",

  params = {
    data    = {"mnist.h5", help = "a data set made by lurn data idx"},
    cell    = {"lstm", choice = {"rnn", "lstm", "gru"}},
    hidden  = {128, int = {32, 512}, log = true, help = "units of each layer and direction"},
    layers  = {1, int = {1, 3}},
    bidirectional = {true, help = "from the top and from the bottom"},
    pool    = {"last", choice = {"last", "mean", "max"}, help = "how the steps become one row of numbers"},
    dropout = {0.3, float = {0, 0.5}, help = "between layers, and before the decision"},
    batch   = {100, int = true, help = "images side by side"},
    epochs  = {10, float = true},
    lr      = {3e-3, float = {1e-4, 1e-1}, log = true, help = "falls to 0 along a cosine"},
    clip_norm = {5, float = true, help = "of the gradient; 0 does not clip"},
  },

  run = function (run, p)
    local data = assert(lurn.open(p.data))
    local model = lurn.stack {input = data,
      lurn[p.cell] {hidden = p.hidden, layers = p.layers, bidirectional = p.bidirectional, dropout = p.dropout,
        pool = p.pool},
      lurn.dropout {rate = p.dropout},
      lurn.linear {}, loss = lurn.loss.cross_entropy()}
    local optim = lurn.optim.adam(model, {lr = p.lr, schedule = "cosine", clip_norm = p.clip_norm})
    run.progress:say("%d images, %d parameters", data.set.n, model:count())

    local function accuracy (split)
      return model:evaluate(split, {batch = 500, metrics = {"accuracy"}}).accuracy
    end

    for batch, step, feed in run:batches(data.train, {batch = p.batch, seq = 0, epochs = p.epochs}) do
      local loss = model:forward(batch)
      model:backward()
      run:log {loss = loss, grad_norm = optim:step()}
      if step % feed.steps == 0 or step == run.total then
        local valid = accuracy(data.valid)
        run:report(valid, "valid_accuracy")
        print(("epoch %2d   validation accuracy %.2f %%"):format(math.ceil(step / feed.steps), 100 * valid))
      end
    end

    run:restore_best()
    local test = accuracy(data.test)
    print(("test accuracy %.2f %%"):format(100 * test))
    return test
  end,
}
