#include "sharing.h"

#include <string.h>

#include "pool.h"

/* Rows that each thread must have so that columns are not shared instead: in a loop, where nobody meets then, and
 * elsewhere. With fewer it waits for its own products, whose weights everybody reads. */
enum { LOOP_ROWS = 2, LEAST_ROWS = 8 };
/* Where each thread has fewer, weights from beyond the second-level cache take longer to read than what others have made
 * of the columns: at (512,2048), two threads, 4 rows took 0.82 of the time by columns, 8 rows 1.04 of it. */
enum { HEAVY_ROWS = 3 };
/* Multiply-adds of an outer product that take as long as a number of what else is shared. */
enum { OUTER_SHARE = 16 };
/* Steps of a span, when nobody chose them: as many as leave what is made ahead of the steps, or of them, in the
 * second-level cache; all, where these would be too few rows for weights that pass once per span. */
enum { SPAN_BYTES = 393216, SPAN_ROWS = 96 };

typedef struct look {           /* going through the units in the order in which they are played */
  lurn_wave *w;
  const lurn_program *p;
  const lurn_schedule *s;
  int threads, columns;         /* columns: multiply-adds from which on a list's columns are shared; 0: never */
  uint8_t *read, *wrote;        /* (nreg) of a root: the ways, 1 << how, since the last meeting */
  uint8_t *made;                /* (nreg) how a root was written last */
  int since, before;            /* ways of all sections since the last meeting, and of those in earlier units */
} look;

/* The way of rows, and of all columns: what somebody has of it in one section is not what it has in another. */
enum { OTHER = 1 << LURN_SHARED_ROWS };

static const lurn_instr *instr_at (const look *l, int k) { return &l->p->instr[l->s->order[k]]; }

int lurn_is_computed (const lurn_wave *w, const lurn_instr *i) {
  lurn_packing how;
  return lurn_packing_of(w->program, i, &how) && w->program->reg[i->in[2]].kind != LURN_REG_PARAM && !w->ctx->blas;
}

/* ---------- how ---------- */

/* Multiply-adds of a list for each row. */
static double list_work (const look *l, const lurn_section *u) {
  double sum = 0;
  for (int k = u->first; k < u->first + u->count; k++)
    sum += (double)l->p->reg[instr_at(l, k)->in[1]].cols * l->p->reg[instr_at(l, k)->out].cols;
  return sum;
}

/* Products whose columns can be shared, and are so many that there is something for everybody. */
static int is_wide_list (const look *l, const lurn_section *u) {
  const lurn_register *x = &l->p->reg[instr_at(l, u->first)->out];
  return u->kind == LURN_SECTION_LIST && !l->w->ctx->blas && lurn_on_time(x->axis) && l->w->kernels->panels(x->cols) > 1;
}

/* Maps alone, of which one reads what columns have made. */
static int follows_columns (const look *l, const lurn_section *u) {
  int follows = 0;
  if (u->kind != LURN_SECTION_STRIP || !lurn_on_time(l->p->reg[instr_at(l, u->first)->out].axis)) return 0;
  for (int k = u->first; k < u->first + u->count; k++) {
    const lurn_instr *i = instr_at(l, k);
    if (i->op >= LURN_NMAPS) return 0;
    for (int j = 0; j < LURN_MAX_IN; j++)
      follows |= i->in[j] >= 0 && l->made[l->s->root[i->in[j]]] == LURN_SHARED_COLUMNS;
  }
  return follows;
}

/* A section of so many rows. */
static int how_of (const look *l, const lurn_section *u, double rows, int by_columns) {
  const lurn_instr *i = instr_at(l, u->first);
  const lurn_op *op = lurn_op_info(i->op);
  const lurn_register *x = &l->p->reg[i->out];
  if (l->threads == 1 || lurn_is_computed(l->w, i)) return LURN_SHARED_ALONE;
  if (by_columns && l->columns && is_wide_list(l, u) && list_work(l, u) * rows >= l->columns) return LURN_SHARED_COLUMNS;
  if (by_columns && follows_columns(l, u)) return LURN_SHARED_COLUMNS;
  if (op->flags & LURN_OP_WHOLE ? !(op->flags & LURN_OP_SPLITS) : !lurn_on_time(x->axis) || rows < l->threads)
    return LURN_SHARED_ALONE;
  double elements = i->op == LURN_OP_OUTER ? rows * x->cols / OUTER_SHARE : rows * x->cols;
  return elements >= l->s->choices.worth ? LURN_SHARED_ROWS : LURN_SHARED_ALONE;
}

/* ---------- where they meet ---------- */

static void clear (look *l) {
  memset(l->read, 0, (size_t)l->p->nreg);
  memset(l->wrote, 0, (size_t)l->p->nreg);
  l->since = l->before = 0;
}

