--- Passes of the engine that a signal interrupts. Under `lurn run` that ends the run; at a prompt it is a pause: the
-- pass has changed nothing, so it is played anew, to the same bits, when the prompt goes on with it.

return function (lurn)
  local M = {}

  --- play(player, ...) until it is not interrupted: its first two results. It raises lurn.interrupted where there
  -- is no prompt, and whatever else speaks against the pass.
  ---@param player any
  ---@param level integer    as in error: whose line a message shows; 1 is the caller of this function
  ---@param play function    gives nil, message, code when it fails
  function M.attempt (player, level, play, ...)
    while true do
      local value, more, code = play(player, ...)
      if value ~= nil then return value, more end
      if code ~= "EINTR" then error(more, level + 1) end
      player:rollback()
      if not (lurn.signal and lurn.signal.pause()) then error(lurn.interrupted, 0) end
    end
  end

  --- Where models stand in their step, for put_back.
  function M.mark (models)
    local marks = {}
    for k, model in ipairs(models) do
      marks[k] = {model = model, passes = model.passes, batch = model.batch, stage = model.stage}
    end
    return marks
  end

  --- What was played with the models at the prompt meanwhile is taken back: what they had played of their step when
  -- they were marked is played again.
  function M.put_back (marks)
    for _, m in ipairs(marks) do
      local model = m.model
      if model.passes ~= m.passes then
        model:rollback()
        if m.stage then model:forward(m.batch) end
        if m.stage == "backward" then model:backward() end
      end
    end
  end

  return M
end
