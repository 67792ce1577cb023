/* l_lock.c: locks on files, for Lua.
 *
 *   sys.lock(path)      a lock and whether the file system really locks, or nil, message, code. The lock ends with
 *                       lock:release(), when it is collected, and with the process
 *   sys.is_locked(path) whether somebody has it; nil where that cannot be known
 */
#include "l_sys.h"

#include <string.h>

#include "sys.h"

#define LOCK LB_TYPE("lock")

typedef struct lock {
  int held;
  int fd;
  char path[4096];
} lock;

static int k_release (lua_State *L) {
  lock *k = luaL_checkudata(L, 1, LOCK);
  if (k->held) lurn_sys_unlock(k->path, k->fd);
  k->held = 0;
  return 0;
}

static int k_tostring (lua_State *L) {
  lock *k = luaL_checkudata(L, 1, LOCK);
  lua_pushfstring(L, "lock %s (%s)", k->path, k->held ? "held" : "released");
  return 1;
}

static int s_lock (lua_State *L) {
  size_t n;
  const char *path = luaL_checklstring(L, 1, &n);
  lock *k = lb_new(L, LOCK, sizeof *k, 0);
  luaL_argcheck(L, n < sizeof k->path, 1, "too long a path");
  memcpy(k->path, path, n + 1);
  lurn_status status = lurn_sys_lock(lb_ctx(L), path, &k->fd);
  if (status != LURN_OK) return lb_result(L, status);
  k->held = 1;
  lua_pushboolean(L, k->fd >= 0);
  return 2;
}

static int s_is_locked (lua_State *L) {
  int locked = lurn_sys_is_locked(luaL_checkstring(L, 1));
  if (locked < 0) lua_pushnil(L);
  else lua_pushboolean(L, locked);
  return 1;
}

static const luaL_Reg methods[] = {{"release", k_release}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__gc", k_release}, {"__close", k_release}, {"__tostring", k_tostring}, {NULL, NULL}};

void l_lock_open (lua_State *L) {
  lb_type(L, LOCK, methods, meta);
  lua_pushcfunction(L, s_lock);
  lua_setfield(L, -2, "lock");
  lua_pushcfunction(L, s_is_locked);
  lua_setfield(L, -2, "is_locked");
}
