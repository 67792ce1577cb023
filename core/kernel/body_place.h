/* body_place.h: a number to all columns of its row, and rows to sums that an index names. One call for all rows: they are
 * so short that a call for each would take as long as its row.
 */
#ifndef LURN_BODY_PLACE_H
#define LURN_BODY_PLACE_H

#include "body_block.h"

static void row_fill (real *y, const real *x, ptrdiff_t step, int rows, int cols) {
  for (int i = 0; i < rows; i++, x += step, y += cols) {
    const vf value = vf_set(*x);
    int j = 0;
    for (; j + VL <= cols; j += VL) vf_store(y + j, value);
    if (j < cols) vf_store_n(y + j, value, cols - j);
  }
}

static void scatter (int M, int N, const int32_t *id, int rows, int none, const real *d, ptrdiff_t ldd, real *c,
                     ptrdiff_t ldc) {
  for (int m = M - 1; m >= 0; m--) {
    const int v = id[m] >= 0 && id[m] < rows ? id[m] : none;
    const real *from = d + m * ldd;
    real *to = c + v * ldc;
    int j = 0;
    if (v < 0) continue;
    for (; j + VL <= N; j += VL) vf_store(to + j, vf_add(vf_load(to + j), vf_load(from + j)));
    if (j < N) block_store(to + j, vf_add(block_load(to + j, N - j), block_load(from + j, N - j)), N - j);
  }
}

#endif
