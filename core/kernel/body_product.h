/* body_product.h: products as chains of fused multiply-adds, over packed panels.
 *
 * A panel is PANEL_VECS vectors of columns, k after k; the last one is as many vectors wide as
 * it needs and filled up with zeros. A register block is `rows` rows by `vecs` vectors of C: one
 * broadcast element of A times one vector of the panel, for each, k after k. Which block an
 * element falls into changes nothing in its chain, so the blocking is free, and so is storing
 * and reloading C in mid-chain.
 *
 * `block` is the one inner loop. product walks A along its rows; outer (body_outer.h) walks
 * it up its columns.
 */
#ifndef LURN_BODY_PRODUCT_H
#define LURN_BODY_PRODUCT_H

#include "kernel.h"

#define PANEL (PANEL_VECS * VL)      /* columns of a full panel */
#define ACCUMULATORS (BLOCK_ROWS * PANEL_VECS)
/* With a row or two one panel has too few chains to hide the latency of an fma: take more. */
#define WIDE_VECS 8
#define WIDE_VECS_2 (2 * PANEL_VECS)

/* Rows of A taken at a time: so many bytes stay in the second-level cache while all panels pass. */
#define ROWS_BYTES 262144

#define ALWAYS_INLINE inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* One register block. Element (m,k) of A is a[m*row + k*step]; vector v of B at k is
 * b[(v / PANEL_VECS)*panel + k*stride + (v % PANEL_VECS)*VL]. */
typedef struct lurn_block {
  int K;
  const real *a; ptrdiff_t row, step;
  const real *b; ptrdiff_t panel, stride;
  const real *init; ptrdiff_t ldi;
  real *c; ptrdiff_t ldc;
  int last;                          /* columns in the last vector, 1 .. VL */
} lurn_block;

typedef void (*block_fn) (const lurn_block *t);

static ALWAYS_INLINE vf block_load (const real *p, int n) {
  return n == VL ? vf_load(p) : vf_load_n(p, n, 0);
}

static ALWAYS_INLINE void block_store (real *p, vf x, int n) {
  if (n == VL) vf_store(p, x);
  else vf_store_n(p, x, n);
}

/* A hint that this place is needed soon. Integers, as it may be beyond the array. */
static ALWAYS_INLINE void block_expect (const real *p, ptrdiff_t offset) {
  __builtin_prefetch((const void *)((uintptr_t)p + (uintptr_t)offset * sizeof(real)));
}

/* c = chain over k of fma(a, b, acc); rows and vecs are constants where this is inlined. */
static ALWAYS_INLINE void block (const int rows, const int vecs, const lurn_block *t) {
  vf acc[ACCUMULATORS < 2 * WIDE_VECS ? 2 * WIDE_VECS : ACCUMULATORS];
  const real *a = t->a, *b = t->b;
  const ptrdiff_t row = t->row, step = t->step, panel = t->panel, stride = t->stride;
  UNROLL for (int m = 0; m < rows; m++) {
    UNROLL for (int v = 0; v < vecs; v++)
      acc[m * vecs + v] = t->init == NULL ? vf_set(0)
        : block_load(t->init + m * t->ldi + v * VL, v < vecs - 1 ? VL : t->last);
  }
  /* the block below is next, and a store that misses the cache would hold it up */
  UNROLL for (int m = 0; m < rows; m++)
    UNROLL for (int v = 0; v < vecs; v++) block_expect(t->c, (rows + m) * t->ldc + v * VL);
  for (int k = t->K; k > 0; k--, a += step, b += stride) {
    vf w[WIDE_VECS];
    UNROLL for (int v = 0; v < vecs; v++)
      w[v] = vf_load(b + (v / PANEL_VECS) * panel + (v % PANEL_VECS) * VL);
    UNROLL for (int m = 0; m < rows; m++) {
      const vf x = vf_set(a[m * row]);
      UNROLL for (int v = 0; v < vecs; v++)
        acc[m * vecs + v] = vf_fma(x, w[v], acc[m * vecs + v]);
    }
  }
  UNROLL for (int m = 0; m < rows; m++) {
    UNROLL for (int v = 0; v < vecs; v++)
      block_store(t->c + m * t->ldc + v * VL, acc[m * vecs + v], v < vecs - 1 ? VL : t->last);
  }
}

/* Every block that can be needed: 1 .. BLOCK_ROWS rows by 1 .. PANEL_VECS vectors. */
#define BLOCK(rows, vecs) \
  static void block_##rows##x##vecs (const lurn_block *t) { block(rows, vecs, t); }
#define BLOCK_NAME(rows, vecs) block_##rows##x##vecs
#if BLOCK_ROWS == 6
#define BLOCK_COLUMN(X, vecs) \
  X(1, vecs) X(2, vecs) X(3, vecs) X(4, vecs) X(5, vecs) X(6, vecs)
#define BLOCK_NAMES(vecs) { NULL, BLOCK_NAME(1, vecs), BLOCK_NAME(2, vecs), BLOCK_NAME(3, vecs), \
  BLOCK_NAME(4, vecs), BLOCK_NAME(5, vecs), BLOCK_NAME(6, vecs) }
