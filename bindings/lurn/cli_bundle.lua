--- lurn bundle: runs in one file to give away; its table, and the run files back out of it.

return function (cli)
  local M = {}

  local words = require "lurn.cli_input" (cli).words

  -- A folder stands for the run files in it. Broken ones are an error here: what is given away is whole.
  local function rows_of (lurn, shelf, list)
    local rows = {}
    local function add (path)
      local row = shelf.row(path)
      if row.error then cli.fail(cli.INPUT, row.error) end
      rows[#rows + 1] = row
    end
    for _, path in ipairs(list) do
      if lurn.sys.exists(path .. "/.") then
        for _, inside in ipairs(shelf.paths(path)) do add(inside) end
      else add(path) end
    end
    return rows
  end

  local function make (lurn, bundle, options, list)
    local rows = rows_of(lurn, require "lurn.shelf" (lurn), list)
    if not rows[1] then cli.fail(cli.INPUT, "no run files there") end
    local names, message = bundle.write(options.out, rows, options.with_data, words(options.data))
    if not names then cli.fail(cli.INPUT, message) end
    if options.json then cli.document {file = options.out, runs = names}
    else print(bundle.table_text(rows, options.table, options.metric)) end
    return cli.OK
  end

  local function parts_of (bundle, path)
    local is, message = bundle.is(path)
    if not is then message = path .. ": not a bundle; -o FILE makes one of run files" end
    if message then cli.fail(cli.INPUT, message) end
    return path
  end

  local function extract (bundle, path, folder, options)
    local parts, message = bundle.extract(path, folder)
    if not parts then cli.fail(cli.INPUT, message) end
    if options.json then cli.document {runs = parts.runs, data = parts.data, headline = parts.headline}
    else
      for name, file in pairs(parts.runs) do print(file .. (name == parts.headline and "  (headline)" or "")) end
      for _, file in ipairs(parts.data) do print(file) end
    end
    return cli.OK
  end

  local function show (lurn, bundle, path, options)
    local parts <close>, message = bundle.opened(path)
    if not parts then cli.fail(cli.INPUT, message) end
    local files = {}
    for _, file in next, parts.runs do files[#files + 1] = file end
    table.sort(files)
    local rows = rows_of(lurn, require "lurn.shelf" (lurn), files)
    if options.json then
      local head, cells = bundle.table_of(rows, options.metric)
      cli.document {file = path, headline = parts.headline, head = head, rows = cells}
    else print(bundle.table_text(rows, options.table, options.metric)) end
    return cli.OK
  end

  function M.bundle (options, rest)
    if not rest[1] then cli.usage("which run files?", cli.describe(cli.verbs.bundle)) end
    local lurn = cli.lurn()
    local bundle = require "lurn.bundle" (lurn)
    if options.out then return make(lurn, bundle, options, rest) end
    if rest[2] then cli.usage("where to? -o FILE", cli.describe(cli.verbs.bundle)) end
    local path = parts_of(bundle, rest[1])
    if options.extract then return extract(bundle, path, options.extract, options) end
    return show(lurn, bundle, path, options)
  end

  return M
end
