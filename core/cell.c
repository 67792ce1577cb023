#include "cell.h"

#include <stdio.h>
#include <string.h>

#include "op.h"

static lurn_reg map1 (lurn_program *p, lurn_map m, lurn_reg a) { return lurn_map1(p, m, a); }
static lurn_reg map2 (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b) { return lurn_map2(p, m, a, b); }
static lurn_reg imm (lurn_program *p, lurn_map m, lurn_reg a, double k) { return lurn_map1k(p, m, a, k); }

/* ---------- activations ---------- */

/* elu(x) = max(0, x) + alpha (e^min(0, x) - 1), scaled for selu (Klambauer et al. 2017) */
static lurn_reg elu (lurn_program *p, lurn_reg x, double alpha, double scale) {
  lurn_reg low = imm(p, LURN_MAP_mul_imm, map1(p, LURN_MAP_expm1, imm(p, LURN_MAP_min_imm, x, 0)), scale * alpha);
  lurn_reg high = imm(p, LURN_MAP_max_imm, x, 0);
  if (scale != 1) high = imm(p, LURN_MAP_mul_imm, high, scale);
  return map2(p, LURN_MAP_add, high, low);
}

static lurn_reg a_identity (lurn_program *p, lurn_reg x) { (void)p; return x; }
static lurn_reg a_tanh (lurn_program *p, lurn_reg x) { return map1(p, LURN_MAP_tanh, x); }
static lurn_reg a_sigmoid (lurn_program *p, lurn_reg x) { return map1(p, LURN_MAP_sigmoid, x); }
static lurn_reg a_relu (lurn_program *p, lurn_reg x) { return imm(p, LURN_MAP_max_imm, x, 0); }
static lurn_reg a_elu (lurn_program *p, lurn_reg x) { return elu(p, x, 1, 1); }
static lurn_reg a_selu (lurn_program *p, lurn_reg x) { return elu(p, x, 1.6732632423543772848,
                                                                  1.0507009873554804934); }
static lurn_reg a_sin (lurn_program *p, lurn_reg x) { return map1(p, LURN_MAP_sin, x); }

static lurn_reg a_leaky_relu (lurn_program *p, lurn_reg x) {
  return map2(p, LURN_MAP_add, imm(p, LURN_MAP_max_imm, x, 0),
              imm(p, LURN_MAP_mul_imm, imm(p, LURN_MAP_min_imm, x, 0), 0.01));
}

/* softplus(x) = max(x, 0) + log(1 + e^-|x|) */
static lurn_reg a_softplus (lurn_program *p, lurn_reg x) {
  lurn_reg tail = map1(p, LURN_MAP_log1p, map1(p, LURN_MAP_exp, map1(p, LURN_MAP_neg, map1(p, LURN_MAP_abs, x))));
  return map2(p, LURN_MAP_add, imm(p, LURN_MAP_max_imm, x, 0), tail);
}

static lurn_reg a_softsign (lurn_program *p, lurn_reg x) {
  return map2(p, LURN_MAP_div, x, imm(p, LURN_MAP_add_imm, map1(p, LURN_MAP_abs, x), 1));
}

/* gelu(x) = x/2 (1 + erf(x / sqrt 2)) (Hendrycks & Gimpel 2016) */
static lurn_reg a_gelu (lurn_program *p, lurn_reg x) {
  lurn_reg e = map1(p, LURN_MAP_erf, imm(p, LURN_MAP_mul_imm, x, 0.70710678118654752440));
  return map2(p, LURN_MAP_mul, imm(p, LURN_MAP_mul_imm, x, 0.5), imm(p, LURN_MAP_add_imm, e, 1));
}

static lurn_reg a_silu (lurn_program *p, lurn_reg x) { return map2(p, LURN_MAP_mul, x,
                                                                   map1(p, LURN_MAP_sigmoid, x)); }

static lurn_reg clamp (lurn_program *p, lurn_reg x, double low, double high) {
  return imm(p, LURN_MAP_min_imm, imm(p, LURN_MAP_max_imm, x, low), high);
}

static lurn_reg a_hard_sigmoid (lurn_program *p, lurn_reg x) {
  return imm(p, LURN_MAP_mul_imm, clamp(p, imm(p, LURN_MAP_add_imm, x, 3), 0, 6), 1.0 / 6);
}

static lurn_reg a_hard_tanh (lurn_program *p, lurn_reg x) { return clamp(p, x, -1, 1); }

#define ACTIVATIONS(X) X(identity) X(tanh) X(sigmoid) X(relu) X(leaky_relu) X(elu) X(selu) X(softplus) X(softsign) \
  X(gelu) X(silu) X(hard_sigmoid) X(hard_tanh) X(sin)

static const char *const activation_names[] = {
#define NAME(id) #id,
  ACTIVATIONS(NAME)
#undef NAME
  NULL
};

static lurn_reg (*const activation_fns[]) (lurn_program *, lurn_reg) = {
#define FUNCTION(id) a_##id,
  ACTIVATIONS(FUNCTION)
#undef FUNCTION
};

