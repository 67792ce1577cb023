/* lb.c: the glue toolkit. */
#include "lb.h"
#include "kernel.h"

#include <stdlib.h>
#include <string.h>

/* --- context ------------------------------------------------------------------------------- */

/* The key is the address: the two precisions are two objects, each with its own. */
static const char context_key[] = LB_TYPE("context");

/* "c, avx2": one string on the stack. */
static void push_list (lua_State *L, const char *const *list) {
  luaL_Buffer b;
  luaL_buffinit(L, &b);
  for (int i = 0; list[i]; i++) {
    if (i > 0) luaL_addstring(&b, ", ");
    luaL_addstring(&b, list[i]);
  }
  luaL_pushresult(&b);
}

static const lurn_kernels *find_kernels (lua_State *L) {
  const char *isa = getenv("LURN_ISA");
  const lurn_kernels *kernels = lurn_kernels_find(isa);
  if (kernels) return kernels;
  push_list(L, lurn_kernels_list());
  luaL_error(L, "LURN_ISA: expected one of those this machine runs (%s), got '%s'", lua_tostring(L, -1), isa ? isa : "");
  return NULL;
}

void lb_open_ctx (lua_State *L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, context_key) == LUA_TNIL) {
    const lurn_kernels *kernels = find_kernels(L);
    lurn_ctx *ctx = lua_newuserdatauv(L, sizeof *ctx, 0);
    memset(ctx, 0, sizeof *ctx);
    ctx->alloc = lua_getallocf(L, &ctx->alloc_ud);
    ctx->kernels = kernels;
    lua_rawsetp(L, LUA_REGISTRYINDEX, context_key);
  }
  lua_pop(L, 1);
}

lurn_ctx *lb_ctx (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, context_key);
  lurn_ctx *ctx = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (ctx == NULL) luaL_error(L, "the %s engine is not open in this Lua state", LURN_PRECISION);
  return ctx;
}

const void *lb_driver (lua_State *L, const char *name) {
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, LUA_GNAME);
  lua_getfield(L, -1, "require");
  lua_pushfstring(L, "lurn." LURN_PRECISION ".%s", name);
  lua_call(L, 1, 1);
  const void *driver = lua_touserdata(L, -1);
  lua_pop(L, 3);
  return driver;
}

/* --- types --------------------------------------------------------------------------------- */

/* What a user reads does not tell the precisions apart: "lurn.f32.tensor" prints as "lurn.tensor". */
static void push_public_name (lua_State *L, const char *tname) {
  size_t n = strlen(LB_TYPE(""));
  if (strncmp(tname, LB_TYPE(""), n) == 0) lua_pushfstring(L, "lurn.%s", tname + n);
  else lua_pushstring(L, tname);
}

