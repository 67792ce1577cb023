--- Images and convolutions: over a frame, in a step, over time.
--
-- An image is a row of shape (h, w, c), the channels side by side; weights are (kh, kw, C, M), in the order of the
-- chains that they are summed in. A convolution is a cross-correlation, as everywhere. Functions of a symbol and
-- layers share a name: lurn.conv2d(x, W, {padding = 1}) computes, lurn.conv2d {size = 8, kernel = 3} is a layer.
--
--   lurn.stack {input = data, lurn.image(28, 28, 1), lurn.conv2d {size = 8, kernel = 3, activation = "relu"},
--               lurn.max_pool2d {size = 2}, lurn.flatten(), lurn.lstm {hidden = 64}, ...}

return function (lurn)
  local schema, is = lurn.schema, lurn.is_symbol
  local M = {}

  local function layer (name, options, apply) return {name = name, options = options, apply = apply} end

  -- 3 or {3, 5} as two numbers.
  local function pair (where, name, value, least)
    local a, b = value, value
    if type(value) == "table" then a, b = value[1], value[2] end
    local rule = {"integer", nil, {least, 1e6}}
    return schema.value(where, name, a, rule, 3), schema.value(where, name, b, rule, 3)
  end

  local function check_image (where, x)
    if is(x) and #x.shape == 3 then return end
    error(("%s: expected images (h,w,c), got %s; lurn.image(h, w, c) makes images of columns"):format(where,
      tostring(x)), 3)
  end

  ---------------------------------------------------------------- places of an image

  --- The numbers of a row as one vector. lurn.flatten() is the same as a layer.
  function M.flatten (x)
    if x == nil then return M.flatten end
    return lurn.reshape(x, x.cols)
  end

  --- A layer: columns as images of h rows, w columns and c channels, c fastest; c as many as there are by default.
  function M.image (h, w, c)
    return function (x)
      local channels = c or x.cols // (h * w)
      if h * w * channels ~= x.cols then
        error(("lurn.image: %d columns are no image (%d,%d,%d)"):format(x.cols, h, w, channels), 0)
      end
      return lurn.reshape(x, h, w, channels)
    end
  end

  local function crop (x, y0, x0, sy, sx, h, w)
    if y0 == 0 and x0 == 0 and sy == 1 and sx == 1 and h == x.shape[1] and w == x.shape[2] then return x end
    return x.program:write("crop", {x}, 0, {y0, x0, sy, sx, h, w})
  end

  local function place (x, y0, x0, h, w)
    if h == x.shape[1] and w == x.shape[2] then return x end
    return x.program:write("place", {x}, 0, {y0, x0, 1, 1, h, w})
  end

  --- h rows and w columns of an image from row y, column x0 on (from 1): all others are left out. With a stride s or
  -- {sy, sx}, every s-th of them.
  function M.crop (x, y, x0, h, w, stride)
    check_image("lurn.crop", x)
    local sy, sx = pair("lurn.crop", "stride", stride or 1, 1)
    return crop(x, y - 1, x0 - 1, sy, sx, h, w)
  end

  --- Zeros around an image: p on each side, {py, px}, or {top, left, bottom, right}.
  function M.pad2d (x, p)
    check_image("lurn.pad2d", x)
    local top, left = pair("lurn.pad2d", "padding", p, 0)
    local bottom, right = top, left
    if type(p) == "table" and p[3] then bottom, right = pair("lurn.pad2d", "padding", {p[3], p[4]}, 0) end
    return place(x, top, left, top + x.shape[1] + bottom, left + x.shape[2] + right)
  end

  --- A layer: images of patches. What stands in h x w places becomes the channels of one: (H,W,c) -> (H/h, W/w, h w c).
  function M.patches (h, w)
    return function (x)
      check_image("lurn.patches", x)
      local rows, width, c, y = x.shape[1] // h, x.shape[2], x.shape[3], nil
      if x.shape[1] % h + width % w > 0 then error(("lurn.patches: %d x %d places are no patches of %d x %d"):format(
        x.shape[1], width, h, w), 0) end
      for k = 0, h - 1 do                        -- row k of every patch
        local part = lurn.reshape(crop(x, k, 0, h, 1, rows, width), rows, width // w, w * c)
        y = y and lurn.concat(y, part) or part
      end
      return y
    end
  end

  ---------------------------------------------------------------- convolutions

  local HOW = {
    stride = {"integer|table", 1, nil, "from one place to the next, s or {sy, sx}"},
    dilation = {"integer|table", 1, nil, "from one tap to the next, d or {dy, dx}"},
    padding = {"integer|table|string", 0, {"same"},
      "zeros on each side, p or {py, px}; \"same\": as many outputs as places"},
  }

  -- One dimension, n places: how many zeros stand before the first, and how many places the taps reach in all.
  local function span (where, n, taps, stride, apart, padding)
    local reach = (taps - 1) * apart + 1
    if padding == "same" then
      local all = ((n - 1) // stride) * stride + reach
      return math.max(all - n, 0) // 2, all
    end
    if padding >= reach then error(("%s: padding %d: nothing but zeros under a kernel that reaches %d places"):format(
      where, padding, reach), 0) end
    local left = n + 2 * padding - reach
    if left < 0 then error(("%s: a kernel that reaches %d places does not fit into %d"):format(where, reach,
      n + 2 * padding), 0) end
    return padding, left // stride * stride + reach
  end

  -- x in the size that a kernel fits exactly: zeros around it, and nothing of it that no tap meets.
  local function fitted (where, x, kh, kw, o)
    local sy, sx = pair(where, "stride", o.stride, 1)
    local dy, dx = pair(where, "dilation", o.dilation, 1)
    local py, px = "same", "same"
    if o.padding ~= "same" then py, px = pair(where, "padding", o.padding, 0) end
    local top, h = span(where, x.shape[1], kh, sy, dy, py)
    local left, w = span(where, x.shape[2], kw, sx, dx, px)
    x = crop(x, 0, 0, 1, 1, math.min(x.shape[1], h - top), math.min(x.shape[2], w - left))
    return place(x, top, left, h, w), {sy, sx, dy, dx}
  end

  local CONV = {bias = {"any", nil, nil, "what the sums begin with: a vector (M), or what an earlier convolution gave"}}
  for k, v in next, HOW do CONV[k] = v end

  local function convolve (x, W, options)
    check_image("lurn.conv2d", x)
    local o = schema.check("lurn.conv2d", options, CONV)
    local image, how = fitted("lurn.conv2d", x, W.shape[1], W.shape[2], o)
    return x.program:write("conv", {o.bias, image, W}, 0, how)
  end

  local LAYER = {
    size = {"integer", schema.required, {1, 1e6}, "channels of the output"},
    kernel = {"integer|table", 3, nil, "taps k or {kh, kw}"},
    activation = {"string", "identity", nil, "of the output"},
    bias = {"boolean", true, nil, "add b"},
    init = {"table", nil, nil, "initialisers: {W = {\"he_uniform\"}, b = 0}"},
    name = {"string", nil, nil, "of its parameters"},
  }
  local CONV2D = {}
  for _, d in ipairs {LAYER, HOW} do for k, v in next, d do CONV2D[k] = v end end

  --- y[i][j] = act(b + sum over taps of x[i s + ky d][j s + kx d] W[ky][kx]), for each frame (LeCun et al. 1998).
  -- As a function: lurn.conv2d(x, W, {stride = 1, dilation = 1, padding = 0, bias = nil}).
  function M.conv2d (x, W, options)
    if is(x) then return convolve(x, W, options) end
    local o = schema.check("lurn.conv2d", x, CONV2D)
    local kh, kw = pair("lurn.conv2d", "kernel", o.kernel, 1)
    return layer(o.name or "conv2d", o, function (self, m, image)
      check_image("lurn.conv2d", image)
      local path = m:path(self)
      local bias = o.bias and m:param(path .. ".b", {o.size}, 0) or nil
      local w = m:param(path .. ".W", {kh, kw, image.shape[3], o.size})
      local y = convolve(image, w, {stride = o.stride, dilation = o.dilation, padding = o.padding, bias = bias})
      lurn.initialise(m.program, path, o.init)
      return m.program:activation(o.activation, y)
    end)
  end

  --- The transpose of a convolution without padding: an image (h, w, M) becomes one of ((h-1) s + (kh-1) d + 1, .., C)
  -- (Zeiler et al. 2010). lurn.crop takes off what a padding would have.
  function M.conv2d_transpose (x, W, options)
    check_image("lurn.conv2d_transpose", x)
    local o = schema.check("lurn.conv2d_transpose", options, {stride = HOW.stride, dilation = HOW.dilation,
      bias = {"any", nil, nil, "what the sums begin with: a vector (C)"}})
    local sy, sx = pair("lurn.conv2d_transpose", "stride", o.stride, 1)
    local dy, dx = pair("lurn.conv2d_transpose", "dilation", o.dilation, 1)
    return x.program:write("conv_dx", {o.bias, x, W}, 0, {sy, sx, dy, dx})
  end

  ---------------------------------------------------------------- pooling

  -- Columns first, then rows: what a window has of both is found by kh + kw operands, not by kh kw.
  local function pool (x, kh, kw, sy, sx, combine)
    local h, w, y = x.shape[1], x.shape[2], nil
    local oh, ow = (h - kh) // sy + 1, (w - kw) // sx + 1
    if oh < 1 or ow < 1 then error(("pooling: a window of %d x %d does not fit into an image of %d x %d"):format(kh, kw,
      h, w), 0) end
    for k = 0, kw - 1 do
      local part = crop(x, 0, k, 1, sx, h, ow)
      y = y and combine(y, part) or part
    end
    x, y = y, nil
    for k = 0, kh - 1 do
      local part = crop(x, k, 0, sy, 1, oh, ow)
      y = y and combine(y, part) or part
    end
    return y
  end

  local POOL = {
    size = {"integer|table", 2, nil, "of the window, k or {kh, kw}"},
    stride = {"integer|table", nil, nil, "from one window to the next; the size by default"},
    name = {"string", nil, nil, "of the layer"},
  }

  -- What does not fill a window at the end of a row or column is left out.
  local function define_pool (name, play)
    local where = "lurn." .. name
    M[name] = function (x, options)
      if is(x) then
        check_image(where, x)
      else
        options = x
      end
      local o = schema.check(where, type(options) == "number" and {size = options} or options, POOL)
      local kh, kw = pair(where, "size", o.size, 1)
      local sy, sx = pair(where, "stride", o.stride or o.size, 1)
      if is(x) then return play(x, kh, kw, sy, sx) end
      return layer(o.name or name, o, function (_, _, image)
        check_image(where, image)
        return play(image, kh, kw, sy, sx)
      end)
    end
  end

  --- The largest number of each window and channel: {size = 2, stride = size}. A layer, or a function of x and these.
  define_pool("max_pool2d", function (x, kh, kw, sy, sx) return pool(x, kh, kw, sy, sx, lurn.maximum) end)

  --- The mean of each window.
  define_pool("avg_pool2d", function (x, kh, kw, sy, sx)
    return pool(x, kh, kw, sy, sx, function (a, b) return a + b end) * (1 / (kh * kw))
  end)

  ---------------------------------------------------------------- over time

  local CONV1D = {
    dilation = {"integer", 1, {1, 1e6}, "steps from one tap to the next"},
    causal = {"boolean", true, nil, "no step sees a later one; otherwise the taps stand around it"},
  }
  for k, v in next, LAYER do CONV1D[k] = v end
  CONV1D.kernel = {"integer", 3, {1, 1e4}, "taps k"}

  -- x of all taps side by side, the oldest first. What is remembered is the state of a scan: the last (k-1) d inputs.
  -- So it is carried over windows, starts anew at a reset, and goes step by step as any state does.
  local function remembered (program, x, path, o)
    local D, n = x.cols, (o.kernel - 1) * o.dilation
    program:scan(path)
    local line = program:state("line", program:fill(0, "row", {n * D}))
    local all = lurn.concat(line, x)
    program:next(line, lurn.slice(all, D + 1, (n + 1) * D))
    local taps = lurn.flatten(crop(lurn.reshape(all, n + 1, 1, D), 0, 0, o.dilation, 1, o.kernel, 1))
    program:close()
    return taps
  end

  -- The same around each step, of the frames that the window has. As torch's padding = "same": where the taps cannot
  -- stand evenly, the future has one step more.
  local function around (x, o)
    local first, list = (o.kernel - 1) * o.dilation // 2, {}
    for k = 1, o.kernel do
      local back = first - (k - 1) * o.dilation
      list[k] = back == 0 and x or lurn.shift(x, back)
    end
    return lurn.concat(table.unpack(list))
  end

  --- y_t = act(b + sum over taps k of x_{t - k d} W_k): a convolution over time. Causal, it needs nothing of the
  -- future and plays step by step; centred (causal = false), it sees zeros beyond the window's ends. W (k D, M) has
  -- the oldest tap first. Dilated: van den Oord et al. 2016 (WaveNet). A step costs a copy of the (k-1) d inputs that
  -- are remembered.
  function M.conv1d (options)
    local o = schema.check("lurn.conv1d", options, CONV1D)
    return layer(o.name or "conv1d", o, function (self, m, x)
      if #x.shape > 1 or x.axis ~= "time" then error(("lurn.conv1d: expected vectors over time, got %s"):format(
        tostring(x)), 0) end
      local path = m:path(self)
      local taps = o.kernel == 1 and x or o.causal and remembered(m.program, x, path, o) or around(x, o)
      local y = m.program:affine(path, nil, o.size, o.bias and "b" or nil, 0, {taps, "W"})
      lurn.initialise(m.program, path, o.init)
      return m.program:activation(o.activation, y)
    end)
  end

  ---------------------------------------------------------------- across an image

  -- Columns of a list of symbols side by side, by halves: each number is copied as often as the list can be halved.
  local function join (list, from, to)
    if from == to then return list[from] end
    local middle = (from + to) // 2
    return lurn.concat(join(list, from, middle), join(list, middle + 1, to))
  end

  -- One direction of one layer: the places one after the other, and their outputs an image again.
  local function sweep (cell, o, program, x, path, rows, reverse)
    local h, w, list = x.shape[1], x.shape[2], {}
    for k = 1, rows and h or w do
      list[k] = rows and crop(x, k - 1, 0, 1, 1, 1, w) or crop(x, 0, k - 1, 1, 1, h, 1)
    end
    local y = cell.unroll(o, program, list, path, reverse)
    lurn.initialise(program, path, o.init)
    local channels = y[1].shape[3]
    for k = 1, rows and #y or 0 do y[k] = lurn.reshape(y[k], 1, 1, w * channels) end
    return lurn.reshape(join(y, 1, #y), h, w, channels)
  end

  --- A recurrent layer across the places of each frame instead of over time: from column to column, or with "rows"
  -- from row to row; the others of its kind side by side. With a layer over time that is ReNet (Visin et al. 2015):
  -- frames are an image's rows of patches, lurn.gru {bidirectional = true} goes up and down, lurn.across(lurn.gru
  -- {bidirectional = true}) to both sides. The step is written out once for each place, there is no scan: a program
  -- grows with them, and nothing is carried from a frame to the next.
  function M.across (recurrent, over)
    local o, cell = type(recurrent) == "table" and recurrent.options, type(recurrent) == "table" and recurrent.cell
    if not cell then error("lurn.across: expected a recurrent layer, got " .. schema.describe(recurrent), 2) end
    if o.pool then error("lurn.across: the layer's option 'pool' is for what goes over time", 2) end
    schema.value("lurn.across", "over", over or "columns", {"string", nil, {"columns", "rows"}})
    return layer(recurrent.name, o, function (self, m, x)
      check_image("lurn.across", x)
      for k = 1, o.layers do
        local path = m:path(self)
        if k > 1 then x = (o.locked and lurn.locked or lurn.drop)(x, o.dropout, path .. ".dropout") end
        local y = sweep(cell, o, m.program, x, path, over == "rows", o.reverse)
        if o.bidirectional then
          y = lurn.concat(y, sweep(cell, o, m.program, x, path .. "_reverse", over == "rows", true))
        end
        x = y
      end
      return x
    end)
  end

  for _, name in ipairs {"flatten", "crop", "pad2d", "conv2d", "conv2d_transpose", "max_pool2d", "avg_pool2d"} do
    lurn.core.symbol_methods[name] = M[name]
  end
  return M
end
