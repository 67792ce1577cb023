--- Makes a data set of one long text.
--
--   local text = dofile "datasets/text.lua"
--   assert(text.import("kjv.txt", "kjv.h5", {level = "char", split = {90, 5, 5}}))
--   assert(text.import("other.txt", "other.h5", {vocab = "kjv.h5"}))      -- with the ids of the first

local lurn = require "lurn"

local text = {}

--- Streams `path` into the data set `out`; the size of the text is limited by the disk alone.
---@param path string
---@param out string
---@param options? table
--   level      "char" (UTF-8, default) or "byte"
--   split      {train, valid, test} in any scale; {90, 5, 5} by default
--   min_count  rarer symbols share the last id, "<unk>"
--   vocab      a data set file: its vocabulary is used as it is, its level too
--   source     where the text comes from; its path by default
--   licence    of the text
---@return string? out
---@return string? message
---@return string? code
function text.import (path, out, options)
  local o = {level = "char"}
  for key, value in pairs(options or {}) do o[key] = value end
  if o.vocab then
    local set, message, code = lurn.core.dataset.open(o.vocab)
    if not set then return nil, message, code end
    o.vocab, o.level = set, set.level
  end
  o.path, o.out = path, out
  return lurn.core.text(o)
end

return text
