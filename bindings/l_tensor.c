/* l_tensor.c: the tensor type: its memory, its checks, the list of its parts. */
#include "l_tensor_parts.h"

#include <string.h>


/* ==== Memory ==== */

/* Every tensor has a user value, nil when the numbers are its own. So a view of a view can name
 * the owner itself and the views in between are free to go. */
static lurn_tensor *newheader (lua_State *L, size_t data, lurn_dtype dtype, int rank, const int64_t *dim) {
  lurn_tensor *t = lb_new(L, L_TENSOR, sizeof(lurn_tensor) + data, 1);
  t->dtype = dtype;
  t->rank = rank;
  if (rank > 0) memcpy(t->dim, dim, (size_t)rank * sizeof *dim);
  lurn_tensor_pack_strides(t);
  return t;
}

/* Sizes come from scripts: their product is formed with care. */
int64_t l_count (int rank, const int64_t *dim) {
  const int64_t most = (int64_t)(PTRDIFF_MAX / 2) / (int64_t)sizeof(double);
  int64_t n = 1;
  for (int d = 0; d < rank; d++)
    if (dim[d] == 0) return 0;
  for (int d = 0; d < rank; d++) {
    if (n > most / dim[d]) return -1;
    n *= dim[d];
  }
  return n;
}

lurn_tensor *l_newtensor (lua_State *L, lurn_dtype dtype, int rank, const int64_t *dim) {
  char text[L_SHAPE_TEXT];
  int64_t n = l_count(rank, dim);
  if (n < 0) luaL_error(L, "a tensor %s has too many elements", lurn_shape_text(text, sizeof text, rank, dim));
  lurn_tensor *t = newheader(L, (size_t)n * lurn_dtype_size(dtype) + LURN_ALIGN - 1, dtype, rank, dim);
  t->data.p = (void *)lurn_align((uintptr_t)(t + 1));
  return t;
}

lurn_tensor *l_newview (lua_State *L, int owner, lurn_dtype dtype, int rank, const int64_t *dim, void *data) {
  owner = lua_absindex(L, owner);
  lurn_tensor *t = newheader(L, 0, dtype, rank, dim);
  t->data.p = data;
  lua_pushvalue(L, owner);
  lua_setiuservalue(L, -2, 1);
  return t;
}

lurn_tensor *l_pushview (lua_State *L, int of, const lurn_tensor *as) {
  lurn_tensor shape = *as;
  of = lua_absindex(L, of);
  if (lua_getiuservalue(L, of, 1) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_pushvalue(L, of);
  }
  lurn_tensor *t = l_newview(L, -1, shape.dtype, shape.rank, shape.dim, shape.data.p);
  *t = shape;
  lua_remove(L, -2);
  return t;
}

void *l_scratch (lua_State *L, size_t bytes) {
  return (void *)lurn_align((uintptr_t)lua_newuserdatauv(L, bytes + LURN_ALIGN - 1, 0));
}

/* ==== Elements ==== */

int64_t l_offset (const lurn_tensor *t, int64_t i) {
  int64_t offset = 0;
  for (int d = t->rank - 1; d >= 0; d--) {
    offset += i % t->dim[d] * t->stride[d];
    i /= t->dim[d];
  }
  return offset;
}

void l_pushelement (lua_State *L, const lurn_tensor *t, int64_t offset) {
  if (t->dtype == LURN_INDEX) lua_pushinteger(L, (lua_Integer)t->data.i[offset] + 1);
  else lua_pushnumber(L, (lua_Number)t->data.r[offset]);
}

void l_setelement (lua_State *L, lurn_tensor *t, int64_t offset, int arg) {
  if (t->dtype == LURN_INDEX) t->data.i[offset] = (int32_t)(lb_integer(L, arg, 0, INT32_MAX, "id") - 1);
  else {
    luaL_checktype(L, arg, LUA_TNUMBER);
    t->data.r[offset] = (real)lua_tonumber(L, arg);
  }
}

lurn_tensor *l_pushclone (lua_State *L, int idx) {
  idx = lua_absindex(L, idx);
  const lurn_tensor *t = lua_touserdata(L, idx);
  lurn_tensor *copy = l_newtensor(L, t->dtype, t->rank, t->dim);
  l_assign(L, lua_gettop(L), idx);
  return copy;
}

