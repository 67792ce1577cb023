/* normalise.h: fixes the arithmetic of a program.
 *
 * From what a script or a built-in cell recorded to one canonical program: dead instructions
 * gone, common ones shared, operands of commuting ops and instructions in an order that depends
 * on the mathematics alone, parameters by sorted path. Two sources that mean the same give the
 * same text and the same bits. Then the backward half is derived: the reverse of the forward
 * half, term by term, in which every scan has a mirror that plays the other way and carries
 * the gradient of the state.
 *
 * What comes out is what both the schedule and the naive twin play; neither may change a bit of
 * it.
 */
#ifndef LURN_NORMALISE_H
#define LURN_NORMALISE_H

#include "program.h"

typedef struct lurn_variant {
  int grad;                     /* derive the backward half: outputs "d:<path>" for parameters */
  int grad_inputs;              /* and "d:x" for real inputs on the time axis */
  int grad_states;              /* and, of every state that the loss depends on, "value:<scan>.<state>": its value
                                   after each step, and "grad:<scan>.<state>": the whole gradient in that value,
                                   what its readers outside get and what later steps hand back */
  int carry;                    /* states come from input and go to output "state:<scan>.<name>" */
  int lean;                     /* without output "out" */
  int infer;                    /* output "out" alone: no loss, no targets */
  int reset;                    /* input "reset" (N,1): 1 where a state starts anew */
} lurn_variant;

/* out must be fresh (lurn_program_init); the caller frees it whatever the status. */
lurn_status lurn_normalise (lurn_ctx *ctx, const lurn_program *source, const lurn_variant *v, lurn_program *out);
/* The backward half of a normalised forward program (derive.c); needs output "loss". */
lurn_status lurn_derive (lurn_ctx *ctx, lurn_program *p, const lurn_variant *v);
/* Drops instructions that no output needs; keeps p->forward right. */
lurn_status lurn_prune (lurn_ctx *ctx, lurn_program *p);

#endif
