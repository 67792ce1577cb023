"""The JAX side of `lurn bench`: whole training steps, compiled; the protocol is that of turns.py.

A layer is a lax.scan with the products of the input taken out of it, a step (loss, gradients, clipping,
Adam) is one jit, which is compiled before anything is timed. Kinds: train. The one argument is the
number of threads, to which the process is held by its set of CPUs, because XLA's pool takes what it finds.
"""

import os
import sys

THREADS = int(sys.argv[1]) if len(sys.argv) > 1 else 1
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
if "AVX2" in os.environ.get("ONEDNN_MAX_CPU_ISA", ""):
    os.environ["XLA_FLAGS"] = "--xla_cpu_max_isa=AVX2"
os.environ["JAX_PLATFORMS"] = "cpu"

import jax  # noqa: E402  (the environment is read when it is imported)
import jax.numpy as jnp  # noqa: E402

import turns  # noqa: E402


# ---------------------------------------------------------------- cells: (state, a = x Wx + b) -> state


def lstm(p, state, a):
    h, c = state
    i, f, g, o = jnp.split(a + h @ p["wh"], 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(p, state, a):
    (h,) = state
    ar, az, an = jnp.split(a, 3, axis=1)
    ur, uz, un = jnp.split(h @ p["wh"], 3, axis=1)
    z = jax.nn.sigmoid(az + uz)
    n = jnp.tanh(an + jax.nn.sigmoid(ar + ur) * (un + p["bh"]))
    return ((1 - z) * n + z * h,)


def rnn(p, state, a):
    (h,) = state
    return (jnp.tanh(a + h @ p["wh"]),)


CELLS = {"lstm": (lstm, 4, 2), "gru": (gru, 3, 1), "rnn": (rnn, 1, 1)}  # with gates and states


def weights(key, *shape):
    return jax.random.uniform(key, shape, minval=-0.1, maxval=0.1)


def make_params(case):
    _, gates, _ = CELLS[case["cell"]]
    keys = iter(jax.random.split(jax.random.PRNGKey(1), 4 * case["layers"] + 2))
    layers, inputs, hidden = [], case["D"], case["H"]
    for _ in range(case["layers"]):
        layers.append(
            {
                "wx": weights(next(keys), inputs, gates * hidden),
                "wh": weights(next(keys), hidden, gates * hidden),
                "b": weights(next(keys), gates * hidden),
                "bh": weights(next(keys), hidden),
            }
        )
        inputs = hidden
    return {"layers": layers, "wo": weights(next(keys), hidden, case["out"]), "bo": jnp.zeros(case["out"])}


def forward(case, params, x):
    cell, _, states = CELLS[case["cell"]]
    for p in params["layers"]:

        def step(state, a, p=p):
            state = cell(p, state, a)
            return state, state[0]

        zero = jnp.zeros((x.shape[1], case["H"]))
        _, x = jax.lax.scan(step, (zero,) * states, x @ p["wx"] + p["b"])
    return (x[-1] if case.get("last") else x) @ params["wo"] + params["bo"]


def loss_of(case, params, x, y):
    out = forward(case, params, x)
    if case["loss"] == "cross_entropy":
        return -jnp.take_along_axis(jax.nn.log_softmax(out), y[..., None], -1).mean()
    return ((out - y) ** 2).mean()


def make_batch(case):
    kx, ky = jax.random.split(jax.random.PRNGKey(2))
    shape = (case["B"],) if case.get("last") else (case["T"], case["B"])
    x = jax.random.normal(kx, (case["T"], case["B"], case["D"]))
    if case["loss"] == "cross_entropy":
        return x, jax.random.randint(ky, shape, 0, case["out"])
    return x, jax.random.normal(ky, (*shape, case["out"]))


def make_train(case):
    x, y = make_batch(case)
    tree = jax.tree_util.tree_map

    def update(t, params, m, v):
        grads = jax.grad(lambda p: loss_of(case, p, x, y))(params)
        norm = jnp.sqrt(sum(jnp.sum(g * g) for g in jax.tree_util.tree_leaves(grads)))
        grads = tree(lambda g: g * jnp.minimum(1.0, 5.0 / (norm + 1e-6)), grads)
        m = tree(lambda a, g: 0.9 * a + 0.1 * g, m, grads)
        v = tree(lambda a, g: 0.999 * a + 0.001 * g * g, v, grads)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        params = tree(lambda p, a, b: p - rate * a / (jnp.sqrt(b) + 1e-8), params, m, v)
        return t + 1, params, m, v

    play = jax.jit(update, donate_argnums=(1, 2, 3))
    params = make_params(case)
    state = (jnp.float32(1), params, tree(jnp.zeros_like, params), tree(jnp.zeros_like, params))

    def step():
        nonlocal state
        state = play(*state)
        jax.block_until_ready(state)

    return step


def prepare(case):
    return make_train(case) if case["kind"] == "train" and case["cell"] in CELLS and not case.get("vocab") else None


turns.serve("JAX " + jax.__version__, prepare)
