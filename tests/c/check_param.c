/* check_param.c: the table and its layout; each initialiser by what it promises. */
#include "check.h"
#include "param.h"

static const lurn_init zero = {LURN_INIT_CONSTANT, 0, 0};

static int declare (lurn_ctx *ctx, lurn_params *t, const char *path, int rows, int cols, lurn_init init) {
  int index = -1, dim[2] = {rows, cols};
  check(lurn_params_declare(ctx, t, path, cols ? 2 : 1, dim, init, &index) == LURN_OK, "declare %s", path);
  return index;
}

/* --- the table ----------------------------------------------------------------------------- */

static void refused (lurn_ctx *ctx, lurn_params *t, const char *path, int rank, const int *dim, const char *say) {
  int index, n = t->n;
  lurn_status status = lurn_params_declare(ctx, t, path, rank, dim, zero, &index);
  check(status == LURN_EINVAL && strstr(ctx->message, say) && t->n == n, "expected '%s', got '%s'", say, ctx->message);
}

static void misuse (lurn_ctx *ctx) {
  lurn_params t = {0};
  int a = declare(ctx, &t, "lstm1.f.Wx", 3, 4, zero), index, scalar, dim[] = {3, 4}, other[] = {3, 5}, none[] = {3, 0};
  int huge[] = {2147483647, 2147483647, 2147483647, 2147483647};
  char name[LURN_NAME + 1];
  memset(name, 'x', LURN_NAME);
  name[LURN_NAME] = '\0';
  check(lurn_params_declare(ctx, &t, "lstm1.f.Wx", 2, dim, zero, &index) == LURN_OK && index == a, "declared again");
  refused(ctx, &t, "lstm1.f.Wx", 2, other, "lstm1.f.Wx: declared with shape (3,4), again with (3,5)");
  refused(ctx, &t, "lstm1.f.Wx", 1, dim, "(3,4), again with (3)");
  refused(ctx, &t, "b", 2, none, "dimension 2 is 0");
  refused(ctx, &t, "b", 5, dim, "rank 5");
  refused(ctx, &t, "b", -1, dim, "rank -1");
  refused(ctx, &t, "b", 4, huge, "more elements");
  refused(ctx, &t, "", 2, dim, "needs a name");
  refused(ctx, &t, name, 2, dim, "longer than 95");
  check(lurn_params_declare(ctx, &t, name + 1, 0, NULL, zero, &scalar) == LURN_OK && t.p[scalar].count == 1, "scalar");
  check(lurn_params_find(&t, name + 1) == scalar && lurn_params_find(&t, "lstm1") == -1, "find");
  lurn_params_layout(&t);
  refused(ctx, &t, "late", 2, dim, "late: declared after");
  check(lurn_params_declare(ctx, &t, "lstm1.f.Wx", 2, dim, zero, &index) == LURN_OK, "found after layout");
  lurn_params_free(ctx, &t);
  check(t.p == NULL && t.n == 0, "freed");
}

static void layout (lurn_ctx *ctx) {
  static const char *sorted[] = {"Wo", "bo", "l1.Wh", "l1.Wx", "l1.b", "l10.b", "l2.b"};
  static const int declared[] = {4, 0, 6, 2, 5, 1, 3};
  lurn_params t = {0};
  int order[7];
  size_t end = 0;
  for (int i = 0; i < 7; i++)
    check(declare(ctx, &t, sorted[declared[i]], 5 + declared[i], declared[i] % 3, zero) == i, "indices count up");
  lurn_params_layout(&t);
  lurn_params_order(&t, order);
  for (int i = 0; i < 7; i++) {
    const lurn_param *p = &t.p[order[i]];
    check(strcmp(p->path, sorted[i]) == 0, "place %d is %s", i, p->path);
    check(p->offset == end && p->offset * sizeof(real) % LURN_ALIGN == 0, "%s is aligned, without gaps", p->path);
    end = p->offset + lurn_align(p->count * sizeof(real)) / sizeof(real);
  }
  check(t.count == end, "count %zu, end %zu", t.count, end);
  lurn_params_free(ctx, &t);
}

