/* check_kernels.c: every kernel of every table this CPU can run.
 *
 *   check_kernels           table "c" against references written here; the others against "c", bit
 *                           by bit: odd sizes, unaligned, in place, special values, canaries
 *   check_kernels -v        and one line per kernel; for the transcendental maps the worst ulps
 *   check_kernels --bench   speed: products in GF/s beside the measured peak, the rest in cycles per element
 *
 * Random numbers are the same in every run. A kernel of kernel.h that has no row in the list below
 * is an error of the compiler's.
 */
#include <stddef.h>

#include "check.h"
#include "kernel/kernel.h"
#include "rng.h"
#include "sha256.h"
#include "kernels_random.h"
#include "kernels_maps.h"
#include "kernels_bench.h"

/* ---- rows ------------------------------------------------------------------------------- */

typedef void (*row_fn) (real *y, const real *x, int rows, int cols);

/* The reduction as the header has it: 16 lanes, then the tree. */
static double lanes_sum (const real *x, size_t n, int squares) {
  double lane[16] = {0};
  for (size_t i = 0; i < n; i++) lane[i % 16] += squares ? (double)x[i] * (double)x[i] : (double)x[i];
  for (int w = 8; w > 0; w /= 2)
    for (int l = 0; l < w; l++) lane[l] += lane[l + w];
  return lane[0];
}

static real naive_sum (const real *x, int n) {
  real lane[16] = {0};
  for (int i = 0; i < n; i++) lane[i % 16] += x[i];
  for (int w = 8; w > 0; w /= 2)
    for (int l = 0; l < w; l++) lane[l] += lane[l + w];
  return lane[0];
}

static real naive_max (const real *x, int n) {
  real max = (real)-INFINITY;
  for (int i = 0; i < n; i++)
    if (x[i] > max || x[i] != x[i]) max = x[i];
    else if (max != max) break;
  return max;
}

static int naive_argmax (const real *x, int n) {
  const real max = naive_max(x, n);
  for (int i = 0; i < n; i++)
    if (x[i] == max || x[i] != x[i]) return i;
  return 0;
}

/* log sum exp in long double: close enough where it is finite, the same where it is not. */
static int lse_agrees (real y, const real *x, int n) {
  const real max = naive_max(x, n);
  long double sum = 0;
  if (max - max != 0) return same(y, max);
  for (int i = 0; i < n; i++) sum += expl((long double)x[i] - (long double)max);
  return near((double)y, (double)((long double)max + logl(sum)), EITHER(1e-6, 1e-14));
}

static void fill_case (const lurn_kernels *t, int rows, int cols, int step) {
  const size_t n = (size_t)rows * (size_t)cols;
  real *x = numbers((size_t)(rows * step + 1), any_value), *y = guarded(n), *want = guarded(n);
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < cols; j++) want[i * cols + j] = x[i * step];
  t->row_fill(y, x, step, rows, cols);
  check(same_all(y, want, n) && intact(y, n), "%s row_fill (%d,%d) step %d", t->isa, rows, cols, step);
  free(x);
  guarded_free(y);
  guarded_free(want);
}

