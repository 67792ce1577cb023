--- Metrics of labels whose places nobody knows: what a model of lurn.loss.ctc spells.
--
-- An addition to metrics.lua: lurn.metrics.best_path, lurn.metrics.label_error.

return function (lurn)
  local M = lurn.metrics

  --- The labels that the likeliest class of every step spells (Graves et al. 2006, best path): without repeats, and
  -- then without blanks.
  ---@param out any          (T,B,C)
  ---@param lengths integer[]   of the rows
  ---@param blank? integer   1
  ---@return integer[][]      a list of ids for each row
  function M.best_path (out, lengths, blank)
    local guess, rows = out:argmax(3):totable(), {}
    for r, length in ipairs(lengths) do
      local spelled, last = {}, nil
      for t = 1, length do
        local id = guess[t][r]
        if id ~= last and id ~= (blank or 1) then spelled[#spelled + 1] = id end
        last = id
      end
      rows[r] = spelled
    end
    return rows
  end

  -- Column r of ids (S,B), without what is none.
  local function labels_of (y, r)
    local list = {}
    for s = 1, y:size(1) do
      local id = y[s][r]
      if id ~= 0 then list[#list + 1] = id end
    end
    return list
  end

  --- Edits between best path and labels, divided by the number of labels: a metric for models of lurn.loss.ctc.
  function M.label_error (out, y, lengths, _)
    local edits, n = 0, 0
    for r, spelled in ipairs(M.best_path(out, lengths)) do
      local labels = labels_of(y, r)
      edits, n = edits + M.distance(spelled, labels), n + #labels
    end
    return n > 0 and edits / n or 0, n
  end
end
