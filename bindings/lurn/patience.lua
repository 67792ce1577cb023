--- Passes of the engine that a signal interrupts. Under `lurn run` that ends the run; at a prompt it is a pause: the
-- pass is taken back, so it is played anew, to the same bits, when the prompt goes on with it. What is played at the
-- prompt meanwhile is played beside what is paused, not with it.

return function (lurn)
  local M = {}

  --- play(player, ...) until it is not interrupted: its first two results. It raises lurn.interrupted where there
  -- is no prompt, and whatever else speaks against the pass.
  ---@param player any
  ---@param level integer    as in error: whose line a message shows; 1 is the caller of this function
  ---@param play function    gives nil, message, code when it fails
  function M.attempt (player, level, play, ...)
    while true do
      local ok, value, more, code = pcall(play, player, ...)
      -- What the engine raises, as of a batch that does not fit, has no place yet; what Lua does has one.
      if not ok then error(lurn.targets.advise(value), debug.getinfo(play, "S").what == "C" and level + 1 or 0) end
      if value ~= nil then return value, more end
      if code ~= "EINTR" then error(more, level + 1) end
      player:undo()
      if not (lurn.signal and lurn.signal.pause()) then
        player:rollback()
        error(lurn.interrupted, 0)
      end
    end
  end

  local function both (player, ...)
    local value, message, code = player:forward(...)
    if value == nil then return nil, message, code end
    local ok
    ok, message, code = player:backward()
    return ok and value, message, code
  end

  local function pass_on (ok, value, ...)
    if not ok and value == lurn.interrupted then error(value, 0) end
    return ok, value, ...
  end

  --- pcall for what may take long: it does not take an interruption for a failure of f.
  function M.pcall (f, ...) return pass_on(pcall(f, ...)) end

  --- A forward and a backward pass as one, of a model beside the one that trains; the loss. What follows `level` goes
  -- to player:forward.
  function M.attempt_both (player, level, ...) return (M.attempt(player, level + 1, both, ...)) end

  local Piece = setmetatable({}, {__close = function () lurn.signal.whole(false) end})

  --- What is played until the value is closed is not cut in two by a pause, an update and its commit, say; but for
  -- the passes in it, which say themselves where they can be.
  function M.whole ()
    if not (lurn.signal and lurn.signal.whole) then return nil end
    lurn.signal.whole(true)
    return Piece
  end

  -- All models that there are: who looks at one during a pause must not change what is paused.
  local known = setmetatable({}, {__mode = "k"})

  --- Adds a model to them.
  function M.know (model) known[model] = true end

  --- All of them, as a list.
  function M.models ()
    local list = {}
    for model in next, known do list[#list + 1] = model end
    return list
  end

  -- Marks that nobody has put back. The training player of such a model is left as it stands: its outputs, its carried
  -- state, what its backward pass finds. Who plays the model meanwhile gets another.
  local waiting = setmetatable({}, {__mode = "k"})

  --- Where models stand, for put_back.
  ---@param models any[]
  ---@return table
  function M.mark (models)
    local marks = {}
    for k, model in ipairs(models) do
      marks[k] = {model = model, player = model.train_player, batch = model.batch, penalty = model.penalty}
      waiting[marks[k]] = true
    end
    return marks
  end

  local function marks_of (model)
    local list = {}
    for m in next, waiting do if m.model == model and m.player == model.train_player then list[#list + 1] = m end end
    return list
  end

  --- Called before a pass of the training player: while that waits another one is made, which starts from the
  -- committed state.
  function M.step_aside (model)
    if not next(waiting) or not model.train_player or not marks_of(model)[1] then return end
    local state = model:state()
    model.train_player = nil
    model:player():setstate(state)
  end

  local function copies (model)
    local list = {}
    for k, p in ipairs(model:parameters()) do list[k] = p.grad:clone() end
    return list
  end

  --- Called before gradients are written: a model has one place for them, whoever plays it.
  function M.keep_gradients (model)
    local kept
    for m in next, waiting do
      if m.model == model and not m.gradients then
        kept = kept or copies(model)
        m.gradients = kept
      end
    end
  end

  --- Who was marked goes on: its models are as it left them. Marks of what stands at the same place are void.
  function M.put_back (marks)
    for _, m in ipairs(marks) do
      local model = m.model
      if waiting[m] then
        model.train_player, model.batch, model.penalty = m.player, m.batch, m.penalty
        for k, p in ipairs(m.gradients and model:parameters() or {}) do p.grad:copy(m.gradients[k]) end
        for _, same in ipairs(marks_of(model)) do waiting[same] = nil end
        waiting[m] = nil
      end
    end
  end

  return M
end
