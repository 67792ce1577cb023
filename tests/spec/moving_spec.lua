-- Moving digits: films are functions of seed and number, digits fly straight and bounce, those of a file are shrunk
-- and dealt out to the splits.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

setup(shell.open)
teardown(shell.close)

local function with_file (text, use)
  local path = os.tmpname()
  local f = assert(io.open(path, "wb"))
  f:write(text)
  f:close()
  local ok, e = pcall(use, path)
  os.remove(path)
  if not ok then error(e, 0) end
end

-- Rows and columns of what is bright in frame t of a film: top, left, height, width; counted from 0.
local function box (x, t, side)
  local top, left, bottom, right = side, side, -1, -1
  for r = 0, side - 1 do
    for c = 0, side - 1 do
      if x(t, r * side + c + 1) > 0 then
        top, left, bottom, right = math.min(top, r), math.min(left, c), math.max(bottom, r), math.max(right, c)
      end
    end
  end
  return top, left, bottom - top + 1, right - left + 1
end

-- Whether a point that starts at places[1] with some speed, stepped and thrown back at 0 and L, is at all of them.
local function flies (places, L, speed)
  for start = -speed, speed do
    local at, v, fits = places[1], start, true
    for t = 2, #places do
      at = at + v
      if at < 0 then at, v = -at, -v end
      if at > L then at, v = 2 * L - at, -v end
      fits = fits and at == places[t]
    end
    if fits then return true, math.abs(start) end
  end
  return false
end

