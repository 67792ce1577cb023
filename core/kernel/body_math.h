/* body_math.h: the transcendental functions, over the primitives of vf_*.h.
 *
 * Only additions, products, fused products, quotients and bit operations, in an order that
 * is written here: every instruction set gives the same bits. Each function reduces its
 * argument exactly or with a correction term, so that what is left to lose is the last
 * addition and a part of an ulp before it. Measured worst cases: tests/c/check_kernels -v.
 */
#ifndef LURN_BODY_MATH_H
#define LURN_BODY_MATH_H

#include <math.h>
#include "coef.h"

#ifdef LURN_F64
#define ROUND_MAGIC 0x1.8p52
#define EXPONENT_BIAS 1023
#define LEAST_NORMAL 0x1p-1022
#define MANTISSA_FIELD 0x0.fffffffffffffp-1022
#define EXP_HIGHEST 710
#define EXP_LOWEST (-746)
#define EXPM1_LOWEST (-40)          /* e^x - 1 rounds to -1 from here on */
#define TANH_HIGHEST 20
#define ERF_HIGHEST 6
#define SIN_HIGHEST 1e6
#else
#define ROUND_MAGIC 0x1.8p23f
#define EXPONENT_BIAS 127
#define LEAST_NORMAL 0x1p-126f
#define MANTISSA_FIELD 0x0.fffffep-126f
#define EXP_HIGHEST 89
#define EXP_LOWEST (-104)
#define EXPM1_LOWEST (-20)
#define TANH_HIGHEST 10
#define ERF_HIGHEST 4
#define SIN_HIGHEST 1e5f
#endif

#define POLY(x, table) poly(x, table, (int)(sizeof table / sizeof *table))

/* Horner's rule, highest coefficient first. */
static inline vf poly (vf x, const real *coef, int count) {
  vf y = vf_set(coef[0]);
  for (int i = 1; i < count; i++) y = vf_fma(y, x, vf_set(coef[i]));
  return y;
}

static inline vf vf_neg (vf a) { return vf_xor(a, vf_set((real)-0.0)); }
static inline vf vf_sign_bit (vf a) { return vf_and(a, vf_set((real)-0.0)); }
static inline vf vf_abs (vf a) { return vf_xor(a, vf_sign_bit(a)); }

/* The bounds are returned for what lies beyond them; NaN stays NaN. */
static inline vf vf_clamp (vf x, real lo, real hi) {
  return vf_max(vf_set(lo), vf_min(vf_set(hi), x));
}

/* The integer nearest to x k, below 2^22 (2^51): after the addition no fraction bits are left. */
static inline vf vf_round (vf x, real k) {
  const vf magic = vf_set(ROUND_MAGIC);
  return vf_sub(vf_fma(x, vf_set(k), magic), magic);
}

/* 2^n for an integer n in the normal range: the sum's low bits are the biased exponent. */
static inline vf vf_pow2 (vf n) {
  return vf_shl(vf_add(n, vf_set(ROUND_MAGIC + EXPONENT_BIAS)));
}

/* x * 2^n, rounded once, for x near 1: in two steps, of which only the last can round, where the result or 2^n is no
 * normal number. */
static inline vf vf_scale (vf x, vf n) {
#ifdef VF_SCALE
  return VF_SCALE(x, n);
#else
  if (vm_first(vf_gt(vf_abs(n), vf_set(EXPONENT_BIAS - 6))) < 0) return vf_mul(x, vf_pow2(n));
  const vf half = vf_round(n, (real)0.5);
  return vf_mul(vf_mul(x, vf_pow2(half)), vf_pow2(vf_sub(n, half)));
#endif
}

/* ---- exponentials ---------------------------------------------------------------------- */

/* x = n ln 2 + r, |r| <= ln 2 / 2; returns e^r - 1 to about half an ulp. The first fma is
 * exact; `lost` is what rounding r threw away. */
static inline vf exp_reduced (vf x, vf *n) {
  *n = vf_round(x, INV_LN2);
  const vf head = vf_fnma(*n, vf_set(LN2_1), x);
  const vf r = vf_fnma(*n, vf_set(LN2_2), head);
  const vf lost = vf_fnma(*n, vf_set(LN2_2), vf_sub(head, r));
  /* e^r - 1 = r + r^2 P(r) */
  return vf_add(r, vf_fma(vf_mul(r, r), POLY(r, EXP_POLY), lost));
}

static inline vf vf_exp (vf x) {
  vf n;
  const vf p = exp_reduced(vf_clamp(x, EXP_LOWEST, EXP_HIGHEST), &n);
  return vf_scale(vf_add(p, vf_set(1)), n);
}

static inline vf vf_expm1 (vf x) {
  vf n;
  const vf p = exp_reduced(vf_clamp(x, EXPM1_LOWEST, EXP_HIGHEST), &n);
  /* 2^n p + (2^n - 1), halved and doubled because 2^n alone may overflow */
  const vf s = vf_pow2(vf_sub(n, vf_set(1)));
  const vf y = vf_fma(s, p, vf_sub(s, vf_set((real)0.5)));
  const vm small = vf_gt(vf_set(LEAST_NORMAL * 4), vf_abs(x));
  return vf_select(small, x, vf_add(y, y));
}

