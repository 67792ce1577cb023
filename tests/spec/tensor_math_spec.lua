-- tensor_math_spec.lua: arithmetic and reductions, against plain Lua or by hand.
local lurn = require "lurn"
local h = require "tensor_helper"

local eps, A, near, raises = h.eps, h.A, h.near, h.raises

describe("arithmetic", function()
  it("works element by element", function()
    local t = A()
    near({{2, 3, 4}, {5, 6, 7}}, t + 1)
    near({{0, -1, -2}, {-3, -4, -5}}, 1 - t)
    near({{2, 4, 6}, {8, 10, 12}}, t + t)
    near({{0, 1, 2}, {3, 4, 5}}, t:subtract(1))
    near({{1, 4, 9}, {16, 25, 36}}, t * t)
    near({{0.5, 1, 1.5}, {2, 2.5, 3}}, t / 2)
    near({{2, 4, 8}, {16, 32, 64}}, 2 ^ t)
    near({{1, 4, 9}, {16, 25, 36}}, t ^ 2)
    near({{-1, -2, -3}, {-4, -5, -6}}, -t)
    near({{1, 0, 1}, {0, 1, 0}}, t:mod(2))
    near({{2, 2, 3}, {4, 4, 4}}, t:maximum(2):minimum(4))
    near({{1, 1 / 2, 1 / 3}, {1 / 4, 1 / 5, 1 / 6}}, 1 / t)
  end)

  it("divides by a number, and does not multiply by its inverse", function()
    local t, worst = lurn.arange(1, 2000), 0
    local q = t / 49
    for i = 1, #t do worst = math.max(worst, math.abs(q[i] - lurn.tensor {t[i]}:div(lurn.tensor {49})[1])) end
    assert.equal(0.0, worst + 0.0)
  end)

  it("broadcasts as NumPy does", function()
    local t = A()
    near({{11, 22, 33}, {14, 25, 36}}, t + lurn.tensor {10, 20, 30})
    near({{11, 12, 13}, {24, 25, 26}}, t + lurn.tensor {{10}, {20}})
    near({{11, 21}, {12, 22}}, lurn.tensor {{1}, {2}} + lurn.tensor {10, 20})
    assert.same({2, 4, 3}, (lurn.zeros(2, 1, 3) + lurn.zeros(4, 1)).shape)
    assert.same({0, 3}, (lurn.zeros(0, 3) + lurn.zeros(3)).shape)
    raises("bad argument #2 to 'add' (expected a shape that broadcasts with (2, 3), got (4))",
           function() return t + lurn.zeros(4) end)
    raises("got (2)", function() return t * lurn.zeros(2) end)
  end)

  it("does not mind strides", function()
    local a = lurn.normal(37, 700, {seed = 1})
    local b = lurn.normal(700, 37, {seed = 2})
    assert((a:t() * b):equal(a:t():contiguous() * b))
    assert((a + b:t()):t():equal(a:t() + b))
    assert(a:t():tanh():equal(a:tanh():t()))
    local wide = lurn.zeros(37, 1400)
    local half = wide:narrow(2, 3, 700)
    half:copy(a):mul_(2)
    assert(half:equal(a * 2))
    assert.equal(0.0, wide:narrow(2, 703, 698):norm() + wide:narrow(2, 1, 2):norm())
  end)

  it("writes in place", function()
    local t = A()
    local same = t:add_(1):mul_(t):sub_(lurn.tensor {1, 2, 3}):div_(2)
    assert.equal(t, same)
    near({{1.5, 3.5, 6.5}, {12, 17, 23}}, t)
    near({{2, 5}}, lurn.tensor {{4, 25}}:sqrt_())
    raises("bad argument #1 to 'add_' (expected a shape that broadcasts to (3), got (2, 3))",
           function() lurn.zeros(3):add_(t) end)
  end)

  it("compares", function()
    local t = lurn.tensor {1, 2, 3}
    near({0, 0, 1}, t:gt(2))
    near({0, 1, 1}, t:ge(2))
    near({1, 0, 0}, t:lt(2))
    near({1, 1, 0}, t:le(2))
    near({0, 1, 0}, t:eq(2))
    near({1, 0, 1}, t:ne(2))
    near({0, 1, 1}, t:gt(lurn.tensor {1, 1, 1}))
    near({10, 2, 30}, t:ne(2):where(t * 10, t))
    near({-1, -1, 3}, t:gt(2):where(t, -1))
    near({2, 2, 2.5}, t:clamp(2, 2.5))
    near({2, 2, 3}, t:clamp(2))
    near({1, 2, 2}, t:clamp(nil, 2))
    raises("the upper limit is below the lower one", t.clamp, t, 2, 1)
    raises("expected a shape that broadcasts with (3), got (2)", t.where, t, lurn.zeros(2), 0)
  end)

  it("has == as identity, and equal for values", function()
    local t = A()
    assert.is_true(t == t)
    assert.is_false(t == A())
    assert.is_true(t:equal(A()))
    assert.is_true(t:equal(t + 0.5, 0.5))
    assert.same({false, "elements at (2, 3) differ: 6.0 against 7.0"}, {t:equal(A():set(2, 3, 7))})
    assert.same({false, "shapes differ: (2, 3) against (3, 2)"}, {t:equal(t:t())})
    assert.same({false, "shapes differ: (1) against ids (1)"}, {lurn.zeros(1):equal(lurn.ids(1))})
    assert.same({false, "elements at (2) differ: 1 against 2"}, {lurn.ids {0, 1}:equal(lurn.ids {0, 2})})
    local nan = lurn.tensor {0 / 0}
    assert.is_false((nan:equal(nan)))
    local inf = lurn.tensor {1 / 0}
    assert.is_true(inf:equal(inf))
    assert.is_false((inf:equal(-inf, 1)))
  end)

  it("checks its operands", function()
    local t = A()
    raises("number or lurn.tensor expected, got nil", function() return t + nil end)
    raises("lurn.tensor expected, got table", function() return {} + t end)
    raises("number or lurn.tensor expected, got table", function() return t:add {} end)
    raises("lurn.tensor expected, got FILE*", function() return t * io.stdout end)
    raises("number or lurn.tensor expected, got no value", function() return t:add() end)
  end)

  it("leaves operators to those who know better", function()
    local symbol = setmetatable({}, {__add = function(a, b) return {"add", a, b} end,
                                     __mod = function(a, b) return {"mod", a, b} end})
    local t = A()
    assert.same({"add", t, symbol}, t + symbol)
    assert.same({"add", symbol, t}, symbol + t)
    assert.same({"mod", t, symbol}, t % symbol)
  end)
end)

