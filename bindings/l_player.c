/* l_player.c: players: made, planned, played. */
#include <stdio.h>
#include <string.h>

#include "l_data.h"
#include "l_player.h"
#include "l_tensor.h"
#include "op.h"
#include "recompute.h"
#include "sys.h"

#define PLAYER LB_TYPE("player")

player *l_checkplayer (lua_State *L, int arg) {
  player *p = luaL_checkudata(L, arg, PLAYER);
  if (!p->ready) luaL_error(L, "the player is closed");
  return p;
}

/* ---------- making, planning ---------- */

static void drop_arena (player *p) {
  if (p->arena) lurn_sys_unmap(p->arena, p->arena_bytes);
  p->arena = NULL;
  lurn_wave_free(&p->wave);
}

static int y_close (lua_State *L) {
  player *p = luaL_checkudata(L, 1, PLAYER);
  drop_arena(p);
  if (p->ready) lurn_schedule_free(p->ctx, &p->schedule);
  if (p->ctx) lurn_free(p->ctx, p->state, sizeof *p->state * (size_t)p->nstate);
  p->state = NULL;
  p->nstate = 0;
  if (p->ctx) lurn_program_free(&p->program);
  if (p->states) lurn_sys_unmap(p->states, p->states_bytes);
  p->states = NULL;
  p->ready = 0;
  return 0;
}

/* A state that starts from something else than zero needs the program to say what: then every
 * batch has reset flags. */
static int starts_from_zero (const lurn_program *p) {
  for (int s = 0; s < p->nscan; s++)
    for (int k = 0; k < p->scans[s].nstate; k++) {
      const lurn_register *x = &p->reg[p->scans[s].state[k].init];
      if (x->kind != LURN_REG_VALUE) return 0;
      const lurn_instr *i = &p->instr[x->index];
      while (i->op == LURN_OP_RESHAPE || i->op == LURN_MAP_copy) {
        if (p->reg[i->in[0]].kind != LURN_REG_VALUE) return 0;
        i = &p->instr[p->reg[i->in[0]].index];
      }
      if (i->op != LURN_MAP_fill || i->k != 0) return 0;
    }
  return 1;
}

static int is_state (const lurn_program *p, int input) {
  return lurn_is_derived(p->input[input].name, LURN_DERIVED_STATE);
}

/* Where the state that comes from input `in` goes to; -1: to no register that is like it. */
static lurn_reg handed_on (const lurn_program *p, const lurn_named *in) {
  const lurn_register *x = &p->reg[in->reg], *y = lurn_reg_info(p, lurn_find_output(p, in->name));
  return y && y->dtype == x->dtype && y->axis == x->axis && x->axis == LURN_ROW && y->cols == x->cols
    ? lurn_find_output(p, in->name) : -1;
}

static lurn_status list_states (player *p) {
  const lurn_program *q = &p->program;
  int n = 0, k = 0;
  for (int i = 0; i < q->ninput; i++) n += is_state(q, i);
  if (n == 0) return LURN_OK;
  p->state = lurn_realloc(p->ctx, NULL, 0, sizeof *p->state * (size_t)n);
  if (!p->state) return LURN_ENOMEM;
  p->nstate = n;
  memset(p->state, 0, sizeof *p->state * (size_t)n);
  for (int i = 0; i < q->ninput; i++) {
    const lurn_register *x = &q->reg[q->input[i].reg];
    if (!is_state(q, i)) continue;
    carried *c = &p->state[k++];
    snprintf(c->name, sizeof c->name, "%s", q->input[i].name);
    c->in = q->input[i].reg;
    c->out = handed_on(q, &q->input[i]);
    if (c->out < 0) return lurn_fail(p->ctx, LURN_EINVAL, "the program does not hand '%s' on", c->name);
    c->cols = x->cols;
    c->size = lurn_row_bytes(x);
  }
  return LURN_OK;
}

