-- A process that is frozen (SIGSTOP) in the middle of a transaction: what the others see, and that nothing is lost.

local lurn = require "lurn"
local stores = require "store_helper"
local shell = require "shell_helper"

local SPEC = {trials = 6, space = {{name = "x", kind = "float", low = 0.0, high = 1.0}}}
local function propose () return {params = {x = 0.5}} end

-- Claims a trial and stops itself while it proposes, which is within the transaction.
local SLEEPER = [[
local lurn = require "lurn"
local study = assert(assert(lurn.store.open(arg[1])):study "s")
local frozen
local trial = assert(study:claim {worker = "sleeper", propose = function ()
  if not frozen then
    frozen = true
    os.execute("kill -STOP " .. lurn.sys.pid())
  end
  return {params = {x = 0.25}}
end})
io.open(arg[2], "w"):write(trial.number):close()
]]

local function state_of (pid)
  local f = io.open(("/proc/%d/stat"):format(pid))
  local state = f and f:read "a":match "%) (%a)"
  if f then f:close() end
  return state
end

local function wait_for (what)
  for _ = 1, 1000 do
    if what() then return end
    lurn.sys.sleep(0.02)
  end
  error "it does not come"
end

describe("a process that is frozen within a transaction", function ()
  setup(function ()
    shell.open()
    shell.write("sleeper.lua", SLEEPER)
  end)
  teardown(function ()
    shell.close()
    stores.close()
  end)

  local function freeze (url)
    local pipe = io.popen(("%s %s '%s' %s >/dev/null 2>%s </dev/null & echo $!"):format(os.getenv "LUA" or "lua5.4",
      shell.path "sleeper.lua", url, shell.path "number", shell.path "err"))
    local pid = pipe:read "n"
    pipe:close()
    wait_for(function () return state_of(pid) == "T" end)
    return pid
  end

  local function wake (pid)
    os.execute("kill -CONT " .. pid)
    wait_for(function () return shell.exists "number" and shell.read "number" ~= "" end)
    return tonumber(shell.read "number")
  end

  local function timed (f, ...)
    local began = lurn.sys.clock()
    local a, b, c = f(...)
    return lurn.sys.clock() - began, a, b, c
  end

  it("is named to those who wait for its file of SQLite, and they go on without it", function ()
    stores.clear "sqlite"
    local url = stores.urls.sqlite
    local store = assert(lurn.store.open(url, {spool = shell.path "spool"}))
    local study = assert(store:create {name = "s", spec = SPEC})
    local function claim () return study:claim {worker = "me", propose = propose} end
    local first = claim()
    local pid = freeze(url)
    store:be_patient(0.3)
    local took, trial, message, code = timed(claim)
    assert.is_nil(trial)
    assert.equal("EBUSY", code)
    assert.matches(("store.db: process %d has been writing to it for %%d+s, and is stopped: kill %%-CONT %d lets it")
      :format(pid, pid), message)
    assert.is_true(took > 0.25 and took < 5, took)
    -- From now on nobody waits for it, and nothing is lost.
    took = timed(function ()
      for step = 1, 20 do assert.same({true, "spooled"}, {study:report(first, {{step, 0.5}})}) end
      assert.same({true, "spooled"}, {study:finish(first, {state = "COMPLETE", value = 0.5})})
    end)
    assert.is_true(took < 5, took)
    assert.matches("is stopped", select(2, store:waits()))
    assert.equal(1, wake(pid))
    wait_for(function () return store:drain() end)
    local trials = study:sync()
    assert.same({"COMPLETE", 20, "RUNNING"}, {trials[1].state, #trials[1].reports, trials[2].state})
    assert.equal(2, claim().number)
    assert.same({}, study:check())
    store:close()
  end)

  local url, why = stores.with_server()
  local with_server = url and it or function (name) pending(name .. ": " .. why) end
  with_server("loses its locks on a server, and claims again when it is woken", function ()
    os.remove(shell.path "number")
    local store = assert(lurn.store.open(url))
    local study = assert(store:create {name = "s", spec = SPEC})
    local function claim (worker) return study:claim {worker = worker, propose = propose} end
    assert(claim "first")
    local pid = freeze(url .. "&options=-c%20idle_in_transaction_session_timeout%3D500")
    local took, trial = timed(claim, "me")
    assert.equal(1, trial.number)
    assert.is_true(took < 20, took)
    assert.equal(2, wake(pid))
    assert.same({}, study:check())
    store:close()
  end)
end)
