/* vf_c.h: vector primitives of one lane, in plain C11: the portable reference.
 *
 * The three vf_*.h files offer the same names, so that body.h is written once:
 *   vf, VL         a vector of VL reals;  vm  a comparison's outcome, one truth value a lane
 *   vf_load_n      reads 0 < n < VL reals, the other lanes are `fill`
 *   vf_store_n     writes 0 < n < VL reals
 *   vf_fma         a * b + c, vf_fnma c - a * b, rounded once
 *   vf_min/max     a < b ? a : b and a > b ? a : b: b when either is NaN or both are 0
 *   vf_and/or/xor  on the bits;  vf_shl/shr shift them by the width of the mantissa field
 *   vf_sum         lanes added by the tree: l and l + VL/2, then l and l + VL/4, ... 0 and 1
 *   vf_top         the largest lane, when none is NaN; of two zeros either
 *   vm_first       index of the first true lane, -1 when there is none
 *   vq, QL         a vector of QL words of 64 bits;  vq_mul multiplies their lower halves, vq_high is their upper ones,
 *   vq_count       the numbers 0 .. QL - 1;  vq_lay lays the lower halves of four vectors side by side, lane after lane
 * PANEL_VECS is the width of a packed panel in vectors, BLOCK_ROWS the rows of a product's
 * register block: together they fill the register file. So do LAST_ROWS and a panel that is one vector wider.
 */
#ifndef LURN_VF_H
#define LURN_VF_H

#include <math.h>
#include <string.h>
#include "base.h"

#define VL 1
#define PANEL_VECS 4
#define BLOCK_ROWS 2
#define LAST_ROWS 2

typedef real vf;
typedef int vm;

#ifdef LURN_F64
typedef uint64_t vf_word;
#define MANTISSA_BITS 52
#define SCALAR(name) name
#else
typedef uint32_t vf_word;
#define MANTISSA_BITS 23
#define SCALAR(name) name##f
#endif

static inline vf_word vf_word_of (vf x) {
  vf_word w;
  memcpy(&w, &x, sizeof w);
  return w;
}

static inline vf vf_of_word (vf_word w) {
  vf x;
  memcpy(&x, &w, sizeof x);
  return x;
}

static inline vf vf_load (const real *p) { return *p; }
static inline void vf_store (real *p, vf x) { *p = x; }
static inline vf vf_load_n (const real *p, int n, real fill) { return n > 0 ? *p : fill; }
static inline void vf_store_n (real *p, vf x, int n) { if (n > 0) *p = x; }
static inline vf vf_set (real x) { return x; }

static inline vf vf_add (vf a, vf b) { return a + b; }
static inline vf vf_sub (vf a, vf b) { return a - b; }
static inline vf vf_mul (vf a, vf b) { return a * b; }
static inline vf vf_div (vf a, vf b) { return a / b; }
static inline vf vf_fma (vf a, vf b, vf c) { return SCALAR(fma)(a, b, c); }
static inline vf vf_fnma (vf a, vf b, vf c) { return SCALAR(fma)(-a, b, c); }
static inline vf vf_min (vf a, vf b) { return a < b ? a : b; }
static inline vf vf_max (vf a, vf b) { return a > b ? a : b; }
static inline vf vf_sqrt (vf a) { return SCALAR(sqrt)(a); }
static inline real vf_sum (vf a) { return a; }
static inline real vf_top (vf a) { return a; }

static inline vf vf_and (vf a, vf b) { return vf_of_word(vf_word_of(a) & vf_word_of(b)); }
static inline vf vf_or (vf a, vf b) { return vf_of_word(vf_word_of(a) | vf_word_of(b)); }
static inline vf vf_xor (vf a, vf b) { return vf_of_word(vf_word_of(a) ^ vf_word_of(b)); }
static inline vf vf_shl (vf a) { return vf_of_word(vf_word_of(a) << MANTISSA_BITS); }
static inline vf vf_shr (vf a) { return vf_of_word(vf_word_of(a) >> MANTISSA_BITS); }

static inline vm vf_gt (vf a, vf b) { return a > b; }
static inline vm vf_ge (vf a, vf b) { return a >= b; }
static inline vm vf_eq (vf a, vf b) { return a == b; }
static inline vm vf_nan (vf a) { return a != a; }
static inline vm vm_or (vm a, vm b) { return a | b; }
static inline int vm_first (vm m) { return m ? 0 : -1; }
static inline vf vf_select (vm m, vf a, vf b) { return m ? a : b; }

#define QL 1
typedef uint64_t vq;
static inline vq vq_set (uint64_t x) { return x; }
static inline vq vq_mul (vq a, vq b) { return (uint64_t)(uint32_t)a * (uint32_t)b; }
static inline vq vq_add (vq a, vq b) { return a + b; }
static inline vq vq_xor (vq a, vq b) { return a ^ b; }
static inline vq vq_high (vq a) { return a >> 32; }
static inline vq vq_count (void) { return 0; }
static inline void vq_lay (uint32_t *p, const vq *x) { for (int i = 0; i < 4; i++) p[i] = (uint32_t)x[i]; }

#endif
