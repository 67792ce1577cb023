/* block.c: units over time that are played block after block of frames.
 *
 * A softmax over ten thousand words, its gradient, and what that becomes (the layer's and the weights' gradients) are
 * a run of units over the same frames. Unit after unit each of them fills, or reads, ten thousand numbers of every frame of
 * a batch; block after block only those of some steps are there at a time. Rows are functions of rows, and
 * gradients are chains from the last frame to the first: blocks come in that order, so no bit changes.
 *
 * Between the halves stands what backward needs: the logits. With choices.again a product like theirs, which nobody
 * else wants, is played once more in the block that reads it, and is there for a block's frames only.
 */
#include "schedule_work.h"

typedef struct run {
  lurn_schedule *s;
  int *unit_of;                 /* (ninstr) the unit of an instruction, while the run is looked at; -1: not in it */
  int axis, first, end;
  int backward;                 /* it is in the backward half */
} run;

static const lurn_instr *instr_at (const lurn_schedule *s, int k) { return &s->program->instr[s->order[k]]; }

/* A sum over frames that goes on where the block before, which holds the later frames, stopped. */
static int is_sum (const lurn_instr *i) {
  const int want = LURN_OP_ACC | LURN_OP_WHOLE | LURN_OP_SPLITS | LURN_OP_FALLS;
  return (lurn_op_info(i->op)->flags & want) == want;
}

/* A row from rows of the same frame, and from what is there once. A matrix that is computed is packed at each use: once
 * is enough. */
static int is_by_rows (const lurn_program *p, const lurn_instr *i) {
  lurn_packing how;
  if (lurn_op_info(i->op)->flags & (LURN_OP_WHOLE | LURN_OP_RANDOM | LURN_OP_MEMORY)) return 0;
  if (lurn_axis_level(p->reg[i->out].axis) != LURN_TIME) return 0;
  for (int k = 0; k < LURN_MAX_IN; k++)
    if (i->in[k] >= 0 && lurn_axis_level(p->reg[i->in[k]].axis) == LURN_ROW) return 0;
  return !lurn_packing_of(p, i, &how) || p->reg[i->in[2]].kind == LURN_REG_PARAM;
}

/* A sum is known when the run has been played, not before. */
static int reads_sum (const run *r, const lurn_instr *i) {
  const lurn_program *p = r->s->program;
  for (int k = 0; k < LURN_MAX_IN; k++) {
    if (i->in[k] < 0 || p->reg[i->in[k]].kind != LURN_REG_VALUE) continue;
    int from = p->reg[i->in[k]].index;
    if (r->unit_of[from] >= 0 && is_sum(&p->instr[from])) return 1;
  }
  return 0;
}

static int fits (const run *r, const lurn_section *u) {
  const lurn_program *p = r->s->program;
  if (u->kind == LURN_SECTION_LOOP) return 0;
  for (int k = u->first; k < u->first + u->count; k++) {
    const lurn_instr *i = instr_at(r->s, k);
    if (!is_by_rows(p, i) && !is_sum(i)) return 0;
    if (lurn_instr_axis(p, i) != r->axis || reads_sum(r, i)) return 0;
  }
  return 1;
}

static void note (const run *r, int unit, int as) {
  const lurn_section *u = &r->s->unit[unit];
  for (int k = u->first; k < u->first + u->count; k++) r->unit_of[r->s->order[k]] = as;
}

/* A wide product over time, of what is there in both halves. */
static int may_repeat (const lurn_schedule *s, int n) {
  const lurn_program *p = s->program;
  const lurn_instr *i = &p->instr[n];
  if (!s->choices.again || n >= p->forward || i->op != LURN_OP_PRODUCT || i->scan >= 0) return 0;
  if (p->reg[i->out].cols < s->choices.wide || lurn_axis_level(p->reg[i->out].axis) != LURN_TIME) return 0;
  return p->reg[i->in[2]].kind == LURN_REG_PARAM && (i->in[0] < 0 || p->reg[i->in[0]].kind == LURN_REG_PARAM);
}

