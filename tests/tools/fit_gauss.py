"""The polynomial of core/gauss.c: prints its coefficients and the error of the series it comes from.

    python3 tests/tools/fit_gauss.py          needs mpmath

e^(x x) erfc(x), x >= 0, falls like 1 / x; divided by t = 3 / (3 + x) it is smooth from x = 0 (t = 1) to infinity
(t = 0), so one Chebyshev series in s = 2 t - 1 serves all of it. Its powers of s have coefficients whose sizes add up to
1, so nothing is lost by writing it in them.
"""
import mpmath as mp

mp.mp.dps = 60
SHIFT, TERMS, NODES = 3, 24, 48


def smooth(s):
    t = (s + 1) / 2
    x = SHIFT / t - SHIFT
    return mp.exp(x * x) * mp.erfc(x) / t


nodes = [mp.pi * (j + mp.mpf(1) / 2) / NODES for j in range(NODES)]
values = [smooth(mp.cos(a)) for a in nodes]
series = [2 * mp.fsum(v * mp.cos(m * a) for v, a in zip(values, nodes)) / NODES for m in range(NODES)]
series[0] /= 2

# T_0 = 1, T_1 = s, T_k = 2 s T_(k-1) - T_(k-2), as coefficients of powers of s
chebyshev = [[mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]]
for k in range(2, TERMS):
    chebyshev.append([mp.mpf(0)] + [2 * c for c in chebyshev[-1]])
    for i, c in enumerate(chebyshev[k - 2]):
        chebyshev[k][i] -= c
power = [mp.fsum(series[k] * chebyshev[k][i] for k in range(i, TERMS)) for i in range(TERMS)]

for i in range(0, TERMS, 2):
    print("  {%s, %s}," % (float(power[i]).hex(), float(power[i + 1]).hex()))
print("left out: %s of a value of 0.19 to 1; sizes add up to %s"
      % (mp.nstr(mp.fsum(abs(c) for c in series[TERMS:]), 3), mp.nstr(mp.fsum(abs(c) for c in power), 4)))
