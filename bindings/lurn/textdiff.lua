--- What differs between two texts, line by line: the fewest lines out and in (Myers 1986, the greedy O(ND) walk).

return function ()
  local M = {}

  local MOST = 2000      -- lines out and in; texts that are further apart are shown whole

  local function lines_of (text)
    local list = {}
    for line in (text == "" and "" or text:gsub("\n?$", "\n")):gmatch "(.-)\n" do list[#list + 1] = line end
    return list
  end

  -- Furthest points by diagonal k = x - y after d edits; `trace` keeps what every d began with.
  local function walk (a, b)
    local furthest, trace = {[1] = 0}, {}
    for d = 0, math.min(MOST, #a + #b) do
      trace[d] = table.move(furthest, -d - 1, d + 1, -d - 1, {})
      for k = -d, d, 2 do
        local down = k == -d or (k ~= d and furthest[k - 1] < furthest[k + 1])
        local x = down and furthest[k + 1] or furthest[k - 1] + 1
        local y = x - k
        while x < #a and y < #b and a[x + 1] == b[y + 1] do x, y = x + 1, y + 1 end
        furthest[k] = x
        if x >= #a and y >= #b then return trace, d end
      end
    end
  end

  -- From the end back to the beginning: the edits, last first.
  local function backtrack (a, b, trace, d)
    local x, y, edits = #a, #b, {}
    for e = d, 1, -1 do
      local furthest, k = trace[e], x - y
      local down = k == -e or (k ~= e and furthest[k - 1] < furthest[k + 1])
      local before = down and k + 1 or k - 1
      local from_x = furthest[before]
      local from_y = from_x - before
      edits[#edits + 1] = down and {sign = "+", line = from_y + 1, text = b[from_y + 1]}
        or {sign = "-", line = from_x + 1, text = a[from_x + 1]}
      x, y = from_x, from_y
    end
    return edits
  end

  local function everything (a, b)
    local edits = {}
    for i, text in ipairs(a) do edits[#edits + 1] = {sign = "-", line = i, text = text} end
    for i, text in ipairs(b) do edits[#edits + 1] = {sign = "+", line = i, text = text} end
    return edits
  end

  --- Lines that only one text has: {sign = "-" or "+", line = its number there, text =}, in order.
  ---@param a string
  ---@param b string
  ---@return {sign: string, line: integer, text: string}[]
  function M.edits (a, b)
    local x, y = lines_of(a), lines_of(b)
    local trace, d = walk(x, y)
    if not trace then return everything(x, y) end
    local edits, out = backtrack(x, y, trace, d), {}
    for i = #edits, 1, -1 do out[#out + 1] = edits[i] end
    return out
  end

  return M
end
