"""Optuna writes a small study, for lurn to read. usage: optuna_writes.py STORAGE STUDY; 77 when it is not installed."""
import sys

try:
    import optuna
except ImportError as e:
    print(f"no Optuna here: {e}")
    sys.exit(77)

optuna.logging.set_verbosity(optuna.logging.ERROR)
study = optuna.create_study(storage=sys.argv[1], study_name=sys.argv[2], direction="maximize",
                            sampler=optuna.samplers.RandomSampler(seed=1))


def objective(trial):
    x = trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    n = trial.suggest_int("layers", 1, 4)
    kind = trial.suggest_categorical("cell", ["lstm", "gru", None, 3])
    if n > 2:
        trial.suggest_float("dropout", 0, 0.5, step=0.25)
    trial.set_user_attr("kind", str(kind))
    for step in range(3):
        trial.report(x * n + step, step)
    if n == 1:
        raise optuna.TrialPruned()
    return x * n


study.optimize(objective, n_trials=12)
study.set_user_attr("who", {"name": "optuna"})
study.enqueue_trial({"lr": 0.01})
study.ask()
for t in study.trials:
    print(t.number, t.state.name, "" if t.value is None else repr(t.value), repr(t.params.get("lr", "")))
