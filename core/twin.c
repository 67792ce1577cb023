/* twin.c: the naive twin. Plays a normalised program instruction by instruction with the reference
 * kernels: every register has a place of its own, every step is met one by one, nothing is
 * hoisted, fused, shared or packed ahead. It knows nothing of schedules, and it is the oracle
 * that schedules answer to, bit for bit. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "wave.h"

static char *row (const lurn_wave *w, lurn_reg r, int frame) {
  const lurn_register *x = &w->program->reg[r];
  return (char *)w->base[r] + lurn_row_bytes(x) * (size_t)frame;
}

/* rows of out starting at frame (or row) number `first`; operands on the row axis start at 0. */
static void play_rows (lurn_wave *w, int n, int first, int rows, int t) {
  const lurn_instr *i = &w->program->instr[n];
  lurn_call c = {.ctx = w->ctx, .kernels = w->kernels, .program = w->program, .instr = i,
                 .batch = lurn_wave_along(w, lurn_instr_axis(w->program, i)), .first = w->batch, .scratch = w->op_scratch, .moment = &w->moment, .rows = rows, .t = t, .parts = 1, .packed = w->packed[n]};
  int time = lurn_on_time(w->program->reg[i->out].axis);
  c.out = row(w, i->out, time ? first : 0);
  for (int k = 0; k < LURN_MAX_IN; k++) {
    if (i->in[k] < 0) continue;
    const lurn_register *x = &w->program->reg[i->in[k]];
    c.in[k] = row(w, i->in[k], lurn_on_time(x->axis) && !lurn_is_memory(i, k) ? first : 0);
    c.step[k] = x->axis == LURN_ONCE ? 0 : x->cols;
  }
  lurn_packing how;
  if (!w->ctx->blas && lurn_packing_of(w->program, i, &how))
    lurn_packing_play(w->kernels, &how, w->base[i->in[2]], w->packed[n]);
  lurn_op_info(i->op)->play(&c);
}

static int rows_played (const lurn_wave *w, int axis) {
  return lurn_on_time(axis) ? lurn_wave_along(w, axis)->N : axis == LURN_ONCE ? 1 : w->batch->B;
}

static void play_outside (lurn_wave *w, int n) {
  const lurn_instr *i = &w->program->instr[n];
  int whole = lurn_op_info(i->op)->flags & LURN_OP_WHOLE;
  int axis = whole ? lurn_instr_axis(w->program, i) : w->program->reg[i->out].axis;
  const lurn_batch *b = lurn_wave_along(w, axis);
  if (!lurn_on_time(axis) || whole) play_rows(w, n, 0, rows_played(w, axis), 0);
  else for (int t = 0; t < b->T; t++) play_rows(w, n, b->start[t], b->live[t], t);
}

static void copy_row (lurn_wave *w, lurn_reg to, int to_row, lurn_reg from, int from_row) {
  const lurn_register *x = &w->program->reg[to];
  memcpy(row(w, to, to_row), row(w, from, from_row), lurn_row_bytes(x));
}

/* Row r at step t: was it alive at the step before in playing order? */
static void enter (lurn_wave *w, const lurn_scan *s, int t) {
  const lurn_batch *b = lurn_wave_along(w, s->axis);
  int before = s->reverse ? t + 1 : t - 1;
  for (int k = 0; k < s->nstate; k++)
    for (int r = 0; r < b->live[t]; r++) {
      const lurn_state *st = &s->state[k];
      int old = before >= 0 && before < b->T && r < b->live[before];
      copy_row(w, st->prev, b->start[t] + r, old ? st->next : st->init, old ? b->start[before] + r : r);
    }
}

static void play_scan (lurn_wave *w, int first, int end) {
  const lurn_scan *s = &w->program->scans[w->program->instr[first].scan];
  const lurn_batch *b = lurn_wave_along(w, s->axis);
  for (int k = 0; k < b->T; k++) {
    int t = s->reverse ? b->T - 1 - k : k;
    enter(w, s, t);
    for (int n = first; n < end; n++) play_rows(w, n, b->start[t], b->live[t], t);
  }
}

