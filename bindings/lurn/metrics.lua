--- Metrics: what an evaluation says beside the loss.
--
--   model:evaluate(data.valid, {metrics = {"accuracy", "f1", gap = function (out, y, lengths) ... end}})
--
-- A collector is given the outputs and targets of batch after batch. Only what counts is looked at: frames of
-- rows that have not ended, whose target is not none and whose mask is not zero. There are four views of that:
-- decisions (a table of how often class c was called class d), scores, errors and likelihoods; a metric is a
-- name, a view and what is worked out of it in the end.

return function (lurn)
  local schema = lurn.schema
  local M = {}

  ---------------------------------------------------------------- frames that count

  -- A batch as the views below read it. Everything per step is (T,B,..); what is per sequence is treated as one step.
  local function frames_of (out, y, lengths, mask)
    local ids = y:dtype() == "ids"
    local over_time = y:dim() == (ids and 2 or 3)
    local B = #lengths
    local T = over_time and y:size(1) or 1
    local cols = out:numel() // (T * B)
    if cols * T * B ~= out:numel() or out:dim() < (over_time and 2 or 1) then
      error(("metrics: outputs (%s) do not lie as the targets (%s) do"):format(table.concat(out.shape, ", "),
        table.concat(y.shape, ", ")), 0)
    end
    local f = {ids = ids, T = T, B = B, cols = cols, lengths = lengths, over_time = over_time}
    f.out = out:reshape(T, B, cols)
    f.y = ids and y:reshape(T, B) or y:reshape(T, B, y:numel() // (T * B))
    f.targets = f.y:totable()
    f.mask = mask and over_time and mask:reshape(T, B):totable()
    return f
  end

  -- Calls each (t, r, target) for the frames that count; target is an id or a list of numbers.
  local function each_frame (f, each)
    for r = 1, f.B do
      for t = 1, f.over_time and f.lengths[r] or 1 do
        local target = f.targets[t][r]
        if target ~= 0 and not (f.mask and f.mask[t][r] == 0) then each(t, r, target) end
      end
    end
  end

  -- The likeliest class of every frame; of one column, which is a logit, class 2 where it is positive.
  local function decided (f)
    if f.decided then return f.decided end
    if f.cols > 1 then f.decided = f.out:argmax(3):totable()
    else
      f.decided = f.out:reshape(f.T, f.B):totable()
      for _, row in ipairs(f.decided) do
        for r, z in ipairs(row) do row[r] = z > 0 and 2 or 1 end
      end
    end
    return f.decided
  end

  local function values (f)
    f.values = f.values or f.out:totable()
    return f.values
  end

  ---------------------------------------------------------------- views

  local views = {}

  local FOR_CLASSES = "%s is for classes, and the targets are numbers; of numbers: mae, rmse"
  local FOR_BITS = "%s is for classes, and the targets are numbers other than 0 and 1; of numbers: mae, rmse"
  local FOR_NUMBERS = "%s is for targets that are numbers, not classes"

  -- What speaks against a view of such targets: a format for the name of a metric, or nil. binary: all are 0 or 1.
  local function against (view, ids, binary)
    if view == "errors" then return ids and FOR_NUMBERS or nil end
    if ids then return nil end
    if view == "likelihoods" or view == "edits" then return FOR_CLASSES end
    return not binary and FOR_BITS or nil
  end

  local function refuse (view, name, ids, binary)
    local why = against(view, ids, binary)
    if why then error("metrics: " .. why:format(name), 0) end
  end

  local function is_bit (target) return target == 0 or target == 1 end

  -- counts[c][d]: how often class c was called class d. Targets that are numbers, 0 or 1, are decisions of two classes
  -- each, 2 being the positive one, a column being a logit.
  function views.decisions ()
    local v = {classes = 2, counts = {}}
    local function note (truth, guess)
      local row = v.counts[truth] or {}
      v.counts[truth] = row
      row[guess] = (row[guess] or 0) + 1
      v.classes = math.max(v.classes, truth, guess)
    end
    function v.add (f)
      if f.ids then
        local guess = decided(f)
        v.classes = math.max(v.classes, f.cols)
        return each_frame(f, function (t, r, y) note(y, guess[t][r]) end)
      end
      local out = values(f)
      each_frame(f, function (t, r, y)
        for k, target in ipairs(y) do
          refuse("decisions", "accuracy", false, is_bit(target))
          note(target + 1 | 0, out[t][r][k] > 0 and 2 or 1)
        end
      end)
    end
    return v
  end

  -- How much each of two classes is called, for the area under the curve.
  function views.scores ()
    local v = {}
    function v.add (f)
      if f.ids and f.cols > 2 or not f.ids and f.cols > 1 then
        error(("metrics: auc is for two classes, and there are %d columns"):format(f.cols), 0)
      end
      local out = values(f)
      each_frame(f, function (t, r, y)
        local z, positive = out[t][r], f.ids and y == 2
        if not f.ids then
          refuse("scores", "auc", false, is_bit(y[1]))
          positive = y[1] == 1
        end
        v[#v + 1] = {f.cols == 2 and z[2] - z[1] or z[1], positive}
      end)
    end
    return v
  end

  function views.errors ()
    local v = {squares = 0.0, sizes = 0.0, n = 0}
    function v.add (f)
      refuse("errors", "mae", f.ids)
      local out = values(f)
      each_frame(f, function (t, r, y)
        for k, target in ipairs(y) do
          local e = (out[t][r][k] or error("metrics: more columns of targets than of outputs", 0)) - target
          v.squares, v.sizes, v.n = v.squares + e * e, v.sizes + math.abs(e), v.n + 1
        end
      end)
    end
    return v
  end

  -- -ln softmax(out)[y], added up.
  function views.likelihoods ()
    local v = {sum = 0.0, n = 0}
    function v.add (f)
      refuse("likelihoods", "perplexity", f.ids)
      local lse = f.out:logsumexp(3):totable()
      each_frame(f, function (t, r, y)
        v.sum, v.n = v.sum + lse[t][r] - f.out(t, r, y), v.n + 1
      end)
    end
    return v
  end

  --- Insertions, deletions and replacements that turn list a into list b.
  ---@return integer
  function M.distance (a, b)
    local row = {}
    for j = 0, #b do row[j] = j end
    for i = 1, #a do
      local corner = row[0]
      row[0] = i
      for j = 1, #b do
        local best = math.min(row[j] + 1, row[j - 1] + 1, corner + (a[i] == b[j] and 0 or 1))
        corner, row[j] = row[j], best
      end
    end
    return row[#b]
  end

  function views.edits ()
    local v = {edits = 0, n = 0}
    function v.add (f)
      refuse("edits", "edit_distance", f.ids)
      local guess, rows = decided(f), {}
      each_frame(f, function (t, r, y)
        rows[r] = rows[r] or {{}, {}}
        table.insert(rows[r][1], guess[t][r])
        table.insert(rows[r][2], y)
      end)
      for _, pair in pairs(rows) do v.edits, v.n = v.edits + M.distance(pair[1], pair[2]), v.n + #pair[2] end
    end
    return v
  end

  ---------------------------------------------------------------- what is worked out of them

  local function ratio (a, b) return b > 0 and a / b or 0 / 0 end

  -- Per class: how often it was there, was called, and was both.
  local function margins (v)
    local there, called, both, n = {}, {}, {}, 0
    for c = 1, v.classes do there[c], called[c], both[c] = 0, 0, 0 end
    for c, row in next, v.counts do
      for d, k in next, row do
        there[c], called[d], n = there[c] + k, called[d] + k, n + k
        if c == d then both[c] = k end
      end
    end
    return there, called, both, n
  end

  local function sum (list)
    local s = 0
    for _, x in ipairs(list) do s = s + x end
    return s
  end

  -- The mean of f (c) over the classes for which it has a value.
  local function class_mean (v, f)
    local s, n = 0.0, 0
    for c = 1, v.classes do
      local x = f(c)
      if x then s, n = s + x, n + 1 end
    end
    return ratio(s, n)
  end

  local metrics = {}

  function metrics.accuracy (v)
    local _, _, both, n = margins(v)
    return ratio(sum(both), n)
  end

  -- the mean over classes that are there of the share of them that was called so
  function metrics.balanced_accuracy (v)
    local there, _, both = margins(v)
    return class_mean(v, function (c) return there[c] > 0 and both[c] / there[c] end)
  end

  -- F1 = 2 tp / (2 tp + fp + fn) of a class; macro: the mean over the classes that are there or were called
  function metrics.f1 (v)
    local there, called, both = margins(v)
    return class_mean(v, function (c)
      local n = there[c] + called[c]
      return n > 0 and 2 * both[c] / n
    end)
  end

  -- micro: of all decisions together; where targets are numbers, of the positive ones
  function metrics.f1_micro (v)
    local there, called, both = margins(v)
    if v.numbers then return ratio(2 * both[2], there[2] + called[2]) end
    return ratio(2 * sum(both), sum(there) + sum(called))
  end

  --- counts[true class][called class]
  function metrics.confusion (v)
    local rows = {}
    for c = 1, v.classes do
      rows[c] = {}
      for d = 1, v.classes do rows[c][d] = v.counts[c] and v.counts[c][d] or 0 end
    end
    return rows
  end

  -- AUC = (sum of the ranks of the positive ones - p (p + 1) / 2) / (p n); equals share the mean of their ranks
  function metrics.auc (v)
    table.sort(v, function (a, b) return a[1] < b[1] end)
    local ranks, p, i = 0.0, 0, 1
    while i <= #v do
      local last = i
      while v[last + 1] and v[last + 1][1] == v[i][1] do last = last + 1 end
      for k = i, last do
        if v[k][2] then ranks, p = ranks + (i + last) / 2, p + 1 end
      end
      i = last + 1
    end
    return ratio(ranks - p * (p + 1) / 2, p * (#v - p))
  end

  function metrics.rmse (v) return math.sqrt(ratio(v.squares, v.n)) end
  function metrics.mae (v) return ratio(v.sizes, v.n) end
  function metrics.perplexity (v) return math.exp(ratio(v.sum, v.n)) end
  function metrics.bits_per_character (v) return ratio(v.sum, v.n) / math.log(2) end
  function metrics.edit_distance (v) return ratio(v.edits, v.n) end

  local view_of = {accuracy = "decisions", balanced_accuracy = "decisions", f1 = "decisions", f1_macro = "decisions",
    f1_micro = "decisions", confusion = "decisions", auc = "scores", rmse = "errors", mae = "errors",
    perplexity = "likelihoods", bits_per_character = "likelihoods", edit_distance = "edits"}
  metrics.f1_macro = metrics.f1

  ---------------------------------------------------------------- collectors

  --- Names of the metrics, sorted.
  ---@return string[]
  function M.names ()
    local names = {}
    for name in next, view_of do names[#names + 1] = name end
    table.sort(names)
    return names
  end

  local function name_of (key, what)
    if type(key) == "string" then return key end
    return type(what) == "string" and what or "metric" .. key
  end

  --- The names under which the results of such a list come.
  ---@return string[]
  function M.result_names (list)
    local names = {}
    for key, what in next, list do names[#names + 1] = name_of(key, what) end
    table.sort(names)
    return names
  end

  local Collector = {}
  Collector.__index = Collector

  local function unknown (what)
    if type(what) == "function" or view_of[what] then return nil end
    return ("%s (known: %s)"):format(type(what) == "string" and schema.unknown("unknown metric", what, M.names())
      or "a metric is a name or a function, got " .. schema.describe(what), table.concat(M.names(), ", "))
  end

  --- What is wrong with such a list for the targets of a split, before anything is played: a message, or nil. Nobody
  -- knows of a function.
  ---@param list table<any, string|function>
  ---@param split? any   without one only names are looked at
  ---@return string?
  function M.fault (list, split)
    local kind, range = lurn.targets.kind(split), nil
    for _, what in next, list do
      local why = unknown(what)
      if why then return why end
      local view = view_of[what]
      if view and kind == "numbers" and view ~= "errors" then range = range or lurn.targets.of(split) end
      why = view and kind and against(view, kind == "classes", range and range.binary)
      if why then return why:format(what) end
    end
  end

  local function take (self, key, what)
    local why = unknown(what)
    if why then error("metrics: " .. why, 0) end
    if type(what) == "function" then
      self.functions[name_of(key, what)] = {f = what, sum = 0.0, n = 0}
    else
      self.wanted[name_of(key, what)] = what
      self.views[view_of[what]] = self.views[view_of[what]] or views[view_of[what]]()
    end
  end

  --- Collects metrics over batches. `list` holds names and functions; a key that is a text names the result.
  ---@param list table<any, string|function>
  function M.collector (list)
    local self = setmetatable({views = {}, wanted = {}, functions = {}}, Collector)
    for key, what in next, list do take(self, key, what) end
    return self
  end

  --- A batch: outputs and targets (T,B,..), or (B,..) per sequence; lengths of the rows; mask (T,B); the batch itself.
  function Collector:add (out, y, lengths, mask, batch)
    if next(self.views) then
      local f = frames_of(out, y, lengths, mask)
      for _, view in next, self.views do
        view.add(f)
        view.numbers = not f.ids
      end
    end
    for _, own in next, self.functions do
      local value, count = own.f(out, y, lengths, batch)
      count = count or #lengths
      if count > 0 then own.sum, own.n = own.sum + value * count, own.n + count end
    end
  end

  --- Name -> value. A function's is the mean over the batches, each of which counts as its number of rows, or as
  -- the function's second result.
  ---@return table<string, number|integer[][]>
  function Collector:result ()
    local found = {}
    for name, what in next, self.wanted do found[name] = metrics[what](self.views[view_of[what]]) end
    for name, own in next, self.functions do found[name] = ratio(own.sum, own.n) end
    return found
  end

  return M
end
