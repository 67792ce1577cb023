-- tensor_helper.lua: what the tensor specs share.
local lurn = require "lurn"

local h = {}
h.f64 = lurn.zeros(1):dtype() == "f64"
h.eps = h.f64 and 1e-12 or 1e-5

function h.A() return lurn.tensor {{1, 2, 3}, {4, 5, 6}} end

function h.near(expected, got, tol)
  if type(expected) == "number" then
    assert(math.abs(expected - got) <= (tol or h.eps), expected .. " expected, got " .. tostring(got))
  else
    local want = lurn.is_tensor(expected) and expected or lurn.tensor(expected)
    assert(got:equal(want, tol or h.eps))
  end
end

-- f(...) fails, and the message has `expected` in it.
function h.raises(expected, f, ...)
  local ok, text = pcall(f, ...)
  assert(not ok, "an error was expected: " .. expected)
  assert(tostring(text):find(expected, 1, true), ("expected %q in %q"):format(expected, text))
end

return h
