/* body_product.h: products over packed panels, several at once.
 *
 * A chain is a product and those that follow it: its sums stay in registers from the first to the last. With
 * many rows each panel passes once for all of them. With one row or two nothing can be used again, and what counts
 * is to have enough sums under way: panels of all products that read the same rows are played side by side.
 */
#ifndef LURN_BODY_PRODUCT_H
#define LURN_BODY_PRODUCT_H

#include "body_block.h"

/* Rows of A taken at a time: so many bytes stay in the second-level cache while all panels pass. */
#define ROWS_BYTES 393216

/* ---- packing ---------------------------------------------------------------------------- */

static size_t pack_count (int K, int N) {
  return (size_t)K * (size_t)vecs_of(N) * VL;
}

/* Columns of the panel that begins at column n of N. */
static inline int panel_width (int N, int n) {
  const int left = N - n;
  return vecs_of(left) == LAST_VECS ? left : least(PANEL, left);
}

static int panels_of (int N) {
  const int vecs = vecs_of(N), panels = parts_of(vecs, PANEL_VECS);
  return panels - (panels > 1 && vecs % PANEL_VECS == 1);
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
  for (int n = 0, width; n < N; n += width) {
    width = panel_width(N, n);
    if (trans) pack_columns(packed, w + (ptrdiff_t)n * K, K, width);
    else pack_rows(packed, w + n, K, N, width);
    packed += pack_count(K, width);
  }
}

/* ---- a chain, panel by panel ------------------------------------------------------------ */

/* A product and those that follow it: c of the last one from init of the first. */
typedef struct lurn_chain { const lurn_product *link; int links; } lurn_chain;

static inline lurn_chain chain_at (const lurn_product *p, int n) {
  lurn_chain c = { p, 1 };
  while (c.links < n && p[c.links].follows) c.links++;
  return c;
}

static inline const lurn_product *chain_end (const lurn_chain *c) { return &c->link[c->links - 1]; }

/* Panel p of a piece is that at column n; weights that fit into no cache are asked for a panel ahead. */
static inline void piece_of (lurn_piece *q, const lurn_product *l, int p, int n) {
  q->K = l->K;
  q->a = l->a;
  q->row = l->lda;
  q->ahead = (ptrdiff_t)pack_count(l->K, PANEL);
  q->b[p] = l->packed + pack_count(l->K, n);
}

/* Panel p of a block: where its columns begin, and what they begin with. */
static inline void block_panel (lurn_block *t, int p, const lurn_chain *c, int n, int begun) {
  const lurn_product *to = chain_end(c);
  t->c[p] = to->c + n;
  t->ldc[p] = to->ldc;
  t->init[p] = begun ? t->c[p] : c->link->init ? c->link->init + n : NULL;
  t->ldi[p] = begun ? to->ldc : c->link->ldi;
}

/* The block moved down by some rows. */
static inline void block_down (lurn_block *t, int rows) {
  t->first += rows;
  t->c[0] += rows * t->ldc[0];
  if (t->init[0]) t->init[0] += rows * t->ldi[0];
}

/* Links from .. from + links - 1 of a chain, rows m .. end - 1 of the panel at column n, of so many columns. */
static void product_panel (const lurn_chain *c, int from, int links, int m, int end, int n, int width) {
  const int vecs = vecs_of(width), most = vecs == LAST_VECS ? LAST_ROWS : BLOCK_ROWS;
  const int count = end - m, parts = parts_of(count, most), rows = count / parts;
  lurn_piece piece[PIECES];
  lurn_block t;
  for (int j = 0; j < links; j++) piece_of(&piece[j], &c->link[from + j], 0, n);
  t.piece = piece;
  t.pieces = links;
  t.stride = vecs * VL;
  t.last = width - (vecs - 1) * VL;
  t.first = 0;
  block_panel(&t, 0, c, n, from > 0);
  block_down(&t, m);
  for (int more = 1; more >= 0; more--) {      /* nearly equal blocks, the larger ones first */
    t.repeat = more ? count - rows * parts : parts - (count - rows * parts);
    if (t.repeat == 0) continue;
    blocks[vecs][rows + more](&t);
    block_down(&t, (rows + more) * t.repeat);
  }
}

