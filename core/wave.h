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

typedef struct lurn_wave {
  lurn_ctx *ctx;
  const lurn_program *program;
  const lurn_schedule *schedule;          /* NULL: the twin's wave */
  const lurn_kernels *kernels;
  int threads;                  /* that have scratch: those of ctx->pool when planned */
  int T, B, N;                  /* what is planned: most steps, rows, frames */
  void **base;                  /* (nreg) first element of a register; NULL: not stored */
  real **packed;                /* per entry of the schedule's packs (twin: per product) */
  real *scratch;                /* strips: nslot blocks for each thread */
  int32_t *limit;               /* (ninput) an index input must stay below this; 0: no limit */
  real *value, *grad;           /* flat arrays of the model; grad may be NULL */
  const lurn_batch *batch;
  lurn_moment moment;
  size_t bytes;                 /* of the arena: registers, then the rest */
  size_t rest;                  /* packed weights and strips */
  size_t slot_bytes;            /* one block of one register in a strip */
  size_t *offset;               /* (nreg) place in the arena, SIZE_MAX: none */
  void *tables; size_t table_bytes;
} lurn_wave;

/* s NULL: a wave for the twin, in which every register has a place of its own. */
lurn_status lurn_wave_plan (lurn_ctx *ctx, lurn_wave *w, const lurn_program *p, const lurn_schedule *s,
                            const lurn_kernels *k, int T, int B, int N);
void lurn_wave_place (lurn_wave *w, void *memory);
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

/* EINTR when the stop flag was set: nothing outside the wave has changed. */
lurn_status lurn_conductor_play (lurn_wave *w, int first_unit, int last_unit);
lurn_status lurn_twin_play (lurn_wave *w, int first_instr, int last_instr);

/* The first register with a NaN or Inf after a twin has played everything: name of the scan or
 * parameter, op, step and row into text. 0: all finite. */
int lurn_twin_blame (const lurn_wave *w, char *text, size_t size);

#endif