/* Whether what was done to something in those ways is still to be waited for by who goes on in this way. */
static int is_apart (int done, int way) { return done && (done != way || way == OTHER); }

static int is_shared (const look *l, lurn_reg r) {
  return r >= 0 && (l->p->reg[r].kind == LURN_REG_VALUE || l->p->reg[r].kind == LURN_REG_STATE);
}

static int reading_waits (const look *l, lurn_reg r, int way) {
  return is_shared(l, r) && is_apart(l->wrote[l->s->root[r]], way);
}
static int writing_waits (const look *l, lurn_reg r, int way) {
  return reading_waits(l, r, way) || is_apart(l->read[l->s->root[r]], way);
}

static void note_read (look *l, lurn_reg r, int way) { if (is_shared(l, r)) l->read[l->s->root[r]] |= (uint8_t)way; }
static void note_written (look *l, lurn_reg r, int way, int how) {
  l->wrote[l->s->root[r]] |= (uint8_t)way;
  l->made[l->s->root[r]] = (uint8_t)how;
}

/* How operand k is read in a section that is shared in that way. */
static int way_of (const lurn_section *u, int k, int how) {
  return how == LURN_SHARED_COLUMNS && u->kind == LURN_SECTION_LIST && k == 1 ? OTHER : 1 << how;
}

static int section_waits (const look *l, const lurn_section *u, int how) {
  for (int k = u->first; k < u->first + u->count; k++) {
    const lurn_instr *i = instr_at(l, k);
    if (writing_waits(l, i->out, 1 << how)) return 1;
    for (int j = 0; j < LURN_MAX_IN; j++) if (reading_waits(l, i->in[j], way_of(u, j, how))) return 1;
  }
  return 0;
}

static void note_section (look *l, const lurn_section *u, int how) {
  for (int k = u->first; k < u->first + u->count; k++) {
    const lurn_instr *i = instr_at(l, k);
    for (int j = 0; j < LURN_MAX_IN; j++) note_read(l, i->in[j], way_of(u, j, how));
    note_written(l, i->out, 1 << how, how);
  }
}

static int states_wait (const look *l, const lurn_scan *s, int how) {
  for (int k = 0; k < s->nstate; k++)
    if (writing_waits(l, s->state[k].prev, 1 << how) || reading_waits(l, s->state[k].next, 1 << how)
        || reading_waits(l, s->state[k].init, 1 << how)) return 1;
  return 0;
}

static void note_states (look *l, const lurn_scan *s, int how) {
  for (int k = 0; k < s->nstate; k++) {
    note_read(l, s->state[k].next, 1 << how);
    note_read(l, s->state[k].init, 1 << how);
    note_written(l, s->state[k].prev, 1 << how, how);
  }
}

/* Decides for `unit`, which waits for what else there is to wait for as `waits` says. */
static void decide (look *l, int unit, int how, int waits) {
  lurn_sharing *sharing = &l->w->sharing[unit];
  sharing->how = (uint8_t)how;
  sharing->meet = (uint8_t)(waits || (l->before && (l->before | 1 << how) != 1 << LURN_SHARED_ALONE));
  if (sharing->meet) clear(l);
  l->since |= 1 << how;
}

static void visit (look *l, int unit, double rows, int by_columns) {
  const lurn_section *u = &l->s->unit[unit];
  int how = how_of(l, u, rows, by_columns);
  decide(l, unit, how, section_waits(l, u, how));
  note_section(l, u, how);
}

/* ---------- loops and blocks ---------- */

/* Reals per row and step that some sections leave over time. */
static size_t left_per_row (const look *l, const lurn_section *u, int count) {
  size_t cols = 0;
  for (int k = 0; k < count; k++)
    for (int j = u[k].first; j < u[k].first + u[k].count; j++) cols += (size_t)l->p->reg[instr_at(l, j)->out].cols;
  return cols;
}

static int span_of (const look *l, const lurn_section *u, const lurn_batch *b) {
  size_t ahead = left_per_row(l, u + 1, u->before), behind = left_per_row(l, u + 1 + u->before + u->step, u->after);
  size_t bytes = sizeof(real) * (size_t)b->B * (ahead > behind ? ahead : behind);
  int chosen = l->s->choices.span, span = chosen > 0 ? chosen : bytes ? (int)(SPAN_BYTES / bytes) : 0;
  if (chosen <= 0 && (size_t)span * (size_t)b->B < SPAN_ROWS) span = 0;
  return span <= 0 || span > b->T ? b->T : span;
}

