--- The table of `lurn bench` for a terminal, and as a page of Markdown.

return function ()
  local M = {}

  local function text_ms (ms)
    if not ms then return "-" end
    return (ms >= 100 and "%.0f" or ms >= 10 and "%.1f" or ms >= 1 and "%.2f" or "%.4f"):format(ms)
  end

  local function text_ratio (x)
    if not x then return "-" end
    return (x >= 10 and "%.1f" or "%.2f"):format(x)
  end

  local function text_goal (goal)
    local parts = {}
    if goal.ratio then parts[#parts + 1] = ("%.3g x"):format(goal.ratio) end
    if goal.cost then parts[#parts + 1] = ("cost %g"):format(goal.cost) end
    if goal.ms then parts[#parts + 1] = ("%g ms"):format(goal.ms) end
    if goal.bytes then parts[#parts + 1] = ("%.0f MB"):format(goal.bytes / 1e6) end
    return parts[1] and table.concat(parts, ", ") or "-"
  end

  local function megabytes (bytes) return bytes and ("%.0f"):format(bytes / 1e6) or "-" end

  local function with_threads (r) return text_ms(r.ms) .. (r.threads and (" (%d)"):format(r.threads) or "") end

  local function text_peer (r) return r.peer and with_threads(r.peer) or "-" end

  local function spread (r)
    local x = r.ratio or r.cost
    return x and ("%s-%s"):format(text_ratio(x.low), text_ratio(x.high)) or "-"
  end

  local MET = {[true] = "yes", [false] = "no"}

  -- Title, width in the terminal (negative: to the left), and what stands there.
  local COLUMNS = {
    {"row", -36, function (r) return r.name end},
    {"lurn ms", 12, function (r) return with_threads(r) end},
    {"CPU ms", 9, function (r) return text_ms(r.cpu_ms) end},
    {"peer ms", 12, text_peer},
    {"ratio", 7, function (r) return text_ratio(r.ratio and r.ratio.median) end},
    {"cost", 5, function (r) return text_ratio(r.cost and r.cost.median) end},
    {"spread", 11, spread},
    {"CPU ratio", 9, function (r) return text_ratio(r.cpu_ratio and r.cpu_ratio.median) end},
    {"goal", 15, function (r) return text_goal(r.goal) end},
    {"met", 4, function (r) return MET[r.met] or "-" end},
    {"GF/s", 6, function (r) return r.gflops and ("%.1f"):format(r.gflops) or "-" end},
    {"peak", 5, function (r) return r.share and ("%.0f%%"):format(100 * r.share) or "-" end},
    {"MB", 5, function (r) return megabytes(r.bytes) end},
    {"peer MB", 7, function (r) return megabytes(r.peer and r.peer.bytes) end},
    {"turns", 5, function (r) return ("%d"):format(r.turns) end},
  }

  local function row_of (cell)
    local words = {}
    for i, c in ipairs(COLUMNS) do words[i] = ("%" .. c[2] .. "s"):format(cell(c)) end
    return (table.concat(words, " "):gsub("%s+$", ""))
  end

  local function machine_line (m)
    local text = ("%s, %d cores, kernels %s, %s"):format(m.cpu, m.cores, m.isa, m.precision)
    return m.peak and text .. (", FMA peak of one core %.0f GF/s"):format(m.peak) or text
  end

  local function peer_line (m)
    if m.peer then return "peer: " .. m.peer .. ", both at the better of 1 and 2 threads (in brackets)" end
    return "no peer: " .. m.no_peer .. ": lurn alone"
  end

  --- What stands above the rows.
  function M.head (result)
    local m = result.machine
    return table.concat({machine_line(m), peer_line(m), "", row_of(function (c) return c[1] end)}, "\n")
  end

  --- A row, for the terminal.
  function M.line (r) return row_of(function (c) return c[3](r) end) end

  local function count_met (result)
    local met, judged = 0, 0
    for _, r in ipairs(result.rows) do
      if r.met ~= nil then judged = judged + 1 end
      if r.met then met = met + 1 end
    end
    return ("%d of %d goals met"):format(met, judged)
  end

  --- What stands below them.
  function M.foot (result)
    local m = result.machine
    local text = "\n" .. count_met(result)
    if m.load and m.load_after then
      text = text .. ("; load average %.1f before, %.1f after"):format(m.load, m.load_after)
    end
    return text
  end

  ---------------------------------------------------------------- Markdown

  local NOTES = [[
A step of a training row is forward, loss, backpropagation through time, clipping by global norm 5 and Adam, on random
real inputs (T, B, D): the first six rows of each cell. The head is a linear layer: one output per step and mean squared
error (online, sweep-small), one output at the last step (adding), 65 classes per step and cross-entropy (char-rnn,
ptb-medium), 16 outputs per step and mean squared error (large). PyTorch runs `nn.LSTM`, `nn.GRU`, `nn.RNN` and
`torch.optim.Adam`, eagerly and as installed; "torch loop" is a peephole LSTM written as a Python loop over time with
the input's products taken out of it; "lurn lstm" is lurn's built-in LSTM as the peer of the same cell written in Lua.
"Cells" are those of `lurn.cells` with as many inputs as units (64, then 128) and the output of the last step alone,
beside lurn's built-in LSTM of that size, on one thread. The char-rnn epoch is 300,000 characters (embedding 128, two
layers of 128, 65 characters), extrapolated from at least 20 steps on one batch. "One character" is a step of a stream
at batch 1, with its output handed over. "Trace + plan" builds the model and plans its memory, without drawing its
weights: the quickest of many, less the quickest drawing. The diagnosis is `model:diagnose` of a char-rnn batch with a
training step of one thread as its peer; taken every 100 steps it costs 1 % of the training time divided by the ratio,
below 3 % where the goal is met. The digest is a link of the chain that `lurn verify` compares, made every 100
steps and at evaluations, so it costs 1 % of the training time divided by the ratio; file digests are those of all
tensors in a checkpoint.

- **lurn ms, peer ms**: medians of wall time, each with its better number of threads in brackets.
- **ratio**: how many times faster lurn is, the median of the ratios turn by turn; **spread**: their middle half.
- **cost**: CPU time per operation of the matrix products, in times the LSTM's, the median turn by turn: how much
  dearer a step is than one of an LSTM with equal products; **spread**: the middle half.
- **CPU ms, CPU ratio**: the same of user and system time, which waiting for a processor does not change.
- **GF/s**: operations of the matrix products alone, by lurn's CPU time; **peak**: their share of what one core's
  fused multiply-adds reach here in a loop over registers.
- **MB**: most memory in use during the row, of lurn's process (which has played the rows before it) and of the peer's
  (one process a row). **turns**: how often lurn and the peer took turns.
- **load average**: work in line for the cores. Above 1 before the start others shared the machine: compare CPU columns.
- **goal, met**: what the design hoped for. A goal that is not met says so.
]]

  -- "|" would end a cell.
  local function cells (list) return "| " .. table.concat(list, " | ") .. " |" end

  local function table_lines (result)
    local titles, rule, lines = {}, {}, {}
    for i, c in ipairs(COLUMNS) do
      titles[i], rule[i] = c[1], c[2] < 0 and "---" or "---:"
    end
    lines[1], lines[2] = cells(titles), cells(rule)
    for _, r in ipairs(result.rows) do
      local words = {}
      for i, c in ipairs(COLUMNS) do words[i] = c[3](r) end
      lines[#lines + 1] = cells(words)
    end
    return table.concat(lines, "\n")
  end

  --- The results as a page of Markdown.
  function M.page (result)
    local m = result.machine
    return table.concat({"# Speed", "",
      ("Measured by `lurn bench%s` on %s with lurn %s."):format(result.quick and " --quick" or "", m.date, m.version),
      "", machine_line(m) .. ".", peer_line(m) .. ".", M.foot(result):sub(2) .. ".", "",
      table_lines(result), "", NOTES}, "\n")
  end

  return M
end
