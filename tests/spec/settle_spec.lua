-- Results that may be on disk later: others see them at once, the disk is waited for when somebody asks, and nothing
-- is called done that a power cut could take. The disk is one that can be slow, refuse, and be cut off from power: a
-- library in front of fdatasync.

local lurn = require "lurn"
local shell, stores = require "shell_helper", require "store_helper"

local SPEC = {trials = 9, space = {{name = "x", kind = "float", low = 0.0, high = 1.0}}}
local function propose (number) return {params = {x = number / 16}} end
local REFUSED = "the log of writes could not be synced: disk I/O error (SQLite code 1034)"

-- SLOW: seconds of a sync. FAILING: a file; for half a second after it was touched, no sync succeeds of a file whose
-- path ends in what it holds. CUT: what a log of writes held when a sync of it began, which is on disk when that has
-- ended.
local SHIM = [[
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int fails (const char *path) {
  const char *name = getenv("FAILING");
  struct stat s;
  struct timespec now;
  char end[64] = "";
  if (!name || stat(name, &s) != 0) return 0;
  clock_gettime(CLOCK_REALTIME, &now);
  if (now.tv_sec - s.st_mtim.tv_sec + 1e-9 * (now.tv_nsec - s.st_mtim.tv_nsec) > 0.5) return 0;
  FILE *f = fopen(name, "r");
  if (f && fscanf(f, "%63s", end) != 1) end[0] = 0;
  if (f) fclose(f);
  size_t n = strlen(end), m = strlen(path);
  return n <= m && strcmp(path + m - n, end) == 0;
}

static void note (const char *path) {
  char bytes[4096];
  size_t n;
  FILE *from = fopen(path, "rb"), *to = fopen(getenv("CUT"), "wb");
  while (from && to && (n = fread(bytes, 1, sizeof bytes, from)) > 0) fwrite(bytes, 1, n, to);
  if (from) fclose(from);
  if (to) fclose(to);
}

int fdatasync (int fd) {
  int (*real) (int) = (int (*) (int))dlsym(RTLD_NEXT, "fdatasync");
  char link[64], path[1024] = "";
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  path[n > 0 ? n : 0] = 0;
  int is_log = n > 4 && strcmp(path + n - 4, "-wal") == 0;
  if (is_log && getenv("CUT")) note(path);
  if (is_log && getenv("SLOW")) usleep((useconds_t)(1e6 * atof(getenv("SLOW"))));
  if (fails(path)) { errno = EIO; return -1; }
  return real(fd);
}
]]

-- What a process that plays `code` says, with that disk.
local function with_disk (variables, code)
  shell.write("code.lua", ([[
    local lurn = require "lurn"
    local function propose (number) return {params = {x = number / 16}} end
    local SPEC = {trials = 9, space = {{name = "x", kind = "float", low = 0.0, high = 1.0}}}
    local options = {worker = "me", propose = propose}
    local function result (value) return {state = "COMPLETE", value = value, when = "later"} end
    local function fail (what) io.open("failing", "w"):write(what):close() end
    local store, study
    local function open (o)
      store = assert(lurn.store.open("disk.db", o))
      study = assert(store:create {name = "s", spec = SPEC})
    end
    %s]]):format(code))
  local status, out, err = shell.run(("rm -rf disk.db* spool failing; LD_PRELOAD=./disk.so FAILING=failing %s lua5.4 "
    .. "code.lua"):format(variables))
  assert.equal(0, status, err)
  return out
end

local function make_disk ()
  if os.getenv "LURN_CHECK" then return nil, "a sanitizer wants to be the first library" end
  shell.write("disk.c", SHIM)
  if shell.run "cc -shared -fPIC -o disk.so disk.c -ldl" ~= 0 then return nil, "no cc" end
  return true
end

stores.with_server()
shell.open()
teardown(function ()
  stores.close()
  shell.close()
end)

for kind, url in pairs(stores.urls) do
describe("a result that may be on disk later, in " .. kind, function ()
  it("is seen by others at once, and settles", function ()
    stores.clear(kind)
    local store = assert(lurn.store.open(url))
    local study = assert(store:create {name = "s", spec = SPEC})
    local options = {worker = "me", propose = propose}
    local first = study:claim(options)
    assert.is_true(store:settle())
    local both = study:turn(first, {state = "COMPLETE", value = 1, when = "later"}, options)
    assert.same({true, "COMPLETE", 1}, {both.done, both.state, both.trial.number})
    assert.same({true, "COMPLETE"}, {study:finish(both.trial, {state = "COMPLETE", value = 2, when = "later"})})
    local other = kind == "memory" and study or assert(assert(lurn.store.open(url)):study "s")
    assert.equal(2, other:counts().COMPLETE)
    assert.is_true(store:settle())
    assert.is_true(store:settle())
    assert.has_error(function () study:finish(first, {state = "COMPLETE", value = 1, when = "sometime"}) end)
    store:close()
  end)
end)
end

