/* op_shape.c: ops that move numbers without computing: along time, along columns, or not at all
 * (dropout multiplies, but by a mask that is a function of place). */
#include <math.h>
#include <string.h>

#include "derive.h"

enum { LURN_DROPOUT_BLOCK = 64 };     /* columns whose words are drawn together */

static int fail_move (lurn_program *p, const lurn_instr *i, const char *want) {
  char have[96];
  lurn_program_fail(p, "%s: expected %s, got %s", lurn_op_info(i->op)->name, want,
                    lurn_reg_text(p, i->in[0], have, sizeof have));
  return 0;
}

static int like (lurn_register *out, const lurn_register *x, int axis) {
  out->axis = (int16_t)axis;
  out->dtype = x->dtype;
  out->rank = x->rank;
  memcpy(out->dim, x->dim, sizeof out->dim);
  return 1;
}

/* Columns are the last dimension, for each place of the others. */
static int last_of (const lurn_register *x) { return x->dim[x->rank - 1]; }

static void move_rows (void *y, const void *x, size_t cols, size_t rows) {
  if (rows) memcpy(y, x, sizeof(real) * cols * rows);
}

/* ---------- along time ---------- */

static int time_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  if (lurn_axis_level(x->axis) != LURN_TIME || (x->dtype != LURN_REAL && i->op != LURN_OP_LAST))
    return fail_move(p, i, "a time register");
  return like(out, x, i->op == LURN_OP_LAST ? lurn_axis_rows(x->axis) : x->axis);
}

/* y_t = x_{t-k}: in both directions the rows that live at both steps are the first ones. */
static void shift_play (const lurn_call *c) {
  const lurn_batch *b = c->batch;
  size_t cols = (size_t)lurn_out_info(c)->cols;
  real *y = c->out;
  for (int t = 0; t < b->T; y += cols * (size_t)b->live[t++]) {
    int64_t from = (int64_t)t - c->instr->i[0];
    int n = 0;
    if (from >= 0 && from < b->T) n = b->live[from] < b->live[t] ? b->live[from] : b->live[t];
    if (n) move_rows(y, (const real *)c->in[0] + (size_t)b->start[from] * cols, cols, (size_t)n);
    memset(y + (size_t)n * cols, 0, sizeof *y * cols * (size_t)(b->live[t] - n));
  }
}

static void shift_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_grad_add(d, i->in[0], lurn_emit(lurn_grad_program(d), LURN_OP_SHIFT, dy, -1, -1, 0, -i->i[0], 0, NULL));
}

/* Rows [live[t+1], live[t]) end at step t; at a window's last step not those that go on. */
static int first_ending (const lurn_batch *b, int t) { return t + 1 < b->T ? b->live[t + 1] : b->onward; }

/* Bytes are counted here: a carried index has a last value too. What is handed on may be the state of an earlier
 * step, for batches that overlap (feed.h). */
static void last_play (const lurn_call *c) {
  const lurn_batch *b = c->batch;
  size_t row = lurn_row_bytes(lurn_out_info(c));
  int steps = c->instr->i[1] && b->hand > 0 && b->hand < b->T ? b->hand : b->T;
  const char *x = c->in[0];
  char *y = c->out;
  if (c->instr->i[0]) { if (b->before == 0) memcpy(y, x, row * (size_t)b->B); return; }
  for (int t = 0; t < steps; t++) {
    size_t from = t + 1 < steps ? (size_t)b->live[t + 1] : steps < b->T ? 0 : (size_t)first_ending(b, t);
    if ((size_t)b->live[t] > from) memcpy(y + from * row, x + ((size_t)b->start[t] + from) * row, row * ((size_t)b->live[t] - from));
  }
}

static void last_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_grad_add(d, i->in[0], lurn_emit(lurn_grad_program(d), LURN_OP_UNLAST, dy, -1, -1, 0, i->i[0], 0, NULL));
}

static int unlast_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  if (lurn_axis_level(x->axis) != LURN_ROW || x->dtype != LURN_REAL) return fail_move(p, i, "a row register");
  return like(out, x, lurn_axis_steps(x->axis));
}

static void unlast_play (const lurn_call *c) {
  const lurn_batch *b = c->batch;
  size_t cols = (size_t)lurn_out_info(c)->cols;
  const real *x = c->in[0];
  real *y = c->out;
  memset(y, 0, sizeof *y * cols * (size_t)b->N);
  if (c->instr->i[0]) { if (b->before == 0) move_rows(y, x, cols, (size_t)b->B); return; }
  for (int t = 0; t < b->T; t++) {
    size_t from = (size_t)first_ending(b, t);
    move_rows(y + ((size_t)b->start[t] + from) * cols, x + from * cols, cols, (size_t)b->live[t] - from);
  }
}

static void unlast_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_grad_add(d, i->in[0], lurn_emit(lurn_grad_program(d), LURN_OP_LAST, dy, -1, -1, 0, i->i[0], 0, NULL));
}

/* ---------- from one time axis to another ---------- */

