--- Option tables: one declaration per table, one messenger for all of them.
--
-- A declaration maps each option's name to {type, default, range, help}:
--
--   local FIT = {
--     epochs   = {"number", 10, {0, 1e9}, "passes over the training split"},
--     cell     = {"string", "lstm", {"rnn", "lstm", "gru"}, "which recurrent layer"},
--     model    = {"table", schema.required, nil, "what to train"},
--     on_nan   = {"string|function", "stop", nil, "what to do when the loss is not finite"},
--   }
--
-- Types are Lua's, and "integer"; "any" takes everything; alternatives are joined by "|". A range
-- is {low, high} for numbers and a list of choices for strings. A declaration with an entry [1]
-- also takes a list of values of that type in the array part (the layers of a stack).
-- An option that is wrong is a mistake of the caller, so everything here raises.

return function (lurn)
  local M = {}

  --- Default of an option that has to be given.
  M.required = setmetatable({}, {__tostring = function () return "required" end})

  --- What other libraries call our options. Used only in messages: a script keeps one spelling.
  M.synonyms = {
    hidden_size = "hidden", rnn_size = "hidden", units = "hidden", nhid = "hidden", num_units = "hidden",
    hidden_dim = "hidden", hidden_units = "hidden", n_hidden = "hidden",
    learning_rate = "lr", learningRate = "lr", step_size = "lr",
    batch_size = "batch", batchSize = "batch", minibatch = "batch", mb = "batch",
    seq_length = "seq", seq_len = "seq", sequence_length = "seq", bptt = "seq", timesteps = "seq", rho = "seq",
    num_layers = "layers", n_layers = "layers", nlayers = "layers", depth = "layers",
    max_epochs = "epochs", num_epochs = "epochs", n_epochs = "epochs", nb_epoch = "epochs",
    max_steps = "steps", num_steps = "steps", total_steps = "steps", iterations = "steps", max_iter = "steps",
    wordvec_size = "embed", embedding_size = "embed", embedding_dim = "embed", emsize = "embed",
    embedding = "embed", embed_size = "embed", embedding_dims = "embed",
    max_norm = "clip_norm", grad_clip = "clip_norm", gradient_clip = "clip_norm", clipnorm = "clip_norm",
    grad_norm = "clip_norm", clip_grad = "clip_norm", clip = "clip_norm", cutoff = "clip_norm",
    clipvalue = "clip_value",
    drop = "dropout", dropout_rate = "dropout", p_drop = "dropout", drop_prob = "dropout",
    num_samples = "length", primetext = "start", start_text = "start", prompt = "start", prefix = "start",
    temp = "temperature", out_features = "size", output_size = "size", output_dim = "size",
    num_embeddings = "size", filters = "size", num_filters = "size", out_channels = "size", kernel_size = "kernel",
    ksize = "kernel", strides = "stride", pad = "padding", pool_size = "size", dilation_rate = "dilation",
    dilations = "dilation", nonlinearity = "activation", act = "activation",
    wd = "weight_decay", weightDecay = "weight_decay", decay = "weight_decay",
    init_method = "init", initializer = "init", kernel_initializer = "init",
    early_stopping = "patience", max_epochs_no_best = "patience", random_seed = "seed",
    num_threads = "threads", n_threads = "threads", nthreads = "threads", dtype = "precision",
    train_data = "train", val = "valid", validation = "valid", validation_data = "valid",
    optimizer = "optim", optimiser = "optim", net = "model", network = "model",
    criterion = "loss", objective = "loss", beta_1 = "beta1", beta_2 = "beta2", epsilon = "eps",
    data_dir = "data", input_h5 = "data", file = "data", output = "out", elementwise_affine = "gain",
  }

  --- Edits (insert, delete, replace, swap of neighbours) that turn a into b.
  ---@param a string
  ---@param b string
  ---@return integer
  function M.distance (a, b)
    local before, row = {}, {}
    for j = 0, #b do row[j] = j end
    for i = 1, #a do
      local last = row
      row = {[0] = i}
      for j = 1, #b do
        local same = a:byte(i) == b:byte(j)
        row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (same and 0 or 1))
        if i > 1 and j > 1 and a:byte(i) == b:byte(j - 1) and a:byte(i - 1) == b:byte(j) then
          row[j] = math.min(row[j], before[j - 2] + 1)
        end
      end
      before = last
    end
    return row[#b]
  end

  --- The known name that the word most likely means, or nil when nothing is near.
  ---@param word string
  ---@param names string[]
  ---@return string?
  function M.nearest (word, names)
    table.sort(names)
    local meant = M.synonyms[word] or M.synonyms[word:gsub("-", "_")]
    local best, least = nil, math.max(1, #word // 3) + 1
    for _, name in ipairs(names) do
      if name == meant then return name end
      local edits = M.distance(word:lower(), name:lower())
      if edits < least then best, least = name, edits end
    end
    return best
  end

  local known = setmetatable({}, {__mode = "k"})      -- the names of declarations that were asked for before

  local function names_of (declaration)
    if known[declaration] then return known[declaration] end
    local names = {}
    for name in pairs(declaration) do
      if type(name) == "string" then names[#names + 1] = name end
    end
    table.sort(names)
    known[declaration] = names
    return names
  end

  --- The sentence for a name that is not known; the command line uses it, too.
  ---@param what string   for example "unknown option"
  ---@param word string
  ---@param names string[]
  ---@return string
  function M.unknown (what, word, names)
    local near = M.nearest(word, names)
    local text = ("%s '%s'"):format(what, word)
    if near then text = text .. (", did you mean '%s'?"):format(near) end
    return text
  end

  local function is_a (value, kind)
    if kind == "any" then return true end
    if kind == "integer" then return math.type(value) == "integer" or
      (math.type(value) == "float" and value == math.floor(value) and math.abs(value) < 2^53) end
    return type(value) == kind
  end

  local function describe (value)
    if type(value) == "string" then return ("'%s'"):format(value) end
    if type(value) == "number" or type(value) == "boolean" or value == nil then return tostring(value) end
    return "a " .. type(value)
  end
  M.describe = describe

  local function is_choice (range) return type(range[1]) == "string" end

  local function in_range (value, range)
    if not is_choice(range) then
      return type(value) ~= "number" or (value >= range[1] and value <= range[2])
    end
    if type(value) ~= "string" then return true end
    for _, choice in ipairs(range) do if value == choice then return true end end
    return false
  end

  local function range_text (range)
    if is_choice(range) then return "one of " .. table.concat(range, ", ") end
    return ("between %g and %g"):format(range[1], range[2])
  end

  -- A value as one of the kinds "integer|string", and whether it is one.
  local function as_kind (value, kinds)
    if type(value) == kinds then return value, true end      -- mostly, and at once
    for kind in kinds:gmatch "[^|]+" do
      if is_a(value, kind) then return kind == "integer" and math.tointeger(value) or value, true end
    end
    return value, false
  end

  --- Checks one value; returns it (an integer that was written 50.0 becomes 50) or raises.
  ---@param where string     who asks, for the message: "lurn.lstm"
  ---@param name string
  ---@param value any
  ---@param rule table       {type, default, range, help}
  ---@param level? integer   as in error
  function M.value (where, name, value, rule, level)
    local fits
    value, fits = as_kind(value, rule[1])
    if not fits then
      error(("%s: option '%s' must be %s, got %s"):format(where, name, rule[1]:gsub("|", " or "), describe(value)),
        (level or 1) + 1)
    end
    if rule[3] and not in_range(value, rule[3]) then
      error(("%s: option '%s' must be %s, got %s"):format(where, name, range_text(rule[3]), describe(value)),
        (level or 1) + 1)
    end
    return value
  end

  local function check_items (where, options, rule, out, level)
    for i, item in ipairs(options) do
      out[i] = M.value(where, ("[%d]"):format(i), item, rule, level + 1)
    end
  end

  local function check_names (where, options, declaration, level)
    for key in pairs(options) do
      local list = math.type(key) == "integer" and key >= 1 and key <= #options and declaration[1]
      if not list and declaration[key] == nil then
        local names = names_of(declaration)
        error(("%s: %s (known: %s)"):format(where, M.unknown("unknown option", tostring(key), names),
          table.concat(names, ", ")), level + 1)
      end
    end
  end

  --- Checks an option table against its declaration.
  -- Returns a new table with the defaults filled in; the caller's table is not changed.
  ---@param where string        who asks, for the messages: "lurn.lstm"
  ---@param options table?      nil counts as an empty table
  ---@param declaration table   name -> {type, default, range, help}
  ---@param level? integer      whose line the message shows; 1 is the caller of the function that checks
  ---@return table
  function M.check (where, options, declaration, level)
    level = (level or 1) + 2
    options = options == nil and {} or options
    if lurn and lurn.is_symbol and lurn.is_symbol(options) then      -- a layer or a loss that was never called
      error(("%s: its options come first: %s {...}, or %s()"):format(where, where, where), level)
    end
    if type(options) ~= "table" then
      error(("%s: expected a table of options, got %s"):format(where, describe(options)), level)
    end
    check_names(where, options, declaration, level)
    local out = {}
    if declaration[1] then check_items(where, options, declaration[1], out, level) end
    for _, name in ipairs(names_of(declaration)) do
      local rule, value = declaration[name], options[name]
      if value ~= nil then
        out[name] = M.value(where, name, value, rule, level)
      elseif rule[2] == M.required then
        error(("%s: option '%s' is missing (%s)"):format(where, name, rule[4] or rule[1]), level)
      else
        out[name] = rule[2]
      end
    end
    return out
  end

  --- A new object of one of several kinds, as a sampler is: its options, and `name`, its kind's.
  ---@param what string                   for messages: "sampler"
  ---@param kinds table<string, table>    by name; each has the `declaration` of its options, and becomes the class
  ---@param base table                    the class of all kinds
  ---@param common table                  declaration of the options that all kinds have
  ---@param name string
  ---@param options table?
  ---@return table
  function M.of_kind (what, kinds, base, common, name, options)
    local kind = kinds[name]
    if not kind then
      local names = names_of(kinds)
      error(("%s (known: %s)"):format(M.unknown(("lurn.%s: unknown %s"):format(what, what), tostring(name), names),
        table.concat(names, ", ")), 3)
    end
    kind.__index = kind
    setmetatable(kind, base)
    local declaration = {}
    for key, rule in pairs(common) do declaration[key] = rule end
    for key, rule in pairs(kind.declaration) do declaration[key] = rule end
    local self = setmetatable(M.check(("lurn.%s: %s"):format(what, name), options, declaration, 2), kind)
    self.name = name
    return self
  end

  --- One line per option, sorted by name: for manuals and for help at the prompt.
  ---@param declaration table
  ---@return string
  function M.help (declaration)
    local lines, longest = {}, 14
    for _, name in ipairs(names_of(declaration)) do longest = math.max(longest, #tostring(name)) end
    for _, name in ipairs(names_of(declaration)) do
      local rule = declaration[name]
      local default = rule[2] == nil and "" or (" = " .. tostring(rule[2]))
      if rule[2] == M.required then default = ", required" end
      local help = rule[4] and "   " .. rule[4] or ""
      lines[#lines + 1] = ("  %-" .. longest .. "s  %s%s%s"):format(name, rule[1], default, help)
    end
    return table.concat(lines, "\n")
  end

  --- Raises what is wrong with what should be a split, two levels up.
  ---@param name string   of the function that was called
  ---@param split any
  function M.check_split (name, split)
    if type(split) == "table" and split.feed then return end
    local whole = type(split) == "table" and split.all and ", a split of these data: data.all" or ""
    error(("%s: expected a split (data.test, data.all), got %s%s"):format(name,
      split == nil and "nil: the data have no such split" or "a " .. type(split), whole), 3)
  end

  return M
end
