/* l_tensor_math.c: elementwise functions, arithmetic and comparisons, with broadcasting.
 *
 * One row per function, from which it comes up to three times: as t:f(...), which makes a new
 * tensor; as t:f_(...), which writes into t; and, where Lua has one, as an operator.
 */
#include "l_tensor_parts.h"

#include <math.h>

/* ==== Functions that the kernels do not have ==== */

/* These are for looking at data, not for the training step, so the C library's bits will do.
 * They are evaluated in double and rounded once. */
#define MAP2(name, expression) \
  static void name (real *y, const real *a, const real *b, const real *c, real k, size_t n) { \
    (void)b; (void)c; (void)k; \
    for (size_t i = 0; i < n; i++) y[i] = (real)(expression); \
  }

MAP2(map_pow, pow((double)a[i], (double)b[i]))
MAP2(map_mod, (double)a[i] - floor((double)a[i] / (double)b[i]) * (double)b[i])
MAP2(map_ne, a[i] != b[i])
MAP2(map_floor, floor((double)a[i]))
MAP2(map_ceil, ceil((double)a[i]))
MAP2(map_round, nearbyint((double)a[i]))
MAP2(map_square, (double)a[i] * (double)a[i])
MAP2(map_reciprocal, 1 / (double)a[i])
MAP2(map_softplus, fmax((double)a[i], 0) + log1p(exp(-fabs((double)a[i]))))
MAP2(map_isnan, isnan(a[i]) != 0)
MAP2(map_isfinite, isfinite(a[i]) != 0)

/* ==== Functions of one tensor ==== */

typedef struct map_row {
  const char *name;
  int kernel;                   /* of enum lurn_map, or -1: see fn */
  lurn_map_fn fn;
  double k;
} map_row;

static const map_row maps[] = {
  {"neg",        LURN_MAP_neg,     NULL, 0},   {"abs",      LURN_MAP_abs,     NULL, 0},
  {"sign",       LURN_MAP_sign,    NULL, 0},   {"exp",      LURN_MAP_exp,     NULL, 0},
  {"expm1",      LURN_MAP_expm1,   NULL, 0},   {"log",      LURN_MAP_log,     NULL, 0},
  {"log1p",      LURN_MAP_log1p,   NULL, 0},   {"sqrt",     LURN_MAP_sqrt,    NULL, 0},
  {"sin",        LURN_MAP_sin,     NULL, 0},   {"cos",      LURN_MAP_cos,     NULL, 0},
  {"erf",        LURN_MAP_erf,     NULL, 0},   {"tanh",     LURN_MAP_tanh,    NULL, 0},
  {"sigmoid",    LURN_MAP_sigmoid, NULL, 0},   {"relu",     LURN_MAP_max_imm, NULL, 0},
  {"floor",      -1, map_floor,      0},       {"ceil",     -1, map_ceil,     0},
  {"round",      -1, map_round,      0},       {"square",   -1, map_square,   0},
  {"reciprocal", -1, map_reciprocal, 0},       {"softplus", -1, map_softplus, 0},
  {"isnan",      -1, map_isnan,      0},       {"isfinite", -1, map_isfinite, 0},
  {NULL, 0, NULL, 0}
};

static lurn_map_fn function (lua_State *L, int kernel, lurn_map_fn fn) {
  return kernel >= 0 ? lb_ctx(L)->kernels->map[kernel] : fn;
}

/* Where the result goes: the tensor at 1 for t:f_(), a new one for t:f(). Pushed either way. */
static lurn_tensor *pushresult (lua_State *L, int inplace, const lurn_tensor *shape) {
  if (!inplace) return l_newtensor(L, LURN_REAL, shape->rank, shape->dim);
  lua_pushvalue(L, 1);
  return lua_touserdata(L, 1);
}

/* upvalue 1: the row; upvalue 2: in place? */
static int t_map (lua_State *L) {
  const map_row *row = lua_touserdata(L, lua_upvalueindex(1));
  lurn_tensor v[2];
  v[1] = *l_checkreal(L, 1);
  v[0] = *pushresult(L, lua_toboolean(L, lua_upvalueindex(2)), &v[1]);
  l_apply(function(L, row->kernel, row->fn), row->k, 2, v);
  return 1;
}