/* The steps of a loop: rows of them, where there are enough; columns, where there are few for so many weights. */
static int steps_how (const look *l, const lurn_section *step, int count, const lurn_batch *b) {
  double work = 0, weights = 0;
  for (int k = 0; k < count; k++)
    if (is_wide_list(l, &step[k])) {
      weights += sizeof(real) * list_work(l, &step[k]);
      if (list_work(l, &step[k]) * b->N / b->T >= l->columns) work = 1;
    }
  int few = b->B < LOOP_ROWS * l->threads;
  int heavy = b->B < HEAVY_ROWS * l->threads && weights > l->s->choices.heavy;
  if (l->threads == 1) return LURN_SHARED_ALONE;
  if (l->columns && work && (few || heavy)) return LURN_SHARED_COLUMNS;
  return few || left_per_row(l, step, count) * (size_t)b->N < (size_t)l->s->choices.worth ? LURN_SHARED_ALONE : LURN_SHARED_ROWS;
}

static int packs_for_steps (const look *l, const lurn_section *step, int count) {
  for (int k = 0; k < count; k++)
    for (int j = step[k].first; j < step[k].first + step[k].count; j++)
      if (lurn_is_computed(l->w, instr_at(l, j))) return 1;
  return 0;
}

/* Every step but the first begins with a meeting; so what the first one waits for is enough for all. */
static void visit_steps (look *l, int loop, const lurn_batch *b) {
  const lurn_section *u = &l->s->unit[loop], *step = u + 1 + u->before;
  const lurn_scan *scan = &l->p->scans[u->scan];
  int how = steps_how(l, step, u->step, b), waits = states_wait(l, scan, how), packs = packs_for_steps(l, step, u->step);
  for (int k = 0; how != LURN_SHARED_COLUMNS && k < u->step; k++) waits |= section_waits(l, &step[k], how);
  decide(l, loop, how, waits || (packs && how != LURN_SHARED_ALONE));
  l->w->sharing[loop].packs = (uint8_t)packs;
  note_states(l, scan, how);
  for (int k = 0; k < u->step; k++) {
    int unit = loop + 1 + u->before + k;
    if (how == LURN_SHARED_COLUMNS) { visit(l, unit, (double)b->N / b->T, 1); continue; }
    l->w->sharing[unit] = (lurn_sharing){.how = (uint8_t)how};
    note_section(l, &step[k], how);
  }
}

static void visit_loop (look *l, int loop) {
  const lurn_section *u = &l->s->unit[loop];
  const lurn_batch *b = lurn_wave_along(l->w, l->p->scans[u->scan].axis);
  int span = span_of(l, u, b), after = loop + 1 + u->before + u->step;
  double rows = (double)b->N / b->T * span;
  for (int k = loop + 1; k <= loop + u->before; k++) visit(l, k, rows, rows < LEAST_ROWS * l->threads);
  visit_steps(l, loop, b);
  for (int k = after; k < after + u->after; k++) visit(l, k, rows, rows < LEAST_ROWS * l->threads);
  l->w->sharing[loop].span = span;
}

static void visit_block (look *l, int block) {
  for (int k = block + 1; k <= block + l->s->unit[block].before; k++) {
    const lurn_batch *b = lurn_wave_along(l->w, l->w->axis[l->s->order[l->s->unit[k].first]]);
    int steps = lurn_wave_block(l->w);
    double rows = (double)b->N / b->T * (steps < b->T ? steps : b->T);
    visit(l, k, rows, rows < LEAST_ROWS * l->threads);
  }
}

static void visit_alone (look *l, int unit) {
  int N = lurn_wave_along(l->w, l->w->axis[l->s->order[l->s->unit[unit].first]])->N;
  visit(l, unit, N, N < LEAST_ROWS * l->threads);
}

/* What the weights alone make is played ahead of everything. */
static void visit_all (look *l) {
  for (int k = 0; k < l->s->nunit; k++) {
    const lurn_section *u = &l->s->unit[k];
    if (l->s->constant[k]) { l->w->sharing[k] = (lurn_sharing){.how = LURN_SHARED_ALONE}; continue; }
    l->before |= l->since;
    if (u->kind == LURN_SECTION_LOOP) visit_loop(l, k);
    else if (u->kind == LURN_SECTION_BLOCK) visit_block(l, k);
    else visit_alone(l, k);
    k += u->before + u->step + u->after;
  }
}

void lurn_sharing_find (lurn_wave *w) {
  int most = lurn_pool_threads(w->ctx->pool);
  lurn_shape now = {.threads = most > 1 && most <= w->threads ? most : 1, .blas = w->ctx->blas != NULL,
                    .extent = lurn_extent_of(w->batch)};
  now.meets = now.threads > 1 && (w->schedule->choices.dice || lurn_pool_meets(w->ctx->pool));
  if (!memcmp(&now, &w->shape, sizeof now)) return;
  look l = {.w = w, .p = w->program, .s = w->schedule, .threads = now.threads,
            .columns = now.meets ? w->schedule->choices.columns : 0,
            .read = w->looks, .wrote = w->looks + w->program->nreg, .made = w->looks + 2 * w->program->nreg};
  w->shape = now;
  clear(&l);
  memset(l.made, 0, (size_t)w->program->nreg);
  visit_all(&l);
}