static void row_case (const lurn_kernels *t, int rows, int cols, real (*value) (void)) {
  const size_t n = (size_t)rows * (size_t)cols;
  real *x = numbers(n + 4, value), *in = x + below(4), *y = guarded((size_t)rows), *want = guarded((size_t)rows);
  int32_t *block = malloc(((size_t)rows + 2) * sizeof *block), *arg = block + 1;
  arg[-1] = arg[rows] = -7;
  const row_fn fn[3] = { t->row_sum, t->row_max, t->row_lse };
  const row_fn fn_plain[3] = { plain->row_sum, plain->row_max, plain->row_lse };
  for (int f = 0; f < 3; f++) {
    fn[f](y, in, rows, cols);
    fn_plain[f](want, in, rows, cols);
    check(same_all(y, want, (size_t)rows) && intact(y, (size_t)rows), "%s row %d (%d,%d)", t->isa, f, rows, cols);
    for (int i = 0; i < rows && t == plain; i++) {
      const real *r = in + (size_t)i * (size_t)cols;
      const int right = f == 0 ? same(y[i], naive_sum(r, cols))
                      : f == 1 ? same(y[i], naive_max(r, cols)) : lse_agrees(y[i], r, cols);
      check(right, "c row %d (%d,%d) against the reference: %g", f, rows, cols, (double)y[i]);
    }
  }
  t->row_argmax(arg, in, rows, cols);
  for (int i = 0; i < rows; i++)
    check(arg[i] == naive_argmax(in + (size_t)i * (size_t)cols, cols), "%s row_argmax (%d,%d)", t->isa, rows, cols);
  check(arg[-1] == -7 && arg[rows] == -7, "%s row_argmax (%d,%d) writes beyond its rows", t->isa, rows, cols);
  const double s = t->sum(in, n), q = t->sum_squares(in, n), ls = lanes_sum(in, n, 0), lq = lanes_sum(in, n, 1);
  check((s == ls || (s != s && ls != ls)) && (q == lq || (q != q && lq != lq)), "%s sums of %zu", t->isa, n);
  free(x);
  free(block);
  guarded_free(y);
  guarded_free(want);
}

/* A mean of n numbers below 1 is off by less than (n / 16 + 4) u, here 1.2e-6 (f64: 2.3e-15), which the
 * division by the deviation, s, makes larger; in the gradient it is so twice. */
static void norm_agrees (const real *y, const real *dx, const real *dy, const real *x, real k, int n) {
  long double mean = 0, square = 0, along = 0, pull = 0;
  for (int j = 0; j < n; j++) mean += (long double)x[j] / n, along += (long double)dy[j] / n;
  for (int j = 0; j < n; j++) square += ((long double)x[j] - mean) * ((long double)x[j] - mean) / n;
  const long double s = 1 / sqrtl(square + (long double)k);
  for (int j = 0; j < n; j++) pull += (long double)dy[j] * ((long double)x[j] - mean) * s / n;
  for (int j = 0; j < n; j++) {
    const double want = (double)(((long double)x[j] - mean) * s);
    const double slope = (double)(s * ((long double)dy[j] - along - (long double)want * pull));
    const double limit = EITHER(2e-6, 4e-15) * (double)s;
    check(fabs((double)y[j] - want) < limit, "c row_norm of %d: %g", n, (double)y[j]);
    check(fabs((double)dx[j] - slope) < limit * (1 + (double)s), "c row_norm_grad of %d: %g", n, (double)dx[j]);
  }
}

/* Out of place, and in place of x (alias 1) or of dy (2). */
static void norm_case (const lurn_kernels *t, int rows, int cols, real (*value) (void), int alias) {
  const size_t n = (size_t)rows * (size_t)cols;
  real *x = numbers(n + 1, value), *dy = numbers(n + 1, value), k = below(2) ? (real)1e-5 : (real)0.3;
  real *y = guarded(n), *want = guarded(n), *dx = guarded(n), *want_dx = guarded(n);
  plain->row_norm(want, x + 1, k, rows, cols);
  plain->row_norm_grad(want_dx, dy + 1, x + 1, k, rows, cols);
  if (alias) memcpy(y, x + 1, n * sizeof *y);
  if (alias) memcpy(dx, (alias == 1 ? x : dy) + 1, n * sizeof *dx);
  t->row_norm(y, alias ? y : x + 1, k, rows, cols);
  t->row_norm_grad(dx, alias == 2 ? dx : dy + 1, alias == 1 ? dx : x + 1, k, rows, cols);
  check(same_all(y, want, n) && intact(y, n), "%s row_norm (%d,%d), alias %d", t->isa, rows, cols, alias);
  check(same_all(dx, want_dx, n) && intact(dx, n), "%s row_norm_grad (%d,%d), alias %d", t->isa, rows, cols, alias);
  for (int i = 0; i < rows && t == plain && value == plain_value; i++) {
    const size_t at = (size_t)i * (size_t)cols;
    norm_agrees(y + at, dx + at, dy + 1 + at, x + 1 + at, k, cols);
  }
  free(x), free(dy);
  guarded_free(y), guarded_free(want), guarded_free(dx), guarded_free(want_dx);
}

