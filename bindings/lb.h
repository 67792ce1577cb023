/* lb.h: the glue toolkit. Every l_<noun>.c uses it; nothing else in bindings knows how types,
 * errors and contexts are made.
 *
 * Rules: check every argument first (may raise, owns nothing), then act (cannot raise). Scratch
 * memory is a userdata on the stack. A handle's userdata exists, valid and empty, before
 * the handle is acquired. Misuse raises; the outside world returns nil, message, code.
 * Lua counts from 1, the engine from 0: the conversion is in the binding and nowhere else.
 */
#ifndef LB_H
#define LB_H

#include <lua.h>
#include <lauxlib.h>
#include <lualib.h>

#include "base.h"

/* One context per loaded module and Lua state, a userdata in the registry under a key of this
 * precision's own. lb_open_ctx makes it (or finds it, when the module is loaded again): memory by
 * the state's allocator, kernels by LURN_ISA, an unknown or unsupported name of which raises.
 * It leaves nothing on the stack. lb_ctx finds it, and raises when the module is not open. */
void lb_open_ctx (lua_State *L);
lurn_ctx *lb_ctx (lua_State *L);

/* What an outside library does, a table of functions (blas.h, h5.h, db.h), by the name of its module: "lurn.f32.hdf5" is
 * required when "hdf5" is first asked for (driver.c). Raises when the module or its library is not there. */
const void *lb_driver (lua_State *L, const char *name);

/* Type names are the same in both precisions' modules but never the same metatable. */
#define LB_TYPE(name) "lurn." LURN_PRECISION "." name

/* Makes a metatable: methods into __index, meta (may be NULL) into the metatable itself,
 * __name is what messages print ("lurn.tensor"). Leaves nothing on the stack. Functions of meta
 * find the table of methods in upvalue 1, so that an __index of theirs can fall back on it. */
void lb_type (lua_State *L, const char *tname, const luaL_Reg *methods, const luaL_Reg *meta);
/* New userdata of that type with nuv user values, cleared to zero. */
void *lb_new (lua_State *L, const char *tname, size_t size, int nuv);

/* Raises lurn_status as an error when it is misuse (EINVAL, ENOMEM); otherwise pushes nil,
 * message, code name and returns 3. LURN_OK: returns 0 and pushes nothing. */
int lb_result (lua_State *L, lurn_status status);
/* The same; LURN_OK: pushes true and returns 1. */
int lb_done (lua_State *L, lurn_status status);
/* Raises whatever the status is; for calls that can only be misused. */
void lb_check (lua_State *L, lurn_status status);

/* Integers with a range; the message names the argument, the range and the value. */
lua_Integer lb_integer (lua_State *L, int arg, lua_Integer low, lua_Integer high, const char *what);
/* The same for a value at a stack index of its own, found inside argument arg. */
lua_Integer lb_integer_at (lua_State *L, int arg, int index, lua_Integer low, lua_Integer high, const char *what);
/* t[key] of the table at arg, same checks; def when nil. */
lua_Integer lb_getinteger (lua_State *L, int arg, const char *key, lua_Integer low, lua_Integer high, lua_Integer def);
double lb_getnumber (lua_State *L, int arg, const char *key, double def);
int lb_getboolean (lua_State *L, int arg, const char *key, int def);
const char *lb_getstring (lua_State *L, int arg, const char *key, const char *def);
/* Index of the string at arg in a NULL-terminated list; the message lists the choices. */
int lb_choice (lua_State *L, int arg, const char *const *list, const char *what);

#endif
