-- What a run read is known by its content: arrays of NumPy, images, tables. It is in the manifest, verify names the
-- file in which a byte differs, a file under another name is found, and a bundle carries it.

local lurn = require "lurn"
local shell = require "shell_helper"
local json = require "lurn.json" {}
local when_built = shell.ready and it or pending
local when_python = shell.ready and os.execute "python3 -c 'import zipfile' 2>/dev/null" and it or pending

-- A script for each reader; all of them train on x (6,4,1), and y where the file has one.
local READ = {
  npy = 'lurn.dataset {x = assert(lurn.npy "x.npy")}',
  npz = 'lurn.dataset(assert(lurn.npz "set.npz"))',
  idx = 'lurn.dataset {x = assert(lurn.idx("images", 6)):contiguous()}',
  csv = [[assert(lurn.csv("table.csv", {sequence = "id", x = {"a"}, y = "b", normalise = "x", missing = 0,
    split = {2, 1, by = "random", seed = 4}}))]],
}

local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "read", run = function (run)
  local data = %s
  local set = {split = {train = {1, #data.set}}}
  for i = 1, #data.set do set[i] = {x = data.set:sequence(i).x, y = data.set:sequence(i).x} end
  local made = lurn.dataset(set)
  local model = lurn.stack {input = made, lurn.rnn {hidden = 3}, lurn.linear {size = made.set.dim},
    loss = lurn.loss.mse()}
  return run:fit {model = model, optim = lurn.optim.sgd(model), train = made.train, seq = 0, batch = 2, steps = 3}.loss
end}
]]

