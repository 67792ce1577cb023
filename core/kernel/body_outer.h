/* body_outer.h: parameter gradients, chains over frames from the last to the first.
 *
 * Frames are taken in chunks, so that a packed panel of d stays in the first-level cache while
 * every row of C passes over it; between two chunks C rests in memory, which changes no bit.
 */
#ifndef LURN_BODY_OUTER_H
#define LURN_BODY_OUTER_H

#include "body_product.h"

/* Frames of a chunk: a panel of them is 16 KiB, half of the smallest cache around. */
#define CHUNK ((int)(32768 / (PANEL * sizeof(real))))

/* d (count,N) backwards, from its last row on. */
static void pack_backwards (real *packed, const real *last, ptrdiff_t ldd, int count, int width) {
  const int stride = vecs_of(width) * VL;
  for (int m = 0; m < count; m++, last -= ldd, packed += stride) {
    int n = 0;
    for (; n + VL <= width; n += VL) vf_store(packed + n, vf_load(last + n));
    if (n < width) vf_store(packed + n, vf_load_n(last + n, width - n, 0));
  }
}

/* One chunk of frames, one panel of columns, all rows of C. */
static void outer_panel (int count, int K, int width, const real *a, ptrdiff_t lda,
                         const real *packed, real *c, ptrdiff_t ldc) {
  const int heights = (K + BLOCK_ROWS - 1) / BLOCK_ROWS;
  for (int i = 0, k = 0; i < heights; i++) {
    const int rows = (K - k + heights - i - 1) / (heights - i);
    const lurn_block t = {
      .K = count, .a = a + (count - 1) * lda + k, .row = 1, .step = -lda,
      .b = packed, .panel = 0, .stride = vecs_of(width) * VL,
      .init = c + k * ldc, .ldi = ldc, .c = c + k * ldc, .ldc = ldc,
      .last = width - (vecs_of(width) - 1) * VL
    };
    blocks[vecs_of(width)][rows](&t);
    k += rows;
  }
}

static void outer (int M, int K, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd,
                   real *c, ptrdiff_t ldc) {
  _Alignas(LURN_ALIGN) real packed[CHUNK * PANEL];
  for (int end = M; end > 0; end -= CHUNK) {
    const int count = least(CHUNK, end);
    const real *first = a + (end - count) * lda, *last = d + (end - 1) * ldd;
    for (int n = 0; n < N; n += PANEL) {
      const int width = least(PANEL, N - n);
      pack_backwards(packed, last + n, ldd, count, width);
      outer_panel(count, K, width, first, lda, packed, c + n, ldc);
    }
  }
}

/* c += the sum of d's rows, from the last to the first, for vecs * VL columns or `left`. */
static ALWAYS_INLINE void column_strip (const int vecs, int left, int M, const real *d,
                                        ptrdiff_t ldd, real *c) {
  vf acc[4];
  UNROLL for (int v = 0; v < vecs; v++) acc[v] = block_load(c + v * VL, left);
  d += (M - 1) * ldd;
  for (int m = M; m > 0; m--, d -= ldd)
    UNROLL for (int v = 0; v < vecs; v++) acc[v] = vf_add(acc[v], block_load(d + v * VL, left));
  UNROLL for (int v = 0; v < vecs; v++) block_store(c + v * VL, acc[v], left);
}

static void column_sum (int M, int N, const real *d, ptrdiff_t ldd, real *c) {
  int n = 0;
  if (M <= 0) return;
  for (; n + 4 * VL <= N; n += 4 * VL) column_strip(4, VL, M, d + n, ldd, c + n);
  for (; n + VL <= N; n += VL) column_strip(1, VL, M, d + n, ldd, c + n);
  if (n < N) column_strip(1, N - n, M, d + n, ldd, c + n);
}

#endif