/* {grad, grad_inputs, grad_states, carry, infer, lean, reset, twin, dice, window} */
int l_player_new (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  l_checksource(L, m);
  player *p = lb_new(L, PLAYER, sizeof *p, 2);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  p->m = m;
  p->ctx = lb_ctx(L);
  lurn_program_init(p->ctx, &p->program);
  p->variant = (lurn_variant){.grad = lb_getboolean(L, 2, "grad", 0),
      .grad_inputs = lb_getboolean(L, 2, "grad_inputs", 0),
                              .grad_states = lb_getboolean(L, 2, "grad_states", 0),
                              .carry = lb_getboolean(L, 2, "carry", 1)};
  p->variant.lean = lb_getboolean(L, 2, "lean", 0);
  p->variant.infer = lb_getboolean(L, 2, "infer", 0);
  p->variant.reset = lb_getboolean(L, 2, "reset", 0) || (p->variant.carry && !starts_from_zero(m->source));
  p->twin = lb_getboolean(L, 2, "twin", 0);
  lua_Integer dice = lb_getinteger(L, 2, "dice", 0, 1 << 30, 0);
  if (dice) lurn_choices_random(&p->choices, (uint64_t)dice); else lurn_choices_default(&p->choices);
  if (p->variant.lean) p->choices.again = 1;
  p->choices.window = (int)lb_getinteger(L, 2, "window", -1, 1 << 28, 0);
  lb_check(L, lurn_normalise(p->ctx, m->source, &p->variant, &p->program));
  lb_check(L, list_states(p));
  if (!p->twin) lb_check(L, lurn_schedule_make(p->ctx, &p->program, &p->choices, &p->schedule));
  p->ready = 1;
  return 1;
}

/* The copies of the carried state and the reset flags, in one mapping; what was carried stays. Without memory nothing
 * has changed. */
static lurn_status place_states (player *p, int B, int N) {
  size_t bytes = sizeof(real) * (size_t)N + LURN_ALIGN, at = 0;
  for (int k = 0; k < p->nstate; k++) bytes += 3 * lurn_align(p->state[k].size * (size_t)B);
  char *to = lurn_sys_map(bytes);
  if (!to) return lurn_fail(p->ctx, LURN_ENOMEM, "no memory for the carried state of %d rows", B);
  for (int k = 0; k < p->nstate; k++) {
    carried *c = &p->state[k];
    size_t one = lurn_align(c->size * (size_t)B);
    char *committed = to + at, *pending = committed + one;
    if (p->states) {
      memcpy(committed, c->committed, c->size * (size_t)p->committed_B);
      memcpy(pending, c->pending, c->size * (size_t)p->B);
    }
    c->committed = committed;
    c->pending = pending;
    c->entry = pending + one;
    at += 3 * one;
  }
  p->fresh = (real *)(void *)(to + at);
  if (p->states) lurn_sys_unmap(p->states, p->states_bytes);
  p->states = to;
  p->states_bytes = bytes;
  return LURN_OK;
}

/* Maps the arena of a planned wave and places the states; then both are the player's. */
static lurn_status take_plan (player *p, lurn_wave *next) {
  size_t bytes = next->bytes + LURN_ALIGN;
  void *arena = lurn_sys_map(bytes);
  if (!arena) return lurn_fail(p->ctx, LURN_ENOMEM, "no memory for a plan of %zu bytes (%d steps, %d rows)",
                               next->bytes, next->most.T[0], next->most.B);
  lurn_status status = place_states(p, next->most.B, next->most.N[0]);
  if (status != LURN_OK) { lurn_sys_unmap(arena, bytes); return status; }
  drop_arena(p);
  p->wave = *next;
  p->arena = arena;
  p->arena_bytes = bytes;
  lurn_wave_place(&p->wave, arena);
  lurn_wave_params(&p->wave, p->m->value, p->variant.grad ? p->m->grad : NULL);
  p->packed = 0;
  p->played = 0;                                  /* what a forward pass left is gone */
  memset(&p->batch, 0, sizeof p->batch);
  return LURN_OK;
}

static int fits (const lurn_extent *e, const lurn_extent *most) {
  int ok = e->B <= most->B;
  for (int k = 0; k < LURN_MAX_AXES; k++) ok &= e->T[k] <= most->T[k] && e->N[k] <= most->N[k];
  return ok;
}

static void grow (int *to, int least) { if (*to < least) *to = least; }

/* Room for windows of that size, never less than there is. When there is no memory the old plan stands. */
lurn_status l_player_plan (player *p, const lurn_extent *wanted) {
  const lurn_kernels *k = p->twin ? lurn_kernels_find("c") : p->ctx->kernels;
  lurn_extent e = *wanted;
  lurn_wave next;
  if (p->arena && fits(&e, &p->wave.most)) return LURN_OK;
  if (p->arena) grow(&e.B, p->wave.most.B);
  for (int n = 0; p->arena && n < LURN_MAX_AXES; n++) {
    grow(&e.T[n], p->wave.most.T[n]);
    grow(&e.N[n], p->wave.most.N[n]);
  }
  lurn_status status = lurn_wave_plan(p->ctx, &next, &p->program, p->twin ? NULL : &p->schedule, k, &e);
  if (status == LURN_OK) status = take_plan(p, &next);
  if (status != LURN_OK) lurn_wave_free(&next);
  return status;
}

