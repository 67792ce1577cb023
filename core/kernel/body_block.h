/* body_block.h: the one inner loop of all products: chains of fused multiply-adds in registers.
 *
 * A panel is PANEL_VECS vectors of columns, k after k; the last one is as many vectors wide as
 * it needs and filled up with zeros. A product's last one takes in a vector that would be left alone, which with so few
 * chains would have to wait for each sum. A register block is `rows` rows by a panel or several of C: one
 * broadcast element of A times one vector of a panel, for each, k after k, piece after piece. Which
 * block an element falls into changes nothing in its chain, so the blocking is free, and so is storing
 * and reloading C in mid-chain.
 */
#ifndef LURN_BODY_BLOCK_H
#define LURN_BODY_BLOCK_H

#include "kernel.h"

#define PANEL (PANEL_VECS * VL)      /* columns of a full panel */
#define LAST_VECS (PANEL_VECS + 1)   /* the widest panel there is */
/* With a row or two one panel has too few chains to hide the latency of an fma: take several. */
#define WIDE_VECS 10                 /* most of them, side by side */
#define WIDE_PANELS(vecs) ((vecs) == 1 ? 8 : (vecs) == 2 ? 4 : 2)
#define MOST_PANELS WIDE_PANELS(1)
#define ACCUMULATORS (BLOCK_ROWS * PANEL_VECS > WIDE_VECS ? BLOCK_ROWS * PANEL_VECS : WIDE_VECS)
/* Pieces of its chain that a block plays in one go. */
#define PIECES 8

#define ALWAYS_INLINE inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* A part of a chain. Element (m,k) of A is a[m*row + k]; vector v of panel p of B at k is b[p][k*stride + v*VL]. */
typedef struct lurn_piece {
  int K;
  const real *a; ptrdiff_t row;
  ptrdiff_t ahead;                   /* of one panel: this far behind it lies what will be needed after it */
  const real *b[MOST_PANELS];
} lurn_piece;

typedef struct lurn_block {
  const lurn_piece *piece; int pieces;
  ptrdiff_t stride;                  /* of the panels: their width */
  const real *init[MOST_PANELS]; ptrdiff_t ldi[MOST_PANELS];
  real *c[MOST_PANELS]; ptrdiff_t ldc[MOST_PANELS];
  int last;                          /* columns in the last vector of a panel, 1 .. VL */
  int first, repeat;                 /* row of A that is row 0 here; blocks one below the other */
} lurn_block;

typedef void (*block_fn) (const lurn_block *t);

static ALWAYS_INLINE vf block_load (const real *p, int n) {
  return n == VL ? vf_load(p) : vf_load_n(p, n, 0);
}

static ALWAYS_INLINE void block_store (real *p, vf x, int n) {
  if (n == VL) vf_store(p, x);
  else vf_store_n(p, x, n);
}

/* Hints that this place is needed soon, or somewhat later. Integers, as it may be beyond the array. */
static ALWAYS_INLINE void block_expect (const real *p, ptrdiff_t offset) {
  __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)offset * sizeof(real)));
}
static ALWAYS_INLINE void block_expect_later (const real *p, ptrdiff_t offset) {
  __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)offset * sizeof(real)), 0, 2);
}

/* One piece; rows, panels and vecs are constants where this is inlined. */
static ALWAYS_INLINE void block_piece (const int rows, const int panels, const int vecs, vf *acc,
                                       const lurn_piece *q, ptrdiff_t first, ptrdiff_t stride) {
  const ptrdiff_t row = q->row, ahead = q->ahead;
  const real *a = q->a + first * row, *b[MOST_PANELS];
  UNROLL for (int p = 0; p < panels; p++) b[p] = q->b[p];
  for (int k = q->K; k > 0; k--, a++) {
    vf w[ACCUMULATORS];
    if (panels == 1) block_expect_later(b[0], ahead);
    UNROLL for (int p = 0; p < panels; p++) {
      UNROLL for (int v = 0; v < vecs; v++) w[p * vecs + v] = vf_load(b[p] + v * VL);
      b[p] += stride;
    }
    UNROLL for (int m = 0; m < rows; m++) {
      const vf x = vf_set(a[m * row]);
      UNROLL for (int v = 0; v < panels * vecs; v++)
        acc[m * panels * vecs + v] = vf_fma(x, w[v], acc[m * panels * vecs + v]);
    }
  }
}

