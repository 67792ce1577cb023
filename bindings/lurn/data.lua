--- Data sets as scripts see them: splits that hand out batches, a vocabulary, text to ids and back.
--
--   local data = assert(lurn.text "book.txt")            -- or a data set that `lurn data text` made
--   local data = assert(lurn.open "set.h5")
--   local data = lurn.dataset {{x = ..., y = ...}, ..., split = {train = {1, 90}, valid = {91, 100}}}
--   local data = lurn.dataset {x = tensor, y = tensor, split = {80, 10, 10}}        whole arrays, see arrays.lua
--
--   data.train  data.valid  data.test  data.all     splits; train is everything where none are named; #data.train
--   data.vocab  data.count  data.hash  data.path    tokens, frames, SHA-256 of the content
--   data:encode(text)  data:decode(ids)             ids count from 1
--   data.set                                        the native set: n, total, lengths, classes, sequence(i) ...

return function (lurn)
  local schema = lurn.schema
  local arrays = require "lurn.arrays" (lurn)
  local M = {}

  -- The last answer nil, message, code. `lurn run` compares a script's error with the message to tell a bad input
  -- file from a mistake in the script, because assert(lurn.text(path)) leaves nothing but the message.
  M.failure = nil

  local function world (value, message, code)
    if value == nil then M.failure = message end
    return value, message, code
  end

  ---------------------------------------------------------------- splits and feeds

  ---@class lurn.Split
  local Split = {}
  Split.__index, Split.__name = Split, "lurn.Split"

  local FEED = {
    batch = {"integer", 32, {1, 1e9}, "sequences side by side"},
    seq = {"integer", nil, {0, 1e9}, "time steps in a window; 0: whole sequences"},
    stride = {"integer", nil, {1, 1e9}, "new time steps in a window, which goes back over the others; seq by default"},
    shuffle = {"boolean", nil, nil, "another order every epoch; not for streams"},
    bucket = {"boolean|integer", false, {1, 1e9}, "like lengths together: so many batches are sorted at a time"},
    seed = {"integer", 1, nil, "of the order"},
  }

  -- Batches that `bucket = true` sorts at a time.
  local BUCKET = 100

  ---@class lurn.Feed
  ---@field steps integer   batches of an epoch
  local Feed = {}
  Feed.__index, Feed.__name = Feed, "lurn.Feed"

  --- Batch `step` of `epoch`: a pure function of both and the seed. Its memory is the feed's.
  function Feed:batch (epoch, step) return self.native:batch(epoch, step) end

  --- Batches of that epoch; they differ only where windows of sequences are shuffled.
  function Feed:steps_of (epoch) return self.varies and self.native:steps(epoch) or self.steps end

  --- Batches of this split. A stream (one long text) is cut into `batch` rows that go on from batch to
  -- batch; otherwise a batch is that many whole sequences, or their windows of `seq` steps. With `bucket` sequences of
  -- like length come together: a chunk of so many batches (true: 100) is sorted, then the batches are shuffled.
  ---@param options? {batch: integer?, seq: integer?, shuffle: boolean?, bucket: boolean|integer|nil, seed: integer?}
  ---@return lurn.Feed
  function Split:feed (options)
    local o = schema.check("feed", options, FEED)
    local set, stream = self.data.set, self.data.stream
    local shuffle = o.shuffle
    if shuffle == nil then shuffle = not stream and self.name == "train" end
    if stream and shuffle then error("feed: a stream has one order; shuffle is for sequences", 2) end
    if stream and o.bucket then error("feed: a stream has one order; bucket is for sequences", 2) end
    local bucket = o.bucket == true and BUCKET or o.bucket or 0
    local native = assert(lurn.core.feed {data = set, split = self.split, batch = o.batch, seed = o.seed,
      seq = o.seq or (stream and 50 or 0), stride = o.stride, shuffle = shuffle, bucket = bucket,
      mode = stream and "stream" or "sequence"})
    local varies = shuffle and (o.seq or 0) > 0
    return setmetatable({native = native, steps = native:steps(1), varies = varies}, Feed)
  end

  -- Its sequences, and its frames; a stream has no sequences, and ranges of frames.
  local function extent (split)
    local set, sequences, frames = split.data.set, 0, 0
    local by_frame = set.unit == "frame"
    local lengths = not by_frame and set.lengths
    for _, r in ipairs(split.split and set.splits[split.split] or {{1, by_frame and set.total or set.n}}) do
      if by_frame then frames = frames + r[2] - r[1] + 1
      else
        sequences = sequences + r[2] - r[1] + 1
        for i = r[1], r[2] do frames = frames + lengths[i] end
      end
    end
    return not by_frame and sequences, frames
  end

  --- How many sequences it has, or frames of a stream.
  function Split:__len ()
    local sequences, frames = extent(self)
    return sequences or frames
  end

  function Split:__tostring ()
    local sequences, frames = extent(self)
    return ("%s of data %s: %s%d frames"):format(self.name, self.data.path or "(from tables)",
      sequences and ("%d sequences, "):format(sequences) or "", frames)
  end

  ---------------------------------------------------------------- the vocabulary

  -- In files a byte b is the character U+00b, and an empty text is U+0000, because texts there are
  -- UTF-8 without zeros. Scripts see the bytes and characters themselves.
  local function token_of (word, level)
    if word == "" then return "\0" end
    if level == "byte" then return string.char(utf8.codepoint(word)) end
    return word
  end

  local function word_of (token, level)
    if token == "\0" then return "" end
    if level == "byte" then return utf8.char(token:byte()) end
    return token
  end

  local function map_list (list, f, level)
    local out = {}
    for i, item in ipairs(list) do out[i] = f(item, level) end
    return out
  end

  ---------------------------------------------------------------- the data set

  ---@class lurn.Data
  local Data = {__name = "lurn.Data"}

  local lazy = {}

  function lazy.vocab (self)
    local words = self.set.vocab
    return words and map_list(words, token_of, self.level)
  end
  -- As many texts as steps: of a file they are read when they are asked for.
  function lazy.times (self)
    local r <close> = self.has_times and lurn.h5.open(self.path) or nil
    local all, list, at = r and r:read "/times", {}, 1
    if type(all) ~= "table" or #all ~= self.set.total then return nil end
    for i, n in ipairs(self.set.lengths) do list[i], at = table.move(all, at, at + n - 1, 1, {}), at + n end
    return list
  end
  function lazy.hash (self) return self.set:hash() end
  function lazy.columns (self) return self.csv and lurn.csv_columns(self.csv) end
  function lazy.codec (self) return lurn.sample.codec(self.vocab or error("this data set has no vocabulary", 3)) end

  function Data.__index (self, key)
    if Data[key] then return Data[key] end
    local make = lazy[key]
    local value = make and make(self)
    if value ~= nil then rawset(self, key, value) end
    return value
  end

  function Data.__tostring (self)
    return ("data %s: %d sequences, %d frames"):format(self.path or "(from tables)", self.set.n, self.set.total)
  end

  --- Ids of a text, from 1; nil and a message when the vocabulary lacks a character.
  function Data:encode (text) return self.codec.encode(text) end

  --- The text of a list of ids.
  function Data:decode (ids) return self.codec.decode(ids) end

  local function wrap (set, path)
    local self = setmetatable({set = set, path = path, count = set.total, level = set.level}, Data)
    self.stream = set.unit == "frame" and set.n == 1
    self.unit = self.level and "chars" or "frames"
    local function split (name, native) return setmetatable({data = self, name = name, split = native}, Split) end
    self.all = split("all", nil)
    local named = false
    for name in next, set.splits do
      self[name] = split(name, name)
      named = true
    end
    if not named then self.train = split("train", nil) end
    return lurn.source.adopt(self)
  end

  ---------------------------------------------------------------- where data sets come from

  -- What the file of a table has for people and for predictions, beside what is trained on: /names of the sequences,
  -- /times of the steps, how the table was read, and by what its numbers were normalised.
  local function of_table (data, path)
    local r <close> = lurn.h5.open(path)
    if not r then return data end
    local names = r:exists "/names" and r:read "/names"
    if type(names) == "table" and #names == data.set.n then data.names = names end
    local function table_of (key)
      local ok, what = pcall(lurn.json.decode, r:attr("/", key) or "")
      return ok and type(what) == "table" and what or nil
    end
    local x, y = table_of "normalisation_x", table_of "normalisation_y"
    data.csv = table_of "csv"
    data.has_times = r:exists "/times" or nil
    if data.csv or x or y then data.normalisation = {x = x, y = y} end
    return data
  end

  --- Opens a data set file. nil, message, code when it cannot.
  ---@param path string
  ---@return lurn.Data? data
  ---@return string? message
  ---@return string? code
  function M.open (path)
    local set, message, code = lurn.core.dataset.open(path)
    if not set then return world(nil, message, code) end
    return of_table(wrap(set, path), path)
  end

  --- A data set from Lua tables: a list of sequences {x =, y =, mask =}, or whole arrays x, y, lengths; see the manual.
  ---@param description table
  ---@return lurn.Data? data
  function M.dataset (description)
    if type(description) == "table" and description.x ~= nil then description = arrays(description) end
    local set, message, code = lurn.core.dataset(description)
    if not set then return world(nil, message, code) end
    return wrap(set, nil)
  end

  local TEXT = {
    level = {"string", nil, {"char", "byte"}, "what a token is"},
    split = {"table", nil, nil, "{train, valid, test} in any scale; 90, 5, 5 by default"},
    min_count = {"integer", nil, {0, 1e15}, "rarer tokens become <unk>"},
    vocab = {"table|userdata", nil, nil, "frozen: another data, or its list of tokens"},
  }

  -- What the importer wants for a frozen vocabulary is a data set that has one.
  local function frozen (vocab, level)
    if vocab == nil or type(vocab) == "userdata" then return vocab, level end
    if vocab.set then return vocab.set, vocab.level end
    level = level or "char"
    local unknown
    for id, token in ipairs(vocab) do if token == "<unk>" then unknown = id end end
    return lurn.core.dataset {{x = {1}}, vocab = map_list(vocab, word_of, level), level = level,
      targets = "next", unknown = unknown}, level
  end

  --- Writes a text as a data set: true and what was written, or nil, message, code.
  ---@param path string
  ---@param out string
  ---@param options? table   level, split, min_count, vocab
  function M.import_text (path, out, options)
    local o = schema.check("text", options, TEXT)
    local vocab, level = frozen(o.vocab, o.level)
    return world(lurn.core.text {path = path, out = out, level = level, split = o.split, min_count = o.min_count,
      vocab = vocab})
  end

  --- Whether a file begins as HDF5 files do.
  function M.is_hdf5 (path)
    local f = io.open(path, "rb")
    local head = f and f:read(8)
    if f then f:close() end
    return head == "\137HDF\r\n\26\n"
  end

  local temporary = 0
  local function temporary_path ()
    temporary = temporary + 1
    return ("%s/lurn-%d-%d.h5"):format(os.getenv "TMPDIR" or "/tmp", lurn.sys.pid(), temporary)
  end

  --- A text, or a data set file, as data. A text goes through a temporary data set that has lost its name
  -- when this returns, so its size is limited by the disk and nothing is left behind.
  ---@param path string
  ---@param options? table   level, split, min_count, vocab: for texts only
  ---@return lurn.Data? data
  ---@return string? message
  ---@return string? code
  function M.text (path, options)
    if M.is_hdf5(path) then return M.open(path) end
    local out = temporary_path()
    local ok, message, code = M.import_text(path, out, options)
    if not ok then return nil, message, code end
    local set
    set, message, code = lurn.core.dataset.open(out)
    os.remove(out)
    if not set then return world(nil, message, code) end
    local data, o = wrap(set, path), options or {}
    -- With its vocabulary this is all it takes to make the same data of the same text again.
    data.text = {level = set.level, split = o.split, min_count = o.min_count}
    return data
  end

  return M
end
