--- The files of a run: the lock on its run file, checkpoints, those that are kept beside it.
--
-- Not a module of its own: run.lua calls this with the class it adds methods to.

return function (lurn, Run)

  ---------------------------------------------------------------- the lock

  --- Takes the lock of the run file, unless it was handed over; nil and the message when another process has it.
  function Run:take_lock ()
    if not self.path then return true end
    local lock, message = self.lock, nil
    if not lock then lock, message = lurn.lock.take(self.path) end
    if not lock then return nil, message end
    self.lock = lock
    -- A resumed run knows the file it comes from; a new one may write over what is there.
    if self.saved and self.saved.path == self.path then self.identity = lurn.sys.identity(self.path) end
    return true
  end

  --- Others may write the run file from now on.
  function Run:release_lock ()
    if self.lock then self.lock:release() end
    self.lock = nil
  end

  ---------------------------------------------------------------- kept checkpoints

  --- RUN.h5, 400 -> RUN.step-000400.h5
  function Run.kept_path (path, step)
    return ("%s.step-%06d.h5"):format(path:gsub("%.h5$", ""), step)
  end

  --- From now on the checkpoints of the last so many evaluations stay, under names of their own, and the best one.
  ---@param most? integer
  function Run:keep_checkpoints (most)
    if most then self.rotation = {most = most, steps = self.rotation and self.rotation.steps or {}} end
  end

  -- Asked before the file is written, because it says which checkpoints there are: a run that is killed before the
  -- oldest is removed finds it in the list again.
  local function note_kept (self)
    local steps = self.rotation.steps
    if self.done > 0 and steps[#steps] ~= self.done then steps[#steps + 1] = self.done end
  end

  -- The checkpoint just written gets a second name; all but the last ones and the best go. What is already there of
  -- this step, from before a resume, is the same state.
  local function rotate (self)
    local r, left = self.rotation, {}
    if self.done == 0 then return true end
    local ok, message = lurn.sys.link(self.path, Run.kept_path(self.path, self.done))
    for i, step in ipairs(r.steps) do
      if i > #r.steps - r.most or step == self.best.step then left[#left + 1] = step
      else os.remove(Run.kept_path(self.path, step)) end
    end
    r.steps = left
    return ok, message
  end

  ---------------------------------------------------------------- checkpoints

  -- The run file was replaced by something else while the run played: that is not ours to overwrite.
  local function move_aside (self)
    local now = lurn.sys.identity(self.path)
    if not self.identity or not now or now == self.identity then return end
    local n, stem = 1, self.path:gsub("%.h5$", "")
    local aside = stem .. ".replaced-1.h5"
    while lurn.sys.exists(aside) do
      n = n + 1
      aside = ("%s.replaced-%d.h5"):format(stem, n)
    end
    if os.rename(self.path, aside) then
      self.progress:say("lurn: %s was replaced while the run played; what was there is now %s", self.path, aside)
    end
  end

  -- The run goes on when the disk does not let it save, and says so once, not at every attempt.
  local function tell (self, ok, message)
    if ok and self.trouble then self.progress:say("lurn: checkpoints are written again (step %d)", self.done) end
    if not ok and not self.trouble and self.on_disk then
      self.progress:say("lurn: checkpoint not written: %s; the run goes on, the one before it is whole", message)
    end
    self.trouble = not ok
  end

  --- Renews the run file from the state of the last boundary. The run goes on when the disk does not
  -- let it: nil and the message, which is also shown.
  ---@param status? string
  function Run:checkpoint (status)
    -- Who paused between the file and its identity would take it for another's.
    local _ <close> = lurn.patience.whole()
    local keep = self.rotation and self.checkpoint_due == "keep"
    self.checkpoint_due, self.written = false, Run.clock()
    if not self.path then return true end
    move_aside(self)
    if keep then note_kept(self) end
    local ok, message = lurn.runfile.write(self, status or "running")
    if ok then self.identity, self.on_disk = lurn.sys.identity(self.path), self.done end
    if ok and keep then ok, message = rotate(self) end
    tell(self, ok, message)
    return ok, message
  end

  --- Says in the run file how the run ended where its state cannot be saved: in half an iteration. The state of the
  -- last checkpoint stays, from which it is resumed.
  function Run:mark (status)
    if not self.on_disk or lurn.sys.identity(self.path) ~= self.identity then return end
    local _ <close> = lurn.patience.whole()
    local ok, message = lurn.runfile.mark(self.path, status)
    if ok then self.identity = lurn.sys.identity(self.path)
    else self.progress:say("lurn: the run file does not say that the run ended as %s: %s", status, message) end
  end

  --- Says that an evaluation comes in the next iteration. The run file is renewed before it, so that a signal need
  -- not wait for its end: what the file then holds is one step old. run:fit calls this; reports that come at regular
  -- steps are expected from the second on.
  function Run:expect_report ()
    if not self.options.sparse then self.checkpoint_due = self.checkpoint_due or "plain" end
  end

  --- Whether the run file holds the state of the last boundary, so that what came after it can be played again.
  ---@return boolean
  function Run:is_saved ()
    return not self.path or self.on_disk == self.done
  end

  --- Bytes of the run file, and of the checkpoints kept beside it, as far as they are there.
  ---@param path string
  ---@param steps? integer[]
  ---@return integer bytes
  ---@return {path: string, bytes: integer}[] kept
  function Run.sizes (path, steps)
    local kept = {}
    for _, step in ipairs(steps or {}) do
      local name = Run.kept_path(path, step)
      local bytes = lurn.sys.exists(name) and lurn.sys.filesize(name)
      if bytes then kept[#kept + 1] = {path = name, bytes = bytes} end
    end
    return lurn.sys.exists(path) and lurn.sys.filesize(path) or 0, kept
  end
end
