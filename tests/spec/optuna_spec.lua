-- Optuna and its dashboard read what lurn writes, and lurn reads what Optuna wrote. Needs Optuna (PyPI): `make optuna`
-- puts it into build/venv; PYTHON_OPTUNA names another interpreter that has it.

local lurn = require "lurn"
local stores = require "store_helper"

local build = os.getenv "LURN_BUILD" or "build"
local python = os.getenv "PYTHON_OPTUNA" or lurn.sys.exists(build .. "/venv/bin/python") and build .. "/venv/bin/python"
  or "python3"

local function run (tool, ...)
  local pipe = io.popen(("'%s' tests/tools/%s '%s' 2>&1"):format(python, tool, table.concat({...}, "' '")))
  local text = pipe:read "a"
  local _, _, code = pipe:close()
  return code or 0, text
end

local here = os.execute(("'%s' -c 'import optuna' 2>/dev/null"):format(python)) == true
local when_there = here and it or function (name) pending(name .. ": no Optuna here (make optuna)") end

local SPEC = {trials = 100, seeds = 2, space = {
  {name = "lr", kind = "float", low = 1e-5, high = 1e-1, log = true},
  {name = "hidden", kind = "int", low = 32, high = 512, log = true},
  {name = "layers", kind = "int", low = 1, high = 3},
  {name = "dropout", kind = "float", low = 0, high = 0.5, step = 0.125},
  {name = "cell", kind = "choice", choice = {"lstm", "gru", 3, 0.5, true}}}}

local function propose (number)
  local p = {lr = 1e-5 * 1.08 ^ (number % 100), hidden = 32 + 5 * (number % 60), layers = number % 3 + 1,
    cell = SPEC.space[5].choice[number % 5 + 1]}
  if p.layers > 1 then p.dropout = number % 5 / 8 end
  return {params = p, config = number // 2, seed = number % 2 + 1}
end

-- Sixty trials that end in every way there is.
local function fill (study)
  for number = 0, 59 do
    local t = assert(study:claim {worker = "w" .. number, host = "here", propose = propose})
    local points = {}
    for k = 1, 5 do points[k] = {k * 100, t.params.lr / k} end
    if number == 7 then points[3][2] = 0 / 0 elseif number == 8 then points[4][2] = math.huge end
    study:report(t, points, {grad_norm = {{100, 2.0}}})
    local value = math.log(t.params.lr) ^ 2 + t.params.hidden / 512
    local kind = number % 10
    if kind == 1 then study:finish(t, {state = "PRUNED", value = t.params.lr / 5})
    elseif kind == 2 then study:finish(t, {state = "FAIL", reason = "TIMEOUT"})
    elseif kind == 3 then study:finish(t, {state = "COMPLETE", value = 0 / 0})
    elseif kind == 4 then study:pause(t)
    elseif kind == 5 then study:release(t)
    elseif kind ~= 6 then      -- 6 is left running
      if number == 8 then value = math.huge end
      study:finish(t, {state = "COMPLETE", value = value, attrs = {note = "näh", list = {1, 2}}})
    end
  end
  study:enqueue {{params = {lr = 0.01, hidden = 64, layers = 1, cell = "gru"}}}
  study:set("who", {name = "lurn"})
end

local function expected_of (study)
  local list, best = {}, nil
  for k, t in ipairs(study:sync()) do
    local params, reports, attrs = {}, {}, {}
    for name, value in pairs(t.params) do params[#params + 1] = {name, value} end
    for step, point in ipairs(t.reports) do reports[step] = point end
    for name, value in pairs(t.attrs) do attrs[#attrs + 1] = {name, value} end
    list[k] = {number = t.number, state = t.state, value = t.value, params = params, reports = reports, attrs = attrs}
    if t.state == "COMPLETE" and (not best or t.value < best.value) then best = t end
  end
  return {trials = list, direction = study.direction, best = best.number}
end

describe("Optuna", function ()
  teardown(stores.close)

  when_there("reads what lurn wrote, and so does its dashboard", function ()
    local store = assert(lurn.store.open(stores.urls.sqlite))
    local study = assert(store:create {name = "ours", spec = SPEC})
    fill(study)
    local path = stores.folder .. "/expected.json"
    assert(lurn.sys.append(path, lurn.json.encode(expected_of(study))))
    local code, text = run("optuna_reads.py", "sqlite:///" .. stores.urls.sqlite, "ours", path)
    assert.equal(0, code, text)
    assert.matches("%d%d trials are what lurn says", text)
    assert.matches("importances: %w+", text)
    assert.same({}, study:check())
    store:close()
  end)

  -- What the scripts of the dashboard's page make of the study, seen by chromium without a screen.
  when_there("shows it in a browser", function ()
    if os.execute "command -v chromium >/dev/null" ~= true then return pending "no chromium here (make optuna)" end
    local store = assert(lurn.store.open(stores.folder .. "/seen.db"))
    local study = assert(store:create {name = "seen", spec = SPEC})
    fill(study)
    local expected = expected_of(study)
    local best = study:sync()[expected.best + 1]
    local code, text = run("optuna_look.py", "sqlite:///" .. stores.folder .. "/seen.db", "seen",
      os.getenv "PICTURE" or stores.folder .. "/seen.png", "seen (id=", ("%d Trials"):format(#expected.trials),
      ("Best Trial (number=%d)"):format(best.number), lurn.json.number(best.value):sub(1, 12))
    store:close()
    if code == 77 then return pending(text) end
    assert.equal(0, code, text)
  end)

  when_there("wrote a study that lurn reads, leaves alone, and copies", function ()
    local path = stores.folder .. "/theirs.db"
    local code, text = run("optuna_writes.py", "sqlite:///" .. path, "theirs")
    assert.equal(0, code, text)
    local store = assert(lurn.store.open(path))
    local study = assert(store:study "theirs")
    assert.equal("maximize", study.direction)
    local trials = study:sync()
    local k = 0
    for line in text:gmatch "[^\n]+" do
      k = k + 1
      local number, state, value, lr = line:match "^(%d+) (%w+) (%S*) (%S*)$"
      local t = trials[k]
      assert.same({t.number, t.state}, {tonumber(number), state})
      if t.state == "COMPLETE" or t.state == "PRUNED" then assert.equal(tonumber(value), t.value) end
      if tonumber(lr) then assert.equal(tonumber(lr), t.params.lr) end
      if t.state == "COMPLETE" then assert.equal(3, #t.reports) end
    end
    assert.equal(#trials, k)
    assert.same({name = "optuna"}, study:get "who")
    local none, message, why = study:claim {worker = "w"}
    assert.is_nil(none)
    assert.matches("was written by Optuna", message)
    assert.equal("EREADONLY", why)
    local copy = assert(study:export(stores.urls.memory))
    assert.same(#trials, #copy:sync())
    copy = assert(study:export(stores.folder .. "/copy.db"))
    assert.same(copy:sync()[1].params, trials[1].params)
    assert.same({}, copy:check())
    store:close()
  end)
end)
