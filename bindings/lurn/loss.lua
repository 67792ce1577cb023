--- Losses: per frame, then one number.
--
-- A loss object has build (m, out) -> loss, weight: two symbols of one number each, the loss and what it was
-- divided by, so that evaluations over several batches can be put together. Reductions: "mean" over
-- what counts, "time" (the sum over t of each sequence, averaged over sequences), "sum".

return function (lurn)
  local schema = lurn.schema
  local M = {}

  local REDUCTION = {"string", "mean", {"mean", "time", "sum"}, "how frames become one number"}

  -- The targets, and how much each counts: as its mask says, and not at all where an index is none. A number
  -- that does not count may be anything, NaN as well. So it is replaced before it is used: in a
  -- derivative, a product, NaN times the zero that the reduction selects would be NaN.
  local function targets (m, index, axis, shape)
    local y = m:input("y", index and "index" or "real", axis, shape)
    local mask = m.mask and m:input("mask", "real", axis, {1}) or nil
    if not index then return mask and lurn.where(mask, y, 0) or y, mask end
    local live = lurn.live(y)
    return y, mask and live * mask or live
  end

  local function define (name, index, help)
    M[name] = function (options)
      local o = schema.check("lurn.loss." .. name, options or {}, {reduction = REDUCTION})
      return {name = name, help = help, index = index, build = function (_, m, out)
        local y, weight = targets(m, index, out.axis, index and {1} or out.shape)
        return m.program:reduce(m.program:loss(name, out, y), weight, o.reduction)
      end}
    end
  end
  define("cross_entropy", true, "-ln softmax(out)[y]; a target of 0 is ignored")
  define("mse", false, "(out - y)^2, averaged over columns")
  define("bce", false, "binary cross-entropy of logits, averaged over columns")

  --- Any formula: f (out, y) -> a loss per frame (one column, or several to be averaged).
  ---@param f fun(out: any, y: any): any
  ---@param options? {target: "index"|"real", reduction: string?, size: integer?}
  function M.custom (f, options)
    local o = schema.check("lurn.loss.custom", options or {}, {reduction = REDUCTION,
      target = {"string", "real", {"real", "index"}, "what y is"},
        size = {"integer", nil, {1, 1e8}, "columns of y; out's by default"}})
    local index = o.target == "index"
    return {name = "custom", index = index, build = function (_, m, out)
      local y, weight = targets(m, index, out.axis, index and {1} or {o.size or out.cols})
      return m.program:reduce(lurn.mean(f(out, y)), weight, o.reduction)
    end}
  end

  return M
end
