/* check.h: what the C checks share: a counter, and an allocator that keeps accounts.
 *
 * Each check_<noun>.c is a program of its own: it prints what failed, then one summary line, and
 * exits 0 when nothing did.
 */
#ifndef CHECK_H
#define CHECK_H

#include "base.h"
#include "kernel.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Bits, where f64 alone promises many digits. */
#ifdef LURN_F64
#define EITHER(f32, f64) (f64)
#else
#define EITHER(f32, f64) (f32)
#endif

static int check_count, check_failures;

#ifdef __GNUC__
__attribute__((format(printf, 2, 3)))
#endif
static inline void check (int ok, const char *fmt, ...) {
  va_list args;
  check_count++;
  if (ok) return;
  check_failures++;
  va_start(args, fmt);
  fputs("failed: ", stdout);
  vprintf(fmt, args);
  fputs("\n", stdout);
  va_end(args);
}

/* |a - b| <= tol (1 + |b|); false for NaN. */
static inline int near (double a, double b, double tol) {
  return fabs(a - b) <= tol * (1 + fabs(b));
}

static inline int check_done (const char *name) {
  if (check_failures) printf("%s " LURN_PRECISION ": %d of %d checks FAILED\n", name, check_failures, check_count);
  else printf("%s " LURN_PRECISION ": %d checks passed\n", name, check_count);
  return check_failures ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Accounts of one context: bytes held by the sizes the engine states, and the allocation that is
 * to fail (1: the next one; 0: none). */
typedef struct check_heap { size_t held; int fail_at; } check_heap;

static inline void *check_alloc (void *ud, void *ptr, size_t osize, size_t nsize) {
  check_heap *heap = ud;
  if (nsize == 0) {
    heap->held -= osize;
    free(ptr);
    return NULL;
  }
  if (heap->fail_at > 0 && --heap->fail_at == 0) return NULL;
  void *block = realloc(ptr, nsize);
  if (block) heap->held += nsize - osize;
  return block;
}

static inline void check_ctx (lurn_ctx *ctx, check_heap *heap) {
  memset(heap, 0, sizeof *heap);
  memset(ctx, 0, sizeof *ctx);
  ctx->alloc = check_alloc;
  ctx->alloc_ud = heap;
  ctx->kernels = lurn_kernels_find(NULL);
}

#endif
