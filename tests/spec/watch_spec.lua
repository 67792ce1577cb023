-- What a resume would lose is named: plain values of a script that change from step to step outside run.state.

local lurn = require "lurn"

local HEAD = [[
local lurn = require "lurn"
local calls = 0
local function build ()
  local data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}})
  local model = lurn.stack {input = data, lurn.rnn {hidden = 2}, lurn.linear {size = 1}, loss = lurn.loss.mse()}
  return data, model, lurn.optim.sgd(model)
end
return lurn.experiment {name = "watch", params = {steps = 5}, run = function (run, p)
  local data, model, optim = build()
]]

-- The names that are reported of a script whose body is this.
local function lost (body)
  local said = {}
  local progress = setmetatable({say = function (_, format, ...) said[#said + 1] = format:format(...) end},
    {__index = function () return function () end end})
  local run = assert(lurn.experiment.compile(HEAD .. body .. "\nend}", "watched.lua"))
    :start(nil, {write = false, progress = progress}):play()
  assert.equal("done", run.status, run.trace)
  local names = {}
  for _, line in ipairs(said) do
    if line:find "would have its first value" then names[#names + 1] = line:match "'([%w_]+)'" end
  end
  table.sort(names)
  return table.concat(names, " ")
end

local LOOP = [[
  for batch, step in run:batches(data.train, {steps = p.steps}) do
    local loss = model:forward(batch)
    model:backward()
    optim:step()
    run:log {loss = loss}
    %s
  end
]]

describe("what a resume would lose", function ()
  local function in_loop (before, inside, after)
    return lost((before or "") .. "\n" .. LOOP:format(inside or "") .. (after or ""))
  end

  it("is nothing in a loop that keeps nothing, or keeps it in run.state", function ()
    assert.equal("", in_loop())
    assert.equal("", in_loop("run.state.sum = run.state.sum or 0", "run.state.sum = run.state.sum + loss"))
    assert.equal("", in_loop("local s = run:keep('mine', {sum = 0})", "s.sum = s.sum + loss"))
    assert.equal("", in_loop(nil, "local twice = 2 * loss; twice = twice + step"))
    assert.equal("", lost [[return run:fit {model = model, optim = optim, train = data.train, steps = 5,
      eval_every = 2}.loss]])
  end)

  it("is a local, a table, an upvalue, a global that changes", function ()
    assert.equal("sum", in_loop("local sum = 0", "sum = sum + loss"))
    assert.equal("list", in_loop("local list = {}", "list[#list + 1] = loss"))
    assert.equal("deep", in_loop("local deep = {a = {b = {1}}}", "deep.a.b[1] = step"))
    assert.equal("calls", in_loop(nil, "calls = calls + 1"))
    assert.equal("counter", in_loop(nil, "counter = (counter or 0) + 1"))
    load "counter = nil" ()
    assert.equal("flag word", in_loop("local flag, word = false, 'a'", "flag, word = not flag, word .. 'a'"))
    assert.equal("n", in_loop("local n = 0; local function count () n = n + 1 end", "count()"))
    assert.equal("p", in_loop(nil, "p.lr = step"))
  end)

  it("is found behind a function that run:fit calls", function ()
    assert.equal("worst", lost [[
      local worst, log = 0, run.log
      function run:log (values)
        worst = math.max(worst, self.steps)
        log(self, values)
      end
      return run:fit {model = model, optim = optim, train = data.train, steps = 5}.loss]])
  end)

  it("is not what changes between two loops: a resumed script comes past it again", function ()
    assert.equal("", lost [[
      local total = 0
      for _, name in ipairs {"a", "b"} do
        total = total + #name
        run:fit {model = model, optim = optim, train = data.train, steps = 3}
      end
      return total]])
  end)

  it("is nothing in the scripts that come along", function ()
    local small = {
      adding = {T = 5, n = 60, steps = 6, eval_every = 2}, parity = {T = 5, n = 60, steps = 6, eval_every = 2},
      copy = {T = 5, n = 60, hidden = 8, steps = 6, eval_every = 2}, memory = {sequences = 40, epochs = 3},
      temporal_order = {n = 60, steps = 6, eval_every = 2}, reber = {n = 60, steps = 6, eval_every = 2},
      ctc = {sequences = 40, held = 10, hidden = 4, epochs = 3},
      numbers = {train = 40, test = 10, hidden = 4, epochs = 3},
      moving = {n = 16, frame = 8, T = 6, context = 3, ahead = 2, channels = 2, wide = 4, steps = 6},
      charlm = {data = "README.md", hidden = 8, embed = 4, steps = 6, eval_every = 2, batch = 200, length = 3},
    }
    for name, params in pairs(small) do
      local experiment = assert(lurn.experiment.load("scripts/" .. name .. ".lua"))
      for key in pairs(params) do if not experiment.declarations[key] then params[key] = nil end end
      local run = experiment:start(params, {write = false, quiet = true})
      local globals = load "return _G" ()      -- not busted's own
      local print_all = globals.print
      globals.print = function () end
      run:play()
      globals.print = print_all
      assert.equal("done", run.status, name .. ": " .. tostring(run.trace))
      assert.same({}, run.lost, name)
      assert.is_true(run.done > 4, name)
    end
  end)
end)
