/* l_tensor_reduce.c: many numbers into one, over everything or over one dimension.
 *
 * The dimension that goes is brought to the end and laid out without gaps. So a reduction sees
 * one kind of row only, and its bits depend on the numbers and their order, not on strides.
 * Sums run in double.
 */
#include "l_tensor_parts.h"

#include <math.h>

/* ==== One row ==== */

typedef double (*reduce_fn) (const lurn_kernels *k, const real *x, size_t n);

static double row_sum (const lurn_kernels *k, const real *x, size_t n) {
  return k->sum(x, n);
}

static double row_mean (const lurn_kernels *k, const real *x, size_t n) {
  return k->sum(x, n) / (double)n;
}

/* var = sum of (x - mean)^2 / (n - 1), in two passes */
static double row_var (const lurn_kernels *k, const real *x, size_t n) {
  double mean = row_mean(k, x, n), sum = 0;
  for (size_t i = 0; i < n; i++) sum += ((double)x[i] - mean) * ((double)x[i] - mean);
  return n > 1 ? sum / (double)(n - 1) : NAN;
}

static double row_std (const lurn_kernels *k, const real *x, size_t n) {
  return sqrt(row_var(k, x, n));
}

static double row_norm (const lurn_kernels *k, const real *x, size_t n) {
  return sqrt(k->sum_squares(x, n));
}

static double row_prod (const lurn_kernels *k, const real *x, size_t n) {
  double product = 1;
  (void)k;
  for (size_t i = 0; i < n; i++) product *= (double)x[i];
  return product;
}

/* The place of the first largest; a NaN is larger than everything, so that it is not lost. */
static double row_argmax (const lurn_kernels *k, const real *x, size_t n) {
  size_t best = 0;
  (void)k;
  for (size_t i = 1; i < n; i++)
    if (x[i] > x[best] || (isnan(x[i]) && !isnan(x[best]))) best = i;
  return (double)best;
}

static double row_argmin (const lurn_kernels *k, const real *x, size_t n) {
  size_t best = 0;
  (void)k;
  for (size_t i = 1; i < n; i++)
    if (x[i] < x[best] || (isnan(x[i]) && !isnan(x[best]))) best = i;
  return (double)best;
}

static double row_max (const lurn_kernels *k, const real *x, size_t n) {
  return (double)x[(size_t)row_argmax(k, x, n)];
}

static double row_min (const lurn_kernels *k, const real *x, size_t n) {
  return (double)x[(size_t)row_argmin(k, x, n)];
}

/* log sum exp x = m + log sum exp (x - m), m the largest; infinite m is the answer already */
static double row_logsumexp (const lurn_kernels *k, const real *x, size_t n) {
  double most = n > 0 ? row_max(k, x, n) : -HUGE_VAL, sum = 0;
  if (!isfinite(most)) return most;
  for (size_t i = 0; i < n; i++) sum += exp((double)x[i] - most);
  return most + log(sum);
}

/* ==== All rows ==== */

typedef struct reduce_row {
  const char *name;
  reduce_fn fn;
  lurn_dtype dtype;             /* of the result */
  int empty;                    /* defined for no elements at all? */
  reduce_fn place;              /* where it was found: a second result along a dimension */
} reduce_row;

static const reduce_row reductions[] = {
  {"sum",       row_sum,       LURN_REAL,  1, NULL},
  {"mean",      row_mean,      LURN_REAL,  1, NULL},
  {"var",       row_var,       LURN_REAL,  1, NULL},
  {"std",       row_std,       LURN_REAL,  1, NULL},
  {"norm",      row_norm,      LURN_REAL,  1, NULL},
  {"prod",      row_prod,      LURN_REAL,  1, NULL},
  {"logsumexp", row_logsumexp, LURN_REAL,  1, NULL},
  {"max",       row_max,       LURN_REAL,  0, row_argmax},
  {"min",       row_min,       LURN_REAL,  0, row_argmin},
  {"argmax",    row_argmax,    LURN_INDEX, 0, NULL},
  {"argmin",    row_argmin,    LURN_INDEX, 0, NULL},
  {NULL, NULL, LURN_REAL, 0, NULL}
};

