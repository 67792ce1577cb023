/* hand.c: one thread's share of a section: instructions over rows, strips, lists of products. */
#include "hand.h"

#include <string.h>

#include "ready.h"
#include "sharing.h"

/* ---------- who has what ---------- */

static void share_rows (const lurn_hand *h, int n, int *first, int *rows) {
  int from = h->row, to = n < h->end ? n : h->end;
  if (!h->in_step) lurn_share(n, h->part, h->parts, &from, &to);
  *first = from;
  *rows = to > from ? to - from : 0;
}

/* Columns [from, to) of what has n: whole panels, so that a product's weights can be entered there. */
static void share_columns (const lurn_hand *h, int n, int *from, int *to) {
  int panel = h->w->kernels->panel, panels = h->w->kernels->panels(n);
  lurn_share(panels, h->part, h->parts, from, to);
  *from *= panel;
  *to = *to == panels ? n : *to * panel;
}

/* ---------- one instruction ---------- */

/* Row `first` of register r, counted from the beginning of step t; what has only one step's place, or a block's,
 * is always there. */
static char *address (const lurn_wave *w, lurn_reg r, int t, int first) {
  const lurn_register *x = &w->program->reg[r];
  size_t row = lurn_row_bytes(x);
  char *base = w->base[r];
  if (x->axis == LURN_ONCE) return base;
  if (lurn_on_time(x->axis) && lurn_keeps_frames(w->schedule, r)) first += lurn_wave_along(w, x->axis)->start[t];
  return base + row * (size_t)first;
}

char *lurn_conductor_row (const lurn_wave *w, lurn_reg r, int t, int row) { return address(w, r, t, row); }

static ptrdiff_t row_step (const lurn_register *x) { return x->axis == LURN_ONCE ? 0 : x->cols; }

/* A matrix that is computed (a weight that is dropped) is packed where it is used; but for a loop's steps it is packed
 * once, when the loop begins. */
static int packs_itself (const lurn_hand *h, const lurn_instr *i) { return !h->in_step && lurn_is_computed(h->w, i); }

static const real *packed_weights (const lurn_wave *w, const lurn_instr *i, int n, int pack) {
  int entry = w->schedule->packed[n];
  if (entry < 0) return NULL;
  if (pack) lurn_packing_play(w->kernels, &w->schedule->pack[entry].how, w->base[i->in[2]], w->packed[entry]);
  return w->packed[entry];
}

static void prepare (const lurn_hand *h, lurn_call *c, int n) {
  const lurn_wave *w = h->w;
  const lurn_instr *i = &w->program->instr[n];
  *c = (lurn_call){.ctx = w->ctx, .kernels = w->kernels, .program = w->program, .instr = i,
                   .batch = lurn_wave_along(w, w->axis[n]), .first = w->batch, .scratch = w->op_scratch,
                   .moment = &w->moment, .part = 0, .parts = 1};
  for (int k = 0; k < w->op[n]->nin; k++) if (i->in[k] >= 0) c->step[k] = row_step(&w->program->reg[i->in[k]]);
  c->packed = packed_weights(w, i, n, packs_itself(h, i));
}

static void play_call_rows (const lurn_wave *w, lurn_call *c, int t, int first, int rows) {
  const lurn_instr *i = c->instr;
  const lurn_op *op = w->op[i - w->program->instr];
  if (rows <= 0) return;
  c->out = address(w, i->out, t, first);
  for (int k = 0; k < op->nin; k++)
    if (i->in[k] >= 0) c->in[k] = lurn_reads_whole(op, k) ? address(w, i->in[k], 0, 0) : address(w, i->in[k], t, first);
  if (c->go_on && lurn_accumulates(op)) c->in[0] = c->out;
  c->t = t;
  c->row = first;
  c->rows = rows;
  op->play(c);
}

/* Rows of the axis that a whole op works on. */
static int whole_rows (const lurn_wave *w, const lurn_instr *i) {
  int axis = w->axis[i - w->program->instr];
  return lurn_on_time(axis) ? lurn_wave_along(w, axis)->N : axis == LURN_ONCE ? 1 : w->batch->B;
}

