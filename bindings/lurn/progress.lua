--- Progress of a run, on stderr: one line that renews itself on a terminal (at most ten times a
-- second), a plain line every few seconds anywhere else. NO_COLOR, TERM=dumb and COLUMNS are
-- respected. What a step does beside training (an evaluation) shows how far it is once it takes long. Nothing here has
-- any influence on the run.

return function (lurn)
  local quantity = lurn.quantity
  local M = {}

  ---@class lurn.Progress
  local Progress = {}
  Progress.__index = Progress

  local function clock ()
    return lurn.sys and lurn.sys.clock and lurn.sys.clock() or os.time()
  end

  local function terminal ()
    return lurn.sys and lurn.sys.isatty and lurn.sys.isatty(2) and os.getenv("TERM") ~= "dumb" or false
  end

  local DEFAULTS = {tty = nil, stream = nil, color = nil, clock = clock, every = 5, unit = "chars", quiet = false}

  --- A reporter. Options are for tests: tty, stream, clock, columns, every (seconds between plain lines).
  ---@param options? table
  ---@return lurn.Progress
  function M.new (options)
    local self = setmetatable({}, Progress)
    for k, v in pairs(DEFAULTS) do self[k] = v end
    for k, v in pairs(options or {}) do self[k] = v end
    if self.tty == nil then self.tty = terminal() end
    self.stream = self.stream or io.stderr
    if self.color == nil then self.color = self.tty and (os.getenv("NO_COLOR") or "") == "" end
    self.began, self.shown, self.width = self.clock(), -math.huge, 0
    self.mark = {step = nil}
    self.count, self.work, self.aside = 0, 0, 0
    self.ahead, self.looked = 1, self.began
    return self
  end

  --- Smoothed loss: a mean that forgets with a memory of about 50 steps, and says the plain mean at first.
  ---@param loss number   of one step
  function Progress:smooth (loss)
    if type(loss) ~= "number" or loss ~= loss then return end
    local n = math.min((self.seen or 0) + 1, 50)
    self.seen = n
    self.loss = (self.loss or 0) + (loss - (self.loss or 0)) / n
  end

  local function mark_of (self, now, step)
    return {time = now, count = self.count, work = self.work, aside = self.aside, step = step}
  end

  -- Speed over the last stretch of a few seconds. The clock starts when the first step is done: what it took to
  -- read the data and to build the model, or the steps before a resume, say nothing about the rest. Evaluations are no
  -- part of the speed, but of the time that is left.
  local function measure (self, now, step)
    local mark = self.mark
    if not mark.step then
      self.mark = mark_of(self, now, step)
      return
    end
    local seconds = now - mark.time
    local training = seconds - (self.aside - mark.aside)
    if training > 0 then
      self.speed, self.flops = (self.count - mark.count) / training, (self.work - mark.work) / training
      self.step_seconds = step > mark.step and seconds / (step - mark.step) or self.step_seconds
    end
    if seconds > 10 then self.mark = mark_of(self, now, step) end
  end

  local function paint (self, code, text)
    return self.color and ("\27[%sm%s\27[0m"):format(code, text) or text
  end

  -- What there is to say, in the order of the line. The number is the rank: where room is short, the
  -- highest ranks go first.
  local function parts (self, info, now)
    local list = {}
    local function add (rank, ...) list[#list + 1] = {rank = rank, text = string.format(...)} end
    if info.total then
      add(2, "%3d%%", 100 * info.step // math.max(1, info.total))
      add(8, "%d/%d", info.step, info.total)
    else
      add(2, "step %d", info.step)
    end
    if info.epoch then add(9, info.epochs and "epoch %d/%d" or "epoch %d", info.epoch, info.epochs) end
    if self.loss then add(1, "loss %.4f", self.loss) end
    if info.best then add(5, "best %.4f", info.best) end
    if self.speed and self.count > 0 then add(4, "%s %s/s", quantity.rate(self.speed), self.unit) end
    if self.flops and self.work > 0 then add(6, "%.2g GF/s", self.flops / 1e9) end
    if info.grad_norm then add(7, "norm %.3g", info.grad_norm) end
    local left = info.total and self.step_seconds and (info.total - info.step) * self.step_seconds
    add(3, left and "%s, %s left" or "%s", quantity.duration(now - self.began), left and quantity.duration(left))
    return list
  end

  local function join (list)
    local words = {}
    for i, item in ipairs(list) do words[i] = item.text end
    return table.concat(words, "  ")
  end

  local function fit_to (list, width)
    local length = -2
    for _, item in ipairs(list) do length = length + #item.text + 2 end
    while length > width and #list > 1 do
      local worst = 1
      for i, item in ipairs(list) do
        if item.rank > list[worst].rank then worst = i end
      end
      length = length - #table.remove(list, worst).text - 2
    end
    return join(list):sub(1, math.max(0, width))
  end

  --- Characters that the renewing line may have: the last column stays free, or it would break.
  function Progress:room () return (self.columns or lurn.screen.columns(2)) - 1 end

  --- Writes the renewing line, cut to the terminal's width.
  ---@param line string
  function Progress:renew (line)
    line = lurn.screen.head(line, self:room())
    local width = lurn.screen.width(line)
    local padding = (" "):rep(self.width - width)
    self.width = width
    self.stream:write("\r", (line:gsub("%f[%w]loss %S+", function (loss) return paint(self, "1", loss) end)), padding)
    self.stream:flush()
  end

  local function draw (self, list) self:renew(fit_to(list, self:room())) end

  -- A clock that is read after every step would be dear where steps are short: so many steps take a small part of a
  -- tenth of a second, as far as the last ones tell.
  local function look_ahead (self, now, steps)
    local each = (now - self.looked) / steps
    self.looked = now
    self.ahead = each > 0 and math.max(1, math.min(2 * self.ahead, 1000, 0.04 // each)) or 1
  end

  --- One iteration is done, or the last of `steps` that the reporter did not want to hear of one by one (ahead). info:
  -- step, total, epoch, epochs, loss, best, grad_norm, count (characters or frames of a step), work (floating-point
  -- operations of its products).
  ---@param info table
  function Progress:update (info)
    if self.quiet then return end
    self:smooth(info.loss)
    local steps, now = info.steps or 1, self.clock()
    self.count, self.work = self.count + steps * (info.count or 0), self.work + steps * (info.work or 0)
    self.info = info
    look_ahead(self, now, steps)
    local wait = self.tty and 0.1 or self.every
    if self.shown == -math.huge and not self.tty and now - self.began < 1 and info.step ~= info.total then
      wait = 0            -- the first line at once: it says that things work
    end
    if now - self.shown < wait then return end
    self.shown = now
    measure(self, now, info.step)
    local list = parts(self, info, now)
    if self.tty then draw(self, list)
    else self.stream:write(join(list), "\n") end
  end

  local LONG = 1      -- seconds from which a part of a step shows how far it is

  --- Something within a step begins: of so many parts, an evaluation of so many batches, say. They may be nested.
  ---@param what string
  ---@param total integer
  function Progress:begin (what, total)
    self.inner = {what = what, total = total, began = self.clock(), outer = self.inner}
  end

  --- So many parts of it are done.
  ---@param done integer
  function Progress:part (done)
    if self.quiet then return end
    local inner, now = self.inner, self.clock()
    if now - inner.began < (self.tty and LONG or self.every) or now - self.shown < (self.tty and 0.1 or self.every) then
      return
    end
    self.shown = now
    local left = (inner.total - done) * (now - inner.began) / math.max(1, done)
    local list, info = {}, self.info
    if info and info.total then
      list[1] = {rank = 2, text = ("%3d%%"):format(100 * info.step // math.max(1, info.total))}
    end
    if info then list[#list + 1] = {rank = 3, text = ("step %d"):format(info.step)} end
    list[#list + 1] = {rank = 1, text = ("%s %d%%"):format(inner.what, 100 * done // math.max(1, inner.total))}
    list[#list + 1] = {rank = 5, text = ("%d/%d"):format(done, inner.total)}
    list[#list + 1] = {rank = 4, text = quantity.duration(left) .. " left of it"}
    if self.tty then draw(self, list)
    else self.stream:write(join(list), "\n") end
  end

  --- It is over. What was not training is no part of the speed.
  function Progress:finish ()
    local inner = self.inner
    self.inner = inner.outer
    if not self.inner then self.aside = self.aside + self.clock() - inner.began end
  end

  --- The run waits at a prompt: that is no time of its own.
  function Progress:rest () self.resting = self.clock() end

  --- It goes on.
  function Progress:wake ()
    local gap = self.resting and self.clock() - self.resting or 0
    self.resting = nil
    self.began, self.looked = self.began + gap, self.looked + gap
    if self.mark.time then self.mark.time = self.mark.time + gap end
    local inner = self.inner
    while inner do
      inner.began = inner.began + gap
      inner = inner.outer
    end
  end

  --- Wipes the renewing line, so that something else can be written; with it the ^C that a terminal writes behind it,
  -- or, where a key was pressed, alone.
  ---@param pressed? boolean
  function Progress:clear (pressed)
    if self.tty and (self.width > 0 or pressed) then
      self.stream:write("\r", (" "):rep(math.min(self.width + 2, self:room())), "\r")
      self.width = 0
    end
  end

  --- A line of its own among the progress.
  ---@param format string
  function Progress:say (format, ...)
    if self.quiet then return end
    self:clear()
    self.stream:write(select("#", ...) > 0 and format:format(...) or format, "\n")
    self.stream:flush()
  end

  return M
end
