/* l_sys.c: the operating system, for Lua. What can fail returns true, or nil, message, code. */
#include "l_sys.h"

#include "sha256.h"
#include "sys.h"

static int s_clock (lua_State *L) {
  lua_pushnumber(L, lurn_sys_clock());
  return 1;
}

static int s_time (lua_State *L) {
  lua_pushnumber(L, lurn_sys_time());
  return 1;
}

static int s_pid (lua_State *L) {
  lua_pushinteger(L, lurn_sys_pid());
  return 1;
}

static int s_peak_rss (lua_State *L) {
  lua_pushinteger(L, lurn_sys_peak_rss());
  return 1;
}

static int s_cpus (lua_State *L) {
  lua_pushinteger(L, lurn_sys_cpus());
  return 1;
}

static int s_cpu (lua_State *L) {
  char text[256];
  lua_pushstring(L, lurn_sys_cpu(text, sizeof text));
  return 1;
}

static int descriptor (lua_State *L, int arg) {
  return lua_isnoneornil(L, arg) ? 1 : (int)lb_integer(L, arg, 0, 1 << 20, "file descriptor");
}

static int s_isatty (lua_State *L) {
  lua_pushboolean(L, lurn_sys_isatty(descriptor(L, 1)));
  return 1;
}

/* nil when it is no terminal, so that scripts write `sys.columns() or 80`. */
static int s_columns (lua_State *L) {
  int n = lurn_sys_columns(descriptor(L, 1));
  if (n > 0) lua_pushinteger(L, n);
  else lua_pushnil(L);
  return 1;
}

static int done (lua_State *L, lurn_status status) {
  if (status != LURN_OK) return lb_result(L, status);
  lua_pushboolean(L, 1);
  return 1;
}

static int s_mkdir (lua_State *L) {
  return done(L, lurn_sys_mkdir(lb_ctx(L), luaL_checkstring(L, 1)));
}

static int s_exists (lua_State *L) {
  lua_pushboolean(L, lurn_sys_exists(luaL_checkstring(L, 1)));
  return 1;
}

static int s_filesize (lua_State *L) {
  int64_t size;
  lurn_status status = lurn_sys_filesize(lb_ctx(L), luaL_checkstring(L, 1), &size);
  if (status != LURN_OK) return lb_result(L, status);
  lua_pushinteger(L, size);
  return 1;
}

static int s_append (lua_State *L) {
  size_t size;
  const char *path = luaL_checkstring(L, 1), *text = luaL_checklstring(L, 2, &size);
  return done(L, lurn_sys_append(lb_ctx(L), path, text, size));
}

static int s_replace (lua_State *L) {
  const char *temp = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
  return done(L, lurn_sys_replace(lb_ctx(L), temp, path));
}

static int s_link (lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
  return done(L, lurn_sys_link(lb_ctx(L), path, name));
}

/* nil when there is no such file. */
static int s_identity (lua_State *L) {
  char text[LURN_SYS_IDENTITY];
  if (lurn_sys_identity(luaL_checkstring(L, 1), text)[0]) lua_pushstring(L, text);
  else lua_pushnil(L);
  return 1;
}

static int s_sha256 (lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  char hex[LURN_SHA256_HEX];
  lurn_sha256 s;
  lurn_sha256_init(&s);
  lurn_sha256_add(&s, text, size);
  lua_pushstring(L, lurn_sha256_hex(&s, hex));
  return 1;
}

static const luaL_Reg functions[] = {
  {"clock", s_clock}, {"time", s_time}, {"pid", s_pid}, {"peak_rss", s_peak_rss}, {"cpus", s_cpus}, {"cpu", s_cpu},
  {"isatty", s_isatty}, {"columns", s_columns}, {"mkdir", s_mkdir}, {"exists", s_exists}, {"filesize", s_filesize},
  {"append", s_append}, {"replace", s_replace}, {"sha256", s_sha256},
  {"link", s_link}, {"identity", s_identity}, {NULL, NULL}
};

int l_sys_open (lua_State *L) {
  luaL_newlib(L, functions);
  l_lock_open(L);
  return 1;
}
