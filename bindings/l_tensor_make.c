/* l_tensor_make.c: new tensors.
 *
 *   tensor {{1, 2}, {3, 4}}      the numbers of a table; every row of one length
 *   tensor(rows, cols, ...)      zeros; so does zeros; ones and full(rows, ..., value)
 *   ids {3, 1, 0}                indices, counted from 1; 0 is "none"
 *   arange(first, stop, step)    stop is not included, as in NumPy; range(first, last) includes it
 *   linspace(first, last, n)
 *   uniform(rows, ..., {seed =, name =, low =, high =})    functions of seed and name:
 *   normal(rows, ..., {seed =, name =, mean =, std =})     the same numbers every time
 *   eye(n)  cat({t, u, ...}, dim)  is_tensor(x)
 */
#include "l_tensor_parts.h"

#include <math.h>
#include <string.h>

#include "rng.h"

/* ==== From tables ==== */

/* Sizes as the first element of every level tells them. Nothing here runs Lua code, so the
 * table stays what it is while it is read. */
static int measure (lua_State *L, int arg, int64_t *dim) {
  int rank = 0;
  lua_pushvalue(L, arg);
  while (lua_istable(L, -1)) {
    luaL_argcheck(L, rank < LURN_MAX_RANK, arg, "expected at most 4 levels of tables");
    dim[rank] = (int64_t)lua_rawlen(L, -1);
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
    if (dim[rank++] == 0) break;
  }
  lua_pop(L, 1);
  return rank;
}

/* A table with names only is meant for something else. */
static void checklist (lua_State *L) {
  lua_pushnil(L);
  if (lua_rawlen(L, 1) == 0 && lua_next(L, 1)) luaL_argerror(L, 1, "expected a list of numbers, got a table with named fields");
  lua_settop(L, 1);
}

/* Raises "expected 3 numbers at [2], got 2". */
static void ragged (lua_State *L, int d, const int64_t *at, int64_t expected, int leaf) {
  luaL_Buffer b;
  const char *got = lua_istable(L, -1) ? lua_pushfstring(L, "%I", (LUAI_UACINT)lua_rawlen(L, -1)) : luaL_typename(L, -1);
  luaL_buffinit(L, &b);
  for (int e = 0; e < d; e++) {
    lua_pushfstring(L, "[%I]", (LUAI_UACINT)(at[e] + 1));
    luaL_addvalue(&b);
  }
  luaL_pushresult(&b);
  luaL_argerror(L, 1, lua_pushfstring(L, "expected a table of %I %s at %s, got %s", (LUAI_UACINT)expected,
                                      leaf ? "numbers" : "rows", lua_tostring(L, -1), got));
}

static void notnumber (lua_State *L, lurn_dtype dtype) {
  const char *got = lua_type(L, -1) == LUA_TNUMBER ? lua_tostring(L, -1) : luaL_typename(L, -1);
  luaL_argerror(L, 1, lua_pushfstring(L, "expected %s, got %s",
                                      dtype == LURN_INDEX ? "whole numbers from 0 to 2147483647" : "numbers", got));
}

static void setnumber (lua_State *L, lurn_tensor *t, int64_t i) {
  int whole = lua_type(L, -1) == LUA_TNUMBER;
  if (t->dtype == LURN_REAL) {
    if (!whole) notnumber(L, t->dtype);
    t->data.r[i] = (real)lua_tonumber(L, -1);
  } else {
    lua_Integer n = whole ? lua_tointegerx(L, -1, &whole) : 0;
    if (!whole || n < 0 || n > INT32_MAX) notnumber(L, t->dtype);
    t->data.i[i] = (int32_t)(n - 1);
  }
}

/* Reads the table on top of the stack, dimension d and below, row by row. */
static void read_table (lua_State *L, lurn_tensor *t, int d, int64_t *at, int64_t *next) {
  int leaf = l_lastdim(t, d);
  if (!lua_istable(L, -1) || (int64_t)lua_rawlen(L, -1) != t->dim[d]) ragged(L, d, at, t->dim[d], leaf);
  for (at[d] = 0; at[d] < t->dim[d]; at[d]++) {
    lua_rawgeti(L, -1, at[d] + 1);
    if (leaf) setnumber(L, t, (*next)++);
    else read_table(L, t, d + 1, at, next);
    lua_pop(L, 1);
  }
}

static int fromtable (lua_State *L, lurn_dtype dtype) {
  int64_t dim[LURN_MAX_RANK] = {0}, at[LURN_MAX_RANK], next = 0;
  checklist(L);
  int rank = measure(L, 1, dim);
  luaL_checkstack(L, LURN_MAX_RANK + 4, "table too deep");
  lurn_tensor *t = l_newtensor(L, dtype, rank, dim);
  lua_pushvalue(L, 1);
  read_table(L, t, 0, at, &next);
  lua_pop(L, 1);
  return 1;
}

/* ==== From sizes ==== */

