--- "memory:", a store that lives as long as its process: the machine of store_state.lua and nothing else. The other
-- stores are tested against it.

return function (lurn)
  local machine = lurn.store_state
  local M = {}

  local Handle = {}
  Handle.__index = Handle

  function Handle:spec () return self.state.spec end

  local function now (self) return self.store.clock() end

  function Handle:enqueue (list)
    for _, e in ipairs(list) do
      e.number = #self.state.trials
      self.state:create(e)
    end
    return true
  end

  -- What is proposed for the next number, or nil and whether something may come later.
  local function propose (state, c)
    local number = #state.trials
    if number >= state.total then return nil, false end
    if not c.propose then return nil, true end
    local e = c.propose(number)
    if e then e.number = number end
    return e, false
  end

  function Handle:claim (c)
    local state, at = self.state, now(self)
    local number = state:pick(c.worker, at)
    local e, more = number and {number = number}, nil
    if not e then e, more = propose(state, c) end
    if not e then return nil, state:idle(more) end
    e.worker, e.host, e.pid, e.lease, e.at = c.worker, c.host, c.pid, c.lease, at
    return machine.copy(state:claim(e))
  end

  local function or_lost (done)
    if done then return true end
    return nil, "lost"
  end

  function Handle:renew (e)
    e.at = now(self)
    return or_lost(self.state:renew(e))
  end

  function Handle:report (e)
    if not self.state:held(e) then return nil, "lost" end
    self.state:report(e)
    return true
  end

  function Handle:finish (e)
    local state, known = self.state, self.state:known(e.number, e.epoch, e.id)
    e.at = now(self)
    if known then return or_lost(known == "counted") end
    if state:finish(e) then return true, state.trials[e.number + 1].state end
    if machine.OVER[e.state] then state:orphan(e) end
    return nil, "lost"
  end

  function Handle:promote (number)
    if self.state:promote {number = number} then return true end
    return nil, "not paused"
  end

  function Handle:set (key, value)
    self.state.keys[key] = value
    return true
  end
  function Handle:get (key) return self.state.keys[key] end

  function Handle:sync () return self.state:update(self.view) end
  function Handle:counts () return self.state:counts() end
  function Handle:metrics (number) return machine.copy(self.state.inner[number].metrics) end
  function Handle:keys () return self.state.keys end

  function Handle:put (trials)
    for _, t in ipairs(trials) do self.state:put(t) end
    return true
  end

  function Handle:check () return machine.problems(self:sync()) end

  local Store = {}
  Store.__index = Store

  local function handle (store, study)
    return setmetatable({store = store, name = study.name, direction = study.direction, state = study.state,
      view = machine.view()}, Handle)
  end

  function Store:create (study)
    if self.all[study.name] then return nil, ("there is a study '%s' already"):format(study.name), "EEXIST" end
    self.all[study.name] = {name = study.name, direction = study.direction,
      state = machine.new(study.spec, study.keys)}
    return handle(self, self.all[study.name])
  end

  function Store:study (name)
    local study = self.all[name]
    if not study then return nil, ("there is no study '%s'"):format(name), "ENOENT" end
    return handle(self, study)
  end

  function Store:names ()
    local list = {}
    for name in next, self.all do list[#list + 1] = name end
    return list
  end

  function Store:delete (name)
    self.all[name] = nil
    return true
  end

  function Store.close () end

  function M.open (_, options)
    return setmetatable({all = {}, clock = options.clock or lurn.sys.time}, Store)
  end

  return M
end
