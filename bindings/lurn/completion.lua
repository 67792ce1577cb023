--- Completion for shells: what may come next on a command line, from the table of verbs.
--
--   eval "$(lurn completion bash)"            zsh and fish likewise
--
-- The shells know nothing of lurn: their half asks `lurn completion words WORD...` at every tab and gets a
-- candidate a line, with a tab and its help behind it; a line ":files PATTERN" means that a file is expected. A
-- script's parameters are read from its text, which is not run: what is typed may not be meant yet.

return function (cli)
  local M = {}

  local SHELLS = {}

  SHELLS.bash = [==[
_lurn () {
  local IFS=$'\n' line current=${COMP_WORDS[COMP_CWORD]}
  COMPREPLY=()
  for line in $(lurn completion words "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null); do
    case $line in
      :files*) compopt -o filenames
        COMPREPLY+=($(compgen -d -- "$current") $(compgen -f -X "!${line#:files }" -- "$current")) ;;
      *) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done
}
complete -F _lurn lurn
]==]

  SHELLS.zsh = [==[
#compdef lurn
_lurn () {
  local line
  local -a found
  for line in ${(f)"$(lurn completion words ${words[2,CURRENT]} 2>/dev/null)"}; do
    case $line in
      :files*) _files -g "${line#:files }" ;;
      *) found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done
  (( $#found )) && _describe -V lurn found
}
if [ "$funcstack[1]" = "_lurn" ]; then _lurn "$@"; else compdef _lurn lurn; fi
]==]

  SHELLS.fish = [==[
function __lurn_complete
  set -l words (commandline -opc) (commandline -ct)
  for line in (lurn completion words $words[2..-1] 2>/dev/null)
    if string match -q ':files*' -- $line
      __fish_complete_path (commandline -ct)
    else
      echo $line
    end
  end
end
complete -c lurn -f -a '(__lurn_complete)'
]==]

  ---------------------------------------------------------------- what a script has

  -- The text without comments, so that braces in them do not count.
  local function bare (text)
    return (text:gsub("%-%-%[%[.-%]%]", ""):gsub("%-%-[^\n]*", ""))
  end

  --- Parameters of a script, read from its text: {name, help =, choice = {words}}, sorted by name. Empty when there
  -- is none, or it is written in a way that only Lua understands.
  ---@param path string
  ---@return table[]
  function M.parameters (path)
    local file = io.open(path, "rb")
    local text = file and file:read(100000)
    if file then file:close() end
    local block = text and bare(text):match "params%s*=%s*(%b{})"
    local list = {}
    if not block then return list end
    -- Tables inside become marks, so that only names of the outer one are left.
    local inner = {}
    local flat = block:sub(2, -2):gsub("%b{}", function (t)
      inner[#inner + 1] = t
      return "\1" .. #inner .. "\2"
    end)
    for name, value in flat:gmatch "([%a_][%w_]*)%s*=%s*([^,\n]*)" do
      local t = inner[tonumber(value:match "\1(%d+)\2" or 0)] or ""
      local p = {name = name, help = t:match 'help%s*=%s*"([^"]*)"' or "", choice = {}}
      for word in (t:match "choice%s*=%s*(%b{})" or ""):gmatch '"([^"]*)"' do p.choice[#p.choice + 1] = word end
      list[#list + 1] = p
    end
    table.sort(list, function (a, b) return a.name < b.name end)
    return list
  end

  ---------------------------------------------------------------- candidates

  local function starts (word, with) return word:sub(1, #with) == with end

  local function add (list, current, text, help)
    if starts(text, current) then list[#list + 1] = {text = text, help = help or ""} end
  end

  local function options_of (list, verb, script, current)
    for _, name in ipairs(cli.option_names(verb.options)) do
      add(list, current, cli.dashed(name), verb.options[name][2])
    end
    for _, p in ipairs(script and M.parameters(script) or {}) do add(list, current, "--" .. p.name, p.help) end
    add(list, current, "--help", "what there is")
  end

  -- What may stand behind an option: words of a list, a file, or nothing that is known.
  local function values_of (list, verb, script, name, current)
    local rule = verb.options[name]
    if rule then
      if type(rule[1]) == "table" then
        for _, word in ipairs(rule[1]) do add(list, current, word) end
      elseif rule[1] == "text" then
        list.files = (rule[3] or ""):find "%.h5" and "*.h5" or "*"
      end
      return
    end
    for _, p in ipairs(script and M.parameters(script) or {}) do
      if p.name == name then
        for _, word in ipairs(p.choice) do add(list, current, word) end
        if #p.choice == 0 then list.files = "*" end
      end
    end
  end

  --- What may come next. words: those after `lurn`, the last one as far as it is typed.
  ---@param words string[]
  ---@return table list   {text =, help =}; list.files: a pattern, when a file may come
  function M.candidates (words)
    local list, current = {}, words[#words] or ""
    local verb = cli.verbs[words[1] or ""]
    if #words <= 1 then
      for _, name in ipairs(cli.order) do add(list, current, name, cli.verbs[name].help) end
      return list
    end
    if not verb then return list end
    local script
    for i = 2, #words - 1 do script = script or words[i]:match "^[^-].*%.lua$" end
    local before = #words > 2 and words[#words - 1]:match "^%-%-([%w_-]+)$"
    before = before and before:gsub("-", "_") or words[#words - 1] == "-o" and "out"
    local rule = before and verb.options[before]
    if before and before ~= "help" and not (rule and rule[1] == "flag") and (rule or verb.parameters) then
      values_of(list, verb, verb.parameters and script, before, current)
    elseif starts(current, "-") then
      options_of(list, verb, verb.parameters and script, current)
    elseif words[1] == "help" or words[1] == "man" then
      for _, name in ipairs(cli.order) do add(list, current, name, cli.verbs[name].help) end
    elseif words[1] == "completion" then
      for _, name in ipairs {"bash", "fish", "zsh"} do add(list, current, name) end
    else
      list.files = verb.parameters and "*.lua" or verb.usage:find "%.h5" and "*.h5" or "*"
    end
    return list
  end

  function M.completion (_, rest)
    if rest[1] == "words" then
      local list = M.candidates(table.move(rest, 2, #rest, 1, {}))
      for _, item in ipairs(list) do print(item.text .. "\t" .. item.help) end
      if list.files then print(":files " .. list.files) end
      return cli.OK
    end
    local text = SHELLS[rest[1] or ""] or cli.usage("for which shell? bash, zsh or fish",
      cli.describe(cli.verbs.completion))
    io.write(text)
    return cli.OK
  end

  return M
end