describe("functions", function()
  local x = {-2.5, -1, -0.25, 0, 0.5, 1.5, 3}
  local function sign(a) return a > 0 and 1 or a < 0 and -1 or 0 end
  local function even(a)
    local f = math.floor(a + 0.5)
    return (a + 0.5 == f and f % 2 == 1) and f - 1 or f
  end
  local rows = {
    neg = function(a) return -a end, abs = math.abs, sign = sign, exp = math.exp,
    expm1 = function(a) return math.exp(a) - 1 end, sin = math.sin, cos = math.cos,
    tanh = function(a) return 1 - 2 / (math.exp(2 * a) + 1) end,
    sigmoid = function(a) return 1 / (1 + math.exp(-a)) end,
    relu = function(a) return math.max(a, 0) end,
    floor = math.floor, ceil = math.ceil, round = even,
    square = function(a) return a * a end,
    softplus = function(a) return math.log(1 + math.exp(a)) end,
    isnan = function() return 0 end, isfinite = function() return 1 end,
  }
  local positive = {
    log = math.log, sqrt = math.sqrt, log1p = function(a) return math.log(1 + a) end,
    reciprocal = function(a) return 1 / a end,
  }
  for name, f in pairs(rows) do
    it(name, function()
      local want = {}
      for i, a in ipairs(x) do want[i] = f(a) end
      local t = lurn.tensor(x)
      near(want, t[name](t), 20 * eps)
      local u = t:clone()
      assert.equal(u, u[name .. "_"](u))
      near(want, u, 20 * eps)
    end)
  end
  for name, f in pairs(positive) do
    it(name, function()
      local t = lurn.tensor {0.25, 1, 3, 10}
      for i = 1, 4 do near(f(t[i]), t[name](t)[i]) end
    end)
  end
  it("erf", function()
    near({0, 0.8427007929497149, -0.9953222650189527}, lurn.tensor {0, 1, -2}:erf())
  end)
  it("keep NaN and infinities visible", function()
    local t = lurn.tensor {0 / 0, 1 / 0, -1 / 0, 1}
    near({1, 0, 0, 0}, t:isnan())
    near({0, 0, 0, 1}, t:isfinite())
    assert.is_true(t:relu()[1] ~= t:relu()[1])
  end)
end)

