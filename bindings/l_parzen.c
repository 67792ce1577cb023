/* l_parzen.c: mixtures of product kernels (core/parzen.h), for the sampler tpe.
 *
 *   parzen.new {seed =, name =, axes = {{name =, kind = "number"|"steps"|"choice", low =, high =, step =, log =}, ...}}
 *     p:add(number, x)       keeps an observation, a list of one value for each axis; its place, from 1. Choices are
 *                            counted from 1, their axis has high = how many there are
 *     p:fit(places, n)       the mixture of these observations, oldest first; n: of the first n of the list
 *     p:draw(count, first)   count points of it; draws first, first + 1, .. of the streams "NAME" and "NAME:AXIS"
 *     p:score(points)        ln of the density at each point
 *     p:kernels(axis)        mu and sigma of the kernels along an axis (no choice), the prior last; weights
 *   parzen.log(x), parzen.exp(x)   the same bits on every machine (core/portable.h); x of log positive and normal
 *   parzen.below(x), parzen.quantile(p), parzen.mass(a, b)   of the normal distribution (core/gauss.h), for tests
 */
#include "lb.h"
#include "gauss.h"
#include "parzen.h"
#include "portable.h"

#include <limits.h>
#include <math.h>
#include <string.h>

int l_parzen_open (lua_State *L);

#define PARZEN LB_TYPE("parzen")

enum { MOST_AXES = 4096 };

static lurn_parzen *check_parzen (lua_State *L) {
  lurn_parzen *p = luaL_checkudata(L, 1, PARZEN);
  luaL_argcheck(L, p->A > 0, 1, "this parzen was not made");
  return p;
}

static int p_gc (lua_State *L) {
  lurn_parzen *p = luaL_checkudata(L, 1, PARZEN);
  lurn_parzen_free(lb_ctx(L), p);
  return 0;
}

/* --- making -------------------------------------------------------------------------------- */

/* The axis described by the table on top; `name` of the streams. */
static void read_axis (lua_State *L, lurn_range *axis, uint64_t seed, const char *name) {
  static const char *const kinds[] = {"number", "steps", "choice", NULL};
  int t = lua_gettop(L);
  const char *own = lb_getstring(L, t, "name", ""), *kind = lb_getstring(L, t, "kind", "number");
  int k = 0;
  while (kinds[k] && strcmp(kinds[k], kind)) k++;
  if (!kinds[k]) luaL_error(L, "parzen.new: axis %s: kind is number, steps or choice, got %s", own, kind);
  axis->kind = (lurn_range_kind)k;
  axis->log = lb_getboolean(L, t, "log", 0);
  axis->low = lb_getnumber(L, t, "low", 1);
  axis->high = lb_getnumber(L, t, "high", NAN);
  axis->step = lb_getnumber(L, t, "step", 1);
  if (axis->kind == LURN_RANGE_CHOICE) { axis->low = 0; axis->high -= 1; axis->log = 0; }
  double half = axis->kind == LURN_RANGE_STEPS ? axis->step / 2 : 0;
  if (!(axis->high > axis->low && axis->high - axis->low < HUGE_VAL) || !(axis->step > 0)
      || (axis->log && !(axis->low - half > 0)))
    luaL_error(L, "parzen.new: axis %s: not a range", own);
  axis->key = lurn_key_make(seed, LURN_PURPOSE_SEARCH, lua_pushfstring(L, "%s:%s", name, own));
  lua_settop(L, t);
}

