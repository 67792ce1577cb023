--- Whose line a misuse is told by: not that of lurn's where it was found, but that of the script which led there.

local M = {}

local folder = debug.getinfo(1, "S").source:match "^@.*/" or "?"

-- A message that begins with a place of lurn's gets that of the nearest line which is none of lurn's. A failure of
-- lurn's own (an attempt to ...) keeps its place. frame_at(level): 0 is the innermost one; this file's do no harm.
local function retell (e, frame_at)
  local level, text = 0, nil
  while type(e) == "string" do
    local frame = frame_at(level)
    if not frame then return e end
    local place = ("%s:%d: "):format(frame.short_src, frame.currentline)
    local ours = frame.what == "C" or frame.source:sub(1, #folder) == folder
    if not ours then return text and place .. text or e end
    if e:sub(1, #place) == place and not e:find("attempt to ", #place + 1, true) then text = e:sub(#place + 1) end
    level = level + 1
  end
  return e
end

--- A handler for xpcall, for those who raise again what they caught, so that the stack is gone.
---@param e any
---@return any
function M.told (e)
  return retell(e, function (level) return debug.getinfo(level, "Sl") end)
end

--- The same of what a coroutine died of.
---@param e any
---@param thread thread
---@return any
function M.told_of (e, thread)
  return retell(e, function (level) return debug.getinfo(thread, level, "Sl") end)
end

return M
