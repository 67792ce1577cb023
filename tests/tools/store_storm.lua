-- store_storm.lua: the store of trials under fire. Worker processes claim tiny trials and finish them; they are
-- killed with kill -9 at random instants, one by one and all at once (with the database server, where there is one),
-- started again under their old names, and frozen past their leases and woken. What a worker was told is finished it
-- writes down in a file of its own. In the end every result that was acknowledged must be in the store, as it was,
-- once; every trial done; every frozen worker's result kept as an orphan; and the store's own checks clean.
--
--   lua5.4 tests/tools/store_storm.lua [--store sqlite,dir,postgresql] [--trials 1000] [--workers 16] [--seed 1]
--
-- `make store-storm`, part of .ci/run. From the environment: LUA_PATH and LUA_CPATH that find the module; STORES, a
-- folder for the stores (a temporary one). Exit code 1 when something was lost or counted twice.

package.path = "tests/spec/?.lua;tests/tools/?.lua;" .. package.path
local lurn = require "lurn"
local blows, tool = require "blows", require "tool"
local signal, alive = blows.signal, blows.alive

local LEASE = 1.5      -- seconds: short, so that frozen workers lose theirs soon
local FREEZES = 3

local function value_of (trial) return trial.number + trial.epoch / 1024 end

---------------------------------------------------------------- a worker

-- Every other worker asks for its next trial together with a result, and waits for the disk after that.
local function is_ahead (name) return tonumber(name:match "%d+$") % 2 == 0 end

-- Lines on disk before anything goes on: "done NUMBER EPOCH", "lost ...", "frozen ...".
local function work (url, name, notes, leader, freeze)
  local store = assert(lurn.store.open(url))
  local study = assert(store:study "storm")
  local function write (word, t)
    assert(lurn.sys.append(notes, ("%s %d %d\n"):format(word, t.number, t.epoch)))
  end
  local function propose (number) return {params = {x = number % 1000 / 1000}} end
  local options = {worker = name, lease = LEASE, pid = lurn.sys.pid(), propose = propose}
  local next_one
  local function finish (t)
    if not is_ahead(name) or freeze then return study:finish(t, {state = "COMPLETE", value = value_of(t)}) end
    local both = study:turn(t, {state = "COMPLETE", value = value_of(t), when = "later"}, options)
    next_one = both and both.trial
    return both and store:settle() and both.done, both and both.state
  end
  while lurn.sys.exists("/proc/" .. leader) do
    local t, why, code = next_one, nil, nil
    next_one = nil
    if not t then t, why, code = study:claim(options) end
    if t then
      if t.number % 10 == 0 then study:report(t, {{1, t.number / 2}, {2, t.number / 4}}) end
      if freeze then
        write("frozen", t)
        os.execute("kill -STOP " .. lurn.sys.pid())
      end
      local done, what = finish(t)
      if done or what == "lost" then write(done and "done" or "lost", t) end
      if freeze then return end
    elseif why == "done" then return
    elseif why == "nothing" or code then lurn.sys.sleep(0.05) end
  end
end

---------------------------------------------------------------- the storm

local stores, folder

local function fail (...) error("store_storm: " .. string.format(...), 0) end

local function spawn (url, name, freeze)
  local command = ("%s %s --work '%s' %s %s/%s.notes %d %s"):format(os.getenv "LUA" or "lua5.4",
    "tests/tools/store_storm.lua", url, name, folder, name, lurn.sys.pid(), freeze and "freeze" or "")
  local pipe = io.popen(("%s >>%s/err 2>&1 </dev/null & echo $!"):format(command, folder))
  local pid = pipe:read "n"
  pipe:close()
  return pid
end