/* c = chain over the pieces' k of fma(a, b, acc), from init; then the same for the rows below, `repeat` times. */
static ALWAYS_INLINE void block (const int rows, const int panels, const int vecs, const lurn_block *t) {
  vf acc[ACCUMULATORS];
  ptrdiff_t down = 0;
  for (int r = 0; r < t->repeat; r++, down += rows) {
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int v = 0; v < vecs; v++)
          acc[(m * panels + p) * vecs + v] = t->init[p] == NULL ? vf_set(0)
            : block_load(t->init[p] + (m + down) * t->ldi[p] + v * VL, v < vecs - 1 ? VL : t->last);
    /* the block below is next, and a store that misses the cache would hold it up */
    if (rows > 2)
      UNROLL for (int m = 0; m < rows; m++)
        UNROLL for (int v = 0; v < vecs; v++) block_expect(t->c[0], (rows + m + down) * t->ldc[0] + v * VL);
    for (int j = 0; j < t->pieces; j++)
      block_piece(rows, panels, vecs, acc, &t->piece[j], t->first + down, t->stride);
    UNROLL for (int m = 0; m < rows; m++)
      UNROLL for (int p = 0; p < panels; p++)
        UNROLL for (int v = 0; v < vecs; v++)
          block_store(t->c[p] + (m + down) * t->ldc[p] + v * VL, acc[(m * panels + p) * vecs + v],
                      v < vecs - 1 ? VL : t->last);
  }
}

/* Every block of one panel that can be needed: 1 .. BLOCK_ROWS rows by 1 .. PANEL_VECS vectors, 1 .. LAST_ROWS rows by
 * LAST_VECS. */
#define BLOCK(rows, vecs) \
  static void block_##rows##x##vecs (const lurn_block *t) { block(rows, 1, vecs, t); }
#define BLOCK_NAME(rows, vecs) block_##rows##x##vecs
#if BLOCK_ROWS == 6
#define BLOCK_COLUMN(X, vecs) \
  X(1, vecs) X(2, vecs) X(3, vecs) X(4, vecs) X(5, vecs) X(6, vecs)
#define BLOCK_NAMES(vecs) { NULL, BLOCK_NAME(1, vecs), BLOCK_NAME(2, vecs), BLOCK_NAME(3, vecs), \
  BLOCK_NAME(4, vecs), BLOCK_NAME(5, vecs), BLOCK_NAME(6, vecs) }
#define LAST_COLUMN(X, vecs) X(1, vecs) X(2, vecs) X(3, vecs) X(4, vecs)
#define LAST_NAMES(vecs) { NULL, BLOCK_NAME(1, vecs), BLOCK_NAME(2, vecs), BLOCK_NAME(3, vecs), BLOCK_NAME(4, vecs) }
#else
#define BLOCK_COLUMN(X, vecs) X(1, vecs) X(2, vecs)
#define BLOCK_NAMES(vecs) { NULL, BLOCK_NAME(1, vecs), BLOCK_NAME(2, vecs) }
#define LAST_COLUMN BLOCK_COLUMN
#define LAST_NAMES BLOCK_NAMES
#endif
/* And of several panels, side by side: all that registers hold for one row, or half for one or two. */
#define WIDE(vecs) \
  static void wide_1x##vecs (const lurn_block *t) { block(1, WIDE_PANELS(vecs), vecs, t); } \
  static void half_1x##vecs (const lurn_block *t) { block(1, WIDE_PANELS(vecs) / 2, vecs, t); } \
  static void half_2x##vecs (const lurn_block *t) { block(2, WIDE_PANELS(vecs) / 2, vecs, t); }
#define WIDE_NAMES(vecs) { NULL, wide_1x##vecs, NULL }, { NULL, half_1x##vecs, half_2x##vecs }

BLOCK_COLUMN(BLOCK, 1)
BLOCK_COLUMN(BLOCK, 2)
WIDE(1)
WIDE(2)
WIDE(3)
#if PANEL_VECS == 4
BLOCK_COLUMN(BLOCK, 3)
BLOCK_COLUMN(BLOCK, 4)
LAST_COLUMN(BLOCK, 5)
WIDE(4)
WIDE(5)
#else
LAST_COLUMN(BLOCK, 3)
#endif

static const block_fn blocks[LAST_VECS + 1][BLOCK_ROWS + 1] = {
  { NULL },
  BLOCK_NAMES(1),
  BLOCK_NAMES(2),
#if PANEL_VECS == 4
  BLOCK_NAMES(3),
  BLOCK_NAMES(4),
  LAST_NAMES(5),
#else
  LAST_NAMES(3),
#endif
};

/* [vectors of a panel][0: all panels, 1: half of them][rows] */
static const block_fn wide[LAST_VECS + 1][2][3] = {
  { { NULL } },
  { WIDE_NAMES(1) },
  { WIDE_NAMES(2) },
  { WIDE_NAMES(3) },
#if PANEL_VECS == 4
  { WIDE_NAMES(4) },
  { WIDE_NAMES(5) },
#endif
};

static inline int vecs_of (int columns) { return (columns + VL - 1) / VL; }
static inline int least (int a, int b) { return a < b ? a : b; }
static inline int parts_of (int count, int largest) { return (count + largest - 1) / largest; }
/* Where part i of `parts` nearly equal parts starts. */
static inline int part_start (int count, int parts, int i) {
  return (int)((int64_t)count * i / parts);
}

#endif
