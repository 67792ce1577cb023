/* param.c: the table of parameters, its layout, its initialisers. */
#include "param.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "kernel.h"
#include "portable.h"

/* --- the table ----------------------------------------------------------------------------- */

static int same_shape (const lurn_param *p, int rank, const int *dim) {
  return p->rank == rank && (rank == 0 || memcmp(p->dim, dim, sizeof *dim * (size_t)rank) == 0);
}

/* "(3,4)", for messages. */
static const char *shape_text (char *buf, size_t size, int rank, const int *dim) {
  size_t used = (size_t)snprintf(buf, size, "(");
  for (int i = 0; i < rank; i++)
    used += (size_t)snprintf(buf + used, size - used, i ? ",%d" : "%d", dim[i]);
  snprintf(buf + used, size - used, ")");
  return buf;
}

static lurn_status check_shape (lurn_ctx *ctx, const char *path, int rank, const int *dim, size_t *count) {
  size_t n = 1, limit = (PTRDIFF_MAX - LURN_ALIGN) / sizeof(double);
  if (rank < 0 || rank > LURN_MAX_RANK)
    return lurn_fail(ctx, LURN_EINVAL, "parameter %s: rank %d, expected 0 to %d", path, rank, LURN_MAX_RANK);
  for (int i = 0; i < rank; i++) {
    if (dim[i] < 1)
      return lurn_fail(ctx, LURN_EINVAL, "parameter %s: dimension %d is %d, expected at least 1", path, i + 1, dim[i]);
    if (n > limit / (size_t)dim[i])
      return lurn_fail(ctx, LURN_EINVAL, "parameter %s: more elements than memory can address", path);
    n *= (size_t)dim[i];
  }
  *count = n;
  return LURN_OK;
}

static lurn_status grow (lurn_ctx *ctx, lurn_params *t) {
  int cap = t->cap ? 2 * t->cap : 16;
  if (t->n < t->cap) return LURN_OK;
  lurn_param *p = lurn_realloc(ctx, t->p, (size_t)t->cap * sizeof *p, (size_t)cap * sizeof *p);
  if (p == NULL) return LURN_ENOMEM;
  t->p = p;
  t->cap = cap;
  return LURN_OK;
}

static lurn_status check_again (lurn_ctx *ctx, const lurn_param *p, int rank, const int *dim) {
  char was[64], is[64];
  if (same_shape(p, rank, dim)) return LURN_OK;
  return lurn_fail(ctx, LURN_EINVAL, "parameter %s: declared with shape %s, again with %s", p->path,
                   shape_text(was, sizeof was, p->rank, p->dim), shape_text(is, sizeof is, rank, dim));
}

static lurn_status check_path (lurn_ctx *ctx, const lurn_params *t, const char *path) {
  if (path[0] == '\0') return lurn_fail(ctx, LURN_EINVAL, "a parameter needs a name");
  if (strlen(path) >= LURN_NAME)
    return lurn_fail(ctx, LURN_EINVAL, "parameter %s: the name is longer than %d bytes", path, LURN_NAME - 1);
  if (t->count > 0)
    return lurn_fail(ctx, LURN_EINVAL, "parameter %s: declared after the parameters were laid out", path);
  return LURN_OK;
}

lurn_status lurn_params_declare (lurn_ctx *ctx, lurn_params *t, const char *path, int rank,
                                 const int *dim, lurn_init init, int *index) {
  size_t count = 0;
  lurn_status status = check_shape(ctx, path, rank, dim, &count);
  if (status) return status;
  *index = lurn_params_find(t, path);
  if (*index >= 0) return check_again(ctx, &t->p[*index], rank, dim);
  if ((status = check_path(ctx, t, path)) || (status = grow(ctx, t))) return status;
  lurn_param *p = &t->p[t->n];
  memset(p, 0, sizeof *p);
  strcpy(p->path, path);
  for (int i = 0; i < rank; i++) p->dim[i] = dim[i];
  p->rank = rank;
  p->count = count;
  p->init = init;
  *index = t->n++;
  return LURN_OK;
}

int lurn_params_find (const lurn_params *t, const char *path) {
  for (int i = 0; i < t->n; i++)
    if (strcmp(t->p[i].path, path) == 0) return i;
  return -1;
}

void lurn_params_free (lurn_ctx *ctx, lurn_params *t) {
  lurn_free(ctx, t->p, (size_t)t->cap * sizeof *t->p);
  memset(t, 0, sizeof *t);
}

/* --- layout -------------------------------------------------------------------------------- */

/* Reals of a block with its padding. */
static size_t padded (const lurn_param *p) {
  return lurn_align(p->count * sizeof(real)) / sizeof(real);
}

