-- Run files that are not what they were: of a future version, damaged, edited, of another program. Each is refused with
-- one message, and stays as it is.

local lurn = require "lurn"
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

-- WIDTH and MORE stand for what a run file does not hold: a newer lurn, a module found elsewhere.
local SCRIPT = [[
local lurn = require "lurn"
return lurn.experiment {name = "damage", params = {steps = 20}, run = function (run, p)
  local data = assert(lurn.dataset {{x = {{1.0}, {2.0}}, y = {{1.0}, {2.0}}}})
  local model = lurn.stack {input = data, lurn.rnn {hidden = tonumber(os.getenv "WIDTH") or 3}, lurn.linear {size = 1},
    loss = lurn.loss.mse()}
  local optim = lurn.optim.adam(model)
  if os.getenv "MORE" then return 1 end
  return run:fit {model = model, optim = optim, train = data.train, steps = p.steps, eval_every = 5}.loss
end}
]]

-- A copy of a run file, object by object, with some of them or of the attributes of / replaced; false leaves one out.
-- `more` are objects beside them. The digests of groups are left out unless they are asked for.
local function rewrite (to, objects, attributes, more, digests)
  local r <close> = assert(lurn.h5.open(shell.path "run.h5"))
  local w <close> = assert(lurn.h5.create(shell.path(to)))
  local function put_attributes (path, changed)
    for key, value in pairs(assert(r:attrs(path))) do
      if changed[key] ~= nil then value = changed[key] end
      if value then assert(w:attr(path, key, value)) end
    end
  end
  local function walk (group)
    for _, name in ipairs(assert(r:list(group))) do
      local path = (group == "/" and "" or group) .. "/" .. name
      if not r:shape(path) then
        walk(path)
        if digests then put_attributes(path, {}) end
      elseif objects[path] ~= false then
        assert(w:write(path, objects[path] or assert(r:read(path))))
        put_attributes(path, {})
      end
    end
  end
  walk "/"
  put_attributes("/", attributes or {})
  for path, value in pairs(more or {}) do assert(w:write(path, value)) end
  assert(w:commit())
end