/* (a + a_rest) / (b + b_rest), the rests being what was lost in rounding a and b (NULL: nothing): the quotient
 * and one correction of it. */
static inline vf vf_quotient (vf a, const vf *a_rest, vf b, vf b_rest) {
  const vf inverse = vf_div(vf_set(1), b);
  const vf y = vf_mul(a, inverse);
  const vf missed = vf_fnma(y, b, a);
  const vf left = vf_fnma(y, b_rest, a_rest ? vf_add(missed, *a_rest) : missed);
  return vf_fma(left, inverse, y);
}

/* tanh |x| = (e^2|x| - 1) / (e^2|x| + 1), both by one fma from e^r - 1 = p and s = 2^n. */
static inline vf vf_tanh (vf x) {
  const vf one = vf_set(1);
  const vf a = vf_min(vf_set(TANH_HIGHEST), vf_abs(x));
  vf n;
  const vf p = exp_reduced(vf_add(a, a), &n);
  const vf s = vf_pow2(n), s_minus = vf_sub(s, one), s_plus = vf_add(s, one);
  const vf above = vf_fma(s, p, s_minus), above_rest = vf_fma(s, p, vf_sub(s_minus, above));
  const vf below = vf_fma(s, p, s_plus), below_rest = vf_fma(s, p, vf_sub(s_plus, below));
  return vf_or(vf_quotient(above, &above_rest, below, below_rest), vf_sign_bit(x));
}

/* e = e^-|x| cannot overflow: 1 / (1 + e) for x >= 0, e / (1 + e) below. */
static inline vf vf_sigmoid (vf x) {
  const vf one = vf_set(1);
  vf n;
  const vf p = exp_reduced(vf_max(vf_set(EXP_LOWEST), vf_or(x, vf_set((real)-0.0))), &n);
  const vf e = vf_scale(vf_add(p, one), n);
  const vf numerator = vf_select(vf_gt(vf_set(0), x), e, one);
  const vf below = vf_add(one, e);
  return vf_quotient(numerator, NULL, below, vf_sub(e, vf_sub(below, one)));
}

/* ---- logarithms ------------------------------------------------------------------------ */

/* x = 2^e * m with m in (sqrt 1/2, sqrt 2], for x > 0, denormals too. */
static inline vf log_split (vf x, vf *e) {
  const vm tiny = vf_gt(vf_set(LEAST_NORMAL), x);
  const vf lift = vf_set((real)(2 * ((uint64_t)1 << MANTISSA_BITS)));
  x = vf_select(tiny, vf_mul(x, lift), x);
  /* the exponent field as the low bits of 2^MANTISSA_BITS */
  const vf unit = vf_set((real)((uint64_t)1 << MANTISSA_BITS));
  const vf field = vf_sub(vf_or(vf_shr(x), unit), unit);
  const vf bias = vf_select(tiny, vf_set(EXPONENT_BIAS + MANTISSA_BITS + 1), vf_set(EXPONENT_BIAS));
  const vf m = vf_or(vf_and(x, vf_set(MANTISSA_FIELD)), vf_set(1));
  const vm high = vf_gt(m, vf_set((real)1.4142135623730951));
  *e = vf_add(vf_sub(field, bias), vf_select(high, vf_set(1), vf_set(0)));
  return vf_select(high, vf_mul(m, vf_set((real)0.5)), m);
}

/* e ln 2 + ln(1 + f) + c with s = f / (2 + f), z = s^2, h = f^2 / 2:
 * ln(1 + f) = 2 s + s z P(z), and 2 s = f - h + s h, which keeps f exact. */
static inline vf log_sum (vf f, vf e, vf c) {
  const vf s = vf_div(f, vf_add(f, vf_set(2)));
  const vf z = vf_mul(s, s);
  const vf h = vf_mul(vf_mul(f, vf_set((real)0.5)), f);
  const vf tail = vf_fma(e, vf_set(LN2_2), c);
  const vf rest = vf_fma(s, vf_fma(z, POLY(z, LOG_POLY), h), tail);
  return vf_fma(e, vf_set(LN2_1), vf_sub(f, vf_sub(h, rest)));
}

/* The values of ln u where the formula has none: -inf at 0, NaN below, inf and NaN kept. */
static inline vf log_edges (vf u, vf y) {
  const vf zero = vf_set(0);
  y = vf_select(vf_gt(zero, u), vf_set((real)NAN), y);
  y = vf_select(vf_eq(u, zero), vf_set((real)-INFINITY), y);
  return vf_select(vm_or(vf_nan(u), vf_eq(u, vf_set((real)INFINITY))), u, y);
}

static inline vf vf_log (vf x) {
  vf e;
  const vf m = log_split(x, &e);
  return log_edges(x, log_sum(vf_sub(m, vf_set(1)), e, vf_set(0)));
}