/* T, B [, N] -> bytes of arena, bytes of state; further time axes are taken to be as long as the first */
static int y_plan (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  int T = (int)lb_integer(L, 2, 1, 1 << 28, "steps"), B = (int)lb_integer(L, 3, 1, 1 << 24, "rows");
  if (lua_isnoneornil(L, 4)) {
    lua_settop(L, 3);
    lua_pushinteger(L, (lua_Integer)T * B);
  }
  int N = (int)lb_integer(L, 4, 1, 1 << 30, "frames");
  const lurn_extent e = {.B = B, .T = {T, T, T}, .N = {N, N, N}};
  lb_check(L, l_player_plan(p, &e));
  lua_pushinteger(L, (lua_Integer)p->wave.bytes);
  lua_pushinteger(L, (lua_Integer)p->states_bytes);
  return 2;
}

/* ---------- playing ---------- */

static void zero_state (player *p) {
  for (int k = 0; k < p->nstate; k++) {
    memset(p->state[k].pending, 0, p->state[k].size * (size_t)p->wave.most.B);
    memset(p->state[k].committed, 0, p->state[k].size * (size_t)p->wave.most.B);
  }
}

static void roll_back (player *p) {
  for (int k = 0; p->states && k < p->nstate; k++) memcpy(p->state[k].pending, p->state[k].committed,
                                                          p->state[k].size * (size_t)p->wave.most.B);
  p->B = p->committed_B;
  p->played = 0;
}

static int y_rollback (lua_State *L) {
  roll_back(l_checkplayer(L, 1));
  return 0;
}

/* The pass that was interrupted never was: a forward pass that waited for its backward has left its state. */
static int y_undo (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  if (!p->played) return 0;
  for (int k = 0; k < p->nstate; k++) memcpy(p->state[k].pending, p->state[k].entry,
                                             p->state[k].size * (size_t)p->wave.most.B);
  p->B = p->entry_B;
  p->played = 0;
  return 0;
}

void l_player_commit (player *p) {
  for (int k = 0; p->states && k < p->nstate; k++) memcpy(p->state[k].committed, p->state[k].pending,
                                                          p->state[k].size * (size_t)p->wave.most.B);
  p->committed_B = p->B;
}

static int y_commit (lua_State *L) {
  l_player_commit(l_checkplayer(L, 1));
  return 0;
}

static int y_resetstate (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  if (p->states) zero_state(p);
  p->B = p->committed_B = 0;
  return 0;
}

/* A batch that starts anew, for a program that resets: flags of 1 in its first step. A field that cannot be the flags is
 * left for lurn_wave_bind to refuse. */
static void add_fresh_flags (player *p, int anew) {
  lurn_batch *b = &p->batch;
  if (!p->variant.reset) return;
  const lurn_field *f = lurn_batch_field(b, "reset");
  if (f && (f->dtype != LURN_REAL || f->axis != LURN_TIME || f->cols != 1)) return;
  for (int n = 0; n < b->N; n++) p->fresh[n] = f ? ((const real *)f->data)[n] : 0;
  for (int r = 0; anew && r < b->B; r++) p->fresh[r] = 1;
  if (f) b->field[f - b->field].data = p->fresh;
  else if (b->nfield < LURN_MAX_FIELDS) b->field[b->nfield++] = (lurn_field){"reset", LURN_REAL, LURN_TIME, 1,
      p->fresh};
}

/* Checks p->batch; what it carries on, zeros when it starts anew, is copied: the pending state stays until the pass has
 * gone through. */
static lurn_status bind (player *p) {
  int anew = !p->batch.carry || p->B == 0;
  if (!anew && p->batch.B > p->B)
    return lurn_fail(p->ctx, LURN_EINVAL, "a batch of %d rows cannot carry on the state of %d rows", p->batch.B,
                     p->B);
  add_fresh_flags(p, anew);
  lurn_status status = lurn_wave_bind(&p->wave, &p->batch, &p->moment);
  if (status != LURN_OK) return status;
  for (int k = 0; k < p->nstate; k++) {
    const carried *c = &p->state[k];
    size_t bytes = c->size * (size_t)p->wave.most.B;
    if (anew) memset(c->entry, 0, bytes); else memcpy(c->entry, c->pending, bytes);
    p->wave.base[c->in] = c->entry;
  }
  p->entry_B = anew ? 0 : p->B;
  return LURN_OK;
}

