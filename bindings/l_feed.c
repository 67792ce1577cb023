/* l_feed.c: batches from a split, for Lua. One batch userdata per feed, used again for every batch. */
#include <string.h>

#include "feed.h"
#include "l_data.h"

#define FEED LB_TYPE("feed")
enum { MEMORY = 1, DATA, BATCH };       /* user values */

static lurn_feed *check_feed (lua_State *L) { return luaL_checkudata(L, 1, FEED); }

static int64_t check_epoch (lua_State *L, int arg) {
  return lua_isnoneornil(L, arg) ? 0 : lb_integer(L, arg, 1, (lua_Integer)1 << 53, "epoch") - 1;
}

static int f_steps (lua_State *L) {
  lua_pushinteger(L, lurn_feed_steps(check_feed(L), check_epoch(L, 2)));
  return 1;
}

static int f_frames (lua_State *L) {
  lua_pushinteger(L, lurn_feed_frames(check_feed(L)));
  return 1;
}

static int f_batch (lua_State *L) {
  lurn_feed *f = check_feed(L);
  int64_t epoch = check_epoch(L, 2);
  int64_t step = lb_integer(L, 3, 1, LUA_MAXINTEGER, "step") - 1;
  lua_getiuservalue(L, 1, BATCH);
  lurn_batch *b = lua_touserdata(L, -1);
  lurn_status status = lurn_feed_batch(lb_ctx(L), f, epoch, step, b);
  return status == LURN_OK ? 1 : lb_result(L, status);
}

static const char *const modes[] = {"stream", "sequence", NULL};

/* A text is a stream, whatever else comes in sequences. */
static lurn_feed_mode mode_of (lua_State *L, const lurn_data *d) {
  lurn_feed_mode mode = strcmp(d->note[LURN_NOTE_KIND], "text") == 0 ? LURN_FEED_STREAM : LURN_FEED_SEQUENCE;
  if (lua_getfield(L, 1, "mode") != LUA_TNIL) mode = (lurn_feed_mode)lb_choice(L, lua_gettop(L), modes, "mode");
  lua_pop(L, 1);
  return mode;
}

/* feed {data =, split =, batch =, seq =, stride =, mode =, shuffle =, bucket =, seed =} */
static int f_make (lua_State *L) {
  lurn_feed_options o;
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  lua_getfield(L, 1, "data");
  lurn_data *d = l_checkdata(L, 2);
  luaL_argcheck(L, d->ncolumn > 0 && d->offset != NULL, 1, "data: the data set could not be opened");
  o.split = lb_getstring(L, 1, "split", NULL);
  o.mode = mode_of(L, d);
  o.B = (int)lb_getinteger(L, 1, "batch", 1, INT32_MAX, 1);
  o.seq = (int)lb_getinteger(L, 1, "seq", 0, INT32_MAX, 0);
  o.stride = (int)lb_getinteger(L, 1, "stride", 0, INT32_MAX, 0);
  o.shuffle = lb_getboolean(L, 1, "shuffle", 1);
  o.bucket = (int)lb_getinteger(L, 1, "bucket", 0, INT32_MAX, 0);
  o.seed = (uint64_t)lb_getinteger(L, 1, "seed", LUA_MININTEGER, LUA_MAXINTEGER, 0);
  lurn_feed *f = lb_new(L, FEED, sizeof *f, 3);
  lua_pushvalue(L, 2);
  lua_setiuservalue(L, 3, DATA);
  lb_check(L, lurn_feed_plan(lb_ctx(L), f, d, &o));
  void *memory = l_newblock(L, f->bytes);
  lua_setiuservalue(L, 3, MEMORY);
  lurn_feed_place(f, memory);
  l_newbatch(L, 3);
  lua_setiuservalue(L, 3, BATCH);
  return 1;
}

static int f_index (lua_State *L) {
  const lurn_feed *f = check_feed(L);
  const char *key = luaL_checkstring(L, 2);
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 1;
  if (strcmp(key, "T") == 0) lua_pushinteger(L, f->T);
  else if (strcmp(key, "B") == 0) lua_pushinteger(L, f->B);
  else if (strcmp(key, "N") == 0) lua_pushinteger(L, f->N);
  else if (strcmp(key, "bytes") == 0) lua_pushinteger(L, (lua_Integer)f->bytes);
  else if (strcmp(key, "mode") == 0) lua_pushstring(L, modes[f->how.mode]);
  else if (strcmp(key, "data") == 0) lua_getiuservalue(L, 1, DATA);
  else lua_pushnil(L);
  return 1;
}

static const luaL_Reg methods[] = {{"steps", f_steps}, {"frames", f_frames}, {"batch", f_batch}, {NULL, NULL}};
static const luaL_Reg meta[] = {{"__index", f_index}, {NULL, NULL}};

int l_feed_open (lua_State *L) {
  lb_type(L, FEED, methods, meta);
  lua_pushcfunction(L, f_make);
  return 1;
}
