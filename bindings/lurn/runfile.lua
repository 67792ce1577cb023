--- The run file: everything a run is, in one HDF5 document that is written whole or not at all.
--
--   /                 attributes: format, version, name, status, created, updated, seed, precision,
--                     best_value, best_step, steps, seconds
--   /config           JSON: direction, params
--   /manifest         JSON: versions, machine, data, command, git, attempts: see manifest.lua
--   /counters         JSON: steps, loops (the cursor), random stream, seconds
--   /run_state        JSON: run.state
--   /lineage          JSON: the run that this one comes from, see lineage.lua
--   /script/text      the script; attribute path; /script/lua/NAME the Lua files it required
--   /program          the model as text: what sampling and evaluation build it from; /program_train is what training
--                     played. Attribute sha256 of each
--   /weights/PATH     parameters as they are      /best/PATH    those of the best evaluation
--   /optim/NAME       moments, once there was a step; /optim/numbers JSON
--   /state/NAME       carried state
--   /first/PATH       what a run with first weights of another one (option init) began with
--                     attribute sha256 of these five groups: of their tensors, see runfile_tensors.lua
--   /metrics/NAME/step, /metrics/NAME/value
--   /digests/step, /digests/hex   the chain of run_digest.lua
--   /data/vocabulary  one token a line, in hexadecimal; attribute level: char or byte
--
-- A second model is in /program_2, /program_train_2, /weights_2, /best_2, /state_2, a second optimiser in /optim_2, and
-- so on. Beside the file, NAME.jsonl gets a line for every call of run:log while the run plays.

local check = require "lurn.runfile_check"

