/* l_h5.c: documents in HDF5, for Lua. The handle lies in the userdata, closed, before it is opened. */
#include "l_h5.h"

#include <string.h>

#include "l_tensor_parts.h"

#define WRITER LB_TYPE("h5.writer")
#define READER LB_TYPE("h5.reader")

lurn_ctx *l_h5_ctx (lua_State *L) {
  lurn_ctx *ctx = lb_ctx(L);
  if (!ctx->h5) ctx->h5 = lb_driver(L, "hdf5");
  return ctx;
}

static lurn_h5 *check_open (lua_State *L, const char *type) {
  lurn_h5 *f = luaL_checkudata(L, 1, type);
  if (f->file == 0) luaL_error(L, "%s: the document is closed", f->path);
  return f;
}

static lurn_h5 *check_writer (lua_State *L) { return check_open(L, WRITER); }
static lurn_h5 *check_reader (lua_State *L) { return check_open(L, READER); }

/* ------------------------------------------------------------------ values to be written */

typedef struct array {
  lurn_h5_info info;
  lurn_h5_type memory;          /* TEXT: info.width bytes each, info.rank 0 or 1 */
  const void *data;             /* anchored on the Lua stack */
  int64_t one;
  double number;
} array;

static void from_tensor (lua_State *L, int arg, array *a) {
  const lurn_tensor *t = l_pushcontiguous(L, arg);
  a->memory = t->dtype == LURN_REAL ? LURN_H5_REAL : LURN_H5_I32;
  a->info.rank = t->rank;
  memcpy(a->info.dim, t->dim, sizeof a->info.dim);
  a->data = t->data.p;
}

static void from_texts (lua_State *L, int arg, array *a) {
  size_t n = (size_t)lua_rawlen(L, arg), width = 1, size;
  for (size_t i = 1; i <= n; i++, lua_pop(L, 1)) {
    if (lua_rawgeti(L, arg, (lua_Integer)i) != LUA_TSTRING)
      luaL_argerror(L, arg, "expected a list of texts, and nothing else in it");
    size = lua_rawlen(L, -1);
    if (size > width) width = size;
  }
  char *block = lua_newuserdatauv(L, n * width, 0);
  memset(block, 0, n * width);
  for (size_t i = 0; i < n; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, arg, (lua_Integer)i + 1);
    const char *text = luaL_checklstring(L, -1, &size);
    memcpy(block + i * width, text, size < width ? size : width);
  }
  a->memory = LURN_H5_TEXT;
  a->info.rank = 1;
  a->info.dim[0] = (int64_t)n;
  a->info.width = (int64_t)width;
  a->data = block;
}

/* One list of integers into to[0..n-1]; 0 when something else is in it. */
static int take_integers (lua_State *L, int list, int64_t n, int64_t *to) {
  int fits = 1;
  for (int64_t i = 0; i < n && fits; i++, lua_pop(L, 1)) {
    lua_rawgeti(L, list, i + 1);
    to[i] = lua_type(L, -1) == LUA_TNUMBER ? lua_tointegerx(L, -1, &fits) : (fits = 0);
  }
  return fits;
}

static void from_lists (lua_State *L, int arg, array *a) {
  int64_t n = (int64_t)lua_rawlen(L, arg), width = (int64_t)lua_rawlen(L, -1);
  int64_t *block = lua_newuserdatauv(L, (size_t)(n * width) * sizeof *block, 0);
  for (int64_t i = 0; i < n; i++, lua_pop(L, 1)) {
    int is_list = lua_rawgeti(L, arg, i + 1) == LUA_TTABLE && (int64_t)lua_rawlen(L, -1) == width;
    if (!is_list || !take_integers(L, lua_gettop(L), width, block + i * width))
      luaL_argerror(L, arg, "expected lists of equally many integers");
  }
  a->memory = LURN_H5_I64;
  a->info.rank = 2;
  a->info.dim[0] = n;
  a->info.dim[1] = width;
  a->data = block;
}