/* An array in pieces, cut anywhere, is the array whole; the tree leaves the lanes as they are. */
static void pieces_case (const lurn_kernels *t, size_t n, real (*value) (void)) {
  real *x = numbers(n + 4, value), *in = x + below(4);
  double block[18] = {0}, *lanes = block + 1, kept[18];
  block[0] = block[17] = -7;
  for (size_t at = 0, piece; at < n; at += piece) {
    piece = (size_t)below((int)(n - at)) + 1;
    t->sum_on(lanes, at, in + at, piece);
  }
  memcpy(kept, block, sizeof kept);
  const double s = t->sum_up(lanes), want = lanes_sum(in, n, 0);
  check(s == want || (s != s && want != want), "%s sum_on, sum_up of %zu: %g is not %g", t->isa, n, s, want);
  check(block[0] == -7 && block[17] == -7, "%s sum_on of %zu writes beyond its lanes", t->isa, n);
  check(memcmp(kept, block, sizeof kept) == 0, "%s sum_up of %zu changes the lanes", t->isa, n);
  free(x);
}

static void check_pieces (const lurn_kernels *t) {
  begin();
  for (int i = 0; i < NSIZES; i++)
    for (int k = 0; k < 8; k++) pieces_case(t, (size_t)sizes[i], k % 2 ? any_value : plain_value);
  pieces_case(t, 5003, plain_value);
  report(t->isa, "sums in pieces", "");
}

/* Few different values, so that there are equals, and sometimes a row of nothing but -inf. */
static real few_values (void) { return (real)(below(3) - 1); }
static real lowest (void) { return (real)-INFINITY; }

static void check_rows (const lurn_kernels *t) {
  begin();
  for (int i = 0; i < NSIZES; i++)
    for (int rows = 0; rows <= 3; rows++) {
      fill_case(t, rows, sizes[i], rows % 2);
      fill_case(t, rows, sizes[i], 5);
      row_case(t, rows, sizes[i], any_value);
      row_case(t, rows, sizes[i], plain_value);
      row_case(t, rows, sizes[i], few_values);
      row_case(t, rows, sizes[i], lowest);
      for (int alias = 0; alias <= 2; alias++) {
        norm_case(t, 6 * rows, sizes[i], any_value, alias);
        norm_case(t, 6 * rows, sizes[i], plain_value, alias);
      }
    }
  report(t->isa, "rows, sums", "");
}

/* ---- dropout ---------------------------------------------------------------------------- */

static void dropout_case (const lurn_kernels *t, int n, uint32_t highest, int alias) {
  const lurn_key key = lurn_key_make(random_bits(), LURN_PURPOSE_TRAIN, "a");
  const uint64_t step = random_bits() >> below(64), row = random_bits() >> below(64), pos = random_bits() >> below(64);
  real *x = numbers((size_t)n + 1, any_value), *y = guarded((size_t)n), *want = guarded((size_t)n);
  uint32_t counter[4], kept[4];
  const lurn_key own = lurn_random_at(counter, key, step, row, pos);
  for (int j = 0; j < n; j++)
    want[j] = lurn_random_word(key, step, row, pos, (uint32_t)j) > highest ? x[j + 1] * (real)1.7 : 0;
  if (alias) memcpy(y, x + 1, (size_t)n * sizeof *y);
  memcpy(kept, counter, sizeof kept);
  t->dropout(y, alias ? y : x + 1, (real)1.7, highest, counter, own.k, n);
  check(same_all(y, want, (size_t)n) && intact(y, (size_t)n), "%s dropout of %d, alias %d", t->isa, n, alias);
  check(memcmp(kept, counter, sizeof kept) == 0, "%s dropout changes the counter", t->isa);
  free(x);
  guarded_free(y);
  guarded_free(want);
}

