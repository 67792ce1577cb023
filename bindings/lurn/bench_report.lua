--- The tables of `lurn bench` for a terminal, and as a page of Markdown.

return function ()
  local notes = require "lurn.bench_notes"
  local M = {}

  ---------------------------------------------------------------- words

  local function text_ms (ms)
    if not ms then return "-" end
    return (ms >= 100 and "%.0f" or ms >= 10 and "%.1f" or ms >= 1 and "%.2f" or "%.4f"):format(ms)
  end

  local function text_ratio (x)
    if not x then return "-" end
    return (x >= 10 and "%.1f" or "%.2f"):format(x)
  end

  local function text_percent (x, digits) return x and ("%%.%df%%%%"):format(digits or 0):format(100 * x) or "-" end

  local function text_goal (goal)
    local parts = {}
    local function add (format, ...) parts[#parts + 1] = format:format(...) end
    if goal.ratio then add("%.3g x", goal.ratio) end
    if goal.cost then add("cost %g", goal.cost) end
    for threads, ms in ipairs(type(goal.ms) == "table" and goal.ms or {}) do
      add(threads == 1 and "%g ms" or "%g ms (%d)", ms, threads)
    end
    if type(goal.ms) == "number" then add("%g ms", goal.ms) end
    if goal.bytes then add("%.0f MB", goal.bytes / 1e6) end
    if goal.time then add("%g", goal.time) end
    if goal.share then add("< %g %%", 100 * goal.share) end
    if goal.exponent then add("%g", goal.exponent) end
    if goal.excess then add("+ %.0f MB", goal.excess / 1e6) end
    return parts[1] and table.concat(parts, ", ") or "-"
  end

  local MET = {[true] = "yes", [false] = "no"}

  local function spread (x) return x and ("%s-%s"):format(text_ratio(x.low), text_ratio(x.high)) or "-" end

  -- Row r's side with so many threads.
  local function with (list, threads)
    for _, s in ipairs(list or {}) do if s.threads == threads then return s end end
    return {}
  end

  local function megabytes (bytes) return bytes and ("%.0f"):format(bytes / 1e6) or "-" end

  ---------------------------------------------------------------- columns

  -- Title, width in the terminal (negative: to the left), and what stands there.
  local function ms_of (what, threads)
    return function (r) return text_ms(with(r[what], threads).ms) end
  end

  local NAME = {"row", -32, function (r) return r.name end}
  local GOAL = {"goal", 14, function (r) return text_goal(r.goal) end}
  local MET_IT = {"met", 3, function (r) return MET[r.met] or "-" end}
  local NEEDS = {"needs", 5, function (r) return text_percent(r.needs) end}
  local TURNS = {"turns", 5, function (r) return r.turns and ("%d"):format(r.turns) or "-" end}
  local GFLOPS = {"GF/s", 6, function (r) return r.own[1].gflops and ("%.1f"):format(r.own[1].gflops) or "-" end}
  local SHARE = {"peak", 5, function (r) return text_percent(r.share_of_peak) end}
  local MEGABYTES = {"MB", 4, function (r) return megabytes(r.bytes) end}
  local PEER_MEGABYTES = {"peer MB", 7, function (r) return megabytes(with(r.peers, 1).bytes) end}
  local FIRST = {"first ms", 8, function (r) return text_ms(r.first_ms) end}
  local PEER_FIRST = {"peer first", 10, function (r) return text_ms(with(r.peers, 1).first_ms) end}

  local function time_of (threads)
    return function (r) return text_ratio(r.time and r.time[threads] and r.time[threads].median) end
  end

  local COLUMNS = {}

  COLUMNS.step = {
    NAME,
    {"lurn ms", 8, ms_of("own", 1)}, {"2 thr.", 7, ms_of("own", 2)},
    {"peer ms", 8, ms_of("peers", 1)}, {"2 thr.", 7, ms_of("peers", 2)},
    {"ratio", 6, function (r) return text_ratio(r.ratio and r.ratio.median) end},
    {"spread", 11, function (r) return spread(r.ratio) end},
    {"CPU ratio", 9, function (r) return text_ratio(r.cpu_ratio and r.cpu_ratio.median) end},
    GOAL, MET_IT, NEEDS, GFLOPS, SHARE, MEGABYTES, PEER_MEGABYTES, FIRST, PEER_FIRST, TURNS,
  }

  COLUMNS.layers = {
    NAME,
    {"lurn ms", 8, ms_of("own", 1)}, {"oneDNN ms", 9, ms_of("peers", 1)}, {"time", 5, time_of(1)},
    {"spread", 11, function (r) return spread(r.time and r.time[1]) end},
    {"2 thr.", 7, ms_of("own", 2)}, {"oneDNN", 7, ms_of("peers", 2)}, {"time", 5, time_of(2)},
    {"spread", 11, function (r) return spread(r.time and r.time[2]) end},
    {"CPU time", 8, function (r) return text_ratio(r.cpu_time and r.cpu_time[1] and r.cpu_time[1].median) end},
    {"goal", 5, function (r) return text_goal(r.goal) end}, MET_IT,
    {"<= 1", 4, function (r) return MET[r.within] or "-" end},
    NEEDS, GFLOPS, SHARE, MEGABYTES, PEER_MEGABYTES, FIRST, PEER_FIRST, TURNS,
  }

  COLUMNS.own = {
    NAME,
    {"lurn ms", 8, ms_of("own", 1)},
    {"beside ms", 9, function (r) return text_ms(r.peers[1] and r.peers[1].ms) end},
    {"ratio", 6, function (r) return text_ratio(r.ratio and r.ratio.median) end},
    {"cost", 5, function (r) return text_ratio(r.cost and r.cost.median) end},
    {"spread", 11, function (r) return spread(r.ratio or r.cost) end},
    GOAL, MET_IT, GFLOPS, SHARE, TURNS,
  }

  COLUMNS.figure = {
    NAME,
    {"figure", 10, function (r) return r.share and text_percent(r.share, 2) or text_ms(r.ms) .. " ms" end},
    GOAL, MET_IT,
    {"beside", -40, function (r) return r.note or "-" end},
  }

  COLUMNS.growth = {
    NAME,
    {"exponent", 8, function (r) return text_ratio(r.exponent) end},
    GOAL, MET_IT,
    {"sizes, ms", -60, function (r)
      local words = {}
      for i, p in ipairs(r.points) do words[i] = ("%d: %s"):format(p.size, text_ms(p.ms)) end
      return table.concat(words, ", ")
    end},
    {"plan MB, grown MB", -60, function (r)
      local words = {}
      for i, p in ipairs(r.points) do words[i] = ("%.1f %.1f"):format(p.plan / 1e6, p.grown / 1e6) end
      return table.concat(words, ", ")
    end},
  }

  local function title_of (column) return column[1] end

  ---------------------------------------------------------------- a terminal

  local function line_of (columns, cell)
    local words = {}
    for i, c in ipairs(columns) do words[i] = ("%" .. c[2] .. "s"):format(cell(c)) end
    return (table.concat(words, " "):gsub("%s+$", ""))
  end

  local function machine_line (m)
    local text = ("%s, %d cores, kernels %s%s, %s"):format(m.cpu, m.cores, m.isa, m.forced and " (LURN_ISA)" or "",
      m.precision)
    return m.peak and text .. (", FMA peak of one core %.0f GF/s"):format(m.peak) or text
  end

  local function peer_line (m)
    local names = {m.peer}
    names[#names + 1] = m.layers
    table.move(m.others, 1, #m.others, #names + 1, names)
    local text = names[1] and "peers: " .. table.concat(names, ", ") or "no peer"
    if not m.peer then text = text .. "; " .. m.no_peer end
    if not m.layers then text = text .. "; no oneDNN (a compiler and libdnnl-dev)" end
    return text
  end

  --- What stands above the rows.
  function M.head (result)
    local m = result.machine
    return machine_line(m) .. "\n" .. peer_line(m)
  end

  --- A row, for the terminal, below a line of titles when it begins a table.
  function M.line (r, before)
    local columns = COLUMNS[r.table]
    local text = line_of(columns, function (c) return c[3](r) end)
    if before and before.table == r.table then return text end
    return "\n" .. line_of(columns, title_of) .. "\n" .. text
  end

  local function count (rows, key)
    local yes, judged = 0, 0
    for _, r in ipairs(rows) do
      if r[key] ~= nil then judged = judged + 1 end
      if r[key] then yes = yes + 1 end
    end
    return yes, judged
  end

  local function verdict (result)
    local text = ("%d of %d goals met"):format(count(result.rows, "met"))
    local within, of = count(result.rows, "within")
    return of > 0 and text .. ("; %d of %d at most oneDNN's time"):format(within, of) or text
  end

  --- What stands below them.
  function M.foot (result)
    local m = result.machine
    local text = ("\n%s; %.0f s"):format(verdict(result), result.seconds)
    if m.load and m.load_after then
      text = text .. ("; load average %.1f before, %.1f after"):format(m.load, m.load_after)
    end
    return text
  end

  ---------------------------------------------------------------- Markdown

  local function cells (list) return "| " .. table.concat(list, " | ") .. " |" end

  local function table_lines (columns, rows)
    local titles, rule, lines = {}, {}, {}
    for i, c in ipairs(columns) do
      titles[i], rule[i] = c[1], c[2] < 0 and "---" or "---:"
    end
    lines[1], lines[2] = cells(titles), cells(rule)
    for _, r in ipairs(rows) do
      local words = {}
      for i, c in ipairs(columns) do words[i] = c[3](r) end
      lines[#lines + 1] = cells(words)
    end
    return table.concat(lines, "\n")
  end

  -- The other peers side by side: each with its time, and how many times faster lurn was in their own turns.
  local function other_columns (m)
    local columns = {NAME}
    for _, name in ipairs(m.others) do
      local function find (r)
        for _, o in ipairs(r.others) do if o.name == name then return o end end
        return {}
      end
      columns[#columns + 1] = {name .. " ms", 10, function (r) return text_ms(find(r).ms) end}
      columns[#columns + 1] = {"lurn ms", 8, function (r) return text_ms(find(r).own_ms) end}
      columns[#columns + 1] = {"ratio", 6, function (r) return text_ratio((find(r).ratio or {}).median) end}
      columns[#columns + 1] = {"spread", 11, function (r) return spread(find(r).ratio) end}
    end
    return columns
  end

  local function point_columns (r)
    return {
      {r.unit, 10, function (p) return ("%d"):format(p.size) end},
      {"ms", 8, function (p) return text_ms(p.ms) end},
      {"us per " .. r.unit:sub(1, -2), 10, function (p) return ("%.4g"):format(1000 * p.ms / p.size) end},
      {"plan MB", 8, function (p) return ("%.2f"):format(p.plan / 1e6) end},
      {"grown MB", 8, function (p) return ("%.2f"):format(p.grown / 1e6) end},
    }
  end

  local function sections (result, out)
    local by = {}
    for _, r in ipairs(result.rows) do
      by[r.table] = by[r.table] or {}
      table.insert(by[r.table], r)
      if r.others and r.others[1] then by.others = by.others or {} table.insert(by.others, r) end
    end
    local function add (kind, title, columns)
      if not by[kind] then return end
      table.move({"## " .. title, "", table_lines(columns, by[kind]), "", notes[kind], ""}, 1, 6, #out + 1, out)
    end
    add("step", "Whole steps", COLUMNS.step)
    add("layers", "Recurrent layers alone", COLUMNS.layers)
    add("others", "Other peers", other_columns(result.machine))
    add("own", "lurn beside lurn", COLUMNS.own)
    add("figure", "Waiting, starting, threads", COLUMNS.figure)
    for _, r in ipairs(by.growth or {}) do
      table.move({("## %s: time as its power of %.2f"):format(r.name:gsub("^g", "G"), r.exponent), "",
        table_lines(point_columns(r), r.points), ""}, 1, 4, #out + 1, out)
    end
    if by.growth then out[#out + 1] = notes.growth .. "\n" end
  end

  -- Which rows were taken by which command, and how busy the machine was.
  local function takings (result, out)
    local by, list = {}, {}
    for _, r in ipairs(result.rows) do
      local t = r.taken
      local text = ("`%s%s` on %s with lurn %s"):format(t.forced and "LURN_ISA=" .. t.forced .. " " or "", t.command,
        t.date, t.version)
      if t.load and t.load_after then
        text = text .. (" (load average %.1f before, %.1f after)"):format(t.load, t.load_after)
      end
      if not by[text] then by[text], list[#list + 1] = 0, text end
      by[text] = by[text] + 1
    end
    for _, text in ipairs(list) do out[#out + 1] = ("- %s: %d rows"):format(text, by[text]) end
    for _, message in ipairs(result.failed) do out[#out + 1] = "- not measured: " .. message:match "^[^\n]*" end
  end

  --- The results as a page of Markdown, of rows that say how they were taken.
  function M.page (result)
    local m = result.machine
    local out = {"# Speed", "", machine_line(m) .. ".", peer_line(m) .. ".", verdict(result) .. ".", ""}
    takings(result, out)
    out[#out + 1] = ""
    sections(result, out)
    out[#out + 1] = notes.all
    return table.concat(out, "\n")
  end

  return M
end
