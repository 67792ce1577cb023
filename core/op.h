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
  LURN_OP_PLACESUM,             /* (acc?, d) -> once (last dimension): acc + sum over frames and places, descending */
  LURN_OP_COLDOT,               /* (acc?, x, d) -> once: acc + sum over frames of x * d, descending */
  LURN_OP_FOLD,                 /* (acc?, d; rising) -> row: acc + sum over the row's steps, from the last (first) on */
  LURN_OP_GATHER,               /* (W, i; spare) -> W[i]; where i is -1 zeros, with `spare` the last row */
  LURN_OP_SCATTER,              /* (acc?, d, i; rows, spare) -> once: acc[i] += d, frames descending */
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
  LURN_OP_LAST,                 /* (x; first, handed) -> row: x at the row's last (first) step, or at the one that is handed on */
  LURN_OP_UNLAST,               /* (d; first) -> time: d at that step, zeros elsewhere */
  LURN_OP_REORDER,               /* (x; axis) -> row: x of the same sequence, for the rows of another time axis */
  LURN_OP_CONCAT,               /* (a, b) -> columns side by side */
  LURN_OP_SLICE,                /* (x; from, n) -> columns [from, from+n) */
  LURN_OP_PAD,                  /* (d; from, cols) -> d at columns from.., zeros around */
  LURN_OP_RESHAPE,              /* (x; see emit) -> the same numbers, another row shape */
  LURN_OP_DROPOUT,              /* (x; k = rate, name) -> x * mask / (1-k); identity in evaluation */
  LURN_OP_DETACH,               /* (x) -> x, no gradient */
  LURN_OP_CROP,                 /* (x (h,w,c); y0, x0, sy, sx, oh, ow) -> (oh,ow,c): x[y0 + i sy][x0 + j sx] */
  LURN_OP_PLACE,                /* (d (oh,ow,c); y0, x0, sy, sx, h, w) -> (h,w,c): d at those places, zeros elsewhere */
  LURN_OP_CONV,                 /* (acc?, x (h,w,C), W (kh,kw,C,M); sy, sx, dy, dx) -> (oh,ow,M): acc + x * W */
  LURN_OP_CONV_DX,              /* (acc?, d (oh,ow,M), W; sy, sx, dy, dx) -> (h,w,C): its transpose */
  LURN_OP_CONV_DW,              /* (acc?, x, d; sy, sx, dy, dx, kh, kw) -> once (kh,kw,C,M), frames descending */
  LURN_OP_ATTEND,               /* (u?, q, keys, values) -> sum over the memory's steps j of softmax(score)_j v_j */
  LURN_OP_ATTEND_DQ,            /* (u?, dy, q, keys, values) -> its gradient in q */
  LURN_OP_ATTEND_DK,            /* ... in the keys */
  LURN_OP_ATTEND_DV,            /* ... in the values */
  LURN_OP_ATTEND_DU,            /* ... in u -> once */
  LURN_OP_CTC,                  /* (ln y, labels; blank, zero_infinity) -> row: -ln p of labels along another time axis */
  LURN_OP_CTC_GRAD,             /* (dy, ln y, labels; the same) -> its gradient in ln y */
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
  const lurn_batch *batch;      /* along the time axis whose rows are played */
  const lurn_batch *first;      /* along the first time axis; lurn_batch_along finds the others */
  const lurn_moment *moment;
  void *out;
  const void *in[LURN_MAX_IN];  /* first row; NULL when absent */
  ptrdiff_t step[LURN_MAX_IN];  /* elements from row to row; 0: the same row for all */
  const real *packed;           /* of operand 2, where lurn_packing_of says so: by these kernels */
  void *scratch;                /* as much as the op asks for, aligned */
  int row, rows;                /* first row (of its step) and how many to play */
  int part, parts;              /* of an op that splits itself (LURN_OP_SPLITS) */
  int t;                        /* the step they belong to, where the op asks for it */
  int go_on;                    /* 1: a whole op's result goes on from what earlier windows left in it */
  double *lanes;                /* (LURN_TOTAL_LANES) of a total that goes on; NULL: it does not */
} lurn_call;

typedef struct lurn_deriv lurn_deriv;     /* derive.h */

#define LURN_TOTAL_LANES 16     /* in which a sum in double runs */

