/* vf_pair.h: two vectors of the vf_*.h before it as one of twice the length, under the same names.
 *
 * A transcendental function is one long chain, each operation of which waits for the one before. Over pairs two such
 * chains lie side by side in the code, and while one waits the other goes on: tanh and sigmoid take 0.83 of the time
 * (AVX2). Elements do not know their neighbours, so no bit changes.
 */
#ifndef LURN_VF_PAIR_H
#define LURN_VF_PAIR_H

#include "base.h"

typedef struct { vf low, high; } vf2;
typedef struct { vm low, high; } vm2;
enum { HALF = VL };

#define PAIR static inline __attribute__((always_inline))
#define PAIR_1(of, name) PAIR of vf2_##name (vf2 a) { return (of){vf_##name(a.low), vf_##name(a.high)}; }
#define PAIR_2(of, name) \
  PAIR of vf2_##name (vf2 a, vf2 b) { return (of){vf_##name(a.low, b.low), vf_##name(a.high, b.high)}; }
#define PAIR_3(name) PAIR vf2 vf2_##name (vf2 a, vf2 b, vf2 c) { \
  return (vf2){vf_##name(a.low, b.low, c.low), vf_##name(a.high, b.high, c.high)}; }

PAIR_2(vf2, add) PAIR_2(vf2, sub) PAIR_2(vf2, mul) PAIR_2(vf2, div) PAIR_2(vf2, min) PAIR_2(vf2, max)
PAIR_3(fma) PAIR_3(fnma)
PAIR_1(vf2, sqrt)
PAIR_2(vf2, and) PAIR_2(vf2, or) PAIR_2(vf2, xor)
PAIR_1(vf2, shl) PAIR_1(vf2, shr)
PAIR_2(vm2, gt) PAIR_2(vm2, ge) PAIR_2(vm2, eq)
PAIR_1(vm2, nan)

PAIR vf2 vf2_set (real x) { return (vf2){vf_set(x), vf_set(x)}; }
PAIR vf2 vf2_load (const real *p) { return (vf2){vf_load(p), vf_load(p + HALF)}; }
PAIR void vf2_store (real *p, vf2 x) {
  vf_store(p, x.low);
  vf_store(p + HALF, x.high);
}
PAIR vf2 vf2_load_n (const real *p, int n, real fill) {
  if (n <= HALF) return (vf2){vf_load_n(p, n, fill), vf_set(fill)};
  return (vf2){vf_load(p), vf_load_n(p + HALF, n - HALF, fill)};
}
PAIR void vf2_store_n (real *p, vf2 x, int n) {
  if (n < HALF) { vf_store_n(p, x.low, n); return; }
  vf_store(p, x.low);
  vf_store_n(p + HALF, x.high, n - HALF);
}
PAIR vf2 vf2_select (vm2 m, vf2 a, vf2 b) {
  return (vf2){vf_select(m.low, a.low, b.low), vf_select(m.high, a.high, b.high)};
}
PAIR vm2 vm2_or (vm2 a, vm2 b) { return (vm2){vm_or(a.low, b.low), vm_or(a.high, b.high)}; }
PAIR int vm2_first (vm2 m) {
  const int first = vm_first(m.low), other = vm_first(m.high);
  return first >= 0 || other < 0 ? first : other + HALF;
}

#undef VL
#define VL (2 * HALF)
#define vf vf2
#define vm vm2
#define vf_set vf2_set
#define vf_load vf2_load
#define vf_load_n vf2_load_n
#define vf_store vf2_store
#define vf_store_n vf2_store_n
#define vf_add vf2_add
#define vf_sub vf2_sub
#define vf_mul vf2_mul
#define vf_div vf2_div
#define vf_min vf2_min
#define vf_max vf2_max
#define vf_fma vf2_fma
#define vf_fnma vf2_fnma
#define vf_sqrt vf2_sqrt
#define vf_and vf2_and
#define vf_or vf2_or
#define vf_xor vf2_xor
#define vf_shl vf2_shl
#define vf_shr vf2_shr
#define vf_gt vf2_gt
#define vf_ge vf2_ge
#define vf_eq vf2_eq
#define vf_nan vf2_nan
#define vf_select vf2_select
#define vm_or vm2_or
#define vm_first vm2_first

#endif
