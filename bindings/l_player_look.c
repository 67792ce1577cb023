/* l_player_look.c: what a player shows: its outputs, where something broke, its memory, its program. */
#include <string.h>

#include "l_player.h"
#include "l_program.h"
#include "l_tensor.h"
#include "op.h"

/* What is on a time axis comes as (T, B, ...) with zeros where rows have ended, in the order of the batch's rows
 * whichever axis it is. */
static void spread_frames (const lurn_batch *b, const lurn_register *x, const char *from, lurn_tensor *t) {
  size_t row = lurn_row_bytes(x), B = (size_t)b->B;
  int time = lurn_on_time(x->axis);
  for (int s = 0; s < (time ? b->T : 1); s++)
    for (int r = 0; r < (time ? b->live[s] : b->B); r++)
      memcpy((char *)t->data.p + row * ((size_t)s * B + (size_t)(b->place ? b->place[r] : r)),
             from + row * (size_t)((time ? b->start[s] : 0) + r), row);
}

/* An image over time would have five dimensions: it comes as (T, B, cols). */
static int y_output (lua_State *L) {             /* name -> a copy, or nil */
  player *p = l_checkplayer(L, 1);
  const lurn_register *x = NULL;
  const char *from = p->batch.B > 0 ? lurn_wave_output(&p->wave, luaL_checkstring(L, 2), &x) : NULL;
  int64_t dim[LURN_MAX_RANK + 2];
  int rank = 0;
  if (!from) { lua_pushnil(L); return 1; }
  const lurn_batch *b = lurn_batch_along(&p->batch, x->axis);
  int time = lurn_on_time(x->axis);
  if (time || b->place) l_player_checkbatch(L, p);
  if (p->wave.window && x->axis == LURN_TIME)
    return luaL_error(L, "output '%s': checkpointing over time keeps nothing that has a value for every step",
                      lua_tostring(L, 2));
  if (time) dim[rank++] = b->T;
  if (x->axis != LURN_ONCE) dim[rank++] = p->batch.B;
  if (rank + x->rank > LURN_MAX_RANK) dim[rank++] = x->cols;
  else for (int k = 0; k < x->rank; k++) dim[rank++] = x->dim[k];
  if (x->dtype == LURN_INDEX && x->axis != LURN_ONCE) rank--;
  lurn_tensor *t = l_newtensor(L, (lurn_dtype)x->dtype, rank, dim);
  if (x->axis != LURN_ONCE) spread_frames(b, x, from, t);
  else memcpy(t->data.p, from, lurn_dtype_size((lurn_dtype)x->dtype) * (size_t)lurn_tensor_count(t));
  return 1;
}

/* Replays the last forward (and backward) pass on a twin and names the first value that is not
 * finite; nil when the twin finds none. */
static int y_blame (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  char text[256];
  int found = 0;
  lua_settop(L, 1);
  if (p->batch.B == 0) return 0;
  l_player_checkbatch(L, p);
  lua_getiuservalue(L, 1, 1);
  lua_newtable(L);
  lua_pushcfunction(L, l_player_new);
  lua_pushvalue(L, 2);
  lua_createtable(L, 0, 5);
  lua_pushboolean(L, 1); lua_setfield(L, -2, "twin");
  lua_pushboolean(L, p->variant.grad); lua_setfield(L, -2, "grad");
  lua_pushboolean(L, p->variant.carry); lua_setfield(L, -2, "carry");
  lua_pushboolean(L, p->variant.reset); lua_setfield(L, -2, "reset");
  lua_call(L, 2, 1);
  player *twin = l_checkplayer(L, -1);
  const lurn_extent e = lurn_extent_of(&p->batch);
  lb_check(L, l_player_plan(twin, &e));
  twin->moment = p->moment;
  lurn_status status = lurn_wave_bind(&twin->wave, &p->batch, &p->moment);
  real *grad = lua_newuserdatauv(L, sizeof(real) * (p->m->params.count + 1) + LURN_ALIGN, 0);
  lurn_wave_params(&twin->wave, p->m->value, p->variant.grad ? grad : NULL);
  for (int k = 0; k < p->nstate; k++) lurn_wave_input(&twin->wave, p->state[k].name, p->state[k].entry);
  if (status == LURN_OK) status = l_player_play(twin, 0);
  if (status == LURN_OK && p->variant.grad) status = l_player_play(twin, 1);
  if (status == LURN_OK) found = lurn_twin_blame(&twin->wave, text, sizeof text);
  if (!found) return 0;
  lua_pushstring(L, text);
  return 1;
}

/* {T, B, activations, packed, strips, state}: bytes of what is planned; nil before that. */
static int y_bill (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  if (!p->arena) return 0;
  size_t strips = p->twin ? 0 : (size_t)p->schedule.nslot * p->wave.slot_bytes * (size_t)p->wave.threads;
  const struct { const char *name; size_t value; } rows[] = {
    {"T", (size_t)p->wave.most.T[0]}, {"B", (size_t)p->wave.most.B}, {"activations", p->wave.bytes - p->wave.rest},
    {"window", (size_t)p->wave.window}, {"packed", p->wave.rest - strips}, {"strips", strips}, {"state", p->states_bytes}};
  lua_newtable(L);
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    lua_pushinteger(L, (lua_Integer)rows[k].value);
    lua_setfield(L, -2, rows[k].name);
  }
  return 1;
}

static int y_products (lua_State *L) {           /* T, B -> multiply-adds of the products of whole rows */
  int T = (int)lb_integer(L, 2, 1, 1 << 28, "steps"), B = (int)lb_integer(L, 3, 1, 1 << 24, "rows");
  luaL_argcheck(L, (lua_Integer)T * B <= 1 << 30, 3, "too many frames");
  lua_pushnumber(L, lurn_product_count(&l_checkplayer(L, 1)->program, T * B, B));
  return 1;
}

static int y_text (lua_State *L) {
  l_pushtext(L, &l_checkplayer(L, 1)->program);
  return 1;
}

static int y_schedule (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  luaL_Buffer b;
  if (p->twin) { lua_pushliteral(L, "the naive twin: no schedule\n"); return 1; }
  size_t n = lurn_schedule_print(&p->schedule, NULL, 0);
  char *text = luaL_buffinitsize(L, &b, n + 1);
  lurn_schedule_print(&p->schedule, text, n + 1);
  luaL_pushresultsize(&b, n);
  return 1;
}

const luaL_Reg l_player_views[] = {
  {"output", y_output}, {"blame", y_blame}, {"bill", y_bill}, {"products", y_products}, {"text", y_text},
  {"schedule", y_schedule}, {NULL, NULL}
};
