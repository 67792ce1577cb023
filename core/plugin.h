/* plugin.h: what the source of an op from outside includes.
 *
 *   #include "plugin.h"
 *   static int shape (lurn_program *p, const lurn_instr *i, lurn_register *out) { ... }
 *   static void play (const lurn_call *c) { ... }
 *   static void grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) { ... }
 *   LURN_OP({.name = "name", .version = 1, .nin = 1, .shape = shape, .play = play, .grad = grad,
 *            .doc = "a line that says what it computes"})
 *
 * The row is op.h's lurn_op: name, version, operands, flags, shape rule, how it is played, its gradient as further
 * instructions (derive.h), a line of documentation. `real` is float, or double with LURN_F64: the
 * source is compiled once for each precision, by one command, and load_op "./name.so" takes the one that fits:
 *
 *   for p in 32 64; do cc -O3 -ffp-contract=off -fPIC -shared -DLURN_F$p -I/usr/local/include/lurn \
 *     name.c -o name.f$p.so; done
 *
 * The contract (core/DESIGN.md, "Same bits"): a row's result depends on that row alone, and has the same bits with
 * whatever other rows it is played. play may be called by several threads, each with rows of its own; it has
 * no memory but its operands, its result and its stack. What it may call is listed in outside.h (LURN_HOST), and
 * c->kernels. lurn.load_op plays all of that before it lets an op in. scripts/ops/cumsum.c is an example.
 */
#ifndef LURN_PLUGIN_H
#define LURN_PLUGIN_H

#include "lurn.h"

static const lurn_host *lurn_here;      /* set when the object is loaded */

#define lurn_program_fail   lurn_here->lurn_program_fail
#define lurn_reg_info       lurn_here->lurn_reg_info
#define lurn_reg_text       lurn_here->lurn_reg_text
#define lurn_emit           lurn_here->lurn_emit
#define lurn_write          lurn_here->lurn_write
#define lurn_map1           lurn_here->lurn_map1
#define lurn_map1k          lurn_here->lurn_map1k
#define lurn_map2           lurn_here->lurn_map2
#define lurn_map2k          lurn_here->lurn_map2k
#define lurn_map3           lurn_here->lurn_map3
#define lurn_widen          lurn_here->lurn_widen
#define lurn_fill           lurn_here->lurn_fill
#define lurn_reorder        lurn_here->lurn_reorder
#define lurn_reshape        lurn_here->lurn_reshape
#define lurn_spread         lurn_here->lurn_spread
#define lurn_matmul         lurn_here->lurn_matmul
#define lurn_acc_fits       lurn_here->lurn_acc_fits
#define lurn_acc_grad       lurn_here->lurn_acc_grad
#define lurn_instr_axis     lurn_here->lurn_instr_axis
#define lurn_axis_raise     lurn_here->lurn_axis_raise
#define lurn_grad_needed    lurn_here->lurn_grad_needed
#define lurn_grad_program   lurn_here->lurn_grad_program
#define lurn_grad_add       lurn_here->lurn_grad_add
#define lurn_grad_product   lurn_here->lurn_grad_product
#define lurn_grad_whole     lurn_here->lurn_grad_whole
#define lurn_grad_reduce    lurn_here->lurn_grad_reduce
#define lurn_grad_chain     lurn_here->lurn_grad_chain
#define lurn_op_info        lurn_here->lurn_op_info
#define lurn_op_find        lurn_here->lurn_op_find
#define lurn_key_make       lurn_here->lurn_key_make
#define lurn_random_word    lurn_here->lurn_random_word
#define lurn_random_words   lurn_here->lurn_random_words

#define LURN_OP(...) \
  static const lurn_op lurn_row = __VA_ARGS__; \
  extern const lurn_outside lurn_outside_op; \
  __attribute__((visibility("default"))) \
  const lurn_outside lurn_outside_op = {LURN_LAYOUT, &lurn_here, &lurn_row};

#endif