/* Must be met step by step: an operand with one row per sequence, or a result that depends on
 * which sequence a frame belongs to. */
static int by_step (const lurn_wave *w, const lurn_instr *i) {
  const lurn_op *op = w->op[i - w->program->instr];
  if (op->flags & (LURN_OP_RANDOM | LURN_OP_MEMORY)) return 1;
  for (int k = 0; k < op->nin; k++)
    if (i->in[k] >= 0 && lurn_axis_level(w->program->reg[i->in[k]].axis) == LURN_ROW) return 1;
  return 0;
}

/* Works on a whole axis, or on the steps [from, to) of a block, or is there once. */
static void play_whole (const lurn_hand *h, lurn_call *c, int axis, int from, int to) {
  const lurn_op *op = h->w->op[c->instr - h->w->program->instr];
  if (op->flags & LURN_OP_SPLITS) { c->part = h->part; c->parts = h->parts; }
  else if (h->part > 0) return;
  c->go_on = h->w->go_on || h->block > 1;
  if (h->w->window) c->lanes = h->w->lanes + (c->instr - h->w->program->instr) * LURN_TOTAL_LANES;
  int rows = op->flags & LURN_OP_WHOLE ? whole_rows(h->w, c->instr) : axis == LURN_ONCE ? 1 : h->w->batch->B;
  if (h->block) rows = c->batch->start[to] - c->batch->start[from];
  play_call_rows(h->w, c, h->block ? from : 0, 0, rows);
}

static void play_call (const lurn_hand *h, int n, int from, int to) {
  const lurn_wave *w = h->w;
  const lurn_instr *i = &w->program->instr[n];
  int axis = w->program->reg[i->out].axis, first, rows;
  lurn_call c;
  prepare(h, &c, n);
  if (!lurn_on_time(axis) || (w->op[n]->flags & LURN_OP_WHOLE)) { play_whole(h, &c, axis, from, to); return; }
  int stride = h->in_step || by_step(w, i) ? 1 : to - from;
  for (int t = from; t < to; t += stride) {
    const int32_t *start = lurn_wave_along(w, axis)->start;
    share_rows(h, start[t + stride] - start[t], &first, &rows);
    play_call_rows(w, &c, t, first, rows);
  }
}

/* ---------- what is ready: strips and lists ---------- */

/* Reals of an operand that is the same for all rows, repeated so that some of them are played together. */
enum { TILE = 256 };

/* Whether the next row is elsewhere. */
static int moves (const lurn_spot *at) { return at->row != 0 || at->own; }

static const real *repeat (real *tile, const real *x, int cols, int rows) {
  for (int m = 0; m < rows; m++) memcpy(tile + m * cols, x, sizeof *x * (size_t)cols);
  return tile;
}

/* n rows of `cols` columns of a map, which do not lie one behind the other, or have an operand that is the same for all. */
static void play_apart (const lurn_ready *a, real *out, const real *in[3], int n, int cols) {
  real tile[3][TILE];
  int most = cols == a->cols && cols < TILE ? TILE / cols : 1;
  for (int j = 0; most > 1 && j < 3; j++)
    if (in[j] && !moves(&a->in[j])) in[j] = repeat(tile[j], in[j], cols, most < n ? most : n);
  for (int m = 0; m < n; m += most, out += a->cols * most) {
    a->f(out, in[0], in[1], in[2], a->k, (size_t)cols * (size_t)(n - m < most ? n - m : most));
    for (int j = 0; j < 3; j++) if (moves(&a->in[j])) in[j] += a->cols * most;
  }
}

