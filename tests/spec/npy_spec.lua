-- Files that NumPy wrote: every type and order, archives stored and deflated, data sets of them; and files that are
-- damaged or hostile, which get a message.
local lurn = require "lurn"
local bits = require "bits_helper"
local shell = require "shell_helper"

local l = lurn.f64

-- a: (2,3,4) of 0 .. 23, less 5 where there are signs, in C and in Fortran order; and more, see below.
local WRITE = [==[
import io, zipfile
import numpy as np
a = np.arange(24).reshape(2, 3, 4)
for t in "f4 f8 i1 i2 i4 i8 u1 u2 u4 u8 b1".split():
    b = (a % 3 == 0) if t == "b1" else (a - 5 * (t[0] != "u")).astype("<" + t)
    np.save(f"c_{t}.npy", b.astype(t))
    np.save(f"f_{t}.npy", np.asfortranarray(b.astype(t)))
np.save("wide.npy", np.array([[0.1, -1e300], [np.inf, 5e-324]]))
np.save("scalar.npy", np.array(2.5))
np.save("empty.npy", np.zeros((0, 3)))
for version in (1, 2, 3):
    with open(f"v{version}.npy", "wb") as f:
        np.lib.format.write_array(f, a.astype("f8"), version=(version, 0))
np.save("big.npy", a.astype(">f8"))
np.save("half.npy", a.astype("f2"))
np.save("complex.npy", a.astype("c16"))
np.save("text.npy", np.array(["a", "b"]))
np.save("object.npy", np.array([{}, 1], dtype=object), allow_pickle=True)
np.save("records.npy", np.zeros(3, dtype=[("a", "f8"), ("b", "i4")]))
np.save("deep.npy", np.zeros((1, 1, 1, 1, 1)))
np.save("huge.npy", np.array([0, 2 ** 40]))
np.save("negative.npy", np.array([0, -2]))

x = np.sin(np.arange(4 * 5 * 2)).reshape(4, 5, 2)
n = np.array([3, 5, 1, 2])
ragged = np.concatenate([x[i, :k] for i, k in enumerate(n)])
label = np.array([0, 2, 1, 0])
np.savez("padded.npz", x=x, y=label, lengths=n)
np.savez_compressed("ragged.npz", x=ragged, y=label, offsets=np.concatenate([[0], np.cumsum(n)]))
np.savez("steps.npz", x=ragged, y=np.arange(11) % 3, lengths=n, mask=np.arange(11) % 2 == 0)
np.savez("ids.npz", x=np.arange(20).reshape(4, 5) % 7, y=np.arange(20).reshape(4, 5) % 3)
np.save("x.npy", np.asfortranarray(x))
np.save("labels.npy", label.astype("u1"))
many = np.arange(600.0).reshape(200, 3, 1)
np.savez("many.npz", x=many, y=np.arange(200) % 10 == 0, group=np.arange(200) // 7)
]==]

local numpy = os.execute "/usr/bin/python3 -c 'import numpy' 2>/dev/null"
local when_numpy = numpy and it or pending

local function path (name) return shell.path(name) end

local function write_files ()
  shell.open()
  shell.write("write.py", WRITE)
  if not numpy then return end
  local code, _, err = shell.run "/usr/bin/python3 write.py"
  assert(code == 0, err)
end

describe("a file of NumPy", function ()
  setup(write_files)
  teardown(shell.close)

  when_numpy("is read in every type and order", function ()
    for _, t in ipairs {"f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"} do
      for _, order in ipairs {"c_", "f_"} do
        local x = assert(l.npy(path(order .. t .. ".npy"), {as = "numbers"}))
        assert.same({2, 3, 4}, x.shape)
        for i = 0, 23 do
          local want = t == "b1" and (i % 3 == 0 and 1 or 0) or i - (t:find "^u" and 0 or 5)
          assert.equal(want, x[i // 12 + 1][i // 4 % 3 + 1][i % 4 + 1])
        end
      end
    end
    local x = assert(l.npy(path "wide.npy"))
    assert(bits(x) == bits(l.tensor {{0.1, -1e300}, {math.huge, 5e-324}}))
    assert.same({0, 3}, assert(l.npy(path "empty.npy")).shape)
    assert.same({}, assert(l.npy(path "scalar.npy")).shape)
    for version = 1, 3 do assert.equal(276, assert(lurn.f32.npy(path("v" .. version .. ".npy"))):sum()) end
  end)

  when_numpy("has ids from 0 where Lua has them from 1, or the integers as a list", function ()
    local ids = assert(l.npy(path "c_u1.npy"))
    assert.equal("ids", ids:dtype())
    assert.equal(1, ids[1][1][1])
    assert.equal(24, ids[2][3][4])
    assert.equal("f64", assert(l.npy(path "c_b1.npy")):dtype())
    local list = assert(l.npy(path "f_i8.npy", {as = "list"}))
    assert.same({-5, -4, -3}, {list[1], list[2], list[3]})
    assert.equal(2^40, assert(l.npy(path "huge.npy", {as = "list"}))[2])
  end)

  when_numpy("has a hash of its numbers, not of their order and width, nor of who reads them", function ()
    local function hash (name) return l.source.of(assert(l.npy(path(name), {as = "numbers"}))).hash end
    for _, name in ipairs {"f_i2", "c_i4", "f_i4", "c_i8", "f_i8"} do
      assert.equal(hash "c_i2.npy", hash(name .. ".npy"))
    end
    for _, name in ipairs {"f_f4", "c_f8", "f_f8"} do assert.equal(hash "c_f4.npy", hash(name .. ".npy")) end
    assert.equal(hash "c_u1.npy", hash "f_u8.npy")
    assert.equal(hash "v1.npy", hash "v3.npy")
    assert.not_equal(hash "c_i4.npy", hash "c_f4.npy")
    assert.not_equal(hash "c_u4.npy", hash "c_i4.npy")
    assert.equal(hash "wide.npy", lurn.f32.source.of(assert(lurn.f32.npy(path "wide.npy"))).hash)
  end)

  when_numpy("that is not read is named", function ()
    local function refuses (words, name, options)
      local ok, message, code = l.npy(path(name), options)
      assert(ok == nil and message:find(words, 1, true) and message:find(name, 1, true), message)
      assert.equal("EFORMAT", code)
    end
    refuses("'>f8': expected little-endian", "big.npy")
    refuses("'<f2'", "half.npy")
    refuses("'<c16'", "complex.npy")
    refuses("'<U1'", "text.npy")
    refuses("Python objects, which are code", "object.npy")
    refuses("records", "records.npy")
    refuses("more than 4 dimensions", "deep.npy")
    refuses("1099511627776 is no id", "huge.npy")
    refuses("-2 is no id", "negative.npy")
    refuses("floating-point", "wide.npy", {as = "ids"})
    refuses("floating-point", "wide.npy", {as = "list"})
    refuses("not a .npy file", "write.py")
    local ok, message, code = l.npy(path "missing.npy")
    assert(ok == nil and message:find("missing.npy", 1, true) and code == "EIO")
    ok, message = l.npz(path "x.npy")
    assert(ok == nil and message:find("not a zip archive", 1, true), message)
    assert.error_matches(function () l.npz(path "ids.npz", {as = {z = "ids"}}) end, "no array 'z'")
    assert.error_matches(function () l.npz(path "ids.npz", {as = {x = "id"}}) end, "as.x")
  end)

  when_numpy("that is damaged never does more than give a message", function ()
    local function file (text)
      shell.write("bad.npy", "\147NUMPY\1\0" .. string.pack("<I2", #text) .. text)
      local ok, message, code = l.npy(path "bad.npy")
      assert(ok == nil and code == "EFORMAT", text)
      return message
    end
    assert.matches("cut off: 24 numbers", file "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 3, 4), }")
    local function shape (text) return file(("{'descr': '<f8', 'fortran_order': False, 'shape': %s}"):format(text)) end
    assert.matches("a shape too large", shape "(4294967296, 4294967296)")
    assert.matches("no dimension 1", shape "(99999999999999999999,)")
    assert.matches("no dimension 1", shape "(-1,)")
    assert.matches("is missing", file "{'descr': '<f8', 'shape': (1,), }")
    assert.matches("'shape'", file "{'descr': '<f8', 'fortran_order': False, 'shape': (1,), 'shape': (1,)}")
    assert.matches("'x'", file "{'x': 1}")
    for _, text in ipairs {"", "{", "{'descr'", "{'descr': '<f8", "{'fortran_order': Perhaps}", "{'shape': (1"} do
      file(text)
    end
    -- Every beginning of a file, and every file with one byte changed.
    for _, name in ipairs {"v1.npy", "padded.npz", "ragged.npz"} do
      local read, good = name:find "npz" and l.npz or l.npy, shell.read(name)
      for n = 0, #good - 1, math.max(1, #good // 60) do
        shell.write("cut", good:sub(1, n))
        local ok, message, code = read(path "cut")
        assert(ok == nil and type(message) == "string" and code == "EFORMAT", n)
      end
      for n = 1, #good, math.max(1, #good // 120) do
        shell.write("bad", good:sub(1, n - 1) .. string.char(good:byte(n) ~ (1 << n % 8)) .. good:sub(n + 1))
        local ok, message = read(path "bad")
        assert(ok ~= nil or type(message) == "string")
      end
    end
  end)
end)

describe("a data set of arrays", function ()
  setup(write_files)
  teardown(shell.close)

  local function sequence (data, i) return data.set:sequence(i) end

  when_numpy("has padded, ragged and stacked ones alike", function ()
    local padded, ragged = l.dataset(assert(l.npz(path "padded.npz"))), l.dataset(assert(l.npz(path "ragged.npz")))
    assert.equal(padded.hash, ragged.hash)
    assert.same({3, 5, 1, 2}, ragged.set.lengths)
    assert.equal("sequence", ragged.set.targets)
    for i, id in ipairs {1, 3, 2, 1} do assert.equal(id, sequence(ragged, i).y[1]) end
    local at = 5 * 2
    for t = 1, 5 do
      for d = 1, 2 do
        assert(math.abs(math.sin(at) - sequence(ragged, 2).x[t][d]) < 1e-15)
        at = at + 1
      end
    end
    local steps = l.dataset(assert(l.npz(path "steps.npz")))
    assert.equal("step", steps.set.targets)
    assert.same({1, 2, 3}, sequence(steps, 1).y:totable())
    assert.same({0, 1}, sequence(steps, 4).mask:reshape(2):totable())
    local ids = l.dataset(assert(l.npz(path "ids.npz")))
    assert.same({6, 7, 1, 2, 3}, sequence(ids, 2).x:totable())
    assert.same({3, 1, 2, 3, 1}, sequence(ids, 2).y:totable())
    local one = l.dataset {x = l.ones(7, 2), y = l.zeros(7)}
    assert.same({7}, one.set.lengths)
  end)

  when_numpy("is split as a table is", function ()
    local function data (by, as)
      local a = assert(l.npz(path "many.npz", {as = {y = as}}))
      a.split = {70, 20, 10, by = by, seed = 3}
      return l.dataset(a)
    end
    local function members (split) return split:feed({batch = 1000, shuffle = false}):batch(1, 1) end
    for _, by in ipairs {"ordered", "random"} do
      local d = data(by)
      assert.same({140, 40, 20}, {members(d.train).B, members(d.valid).B, members(d.test).B})
      assert.equal(by == "ordered", members(d.train).seq[140] == 140)
    end
    local counts = {}
    for k, name in ipairs {"train", "valid", "test"} do
      counts[k] = members(data("stratified", "ids")[name]).y:real():sum()
    end
    -- Each class by itself: 20 of 200 are of the second one.
    assert.same({140 + 14, 40 + 4, 20 + 2}, counts)
    local seen, d = {}, data "grouped"
    for _, name in ipairs {"train", "valid", "test"} do
      for _, i in ipairs(members(d[name]).seq) do
        local group = (i - 1) // 7
        assert(seen[group] == nil or seen[group] == name)
        seen[group] = name
      end
    end
    assert.error_matches(function () data("stratified", "numbers") end, "one class per sequence")
  end)

  it("says what does not fit", function ()
    local function refuses (words, d)
      local ok, message = pcall(l.dataset, d)
      assert(not ok and tostring(message):find(words, 1, true), tostring(message))
    end
    local x = l.ones(4, 5, 2)
    refuses("'lenghts', did you mean 'lengths'", {x = x, lenghts = {1}})
    refuses("3 lengths for 4", {x = x, lengths = {1, 2, 3}})
    refuses("sequence 2 has 6 steps of 5", {x = x, lengths = {1, 6, 3, 3}})
    refuses("the lengths come to 5 steps, x has 4", {x = l.ones(4, 5), lengths = {2, 3}})
    refuses("sequence 2 has 0 steps", {x = l.ones(4, 5), lengths = {4, 0}})
    refuses("expected 0 at the beginning", {x = l.ones(4, 5), offsets = {1, 4}})
    refuses("not both", {x = l.ones(4, 5), offsets = {0, 4}, lengths = {4}})
    refuses("got ids", {x = l.ones(4, 5), lengths = l.ids {4}})
    refuses("whole numbers, got 1.5 at 1", {x = l.ones(4, 5), lengths = {1.5, 2.5}})
    refuses("y (3): expected one per step or per sequence for x (4,5,2)", {x = x, y = l.ones(3)})
    refuses("per step for", {x = x, y = l.ones(4), targets = "step"})
    refuses("mask (4)", {x = x, mask = l.ones(4)})
    refuses("group: 2 numbers for 4", {x = x, group = {1, 2}, split = {1, 1, 1, by = "grouped"}})
    refuses("needs an array group", {x = x, split = {1, 1, 1, by = "grouped"}})
    refuses("expected reals (N,T,D)", {x = l.ones(1, 1, 1, 1)})
  end)

  local when_built = numpy and shell.ready and it or pending

  when_built("is written by lurn data npy", function ()
    local code, out, err = shell.lurn "data npy ragged.npz -o ragged.h5 --json"
    assert.equal(0, code, err)
    assert.matches('"sequences": 4', out)
    local f = lurn.f32
    assert.equal(f.dataset(assert(f.npz(path "ragged.npz"))).hash, assert(f.open(path "ragged.h5")).hash)
    code, out, err = shell.lurn "data npy x.npy y=labels.npy -o two.h5 --split 50,25,25 --by stratified --seed 2"
    assert.equal(0, code, err)
    assert.matches("two.h5: 4 sequences, 20 steps", out)
    local data = assert(f.open(path "two.h5"))
    assert(data.train and data.valid)
    assert.equal(1, data.set:sequence(1).y[1])
    code, out, err = shell.lurn "data npy ids.npz --as y=numbers -o numbers.h5"
    assert.equal(0, code, err .. out)
    assert.same({{2}, {0}, {1}, {2}, {0}}, assert(f.open(path "numbers.h5")).set:sequence(2).y:totable())
    for command, words in pairs {
      ["object.npy"] = "Python objects", ["missing.npy"] = "missing.npy",
      ["z=x.npy"] = "none of the arrays is called x",
      ["x.npy x.npy"] = "'x' comes twice", ["x.npy labels.npy"] = "unknown option 'labels'",
      ["x.npy --as x=id"] = "as.x", ["x.npy --as y=ids"] = "no array 'y'",
      ["ids.npz --as x=numbers"] = "y (4,5): expected one",
    } do
      code, out, err = shell.lurn("data npy -o bad.h5 " .. command)
      assert.equal(3, code, command .. err)
      assert.equal("", out)
      assert(err:find(words, 1, true), err)
      assert.not_matches("traceback", err)
    end
  end)
end)
