--- Passwords and tokens taken out of what a run file records: command line, environment, addresses, diffs.
--
-- A run file is made to be given away. What is replaced by *** here was a secret, or looked like one; what
-- looks like code (token = tokens[i]) is left alone.

return function ()
  local M = {}

  local HIDDEN = "***"

  -- Names whose value is a secret whatever it looks like. Matched inside a name: DB_PASSWORD, my-api-key.
  local SECRET = {"passw", "passphrase", "secret", "apikey", "accesskey", "privatekey", "credential", "authtoken",
    "accesstoken", "bearer"}

  -- Every pattern below that begins with a run of letters is anchored where the run begins (%f of the same set), or a
  -- long line would be read again from each of its letters.
  local function plain_name (name) return (name:lower():gsub("[_%-%.]", "")) end

  local function is_secret (name)
    name = plain_name(name)
    for _, word in ipairs(SECRET) do if name:find(word, 1, true) then return true end end
    return false
  end

  -- Texts are made of tokens, and pwd is also a folder: here only the value tells.
  local function is_token (name)
    name = plain_name(name)
    return name:find "token$" ~= nil or name == "pwd" or name == "pw"
  end

  local function looks_random (value)
    return #value >= 6 and value:find "^[%w_%-%.+/=~]+$" and value:find "%d" and value:find "%a" and true or false
  end

  -- Shapes of well-known keys, wherever they stand.
  local SHAPES = {
    "%f[%w]AKIA[%u%d]+", "%f[%w]ASIA[%u%d]+", "%f[%w]gh[pousr]_%w+", "%f[%w]github_pat_[%w_]+", "%f[%w]glpat%-[%w_%-]+",
    "%f[%w]hf_%w+", "%f[%w]xox[abprs]%-[%w%-]+", "%f[%w]sk%-[%w_%-]+", "%f[%w]AIza[%w_%-]+",
    "%f[%w]eyJ[%w_%-]+%.[%w_%-]+%.[%w_%-]*",
  }

  local function hide_shape (word) return #word >= 16 and HIDDEN or nil end

  local function hide_quoted (name, between, quote, value)
    if value ~= "" and (is_secret(name) or is_token(name)) then return name .. between .. quote .. HIDDEN .. quote end
  end

  local function hide_bare (name, between, value)
    local tight = between == "=" or between == ":"
    if is_secret(name) or is_token(name) and (tight or looks_random(value)) then return name .. between .. HIDDEN end
  end

  -- authorization: Bearer abc; the word in front of the secret says nothing.
  local function hide_authorization (name, rest)
    if name:lower() == "authorization" then return name .. rest:match "^[\"']?%s*[:=]%s*[\"']?" .. HIDDEN end
  end

  --- The text without its secrets: user:password@ in addresses, values of names such as password, token and api_key,
  -- Authorization headers, private keys, and keys known by their shape (AWS, GitHub, ...).
  ---@param text string
  ---@return string
  function M.text (text)
    text = text:gsub("(%-%-%-%-%-BEGIN [%u ]*PRIVATE KEY%-%-%-%-%-).-(%-%-%-%-%-END)", "%1" .. HIDDEN .. "%2")
    text = text:gsub("(%f[%w+%.%-]%a[%w+%.%-]*://)([^%s/:@\"']*):([^%s/\"']*)@", "%1%2:" .. HIDDEN .. "@")
    text = text:gsub("(%f[%w]https?://)[^%s/:@\"']+@", "%1" .. HIDDEN .. "@")
    text = text:gsub("%f[%w](%a+)([\"']?%s*[:=]%s*[^\n\"']+)", hide_authorization)
    text = text:gsub("%f[%w_%-%.]([%w_%-%.]+)([\"']?%]?%s*[:=]%s*)([\"'])([^\n\"']*)%3", hide_quoted)
    text = text:gsub("%f[%w_%-%.]([%w_%-%.]+)([\"']?%]?[ \t]*[:=][ \t]*)([^%s\"',;&%(%)%[%]{}]+)", hide_bare)
    text = text:gsub("%f[%w_%-](%-[%w_%-]+)([ \t]+)([^%s%-][^%s]*)", function (name, space)
      if is_secret(name) or is_token(name) then return name .. space .. HIDDEN end
    end)
    for _, shape in ipairs(SHAPES) do text = text:gsub(shape, hide_shape) end
    return text
  end

  --- The words of a command line; --password X loses X.
  ---@param words string[]
  ---@return string[]
  function M.words (words)
    local out, hide = {}, false
    for i, word in ipairs(words) do
      local name, value = word:match "^%-%-?([%w_%-]+)(.*)$"
      local secret = name and (is_secret(name) or is_token(name))
      if hide and not name then out[i] = HIDDEN
      elseif secret and value:find "^=" then out[i] = word:match "^[^=]*=" .. HIDDEN
      else out[i] = M.text(word) end
      hide = secret and value == "" or false
    end
    return out
  end

  --- "NAME=VALUE" of the environment.
  ---@param name string
  ---@param value string
  ---@return string value
  function M.variable (name, value)
    return (is_secret(name) or is_token(name)) and HIDDEN or M.text(value)
  end

  return M
end
