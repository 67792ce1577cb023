-- The prompt, driven through a pseudo-terminal: editing, completion, pasting, Ctrl-C wherever something is played.

local shell = require "shell_helper"
local terminal = require "terminal_helper"
local at_terminal = shell.ready and terminal.typist and it or pending
local edited = shell.ready and terminal.typist and terminal.editor and it or pending
local when_built = shell.ready and it or pending
local line, send, keys, expect, wait = terminal.line, terminal.send, terminal.keys, terminal.expect, terminal.wait
local begin, interrupt, leave = terminal.begin, keys(terminal.interrupt), keys(terminal.leave)
local paused = expect "paused.*> "

-- From the key to the next prompt.
local PROMPTLY = 0.2 * terminal.slow

-- With `marks` it says every 50 steps that it goes on.
local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "repl", params = {steps = 40, hidden = {16, int = true}, marks = false,
  cell = {"lstm", choice = {"lstm", "gru"}}},
  run = function (run, p)
    local set = {split = {train = {1, 12}, valid = {13, 16}}, vocab = {"a", "b", "c", "d", "e"}}
    for i = 1, 16 do
      local x = {}
      for t = 1, 100 do x[t] = (i * 37 + t * 11) % 5 + 1 end
      set[i] = {x = x, y = x}
    end
    local data = lurn.dataset(set)
    local model = lurn.stack {input = data, lurn.embedding {size = 8}, lurn[p.cell] {hidden = p.hidden, dropout = 0.2,
      layers = 2}, lurn.linear {size = 5}, loss = lurn.loss.cross_entropy()}
    local log = run.log
    function run:log (values)
      log(self, values)
      if p.marks and self.steps % 50 == 0 then io.stderr:write "#" end
    end
    return run:fit {model = model, optim = lurn.optim.adam(model, {lr = 0.01}), train = data.train, valid = data.valid,
      seq = 0, batch = 4, steps = p.steps, eval_every = 20}.loss
  end}
]]

local BLOCK = [[
function twenty (n)
  local list = {}
  for i = 1, n do
    if i % 15 == 0 then
      list[i] = "both"
    elseif i % 5 == 0 then
      list[i] = "five"
    elseif i % 3 == 0 then
      list[i] = "three"
    else
      list[i] = i
    end
  end
  -- a comment, a string: "{("
  local text = {}
  for i, x in ipairs(list) do
    text[i] = tostring(x)
  end
  return table.concat(text, ",")
end]]