/* The last unit that reads what instruction n writes, when all its readers are in the run; otherwise -1. */
static int last_reader (const run *r, int n) {
  const lurn_program *p = r->s->program;
  int last = -1;
  if (lurn_is_output(p, p->instr[n].out)) return -1;
  for (int m = 0; m < p->ninstr; m++)
    for (int k = 0; k < LURN_MAX_IN; k++) {
      if (p->instr[m].in[k] != p->instr[n].out) continue;
      if (may_repeat(r->s, n) && (m < p->forward) != (r->backward == 0)) continue;
      if (r->unit_of[m] < 0) return -1;
      if (r->unit_of[m] > last) last = r->unit_of[m];
    }
  return last;
}

/* The instruction of the forward half that a block of the backward half plays once more because it reads r; or -1. */
static int repeats (const run *r, lurn_reg reg) {
  const lurn_program *p = r->s->program;
  if (!r->backward || reg < 0 || p->reg[reg].kind != LURN_REG_VALUE) return -1;
  int n = p->reg[reg].index;
  return may_repeat(r->s, n) && last_reader(r, n) >= 0 ? n : -1;
}

/* From the first unit that fills something wide which only the run reads to the last one that reads such. */
static void trim (run *r) {
  const lurn_schedule *s = r->s;
  int first = -1, end = -1;
  for (int u = r->first; u < r->end; u++)
    for (int k = s->unit[u].first; k < s->unit[u].first + s->unit[u].count; k++) {
      const lurn_register *x = &s->program->reg[instr_at(s, k)->out];
      int last = lurn_on_time(x->axis) && x->cols >= s->choices.wide ? last_reader(r, s->order[k]) : -1;
      for (int j = 0; j < LURN_MAX_IN; j++) {
        int repeated = repeats(r, instr_at(s, k)->in[j]), until = repeated >= 0 ? last_reader(r, repeated) : -1;
        if (until > last) last = until;
        if (until == u && first < 0) first = u;    /* its only reader */
      }
      if (last + 1 > end && (last > u || first >= 0)) end = last + 1;
      if (last > u && first < 0) first = u;
    }
  r->first = first;
  r->end = end;
}

static void put_unit (lurn_schedule *s, int at, lurn_section unit) {
  for (int u = s->nunit++; u > at; u--) s->unit[u] = s->unit[u - 1];
  s->unit[at] = unit;
}

/* Those of the forward half that the run reads, each a unit in front of it: how many. */
static int put_repeats (const run *r) {
  lurn_schedule *s = r->s;
  int found[LURN_STRIP_MOST], n = 0;
  for (int u = r->first; u < r->end; u++)
    for (int k = s->unit[u].first; k < s->unit[u].first + s->unit[u].count; k++)
      for (int j = 0; j < LURN_MAX_IN; j++) {
        int known = 0, again = repeats(r, instr_at(s, k)->in[j]);
        while (known < n && found[known] != again) known++;
        if (again >= 0 && known == n && n < LURN_STRIP_MOST) found[n++] = again;
      }
  for (int k = 0; k < n; k++) {
    s->order[s->norder] = found[k];
    put_unit(s, r->first, (lurn_section){.kind = LURN_SECTION_CALL, .first = s->norder++, .count = 1, .scan = -1});
  }
  return n;
}

static int axis_of (const lurn_schedule *s, int unit) {
  return lurn_instr_axis(s->program, instr_at(s, s->unit[unit].first));
}

void lurn_schedule_blocks (lurn_schedule *s, int first, int *unit_of) {
  for (int n = 0; n < s->program->ninstr; n++) unit_of[n] = -1;
  for (int u = first; u < s->nunit; u++) {
    run r = {s, unit_of, axis_of(s, u), u, u, s->order[s->unit[u].first] >= s->program->forward};
    for (; r.end < s->nunit && fits(&r, &s->unit[r.end]); r.end++) note(&r, r.end, r.end);
    int end = r.end, repeated = 0, members;
    trim(&r);
    if (r.first >= 0) repeated = put_repeats(&r);
    for (int n = 0; n < s->program->ninstr; n++) unit_of[n] = -1;
    if (r.first < 0) { if (end > u) u = end - 1; continue; }
    members = r.end - r.first + repeated;
    put_unit(s, r.first, (lurn_section){.kind = LURN_SECTION_BLOCK, .first = s->unit[r.first].first, .scan = -1,
                                        .before = members});
    u = r.first + members;                         /* what is behind it may be a run of its own */
  }
}
