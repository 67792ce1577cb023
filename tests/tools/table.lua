-- table.lua: prints the table of tests/spec/table_spec.lua as Markdown, from the same rows.
--
--   eval "$(build/bin/lurn env)"; lua5.4 tests/tools/table.lua [KIND]      op, activation, loss, layer, cell

local folder = arg[0]:match "^(.*)tools/[^/]*$" or "../"
package.path = folder .. "spec/?.lua;" .. package.path

local h = require "table_helper"
local columns = require "table_columns"
for _, part in ipairs {"ops", "losses", "layers"} do require("table_" .. part) end

-- A word where it cannot hold, a mark where it does.
local function cell (row, column)
  local value = row[column]
  return columns.reasons[value] and value or "✓"
end

local titles, rule = {"row"}, {"---"}
for _, column in ipairs(columns.columns) do
  titles[#titles + 1], rule[#rule + 1] = columns.titles[column], ":-:"
end

local count, kinds = 0, {}
for _, row in ipairs(h.rows) do
  if not arg[1] or row.kind == arg[1] then
    if not kinds[row.kind] then
      print(("%s## %s\n"):format(count > 0 and "\n" or "", row.kind))
      print("| " .. table.concat(titles, " | ") .. " |")
      print("|" .. table.concat(rule, "|") .. "|")
      kinds[row.kind] = true
    end
    local line = {row.name}
    for _, column in ipairs(columns.columns) do line[#line + 1] = cell(row, column) end
    print("| " .. table.concat(line, " | ") .. " |")
    count = count + 1
  end
end

local words = {}
for word in pairs(columns.reasons) do words[#words + 1] = word end
table.sort(words)
print(("\n%d rows. Where there is no mark:\n"):format(count))
for _, word in ipairs(words) do print(("- %s: %s"):format(word, columns.reasons[word][1])) end
