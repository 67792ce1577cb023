/* conductor.c: plays a schedule over packed ragged time, forward and backward, for every cell. */
#include <string.h>

#include "wave.h"

/* ---------- one instruction ---------- */

static size_t element (const lurn_register *x) { return lurn_dtype_size((lurn_dtype)x->dtype); }

/* First row of register r at step t; what has only one step's place is always there. */
static char *address (const lurn_wave *w, lurn_reg r, int t) {
  const lurn_register *x = &w->program->reg[r];
  char *base = w->base[r];
  if (x->axis != LURN_TIME || w->schedule->store[w->schedule->root[r]] == LURN_KEEP_STEP) return base;
  return base + element(x) * (size_t)x->cols * (size_t)w->batch->start[t];
}

static ptrdiff_t row_step (const lurn_register *x) { return x->axis == LURN_ONCE ? 0 : x->cols; }

static const real *packed_weights (lurn_wave *w, const lurn_instr *i, int n) {
  int k = w->schedule->packed[n];
  const lurn_register *x = &w->program->reg[i->in[2]];
  if (x->kind != LURN_REG_PARAM && !w->ctx->blas)
    w->kernels->pack(w->packed[k], w->base[i->in[2]], x->dim[i->i[0] ? 1 : 0], x->dim[i->i[0] ? 0 : 1], i->i[0]);
  return w->packed[k];
}

static void prepare (lurn_wave *w, lurn_call *c, int n) {
  const lurn_instr *i = &w->program->instr[n];
  *c = (lurn_call){.ctx = w->ctx, .kernels = w->kernels, .program = w->program, .instr = i, .batch = w->batch, .moment = &w->moment};
  for (int k = 0; k < LURN_MAX_IN; k++) if (i->in[k] >= 0) c->step[k] = row_step(&w->program->reg[i->in[k]]);
  if (i->op == LURN_OP_PRODUCT) c->packed = packed_weights(w, i, n);
}

static void point (const lurn_wave *w, lurn_call *c, int t) {
  c->out = address(w, c->instr->out, t);
  for (int k = 0; k < LURN_MAX_IN; k++) if (c->instr->in[k] >= 0) c->in[k] = address(w, c->instr->in[k],
      lurn_is_memory(c->instr, k) ? 0 : t);
  c->t = t;
}

/* Rows of the axis that a whole op works on: its operands' highest. */
static int whole_rows (const lurn_wave *w, const lurn_instr *i) {
  int axis = LURN_ONCE;
  for (int k = 0; k < LURN_MAX_IN; k++)
    if (i->in[k] >= 0 && w->program->reg[i->in[k]].axis > axis) axis = w->program->reg[i->in[k]].axis;
  return axis == LURN_TIME ? w->batch->N : axis == LURN_ROW ? w->batch->B : 1;
}

/* Must be met step by step: an operand with one row per sequence, or a result that depends on
 * which sequence a frame belongs to. */
static int by_step (const lurn_wave *w, const lurn_instr *i) {
  if (lurn_op_info(i->op)->flags & (LURN_OP_RANDOM | LURN_OP_MEMORY)) return 1;
  for (int k = 0; k < LURN_MAX_IN; k++)
    if (i->in[k] >= 0 && w->program->reg[i->in[k]].axis == LURN_ROW) return 1;
  return 0;
}

static void play_call (lurn_wave *w, int n, int from, int to) {
  const lurn_instr *i = &w->program->instr[n];
  const lurn_op *op = lurn_op_info(i->op);
  int axis = w->program->reg[i->out].axis;
  lurn_call c;
  prepare(w, &c, n);
  if (axis != LURN_TIME || (op->flags & LURN_OP_WHOLE)) {
    c.rows = op->flags & LURN_OP_WHOLE ? whole_rows(w, i) : axis == LURN_ROW ? w->batch->B : 1;
    point(w, &c, 0);
    op->play(&c);
    return;
  }
  int stride = by_step(w, i) ? 1 : to - from;
  for (int t = from; t < to; t += stride) {
    point(w, &c, t);
    c.rows = w->batch->start[t + stride] - w->batch->start[t];
    op->play(&c);
  }
}

/* ---------- a strip ---------- */

enum { STRIP_MOST = 48 };       /* instructions in one strip, see place_strip */

typedef struct lane {           /* one instruction of a strip: where its rows are */
  lurn_map_fn f;
  real k;
  real *out;
  const real *in[3];
  ptrdiff_t out_move, move[3];  /* elements per row passed before the block; 0 in scratch */
  ptrdiff_t row[3];             /* elements per row within the block; 0: the operand stands still */
  int still;
} lane;

static real *strip_place (const lurn_wave *w, lurn_reg r, int t, ptrdiff_t *move) {
  const lurn_schedule *s = w->schedule;
  const lurn_register *x = &w->program->reg[r];
  *move = 0;
  if (x->kind == LURN_REG_VALUE && s->store[s->root[r]] <= LURN_KEEP_STRIP)
    return (real *)(void *)((char *)w->scratch + (size_t)s->slot[r] * w->slot_bytes);
  *move = row_step(x);
  return (real *)(void *)address(w, r, t);
}

