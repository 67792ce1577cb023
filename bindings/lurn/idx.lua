--- Data sets of images with a class each, from IDX files (MNIST, Fashion-MNIST, KMNIST, EMNIST).
--
--   assert(lurn.import_idx("train-images.gz", "train-labels.gz", "mnist.h5",
--                          {test_images = "t10k-images.gz", test_labels = "t10k-labels.gz"}))
--   local digits = assert(lurn.idx("t10k-images.gz", 100))        -- a tensor (100, 28, 28)
--
-- An image becomes a sequence: its rows, its pixels or its patches, from the top left to the bottom right, in numbers
-- from 0 to 1; its class is one target for the whole sequence.

return function (lurn)
  local schema = lurn.schema
  local read = require "lurn.idx_read"
  local M = {}

  local OPTIONS = {
    test_images = {"string", nil, nil, "images of the split test"},
    test_labels = {"string", nil, nil, "and their classes"},
    steps = {"string", "rows", {"rows", "pixels", "patches"}, "what a step of the sequence is"},
    rows = {"integer", 1, {1, 4096}, "rows of pixels in a step of rows"},
    patch = {"integer", 4, {1, 4096}, "rows and columns of a patch"},
    valid = {"integer", 5000, {0, 1e9}, "so many images, the last ones of train, are the split valid"},
    source = {"string", nil, nil, "where the images come from; their path by default"},
    licence = {"string", nil, nil, "of the images"},
  }

  local BLOCK = 64            -- images that are converted, written and packed at once

  local function fail (format, ...) error({format:format(...), "EINVAL"}, 0) end

  -- The images in a string as numbers from 0 to 1: (n h, w).
  local function numbers (bytes, width)
    local rows = {}
    for at = 1, #bytes, width do rows[#rows + 1] = {bytes:byte(at, at + width - 1)} end
    return lurn.tensor(rows) / 255
  end

  -- Rows and columns that make a step.
  local function piece_of (o, path, h, w)
    local a, b = 1, 1
    if o.steps == "rows" then a, b = o.rows, w end
    if o.steps == "patches" then a, b = o.patch, o.patch end
    if h % a ~= 0 or w % b ~= 0 then
      fail("%s: images of %d x %d cannot be cut into pieces of %d x %d", path, h, w, a, b)
    end
    return a, b
  end

  -- (n h, w) as steps of a rows and b columns, in raster order: (n h/a w/b, a b).
  local function cut (x, a, b)
    local rows, w = x:size(1), x:size(2)
    return x:reshape(rows // a, a, w // b, b):transpose(2, 3):contiguous():reshape(rows // a * (w // b), a * b)
  end

  -- The outside world's answers: nil, message, code is raised, to be the importer's own answer in the end.
  local function try (value, message, code)
    if not value then error({message, code}, 0) end
    return value
  end

  local function write_images (w, images, set, o)
    local h, width = images.shape[2], images.shape[3]
    local a, b = piece_of(o, images.path, h, width)
    if set.h and (set.h ~= h or set.w ~= width) then
      fail("%s: images of %d x %d; those of train have %d x %d", images.path, h, width, set.h, set.w)
    end
    set.h, set.w, set.steps = h, width, h // a * (width // b)
    for bytes in images:blocks(BLOCK) do
      local x = cut(numbers(bytes, width), a, b)
      if set.begun then try(w:append("/x", x))
      else try(w:write("/x", x, {type = "f32", chunk = set.steps * BLOCK, deflate = 1})) end
      set.begun = true
    end
  end

  local function read_labels (labels, set)
    for bytes, count in labels:blocks(100000) do
      for i = 1, count do
        local class = bytes:byte(i)
        set.most = math.max(set.most, class)
        set.y[#set.y + 1] = class + 1      -- ids count from 1 here, from 0 in the file
      end
    end
  end

  -- One pair of files; which images they became.
  local function add (w, set, images_path, labels_path, o)
    local images <close> = read.open(images_path, 3)
    local labels <close> = read.open(labels_path, 1)
    local n = images.shape[1]
    if labels.shape[1] ~= n then
      fail("%s: %d classes for the %d images of %s", labels_path, labels.shape[1], n, images_path)
    end
    write_images(w, images, set, o)
    read_labels(labels, set)
    return n
  end

  -- Everything but /x, which is there by now.
  local function arrays_of (set, n, total, o)
    local arrays = {y = lurn.ids(set.y), offsets = {}, classes = {}, ["split/train"] = {{0, n - o.valid}}}
    if o.valid > 0 then arrays["split/valid"] = {{n - o.valid, n}} end
    if total > n then arrays["split/test"] = {{n, total}} end
    for i = 0, total do arrays.offsets[i + 1] = i * set.steps end
    for class = 0, set.most do arrays.classes[class + 1] = tostring(class) end
    return arrays
  end

  local function write (w, images, labels, o)
    local set = {y = {}, most = 0}
    local n = add(w, set, images, labels, o)
    if n <= o.valid then fail("%s: valid = %d leaves none of %d images to train on", images, o.valid, n) end
    local total = n + (o.test_images and add(w, set, o.test_images, o.test_labels, o) or 0)
    for name, value in next, arrays_of(set, n, total, o) do
      try(w:write("/" .. name, value, name == "y" and {type = "u8"} or nil))
    end
    for key, value in next, {lurn_schema = 1, kind = "sequences", unit = "sequence", targets = "sequence",
      source = o.source or images:sub(-255), licence = o.licence} do try(w:attr("/", key, value)) end
    try(w:commit())
  end

  -- f () or what it raised of the outside world.
  local function answer (f, ...)
    local ok, value = pcall(f, ...)
    if ok then return value end
    if type(value) ~= "table" or not value[1] then error(value, 0) end
    lurn.data.failure = value[1]
    return nil, value[1], value[2]
  end

  --- Writes a data set file of images and their classes: `out`, or nil, message, code.
  ---@param images string   path of an IDX file of rank 3
  ---@param labels string   path of one of rank 1
  ---@param out string
  ---@param options? table  see OPTIONS above
  ---@return string? out
  ---@return string? message
  ---@return string? code
  function M.import_idx (images, labels, out, options)
    local o = schema.check("lurn.import_idx", options, OPTIONS)
    if (o.test_images == nil) ~= (o.test_labels == nil) then
      error("lurn.import_idx: test_images and test_labels come together", 2)
    end
    return answer(function ()
      local w <close> = try(lurn.h5.create(out))
      write(w, images, labels, o)
      return out
    end)
  end

  --- The first images of an IDX file, all by default: a tensor (n, h, w) of numbers from 0 to 1, or nil, message, code.
  ---@param path string
  ---@param most? integer
  function M.idx (path, most)
    return answer(function ()
      local images <close> = read.open(path, 3)
      local n, h, w = table.unpack(images.shape)
      local list, left, hash = {}, most or n, lurn.sys.sha256(("idx %d %d %d"):format(n, h, w))
      for bytes, count in images:blocks(BLOCK) do
        hash = lurn.sys.sha256(hash, bytes)
        list[#list + 1] = numbers(bytes, w):reshape(count, h, w)
        left = left - count
        if most and left <= 0 then break end
      end
      return lurn.source.arrays(lurn.cat(list, 1):narrow(1, 1, math.min(most or n, n)), {path = path, hash = hash,
        idx = {most = most}})
    end)
  end

  return M
end
