--- The sampler "sobol": points of a Sobol sequence, which fill the space more evenly than independent draws.
--
-- Bratley & Fox's Gray-code order (ACM TOMS 14, 1988), so point n is a function of n; 32 bits. Point 0 of the plain
-- sequence is the lowest corner of the space. Scrambled, which is the default, every point is uniformly distributed and
-- the first 2^m points still have one in each of 2^m equal intervals of every parameter: Owen's nested scrambling
-- ("Randomly permuted (t,m,s)-nets", 1995), where each bit is flipped or not by a random bit that belongs to the bits
-- above it, drawn by the parameter's name. What is below the 32 bits is drawn as well.
--
-- Parameters have the dimensions 1, 2, .. in order of name.

return function (lurn)
  local space = lurn.space
  local BITS = 32

  local sobol = {declaration = {
    scramble = {"boolean", true, nil, "false: the plain sequence, which begins with the lowest corner"},
  }}
  lurn.sampler.kinds.sobol = sobol

  -- ---- direction numbers ------------------------------------------------------------------------------

  -- a b in the field of polynomials over {0, 1} modulo one of degree d; bit k is the coefficient of x^k.
  local function product (a, b, modulus, d)
    local sum = 0
    while b > 0 do
      if b & 1 == 1 then sum = sum ~ a end
      a, b = a << 1, b >> 1
      if a >> d & 1 == 1 then a = a ~ modulus end
    end
    return sum
  end

  local function power (n, modulus, d)
    local sum, square = 1, 2
    if d == 1 then square = square ~ modulus end
    while n > 0 do
      if n & 1 == 1 then sum = product(sum, square, modulus, d) end
      square, n = product(square, square, modulus, d), n >> 1
    end
    return sum
  end

  -- Whether the powers of x are all polynomials but 0: x^(2^d - 1) = 1, and no smaller power by a prime factor is.
  local function is_primitive (modulus, d)
    local n = (1 << d) - 1
    local left, p = n, 2
    if power(n, modulus, d) ~= 1 then return false end
    while left > 1 do
      if p * p > left then p = left end
      if left % p == 0 then
        if n > 1 and power(n // p, modulus, d) == 1 then return false end
        while left % p == 0 do left = left // p end
      end
      p = p + 1
    end
    return true
  end

  -- The first primitive polynomials, by degree, then by coefficients.
  local function primitive (count)
    local list, d = {}, 1
    while #list < count do
      for modulus = (1 << d) + 1, (1 << d + 1) - 1, 2 do
        if #list < count and is_primitive(modulus, d) then list[#list + 1] = {modulus, d} end
      end
      d = d + 1
    end
    return list
  end

  -- v_1 .. v_32 of a dimension: v_j = m_j 2^(32 - j) for the m given, then
  -- v_j = v_(j-d) ~ v_(j-d) >> d ~ the v_(j-k) whose coefficient of x^(d-k) is 1, 0 < k < d.
  local function directions (m, modulus, d)
    local v = {}
    for j = 1, BITS do
      if j <= d then v[j] = m[j] << BITS - j
      else
        v[j] = v[j - d] ~ v[j - d] >> d
        for k = 1, d - 1 do
          if modulus >> d - k & 1 == 1 then v[j] = v[j] ~ v[j - k] end
        end
      end
    end
    return v
  end

  local tables

  -- Direction numbers of all dimensions, made when they are first needed.
  local function all_directions ()
    if tables then return tables end
    local rows = {}
    for row in (require "lurn.sobol_numbers"):gmatch "[^;]+" do
      local m = {}
      for word in row:gmatch "%d+" do m[#m + 1] = math.tointeger(word) end
      rows[#rows + 1] = m
    end
    local first = {}
    for j = 1, BITS do first[j] = 1 << BITS - j end
    tables = {first}
    for i, p in ipairs(primitive(#rows)) do tables[i + 1] = directions(rows[i], p[1], p[2]) end
    return tables
  end

  -- ---- points -----------------------------------------------------------------------------------------

  --- Coordinate of point n (from 0) in a dimension (from 1): a whole number below 2^32.
  ---@param n integer
  ---@param dimension integer
  function sobol.word (n, dimension)
    local v, gray, x = all_directions()[dimension], n ~ n >> 1, 0
    for j = 1, BITS do
      if gray >> j - 1 & 1 == 1 then x = x ~ v[j] end
    end
    return x
  end

  -- Bit by bit from the top; the node of the tree of bits above is 1, 2 or 3, 4 to 7, ...
  local function scramble (self, x, name)
    local out, key = 0, "sobol:" .. name
    for b = 0, BITS - 1 do
      local node = 1 << b | x >> BITS - b
      out = out << 1 | (x >> BITS - 1 - b & 1 ~ lurn.rng.below(self.seed, "search", key, node, 2))
    end
    return out
  end

  function sobol:start ()
    local most = #all_directions()
    if #self.space > most then
      error(("lurn.sampler: sobol: at most %d parameters, got %d"):format(most, #self.space), 3)
    end
  end

  function sobol:propose (number)
    local params = {}
    for i, p in ipairs(self.space) do
      local x, rest = sobol.word(number, i), 0
      if self.scramble then x, rest = scramble(self, x, p.name), self:uniform(number, p.name) end
      params[p.name] = space.at(p, (x + rest) / (1 << BITS))
    end
    return params
  end
end