-- The bytes of a .npy file of 6 x 4 x 1 numbers, in C order or the other, and wide or narrow.
local function npy (descr, format, fortran, change)
  local numbers = {}
  for i = 0, 5 do
    for t = 0, 3 do
      local value = 0.5 * i - t
      if i == 2 and t == 1 then value = value + (change or 0) end
      numbers[fortran and 6 * t + i + 1 or 4 * i + t + 1] = ("<" .. format):pack(value)
    end
  end
  local header = ("{'descr': '%s', 'fortran_order': %s, 'shape': (6, 4, 1), }\n"):format(descr,
    fortran and "True" or "False")
  return ("\147NUMPY\1\0" .. ("<I2"):pack(#header) .. header .. table.concat(numbers))
end

local function images (last)
  local bytes = {}
  for i = 1, 8 * 4 * 3 do bytes[i] = string.char(i * 7 % 256) end
  bytes[6 * 4 * 3] = string.char(last or 9)
  return "\0\0\8\3" .. (">I4I4I4"):pack(8, 4, 3) .. table.concat(bytes)
end

local function cells (change)
  local lines = {"id,a,b,c"}
  for i = 1, 6 do
    for t = 1, 4 do lines[#lines + 1] = ("%d,%g,%g,unused"):format(i, 0.5 * i - t, i * t) end
  end
  lines[7] = lines[7]:gsub("unused", change or "unused")
  return table.concat(lines, "\n") .. "\n"
end

local ZIP = [[python3 -c "
import sys, zipfile
with zipfile.ZipFile('set.npz', 'w', zipfile.ZIP_DEFLATED if sys.argv[1] == 'deflated' else zipfile.ZIP_STORED) as z:
    for name in sys.argv[2:]: z.write(name, {'wide.npy': 'x.npy'}.get(name, name))
" ]]

local function verify (words)
  local code, out, err = shell.lurn("verify --json --quiet " .. words)
  return code, json.decode(out) or {error = out .. err}
end

local function entries (d)
  local list = {}
  for _, e in ipairs(d.differences) do if not e.entry:find "^environment" then list[#list + 1] = e.entry end end
  return list
end

local function equal (words)
  local code, d = verify(words)
  assert.equal(0, code, d.error)
  assert.is_true(d.equal)
end

-- Other bytes: verify names them, whether or not a bit of the run comes of it.
local function differs (words, ...)
  local code, d = verify(words)
  assert.equal(1, code, d.error)
  assert.same({...}, entries(d))
end

local function source (name, k)
  local file = assert(lurn.runfile.read(shell.path(name)))
  return file.manifest.data[k or 1]
end

describe("what a run has read", function ()
  local function run (kind)
    shell.write(kind .. ".lua", SCRIPT:format(READ[kind]))
    local code, _, err = shell.lurn(("run %s.lua --quiet --out %s.h5"):format(kind, kind))
    assert.equal(0, code, err)
  end

  setup(shell.open)
  teardown(shell.close)

  when_built("as an array of NumPy is known by its numbers, in whatever order and width", function ()
    shell.write("x.npy", npy("<f8", "d"))
    run "npy"
    assert.equal("x.npy", source("npy.h5").path)
    assert.equal(64, #source("npy.h5").hash)
    assert.same({}, source("npy.h5").npy)
    equal "npy.h5"
    shell.write("x.npy", npy("<f4", "f", true))
    equal "npy.h5"
    shell.write("x.npy", npy("<f4", "f", true, 0.25))
    differs("npy.h5", "data.1.hash", "data.2.hash", "data.3.hash")
  end)

  when_built("is found by its content, whatever its name", function ()
    shell.write("other", npy("<f8", "d"))
    equal "npy.h5 --data npy.lua,other"
    local code, _, err = shell.lurn "rerun npy.h5 --quiet --out again.h5"
    assert.equal(3, code)
    assert.matches("x.npy: not the data of the run: the hash of the content is %x+, and was %x+; %-%-data", err)
    shell.run "rm x.npy"
    code, _, err = shell.lurn "rerun npy.h5 --quiet --out again.h5"
    assert.equal(3, code)
    assert.matches("x.npy: .-%-%-data FILE says where they are", err)
    code, _, err = shell.lurn "rerun npy.h5 --quiet --out again.h5 --data other"
    assert.equal(0, code, err)
    assert.equal(source("npy.h5").hash, source("again.h5").hash)
  end)

  when_python("as an archive is known by its arrays, however they are packed", function ()
    shell.write("x.npy", npy("<f8", "d"))
    shell.write("y.npy", npy("<f8", "d", true))
    assert.equal(0, (shell.run(ZIP .. "stored x.npy y.npy")))
    run "npz"
    equal "npz.h5"
    shell.write("wide.npy", npy("<f4", "f"))
    assert.equal(0, (shell.run(ZIP .. "deflated y.npy wide.npy")))
    equal "npz.h5"
    shell.write("y.npy", npy("<f8", "d", true, 1))
    assert.equal(0, (shell.run(ZIP .. "stored x.npy y.npy")))
    differs("npz.h5", "data.1.hash", "data.2.hash")      -- the third set has no y of it
    shell.write("y.npy", npy("<f8", "d", true))
    assert.equal(0, (shell.run(ZIP .. "stored x.npy y.npy")))
  end)

  when_built("as images is known by those that were read", function ()
    shell.write("images", images())
    run "idx"
    assert.same({most = 6}, source("idx.h5").idx)
    equal "idx.h5"
    shell.run "gzip -c images > packed && mv packed images"
    equal "idx.h5"
    shell.write("images", images(10))
    differs("idx.h5", "data.1.hash", "data.2.hash", "data.3.hash")
    shell.write("images", images())
  end)

  when_built("as a table is known by what its options make of it", function ()
    shell.write("table.csv", cells())
    run "csv"
    local s = source "csv.h5"
    assert.equal("table.csv", s.path)
    local scale = s.csv.normalise
    assert.same({{"a"}, 1, 1, nil}, {scale.x.columns, #scale.x.mean, #scale.x.deviation, scale.y})
    assert.same({sequence = "id", x = {"a"}, y = "b", normalise = scale, class = false, missing = 0,
      split = {shares = {2, 1}, by = "random", seed = 4}}, s.csv)
    assert.equal(s.hash, lurn.source.hash(s, shell.path "table.csv"))
    equal "csv.h5"
    local _, out = shell.lurn "eval csv.h5"      -- knows how the table was read
    assert.matches("^valid +loss [%d.]+ ", out)
    shell.write("table.csv", cells "Unused")
    equal "csv.h5"
    shell.write("table.csv", (cells():gsub("\n3,0.5,3,", "\n3,0.5,4,")))
    differs("csv.h5", "data.1.hash")      -- a target: the inputs, of which the script makes its set, are as they were
    shell.write("table.csv", cells())
    local code, err
    code, out, err = shell.lurn "rerun csv.h5 --quiet --force --out again.h5"
    assert.equal(0, code, err .. out)
  end)

  when_python("goes into a bundle with its runs, and is found there", function ()
    shell.run "mkdir runs && mv npy.h5 npz.h5 idx.h5 csv.h5 runs"
    local code, out, err = shell.lurn "bundle runs -o all.h5 --with-data"
    assert.equal(0, code, err .. out)
    shell.run "mkdir gone && mv x.npy y.npy other set.npz images table.csv gone"
    for _, kind in ipairs {"npy", "npz", "idx", "csv"} do equal("all.h5 --run " .. kind) end
    code, out, err = shell.lurn "bundle runs -o none.h5 --with-data"
    assert.same({3, ""}, {code, out})
    assert.matches("the data of runs/%w+.h5 are not there", err)
    code, out, err = shell.lurn("bundle runs -o more.h5 --with-data "
      .. "--data gone/other,gone/set.npz,gone/images,gone/table.csv")
    assert.equal(0, code, err .. out)
    for _, kind in ipairs {"npy", "npz", "idx", "csv"} do equal("more.h5 --run " .. kind) end
  end)

  it("is not missing because reading it was interrupted", function ()
    local own, current = lurn.csv, {sources = {}}
    local function interrupted () error(lurn.interrupted, 0) end
    local file = {manifest = {data = {{path = "table.csv", hash = "x", csv = {}}}}}
    local readers = {}
    for _, name in ipairs {"text", "open", "csv", "npy", "npz", "idx"} do readers[name] = lurn[name] end
    lurn.csv, lurn.current = interrupted, current
    require "lurn.replay" (lurn).find_data(file, {}, true)
    for _, f in ipairs {function () return lurn.csv("table.csv", {}) end,
      function () return lurn.source.hash(file.manifest.data[1], "table.csv") end} do
      local ok, value = pcall(f)
      assert.same({false, true, true}, {ok, value == lurn.interrupted, lurn.current == current})
    end
    for name, reader in pairs(readers) do lurn[name] = reader end
    lurn.csv, lurn.current = own, nil
  end)
end)
