"""The PyTorch side of `lurn bench`: the same work, timed when it is asked for.

The protocol is that of turns.py. The one argument is the number of threads: a process that once ran two is slower
with one afterwards, so each number has a process of its own. Kinds: train (forward, loss, backward, clip by norm,
Adam), eval (forward and loss), stream (one character at batch 1), ragged (train, on packed sequences); with "cell":
"peephole" the layer is a loop over time in Python, as a user's own cell is.
"""

import sys

import torch
from torch import nn

import turns

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
CLASSES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


class Peephole(nn.Module):
    """LSTM whose gates see the cell (Gers and Schmidhuber). The products of the input are taken out
    of the loop, as a careful user would."""

    def __init__(self, inputs, hidden, layers):
        super().__init__()
        assert layers == 1
        self.wx = nn.Linear(inputs, 4 * hidden)
        self.wh = nn.Linear(hidden, 4 * hidden, bias=False)
        self.pi, self.pf, self.po = (nn.Parameter(torch.randn(hidden) * 0.1) for _ in range(3))
        self.hidden = hidden

    def forward(self, x, state=None):
        h = x.new_zeros(x.shape[1], self.hidden)
        c = h
        out = []
        for ax in self.wx(x):
            i, f, g, o = (ax + self.wh(h)).chunk(4, dim=1)
            i = torch.sigmoid(i + self.pi * c)
            f = torch.sigmoid(f + self.pf * c)
            c = f * c + i * torch.tanh(g)
            h = torch.sigmoid(o + self.po * c) * torch.tanh(c)
            out.append(h)
        return torch.stack(out), (h, c)


class Net(nn.Module):
    """Embedding where there is a vocabulary, the recurrent layers, a linear head."""

    def __init__(self, case):
        super().__init__()
        vocab, inputs = case.get("vocab"), case["D"]
        self.embedding = nn.Embedding(vocab, inputs) if vocab else None
        layer = CLASSES.get(case["cell"], Peephole)
        self.recurrent = layer(inputs, case["H"], case["layers"])
        self.head = nn.Linear(case["H"], case["out"])
        self.last = case.get("last", False)

    def forward(self, x, state=None):
        if self.embedding is not None:
            x = self.embedding(x)
        h, state = self.recurrent(x, state)
        return self.head(h[-1] if self.last else h), state


def detach(state):
    return tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()


def make_batch(case):
    steps, rows, out = case["T"], case["B"], case["out"]
    vocab = case.get("vocab")
    x = torch.randint(vocab, (steps, rows)) if vocab else torch.randn(steps, rows, case["D"])
    shape = (rows,) if case.get("last") else (steps, rows)
    y = torch.randint(out, shape) if case["loss"] == "cross_entropy" else torch.randn(*shape, out)
    return x, y


def loss_of(case, out, y):
    if case["loss"] == "cross_entropy":
        return nn.functional.cross_entropy(out.reshape(-1, case["out"]), y.reshape(-1))
    if case["loss"] == "bce":
        return nn.functional.binary_cross_entropy_with_logits(out, y)
    return nn.functional.mse_loss(out, y)


def update(net, adam, loss):
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    adam.step()


def make_train(case):
    net, (x, y) = Net(case), make_batch(case)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    carried = None

    def step():
        nonlocal carried
        adam.zero_grad()
        out, state = net(x, carried)
        if case.get("carry"):
            carried = detach(state)
        update(net, adam, loss_of(case, out, y))

    return step


def packed_bits(case, lengths):
    """Binary rows for the live frames of a batch, as a packed sequence."""
    bits = [(torch.rand(n, case["D"]) < case["share"]).float() for n in sorted(lengths, reverse=True)]
    return nn.utils.rnn.pack_sequence(bits)


def make_ragged(case):
    """An epoch of batches of whole sequences a step; head and loss see the live frames alone."""
    net = Net(case)
    adam = torch.optim.Adam(net.parameters(), lr=1e-3)
    groups = [case["lengths"][k : k + case["B"]] for k in range(0, len(case["lengths"]), case["B"])]
    batches = [(packed_bits(case, g), packed_bits(case, g)) for g in groups]

    def step():
        for x, y in batches:
            adam.zero_grad()
            h, _ = net.recurrent(x)
            update(net, adam, loss_of(case, net.head(h.data), y.data))

    return step


def make_eval(case):
    net, (x, y) = Net(case).eval(), make_batch(case)

    def step():
        with torch.inference_mode():
            return loss_of(case, net(x)[0], y).item()

    return step


def make_stream(case):
    net, x = Net(case).eval(), torch.zeros(1, 1, dtype=torch.long)
    state = None

    def step():
        nonlocal state
        with torch.inference_mode():
            out, state = net(x, state)
        return out

    return step


MAKERS = {"train": make_train, "ragged": make_ragged, "eval": make_eval, "stream": make_stream}


def prepare(case):
    torch.set_num_threads(THREADS)
    torch.manual_seed(1)
    return MAKERS[case["kind"]](case) if case["kind"] in MAKERS else None


turns.serve("PyTorch " + torch.__version__, prepare)
