--- What a resume would lose. Locals of a script die with its process; what must survive lives in run.state. While a
-- loop plays, the plain values (numbers, texts, booleans, and tables of them) that the script's functions can see are
-- compared from boundary to boundary, and one that changes there is named once: a resumed run would have its first
-- value.
--
-- Looked at are the locals of the script's functions that are being played, their upvalues, those of functions among
-- them, and globals. What changes between two loops is no loss: a resumed script comes past it again.

return function ()
  local M = {}

  local DEPTH, ENTRIES = 3, 1000      -- of tables; more is too much to look at between two steps

  local plain = {number = true, string = true, boolean = true}

  -- Tables inside run.state: they survive.
  local function kept (t, found)
    found[t] = true
    for _, v in next, t do
      if type(v) == "table" and not found[v] then kept(v, found) end
    end
    return found
  end

  -- A text that differs when a plain value does; nil for what is not plain, an empty table included in what is.
  local function print_of (value, skip, depth)
    if plain[type(value)] then return ("%s %s"):format(math.type(value) or type(value), value) end
    if type(value) ~= "table" or getmetatable(value) ~= nil or skip[value] or depth == 0 then return nil end
    local lines = {}
    for k, v in next, value do
      local text = plain[type(k)] and print_of(v, skip, depth - 1)
      if text then lines[#lines + 1] = ("%s=%s"):format(k, text) end
      if #lines > ENTRIES then return nil end
    end
    table.sort(lines)
    return "{" .. table.concat(lines, ",") .. "}"
  end

  local function note (seen, where, name, value)
    local text = print_of(value, seen.skip, DEPTH)
    if text then seen.values[("'%s' (%s)"):format(name, where)] = text end
  end

  -- A function of the script: what it holds on to, and the functions of the script among that.
  local function look_into (seen, f)
    local info = debug.getinfo(f, "S")
    if seen.functions[f] or info.source ~= seen.source then return end
    seen.functions[f] = true
    local where = ("%s:%d"):format(info.short_src, info.linedefined)
    for i = 1, 255 do
      local name, value = debug.getupvalue(f, i)
      if not name then break end
      if type(value) == "function" then look_into(seen, value)
      elseif name ~= "_ENV" then note(seen, where, name, value) end
    end
  end

  -- Values of what is being played, from the innermost function of the script outwards.
  local function look_at_frames (seen)
    for level = 3, 200 do
      local info = debug.getinfo(level, "Sf")
      if not info then return end
      if info.source == seen.source then
        look_into(seen, info.func)
        for i = 1, 255 do
          local name, value = debug.getlocal(level, i)
          if not name then break end
          local where = ("%s:%d"):format(info.short_src, info.linedefined)
          if type(value) == "function" then look_into(seen, value)
          elseif name:sub(1, 1) ~= "(" then note(seen, where, name, value) end      -- (temporary), (for state)
        end
      end
    end
  end

  local function look_at_globals (seen)
    for name, value in next, _G do
      if type(name) == "string" and plain[type(value)] then note(seen, "global", name, value) end
    end
  end

  -- A local is an upvalue of the functions that it is used in: said once.
  local function tell (run, name)
    local short = name:match "^'.-'"
    if run.lost[short] then return end
    run.lost[short] = true
    run.progress:say("lurn: %s changes from step to step; a resumed run would have its first value again: what must "
      .. "survive belongs into run.state", name)
  end

  --- Compares with what the same loop showed the last time; says what changed, each name once a run.
  ---@param run lurn.Run
  ---@param loop table
  function M.look (run, loop)
    if not run.experiment.path then return end
    local seen = {source = "@" .. run.experiment.path, functions = {}, values = {}, skip = kept(run.state, {})}
    look_at_frames(seen)
    look_at_globals(seen)
    for name, text in next, loop.seen or {} do
      if seen.values[name] and seen.values[name] ~= text then tell(run, name) end
    end
    loop.seen = seen.values
  end

  return M
end
