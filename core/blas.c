/* blas.c: the only file that includes cblas.h or names a LAPACK routine. */
#include "blas.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include <cblas.h>

#ifdef LURN_F64
#define BLAS(name) cblas_d##name
#define LAPACK(name) d##name##_
#else
#define BLAS(name) cblas_s##name
#define LAPACK(name) s##name##_
#endif

/* LAPACK as Fortran compilers export it: every argument by address, and the length of each
 * character argument, unseen in the Fortran source, by value at the end. */
void LAPACK(getrf) (blasint *m, blasint *n, real *a, blasint *lda, blasint *pivot, blasint *info);
void LAPACK(getrs) (const char *trans, blasint *n, blasint *nrhs, real *a, blasint *lda, blasint *pivot,
                    real *b, blasint *ldb, blasint *info, size_t);
void LAPACK(geqrf) (blasint *m, blasint *n, real *a, blasint *lda, real *tau, real *work, blasint *lwork,
                    blasint *info);
void LAPACK(orgqr) (blasint *m, blasint *n, blasint *k, real *a, blasint *lda, real *tau, real *work,
                    blasint *lwork, blasint *info);
void LAPACK(gesdd) (const char *jobz, blasint *m, blasint *n, real *a, blasint *lda, real *s, real *u,
                    blasint *ldu, real *vt, blasint *ldvt, real *work, blasint *lwork, blasint *iwork,
                    blasint *info, size_t);
void LAPACK(syevd) (const char *jobz, const char *uplo, blasint *n, real *a, blasint *lda, real *w, real *work,
                    blasint *lwork, blasint *iwork, blasint *liwork, blasint *info, size_t, size_t);
void LAPACK(geev) (const char *jobvl, const char *jobvr, blasint *n, real *a, blasint *lda, real *wr, real *wi,
                   real *vl, blasint *ldvl, real *vr, blasint *ldvr, real *work, blasint *lwork,
                   blasint *info, size_t, size_t);

/* ==== The library ==== */

static void start (void) {
  openblas_set_num_threads(1);
}

static const struct { const char *name, *warning; } flavours[] = {
  [OPENBLAS_SEQUENTIAL] = {"serial",
    "this OpenBLAS is the serial build: called from several threads at once it may give wrong "
    "results; use the pthread build, or one thread"},
  [OPENBLAS_THREAD] = {"pthread", NULL},
  [OPENBLAS_OPENMP] = {"openmp",
    "this OpenBLAS is the OpenMP build: a process forked after its first product hangs in the "
    "next; use the pthread build"},
};

static int flavour (void) {
  int parallel = openblas_get_parallel();
  return parallel >= OPENBLAS_SEQUENTIAL && parallel <= OPENBLAS_OPENMP ? parallel : OPENBLAS_THREAD;
}

static const char *config (char *text, size_t size) {
  snprintf(text, size, "%s, core: %s, parallel: %s", openblas_get_config(), openblas_get_corename(),
           flavours[flavour()].name);
  return text;
}

static const char *core (void) { return openblas_get_corename(); }
static int threads (void) { return openblas_get_num_threads(); }

static const char *warning (void) {
  return flavours[flavour()].warning;
}

/* ==== Products ==== */

/* A leading dimension of 0 belongs to a matrix without columns; OpenBLAS refuses it all the same. */
static int leading (int ld) {
  return ld > 0 ? ld : 1;
}

static void gemm (int transa, int transb, int M, int N, int K, real alpha, const real *a, int lda,
                     const real *b, int ldb, real beta, real *c, int ldc) {
  BLAS(gemm)(CblasRowMajor, transa ? CblasTrans : CblasNoTrans, transb ? CblasTrans : CblasNoTrans,
             M, N, K, alpha, a, leading(lda), b, leading(ldb), beta, c, leading(ldc));
}

/* ==== Scratch memory ==== */

typedef struct scratch {
  real *a;                      /* (M,N), LAPACK's own copy of the matrix */
  real *v;                      /* second matrix: right-hand sides, eigenvectors */
  real *tau;                    /* (K) */
  blasint *pivot;               /* pivots or LAPACK's integer work, npivot of them */
  real *work;
  blasint npivot, nwork;
} scratch;

/* LAPACK answers a work query with a real; in single precision a large one may come rounded
 * down, so one part in a million is added. */
static blasint rounded_up (real answer) {
  double n = (double)answer;
  return (blasint)(n + n * 1e-6 + 1);
}

static blasint query_qr (blasint M, blasint N) {
  blasint K = M < N ? M : N, lda = leading(M), ask = -1, info;
  real factor = 0, expand = 0, none = 0;
  LAPACK(geqrf)(&M, &N, &none, &lda, &none, &factor, &ask, &info);
  LAPACK(orgqr)(&M, &K, &K, &none, &lda, &none, &expand, &ask, &info);
  return rounded_up(factor > expand ? factor : expand);
}

static blasint query_svd (blasint M, blasint N) {
  blasint K = M < N ? M : N, ldn = leading(N), ldk = leading(K), ask = -1, none_int = 0, info;
  real answer = 0, none = 0;
  LAPACK(gesdd)("S", &N, &M, &none, &ldn, &none, &none, &ldn, &none, &ldk, &answer, &ask, &none_int, &info, 1);
  return rounded_up(answer);
}

