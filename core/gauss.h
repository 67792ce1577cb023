/* gauss.h: the normal distribution in double, with the same bits everywhere.
 *
 * What a sampler draws and scores must not depend on a machine's libm; like portable.h these are IEEE
 * additions, multiplications, divisions and square roots in a fixed order. Relative errors are about
 * 1e-15 near the middle and grow like x^2 times that in the tails (tests/spec/parzen_spec.lua).
 */
#ifndef LURN_GAUSS_H
#define LURN_GAUSS_H

#define LURN_SQRT_HALF   0.7071067811865476
#define LURN_LN_SQRT_2PI 0.9189385332046727

double lurn_gauss_below (double x);              /* the share of a standard normal below x */
double lurn_gauss_mass (double a, double b);     /* the share in [a, b], a <= b; no cancellation in the tails */
double lurn_gauss_quantile (double p);           /* the x that has p below it, 0 < p <= 1/2 */

#endif
