-- The store of trials: what a worker is given, and what becomes of what it gives back.

local lurn = require "lurn"

local stores = require "store_helper"

local SPEC = {trials = 4, seeds = 1, retries = {crashed = 2}, space = {
  {name = "lr", kind = "float", low = 1e-5, high = 1.0, log = true},
  {name = "hidden", kind = "int", low = 1, high = 512}, {name = "cell", kind = "choice", choice = {"rnn", "lstm"}}}}

local function propose (number)
  return {params = {lr = 0.5 / (number + 1), hidden = number + 1, cell = "lstm"}, note = {seen = "0-" .. number}}
end

describe("an address", function ()
  local function parse (url) return {lurn.store.parse(url)} end

  it("says kind and place", function ()
    assert.same({"sqlite", "sweep.db"}, parse "sweep.db")
    assert.same({"sqlite", "/tmp/a b.db"}, parse "/tmp/a b.db")
    assert.same({"sqlite", "sweep.db"}, parse "sqlite:///sweep.db")
    assert.same({"sqlite", "/tmp/sweep.db"}, parse "sqlite:////tmp/sweep.db")
    assert.same({"dir", "/shared/study"}, parse "dir:/shared/study")
    assert.same({"postgresql", "postgresql://me@host/db"}, parse "postgresql+psycopg2://me@host/db")
    assert.same({"postgresql", "postgresql://me@host/db"}, parse "postgres://me@host/db")
    assert.same({"memory", ""}, parse "memory:")
  end)

  it("that is none is told so", function ()
    assert.matches("unknown kind of store 'postgressql', did you mean 'postgresql'", parse "postgressql://h"[2])
    assert.matches("A path is missing", parse "dir:"[2])
    assert.matches("empty", parse ""[2])
  end)
end)

stores.with_server()
teardown(stores.close)

