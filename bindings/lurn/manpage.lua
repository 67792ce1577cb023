--- Pages for man(1), from the table of verbs: `lurn man` is lurn(1), `lurn man run` lurn-run(1).
--
--   lurn man run | man -l -
--
-- Written in mdoc, which both groff and mandoc read.

return function (cli)
  local M = {}

  local WIDTH = 78       -- of the source, as mandoc likes it

  -- A line that begins with a dot or an apostrophe would be an order to roff; a backslash always is one.
  local function plain (text)
    local lines, line = {}, ""
    for word in text:gsub("\\", "\\e"):gmatch "%S+" do
      if line ~= "" and #line + 1 + #word > WIDTH then lines[#lines + 1], line = line, "" end
      line = line == "" and word:gsub("^([.'])", "\\&%1") or line .. " " .. word
    end
    lines[#lines + 1] = line
    return table.concat(lines, "\n")
  end

  local function head (name, what)
    return {'.Dd $Mdocdate$', (".Dt %s 1"):format(name:upper()), ".Os lurn " .. cli.lurn().version, ".Sh NAME",
      ".Nm " .. name, ".Nd " .. plain(what)}
  end

  -- One form of usage a line: they are separated by bars and line ends in the table.
  local function synopsis (page, verb)
    page[#page + 1] = ".Sh SYNOPSIS"
    for form in (verb.usage:gsub("%s*|%s%s+", "\n") .. "\n"):gmatch "%s*(.-)\n" do
      page[#page + 1] = ".D1 " .. plain(form)
    end
  end

  local function options (page, verb)
    local names = cli.option_names(verb.options)
    if #names == 0 then return end
    page[#page + 1] = ".Sh OPTIONS"
    page[#page + 1] = ".Bl -tag -width Ds"
    for _, name in ipairs(names) do
      local value = cli.value_of(verb.options[name])
      page[#page + 1] = ".It Fl \\-" .. name:gsub("_", "\\-") .. (value ~= "" and " Ar" .. value or "")
      page[#page + 1] = plain(verb.options[name][2])
    end
    page[#page + 1] = ".El"
  end

  local STATUS = {
    ".Sh EXIT STATUS", ".Bl -tag -width Ds",
    ".It 0", "done",
    ".It 1", "the run failed: it diverged, or the script has an error; verify: the runs differ",
    ".It 2", "a mistake on the command line",
    ".It 3", "an input file is bad",
    ".It 130", "interrupted",
    ".It 143", "terminated", ".El",
  }

  local function verb_page (name, verb)
    local page = head("lurn-" .. name, verb.help)
    synopsis(page, verb)
    options(page, verb)
    table.move(STATUS, 1, #STATUS, #page + 1, page)
    page[#page + 1] = ".Sh SEE ALSO"
    page[#page + 1] = ".Xr lurn 1"
    return page
  end

  local function main_page ()
    local page = head("lurn", "recurrent neural networks, scripted in Lua")
    local add = function (...) for _, line in ipairs {...} do page[#page + 1] = line end end
    add(".Sh SYNOPSIS", ".Nm", ".Ar verb", ".Op Ar arguments", ".Sh DESCRIPTION",
      "Without a verb, a Lua prompt.", ".Bl -tag -width Ds")
    for _, name in ipairs(cli.order) do
      add(".It Cm " .. name, plain(cli.verbs[name].help))
      if next(cli.verbs[name].options) then add((".Pq see Xr lurn-%s 1"):format(name)) end
    end
    add(".El", ".Pp", "Results go to standard output, progress and messages to standard error; with",
      ".Fl \\-json", "standard output gets one JSON document and nothing else.")
    add(".Sh ENVIRONMENT", ".Bl -tag -width Ds",
      ".It Ev LURN_ISA", "c, avx2 or avx512: the instruction set of the kernels",
      ".It Ev NO_COLOR", "not empty: no colours",
      ".It Ev COLUMNS", "the width of the terminal", ".El")
    table.move(STATUS, 1, #STATUS, #page + 1, page)
    return page
  end

  function M.man (_, rest)
    local name = rest[1]
    if name and not cli.verbs[name] then cli.unknown_verb(name) end
    io.write(table.concat(name and verb_page(name, cli.verbs[name]) or main_page(), "\n"), "\n")
    return cli.OK
  end

  return M
end