describe("moving digits", function ()
  it("are sequences whose target is the next frame", function ()
    local data = lurn.moving {T = 6, frame = 12, n = 5, valid = 2, test = 1}
    assert.same({train = {{1, 5}}, valid = {{6, 7}}, test = {{8, 8}}}, data.set.splits)
    for i = 1, 8 do
      local s = data.set:sequence(i)
      assert.same({5, 144}, s.x.shape)
      assert.is_true(s.x:narrow(1, 2, 4):equal(s.y:narrow(1, 1, 4)))
      assert.equal(0, s.x:min())
      assert.equal(1, s.x:max())
    end
  end)

  it("are functions of the seed and the film's number", function ()
    local a = lurn.moving {n = 9, valid = 0, test = 0}
    local b = lurn.moving {n = 4, valid = 3, test = 0}
    assert.is_true(a.set:sequence(7).x:equal(b.set:sequence(7).x))
    assert.is_false(a.set:sequence(7).x:equal(a.set:sequence(8).x))
    local c = lurn.moving {n = 9, valid = 0, test = 0, seed = 2}
    assert.is_false(a.set:sequence(7).x:equal(c.set:sequence(7).x))
  end)

  it("fly straight, never stand, and bounce off the walls", function ()
    local side, fastest = 13, 0
    local data = lurn.moving {T = 31, frame = side, digits = 1, speed = 3, n = 40, valid = 0, test = 0}
    for i = 1, 40 do
      local x, rows, columns = data.set:sequence(i).x, {}, {}
      local h, w
      for t = 1, 30 do rows[t], columns[t], h, w = box(x, t, side) end
      assert.equal(7, h)
      local straight, down = flies(rows, side - h, 3)
      assert.is_true(straight, table.concat(rows, " "))
      local too, right = flies(columns, side - w, 3)
      assert.is_true(too, table.concat(columns, " "))
      assert.is_true(down + right > 0)
      fastest = math.max(fastest, down, right)
    end
    assert.equal(3, fastest)
  end)

  -- Twenty images of 8 x 8, image k with a block of 4 x 4 of brightness 10 k.
  it("may be images of a file, shrunk and dealt out to the splits", function ()
    local text = {"\0\0\8\3", (">I4I4I4"):pack(20, 8, 8)}
    for k = 1, 20 do
      local dark, bright = "\0\0", string.char(10 * k):rep(4) .. "\0\0"
      text[#text + 1] = ("\0"):rep(16) .. (dark .. bright):rep(4) .. ("\0"):rep(16)
    end
    with_file(table.concat(text), function (path)
      local data = assert(lurn.moving {images = path, T = 3, frame = 5, digits = 1, speed = 1, n = 50, valid = 25,
        test = 25})
      local brightest = {}
      for i = 1, 100 do
        local x = data.set:sequence(i).x
        local _, _, h, w = box(x, 1, 5)
        assert.same({2, 2}, {h, w})
        brightest[i] = math.floor(x:max() * 25.5 + 0.5)
      end
      for i = 1, 100 do
        local k = brightest[i]
        assert.equal(i <= 50 and 1 or i <= 75 and 2 or 3, k <= 10 and 1 or k <= 15 and 2 or 3)
      end
      assert.has_error(function () lurn.moving {images = path, frame = 2, n = 1, shrink = 1} end,
        "lurn.moving: digit 1 is 4 x 4, and does not fit into a frame of 2 x 2")
      assert.has_error(function () lurn.moving {images = path, n = 1000, valid = 1, test = 1} end,
        ("lurn.moving: %s has 20 images, too few for these splits"):format(path))
    end)
    local data, message, code = lurn.moving {images = "nowhere.gz"}
    assert.is_nil(data)
    assert.equal("nowhere.gz: No such file or directory", message)
    assert.equal("ENOENT", code)
  end)

  it("are counted in frames, which is what the progress of a run says", function ()
    local experiment = lurn.experiment {name = "frames", params = {}, run = function (run)
      for _ in run:batches(lurn.moving {n = 4, valid = 0, test = 0, T = 3}.train, {batch = 2, seq = 0}) do end
    end}
    local _, run = experiment:run({}, {quiet = true, write = false})
    assert.equal("frames", run.progress.unit)
  end)

  it("are written as a data set", function ()
    local path = os.tmpname()
    assert.equal(path, dofile "datasets/moving.lua".make(path, {n = 3, valid = 1, test = 0, T = 4}))
    local data = assert(lurn.open(path))
    os.remove(path)
    assert.equal(lurn.moving {n = 3, valid = 1, test = 0, T = 4}.hash, data.hash)
  end)
end)

describe("the script of moving digits", function ()
  local arguments = "--frame 9 --kernel 3 --channels 8 --wide 32 --n 100 --T 10 --context 5 --ahead 2 --films 3 "
    .. "--steps 80 --lr 0.02 --quiet"

  -- Rows of the table by name: the numbers behind it.
  local function table_of (text)
    local rows = {}
    for line in text:gmatch "[^\n]+" do
      local name, rest = line:match "^(%a[%a, ]-)%s%s+([%d. ]+)$"
      if name then
        rows[name] = {}
        for number in rest:gmatch "%S+" do table.insert(rows[name], tonumber(number)) end
      end
    end
    return rows
  end

  -- Mean of -ln of the chance that chance (x, pixel) gave to what came next, over the films of test.
  local function next_frame_loss (data, chance)
    local sum, n = 0.0, 0
    for i = 201, 300 do
      local s = data.set:sequence(i)
      local x, y = s.x:totable(), s.y:totable()
      for t = 1, 9 do
        for pixel = 1, 81 do
          local p = chance(x[t], pixel)
          sum, n = sum - math.log(y[t][pixel] == 1 and p or 1 - p), n + 1
        end
      end
    end
    return sum / n
  end

  when_built("has a ConvLSTM win against an LSTM of equal size, and prints baselines", function ()
    local code, out, err = shell.lurn(("run %s/scripts/moving.lua --out run.h5 %s"):format(shell.here, arguments))
    assert.equal(0, code, err)
    local rows = table_of(out)
    local conv, equal, wide = rows.ConvLSTM, rows["LSTM, equal"], rows["LSTM, wide"]
    assert.near(1, equal[1] / conv[1], 0.05)
    assert.is_true(wide[1] > 5 * conv[1])
    assert.is_true(conv[2] < 0.95 * math.min(equal[2], wide[2]), out)
    for k = 2, 4 do assert.is_true(conv[k] < equal[k], out) end

    local data = lurn.moving {frame = 9, T = 10, n = 100}
    local image, on, off = {}, {n = 2, bright = 1}, {n = 2, bright = 1}
    for pixel = 1, 81 do image[pixel] = 1 end
    for i = 1, 100 do
      local s = data.set:sequence(i)
      local x, y = s.x:totable(), s.y:totable()
      for t = 1, 9 do
        for pixel = 1, 81 do
          local past = x[t][pixel] == 1 and on or off
          past.n, past.bright = past.n + 1, past.bright + y[t][pixel]
          image[pixel] = image[pixel] + y[t][pixel]
        end
      end
    end
    assert.near(next_frame_loss(data, function (_, pixel) return image[pixel] / 902 end), rows["mean image"][1], 6e-5)
    assert.near(next_frame_loss(data, function (x, pixel)
      local past = x[pixel] == 1 and on or off
      return past.bright / past.n
    end), rows["copied frame"][1], 6e-5)
  end)
end)
