#include "recompute.h"

#include <math.h>
#include <string.h>

/* ---------- which unit is played when ---------- */

typedef struct survey {
  lurn_ctx *ctx;
  lurn_schedule *s;
  const lurn_program *p;
  uint8_t *late;                /* (nreg) known only when all windows have been played */
  int backward;
} survey;

/* SIZE and ROWS ask how many there are, not what they are. */
static int reads_numbers (const lurn_instr *i) { return i->op != LURN_OP_SIZE && i->op != LURN_OP_ROWS; }

static int touches_time (const lurn_program *p, const lurn_instr *i) {
  if (p->reg[i->out].axis == LURN_TIME) return 1;
  for (int k = 0; reads_numbers(i) && k < LURN_MAX_IN; k++)
    if (i->in[k] >= 0 && p->reg[i->in[k]].axis == LURN_TIME) return 1;
  return 0;
}

static lurn_status refuse (const survey *v, const lurn_instr *i, const char *why) {
  const char *where = i->scan >= 0 ? v->p->scans[i->scan].name : "the model";
  return lurn_fail(v->ctx, LURN_EINVAL, "checkpointing over time: %s in %s %s", lurn_op_info(i->op)->name, where, why);
}

/* May the chain of this op go on from window to window in the order in which they come? */
static lurn_status check_order (const survey *v, const lurn_instr *i) {
  int flags = lurn_op_info(i->op)->flags;
  int rises = i->op == LURN_OP_FOLD ? i->i[0] : (flags & LURN_OP_RISES) != 0;
  int falls = i->op == LURN_OP_FOLD ? !i->i[0] : (flags & LURN_OP_FALLS) != 0;
  if (!(flags & LURN_OP_WHOLE)) {
    for (int k = 0; k < LURN_MAX_IN; k++)
      if (i->in[k] >= 0 && lurn_is_memory(i, k) && v->p->reg[i->in[k]].axis == LURN_TIME)
        return refuse(v, i, "reads all steps of its own time axis");
    return LURN_OK;
  }
  if (!rises && !falls) return refuse(v, i, "looks from one step at another");
  if (v->backward ? !falls : !rises) return refuse(v, i, "does not sum in the order in which windows are played");
  return LURN_OK;
}

static int is_late (const survey *v, const lurn_instr *i) {
  for (int k = 0; reads_numbers(i) && k < LURN_MAX_IN; k++) if (i->in[k] >= 0 && v->late[i->in[k]]) return 1;
  return 0;
}

static int inits_late (const survey *v, const lurn_scan *s) {
  for (int k = 0; k < s->nstate; k++) if (v->late[s->state[k].init]) return 1;
  return 0;
}

/* Units of one top-level unit: those of a loop follow it. */
static int units_of (const lurn_section *u) {
  return 1 + u->before + u->step + u->after;
}

/* Before anything else: a scan that runs the other way is what a script asked for, the moves around it are not. */
static lurn_status survey_scans (const survey *v) {
  for (int u = 0; u < v->s->nunit; u++) {
    const lurn_scan *scan = v->s->unit[u].kind == LURN_SECTION_LOOP ? &v->p->scans[v->s->unit[u].scan] : NULL;
    if (scan && scan->axis == LURN_TIME && scan->reverse != (u >= v->s->forward))
      return lurn_fail(v->ctx, LURN_EINVAL, "checkpointing over time: '%s' runs from the last step to the first",
                       scan->name);
  }
  return LURN_OK;
}

/* What a scan's step finds, too, is known when the scan has been played. */
static void mark_states (survey *v, const lurn_scan *s) {
  for (int k = 0; k < s->nstate; k++) v->late[s->state[k].prev] = 1;
}

