--- How Optuna writes values down: distributions as JSON, choices as their places, numbers that are not finite as words.
-- (optuna.distributions and optuna.storages._rdb.models of Optuna 5.0, schema version 12.)

return function (lurn)
  local json = lurn.json
  local M = {}

  local function quote (value) return json.encode(value) end

  -- Python's json writes a float with a point and an integer without one, and reads them back so.
  local function float (x) return quote(x + 0.0) end

  --- The JSON text of a parameter's distribution. p: an entry of a space.
  function M.distribution (p)
    if p.kind == "choice" then
      local list = {}
      for k, v in ipairs(p.choice) do list[k] = quote(v) end
      return ('{"name": "CategoricalDistribution", "attributes": {"choices": [%s]}}'):format(table.concat(list, ", "))
    end
    local number = p.kind == "int" and function (x) return ("%d"):format(x // 1 | 0) end or float
    local step = p.step and number(p.step) or p.kind == "int" and "1" or "null"
    return ('{"name": "%sDistribution", "attributes": {"low": %s, "high": %s, "log": %s, "step": %s}}'):format(
      p.kind == "int" and "Int" or "Float", number(p.low), number(p.high), p.log and "true" or "false", step)
  end

  --- An entry of a space from such a text; nil when it is of a kind that is not known. Python's None, which no table of
  -- Lua can hold, becomes the word.
  function M.parameter (name, text)
    local d = json.decode(text, {null = json.null})
    local a = d and d.attributes
    if not a then return nil end
    for k, v in next, a.choices or {} do if v == json.null then a.choices[k] = "None" end end
    if d.name == "CategoricalDistribution" then return {name = name, kind = "choice", choice = a.choices} end
    if a.step == json.null then a.step = nil end
    local kind = d.name:find "^Int" and "int" or "float"      -- also those of Optuna 2: IntUniformDistribution, ...
    local log = a.log == true or d.name:find "LogUniform" ~= nil
    return {name = name, kind = kind, low = a.low, high = a.high, log = log or nil,
      step = (a.step or a.q) ~= 1 and (a.step or a.q) or nil}
  end

  --- The number that stands for a value of a parameter; raises when it is no value of it.
  function M.internal (p, value)
    if p.kind ~= "choice" then
      if type(value) ~= "number" then
        error(("parameter '%s': expected a number, got %s"):format(p.name, lurn.schema.describe(value)), 0)
      end
      return value + 0.0
    end
    for k, choice in ipairs(p.choice) do
      if choice == value and math.type(choice) == math.type(value) then return k - 1.0 end
    end
    error(("parameter '%s': %s is none of its choices"):format(p.name, lurn.schema.describe(value)), 0)
  end

  function M.external (p, number)
    if p.kind == "choice" then return p.choice[math.tointeger(number) + 1] end
    return p.kind == "int" and math.tointeger(number) or number
  end

  --- A number and the word that says of what kind it is.
  function M.value (x)
    if x ~= x then return nil, "NAN" end
    if x == math.huge then return nil, "INF_POS" end
    if x == -math.huge then return nil, "INF_NEG" end
    return x + 0.0, "FINITE"
  end

  local WORDS = {NAN = 0 / 0, INF_POS = math.huge, INF_NEG = -math.huge}
  function M.number (x, word) return WORDS[word] or x end

  --- Seconds since 1970 as Optuna's columns hold them.
  function M.time (seconds)
    if not seconds then return nil end
    local whole = seconds // 1 | 0
    return os.date("!%Y-%m-%d %H:%M:%S", whole) .. (".%06d"):format((seconds - whole) * 1e6 // 1 | 0)
  end

  M.STATES = {WAITING = "WAITING", RUNNING = "RUNNING", PAUSED = "RUNNING", COMPLETE = "COMPLETE", PRUNED = "PRUNED",
    FAIL = "FAIL"}

  return M
end
