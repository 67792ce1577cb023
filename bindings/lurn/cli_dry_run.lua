--- lurn sweep --dry-run: what would be searched, and what a trial costs, before anything is spent.

return function (cli)
  local M = {}

  local DRAWS = 200      -- configurations that are looked at to see how often a parameter means something

  -- In how many of a hundred random configurations a parameter means something.
  local function shares (lurn, experiment, now)
    local counts, spec = {}, now.spec
    local sampler = lurn.sampler.new("random", spec.space, {seed = spec.seed, defaults = false,
      active = lurn.space.conditions(experiment, spec.fixed)})
    for number = 0, DRAWS - 1 do
      for name in next, sampler:suggest(number, {}) do counts[name] = (counts[name] or 0) + 1 end
    end
    for _, p in ipairs(spec.space) do counts[p.name] = 100 * (counts[p.name] or 0) / DRAWS end
    return counts
  end

  local function grid_size (lurn, spec)
    local size = 1
    for _, p in ipairs(spec.space) do
      local n = lurn.space.count(p)
      if not n then return nil, p.name end
      size = size * n
    end
    return size
  end

  local function default_text (value) return type(value) == "number" and ("%.6g"):format(value) or tostring(value) end

  local function show_space (lurn, experiment, document)
    local width = 4
    for _, p in ipairs(document.space) do width = math.max(width, #p.name) end
    print(("searched in %s:"):format(experiment.path))
    for _, p in ipairs(document.space) do
      local share = document.meaningful[p.name]
      print(("  %-" .. width .. "s  %-10s %s%s"):format(p.name, default_text(p.default), lurn.space.text(p),
        share < 100 and ("   (means something in %.0f %% of all)"):format(share) or ""))
    end
    for name, value in next, document.fixed do
      print(("  %-" .. width .. "s  %s, fixed"):format(name, default_text(value)))
    end
    if document.grid then print(("a grid has %d configurations"):format(document.grid))
    elseif not document.sampler:find "^grid" then
      print(("no whole grid: %s is continuous (grid:points=5 takes 5 values)"):format(document.continuous))
    end
  end

  local function show_cost (lurn, d)
    local duration, cost = lurn.quantity.duration, d.cost
    print(("%d configurations (%s, pruner %s)%s"):format(d.trials, d.sampler, d.pruner,
      d.seeds > 1 and (", %d seeds each"):format(d.seeds) or ""))
    if not cost then print("one trial: " .. d.trouble) return end
    if cost.step and cost.total then
      print(("one trial with the defaults: %d steps of %.3g ms, %s, without evaluations"):format(cost.total,
        1e3 * cost.step, duration(d.seconds)))
    else print(("one trial with the defaults: %.2g s"):format(cost.seconds)) end
    print(("memory: %s planned for its models, %s of the process at most"):format(lurn.quantity.size(cost.plan),
      lurn.quantity.size(cost.memory)))
    print(("all of it on %d core%s: about %s if none is pruned"):format(d.workers, d.workers == 1 and "" or "s",
      duration(d.all)))
    if d.infeasible then print("the defaults take more than --limit-memory") end
  end

  ---@param now table   from lurn.sweep.describe
  function M.run (lurn, experiment, now, options)
    local spec, workers = now.spec, options.workers or lurn.sys.cpus()
    local active = lurn.space.conditions(experiment, spec.fixed)
    local params = lurn.sweep.whole(spec, active, lurn.space.meaningful(lurn.space.defaults(spec.space), active))
    local cost, trouble = lurn.sweep_cost.measure(spec.script, params, spec.train_seed)
    local size, continuous = grid_size(lurn, spec)
    local seconds = cost and (cost.step and cost.total and cost.start + cost.step * cost.total or cost.seconds)
    local document = {study = now.name, direction = now.direction, space = spec.space, fixed = spec.fixed, grid = size,
      continuous = continuous, meaningful = shares(lurn, experiment, now), trials = now.trials, seeds = spec.seeds,
      sampler = lurn.sweep.choice_text(spec.sampler), pruner = lurn.sweep.choice_text(spec.pruner), cost = cost,
      trouble = trouble, workers = workers, seconds = seconds,
      all = seconds and seconds * now.trials * spec.seeds / workers}
    document.infeasible = cost and spec.limits.memory and cost.memory > spec.limits.memory or nil
    if options.json then cli.document(document) return cli.OK end
    show_space(lurn, experiment, document)
    show_cost(lurn, document)
    return cost and cli.OK or cli.FAILED
  end

  return M
end
