/* body_outer.h: parameter gradients, chains over frames from the last to the first.
 *
 * Frames are taken in chunks and rows of C in strips, so that a packed panel of d stays in the first-level cache and a
 * packed strip of a in the second-level one while tiles of C pass over them. Between two chunks C rests in memory, which
 * changes no bit. Whoever reads a number first packs it: the first panel's tiles what they read of a, the first tile of
 * a panel what it reads of d, both beside the multiply-adds, which leave most loads and all stores to them.
 */
#ifndef LURN_BODY_OUTER_H
#define LURN_BODY_OUTER_H

#include <string.h>
#include "body_product.h"

/* Frames of a chunk: a panel of them is half of what the first-level cache holds or, where vectors are of 64 bytes and so
 * loaded half as often, a small part of the second-level one. With 64 frames, which the first would hold there, C comes and
 * goes too often: gradients of 128 to 650 columns take 1.1 times as long (Sapphire Rapids). */
#define CHUNK 256
/* Rows of C in a strip, a whole number of tiles: so many bytes of a stay in the second-level cache. */
#define STRIP_BYTES 270336
#define STRIP ((int)(STRIP_BYTES / (CHUNK * BLOCK_ROWS * sizeof(real))) * BLOCK_ROWS)
#define LINE (LURN_ALIGN / (int)sizeof(real))

typedef struct lurn_outer {
  int K, N, count;                   /* count: frames of this chunk */
  const real *a; ptrdiff_t lda;      /* (K), its last frame */
  const real *d; ptrdiff_t ldd;      /* (N), its last frame */
  real *c; ptrdiff_t ldc;            /* (K,N) */
} lurn_outer;

/* ---- a tile ----------------------------------------------------------------------------- */

enum { KEEP_A = 1, KEEP_D = 2 };

/* A few rows of C by a panel or less, from the last frame of a chunk on; the next frame is a step away. */
typedef struct lurn_tile {
  int count, last, keep;             /* last: columns in the last vector; keep: what is packed on the way */
  const real *a; ptrdiff_t a_step;   /* (rows) */
  const real *d; ptrdiff_t d_step;   /* (vecs * VL) */
  real *packed_a, *packed_d;
  real *c; ptrdiff_t ldc;            /* (rows, columns) */
} lurn_tile;

typedef void (*tile_fn) (const lurn_tile *t);

/* All frames; rows, vecs and keep are constants where this is inlined. What is not packed yet lies far apart, so the next
 * tile's a and the next panel's d are asked for: the line in which they end, as they began in this one. */
static ALWAYS_INLINE void tile_frames (const int rows, const int vecs, const int keep, vf *acc, const lurn_tile *t) {
  const ptrdiff_t a_step = t->a_step, d_step = t->d_step;
  const real *a = t->a, *d = t->d;
  real *packed_a = t->packed_a, *packed_d = t->packed_d;
  for (int m = t->count; m > 0; m--, a += a_step, d += d_step) {
    vf w[PANEL_VECS];
    UNROLL for (int v = 0; v < vecs; v++) w[v] = vf_load(d + v * VL);
    if (keep & KEEP_D) {
      UNROLL for (int v = 0; v < vecs; v++) vf_store(packed_d + v * VL, w[v]);
      UNROLL for (int n = 0; n < PANEL; n += LINE) block_expect_later(d, PANEL + n + LINE - 1);
      packed_d += PANEL;
    }
    UNROLL for (int k = 0; k < rows; k++) {
      const vf x = vf_set(a[k]);
      UNROLL for (int v = 0; v < vecs; v++) acc[k * vecs + v] = vf_fma(x, w[v], acc[k * vecs + v]);
    }
    if (keep & KEEP_A) {
      memcpy(packed_a, a, sizeof(real) * (size_t)rows);
      block_expect(a, LINE);
      packed_a += rows;
    }
  }
}

/* c += the sum over frames of a times d. The tile below is next: its C is asked for, but not into the first-level cache,
 * where rows that are a power of two apart would push each other and the panel out. */
