-- Streams: a copy goes on by itself with the same bits, and so does one that was saved and loaded in another process.
local lurn = require "lurn"
local bits = require "bits_helper"
local shell = require "shell_helper"

local when_built = shell.ready and it or pending
local V = 6

local function model_of (l, hidden, seed)
  local model = l.stack {input = {vocab = V}, l.embedding {size = 3},
    l.lstm {hidden = hidden or 5, layers = 2, init_state = "learned"}, l.linear {size = V}}
  model:init(seed or 1)
  return model
end

-- n tokens written by a stream: each is drawn from the output of the one before.
local function write (stream, n)
  local seen = {}
  for i = 1, n do
    seen[2 * i] = stream:sample {temperature = 1.5}
    seen[2 * i - 1] = stream:step(seen[2 * i]):totable()
  end
  return seen
end

local function started (l, model)
  local stream = (model or model_of(l)):stream {seed = 7}
  for _, id in ipairs {3, 1, 4, 1, 5} do stream:step(id) end
  return stream
end

describe("a fork", function ()
  for _, precision in ipairs {"f32", "f64"} do
    local l = lurn[precision]
    it("goes on like its original in " .. precision, function ()
      local stream = started(l)
      local copy = stream:fork()
      local first = write(stream, 9)
      local second = stream:fork()
      assert(bits(first) == bits(write(copy, 9)))
      assert(bits(write(stream, 3)) == bits(write(copy, 3)))
      copy:step(2)
      assert(bits(write(second, 3)) ~= bits(write(copy, 3)))
    end)
  end

  it("with a seed of its own gives the same outputs and other samples", function ()
    local stream = started(lurn)
    local copy = stream:fork {seed = 8}
    assert(bits(stream:step(2)) == bits(copy:step(2)))
    local one, two = write(stream, 30), write(copy, 30)
    assert(bits(one) ~= bits(two))
  end)

  it("of a stream before its first step starts like it", function ()
    local stream = model_of(lurn):stream()
    local copy = stream:fork()
    stream:step(1)
    assert(bits(stream:step(2)) ~= bits(copy:step(2)))
    stream:reset()
    assert(bits(stream:step(3)) ~= bits(copy:step(3)))
  end)
end)

describe("a stream", function ()
  it("has further fields of its batches, such as the state it starts from", function ()
    local function model (init_state)
      return lurn.stack {input = {dim = 2}, lurn.gru {hidden = 3, init_state = init_state}}
    end
    local h0 = lurn.tensor {{0.5, -1, 2}}
    local given = model "given":stream {fields = {["gru1.h0"] = h0}}
    local plain = model "zeros":stream()
    plain:setstate {["gru1.h"] = h0}
    for _ = 1, 3 do assert(bits(given:step {1.0, -1.0}) == bits(plain:step {1.0, -1.0})) end
    assert(bits(given:fork():step {0.0, 0.5}) == bits(plain:step {0.0, 0.5}))
  end)
end)

describe("a saved stream", function ()
  setup(shell.open)
  teardown(shell.close)

  local SCRIPT = [[
local lurn = require "lurn"
local model = lurn.stack {input = {vocab = 6}, lurn.embedding {size = 3},
  lurn.lstm {hidden = 5, layers = 2, init_state = "learned"}, lurn.linear {size = 6}}
model:init(1)
return lurn.experiment {name = "go", run = function ()
  local stream, out = assert(model:stream():load "s.h5"), {}
  for i = 1, 20 do
    local id = stream:sample {temperature = 1.5}
    out[i] = id .. ": " .. table.concat(stream:step(id):totable(), " ")
  end
  local file = assert(io.open("written", "w"))
  file:write(table.concat(out, "\n"))
  file:close()
  return 0
end}
]]

  when_built("goes on in another process with the same bits", function ()
    local l = lurn.f32
    local stream = started(l)
    write(stream, 4)
    assert(stream:save(shell.path "s.h5"))
    shell.write("go.lua", SCRIPT)
    local code, _, err = shell.lurn("run --quiet --precision f32 go.lua")
    assert.equal(0, code, err)
    local seen, lines = write(stream, 20), {}
    for i = 1, 20 do lines[i] = seen[2 * i] .. ": " .. table.concat(seen[2 * i - 1], " ") end
    assert.equal(table.concat(lines, "\n"), shell.read "written")
  end)

  it("is loaded as it was, also before its first step", function ()
    local model = model_of(lurn)
    local fresh, path = model:stream {seed = 3}, shell.path "fresh.h5"
    assert(fresh:save(path))
    local other = started(lurn, model)
    assert.equal(other, other:load(path))
    assert(not pcall(other.sample, other))
    assert(bits(other:step(2)) == bits(fresh:step(2)))
    assert(bits(write(other, 5)) == bits(write(fresh, 5)))
  end)

  it("of something else is refused, and the stream stays as it was", function ()
    local path = shell.path "s.h5"
    local function refuses (words, stream, file)
      local before = bits(stream:state())
      local ok, message, code = stream:load(file or path)
      assert(ok == nil and message:find(words, 1, true), words .. ": " .. tostring(message))
      assert.is_string(code)
      assert(before == bits(stream:state()))
    end
    assert(started(lurn.f32):save(path))
    refuses("another model", model_of(lurn.f32, 4):stream())
    refuses("other weights", started(lurn.f32, model_of(lurn.f32, 5, 2)))
    refuses("saved in f32, this is f64", model_of(lurn.f64):stream())
    refuses("nothing.h5", started(lurn.f32), shell.path "nothing.h5")
    shell.write("text.h5", "no document")
    refuses("text.h5", started(lurn.f32), shell.path "text.h5")
    local w <close> = assert(lurn.h5.create(shell.path "other.h5"))
    assert(w:write("/state/lstm1.h", lurn.zeros(1, 5)) and w:commit())
    refuses("not a stream of lurn", started(lurn.f32), shell.path "other.h5")
    -- Documents that say they are a stream of this model.
    local stream = started(lurn.f32)
    local function document (attributes, state)
      local doc <close> = assert(lurn.h5.create(shell.path "bad.h5"))
      local all = {format = "lurn stream", version = 1, precision = "f32", seed = 1, steps = 1, draws = 0,
        program = lurn.sys.sha256(stream.model:source_text()), weights = stream.model.native:hash()}
      for name, value in pairs(attributes) do all[name] = value end
      for name, value in pairs(all) do assert(doc:attr("/", name, value)) end
      for name, value in pairs(state) do assert(doc:write("/state/" .. name, value)) end
      assert(doc:commit())
      return shell.path "bad.h5"
    end
    refuses("version 2; this lurn knows version 1", stream, document({version = 2}, {}))
    refuses("no number 'steps'", stream, document({steps = "many"}, {}))
    refuses("no state 'lstm9.h'", stream, document({}, {["lstm9.h"] = lurn.zeros(1, 5)}))
    refuses("expected reals (B, 5)", stream, document({}, {["lstm1.h"] = lurn.zeros(1, 6),
      ["lstm1.c"] = lurn.zeros(1, 6), ["lstm2.h"] = lurn.zeros(1, 6), ["lstm2.c"] = lurn.zeros(1, 6)}))
    local ok, message = started(lurn.f32):save(shell.path "no/such/folder/s.h5")
    assert(ok == nil and message:find("folder", 1, true), message)
  end)
end)
