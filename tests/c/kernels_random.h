/* kernels_random.h: random inputs for check_kernels.c, and outputs between canaries. */
#ifndef KERNELS_RANDOM_H
#define KERNELS_RANDOM_H

#include "check.h"

#define GUARD 64                     /* reals before and after every output */
#define CANARY 0xa5

static const int sizes[] = { 0, 1, 2, 3, 7, 15, 16, 17, 31, 63, 64, 65, 100, 257 };
#define NSIZES ((int)(sizeof sizes / sizeof *sizes))

/* ---- numbers ---------------------------------------------------------------------------- */

static uint64_t seed = 88172645463325252u;

static uint64_t random_bits (void) {                  /* xorshift64* */
  seed ^= seed >> 12, seed ^= seed << 25, seed ^= seed >> 27;
  return seed * 2685821657736338717u;
}

static int below (int n) { return (int)((random_bits() >> 33) % (uint64_t)n); }
static double uniform (double lo, double hi) {
  return lo + (hi - lo) * ((double)(random_bits() >> 11) * 0x1p-53);
}
static int any_size (void) { return sizes[below(NSIZES)]; }

static real special (void) {
  static const double list[] = {
    0, 1, 2, 0.5, 0.25, 1.5707963267948966, 0.6931471805599453, 1.4142135623730951, 88.72, 103.9, 709.78,
    745.1, 1e-30, 1e-40, 1e5, 1e10, 1e30, 3.4e38, 0x1p-126, 0x1p-149, 0x1p-1022, 0x1p-1074, 1e308
  };
  const int i = below((int)(sizeof list / sizeof *list) + 3);
  const double x = i == 0 ? (double)NAN : i <= 2 ? HUGE_VAL : list[i - 3];
  return (real)(random_bits() >> 63 ? -x : x);
}

/* Half of the values near 1, some anywhere in the format, some special. */
static real any_value (void) {
  const int kind = below(8);
  if (kind == 0) return special();
  if (kind == 1) return (real)ldexp(uniform(-1, 1), below(EITHER(280, 2100)) - EITHER(150, 1075));
  return (real)uniform(-kind, kind);
}

static real plain_value (void) { return (real)uniform(-1, 1); }

static real *numbers (size_t n, real (*value) (void)) {
  real *x = malloc((n + 1) * sizeof *x);
  for (size_t i = 0; i < n; i++) x[i] = value();
  return x;
}

static int same (real a, real b) { return memcmp(&a, &b, sizeof a) == 0 || (a != a && b != b); }

static int same_all (const real *a, const real *b, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (!same(a[i], b[i])) return 0;
  return 1;
}

/* ---- outputs between canaries ----------------------------------------------------------- */

static real *guarded (size_t n) {
  real *base = malloc((n + 2 * GUARD) * sizeof *base);
  memset(base, CANARY, (n + 2 * GUARD) * sizeof *base);
  return base + GUARD;
}

static int canary_at (const real *p, size_t n) {
  const unsigned char *byte = (const unsigned char *)p;
  for (size_t i = 0; i < n * sizeof *p; i++)
    if (byte[i] != CANARY) return 0;
  return 1;
}

static int intact (const real *p, size_t n) { return canary_at(p - GUARD, GUARD) && canary_at(p + n, GUARD); }
static void guarded_free (real *p) { free(p - GUARD); }

#endif
