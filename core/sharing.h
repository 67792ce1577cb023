/* sharing.h: how threads share what a schedule plays, and where they meet: by the shape of the batch.
 *
 *   ALONE     the first thread plays it
 *   ROWS      each has some of the rows (of a whole op that splits itself: some of the result). A loop: each takes its
 *             rows through all steps
 *   COLUMNS   lists of products, and the maps that follow them: each has the same columns of everything. A loop: section
 *             by section, each shared in one of the three ways
 *
 * Rows are shared where there are enough of them. Columns are where there are few: each thread goes through its own part
 * of the weights. Where those do not fit the second-level cache of one processor some more rows are few.
 *
 * Threads meet before a section that reads, or writes over, what another thread may not be done with: it is then
 * shared in another way, or reads all columns of what each has made some of. Between units places are used
 * again, so there the same holds for everything. It depends on the number of threads and on the extents of the batch
 * alone, and is found out when these change.
 */
#ifndef LURN_SHARING_H
#define LURN_SHARING_H

#include "wave.h"

enum { LURN_SHARED_ALONE, LURN_SHARED_ROWS, LURN_SHARED_COLUMNS };

/* Fills w->sharing for the batch that is bound. */
void lurn_sharing_find (lurn_wave *w);
/* Whether an instruction multiplies by a matrix that is computed: packed where it is used, by one thread. */
int lurn_is_computed (const lurn_wave *w, const lurn_instr *i);

#endif
