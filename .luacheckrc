std = "lua54"
max_line_length = 120
-- "not (x <= y)" is not "x > y" where x may be NaN, and here it may.
ignore = {"581"}
files["tests/spec"] = {std = "+busted"}
