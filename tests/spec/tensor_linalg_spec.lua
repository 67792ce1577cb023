-- tensor_linalg_spec.lua: products against a triple loop, factorisations against what defines them.
local lurn = require "lurn"
local h = require "tensor_helper"

local f64, A, near, raises = h.f64, h.A, h.near, h.raises

describe("matmul", function()
  local function naive(a, b)
    local c = lurn.zeros(a:size(1), b:size(2))
    for i = 1, a:size(1) do
      for j = 1, b:size(2) do
        local s = 0
        for k = 1, a:size(2) do s = s + a(i, k) * b(k, j) end
        c:set(i, j, s)
      end
    end
    return c
  end

  it("multiplies matrices in any layout", function()
    local a, b = lurn.normal(5, 7, {seed = 1}), lurn.normal(7, 3, {seed = 2})
    local want = naive(a, b)
    near(want, a % b)
    near(want, a:matmul(b))
    near(want, a:t():contiguous():t() % b)
    near(want, a % b:t():contiguous():t())
    near(want, (b:t() % a:t()):t())
    local wide = lurn.zeros(5, 20)
    wide:narrow(2, 4, 7):copy(a)
    near(want, wide:narrow(2, 4, 7) % b)
    near(naive(a:sub(1, 1):expand(4, 7), b), a:sub(1, 1):expand(4, 7) % b)
    near(naive(lurn.ones(1, 1):expand(3, 2), lurn.ones(2, 2)), lurn.ones(1, 1):expand(3, 2) % lurn.ones(2, 2))
    local odd = lurn.arange(24):reshape(2, 3, 4):select(3, 2)      -- strides (12, 4)
    near(naive(odd, lurn.eye(3)), odd % lurn.eye(3))
  end)

  it("takes vectors and stacks", function()
    local a = A()
    near({14, 32}, a % lurn.tensor {1, 2, 3})
    near({9, 12, 15}, lurn.tensor {1, 2} % a)
    assert.equal(14.0, lurn.tensor {1, 2, 3} % lurn.tensor {1, 2, 3})
    near({14, 32}, a % lurn.tensor {{1, 0}, {2, 0}, {3, 0}}:select(2, 1))
    local x, w = lurn.normal(4, 2, 3, {seed = 1}), lurn.normal(3, 5, {seed = 2})
    local y = x % w
    assert.same({4, 2, 5}, y.shape)
    near(x[3] % w, y[3])
    near((x:transpose(1, 2) % w)[2], x:select(2, 2) % w)
    local s = lurn.normal(4, 3, 2, {seed = 3})
    near(x[2] % s[2], (x % s)[2])
    assert.same({4, 2}, (x % w:select(2, 1)).shape)
  end)

  it("adds up nothing to 0", function()
    assert.same({{0.0, 0.0}}, (lurn.zeros(1, 0) % lurn.zeros(0, 2)):totable())
    assert.same({0, 2}, (lurn.zeros(0, 3) % lurn.zeros(3, 2)).shape)
    assert.equal(0.0, lurn.zeros(0) % lurn.zeros(0))
  end)

  it("names both shapes", function()
    local a = lurn.zeros(50, 128)
    raises("bad argument #1 to 'matmul' (expected (128, *), got (64, 10))", function() a:matmul(lurn.zeros(64, 10)) end)
    raises("bad argument #2 to 'mod' (expected (128, *), got (64, 10))", function() return a % lurn.zeros(64, 10) end)
    raises("expected (128), got (64)", function() return a % lurn.zeros(64) end)
    raises("expected (2, 4, *), got (3, 4, 5)", function() return lurn.zeros(2, 3, 4) % lurn.zeros(3, 4, 5) end)
    raises("expected (128, *), got (1, 128, 5)", function() return a % lurn.zeros(1, 128, 5) end)
    raises("expected (128, *), got ()", function() return a % lurn.zeros() end)
    raises("expected at least one dimension, got ()", function() return lurn.zeros() % a end)
    raises("lurn.tensor expected, got number", function() return a % 2 end)
  end)
end)

