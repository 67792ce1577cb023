/* tensor.c: shapes and strides. */
#include "tensor.h"

#include <stdio.h>

size_t lurn_dtype_size (lurn_dtype dtype) {
  return dtype == LURN_INDEX ? sizeof(int32_t) : sizeof(real);
}

/* The sizes beside one of 0 may be such that their product has no place. */
int64_t lurn_tensor_count (const lurn_tensor *t) {
  int64_t n = 1;
  for (int d = 0; d < t->rank; d++) if (t->dim[d] == 0) return 0;
  for (int d = 0; d < t->rank; d++) n *= t->dim[d];
  return n;
}

/* The stride of a dimension of size 1 is never used, and without elements no stride is. */
int lurn_tensor_contiguous (const lurn_tensor *t) {
  int64_t next = 1;
  if (lurn_tensor_count(t) == 0) return 1;
  for (int d = t->rank - 1; d >= 0; d--) {
    if (t->dim[d] != 1 && t->stride[d] != next) return 0;
    next *= t->dim[d];
  }
  return 1;
}

void lurn_tensor_pack_strides (lurn_tensor *t) {
  int64_t next = 1, count = lurn_tensor_count(t);
  for (int d = t->rank - 1; d >= 0; d--) {
    t->stride[d] = next;
    if (count > 0) next *= t->dim[d];
  }
}

/* A negative size stands for "any" in a message about an expected shape. */
const char *lurn_shape_text (char *text, size_t size, int rank, const int64_t *dim) {
  size_t at = 0;
  text[0] = '\0';
  for (int d = 0; d < rank && at < size; d++) {
    const char *before = d == 0 ? "(" : ", ";
    if (dim[d] < 0) at += (size_t)snprintf(text + at, size - at, "%s*", before);
    else at += (size_t)snprintf(text + at, size - at, "%s%lld", before, (long long)dim[d]);
  }
  if (at < size) snprintf(text + at, size - at, rank == 0 ? "()" : ")");
  return text;
}
