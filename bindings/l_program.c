/* l_program.c: programs and symbols. A symbol is a register of a program under construction; its
 * operators write instructions. Everything a cell or a model does in Lua happens here once,
 * while it is traced; afterwards only the program is played.
 */
#include "l_program.h"

#include <string.h>

#include "cell.h"
#include "l_tensor.h"
#include "normalise.h"
#include "op.h"

#define PROGRAM LB_TYPE("program")
#define SYMBOL LB_TYPE("symbol")

typedef struct symbol { lurn_reg reg; } symbol;          /* user value 1: its program */

lurn_program *l_checkprogram (lua_State *L, int arg) { return luaL_checkudata(L, arg, PROGRAM); }

static int g_new (lua_State *L) {
  lurn_program *p = lb_new(L, PROGRAM, sizeof *p, 0);
  lurn_program_init(lb_ctx(L), p);
  return 1;
}

static int g_gc (lua_State *L) {
  lurn_program_free(l_checkprogram(L, 1));
  return 0;
}

/* ---------- symbols ---------- */

static lurn_reg checksymbol (lua_State *L, int arg, const lurn_program *p) {
  symbol *s = luaL_checkudata(L, arg, SYMBOL);
  lua_getiuservalue(L, arg, 1);
  luaL_argcheck(L, lua_touserdata(L, -1) == (const void *)p, arg, "a symbol of another model");
  lua_pop(L, 1);
  return s->reg;
}

static lurn_reg optsymbol (lua_State *L, int arg, const lurn_program *p) {
  return lua_isnoneornil(L, arg) ? -1 : checksymbol(L, arg, p);
}

/* Raises the builder's error, or pushes the register as a symbol of the program at index prog; nil where there is none:
 * a symbol has one. */
static int pushsymbol (lua_State *L, int prog, lurn_program *p, lurn_reg r) {
  prog = lua_absindex(L, prog);
  if (p->status != LURN_OK) {
    lua_pushstring(L, p->error);
    p->status = LURN_OK;                          /* said once; the next mistake has its own message */
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
    return lua_error(L);
  }
  if (r < 0) { lua_pushnil(L); return 1; }
  symbol *s = lb_new(L, SYMBOL, sizeof *s, 1);
  s->reg = r;
  lua_pushvalue(L, prog);
  lua_setiuservalue(L, -2, 1);
  return 1;
}

/* The program of the symbol at arg, pushed. */
static lurn_program *program_of (lua_State *L, int arg) {
  luaL_checkudata(L, arg, SYMBOL);
  lua_getiuservalue(L, arg, 1);
  return l_checkprogram(L, -1);
}

typedef struct operator { lurn_map both, left, right; int sign; } operator;

/* Symbol and symbol, symbol and number (left), number and symbol (right). */
static int arith (lua_State *L, const operator *o) {
  int number = lua_isnumber(L, 1) ? 1 : lua_isnumber(L, 2) ? 2 : 0;
  if (!number) {
    lurn_program *p = program_of(L, 1);
    return pushsymbol(L, -1, p, lurn_map2(p, o->both, checksymbol(L, 1, p), checksymbol(L, 2, p)));
  }
  double k = lua_tonumber(L, number);
  lurn_program *p = program_of(L, 3 - number);
  lurn_reg a = checksymbol(L, 3 - number, p);
  if (number == 1) return pushsymbol(L, -1, p, lurn_map1k(p, o->right, a, k));
  return pushsymbol(L, -1, p, lurn_map1k(p, o->left, a, o->sign ? -k : k));
}

static int s_add (lua_State *L) {
  static const operator o = {LURN_MAP_add, LURN_MAP_add_imm, LURN_MAP_add_imm, 0};
  return arith(L, &o);
}

static int s_sub (lua_State *L) {
  static const operator o = {LURN_MAP_sub, LURN_MAP_add_imm, LURN_MAP_rsub_imm, 1};
  return arith(L, &o);
}

static int s_mul (lua_State *L) {
  static const operator o = {LURN_MAP_mul, LURN_MAP_mul_imm, LURN_MAP_mul_imm, 0};
  return arith(L, &o);
}

