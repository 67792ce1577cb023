--- Copies of parts of HDF5 documents, array by array, bit for bit.
--
-- Not a module of its own: bundle.lua and runfile.lua call it.

return function (lurn)
  local M = {}

  local MOST_DEPTH = 12

  --- Doubles must stay doubles on their way, so documents are opened and created by the f64 module.
  function M.h5 () return lurn.precision == "f64" and lurn.h5 or require("lurn.f64").h5 end

  --- The attributes of an object, as those of another.
  function M.attributes (r, from, w, to)
    for key, value in next, assert(r:attrs(from)) do assert(w:attr(to, key, value)) end
  end

  local function array (r, from, w, to, kind)
    local value = assert(r:read(from))
    if value == "" then return end
    assert(w:write(to, value, kind ~= "text" and {type = kind} or nil))
  end

  local function group (r, from, w, to, except, depth)
    if depth > MOST_DEPTH then error(("%s: too many groups inside one another"):format(from), 0) end
    for _, name in ipairs(assert(r:list(from == "" and "/" or from))) do
      local source, target = from .. "/" .. name, to .. "/" .. name
      local shape, kind = r:shape(source)
      if source == except then kind = "left out"
      elseif shape then array(r, source, w, target, kind)
      elseif kind == "group" then group(r, source, w, target, except, depth + 1)
      else error(tostring(kind), 0) end
      if kind ~= "left out" and (shape or next(assert(r:attrs(source)))) then M.attributes(r, source, w, target) end
    end
  end

  --- Everything below one group of a document ("": the root) into a group of another, but for one array. Raises what is
  -- wrong with either.
  ---@param except? string
  function M.group (r, from, w, to, except) group(r, from, w, to, except, 1) end

  return M
end
