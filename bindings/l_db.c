/* l_db.c: databases, for Lua. See db.h.
 *
 *   db.open("sqlite" | "postgresql", where, read_only, patience)    a connection, or nil, message, code
 *   c:run(sql, ...)        rows (lists; NULL is nil) and how many were written, or nil, message, code; sql with $1, $2
 *   c:durable(on)          whether commits wait for the disk; true, or nil, message, code
 *   c:patience(seconds)    how long it waits for others who write
 *   c:close()
 *   db.version(kind)       of the library; nil: built without
 *
 * A connection belongs to the process that opened it: one that was forked since may neither use nor close it, which would
 * be felt at the other end.
 */
#include "lb.h"

#include <string.h>

#include "postgres.h"
#include "sqlite.h"
#include "sys.h"

#define CONNECTION LB_TYPE("connection")

typedef struct connection {
  lurn_db db;
  int64_t owner;
} connection;

static const lurn_db_driver *const drivers[] = {&lurn_sqlite, &lurn_postgres};
static const char *const names[] = {"sqlite", "postgresql", NULL};

static int failed (lua_State *L, lurn_db *db, lurn_status status) {
  if (status != LURN_EIO) return lb_result(L, status);
  lua_pushnil(L);
  lua_pushstring(L, lb_ctx(L)->message);
  lua_pushstring(L, db->code);
  return 3;
}

/* The statements that were prepared are in the user value, text -> place. */
static int d_open (lua_State *L) {
  int kind = lb_choice(L, 1, names, "kind of database");
  const char *where = luaL_checkstring(L, 2);
  int read_only = lua_toboolean(L, 3);
  double patience = luaL_optnumber(L, 4, 30);
  connection *c = lb_new(L, CONNECTION, sizeof *c, 1);
  lurn_db *db = &c->db;
  lua_newtable(L);
  lua_setiuservalue(L, -2, 1);
  db->patience = patience;
  lurn_status status = drivers[kind]->open(lb_ctx(L), db, where, read_only);
  if (status != LURN_OK) return failed(L, db, status);
  db->driver = drivers[kind];
  c->owner = lurn_sys_pid();
  return 1;
}

static int c_close (lua_State *L) {
  connection *c = luaL_checkudata(L, 1, CONNECTION);
  if (c->db.driver && c->owner == lurn_sys_pid()) c->db.driver->close(&c->db);
  c->db.driver = NULL;
  return 0;
}

static lurn_db_value value_of (lua_State *L, int arg) {
  lurn_db_value v = {0};
  switch (lua_type(L, arg)) {
    case LUA_TNIL: break;
    case LUA_TBOOLEAN: v.type = LURN_DB_INTEGER; v.i = lua_toboolean(L, arg); break;
    case LUA_TSTRING: v.type = LURN_DB_TEXT; v.text = lua_tolstring(L, arg, &v.size); break;
    case LUA_TNUMBER:
      v.type = lua_isinteger(L, arg) ? LURN_DB_INTEGER : LURN_DB_REAL;
      v.i = lua_tointeger(L, arg);
      v.d = lua_tonumber(L, arg);
      break;
    default: luaL_argerror(L, arg, "expected a number, a string, a boolean or nil");
  }
  return v;
}

/* The place of the statement at index 2, prepared when it is new; -1 and *status when that fails. */
static int place_of (lua_State *L, lurn_db *db, lurn_status *status) {
  lua_getiuservalue(L, 1, 1);
  lua_pushvalue(L, 2);
  int place = lua_rawget(L, -2) == LUA_TNUMBER ? (int)lua_tointeger(L, -1) : -1;
  lua_pop(L, 1);
  if (place < 0) {
    for (place = 0; place < LURN_DB_PLACES && db->place[place]; place++) continue;
    if (place == LURN_DB_PLACES) return luaL_error(L, "more than %d statements on one connection", LURN_DB_PLACES);
    lua_pushvalue(L, 2);
    lua_pushinteger(L, place);
    *status = db->driver->prepare(lb_ctx(L), db, place, lua_tostring(L, 2));
    if (*status == LURN_OK) lua_rawset(L, -3);
    else place = -1;
  }
  return place;
}

