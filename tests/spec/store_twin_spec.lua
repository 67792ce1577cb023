-- Every kind of store does what the one in memory does: the same random histories of claims, reports, results early and
-- late, leases that run out, releases, pauses and promotions, of several processes (handles of their own) that now and
-- then are gone (closed without a word, and opened again), under one clock.

local lurn = require "lurn"
local stores = require "store_helper"

stores.with_server()
teardown(stores.close)

local SPACE = {{name = "x", kind = "float", low = 0.0, high = 1.0}, {name = "n", kind = "int", low = 0, high = 9},
  {name = "kind", kind = "choice", choice = {"a", "b", 3, 0.5, true}}}
local WORKERS = 4

-- Numbers of a history of its own: the same for every kind.
local function dice (seed)
  local state = seed
  return function (n)      -- 1 .. n
    state = (state * 6364136223846793005 + 1442695040888963407)
    return ((state >> 33) % n) + 1
  end
end

local function propose (number)
  local params = {x = (number % 7) / 8, kind = SPACE[3].choice[number % 5 + 1]}
  if number % 3 > 0 then params.n = number % 10 end
  return {params = params, seed = number % 2 + 1, note = {seen = number},
    attrs = number % 4 == 0 and {a = {1, "x"}} or nil}
end

local RESULTS = {{state = "COMPLETE", value = 0.25}, {state = "COMPLETE", value = 0 / 0},
  {state = "PRUNED", value = 1.5},
  {state = "PRUNED"}, {state = "COMPLETE", value = math.huge}, {state = "FAIL", reason = "CRASHED"},
  {state = "FAIL", reason = "CRASHED"}, {state = "FAIL", reason = "TIMEOUT"}, {state = "FAIL", reason = "LOST"},
  {state = "COMPLETE", value = 3, attrs = {why = "done"}, run = "trial.h5"}}

local function copy (t)
  local out = {}
  for k, v in pairs(t) do out[k] = v end
  return out
end

-- A step of a worker: what it did and what it was told, as a text.
local ACTS = {
  claim = function (w)
    local t, why = w.study:claim {worker = w.name, lease = 5, host = "h", pid = w.pid, propose = propose}
    if t then
      if w.trial then w.old[#w.old + 1] = w.trial end
      w.trial = t
    end
    return t and lurn.json.encode(t) or why
  end,
  report = function (w, roll)
    local step = roll(12)
    local value = roll(9) == 1 and 0 / 0 or roll(100) / 8
    return w.study:report(w.trial, {{step, value}, {step + 1, value / 2}},
      roll(4) == 1 and {loss = {{step, value}}} or nil)
  end,
  renew = function (w) return w.study:renew(w.trial, 5) end,
  finish = function (w, roll) return w.study:finish(w.trial, copy(RESULTS[roll(#RESULTS)])) end,
  late = function (w, roll)      -- of an attempt that it had before
    local t = w.old[#w.old > 0 and roll(#w.old) or 1]
    if t then return w.study:finish(t, copy(RESULTS[roll(#RESULTS)])) end
  end,
  pause = function (w, roll) return w.study:pause(w.trial, roll(2) == 1 and {run = "p.h5"} or nil) end,
  release = function (w, roll) return w.study:release(w.trial, roll(2) == 1 and "CRASHED" or nil) end,
  promote = function (w, roll) return w.study:promote(roll(12) - 1) end,
  turn = function (w, roll)
    local r = w.study:turn(w.trial, copy(RESULTS[roll(#RESULTS)]), {worker = w.name, lease = 5, propose = propose})
    if r.trial then
      w.old[#w.old + 1] = w.trial
      w.trial = r.trial
    end
    return r.done, r.state, r.trial and lurn.json.encode(r.trial) or r.why
  end,
  enqueue = function (w, roll)
    local list = {}
    for k = 1, roll(2) do
      list[k] = {params = {x = 0.5, n = roll(9), kind = "b"}, config = roll(3) == 1 and 7 or nil}
    end
    return w.study:enqueue(list)
  end,
  set = function (w, roll) return w.study:set("k" .. roll(2), {roll(9), a = "b"}) end,
  get = function (w, roll)
    local value = w.study:get("k" .. roll(2))
    return value and lurn.json.encode(value)
  end,
}
local DRAW = {"claim", "claim", "claim", "report", "report", "renew", "finish", "finish", "late", "pause", "release",
  "promote", "promote", "turn", "enqueue", "set", "get", "sync", "time", "time", "crash"}
local NEEDS_TRIAL = {report = 1, renew = 1, finish = 1, pause = 1, release = 1, turn = 1}

local function told (...)
  local list = {}
  for k = 1, select("#", ...) do list[k] = tostring((select(k, ...))) end
  return (table.concat(list, " "):gsub("[ nil]*$", ""))
end

-- The history of a seed in one kind of store: a line per step, then all that is to be seen.
local function play (kind, url, seed, steps)
  stores.clear(kind)
  local roll, now, lines = dice(seed), 1000.0, {}
  local options = {clock = function () return now end}
  local shared = assert(lurn.store.open(url, options))
  local spec = {trials = 12, seeds = 2, retries = {crashed = 1}, space = SPACE}
  assert(shared:create {name = "history", direction = "maximize", spec = spec})
  local function open (w)
    local store = kind == "memory" and shared or assert(lurn.store.open(url, options))
    w.store, w.study = store, assert(store:study "history")
  end
  local workers = {}
  for k = 1, WORKERS do
    workers[k] = {name = "w" .. k, pid = k, old = {}}
    open(workers[k])
  end
  for step = 1, steps do
    local w, act = workers[roll(WORKERS)], DRAW[roll(#DRAW)]
    local line = act
    if act == "time" then now = now + roll(8) / 2
    elseif act == "sync" then line = lurn.json.encode(w.study:sync())
    elseif act == "crash" then
      if kind ~= "memory" then w.store:close() end
      w.trial, w.old = nil, {}
      open(w)
    elseif w.trial or not NEEDS_TRIAL[act] then line = told(act, ACTS[act](w, roll)) end
    lines[step] = ("%d %s %s"):format(step, w.name, line)
  end
  local seen = {}
  for k, w in ipairs(workers) do
    local trials = w.study:sync()
    seen[k] = lurn.json.encode(trials)
    assert.same({}, w.study:check())
    if k == 1 then
      for _, t in ipairs(trials) do lines[#lines + 1] = lurn.json.encode(w.study:metrics(t.number)) end
      lines[#lines + 1] = lurn.json.encode(w.study:counts())
    end
  end
  for k = 2, WORKERS do assert.equal(seen[1], seen[k], kind .. ": two workers see the same") end
  lines[#lines + 1] = seen[1]
  for _, w in ipairs(workers) do if kind ~= "memory" then w.store:close() end end
  shared:close()
  return lines
end

describe("a random history", function ()
  local slow = os.getenv "LURN_CHECK"
  for kind, url in pairs(stores.urls) do
    if kind ~= "memory" then
      it("in " .. kind .. " is the one in memory", function ()
        for seed = 1, tonumber(os.getenv "HISTORIES") or slow and 2 or 4 do
          local twin, lines = play("memory", stores.urls.memory, seed, 150), play(kind, url, seed, 150)
          for k, line in ipairs(twin) do
            if line ~= lines[k] then
              local before = table.concat(twin, "\n", math.max(1, k - 12), k - 1)
              assert.equal(line, lines[k], ("seed %d, after\n%s"):format(seed, before))
            end
          end
          assert.equal(#twin, #lines)
        end
      end)
    end
  end
  if stores.why then pending("in postgresql: " .. stores.why) end
end)
