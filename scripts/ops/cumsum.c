/* cumsum.c: running sums of the columns, an op that lurn does not have. With it the cumax of ordered neurons
 * (Shen et al. 2019) is cumsum(softmax(x)).
 *
 *   y_j = sum of x_i over i <= j          with the first whole-number immediate 1: over i >= j
 *
 *   for p in 32 64; do cc -O3 -ffp-contract=off -fPIC -shared -DLURN_F$p -I/usr/local/include/lurn \
 *     cumsum.c -o cumsum.f$p.so; done
 *
 *   lurn.load_op "./cumsum.so"
 *   local y = lurn.op "cumsum" (lurn.softmax(x))        lurn.op "cumsum" (x, {i = {1}}) from the right
 */
#include "plugin.h"

static int shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = lurn_reg_info(p, i->in[0]);
  char have[96];
  if (x->dtype != LURN_REAL || x->rank != 1)
    return lurn_program_fail(p, "cumsum: expected a vector of numbers, got %s",
                             lurn_reg_text(p, i->in[0], have, sizeof have)), 0;
  out->axis = x->axis;
  out->rank = 1;
  out->dim[0] = x->cols;
  return 1;
}

static void play (const lurn_call *c) {
  int cols = lurn_out_info(c)->cols, first = c->instr->i[0] ? cols - 1 : 0, step = c->instr->i[0] ? -1 : 1;
  const real *x = c->in[0];
  real *y = c->out;
  for (int r = 0; r < c->rows; r++, x += cols, y += cols) {
    real sum = 0;
    for (int k = 0, j = first; k < cols; k++, j += step) y[j] = sum += x[j];
  }
}

/* x_i is in y_j for j >= i: the same sum of dy, from the other end. */
static void grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_grad_add(d, i->in[0], lurn_emit(lurn_grad_program(d), i->op, dy, -1, -1, 0, !i->i[0], 0, NULL));
}

LURN_OP({.name = "cumsum", .version = 1, .nin = 1, .shape = shape, .play = play, .grad = grad,
         .doc = "running sums of the columns"})
