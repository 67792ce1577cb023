/* op_product.c: products with shared weights, and what folds frames into them. */
#include <string.h>

#include "blas.h"
#include "derive.h"

static int bad (lurn_program *p, const char *op, int operand, const char *want, lurn_reg got) {
  char have[96];
  lurn_program_fail(p, "%s: operand %d: expected %s, got %s", op, operand, want,
                    lurn_reg_text(p, got, have, sizeof have));
  return 0;
}

/* An accumulator has the result's shape; where a bias will do its axis may be lower, and one row is enough. */
int lurn_acc_fits (lurn_program *p, const char *op, lurn_reg acc, const lurn_register *out, int bias) {
  char want[64];
  int64_t dim[LURN_MAX_RANK];
  if (acc < 0) return 1;
  const lurn_register *a = &p->reg[acc];
  if (bias && a->dtype == LURN_REAL && a->axis == LURN_ONCE && a->rank == 1
      && a->dim[0] == out->dim[out->rank - 1]) return 1;
  if (a->dtype == LURN_REAL && a->rank == out->rank && !memcmp(a->dim, out->dim, sizeof *a->dim * (size_t)a->rank)
      && (a->axis == out->axis || (bias && lurn_axis_join(a->axis, out->axis) == out->axis))) return 1;
  for (int i = 0; i < out->rank; i++) dim[i] = out->dim[i];
  return bad(p, op, 1, lurn_shape_text(want, sizeof want, out->rank, dim), acc);
}

void lurn_acc_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  const lurn_instr like = {.op = LURN_OP_PLACESUM, .in = {-1, dy, -1, -1, -1, -1}};
  if (i->in[0] < 0 || !lurn_grad_needed(d, i->in[0])) return;
  if (p->reg[i->in[0]].rank == p->reg[dy].rank) lurn_grad_add(d, i->in[0], dy);
  else lurn_grad_whole(d, i->in[0], &like);
}

/* ---------- product: acc + x W ---------- */

void lurn_multiply (const lurn_call *c, const lurn_product *job, const real *w, int ldw, int trans) {
  if (!c->ctx->blas) { c->kernels->product(job, 1); return; }
  size_t bytes = sizeof(real) * (size_t)job->N;
  for (int m = 0; m < job->M; m++) {
    real *out = job->c + m * job->ldc;
    const real *init = job->init ? job->init + m * job->ldi : NULL;
    if (!init) memset(out, 0, bytes);
    else if (init != out) memmove(out, init, bytes);
  }
  c->ctx->blas->gemm(0, trans, job->M, job->N, job->K, 1, job->a, (int)job->lda, w, ldw, 1, job->c, (int)job->ldc);
}

static int product_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[1]], *w = &p->reg[i->in[2]];
  char want[64];
  if (w->axis != LURN_ONCE || w->rank != 2) return bad(p, "product", 3, "a matrix of parameters", i->in[2]);
  int K = w->dim[i->i[0] ? 1 : 0], N = w->dim[i->i[0] ? 0 : 1];
  int last = x->rank - 1;
  if (x->dtype != LURN_REAL || last < 0 || x->dim[last] != K) {
    int64_t dim[1] = {K};
    return bad(p, "product", 2, lurn_shape_text(want, sizeof want, 1, dim), i->in[1]);
  }
  out->axis = x->axis;
  out->rank = x->rank;
  memcpy(out->dim, x->dim, sizeof out->dim);
  out->dim[last] = N;
  return lurn_acc_fits(p, "product", i->in[0], out, 1);
}

/* Rows of the matrix that x is: all but its last dimension, for each row played. */
static int product_rows (const lurn_call *c, const lurn_register *x) {
  return c->rows * (x->cols / x->dim[x->rank - 1]);
}

/* A row of a register with more than one dimension is a matrix itself. When the accumulator is one
 * such matrix for all rows, they are played one by one. */
static void play_each_row (const lurn_call *c) {
  lurn_call one = *c;
  one.rows = 1;
  for (int r = 0; r < c->rows; r++, one.row++) {
    lurn_op_info(c->instr->op)->play(&one);
    one.out = (real *)one.out + lurn_out_info(c)->cols;
    one.in[1] = (const real *)one.in[1] + c->step[1];
  }
}

