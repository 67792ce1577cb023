/* conductor.c: plays a schedule over packed ragged time, forward and backward, for every cell. */
#include <stdatomic.h>
#include <string.h>

#include "pool.h"
#include "ready.h"

/* ---------- who plays what ---------- */

/* One thread's hand in a piece of work. Rows of a frame depend on the same rows only, so whoever has
 * rows [row, end) of every step can play a whole scan without waiting for anybody. */
typedef struct hand {
  lurn_wave *w;
  int part, parts;
  int in_step;                  /* 1: rows [row, end) of the step; 0: a share of the whole range */
  int row, end;
  int block;                    /* steps [from, to) of a block: 1 the last ones, 2 those before */
  char *scratch;                /* of its strips */
} hand;

/* Rows of a step that a thread must have at least: with fewer it waits for its own products. */
enum { LEAST_ROWS = 2 };

static void share_rows (const hand *h, int n, int *first, int *rows) {
  int from = h->row, to = n < h->end ? n : h->end;
  if (!h->in_step) lurn_share(n, h->part, h->parts, &from, &to);
  *first = from;
  *rows = to - from;
}

/* Frames of the rows before `row`, which are the longest. */
static int64_t frames_before (const lurn_batch *b, int row) {
  int64_t sum = 0;
  for (int t = 0; t < b->T; t++) sum += b->live[t] < row ? b->live[t] : row;
  return sum;
}

