/* op_reduce.c: columns to one number, everything to one number, one column to many. */
#include <string.h>

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

/* ---------- normalisation ---------- */

/* All operands are of one kind; so is the result. */
static int norm_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  char have[96], want[96];
  if (x->dtype != LURN_REAL) return fail_reduce(p, i, "numbers");
  if (!(i->k >= 0)) return lurn_program_fail(p, "%s: expected k from 0, got %g", lurn_op_info(i->op)->name, i->k), 0;
  for (int j = 1; j < lurn_op_info(i->op)->nin; j++) {
    const lurn_register *a = &p->reg[i->in[j]];
    if (a->dtype != x->dtype || a->axis != x->axis || a->rank != x->rank
        || memcmp(a->dim, x->dim, sizeof *a->dim * (size_t)x->rank))
      return lurn_program_fail(p, "%s: operand %d: expected %s, got %s", lurn_op_info(i->op)->name, j + 1,
                               lurn_reg_text(p, i->in[0], want, sizeof want),
                               lurn_reg_text(p, i->in[j], have, sizeof have)), 0;
  }
  column_of(out, x->axis, 1);
  out->rank = x->rank;
  memcpy(out->dim, x->dim, sizeof out->dim);
  return 1;
}

static void norm_play (const lurn_call *c) {
  c->kernels->row_norm(c->out, c->in[0], (real)c->instr->k, c->rows, lurn_in_info(c, 0)->cols);
}

static void norm_grad_play (const lurn_call *c) {
  int cols = lurn_in_info(c, 0)->cols;
  c->kernels->row_norm_grad(c->out, c->in[0], c->in[1], (real)c->instr->k, c->rows, cols);
}

/* What dy has along the mean and along y changes nothing. */
static void norm_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_reg x = i->in[0];
  lurn_grad_add(d, x, lurn_emit(lurn_grad_program(d), LURN_OP_NORM_GRAD, dy, x, -1, i->k, 0, 0, NULL));
}

/* ---------- one column to many ---------- */

static int expand_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  if (x->cols != 1 || x->dtype != LURN_REAL || i->i[0] < 1) return fail_reduce(p, i, "one number per row");
  return column_of(out, x->axis, i->i[0]);
}

static void expand_play (const lurn_call *c) {
  c->kernels->row_fill(c->out, c->in[0], c->step[0], c->rows, c->instr->i[0]);
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
  size_t cols = (size_t)lurn_in_info(c, 0)->cols, n = (size_t)c->rows * cols;
  double own[LURN_TOTAL_LANES] = {0}, *lanes = c->lanes ? c->lanes : own;
  if (!c->go_on) memset(lanes, 0, sizeof own);
  c->kernels->sum_on(lanes, c->lanes ? (size_t)c->batch->before * cols : 0, c->in[0], n);
  *(real *)c->out = (real)c->kernels->sum_up(lanes);
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
  {"norm", 1, 1, 0, norm_shape, norm_play, norm_grad, "(x - mean) / sqrt(variance + k)"},
  {"norm_grad", 1, 2, LURN_OP_NOGRAD, norm_shape, norm_grad_play, NULL, "(dy, x) -> dx"},
  {"expand", 1, 1, 0, expand_shape, expand_play, expand_grad, "one column, repeated"},
  {"total", 1, 1, LURN_OP_WHOLE | LURN_OP_RISES, total_shape, total_play, total_grad, "sum of everything"},
  {"size", 1, 1, LURN_OP_WHOLE | LURN_OP_NOGRAD, total_shape, size_play, NULL, "how many numbers"},
  {"rows", 1, 1, LURN_OP_WHOLE | LURN_OP_NOGRAD, total_shape, rows_play, NULL, "how many sequences"},
};