describe("a run file", function ()
  setup(function ()
    shell.open()
    shell.write("script.lua", SCRIPT)
    if not shell.ready then return end
    local code, _, err = shell.lurn "run script.lua --quiet --out run.h5"
    assert(code == 0, err)
  end)
  teardown(shell.close)

  local function refused (name, pattern, before)
    local old = shell.read(name)
    local code, out, err = shell.lurn("run --quiet --resume " .. name, before)
    assert.equal(3, code, err)
    assert.equal("", out)
    assert.matches("^lurn: ", err)
    assert.matches(pattern, err)
    assert.is_nil(err:find("traceback", 1, true), err)
    assert.is_true(old == shell.read(name))      -- nothing was written
    return err
  end

  when_built("that is copied object by object goes on: what follows refuses for its own reasons", function ()
    rewrite("copy.h5", {})
    local code, _, err = shell.lurn "run --quiet --resume copy.h5"
    assert.equal(0, code, err)
  end)

  when_built("in which a number of a tensor is another one is refused, and says in which group", function ()
    local file = assert(lurn.runfile.read(shell.path "run.h5"))
    for group, tensors in pairs {["/weights"] = file.models[1].weights, ["/best"] = file.best.weights[1],
                                 ["/optim"] = file.optims[1].tensors, ["/state"] = file.models[1].state} do
      local name, tensor = next(tensors)
      assert.is_truthy(name, group)
      rewrite("whole.h5", {[group .. "/" .. name] = tensor}, nil, nil, true)
      assert(lurn.runfile.read(shell.path "whole.h5"))
      rewrite("bent.h5", {[group .. "/" .. name] = tensor + 1e-3}, nil, nil, true)
      refused("bent.h5", "damaged run file: " .. group .. ": its tensors are not those that its digest was made of\n$")
      -- The core of the other precision, to which these bytes are no bytes, knows it too.
      assert(lurn.f64.runfile.read(shell.path "whole.h5"))
      assert.matches(group .. ": its tensors", select(2, lurn.f64.runfile.read(shell.path "bent.h5")))
    end
  end)

  when_built("in which a single bit has changed is refused", function ()
    local file = assert(lurn.runfile.read(shell.path "run.h5"))
    local name, tensor = next(file.optims[1].tensors)
    local bytes = (lurn.precision == "f64" and "<d" or "<f"):pack(tensor:totable()[1])
    shell.write("bit.h5", shell.read "run.h5")
    assert.is_true(shell.patch("bit.h5", bytes, string.char(bytes:byte(1) ~ 1) .. bytes:sub(2)), name)
    refused("bit.h5", "damaged run file: /optim: ")
  end)

  when_built("of a later version is not read", function ()
    rewrite("later.h5", {}, {version = 99})
    refused("later.h5", "later.h5: a run file of version 99; this lurn knows versions up to 1\n$")
    rewrite("none.h5", {}, {version = "one"})
    refused("none.h5", "an HDF5 file, but not a run file of lurn")
  end)

  when_built("of another model is refused by the first instruction that differs", function ()
    local err = refused("run.h5", "the script builds another model: instruction in line %d+ of the program was\n"
      .. "  [^\n]*3[^\n]*\nand is now\n  [^\n]*4[^\n]*\n$", "WIDTH=4")
    assert.equal(4, select(2, err:gsub("\n", "")))
  end)

  when_built("whose training was played by another program is refused, too", function ()
    local r <close> = assert(lurn.h5.open(shell.path "run.h5"))
    local text = r:read("/program_train")
    -- As if an older lurn had added the bias at another place.
    local changed, n = text:gsub("(r%d+) = add ", "%1 = subtract ", 1)
    if n == 0 then changed = text:gsub("tanh", "sigmoid", 1) end
    assert.not_equal(text, changed)
    local file = assert(lurn.runfile.read(shell.path "run.h5"))
    file.models[1].train_program, file.models[1].train_digest = changed, lurn.sys.sha256(changed)
    local run = assert(lurn.experiment.load(shell.path "script.lua")):start(nil, {resume = file, write = false,
      quiet = true}):play()
    assert.equal("failed", run.status)
    assert.matches("this lurn trains the model by another program, so the bits would not be the same: instruction in "
      .. "line %d+ of the program was\n", run.error)
    local old, new = run.error:match "was\n  ([^\n]*)\nand is now\n  ([^\n]*)$"
    assert.is_truthy(changed:find(old, 1, true) and text:find(new, 1, true))
  end)

  when_built("with an edited program is damaged", function ()
    local r <close> = assert(lurn.h5.open(shell.path "run.h5"))
    for _, name in ipairs {"/program", "/program_train"} do
      rewrite("edited.h5", {[name] = (assert(r:read(name)):gsub("tanh", "relu", 1))})
      refused("edited.h5", "damaged run file: " .. name .. " is not the text its digest was made of")
      assert.equal(3, (shell.lurn "sample edited.h5"))
    end
  end)

  when_built("with counters, settings or state that are none is damaged, and says which", function ()
    for name, list in pairs {
      ["/counters"] = {"{}", "[]", "3", "{\"steps\": -1}", "not JSON", false},
      ["/config"] = {"[1", "{\"params\": 3}", "{\"params\": [1, 2]}", false}, ["/run_state"] = {"7", "x", false},
      ["/manifest"] = {"7", "{\"data\": [7]}", "{\"data\": 5}", "{\"engine\": []}", "{\"attempts\": [1]}",
        "{\"folder\": {}}", "{\"data\": [{\"hash\": {}}]}", false},
      ["/digests/step"] = {"text", lurn.tensor {{1, 2}}}, ["/metrics/loss/value"] = {"text", lurn.tensor {{1, 2}}},
      ["/program"] = {false},
    } do
      for _, text in ipairs(list) do
        rewrite("bad.h5", {[name] = text})
        refused("bad.h5", "bad.h5: damaged run file: " .. name)
      end
    end
    for _, text in ipairs {"7", "{}", "{\"kind\": \"theft\", \"file\": \"a\", \"step\": 1, \"digest\": []}",
                           "{\"kind\": \"fork\", \"file\": {}, \"step\": 1, \"digest\": []}",
                           "{\"kind\": \"fork\", \"file\": \"a\", \"step\": 1, \"digest\": [[]]}"} do
      rewrite("bad.h5", {}, nil, {["/lineage"] = text})
      refused("bad.h5", "bad.h5: damaged run file: /lineage")
    end
    rewrite("bad.h5", {}, nil, {["/weights/rnn1/Wx"] = lurn.zeros(2)})
    refused("bad.h5", "bad.h5: damaged run file: /weights/rnn1 is a group among arrays")
    rewrite("bad.h5", {}, {seed = "x"})
    refused("bad.h5", "the seed is not an integer")
    rewrite("bad.h5", {}, {precision = "f16"})
    refused("bad.h5", "the precision is neither f32 nor f64")
  end)

  when_built("with weights or moments that are missing or of another shape is damaged", function ()
    rewrite("bad.h5", {["/weights/rnn1.Wh"] = lurn.zeros(2, 2)})
    refused("bad.h5", "damaged run file: ")
    rewrite("bad.h5", {["/weights/rnn1.Wh"] = false})
    refused("bad.h5", "damaged run file: the run file's weights have no 'rnn1.Wh'")
    local r <close> = assert(lurn.h5.open(shell.path "run.h5"))
    local moment
    for _, name in ipairs(r:list "/optim") do if name ~= "numbers" then moment = "/optim/" .. name end end
    rewrite("bad.h5", {[moment] = false})
    refused("bad.h5", "damaged run file: the optimiser's [%w_]+ is missing")
  end)

  when_built("whose script ends before its saved loop is refused, not ended as done", function ()
    refused("run.h5", "the script ended before", "MORE=1")
  end)

  -- More names than fit into a header lie in a heap and a tree. HDF5 1.10 crashes where it sorts them and cannot read
  -- them: it frees a table that was never filled, with whatever lay there (hence MALLOC_PERTURB_).
  when_built("with a damaged group of many names is refused by inspect", function ()
    local w <close> = assert(lurn.h5.create(shell.path "many.h5"))
    for i = 1, 40 do assert(w:write("/array" .. i, "x")) end
    assert(w:commit())
    local whole, blocks = shell.read "many.h5", 0
    for _, signature in ipairs {"FRHP", "FHDB", "FHIB", "BTHD", "BTLF", "BTIN"} do
      for at in whole:gmatch("()" .. signature) do
        local byte = string.char(whole:byte(at + 20) ~ 0x55)
        shell.write("flip.h5", whole:sub(1, at + 19) .. byte .. whole:sub(at + 21))
        local code, _, err = shell.lurn("inspect flip.h5", "MALLOC_PERTURB_=85")
        blocks = blocks + 1
        assert.equal(3, code, signature .. err)
        assert.matches("^lurn: flip.h5: /: cannot read: [^\n]*\n$", err)
      end
    end
    assert.is_true(blocks > 3, blocks)
  end)

  it("with any byte changed is read, or gives a message", function ()
    local whole, messages = shell.read "run.h5", 0
    for k = 1, 300 do
      local at = 1 + (k * 7919) % #whole
      local byte = string.char((whole:byte(at) + 1 + k % 255) % 256)
      shell.write("flip.h5", whole:sub(1, at - 1) .. byte .. whole:sub(at + 1))
      local file, message, code = lurn.runfile.read(shell.path "flip.h5")
      if not file then
        messages = messages + 1
        assert.equal("string", type(message))
        assert.equal("string", type(code))
      end
    end
    assert.is_true(messages > 0)
  end)
end)