static void check_dropout (const lurn_kernels *t) {
  static const uint32_t limits[] = { 0, 1u << 30, 1u << 31, 0xffffffffu };
  begin();
  for (int i = 0; i < NSIZES; i++)
    for (int k = 0; k < 8; k++) dropout_case(t, sizes[i], limits[k / 2], k % 2);
  report(t->isa, "dropout", "");
}

/* ---- products --------------------------------------------------------------------------- */

/* The format is the table's own business, but it lies between its ends. */
static void pack_case (const lurn_kernels *t, int K, int N, int trans) {
  const size_t count = t->pack_count(K, N), room = LURN_ALIGN / sizeof(real);
  const size_t bytes = lurn_align((count + 2 * room) * sizeof(real));
  real *block = aligned_alloc(LURN_ALIGN, bytes), *w = numbers((size_t)K * (size_t)N + 4, plain_value);
  memset(block, CANARY, bytes);
  t->pack(block + room, w + below(4), K, N, trans);
  check(count >= (size_t)K * (size_t)N, "%s pack_count (%d,%d) is %zu", t->isa, K, N, count);
  check(canary_at(block, room) && canary_at(block + room + count, room),
        "%s pack (%d,%d) trans %d writes beyond its place", t->isa, K, N, trans);
  free(block), free(w);
}

static void check_pack (const lurn_kernels *t) {
  begin();
  for (int i = 0; i < NSIZES; i++)
    for (int k = 0; k < NSIZES; k++)
      for (int trans = 0; trans <= 1; trans++) pack_case(t, sizes[i], sizes[k], trans);
  report(t->isa, "pack", "");
}

static real naive_fma (real a, real b, real c) {
  return EITHER(fmaf((float)a, (float)b, (float)c), fma((double)a, (double)b, (double)c));
}

static void naive_product (const lurn_product *p, const real *w, int trans) {
  for (int m = 0; m < p->M; m++)
    for (int n = 0; n < p->N; n++) {
      real acc = p->init ? p->init[m * p->ldi + n] : 0;
      for (int k = 0; k < p->K; k++)
        acc = naive_fma(p->a[m * p->lda + k], trans ? w[(ptrdiff_t)n * p->K + k] : w[(ptrdiff_t)k * p->N + n], acc);
      p->c[m * p->ldc + n] = acc;
    }
}

/* Nearly always ordinary; a NaN or an infinity must reach its own elements and no others. */
static real product_value (void) { return below(2000) ? plain_value() : special(); }

/* init: 0 none, 1 a matrix, 2 one row, 3 c itself */
static void product_case (const lurn_kernels *t, int M, int N, int K, int init, int trans) {
  const ptrdiff_t lda = K + below(3), ldc = N + below(3);
  const size_t size = (size_t)M * (size_t)ldc;
  real *a = numbers((size_t)(M * lda), product_value), *w = numbers((size_t)K * (size_t)N, product_value);
  real *first = numbers(size + (size_t)N, product_value), *c = guarded(size), *want = guarded(size);
  const size_t count = t->pack_count(K, N), bytes = lurn_align((count + 1) * sizeof(real));
  real *packed = aligned_alloc(LURN_ALIGN, bytes);
  for (int m = 0; init == 3 && m < M; m++) {
    memcpy(c + m * ldc, first + m * ldc, (size_t)N * sizeof *c);
    memcpy(want + m * ldc, first + m * ldc, (size_t)N * sizeof *c);
  }
  memset(packed, CANARY, bytes);
  t->pack(packed, w, K, N, trans);
  check(canary_at(packed + count, 1), "%s pack (%d,%d) trans %d writes beyond the end", t->isa, K, N, trans);
  lurn_product p = { M, N, K, a, lda, packed, init == 0 ? NULL : init == 3 ? c : first, init == 2 ? 0 : ldc, c, ldc };
  t->product(&p, 1);
  p.c = want;
  if (init == 3) p.init = want;
  naive_product(&p, w, trans);
  check(same_all(c, want, size) && intact(c, size), "%s product (%d,%d,%d) init %d trans %d", t->isa, M, N, K, init, trans);
  free(a), free(w), free(first), free(packed);
  guarded_free(c);
  guarded_free(want);
}

