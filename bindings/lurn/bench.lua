--- `lurn bench`: the speed table, lurn beside PyTorch.
--
-- A machine is never quiet, so lurn and the peer (a process for each number of threads) take turns in short
-- blocks, and what counts is the median of the ratios turn by turn, with its spread. GF/s come from the CPU time of
-- lurn's one thread, which waiting for a processor does not change.

return function (cli)
  local M = {}

  -- A block is as many steps as take this long; a row takes turns until its time is over, within these bounds.
  local FULL = {block = 0.05, row = 6, least = 5, most = 31}
  local QUICK = {block = 0.02, row = 1, least = 3, most = 7}
  -- A step so long that not even the least number of turns fits into a row's time.
  local LONG, LEAST_LONG = 0.5, 3

  local lurn, rows, json

  ---------------------------------------------------------------- small tools

  local function sorted (list)
    local s = table.move(list, 1, #list, 1, {})
    table.sort(s)
    return s
  end

  local function median (list)
    local s = sorted(list)
    local n = #s
    return n == 0 and 0 / 0 or (s[(n + 1) // 2] + s[n // 2 + 1]) / 2
  end

  -- The middle half of a list: what noise leaves of it.
  local function quartiles (list)
    local s = sorted(list)
    return s[(#s + 3) // 4], s[#s + 1 - (#s + 3) // 4]
  end

  local function map (list, f)
    local out = {}
    for i, v in ipairs(list) do out[i] = f(v, i) end
    return out
  end

  ---------------------------------------------------------------- memory

  -- The high-water mark starts again from what is in use, where the system can do that (Linux): so that one row
  -- does not inherit that of the row before.
  local function forget_peak ()
    collectgarbage()
    collectgarbage()
    local f = io.open("/proc/self/clear_refs", "w")
    if not f then return end
    f:write "5"
    f:close()
  end

  local function peak ()
    local f = io.open("/proc/self/status")
    local kilobytes = f and f:read "a":match "VmHWM:%s*(%d+)"
    if f then f:close() end
    return kilobytes and tonumber(kilobytes) * 1024 or lurn.sys.peak_rss()
  end

  ---------------------------------------------------------------- the peer

  local function quote (text) return "'" .. text:gsub("'", "'\\''") .. "'" end

  -- In a checkout the peer lies beside the module; an installed lurn has none and measures itself alone.
  local function peer_script ()
    local here = package.searchpath("lurn.bench", package.path)
    local root = here and here:match "^(.*)bindings/lurn/bench%.lua$"
    local path = root and root .. "tests/bench/torch_peer.py"
    return path and lurn.sys.exists(path) and path or nil
  end

  local Peer = {}
  Peer.__index = Peer

  function Peer:read ()
    local line = self.from:read "l"
    local document, message = json.decode(line or "")
    if not line or not document then error("the peer is gone: " .. (message or "no answer"), 0) end
    if document.error then error("the peer: " .. document.error, 0) end
    return document
  end

  function Peer:ask (document)
    self.to:write(json.encode(document), "\n")
    self.to:flush()
    return self:read()
  end

  --- A block of steps: seconds of wall and of CPU per step.
  function Peer:block (steps)
    local answer = self:ask {["do"] = "run", steps = steps}
    return answer.wall / steps, answer.cpu / steps
  end

  --- Ends a case; returns its peak of memory.
  function Peer:finish () return self:ask {["do"] = "end"}.peak end

  function Peer:close ()
    self.to:close()
    self.from:close()
  end

  -- Pipes of the standard library go one way, so answers come back through a named one. The shell opens it even
  -- when it finds no Python, whose end is then the end of the file.
  local function start_peer (threads)
    local script = peer_script()
    if not script then return nil, "no peer beside this installation" end
    local pipe = os.tmpname()
    os.remove(pipe)
    if not os.execute("mkfifo " .. quote(pipe)) then return nil, "mkfifo failed" end
    local python = os.getenv "PYTHON" or "python3"
    local to = io.popen(("%s %s %d > %s 2> /dev/null"):format(quote(python), quote(script), threads, quote(pipe)), "w")
    local from = io.open(pipe)
    os.remove(pipe)
    local self = setmetatable({to = to, from = from, threads = threads}, Peer)
    local ok, hello = pcall(self.read, self)
    if ok then
      self.name = hello.name
      return self
    end
    self:close()
    return nil, ("%s has no PyTorch"):format(python)
  end

  -- PyTorch with one thread and with two; or none, and why.
  local function start_peers ()
    local first, why = start_peer(1)
    if not first then return {}, why end
    return {first, lurn.sys.cpus() > 1 and start_peer(2) or nil}
  end

  ---------------------------------------------------------------- one row

  local function use_threads (n)
    if lurn.core.threads() ~= n then lurn.core.threads(n) end
  end

  -- lurn's own side of a row, timed as the peer is.
  local function timed (step, threads)
    return function (steps)
      use_threads(threads)
      local wall, cpu = lurn.sys.clock(), os.clock()
      for _ = 1, steps do step() end
      return (lurn.sys.clock() - wall) / steps, (os.clock() - cpu) / steps
    end
  end

  local function side (name, run, extra)
    local s = {name = name, run = run, wall = {}, cpu = {}}
    for k, v in next, extra or {} do s[k] = v end
    return s
  end

  -- The first block warms up, the second says how many steps a block takes.
  local function calibrate (s, block)
    s.run(1)
    s.guess = math.max(s.run(1), 1e-7)
    local steps = math.ceil(block / s.guess)
    if steps > 20 then                          -- too short to be told from one step
      s.guess = math.max(s.run(20), 1e-7)
      steps = math.ceil(block / s.guess)
    end
    s.steps = math.max(1, steps)
  end

  local function own_side (name, case)
    use_threads(1)
    local step, operations = rows.make(case)
    return side(name, timed(step, 1), {operations = operations})
  end

  -- One model played by one thread and by two; it is planned for both.
  local function own_sides (case, block)
    local most = math.min(2, lurn.sys.cpus())
    use_threads(most)
    local list, step, operations = {}, rows.make(case)
    step()                                       -- plans, for as many threads as there are now
    for threads = 1, most do
      list[threads] = side("lurn", timed(step, threads), {threads = threads, operations = operations})
      calibrate(list[threads], block)
    end
    return list
  end

  -- The peers' sides of a case. Where two threads are hopeless, which one step shows, they get no turns.
  local function peer_sides (peers, case, block)
    local list = {}
    for _, peer in ipairs(peers) do
      peer:ask(case)
      local s = side("torch", function (steps) return peer:block(steps) end, {threads = peer.threads, peer = peer})
      calibrate(s, block)
      if not list[1] or s.guess < 1.5 * list[1].guess then list[#list + 1] = s else peer:finish() end
    end
    return list
  end

  -- Peak of memory of each number of threads.
  local function finish_peers (sides)
    for _, s in ipairs(sides) do s.bytes = s.peer and s.peer:finish() end
  end

  local function take_turns (sides, least_steps, budget)
    local start, turns, done = lurn.sys.clock(), 0, 0
    local slowest = 0
    for _, s in ipairs(sides) do slowest = math.max(slowest, s.guess) end
    local least = slowest > LONG and math.min(LEAST_LONG, budget.least) or budget.least
    while turns < budget.most or done < least_steps do
      local late = lurn.sys.clock() - start > budget.row
      if late and turns >= least and done >= least_steps then break end
      for _, s in ipairs(sides) do
        s.wall[#s.wall + 1], s.cpu[#s.cpu + 1] = s.run(s.steps)
      end
      turns, done = turns + 1, done + sides[1].steps
    end
    return turns
  end

  -- Of several settings the one whose median is least.
  local function best_of (sides)
    local best
    for i = 1, #sides do
      if not best or median(sides[i].wall) < median(best.wall) then best = sides[i] end
    end
    return best
  end

  -- How many times as long the other side takes, turn by turn; `scale` is a factor on that.
  local function ratio_of (own, other, clock, scale)
    local ratios = map(own[clock], function (t, i) return other[clock][i] / t * (scale or 1) end)
    local low, high = quartiles(ratios)
    return {median = median(ratios), low = low, high = high}
  end

  -- Goals that a number was measured for; nil when there is none to judge.
  local function judge (goal, r)
    local met
    local function need (ok) met = (met == nil or met) and ok end
    if goal.ratio and r.ratio then need(r.ratio.median >= goal.ratio) end
    if goal.cost and r.cost then need(r.cost.median <= goal.cost) end
    if goal.ms then need(r.ms <= goal.ms) end
    if goal.bytes then need(r.bytes <= goal.bytes) end
    return met
  end

  local function collect (row, owns, others, turns, fma)
    local own, other, scale = best_of(owns), best_of(others), (row.scale or 1) * 1000
    local r = {name = row.name, case = row.case, goal = row.goal, turns = turns, steps = own.steps,
      threads = own.threads,
      ms = median(own.wall) * scale, cpu_ms = median(own.cpu) * scale}
    if own.operations then
      r.gflops = own.operations / median(own.cpu) * 1e-9
      r.share = fma and r.gflops / fma
    end
    if other then
      r.peer = {name = other.name, threads = other.threads, bytes = other.bytes, ms = median(other.wall) * scale,
        cpu_ms = median(other.cpu) * scale}
      if row.goal.cost then r.cost = ratio_of(other, own, "cpu", other.operations / own.operations)
      else r.ratio, r.cpu_ratio = ratio_of(own, other, "wall"), ratio_of(own, other, "cpu") end
    end
    return r
  end

  -- Building without drawing the weights, which takes much longer: noise would drown the difference of medians, so
  -- it is the difference of the quickest blocks, one step each.
  local function subtract (row, own, budget)
    local less = own_side("lurn", row.less)
    calibrate(less, 0)
    own.steps = 1
    local turns = take_turns({own, less}, 1, budget)
    for _, clock in ipairs {"wall", "cpu"} do
      own[clock] = {math.min(table.unpack(own[clock])) - math.min(table.unpack(less[clock]))}
    end
    return turns
  end

  -- Where lurn is its own peer the memory is that of the first side, before the second one is made.
  local function measure (row, peers, budget, fma)
    forget_peak()
    local alone = row.against or row.less
    local owns, others = alone and {own_side("lurn", row.case)} or own_sides(row.case, budget.block), {}
    calibrate(owns[1], budget.block)
    local bytes = peak()
    if row.against then
      others[1] = own_side("lurn " .. row.against.cell, row.against)
      calibrate(others[1], budget.block)
    elseif not row.less then
      others = peer_sides(peers, row.case, budget.block)
    end
    local sides = table.move(others, 1, #others, #owns + 1, table.move(owns, 1, #owns, 1, {}))
    local turns = row.less and subtract(row, owns[1], {row = budget.row, least = 30, most = 200})
      or take_turns(sides, row.least or 1, budget)
    if not row.against then bytes = peak() end
    finish_peers(sides)
    local r = collect(row, owns, others, turns, fma)
    r.bytes = bytes
    r.met = judge(row.goal, r)
    return r
  end

  ---------------------------------------------------------------- the verb

  local function load_average ()
    local f = io.open "/proc/loadavg"
    local text = f and f:read "a":match "^%S+"
    if f then f:close() end
    return tonumber(text)
  end

  local function describe_machine (peers, why)
    return {cpu = lurn.sys.cpu(), cores = lurn.sys.cpus(), isa = lurn.core.info().isa, peak = lurn.core.fma_peak(),
      precision = lurn.precision, version = lurn.version, date = os.date "!%Y-%m-%d", load = load_average(),
      peer = peers[1] and peers[1].name, no_peer = why}
  end

  local function write_page (report, path, result)
    local f, message = io.open(path, "w")
    if not f then cli.fail(cli.INPUT, message) end
    f:write(report.page(result))
    f:close()
  end

  function M.bench (options, rest)
    if rest[1] then cli.usage(("what is '%s'?"):format(rest[1]), cli.describe(cli.verbs.bench)) end
    lurn = cli.lurn()
    json, rows = lurn.json, require("lurn.bench_rows")(lurn)
    local report, budget = require "lurn.bench_report" (), options.quick and QUICK or FULL
    local list = rows.list(options.rows)
    if not list[1] then cli.usage(("no row fits '%s'"):format(options.rows)) end
    local peers, why = start_peers()
    local result = {machine = describe_machine(peers, why), quick = options.quick or false, rows = {}}
    local say = options.json and function () end or function (text) print(text) io.stdout:flush() end
    say(report.head(result))
    for i, row in ipairs(list) do
      result.rows[i] = measure(row, peers, budget, result.machine.peak)
      say(report.line(result.rows[i]))
    end
    for _, peer in ipairs(peers) do peer:close() end
    result.machine.load_after = load_average()
    say(report.foot(result))
    if options.write then write_page(report, options.write, result) end
    if options.json then cli.document(result) end
    return cli.OK
  end

  return M
end