static int reorder_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  int axis = lurn_axis_named(i->i[0]);
  if (lurn_axis_level(x->axis) != LURN_ROW || axis < 0 || lurn_axis_level(axis) != LURN_ROW)
    return fail_move(p, i, "a row register, and the rows of another time axis");
  return like(out, x, axis);
}

/* Row r here is row place[r] of the first axis, and that is row rank[place[r]] there. */
static void reorder_play (const lurn_call *c) {
  const lurn_register *y = lurn_out_info(c);
  const lurn_batch *from = lurn_batch_along(c->first, lurn_in_info(c, 0)->axis), *to = lurn_batch_along(c->first, y->axis);
  size_t row = lurn_row_bytes(y);
  for (int r = 0; r < to->B; r++) {
    int first = to->place ? to->place[r] : r, at = from->rank ? from->rank[first] : first;
    memcpy((char *)c->out + row * (size_t)r, (const char *)c->in[0] + row * (size_t)at, row);
  }
}

static void reorder_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_grad_add(d, i->in[0], lurn_reorder(lurn_grad_program(d), dy, lurn_reg_info(lurn_grad_program(d), i->in[0])->axis));
}

/* ---------- along columns ---------- */

static int concat_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *a = &p->reg[i->in[0]], *b = &p->reg[i->in[1]];
  int last = a->rank - 1;
  if (a->rank != b->rank || memcmp(a->dim, b->dim, sizeof *a->dim * (size_t)last) || a->dtype != LURN_REAL
      || b->dtype != LURN_REAL) return fail_move(p, i, "two operands that differ in their last dimension alone");
  if (a->dim[last] > INT32_MAX - b->dim[last]) return fail_move(p, i, "fewer columns");
  like(out, a, a->axis);
  out->dim[last] = a->dim[last] + b->dim[last];
  return lurn_axis_raise(p, i, out, i->in[1]);
}

/* Columns from..from+n of every place of rows x (K columns) to columns `to`.. of y (M columns). */
static void move_columns (const lurn_call *c, int operand, size_t from, size_t to, size_t n) {
  const lurn_register *x = lurn_in_info(c, operand), *y = lurn_out_info(c);
  size_t K = (size_t)last_of(x), M = (size_t)last_of(y), places = (size_t)x->cols / K;
  for (int r = 0; r < c->rows; r++) {
    const real *a = (const real *)c->in[operand] + r * c->step[operand] + from;
    real *b = (real *)c->out + (size_t)r * (size_t)y->cols + to;
    for (size_t k = 0; k < places; k++) move_rows(b + k * M, a + k * K, n, 1);
  }
}

static void concat_play (const lurn_call *c) {
  size_t A = (size_t)last_of(lurn_in_info(c, 0)), B = (size_t)last_of(lurn_in_info(c, 1));
  move_columns(c, 0, 0, 0, A);
  move_columns(c, 1, 0, A, B);
}

static lurn_reg slice (lurn_program *p, lurn_reg x, int from, int n) {
  return lurn_emit(p, LURN_OP_SLICE, x, -1, -1, 0, from, n, NULL);
}

static void concat_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  int A = last_of(lurn_reg_info(p, i->in[0])), B = last_of(lurn_reg_info(p, i->in[1]));
  if (lurn_grad_needed(d, i->in[0])) lurn_grad_add(d, i->in[0], slice(p, dy, 0, A));
  if (lurn_grad_needed(d, i->in[1])) lurn_grad_add(d, i->in[1], slice(p, dy, A, B));
}

static int slice_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  int cols = last_of(x);
  if (x->dtype != LURN_REAL) return fail_move(p, i, "numbers");
  if (i->i[0] < 0 || i->i[1] < 1 || i->i[0] > cols - i->i[1])
    return lurn_program_fail(p, "slice: columns %lld to %lld of %d", i->i[0] + 1LL, (long long)i->i[0] + i->i[1], cols), 0;
  like(out, x, x->axis);
  out->dim[x->rank - 1] = i->i[1];
  return 1;
}

static void slice_play (const lurn_call *c) {
  move_columns(c, 0, (size_t)c->instr->i[0], 0, (size_t)c->instr->i[1]);
}

static void slice_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_grad_add(d, i->in[0], lurn_emit(p, LURN_OP_PAD, dy, -1, -1, 0, i->i[0], last_of(lurn_reg_info(p, i->in[0])),
                                       NULL));
}

static int pad_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  if (x->dtype != LURN_REAL || i->i[0] < 0 || i->i[1] < last_of(x) || i->i[0] > i->i[1] - last_of(x)) return fail_move(p, i,
      "columns that fit");
  like(out, x, x->axis);
  out->dim[x->rank - 1] = i->i[1];
  return 1;
}

static void pad_play (const lurn_call *c) {
  memset(c->out, 0, sizeof(real) * (size_t)lurn_out_info(c)->cols * (size_t)c->rows);
  move_columns(c, 0, 0, (size_t)c->instr->i[0], (size_t)last_of(lurn_in_info(c, 0)));
}

static void pad_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_grad_add(d, i->in[0], slice(p, dy, i->i[0], last_of(lurn_reg_info(p, i->in[0]))));
}

