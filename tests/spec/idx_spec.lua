-- IDX files as data sets: images cut into rows, pixels and patches, classes, splits, packed files; and a message for
-- every file that is not what it says. Then the same on the command line, up to a model that reads the images.

local lurn = require "lurn".f64
local json = require "lurn.json" {}
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

setup(shell.open)
teardown(shell.close)

-- An IDX file of these sizes.
local function idx (sizes, bytes)
  local text = "\0\0\8" .. string.char(#sizes)
  for _, n in ipairs(sizes) do text = text .. (">I4"):pack(n) end
  return text .. bytes
end

-- n images of h x w, whose pixels are all different; and their classes, 0 to 2.
local function write_set (name, n, h, w)
  local pixels, classes = {}, {}
  for i = 0, n * h * w - 1 do pixels[i + 1] = string.char(i * 7 % 256) end
  for i = 0, n - 1 do classes[i + 1] = string.char(i % 3) end
  shell.write(name .. "-images", idx({n, h, w}, table.concat(pixels)))
  shell.write(name .. "-labels", idx({n}, table.concat(classes)))
end

local function import (options, name)
  name = name or "a"
  return lurn.import_idx(shell.path(name .. "-images"), shell.path(name .. "-labels"), shell.path "set.h5", options)
end

-- Pixel (i, r, c) of write_set's images of 4 x 6, everything from 0; f32 is what the file holds.
local function pixel (i, r, c)
  local byte = ((i * 4 + r) * 6 + c) * 7 % 256
  return string.unpack("f", string.pack("f", byte / 255))
end

describe("an IDX file", function ()
  setup(function ()
    write_set("a", 150, 4, 6)
    write_set("t", 2, 4, 6)
  end)

  it("becomes rows, with splits and classes", function ()
    assert.equal(shell.path "set.h5", import {valid = 30, test_images = shell.path "t-images",
      test_labels = shell.path "t-labels", source = "drawn", licence = "none"})
    local data = assert(lurn.open(shell.path "set.h5"))
    local set = data.set
    assert.equal(152, set.n)
    assert.equal(6, set.dim)
    assert.equal("sequence", set.targets)
    assert.same({"0", "1", "2"}, set.classes)
    assert.same({train = {{1, 120}}, valid = {{121, 150}}, test = {{151, 152}}}, set.splits)
    for _, i in ipairs {1, 64, 65, 150} do
      local x, y = set:sequence(i).x, set:sequence(i).y
      assert.same({4, 6}, x.shape)
      for r = 0, 3 do
        for c = 0, 5 do assert.near(pixel(i - 1, r, c), x(r + 1, c + 1), 1e-9) end
      end
      assert.same({(i - 1) % 3 + 1}, y:totable())
    end
    local file <close> = assert(lurn.h5.open(shell.path "set.h5"))
    assert.equal("drawn", file:attr("/", "source"))
    assert.equal("none", file:attr("/", "licence"))
  end)

  it("becomes several rows a step, pixels or patches, in raster order", function ()
    assert(import {valid = 0, rows = 2})
    local two = assert(lurn.open(shell.path "set.h5")).set:sequence(3).x
    assert.same({2, 12}, two.shape)
    assert.near(pixel(2, 3, 1), two(2, 8), 1e-9)
    assert(import {valid = 0, steps = "pixels"})
    local x = assert(lurn.open(shell.path "set.h5")).set:sequence(3).x
    assert.same({24, 1}, x.shape)
    assert.near(pixel(2, 1, 1), x(8, 1), 1e-9)
    assert(import {valid = 0, steps = "patches", patch = 2})
    x = assert(lurn.open(shell.path "set.h5")).set:sequence(3).x
    assert.same({6, 4}, x.shape)
    local patch = x[5]:totable()        -- the second row of patches, its middle one
    for k, at in ipairs {{2, 2}, {2, 3}, {3, 2}, {3, 3}} do assert.near(pixel(2, at[1], at[2]), patch[k], 1e-9) end
  end)

  it("may be packed, and is the same data", function ()
    assert(import {valid = 30})
    local plain = assert(lurn.open(shell.path "set.h5")).hash
    assert.equal(0, (shell.run "gzip -c a-images > \"it's packed\" && gzip -k a-labels"))
    assert(lurn.import_idx(shell.path "it's packed", shell.path "a-labels.gz", shell.path "set.h5", {valid = 30}))
    assert.equal(plain, assert(lurn.open(shell.path "set.h5")).hash)
  end)

  it("is a tensor, or the beginning of one", function ()
    local x = assert(lurn.idx(shell.path "a-images"))
    assert.same({150, 4, 6}, x.shape)
    assert.near(59 * 7 % 256 / 255, x(3, 2, 6), 1e-12)
    assert.is_true(x:narrow(1, 1, 70):equal(assert(lurn.idx(shell.path "a-images", 70))))
  end)
end)

describe("an IDX file that is none", function ()
  local function refused (pattern, images, labels, options, code)
    shell.write("b-images", images)
    shell.write("b-labels", labels or idx({2}, "\0\1"))
    os.remove(shell.path "set.h5")
    local out, message, got = import(options or {valid = 1}, "b")
    assert.is_nil(out)
    assert.equal(code or "EINVAL", got)
    assert.matches(pattern, message)
    assert.is_false(shell.exists "set.h5")
  end
  local four = ("\1"):rep(4)

  it("has a message", function ()
    refused("b%-images: it ends after 0 bytes, in its header", "")
    refused("b%-images: it ends after 6 bytes, in its header", "\0\0\8\3\0\0")
    refused("b%-images: no IDX file", "hello, world")
    refused("b%-images: numbers of type 0x0d; expected unsigned bytes, 0x08", "\0\0\13\3" .. ("\0\0\0\1"):rep(3))
    refused("b%-images: 1 dimensions, 2; expected 3", idx({2}, "\0\1"))
    refused("b%-labels: 3 dimensions, 2 x 1 x 1; expected 1", idx({2, 2, 2}, four .. four), idx({2, 1, 1}, "\0\1"))
    refused("b%-images: dimension 3 is empty", idx({2, 2, 0}, ""))
    refused("b%-images: an item of more than 16777216 numbers", idx({2, 0xffffffff, 0xffffffff}, ""))
    refused("b%-images: it ends after 23 bytes, in its numbers", idx({2, 2, 2}, four .. "\1\1\1"))
    refused("b%-images: it ends after 20 bytes, in its numbers", idx({0xffffffff, 2, 2}, four),
      idx({0xffffffff}, "\0"))
    refused("b%-images: bytes follow the 2 x 2 x 2 numbers", idx({2, 2, 2}, four .. four .. "\1"))
    refused("b%-labels: 3 classes for the 2 images of .*b%-images", idx({2, 2, 2}, four .. four), idx({3}, "\0\1\2"))
    refused("b%-labels: it ends after 9 bytes", idx({2, 2, 2}, four .. four), idx({2}, "\0"))
  end)

  it("nor what the options ask for", function ()
    local fine = idx({2, 2, 2}, four .. four)
    refused("valid = 2 leaves none of 2 images to train on", fine, nil, {valid = 2})
    refused("images of 2 x 2 cannot be cut into pieces of 4 x 4", fine, nil, {steps = "patches", valid = 1})
    write_set("t", 2, 4, 6)
    local test = {valid = 1, test_images = shell.path "t-images", test_labels = shell.path "t-labels"}
    refused("t%-images: images of 4 x 6; those of train have 2 x 2", fine, nil, test)
    refused("nowhere: No such file", fine, nil, {valid = 1, test_images = shell.path "nowhere",
      test_labels = shell.path "t-labels"}, "ENOENT")
    assert.has_error(function () import({test_images = "x"}, "b") end,
      "lurn.import_idx: test_images and test_labels come together")
    assert.has_error(function () import({setps = "rows"}, "b") end)
  end)

  it("when what is packed is damaged", function ()
    write_set("c", 40, 4, 6)
    assert.equal(0, (shell.run "gzip -k c-images c-labels"))
    local packed, labels = shell.read "c-images.gz", shell.read "c-labels.gz"
    local middle = #packed // 2
    refused("b%-images: unpacked, it ends after %d+ bytes, in its %a+ %(gzip says that it is damaged%)",
      packed:sub(1, middle), labels)
    refused("b%-images: gzip says that it is damaged", packed:sub(1, -9) .. "\0\0\0\0" .. packed:sub(-4), labels)
    refused("b%-images: unpacked, it ends after 0 bytes", "\31\139 and something else", labels)
  end)
end)

describe("the command line", function ()
  when_built("imports images", function ()
    write_set("a", 150, 4, 6)
    write_set("t", 10, 4, 6)
    local code, out, err = shell.lurn("data idx a-images a-labels -o set.h5 --valid 30 --test-images t-images "
      .. "--test-labels t-labels")
    assert.equal(0, code, err)
    assert.equal("set.h5: 160 images, each 4 steps of 6 numbers, 3 classes\n", out)
    code, out, err = shell.lurn "data idx a-images a-labels -o set.h5 --steps pixels --valid 30 --json"
    assert.equal(0, code, err)
    assert.equal(24, json.decode(out).steps)
  end)

  when_built("says what is wrong", function ()
    local code, _, err = shell.lurn "data idx a-images -o set.h5"
    assert.equal(2, code)
    assert.matches("which images, which labels, and where to%?", err)
    code, _, err = shell.lurn "data idx a-images a-images -o set.h5"
    assert.equal(3, code)
    assert.matches("a%-images: 3 dimensions, 150 x 4 x 6; expected 1", err)
    code, _, err = shell.lurn "data idx a-images a-labels -o set.h5 --test-images t-images"
    assert.equal(2, code)
    assert.matches("come together", err)
  end)

  -- Bright where the class says: rows for the first two, everything for the third.
  when_built("trains a reader of them", function ()
    local function draw (name, n)
      local images, labels = {}, {}
      for i = 0, n - 1 do
        for r = 0, 3 do
          local on = i % 3 == 2 or (r < 2) == (i % 3 == 0)
          for c = 0, 5 do images[#images + 1] = string.char((on and 150 or 0) + (i * 31 + r * 17 + c * 13) % 100) end
        end
        labels[#labels + 1] = string.char(i % 3)
      end
      shell.write(name .. "-images", idx({n, 4, 6}, table.concat(images)))
      shell.write(name .. "-labels", idx({n}, table.concat(labels)))
    end
    draw("d", 330)
    draw("e", 60)
    assert.equal(0, (shell.lurn("data idx d-images d-labels -o set.h5 --valid 30 --test-images e-images "
      .. "--test-labels e-labels")))
    local code, out, err = shell.lurn("run " .. shell.here .. "/scripts/mnist.lua --data set.h5 --hidden 8 --batch 10 "
      .. "--epochs 4 --lr 0.02 --quiet --json --out run.h5")
    assert.equal(0, code, err)
    local run = json.decode(out)
    assert.equal(120, run.steps)
    assert.is_true(run.result > 0.95, out)
    assert.matches("epoch  4   validation accuracy", err)
  end)
end)
