"""Optuna and optuna-dashboard read a study that lurn wrote.

usage: optuna_reads.py STORAGE STUDY EXPECTED.json

EXPECTED.json has {trials: [{number, state, params, value, reports, attrs}], direction, best}: what lurn itself says of
the study. Loads it with optuna.load_study, compares every trial, computes importances, makes the data of the plots that
need no plotting library, and asks optuna-dashboard's own server for it. Prints what was done; exit code 1 when
something differs, 77 when Optuna is not installed.
"""
import json
import math
import sys

try:
    import optuna
    from optuna.distributions import json_to_distribution
except ImportError as e:
    print(f"no Optuna here: {e}")
    sys.exit(77)

WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def number(x):
    return WORDS.get(x, x)


def same(a, b):
    return a == b or (isinstance(a, float) and isinstance(b, float) and math.isnan(a) and math.isnan(b))


def check(good, *what):
    if not good:
        print("differs:", *what)
        sys.exit(1)


def compare(trial, expected):
    t = f"trial {trial.number}"
    state = {"PAUSED": "RUNNING"}.get(expected["state"], expected["state"])
    check(trial.state.name == state, t, "state", trial.state.name, expected["state"])
    check(trial.params == dict(expected["params"]), t, "params", trial.params, expected["params"])
    for name, value in trial.params.items():
        check(trial.distributions[name]._contains(trial.distributions[name].to_internal_repr(value)), t, name)
    check(same(trial.value, number(expected.get("value"))), t, "value", trial.value, expected.get("value"))
    reports = {step: number(value) for step, value in expected["reports"]}
    check(trial.intermediate_values.keys() == reports.keys(), t, "steps")
    for step, value in reports.items():
        check(same(trial.intermediate_values[step], value), t, "step", step)
    ours = {k: v for k, v in trial.user_attrs.items() if not k.startswith("lurn.")}
    check(ours == dict(expected["attrs"]), t, "attributes", ours, expected["attrs"])
    if state in ("COMPLETE", "PRUNED", "FAIL"):
        check(trial.duration is not None and trial.duration.total_seconds() >= 0, t, "duration", trial.duration)


def compare_study(study, expected):
    check(study.direction.name.lower() == expected["direction"], "direction", study.direction)
    check(len(study.trials) == len(expected["trials"]), "trials", len(study.trials), len(expected["trials"]))
    for trial, e in zip(study.trials, expected["trials"]):
        check(trial.number == e["number"], "order of trials")
        compare(trial, e)
    check(study.best_trial.number == expected["best"], "best", study.best_trial.number, expected["best"])


def importances(study):
    from optuna.importance import get_param_importances
    values = get_param_importances(study)
    check(len(values) > 0 and all(0 <= v <= 1 for v in values.values()), "importances", values)
    return values


def plots(study):
    """What optuna.visualization computes before it draws."""
    from optuna.visualization import _intermediate_values, _optimization_history, _parallel_coordinate, _slice, _timeline
    done = []
    info = _intermediate_values._get_intermediate_plot_info(study)
    check(len(info.trial_infos) > 0, "intermediate values")
    done.append("intermediate_values")
    history = _optimization_history._get_optimization_history_info_list(study, None, "value", False)
    check(len(history[0].trial_numbers) > 0, "history")
    done.append("optimization_history")
    check(len(_parallel_coordinate._get_parallel_coordinate_info(study).dims_params) > 0, "parallel coordinates")
    done.append("parallel_coordinate")
    check(len(_slice._get_slice_plot_info(study, None, None, "value").subplots) > 0, "slices")
    done.append("slice")
    check(len(_timeline._get_timeline_info(study).bars) > 0, "timeline")
    done.append("timeline")
    return done


def dashboard(storage, study, expected):
    """Asks optuna-dashboard's application, without a socket, as a browser would."""
    try:
        from optuna_dashboard import wsgi
    except ImportError as e:
        return f"left out ({e})"
    import io
    app = wsgi(storage)

    def get(path):
        status = []
        env = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "after=0", "SERVER_NAME": "localhost",
               "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1", "wsgi.input": io.BytesIO(), "wsgi.errors": sys.stderr,
               "wsgi.url_scheme": "http", "wsgi.version": (1, 0), "wsgi.multithread": False,
               "wsgi.multiprocess": False, "wsgi.run_once": False}
        body = b"".join(app(env, lambda s, h, e=None: status.append(s)))
        check(status[0].startswith("200"), "dashboard", path, status[0], body[:200])
        return body

    check(b"<html" in get("/dashboard").lower(), "dashboard's page")
    listed = json.loads(get("/api/studies"))["study_summaries"]
    check(study.study_name in [s["study_name"] for s in listed], "dashboard's list", listed)
    detail = json.loads(get(f"/api/studies/{study._study_id}"))
    check(len(detail["trials"]) == len(expected["trials"]), "dashboard's trials")
    return f"{len(detail['trials'])} trials served"


def main():
    url, name, path = sys.argv[1:4]
    with open(path) as f:
        expected = json.load(f)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(url)
    study = optuna.load_study(study_name=name, storage=storage)
    compare_study(study, expected)
    print(f"optuna {optuna.__version__}: {len(study.trials)} trials are what lurn says")
    print("importances:", ", ".join(f"{k} {v:.3f}" for k, v in importances(study).items()))
    print("plots:", ", ".join(plots(study)))
    print("optuna-dashboard:", dashboard(storage, study, expected))


main()
