/* l_tensor_access.c: reading and writing elements, asking for sizes.
 *
 *   t[i]            the i-th number of a rank-1 tensor, else a view of one rank less
 *   t[i] = v        a number or a tensor of that shape (or one that broadcasts to it)
 *   t(i, j)         the same as t[i][j], without the views in between
 *   for i, v in pairs(t)
 */
#include "l_tensor_parts.h"

static int64_t checkindex (lua_State *L, int arg, int64_t size) {
  lua_Integer i = luaL_checkinteger(L, arg);
  if (i >= 1 && i <= size) return i - 1;
  if (size == 0) luaL_argerror(L, arg, lua_pushfstring(L, "index %I of an empty dimension", (LUAI_UACINT)i));
  luaL_argerror(L, arg, lua_pushfstring(L, "expected an index from 1 to %I, got %I", (LUAI_UACINT)size, (LUAI_UACINT)i));
  return 0;
}

static lurn_tensor *checkrows (lua_State *L, int arg) {
  lurn_tensor *t = l_checktensor(L, arg);
  if (t->rank == 0) l_shapeerror(L, arg, "at least one dimension (t:item() reads a single number)", t);
  return t;
}

/* The view that is left of t after `count` leading indices, the first of them at `arg`. */
static lurn_tensor pick (lua_State *L, const lurn_tensor *t, int arg, int count) {
  char text[L_SHAPE_TEXT];
  lurn_tensor v = *t;
  if (count > t->rank)
    luaL_error(L, "expected at most %d indices for %s, got %d", t->rank,
               lurn_shape_text(text, sizeof text, t->rank, t->dim), count);
  int64_t offset = 0;
  for (int d = 0; d < count; d++) offset += checkindex(L, arg + d, t->dim[d]) * t->stride[d];
  v.rank = t->rank - count;
  for (int d = 0; d < v.rank; d++) {
    v.dim[d] = t->dim[d + count];
    v.stride[d] = t->stride[d + count];
  }
  v.data.p = (char *)t->data.p + offset * (int64_t)lurn_dtype_size(t->dtype);
  return v;
}

/* Pushes a number, or the view of the tensor at stack index `of`. */
static int pushpicked (lua_State *L, int of, const lurn_tensor *v) {
  if (v->rank == 0) l_pushelement(L, v, 0);
  else l_pushview(L, of, v);
  return 1;
}

/* Writes the value at `arg` into v, which is pushed for as long as it takes. */
static void store (lua_State *L, int of, lurn_tensor *v, int arg) {
  if (v->rank == 0 && !l_testtensor(L, arg)) l_setelement(L, v, 0, arg);
  else {
    l_pushview(L, of, v);
    l_assign(L, lua_gettop(L), arg);
    lua_pop(L, 1);
  }
}

static int t_get (lua_State *L) {
  lurn_tensor v = pick(L, l_checktensor(L, 1), 2, lua_gettop(L) - 1);
  return pushpicked(L, 1, &v);
}

static int t_set (lua_State *L) {
  int last = lua_gettop(L);
  lurn_tensor *t = l_checktensor(L, 1);
  luaL_argcheck(L, last >= 2, 2, "expected indices and a value");
  lurn_tensor v = pick(L, t, 2, last - 2);
  store(L, 1, &v, last);
  lua_settop(L, 1);
  return 1;
}

static int pushshape (lua_State *L, const lurn_tensor *t) {
  lua_createtable(L, t->rank, 0);
  for (int d = 0; d < t->rank; d++) {
    lua_pushinteger(L, t->dim[d]);
    lua_rawseti(L, -2, d + 1);
  }
  return 1;
}

/* upvalue 1: the methods */
static int t_index (lua_State *L) {
  lurn_tensor *t = l_checktensor(L, 1);
  if (lua_type(L, 2) == LUA_TNUMBER) {
    lurn_tensor v = pick(L, checkrows(L, 1), 2, 1);
    return pushpicked(L, 1, &v);
  }
  lua_pushliteral(L, "shape");
  if (lua_rawequal(L, 2, -1)) return pushshape(L, t);
  lua_pushvalue(L, 2);
  lua_rawget(L, lua_upvalueindex(1));
  return 1;
}

