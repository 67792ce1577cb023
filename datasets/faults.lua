-- A table as people have them: readings of 240 machines over time, of which 31 are failing (one is drawn in ten). It
-- drifts, slowly and at a time of its own, in what two columns say together; neither of them shows it alone.
--
--   lua5.4 datasets/faults.lua > faults.csv

local seed = 1
local function uniform ()                       -- the same table everywhere: Park & Miller 1988, minimal standard
  seed = seed * 16807 % 2147483647
  return seed / 2147483647
end

local function noise () return uniform() + uniform() + uniform() - 1.5 end

print "machine,hour,vibration,heat,state"
for machine = 1, 240 do
  local failing, from, load = uniform() < 0.1, 3 + math.floor(10 * uniform()), 0.0
  for hour = 1, 16 + math.floor(16 * uniform()) do
    load = 0.8 * load + noise()
    local drift = failing and 0.08 * math.max(0, hour - from) or 0.0
    print(("%d,%d,%.3f,%.3f,%s"):format(machine, hour, 5 + load + 0.3 * noise(), 60 + 4 * (load + drift) + 8 * noise(),
      failing and "failing" or "sound"))
  end
end
