-- The bench without any peer: rows are measured, judged, written; what a row costs in a process of its own. Times are
-- nobody's business here.

local json = require "lurn.json" {}
local shell = require "shell_helper"
local when_built = shell.ready and it or pending

local ALONE = "PYTHON=/nonexistent CC=false"

local function document (arguments)
  local code, out, err = shell.lurn("bench --json " .. arguments, ALONE)
  assert.equal(0, code, err)
  return assert(json.decode(out))
end

describe("lurn bench", function ()
  setup(shell.open)
  teardown(shell.close)

  when_built("measures lurn alone where no peer is, and says so", function ()
    local result = document "--quick --turns 1 --rows '^rnn online$' --write page.md"
    assert.is_nil(result.machine.peer)
    assert.is_nil(result.machine.layers)
    local r = result.rows[1]
    assert.equal("rnn online", r.name)
    assert.is_true(r.own[1].ms > 0 and r.own[1].gflops > 0 and r.first_ms > 0 and r.bytes > 1e6)
    assert.is_nil(r.met)                         -- its goal is a ratio, and there is nothing beside it
    assert.is_nil(r.needs)
    local one, least = document "--quick --turns 1 --rows '^one char'", 0.015
    r = one.rows[1]
    assert.near(r.own[1].gflops * r.own[1].cpu_ms / least / (one.machine.peak * r.threads), r.needs, 1e-9)
    local page = shell.read "page.md"
    assert.matches("/nonexistent has no PyTorch; no oneDNN", page, 1, true)
    assert.matches("| rnn online | ", page, 1, true)
  end)

  when_built("keeps what was measured before on its page", function ()
    local first = document "--quick --turns 1 --rows '^trace' --write page.md"
    assert.equal(1, #first.rows)
    document "--quick --turns 1 --rows '^rnn online$' --write page.md"
    local page = shell.read "page.md"
    for _, row in ipairs {"rnn online", "trace + plan"} do assert.matches("\n| " .. row .. " | ", page, 1, true) end
    assert.matches("`lurn bench %-%-rows %^trace %-%-turns 1 %-%-quick` on %d+%-%d+%-%d+ with [^\n]*: 1 rows", page)
    local _, rows = page:gsub("\n| rnn online |", "")
    assert.equal(1, rows)
  end)

  when_built("measures the layers alone, and growth with its power", function ()
    local result = document "--quick --turns 1 --rows 'layers rnn online'"
    assert.equal(1, result.rows[1].turns)
    local growth = document "--quick --rows 'growth with B'".rows[1]
    assert.equal(5, #growth.points)
    assert.is_true(growth.exponent > 0 and growth.points[5].plan > growth.points[1].plan)
  end)

  when_built("measures lurn beside itself, and what is no step at all", function ()
    local trace = document "--quick --turns 1 --rows '^trace'".rows[1]
    assert.equal("own", trace.table)
    local start = document "--quick --rows '^start'".rows[1]
    assert.is_true(start.ms > 0)
    local threads = document "--quick --turns 1 --rows '^threads char'".rows[1]
    assert.matches("^one thread %S+ ms", threads.note)
    local stall = document "--quick --rows '^loader'".rows[1]
    assert.is_true(stall.share > 0 and stall.share < 1)
  end)

  when_built("knows its rows, and what it may be asked for", function ()
    local first = document "--first 'one character'"
    assert.is_true(first.first_ms > 0 and first.bytes > 1e6)
    local code, _, err = shell.lurn("bench --first nothing", ALONE)
    assert.equal(2, code)
    assert.matches("no row is 'nothing'", err, 1, true)
    code, _, err = shell.lurn("bench --rows nothing", ALONE)
    assert.equal(2, code)
    assert.matches("no row fits 'nothing'", err, 1, true)
    assert.equal(2, (shell.lurn("bench --turns 0", ALONE)))
  end)

  when_built("takes the lengths of ragged sequences from a data set", function ()
    shell.write("make.lua", [[
      local lurn = require "lurn"
      local list = {}
      for i = 1, 40 do list[i] = {x = lurn.zeros(i % 5 + 1, 3), y = lurn.zeros(i % 5 + 1, 3)} end
      assert(lurn.dataset(list).set:save "ragged.h5")]])
    local code, _, err = shell.run(('eval "$(%s env)"; lua5.4 make.lua'):format(shell.bin))
    assert.equal(0, code, err)
    local r = document "--quick --turns 1 --rows ragged --chorales ragged.h5".rows[1]
    assert.equal(40, #r.case.lengths)
    assert.equal(3, r.case.D)
  end)
end)
