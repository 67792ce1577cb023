#include "tabulate.h"

/* From how many words on a table is not made, and from how many numbers in it. Words of texts come in thousands, more
 * than a batch has frames; and a table must not be what a model's memory goes into. */
enum { MOST_WORDS = 256, MOST_NUMBERS = 1 << 22 };

static int is_param (const lurn_program *p, lurn_reg r) { return p->reg[r].kind == LURN_REG_PARAM; }

/* Rows are few (one per sequence) unless they come with time. */
static int worth (const lurn_program *p, const lurn_instr *i, const lurn_instr *look) {
  const lurn_register *table = &p->reg[look->in[0]], *y = &p->reg[i->out];
  int64_t words = table->dim[0] + 1;
  return lurn_on_time(y->axis) && table->dim[0] <= MOST_WORDS
    && words * table->dim[1] <= MOST_NUMBERS && words * y->cols <= MOST_NUMBERS;
}

const lurn_instr *lurn_tabulates (const lurn_program *p, const lurn_instr *i) {
  if (i->op != LURN_OP_PRODUCT || !is_param(p, i->in[2])) return NULL;
  if (i->in[0] >= 0 && (!is_param(p, i->in[0]) || p->reg[i->in[0]].rank != 1)) return NULL;
  const lurn_register *x = &p->reg[i->in[1]];
  if (x->kind != LURN_REG_VALUE) return NULL;
  const lurn_instr *look = &p->instr[x->index];
  return look->op == LURN_OP_GATHER && look->i[0] == 0 && is_param(p, look->in[0]) && worth(p, i, look) ? look : NULL;
}

lurn_reg lurn_table (lurn_program *p, lurn_reg acc, lurn_reg table, lurn_reg w, int trans) {
  const lurn_register *e = lurn_reg_info(p, table);
  if (!e) return -1;
  int dim[2] = {e->dim[0] + 1, e->dim[1]}, cols = e->cols;
  lurn_reg flat = lurn_reshape(p, table, 1, &cols);
  flat = lurn_emit(p, LURN_OP_PAD, flat, -1, -1, 0, 0, dim[0] * dim[1], NULL);
  return lurn_matmul(p, acc, lurn_reshape(p, flat, 2, dim), w, trans);
}

lurn_reg lurn_table_rows (lurn_program *p, lurn_reg table, lurn_reg i) {
  return lurn_emit(p, LURN_OP_GATHER, table, i, -1, 0, 1, 0, NULL);
}
