--- What a model says of a sequence beside what is so: the decoded output, its target, and where they differ.
--
--   print(lurn.beside(model, data.valid))
--
--     reads  The cell is an equ
--     is     he cell is an equa
--     says   he tell as an equa
--               ^    ^
--     2 of 18 wrong (11.1 %)
--
-- Of a text it is the likeliest next character at every place, each said after what is really there before it; of a
-- model of lurn.loss.ctc the labels that it spells, laid along the true ones by the fewest edits, below a map of where
-- along the frames it hears the true ones (alignment.lua); of targets that are numbers both curves.

return function (lurn)
  local schema, alignment = lurn.schema, require "lurn.alignment"
  local M = {}

  local OPTIONS = {
    sequence = {"integer", 1, {1, 1e12}, "which one of the split; of a stream the window, read behind those before"},
    length = {"integer", 60, {1, 1e6}, "so many steps at most; of a model with one output a sequence: sequences"},
    blank = {"integer", nil, {1, 1e9}, "of lurn.loss.ctc: the class that is no label; the loss's own by default"},
    column = {"integer", 1, {1, 1e6}, "of targets that are numbers"},
  }

  ---@class lurn.Beside
  ---@field reads string[]?    what the model was given, where that is tokens
  ---@field is any[]           the target, as names of classes or numbers
  ---@field says any[]         the output, likewise; "" where something is missing
  ---@field wrong boolean[]?   place by place
  ---@field errors integer?    how many of them; of labels, the edits
  ---@field surprise number[]? -ln p of the target, place by place
  ---@field frames string[]?   of labels: the likeliest class of every frame, "" for a blank
  ---@field labels string[]?   the true ones
  ---@field share number[][]?  (L,T) how much of the labels' probability has label l in frame t; nil when the frames
  --                           cannot spell them
  local Beside = {__name = "lurn.Beside"}
  Beside.__index = Beside

  ---------------------------------------------------------------- playing

  -- The last batch that is wanted, and the output for it; windows of a stream are read in their order.
  local function play (model, split, first, last, seq)
    local stream = split.data and split.data.stream
    local feed = split:feed {batch = 1, seq = seq, shuffle = false}
    if last > feed.steps then
      error(("lurn.beside: sequence %d of %d"):format(last, feed.steps), 3)
    end
    local player = model.native:player {carry = not model.info.no_carry, infer = true}
    local batch
    for step = stream and 1 or first, last do
      batch = feed:batch(1, step)
      lurn.patience.attempt(player, 4, player.forward, batch, model.seed, step, "eval")
      player:commit()
    end
    return batch, player:output "out"
  end

  ---------------------------------------------------------------- names

  local function names_of (data, kind)
    local set = data and data.set or {}
    local next_one = set.targets == "next"
    local names = (kind == "x" or next_one) and data and data.vocab or nil
    if kind == "y" and not next_one then names = set.classes end
    return function (id) return type(names) == "table" and tostring(names[id] or id) or tostring(id) end
  end

  local function name_all (list, name)
    local out = {}
    for i, id in ipairs(list) do out[i] = name(id) end
    return out
  end

  ---------------------------------------------------------------- kinds of targets

  local function count (wrong)
    local n = 0
    for _, is_wrong in ipairs(wrong) do if is_wrong then n = n + 1 end end
    return n
  end

  -- The likeliest class of every frame beside the target's; frames without a target (id 0) are left out.
  local function classes (out, ids, length)
    local cols = out:numel() // #ids
    local rows = out:reshape(#ids, cols)
    local guess, lse = rows:argmax(2):totable(), cols > 1 and rows:logsumexp(2):totable() or {}
    local b = {at = {}, is = {}, says = {}, wrong = {}, surprise = {}}
    for t = 1, math.min(length, #ids) do
      local said = cols > 1 and guess[t] or rows(t, 1) > 0 and 2 or 1
      if ids[t] ~= 0 then
        local k = #b.is + 1
        b.at[k], b.is[k], b.says[k], b.wrong[k] = t, ids[t], said, said ~= ids[t]
        b.surprise[k] = lse[t] and lse[t] - rows(t, ids[t]) or nil
      end
    end
    b.errors = count(b.wrong)
    return b
  end

  -- Two lists laid along each other by the fewest edits; 0 where one has nothing.
  local function align (says, is)
    local cost = {}
    for i = 0, #says do
      cost[i] = {[0] = i}
      for j = 1, #is do
        cost[i][j] = i == 0 and j or math.min(cost[i - 1][j] + 1, cost[i][j - 1] + 1,
          cost[i - 1][j - 1] + (says[i] == is[j] and 0 or 1))
      end
    end
    local a, b, i, j = {}, {}, #says, #is
    while i > 0 or j > 0 do
      local here = cost[i][j]
      local both = i > 0 and j > 0 and cost[i - 1][j - 1] + (says[i] == is[j] and 0 or 1) == here
      local more = not both and i > 0 and cost[i - 1][j] + 1 == here
      table.insert(a, 1, (both or more) and says[i] or 0)
      table.insert(b, 1, not more and is[j] or 0)
      if both or more then i = i - 1 end
      if not more then j = j - 1 end
    end
    return a, b, cost[#says][#is]
  end

  -- The blank of the loss in a model's program, "ctc r5 r6 [0 0 1]": the second number, from 0.
  local function blank_of (model)
    local id = model:source_text():match "= ctc [^\n%[]*%[%S+ (%d+)"
    return id and math.tointeger(id) + 1 or 1
  end

  local function labels (out, batch, blank)
    local b = {wrong = {}, labels = {}, frames = {}}
    for _, id in ipairs(batch.labels:reshape(-1):totable()) do
      if id ~= 0 then table.insert(b.labels, id) end
    end
    b.says, b.is, b.errors = align(lurn.metrics.best_path(out, batch.lengths, blank)[1], b.labels)
    for k, id in ipairs(b.is) do b.wrong[k] = id ~= b.says[k] end
    local y = out:reshape(batch.lengths[1], out:size(3))
    b.share = alignment.shares(y:log_softmax():totable(), b.labels, blank)
    for t, id in ipairs(y:argmax(2):totable()) do b.frames[t] = id == blank and 0 or id end
    return b
  end

  local function numbers (out, y, length, column)
    local function column_of (x)
      local cols = x:numel() // length
      if column > cols then error(("lurn.beside: column %d of %d"):format(column, cols), 4) end
      return x:reshape(length, cols):select(2, column):totable()
    end
    return {is = column_of(y), says = column_of(out), numeric = true}
  end

  -- Sequences one after the other, of a model with one output each.
  local function whole_sequences (model, split, o)
    local stream_of, last = {is = {}, says = {}, wrong = {}, surprise = {}}, o.sequence + o.length - 1
    for k = o.sequence, math.min(last, split:feed {batch = 1, seq = 0, shuffle = false}.steps) do
      local batch, out = play(model, split, k, k, 0)
      if batch.y:dtype() ~= "ids" then
        table.insert(stream_of.is, batch.y:reshape(-1):totable()[o.column])
        table.insert(stream_of.says, out:reshape(-1):totable()[o.column])
        stream_of.numeric = true
      else
        local one = classes(out, batch.y:reshape(-1):totable(), 1)
        for _, name in ipairs {"is", "says", "wrong", "surprise"} do table.insert(stream_of[name], one[name][1]) end
      end
    end
    stream_of.errors = count(stream_of.wrong)
    return stream_of
  end

  local function compare (model, split, o)
    local stream = split.data and split.data.stream
    if model:output_axis() ~= "time" then return whole_sequences(model, split, o) end
    local batch, out = play(model, split, o.sequence, o.sequence, stream and o.length or 0)
    local length = batch.lengths[1]
    if not batch.y and batch.labels then return labels(out, batch, o.blank or blank_of(model)) end
    if not batch.y then error("lurn.beside: the split has no targets", 3) end
    if batch.y:dtype() ~= "ids" then return numbers(out, batch.y, length, o.column) end
    local b = classes(out, batch.y:reshape(-1):totable(), math.min(o.length, length))
    if batch.x and batch.x:dtype() == "ids" then
      local ids = batch.x:reshape(-1):totable()
      b.reads = {}
      for k, t in ipairs(b.at) do b.reads[k] = ids[t] end
    end
    return b
  end

  --- The decoded output of one sequence of a split beside its target; print shows both, wrong places marked.
  ---@param model lurn.Model
  ---@param split lurn.Split
  ---@param options? {sequence: integer?, length: integer?, blank: integer?, column: integer?}
  ---@return lurn.Beside
  function M.beside (model, split, options)
    local o = schema.check("lurn.beside", options, OPTIONS)
    local b = compare(model, split, o)
    if not b.numeric then
      local name = names_of(split.data, "y")
      local function label (id) return id == 0 and "" or name(id) end
      b.is, b.says = name_all(b.is, label), name_all(b.says, label)
      b.labels, b.frames = b.labels and name_all(b.labels, label), b.frames and name_all(b.frames, label)
      b.reads = b.reads and name_all(b.reads, names_of(split.data, "x"))
    end
    return setmetatable(b, Beside)
  end

  ---------------------------------------------------------------- text

  -- What would move the cursor gets a sign of its own; a gap shows.
  local function visible (token, utf8_too)
    if token == "" then return utf8_too and "·" or "-" end
    return (token:gsub("\n", utf8_too and "↵" or "$"):gsub("%c", "?"))
  end

  -- Tokens as columns of equal width, one each where all are single characters.
  local function columns_of (screen, b, names)
    local width, utf8_too = 1, screen.utf8()
    local lists = {}
    for _, name in ipairs(names) do
      lists[name] = b[name] and {}
      for k, token in ipairs(b[name] or {}) do
        lists[name][k] = visible(token, utf8_too)
        width = math.max(width, screen.width(lists[name][k]))
      end
    end
    return lists, width == 1 and 1 or width + 1
  end

  local function block (screen, b, lists, width, first, last)
    local lines, color = {}, screen.color()
    for _, name in ipairs {"reads", "is", "says"} do
      local cells = {}
      for k = first, lists[name] and last or first - 1 do
        local text = screen.pad(lists[name][k], width)
        if name == "says" and b.wrong[k] and color then text = "\27[31m" .. text .. "\27[0m" end
        cells[#cells + 1] = text
      end
      if lists[name] then lines[#lines + 1] = ("  %-5s  %s"):format(name, table.concat(cells):gsub(" +$", "")) end
    end
    local marks = {}
    for k = first, last do marks[#marks + 1] = screen.pad(b.wrong[k] and "^" or "", width) end
    local under = ((" "):rep(9) .. table.concat(marks)):gsub(" +$", "")
    lines[#lines + 1] = under ~= "" and under or nil
    return table.concat(lines, "\n")
  end

  local function charts () return require "lurn.chart" {lurn = lurn, show = require "lurn.show" (lurn)} end

  local function curves (b)
    local steps = {}
    for t in ipairs(b.is) do steps[t] = t end
    return charts().curve {{name = "is", x = steps, y = b.is}, {name = "says", x = steps, y = b.says}}
  end

  -- A row for each label; beneath, the likeliest class of every frame. A long sequence is broken into blocks, each with
  -- the labels that are in it.
  local function map (screen, b)
    if not b.share then return "  the frames cannot spell the labels" end
    if not b.share[1] then return "  there are no labels" end
    local lists, wide = columns_of(screen, b, {"labels", "frames"})
    return charts().map(b.share, {rows = lists.labels, labels = lists.frames, wide = wide, low = 0, high = 1,
      above = 0.05, title = "where each label is; beneath, the likeliest class of every frame"})
  end

  function Beside.__tostring (b)
    if b.numeric then return curves(b) end
    local screen = lurn.screen
    local lists, width = columns_of(screen, b, {"reads", "is", "says"})
    local most, parts = math.max(1, (screen.columns() - 9) // width), {b.frames and map(screen, b)}
    for first = 1, #b.is, most do
      parts[#parts + 1] = block(screen, b, lists, width, first, math.min(#b.is, first + most - 1))
    end
    local n = 0
    for _, token in ipairs(b.is) do if token ~= "" then n = n + 1 end end
    parts[#parts + 1] = ("  %d of %d wrong (%.1f %%)"):format(b.errors, n, n > 0 and 100 * b.errors / n or 0)
    return table.concat(parts, "\n")
  end

  return setmetatable(M, {__call = function (_, ...) return M.beside(...) end})
end
