/* l_optim.c: the optimiser's half of a model's methods, and learning rates over time. Options come
 * as one table, checked by the Lua half, and are read at every call: nothing is kept here.
 */
#include "l_data.h"
#include "l_model.h"
#include "l_tensor_parts.h"
#include "lr.h"
#include "optim.h"

/* Order of lurn_rule. */
static const char *const rules[] = {"sgd", "rmsprop", "adagrad", "adadelta", "adam", "adamw", NULL};

static void read_optim (lua_State *L, int arg, lurn_optim *o) {
  lua_getfield(L, arg, "rule");
  lurn_rule rule = (lurn_rule)lb_choice(L, lua_gettop(L), rules, "rule");
  lua_pop(L, 1);
  lurn_optim_defaults(o, rule);
  o->lr = lb_getnumber(L, arg, "lr", o->lr);
  o->momentum = lb_getnumber(L, arg, "momentum", o->momentum);
  o->dampening = lb_getnumber(L, arg, "dampening", o->dampening);
  o->nesterov = lb_getboolean(L, arg, "nesterov", o->nesterov);
  o->alpha = lb_getnumber(L, arg, "alpha", o->alpha);
  o->centered = lb_getboolean(L, arg, "centered", o->centered);
  o->rho = lb_getnumber(L, arg, "rho", o->rho);
  o->beta1 = lb_getnumber(L, arg, "beta1", o->beta1);
  o->beta2 = lb_getnumber(L, arg, "beta2", o->beta2);
  o->eps = lb_getnumber(L, arg, "eps", o->eps);
  o->lr_decay = lb_getnumber(L, arg, "lr_decay", o->lr_decay);
  o->initial_accumulator = lb_getnumber(L, arg, "initial_accumulator", o->initial_accumulator);
  o->weight_decay = lb_getnumber(L, arg, "weight_decay", o->weight_decay);
  o->clip_norm = lb_getnumber(L, arg, "clip_norm", o->clip_norm);
  o->clip_layer = lb_getnumber(L, arg, "clip_layer", o->clip_layer);
  o->clip_value = lb_getnumber(L, arg, "clip_value", o->clip_value);
}

/* {path = {lr_scale, weight_decay, frozen}} into one entry per parameter, on a userdata; NULL: none. */
static lurn_group *read_groups (lua_State *L, int arg, const model *m, const lurn_optim *o) {
  if (!lua_istable(L, arg)) return NULL;
  lurn_group *g = lua_newuserdatauv(L, sizeof *g * (size_t)(m->params.n + 1), 0);
  for (int k = 0; k < m->params.n; k++) {
    g[k] = (lurn_group){1, o->weight_decay, 0};
    if (lua_getfield(L, arg, m->params.p[k].path) == LUA_TTABLE) {
      g[k].lr_scale = lb_getnumber(L, lua_gettop(L), "lr_scale", 1);
      g[k].weight_decay = lb_getnumber(L, lua_gettop(L), "weight_decay", o->weight_decay);
      g[k].frozen = lb_getboolean(L, lua_gettop(L), "frozen", 0);
    }
    lua_pop(L, 1);
  }
  return g;
}

/* Numbers without gaps that the model's are written beside: a view, or ids, would have less memory than elements. */
static lurn_tensor *flat_at (lua_State *L, int arg) {
  lurn_tensor *t = l_checkreal(L, arg);
  luaL_argcheck(L, lurn_tensor_contiguous(t), arg, "expected a tensor without gaps, got a view");
  return t;
}

/* options -> list of {name, tensor}: the moments as flat tensors, cleared */
static int m_moments (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  lurn_optim o;
  read_optim(L, 2, &o);
  int n = lurn_optim_moments(&o);
  int64_t all[1] = {(int64_t)m->params.count * (n ? n : 1)}, one[1] = {(int64_t)m->params.count};
  lurn_tensor *flat = l_newtensor(L, LURN_REAL, 1, all);
  int owner = lua_gettop(L);
  lurn_optim_reset(&o, &m->params, flat->data.r);
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, lurn_optim_moment_name(&o, k));
    lua_setfield(L, -2, "name");
    l_newview(L, owner, LURN_REAL, 1, one, flat->data.r + (size_t)k * m->params.count);
    lua_setfield(L, -2, "value");
    lua_rawseti(L, -2, k + 1);
  }
  return 2;                                       /* flat, list of its parts */
}

/* options, groups or nil -> norm before clipping; the gradients are clipped in place, but for the scaling of them all, which
 * is the update's */
static int m_clip (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  lurn_optim o;
  read_optim(L, 2, &o);
  lurn_group *g = read_groups(L, 3, m, &o);
  lua_pushnumber(L, lurn_optim_clip(lb_ctx(L), &o, &m->params, g, m->grad, &m->factor));
  return 1;
}

