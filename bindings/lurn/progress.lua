--- Progress of a run, on stderr: one line that renews itself on a terminal (at most ten times a
-- second), a plain line every few seconds anywhere else. NO_COLOR, TERM=dumb and COLUMNS are
-- respected. Nothing here has any influence on the run.

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

  local function columns ()
    local wide = math.tointeger(tonumber(os.getenv("COLUMNS") or "") or 0) or 0
    if wide > 0 then return wide end
    wide = lurn.sys and lurn.sys.columns and lurn.sys.columns(2) or 0
    return wide > 0 and wide or 80
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
    self.count = 0
    return self
  end

  --- Smoothed loss: a mean that forgets with a memory of about 50 steps, and says the plain mean at first.
  local function smooth (self, loss)
    if type(loss) ~= "number" or loss ~= loss then return end
    local n = math.min((self.seen or 0) + 1, 50)
    self.seen = n
    self.loss = (self.loss or 0) + (loss - (self.loss or 0)) / n
  end

  -- Speed over the last stretch of a few seconds. The clock starts when the first step is done: what it took to
  -- read the data and to build the model, or the steps before a resume, say nothing about the rest.
  local function measure (self, now, step)
    local mark = self.mark
    if not mark.step then
      self.mark = {time = now, count = self.count, step = step}
      return
    end
    local seconds = now - mark.time
    if seconds > 0 then
      self.speed = (self.count - mark.count) / seconds
      self.step_seconds = step > mark.step and seconds / (step - mark.step) or self.step_seconds
    end
    if seconds > 10 then self.mark = {time = now, count = self.count, step = step} end
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
      add(5, "%d/%d", info.step, info.total)
    else
      add(2, "step %d", info.step)
    end
    if info.epoch then add(8, "epoch %d", info.epoch) end
    if self.loss then add(1, "loss %.4f", self.loss) end
    if info.best then add(6, "best %.4f", info.best) end
    if self.speed and self.count > 0 then add(4, "%s %s/s", quantity.rate(self.speed), self.unit) end
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
    local line = join(list)
    while #line > width and #list > 1 do
      local worst = 1
      for i, item in ipairs(list) do
        if item.rank > list[worst].rank then worst = i end
      end
      table.remove(list, worst)
      line = join(list)
    end
    return line:sub(1, math.max(0, width))
  end

  --- Writes the renewing line, cut to the terminal's width.
  ---@param line string
  function Progress:renew (line)
    local most = (self.columns or columns()) - 1
    if (utf8.len(line) or #line) > most then line = line:sub(1, (utf8.offset(line, most + 1) or most + 1) - 1) end
    local width = utf8.len(line) or #line
    local padding = (" "):rep(self.width - width)
    self.width = width
    self.stream:write("\r", (line:gsub("%f[%w]loss %S+", function (loss) return paint(self, "1", loss) end)), padding)
    self.stream:flush()
  end

  local function draw (self, list) self:renew(fit_to(list, (self.columns or columns()) - 1)) end

  --- One iteration is done. info: step, total, epoch, loss, best, grad_norm, count (characters or frames).
  ---@param info table
  function Progress:update (info)
    if self.quiet then return end
    smooth(self, info.loss)
    self.count = self.count + (info.count or 0)
    local now = self.clock()
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

  --- Wipes the renewing line, so that something else can be written.
  function Progress:clear ()
    if self.tty and self.width > 0 then
      self.stream:write("\r", (" "):rep(self.width), "\r")
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
