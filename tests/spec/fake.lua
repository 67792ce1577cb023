-- A stand-in for the engine: tensors, files, signals and a model of three numbers in plain Lua. With it
-- the Lua half (runs, checkpoints, policies) is tested without the native module, and things can
-- be made to happen that a real engine does rarely: a NaN at step 7, Ctrl-C in mid-step, a full disk.

local M = {}

local Tensor = {}
Tensor.__index = Tensor
function Tensor:copy (from) table.move(from.values, 1, #from.values, 1, self.values) return self end
function Tensor:clone () return M.tensor(table.move(self.values, 1, #self.values, 1, {})) end
function Tensor:totable () return self.values end
function M.tensor (values) return setmetatable({values = values}, Tensor) end

-- One JSON document per file; written under another name and renamed, as the real one.
local function fake_h5 (lurn)
  local h5 = {full = false}
  function h5.create (path)
    local d = {objects = {}, attributes = {["/"] = {}}}
    local w = setmetatable({}, {__close = function () end})
    function w.write (_, name, value)
      d.objects[name] = getmetatable(value) == Tensor and {tensor = value.values} or {plain = value}
      return true
    end
    function w.attr (_, object, key, value)
      d.attributes[object] = d.attributes[object] or {}
      d.attributes[object][key] = value
      return true
    end
    function w.commit ()
      if h5.full then return nil, path .. ": no space left on device", "EIO" end
      local f = assert(io.open(path .. ".tmp", "w"))
      f:write(lurn.json.encode(d))
      f:close()
      return os.rename(path .. ".tmp", path)
    end
    return w
  end
  function h5.open (path)
    local f, message = io.open(path)
    if not f then return nil, message, "EIO" end
    local d = lurn.json.decode(f:read("a"), {nonfinite = true})
    f:close()
    if not d then return nil, path .. ": not an HDF5 file", "EFORMAT" end
    local r = setmetatable({}, {__close = function () end})
    function r.read (_, name)
      local o = d.objects[name]
      if not o then return nil, name .. " is missing", "EFORMAT" end
      return o.tensor and M.tensor(o.tensor) or o.plain
    end
    function r.shape (_, name)
      if d.objects[name] then return {}, d.objects[name].tensor and "f64" or "text" end
      return nil, "group"
    end
    function r.exists (_, name)
      if d.objects[name] then return true end
      for k in pairs(d.objects) do if k:sub(1, #name + 1) == name .. "/" then return true end end
      return false
    end
    function r.list (_, group)
      local names, seen, prefix = {}, {}, group == "/" and "/" or group .. "/"
      for k in pairs(d.objects) do
        local name = k:sub(1, #prefix) == prefix and k:sub(#prefix + 1):match("^[^/]+")
        if name and not seen[name] then
          seen[name] = true
          names[#names + 1] = name
        end
      end
      table.sort(names)
      return names
    end
    function r.attr (_, object, key) return (d.attributes[object] or {})[key] end
    function r.attrs (_, object) return d.attributes[object] or {} end
    return r
  end
  return h5
end

-- w minimises (w . x - y)^2 while h carries half of the last output on.
local Model = {}
Model.__index = Model
function Model:init (seed)
  for i = 1, 3 do self.w.values[i] = math.sin(seed * 10 + i) end
end
function Model:parameters () return {{path = "fake.w", value = self.w, grad = self.g}} end
function Model.program () return "fake program of training" end
function Model:source_text () return self.text or "fake program\nmade of three numbers\n" end
function Model:blame () return self.wrong end
function Model.rollback () end      -- h changes at the end of a step only
function Model:state () return self.h and {h = M.tensor {self.h}} or {} end
function Model:setstate (state) self.h = state.h.values[1] end
function Model:resetstate () self.h = nil end
local function output (self, batch, h)
  local w = self.w.values
  return w[1] * batch.x + w[2] * batch.x^2 + w[3] * (h or 0)
end
function Model:forward (batch)
  local lurn = self.lurn
  if lurn.signal.stop() then error(lurn.interrupted, 0) end
  self.seen = (self.seen or 0) + 1
  if self.on_forward then self.on_forward(self.seen, batch) end
  self.last, self.out = batch, output(self, batch, batch.carry and self.h or 0)
  if self.nan_at and self.nan_at[self.seen] then return 0 / 0 end
  return (self.out - batch.y)^2
end
function Model:backward ()
  local b, d = self.last, 2 * (self.out - self.last.y)
  self.g.values = {d * b.x, d * b.x^2, d * (b.carry and self.h or 0)}
end
function Model:evaluate (split)
  local sum = 0
  for i = 1, 4 do sum = sum + (output(self, split.item(i), 0) - split.item(i).y)^2 end
  if self.on_evaluate then self.on_evaluate() end
  return {loss = sum / 4, count = 4}
end

function M.model (lurn)
  local self = setmetatable({lurn = lurn, w = M.tensor {0, 0, 0}, g = M.tensor {0, 0, 0}}, Model)
  if lurn.current then lurn.current:adopt("model", self) end
  return self
end

local Optim = {}
Optim.__index = Optim
function Optim:step ()
  local model, norm = self.model, 0
  for i = 1, 3 do norm = norm + model.g.values[i]^2 end
  self.steps = self.steps + 1
  local lr = self.lr * (1 - (self.steps - 1) / self.total)
  for i = 1, 3 do
    self.m.values[i] = 0.9 * self.m.values[i] + model.g.values[i]
    model.w.values[i] = model.w.values[i] - lr * self.m.values[i]
  end
  model.h = model.out / 2
  if self.committed then self.committed() end
  return math.sqrt(norm)
end
function Optim.report () end      -- nothing here follows a plateau
function Optim:save ()
  return {numbers = {steps = self.steps, lr = self.lr, total = self.total}, tensors = {momentum = self.m}}
end
function Optim:load (saved)
  self.steps, self.lr, self.total = saved.numbers.steps, saved.numbers.lr, saved.numbers.total
  self.m:copy(saved.tensors.momentum)
end

function M.optim (lurn, model, lr)
  local self = setmetatable({lurn = lurn, model = model, lr = lr or 0.01, steps = 0, m = M.tensor {0, 0, 0}}, Optim)
  if lurn.current then lurn.current:adopt("optim", self) end
  return self
end

-- A split of `n` batches an epoch; the order depends on the epoch, the content on the place only.
function M.split (n)
  local split = {}
  function split.item (i) return {x = math.sin(i), y = math.cos(i), carry = i > 1, frames = 5} end
  function split.feed () return {steps = n, batch = function (_, epoch, i)
    local b = split.item((i + epoch) % n + 1)
    b.carry = i > 1
    return b
  end} end
  return split
end

--- A lurn with the Lua half and this engine. Every call makes a new, independent one.
function M.new ()
  local lurn = {precision = "f64", version = "0", interrupted = setmetatable({}, {__tostring = function ()
    return "interrupted" end})}
  local function part (name) lurn[name] = dofile(assert(package.searchpath("lurn." .. name, package.path)))(lurn) end
  local pending, held
  lurn.signal = {install = function () end, restore = function () end, pending = function () return pending end,
    pause = function () return false end,
    hold = function (yes) held = yes end, clear = function () pending, held = nil, nil end,
    raise = function (name) pending = name end, stop = function () return pending and not held end}
  lurn.sys = {clock = os.clock, mkdir = function (path) return os.execute("mkdir -p '" .. path .. "'") end,
    isatty = function () return false end, pid = function () return 1 end, identity = function () end,
    sha256 = function (...)
      local sum = 0
      for _, piece in ipairs {...} do
        if type(piece) == "table" then piece = table.concat(piece.values, " ") end
        sum = (31 * sum + #piece * 65537 + (piece:byte(-1) or 0)) % 2^32
      end
      return ("%08x"):format(sum // 1 | 0)
    end,
    lock = function () return {release = function () end} end}
  lurn.core = {rng = {
    uniform = function (seed, _, name, i) return math.abs(math.sin(seed + #name + i * 1.7)) % 1 end,
    below = function (seed, _, name, i, n) return math.floor(math.abs(math.sin(seed + #name + i)) * 1e6) % n end}}
  lurn.data = {}
  for _, name in ipairs {"schema", "json", "shell", "quantity", "screen", "experiment", "progress", "repro", "lock",
                         "manifest", "runfile", "patience", "run", "watch", "lineage", "spike", "targets", "fit",
                         "sample"} do
    part(name)
  end
  lurn.h5 = fake_h5(lurn)
  return lurn
end

return M
