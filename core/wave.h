/* wave.h: one use of a program: its activations, its place in memory, the moment it is played.
 *
 * Blueprint (program, schedule), weights (flat arrays of the model) and wave are three things:
 * training, evaluation, a stepping stream each have a wave of their own and share the other two.
 *
 *   lurn_wave_plan(w, ...)                w->bytes is the plan, to the byte
 *   lurn_wave_place(w, memory)            every register gets its place; the caller's memory, aligned
 *   lurn_wave_params(w, value, grad)      where the weights are
 *   lurn_wave_pack(w)                     after every change of the weights
 *   lurn_wave_bind(w, batch, moment)      checks the batch against the program
 *   lurn_conductor_play(w, first, last)   units; or lurn_twin_play
 *
 * With a schedule a wave is played by the conductor, without one by the naive twin; both keep
 * every promise of normalise.h.
 */
#ifndef LURN_WAVE_H
#define LURN_WAVE_H

#include "schedule.h"

/* Where the rows of an operand are: row `first` of a step whose frames begin at `start` is at
 * at + row * (first + start), if it has frames, or in a thread's own scratch. */
typedef struct lurn_spot {
  uintptr_t at, row;            /* row: bytes, 0 for what stands still */
  uintptr_t frames, own;        /* masks: all ones where it has frames; where `at` counts from the scratch */
} lurn_spot;

/* An instruction as far as it is the same in every step: ready.h. */
typedef struct lurn_ready {
  lurn_spot out, in[3];
  lurn_map_fn f;                /* of a map; NULL: what else a strip plays */
  real k;
  int cols, still;              /* still: an operand is the same for all rows */
  lurn_product job;             /* of a product in a list, but for its rows */
} lurn_ready;

/* How threads share a unit, and what that depends on: sharing.h. */
typedef struct lurn_sharing {
  uint8_t how, meet;            /* meet: all threads come there before any of them begins */
  uint8_t packs;                /* of a loop: its steps multiply by matrices that are computed */
  int span;                     /* of a loop: steps of a span */
} lurn_sharing;
typedef struct lurn_shape { int threads, meets, blas; lurn_extent extent; } lurn_shape;

typedef struct lurn_wave {
  lurn_ctx *ctx;
  const lurn_program *program;
  const lurn_schedule *schedule;          /* NULL: the twin's wave */
  const lurn_kernels *kernels;
  int threads;                  /* that have scratch: those of ctx->pool when planned */
  lurn_extent most;             /* what is planned */
  const struct lurn_op **op;    /* (ninstr) its row of the table */
  uint8_t *axis;                /* (ninstr) the axis whose rows it works through */
  lurn_ready *ready;            /* (ninstr) of maps and products */
  void **ready_for;             /* (nreg) base as it was then */
  lurn_sharing *sharing;           /* (nunit) */
  lurn_shape shape;             /* that it was found for */
  uint8_t *looks;               /* (3, nreg) scratch of finding it */
  void **base;                  /* (nreg) first element of a register; NULL: not stored */
  unsigned weights, *known;     /* how often they changed; (nunit) the weights that a constant unit was played with */
  real **packed;                /* per entry of the schedule's packs (twin: per product) */
  real *scratch;                /* strips: nslot blocks for each thread */
  void *op_scratch;             /* of the op that needs most */
  int32_t *limit;               /* (ninput) an index input must stay below this; 0: no limit */
  int window;                   /* recompute.h: steps of a window, 0: all at once */
  int32_t *window_start;        /* (window+1), (B): of the window that is played */
  int64_t *window_pos;
  double *lanes;                /* (ninstr, LURN_TOTAL_LANES) of totals */
  char **entry, **from;         /* (nscan, LURN_MAX_STATES): states at the beginnings of windows; from: what a scan
                                 * starts with now, NULL: its initial value */
  int go_on;                    /* 1: whole ops go on from earlier windows */
  real *value, *grad;           /* flat arrays of the model; grad may be NULL */
  const lurn_batch *batch;      /* along the first time axis */
  lurn_moment moment;
  size_t bytes;                 /* of the arena: registers, then the rest */
  size_t rest;                  /* packed weights and strips */
  size_t slot_bytes;            /* one block of one register in a strip */
  size_t *offset;               /* (nreg) place in the arena, SIZE_MAX: none */
  void *tables; size_t table_bytes;
} lurn_wave;

/* s NULL: a wave for the twin, in which every register has a place of its own. */
lurn_status lurn_wave_plan (lurn_ctx *ctx, lurn_wave *w, const lurn_program *p, const lurn_schedule *s,
                            const lurn_kernels *k, const lurn_extent *most);
void lurn_wave_place (lurn_wave *w, void *memory);
/* The batch along the time axis that `axis` belongs to. */
static inline const lurn_batch *lurn_wave_along (const lurn_wave *w, int axis) { return lurn_batch_along(w->batch, axis); }
/* Steps of a block, so that as many rows as are planned make up its frames. */
static inline int lurn_wave_block (const lurn_wave *w) {
  int steps = w->schedule->choices.rows / w->most.B;
  return steps > 0 ? steps : 1;
}
void lurn_wave_free (lurn_wave *w);                  /* the tables; the arena is the caller's */
void lurn_wave_params (lurn_wave *w, real *value, real *grad);
void lurn_wave_pack (lurn_wave *w);
/* EINVAL: a field is missing, has the wrong type or width, an index is out of range, or the
 * batch is larger than planned. Carried states are bound by lurn_wave_input afterwards. */
lurn_status lurn_wave_bind (lurn_wave *w, const lurn_batch *batch, const lurn_moment *moment);
/* Memory for one input by name (carried states). Returns 0 when the program has no such input. */
int lurn_wave_input (lurn_wave *w, const char *name, void *data);
/* Where output `name` lies, NULL when there is none; *info gets its register. */
void *lurn_wave_output (const lurn_wave *w, const char *name, const lurn_register **info);
/* Copies gradients that could not be written in place; clears those nothing flows into. */
void lurn_wave_finish_grads (lurn_wave *w);

/* A wave with a window is played by recompute.h, half by half. EINTR when the stop flag was set: nothing outside the
 * wave has changed. */
lurn_status lurn_conductor_play (lurn_wave *w, int first_unit, int last_unit);
/* Row `row` of step t of a register. */
char *lurn_conductor_row (const lurn_wave *w, lurn_reg r, int t, int row);
lurn_status lurn_twin_play (lurn_wave *w, int first_instr, int last_instr);

/* The first register with a NaN or Inf after a twin has played everything: name of the scan or
 * parameter, op, step and row into text. 0: all finite. */
int lurn_twin_blame (const lurn_wave *w, char *text, size_t size);

#endif
