-- The launcher as a process: exit codes, messages, what goes to stdout and what to stderr.

local json = require "lurn.json" {}
local pwd = io.popen "pwd"
local here = pwd:read("l")
pwd:close()
local bin = os.getenv "LURN_BIN" or here .. "/build/bin/lurn"

local function exists (path)
  local f = io.open(path, "rb")
  if f then f:close() end
  return f ~= nil
end

local folder = os.tmpname()
os.remove(folder)
os.execute("mkdir -p " .. folder)

local function write (name, text)
  local f = assert(io.open(folder .. "/" .. name, "wb"))
  f:write(text)
  f:close()
  return folder .. "/" .. name
end

-- Runs `lurn ARGUMENTS` inside the temporary folder: exit code, stdout, stderr.
local function lurn (arguments, before)
  local out, err = folder .. "/out", folder .. "/err"
  local _, _, code = os.execute(("cd %s && %s %s %s >%s 2>%s </dev/null"):format(folder, before or "", bin, arguments,
    out, err))
  local function read (path)
    local f = assert(io.open(path, "rb"))
    local text = f:read("a")
    f:close()
    return text
  end
  return code, read(out), read(err)
end

local ready = exists(bin) and lurn("version") == 0
local when_built = ready and it or function (name)
  pending(name .. " (the launcher or the module is not built)")
end

local TINY = [[
local lurn = require "lurn"
return lurn.experiment {name = "tiny",
  params = {a = {1, int = {0, 9}, help = "a digit"}, cell = {"x", choice = {"x", "y"}}},
  run = function (run, p)
    print("hello from the script")
    if p.a == 7 then error("seven is too much") end
    return p.a / 2
  end}
]]

