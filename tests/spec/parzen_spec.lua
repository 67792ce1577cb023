-- The densities of tpe: the normal distribution beside tables made with mpmath; kernels by the rules of parzen.h;
-- mixtures beside a plain twin written here; draws beside their density. Optuna's own numbers are in search_spec.
local lurn = require "lurn"
local parzen = lurn.core.parzen

describe("the normal distribution", function ()
  local function close (want, got, relative) assert.near(want, got, relative * math.abs(want)) end

  it("is right to the last digits, in the tails as well", function ()
    for x, want in pairs {[0] = 0.5, [-0.5] = 0.30853753872598689636, [-1] = 0.15865525393145705141,
      [-2] = 0.0227501319481792072, [-5] = 2.8665157187919391167e-7, [-10] = 7.619853024160526066e-24,
      [-20] = 2.7536241186062336951e-89, [-35] = 1.124910706472406244e-268, [3] = 0.99865010196836990547} do
      close(want, parzen.below(x), 2e-15 * (1 + x * x / 2))
    end
    for _, row in ipairs {{-1, 2, 0.81859461412036374138}, {3, 4, 0.0013182267897969746054},
      {-6, -5, 2.8566498423415621353e-7}, {8, 9, 6.2198319858658302829e-16}, {-40, 40, 1}} do
      close(row[3], parzen.mass(row[1], row[2]), 1e-13)
    end
    for p, want in pairs {[0.3] = -0.524400512708040816, [0.01] = -2.32634787404084109, [1e-5] = -4.26489079392282461,
      [1e-20] = -9.26234008979840758, [1e-100] = -21.2734535609653243, [1e-300] = -37.0470962993611992} do
      close(want, parzen.quantile(p), 1e-13)
    end
    assert.near(0, parzen.quantile(0.5), 1e-15)
  end)

  it("has an exponential and a logarithm that undo one another", function ()
    for i = -300, 300 do
      local x = i * 1.17 + 0.3
      close(x, parzen.log(parzen.exp(x)), 1e-14)
      close(math.exp(x), parzen.exp(x), 1e-15 * (2 + math.abs(x) / 100))
    end
    assert.equal(0, parzen.exp(-1000))
    assert.equal(math.huge, parzen.exp(1000))
    assert.is_true(parzen.exp(0 / 0) ~= parzen.exp(0 / 0))
  end)
end)

-- ---- kernels ----------------------------------------------------------------------------------------------

local function mixture (axes, points)
  local p, places = parzen.new {seed = 1, name = "test", axes = axes}, {}
  for i, point in ipairs(points) do places[i] = p:add(i, point) end
  p:fit(places)
  return p
end

describe("kernels", function ()
  local function of (axis, values)
    local points = {}
    for i, value in ipairs(values) do points[i] = {value} end
    return mixture({axis}, points):kernels(1)
  end
  local function near (want, got)
    assert.equal(#want, #got)
    for i = 1, #want do assert.near(want[i], got[i], 1e-12) end
  end
  local unit = {name = "x", low = -1, high = 1}

  it("reach to their neighbours", function ()
    -- the worked examples of Optuna's tests (test_parzen_estimator.py), with its present rules for the ends
    near({0.6, 0.6, 2}, (select(2, of(unit, {-0.3, 0.3}))))
    near({1.4, 2}, (select(2, of(unit, {0.4}))))
    near({-0.4, 0.4, 0.41, 0.42, 0}, (of(unit, {-0.4, 0.4, 0.41, 0.42})))
    near({0.8, 0.8, 1 / 3, 1 / 3, 2}, (select(2, of(unit, {-0.4, 0.4, 0.41, 0.42}))))     -- not below 2 / 6
    local mu, sigma = of({name = "x", low = 1, high = 100}, {1})
    near({1, 50.5}, mu)
    near({99, 99}, sigma)
  end)

  it("live on the logarithm, half a step beyond the range", function ()
    local mu, sigma = of({name = "n", kind = "steps", low = 1, high = 8, step = 1, log = true}, {2})
    local low, high = math.log(0.5), math.log(8.5)
    near({math.log(2), (low + high) / 2}, mu)
    near({math.max(math.log(2) - low, high - math.log(2)), high - low}, sigma)
  end)

  it("forget slowly", function ()
    local values = {}
    for i = 1, 30 do values[i] = i / 40 end
    local weight = select(3, of(unit, values))
    local sum = 0
    for _, w in ipairs(weight) do sum = sum + w end
    assert.near(1, sum, 1e-14)
    for i, want in ipairs {1 / 30, 0.275, 0.516666666666667, 0.758333333333333, 1, 1} do
      assert.near(want, weight[i] / weight[31], 1e-12)
    end
  end)
end)

-- ---- a plain twin -----------------------------------------------------------------------------------------

-- Share of a standard normal below x, by the series of Abramowitz & Stegun 26.2.11 and the fraction of 26.2.14.
local function below (x)
  local f = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)
  if math.abs(x) < 4 then
    local term, sum = x, x
    for k = 1, 80 do
      term = term * x * x / (2 * k + 1)
      sum = sum + term
    end
    return 0.5 + f * sum
  end
  local fraction = 0
  for k = 60, 1, -1 do fraction = k / (math.abs(x) + fraction) end
  local tail = f / (math.abs(x) + fraction)
  return x < 0 and tail or 1 - tail
end

local function mass (a, b) return a > 0 and below(-a) - below(-b) or below(b) - below(a) end

