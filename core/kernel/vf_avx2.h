/* vf_avx2.h: the primitives of vf_c.h on 256-bit registers, AVX2 and FMA. */
#ifndef LURN_VF_H
#define LURN_VF_H

#if !defined(__AVX2__) || !defined(__FMA__)
#error "vf_avx2.h needs -mavx2 -mfma"
#endif

#include <immintrin.h>
#include "base.h"

#define PANEL_VECS 2
#define BLOCK_ROWS 6
#define LAST_ROWS 4

#ifdef LURN_F64
#define VL 4
#define MANTISSA_BITS 52
#define OP(name) _mm256_##name##_pd
#define SHIFT(name) _mm256_##name##i_epi64
#define AS_INT _mm256_castpd_si256
#define AS_REAL _mm256_castsi256_pd
typedef __m256d vf;
typedef __m256d vm;
typedef int64_t vf_word;
#else
#define VL 8
#define MANTISSA_BITS 23
#define OP(name) _mm256_##name##_ps
#define SHIFT(name) _mm256_##name##i_epi32
#define AS_INT _mm256_castps_si256
#define AS_REAL _mm256_castsi256_ps
typedef __m256 vf;
typedef __m256 vm;
typedef int32_t vf_word;
#endif

/* The first n lanes true: a window into VL true words followed by VL false ones. */
static inline __m256i vf_mask (int n) {
  static const vf_word window[16] = {
#ifdef LURN_F64
    -1, -1, -1, -1
#else
    -1, -1, -1, -1, -1, -1, -1, -1
#endif
  };
  return _mm256_loadu_si256((const __m256i *)(const void *)(window + VL - n));
}

static inline vf vf_load (const real *p) { return OP(loadu)(p); }
static inline void vf_store (real *p, vf x) { OP(storeu)(p, x); }
static inline vf vf_set (real x) { return OP(set1)(x); }
static inline vf vf_load_n (const real *p, int n, real fill) {
  const __m256i mask = vf_mask(n);
  return OP(blendv)(vf_set(fill), OP(maskload)(p, mask), AS_REAL(mask));
}
/* Halves: a masked store is one instruction that takes 25 cycles on processors of AMD's. */
static inline void vf_store_n (real *p, vf x, int n) {
#ifdef LURN_F64
  __m128d h = _mm256_castpd256_pd128(x);
  if (n & 2) {
    _mm_storeu_pd(p, h);
    h = _mm256_extractf128_pd(x, 1);
    p += 2;
  }
  if (n & 1) _mm_store_sd(p, h);
#else
  __m128 h = _mm256_castps256_ps128(x);
  if (n & 4) {
    _mm_storeu_ps(p, h);
    h = _mm256_extractf128_ps(x, 1);
    p += 4;
  }
  if (n & 2) {
    _mm_storel_pi((__m64 *)(void *)p, h);
    h = _mm_movehl_ps(h, h);
    p += 2;
  }
  if (n & 1) _mm_store_ss(p, h);
#endif
}

static inline vf vf_add (vf a, vf b) { return OP(add)(a, b); }
static inline vf vf_sub (vf a, vf b) { return OP(sub)(a, b); }
static inline vf vf_mul (vf a, vf b) { return OP(mul)(a, b); }
static inline vf vf_div (vf a, vf b) { return OP(div)(a, b); }
static inline vf vf_fma (vf a, vf b, vf c) { return OP(fmadd)(a, b, c); }
static inline vf vf_fnma (vf a, vf b, vf c) { return OP(fnmadd)(a, b, c); }
static inline vf vf_min (vf a, vf b) { return OP(min)(a, b); }
static inline vf vf_max (vf a, vf b) { return OP(max)(a, b); }
static inline vf vf_sqrt (vf a) { return OP(sqrt)(a); }
/* All lanes into one, by the tree that vf_c.h describes. */
#ifdef LURN_F64
#define FOLD(name, op) static inline real name (vf a) { \
  const __m128d h = _mm_##op##_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1)); \
  return _mm_cvtsd_f64(_mm_##op##_sd(h, _mm_unpackhi_pd(h, h))); }
#else
#define FOLD(name, op) static inline real name (vf a) { \
  const __m128 q = _mm_##op##_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1)); \
  const __m128 h = _mm_##op##_ps(q, _mm_movehl_ps(q, q)); \
  return _mm_cvtss_f32(_mm_##op##_ss(h, _mm_movehdup_ps(h))); }
#endif
FOLD(vf_sum, add)
FOLD(vf_top, max)

static inline vf vf_and (vf a, vf b) { return OP(and)(a, b); }
static inline vf vf_or (vf a, vf b) { return OP(or)(a, b); }
static inline vf vf_xor (vf a, vf b) { return OP(xor)(a, b); }
static inline vf vf_shl (vf a) { return AS_REAL(SHIFT(sll)(AS_INT(a), MANTISSA_BITS)); }
static inline vf vf_shr (vf a) { return AS_REAL(SHIFT(srl)(AS_INT(a), MANTISSA_BITS)); }

static inline vm vf_gt (vf a, vf b) { return OP(cmp)(a, b, _CMP_GT_OQ); }
static inline vm vf_ge (vf a, vf b) { return OP(cmp)(a, b, _CMP_GE_OQ); }
static inline vm vf_eq (vf a, vf b) { return OP(cmp)(a, b, _CMP_EQ_OQ); }
static inline vm vf_nan (vf a) { return OP(cmp)(a, a, _CMP_UNORD_Q); }
static inline vm vm_or (vm a, vm b) { return OP(or)(a, b); }
static inline vf vf_select (vm m, vf a, vf b) { return OP(blendv)(b, a, m); }
static inline int vm_first (vm m) {
  const int bits = OP(movemask)(m);
  return bits ? __builtin_ctz((unsigned)bits) : -1;
}

#define QL 4
typedef __m256i vq;
static inline vq vq_set (uint64_t x) { return _mm256_set1_epi64x((long long)x); }
static inline vq vq_mul (vq a, vq b) { return _mm256_mul_epu32(a, b); }
static inline vq vq_add (vq a, vq b) { return _mm256_add_epi64(a, b); }
static inline vq vq_xor (vq a, vq b) { return _mm256_xor_si256(a, b); }
static inline vq vq_high (vq a) { return _mm256_srli_epi64(a, 32); }
static inline vq vq_count (void) { return _mm256_set_epi64x(3, 2, 1, 0); }
static inline void vq_lay (uint32_t *p, const vq *x) {
  const __m256i a = _mm256_blend_epi32(x[0], _mm256_slli_epi64(x[1], 32), 0xaa);
  const __m256i b = _mm256_blend_epi32(x[2], _mm256_slli_epi64(x[3], 32), 0xaa);
  const __m256i even = _mm256_unpacklo_epi64(a, b), odd = _mm256_unpackhi_epi64(a, b);   /* lanes 0 and 2, 1 and 3 */
  _mm256_storeu_si256((__m256i *)(void *)p, _mm256_permute2x128_si256(even, odd, 0x20));
  _mm256_storeu_si256((__m256i *)(void *)(p + 8), _mm256_permute2x128_si256(even, odd, 0x31));
}

#endif
