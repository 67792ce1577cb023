/* op.h: the op table, the whole vocabulary of a program.
 *
 * A row of the table declares what an op is: its operands, its shape rule, how it is played and
 * how its gradient is written as further instructions. Ops 0 .. LURN_NMAPS-1 are the
 * elementwise maps of kernel.h under the same numbers; the others follow.
 *
 * Notation: x (N,K) time register with K columns, W (K,M) once register, i index register.
 */
#ifndef LURN_OP_H
#define LURN_OP_H

#include "program.h"

enum {
  LURN_OP_PRODUCT = LURN_NMAPS, /* (acc?, x, W; trans) -> acc + x W; last dimension */
  LURN_OP_OUTER,                /* (acc?, x, d) -> once: acc + x^T d, frames descending */
  LURN_OP_COLSUM,               /* (acc?, d) -> once: acc + sum over frames, descending */
  LURN_OP_COLDOT,               /* (acc?, x, d) -> once: acc + sum over frames of x * d, descending */
  LURN_OP_FOLD,                 /* (acc?, d) -> row: acc + sum over the row's steps, descending */
  LURN_OP_GATHER,               /* (W, i) -> W[i], zeros where i is -1 */
  LURN_OP_SCATTER,              /* (acc?, d, i; rows) -> once: acc[i] += d, frames descending */
  LURN_OP_PICK,                 /* (x, i) -> x[i], one column; 0 where i is -1 */
  LURN_OP_UNPICK,               /* (d, i; cols) -> row of zeros with d at i */
  LURN_OP_LIVE,                 /* (i) -> 1, or 0 where i is -1 */
  LURN_OP_ARGMAX,               /* (x) -> index of the largest column */
  LURN_OP_IWHERE,               /* (c, i, j) -> c != 0 ? i : j, indices */
  LURN_OP_IFILL,                /* (; value) -> index register of the axis in i[1] */
  LURN_OP_SAMPLE,               /* (x; k = temperature, name) -> index drawn from softmax(x / k) */
  LURN_OP_ROWSUM,               /* (x) -> sum of the columns */
  LURN_OP_ROWMAX,               /* (x) -> largest column */
  LURN_OP_LSE,                  /* (x) -> log sum exp of the columns */
  LURN_OP_NORM,                 /* (x; k) -> (x - mean x) / sqrt(mean (x - mean x)^2 + k), over the columns */
  LURN_OP_NORM_GRAD,            /* (dy, x; k) -> its gradient */
  LURN_OP_EXPAND,               /* (x (N,1); cols) -> that column, cols times */
  LURN_OP_TOTAL,                /* (x) -> once (1): sum of everything, in double */
  LURN_OP_SIZE,                 /* (x) -> once (1): how many numbers x has */
  LURN_OP_ROWS,                 /* (x) -> once (1): B */
  LURN_OP_SHIFT,                /* (x; k) -> x of step t-k, zeros outside */
  LURN_OP_LAST,                 /* (x; first) -> row: x at the row's last (first) step */
  LURN_OP_UNLAST,               /* (d; first) -> time: d at that step, zeros elsewhere */
  LURN_OP_CONCAT,               /* (a, b) -> columns side by side */
  LURN_OP_SLICE,                /* (x; from, n) -> columns [from, from+n) */
  LURN_OP_PAD,                  /* (d; from, cols) -> d at columns from.., zeros around */
  LURN_OP_RESHAPE,              /* (x; see emit) -> the same numbers, another row shape */
  LURN_OP_DROPOUT,              /* (x; k = rate, name) -> x * mask / (1-k); identity in evaluation */
  LURN_OP_DETACH,               /* (x) -> x, no gradient */
  LURN_OP_ATTEND,               /* (q, memory) -> softmax(q . m_j) m_j summed over the memory's steps j */
  LURN_OP_ATTEND_DQ,            /* (dy, q, memory) -> its gradient in q */
  LURN_OP_ATTEND_DM,            /* (dy, q, memory) -> its gradient in the memory */
  LURN_NOPS
};

typedef struct lurn_moment {    /* what random ops may depend on */
  uint64_t seed, step;
  lurn_purpose purpose;         /* LURN_PURPOSE_TRAIN: dropout drops */
} lurn_moment;

/* One playing of an instruction: either over rows (frames or sequences, one step or many) or
 * over the whole of an axis. */
