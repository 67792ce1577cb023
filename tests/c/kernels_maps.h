/* kernels_maps.h: the part of check_kernels.c about elementwise maps. */
#ifndef KERNELS_MAPS_H
#define KERNELS_MAPS_H

#include "kernels_random.h"
#include "kernel/kernel.h"

static const lurn_kernels *plain;    /* table "c" */
static int verbose, failures_before;

static void begin (void) { failures_before = check_failures; }

static void report (const char *isa, const char *kernel, const char *note) {
  if (verbose)
    printf("%-7s %-13s %s%s\n", isa, kernel, check_failures == failures_before ? "ok" : "FAILED", note);
}

/* ---- maps ------------------------------------------------------------------------------- */

/* One call, out of place and in place of input `alias` (0: of none), at an odd address. */
static void map_case (const lurn_kernels *t, lurn_map map, size_t n, int offset, int alias) {
  real *in[3], *y = guarded(n + (size_t)offset) + offset, *want = guarded(n);
  const real k = any_value();
  for (int i = 0; i < 3; i++) in[i] = numbers(n + (size_t)offset, any_value);
  plain->map[map](want, in[0] + offset, in[1] + offset, in[2] + offset, k, n);
  const real *arg[3] = { in[0] + offset, in[1] + offset, in[2] + offset };
  if (alias > 0) {
    memcpy(y, arg[alias - 1], n * sizeof *y);
    arg[alias - 1] = y;
  }
  t->map[map](y, arg[0], arg[1], arg[2], k, n);
  check(same_all(y, want, n), "%s %s, n = %zu, offset %d, alias %d: not the bits of c", t->isa,
        lurn_map_name(map), n, offset, alias);
  check(canary_at(y - GUARD, GUARD) && canary_at(y + n, GUARD), "%s %s, n = %zu: writes beyond the end",
        t->isa, lurn_map_name(map), n);
  for (int i = 0; i < 3; i++) free(in[i]);
  guarded_free(y - offset);
  guarded_free(want);
}

static void check_map (const lurn_kernels *t, lurn_map map) {
  begin();
  for (int i = 0; i < NSIZES; i++)
    for (int offset = 0; offset < 4; offset++)
      for (int alias = 0; alias <= lurn_map_inputs(map); alias++)
        map_case(t, map, (size_t)sizes[i], offset, alias);
  map_case(t, map, 4001, 1, 0);
  report(t->isa, lurn_map_name(map), "");
}

/* An element alone, by the formula as the header has it; the transcendental ones are below. */
static real formula (lurn_map map, real a, real b, real c, real k) {
  switch (map) {
    case LURN_MAP_copy: return a;
    case LURN_MAP_fill: return k;
    case LURN_MAP_neg: return -a;
    case LURN_MAP_abs: return (real)fabs((double)a);
    case LURN_MAP_sign: return a > 0 ? 1 : a < 0 ? -1 : a;
    case LURN_MAP_sqrt: return EITHER(sqrtf((float)a), sqrt((double)a));
    case LURN_MAP_add_imm: return a + k;
    case LURN_MAP_mul_imm: return a * k;
    case LURN_MAP_rsub_imm: return k - a;
    case LURN_MAP_rdiv_imm: return k / a;
    case LURN_MAP_max_imm: return a != a ? a : a > k ? a : k;
    case LURN_MAP_min_imm: return a != a ? a : a < k ? a : k;
    case LURN_MAP_gt_imm: return a > k;
    case LURN_MAP_ge_imm: return a >= k;
    case LURN_MAP_add: return a + b;
    case LURN_MAP_sub: return a - b;
    case LURN_MAP_mul: return a * b;
    case LURN_MAP_div: return a / b;
    case LURN_MAP_max: return a > b ? a : b;
    case LURN_MAP_min: return a < b ? a : b;
    case LURN_MAP_gt: return a > b;
    case LURN_MAP_ge: return a >= b;
    case LURN_MAP_eq: return a == b;
    case LURN_MAP_tanh_grad: return a * EITHER(fmaf(-(float)b, (float)b, 1), fma(-(double)b, (double)b, 1));
    case LURN_MAP_sigmoid_grad:
      return a * EITHER(fmaf(-(float)b, (float)b, (float)b), fma(-(double)b, (double)b, (double)b));
    case LURN_MAP_gate_gt: return b > k ? a : 0;
    case LURN_MAP_gate_lt: return b < k ? a : 0;
    case LURN_MAP_where: return a != 0 ? b : c;
    default: return 0;
  }
}

