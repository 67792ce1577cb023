--- Pictures of what a network does: its states along a text, how far back gradients reach, its gates, its mistakes,
-- what it says beside what is so.

return function (session)
  local lurn, schema = session.lurn, session.lurn.schema
  local chart = session.part "chart"
  local screen = session.show.screen
  local M = {}

  M.attach = require "lurn.attach" (session)

  local FILE = {"string", nil, nil, "FILE.svg or FILE.png, drawn by gnuplot, instead of the screen"}

  ---------------------------------------------------------------- whose

  -- A run stands for its model, and for its own data where none are given.
  local function model_of (x, where)
    if session.show.kind_of(x) == "lurn.Model" then return x end
    return type(x) == "table" and x.model or error(("%s: expected a model, or a run that has one, got %s"):format(where,
      session.show.line(x)), 4)
  end

  local function data_of (run, where)
    local list = type(run) == "table" and run.datasets or {}
    return list[1] or error(("%s: %s, and none are given"):format(where, list.missing or "there are no data here"), 4)
  end

  local function with_split (run, where)
    local model, data = model_of(run, where), data_of(run, where)
    return model, data.valid or data.train
  end

  local function with_batch (run, where, batch)
    local model = model_of(run, where)
    if batch then return model, batch end
    local data = data_of(run, where)
    return model, data.train:feed {batch = 8, seq = data.stream and 50 or 0}:batch(1, 1)
  end

  ---------------------------------------------------------------- states

  local STATES = {
    layer = {"string", nil, nil, "\"lstm1\"; the last recurrent one by default"},
    state = {"string", "h", nil, "of its cell"},
    units = {"integer", 16, {1, 1e6}, "so many units, those that move most"},
    title = {"string", nil, nil, "above the picture"},
    file = FILE,
  }

  -- A run, or an attached one, stands for its model and for whatever reads its text.
  local function parts_of (model, data, text, options)
    if type(data) ~= "string" then return model, data, text, options end
    local owner = model
    if session.show.kind_of(owner) == "lurn.Model" then
      error("states: whose vocabulary reads the text? states(model, data, text), or states(run, text)", 4)
    end
    return model_of(owner, "states"), owner.encode and owner or owner.datasets and owner.datasets[1], data, text
  end

  local function pick_state (states, o)
    local names = {}
    for name in next, states do names[#names + 1] = name end
    table.sort(names)
    local fits
    for _, name in ipairs(names) do
      local layer, state = name:match "^(.*)%.([^.]*)$"
      if state == o.state and (not o.layer or layer == o.layer) then fits = name end
    end
    return fits or error(("states: no state '%s' of layer '%s' (there are: %s)"):format(o.state, o.layer or "any",
      table.concat(names, ", ")), 4)
  end

  -- The state after every id: a list of steps of lists of units.
  local function trace (model, ids, o)
    local stream, steps, name = model:stream(), {}, nil
    for t, id in ipairs(ids) do
      stream:step(id)
      local states = stream:state()
      name = name or pick_state(states, o)
      steps[t] = states[name]:reshape(-1):totable()
    end
    return steps, name
  end

  -- Numbers of the units that vary most along the text, in their order.
  local function lively (steps, most)
    local list = {}
    for unit = 1, #steps[1] do
      local sum, squares = 0.0, 0.0
      for _, row in ipairs(steps) do sum, squares = sum + row[unit], squares + row[unit]^2 end
      list[unit] = {unit = unit, variance = squares / #steps - (sum / #steps)^2}
    end
    table.sort(list, function (a, b)
      if a.variance ~= b.variance then return a.variance > b.variance end
      return a.unit < b.unit
    end)
    local units = {}
    for k = 1, math.min(most, #list) do units[k] = list[k].unit end
    table.sort(units)
    return units
  end

  --- states(model, data, text, options), or states(run, text, options); see prompt_words.lua.
  function M.states (...)
    local model, data, text, options = parts_of(...)
    local o = schema.check("states", options, STATES, 2)
    model = model_of(model, "states")
    if type(text) ~= "string" then error("states: expected a text, got " .. schema.describe(text), 3) end
    if not data then error("states: nothing here reads a text; give the data set", 3) end
    local ids, message = data:encode(text)
    if not ids then error("states: " .. message, 3) end
    local steps, name = trace(model, ids, o)
    if not steps[1] then error("states: the text is empty", 3) end
    local rows, names = {}, {}
    for k, unit in ipairs(lively(steps, o.units)) do
      rows[k], names[k] = {}, tostring(unit)
      for t, row in ipairs(steps) do rows[k][t] = row[unit] end
    end
    chart.heat(rows, {labels = text, rows = names, title = o.title or name .. ", units that move most", file = o.file})
  end

  --- sample(model, data, options), or sample(run, options); see prompt_words.lua.
  function M.sample (model, data, options)
    local vocab = type(data) == "table" and data.vocab
    if session.show.kind_of(model) ~= "lurn.Model" then
      local run = model
      model, options = model_of(run, "sample"), data
      vocab = run.vocab or run.datasets and run.datasets[1] and run.datasets[1].vocab
    end
    if not vocab then error("sample: nothing here has a vocabulary; give the data set", 3) end
    return lurn.sample(model, vocab, options)
  end

  ---------------------------------------------------------------- gradients, gates

  local LAGS = {
    layer = {"string", nil, nil, "\"lstm1\"; the first recurrent one by default"},
    state = {"string", nil, nil, "of its cell; h by default"},
    file = FILE,
  }

  --- lags(model, batch, options), see prompt_words.lua.
  function M.lags (model, batch, options)
    local o = schema.check("lags", options, LAGS, 2)
    model, batch = with_batch(model, "lags", batch)
    local list, name = model:lags(batch, {layer = o.layer, state = o.state})
    if o.file then
      local x = {}
      for k in ipairs(list) do x[k] = k - 1 end
      return chart.plot({name = name .. ": gradient norm by lag", step = x, value = list}, {log = true, file = o.file})
    end
    local rows = {}
    for k, norm in ipairs(list) do rows[k] = {"lag " .. k - 1, norm} end
    local most = math.max(8, screen.lines() - 5)
    local every = math.ceil(#rows / most)
    if every > 1 then
      local thin = {}
      for k = 1, #rows, every do thin[#thin + 1] = rows[k] end
      rows = thin
    end
    print(("  %s: gradient of the last step's loss, by lag%s"):format(name, every > 1 and (" (every %d)"):format(every)
      or ""))
    print(lurn.plot.bars(rows, {log = true, width = math.max(10, screen.columns() - 30), utf8 = screen.utf8()}))
  end

  local function bar (share, width, character) return character:rep(math.floor(share * width + 0.5)) end

  --- gates(model, batch), see prompt_words.lua.
  function M.gates (model, batch)
    model, batch = with_batch(model, "gates", batch)
    local d, names, rows = model:diagnose(batch), {}, {}
    for name in next, d.gates do names[#names + 1] = name end
    table.sort(names)
    local shut, open = table.unpack(screen.utf8() and {"░", "█"} or {".", "#"})
    for k, name in ipairs(names) do
      local g = d.gates[name]
      local low, high = g.low or 0, g.high or g.saturated
      local left, right = bar(low, 30, shut), bar(high, 30, open)
      local rest = (" "):rep(math.max(0, 30 - screen.width(left) - screen.width(right)))
      rows[k] = {name, g.kind, left .. rest .. right, ("%5.1f %%"):format(100 * low), ("%5.1f %%"):format(100 * high)}
    end
    for name, dead in next, d.dead do
      rows[#rows + 1] = {name, "relu", bar(dead.share, 30, shut), ("%5.1f %%"):format(100 * dead.share), "dead"}
    end
    if not rows[1] then return print "  the model has no gates" end
    local head = ("%s shut (below 0.1), %s open (above 0.9)"):format(shut, open)
    table.insert(rows, 1, {"activation", "", head, "shut", "open"})
    print(screen.table(rows, {[4] = true, [5] = true}))
  end

  ---------------------------------------------------------------- mistakes

  --- confusion(model, split, options), see prompt_words.lua.
  function M.confusion (model, split, options)
    if session.show.kind_of(split) == nil then
      options, model, split = split, with_split(model, "confusion")
    end
    local o = {metrics = {"confusion"}}
    for key, value in next, options or {} do if key ~= "file" then o[key] = value end end
    local matrix = model:evaluate(split, o).confusion
    local classes = split.data and split.data.set.classes or {}
    local shares, names, rows = {}, {}, {}
    for i, row in ipairs(matrix) do
      local sum = 0
      for _, n in ipairs(row) do sum = sum + n end
      shares[i], names[i], rows[i + 1] = {}, tostring(classes[i] or i), {tostring(classes[i] or i)}
      for j, n in ipairs(row) do
        shares[i][j] = sum > 0 and n / sum or 0
        rows[i + 1][j + 1] = ("%d"):format(n)
      end
    end
    if (options or {}).file then return chart.heat(shares, {rows = names, labels = names, file = options.file}) end
    rows[1] = {"is \\ taken for", table.unpack(names)}
    local right = {}
    for j = 2, #names + 1 do right[j] = true end
    if #names <= 20 then print(screen.table(rows, right)) end
    local wide = 1
    for _, name in ipairs(names) do wide = math.max(wide, math.min(8, screen.width(name) + 1)) end
    if #names > 20 then wide = 1 end
    chart.heat(shares, {rows = names, labels = #names <= 20 and names or nil, wide = wide,
      title = "share of each true class"})
  end

  ---------------------------------------------------------------- what it says

  --- beside(model, split, options), or beside(run, options); see prompt_words.lua.
  function M.beside (model, split, options)
    if session.show.kind_of(split) == nil then
      options, model, split = split, with_split(model, "beside")
    end
    local o, file = {}, nil
    for key, value in next, options or {} do if key == "file" then file = value else o[key] = value end end
    local b = lurn.beside(model, split, o)
    if not file then return print(b) end
    if b.numeric then return chart.plot(b.is, b.says, {names = {"is", "says"}, file = file}) end
    if b.share and b.share[1] then return chart.heat(b.share, {rows = b.labels, labels = b.frames, file = file}) end
    if not (b.surprise and b.surprise[1]) then error("beside: there is nothing to draw", 3) end
    chart.heat({b.surprise}, {labels = b.is, rows = {"-ln p"}, file = file})
  end

  return M
end
