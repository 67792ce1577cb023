/* conductor.c: plays a schedule over packed ragged time, forward and backward, for every cell.
 *
 * All threads go through the units together, each with its hand (hand.h) in what is shared, and meet where sharing.h
 * says. When the stop flag is seen nobody plays on, but all go on to meet each other until the end.
 */
#include <stdatomic.h>

#include "hand.h"
#include "pool.h"
#include "ready.h"
#include "sharing.h"

/* What a pool is given: units [first, last). In cache lines of its own, as everybody reads it again and again. */
typedef struct piece {
  _Alignas(LURN_ALIGN) lurn_wave *w;
  int first, last;
  atomic_int cut;               /* the stop flag was seen */
} piece;

typedef struct going { piece *p; lurn_hand h; } going;      /* one thread, on its way through them */

static void meet (const going *g) { if (g->h.parts > 1) lurn_pool_meet(g->h.w->ctx->pool, g->h.part); }

static int is_cut (const going *g) { return atomic_load_explicit(&g->p->cut, memory_order_relaxed); }

/* Looks at the stop flag. */
static int stops (const going *g) {
  if (!is_cut(g) && lurn_stopped(g->h.w->ctx)) atomic_store(&g->p->cut, 1);
  return is_cut(g);
}

static void play (const going *g, int unit, int from, int to) {
  if (g->h.w->sharing[unit].meet) meet(g);
  if (!is_cut(g)) lurn_hand_play(&g->h, unit, from, to);
}

/* The axis that a section's rows are on. */
static int section_axis (const lurn_wave *w, int unit) { return w->axis[w->schedule->order[w->schedule->unit[unit].first]]; }

/* Whether any of these units is shared: then threads may be apart. */
static int is_shared (const lurn_wave *w, int first, int count) {
  for (int k = first; k < first + count; k++) if (w->sharing[k].how != LURN_SHARED_ALONE) return 1;
  return 0;
}

/* ---------- a section ---------- */

/* Elements between two looks at the stop flag: some milliseconds of a wide product. */
#define LOOK (1 << 20)

/* Whether the section can be played stretch by stretch: each of its results belongs to a frame, and is the same however
 * many frames are played together. OpenBLAS does not promise that; a matrix that is computed would be packed again. */
static int stretches (const lurn_wave *w, const lurn_section *u) {
  int yes = !w->ctx->blas;
  for (int j = u->first; j < u->first + u->count; j++) {
    int n = w->schedule->order[j];
    const lurn_instr *i = &w->program->instr[n];
    yes &= lurn_on_time(w->program->reg[i->out].axis) && !(w->op[n]->flags & LURN_OP_WHOLE) && !lurn_is_computed(w, i);
  }
  return yes;
}

/* A section over steps [from, to), the stop flag looked at before it and within a long one. */
static void play_steadily (const going *g, int unit, int from, int to) {
  const lurn_wave *w = g->h.w;
  const lurn_section *u = &w->schedule->unit[unit];
  const lurn_batch *b = lurn_wave_along(w, section_axis(w, unit));
  const lurn_register *x = &w->program->reg[w->program->instr[w->schedule->order[u->first]].out];
  double share = (double)LOOK / ((double)b->N * x->cols + 1);
  int span = share < 1 && stretches(w, u) ? (int)(b->T * share) + 1 : to - from, done = from;
  if (w->sharing[unit].meet) meet(g);
  do {
    int end = to - done < span ? to : done + span;
    if (stops(g)) return;
    lurn_hand_play(&g->h, unit, done, end);
    done = end;
  } while (done < to);
}

/* ---------- a loop ---------- */

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

/* Some rows through steps [from, to) of a scan: nobody else's rows matter. */
static void play_rows (const going *g, const lurn_scan *s, int unit, int count, int from, int to) {
  const lurn_wave *w = g->h.w;
  for (int k = 0; k < to - from && !stops(g); k++) {
    int t = s->reverse ? to - 1 - k : from + k;
    if (lurn_wave_along(w, s->axis)->live[t] <= g->h.row) continue;
    lurn_hand_enter(&g->h, s, LURN_SHARED_ROWS, t);
    for (int u = unit; u < unit + count; u++) lurn_hand_play(&g->h, u, t, t + 1);
  }
}

/* All threads through each step together: nobody begins one before all have ended the one before. */
static void play_together (const going *g, const lurn_scan *s, int unit, int count, int from, int to) {
  for (int k = 0; k < to - from; k++) {
    int t = s->reverse ? to - 1 - k : from + k;
    if (k > 0) meet(g);
    if (!stops(g)) lurn_hand_enter(&g->h, s, LURN_SHARED_COLUMNS, t);
    for (int u = unit; u < unit + count; u++) play(g, u, t, t + 1);
  }
}

