/* schedule.h: in which order, in which groups and where a normalised program is played.
 *
 * A schedule is a list of units. At the top level each works on a whole axis:
 *   CALL   one instruction
 *   LIST   products that are one list for the kernels (kernel.h): chains of those that go on with each other's
 *          sums, and with a product all chains whose first one reads the same rows
 *   STRIP  a run of elementwise maps (and of expand and unpick, whose operands are one number a row) over the same
 *          rows, played block by block so that what only they read never leaves the first-level cache and has no
 *          place in the arena
 *   BLOCK  a run of CALLs, LISTs and STRIPs over the same frames that fill and read wide rows: some steps after the
 *          other, from the last to the first (block.c)
 *   LOOP   a scan: time in spans, and per span three lists of units:
 *            before  what reads no state: the whole span at once
 *            step    what is between state and state: one time step after the other
 *            after   what no state reads: the whole span at once
 *          Moves that make little of much, or much of little, stay in the step: only the little is stored for all.
 * Registers get a kind of storage, accumulators share their product's place, and liveness
 * over the top-level units lets the arena be reused. Every decision is a choice that cannot
 * change a bit; lurn_choices holds them, and tests draw them at random.
 */
#ifndef LURN_SCHEDULE_H
#define LURN_SCHEDULE_H

#include "op.h"

#define LURN_STRIP_MOST 48      /* instructions in one strip */
#define LURN_LIST_MOST 16       /* products in one list */

typedef struct lurn_choices {
  int hoist;                    /* take out of the loop what need not be in it */
  int fuse;                     /* elementwise runs in strips, products in lists */
  int alias;                    /* accumulate in place */
  int reuse;                    /* arena places of dead registers are used again */
  int strip;                    /* reals of a register per block of a strip */
  int span;                     /* time steps per span; 0: all */
  int again;                    /* blocks of the backward half play wide products once more: these are never whole */
  int rows, wide;               /* frames of a block; 0: none. From how many columns on rows are wide */
  int window;                   /* recompute.h: steps of a window; 0: nothing is played twice; -1: the best length */
  int worth;                    /* elements from which on other threads are woken */
  int columns;                  /* sharing.h: multiply-adds of a list from which on its columns are shared; 0: never */
  int heavy;                    /* bytes of a loop's weights from which on its columns are, if there are some more rows */
  uint64_t dice;                /* not 0: hoisting and fusing are decided by lot, and columns are shared in any crowd (tests) */
} lurn_choices;

typedef enum lurn_section_kind {
  LURN_SECTION_CALL, LURN_SECTION_LIST, LURN_SECTION_STRIP, LURN_SECTION_LOOP, LURN_SECTION_BLOCK
} lurn_section_kind;

typedef struct lurn_section {
  int kind;
  int first, count;             /* all but LOOP and BLOCK: a range of order[] */
  int scan;                     /* LOOP */
  int before, step, after;      /* LOOP: how many of the units that follow are in each list; BLOCK: `before` of them */
} lurn_section;

typedef enum lurn_keep {
  LURN_KEEP_NONE,              /* nobody reads it */
  LURN_KEEP_STRIP,             /* a slot of the strip's scratch */
  LURN_KEEP_STEP,              /* one time step: (Bmax, cols) */
  LURN_KEEP_BLOCK,             /* the steps of a block */
  LURN_KEEP_FULL,              /* its whole axis */
  LURN_KEEP_BOUND              /* memory of somebody else: parameters, batch, carried state */
} lurn_keep;

typedef struct lurn_pack { lurn_reg w; lurn_packing how; } lurn_pack;

typedef struct lurn_schedule {
  const lurn_program *program;
  lurn_choices choices;
  int *order, norder;           /* instructions, unit by unit; some twice, with choices.again */
  lurn_section *unit;  int nunit;
  int forward;                  /* units [0, forward) are the forward half */
  uint8_t *phase;               /* (nunit) of a top-level unit, with choices.window: when it is played */
  uint8_t *constant;            /* (nunit) of a top-level unit: it works something out of the weights alone */
  uint8_t *store;               /* (nreg) lurn_keep of a root */
  int16_t *slot;                /* (nreg) place in the strip scratch */
  int nslot;                    /* slots of the widest strip */
  lurn_reg *root;               /* (nreg) the register whose memory this one lives in; its root is itself */
  int *birth, *death;           /* (nreg) first and last top-level unit of a root */
  int *packed;                  /* (ninstr) its entry in pack, or -1 */
  lurn_pack *pack;  int npack;
  void *block; size_t bytes;    /* all of the above */
} lurn_schedule;

/* Whether a register over time has a place for each of its frames, not only for those of a step or a block. */
static inline int lurn_keeps_frames (const lurn_schedule *s, lurn_reg r) {
  lurn_keep store = (lurn_keep)s->store[s->root[r]];
  return store != LURN_KEEP_STEP && store != LURN_KEEP_BLOCK;
}

void lurn_choices_default (lurn_choices *c);
void lurn_choices_random (lurn_choices *c, uint64_t dice);

lurn_status lurn_schedule_make (lurn_ctx *ctx, const lurn_program *p, const lurn_choices *c, lurn_schedule *s);
void lurn_schedule_free (lurn_ctx *ctx, lurn_schedule *s);
/* Puts BLOCKs before runs of units from `first` on, which one list of the top level has (block.c); unit_of (ninstr) is
 * scratch. */
void lurn_schedule_blocks (lurn_schedule *s, int first, int *unit_of);
/* Fills s->constant, and known (nreg, zeros at first) with the registers that such units write (constant.c). */
void lurn_schedule_constants (lurn_schedule *s, uint8_t *known);
/* Units as text, one a line; same convention as lurn_program_print. */
size_t lurn_schedule_print (const lurn_schedule *s, char *text, size_t size);

#endif
