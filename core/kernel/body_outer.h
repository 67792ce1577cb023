/* body_outer.h: parameter gradients, chains over frames from the last to the first.
 *
 * Frames are taken in chunks, so that a packed panel of d stays in the first-level cache while
 * every row of C passes over it; between two chunks C rests in memory, which changes no bit.
 */
#ifndef LURN_BODY_OUTER_H
#define LURN_BODY_OUTER_H

#include "body_product.h"

/* Frames of a chunk: a panel of them is 32 KiB, what the first-level cache holds. */
#define CHUNK ((int)(32768 / (PANEL * sizeof(real))))

typedef struct lurn_outer {
  int K, N;
  const real *a; ptrdiff_t lda;      /* (count,K), the frames of one chunk */
  const real *d; ptrdiff_t ldd;      /* (N), the last of these frames */
  real *c; ptrdiff_t ldc;            /* (K,N) */
  int count;
} lurn_outer;

/* d (count,N) backwards, from its last row on. */
static void pack_backwards (real *packed, const real *last, ptrdiff_t ldd, int count, int width) {
  const int stride = vecs_of(width) * VL;
  for (int m = 0; m < count; m++, last -= ldd, packed += stride) {
    int n = 0;
    for (; n + VL <= width; n += VL) vf_store(packed + n, vf_load(last + n));
    if (n < width) vf_store(packed + n, vf_load_n(last + n, width - n, 0));
  }
}

/* Asks for the panel of d at column n, to be packed next: some of its rows with every block, as
 * d comes from far away and all of it at once would have to be waited for. */
static inline void outer_expect (const lurn_outer *o, int n, int from, int to) {
  const int line = LURN_ALIGN / (int)sizeof(real);
  for (int m = from; m < to; m++)
    for (int v = 0; v < PANEL; v += line) block_expect(o->d, n + v - m * o->ldd);
}

/* One chunk of frames, one panel of columns, all rows of C. */
static void outer_panel (const lurn_outer *o, int n, const real *packed) {
  const int width = least(PANEL, o->N - n), parts = parts_of(o->K, BLOCK_ROWS);
  /* after the last panel comes the first one of the chunk before */
  const int more = n + PANEL < o->N, next = more ? n + PANEL : 0, skip = more ? 0 : o->count;
  for (int i = 0; i < parts; i++) {
    const int k = part_start(o->K, parts, i), rows = part_start(o->K, parts, i + 1) - k;
    const lurn_block t = {
      .K = o->count, .a = o->a + (o->count - 1) * o->lda + k, .row = 1, .step = -o->lda,
      .b = packed, .stride = vecs_of(width) * VL,
      .init = o->c + k * o->ldc + n, .ldi = o->ldc, .c = o->c + k * o->ldc + n, .ldc = o->ldc,
      .last = width - (vecs_of(width) - 1) * VL
    };
    outer_expect(o, next, skip + part_start(o->count, parts, i),
                 skip + part_start(o->count, parts, i + 1));
    blocks[vecs_of(width)][rows](&t);
  }
}

static void outer (int M, int K, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd,
                   real *c, ptrdiff_t ldc) {
  _Alignas(LURN_ALIGN) real packed[CHUNK * PANEL];
  for (int end = M; end > 0; end -= CHUNK) {
    const int count = least(CHUNK, end);
    const lurn_outer o = { K, N, a + (end - count) * lda, lda, d + (end - 1) * ldd, ldd, c, ldc, count };
    for (int n = 0; n < N; n += PANEL) {
      pack_backwards(packed, o.d + n, ldd, count, least(PANEL, N - n));
      outer_panel(&o, n, packed);
    }
  }
}

/* c += the sum of d's rows, or of a's times d's, from the last to the first, for vecs * VL columns or
 * `left`. */
static ALWAYS_INLINE void column_strip (const int dot, const int vecs, int left, int M, const real *a, ptrdiff_t lda,
                                        const real *d, ptrdiff_t ldd, real *c) {
  vf acc[4];
  UNROLL for (int v = 0; v < vecs; v++) acc[v] = block_load(c + v * VL, left);
  a += (M - 1) * lda;
  d += (M - 1) * ldd;
  for (int m = M; m > 0; m--, a -= lda, d -= ldd)
    UNROLL for (int v = 0; v < vecs; v++) {
      const vf x = block_load(d + v * VL, left);
      acc[v] = dot ? vf_fma(block_load(a + v * VL, left), x, acc[v]) : vf_add(acc[v], x);
    }
  UNROLL for (int v = 0; v < vecs; v++) block_store(c + v * VL, acc[v], left);
}

static ALWAYS_INLINE void columns (const int dot, int M, int N, const real *a, ptrdiff_t lda, const real *d,
                                   ptrdiff_t ldd, real *c) {
  int n = 0;
  if (M <= 0) return;
  for (; n + 4 * VL <= N; n += 4 * VL) column_strip(dot, 4, VL, M, a + n, lda, d + n, ldd, c + n);
  for (; n + VL <= N; n += VL) column_strip(dot, 1, VL, M, a + n, lda, d + n, ldd, c + n);
  if (n < N) column_strip(dot, 1, N - n, M, a + n, lda, d + n, ldd, c + n);
}

static void column_sum (int M, int N, const real *d, ptrdiff_t ldd, real *c) { columns(0, M, N, d, ldd, d, ldd, c); }

static void column_dot (int M, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd, real *c) {
  columns(1, M, N, a, lda, d, ldd, c);
}

#endif
