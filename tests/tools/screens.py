#!/usr/bin/env python3
"""What a person sees of lurn, as pictures: to be looked at before they are believed.

usage: screens.py FOLDER [NAME...]          from the root of the repository, after make; --list names them

Each screen is a terminal of so many columns and lines, played through a pseudo-terminal (terminal.py), understood by
pyte and drawn by Pillow in DejaVu Sans Mono (Debian: fonts-dejavu-core) into FOLDER/NAME.png, with the last screenful
as text beside it. Needs the Python packages pyte and pillow.
"""
import os, re, shlex, shutil, subprocess, sys, tempfile

import pyte
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from terminal import Terminal

HERE = os.getcwd()
LURN = os.path.join(HERE, "build/bin/lurn")
FONTS = "/usr/share/fonts/truetype/dejavu/DejaVuSansMono%s.ttf"

# ---------- drawing ----------

DARK = {"back": "#16181c", "fore": "#d8dade"}
LIGHT = {"back": "#ffffff", "fore": "#1c1e22"}
NAMES = ["black", "red", "green", "brown", "blue", "magenta", "cyan", "white"]
PLAIN = ["#000000", "#c8372d", "#2f9e44", "#b58900", "#3465c8", "#a347ba", "#168f9c", "#bfbfbf"]
BRIGHT = ["#666666", "#f0524f", "#5cc75c", "#e5bf00", "#5c92ff", "#d670d6", "#29b8db", "#ffffff"]
COLORS = dict(zip(NAMES, PLAIN)) | {"bright" + n: c for n, c in zip(NAMES, BRIGHT)}
W, H, SIZE = 9, 19, 15


def color_of(name, fallback):
    if name == "default":
        return fallback
    return COLORS.get(name) or "#" + name


def draw_dots(draw, x, y, bits, color):
    """A braille character: not every monospace font has them."""
    places = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    for k, (i, j) in enumerate(places):
        if bits >> k & 1:
            cx, cy = x + 2.5 + 4 * i, y + 2.5 + 4.7 * j
            draw.ellipse((cx - 1.4, cy - 1.4, cx + 1.4, cy + 1.4), fill=color)


def draw_character(draw, x, y, c, color, font):
    code = ord(c.data[0]) if c.data else 32
    if 0x2800 <= code <= 0x28FF:
        draw_dots(draw, x, y, code - 0x2800, color)
    elif code == 0x2588:                                # the font's full block is lower than a line
        draw.rectangle((x, y, x + W - 1, y + H - 1), fill=color)
    elif code != 32:
        draw.text((x, y + 1), c.data, fill=color, font=font)


def picture(screen, theme, path):
    image = Image.new("RGB", (screen.columns * W + 12, screen.lines * H + 12), theme["back"])
    draw = ImageDraw.Draw(image)
    fonts = {bold: ImageFont.truetype(FONTS % ("-Bold" if bold else ""), SIZE) for bold in (False, True)}
    for j in range(screen.lines):
        for i in range(screen.columns):
            c, x, y = screen.buffer[j][i], 6 + i * W, 6 + j * H
            fore, back = color_of(c.fg, theme["fore"]), color_of(c.bg, theme["back"])
            if c.reverse:
                fore, back = back, fore
            if back != theme["back"]:
                draw.rectangle((x, y, x + W - 1, y + H - 1), fill=back)
            draw_character(draw, x, y, c, fore, fonts[c.bold])
    image.save(path)


# ---------- playing ----------

def environment(more):
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "LC_ALL", "LANG")}
    env.update(TERM="xterm-256color", LC_ALL="C.UTF-8", MANWIDTH="", PATH=os.path.join(HERE, "build/bin") + ":"
               + env["PATH"], XDG_STATE_HOME=os.path.abspath("state"))
    env.update(more)
    return {k: v for k, v in env.items() if v is not None}


def feed(screen, data, encoding):
    pyte.Stream(screen).feed(data.decode(encoding, errors="replace"))


