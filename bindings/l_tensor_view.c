/* l_tensor_view.c: the same numbers seen in another shape. Only reshape of a view with gaps and
 * the two conversions, real and ids, copy. */
#include "l_tensor_parts.h"

#include <math.h>
#include <string.h>

/* Restricts dimension d to n elements from `first` on, counted from 0. */
static void narrow (lurn_tensor *t, int d, int64_t first, int64_t n) {
  t->data.p = (char *)t->data.p + first * t->stride[d] * (int64_t)lurn_dtype_size(t->dtype);
  t->dim[d] = n;
}

static void drop (lurn_tensor *t, int d) {
  t->rank--;
  for (; d < t->rank; d++) {
    t->dim[d] = t->dim[d + 1];
    t->stride[d] = t->stride[d + 1];
  }
}

static int push (lua_State *L, const lurn_tensor *v) {
  l_pushview(L, 1, v);
  return 1;
}

/* t:sub(a, b): rows a to b, both included; negative ones count from the end, as in string.sub. */
static int t_sub (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1);
  if (v.rank == 0) l_shapeerror(L, 1, "at least one dimension", &v);
  lua_Integer n = v.dim[0], a = luaL_checkinteger(L, 2), b = luaL_optinteger(L, 3, -1);
  if (a < 0) a += n + 1;
  if (b < 0) b += n + 1;
  if (a < 1 || b > n || b < a - 1)
    return luaL_error(L, "rows %I to %I do not lie within 1 to %I", (LUAI_UACINT)a, (LUAI_UACINT)b, (LUAI_UACINT)n);
  narrow(&v, 0, a - 1, b - a + 1);
  return push(L, &v);
}

static int t_narrow (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1);
  int d = l_checkdim(L, 2, &v);
  lua_Integer first = lb_integer(L, 3, 1, v.dim[d] + 1, "first");
  narrow(&v, d, first - 1, lb_integer(L, 4, 0, v.dim[d] - first + 1, "length"));
  return push(L, &v);
}

static int t_select (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1);
  int d = l_checkdim(L, 2, &v);
  narrow(&v, d, lb_integer(L, 3, 1, v.dim[d], "index") - 1, 1);
  drop(&v, d);
  return push(L, &v);
}

static void swap (lurn_tensor *t, int d, int e) {
  int64_t dim = t->dim[d], stride = t->stride[d];
  t->dim[d] = t->dim[e];
  t->stride[d] = t->stride[e];
  t->dim[e] = dim;
  t->stride[e] = stride;
}

static int t_t (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1);
  if (v.rank != 2) l_shapeerror(L, 1, "(*, *)", &v);
  swap(&v, 0, 1);
  return push(L, &v);
}

static int t_transpose (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1);
  int d = l_checkdim(L, 2, &v), e = l_checkdim(L, 3, &v);
  swap(&v, d, e);
  return push(L, &v);
}

static int t_unsqueeze (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1);
  int at = (int)lb_integer(L, 2, 1, v.rank + 1, "dimension") - 1;
  if (v.rank == LURN_MAX_RANK) l_shapeerror(L, 1, "at most 3 dimensions", &v);
  v.dim[v.rank] = v.stride[v.rank] = 1;
  for (int d = v.rank++; d > at; d--) swap(&v, d, d - 1);
  return push(L, &v);
}

static int t_squeeze (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1);
  int only = lua_isnoneornil(L, 2) ? -1 : l_checkdim(L, 2, &v);
  for (int d = v.rank - 1; d >= 0; d--)
    if (v.dim[d] == 1 && (only < 0 || only == d)) drop(&v, d);
  return push(L, &v);
}

static int t_expand (lua_State *L) {
  lurn_tensor v = *l_checktensor(L, 1), y = {0};
  char text[L_SHAPE_TEXT];
  y.rank = l_checkshape(L, 2, lua_gettop(L), y.dim);
  if (!l_stretches(&v, &y) || l_count(y.rank, y.dim) < 0) {
    lurn_shape_text(text, sizeof text, y.rank, y.dim);
    return l_shapeerror(L, 1, lua_pushfstring(L, "a shape that broadcasts to %s", text), &v);
  }
  l_expand(&v, &y);
  return push(L, &v);
}

