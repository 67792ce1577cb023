--- Spikes: numbers far above what they were lately.
--
-- z = (x - mean) / deviation of the numbers before, those of a window that must be full first, as in llm.c's outlier
-- detector, which watches the loss and the gradient norm over 128 steps and whose training scripts leave out
-- steps with z above 7. Two things are different here. A spike enters the window cut down to the
-- limit, so that it does not hide the next one, and a level that lasts is the normal one before long. And a
-- deviation counts as 1 % of the mean at least: what hardly ever moves may move by that.

return function ()
  local M = {}

  --- A window, as plain values.
  ---@param size integer
  function M.new (size) return {size = size, at = 0, values = {}} end

  -- Mean and deviation of a full window; nil before.
  local function moments (w)
    local n = #w.values
    if n < w.size then return nil end
    local mean, square = 0.0, 0.0
    for _, x in ipairs(w.values) do mean = mean + x / n end
    for _, x in ipairs(w.values) do square = square + (x - mean)^2 / n end
    return mean, math.max(math.sqrt(square), 0.01 * math.abs(mean))
  end

  --- How many deviations x lies above the mean; nil as long as too little is known.
  ---@return number?
  function M.score (w, x)
    local mean, deviation = moments(w)
    if not mean or x == mean then return mean and 0.0 end
    return (x - mean) / deviation
  end

  --- Takes x into the window in place of the oldest number, at most `z` deviations above the mean.
  function M.add (w, x, z)
    local mean, deviation = moments(w)
    w.at = w.at % w.size + 1
    w.values[w.at] = mean and math.min(x, mean + z * deviation) or x
  end

  return M
end
