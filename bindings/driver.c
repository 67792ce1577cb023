/* driver.c: an outside library, as a module of its own: lurn/f32/NAME.so.
 *
 * Loading HDF5 (with the thirty libraries that it needs), OpenBLAS or PostgreSQL's takes longer than a prompt may take
 * to be there. So what uses a library is a table of functions of core (blas.h, h5.h, db.h), alone in a module, which is
 * required when somebody first needs it (lb_driver in lb.h). This file is compiled once for each, with its NAME: the
 * module is the address of lurn_NAME.
 */
#include <lua.h>

#include "blas.h"
#include "h5.h"
#include "postgres.h"
#include "sqlite.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)
#ifdef LURN_F64
#define OPEN JOIN(luaopen_lurn_f64_, NAME)
#else
#define OPEN JOIN(luaopen_lurn_f32_, NAME)
#endif

__attribute__((visibility("default"))) int OPEN (lua_State *L);
int OPEN (lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&JOIN(lurn_, NAME));
  return 1;
}