/* A path's place is the number of paths before it: paths are unique and few, and counting needs
 * neither scratch nor recursion. */
void lurn_params_order (const lurn_params *t, int *order) {
  for (int i = 0; i < t->n; i++) {
    int place = 0;
    for (int k = 0; k < t->n; k++) place += strcmp(t->p[k].path, t->p[i].path) < 0;
    order[place] = i;
  }
}

void lurn_params_layout (lurn_params *t) {
  t->count = 0;
  for (int i = 0; i < t->n; i++) {
    t->p[i].offset = 0;
    for (int k = 0; k < t->n; k++)
      if (strcmp(t->p[k].path, t->p[i].path) < 0) t->p[i].offset += padded(&t->p[k]);
    t->count += padded(&t->p[i]);
  }
}

/* --- initialisers -------------------------------------------------------------------------- */

/* Products act on the last dimension, so a weight of any rank is a matrix (rows, cols): a convolution's (kh,kw,C,M)
 * one of kh kw C rows. */
static size_t cols_of (const lurn_param *p) {
  return (size_t)p->dim[p->rank - 1];
}

static size_t rows_of (const lurn_param *p) {
  return p->count / cols_of(p);
}

/* How many numbers an output is made of, and how many an input is part of: taps times C, taps times M. */
static size_t fan_in (const lurn_param *p) {
  return rows_of(p);
}

static size_t fan_out (const lurn_param *p) {
  return p->rank > 1 ? p->count / (size_t)p->dim[p->rank - 2] : cols_of(p);
}

static void fill_constant (real *w, size_t n, double a) {
  for (size_t i = 0; i < n; i++) w[i] = (real)a;
}

/* w = a + b times the elements of a stream. */
static lurn_status fill_random (lurn_ctx *ctx, real *w, size_t n, lurn_key key, double a, double b,
                                void (*draw) (double *out, size_t n, lurn_key key)) {
  double *z = lurn_realloc(ctx, NULL, 0, n * sizeof *z);
  if (z == NULL) return n ? LURN_ENOMEM : LURN_OK;
  draw(z, n, key);
  for (size_t i = 0; i < n; i++) w[i] = (real)(a + b * z[i]);
  lurn_free(ctx, z, n * sizeof *z);
  return LURN_OK;
}

static lurn_status fill_uniform (lurn_ctx *ctx, real *w, size_t n, lurn_key key, double low, double high) {
  return fill_random(ctx, w, n, key, low, high - low, lurn_random_uniforms);
}

static lurn_status fill_normal (lurn_ctx *ctx, real *w, size_t n, lurn_key key, double mean, double deviation) {
  return fill_random(ctx, w, n, key, mean, deviation, lurn_random_normals);
}

/* A convolution that changes nothing has the identity at its middle tap. */
static void fill_identity (real *w, const lurn_param *p, double a) {
  size_t cols = cols_of(p), rows = (size_t)p->dim[p->rank - 2], tap = 0;
  fill_constant(w, p->count, 0);
  for (int k = 0; k < p->rank - 2; k++) tap = tap * (size_t)p->dim[k] + (size_t)(p->dim[k] - 1) / 2;
  for (size_t i = 0; i < rows && i < cols; i++) w[(tap * rows + i) * cols + i] = (real)a;
}

/* The draw is that of the layer, the path up to its first dot, whatever the gate. */
static void fill_chrono (real *w, size_t n, uint64_t seed, const char *path, double a) {
  char layer[LURN_NAME + 8];
  snprintf(layer, sizeof layer, "%.*s.chrono", (int)strcspn(path, "."), path);
  lurn_key key = lurn_key_make(seed, LURN_PURPOSE_INIT, layer);
  for (size_t i = 0; i < n; i++) {
    double b = lurn_portable_log(1 + (fabs(a) - 2) * lurn_random_uniform(key, i));
    w[i] = (real)(a < 0 ? -b : b);
  }
}

/* --- orthogonal ---------------------------------------------------------------------------- */

/* n vectors of m numbers each, one after the other, get `room` numbers each. */
static void spread_out (double *q, size_t n, size_t m, size_t room) {
  for (size_t j = n; j-- > 0;) {
    memmove(q + j * room, q + j * m, m * sizeof *q);
    memset(q + j * room + m, 0, (room - m) * sizeof *q);
  }
  memset(q + n * room, 0, room * sizeof *q);
}

/* Saxe et al. 2014. The shorter side's vectors become orthonormal: columns of a tall matrix, rows
 * of a wide one. With a positive diagonal of R the Q of a normal matrix is uniform over the orthogonal matrices
 * (Mezzadri 2007). */