return function (lurn)
  local copy = require "lurn.h5_copy" (lurn)
  local M = {}

  M.format, M.version = "lurn run", 1

  local function suffix (k) return k == 1 and "" or "_" .. k end

  -- Inside this file the outside world's answers nil, message, code become errors that `guarded` turns
  -- back, so that the code below reads as a list of what is in the file.
  local World = {}

  local function try (ok, message, code)
    if ok == nil or ok == false then error(setmetatable({message = message, code = code}, World), 0) end
    return ok
  end

  local function guarded (f, ...)
    local ok, a = pcall(f, ...)
    if ok then return a end
    if getmetatable(a) == World then return nil, a.message, a.code end
    error(a, 0)
  end

  local function damaged (path, what, ...)
    try(nil, ("%s: damaged run file: %s"):format(path, what:format(...)), "EFORMAT")
  end

  -- What is there must be whole: a message of the reader is the message of the file.
  local function read (r, name)
    return r:exists(name) and try(r:read(name)) or nil
  end

  local function read_json (r, path, name)
    local text = read(r, name)
    if type(text) ~= "string" then damaged(path, "%s is missing", name) end
    local value, message = lurn.json.decode(text, {nonfinite = true})
    if value == nil then damaged(path, "%s: %s", name, message) end
    return value
  end

  local tensors = require "lurn.runfile_tensors" (lurn, try, damaged)

  ---------------------------------------------------------------- what goes into the file

  local function counters (run)
    local loops = {}
    for k, loop in ipairs(run.loops) do
      loops[k] = {done = loop.done, total = loop.total, ended = loop.ended}
    end
    local b = run.boundary
    return {steps = run.done, loops = loops, random = b.random or {name = "", i = 0}, seconds = run:seconds(),
      live_bytes = b.live_bytes or 0, rotation = run.rotation}
  end

  ---------------------------------------------------------------- writing

  local function write_text (w, name, text)
    if text and #text > 0 then try(w:write(name, text)) end
  end

  local function write_json (w, name, value)
    try(w:write(name, lurn.json.encode(value, {indent = true, name = name})))
  end

  -- A program is what weights mean; the digest beside it tells a text that was damaged or edited.
  local function write_program (w, name, text)
    write_text(w, name, text)
    try(w:attr(name, "sha256", lurn.sys.sha256(text)))
  end

  local function write_model (w, run, k)
    local model, s, weights = run.models[k], suffix(k), {}
    write_program(w, "/program" .. s, model:source_text())
    write_program(w, "/program_train" .. s, model:program())
    for _, p in ipairs(model:parameters()) do weights[p.path] = p.value end
    tensors.write(w, "/weights" .. s, weights)
    tensors.write(w, "/state" .. s, model:state() or {})
    tensors.write(w, "/best" .. s, run.best.weights and run.best.weights[k] or {})
    tensors.write(w, "/first" .. s, run.first[k] or {})
  end

  local function write_optim (w, optim, k)
    local saved, s = optim:save(), suffix(k)
    write_json(w, "/optim" .. s .. "/numbers", saved.numbers)
    tensors.write(w, "/optim" .. s, saved.tensors)
  end

  -- A step that was abandoned may have logged already; such points are not part of the state.
  local function write_series (w, name, series, steps)
    local n = #series.step
    while n > 0 and series.step[n] > steps do n = n - 1 end
    if n == 0 then return end
    local group = "/metrics/" .. name:gsub("/", ".")
    try(w:write(group .. "/step", table.move(series.step, 1, n, 1, {})))
    try(w:write(group .. "/value", table.move(series.value, 1, n, 1, {}), {type = "f64"}))
    if name:find "/" then try(w:attr(group, "name", name)) end
  end

  local function write_script (w, run)
    write_text(w, "/script/text", run.experiment.script)
    if run.experiment.script then try(w:attr("/script/text", "path", run.experiment.path)) end
    for name, text in next, lurn.manifest.required(run) do write_text(w, "/script/lua/" .. name, text) end
  end

  local function write_attributes (w, run, status)
    local attributes = {format = M.format, version = M.version, name = run.experiment.name, status = status,
      created = run.created, updated = lurn.manifest.date(), seed = run.seed, steps = run.done,
      precision = lurn.precision, seconds = run:seconds(), best_value = run.best.value, best_step = run.best.step}
    for key, value in next, attributes do try(w:attr("/", key, value)) end
  end

  local function write_vocabulary (w, run)
    for _, data in ipairs(run.datasets) do
      if data.vocab then
        try(w:write("/data/vocabulary", M.vocabulary_text(data.vocab)))
        try(w:attr("/data/vocabulary", "level", data.level or "char"))
        return
      end
    end
  end

  local function write_digests (w, chain)
    if #chain.step == 0 then return end
    try(w:write("/digests/step", chain.step))
    try(w:write("/digests/hex", table.concat(chain.hex, "\n")))
  end

  local function write_all (run, status)
    local folder = run.path:match("^(.*)/[^/]*$")
    if folder then try(lurn.sys.mkdir(folder)) end
    local w <close> = try(lurn.h5.create(run.path))
    write_attributes(w, run, status)
    write_json(w, "/config", {direction = run.experiment.direction, params = run.params})
    write_json(w, "/manifest", lurn.manifest.renew(run, status))
    write_json(w, "/counters", counters(run))
    if run.lineage then write_json(w, "/lineage", run.lineage) end
    write_json(w, "/run_state", run.boundary.state or {})
    write_script(w, run)
    for k in ipairs(run.models) do write_model(w, run, k) end
    for k, optim in ipairs(run.optims) do write_optim(w, optim, k) end
    for name, series in next, run.metrics do write_series(w, name, series, run.done) end
    write_digests(w, run.digests)
    write_vocabulary(w, run)
    try(w:commit())
    return true
  end

  --- Renews the file of a run from the state of its last boundary: true, or nil, message, code.
  ---@param run lurn.Run
  ---@param status string
  function M.write (run, status)
    return guarded(write_all, run, status)
  end

  local function mark_all (path, status)
    local r <close> = try(copy.h5().open(path))
    local w <close> = try(copy.h5().create(path))
    local manifest = read_json(r, path, "/manifest")
    local attempt = manifest.attempts[#manifest.attempts]
    local now = lurn.manifest.date()
    attempt["end"], attempt.status = now, status
    copy.group(r, "", w, "", "/manifest")
    copy.attributes(r, "/", w, "/")
    write_json(w, "/manifest", manifest)
    try(w:attr("/", "status", status))
    try(w:attr("/", "updated", now))
    try(w:commit())
    return true
  end

  --- Says in a run file how the run ended, and leaves the state that it holds, which is an earlier one: true, or nil,
  -- message, code. For ends at which the state in memory is one that cannot be resumed.
  ---@param path string
  ---@param status string
  function M.mark (path, status)
    local ok, done, message, code = pcall(guarded, mark_all, path, status)
    if ok then return done, message, code end
    return nil, tostring(done)
  end

  ---------------------------------------------------------------- the vocabulary

  --- Tokens may be any bytes, which JSON text cannot say: one token a line, in hexadecimal.
  function M.vocabulary_text (tokens)
    local lines = {}
    for i, token in ipairs(tokens) do
      lines[i] = token:gsub(".", function (c) return ("%02x"):format(c:byte()) end)
    end
    return table.concat(lines, "\n")
  end

  local function vocabulary_list (text)
    local list = {}
    for line in (text .. "\n"):gmatch("(.-)\n") do
      list[#list + 1] = line:gsub("%x%x", function (h) return string.char(tonumber(h, 16)) end)
    end
    return list
  end

  ---------------------------------------------------------------- reading

  -- Text and digest of a program, or nil.
  local function read_program (r, path, name)
    local text = read(r, name)
    if text == nil then return nil end
    local digest = r:attr(name, "sha256")
    if digest and digest ~= lurn.sys.sha256(text) then
      damaged(path, "%s is not the text its digest was made of", name)
    end
    return text, digest
  end

  local function read_models (r, file)
    file.best.weights = r:exists("/best") and {} or nil
    for k = 1, 1000 do
      local s = suffix(k)
      if not r:exists("/weights" .. s) then break end
      local model = {weights = tensors.read(r, file, "/weights" .. s),
        state = tensors.read(r, file, "/state" .. s)}
      model.program, model.digest = read_program(r, file.path, "/program" .. s)
      model.train_program, model.train_digest = read_program(r, file.path, "/program_train" .. s)
      if not model.program then damaged(file.path, "/program%s is missing", s) end
      file.models[k] = model
      if r:exists("/first" .. s) then file.first[k] = tensors.read(r, file, "/first" .. s) end
      if r:exists("/best" .. s) then file.best.weights[k] = tensors.read(r, file, "/best" .. s) end
    end
    for k = 1, 1000 do
      local group = "/optim" .. suffix(k)
      if not r:exists(group) then break end
      file.optims[k] = {numbers = read_json(r, file.path, group .. "/numbers"),
        tensors = tensors.read(r, file, group, "numbers")}
    end
  end

  local function list_of (r, path, array)
    local values = try(r:read(array))
    if type(values) == "userdata" then values = values:totable() end
    if type(values) ~= "table" or not (values[1] == nil or type(values[1]) == "number") then
      damaged(path, "%s is no list of numbers", array)
    end
    return values
  end

  -- Metrics are doubles. Tensors of the f32 module would round them, so the f64 module reads them.
  local function read_metrics (r, file)
    if not r:exists("/metrics") then return end
    local h5 = lurn.h5
    if lurn.precision == "f32" then h5 = require("lurn.f64").h5 end
    local r64 <close> = try(h5.open(file.path))
    for _, name in ipairs(try(r:list("/metrics"))) do
      local group = "/metrics/" .. name
      local series = {step = list_of(r64, file.path, group .. "/step"),
        value = list_of(r64, file.path, group .. "/value")}
      file.metrics[r:attr(group, "name") or name] = series
      if #series.step ~= #series.value then damaged(file.path, "%s is uneven", group) end
    end
  end

  local function read_digests (r, path)
    local chain = {step = {}, hex = {}}
    if not r:exists("/digests") then return chain end
    chain.step = list_of(r, path, "/digests/step")
    for hex in tostring(try(r:read("/digests/hex"))):gmatch "%x+" do chain.hex[#chain.hex + 1] = hex end
    if #chain.step ~= #chain.hex then damaged(path, "/digests is uneven") end
    return chain
  end

  local function read_header (r, path)
    local format, version = r:attr("/", "format"), r:attr("/", "version")
    if format == "lurn bundle" then
      try(nil, ("%s: a bundle of runs: lurn bundle %s --extract FOLDER takes its run files out"):format(path, path),
        "EFORMAT")
    end
    if format ~= M.format or math.type(version) ~= "integer" then
      try(nil, ("%s: an HDF5 file, but not a run file of lurn"):format(path), "EFORMAT")
    end
    if version > M.version then
      try(nil, ("%s: a run file of version %d; this lurn knows versions up to %d"):format(path, version, M.version),
        "EFORMAT")
    end
    local file = {path = path, models = {}, optims = {}, metrics = {}, first = {}}
    for key, value in next, try(r:attrs("/")) do file[key] = value end
    file.best = {value = file.best_value, step = file.best_step}
    for _, key in ipairs {"name", "status", "seed", "precision"} do
      if file[key] == nil then damaged(path, "the attribute %s is missing", key) end
    end
    return file
  end

  local function read_script (r, file)
    file.script = {text = read(r, "/script/text"), lua = tensors.list(r, file.path, "/script/lua")}
    file.script.path = file.script.text and r:attr("/script/text", "path") or nil
  end

  local function read_all (path, header_only)
    local r <close> = try(lurn.h5.open(path))
    local file = read_header(r, path)
    file.config = read_json(r, path, "/config")
    file.params = type(file.config) == "table" and file.config.params or {}
    file.manifest = read_json(r, path, "/manifest")
    file.counters = read_json(r, path, "/counters")
    file.lineage = r:exists("/lineage") and read_json(r, path, "/lineage") or nil
    check(file, function (what) damaged(path, "%s", what) end)
    if header_only then
      if header_only == "metrics" then read_metrics(r, file) end
      return file
    end
    file.state = read_json(r, path, "/run_state")
    if type(file.state) ~= "table" then damaged(path, "/run_state: not a table") end
    read_script(r, file)
    read_models(r, file)
    read_metrics(r, file)
    file.digests = read_digests(r, path)
    if r:exists("/data/vocabulary") then
      file.vocab = vocabulary_list(try(r:read("/data/vocabulary")))
      file.level = r:attr("/data/vocabulary", "level")
    end
    return file
  end

  --- Reads a run file whole (or its header: attributes, config, manifest, counters; or "metrics": these too). A file
  -- that is missing, damaged, of a later version or something else gives nil, message, code.
  ---@param path string
  ---@param header_only? boolean|"metrics"
  ---@return table? file
  ---@return string? message
  ---@return string? code
  function M.read (path, header_only)
    return guarded(read_all, path, header_only)
  end

  --- Puts values by path into a model's parameters; raises when one is missing or of another shape.
  ---@param model any
  ---@param values table<string, any>
  ---@param what string   for the message: "weights", "best weights"
  function M.fill (model, values, what)
    for _, p in ipairs(model:parameters()) do
      local value = values[p.path]
      if not value then error(("the run file's %s have no '%s', which the model has"):format(what, p.path), 0) end
      p.value:copy(value)
    end
    if model.touch then model:touch() end      -- what was made of the old values (packs) is stale
  end

  require "lurn.runfile_live" (M)

  return M
end
