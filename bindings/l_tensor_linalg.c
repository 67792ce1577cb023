/* l_tensor_linalg.c: products and factorisations, through OpenBLAS.
 *
 *   a % b, a:matmul(b)    (.., K) x (K, N), (.., K) x (K), (K) x (K, N), (S, M, K) x (S, K, N)
 *   a:solve(b)            x with a % x = b; b (M) or (M, N)
 *   a:inv()  a:det()
 *   a:qr()                q, r          a = q % r
 *   a:svd()               u, s, vt      a = (u * s) % vt
 *   a:eigh()              w, v          a symmetric (its lower triangle is read), a % v = v * w
 *   a:eig()               wr, wi, vr, vi: real and imaginary parts
 */
#include "l_tensor_parts.h"

#include "l_blas.h"

/* ==== Products ==== */

/* A matrix as gemm takes it: rows or columns without gaps. Anything else is copied. */
typedef struct matrix {
  const real *data;
  int trans, ld;
} matrix;

static int checkside (lua_State *L, int arg, const lurn_tensor *t, int64_t size) {
  if (size > INT32_MAX) l_shapeerror(L, arg, "sizes below 2^31", t);
  return (int)size;
}

/* ld is 0 when neither holds. */
static matrix asmatrix (const lurn_tensor *t) {
  int r = t->rank - 2, c = t->rank - 1;
  int64_t rows = t->dim[r], cols = t->dim[c];
  matrix m = {t->data.r, 0, 0};
  if ((t->stride[c] == 1 || cols == 1) && (t->stride[r] >= cols || rows == 1) && t->stride[r] <= INT32_MAX)
    m.ld = (int)(t->stride[r] > cols ? t->stride[r] : cols);
  else if ((t->stride[r] == 1 || rows == 1) && (t->stride[c] >= rows || cols == 1) && t->stride[c] <= INT32_MAX) {
    m.trans = 1;
    m.ld = (int)(t->stride[c] > rows ? t->stride[c] : rows);
  }
  return m;
}

/* The tensor at idx, if need be as a contiguous copy; pushed. */
static lurn_tensor pushmatrix (lua_State *L, int idx) {
  const lurn_tensor *t = lua_touserdata(L, idx);
  if (t->rank == 2 && asmatrix(t).ld > 0) {
    lua_pushvalue(L, idx);
    return *t;
  }
  return *l_pushcontiguous(L, idx);
}

/* Gives a vector the second dimension that it lacks: a row on the left, a column on the right. */
static void asrow (lurn_tensor *t) {
  t->rank = 2;
  t->dim[1] = t->dim[0];
  t->stride[1] = t->stride[0];
  t->dim[0] = 1;
  t->stride[0] = t->dim[1];
}

static void ascolumn (lurn_tensor *t) {
  t->rank = 2;
  t->dim[1] = 1;
  t->stride[1] = 1;
}

static void expect (lua_State *L, int arg, int rank, int64_t d0, int64_t d1, int64_t d2, const lurn_tensor *got) {
  int64_t dim[3] = {d0, d1, d2};
  char text[L_SHAPE_TEXT];
  l_shapeerror(L, arg, lurn_shape_text(text, sizeof text, rank, dim), got);
}

/* Shapes of a product that the rules above allow; arguments 1 and 2. Returns 1 for a batch. */
static int checkproduct (lua_State *L, const lurn_tensor *a, const lurn_tensor *b) {
  if (a->rank == 0) l_shapeerror(L, 1, "at least one dimension", a);
  int64_t K = a->dim[a->rank - 1];
  if (b->rank == 1 && b->dim[0] != K) expect(L, 2, 1, K, 0, 0, b);
  if (b->rank == 2 && b->dim[0] != K) expect(L, 2, 2, K, -1, 0, b);
  if (b->rank == 0 || b->rank > 3 || (b->rank == 3 && a->rank != 3)) expect(L, 2, 2, K, -1, 0, b);
  if (b->rank == 3 && (b->dim[0] != a->dim[0] || b->dim[1] != K)) expect(L, 2, 3, a->dim[0], K, -1, b);
  return b->rank == 3;
}

