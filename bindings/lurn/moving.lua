--- Moving digits: short films in which digits fly straight and bounce off the walls; which frame comes next?
--
--   local data = lurn.moving {T = 20, frame = 16, n = 1000}                      -- digits that are drawn here
--   local data = assert(lurn.moving {images = "t10k-images.gz", frame = 24})     -- those of an IDX file
--
-- After Srivastava, Mansimov & Salakhutdinov 2015, Unsupervised learning of video representations using LSTMs
-- ("Moving MNIST": two digits of 28 x 28 in frames of 64 x 64, 20 frames), but smaller. A film is a sequence: x_t is
-- frame t, its pixels row by row in numbers from 0 to 1, and y_t is frame t + 1. Speeds are whole pixels a frame, so
-- that a frame follows from the two before it; where digits overlap the brighter pixel is seen, and they pass through.
--
-- Every film is a function of the seed and its own number: film 7 is the same however many there are.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local OPTIONS = {
    T = {"integer", 20, {2, 1e6}, "frames of a film; a sequence has one step less"},
    frame = {"integer", 16, {2, 1024}, "rows and columns of a frame"},
    digits = {"integer", 2, {1, 100}, "how many there are in a film"},
    speed = {"integer", 2, {1, 1024}, "the largest, in pixels a frame, in each direction"},
    n = {"integer", 1000, {1, 1e8}, "films to train on"},
    valid = {"integer", 100, {0, 1e8}, "films to validate on"},
    test = {"integer", 100, {0, 1e8}, "films to test on"},
    images = {"string", nil, nil, "an IDX file of digits; without it they are drawn, 5 x 7"},
    shrink = {"integer", 2, {1, 64}, "of a file: so many rows and columns become one"},
    seed = {"integer", 1, nil, "of every draw"},
  }

  local MOST = 2000            -- images that are taken from a file

  ---------------------------------------------------------------- digits: {h =, w =, [row][column] = brightness}

  local DRAWN = {
    ".###. ..#.. .###. ####. ...#. ##### ..##. ##### .###. .###.",
    "#...# .##.. #...# ....# ..##. #.... .#... ....# #...# #...#",
    "#...# ..#.. ....# ....# .#.#. ####. #.... ...#. #...# #...#",
    "#...# ..#.. ..##. .###. #..#. ....# ####. ...#. .###. .####",
    "#...# ..#.. .#... ....# ##### ....# #...# ..#.. #...# ....#",
    "#...# ..#.. #.... ....# ...#. #...# #...# ..#.. #...# ...#.",
    ".###. .###. ##### ####. ...#. .###. .###. ..#.. .###. .##..",
  }

  -- What is left of an image (a list of rows) when dark rows and columns at its borders are cut off.
  local function trimmed (image)
    local top, bottom, left, right = math.huge, 0, math.huge, 0
    for r, row in ipairs(image) do
      for c, x in ipairs(row) do
        if x > 0 then
          top, bottom, left, right = math.min(top, r), r, math.min(left, c), math.max(right, c)
        end
      end
    end
    local digit = {h = math.max(0, bottom - top + 1), w = math.max(0, right - left + 1)}
    for r = 1, digit.h do digit[r] = table.move(image[top + r - 1], left, right, 1, {}) end
    return digit
  end

  local function drawn ()
    local list = {}
    for k = 1, 10 do
      local image = {}
      for r, line in ipairs(DRAWN) do
        image[r] = {}
        for c = 1, 5 do image[r][c] = line:sub(6 * k - 6 + c, 6 * k - 6 + c) == "#" and 1 or 0 end
      end
      list[k] = trimmed(image)
    end
    return list
  end

  -- Means over k x k pixels: (n, h, w) to (n, h // k, w // k); what is left over at the borders is cut off.
  local function shrunk (x, k)
    local n, h, w = x:size(1), x:size(2) // k, x:size(3) // k
    x = x:narrow(2, 1, h * k):narrow(3, 1, w * k):contiguous()
    return x:reshape(n * h * k * w, k):mean(2):reshape(n * h, k, w):mean(2):reshape(n, h, w)
  end

  local function from_file (o)
    local x, message, code = lurn.idx(o.images, MOST)
    if not x then return nil, message, code end
    local list = shrunk(x, o.shrink):totable()
    for i, image in ipairs(list) do list[i] = trimmed(image) end
    return list
  end

  local function check_sizes (list, o)
    for i, digit in ipairs(list) do
      if digit.h > o.frame or digit.w > o.frame then
        error(("lurn.moving: digit %d is %d x %d, and does not fit into a frame of %d x %d"):format(i, digit.h, digit.w,
          o.frame, o.frame), 3)
      end
    end
  end

  ---------------------------------------------------------------- films

  -- A point between two walls, 0 and L, is one on a circle of circumference 2 L, seen from the side.
  local function bounced (u, L)
    if L == 0 then return 0 end
    u = u % (2 * L)
    return u <= L and u or 2 * L - u
  end

  -- A digit with where it starts and which way it flies along each axis (both in the phase), and how fast; never 0, 0.
  local function launched (throw, list, o)
    local digit, ways = list[throw(#list) + 1], o.speed + 1
    local rows, columns, speeds = o.frame - digit.h, o.frame - digit.w, throw(ways * ways - 1) + 1
    return {digit = digit, rows = rows, columns = columns, row = throw(2 * rows), column = throw(2 * columns),
      down = speeds // ways, right = speeds % ways}
  end

  local function draw (frame, digit, top, left, side)
    for r = 1, digit.h do
      local at, row = (top + r - 1) * side + left, digit[r]
      for c = 1, digit.w do frame[at + c] = math.max(frame[at + c], row[c]) end
    end
  end

  -- What film i throws: the k-th call gives one of 0 to n - 1, each as likely.
  local function die (seed, i)
    local k, name = 0, "moving " .. i
    return function (n)
      k = k + 1
      return n > 0 and lurn.rng.below(seed, "data", name, k, n) or 0
    end
  end

  -- Film i, whose digits are among those of `list`: (T, frame frame).
  local function film (i, list, o)
    local flying, frames, throw = {}, {}, die(o.seed, i)
    for d = 1, o.digits do flying[d] = launched(throw, list, o) end
    for t = 1, o.T do
      local frame = {}
      for at = 1, o.frame * o.frame do frame[at] = 0 end
      for _, f in ipairs(flying) do
        draw(frame, f.digit, bounced(f.row + f.down * t, f.rows), bounced(f.column + f.right * t, f.columns), o.frame)
      end
      frames[t] = frame
    end
    return lurn.tensor(frames)
  end

  -- The images of a file are dealt out to the splits, so that no digit is seen in two of them; ten drawn ones are not.
  local function share (list, o, first, last)
    if not o.images then return list end
    local total = o.n + o.valid + o.test
    local a, b = #list * first // total, #list * last // total
    if a == b and last > first then
      error(("lurn.moving: %s has %d images, too few for these splits"):format(o.images, #list), 3)
    end
    return table.move(list, a + 1, b, 1, {})
  end

  --- Films of moving digits: x and y (T - 1, frame frame), y_t = x_(t+1). Splits train, valid, test.
  ---@param options? table   see OPTIONS above
  ---@return lurn.Data? data   nil, message, code when the file of images cannot be read
  ---@return string? message
  ---@return string? code
  function M.moving (options)
    local o = schema.check("lurn.moving", options, OPTIONS)
    local list, message, code
    if o.images then list, message, code = from_file(o) else list = drawn() end
    if not list then return nil, message, code end
    check_sizes(list, o)
    local set, last = {split = {}, targets = "step"}, 0
    set.source = ("synthetic: moving digits, %s, seed %d"):format(o.images or "drawn", o.seed):sub(1, 255)
    for _, part in ipairs {{"train", o.n}, {"valid", o.valid}, {"test", o.test}} do
      local first = last + 1
      last = last + part[2]
      if last >= first then set.split[part[1]] = {first, last} end
      local digits = share(list, o, first - 1, last)
      for i = first, last do
        local frames = film(i, digits, o)
        set[i] = {x = frames:narrow(1, 1, o.T - 1), y = frames:narrow(1, 2, o.T - 1)}
      end
    end
    return lurn.dataset(set)
  end

  return M
end
