/* body_row.h: reductions. 16 lanes and one tree, whatever the vector length. */
#ifndef LURN_BODY_ROW_H
#define LURN_BODY_ROW_H

#include "kernel.h"
#include "body_math.h"

#define LANES 16
#define LANE_VECS (LANES / VL)
/* What stays in the first-level cache from one pass over some rows to the next. */
#define LSE_REALS ((int)(16384 / sizeof(real)))

/* Lanes of vector v when only `left` elements remain; the others are `fill`. */
static inline vf lane_load (const real *x, int v, int left, real fill) {
  const int here = left - v * VL;
  if (here >= VL) return vf_load(x + v * VL);
  return here > 0 ? vf_load_n(x + v * VL, here, fill) : vf_set(fill);
}

/* What a row reduction does: how a lane takes in an element, how two vectors of lanes join, and how the
 * lanes of one become a number. */
static inline vf take_sum (vf lane, vf x, vf shift) { (void)shift; return vf_add(lane, x); }
static inline vf take_exp (vf lane, vf x, vf shift) { return vf_add(lane, vf_exp(vf_sub(x, shift))); }
static inline vf take_square (vf lane, vf x, vf shift) {
  const vf d = vf_sub(x, shift);
  return vf_fma(d, d, lane);
}
static inline vf larger (vf a, vf b) { return vf_select(vm_or(vf_gt(b, a), vf_nan(b)), b, a); }
static inline vf take_max (vf lane, vf x, vf shift) { (void)shift; return larger(lane, x); }

static inline real largest (vf a) {
  real x[VL];
  vf_store(x, a);
  for (int width = VL / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) x[l] = x[l + width] > x[l] || x[l + width] != x[l + width] ? x[l + width] : x[l];
  return x[0];
}

typedef vf (*take_fn) (vf lane, vf x, vf shift);
typedef struct joining { vf (*two) (vf a, vf b); real (*all) (vf a); } joining;
static const joining by_sum = { vf_add, vf_sum }, by_max = { larger, largest };

/* The tree: whole vectors as long as there are two, then within one. */
static inline __attribute__((always_inline)) real join_lanes (joining join, vf *lane) {
  for (int n = LANE_VECS / 2; n > 0; n /= 2)
    for (int v = 0; v < n; v++) lane[v] = join.two(lane[v], lane[v + n]);
  return join.all(lane[0]);
}

/* Absent elements are `fill`, which leaves a lane as it is; a vector of nothing else is left out. */
static inline __attribute__((always_inline))
real row_reduce (take_fn take, joining join, real start, real fill, real shift, const real *x, int cols) {
  vf lane[LANE_VECS];
  const vf s = vf_set(shift);
  int j = 0;
  for (int v = 0; v < LANE_VECS; v++) lane[v] = vf_set(start);
  for (; j + LANES <= cols; j += LANES)
    for (int v = 0; v < LANE_VECS; v++) lane[v] = take(lane[v], vf_load(x + j + v * VL), s);
  for (int v = 0; v < LANE_VECS; v++)
    if (j + v * VL < cols) lane[v] = take(lane[v], lane_load(x + j, v, cols - j, fill), s);
  return join_lanes(join, lane);
}

static inline real sum_of_row (const real *x, int cols) {
  return row_reduce(take_sum, by_sum, 0, 0, 0, x, cols);
}

static inline real max_of_row (const real *x, int cols) {
  return row_reduce(take_max, by_max, (real)-INFINITY, (real)-INFINITY, 0, x, cols);
}

static void row_sum (real *y, const real *x, int rows, int cols) {
  for (int i = 0; i < rows; i++) y[i] = sum_of_row(x + (size_t)i * (size_t)cols, cols);
}

static void row_max (real *y, const real *x, int rows, int cols) {
  for (int i = 0; i < rows; i++) y[i] = max_of_row(x + (size_t)i * (size_t)cols, cols);
}

/* The largest number; a NaN may be passed over. */
static inline vf take_number (vf lane, vf x, vf shift) { (void)shift; return vf_max(x, lane); }
static const joining by_number = { vf_max, vf_top };