/* c (M,N) = a (M,K) b (K,N) */
static void multiply (const lurn_blas *blas, const lurn_tensor *a, const lurn_tensor *b, real *c) {
  int M = (int)a->dim[0], K = (int)a->dim[1], N = (int)b->dim[1];
  matrix p = asmatrix(a), q = asmatrix(b);
  blas->gemm(p.trans, q.trans, M, N, K, 1, p.data, p.ld, q.data, q.ld, 0, c, N);
}

/* c (S,M,N) = a (S,M,K) b (S,K,N), both contiguous */
static void multiply_batch (const lurn_blas *blas, lurn_tensor *a, lurn_tensor *b, real *c) {
  int64_t S = a->dim[0], M = a->dim[1], K = a->dim[2], N = b->dim[2];
  for (int64_t s = 0; s < S; s++)
    blas->gemm(0, 0, (int)M, (int)N, (int)K, 1, a->data.r + s * M * K, (int)K, b->data.r + s * K * N, (int)N,
                   0, c + s * M * N, (int)N);
}

/* The shape of the result: all but the last dimension of a, all but the first of b. */
static lurn_tensor *pushproduct (lua_State *L, const lurn_tensor *a, const lurn_tensor *b) {
  int64_t dim[LURN_MAX_RANK];
  int rank = 0;
  for (int d = 0; d < a->rank - 1; d++) dim[rank++] = a->dim[d];
  if (b->rank > 1) dim[rank++] = b->dim[b->rank - 1];
  return l_newtensor(L, LURN_REAL, rank, dim);
}

static int matmul (lua_State *L) {
  const lurn_tensor *t = l_checkreal(L, 1), *u = l_checkreal(L, 2);
  int batch = checkproduct(L, t, u);
  lua_settop(L, 2);
  for (int d = 0; d < t->rank; d++) checkside(L, 1, t, t->dim[d]);
  for (int d = 0; d < u->rank; d++) checkside(L, 2, u, u->dim[d]);
  lurn_tensor *y = pushproduct(L, t, u), a = pushmatrix(L, 1), b = pushmatrix(L, 2);
  int64_t K = t->dim[t->rank - 1], rows = 1;
  for (int d = 0; d < t->rank - 1; d++) rows *= t->dim[d];
  checkside(L, 1, t, rows);
  const lurn_blas *blas = l_blas(L);
  if (batch) multiply_batch(blas, &a, &b, y->data.r);
  else {
    if (a.rank == 1) asrow(&a);
    if (b.rank == 1) ascolumn(&b);
    if (a.rank > 2) {
      a.rank = 2;
      a.dim[0] = rows;
      a.dim[1] = a.stride[0] = K;
      a.stride[1] = 1;
    }
    multiply(blas, &a, &b, y->data.r);
  }
  lua_settop(L, 3);
  return 1;
}

/* Two vectors make a number. */
static int t_matmul (lua_State *L) {
  matmul(L);
  const lurn_tensor *y = lua_touserdata(L, -1);
  if (y->rank == 0) l_pushelement(L, y, 0);
  return 1;
}

static int t_mod (lua_State *L) {
  lua_settop(L, 2);
  return l_defer(L, "__mod") ? 1 : t_matmul(L);
}

/* ==== Factorisations ==== */

/* The matrix at arg, contiguous, pushed. */
static lurn_tensor *checkmatrix (lua_State *L, int arg, int square) {
  const lurn_tensor *t = l_checkreal(L, arg);
  if (t->rank != 2) l_shapeerror(L, arg, square ? "a square matrix" : "(*, *)", t);
  if (square && t->dim[0] != t->dim[1]) expect(L, arg, 2, t->dim[0], t->dim[0], 0, t);
  for (int d = 0; d < 2; d++)
    if (t->dim[d] > LURN_BLAS_MAX_SIDE) l_shapeerror(L, arg, "sides of at most 16384", t);
  return l_pushcontiguous(L, arg);
}

static real *pushmade (lua_State *L, int rank, int64_t rows, int64_t cols) {
  int64_t dim[2] = {rows, cols};
  return l_newtensor(L, LURN_REAL, rank, dim)->data.r;
}

static void *pushwork (lua_State *L, lurn_blas_job job, int M, int N) {
  return l_scratch(L, l_blas(L)->work(job, M, N));
}