static void push_value (lua_State *L, lurn_db_value v) {
  switch (v.type) {
    case LURN_DB_INTEGER: lua_pushinteger(L, v.i); break;
    case LURN_DB_REAL: lua_pushnumber(L, v.d); break;
    case LURN_DB_TEXT: lua_pushlstring(L, v.text ? v.text : "", v.size); break;
    default: lua_pushnil(L);
  }
}

/* Pushes the list of rows. Runs under a protected call: a lack of memory must not leave the statement running. */
static int collect (lua_State *L) {
  lurn_db *db = lua_touserdata(L, 1);
  lurn_status *status = lua_touserdata(L, 2);
  int columns = 0;
  lua_newtable(L);
  for (lua_Integer n = 1; (*status = db->driver->row(lb_ctx(L), db, &columns)) == LURN_OK && columns > 0; n++) {
    lua_createtable(L, columns, 0);
    for (int k = 0; k < columns; k++) {
      push_value(L, db->driver->column(db, k));
      lua_rawseti(L, -2, k + 1);
    }
    lua_rawseti(L, -2, n);
  }
  return 1;
}

static lurn_db *check_open (lua_State *L) {
  connection *c = luaL_checkudata(L, 1, CONNECTION);
  luaL_argcheck(L, c->db.driver, 1, "the connection is closed");
  luaL_argcheck(L, c->owner == lurn_sys_pid(), 1, "the connection belongs to the process that opened it");
  return &c->db;
}

static int c_run (lua_State *L) {
  lurn_db *db = check_open(L);
  lurn_db_value values[LURN_DB_VALUES];
  int n = lua_gettop(L) - 2;
  luaL_checktype(L, 2, LUA_TSTRING);
  luaL_argcheck(L, n <= LURN_DB_VALUES, 2, "too many values");
  for (int k = 0; k < n; k++) values[k] = value_of(L, k + 3);
  lurn_status status = LURN_OK;
  int place = place_of(L, db, &status);
  if (status == LURN_OK) status = db->driver->run(lb_ctx(L), db, place, n, values);
  if (status != LURN_OK) {
    if (place >= 0) db->driver->done(db);
    return failed(L, db, status);
  }
  lua_pushcfunction(L, collect);
  lua_pushlightuserdata(L, db);
  lua_pushlightuserdata(L, &status);
  int rc = lua_pcall(L, 2, 1, 0);
  int64_t changes = db->driver->changes(db);
  db->driver->done(db);
  if (rc != LUA_OK) return lua_error(L);
  if (status != LURN_OK) return failed(L, db, status);
  lua_pushinteger(L, changes);
  return 2;
}

static int c_durable (lua_State *L) {
  lurn_db *db = check_open(L);
  lurn_status status = LURN_OK;
  if (db->driver->durable) status = db->driver->durable(lb_ctx(L), db, lua_toboolean(L, 2));
  if (status != LURN_OK) return failed(L, db, status);
  lua_pushboolean(L, 1);
  return 1;
}

static int c_patience (lua_State *L) {
  check_open(L)->patience = luaL_checknumber(L, 2);
  return 0;
}

static int d_version (lua_State *L) {
  char text[32];
  const char *version = drivers[lb_choice(L, 1, names, "kind of database")]->version(text, sizeof text);
  if (strcmp(version, "none") == 0) lua_pushnil(L);
  else lua_pushstring(L, version);
  return 1;
}

int l_db_open (lua_State *L);
int l_db_open (lua_State *L) {
  static const luaL_Reg functions[] = {{"open", d_open}, {"version", d_version}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{"run", c_run}, {"durable", c_durable}, {"patience", c_patience},
                                     {"close", c_close}, {NULL, NULL}};
  static const luaL_Reg meta[] = {{"__gc", c_close}, {"__close", c_close}, {NULL, NULL}};
  lb_type(L, CONNECTION, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