#else
#define BLOCK_COLUMN(X, vecs) X(1, vecs) X(2, vecs)
#define BLOCK_NAMES(vecs) { NULL, BLOCK_NAME(1, vecs), BLOCK_NAME(2, vecs) }
#endif

BLOCK_COLUMN(BLOCK, 1)
BLOCK_COLUMN(BLOCK, 2)
#if PANEL_VECS == 4
BLOCK_COLUMN(BLOCK, 3)
BLOCK_COLUMN(BLOCK, 4)
#endif

static const block_fn blocks[PANEL_VECS + 1][BLOCK_ROWS + 1] = {
  { NULL },
  BLOCK_NAMES(1),
  BLOCK_NAMES(2),
#if PANEL_VECS == 4
  BLOCK_NAMES(3),
  BLOCK_NAMES(4),
#endif
};

static void block_wide_1 (const lurn_block *t) { block(1, WIDE_VECS, t); }
static void block_wide_2 (const lurn_block *t) { block(2, WIDE_VECS_2, t); }

static inline int vecs_of (int columns) { return (columns + VL - 1) / VL; }
static inline int least (int a, int b) { return a < b ? a : b; }

/* ---- packing ---------------------------------------------------------------------------- */

static size_t pack_count (int K, int N) {
  return (size_t)K * (size_t)vecs_of(N) * VL;
}

/* w (K,N): rows of a panel are pieces of rows of w. */
static void pack_rows (real *packed, const real *w, int K, ptrdiff_t N, int width) {
  const int stride = vecs_of(width) * VL;
  for (int k = 0; k < K; k++, w += N, packed += stride) {
    for (int n = 0; n < width; n++) packed[n] = w[n];
    for (int n = width; n < stride; n++) packed[n] = 0;
  }
}

/* w stored as (N,K): columns of a panel are rows of w. Few k at a time, so that the part of
 * the panel that is written by columns stays in the first-level cache. */
static void pack_columns (real *packed, const real *w, ptrdiff_t K, int width) {
  const int stride = vecs_of(width) * VL;
  for (ptrdiff_t first = 0; first < K; first += 64) {
    const ptrdiff_t end = K - first < 64 ? K : first + 64;
    for (int n = 0; n < stride; n++)
      for (ptrdiff_t k = first; k < end; k++)
        packed[k * stride + n] = n < width ? w[n * K + k] : 0;
  }
}

static void pack (real *packed, const real *w, int K, int N, int trans) {
  for (int n = 0; n < N; n += PANEL) {
    const int width = least(PANEL, N - n);
    if (trans) pack_columns(packed, w + (ptrdiff_t)n * K, K, width);
    else pack_rows(packed, w + n, K, N, width);
    packed += pack_count(K, width);
  }
}

/* ---- product ---------------------------------------------------------------------------- */

static inline int parts_of (int count, int largest) { return (count + largest - 1) / largest; }
/* Where part i of `parts` nearly equal parts starts. */
static inline int part_start (int count, int parts, int i) {
  return (int)((int64_t)count * i / parts);
}

/* The block at row m and column n of C, `width` columns of one panel or more. */
static inline lurn_block block_at (const lurn_product *p, int m, int n, int width) {
  const lurn_block t = {
    .K = p->K, .a = p->a + m * p->lda, .row = p->lda, .step = 1,
    .b = p->packed + pack_count(p->K, n), .stride = least(vecs_of(width), PANEL_VECS) * VL,
    .panel = (ptrdiff_t)pack_count(p->K, PANEL),
    .init = p->init ? p->init + m * p->ldi + n : NULL, .ldi = p->ldi,
    .c = p->c + m * p->ldc + n, .ldc = p->ldc,
    .last = width - (vecs_of(width) - 1) * VL
  };
  return t;
}

/* Rows m .. end - 1 of one panel. */
static void product_panel (const lurn_product *p, int m, int end, int n) {
  const int width = least(PANEL, p->N - n), count = end - m, parts = parts_of(count, BLOCK_ROWS);
  for (int i = 0; i < parts; i++) {
    const int first = part_start(count, parts, i), rows = part_start(count, parts, i + 1) - first;
    const lurn_block t = block_at(p, m + first, n, width);
    blocks[vecs_of(width)][rows](&t);
  }
}

static void product_rows (const lurn_product *p, int m, int end) {
  const int rows = end - m, wide = (rows == 1 ? WIDE_VECS : WIDE_VECS_2) * VL;
  int n = 0;
  for (; rows <= 2 && n + wide <= p->N; n += wide) {
    const lurn_block t = block_at(p, m, n, wide);
    if (rows == 1) block_wide_1(&t);
    else block_wide_2(&t);
  }
  for (; n < p->N; n += PANEL) product_panel(p, m, end, n);
}

static void product (const lurn_product *p) {
  const int most = ROWS_BYTES / (int)sizeof(real) / (p->K + 1);
  const int parts = parts_of(p->M, most > BLOCK_ROWS ? most : BLOCK_ROWS);
  for (int i = 0; i < parts; i++) product_rows(p, part_start(p->M, parts, i), part_start(p->M, parts, i + 1));
}

#endif