static blasint query_eigh (blasint M, blasint *integers) {
  blasint lda = leading(M), ask = -1, info;
  real answer = 0, none = 0;
  LAPACK(syevd)("V", "U", &M, &none, &lda, &none, &answer, &ask, integers, &ask, &info, 1, 1);
  return rounded_up(answer);
}

static blasint query_eig (blasint M) {
  blasint lda = leading(M), one = 1, ask = -1, info;
  real answer = 0, none = 0;
  LAPACK(geev)("N", "V", &M, &none, &lda, &none, &none, &none, &one, &none, &lda, &answer, &ask, &info, 1, 1);
  return rounded_up(answer);
}

static void *take (uintptr_t *at, size_t bytes) {
  uintptr_t block = *at;
  *at += lurn_align(bytes);
  return (void *)block;
}

/* Measures and places: with base 0 the addresses are meaningless and only the size counts. */
static size_t place (scratch *s, lurn_blas_job job, int M, int N, void *base) {
  uintptr_t at = (uintptr_t)base;
  size_t m = (size_t)M, n = (size_t)N, second = 0;
  s->npivot = M;
  s->nwork = 1;
  switch (job) {
    case LURN_BLAS_SOLVE: n = m; second = m * (size_t)N; break;
    case LURN_BLAS_DET:   break;
    case LURN_BLAS_QR:    s->nwork = query_qr(M, N); break;
    case LURN_BLAS_SVD:   s->npivot = 8 * (M < N ? M : N); s->nwork = query_svd(M, N); break;
    case LURN_BLAS_EIGH:  s->nwork = query_eigh(M, &s->npivot); break;
    case LURN_BLAS_EIG:   second = m * m; s->nwork = query_eig(M); break;
  }
  s->a = take(&at, m * n * sizeof(real));
  s->v = take(&at, second * sizeof(real));
  s->tau = take(&at, (m < n ? m : n) * sizeof(real));
  s->work = take(&at, (size_t)s->nwork * sizeof(real));
  s->pivot = take(&at, (size_t)s->npivot * sizeof(blasint));
  return (size_t)(at - (uintptr_t)base);
}

static size_t work_size (lurn_blas_job job, int M, int N) {
  scratch s;
  return place(&s, job, M, N, NULL);
}

/* ==== Linear algebra ==== */

/* y (N,M) = transpose of x (M,N); between row-major and LAPACK's column-major. */
static void transpose (real *y, const real *x, int M, int N) {
  for (size_t m = 0; m < (size_t)M; m++)
    for (size_t n = 0; n < (size_t)N; n++) y[n * (size_t)M + m] = x[m * (size_t)N + n];
}

static lurn_status check_finite (lurn_ctx *ctx, const char *what, int M, int N, const real *a) {
  size_t count = (size_t)M * (size_t)N;
  for (size_t i = 0; i < count; i++)
    if (!isfinite(a[i]))
      return lurn_fail(ctx, LURN_EINVAL, "%s: the matrix (%d, %d) has %s at (%zu, %zu)", what, M, N,
                       isnan(a[i]) ? "a NaN" : "an infinite element", i / (size_t)N + 1, i % (size_t)N + 1);
  return LURN_OK;
}

static lurn_status check_info (lurn_ctx *ctx, const char *what, int M, int N, blasint info) {
  if (info == 0) return LURN_OK;
  if (info > 0) return lurn_fail(ctx, LURN_EINVAL, "%s: did not converge for a matrix (%d, %d)", what, M, N);
  return lurn_fail(ctx, LURN_EINVAL, "%s: LAPACK refused its argument %d", what, (int)-info);
}

/* Row-major memory, read by columns, is the transpose: P L U = a^T is factored, and a x = b is
 * solved as (a^T)^T x = b. */
static lurn_status solve (lurn_ctx *ctx, int M, int N, const real *a, const real *b, real *x, void *work) {
  scratch s;
  blasint m = M, n = N, lda = leading(M), info;
  lurn_status status = check_finite(ctx, "solve", M, M, a);
  if (status != LURN_OK) return status;
  place(&s, LURN_BLAS_SOLVE, M, N, work);
  memcpy(s.a, a, (size_t)M * (size_t)M * sizeof(real));
  LAPACK(getrf)(&m, &m, s.a, &lda, s.pivot, &info);
  if (info > 0) return lurn_fail(ctx, LURN_EINVAL, "solve: the matrix (%d, %d) is singular: pivot %d is 0", M, M, (int)info);
  transpose(s.v, b, M, N);
  if (info == 0) LAPACK(getrs)("T", &m, &n, s.a, &lda, s.pivot, s.v, &lda, &info, 1);
  transpose(x, s.v, N, M);
  return check_info(ctx, "solve", M, M, info);
}

