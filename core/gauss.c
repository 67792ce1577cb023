/* gauss.c: the error function by one polynomial; everything else from it. */
#include "gauss.h"
#include "portable.h"

#include <math.h>

#define SQRT3_OVER_PI 0.5513288954217921

/* e^(x x) erfc(x) / t, t = 3 / (3 + x), in powers of s = 2 t - 1: even and odd ones side by side, for two chains that
 * do not wait for one another. Made by tests/tools/fit_gauss.py; what the series leaves out is below 1e-17. */
static const double powers[][2] = {
  {0x1.6e9827d229d2dp-2, 0x1.2d882f67c6cf8p-2},
  {0x1.92ede1b27d942p-3, 0x1.a7e42c5727d44p-4},
  {0x1.4663f6120b9ebp-5, 0x1.2506628f095cep-7},
  {-0x1.a7c533f2305b0p-12, -0x1.091ed1656988dp-10},
  {-0x1.7f4bd9bd9928fp-13, 0x1.82f6a366fe0bdp-14},
  {0x1.2cc3b6f85429fp-15, -0x1.53ff177418323p-17},
  {-0x1.86d51bc0b8dbep-18, 0x1.a8ef945235ee8p-20},
  {0x1.ef4ed649f57d8p-21, -0x1.657d93a729e18p-22},
  {-0x1.26b220258230cp-23, 0x1.4ecc47b819c43p-24},
  {0x1.1e171672ae448p-26, -0x1.251a396044914p-26},
  {-0x1.46efc7896f2d5p-30, 0x1.8e49a9b4a563bp-29},
  {0x1.4646113c2fbd0p-39, -0x1.2942846b28244p-32},
};

static double smooth (double s) {
  enum { PAIRS = sizeof powers / sizeof *powers };
  double y = s * s, even = powers[PAIRS - 1][0], odd = powers[PAIRS - 1][1];
  for (int k = PAIRS - 2; k >= 0; k--) {
    even = even * y + powers[k][0];
    odd = odd * y + powers[k][1];
  }
  return even + s * odd;
}

/* 2 / sqrt(pi) times the integral of e^-t^2 from x on. */
static double erfc_of (double x) {
  double a = fabs(x), t = 3.0 / (3.0 + a);
  double y = lurn_portable_exp(-a * a) * t * smooth(2.0 * t - 1.0);
  return x < 0 ? 2.0 - y : y;
}

double lurn_gauss_below (double x) {
  return 0.5 * erfc_of(-x * LURN_SQRT_HALF);
}

/* A tail is worked out on the left, where the shares are small and exact. */
double lurn_gauss_mass (double a, double b) {
  if (a > 0) return lurn_gauss_below(-a) - lurn_gauss_below(-b);
  if (b <= 0) return lurn_gauss_below(b) - lurn_gauss_below(a);
  return 1.0 - lurn_gauss_below(a) - lurn_gauss_below(-b);
}

/* The tail's asymptote, ln p = -x^2 / 2 - ln sqrt(2 pi), far out; the logistic curve near the middle. */
static double near_quantile (double p, double ln_p) {
  if (ln_p < -5.0) return -sqrt(-2.0 * (ln_p + LURN_LN_SQRT_2PI));
  return SQRT3_OVER_PI * lurn_portable_log(p / (1.0 - p));
}

/* Newton's method: on below(x) = p near the middle, on ln below(x) = ln p in the tail, where F = below(x) is small and
 * its logarithm, a concave function, is nearly a parabola. f is the derivative of F. */
double lurn_gauss_quantile (double p) {
  double ln_p = lurn_portable_log(p), x = near_quantile(p, ln_p);
  for (int k = 0; k < 20; k++) {
    double F = lurn_gauss_below(x), f = lurn_portable_exp(-0.5 * x * x - LURN_LN_SQRT_2PI);
    double step = p > 0.01 ? (p - F) / f : (ln_p - lurn_portable_log(F)) * F / f;
    x += step;
    if (fabs(step) < 1e-8) break;            /* the next one would be about its square */
  }
  return x;
}