/* Columns [from, to) of rows row .. row + n - 1 of a map, of a step whose frames begin at `start`. */
static void play_map (const lurn_ready *a, const char *scratch, int start, int row, int n, int from, int to) {
  const real *in[3];
  real *out = lurn_spot_at(&a->out, scratch, start, row);
  for (int j = 0; j < 3; j++) in[j] = lurn_spot_at(&a->in[j], scratch, start, row);
  for (int j = 0; from > 0 && j < 3; j++) if (in[j]) in[j] += from;
  out += from;
  if (a->still || to - from < a->cols) play_apart(a, out, in, n, to - from);
  else a->f(out, in[0], in[1], in[2], a->k, (size_t)a->cols * (size_t)n);
}

/* The same of an op that is no map; operands may be indices. */
static void play_filler (const lurn_hand *h, int at, int start, int row, int n) {
  const lurn_ready *a = &h->w->ready[at];
  lurn_call c;
  prepare(h, &c, at);
  c.out = lurn_spot_at(&a->out, h->scratch, start, row);
  for (int j = 0; j < h->w->op[at]->nin; j++) c.in[j] = lurn_spot_at(&a->in[j], h->scratch, start, row);
  c.rows = n;
  h->w->op[at]->play(&c);
}

typedef struct patch { int first, rows, from, to; } patch;       /* rows, and columns [from, to) of them */

static void play_patch (const lurn_hand *h, const lurn_section *u, int start, const patch *at, int cols) {
  const int *order = h->w->schedule->order + u->first;
  const lurn_ready *ready = h->w->ready;
  int block = h->w->schedule->choices.strip / cols;
  if (block < 1) block = 1;
  for (int r = 0; r < at->rows; r += block) {
    int n = at->rows - r < block ? at->rows - r : block;
    for (int k = 0; k < u->count; k++)
      if (ready[order[k]].f) play_map(&ready[order[k]], h->scratch, start, at->first + r, n, at->from, at->to);
      else play_filler(h, order[k], start, at->first + r, n);
  }
}

static void play_strip (const lurn_hand *h, const lurn_section *u, int columns, int from, int to) {
  const lurn_wave *w = h->w;
  const int *order = w->schedule->order + u->first;
  const lurn_register *x = &w->program->reg[w->program->instr[order[0]].out];
  int stride = to - from;
  patch at = {.rows = x->axis == LURN_ONCE ? 1 : w->batch->B, .to = x->cols};
  if (columns) share_columns(h, x->cols, &at.from, &at.to);
  if (at.from >= at.to) return;
  if (!lurn_on_time(x->axis)) { play_patch(h, u, 0, &at, x->cols); return; }
  const int32_t *start = lurn_wave_along(w, x->axis)->start;
  for (int k = 0; !h->in_step && k < u->count; k++) if (by_step(w, &w->program->instr[order[k]])) stride = 1;
  for (int t = from; t < to; t += stride) {
    at.rows = start[t + stride] - start[t];
    if (!columns) share_rows(h, at.rows, &at.first, &at.rows);
    play_patch(h, u, start[t], &at, x->cols);
  }
}

/* Columns of a product's result are those of its weights. */
static void narrow (const lurn_hand *h, lurn_product *job) {
  int from, to;
  share_columns(h, job->N, &from, &to);
  if (from >= to) { job->N = 0; return; }
  job->packed += h->w->kernels->pack_count(job->K, from);
  if (job->init) job->init += from;
  job->c += from;
  job->N = to - from;
}

/* No product of a list must be met step by step. */
static void play_list (const lurn_hand *h, const lurn_section *u, int columns, int from, int to) {
  const lurn_wave *w = h->w;
  const int *order = w->schedule->order + u->first;
  lurn_product job[LURN_LIST_MOST];
  int axis = w->axis[order[0]], start = 0, first = 0, rows = axis == LURN_ONCE ? 1 : w->batch->B;
  if (lurn_on_time(axis)) {
    start = lurn_wave_along(w, axis)->start[from];
    rows = lurn_wave_along(w, axis)->start[to] - start;
    if (!columns) share_rows(h, rows, &first, &rows);
  }
  if (rows <= 0) return;
  for (int k = 0; k < u->count; k++) {
    const lurn_ready *a = &w->ready[order[k]];
    job[k] = a->job;
    job[k].M = rows;
    job[k].a = lurn_spot_at(&a->in[1], NULL, start, first);
    job[k].init = lurn_spot_at(&a->in[0], NULL, start, first);
    job[k].c = lurn_spot_at(&a->out, NULL, start, first);
    if (columns) narrow(h, &job[k]);
  }
  w->kernels->product(job, u->count);
}

