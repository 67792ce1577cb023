/* gradcheck.h: the derived gradients against differences of the loss.
 *
 * For each parameter element (all, or some drawn by lot) the loss is played at four points and
 *   d = (8 (L(+h) - L(-h)) - (L(+2h) - L(-2h))) / (12 h)
 * compared with the gradient. With h = 5e-4 the truncation is h^4/30 times a fifth derivative
 * (2e-15) and the rounding about 3 u |L| / (2 h) = 7e-13 |L| in f64; so an element smaller than
 * 1e-5 max(1, |L|) is compared at that size: below it a relative error says nothing. Only the
 * f64 build can meet 1e-6.
 */
#ifndef LURN_GRADCHECK_H
#define LURN_GRADCHECK_H

#include "program.h"

typedef struct lurn_gradcheck_result {
  double worst;                 /* largest relative error */
  char path[LURN_NAME];         /* where */
  size_t index;
  double analytic, numeric;
  size_t checked;
} lurn_gradcheck_result;

/* source: not normalised. value: (params.count) as laid out by the normalised program, i.e. by
 * sorted path; restored before returning. most: elements per parameter, 0 for all. */
lurn_status lurn_gradcheck (lurn_ctx *ctx, const lurn_program *source, const lurn_batch *batch, real *value,
                            size_t most, uint64_t seed, lurn_gradcheck_result *result);

#endif