static lurn_status survey_unit (survey *v, int at) {
  const lurn_section *u = &v->s->unit[at];
  const lurn_scan *scan = u->kind == LURN_SECTION_LOOP ? &v->p->scans[u->scan] : NULL;
  int timed = scan && scan->axis == LURN_TIME, late = scan && inits_late(v, scan), n = units_of(u);
  for (int k = 0; k < n; k++)
    for (int j = u[k].first; j < u[k].first + u[k].count; j++) {
      const lurn_instr *i = &v->p->instr[v->s->order[j]];
      timed |= touches_time(v->p, i);
      late |= is_late(v, i);
    }
  if (late && scan) mark_states(v, scan);
  v->s->phase[at] = (uint8_t)(timed ? LURN_PHASE_WINDOW : late ? LURN_PHASE_AFTER : LURN_PHASE_BEFORE);
  for (int k = 0; k < n; k++)
    for (int j = u[k].first; j < u[k].first + u[k].count; j++) {
      const lurn_instr *i = &v->p->instr[v->s->order[j]];
      lurn_status status = timed ? check_order(v, i) : LURN_OK;
      if (timed && late) return refuse(v, i, "must know the whole sequence before its first step");
      if (status != LURN_OK) return status;
      v->late[i->out] = late || (timed && v->p->reg[i->out].axis != LURN_TIME);
    }
  return LURN_OK;
}

lurn_status lurn_recompute_classify (lurn_ctx *ctx, lurn_schedule *s) {
  survey v = {.ctx = ctx, .s = s, .p = s->program};
  size_t bytes = (size_t)s->program->nreg + 1;
  lurn_status status = survey_scans(&v);
  if (status != LURN_OK) return status;
  if (!(v.late = lurn_realloc(ctx, NULL, 0, bytes))) return LURN_ENOMEM;
  memset(v.late, 0, bytes);
  for (int u = 0; u < s->nunit && status == LURN_OK; u += units_of(&s->unit[u])) {
    if (u == s->forward) { v.backward = 1; memset(v.late, 0, bytes); }
    status = survey_unit(&v, u);
  }
  lurn_free(ctx, v.late, bytes);
  return status;
}

/* ---------- memory ---------- */

static size_t state_bytes (const lurn_wave *w, const lurn_state *st) {
  const lurn_register *x = &w->program->reg[st->prev];
  return lurn_align(lurn_row_bytes(x) * (size_t)w->most.B);
}

static int is_timed (const lurn_scan *s) { return s->axis == LURN_TIME; }
static int is_mirror (const lurn_scan *s) { return s->reverse; }

static int windows (int T, int S) { return (T + S - 1) / S; }

/* The least of S a + T / S b: S = sqrt(T b / a), a the bytes of a step, b those of all states. */
int lurn_recompute_window (const lurn_wave *w, int T) {
  const lurn_program *p = w->program;
  double step = 1, states = 1;
  for (lurn_reg r = 0; r < p->nreg; r++) {
    const lurn_register *x = &p->reg[r];
    if (x->axis != LURN_TIME || w->schedule->root[r] != r || w->schedule->store[r] != LURN_KEEP_FULL) continue;
    step += (double)lurn_dtype_size((lurn_dtype)x->dtype) * x->cols * w->most.B;
  }
  for (int s = 0; s < p->nscan; s++)
    for (int k = 0; is_timed(&p->scans[s]) && !is_mirror(&p->scans[s]) && k < p->scans[s].nstate; k++)
      states += (double)state_bytes(w, &p->scans[s].state[k]);
  double S = ceil(sqrt(T * states / step));
  return S < 1 ? 1 : S > T ? T : (int)S;
}