/* b may be a vector; the result has its shape. */
static int t_solve (lua_State *L) {
  const lurn_tensor *b = l_checkreal(L, 2), *a = checkmatrix(L, 1, 1);
  int M = (int)a->dim[0];
  if (b->rank != 1 && b->rank != 2) expect(L, 2, 2, M, -1, 0, b);
  if (b->dim[0] != M) expect(L, 2, b->rank, M, -1, 0, b);
  int N = b->rank == 1 ? 1 : checkside(L, 2, b, b->dim[1]);
  b = l_pushcontiguous(L, 2);
  void *work = pushwork(L, LURN_BLAS_SOLVE, M, N);
  lurn_tensor *x = l_newtensor(L, LURN_REAL, b->rank, b->dim);
  lb_check(L, l_blas(L)->solve(lb_ctx(L), M, N, a->data.r, b->data.r, x->data.r, work));
  return 1;
}

static int t_inv (lua_State *L) {
  const lurn_tensor *a = checkmatrix(L, 1, 1);
  int M = (int)a->dim[0];
  void *work = pushwork(L, LURN_BLAS_SOLVE, M, M);
  real *x = pushmade(L, 2, M, M);
  for (size_t i = 0; i < (size_t)M; i++) x[i * (size_t)(M + 1)] = 1;
  lb_check(L, l_blas(L)->solve(lb_ctx(L), M, M, a->data.r, x, x, work));
  return 1;
}

static int t_det (lua_State *L) {
  const lurn_tensor *a = checkmatrix(L, 1, 1);
  int M = (int)a->dim[0];
  double det = 0;
  lb_check(L, l_blas(L)->det(lb_ctx(L), M, a->data.r, &det, pushwork(L, LURN_BLAS_DET, M, M)));
  lua_pushnumber(L, det);
  return 1;
}

static int t_qr (lua_State *L) {
  const lurn_tensor *a = checkmatrix(L, 1, 0);
  int M = (int)a->dim[0], N = (int)a->dim[1], K = M < N ? M : N;
  void *work = pushwork(L, LURN_BLAS_QR, M, N);
  real *q = pushmade(L, 2, M, K), *r = pushmade(L, 2, K, N);
  lb_check(L, l_blas(L)->qr(lb_ctx(L), M, N, a->data.r, q, r, work));
  return 2;
}

static int t_svd (lua_State *L) {
  const lurn_tensor *a = checkmatrix(L, 1, 0);
  int M = (int)a->dim[0], N = (int)a->dim[1], K = M < N ? M : N;
  void *work = pushwork(L, LURN_BLAS_SVD, M, N);
  real *u = pushmade(L, 2, M, K), *s = pushmade(L, 1, K, 0), *vt = pushmade(L, 2, K, N);
  lb_check(L, l_blas(L)->svd(lb_ctx(L), M, N, a->data.r, u, s, vt, work));
  return 3;
}

static int t_eigh (lua_State *L) {
  const lurn_tensor *a = checkmatrix(L, 1, 1);
  int M = (int)a->dim[0];
  void *work = pushwork(L, LURN_BLAS_EIGH, M, M);
  real *w = pushmade(L, 1, M, 0), *v = pushmade(L, 2, M, M);
  lb_check(L, l_blas(L)->eigh(lb_ctx(L), M, a->data.r, w, v, work));
  return 2;
}

static int t_eig (lua_State *L) {
  const lurn_tensor *a = checkmatrix(L, 1, 1);
  int M = (int)a->dim[0];
  void *work = pushwork(L, LURN_BLAS_EIG, M, M);
  real *wr = pushmade(L, 1, M, 0), *wi = pushmade(L, 1, M, 0);
  real *vr = pushmade(L, 2, M, M), *vi = pushmade(L, 2, M, M);
  lb_check(L, l_blas(L)->eig(lb_ctx(L), M, a->data.r, wr, wi, vr, vi, work));
  return 4;
}

static const luaL_Reg methods[] = {
  {"matmul", t_matmul}, {"solve", t_solve}, {"inv", t_inv}, {"det", t_det},
  {"qr", t_qr}, {"svd", t_svd}, {"eigh", t_eigh}, {"eig", t_eig},
  {NULL, NULL}
};

void l_tensor_linalg_open (lua_State *L) {
  luaL_setfuncs(L, methods, 0);
  lua_pushcfunction(L, t_mod);
  lua_setfield(L, -3, "__mod");
}
