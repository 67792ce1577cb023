-- What bucketing by length is worth: one epoch of sequences of very different lengths, as they come and in buckets.
-- No padded step is played either way; what differs is how many rows are left in a step.
--
--   lurn run scripts/bucket.lua --batch 32 --hidden 128
--
-- It has no run:batches, hence nothing to be resumed from: a time of which a part was measured in another process, on
-- a machine that did other things then, is none. Who stops it starts it again.

local lurn = require "lurn"

return lurn.experiment {
  name = "bucket", direction = "maximize",
  params = {
    sequences = {640, int = true}, shortest = 10, longest = 400,
    batch = {32, int = true}, hidden = {128, int = true}, cell = {"lstm", choice = {"rnn", "lstm", "gru"}},
    bucket = {100, int = true, help = "batches that are sorted at a time"},
  },
  run = function (_, p)
    local list, D, sum = {}, 8, 0
    for i = 1, p.sequences do
      local n = math.random(p.shortest, p.longest)
      list[i], sum = {x = lurn.ones(n, D), y = 1.0 * (i % 2)}, sum + n
    end
    local data = lurn.dataset(list)
    local model = lurn.stack {input = data, lurn[p.cell] {hidden = p.hidden}, lurn.last, lurn.linear {size = 1},
      loss = lurn.loss.mse()}
    local optim = lurn.optim.sgd(model, {lr = 1e-3})

    local function epoch (feed, number)
      local steps, start = 0, lurn.sys.clock()
      for k = 1, feed:steps_of(number) do
        local batch = assert(feed:batch(number, k))
        model:forward(batch)
        model:backward()
        optim:step()
        steps = steps + batch.T
      end
      return lurn.sys.clock() - start, steps
    end

    local result = {}
    for name, bucket in pairs {plain = false, bucket = p.bucket} do
      local feed = data.train:feed {batch = p.batch, bucket = bucket, shuffle = true}
      epoch(feed, 1)                                      -- plans, and warms up
      local seconds, steps = epoch(feed, 2)
      result[name] = seconds
      print(("%-6s %7.2f s  %6d steps, %.1f rows each  %.0f frames/s"):format(name, seconds, steps, sum / steps,
        sum / seconds))
    end
    return result.plain / result.bucket
  end,
}
