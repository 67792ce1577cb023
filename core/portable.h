/* portable.h: a logarithm, an exponential, sine and cosine, and integer powers with the same bits everywhere.
 *
 * libm rounds these differently from one machine to the next. What is drawn or scheduled (initial
 * weights, noise, learning rates, bias corrections) must not, or two machines given the same
 * seed would train two models. These use only IEEE additions, multiplications and divisions
 * in double, in a fixed order; they are for set-up code, so they are short rather than fast, and
 * good to about two units in the last place rather than correctly rounded.
 */
#ifndef LURN_PORTABLE_H
#define LURN_PORTABLE_H

#include <stddef.h>
#include <stdint.h>

double lurn_portable_log (double x);                 /* ln x; x positive, finite, not subnormal */
double lurn_portable_exp (double x);                 /* e^x; 0 below -708, infinite above 709; NaN stays NaN */
/* Sine and cosine of 2 pi t, 0 <= t <= 1: an angle in turns reduces exactly. */
void lurn_portable_turn (double t, double *sine, double *cosine);
/* The same bits for n numbers side by side, which takes a third of the time of as many calls. */
void lurn_portable_logs (double *x, size_t n);
void lurn_portable_turns (const double *restrict t, double *restrict sine, double *restrict cosine, size_t n);
double lurn_portable_power (double x, int64_t n);    /* x^n, n >= 0; x^0 = 1 */

#endif
