/* l_info.c: what a run file's manifest records of this build and this machine. */
#include "build.h"              /* the Makefile writes it: commit and flags */
#include "kernel.h"
#include "l_blas.h"
#include "l_h5.h"
#include "sys.h"

int l_info_open (lua_State *L);

static void put (lua_State *L, const char *key, const char *text) {
  if (text == NULL || text[0] == '\0') return;
  lua_pushstring(L, text);
  lua_setfield(L, -2, key);
}

/* blas_info() -> a table of texts, and of one number, its threads; empty while OpenBLAS is not loaded. */
static int blas_info (lua_State *L) {
  char text[512];
  const lurn_blas *blas = l_blas_loaded(L);
  lua_newtable(L);
  if (blas == NULL) return 1;
  put(L, "blas", blas->config(text, sizeof text));
  put(L, "blas_core", blas->core());
  put(L, "blas_warning", blas->warning());
  lua_pushinteger(L, blas->threads());
  lua_setfield(L, -2, "blas_threads");
  return 1;
}

/* info() -> a table of texts. Loads HDF5, of which it tells. */
static int info (lua_State *L) {
  char text[512];
  lurn_ctx *ctx = l_h5_ctx(L);
  lua_newtable(L);
  put(L, "version", LURN_VERSION);
  put(L, "commit", LURN_COMMIT);
  put(L, "flags", LURN_FLAGS);
  put(L, "compiler", __VERSION__);
  put(L, "precision", LURN_PRECISION);
  put(L, "isa", ctx->kernels->isa);
  put(L, "engine", ctx->blas ? "openblas" : "lurn");
  put(L, "lua", LUA_RELEASE);
  put(L, "hdf5", ctx->h5->library(text, sizeof text));
  put(L, "cpu", lurn_sys_cpu(text, sizeof text));
  put(L, "os", lurn_sys_os(text, sizeof text));
  put(L, "libc", lurn_sys_libc(text, sizeof text));
  return 1;
}

static const luaL_Reg functions[] = {{"info", info}, {"blas_info", blas_info}, {NULL, NULL}};

int l_info_open (lua_State *L) {
  luaL_newlib(L, functions);
  return 1;
}
