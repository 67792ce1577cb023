--- Synthetic tasks of the literature, as data sets: is there a state, and how long does it last?
--
--   local data = lurn.tasks.adding {T = 200, n = 50000, variant = "arjovsky", seed = 1}
--   data.train  data.valid  data.test       splits, as of every data set
--   data.baseline  data.guess               the loss of a trivial answer, and which answer that is
--
-- Papers define some of these differently under one name, so that figures of one cannot be compared with
-- figures of another; a variant is called after its paper. Baselines are computed from the definition.
--
-- Every draw is a pure function of (seed, task, variant, number of the sequence, number of the draw): sequence 7
-- is the same however many there are, and the parts of the splits never overlap.
--
--   HS97       Hochreiter & Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997
--   arjovsky   Arjovsky, Shah & Bengio, "Unitary evolution recurrent neural networks", ICML 2016
--   tcn        Bai, Kolter & Koltun, "An empirical evaluation of generic convolutional and recurrent networks
--              for sequence modeling", arXiv 1803.01271, 2018

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local SIZES = {
    n = {"integer", 10000, {1, 1e8}, "sequences to train on"},
    valid = {"integer", 1000, {0, 1e8}, "sequences to validate on"},
    test = {"integer", 1000, {0, 1e8}, "sequences to test on"},
    seed = {"integer", 1, nil, "of every draw"},
  }

  local function with_sizes (own)
    for name, rule in next, SIZES do own[name] = rule end
    return own
  end

  -- What sequence i throws: the k-th call gives one of 1 to n, each as likely.
  local function die (seed, name)
    local k = 0
    return function (n)
      k = k + 1
      return lurn.rng.below(seed, "data", name, k, n) + 1
    end
  end

  -- Draws the sequences of all splits: draw (throw, name) -> {x =, y =}, name being that of the sequence's own streams.
  local function collect (o, task, set, draw)
    local last = 0
    set.split = {}
    for _, part in ipairs {{"train", o.n}, {"valid", o.valid}, {"test", o.test}} do
      if part[2] > 0 then set.split[part[1]] = {last + 1, last + part[2]} end
      last = last + part[2]
    end
    for i = 1, last do
      local name = ("%s %d"):format(task, i)
      set[i] = draw(die(o.seed, name), name)
    end
    set.source = ("synthetic: %s, seed %d"):format(task, o.seed)
    return assert(lurn.dataset(set))
  end

  local function with_baseline (data, baseline, guess)
    data.baseline, data.guess = baseline, guess
    return data
  end

  -- The sequence has T to T + T / 10 steps (HS97).
  local function about (throw, T) return T + throw(T // 10 + 1) - 1 end

  ---------------------------------------------------------------- adding

  local ADDING = with_sizes {
    T = {"integer", 200, {2, 1e6}, "steps; hs97: the fewest"},
    variant = {"string", "arjovsky", {"hs97", "arjovsky", "tcn"}, "whose definition"},
  }

  local adding = {}

  -- HS97, experiment 4. T to T + T / 10 pairs (value in [-1, 1), marker); marker 1 at one of the first ten pairs and at
  -- one of the first T / 2 - 1 others, -1 at the first and at the last pair, 0 elsewhere. Target 0.5 + (X1 + X2) / 4.
  -- The first pair keeps its -1 when it is the one to be marked, and its value is then 0.
  function adding.hs97 (T, throw, name, seed)
    local x, first, second = lurn.zeros(about(throw, T), 2), throw(10), throw(T // 2 - 1)
    if second >= first then second = second + 1 end
    x:select(2, 1):copy(lurn.uniform(#x, {seed = seed, name = name, low = -1, high = 1}))
    if first == 1 or second == 1 then x:set(1, 1, 0) end
    x:set(first, 2, 1)
    x:set(second, 2, 1)
    x:set(1, 2, -1)
    x:set(#x, 2, -1)
    return {x = x, y = 0.5 + (x(first, 1) + x(second, 1)) / 4}
  end

  -- T pairs (value in [0, 1), marker), marker 1 at two of them; the target is the sum of their values.
  local function sum_of_two (T, name, seed, first, second)
    local x = lurn.zeros(T, 2)
    x:select(2, 1):copy(lurn.uniform(T, {seed = seed, name = name}))
    x:set(first, 2, 1)
    x:set(second, 2, 1)
    return {x = x, y = x(first, 1) + x(second, 1) + 0.0}
  end

  -- One in each half.
  function adding.arjovsky (T, throw, name, seed)
    return sum_of_two(T, name, seed, throw(T // 2), T // 2 + throw(T - T // 2))
  end

  -- Two different ones anywhere.
  function adding.tcn (T, throw, name, seed)
    local first, second = throw(T), throw(T - 1)
    return sum_of_two(T, name, seed, first, second < first and second or second + 1)
  end

  -- The variance of the target. U[0, 1) has variance 1/12 and U[-1, 1) has 1/3; in hs97 X1 is 0 when the first of ten
  -- pairs is drawn, X2 when it is not drawn then (9 / 10) but as the first of T / 2 - 1 others.
  local function adding_baseline (o)
    if o.variant ~= "hs97" then return 2 / 12 end
    return (9 / 10 + 1 - 9 / 10 / (o.T // 2 - 1)) / 3 / 16
  end

  --- Adding: of T pairs (value, marker) two are marked; the target, one number a sequence, is the sum of their
  -- values. x (T,2), y (1). hs97, arjovsky and tcn differ in the range of values, in where marks may be, in length and
  -- in scale.
  ---@param options? {T: integer?, variant: string?, n: integer?, valid: integer?, test: integer?, seed: integer?}
  ---@return lurn.Data   baseline: mean squared error of always answering the mean; 1/6 but for hs97
  function M.adding (options)
    local o = schema.check("lurn.tasks.adding", options, ADDING)
    if o.variant == "hs97" and o.T < 20 then
      error(("lurn.tasks.adding: hs97 marks one of the first ten pairs and one of the first half: T from 20, got %d")
        :format(o.T), 2)
    end
    local data = collect(o, "adding " .. o.variant, {targets = "sequence"}, function (throw, name)
      return adding[o.variant](o.T, throw, name, o.seed)
    end)
    return with_baseline(data, adding_baseline(o), "always the mean: the variance of the sum")
  end

  ---------------------------------------------------------------- copy memory

  local COPY = with_sizes {
    T = {"integer", 100, {2, 1e6}, "steps between seeing and repeating"},
    length = {"integer", 10, {1, 1e4}, "symbols to be remembered; hs97: 1"},
    symbols = {"integer", 8, {2, 1e4}, "how many there are; hs97: 2"},
    variant = {"string", "arjovsky", {"hs97", "arjovsky", "tcn"}, "whose definition"},
  }

  local copy = {}

  local function repeated (id, times)
    local list = {}
    for i = 1, times do list[i] = id end
    return list
  end

  -- What is put into a list at a place, and the list.
  local function put (list, at, items) return table.move(items, 1, #items, at, list) end

  local function throws (throw, n, times)
    local list = {}
    for i = 1, times do list[i] = throw(n) end
    return list
  end

  -- Ids: symbols, blank, delimiter. x: the symbols, T - 1 blanks, the delimiter, blanks; y: T + length blanks, the
  -- symbols.
  function copy.arjovsky (o)
    local blank, delimiter, steps = o.symbols + 1, o.symbols + 2, o.T + 2 * o.length
    local names = {}
    for i = 1, o.symbols do names[i] = "s" .. i end
    names[blank], names[delimiter] = "blank", "delimiter"
    return {vocab = names, classes = names}, function (throw)
      local message = throws(throw, o.symbols, o.length)
      local x, y = put(repeated(blank, steps), 1, message), put(repeated(blank, steps), o.T + o.length + 1, message)
      x[o.T + o.length] = delimiter
      return {x = lurn.ids(x), y = lurn.ids(y)}
    end
  end

  -- Numbers, one a step: digits 1 to `symbols`, 0 as the blank, and the largest digit + 1 at the last length + 1 steps.
  -- y as in arjovsky, as classes in the order of the digits.
  function copy.tcn (o)
    local mark, steps = o.symbols + 1, o.T + 2 * o.length
    local names = {}
    for digit = 0, mark do names[digit + 1] = tostring(digit) end
    return {classes = names}, function (throw)
      local message, class = throws(throw, o.symbols, o.length), {}
      for i, digit in ipairs(message) do class[i] = digit + 1 end
      local x = put(repeated(0.0, steps), 1, message)
      put(x, steps - o.length, repeated(mark, o.length + 1))
      return {x = lurn.tensor(x):reshape(steps, 1), y = lurn.ids(put(repeated(1, steps), o.T + o.length + 1, class))}
    end
  end

  -- HS97, experiment 2a, the oldest of the family: one of two symbols, a_1 to a_(T-1) always in this order, and the
  -- first symbol again. Every step asks for the next symbol; only the last one depends on what was drawn.
  function copy.hs97 (o)
    local names = {}
    for i = 1, o.T - 1 do names[i] = "a" .. i end
    names[o.T], names[o.T + 1] = "x", "y"
    return {vocab = names, targets = "next"}, function (throw)
      local x = {[1] = o.T - 1 + throw(2)}
      for i = 1, o.T - 1 do x[i + 1] = i end
      x[o.T + 1] = x[1]
      return {x = lurn.ids(x)}
    end
  end

  --- Copy memory: symbols are seen, T steps pass, then they are to be repeated. Classes at every step; the loss is the
  -- mean over all of them. arjovsky: ids, a delimiter says when. tcn: digits as numbers, (T + 20, 1), and the 9 stays
  -- on while they are to be repeated. hs97: one symbol of two, T predictions.
  ---@param options? table
  ---@return lurn.Data   baseline: in nats, of knowing all but what was seen: length ln(symbols) / (T + 2 length)
  function M.copy (options)
    local o = schema.check("lurn.tasks.copy", options, COPY)
    local set, draw = copy[o.variant](o)
    local data = collect(o, "copy " .. o.variant, set, draw)
    local nats = o.variant == "hs97" and math.log(2) / o.T or o.length * math.log(o.symbols) / (o.T + 2 * o.length)
    return with_baseline(data, nats, "all that needs no memory, and a guess at what was seen")
  end

  ---------------------------------------------------------------- temporal order

  local TEMPORAL_ORDER = with_sizes {
    T = {"integer", 100, {20, 1e6}, "the fewest steps"},
    variant = {"string", "6a", {"6a", "6b"}, "6a: two symbols, four classes; 6b: three symbols, eight classes"},
  }

  -- Where the symbols that count may be, in percent of T: each within a tenth of T.
  local places = {["6a"] = {10, 50}, ["6b"] = {10, 33, 66}}

  local ORDER = {"E", "B", "a", "b", "c", "d", "X", "Y"}
  local START, TRIGGER, LETTER, EITHER = 1, 2, 2, 6      -- of LETTER and EITHER: the id before the first

  --- Temporal order, HS97, experiments 6a and 6b: E, letters out of a b c d, B at the end; two (three) of the letters
  -- are X or Y, at places drawn within T / 10 to 2 T / 10 and so on. The class of the sequence says which came in
  -- which order. T to T + T / 10 steps, ids of 8 symbols; y is a class.
  ---@param options? table
  ---@return lurn.Data   baseline: ln 4 or ln 8 nats
  function M.temporal_order (options)
    local o = schema.check("lurn.tasks.temporal_order", options, TEMPORAL_ORDER)
    local at, classes = places[o.variant], {""}
    for _ = 1, #at do
      local longer = {}
      for _, word in ipairs(classes) do put(longer, #longer + 1, {word .. "X", word .. "Y"}) end
      classes = longer
    end
    local set = {vocab = ORDER, classes = classes, targets = "sequence"}
    local data = collect(o, "temporal order " .. o.variant, set, function (throw)
      local x, y = {START}, 0
      for t = 2, about(throw, o.T) - 1 do x[t] = LETTER + throw(4) end
      x[#x + 1] = TRIGGER
      for _, percent in ipairs(at) do
        local which = throw(2)
        x[about(throw, o.T) - o.T + o.T * percent // 100] = EITHER + which
        y = 2 * y + which - 1
      end
      return {x = lurn.ids(x), y = y + 1}
    end)
    return with_baseline(data, math.log(#classes), "any class, each as likely")
  end

  ---------------------------------------------------------------- embedded Reber grammar

  local REBER = with_sizes {}
  REBER.n = {"integer", 256, SIZES.n[3], SIZES.n[4]}
  REBER.valid = {"integer", 0, SIZES.valid[3], SIZES.valid[4]}
  REBER.test = {"integer", 256, SIZES.test[3], SIZES.test[4]}

  local LETTERS = {"B", "T", "P", "S", "X", "V", "E"}
  local id_of = {}
  for id, letter in ipairs(LETTERS) do id_of[letter] = id end

  -- The inner grammar (Reber 1967, as in Cleeremans, Servan-Schreiber & McClelland 1989): two arrows from each node, as
  -- likely, a letter and where it leads; from node 6 the string goes on with E.
  local arrows = {
    {{"T", 2}, {"P", 3}}, {{"S", 2}, {"X", 4}}, {{"T", 3}, {"V", 5}}, {{"X", 3}, {"S", 6}}, {{"P", 4}, {"V", 6}},
  }

  local function reber_string (throw)
    local outer = throw(2) == 1 and "T" or "P"
    local letters, node = {"B", outer, "B"}, 1
    while arrows[node] do
      local arrow = arrows[node][throw(2)]
      letters[#letters + 1], node = arrow[1], arrow[2]
    end
    put(letters, #letters + 1, {"E", outer, "E"})
    for i, letter in ipairs(letters) do letters[i] = id_of[letter] end
    return letters
  end

  -- How often each node is met in a string, on average: v = e_1 + v P, by repetition; what is left halves with every
  -- few rounds, so that 1000 are more than doubles can tell.
  local function visits ()
    local v = {1, 0, 0, 0, 0}
    for _ = 1, 1000 do
      local new = {1, 0, 0, 0, 0, 0}
      for node, pair in ipairs(arrows) do
        for _, arrow in ipairs(pair) do new[arrow[2]] = new[arrow[2]] + v[node] / 2 end
      end
      v = table.move(new, 1, #arrows, 1, {})
    end
    local sum = 0
    for _, times in ipairs(v) do sum = sum + times end
    return sum
  end

  --- The letters that may follow, for every step of an embedded Reber string but its last: lists of ids.
  ---@param ids integer[]
  ---@return integer[][]
  function M.reber_next (ids)
    local last, node, possible = #ids, 1, {{id_of.T, id_of.P}, {id_of.B}}
    for t = 3, last - 3 do
      if t > 3 then
        for _, arrow in ipairs(arrows[node]) do if id_of[arrow[1]] == ids[t] then node = arrow[2] break end end
      end
      local list = {}
      for i, arrow in ipairs(arrows[node] or {{"E"}}) do list[i] = id_of[arrow[1]] end
      possible[t] = list
    end
    possible[last - 2], possible[last - 1] = {ids[2]}, {id_of.E}
    return possible
  end

  --- The embedded Reber grammar, HS97, experiment 1: B, T or P, a string of Reber's grammar, the same T or P again, E;
  -- every step asks for the next letter. Ids of 7 letters, 9 and more steps, y is the next x. As in the paper, 256
  -- strings to train on and 256 to test. data.floor is the loss of one who knows all that can be known.
  ---@param options? table
  ---@return lurn.Data   baseline: in nats a letter, of knowing the grammar but not the second letter
  function M.reber (options)
    local o = schema.check("lurn.tasks.reber", options, REBER)
    local data = collect(o, "reber", {vocab = LETTERS, targets = "next"}, function (throw)
      return {x = lurn.ids(reber_string(throw))}
    end)
    -- Choices of one bit: the second letter and one at each node. Letters after the first: as many arrows, B T B E T E
    -- less that first one.
    local nodes = visits()
    data.floor = (nodes + 1) * math.log(2) / (nodes + 5)
    return with_baseline(data, (nodes + 2) * math.log(2) / (nodes + 5), "the grammar, but not the second letter")
  end

  ---------------------------------------------------------------- parity

  local PARITY = with_sizes {
    T = {"integer", 50, {1, 1e6}, "the most steps"},
    shortest = {"integer", nil, {1, 1e6}, "the fewest steps; T by default"},
    variant = {"string", "step", {"step", "last"}, "a target per step, or one at the end"},
  }

  --- Parity: is the number of ones so far odd? Ids of two symbols, classes "even" and "odd", at every step or ("last")
  -- once, at the end (Bengio, Simard & Frasconi 1994). A few tanh units can do it; what is hard is to find it.
  ---@param options? table
  ---@return lurn.Data   baseline: ln 2 nats
  function M.parity (options)
    local o = schema.check("lurn.tasks.parity", options, PARITY)
    local shortest = o.shortest or o.T
    if shortest > o.T then
      error(("lurn.tasks.parity: shortest (%d) is longer than T (%d)"):format(shortest, o.T), 2)
    end
    local set = {vocab = {"0", "1"}, classes = {"even", "odd"}, targets = o.variant == "last" and "sequence" or "step"}
    local data = collect(o, "parity " .. o.variant, set, function (throw)
      local x, y, odd = {}, {}, 0
      for t = 1, shortest + throw(o.T - shortest + 1) - 1 do
        x[t] = throw(2)
        odd = (odd + x[t] - 1) % 2
        y[t] = odd + 1
      end
      return {x = lurn.ids(x), y = o.variant == "last" and y[#y] or lurn.ids(y)}
    end)
    return with_baseline(data, math.log(2), "even or odd, each as likely")
  end

  return M
end