for kind, url in pairs(stores.urls) do
describe("a study in " .. kind, function ()
  local now, store, study
  before_each(function ()
    now = 1000.0
    stores.clear(kind)
    store = assert(lurn.store.open(url, {clock = function () return now end}))
    study = assert(store:create {name = "s", spec = SPEC})
  end)
  after_each(function () store:close() end)

  local function claim (worker, lease) return study:claim {worker = worker, lease = lease or 10, propose = propose} end

  it("is there once", function ()
    local none, message, code = store:create {name = "s", spec = SPEC}
    assert.same({nil, "there is a study 's' already", "EEXIST"}, {none, message, code})
    assert.equal("ENOENT", select(3, store:study "t"))
    assert.same(SPEC, store:study "s":spec())
    study:set("k", {1, "a"})
    assert.same({1, "a"}, store:study "s":get "k")
  end)

  it("has from the start the values it was made with", function ()
    assert(store:create {name = "t", spec = SPEC, keys = {trials = 7, folder = "a b"}})
    local t = store:study "t"
    assert.same({7, "a b"}, {t:get "trials", t:get "folder"})
    assert.is_true(t:set("trials", 9))
    assert.is_true(t:set("folder", nil))
    assert.same({9}, {store:study "t":get "trials", store:study "t":get "folder"})
    assert.equal(9, t:gather().keys.trials)
  end)

  it("gives numbers in turn up to the total, and says when all is done", function ()
    for number = 0, 3 do
      local t = claim("w" .. number)
      assert.same({number, number, 1, 1, "RUNNING", 1000.0}, {t.number, t.config, t.seed, t.epoch, t.state, t.started})
      assert.equal(number + 1, t.params.hidden)
    end
    assert.same({nil, "nothing"}, {claim "w9"})
    for number, t in ipairs(study:sync()) do
      assert.same({true, "COMPLETE"}, {study:finish(t, {state = "COMPLETE", value = number})})
    end
    assert.same({nil, "done"}, {claim "w9"})
    assert.equal(4, study:counts().COMPLETE)
    assert.same({number = 0, value = 1.0, params = propose(0).params}, store:studies()[1].best)
    assert.same({}, study:check())
  end)

  it("gives a worker its own trial back, under a new epoch", function ()
    local first = claim "a"
    claim "b"
    local again = claim "a"
    assert.same({0, 2, "LOST"}, {again.number, again.epoch, again.attempts[1].reason})
    assert.same({nil, "lost"}, {study:report(first, {{1, 0.5}})})
    assert.same({nil, "lost"}, {study:renew(first, 10)})
    assert.is_true(study:report(again, {{2, 0.25}, {1, 0.5}}))
    assert.same({{1, 0.5}, {2, 0.25}}, study:sync()[1].reports)
    assert.is_true(study:report(again, {{3, 1}, {3, 2}}, {loss = {{1, 4}, {2, 3}, {1, 5}}}))
    assert.same({3, 2.0}, study:sync()[1].reports[3])
    assert.same({loss = {{1, 5.0}, {2, 3.0}}}, study:metrics(0))
  end)

  it("gives away a trial whose lease ran out; what comes late is an orphan, and counts nowhere", function ()
    local late = claim "a"
    now = 1010.0
    assert.equal(1, claim "b".number)      -- the lease lasts up to and with its last instant
    now = 1010.5
    local mine = claim "c"
    assert.same({0, 2, "c"}, {mine.number, mine.epoch, mine.worker})
    local result = {state = "COMPLETE", value = 1}
    assert.same({nil, "lost"}, {study:finish(late, result)})
    assert.same({nil, "lost"}, {study:finish(late, result)})
    assert.is_true(study:finish(mine, {state = "COMPLETE", value = 2}))
    assert.is_true(study:finish(mine, {state = "COMPLETE", value = 2}))
    local t = study:sync()[1]
    assert.same({2.0, "COMPLETE", 1, 1.0}, {t.value, t.state, #t.attempts[1].orphans, t.attempts[1].orphans[1].value})
    assert.same({}, study:check())
  end)

  it("forgives crashes so often, preemption always, a limit never", function ()
    for _ = 1, 5 do assert.is_true(study:release(claim "a")) end
    assert.same({true, "WAITING"}, {study:finish(claim "a", {state = "FAIL", reason = "CRASHED"})})
    assert.same({true, "WAITING"}, {study:finish(claim "b", {state = "FAIL", reason = "CRASHED"})})
    assert.same({true, "FAIL"}, {study:finish(claim "c", {state = "FAIL", reason = "CRASHED"})})
    local t = claim "a"
    assert.equal(1, t.number)
    assert.same({true, "FAIL"}, {study:finish(t, {state = "FAIL", reason = "TIMEOUT"})})
    t = claim "a"
    assert.same({true, "FAIL"}, {study:finish(t, {state = "COMPLETE", value = 0 / 0})})
    assert.same({"FAIL", "DIVERGED"}, {study:sync()[3].state, study:sync()[3].reason})
  end)

  it("plays what was enqueued first, what was put back before that, its own before all", function ()
    local params = {lr = 0.1, hidden = 3, cell = "rnn"}
    study:enqueue {{params = params}, {params = params, seed = 2}}
    local a, b = claim "a", claim "b"
    assert.same({0, 1, 2}, {a.number, b.number, b.seed})
    local c, d = claim "c", claim "d"
    assert.same({2, 3}, {c.number, d.number})
    study:release(d)
    study:release(b)
    study:release(c)
    assert.equal(3, claim "d".number)
    assert.equal(1, claim "e".number)
  end)

  it("that was deleted is told so, and another one of its name gets nothing of what was meant for it", function ()
    local mine = claim "a"
    assert(store:delete "s")
    local other = assert(store:create {name = "s", spec = SPEC})
    local theirs = other:claim {worker = "b", lease = 10, propose = propose}
    assert.same({0, 1, 0, 1}, {mine.number, mine.epoch, theirs.number, theirs.epoch})
    if kind == "dir" or kind == "memory" then      -- the handle is of the name there
      assert.same({nil, "lost"}, {other:report(mine, {{1, 0.5}})})
      assert.same({nil, "lost"}, {other:finish(mine, {state = "COMPLETE", value = 1})})
    else
      assert.same({nil, "lost"}, {study:report(mine, {{1, 0.5}})})
      assert.same({nil, "lost"}, {study:renew(mine, 10)})
      assert.same({nil, "lost"}, {study:finish(mine, {state = "COMPLETE", value = 1})})
      for _, told in ipairs {{claim "a"}, {study:set("k", 1)}, {study:enqueue {{params = propose(0).params}}}} do
        assert.same({nil, "the study 's' was deleted", "ENOENT"}, told)
      end
    end
    local t = other:sync()[1]
    assert.same({"RUNNING", "b", 1, 0}, {t.state, t.worker, #t.attempts, #t.reports})
    assert.is_nil(t.attempts[1].orphans)
    assert.is_true(other:finish(theirs, {state = "COMPLETE", value = 2}))
    assert.same({}, other:check())
  end)

  it("pauses and promotes", function ()
    local t = claim "a"
    study:report(t, {{1, 0.5}})
    assert.is_true(study:pause(t, {run = "trial-0.h5"}))
    assert.equal(1, claim "b".number)
    assert.same({nil, "not paused"}, {study:promote(1)})
    assert.is_true(study:promote(0))
    t = claim "c"
    assert.same({0, 2, "trial-0.h5", "PAUSED"}, {t.number, t.epoch, t.run, t.attempts[1].reason})
    assert.same({{1, 0.5}}, t.reports)
  end)

  it("asks for new numbers within its own transaction, and may be told that there are none now", function ()
    assert.same({nil, "done"}, {study:claim {worker = "a", propose = function () end}})
    assert.same({nil, "nothing"}, {study:claim {worker = "a"}})
    assert.has_error(function () study:claim {worker = "a", propose = function () return {parms = {}} end} end)
    assert.equal(0, claim "a".number)
  end)

  it("is copied whole", function ()
    local t = claim "a"
    study:report(t, {{1, 0.5}}, {loss = {{1, 2.0}}})
    study:finish(t, {state = "PRUNED", value = 0.5, attrs = {why = "slow"}})
    claim "b"
    study:set("k", 1)
    local copy = assert(study:export("memory:", "copy"))
    assert.same(study:sync(), copy:sync())
    assert.same({loss = {{1, 2.0}}}, copy:metrics(0))
    assert.equal(1, copy:get "k")
  end)

  it("refuses what makes no sense", function ()
    assert.has_error(function () study:finish({}, {state = "COMPLETE", value = 1}) end)
    assert.has_error(function () study:finish(claim "a", {state = "COMPLETE"}) end,
      "study:finish: COMPLETE needs a value")
    assert.has_error(function () study:report(claim "a", {{1.5, 2}}) end)
    assert.has_error(function () study:claim {wroker = "a"} end)
  end)

  it("says so at the line where it was said", function ()
    local trial, bad = claim "a", {f = print}
    for _, say in ipairs {
      function () store:create {name = "t", spec = bad} end, function () store:create {name = "", spec = {}} end,
      function () study:set("k", print) end,
      function () study:enqueue {{parms = {}}} end, function () study:enqueue {{params = bad}} end,
      function () study:claim {} end, function () study:renew {} end,
      function () study:report {} end, function () study:report(trial, {3}) end,
      function () study:report(trial, {}, {loss = {3}}) end,
      function () study:finish({}, {state = "PRUNED"}) end, function () study:finish(trial, {state = "OVER"}) end,
      function () study:finish(trial, {state = "PRUNED", attrs = bad}) end,
      function () study:turn(trial, {state = "COMPLETE"}, {worker = "a"}) end,
      function () study:turn(trial, {state = "PRUNED"}, {}) end,
      function () study:pause {} end, function () study:pause(trial, {attr = {}}) end,
      function () study:release(trial, nil, {attrs = bad}) end} do
      local line = ("store_spec.lua:%d: "):format(debug.getinfo(say, "S").linedefined)
      local _, message = pcall(say)
      assert.is_truthy(message:find(line, 1, true), message)
    end
  end)
end)
end

-- Between what a claim sees and what it does, others are at work.
describe("a shared folder", function ()
  local sys = lurn.sys
  local exists, link, clock, sleep = sys.exists, sys.claim, sys.clock, sys.sleep
  after_each(function () sys.exists, sys.claim, sys.clock, sys.sleep = exists, link, clock, sleep end)

  -- So many handles of a study, each with a log of its own.
  local function handles (count, spec)
    stores.clear "dir"
    local list = {assert(lurn.store.open(stores.urls.dir)):create {name = "s", spec = spec or SPEC}}
    for k = 2, count do list[k] = assert(lurn.store.open(stores.urls.dir)):study "s" end
    return table.unpack(list)
  end

  -- A log that is not to be seen: removed, or new and not yet in the listing that a network file system has kept.
  local function hide (study)
    local path = study.kept.own.path
    local hidden = path:gsub("[^/]*$", ".%0")
    assert(os.rename(path, hidden))
    return function () assert(os.rename(hidden, path)) end
  end

  it("gives nobody a trial that was taken away before the claim was through", function ()
    local now = 1000.0
    stores.clear "dir"
    local function open () return assert(lurn.store.open(stores.urls.dir, {clock = function () return now end})) end
    assert(open():create {name = "s", spec = SPEC})
    local a, b = open():study "s", open():study "s"
    local function claim (study, worker) return study:claim {worker = worker, lease = 10, propose = propose} end
    local theirs
    function sys.exists (path)      -- a has looked; now number 0 goes to b
      sys.exists = exists
      assert.equal(0, claim(b, "b").number)
      return exists(path)
    end
    function sys.claim (path, name)      -- a has number 1, and sleeps until its lease is over
      if not name:find "/1%.1$" then return link(path, name) end
      sys.claim = link
      local done = link(path, name)
      now = now + 100
      assert.equal(0, claim(b, "b").number)
      theirs = claim(b, "c")
      assert.same({1, 2}, {theirs.number, theirs.epoch})
      assert.is_true(b:finish(theirs, {state = "COMPLETE", value = 1}))
      return done
    end
    local mine = claim(a, "a")
    assert.same({2, 1, "a", "RUNNING"}, {mine.number, mine.epoch, mine.worker, mine.state})
    assert.equal("c", theirs.worker)
    assert.same({}, a:check())
  end)

  it("plays what has waited for a log that is read later one after the other, not one within the other", function ()
    local first, others, reader = handles(3, {trials = 40, space = SPEC.space})
    assert(first:claim {worker = "w0", propose = propose})
    for k = 1, 39 do assert(others:claim {worker = "w" .. k, propose = propose}) end
    local show = hide(first)
    assert.equal(0, #reader:sync())
    show()
    local depths, state = {}, reader.kept.state
    function state.create (self, e)
      local depth = 1
      while debug.getinfo(depth, "l") do depth = depth + 1 end
      depths[#depths + 1] = depth
      return getmetatable(state).create(self, e)
    end
    assert.equal(40, #reader:sync())
    for k = 2, 40 do assert.equal(depths[2], depths[k]) end
  end)

  it("says so when what somebody has made is not to be seen", function ()
    local a, b, c = handles(3)
    local passed, turns = 0, 0      -- seconds go by where somebody sleeps
    function sys.clock () return clock() + passed end
    function sys.sleep (seconds)
      passed, turns = passed + 100 * seconds, turns + 1
      assert(turns < 10000, "without end")
    end
    local function check_unseen (f)
      local show = hide(b)
      local done, message, code = f()
      assert.same({nil, "EIO"}, {done, code})
      assert.matches("what other processes wrote is not to be seen", message)
      show()
    end
    local function claim (study, worker) return study:claim {worker = worker, lease = 60, propose = propose} end
    assert.is_true(b:set("k", 1))
    check_unseen(function () return a:set("k", 2) end)
    assert.is_true(a:set("k", 2))
    assert.is_true(a:pause(claim(a, "a")))
    c:sync()
    assert.is_true(b:promote(0))
    check_unseen(function () return c:promote(0) end)
    assert.same({nil, "not paused"}, {c:promote(0)})
    local mine = claim(b, "b")
    check_unseen(function () return claim(c, "c") end)
    assert.equal(1, claim(c, "c").number)
    assert.is_true(b:finish(mine, {state = "PRUNED"}))
    assert.same({}, a:check())
  end)
end)

-- What is appended to the log of writes is gathered. Commits larger than SQLite's cache are written in part before
-- their end, and then changed where they stand.
describe("a commit to a file of SQLite", function ()
  local function copy (name)
    for _, suffix in ipairs {"", "-wal"} do
      assert(os.execute(("cp %s%s %s/%s%s"):format(stores.urls.sqlite, suffix, stores.folder, name, suffix)))
    end
    local store = assert(lurn.store.open(stores.folder .. "/" .. name))
    return assert(store:study "s"), store
  end

  it("is whole in the file when it returns, however large, and nothing is when it fails", function ()
    stores.clear "sqlite"
    local store = assert(lurn.store.open(stores.urls.sqlite))
    local study = assert(store:create {name = "s", spec = SPEC})
    local list = {}
    for number = 0, 2999 do
      list[number + 1] = {number = number, config = number, seed = 1, params = propose(number).params, attrs = {},
        state = "PRUNED", epoch = 1, worker = "w", started = 1, ended = 2, reports = {}, attempts = {{epoch = 1,
          worker = "w", started = 1, ended = 2, reason = "PRUNED", id = "finish/w/1"}}}
    end
    assert(study.kept:put(list))
    local function change (run)
      for _ = 1, 3 do
        run "UPDATE lurn_trial SET crashes = crashes + 1"
        run "UPDATE trial_params SET param_value = param_value / 2 WHERE param_name = 'hidden'"
      end
      return true
    end
    local function sum (s)
      return s.kept.link:look(function (run) return run "SELECT sum(crashes) FROM lurn_trial"[1][1] end)
    end
    local first, one = copy "first"
    assert(study.kept.link:write(change))
    local second, two = copy "second"
    assert.has_error(function ()
      study.kept.link:write(function (run)
        change(run)
        error("enough", 0)
      end)
    end, "enough")
    assert(study:set("k", 1))
    local third, three = copy "third"
    for k, s in ipairs {first, second, third} do
      assert.equal(k == 1 and 0 or 9000, sum(s))
      assert.same({}, s.kept.link.dialect.problems(s.kept.link.run))
    end
    assert.equal(1, third:get "k")
    for _, s in ipairs {one, two, three, store} do s:close() end
  end)
end)

-- Whoever asks what a file system is, is told "nfs": 0x6969 (statfs(2)).
local SHIM = [[
#include <sys/vfs.h>
int statfs (const char *path, struct statfs *fs) { (void)path; *fs = (struct statfs){.f_type = 0x6969}; return 0; }
]]

describe("a file on a network file system", function ()
  it("is refused, and what to use is said", function ()
    local shim = stores.folder .. "/shim"
    assert(lurn.sys.append(shim .. ".c", SHIM))
    if not os.execute(("cc -shared -fPIC -o %s.so %s.c 2>/dev/null"):format(shim, shim)) then return pending "no cc" end
    if os.getenv "LURN_CHECK" then return end      -- a sanitizer wants to be the first library
    local code = ('print(select(2, require "lurn".store.open "%s/there.db"))'):format(stores.folder)
    local pipe = io.popen(("LD_PRELOAD=%s.so lua5.4 -e '%s' 2>&1"):format(shim, code))
    assert.matches("there.db: lies on a network file system %(nfs%), .*dir:/shared/folder", pipe:read "a")
    pipe:close()
  end)
end)

if stores.why then pending("a study in postgresql: " .. stores.why)
else
describe("a server", function ()
  local function opened (url, patience)
    local began = lurn.sys.clock()
    local store, message, code = lurn.store.open(url, {patience = patience})
    return store, message, code, lurn.sys.clock() - began
  end

  it("that is silent is waited for as long as patience says", function ()
    local pid = stores.postmaster()
    finally(function () os.execute("kill -CONT " .. pid) end)
    os.execute("kill -STOP " .. pid)
    local store, message, code, seconds = opened(stores.urls.postgresql, 1)
    assert.same({nil, "postgresql: the server has not answered for 1 s", "ECONN"}, {store, message, code})
    assert.is_true(seconds >= 1 and seconds < 4, seconds)
  end)

  it("that refuses is asked once", function ()
    local url = stores.urls.postgresql:gsub("/trials", "/nowhere")
    local store, message, code, seconds = opened(url, 30)
    assert.same({nil, "EIO"}, {store, code})
    assert.matches("database \"nowhere\" does not exist", message)
    assert.is_true(seconds < 10)
  end)
end)
end