static inline real top_of_row (const real *x, int cols) {
  return row_reduce(take_number, by_number, (real)-INFINITY, (real)-INFINITY, 0, x, cols);
}

/* max + ln sum e^(x - max). An infinite maximum is not subtracted, as inf - inf is NaN; a NaN makes the sum NaN. Rows are
 * taken sixteen at a time, so that none waits for the end of the row before; fewer, where they are long. */
static void row_lse (real *y, const real *x, int rows, int cols) {
  const int most = cols * LANES <= LSE_REALS ? LANES : 1;
  real shift[LANES] = {0}, sum[LANES] = {0};
  for (int i = 0; i < rows; i += most, x += (size_t)most * (size_t)cols) {
    const int some = rows - i < most ? rows - i : most;
    for (int r = 0; r < some; r++) {
      const real max = top_of_row(x + (size_t)r * (size_t)cols, cols);
      shift[r] = max - max == 0 ? max : 0;
    }
    for (int r = 0; r < some; r++)
      sum[r] = row_reduce(take_exp, by_sum, 0, (real)-INFINITY, shift[r], x + (size_t)r * (size_t)cols, cols);
    for (int r = 0; r < some; r += VL) vf_store(sum + r, vf_add(vf_load(shift + r), vf_log(vf_load(sum + r))));
    for (int r = 0; r < some; r++) y[i + r] = sum[r];
  }
}

/* Where `value` is first, or the first NaN; 0 when it is nowhere. */
static inline int first_of (const real *x, int cols, real value) {
  const vf v = vf_set(value);
  for (int j = 0; j < cols; j += VL) {
    const int left = cols - j;
    const vf e = left >= VL ? vf_load(x + j) : vf_load_n(x + j, left, x[j]);
    const int lane = vm_first(vm_or(vf_eq(e, v), vf_nan(e)));
    if (lane >= 0) return j + lane;
  }
  return 0;
}

static void row_argmax (int32_t *y, const real *x, int rows, int cols) {
  for (int i = 0; i < rows; i++, x += cols) y[i] = first_of(x, cols, max_of_row(x, cols));
}

/* ---- normalisation ---------------------------------------------------------------------- */

/* Rows are taken sixteen at a time, one pass for all of them after the other: then no row waits for the
 * root and the quotients of the row before. */
typedef struct norms { real mean[LANES], scale[LANES]; } norms;

/* mean x and 1 / sqrt(mean (x - mean x)^2 + k) of each row */
static void norms_of_rows (norms *n, const real *x, real k, int rows, int cols) {
  for (int i = 0; i < LANES; i++) n->scale[i] = 1;
  for (int i = 0; i < rows; i++) n->mean[i] = sum_of_row(x + (size_t)i * (size_t)cols, cols) / (real)cols;
  for (int i = 0; i < rows; i++, x += cols)
    n->scale[i] = row_reduce(take_square, by_sum, 0, n->mean[i], n->mean[i], x, cols) / (real)cols + k;
  for (int i = 0; i < LANES; i += VL) vf_store(n->scale + i, vf_div(vf_set(1), vf_sqrt(vf_load(n->scale + i))));
}

static void norm_row (real *y, const real *x, real mean, real scale, int cols) {
  const vf m = vf_set(mean), s = vf_set(scale);
  int j = 0;
  for (; j + VL <= cols; j += VL) vf_store(y + j, vf_mul(vf_sub(vf_load(x + j), m), s));
  if (j < cols) vf_store_n(y + j, vf_mul(vf_sub(vf_load_n(x + j, cols - j, 0), m), s), cols - j);
}

static void row_norm (real *y, const real *x, real k, int rows, int cols) {
  norms n;
  for (int i = 0; i < rows; i += LANES) {
    const int some = rows - i < LANES ? rows - i : LANES;
    norms_of_rows(&n, x, k, some, cols);
    for (int r = 0; r < some; r++, x += cols, y += cols) norm_row(y, x, n.mean[r], n.scale[r], cols);
  }
}