static int reduce_all (lua_State *L, const reduce_row *row) {
  const lurn_tensor *x = l_pushcontiguous(L, 1);
  double value = row->fn(lb_ctx(L)->kernels, x->data.r, (size_t)lurn_tensor_count(x));
  if (row->dtype == LURN_INDEX) lua_pushinteger(L, (lua_Integer)value + 1);
  else lua_pushnumber(L, value);
  return 1;
}

/* Moves dimension d to the end. */
static lurn_tensor rotated (const lurn_tensor *t, int d) {
  lurn_tensor v = *t;
  for (int e = d; e < t->rank - 1; e++) {
    v.dim[e] = t->dim[e + 1];
    v.stride[e] = t->stride[e + 1];
  }
  v.dim[t->rank - 1] = t->dim[d];
  v.stride[t->rank - 1] = t->stride[d];
  return v;
}

/* Pushes the results for the rows of x, in the shape y; the last dimension of x goes. */
static void pushrows (lua_State *L, reduce_fn fn, lurn_dtype dtype, const lurn_tensor *x, const lurn_tensor *y) {
  const lurn_kernels *kernels = lb_ctx(L)->kernels;
  lurn_tensor *out = l_newtensor(L, dtype, y->rank, y->dim);
  int64_t rows = lurn_tensor_count(out), cols = x->dim[x->rank - 1];
  for (int64_t i = 0; i < rows; i++) {
    double value = fn(kernels, x->data.r + i * cols, (size_t)cols);
    if (dtype == LURN_INDEX) out->data.i[i] = (int32_t)value;
    else out->data.r[i] = (real)value;
  }
}

static int reduce_dim (lua_State *L, const reduce_row *row, int d, int keep) {
  const lurn_tensor *t = lua_touserdata(L, 1);
  lurn_tensor v = rotated(t, d), y = v;
  y.rank--;
  if (keep) {
    y = *t;
    y.dim[d] = 1;
  }
  l_pushview(L, 1, &v);
  lurn_tensor *x = l_pushcontiguous(L, lua_gettop(L));
  pushrows(L, row->fn, row->dtype, x, &y);
  if (row->place) pushrows(L, row->place, LURN_INDEX, x, &y);
  return row->place ? 2 : 1;
}

/* t:sum() a number; t:sum(dim) a tensor of one rank less; t:sum(dim, true) keeps a size of 1.
 * upvalue 1: the row */
static int t_reduce (lua_State *L) {
  const reduce_row *row = lua_touserdata(L, lua_upvalueindex(1));
  const lurn_tensor *t = l_checkreal(L, 1);
  int all = lua_isnoneornil(L, 2), d = all ? 0 : l_checkdim(L, 2, t);
  if (!row->empty && (all ? lurn_tensor_count(t) : t->dim[d]) == 0) l_shapeerror(L, 1, "at least one element", t);
  if (!all && (row->place || row->dtype == LURN_INDEX) && t->dim[d] > INT32_MAX)
    l_shapeerror(L, 1, "at most 2147483647 elements along it, as their numbers are ids", t);
  return all ? reduce_all(L, row) : reduce_dim(L, row, d, lua_toboolean(L, 3));
}

/* ==== Rows into rows ==== */

/* softmax = exp(x - logsumexp x), log_softmax = x - logsumexp x; x (rows, cols), in place */
static void softmax_rows (const lurn_kernels *k, real *x, int64_t rows, int64_t cols, int log) {
  for (; rows > 0; rows--, x += cols) {
    double lse = row_logsumexp(k, x, (size_t)cols);
    for (int64_t j = 0; j < cols; j++) x[j] = (real)(log ? (double)x[j] - lse : exp((double)x[j] - lse));
  }
}

