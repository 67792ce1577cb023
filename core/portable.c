/* portable.c: series and squaring, in plain double. */
#include "portable.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Wider intermediates (x87) would break the promise of the header without any test noticing on
 * the machines that do not have them. */
_Static_assert(FLT_EVAL_METHOD == 0, "double arithmetic must round to double");

#define SQRT2   1.4142135623730951
#define HALF_PI 1.5707963267948966
/* ln 2 in two parts: the first has 20 zero bits at its end, so its product with any exponent
 * is exact and only the second rounds. */
#define LN2_HIGH 6.93147180369123816490e-01
#define LN2_LOW  1.90821492927058770002e-10
#define INV_LN2  1.4426950408889634

static inline double from_bits (uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

/* x = m 2^e with m in [sqrt(1/2), sqrt 2). As the low bits of 2^52 a small whole number is a double without a conversion,
 * which vectors of 64-bit numbers have late. */
static inline double split (double x, double *e) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  double m = from_bits((bits & 0x000fffffffffffffu) | 0x3ff0000000000000u);
  double exponent = from_bits((bits >> 52) | 0x4330000000000000u) - (0x1p52 + 1023);
  *e = exponent + (m >= SQRT2 ? 1.0 : 0.0);
  return m * (m >= SQRT2 ? 0.5 : 1.0);
}

/* ln m = 2 atanh s = 2 (s + s^3 / 3 + s^5 / 5 + ...), s = (m - 1) / (m + 1). Here |s| < 0.172, so
 * that the first term left out is below 1e-18 of the sum. */
static inline double logarithm (double x) {
  double e, m = split(x, &e), s = (m - 1.0) / (m + 1.0), q = s * s, sum = 0.0;
  for (int k = 21; k >= 3; k -= 2) sum = (sum + 1.0 / k) * q;
  return e * LN2_HIGH + (2.0 * s + (2.0 * s * sum + e * LN2_LOW));
}

double lurn_portable_log (double x) { return logarithm(x); }

void lurn_portable_logs (double *x, size_t n) {
  for (size_t i = 0; i < n; i++) x[i] = logarithm(x[i]);
}

/* e^x = 2^n e^r, |r| <= ln 2 / 2, by the Taylor series of e^r: the first term left out is below 1e-17. */
double lurn_portable_exp (double x) {
  static const double inverse[] = {       /* 1 / k! */
    1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
    1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0
  };
  if (!(x >= -708.0 && x <= 709.0)) return x < 0 ? 0.0 : x > 0 ? HUGE_VAL : x;
  int n = (int)(x * INV_LN2 + (x < 0 ? -0.5 : 0.5));
  double r = (x - n * LN2_HIGH) - n * LN2_LOW, sum = inverse[0], scale;
  for (int k = 1; k < 14; k++) sum = sum * r + inverse[k];
  uint64_t bits = (uint64_t)(n + 1023) << 52;
  memcpy(&scale, &bits, sizeof scale);
  return sum * scale;
}

/* Taylor series for |x| <= pi/4; the first terms left out are below 1e-17. */
static inline double sine_series (double x) {
  double q = x * x, sum = 0.0;
  for (int k = 16; k >= 2; k -= 2) sum = -(1.0 + sum) * q / (k * (k + 1));
  return x + x * sum;
}

static inline double cosine_series (double x) {
  double q = x * x, sum = 0.0;
  for (int k = 17; k >= 1; k -= 2) sum = -(1.0 + sum) * q / (k * (k + 1));
  return 1.0 + sum;
}

/* Sines of the quarters are s, c, -s, -c, cosines c, -s, -c, s. */
static inline void turn (double t, double *sine, double *cosine) {
  int quarter = (int)(4.0 * t + 0.5);
  double x = (4.0 * t - quarter) * HALF_PI, s = sine_series(x), c = cosine_series(x);
  double a = quarter & 1 ? c : s, b = quarter & 1 ? s : c;
  *sine = quarter & 2 ? -a : a;
  *cosine = (quarter + 1) & 2 ? -b : b;
}

void lurn_portable_turn (double t, double *sine, double *cosine) { turn(t, sine, cosine); }

void lurn_portable_turns (const double *restrict t, double *restrict sine, double *restrict cosine, size_t n) {
  for (size_t i = 0; i < n; i++) turn(t[i], &sine[i], &cosine[i]);
}

double lurn_portable_power (double x, int64_t n) {
  double y = 1.0;
  for (; n > 0; n >>= 1) {
    if (n & 1) y *= x;
    x *= x;
  }
  return y;
}