static int t_newindex (lua_State *L) {
  checkrows(L, 1);
  if (lua_type(L, 2) != LUA_TNUMBER)
    return luaL_error(L, "a tensor has no field '%s' to set", luaL_tolstring(L, 2, NULL));
  lurn_tensor v = pick(L, l_checktensor(L, 1), 2, 1);
  store(L, 1, &v, 3);
  return 0;
}

static int t_len (lua_State *L) {
  lua_pushinteger(L, checkrows(L, 1)->dim[0]);
  return 1;
}

static int next_row (lua_State *L) {
  lurn_tensor *t = checkrows(L, 1);
  lua_Integer i = luaL_optinteger(L, 2, 0) + 1;
  lua_settop(L, 1);
  if (i > t->dim[0]) return 0;
  lua_pushinteger(L, i);
  lurn_tensor v = pick(L, t, 2, 1);
  return 1 + pushpicked(L, 1, &v);
}

static int t_pairs (lua_State *L) {
  checkrows(L, 1);
  lua_pushcfunction(L, next_row);
  lua_pushvalue(L, 1);
  lua_pushinteger(L, 0);
  return 3;
}

static int t_item (lua_State *L) {
  lurn_tensor *t = l_checktensor(L, 1);
  if (lurn_tensor_count(t) != 1) l_shapeerror(L, 1, "a tensor of one element", t);
  l_pushelement(L, t, 0);
  return 1;
}

/* ==== Sizes ==== */

static int t_size (lua_State *L) {
  lurn_tensor *t = l_checktensor(L, 1);
  if (!lua_isnoneornil(L, 2)) {
    lua_pushinteger(L, t->dim[l_checkdim(L, 2, t)]);
    return 1;
  }
  for (int d = 0; d < t->rank; d++) lua_pushinteger(L, t->dim[d]);
  return t->rank;
}

static int t_dim (lua_State *L) {
  lua_pushinteger(L, l_checktensor(L, 1)->rank);
  return 1;
}

static int t_numel (lua_State *L) {
  lua_pushinteger(L, lurn_tensor_count(l_checktensor(L, 1)));
  return 1;
}

static int t_dtype (lua_State *L) {
  lua_pushstring(L, l_checktensor(L, 1)->dtype == LURN_INDEX ? "ids" : LURN_PRECISION);
  return 1;
}

static int t_is_contiguous (lua_State *L) {
  lua_pushboolean(L, lurn_tensor_contiguous(l_checktensor(L, 1)));
  return 1;
}

/* ==== Whole tensors ==== */

static int t_clone (lua_State *L) {
  l_checktensor(L, 1);
  l_pushclone(L, 1);
  return 1;
}

static int t_contiguous (lua_State *L) {
  l_checktensor(L, 1);
  l_pushcontiguous(L, 1);
  return 1;
}

static int t_copy (lua_State *L) {
  l_checktensor(L, 1);
  l_checktensor(L, 2);
  l_assign(L, 1, 2);
  lua_settop(L, 1);
  return 1;
}

static int t_fill (lua_State *L) {
  l_checktensor(L, 1);
  luaL_checktype(L, 2, LUA_TNUMBER);
  l_assign(L, 1, 2);
  lua_settop(L, 1);
  return 1;
}

static const luaL_Reg methods[] = {
  {"get", t_get}, {"set", t_set}, {"item", t_item},
  {"size", t_size}, {"dim", t_dim}, {"numel", t_numel}, {"dtype", t_dtype},
  {"is_contiguous", t_is_contiguous}, {"contiguous", t_contiguous},
  {"clone", t_clone}, {"copy", t_copy}, {"fill", t_fill},
  {NULL, NULL}
};

static const luaL_Reg meta[] = {
  {"__newindex", t_newindex}, {"__call", t_get}, {"__len", t_len}, {"__pairs", t_pairs},
  {NULL, NULL}
};

void l_tensor_access_open (lua_State *L) {
  luaL_setfuncs(L, methods, 0);
  lua_pushvalue(L, -1);
  lua_pushcclosure(L, t_index, 1);
  lua_setfield(L, -3, "__index");
  lua_insert(L, -2);
  luaL_setfuncs(L, meta, 0);
  lua_insert(L, -2);
}
