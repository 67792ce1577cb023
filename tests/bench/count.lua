-- count.lua: instructions of the engine's five main loops, counted by callgrind and held to a baseline.
--
--   make count                      compares with tests/bench/counts.txt; more than 10 % above it fails
--   make count ARGS=--record        writes that file anew: after a change that is meant to move the counts
--
-- Unlike time, a count is the same on a busy machine, so a slower loop is seen where no clock can be trusted. What is
-- counted is AVX2 (valgrind knows no more), one thread, the difference of two runs of one loop divided by their
-- difference in steps: loading, building and planning cancel out. Counts depend on the compiler and its flags; where
-- those are not the baseline's the counts are printed, and nothing is compared.
--
-- The interpreter that plays a loop is the one that runs this file: lua5.4, with the module on its path.

local PLACE = "tests/bench/counts.txt"
local SLACK = 0.10

-- The case of each loop in the words of bench_work.lua, and its two numbers of steps. They are small, because valgrind
-- works out every fused multiply-add in software: about ten million numbers a second.
local LOOPS = {
  {name = "lstm char-rnn", from = 1, to = 3, case = {kind = "train", cell = "lstm", T = 8, B = 10, D = 64, H = 64,
    layers = 2, out = 65, loss = "cross_entropy"}},
  {name = "gru sweep-small", from = 1, to = 3, case = {kind = "train", cell = "gru", T = 10, B = 16, D = 32, H = 64,
    layers = 1, out = 1, loss = "mse"}},
  {name = "rnn online", from = 1, to = 21, case = {kind = "train", cell = "rnn", T = 100, B = 1, D = 16, H = 32,
    layers = 1, out = 1, loss = "mse"}},
  {name = "one character", from = 2, to = 42, case = {kind = "stream", cell = "lstm", T = 1, B = 1, D = 128, H = 128,
    layers = 2, vocab = 65, out = 65, loss = "cross_entropy"}},
  -- A small layer under many classes: embedding, softmax, cross-entropy, clipping and Adam are what takes the time.
  {name = "head and update", from = 1, to = 3, case = {kind = "train", cell = "rnn", T = 10, B = 8, D = 16, H = 16,
    layers = 1, vocab = 1000, out = 1000, loss = "cross_entropy"}},
}

---------------------------------------------------------------- playing one loop

local function play (name, steps)
  local lurn = require "lurn"
  local work = require "lurn.bench_work" (lurn)
  for _, loop in ipairs(LOOPS) do
    if loop.name == name then
      local step = work.make(loop.case)
      -- When garbage is collected depends on the lengths of paths; what was built is collected in one run and not in
      -- the other, and would be counted as a step's.
      collectgarbage()
      collectgarbage "stop"
      for _ = 1, steps do step() end
    end
  end
end

---------------------------------------------------------------- counting

local function quote (text) return "'" .. text:gsub("'", "'\\''") .. "'" end

local function first_line (command)
  local f = assert(io.popen(command))
  local line = f:read "l"
  f:close()
  return line
end

local function collected (loop, steps)
  local f = assert(io.popen(("LURN_ISA=avx2 OPENBLAS_NUM_THREADS=1 valgrind --tool=callgrind "
    .. "--callgrind-out-file=/dev/null %s %s play %s %d 2>&1"):format(quote(arg[-1]), quote(arg[0]), quote(loop.name),
    steps)))
  local text = f:read "a"
  f:close()
  local count = text:match "Collected : (%d+)"
  if not count then error(("%s was not counted:\n%s"):format(loop.name, text), 0) end
  return tonumber(count)
end

-- Instructions of one step.
local function count (loop)
  return (collected(loop, loop.to) - collected(loop, loop.from)) // (loop.to - loop.from)
end

---------------------------------------------------------------- the baseline

-- What counts depend on, as far as it can be told.
local function conditions ()
  local compiler = first_line((os.getenv "CC" or "cc") .. " --version") or "unknown"
  return {compiler = compiler:gsub("^%S+", "cc"), cflags = os.getenv "CFLAGS" or "", isa = "avx2 fma"}
end

local ORDER = {"compiler", "cflags", "isa"}

local function read_baseline ()
  local base = {count = {}}
  for line in io.lines(PLACE) do
    local key, value = line:match "^(%w+): (.*)$"
    local name, n = line:match "^(.-)%s+(%d+)$"
    if key then base[key] = value
    elseif name and not line:find "^#" then base.count[name] = tonumber(n) end
  end
  return base
end

local function record (here, counts)
  local f = assert(io.open(PLACE, "w"))
  f:write("# Instructions of one step of each main loop, as `make count` counts them (count.lua), and what they hold\n",
    "# for. Written by `make count ARGS=--record`.\n")
  for _, key in ipairs(ORDER) do f:write(key, ": ", here[key], "\n") end
  for _, loop in ipairs(LOOPS) do f:write(("%-20s %12d\n"):format(loop.name, counts[loop.name])) end
  f:close()
  print(PLACE .. " is written")
end

-- The first condition that is another one than the baseline's: a sentence, or nil.
local function difference (here, base)
  for _, key in ipairs(ORDER) do
    if here[key] ~= base[key] then
      return ("%s: the baseline has '%s', here it is '%s'"):format(key, base[key], here[key])
    end
  end
end

local function judge (name, n, old)
  if not old then
    print(("%s is not in the baseline: make count ARGS=--record"):format(name))
    return false
  end
  local change = n / old - 1
  local verdict = change > SLACK and "FAILED: too many"
    or change < -SLACK and "lower the baseline: make count ARGS=--record" or "ok"
  print(("%-20s %12d  baseline %12d  %+6.1f %%  %s"):format(name, n, old, 100 * change, verdict))
  return change <= SLACK
end

local function main (option)
  if option and option ~= "--record" then error("count.lua knows --record, not " .. option, 0) end
  local cpu = io.open "/proc/cpuinfo"
  local flags = cpu and cpu:read "a" or ""
  if not (flags:find "%f[%w]avx2%f[%W]" and flags:find "%f[%w]fma%f[%W]") then
    print "count: not compared: this CPU has no AVX2, which is what the baseline counts"
    return true
  end
  local here, base, fine, counts = conditions(), not option and read_baseline(), true, {}
  local why = base and difference(here, base)
  for _, loop in ipairs(LOOPS) do
    local n = count(loop)
    counts[loop.name] = n
    if not base or why then print(("%-20s %12d"):format(loop.name, n))
    else fine = judge(loop.name, n, base.count[loop.name]) and fine end
  end
  if why then print("count: not compared. " .. why) end
  if option then record(here, counts) end
  return fine
end

if arg[1] == "play" then play(arg[2], tonumber(arg[3])) else os.exit(main(arg[1]) and 0 or 1) end
