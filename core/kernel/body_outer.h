/* body_outer.h: parameter gradients, chains over frames from the last to the first.
 *
 * Frames are taken in chunks, so that a packed panel of d stays in the first-level cache while
 * every row of C passes over it; between two chunks C rests in memory, which changes no bit. Where rows of a are
 * long, some of their columns are brought together first: far apart they would push each other out of the caches.
 */
#ifndef LURN_BODY_OUTER_H
#define LURN_BODY_OUTER_H

#include <string.h>
#include "body_product.h"

/* Frames of a chunk: a panel of them is half of what the first-level cache holds. */
#define CHUNK ((int)(16384 / (PANEL * sizeof(real))))
/* Columns of a that are taken at a time, a whole number of blocks. */
#define STRIP (22 * BLOCK_ROWS)

typedef struct lurn_outer {
  int K, N, count;                   /* count: frames of this chunk */
  const real *a; ptrdiff_t lda;      /* (K), its last frame */
  const real *d; ptrdiff_t ldd;      /* (N), its last frame */
  real *c; ptrdiff_t ldc;            /* (K,N) */
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
  const int width = least(PANEL, o->N - n), vecs = vecs_of(width), parts = parts_of(o->K, BLOCK_ROWS);
  /* after the last panel comes the first one of the chunk before */
  const int more = n + PANEL < o->N, next = more ? n + PANEL : 0, skip = more ? 0 : o->count;
  const int expect = parts_of(o->count, parts);
  lurn_piece piece;
  lurn_block t;
  piece.K = o->count;
  piece.a = o->a;
  piece.row = 1;
  piece.step = -o->lda;
  piece.b[0] = packed;
  piece.ahead = 0;
  t.piece = &piece;
  t.pieces = 1;
  t.stride = vecs * VL;
  t.ldi[0] = t.ldc[0] = o->ldc;
  t.init[0] = t.c[0] = o->c + n;
  t.last = width - (vecs - 1) * VL;
  t.first = 0;
  t.repeat = 1;
  for (int i = 0; i < parts; i++) {
    const int rows = part_start(o->K, parts, i + 1) - t.first;
    outer_expect(o, next, skip + least(i * expect, o->count), skip + least((i + 1) * expect, o->count));
    blocks[vecs][rows](&t);
    block_down(&t, rows);
  }
}

static void outer_chunk (const lurn_outer *o) {
  _Alignas(LURN_ALIGN) real packed[CHUNK * PANEL];
  for (int n = 0; n < o->N; n += PANEL) {
    pack_backwards(packed, o->d + n, o->ldd, o->count, least(PANEL, o->N - n));
    outer_panel(o, n, packed);
  }
}

/* Columns from .. to - 1 of a, brought together. */
static void outer_strip (const lurn_outer *o, int from, int to) {
  _Alignas(LURN_ALIGN) real a[CHUNK * STRIP];
  const int columns = to - from;
  for (int m = 0; m < o->count; m++)
    memcpy(a + (o->count - 1 - m) * columns, o->a + from - m * o->lda, sizeof(real) * (size_t)columns);
  lurn_outer part = *o;
  part.K = columns;
  part.a = a + (o->count - 1) * columns;
  part.lda = columns;
  part.c = o->c + from * o->ldc;
  outer_chunk(&part);
}

static void outer (int M, int K, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd,
                   real *c, ptrdiff_t ldc) {
  const int strips = parts_of(K, STRIP);
  for (int end = M; end > 0; end -= CHUNK) {
    const lurn_outer o = { K, N, least(CHUNK, end), a + (end - 1) * lda, lda, d + (end - 1) * ldd, ldd, c, ldc };
    if (strips == 1) outer_chunk(&o);
    else for (int s = 0; s < strips; s++) outer_strip(&o, part_start(K, strips, s), part_start(K, strips, s + 1));
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
