/* kernel.h: the table of row kernels and fixed-order products, one per instruction set.
 *
 * The arithmetic contract (core/DESIGN.md, "Same bits"): every table gives the same bits.
 *   maps      y[i] depends on i-th elements only, by the same operations in the same order at
 *             any position, length and alignment; no libm, no contraction that is not written.
 *   rows      reductions use 16 lanes: element j goes to lane j % 16, lanes are combined by the
 *             fixed tree (l, l+8), (l, l+4), (l, l+2), (l, l+1); in f32 and f64 alike.
 *   products  every output element is one chain of fused multiply-adds, k ascending, from its
 *             initial value; lurn_kernels.outer runs its chain descending.
 * Lengths of 0 are allowed everywhere. Pointers need no alignment. An output may be the same
 * pointer as an input, never overlap it otherwise. Masked tails: nothing is read or written
 * beyond the last element.
 */
#ifndef LURN_KERNEL_H
#define LURN_KERNEL_H

#include "base.h"

/* Elementwise maps: X(name, number of inputs, uses the immediate k, formula). NaN in gives NaN
 * out unless the formula selects another value; max and min return b when either is NaN.
 * The transcendental maps are off by less than 2 ulp (the worst seen is 1.83, of tanh), denormals
 * included. sin and cos are defined for |a| <= 1e5 (f64: 1e6) and give NaN beyond. */
#define LURN_MAPS(X) \
  X(copy,         1, 0, "a") \
  X(fill,         0, 1, "k") \
  X(neg,          1, 0, "-a") \
  X(abs,          1, 0, "|a|") \
  X(sign,         1, 0, "1, -1, or a where a is 0 or NaN") \
  X(exp,          1, 0, "e^a") \
  X(expm1,        1, 0, "e^a - 1") \
  X(log,          1, 0, "ln a") \
  X(log1p,        1, 0, "ln (1 + a)") \
  X(sqrt,         1, 0, "square root of a") \
  X(sin,          1, 0, "sin a") \
  X(cos,          1, 0, "cos a") \
  X(erf,          1, 0, "erf a") \
  X(tanh,         1, 0, "tanh a") \
  X(sigmoid,      1, 0, "1 / (1 + e^-a)") \
  X(add_imm,      1, 1, "a + k") \
  X(mul_imm,      1, 1, "a * k") \
  X(rsub_imm,     1, 1, "k - a") \
  X(rdiv_imm,     1, 1, "k / a") \
  X(max_imm,      1, 1, "a > k ? a : k, NaN stays NaN") \
  X(min_imm,      1, 1, "a < k ? a : k, NaN stays NaN") \
  X(gt_imm,       1, 1, "a > k ? 1 : 0") \
  X(ge_imm,       1, 1, "a >= k ? 1 : 0") \
  X(add,          2, 0, "a + b") \
  X(sub,          2, 0, "a - b") \
  X(mul,          2, 0, "a * b") \
  X(div,          2, 0, "a / b") \
  X(max,          2, 0, "a > b ? a : b") \
  X(min,          2, 0, "a < b ? a : b") \
  X(gt,           2, 0, "a > b ? 1 : 0") \
  X(ge,           2, 0, "a >= b ? 1 : 0") \
  X(eq,           2, 0, "a == b ? 1 : 0") \
  X(tanh_grad,    2, 0, "a * (1 - b * b), the bracket one fma: a = dy, b = y = tanh x") \
  X(sigmoid_grad, 2, 0, "a * (b - b * b), the bracket one fma: a = dy, b = y") \
  X(gate_gt,      2, 1, "b > k ? a : 0") \
  X(gate_lt,      2, 1, "b < k ? a : 0") \
  X(where,        3, 0, "a != 0 ? b : c (NaN counts as true)")

typedef enum lurn_map {
#define LURN_MAP_ENUM(name, nin, imm, formula) LURN_MAP_##name,
  LURN_MAPS(LURN_MAP_ENUM)
#undef LURN_MAP_ENUM
  LURN_NMAPS
} lurn_map;

/* y[0..n) = f(a[i], b[i], c[i]; k); inputs the map does not take are ignored (may be NULL). */
typedef void (*lurn_map_fn) (real *y, const real *a, const real *b, const real *c, real k, size_t n);

/* One product: for m < M, n < N
 *   c[m*ldc + n] = chain over k = 0..K-1 of fma(a[m*lda + k], w[k,n], acc)
 * from init[m*ldi + n]; init NULL starts at +0; ldi 0 broadcasts one row (a bias);
 * init may equal c (with ldi == ldc). `packed` was made by pack() from w.
 * One that follows goes on with the chains of the product before it in the list, of the same M and N,
 * instead of an init of its own; what that one alone would have left in its c is then not written. */
typedef struct lurn_product {
  int M, N, K;
  const real *a; ptrdiff_t lda;        /* (M,K) */
  const real *packed;                  /* of (K,N) */
  const real *init; ptrdiff_t ldi;     /* (M,N), (N), or NULL */
  real *c; ptrdiff_t ldc;              /* (M,N) */
  int follows;
} lurn_product;

#define LURN_BASIS 8                   /* vectors of orthonormal() are so many numbers long, or twice, and so on */

