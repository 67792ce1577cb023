-- The table: every op, activation, loss, layer, cell and option, and for each of them that its gradient is right, that
-- PyTorch agrees, and that its bits are the same however it is played. tests/tools/table.lua prints it.
local lurn = require "lurn"
local h = require "table_helper"
local columns = require "table_columns"
require "table_ops"

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

describe("the table has a row for every", function ()
  it("op, which its model uses", function ()
    local seen = {}
    for _, row in ipairs(h.rows) do
      if row.kind == "op" then
        local model = h.build(lurn.f64, row)
        local text = model.native:player {grad = true}:text()
        for _, op in ipairs(row.of) do
          assert(text:find(("= %s "):format(op), 1, true), row.name .. ": the model does not use " .. op)
          seen[op] = true
        end
      end
    end
    for _, op in ipairs(lurn.core.ops()) do assert(seen[op.name], op.name .. " has no row") end
  end)
end)
