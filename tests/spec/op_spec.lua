-- Ops in C from outside: scripts/ops/cumsum.c as a user compiles it against installed headers, what it can be used
-- for, and that an op which breaks a promise is refused and says which.
local lurn = require "lurn"
local shell = require "shell_helper"
local h = require "engine_helper"

local CC = os.getenv "CC" or "cc"
local source

-- A shared object for each precision, by the command of plugin.h.
local function compile (name, precisions, flags)
  local code, _, err = shell.run(("for p in %s; do %s %s -ffp-contract=off -fPIC -shared -DLURN_F$p -Iinclude %s.c "
    .. "-o %s.f$p.so || exit 1; done"):format(precisions, CC, flags, name, name))
  assert.equal(0, code, err)
  return shell.path(name .. ".so")
end

-- The example under another name and with words exchanged, for f64 alone.
local function variant (name, ...)
  local text = source:gsub('"cumsum"', ('"%s"'):format(name))
  for _, change in ipairs {...} do
    local times
    text, times = text:gsub(change[1]:gsub("%p", "%%%0"), (change[2]:gsub("%%", "%%%%")))
    assert(times > 0, change[1])
  end
  shell.write(name .. ".c", text)
  return compile(name, "64", "-w -O1")
end

-- What `make install` puts into include/lurn.
local function install_headers (to)
  assert(os.execute(("mkdir -p %s && cp %s/core/*.h %s/core/kernel/kernel.h %s"):format(shell.path(to), shell.here,
    shell.here, shell.path(to))))
end

local function refused (words, path, options)
  local name, message, code = lurn.f64.load_op(path, options)
  assert.is_nil(name)
  assert(message:find(words, 1, true), message)
  assert(code == "EFORMAT" or code == "EIO")
end

