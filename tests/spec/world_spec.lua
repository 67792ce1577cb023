-- The world around a run goes wrong, for real: a full disk, a limit on the size of files, a folder that nobody may
-- write to, a run file replaced under the run, a clock that goes backwards. Nothing is lost, and one message says
-- what is.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "world", params = {steps = 60, hidden = 4, hook = ""}, run = function (run, p)
  local data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}})
  local model = lurn.stack {input = data, lurn.rnn {hidden = p.hidden}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
  local log = run.log
  function run:log (values)
    log(self, values)
    local hook = os.getenv("AT_" .. self.steps)
    if hook then os.execute(hook) end
  end
  return run:fit {model = model, optim = lurn.optim.adam(model), train = data.train, steps = p.steps,
    eval_every = 10}.loss
end}
]]

local function content (path)
  local file = assert(lurn.runfile.read(path))
  local out = {steps = file.counters.steps, metrics = file.metrics}
  for name, tensor in pairs(file.models[1].weights) do out[name] = tensor:totable() end
  for name, tensor in pairs(file.optims[1].tensors) do out["optim " .. name] = tensor:totable() end
  return lurn.json.encode(out), file
end

local function lines_of (err)
  local list = {}
  for line in err:gmatch "[^\n]+" do if line:find "^lurn: " then list[#list + 1] = line end end
  return list
end

local root = io.popen "id -u":read "l" == "0"

describe("around a run", function ()
  local straight
  setup(function ()
    shell.open()
    shell.write("world.lua", SCRIPT)
    if not shell.ready then return end
    local code, _, err = shell.lurn "run world.lua --quiet --hidden 60 --out straight.h5"
    assert(code == 0, err)
    straight = content(shell.path "straight.h5")
  end)
  teardown(function ()
    os.execute("umount " .. shell.path "disk" .. " 2>/dev/null")
    os.execute("chmod -R u+w " .. shell.folder)
    shell.close()
  end)

  local function check_resumed (path)
    local code, _, err = shell.lurn("run --quiet --resume " .. path)
    assert.equal(0, code, err)
    assert.equal(straight, (content(shell.path(path))))
  end

  -- The disk is full from step 12 to step 32: one message for each end of that, and nothing is lost.
  local function fill_and_free (path, fill, free)
    local before = ("AT_12='%s' AT_32='%s'"):format(fill, free)
    local code, _, err = shell.lurn("run world.lua --hidden 60 --out " .. path, before)
    assert.equal(0, code, err)
    local list = lines_of(err)
    assert.equal(2, #list, err)
    assert.matches("^lurn: checkpoint not written: [^\n]*" .. path .. ": [^\n]*; the run goes on, the one before it is "
      .. "whole$", list[1])
    assert.matches("^lurn: checkpoints are written again %(step %d+%)$", list[2])
    assert.equal(straight, (content(shell.path(path))))
    return list[1]
  end

  -- A small disk of its own needs a user who may mount.
  local try = "mkdir -p /tmp/lurn-mount && mount -t tmpfs -o size=64k none /tmp/lurn-mount && umount /tmp/lurn-mount"
  local mounted = root and shell.ready and os.execute("{ " .. try .. "; } 2>/dev/null")
  os.execute "rmdir /tmp/lurn-mount 2>/dev/null"

  -- Room for a checkpoint and the next one beside it, and not for more.
  local function mount ()
    shell.run(("mkdir -p disk; umount disk 2>/dev/null; mount -t tmpfs -o size=%dk none disk")
      :format(lurn.precision == "f64" and 400 or 200))
  end

  if mounted then
    it("a disk that is full for a while costs the checkpoints of that while", function ()
      mount()
      local message = fill_and_free("disk/run.h5", "head -c 1000000 /dev/zero >disk/big 2>/dev/null", "rm disk/big")
      assert.matches("No space left on device", message)
    end)

    it("a disk that stays full leaves the last checkpoint whole, and the exit code is 1", function ()
      mount()
      local code, _, err = shell.lurn("run world.lua --hidden 60 --out disk/run.h5",
        "AT_12='head -c 1000000 /dev/zero >disk/big 2>/dev/null'")
      assert.equal(1, code, err)
      assert.equal(2, #lines_of(err), err)
      assert.matches("No space left on device", lines_of(err)[2])
      local _, file = content(shell.path "disk/run.h5")
      assert.equal(10, file.counters.steps)
      shell.run "rm disk/big"
      check_resumed "disk/run.h5"
    end)

    it("a disk that is full from the start ends the run before its first step", function ()
      mount()
      shell.run "head -c 1000000 /dev/zero >disk/big 2>/dev/null"
      local code, _, err = shell.lurn "run world.lua --hidden 60 --out disk/run.h5"
      assert.equal(3, code, err)
      assert.equal(1, #lines_of(err), err)
      assert.matches("No space left on device", err)
      shell.run "umount disk"
    end)
  end

  -- Blocks of 512 or 1024 bytes, as the shell has it: less than a run file has.
  local function limited (arguments) return shell.run(("(ulimit -f 4; %s %s)"):format(shell.bin, arguments)) end

  when_built("a limit on the size of files is an error of the write, not the end of the process", function ()
    local code, _, err = limited "run world.lua --quiet --hidden 60 --out small.h5"
    assert.equal(3, code, err)
    assert.matches("small.h5: [^\n]*File too large", err)
    assert.is_false(shell.exists "small.h5")
    -- A fork has a file of its own to write, before anything is played.
    assert.equal(0, (shell.lurn "run world.lua --quiet --hidden 60 --steps 20 --out big.h5"))
    local before = shell.read "big.h5"
    code, _, err = limited "run --fork big.h5 --steps 60 --quiet --out small.h5"
    assert.equal(3, code, err)
    assert.is_true(before == shell.read "big.h5")
    -- A run whose file is there goes on to the end, and says that the end is not on the disk.
    assert.not_equal(0, (shell.lurn("run world.lua --quiet --hidden 60 --out on.h5", "AT_22='kill -9 $PPID'")))
    before = shell.read "on.h5"
    code, _, err = limited "run --resume on.h5"
    assert.equal(1, code, err)
    assert.matches("checkpoint not written: on.h5: [^\n]*File too large; the run goes on", err)
    assert.is_true(before == shell.read "on.h5")
    check_resumed "on.h5"
  end)

  when_built("a folder that cannot be written to ends the run before its first step", function ()
    shell.run "mkdir -p closed && chmod 755 . && chmod 555 closed"
    local user = root and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
    local code, _, err = shell.run(user .. shell.bin .. " run world.lua --quiet --out closed/run.h5")
    assert.equal(3, code, err)
    assert.equal(1, #lines_of(err), err)
    assert.matches("closed/run.h5.lock: cannot write: Permission denied", err)
  end)

  when_built("a folder that closes under a run costs checkpoints only while it is closed", function ()
    shell.run "rm -rf open; mkdir open; chmod 777 open; chmod 755 ."
    local user = root and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
    -- The folder's owner shuts and opens it: for root that is a process of its own, told by files.
    local code, _, err
    if root then
      shell.write("warden.sh", "while [ ! -e box/shut ]; do sleep 0.01; done; chmod 555 open; touch box/is_shut; "
        .. "while [ ! -e box/free ]; do sleep 0.01; done; chmod 777 open; touch box/is_free\n")
      shell.run "rm -rf box; mkdir box; chmod 777 box"
      local wait = "touch box/%s; while [ ! -e box/is_%s ]; do sleep 0.01; done"
      local shut, free = wait:format("shut", "shut"), wait:format("free", "free")
      code, _, err = shell.run(("(timeout 60 sh warden.sh &) ; env AT_12='%s' AT_32='%s' %s%s run world.lua "
        .. "--hidden 60 --out open/run.h5"):format(shut, free, user, shell.bin))
    else
      code, _, err = shell.lurn("run world.lua --hidden 60 --out open/run.h5",
        "AT_12='chmod 555 open' AT_32='chmod 777 open'")
    end
    assert.equal(0, code, err)
    local list = lines_of(err)
    assert.equal(2, #list, err)
    assert.matches("Permission denied; the run goes on", list[1])
    assert.equal(straight, (content(shell.path "open/run.h5")))
  end)

  when_built("a run file that is replaced under the run is left alone; one that is gone is written anew", function ()
    shell.write("stranger", "not mine")
    local code, _, err = shell.lurn("run world.lua --hidden 60 --out r.h5", "AT_12='cp stranger r.h5' "
      .. "AT_32='rm r.h5' AT_42='mv r.h5 elsewhere.h5'")
    assert.equal(0, code, err)
    local list = lines_of(err)
    assert.equal(1, #list, err)
    assert.matches("r.h5 was replaced while the run played; what was there is now r.replaced%-1.h5", list[1])
    assert.equal("not mine", shell.read "r.replaced-1.h5")
    assert.equal(straight, (content(shell.path "r.h5")))
    local _, moved = content(shell.path "elsewhere.h5")
    assert.equal(40, moved.counters.steps)
  end)

  -- The process sees the time that libfaketime tells it, which steps back by three days twice. A sanitizer wants to be
  -- the first library of a process.
  local faketime = io.popen "ls /usr/lib/*/faketime/libfaketime.so.1 2>/dev/null":read "l"
  local with_faketime = os.getenv "LURN_CHECK" and function () end or shell.ready and faketime and it or pending
  with_faketime("a clock that is set back under a process changes nothing", function ()
    for name, monotonic in pairs {one = 1, both = 0} do
      shell.write("clock", "+2d")
      local code, _, err = shell.lurn(("run world.lua --quiet --hidden 60 --out %s.h5"):format(name),
        ("LD_PRELOAD=%s DONT_FAKE_MONOTONIC=%d FAKETIME_NO_CACHE=1 FAKETIME_TIMESTAMP_FILE=%s AT_25='%s' AT_45='%s'")
          :format(faketime, monotonic, shell.path "clock", "echo -1d >clock", "echo -4d >clock"))
      assert.equal(0, code, err)
      assert.equal("", err)
      local seen, file = content(shell.path(name .. ".h5"))
      assert.equal(straight, seen)
      local attempt = file.manifest.attempts[1]
      assert.is_true(attempt["end"] < attempt.start)
    end
  end)

  when_built("a clock that goes backwards at every look changes nothing", function ()
    local experiment = assert(lurn.experiment.load(shell.path "world.lua"))
    local time, date, sys_time, clock = os.time, os.date, lurn.sys.time, lurn.sys.clock
    local now = 2e9
    local function back ()
      now = now - 3600
      return now
    end
    os.time, lurn.sys.time, lurn.sys.clock = function () return now // 1 | 0 end, back, back      -- luacheck: ignore
    os.date = function (format) return date(format, back() // 1 | 0) end      -- luacheck: ignore
    local ok, run = pcall(function ()
      return experiment:start({hidden = 60}, {out = shell.path "back.h5", quiet = true}):play()
    end)
    os.time, os.date, lurn.sys.time, lurn.sys.clock = time, date, sys_time, clock      -- luacheck: ignore
    assert.is_true(ok, run)
    assert.equal("done", run.status, run.trace)
    assert.equal(straight, (content(shell.path "back.h5")))
  end)
end)