/* Growing past the first capacity, with the n-th allocation refused. */
static void allocation_failures (lurn_ctx *ctx, check_heap *heap) {
  for (int fail_at = 1; fail_at <= 4; fail_at++) {
    lurn_params t = {0};
    int index, dim[] = {2}, failed = 0;
    heap->fail_at = fail_at;
    for (int i = 0; i < 100; i++) {
      char path[16];
      snprintf(path, sizeof path, "p%d", i);
      lurn_status status = lurn_params_declare(ctx, &t, path, 1, dim, zero, &index);
      failed += status == LURN_ENOMEM;
      if (status == LURN_ENOMEM) check(lurn_params_find(&t, path) == -1 && ctx->message[0], "%s is not there", path);
    }
    check(failed == 1 && t.n == 99, "one of 100 failed, %d are there", t.n);
    lurn_params_free(ctx, &t);
  }
  heap->fail_at = 0;
}

/* --- initialisers -------------------------------------------------------------------------- */

enum { ROWS = 120, COLS = 180, ROOM = ROWS * COLS + 64 };

static void init_one (lurn_ctx *ctx, const char *path, int rows, int cols, lurn_init init, real *value) {
  lurn_params t = {0};
  declare(ctx, &t, path, rows, cols, init);
  lurn_params_layout(&t);
  for (size_t i = 0; i < t.count; i++) value[i] = 77;
  check(lurn_params_init(ctx, &t, 9, value) == LURN_OK, "init %s: %s", path, ctx->message);
  for (size_t i = t.p[0].count; i < t.count; i++) check(value[i] == 0, "padding of %s", path);
  lurn_params_free(ctx, &t);
}

/* Mean and deviation within four standard errors; bound 0 means unbounded. */
static void spread (lurn_ctx *ctx, const char *path, lurn_init init, double mean, double deviation, double bound) {
  static real w[ROOM];
  double n = ROWS * COLS, sum = 0, square = 0, most = 0;
  init_one(ctx, path, ROWS, COLS, init, w);
  for (int i = 0; i < ROWS * COLS; i++) {
    double d = (double)w[i] - mean;
    sum += d / n;
    square += d * d / n;
    most = fmax(most, fabs(d));
  }
  check(fabs(sum) < 4 * deviation / sqrt(n), "%s: mean off by %g", path, sum);
  check(fabs(sqrt(square) / deviation - 1) < 4 / sqrt(2 * n), "%s: deviation %g, expected %g", path, sqrt(square), deviation);
  if (bound > 0) check(most <= bound * (1 + 1e-7) && most > 0.99 * bound, "%s: reaches %g of %g", path, most, bound);
  else check(most > 3.5 * deviation, "%s: has tails", path);
}

static void spreads (lurn_ctx *ctx) {
  double in = ROWS, out = COLS, s3 = sqrt(3), a;
  spread(ctx, "uniform", (lurn_init){LURN_INIT_UNIFORM, -1, 3}, 1, 2 / s3, 2);
  spread(ctx, "normal", (lurn_init){LURN_INIT_NORMAL, -1, 3}, -1, 3, 0);
  a = 1.5 * sqrt(6 / (in + out));
  spread(ctx, "xavier_uniform", (lurn_init){LURN_INIT_XAVIER_UNIFORM, 1.5, 0}, 0, a / s3, a);
  spread(ctx, "xavier_normal", (lurn_init){LURN_INIT_XAVIER_NORMAL, 1.5, 0}, 0, a / s3, 0);
  a = sqrt(2) * sqrt(3 / in);
  spread(ctx, "he_uniform", (lurn_init){LURN_INIT_HE_UNIFORM, sqrt(2), 0}, 0, a / s3, a);
  spread(ctx, "he_normal", (lurn_init){LURN_INIT_HE_NORMAL, sqrt(2), 0}, 0, a / s3, 0);
  a = 1 / sqrt(180);
  spread(ctx, "fan_uniform", (lurn_init){LURN_INIT_FAN_UNIFORM, 1, 180}, 0, a / s3, a);
}

static void plain (lurn_ctx *ctx) {
  static real w[ROOM];
  int wrong = 0;
  init_one(ctx, "constant", ROWS, COLS, (lurn_init){LURN_INIT_CONSTANT, 0.25, 0}, w);
  for (int i = 0; i < ROWS * COLS; i++) wrong += w[i] != (real)0.25;
  check(wrong == 0, "constant");
  init_one(ctx, "identity", 3, 5, (lurn_init){LURN_INIT_IDENTITY, 2, 0}, w);
  for (int r = 0; r < 3; r++)
    for (int c = 0; c < 5; c++) check(w[r * 5 + c] == (real)(r == c ? 2 : 0), "identity %d %d", r, c);
}

