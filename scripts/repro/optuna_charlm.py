"""The sweep of scripts/repro/sweep.sh as a user of Optuna and PyTorch writes it: the same space, the same budget in
steps, TPE and successive halving, one process a core.

    python3 optuna_charlm.py TEXT --trials 100 --workers 2 --hidden 16..128 --steps 432 --eval_every 27

Prints one JSON document: wall time, the best validation loss as reported in the sweep, when its trial was done, steps
played, states of the trials. The model is that of scripts/charlm.lua: an embedding, recurrent layers, a linear head;
Adam whose rate falls along a cosine, clipping at 5; the text is cut into 50 rows that carry their state. Trials share
the training seed.
"""

import argparse
import json
import math
import multiprocessing
import os
import tempfile
import time

CELLS = ("rnn", "lstm", "gru")
CLIP, SEED = 5.0, 1


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("text")
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--hidden", default="16..128")
    parser.add_argument("--steps", type=int, default=432)
    parser.add_argument("--eval_every", type=int, default=27)
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--seq", type=int, default=50)
    parser.add_argument("--embed", type=int, default=64)
    parser.add_argument("--eval_batch", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def load(path):
    """Ids of the text by order of the characters, split 90/5/5 with each edge rounded up, as lurn.text does."""
    with open(path, encoding="utf-8") as file:
        text = file.read()
    vocab = {c: i for i, c in enumerate(sorted(set(text)))}
    ids = [vocab[c] for c in text]
    first, second = math.ceil(len(ids) * 0.90 - 1e-6), math.ceil(len(ids) * 0.95 - 1e-6)
    return ids[:first], ids[first:second], len(vocab)


def rows_of(ids, rows):
    """(time, rows) of inputs and of the characters that follow them."""
    import torch
    n = (len(ids) - 1) // rows
    whole = torch.tensor(ids[: n * rows + 1])
    return whole[:-1].view(rows, n).t().contiguous(), whole[1:].view(rows, n).t().contiguous()


def net(cell, vocab, embed, hidden, layers, dropout):
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(vocab, embed)
            kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
            self.layers = kind(embed, hidden, layers, dropout=dropout)
            self.head = nn.Linear(hidden, vocab)

        def forward(self, ids, state=None):
            out, state = self.layers(self.embedding(ids), state)
            return self.head(out), state

    return Net()


def detach(state):
    if state is None:
        return None
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def train(o, p, data, report):
    """Plays one trial; report(loss, step) says whether it is to go on. Best validation loss, steps played."""
    import torch
    from torch.nn.functional import cross_entropy
    torch.manual_seed(SEED)
    train_ids, valid_ids, vocab = data
    model = net(p["cell"], vocab, o.embed, p["hidden"], p["layers"], p["dropout"])
    optim = torch.optim.Adam(model.parameters(), lr=p["lr"])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optim, o.steps)
    x, y = rows_of(train_ids, o.batch)
    vx, vy = rows_of(valid_ids, o.eval_batch)
    windows = x.shape[0] // o.seq
    best, state = math.inf, None
    for step in range(1, o.steps + 1):
        at = (step - 1) % windows * o.seq
        if at == 0:
            state = None
        out, state = model(x[at : at + o.seq], state)
        state = detach(state)
        loss = cross_entropy(out.view(-1, vocab), y[at : at + o.seq].reshape(-1))
        optim.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optim.step()
        schedule.step()
        if step % o.eval_every == 0 or step == o.steps:
            model.eval()
            with torch.no_grad():
                value = cross_entropy(model(vx)[0].view(-1, vocab), vy.reshape(-1)).item()
            model.train()
            best = min(best, value)
            if not report(value, step):
                return best, step
    return best, o.steps


def work(o, path, data, counter):
    import optuna
    import torch
    torch.set_num_threads(o.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    low, high = (int(n) for n in o.hidden.split(".."))

    def objective(trial):
        p = {"cell": trial.suggest_categorical("cell", CELLS), "layers": trial.suggest_int("layers", 1, 3),
             "hidden": trial.suggest_int("hidden", low, high, log=True),
             "lr": trial.suggest_float("lr", 1e-4, 1e-1, log=True), "dropout": 0.0}
        if p["layers"] > 1:
            p["dropout"] = trial.suggest_float("dropout", 0, 0.5)

        def report(value, step):
            with counter.get_lock():
                counter.value += o.eval_every
            trial.report(value, step)
            if math.isnan(value) or trial.should_prune():
                raise optuna.TrialPruned
            return True

        return train(o, p, data, report)[0]

    study = optuna.load_study(study_name="charlm", storage=storage(path), sampler=sampler(optuna, o.seed + os.getpid()),
                              pruner=optuna.pruners.SuccessiveHalvingPruner(min_resource=o.eval_every, reduction_factor=4))
    states = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED, optuna.trial.TrialState.RUNNING)
    while True:
        taken = len(study.get_trials(deepcopy=False, states=states))
        if taken >= o.trials:
            return
        study.optimize(objective, n_trials=1)


def sampler(optuna, seed):
    return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def storage(path):
    """A journal: Optuna's quickest store that several processes can share."""
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    return JournalStorage(JournalFileBackend(path))


def main():
    o = options()
    start = time.time()
    data = load(o.text)
    with tempfile.TemporaryDirectory() as folder:
        import optuna
        import torch                      # before the fork: the workers have it then
        torch.set_num_threads(o.threads)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        path = os.path.join(folder, "journal")
        optuna.create_study(study_name="charlm", storage=storage(path), direction="minimize")
        context = multiprocessing.get_context("fork")
        counter = context.Value("q", 0)
        workers = [context.Process(target=work, args=(o, path, data, counter)) for _ in range(o.workers)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        study = optuna.load_study(study_name="charlm", storage=storage(path))
        states = {}
        for trial in study.trials:
            states[trial.state.name] = states.get(trial.state.name, 0) + 1
        found = study.best_trial.datetime_complete.timestamp() - start
        print(json.dumps({"seconds": time.time() - start, "best": study.best_value, "found": found,
                          "params": study.best_params, "steps": counter.value, "states": states, "optuna": optuna.__version__,
                          "torch": torch.__version__}))


if __name__ == "__main__":
    main()
