/* op_reduce.c: columns to one number, everything to one number, one column to many. */
#include "derive.h"

static int fail_reduce (lurn_program *p, const lurn_instr *i, const char *want) {
  char have[96];
  lurn_program_fail(p, "%s: expected %s, got %s", lurn_op_info(i->op)->name, want,
                    lurn_reg_text(p, i->in[0], have, sizeof have));
  return 0;
}

static int column_of (lurn_register *out, int axis, int cols) {
  out->axis = (int16_t)axis;
  out->rank = 1;
  out->dim[0] = cols;
  return 1;
}

/* ---------- over columns ---------- */

static int row_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  if (x->dtype != LURN_REAL || x->cols < 1) return fail_reduce(p, i, "numbers");
  return column_of(out, x->axis, 1);
}

static void rowsum_play (const lurn_call *c) {
  c->kernels->row_sum(c->out, c->in[0], c->rows, lurn_in_info(c, 0)->cols);
}

static void rowmax_play (const lurn_call *c) {
  c->kernels->row_max(c->out, c->in[0], c->rows, lurn_in_info(c, 0)->cols);
}

static void lse_play (const lurn_call *c) {
  c->kernels->row_lse(c->out, c->in[0], c->rows, lurn_in_info(c, 0)->cols);
}

static void rowsum_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_grad_add(d, i->in[0], lurn_widen(lurn_grad_program(d), dy, i->in[0]));
}

/* The largest columns share the gradient's whole: each equal one receives it. */
static void rowmax_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_reg hit = lurn_map2(p, LURN_MAP_eq, i->in[0], lurn_widen(p, i->out, i->in[0]));
  lurn_grad_add(d, i->in[0], lurn_map2(p, LURN_MAP_mul, hit, lurn_widen(p, dy, i->in[0])));
}

/* d log sum exp x = softmax x = exp(x - y) */
static void lse_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_reg x = i->in[0];
  lurn_reg soft = lurn_map1(p, LURN_MAP_exp, lurn_map2(p, LURN_MAP_sub, x, lurn_widen(p, i->out, x)));
  lurn_grad_add(d, x, lurn_map2(p, LURN_MAP_mul, soft, lurn_widen(p, dy, x)));
}

static int expand_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  if (x->cols != 1 || x->dtype != LURN_REAL || i->i[0] < 1) return fail_reduce(p, i, "one number per row");
  return column_of(out, x->axis, i->i[0]);
}

static void expand_play (const lurn_call *c) {
  size_t cols = (size_t)c->instr->i[0];
  const real *x = c->in[0];
  real *y = c->out;
  for (int r = 0; r < c->rows; r++, y += cols)
    c->kernels->map[LURN_MAP_fill](y, NULL, NULL, NULL, x[r * c->step[0]], cols);
}

static void expand_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_grad_add(d, i->in[0], lurn_emit(lurn_grad_program(d), LURN_OP_ROWSUM, dy, -1, -1, 0, 0, 0, NULL));
}

/* ---------- over everything ---------- */

static int total_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  if (p->reg[i->in[0]].dtype != LURN_REAL && i->op == LURN_OP_TOTAL) return fail_reduce(p, i, "numbers");
  return column_of(out, LURN_ONCE, 1);
}

static void total_play (const lurn_call *c) {
  *(real *)c->out = (real)c->kernels->sum(c->in[0], (size_t)c->rows * (size_t)lurn_in_info(c, 0)->cols);
}

static void total_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  int axis = lurn_reg_info(p, i->in[0])->axis;
  lurn_grad_add(d, i->in[0], lurn_spread(p, lurn_widen(p, dy, i->in[0]), axis));
}

static void size_play (const lurn_call *c) {
  *(real *)c->out = (real)((double)c->rows * lurn_in_info(c, 0)->cols);
}

static void rows_play (const lurn_call *c) { *(real *)c->out = (real)c->batch->B; }

const lurn_op lurn_ops_reduce[] = {
  {"rowsum", 1, 1, 0, row_shape, rowsum_play, rowsum_grad, "sum of the columns"},
  {"rowmax", 1, 1, 0, row_shape, rowmax_play, rowmax_grad, "largest column"},
  {"lse", 1, 1, 0, row_shape, lse_play, lse_grad, "log sum exp of the columns"},
  {"expand", 1, 1, 0, expand_shape, expand_play, expand_grad, "one column, repeated"},
  {"total", 1, 1, LURN_OP_WHOLE, total_shape, total_play, total_grad, "sum of everything"},
  {"size", 1, 1, LURN_OP_WHOLE | LURN_OP_NOGRAD, total_shape, size_play, NULL, "how many numbers"},
  {"rows", 1, 1, LURN_OP_WHOLE | LURN_OP_NOGRAD, total_shape, rows_play, NULL, "how many sequences"},
};