static void from_numbers (lua_State *L, int arg, array *a) {
  int64_t n = (int64_t)lua_rawlen(L, arg);
  int64_t *block = lua_newuserdatauv(L, (size_t)(n > 0 ? n : 1) * sizeof *block, 0);
  a->memory = LURN_H5_I64;
  a->info.rank = 1;
  a->info.dim[0] = n;
  a->data = block;
  if (take_integers(L, arg, n, block)) return;
  double *real_block = (double *)(void *)block;
  a->memory = LURN_H5_F64;
  for (int64_t i = 0; i < n; i++, lua_pop(L, 1)) {
    if (lua_rawgeti(L, arg, i + 1) != LUA_TNUMBER) luaL_argerror(L, arg, "expected a list of numbers, of texts or of lists of integers");
    real_block[i] = lua_tonumber(L, -1);
  }
}

static void from_table (lua_State *L, int arg, array *a) {
  int first = lua_rawgeti(L, arg, 1);
  if (first == LUA_TSTRING) from_texts(L, arg, a);
  else if (first == LUA_TTABLE) from_lists(L, arg, a);
  else from_numbers(L, arg, a);
}

/* Leaves what the array points into on the stack. */
static void take (lua_State *L, int arg, array *a) {
  memset(a, 0, sizeof *a);
  if (l_testtensor(L, arg)) from_tensor(L, arg, a);
  else if (lua_type(L, arg) == LUA_TTABLE) from_table(L, arg, a);
  else if (lua_isinteger(L, arg)) {
    a->memory = LURN_H5_I64;
    a->one = lua_tointeger(L, arg);
    a->data = &a->one;
  } else if (lua_type(L, arg) == LUA_TNUMBER) {
    a->memory = LURN_H5_F64;
    a->number = lua_tonumber(L, arg);
    a->data = &a->number;
  } else {
    size_t size;
    a->data = luaL_checklstring(L, arg, &size);
    a->memory = LURN_H5_TEXT;
    a->info.width = (int64_t)size;
  }
  a->info.type = a->memory;
}

/* ------------------------------------------------------------------ writing */

static const char *const type_names[] = {"f32", "f64", "i32", "i64", "u8", NULL};
static const lurn_h5_type types[] = {LURN_H5_F32, LURN_H5_F64, LURN_H5_I32, LURN_H5_I64, LURN_H5_U8};

typedef struct options { int64_t chunk; int deflate; } options;

static options take_options (lua_State *L, int arg, array *a) {
  options o = {0, 0};
  if (lua_isnoneornil(L, arg)) return o;
  o.chunk = lb_getinteger(L, arg, "chunk", 0, (lua_Integer)1 << 30, 0);
  o.deflate = (int)lb_getinteger(L, arg, "deflate", 0, 9, 0);
  if (o.deflate > 0 && o.chunk == 0) o.chunk = a->info.dim[0] > 0 ? a->info.dim[0] : 1;
  if (lua_getfield(L, arg, "type") != LUA_TNIL) {
    luaL_argcheck(L, a->memory != LURN_H5_TEXT, arg, "texts have no type");
    a->info.type = types[lb_choice(L, lua_gettop(L), type_names, "type")];
  }
  return o;
}

static int w_write (lua_State *L) {
  array a;
  lurn_h5 *f = check_writer(L);
  const char *name = luaL_checkstring(L, 2);
  lua_settop(L, 4);
  take(L, 3, &a);
  options o = take_options(L, 4, &a);
  lurn_ctx *ctx = lb_ctx(L);
  if (a.memory == LURN_H5_TEXT)
    return lb_done(L, lurn_h5_write_text(ctx, f, name, a.info.rank == 0 ? -1 : a.info.dim[0], a.data,
                                         (size_t)a.info.width));
  return lb_done(L, lurn_h5_write(ctx, f, name, &a.info, o.chunk, o.deflate, a.memory, a.data));
}

