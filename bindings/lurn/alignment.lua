--- Where along its frames each label of a sequence is said: connectionist temporal classification, looked at.
--
-- Nobody has laid the labels along the frames (Graves et al. 2006); the model has a probability for every way to do
-- it. l' is the labels with a blank before, between and behind them, S = 2 L + 1 places; y_t(k) is ln of the
-- probability of class k at frame t, and a, b are as in core/op_ctc.c:
--   a_t(s) = y_t(l'_s) + lse(a_{t-1}(s), a_{t-1}(s-1), a_{t-1}(s-2) unless l'_s is blank or l'_{s-2})
--   b_t(s) = the same from the end        ln p = lse(a_T(S), a_T(S-1))
--   share_t(s) = exp(a_t(s) + b_t(s) - y_t(l'_s) - ln p)
-- is how much of p the ways have that are at place s then. The op gives their sums by class; a picture wants them by
-- place, since a label may come twice.

local M = {}

local NEVER = -math.huge

local function lse (a, b, c)
  local most = math.max(a, b, c)
  if most == NEVER then return NEVER end
  return most + math.log(math.exp(a - most) + math.exp(b - most) + math.exp(c - most))
end

local function reversed (list)
  local out, n = {}, #list
  for i = 1, n do out[i] = list[n + 1 - i] end
  return out
end

-- a: a list of frames, each with a number for every place.
local function rise (y, labels, blank)
  local a, places = {}, 2 * #labels + 1
  for t, frame in ipairs(y) do
    local before, now = a[t - 1], {}
    for s = 1, places do
      local label = labels[s // 2]
      local is_label = s % 2 == 0
      local reached = s <= 2 and 0 or NEVER
      if before then
        local over = is_label and s > 2 and label ~= labels[s // 2 - 1]
        reached = lse(before[s], s > 1 and before[s - 1] or NEVER, over and before[s - 2] or NEVER)
      end
      now[s] = reached + frame[is_label and label or blank]
    end
    a[t] = now
  end
  return a
end

--- For every label the share that it has in every frame; nil when the frames cannot spell the labels.
---@param y number[][]        ln of the probability of every class, frame by frame
---@param labels integer[]    classes, from 1
---@param blank integer       the class that is no label
---@return number[][]? shares (L,T)
---@return number? ln_p       of the labels
function M.shares (y, labels, blank)
  local T, S = #y, 2 * #labels + 1
  local a, b = rise(y, labels, blank), rise(reversed(y), reversed(labels), blank)
  local p = lse(a[T][S], S > 1 and a[T][S - 1] or NEVER, NEVER)
  if not (p > NEVER) then return nil end
  local shares = {}
  for k, id in ipairs(labels) do
    shares[k] = {}
    for t = 1, T do
      local here = y[t][id]
      shares[k][t] = here > NEVER and math.exp(a[t][2 * k] + b[T + 1 - t][S + 1 - 2 * k] - here - p) or 0.0
    end
  end
  return shares, p
end

return M