/* As many links at a time as leave all their rows of A in the cache. */
static int links_from (const lurn_chain *c, int from) {
  const int most = ROWS_BYTES / (int)sizeof(real);
  int64_t used = 0;
  int links = 0;
  for (; from + links < c->links && links < PIECES; links++) {
    used += (int64_t)c->link[from + links].K * c->link->M;
    if (links > 0 && used > most) break;
  }
  return links;
}

static void product_rows (const lurn_chain *c) {
  const lurn_product *to = chain_end(c);
  for (int from = 0, links; from < c->links; from += links) {
    links = links_from(c, from);
    const int most = ROWS_BYTES / (int)sizeof(real) / (c->link[from].K + 1);
    const int parts = links > 1 ? 1 : parts_of(to->M, most > BLOCK_ROWS ? most : BLOCK_ROWS);
    for (int i = 0; i < parts; i++)
      for (int n = 0, width; n < to->N && to->M > 0; n += width) {
        width = panel_width(to->N, n);
        product_panel(c, from, links, part_start(to->M, parts, i), part_start(to->M, parts, i + 1), n, width);
      }
  }
}

/* ---- a row or two: panels side by side -------------------------------------------------- */

/* Panels of one width whose chains read the same numbers of A. */
typedef struct lurn_few {
  int rows, panels, width;
  lurn_block t;
  lurn_piece piece[PIECES];
} lurn_few;

static int same_rows (const lurn_few *f, const lurn_chain *c) {
  if (f->t.pieces != c->links) return 0;
  for (int j = 0; j < c->links; j++) {
    const lurn_piece *q = &f->piece[j];
    if (q->a != c->link[j].a || q->row != c->link[j].lda || q->K != c->link[j].K) return 0;
  }
  return 1;
}

/* What is left begins with panel `from`. */
static void few_shift (lurn_few *f, int from) {
  for (int p = 0; p + from < f->panels; p++) {
    for (int j = 0; j < f->t.pieces; j++) f->piece[j].b[p] = f->piece[j].b[p + from];
    f->t.init[p] = f->t.init[p + from];
    f->t.ldi[p] = f->t.ldi[p + from];
    f->t.c[p] = f->t.c[p + from];
    f->t.ldc[p] = f->t.ldc[p + from];
  }
  f->panels -= from;
}

static void play_few (lurn_few *f) {
  const int vecs = vecs_of(f->width), most = WIDE_PANELS(vecs);
  f->t.piece = f->piece;
  f->t.stride = vecs * VL;
  f->t.last = f->width - (vecs - 1) * VL;
  f->t.repeat = 1;
  while (f->panels > 0) {
    const int all = f->rows == 1 && f->panels >= most, panels = all ? most : f->panels >= most / 2 ? most / 2 : 1;
    (panels > 1 ? wide[vecs][!all][f->rows] : blocks[vecs][f->rows])(&f->t);
    if (panels == f->panels) f->panels = 0;
    else few_shift(f, panels);
  }
}

static void add_few (lurn_few *f, const lurn_chain *c) {
  const int N = chain_end(c)->N;
  if (f->panels > 0 && !same_rows(f, c)) play_few(f);
  f->t.pieces = c->links;
  for (int n = 0, width; n < N; n += width) {
    width = panel_width(N, n);
    if (f->panels == WIDE_PANELS(vecs_of(width)) || (f->panels > 0 && width != f->width)) play_few(f);
    f->width = width;
    for (int j = 0; j < c->links; j++) piece_of(&f->piece[j], &c->link[j], f->panels, n);
    block_panel(&f->t, f->panels++, c, n, 0);
  }
}

static void product (const lurn_product *p, int n) {
  lurn_few few;
  few.rows = few.panels = few.t.first = 0;
  for (int i = 0; i < n; ) {
    const lurn_chain c = chain_at(p + i, n - i);
    const int rows = chain_end(&c)->M, is_few = (rows == 1 || rows == 2) && c.links <= PIECES;
    if (few.panels > 0 && (!is_few || rows != few.rows)) play_few(&few);
    few.rows = rows;
    if (is_few) add_few(&few, &c);
    else product_rows(&c);
    i += c.links;
  }
  if (few.panels > 0) play_few(&few);
}

#endif