typedef struct lurn_kernels {
  const char *isa;                     /* "c", "avx2", "avx512" */
  const lurn_map_fn *map;              /* (LURN_NMAPS) */

  /* per row of x (rows, cols), contiguous; y (rows) */
  void (*row_sum) (real *y, const real *x, int rows, int cols);
  void (*row_max) (real *y, const real *x, int rows, int cols);      /* cols >= 1; NaN if any is */
  void (*row_lse) (real *y, const real *x, int rows, int cols);      /* log sum exp; max first */
  void (*row_argmax) (int32_t *y, const real *x, int rows, int cols); /* from 0; first of equals or of NaNs */

  /* y = (x - mean x) * s with s = 1 / sqrt(mean (x - mean x)^2 + k), row by row; y (rows, cols) */
  void (*row_norm) (real *y, const real *x, real k, int rows, int cols);
  /* its gradient: dx = s * (dy - mean dy - y * mean (dy * y)) */
  void (*row_norm_grad) (real *dx, const real *dy, const real *x, real k, int rows, int cols);

  /* y[i,j] = x[i*step]; y (rows, cols), which is not x */
  void (*row_fill) (real *y, const real *x, ptrdiff_t step, int rows, int cols);

  /* y[j] = x[j] * scale where word j is above `highest`, 0 elsewhere. Words come in fours from Philox (rng.h) under `key`;
   * the counter's last word is that of the first four, and counts on. */
  void (*dropout) (real *y, const real *x, real scale, uint32_t highest, const uint32_t counter[4],
                   const uint32_t key[2], int n);

  /* sums in double over a flat array, 16 lanes and the tree */
  double (*sum) (const real *x, size_t n);
  /* The same piece by piece: lanes (16), zero at first, take in the elements at .. at+n-1 of the array; sum_up is the
   * tree, and leaves the lanes as they are. */
  void (*sum_on) (double *lanes, size_t at, const real *x, size_t n);
  double (*sum_up) (const double *lanes);
  double (*sum_squares) (const real *x, size_t n);

  /* products; pack_count is in reals. trans 0: w is (K,N) row-major; trans 1: w is stored as
   * (N,K) row-major and used as its transpose. The format is this table's own business; the
   * destination is LURN_ALIGN-aligned. */
  size_t (*pack_count) (int K, int N);
  /* N columns are packed in so many panels of this many columns each, but for the last one. What some panels of a packed
   * matrix hold, from column `from` on, is a matrix of its own, at packed + pack_count(K, from). */
  int panel;
  int (*panels) (int N);
  void (*pack) (real *packed, const real *w, int K, int N, int trans);
  /* n of them, in any order but for those that follow: none reads what another one writes. */
  void (*product) (const lurn_product *p, int n);

  /* c[k*ldc + n] = chain over m = M-1 .. 0 of fma(a[m*lda + k], d[m*ldd + n], acc) from c:
   * the parameter gradient a^T d, added to what is there. c is (K,N). */
  void (*outer) (int M, int K, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd,
                 real *c, ptrdiff_t ldc);
  /* c[n] = chain over m = M-1 .. 0 of (acc + d[m*ldd + n]) from c: a bias gradient. */
  void (*column_sum) (int M, int N, const real *d, ptrdiff_t ldd, real *c);
  /* c[n] = chain over m = M-1 .. 0 of fma(a[m*lda + n], d[m*ldd + n], acc) from c: the gradient of a
   * factor that all frames share. */
  void (*column_dot) (int M, int N, const real *a, ptrdiff_t lda, const real *d, ptrdiff_t ldd, real *c);
  /* c[v*ldc + n] = c[v*ldc + n] + d[m*ldd + n] for m = M-1 .. 0, v = id[m]: the gradient of looked-up rows. An id
   * outside of 0 .. rows-1 is row `none`, or no row where that is negative. */
  void (*scatter) (int M, int N, const int32_t *id, int rows, int none, const real *d, ptrdiff_t ldd, real *c,
                   ptrdiff_t ldc);

  /* The n vectors of q (n,m), in double, become orthonormal, each by those before it: the Q of a QR factorisation with
   * a positive diagonal of R. m is a multiple of LURN_BASIS, behind q is room for one more vector, of zeros; zeros that
   * all vectors end with change nothing. A product of two is 8 sums, element j in sum j % 8, and the tree (l, l+4),
   * (l, l+2), (l, l+1). */
  void (*orthonormal) (double *q, size_t n, size_t m);
} lurn_kernels;

/* The table for `isa` ("c", "avx2", "avx512"); NULL or "" means the best this CPU and its
 * operating system support. NULL when the name is unknown or the CPU cannot run it. */
const lurn_kernels *lurn_kernels_find (const char *isa);
/* Names this CPU can run, slowest first, NULL-terminated. */
const char *const *lurn_kernels_list (void);

/* The compression of SHA-256 by instructions that this CPU has for it, NULL where it has none: n blocks of 64 bytes go
 * into the eight words h; k has the constants of the rounds. sha256.c has the same for every CPU. */
typedef void (*lurn_sha256_fn) (uint32_t h[8], const uint8_t *block, size_t n, const uint32_t k[64]);
lurn_sha256_fn lurn_kernels_sha256 (void);

const char *lurn_map_name (lurn_map map);        /* "tanh" */
int lurn_map_inputs (lurn_map map);
int lurn_map_has_imm (lurn_map map);
const char *lurn_map_formula (lurn_map map);

#endif
