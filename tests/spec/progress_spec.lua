local progress = require("fake").new().progress

-- A reporter that writes into a list, at a time that the test sets.
local function reporter (options)
  local now, out = 0, {}
  options.stream = {write = function (_, ...) for _, s in ipairs {...} do out[#out + 1] = s end end,
    flush = function () end}
  options.clock = function () return now end
  local p = progress.new(options)
  return p, function () return table.concat(out) end, function (t) now = t end
end

local function play (p, at, steps, seconds)
  for i = 1, steps do
    at(i * seconds)
    p:update {step = i, total = 1000, epoch = 1, loss = 4 - i / 1000, best = 2, grad_norm = 1.5, count = 2500}
  end
end

describe("progress", function ()
  it("renews one line on a terminal, at most ten times a second, inside its width", function ()
    local p, text, at = reporter {tty = true, color = false, columns = 60}
    play(p, at, 1000, 0.01)
    local shown = select(2, text():gsub("\r", ""))
    assert.is_true(shown >= 90 and shown <= 101)
    for line in text():gmatch("[^\r]+") do assert.is_true(#line < 60) end
    assert.not_matches("\n", text())
    assert.not_matches("\27", text())
    assert.matches("250%.0k chars/s", text())
  end)

  it("writes plain lines elsewhere, the first one at once", function ()
    local p, text, at = reporter {tty = false}
    play(p, at, 1000, 0.01)
    local lines = {}
    for line in text():gmatch("[^\n]+") do lines[#lines + 1] = line end
    assert.equal(2, #lines)
    assert.matches("loss 3%.9990", lines[1])
    assert.matches("^ 50%%  501/1000  epoch 1  loss 3%.%d+  best 2%.0000  250%.0k chars/s  norm 1%.5  5s, 5s left$",
      lines[2])
    assert.not_matches("[\r\27]", text())
  end)

  it("does not count the time that a run waits at a prompt", function ()
    local p, text, at = reporter {tty = false}
    p:rest()
    at(100)
    p:wake()
    play(p, function (t) at(100 + t) end, 3, 2)
    at(106)
    p:rest()
    at(1000)
    p:wake()
    at(1002)
    p:update {step = 4, total = 10, count = 2500}
    assert.matches("1%.[23]%d*k chars/s  8s, 12s left\n$", text())
  end)

  it("wipes the ^C that a terminal wrote where no line was", function ()
    local p, text = reporter {tty = true, columns = 40}
    p:clear()
    assert.equal("", text())
    p:clear(true)
    assert.equal("\r  \r", text())
  end)

  it("says operations a second, and leaves out of speeds what was no training", function ()
    local p, text, at = reporter {tty = false}
    at(1)
    p:update {step = 1, total = 10, count = 100, work = 3e9}
    for step = 2, 5 do
      at(2 * step)
      p:begin("evaluation", 4)
      at(2 * step + 1)
      p:part(2)
      p:finish()
      at(2 * step + 2)
      p:update {step = step, total = 10, count = 100, work = 3e9}
    end
    -- From 1 s to 12 s, four of which were evaluations: 400 characters and 12 billion operations in 7 s.
    assert.matches("57 chars/s  1%.7 GF/s  12s", text())
  end)

  it("of something within a step that takes long shows how far it is, ten times a second at most", function ()
    local p, text, at = reporter {tty = true, color = false, columns = 80}
    at(1)
    p:update {step = 30, total = 100, loss = 1}
    p:begin("evaluation", 1000)
    for k = 1, 1000 do
      at(1 + k / 100)
      p:part(k)
    end
    p:finish()
    local last = text():match "([^\r]+)$"
    assert.matches("^ 30%%  step 30  evaluation %d+%%  %d+/1000  %ds left of it", last)
    local shown = select(2, text():gsub("evaluation", ""))
    assert.is_true(shown > 80 and shown <= 91, shown)
    p, text, at = reporter {tty = false}
    p:begin("evaluation", 100)
    for k = 1, 100 do
      at(k / 10)
      p:part(k)
    end
    assert.same({2, "evaluation 50%  50/100  5s left of it\n"}, {select(2, text():gsub("\n", "")),
      text():match "[^\n]+\n"})
  end)

  it("need not hear of every step where steps are short", function ()
    local p, _, at = reporter {tty = true, columns = 80}
    local heard, unseen = 0, 0
    for step = 1, 100000 do
      at(step * 1e-4)
      unseen = unseen + 1
      if unseen >= p.ahead then
        p:update {step = step, total = 100000, loss = 1, count = 10, steps = unseen}
        heard, unseen = heard + 1, 0
      end
    end
    assert.is_true(heard >= 250 and heard < 500, heard)
    assert.equal(1000000, p.count + 10 * unseen)
    at(20)
    p:update {step = 100001, total = 100000}
    assert.equal(1, p.ahead)      -- a long one, and nothing is skipped
  end)

  it("says nothing when quiet", function ()
    local p, text, at = reporter {tty = true, quiet = true}
    play(p, at, 10, 1)
    p:say("hello %d", 1)
    assert.equal("", text())
  end)

  it("lets other lines through", function ()
    local p, text, at = reporter {tty = true, color = false, columns = 60}
    play(p, at, 2, 1)
    p:say("step %d", 2)
    assert.matches("\r +\rstep 2\n$", text())
    p:say("100% of it")
    assert.matches("100%% of it\n$", text())
  end)

  it("survives losses that are not numbers", function ()
    local p, text, at = reporter {tty = false}
    at(1)
    p:update {step = 1, loss = 0 / 0}
    at(10)
    p:update {step = 2, loss = 3, grad_norm = 0 / 0}
    assert.matches("step 2  loss 3%.0000", text())
  end)
end)