/* entry[scan][state]: what a window's scan starts from; kept[window][scan][state]: the same, of forward scans. */
size_t lurn_recompute_place (lurn_wave *w, char *memory) {
  const lurn_program *p = w->program;
  int S = w->window, n = windows(w->most.T[0], S);
  size_t at = 0, states = 0;
  for (int s = 0; s < p->nscan; s++)
    for (int k = 0; is_timed(&p->scans[s]) && k < p->scans[s].nstate; k++) {
      const lurn_state *st = &p->scans[s].state[k];
      int copies = is_mirror(&p->scans[s]) ? 1 : n;
      w->entry[s * LURN_MAX_STATES + k] = memory ? memory + at : NULL;
      at += state_bytes(w, st) * (size_t)copies;
      states++;
    }
  size_t start = at, pos = start + lurn_align(sizeof(int32_t) * ((size_t)S + 1));
  size_t lanes = pos + lurn_align(sizeof(int64_t) * (size_t)w->most.B);
  if (memory) {
    w->window_start = (int32_t *)(void *)(memory + start);
    w->window_pos = (int64_t *)(void *)(memory + pos);
    w->lanes = (double *)(void *)(memory + lanes);
  }
  return lanes + lurn_align(sizeof(double) * LURN_TOTAL_LANES * (size_t)(p->ninstr + 1));
}

/* ---------- a window ---------- */

typedef struct player {
  lurn_wave *w;
  const lurn_batch *whole;
  lurn_batch window;
  int n, at;                    /* windows; the one that is played */
} player;

static int first_step (const player *y, int k) { return k * y->w->window; }

/* The batch of window k: the same rows, of which some may have ended, their places further on; and the inputs
 * over time from its first frame on. */
static void open_window (player *y, int k) {
  lurn_wave *w = y->w;
  const lurn_batch *b = y->whole;
  int from = first_step(y, k), to = from + w->window < b->T ? from + w->window : b->T;
  y->at = k;
  y->window = *b;
  y->window.T = to - from;
  y->window.N = b->start[to] - b->start[from];
  y->window.live = b->live + from;
  y->window.start = w->window_start;
  y->window.pos = w->window_pos;
  y->window.before = b->start[from];
  y->window.onward = to < b->T ? b->live[to] : 0;
  for (int t = 0; t <= to - from; t++) w->window_start[t] = b->start[from + t] - b->start[from];
  for (int r = 0; r < b->B; r++) w->window_pos[r] = b->pos[r] + from;
  w->batch = &y->window;
  for (int i = 0; i < w->program->ninput; i++) {
    lurn_reg r = w->program->input[i].reg;
    const lurn_register *x = &w->program->reg[r];
    const lurn_field *f = x->axis == LURN_TIME ? lurn_batch_field(b, w->program->input[i].name) : NULL;
    if (f) w->base[r] = (char *)(uintptr_t)f->data + lurn_row_bytes(x) * (size_t)b->start[from];
  }
}

static void close_windows (player *y) {
  lurn_wave *w = y->w;
  w->batch = y->whole;
  w->go_on = 0;
  for (int i = 0; i < w->program->ninput; i++) {
    lurn_reg r = w->program->input[i].reg;
    const lurn_field *f = w->program->reg[r].axis == LURN_TIME ? lurn_batch_field(w->batch, w->program->input[i].name) : NULL;
    if (f) w->base[r] = (void *)(uintptr_t)f->data;
  }
}

/* Which units of a half: those of one phase, or of the windows; reductions too, or only what is over time. */
static lurn_status play_units (lurn_wave *w, int first, int last, int phase, int reductions) {
  const lurn_schedule *s = w->schedule;
  lurn_status status = LURN_OK;
  for (int u = first, n; u < last && status == LURN_OK; u += n) {
    n = units_of(&s->unit[u]);
    const lurn_section *unit = &s->unit[u];
    int over_time = unit->kind == LURN_SECTION_LOOP
      || w->program->reg[w->program->instr[s->order[unit->first]].out].axis == LURN_TIME;
    if (s->phase[u] == phase && (reductions || over_time)) status = lurn_conductor_play(w, u, u + n);
  }
  return status;
}

/* ---------- states from window to window ---------- */

/* Where scan s of window k finds the value that state i has before its first step. */
static char *entry_of (const player *y, int s, int i, int k) {
  const lurn_scan *scan = &y->w->program->scans[s];
  char *base = y->w->entry[s * LURN_MAX_STATES + i];
  return is_mirror(scan) ? base : base + state_bytes(y->w, &scan->state[i]) * (size_t)k;
}

