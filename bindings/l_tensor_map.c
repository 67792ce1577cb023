/* l_tensor_map.c: the walk of a row kernel over operands of any strides.
 *
 * Kernels want numbers that lie side by side. Dimensions that are laid out as one become one;
 * what is left is walked row by row. An operand with gaps (a transpose, a broadcast number) is
 * gathered in strips that stay in the first-level cache. A kernel gives the same bits at any
 * position and length, so none of this can be seen in the results.
 */
#include "l_tensor_parts.h"

#define STRIP 512

/* ==== Shapes ==== */

/* NumPy's rule: shapes are aligned at the last dimension, and a 1 stretches. */
int l_broadcast (lurn_tensor *y, const lurn_tensor *a) {
  int rank = y->rank > a->rank ? y->rank : a->rank;
  int64_t dim[LURN_MAX_RANK];
  for (int d = 0; d < rank; d++) {
    int dy = d - (rank - y->rank), da = d - (rank - a->rank);
    int64_t ny = dy < 0 ? 1 : y->dim[dy], na = da < 0 ? 1 : a->dim[da];
    if (ny != na && ny != 1 && na != 1) return 0;
    dim[d] = ny == 1 ? na : ny;
  }
  y->rank = rank;
  for (int d = 0; d < rank; d++) y->dim[d] = dim[d];
  return 1;
}

void l_expand (lurn_tensor *a, const lurn_tensor *y) {
  lurn_tensor narrow = *a;
  for (int d = 0; d < y->rank; d++) {
    int da = d - (y->rank - narrow.rank);
    a->dim[d] = y->dim[d];
    a->stride[d] = da < 0 || narrow.dim[da] == 1 ? 0 : narrow.stride[da];
  }
  a->rank = y->rank;
}

int l_stretches (const lurn_tensor *a, const lurn_tensor *y) {
  lurn_tensor wide = *y;
  if (!l_broadcast(&wide, a) || wide.rank != y->rank) return 0;
  for (int d = 0; d < y->rank; d++)
    if (wide.dim[d] != y->dim[d]) return 0;
  return 1;
}

static void drop (int n, lurn_tensor *v, int d) {
  for (int i = 0; i < n; i++) {
    v[i].rank--;
    for (int e = d; e < v[i].rank; e++) {
      v[i].dim[e] = v[i].dim[e + 1];
      v[i].stride[e] = v[i].stride[e + 1];
    }
  }
}

/* Dimensions d and d+1 are one when, in every operand, a step in d is a whole row of d+1. */
static int mergeable (int n, const lurn_tensor *v, int d) {
  for (int i = 0; i < n; i++)
    if (v[i].stride[d] != v[i].stride[d + 1] * v[i].dim[d + 1]) return 0;
  return 1;
}

/* As few dimensions as the operands allow, but at least one. A size of 1 is never stepped over. */
static void simplify (int n, lurn_tensor *v) {
  for (int d = v->rank - 1; d >= 0; d--)
    if (v->dim[d] == 1) drop(n, v, d);
  for (int d = v->rank - 2; d >= 0; d--)
    if (mergeable(n, v, d)) {
      for (int i = 0; i < n; i++) v[i].dim[d + 1] *= v[i].dim[d];
      drop(n, v, d);
    }
  if (v->rank == 0)
    for (int i = 0; i < n; i++) {
      v[i].rank = 1;
      v[i].dim[0] = v[i].stride[0] = 1;
    }
}

/* ==== Strips ==== */

static const real *gather (real *strip, const real *x, int64_t stride, int64_t n) {
  if (stride == 1) return x;
  for (int64_t i = 0; i < n; i++) strip[i] = x[i * stride];
  return strip;
}

static void scatter (real *y, const real *strip, int64_t stride, int64_t n) {
  for (int64_t i = 0; i < n; i++) y[i * stride] = strip[i];
}

