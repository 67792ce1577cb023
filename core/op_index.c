/* op_index.c: ops that read or write at a place given by an index. Index -1 is "none". */
#include <string.h>

#include "derive.h"

static int fail_index (lurn_program *p, const char *op, int operand, const char *want, lurn_reg got) {
  char have[96];
  lurn_program_fail(p, "%s: operand %d: expected %s, got %s", op, operand, want,
                    lurn_reg_text(p, got, have, sizeof have));
  return 0;
}

static int is_index (const lurn_register *r) { return r->dtype == LURN_INDEX && r->cols == 1; }

/* One of the batch is checked when the batch is bound (wave.c). */
int lurn_index_fits (const lurn_program *p, lurn_reg r, int n) {
  const lurn_register *x = &p->reg[r];
  if (x->kind != LURN_REG_VALUE) return 1;
  const lurn_instr *i = &p->instr[x->index];
  if (i->op == LURN_OP_ARGMAX || i->op == LURN_OP_SAMPLE) return p->reg[i->in[0]].cols <= n;
  return i->op != LURN_OP_IFILL || i->i[0] < n;
}

/* ---------- gather W[i] and its transpose ---------- */

static int gather_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *w = &p->reg[i->in[0]], *x = &p->reg[i->in[1]];
  if (w->axis != LURN_ONCE || w->rank != 2) return fail_index(p, "gather", 1, "a matrix of parameters", i->in[0]);
  if (!is_index(x)) return fail_index(p, "gather", 2, "an index", i->in[1]);
  if (w->dim[0] <= !!i->i[0] || !lurn_index_fits(p, i->in[1], w->dim[0] - !!i->i[0]))
    return fail_index(p, "gather", 1, "a row for every index", i->in[0]);
  out->axis = x->axis;
  out->rank = 1;
  out->dim[0] = w->dim[1];
  return 1;
}

/* The row of an index: -1 where it is none, or the last one, which is spared for that. */
static int32_t row_of (int32_t v, int rows, int spare) {
  if (!lurn_is_none(v, rows - spare)) return v;
  return spare ? rows - 1 : -1;
}

static void gather_play (const lurn_call *c) {
  size_t cols = (size_t)lurn_out_info(c)->cols;
  int n = lurn_in_info(c, 0)->dim[0], spare = !!c->instr->i[0];
  const real *w = c->in[0];
  const int32_t *id = c->in[1];
  real *y = c->out;
  for (int r = 0; r < c->rows; r++, y += cols) {
    int32_t v = row_of(id[r * c->step[1]], n, spare);
    if (v < 0) memset(y, 0, sizeof *y * cols);
    else memcpy(y, w + (size_t)v * cols, sizeof *y * cols);
  }
}

static void gather_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  const lurn_register *w = lurn_reg_info(lurn_grad_program(d), i->in[0]);
  const lurn_instr like = {.op = LURN_OP_SCATTER, .in = {-1, dy, i->in[1], -1, -1, -1}, .i = {w->dim[0], i->i[0]}};
  if (dy >= 0) lurn_grad_whole(d, i->in[0], &like);
}

static int scatter_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[1]], *id = &p->reg[i->in[2]];
  if (x->rank != 1 || x->dtype != LURN_REAL || x->axis != id->axis)
    return fail_index(p, "scatter", 2, "vectors of numbers on the index's axis", i->in[1]);
  if (!is_index(id)) return fail_index(p, "scatter", 3, "an index", i->in[2]);
  if (i->i[0] <= !!i->i[1]) return fail_index(p, "scatter", 3, "an index of one of its rows", i->in[2]);
  out->axis = LURN_ONCE;
  out->rank = 2;
  out->dim[0] = i->i[0];
  out->dim[1] = x->cols;
  return lurn_acc_fits(p, "scatter", i->in[0], out, 0);
}

