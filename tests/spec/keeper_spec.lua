-- Whose run files stay: after each trial what the rule says of all trials that are over.
local lurn = require "lurn"

-- The numbers of the trials whose files stay, of all trials anew. files: of the trials that have one, as a set.
local function rule (spec, direction, trials, files, over)
  local racing = lurn.racing.new {seeds = spec.seeds, direction = direction, race = spec.race}
  local rows, chosen, settled = racing:ranking(trials), {}, {}
  local function choose (list)
    for k = 1, math.min(spec.keep, #list) do
      local best
      for _, t in ipairs(list[k].trials) do
        local value = files[t.number] and t.value and racing.sign * t.value
        if value and (not best or value < racing.sign * best.value) then best = t end
      end
      if best then chosen[best.number] = true end
    end
  end
  choose(rows)
  if spec.seeds == 1 or over then return chosen end
  for _, row in ipairs(rows) do
    if row.lost or #row.trials == spec.seeds then settled[#settled + 1] = row
    elseif not spec.race or not racing:hopeless(row.trials, rows[1]) then
      local keep = spec.keep
      spec.keep = 1
      choose {row}
      spec.keep = keep
    end
  end
  choose(settled)
  return chosen
end

describe("the files that stay", function ()
  for _, case in ipairs {{seeds = 1, keep = 3}, {seeds = 4, keep = 3, race = true}, {seeds = 3, keep = 2, race = false},
      {seeds = 3, keep = 1, race = true}} do
    local name = ("keep %d, seeds %d, %s"):format(case.keep, case.seeds, case.race and "a race" or "all of them")
    it("are those of the best configurations, of each the best seed's: " .. name, function ()
      for study, direction in ipairs {"minimize", "maximize"} do
        local spec = {seeds = case.seeds, keep = case.keep, race = case.race or false}
        local files, trials = {}, {}
        local function begin () return lurn.keeper.new(spec, direction, trials, function (k) return files[k] end) end
        local keeper = begin()
        local racing = lurn.racing.new {seeds = spec.seeds, direction = direction, race = spec.race}
        local function u (what, i) return lurn.rng.uniform(study, "search", what, i) end
        for i = 1, 90 do
          local place = racing:next(trials, #trials)
          local t = {number = #trials, config = place.config, seed = place.seed, state = "COMPLETE",
            value = u("level", place.config + 1) + 0.2 * u("noise", i)}
          if u("fate", i) < 0.1 then t.state, t.value = "FAIL", nil end
          local all = {table.unpack(trials)}
          all[#all + 1] = t
          files[t.number] = t.value ~= nil or nil
          local expected = rule(spec, direction, all, files)
          local wanted = keeper:wants(t, t.value)
          assert.equal(expected[t.number] or false, wanted)
          files[t.number] = wanted or nil
          trials = all
          keeper:add(t, t.value, wanted)
          for _, number in ipairs(keeper:spare()) do files[number] = nil end
          assert.same(rule(spec, direction, trials, files), files)
          if i % 30 == 0 then keeper = begin() end      -- as when an agent is started again
        end
        for _, number in ipairs(keeper:spare(true)) do files[number] = nil end
        assert.same(rule(spec, direction, trials, files, true), files)
      end
    end)
  end
end)