static int w_append (lua_State *L) {
  array a;
  lurn_h5_info old;
  lurn_h5 *f = check_writer(L);
  const char *name = luaL_checkstring(L, 2);
  lua_settop(L, 3);
  take(L, 3, &a);
  luaL_argcheck(L, a.memory != LURN_H5_TEXT && a.info.rank > 0, 3, "expected rows of numbers");
  lurn_status status = lurn_h5_look(lb_ctx(L), f, name, &old);
  if (status != LURN_OK) return lb_result(L, status);
  int same = old.rank == a.info.rank && memcmp(old.dim + 1, a.info.dim + 1, (size_t)(old.rank - 1) * sizeof old.dim[0]) == 0;
  luaL_argcheck(L, same, 3, "expected rows of the same shape as those that are there");
  return lb_done(L, lurn_h5_put(lb_ctx(L), f, name, a.memory, old.dim[0], a.info.dim[0], a.data));
}

static int w_attr (lua_State *L) {
  lurn_h5_value v;
  lurn_h5 *f = check_writer(L);
  const char *object = luaL_checkstring(L, 2), *key = luaL_checkstring(L, 3);
  memset(&v, 0, sizeof v);
  if (lua_isinteger(L, 4)) {
    v.type = LURN_H5_I64;
    v.i = lua_tointeger(L, 4);
  } else if (lua_type(L, 4) == LUA_TNUMBER) {
    v.type = LURN_H5_F64;
    v.d = lua_tonumber(L, 4);
  } else {
    v.type = LURN_H5_TEXT;
    v.text = luaL_checklstring(L, 4, &v.size);
  }
  return lb_done(L, lurn_h5_attr_set(lb_ctx(L), f, object, key, &v));
}

static int w_commit (lua_State *L) {
  return lb_done(L, lurn_h5_commit(lb_ctx(L), check_writer(L)));
}

static int w_abort (lua_State *L) {
  lurn_h5_abort(luaL_checkudata(L, 1, WRITER));
  return 0;
}

static int h_create (lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lurn_h5 *f = lb_new(L, WRITER, sizeof *f, 0);
  lurn_status status = lurn_h5_create(l_h5_ctx(L), f, path);
  return status == LURN_OK ? 1 : lb_result(L, status);
}

/* ------------------------------------------------------------------ reading */

static int h_open (lua_State *L) {
  const char *path = luaL_checkstring(L, 1);
  lurn_h5 *f = lb_new(L, READER, sizeof *f, 0);
  lurn_status status = lurn_h5_open(l_h5_ctx(L), f, path);
  return status == LURN_OK ? 1 : lb_result(L, status);
}

static int r_close (lua_State *L) {
  lurn_h5_close(luaL_checkudata(L, 1, READER));
  return 0;
}

static size_t padded_size (const char *text, size_t width) {
  while (width > 0 && text[width - 1] == '\0') width--;
  return width;
}

static int read_texts (lua_State *L, lurn_h5 *f, const char *name, const lurn_h5_info *info) {
  int64_t n = info->rank == 0 ? 1 : info->dim[0];
  size_t width = (size_t)info->width;
  char *block = lua_newuserdatauv(L, (size_t)n * width, 0);
  lurn_status status = lurn_h5_read_text(lb_ctx(L), f, name, info, block);
  if (status != LURN_OK) return lb_result(L, status);
  if (info->rank == 0) {
    lua_pushlstring(L, block, padded_size(block, width));
    return 1;
  }
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    const char *text = block + (size_t)i * width;
    lua_pushlstring(L, text, padded_size(text, width));
    lua_rawseti(L, -2, i + 1);
  }
  return 1;
}

static void push_list (lua_State *L, const int64_t *p, int64_t n) {
  lua_createtable(L, (int)n, 0);
  for (int64_t i = 0; i < n; i++) {
    lua_pushinteger(L, p[i]);
    lua_rawseti(L, -2, i + 1);
  }
}

