"""A browser without a screen looks at a study in optuna-dashboard.

usage: optuna_look.py STORAGE STUDY PICTURE.png WORD...

Serves the dashboard on a port of this machine's own network only, has chromium open the study's page and its list of
trials, run the scripts, and print what then stands in the document; every WORD must be in it. Leaves a picture of the
first page. Prints what was found; exit code 1 when a word is missing, 77 when there is no optuna-dashboard or no
chromium.
"""
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

try:
    import optuna
    from optuna_dashboard import wsgi
except ImportError as e:
    print(f"no optuna-dashboard here: {e}")
    sys.exit(77)

PATIENCE = 15000      # milliseconds of the page's own clock, which runs ahead while it waits for nothing


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Silent(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def browser(folder, url, *wish):
    """What chromium prints of a page. No sandbox: tests may run as root, and the page is our own."""
    command = [shutil.which("chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--no-first-run", "--disable-background-networking", "--disable-component-update", "--window-size=1400,1600",
               "--user-data-dir=" + os.path.join(folder, "profile"), f"--virtual-time-budget={PATIENCE}", *wish, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.stdout


def words_of(dom):
    """The text that a reader sees: no scripts, no styles, no tags."""
    dom = re.sub(r"<(script|style)\b.*?</\1>", " ", dom, flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", " ", dom))


def main():
    storage, name, picture, words = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    if not shutil.which("chromium"):
        print("no chromium here")
        sys.exit(77)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.load_study(study_name=name, storage=storage)
    server = make_server("127.0.0.1", 0, wsgi(storage), Server, Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{server.server_port}/dashboard/studies/{study._study_id}"
    with tempfile.TemporaryDirectory() as folder:
        text = " ".join(words_of(browser(folder, place + page, "--dump-dom")) for page in ("", "/trials"))
        browser(folder, place, "--screenshot=" + os.path.abspath(picture))
    server.shutdown()
    missing = [w for w in words if w not in text]
    if missing:
        print("not on the page:", *missing)
        print(" ".join(text.split())[:4000])
        sys.exit(1)
    print("on the page:", *words)


main()
