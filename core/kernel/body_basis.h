/* body_basis.h: vectors in double made orthonormal, for initial weights.
 *
 * In double in both precisions, so that it has lanes of its own, in the compiler's words for vectors: eight partial sums
 * are one order of additions, whatever the width of a register.
 */
#ifndef LURN_BODY_BASIS_H
#define LURN_BODY_BASIS_H

#include <math.h>
#include <string.h>
#include "kernel.h"

#if defined(__AVX512F__)
#define VD 8
#elif defined(__AVX2__)
#define VD 4
#else
#define VD 2
#endif
#define BASIS_VECS (LURN_BASIS / VD)

typedef double vd __attribute__((vector_size(VD * sizeof(double))));

static inline vd vd_load (const double *p) {
  vd x;
  memcpy(&x, p, sizeof x);
  return x;
}

static inline void vd_store (double *p, vd x) { memcpy(p, &x, sizeof x); }

static inline double basis_sum (const vd lane[BASIS_VECS]) {
  double s[LURN_BASIS];
  for (int k = 0; k < BASIS_VECS; k++) vd_store(s + k * VD, lane[k]);
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static double basis_dot (const double *a, const double *b, size_t m) {
  vd s[BASIS_VECS] = {0};
  for (size_t i = 0; i < m; i += LURN_BASIS)
    for (size_t k = 0; k < BASIS_VECS; k++) s[k] += vd_load(a + i + k * VD) * vd_load(b + i + k * VD);
  return basis_sum(s);
}

/* v -= k u */
static inline void basis_take (double *v, const double *u, double k, size_t m) {
  for (size_t i = 0; i < m; i += VD) vd_store(v + i, vd_load(v + i) - k * vd_load(u + i));
}

/* v -= k u, then k = v x; the same of another vector beside it, so that there is work for one while the other's sum is
 * waited for. */
static inline void basis_take_both (double *v, double *w, const double *u, const double *x, double k[2], size_t m) {
  const double kv = k[0], kw = k[1];
  vd s[BASIS_VECS] = {0}, t[BASIS_VECS] = {0};
  for (size_t i = 0; i < m; i += LURN_BASIS)
    for (size_t l = 0; l < BASIS_VECS; l++) {
      const size_t at = i + l * VD;
      const vd mine = vd_load(u + at), next = vd_load(x + at);
      const vd a = vd_load(v + at) - kv * mine, b = vd_load(w + at) - kw * mine;
      vd_store(v + at, a);
      vd_store(w + at, b);
      s[l] += a * next;
      t[l] += b * next;
    }
  k[0] = basis_sum(s);
  k[1] = basis_sum(t);
}

/* Modified Gram-Schmidt, each vector against those before it, twice: the second pass removes what
 * rounding left of the first ("twice is enough", Giraud et al. 2005). The second pass of a vector goes together with
 * the first one of the vector after it, which then lacks this one only. */
static void orthonormal (double *q, size_t n, size_t m) {
  for (size_t j = 0; j < n; j++) {
    double *v = q + j * m, *after = v + m, k[2] = {basis_dot(v, q, m), basis_dot(after, q, m)};
    for (const double *u = q; u < v; u += m) basis_take_both(v, after, u, u + m < v ? u + m : u, k, m);
    const double length = sqrt(basis_dot(v, v, m));
    for (size_t i = 0; i < m; i++) v[i] /= length;
    basis_take(after, v, basis_dot(after, v, m), m);
  }
}

#endif