describe("reductions", function()
  local t = lurn.tensor {{3, 1, 2}, {6, 5, 10}}

  it("take everything", function()
    assert.equal(27.0, t:sum())
    assert.equal(4.5, t:mean())
    near(53.5 / 5, t:var())
    near(math.sqrt(53.5 / 5), t:std())
    near(math.sqrt(175), t:norm())
    assert.equal(1800.0, t:prod())
    assert.equal(10.0, t:max())
    assert.equal(1.0, t:min())
    assert.equal(6, t:argmax())
    assert.equal(2, t:argmin())
    near(10 + math.log(math.exp(-7) + math.exp(-9) + math.exp(-8) + math.exp(-4) + math.exp(-5) + 1), t:logsumexp())
    assert.equal(27.0, t:t():sum())
    assert.equal(4, t:t():argmin() + 1)
  end)

  it("take a dimension", function()
    near({9, 6, 12}, t:sum(1))
    near({6, 21}, t:sum(2))
    near({6, 21}, t:sum(-1))
    near({{6}, {21}}, t:sum(2, true))
    near({{9, 6, 12}}, t:sum(1, true))
    near({2, 7}, t:mean(2))
    near({1, 7}, t:var(2))
    near({1, math.sqrt(7)}, t:std(2))
    near({6, 300}, t:prod(2))
    local values, where = t:max(2)
    near({3, 10}, values)
    assert.same({1, 3}, where:totable())
    values, where = t:min(1)
    near({3, 1, 2}, values)
    assert.same({1, 1, 1}, where:totable())
    assert.same({1, 3}, t:argmax(2):totable())
    assert.same({{2}, {2}}, t:argmin(2, true):totable())
    assert.equal(6.0, lurn.tensor {1, 2, 3}:sum(1):item())
    near({3, 3}, lurn.ones(2, 3, 2):sum(2)[1])
    near({{4, 4}, {4, 4}, {4, 4}}, lurn.full(3, 2, 2, 2):sum(3))
  end)

  it("are the same as functions of lurn", function()
    local x = lurn.normal(3, 4, {name = "x"})
    for _, name in ipairs {"sum", "mean", "max", "argmax", "logsumexp", "softmax", "log_softmax"} do
      for dim = 1, 2 do
        local wanted = x[name](x, dim)
        assert.is_true(lurn[name](x, dim):equal(wanted), name)
      end
    end
    assert.equal(x:sum(), lurn.sum(x))
  end)

  it("sum in double", function()
    local many = lurn.full(1000000, 0.1)
    near(many[1] * 1e6, many:sum(), 1e-6)
  end)

  it("do not depend on strides", function()
    local r = lurn.normal(100, 33, {seed = 9})
    assert(r:sum(1):equal(r:t():contiguous():sum(2)))
    assert(r:t():var(1):equal(r:var(2)))
  end)

  it("do not lose a NaN", function()
    local n = lurn.tensor {1, 0 / 0, 3}
    for _, name in ipairs {"sum", "mean", "max", "min", "norm", "std", "logsumexp"} do
      local v = n[name](n)
      assert.is_true(v ~= v, name)
    end
    assert.equal(2, n:argmax())
    assert.equal(2, n:argmin())
  end)

  it("know what nothing is", function()
    local none = lurn.zeros(0)
    assert.equal(0.0, none:sum())
    assert.equal(1.0, none:prod())
    assert.equal(0.0, none:norm())
    assert.is_true(none:mean() ~= none:mean())
    assert.equal(-math.huge, none:logsumexp())
    near({0, 0}, lurn.zeros(2, 0):sum(2))
    assert.same({0}, lurn.zeros(0, 3):max(2).shape)
    raises("expected at least one element, got (0)", none.max, none)
    raises("expected at least one element, got (2, 0)", none.argmax, lurn.zeros(2, 0), 2)
    local long = lurn.zeros(1, 1):expand(1, (1 << 31) + 1)      -- one number, in places beyond what an id is
    for _, name in ipairs {"argmax", "argmin", "max"} do
      raises("expected at most 2147483647 elements along it", long[name], long, 2)
    end
    raises("expected a dimension of (2, 3), got 3", t.sum, t, 3)
    raises("number expected, got string", t.sum, t, "x")
  end)

  it("softmax", function()
    local p = t:softmax()
    near({1, 1}, p:sum(2))
    near(math.exp(-2) / (math.exp(0) + math.exp(-2) + math.exp(-1)), p(1, 2))
    near({1, 1, 1}, t:softmax(1):sum(1))
    near(t:softmax(1):log(), t:log_softmax(1), 10 * eps)
    near({0.5, 0.5}, lurn.tensor {1000, 1000}:softmax())
    assert.same({2, 0}, lurn.zeros(2, 0):softmax().shape)
    raises("at least one dimension", function() lurn.zeros():softmax() end)
  end)
end)
