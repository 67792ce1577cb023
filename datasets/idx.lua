--- Makes a data set of images with a class each, of IDX files (the format of MNIST), plain or packed by gzip.
--
--   local idx = dofile "datasets/idx.lua"
--   assert(idx.import("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz", "mnist.h5",
--                     {test_images = "t10k-images-idx3-ubyte.gz", test_labels = "t10k-labels-idx1-ubyte.gz"}))

local lurn = require "lurn"

local idx = {}

--- Writes the data set `out` of `images` and `labels`. Options are those of lurn.import_idx (bindings/MANUAL.md).
---@param images string
---@param labels string
---@param out string
---@param options? table
---@return string? out
---@return string? message
---@return string? code
function idx.import (images, labels, out, options) return lurn.import_idx(images, labels, out, options) end

return idx
