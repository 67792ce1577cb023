-- What a person sees of a sweep: on a terminal, elsewhere, with seeds.

local lurn = require "lurn"

-- A view that writes into a list, and an agent with these trials, at a time that the test sets.
local function seen (options, trials)
  local now, out = 0, {}
  options.stream = {write = function (_, ...) for _, s in ipairs {...} do out[#out + 1] = s end end,
    flush = function () end}
  options.clock = function () return now end
  options.color = false
  local view = lurn.sweep_view.new(options)
  view.total = 10
  local agent = {trials = trials, began = 0, clock = options.clock, share = function () return 0.9 end}
  return view, agent, function () return table.concat(out) end, function (t) now = t end
end

local function trial (number, state, value, more)
  local t = {number = number, config = number, seed = 1, state = state, value = value,
    params = {lr = 0.01, cell = "gru"}, reports = {}}
  for k, v in pairs(more or {}) do t[k] = v end
  return t
end

describe("the view of a sweep", function ()
  it("renews one line on a terminal, inside its width", function ()
    local trials = {trial(0, "COMPLETE", 0.5), trial(1, "PRUNED", 0.7), trial(2, "FAIL"), trial(3, "RUNNING")}
    local view, agent, text, at = seen({tty = true, columns = 70, direction = "minimize"}, trials)
    for i = 1, 100 do
      at(i * 0.05)
      view:update(agent)
    end
    local shown = select(2, text():gsub("\r", ""))
    assert.is_true(shown >= 15 and shown <= 21, shown)
    for line in text():gmatch "[^\r]+" do assert.is_true(utf8.len(line) < 70) end
    assert.matches("\r3/10 done  1 running  1 pruned  1 failed  best 0%.5 %(trial 0%)", text())
    assert.not_matches("\n", text())
  end)

  it("writes plain lines elsewhere, and a line for every new best trial and for what goes wrong", function ()
    local trials = {}
    local view, agent, text, at = seen({tty = false, direction = "maximize"}, trials)
    for k, value in ipairs {0.3, 0.2, 0.6} do
      trials[k] = trial(k - 1, "COMPLETE", value)
      at(3 * k)
      view:ended(trials[k], {state = "COMPLETE", value = value})
      view:update(agent)
    end
    trials[4] = trial(3, "FAIL")
    view:ended(trials[4], {state = "FAIL", reason = "TIMEOUT"})
    view:ended(trials[4], {state = "WAITING", reason = "PREEMPTED"})
    at(12)
    view:over(agent)
    assert.equal(table.concat({
      "trial 0  0.3  best   cell gru, lr 0.01",
      "1/10 done  0 running  best 0.3 (trial 0)  3s, 27s left",
      "trial 2  0.6  best   cell gru, lr 0.01",
      "3/10 done  0 running  best 0.6 (trial 2)  BARS  9s, 21s left",
      "trial 3  out of time",
      "4/10 done  0 running  1 failed  best 0.6 (trial 2)  BARS  12s", ""}, "\n"),
      (text():gsub("best 0.6 %(trial 2%)  %S+", "best 0.6 (trial 2)  BARS")))
  end)

  it("says mean and spread of the configuration that leads, where there are seeds", function ()
    local trials = {}
    for k = 0, 5 do
      trials[k + 1] = trial(k, "COMPLETE", 0.1 * (k // 3 + 1) + 0.01 * (k % 3), {config = k // 3, seed = k % 3 + 1})
    end
    local view, agent, text = seen({tty = false, direction = "minimize", seeds = 3}, trials)
    view:over(agent)
    assert.matches("best 0%.11 ± 0%.01 of 3 %(configuration 0%)", text())
  end)

  it("has nothing to say of seeds while the store is away and only this agent knows what ended", function ()
    local view, agent, text, at = seen({tty = true, columns = 100, direction = "minimize", seeds = 3}, {})
    at(1)
    view:ended(trial(0, "COMPLETE", 0.5), {state = "COMPLETE", value = 0.5})
    view:update(agent)
    assert.matches("\r0/10 done  0 running  1s", text())
  end)

  it("counts what there is where fewer are asked for", function ()
    local view, agent, text = seen({tty = false}, {trial(0, "COMPLETE", 0.5), trial(1, "COMPLETE", 0.7)})
    view.total = 1
    view:over(agent)
    assert.matches("^2 done  0 running", text())
  end)

  it("says at the end of a race what was left out", function ()
    local trials = {trial(0, "COMPLETE", 0.5), trial(1, "COMPLETE", 0.7)}
    for _, case in ipairs {{2, true, true}, {2, nil, false}, {1, true, false}} do
      local view, agent, text = seen({tty = false, direction = "minimize", seeds = case[1]}, trials)
      agent.finished = case[2]
      view:over(agent)
      local said = "lurn: the race is over; seeds left out, of configurations that had lost by then: 8\n"
      assert.equal(case[3], text():find(said, 1, true) ~= nil)
    end
    local view, agent, text = seen({tty = false, direction = "minimize", seeds = 2}, trials)
    view.total, agent.finished = 2, true
    view:over(agent)
    assert.not_matches("race", text())
  end)

  it("says at the end that workers had little to do, and why, where that took long", function ()
    local trials = {trial(0, "COMPLETE", 0.5)}
    for _, case in ipairs {{100, 0.49, "others", ": nothing was left to begin before other trials came further\n"},
      {100, 0.5, "store", ": the store was away\n"}, {100, 0.61, nil, "\n"}, {100, 0.8, "others"},
      {10, 0.4, "others"}} do
      local seconds, share, why, expected = table.unpack(case, 1, 4)
      local view, agent, text, at = seen({tty = false, direction = "minimize"}, trials)
      agent.share = function () return share, why end
      at(seconds)
      view:over(agent)
      local said = expected and ("lurn: workers were busy %.0f %% of the time%s"):format(100 * share, expected) or ""
      local last = "1/10 done  0 running  best 0.5 (trial 0)  " .. lurn.quantity.duration(seconds) .. "\n"
      assert.equal(last .. said, text())
    end
  end)

  it("draws values as bars", function ()
    assert.equal("▁▅█", lurn.sweep_view.sparkline {1, 2, 0 / 0, 3})
    assert.equal("_=#", lurn.sweep_view.sparkline({1, 2, math.huge, 3}, 16, false))
    assert.equal("▁▁", lurn.sweep_view.sparkline({9, 9, 5, 5}, 2))
    assert.equal("", lurn.sweep_view.sparkline {})
  end)
end)
