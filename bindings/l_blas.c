/* l_blas.c: OpenBLAS, loaded when somebody first needs it. */
#define _POSIX_C_SOURCE 200809L      /* setenv, unsetenv */

#include "l_blas.h"

#include <stdlib.h>

static const char key;      /* in the registry: the library's functions */

const lurn_blas *l_blas_loaded (lua_State *L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
  const lurn_blas *blas = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return blas;
}

static int load (lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)lb_driver(L, "openblas"));
  return 1;
}

/* OpenBLAS starts a thread for every further core when it is loaded. lurn gives it one (blas.h), and the others would
 * spin while the first step is waited for. Who asked for a number is heard; the variable is taken away again, so that a
 * script's children do not inherit it. */
const lurn_blas *l_blas (lua_State *L) {
  static const char variable[] = "OPENBLAS_NUM_THREADS";
  const lurn_blas *blas = l_blas_loaded(L);
  if (blas) return blas;
  int spare = !getenv(variable) && setenv(variable, "1", 0) == 0;
  lua_pushcfunction(L, load);
  int rc = lua_pcall(L, 0, 1, 0);
  if (spare) unsetenv(variable);
  if (rc != LUA_OK) lua_error(L);
  blas = lua_touserdata(L, -1);
  blas->start();
  lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
  return blas;
}
