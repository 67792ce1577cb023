-- What checkpointing over time costs and saves: one training step of an LSTM, with and without it.
--
--   lurn run tests/bench/recompute.lua [--hidden 64]         (build/bin/lurn; one thread, a minute)
--
-- Prints T, B, the window, memory of both (activations, states, packed weights), the time of both (the least of five
-- steps, alternating) and their ratio. Memory grows as the square root of T, time as T.
local lurn = require "lurn"

local SIZES = {{1000, 1}, {4000, 1}, {16000, 1}, {100000, 1}, {2000, 16}, {10000, 8}, {100000, 4}}

local function step (model, batch)
  local start = lurn.sys.clock()
  model:forward(batch)
  model:backward()
  model:rollback()
  return lurn.sys.clock() - start
end

local function bytes (model)
  local bill = model:player():bill()
  return (bill.activations + bill.packed) / 2^20
end

return lurn.experiment {name = "recompute", params = {hidden = {64, int = {1, 4096}}}, run = function (_, p)
  print("     T   B  window   plain MiB  windows MiB   plain ms  windows ms  ratio")
  for _, size in ipairs(SIZES) do
    local T, B = size[1], size[2]
    local batch = lurn.batch {x = lurn.zeros(T, B, 8), y = lurn.zeros(T, B, 2)}
    local models, best = {}, {math.huge, math.huge}
    for i, checkpoint in ipairs {false, true} do
      models[i] = lurn.stack {input = {dim = 8}, lurn.lstm {hidden = p.hidden}, lurn.linear {size = 2},
        loss = lurn.loss.mse(), checkpoint = checkpoint}
    end
    for _ = 1, 5 do
      for i = 1, 2 do best[i] = math.min(best[i], step(models[i], batch)) end
    end
    print(("%6d %3d  %6d  %10.1f  %11.2f  %9.1f  %10.1f  %5.2f"):format(T, B, models[2]:player():bill().window,
      bytes(models[1]), bytes(models[2]), 1000 * best[1], 1000 * best[2], best[2] / best[1]))
  end
  return 0
end}
