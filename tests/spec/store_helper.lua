-- The kinds of stores that this machine has, each in a place of its own, for specs and for tests/tools. Of PostgreSQL a
-- private server is started when its programs are there (Debian: postgresql): it listens on a socket in a folder only.

local lurn = require "lurn"

local M = {folder = os.tmpname(), urls = {memory = "memory:"}}
os.remove(M.folder)
-- In memory where that is possible: specs ask what is right, not what survives a power cut.
M.folder = os.getenv "STORES" or (M.folder:gsub("^/tmp/", lurn.sys.exists "/dev/shm" and "/dev/shm/" or "/tmp/"))
assert(os.execute("mkdir -p " .. M.folder))
M.urls.sqlite, M.urls.dir = M.folder .. "/store.db", "dir:" .. M.folder .. "/shared"

local function line (command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local text = pipe:read "l"
  pipe:close()
  return text
end

-- A server refuses to run as root.
local as_user = line "id -u" == "0" and "setpriv --reuid=65534 --regid=65534 --clear-groups " or ""
local programs = line "ls -d /usr/lib/postgresql/*/bin | tail -n 1" or line "dirname $(command -v initdb)"

local function pg (command)
  return os.execute(("cd / && %s%s/%s >>%s/log 2>&1 </dev/null"):format(as_user, programs, command, M.server))
end

--- Starts the server, again after it was killed.
function M.start_server ()
  return pg(("pg_ctl -D %s/data -w -t 60 -l %s/pg.log -o \"-c listen_addresses='' -c unix_socket_directories=%s "
    .. "-c max_connections=64\" start"):format(M.server, M.server, M.server))
end

--- The process that leads the server.
function M.postmaster ()
  local f = io.open(M.server .. "/data/postmaster.pid")
  local pid = f and f:read "n"
  if f then f:close() end
  return pid
end

-- Why there is none, or nil.
local function make_server ()
  if not lurn.core.db.version "postgresql" then return "this build has no PostgreSQL (Debian: libpq-dev)" end
  if not programs or not io.open(programs .. "/initdb") then return "no PostgreSQL server here (Debian: postgresql)" end
  M.server = M.folder .. "/pg"
  os.execute(("chmod 755 %s; mkdir -p %s; chmod 777 %s"):format(M.folder, M.server, M.server))
  if as_user ~= "" then os.execute("chown 65534:65534 " .. M.server) end
  local made = pg(("initdb -D %s/data -U trial -A trust -E UTF8 --locale=C.UTF-8 --no-sync"):format(M.server))
    and M.start_server() and pg(("createdb -h %s -U trial trials"):format(M.server))
  if not made then return "PostgreSQL does not start here" end
  M.urls.postgresql = "postgresql:///trials?user=trial&host=" .. M.server
end

--- Starts a server once, and adds it to M.urls; why there is none otherwise.
function M.with_server ()
  if M.server == nil and not M.why then M.why = make_server() end
  return M.urls.postgresql, M.why
end

--- Empties a store.
function M.clear (kind)
  if kind == "sqlite" then os.execute(("rm -f %s*"):format(M.urls.sqlite)) end
  if kind == "dir" then os.execute(("rm -rf %s"):format(M.urls.dir:sub(5))) end
  if kind == "postgresql" then
    local store = assert(lurn.store.open(M.urls[kind]))
    for _, study in ipairs(store:studies()) do assert(store:delete(study.name)) end
    store:close()
  end
end

function M.close ()
  if M.urls.postgresql then pg(("pg_ctl -D %s/data -m immediate stop"):format(M.server)) end
  os.execute("rm -rf " .. M.folder)
end

return M
