/* param.h: parameters by path, in one flat array.
 *
 * A path reads "lstm1.f.Wx": layer, gate block, letter. The flat arrays (values, gradients, and
 * the optimiser's moments) are laid out by sorted path, so that a checkpoint, a clip or an
 * update is one loop over n numbers. Blocks are padded to LURN_ALIGN with zeros, which no
 * kernel of this engine ever changes.
 */
#ifndef LURN_PARAM_H
#define LURN_PARAM_H

#include "base.h"
#include "rng.h"

#define LURN_NAME 96            /* longest path, with its terminator */

typedef enum lurn_init_kind {
  LURN_INIT_CONSTANT,           /* a */
  LURN_INIT_UNIFORM,            /* U(a, b) */
  LURN_INIT_NORMAL,             /* N(mean a, deviation b) */
  LURN_INIT_XAVIER_UNIFORM,     /* U(+-a sqrt(6 / (fan_in + fan_out))), gain a; Glorot & Bengio 2010 */
  LURN_INIT_XAVIER_NORMAL,      /* deviation a sqrt(2 / (fan_in + fan_out)) */
  LURN_INIT_HE_UNIFORM,         /* U(+-a sqrt(3 / fan_in)), gain a; He et al. 2015 */
  LURN_INIT_HE_NORMAL,          /* deviation a / sqrt(fan_in) */
  LURN_INIT_ORTHOGONAL,         /* gain a; Saxe et al. 2014: QR of a normal matrix, signs fixed */
  LURN_INIT_IDENTITY,           /* a on the diagonal, of a convolution's middle tap */
  LURN_INIT_FAN_UNIFORM,        /* U(+-a / sqrt(b)): PyTorch's recurrent default with b = H */
  LURN_INIT_CHRONO              /* ln U(1, a - 1) for dependencies up to a steps, -ln U(1, -a - 1) for a < 0; Tallec &
                                   Ollivier 2018. One draw per layer: the forget gate's a and the input gate's -a
                                   give biases that are each other's negative, as the paper has them. */
} lurn_init_kind;

typedef struct lurn_init { lurn_init_kind kind; double a, b; } lurn_init;

typedef struct lurn_param {
  char path[LURN_NAME];
  int rank, dim[LURN_MAX_RANK]; /* (fan_in, fan_out) for a weight, (kh,kw,C,M) for a convolution's, (n) for a bias */
  size_t offset, count;         /* in reals; offset of the block in the flat arrays */
  lurn_init init;
} lurn_param;

typedef struct lurn_params {    /* the table; the arrays belong to whoever owns the model */
  int n, cap;
  lurn_param *p;                /* in order of declaration until lurn_params_layout */
  size_t count;                 /* reals in a flat array, padding included; 0 before layout */
} lurn_params;

/* Declares or finds: a path declared again must have the same shape (EINVAL names both). *index is
 * the declaration's index, which layout keeps (layout sorts offsets, not the table). */
lurn_status lurn_params_declare (lurn_ctx *ctx, lurn_params *t, const char *path, int rank,
                                 const int *dim, lurn_init init, int *index);
int lurn_params_find (const lurn_params *t, const char *path);      /* index or -1 */
void lurn_params_layout (lurn_params *t);                           /* by sorted path */
/* order[i] = index of the i-th path in sorted order; order has room for t->n. */
void lurn_params_order (const lurn_params *t, int *order);
void lurn_params_free (lurn_ctx *ctx, lurn_params *t);

/* Fills value (t->count reals): a pure function of seed, path and init. f32 is f64 rounded.
 * EINVAL names the path when an init does not fit the shape (orthogonal of a vector). */
lurn_status lurn_params_init (lurn_ctx *ctx, const lurn_params *t, uint64_t seed, real *value);
/* One parameter only. */
lurn_status lurn_param_init (lurn_ctx *ctx, const lurn_param *p, uint64_t seed, real *value);

#endif