static int parzen_new (lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  uint64_t seed = (uint64_t)lb_getinteger(L, 1, "seed", LUA_MININTEGER, LUA_MAXINTEGER, 1);
  const char *name = lb_getstring(L, 1, "name", "");
  luaL_argcheck(L, lua_getfield(L, 1, "axes") == LUA_TTABLE, 1, "axes is a list");
  lua_Integer A = luaL_len(L, 2);
  luaL_argcheck(L, A >= 1 && A <= MOST_AXES, 1, "axes is a list of 1 to 4096");
  lurn_range *axis = lua_newuserdatauv(L, sizeof *axis * (size_t)A, 0);
  for (lua_Integer a = 0; a < A; a++) {
    luaL_argcheck(L, lua_geti(L, 2, a + 1) == LUA_TTABLE, 1, "an axis is a table");
    read_axis(L, axis + a, seed, name);
    lua_pop(L, 1);
  }
  lurn_parzen *p = lb_new(L, PARZEN, sizeof *p, 0);
  lb_check(L, lurn_parzen_init(lb_ctx(L), p, axis, (int)A, lurn_key_make(seed, LURN_PURPOSE_SEARCH, name)));
  return 1;
}

/* --- observations -------------------------------------------------------------------------- */

/* The list at index `at` as A numbers of the ranges of their axes. */
static void read_point (lua_State *L, const lurn_parzen *p, int at, double *x) {
  luaL_checktype(L, at, LUA_TTABLE);
  for (int a = 0; a < p->A; a++) {
    lua_geti(L, at, a + 1);
    int ok = 0;
    x[a] = lua_tonumberx(L, -1, &ok) - (p->axis[a].kind == LURN_RANGE_CHOICE);
    if (!ok || !(x[a] >= p->axis[a].low && x[a] <= p->axis[a].high))
      luaL_error(L, "parzen: coordinate %d is outside its axis", a + 1);
    lua_pop(L, 1);
  }
}

static int p_add (lua_State *L) {
  lurn_parzen *p = check_parzen(L);
  int64_t number = lb_integer(L, 2, LUA_MININTEGER, LUA_MAXINTEGER, "number");
  double *x = lua_newuserdatauv(L, sizeof *x * (size_t)p->A, 0);
  read_point(L, p, 3, x);
  luaL_argcheck(L, p->added < INT_MAX / MOST_AXES / 2, 1, "too many observations");
  lb_check(L, lurn_parzen_reserve(lb_ctx(L), p, p->added + 1));
  lua_pushinteger(L, lurn_parzen_add(p, number, x) + 1);
  return 1;
}

