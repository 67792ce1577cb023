--- How `lurn bench` takes time.
--
-- A machine is never quiet, so the sides of a row (lurn and its peers, each with one thread and with two) take turns in
-- short blocks of steps, and what counts is the median of the ratios turn by turn, with its spread. CPU time says
-- what waiting for a processor does not change.

return function (lurn)
  local M = {}

  -- A step so long that not even the least number of turns fits into a row's time.
  local LONG, LEAST_LONG = 0.5, 3

  ---------------------------------------------------------------- lists of numbers

  local function sorted (list)
    local s = table.move(list, 1, #list, 1, {})
    table.sort(s)
    return s
  end

  function M.median (list)
    local s = sorted(list)
    local n = #s
    return n == 0 and 0 / 0 or (s[(n + 1) // 2] + s[n // 2 + 1]) / 2
  end

  -- The middle half of a list: what noise leaves of it.
  local function quartiles (list)
    local s = sorted(list)
    return s[(#s + 3) // 4], s[#s + 1 - (#s + 3) // 4]
  end

  local median = M.median

  ---------------------------------------------------------------- sides

  --- A side of a row: run (steps) -> seconds of wall and of CPU per step; with what each turn of it took.
  function M.side (name, run, extra)
    local s = {name = name, run = run, wall = {}, cpu = {}}
    for k, v in next, extra or {} do s[k] = v end
    return s
  end

  --- lurn's own side of a row, timed as the peers are.
  function M.timed (step, threads)
    return function (steps)
      if lurn.core.threads() ~= threads then lurn.core.threads(threads) end
      local wall, cpu = lurn.sys.clock(), os.clock()
      for _ = 1, steps do step() end
      return (lurn.sys.clock() - wall) / steps, (os.clock() - cpu) / steps
    end
  end

  --- How many steps a block of so many seconds takes. The first block warms up, the second one tells.
  function M.calibrate (s, block)
    s.run(1)
    s.guess = math.max(s.run(1), 1e-7)
    local steps = math.ceil(block / s.guess)
    if steps > 20 then                          -- too short to be told from one step
      s.guess = math.max(s.run(20), 1e-7)
      steps = math.ceil(block / s.guess)
    end
    s.steps = math.max(1, steps)
  end

  local function least_turns (sides, budget)
    local slowest = 0
    for _, s in ipairs(sides) do slowest = math.max(slowest, s.guess) end
    return slowest > LONG and math.min(LEAST_LONG, budget.least) or budget.least
  end

  --- All sides in turn, until the budget's seconds and its least number of turns are over, or its most. least_steps:
  -- of the first side. `budget.turns` is a number to keep to.
  ---@return integer turns
  function M.take_turns (sides, least_steps, budget)
    local start, turns, done = lurn.sys.clock(), 0, 0
    local least, most = budget.turns or least_turns(sides, budget), budget.turns or budget.most
    while turns < most or done < least_steps do
      local late = lurn.sys.clock() - start > budget.row
      if late and turns >= least and done >= least_steps then break end
      for _, s in ipairs(sides) do
        s.wall[#s.wall + 1], s.cpu[#s.cpu + 1] = s.run(s.steps)
      end
      turns, done = turns + 1, done + sides[1].steps
    end
    return turns
  end

  --- Of several settings the one whose median is least.
  function M.best_of (sides)
    local best
    for i = 1, #sides do
      if not best or median(sides[i].wall) < median(best.wall) then best = sides[i] end
    end
    return best
  end

  --- How many times as long as `own` the other side takes, turn by turn; `scale` is a factor on that.
  ---@return {median: number, low: number, high: number}
  function M.ratio_of (own, other, clock, scale)
    local ratios = {}
    for i, t in ipairs(own[clock]) do ratios[i] = other[clock][i] / t * (scale or 1) end
    local low, high = quartiles(ratios)
    return {median = median(ratios), low = low, high = high}
  end

  --- A side as the results have it: milliseconds, of `scale` steps.
  function M.summary (s, scale)
    scale = (scale or 1) * 1000
    return {name = s.name, threads = s.threads, ms = median(s.wall) * scale, cpu_ms = median(s.cpu) * scale,
      gflops = s.operations and s.operations / median(s.cpu) * 1e-9}
  end

  return M
end
