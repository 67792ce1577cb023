/* constant.c: what a schedule works out of the weights alone.
 *
 * Such a unit (the table of a product of looked-up rows, a weight in another shape) says the same until the weights
 * change: it is played once for each change, like packing, and its results keep their places. For a stream of single
 * steps, and for evaluation, that is nearly never.
 */
#include "schedule_work.h"

/* Is register r a function of the weights alone? `known` has the results of units before. */
static int is_known (const lurn_program *p, const uint8_t *known, lurn_reg r) {
  return p->reg[r].kind == LURN_REG_PARAM || (p->reg[r].kind == LURN_REG_VALUE && known[r]);
}

static int is_constant (const lurn_program *p, const uint8_t *known, const lurn_instr *i) {
  const lurn_op *op = lurn_op_info(i->op);
  /* An output is somebody else's to change: a gradient is scaled where it lies. */
  if (lurn_is_output(p, i->out) || p->reg[i->out].axis != LURN_ONCE || (op->flags & LURN_OP_RANDOM)) return 0;
  for (int k = 0; k < op->nin; k++) if (i->in[k] >= 0 && !is_known(p, known, i->in[k])) return 0;
  return 1;
}

/* A unit is one as a whole: its instructions come in order, so each finds those before it. */
static int unit_is_constant (const lurn_schedule *s, const lurn_section *u, uint8_t *known) {
  int all = u->kind != LURN_SECTION_LOOP && u->kind != LURN_SECTION_BLOCK;
  for (int k = u->first; all && k < u->first + u->count; k++) {
    const lurn_instr *i = &s->program->instr[s->order[k]];
    all = known[i->out] = (uint8_t)is_constant(s->program, known, i);
  }
  for (int k = u->first; !all && k < u->first + u->count; k++) known[s->program->instr[s->order[k]].out] = 0;
  return all;
}

void lurn_schedule_constants (lurn_schedule *s, uint8_t *known) {
  for (int u = 0; u < s->nunit; u++) {
    const lurn_section *unit = &s->unit[u];
    s->constant[u] = (uint8_t)unit_is_constant(s, unit, known);
    if (unit->kind == LURN_SECTION_LOOP) u += unit->before + unit->step + unit->after;
  }
}