/* A part has some of the columns, in every row. */
static void scatter_play (const lurn_call *c) {
  const lurn_register *y = lurn_out_info(c);
  size_t cols = (size_t)y->dim[1], bytes;
  real *w = c->out;
  int from, to, spare = !!c->instr->i[1];
  lurn_share(y->dim[1], c->part, c->parts, &from, &to);
  bytes = sizeof *w * (size_t)(to - from);
  for (int v = 0; v < y->dim[0] && c->in[0] != c->out; v++) {
    size_t at = (size_t)v * cols + (size_t)from;
    if (c->in[0]) memcpy(w + at, (const real *)c->in[0] + at, bytes);
    else memset(w + at, 0, bytes);
  }
  c->kernels->scatter(c->rows, to - from, c->in[2], y->dim[0] - spare, spare ? y->dim[0] - 1 : -1,
                      (const real *)c->in[1] + from, (ptrdiff_t)cols, w + from, (ptrdiff_t)cols);
}

/* ---------- pick one column, and its transpose ---------- */

static int pick_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]], *id = &p->reg[i->in[1]];
  if (x->dtype != LURN_REAL) return fail_index(p, "pick", 1, "numbers", i->in[0]);
  if (!is_index(id) || lurn_axis_join(id->axis, x->axis) != x->axis) return fail_index(p, "pick", 2, "an index on the axis of operand 1",
                                                             i->in[1]);
  if (!lurn_index_fits(p, i->in[1], x->cols)) return fail_index(p, "pick", 1, "a column for every index", i->in[0]);
  out->axis = x->axis;
  out->rank = 1;
  out->dim[0] = 1;
  return 1;
}

static void pick_play (const lurn_call *c) {
  size_t cols = (size_t)lurn_in_info(c, 0)->cols;
  const int32_t *id = c->in[1];
  real *y = c->out;
  for (int r = 0; r < c->rows; r++) {
    int32_t v = id[r * c->step[1]];
    y[r] = lurn_is_none(v, (int)cols) ? 0 : ((const real *)c->in[0])[(size_t)r * cols + (size_t)v];
  }
}

static void pick_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  if (lurn_grad_needed(d, i->in[0]))
    lurn_grad_add(d, i->in[0], lurn_emit(p, LURN_OP_UNPICK, dy, i->in[1], -1, 0,
                                         lurn_reg_info(p, i->in[0])->cols, 0, NULL));
}

static int unpick_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]], *id = &p->reg[i->in[1]];
  if (x->cols != 1 || x->dtype != LURN_REAL) return fail_index(p, "unpick", 1, "one number per row", i->in[0]);
  if (!is_index(id)) return fail_index(p, "unpick", 2, "an index", i->in[1]);
  if (!lurn_index_fits(p, i->in[1], i->i[0])) return fail_index(p, "unpick", 2, "an index of one of its columns", i->in[1]);
  out->axis = x->axis;
  out->rank = 1;
  out->dim[0] = i->i[0];
  return lurn_axis_raise(p, i, out, i->in[1]);
}

static void unpick_play (const lurn_call *c) {
  size_t cols = (size_t)lurn_out_info(c)->cols;
  const int32_t *id = c->in[1];
  real *y = c->out;
  memset(y, 0, sizeof *y * cols * (size_t)c->rows);
  for (int r = 0; r < c->rows; r++) {
    int32_t v = id[r * c->step[1]];
    if (!lurn_is_none(v, (int)cols)) y[(size_t)r * cols + (size_t)v] = ((const real *)c->in[0])[r * c->step[0]];
  }
}

static void unpick_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  if (lurn_grad_needed(d, i->in[0]))
    lurn_grad_add(d, i->in[0], lurn_emit(lurn_grad_program(d), LURN_OP_PICK, dy, i->in[1], -1, 0, 0, 0, NULL));
}

/* ---------- indices as values ---------- */

static int live_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  if (!is_index(&p->reg[i->in[0]])) return fail_index(p, "live", 1, "an index", i->in[0]);
  out->axis = p->reg[i->in[0]].axis;
  out->rank = 1;
  out->dim[0] = 1;
  return 1;
}

static void live_play (const lurn_call *c) {
  const int32_t *id = c->in[0];
  real *y = c->out;
  for (int r = 0; r < c->rows; r++) y[r] = id[r * c->step[0]] >= 0 ? 1 : 0;
}

static int index_result (lurn_register *out, int axis) {
  out->dtype = LURN_INDEX;
  out->axis = (int16_t)axis;
  out->rank = 1;
  out->dim[0] = 1;
  return 1;
}

