#include "op.h"

#include <stdatomic.h>
#include <string.h>

#include "derive.h"

/* ---------- axes ---------- */

int lurn_instr_axis (const lurn_program *p, const lurn_instr *i) {
  int axis = LURN_ONCE, any = 0;
  if (!(lurn_op_info(i->op)->flags & LURN_OP_WHOLE)) return p->reg[i->out].axis;
  for (int k = 0; k < LURN_MAX_IN; k++) {
    if (i->in[k] < 0 || lurn_is_memory(i, k)) continue;
    any = 1;
    if (lurn_axis_level(p->reg[i->in[k]].axis) > lurn_axis_level(axis)) axis = p->reg[i->in[k]].axis;
  }
  return any ? axis : p->reg[i->out].axis;
}

int lurn_axis_raise (lurn_program *p, const lurn_instr *i, lurn_register *out, lurn_reg r) {
  char have[96];
  int axis = lurn_axis_join(out->axis, p->reg[r].axis);
  if (axis < 0)
    return lurn_program_fail(p, "%s: rows of different time axes do not meet: %s and %s", lurn_op_info(i->op)->name,
                             lurn_axis_names[out->axis], lurn_reg_text(p, r, have, sizeof have)), 0;
  out->axis = (int16_t)axis;
  return 1;
}

/* ---------- elementwise maps: one rule for all ---------- */

static int same_shape (const lurn_register *a, const lurn_register *b) {
  if (a->rank != b->rank) return 0;
  for (int i = 0; i < a->rank; i++)
    if (a->dim[i] != b->dim[i]) return 0;
  return 1;
}

/* fill has no operand: i[0] columns on axis i[1]; copy may raise the axis to i[1]. */
static int map_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  char want[96], have[96];
  int n = lurn_map_inputs((lurn_map)i->op);
  if (n == 0) {
    out->axis = lurn_axis_named(i->i[1]);
    out->rank = 1;
    out->dim[0] = i->i[0];
    return 1;
  }
  const lurn_register *first = &p->reg[i->in[0]];
  memcpy(out->dim, first->dim, sizeof out->dim);
  out->rank = first->rank;
  out->axis = first->axis;
  for (int k = 0; k < n; k++) {
    const lurn_register *x = &p->reg[i->in[k]];
    if (x->dtype != LURN_REAL || !same_shape(first, x))
      return lurn_program_fail(p, "%s: operand %d: expected %s, got %s", lurn_map_name((lurn_map)i->op), k + 1,
                               lurn_reg_text(p, i->in[0], want, sizeof want),
                                   lurn_reg_text(p, i->in[k], have, sizeof have)), 0;
    if (!lurn_axis_raise(p, i, out, i->in[k])) return 0;
  }
  if (i->op == LURN_MAP_copy && i->i[1] > LURN_ONCE) {
    int axis = lurn_axis_join(out->axis, lurn_axis_named(i->i[1]));
    if (axis < 0) return lurn_program_fail(p, "copy: to an axis of other rows"), 0;
    out->axis = (int16_t)axis;
  }
  return 1;
}

/* A once operand (or a row operand met step by step) stands still while the rows pass: then the
 * kernel is called row by row, otherwise once for everything. */
static void map_play (const lurn_call *c) {
  lurn_map_fn f = c->kernels->map[c->instr->op];
  size_t cols = (size_t)lurn_out_info(c)->cols;
  real k = (real)c->instr->k, *y = c->out;
  const real *in[3] = {c->in[0], c->in[1], c->in[2]};
  int still = 0;
  for (int j = 0; j < 3; j++) still |= in[j] && c->step[j] == 0;
  if (!still) { f(y, in[0], in[1], in[2], k, cols * (size_t)c->rows); return; }
  for (int r = 0; r < c->rows; r++, y += cols) {
    f(y, in[0], in[1], in[2], k, cols);
    for (int j = 0; j < 3; j++) if (in[j]) in[j] += c->step[j];
  }
}

/* ---------- packed weights ---------- */

/* With its neighbours next to each other a row of a convolution's kernel is one matrix, kw C long; where they stand
 * apart, and in the transpose, each tap is one of its own. */