-- ln p(x), from the kernels' mu, sigma and weights: nothing is shared with the engine but these.
local function twin (p, axes, points, x)
  local sum, n = 0, #points
  for k = 1, n + 1 do
    local density, weight = 1, nil
    for a, axis in ipairs(axes) do
      local point = points[k]
      if axis.kind == "choice" then
        local hit, K = point and point[a] == x[a] and 1 or 0, n + 1
        density = density * (point and (1 / K + hit) / (axis.high / K + 1) or 1 / axis.high)
      else
        local mu, sigma, w = p:kernels(a)
        local half = axis.kind == "steps" and axis.step / 2 or 0
        local f = axis.log and math.log or function (v) return v end
        local m, s, low, high = mu[k], sigma[k], f(axis.low - half), f(axis.high + half)
        local inside = mass((low - m) / s, (high - m) / s)
        local here = half > 0 and mass((f(x[a] - half) - m) / s, (f(x[a] + half) - m) / s)
          or math.exp(-((f(x[a]) - m) / s)^2 / 2) / (s * math.sqrt(2 * math.pi))
        density, weight = density * here / inside, w[k]
      end
    end
    sum = sum + weight * density
  end
  return math.log(sum)
end

describe("a mixture", function ()
  local axes = {
    {name = "x", low = -2, high = 3},
    {name = "lr", low = 1e-4, high = 1, log = true},
    {name = "n", kind = "steps", low = 1, high = 9, step = 1},
    {name = "size", kind = "steps", low = 4, high = 64, step = 4},
    {name = "word", kind = "choice", high = 3},
  }
  local function random_point (i)
    local function u (name) return lurn.rng.uniform(7, "search", name, i) end
    return {5 * u "x" - 2, 10 ^ (-4 * u "lr"), 1 + u "n" * 9 // 1, 4 + 4 * (u "size" * 16 // 1), 1 + u "word" * 3 // 1}
  end

  it("is the sum it says it is", function ()
    for _, n in ipairs {0, 1, 2, 5, 40} do
      local points, at = {}, {}
      for i = 1, n do points[i] = random_point(i) end
      for i = 1, 6 do at[i] = random_point(1000 + i) end
      local p = mixture(axes, points)
      for i, got in ipairs(p:score(at)) do
        assert.near(twin(p, axes, points, at[i]), got, 1e-10 * (1 + math.abs(got)))
      end
    end
  end)

  it("has the same bits in both precisions of the module", function ()
    local points, at, results = {}, {}, {}
    for i = 1, 40 do points[i] = random_point(i) end
    for i = 1, 6 do at[i] = random_point(1000 + i) end
    for i, precision in ipairs {"f32", "f64"} do
      local p, places = lurn[precision].core.parzen.new {seed = 3, name = "test", axes = axes}, {}
      for k, point in ipairs(points) do places[k] = p:add(k, point) end
      p:fit(places)
      results[i] = {p:score(at), p:draw(30, 0)}
    end
    assert.same(results[1], results[2])
  end)

  it("does not depend on what was fitted before, nor on the order of adding", function ()
    local p, q = parzen.new {axes = axes}, parzen.new {axes = axes}
    local places, back, at = {}, {}, {}
    for i = 1, 150 do places[i] = p:add(i, random_point(i)) end
    for i = 150, 1, -1 do back[i] = q:add(i, random_point(i)) end
    for i = 1, 10 do at[i] = random_point(1000 + i) end
    for n = 1, 150, 7 do p:fit(places, n) end
    local odd, odd_back = {}, {}
    for i = 1, 150, 2 do odd[#odd + 1], odd_back[#odd_back + 1] = places[i], back[i] end
    p:fit(odd)
    q:fit(odd_back)
    assert.same(q:score(at), p:score(at))
    assert.same(q:draw(50, 3), p:draw(50, 3))
  end)

  it("is what its draws are distributed by", function ()
    for _, axis in ipairs {axes[3], axes[5], {name = "n", kind = "steps", low = 1, high = 12, step = 1, log = true}} do
      local p, count, C = mixture({axis}, {{1}, {2}, {2}, {3}}), {}, 20000
      for _, point in ipairs(p:draw(C, 0)) do count[point[1]] = (count[point[1]] or 0) + 1 end
      local total = 0
      for value = 1, axis.high do
        local share = math.exp(p:score({{value}})[1])
        total = total + share
        assert.near(share, (count[value] or 0) / C, 4 * math.sqrt(share / C) + 1e-9)
      end
      assert.near(1, total, 1e-12)
    end
    local p, inside, C = mixture({axes[2]}, {{1e-2}, {2e-2}, {3e-2}}), 0, 20000
    for _, point in ipairs(p:draw(C, 0)) do inside = inside + (point[1] > 5e-3 and point[1] < 5e-2 and 1 or 0) end
    local area, steps = 0, 4000
    for i = 1, steps do
      local lr = 5e-3 * 10 ^ ((i - 0.5) / steps)
      area = area + math.exp(p:score({{lr}})[1]) * math.log(10) / steps
    end
    assert.near(area, inside / C, 4 * math.sqrt(area / C))
  end)

  it("says what is wrong", function ()
    local p = parzen.new {axes = axes}
    assert.error_matches(function () p:score {} end, "not fitted yet")
    assert.error_matches(function () p:add(1, {9, 1, 1, 4, 1}) end, "coordinate 1 is outside its axis")
    assert.error_matches(function () p:fit {1} end, "more places than observations")
    p:add(1, random_point(1))
    p:add(2, random_point(2))
    assert.error_matches(function () p:fit {1, 1} end, "different places")
    assert.error_matches(function () p:fit {3} end, "a list of places")
    assert.error_matches(function () parzen.new {axes = {{name = "a", low = 2, high = 1}}} end, "axis a: not a range")
    assert.error_matches(function () parzen.new {axes = {{name = "a", kind = "word"}}} end,
      "kind is number, steps or choice")
  end)
end)
