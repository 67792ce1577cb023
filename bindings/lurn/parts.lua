--- What an instance of lurn is made of: a row for each part, in order of dependence, as a module finds those before it
-- already in the instance. A new part is one more row.
--
--   {"NAME"}          bindings/lurn/NAME.lua, a function of the instance, becomes lurn.NAME
--   native = true     the part is the core's, there is no such file
--   late = true       it is read when it is first asked for: reading all of the Lua half takes longer than some runs
--                     have to wait for their first step
--   adds_to = "PART"  it adds to that part, and is read after it
--   spread = NAMES    functions of the module that are lurn's own, as lurn.text is; true, where it is not late: all
--   inner = true      nothing for scripts: it may change at any time, and the manual need not tell of it. A list:
--                     these functions, of those that are spread

return {
  {"h5", native = true},
  {"sys", native = true, inner = true},
  {"signal", native = true, inner = true},
  {"process", native = true, inner = true},
  {"rng", native = true},
  {"batch", native = true},

  {"schema", inner = true},
  {"json"},
  {"shell", inner = true},
  {"quantity", inner = true},
  {"patience", inner = true},
  {"symbol", inner = true, spread = true},
  {"pascanu", late = true, inner = true},
  {"cell"},
  {"layers", spread = true, inner = {"initialise", "recurrent"}},
  {"conv", spread = true},
  {"cells"},
  {"loss"},
  {"probe", inner = true},
  {"model", spread = {"stack", "model", "show", "gradcheck", "from_program"}},
  {"op", late = true, spread = {"load_op", "check_op"}},
  {"optim"},
  {"sample", late = true},
  {"source", inner = true},
  {"data", spread = {"text", "dataset", "open", "import_text"}},
  {"progress"},
  {"repro", inner = true},
  {"lock", inner = true},
  {"manifest"},
  {"runfile", inner = true},
  {"spike", inner = true},
  {"fit"},
  {"run"},
  {"watch", inner = true},
  {"experiment", spread = {"load"}},

  {"metrics", late = true},
  {"beside", late = true},
  {"plot", late = true},
  {"screen", late = true, inner = true},
  {"csv", late = true, spread = {"csv", "import_csv", "csv_columns"}, inner = {"csv_columns"}},
  {"npy", late = true, spread = {"npy", "npz", "import_npy"}},
  {"idx", late = true, spread = {"idx", "import_idx"}},
  {"moving", late = true, spread = {"moving"}},
  {"tasks", late = true},
  {"lineage", late = true, inner = true},

  {"changes", late = true, inner = true},
  {"store_state", late = true, inner = true},
  {"store_event", late = true, inner = true},
  {"store_memory", late = true, inner = true},
  {"store_schema", late = true, inner = true},
  {"store_optuna", late = true, inner = true},
  {"store_foreign", late = true, inner = true},
  {"store_sql_study", late = true, inner = true},
  {"store_sql", late = true, inner = true},
  {"store_sqlite", late = true, inner = true},
  {"store_postgres", late = true, inner = true},
  {"store_dir", late = true, inner = true},
  {"store_spool", late = true, inner = true},
  {"store", late = true},

  {"space", late = true},
  {"sampler", late = true},
  {"sobol", adds_to = "sampler", inner = true},
  {"tpe", adds_to = "sampler", inner = true},
  {"ranks", late = true, inner = true},
  {"pruner", late = true},
  {"pruner_percentile", adds_to = "pruner", inner = true},
  {"pruner_alone", adds_to = "pruner", inner = true},
  {"pruner_halving", adds_to = "pruner", inner = true},
  {"racing", late = true},

  {"channel", late = true, inner = true},
  {"warm", late = true, inner = true},
  {"trial", late = true, inner = true},
  {"attempt", late = true, inner = true},
  {"keeper", late = true, inner = true},
  {"study_table", late = true, inner = true},
  {"sweep", late = true, inner = true},
  {"sweep_cost", late = true, inner = true},
  {"sweep_view", late = true, inner = true},
  {"agent", late = true, inner = true},
  {"slurm", late = true, inner = true},
}
