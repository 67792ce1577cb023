/* l_player_step.c: one id after another, for streams: no batch is made of it, and no tensor. */
#include <string.h>

#include "l_player.h"
#include "l_tensor.h"

static const int32_t live[1] = {1}, start[2] = {0, 1};
static const uint64_t seq[1] = {0};
static const int64_t pos[1] = {0};

/* A batch of one frame, which is the id that the player keeps. */
static lurn_batch batch_of (player *p, int carry) {
  lurn_batch b = {.T = 1, .B = 1, .N = 1, .live = live, .start = start, .seq = seq, .pos = pos, .carry = carry,
                  .nfield = 1};
  b.field[0] = (lurn_field){"x", LURN_INDEX, LURN_TIME, 1, &p->id};
  return b;
}

/* Output "out" of the frame: a tensor of its row shape; true where it is not numbers for a frame. */
static void push_out (lua_State *L, const player *p) {
  const lurn_register *x = NULL;
  const char *from = lurn_wave_output(&p->wave, "out", &x);
  int64_t dim[LURN_MAX_RANK] = {0};
  if (!from || x->dtype != LURN_REAL || x->axis != LURN_TIME || p->wave.window) { lua_pushboolean(L, 1); return; }
  int flat = x->rank + 2 > LURN_MAX_RANK;          /* as in an output over time, where two more come before them */
  for (int k = 0; k < x->rank; k++) dim[k] = x->dim[k];
  if (flat) dim[0] = x->cols;
  lurn_tensor *t = l_newtensor(L, LURN_REAL, flat ? 1 : x->rank, dim);
  memcpy(t->data.p, from, sizeof(real) * (size_t)x->cols);
}

/* id (from 1; 0: none), seed, steps before it -> "out", or nil, message, code. The state is committed. */
int l_player_step (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  p->id = (int32_t)lb_integer(L, 2, 0, INT32_MAX, "id") - 1;
  lua_Integer step = luaL_checkinteger(L, 4);
  p->moment = (lurn_moment){.seed = (uint64_t)luaL_checkinteger(L, 3), .step = (uint64_t)step, .purpose = LURN_PURPOSE_EVAL};
  lua_settop(L, 1);
  lua_pushnil(L);
  lua_setiuservalue(L, 1, 2);
  const lurn_batch b = batch_of(p, step > 0);
  lurn_status status = l_player_forward(p, &b);
  if (status != LURN_OK) return lb_result(L, status);
  l_player_commit(p);
  push_out(L, p);
  return 1;
}