static lurn_tensor *pushsized (lua_State *L, lurn_dtype dtype, int first, int last) {
  int64_t dim[LURN_MAX_RANK];
  int rank = l_checkshape(L, first, last, dim);
  return l_newtensor(L, dtype, rank, dim);
}

static int pushfilled (lua_State *L, int last, double value) {
  lurn_tensor *t = pushsized(L, LURN_REAL, 1, last);
  int64_t n = lurn_tensor_count(t);
  for (int64_t i = 0; i < n; i++) t->data.r[i] = (real)value;
  return 1;
}

static int m_zeros (lua_State *L) {
  pushsized(L, LURN_REAL, 1, lua_gettop(L));
  return 1;
}

static int m_ones (lua_State *L) {
  return pushfilled(L, lua_gettop(L), 1);
}

static int m_full (lua_State *L) {
  int last = lua_gettop(L);
  luaL_checktype(L, last > 0 ? last : 1, LUA_TNUMBER);
  return pushfilled(L, last - 1, lua_tonumber(L, last));
}

static int m_tensor (lua_State *L) {
  if (lua_istable(L, 1)) return fromtable(L, LURN_REAL);
  if (lua_type(L, 1) == LUA_TNUMBER) return m_zeros(L);
  if (!lua_isuserdata(L, 1)) luaL_typeerror(L, 1, "table, sizes or lurn.tensor");
  l_checktensor(L, 1);
  l_pushclone(L, 1);
  return 1;
}

/* Fresh ids are "none", which is 0 for Lua and -1 in memory. */
static int m_ids (lua_State *L) {
  if (lua_istable(L, 1)) return fromtable(L, LURN_INDEX);
  lurn_tensor *t = pushsized(L, LURN_INDEX, 1, lua_gettop(L));
  memset(t->data.i, 0xff, (size_t)lurn_tensor_count(t) * sizeof(int32_t));
  return 1;
}

static int m_eye (lua_State *L) {
  int64_t n = lb_integer(L, 1, 0, INT32_MAX, "size"), dim[2] = {n, n};
  lurn_tensor *t = l_newtensor(L, LURN_REAL, 2, dim);
  for (int64_t i = 0; i < n; i++) t->data.r[i * (n + 1)] = 1;
  return 1;
}

/* ==== Progressions ==== */

/* first, first + step, ...; each from its place, so that no error accumulates */
static int pushsteps (lua_State *L, double first, double step, double count) {
  luaL_argcheck(L, count < 4503599627370496.0, 1, "too many elements");
  int64_t n = count > 0 ? (int64_t)count : 0;
  lurn_tensor *t = l_newtensor(L, LURN_REAL, 1, &n);
  for (int64_t i = 0; i < n; i++) t->data.r[i] = (real)(first + (double)i * step);
  return 1;
}

static double checkstep (lua_State *L) {
  double step = luaL_optnumber(L, 3, 1);
  luaL_argcheck(L, step != 0 && isfinite(step), 3, "expected a step that is finite and not 0");
  return step;
}

static int m_arange (lua_State *L) {
  double first = luaL_checknumber(L, 1), stop = luaL_optnumber(L, 2, first), step = checkstep(L);
  if (lua_isnoneornil(L, 2)) first = 0;
  return pushsteps(L, first, step, ceil((stop - first) / step));
}

static int m_range (lua_State *L) {
  double first = luaL_checknumber(L, 1), last = luaL_checknumber(L, 2), step = checkstep(L);
  return pushsteps(L, first, step, floor((last - first) / step) + 1);
}

static int m_linspace (lua_State *L) {
  double first = luaL_checknumber(L, 1), last = luaL_checknumber(L, 2);
  int64_t n = lb_integer(L, 3, 0, INT32_MAX, "number of points");
  pushsteps(L, first, n > 1 ? (last - first) / (double)(n - 1) : 0, (double)n);
  if (n > 1) l_setelement(L, lua_touserdata(L, -1), n - 1, 2);
  return 1;
}

/* ==== Random numbers ==== */

typedef struct random_row {
  const char *name, *option[2];
  double def[2];
  double (*draw) (lurn_key key, uint64_t i);
} random_row;

/* value = option 1 + (option 2 - option 1) * uniform;  value = option 1 + option 2 * normal */
static const random_row randoms[] = {
  {"uniform", {"low", "high"}, {0, 1}, lurn_random_uniform},
  {"normal",  {"mean", "std"}, {0, 1}, lurn_random_normal},
  {NULL, {NULL, NULL}, {0, 0}, NULL}
};

static void checkkeys (lua_State *L, int arg, const random_row *row) {
  const char *known[] = {"seed", "name", row->option[0], row->option[1]};
  for (lua_pushnil(L); lua_next(L, arg); lua_pop(L, 1)) {
    int found = 0;
    for (int i = 0; i < 4; i++) found |= lua_type(L, -2) == LUA_TSTRING && strcmp(known[i], lua_tostring(L, -2)) == 0;
    if (!found)
      luaL_argerror(L, arg, lua_pushfstring(L, "unknown option '%s'; known are seed, name, %s, %s",
                                            luaL_tolstring(L, -2, NULL), known[2], known[3]));
  }
}