/* Some panels of a product: columns [from, to). */
static void columns_case (const lurn_kernels *t, int M, int N, int K) {
  const int panels = t->panels(N), first = below(panels), from = first * t->panel;
  const int end = first + 1 + below(panels - first), to = end < panels ? end * t->panel : N;
  const size_t size = (size_t)M * (size_t)N;
  real *a = numbers((size_t)M * (size_t)K, product_value), *w = numbers((size_t)K * (size_t)N, product_value);
  real *whole = numbers(size, plain_value), *c = guarded(size), *want = guarded(size);
  real *packed = aligned_alloc(LURN_ALIGN, lurn_align((t->pack_count(K, N) + 1) * sizeof(real)));
  memset(c, 0, size * sizeof *c);
  memset(want, 0, size * sizeof *want);
  t->pack(packed, w, K, N, 0);
  lurn_product p = { M, N, K, a, K, packed, NULL, 0, whole, N };
  t->product(&p, 1);
  for (int m = 0; m < M; m++)
    memcpy(want + m * N + from, whole + m * N + from, (size_t)(to - from) * sizeof *want);
  p.packed += t->pack_count(K, from);
  p.c = c + from;
  p.N = to - from;
  t->product(&p, 1);
  check(same_all(c, want, size) && intact(c, size), "%s product (%d,%d,%d) columns %d to %d", t->isa, M, N, K, from, to);
  free(a), free(w), free(whole), free(packed);
  guarded_free(c);
  guarded_free(want);
}

static void check_columns (const lurn_kernels *t) {
  begin();
  for (int i = 0; i < 300; i++) columns_case(t, 1 + below(9), 1 + below(300), below(40));
  report(t->isa, "product", "columns");
}

/* Several at once, over the same rows of A or others, some of them going on with the one before. */
enum { LIST = 7 };

static void product_list_case (const lurn_kernels *t) {
  lurn_product p[LIST], naive[LIST];
  real *w[LIST], *packed[LIST], *a = numbers(40 * 70, product_value), *first = numbers(300, product_value);
  const int n = 1 + below(LIST), M = below(3) ? 1 + below(3) : below(40), K = below(70), N = any_size() % 100;
  for (int i = 0; i < n; i++) {
    const int follows = i > 0 && below(2), own = below(3) == 0;
    p[i] = (lurn_product){ M, follows ? p[i - 1].N : own ? below(100) : N, own ? below(70) : K };
    p[i].a = own ? a + below(9) : a;
    p[i].lda = p[i].K;
    p[i].follows = follows;
    p[i].init = below(3) ? first : NULL;
    p[i].ldc = p[i].N + below(3);
    const size_t size = (size_t)(M * p[i].ldc), count = t->pack_count(p[i].K, p[i].N);
    w[i] = numbers((size_t)p[i].K * (size_t)p[i].N, product_value);
    packed[i] = aligned_alloc(LURN_ALIGN, lurn_align((count + 1) * sizeof(real)));
    t->pack(packed[i], w[i], p[i].K, p[i].N, 0);
    p[i].packed = packed[i];
    p[i].c = guarded(size);
    naive[i] = p[i];
    naive[i].c = guarded(size);
    if (follows) naive[i].init = naive[i - 1].c, naive[i].ldi = naive[i - 1].ldc;
    naive_product(&naive[i], w[i], 0);
  }
  t->product(p, n);
  for (int i = 0; i < n; i++) {
    const size_t size = (size_t)(M * p[i].ldc);
    const int shown = i + 1 == n || !p[i + 1].follows;
    check((!shown || same_all(p[i].c, naive[i].c, size)) && intact(p[i].c, size),
          "%s product %d of %d (%d,%d,%d)", t->isa, i + 1, n, M, p[i].N, p[i].K);
  }
  for (int i = 0; i < n; i++) {
    free(w[i]), free(packed[i]);
    guarded_free(p[i].c);
    guarded_free(naive[i].c);
  }
  free(a), free(first);
}

