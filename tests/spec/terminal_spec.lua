-- `lurn run` and a prompt with a run at a terminal: the line of progress, Ctrl-C once and twice, SIGTERM.

local lurn = require "lurn"
local shell = require "shell_helper"
local terminal = require "terminal_helper"
local at_terminal = shell.ready and terminal.typist and it or pending
local line, send, keys, expect = terminal.line, terminal.send, terminal.keys, terminal.expect

-- `at` = "wait" sits in Lua where only a second signal helps, and says when it saw the first one; "say" says when a few
-- steps were played, "touch" makes a file then.
local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "watched", params = {steps = 1000000, eval_every = 40, at = ""},
  run = function (run, p)
    local set = {split = {train = {1, 16}, valid = {17, 20}}}
    for i = 1, 20 do
      local x = {}
      for t = 1, 50 do x[t] = (i * 37 + t * 11) % 5 + 1 end
      set[i] = {x = x, y = x}
    end
    local data = lurn.dataset(set)
    local model = lurn.stack {input = data, lurn.embedding {size = 8}, lurn.lstm {hidden = 16}, lurn.linear {size = 5},
      loss = lurn.loss.cross_entropy()}
    local log = run.log
    function run:log (values)
      log(self, values)
      if p.at == "wait" and self.steps == 20 then
        io.stderr:write "here\n"
        repeat until lurn.signal.pending()
        io.stderr:write "seen\n"
        while true do math.sin(1) end
      end
      if p.at == "say" and self.steps == 80 then io.stderr:write "going\n" end
      if p.at == "touch" and self.steps == 20 then io.open("going", "w"):close() end
    end
    return run:fit {model = model, optim = lurn.optim.adam(model), train = data.train, valid = data.valid, seq = 0,
      batch = 4, steps = p.steps, eval_every = p.eval_every}.loss
  end}
]]

local function file_of (name) return assert(lurn.runfile.read(shell.path(name))) end

describe("at a terminal", function ()
  setup(function ()
    shell.open()
    shell.write("script.lua", SCRIPT)
  end)
  teardown(shell.close)

  at_terminal("a run shows how it goes; Ctrl-C saves it, sums up and says how to go on", function ()
    local _, code, output = terminal.play({
      expect "loss [^\r\n]*best [^\r\n]*frames/s +[0-9.e+-]+ GF/s +norm [^\r\n]*left", keys(terminal.interrupt),
      expect "watched: interrupted after [0-9]+ steps[^\n]*run file a.h5",
      expect " loss [0-9.]+, best [0-9.]+ at step", expect "valid_loss [0-9.]+, best [0-9.]+ at step",
      expect "go on with: [^\n]*run --resume a.h5"},
      {command = shell.bin .. " run script.lua --out a.h5", env = "COLUMNS=120"})
    assert.equal(130, code, output)
    local file = file_of "a.h5"
    assert.equal("interrupted", file.status)
  end)

  at_terminal("a second Ctrl-C aborts a run at once", function ()
    local _, code = terminal.play({expect "here", keys(terminal.interrupt), expect "seen", keys(terminal.interrupt)},
      {command = shell.bin .. " run script.lua --out b.h5 --at wait"})
    assert.equal(-2, code)      -- by the signal
  end)

  at_terminal("SIGTERM at a prompt writes the checkpoint of a run, paused or being played", function ()
    local function term (when)
      return ('os.execute("(%s; kill -TERM " .. lurn.sys.pid() .. ") &");'):format(when)
    end
    local start = 'r = lurn.load "script.lua":start({at = "%s"}, {quiet = true, out = "%s"});'
    local _, code = terminal.play {expect "> ", line(start:format("touch", "c.h5")),
      line(term "until [ -e going ]; do sleep 0.05; done"), send "r:continue()",
      expect "terminated after [0-9]+ steps; run file c.h5"}
    assert.equal(143, code)
    local file = file_of "c.h5"
    assert.equal("terminated", file.status)
    assert.is_true(file.counters.steps > 0)
    _, code = terminal.play {expect "> ", line(start:format("say", "d.h5")), line "r:step(50);", send "r:continue()",
      expect "going", keys(terminal.interrupt), expect "paused.*> ", line "n = r.done", line("n > 50", "true"),
      line "r.model:forward(r.model.batch);", send(term "sleep 0.1"), expect "terminated after [0-9]+ steps"}
    assert.equal(143, code)
    file = file_of "d.h5"
    assert.same({"terminated", true}, {file.status, file.counters.steps > 50})
    -- What goes on from there is the run that was never stopped.
    local steps = file.counters.steps + 20
    local straight = assert(lurn.load(shell.path "script.lua")):start({steps = steps}, {write = false, quiet = true})
    straight:step(steps - 1)
    local resumed = assert(lurn.load(shell.path "script.lua")):start(file.params, {resume = file,
      out = shell.path "d.h5", quiet = true})
    resumed:step(19)
    assert.equal(straight.done, resumed.done)
    assert.equal(straight.model.native:hash(), resumed.model.native:hash())
    local code_of_idle
    _, code_of_idle = terminal.play {expect "> ", send(term "sleep 0.2"), expect "\r\n.*> "}
    assert.equal(143, code_of_idle)
  end)
end)
