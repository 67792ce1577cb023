--- The command line: parser, help and dispatch over the table of verbs (cli_verbs.lua).
--
-- Results go to stdout, progress and messages to stderr; with --json stdout gets one JSON document
-- and nothing else. Exit codes: 0 done, 1 the run failed, 2 usage, 3 bad input file, 130
-- interrupted, 143 terminated.
--
-- Unlike its neighbours this module is no function of lurn: it decides which lurn to load.

local M = {}

local folder = ...
folder = folder:gsub("%.cli$", "")

local function part (name) return require(folder .. "." .. name) end
local schema, json, shell = part "schema" {}, part "json" {}, part "shell" {}

M.OK, M.FAILED, M.USAGE, M.INPUT, M.INTERRUPTED, M.TERMINATED = 0, 1, 2, 3, 130, 143

--- Ends a verb: caught in main, printed once, turned into the exit code.
---@param code integer
---@param message string
---@param more? string   printed after the message, for example the list of parameters
function M.fail (code, message, more)
  error(setmetatable({code = code, message = message, more = more}, M), 0)
end

--- A mistake on the command line.
function M.usage (message, more) M.fail(M.USAGE, message, more) end

--- The instance of lurn for a precision ("f32" by default). Scripts that `require "lurn"` get the same.
---@param precision? string
function M.lurn (precision)
  local lurn = require "lurn"
  if precision and lurn.precision ~= precision then
    lurn = lurn[precision] or M.fail(M.FAILED, "this build has no " .. precision)
    package.loaded["lurn"] = lurn
  end
  return lurn
end

local all = part "cli_verbs"
M.verbs, M.order = all.verbs, all.order

---------------------------------------------------------------- parsing

local function convert (name, kind, text)
  if kind == "text" then return text end
  if type(kind) == "table" then
    for _, word in ipairs(kind) do if word == text then return word end end
    M.usage(("--%s must be one of %s, got '%s'"):format(name, table.concat(kind, ", "), text))
  end
  local value = tonumber(text)
  if kind == "integer" then value = math.tointeger(value) end
  if not value then
    M.usage(("--%s must be %s, got '%s'"):format(name, kind == "integer" and "an integer" or "a number", text))
  end
  return value
end

local function split_option (word)
  if word == "-o" then return "out" end
  if word == "-h" then return "help" end
  local name, value = word:match("^%-%-([%w_-]+)=?(.*)$")
  if not name then return nil end
  return (name:gsub("-", "_")), word:find("=", 1, true) and value or nil
end