/* det a = det a^T = (-1)^(rows exchanged) * product of U's diagonal */
static lurn_status determinant (lurn_ctx *ctx, int M, const real *a, double *det, void *work) {
  scratch s;
  blasint m = M, lda = leading(M), info;
  lurn_status status = check_finite(ctx, "det", M, M, a);
  if (status != LURN_OK) return status;
  place(&s, LURN_BLAS_DET, M, M, work);
  memcpy(s.a, a, (size_t)M * (size_t)M * sizeof(real));
  LAPACK(getrf)(&m, &m, s.a, &lda, s.pivot, &info);
  *det = 1;
  for (int i = 0; i < M; i++) *det *= (s.pivot[i] == i + 1 ? 1.0 : -1.0) * (double)s.a[(size_t)i * (size_t)(M + 1)];
  return check_info(ctx, "det", M, M, info < 0 ? info : 0);
}

static lurn_status qr (lurn_ctx *ctx, int M, int N, const real *a, real *q, real *r, void *work) {
  scratch s;
  blasint m = M, n = N, k = M < N ? M : N, lda = leading(M), info;
  lurn_status status = check_finite(ctx, "qr", M, N, a);
  if (status != LURN_OK) return status;
  place(&s, LURN_BLAS_QR, M, N, work);
  transpose(s.a, a, M, N);
  LAPACK(geqrf)(&m, &n, s.a, &lda, s.tau, s.work, &s.nwork, &info);
  for (int i = 0; i < k; i++)
    for (int j = 0; j < N; j++) r[(size_t)i * (size_t)N + (size_t)j] = i <= j ? s.a[(size_t)j * (size_t)M + (size_t)i] : 0;
  if (info == 0) LAPACK(orgqr)(&m, &k, &k, s.a, &lda, s.tau, s.work, &s.nwork, &info);
  transpose(q, s.a, k, M);
  return check_info(ctx, "qr", M, N, info);
}

/* LAPACK sees a^T (N,M) = vt^T diag(s) u^T. The columns of its left factor are the rows of our
 * vt and its right factor is u column by column, so nothing needs to be transposed. */
static lurn_status svd (lurn_ctx *ctx, int M, int N, const real *a, real *u, real *s, real *vt, void *work) {
  scratch w;
  blasint m = M, n = N, ldn = leading(N), ldk = leading(M < N ? M : N), info;
  lurn_status status = check_finite(ctx, "svd", M, N, a);
  if (status != LURN_OK) return status;
  place(&w, LURN_BLAS_SVD, M, N, work);
  memcpy(w.a, a, (size_t)M * (size_t)N * sizeof(real));
  LAPACK(gesdd)("S", &n, &m, w.a, &ldn, s, vt, &ldn, u, &ldk, w.work, &w.nwork, w.pivot, &info, 1);
  return check_info(ctx, "svd", M, N, info);
}

/* The lower triangle of rows is the upper triangle of columns. */
static lurn_status eigh (lurn_ctx *ctx, int M, const real *a, real *w, real *v, void *work) {
  scratch s;
  blasint m = M, lda = leading(M), info;
  lurn_status status = check_finite(ctx, "eigh", M, M, a);
  if (status != LURN_OK) return status;
  place(&s, LURN_BLAS_EIGH, M, M, work);
  memcpy(s.a, a, (size_t)M * (size_t)M * sizeof(real));
  LAPACK(syevd)("V", "U", &m, s.a, &lda, w, s.work, &s.nwork, s.pivot, &s.npivot, &info, 1, 1);
  transpose(v, s.a, M, M);
  return check_info(ctx, "eigh", M, M, info);
}

/* A pair of complex eigenvalues j, j+1 shares two real columns: v_j = c_j + i c_{j+1} and its
 * conjugate. `columns` (M,M) holds c_j as row j. */
static void unpack_complex (int M, const real *wi, const real *columns, real *vr, real *vi) {
  size_t n = (size_t)M;
  for (size_t j = 0; j < n; j++) {
    int first = wi[j] > 0, second = wi[j] < 0;
    const real *re = columns + (second ? j - 1 : j) * n;
    const real *im = columns + (first ? j + 1 : j) * n;
    for (size_t i = 0; i < n; i++) {
      vr[i * n + j] = re[i];
      vi[i * n + j] = first ? im[i] : second ? -im[i] : 0;
    }
  }
}

static lurn_status eig (lurn_ctx *ctx, int M, const real *a, real *wr, real *wi, real *vr, real *vi, void *work) {
  scratch s;
  real none = 0;
  blasint m = M, lda = leading(M), one = 1, info;
  lurn_status status = check_finite(ctx, "eig", M, M, a);
  if (status != LURN_OK) return status;
  place(&s, LURN_BLAS_EIG, M, M, work);
  transpose(s.a, a, M, M);
  LAPACK(geev)("N", "V", &m, s.a, &lda, wr, wi, &none, &one, s.v, &lda, s.work, &s.nwork, &info, 1, 1);
  if (info == 0) unpack_complex(M, wi, s.v, vr, vi);
  return check_info(ctx, "eig", M, M, info);
}

const lurn_blas lurn_openblas = {start, config, core, threads, warning, gemm, work_size, solve, determinant, qr, svd, eigh, eig};
