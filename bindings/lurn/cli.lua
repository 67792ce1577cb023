--- The command line: one table of verbs, read by the parser, by `lurn help` and by the tests.
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
local schema, json = part "schema" {}, part "json" {}

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

-- Options of verbs: {kind, help [, metavariable]}; kinds: flag, text, integer, number, or a list of words. A verb with
-- `words` gets what stands behind it as it is; one with `behind` what stands behind --, in options.behind.
local JSON = {"flag", "one JSON document on stdout"}
local CSV = {"flag", "as CSV, numbers with all their digits"}
local OP = {"text", "ops in C that the model uses: a.so,b.so", "FILES"}

M.verbs = {
  run = {
    usage = "lurn run SCRIPT [--PARAM VALUE]...   |   lurn run --resume RUN.h5\n"
      .. "       lurn run --fork RUN.h5 [--PARAM VALUE]...   |   lurn run [SCRIPT] --init RUN.h5 [--PARAM VALUE]...",
    help = "run an experiment",
    options = {
      seed = {"integer", "of everything random (1)"},
      threads = {"integer", "threads of the engine (1)"},
      precision = {{"f32", "f64"}, "of all numbers (f32)"},
      out = {"text", "the run file (runs/NAME-ID.h5)", "FILE"},
      force = {"flag", "out: write over a file that is there"},
      resume = {"text", "go on where this run file stopped", "RUN.h5"},
      fork = {"text", "a new run that goes on from the state of this one, with other parameters", "RUN.h5"},
      init = {"text", "a new run that begins with the weights of this one, by name", "RUN.h5"},
      partial = {"flag", "init: takes the weights that fit, where not all do"},
      keep = {"integer", "checkpoints of evaluations to keep, and the best: RUN.step-000400.h5"},
      json = JSON,
      quiet = {"flag", "no progress"},
    },
    parameters = true,
    from = "cli_run",
  },
  sweep = {
    usage = "lurn sweep SCRIPT [--PARAM VALUE | LOW..HIGH | A,B,C]...",
    help = "search the parameters of an experiment; the same command again goes on with the study",
    options = {
      trials = {"integer", "configurations in all (50; of a grid: all)"},
      store = {"text", "where trials are kept: a file, dir:/shared/folder, postgresql://... (sweeps/STUDY.db)", "URL"},
      study = {"text", "its name in the store (that of the experiment)", "NAME"},
      workers = {"integer", "trials side by side, each on a core of its own (all cores)"},
      sampler = {"text", "grid, random, sobol, tpe, with options: grid:points=5 (tpe)", "NAME"},
      pruner = {"text", "median, asha, hyperband, promotion, ... or none (median)", "NAME"},
      seeds = {"integer", "runs of a configuration, as long as it may win; training seeds from train_seed on (1)"},
      all_seeds = {"flag", "all seeds of all configurations, also of those that can no longer win"},
      seed = {"integer", "of the search (1)"},
      train_seed = {"integer", "of the trials (1)"},
      direction = {{"minimize", "maximize"}, "what is better (as the script says)"},
      timeout = {"text", "stop after so long; trials write checkpoints: 90, 15m, 2h", "TIME"},
      limit_time = {"text", "how long a trial may take", "TIME"},
      limit_memory = {"text", "what a trial may have in memory: 500MB, 2GB", "SIZE"},
      enqueue = {"text", "configurations to begin with: JSON, a list of {name: value}, or CSV with names", "FILE"},
      dry_run = {"flag", "say what would be searched and what a trial costs"},
      keep = {"integer", "of so many best trials the run files are kept (5)"},
      folder = {"text", "for the run files of trials (beside the store)", "FOLDER"},
      lease = {"number", "seconds after which the trials of a dead worker are taken over (60)"},
      stall = {"text", "a trial without a step for so long is taken to hang (1h)", "TIME"},
      precision = {{"f32", "f64"}, "of all numbers (f32)"},
      json = JSON,
      quiet = {"flag", "no progress"},
    },
    parameters = true,
    from = "cli_sweep",
  },
  slurm = {
    usage = "lurn slurm SCRIPT [--PARAM VALUE | LOW..HIGH | A,B,C]... [OPTIONS of lurn sweep] -- [OPTIONS of sbatch]",
    help = "the same search on a Slurm cluster: an array of workers on one store",
    options = {
      tasks = {"integer", "of the array (8)"},
      store = {"text", "for all hosts: dir:/shared/folder, postgresql://... (dir:sweeps/STUDY)", "URL"},
      workers = {"integer", "trials side by side in each task (1)"},
      write = {"text", "write the batch script there, and submit nothing", "FILE"},
    },
    as = "sweep",
    without = {"timeout", "dry_run", "quiet"},
    parameters = true,
    behind = true,
    from = "cli_slurm",
  },
  worker = {
    usage = "lurn worker --store URL --study NAME",
    help = "take part in a study (this executes the script in it)",
    options = {
      store = {"text", "where its trials are kept", "URL"},
      study = {"text", "its name in the store; the only one by default", "NAME"},
      workers = {"integer", "trials side by side, each on a core of its own (1)"},
      timeout = {"text", "stop after so long; trials write checkpoints: 90, 15m, 2h", "TIME"},
      folder = {"text", "for the run files of trials (that of the study)", "FOLDER"},
      lease = {"number", "seconds after which the trials of a dead worker are taken over (60)"},
      stall = {"text", "a trial without a step for so long is taken to hang (1h)", "TIME"},
      json = JSON,
      quiet = {"flag", "no progress"},
    },
    from = "cli_sweep",
  },
  study = {
    usage = "lurn study list   |   lurn study show|best|check|delete [STUDY]\n"
      .. "       lurn study export [STUDY] -o FILE.csv|FILE.json|URL   |   lurn study import URL [STUDY] --store URL",
    help = "what is in the stores of sweeps (check executes the script of the study)",
    options = {
      store = {"text", "where trials are kept (those in the folder sweeps)", "URL"},
      study = {"text", "its name in the store; the only one by default", "NAME"},
      out = {"text", "export: a table (.csv), a document (.json), or another store", "FILE"},
      top = {"integer", "show: so many configurations, best first (10)"},
      trial = {"integer", "show: all of this trial", "N"},
      yes = {"flag", "delete: without it nothing is deleted"},
      csv = CSV,
      json = JSON,
    },
    from = "cli_study",
  },
  rerun = {
    usage = "lurn rerun RUN.h5|BUNDLE.h5",
    help = "run the experiment inside a run file again, from the beginning (this executes its script)",
    options = {
      run = {"text", "of a bundle: which run (the best)", "NAME"},
      out = {"text", "the new run file (runs/NAME-ID.h5)", "FILE"},
      force = {"flag", "out: write over a file that is there"},
      data = {"text", "where the data are now: a.txt,b.h5; told by their hash", "FILES"},
      threads = {"integer", "threads of the engine (1)"},
      json = JSON,
      quiet = {"flag", "no progress"},
    },
    from = "cli_verify",
  },
  verify = {
    usage = "lurn verify RUN.h5|BUNDLE.h5",
    help = "run it again and compare bit by bit (this executes its script); 0: equal, 1: different",
    options = {
      run = {"text", "of a bundle: which run (the best)", "NAME"},
      steps = {"integer", "so many steps only"},
      data = {"text", "where the data are now: a.txt,b.h5; told by their hash", "FILES"},
      script = {"text", "another script instead of the one inside", "FILE"},
      seed = {"integer", "another seed"},
      threads = {"integer", "threads of the engine (1)"},
      json = JSON,
      quiet = {"flag", "no progress"},
    },
    from = "cli_verify",
  },
  diff = {
    usage = "lurn diff A.h5 B.h5",
    help = "what differs between two runs: parameters, code, data, environment, programs, curves",
    options = {csv = CSV, json = JSON},
    from = "cli_compare",
  },
  compare = {
    usage = "lurn compare RUN.h5...",
    help = "runs side by side: parameters that differ, last and best metrics",
    options = {
      plot = {"text", "their curves, drawn by gnuplot: FILE.svg or FILE.png", "FILE"},
      metric = {"text", "of the curves (loss)", "NAME"},
      csv = CSV,
      json = JSON,
    },
    from = "cli_compare",
  },
  ls = {
    usage = "lurn ls [FOLDER]",
    help = "the runs in a folder (runs) and below it; * marks the best",
    options = {
      sort = {"text", "best first by this metric, parameter, or best, steps, seconds", "NAME"},
      where = {"text", "those of which all this is true: 'lr<1e-3,cell=lstm'", "CONDITIONS"},
      csv = CSV,
      json = JSON,
    },
    from = "cli_compare",
  },
  bundle = {
    usage = "lurn bundle RUN.h5|FOLDER... -o FILE   |   lurn bundle FILE",
    help = "runs in one file to give away, with a table over seeds; or that table, and the runs, out of it",
    options = {
      out = {"text", "the bundle to write", "FILE"},
      with_data = {"flag", "the data files too; by default their hashes only"},
      data = {"text", "where the data are now: a.txt,b.h5", "FILES"},
      table = {{"md", "csv"}, "the form of the table (md)"},
      metric = {"text", "the figure in the table; by default what the experiment is about", "NAME"},
      extract = {"text", "write the run files and the data of a bundle there", "FOLDER"},
      json = JSON,
    },
    from = "cli_bundle",
  },
  sample = {
    usage = "lurn sample RUN.h5",
    help = "let a trained language model write",
    options = {
      length = {"integer", "characters to write (500)"},
      temperature = {"number", "below 1 bolder, above 1 wilder; 0 takes the likeliest (1)"},
      top_k = {"integer", "choose among the k likeliest only"},
      start = {"text", "text to go on from", "TEXT"},
      seed = {"integer", "of the choices (1)"},
      op = OP,
      json = JSON,
    },
    from = "cli_model",
  },
  eval = {
    usage = "lurn eval RUN.h5",
    help = "the loss of a trained model on its own splits or on a file",
    options = {
      data = {"text", "a text or a data set; the run's own data by default", "FILE"},
      batch = {"integer", "rows side by side; a text is read as one by default, its state carried all through"},
      seq = {"integer", "time steps in a window"},
      op = OP,
      json = JSON,
    },
    from = "cli_model",
  },
  predict = {
    usage = "lurn predict RUN.h5 -o OUT.csv|OUT.h5",
    help = "the outputs of a trained model, step by step",
    options = {
      data = {"text", "a text or a data set; the run's own data by default", "FILE"},
      out = {"text", "a table (.csv), or arrays /out and /offsets (.h5)", "OUT"},
      split = {"text", "this split only: train, valid, test", "NAME"},
      batch = {"integer", "sequences side by side (32)"},
      seq = {"integer", "time steps in a window"},
      op = OP,
      json = JSON,
    },
    from = "cli_model",
  },
  inspect = {
    usage = "lurn inspect FILE.h5",
    help = "what is in a run file or a data set",
    options = {json = JSON},
    from = "cli_files",
  },
  data = {
    usage = "lurn data text FILE -o OUT.h5   |   lurn data csv FILE -o OUT.h5 --x COLUMNS\n"
      .. "       lurn data npy FILE... -o OUT.h5   |   lurn data idx IMAGES LABELS -o OUT.h5",
    help = "make a data set of a text, of a table, of NumPy's arrays, or of images with a class each",
    options = {
      out = {"text", "the data set to write", "OUT.h5"},
      level = {{"char", "byte"}, "text: what a token is (char)"},
      x = {"text", "csv: columns of the inputs: a,b,c", "COLUMNS"},
      y = {"text", "csv: columns of the targets", "COLUMNS"},
      sequence = {"text", "csv: the column that says which sequence a row is of", "COLUMN"},
      time = {"text", "csv: the column that orders the rows of a sequence", "COLUMN"},
      class = {"flag", "csv: y is a class although it is a number"},
      targets = {{"step", "sequence", "next"}, "a target per step, or (csv: the last) one a sequence"},
      as = {"text", "npy: what integers are, numbers or ids (ids): x=numbers,y=ids", "NAME=KIND"},
      sep = {"text", "csv: between cells (a comma; a tab for .tsv)", "CHARACTER"},
      no_header = {"flag", "csv: the first row has no names: columns are 1, 2, ..."},
      missing = {"text", "csv: drop, fill, or a number for empty cells"},
      normalise = {"flag", "csv: to mean 0 and deviation 1 in the training part"},
      window = {"integer", "csv: sequences become windows of so many rows"},
      stride = {"integer", "csv: rows from window to window (1)"},
      horizon = {"integer", "csv: y is that many rows later"},
      split = {"text", "csv, npy: shares of train, valid, test", "80,10,10"},
      by = {{"ordered", "random", "stratified", "grouped"}, "csv, npy: how sequences are split (ordered)"},
      group = {"text", "csv: grouped: the column whose equal values stay together", "COLUMN"},
      seed = {"integer", "csv, npy: of the split (1)"},
      test_images = {"text", "idx: images of the split test", "FILE"},
      test_labels = {"text", "idx: and their classes", "FILE"},
      steps = {{"rows", "pixels", "patches"}, "idx: what a step of the sequence is (rows)"},
      rows = {"integer", "idx: rows of pixels in a step of rows (1)"},
      patch = {"integer", "idx: rows and columns of a patch (4)"},
      valid = {"integer", "idx: so many images, the last ones of train, are for validation (5000)"},
      source = {"text", "idx: where the images come from; their path by default"},
      licence = {"text", "idx: of the images"},
      json = JSON,
    },
    from = "cli_files",
  },
  bench = {
    usage = "lurn bench",
    help = "the speed table, beside PyTorch, oneDNN and JAX where they are",
    options = {
      rows = {"text", "only rows whose name this Lua pattern fits", "PATTERN"},
      turns = {"integer", "so many turns a row, however long they take"},
      quick = {"flag", "a second a row"},
      python = {"text", "interpreters that have PyTorch or JAX: a,b (the variable PYTHON, or python3)", "PROGRAMS"},
      chorales = {"text", "for the ragged row: a data set of rows of numbers, instead of generated lengths", "FILE"},
      first = {"text", "only this row's first step: its time and the memory of the process", "ROW"},
      write = {"text", "the results as a page of Markdown", "FILE"},
      json = JSON,
    },
    from = "bench",
  },
  man = {usage = "lurn man [VERB]", help = "a page for man: lurn man run | man -l -", options = {}, from = "manpage"},
  completion = {
    usage = "lurn completion bash|zsh|fish",
    help = "completion for a shell: eval \"$(lurn completion bash)\"",
    options = {},
    words = true,
    from = "completion",
  },
  env = {usage = "lurn env", help = "shell commands with which a stock lua5.4 finds the module", options = {}},
  version = {usage = "lurn version", help = "versions", options = {json = JSON}},
  help = {usage = "lurn help [VERB]", help = "this text, or that of a verb", options = {}},
}

