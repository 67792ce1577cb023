--- Probes: a model's program once more, as a player of its own, with more outputs and one more input.
--
-- A program is text, and so is a probe of it: the lines of the model and a few others. It has
--   loss              the part of the loss that the frames with `probe` = 1 have; with 1 everywhere all of it
--   grad:SCAN.STATE   (T,B,H) that loss's whole gradient in a state's value after each step
--   value:SCAN.STATE  (T,B,H) that value
--   above:R, beyond:R (H) in how many frames each unit of the activation in register R is above a bound
-- It has copies of the weights, gradients and a carried state of its own: whatever is probed, a training step
-- before and after it has the same bits as without it.

return function (lurn)
  local core = lurn.core
  local M = {}

  ---------------------------------------------------------------- reading a program

  local readers = {}

  function readers.param (p, _, out, path, shape) p.def[out] = {param = path, shape = shape} end
  function readers.input (p, _, out, _, _, axis) p.def[out] = {axis = axis} end
  function readers.output (p, _, name, r) p.outputs[name] = r end

  function readers.scan (p, _, way, name)
    p.scan = {name = name, reverse = way:find "^backward" ~= nil, axis = "time" .. (way:match "%d" or ""), states = {}}
    table.insert(p.scans, p.scan)
  end

  function readers.state (p, _, out, name, _, init)
    p.def[out] = {axis = p.scan.axis, state = name, scan = p.scan, args = {init}}
    table.insert(p.scan.states, {name = name, out = out})
  end

  function readers.next (p, _, name, r)
    for _, s in ipairs(p.scan.states) do
      if s.name == name then s.next, p.def[s.out].args[2] = r, r end
    end
  end

  readers["end"] = function (p) p.scan = nil end

  local function read_instruction (p, line, out)
    local op, operands, k = line:match "= (%S+)([^%[]*)%[(%S+)"
    local args = {}
    for r in operands:gmatch "r%d+" do args[#args + 1] = r end
    p.def[out] = {op = op, args = args, k = tonumber(k), axis = line:match "# (%w+)", scan = p.scan, line = line}
    table.insert(p.order, out)
  end

  -- What the text of a forward program says: def (register -> {op, args, k, axis, scan}, {param}, {state}), order (of
  -- the instructions), scans, outputs.
  local function read (text)
    local p = {text = text, def = {}, order = {}, scans = {}, outputs = {}, most = 0}
    for r in text:gmatch "r(%d+)" do p.most = math.max(p.most, tonumber(r)) end
    for line in text:gmatch "[^\n]+" do
      local words = {}
      for w in line:gmatch "%S+" do words[#words + 1] = w end
      if words[2] == "=" then read_instruction(p, line, words[1])
      elseif readers[words[1]] then readers[words[1]](p, table.unpack(words)) end
    end
    return p
  end

  -- Whether a parameter has a part in register r.
  local function learns (p, r, seen)
    local d = p.def[r]
    if d.param then return true end
    if seen[r] then return false end
    seen[r] = true
    for _, a in ipairs(d.args or {}) do if learns(p, a, seen) then return true end end
    return false
  end

  -- Instructions that add up something of every step on the way to register r: a loss's sums over frames.
  local function totals (p, r, seen, found)
    local d = p.def[r]
    if seen[r] then return found end
    seen[r] = true
    if d.op == "total" and p.def[d.args[1]].axis == "time" and learns(p, d.args[1], {}) then
      found[r] = true
      return found
    end
    for _, a in ipairs(d.args or {}) do totals(p, a, seen, found) end
    return found
  end

  ---------------------------------------------------------------- activations and their names

  -- A maximum with zero that is no part of another activation: ELU and softplus also take the minimum or |x|.
  local function is_relu (p, out, d)
    if d.op ~= "max_imm" or d.k ~= 0 then return false end
    for _, r in ipairs(p.order) do
      local other = p.def[r]
      if (other.op == "min_imm" or other.op == "abs") and (other.args[1] == d.args[1] or other.args[1] == out) then
        return false
      end
    end
    return true
  end

  local function kind_of (p, out)
    local d = p.def[out]
    if d.op == "sigmoid" or d.op == "tanh" then return d.op end
    return is_relu(p, out, d) and "relu" or nil
  end

  -- The block of parameters that feeds an activation without another one in between, "lstm1.f": that of a product's
  -- weights, before that of any other.
  local function block_of (p, r, products)
    local d = p.def[r]
    if d.param then return not products and d.param:match "^(.*)%.[^.]*$" or nil end
    if d.state or not d.args or kind_of(p, r) then return nil end
    local weights = d.op == "product" and p.def[d.args[#d.args]].param
    if weights then return weights:match "^(.*)%.[^.]*$" end
    for _, a in ipairs(d.args) do
      local block = block_of(p, a, products)
      if block then return block end
    end
  end

  local function state_of (p, r)
    for _, scan in ipairs(p.scans) do
      for _, s in ipairs(scan.states) do if s.next == r then return scan.name .. "." .. s.name end end
    end
  end

  -- An activation is called after the parameters that feed it, "lstm1.f", or the state that it squashes, "lstm1.c".
  local function name_of (p, out)
    local d = p.def[out]
    local x = d.args[1]
    return block_of(p, x, true) or block_of(p, x) or state_of(p, x) or (d.scan and d.scan.name .. "." .. d.op) or d.op
  end

  -- All activations: {name, kind, r}. A name that comes again is numbered.
  local function activations (p)
    local list, seen = {}, {}
    for _, r in ipairs(p.order) do
      local kind = kind_of(p, r)
      if kind then
        local name = name_of(p, r)
        seen[name] = (seen[name] or 0) + 1
        if seen[name] > 1 then name = name .. ":" .. seen[name] end
        list[#list + 1] = {name = name, kind = kind, r = r, axis = p.def[r].axis}
      end
    end
    return list
  end

  -- Whether a state of the scan reaches register r within one step.
  local function recurs (p, r, scan)
    local d = p.def[r]
    if d.state or d.scan ~= scan then return d.state ~= nil and d.scan == scan end
    for _, a in ipairs(d.args) do if recurs(p, a, scan) then return true end end
    return false
  end

  -- Paths of the square matrices by which a state is multiplied.
  local function recurrent (p)
    local list = {}
    for _, r in ipairs(p.order) do
      local d = p.def[r]
      local x, w = d.args[#d.args - 1], p.def[d.args[#d.args]]
      local rows, cols = (w and w.shape or ""):match "^%((%d+),(%d+)%)$"
      if d.op == "product" and d.scan and rows and rows == cols and recurs(p, x, d.scan) then
        list[#list + 1] = w.param
      end
    end
    table.sort(list)
    return list
  end

  ---------------------------------------------------------------- writing the probe

  local BOUNDS = {sigmoid = {above = 0.1, beyond = 0.9}, tanh = {beyond = 0.9}, relu = {above = 0}}
  M.bounds = BOUNDS

  local function new (p)
    p.most = p.most + 1
    return "r" .. p.most
  end

  -- Lines that count, for each unit of an activation, the frames in which it is above (for sigmoid: at least) its
  -- bounds. A tanh counts by its size.
  local function count (p, a, add)
    local x = a.r
    if a.kind == "tanh" then
      x = new(p)
      add("%s = abs %s [0 0 0]", x, a.r)
    end
    for what, k in next, BOUNDS[a.kind] do
      local hit, sum = new(p), new(p)
      add("%s = %s %s [%.17g 0 0]", hit, what == "above" and a.kind == "sigmoid" and "ge_imm" or "gt_imm", x, k)
      add("%s = colsum - %s [0 0 0]", sum, hit)
      table.insert(p.counts, ("output %s:%s %s"):format(what, a.r, sum))
    end
  end

  -- A register with the sum of r's columns.
  local function column (p, r, add)
    if p.def[r].line:find "# %a+ %(1%)" then return r end
    local sum = new(p)
    add("%s = rowsum %s [0 0 0]", sum, r)
    return sum
  end

  -- The model's text with the loss's sums over frames taken of the probed frames only. They are selected, so that a
  -- frame which does not count may hold anything.
  local function write (p)
    local lines, probe, zero = {}, new(p), new(p)
    local function add (...) lines[#lines + 1] = string.format(...) end
    local sums, started, ended = p.outputs.loss and totals(p, p.outputs.loss, {}, {}) or {}, false, false
    p.counts, p.per_step = {}, next(sums) ~= nil
    for line in p.text:gmatch "[^\n]+" do
      local first = line:match "%S+"
      if not started and first ~= "lurn" and first ~= "param" and first ~= "input" then
        add("input %s probe real time (1)", probe)
        add("%s = fill [0 1 0]", zero)
        started = true
      end
      if not ended and first == "output" then
        for _, a in ipairs(p.activations) do count(p, a, add) end
        ended = true
      end
      if sums[first] then
        local x, chosen = column(p, p.def[first].args[1], add), new(p)
        add("%s = where %s %s %s [0 0 0]", chosen, probe, x, zero)
        add("%s = total %s [0 0 0]", first, chosen)
      else add("%s", line) end
    end
    return table.concat(lines, "\n") .. "\n" .. table.concat(p.counts, "\n") .. "\n"
  end

  ---------------------------------------------------------------- playing

  ---@class lurn.Probe
  ---@field scans table[]         {name, reverse, states = {{name}}} of the model
  ---@field activations table[]   {name, kind = "sigmoid"|"tanh"|"relu", r, axis}
  ---@field recurrent string[]    paths of the square matrices by which states are multiplied
  ---@field per_step boolean      the loss is a sum over steps
  local Probe = {}
  Probe.__index = Probe

  --- The probe of a model, made once, taken away until it is given back: who probes while another use of it is paused
  -- gets one of their own.
  ---@return lurn.Probe
  function M.take (model)
    local kept = model.probe
    model.probe = nil
    if kept then return kept end
    local p = read(model:source_text())
    p.activations = activations(p)
    local native = core.model(assert(core.parse(write(p))))
    return setmetatable({model = model, native = native, scans = p.scans, activations = p.activations,
      per_step = p.per_step, recurrent = recurrent(p), parameters = native:parameters(),
      player = native:player {grad = true, grad_states = true, carry = not model.info.no_carry}}, Probe)
  end

  --- Gives it back for the next use.
  ---@param probe lurn.Probe
  function M.give_back (probe) probe.model.probe = probe end

  -- The weights and the carried state of the model as the next training step will find them.
  local function take (self)
    for k, p in ipairs(self.model:parameters()) do self.parameters[k].value:copy(p.value) end
    self.native:touch()
    self.player:setstate(self.model.train_player and self.model.train_player:state() or {})
  end

  --- A forward and a backward pass of the loss that the chosen frames have; returns it. Random masks are those
  -- of the training step that comes next.
  ---@param batch any
  ---@param chosen any   (T,B,1), 1 where a frame counts; without it all do
  function Probe:play (batch, chosen)
    local model = self.model
    take(self)
    local with = core.batch {from = batch, probe = chosen or lurn.ones(batch.T, batch.B, 1)}
    return (lurn.patience.attempt_both(self.player, 3, with, model.seed, model.step_count, "train"))
  end

  --- Of the last pass: "grad" or "value" of a state, (T,B,H); nil when the loss does not depend on it.
  function Probe:state (what, scan, state) return self.player:output(("%s:%s.%s"):format(what, scan, state)) end

  --- Of the last pass: in how many frames each unit of an activation was "above" or "beyond" its bound, (H).
  function Probe:count (what, activation) return self.player:output(what .. ":" .. activation.r) end

  return M
end