/* x / k is a division, not a product with 1/k, which would round twice. */
static int s_div (lua_State *L) {
  static const operator o = {LURN_MAP_div, LURN_MAP_div, LURN_MAP_rdiv_imm, 0};
  int one = 1;
  if (!lua_isnumber(L, 2)) return arith(L, &o);
  lurn_program *p = program_of(L, 1);
  lurn_reg k = lurn_fill(p, lua_tonumber(L, 2), LURN_ONCE, 1, &one);
  return pushsymbol(L, -1, p, lurn_map2(p, LURN_MAP_div, checksymbol(L, 1, p), k));
}

static int s_unm (lua_State *L) {
  lurn_program *p = program_of(L, 1);
  return pushsymbol(L, -1, p, lurn_map1(p, LURN_MAP_neg, checksymbol(L, 1, p)));
}

/* x % W is the product of rows with a matrix of parameters. */
static int s_mod (lua_State *L) {
  lurn_program *p = program_of(L, 1);
  return pushsymbol(L, -1, p, lurn_matmul(p, -1, checksymbol(L, 1, p), checksymbol(L, 2, p), 0));
}

/* x ^ 2 and other small whole powers as products; 0.5 is the square root. */
static int s_pow (lua_State *L) {
  lurn_program *p = program_of(L, 1);
  lurn_reg a = checksymbol(L, 1, p), y = a;
  double k = luaL_checknumber(L, 2);
  if (k == 0.5) return pushsymbol(L, -1, p, lurn_map1(p, LURN_MAP_sqrt, a));
  luaL_argcheck(L, k == (int)k && k >= 1 && k <= 16, 2, "a symbol's power is 0.5 or a whole number from 1 to 16");
  for (int n = 1; n < (int)k; n++) y = lurn_map2(p, LURN_MAP_mul, y, a);
  return pushsymbol(L, -1, p, y);
}

static int s_compare (lua_State *L) {
  return luaL_error(L,
                    "a symbol has no value while a cell is traced: it cannot be compared or branched on; use lurn.where(lurn.gt(a, b), x, y)");
}

static int s_tostring (lua_State *L) {
  char text[96];
  lurn_program *p = program_of(L, 1);
  lua_pushfstring(L, "symbol %s", lurn_reg_text(p, checksymbol(L, 1, p), text, sizeof text));
  return 1;
}

static const char *const dtype_names[] = {"real", "index", NULL};

static int s_index (lua_State *L) {
  lurn_program *p = program_of(L, 1);
  const lurn_register x = *lurn_reg_info(p, checksymbol(L, 1, p));
  const char *key = luaL_checkstring(L, 2);
  if (strcmp(key, "cols") == 0) lua_pushinteger(L, x.cols);
  else if (strcmp(key, "axis") == 0) lua_pushstring(L, lurn_axis_names[x.axis]);
  else if (strcmp(key, "dtype") == 0) lua_pushstring(L, dtype_names[x.dtype]);
  else if (strcmp(key, "program") == 0) lua_getiuservalue(L, 1, 1);
  else if (strcmp(key, "shape") == 0) {
    lua_createtable(L, x.rank, 0);
    for (int k = 0; k < x.rank; k++) { lua_pushinteger(L, x.dim[k]); lua_rawseti(L, -2, k + 1); }
  } else {                                        /* x:tanh() is lurn.tanh(x): the Lua half fills this table */
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushvalue(L, 2);
    lua_gettable(L, -2);
    if (lua_isnil(L, -1)) return luaL_error(L, "a symbol has no field '%s'", key);
  }
  return 1;
}

static int g_issymbol (lua_State *L) {
  lua_pushboolean(L, luaL_testudata(L, 1, SYMBOL) != NULL);
  return 1;
}

/* ---------- the builder ---------- */

static int dims (lua_State *L, int arg, int *dim) {
  luaL_checktype(L, arg, LUA_TTABLE);
  int rank = (int)lua_rawlen(L, arg);
  luaL_argcheck(L, rank >= 1 && rank <= LURN_MAX_RANK, arg, "expected 1 to 4 dimensions");
  for (int k = 0; k < rank; k++) {
    lua_rawgeti(L, arg, k + 1);
    lua_Integer d = lua_tointeger(L, -1);
    luaL_argcheck(L, d >= 1 && d < (1 << 28), arg, "dimensions are whole numbers from 1");
    dim[k] = (int)d;
    lua_pop(L, 1);
  }
  return rank;
}

