-- collector.lua SCRIPT [ARG]...: runs a script under a garbage collector that never rests.
--
-- A new cycle begins as soon as the last one ends, some hundred times as often as usual, so an
-- object that nothing holds dies soon, and the sanitizer sees whoever still uses it. Pause 0 would
-- be a whole cycle at every allocation: it finds the same and takes fifty times as long.
collectgarbage("incremental", 100, 100, 10)

local script = assert(arg[1], "usage: collector.lua SCRIPT [ARG]...")
arg = table.move(arg, 1, #arg, 0, {})     -- luacheck: ignore 121
dofile(script)
