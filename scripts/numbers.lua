--- An encoder, a decoder, and attention between them: numbers in digits become numbers in words.
--
--   lurn run scripts/numbers.lua                 "4072" -> "four thousand seventy two"
--
-- Digits and letters have different lengths, so there are two time axes. The encoder reads the digits both ways along
-- the second one (source); the decoder writes letters along the first. In training it is given the letter that should
-- have come before (teacher forcing: x is y, one step later); afterwards its own, the likeliest one (greedy decoding).
-- With score = "additive" attention is Bahdanau et al. 2015's, with "dot" Luong et al. 2015's "general".

local lurn = require "lurn"

local ONES = {"one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
  "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"}
local TENS = {"ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"}

local function words (n)
  if n == 0 then return "" end
  if n < 20 then return ONES[n] end
  if n < 100 then return (TENS[n // 10] .. " " .. words(n % 10)):gsub(" $", "") end
  if n < 1000 then return (ONES[n // 100] .. " hundred " .. words(n % 100)):gsub(" $", "") end
  return (words(n // 1000) .. " thousand " .. words(n % 1000)):gsub(" $", "")
end

-- Ids of letters: 1 begins, 2 ends, then the blank and the alphabet.
local FIRST, LAST = 1, 2
local function id_of (letter) return letter == " " and 3 or letter:byte() - 97 + 4 end
local function letter_of (id) return id == 3 and " " or string.char(id - 4 + 97) end

local function sequence (n)
  local text, source, x, y = words(n), {}, {FIRST}, {}
  for digit in tostring(n):gmatch "%d" do source[#source + 1] = math.tointeger(digit) + 1 end
  for i = 1, #text do
    y[i] = id_of(text:sub(i, i))
    x[i + 1] = y[i]
  end
  y[#y + 1] = LAST
  return {x = x, y = y, source = source}
end

-- Numbers below 100,000, no number in two splits.
local function make_data (p)
  local total, seen, numbers = p.train + 2 * p.test, {}, {}
  while #numbers < total do
    local n = math.random(99999)
    if math.random() < 0.5 then n = math.random(9999) end
    if not seen[n] then
      seen[n] = true
      numbers[#numbers + 1] = n
    end
  end
  local set = {split = {train = {1, p.train}, valid = {p.train + 1, p.train + p.test},
    test = {p.train + p.test + 1, total}}}
  for i, n in ipairs(numbers) do set[i] = sequence(n) end
  return assert(lurn.dataset(set)), table.move(numbers, p.train + p.test + 1, total, 1, {})
end

-- A GRU's step whose input is x and what it sees of the memory.
local function reader (keys, memory, u)
  return lurn.cell {name = "reader", step = function (c, x, s)
    local query = c:linear("q", {s.h}, {size = keys.cols, bias = false})
    local seen = lurn.attend(query, keys, memory, u)
    local function a (gate) return lurn.sigmoid(c:linear(gate, {x, s.h, {seen, "Wc"}})) end
    local r, z = a "r", a "z"
    local n = lurn.tanh(c:linear("n", {x, {seen, "Wc"}}) + r * c:linear("n", {s.h}, {bias = "bh"}))
    return (1 - z) * n + z * s.h
  end}
end

local function build (p, data)
  return lurn.model(function (m, batch)
    local source = m:apply(lurn.embedding {size = p.embed, vocab = 10}, batch.source)
    local memory, final = m:recur(lurn.gru {hidden = p.hidden, bidirectional = true}, source)
    local additive = p.score == "additive"
    local keys = additive and memory % m:param("attention.Wk", {2 * p.hidden, p.hidden}) or memory
    local u = additive and m:param("attention.u", {p.hidden}, {"normal", 0, p.hidden^-0.5}) or nil
    local first = lurn.tanh(lurn.concat(final.h, final.reverse.h) % m:param("start.W", {2 * p.hidden, p.hidden}))
    local x = m:apply(lurn.embedding {size = p.embed, vocab = 29}, batch.x)
    local h = m:recur(reader(keys, memory, u) {hidden = p.hidden}, x, {h = first})
    local out = m:apply(lurn.linear {size = 29}, h)
    local loss, weight = lurn.loss.cross_entropy():build(m, out)
    return {loss = loss, weight = weight, out = out}
  end, {input = data})
end

-- What the model writes for a number, a letter at a time.
local function write (model, n)
  local digits = {}
  for digit in tostring(n):gmatch "%d" do digits[#digits + 1] = {math.tointeger(digit) + 1} end
  local stream = model:stream {fields = {time2 = {source = lurn.ids(digits)}}}
  local letters = stream:greedy(FIRST, {stop = LAST, most = 80})
  for i, id in ipairs(letters) do letters[i] = id > LAST and letter_of(id) or "?" end
  return table.concat(letters)
end

return lurn.experiment {
  name = "numbers", direction = "minimize",
  help = "encoder, decoder and attention: numbers in digits become numbers in words",

  params = {
    train = {4000, int = true, help = "numbers to learn from"},
    test = {200, int = true, help = "numbers to validate with, and as many to test"},
    score = {"additive", choice = {"additive", "dot"}, help = "of attention"},
    embed = {16, int = true},
    hidden = {64, int = {32, 256}, log = true},
    epochs = {12, float = true},
    batch = {32, int = true},
    lr = {5e-3, float = {1e-4, 1e-1}, log = true},
  },

  run = function (run, p)
    local data, numbers = make_data(p)
    local model = build(p, data)
    local optim = lurn.optim.adam(model, {lr = p.lr, schedule = "cosine", clip_norm = 1})
    run:fit {model = model, optim = optim, train = data.train, valid = data.valid, seq = 0, epochs = p.epochs,
      batch = p.batch}
    local right = 0
    for i, n in ipairs(numbers) do
      local text = write(model, n)
      right = right + (text == words(n) and 1 or 0)
      if i <= 5 then print(("%6d  %s"):format(n, text)) end
    end
    print(("%d of %d numbers right that it never saw"):format(right, #numbers))
    return 1 - right / #numbers
  end,
}
