--- Streams: a model step by step, with a state of its own, as a program that serves a model uses it.
--
--   local s = model:stream()
--   s:step(3)                       -- an id, or a vector: the output
--   local t = s:fork()              -- both go on from here, each its own way
--   s:save("s.h5")                  -- and in another process: model:stream():load("s.h5")
--
-- A stream file is an HDF5 document: attributes format, version, precision, seed, steps, draws, and program and
-- weights (SHA-256 of the model it belongs to); /state/NAME, and /out, the last output, from which sample draws.

return function (lurn, Model)
  local schema, core = lurn.schema, lurn.core
  local FORMAT, VERSION = "lurn stream", 1

  ---@class lurn.Stream
  local Stream = {}
  Stream.__index, Stream.__name = Stream, "lurn.Stream"

  local function one (id) return type(id) == "number" and lurn.ids {{id}} or id end

  -- The batch of one step: x, and what the stream was given besides.
  local function batch_of (self, x)
    local fields = {x = one(x), carry = self.steps > 0}
    if self.fields then
      for name, value in next, self.fields do fields[name] = value end
    end
    return core.batch(fields)
  end

  -- The step was played: its output, which the engine may have given already.
  local function finish (self, out)
    self.steps = self.steps + 1
    if out == true then
      local all = self.player:output("out")
      if not all then error("stream:step: the model has no output \"out\"", 3) end
      out = all[1][1]
    end
    self.out = out
    return out
  end

  --- One step: an id (from 1) or a vector; returns the output, the logits of a classifier.
  function Stream:step (x)
    if type(x) == "number" and not self.fields then
      return finish(self, (lurn.patience.attempt(self.player, 2, self.player.step, x, self.seed, self.steps)))
    end
    if type(x) == "table" then x = lurn.tensor {{x}} end
    lurn.patience.attempt(self.player, 2, self.player.forward, batch_of(self, x), self.seed, self.steps, "eval")
    self.player:commit()
    return finish(self, true)
  end

  --- Forgets the state: the next step is the first.
  function Stream:reset ()
    self.player:resetstate()
    self.steps = 0
  end

  --- Name -> tensor of the state, a copy; setstate takes the same.
  function Stream:state () return self.player:state() end
  function Stream:setstate (state)
    self.player:setstate(state)
    self.steps = math.max(1, self.steps)
  end

  -- The k largest stay; ties at the border stay too.
  local function cut (values, k)
    local sorted = table.move(values, 1, #values, 1, {})
    table.sort(sorted, function (a, b) return a > b end)
    local least = sorted[math.min(k, #sorted)]
    for i, v in ipairs(values) do if v < least then values[i] = -math.huge end end
  end

  --- An id drawn from softmax(out / temperature); top_k: among the k likeliest.
  function Stream:sample (options)
    local o = options or {}
    if not self.out then error("stream:sample: no step was made before it", 2) end
    local values, total = self.out:totable(), 0.0
    if o.top_k then cut(values, o.top_k) end
    local most = math.max(table.unpack(values))
    for i, v in ipairs(values) do
      values[i] = math.exp((v - most) / (o.temperature or 1))
      total = total + values[i]
    end
    self.draws = self.draws + 1
    local u, run = lurn.rng.uniform(self.seed, "sample", "stream", self.draws) * total, 0.0
    for i, v in ipairs(values) do
      run = run + v
      if u < run then return i end
    end
    return #values
  end

  --- Goes on with the likeliest id, step by step, each the next step's input (greedy decoding): the ids, without the
  -- one that ends them.
  ---@param first integer     what is fed first
  ---@param options? {stop: integer?, most: integer?}   the id that ends it; at most so many (100)
  ---@return integer[]
  function Stream:greedy (first, options)
    local o = schema.check("stream:greedy", options or {}, {stop = {"integer", nil, {1, 1e9}, "the id that ends it"},
      most = {"integer", 100, {1, 1e9}, "at most so many ids"}})
    local ids, id = {}, first
    while #ids < o.most do
      id = self:step(id):argmax()
      if id == o.stop then break end
      ids[#ids + 1] = id
    end
    return ids
  end

  local function open (model, o, fields)
    local player = model.native:player {carry = true, infer = true}
    return setmetatable({model = model, player = player, seed = o.seed, fields = fields, steps = 0, draws = 0}, Stream)
  end

  local STREAM = {
    seed = {"integer", 1, nil, "of what it draws"},
    fields = {"table", nil, nil, "what its batches have besides x, by name: one row each"},
  }

  --- The model step by step, with a state of its own; the weights are the model's.
  ---@param options? {seed: integer?, fields: table?}
  function Model:stream (options)
    local o = schema.check("model:stream", options or {}, STREAM)
    return open(self, o, o.fields)
  end

  ---------------------------------------------------------------- fork, save, load

  local FORK = {seed = {"integer", nil, nil, "of what the copy draws; by default it draws what the original draws"}}

  --- A copy that goes on from the same state, independent of this one. With the same seed both give the same outputs
  -- and the same samples for the same inputs; with another one they draw differently from here on.
  ---@param options? {seed: integer?}
  function Stream:fork (options)
    local o = schema.check("stream:fork", options or {}, FORK)
    local copy = open(self.model, {seed = o.seed or self.seed}, self.fields)
    copy.player:setstate(self.player:state())
    copy.steps, copy.draws, copy.out = self.steps, self.draws, self.out
    return copy
  end

  local function identity (model) return lurn.sys.sha256(model:source_text()), model.native:hash() end

  local function write (w, self)
    local program, weights = identity(self.model)
    for name, value in next, {format = FORMAT, version = VERSION, precision = lurn.precision, seed = self.seed,
      steps = self.steps, draws = self.draws, program = program, weights = weights} do
      local ok, message, code = w:attr("/", name, value)
      if not ok then return nil, message, code end
    end
    local arrays = {["/out"] = self.out}
    for name, value in next, self.player:state() do arrays["/state/" .. name] = value end
    for name, value in next, arrays do
      local ok, message, code = w:write(name, value)
      if not ok then return nil, message, code end
    end
    return w:commit()
  end

  --- Writes the state to a file, whole or not at all: true, or nil, message, code.
  ---@param path string
  function Stream:save (path)
    local w <close>, message, code = lurn.h5.create(path)
    if not w then return nil, message, code end
    return write(w, self)
  end

  -- Why the file r cannot be a stream of this model, or nil.
  local function objection (r, model)
    local program, weights = identity(model)
    if r:attr("/", "format") ~= FORMAT then return "an HDF5 file, but not a stream of lurn" end
    if r:attr("/", "version") ~= VERSION then return ("a stream file of version %s; this lurn knows version %d")
      :format(r:attr("/", "version"), VERSION) end
    if r:attr("/", "precision") ~= lurn.precision then return ("saved in %s, this is %s"):format(
      r:attr("/", "precision"), lurn.precision) end
    if r:attr("/", "program") ~= program then return "the stream of another model" end
    if r:attr("/", "weights") ~= weights then return "a stream of this model with other weights" end
    for _, name in ipairs {"seed", "steps", "draws"} do
      if math.type(r:attr("/", name)) ~= "integer" then return ("damaged stream file: no number '%s'"):format(name) end
    end
  end

  -- Everything is read before anything changes.
  local function read (r, self)
    local state, out = {}, nil
    for _, name in ipairs(r:exists("/state") and r:list("/state") or {}) do
      local value, message, code = r:read("/state/" .. name)
      if not value then return nil, message, code end
      state[name] = value
    end
    if r:exists("/out") then
      local message, code
      out, message, code = r:read("/out")
      if not out then return nil, message, code end
    end
    local ok, message = pcall(self.player.setstate, self.player, state)
    if not ok then return nil, "damaged stream file: " .. message, "EFORMAT" end
    self.seed, self.steps, self.draws = r:attr("/", "seed"), r:attr("/", "steps"), r:attr("/", "draws")
    self.out = out
    return self
  end

  --- Goes on where a saved stream of the same model stood, with the same bits: the stream itself, or nil, message,
  -- code; then it is as it was.
  ---@param path string
  function Stream:load (path)
    local r <close>, message, code = lurn.h5.open(path)
    if not r then return nil, message, code end
    local wrong = objection(r, self.model)
    if wrong then return nil, ("%s: %s"):format(path, wrong), "EFORMAT" end
    local ok
    ok, message, code = read(r, self)
    if not ok then return nil, ("%s: %s"):format(path, message), code end
    return ok
  end
end
