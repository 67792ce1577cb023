--- Vanishing and exploding gradients, seen: model:lags, model:gradient_norms, model:diagnose.
--
-- Everything here looks at the training step that comes next, with its weights, carried state and random masks, and
-- changes none of its bits: it is played by a probe (probe.lua).
--
-- The gradient of step tau's loss in the state k steps before is the quantity whose fate Hochreiter (1991) and Bengio,
-- Simard & Frasconi (1994) describe; norms of the total gradient are a different thing, since every step's
-- own loss adds to it, and tell nothing about how far back one error reaches.
--
-- Not a module of its own: model.lua calls this with the class it adds methods to.

return function (lurn, Model)
  local schema, probes = lurn.schema, lurn.probe

  ---------------------------------------------------------------- states

  local WHERE = {
    layer = {"string", nil, nil, "path of a recurrent layer; the first one by default"},
    state = {"string", nil, nil, "of its states; \"h\" by default, or else the first"},
  }
  local LAGS = {layer = WHERE.layer, state = WHERE.state,
    step = {"integer", nil, {1, 1e9}, "tau, of every row; by default the last of each (backward layers: the first)"}}

  local function names (list)
    local out = {}
    for i, x in ipairs(list) do out[i] = x.name end
    return out
  end

  local function pick (list, name, what, where)
    for _, x in ipairs(list) do if x.name == name then return x end end
    error(("%s: %s (known: %s)"):format(where, schema.unknown("unknown " .. what, name, names(list)),
      table.concat(names(list), ", ")), 4)
  end

  -- The scan and the state that options name.
  local function find (probe, o, where)
    if not probe.scans[1] then error(where .. ": the model has no recurrent layer", 3) end
    local scan = o.layer and pick(probe.scans, o.layer, "layer", where) or probe.scans[1]
    if o.state then return scan, pick(scan.states, o.state, "state", where) end
    for _, s in ipairs(scan.states) do if s.name == "h" then return scan, s end end
    return scan, scan.states[1]
  end

  local function gradient_of (probe, scan, state, where)
    return probe:state("grad", scan.name, state.name)
      or error(("%s: the loss does not depend on %s.%s"):format(where, scan.name, state.name), 3)
  end

  -- Norms of the rows of a gradient (T,B,..), in double: squares of small numbers would leave the range of f32.
  local function row_norms (g)
    local shape = g.shape
    return g:reshape(shape[1], shape[2], -1):norm(3):totable()
  end

  local function root_of_squares (list)
    local largest, sum = 0.0, 0.0
    for _, x in ipairs(list) do largest = x ~= x and x or math.max(largest, x) end
    if not (largest > 0) or largest == math.huge then return largest end
    for _, x in ipairs(list) do sum = sum + (x / largest)^2 end
    return largest * math.sqrt(sum)
  end

  ---------------------------------------------------------------- by lag

  -- For each row the step that starts: the one asked for, or where the scan ends.
  local function starts (batch, step, reverse)
    local list = {}
    for r, length in ipairs(batch.lengths) do list[r] = step or (reverse and 1 or length) end
    return list
  end

  local function chosen_frames (batch, taus)
    local t = lurn.zeros(batch.T, batch.B, 1)
    for r, tau in ipairs(taus) do
      if tau <= batch.lengths[r] then t:set(tau, r, 1, 1) end
    end
    return t
  end

  -- Norms over all rows, entry k + 1 of the step k before tau (after it, in a scan that runs backward).
  local function by_lag (g, lengths, taus, reverse)
    local norms, list = row_norms(g), {}
    for k = 0, #norms - 1 do
      local found = {}
      for r, tau in ipairs(taus) do
        local t = reverse and tau + k or tau - k
        if tau <= lengths[r] and t >= 1 and t <= lengths[r] then found[#found + 1] = norms[t][r] end
      end
      if not found[1] then break end
      list[k + 1] = root_of_squares(found)
    end
    return list
  end

  local function check_step (probe, batch, step, where)
    if not step then return end
    if not probe.per_step then
      error(where .. ": step: this model's loss is no sum over steps, it has one for each sequence", 3)
    end
    if step > batch.T then error(("%s: step: the batch has %d steps, got %d"):format(where, batch.T, step), 3) end
  end

  --- Norms by lag: entry k + 1 is |d L_tau / d h_(tau-k)|, h (B,H) the state of all rows after that step and L_tau the
  -- part of the loss that step tau contributes, as the loss weighs it ("mean": l_tau / N). The sum over tau of these
  -- gradients is the gradient of the loss. Where the loss has no steps (one target for a sequence) all of it counts. In
  -- a backward layer entry k + 1 is of step tau + k.
  ---@param batch any
  ---@param options? {step: integer?, layer: string?, state: string?}
  ---@return number[]
  ---@return string name      of the state: "lstm1.h"
  function Model:lags (batch, options)
    local o = schema.check("model:lags", options, LAGS)
    local probe = probes.take(self)
    local scan, state = find(probe, o, "model:lags")
    check_step(probe, batch, o.step, "model:lags")
    local taus = starts(batch, o.step, scan.reverse)
    probe:play(batch, chosen_frames(batch, taus))
    local g = gradient_of(probe, scan, state, "model:lags")
    probes.give_back(probe)
    return by_lag(g, batch.lengths, taus, scan.reverse), ("%s.%s"):format(scan.name, state.name)
  end

  ---------------------------------------------------------------- in total

  local function by_step (g)
    local list = {}
    for t, norms in ipairs(row_norms(g)) do list[t] = root_of_squares(norms) end
    return list
  end

  --- Norms by step: entry t is |dL / dh_t|, h (B,H) the state of all rows after step t and L the whole loss.
  ---@param batch any
  ---@param options? {layer: string?, state: string?}
  ---@return number[]
  function Model:gradient_norms (batch, options)
    local o = schema.check("model:gradient_norms", options, WHERE)
    local probe = probes.take(self)
    local scan, state = find(probe, o, "model:gradient_norms")
    probe:play(batch)
    local g = gradient_of(probe, scan, state, "model:gradient_norms")
    probes.give_back(probe)
    return by_step(g)
  end

  ---------------------------------------------------------------- spectral radius

  local EXACT = lurn.precision == "f32" and 1e-7 or 1e-11

  --- The largest size of an eigenvalue of a square matrix, from squares alone: a fraction of the time that all the
  -- eigenvalues take. Gelfand 1941: rho(W) = lim |W^n|^(1/n), here for n = 2^k, each power divided by its norm:
  --   ln rho = ln s_0 + ln s_1 / 2 + ln s_2 / 4 + ...,   A_0 = W,  s_k = |A_k|,  A_(k+1) = (A_k / s_k)^2
  -- When s_k hardly changes any more, what is left of the sum is once more its last term. A complex pair keeps
  -- turning; then the terms just become small.
  function lurn.spectral_radius (w)
    local log, n, last = 0.0, 1, 0.0
    for _ = 1, 60 do
      local s = w:norm()
      if not (s > 0) or s == math.huge then return s end      -- some power of it is zero; or it holds a NaN
      local term = math.log(s)
      log = log + term / n
      if n >= 64 and math.abs(term - last) / n < EXACT then return math.exp(log + term / n) end
      w, n, last = w * (1 / s), 2 * n, term
      w = w % w
    end
    return math.exp(log)
  end

  ---------------------------------------------------------------- activations

  local function share_of (counts, frames)
    return counts:sum() / (frames * counts:numel())
  end

  -- Karpathy, Johnson & Li 2015: a gate is saturated below 0.1 or above 0.9; here a tanh is, beyond 0.9 on either side,
  -- and a relu unit is dead when it was zero in all frames of the batch.
  local function saturation (probe, batch)
    local gates, dead = {}, {}
    for _, a in ipairs(probe.activations) do
      local frames = a.axis == "time" and batch.N or a.axis == "row" and batch.B or 1
      local above, beyond = probe:count("above", a), probe:count("beyond", a)
      if a.kind == "relu" then
        dead[a.name] = {share = above:eq(0):sum() / above:numel(), units = above:numel()}
      elseif a.kind == "tanh" then
        gates[a.name] = {kind = a.kind, saturated = share_of(beyond, frames)}
      else
        gates[a.name] = {kind = a.kind, low = 1 - share_of(above, frames), high = share_of(beyond, frames)}
      end
    end
    return gates, dead
  end

  ---------------------------------------------------------------- everything

  ---@class lurn.Diagnosis
  local Diagnosis = {}
  Diagnosis.__index, Diagnosis.__name = Diagnosis, "lurn.Diagnosis"

  local function each_state (probe, f)
    for _, scan in ipairs(probe.scans) do
      for _, state in ipairs(scan.states) do
        local g = probe:state("grad", scan.name, state.name)
        if g then f(("%s.%s"):format(scan.name, state.name), g, scan) end
      end
    end
  end

  local function parameters (probe, d)
    for _, p in ipairs(probe.parameters) do
      d.gradient[p.path], d.weight[p.path] = p.grad:norm(), p.value:norm()
    end
    for _, path in ipairs(probe.recurrent) do
      for _, p in ipairs(probe.parameters) do
        if p.path == path then d.radius[path] = lurn.spectral_radius(p.value) end
      end
    end
  end

  --- All of it for one batch, in two passes forward and backward:
  --   loss                      of the batch
  --   totals[STATE]             list by step, as gradient_norms; STATE is "rnn1.h"
  --   lags[STATE]               list by lag from the last step of each row, as lags; of a backward layer only where
  --                             the loss is one for each sequence
  --   gradient[PATH], weight[PATH]   norms of a parameter's gradient (before any clipping) and of its value
  --   radius[PATH]              spectral radius of the square matrices by which a state is multiplied
  --   gates[NAME]               {kind = "sigmoid", low, high}: shares of outputs below 0.1 and above 0.9;
  --                             {kind = "tanh", saturated}: share beyond 0.9. NAME is "lstm1.f"; "lstm1.c" for tanh(c)
  --   dead[NAME]                {share, units}: of a relu's units those that were zero in every frame
  -- Plain tables; tostring draws them, :metrics() makes numbers by name for run:note.
  ---@param batch any
  ---@return lurn.Diagnosis
  function Model:diagnose (batch)
    local probe = probes.take(self)
    local d = setmetatable({totals = {}, lags = {}, gradient = {}, weight = {}, radius = {}}, Diagnosis)
    d.loss = probe:play(batch)
    each_state(probe, function (name, g) d.totals[name] = by_step(g) end)
    parameters(probe, d)
    d.gates, d.dead = saturation(probe, batch)
    if probe.per_step then probe:play(batch, chosen_frames(batch, starts(batch))) end
    each_state(probe, function (name, g, scan)
      if scan.reverse and probe.per_step then return end
      d.lags[name] = by_lag(g, batch.lengths, starts(batch, nil, scan.reverse), scan.reverse)
    end)
    probes.give_back(probe)
    return d
  end

  local function sorted (t)
    local keys = {}
    for k in next, t do keys[#keys + 1] = k end
    table.sort(keys)
    return ipairs(keys)
  end

  --- Numbers by name, for run:note: "diag/rnn1.Wh.radius", "diag/rnn1.Wh.grad", "diag/lstm1.f.low", ".high",
  -- "diag/lstm1.g.saturated", "diag/rnn1.dead", "diag/rnn1.h.lag16" (0, 1, 2, 4, ...), "diag/rnn1.h.total_first" and
  -- "total_last" (of the first and the last step).
  ---@return table<string, number>
  function Diagnosis:metrics ()
    local out = {}
    local function put (name, what, x) out[("diag/%s.%s"):format(name, what)] = x end
    for path, x in next, self.gradient do put(path, "grad", x) end
    for path, x in next, self.radius do put(path, "radius", x) end
    for name, g in next, self.gates do
      for _, what in ipairs {"low", "high", "saturated"} do if g[what] then put(name, what, g[what]) end end
    end
    for name, g in next, self.dead do put(name, "dead", g.share) end
    for name, list in next, self.totals do
      put(name, "total_first", list[1])
      put(name, "total_last", list[#list])
    end
    for name, list in next, self.lags do
      put(name, "lag0", list[1])
      local k = 1
      while k < #list do
        put(name, "lag" .. k, list[k + 1])
        k = 2 * k
      end
    end
    return out
  end

  ---------------------------------------------------------------- as text

  local MOST_BARS = 16

  -- So many entries of a list as rows for bars, evenly spaced, the first and the last among them. `first` is the
  -- number of the first.
  local function rows_of (list, label, first)
    local rows, n = {}, math.min(#list, MOST_BARS)
    for i = 1, n do
      local k = n == 1 and 0 or (i - 1) * (#list - 1) // (n - 1)
      rows[i] = {("%s %d"):format(label, first + k), list[k + 1]}
    end
    return rows
  end

  local function section (lines, title, rows, options)
    if not rows[1] then return end
    lines[#lines + 1] = title
    lines[#lines + 1] = lurn.plot.bars(rows, options)
  end

  local function numbers (t)
    local rows = {}
    for i, k in sorted(t) do rows[i] = {k, t[k]} end
    return rows
  end

  local function percent (x) return ("%5.1f %%"):format(100 * x) end

  local function gate_lines (lines, gates, dead)
    if next(gates) or next(dead) then lines[#lines + 1] = "activations" end
    for _, name in sorted(gates) do
      local g = gates[name]
      lines[#lines + 1] = g.kind == "sigmoid" and ("  %-16s sigmoid  below 0.1 %s   above 0.9 %s"):format(name,
        percent(g.low), percent(g.high)) or ("  %-16s tanh     beyond 0.9 %s"):format(name, percent(g.saturated))
    end
    for _, name in sorted(dead) do
      lines[#lines + 1] = ("  %-16s relu     dead %s of %d units"):format(name, percent(dead[name].share),
        dead[name].units)
    end
  end

  --- For a terminal: gradients by lag and by step on logarithmic axes, then parameters and activations.
  function Diagnosis:__tostring ()
    local lines = {("loss %.6g"):format(self.loss)}
    for _, name in sorted(self.lags) do
      section(lines, name .. ": gradient of the last step's loss, by lag", rows_of(self.lags[name], "lag", 0),
        {log = true})
    end
    for _, name in sorted(self.totals) do
      section(lines, name .. ": gradient of the whole loss, by step", rows_of(self.totals[name], "step", 1),
        {log = true})
    end
    section(lines, "gradient norm of each parameter", numbers(self.gradient), {log = true})
    section(lines, "spectral radius", numbers(self.radius))
    gate_lines(lines, self.gates, self.dead)
    return table.concat(lines, "\n")
  end
end