enum {
  LURN_OP_COMMUTES = 1,         /* the first two operands may be swapped without changing a bit */
  LURN_OP_RANDOM = 2,           /* depends on the moment and on frames' identities */
  LURN_OP_OPTIONAL = 128,       /* operand 0 may be absent */
  LURN_OP_ACC = 4 + 128,        /* operand 0 is an optional accumulator, continued in place */
  LURN_OP_WHOLE = 8,            /* played over a whole axis at once */
  LURN_OP_SPLITS = 64,          /* a whole op that plays part `part` of `parts`, none of them twice */
  LURN_OP_MEMORY = 32,          /* the last two operands are a whole time axis, whatever step is played */
  LURN_OP_RISES = 256,          /* a whole op whose chain rises through time: windows may be played one by one, */
  LURN_OP_FALLS = 512,          /* or falls: one by one from the last; see recompute.h */
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
  /* Bytes that a playing needs for itself, of batches up to that size; NULL: none. For whole ops that do not split. */
  size_t (*scratch) (const lurn_program *p, const lurn_instr *i, const lurn_extent *most);
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

/* Weights that products use packed: operand 2 of an instruction is `blocks` matrices, one after the other. */
typedef struct lurn_packing {
  int blocks, K, N, trans;      /* each (K,N), with trans stored as (N,K) */
} lurn_packing;

/* 0: the instruction has no such weights. */
int lurn_packing_of (const lurn_program *p, const lurn_instr *i, lurn_packing *how);
/* Reals from one packed block to the next. */
size_t lurn_packing_stride (const lurn_kernels *k, const lurn_packing *how);
void lurn_packing_play (const lurn_kernels *k, const lurn_packing *how, const real *w, real *packed);

/* Rows of the families, joined by op.c. */
extern const lurn_op lurn_ops_product[], lurn_ops_reduce[], lurn_ops_index[], lurn_ops_shape[], lurn_ops_conv[],
    lurn_ops_attend[], lurn_ops_ctc[];
/* Multiply-adds of the matrix products of a program, played over N frames of B rows: what products and outer
 * products cost, and nothing else. */
double lurn_product_count (const lurn_program *p, int N, int B);
void lurn_map_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy);

/* For the op families. */
/* Whether acc (-1: none) can start what *out will be: the same shape, or, with `bias`, on a lower axis or one
 * parameter row (the last dimension) for all places. Otherwise 0, the error is set. */
int lurn_acc_fits (lurn_program *p, const char *op, lurn_reg acc, const lurn_register *out, int bias);
/* The gradient of such an accumulator. */
void lurn_acc_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy);
/* One product of a playing: by the kernels, or by OpenBLAS with w (rows ldw apart), which job->packed was made of. */
void lurn_multiply (const lurn_call *c, const lurn_product *job, const real *w, int ldw, int trans);
/* Whether an index can look up one of n things: 0 when the program itself makes one that is beyond. What comes out of
 * a state is known when it is played, and names nothing when there is no such thing. */
int lurn_index_fits (const lurn_program *p, lurn_reg r, int n);
static inline int lurn_is_none (int32_t v, int n) { return v < 0 || v >= n; }
/* The part of n things that is this call's: [*from, *to). */
static inline void lurn_share (int n, int part, int parts, int *from, int *to) {
  *from = (int)((int64_t)n * part / parts);
  *to = (int)((int64_t)n * (part + 1) / parts);
}
/* An axis that an instruction names; -1, which no register can have, when there is none such. */
static inline int16_t lurn_axis_named (int axis) {
  return axis >= LURN_ONCE && axis < LURN_NAXES ? (int16_t)axis : -1;
}
/* Does the op continue an accumulator? */
static inline int lurn_accumulates (const lurn_op *op) { return (op->flags & LURN_OP_ACC) == LURN_OP_ACC; }
/* Operand k is read whole. */
static inline int lurn_reads_whole (const lurn_op *op, int k) {
  return (op->flags & LURN_OP_MEMORY) && k >= op->nin - 2 && k < op->nin;
}
static inline int lurn_is_memory (const lurn_instr *i, int k) { return lurn_reads_whole(lurn_op_info(i->op), k); }
/* The axis whose rows an instruction works through: its result's, which may be higher than those of its operands (a
 * copy of what is there once); of a whole op the highest of its operands, memories aside. */
int lurn_instr_axis (const lurn_program *p, const lurn_instr *i);
/* Raises out->axis to that of operand r; an error, and 0, when their rows are those of different time axes. */
int lurn_axis_raise (lurn_program *p, const lurn_instr *i, lurn_register *out, lurn_reg r);
static inline const lurn_register *lurn_out_info (const lurn_call *c) {
  return &c->program->reg[c->instr->out];
}
static inline const lurn_register *lurn_in_info (const lurn_call *c, int k) {
  return &c->program->reg[c->instr->in[k]];
}

#endif