-- Programs that no script makes. Each was once a crash, or wrote where nothing of it was.
describe("a program's text that nobody printed", function ()
  local long = ("n"):rep(96)
  local REFUSED = {
    {"line 3: reshape: expected as many numbers", "input r0 x real time (1)", "r1 = reshape r0 [0 0 0]"},
    {"line 5: scatter: operand 1: expected %(1000000, 1%)", "param r0 b (1) 0 0 0", "input r1 x index time (1)",
      "r2 = live r1 [0 0 0]", "r3 = scatter r0 r2 r1 [0 1000000 0]", "output out r3"},
    {"scatter: operand 2: expected vectors of numbers", "input r0 x index time (1)", "r1 = scatter - r0 r0 [0 5 0]"},
    {"ctc_grad: operand 1: expected one number per row", "input r0 x real time (3)", "input r1 y index time2 (1)",
      "input r2 d index row (1)", "r3 = ctc_grad r2 r0 r1 [0 0 0]"},
    {"line 2: input 'state:q': names that begin with 'state:' are the engine's own", "input r0 state:q real row (1)"},
    {"line 3: output 'd:w': names that begin with 'd:' are", "input r0 x real time (1)", "output d:w r0"},
    {"line 3: output 'grad:a.h': names", "input r0 x real time (1)", "output grad:a.h r0"},
    {"line 3: output 'value:a.h': names", "input r0 x real time (1)", "output value:a.h r0"},
    {"unlast works on whole sequences: it has no place inside the step of 's'", "input r0 x real row (1)",
      "scan forward s", "  r1 = unlast r0 [0 0 0]"},
    {"state 'h' of 's': expected time %(1%) real, got time2 %(1%) real", "input r0 x real row (1)",
      "input r1 z real time2 (1)", "scan forward s", "  state r2 h from r0", "  next h r1", "end"},
    {"indices has one of them in a row", "input r0 x index time (3)"},
    {"indices has one of them in a row", "input r0 x index time (1,1)"},
    {"parameter '" .. long, "param r0 " .. long .. " (1) 0 0 0"},
    {"input '" .. long, "input r0 " .. long .. " real time (1)"},
    {"state '" .. long:sub(1, 16) .. "': expected a name of at most 15 bytes", "input r0 x real row (1)",
      "scan forward s", "  state r1 " .. long:sub(1, 16) .. " from r0"},
  }

  it("is refused by its first line that makes no sense", function ()
    for _, l in ipairs {lurn.f32, lurn.f64} do
      for _, case in ipairs(REFUSED) do
        local model, message = l.from_program("lurn program 1\n" .. table.concat(case, "\n", 2) .. "\n")
        assert.is_nil(model, case[1])
        assert.matches(case[1], message)
      end
    end
  end)

  -- What starts anew is known from an input, which this program has for something else.
  it("is refused when it is to be played in a way for which it has no place", function ()
    local model = assert(lurn.from_program("lurn program 1\ninput r0 reset index time (1)\ninput r1 x real row (1)\n"
      .. "scan forward s\n  state r2 h from r1\n  r3 = live r0 [0 0 0]\n  r4 = add r2 r3 [0 0 0]\n  next h r4\nend\n"
      .. "output out r4\n"))
    assert.error_matches(function () model.native:player {reset = true} end,
      "input 'reset' is asked for twice with different shapes")
  end)
end)
