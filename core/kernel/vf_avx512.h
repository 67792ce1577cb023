/* vf_avx512.h: the primitives of vf_c.h on 512-bit registers, AVX-512 F and DQ. */
#ifndef LURN_VF_H
#define LURN_VF_H

#if !defined(__AVX512F__) || !defined(__AVX512DQ__)
#error "vf_avx512.h needs -mavx512f -mavx512dq"
#endif

#include <immintrin.h>
#include "base.h"

#define PANEL_VECS 4
#define BLOCK_ROWS 6
#define LAST_ROWS 4

#ifdef LURN_F64
#define VL 8
#define MANTISSA_BITS 52
#define OP(name) _mm512_##name##_pd
#define CMP(a, b, how) _mm512_cmp_pd_mask(a, b, how)
#define SHIFT(name) _mm512_##name##i_epi64
#define AS_INT _mm512_castpd_si512
#define AS_REAL _mm512_castsi512_pd
typedef __m512d vf;
typedef __mmask8 vm;
#else
#define VL 16
#define MANTISSA_BITS 23
#define OP(name) _mm512_##name##_ps
#define CMP(a, b, how) _mm512_cmp_ps_mask(a, b, how)
#define SHIFT(name) _mm512_##name##i_epi32
#define AS_INT _mm512_castps_si512
#define AS_REAL _mm512_castsi512_ps
typedef __m512 vf;
typedef __mmask16 vm;
#endif

static inline vm vf_mask (int n) { return (vm)((1u << n) - 1); }

static inline vf vf_load (const real *p) { return OP(loadu)(p); }
static inline void vf_store (real *p, vf x) { OP(storeu)(p, x); }
static inline vf vf_set (real x) { return OP(set1)(x); }
static inline vf vf_load_n (const real *p, int n, real fill) {
  return OP(mask_loadu)(vf_set(fill), vf_mask(n), p);
}
static inline void vf_store_n (real *p, vf x, int n) { OP(mask_storeu)(p, vf_mask(n), x); }

static inline vf vf_add (vf a, vf b) { return OP(add)(a, b); }
static inline vf vf_sub (vf a, vf b) { return OP(sub)(a, b); }
static inline vf vf_mul (vf a, vf b) { return OP(mul)(a, b); }
static inline vf vf_div (vf a, vf b) { return OP(div)(a, b); }
static inline vf vf_fma (vf a, vf b, vf c) { return OP(fmadd)(a, b, c); }
static inline vf vf_fnma (vf a, vf b, vf c) { return OP(fnmadd)(a, b, c); }
static inline vf vf_min (vf a, vf b) { return OP(min)(a, b); }
static inline vf vf_max (vf a, vf b) { return OP(max)(a, b); }
static inline vf vf_sqrt (vf a) { return OP(sqrt)(a); }
static inline real vf_sum (vf a) {
#ifdef LURN_F64
  const __m256d e = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
  const __m128d h = _mm_add_pd(_mm256_castpd256_pd128(e), _mm256_extractf128_pd(e, 1));
  return _mm_cvtsd_f64(_mm_add_sd(h, _mm_unpackhi_pd(h, h)));
#else
  const __m256 e = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
  const __m128 q = _mm_add_ps(_mm256_castps256_ps128(e), _mm256_extractf128_ps(e, 1));
  const __m128 h = _mm_add_ps(q, _mm_movehl_ps(q, q));
  return _mm_cvtss_f32(_mm_add_ss(h, _mm_movehdup_ps(h)));
#endif
}
static inline real vf_top (vf a) { return OP(reduce_max)(a); }

static inline vf vf_and (vf a, vf b) { return OP(and)(a, b); }
static inline vf vf_or (vf a, vf b) { return OP(or)(a, b); }
static inline vf vf_xor (vf a, vf b) { return OP(xor)(a, b); }
static inline vf vf_shl (vf a) { return AS_REAL(SHIFT(sll)(AS_INT(a), MANTISSA_BITS)); }
static inline vf vf_shr (vf a) { return AS_REAL(SHIFT(srl)(AS_INT(a), MANTISSA_BITS)); }

static inline vm vf_gt (vf a, vf b) { return CMP(a, b, _CMP_GT_OQ); }
static inline vm vf_ge (vf a, vf b) { return CMP(a, b, _CMP_GE_OQ); }
static inline vm vf_eq (vf a, vf b) { return CMP(a, b, _CMP_EQ_OQ); }
static inline vm vf_nan (vf a) { return CMP(a, a, _CMP_UNORD_Q); }
static inline vm vm_or (vm a, vm b) { return (vm)(a | b); }
static inline vf vf_select (vm m, vf a, vf b) { return OP(mask_blend)(m, b, a); }
static inline int vm_first (vm m) { return m ? __builtin_ctz((unsigned)m) : -1; }

#define QL 8
typedef __m512i vq;
static inline vq vq_set (uint64_t x) { return _mm512_set1_epi64((long long)x); }
static inline vq vq_mul (vq a, vq b) { return _mm512_mul_epu32(a, b); }
static inline vq vq_add (vq a, vq b) { return _mm512_add_epi64(a, b); }
static inline vq vq_xor (vq a, vq b) { return _mm512_xor_si512(a, b); }
static inline vq vq_high (vq a) { return _mm512_srli_epi64(a, 32); }
static inline vq vq_count (void) { return _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0); }
static inline void vq_lay (uint32_t *p, const vq *x) {
  const __m512i a = _mm512_mask_blend_epi32(0xaaaa, x[0], _mm512_slli_epi64(x[1], 32));
  const __m512i b = _mm512_mask_blend_epi32(0xaaaa, x[2], _mm512_slli_epi64(x[3], 32));
  const __m512i even = _mm512_unpacklo_epi64(a, b), odd = _mm512_unpackhi_epi64(a, b);   /* lanes 0 2 4 6, 1 3 5 7 */
  const __m512i low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
  _mm512_storeu_si512(p, _mm512_permutex2var_epi64(even, low, odd));
  _mm512_storeu_si512(p + 16, _mm512_permutex2var_epi64(even, high, odd));
}

/* One instruction for x * 2^n; rounds once, as the general form in body_math.h does. */
#define VF_SCALE(x, n) OP(scalef)(x, n)

#endif