/* Order of lurn_init_kind. */
static const char *const init_names[] = {"constant", "uniform", "normal", "xavier_uniform", "xavier_normal",
  "he_uniform", "he_normal", "orthogonal", "identity", "fan_uniform", "chrono", NULL};

/* {kind, a, b} or a number (constant). */
static lurn_init checkinit (lua_State *L, int arg) {
  lurn_init init = {LURN_INIT_CONSTANT, 0, 0};
  if (lua_isnoneornil(L, arg)) return init;
  if (lua_isnumber(L, arg)) { init.a = lua_tonumber(L, arg); return init; }
  luaL_checktype(L, arg, LUA_TTABLE);
  lua_rawgeti(L, arg, 1);
  init.kind = (lurn_init_kind)lb_choice(L, lua_gettop(L), init_names, "initialiser");
  lua_rawgeti(L, arg, 2);
  lua_rawgeti(L, arg, 3);
  init.a = lua_isnil(L, -2) ? (init.kind == LURN_INIT_CONSTANT || init.kind == LURN_INIT_NORMAL ? 0 : 1)
      : lua_tonumber(L, -2);
  init.b = lua_isnil(L, -1) ? 1 : lua_tonumber(L, -1);
  lua_pop(L, 3);
  return init;
}

static int p_input (lua_State *L) {              /* name, dtype, axis, dims */
  lurn_program *p = l_checkprogram(L, 1);
  int dim[LURN_MAX_RANK] = {0}, rank = dims(L, 5, dim);
  lurn_dtype dtype = (lurn_dtype)lb_choice(L, 3, dtype_names, "type");
  int axis = lb_choice(L, 4, lurn_axis_names, "axis");
  const char *name = luaL_checkstring(L, 2);
  lurn_reg x = lurn_source_name(p, "input", name) ? lurn_input_reg(p, name, dtype, axis, rank, dim) : -1;
  return pushsymbol(L, 1, p, x);
}

/* path, dims, init; without dims one that is declared already */
static int p_param (lua_State *L) {
  lurn_program *p = l_checkprogram(L, 1);
  if (lua_isnoneornil(L, 3)) {
    int k = lurn_params_find(&p->params, luaL_checkstring(L, 2));
    luaL_argcheck(L, k >= 0, 2, "no such parameter");
    const lurn_param *known = &p->params.p[k];
    return pushsymbol(L, 1, p, lurn_param_reg(p, known->path, known->rank, known->dim, known->init));
  }
  int dim[LURN_MAX_RANK] = {0}, rank = dims(L, 3, dim);
  lurn_init init = checkinit(L, 4);
  return pushsymbol(L, 1, p, lurn_param_reg(p, luaL_checkstring(L, 2), rank, dim, init));
}

static int p_paths (lua_State *L) {              /* paths of the parameters so far, in order of declaration */
  const lurn_program *p = l_checkprogram(L, 1);
  lua_createtable(L, p->params.n, 0);
  for (int k = 0; k < p->params.n; k++) { lua_pushstring(L, p->params.p[k].path); lua_rawseti(L, -2, k + 1); }
  return 1;
}

static int p_setinit (lua_State *L) {            /* path, init */
  lurn_program *p = l_checkprogram(L, 1);
  int k = lurn_params_find(&p->params, luaL_checkstring(L, 2));
  luaL_argcheck(L, k >= 0, 2, "no such parameter");
  p->params.p[k].init = checkinit(L, 3);
  return 0;
}

static int p_output (lua_State *L) {             /* name, symbol */
  lurn_program *p = l_checkprogram(L, 1);
  const char *name = luaL_checkstring(L, 2);
  lurn_reg y = checksymbol(L, 3, p);
  return pushsymbol(L, 1, p, lurn_source_name(p, "output", name) ? lurn_output_reg(p, name, y) : -1);
}

/* The list at arg into i, when there is one. */
static void immediates (lua_State *L, int arg, int *i) {
  if (lua_isnoneornil(L, arg)) return;
  luaL_checktype(L, arg, LUA_TTABLE);
  luaL_argcheck(L, lua_rawlen(L, arg) <= LURN_MAX_IMM, arg, "too many immediates");
  for (int k = 0; k < (int)lua_rawlen(L, arg); k++) {
    lua_rawgeti(L, arg, k + 1);
    i[k] = (int)lb_integer(L, lua_gettop(L), INT32_MIN, INT32_MAX, "immediate");
    lua_pop(L, 1);
  }
}

