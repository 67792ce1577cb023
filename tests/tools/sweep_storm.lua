-- sweep_storm.lua: a sweep under fire. `lurn sweep` and `lurn worker` with several slots each play one study; agents
-- and the processes of single trials are killed with kill -9 at random instants, now and then everything (with the
-- database server, where there is one), and started again. Agents are frozen until another one has taken a trial of
-- theirs over and finished it, and are woken: what they then say must be kept as an orphan. In the end every trial is
-- done once, its value is that of its parameters, and `lurn study check` finds nothing.
--
--   lua5.4 tests/tools/sweep_storm.lua [--store sqlite,dir,postgresql] [--trials 300] [--agents 3] [--slots 3]
--     [--freezes 2] [--seed 1] [--limit 900]
--
-- `make sweep-storm`. From the environment: LUA_PATH and LUA_CPATH that find the module; LURN_BIN (build/bin/lurn);
-- STORES, a folder for the stores (a temporary one). Exit code 1 when something was lost or counted twice.

package.path = "tests/spec/?.lua;tests/tools/?.lua;" .. package.path
local lurn = require "lurn"
local blows, tool = require "blows", require "tool"

local PATIENCE = 8     -- seconds that an agent is frozen at most
local LEASE = 1.5      -- seconds: short, so that trials of the frozen are taken over soon

-- It trains nothing, and is at work for some hundredths of a second, so that it can be struck meanwhile.
local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "storm", params = {x = {0.5, float = {0, 1}}},
  run = function (run, p)
    for step = 1, 3 do
      lurn.sys.sleep(0.01)
      run:report(p.x / step)
    end
    return (p.x - 0.25)^2
  end}
]]

local function value_of (t) return (t.params.x - 0.25)^2 end

local stores, folder, bin

local function fail (...) error("sweep_storm: " .. string.format(...), 0) end

---------------------------------------------------------------- agents

-- The first one makes the study, and may find it made.
local function spawn (url, k, o)
  local verb = k == 1 and ("sweep storm.lua --sampler random --pruner none --trials %d"):format(o.trials) or "worker"
  local pipe = io.popen(("cd %s && { exec %s %s --store '%s' --workers %d --lease %g --quiet >>out%d 2>&1 </dev/null & "
    .. "echo $!; }"):format(folder, bin, verb, url, o.slots, LEASE, k))
  local pid = pipe:read "n"
  pipe:close()
  return pid
end