/* (kh,kw,C,M): an output is made of kh kw C numbers, an input is part of kh kw M; nothing changes with a one in the
 * middle. */
static void convolution (lurn_ctx *ctx) {
  static real w[3 * 3 * 20 * 40 + 64];
  lurn_params t = {0};
  int dim[] = {3, 3, 20, 40}, index, wrong = 0;
  double most = 0, bound = sqrt(6.0 / (9 * 20 + 9 * 40));
  check(lurn_params_declare(ctx, &t, "conv", 4, dim, (lurn_init){LURN_INIT_XAVIER_UNIFORM, 1, 0}, &index) == LURN_OK, "conv");
  lurn_params_layout(&t);
  check(lurn_params_init(ctx, &t, 1, w) == LURN_OK, "xavier of (3,3,20,40)");
  for (size_t i = 0; i < t.p[0].count; i++) most = fmax(most, fabs((double)w[i]));
  check(most <= bound * (1 + 1e-7) && most > 0.99 * bound, "xavier of (3,3,20,40) reaches %g of %g", most, bound);
  t.p[0].init = (lurn_init){LURN_INIT_IDENTITY, 2, 0};
  check(lurn_params_init(ctx, &t, 1, w) == LURN_OK, "identity of (3,3,20,40)");
  for (int i = 0; i < 9 * 20 * 40; i++) wrong += w[i] != (real)(i / 800 == 4 && i / 40 % 20 == i % 40 ? 2 : 0);
  check(wrong == 0, "identity of (3,3,20,40)");
  lurn_params_free(ctx, &t);
}

/* W^T W = gain^2 I for a tall matrix, W W^T for a wide one; and Q's signs: the factorisation of
 * the normal matrix has a positive diagonal, so each vector leans towards its own column. */
static void orthogonal (lurn_ctx *ctx, int rows, int cols, double gain) {
  static real w[ROOM];
  int tall = rows >= cols, n = tall ? cols : rows, m = tall ? rows : cols;
  ptrdiff_t across = tall ? 1 : cols, along = tall ? cols : 1;
  lurn_key key = lurn_key_make(9, LURN_PURPOSE_INIT, "orth");
  double worst = 0;
  init_one(ctx, "orth", rows, cols, (lurn_init){LURN_INIT_ORTHOGONAL, gain, 0}, w);
  for (int j = 0; j < n; j++) {
    for (int k = 0; k <= j; k++) {
      double dot = 0;
      for (int i = 0; i < m; i++) dot += (double)w[j * across + i * along] * (double)w[k * across + i * along];
      worst = fmax(worst, fabs(dot / (gain * gain) - (j == k)));
    }
    double lean = 0;
    for (int i = 0; i < m; i++) lean += (double)w[j * across + i * along] * lurn_random_normal(key, (uint64_t)(j * m + i));
    check(lean > 0, "orthogonal (%d,%d): sign of vector %d", rows, cols, j);
  }
  check(worst < EITHER(1e-6, 1e-12), "orthogonal (%d,%d): off by %g", rows, cols, worst);
}

static void orthogonal_shapes (lurn_ctx *ctx, check_heap *heap) {
  static const int shape[][2] = {{1, 1}, {1, 3}, {3, 1}, {2, 2}, {17, 40}, {40, 17}, {64, 64}, {120, 119}, {119, 120}, {120, 120}};
  static real w[ROOM];
  lurn_params t = {0};
  int dim[] = {2, 3, 4}, index;
  for (size_t i = 0; i < sizeof shape / sizeof *shape; i++) orthogonal(ctx, shape[i][0], shape[i][1], i % 2 ? 1 : 1.5);
  check(lurn_params_declare(ctx, &t, "cube", 3, dim, (lurn_init){LURN_INIT_ORTHOGONAL, 1, 0}, &index) == LURN_OK, "cube");
  lurn_params_layout(&t);
  check(lurn_params_init(ctx, &t, 1, w) == LURN_OK, "orthogonal of (2,3,4)");
  for (int c = 0; c < 4; c++) {
    double square = 0;
    for (int r = 0; r < 6; r++) square += (double)w[r * 4 + c] * (double)w[r * 4 + c];
    check(near(square, 1, EITHER(1e-6, 1e-12)), "(2,3,4) is a (6,4) matrix");
  }
  heap->fail_at = 1;
  check(lurn_params_init(ctx, &t, 1, w) == LURN_ENOMEM, "no scratch, no orthogonal matrix");
  heap->fail_at = 0;
  lurn_params_free(ctx, &t);
}

