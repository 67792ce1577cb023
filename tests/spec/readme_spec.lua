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
    local first = blocks()[1]
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
    local block = blocks()[2]
    local code, out, err = play("cell.lua", block.code)
    assert.equal(0, code, err)
    local shown = readme():match "\n(    scan forward my_lstm1\n.-\n    end\n)"
    assert.truthy(out:find(shown:gsub("\n    ", "\n"):sub(5), 1, true), "lurn.show prints something else today")
  end)

  when_built("shows a loop that learns", function ()
    local code, out, err = play("own.lua", blocks()[3].code)
    assert.equal(0, code, err)
    local losses = {}
    for loss in out:gmatch "loss (%S+)" do losses[#losses + 1] = tonumber(loss) end
    assert.equal(3, #losses)
    assert.is_true(losses[3] < losses[1])
    assert.equal(3, #blocks())
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
    -- What a script has no business with.
    local inner = {}
    local hidden = "core engine initialise recurrent repro runfile schema signal sys symbol load"
    for name in hidden:gmatch "%a+" do inner[name] = true end
    for name, value in pairs(require "lurn") do
      if not inner[name] and type(value) ~= "string" then
        assert.truthy(text:find("%f[%w_]" .. name .. "%f[^%w_]"), name .. " is not in bindings/MANUAL.md")
      end
    end
  end)
end)