local function children_of (pid)
  local f, list = io.open(("/proc/%d/task/%d/children"):format(pid, pid)), {}
  for child in (f and f:read "a" or ""):gmatch "%d+" do list[#list + 1] = tonumber(child) end
  if f then f:close() end
  return list
end

-- A trial that this process plays now.
local function trial_of (trials, pid)
  for _, t in ipairs(trials) do
    if t.state == "RUNNING" and t.attempts[t.epoch].pid == pid then return t end
  end
end

-- An agent that is frozen while another one does a trial of its.
local Sleeper = {}
Sleeper.__index = Sleeper

function Sleeper:begin (trials)
  for _, pid in ipairs(self.agents) do
    local t = trial_of(trials, pid)
    if t and blows.alive(pid) then
      self.pid, self.number, self.epoch, self.since = pid, t.number, t.epoch, lurn.sys.clock()
      return blows.signal("STOP", {pid})
    end
  end
end

-- It may have said the result while it was chosen, or been frozen within a transaction of SQLite, which then nobody
-- can write to: it is woken, and the next one is frozen.
function Sleeper:look (trials)
  if not self.pid then return self:begin(trials) end
  local t = trials[self.number + 1]
  local over = t.state ~= "RUNNING" and t.state ~= "WAITING"
  local patient = lurn.sys.clock() - self.since < PATIENCE
  if self.woken or patient and not over and blows.alive(self.pid) then return end
  blows.signal("CONT", {self.pid})
  self.woken = over and t.epoch > self.epoch and blows.alive(self.pid)
  if not self.woken then self.pid = nil end
end

-- Whether what it said too late is in the store.
function Sleeper:is_fenced (trials)
  local a = self.woken and trials[self.number + 1].attempts[self.epoch]
  return a and a.orphans ~= nil
end

---------------------------------------------------------------- the storm

local function pick (list) return list[math.random(math.max(1, #list))] end

-- One blow: a trial's process, an agent, or everything. A trial that has crashed twice is left alone: the third time
-- would be its end, as it should.
local function strike (agents, counts, kind, frozen)
  local dice, pids = math.random(), {}
  for k = 1, #agents do if agents[k] ~= frozen then pids[#pids + 1] = agents[k] end end
  if dice < 0.1 then
    blows.signal("9", agents)
    counts.all = counts.all + 1
    if kind == "postgresql" then blows.kill_server(stores) end
  elseif dice < 0.5 then
    blows.signal("9", {pick(pids)})
    counts.agents = counts.agents + 1
  else
    local child = pids[1] and pick(children_of(pick(pids)))
    blows.signal("9", {child})
    counts.trials = counts.trials + (child and 1 or 0)
  end
end

local function crashed_twice (trials)
  for _, t in ipairs(trials) do
    local crashes = 0
    for _, a in ipairs(t.attempts) do crashes = crashes + (a.reason == "CRASHED" and 1 or 0) end
    if crashes > 1 and t.state ~= "COMPLETE" then return true end
  end
end

local function finished (trials, o)
  if #trials < o.trials then return false end
  for _, t in ipairs(trials) do
    if t.state == "WAITING" or t.state == "RUNNING" or t.state == "PAUSED" then return false end
  end
  return true
end

local function wait_for_study (store, limit)
  while lurn.sys.clock() < limit do
    local study = store:study "storm"
    if study and study:get "folder" then return study end
    lurn.sys.sleep(0.1)
  end
  fail "the study does not begin"
end

-- Plays until all trials are done and all who slept have been woken and heard.
local function rage (kind, url, store, o)
  local began = lurn.sys.clock()
  local agents, counts, slept = {spawn(url, 1, o)}, {agents = 0, trials = 0, all = 0}, {}
  local study = wait_for_study(store, began + o.limit)
  local sleeper, goal, each = nil, o.trials // 20, math.max(1, o.trials // 20)
  while true do
    local trials = study:sync() or study.last or {}
    study.last = trials
    local over, done = finished(trials, o), study:counts()
    done = done and done.COMPLETE or 0
    if sleeper then sleeper:look(trials) end
    -- The last sleeper is woken before everything is over, or there is nobody left to be frozen.
    if sleeper and (sleeper:is_fenced(trials) or sleeper.woken and not blows.alive(sleeper.pid)) then
      if sleeper:is_fenced(trials) then slept[#slept + 1] = sleeper end
      sleeper = nil
    end
    if over and sleeper and not sleeper.pid then sleeper = nil end      -- nothing runs that it could lose
    if not sleeper and #slept < o.freezes and not over and done > each then
      sleeper = setmetatable({agents = agents}, Sleeper)
    end
    local playing = false
    for k = 1, o.agents do
      local alive = agents[k] and blows.alive(agents[k])
      if not alive and not over then agents[k] = spawn(url, k, o) end
      playing = playing or alive
    end
    if over and not sleeper and not playing then return study, counts, slept, lurn.sys.clock() - began end
    if lurn.sys.clock() - began > o.limit then
      blows.signal("9", agents)
      fail("%s: not done after %d s", kind, o.limit)
    end
    lurn.sys.sleep(0.02 + 0.1 * math.random())
    if done >= goal and not over and not crashed_twice(trials) then
      strike(agents, counts, kind, sleeper and sleeper.pid)
      goal = done + math.random(each)
    end
  end
end

---------------------------------------------------------------- the reckoning

local function reckon (kind, url, study, o, slept)
  local trials, late = assert(study:sync()), 0
  if #trials ~= o.trials then fail("%s: %d trials of %d", kind, #trials, o.trials) end
  for _, t in ipairs(trials) do
    local counted = 0
    for _, a in ipairs(t.attempts) do
      counted, late = counted + (a.reason == "COMPLETE" and 1 or 0), late + #(a.orphans or {})
    end
    if t.state ~= "COMPLETE" or counted ~= 1 then
      fail("%s: trial %d is %s %s with %d results: %s", kind, t.number, t.state, t.reason, counted, t.attrs.error)
    end
    if math.abs(t.value - value_of(t)) > 1e-12 then fail("%s: trial %d has the value %g", kind, t.number, t.value) end
  end
  for _, s in ipairs(slept) do
    if not s:is_fenced(trials) then fail("%s: trial %d was not fenced", kind, s.number) end
  end
  local pipe = io.popen(("cd %s && %s study check storm --store '%s' 2>&1"):format(folder, bin, url))
  local text = pipe:read "a"
  if not pipe:close() then fail("%s: %s", kind, text) end
  return late
end

local function storm (kind, url, o)
  stores.clear(kind)
  os.execute(("rm -rf %s/sweeps %s/store"):format(folder, folder))
  local store = assert(lurn.store.open(url, {patience = 1}))
  local study, counts, slept, seconds = rage(kind, url, store, o)
  local late = reckon(kind, url, study, o, slept)
  store:close()
  print(("%-10s %d trials, %d agents of %d slots, %.0f s: kill -9 of %d agents, %d trials, %d times everything%s; "
    .. "%d agents frozen past their leases and fenced; 0 lost, 0 counted twice, %d late results kept as orphans, "
    .. "checks clean"):format(kind, o.trials, o.agents, o.slots, seconds, counts.agents, counts.trials, counts.all,
    kind == "postgresql" and " and the server" or "", #slept, late))
  io.stdout:flush()
end

local function main (words)
  local o = tool.parse("sweep_storm", words, {store = "sqlite,dir,postgresql", trials = 300, agents = 3, slots = 3,
    freezes = 2, seed = 1, limit = 900})
  bin = os.getenv "LURN_BIN" or "build/bin/lurn"
  if not bin:find "^/" then bin = os.getenv "PWD" .. "/" .. bin end
  stores = require "store_helper"
  folder = stores.folder
  local file = assert(io.open(folder .. "/storm.lua", "w"))
  file:write(SCRIPT)
  file:close()
  math.randomseed(o.seed)
  tool.each_store(stores, o.store, function (kind, url) storm(kind, url, o) end)
end

tool.run(main)