/* 64-bit integers (offsets, ranges) have no tensor; they are lists. */
static int read_integers (lua_State *L, lurn_h5 *f, const char *name, const lurn_h5_info *info, int64_t first, int64_t count) {
  int64_t width = info->rank == 2 ? info->dim[1] : 1;
  if (info->rank > 2) return luaL_error(L, "%s: %s: 64-bit integers of rank %d", f->path, name, info->rank);
  int64_t *block = lua_newuserdatauv(L, (size_t)(count * width) * sizeof *block, 0);
  lurn_status status = lurn_h5_read(lb_ctx(L), f, name, LURN_H5_I64, first, count, block);
  if (status != LURN_OK) return lb_result(L, status);
  if (info->rank == 0) lua_pushinteger(L, block[0]);
  else if (info->rank == 1) push_list(L, block, count);
  else {
    lua_createtable(L, (int)count, 0);
    for (int64_t i = 0; i < count; i++) {
      push_list(L, block + i * width, width);
      lua_rawseti(L, -2, i + 1);
    }
  }
  return 1;
}

static int read_tensor (lua_State *L, lurn_h5 *f, const char *name, lurn_h5_info *info, int64_t first, int64_t count) {
  int reals = info->type == LURN_H5_F32 || info->type == LURN_H5_F64;
  if (info->rank == 0 && reals) {
    double x;
    lurn_status status = lurn_h5_read(lb_ctx(L), f, name, LURN_H5_F64, 0, 1, &x);
    if (status != LURN_OK) return lb_result(L, status);
    lua_pushnumber(L, x);
    return 1;
  }
  if (info->rank > 0) info->dim[0] = count;
  lurn_tensor *t = l_newtensor(L, reals ? LURN_REAL : LURN_INDEX, info->rank, info->dim);
  lurn_status status = lurn_h5_read(lb_ctx(L), f, name, reals ? LURN_H5_REAL : LURN_H5_I32, first, count, t->data.p);
  return status == LURN_OK ? 1 : lb_result(L, status);
}

static int r_read (lua_State *L) {
  lurn_h5_info info;
  lurn_h5 *f = check_reader(L);
  const char *name = luaL_checkstring(L, 2);
  lurn_status status = lurn_h5_look(lb_ctx(L), f, name, &info);
  if (status != LURN_OK) return lb_result(L, status);
  luaL_argcheck(L, info.type != LURN_H5_NONE, 2, "expected the name of an array, got that of a group");
  int64_t rows = info.rank == 0 ? 1 : info.dim[0], first = 0;
  if (!lua_isnoneornil(L, 3)) first = lb_integer(L, 3, 1, rows + 1, "first row") - 1;
  int64_t count = lua_isnoneornil(L, 4) ? rows - first : lb_integer(L, 4, 0, rows - first, "number of rows");
  if (info.rank == 0) { first = 0; count = 1; }      /* a single number has no rows to leave out */
  if (info.type == LURN_H5_TEXT) return read_texts(L, f, name, &info);
  if (info.type == LURN_H5_I64 || (info.rank == 0 && info.type != LURN_H5_F32 && info.type != LURN_H5_F64))
    return read_integers(L, f, name, &info, first, count);
  return read_tensor(L, f, name, &info, first, count);
}

/* A list of sizes and the type's name; nil for a group. */
static int r_shape (lua_State *L) {
  lurn_h5_info info;
  lurn_h5 *f = check_reader(L);
  lurn_status status = lurn_h5_look(lb_ctx(L), f, luaL_checkstring(L, 2), &info);
  if (status != LURN_OK) return lb_result(L, status);
  if (info.type == LURN_H5_NONE) lua_pushnil(L);
  else push_list(L, info.dim, info.rank);
  lua_pushstring(L, lurn_h5_type_name(info.type));
  return 2;
}

static int r_exists (lua_State *L) {
  lurn_h5 *f = check_reader(L);
  lua_pushboolean(L, lurn_h5_exists(f, luaL_checkstring(L, 2)));
  return 1;
}

typedef lurn_status (*name_fn) (lurn_ctx *, lurn_h5 *, const char *, int64_t, char *);

static int push_names (lua_State *L, name_fn next) {
  char name[LURN_H5_NAME];
  lurn_h5 *f = check_reader(L);
  const char *object = luaL_optstring(L, 2, "/");
  lurn_ctx *ctx = lb_ctx(L);
  lua_newtable(L);
  for (int64_t i = 0; ; i++) {
    lurn_status status = next(ctx, f, object, i, name);
    if (status != LURN_OK) return lb_result(L, status);
    if (name[0] == '\0') return 1;
    lua_pushstring(L, name);
    lua_rawseti(L, -2, i + 1);
  }
}