static void play_steps (const going *g, int loop, int from, int to) {
  const lurn_wave *w = g->h.w;
  const lurn_section *u = &w->schedule->unit[loop];
  const lurn_scan *s = &w->program->scans[u->scan];
  const lurn_batch *b = lurn_wave_along(w, s->axis);
  int how = w->sharing[loop].how, unit = loop + 1 + u->before;
  going mine = *g;
  if (w->sharing[loop].meet) meet(g);
  if (how == LURN_SHARED_ALONE) mine.h.parts = 1;
  mine.h.in_step = 1;
  mine.h.row = mine.h.parts > 1 ? first_row(b, mine.h.part, mine.h.parts) : 0;
  mine.h.end = mine.h.parts > 1 ? first_row(b, mine.h.part + 1, mine.h.parts) : b->B;
  if (how == LURN_SHARED_COLUMNS) play_together(&mine, s, unit, u->step, from, to);
  else if (how == LURN_SHARED_ROWS || g->h.part == 0) play_rows(&mine, s, unit, u->step, from, to);
}

/* Time in spans: what is made ahead of the steps, the steps, what is made of them. */
static void play_loop (const going *g, int loop) {
  const lurn_wave *w = g->h.w;
  const lurn_section *u = &w->schedule->unit[loop];
  const lurn_scan *s = &w->program->scans[u->scan];
  int T = lurn_wave_along(w, s->axis)->T, span = w->sharing[loop].span, after = loop + 1 + u->before + u->step;
  int shared = is_shared(w, loop, after + u->after - loop);
  for (int done = 0; done < T; done += span) {
    int n = T - done < span ? T - done : span;
    int from = s->reverse ? T - done - n : done;
    if (done > 0 && shared) meet(g);
    for (int k = loop + 1; k <= loop + u->before; k++) play_steadily(g, k, from, from + n);
    if (done == 0 && w->sharing[loop].packs) lurn_hand_pack(&g->h, loop);
    play_steps(g, loop, from, from + n);
    for (int k = after; k < after + u->after; k++) play_steadily(g, k, from, from + n);
  }
}

/* From the last steps to the first, some at a time. */
static void play_block (const going *g, int block) {
  const lurn_wave *w = g->h.w;
  const lurn_section *u = &w->schedule->unit[block];
  int T = lurn_wave_along(w, section_axis(w, block + 1))->T, steps = lurn_wave_block(w);
  int shared = is_shared(w, block + 1, u->before);
  going mine = *g;
  for (int to = T, from; to > 0; to = from) {
    from = to > steps ? to - steps : 0;
    mine.h.block = to < T ? 2 : 1;
    if (to < T && shared) meet(g);
    stops(g);
    for (int k = block + 1; k <= block + u->before; k++) play(&mine, k, from, to);
  }
}

/* ---------- all of them ---------- */

/* What the weights alone make is there until they change, and is played before everything else. */
static int is_missing (const lurn_wave *w, int unit) {
  return w->schedule->constant[unit] && w->known[unit] != w->weights;
}

static void play_units (void *arg, int part, int parts) {
  piece *p = arg;
  lurn_wave *w = p->w;
  going g = {p, {.w = w, .part = part, .parts = parts,
                 .scratch = (char *)w->scratch + (size_t)part * (size_t)w->schedule->nslot * w->slot_bytes}};
  for (int k = p->first; k < p->last; k++) {
    const lurn_section *u = &w->schedule->unit[k];
    if (w->schedule->constant[k]) continue;
    if (u->kind == LURN_SECTION_LOOP) play_loop(&g, k);
    else if (u->kind == LURN_SECTION_BLOCK) play_block(&g, k);
    else play_steadily(&g, k, 0, lurn_wave_along(w, section_axis(w, k))->T);
    k += u->before + u->step + u->after;
  }
}

static void play_constants (piece *p) {
  lurn_wave *w = p->w;
  going g = {p, {.w = w, .parts = 1, .scratch = (char *)w->scratch}};
  for (int k = p->first; k < p->last; k++) {
    if (!is_missing(w, k)) continue;
    play_steadily(&g, k, 0, lurn_wave_along(w, section_axis(w, k))->T);
    if (!is_cut(&g)) w->known[k] = w->weights;
  }
}

lurn_status lurn_conductor_play (lurn_wave *w, int first_unit, int last_unit) {
  piece p = {.w = w, .first = first_unit, .last = last_unit};
  lurn_sharing_find(w);
  lurn_ready_find(w);
  play_constants(&p);
  if (is_shared(w, first_unit, last_unit - first_unit)) lurn_pool_run(w->ctx->pool, play_units, &p);
  else play_units(&p, 0, 1);
  return p.cut ? lurn_fail(w->ctx, LURN_EINTR, "interrupted") : LURN_OK;
}
