/* batch.c: packed ragged time. */
#include "batch.h"

#include <string.h>

const char *const lurn_axis_names[LURN_NAXES + 1] = {"once", "row", "time", "row2", "time2", "row3", "time3", NULL};

const lurn_field *lurn_batch_field (const lurn_batch *b, const char *name) {
  for (int i = 0; i < b->nfield; i++)
    if (strcmp(b->field[i].name, name) == 0) return &b->field[i];
  return NULL;
}

lurn_extent lurn_extent_of (const lurn_batch *b) {
  lurn_extent e = {.B = b->B, .T = {b->T}, .N = {b->N}};
  for (int k = 1; k < LURN_MAX_AXES; k++)
    if (b->along[k - 1]) { e.T[k] = b->along[k - 1]->T; e.N[k] = b->along[k - 1]->N; }
  return e;
}

/* live[t] = number of rows longer than t; start[t+1] = start[t] + live[t]. The rows are sorted,
 * so the number of live rows only ever shrinks from the back. */
int lurn_batch_pack (int B, const int32_t *length, int32_t *live, int32_t *start) {
  int T = B > 0 ? length[0] : 0;
  int rows = B;
  start[0] = 0;
  for (int t = 0; t < T; t++) {
    while (rows > 0 && length[rows - 1] <= t) rows--;
    live[t] = rows;
    start[t + 1] = start[t] + rows;
  }
  return start[T];
}
