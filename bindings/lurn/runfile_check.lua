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

---@param file table                  as far as the header goes
---@param damaged fun(what: string)   does not return
return function (file, damaged)
  local function need (fine, what) if not fine then damaged(what) end end
  need(math.type(file.seed) == "integer", "the seed is not an integer")
  need(file.precision == "f32" or file.precision == "f64", "the precision is neither f32 nor f64")
  need(type(file.config) == "table" and type(file.params) == "table", "/config: no parameters")
  need(type(file.manifest) == "table", "/manifest: not a table")
  need(file.lineage == nil or type(file.lineage) == "table", "/lineage: not a table")
  check_counters(file.counters, need)
end