/* In the order of names: HDF5's own order is that of hashes. */
static int r_list (lua_State *L) {
  int n = push_names(L, lurn_h5_child);
  if (n != 1) return n;
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "table");
  lua_getfield(L, -1, "sort");
  lua_pushvalue(L, -4);
  lua_call(L, 1, 0);
  lua_pop(L, 2);
  return 1;
}

/* Pushes the value, or nil when there is none. */
static lurn_status push_attr (lua_State *L, lurn_h5 *f, const char *object, const char *key) {
  lurn_h5_value v;
  lurn_ctx *ctx = lb_ctx(L);
  lurn_status status = lurn_h5_attr(ctx, f, object, key, &v, NULL, 0);
  if (status != LURN_OK) return status;
  if (v.type == LURN_H5_TEXT && v.size > 0) {
    size_t room = v.size;
    char *text = lua_newuserdatauv(L, room, 0);
    status = lurn_h5_attr(ctx, f, object, key, &v, text, room);
    if (status != LURN_OK) return status;
    lua_pushlstring(L, text, v.text ? v.size : 0);
    lua_remove(L, -2);
  } else if (v.type == LURN_H5_TEXT) lua_pushliteral(L, "");
  else if (v.type == LURN_H5_I64) lua_pushinteger(L, v.i);
  else if (v.type == LURN_H5_F64) lua_pushnumber(L, v.d);
  else lua_pushnil(L);
  return LURN_OK;
}

static int r_attr (lua_State *L) {
  lurn_h5 *f = check_reader(L);
  lurn_status status = push_attr(L, f, luaL_checkstring(L, 2), luaL_checkstring(L, 3));
  return status == LURN_OK ? 1 : lb_result(L, status);
}

/* All of them by name; one that is neither a number nor a text is left out. */
static int r_attrs (lua_State *L) {
  lurn_h5 *f = check_reader(L);
  const char *object = luaL_optstring(L, 2, "/");
  int n = push_names(L, lurn_h5_attr_name);
  if (n != 1) return n;
  int names = lua_gettop(L);
  lua_newtable(L);
  for (lua_Integer i = 1; lua_rawgeti(L, names, i) == LUA_TSTRING; i++) {
    lurn_status status = push_attr(L, f, object, lua_tostring(L, -1));
    if (status == LURN_OK) lua_settable(L, names + 1);
    lua_settop(L, names + 1);
  }
  lua_pop(L, 1);
  return 1;
}

static int h_tostring (lua_State *L) {
  lurn_h5 *f = luaL_testudata(L, 1, WRITER);
  if (f == NULL) f = luaL_checkudata(L, 1, READER);
  lua_pushfstring(L, "%s (%s)", f->path, f->file == 0 ? "closed" : f->writing ? "being written" : "open");
  return 1;
}

/* ------------------------------------------------------------------ */

static const luaL_Reg writer_methods[] = {
  {"write", w_write}, {"append", w_append}, {"attr", w_attr}, {"commit", w_commit}, {"abort", w_abort}, {NULL, NULL}
};
static const luaL_Reg writer_meta[] = {
  {"__gc", w_abort}, {"__close", w_abort}, {"__tostring", h_tostring}, {NULL, NULL}
};
static const luaL_Reg reader_methods[] = {
  {"read", r_read}, {"list", r_list}, {"shape", r_shape}, {"exists", r_exists}, {"attr", r_attr}, {"attrs", r_attrs},
  {"close", r_close}, {NULL, NULL}
};
static const luaL_Reg reader_meta[] = {
  {"__gc", r_close}, {"__close", r_close}, {"__tostring", h_tostring}, {NULL, NULL}
};
static const luaL_Reg functions[] = {{"create", h_create}, {"open", h_open}, {NULL, NULL}};

int l_h5_open (lua_State *L) {
  lb_type(L, WRITER, writer_methods, writer_meta);
  lb_type(L, READER, reader_methods, reader_meta);
  luaL_newlib(L, functions);
  return 1;
}