int lurn_packing_of (const lurn_program *p, const lurn_instr *i, lurn_packing *how) {
  if (i->op != LURN_OP_PRODUCT && i->op != LURN_OP_CONV && i->op != LURN_OP_CONV_DX) return 0;
  const int *w = p->reg[i->in[2]].dim, trans = i->op == LURN_OP_PRODUCT ? i->i[0] != 0 : i->op == LURN_OP_CONV_DX;
  if (i->op == LURN_OP_PRODUCT) *how = (lurn_packing){1, w[trans], w[!trans], trans};
  else if (trans) *how = (lurn_packing){w[0] * w[1], w[3], w[2], 1};
  else if (i->i[3] == 1) *how = (lurn_packing){w[0], w[1] * w[2], w[3], 0};
  else *how = (lurn_packing){w[0] * w[1], w[2], w[3], 0};
  return 1;
}

/* Every block starts where kernels want one. */
size_t lurn_packing_stride (const lurn_kernels *k, const lurn_packing *how) {
  return lurn_align(sizeof(real) * k->pack_count(how->K, how->N)) / sizeof(real);
}

void lurn_packing_play (const lurn_kernels *k, const lurn_packing *how, const real *w, real *packed) {
  size_t stride = lurn_packing_stride(k, how), size = (size_t)how->K * (size_t)how->N;
  for (int n = 0; n < how->blocks; n++, w += size, packed += stride) k->pack(packed, w, how->K, how->N, how->trans);
}

/* ---------- the table ---------- */


static const lurn_op maps[LURN_NMAPS] = {
#define MAP_ROW(id, n, imm, formula) \
  [LURN_MAP_##id] = {#id, 1, n, \
    (LURN_MAP_##id == LURN_MAP_add || LURN_MAP_##id == LURN_MAP_mul || LURN_MAP_##id == LURN_MAP_eq) ? LURN_OP_COMMUTES : 0, \
    map_shape, map_play, lurn_map_grad, formula},
  LURN_MAPS(MAP_ROW)
#undef MAP_ROW
};

/* Whoever sees the count sees the rows below it. */
static struct { const lurn_op *row; atomic_int refused; } outside[LURN_MAX_OUTSIDE];
static atomic_int noutside;
static atomic_flag adding = ATOMIC_FLAG_INIT;

const lurn_op *lurn_op_info (int op) {
  if (op >= LURN_NOPS) return outside[op - LURN_NOPS].row;
  if (op < LURN_NMAPS) return &maps[op];
  if (op <= LURN_OP_FOLD) return &lurn_ops_product[op - LURN_OP_PRODUCT];
  if (op <= LURN_OP_SAMPLE) return &lurn_ops_index[op - LURN_OP_GATHER];
  if (op <= LURN_OP_ROWS) return &lurn_ops_reduce[op - LURN_OP_ROWSUM];
  if (op <= LURN_OP_DETACH) return &lurn_ops_shape[op - LURN_OP_SHIFT];
  if (op <= LURN_OP_CONV_DW) return &lurn_ops_conv[op - LURN_OP_CROP];
  if (op <= LURN_OP_ATTEND_DU) return &lurn_ops_attend[op - LURN_OP_ATTEND];
  return &lurn_ops_ctc[op - LURN_OP_CTC];
}

int lurn_op_count (void) { return LURN_NOPS + atomic_load(&noutside); }

int lurn_op_find (const char *name) {
  for (int op = 0; op < lurn_op_count(); op++)
    if (strcmp(lurn_op_info(op)->name, name) == 0 && !(op >= LURN_NOPS && outside[op - LURN_NOPS].refused)) return op;
  return -1;
}

int lurn_op_add (const lurn_op *row) {
  while (atomic_flag_test_and_set(&adding)) { }
  int n = atomic_load(&noutside), op = lurn_op_find(row->name);
  if (op < 0 && n < LURN_MAX_OUTSIDE) {
    outside[n].row = row;
    atomic_store(&noutside, n + 1);
    op = LURN_NOPS + n;
  }
  atomic_flag_clear(&adding);
  return op >= 0 && lurn_op_info(op) == row ? op : -1;
}

void lurn_op_refuse (int op) {
  if (op >= LURN_NOPS && op < lurn_op_count()) outside[op - LURN_NOPS].refused = 1;
}
