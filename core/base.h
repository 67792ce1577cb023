/* base.h: status codes, messages, memory, numbers. Everything in core includes this first.
 *
 * The engine keeps no global state, but for the list of ops from outside (op.h); it prints nothing and
 * never exits. What it needs of the outside (an allocator, a place for a message, a flag that says
 * "stop") is in a context that the caller makes and passes on. Two contexts never share anything.
 *
 * Two shapes of function:
 *   lurn_status f(ctx, ...)   can fail; the message is in ctx->message;
 *   void f(...)               cannot fail: whatever planned the call has checked it.
 *
 * One source, two builds: `real` is float (f32) or, with -DLURN_F64, double (f64).
 */
#ifndef LURN_BASE_H
#define LURN_BASE_H

#include <stddef.h>
#include <stdint.h>

#ifdef LURN_F64
typedef double real;
#define LURN_PRECISION "f64"
#else
typedef float real;
#define LURN_PRECISION "f32"
#endif

#define LURN_VERSION "0.1.0"
#define LURN_ALIGN 64           /* bytes; every tensor and every arena block starts here */
#define LURN_MAX_RANK 4

typedef enum lurn_status {
  LURN_OK = 0,
  LURN_EINVAL,                  /* misuse: wrong argument, shape, order of calls */
  LURN_ENOMEM,
  LURN_EIO,                     /* the operating system said no */
  LURN_EFORMAT,                 /* a file is not what it should be */
  LURN_EINTR,                   /* the stop flag was set; nothing was committed */
  LURN_ENUM                     /* a value is not finite */
} lurn_status;

/* Like lua_Alloc: nsize 0 frees and returns NULL; osize is the size of the old block. */
typedef void *(*lurn_alloc_fn) (void *ud, void *ptr, size_t osize, size_t nsize);

struct lurn_kernels;
struct lurn_blas;
struct lurn_h5_driver;
typedef struct lurn_pool lurn_pool;                /* pool.h */

typedef struct lurn_ctx {
  char message[1024];           /* of the last failure; always terminated */
  lurn_alloc_fn alloc;          /* asked while building and planning, never while training */
  void *alloc_ud;
  const struct lurn_kernels *kernels;
  lurn_pool *pool;              /* threads that play with the caller; NULL: none */
  const struct lurn_blas *blas; /* all products by OpenBLAS (engine = "openblas"); NULL: by lurn's kernels */
  const struct lurn_h5_driver *h5;                /* who reads and writes documents (h5.h); NULL: nobody can */
  const volatile int *stop;     /* polled between time steps, by lurn_stopped; may be NULL */
  void (*looked) (struct lurn_ctx *ctx);          /* called before each such look, by any thread; may be NULL */
} lurn_ctx;

/* Whether what is played is to be abandoned. */
static inline int lurn_stopped (lurn_ctx *ctx) {
  if (ctx->looked) ctx->looked(ctx);
  return ctx->stop && *ctx->stop;
}

/* Sets the message (printf format) and returns `status`, so that callers write
 * `return lurn_fail(ctx, LURN_EINVAL, ...)`. */
lurn_status lurn_fail (lurn_ctx *ctx, lurn_status status, const char *fmt, ...)
#ifdef __GNUC__
  __attribute__((format(printf, 3, 4)))
#endif
  ;
const char *lurn_status_name (lurn_status status);   /* "EINVAL", ... */

/* Both go through ctx->alloc. Failure: NULL and the message. New bytes are not cleared. */
void *lurn_realloc (lurn_ctx *ctx, void *ptr, size_t osize, size_t nsize);
void lurn_free (lurn_ctx *ctx, void *ptr, size_t osize);

static inline size_t lurn_align (size_t n) {
  return (n + (LURN_ALIGN - 1)) & ~(size_t)(LURN_ALIGN - 1);
}

/* The next piece of a block that several arrays lie in, aligned; *at is where it begins, and is moved on. With a block of
 * NULL the same walk measures. */
static inline void *lurn_take (char *block, size_t *at, size_t size) {
  size_t here = *at;
  *at += lurn_align(size);
  return block ? block + here : NULL;
}

#endif
