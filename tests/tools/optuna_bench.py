"""What a trial costs with Optuna and its SQLite storage: ask, ten suggestions at random, tell.

usage: optuna_bench.py FOLDER [TRIALS]
"""
import os
import sys
import time

import optuna

optuna.logging.set_verbosity(optuna.logging.ERROR)
path = os.path.join(sys.argv[1], "optuna.db")
trials = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
study = optuna.create_study(storage=f"sqlite:///{path}", sampler=optuna.samplers.RandomSampler(seed=1))
for window in range(2):
    start, cpu = time.perf_counter(), time.process_time()
    for _ in range(trials // 2):
        trial = study.ask()
        for k in range(10):
            trial.suggest_float(f"p{k:02d}", 0, 1)
        study.tell(trial, 0.5)
    n = trials // 2
    print(f"optuna {optuna.__version__} sqlite, trials {window * n} to {(window + 1) * n}: "
          f"{1e3 * (time.perf_counter() - start) / n:.2f} ms (CPU {1e3 * (time.process_time() - cpu) / n:.2f})")
os.remove(path)