/* upvalue 1: the row */
static int m_random (lua_State *L) {
  const random_row *row = lua_touserdata(L, lua_upvalueindex(1));
  int last = lua_gettop(L), options = lua_istable(L, last) && (last > 1 || lua_rawlen(L, 1) == 0);
  if (!options) {
    lua_newtable(L);
    last++;
  }
  checkkeys(L, last, row);
  double a = lb_getnumber(L, last, row->option[0], row->def[0]), b = lb_getnumber(L, last, row->option[1], row->def[1]);
  double scale = row->draw == lurn_random_uniform ? b - a : b;
  uint64_t seed = (uint64_t)lb_getinteger(L, last, "seed", LUA_MININTEGER, LUA_MAXINTEGER, 0);
  lurn_key key = lurn_key_make(seed, LURN_PURPOSE_SCRIPT, lb_getstring(L, last, "name", NULL));
  lurn_tensor *t = pushsized(L, LURN_REAL, 1, last - 1);
  int64_t n = lurn_tensor_count(t);
  for (int64_t i = 0; i < n; i++) t->data.r[i] = (real)(a + scale * row->draw(key, (uint64_t)i));
  return 1;
}

/* ==== Joining ==== */

/* Adds the size of the tensor on top along d to y's; everything else must agree. */
static void join_shape (lua_State *L, lurn_tensor *y, int d, const lurn_tensor *t) {
  char text[L_SHAPE_TEXT];
  int64_t dim[LURN_MAX_RANK];
  int same = t->rank == y->rank && t->dtype == y->dtype;
  for (int e = 0; e < y->rank; e++) {
    dim[e] = e == d ? -1 : y->dim[e];
    same = same && (e == d || t->dim[e] == y->dim[e]);
  }
  if (!same) l_shapeerror(L, 1, lurn_shape_text(text, sizeof text, y->rank, dim), t);
  y->dim[d] += t->dim[d];
}

static const lurn_tensor *pushpart (lua_State *L, int64_t i) {
  lua_rawgeti(L, 1, i);
  const lurn_tensor *t = l_testtensor(L, -1);
  if (t == NULL)
    luaL_argerror(L, 1, lua_pushfstring(L, "expected a table of tensors, got %s at [%I]", luaL_typename(L, -1), (LUAI_UACINT)i));
  return t;
}

/* Copies part i to its place in the tensor at 3 and returns where the next one goes. */
static int64_t join_part (lua_State *L, int64_t i, int d, int64_t at) {
  lurn_tensor v = *(lurn_tensor *)lua_touserdata(L, 3);
  const lurn_tensor *t = pushpart(L, i);
  v.data.p = (char *)v.data.p + at * v.stride[d] * (int64_t)lurn_dtype_size(v.dtype);
  v.dim[d] = t->dim[d];
  at += t->dim[d];
  l_pushview(L, 3, &v);
  l_assign(L, 5, 4);
  lua_settop(L, 3);
  return at;
}

/* cat({t, u, ...}, dim) */
static int m_cat (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 2);
  int64_t n = (int64_t)lua_rawlen(L, 1), at = 0;
  luaL_argcheck(L, n > 0, 1, "expected at least one tensor");
  lurn_tensor y = *pushpart(L, 1);
  int d = lua_isnil(L, 2) ? 0 : l_checkdim(L, 2, &y);
  if (y.rank == 0) l_shapeerror(L, 1, "at least one dimension", &y);
  for (int64_t i = 2; i <= n; i++) {
    join_shape(L, &y, d, pushpart(L, i));
    lua_pop(L, 1);
  }
  lua_settop(L, 2);
  l_newtensor(L, y.dtype, y.rank, y.dim);
  for (int64_t i = 1; i <= n; i++) at = join_part(L, i, d, at);
  return 1;
}

static int m_is_tensor (lua_State *L) {
  lua_pushboolean(L, l_testtensor(L, 1) != NULL);
  return 1;
}

static const luaL_Reg functions[] = {
  {"tensor", m_tensor}, {"zeros", m_zeros}, {"ones", m_ones}, {"full", m_full}, {"eye", m_eye},
  {"ids", m_ids}, {"arange", m_arange}, {"range", m_range}, {"linspace", m_linspace},
  {"cat", m_cat}, {"is_tensor", m_is_tensor},
  {NULL, NULL}
};

void l_tensor_make (lua_State *L) {
  luaL_setfuncs(L, functions, 0);
  for (const random_row *row = randoms; row->name; row++) {
    lua_pushlightuserdata(L, (void *)(uintptr_t)row);
    lua_pushcclosure(L, m_random, 1);
    lua_setfield(L, -2, row->name);
  }
}