/* u = 1 + x rounded; d is what was lost, and ln(u + d) = ln u + d / u. */
static inline vf vf_log1p (vf x) {
  const vf one = vf_set(1);
  const vf u = vf_add(one, x);
  const vf x_part = vf_sub(u, one);
  const vf d = vf_add(vf_sub(x, x_part), vf_sub(one, vf_sub(u, x_part)));
  vf e;
  const vf m = log_split(u, &e);
  const vf wide = log_sum(vf_sub(m, one), e, vf_div(d, u));
  /* near 0 x itself is f, and nothing was lost */
  const vm near = vf_gt(vf_set((real)0.25), vf_abs(x));
  const vf y = vf_select(near, log_sum(x, vf_set(0), vf_set(0)), wide);
  const vm small = vf_gt(vf_set(LEAST_NORMAL * 4), vf_abs(x));
  return vf_select(small, x, log_edges(u, y));
}

/* ---- sine and cosine ------------------------------------------------------------------- */

/* x = n pi/2 + r + lost, |r| <= pi/4, n modulo 4 as one of -2 .. 2. NaN outside the domain. */
static inline vf trig_reduce (vf x, vf *quadrant, vf *lost) {
  const vm outside = vf_gt(vf_abs(x), vf_set(SIN_HIGHEST));
  x = vf_select(outside, vf_set((real)NAN), x);
  const vf n = vf_round(x, TWO_OVER_PI);
  /* exact, for n PIO2_1 and x have few enough bits in common */
  const vf head = vf_fnma(n, vf_set(PIO2_1), x);
  /* r = head - product; near a multiple of pi/2 almost nothing of it may be left, so what both
   * roundings lose is kept exactly: of the product by an fma, of the difference by Knuth's sum */
  const vf product = vf_mul(n, vf_set(PIO2_2));
  const vf product_lost = vf_fma(n, vf_set(PIO2_2), vf_neg(product));
  const vf r = vf_sub(head, product);
  const vf part = vf_sub(r, head);
  const vf r_lost = vf_sub(vf_sub(head, vf_sub(r, part)), vf_add(product, part));
  *lost = vf_fnma(n, vf_set(PIO2_3), vf_sub(r_lost, product_lost));
  *quadrant = vf_fnma(vf_set(4), vf_round(n, (real)0.25), n);
  return r;
}

/* sin(r + lost) = r + (r z P(z) + lost) */
static inline vf sin_reduced (vf r, vf lost) {
  const vf z = vf_mul(r, r);
  return vf_add(r, vf_fma(vf_mul(r, z), POLY(z, SIN_POLY), lost));
}

/* cos(r + lost) = 1 - z/2 + (z^2 P(z) - r lost); 1 - z/2 as a rounded head and its rest */
static inline vf cos_reduced (vf r, vf lost) {
  const vf one = vf_set(1);
  const vf z = vf_mul(r, r);
  const vf half = vf_mul(z, vf_set((real)0.5));
  const vf head = vf_sub(one, half);
  const vf rest = vf_sub(vf_sub(one, head), half);
  const vf tail = vf_fma(vf_mul(z, z), POLY(z, COS_POLY), vf_fnma(r, lost, rest));
  return vf_add(head, tail);
}

/* q: 0 sin r, 1 cos r, 2 -sin r, 3 = -1 -cos r */
static inline vf trig_quadrant (vf q, vf r, vf lost) {
  const vm odd = vf_eq(vf_abs(q), vf_set(1));
  const vf y = vf_select(odd, cos_reduced(r, lost), sin_reduced(r, lost));
  const vm negative = vm_or(vf_eq(vf_abs(q), vf_set(2)), vf_eq(q, vf_set(-1)));
  return vf_select(negative, vf_neg(y), y);
}

static inline vf vf_sin (vf x) {
  vf q, lost;
  const vf r = trig_reduce(x, &q, &lost);
  return vf_select(vf_eq(x, vf_set(0)), x, trig_quadrant(q, r, lost));
}

/* cos x = sin(x + pi/2): one quadrant on, and 3 is -1 again */
static inline vf vf_cos (vf x) {
  vf q, lost;
  const vf r = trig_reduce(x, &q, &lost);
  q = vf_add(q, vf_set(1));
  q = vf_select(vf_eq(q, vf_set(3)), vf_set(-1), q);
  return trig_quadrant(q, r, lost);
}

/* ---- error function -------------------------------------------------------------------- */

/* |x| <= 1: x + x P(x^2).  Above: 1 - e^P(|x| - 1), where P is the logarithm of erfc. */
static inline vf vf_erf (vf x) {
  const vf one = vf_set(1);
  const vf a = vf_min(vf_set(ERF_HIGHEST), vf_abs(x));
  const vm inner = vf_ge(one, a);
  const vf z = vf_mul(x, x);
  const vf near = vf_fma(x, POLY(vf_select(inner, z, one), ERF_POLY), x);
  vf n;
  const vf p = exp_reduced(POLY(vf_sub(vf_select(inner, one, a), one), ERFC_POLY), &n);
  const vf s = vf_pow2(n);
  /* 1 - 2^n (1 + p) */
  const vf far = vf_fnma(s, p, vf_sub(one, s));
  return vf_select(inner, near, vf_or(far, vf_sign_bit(x)));
}

#endif