/* t:softmax(dim), the last one unless told; upvalue 1: the logarithm of it? */
static int t_softmax (lua_State *L) {
  const lurn_tensor *t = l_checkreal(L, 1);
  if (t->rank == 0) l_shapeerror(L, 1, "at least one dimension", t);
  int d = lua_isnoneornil(L, 2) ? t->rank - 1 : l_checkdim(L, 2, t);
  lurn_tensor v = rotated(t, d);
  lua_settop(L, 2);
  l_pushview(L, 1, &v);
  lurn_tensor *x = l_pushclone(L, 3), *y = l_newtensor(L, LURN_REAL, t->rank, t->dim);
  int64_t cols = t->dim[d], count = lurn_tensor_count(t);
  softmax_rows(lb_ctx(L)->kernels, x->data.r, cols > 0 ? count / cols : 0, cols, lua_toboolean(L, lua_upvalueindex(1)));
  v = rotated(y, d);
  l_pushview(L, 5, &v);
  l_assign(L, 6, 4);
  lua_pop(L, 1);
  return 1;
}

/* ==== Comparison ==== */

/* Ids are equal or not; numbers may differ by tol. A NaN equals nothing. */
static int differ (const lurn_tensor *a, const lurn_tensor *b, int64_t i, double tol) {
  int64_t at = l_offset(a, i), bt = l_offset(b, i);
  if (a->dtype == LURN_INDEX) return a->data.i[at] != b->data.i[bt];
  double x = (double)a->data.r[at], y = (double)b->data.r[bt];
  return !(x == y || fabs(x - y) <= tol);
}

/* Pushes "(2, 3)" for the i-th element of t, counted from 1. */
static void pushplace (lua_State *L, const lurn_tensor *t, int64_t i) {
  int64_t at[LURN_MAX_RANK] = {0};
  char text[L_SHAPE_TEXT];
  for (int d = t->rank - 1; d >= 0; d--) {
    at[d] = i % t->dim[d] + 1;
    i /= t->dim[d];
  }
  lua_pushstring(L, lurn_shape_text(text, sizeof text, t->rank, at));
}

static int same_shape (const lurn_tensor *a, const lurn_tensor *b) {
  return a->dtype == b->dtype && a->rank == b->rank && l_stretches(a, b) && l_stretches(b, a);
}

/* false and a sentence, so that assert(t:equal(u)) says what is wrong */
static int unequal (lua_State *L, const char *kind, int first) {
  lua_pushfstring(L, "%s: %s against %s", kind, lua_tostring(L, first), lua_tostring(L, first + 1));
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/* t:equal(u, tol) */
static int t_equal (lua_State *L) {
  char text[L_SHAPE_TEXT];
  const lurn_tensor *a = l_checktensor(L, 1), *b = l_checktensor(L, 2);
  double tol = luaL_optnumber(L, 3, 0);
  if (!same_shape(a, b)) {
    const lurn_tensor *both[] = {a, b};
    for (int i = 0; i < 2; i++)
      lua_pushfstring(L, "%s%s", both[i]->dtype == LURN_INDEX ? "ids " : "",
                      lurn_shape_text(text, sizeof text, both[i]->rank, both[i]->dim));
    return unequal(L, "shapes differ", lua_gettop(L) - 1);
  }
  int64_t n = lurn_tensor_count(a), i = 0;
  while (i < n && !differ(a, b, i, tol)) i++;
  if (i < n) {
    pushplace(L, a, i);
    const char *kind = lua_pushfstring(L, "elements at %s differ", lua_tostring(L, -1));
    l_pushelement(L, a, l_offset(a, i));
    l_pushelement(L, b, l_offset(b, i));
    return unequal(L, kind, lua_gettop(L) - 1);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static const luaL_Reg methods[] = {
  {"equal", t_equal},
  {NULL, NULL}
};

void l_tensor_reduce_open (lua_State *L) {
  for (const reduce_row *row = reductions; row->name; row++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)row);
    lua_pushcclosure(L, t_reduce, 1);
    lua_setfield(L, -2, row->name);
  }
  for (int log = 0; log < 2; log++) {
    lua_pushboolean(L, log);
    lua_pushcclosure(L, t_softmax, 1);
    lua_setfield(L, -2, log ? "log_softmax" : "softmax");
  }
  luaL_setfuncs(L, methods, 0);
}
