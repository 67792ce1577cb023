--- What several verbs are given: one file, a list of files, a run file.

return function (cli)
  local M = {}

  --- The one file that a verb is for.
  function M.only_file (verb, rest, what)
    if not rest[1] then cli.usage(("which %s?"):format(what or "run file"), cli.describe(cli.verbs[verb])) end
    if rest[2] then cli.usage(("one file, please; what is '%s'?"):format(rest[2]), cli.describe(cli.verbs[verb])) end
    return rest[1]
  end

  --- "a,b" as a list; of nothing an empty one.
  function M.words (text)
    local list = {}
    for word in (text or ""):gmatch "[^,]+" do list[#list + 1] = word end
    return list
  end

  --- What a verb reads it does not write over, whatever name it goes by.
  ---@param out string?
  ---@param paths string[]
  function M.keep (out, paths)
    local identity = cli.lurn().sys.identity
    local target = out and identity(out)
    for _, path in ipairs(target and paths or {}) do
      if identity(path) == target then cli.usage(("--out: %s is read here; give another name"):format(out)) end
    end
  end

  --- A run file, read by the lurn of its precision.
  ---@return table lurn
  ---@return table file
  function M.run (path)
    local lurn = cli.lurn()
    local file, message = lurn.runfile.read(path)
    if file and file.precision ~= lurn.precision then
      lurn = cli.lurn(file.precision)
      file, message = lurn.runfile.read(path)
    end
    if not file then cli.fail(cli.INPUT, message) end
    return lurn, file
  end

  return M
end
