#!/usr/bin/env python3
"""Fits the polynomials of core/kernel/coef.h and prints that file.

    python3 fit.py > core/kernel/coef.h            (needs mpmath)

Each polynomial is the minimax one (Remez exchange, 60 digits) for its weight, which is
the share of the polynomial in the relative error of the function it serves. The highest
coefficient comes first, as Horner's rule reads them.
"""
from mpmath import mp, mpf, cos, erf, erfc, exp, lu_solve, log, matrix, pi, sin, sqrt

mp.dps = 60


def remez(f, weight, lo, hi, degree, rounds=12, grid=1200):
    """Coefficients (ascending) that minimise max |weight * (poly - f)| on [lo, hi]."""
    n = degree + 2
    middle, half = (lo + hi) / 2, (hi - lo) / 2
    at = lambda i, count: middle - half * cos(pi * (2 * i + 1) / (2 * count))
    xs = [at(i, grid) for i in range(grid)]
    fs, ws = [f(x) for x in xs], [weight(x) for x in xs]
    ref = [(2 * i + 1) * grid // (2 * n) for i in range(n)]
    for _ in range(rounds):
        a, b = matrix(n, n), matrix(n, 1)
        for row, i in enumerate(ref):
            for k in range(degree + 1):
                a[row, k] = xs[i] ** k
            a[row, degree + 1] = (-1) ** row / ws[i]
            b[row] = fs[i]
        coef = list(lu_solve(a, b))[:degree + 1]
        err = [w * (horner(coef, x) - y) for x, y, w in zip(xs, fs, ws)]
        new = extrema(err, n)
        if new is None or new == ref:
            break
        ref = new
    return coef, max(abs(e) for e in err)


def horner(coef, x):
    y = mpf(0)
    for c in reversed(coef):
        y = y * x + c
    return y


def extrema(err, n):
    """The n alternating extrema of err with the largest values; None when there are fewer."""
    best = []
    for i, e in enumerate(err):
        if best and (e > 0) == (err[best[-1]] > 0):
            if abs(e) > abs(err[best[-1]]):
                best[-1] = i
        else:
            best.append(i)
    while len(best) > n:
        best.pop(0 if abs(err[best[0]]) < abs(err[best[-1]]) else -1)
    return best if len(best) == n else None


def series(term):
    """A power series, where the closed form would cancel."""
    return lambda x: sum(term(x, k) for k in range(60))


L = log(mpf(2)) / 2 * mpf("1.0001")
Q = pi / 4 * mpf("1.0001")
Z = (3 - 2 * sqrt(mpf(2))) ** 2 * mpf("1.0001")
fact = mp.factorial

exp_q = series(lambda r, k: r ** k / fact(k + 2))                   # (e^r - 1 - r) / r^2
log_p = series(lambda z, k: 2 * z ** k / (2 * k + 3))               # (2 atanh s - 2 s) / s^3
sin_p = series(lambda z, k: (-1) ** (k + 1) * z ** k / fact(2 * k + 3))   # (sin r - r) / r^3
cos_p = series(lambda z, k: (-1) ** k * z ** k / fact(2 * k + 4))   # (cos r - 1 + r^2/2) / r^4
erf_p = lambda z: erf(sqrt(z)) / sqrt(z) - 1                        # erf x / x - 1
erfc_l = lambda t: log(erfc(1 + t))

TABLES = [  # name, comment, function, weight, lo, hi, degree f32, degree f64
    ("EXP", "e^r = 1 + r + r^2 P(r), |r| <= ln 2 / 2", exp_q,
     lambda r: abs(r * r / (exp(r) - 1)) if r else mpf(0) + mpf(10) ** -9, -L, L, 4, 10),
    ("LOG", "ln((1 + s) / (1 - s)) = 2 s + s z P(z), z = s^2 <= (3 - 2 sqrt 2)^2", log_p,
     lambda z: z / 2 + mpf(10) ** -9, mpf(0), Z, 2, 6),
    ("SIN", "sin r = r + r z P(z), z = r^2, |r| <= pi / 4", sin_p,
     lambda z: z + mpf(10) ** -9, mpf(0), Q * Q, 2, 5),
    ("COS", "cos r = 1 - z / 2 + z^2 P(z), z = r^2, |r| <= pi / 4", cos_p,
     lambda z: z * z + mpf(10) ** -9, mpf(0), Q * Q, 2, 5),
    ("ERF", "erf x = x + x P(z), z = x^2 <= 1", erf_p,
     lambda z: mpf(1), mpf(10) ** -30, mpf(1), 6, 12),
    ("ERFC", "ln erfc(1 + t) = P(t), 0 <= t <= %s", erfc_l,
     lambda t: erfc(1 + t), mpf(0), (mpf(3), mpf(5)), 6, 17),
]


def to_single(x):
    import struct
    return struct.unpack("f", struct.pack("f", float(x)))[0]


def number(x, double):
    """The nearest double or float as a hexadecimal C literal."""
    mantissa, exponent = (float(x) if double else to_single(x)).hex().split("p")
    mantissa = mantissa.rstrip("0") if "." in mantissa else mantissa
    return mantissa.rstrip(".") + "p" + exponent + ("" if double else "f")


def table(row, double):
    name, comment, f, weight, lo, hi, d32, d64 = row
    if isinstance(hi, tuple):
        hi = hi[double]
        comment %= mp.nstr(hi, 2)
    coef, err = remez(f, weight, lo, hi, d64 if double else d32)
    lines = ["/* %s; error 2^%.1f */" % (comment, float(log(err, 2))),
             "static const real %s_POLY[] = {" % name]
    lines += ["  %s," % number(c, double) for c in reversed(coef)]
    return "\n".join(lines + ["};"])


def parts(names, value, double):
    """value as an unevaluated sum, each part the nearest number to what is left."""
    out = []
    for name in names.split():
        x = float(value) if double else to_single(value)
        value -= mpf(x)
        out.append("#define %-12s %s" % (name, number(x, double)))
    return "\n".join(out)


def half(double):
    body = [table(row, double) for row in TABLES]
    body.append("\n".join([
        parts("LN2_1 LN2_2", log(mpf(2)), double), parts("INV_LN2", 1 / log(mpf(2)), double),
        parts("PIO2_1 PIO2_2 PIO2_3", pi / 2, double), parts("TWO_OVER_PI", 2 / pi, double)]))
    return "\n\n".join(body)


print("""/* coef.h: polynomials and split constants of body_math.h, in both precisions.
 *
 * Made by tests/tools/fit.py; change that, not this. The highest coefficient comes first.
 * The error given is the polynomial's share in the relative error of its function, before
 * any rounding. X_1 + X_2 (+ X_3) is X to twice (three times) the precision.
 */
#ifndef LURN_KERNEL_COEF_H
#define LURN_KERNEL_COEF_H

#ifdef LURN_F64

%s

#else

%s

#endif

#endif""" % (half(True), half(False)))