typedef struct lurn_call {
  const lurn_ctx *ctx;
  const lurn_kernels *kernels;
  const lurn_program *program;
  const lurn_instr *instr;
  const lurn_batch *batch;
  const lurn_moment *moment;
  void *out;
  const void *in[LURN_MAX_IN];  /* first row; NULL when absent */
  ptrdiff_t step[LURN_MAX_IN];  /* elements from row to row; 0: the same row for all */
  const real *packed;           /* PRODUCT: its weights, packed by these kernels */
  int row, rows;                /* first row (of its step) and how many to play */
  int part, parts;              /* of an op that splits itself (LURN_OP_SPLITS) */
  int t;                        /* the step they belong to, where the op asks for it */
} lurn_call;

typedef struct lurn_deriv lurn_deriv;     /* derive.h */

enum {
  LURN_OP_COMMUTES = 1,         /* the first two operands may be swapped without changing a bit */
  LURN_OP_RANDOM = 2,           /* depends on the moment and on frames' identities */
  LURN_OP_ACC = 4,              /* operand 0 is an optional accumulator, continued in place */
  LURN_OP_WHOLE = 8,            /* played over a whole axis at once */
  LURN_OP_SPLITS = 64,          /* a whole op that plays part `part` of `parts`, none of them twice */
  LURN_OP_MEMORY = 32,          /* the last operand is a whole time axis, whatever step is played */
  LURN_OP_NOGRAD = 16           /* has no gradient: what flows in stops here */
};

typedef struct lurn_op {
  const char *name;
  int version;                  /* of its meaning; part of the text form when above 1 */
  int nin;                      /* operands, an optional accumulator included */
  int flags;
  /* Checks operands and fills *out (axis, dtype, rank, dim); 0: failed, the error is set. */
  int (*shape) (lurn_program *p, const lurn_instr *i, lurn_register *out);
  void (*play) (const lurn_call *c);
  /* Emits the gradient: dy is the gradient of the result. */
  void (*grad) (lurn_deriv *d, const lurn_instr *i, lurn_reg dy);
  const char *doc;
} lurn_op;

const lurn_op *lurn_op_info (int op);
int lurn_op_find (const char *name);      /* -1: no such op */
int lurn_op_count (void);                 /* ops are numbered from 0; those from outside follow LURN_NOPS - 1 */

/* Ops from outside (outside.h). Their rows are the one thing in the engine that is neither constant nor in a
 * context: a number must mean the same op in every program of the process. The list only grows; whoever reads it
 * never waits. lurn_op_add: the op's number, the same when it is added again; -1: the name is taken, or there are
 * LURN_MAX_OUTSIDE. After lurn_op_refuse no name leads to it; programs that have it stay as they are. */
#define LURN_MAX_OUTSIDE 256
int lurn_op_add (const lurn_op *row);
void lurn_op_refuse (int op);

/* Rows of the families, joined by op.c. */
extern const lurn_op lurn_ops_product[], lurn_ops_reduce[], lurn_ops_index[], lurn_ops_shape[], lurn_ops_attend[];
/* Multiply-adds of the matrix products of a program, played over N frames of B rows: what products and outer
 * products cost, and nothing else. */
double lurn_product_count (const lurn_program *p, int N, int B);
void lurn_map_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy);

/* For the op families. */
/* The part of n things that is this call's: [*from, *to). */
static inline void lurn_share (int n, int part, int parts, int *from, int *to) {
  *from = (int)((int64_t)n * part / parts);
  *to = (int)((int64_t)n * (part + 1) / parts);
}
/* An axis that an instruction names; -1, which no register can have, when there is none such. */
static inline int16_t lurn_axis_named (int axis) {
  return axis >= LURN_ONCE && axis <= LURN_TIME ? (int16_t)axis : -1;
}
/* Operand k of i is read whole. */
static inline int lurn_is_memory (const lurn_instr *i, int k) {
  const lurn_op *op = lurn_op_info(i->op);
  return (op->flags & LURN_OP_MEMORY) && k == op->nin - 1;
}
static inline const lurn_register *lurn_out_info (const lurn_call *c) {
  return &c->program->reg[c->instr->out];
}
static inline const lurn_register *lurn_in_info (const lurn_call *c, int k) {
  return &c->program->reg[c->instr->in[k]];
}

#endif
