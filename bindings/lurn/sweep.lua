--- A study as a sweep makes it: of an experiment and what the command line says, to plain tables that a store keeps,
-- and from these to those who propose, prune and promote.

return function (lurn)
  local json = lurn.json
  local M = {}

  M.SAMPLER, M.PRUNER, M.TRIALS = "tpe", "median", 50      -- where nothing is said

  -- Who wants all seeds of all configurations wants them whole.
  local function default_pruner (o)
    local all = o.race == false and (o.seeds or 1) > 1
    return {name = all and "nop" or M.PRUNER}
  end

  ---------------------------------------------------------------- words of the command line

  local plain = {["true"] = true, ["false"] = false}

  --- "asha:min_resource=2,reduction_factor=3" -> {name = "asha", min_resource = 2, reduction_factor = 3}; nil and a
  -- message when it cannot be read.
  ---@param text string
  ---@return table? choice
  ---@return string? message
  function M.parse_choice (text)
    local name, rest = text:match "^([%w_]+):?(.*)$"
    if not name then return nil, ("expected NAME or NAME:option=value,..., got '%s'"):format(text) end
    local out = {name = name}
    for part in rest:gmatch "[^,]+" do
      local key, value = part:match "^%s*([%w_]+)=(.+)$"
      if not key then return nil, ("'%s' in '%s' is not option=value"):format(part, text) end
      local word = plain[value]
      if word == nil then word = math.tointeger(tonumber(value)) or tonumber(value) or value end
      out[key] = word
    end
    return out
  end

  --- The other way round.
  ---@param choice table
  ---@return string
  function M.choice_text (choice)
    local words = {}
    for key, value in next, choice do if key ~= "name" then words[#words + 1] = ("%s=%s"):format(key, value) end end
    table.sort(words)
    return choice.name .. (words[1] and ":" .. table.concat(words, ",") or "")
  end

  ---------------------------------------------------------------- a study

  local function options_of (choice, more)
    local options = {}
    for key, value in next, choice do if key ~= "name" then options[key] = value end end
    for key, value in next, more do options[key] = value end
    return options
  end

  --- The sampler of a spec. Raises what is wrong with its options.
  function M.sampler (spec, direction, experiment)
    return lurn.sampler.new(spec.sampler.name, spec.space, options_of(spec.sampler, {seed = spec.seed,
      direction = direction, active = lurn.space.conditions(experiment, spec.fixed)}))
  end

  function M.pruner (spec, direction, name)
    return lurn.pruner.new(spec.pruner.name, options_of(spec.pruner, {direction = direction, study = name}))
  end

  local function script_of (experiment)
    return {path = experiment.path, text = experiment.script, sha256 = lurn.sys.sha256(experiment.script),
      folder = os.getenv "PWD", lua = lurn.manifest.required {experiment = experiment}}
  end

  local NOTHING = [[there is nothing to search: no parameter of %s has a range. Declare one,
  lr = {1e-3, float = {1e-4, 1e-1}, log = true}, cell = {"lstm", choice = {"lstm", "gru"}}
or give one here: --lr 1e-4..1e-1,log --cell lstm,gru]]

  --- A study of an experiment: {name, direction, spec, trials, size = how many configurations there can be, or nil}, or
  -- nil and a message.
  ---@param experiment lurn.Experiment
  ---@param o table   words (parameters as the command line has them), study, direction, trials, seeds, seed,
  -- train_seed, sampler, pruner, limits, keep
  ---@return table? study
  ---@return string? message
  function M.describe (experiment, o)
    local space, fixed = lurn.space.of(experiment, o.words)
    if not space then return nil, fixed end
    if #space == 0 and (o.seeds or 1) == 1 then return nil, NOTHING:format(experiment.path or experiment.name) end
    local direction = o.direction or experiment.direction
    local spec = {script = script_of(experiment), fixed = fixed, space = space,
      sampler = o.sampler or {name = M.SAMPLER}, pruner = o.pruner or default_pruner(o),
      seeds = o.seeds or 1, race = o.race, seed = o.seed or 1, train_seed = o.train_seed or 1,
      limits = o.limits or {}, retries = {crashed = 2}, keep = o.keep or 5, precision = lurn.precision, threads = 1}
    if spec.pruner.name == "none" then spec.pruner.name = "nop" end
    local ok, sampler = pcall(M.sampler, spec, direction, experiment)
    if not ok then return nil, sampler end
    local fine, message = pcall(M.pruner, spec, direction, "")
    if not fine then return nil, message end
    local name = o.study or experiment.name
    local size = sampler.size or #space == 0 and 1 or nil      -- more there are not
    local trials = math.min(o.trials or size or M.TRIALS, size or math.huge)
    return {name = name, direction = direction, spec = spec, trials = trials, size = size}
  end

  --- All that a run of these parameters is given: they and what the study fixes, without what means nothing there.
  ---@param spec table
  ---@param active fun(params: table): table   from lurn.space.conditions
  ---@param params table
  ---@return table<string, any> all
  ---@return string[]? unused   names of fixed parameters that are left out
  function M.whole (spec, active, params)
    local all, means, unused = {}, active(params), nil
    for name, value in next, params do all[name] = value end
    for name, value in next, spec.fixed or {} do
      if means[name] then all[name] = value
      else
        unused = unused or {}
        unused[#unused + 1] = name
      end
    end
    return all, unused
  end

  ---------------------------------------------------------------- is it the same?

  local function first_line_that_differs (a, b)
    local next_b, line = (b .. "\n"):gmatch "(.-)\n", 0
    for was in (a .. "\n"):gmatch "(.-)\n" do
      line = line + 1
      local is = next_b()
      if is ~= was then return line, was, is or "(no such line)" end
    end
    return line + 1, "(no such line)", next_b() or ""
  end

  local function text (value)
    if value == nil then return "(none)" end
    if type(value) == "table" and value.name then return M.choice_text(value) end
    return type(value) == "table" and json.encode(value) or tostring(value)
  end

  local function by_name (space)
    local out = {}
    for _, p in ipairs(space) do out[p.name] = p end
    return out
  end

  local function compare_script (was, is, add)
    -- The texts, not their hashes: a store may come from anybody, and what is in it is what trials execute.
    if was.text ~= is.text then
      local line, old, new = first_line_that_differs(was.text, is.text)
      add("the script: line %d was\n    %s\n  and is now\n    %s", line, old, new)
    end
    for name, code in next, was.lua or {} do
      if is.lua[name] ~= code then add("the module '%s' that the script requires", name) end
    end
  end

  local function compare_space (was, is, add)
    local a, b = by_name(was), by_name(is)
    for _, p in ipairs(was) do
      local q = b[p.name]
      if not q then add("parameter '%s' was %s and is not searched now", p.name, lurn.space.text(p))
      elseif lurn.space.text(p) ~= lurn.space.text(q) then
        add("parameter '%s' was %s and is %s now", p.name, lurn.space.text(p), lurn.space.text(q))
      end
    end
    for _, q in ipairs(is) do
      if not a[q.name] then add("parameter '%s' was not searched and is %s now", q.name, lurn.space.text(q)) end
    end
  end

  local function compare_fixed (was, is, add)
    for name, value in next, was do
      if is[name] ~= value then add("parameter '%s' was fixed at %s, now %s", name, text(value), text(is[name])) end
    end
    for name, value in next, is do
      if was[name] == nil then add("parameter '%s' was not fixed, now it is %s", name, text(value)) end
    end
  end

  local SAME = {"sampler", "pruner", "seeds", "race", "seed", "train_seed", "limits", "keep", "precision"}

  --- What is not as it was when the study began, as a list of sentences. Of what the command line did not say, the
  -- study's own settings hold.
  ---@param study table         from a store
  ---@param now table           from M.describe
  ---@param given table         which options the command line said: {sampler = true, words = true, ...}
  ---@return string[]
  function M.differences (study, now, given)
    local list, was, is = {}, study:spec(), now.spec
    local function add (...) list[#list + 1] = select("#", ...) > 1 and string.format(...) or (...) end
    compare_script(was.script, is.script, add)
    if given.words then
      compare_space(was.space, is.space, add)
      compare_fixed(was.fixed or {}, is.fixed, add)
    end
    for _, key in ipairs(SAME) do
      local a, b = text(was[key]), text(is[key])
      if given[key] and a ~= b then add("%s was %s and is %s now", key:gsub("_", "-"), a, b) end
    end
    if given.direction and study.direction ~= now.direction then
      add("direction was %s and is %s now", study.direction, now.direction)
    end
    return list
  end

  --- The experiment of a study, from the text the study keeps: what a worker on another machine plays.
  ---@param study table
  ---@return lurn.Experiment
  function M.experiment_of (study)
    local spec = study:spec()
    return lurn.trial.compile(spec.script, spec.train_seed or 1)
  end

  ---------------------------------------------------------------- who chooses

  -- Trials of a configuration share its parameters: found by the first one of it.
  local function params_of (self, trials, config)
    for k = self.seen + 1, #trials do
      local t = trials[k]
      self.first[t.config] = self.first[t.config] or t.params
      self.seen = k
    end
    return self.first[config]
  end

  -- Who gets the next seed depends on all trials: where others have begun some since, it waits for the next look.
  local function place_of (self, trials, number)
    if self.seeds > 1 and number ~= #trials then
      self.starved = true
      return nil
    end
    self.racing.trials = self.total < math.huge and self.total or nil
    return self.racing:next(trials, number)
  end

  -- Where all rest at their rungs and none may go on, the one that is ahead does, so that there is a result.
  local function leader (trials, sign)
    local best, best_step, best_value
    for _, t in ipairs(trials) do
      if t.state == "COMPLETE" then return nil end
      local last = t.state == "PAUSED" and t.reports[#t.reports]
      local value = last and sign * last[2]
      if last and (not best or last[1] > best_step or last[1] == best_step and value < best_value) then
        best, best_step, best_value = t.number, last[1], value
      end
    end
    return best
  end

  --- Proposals, verdicts and promotions for a study:
  --   propose(number, trials)   for a new trial below `total`, or nil; `starved` then says whether that may change
  --   decide(trial, trials)     "prune", "pause" or nil, and why
  --   blind                     whether a proposal is a function of its number alone
  --   promote(trials)           the number of a paused trial that may go on, or nil
  --   leader(trials)            the number of the paused trial that is ahead, while none is complete
  --   replay(trial, trials)     true, or false and what is not as it was
  ---@param study table
  ---@param experiment lurn.Experiment
  function M.chooser (study, experiment)
    local spec = study:spec()
    local sampler = M.sampler(spec, study.direction, experiment)
    local pruner = M.pruner(spec, study.direction, study.name)
    local seeds = spec.seeds or 1
    local self = {seeds = seeds, blind = seeds == 1 and not sampler.looks, seen = 0, first = {},
      starved = false, total = math.huge,
      racing = lurn.racing.new {seeds = seeds, direction = study.direction, race = spec.race ~= false}}
    -- What a sampler learns from are those of the same bracket; what it counts are all.
    local function peers (config, trials)
      return sampler.recall and pruner:peers(config, trials) or trials
    end
    function self.propose (number, trials)
      self.starved = false
      local place = place_of(self, trials, number)
      if not place then return nil end
      local known, note = self.seeds > 1 and params_of(self, trials, place.config) or nil, nil
      if not known and place.seed > 1 then
        self.starved = true
        return nil
      end
      if not known then known, note = sampler:suggest(place.config, peers(place.config, trials)) end
      return known and {params = known, config = place.config, seed = place.seed, note = note} or nil
    end
    -- Whether the sampler proposes a trial's parameters again, given what it had seen; nil: it did not propose them.
    function self.replay (trial, trials)
      if trial.attrs.enqueued or trial.seed > 1 then return nil end
      -- The defaults are proposed without a look at anything.
      return sampler:replay(trial.config, trial.params, trial.note or {seen = "0"}, peers(trial.config, trials))
    end
    function self.decide (trial, trials) return pruner:decide(trial, trials) end
    function self.promote (trials) return pruner:promote(trials) end
    function self.leader (trials) return leader(trials, pruner.sign) end
    return self
  end

  return M
end