static void enter_window (player *y, int mirrors) {
  lurn_wave *w = y->w;
  for (int s = 0; s < w->program->nscan; s++) {
    const lurn_scan *scan = &w->program->scans[s];
    if (!is_timed(scan) || is_mirror(scan) != mirrors) continue;
    for (int i = 0; i < scan->nstate; i++) w->from[s * LURN_MAX_STATES + i] = entry_of(y, s, i, y->at);
  }
}

/* What window `to` starts with: of rows [0, rows) the value after the given step, of the others, which begin or end
 * there, the scan's initial value. That one is copied, too, for the first window: a carried state has moved on when
 * backward plays that window again. */
static void hand_on (player *y, int mirrors, int to, int rows, int step) {
  lurn_wave *w = y->w;
  for (int s = 0; s < w->program->nscan; s++) {
    const lurn_scan *scan = &w->program->scans[s];
    if (!is_timed(scan) || is_mirror(scan) != mirrors) continue;
    for (int i = 0; i < scan->nstate; i++) {
      const lurn_state *st = &scan->state[i];
      size_t row = lurn_row_bytes(&w->program->reg[st->prev]);
      char *at = entry_of(y, s, i, to);
      memcpy(at + row * (size_t)rows, (const char *)w->base[st->init] + row * (size_t)rows,
             row * (size_t)(y->whole->B - rows));
      if (rows > 0) memcpy(at, lurn_conductor_row(w, st->next, step, 0), row * (size_t)rows);
    }
  }
}

/* ---------- both halves ---------- */

static player open_player (lurn_wave *w) {
  return (player){.w = w, .whole = w->batch, .n = windows(w->batch->T, w->window)};
}

lurn_status lurn_recompute_forward (lurn_wave *w) {
  player y = open_player(w);
  if (w->batch->hand) return lurn_fail(w->ctx, LURN_EINVAL,
                                       "checkpointing over time: batches that overlap (stride) cannot be played in windows");
  int last = w->schedule->forward;
  lurn_status status = play_units(w, 0, last, LURN_PHASE_BEFORE, 1);
  hand_on(&y, 0, 0, 0, 0);
  for (int k = 0; k < y.n && status == LURN_OK; k++) {
    open_window(&y, k);
    enter_window(&y, 0);
    w->go_on = k > 0;
    status = play_units(w, 0, last, LURN_PHASE_WINDOW, 1);
    if (status == LURN_OK && k + 1 < y.n) hand_on(&y, 0, k + 1, y.window.onward, y.window.T - 1);
  }
  close_windows(&y);
  return status == LURN_OK ? play_units(w, 0, last, LURN_PHASE_AFTER, 1) : status;
}

lurn_status lurn_recompute_backward (lurn_wave *w) {
  player y = open_player(w);
  int first = w->schedule->forward, last = w->schedule->nunit;
  lurn_status status = play_units(w, first, last, LURN_PHASE_BEFORE, 1);
  hand_on(&y, 1, 0, 0, 0);
  for (int k = y.n - 1; k >= 0 && status == LURN_OK; k--) {
    open_window(&y, k);
    enter_window(&y, 0);
    enter_window(&y, 1);
    if (k < y.n - 1) status = play_units(w, 0, first, LURN_PHASE_WINDOW, 0);        /* the last one is still there */
    w->go_on = k < y.n - 1;
    if (status == LURN_OK) status = play_units(w, first, last, LURN_PHASE_WINDOW, 1);
    w->go_on = 0;
    if (status == LURN_OK && k > 0) hand_on(&y, 1, 0, y.window.live[0], 0);
  }
  close_windows(&y);
  return status == LURN_OK ? play_units(w, first, last, LURN_PHASE_AFTER, 1) : status;
}
