/* base.c: messages and memory. */
#include "base.h"

#include <stdarg.h>
#include <stdio.h>

lurn_status lurn_fail (lurn_ctx *ctx, lurn_status status, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  vsnprintf(ctx->message, sizeof ctx->message, fmt, args);
  va_end(args);
  return status;
}

const char *lurn_status_name (lurn_status status) {
  switch (status) {
    case LURN_OK:      return "OK";
    case LURN_EINVAL:  return "EINVAL";
    case LURN_ENOMEM:  return "ENOMEM";
    case LURN_EIO:     return "EIO";
    case LURN_EFORMAT: return "EFORMAT";
    case LURN_EINTR:   return "EINTR";
    case LURN_ENUM:    return "ENUM";
  }
  return "unknown";
}

/* Size 0 would mean "free" to the allocator and its NULL would read as a failure, so a caller
 * that has nothing to keep (an empty table) owns one byte. lurn_free rounds alike: the allocator
 * keeps count by the sizes it is told. */
static size_t at_least_one (size_t n) {
  return n > 0 ? n : 1;
}

void *lurn_realloc (lurn_ctx *ctx, void *ptr, size_t osize, size_t nsize) {
  size_t old = ptr ? at_least_one(osize) : 0;
  void *block = ctx->alloc(ctx->alloc_ud, ptr, old, at_least_one(nsize));
  if (block == NULL) lurn_fail(ctx, LURN_ENOMEM, "out of memory: asked for %zu bytes", nsize);
  return block;
}

void lurn_free (lurn_ctx *ctx, void *ptr, size_t osize) {
  if (ptr) ctx->alloc(ctx->alloc_ud, ptr, at_least_one(osize), 0);
}