static ALWAYS_INLINE void tile (const int rows, const int vecs, const lurn_tile *t) {
  vf acc[ACCUMULATORS];
  UNROLL for (int k = 0; k < rows; k++)
    UNROLL for (int v = 0; v < vecs; v++)
      acc[k * vecs + v] = block_load(t->c + k * t->ldc + v * VL, v < vecs - 1 ? VL : t->last);
  UNROLL for (int k = rows; k < 2 * rows; k++) {
    UNROLL for (int n = 0; n < vecs * VL; n += LINE) block_expect_later(t->c, k * t->ldc + n);
    block_expect_later(t->c, k * t->ldc + vecs * VL - 1);
  }
  if (vecs < PANEL_VECS || !t->keep) tile_frames(rows, vecs, 0, acc, t);
  else if (t->keep == KEEP_A) tile_frames(rows, vecs, KEEP_A, acc, t);
  else if (t->keep == KEEP_D) tile_frames(rows, vecs, KEEP_D, acc, t);
  else tile_frames(rows, vecs, KEEP_A | KEEP_D, acc, t);
  UNROLL for (int k = 0; k < rows; k++)
    UNROLL for (int v = 0; v < vecs; v++)
      block_store(t->c + k * t->ldc + v * VL, acc[k * vecs + v], v < vecs - 1 ? VL : t->last);
}

#define TILE(rows, vecs) static void tile_##rows##x##vecs (const lurn_tile *t) { tile(rows, vecs, t); }
#if BLOCK_ROWS == 6
#define TILES(vecs) { NULL, tile_1x##vecs, tile_2x##vecs, tile_3x##vecs, tile_4x##vecs, tile_5x##vecs, tile_6x##vecs }
#else
#define TILES(vecs) { NULL, tile_1x##vecs, tile_2x##vecs }
#endif

BLOCK_COLUMN(TILE, 1)
BLOCK_COLUMN(TILE, 2)
#if PANEL_VECS == 4
BLOCK_COLUMN(TILE, 3)
BLOCK_COLUMN(TILE, 4)
#endif

static const tile_fn tiles[PANEL_VECS + 1][BLOCK_ROWS + 1] = {
  { NULL },
  TILES(1),
  TILES(2),
#if PANEL_VECS == 4
  TILES(3),
  TILES(4),
#endif
};

/* ---- all of them ------------------------------------------------------------------------ */

/* d (count,N) backwards, from its last row on. */
static void pack_backwards (real *packed, const real *last, ptrdiff_t ldd, int count, int width) {
  const int stride = vecs_of(width) * VL;
  for (int m = 0; m < count; m++, last -= ldd, packed += stride) {
    int n = 0;
    for (; n + VL <= width; n += VL) vf_store(packed + n, vf_load(last + n));
    if (n < width) vf_store(packed + n, vf_load_n(last + n, width - n, 0));
  }
}

/* One panel of columns, all rows of the strip, in nearly equal tiles, the larger ones first. A panel that is not whole is
 * packed ahead; a is packed tile after tile, unless no other panel reads it. */
static void outer_panel (const lurn_outer *o, int n, real *a, real *d) {
  const int width = least(PANEL, o->N - n), whole = width == PANEL, vecs = vecs_of(width);
  const int parts = parts_of(o->K, BLOCK_ROWS), few = o->K / parts, more = o->K - few * parts;
  lurn_tile t;
  t.count = o->count;
  t.last = width - (vecs - 1) * VL;
  t.packed_a = a;
  t.packed_d = d;
  t.c = o->c + n;
  t.ldc = o->ldc;
  if (!whole) pack_backwards(d, o->d + n, o->ldd, o->count, width);
  for (int i = 0, k = 0; i < parts; i++) {
    const int rows = few + (i < more), keep_d = whole && i == 0;
    t.keep = (n == 0 && o->N > PANEL ? KEEP_A : 0) | (keep_d ? KEEP_D : 0);
    t.a = n == 0 ? o->a + k : t.packed_a;
    t.a_step = n == 0 ? -o->lda : rows;
    t.d = keep_d ? o->d + n : d;
    t.d_step = keep_d ? -o->ldd : vecs * VL;
    tiles[vecs][rows](&t);
    k += rows;
    t.packed_a += rows * o->count;
    t.c += rows * o->ldc;
  }
}

static void outer_strip (const lurn_outer *o) {
  _Alignas(LURN_ALIGN) real a[CHUNK * STRIP], d[CHUNK * PANEL];
  for (int n = 0; n < o->N; n += PANEL) outer_panel(o, n, a, d);
}

static void outer (int M, int K, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd,
                   real *c, ptrdiff_t ldc) {
  const int strips = parts_of(K, STRIP);
  for (int end = M; end > 0; end -= CHUNK)
    for (int s = 0; s < strips; s++) {
      const int from = part_start(K, strips, s), to = part_start(K, strips, s + 1);
      const lurn_outer o = { to - from, N, least(CHUNK, end), a + from + (end - 1) * lda, lda, d + (end - 1) * ldd, ldd,
                             c + from * ldc, ldc };
      outer_strip(&o);
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
