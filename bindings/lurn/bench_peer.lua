--- Peers of `lurn bench`: processes that do the same work as lurn, and are asked for it turn by turn.
--
-- A peer is a program beside the tests: PyTorch and JAX in Python, oneDNN in C. Each number of threads has a process of
-- its own. A document of JSON a line goes to it, one comes back; what they say stands in tests/bench/turns.py.

return function (lurn)
  local json = lurn.json
  local M = {}

  ---------------------------------------------------------------- a process

  local quote = lurn.shell.quote

  -- In a checkout the peers lie beside the module; an installed lurn has none and measures itself alone.
  local function script (name)
    local here = package.searchpath("lurn.bench", package.path)
    local root = here and here:match "^(.*)bindings/lurn/bench%.lua$"
    local path = root and root .. "tests/bench/" .. name
    return path and lurn.sys.exists(path) and path or nil
  end

  local Peer = {}
  Peer.__index = Peer

  function Peer:read ()
    local line = self.from:read "l"
    local document, message = json.decode(line or "")
    if not line or not document then error("the peer is gone: " .. (message or "no answer"), 0) end
    if document.error then error("the peer: " .. document.error, 0) end
    return document
  end

  function Peer:ask (document)
    self.to:write(json.encode(document), "\n")
    self.to:flush()
    return self:read()
  end

  --- Makes a case ready: {first = seconds until its first step was done}; nil where the peer has no such case.
  function Peer:begin (case)
    local answer = self:ask(case)
    return not answer.skip and answer or nil
  end

  --- A block of steps: seconds of wall and of CPU per step.
  function Peer:block (steps)
    local answer = self:ask {["do"] = "run", steps = steps}
    return answer.wall / steps, answer.cpu / steps
  end

  --- Ends a case; returns its peak of memory.
  function Peer:finish () return self:ask {["do"] = "end"}.peak end

  function Peer:close ()
    self.to:close()
    self.from:close()
  end

  -- Kernels that lurn is held to (LURN_ISA), in the words of each library that a peer may use.
  local function caps ()
    local isa = os.getenv "LURN_ISA"
    if isa ~= "avx2" then return "" end
    return "ONEDNN_MAX_CPU_ISA=AVX2 DNNL_MAX_CPU_ISA=AVX2 ATEN_CPU_CAPABILITY=avx2 MKL_ENABLE_INSTRUCTIONS=AVX2 "
  end

  -- Pipes of the standard library go one way, so answers come back through a named one. The shell opens it even
  -- when it finds no such program, whose end is then the end of the file.
  local function start (command, threads)
    local pipe = os.tmpname()
    os.remove(pipe)
    if not os.execute("mkfifo " .. quote(pipe)) then return nil end
    local began = lurn.sys.clock()
    local to = io.popen(("%sOMP_NUM_THREADS=%d %s %d > %s 2> /dev/null"):format(caps(), threads, command, threads,
      quote(pipe)), "w")
    local from = io.open(pipe)
    os.remove(pipe)
    local self = setmetatable({to = to, from = from, threads = threads}, Peer)
    local ok, hello = pcall(self.read, self)
    if not ok then
      self:close()
      return nil
    end
    self.name, self.began, self.answered = hello.name, began, lurn.sys.clock()
    return self
  end

  -- One process for each number of threads that is tried.
  local function start_both (command)
    local first = start(command, 1)
    if not first then return nil end
    return {name = first.name, command = command, first, lurn.sys.cpus() > 1 and start(command, 2) or nil}
  end

  --- Another process of the same peer, with one thread.
  function M.again (group) return start(group.command, 1) end

  ---------------------------------------------------------------- who is there

  -- Interpreters as `--python a,b` or PYTHON has them.
  local function interpreters (text)
    local list = {}
    for word in (text or os.getenv "PYTHON" or "python3"):gmatch "[^,]+" do list[#list + 1] = word end
    return list
  end

  local function start_python (list, name)
    local path, groups = script(name), {}
    for _, python in ipairs(path and list or {}) do
      groups[#groups + 1] = start_both(quote(python) .. " " .. quote(path))
    end
    return groups
  end

  -- The C file is compiled where a compiler and libdnnl are; the program is gone again when it has been started.
  local function start_onednn ()
    local path = script "onednn_peer.c"
    if not path then return nil end
    local program = os.tmpname()
    local compiled = os.execute(("%s -std=c11 -O2 %s -ldnnl -o %s 2> /dev/null"):format(os.getenv "CC" or "cc",
      quote(path), quote(program)))
    local group = compiled and start_both(quote(program)) or nil
    os.remove(program)
    return group
  end

  --- The peers that answer: {torch =, onednn =, others = {...}}; a group is a list of processes, one for each number of
  -- threads, with a name. The first PyTorch is the one that goals were set for; another one, and JAX, are others.
  ---@param python? string   interpreters, with commas between them
  ---@return table
  function M.start (python)
    local list = interpreters(python)
    local torches, jaxes = start_python(list, "torch_peer.py"), start_python(list, "jax_peer.py")
    local peers = {torch = table.remove(torches, 1), onednn = start_onednn(), others = torches}
    table.move(jaxes, 1, #jaxes, #torches + 1, torches)
    if not script "torch_peer.py" then peers.why = "no peers beside this installation"
    elseif not peers.torch then peers.why = ("%s has no PyTorch"):format(table.concat(list, ", ")) end
    return peers
  end

  --- All groups there are.
  function M.all (peers)
    local list = table.move(peers.others, 1, #peers.others, 1, {})
    list[#list + 1] = peers.torch
    list[#list + 1] = peers.onednn
    return list
  end

  function M.stop (peers)
    for _, group in ipairs(M.all(peers)) do
      for _, peer in ipairs(group) do peer:close() end
    end
  end

  return M
end
