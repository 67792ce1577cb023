-- What tools have in common that go through the kinds of stores: store_storm.lua, sweep_storm.lua, store_bench.lua.

local M = {}

--- What the words of a command line say: --NAME VALUE, of the names in `defaults`; a whole number where the default is
-- one.
---@param tool string       its name, for messages
---@param words string[]
---@param defaults table    changed and returned
function M.parse (tool, words, defaults)
  for i = 1, #words, 2 do
    local name = words[i]:match "^%-%-(%a+)$"
    if not name or defaults[name] == nil then error(("%s: what is %s?"):format(tool, words[i]), 0) end
    local number = math.tointeger(tonumber(words[i + 1]))
    if type(defaults[name]) == "string" then defaults[name] = words[i + 1]
    else defaults[name] = number or error(("%s: --%s needs a whole number"):format(tool, name), 0) end
  end
  return defaults
end

--- play(kind, url) with each kind of store in the list, where this machine has it.
---@param stores table   tests/spec/store_helper.lua
---@param kinds string   "sqlite,dir,postgresql"
---@param play function
function M.each_store (stores, kinds, play)
  for kind in kinds:gmatch "%w+" do
    local url = stores.urls[kind]
    if kind == "postgresql" then url = stores.with_server() end
    if url then play(kind, url) else print(("%-10s left out: %s"):format(kind, stores.why or "no such store")) end
  end
  stores.close()
end

--- Runs main(arg) to the exit code: 1 with a message, and the folder of the stores, when it raised.
---@param main function
function M.run (main)
  local ok, message = pcall(main, arg)
  local stores = package.loaded.store_helper
  local kept = stores and "\nthe folder is kept: " .. stores.folder or ""
  if not ok then io.stderr:write(tostring(message), kept, "\n") end
  os.exit(ok)
end

return M
