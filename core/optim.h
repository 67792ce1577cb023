/* optim.h: one update of the flat parameters from the flat gradients.
 *
 * A step is: clip (by value, then layer by layer, then by global norm), then the rule, group by group. All sums are
 * in double and in fixed order; the update is plain IEEE arithmetic without contraction, so
 * the same bits come out on every machine.
 */
#ifndef LURN_OPTIM_H
#define LURN_OPTIM_H

#include "param.h"

typedef enum lurn_rule {
  LURN_RULE_SGD, LURN_RULE_RMSPROP, LURN_RULE_ADAGRAD, LURN_RULE_ADADELTA, LURN_RULE_ADAM, LURN_RULE_ADAMW
} lurn_rule;

/* Fields follow torch.optim: names, defaults and formulas (each formula with its reference stands
 * above its loop in optim.c). */
typedef struct lurn_optim {
  lurn_rule rule;
  double lr;
  double momentum, dampening; int nesterov;   /* SGD; momentum for RMSprop too */
  double alpha; int centered;                 /* RMSprop 0.99 */
  double rho;                                 /* Adadelta 0.9 */
  double beta1, beta2;                        /* Adam(W) 0.9, 0.999 */
  double eps;
  double lr_decay, initial_accumulator;       /* Adagrad */
  double weight_decay;                        /* L2 in the gradient; decoupled for AdamW */
  double clip_norm, clip_layer, clip_value;   /* 0: off */
} lurn_optim;

/* A group overrides by parameter: entry i for parameter i of the table. */
typedef struct lurn_group { double lr_scale, weight_decay; int frozen; } lurn_group;

/* torch.optim's defaults of the rule (lr: 1e-2 RMSprop, Adagrad; 1e-3 Adam, AdamW, SGD; 1.0 Adadelta). */
void lurn_optim_defaults (lurn_optim *o, lurn_rule rule);
int lurn_optim_moments (const lurn_optim *o);                /* arrays of t->count reals it needs: 0..3 */
const char *lurn_optim_moment_name (const lurn_optim *o, int i);   /* "exp_avg", "exp_avg_sq", ... */
/* Clears the moments (Adagrad: to its initial accumulator). */
void lurn_optim_reset (const lurn_optim *o, const lurn_params *t, real *moment);

/* Global L2 norm over the parameters that are not frozen, before any clipping. groups may be NULL. */
double lurn_optim_norm (const lurn_ctx *ctx, const lurn_params *t, const lurn_group *groups, const real *grad);
/* Clips by value, then scales each layer (parameters with the same first word of their path) so that its norm is at
 * most clip_layer, then everything so that the norm of what is left is at most clip_norm (exactly the threshold up to
 * rounding when it was larger). Returns the global norm before anything was scaled. With `factor` the last scaling is
 * left to the update: *factor is what it multiplies by, 1 when there is nothing to do. */
double lurn_optim_clip (const lurn_ctx *ctx, const lurn_optim *o, const lurn_params *t,
                        const lurn_group *groups, real *grad, double *factor);
/* The update, of gradients that are multiplied by `factor` on the way (and stay so): one pass over the flat arrays, of
 * which each thread takes a share. step counts from 1 (bias correction). moment holds lurn_optim_moments arrays, one
 * after the other. Frozen parameters and their moments do not change by a bit. */
void lurn_optim_update (const lurn_ctx *ctx, const lurn_optim *o, const lurn_params *t, const lurn_group *groups,
                        int64_t step, double factor, real *value, real *grad, real *moment);

#endif
