--- Reads IDX files, the format in which MNIST and its relatives are published, plain or packed by gzip.
--
--   00 00  type  rank     then `rank` sizes of four bytes, most significant first, then the numbers, the last index
--                         running fastest; only type 8, unsigned bytes, is read here
--
-- A packed file is known by its first two bytes, whatever its name, and read through `gzip -dc`, a process beside this
-- one, which every system has on which such a file is likely to be met. Nothing that a header says is believed before
-- the bytes are there: a reader hands out pieces, so an absurd size costs no memory and ends in a message.

local M = {}

local BYTES = 8                   -- the type of unsigned bytes
local MOST = 1 << 24              -- numbers of one item: an image of 4096 x 4096

local function fail (path, format, ...) error({path .. ": " .. format:format(...), "EINVAL"}, 0) end

local quote = require "lurn.shell" ().quote

-- The bytes of a file, unpacked; and whether gzip unpacks them.
local function open_bytes (path)
  local file, message = io.open(path, "rb")
  if not file then error({message, "ENOENT"}, 0) end
  local head, why = file:read(2)
  if why then
    file:close()
    fail(path, "cannot be read: %s", why)
  end
  if head ~= "\31\139" then
    file:seek "set"
    return file, false
  end
  file:close()
  return assert(io.popen(("gzip -dc -- %s 2>/dev/null"):format(quote(path)), "r")), true
end

---@class lurn.IdxReader
---@field path string
---@field shape integer[]   (n, ...): n items
---@field size integer      bytes of an item
local Reader = {}
Reader.__index = Reader

-- What gzip thought of it: nil when all is well. Its exit code 2 is a warning, 127 the shell's that there is no gzip.
local function complaint (self)
  local file = self.file
  self.file = nil
  local ok, _, code = file:close()
  if not self.packed or ok or code == 2 then return nil end
  return code == 127 and "it is packed, and there is no gzip here to unpack it" or "gzip says that it is damaged"
end

--- Closes the file wherever it stands.
function Reader:close () if self.file then complaint(self) end end
Reader.__close = Reader.close

-- So many bytes, or a message that says where the file ends.
local function take (self, count, what)
  local text = self.file:read(count) or ""
  self.taken = self.taken + #text
  if #text == count then return text end
  local why = complaint(self)
  fail(self.path, "%s ends after %d bytes, in its %s%s", self.packed and "unpacked, it" or "it", self.taken, what,
    why and " (" .. why .. ")" or "")
end

local function read_header (self)
  local zeros, kind, rank = (">I2BB"):unpack(take(self, 4, "header"))
  if zeros ~= 0 or rank == 0 then fail(self.path, "no IDX file: it begins with other bytes") end
  if kind ~= BYTES then fail(self.path, "numbers of type 0x%02x; expected unsigned bytes, 0x08", kind) end
  self.size = 1
  for d = 1, rank do
    self.shape[d] = (">I4"):unpack(take(self, 4, "header"))
    if self.shape[d] == 0 then fail(self.path, "dimension %d is empty", d) end
    if d > 1 then self.size = self.size * self.shape[d] end
    if self.size > MOST then fail(self.path, "an item of more than %d numbers", MOST) end
  end
end

--- Opens a file and reads its header. What is wrong with a file is raised as {message, code}, here and below.
---@param path string
---@param rank integer   which it must have
---@return lurn.IdxReader
function M.open (path, rank)
  local file, packed = open_bytes(path)
  local self = setmetatable({path = path, file = file, packed = packed, taken = 0, shape = {}}, Reader)
  local ok, e = pcall(read_header, self)
  if ok and #self.shape ~= rank then
    ok, e = pcall(fail, path, "%d dimensions, %s; expected %d", #self.shape, table.concat(self.shape, " x "), rank)
  end
  if not ok then
    self:close()
    error(e, 0)
  end
  return self
end

-- Behind the last item: nothing may follow it.
local function finish (self)
  if self.file:read(1) then fail(self.path, "bytes follow the %s numbers that its header names",
    table.concat(self.shape, " x ")) end
  local why = complaint(self)
  if why then fail(self.path, "%s", why) end
end

--- For a loop over all items, `most` at a time: they come as one string, with their number.
---@param most integer
---@return fun(): string?, integer?
function Reader:blocks (most)
  local left = self.shape[1]
  return function ()
    local count = math.min(most, left)
    if count == 0 then return finish(self) end
    left = left - count
    return take(self, count * self.size, "numbers"), count
  end
end

return M