/* op, {operands, nil: none}, k, {immediates}, name: an instruction with as much as an instruction can have */
static int p_write (lua_State *L) {
  lurn_program *p = l_checkprogram(L, 1);
  int op = lurn_op_find(luaL_checkstring(L, 2));
  luaL_argcheck(L, op >= 0, 2, "no such op");
  luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 6);
  lurn_instr i = {.op = (int16_t)op, .k = luaL_optnumber(L, 4, 0)};
  for (int k = 0; k < LURN_MAX_IN; k++) {
    lua_rawgeti(L, 3, k + 1);
    i.in[k] = optsymbol(L, lua_gettop(L), p);
    lua_settop(L, 6);
  }
  immediates(L, 5, i.i);
  return pushsymbol(L, 1, p, lurn_write(p, &i, luaL_optstring(L, 6, NULL)));
}

/* op, a, b, c, k, i0, i1, name */
static int p_emit (lua_State *L) {
  lurn_program *p = l_checkprogram(L, 1);
  const char *name = luaL_checkstring(L, 2);
  int op = lurn_op_find(name);
  luaL_argcheck(L, op >= 0, 2, "no such op");
  lurn_reg in[3] = {optsymbol(L, 3, p), optsymbol(L, 4, p), optsymbol(L, 5, p)};
  double k = luaL_optnumber(L, 6, 0);
  int i0 = (int)luaL_optinteger(L, 7, 0), i1 = (int)luaL_optinteger(L, 8, 0);
  const char *random = luaL_optstring(L, 9, NULL);
  lurn_reg y;
  if (op >= LURN_NMAPS || lurn_map_inputs((lurn_map)op) == 0) y = lurn_emit(p, op, in[0], in[1], in[2], k, i0,
      i1, random);
  else if (lurn_map_inputs((lurn_map)op) == 1) y = lurn_map1k(p, (lurn_map)op, in[0], k);
  else if (lurn_map_inputs((lurn_map)op) == 2) y = lurn_map2k(p, (lurn_map)op, in[0], in[1], k);
  else y = lurn_map3(p, (lurn_map)op, in[0], in[1], in[2]);
  return pushsymbol(L, 1, p, y);
}

static int p_fill (lua_State *L) {               /* value, axis, dims */
  lurn_program *p = l_checkprogram(L, 1);
  double k = luaL_checknumber(L, 2);
  int axis = lb_choice(L, 3, lurn_axis_names, "axis"), dim[LURN_MAX_RANK] = {0}, rank = dims(L, 4, dim);
  return pushsymbol(L, 1, p, lurn_fill(p, k, axis, rank, dim));
}

static int p_spread (lua_State *L) {             /* symbol, axis */
  lurn_program *p = l_checkprogram(L, 1);
  return pushsymbol(L, 1, p, lurn_spread(p, checksymbol(L, 2, p), lb_choice(L, 3, lurn_axis_names, "axis")));
}

static int p_scan (lua_State *L) {               /* name, reverse [, axis] */
  lurn_program *p = l_checkprogram(L, 1);
  int axis = lua_isnoneornil(L, 4) ? LURN_TIME : lb_choice(L, 4, lurn_axis_names, "axis");
  lurn_scan_begin(p, luaL_checkstring(L, 2), lua_toboolean(L, 3), lurn_axis_steps(axis));
  return pushsymbol(L, 1, p, -1);
}

static int p_state (lua_State *L) {              /* name, init */
  lurn_program *p = l_checkprogram(L, 1);
  return pushsymbol(L, 1, p, lurn_scan_state(p, luaL_checkstring(L, 2), checksymbol(L, 3, p)));
}

static int p_next (lua_State *L) {               /* state, next */
  lurn_program *p = l_checkprogram(L, 1);
  lurn_reg state = checksymbol(L, 2, p);
  lurn_scan_next(p, state, checksymbol(L, 3, p));
  return pushsymbol(L, 1, p, state);
}

