"""What peers of `lurn bench` in Python have in common: how they are asked for work.

One JSON document a line on stdin, one on stdout, so that the two processes take turns and whatever
else the machine does hits both alike:

    {"kind": "train", "cell": "lstm", "T": 50, ...}     -> {"ready": true, "first": s} or {"skip": why}
    {"do": "run", "steps": 3}                           -> {"wall": s, "cpu": s}
    {"do": "end"}                                       -> {"peak": bytes}

Every case runs in a child of the process, so that peak memory is that of the case alone. `first` is how long it took
until the first step was done.
"""

import json
import os
import sys
import time


def peak_memory():
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return None


def answer(document):
    print(json.dumps(document), flush=True)


def run(step, request):
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(request["steps"]):
        step()
    answer({"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu})


def play(case, prepare):
    start = time.perf_counter()
    step = prepare(case)
    if step is None:
        answer({"skip": "no such case"})
        return
    step()
    answer({"ready": True, "first": time.perf_counter() - start})
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if request["do"] == "end":
            break
        run(step, request)
    answer({"peak": peak_memory()})


def child(case, prepare):
    """Never returns: what went wrong is an answer too, or lurn would wait for it."""
    try:
        play(case, prepare)
    except BaseException as error:  # pylint: disable=broad-except
        answer({"error": repr(error)})
    finally:
        sys.stdout.flush()
        os._exit(0)


def serve(name, prepare):
    """Answers until stdin ends. prepare(case) gives the function that plays a step, or None."""
    answer({"name": name})
    for line in iter(sys.stdin.readline, ""):
        # Nothing has been computed yet in this process, so no thread of a pool is lost by the fork.
        pid = os.fork()
        if pid == 0:
            child(json.loads(line), prepare)
        os.waitpid(pid, 0)