/* ==== Reshape ==== */

/* -1 stands, once, for whatever size is left; it becomes a 1 here and its place is returned. */
static int checkfree (lua_State *L, int last) {
  int place = -1;
  if (lua_istable(L, 2)) {
    int n = (int)luaL_len(L, 2);
    lua_settop(L, 2);
    luaL_checkstack(L, n, "too many sizes");
    for (int i = 1; i <= n; i++) lua_rawgeti(L, 2, i);
    lua_remove(L, 2);
    last = n + 1;
  }
  for (int arg = 2; arg <= last; arg++)
    if (lua_isinteger(L, arg) && lua_tointeger(L, arg) == -1) {
      luaL_argcheck(L, place < 0, arg, "only one size can be -1");
      place = arg - 2;
      lua_pushinteger(L, 1);
      lua_replace(L, arg);
    }
  return place;
}

static int t_reshape (lua_State *L) {
  const lurn_tensor *t = l_checktensor(L, 1);
  int64_t count = lurn_tensor_count(t), dim[LURN_MAX_RANK] = {0};
  char text[L_SHAPE_TEXT];
  int place = checkfree(L, lua_gettop(L));
  int rank = l_checkshape(L, 2, lua_gettop(L), dim);
  int64_t known = l_count(rank, dim);
  if (place >= 0) {
    dim[place] = known > 0 && count % known == 0 ? count / known : -1;
    known = dim[place] >= 0 ? count : -1;
  }
  if (known != count) {
    lurn_tensor wanted = {.rank = rank};
    memcpy(wanted.dim, dim, sizeof dim);
    lurn_shape_text(text, sizeof text, t->rank, t->dim);
    return l_shapeerror(L, 2, lua_pushfstring(L, "sizes for the %I elements of %s", (LUAI_UACINT)count, text), &wanted);
  }
  lurn_tensor v = *l_pushcontiguous(L, 1);
  v.rank = rank;
  for (int d = 0; d < rank; d++) v.dim[d] = dim[d];
  lurn_tensor_pack_strides(&v);
  l_pushview(L, -1, &v);
  return 1;
}

/* ==== Numbers and ids ==== */

static int t_same (lua_State *L) {
  lua_settop(L, 1);
  return 1;
}

/* The numbers that Lua sees, counted from 1. */
static int t_real (lua_State *L) {
  const lurn_tensor *t = l_checktensor(L, 1);
  if (t->dtype == LURN_REAL) return t_same(L);
  lurn_tensor *y = l_newtensor(L, LURN_REAL, t->rank, t->dim);
  int64_t n = lurn_tensor_count(t);
  for (int64_t i = 0; i < n; i++) y->data.r[i] = (real)((double)t->data.i[l_offset(t, i)] + 1);
  return 1;
}

static int t_ids (lua_State *L) {
  const lurn_tensor *t = l_checktensor(L, 1);
  if (t->dtype == LURN_INDEX) return t_same(L);
  lurn_tensor *y = l_newtensor(L, LURN_INDEX, t->rank, t->dim);
  int64_t n = lurn_tensor_count(t);
  for (int64_t i = 0; i < n; i++) {
    double x = (double)t->data.r[l_offset(t, i)];
    if (!(x >= 0 && x <= INT32_MAX) || x != floor(x))
      return luaL_error(L, "expected whole numbers from 0 on, got %f at element %I", x, (LUAI_UACINT)(i + 1));
    y->data.i[i] = (int32_t)(x - 1);
  }
  return 1;
}

static const luaL_Reg methods[] = {
  {"sub", t_sub}, {"narrow", t_narrow}, {"select", t_select}, {"reshape", t_reshape},
  {"t", t_t}, {"transpose", t_transpose}, {"unsqueeze", t_unsqueeze}, {"squeeze", t_squeeze},
  {"expand", t_expand}, {"real", t_real}, {"ids", t_ids},
  {NULL, NULL}
};

void l_tensor_view_open (lua_State *L) {
  luaL_setfuncs(L, methods, 0);
}