/* sum of dy * (x - mean) */
static inline real pull_of_row (const real *dy, const real *x, real mean, int cols) {
  const vf m = vf_set(mean);
  vf lane[LANE_VECS];
  int j = 0;
  for (int v = 0; v < LANE_VECS; v++) lane[v] = vf_set(0);
  for (; j + LANES <= cols; j += LANES)
    for (int v = 0; v < LANE_VECS; v++)
      lane[v] = vf_fma(vf_load(dy + j + v * VL), vf_sub(vf_load(x + j + v * VL), m), lane[v]);
  if (j < cols)
    for (int v = 0; v < LANE_VECS; v++)
      lane[v] = vf_fma(lane_load(dy + j, v, cols - j, 0), vf_sub(lane_load(x + j, v, cols - j, mean), m), lane[v]);
  return join_lanes(by_sum, lane);
}

/* s (dy - along - pull s^2 (x - mean)) */
static void norm_grad_row (real *dx, const real *dy, const real *x, real mean, real scale, real along, real pull,
                           int cols) {
  const vf m = vf_set(mean), s = vf_set(scale), a = vf_set(along), p = vf_set(pull * scale * scale);
  int j = 0;
  for (; j + VL <= cols; j += VL)
    vf_store(dx + j, vf_mul(vf_fnma(vf_sub(vf_load(x + j), m), p, vf_sub(vf_load(dy + j), a)), s));
  const int left = cols - j;
  if (left > 0)
    vf_store_n(dx + j, vf_mul(vf_fnma(vf_sub(vf_load_n(x + j, left, 0), m), p,
                                      vf_sub(vf_load_n(dy + j, left, 0), a)), s), left);
}

static void row_norm_grad (real *dx, const real *dy, const real *x, real k, int rows, int cols) {
  norms n;
  real along[LANES], pull[LANES];
  for (int i = 0; i < rows; i += LANES) {
    const int some = rows - i < LANES ? rows - i : LANES;
    norms_of_rows(&n, x, k, some, cols);
    for (int r = 0; r < some; r++) {
      const size_t at = (size_t)r * (size_t)cols;
      along[r] = sum_of_row(dy + at, cols) / (real)cols;
      pull[r] = pull_of_row(dy + at, x + at, n.mean[r], cols) / (real)cols;
    }
    for (int r = 0; r < some; r++, dx += cols, dy += cols, x += cols)
      norm_grad_row(dx, dy, x, n.mean[r], n.scale[r], along[r], pull[r], cols);
  }
}

/* ---- sums in double --------------------------------------------------------------------- */

static inline double tree_sum (double lane[LANES]) {
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) lane[l] += lane[l + width];
  return lane[0];
}

/* Plain C: sixteen independent lanes are what a compiler makes vectors of. */
static void sum_on (double *lane, size_t at, const real *x, size_t n) {
  size_t i = 0;
  for (; i < n && (at + i) % LANES; i++) lane[(at + i) % LANES] += (double)x[i];
  for (; i + LANES <= n; i += LANES)
    for (int l = 0; l < LANES; l++) lane[l] += (double)x[i + (size_t)l];
  for (int l = 0; i < n; i++, l++) lane[l] += (double)x[i];
}

static double sum_up (const double *lane) {
  double copy[LANES];
  for (int l = 0; l < LANES; l++) copy[l] = lane[l];
  return tree_sum(copy);
}

static double sum (const real *x, size_t n) {
  double lane[LANES] = {0};
  sum_on(lane, 0, x, n);
  return tree_sum(lane);
}

static double sum_squares (const real *x, size_t n) {
  double lane[LANES] = {0};
  size_t i = 0;
  for (; i + LANES <= n; i += LANES)
    for (int l = 0; l < LANES; l++) lane[l] += (double)x[i + (size_t)l] * (double)x[i + (size_t)l];
  for (int l = 0; i < n; i++, l++) lane[l] += (double)x[i] * (double)x[i];
  return tree_sum(lane);
}

#endif
