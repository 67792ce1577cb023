/* isa_sha.c: SHA-256 by the processor's own instructions, -msha -mssse3 -msse4.1. */
#if defined(__x86_64__)
#include <immintrin.h>

#include "tables.h"

static inline __m128i load (const void *p) { return _mm_loadu_si128((const __m128i *)p); }

/* The eight words lie in two registers as the instructions want them: (f, e, b, a) and (h, g, d, c), lowest first. One
 * instruction does two rounds; four words of the schedule are made of the sixteen before them. */
void lurn_sha256_x86 (uint32_t h[8], const uint8_t *block, size_t n, const uint32_t k[64]) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  __m128i feba = _mm_set_epi32((int)h[0], (int)h[1], (int)h[4], (int)h[5]);
  __m128i hgdc = _mm_set_epi32((int)h[2], (int)h[3], (int)h[6], (int)h[7]);
  for (; n > 0; n--, block += 64) {
    const __m128i old_feba = feba, old_hgdc = hgdc;
    __m128i w[4];
    for (int i = 0; i < 4; i++) w[i] = _mm_shuffle_epi8(load(block + 16 * i), swap);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
      if (i >= 4) {
        const __m128i s0 = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);
        const __m128i w7 = _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4);
        w[i % 4] = _mm_sha256msg2_epu32(_mm_add_epi32(s0, w7), w[(i + 3) % 4]);
      }
      const __m128i kw = _mm_add_epi32(w[i % 4], load(k + 4 * i));
      hgdc = _mm_sha256rnds2_epu32(hgdc, feba, kw);
      feba = _mm_sha256rnds2_epu32(feba, hgdc, _mm_unpackhi_epi64(kw, kw));
    }
    feba = _mm_add_epi32(feba, old_feba);
    hgdc = _mm_add_epi32(hgdc, old_hgdc);
  }
  h[0] = (uint32_t)_mm_extract_epi32(feba, 3);
  h[1] = (uint32_t)_mm_extract_epi32(feba, 2);
  h[2] = (uint32_t)_mm_extract_epi32(hgdc, 3);
  h[3] = (uint32_t)_mm_extract_epi32(hgdc, 2);
  h[4] = (uint32_t)_mm_extract_epi32(feba, 1);
  h[5] = (uint32_t)_mm_extract_epi32(feba, 0);
  h[6] = (uint32_t)_mm_extract_epi32(hgdc, 1);
  h[7] = (uint32_t)_mm_extract_epi32(hgdc, 0);
}
#else
typedef int lurn_nothing_here;       /* ISO C wants a declaration in every file */
#endif