--- Names of options, in order.
---@param options table
---@return string[]
function M.option_names (options)
  local names = {}
  for name in pairs(options) do names[#names + 1] = name end
  table.sort(names)
  return names
end

--- An option as it is written: with_data -> --with-data.
function M.dashed (name) return "--" .. name:gsub("_", "-") end

local function unknown_option (verb, name)
  local names = M.option_names(verb.options)
  M.usage(schema.unknown("unknown option", "--" .. name, {}) ..
    (schema.nearest(name, names) and (", did you mean '--%s'?"):format(schema.nearest(name, names)) or ""),
    M.describe(verb))
end

--- Words after the verb: options by name, the rest in order, and what a script may know as parameters.
---@return table options
---@return string[] rest
---@return table<string, string> parameters
function M.parse (verb, words)
  local options, rest, parameters = {}, {}, {}
  local i = 1
  while i <= #words do
    local word = words[i]
    local name, value = split_option(word)
    local rule = name and verb.options[name]
    if word == "--" and verb.behind then
      options.behind = table.move(words, i + 1, #words, 1, {})
      break
    elseif not name then
      if word:find("^%-.") and not tonumber(word) then unknown_option(verb, word:gsub("^%-+", "")) end
      rest[#rest + 1] = word
    elseif name == "help" then options.help = true
    elseif rule and rule[1] == "flag" then options[name] = true
    elseif not rule and not verb.parameters then unknown_option(verb, name)
    else
      local following = words[i + 1]
      local has_value = value or (following and not following:find("^%-%-%a"))
      if not value and has_value then value, i = following, i + 1 end
      if rule and not value then M.usage("--" .. name .. " needs a value") end
      if rule then options[name] = convert(name, rule[1], value) else parameters[name] = value or "true" end
    end
    i = i + 1
  end
  return options, rest, parameters
end

---------------------------------------------------------------- help

--- What stands behind an option: " FILE", " N", "" for a flag.
---@param rule table
function M.value_of (rule)
  local kind = rule[1]
  if type(kind) == "table" then return " " .. table.concat(kind, "|") end
  if kind == "text" then return " " .. (rule[3] or "TEXT") end
  return kind == "flag" and "" or kind == "integer" and " N" or " X"
end

local function option_lines (options)
  local names, words, lines, width = M.option_names(options), {}, {}, 22
  for _, name in ipairs(names) do
    words[name] = M.dashed(name) .. M.value_of(options[name])
    width = math.max(width, #words[name])
  end
  for _, name in ipairs(names) do
    lines[#lines + 1] = ("  %-" .. width .. "s %s"):format(words[name], options[name][2])
  end
  return table.concat(lines, "\n")
end

--- Usage and options of a verb.
---@return string
function M.describe (verb)
  local text = "usage: " .. verb.usage
  if next(verb.options) then text = text .. "\noptions:\n" .. option_lines(verb.options) end
  return text
end

--- A text for people, broken between words where it goes to a terminal: 1 stdout, 2 stderr.
function M.fit (text, descriptor) return M.lurn().screen.fit(text, descriptor) end

--- Characters in a line of stdout where that is a terminal, or nil.
function M.width ()
  local lurn = M.lurn()
  return lurn.sys.isatty(1) and lurn.screen.columns() or nil
end

local function overview ()
  local lines = {"lurn: recurrent neural networks, scripted in Lua", "", "  lurn                   a Lua prompt",
    "  lurn -i SCRIPT         the same behind a script", "  lurn -e CODE           plays a line of Lua"}
  for _, name in ipairs(M.order) do
    lines[#lines + 1] = ("  %-22s %s"):format("lurn " .. name, M.verbs[name].help)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "lurn help VERB says more; lurn run SCRIPT --help lists the parameters of a script."
  return table.concat(lines, "\n")
end

function M.verbs.help.call (_, rest)
  if not rest[1] then print(M.fit(overview(), 1)) return M.OK end
  local verb = M.verbs[rest[1]]
  if not verb then M.unknown_verb(rest[1]) end
  print(M.fit(verb.help .. "\n" .. M.describe(verb), 1))
  return M.OK
end

function M.verbs.version.call (options)
  local lurn = M.lurn()
  if options.json then M.document {lurn = lurn.version, lua = _VERSION}
  else print(("lurn %s, %s"):format(lurn.version, _VERSION)) end
  return M.OK
end

function M.verbs.env.call ()
  local cli = package.searchpath(folder .. ".cli", package.path)
  local root = cli:match("^(.*)/[^/]+/cli%.lua$")
  local parent = root:match("^(.*)/[^/]+$") or "."
  local native = package.searchpath(folder .. ".f32", package.cpath) or package.cpath:match("^[^;]*")
  local paths = {root .. "/?.lua", root .. "/?/init.lua"}
  if root:find("/bindings$") then paths[3] = parent .. "/?.lua" end
  print("export LUA_PATH=" .. shell.quote(table.concat(paths, ";") .. ";;"))
  print("export LUA_CPATH=" .. shell.quote(native:gsub("/" .. folder .. "/f32%.so$", "/?.so") .. ";;"))
  print("unset LUA_PATH_5_4 LUA_CPATH_5_4")
  return M.OK
end

---------------------------------------------------------------- dispatch

--- Prints the one JSON document of a verb.
function M.document (value)
  io.stdout:write(json.encode(value, {indent = true, name = "document"}), "\n")
end

function M.unknown_verb (word)
  if word:find("%.lua$") then M.usage(("'%s' is a script: lurn run %s"):format(word, word)) end
  if M.verbs.run.options[word] then M.usage(("'%s' is an option of run: lurn run --%s"):format(word, word)) end
  M.usage(schema.unknown("unknown command", word, {table.unpack(M.order)}), overview())
end

local function say (...) io.stderr:write("lurn: ", ...) end

--- Whatever a script prints goes to stderr from now on, until the value is closed.
function M.keep_stdout_clean ()
  local plain_print, plain_output = print, io.output()
  io.output(io.stderr)
  rawset(_G, "print", function (...)
    local words = table.pack(...)
    for i = 1, words.n do words[i] = tostring(words[i]) end
    io.stderr:write(table.concat(words, "\t"), "\n")
  end)
  return setmetatable({}, {__close = function ()
    rawset(_G, "print", plain_print)
    io.output(plain_output)
  end})
end

local function wants_json (args)
  for _, word in ipairs(args) do if word == "--json" then return true end end
  return false
end

local function dispatch (args)
  local name = args[1]
  if name == "--help" or name == "-h" then name = "help" end
  if name == "--version" then name = "version" end
  local verb = M.verbs[name] or M.unknown_verb(name)
  local words = table.move(args, 2, #args, 1, {})
  local options, rest, parameters = {}, words, nil
  if not verb.words or words[1] == "--help" then options, rest, parameters = M.parse(verb, words) end
  if options.json then M.keep_stdout_clean() end
  if options.help and not (verb.parameters and rest[1]) then
    print(M.fit(verb.help .. "\n" .. M.describe(verb), 1))
    return M.OK
  end
  local call = verb.call or part(verb.from)(M)[name]
  return call(options, rest, parameters)
end

-- A failure that a verb foresaw stays a table; anything else gets its traceback.
local function explain (e)
  if getmetatable(e) == M then return e end
  return debug.traceback(tostring(e), 2)
end

local function report_failure (e, as_json)
  if getmetatable(e) ~= M then
    e = {code = M.FAILED, message = e}
  end
  local loaded, lurn = pcall(M.lurn)
  if e.more and loaded and lurn.sys.isatty(2) then      -- a long list must not push the message off the screen
    io.stderr:write(M.fit(e.more, 2), "\n")
    e.more = nil
  end
  say(e.message, "\n")
  if e.more then io.stderr:write(e.more, "\n") end
  if as_json then M.document {status = "failed", error = e.message, code = e.code} end
  return e.code
end

--- lurn -e CODE..., lurn -i [SCRIPT]: chunks and a script on the way to a prompt; with -e alone there is none.
---@param args string[]
---@return integer
function M.prompt (args)
  local o, i = {}, 1
  while i <= #args do
    if args[i] == "-e" then
      if not args[i + 1] then
        say "lurn -e CODE: which code?\n"
        return M.USAGE
      end
      o.chunks = o.chunks or {}
      table.insert(o.chunks, args[i + 1])
      i = i + 1
    elseif args[i] == "-i" then o.stay = true
    elseif o.stay and not o.script then o.script = args[i]
    else
      say(("lurn -e CODE | lurn -i SCRIPT: what is '%s'?\n"):format(args[i]))
      return M.USAGE
    end
    i = i + 1
  end
  return part "repl" (M.lurn(), o)
end

--- Runs a command line; returns the exit code.
---@param args string[]   what follows the program's name
---@return integer
function M.main (args)
  if #args == 0 then return part "repl" (M.lurn()) end
  if args[1] == "-e" or args[1] == "-i" then return M.prompt(args) end
  local ok, result = xpcall(dispatch, explain, args)
  if ok then return result or M.OK end
  return report_failure(result, wants_json(args))
end

return M