static int argmax_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  if (p->reg[i->in[0]].dtype != LURN_REAL) return fail_index(p, "argmax", 1, "numbers", i->in[0]);
  return index_result(out, p->reg[i->in[0]].axis);
}

static void argmax_play (const lurn_call *c) {
  c->kernels->row_argmax(c->out, c->in[0], c->rows, lurn_in_info(c, 0)->cols);
}

static int iwhere_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *c = &p->reg[i->in[0]], *a = &p->reg[i->in[1]], *b = &p->reg[i->in[2]];
  if (c->dtype != LURN_REAL || c->cols != 1) return fail_index(p, "iwhere", 1, "one number per row", i->in[0]);
  if (!is_index(a) || !is_index(b)) return fail_index(p, "iwhere", 2, "indices", i->in[1]);
  index_result(out, c->axis);
  return lurn_axis_raise(p, i, out, i->in[1]) && lurn_axis_raise(p, i, out, i->in[2]);
}

static void iwhere_play (const lurn_call *c) {
  const real *cond = c->in[0];
  const int32_t *a = c->in[1], *b = c->in[2];
  int32_t *y = c->out;
  for (int r = 0; r < c->rows; r++)
    y[r] = cond[r * c->step[0]] != 0 ? a[r * c->step[1]] : b[r * c->step[2]];
}

static int ifill_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  (void)p;
  return index_result(out, lurn_axis_named(i->i[1]));
}

static void ifill_play (const lurn_call *c) {
  int32_t *y = c->out;
  for (int r = 0; r < c->rows; r++) y[r] = c->instr->i[0];
}

static real likeness (const lurn_call *c, real x, real most) {
  real e = (x - most) / (real)c->instr->k;
  c->kernels->map[LURN_MAP_exp](&e, &e, NULL, NULL, 0, 1);
  return e;
}

/* Inverse of the cumulative softmax at a uniform number; sums run in double, in order. */
static int32_t draw (const lurn_call *c, const real *x, int cols, double u) {
  real most = x[0];
  double sum = 0, run = 0;
  for (int j = 1; j < cols; j++) if (x[j] > most) most = x[j];
  for (int j = 0; j < cols; j++) sum += likeness(c, x[j], most);
  for (int j = 0; j < cols; j++) {
    run += likeness(c, x[j], most);
    if (u * sum < run) return j;
  }
  return cols - 1;
}

static void sample_play (const lurn_call *c) {
  int cols = lurn_in_info(c, 0)->cols;
  lurn_key key = lurn_key_make(c->moment->seed, LURN_PURPOSE_SAMPLE, c->program->name[c->instr->name].text);
  int32_t *y = c->out;
  for (int r = 0; r < c->rows; r++) {
    uint32_t w = lurn_random_word(key, c->moment->step, c->batch->seq[c->row + r],
                                    (uint64_t)(c->batch->pos[c->row + r] + c->t), 0);
    y[r] = draw(c, (const real *)c->in[0] + (size_t)r * (size_t)cols, cols, w * 0x1p-32);
  }
}

const lurn_op lurn_ops_index[] = {
  {"gather", 1, 2, 0, gather_shape, gather_play, gather_grad, "W[i]"},
  {"scatter", 1, 3, LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_SPLITS | LURN_OP_FALLS | LURN_OP_NOGRAD, scatter_shape, scatter_play, NULL,
      "acc[i] += d"},
  {"pick", 1, 2, 0, pick_shape, pick_play, pick_grad, "x[i]"},
  {"unpick", 1, 2, 0, unpick_shape, unpick_play, unpick_grad, "d at column i"},
  {"live", 1, 1, LURN_OP_NOGRAD, live_shape, live_play, NULL, "1, 0 where i is none"},
  {"argmax", 1, 1, LURN_OP_NOGRAD, argmax_shape, argmax_play, NULL, "column of the largest"},
  {"iwhere", 1, 3, LURN_OP_NOGRAD, iwhere_shape, iwhere_play, NULL, "c ? i : j"},
  {"ifill", 1, 0, LURN_OP_NOGRAD, ifill_shape, ifill_play, NULL, "an index constant"},
  {"sample", 1, 1, LURN_OP_NOGRAD | LURN_OP_RANDOM, argmax_shape, sample_play, NULL, "index from softmax(x / k)"},
};