static lurn_status fill_orthogonal (lurn_ctx *ctx, real *w, size_t rows, size_t cols, lurn_key key, double gain) {
  int tall = rows >= cols;
  size_t n = tall ? cols : rows, m = tall ? rows : cols, room = (m + LURN_BASIS - 1) / LURN_BASIS * LURN_BASIS;
  size_t bytes = (n + 1) * room * sizeof(double);
  double *q = lurn_realloc(ctx, NULL, 0, bytes);
  if (q == NULL) return LURN_ENOMEM;
  lurn_random_normals(q, n * m, key);
  spread_out(q, n, m, room);
  ctx->kernels->orthonormal(q, n, room);
  for (size_t r = 0; r < rows; r++)
    for (size_t c = 0; c < cols; c++) w[r * cols + c] = (real)(gain * (tall ? q[c * room + r] : q[r * room + c]));
  lurn_free(ctx, q, bytes);
  return LURN_OK;
}

/* --- dispatch ------------------------------------------------------------------------------ */

static int needs_matrix (lurn_init_kind kind) {
  return kind != LURN_INIT_CONSTANT && kind != LURN_INIT_UNIFORM && kind != LURN_INIT_NORMAL
      && kind != LURN_INIT_FAN_UNIFORM && kind != LURN_INIT_CHRONO;
}

static lurn_status check_init (lurn_ctx *ctx, const lurn_param *p) {
  char shape[64];
  if (p->rank < 2 && needs_matrix(p->init.kind))
    return lurn_fail(ctx, LURN_EINVAL, "parameter %s: this initialiser needs a matrix, the shape is %s", p->path,
                     shape_text(shape, sizeof shape, p->rank, p->dim));
  if (p->init.kind == LURN_INIT_FAN_UNIFORM && !(p->init.b > 0))
    return lurn_fail(ctx, LURN_EINVAL, "parameter %s: a uniform initialiser by fan needs a positive fan, got %g",
                     p->path, p->init.b);
  if (p->init.kind == LURN_INIT_CHRONO && !(fabs(p->init.a) > 2))
    return lurn_fail(ctx, LURN_EINVAL, "parameter %s: chrono needs a time of more than 2 steps, got %g", p->path,
                     p->init.a);
  return LURN_OK;
}

/* Half-width of the uniform kinds, deviation of the normal kinds; formulas in param.h. */
static double spread (const lurn_param *p) {
  double in = p->rank ? (double)fan_in(p) : 1, out = p->rank ? (double)fan_out(p) : 1, a = p->init.a;
  switch (p->init.kind) {
    case LURN_INIT_XAVIER_UNIFORM: return a * sqrt(6 / (in + out));
    case LURN_INIT_XAVIER_NORMAL:  return a * sqrt(2 / (in + out));
    case LURN_INIT_HE_UNIFORM:     return a * sqrt(3 / in);
    case LURN_INIT_HE_NORMAL:      return a / sqrt(in);
    case LURN_INIT_FAN_UNIFORM:    return a / sqrt(p->init.b);
    default:                       return 0;
  }
}

lurn_status lurn_param_init (lurn_ctx *ctx, const lurn_param *p, uint64_t seed, real *value) {
  lurn_key key = lurn_key_make(seed, LURN_PURPOSE_INIT, p->path);
  lurn_status status = check_init(ctx, p);
  if (status) return status;
  real *w = value + p->offset;
  size_t n = p->count;
  double a = p->init.a, b = p->init.b, s = spread(p);
  switch (p->init.kind) {
    case LURN_INIT_CONSTANT:   fill_constant(w, n, a); break;
    case LURN_INIT_UNIFORM:    return fill_uniform(ctx, w, n, key, a, b);
    case LURN_INIT_NORMAL:     return fill_normal(ctx, w, n, key, a, b);
    case LURN_INIT_XAVIER_UNIFORM: case LURN_INIT_HE_UNIFORM: case LURN_INIT_FAN_UNIFORM:
      return fill_uniform(ctx, w, n, key, -s, s);
    case LURN_INIT_XAVIER_NORMAL: case LURN_INIT_HE_NORMAL: return fill_normal(ctx, w, n, key, 0, s);
    case LURN_INIT_ORTHOGONAL: return fill_orthogonal(ctx, w, rows_of(p), cols_of(p), key, a);
    case LURN_INIT_IDENTITY:   fill_identity(w, p, a); break;
    case LURN_INIT_CHRONO:     fill_chrono(w, n, seed, p->path, a); break;
  }
  return LURN_OK;
}

lurn_status lurn_params_init (lurn_ctx *ctx, const lurn_params *t, uint64_t seed, real *value) {
  memset(value, 0, t->count * sizeof *value);
  for (int i = 0; i < t->n; i++) {
    lurn_status status = lurn_param_init(ctx, &t->p[i], seed, value);
    if (status) return status;
  }
  return LURN_OK;
}
