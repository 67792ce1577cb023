--- Sampling: a trained language model writes text, one token after the other.
--
--   print(lurn.sample(model, data.vocab, {length = 500, temperature = 0.8, start = "In the "}))

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local OPTIONS = {
    length = {"integer", 500, {0, 1e12}, "tokens to write"},
    temperature = {"number", 1, {0, 1e6}, "below 1 bolder, above 1 wilder; 0 takes the likeliest"},
    top_k = {"integer", nil, {1, 1e9}, "choose among the k likeliest only"},
    start = {"string", "", nil, "text to go on from; it is not part of the result"},
    seed = {"integer", 1, nil, "of the choices"},
    write = {"function", nil, nil, "called with every piece of text as it comes"},
  }

  --- Turns text into ids (from 1) and back. Takes the longest token that fits, so it serves bytes and
  -- characters alike. Ids that stand for "unknown" take what no token matches.
  ---@param vocab string[]
  function M.codec (vocab)
    local id_of, longest, unknown = {}, 1, nil
    for id, token in ipairs(vocab) do
      id_of[token], longest = id, math.max(longest, #token)
      if token == "<unk>" then unknown = id end
    end
    local codec = {}
    local function match (text, at)
      for n = math.min(longest, #text - at + 1), 1, -1 do
        local id = id_of[text:sub(at, at + n - 1)]
        if id then return id, n end
      end
    end
    --- ids, or nil and a message that names what is not in the vocabulary
    function codec.encode (text)
      local ids, at = {}, 1
      while at <= #text do
        local id, n = match(text, at)
        if not id then
          local character = text:match("^" .. utf8.charpattern, at)
          if not unknown then return nil, ("'%s' is not in the model's vocabulary"):format(character) end
          id, n = unknown, #character
        end
        ids[#ids + 1], at = id, at + n
      end
      return ids
    end
    function codec.decode (ids)
      local parts = {}
      for i, id in ipairs(ids) do parts[i] = vocab[id] or "?" end
      return table.concat(parts)
    end
    return codec
  end

  -- A fresh text usually begins on a new line, so that is what the model reads first.
  local function first_ids (codec, start)
    if start ~= "" then return codec.encode(start) end
    return codec.encode("\n") or {1}
  end

  --- The text the model writes; nil and a message when it cannot read `start`.
  ---@param model any
  ---@param vocab string[]
  ---@param options? table
  ---@return string? text
  ---@return string? message
  function M.sample (model, vocab, options)
    local o = schema.check("lurn.sample", options, OPTIONS, 2)
    local ids, message = first_ids(M.codec(vocab), o.start)
    if not ids then return nil, message end
    local stream = model:stream {seed = o.seed}
    for _, id in ipairs(ids) do stream:step(id) end
    local how = {temperature = o.temperature, top_k = o.top_k}
    if o.temperature == 0 then how = {temperature = 1, top_k = 1} end
    local parts = {}
    for i = 1, o.length do
      local id = stream:sample(how)
      parts[i] = vocab[id]
      if o.write then o.write(vocab[id]) end
      stream:step(id)
    end
    return table.concat(parts)
  end

  return setmetatable(M, {__call = function (_, ...) return M.sample(...) end})
end