static void product_play (const lurn_call *c) {
  const lurn_register *x = lurn_in_info(c, 1), *w = lurn_in_info(c, 2), *y = lurn_out_info(c);
  int trans = c->instr->i[0], K = x->dim[x->rank - 1], N = y->dim[y->rank - 1], M = product_rows(c, x);
  int still = c->in[0] && c->step[0] == 0, bias = still && lurn_in_info(c, 0)->cols == N;
  if (still && !bias && c->rows > 1) { play_each_row(c); return; }
  lurn_product job = {.M = M, .N = N, .K = K, .a = c->in[1], .lda = K, .packed = c->packed, .init = c->in[0],
                      .ldi = bias ? 0 : N, .c = c->out, .ldc = N};
  lurn_multiply(c, &job, c->in[2], w->dim[1], trans);
}

static void product_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  int trans = i->i[0];
  lurn_acc_grad(d, i, dy);
  if (lurn_grad_needed(d, i->in[1])) lurn_grad_product(d, i->in[1], dy, i->in[2], trans);
  if (lurn_grad_needed(d, i->in[2]))
    lurn_grad_reduce(d, i->in[2], LURN_OP_OUTER, trans ? dy : i->in[1], trans ? i->in[1] : dy, 0);
}

/* ---------- folds: frames into parameters, frames into rows ---------- */

static int are_numbers (lurn_program *p, const lurn_instr *i) {
  const lurn_op *op = lurn_op_info(i->op);
  for (int k = 1; k < op->nin; k++)
    if (p->reg[i->in[k]].dtype != LURN_REAL) return bad(p, op->name, k + 1, "numbers", i->in[k]);
  return 1;
}

static int outer_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[1]], *y = &p->reg[i->in[2]];
  if (!are_numbers(p, i)) return 0;
  if (x->axis != y->axis || x->cols / x->dim[x->rank - 1] != y->cols / y->dim[y->rank - 1])
    return bad(p, "outer", 3, "as many rows as operand 2", i->in[2]);
  out->axis = LURN_ONCE;
  out->rank = 2;
  out->dim[0] = x->dim[x->rank - 1];
  out->dim[1] = y->dim[y->rank - 1];
  return lurn_acc_fits(p, "outer", i->in[0], out, 0);
}

/* n numbers of the result from number `from` on: the accumulator is continued in place, or copied first,
 * or zero. */
static real *start (const lurn_call *c, size_t from, size_t n) {
  real *y = (real *)c->out + from;
  const real *acc = c->in[0] ? (const real *)c->in[0] + from : NULL;
  if (!acc) memset(y, 0, sizeof *y * n);
  else if (acc != y) memcpy(y, acc, sizeof *y * n);
  return y;
}

/* A part has some rows of the result, that is, some columns of x. OpenBLAS keeps its one thread. */
static void outer_play (const lurn_call *c) {
  const lurn_register *x = lurn_in_info(c, 1);
  int K = x->dim[x->rank - 1], N = lurn_out_info(c)->dim[1], M = product_rows(c, x), from, to;
  lurn_share(c->ctx->blas ? 1 : K, c->part, c->parts, &from, &to);
  if (c->ctx->blas) to *= K, from *= K;
  real *y = start(c, (size_t)from * (size_t)N, (size_t)(to - from) * (size_t)N);
  if (c->ctx->blas && to > from) c->ctx->blas->gemm(1, 0, K, N, M, 1, c->in[1], K, c->in[2], N, 1, y, N);
  else if (to > from) c->kernels->outer(M, to - from, N, (const real *)c->in[1] + from, K, c->in[2], N, y, N);
}

static int colsum_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[1]];
  int last = x->rank - 1;
  if (!are_numbers(p, i)) return 0;
  out->axis = LURN_ONCE;
  out->rank = x->rank;
  memcpy(out->dim, x->dim, sizeof out->dim);
  if (i->op == LURN_OP_PLACESUM) { out->rank = 1; out->dim[0] = x->dim[last]; }
  return lurn_acc_fits(p, lurn_op_info(i->op)->name, i->in[0], out, 0);
}