def at_terminal(s, screen, env):
    """Keys go in as the last ones are answered; what came by the end is the picture."""
    terminal = Terminal(s.get("command", ["lurn"]), screen.columns, screen.lines, env)
    prompt = s.get("prompt", "\n?[^\n]*> (\x1b[^\n]*)?$")
    try:
        for step in s.get("steps", []):
            if isinstance(step, (int, float)):
                terminal.expect("(?!)", step)           # watches for so long
                continue
            text, pattern = step if isinstance(step, tuple) else (step, prompt)
            if not isinstance(step, tuple) and not terminal.expect(prompt, 120)[0]:
                print("  no prompt before", repr(text))
            terminal.write(text)
            if isinstance(step, tuple) and not terminal.expect(pattern, 120)[0]:
                print("  never came:", pattern)
        terminal.expect(prompt if s.get("steps") and s.get("ends", True) else "(?!)", s.get("within", 120))
    except EOFError:
        pass
    feed(screen, terminal.all, "utf-8")
    terminal.close()


def not_at_terminal(s, screen, env):
    done = subprocess.run(s["shell"], shell=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    feed(screen, done.stdout.replace(b"\n", b"\r\n"), "utf-8")


def play(name, s, folder):
    screen = pyte.Screen(s.get("columns", 80), s.get("lines", 24))
    env = environment(s.get("env", {}))
    (not_at_terminal if "shell" in s else at_terminal)(s, screen, env)
    for theme in s.get("themes", ["dark"]):
        path = os.path.join(folder, name + ("" if theme == "dark" else "-light"))
        picture(screen, DARK if theme == "dark" else LIGHT, path + ".png")
        with open(path + ".txt", "w") as f:
            f.write("\n".join(line.rstrip() for line in screen.display).rstrip() + "\n")
    print(name)


# ---------- what is looked at ----------

SORTS = """
local lurn = require "lurn"
return lurn.experiment {name = "sorts", direction = "minimize", params = {hidden = {16, int = {4, 32}},
    lr = {0.01, float = {1e-3, 1e-1}, log = true}, steps = {200, int = true, sweep = false}},
  run = function (run, p)
    local set = {split = {train = {1, 300}, valid = {301, 400}}, classes = {"up", "down", "flat", "wave"}}
    for i = 1, 400 do
      local x, kind = {}, i % 4 + 1
      local slope = ({1, -1, 0, 0})[kind]
      for t = 1, 20 do x[t] = {slope * t / 20 + (kind == 4 and math.sin(t) or 0) + 0.6 * (math.random() - 0.5)} end
      set[i] = {x = x, y = kind}
    end
    local data = lurn.dataset(set)
    local model = lurn.stack {input = data, lurn.lstm {hidden = p.hidden}, lurn.gru {hidden = p.hidden}, lurn.last,
      lurn.linear {size = 4}, loss = lurn.loss.cross_entropy()}
    return run:fit {model = model, optim = lurn.optim.adam(model, {lr = p.lr}), train = data.train, valid = data.valid,
      seq = 0, steps = p.steps, eval_every = 50}.loss
  end}
"""

CHARLM = 'r = lurn.load "charlm.lua":start({data = "text.txt", hidden = 32, layers = 1, batch = 10, steps = %d, ' \
         'length = 0}, {quiet = true, write = false}):continue();\r'
SORTED = 'r = lurn.load "sorts.lua":start({steps = 60}, {quiet = true, write = false}):continue();\r'
SPELLED = 'r = lurn.load "ctc.lua":start({sequences = 1000, epochs = 3, held = 20}, {quiet = true, write = false})' \
          ':continue();\r'
BATCH = 'b = r.datasets[1].train:feed {batch = 8, seq = 30}:batch(1, 1);\r'
CLEAR = 'io.write "\\27[2J\\27[H";\r'


def prepare():
    for name in ("charlm.lua", "ctc.lua"):
        shutil.copy(os.path.join(HERE, "scripts", name), name)
    with open(os.path.join(HERE, "README.md")) as f:
        text = "".join(c for c in f.read() if ord(c) < 128)
    with open("text.txt", "w") as f:
        f.write(text)
    with open("sorts.lua", "w") as f:
        f.write(SORTS)
    run = "for i in 1 2 3; do lurn run sorts.lua --quiet --seed $i --steps 60 --hidden $((4 * i)); done; " \
          "lurn sweep sorts.lua --trials 6 --steps 20 --quiet --study sorts"
    done = subprocess.run(run, shell=True, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(done.stdout.decode()[-2000:])


def sh(text):
    return ["sh", "-c", text]


WORDS = ["x = 41\r", "x + 1\r", "lurn.zeros(2, 3)\r", "{name = \"adam\", lr = 1e-3, betas = {0.9, 0.999}}\r",
         "lurn.lsmt {}\r", "lurn.lstm {hiden = 3}\r", "m = lurn.stack {input = {vocab = 65}, lurn.embedding {size = 8}, "
         "lurn.lstm {hidden = 16, layers = 2}, lurn.linear {size = 65}, loss = lurn.loss.cross_entropy()}\r", "m\r"]
TENSOR = ["lurn.normal(1000, 1000)\r", "lurn.normal(3, 4, 5)\r"]
DEEP = ["l = {input = {dim = 4}, loss = lurn.loss.mse()};\r", "for i = 1, 40 do l[i] = lurn.lstm {hidden = 8} end\r",
        "l[41] = lurn.linear {size = 2};\r", "lurn.stack(l)\r"]
LOSSES = [CHARLM % 100, CLEAR, "plot(r.loss)\r"]
HEAT = [CHARLM % 100, CLEAR, 'states(r, "A cell is an equation for one time step.")\r']
WIDE, BOTH = {"columns": 200, "lines": 50}, {"themes": ["dark", "light"]}
BARE, OLD = {"env": {"NO_COLOR": "1"}}, {"env": {"LC_ALL": "C"}}

SCREENS = {
    "prompt": {"steps": WORDS, "lines": 40, **BOTH},
    "prompt-200": {"steps": WORDS, **WIDE, **BOTH},
    "prompt-bare": {"steps": WORDS, "lines": 40, **BARE},
    "prompt-c": {"steps": WORDS, "lines": 40, **OLD},
    "tensor": {"steps": TENSOR, "lines": 40}, "tensor-200": {"steps": TENSOR, **WIDE}, "tensor-c": {"steps": TENSOR, **OLD},
    "deep": {"steps": DEEP, "lines": 50}, "deep-200": {"steps": DEEP, **WIDE},
    "loss": {"steps": LOSSES, **BOTH}, "loss-200": {"steps": LOSSES, **WIDE}, "loss-c": {"steps": LOSSES, **OLD},
    "losses": {"steps": [SORTED, CLEAR, "plot(r, {log = true, title = \"loss, and that of validation\"})\r"], **BOTH},
    "losses-bare": {"steps": [SORTED, CLEAR, "plot(r, {log = true})\r"], **BARE},
    "heat": {"steps": HEAT, **BOTH}, "heat-bare": {"steps": HEAT, **BARE}, "heat-c": {"steps": HEAT, **OLD},
    "hist": {"steps": [CHARLM % 20, CLEAR, "hist(r.model)\r"]},
    "gates": {"steps": [CHARLM % 100, BATCH, CLEAR, "gates(r.model, b)\r"], **BOTH},
    "lags": {"steps": [CHARLM % 100, BATCH, CLEAR, "lags(r.model, b)\r"]},
    "lags-c": {"steps": [CHARLM % 100, BATCH, CLEAR, "lags(r.model, b)\r"], **OLD},
    "confusion": {"steps": [SORTED, CLEAR, "confusion(r.model, r.datasets[1].valid)\r"], **BOTH},
    "confusion-bare": {"steps": [SORTED, CLEAR, "confusion(r.model, r.datasets[1].valid)\r"], **BARE},
    "run-value": {"steps": [SORTED, CLEAR, "r\r"]},
    "data-value": {"steps": [SORTED, CLEAR, "r.datasets[1]\r", "lurn.text 'text.txt'\r"]},
    "aside": {"steps": [CHARLM % 300, CLEAR, "beside(r)\r"], **BOTH},
    "aside-bare": {"steps": [CHARLM % 300, CLEAR, "beside(r)\r"], **BARE},
    "spells": {"steps": [SPELLED, CLEAR, "beside(r)\r"], **BOTH},
    "spells-bare": {"steps": [SPELLED, CLEAR, "beside(r)\r"], **BARE},
    "spells-c": {"steps": [SPELLED, CLEAR, "beside(r)\r"], **OLD},
    "help": {"steps": ["?lurn.lstm\r", ], "lines": 40},
    "help-all": {"steps": ["?\r"], "lines": 40},
    "complete": {"steps": ["", ("lurn.l\t\t", "lurn.*lstm.*> lurn.l")], "ends": False, "within": 1},
    "complete-options": {"steps": ["", ("lurn.lstm {\t\t", "hidden.*> lurn.lstm")], "ends": False, "within": 1},
    "piped": {"shell": "printf 'x = 2\\nlurn.zeros(2)\\nlurn.lsmt {}\\n' | lurn | cat"},
    "run": {"command": sh("lurn run charlm.lua --data text.txt --hidden 32 --layers 1 --batch 10 --steps 400 "
                          "--eval_every 100 --length 60; sleep 0.3"), **BOTH},
    "run-live": {"command": sh("exec lurn run charlm.lua --data text.txt --hidden 128 --batch 10 --steps 4000 "
                               "--eval_every 20"), "within": 12},
    "run-live-50": {"command": sh("exec lurn run charlm.lua --data text.txt --hidden 128 --batch 10 --steps 4000 "
                                  "--eval_every 20"), "within": 8, "columns": 50},
    "run-evaluates": {"command": sh("exec lurn run charlm.lua --data text.txt --hidden 256 --batch 10 --steps 4000 "
                                    "--eval_every 2"), "within": 6},
    "run-interrupted": {"command": sh("exec lurn run charlm.lua --data text.txt --hidden 32 --layers 1 --batch 10 --steps "
                                      "40000 --eval_every 20"), "steps": [8, ("\x03", "")], "within": 6, "ends": False},
    "run-piped": {"shell": "lurn run charlm.lua --data text.txt --hidden 32 --layers 1 --batch 10 --steps 300 "
                           "--eval_every 100 --length 60 2>&1 | cat"},
    "sweep": {"command": sh("lurn sweep sorts.lua --trials 12 --steps 20 --study other; sleep 0.3")},
    "sweep-live": {"command": sh("exec lurn sweep sorts.lua --trials 400 --steps 100 --study live"), "within": 12},
    "study": {"command": sh("lurn study show sorts; sleep 0.3")},
    "ls": {"command": sh("lurn ls; sleep 0.3")},
    "ls-200": {"command": sh("lurn ls; sleep 0.3"), **WIDE},
    "errors": {"command": sh("lurn rnu x.lua; lurn run --quiett sorts.lua; lurn run sorts.lua --hiden 3; sleep 0.3")},
    "usage": {"command": sh("lurn --help; lurn run sorts.lua --help; sleep 0.3"), "lines": 70},
    "man": {"command": sh("lurn man run | (man -l - 2>/dev/null || mandoc) | head -40; sleep 0.3"), "lines": 42},
}


def main():
    names = sys.argv[2:] or list(SCREENS)
    if sys.argv[1:] == ["--list"]:
        return print("\n".join(SCREENS))
    folder = os.path.abspath(sys.argv[1])
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)
        prepare()
        for name in names:
            play(name, SCREENS[name], folder)
        os.chdir(HERE)


main()
