/* l_module.c: the list of rooms. luaopen_lurn_f32 and luaopen_lurn_f64 are this file, compiled
 * twice; it returns one table and touches nothing global.
 */
#include <stdlib.h>
#include <string.h>

#include "kernel.h"
#include "l_blas.h"
#include "l_data.h"
#include "l_program.h"
#include "l_signal.h"
#include "l_tensor.h"
#include "pool.h"

int l_rng_open (lua_State *L);
int l_h5_open (lua_State *L);
int l_sys_open (lua_State *L);
int l_npy_open (lua_State *L);
int l_model_open (lua_State *L);
int l_bench_open (lua_State *L);
int l_op_open (lua_State *L);
int l_info_open (lua_State *L);
int l_process_open (lua_State *L);
int l_db_open (lua_State *L);
int l_parzen_open (lua_State *L);
int l_line_open (lua_State *L);
int l_json_open (lua_State *L);

#ifdef __GNUC__
#define EXPORT __attribute__((visibility("default")))
#else
#define EXPORT
#endif

/* Every table of functions is merged into the module, or stands in it under a name. */
static const struct { const char *name; lua_CFunction open; } rooms[] = {
  {NULL, l_op_open}, {NULL, l_program_open}, {NULL, l_model_open}, {NULL, l_data_open}, {NULL, l_bench_open},
      {NULL, l_info_open}, {"tensor", l_tensor_open},
  {"rng", l_rng_open}, {"h5", l_h5_open}, {"sys", l_sys_open}, {"npy", l_npy_open}, {"db", l_db_open},
  {"signal", l_signal_open}, {"process", l_process_open}, {"parzen", l_parzen_open}, {"line", l_line_open},
  {"json", l_json_open},
};

static void merge (lua_State *L, int into) {
  for (lua_pushnil(L); lua_next(L, -2); ) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_settable(L, into);
  }
  lua_pop(L, 1);
}

/* engine("lurn" | "openblas"): who does the products from now on; without an argument, who does. */
static int engine (lua_State *L) {
  static const char *const names[] = {"lurn", "openblas", NULL};
  lurn_ctx *ctx = lb_ctx(L);
  if (!lua_isnoneornil(L, 1)) ctx->blas = lb_choice(L, 1, names, "engine") == 1 ? l_blas(L) : NULL;
  lua_pushstring(L, names[ctx->blas != NULL]);
  return 1;
}

/* isa() -> the kernels in use and the list of those that can run here; isa(name) changes them. */
static int isa (lua_State *L) {
  lurn_ctx *ctx = lb_ctx(L);
  const char *name = luaL_optstring(L, 1, NULL);
  if (name) {
    const lurn_kernels *k = lurn_kernels_find(name);
    luaL_argcheck(L, k, 1, "no such kernels on this machine");
    ctx->kernels = k;
  }
  lua_pushstring(L, ctx->kernels->isa);
  lua_newtable(L);
  for (int k = 0; lurn_kernels_list()[k]; k++) { lua_pushstring(L, lurn_kernels_list()[k]); lua_rawseti(L, -2,
      k + 1); }
  return 2;
}

/* The pool's owner: stops its threads when the state closes. One per module, in the registry. */
#define POOL LB_TYPE("pool")

static int pool_gc (lua_State *L) {
  lurn_ctx **owner = luaL_checkudata(L, 1, POOL);
  if (!*owner) return 0;
  lurn_pool_stop(*owner, (*owner)->pool);
  (*owner)->pool = NULL;
  *owner = NULL;
  return 0;
}

/* threads() -> how many threads play, and why they wait for processors: "own" (there are more of them), "others" (that
 * use the machine) or nil; threads(n) changes their number for whatever is planned from now on. */
static int threads (lua_State *L) {
  static const char *const crowds[] = {NULL, "own", "others"};
  static const luaL_Reg meta[] = {{"__gc", pool_gc}, {NULL, NULL}};
  static const char key;
  lurn_ctx *ctx = lb_ctx(L);
  if (!lua_isnoneornil(L, 1)) {
    int n = (int)lb_integer(L, 1, 1, LURN_MAX_THREADS, "threads");
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TNIL) {
      lb_type(L, POOL, NULL, meta);
      lurn_ctx **owner = lb_new(L, POOL, sizeof *owner, 0);
      *owner = ctx;
      lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    }
    lurn_pool_stop(ctx, ctx->pool);
    ctx->pool = NULL;
    if (n > 1) {
      ctx->pool = lurn_pool_start(ctx, n);
      if (!ctx->pool) return luaL_error(L, "%s", ctx->message);
    }
  }
  lua_pushinteger(L, lurn_pool_threads(ctx->pool));
  lua_pushstring(L, crowds[lurn_pool_crowd(ctx->pool)]);
  return 2;
}

static const luaL_Reg functions[] = {{"engine", engine}, {"isa", isa}, {"threads", threads},
    {NULL, NULL}};

/* Where lurn has no vector kernels of its own, OpenBLAS is the default engine. LURN_ENGINE decides
 * otherwise, and so does LURN_ISA: who asks for kernels wants them played. */
static void choose_engine (lua_State *L, lurn_ctx *ctx) {
  const char *engine_name = getenv("LURN_ENGINE"), *forced = getenv("LURN_ISA");
#if defined __x86_64__
  int blas = 0;
#else
  int blas = !(forced && *forced);
#endif
  (void)forced;
  if (engine_name && *engine_name) {
    blas = strcmp(engine_name, "openblas") == 0;
    if (!blas && strcmp(engine_name, "lurn") != 0)
      luaL_error(L, "LURN_ENGINE: expected lurn or openblas, got %s", engine_name);
  }
  ctx->blas = blas ? l_blas(L) : NULL;
}

static int open_all (lua_State *L) {
  lb_open_ctx(L);
  lurn_ctx *ctx = lb_ctx(L);
  ctx->stop = &l_signal_of(L)->stop;
  choose_engine(L, ctx);
  luaL_newlib(L, functions);
  int module = lua_gettop(L);
  for (size_t k = 0; k < sizeof rooms / sizeof *rooms; k++) {
    lua_pushcfunction(L, rooms[k].open);
    lua_call(L, 0, 1);
    if (rooms[k].name) lua_setfield(L, module, rooms[k].name);
    else merge(L, module);
  }
  lua_pushliteral(L, LURN_VERSION);
  lua_setfield(L, module, "version");
  lua_pushliteral(L, LURN_PRECISION);
  lua_setfield(L, module, "precision");
  return 1;
}

#ifdef LURN_F64
EXPORT int luaopen_lurn_f64 (lua_State *L);
int luaopen_lurn_f64 (lua_State *L) { return open_all(L); }
#else
EXPORT int luaopen_lurn_f32 (lua_State *L);
int luaopen_lurn_f32 (lua_State *L) { return open_all(L); }
#endif