lurn_tensor *l_pushcontiguous (lua_State *L, int idx) {
  lurn_tensor *t = lua_touserdata(L, idx);
  if (!lurn_tensor_contiguous(t)) return l_pushclone(L, idx);
  lua_pushvalue(L, idx);
  return t;
}

/* ==== Checks ==== */

lurn_tensor *l_testtensor (lua_State *L, int arg) {
  return luaL_testudata(L, arg, L_TENSOR);
}

lurn_tensor *l_checktensor (lua_State *L, int arg) {
  lurn_tensor *t = l_testtensor(L, arg);
  if (t == NULL && luaL_testudata(L, arg, L_OTHER_TENSOR))
    luaL_argerror(L, arg, L_OTHER_PRECISION " tensor given to the " LURN_PRECISION " module; convert it with totable");
  if (t == NULL) luaL_typeerror(L, arg, "lurn.tensor");
  return t;
}

int l_shapeerror (lua_State *L, int arg, const char *expected, const lurn_tensor *got) {
  char text[L_SHAPE_TEXT];
  const char *kind = got->dtype == LURN_INDEX ? "ids " : "";
  lurn_shape_text(text, sizeof text, got->rank, got->dim);
  return luaL_argerror(L, arg, lua_pushfstring(L, "expected %s, got %s%s", expected, kind, text));
}

lurn_tensor *l_checkreal (lua_State *L, int arg) {
  lurn_tensor *t = l_checktensor(L, arg);
  if (t->dtype != LURN_REAL) l_shapeerror(L, arg, "a tensor of numbers (t:real() makes one)", t);
  return t;
}

int l_checkdim (lua_State *L, int arg, const lurn_tensor *t) {
  lua_Integer d = luaL_checkinteger(L, arg);
  char text[L_SHAPE_TEXT];
  if (d < 0) d += t->rank + 1;
  if (d >= 1 && d <= t->rank) return (int)d - 1;
  lurn_shape_text(text, sizeof text, t->rank, t->dim);
  return luaL_argerror(L, arg, lua_pushfstring(L, "expected a dimension of %s, got %I", text,
                                               (LUAI_UACINT)luaL_checkinteger(L, arg)));
}

static int64_t checksize (lua_State *L, int arg, int idx) {
  int whole;
  lua_Integer n = lua_tointegerx(L, idx, &whole);
  if (!whole || lua_type(L, idx) != LUA_TNUMBER)
    luaL_argerror(L, arg, lua_pushfstring(L, lua_type(L, idx) == LUA_TSTRING ? "expected a size, got '%s'"
                                           : "expected a size, got %s", luaL_tolstring(L, idx, NULL)));
  if (n < 0) luaL_argerror(L, arg, lua_pushfstring(L, "expected a size of at least 0, got %I", (LUAI_UACINT)n));
  return n;
}

static int checkrank (lua_State *L, int arg, lua_Integer rank) {
  if (rank > LURN_MAX_RANK)
    luaL_argerror(L, arg, lua_pushfstring(L, "expected at most %d dimensions, got %I", LURN_MAX_RANK, (LUAI_UACINT)rank));
  return (int)rank;
}

int l_checkshape (lua_State *L, int first, int last, int64_t *dim) {
  if (last == first && lua_istable(L, first)) {
    int rank = checkrank(L, first, (lua_Integer)lua_rawlen(L, first));
    for (int d = 0; d < rank; d++) {
      lua_rawgeti(L, first, d + 1);
      dim[d] = checksize(L, first, -1);
      lua_pop(L, 1);
    }
    return rank;
  }
  int rank = checkrank(L, first, last - first + 1);
  for (int d = 0; d < rank; d++) dim[d] = checksize(L, first + d, first + d);
  return rank;
}

/* ==== The type ==== */

static void (*const parts[]) (lua_State *L) = {
  l_tensor_access_open, l_tensor_view_open, l_tensor_math_open, l_tensor_reduce_open,
  l_tensor_linalg_open, l_tensor_text_open, NULL
};

int l_tensor_open (lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  if (luaL_getmetatable(L, L_TENSOR) == LUA_TNIL) {
    lb_type(L, L_TENSOR, none, NULL);
    luaL_getmetatable(L, L_TENSOR);
    lua_getfield(L, -1, "__index");
    for (int i = 0; parts[i]; i++) parts[i](L);
  }
  lua_newtable(L);
  l_tensor_make(L);
  return 1;
}
