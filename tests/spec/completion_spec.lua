-- What shells complete, and the pages for man: both come from the table of verbs.

local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local function found (tool) return os.execute("command -v " .. tool .. " >/dev/null 2>&1") end

describe("completion", function ()
  setup(function ()
    shell.open()
    shell.write("tiny.lua", [[
return require "lurn".experiment {
  name = "tiny",  -- a comment with { a brace
  params = {
    a = {1, int = {0, 9}, help = "a digit"}, plain = 5,
    cell = {"lstm", choice = {"rnn", "lstm"}, when = function (p) return p.a > 1 end},
  },
  run = function () return 1 end,
}]])
  end)
  teardown(shell.close)

  local function candidates (words)
    local code, out = shell.lurn("completion words " .. words)
    assert.equal(0, code)
    return out
  end

  when_built("knows verbs, options, words of options and where files come", function ()
    assert.matches("^run\trun an experiment\n", candidates "ru")
    assert.equal("--resume\tgo on where this run file stopped\n", candidates "run --res")
    assert.equal("f32\t\nf64\t\n", candidates "run --precision ''")
    assert.equal(":files *.h5\n", candidates "run --resume ''")
    assert.equal(":files *.lua\n", candidates "run ''")
    assert.equal(":files *.h5\n", candidates "verify ''")
    assert.equal("md\t\n", candidates "bundle --table m")
    assert.matches("^%-%-with%-data\t[^\n]+\n$", candidates "bundle --with-")
    assert.equal("", candidates "nonsense ''")
    assert.matches("^zsh", candidates "completion z")
  end)

  when_built("reads a script's parameters without running it", function ()
    assert.equal("--a\ta digit\n", candidates "run tiny.lua --a")
    assert.equal("--plain\t\n", candidates "run tiny.lua --pl")
    assert.equal("rnn\t\nlstm\t\n", candidates "run tiny.lua --cell ''")
    shell.write("hostile.lua", "params = {a = 1} os.execute 'touch " .. shell.path "hit" .. "'")
    assert.equal("--a\t\n", candidates "run hostile.lua --a")
    assert.is_false(shell.exists "hit")
    assert.equal("", candidates "run absent.lua --xyz")
  end)

  when_built("works in bash, and the other shells can read theirs", function ()
    shell.write("try.sh", ([[
PATH=%s:$PATH
eval "$(lurn completion bash)"
compopt () { :; }
try () { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _lurn; echo "${COMPREPLY[*]}"; }
try lurn inspe
try lurn run tiny.lua --cell ''
try lurn run ti
try lurn run tiny.lua --resu
]]):format(shell.bin:match "^(.*)/"))
    local code, out = shell.run("bash try.sh")
    assert.equal(0, code)
    assert.equal("inspect\nrnn lstm\ntiny.lua\n--resume\n", out)
    for _, name in ipairs {"zsh", "fish"} do
      local _, text = shell.lurn("completion " .. name)
      shell.write(name, text)
      if found(name) then assert.equal(0, (shell.run(name .. " -n " .. name))) end
    end
  end)

  when_built("refuses a shell it does not know", function ()
    local code, _, err = shell.lurn("completion tcsh")
    assert.equal(2, code)
    assert.matches("bash, zsh or fish", err)
  end)
end)

describe("pages for man", function ()
  setup(shell.open)
  teardown(shell.close)

  when_built("say of every verb what its table says", function ()
    local code, out = shell.lurn("man")
    assert.equal(0, code)
    assert.matches(".Dt LURN 1\n", out, 1, true)
    assert.matches(".It Cm sample\nlet a trained language model write\n", out, 1, true)
    local _, run = shell.lurn("man run")
    assert.matches(".It Fl \\-resume Ar RUN.h5\ngo on where this run file stopped\n", run, 1, true)
    assert.matches(".D1 lurn run --resume RUN.h5\n", run, 1, true)
    assert.equal(2, (shell.lurn("man nonsense")))
  end)

  when_built("are what mandoc takes without a warning", function ()
    if not found "mandoc" then return end
    local _, verbs = shell.lurn("completion words ''")
    for name in ("man\n" .. verbs):gmatch "(%w+)[^\n]*\n" do
      shell.run(("%s man %s > page.1"):format(shell.bin, name ~= "man" and name or ""))
      local _, out, err = shell.run("mandoc -T lint -W warning page.1")
      assert.equal("", out .. err)
    end
  end)
end)
