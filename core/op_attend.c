/* op_attend.c: attention of a query over the steps of another sequence of values, its memory.
 *
 *   s_j = q . m_j      w = softmax(s)      y = sum_j w_j m_j          Luong et al. 2015, "dot"
 *
 * The memory is read whole: it must be known before the query's scan begins. Nothing of the size
 * of T x T is stored: scores are worked out again, in the backward pass as well. Sums run in
 * order of steps, so the bits do not depend on who plays.
 */
#include <math.h>
#include <string.h>

#include "derive.h"

static int fail_attend (lurn_program *p, const lurn_instr *i, int operand, const char *want) {
  char have[96];
  lurn_program_fail(p, "%s: operand %d: expected %s, got %s", lurn_op_info(i->op)->name, operand + 1, want,
                    lurn_reg_text(p, i->in[operand], have, sizeof have));
  return 0;
}

/* The last operand is the memory; those before it are on one axis and as wide. */
static int attend_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  int last = lurn_op_info(i->op)->nin - 1;
  const lurn_register *m = &p->reg[i->in[last]];
  if (m->axis != LURN_TIME || m->rank != 1 || m->dtype != LURN_REAL) return fail_attend(p, i, last,
      "vectors over time");
  for (int k = 0; k < last; k++) {
    const lurn_register *q = &p->reg[i->in[k]];
    if (q->axis == LURN_ONCE || q->rank != 1 || q->cols != m->cols
        || q->dtype != LURN_REAL) return fail_attend(p, i, k, "as many columns as the memory");
  }
  out->axis = i->op == LURN_OP_ATTEND_DM ? LURN_TIME : p->reg[i->in[0]].axis;
  out->rank = 1;
  out->dim[0] = m->cols;
  return 1;
}

typedef struct memory {         /* of one row */
  const lurn_kernels *k;
  const lurn_batch *b;
  const real *m;                /* (N, cols) */
  int row, steps;
  size_t cols;
} memory;

static memory memory_of (const lurn_call *c, const void *m, int row) {
  memory x = {c->kernels, c->batch, m, row, 0, (size_t)lurn_out_info(c)->cols};
  while (x.steps < c->batch->T && c->batch->live[x.steps] > row) x.steps++;
  return x;
}

static const real *frame (const memory *x,
                          int j) { return x->m + ((size_t)x->b->start[j] + (size_t)x->row) * x->cols; }

static real dot (const real *a, const real *b, size_t n) {
  real s = 0;
  for (size_t k = 0; k < n; k++) s += a[k] * b[k];
  return s;
}

static real highest (const memory *x, const real *q) {
  real most = -(real)INFINITY;
  for (int j = 0; j < x->steps; j++) {
    real s = dot(q, frame(x, j), x->cols);
    if (!(s <= most)) most = s;
  }
  return most;
}

/* e^(q . m_j - most) */
static real likeness (const memory *x, const real *q, int j, real most) {
  real s = dot(q, frame(x, j), x->cols) - most;
  x->k->map[LURN_MAP_exp](&s, &s, NULL, NULL, 0, 1);
  return s;
}

static void add_scaled (real *y, real w, const real *x, size_t n) {
  for (size_t k = 0; k < n; k++) y[k] += w * x[k];
}

static void attend_play (const lurn_call *c) {
  real *y = c->out;
  const real *q = c->in[0];
  for (int r = 0; r < c->rows; r++) {
    memory x = memory_of(c, c->in[1], c->row + r);
    real most = highest(&x, q), sum = 0;
    memset(y, 0, sizeof *y * x.cols);
    for (int j = 0; j < x.steps; j++) {
      real e = likeness(&x, q, j, most);
      sum += e;
      add_scaled(y, e, frame(&x, j), x.cols);
    }
    for (size_t k = 0; k < x.cols; k++) y[k] /= sum;
    y += x.cols;
    q += c->step[0];
  }
}

/* The sums that both gradients need: sum of e_j, and of e_j (dy . m_j). */
static void sums (const memory *x, const real *q, const real *dy, real most, real *sum, real *pull) {
  *sum = *pull = 0;
  for (int j = 0; j < x->steps; j++) {
    real e = likeness(x, q, j, most);
    *sum += e;
    *pull += e * dot(dy, frame(x, j), x->cols);
  }
}

/* ds_j = w_j (dy . m_j - sum_k w_k dy . m_k)      dq = sum_j ds_j m_j */
static void attend_dq_play (const lurn_call *c) {
  real *dq = c->out;
  const real *dy = c->in[0], *q = c->in[1];
  for (int r = 0; r < c->rows; r++) {
    memory x = memory_of(c, c->in[2], c->row + r);
    real most = highest(&x, q), sum, pull;
    sums(&x, q, dy, most, &sum, &pull);
    memset(dq, 0, sizeof *dq * x.cols);
    for (int j = 0; j < x.steps; j++) {
      real w = likeness(&x, q, j, most) / sum;
      add_scaled(dq, w * (dot(dy, frame(&x, j), x.cols) - pull / sum), frame(&x, j), x.cols);
    }
    dq += x.cols;
    dy += c->step[0];
    q += c->step[1];
  }
}

/* dm_j = sum over queries of w_j dy + ds_j q, for one query */
static void spread_query (const memory *x, const real *q, const real *dy, real *dm) {
  real most = highest(x, q), sum, pull;
  sums(x, q, dy, most, &sum, &pull);
  for (int j = 0; j < x->steps; j++) {
    real *to = dm + ((size_t)x->b->start[j] + (size_t)x->row) * x->cols, w = likeness(x, q, j, most) / sum;
    real ds = w * (dot(dy, frame(x, j), x->cols) - pull / sum);
    add_scaled(to, w, dy, x->cols);
    add_scaled(to, ds, q, x->cols);
  }
}

static void attend_dm_play (const lurn_call *c) {
  const lurn_batch *b = c->batch;
  size_t cols = (size_t)lurn_out_info(c)->cols;
  int on_time = lurn_in_info(c, 1)->axis == LURN_TIME;
  memset(c->out, 0, sizeof(real) * cols * (size_t)b->N);
  for (int r = 0; r < b->B; r++) {
    memory x = memory_of(c, c->in[2], r);
    for (int t = on_time ? x.steps - 1 : 0; t >= 0; t--) {
      size_t at = ((on_time ? (size_t)b->start[t] : 0) + (size_t)r) * cols;
      spread_query(&x, (const real *)c->in[1] + at, (const real *)c->in[0] + at, c->out);
    }
  }
}

static void attend_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_reg q = i->in[0], m = i->in[1];
  if (lurn_grad_needed(d, q)) lurn_grad_add(d, q, lurn_emit(lurn_grad_program(d), LURN_OP_ATTEND_DQ, dy, q, m, 0,
                                                            0, 0, NULL));
  if (lurn_grad_needed(d, m)) lurn_grad_whole(d, m, LURN_OP_ATTEND_DM, dy, q, m);
}

const lurn_op lurn_ops_attend[] = {
  {"attend", 1, 2, LURN_OP_MEMORY, attend_shape, attend_play, attend_grad, "softmax(q . m) m"},
  {"attend_dq", 1, 3, LURN_OP_MEMORY | LURN_OP_NOGRAD, attend_shape, attend_dq_play, NULL, "(dy, q, m) -> dq"},
  {"attend_dm", 1, 3, LURN_OP_WHOLE | LURN_OP_NOGRAD, attend_shape, attend_dm_play, NULL, "(dy, q, m) -> dm"},
};