static int p_close (lua_State *L) {
  lurn_program *p = l_checkprogram(L, 1);
  lurn_scan_end(p);
  return pushsymbol(L, 1, p, -1);
}

/* name of a closed scan -> {state = symbol of its value after each step} */
static int p_states (lua_State *L) {
  lurn_program *p = l_checkprogram(L, 1);
  const char *name = luaL_checkstring(L, 2);
  int s = p->nscan - 1;
  while (s >= 0 && strcmp(p->scans[s].name, name) != 0) s--;
  luaL_argcheck(L, s >= 0, 2, "no such scan");
  lua_createtable(L, 0, p->scans[s].nstate);
  for (int k = 0; k < p->scans[s].nstate; k++) {
    pushsymbol(L, 1, p, p->scans[s].state[k].next);
    lua_setfield(L, -2, p->scans[s].state[k].name);
  }
  return 1;
}

/* After an error in the middle of a traced step the scan must not stay open. */
static int p_abandon (lua_State *L) {
  l_checkprogram(L, 1)->scan = -1;
  return 0;
}

/* path, gate or nil, out, bias or nil, init of the bias, then {symbol, letter} ... */
static int p_affine (lua_State *L) {
  lurn_program *p = l_checkprogram(L, 1);
  lurn_term term[16];
  int n = lua_gettop(L) - 6;
  const char *path = luaL_checkstring(L, 2), *gate = luaL_optstring(L, 3, NULL),
      *bias = luaL_optstring(L, 5, NULL);
  int out = (int)lb_integer(L, 4, 1, 1 << 24, "columns");
  lurn_init init = checkinit(L, 6);
  luaL_argcheck(L, n >= 1 && n <= 16, 7, "expected 1 to 16 operands");
  for (int k = 0; k < n; k++) {
    luaL_checktype(L, 7 + k, LUA_TTABLE);
    lua_rawgeti(L, 7 + k, 1);
    term[k].reg = checksymbol(L, lua_gettop(L), p);
    lua_rawgeti(L, 7 + k, 2);
    term[k].letter = luaL_checkstring(L, -1);
    lua_pop(L, 2);                                /* the table keeps the string alive */
  }
  return pushsymbol(L, 1, p, lurn_affine(p, path, gate, n, term, out, bias, init));
}

static int p_activation (lua_State *L) {         /* name, symbol */
  lurn_program *p = l_checkprogram(L, 1);
  return pushsymbol(L, 1, p, lurn_activation(p, luaL_checkstring(L, 2), checksymbol(L, 3, p)));
}

/* name of a built-in cell, {path, hidden, ...}, x, reverse -> output over time */
static int p_cell (lua_State *L) {
  lurn_program *p = l_checkprogram(L, 1);
  const lurn_cell *cell = lurn_cell_find(luaL_checkstring(L, 2));
  lurn_cell_options o;
  luaL_argcheck(L, cell, 2, "no built-in cell has that name");
  luaL_checktype(L, 3, LUA_TTABLE);
  lurn_cell_defaults(&o);
  o.path = lb_getstring(L, 3, "path", o.path);
  o.hidden = (int)lb_getinteger(L, 3, "hidden", 1, 1 << 20, o.hidden);
  o.activation = lb_getstring(L, 3, "activation", o.activation);
  o.reset_after = lb_getboolean(L, 3, "reset_after", o.reset_after);
  o.forget_bias = lb_getnumber(L, 3, "forget_bias", o.forget_bias);
  lurn_reg x = checksymbol(L, 4, p);
  lurn_reg y = lurn_cell_layer(p, cell, &o, x, lua_toboolean(L, 5));
  if (p->status != LURN_OK) p->scan = -1;
  return pushsymbol(L, 1, p, y);
}

static int p_loss (lua_State *L) {               /* "mse" | "cross_entropy" | "bce", out, y */
  static const char *const names[] = {"mse", "cross_entropy", "bce", NULL};
  static lurn_reg (*const fns[]) (lurn_program *, lurn_reg, lurn_reg) = {lurn_loss_mse, lurn_loss_cross_entropy,
      lurn_loss_bce};
  lurn_program *p = l_checkprogram(L, 1);
  int kind = lb_choice(L, 2, names, "loss");
  return pushsymbol(L, 1, p, fns[kind](p, checksymbol(L, 3, p), checksymbol(L, 4, p)));
}