/* ==== Functions of two operands ==== */

typedef struct pair_row {
  const char *name, *inplace, *event;
  int kernel;
  lurn_map_fn fn;
  int swap;                     /* f(b, a) */
} pair_row;

/* t:sub(a, b) is the rows a to b, as it is in Torch and for strings; so the method that subtracts
 * has its long name. */
static const pair_row pairs[] = {
  {"add",      "add_",     "__add", LURN_MAP_add, NULL,    0},
  {"subtract", "sub_",     "__sub", LURN_MAP_sub, NULL,    0},
  {"mul",      "mul_",     "__mul", LURN_MAP_mul, NULL,    0},
  {"div",      "div_",     "__div", LURN_MAP_div, NULL,    0},
  {"pow",      "pow_",     "__pow", -1,           map_pow, 0},
  {"mod",      "mod_",     NULL,    -1,           map_mod, 0},
  {"maximum",  "maximum_", NULL,    LURN_MAP_max, NULL,    0},
  {"minimum",  "minimum_", NULL,    LURN_MAP_min, NULL,    0},
  {"gt",       "gt_",      NULL,    LURN_MAP_gt,  NULL,    0},
  {"ge",       "ge_",      NULL,    LURN_MAP_ge,  NULL,    0},
  {"lt",       "lt_",      NULL,    LURN_MAP_gt,  NULL,    1},
  {"le",       "le_",      NULL,    LURN_MAP_ge,  NULL,    1},
  {"eq",       "eq_",      NULL,    LURN_MAP_eq,  NULL,    0},
  {"ne",       "ne_",      NULL,    -1,           map_ne,  0},
  {NULL, NULL, NULL, 0, NULL, 0}
};

/* A number is a tensor of rank 0 that lives in *number. */
static lurn_tensor operand (lua_State *L, int arg, real *number) {
  lurn_tensor v = {0};
  if (lua_type(L, arg) == LUA_TNUMBER) {
    *number = (real)lua_tonumber(L, arg);
    v.data.r = number;
    return v;
  }
  if (!l_testtensor(L, arg) && lua_type(L, arg) != LUA_TUSERDATA) luaL_typeerror(L, arg, "number or lurn.tensor");
  return *l_checkreal(L, arg);
}

/* The shape of a result that has been broadcast from a and b, the latter being argument `arg`. */
static lurn_tensor common_shape (lua_State *L, const lurn_tensor *a, const lurn_tensor *b, int arg, int inplace) {
  char text[L_SHAPE_TEXT];
  lurn_tensor y = *a;
  if (inplace ? !l_stretches(b, a) : !l_broadcast(&y, b)) {
    lurn_shape_text(text, sizeof text, a->rank, a->dim);
    l_shapeerror(L, arg, lua_pushfstring(L, "a shape that broadcasts %s %s", inplace ? "to" : "with", text), b);
  }
  return y;
}

/* In place, an operand that shares memory with t without being t would be read after it had
 * been written. */
static lurn_tensor unshared (lua_State *L, int arg, const lurn_tensor *a, lurn_tensor b) {
  if (lua_rawequal(L, 1, arg) || !l_overlap(a, &b)) return b;
  return *l_pushclone(L, arg);
}

static int apply_pair (lua_State *L, const pair_row *row, int inplace) {
  real number[2];
  lurn_tensor a = operand(L, 1, &number[0]), b = operand(L, 2, &number[1]);
  lurn_tensor y = common_shape(L, &a, &b, 2, inplace), v[3];
  if (inplace) b = unshared(L, 2, &a, b);
  v[0] = *pushresult(L, inplace, &y);
  v[1 + row->swap] = a;
  v[2 - row->swap] = b;
  l_expand(&v[1], &y);
  l_expand(&v[2], &y);
  l_apply(function(L, row->kernel, row->fn), 0, 3, v);
  return 1;
}

/* upvalue 1: the row; upvalue 2: in place? */
static int t_pair (lua_State *L) {
  l_checkreal(L, 1);
  return apply_pair(L, lua_touserdata(L, lua_upvalueindex(1)), lua_toboolean(L, lua_upvalueindex(2)));
}

