-- layers.lua: who may include whom, and a few more promises of the house that a script can check.
--
--   lua5.4 tests/tools/layers.lua            from the root of the checkout; part of `make lint`
--
-- scripts -> bindings/lurn/*.lua -> bindings/l_*.c -> core, and inside core the table below.
-- A file that the table does not know is an error: whoever adds a noun says here where it stands.

-- Inside core: a noun (core/<noun>.h, <noun>.c and the parts <noun>_*.c) and the nouns right below it.
-- What these see, it sees too. A * stands for a family: files with one header, or with several.
-- Nothing in the compute column sees storage.
local core = {
  -- ground
  base        = "",
  sys         = "base",
  process     = "base",
  portable    = "base",
  sha256      = "base kernel",
  rng         = "base portable",
  tensor      = "base",
  arena       = "base",
  batch       = "tensor",
  kernel      = "base",                     -- the whole folder core/kernel
  blas        = "base",
  pool        = "base sys",
  param       = "rng tensor arena portable kernel",
  lr          = "base portable",
  gauss       = "base portable",
  parzen      = "rng gauss",
  optim       = "param kernel portable pool",
  -- the compute column
  sink        = "",
  program     = "batch kernel param",
  op          = "program rng",
  derive      = "op",
  ["op_*"]    = "op derive kernel blas",
  ["cell*"]   = "program op",
  loss        = "program op",
  tabulate    = "program op",
  normalise   = "program op derive tabulate",
  schedule    = "normalise arena",
  constant    = "schedule",
  block       = "schedule",
  wave        = "schedule pool",
  recompute   = "wave",
  ready       = "wave",
  sharing     = "wave",
  hand        = "ready sharing",
  conductor   = "hand",
  twin        = "wave normalise blas",
  gradcheck   = "conductor twin param",
  outside     = "derive sys",
  plugin      = "outside lurn",              -- what an op from outside includes
  -- storage
  h5          = "base sys tensor",
  hdf5        = "h5",
  npy         = "tensor sha256",
  db          = "base",
  sqlite      = "db sys",
  postgres    = "db sys",
  zip         = "base",
  data        = "h5 batch rng sha256 sys",
  text        = "data",
  feed        = "data",
  -- both: only these see a model and a file at once
  checkpoint  = "h5 conductor optim lr",
  runfile     = "checkpoint data",
  lurn        = "gradcheck recompute cell loss runfile feed text outside parzen",      -- the umbrella header
}
-- A .c file may know one more header than its own header admits. Each with its reason.
local extra = {
  ["core/program.c"] = "op derive",         -- the builder asks the op table for shapes
  ["core/program_text.c"] = "op sink",      -- the text form names ops
  ["core/schedule_text.c"] = "sink",        -- printed the same way
  ["core/schedule.c"] = "recompute",        -- whether a program can be played in windows is said when it is scheduled
  ["core/wave.c"]    = "recompute",         -- and what it takes, when it is planned
  ["core/op.c"]      = "derive",            -- rows of the table name the gradient rules
  ["core/derive.c"]  = "normalise",         -- gradients are emitted into normalise's programs
}

-- System headers, and own ones that pass them on: pattern of the header -> patterns of the files that may include it.
local only = {
  {"^lua%w*%.h$",            "^bindings/", "^tests/"},
  {"^lauxlib%.h$",           "^bindings/", "^tests/"},
  {"^cblas%.h$",             "^core/blas%.c$"},
  {"^lapacke?%.h$",          "^core/blas%.c$"},
  {"^hdf5_parts%.h$",        "^core/hdf5%.c$", "^core/hdf5_"},
  {"^hdf5",                  "^core/hdf5_parts%.h$", "^tests/c/"},
  {"^H5",                    "^core/hdf5_parts%.h$"},
  {"^zlib%.h$",              "^core/zip%.c$"},
  {"^sqlite3%.h$",           "^core/sqlite%.c$"},
  {"^libpq%-fe%.h$",         "^core/postgres%.c$"},
  {"^%w*intrin%.h$",         "^core/kernel/vf_", "^core/kernel/isa_sha%.c$"},
  {"^arm_%w+%.h$",           "^core/kernel/vf_"},
  {"^cpuid%.h$",             "^core/kernel/"},
  {"^pthread%.h$",           "^core/pool%.c$", "^core/sys%.c$", "^tests/"},
  -- what is not standard C lives in two files of core, the system's and that of processes; signals in their binding;
  -- libpq has whoever connects poll its socket
  {"^sys/",                  "^core/sys%.c$", "^core/process%.c$", "^tests/"},
  {"^linux/",                "^core/sys%.c$"},
  {"^poll%.h$",              "^core/sys%.c$", "^core/process%.c$", "^core/postgres%.c$"},
  {"^sched%.h$",             "^core/sys%.c$", "^core/process%.c$", "^core/pool%.c$"},
  {"^unistd%.h$",            "^core/sys%.c$", "^core/process%.c$", "^bindings/", "^tests/"},
  {"^fcntl%.h$",             "^core/sys%.c$", "^core/process%.c$", "^tests/"},
  {"^dirent%.h$",            "^core/sys%.c$"},
  {"^dlfcn%.h$",             "^core/sys%.c$"},
}

-- The engine asks its context for memory, prints nothing, exits never.
local banned = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "strdup", "alloca",
  "printf", "fprintf", "vprintf", "vfprintf", "puts", "putchar", "perror", "exit", "_exit", "abort", "system"}
-- The operating system is sys.c's business.
local may_call = {["core/sys.c"] = "free"}

local WARN_LINES, MAX_LINES = 400, 800

-----------------------------------------------------------------------------------------------

local errors, warnings = 0, 0
local function complain(file, line, ...)
  errors = errors + 1
  print(("%s:%d: %s"):format(file, line, string.format(...)))
end

local function words(s)
  local t = {}
  for w in s:gmatch "%S+" do t[w] = true end
  return t
end

-- The noun a file of core belongs to, or nil.
local function noun_of(path)
  if path:find "^core/kernel/" then return "kernel" end
  local stem = path:match "^core/([%w_]+)%.[ch]$"
  if stem == nil then return nil end
  if core[stem] then return stem end
  for noun in pairs(core) do
    if noun:sub(-1) == "*" and stem:find("^" .. noun:sub(1, -2)) then return noun end
  end
  local head = stem:match "^(.+)_"                      -- data_file.c is a part of data
  if core[head] then return head end
end

-- All nouns below one, by the table.
local function below(noun, seen)
  for n in (core[noun] or ""):gmatch "%S+" do
    local star = core[n] and n or n .. "*"
    if not seen[star] then
      seen[star] = true
      below(star, seen)
    end
  end
  return seen
end

-- Comments and strings become blanks; line breaks stay, so that lines still count.
local function code_of(text)
  local out, i = {}, 1
  local function blank(s) return (s:gsub("[^\n]", " ")) end
  while i <= #text do
    local a, b = text:find("^/%*.-%*/", i)
    if not a then a, b = text:find("^//[^\n]*", i) end
    if not a then a, b = text:find('^"[^"\\\n]*"', i) end
    if not a then a, b = text:find("^'\\?[^\n]'", i) end
    if not a and text:sub(i, i) == '"' then             -- a string with escapes
      b = i + 1
      while b < #text and text:sub(b, b) ~= '"' do
        b = b + (text:sub(b, b) == "\\" and 2 or 1)
      end
      a = i
    end
    if a then
      out[#out + 1] = blank(text:sub(a, b))
      i = b + 1
    else
      local stop = text:find("[/\"']", i + 1) or #text + 1
      out[#out + 1] = text:sub(i, stop - 1)
      i = stop
    end
  end
  return table.concat(out)
end

local function lines(text)
  local n = 0
  return (text:gsub("\r", "") .. "\n"):gmatch "([^\n]*)\n", function() n = n + 1; return n end
end

local function check_listed_header(file, line, header)
  for _, rule in ipairs(only) do
    if header:find(rule[1]) then
      for i = 2, #rule do
        if file:find(rule[i]) then return end
      end
      return complain(file, line, "%s may be included only by %s", header,
                      table.concat(rule, ", ", 2):gsub("[%^$%%]", ""))
    end
  end
end

local function check_own_header(file, line, header, known)
  local target = known[header]
  if file:find "^core/" then
    local from, to = noun_of(file), target and noun_of(target)
    if to == nil then
      return complain(file, line, '"%s" is not a header of core that the table knows', header)
    end
    local more = words(extra[file] or "")
    if from and from ~= to and not below(from, {})[to] and not more[to] then
      complain(file, line, '%s may not see %s ("%s")', from, to, header)
    end
  elseif file:find "^bindings/" then
    if target and not target:find "^core/" and not target:find "^bindings/" then
      complain(file, line, '"%s" is outside core and bindings', header)
    end
  end
end

local function check_c(file, text, known)
  if file:find "^core/" and not noun_of(file) then
    complain(file, 1, "the table in tests/tools/layers.lua does not know this file")
  end
  local code, allowed = code_of(text), words(may_call[file] or "")
  local next_line, number = lines(text)
  for l in next_line do
    local n = number()
    local system, own = l:match "^%s*#%s*include%s*<([^>]+)>", l:match '^%s*#%s*include%s*"([^"]+)"'
    if system or own then check_listed_header(file, n, system or own) end
    if own then check_own_header(file, n, own, known) end
  end
  if not file:find "^core/" then return end
  next_line, number = lines(code)
  for l in next_line do
    local n = number()
    l = l:gsub("%->[%w_]+", ""):gsub("%.[%w_]+", "")            -- a member may be called free
    for _, f in ipairs(banned) do
      if not allowed[f] and l:find("%f[%w_]" .. f .. "%s*%(") then
        complain(file, n, "%s() in core", f)
      end
    end
  end
end

-- Scripts use the public module; inside the Lua half nobody reaches back to scripts.
local function check_lua(file, text)
  local next_line, number = lines(text)
  for l in next_line do
    local n = number()
    local name = l:gsub("%-%-.*", ""):match "require%s*%(?%s*[\"']([%w_.]+)[\"']"
    if name and file:find "^scripts/" and name:find "^lurn%.f%d%d$" then
      complain(file, n, "scripts require \"lurn\", not %s", name)
    elseif name and file:find "^bindings/" and (name .. "."):find "^[sdt]%a+s%." then   -- scripts, datasets, tests
      complain(file, n, "the module may not require %s", name)
    end
  end
end

local function check_length(file, text)
  local _, n = text:gsub("\n", "")
  if n > MAX_LINES then
    complain(file, n, "%d lines, more than %d", n, MAX_LINES)
  elseif n > WARN_LINES then
    warnings = warnings + 1
    print(("%s: %d lines, a good file has up to %d (warning)"):format(file, n, WARN_LINES))
  end
end

local function source_files()
  local list = {}
  local pipe = assert(io.popen("find core bindings scripts datasets tests " ..
                               "-name '*.[ch]' -o -name '*.lua' -o -name '*.sh' 2>/dev/null"))
  for f in pipe:lines() do list[#list + 1] = f end
  pipe:close()
  table.sort(list)
  return list
end

local function main()
  local files, known = source_files(), {}
  for _, f in ipairs(files) do
    if f:find "%.h$" then
      known[f:match "[^/]+$"] = f                       -- by bare name
      known[f:gsub("^core/", "")] = f                   -- "kernel/kernel.h"
    end
  end
  for _, f in ipairs(files) do
    local handle = assert(io.open(f, "rb"))
    local text = handle:read "a"
    handle:close()
    if f:find "%.[ch]$" then check_c(f, text, known) elseif f:find "%.lua$" then check_lua(f, text) end
    check_length(f, text)
  end
  print(("layers: %d files, %d errors, %d warnings"):format(#files, errors, warnings))
  os.exit(errors == 0 and #files > 0)
end

main()
