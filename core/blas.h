/* blas.h: OpenBLAS, for everything outside the arithmetic contract of kernel.h.
 *
 * This pair of files is the only one that knows OpenBLAS and LAPACK. What it does is in one table, as who
 * never asks for it need not load the library (bindings/driver.c). Every matrix here is
 * row-major; column order is LAPACK's business and is handled inside. M rows, N columns,
 * K = min(M, N) for factors, the inner dimension for products.
 *
 * The linear algebra leaves its inputs alone and works in `work`, which the caller provides:
 * work(job, M, N) bytes, LURN_ALIGN-aligned. It fails with LURN_EINVAL when the matrix
 * has NaN or infinite elements (LAPACK may loop on them), is singular, or does not converge.
 * Sides are limited to LURN_BLAS_MAX_SIDE, so that LAPACK's 32-bit work sizes cannot overflow.
 */
#ifndef LURN_BLAS_H
#define LURN_BLAS_H

#include "base.h"

#define LURN_BLAS_MAX_SIDE 16384

typedef enum lurn_blas_job {
  LURN_BLAS_SOLVE,              /* M: side of the matrix, N: right-hand sides */
  LURN_BLAS_DET, LURN_BLAS_EIGH, LURN_BLAS_EIG,       /* M == N */
  LURN_BLAS_QR, LURN_BLAS_SVD
} lurn_blas_job;

typedef struct lurn_blas {
  /* One thread per call: results of the threaded kernels change with the number of threads, and
   * lurn splits work over its own threads. Process-wide; call before the first product. */
  void (*start) (void);
  /* "OpenBLAS 0.3.21 ... SkylakeX, parallel: pthread" into text; returns text. */
  const char *(*config) (char *text, size_t size);
  const char *(*core) (void);   /* the kernels OpenBLAS chose for this machine: "SkylakeX" */
  int (*threads) (void);        /* per call: 1, unless something of the process changed that */
  /* What is unsafe about the flavour of OpenBLAS that was loaded, in one sentence, or NULL. */
  const char *(*warning) (void);

  /* c (M,N) = alpha op(a) op(b) + beta c; op transposes when its flag is 1: a is (M,K) or stored
   * as (K,M), b is (K,N) or stored as (N,K). ld*: elements from one stored row to the next. */
  void (*gemm) (int transa, int transb, int M, int N, int K, real alpha, const real *a, int lda,
                const real *b, int ldb, real beta, real *c, int ldc);

  size_t (*work) (lurn_blas_job job, int M, int N);
  /* a (M,M) x (M,N) = b (M,N). x may be b. */
  lurn_status (*solve) (lurn_ctx *ctx, int M, int N, const real *a, const real *b, real *x, void *work);
  /* The determinant of a (M,M); of a singular matrix 0. */
  lurn_status (*det) (lurn_ctx *ctx, int M, const real *a, double *det, void *work);
  /* a (M,N) = q (M,K) r (K,N), r upper triangular. */
  lurn_status (*qr) (lurn_ctx *ctx, int M, int N, const real *a, real *q, real *r, void *work);
  /* a (M,N) = u (M,K) diag(s) vt (K,N), s (K) descending. */
  lurn_status (*svd) (lurn_ctx *ctx, int M, int N, const real *a, real *u, real *s, real *vt, void *work);
  /* Symmetric a (M,M), of which the lower triangle is read: a v = v diag(w), w (M) ascending. */
  lurn_status (*eigh) (lurn_ctx *ctx, int M, const real *a, real *w, real *v, void *work);
  /* Any a (M,M): eigenvalues wr + i wi (M), eigenvectors in the columns of vr + i vi (M,M). */
  lurn_status (*eig) (lurn_ctx *ctx, int M, const real *a, real *wr, real *wi, real *vr, real *vi, void *work);
} lurn_blas;

extern const lurn_blas lurn_openblas;

#endif