static int p_reduce (lua_State *L) {             /* l, weight or nil, "mean" | "time" | "sum" -> loss, count */
  lurn_program *p = l_checkprogram(L, 1);
  lurn_reg count = -1, l = checksymbol(L, 2, p), weight = optsymbol(L, 3, p);
  l = lurn_reduce_loss(p, l, weight, luaL_optstring(L, 4, "mean"), &count);
  pushsymbol(L, 1, p, l);
  pushsymbol(L, 1, p, count);
  return 2;
}

void l_pushtext (lua_State *L, const lurn_program *p) {
  luaL_Buffer b;
  size_t n = lurn_program_print(p, NULL, 0);
  char *text = luaL_buffinitsize(L, &b, n + 1);
  lurn_program_print(p, text, n + 1);
  luaL_pushresultsize(&b, n);
}

static int p_text (lua_State *L) {
  l_pushtext(L, l_checkprogram(L, 1));
  return 1;
}

static int p_normalise (lua_State *L) {          /* {grad, grad_inputs, carry, reset} -> program */
  const lurn_program *p = l_checkprogram(L, 1);
  lurn_variant v = {0};
  if (lua_istable(L, 2)) {
    v.grad = lb_getboolean(L, 2, "grad", 0);
    v.grad_inputs = lb_getboolean(L, 2, "grad_inputs", 0);
    v.carry = lb_getboolean(L, 2, "carry", 0);
    v.reset = lb_getboolean(L, 2, "reset", 0);
  }
  g_new(L);
  lb_check(L, lurn_normalise(lb_ctx(L), p, &v, l_checkprogram(L, -1)));
  return 1;
}

static int g_parse (lua_State *L) {              /* text -> program, or nil, message, code */
  size_t n;
  const char *text = luaL_checklstring(L, 1, &n);
  g_new(L);
  lurn_status status = lurn_program_parse(l_checkprogram(L, -1), text, n);
  if (status == LURN_OK) return 1;
  return lb_result(L, status);
}

static int g_activations (lua_State *L) {
  const char *const *list = lurn_activation_list();
  lua_newtable(L);
  for (int k = 0; list[k]; k++) { lua_pushstring(L, list[k]); lua_rawseti(L, -2, k + 1); }
  return 1;
}

static const luaL_Reg program_methods[] = {
  {"input", p_input}, {"param", p_param}, {"paths", p_paths}, {"setinit", p_setinit}, {"output", p_output}, {"emit", p_emit}, {"write", p_write}, {"fill", p_fill},
  {"spread", p_spread}, {"scan", p_scan}, {"state", p_state}, {"next", p_next}, {"close", p_close},
  {"states", p_states},
  {"abandon", p_abandon}, {"affine", p_affine}, {"activation", p_activation}, {"cell", p_cell}, {"loss", p_loss},
  {"reduce", p_reduce}, {"text", p_text}, {"normalise", p_normalise}, {NULL, NULL}
};
static const luaL_Reg program_meta[] = {{"__gc", g_gc}, {"__tostring", p_text}, {NULL, NULL}};
static const luaL_Reg symbol_meta[] = {
  {"__add", s_add}, {"__sub", s_sub}, {"__mul", s_mul}, {"__div", s_div}, {"__unm", s_unm}, {"__mod", s_mod},
      {"__pow", s_pow},
  {"__lt", s_compare}, {"__le", s_compare}, {"__eq", s_compare}, {"__concat", s_compare},
  {"__tostring", s_tostring}, {"__index", s_index}, {NULL, NULL}
};
static const luaL_Reg functions[] = {
  {"program", g_new}, {"parse", g_parse}, {"activations", g_activations},
      {"issymbol", g_issymbol}, {NULL, NULL}
};

int l_program_open (lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  lb_type(L, PROGRAM, program_methods, program_meta);
  lb_type(L, SYMBOL, none, symbol_meta);
  luaL_newlib(L, functions);
  /* The table behind s_index, for the Lua half to fill with lurn.tanh and its like. */
  luaL_getmetatable(L, SYMBOL);
  lua_getfield(L, -1, "__index");
  lua_getupvalue(L, -1, 1);
  lua_setfield(L, -4, "symbol_methods");
  lua_pop(L, 2);
  return 1;
}
