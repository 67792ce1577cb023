/* l_model.c: models: a traced program and the flat arrays of its weights. */
#include <stdio.h>
#include <string.h>

#include "gradcheck.h"
#include "l_data.h"
#include "l_player.h"
#include "l_program.h"
#include "l_tensor.h"
#include "sha256.h"

#define MODEL LB_TYPE("model")

model *l_checkmodel (lua_State *L, int arg) { return luaL_checkudata(L, arg, MODEL); }

static int g_model (lua_State *L) {              /* program */
  lurn_program *p = l_checkprogram(L, 1);
  lb_check(L, lurn_program_status(p));
  model *m = lb_new(L, MODEL, sizeof *m, 3);
  lua_pushvalue(L, 1);
  lua_setiuservalue(L, -2, 1);
  m->source = p;
  if (p->params.count == 0) lurn_params_layout(&p->params);
  m->params = p->params;                          /* borrowed: the program lives as long as the model */
  m->value = l_newblock(L, sizeof(real) * (p->params.count + 1));
  lua_setiuservalue(L, -2, 2);
  m->grad = l_newblock(L, sizeof(real) * (p->params.count + 1));
  lua_setiuservalue(L, -2, 3);
  m->version = 1;
  m->factor = 1;
  return 1;
}

static int m_init (lua_State *L) {               /* seed [, path] */
  model *m = l_checkmodel(L, 1);
  uint64_t seed = (uint64_t)luaL_checkinteger(L, 2);
  const char *path = luaL_optstring(L, 3, NULL);
  int k = path ? lurn_params_find(&m->params, path) : 0;
  luaL_argcheck(L, k >= 0, 3, "no such parameter");
  lb_check(L, path ? lurn_param_init(lb_ctx(L), &m->params.p[k], seed, m->value)
                   : lurn_params_init(lb_ctx(L), &m->params, seed, m->value));
  m->version++;
  return 0;
}

static int push_array (lua_State *L, const model *m, int k, int which) {
  const lurn_param *p = &m->params.p[k];
  int64_t dim[LURN_MAX_RANK];
  for (int j = 0; j < p->rank; j++) dim[j] = p->dim[j];
  lua_getiuservalue(L, 1, which);
  l_newview(L, lua_gettop(L), LURN_REAL, p->rank, dim, (which == 2 ? m->value : m->grad) + p->offset);
  lua_remove(L, -2);
  return 1;
}

/* List of {path, value, grad} by sorted path; value and grad are views. */
static int m_parameters (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  int n = m->params.n, *order = lua_newuserdatauv(L, sizeof *order * (size_t)(n + 1), 0);
  lurn_params_order(&m->params, order);
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    lua_createtable(L, 0, 3);
    lua_pushstring(L, m->params.p[order[k]].path);
    lua_setfield(L, -2, "path");
    push_array(L, m, order[k], 2);
    lua_setfield(L, -2, "value");
    push_array(L, m, order[k], 3);
    lua_setfield(L, -2, "grad");
    lua_rawseti(L, -2, k + 1);
  }
  return 1;
}

static int m_touch (lua_State *L) {              /* the weights were written through a view */
  l_checkmodel(L, 1)->version++;
  return 0;
}

/* SHA-256 of all weights, in order of their paths. */
static int m_hash (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  lurn_sha256 s;
  char hex[LURN_SHA256_HEX];
  int *order = lua_newuserdatauv(L, sizeof *order * (size_t)(m->params.n + 1), 0);
  lurn_params_order(&m->params, order);
  lurn_sha256_init(&s);
  for (int k = 0; k < m->params.n; k++) {
    const lurn_param *p = &m->params.p[order[k]];
    lurn_sha256_add(&s, m->value + p->offset, sizeof(real) * p->count);
  }
  lua_pushstring(L, lurn_sha256_hex(&s, hex));
  return 1;
}

static int m_count (lua_State *L) {
  model *m = l_checkmodel(L, 1);
  lua_Integer n = 0;
  for (int k = 0; k < m->params.n; k++) n += (lua_Integer)m->params.p[k].count;
  lua_pushinteger(L, n);
  return 1;
}

void l_checksource (lua_State *L, const model *m) {
  if (m->source->params.n != m->params.n) luaL_error(L, "parameters were added to the program of a finished model");
}

static int m_gradcheck (lua_State *L) {          /* batch [, elements per parameter, seed] */
  model *m = l_checkmodel(L, 1);
  lurn_batch *b = l_checkbatch(L, 2);
  lurn_gradcheck_result r;
  l_checksource(L, m);
  lb_check(L, lurn_gradcheck(lb_ctx(L), m->source, b, m->value, (size_t)luaL_optinteger(L, 3, 0),
                             (uint64_t)luaL_optinteger(L, 4, 1), &r));
  m->version++;
  lua_createtable(L, 0, 6);
  lua_pushnumber(L, r.worst); lua_setfield(L, -2, "worst");
  lua_pushstring(L, r.path); lua_setfield(L, -2, "path");
  lua_pushinteger(L, (lua_Integer)r.index + 1); lua_setfield(L, -2, "index");
  lua_pushnumber(L, r.analytic); lua_setfield(L, -2, "analytic");
  lua_pushnumber(L, r.numeric); lua_setfield(L, -2, "numeric");
  lua_pushinteger(L, (lua_Integer)r.checked); lua_setfield(L, -2, "checked");
  return 1;
}

static const luaL_Reg methods[] = {
  {"init", m_init}, {"parameters", m_parameters}, {"touch", m_touch}, {"count", m_count}, {"hash", m_hash},
  {"player", l_player_new}, {"gradcheck", m_gradcheck}, {NULL, NULL}
};
static const luaL_Reg functions[] = {{"model", g_model}, {"lr", l_optim_lr}, {"plateau", l_optim_plateau},
    {NULL, NULL}};

int l_model_open (lua_State *L) {
  lb_type(L, MODEL, methods, NULL);
  luaL_getmetatable(L, MODEL);
  lua_getfield(L, -1, "__index");
  luaL_setfuncs(L, l_optim_methods, 0);
  lua_pop(L, 2);
  l_player_open(L);
  luaL_newlib(L, functions);
  return 1;
}
