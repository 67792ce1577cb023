/* parzen.h: mixtures of product kernels, the densities of the tree-structured Parzen estimator (Bergstra et al.,
 * "Algorithms for Hyper-Parameter Optimization", NIPS 2011; the multivariate form of Falkner et al., BOHB, ICML 2018),
 * with the rules of Optuna 5 (optuna/samplers/_tpe/parzen_estimator.py).
 *
 *   p(x) = sum over k of w_k product over axes of K_axis(x; observation k),  the last kernel being the prior
 *
 * Letters: A axes, n observations in the mixture, K = n + 1 kernels, C candidates.
 *   numbers   a normal around the observation, cut off at low and high. sigma is the larger of the gaps to the
 *             neighbours, or the inner gap of the outermost two; of a single observation, the larger gap to the ends
 *             of the range; and within [(high - low) / min(100, K + 1), high - low]. The prior has the middle
 *             and high - low.
 *   steps     the share of that normal between x - step/2 and x + step/2; the range is half a step wider
 *   choices   (1/K + [x is the observation's]) / (C/K + 1); the prior is even
 *   weights   1 for the prior and the newest 25 observations; the older ones rise from 1/n to 1 (linearly)
 * On a logarithmic axis all of this is said of the logarithm.
 *
 * Observations are added once and keep their place; a mixture is fitted to any set of them. What a fit can reuse of
 * the last one it does: orders by value, and the normaliser of every kernel whose sigma has not changed.
 * Order of calls: init, reserve and add, fit, then draw and score. Everything is a pure function of the observations.
 */
#ifndef LURN_PARZEN_H
#define LURN_PARZEN_H

#include "rng.h"

typedef enum lurn_range_kind { LURN_RANGE_NUMBER, LURN_RANGE_STEPS, LURN_RANGE_CHOICE } lurn_range_kind;

typedef struct lurn_range {
  lurn_range_kind kind;
  int log;                      /* numbers and steps: kernels live on the logarithm */
  double low, high, step;       /* of values; choices: 0 to high, counted from 0 */
  lurn_key key;                 /* of the draws along this axis */
} lurn_range;

/* The ends of where kernels live: half a step wider, on the logarithm. */
void lurn_range_ends (const lurn_range *a, double *low, double *high);

/* One observation along one axis: x where the kernels live; sigma, sqrt(1/2) / sigma, and ln of what the kernel is
 * divided by. sigma 0: in no fit yet. */
typedef struct lurn_bump { double x, sigma, inverse, norm; } lurn_bump;

typedef struct lurn_parzen {
  int A, n, K;                  /* K = 0: not fitted yet */
  int added, capacity;          /* observations, and room for them */
  lurn_range *axis;              /* (A) */
  lurn_key key;                 /* of the draws of kernels */
  char *block;                  /* all that follows, in one piece */
  size_t bytes;
  int64_t *number;              /* (capacity) what orders equal observations: the trial's number */
  lurn_bump *bump;              /* (A,capacity) observations, and their kernels in the last fit that had them */
  /* of the last fit */
  int32_t *slot;                /* (n) its observations, as given */
  int32_t *coming;              /* (capacity) room for the caller's list of the next fit */
  int32_t *kernel;              /* (capacity) which kernel an observation became */
  char *member;                 /* (capacity) scratch of the fit, zero between two */
  int32_t *order;               /* (A,capacity) its observations by x; not of choices */
  double *weight;               /* (K) w_k */
  double *constant;             /* (K) less the sum of all norms */
  double *mu, *inverse;         /* (A,capacity + 1) by kernel; inverse: sqrt(1/2) / sigma; choices: mu alone */
  int32_t *same;                /* (A,capacity + 1) by kernel: which of the different kernels along the axis it is */
  int32_t *different;           /* (A,capacity + 1) a kernel of each pair of mu and sigma there is */
  int *count;                   /* (A) how many pairs */
  double *scratch;              /* of scores; size: in doubles */
  size_t scratch_size;
} lurn_parzen;

/* axis (A) is copied. */
lurn_status lurn_parzen_init (lurn_ctx *ctx, lurn_parzen *p, const lurn_range *axis, int A, lurn_key key);
void lurn_parzen_free (lurn_ctx *ctx, lurn_parzen *p);
lurn_status lurn_parzen_reserve (lurn_ctx *ctx, lurn_parzen *p, int capacity);

/* Adds an observation x (A), in values (choices from 0), and returns its place. Needs room. */
int lurn_parzen_add (lurn_parzen *p, int64_t number, const double *x);
/* Fits the mixture to n observations, by place, oldest first; none twice. */
void lurn_parzen_fit (lurn_parzen *p, const int32_t *slots, int n);

/* out (C,A), values: candidate c draws a kernel by weight, then a value along each axis. Draws are functions of the
 * keys and first + c alone. */
void lurn_parzen_draw (const lurn_parzen *p, double *out, int C, uint64_t first);
/* out (C) = ln p(x), x (C,A) in values. Needs scratch, which stays for the next time. */
lurn_status lurn_parzen_score (lurn_ctx *ctx, lurn_parzen *p, double *out, const double *x, int C);

#endif