describe("linear algebra", function()
  local n = 6
  local a = lurn.normal(n, n, {seed = 1}) + 3 * lurn.eye(n)
  local tol = f64 and 1e-11 or 1e-4

  it("solves", function()
    local b = lurn.normal(n, 2, {seed = 2})
    near(b, a % a:solve(b), tol)
    near(b:select(2, 1), a % a:solve(b:select(2, 1)), tol)
    near(b, a:t() % a:t():solve(b), tol)
    near({1, 2}, lurn.tensor {{2, 0}, {1, 4}}:solve(lurn.tensor {2, 9}))
    near(lurn.eye(n), a % a:inv(), tol)
    near({{1, -1}, {0, 0.5}}, lurn.tensor {{1, 2}, {0, 2}}:inv())
    assert.same({0, 3}, lurn.zeros(0, 0):solve(lurn.zeros(0, 3)).shape)
    raises("solve: the matrix (2, 2) is singular: pivot 2 is 0", function() lurn.ones(2, 2):inv() end)
    raises("expected (2, 2), got (2, 3)", function() A():inv() end)
    raises("expected (6, *), got (5, 2)", function() a:solve(lurn.zeros(5, 2)) end)
    raises("expected (6), got (5)", function() a:solve(lurn.zeros(5)) end)
    raises("expected (6, *), got (6, 1, 1)", function() a:solve(lurn.zeros(6, 1, 1)) end)
    raises("solve: the matrix (1, 1) has a NaN at (1, 1)", function() lurn.tensor {{0 / 0}}:inv() end)
  end)

  it("finds determinants", function()
    near(-2, lurn.tensor {{1, 2}, {3, 4}}:det())
    near(-1, lurn.tensor {{0, 1}, {1, 0}}:det())
    assert.equal(0.0, lurn.ones(2, 2):det())
    assert.equal(1.0, lurn.zeros(0, 0):det())
    near(a:det() * 64, (2 * a):det(), f64 and 1e-6 or 1)
    raises("a square matrix, got (2)", function() lurn.zeros(2):det() end)
  end)

  for _, shape in ipairs {{6, 4}, {4, 6}, {5, 5}, {1, 3}, {3, 1}} do
    local m, k = lurn.normal(shape[1], shape[2], {seed = 5}), math.min(shape[1], shape[2])
    local name = table.concat(shape, " x ")

    it("qr of " .. name, function()
      local q, r = m:qr()
      near(m, q % r, tol)
      near(lurn.eye(k), q:t() % q, tol)
      for i = 2, k do near(0, r:sub(i, i):narrow(2, 1, i - 1):norm()) end
      near(m:t(), ((function(q2, r2) return q2 % r2 end)(m:t():qr())), tol)
    end)

    it("svd of " .. name, function()
      local u, s, vt = m:svd()
      near(m, (u * s) % vt, tol)
      near(lurn.eye(k), u:t() % u, tol)
      near(lurn.eye(k), vt % vt:t(), tol)
      for i = 2, k do assert.is_true(s[i] <= s[i - 1]) end
      near(m:norm(), s:norm(), tol)
    end)
  end

  it("eigenvalues of symmetric matrices", function()
    local s = a + a:t()
    local w, v = s:eigh()
    near(s % v, v * w, 10 * tol)
    near(lurn.eye(n), v:t() % v, tol)
    for i = 2, n do assert.is_true(w[i] >= w[i - 1]) end
    near({1, 3}, (lurn.tensor {{2, 1}, {1, 2}}:eigh()))
    near({1, 3}, (lurn.tensor {{2, 99}, {1, 2}}:eigh()))       -- the lower triangle is read
    raises("expected a square matrix, got (2)", function() lurn.zeros(2):eigh() end)
  end)

  it("eigenvalues of any matrix", function()
    local wr, wi, vr, vi = a:eig()
    near(a % vr, vr * wr - vi * wi, 10 * tol)
    near(a % vi, vr * wi + vi * wr, 10 * tol)
    near(a:t():det(), a:det(), 1e3 * tol)
    wr, wi = lurn.tensor {{0, -1}, {1, 0}}:eig()
    near({0, 0}, wr)
    near({1, 1}, wi:abs())
    near(0, wi:sum())
    raises("eig: the matrix (1, 1) has an infinite element at (1, 1)", function() lurn.tensor {{1 / 0}}:eig() end)
  end)

  it("refuses what LAPACK cannot index", function()
    raises("sides of at most 16384, got (1, 16385)", function() lurn.zeros(1, 16385):svd() end)
  end)

  it("leaves its inputs alone", function()
    local before = a:clone()
    a:inv(); a:det(); a:qr(); a:svd(); a:eig(); a:eigh()
    assert(a:equal(before))
  end)
end)