static void check_formula (lurn_map map) {
  int wrong = 0;
  begin();
  for (int i = 0; i < 4000; i++) {
    const real a = any_value(), b = below(4) ? any_value() : a, c = any_value(), k = below(4) ? any_value() : a;
    real y;
    plain->map[map](&y, &a, &b, &c, k, 1);
    if (!same(y, formula(map, a, b, c, k))) wrong++;
  }
  check(wrong == 0, "c %s: %d of 4000 are not %s", lurn_map_name(map), wrong, lurn_map_formula(map));
  report("c", lurn_map_name(map), "");
}

/* ---- transcendental maps ---------------------------------------------------------------- */

/* What f32 (f64) is compared with. */
#ifdef LURN_F64
typedef long double wide;
#define WIDE(f) f##l
#else
typedef double wide;
#define WIDE(f) f
#endif

static wide wide_sigmoid (wide x) { return x < 0 ? WIDE(exp)(x) / (1 + WIDE(exp)(x)) : 1 / (1 + WIDE(exp)(-x)); }

static const struct curve {
  lurn_map map;
  wide (*exact) (wide);
  double lo, hi;                     /* where half of the samples are */
  double domain;                     /* |x| beyond it is not compared */
} curves[] = {
  { LURN_MAP_exp, WIDE(exp), EITHER(-104, -746), EITHER(89, 710), HUGE_VAL },
  { LURN_MAP_expm1, WIDE(expm1), -2, 2, HUGE_VAL },
  { LURN_MAP_log, WIDE(log), 0, 3, HUGE_VAL },
  { LURN_MAP_log1p, WIDE(log1p), -1, 2, HUGE_VAL },
  { LURN_MAP_sin, WIDE(sin), -10, 10, EITHER(1e5, 1e6) },
  { LURN_MAP_cos, WIDE(cos), -10, 10, EITHER(1e5, 1e6) },
  { LURN_MAP_erf, WIDE(erf), -4, 4, HUGE_VAL },
  { LURN_MAP_tanh, WIDE(tanh), -3, 3, HUGE_VAL },
  { LURN_MAP_sigmoid, wide_sigmoid, EITHER(-104, -746), 20, HUGE_VAL },
};
#define NCURVES ((int)(sizeof curves / sizeof *curves))

static const struct curve *curve_of (lurn_map map) {
  for (int i = 0; i < NCURVES; i++)
    if (curves[i].map == map) return &curves[i];
  return NULL;
}

/* |y - exact| in units of the last place of `exact`, denormal units below the normal range.
 * Infinite when the two are of different kinds, or zeros of different sign. */
static double ulps (real y, wide exact) {
  const int digits = EITHER(24, 53), least = EITHER(-149, -1074);
  const real rounded = (real)exact;
  int e;
  if (y != y || exact != exact) return y != y && exact != exact ? 0 : HUGE_VAL;
  if (y == 0 && rounded == 0) return !signbit(y) == !signbit(rounded) ? 0 : HUGE_VAL;
  if (isinf(y) || isinf(rounded)) return same(y, rounded) ? 0 : HUGE_VAL;
  (void)WIDE(frexp)(exact, &e);
  e = e - digits < least ? least : e - digits;
  return (double)WIDE(ldexp)(WIDE(fabs)((wide)y - exact), -e);
}

/* Anything, small values, the interesting range, and for the trigonometric maps the neighbours
 * of multiples of pi / 2, where the reduction of the argument cancels most. */
static double sample (const struct curve *c, int i) {
  if (i % 8 == 3 && c->domain < HUGE_VAL) return below((int)(c->domain / 1.6)) * 1.5707963267948966;
  if (i % 4 == 0) return (double)any_value();
  if (i % 4 == 1) return ldexp(uniform(-1, 1), below(60) - 40);
  return uniform(c->lo, c->hi);
}

static void check_accuracy (const struct curve *c) {
  const int count = 200000;
  double worst = 0, at = 0;
  char note[80];
  begin();
  for (int i = 0; i < count; i++) {
    const real x = (real)sample(c, i);
    real y;
    if (fabs((double)x) > c->domain && !isinf(x)) continue;
    plain->map[c->map](&y, &x, NULL, NULL, 0, 1);
    const double error = ulps(y, c->exact((wide)x));
    if (error > worst) worst = error, at = (double)x;
  }
  check(worst <= 2, "c %s(%.17g): %.2f ulp", lurn_map_name(c->map), at, worst);
  snprintf(note, sizeof note, "   %.3f ulp at %.9g", worst, at);
  report("c", lurn_map_name(c->map), note);
}

#endif
