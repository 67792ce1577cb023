-- A prompt is there before anybody could ask for a library, so none is loaded until somebody needs it (driver.c), and
-- lurn's own Lua is compiled already (compiled.h), where that is still what its text says.

local shell = require "shell_helper"
local when_built = shell.ready and it or pending

-- What is mapped into a prompt that has played `code`.
local LOOK = "for l in io.lines '/proc/self/maps' do print(l) end"

local function maps (code)
  shell.write("code", code .. "\n" .. LOOK)
  local status, out, err = shell.lurn "-e \"$(cat code)\""
  assert.equal(0, status, err)
  return out
end

-- What somebody does -> the library that it takes, and that is not there before.
local TAKES = {
  {"local _ = lurn.ones(2, 2) % lurn.ones(2, 2)", "libopenblas"},
  {"lurn.h5.open 'nothing.h5'", "libhdf5"},
  {"lurn.text 'nothing.txt'", "libhdf5"},
  {"lurn.core.db.version 'sqlite'", "libsqlite3"},
  {"lurn.core.db.version 'postgresql'", require("lurn").core.db.version "postgresql" and "libpq"},
}

describe("a start", function ()
  setup(shell.open)
  teardown(shell.close)

  when_built("loads no library that nobody needs", function ()
    local plain = maps "local model = lurn.stack {input = {dim = 2}, lurn.lstm {hidden = 2}}"
    assert.matches("f32%.so", plain)
    for _, name in ipairs {"libopenblas", "libhdf5", "libcurl", "libsqlite3", "libpq", "libssl"} do
      assert.is_nil(plain:find(name, 1, true), name)
    end
  end)

  when_built("loads one when it is needed, and no other", function ()
    for _, take in ipairs(TAKES) do
      local code, library = take[1], take[2]
      local now = maps(code)
      for _, other in ipairs(TAKES) do
        local name = other[2]
        if name then assert.equal(library == name, now:find(name, 1, true) ~= nil, code .. ": " .. name) end
      end
    end
  end)

  when_built("says which library is missing when it is needed", function ()
    local build = shell.bin:match "^(.*)/bin/lurn$"
    assert.equal(0, (shell.run(("mkdir -p lib/lurn && cp %s/lib/lurn/f32.so lib/lurn/"):format(build))))
    local before = ("LUA_PATH='%s/bindings/?.lua;%s/bindings/?/init.lua' LUA_CPATH='lib/?.so'")
      :format(shell.here, shell.here)
    local code, out, err = shell.run(before .. " lua5.4 -e 'local lurn = require [[lurn]] print(lurn.ones(2)) "
      .. "lurn.h5.open [[a.h5]]'")
    assert.equal(1, code)
    assert.matches("lurn.tensor", out)
    assert.matches("module 'lurn.f32.hdf5' not found", err)
  end)

  when_built("plays lurn's Lua as it was compiled, which is what its text says", function ()
    local status, out, err = shell.lurn("-e '" .. [[
      local n, folder = 0, package.searchpath("lurn.cli", package.path):match "^(.*)/"
      for file in io.popen("ls " .. folder):lines() do
        local path = folder .. "/" .. file
        local name = file == "init.lua" and "lurn" or "lurn." .. file:match "^(.*)%.lua$"
        local chunk, found = package.searchers[2](name)
        if found ~= path then print(name, "is not compiled", found)
        elseif string.dump(chunk) ~= string.dump(loadfile(path)) then print(name, "was compiled of another text") end
        n = n + 1
      end
      print(n > 100)]] .. "'")
    assert.same({0, "true\n"}, {status, out}, err)
  end)

  when_built("reads a text that has changed since it was compiled, or lies elsewhere", function ()
    local build, texts, made = shell.bin:match "^(.*)/bin/lurn$", "share/lua/5.4/lurn", "lib/lua/5.4/lurn"
    assert.equal(0, (shell.run(("mkdir -p bin %s %s && cp %s bin/ && cp -r %s/bindings/lurn share/lua/5.4/")
      :format(texts, made, shell.bin, shell.here))))
    assert.equal(0, (shell.run(("cp -r %s/lib/lurn lib/lua/5.4/"):format(build))))
    local chunk = "-e 'local f = package.searchers[2] [[lurn.quantity]] "
      .. "print(f and debug.getinfo(f).source, lurn.quantity.size(1e6))'"
    local function look () return select(2, shell.run(shell.path "bin/lurn " .. chunk)) end
    local before = look()
    assert.matches("^nil\t", before)        -- compiled for the checkout
    local quantity = shell.path(texts) .. "/quantity.lua"
    local compile = ("%s/bin/compile %s %s %s/quantity.luac"):format(build, quantity, quantity, shell.path(made))
    assert.equal(0, (shell.run(compile)))
    assert.equal("@" .. quantity .. before:sub(4), look())
    local text = shell.read(texts .. "/quantity.lua")
    shell.write(texts .. "/quantity.lua", (text:gsub("MB", "XB")))
    assert.equal((before:gsub("MB", "XB")), look())
    shell.write(texts .. "/quantity.lua", text)
    shell.write(made .. "/quantity.luac", (shell.read(made .. "/quantity.luac"):gsub("%z.*", "")))
    assert.equal(before, look())             -- and what is cut short is not played
  end)
end)
