-- Children of this process: what they inherit, how they talk, how they end.

local lurn = require "lurn"
local process = lurn.process
local shell = require "shell_helper"

-- A child that plays f (fd) and leaves with code 0; pid and descriptor.
local function child (f)
  local pid, fd = process.fork()
  if pid == 0 then
    local ok = pcall(f, fd)
    process.exit(ok and 0 or 9)
  end
  return pid, fd
end

local function wait (pid)
  for _ = 1, 1000 do
    local ended, code, signal = process.ended(pid)
    if ended then return code, signal end
    process.poll({}, 0.005)
  end
  error "it does not end"
end

local function alive (pid) return process.kill(pid, "CONT") and process.memory(pid) > 0 end

describe("a child", function ()
  setup(shell.open)
  teardown(shell.close)

  it("has what its parent had, shares nothing it writes, and says how it ended", function ()
    local t = {1}
    local pid, fd = child(function (to)
      t[1] = t[1] + 1
      process.write(to, "I have " .. t[1])
    end)
    assert.same({{true}, 1}, {process.poll({fd}, 5)})
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
    local path = shell.path "pid"
    local pid = child(function ()
      local grandchild = child(function () process.poll({}, 60) end)
      io.open(path, "w"):write(grandchild):close()
      process.kill(lurn.sys.pid(), "KILL")
    end)
    wait(pid)
    local grandchild = tonumber(shell.read "pid")
    for _ = 1, 200 do if not alive(grandchild) then break end process.poll({}, 0.01) end
    assert.is_false(alive(grandchild))
  end)

  it("takes what it started with it when it is killed, and hears no Ctrl-C of its parent's terminal", function ()
    local pid = child(function () os.execute "exec sleep 60" end)
    local group
    for _ = 1, 200 do
      local p = io.popen(("ps -o pid= -g %d; ps -o pgid= -p %d"):format(pid, pid))
      group = p:read "a"
      p:close()
      if select(2, group:gsub("%d+", "")) >= 3 then break end
      process.poll({}, 0.01)
    end
    assert.equal(pid, tonumber(group:match "(%d+)%s*$"))
    local inner = tonumber(group:match "^%s*%d+%s+(%d+)")
    assert.is_true(alive(inner))
    process.kill(pid, "KILL")
    wait(pid)
    for _ = 1, 200 do if not alive(inner) then break end process.poll({}, 0.01) end
    assert.is_false(alive(inner))
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
      assert(process.limit(32 << 20))
      local ok, message = pcall(string.rep, "x", 256 << 20)
      process.write(to, tostring(ok) .. " " .. tostring(message))
    end)
    assert.same({0}, {wait(pid)})
    assert.equal("false not enough memory", process.read(fd))
    process.close(fd)
    assert.equal("into the file\n", shell.read "said")
    assert.is_false(process.pin(1 << 20))
    assert.equal(#cores, #process.cores())
  end)

  it("shows how much memory it has", function ()
    local pid, fd = child(function (to)
      local all = ("x"):rep(64 << 20)
      process.write(to, "now")
      process.read(to)
      return #all
    end)
    process.poll({fd}, 5)
    assert.equal("now", process.read(fd))
    local bytes = process.memory(pid)
    assert.is_true(bytes > 64 << 20 and bytes < 400 << 20, bytes)
    process.close(fd)
    wait(pid)
    assert.equal(0, process.memory(pid))
  end)
end)
