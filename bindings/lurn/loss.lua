--- Losses: per frame, then one number.
--
-- A loss object has build (m, out) -> loss, weight: two symbols of one number each, the loss and what it was
-- divided by, so that evaluations over several batches can be put together. Reductions: "mean" over
-- what counts, "time" (the sum over t of each sequence, averaged over sequences), "sum".
--
-- The definitions are those of torch.nn; a frame with several columns counts once, with their mean.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local REDUCTION = {"string", "mean", {"mean", "time", "sum"}, "how frames become one number"}

  -- The targets, and how much each counts: as its mask says, and not at all where an index is none. A number
  -- that does not count may be anything, NaN as well. So it is replaced before it is used: in a
  -- derivative, a product, NaN times the zero that the reduction selects would be NaN.
  local function targets (m, index, axis, shape)
    local y = m:input("y", index and "index" or "real", axis, shape)
    local mask = m.mask and m:input("mask", "real", axis, {1}) or nil
    if not index then return mask and lurn.where(mask, y, 0) or y, mask end
    local live = lurn.live(y)
    return y, mask and live * mask or live
  end

  -- A loss of numbers or of classes: frame (m, out, y, o) gives what a frame costs, and for weighted classes how
  -- much the frame counts beside its mask. shape (out): columns of the targets, where they are not out's. Targets of
  -- losses in PROBABILITIES are checked before the first step (targets.lua).
  local PROBABILITIES = {bce = true, kl = true}

  local function define (name, index, help, options, frame, shape)
    options.reduction = REDUCTION
    M[name] = function (given)
      local o = schema.check("lurn.loss." .. name, given or {}, options)
      return {name = name, help = help, index = index, probabilities = PROBABILITIES[name], build = function (_, m, out)
        local y, weight = targets(m, index, out.axis, index and {1} or shape and shape(out) or out.shape)
        local l, share = frame(m, out, y, o)
        if share then weight = weight * share end
        return m.program:reduce(l, weight, o.reduction)
      end}
    end
  end

  ---------------------------------------------------------------- constants

  -- A list of numbers as a symbol (n): halves side by side, so that a long one is no long chain.
  local function constants (program, list, first, last)
    first, last = first or 1, last or #list
    local same = true
    for i = first + 1, last do same = same and list[i] == list[first] end
    if same then return program:fill(list[first], "once", {last - first + 1}) end
    local middle = (first + last) // 2
    return lurn.concat(constants(program, list, first, middle), constants(program, list, middle + 1, last))
  end

  -- What a list given as an option must look like.
  local function check_list (where, list, n, least)
    if #list ~= n then error(("%s: expected %d numbers, one a column, got %d"):format(where, n, #list), 0) end
    for i, x in ipairs(list) do
      if type(x) ~= "number" or not (x >= least and x < math.huge) then
        error(("%s: [%d] must be a number from %g, got %s"):format(where, i, least, schema.describe(x)), 0)
      end
    end
    return list
  end

  ---------------------------------------------------------------- classes

  local function count_ids (t, first, last, counts)
    for i = first, last do
      local id = t[i]
      if id > 0 then counts[id] = (counts[id] or 0) + 1 end
    end
  end

  -- Targets of sequence i as a list; where they are the next x, the last step has none.
  local function targets_of (set, i)
    local s = set:sequence(i)
    if s.y and s.y:dtype() ~= "ids" then error("lurn.loss.cross_entropy: numbers as targets are no classes", 0) end
    if s.y then return s.y:totable() end
    local x = set.targets == "next" and s.x:totable() or error("lurn.loss.cross_entropy: the data have no targets", 0)
    return table.move(x, 2, #x, 1, {})
  end

  -- Targets of each class in the training split: ranges of sequences, or of the frames of one long sequence.
  local function counts_of (data)
    local set, counts = data.set, {}
    for _, range in ipairs(set.splits.train or {{1, set.unit == "frame" and set.total or set.n}}) do
      if set.unit == "frame" then
        local y = targets_of(set, 1)
        count_ids(y, range[1], math.min(range[2], #y), counts)
      else
        for i = range[1], range[2] do
          local y = targets_of(set, i)
          count_ids(y, 1, #y, counts)
        end
      end
    end
    return counts
  end

  -- w_c = N / (C n_c), after which every class counts the same; a class that training never sees counts as seen once.
  local function balanced (data, classes)
    if type(data) ~= "table" or not data.set then
      error("lurn.loss.cross_entropy: weight = \"balanced\" counts targets: give data = the data set, too", 0)
    end
    local counts, total, weights = counts_of(data), 0, {}
    for _, n in next, counts do total = total + n end
    for c = 1, classes do weights[c] = total / (classes * math.max(1, counts[c] or 0)) end
    return weights
  end

  local function class_weights (m, out, o)
    if o.weight == "balanced" then return balanced(o.data or m.data, out.cols) end
    local least = o.smoothing > 0 and 1e-30 or 0      -- below, the frame is divided by its class's weight
    return o.weight and check_list("lurn.loss.cross_entropy: weight", o.weight, out.cols, least)
  end

  local CLASSES = {
    weight = {"table|string", nil, {"balanced"}, "how much each class counts: a list, or \"balanced\""},
    smoothing = {"number", 0, {0, 1}, "share of the target that is spread over all classes"},
    data = {"any", nil, nil, "for \"balanced\": the data set whose training targets are counted; a stack's own"},
  }

  -- l = (1 - e) w_y (-ln p_y) + e / C sum_c w_c (-ln p_c), and PyTorch divides the sum of that by the sum of w_y. So
  -- the frame costs l / w_y here and counts as w_y.
  define("cross_entropy", true, "-ln softmax(out)[y]; a target of 0 is ignored", CLASSES, function (m, out, y, o)
    local p, e, list = m.program, o.smoothing, class_weights(m, out, o)
    local l = p:loss("cross_entropy", out, y)
    local w = list and constants(p, list)
    local share = w and lurn.gather(lurn.reshape(w, out.cols, 1), y)
    if e == 0 then return l, share end
    local all = lurn.logsumexp(out) - out
    local spread = w and lurn.sum(all * w) / lurn.where(share, share, 1) or lurn.sum(all)
    return (1 - e) * l + e / out.cols * spread, share
  end)

  ---------------------------------------------------------------- numbers

  define("mse", false, "(out - y)^2, averaged over columns", {}, function (m, out, y)
    return m.program:loss("mse", out, y)
  end)

  define("mae", false, "|out - y|, averaged over columns", {}, function (_, out, y)
    return lurn.mean(lurn.abs(out - y))
  end)

  -- q = min(|d|, delta); l = q (|d| - q / 2): d^2 / 2 near zero, delta (|d| - delta / 2) beyond delta
  define("huber", false, "squared near zero, linear beyond delta", {
    delta = {"number", 1, {1e-30, 1e30}, "where it turns linear"},
  }, function (_, out, y, o)
    local d = lurn.abs(out - y)
    local q = lurn.minimum(d, o.delta)
    return lurn.mean(q * (d - 0.5 * q))
  end)

  -- l = (1 - y) z + (1 + (w - 1) y) ln(1 + e^-z), w the weight of the positive targets
  define("bce", false, "binary cross-entropy of logits, averaged over columns", {
    pos_weight = {"number|table", nil, {0, 1e30}, "what a positive target counts; a list: one a column"},
  }, function (m, z, y, o)
    local w = o.pos_weight
    if not w then return m.program:loss("bce", z, y) end
    if type(w) == "table" then w = constants(m.program, check_list("lurn.loss.bce: pos_weight", w, z.cols, 0)) end
    return lurn.mean((1 - y) * z + (1 + (w - 1) * y) * lurn.softplus(-z))
  end)

  -- l = e^z - y z: a Poisson variable's -ln P(y) with rate e^z, less ln y!, which no parameter changes
  define("poisson", false, "e^out - y out: out is the logarithm of a rate", {}, function (_, z, y)
    return lurn.mean(lurn.exp(z) - y * z)
  end)

  local function halves (out)
    if out.cols % 2 ~= 0 then
      error(("lurn.loss.gaussian_nll: out has %d columns; it takes as many means as log variances")
        :format(out.cols), 0)
    end
    return {out.cols // 2}
  end

  -- out = (mu, s): l = (s + (mu - y)^2 e^-s) / 2, s = ln variance, less ln(2 pi) / 2, which no parameter changes. A
  -- logarithm cannot be negative or zero, so the variance needs no lower limit.
  define("gaussian_nll", false, "out: means, then as many log variances", {}, function (_, out, y)
    local n = out.cols // 2
    local d, s = lurn.slice(out, 1, n) - y, lurn.slice(out, n + 1, 2 * n)
    return lurn.mean(0.5 * (s + d * d * lurn.exp(-s)))
  end, halves)

  -- l = sum_c y_c (ln y_c - out_c), where y_c = 0 costs nothing. Summed over columns: PyTorch's "batchmean", which
  -- is the divergence; its "mean" is that divided by the number of columns.
  define("kl", false, "Kullback-Leibler divergence: out log probabilities, y probabilities", {}, function (_, out, y)
    return lurn.sum(y * (lurn.log(lurn.where(y, y, 1)) - out))
  end)

  -- l = 1 - out . y / sqrt((out . out + k) (y . y + k)), k as in PyTorch's CosineEmbeddingLoss
  define("cosine", false, "1 - cosine of the angle between out and y", {}, function (_, out, y)
    local k = 1e-12
    return 1 - lurn.sum(out * y) / lurn.sqrt((lurn.sum(out * out) + k) * (lurn.sum(y * y) + k))
  end)

  ---------------------------------------------------------------- labels without their places

  -- Graves et al. 2006, as torch.nn.CTCLoss: "mean" divides each sequence's cost by its number of labels.
  local CTC = {
    blank = {"integer", 1, {1, 1e6}, "the class that stands for no label"},
    zero_infinity = {"boolean", false, nil, "labels that do not fit into their frames cost nothing, not infinity"},
    reduction = REDUCTION,
    labels = {"string", "labels", nil, "the field of the batch: ids along a second time axis"},
  }

  --- Connectionist temporal classification: out is one class, or a blank, for every step; the labels of a sequence
  -- are fewer and nobody knows where they stand.
  function M.ctc (given)
    local o = schema.check("lurn.loss.ctc", given or {}, CTC)
    local function build (_, m, out)
      local labels = m:input(o.labels, "index", "time2", {1})
      local l = m.program:write("ctc", {lurn.log_softmax(out), labels}, 0, {o.blank - 1, o.zero_infinity and 1 or 0})
      if o.reduction ~= "mean" then return m.program:reduce(l, nil, o.reduction) end
      local n = lurn.maximum(lurn.sum_time(lurn.live(labels)), 1)
      return m.program:reduce(l / lurn.reorder(n, l), nil, "mean")
    end
    return {name = "ctc", help = "-ln p of the labels, over all ways to lay them along the steps", build = build}
  end

  ---------------------------------------------------------------- any formula

  --- Any formula: f (out, y) -> a loss per frame (one column, or several to be averaged).
  ---@param f fun(out: any, y: any): any
  ---@param options? {target: "index"|"real", reduction: string?, size: integer?}
  function M.custom (f, options)
    local o = schema.check("lurn.loss.custom", options or {}, {reduction = REDUCTION,
      target = {"string", "real", {"real", "index"}, "what y is"},
        size = {"integer", nil, {1, 1e8}, "columns of y; out's by default"}})
    local index = o.target == "index"
    return {name = "custom", index = index, build = function (_, m, out)
      local y, weight = targets(m, index, out.axis, index and {1} or {o.size or out.cols})
      local l = f(out, y)
      if not lurn.is_symbol(l) then
        error(("a loss's function gives a symbol, the loss per frame, and not %s"):format(schema.describe(l)), 0)
      end
      return m.program:reduce(lurn.mean(l), weight, o.reduction)
    end}
  end

  return M
end
