--- What is handed to a shell, and where it stands.

return function ()
  local M = {}

  --- A word as a shell takes it for itself, whatever is in it.
  ---@param text string
  ---@return string
  function M.quote (text) return "'" .. text:gsub("'", "'\\''") .. "'" end

  --- The same for people to read and copy: quoted only where it must be.
  ---@param text string
  ---@return string
  function M.word (text) return text:find "^[%w_./:@%%+-][%w_./:=@%%+-]*$" and text or M.quote(text) end

  --- A path that means the same from any other folder.
  ---@param path string
  ---@return string
  function M.absolute (path)
    local here = os.getenv "PWD"
    return path:find "^/" and path or here and here .. "/" .. path or path
  end

  return M
end
