-- Values and pictures on the screens that people have: narrow and wide, with and without UTF-8, never wider than it is.

local lurn = require "lurn"
local prompt = require "prompt_helper"
local shell = require "shell_helper"

local NARROW = {COLUMNS = "80", LINES = "24", LC_ALL = "C.UTF-8"}
local WIDE = {COLUMNS = "200", LINES = "50", LC_ALL = "C.UTF-8"}
local PLAIN = {COLUMNS = "80", LINES = "24", LC_ALL = "C"}

local session = prompt.session()
local words, show = session.words, session.show

local function text (env, value) return prompt.printed(env, function () print(show.text(value)) end) end

local function check_screen (out, env)
  for line in (out .. "\n"):gmatch "(.-)\n" do
    local width = env == PLAIN and #line or utf8.len(line)
    assert.is_true(width <= tonumber(env.COLUMNS), ("%d: %s"):format(width, line))
  end
  if env == PLAIN then assert.falsy(out:find "[\128-\255]", out) end
  return out
end

local function deep (layers)
  local list = {input = {vocab = 50}, lurn.embedding {size = 8}}
  for _ = 1, layers do list[#list + 1] = lurn.lstm {hidden = 8} end
  list[#list + 1] = lurn.linear {size = 50}
  return lurn.stack(list)
end

describe("a value at the prompt", function ()
  it("fits the screen: tensors, forty layers, tables, layers", function ()
    local model = deep(40)
    local set = {}
    for i = 1, 50 do set[i] = {x = {}, y = {}} for t = 1, i % 9 + 1 do set[i].x[t], set[i].y[t] = t % 3 + 1, 1 end end
    set.vocab = {"a", "é", "\n"}
    local data = lurn.dataset(set)
    local long = {}
    for i = 1, 1000 do long[i] = {name = "entry " .. i, value = i} end
    for _, env in ipairs {NARROW, WIDE, PLAIN} do
      check_screen(text(env, model), env)
      check_screen(text(env, lurn.zeros(1000, 1000)), env)
      check_screen(text(env, long), env)
      check_screen(text(env, lurn.gru {hidden = 3}), WIDE)
      check_screen(text(env, data):gsub("[^\n]*é[^\n]*", ""), env)
    end
    local out = text(NARROW, model)
    assert.matches("embedding1 +W %(50,8%) +400 ", out)
    assert.is_true(out:find "lstm9 " < out:find "lstm10 " and out:find "lstm40" < out:find "linear1")
    assert.matches("\n  all +%d+ ", out)
    assert.equal(model:count(), tonumber(out:match "\n  all +(%d+)"))
  end)

  it("shows tables as they are, cycles too", function ()
    local t = {1, 2, {3}, name = "x", deep = {a = {b = {c = {d = {}}}}}, ["two words"] = true}
    t.self = t
    assert.equal('{1, 2, {3}, deep = {a = {b = {c = {...}}}}, name = "x", self = <above>, ["two words"] = true}',
      text(WIDE, t))
    assert.equal("{}", text(NARROW, {}))
    assert.equal("nil", text(NARROW, nil))
    assert.matches("^{\n  %[1%] = 1.0,\n.*%.%.%. %d+ more\n}$", text({COLUMNS = "30", LINES = "12", LC_ALL = "C"},
      lurn.range(1, 90):totable()))
  end)

  it("shows a cell's equations, a data set's lengths, a run's curve", function ()
    local cell = lurn.cell {name = "mine", step = function (c, x, s) return lurn.tanh(c:linear(nil, {x, s.h})) end}
    assert.matches("scan forward mine1\n.*tanh", text(NARROW, cell {hidden = 2}))
    local data = lurn.dataset {{x = {1, 2, 3}}, {x = {2}}, {x = {3, 1}}, vocab = {"a", "b", "c"},
      split = {train = {1, 2}, valid = {3, 3}}}
    local out = text(NARROW, data)
    assert.matches("3 sequences, 6 frames, vocabulary of 3", out)
    assert.matches("median 2", out)
    local many = {}
    for n = 3, 15 do many[n - 2] = {x = lurn.ids(table.pack(string.byte(("\1"):rep(n), 1, n)))} end
    local ranges = {}
    for range in text(NARROW, lurn.dataset(many)):gmatch "\n *(%d+%-?%d*)  +%d+ " do ranges[#ranges + 1] = range end
    assert.same({"3-4", "5-6", "7-8", "9-10", "11-12", "13-14", "15"}, {table.unpack(ranges, 1, 7)})
    assert.matches("\n  classes up, down\n", text(NARROW, lurn.dataset {{x = {{1}}, y = 1}, {x = {{2}, {3}}, y = 2},
      classes = {"up", "down"}}))
    assert.matches("^lurn .*, lstm, ", (check_screen(text(NARROW, lurn), NARROW):gsub("\n", "")))
    assert.matches('"abc"', out)
    local experiment = lurn.experiment {name = "curve", run = function (run)
      for _, step in run:batches(data.train, {batch = 1, steps = 5}) do run:log {loss = 1 / step} end
    end}
    local run = experiment:start({}, {write = false, quiet = true})
    run:step(4)
    out = text(NARROW, run)
    assert.matches("run curve: waiting after %d steps", out)
    assert.matches("loss +0.25", out)
    assert.matches("\u{28ff}?[\u{2800}-\u{28ff}]", out)
    assert.equal(0.5, run.loss.value[2])
    assert.is_nil(run.nothing)
  end)
end)

describe("a picture", function ()
  local wave = {}
  for i = 1, 300 do wave[i] = math.sin(i / 20) * math.exp(-i / 150) end

  it("is as wide as the screen, in braille or in ASCII", function ()
    for _, env in ipairs {NARROW, WIDE, PLAIN} do
      local out = check_screen(prompt.printed(env, function () words.plot(wave, {height = 8}) end), env)
      local widest = 0
      for line in out:gmatch "[^\n]+" do widest = math.max(widest, env == PLAIN and #line or utf8.len(line)) end
      assert.is_true(widest > tonumber(env.COLUMNS) - 12, widest)
      assert.equal(env ~= PLAIN, out:find("\u{2801}", 1, true) ~= nil or out:find "\226[\160-\163]" ~= nil)
      assert.matches("1 +300", out)
    end
  end)

  it("puts every point where it belongs", function ()
    local out = prompt.printed(PLAIN, function () words.plot({0, 10}, {height = 5, width = 30}) end)
    local rows = {}
    for line in out:gmatch "[^\n]+" do rows[#rows + 1] = line end
    assert.matches("^ +10|.* %*+$", rows[1])
    assert.matches("^ +0|%*+$", rows[5])
    assert.equal(6, #rows)
  end)

  it("says what cannot be drawn, and tells series apart", function ()
    local out = prompt.printed(PLAIN, function ()
      words.plot({1, 0 / 0, 100, -1, math.huge}, {3, 2, 1}, {log = true, names = {"a", "b"}, title = "two"})
    end)
    assert.matches("3 points cannot be drawn", out)
    assert.matches("%* a   %+ b", out)
    assert.matches("^  two\n", out)
    local function run (path)
      return {path = path, metrics = {loss = {name = "loss", step = {1, 2}, value = {2, 1}}}}
    end
    local function of (...)
      local given = table.pack(...)
      return prompt.printed(PLAIN, function () words.plot(table.unpack(given)) end)
    end
    assert.matches("%* a loss   %+ b loss", of(run "runs/a.h5", run "b.h5"))
    assert.matches("%* x loss   %+ y", of(run "runs/a.h5", run("b.h5").metrics.loss, {names = {"x", "y"}}))
    local long = ("r"):rep(70)
    assert.matches("%* " .. long .. " loss\n  %+ b loss", of(run(long .. ".h5"), run "b.h5"))
    assert.matches("%* loss   %+ series 2", of(run("a.h5").metrics.loss, {3, 4}))
    assert.matches("1 points cannot be drawn", prompt.printed(PLAIN, function () words.plot {0 / 0} end))
    assert.has_error(function () words.plot "text" end)
    assert.has_error(function () words.plot({1, 2}, {titel = "x"}) end)
  end)

  it("counts in a histogram what there is", function ()
    local out = prompt.printed(PLAIN, function () words.hist({1, 1, 2, 3, 0 / 0}, {bins = 2}) end)
    assert.matches("1.5 +2  ", out)
    assert.matches("2.5 +2  ", out)
    assert.matches("1 numbers are NaN", out)
  end)

  it("of a matrix has its labels beneath, in blocks where it is wider than the screen", function ()
    local rows = {{}, {}}
    for j = 1, 150 do rows[1][j], rows[2][j] = j, -j end
    local labels = ("0123456789"):rep(15)
    local out = check_screen(prompt.printed(PLAIN, function () words.heat(rows, {labels = labels}) end), PLAIN)
    assert.equal(2, select(2, out:gsub("\n +%d%d%d%d%d%d%d%d%d%d", "")))
    assert.matches("%-150 to 150", out)
    out = check_screen(prompt.printed(WIDE, function () words.heat(lurn.tensor(rows), {labels = labels}) end), WIDE)
    assert.equal(1, select(2, out:gsub("\n +%d%d%d%d%d%d%d%d%d%d", "")))
    assert.matches("\n +columns 76 to 150\n", prompt.printed(PLAIN, function () words.heat(rows) end))
    out = prompt.printed(WIDE, function () words.heat({{1, 2}}, {labels = {"ééééé", "日本語と"}, wide = 4}) end)
    assert.matches("\n +éééé日本語と\n", out)
    out = prompt.printed(WIDE, function () words.heat({{1, 2}}, {labels = {"ééé", "日本"}, wide = 4}) end)
    assert.matches("\n +ééé 日本  \n", out)
  end)

  local drawn = os.execute "command -v gnuplot >/dev/null 2>&1" and it or pending
  drawn("goes to a file for a paper", function ()
    shell.open()
    for name, draw in pairs {
      ["a.svg"] = function (file) words.plot(wave, {file = file, title = "it's _one_"}) end,
      ["b.png"] = function (file) words.heat({{1, 2}, {3, 4}}, {file = file, labels = "a'"}) end,
      ["c.svg"] = function (file) words.hist(wave, {file = file}) end,
      ["d.svg"] = function (file) words.heat({{1, 2, 3}}, {file = file}) end,
      ["e.svg"] = function (file) words.heat({{0}, {0}}, {file = file}) end} do
      prompt.printed(NARROW, function () draw(shell.path(name)) end)
      local head = shell.read(name):sub(1, 8)
      assert.truthy(name:find "svg" and head:find "<%?xml" or head:find "PNG", head)
    end
    for _, name in ipairs {"d.svg", "e.svg"} do assert.matches("<image ", shell.read(name)) end
    assert.truthy((shell.read "a.svg":gsub("&#%d+;", "'")):find("it's _one_", 1, true))
    assert.has_error(function () words.plot(wave, {file = shell.path "x.jpg"}) end)
    assert.has_error(function () words.plot(wave, {file = shell.path "no/such/x.svg"}) end)
    shell.write("two.lua", [[local lurn = require "lurn"
      return lurn.experiment {name = "two", params = {k = 1}, run = function (run, p)
        local data = lurn.dataset {{x = {1, 2}}, {x = {2, 1}}, vocab = {"a", "b"}}
        for _, step in run:batches(data.train, {batch = 1, steps = 5}) do run:log {loss = p.k / step} end
        return 1
      end}]])
    for k = 1, 2 do assert.equal(0, (shell.lurn(("run two.lua --quiet --k %d --out r%d.h5"):format(k, k)))) end
    assert.equal(0, (shell.lurn "compare r1.h5 r2.h5 --plot two.svg"))
    assert.matches("r1%.h5.*r2%.h5", shell.read "two.svg")
    assert.equal(2, (shell.lurn "compare r1.h5 --plot two.svg --metric nothing"))
    shell.close()
  end)
end)