/* options, groups or nil, step (from 1), flat moments: the commit */
static int m_update (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  lurn_optim o;
  read_optim(L, 2, &o);
  lua_Integer step = luaL_checkinteger(L, 4);
  lurn_tensor *moment = flat_at(L, 5);
  int n = lurn_optim_moments(&o);
  luaL_argcheck(L, lurn_tensor_count(moment) >= (int64_t)m->params.count * n, 5, "moments of another model");
  lurn_group *g = read_groups(L, 3, m, &o);
  lurn_optim_update(lb_ctx(L), &o, &m->params, g, step, m->factor, m->value, m->grad, moment->data.r);
  m->factor = 1;
  m->version++;
  return 0;
}

/* sum, k: sum += grad when k is 0; grad = sum / k otherwise. For gradients over several batches. */
static int m_accumulate (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  lurn_tensor *sum = flat_at(L, 2);
  lua_Integer k = luaL_optinteger(L, 3, 0);
  const lurn_kernels *f = lb_ctx(L)->kernels;
  luaL_argcheck(L, lurn_tensor_count(sum) == (int64_t)m->params.count, 2, "a sum of another model");
  if (k == 0) f->map[LURN_MAP_add](sum->data.r, sum->data.r, m->grad, NULL, 0, m->params.count);
  else f->map[LURN_MAP_mul_imm](m->grad, sum->data.r, NULL, NULL, (real)(1.0 / (double)k), m->params.count);
  return 0;
}

static int m_flat (lua_State *L) {               /* reals in a flat array */
  lua_pushinteger(L, (lua_Integer)l_checkmodel(L, 1)->params.count);
  return 1;
}

/* {kind, base, warmup, gamma, every, total, low}, step -> rate */
int l_optim_lr (lua_State *L) {
  static const char *const kinds[] = {"constant", "step", "exponential", "cosine", NULL};
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_getfield(L, 1, "kind");
  lurn_lr s = {.kind = (lurn_lr_kind)lb_choice(L, lua_gettop(L), kinds, "schedule")};
  s.base = lb_getnumber(L, 1, "base", 0);
  s.warmup = lb_getinteger(L, 1, "warmup", 0, INT64_MAX, 0);
  s.gamma = lb_getnumber(L, 1, "gamma", 0.1);
  s.every = lb_getinteger(L, 1, "every", 1, INT64_MAX, 1);
  s.total = lb_getinteger(L, 1, "total", 1, INT64_MAX, 1);
  s.low = lb_getnumber(L, 1, "low", 0);
  if (s.kind != LURN_LR_COSINE) s.low = 0;
  else if (s.total <= s.warmup) s.total = s.warmup + 1;
  lb_check(L, lurn_lr_check(lb_ctx(L), &s));
  lua_pushnumber(L, lurn_lr_at(&s, luaL_checkinteger(L, 2)));
  return 1;
}

static void set_number (lua_State *L, int arg, const char *key, double x) {
  lua_pushnumber(L, x);
  lua_setfield(L, arg, key);
}

/* options, state (changed), metric, rate -> rate */
int l_optim_plateau (lua_State *L) {
  lurn_lr_plateau o;
  lurn_lr_plateau_defaults(&o);
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checktype(L, 2, LUA_TTABLE);
  o.factor = lb_getnumber(L, 1, "factor", o.factor);
  o.patience = lb_getinteger(L, 1, "patience", 0, INT64_MAX, o.patience);
  o.threshold = lb_getnumber(L, 1, "threshold", o.threshold);
  o.cooldown = lb_getinteger(L, 1, "cooldown", 0, INT64_MAX, o.cooldown);
  o.min_lr = lb_getnumber(L, 1, "min_lr", o.min_lr);
  lurn_lr_plateau_state s = {.best = lb_getnumber(L, 2, "best", 0), .bad = (int64_t)lb_getnumber(L, 2, "bad", 0),
                             .cooling = (int64_t)lb_getnumber(L, 2, "cooling", 0)};
  double lr = lurn_lr_plateau_report(&o, &s, luaL_checknumber(L, 3), luaL_checknumber(L, 4));
  set_number(L, 2, "best", s.best);
  set_number(L, 2, "bad", (double)s.bad);
  set_number(L, 2, "cooling", (double)s.cooling);
  lua_pushnumber(L, lr);
  return 1;
}

const luaL_Reg l_optim_methods[] = {
  {"moments", m_moments}, {"clip", m_clip}, {"update", m_update}, {"accumulate", m_accumulate}, {"flat", m_flat},
      {NULL, NULL}
};
