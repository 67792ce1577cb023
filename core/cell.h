/* cell.h: the built-in recurrent cells as equations, and the activations.
 *
 * A cell is a function written once, for one time step: from the input x (D) and the states of
 * the step before to the states of this one. It is called between lurn_scan_begin and
 * lurn_scan_end and does nothing that a function traced from Lua could not do. The first
 * state is the output.
 *
 * Weights: row vectors times matrices, Wx (D,H), Wh (H,H), b (H); a gate g has its own block
 * "<path>.g.Wx" and so on. Defaults: Wx Xavier uniform (Glorot & Bengio 2010), Wh orthogonal
 * (Saxe et al. 2014), b zero; the LSTM's forget gate b is 1 (Gers et al. 2000).
 */
#ifndef LURN_CELL_H
#define LURN_CELL_H

#include "program.h"

typedef struct lurn_cell_options {
  const char *path;             /* "lstm1": prefix of the parameters' paths */
  int hidden;                   /* H */
  const char *activation;       /* of the state: "tanh" */
  int reset_after;              /* GRU: the reset gate after the product (cuDNN, PyTorch) or before (Cho et al.) */
  double forget_bias;           /* LSTM */
} lurn_cell_options;

typedef struct lurn_cell {
  const char *name;
  const char *states[LURN_MAX_STATES];            /* NULL ends */
  /* s: the states of the step before; replaced by those of this step. */
  void (*step) (lurn_program *p, const lurn_cell_options *o, lurn_reg x, lurn_reg *s);
  const char *doc;
} lurn_cell;

const lurn_cell *lurn_cell_find (const char *name);       /* "rnn", "lstm", "gru"; NULL: none */
void lurn_cell_defaults (lurn_cell_options *o);
/* Opens the scan, plays the step, closes it; the output over time (N,H). */
lurn_reg lurn_cell_layer (lurn_program *p, const lurn_cell *cell, const lurn_cell_options *o, lurn_reg x, int reverse);

/* One operand of an affine map and the letter of its weight: {x, "Wx"}. */
typedef struct lurn_term { lurn_reg reg; const char *letter; } lurn_term;
/* b + sum of term W, one chain of products; gate NULL: no block of its own. bias NULL: none. */
lurn_reg lurn_affine (lurn_program *p, const char *path, const char *gate, int n, const lurn_term *term,
                      int out, const char *bias, lurn_init binit);

/* identity, tanh, sigmoid, relu, leaky_relu, elu, selu, softplus, softsign, gelu, silu, hard_sigmoid,
 * hard_tanh, sin: with PyTorch's definitions and default constants. -1 and the error otherwise. */
lurn_reg lurn_activation (lurn_program *p, const char *name, lurn_reg x);
const char *const *lurn_activation_list (void);

/* Losses per frame (N,1), unreduced; y: the targets. */
lurn_reg lurn_loss_mse (lurn_program *p, lurn_reg out, lurn_reg y);             /* mean over columns of (out - y)^2 */
lurn_reg lurn_loss_cross_entropy (lurn_program *p, lurn_reg logits, lurn_reg y);   /* 0 where y is none */
lurn_reg lurn_loss_bce (lurn_program *p, lurn_reg logits, lurn_reg y);          /* mean over columns */
/* One number: "mean" over what counts, "time" (sum over t, mean over sequences), "sum". weight
 * (N,1) or -1: how much each frame counts. *count gets the denominator (once, 1). */
lurn_reg lurn_reduce_loss (lurn_program *p, lurn_reg l, lurn_reg weight, const char *how, lurn_reg *count);

#endif
