/* lr.h: learning rates over time.
 *
 * A schedule is a pure function of the step: nothing to save, nothing that a resume can lose.
 * Steps count from 1, as in optim.h. The one that listens to a metric (plateau) has a state of
 * three plain numbers, which its owner checkpoints.
 *
 *   k = step - 1 - warmup, from 0 at the first step after warm-up
 *   warm-up      base step / warmup                       (step <= warmup; then, by k:)
 *   constant     base
 *   step         base gamma^floor(k / every)
 *   exponential  base gamma^k
 *   cosine       low + (base - low) (1 + cos(pi k / K)) / 2, K = total - warmup; low from there on
 */
#ifndef LURN_LR_H
#define LURN_LR_H

#include "base.h"

typedef enum lurn_lr_kind {
  LURN_LR_CONSTANT, LURN_LR_STEP, LURN_LR_EXPONENTIAL, LURN_LR_COSINE
} lurn_lr_kind;

typedef struct lurn_lr {
  lurn_lr_kind kind;
  double base;                  /* the rate that warm-up leads to */
  int64_t warmup;               /* steps; 0: none */
  double gamma;                 /* step, exponential */
  int64_t every;                /* step */
  int64_t total;                /* cosine: the last step of training, warm-up included */
  double low;                   /* cosine: the rate at the end */
} lurn_lr;

/* EINVAL names the field that does not fit the kind. */
lurn_status lurn_lr_check (lurn_ctx *ctx, const lurn_lr *s);
/* The rate of a step, 1 or later; s has been checked. */
double lurn_lr_at (const lurn_lr *s, int64_t step);

/* PyTorch's ReduceLROnPlateau: options, names, defaults, and order of decisions. */
typedef struct lurn_lr_plateau {
  int maximize;                 /* the metric is better when larger */
  double factor;                /* 0.1 */
  int64_t patience;             /* 10: reports without improvement that are tolerated */
  double threshold;             /* 1e-4: an improvement must be larger than this ... */
  int absolute;                 /* ... times the best, or as it is */
  int64_t cooldown;             /* 0: reports after a reduction that do not count */
  double min_lr;                /* 0 */
  double eps;                   /* 1e-8: a smaller change of the rate is not made */
} lurn_lr_plateau;

typedef struct lurn_lr_plateau_state {
  double best;
  int64_t bad, cooling;         /* reports without improvement; reports of cool-down left */
} lurn_lr_plateau_state;

void lurn_lr_plateau_defaults (lurn_lr_plateau *o);
void lurn_lr_plateau_reset (const lurn_lr_plateau *o, lurn_lr_plateau_state *s);
/* Takes one report of the metric; returns the rate from now on, given the rate until now. A NaN
 * is no improvement. */
double lurn_lr_plateau_report (const lurn_lr_plateau *o, lurn_lr_plateau_state *s, double metric, double lr);

#endif