describe("the command line", function ()
  setup(function () write("tiny.lua", TINY) end)
  teardown(function () os.execute("rm -rf " .. folder) end)

  when_built("prints results on stdout, the rest on stderr", function ()
    local code, out, err = lurn("run tiny.lua --a 3")
    assert.equal(0, code)
    assert.equal("hello from the script\nresult 1.5\n", out)
    assert.matches("tiny: done", err)
  end)

  when_built("prints one JSON document with --json", function ()
    local code, out, err = lurn("run tiny.lua --a=4 --seed 7 --json")
    assert.equal(0, code)
    local d = assert(json.decode(out))
    assert.equal("done", d.status)
    assert.equal(2.0, d.result)
    assert.same({a = 4, cell = "x"}, d.params)
    assert.equal(7, d.seed)
    assert.equal("number", type(d.seconds))
    assert.equal(0, d.steps)
    assert.equal("table", type(d.metrics))
    assert.matches("hello from the script", err)
  end)

  when_built("refuses an unknown parameter with exit code 2 and the list", function ()
    local code, out, err = lurn("run tiny.lua --cel y")
    assert.equal(2, code)
    assert.equal("", out)
    assert.matches("unknown parameter 'cel', did you mean 'cell'%?", err)
    assert.matches("%-%-a +1 +int 0%.%.9: a digit", err)
    assert.equal(2, (lurn("run tiny.lua --a 1.5")))
    assert.equal(2, (lurn("run tiny.lua --cell z")))
    assert.equal(2, (lurn("run tiny.lua --seed many")))
    assert.equal(2, (lurn("run tiny.lua --precision f16")))
    assert.equal(2, (lurn("run")))
    assert.equal(2, (lurn("run tiny.lua other.lua")))
  end)

  when_built("writes over a file that is there only with --force", function ()
    assert.equal(0, (lurn("run tiny.lua --quiet --a 3 --out there.h5")))
    assert.equal(0, (lurn("run tiny.lua --quiet --a 3 --out other.h5")))
    write("notes.txt", "something else")
    local function content (name)
      local f = assert(io.open(folder .. "/" .. name, "rb"))
      local text = f:read "a"
      f:close()
      return text
    end
    local before = content "there.h5"
    for arguments, said in pairs {["run tiny.lua --out there.h5"] = ", a run file %(done after 0 steps%)",
                                  ["run --init other.h5 --out there.h5"] = ", a run file %(done after 0 steps%)",
                                  ["run --fork other.h5 --out there.h5"] = ", a run file %(done after 0 steps%)",
                                  ["run --resume other.h5 --out there.h5"] = ", a run file %(done after 0 steps%)",
                                  ["rerun other.h5 --out there.h5"] = ", a run file %(done after 0 steps%)",
                                  ["run tiny.lua --out notes.txt"] = ""} do
      local code, out, err = lurn(arguments)
      assert.equal(2, code, arguments .. err)
      assert.equal("", out)
      assert.matches("%-%-out: %S+ is there already" .. said .. "; %-%-force writes over it\n", err)
      assert.is_false(exists(folder .. "/there.h5.lock"))
    end
    assert.is_true(before == content "there.h5")
    assert.equal("something else", content "notes.txt")
    assert.equal(0, (lurn("run tiny.lua --quiet --a 4 --force --out there.h5")))
    assert.is_false(before == content "there.h5")
    assert.equal(2, (lurn("run tiny.lua --force")))
  end)

  when_built("lists a script's parameters with --help", function ()
    local code, out = lurn("run tiny.lua --help")
    assert.equal(0, code)
    assert.matches("%-%-cell +x +x|y", out)
    assert.matches("%-%-resume RUN.h5", out)
  end)

  when_built("tells a failing script from a wrong file", function ()
    local code, out, err = lurn("run tiny.lua --a 7")
    assert.equal(1, code)
    assert.equal("hello from the script\n", out)
    assert.matches("tiny.lua:6: seven is too much", err)
    code, out = lurn("run tiny.lua --a 7 --json")
    assert.equal(1, code)
    assert.equal("failed", assert(json.decode(out)).status)
    local _
    code, _, err = lurn("run nowhere.lua")
    assert.equal(3, code)
    assert.matches("nowhere.lua", err)
    write("broken.lua", "return return")
    code, _, err = lurn("run broken.lua")
    assert.equal(1, code)
    assert.matches("broken.lua:1:", err)
  end)

  when_built("gives one message for files that are missing, broken or something else", function ()
    write("text.h5", "this is no HDF5 file")
    write("empty.txt", "")
    for arguments, pattern in pairs {
      ["sample nowhere.h5"] = "nowhere.h5", ["inspect nowhere.h5"] = "nowhere.h5", ["eval text.h5"] = "text.h5",
      ["inspect text.h5"] = "text.h5", ["sample text.h5"] = "text.h5", ["run --resume text.h5"] = "text.h5",
      ["run --resume nowhere.h5"] = "nowhere.h5", ["data text nowhere.txt -o o.h5"] = "nowhere.txt",
      ["data text empty.txt -o o.h5"] = "empty.txt"} do
      local code, out, err = lurn(arguments)
      assert.equal(3, code, arguments .. ": " .. err)
      assert.equal("", out)
      assert.matches(pattern:gsub("%.", "%%."), err)
      assert.not_matches("traceback", err)
      assert.equal(1, select(2, err:gsub("\n", "")), err)
    end
    local code, _, err = lurn(("run %s/scripts/charlm.lua --data nowhere.txt"):format(here))
    assert.equal(3, code, err)
    assert.matches("nowhere.txt", err)
    assert.not_matches("traceback", err)
  end)

  when_built("knows its verbs", function ()
    local code, out, err = lurn("smaple x.h5")
    assert.equal(2, code)
    assert.equal("", out)
    assert.matches("did you mean 'sample'", err)
    code, out, err = lurn("tiny.lua")
    assert.equal("", out)
    assert.equal(2, code)
    assert.matches("lurn run tiny.lua", err)
    assert.same({2, "", "lurn: 'resume' is an option of run: lurn run --resume\n"}, {lurn("resume x.h5")})
    code, out, err = lurn("sample x.h5 --temprature 2")
    assert.equal(2, code)
    assert.equal("", out)
    assert.matches("did you mean '%-%-temperature'", err)
    code, out, err = lurn("run --quiett script.lua")
    assert.equal("", out)
    assert.equal(2, code)
    assert.matches("which script%? %-%-quiett took 'script.lua'; did you mean %-%-quiet%?", err)
    code, out = lurn("help")
    assert.equal(0, code)
    for verb in pairs(require("lurn.cli").verbs) do
      assert.matches("lurn " .. verb, out)
      assert.equal(0, (lurn("help " .. verb)))
      assert.equal(0, (lurn(verb .. " --help")))
    end
    assert.equal(0, (lurn("version --json")))
  end)

  when_built("lets a stock interpreter find the module", function ()
    local command = ("cd / && eval \"$(%s env)\" && lua5.4 -e 'print(require(\"lurn\").version)'"):format(bin)
    local p = assert(io.popen(command))
    local text = p:read("a")
    assert.is_true(p:close())
    assert.matches("^%d+%.%d+%.%d+\n$", text)
  end)

  when_built("is found through a link and from any folder", function ()
    os.execute(("ln -sf %s %s/link"):format(bin, folder))
    assert.is_true((os.execute(("cd / && %s/link version >/dev/null"):format(folder))))
  end)

  when_built("works where it was installed, also when started from a checkout", function ()
    local prefix = folder .. "/prefix"
    local build = bin:match "^(.*)/bin/lurn$"
    assert.is_true((os.execute(("cd %s && mkdir -p bin share/lua/5.4 lib/lua/5.4 && cp %s bin/ && "
      .. "cp -r %s/bindings/lurn share/lua/5.4/ && cp -r %s/lib/lurn lib/lua/5.4/")
      :format(prefix, bin, here, build):gsub("^cd (%S+)", "mkdir -p %1 && cd %1"))))
    for _, place in ipairs {here, "/", prefix} do
      local p = assert(io.popen(("cd %s && %s/bin/lurn env"):format(place, prefix)))
      local text = p:read("a")
      assert.is_true(p:close(), place)
      assert.matches(prefix:gsub("%p", "%%%0") .. "/share/lua/5%.4/%?%.lua", text)
      assert.is_true((os.execute(("cd %s && %s/bin/lurn version >/dev/null"):format(place, prefix))))
    end
  end)

  when_built("reads Lua from a pipe", function ()
    local p = assert(io.popen(("printf '1 + 1\\nfor i = 1, 2 do\\nprint(i)\\nend\\nlurn.version ~= nil\\n' | %s")
      :format(bin)))
    local text = p:read("a")
    p:close()
    assert.equal("2\n1\n2\ntrue\n", text)
  end)

end)