static int p_fit (lua_State *L) {
  lurn_parzen *p = check_parzen(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer n = lua_isnoneornil(L, 3) ? luaL_len(L, 2) : lb_integer(L, 3, 0, INT_MAX, "n");
  luaL_argcheck(L, n <= p->added, 2, "more places than observations");
  int different = 1;
  for (lua_Integer k = 0; k < n; k++) {
    lua_rawgeti(L, 2, k + 1);
    lua_Integer s = lua_tointeger(L, -1);
    luaL_argcheck(L, s >= 1 && s <= p->added, 2, "a list of places");
    p->coming[k] = (int32_t)(s - 1);
    lua_pop(L, 1);
  }
  for (lua_Integer k = 0; k < n; k++) different &= !p->member[p->coming[k]]++;
  for (lua_Integer k = 0; k < n; k++) p->member[p->coming[k]] = 0;
  luaL_argcheck(L, different, 2, "a list of different places");
  lurn_parzen_fit(p, p->coming, (int)n);
  return 0;
}

/* --- draws and scores ---------------------------------------------------------------------- */

static lurn_parzen *check_fitted (lua_State *L) {
  lurn_parzen *p = check_parzen(L);
  luaL_argcheck(L, p->K > 0, 1, "not fitted yet");
  return p;
}

static int p_draw (lua_State *L) {
  lurn_parzen *p = check_fitted(L);
  int C = (int)lb_integer(L, 2, 1, 65536, "count");
  uint64_t first = (uint64_t)lb_integer(L, 3, 0, LUA_MAXINTEGER, "first");
  double *x = lua_newuserdatauv(L, sizeof *x * (size_t)C * (size_t)p->A, 0);
  lurn_parzen_draw(p, x, C, first);
  lua_createtable(L, C, 0);
  for (int c = 0; c < C; c++) {
    lua_createtable(L, p->A, 0);
    for (int a = 0; a < p->A; a++) {
      lua_pushnumber(L, x[c * p->A + a] + (p->axis[a].kind == LURN_RANGE_CHOICE));
      lua_rawseti(L, -2, a + 1);
    }
    lua_rawseti(L, -2, c + 1);
  }
  return 1;
}

static int p_score (lua_State *L) {
  lurn_parzen *p = check_fitted(L);
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_Integer C = luaL_len(L, 2);
  luaL_argcheck(L, C >= 0 && C <= 65536, 2, "at most 65536 points");
  double *x = lua_newuserdatauv(L, sizeof *x * (size_t)C * (size_t)(p->A + 1), 0), *out = x + C * p->A;
  for (lua_Integer c = 0; c < C; c++) {
    lua_geti(L, 2, c + 1);
    read_point(L, p, lua_gettop(L), x + c * p->A);
    lua_pop(L, 1);
  }
  lb_check(L, lurn_parzen_score(lb_ctx(L), p, out, x, (int)C));
  lua_createtable(L, (int)C, 0);
  for (lua_Integer c = 0; c < C; c++) {
    lua_pushnumber(L, out[c]);
    lua_rawseti(L, -2, c + 1);
  }
  return 1;
}

static void push_numbers (lua_State *L, const double *x, int n, int width) {
  lua_createtable(L, n, 0);
  for (int k = 0; k < n; k++) {
    lua_pushnumber(L, width ? LURN_SQRT_HALF / x[k] : x[k]);
    lua_rawseti(L, -2, k + 1);
  }
}

static int p_kernels (lua_State *L) {
  lurn_parzen *p = check_fitted(L);
  int a = (int)lb_integer(L, 2, 1, p->A, "axis") - 1;
  luaL_argcheck(L, p->axis[a].kind != LURN_RANGE_CHOICE, 2, "choices have no mu and sigma");
  size_t row = (size_t)a * (size_t)(p->capacity + 1);
  push_numbers(L, p->mu + row, p->K, 0);
  push_numbers(L, p->inverse + row, p->K, 1);
  push_numbers(L, p->weight, p->K, 0);
  return 3;
}

/* --- functions of one number --------------------------------------------------------------- */

static int parzen_log (lua_State *L) {
  double x = luaL_checknumber(L, 1);
  luaL_argcheck(L, x >= 0x1p-1022 && x < HUGE_VAL, 1, "a positive number");
  lua_pushnumber(L, lurn_portable_log(x));
  return 1;
}

static int parzen_exp (lua_State *L) {
  lua_pushnumber(L, lurn_portable_exp(luaL_checknumber(L, 1)));
  return 1;
}

static int parzen_below (lua_State *L) {
  lua_pushnumber(L, lurn_gauss_below(luaL_checknumber(L, 1)));
  return 1;
}

static int parzen_mass (lua_State *L) {
  lua_pushnumber(L, lurn_gauss_mass(luaL_checknumber(L, 1), luaL_checknumber(L, 2)));
  return 1;
}

static int parzen_quantile (lua_State *L) {
  double p = luaL_checknumber(L, 1);
  luaL_argcheck(L, p >= 1e-300 && p <= 0.5, 1, "a share from 1e-300 to 0.5");
  lua_pushnumber(L, lurn_gauss_quantile(p));
  return 1;
}

static const luaL_Reg methods[] = {
  {"add", p_add}, {"fit", p_fit}, {"draw", p_draw}, {"score", p_score}, {"kernels", p_kernels}, {NULL, NULL}
};
static const luaL_Reg meta[] = {{"__gc", p_gc}, {NULL, NULL}};
static const luaL_Reg functions[] = {
  {"new", parzen_new}, {"log", parzen_log}, {"exp", parzen_exp}, {"below", parzen_below}, {"mass", parzen_mass},
  {"quantile", parzen_quantile}, {NULL, NULL}
};

int l_parzen_open (lua_State *L) {
  lb_type(L, PARZEN, methods, meta);
  luaL_newlib(L, functions);
  return 1;
}
