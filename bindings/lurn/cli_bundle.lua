--- lurn bundle: runs, or a study of a sweep, in one file to give away; its table, and the files back out of it.

return function (cli)
  local M = {}

  local input = require "lurn.cli_input" (cli)
  local words = input.words

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

  ---------------------------------------------------------------- studies

  local function is_sqlite (path)
    local file = io.open(path, "rb")
    local head = file and file:read(15)
    if file then file:close() end
    return head == "SQLite format 3"
  end

  -- Whether a word is the address of a store, as lurn sweep takes it: then the address, and the study's name behind #.
  local function store_of (word)
    if is_sqlite(word) then return word end
    local url, name = word:match "^(.+)#([^#]+)$"
    url = url or word
    if is_sqlite(url) or url:find "^%a[%w+]*:" then return url, name end
  end

  local function gather (lurn, bundle, url, name)
    local store, message = lurn.store.open(url, {create = false})
    if not store then cli.fail(cli.INPUT, message) end
    local study, why = bundle.studies.gather(require "lurn.cli_study" (cli).study_of(store, url, name))
    store:close()
    return study or cli.fail(cli.INPUT, ("%s: %s"):format(url, why))
  end

  -- What is known of the data stands in run files.
  local function check_data (options, study, paths)
    if options.with_data and not paths[1] then
      cli.fail(cli.INPUT, ("--with-data: which data %s had is in its run files, and none of them is there"):format(
        study.name))
    end
  end

  ---------------------------------------------------------------- the verb

  local function make (lurn, bundle, options, list)
    local url, name = store_of(list[1])
    if url and list[2] then cli.usage("a bundle is of one study, or of run files") end
    if options.study and not url then cli.usage("--study belongs to a store; " .. list[1] .. " is none") end
    input.keep(options.out, url and {url} or list)
    local study, rows
    if url then
      study = gather(lurn, bundle, url, name or options.study)
      list = bundle.studies.runs(study)
      check_data(options, study, list)
    end
    rows = rows_of(lurn, require "lurn.shelf" (lurn), list)
    if not rows[1] and not study then cli.fail(cli.INPUT, "no run files there") end
    local names, message = bundle.write(options.out, rows, options.with_data, words(options.data), study)
    if not names then cli.fail(cli.INPUT, message) end
    if options.json then
      cli.document {file = options.out, runs = names, study = study and study.name, trials = study and #study.trials}
    else print(bundle.table_text(rows, options.table, options.metric, study)) end
    return cli.OK
  end

  local function parts_of (bundle, path)
    local is, message = bundle.is(path)
    if not is then message = path .. ": not a bundle; -o FILE makes one of run files" end
    if message then cli.fail(cli.INPUT, message) end
    return path
  end

  local function extract (bundle, path, folder, options)
    local parts, message = bundle.extract(path, folder, true)
    if not parts then cli.fail(cli.INPUT, message) end
    if options.json then
      cli.document {runs = parts.runs, data = parts.data, headline = parts.headline, store = parts.store}
    else
      if parts.store then print(("%s  (study %s)"):format(parts.store, parts.study.name)) end
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
      local head, cells = bundle.table_of(rows, options.metric, parts.study)
      cli.document {file = path, study = parts.study and parts.study.name, headline = parts.headline, head = head,
        rows = cells}
    else print(bundle.table_text(rows, options.table, options.metric, parts.study)) end
    return cli.OK
  end

  function M.bundle (options, rest)
    if not rest[1] then cli.usage("which run files, or which store?", cli.describe(cli.verbs.bundle)) end
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