/* ---------- not at all ---------- */

/* Dimensions travel as i[0], i[1], k and i[2]; 0 ends them. */
static int reshape_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  int dim[LURN_MAX_RANK] = {i->i[0], i->i[1], i->k >= 1 && i->k <= x->cols ? (int)i->k : 0, i->i[2]};
  int64_t cols = 1;
  like(out, x, x->axis);
  out->rank = 0;
  for (int k = 0; k < LURN_MAX_RANK && dim[k] > 0 && cols <= x->cols; k++) cols *= out->dim[out->rank++] = dim[k];
  return out->rank >= 1 && cols == x->cols && x->dtype == LURN_REAL ? 1 : fail_move(p, i, "as many numbers as the new shape has");
}

static void copy_play (const lurn_call *c) {
  size_t cols = (size_t)lurn_out_info(c)->cols;
  real *y = c->out;
  for (int r = 0; r < c->rows; r++, y += cols) move_rows(y, (const real *)c->in[0] + r * c->step[0], cols, 1);
}

static void reshape_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  const lurn_register x = *lurn_reg_info(p, i->in[0]);
  lurn_grad_add(d, i->in[0], lurn_reshape(p, dy, x.rank, x.dim));
}

static int same_as_operand (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  const lurn_register *x = &p->reg[i->in[0]];
  if (x->dtype != LURN_REAL) return fail_move(p, i, "numbers");
  if (i->op == LURN_OP_DROPOUT && !(i->k >= 0 && i->k < 1))
    return lurn_program_fail(p, "dropout: expected a rate in [0, 1), got %g", i->k), 0;
  return like(out, x, x->axis);
}

/* Inverted dropout (Srivastava et al. 2014): y = x m / (1 - rate), m = 1 where a 32-bit word of
 * (sequence, position, column) is at least rate 2^32. The backward pass plays the same. */
static void dropout_play (const lurn_call *c) {
  int cols = lurn_out_info(c)->cols;
  const lurn_batch *b = c->batch;
  if (c->moment->purpose != LURN_PURPOSE_TRAIN || c->instr->k <= 0) { copy_play(c); return; }
  lurn_key key = lurn_key_make(c->moment->seed, LURN_PURPOSE_TRAIN, c->program->name[c->instr->name].text);
  uint32_t highest = (uint32_t)(ceil(c->instr->k * 0x1p32) - 1);        /* of those that drop */
  real scale = (real)(1 / (1 - c->instr->k)), *y = c->out;
  int on_time = lurn_on_time(lurn_out_info(c)->axis);
  for (int r = 0; r < c->rows; r++, y += cols) {
    const real *x = (const real *)c->in[0] + r * c->step[0];
    uint64_t pos = on_time ? (uint64_t)(b->pos[c->row + r] + c->t) + 1 : 0;
    uint64_t seq = lurn_out_info(c)->axis == LURN_ONCE ? 0 : b->seq[c->row + r];
    for (int j = 0; j < cols; j += LURN_DROPOUT_BLOCK) {
      uint32_t counter[4];
      int n = cols - j < LURN_DROPOUT_BLOCK ? cols - j : LURN_DROPOUT_BLOCK;
      lurn_key own = lurn_random_at(counter, key, c->moment->step, seq, pos * 0x100000 + (uint64_t)j);
      c->kernels->dropout(y + j, x + j, scale, highest, counter, own.k, n);
    }
  }
}

static void dropout_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_program *p = lurn_grad_program(d);
  lurn_grad_add(d, i->in[0], lurn_emit(p, LURN_OP_DROPOUT, dy, -1, -1, i->k, 0, 0, p->name[i->name].text));
}

const lurn_op lurn_ops_shape[] = {
  {"shift", 1, 1, LURN_OP_WHOLE, time_shape, shift_play, shift_grad, "x of step t-k"},
  {"last", 1, 1, LURN_OP_WHOLE | LURN_OP_RISES | LURN_OP_FALLS, time_shape, last_play, last_grad, "x at the row's last step"},
  {"unlast", 1, 1, LURN_OP_WHOLE | LURN_OP_RISES | LURN_OP_FALLS, unlast_shape, unlast_play, unlast_grad, "d at the row's last step"},
  {"reorder", 1, 1, LURN_OP_WHOLE, reorder_shape, reorder_play, reorder_grad, "x of the same sequence, in another order"},
  {"concat", 1, 2, 0, concat_shape, concat_play, concat_grad, "columns side by side"},
  {"slice", 1, 1, 0, slice_shape, slice_play, slice_grad, "some columns"},
  {"pad", 1, 1, 0, pad_shape, pad_play, pad_grad, "zeros around"},
  {"reshape", 1, 1, 0, reshape_shape, copy_play, reshape_grad, "another row shape"},
  {"dropout", 1, 1, LURN_OP_RANDOM, same_as_operand, dropout_play, dropout_grad, "x mask / (1 - rate)"},
  {"detach", 1, 1, LURN_OP_NOGRAD, same_as_operand, copy_play, NULL, "x, no gradient"},
};