static void take_state (player *p) {
  for (int k = 0; k < p->nstate; k++)
    memcpy(p->state[k].pending, p->wave.base[p->state[k].out], p->state[k].size * (size_t)p->batch.B);
  p->B = p->batch.B;
}

lurn_status l_player_play (player *p, int back) {
  if (p->wave.window) return back ? lurn_recompute_backward(&p->wave) : lurn_recompute_forward(&p->wave);
  if (p->twin) return lurn_twin_play(&p->wave, back ? p->program.forward : 0, back ? p->program.ninstr
                                     : p->program.forward);
  return lurn_conductor_play(&p->wave, back ? p->schedule.forward : 0, back ? p->schedule.nunit
                             : p->schedule.forward);
}

/* Packed weights are those of the engine's own kernels, and what is worked out of weights has the bits of the engine
 * that did it. */
static void pack_weights (player *p) {
  if (p->packed == p->m->version && p->blas == p->ctx->blas) return;
  lurn_wave_pack(&p->wave);
  p->packed = p->m->version;
  p->blas = p->ctx->blas;
}

lurn_status l_player_forward (player *p, const lurn_batch *b) {
  const lurn_extent e = lurn_extent_of(b);
  lurn_status status = l_player_plan(p, &e);
  if (status != LURN_OK) return status;
  p->batch = *b;
  p->played = 0;
  if ((status = bind(p)) != LURN_OK) return status;
  pack_weights(p);
  if ((status = l_player_play(p, 0)) != LURN_OK) return status;
  p->played = 1;
  take_state(p);
  return LURN_OK;
}

/* Order of lurn_purpose. */
static const char *const purposes[] = {"init", "shuffle", "train", "eval", "sample", "script", "data", "search",
    NULL};

/* The first number of an output; NULL where there is none. */
static const real *number_of (const player *p, const char *output) {
  const lurn_register *x = NULL;
  const void *at = lurn_wave_output(&p->wave, output, &x);
  return at && x->dtype == LURN_REAL ? at : NULL;
}

/* batch, seed, step, purpose -> loss, weight (nil when the model has none), or nil, message, code */
static int y_forward (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  lurn_batch *b = l_checkbatch(L, 2);
  p->moment = (lurn_moment){.seed = (uint64_t)luaL_optinteger(L, 3, 1),
      .step = (uint64_t)luaL_optinteger(L, 4, 0),
                            .purpose = (lurn_purpose)lb_choice(L, 5, purposes, "purpose")};
  const lurn_extent e = lurn_extent_of(b);
  lurn_status status = l_player_plan(p, &e);      /* without memory the last pass is still there, with its batch */
  if (status != LURN_OK) return lb_result(L, status);
  lua_settop(L, 2);
  lua_setiuservalue(L, 1, 2);                     /* the batch's memory is read again by backward */
  status = l_player_forward(p, b);
  if (status != LURN_OK) return lb_result(L, status);
  const real *loss = number_of(p, "loss"), *weight = number_of(p, "weight");
  if (loss) lua_pushnumber(L, *loss); else lua_pushboolean(L, 1);
  if (weight) lua_pushnumber(L, *weight); else lua_pushnil(L);
  return 2;
}

/* A feed fills one batch's memory again and again: what was bound to it before has lost its frames. */
void l_player_checkbatch (lua_State *L, const player *p) {
  lua_getiuservalue(L, 1, 2);
  const lurn_batch *b = lua_touserdata(L, -1);
  if (b && l_batchserial(b) != p->batch.serial)
    luaL_error(L, "the batch of the last forward pass is gone: its feed has made another one since");
  lua_pop(L, 1);
}

static int y_backward (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  if (!p->variant.grad) return luaL_error(L, "backward: this player was made without gradients");
  if (!p->played) return luaL_error(L, "backward without a forward pass before it");
  l_player_checkbatch(L, p);
  pack_weights(p);
  lurn_status status = l_player_play(p, 1);
  if (status != LURN_OK) return lb_result(L, status);
  lurn_wave_finish_grads(&p->wave);
  p->played = 0;
  lua_pushboolean(L, 1);
  return 1;
}