/* Rows of the result's columns: one for a frame, or one for each place of it. */
static void colsum_play (const lurn_call *c) {
  int cols = lurn_out_info(c)->cols, rows = c->rows * (lurn_in_info(c, 1)->cols / cols), from, to;
  lurn_share(cols, c->part, c->parts, &from, &to);
  real *y = start(c, (size_t)from, (size_t)(to - from));
  c->kernels->column_sum(rows, to - from, (const real *)c->in[1] + from, cols, y);
}

static int coldot_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[1]], *y = &p->reg[i->in[2]];
  if (x->axis != y->axis || x->cols != y->cols) return bad(p, "coldot", 3, "as many numbers as operand 2", i->in[2]);
  return colsum_shape(p, i, out);
}

static void coldot_play (const lurn_call *c) {
  int cols = lurn_out_info(c)->cols, from, to;
  const real *x = c->in[1], *dy = c->in[2];
  lurn_share(cols, c->part, c->parts, &from, &to);
  real *y = start(c, (size_t)from, (size_t)(to - from));
  c->kernels->column_dot(c->rows, to - from, x + from, cols, dy + from, cols, y);
}

static void spread_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  int axis = lurn_reg_info(lurn_grad_program(d), i->in[1])->axis;
  if (i->in[0] >= 0 && lurn_grad_needed(d, i->in[0])) lurn_grad_add(d, i->in[0], dy);
  if (lurn_grad_needed(d, i->in[1])) lurn_grad_add(d, i->in[1], lurn_spread(lurn_grad_program(d), dy, axis));
}

static int fold_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[1]];
  if (!are_numbers(p, i)) return 0;
  if (lurn_axis_level(x->axis) != LURN_TIME) return bad(p, "fold", 2, "a time register", i->in[1]);
  out->axis = (int16_t)lurn_axis_rows(x->axis);
  out->rank = x->rank;
  memcpy(out->dim, x->dim, sizeof out->dim);
  return lurn_acc_fits(p, "fold", i->in[0], out, 0);
}

static void fold_play (const lurn_call *c) {
  size_t cols = (size_t)lurn_out_info(c)->cols;
  real *y = start(c, 0, cols * (size_t)c->batch->B);
  for (int k = 0; k < c->batch->T; k++) {
    int t = c->instr->i[0] ? k : c->batch->T - 1 - k;
    c->kernels->map[LURN_MAP_add](y, y, (const real *)c->in[1] + (size_t)c->batch->start[t] * cols, NULL, 0,
                                  cols * (size_t)c->batch->live[t]);
  }
}

double lurn_product_count (const lurn_program *p, int N, int B) {
  double sum = 0;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    if (i->op != LURN_OP_PRODUCT && i->op != LURN_OP_OUTER) continue;
    const lurn_register *x = &p->reg[i->in[1]], *y = &p->reg[i->out];
    double rows = lurn_on_time(x->axis) ? N : x->axis == LURN_ONCE ? 1 : B;
    sum += rows * x->cols * y->dim[y->rank - 1];
  }
  return sum;
}

const lurn_op lurn_ops_product[] = {
  {"product", 1, 3, LURN_OP_ACC, product_shape, product_play, product_grad, "acc + x W"},
  {"outer", 1, 3, LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_SPLITS | LURN_OP_FALLS | LURN_OP_NOGRAD, outer_shape, outer_play, NULL, "acc + x^T d"},
  {"colsum", 1, 2, LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_SPLITS | LURN_OP_FALLS, colsum_shape, colsum_play, spread_grad, "acc + sum over frames"},
  {"placesum", 1, 2, LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_SPLITS | LURN_OP_FALLS | LURN_OP_NOGRAD, colsum_shape, colsum_play, NULL,
    "acc + sum over frames and places"},
  {"coldot", 1, 3, LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_SPLITS | LURN_OP_FALLS | LURN_OP_NOGRAD, coldot_shape, coldot_play, NULL, "acc + sum over frames of x * d"},
  {"fold", 1, 2, LURN_OP_ACC | LURN_OP_WHOLE, fold_shape, fold_play, spread_grad, "acc + sum over a row's steps"},
};