const char *const *lurn_activation_list (void) { return activation_names; }

lurn_reg lurn_activation (lurn_program *p, const char *name, lurn_reg x) {
  for (int k = 0; activation_names[k]; k++)
    if (strcmp(activation_names[k], name) == 0) return activation_fns[k](p, x);
  return lurn_program_fail(p, "no activation is called '%s'", name);
}

/* ---------- affine maps ---------- */

lurn_reg lurn_affine (lurn_program *p, const char *path, const char *gate, int n, const lurn_term *term,
                      int out, const char *bias, lurn_init binit) {
  char name[LURN_NAME];
  const char *dot = gate ? "." : "";
  lurn_reg acc = -1;
  if (!gate) gate = "";
  if (bias) {
    snprintf(name, sizeof name, "%s%s%s.%s", path, dot, gate, bias);
    acc = lurn_param_reg(p, name, 1, &out, binit);
  }
  for (int k = 0; k < n; k++) {
    const lurn_register *x = lurn_reg_info(p, term[k].reg);
    if (!x || p->status != LURN_OK) return -1;
    int dim[2] = {x->dim[x->rank - 1], out};
    lurn_init init = {LURN_INIT_XAVIER_UNIFORM, 1, 0};
    if (dim[0] == out && x->kind == LURN_REG_STATE) init.kind = LURN_INIT_ORTHOGONAL;
    snprintf(name, sizeof name, "%s%s%s.%s", path, dot, gate, term[k].letter);
    acc = lurn_matmul(p, acc, term[k].reg, lurn_param_reg(p, name, 2, dim, init), 0);
  }
  return acc;
}

/* ---------- cells ---------- */

static lurn_reg gate (lurn_program *p, const lurn_cell_options *o, const char *name, lurn_reg x, lurn_reg h,
                      double bias) {
  lurn_term term[2] = {{x, "Wx"}, {h, "Wh"}};
  return lurn_affine(p, o->path, name, 2, term, o->hidden, "b", (lurn_init){LURN_INIT_CONSTANT, bias, 0});
}

/* h' = act(x Wx + h Wh + b)                                                     Elman 1990 */
static void step_rnn (lurn_program *p, const lurn_cell_options *o, lurn_reg x, lurn_reg *s) {
  s[0] = lurn_activation(p, o->activation, gate(p, o, NULL, x, s[0], 0));
}

/* i, f, o = sigmoid(x Wx + h Wh + b)     g = act(x Wx + h Wh + b)
 * c' = f * c + i * g                     h' = o * act(c')
 *                                        Hochreiter & Schmidhuber 1997, Gers et al. 2000 */
static void step_lstm (lurn_program *p, const lurn_cell_options *o, lurn_reg x, lurn_reg *s) {
  lurn_reg h = s[0], c = s[1];
  lurn_reg i = map1(p, LURN_MAP_sigmoid, gate(p, o, "i", x, h, 0));
  lurn_reg f = map1(p, LURN_MAP_sigmoid, gate(p, o, "f", x, h, o->forget_bias));
  lurn_reg g = lurn_activation(p, o->activation, gate(p, o, "g", x, h, 0));
  lurn_reg out = map1(p, LURN_MAP_sigmoid, gate(p, o, "o", x, h, 0));
  s[1] = map2(p, LURN_MAP_add, map2(p, LURN_MAP_mul, f, c), map2(p, LURN_MAP_mul, i, g));
  s[0] = map2(p, LURN_MAP_mul, out, lurn_activation(p, o->activation, s[1]));
}

/* r, z = sigmoid(x Wx + h Wh + b)
 * n = act(x Wx + b + r * (h Wh + bh))    reset after the product (PyTorch, cuDNN), or
 * n = act(x Wx + (r * h) Wh + b)         before it (Cho et al. 2014)
 * h' = (1 - z) * n + z * h */
static void step_gru (lurn_program *p, const lurn_cell_options *o, lurn_reg x, lurn_reg *s) {
  const lurn_init zero = {LURN_INIT_CONSTANT, 0, 0};
  lurn_reg h = s[0], n;
  lurn_reg r = map1(p, LURN_MAP_sigmoid, gate(p, o, "r", x, h, 0));
  lurn_reg z = map1(p, LURN_MAP_sigmoid, gate(p, o, "z", x, h, 0));
  if (o->reset_after) {
    lurn_reg ax = lurn_affine(p, o->path, "n", 1, &(lurn_term){x, "Wx"}, o->hidden, "b", zero);
    lurn_reg ah = lurn_affine(p, o->path, "n", 1, &(lurn_term){h, "Wh"}, o->hidden, "bh", zero);
    n = map2(p, LURN_MAP_add, ax, map2(p, LURN_MAP_mul, r, ah));
  } else {
    n = gate(p, o, "n", x, map2(p, LURN_MAP_mul, r, h), 0);
  }
  n = lurn_activation(p, o->activation, n);
  s[0] = map2(p, LURN_MAP_add, map2(p, LURN_MAP_mul, imm(p, LURN_MAP_rsub_imm, z, 1), n),
              map2(p, LURN_MAP_mul, z, h));
}

