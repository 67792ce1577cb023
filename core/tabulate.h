/* tabulate.h: products of rows that are looked up, looked up themselves.
 *
 * An embedding is W[i], and what reads it is mostly a product: b + W[i] Wx. Where the vocabulary is small (characters),
 * the frames of a batch are many times its words, and b + W Wx for every word and then a lookup is the same for a part
 * of the work: the same chain for every element, so the same bits. Backward the gradients of the frames are summed word
 * by word first, and multiplied then: d(Wx) = W^T S and d(W) = S Wx^T with S = scatter(d, i). That is another order
 * of terms than frame by frame, and it is normalise that fixes it: the naive twin plays it, too.
 *
 * Nothing is a word of its own here: the table has one row more, at the end, of a row of zeros.
 */
#ifndef LURN_TABULATE_H
#define LURN_TABULATE_H

#include "op.h"

/* The lookup whose rows instruction i of p multiplies by parameters, when a table of the products is the better way;
 * otherwise NULL. */
const lurn_instr *lurn_tabulates (const lurn_program *p, const lurn_instr *i);
/* (V+1,M): acc + x W for every row x of `table` (V,K), and for zeros. acc is -1 or a bias. */
lurn_reg lurn_table (lurn_program *p, lurn_reg acc, lurn_reg table, lurn_reg w, int trans);
/* Rows of such a table: the last one where i is none. */
lurn_reg lurn_table_rows (lurn_program *p, lurn_reg table, lurn_reg i);

#endif