/* ---------- carried state ---------- */

static int y_state (lua_State *L) {              /* committed state: name -> tensor (B, cols), a copy */
  player *p = l_checkplayer(L, 1);
  lua_newtable(L);
  for (int k = 0; k < p->nstate && p->committed_B > 0; k++) {
    int64_t dim[2] = {p->committed_B, p->state[k].cols};
    lurn_register *x = &p->program.reg[lurn_find_input(&p->program, p->state[k].name)];
    lurn_tensor *t = l_newtensor(L, (lurn_dtype)x->dtype, 2, dim);
    memcpy(t->data.p, p->state[k].committed, p->state[k].size * (size_t)p->committed_B);
    lua_setfield(L, -2, p->state[k].name + 6);    /* without "state:" */
  }
  return 1;
}

/* The value of state k in the table at 2, left on the stack; raises when it is not one. */
static const lurn_tensor *given_state (lua_State *L, const player *p, int k) {
  const char *name = p->state[k].name + 6;        /* without "state:" */
  lua_getfield(L, 2, name);
  if (lua_isnil(L, -1)) luaL_error(L, "state '%s' is missing", name);
  const lurn_tensor *t = l_checktensor(L, lua_gettop(L));
  int dtype = p->program.reg[lurn_find_input(&p->program, p->state[k].name)].dtype;
  if (t->rank != 2 || t->dim[0] < 1 || t->dim[1] != p->state[k].cols || t->dtype != (lurn_dtype)dtype ||
      !lurn_tensor_contiguous(t))
    luaL_error(L, "state '%s': expected %s (B, %d)", name, dtype == LURN_REAL ? "reals" : "ids", p->state[k].cols);
  return t;
}

static void check_names (lua_State *L, const player *p) {
  for (lua_pushnil(L); lua_next(L, 2); lua_pop(L, 1)) {
    const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "";
    int k = 0;
    while (k < p->nstate && strcmp(name, p->state[k].name + 6) != 0) k++;
    if (k < p->nstate) continue;
    lua_pushvalue(L, -2);
    luaL_error(L, "the model has no state '%s'", luaL_tolstring(L, -1, NULL));
  }
}

/* What y_state gave; an empty table is the state before the first step. Everything is checked
 * before anything changes. */
static int y_setstate (lua_State *L) {
  player *p = l_checkplayer(L, 1);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  check_names(L, p);
  lua_pushnil(L);
  if (!lua_next(L, 2)) { lua_settop(L, 1); return y_resetstate(L); }
  lua_settop(L, 2);
  int64_t B = 0;
  for (int k = 0; k < p->nstate; k++, lua_pop(L, 1)) {
    const lurn_tensor *t = given_state(L, p, k);
    if (k > 0 && t->dim[0] != B)
      return luaL_error(L, "state '%s': expected %d rows like the others, got %d", p->state[k].name + 6, (int)B,
                        (int)t->dim[0]);
    B = t->dim[0];
  }
  luaL_argcheck(L, B <= 1 << 24, 2, "too many rows");
  const lurn_extent e = {.B = (int)B, .T = {1}, .N = {(int)B}};
  lb_check(L, l_player_plan(p, &e));
  for (int k = 0; k < p->nstate; k++, lua_pop(L, 1)) {
    const lurn_tensor *t = given_state(L, p, k);
    memcpy(p->state[k].committed, t->data.p, p->state[k].size * (size_t)B);
    memcpy(p->state[k].pending, t->data.p, p->state[k].size * (size_t)B);
  }
  p->B = p->committed_B = (int)B;
  return 0;
}

static const luaL_Reg methods[] = {
  {"plan", y_plan}, {"forward", y_forward}, {"backward", y_backward}, {"commit", y_commit}, {"rollback", y_rollback},
  {"undo", y_undo}, {"step", l_player_step},
  {"resetstate", y_resetstate}, {"state", y_state}, {"setstate", y_setstate}, {"close", y_close}, {NULL, NULL}
};
static const luaL_Reg meta[] = {{"__gc", y_close}, {"__close", y_close}, {NULL, NULL}};

int l_player_open (lua_State *L) {
  lb_type(L, PLAYER, methods, meta);
  luaL_getmetatable(L, PLAYER);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, l_player_views, 0);
  lua_pop(L, 2);
  return 0;
}
