--- The chain of digests of a run: by it a repetition knows whether it is the same to the last bit, and up to which step
-- it was.
--
--   digest = SHA-256(digest before, step, losses since then, bytes of all parameters)
--
-- One is made of the parameters before the first step, one at every hundredth step, one at every evaluation and one
-- at the end. Losses are the series with "loss" or "objective" in their name; others may well be times. A digest is
-- made at the boundary between two iterations, of what a checkpoint of that moment holds, so a resumed run has the
-- chain of one that was never stopped.
--
-- Not a module of its own: run.lua calls this with the class it adds methods to.

return function (lurn, Run)
  local EVERY = 100

  --- Whether a series of that name is part of the digests.
  function Run.digested (name) return name:find "loss" ~= nil or name:find "objective" ~= nil end

  -- NaNs have a sign, which says nothing.
  local function exact (value) return value ~= value and "nan" or ("%a"):format(value) end

  -- The losses of the steps after `first` up to `last`, exactly, as text: in the order of names, then of steps.
  local function losses_since (self, first, last)
    local names, lines = {}, {}
    for name in next, self.metrics do if Run.digested(name) then names[#names + 1] = name end end
    table.sort(names)
    for _, name in ipairs(names) do
      local series = self.metrics[name]
      local k = #series.step + 1
      while k > 1 and series.step[k - 1] > first do k = k - 1 end
      for i = k, #series.step do
        if series.step[i] <= last then
          lines[#lines + 1] = ("%s %d %s\n"):format(name, series.step[i], exact(series.value[i]))
        end
      end
    end
    return table.concat(lines)
  end

  local function add (self)
    local chain = self.digests
    local n = #chain.step
    local head = ("%s %d\n"):format(chain.hex[n] or "", self.done)
    local pieces = {head, losses_since(self, chain.step[n] or -1, self.done)}
    for _, model in ipairs(self.models) do
      for _, p in ipairs(model:parameters()) do pieces[#pieces + 1] = p.value end
    end
    chain.step[n + 1], chain.hex[n + 1] = self.done, lurn.sys.sha256(table.unpack(pieces))
    if self.options.watch then self.options.watch(self, self.done, chain.hex[n + 1]) end
  end

  --- Adds a digest where one is due. Called at every boundary, and with `last` at the end.
  ---@param last? boolean
  function Run:digest (last)
    local chain = self.digests
    local known = chain.step[#chain.step]
    if known == self.done or not lurn.sys.sha256 then return end
    if last and self.done == 0 then return end          -- no step was played
    if last or self.digest_due or not known or self.done % EVERY == 0 then
      self.digest_due = false
      add(self)
    end
  end
end