local function notes_of (name)
  local list, f = {}, io.open(("%s/%s.notes"):format(folder, name))
  for line in f and f:lines() or function () end do
    local word, number, epoch = line:match "^(%a+) (%d+) (%d+)$"
    if word then list[#list + 1] = {word = word, number = tonumber(number), epoch = tonumber(epoch)} end
  end
  if f then f:close() end
  return list
end

-- Frozen in the middle of a trial until another has done it, then woken.
local Sleeper = {}
Sleeper.__index = Sleeper

function Sleeper:look (study, url)
  if not self.pid then self.pid = spawn(url, self.name, true) end
  local _, state = alive(self.pid)
  if state ~= "T" then return end
  self.asleep = true
  local note = notes_of(self.name)[1]
  local t = study:sync()[note.number + 1]
  if t and t.state == "COMPLETE" then
    signal("CONT", {self.pid})
    self.woken = note
  end
end

-- One blow: a worker, or all of them at once, and the server with them.
local function strike (workers, counts, kind)
  local all, pids = math.random() < 0.1, {}
  for k = 1, counts.workers do
    if all or math.random() < 1 / counts.workers then pids[#pids + 1] = workers["w" .. k] end
  end
  signal("9", pids)
  counts.kills = counts.kills + #pids
  if all then counts.all = counts.all + 1 end
  if all and kind == "postgresql" then
    blows.kill_server(stores)
    counts.server = counts.server + 1
  end
end

-- Plays until every trial is done: kills, restarts, sleepers.
local function rage (kind, url, study, o)
  local workers, sleepers = {}, {}
  local counts = {workers = o.workers, kills = 0, all = 0, server = 0}
  local started = lurn.sys.clock()
  for k = 1, FREEZES do sleepers[k] = setmetatable({name = "sleeper" .. k}, Sleeper) end
  -- A blow for every so many results, so that a busy machine gets on, too: a worker takes a while to start.
  local each, goal, last = math.max(1, o.trials // 75), 0, started
  while true do
    local c, asleep = study:counts(), true
    local over = c and c.COMPLETE == o.trials
    for _, s in ipairs(sleepers) do
      s:look(study, url)
      asleep = asleep and s.asleep
      over = over and s.woken and not alive(s.pid)
    end
    if over then return counts, sleepers, lurn.sys.clock() - started end
    if lurn.sys.clock() - started > o.limit then fail("%s: not done after %d s", kind, o.limit) end
    -- Not before all sleepers have a trial: on a quick machine nothing would be left for them.
    for k = 1, asleep and o.workers or 0 do
      local name = "w" .. k
      if not workers[name] or not alive(workers[name]) then workers[name] = spawn(url, name) end
    end
    lurn.sys.sleep(0.01 + 0.1 * math.random())
    if c and c.COMPLETE >= goal or lurn.sys.clock() - last > 300 then
      strike(workers, counts, kind)
      last, goal = lurn.sys.clock(), (c and c.COMPLETE or 0) + math.random(each)
    end
  end
end

---------------------------------------------------------------- the reckoning

local function reckon (kind, study, o, sleepers)
  local trials = assert(study:sync())
  if #trials ~= o.trials then fail("%s: %d trials of %d", kind, #trials, o.trials) end
  local acknowledged, late = {}, 0
  for k = 1, o.workers + FREEZES do
    for _, n in ipairs(notes_of(k <= o.workers and "w" .. k or "sleeper" .. k - o.workers)) do
      local t = trials[n.number + 1]
      if n.word == "done" then
        if acknowledged[n.number] then fail("%s: trial %d was acknowledged twice", kind, n.number) end
        acknowledged[n.number] = true
        if t.state ~= "COMPLETE" or t.value ~= value_of(n) then
          fail("%s: trial %d, epoch %d was acknowledged and is lost", kind, n.number, n.epoch)
        end
      elseif n.word == "lost" then
        late = late + 1
        local orphans = t.attempts[n.epoch].orphans
        if not orphans or #orphans ~= 1 or orphans[1].value ~= value_of(n) then
          fail("%s: the late result of trial %d, epoch %d is no orphan", kind, n.number, n.epoch)
        end
      end
    end
  end
  for _, t in ipairs(trials) do
    local counted = 0
    for _, a in ipairs(t.attempts) do counted = counted + (a.reason == "COMPLETE" and 1 or 0) end
    if t.state ~= "COMPLETE" or counted ~= 1 then fail("%s: trial %d has %d results", kind, t.number, counted) end
  end
  for _, s in ipairs(sleepers) do
    local n = s.woken
    if not trials[n.number + 1].attempts[n.epoch].orphans then fail("%s: %s was not fenced", kind, s.name) end
  end
  local problems = assert(study:check())
  if #problems > 0 then fail("%s: %s", kind, table.concat(problems, "\n")) end
  local n = 0
  for _ in pairs(acknowledged) do n = n + 1 end
  return n, late
end

local function storm (kind, url, o)
  stores.clear(kind)
  os.execute(("rm -f %s/*.notes"):format(folder))
  local store = assert(lurn.store.open(url))
  local space = {{name = "x", kind = "float", low = 0.0, high = 1.0}}
  local study = assert(store:create {name = "storm", spec = {trials = o.trials, space = space}})
  local counts, sleepers, seconds = rage(kind, url, study, o)
  local acknowledged, late = reckon(kind, study, o, sleepers)
  store:close()
  print(("%-10s %d trials, %d workers, %.0f s: %d kill -9, %d times everything%s, %d workers frozen past their lease; "
    .. "%d results acknowledged, 0 lost, 0 counted twice, %d late ones kept as orphans, checks clean"):format(kind,
    o.trials, o.workers, seconds, counts.kills, counts.all, counts.server > 0 and " (and the server)" or "", #sleepers,
    acknowledged, late))
  io.stdout:flush()
end

local function main (words)
  if words[1] == "--work" then return work(table.unpack(words, 2)) end
  local o = tool.parse("store_storm", words, {store = "sqlite,dir,postgresql", trials = 1000, workers = 16, seed = 1,
    limit = 1800})
  stores = require "store_helper"
  folder = stores.folder
  math.randomseed(o.seed)
  tool.each_store(stores, o.store, function (kind, url) storm(kind, url, o) end)
end

tool.run(main)
