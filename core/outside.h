/* outside.h: ops from outside: rows of the op table that a shared object brings along.
 *
 * The object is built against these headers, once for each precision, and exports one symbol,
 * lurn_outside_op. plugin.h, which its source includes, makes that of a row of the table. What such an
 * op calls of the engine it calls through pointers: the engine's own names are hidden, since both
 * precisions are loaded side by side. An op that is loaded is one like the others: for the builder, the
 * text form, derive, the schedule and the twin.
 */
#ifndef LURN_OUTSIDE_H
#define LURN_OUTSIDE_H

#include "derive.h"

#define LURN_OUTSIDE_VERSION 1        /* of what this header declares */
#define LURN_OUTSIDE_SYMBOL "lurn_outside_op"

/* What an op may call, by its own name. */
#define LURN_HOST(X) \
  X(lurn_program_fail) X(lurn_reg_info) X(lurn_reg_text) X(lurn_emit) X(lurn_write) \
  X(lurn_map1) X(lurn_map1k) X(lurn_map2) X(lurn_map2k) X(lurn_map3) X(lurn_widen) X(lurn_fill) X(lurn_reorder) \
  X(lurn_reshape) X(lurn_spread) X(lurn_matmul) X(lurn_acc_fits) X(lurn_acc_grad) X(lurn_instr_axis) \
  X(lurn_axis_raise) X(lurn_grad_needed) X(lurn_grad_program) X(lurn_grad_add) X(lurn_grad_product) \
  X(lurn_grad_whole) X(lurn_grad_reduce) X(lurn_grad_chain) X(lurn_op_info) X(lurn_op_find) X(lurn_key_make) \
  X(lurn_random_word) X(lurn_random_words)

typedef struct lurn_host {
#define LURN_HOST_MEMBER(f) __typeof__(&f) f;
  LURN_HOST(LURN_HOST_MEMBER)
#undef LURN_HOST_MEMBER
} lurn_host;

/* What both sides read: how large it is and where a late member lies, so that an object which was built against
 * other headers shows. */
#define LURN_FORM(type, member) (int)(4096 * sizeof(type) + offsetof(type, member))
typedef struct lurn_layout {
  int version, real, reg, instr, program, batch, call, op, kernels, host, nops;
} lurn_layout;
#define LURN_LAYOUT { \
  LURN_OUTSIDE_VERSION, (int)sizeof(real), LURN_FORM(lurn_register, index), LURN_FORM(lurn_instr, name), \
  LURN_FORM(lurn_program, share), LURN_FORM(lurn_batch, rank), LURN_FORM(lurn_call, lanes), \
  LURN_FORM(lurn_op, scratch), LURN_FORM(lurn_kernels, column_sum), (int)sizeof(lurn_host), LURN_NOPS }

typedef struct lurn_outside {
  lurn_layout layout;
  const lurn_host **host;               /* where the object wants the pointers */
  const lurn_op *op;
} lurn_outside;

/* Loads the object, checks its row and adds it to the op table. EIO: no such file; EFORMAT: not an op of this build,
 * or its name is that of another op. Loading it again gives the same number. Whether it keeps the promises of
 * an op is not checked here: lurn.load_op (bindings/lurn/op.lua) plays it. */
lurn_status lurn_outside_load (lurn_ctx *ctx, const char *path, int *op);

#endif