describe("the prompt", function ()
  setup(function ()
    shell.open()
    shell.write("script.lua", SCRIPT)
    shell.run("mkdir -p runs data; : > data/kingjames.txt; : > runs/demo-20260101-120000-abcdef.h5;"
      .. ": > runs/demo-20260202-120000-fedcba.h5")
  end)
  teardown(shell.close)

  at_terminal("shows values and errors, and names what was meant", function ()
    local _, code = terminal.play {expect "> ", line("x = 41", ""), line("x + 1", "42"), line("x;"),
      line("math.type(x); -- and more", "integer"), line("1, 2 -- two", "2"),
      line("lurn.lstm {hiden = 3}", "prompt:1: lurn.lstm: unknown option 'hiden', did you mean 'hidden'"),
      line("lurn.zeros(2, 3)", "tensor f32 \\(2, 3\\)"),
      line("pritn(1)", "did you mean 'print'"),
      line("lurn.stack {input = {dim = 1}, loss = lurn.loss.mse, lurn.lstm {hidden = 2}}",
        "prompt:1: lurn.loss.mse: its options come first: lurn.loss.mse \\{...\\}"),
      line("t = lurn.zeros(3)", ""), line("t[4]", "prompt:1: .*from 1 to 3, got 4"),
      line("none = lurn.load 'none.lua'", ""), line("none:start()", "lurn.load gave nil:"),
      line("error {code = 3 + 1}", "\\{code = 4\\}"), line("error()", "an error without a message"),
      line("local u = 1", "a local ends with its line"),
      line("lurn.lsmt {}", "did you mean 'lstm'"), line("{a = {1, 2}}", "{a = {1, 2}}"),
      send "for i = 1, 2 do", expect ">> ",
      line("end", ""), line("_ == nil", "false"), leave}
    assert.equal(0, code)
  end)

  at_terminal("keeps the values that lines gave", function ()
    terminal.play {expect "> ", line("6 * 7", "42"), line("x = 1", ""), line("'two'", "two"), line("{3}", "\\{3\\}"),
      line("_[1], __, ___", "3\ttwo\t42"), line("_1, _3[1]", "42\t3"), line("_ = 5", ""), line("_", "5"),
      line("_ + 1", "6"), line("for i = 1, 3 do end", ""), line("_", "6"), line("%who", "_2 +\"two\""), leave}
  end)

  at_terminal("opens an editor on the last entry and on functions, and plays what was changed there", function ()
    shell.write("half.lua", "local by = 2\nlocal M = {}\nfunction M.half (x)\n  return x / by\nend\n"
      .. "M.both = {a = function (x, y) return x + y + by end, b = 1}\nreturn M\n")
    shell.write("ed.sh", "#!/bin/sh\ncat \"$2\" >> seen\nsed -i \"$1\" \"$2\"\n")
    shell.run "chmod +x ed.sh"
    local function with (script) return {env = ("VISUAL= EDITOR=\"sh ed.sh '%s'\""):format(script)} end
    terminal.play({expect "> ", line("%edit", "nothing was typed"), line("function f (x) return x + 10 end", ""),
      line("1 +* 1", "unexpected symbol"), line("%edit", "nothing has changed"), line("%edit f", ""),
      line("f(1)", "21"), line("M = require 'half'", ""), line("%edit M.half", "nothing has changed"),
      line("%edit M.both.a", ""), line("M.both.a(1, 10)", "-7"), line("%edit print", "no text in Lua"),
      line("%edit nosuch", "no such name"), line("??M.half", "function M.half \\(x\\)\r\n  return x / by"), leave},
      with "s/+ 10/+ 20/;s/x + y + by/x - y + by/")
    assert.matches("1 %+%* 1\n", shell.read "seen")
    assert.matches("\nfunction M.both.a %(x, y%) return x %+ y %+ by end\n", shell.read "seen")
    assert.truthy(shell.read "state/lurn/history":find("function f (x) return x + 20 end\n", 1, true))
    terminal.play({expect "> ", line("x = 1", ""), line("%edit", "'false.*' failed"), line("!echo a'b'", "ab"), leave},
      {env = "VISUAL=false"})
  end)

  edited("completes fields, methods, options, choices, files and runs", function ()
    terminal.play {expect "> ",
      keys "lurn.ls\t", expect "lurn.lstm", interrupt, expect "> ",
      line "t = lurn.zeros(3)", keys "t:tot\t", expect "t:totable", interrupt, expect "> ",
      line 'e = assert(lurn.load "script.lua"); r = e:start({}, {write = false, quiet = true})',
      keys "r:con\t", expect "r:continue", interrupt, expect "> ",
      keys "r:fit {eval_e\t", expect "eval_every = ", interrupt, expect "> ",
      keys "lurn.lstm({hid\t", expect "hidden = ", interrupt, expect "> ",
      keys "lurn.optim.adam(m, {clip_n\t", expect "clip_norm = ", interrupt, expect "> ",
      keys "e:start {hid\t", expect "hidden = ", interrupt, expect "> ",
      keys "lurn.lstm {pool = 'me\t", expect "'me", interrupt, expect "> ",
      keys 'lurn.loss.mse {reduction = "ti\t', expect '"time', interrupt, expect "> ",
      keys 'lurn.text "data/ki\t', expect "data/kingjames.txt", interrupt, expect "> ",
      keys 'attach "20260202\t', expect "120000-fedcba.h5", interrupt, expect "> ",
      keys "whi\t", expect "while", interrupt, expect "^\\^C[^\n]*\n.*> ", leave}
  end)

  edited("takes a pasted block as one entry, and keeps it in the history", function ()
    local _, _, output = terminal.play {expect "> ", terminal.paste(BLOCK), wait(0.1), keys "\r", expect "> $",
      line("twenty(15)", "1,2,three,4,five,three,7,8,three,five,11,three,13,14,both"), leave}
    assert.falsy(output:find ">> ")
    assert.matches("function twenty %(n%)\\n", shell.read "state/lurn/history")
    terminal.play {expect "> ", keys "\27[A", expect "twenty\\(15", keys "\27[A", expect "function twenty",
      keys "\r", expect "> $", line("twenty(3)", "1,2,three"), leave}
  end)

  -- Others who use the machine can make any one of these slow; in one of a few dialogues each is fast.
  at_terminal("comes back from a tight loop, from coroutines and from a long pass, within 0.2 s", function ()
    local heavy = "m = lurn.stack {input = {dim = 64}, lurn.lstm {hidden = 256}, lurn.linear {size = 1}, "
      .. "loss = lurn.loss.mse()}; b = lurn.batch {x = lurn.zeros(20000, 4, 64), y = lurn.zeros(20000, 4, 1)};"
    local steps, timed, best = {expect "> ", line(heavy)}, {}, {}
    for text, back in pairs {["while true do end"] = paused, ["m:forward(b)"] = paused,
      ["m:gradient_norms(b)"] = paused, ["os.execute 'sleep 9'"] = expect "\n.*> ",
      ["for x in coroutine.wrap(function () while true do end end) do end"] = paused} do
      table.move({begin(text), wait(0.2), interrupt, back}, 1, 4, #steps + 1, steps)
      timed[#steps] = text
    end
    steps[#steps + 1] = leave
    local slow
    for _ = 1, 5 do
      local played = terminal.play(steps)
      slow = nil
      for i, text in pairs(timed) do
        best[i] = math.min(best[i] or math.huge, played[i].seconds)
        if best[i] >= PROMPTLY then slow = ("%s: %g s"):format(text, best[i]) end
      end
      if not slow then break end
    end
    assert.is_nil(slow)
  end)

  at_terminal("goes on with a run that was paused, to the same bits", function ()
    local new = 'function new (marks) return lurn.load("script.lua"):start({steps = 800, marks = marks}, '
      .. '{write = false, quiet = true, seed = 2}) end'
    local bits = 'function bits (r) return lurn.sys.sha256(lurn.json.encode(r.metrics.loss.value)):sub(1, 8) .. '
      .. 'r.model.native:hash():sub(1, 8) end'
    local steps = {expect "> ", line(new), line(bits), line "a = new():continue();", line "bits(a)",
      line "b = new(true)", line "b:step(2);"}
    for _ = 1, 3 do
      for _, step in ipairs {send "b:continue();", expect "#", interrupt, paused, line("b.status", "waiting"),
        line "b.model:evaluate(b.datasets[1].valid).loss",
        line "b.model:forward(b.datasets[1].train:feed{batch = 2}:batch(1, 1))"} do
        steps[#steps + 1] = step
      end
    end
    for _, step in ipairs {line "continue", line("b.status", "done"),
      line("print(bits(a) == bits(b) and 'same' .. ' bits')", "same bits"), leave} do
      steps[#steps + 1] = step
    end
    terminal.play(steps)
  end)

  at_terminal("goes on with a loop that was typed by hand, whatever was played with its model meanwhile", function ()
    local loop = "function loop () local m = lurn.stack {input = {dim = 3}, lurn.lstm {hidden = 24}, "
      .. "lurn.linear {size = 1}, loss = lurn.loss.mse()}; M = m; "
      .. "local o = lurn.optim.adam(m, {clip_norm = 1}); for i = 1, 15000 do "
      .. "m:forward(b) m:backward() o:step() if i % 500 == 0 then io.stderr:write '#' end end "
      .. "return m.native:hash() end"
    local steps = {expect "> ", line 'b = lurn.batch {x = lurn.normal(9, 2, 3), y = lurn.normal(9, 2, 1)};',
      line 'd = lurn.batch {x = lurn.normal(4, 1, 3, {name = "d"}), y = lurn.normal(4, 1, 1, {name = "d"})};',
      line(loop), line "straight = loop();", send "paused = loop();", expect "#", interrupt, paused}
    for _ = 1, 3 do
      for _, step in ipairs {line "M:forward(d);", line "M:backward();", send "continue", expect "#", interrupt,
        paused} do steps[#steps + 1] = step end
    end
    for _, step in ipairs {line "M:forward(d);", send "continue", expect("> $", 60),
      line("print(straight == paused and 'same' .. ' bits')", "same bits"), leave} do steps[#steps + 1] = step end
    terminal.play(steps)
  end)

  at_terminal("keeps objects and history when a script fails", function ()
    shell.write("bad.lua", 'kept = {1, 2, 3}\nlocal function f (x)\n  return x.y.z\nend\nf {}\n')
    local _, code, output = terminal.play({expect "bad.lua:3: attempt to index a nil value \\(field 'y'\\).*> ",
      line("#kept", "3"), line("dofile 'bad.lua'", "bad.lua:5"), line("#kept + 1", "4"), leave},
      {command = shell.bin .. " -i bad.lua"})
    assert.equal(0, code)
    assert.falsy(output:find("lurn/repl.lua", 1, true))
    assert.truthy(shell.read "state/lurn/history":find("#kept + 1\n", 1, true))
  end)

  when_built("saves a run that waits when the prompt ends", function ()
    local play = [[r = lurn.load "script.lua":start({}, {quiet = true, out = "%s"}); r:step(%d);]]
    for _, how in ipairs {"echo '%s' | " .. shell.bin, shell.bin .. " -e '%s'"} do
      local code, _, err = shell.run(how:format(play:format("waits.h5", 7)))
      assert.same({0, "repl: interrupted after 7 steps; run file waits.h5\n"}, {code, err})
      local _, out = shell.lurn "inspect waits.h5"
      assert.matches("interrupted after 7 steps", out)
    end
    local code = shell.lurn "run --resume waits.h5 --quiet"
    assert.equal(0, code)
  end)

  at_terminal("is the same in a stock interpreter, edited or plain", function ()
    for _, editor in ipairs {"readline", "libedit", "plain"} do
      terminal.play({expect "> ", line "x = 6 * 7", line("x", "42"), begin "while true do end", interrupt, paused,
        leave}, {env = "LURN_EDITOR=" .. editor,
        command = [[lua5.4 -e 'local lurn = require "lurn" lurn.repl()']]})
    end
  end)

  when_built("plays lines from a pipe and from the command line", function ()
    local code, out, err = shell.run("printf 'x = 2\\nfor i = 1, 2 do\\nx = x * x\\nend\\nx\\n' | " .. shell.bin)
    assert.same({0, "16\n", ""}, {code, out, err})
    code, out = shell.lurn "-e 'y = 3' -e 'y * 2'"
    assert.same({0, "6\n"}, {code, out})
    code, out, err = shell.lurn "-e 'lurn.lsmt {}' -e 1"
    assert.same({1, ""}, {code, out})
    assert.matches("did you mean 'lstm'", err)
    assert.equal(1, (shell.run("echo 'error \"x\"' | " .. shell.bin)))
    assert.equal(0, (shell.run("printf 'x = 1\\n%%save s.lua\\n%%time x\\nx + nil_thing\\n1\\n' | " .. shell.bin)))
    assert.equal('local lurn = require "lurn"\nx = 1\n', shell.read "s.lua")
    shell.run("printf 'x = 20\\nx + 1 -- more\\ny = 2 * _\\n%%time x = x + 1\\nhelp;\\n%%save s.lua\\n' | "
      .. shell.bin)
    assert.same({0, "21\t42\n", ""}, {shell.run("echo 'x, y' | " .. shell.bin .. " -i s.lua")})
    assert.equal(2, (shell.lurn "-e 1 nonsense"))
    shell.write("some.h5", "\137HDF\r\n\26\n")
    local _, _, said = shell.run("echo 1 | " .. shell.bin .. " -i some.h5")
    assert.matches("^some.h5: no script, but an HDF5 file; ", said)
    local _, text = shell.run("printf 'help\\nexit\\nprint(7 * 7)\\n' | " .. shell.bin)
    assert.is_true(text:find "apropos" and not text:find "49", text)
    shell.write("half.lua", "return {v = function () return 1 end}")
    shell.write("again", 'm = require "half"; f = m\n!sed -i s/1/7/ half.lua\nreload "half";\nf.v(), m == f\n')
    assert.same({0, "7\ttrue\n", ""}, {shell.run(shell.bin .. " < again")})
  end)

  at_terminal("plays README.md's ten lines, from a fresh shell to a text that a model wrote", function ()
    local f = assert(io.open(shell.here .. "/README.md"))
    local readme = f:read "a"
    f:close()
    local block = readme:match "\n    %$ lurn\n(.-)\n\n"
    local steps, lines = {expect "> "}, {}
    local gives = {["plot"] = "\\xe2[\\xa0-\\xa3].*1 +100", ["states"] = "A cell is an equation\\.\r\n.* to ",
      ["r.model"] = "lstm1 +4 Wh \\(64,64\\)", ["?lurn"] = "forget_bias"}
    for text in block:gmatch "    > ([^\n]+)" do
      lines[#lines + 1] = text
      local expected = ""
      for word, pattern in pairs(gives) do if text:sub(1, #word) == word then expected = pattern end end
      steps[#steps + 1] = terminal.line(text, expected)
      steps[#steps].within = 120 * terminal.slow
    end
    assert.equal(9, #lines)      -- and the one that starts the prompt
    steps[#steps + 1] = leave
    shell.run("ln -sf " .. shell.here .. "/scripts scripts; ln -sf " .. shell.here .. "/README.md README.md")
    local played = terminal.play(steps)
    local sample = played[9].text:match "\n(.*)$"
    assert.is_true(#sample > 90, sample)
  end)

  at_terminal("looks into a run that another process trains, and forks it", function ()
    shell.run(("%s run script.lua --steps 100000 --quiet --out runs/live.h5 --keep 2 & echo $! > pid; "
      .. "for i in $(seq 200); do [ -e runs/live.step-000040.h5 ] && break; sleep 0.1; done"):format(shell.bin))
    terminal.play {expect "> ", line('a = attach "live"', ""), line("a.status", "running"),
      line("n = #a.loss.step", ""), line("#a.loss.step >= 20", "true"), line("a", "metric.*loss"),
      line("states(a, 'abcde', {units = 4})", "abcde"),
      line("repeat a:refresh() until #a.loss.step > n", ""), line("#a.loss.step > n", "true"),
      line("f = a:fork({steps = 1000000}, {quiet = true, out = 'runs/fork.h5'})", ""), line("f:step(3);", ""),
      line("f.lineage.kind, f.lineage.parent", "fork.*live"), line("f.steps > 20", "true"), leave}
    shell.run "kill $(cat pid); sleep 0.2"
    local code, out = shell.lurn "inspect runs/fork.h5"
    assert.equal(0, code)
    assert.matches("fork of [^\n]*live[^\n]* at step %d+", out)
  end)
end)
