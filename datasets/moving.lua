--- Makes a data set of films in which digits fly and bounce: moving digits, to predict the next frame of.
--
--   local moving = dofile "datasets/moving.lua"
--   assert(moving.make("moving.h5", {n = 2000, frame = 16}))
--   assert(moving.make("moving.h5", {images = "train-images-idx3-ubyte.gz", frame = 24}))

local lurn = require "lurn"

local moving = {}

--- Writes the data set `out`. Options are those of lurn.moving (bindings/MANUAL.md).
---@param out string
---@param options? table
---@return string? out
---@return string? message
---@return string? code
function moving.make (out, options)
  local data, message, code = lurn.moving(options)
  if not data then return nil, message, code end
  local done
  done, message, code = data.set:save(out)
  if not done then return nil, message, code end
  return out
end

return moving