static void play_section (const lurn_hand *h, int unit, int from, int to) {
  const lurn_section *u = &h->w->schedule->unit[unit];
  int columns = h->w->sharing[unit].how == LURN_SHARED_COLUMNS;
  if (u->kind == LURN_SECTION_STRIP) play_strip(h, u, columns, from, to);
  else if (u->kind == LURN_SECTION_LIST && !h->w->ctx->blas) play_list(h, u, columns, from, to);
  else for (int k = 0; k < u->count; k++) play_call(h, h->w->schedule->order[u->first + k], from, to);
}

void lurn_hand_play (const lurn_hand *h, int unit, int from, int to) {
  if (h->parts == 1 || h->w->sharing[unit].how != LURN_SHARED_ALONE) { play_section(h, unit, from, to); return; }
  if (h->part > 0) return;
  lurn_hand alone = *h;
  alone.parts = 1;
  alone.row = 0;
  alone.end = INT32_MAX;
  play_section(&alone, unit, from, to);
}

/* ---------- a loop's states and matrices ---------- */

/* n rows of a register to another place: those columns that this hand has. */
static void copy_columns (const lurn_hand *h, const lurn_register *x, char *to, const char *from, int n) {
  size_t row = lurn_row_bytes(x), one = lurn_dtype_size((lurn_dtype)x->dtype);
  int first, end;
  share_columns(h, x->cols, &first, &end);
  for (int r = 0; first < end && r < n; r++, to += row, from += row)
    memcpy(to + one * (size_t)first, from + one * (size_t)first, one * (size_t)(end - first));
}

/* The state at step t is what the step played before left in its next register; rows that were
 * not alive then (a reversed scan meets them at their end) start from the initial value. */
void lurn_hand_enter (const lurn_hand *h, const lurn_scan *s, int how, int t) {
  const lurn_wave *w = h->w;
  const lurn_batch *b = lurn_wave_along(w, s->axis);
  int before = s->reverse ? t + 1 : t - 1, live = b->live[t], first = 0, old = 0, columns = how == LURN_SHARED_COLUMNS;
  if (!columns) share_rows(h, live, &first, &live);
  if (live <= 0) return;
  if (before >= 0 && before < b->T) old = b->live[before] - first;
  old = old < 0 ? 0 : old < live ? old : live;
  for (int k = 0; k < s->nstate; k++) {
    const lurn_register *x = &w->program->reg[s->state[k].prev];
    const char *from = w->from[(s - w->program->scans) * LURN_MAX_STATES + k];
    size_t row = lurn_row_bytes(x);
    char *to = address(w, s->state[k].prev, t, first);
    const char *last = old > 0 ? address(w, s->state[k].next, before, first) : NULL;
    const char *init = live == old ? NULL : from ? from + row * (size_t)(first + old)
      : address(w, s->state[k].init, 0, first + old);
    if (columns) {
      copy_columns(h, x, to, last, old);
      copy_columns(h, x, to + row * (size_t)old, init, live - old);
      continue;
    }
    if (last) memcpy(to, last, row * (size_t)old);
    if (init) memcpy(to + row * (size_t)old, init, row * (size_t)(live - old));
  }
}

void lurn_hand_pack (const lurn_hand *h, int loop) {
  const lurn_wave *w = h->w;
  const lurn_section *u = &w->schedule->unit[loop + 1 + w->schedule->unit[loop].before];
  for (int k = 0; h->part == 0 && k < w->schedule->unit[loop].step; k++)
    for (int j = u[k].first; j < u[k].first + u[k].count; j++) {
      int n = w->schedule->order[j];
      if (lurn_is_computed(w, &w->program->instr[n])) packed_weights(w, &w->program->instr[n], n, 1);
    }
}
