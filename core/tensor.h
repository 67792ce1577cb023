/* tensor.h: a view of numbers: type, shape, strides, pointer. It owns nothing.
 *
 * Two element types: `real` (this build's precision) and 32-bit indices. An index counts from 0;
 * -1 means "none" (an ignored target). Lua shows indices from 1 and "none" as 0.
 * Rank 0 is one number. dim and stride count elements; a tensor is contiguous when it is
 * row-major without gaps, which is what the engine's calls expect.
 */
#ifndef LURN_TENSOR_H
#define LURN_TENSOR_H

#include "base.h"

typedef enum lurn_dtype { LURN_REAL, LURN_INDEX } lurn_dtype;

typedef struct lurn_tensor {
  lurn_dtype dtype;
  int rank;
  int64_t dim[LURN_MAX_RANK];
  int64_t stride[LURN_MAX_RANK];
  union { real *r; int32_t *i; void *p; } data;
} lurn_tensor;

size_t lurn_dtype_size (lurn_dtype dtype);
int64_t lurn_tensor_count (const lurn_tensor *t);             /* elements */
int lurn_tensor_contiguous (const lurn_tensor *t);
/* Row-major strides for t->dim. */
void lurn_tensor_pack_strides (lurn_tensor *t);
/* "(50, 128)" into text; returns text. */
const char *lurn_shape_text (char *text, size_t size, int rank, const int64_t *dim);

#endif
