-- collector.lua SCRIPT [ARG]...: runs a script under a garbage collector that never rests.
--
-- With pause 0 a new cycle begins as soon as the last one ends, so an object that nothing holds
-- dies at once instead of by luck, and the sanitizer sees whoever still uses it.
collectgarbage("incremental", 1, 1000, 10)
collectgarbage("setpause", 0)

local script = assert(arg[1], "usage: collector.lua SCRIPT [ARG]...")
arg = table.move(arg, 1, #arg, 0, {})     -- luacheck: ignore 121
dofile(script)
