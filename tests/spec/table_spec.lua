-- The table: every op, activation, loss, layer, cell and option, and for each of them that its gradient is right, that
-- PyTorch agrees, and that its bits are the same however it is played. tests/tools/table.lua prints it.
local lurn = require "lurn"
local h = require "table_helper"
local columns = require "table_columns"
require "table_ops"
require "table_losses"
require "table_layers"

describe("the table", function ()
  for _, row in ipairs(h.rows) do
    it(row.kind .. " " .. row.name, function ()
      local failures = {}
      for _, column in ipairs(columns.columns) do
        local ok, message = pcall(columns[column], row)
        if not ok then failures[#failures + 1] = ("%s: %s"):format(column, message) end
      end
      assert(#failures == 0, table.concat(failures, "\n"))
    end)
  end
end)

---------------------------------------------------------------------- what must have a row

-- The options that a constructor knows, and who it says it is: from what it says of one that it does not know.
local function options_of (make)
  local _, message = pcall(make, {["?"] = true})
  local where, known = tostring(message):match "(lurn[%w_.]*): unknown option '%?'.*%(known: ([^)]*)%)"
  local list = {}
  for name in (known or ""):gmatch "[%w_]+" do list[name] = true end
  return list, where
end

-- Every layer, cell and loss as {kind, name, make}.
local function constructors (l)
  local list = {}
  local function take (kind, module, but)
    for name, make in pairs(module) do
      if not (but and but[name]) then list[#list + 1] = {kind = kind, of = name, make = make} end
    end
  end
  take("layer", l.layers, {recurrent = true, initialise = true})
  take("layer", l.conv)
  take("cell", l.cells)
  take("loss", l.loss, {custom = true})
  list[#list + 1] = {kind = "loss", of = "custom", make = function (o) return l.loss.custom(l.sum, o) end}
  return list
end

-- What the rows of a constructor ask for: functions of l, and options by who takes them.
local function asked_for (kind, of, seen)
  local prefix = {cell = "cells.", loss = "loss."}
  local options, found = {}, false
  for _, row in ipairs(h.rows) do
    if row.kind == kind and row.of == of then
      assert(seen[row].used[(prefix[kind] or "") .. of], row.name .. ": the model is built without it")
      found = true
      for where, list in pairs(seen[row].options) do options[where] = h.join(options[where] or {}, list) end
    end
  end
  return found, options
end

describe("the table has a row for every", function ()
  local l = lurn.f64
  local seen = {}
  for _, row in ipairs(h.rows) do
    local model, used, options = h.build(l, row)
    seen[row] = {model = model, used = used, options = options}
  end

  it("op, which its model uses", function ()
    local found = {}
    for _, row in ipairs(h.rows) do
      local text = row.kind == "op" and seen[row].model.native:player {grad = true}:text()
      for _, op in ipairs(text and row.of or {}) do
        assert(text:find(("= %s "):format(op), 1, true), row.name .. ": the model does not use " .. op)
        found[op] = true
      end
    end
    for _, op in ipairs(lurn.core.ops()) do assert(found[op.name], op.name .. " has no row") end
  end)

  it("activation", function ()
    local found = {}
    for _, row in ipairs(h.rows) do if row.kind == "activation" then found[row.of] = true end end
    for _, name in ipairs(lurn.core.activations()) do assert(found[name], name .. " has no row") end
  end)

  -- What all cells have is looked at with the built-in ones and with one cell; of the others, what is their own.
  it("layer, cell and loss, and every option of them", function ()
    local common = options_of(l.rnn)
    for _, make in pairs(l.cells) do
      local known = options_of(make)
      for name in pairs(common) do common[name] = known[name] end
    end
    assert(common.zoneout and common.hidden and not common.activation)
    for _, c in ipairs(constructors(l)) do
      local found, given = asked_for(c.kind, c.of, seen)
      assert(found, ("%s %s has no row"):format(c.kind, c.of))
      local known, where = options_of(c.make)
      for option in pairs(known) do
        assert(given[where][option] or c.kind == "cell" and common[option],
          ("%s: no row has the option '%s'"):format(where, option))
      end
    end
  end)

  it("one of its name", function ()
    local found = {}
    for _, row in ipairs(h.rows) do
      local name = row.kind .. " " .. row.name
      assert(not found[name], name .. ": two rows")
      found[name] = true
    end
  end)
end)
