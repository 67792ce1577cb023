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
