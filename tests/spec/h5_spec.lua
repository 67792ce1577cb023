-- Documents: what is written is read back, nothing is written by halves, and no file, however
-- broken, does more than give one message.
local lurn = require "lurn"
local h5, sys = lurn.h5, lurn.sys

local made = {}

local function temp ()
  local name = os.tmpname()
  os.remove(name)
  made[#made + 1] = name
  return name
end

after_each(function ()
  for _, name in ipairs(made) do os.execute("rm -rf " .. name) end
  made = {}
end)

local function slurp (path)
  local f = assert(io.open(path, "rb"))
  local text = f:read "a"
  f:close()
  return text
end

local function spit (path, text)
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
end

local function write (path, what, attrs)
  local w <close> = assert(h5.create(path))
  for name, value in pairs(what) do assert(w:write(name, value)) end
  for key, value in pairs(attrs or {}) do assert(w:attr("/", key, value)) end
  assert(w:commit())
end

local function leftovers (path)
  local p = io.popen(("ls -a %s"):format(path:match ".*/"))
  local n = 0
  for line in p:lines() do if line:find("." .. path:match "[^/]+$" .. ".", 1, true) then n = n + 1 end end
  p:close()
  return n
end

local function python (script, ...)
  local probe = os.execute "/usr/bin/python3 -c 'import h5py' 2>/dev/null"
  if not probe then return nil end
  local name = temp()
  spit(name, script)
  local p = io.popen("/usr/bin/python3 " .. table.concat({name, ...}, " ") .. " 2>&1")
  local out = p:read "a"
  p:close()
  return out
end

describe("a document", function ()
  it("gives back what was written", function ()
    local path = temp()
    write(path, {
      ["/x"] = lurn.tensor {{1, 2}, {3, 4.5}, {5, 6}}, ["/g/ids"] = lurn.ids {3, 1, 0}, ["/offsets"] = {0, 2, 1 << 40},
      ["/ranges"] = {{0, 2}, {3, 5}}, ["/words"] = {"a", "\u{e9}", "", "xyz"}, ["/n"] = 42, ["/p"] = 0.1,
      ["/t"] = "a text", ["/empty"] = "", ["/half"] = {1.5, 2}, ["/none"] = {}
    }, {k = 3, d = 0.25, t = "volt", e = ""})
    local r <close> = assert(h5.open(path))
    assert.same({{1, 2}, {3, 4.5}, {5, 6}}, r:read "/x":totable())
    assert.same({3, 1, 0}, r:read "/g/ids":totable())
    assert.same({0, 2, 1 << 40}, r:read "/offsets")
    assert.same({{0, 2}, {3, 5}}, r:read "/ranges")
    assert.same({"a", "\u{e9}", "", "xyz"}, r:read "/words")
    assert.equal(42, r:read "/n")
    assert.equal(0.1, r:read "/p")
    assert.equal("a text", r:read "/t")
    assert.equal("", r:read "/empty")
    assert.same({}, r:read "/none")
    assert.same({{5, 6}}, r:read("/x", 3, 1):totable())
    assert.same({{3, 4.5}, {5, 6}}, r:read("/x", 2):totable())
    assert.same({k = 3, d = 0.25, t = "volt", e = ""}, r:attrs "/")
    assert.equal("integer", math.type(r:attr("/", "k")))
    assert.is_nil(r:attr("/", "nothing"))
    assert.same({"ids"}, r:list "/g")
    assert.same({3, 2}, (r:shape "/x"))
    assert.is_true(r:exists "/g/ids")
    assert.is_false(r:exists "/g/x")
  end)

  it("has no rows in a single number, whichever are asked for", function ()
    local path = temp()
    write(path, {["/n"] = 7, ["/x"] = 2.5, ["/t"] = "text"})
    local r <close> = assert(h5.open(path))
    for name, value in pairs {["/n"] = 7, ["/x"] = 2.5, ["/t"] = "text"} do
      assert.same({value, value, value}, {r:read(name), r:read(name, 1, 0), r:read(name, 2)})
    end
  end)

  it("grows by rows, compressed", function ()
    local path = temp()
    local w = assert(h5.create(path))
    assert(w:write("/log", lurn.tensor {{1, 2}}, {chunk = 16, deflate = 4}))
    for i = 2, 100 do assert(w:append("/log", lurn.tensor {{i, 2 * i}})) end
    assert(w:commit())
    local r <close> = assert(h5.open(path))
    assert.same({{99, 198}, {100, 200}}, r:read("/log", 99, 2):totable())
  end)

  it("grows by rows that had another shape before", function ()
    local path = temp()
    local w = assert(h5.create(path))
    local x = lurn.range(1, 8)
    assert(w:write("/log", x:reshape(2, 2, 2):reshape(2, 4), {chunk = 16}))
    assert(w:append("/log", x:reshape(2, 1, 4):reshape(2, 4)))
    assert(w:commit())
    local r <close> = assert(h5.open(path))
    assert.same({{5, 6, 7, 8}, {1, 2, 3, 4}}, r:read("/log", 2, 2):totable())
  end)

  it("stores small ids in bytes when asked", function ()
    local path = temp()
    local w = assert(h5.create(path))
    assert(w:write("/ids", lurn.ids {1, 256}, {type = "u8"}))
    assert(w:commit())
    local r <close> = assert(h5.open(path))
    assert.equal("u8", select(2, r:shape "/ids"))
    assert.same({1, 256}, r:read "/ids":totable())
  end)

  it("shows nothing before it is committed, and removes what was not", function ()
    local path = temp()
    write(path, {["/x"] = 1})
    local old = slurp(path)
    do
      local w <close> = assert(h5.create(path))
      assert(w:write("/x", 2))
      assert.equal(old, slurp(path))
      assert.equal(1, leftovers(path))
    end
    assert.equal(old, slurp(path))
    assert.equal(0, leftovers(path))
    h5.create(path)
    collectgarbage()
    collectgarbage()
    assert.equal(0, leftovers(path))
  end)

  it("sweeps up after writers that were killed, not after those that live", function ()
    local path = temp()
    local live <close> = assert(h5.create(path))
    local p = io.popen("ls -a " .. path:match ".*/")
    local name = p:read "a":match("(%." .. path:match "[^/]+$" .. "%.[^\n]*%.tmp)")
    p:close()
    local orphan = path:match ".*/" .. name:gsub("%d+%-0%.tmp$", "999999999-0.tmp")
    spit(orphan, "half a file")
    assert.equal(2, leftovers(path))
    local other <close> = assert(h5.create(path))
    assert.is_false(sys.exists(orphan))
    assert.equal(2, leftovers(path))
    assert.truthy(live and other)
  end)

  it("has the same bytes for the same content", function ()
    local one, two = temp(), temp()
    for _, path in ipairs {one, two} do
      local w = assert(h5.create(path))
      assert(w:write("/g/x", lurn.tensor {1, 2, 3}))
      assert(w:write("/g/h/y", "text"))
      assert(w:attr("/", "a", 1))
      assert(w:commit())
      os.execute "sleep 1.1"      -- times in a file would be seconds
    end
    assert.is_true(slurp(one) == slurp(two))
  end)

  it("says what the system says", function ()
    local _, message, code = h5.create "/nowhere/a.h5"
    assert.matches("No such file or directory", message)
    assert.equal("EIO", code)
    _, message, code = h5.open "/nowhere/a.h5"
    assert.matches("No such file or directory", message)
    assert.equal("EIO", code)
    assert.matches("is a folder", select(2, h5.open "/tmp"))
    assert.matches("is a folder", select(2, h5.create "/tmp"))
    assert.matches("not a regular file", select(2, h5.open "/dev/null"))
  end)

  it("raises for misuse", function ()
    local path = temp()
    local w = assert(h5.create(path))
    assert(w:write("/x", 1))
    assert.error_matches(function () w:write("/x", 2) end, "exists")
    assert.error(function () w:write("/y", print) end)
    assert.error(function () w:write("/y", {1, "a"}) end)
    assert.error(function () w:write("/y", {{1, 2}, {3}}) end)
    assert(w:commit())
    assert.error_matches(function () w:commit() end, "closed")
    local r = assert(h5.open(path))
    r:close()
    r:close()
    assert.error_matches(function () r:read "/x" end, "closed")
  end)

  it("can be read by h5py, and reads what h5py wrote", function ()
    local path, other = temp(), temp()
    local words = {"a", "\u{e9}"}
    write(path, {["/x"] = lurn.tensor {{1, 2}, {3, 4}}, ["/off"] = {0, 2}, ["/words"] = words}, {who = "lurn"})
    local out = python([==[
import sys, h5py, numpy as np
with h5py.File(sys.argv[1], "r") as f:
    print(f["x"][()].tolist(), f["off"][()].tolist(), [w.decode() for w in f["words"][()]], f.attrs["who"].decode())
with h5py.File(sys.argv[2], "w") as f:
    f["gz"] = np.zeros((1000, 3)); f["half"] = np.arange(3, dtype="float16"); f["u16"] = np.arange(3, dtype="uint16")
    f.create_dataset("z", data=np.ones((100, 10), "f4"), compression="gzip", chunks=(10, 10))
    f["words"] = ["one", "three"]; f["word"] = "alone"; f.attrs["text"] = "varying"; f.attrs["np"] = np.float32(0.5)
    f.attrs["list"] = [1, 2, 3]; f["bool"] = np.array([True]); f["deep"] = np.zeros((1,) * 6)
    f["soft"] = h5py.SoftLink("/gz"); f["out"] = h5py.ExternalLink("/etc/passwd", "/x"); f["self"] = f["/"]
    f["struct"] = np.zeros(2, dtype=[("a", "i4")])
    f.create_dataset("ghost", shape=(1 << 40,), dtype="f8", chunks=(1024,))
]==], path, other)
    if not out then return pending "there is no h5py" end
    assert.equal("[[1.0, 2.0], [3.0, 4.0]] [0, 2] ['a', '\u{e9}'] lurn\n", out)
    local r <close> = assert(h5.open(other))
    assert.same({0, 1, 2}, r:read "/half":totable())
    assert.same({1, 2, 3}, r:read "/u16":totable())
    assert.equal(1, r:read "/z":totable()[100][10])
    assert.same({"one", "three"}, r:read "/words")
    assert.equal("alone", r:read "/word")
    assert.equal("varying", r:attr("/", "text"))
    assert.equal(0.5, r:attr("/", "np"))
    for name, why in pairs {soft = "link", out = "link", bool = "neither", deep = "dimensions", struct = "neither",
                            ghost = "claims", ["nothing"] = "missing"} do
      local value, message, code = r:read("/" .. name)
      assert.is_nil(value)
      assert.matches(why, message)
      assert.equal("EFORMAT", code)
    end
    assert.matches("one number", select(2, r:attr("/", "list")))
    assert.matches("too deep", select(2, pcall(r.list, r, ("/self"):rep(40))))
  end)
end)

describe("a broken file", function ()
  local function sample ()
    local path = temp()
    write(path, {["/g/x"] = lurn.tensor {1, 2, 3, 4}, ["/words"] = {"a", "b"}, ["/off"] = {0, 4}}, {k = "text"})
    return path, slurp(path)
  end

  -- Reads everything there is; the outcome does not matter, that it is one does.
  local function read_all (path)
    local r, message, code = h5.open(path)
    if not r then
      assert.is_string(message)
      assert.truthy(code == "EFORMAT" or code == "EIO")
      return false
    end
    local fine = true
    for _, name in ipairs {"/g/x", "/words", "/off"} do
      local ok, _, why = r:read(name)
      fine = fine and ok ~= nil
      if ok == nil then assert.is_string(why) end
    end
    r:attrs "/"
    r:list "/"
    r:close()
    return fine
  end

  it("cut short anywhere gives one message", function ()
    local path, whole = sample()
    for size = 0, #whole - 1, 7 do
      spit(path, whole:sub(1, size))
      assert.is_false(read_all(path))
    end
    spit(path, whole:sub(1, #whole - 1))
    assert.matches("truncated", select(2, h5.open(path)))
    spit(path, "")
    assert.matches("not an HDF5 file", select(2, h5.open(path)))
  end)

  it("that is something else is named", function ()
    local path = temp()
    spit(path, ("plain text\n"):rep(1000))
    local _, message, code = h5.open(path)
    assert.equal(path .. ": not an HDF5 file", message)
    assert.equal("EFORMAT", code)
  end)

  it("keeps its claims in bounds", function ()
    local path, whole = sample()
    -- The size of /g/x as it lies in the file: 4, as 64 bits. Whatever else is hit must not matter.
    local four, n, at = string.pack("<I8", 4), 0, 0
    while true do
      at = whole:find(four, at + 1, true)
      if not at then break end
      n = n + 1
      for _, size in ipairs {1 << 20, 1 << 45, -1} do
        spit(path, whole:sub(1, at - 1) .. string.pack("<i8", size) .. whole:sub(at + 8))
        local r = h5.open(path)
        if r then
          local ok, message = r:read "/g/x"
          assert.truthy(ok == nil and type(message) == "string" or ok ~= nil)
          r:close()
        end
      end
    end
    assert.truthy(n > 0)
  end)
end)

describe("the system", function ()
  it("tells what it knows", function ()
    assert.truthy(sys.clock() <= sys.clock())
    assert.truthy(sys.time() > 1.6e9)
    assert.truthy(sys.pid() > 0 and sys.cpus() >= 1 and sys.peak_rss() > 1e6)
    assert.is_string(sys.cpu())
    assert.is_boolean(sys.isatty(0))
  end)

  it("makes folders, appends lines, replaces files", function ()
    local path = temp()
    assert(sys.mkdir(path .. "/a/b"))
    assert(sys.mkdir(path .. "/a/b"))
    assert(sys.append(path .. "/a/log", "one\n"))
    assert(sys.append(path .. "/a/log", "two\n"))
    assert.equal("one\ntwo\n", slurp(path .. "/a/log"))
    assert.equal(8, sys.filesize(path .. "/a/log"))
    spit(path .. "/a/new", "new")
    assert(sys.replace(path .. "/a/new", path .. "/a/log"))
    assert.equal("new", slurp(path .. "/a/log"))
    assert.is_false(sys.exists(path .. "/a/new"))
    assert.is_nil((sys.mkdir(path .. "/a/log/x")))
    assert.equal("EIO", select(3, sys.append("/nowhere/x", "x")))
  end)

  it("hashes", function ()
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sys.sha256 "")
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sys.sha256 "abc")
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0", sys.sha256(("a"):rep(1000000)))
  end)
end)
