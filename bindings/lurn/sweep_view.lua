--- What a person sees of a sweep, on stderr: on a terminal one line that renews itself, elsewhere a plain line every
-- so often; a line of its own for every new best trial and for what goes wrong. Nothing here influences the sweep.
--
--   12/100 done  2 running  3 pruned  1 failed  best 1.2345 (trial 7)  ▁▂▂▃▅█  3m05s, 12m left

return function (lurn)
  local M = {}

  ---@class lurn.SweepView
  local View = {}
  View.__index = View

  local BLOCKS = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
  local ASCII = {"_", ".", "-", "~", "=", "+", "*", "#"}
  local WIDE = 16      -- bars of the sparkline

  -- Workers that were busy for less of a sweep of so many seconds are spoken of at its end.
  local BUSY, LONG = 0.75, 30

  --- Values as bars, the lowest to the highest; what is not finite is left out.
  ---@param values number[]
  ---@param most? integer   so many of the last ones
  ---@param utf8_too? boolean
  ---@return string
  function M.sparkline (values, most, utf8_too)
    local list, low, high, out = {}, math.huge, -math.huge, {}
    for _, v in ipairs(values) do
      if v == v and math.abs(v) < math.huge then list[#list + 1] = v end
    end
    local first = math.max(1, #list - (most or WIDE) + 1)
    for i = first, #list do low, high = math.min(low, list[i]), math.max(high, list[i]) end
    local bars = utf8_too == false and ASCII or BLOCKS
    for i = first, #list do
      local k = high > low and math.floor((list[i] - low) / (high - low) * 7 + 0.5) or 0
      out[#out + 1] = bars[k + 1]
    end
    return table.concat(out)
  end

  --- options: as for lurn.progress.new; direction, seeds: of the study.
  function M.new (options)
    local progress = lurn.progress.new(options)
    return setmetatable({progress = progress, options = options, seeds = options.seeds or 1, values = {},
      sign = options.direction == "maximize" and -1 or 1, shown = -math.huge, took = 0, utf8 = lurn.plot.utf8(),
      ended_here = 0}, View)
  end

  function View:say (format, ...) self.progress:say("lurn: " .. format, ...) end

  local function params_text (params)
    local names, list = {}, {}
    for name in next, params do names[#names + 1] = name end
    table.sort(names)
    for i, name in ipairs(names) do
      local value = params[name]
      list[i] = ("%s %s"):format(name, math.type(value) == "float" and ("%.4g"):format(value) or tostring(value))
    end
    return table.concat(list, ", ")
  end
  M.params_text = params_text

  function View.started () end
  function View.reported () end

  local reasons = {TIMEOUT = "out of time", MEMORYOUT = "out of memory", DIVERGED = "diverged", CRASHED = "crashed",
    INFEASIBLE = "infeasible", LOST = "lost", ERROR = "failed"}

  --- An attempt ended. Best values and what went wrong get lines of their own.
  function View:ended (trial, e)
    if e.state == "COMPLETE" then
      self.values[#self.values + 1] = e.value
      if not self.best or self.sign * e.value < self.sign * self.best then
        self.best, self.best_number = e.value, trial.number
        local seed = self.seeds > 1 and (" (configuration %d, seed %d)"):format(trial.config, trial.seed) or ""
        self.progress:say("trial %d%s  %.6g  best   %s", trial.number, seed, e.value, params_text(trial.params))
      end
    elseif e.state == "FAIL" or e.reason == "LOST" then
      local why = e.message and ": " .. e.message or ""
      self.progress:say("trial %d  %s%s", trial.number, reasons[e.reason] or "failed", why)
    end
    if e.state ~= "WAITING" and e.state ~= "PAUSED" then self.ended_here = self.ended_here + 1 end
  end

  -- What was known before this agent began, and what others find.
  local function take_in (self, agent)
    for _, t in ipairs(agent.trials) do
      if t.state == "COMPLETE" and t.value and (not self.best or self.sign * t.value < self.sign * self.best) then
        self.best, self.best_number = t.value, t.number
      end
    end
  end

  -- The best value, of several seeds the mean of the configuration that leads the race.
  local function best_text (self, agent, complete)
    if not self.best then return nil end
    if self.seeds == 1 then return ("best %.6g (trial %d)"):format(self.best, self.best_number) end
    if self.raced ~= complete then
      local rows = lurn.study_table.configurations(agent.trials, self.options.direction, self.seeds)
      self.raced, self.leader = complete, rows[1]
    end
    local r = self.leader
    -- None while the store is away and no list says yet what was heard.
    if not r or not r.mean then return nil end
    local sd = r.sd and ("%.2g"):format(r.sd) or "?"
    return ("best %.6g ± %s of %d (configuration %d)"):format(r.mean, sd, r.n, r.config)
  end

  local function line (self, agent, is_last)
    local c, now = lurn.store_state.count(agent.trials), agent.clock()
    local over, spent = c.COMPLETE + c.PRUNED + c.FAIL, now - agent.began
    local total = self.total and self.total >= over and self.total      -- fewer may be asked for than there are
    local words = {total and ("%d/%d done"):format(over, total) or over .. " done", c.RUNNING .. " running"}
    if c.PRUNED > 0 then words[#words + 1] = c.PRUNED .. " pruned" end
    if c.PAUSED > 0 then words[#words + 1] = c.PAUSED .. " paused" end
    if c.FAIL > 0 then words[#words + 1] = c.FAIL .. " failed" end
    words[#words + 1] = best_text(self, agent, c.COMPLETE)
    local left = not is_last and total and self.ended_here > 0 and (total - over) * spent / self.ended_here
    local duration = lurn.quantity.duration
    local times = left and ("%s, %s left"):format(duration(spent), duration(left)) or duration(spent)
    -- The bars get the room that there is, on a line that is cut to the terminal.
    local text = table.concat(words, "  ")
    local room = self.progress.tty and self.progress:room() - lurn.screen.width(text) - #times - 4 or WIDE
    if #self.values > 2 and room > 2 then
      text = text .. "  " .. M.sparkline(self.values, math.min(room, WIDE), self.utf8)
    end
    return text .. "  " .. times
  end

  --- Shows how things stand: four times a second on a terminal, else every few seconds; more seldom where there are
  -- so many trials that to count them would take more than a hundredth of the time.
  function View:update (agent)
    local p, now = self.progress, agent.clock()
    if p.quiet or now - self.shown < math.max(p.tty and 0.25 or p.every, 100 * self.took) then return end
    self.shown = now
    take_in(self, agent)
    if p.tty then p:renew(line(self, agent)) else p:say("%s", line(self, agent)) end
    self.took = agent.clock() - now
  end

  local waits = {store = ": the store was away",
    others = ": nothing was left to begin before other trials came further"}

  -- A race that is over has not played all that it might have.
  local function tell_race (self, agent)
    local left = agent.finished and self.seeds > 1 and self.total and self.total - #agent.trials or 0
    if left <= 0 then return end
    self:say("the race is over; seeds left out, of configurations that had lost by then: %d", left)
  end

  --- The last line; one where a race left seeds out; and one where workers had little to do for long.
  function View:over (agent)
    take_in(self, agent)
    if #agent.trials > 0 then self.progress:say("%s", line(self, agent, true)) end
    tell_race(self, agent)
    local share, why = agent:share()
    if agent.clock() - agent.began < LONG or not share or share >= BUSY then return end
    self:say("workers were busy %.0f %% of the time%s", 100 * share, waits[why] or "")
  end

  return M
end