/* Where part `part` of the rows begins, so that all parts have as many frames. */
static int first_row (const lurn_batch *b, int part, int parts) {
  int low = 0, high = b->B;
  while (low < high) {
    int middle = (low + high) / 2;
    if (frames_before(b, middle) * parts < (int64_t)b->N * part) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* ---------- one instruction ---------- */


static const lurn_batch *along (const lurn_wave *w, int axis) { return lurn_batch_along(w->batch, axis); }
static int on_time (int axis) { return lurn_axis_level(axis) == LURN_TIME; }

/* Row `first` of register r, counted from the beginning of step t; what has only one step's place, or a block's,
 * is always there. */
static char *address (const lurn_wave *w, lurn_reg r, int t, int first) {
  const lurn_register *x = &w->program->reg[r];
  size_t row = lurn_row_bytes(x);
  char *base = w->base[r];
  if (x->axis == LURN_ONCE) return base;
  if (on_time(x->axis) && lurn_keeps_frames(w->schedule, r)) first += along(w, x->axis)->start[t];
  return base + row * (size_t)first;
}

char *lurn_conductor_row (const lurn_wave *w, lurn_reg r, int t, int row) { return address(w, r, t, row); }

static ptrdiff_t row_step (const lurn_register *x) { return x->axis == LURN_ONCE ? 0 : x->cols; }

static int is_computed (const lurn_wave *w, const lurn_instr *i) {
  lurn_packing how;
  return lurn_packing_of(w->program, i, &how) && w->program->reg[i->in[2]].kind != LURN_REG_PARAM && !w->ctx->blas;
}

/* A matrix that is computed (a weight that is dropped) is packed where it is used, and that product is played by one
 * thread; but for a loop's steps it is packed once, when the loop begins. */
static int packs_itself (const hand *h, const lurn_instr *i) { return !h->in_step && is_computed(h->w, i); }

static const real *packed_weights (const lurn_wave *w, const lurn_instr *i, int n, int pack) {
  int entry = w->schedule->packed[n];
  if (entry < 0) return NULL;
  if (pack) lurn_packing_play(w->kernels, &w->schedule->pack[entry].how, w->base[i->in[2]], w->packed[entry]);
  return w->packed[entry];
}

static void prepare (const hand *h, lurn_call *c, int n) {
  const lurn_wave *w = h->w;
  const lurn_instr *i = &w->program->instr[n];
  *c = (lurn_call){.ctx = w->ctx, .kernels = w->kernels, .program = w->program, .instr = i,
                   .batch = along(w, w->axis[n]), .first = w->batch, .scratch = w->op_scratch,
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
  return on_time(axis) ? along(w, axis)->N : axis == LURN_ONCE ? 1 : w->batch->B;
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

/* Works on a whole axis, or on the steps [from, to) of a block, or is there once: the first thread alone, unless the op
 * splits itself. */
static void play_whole (const hand *h, lurn_call *c, int axis, int from, int to) {
  const lurn_op *op = h->w->op[c->instr - h->w->program->instr];
  int splits = (op->flags & LURN_OP_SPLITS) != 0;
  if (!splits && h->part > 0) return;
  if (splits) { c->part = h->part; c->parts = h->parts; }
  c->go_on = h->w->go_on || h->block > 1;
  if (h->w->window) c->lanes = h->w->lanes + (c->instr - h->w->program->instr) * LURN_TOTAL_LANES;
  int rows = op->flags & LURN_OP_WHOLE ? whole_rows(h->w, c->instr) : axis == LURN_ONCE ? 1 : h->w->batch->B;
  if (h->block) rows = c->batch->start[to] - c->batch->start[from];
  play_call_rows(h->w, c, h->block ? from : 0, 0, rows);
}

static void play_call (const hand *h, int n, int from, int to) {
  const lurn_wave *w = h->w;
  const lurn_instr *i = &w->program->instr[n];
  int axis = w->program->reg[i->out].axis, first, rows;
  lurn_call c;
  if (packs_itself(h, i) && h->part > 0) return;
  hand alone = {.w = h->w, .parts = 1, .scratch = h->scratch};
  const hand *mine = packs_itself(h, i) ? &alone : h;
  prepare(h, &c, n);
  if (!on_time(axis) || (w->op[n]->flags & LURN_OP_WHOLE)) { play_whole(h, &c, axis, from, to); return; }
  int stride = h->in_step || by_step(w, i) ? 1 : to - from;
  for (int t = from; t < to; t += stride) {
    const int32_t *start = along(w, axis)->start;
    share_rows(mine, start[t + stride] - start[t], &first, &rows);
    play_call_rows(w, &c, t, first, rows);
  }
}

/* ---------- what is ready: strips and lists ---------- */

/* Rows row .. row + n - 1 of a map, of a step whose frames begin at `start`. */
static void play_map (const lurn_ready *a, const char *scratch, int start, int row, int n) {
  const real *in[3];
  real *out = lurn_spot_at(&a->out, scratch, start, row);
  for (int j = 0; j < 3; j++) in[j] = lurn_spot_at(&a->in[j], scratch, start, row);
  if (!a->still) { a->f(out, in[0], in[1], in[2], a->k, (size_t)a->cols * (size_t)n); return; }
  for (int m = 0; m < n; m++, out += a->cols) {
    a->f(out, in[0], in[1], in[2], a->k, (size_t)a->cols);
    for (int j = 0; j < 3; j++) if (a->in[j].row || a->in[j].own) in[j] += a->cols;
  }
}

/* The same of an op that is no map; operands may be indices. */
static void play_filler (const hand *h, int at, int start, int row, int n) {
  const lurn_ready *a = &h->w->ready[at];
  lurn_call c;
  prepare(h, &c, at);
  c.out = lurn_spot_at(&a->out, h->scratch, start, row);
  for (int j = 0; j < h->w->op[at]->nin; j++) c.in[j] = lurn_spot_at(&a->in[j], h->scratch, start, row);
  c.rows = n;
  h->w->op[at]->play(&c);
}

static void play_strip_rows (const hand *h, const lurn_section *u, int start, int first, int rows, int cols) {
  const int *order = h->w->schedule->order + u->first;
  const lurn_ready *ready = h->w->ready;
  int block = h->w->schedule->choices.strip / cols;
  if (block < 1) block = 1;
  for (int r = 0; r < rows; r += block) {
    int n = rows - r < block ? rows - r : block;
    for (int k = 0; k < u->count; k++)
      if (ready[order[k]].f) play_map(&ready[order[k]], h->scratch, start, first + r, n);
      else play_filler(h, order[k], start, first + r, n);
  }
}

static void play_strip (const hand *h, const lurn_section *u, int from, int to) {
  const lurn_wave *w = h->w;
  const int *order = w->schedule->order + u->first;
  const lurn_register *x = &w->program->reg[w->program->instr[order[0]].out];
  int stride = to - from, first, rows;
  if (!on_time(x->axis)) {
    if (h->part == 0) play_strip_rows(h, u, 0, 0, x->axis == LURN_ONCE ? 1 : w->batch->B, x->cols);
    return;
  }
  const int32_t *start = along(w, x->axis)->start;
  for (int k = 0; !h->in_step && k < u->count; k++) if (by_step(w, &w->program->instr[order[k]])) stride = 1;
  for (int t = from; t < to; t += stride) {
    share_rows(h, start[t + stride] - start[t], &first, &rows);
    play_strip_rows(h, u, start[t], first, rows, x->cols);
  }
}

/* No product of a list must be met step by step. */
static void play_list (const hand *h, const lurn_section *u, int from, int to) {
  const lurn_wave *w = h->w;
  const int *order = w->schedule->order + u->first;
  lurn_product job[LURN_LIST_MOST];
  int axis = w->axis[order[0]], start = 0, first = 0, rows = axis == LURN_ONCE ? 1 : w->batch->B;
  if (on_time(axis)) {
    start = along(w, axis)->start[from];
    share_rows(h, along(w, axis)->start[to] - start, &first, &rows);
  } else if (h->part > 0) return;
  if (rows <= 0) return;
  for (int k = 0; k < u->count; k++) {
    const lurn_ready *a = &w->ready[order[k]];
    job[k] = a->job;
    job[k].M = rows;
    job[k].a = lurn_spot_at(&a->in[1], NULL, start, first);
    job[k].init = lurn_spot_at(&a->in[0], NULL, start, first);
    job[k].c = lurn_spot_at(&a->out, NULL, start, first);
  }
  w->kernels->product(job, u->count);
}

static void play_section (const hand *h, const lurn_section *u, int from, int to) {
  if (u->kind == LURN_SECTION_STRIP) play_strip(h, u, from, to);
  else if (u->kind == LURN_SECTION_LIST && !h->w->ctx->blas) play_list(h, u, from, to);
  else for (int k = 0; k < u->count; k++) play_call(h, h->w->schedule->order[u->first + k], from, to);
}

/* ---------- together ---------- */

typedef struct piece {          /* what a pool is given: sections over steps [from, to), or those steps of a loop */
  lurn_wave *w;
  const lurn_section *u;
  int count, from, to, block;
  const lurn_scan *scan;        /* of a loop */
  atomic_int interrupted;
} piece;

static hand hand_of (const piece *p, int part, int parts) {
  lurn_wave *w = p->w;
  return (hand){.w = w, .part = part, .parts = parts, .block = p->block,
                .scratch = (char *)w->scratch + (size_t)part * (size_t)w->schedule->nslot * w->slot_bytes};
}

static void play_piece (void *arg, int part, int parts) {
  const piece *p = arg;
  hand h = hand_of(p, part, parts);
  play_section(&h, p->u, p->from, p->to);
}

static int threads_for (const lurn_wave *w, size_t elements) {
  int threads = lurn_pool_threads(w->ctx->pool);
  return threads > 1 && threads <= w->threads && elements >= (size_t)w->schedule->choices.worth ? threads : 1;
}

/* The axis that a section's rows are on. */
static int section_axis (const lurn_wave *w, const lurn_section *u) {
  return w->axis[w->schedule->order[u->first]];
}

/* One section after the other, each by all threads when it is large; block: as in hand, 0 outside of blocks. */
static void play_sections (lurn_wave *w, const lurn_section *u, int n, int from, int to, int block) {
  const lurn_program *p = w->program;
  for (; n > 0; n--, u++) {
    piece work = {.w = w, .u = u, .from = from, .to = to, .block = block};
    const lurn_instr *i = &p->instr[w->schedule->order[u->first]];
    const int32_t *start = along(w, section_axis(w, u))->start;
    size_t size = on_time(p->reg[i->out].axis) || (lurn_op_info(i->op)->flags & LURN_OP_SPLITS)
      ? (size_t)(start[to] - start[from]) * (size_t)p->reg[i->out].cols : 0;
    lurn_ready_section(w, u);
    if (threads_for(w, size) > 1) lurn_pool_run(w->ctx->pool, play_piece, &work);
    else play_piece(&work, 0, 1);
  }
}

/* Elements between two looks at the stop flag: some milliseconds of a wide product. */
#define LOOK (1 << 20)

/* Whether the section can be played stretch by stretch: each of its results belongs to a frame, and is the same however
 * many frames are played together. OpenBLAS does not promise that; a matrix that is computed would be packed again. */
static int stretches (const lurn_wave *w, const lurn_section *u) {
  int yes = !w->ctx->blas;
  for (int j = u->first; j < u->first + u->count; j++) {
    int n = w->schedule->order[j];
    const lurn_instr *i = &w->program->instr[n];
    yes &= on_time(w->program->reg[i->out].axis) && !(w->op[n]->flags & LURN_OP_WHOLE) && !is_computed(w, i);
  }
  return yes;
}

/* Sections one after the other over steps [from, to), the stop flag looked at in between and within long ones. */
static lurn_status play_steadily (lurn_wave *w, const lurn_section *u, int n, int from, int to) {
  for (; n > 0; n--, u++) {
    const lurn_batch *b = along(w, section_axis(w, u));
    const lurn_register *x = &w->program->reg[w->program->instr[w->schedule->order[u->first]].out];
    double share = (double)LOOK / ((double)b->N * x->cols + 1);
    int span = share < 1 && stretches(w, u) ? (int)(b->T * share) + 1 : to - from, done = from;
    do {
      int end = to - done < span ? to : done + span;
      if (lurn_stopped(w->ctx)) return lurn_fail(w->ctx, LURN_EINTR, "interrupted");
      play_sections(w, u, 1, done, end, 0);
      done = end;
    } while (done < to);
  }
  return LURN_OK;
}

/* ---------- a loop ---------- */

/* The state at step t is what the step played before left in its next register; rows that were
 * not alive then (a reversed scan meets them at their end) start from the initial value. */
static void enter_step (const hand *h, const lurn_scan *s, int t) {
  const lurn_wave *w = h->w;
  const lurn_batch *b = along(w, s->axis);
  int before = s->reverse ? t + 1 : t - 1, live, first, old = 0;
  share_rows(h, b->live[t], &first, &live);
  if (live <= 0) return;
  if (before >= 0 && before < b->T) old = b->live[before] - first;
  old = old < 0 ? 0 : old < live ? old : live;
  for (int k = 0; k < s->nstate; k++) {
    const lurn_register *x = &w->program->reg[s->state[k].prev];
    const char *from = w->from[(s - w->program->scans) * LURN_MAX_STATES + k];
    size_t row = lurn_row_bytes(x);
    char *to = address(w, s->state[k].prev, t, first);
    if (old > 0) memcpy(to, address(w, s->state[k].next, before, first), row * (size_t)old);
    if (live > old) memcpy(to + row * (size_t)old, from ? from + row * (size_t)(first + old)
                           : address(w, s->state[k].init, 0, first + old), row * (size_t)(live - old));
  }
}

/* Some rows through some steps of a scan: nobody else's rows matter. */
static void play_steps (void *arg, int part, int parts) {
  piece *p = arg;
  const lurn_wave *w = p->w;
  hand h = hand_of(p, part, parts);
  h.row = first_row(along(w, p->scan->axis), part, parts);
  h.end = first_row(along(w, p->scan->axis), part + 1, parts);
  h.in_step = 1;
  for (int k = 0; k < p->to - p->from; k++) {
    int t = p->scan->reverse ? p->to - 1 - k : p->from + k;
    if (lurn_stopped(w->ctx)) { p->interrupted = 1; return; }
    if (along(w, p->scan->axis)->live[t] <= h.row) continue;
    enter_step(&h, p->scan, t);
    for (int u = 0; u < p->count; u++) play_section(&h, &p->u[u], t, t + 1);
  }
}

/* The matrices that a loop's steps find computed. */
static void pack_for_steps (const lurn_wave *w, const lurn_section *u, int count) {
  for (int k = 0; k < count; k++)
    for (int j = u[k].first; j < u[k].first + u[k].count; j++) {
      int n = w->schedule->order[j];
      if (is_computed(w, &w->program->instr[n])) packed_weights(w, &w->program->instr[n], n, 1);
    }
}

/* A step whose rows are few is for one thread. */
static int loop_threads (const lurn_wave *w, const lurn_section *u, int count, int axis) {
  size_t size = 0;
  if (w->batch->B < LEAST_ROWS * lurn_pool_threads(w->ctx->pool)) return 1;
  for (int k = 0; k < count; k++)
    for (int j = u[k].first; j < u[k].first + u[k].count; j++) {
      const lurn_instr *i = &w->program->instr[w->schedule->order[j]];
      size += (size_t)w->program->reg[i->out].cols * (size_t)along(w, axis)->N;
    }
  return threads_for(w, size);
}

/* Reals per row and step that some sections leave over time. */
static size_t left_per_row (const lurn_wave *w, const lurn_section *u, int count) {
  size_t cols = 0;
  for (int k = 0; k < count; k++)
    for (int j = u[k].first; j < u[k].first + u[k].count; j++)
      cols += (size_t)w->program->reg[w->program->instr[w->schedule->order[j]].out].cols;
  return cols;
}

/* Steps of a span, when nobody chose them: as many as leave what is made ahead of the steps, or of them, in the
 * second-level cache; all, where these would be too few rows for weights that pass once per span. */
enum { SPAN_BYTES = 393216, SPAN_ROWS = 96 };

static int span_of (const lurn_wave *w, const lurn_section *u) {
  size_t ahead = left_per_row(w, u + 1, u->before), behind = left_per_row(w, u + 1 + u->before + u->step, u->after);
  size_t bytes = sizeof(real) * (size_t)w->batch->B * (ahead > behind ? ahead : behind);
  size_t steps = bytes ? SPAN_BYTES / bytes : 0;
  return steps * (size_t)w->batch->B >= SPAN_ROWS ? (int)steps : 0;
}

static lurn_status play_loop (lurn_wave *w, const lurn_section *u) {
  const lurn_scan *s = &w->program->scans[u->scan];
  const lurn_section *before = u + 1, *step = before + u->before, *after = step + u->step;
  int T = along(w, s->axis)->T, span = w->schedule->choices.span, threads = loop_threads(w, step, u->step, s->axis);
  if (span <= 0) span = span_of(w, u);
  if (span <= 0 || span > T) span = T;
  pack_for_steps(w, step, u->step);
  for (int k = 0; k < u->step; k++) lurn_ready_section(w, &step[k]);
  for (int done = 0; done < T; done += span) {
    int n = T - done < span ? T - done : span;
    int from = s->reverse ? T - done - n : done;
    piece steps = {.w = w, .u = step, .count = u->step, .from = from, .to = from + n, .scan = s};
    lurn_status status = play_steadily(w, before, u->before, from, from + n);
    if (status != LURN_OK) return status;
    if (threads > 1) lurn_pool_run(w->ctx->pool, play_steps, &steps);
    else play_steps(&steps, 0, 1);
    if (steps.interrupted) return lurn_fail(w->ctx, LURN_EINTR, "interrupted");
    status = play_steadily(w, after, u->after, from, from + n);
    if (status != LURN_OK) return status;
  }
  return LURN_OK;
}

static lurn_status play_block (lurn_wave *w, const lurn_section *u) {
  int T = along(w, section_axis(w, u + 1))->T, steps = lurn_wave_block(w);
  for (int to = T, from; to > 0; to = from) {
    if (lurn_stopped(w->ctx)) return lurn_fail(w->ctx, LURN_EINTR, "interrupted");
    from = to > steps ? to - steps : 0;
    play_sections(w, u + 1, u->before, from, to, to < T ? 2 : 1);
  }
  return LURN_OK;
}

/* What the weights alone make is there until they change. */
static int is_there (const lurn_wave *w, int unit) {
  return w->schedule->constant[unit] && w->known[unit] == w->weights;
}

lurn_status lurn_conductor_play (lurn_wave *w, int first_unit, int last_unit) {
  for (int k = first_unit; k < last_unit; k++) {
    const lurn_section *u = &w->schedule->unit[k];
    lurn_status status = LURN_OK;
    if (lurn_stopped(w->ctx)) return lurn_fail(w->ctx, LURN_EINTR, "interrupted");
    if (is_there(w, k)) continue;
    if (u->kind == LURN_SECTION_LOOP) status = play_loop(w, u);
    else if (u->kind == LURN_SECTION_BLOCK) status = play_block(w, u);
    else status = play_steadily(w, u, 1, 0, along(w, section_axis(w, u))->T);
    if (status != LURN_OK) return status;
    w->known[k] = w->weights;
    if (u->kind == LURN_SECTION_LOOP) k += u->before + u->step + u->after;
    if (u->kind == LURN_SECTION_BLOCK) k += u->before;
  }
  return LURN_OK;
}
