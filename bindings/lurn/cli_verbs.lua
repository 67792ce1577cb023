--- The verbs of the command line: one table, read by the parser, `lurn help`, the completions, the pages for man and
-- the tests. Whoever adds a verb adds a row, and its name to the order in which verbs are shown.
--
-- A row has usage, help, options and `from`, the module with the function of the verb's name; what is about the command
-- line itself has none, cli.lua gives it a `call`. Options: {kind, help [, metavariable]}; kinds: flag, text, integer,
-- number, or a list of words. And, where a verb wants it:
--
--   parameters   options that it does not know are those of a script
--   words        it gets the words behind it as they are
--   behind       what stands behind -- is in options.behind
--   as           it has the options of that verb, too
--   without      but these

local JSON = {"flag", "one JSON document on stdout"}
local CSV = {"flag", "as CSV, numbers with all their digits"}
local OP = {"text", "ops in C that the model uses: a.so,b.so", "FILES"}
local SEP = {"text", "of a table FILE: between cells; as in the run's own one by default", "CHARACTER"}
local DECIMAL = {{".", ","}, "of a table FILE: before the fraction of a number; as in the run's own one by default"}
local MISSING = {"text", "of a table FILE: drop, fill, or a number for empty cells; as of the run's own one by default"}

local verbs = {
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
      other_data = {"flag", "resume: goes on though the data are not what they were"},
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
      all_seeds = {"flag", "all seeds of all configurations, also of those that can no longer win; no default pruner"},
      seed = {"integer", "of the search (1)"},
      train_seed = {"integer", "of the trials (1)"},
      direction = {{"minimize", "maximize"}, "what is better (as the script says)"},
      timeout = {"text", "stop after so long; trials write checkpoints: 90, 15m, 2h", "TIME"},
      limit_time = {"text", "how long a trial may take", "TIME"},
      limit_memory = {"text", "what a trial may have in memory: 500MB, 2GB", "SIZE"},
      enqueue = {"text", "configurations to begin with: JSON, a list of {name: value}, or CSV with names", "FILE"},
      dry_run = {"flag", "say what would be searched and what a trial costs"},
      keep = {"integer", "of so many best configurations the run files are kept (5)"},
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
      metric = {"text", "these metrics alone; the curves are of the first one (loss)", "NAMES"},
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
    usage = "lurn bundle RUN.h5|FOLDER... -o FILE   |   lurn bundle STORE[#STUDY] -o FILE   |   lurn bundle FILE",
    help = "runs or a study in one file to give away, with a table over seeds; or that table, and all else, out of it",
    options = {
      out = {"text", "the bundle to write", "FILE"},
      study = {"text", "of a store: its name; the only one by default", "NAME"},
      with_data = {"flag", "the data files too; by default their hashes only"},
      data = {"text", "where the data are now: a.txt,b.h5", "FILES"},
      table = {{"md", "csv"}, "the form of the table (md)"},
      metric = {"text", "the figure in the table; by default what the experiment is about", "NAME"},
      extract = {"text", "write the run files, the data and the store of a bundle there", "FOLDER"},
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
      data = {"text", "a text, a table or a data set; the run's own data by default", "FILE"},
      batch = {"integer", "rows side by side; a text is read as one by default, its state carried all through"},
      seq = {"integer", "time steps in a window"},
      metrics = {"text", "beside the loss: accuracy,f1,confusion, ... (lurn.metrics)", "NAMES"},
      op = OP,
      sep = SEP,
      decimal = DECIMAL,
      missing = MISSING,
      json = JSON,
    },
    from = "cli_model",
  },
  predict = {
    usage = "lurn predict RUN.h5 -o OUT.csv|OUT.h5",
    help = "the outputs of a trained model, step by step",
    options = {
      data = {"text", "a text, a table or a data set; the run's own data by default", "FILE"},
      out = {"text", "a table (.csv), or arrays /out and /offsets (.h5)", "OUT"},
      denormalise = {"flag", "outputs on the scale of the table, where targets were normalised"},
      split = {"text", "this split only: train, valid, test", "NAME"},
      batch = {"integer", "sequences side by side (32)"},
      seq = {"integer", "time steps in a window"},
      op = OP,
      sep = SEP,
      decimal = DECIMAL,
      missing = MISSING,
      json = JSON,
    },
    from = "cli_model",
  },
  inspect = {
    usage = "lurn inspect FILE.h5",
    help = "what is in a run file or a data set",
    options = {
      script = {"flag", "the script in a run file, which is not executed"},
      module = {"text", "a Lua file that the script required, likewise", "NAME"},
      json = JSON,
    },
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
      categories = {"text", "csv: columns of the inputs that are words: a number of 0 or 1 for each word", "COLUMNS"},
      targets = {{"step", "sequence", "next"}, "a target per step, or (csv: the last) one a sequence"},
      as = {"text", "npy: what integers are, numbers or ids (ids): x=numbers,y=ids", "NAME=KIND"},
      sep = {"text", "csv: between cells (a comma; a tab for .tsv)", "CHARACTER"},
      decimal = {{".", ","}, "csv: before the fraction of a number (a point)"},
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
      write = {"text", "the results as a page of Markdown, with its numbers beside it for later benches", "FILE"},
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

local order = {"run", "sweep", "worker", "slurm", "study", "rerun", "verify", "diff", "compare", "ls", "bundle",
  "sample", "eval", "predict", "inspect", "data", "bench", "man", "completion", "env", "version", "help"}

for _, verb in next, verbs do      -- as, without
  for name, rule in next, verb.as and verbs[verb.as].options or {} do
    if verb.options[name] == nil then verb.options[name] = rule end
  end
  for _, name in ipairs(verb.without or {}) do verb.options[name] = nil end
end

return {verbs = verbs, order = order}