void lb_type (lua_State *L, const char *tname, const luaL_Reg *methods, const luaL_Reg *meta) {
  if (luaL_newmetatable(L, tname)) {
    push_public_name(L, tname);
    lua_setfield(L, -2, "__name");
    lua_newtable(L);
    if (methods) luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "__index");
    if (meta) luaL_setfuncs(L, meta, 1);        /* takes the methods off the stack */
    else lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

void *lb_new (lua_State *L, const char *tname, size_t size, int nuv) {
  void *u = lua_newuserdatauv(L, size, nuv);
  memset(u, 0, size);
  luaL_setmetatable(L, tname);
  return u;
}

/* --- results ------------------------------------------------------------------------------- */

void lb_check (lua_State *L, lurn_status status) {
  if (status != LURN_OK) luaL_error(L, "%s", lb_ctx(L)->message);
}

int lb_result (lua_State *L, lurn_status status) {
  if (status == LURN_OK) return 0;
  if (status == LURN_EINVAL || status == LURN_ENOMEM) lb_check(L, status);
  lua_pushnil(L);
  lua_pushstring(L, lb_ctx(L)->message);
  lua_pushstring(L, lurn_status_name(status));
  return 3;
}

int lb_done (lua_State *L, lurn_status status) {
  if (status != LURN_OK) return lb_result(L, status);
  lua_pushboolean(L, 1);
  return 1;
}

/* --- arguments ----------------------------------------------------------------------------- */

/* A value as a message shows it: numbers and booleans as they are, strings in quotes, everything
 * else by its type. Pushes the text. */
static const char *push_shown (lua_State *L, int index) {
  switch (lua_type(L, index)) {
    case LUA_TSTRING:
      return lua_pushfstring(L, "'%s'", lua_tostring(L, index));
    case LUA_TNUMBER: case LUA_TBOOLEAN:
      return luaL_tolstring(L, index, NULL);
    default:
      return lua_pushstring(L, luaL_typename(L, index));
  }
}

/* Raises "bad argument #arg to 'f' (what: expected ..., got ...)". `got` is pushed before `expected`
 * is: a missing argument's index is where the next push goes. */
static int complain (lua_State *L, int arg, const char *what, const char *expected, const char *got) {
  return luaL_argerror(L, arg, lua_pushfstring(L, "%s: expected %s, got %s", what, expected, got));
}

static const char *push_range (lua_State *L, lua_Integer low, lua_Integer high) {
  if (low == LUA_MININTEGER && high == LUA_MAXINTEGER) return lua_pushliteral(L, "an integer");
  if (high == LUA_MAXINTEGER) return lua_pushfstring(L, "an integer, at least %I", (LUAI_UACINT)low);
  if (low == LUA_MININTEGER) return lua_pushfstring(L, "an integer, at most %I", (LUAI_UACINT)high);
  return lua_pushfstring(L, "an integer from %I to %I", (LUAI_UACINT)low, (LUAI_UACINT)high);
}

/* Strings that look like numbers are refused: they come from a command line that forgot to
 * convert, and comparing them later would fail far from here. */
lua_Integer lb_integer_at (lua_State *L, int arg, int index, lua_Integer low, lua_Integer high, const char *what) {
  int fits = 0;
  lua_Integer n = lua_type(L, index) == LUA_TNUMBER ? lua_tointegerx(L, index, &fits) : 0;
  if (!fits || n < low || n > high) {
    const char *got = push_shown(L, index);
    complain(L, arg, what, push_range(L, low, high), got);
  }
  return n;
}

lua_Integer lb_integer (lua_State *L, int arg, lua_Integer low, lua_Integer high, const char *what) {
  return lb_integer_at(L, arg, arg, low, high, what);
}

/* Pushes t[key]; 1 when there is something there. */
static int get (lua_State *L, int arg, const char *key) {
  luaL_checktype(L, arg, LUA_TTABLE);
  return lua_getfield(L, arg, key) != LUA_TNIL;
}

lua_Integer lb_getinteger (lua_State *L, int arg, const char *key, lua_Integer low, lua_Integer high, lua_Integer def) {
  lua_Integer n = get(L, arg, key) ? lb_integer_at(L, arg, lua_gettop(L), low, high, key) : def;
  lua_pop(L, 1);
  return n;
}

double lb_getnumber (lua_State *L, int arg, const char *key, double def) {
  int there = get(L, arg, key), top = lua_gettop(L);
  if (there && lua_type(L, top) != LUA_TNUMBER) complain(L, arg, key, "a number", push_shown(L, top));
  double x = there ? (double)lua_tonumber(L, top) : def;
  lua_pop(L, 1);
  return x;
}

int lb_getboolean (lua_State *L, int arg, const char *key, int def) {
  int there = get(L, arg, key), top = lua_gettop(L);
  if (there && !lua_isboolean(L, top)) complain(L, arg, key, "true or false", push_shown(L, top));
  int x = there ? lua_toboolean(L, top) : def;
  lua_pop(L, 1);
  return x;
}

/* What an __index makes belongs to nobody: the string on top is kept by a list beside the table, which lives as long. */
static void keep_made (lua_State *L, int arg, const char *key) {
  static const char lists;
  int top = lua_gettop(L);
  if (!lua_getmetatable(L, arg)) return;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &lists) == LUA_TNIL) {
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "k");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &lists);
  }
  int all = lua_gettop(L);
  lua_pushvalue(L, arg);
  if (lua_rawget(L, all) == LUA_TNIL) {
    lua_newtable(L);
    lua_pushvalue(L, arg);
    lua_pushvalue(L, -2);
    lua_rawset(L, all);
  }
  lua_pushvalue(L, top);
  lua_setfield(L, -2, key);
  lua_settop(L, top);
}

/* The string stays valid for as long as the table holds it, or, where the table's __index made it, until it makes the next
 * one for that key; a number is refused because its conversion would belong to nobody. */
const char *lb_getstring (lua_State *L, int arg, const char *key, const char *def) {
  int there = get(L, arg, key), top = lua_gettop(L);
  if (there && lua_type(L, top) != LUA_TSTRING) complain(L, arg, key, "a string", push_shown(L, top));
  const char *s = there ? lua_tostring(L, top) : def;
  if (there) keep_made(L, arg, key);
  lua_pop(L, 1);
  return s;
}

int lb_choice (lua_State *L, int arg, const char *const *list, const char *what) {
  if (lua_type(L, arg) == LUA_TSTRING)
    for (int i = 0; list[i]; i++)
      if (strcmp(list[i], lua_tostring(L, arg)) == 0) return i;
  const char *got = push_shown(L, arg);
  push_list(L, list);
  complain(L, arg, what, lua_pushfstring(L, "one of %s", lua_tostring(L, -1)), got);
  return 0;
}
