--- The lines beside a run file, NAME.jsonl: one for every call of run:log while the run plays.
--
-- Not a module of its own: runfile.lua calls this with the module it adds functions to.

return function (M)
  --- RUN.h5 -> RUN.jsonl
  function M.live_path (path)
    return (path:gsub("%.h5$", "")) .. ".jsonl"
  end

  -- The first bytes of a file, and whether that is all of it.
  local function beginning (path, bytes)
    local old = io.open(path, "rb")
    if not old then return "", false end
    local kept = bytes > 0 and old:read(bytes) or ""
    local whole = #kept == bytes and old:read(0) == nil
    old:close()
    return kept, whole
  end

  --- Opens the lines beside the run file for appending. After a resume what was written later than the checkpoint is
  -- cut off; it will come again. That is done in another file, which takes the place of the old one: whoever is killed
  -- meanwhile leaves what there was.
  ---@param path string    of the run file
  ---@param bytes integer  to keep
  ---@return file*? file
  ---@return integer? bytes kept
  function M.open_live (path, bytes)
    local live = M.live_path(path)
    local kept, whole = beginning(live, bytes)
    if not whole then
      local temp = live:gsub("[^/]*$", ".%0.tmp", 1)
      local new = io.open(temp, "wb")
      local written = new and new:write(kept)
      if new then written = new:close() and written end
      if not (written and os.rename(temp, live)) then
        os.remove(temp)
        return nil
      end
    end
    local file = io.open(live, "ab")
    if not file then return nil end
    file:setvbuf("line")
    return file, #kept
  end
end
