-- A session of the prompt without its loop: completion, help and pictures as functions.

local lurn = require "lurn"
local M = {}

--- A session whose scope has the given names beside the globals.
---@param names? table
function M.session (names)
  local session = {lurn = lurn, show = require "lurn.show" (lurn), kept = {}, entries = {}}
  local prompt = require "lurn.prompt_words" (session)
  session.words, session.commands = prompt.words, prompt.commands
  session.scope = setmetatable({}, {__index = function (_, key)
    if names and names[key] ~= nil then return names[key] end
    if key == "lurn" then return lurn end
    local value = _G[key]
    if value == nil then return prompt.words[key] end
    return value
  end})
  session.complete = session.part "complete"
  return session
end

--- What f prints, with these environment variables pretended.
---@param env table<string, string>
---@param f function
function M.printed (env, f)
  local getenv, print_to, lines = os.getenv, _G.print, {}
  rawset(os, "getenv", function (name)
    if env[name] ~= nil then return env[name] end
    if name == "COLUMNS" or name == "LINES" then return nil end
    return getenv(name)
  end)
  rawset(_G, "print", function (...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    lines[#lines + 1] = table.concat(words, "\t")
  end)
  local ok, message = pcall(f)
  rawset(os, "getenv", getenv)
  rawset(_G, "print", print_to)
  if not ok then error(message, 0) end
  return table.concat(lines, "\n")
end

return M
