--- Whose line a misuse is told by: not that of lurn's where it was found, but that of the script which led there.

local M = {}

local folder = debug.getinfo(1, "S").source:match "^@.*/" or "?"

--- A handler for xpcall, for those who raise again what they caught, so that the stack is gone: a message that begins
-- with a place of lurn's gets that of the nearest line which is none of lurn's. A failure of lurn's own (an attempt to
-- ...) keeps its place.
---@param e any
---@return any
function M.told (e)
  local level, text = 2, nil
  while type(e) == "string" do
    local frame = debug.getinfo(level, "Sl")
    if not frame then return e end
    local place = ("%s:%d: "):format(frame.short_src, frame.currentline)
    local ours = frame.what == "C" or frame.source:sub(1, #folder) == folder
    if not ours then return text and place .. text or e end
    if e:sub(1, #place) == place and not e:find("attempt to ", #place + 1, true) then text = e:sub(#place + 1) end
    level = level + 1
  end
  return e
end

return M