describe("a disk", function ()
  local made, why = make_disk()
  local on_disk = made and it or function (name) pending(name .. ": " .. why) end

  on_disk("that is slow is waited for by who asks", function ()
    local out = with_disk("SLOW=0.1", [[
      open()
      local trial = study:claim(options)
      trial = study:turn(trial, result(1), options).trial
      store:settle()
      local clock = lurn.sys.clock
      local a = clock()
      trial = study:turn(trial, result(2), options).trial
      trial = study:turn(trial, result(3), options).trial
      local b = clock()
      assert(store:settle())
      local c = clock()
      assert(store:settle())
      local d = clock()
      assert(study:finish(trial, {state = "COMPLETE", value = 4}))
      print(b - a < 0.08, c - b >= 0.1, d - c < 0.08, clock() - d >= 0.1)]])
    assert.equal("true\ttrue\ttrue\ttrue\n", out)
  end)

  on_disk("that loses its power loses nothing that has settled", function ()
    local out = with_disk("SLOW=0.01 CUT=cut.db-wal", [[
      open()
      local said = {}
      local trial = study:claim(options)
      for value = 1, 8 do
        local number = trial.number
        trial = study:turn(trial, result(value), options).trial
        if value % 3 > 0 then
          assert(store:settle())
          said[#said + 1] = value
          os.execute "cp disk.db cut.db; rm -f cut.db-shm"
          local cut = assert(lurn.store.open("cut.db", {create = false}))
          local trials = assert(assert(cut:study "s"):sync())
          for _, v in ipairs(said) do assert(trials[v].state == "COMPLETE" and trials[v].value == v) end
          assert(#assert(cut:study "s"):check() == 0)
          cut:close()
        end
      end
      print(#said)]])
    assert.equal("6\n", out)
  end)

  on_disk("that refuses is told of once, to who waits next, and what is said again is there once", function ()
    local out = with_disk("", [[
      open()
      local first = study:claim(options)
      local both = study:turn(first, result(1), options)
      assert(both.done and store:settle())
      fail "-wal"
      local second = both.trial
      both = study:turn(second, result(2), options)
      assert(both.done and both.state == "COMPLETE" and both.trial.number == 2)
      print(store:settle())
      print(store:settle())
      print(study:finish(both.trial, {state = "COMPLETE", value = 3}))
      lurn.sys.sleep(0.6)
      assert(study:finish(second, result(2)) and store:settle())
      assert(study:finish(both.trial, {state = "COMPLETE", value = 3}))
      print(study:counts().COMPLETE, #study:check())]])
    assert.equal(("nil\t%s\tEIO\ntrue\nnil\t%s\tEIO\n3\t0\n"):format(REFUSED, REFUSED), out)
  end)

  on_disk("that refuses fails who writes behind what has not settled", function ()
    local out = with_disk("", [[
      open()
      local first = study:claim(options)
      local both = study:turn(first, result(1), options)
      assert(store:settle())
      fail "-wal"
      local second = study:turn(both.trial, result(2), options)
      print(study:finish(second.trial, {state = "COMPLETE", value = 3}))
      lurn.sys.sleep(0.6)      -- now it could be written
      print((study:report(second.trial, {{1, 0.5}})))
      print((store:settle()))
      print((study:finish(second.trial, {state = "COMPLETE", value = 3})))]])
    assert.equal(("nil\t%s\tEIO\nnil\nnil\ntrue\n"):format(REFUSED), out)
  end)

  on_disk("that refuses leaves it to the spool", function ()
    local out = with_disk("", [[
      open {spool = "spool"}
      local both = study:turn(study:claim(options), result(1), options)
      assert(both.done and select("#", store:settle()) == 2 and not store:waits())
      fail "-wal"
      local third = study:turn(both.trial, result(2), options).trial
      assert(study:finish(third, result(3)))
      print(store:settle())
      print(store:waits())
      lurn.sys.sleep(0.6)
      print(store:drain())
      print(store:waits())
      print(study:counts().COMPLETE, #study:check())]])
    assert.equal(("true\tspooled\ntrue\t%s\ntrue\nfalse\t%s\n3\t0\n"):format(REFUSED, REFUSED), out)
  end)

  for name, end_of_path in pairs {["the log of writes"] = "-wal", ["any file"] = ""} do
    on_disk("that refuses " .. name .. " costs a sweep no trial", function ()
      shell.write("quick.lua", ([[
        local lurn = require "lurn"
        return lurn.experiment {name = "quick", params = {x = {0.5, float = {0, 1}}}, run = function (run, p)
          local f = io.open("played", "a")
          f:write("x"):close()
          if lurn.sys.filesize "played" == 5 then io.open("failing", "w"):write("%s"):close() end
          return p.x
        end}
      ]]):format(end_of_path))
      local code, _, err = shell.run(("rm -rf sweeps played failing; LD_PRELOAD=$PWD/disk.so FAILING=$PWD/failing %s "
        .. "sweep quick.lua --sampler random --trials 12 --workers 1"):format(shell.bin))
      assert.equal(0, code, err)
      assert.matches("store: .*; trials go on, new ones wait\n", err)
      assert.matches("store: it answers again\n", err)
      assert.matches("12/12 done", err)
      local store = assert(lurn.store.open(shell.path "sweeps/quick.db"))
      local study = assert(store:study "quick")
      assert.equal(12, study:counts().COMPLETE)
      assert.same({}, study:check())
      store:close()
    end)
  end
end)

if stores.why then pending("in postgresql: " .. stores.why) end
