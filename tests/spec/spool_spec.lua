-- A store that is away for a while: results wait on the local disk, and are there in order when it is back.

local lurn = require "lurn"
local stores = require "store_helper"

local SPEC = {trials = 6, space = {{name = "x", kind = "float", low = 0.0, high = 1.0}}}
local function propose () return {params = {x = 0.5}} end

describe("a store that is away", function ()
  teardown(stores.close)
  local spool = stores.folder .. "/spool"

  local function names () return lurn.sys.list(spool) end

  -- away() and back() of a kind; both are real.
  local function check (url, away, back)
    local options = {spool = spool, patience = 0.2}
    local store = assert(lurn.store.open(url, options))
    local study = assert(store:create {name = "s", spec = SPEC})
    local function claim (worker) return study:claim {worker = worker, lease = 60, propose = propose} end
    local first, second, third = claim "a", claim "b", claim "c"
    assert.is_true(study:finish(first, {state = "COMPLETE", value = 1}))
    away()
    assert.same({true, "spooled"}, {study:report(second, {{1, 0.5}})})
    assert.same({true, "spooled"}, {study:report(second, {{2, 0.25}})})
    assert.same({true, "spooled"}, {study:finish(second, {state = "COMPLETE", value = 2})})
    local t, message, code = claim "d"
    assert.is_nil(t)
    assert.is_string(message)
    assert.is_string(code)
    assert.is_true(store:waits())
    -- This process ends, and another one takes over what it left.
    store:close()
    study, store = nil, nil      -- luacheck: ignore
    collectgarbage()
    collectgarbage()
    back()
    store = assert(lurn.store.open(url, options))
    study = assert(store:study "s")
    assert.is_false(store:waits())
    assert.same({}, names())
    local trials = study:sync()
    assert.same({"COMPLETE", 2.0, {{1, 0.5}, {2, 0.25}}}, {trials[2].state, trials[2].value, trials[2].reports})
    -- Away and back in one life: the next word takes along what waits.
    away()
    local r = study:turn(third, {state = "PRUNED", value = 3}, {worker = "c", propose = propose})
    assert.same({true, "spooled"}, {r.done, r.state})
    assert.is_nil(r.trial)
    back()
    if url ~= stores.urls.dir then lurn.sys.sleep(2.1) end      -- it is asked now and then only
    assert.equal(3, claim "d".number)
    assert.is_false(store:waits())
    assert.equal("PRUNED", study:sync()[3].state)
    assert.same({}, study:check())
    store:close()
  end

  it("costs no result: a folder that is gone", function ()
    local path = stores.urls.dir:sub(5)
    check(stores.urls.dir, function () assert(os.rename(path, path .. ".gone")) end,
      function () assert(os.rename(path .. ".gone", path)) end)
  end)

  it("costs no result: a file of SQLite that another process keeps to itself", function ()
    local other
    check(stores.urls.sqlite, function ()
      other = assert(lurn.core.db.open("sqlite", stores.urls.sqlite))
      assert(other:run "BEGIN IMMEDIATE")
    end, function () other:close() end)
  end)

  local url, why = stores.with_server()
  local with_server = url and it or function (name) pending(name .. ": " .. why) end
  with_server("costs no result: a server that was killed", function ()
    check(url, function ()
      os.execute("kill -9 " .. stores.postmaster())
      lurn.sys.sleep(1)      -- its children take a moment to see that it is gone
    end, function ()
      for _ = 1, 100 do
        if stores.start_server() then return end
        lurn.sys.sleep(0.1)
      end
    end)
  end)

  with_server("costs no result: a server in whose place there is one that is read only", function ()
    stores.clear "postgresql"
    local admin = assert(lurn.core.db.open("postgresql", url))
    check(url, function ()
      assert(admin:run "ALTER DATABASE trials SET default_transaction_read_only = on")
      assert(admin:run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        .. "WHERE datname = current_database() AND pid <> pg_backend_pid()"))
    end, function () assert(admin:run "ALTER DATABASE trials RESET default_transaction_read_only") end)
    admin:close()
  end)

  it("begins another log where a full disk took half of the first line of one", function ()
    local append = lurn.sys.append
    stores.clear "dir"
    local store = assert(lurn.store.open(stores.urls.dir, {patience = 0}))
    local study = assert(store:create {name = "s", spec = SPEC})
    function lurn.sys.append (name, text)      -- luacheck: ignore
      append(name, text:sub(1, #text // 2))
      return nil, "no space left on device", "EIO"
    end
    local none, message = study:claim {worker = "a", lease = 60, propose = propose}
    lurn.sys.append = append      -- luacheck: ignore
    assert.same({nil, "no space left on device"}, {none, message})
    local t = assert(study:claim {worker = "a", lease = 60, propose = propose})
    assert.is_true(study:finish(t, {state = "COMPLETE", value = 1}))
    local seen = assert(assert(lurn.store.open(stores.urls.dir)):study "s")
    assert.same({"COMPLETE", 1.0}, {seen:sync()[1].state, seen:sync()[1].value})
    assert.same({}, seen:check())
    store:close()
  end)

  it("is told nothing false by a disk that was full", function ()
    local path, append = stores.urls.dir:sub(5), lurn.sys.append
    stores.clear "dir"
    local store = assert(lurn.store.open(stores.urls.dir, {spool = spool, patience = 0.2}))
    local study = assert(store:create {name = "s", spec = SPEC})
    local t = study:claim {worker = "a", lease = 60, propose = propose}
    assert(os.rename(path, path .. ".gone"))
    function lurn.sys.append (name, text)      -- luacheck: ignore
      append(name, text:sub(1, #text // 2))
      return nil, "no space left on device", "EIO"
    end
    local done, message = study:finish(t, {state = "COMPLETE", value = 1})
    lurn.sys.append = append      -- luacheck: ignore
    assert.same({nil, "no space left on device"}, {done, message})
    assert.same({true, "spooled"}, {study:finish(t, {state = "COMPLETE", value = 1})})
    assert(os.rename(path .. ".gone", path))
    assert.is_true(store:drain())
    assert.same({"COMPLETE", 1.0}, {study:sync()[1].state, study:sync()[1].value})
    assert.same({}, names())
    store:close()
  end)

  ---------------------------------------------------------------- what waits stays until the store has it

  local opened, opening, locking = nil, io.open, lurn.sys.lock
  before_each(function ()
    stores.clear "dir"
    os.execute("rm -rf " .. spool)
  end)
  after_each(function ()
    io.open, lurn.sys.lock = opening, locking      -- luacheck: ignore
    if opened then opened:close() end
    opened = nil
  end)

  -- The folder, with a study and a trial in it; what is behind the spool can be made to fail.
  local function open (spec)
    opened = assert(lurn.store.open(stores.urls.dir, {spool = spool}))
    local study = spec and assert(opened:create {name = "s", spec = spec}) or assert(opened:study "s")
    return study, study.kept.kept
  end

  -- The same with `lines` reports and the result in the spool.
  local function fill (lines)
    local study, kept = open(SPEC)
    local t = study:claim {worker = "a", lease = 60, propose = propose}
    function kept.report () return nil, "the store is away", "ECONN" end
    for step = 1, lines or 1 do assert.same({true, "spooled"}, {study:report(t, {{step, step / 2}})}) end
    assert.same({true, "spooled"}, {study:finish(t, {state = "COMPLETE", value = 1})})
    kept.report = nil
    return study, kept, t
  end

  local function leave ()
    opened:close()
    opened = nil
  end

  local function check_told (study)
    assert.is_false(opened:waits())
    local t = study:sync()[1]
    assert.same({"COMPLETE", 1.0, {{1, 0.5}}}, {t.state, t.value, t.reports})
    assert.same({}, names())
  end

  -- io.open as it fails for paths that match.
  local function refuse (pattern, message, errno)
    function io.open (path, ...)      -- luacheck: ignore
      if path:find(pattern) then return nil, path .. ": " .. message, errno end
      return opening(path, ...)
    end
  end

  it("drops nothing, whatever the store answers", function ()
    local study, kept = fill()
    for _, code in ipairs {"EREADONLY", "EFORMAT", "ENOSPC", "EEXIST"} do
      function kept.report () return nil, "it refuses", code end
      assert.same({nil, "it refuses", code}, {opened:drain()})
      assert.same({true, "it refuses"}, {opened:waits()})
      assert.same({nil, "it refuses", code}, {study:claim {worker = "b", propose = propose}})
    end
    kept.report = nil
    assert.is_true(opened:drain())
    check_told(study)
  end)

  it("spools whatever the store does not take", function ()
    local study, kept = open(SPEC)
    local t = study:claim {worker = "a", lease = 60, propose = propose}
    function kept.report () return nil, "read-only", "EREADONLY" end
    function kept.turn () return nil, "read-only", "EREADONLY" end
    assert.same({true, "spooled"}, {study:report(t, {{1, 0.5}})})
    local both = study:turn(t, {state = "COMPLETE", value = 1}, {worker = "a", propose = propose})
    assert.same({true, "spooled"}, {both.done, both.state})
    kept.report = nil
    assert.is_true(opened:drain())
    check_told(study)
  end)

  it("keeps what waits for a study that is not there, says so once, and tells it when it is asked to", function ()
    local path = stores.urls.dir:sub(5)
    fill()
    leave()
    -- The disk is not mounted: an empty folder is in its place.
    assert(os.rename(path, path .. ".mounted"))
    opened = assert(lurn.store.open(stores.urls.dir, {spool = spool}))
    local list = names()
    assert.equal(1, #list)
    assert.matches("%.jsonl%.orphan$", list[1])
    local notes = opened:orphans()
    assert.equal(1, #notes)
    assert.matches("kept in .*" .. list[1]:gsub("%W", "%%%0") .. ": there is no study 's';", notes[1])
    assert.same({}, opened:orphans())
    assert.is_false(opened:waits())
    leave()
    os.execute("rm -rf " .. path)
    assert(os.rename(path .. ".mounted", path))
    assert(os.rename(spool .. "/" .. list[1], spool .. "/" .. list[1]:gsub("%.orphan$", "")))
    check_told((open()))
  end)

  it("keeps what the store will never take, and tells the rest", function ()
    local study, kept = fill()
    function kept.report () error "no text with a zero byte" end
    assert.is_true(opened:drain())
    assert.equal("COMPLETE", study:sync()[1].state)
    assert.same({}, study:sync()[1].reports)
    assert.matches("%.orphan: .*no text with a zero byte; without", opened:orphans()[1])
    local file = assert(opening(spool .. "/" .. names()[1]))
    local lines = file:read "a"
    file:close()
    assert.same({"report", 1}, {lurn.json.decode(lines).op, select(2, lines:gsub("\n", ""))})
  end)

  it("does not take files for missing that cannot be opened", function ()
    fill()
    leave()
    for _, bad in ipairs {{"%.jsonl$", "Too many open files", 24}, {"study%.json$", "Permission denied", 13},
      {"logs/", "Stale file handle", 116}} do
      refuse(table.unpack(bad))
      opened = assert(lurn.store.open(stores.urls.dir, {spool = spool}))
      local waits, trouble = opened:waits()
      assert.is_true(waits)
      assert.matches(bad[2], trouble)
      if bad[3] == 13 then assert.equal("EIO", select(3, opened:study "s")) end
      leave()
      io.open = opening      -- luacheck: ignore
      assert.equal(1, #names())
    end
    check_told((open()))
  end)

  it("takes over nothing of a process that lives, also where there are no locks", function ()
    function lurn.sys.lock () return {release = function () end}, false end      -- luacheck: ignore
    local study = fill()
    local first, list = opened, names()
    assert.is_true((first:waits()))
    open()
    assert.is_false(opened:waits())
    assert.same(list, names())
    leave()
    assert.is_true(first:drain())
    opened = first
    check_told(study)
    leave()
    stores.clear "dir"
    fill()
    leave()
    local name = names()[1]
    assert(os.rename(spool .. "/" .. name, spool .. "/" .. name:gsub("%.%d+%.", ".999999999.", 1)))
    check_told((open()))
  end)

  it("does not take a trial for lost whose claim is not to be seen yet", function ()
    local logs = stores.urls.dir:sub(5) .. "/s/logs/"
    fill()
    leave()
    local list = lurn.sys.list(logs)
    for _, name in ipairs(list) do assert(os.rename(logs .. name, logs .. "." .. name)) end
    local study = open()
    assert.matches("not to be seen", select(2, opened:waits()))
    for _, name in ipairs(list) do assert(os.rename(logs .. "." .. name, logs .. name)) end
    assert.is_true(opened:drain())
    check_told(study)
  end)

  it("gets in a moment at a time, in order, and no lease runs out meanwhile", function ()
    local study, kept = open(SPEC)
    local t = study:claim {worker = "a", lease = 60, propose = propose}
    function kept.report () return nil, "the store is away", "ECONN" end
    for step = 1, 100 do study:report(t, {{step, 1.0}}) end
    local steps, report = {}, getmetatable(kept).__index.report
    function kept.report (self, e)
      steps[#steps + 1] = e.points[1][1]
      lurn.sys.sleep(0.01)
      return report(self, e)
    end
    local began = lurn.sys.clock()
    assert.same({true, "spooled"}, {study:report(t, {{101, 1.0}})})      -- not before what waits
    assert.is_true(lurn.sys.clock() - began < 0.9)
    assert.is_true(#steps > 1 and #steps < 50, #steps)
    local none, message, code = study:claim {worker = "b", propose = propose}
    assert.same({nil, "EAGAIN"}, {none, code})
    assert.matches("^what waited for it is being written, .* to go$", message)
    assert.is_true(study:renew(t, 60))
    repeat none, message, code = opened:drain() until none or code ~= "EAGAIN"
    assert.is_true(none, message)
    for k = 1, 101 do assert.equal(k, steps[k]) end
    assert.equal(101, #study:sync()[1].reports)
  end)

  it("reads a line, not the file, to find that the store is away", function ()
    local _, kept = fill(200)
    local bytes = 0
    function io.open (path, mode)      -- luacheck: ignore
      local file, message, errno = opening(path, mode)
      if not file or not path:find "%.jsonl$" or not path:find(spool, 1, true) then return file, message, errno end
      return {seek = function (_, ...) return file:seek(...) end, close = function () return file:close() end,
        read = function (_, ...)
          local text = file:read(...)
          bytes = bytes + #(text or "")
          return text
        end}
    end
    function kept.report () return nil, "the store is away", "ECONN" end
    opened:drain()
    assert.is_true(bytes > 0 and bytes < 500, bytes)
    kept.report = nil
  end)

  it("says again what the disk refused, though the spool refused it, too, at first", function ()
    local study = open(SPEC)
    local append, refused, t = lurn.sys.append, true, study:claim {worker = "a", lease = 60, propose = propose}
    opened.kept.kept.settle = function ()      -- a disk refuses once
      if not refused then return true end
      refused = false
      return nil, "the disk refuses", "EIO"
    end
    assert.is_true(study:finish(t, {state = "COMPLETE", value = 1, when = "later"}))
    function lurn.sys.append () return nil, "no space left on device", "EIO" end      -- luacheck: ignore
    assert.same({nil, "no space left on device", "EIO"}, {opened:settle()})
    lurn.sys.append = append      -- luacheck: ignore
    assert.same({true, "spooled"}, {opened:settle()})
    assert.is_true(opened:drain())
    assert.same({true}, {opened:settle()})
    assert.equal("COMPLETE", study:sync()[1].state)
  end)

  -- The store refuses before or after it has done what it was told, disks fill up in mid-line, files cannot be opened,
  -- the process is gone without a word: what was acknowledged is there in the end, and nothing else.
  it("has lost nothing after a thousand random failures", function ()
    local study, kept = open {trials = 1000, space = SPEC.space}
    local seed, append, class = 7, lurn.sys.append, getmetatable(kept).__index
    local function chance (p)
      seed = seed * 6364136223846793005 + 1442695040888963407
      return (seed >> 33) % 1000 < 1000 * p
    end
    local real, failures = {}, 0
    local function fail (p)
      if not chance(p) then return false end
      failures = failures + 1
      return true
    end
    local function break_all ()
      for name, method in pairs(real) do
        class[name] = function (...)
          if fail(0.15) then return nil, "refused", chance(0.5) and "ECONN" or "EREADONLY" end
          local a, b, c = method(...)
          if fail(0.15) then return nil, "no answer", "ECONN" end
          return a, b, c
        end
      end
      function lurn.sys.append (path, text)      -- luacheck: ignore
        if not fail(0.1) then return append(path, text) end
        append(path, text:sub(1, #text // 2))
        return nil, "no space left on device", "EIO"
      end
      function io.open (path, ...)      -- luacheck: ignore
        if path:find "%.jsonl$" and fail(0.03) then return nil, path .. ": Too many open files", 24 end
        return opening(path, ...)
      end
    end
    local function heal ()
      for name, method in pairs(real) do class[name] = method end
      lurn.sys.append, io.open = append, opening      -- luacheck: ignore
    end
    for _, name in ipairs {"report", "finish", "claim"} do real[name] = class[name] end
    local told, results, t, step, again = {}, {}, nil, 0, nil
    local options = {worker = "a", lease = 1e6, propose = propose}
    break_all()
    while failures < 1000 do
      if fail(0.03) then      -- a process ends, another one begins
        repeat
          if opened then leave() end
          opened = lurn.store.open(stores.urls.dir, {spool = spool})
          study = opened and opened:study "s"
        until study
        t, again = nil, nil
      elseif not t then t = study:claim(options)
      elseif again or chance(0.2) then      -- nobody took it: it is said again
        again = not study:finish(t, {state = "COMPLETE", value = t.number + t.epoch / 8})
        if not again then results[t.number], t = t.number + t.epoch / 8, nil end
      else
        step = step + 1
        if study:report(t, {{step, t.epoch + 0.0}}) then told[#told + 1] = {t.number, step, t.epoch + 0.0} end
      end
    end
    heal()
    local done, message, code
    repeat done, message, code = opened:drain() until done or code ~= "EAGAIN"
    assert.is_true(done, message)
    local trials = study:sync()
    for _, p in ipairs(told) do
      local there
      for _, point in ipairs(trials[p[1] + 1].reports) do there = there or point[1] == p[2] and point[2] end
      assert.equal(p[3], there)
    end
    for number, value in pairs(results) do
      assert.same({"COMPLETE", value}, {trials[number + 1].state, trials[number + 1].value})
    end
    assert.is_true(#told > 100 and next(results) ~= nil)
    assert.same({}, study:check())
    for _, name in ipairs(names()) do assert.not_matches("jsonl", name) end
  end)
end)
