--- `lurn bench`: the speed table, lurn beside PyTorch, oneDNN and JAX.
--
-- bench_rows.lua says what is timed, bench_work.lua is lurn's side of it, bench_peer.lua starts the others,
-- bench_time.lua lets them take turns, bench_report.lua writes the table.

return function (cli)
  local M = {}

  -- A block is as many steps as take this long; a row takes turns until its time is over, within these bounds. The
  -- other peers get shorter rows of their own.
  local FULL = {block = 0.05, row = 3, least = 5, most = 31}
  local QUICK = {block = 0.02, row = 0.7, least = 3, most = 7}
  local OTHERS = {block = 0.05, row = 0.8, least = 3, most = 7}
  -- Rows of lurn beside itself are many, and quieter.
  local OWN_ROW = 2
  -- Minutes that all rows may take, and the share of what is left of them that goes into turns: building, warming up
  -- and the other peers take the rest.
  local MINUTES, TURNS_SHARE = 12, 0.4

  local lurn, rows, work, peer, time, figures, json

  ---------------------------------------------------------------- memory

  local memory = {}

  -- The high-water mark starts again from what is in use, where the system can do that (Linux): so that one row
  -- does not inherit that of the row before.
  function memory.forget ()
    collectgarbage()
    collectgarbage()
    local f = io.open("/proc/self/clear_refs", "w")
    if not f then return end
    f:write "5"
    f:close()
  end

  function memory.peak ()
    local f = io.open("/proc/self/status")
    local kilobytes = f and f:read "a":match "VmHWM:%s*(%d+)"
    if f then f:close() end
    return kilobytes and tonumber(kilobytes) * 1024 or lurn.sys.peak_rss()
  end

  -- A row's first step in a process of its own: how long building, drawing weights and that step take, and how much
  -- memory the process has had.
  local function alone (row, options)
    local quote = lurn.shell.quote
    local given = options.chorales and " --chorales " .. quote(options.chorales) or ""
    local f = io.popen(("%s bench --first %s%s --json 2> /dev/null"):format(quote(arg[0]), quote(row.name), given))
    local answer = json.decode(f:read "a")
    f:close()
    return answer or {}
  end

  local function first_step (name, options)
    for _, row in ipairs(rows.list(nil, options.chorales)) do
      if row.name == name and row.case and not row.figure then
        return {row = name, first_ms = 1000 * work.first(row.case), bytes = memory.peak()}
      end
    end
    cli.usage(("no row is '%s'"):format(name))
  end

  ---------------------------------------------------------------- sides

  local function own_side (name, case, block)
    lurn.core.threads(1)
    local step, operations = work.make(case)
    local s = time.side(name, time.timed(step, 1), {threads = 1, operations = operations})
    time.calibrate(s, block)
    return s
  end

  -- One model played by one thread and by two; it is planned for both.
  local function own_sides (case, block)
    local most = math.min(2, lurn.sys.cpus())
    lurn.core.threads(most)
    local list, step, operations = {}, work.make(case)
    step()                                       -- plans, for as many threads as there are now
    for threads = 1, most do
      list[threads] = time.side("lurn", time.timed(step, threads), {threads = threads, operations = operations})
      time.calibrate(list[threads], block)
    end
    return list
  end

  -- A peer's sides of a case. Where two threads are hopeless, which one step shows, they get no turns, unless each
  -- number of threads has a figure of its own.
  local function peer_sides (group, case, block, each)
    local list = {}
    for _, process in ipairs(group or {}) do
      local ready = process:begin(case)
      if ready then
        local s = time.side(group.name, function (steps) return process:block(steps) end,
          {threads = process.threads, peer = process, first = ready.first})
        time.calibrate(s, block)
        if each or not list[1] or s.guess < 1.5 * list[1].guess then list[#list + 1] = s
        else process:finish() end
      end
    end
    return list
  end

  local function finish (sides)
    for _, s in ipairs(sides) do s.bytes = s.peer and s.peer:finish() end
  end

  local function join (a, b) return table.move(b, 1, #b, #a + 1, table.move(a, 1, #a, 1, {})) end

  ---------------------------------------------------------------- one row

  -- Goals that a number was measured for; nil when there is none to judge. One number of milliseconds is for whichever
  -- number of threads is quickest.
  local function judge (goal, r)
    local met
    local function need (ok) met = (met == nil or met) and ok end
    if goal.ratio and r.ratio then need(r.ratio.median >= goal.ratio) end
    if goal.cost and r.cost then need(r.cost.median <= goal.cost) end
    for _, x in ipairs(goal.time and r.time or {}) do need(x.median <= goal.time) end
    for threads, ms in ipairs(type(goal.ms) == "table" and goal.ms or {}) do
      if r.own[threads] then need(r.own[threads].ms <= ms) end
    end
    if type(goal.ms) == "number" then need((r.ms or r.own[r.threads].ms) <= goal.ms) end
    if goal.bytes and r.bytes then need(r.bytes <= goal.bytes) end
    if goal.share and r.share then need(r.share < goal.share) end
    if goal.exponent then need(r.exponent <= goal.exponent) end
    if goal.excess then need(r.excess <= goal.excess) end
    return met
  end

  local function within_limit (goal, r)
    local within
    for _, x in ipairs(goal.limit and r.time or {}) do within = within ~= false and x.median <= goal.limit end
    return within
  end

  -- The share of the peak of as many cores as there are threads that the products alone would reach if the row met its
  -- goal: the largest, where there are several goals.
  local function needs (goal, r, peak)
    local first = peak and r.own and r.own[1]
    if not first or not first.gflops then return nil end
    local operations, most = first.gflops * first.cpu_ms, nil           -- millions
    local function at (threads, ms)
      local share = operations / ms / (peak * math.min(threads, lurn.sys.cpus()))
      most = math.max(most or 0, share)
    end
    if goal.ratio and r.ratio then at(r.threads, r.own[r.threads].ms * r.ratio.median / goal.ratio) end
    for threads, x in ipairs(goal.time and r.time or {}) do at(threads, r.own[threads].ms / x.median * goal.time) end
    for threads, ms in ipairs(type(goal.ms) == "table" and goal.ms or {}) do
      if r.own[threads] then at(threads, ms) end
    end
    if type(goal.ms) == "number" then at(r.threads, goal.ms) end
    return most
  end

  local function summaries (sides, scale)
    local list = {}
    for i, s in ipairs(sides) do
      list[i] = time.summary(s, scale)
      list[i].bytes, list[i].first_ms = s.bytes, s.first and 1000 * s.first
    end
    return list
  end

  -- What a row's turns come to. A ratio is of the better settings of both; of layers, the share of the peer's time, for
  -- each number of threads.
  local function collect (row, owns, others, turns)
    local r = {turns = turns, own = summaries(owns, row.scale), peers = summaries(others, row.scale)}
    local own, other = time.best_of(owns), time.best_of(others)
    r.threads = own.threads
    if other and row.goal.cost then
      r.cost = time.ratio_of(other, own, "cpu", other.operations / own.operations)
    elseif other and row.goal.time then
      r.time, r.cpu_time = {}, {}
      for i, s in ipairs(owns) do
        r.time[i] = others[i] and time.ratio_of(others[i], s, "wall")
        r.cpu_time[i] = others[i] and time.ratio_of(others[i], s, "cpu")
      end
    elseif other then
      r.ratio, r.cpu_ratio = time.ratio_of(own, other, "wall"), time.ratio_of(own, other, "cpu")
    end
    return r
  end

  -- Building without drawing the weights, which takes much longer: noise would drown the difference of medians, so
  -- it is the difference of the quickest blocks, one step each.
  local function measure_less (row, budget)
    local own, less = own_side("lurn", row.case, 0), own_side("lurn", row.less, 0)
    own.steps, less.steps = 1, 1
    local turns = time.take_turns({own, less}, 1, setmetatable({least = 30, most = 200}, {__index = budget}))
    for _, clock in ipairs {"wall", "cpu"} do
      own[clock] = {math.min(table.unpack(own[clock])) - math.min(table.unpack(less[clock]))}
    end
    return collect(row, {own}, {}, turns)
  end

  local function measure_own (row, budget)
    local own = own_side("lurn", row.case, budget.block)
    local other = own_side("lurn " .. row.against.cell, row.against, budget.block)
    return collect(row, {own}, {other}, time.take_turns({own, other}, row.least or 1, budget))
  end

  -- The other peers, each beside lurn's better setting.
  local function measure_others (row, best, peers)
    local list = {}
    for i, group in ipairs(peers.others) do
      local sides = peer_sides(group, row.case, OTHERS.block)
      if sides[1] then
        best.wall, best.cpu = {}, {}
        time.take_turns(join({best}, sides), 1, OTHERS)
        local other = time.best_of(sides)
        list[#list + 1] = {at = i, name = group.name, threads = other.threads, ms = 1000 * time.median(other.wall),
          own_ms = 1000 * time.median(best.wall), ratio = time.ratio_of(best, other, "wall")}
        finish(sides)
      end
    end
    return list
  end

  local function measure_sides (row, peers, budget)
    local owns = own_sides(row.case, budget.block)
    local others = peer_sides(peers[row.peer or "torch"], row.case, budget.block, row.goal.time ~= nil)
    local turns = time.take_turns(join(owns, others), row.least or 1, budget)
    finish(others)
    local r = collect(row, owns, others, turns)
    if row.others then r.others = measure_others(row, time.best_of(owns), peers) end
    return r
  end

  -- A row gets its usual time, or its part of what is left.
  local function budget_of (context, rows_left)
    local left = math.max(0, context.ends - lurn.sys.clock())
    local part = TURNS_SHARE * left / rows_left
    return setmetatable({row = math.min(context.budget.row, part)}, {__index = context.budget})
  end

  local function measure (row, context, rows_left)
    local budget = budget_of(context, rows_left)
    local r
    memory.forget()
    if row.figure then r = figures[row.figure](row, context)
    elseif row.vary then r = figures.growth(row, context)
    elseif row.less then r = measure_less(row, budget)
    elseif row.against then
      r = measure_own(row, setmetatable({row = math.min(OWN_ROW, budget.row)}, {__index = budget}))
    else
      r = measure_sides(row, context.peers, budget)
      local first = alone(row, context.options)
      r.first_ms, r.bytes = first.first_ms, first.bytes
    end
    r.name, r.table, r.case, r.goal = row.name, row.table, row.case, row.goal
    r.share_of_peak = context.peak and r.own and r.own[1].gflops and r.own[1].gflops / context.peak
    r.met, r.within, r.needs = judge(row.goal, r), within_limit(row.goal, r), needs(row.goal, r, context.peak)
    return r
  end

  ---------------------------------------------------------------- the verb

  local function load_average ()
    local f = io.open "/proc/loadavg"
    local text = f and f:read "a":match "^%S+"
    if f then f:close() end
    return tonumber(text)
  end

  local function describe_machine (peers)
    local names = {}
    for i, group in ipairs(peers.others) do names[i] = group.name end
    return {cpu = lurn.sys.cpu(), cores = lurn.sys.cpus(), isa = lurn.core.info().isa, peak = lurn.core.fma_peak(),
      forced = os.getenv "LURN_ISA", precision = lurn.precision, version = lurn.version, date = os.date "!%Y-%m-%d",
      load = load_average(), peer = peers.torch and peers.torch.name, no_peer = peers.why,
      layers = peers.onednn and peers.onednn.name, others = names}
  end

  local function write_file (path, text)
    local f, message = io.open(path, "w")
    if not f then cli.fail(cli.INPUT, message) end
    f:write(text)
    f:close()
  end

  -- The page, and beside it the numbers that it is made of: a later bench of some rows renews those and keeps the rest.
  local function write_page (report, path, result)
    local numbers = path:gsub("%.md$", "") .. ".json"
    result = require "lurn.bench_merge" (json, numbers, result, rows.list())
    write_file(numbers, json.encode(result) .. "\n")
    write_file(path, report.page(result))
  end

  -- Everything a row may ask for.
  local function make_context (options, peers, result)
    local budget = setmetatable({turns = options.turns}, {__index = options.quick and QUICK or FULL})
    return {options = options, peers = peers, budget = budget, ends = lurn.sys.clock() + 60 * MINUTES,
      peak = result.machine.peak, memory = memory, quick = options.quick, program = arg[0],
      characters = options.quick and 30000 or rows.TEXT, start_again = peer.again}
  end

  local function command_line (options)
    local text = "lurn bench"
    for _, name in ipairs {"rows", "turns", "chorales"} do
      if options[name] then text = ("%s --%s %s"):format(text, name, options[name]) end
    end
    return options.quick and text .. " --quick" or text
  end

  local function all_rows (list, options)
    local report, peers = require "lurn.bench_report" (), peer.start(options.python)
    local result = {machine = describe_machine(peers), command = command_line(options), rows = {}, failed = {}}
    local context = make_context(options, peers, result)
    local say = options.json and function () end or function (text) print(text) io.stdout:flush() end
    local start = lurn.sys.clock()
    say(report.head(result))
    for i, row in ipairs(list) do
      -- A row that cannot be measured costs no other its place on the page.
      local ok, r = pcall(measure, row, context, #list - i + 1)
      if ok then
        result.rows[#result.rows + 1] = r
        say(report.line(r, result.rows[#result.rows - 1]))
      else
        if type(r) ~= "string" then error(r, 0) end
        result.failed[#result.failed + 1] = ("%s: %s"):format(row.name, r)
        io.stderr:write("lurn bench: ", result.failed[#result.failed], "\n")
      end
    end
    peer.stop(peers)
    result.seconds, result.machine.load_after = lurn.sys.clock() - start, load_average()
    say(report.foot(result))
    if options.write then write_page(report, options.write, result) end
    return result
  end

  function M.bench (options, rest)
    if rest[1] then cli.usage(("what is '%s'?"):format(rest[1]), cli.describe(cli.verbs.bench)) end
    if options.turns and options.turns < 1 then cli.usage("--turns must be at least 1") end
    lurn = cli.lurn()
    json, rows, work = lurn.json, require "lurn.bench_rows" (lurn), require "lurn.bench_work" (lurn)
    peer, time = require "lurn.bench_peer" (lurn), require "lurn.bench_time" (lurn)
    figures = require "lurn.bench_figures" (lurn, work)
    if options.first then
      cli.document(first_step(options.first, options))
      return cli.OK
    end
    local list = rows.list(options.rows, options.chorales)
    if not list[1] then cli.usage(("no row fits '%s'"):format(options.rows)) end
    local result = all_rows(list, options)
    if options.json then cli.document(result) end
    return result.failed[1] and cli.FAILED or cli.OK
  end

  return M
end
