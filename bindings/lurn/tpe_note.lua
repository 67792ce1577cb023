--- What a proposal of the sampler tpe had seen, as a text, and the trials as they were then. Not a module of its own:
-- tpe.lua calls this with the class it adds methods to.
--
--   "42 r39,41 s7:16 s12:4"   of 42 trials, 39 and 41 were running or waiting, 7 was paused after step 16, 12 after 4;
--                             the others were what they are now
--   "45 r44 b41 u12 s39:4"    who is paused is said by what changed since the note of trial 41: 12 is not, 39 is, too
--   "9 a5-6"                  of older studies: 5 and 6 were not there yet
--
-- Where all are paused at rungs each note would name them all. A list of trials grows at its end: what is not in it
-- below the number of trials is not in it later either, and need not be said.

return function (tpe)
  -- "17" or "17-20".
  local function range_text (first, last) return first == last and tostring(first) or first .. "-" .. last end

  -- Numbers in ascending order as ranges: "1,4-6".
  local function ranges (numbers)
    local out, first, last = {}, nil, nil
    for _, n in ipairs(numbers) do
      if last and n == last + 1 then last = n
      else
        if first then out[#out + 1] = range_text(first, last) end
        first, last = n, n
      end
    end
    if first then out[#out + 1] = range_text(first, last) end
    return table.concat(out, ",")
  end

  local function each_number (text, set, value)
    for first, last in text:gmatch("(%d+)%-?(%d*)") do
      for n = first, last ~= "" and last or first do set[math.tointeger(n)] = value end
    end
  end

  -- The earlier trial whose note can be built on: a note of the same block of configurations, so that no chain of them
  -- is longer than a block.
  local BLOCK = 512
  local function base_of (trials, number)
    for k = #trials, math.max(1, #trials - BLOCK + 1), -1 do
      local t = trials[k]
      if t.note and t.note.seen and (t.config or t.number) // BLOCK == number // BLOCK then return t end
    end
  end

  local function note_of (trials, number)
    local k = math.min(number + 1, #trials)
    while k > 0 and trials[k].number > number do k = k - 1 end
    local t = trials[k]
    return t and t.number == number and t.note and t.note.seen
      or error(("lurn.sampler: tpe: the note of trial %d, which another one builds on, is not there"):format(number), 0)
  end

  -- The notes that this one builds on, from itself on to one that says all, or to the one that is known.
  local function chain_of (trials, seen, known)
    local chain, last = {}, math.huge
    while seen and seen ~= known do
      chain[#chain + 1] = seen
      local base = math.tointeger(seen:match "%f[%S]b(%d+)")
      if base and base >= last then error("lurn.sampler: tpe: notes that build on each other in a circle", 0) end
      seen, last = base and note_of(trials, base), base
    end
    return chain, seen
  end

  -- Who was paused, by number: after which step. What was made of the last note is kept, since the next one mostly
  -- builds on it.
  local function paused_in (self, trials, seen)
    local kept = self.noted.trials == trials and self.noted or {}
    local chain, known = chain_of(trials, seen, kept.seen)
    local paused = known and kept.paused or {}
    for k = #chain, 1, -1 do
      for word in chain[k]:gmatch "%f[%S]u(%S+)" do each_number(word, paused, nil) end
      for number, step in chain[k]:gmatch "%f[%S]s(%d+):(%-?%d+)" do
        paused[math.tointeger(number)] = math.tointeger(step)
      end
    end
    self.noted = {trials = trials, seen = seen, paused = paused}
    return paused
  end

  local function step_of (trial)
    local last = trial.reports and trial.reports[#trial.reports]
    return last and last[1] or -1
  end

  -- Words that say who of these is paused, given who was.
  local function changes (rest, was)
    local words, gone, stays = {}, {}, {}
    for _, trial in ipairs(rest) do
      local step = step_of(trial)
      stays[trial.number] = true
      if was[trial.number] ~= step then words[#words + 1] = ("s%d:%d"):format(trial.number, step) end
    end
    for number in pairs(was) do if not stays[number] then gone[#gone + 1] = number end end
    if gone[1] then
      table.sort(gone)
      table.insert(words, 1, "u" .. ranges(gone))
    end
    return words
  end

  -- Words that say who is paused: what is not as it was for an earlier note, or all where that is as short. Of what was
  -- recalled nobody needs a note, and not all of it has its own.
  local function paused_words (self, trials, rest, number)
    local base = rest[1] and number and trials ~= self.recalled and base_of(trials, number)
    local words = base and changes(rest, paused_in(self, trials, base.note.seen))
    if not words or #words >= #rest then return changes(rest, {}) end
    table.insert(words, 1, "b" .. base.number)
    return words
  end

  --- What there was, as a text.
  ---@param trials table
  ---@param settled? integer  how many of the first ones need no look: none of them is open
  ---@param number? integer   of the configuration that is to be proposed; nil: the note says all
  ---@return string
  ---@return boolean plain   without seeds trials are configurations
  ---@return integer open    how many are running or waiting
  function tpe:seen (trials, settled, number)
    local open, rest, total, plain = {}, {}, settled or 0, true
    for i = total + 1, #trials do
      local trial = trials[i]
      local state, config = trial.state, trial.config
      total = trial.number + 1
      if config and config ~= trial.number then plain = false end
      if state == "RUNNING" or state == "WAITING" then open[#open + 1] = trial.number
      elseif state == "PAUSED" then rest[#rest + 1] = trial
      end
    end
    local words, paused = {tostring(total)}, paused_words(self, trials, rest, number)
    if open[1] then words[2] = "r" .. ranges(open) end
    table.move(paused, 1, #paused, #words + 1, words)
    return table.concat(words, " "), plain, #open
  end

  -- The trial as it was when it was paused after a step.
  local function paused_at (trial, step)
    local reports = {}
    for i, report in ipairs(trial.reports or {}) do
      if report[1] > step then break end
      reports[i] = report
    end
    return {number = trial.number, config = trial.config, seed = trial.seed, params = trial.params, state = "PAUSED",
      reports = reports}
  end

  --- The trials as a proposal saw them.
  ---@param note table    {seen = text}
  ---@param trials table  as they are by now, with their notes
  ---@return table
  function tpe:recall (note, trials)
    local seen = note and note.seen or error("lurn.sampler: tpe: without its note a proposal cannot be repeated", 3)
    local total, was, out = math.tointeger(seen:match("^%d+")), {}, {}
    self.recalled = out
    for word in seen:gmatch("%f[%S]r(%S+)") do each_number(word, was, "running") end
    for word in seen:gmatch("%f[%S]a(%S+)") do each_number(word, was, "absent") end
    for number, step in pairs(paused_in(self, trials, seen)) do was[number] = step end
    for _, trial in ipairs(trials) do
      local state = was[trial.number]
      if trial.number >= total then break end
      if state == "running" then
        out[#out + 1] = {number = trial.number, config = trial.config, seed = trial.seed, params = trial.params,
          state = "RUNNING"}
      elseif state ~= "absent" then
        out[#out + 1] = state and paused_at(trial, state) or trial
      end
    end
    return out
  end
end