lurn_status lurn_twin_play (lurn_wave *w, int first_instr, int last_instr) {
  const lurn_program *p = w->program;
  for (int n = first_instr; n < last_instr; ) {
    int end = n + 1, scan = p->instr[n].scan;
    if (lurn_stopped(w->ctx)) return lurn_fail(w->ctx, LURN_EINTR, "interrupted");
    while (scan >= 0 && end < last_instr && p->instr[end].scan == scan) end++;
    if (scan >= 0) play_scan(w, n, end);
    else play_outside(w, n);
    n = end;
  }
  return LURN_OK;
}

/* ---------- where did it break? ---------- */

static int first_bad (const real *x, size_t n, size_t *at) {
  for (size_t k = 0; k < n; k++) if (!isfinite(x[k])) { *at = k; return 1; }
  return 0;
}

/* Names for people: the layer, and the parameter if the value came from one. */
static const char *origin (const lurn_wave *w, const lurn_instr *i) {
  const lurn_program *p = w->program;
  if (i->scan >= 0) return p->scans[i->scan].name;
  for (int k = 0; k < LURN_MAX_IN; k++)
    if (i->in[k] >= 0 && p->reg[i->in[k]].kind == LURN_REG_PARAM) return p->params.p[p->reg[i->in[k]].index].path;
  return "the model";
}

/* In a scan the earliest step counts, whichever instruction it is. */
static int earliest_bad (const lurn_wave *w, int first, int end, int *instr, size_t *frame) {
  int found = 0;
  for (int n = first; n < end; n++) {
    const lurn_register *x = &w->program->reg[w->program->instr[n].out];
    size_t at;
    const real *value = x->dtype == LURN_REAL ? w->base[w->program->instr[n].out] : NULL;
    if (!value || !first_bad(value, (size_t)rows_played(w, x->axis) * (size_t)x->cols, &at)) continue;
    at /= (size_t)x->cols;
    if (!found || at < *frame) { found = 1; *instr = n; *frame = at; }
  }
  return found;
}

int lurn_twin_blame (const lurn_wave *w, char *text, size_t size) {
  const lurn_program *p = w->program;
  size_t frame = 0, at;
  int bad = -1;
  for (int k = 0; k < p->params.n; k++)
    if (first_bad(w->value + p->params.p[k].offset, p->params.p[k].count, &at))
      return snprintf(text, size, "parameter %s is not finite (element %zu)", p->params.p[k].path, at + 1), 1;
  for (int k = 0; k < p->ninput; k++) {
    const lurn_register *x = &p->reg[p->input[k].reg];
    const real *value = x->dtype == LURN_REAL ? w->base[p->input[k].reg] : NULL;
    if (value && first_bad(value, (size_t)rows_played(w, x->axis) * (size_t)x->cols, &at))
      return snprintf(text, size, "the batch's '%s' is not finite (element %zu)", p->input[k].name, at + 1), 1;
  }
  for (int n = 0; n < p->ninstr; ) {
    int end = n + 1;
    while (p->instr[n].scan >= 0 && end < p->ninstr && p->instr[end].scan == p->instr[n].scan) end++;
    if (earliest_bad(w, n, end, &bad, &frame)) break;
    n = end;
  }
  if (bad < 0) return 0;
  const lurn_instr *i = &p->instr[bad];
  int t = 0;
  if (lurn_on_time(p->reg[i->out].axis)) {
    const lurn_batch *b = lurn_wave_along(w, p->reg[i->out].axis);
    while (t + 1 < b->T && (size_t)b->start[t + 1] <= frame) t++;
    frame -= (size_t)b->start[t];
  }
  snprintf(text, size, "%s pass: %s in %s (register r%d) at step %d, row %d",
           bad < p->forward ? "forward" : "backward", lurn_op_info(i->op)->name, origin(w, i), (int)i->out, t + 1,
           (int)frame + 1);
  return 1;
}
