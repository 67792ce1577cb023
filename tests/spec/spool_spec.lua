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
end)