static void misfits (lurn_ctx *ctx) {
  static const lurn_init_kind kinds[] = {LURN_INIT_XAVIER_UNIFORM, LURN_INIT_XAVIER_NORMAL, LURN_INIT_HE_UNIFORM,
                                         LURN_INIT_HE_NORMAL, LURN_INIT_ORTHOGONAL, LURN_INIT_IDENTITY};
  real w[64];
  for (size_t i = 0; i <= sizeof kinds / sizeof *kinds; i++) {
    lurn_params t = {0};
    lurn_init init = {i < sizeof kinds / sizeof *kinds ? kinds[i] : LURN_INIT_FAN_UNIFORM, 1, 0};
    declare(ctx, &t, "lstm1.b", 7, 0, init);
    lurn_params_layout(&t);
    check(lurn_params_init(ctx, &t, 1, w) == LURN_EINVAL && strstr(ctx->message, "lstm1.b"), "%s", ctx->message);
    lurn_params_free(ctx, &t);
  }
}

/* --- the same numbers ---------------------------------------------------------------------- */

/* Values depend on seed and path, not on what else is declared or when. */
static void order_does_not_matter (lurn_ctx *ctx) {
  static const char *path[] = {"a", "c", "b"};
  static real w[3][512];
  lurn_init init = {LURN_INIT_NORMAL, 0, 1};
  for (int k = 0; k < 2; k++) {
    lurn_params t = {0};
    for (int i = 0; i < 3; i++) declare(ctx, &t, path[k ? 2 - i : i], 7, 3, init);
    lurn_params_layout(&t);
    check(lurn_params_init(ctx, &t, 5, w[k]) == LURN_OK, "init");
    check(lurn_param_init(ctx, &t.p[lurn_params_find(&t, "b")], 5, w[2]) == LURN_OK, "init of one");
    size_t at = t.p[lurn_params_find(&t, "b")].offset;
    check(memcmp(w[k] + at, w[2] + at, 21 * sizeof(real)) == 0, "one parameter alone has the same values");
    lurn_params_free(ctx, &t);
  }
  check(memcmp(w[0], w[1], sizeof w[0]) == 0, "any order of declaration gives the same array");
  check(memcmp(w[0], w[0] + lurn_align(21 * sizeof(real)) / sizeof(real), 21 * sizeof(real)) != 0, "paths differ");
}

/* f64's bits on every machine; f32 is these, rounded. */
static void known_bits (lurn_ctx *ctx) {
  static const double want[][3] = {
    {0x1.33632a7b287fcp-2, 0x1.5b064a44b95dp-6, -0x1.03763ea7d46ddp-2},
    {-0x1.619c5ccfcb83fp-3, -0x1.626a360b07ce5p-2, 0x1.6975fe88c26bap-12},
    {-0x1.6d14cff2c1765p-3, 0x1.f6c12f5de0e5fp-4, -0x1.162b55d4ef7d9p-2},
  };
  static const lurn_init init[] = {{LURN_INIT_XAVIER_UNIFORM, 1, 0}, {LURN_INIT_HE_NORMAL, 1, 0}, {LURN_INIT_ORTHOGONAL, 1, 0}};
  static real w[ROOM];
  for (int i = 0; i < 3; i++) {
    init_one(ctx, "lstm1.f.Wh", 20, 20, init[i], w);
    for (int k = 0; k < 3; k++)
      check(w[k * 133] == (real)want[i][k], "bits %d %d: %a, expected %a", i, k, (double)w[k * 133], want[i][k]);
  }
}

int main (void) {
  lurn_ctx ctx;
  check_heap heap;
  check_ctx(&ctx, &heap);
  misuse(&ctx);
  layout(&ctx);
  allocation_failures(&ctx, &heap);
  spreads(&ctx);
  plain(&ctx);
  convolution(&ctx);
  orthogonal_shapes(&ctx, &heap);
  misfits(&ctx);
  order_does_not_matter(&ctx);
  known_bits(&ctx);
  check(heap.held == 0, "%zu bytes were not given back", heap.held);
  return check_done("check_param");
}
