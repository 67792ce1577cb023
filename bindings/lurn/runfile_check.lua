--- What a resume counts on, of the attributes and the JSON of a run file. Anybody may have written them: a stranger, a
-- disk that fails, an editor. runfile.lua calls this with what it has read.

local function whole (x) return math.type(x) == "integer" and x >= 0 end

local function check_counters (c, need)
  need(type(c) == "table" and whole(c.steps), "/counters: no number of steps")
  need(type(c.random) == "table" and type(c.random.name) == "string" and whole(c.random.i),
    "/counters: no place in the random stream")
  need(type(c.seconds) == "number" and whole(c.live_bytes), "/counters: seconds or live_bytes are missing")
  need(type(c.loops) == "table", "/counters: no loops")
  for k, loop in ipairs(c.loops) do
    need(type(loop) == "table" and whole(loop.done), ("/counters: loop %d says no number of iterations"):format(k))
  end
  local r = c.rotation
  if r == nil then return end
  need(type(r) == "table" and whole(r.most) and type(r.steps) == "table", "/counters: no list of kept checkpoints")
  for _, step in ipairs(r.steps) do need(whole(step), "/counters: a kept checkpoint without a step") end
end

local function is (kind, value) return value == nil or type(value) == kind end

-- Of the manifest what is read of it again; the rest is for people.
local function check_manifest (m, need)
  need(type(m) == "table", "/manifest: not a table")
  need(is("string", m.engine) and is("string", m.folder), "/manifest: engine or folder is not a text")
  need(is("table", m.data) and is("table", m.files) and is("table", m.attempts),
    "/manifest: data, files or attempts are no lists")
  for _, source in ipairs(m.data or {}) do
    need(type(source) == "table" and is("string", source.path) and is("string", source.hash),
      "/manifest: a data set without path or hash")
    for _, how in ipairs {"text", "csv", "npy", "npz", "idx"} do
      need(is("table", source[how]), "/manifest: how data were read is not a table")
    end
  end
  for _, attempt in ipairs(m.attempts or {}) do
    need(type(attempt) == "table", "/manifest: an attempt is not a table")
  end
end

local function check_lineage (l, need)
  if l == nil then return end
  need(type(l) == "table" and (l.kind == "fork" or l.kind == "init"), "/lineage: neither a fork nor an init")
  need(type(l.file) == "string" and whole(l.step) and type(l.digest) == "table", "/lineage: no file, step or digest")
  for _, hex in ipairs(l.digest) do need(type(hex) == "string", "/lineage: a digest is not a text") end
end

local function check_params (params, need)
  for name in next, params do need(type(name) == "string", "/config: a parameter without a name") end
end

---@param file table                  as far as the header goes
---@param damaged fun(what: string)   does not return
return function (file, damaged)
  local function need (fine, what) if not fine then damaged(what) end end
  need(math.type(file.seed) == "integer", "the seed is not an integer")
  need(file.precision == "f32" or file.precision == "f64", "the precision is neither f32 nor f64")
  need(type(file.config) == "table" and type(file.params) == "table", "/config: no parameters")
  check_params(file.params, need)
  check_manifest(file.manifest, need)
  check_lineage(file.lineage, need)
  check_counters(file.counters, need)
end
