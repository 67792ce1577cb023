--- The prompt: lines of Lua, with lurn at hand.
--
--   > model = lurn.stack {input = {dim = 4}, lurn.lstm {hidden = 8}}      a value shows itself (show.lua)
--   > r:continue()                       Ctrl-C pauses whatever is played, a run in the middle of a step too
--   > continue                           goes on with it, to the same bits
--                                        SIGTERM pauses as well, writes the checkpoints of runs, and leaves
--   > ?lurn.lstm                         help; the key Tab completes names, methods, options, files, runs
--
-- A chunk is played in a coroutine, which is what can be paused (l_pause.c). Globals are those of Lua; the prompt's own
-- words (COMMANDS in prompt_words.lua) lie behind them, so that a script's names win.
--
-- The same prompt in any interpreter: require "lurn".repl().

return function (lurn, options)
  local o = options or {}
  local sys, signal = lurn.sys, lurn.signal
  local interactive = o.interactive
  if interactive == nil then interactive = sys.isatty(0) end

  local show = require "lurn.show" (lurn)
  local session = {lurn = lurn, show = show, kept = {}, entries = {}, good = true, interactive = interactive}
  local prompt = require "lurn.prompt_words" (session)
  local words = prompt.words
  local faults = require "lurn.faults" (session)

  -- What a chunk sees: globals, then the prompt's words, then `_`, the last value.
  local scope = setmetatable({}, {__newindex = _G, __index = function (_, name)
    local value = _G[name]
    if value == nil then value = words[name] end
    return value
  end})
  session.scope, session.words, session.commands = scope, words, prompt.commands

  local function say (...) io.stderr:write(...) end

  -- A message, broken between words where the screen ends.
  local function tell (text)
    say(interactive and show.screen.wrap(text, show.screen.columns()) or text, "\n")
  end

  ---------------------------------------------------------------- playing

  local function compiled (...) return load(table.concat {...}, "=prompt", "t", scope) end

  -- An expression is handed to a function that gives it back (which every chunk is called with): what it calls is no
  -- tail call then, and an error in that knows the line. It may end in a comment.
  local function compile (text)
    local expression = text:gsub("%s*;%s*$", "")
    local chunk = compiled("return ", expression)
    if not chunk then return compiled(text) end
    return compiled("return (...)(", expression, ")") or compiled("return (...)(", expression, "\n)") or chunk
  end

  local function same (...) return ... end

  -- Values are shown inside the coroutine, so that Ctrl-C ends that, too.
  local function play_and_show (chunk, silent)
    return coroutine.create(function ()
      local values = table.pack(chunk(same))
      session.give(values[1])
      if values.n == 0 or silent then return end
      for i = 1, values.n do values[i] = show.text(values[i]) end
      print(table.concat(values, "\t"))
    end)
  end

  -- Plays a coroutine to its end, to an error or to a pause: true, false or nil. `more` is what prompt_words says of
  -- its entry.
  local function play (thread, more)
    local ok, message = signal.resume(thread)
    signal.clear()
    if ok == nil then
      session.paused, session.marks, session.more = thread, lurn.patience.mark(lurn.patience.models()), more
      if not signal.leave() then say("paused; continue goes on with it\n") end
    elseif not ok then
      tell(faults.explain(message, thread))
      coroutine.close(thread)
    elseif more then
      table.insert(session.kept, more.kept)
      if more.after then more.after() end
      if more.kept and more.kept:find "^%s*local%s+[%w_, ]+=[^;\n]*$" and interactive and not session.told then
        session.told = true
        say "a local ends with its line; a name without 'local' stays\n"
      end
    end
    session.good = ok
    return ok
  end

  local function go_on ()
    local thread, marks, more = session.paused, session.marks, session.more
    session.paused, session.marks, session.more = nil, nil, nil
    if not thread then
      say("nothing is paused\n")
      return false
    end
    local ok, message = pcall(lurn.patience.put_back, marks)
    signal.clear()
    if ok then return play(thread, more) end
    session.paused, session.marks, session.more = thread, marks, more
    tell(faults.explain(message) .. "; continue tries again")
    return false
  end

  -- One entry: a command of the prompt, or Lua. `continue` is a command because only here nothing else is played.
  local function enter (text)
    if prompt.is_continue(text) then return go_on() end
    local code, message, more = prompt.translate(text)
    if not code then
      if message then tell(message) end
      return not message
    end
    if code == text then table.insert(session.entries, text) end
    local chunk
    chunk, message = compile(code)
    if not chunk then
      session.good = false
      tell(message)
      return false
    end
    session.text = code
    return play(play_and_show(chunk, code:find ";%s*$"), more)
  end

  ---------------------------------------------------------------- reading

  local input = require "lurn.prompt_input" (session)
  session.remember = input.remember

  -- One complete entry, read line by line; nil at the end of the input, false when it was given up.
  local function read_entry ()
    local text = input.read "> "
    while text do
      if prompt.is_command(text) then return text end
      local chunk, message = compile(text)
      if chunk or not message:find "<eof>'?$" then return text end
      local more = input.read ">> "
      if more == false then return false end
      if not more then return text end
      text = text .. "\n" .. more
    end
    return text
  end

  local function converse ()
    while not signal.leave() do
      local text = read_entry()
      if text == nil or text and prompt.is_leave(text) then break end
      if text and text:find "%S" then
        input.remember(text)
        enter(text)
      end
    end
  end

  local function play_script (path)
    local chunk, message = loadfile(path, "t", scope)
    if not chunk and lurn.data.is_hdf5(path) then
      message = path .. ": no script, but an HDF5 file; lurn inspect says what is in it"
    end
    if not chunk then
      say(message, "\n")
      session.good = false
      return
    end
    play(coroutine.create(function ()
      local value = chunk()
      if value == nil then return end
      session.give(value)
      if getmetatable(value) == lurn.experiment.Experiment then rawset(_G, "experiment", value) end
      print(show.text(value))
    end))
  end

  ---------------------------------------------------------------- from beginning to end

  -- Runs that wait in the middle can be gone on with, whatever ends the prompt.
  local function save_runs ()
    for _, run in ipairs(lurn.run.terminate(signal.leave() and "terminated" or "interrupted")) do
      local file = run.written and run.path
      if file or signal.leave() then
        say(("%s: %s after %d steps%s\n"):format(run.experiment.name, run.status, run.done,
          file and "; run file " .. file or ""))
      end
    end
  end

  rawset(_G, "lurn", lurn)
  signal.prompt(interactive)      -- elsewhere Ctrl-C ends the process
  signal.coroutines(interactive)
  local _ <close> = setmetatable({}, {__close = function ()
    signal.coroutines(false)
    signal.prompt(false)
  end})
  for _, text in ipairs(o.chunks or {}) do
    if not enter(text) then
      save_runs()
      return 1
    end
  end
  if o.script then play_script(o.script) end
  if o.chunks and not o.stay and not signal.leave() then
    save_runs()
    return 0
  end
  if interactive then say(("lurn %s, %s; ? for help, Ctrl-D leaves\n"):format(lurn.version or "", _VERSION)) end
  converse()
  if interactive then say("\n") end
  save_runs()
  if signal.leave() then return 143 end
  return (interactive or session.good ~= false) and 0 or 1
end
