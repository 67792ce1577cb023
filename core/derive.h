/* derive.h: what an op's gradient rule may ask for.
 *
 * The backward half is a program like any other: rules emit instructions through the builder
 * and hand contributions to lurn_grad_add, which keeps the fixed order of terms and reduces
 * what was broadcast. Inside the mirror of a scan, everything that falls on a parameter or
 * on a row is reduced after the loop, never within it.
 */
#ifndef LURN_DERIVE_H
#define LURN_DERIVE_H

#include "op.h"

int lurn_grad_needed (const lurn_deriv *d, lurn_reg r);
lurn_program *lurn_grad_program (lurn_deriv *d);
/* d(r) += g; g has r's shape, its axis may be higher (then it is summed down). */
void lurn_grad_add (lurn_deriv *d, lurn_reg r, lurn_reg g);
/* d(x) += dy W^T (trans 0) or dy W (trans 1), continuing the chain of what is there. */
void lurn_grad_product (lurn_deriv *d, lurn_reg x, lurn_reg dy, lurn_reg w, int trans);
/* d(to) += op(a, b, c), of whole time axes: after the loop when inside one. */
void lurn_grad_whole (lurn_deriv *d, lurn_reg to, int op, lurn_reg a, lurn_reg b, lurn_reg c);
/* d(w) += op(x, dy): OUTER, or SCATTER with rows in i0; after the loop when inside one. */
void lurn_grad_reduce (lurn_deriv *d, lurn_reg w, int op, lurn_reg x, lurn_reg dy, int i0);
/* The same of any instruction, whose accumulator will be the gradient so far: */
void lurn_grad_later (lurn_deriv *d, lurn_reg to, const lurn_instr *like);        /* after the loop when inside one */
void lurn_grad_chain (lurn_deriv *d, lurn_reg to, const lurn_instr *like);        /* here */

#endif
