-- What a model says beside what is so: of a text, of labels without places, of sequences, of numbers.

local lurn = require "lurn"
local prompt = require "prompt_helper"

local ENV = {COLUMNS = "80", LINES = "24", LC_ALL = "C.UTF-8"}

local function text_of (b) return prompt.printed(ENV, function () print(b) end) end

-- A model that says what `f` computes of its one-hot input.
local function copier (data, f)
  return lurn.model(function (_, batch)
    local out = f(lurn.one_hot(batch.x, #data.vocab))
    return {loss = lurn.mean(out * out), out = out}
  end, {input = data})
end

describe("lurn.beside", function ()
  it("shows the next characters of a text and marks those that are wrong", function ()
    local path = os.tmpname()
    local f = assert(io.open(path, "w"))
    f:write(("abcaab\n"):rep(40))
    f:close()
    local data = assert(lurn.text(path))
    os.remove(path)
    local model = copier(data, function (x) return 5 * x end)      -- says that the next one is the same
    local b = lurn.beside(model, data.train, {length = 14})
    assert.equal("abcaab\nabcaab\n", table.concat(b.reads))
    assert.equal("bcaab\nabcaab\na", table.concat(b.is))
    assert.equal(table.concat(b.reads), table.concat(b.says))
    assert.equal(12, b.errors)
    assert.is_true(b.wrong[1] and not b.wrong[4] and b.wrong[5])
    assert.near(math.log(math.exp(5) + 3) - 5, b.surprise[4], 1e-5)
    local lines = {}
    for line in text_of(b):gmatch "[^\n]+" do lines[#lines + 1] = line end
    assert.same({"  reads  abcaab↵abcaab↵", "  is     bcaab↵abcaab↵a", "  says   abcaab↵abcaab↵",
      "         ^^^ ^^^^^^ ^^^", "  12 of 14 wrong (85.7 %)"}, lines)
    -- The second window is read behind the first.
    assert.same(b.is, lurn.beside(model, data.train, {length = 14, sequence = 2}).is)
    assert.has_error(function () lurn.beside(model, data.train, {sequence = 1000}) end)
    assert.has_error(function () lurn.beside(model, data.train, {lenght = 3}) end)
  end)

  it("lays what a model of lurn.loss.ctc spells along the labels", function ()
    local x = {}
    for t, id in ipairs {1, 2, 2, 1, 3, 4} do
      x[t] = {0, 0, 0, 0}
      x[t][id] = 9
    end
    local data = assert(lurn.dataset {{x = x, labels = {2, 3, 3, 4}}, {x = x, labels = {3, 4}},
      {x = {x[1], x[2]}, labels = {2, 3, 4}}})
    local model = lurn.model(function (_, batch)
      return {loss = lurn.mean(batch.x * batch.x), out = lurn.identity(batch.x)}
    end, {input = data})
    local b = lurn.beside(model, data.train)
    assert.same({{"2", "3", "3", "4"}, "234", 4, 1}, {b.is, table.concat(b.says), #b.says, b.errors})
    b = lurn.beside(model, data.train, {sequence = 2})
    assert.same({{"", "3", "4"}, {"2", "3", "4"}, {true, false, false}, 1}, {b.is, b.says, b.wrong, b.errors})
    assert.matches("  is     ·34\n  says   234\n         ^\n  1 of 2 wrong %(50.0 %%%)", text_of(b))
    assert.same({{"", "2", "2", "", "3", "4"}, {"3", "4"}}, {b.frames, b.labels})
    -- Between one 3 and the next there is a blank, so the first one is where the model hears a 2.
    local lines = {}
    for text in text_of(lurn.beside(model, data.train)):gmatch "[^\n]+" do lines[#lines + 1] = text end
    assert.same({"  2  █    ", "  3   █   ", "  3     █ ", "  4      █", "    ·22·34"}, {table.unpack(lines, 2, 6)})
    assert.matches("the frames cannot spell", text_of(lurn.beside(model, data.train, {sequence = 3})))
  end)

  it("knows the blank of the model's loss", function ()
    local data = assert(lurn.dataset {{x = {{9, 0, 0}, {0, 0, 9}, {0, 9, 0}}, labels = {1, 2}}})
    local model = lurn.stack {input = data, lurn.identity, loss = lurn.loss.ctc {blank = 3}}
    assert.same({"1", "", "2"}, lurn.beside(model, data.train).frames)
    assert.same({"1", "3", ""}, lurn.beside(model, data.train, {blank = 2}).frames)
  end)

  it("shows classes of whole sequences by name, and numbers as curves", function ()
    local data = assert(lurn.dataset {{x = {{1, 0}}, y = 1}, {x = {{0, 1}}, y = 2}, {x = {{0, 1}}, y = 1},
      classes = {"up", "down"}})
    local model = lurn.model(function (_, batch)
      local out = lurn.last(batch.x)
      return {loss = lurn.mean(out * out), out = out}
    end, {input = data})
    local b = lurn.beside(model, data.train)
    assert.same({{"up", "down", "up"}, {"up", "down", "down"}, {false, false, true}}, {b.is, b.says, b.wrong})
    assert.matches("  is     up   down up\n  says   up   down down\n                   ^", text_of(b))
    data = assert(lurn.dataset {{x = {{1}, {2}, {3}}, y = {{1}, {3}, {5}}}})
    model = lurn.model(function (_, batch)
      local out = batch.x * 2
      return {loss = lurn.mean(out * out), out = out}
    end, {input = data})
    b = lurn.beside(model, data.train)
    assert.same({{1, 3, 5}, {2, 4, 6}}, {b.is, b.says})
    assert.matches("is +.*says", text_of(b))
  end)

  it("is a word of the prompt that takes a run", function ()
    local data = assert(lurn.dataset {{x = {1, 2, 1, 2}, y = {1, 2, 1, 1}}, vocab = {"a", "b"}})
    local model = copier(data, function (x) return x end)
    local session = prompt.session()
    local run = {datasets = {data}, model = model}
    local out = prompt.printed(ENV, function () session.words.beside(run, {length = 3}) end)
    assert.matches("0 of 3 wrong", out)
  end)

  it("and so are the others: a run stands for its model and its data", function ()
    local data = assert(lurn.dataset {{x = {{1}}, y = 1}, {x = {{2}, {3}}, y = 2}, classes = {"a", "b"}})
    local model = lurn.stack {input = data, lurn.gru {hidden = 3, pool = "last"}, lurn.linear(),
      loss = lurn.loss.cross_entropy()}
    local words, run = prompt.session().words, {datasets = {data}, model = model}
    assert.matches("gru1.z +sigmoid", prompt.printed(ENV, function () words.gates(run) end))
    assert.matches("gru1.h: gradient of .*lag 1", prompt.printed(ENV, function () words.lags(run) end))
    assert.matches("taken for +a +b\n", prompt.printed(ENV, function () words.confusion(run) end))
    for _, word in ipairs {"beside", "gates", "lags", "confusion", "states", "sample"} do
      assert.has_error.matches(function () words[word](3) end, word .. ": expected a model, or a run")
    end
    assert.has_error.matches(function () words.gates(model) end, "gates: there are no data here")
  end)

  it("an attached run, too: its data are read again from where they were", function ()
    local stem = os.tmpname()
    local f = assert(io.open(stem, "w"))
    f:write "id,a,state\n1,0.5,low\n1,0.25,low\n2,0.75,high\n3,0.5,low\n"
    f:close()
    local run = lurn.experiment {name = "own", run = function (run)
      local data = assert(lurn.csv(stem, {sequence = "id", x = "a", y = "state"}))
      local m = lurn.stack {input = data, lurn.gru {hidden = 2}, lurn.linear(), loss = lurn.loss.cross_entropy()}
      return run:fit {model = m, optim = lurn.optim.sgd(m), train = data.train, steps = 1, seq = 0}.loss
    end}:start({}, {quiet = true, out = stem .. ".h5"}):play()
    assert.equal("done", run.status, run.error)
    local words = prompt.session().words
    assert.matches("taken for +high +low\n", prompt.printed(ENV, function () words.confusion(words.attach(run)) end))
    assert.matches("of 2 wrong", prompt.printed(ENV, function () words.beside(words.attach(run)) end))
    os.remove(stem)
    assert.has_error.matches(function () words.confusion(words.attach(run)) end,
      "confusion: .-No such file or directory.- %(the run's own data%), and none are given")
    os.remove(stem .. ".h5")
    os.remove(stem .. ".jsonl")
  end)
end)