static void open_lane (const lurn_wave *w, lane *l, int n, int t) {
  const lurn_instr *i = &w->program->instr[n];
  const lurn_register *out = &w->program->reg[i->out];
  *l = (lane){.f = w->kernels->map[i->op], .k = (real)i->k};
  l->out = strip_place(w, i->out, t, &l->out_move);
  for (int j = 0; j < 3; j++) {
    if (i->in[j] < 0) continue;
    int still = w->program->reg[i->in[j]].axis == LURN_ONCE && out->axis != LURN_ONCE;
    l->in[j] = strip_place(w, i->in[j], t, &l->move[j]);
    l->row[j] = still ? 0 : out->cols;
    l->still |= still;
  }
}

/* Rows r .. r+n of a lane. */
static void play_lane (const lane *l, int r, int n, size_t cols) {
  const real *in[3];
  real *out = l->out + l->out_move * r;
  for (int j = 0; j < 3; j++) in[j] = l->in[j] ? l->in[j] + l->move[j] * r : NULL;
  if (!l->still) { l->f(out, in[0], in[1], in[2], l->k, cols * (size_t)n); return; }
  for (int m = 0; m < n; m++, out += cols) {
    l->f(out, in[0], in[1], in[2], l->k, cols);
    for (int j = 0; j < 3; j++) if (in[j]) in[j] += l->row[j];
  }
}

static void play_rows (lurn_wave *w, const lurn_section *u, int t, int rows, int cols) {
  lane lanes[STRIP_MOST];
  const int *order = w->schedule->order + u->first;
  int block = w->schedule->choices.strip / cols;
  if (block < 1) block = 1;
  for (int k = 0; k < u->count; k++) open_lane(w, &lanes[k], order[k], t);
  for (int r = 0; r < rows; r += block) {
    int n = rows - r < block ? rows - r : block;
    for (int k = 0; k < u->count; k++) play_lane(&lanes[k], r, n, (size_t)cols);
  }
}

static void play_strip (lurn_wave *w, const lurn_section *u, int from, int to) {
  const int *order = w->schedule->order + u->first;
  const lurn_register *x = &w->program->reg[w->program->instr[order[0]].out];
  int stride = to - from;
  if (x->axis != LURN_TIME) {
    play_rows(w, u, 0, x->axis == LURN_ROW ? w->batch->B : 1, x->cols);
    return;
  }
  for (int k = 0; k < u->count; k++) if (by_step(w, &w->program->instr[order[k]])) stride = 1;
  for (int t = from; t < to; t += stride)
    play_rows(w, u, t, w->batch->start[t + stride] - w->batch->start[t], x->cols);
}

/* ---------- a loop ---------- */

static void play_units (lurn_wave *w, const lurn_section *u, int n, int from, int to) {
  for (; n > 0; n--, u++) {
    if (u->kind == LURN_SECTION_STRIP) play_strip(w, u, from, to);
    else for (int k = 0; k < u->count; k++) play_call(w, w->schedule->order[u->first + k], from, to);
  }
}

/* The state at step t is what the step played before left in its next register; rows that were
 * not alive then (a reversed scan meets them at their end) start from the initial value. */
static void enter_step (lurn_wave *w, const lurn_scan *s, int t) {
  int before = s->reverse ? t + 1 : t - 1, live = w->batch->live[t], old = 0;
  if (before >= 0 && before < w->batch->T) old = w->batch->live[before] < live ? w->batch->live[before] : live;
  for (int k = 0; k < s->nstate; k++) {
    const lurn_register *x = &w->program->reg[s->state[k].prev];
    size_t row = element(x) * (size_t)x->cols;
    char *to = address(w, s->state[k].prev, t);
    if (old > 0) memcpy(to, address(w, s->state[k].next, before), row * (size_t)old);
    if (live > old)
      memcpy(to + row * (size_t)old, (char *)w->base[s->state[k].init] + row * (size_t)old,
             row * (size_t)(live - old));
  }
}

static lurn_status play_loop (lurn_wave *w, const lurn_section *u) {
  const lurn_scan *s = &w->program->scans[u->scan];
  const lurn_section *before = u + 1, *step = before + u->before, *after = step + u->step;
  int T = w->batch->T, span = w->schedule->choices.span;
  if (span <= 0 || span > T) span = T;
  for (int done = 0; done < T; done += span) {
    int n = T - done < span ? T - done : span;
    int from = s->reverse ? T - done - n : done, to = from + n;
    play_units(w, before, u->before, from, to);
    for (int k = 0; k < n; k++) {
      int t = s->reverse ? to - 1 - k : from + k;
      if (w->ctx->stop && *w->ctx->stop) return lurn_fail(w->ctx, LURN_EINTR, "interrupted");
      enter_step(w, s, t);
      play_units(w, step, u->step, t, t + 1);
    }
    play_units(w, after, u->after, from, to);
  }
  return LURN_OK;
}

lurn_status lurn_conductor_play (lurn_wave *w, int first_unit, int last_unit) {
  for (int k = first_unit; k < last_unit; k++) {
    const lurn_section *u = &w->schedule->unit[k];
    lurn_status status = LURN_OK;
    if (w->ctx->stop && *w->ctx->stop) return lurn_fail(w->ctx, LURN_EINTR, "interrupted");
    if (u->kind != LURN_SECTION_LOOP) { play_units(w, u, 1, 0, w->batch->T); continue; }
    if ((status = play_loop(w, u)) != LURN_OK) return status;
    k += u->before + u->step + u->after;
  }
  return LURN_OK;
}
