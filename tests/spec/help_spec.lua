-- Help has something to say of every public name, and completion finds what can be typed.

local lurn = require "lurn"
local prompt = require "prompt_helper"

-- Tables of C that the module itself uses.
local INNER = {core = true, signal = true, sys = true, process = true, interrupted = true}

local function objects ()
  local data = lurn.dataset {{x = {1, 2, 3}, y = {1, 2, 1}}, vocab = {"a", "b", "c"}}
  local model = lurn.stack {input = {dim = 2}, lurn.lstm {hidden = 2}, lurn.linear {size = 1}}
  local experiment = lurn.experiment {name = "x", params = {size = {3, int = {1, 9}}}, run = function () end}
  return {tensor = lurn.zeros(2), model = model, data = data, split = data.train, feed = data.train:feed {batch = 1},
    optim = lurn.optim.adam(model), stream = model:stream(), experiment = experiment,
    run = experiment:start({}, {write = false, quiet = true})}
end

describe("help", function ()
  local here = objects()
  local session = prompt.session(here)
  local help = session.part "help"

  it("has something to say of every public name", function ()
    local missing = {}
    local function need (name)
      local found = help.find(name)
      if not found or found.text == "" then missing[#missing + 1] = name end
    end
    for name, value in pairs(lurn) do
      if not INNER[name] then need("lurn." .. name) end
      if type(value) == "table" and ("loss optim cells tasks plot rng h5 metrics json"):find(name, 1, true) then
        for member, f in pairs(value) do
          if type(f) == "function" then need(("lurn.%s.%s"):format(name, member)) end
        end
      end
    end
    for class, object in pairs(here) do
      for _, name in ipairs(session.complete.names(object)) do
        local own = rawget(type(object) == "table" and object or {}, name) ~= nil      -- a script's function, say
        if type(object[name]) == "function" and not own then need(class .. ":" .. name) end
      end
    end
    for name in pairs(session.words) do need(name) end
    for name in pairs(session.commands) do need("%" .. name) end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("shows options with their defaults, of constructors, methods and what hands its options on", function ()
    local declared = help.options
    for f, option in pairs {[lurn.lstm] = "hidden", [lurn.loss.mse] = "reduction", [lurn.optim.adam] = "clip_norm",
      [lurn.cells.peephole] = "zoneout", [lurn.text] = "min_count", [here.run.fit] = "eval_every",
      [here.run.batches] = "bucket", [here.model.evaluate] = "metrics", [lurn.tasks.adding] = "variant",
      [lurn.stack] = "input", [lurn.csv] = "normalise", [lurn.experiment] = "params", [here.split.feed] = "shuffle"} do
      local options = declared(f)
      assert.truthy(options and options[option], option)
    end
    local text = prompt.printed({COLUMNS = "100"}, function () help.help "lurn.lstm" end)
    assert.matches("forget_bias +number = 1", text)
    assert.matches("Long short%-term memory", text)
    text = prompt.printed({COLUMNS = "100"}, function () help.help "lurn.optim.adam" end)
    assert.matches("\n  Adam %(Kingma", text)
    assert.not_matches("Adagrad", text)
  end)

  it("finds words, names what was meant, and knows values", function ()
    local text = prompt.printed({COLUMNS = "100"}, function () help.apropos "clip" end)
    assert.matches("lurn.optim.adam", text)
    assert.matches("optim:step", text)
    assert.matches("did you mean 'lurn.lstm'", prompt.printed({}, function () help.help "lurn.lsmt" end))
    assert.matches("Trains as run.fit", prompt.printed({}, function () help.help(here.run.fit) end))
    assert.matches("members: .*forward", prompt.printed({}, function () help.help(here.model) end))
    assert.matches("apropos", prompt.printed({}, function () help.help() end))
  end)
end)

describe("values that lines gave", function ()
  it("are kept, the last twenty of them", function ()
    local session = prompt.session()
    for i = 1, 25 do session.give(i) end
    session.give(nil)
    local w = session.words
    assert.same({25, 24, 23, 6, 25}, {w._, w.__, w.___, w._6, w._25})
    assert.is_nil(w._5)
  end)
end)

describe("completion", function ()
  local here = objects()
  here.many = {}
  for i = 1, 10000 do here.many[("name_%05d"):format(i * 7919 % 10007)] = i end
  here.inherits = setmetatable({own = 1}, {__index = setmetatable({middle = 2}, {__index = {far = print}})})
  local session = prompt.session(here)
  local at = session.complete.at

  it("knows runs by the beginning of their names or of their times", function ()
    local begins = require "lurn.shelf" (lurn).begins
    for _, word in ipairs {"charlm", "char-2026", "2026", "20261125-12"} do
      assert.equal(word ~= "charlm", begins("char-20261125-120000-fedcba.h5", word), word)
    end
    assert.is_true(begins("char-lm-20261125-120000-fedcba.h5", "20261125"))
    assert.is_false(begins("char-lm-20261125-120000-fedcba.h5", "1200"))
  end)

  local function list (text)
    local start, found = at(text, #text)
    return found, start
  end

  local function has (text, word)
    for _, name in ipairs((list(text))) do if name == word then return true end end
    return false
  end

  it("knows fields and methods through metatables", function ()
    assert.same({"far", "middle", "own"}, (list "inherits."))
    assert.same({"far"}, (list "print(inherits:"))
    assert.same({"totable"}, (list "tensor:tot"))
    assert.is_true(has("run:con", "continue"))
    assert.is_true(has("x = model:eval", "evaluate"))
    assert.is_true(has("experiment.na", "name"))
    assert.is_true(has("lurn.loss.cross", "cross_entropy"))
    assert.same({}, (list "nothing.at.all."))
    assert.is_false(has("", "_VERSION"))
    assert.is_true(has("_V", "_VERSION"))
    assert.is_true(has("pri", "print") and has("whi", "while") and has("apr", "apropos"))
    assert.same({"save"}, (list "%sa"))
    assert.is_true(has("?lurn.ls", "lstm"))
    assert.is_true(has("??lurn.ls", "lstm"))
    assert.is_true(has("%edit lurn.ls", "lstm"))
    assert.equal(10, select(2, list "x = lurn.ls"))
  end)

  it("knows the options of the call whose braces are open", function ()
    assert.same({"hidden = "}, (list "lurn.lstm {hid"))
    assert.same({"hidden = "}, (list "m = lurn.stack {input = d, lurn.lstm {layers = 2, hid"))
    assert.is_true(has("m = lurn.stack {input = d, lurn.lstm {layers = 2}, lo", "loss = "))
    assert.is_true(has("run:fit({model = m, ", "patience = "))
    assert.is_true(has("lurn.optim.adam(model, {", "clip_norm = "))
    assert.same({"size = "}, (list "experiment:start {si"))
    assert.same({"time"}, (list 'lurn.loss.mse {reduction = "ti'))
  end)

  it("is not misled by strings and comments", function ()
    assert.is_true(has('f("{", "a\\"b", [[ { ]]) lurn.ls', "lstm"))
    assert.same({}, (list "-- lurn.ls"))
    assert.same({"hidden = "}, (list "lurn.lstm {name = '}', hid"))
  end)

  it("knows files and runs inside quotes", function ()
    local folder = os.tmpname()
    os.remove(folder)
    os.execute(("mkdir -p %s/sub; : > %s/king.txt; : > '%s/it''s.txt'"):format(folder, folder, folder))
    assert.same({folder .. "/king.txt"}, (list('lurn.text "' .. folder .. "/ki")))
    assert.same({folder .. "/sub/"}, (list("io.open('" .. folder .. "/su")))
    os.execute("rm -r " .. folder)
  end)

  it("answers within 50 ms with 10,000 names", function ()
    local best = math.huge
    for _ = 1, 5 do
      local begin = os.clock()
      assert.equal(10000, #list "many.")
      best = math.min(best, os.clock() - begin)
    end
    assert.is_true(best < (os.getenv "LURN_CHECK" and 1 or 0.05), best)
  end)
end)
