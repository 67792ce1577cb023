--- Which way a series of numbers is better.
--
-- A name that lurn gives has a direction of its own, whatever the experiment is about: a loss is better the smaller, an
-- accuracy the larger. Every other one goes as the experiment's value does.

local M = {}

local OWN = {}
for _, name in ipairs {"loss", "mean_loss", "mae", "rmse", "perplexity", "bits", "bits_per_character", "edit_distance",
  "label_error", "grad_norm", "penalty"} do OWN[name] = "minimize" end
for _, name in ipairs {"accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_micro", "auc"} do
  OWN[name] = "maximize"
end

--- The direction of a name's own, or nil: "accuracy", and what run:fit logs as "valid_accuracy".
---@param name string
---@return "minimize"|"maximize"|nil
function M.of (name) return OWN[name:gsub("^valid_", "")] end

--- Whether more of it is better.
---@param name string
---@param direction string?   the experiment's
---@return boolean
function M.grows (name, direction) return (M.of(name) or direction) == "maximize" end

return M
