--- Makes a data set of a table of numbers, one row per step.
--
--   local csv = dofile "datasets/csv.lua"
--   assert(csv.import("readings.csv", "readings.h5", {sequence = "id", x = {"a", "b"}, y = "label",
--                                                     normalise = true, split = {80, 10, 10}}))

local lurn = require "lurn"

local csv = {}

--- Reads `path` and writes the data set `out`. Options are those of lurn.csv (bindings/MANUAL.md).
---@param path string
---@param out string
---@param options table
---@return string? out
---@return string? message
---@return string? code
function csv.import (path, out, options) return lurn.import_csv(path, out, options) end

return csv