static void check_product (const lurn_kernels *t) {
  begin();
  for (int i = 0; i < NSIZES; i++)
    for (int init = 0; init < 4; init++) {
      product_case(t, 1, sizes[i], any_size(), init, 0);
      product_case(t, sizes[i], any_size(), 17, init, 1);
    }
  for (int i = 0; i < 150; i++) product_case(t, below(33), any_size(), below(70), below(4), below(2));
  for (int i = 0; i < 150; i++) product_case(t, 1 + below(6), 1 + below(300), 1 + below(40), below(4), below(2));
  for (int i = 0; i < 400; i++) product_list_case(t);
  report(t->isa, "product", "");
}

static void naive_outer (int M, int K, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd,
                         real *c, ptrdiff_t ldc) {
  for (int m = M - 1; m >= 0; m--)
    for (int k = 0; k < K; k++)
      for (int n = 0; n < N; n++) c[k * ldc + n] = naive_fma(a[m * lda + k], d[m * ldd + n], c[k * ldc + n]);
}

static void outer_case (const lurn_kernels *t, int M, int K, int N) {
  const ptrdiff_t lda = K + below(3), ldd = N + below(3), ldc = N + below(3);
  const size_t size = (size_t)K * (size_t)ldc;
  real *a = numbers((size_t)(M * lda), product_value), *d = numbers((size_t)(M * ldd), product_value);
  real *first = numbers(size, product_value), *c = guarded(size), *want = guarded(size);
  memcpy(c, first, size * sizeof *c);
  memcpy(want, first, size * sizeof *c);
  t->outer(M, K, N, a, lda, d, ldd, c, ldc);
  naive_outer(M, K, N, a, lda, d, ldd, want, ldc);
  check(same_all(c, want, size) && intact(c, size), "%s outer (%d,%d,%d)", t->isa, M, K, N);
  if (K > 0) {
    for (int n = 0; n < N; n++) {
      c[n] = first[n];
      for (int m = M - 1; m >= 0; m--) c[n] += d[m * ldd + n];
    }
    memcpy(want, first, (size_t)N * sizeof *c);
    t->column_sum(M, N, d, ldd, want);
    check(same_all(want, c, (size_t)N) && intact(want, size), "%s column_sum (%d,%d)", t->isa, M, N);
    const int cols = K < N ? K : N;
    for (int n = 0; n < cols; n++) {
      c[n] = first[n];
      for (int m = M - 1; m >= 0; m--) c[n] = naive_fma(a[m * lda + n], d[m * ldd + n], c[n]);
    }
    memcpy(want, first, (size_t)cols * sizeof *c);
    t->column_dot(M, cols, a, lda, d, ldd, want);
    check(same_all(want, c, (size_t)cols) && intact(want, size), "%s column_dot (%d,%d)", t->isa, M, cols);
  }
  free(a), free(d), free(first);
  guarded_free(c);
  guarded_free(want);
}

/* Words that come again and again, some of them none. */
static void scatter_case (const lurn_kernels *t, int M, int N, int rows, int spare) {
  const ptrdiff_t ldd = N + below(3), ldc = N + below(3);
  const size_t size = (size_t)((rows + spare) * ldc);
  real *d = numbers((size_t)(M * ldd), product_value), *first = numbers(size, product_value);
  real *c = guarded(size), *want = guarded(size);
  int32_t *id = malloc(((size_t)M + 1) * sizeof *id);
  for (int m = 0; m < M; m++) id[m] = below(rows + 2) - 1;
  memcpy(c, first, size * sizeof *c);
  memcpy(want, first, size * sizeof *want);
  t->scatter(M, N, id, rows, spare ? rows : -1, d, ldd, c, ldc);
  for (int m = M - 1; m >= 0; m--) {
    const int v = id[m] >= 0 && id[m] < rows ? id[m] : rows;
    for (int n = 0; n < N && v < rows + spare; n++) want[v * ldc + n] += d[m * ldd + n];
  }
  check(same_all(c, want, size) && intact(c, size), "%s scatter (%d,%d) to %d rows, spare %d", t->isa, M, N, rows, spare);
  free(d), free(first), free(id);
  guarded_free(c);
  guarded_free(want);
}

