-- The library of cells: what the table (table_layers.lua) does not show of them: that the built-in ones are equations
-- of it, how long they are, and how they start.
local lurn = require "lurn"
local h = require "engine_helper"

local D, H = h.D, 5

local function model_of (layer) return lurn.stack {input = {dim = D}, layer, loss = lurn.loss.mse()} end

describe("the library of cells", function ()
  it("has the built-in ones as their equations", function ()
    for _, name in ipairs {"rnn", "lstm", "gru"} do
      for _, o in ipairs {{hidden = H}, {hidden = H, activation = "softsign"}, {hidden = H, layers = 2,
        reverse = true}} do
        assert.equal(model_of(lurn[name](o)):program(),
          model_of(lurn.cells[name](o)):program())
      end
    end
    local before = {hidden = H, reset_after = false}
    assert.equal(model_of(lurn.gru(before)):program(),
      model_of(lurn.cells.gru(before)):program())
  end)

  it("says each of them in fifteen lines of Lua at most", function ()
    local file = assert(io.open(package.searchpath("lurn.cells", package.path)))
    local text, count = file:read "a", 0
    file:close()
    for block in text:gmatch "[^\n].-\n%s*\n" do
      local name = block:match 'define%("([%w_]+)"'
      if name then
        local _, comments = block:gsub("[^\n]*%-%- [^\n]*\n", "")
        local _, all = block:gsub("[^\n]*%S[^\n]*\n", "")
        assert(lurn.cells[name], name)
        assert(all - comments <= 15, ("%s has %d lines"):format(name, all - comments))
        count = count + 1
      end
    end
    assert(count >= 12)
  end)

  it("starts as the papers say", function ()
    local function value (model, path)
      for _, p in ipairs(model:parameters()) do if p.path == path then return p.value end end
      error(path)
    end
    local irnn = model_of(lurn.cells.irnn {hidden = H})
    assert.same(lurn.eye(H):totable(), value(irnn, "irnn1.Wh"):totable())
    assert(value(irnn, "irnn1.Wx"):abs():max() < 0.01)
    local janet = model_of(lurn.cells.janet {hidden = H})
    assert.same({1, 1, 1, 1, 1}, value(janet, "janet1.f.b"):totable())
    -- A mask before the product leaves the first weights as they are without it.
    local plain = model_of(lurn.gru {hidden = H})
    local dropped = model_of(lurn.gru {hidden = H, recurrent_dropout = 0.5})
    local other = dropped:parameters()
    for i, p in ipairs(plain:parameters()) do assert.same(p.value:totable(), other[i].value:totable()) end
  end)

  it("lets a block of a clockwork stand still between its steps", function ()
    local l = lurn.f64
    local model = l.stack {input = {dim = D}, l.cells.clockwork {hidden = 4, periods = {1, 3}}}
    local stream, seen = model:stream(), {}
    for t, frame in ipairs(h.row(1, 7, D, 1)) do seen[t] = stream:step(frame):totable() end
    for t = 2, 7 do
      assert(seen[t][1] ~= seen[t - 1][1])
      assert.equal((t - 1) % 3 ~= 0, seen[t][3] == seen[t - 1][3])
    end
  end)
end)