/* One row: at[i] is the first element of operand i in it, stride[i] the step to the next. */
static void apply_row (lurn_map_fn f, real k, int n, real *const *at, const int64_t *stride, int64_t cols) {
  real strip[L_MAX_OPERANDS][STRIP];
  int64_t step = cols;
  for (int i = 0; i < n; i++)
    if (stride[i] != 1) step = STRIP;
  for (int64_t j = 0; j < cols; j += step) {
    int64_t m = cols - j < step ? cols - j : step;
    const real *x[L_MAX_OPERANDS] = {NULL};
    real *y = stride[0] == 1 ? at[0] + j : strip[0];
    for (int i = 1; i < n; i++) x[i] = gather(strip[i], at[i] + j * stride[i], stride[i], m);
    f(y, x[1], x[2], x[3], k, (size_t)m);
    if (stride[0] != 1) scatter(at[0] + j * stride[0], y, stride[0], m);
  }
}

void l_apply (lurn_map_fn f, double k, int n, lurn_tensor *v) {
  int64_t stride[L_MAX_OPERANDS];
  real *at[L_MAX_OPERANDS];
  int64_t count = lurn_tensor_count(v);
  if (count == 0) return;
  simplify(n, v);
  int last = v->rank - 1;
  int64_t cols = v->dim[last];
  for (int i = 0; i < n; i++) stride[i] = v[i].stride[last];
  for (int64_t first = 0; first < count; first += cols) {
    for (int i = 0; i < n; i++) at[i] = v[i].data.r + l_offset(&v[i], first);
    apply_row(f, (real)k, n, at, stride, cols);
  }
}

/* ==== Assignment ==== */

/* The bytes from the first to the last element; strides are never negative. */
static void extent (const lurn_tensor *t, uintptr_t *from, uintptr_t *to) {
  int64_t n = 1;
  for (int d = 0; d < t->rank; d++) n += (t->dim[d] - 1) * t->stride[d];
  *from = (uintptr_t)t->data.p;
  *to = *from + (uintptr_t)n * lurn_dtype_size(t->dtype);
}

int l_overlap (const lurn_tensor *a, const lurn_tensor *b) {
  uintptr_t a0, a1, b0, b1;
  if (lurn_tensor_count(a) == 0 || lurn_tensor_count(b) == 0) return 0;
  extent(a, &a0, &a1);
  extent(b, &b0, &b1);
  return a0 < b1 && b0 < a1;
}

static void copy_ids (lurn_tensor *y, const lurn_tensor *x) {
  int64_t n = lurn_tensor_count(y);
  for (int64_t i = 0; i < n; i++) y->data.i[l_offset(y, i)] = x->data.i[l_offset(x, i)];
}

/* The number at src as a tensor of rank 0 whose memory is *number or *id. */
static lurn_tensor number_operand (lua_State *L, lurn_dtype dtype, int src, real *number, int32_t *id) {
  lurn_tensor x = {0};
  x.dtype = dtype;
  if (dtype == LURN_INDEX) x.data.i = id;
  else x.data.r = number;
  l_setelement(L, &x, 0, src);
  return x;
}

static lurn_tensor check_operand (lua_State *L, const lurn_tensor *y, int src) {
  if (!lua_isuserdata(L, src)) luaL_typeerror(L, src, "number or lurn.tensor");
  const lurn_tensor *x = l_checktensor(L, src);
  char text[L_SHAPE_TEXT];
  if (x->dtype != y->dtype)
    l_shapeerror(L, src, y->dtype == LURN_INDEX ? "a tensor of ids" : "a tensor of numbers", x);
  if (!l_stretches(x, y)) {
    lurn_shape_text(text, sizeof text, y->rank, y->dim);
    l_shapeerror(L, src, text, x);
  }
  return *x;
}

/* A source that shares memory with the destination is cloned first: t:copy(t:t()) is the
 * transpose, not a race between reading and writing. */
void l_assign (lua_State *L, int dst, int src) {
  lurn_tensor *y = lua_touserdata(L, dst);
  int top = lua_gettop(L);
  real number;
  int32_t id;
  lurn_tensor v[2] = {*y};
  if (lua_type(L, src) == LUA_TNUMBER) v[1] = number_operand(L, y->dtype, src, &number, &id);
  else v[1] = check_operand(L, y, src);
  if (l_overlap(&v[0], &v[1])) v[1] = *l_pushclone(L, src);
  l_expand(&v[1], y);
  if (y->dtype == LURN_INDEX) copy_ids(&v[0], &v[1]);
  else l_apply(lb_ctx(L)->kernels->map[LURN_MAP_copy], 0, 2, v);
  lua_settop(L, top);
}