static void check_scatter (const lurn_kernels *t) {
  begin();
  for (int i = 0; i < NSIZES; i++)
    for (int spare = 0; spare <= 1; spare++) {
      scatter_case(t, below(70), sizes[i], 1 + below(20), spare);
      scatter_case(t, sizes[i], any_size(), 3, spare);
    }
  report(t->isa, "scatter", "");
}

static void check_outer (const lurn_kernels *t) {
  begin();
  for (int i = 0; i < NSIZES; i++) {
    outer_case(t, sizes[i], any_size(), 17);
    outer_case(t, sizes[i], 7, any_size());
    outer_case(t, 3, sizes[i], 33);
  }
  for (int i = 0; i < 100; i++) outer_case(t, below(300), 1 + below(20), 1 + below(70));
  outer_case(t, 2500, 3, 65);
  outer_case(t, 9, 1200, 157);     /* strips of C, whatever the instruction set */
  outer_case(t, 270, 600, 137);    /* and two chunks of frames */
  report(t->isa, "outer", "");
}

/* ---- orthonormal vectors ---------------------------------------------------------------- */

static double naive_dot (const double *a, const double *b, size_t m) {
  double s[LURN_BASIS] = {0};
  for (size_t i = 0; i < m; i++) s[i % LURN_BASIS] += a[i] * b[i];
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* Vector after vector, pass after pass. */
static void naive_orthonormal (double *q, size_t n, size_t m, size_t room) {
  for (size_t j = 0; j < n; j++) {
    double *v = q + j * room;
    for (int pass = 0; pass < 2; pass++)
      for (size_t k = 0; k < j; k++) {
        const double *u = q + k * room, d = naive_dot(v, u, m);
        for (size_t i = 0; i < m; i++) v[i] -= d * u[i];
      }
    const double length = sqrt(naive_dot(v, v, m));
    for (size_t i = 0; i < m; i++) v[i] /= length;
  }
}

static void check_orthonormal (const lurn_kernels *t) {
  static double q[71 * 80], want[71 * 80];
  begin();
  for (int trial = 0; trial < 60; trial++) {
    const size_t m = (size_t)(1 + below(80)), n = (size_t)(1 + below((int)(m < 70 ? m : 70)));
    const size_t room = (m + LURN_BASIS - 1) / LURN_BASIS * LURN_BASIS;
    memset(q, 0, sizeof q);
    for (size_t j = 0; j < n; j++)
      for (size_t i = 0; i < m; i++) q[j * room + i] = uniform(-1, 1);
    memcpy(want, q, sizeof q);
    naive_orthonormal(want, n, m, room);
    t->orthonormal(q, n, room);
    check(memcmp(q, want, sizeof q) == 0, "%s orthonormal (%zu,%zu)", t->isa, n, m);
  }
  report(t->isa, "orthonormal", "");
}

/* ---- all of it -------------------------------------------------------------------------- */

/* Kernels beside the maps, each with what checks it; those of one check stand together. */
typedef struct kernel_row { const char *name; size_t offset; void (*check) (const lurn_kernels *t); } kernel_row;
#define KERNEL(name, check) { #name, offsetof(lurn_kernels, name), check }
static const kernel_row kernels[] = {
  KERNEL(row_sum, check_rows), KERNEL(row_max, check_rows), KERNEL(row_lse, check_rows), KERNEL(row_argmax, check_rows),
  KERNEL(row_norm, check_rows), KERNEL(row_norm_grad, check_rows), KERNEL(sum, check_rows),
  KERNEL(sum_squares, check_rows), KERNEL(row_fill, check_rows), KERNEL(dropout, check_dropout),
  KERNEL(sum_on, check_pieces), KERNEL(sum_up, check_pieces),
  KERNEL(pack_count, check_pack), KERNEL(pack, check_pack),
  KERNEL(product, check_product), KERNEL(panel, check_columns), KERNEL(panels, check_columns),
  KERNEL(outer, check_outer), KERNEL(column_sum, check_outer), KERNEL(column_dot, check_outer),
  KERNEL(scatter, check_scatter),
  KERNEL(orthonormal, check_orthonormal),
};
#define NKERNELS ((int)(sizeof kernels / sizeof *kernels))
_Static_assert(sizeof(lurn_kernels) == offsetof(lurn_kernels, map) + (1 + sizeof kernels / sizeof *kernels)
               * sizeof(lurn_map_fn), "every kernel of kernel.h has a check: add a row to kernels[]");

/* As many rows as kernels, and none twice: then each has one. */
static void check_list (void) {
  for (int i = 0; i < NKERNELS; i++)
    for (int k = 0; k < i; k++)
      check(kernels[i].offset != kernels[k].offset, "%s and %s are one kernel", kernels[i].name, kernels[k].name);
}

static void check_names (const char *const *list) {
  check(lurn_kernels_find("c") == plain && lurn_kernels_find("none") == NULL, "lurn_kernels_find");
  check(lurn_kernels_find(NULL) == lurn_kernels_find(""), "lurn_kernels_find, the best");
  const char *best = NULL;
  for (; *list; best = *list++)
    check(strcmp(lurn_kernels_find(*list)->isa, *list) == 0, "lurn_kernels_find(\"%s\")", *list);
  check(strcmp(lurn_kernels_find(NULL)->isa, best) == 0, "the best is the last of the list");
  check(strcmp(lurn_map_name(LURN_MAP_where), "where") == 0 && lurn_map_inputs(LURN_MAP_where) == 3
        && lurn_map_has_imm(LURN_MAP_gate_lt) && *lurn_map_formula(LURN_MAP_tanh) == 't', "names of maps");
}

/* The processor's own SHA-256, where it has one, beside the standard's: from any words, over any number of blocks. */
static void check_sha256 (void) {
  const lurn_sha256_fn own = lurn_kernels_sha256();
  uint32_t h[2][8];
  uint8_t block[6 * 64];
  for (int trial = 0; own && trial < 200; trial++) {
    for (size_t i = 0; i < sizeof block; i++) block[i] = (uint8_t)random_bits();
    for (int i = 0; i < 8; i++) h[0][i] = h[1][i] = (uint32_t)random_bits();
    const size_t n = (size_t)trial % 7;
    lurn_sha256_plain(h[0], block, n, lurn_sha256_k);
    own(h[1], block, n, lurn_sha256_k);
    check(memcmp(h[0], h[1], sizeof h[0]) == 0, "SHA-256 of %zu blocks", n);
  }
}

int main (int argc, char **argv) {
  const char *const *list = lurn_kernels_list();
  plain = lurn_kernels_find("c");
  if (argc > 1 && strcmp(argv[1], "--bench") == 0) return bench(list);
  verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
  check_names(list);
  check_list();
  check_sha256();
  for (int m = 0; m < LURN_NMAPS; m++) {
    if (curve_of((lurn_map)m)) check_accuracy(curve_of((lurn_map)m));
    else check_formula((lurn_map)m);
  }
  for (; *list; list++) {
    const lurn_kernels *t = lurn_kernels_find(*list);
    for (int m = 0; m < LURN_NMAPS; m++) check_map(t, (lurn_map)m);
    for (int k = 0; k < NKERNELS; k++)
      if (k == 0 || kernels[k].check != kernels[k - 1].check) kernels[k].check(t);
  }
  return check_done("check_kernels");
}
