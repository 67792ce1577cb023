/* schedule_work.h: a schedule while it is made; for schedule.c, schedule_store.c, block.c and constant.c. */
#ifndef LURN_SCHEDULE_WORK_H
#define LURN_SCHEDULE_WORK_H

#include "schedule.h"

/* Where an instruction is played. */
enum { TOP, BEFORE, STEP, AFTER };

typedef struct work {
  const lurn_program *p;
  lurn_schedule *s;
  uint64_t dice;
  uint8_t *where;               /* (ninstr) TOP.. */
  uint8_t *flag;                /* (ninstr) scratch of the current pass */
  int *uses;                    /* (nreg) how many operands read it */
  int *unit_of;                 /* (ninstr) the unit it is in */
  int *top_of;                  /* (ninstr) the top-level unit it is in */
  int *again;                   /* (ninstr) the one in which it is played once more, or -1 */
  uint8_t *known;               /* (nreg) worked out of the weights alone: its place is its own */
} work;

/* Maps, and what fills a row from one number of it: stored, it would be as large as what is made of it. */
static inline int lurn_in_strips (const lurn_instr *i) {
  return i->op < LURN_NMAPS || i->op == LURN_OP_EXPAND || i->op == LURN_OP_UNPICK;
}

static inline int lurn_is_output (const lurn_program *p, lurn_reg r) {
  for (int k = 0; k < p->noutput; k++) if (p->output[k].reg == r) return 1;
  return 0;
}

static inline int lurn_is_next (const lurn_program *p, lurn_reg r) {
  int scan = p->reg[r].scan;
  for (int k = 0; scan >= 0 && k < p->scans[scan].nstate; k++)
    if (p->scans[scan].state[k].next == r) return 1;
  return 0;
}

/* An accumulator that nobody but the product reads, and that has its shape. */
static inline int lurn_continues (const work *w, const lurn_instr *i) {
  const lurn_program *p = w->p;
  lurn_reg acc = i->in[0];
  return lurn_accumulates(lurn_op_info(i->op)) && acc >= 0 && p->reg[acc].kind == LURN_REG_VALUE
    && p->reg[acc].axis == p->reg[i->out].axis && p->reg[acc].cols == p->reg[i->out].cols
    && w->uses[acc] == 1 && !lurn_is_output(p, acc) && !lurn_is_next(p, acc) && w->known[acc] == w->known[i->out];
}

/* Storage, places and packs, once the units are known: schedule_store.c. */
void lurn_schedule_store (work *w);

#endif
