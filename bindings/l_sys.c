/* l_sys.c: the operating system, for Lua. What can fail returns true, or nil, message, code. */
#include "l_sys.h"

#include "l_tensor.h"
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
static int size_of (lua_State *L, int n) {
  if (n > 0) lua_pushinteger(L, n);
  else lua_pushnil(L);
  return 1;
}

static int s_columns (lua_State *L) { return size_of(L, lurn_sys_columns(descriptor(L, 1))); }
static int s_lines (lua_State *L) { return size_of(L, lurn_sys_lines(descriptor(L, 1))); }

static int s_mkdir (lua_State *L) {
  return lb_done(L, lurn_sys_mkdir(lb_ctx(L), luaL_checkstring(L, 1)));
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
  return lb_done(L, lurn_sys_append(lb_ctx(L), path, text, size));
}

static int s_replace (lua_State *L) {
  const char *temp = luaL_checkstring(L, 1), *path = luaL_checkstring(L, 2);
  return lb_done(L, lurn_sys_replace(lb_ctx(L), temp, path));
}

static int s_link (lua_State *L) {
  const char *path = luaL_checkstring(L, 1), *name = luaL_checkstring(L, 2);
  return lb_done(L, lurn_sys_link(lb_ctx(L), path, name));
}

/* claim(path, name) -> true, or false when somebody has that name. */
static int s_claim (lua_State *L) {
  int taken;
  lurn_status status = lurn_sys_claim(lb_ctx(L), luaL_checkstring(L, 1), luaL_checkstring(L, 2), &taken);
  if (status != LURN_OK) return lb_result(L, status);
  lua_pushboolean(L, !taken);
  return 1;
}

static int s_stamp (lua_State *L) {
  double time;
  lurn_status status = lurn_sys_stamp(lb_ctx(L), luaL_checkstring(L, 1), &time);
  if (status != LURN_OK) return lb_result(L, status);
  lua_pushnumber(L, time);
  return 1;
}

static int s_remove (lua_State *L) {
  return lb_done(L, lurn_sys_remove(lb_ctx(L), luaL_checkstring(L, 1)));
}

static int s_sleep (lua_State *L) {
  double seconds = luaL_checknumber(L, 1);
  luaL_argcheck(L, seconds >= 0 && seconds < 1e9, 1, "expected seconds");
  lurn_sys_sleep(seconds);
  return 0;
}

/* The kind of network file system that a path is on, or nil. */
static int s_network (lua_State *L) {
  char text[LURN_SYS_FILESYSTEM];
  if (lurn_sys_network(luaL_checkstring(L, 1), text)[0]) lua_pushstring(L, text);
  else lua_pushnil(L);
  return 1;
}

#define FOLDER LB_TYPE("folder")

static int folder_close (lua_State *L) {
  lurn_sys_folder_close(luaL_checkudata(L, 1, FOLDER));
  return 0;
}

/* list(path) -> the names in a folder, in no order, without hidden ones. */
static int s_list (lua_State *L) {
  static const luaL_Reg meta[] = {{"__gc", folder_close}, {NULL, NULL}};
  const char *path = luaL_checkstring(L, 1), *name;
  lb_type(L, FOLDER, NULL, meta);
  lurn_sys_folder *folder = lb_new(L, FOLDER, sizeof *folder, 0);
  lurn_status status = lurn_sys_folder_open(lb_ctx(L), path, folder);
  if (status != LURN_OK) return lb_result(L, status);
  lua_newtable(L);
  for (lua_Integer k = 1; (name = lurn_sys_folder_next(folder)) != NULL; k++) {
    lua_pushstring(L, name);
    lua_rawseti(L, -2, k);
  }
  lurn_sys_folder_close(folder);
  return 1;
}

/* nil when there is no such file. */
static int s_identity (lua_State *L) {
  char text[LURN_SYS_IDENTITY];
  if (lurn_sys_identity(luaL_checkstring(L, 1), text)[0]) lua_pushstring(L, text);
  else lua_pushnil(L);
  return 1;
}

/* sha256(piece, ...) -> hex: of all pieces one after the other, strings and the bytes of contiguous tensors. */
static int s_sha256 (lua_State *L) {
  char hex[LURN_SHA256_HEX];
  lurn_sha256 s;
  int n = lua_gettop(L);
  luaL_argcheck(L, n > 0, 1, "expected a string or a tensor");
  lurn_sha256_init(&s);
  for (int i = 1; i <= n; i++) {
    const lurn_tensor *t = l_testtensor(L, i);
    size_t size;
    const char *text = t ? NULL : luaL_checklstring(L, i, &size);
    luaL_argcheck(L, t == NULL || lurn_tensor_contiguous(t), i, "expected a contiguous tensor");
    if (t) size = (size_t)lurn_tensor_count(t) * lurn_dtype_size(t->dtype);
    lurn_sha256_add(&s, t ? t->data.p : text, size);
  }
  lua_pushstring(L, lurn_sha256_hex(&s, hex));
  return 1;
}

/* environ() -> a list of "NAME=VALUE". */
static int s_environ (lua_State *L) {
  lua_newtable(L);
  for (size_t k = 0; lurn_sys_environ(k); k++) {
    lua_pushstring(L, lurn_sys_environ(k));
    lua_rawseti(L, -2, (lua_Integer)k + 1);
  }
  return 1;
}

static const luaL_Reg functions[] = {
  {"clock", s_clock}, {"time", s_time}, {"pid", s_pid}, {"peak_rss", s_peak_rss}, {"cpus", s_cpus}, {"cpu", s_cpu},
  {"isatty", s_isatty}, {"columns", s_columns}, {"lines", s_lines}, {"mkdir", s_mkdir}, {"exists", s_exists},
  {"filesize", s_filesize}, {"append", s_append}, {"replace", s_replace}, {"sha256", s_sha256}, {"link", s_link},
  {"identity", s_identity}, {"environ", s_environ}, {"claim", s_claim}, {"stamp", s_stamp}, {"remove", s_remove},
  {"sleep", s_sleep}, {"network", s_network}, {"list", s_list}, {NULL, NULL}
};

int l_sys_open (lua_State *L) {
  luaL_newlib(L, functions);
  l_lock_open(L);
  return 1;
}