static const lurn_cell cells[] = {
  {"rnn", {"h"}, step_rnn, "h' = act(x Wx + h Wh + b)"},
  {"lstm", {"h", "c"}, step_lstm, "long short-term memory"},
  {"gru", {"h"}, step_gru, "gated recurrent unit"},
};

const lurn_cell *lurn_cell_find (const char *name) {
  for (size_t k = 0; k < sizeof cells / sizeof *cells; k++)
    if (strcmp(cells[k].name, name) == 0) return &cells[k];
  return NULL;
}

void lurn_cell_defaults (lurn_cell_options *o) {
  *o = (lurn_cell_options){.path = "rnn", .hidden = 128, .activation = "tanh", .reset_after = 1, .forget_bias = 1};
}

lurn_reg lurn_cell_layer (lurn_program *p, const lurn_cell *cell, const lurn_cell_options *o, lurn_reg x,
                          int reverse) {
  lurn_reg state[LURN_MAX_STATES], s[LURN_MAX_STATES];
  int n = 0;
  if (!lurn_reg_info(p, x)) return -1;
  lurn_register shape = *lurn_reg_info(p, x);    /* a vector for each vector that the input has */
  shape.dim[shape.rank - 1] = o->hidden;
  lurn_scan_begin(p, o->path, reverse);
  for (; n < LURN_MAX_STATES && cell->states[n]; n++)
    s[n] = state[n] = lurn_scan_state(p, cell->states[n], lurn_fill(p, 0, LURN_ROW, shape.rank, shape.dim));
  cell->step(p, o, x, s);
  for (int k = 0; k < n; k++) lurn_scan_next(p, state[k], s[k]);
  lurn_scan_end(p);
  return s[0];
}

/* ---------- losses ---------- */

static lurn_reg column_mean (lurn_program *p, lurn_reg l) {
  const lurn_register *x = lurn_reg_info(p, l);
  if (!x || x->cols == 1) return l;
  int cols = x->cols;
  return imm(p, LURN_MAP_mul_imm, lurn_emit(p, LURN_OP_ROWSUM, l, -1, -1, 0, 0, 0, NULL), 1.0 / cols);
}

lurn_reg lurn_loss_mse (lurn_program *p, lurn_reg out, lurn_reg y) {
  lurn_reg d = map2(p, LURN_MAP_sub, out, y);
  return column_mean(p, map2(p, LURN_MAP_mul, d, d));
}

/* l = log sum exp(z) - z[y], selected (not multiplied) away where there is no target */
lurn_reg lurn_loss_cross_entropy (lurn_program *p, lurn_reg z, lurn_reg y) {
  int one = 1;
  lurn_reg lse = lurn_emit(p, LURN_OP_LSE, z, -1, -1, 0, 0, 0, NULL);
  lurn_reg hit = lurn_emit(p, LURN_OP_PICK, z, y, -1, 0, 0, 0, NULL);
  lurn_reg live = lurn_emit(p, LURN_OP_LIVE, y, -1, -1, 0, 0, 0, NULL);
  return lurn_map3(p, LURN_MAP_where, live, map2(p, LURN_MAP_sub, lse, hit), lurn_fill(p, 0, LURN_ONCE, 1, &one));
}

/* l = max(z, 0) - z y + log(1 + e^-|z|) */
lurn_reg lurn_loss_bce (lurn_program *p, lurn_reg z, lurn_reg y) {
  return column_mean(p, map2(p, LURN_MAP_sub, a_softplus(p, z), map2(p, LURN_MAP_mul, z, y)));
}

lurn_reg lurn_reduce_loss (lurn_program *p, lurn_reg l, lurn_reg weight, const char *how, lurn_reg *count) {
  int one = 1;
  if (weight >= 0)              /* a frame of weight 0 is selected away: it may hold a NaN */
    l = lurn_map3(p, LURN_MAP_where, weight, map2(p, LURN_MAP_mul, l, weight),
                  lurn_fill(p, 0, LURN_ONCE, 1, &one));
  lurn_reg total = lurn_emit(p, LURN_OP_TOTAL, l, -1, -1, 0, 0, 0, NULL);
  if (strcmp(how, "sum") == 0) *count = lurn_fill(p, 1, LURN_ONCE, 1, &one);
  else if (strcmp(how, "time") == 0) *count = lurn_emit(p, LURN_OP_ROWS, l, -1, -1, 0, 0, 0, NULL);
  else if (strcmp(how, "mean") != 0) return lurn_program_fail(p, "reduction: expected mean, time or sum, got %s",
                                                              how);
  else if (weight < 0) *count = lurn_emit(p, LURN_OP_SIZE, l, -1, -1, 0, 0, 0, NULL);
  else *count = lurn_emit(p, LURN_OP_TOTAL, weight, -1, -1, 0, 0, 0, NULL);
  return map2(p, LURN_MAP_div, total, strcmp(how, "mean") == 0 ? imm(p, LURN_MAP_max_imm, *count, 1e-30)
              : *count);
}