/* Something else that knows the operator (a symbol of a traced cell) takes it from here. A tensor
 * of the other precision knows it too and would hand it straight back. */
int l_defer (lua_State *L, const char *event) {
  if (lua_type(L, 2) == LUA_TNUMBER || l_testtensor(L, 2)) return 0;
  if (lua_type(L, 1) != LUA_TNUMBER) l_checktensor(L, 1);
  if (lua_type(L, 2) == LUA_TUSERDATA && luaL_testudata(L, 2, L_OTHER_TENSOR)) l_checktensor(L, 2);
  if (luaL_getmetafield(L, 2, event) == LUA_TNIL) return 0;
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 2);
  lua_call(L, 2, 1);
  return 1;
}

static int t_operator (lua_State *L) {
  const pair_row *row = lua_touserdata(L, lua_upvalueindex(1));
  lua_settop(L, 2);
  return l_defer(L, row->event) ? 1 : apply_pair(L, row, 0);
}

static int t_unm (lua_State *L) {
  lurn_tensor v[2];
  v[1] = *l_checkreal(L, 1);
  v[0] = *l_newtensor(L, LURN_REAL, v[1].rank, v[1].dim);
  l_apply(lb_ctx(L)->kernels->map[LURN_MAP_neg], 0, 2, v);
  return 1;
}

/* ==== The others ==== */

/* t:clamp(low, high): either may be nil */
static int t_clamp (lua_State *L) {
  static const int kernel[] = {LURN_MAP_max_imm, LURN_MAP_min_imm};
  const lurn_tensor *t = l_checkreal(L, 1);
  double low = luaL_optnumber(L, 2, -HUGE_VAL), high = luaL_optnumber(L, 3, HUGE_VAL), limit[] = {low, high};
  luaL_argcheck(L, low <= high, 3, "the upper limit is below the lower one");
  lurn_tensor *y = l_newtensor(L, LURN_REAL, t->rank, t->dim);
  for (int i = 0; i < 2; i++) {
    lurn_tensor v[2] = {*y, i == 0 ? *t : *y};
    l_apply(lb_ctx(L)->kernels->map[kernel[i]], limit[i], 2, v);
  }
  return 1;
}

/* c:where(a, b): a where c is not 0, else b */
static int t_where (lua_State *L) {
  real number[2];
  lurn_tensor v[4], c = *l_checkreal(L, 1);
  lurn_tensor a = operand(L, 2, &number[0]), b = operand(L, 3, &number[1]);
  lurn_tensor y = common_shape(L, &c, &a, 2, 0);
  y = common_shape(L, &y, &b, 3, 0);
  v[0] = *l_newtensor(L, LURN_REAL, y.rank, y.dim);
  v[1] = c;
  v[2] = a;
  v[3] = b;
  for (int i = 1; i < 4; i++) l_expand(&v[i], &y);
  l_apply(lb_ctx(L)->kernels->map[LURN_MAP_where], 0, 4, v);
  return 1;
}

static const luaL_Reg methods[] = {
  {"clamp", t_clamp}, {"where", t_where},
  {NULL, NULL}
};

/* field of the table at idx = f, told which row it plays and whether in place */
static void setfunction (lua_State *L, int idx, const char *field, lua_CFunction f, const void *row, int inplace) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)row);
  lua_pushboolean(L, inplace);
  lua_pushcclosure(L, f, 2);
  lua_setfield(L, idx, field);
}

void l_tensor_math_open (lua_State *L) {
  int methods_at = lua_gettop(L), meta_at = methods_at - 1;
  for (const map_row *row = maps; row->name; row++) {
    setfunction(L, methods_at, row->name, t_map, row, 0);
    setfunction(L, methods_at, lua_pushfstring(L, "%s_", row->name), t_map, row, 1);
    lua_pop(L, 1);
  }
  for (const pair_row *row = pairs; row->name; row++) {
    setfunction(L, methods_at, row->name, t_pair, row, 0);
    setfunction(L, methods_at, row->inplace, t_pair, row, 1);
    if (row->event) setfunction(L, meta_at, row->event, t_operator, row, 0);
  }
  luaL_setfuncs(L, methods, 0);
  lua_pushcfunction(L, t_unm);
  lua_setfield(L, meta_at, "__unm");
}