describe("an op from outside", function ()
  setup(function ()
    shell.open()
    install_headers "include"
    local f = assert(io.open(shell.here .. "/scripts/ops/cumsum.c"))
    source = f:read "a"
    f:close()
    shell.write("cumsum.c", source)
    compile("cumsum", "32 64", "-Wall -Wextra -Werror -O3")
  end)
  teardown(shell.close)

  it("is about forty lines of C", function ()
    local _, lines = source:gsub("[^\n]*\n", "")
    assert(lines <= 50, lines)
  end)

  it("is loaded for both precisions and used like any other", function ()
    assert.equal("cumsum", assert(lurn.load_op(shell.path "cumsum.so")))
    assert.equal("cumsum", assert(lurn.load_op(shell.path "cumsum.so")))
    for _, l in ipairs {lurn.f32, lurn.f64} do
      local model = l.model(function (m)
        local x = m:input("x", "real", "time", {4})
        return {out = l.concat(l.op "cumsum" (x), l.op "cumsum" (x, {i = {1}}))}
      end)
      local player = model.native:player {}
      player:forward(l.batch {x = l.tensor {{{1, 2, 3, 4}}}}, 1, 0, "eval")
      assert.same({{{1, 3, 6, 10, 10, 9, 7, 4}}}, player:output "out":totable())
      assert(model:source_text():find "= cumsum r%d+ %[0 1 0%]")
      assert.equal(model:source_text(), assert(l.from_program(model:source_text())):source_text())
    end
  end)

  -- Shen et al. 2019, Ordered neurons: f = cumax([x, h]), i = 1 - cumax([x, h]), w = f * i, and of the LSTM's gates
  -- those where both levels are open.
  it("is a part of cells: the ordered-neurons LSTM", function ()
    local l = lurn.f64
    local cumsum = l.op(assert(l.load_op(shell.path "cumsum.so")))
    local on_lstm = l.cell {name = "on_lstm", state = {"h", "c"}, step = function (c, x, s)
      local function a (g) return c:linear(g, {x, s.h}) end
      local function cumax (g) return cumsum(l.softmax(a(g))) end
      local high_f, high_i = cumax "hf", 1 - cumax "hi"
      local both = high_f * high_i
      local f = l.sigmoid(a "f") * both + high_f - both
      local i = l.sigmoid(a "i") * both + high_i - both
      local cell = f * s.c + i * l.tanh(a "g")
      return {h = l.sigmoid(a "o") * l.tanh(cell), c = cell}
    end}
    local model = l.stack {input = {dim = h.D}, on_lstm {hidden = 5}, l.linear {size = h.K}, loss = l.loss.mse()}
    local r = l.gradcheck(model, h.batch(l, {3, 7, 5}))
    assert(r.worst < 1e-6, r.worst)
    assert.equal(model:count(), r.checked)
  end)

  it("is refused when its gradient is wrong", function ()
    refused("its gradient, in the open, is off by", variant("wrong_gradient", {"!i->i[0], 0", "i->i[0], 0"}))
    assert.error_matches(function () lurn.f64.op "wrong_gradient" end, "there is no op 'wrong_gradient'")
  end)

  it("is refused when rows see each other", function ()
    refused("in the open: ", variant("mixing", {"    real sum = 0;\n", ""},
      {"  real *y = c->out;\n", "  real *y = c->out, sum = 0;\n"}))
  end)

  it("is refused when it remembers", function ()
    refused("in the open: ", variant("remembering",
      {"    real sum = 0;\n", "    static real kept;\n    real sum = kept;\n"},
      {"y[j] = sum += x[j];\n", "y[j] = sum += x[j];\n    kept = 1e-3f;\n"}))
  end)

  it("is refused when it takes ids for numbers", function ()
    refused("it takes ids as its operand 1, which is of numbers",
      variant("careless", {"x->dtype != LURN_REAL || ", ""}))
  end)

  it("needs an example where vectors over time are not what it works on", function ()
    local path = variant("of_six", {"x->rank != 1)", "x->cols != 6)"})
    refused("cumsum: expected a vector of numbers, got time (4) real", path)
    local function example (op, _, a, b) return op(lurn.f64.concat(a, b)) end
    refused("got time (8) real", path, {example = example})
    assert.equal("of_six", assert(lurn.f64.load_op(path, {example = function (op, _, a, b)
      return op(lurn.f64.slice(lurn.f64.concat(a, b), 2, 7))
    end})))
    assert.equal("of_six", assert(lurn.f64.load_op(path, {check = false})))
  end)

  it("may have a shape rule that fails in silence or talks nonsense", function ()
    local l = lurn.f64
    assert(l.load_op(variant("silent", {"return lurn_program_fail(p,", "return (void)(p,"})))
    assert.error_matches(function ()
      l.model(function (m) return {out = l.op "silent" (m:input("i", "index", "time", {1}))} end)
    end, "silent: its operands do not fit")
    refused("a register has at most 4 dimensions", variant("deep", {"out->rank = 1;", "out->rank = 9;"}))
    refused("a register has 1 to", variant("empty", {"out->dim[0] = x->cols;", "out->dim[0] = 0;"}))
    refused("there is no axis 7", variant("nowhere", {"out->axis = x->axis;", "out->axis = 7;"}))
  end)

  it("must be an op, of this build, with a name of its own", function ()
    refused("cannot open", shell.path "nothing.so")
    shell.write("text.so", "not a shared object")
    refused("text.so", shell.path "text.so")
    refused("there is another op 'tanh' already", variant "tanh")
    refused("its name must be", variant "two-words")
    refused("its version must be 1 or more", variant("old", {".version = 1", ".version = 0"}))
    refused("a flag that is none", variant("flagged", {".nin = 1,", ".nin = 1, .flags = 1 << 20,"}))
    refused("a gradient or LURN_OP_NOGRAD", variant("flat", {".grad = grad,", ""}))
    shell.run "cp cumsum.f32.so other.so"
    refused("built for f32, and this is f64", shell.path "other.so")
    shell.run "sed -i 's/define LURN_MAX_IMM 6/define LURN_MAX_IMM 7/' include/program.h"
    refused("build it again", variant "elsewhere")
    install_headers "include"
  end)

  it("is known to programs by name and version", function ()
    local l = lurn.f64
    assert(l.load_op(variant("second", {".version = 1", ".version = 2"})))
    local model = l.model(function (m) return {out = l.op "second" (m:input("x", "real", "time", {4}))} end)
    local text = model:source_text()
    assert(text:find("= second@2 ", 1, true), text)
    assert.equal(text, assert(lurn.f64.from_program(text)):source_text())
    local _, message = lurn.f64.from_program((text:gsub("@2", "")))
    assert.matches("line 3: it uses version 1 of the op 'second'; version 2 is here", message)
    _, message = lurn.f64.from_program((text:gsub("second@2", "third")))
    assert.matches("line 3: expected an op; one from outside must be loaded .*, got 'third'", message)
  end)

  it("is one of a run's, which says what is missing", function ()
    shell.write("text.txt", ("one two three four five six seven "):rep(40))
    shell.write("sums.lua", [[
      local lurn = require "lurn"
      return lurn.experiment {name = "sums", run = function (run, p)
        local data = assert(lurn.text("text.txt"))
        local cumsum = lurn.op(assert(lurn.load_op "cumsum.so"))
        local model = lurn.stack {input = data, lurn.embedding {size = 8}, cumsum, lurn.rnn {hidden = 8},
          lurn.linear {}, loss = lurn.loss.cross_entropy()}
        return run:fit {model = model, optim = lurn.optim.adam(model, {lr = 1e-2}), train = data.train, steps = 5}.loss
      end}
    ]])
    local code, _, err = shell.lurn "run sums.lua --out sums.h5"
    assert.equal(0, code, err)
    code, _, err = shell.lurn "sample sums.h5 --length 5"
    assert.equal(3, code)
    assert.matches("expected an op; one from outside must be loaded .*, got 'cumsum'", err)
    code, _, err = shell.lurn "eval sums.h5 --op ./nothing.so"
    assert.equal(3, code)
    assert.matches("nothing.so: cannot open", err)
    for _, verb in ipairs {"sample", "eval", "predict -o out.csv"} do
      code, _, err = shell.lurn(verb .. " sums.h5 --op ./cumsum.so")
      assert.equal(0, code, err)
    end
  end)
end)

describe("check_op", function ()
  it("asks of built-in ops what it asks of others", function ()
    local examples = {
      tanh = false, mul = false, where = false, rowsum = false, concat = false, total = false,
      norm = function (op, _, a) return op(a, {k = 0.1}) end,
      colsum = function (op, _, a) return op(nil, a) end,
      fold = function (op, _, a) return op(nil, a) end,
      coldot = function (op, _, a, b) return op(nil, a, b) end,
      product = function (op, m, a) return op(nil, a, m:param("w", {4, 3})) end,
      gather = function (op, m, a) return a * op(m:param("w", {4, 4}), m.ids) end,
      shift = function (op, _, a) return op(a, {i = {-1}}) end,
      dropout = function (op, _, a) return op(a, {k = 0.3, name = "some"}) end,
    }
    for name, example in pairs(examples) do
      local ok, message = lurn.check_op(name, example or nil)
      assert(ok, ("%s: %s"):format(name, message))
    end
    assert.error_matches(function () lurn.check_op "nothing" end, "there is no op 'nothing'")
  end)
end)
