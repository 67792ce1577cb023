-- What README.md shows is what happens: every Lua block in it is run, as a new user would.

local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local function readme ()
  local f = assert(io.open(shell.here .. "/README.md"))
  local text = f:read "a"
  f:close()
  return text
end

-- The Lua blocks, each with the rest of its section.
local function blocks ()
  local list = {}
  for code, rest in readme():gmatch "```lua\n(.-)```\n(.-)\n## " do
    list[#list + 1] = {code = code, rest = rest}
  end
  return list
end

-- The block in which a word stands.
local function block (word)
  for _, b in ipairs(blocks()) do if b.code:find(word, 1, true) then return b end end
  error("no block of README.md has " .. word)
end

local function lines_of (text)
  return select(2, text:gsub("[^\n]+", ""))
end

-- Runs a block in a stock interpreter that found the module by `lurn env`.
local function play (name, code)
  shell.write(name, code)
  return shell.run(('eval "$(%s env)" && lua5.4 %s'):format(shell.bin, name))
end

describe("README.md", function ()
  setup(shell.open)
  teardown(shell.close)

  when_built("shows an experiment of twenty lines and what it prints", function ()
    local first = block "parity"
    assert.equal(20, lines_of(first.code))
    shell.write("parity.lua", first.code)
    local code, out, err = shell.lurn "run parity.lua"
    assert.equal(0, code, err)
    local result = tonumber(out:match "^result (%S+)\n$")
    local shown = tonumber(first.rest:match "\n    result (%S+)\n")
    assert.is_true(result < 0.05 and shown < 0.05)
    for line in first.rest:gmatch "step %d+  valid_loss" do assert.truthy(err:find(line, 1, true), line) end
    assert.matches("parity: done after 256 steps", err)
    assert.matches("parity: done after 256 steps", first.rest)
  end)

  when_built("shows a cell and the program that lurn.show prints of it", function ()
    local code, out, err = play("cell.lua", block("my_lstm").code)
    assert.equal(0, code, err)
    local shown = readme():match "\n(    scan forward my_lstm1\n.-\n    end\n)"
    assert.truthy(out:find(shown:gsub("\n    ", "\n"):sub(5), 1, true), "lurn.show prints something else today")
  end)

  when_built("shows a loop that learns", function ()
    local code, out, err = play("own.lua", block("for epoch").code)
    assert.equal(0, code, err)
    local losses = {}
    for loss in out:gmatch "loss (%S+)" do losses[#losses + 1] = tonumber(loss) end
    assert.equal(3, #losses)
    assert.is_true(losses[3] < losses[1])
    assert.equal(5, #blocks())
  end)

  when_built("shows how far back a gradient reaches", function ()
    shell.write("lags.lua", block("diagnose").code)
    local code, out, err = shell.run(('eval "$(%s env)" && LC_ALL=C.UTF-8 lua5.4 lags.lua'):format(shell.bin))
    assert.equal(0, code, err)
    local shown = readme():match "\n    (rnn1.h: gradient of the last step's loss, by lag\n.-)\n\n"
    assert.truthy(out:find(shown:gsub("\n    ", "\n"), 1, true), "model:diagnose prints something else today")
  end)

  when_built("shows a table that becomes predictions in 25 lines", function ()
    local faults = block "faults"
    assert.is_true(lines_of(faults.code) <= 25)
    shell.write("faults.lua", faults.code)
    assert.equal(0, (shell.run("lua5.4 " .. shell.here .. "/datasets/faults.lua > faults.csv")))
    local code, out, err = shell.lurn "run --quiet faults.lua"
    assert.equal(0, code, err)
    local function numbers (text)
      local balanced = tonumber(text:match "balanced accuracy (%S+)")
      local a, b = text:match "failing\t(%d+)\t(%d+)"
      local c, d = text:match "sound\t(%d+)\t(%d+)"
      assert.near((a / (a + b) + d / (c + d)) / 2, balanced, 1e-3)
      assert.same({6, 42}, {a + b, c + d})
      return balanced
    end
    assert(numbers(out) > 0.8 and numbers(faults.rest) > 0.8)
    local predictions, rows, failing = shell.read "predictions.csv", 0, 0
    assert.matches("^machine,state,failing,sound\n", predictions)
    for state, p in predictions:gmatch "\n%d+,(%a+),([%d.e-]+),[%d.e-]+" do
      rows, failing = rows + 1, failing + (state == "failing" and 1 or 0)
      assert.equal(state == "failing", tonumber(p) > 0.5)
    end
    assert.equal(240, rows)
    assert(failing > 20 and failing < 60)
  end)

  when_built("names commands and files that exist", function ()
    local text = readme()
    local verbs = require("lurn.cli").verbs
    for verb in text:gmatch "\n    lurn (%l+)" do assert.truthy(verbs[verb], verb) end
    for path in text:gmatch "%]%(([%w/_.]+)%)" do
      local f = io.open(shell.here .. "/" .. path)
      assert.truthy(f, path)
      f:close()
    end
    assert.matches("MIT License\n\nCopyright %(c%) 2026 the lurn authors\n", text)
  end)
end)

describe("the manual", function ()
  it("names every function and family of the module", function ()
    local f = assert(io.open(shell.here .. "/bindings/MANUAL.md"))
    local text = f:read "a"
    f:close()
    local inner = {core = true}
    for _, part in ipairs(require "lurn.parts") do
      if part.inner == true then inner[part[1]] = true end
      for _, name in ipairs(type(part.inner) == "table" and part.inner or {}) do inner[name] = true end
    end
    for name, value in pairs(require "lurn") do
      if not inner[name] and type(value) ~= "string" then
        assert.truthy(text:find("%f[%w_]" .. name .. "%f[^%w_]"), name .. " is not in bindings/MANUAL.md")
      end
    end
  end)
end)
