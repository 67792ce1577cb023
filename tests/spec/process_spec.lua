-- Children of this process: what they inherit, how they talk, how they end.

local lurn = require "lurn"
local process = lurn.process
local shell = require "shell_helper"

local when_built = shell.ready and it or pending

local THREADS = [[
local lurn = require "lurn"
lurn.threads(4)
return lurn.experiment {name = "threads", params = {x = {0.5, float = {0, 1}}}, run = function (run, p)
  local data = lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}}
  local model = lurn.stack {input = data, lurn.rnn {hidden = 2}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
  return run:fit {model = model, optim = lurn.optim.sgd(model, {lr = p.x / 10}), train = data.train, steps = 5}.loss
end}
]]

-- Longer than anything takes that is waited for, on whatever machine.
local PATIENCE = 60

-- A child that plays f (fd) and leaves with code 0; pid and descriptor.
local function child (f)
  local pid, fd = assert(process.fork())
  if pid == 0 then
    local ok = pcall(f, fd)
    process.exit(ok and 0 or 9)
  end
  return pid, fd
end

-- What f gives as soon as that is something.
local function eventually (f)
  local start = lurn.sys.clock()
  while lurn.sys.clock() - start < PATIENCE do
    local found = f()
    if found then return found end
    process.poll({}, 0.005)
  end
end

local function wait (pid)
  local how
  assert(eventually(function ()
    how = table.pack(process.ended(pid))
    return how[1]
  end), "it does not end")
  return how[2], how[3]
end

local function alive (pid) return process.kill(pid, "CONT") and process.memory(pid) > 0 end
local function dies (pid) return eventually(function () return not alive(pid) end) end