local ORDER = {"run", "sweep", "worker", "slurm", "study", "rerun", "verify", "diff", "compare", "ls", "bundle",
  "sample", "eval", "predict", "inspect", "data", "bench", "man", "completion", "env", "version", "help"}
M.order = ORDER

-- A verb that is like another one has its options, too, but those that mean nothing here.
for _, verb in next, M.verbs do
  for name, rule in next, verb.as and M.verbs[verb.as].options or {} do
    if verb.options[name] == nil then verb.options[name] = rule end
  end
  for _, name in ipairs(verb.without or {}) do verb.options[name] = nil end
end

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

local function unknown_option (verb, name)
  local names = {}
  for known in pairs(verb.options) do names[#names + 1] = known end
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
  local names, words, lines, width = {}, {}, {}, 22
  for name in pairs(options) do
    names[#names + 1], words[name] = name, "--" .. name:gsub("_", "-") .. M.value_of(options[name])
    width = math.max(width, #words[name])
  end
  table.sort(names)
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

local function overview ()
  local lines = {"lurn: recurrent neural networks, scripted in Lua", "", "  lurn                   a Lua prompt",
    "  lurn -i SCRIPT         the same behind a script", "  lurn -e CODE           plays a line of Lua"}
  for _, name in ipairs(ORDER) do
    lines[#lines + 1] = ("  %-22s %s"):format("lurn " .. name, M.verbs[name].help)
  end
  lines[#lines + 1] = ""
  lines[#lines + 1] = "lurn help VERB says more; lurn run SCRIPT --help lists the parameters of a script."
  return table.concat(lines, "\n")
end

function M.verbs.help.call (_, rest)
  if not rest[1] then print(overview()) return M.OK end
  local verb = M.verbs[rest[1]]
  if not verb then M.unknown_verb(rest[1]) end
  print(verb.help .. "\n" .. M.describe(verb))
  return M.OK
end

function M.verbs.version.call (options)
  local lurn = M.lurn()
  if options.json then M.document {lurn = lurn.version, lua = _VERSION}
  else print(("lurn %s, %s"):format(lurn.version, _VERSION)) end
  return M.OK
end

local function shell_quote (text) return "'" .. text:gsub("'", "'\\''") .. "'" end

function M.verbs.env.call ()
  local cli = package.searchpath(folder .. ".cli", package.path)
  local root = cli:match("^(.*)/[^/]+/cli%.lua$")
  local parent = root:match("^(.*)/[^/]+$") or "."
  local native = package.searchpath(folder .. ".f32", package.cpath) or package.cpath:match("^[^;]*")
  local paths = {root .. "/?.lua", root .. "/?/init.lua"}
  if root:find("/bindings$") then paths[3] = parent .. "/?.lua" end
  print("export LUA_PATH=" .. shell_quote(table.concat(paths, ";") .. ";;"))
  print("export LUA_CPATH=" .. shell_quote(native:gsub("/" .. folder .. "/f32%.so$", "/?.so") .. ";;"))
  print("unset LUA_PATH_5_4 LUA_CPATH_5_4")
  return M.OK
end

---------------------------------------------------------------- dispatch

--- Prints the one JSON document of a verb.
function M.document (value)
  io.stdout:write(json.encode(value, {indent = true, name = "document"}), "\n")
end

--- Bytes as people say them: 950 bytes, 54.3 kB, 1.20 MB.
---@param bytes integer
function M.size (bytes)
  if bytes < 1000 then return bytes .. " bytes" end
  for _, unit in ipairs {"kB", "MB", "GB", "TB"} do
    bytes = bytes / 1000
    if bytes < 1000 or unit == "TB" then return ("%.1f %s"):format(bytes, unit) end
  end
end

function M.unknown_verb (word)
  if word:find("%.lua$") then M.usage(("'%s' is a script: lurn run %s"):format(word, word)) end
  M.usage(schema.unknown("unknown command", word, {table.unpack(ORDER)}), overview())
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
    print(verb.help .. "\n" .. M.describe(verb))
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
    if args[i] == "-e" and args[i + 1] then
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
