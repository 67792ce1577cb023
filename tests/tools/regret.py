"""How near Optuna's TPE comes to the minimum: writes tests/fixtures/regret.json, which regret.lua compares lurn with.

    python3 tests/tools/regret.py          needs optuna 5.0; some minutes

For each task and 100 seeds the least value found, in the order of the seeds. The tasks are those of regret.lua.
"""
import csv
import json
import math
import os

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
FIXTURES = os.path.join(os.path.dirname(__file__), "..", "fixtures")
SEEDS = 100


def branin(trial):
    x, y = trial.suggest_float("x", -5, 10), trial.suggest_float("y", 0, 15)
    return ((y - 5.1 / (4 * math.pi ** 2) * x * x + 5 / math.pi * x - 6) ** 2
            + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


A = [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
P = [[1312, 1696, 5569, 124, 8283, 5886], [2329, 4135, 8307, 3736, 1004, 9991],
     [2348, 1451, 3522, 2883, 3047, 6650], [4047, 8828, 8732, 5743, 1091, 381]]
C = [1, 1.2, 3, 3.2]


def hartmann(trial):
    x = [trial.suggest_float("x%d" % (i + 1), 0, 1) for i in range(6)]
    return -sum(c * math.exp(-sum(a * (v - p / 1e4) ** 2 for a, v, p in zip(row, x, at)))
                for c, row, at in zip(C, A, P))


with open(os.path.join(FIXTURES, "runs.csv")) as f:
    ROWS = list(csv.DictReader(f))
AXES = {k: sorted({float(r[k]) for r in ROWS}) for k in ("hidden", "lr", "batch")}
STEPS = [k for k in ROWS[0] if k.startswith("at")]
TABLE = {(r["cell"], AXES["hidden"].index(float(r["hidden"])), AXES["lr"].index(float(r["lr"])),
          AXES["batch"].index(float(r["batch"]))): [float(r[k]) for k in STEPS] for r in ROWS}


def curve(trial):
    return TABLE[trial.suggest_categorical("cell", ["rnn", "lstm", "gru"]), trial.suggest_int("hidden", 0, 3),
                 trial.suggest_int("lr", 0, 5), trial.suggest_int("batch", 0, 2)]


def runs(trial):
    return curve(trial)[-1]


def plain(objective, trials):
    def play(seed):
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(objective, n_trials=trials)
        return study.best_value
    return play


def halved(budget):
    """The table of runs with ASHA: rungs after 1, 3 and 9 of its 10 evaluations, and evaluations are what is paid for."""
    def play(seed):
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed),
                                    pruner=optuna.pruners.SuccessiveHalvingPruner(1, 3))
        left, least = budget, math.inf
        while left > 0:
            trial = study.ask()
            losses, stopped = curve(trial), False
            for step, loss in enumerate(losses, 1):
                trial.report(loss, step)
                left -= 1
                if trial.should_prune():
                    stopped = True
                    break
            if stopped:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            elif losses[-1] != losses[-1]:
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
            else:
                study.tell(trial, losses[-1])
                least = min(least, losses[-1])
        return least
    return play


TASKS = {"branin": plain(branin, 60), "hartmann": plain(hartmann, 100), "runs": plain(runs, 40), "runs+asha": halved(200)}


def main():
    out = {"optuna": optuna.__version__}
    for name, play in TASKS.items():
        out[name] = [float("%.6g" % play(seed)) for seed in range(1, SEEDS + 1)]
        print(name, sum(out[name]) / SEEDS)
    with open(os.path.join(FIXTURES, "regret.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


main()