describe("a child", function ()
  setup(shell.open)
  teardown(shell.close)

  it("has what its parent had, shares nothing it writes, and says how it ended", function ()
    local t = {1}
    local pid, fd = child(function (to)
      t[1] = t[1] + 1
      process.write(to, "I have " .. t[1])
    end)
    assert.same({{true}, 1}, {process.poll({fd}, PATIENCE)})
    assert.equal("I have 2", process.read(fd))
    assert.equal(1, t[1])
    assert.same({0}, {wait(pid)})
    assert.equal("", process.read(fd))
    process.close(fd)
    assert.same({9}, {wait((child(function () error "no" end)))})
    local killed = child(function () process.kill(lurn.sys.pid(), "KILL") end)
    assert.same({nil, 9}, {wait(killed)})
    assert.same({true, nil, 0}, {process.ended(killed)})      -- nobody's any more
  end)

  it("is not waited for, and its silence neither", function ()
    local pid, fd = child(function (to) process.read(to) end)
    assert.is_false(process.ended(pid))
    assert.is_nil(process.read(fd))
    assert.same({{false}, 0}, {process.poll({fd}, 0.01)})
    process.close(fd)      -- the other end sees it
    assert.same({0}, {wait(pid)})
  end)

  it("may send more than a socket holds, and so may its parent", function ()
    local long = ("x"):rep(1 << 21) .. "\n"
    local pid, fd = child(function (to)
      local c = lurn.channel.new(to)
      local message = c:receive()
      c:send {back = message.text}
    end)
    local c = lurn.channel.new(fd)
    assert.is_true(c:send {text = long, nan = 0 / 0})
    assert.equal(long, c:receive().back)
    assert.is_nil(c:receive())
    wait(pid)
    assert.is_false(c:send {text = "anybody?"})      -- and no SIGPIPE
  end)

  it("does not outlive its parent", function ()
    local pid, fd = child(function (to)
      local grandchild = child(function () process.poll({}, PATIENCE) end)
      process.write(to, tostring(grandchild))
      process.kill(lurn.sys.pid(), "KILL")
    end)
    process.poll({fd}, PATIENCE)
    local grandchild = tonumber(process.read(fd))
    wait(pid)
    process.close(fd)
    assert.is_true(dies(grandchild))
  end)

  it("takes what it started with it when it is killed: they are a group of their own", function ()
    local pid = child(function () os.execute "exec sleep 60" end)
    local inner = eventually(function ()
      local p = io.popen(("ps -A -o pid=,pgid= | awk '$2 == %d && $1 != %d {print $1}'"):format(pid, pid))
      local found = tonumber(p:read "a":match "%d+")
      p:close()
      return found
    end)
    assert.truthy(inner)
    assert.is_true(alive(inner))
    process.kill(pid, "KILL")
    wait(pid)
    assert.is_true(dies(inner))
  end)

  it("is pinned, limited and redirected", function ()
    local cores = process.cores()
    assert.equal(lurn.sys.cpus(), #cores)
    local path = shell.path "said"
    local pid, fd = child(function (to)
      assert(process.pin(cores[#cores]))
      assert(#process.cores() == 1 and process.cores()[1] == cores[#cores])
      assert(process.redirect(path))
      print "into the file"
      assert(io.read() == nil)
      assert(process.enter "/" and not process.enter "/nowhere/at/all")
      assert(lurn.sys.exists "proc")
      if os.getenv "LURN_CHECK" then return end      -- sanitizers end a process that gets no memory
      assert(process.limit(32 << 20))
      local ok, message = pcall(string.rep, "x", 256 << 20)
      process.write(to, tostring(ok) .. " " .. tostring(message))
    end)
    assert.same({0}, {wait(pid)})
    assert.equal(os.getenv "LURN_CHECK" and "" or "false not enough memory", process.read(fd))
    process.close(fd)
    assert.equal("into the file\n", shell.read "said")
    assert.is_false(process.pin(1 << 20))
    assert.equal(#cores, #process.cores())
  end)

  -- Its parent's engine had threads, which a fork has not.
  it("plays alone, or with threads of its own", function ()
    local before = lurn.threads()
    lurn.threads(4)
    local model = lurn.stack {input = {dim = 3}, lurn.lstm {hidden = 64}, loss = lurn.loss.mse()}
    local batch = lurn.batch {x = lurn.normal(9, 40, 3, {seed = 1}), y = lurn.normal(9, 40, 64, {seed = 2})}
    local loss = model:forward(batch)
    local pid, fd = child(function (to)
      local alone = lurn.threads()
      local first = model:forward(batch)
      lurn.threads(2)
      process.write(to, ("%d %d %s %s"):format(alone, lurn.threads(), first == loss, model:forward(batch) == loss))
      lurn.threads(1)
    end)
    local said = process.poll({fd}, 20)[1] and process.read(fd)
    process.kill(pid, "KILL")
    wait(pid)
    process.close(fd)
    assert.equal("1 2 true true", said)
    assert.equal(4, (lurn.threads()))
    assert.equal(loss, model:forward(batch))
    lurn.threads(before)
  end)

  when_built("is a trial of a sweep whose script asks for threads", function ()
    shell.write("threads.lua", THREADS)
    local code, _, err = shell.lurn("sweep threads.lua --sampler random --trials 3 --quiet", "timeout -s KILL 60")
    assert.equal(0, code, err)
    local store = assert(lurn.store.open(shell.path "sweeps/threads.db"))
    local trials = assert(store:study "threads"):sync()
    assert.equal(3, #trials)
    for _, t in ipairs(trials) do assert.equal("COMPLETE", t.state) end
    store:close()
  end)

  it("shows how much memory it has", function ()
    local pid, fd = child(function (to)
      local all = ("x"):rep(64 << 20)
      process.write(to, "now")
      process.read(to)
      return #all
    end)
    process.poll({fd}, PATIENCE)
    assert.equal("now", process.read(fd))
    local bytes = process.memory(pid)
    assert.is_true(bytes > 64 << 20 and bytes < 400 << 20, bytes)
    process.close(fd)
    wait(pid)
    assert.equal(0, process.memory(pid))
  end)
end)
