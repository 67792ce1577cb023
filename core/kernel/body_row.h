/* body_row.h: reductions. 16 lanes and one tree, whatever the vector length. */
#ifndef LURN_BODY_ROW_H
#define LURN_BODY_ROW_H

#include "kernel.h"
#include "body_math.h"

#define LANES 16
#define LANE_VECS (LANES / VL)

/* Lanes of vector v when only `left` elements remain; the others are `fill`. */
static inline vf lane_load (const real *x, int v, int left, real fill) {
  const int here = left - v * VL;
  if (here >= VL) return vf_load(x + v * VL);
  return here > 0 ? vf_load_n(x + v * VL, here, fill) : vf_set(fill);
}

/* What a row reduction does: how a lane takes in an element, and how two lanes join. */
static inline vf take_sum (vf lane, vf x, vf shift) { (void)shift; return vf_add(lane, x); }
static inline vf take_exp (vf lane, vf x, vf shift) { return vf_add(lane, vf_exp(vf_sub(x, shift))); }
static inline vf take_max (vf lane, vf x, vf shift) {
  (void)shift;
  return vf_select(vm_or(vf_gt(x, lane), vf_nan(x)), x, lane);
}
static inline real join_sum (real a, real b) { return a + b; }
static inline real join_max (real a, real b) { return b > a || b != b ? b : a; }

typedef vf (*take_fn) (vf lane, vf x, vf shift);
typedef real (*join_fn) (real a, real b);

/* Absent elements are `fill`, which leaves a lane as it is. */
static inline __attribute__((always_inline))
real row_reduce (take_fn take, join_fn join, real start, real fill, real shift,
                 const real *x, int cols) {
  vf lane[LANE_VECS];
  real joined[LANES];
  const vf s = vf_set(shift);
  int j = 0;
  for (int v = 0; v < LANE_VECS; v++) lane[v] = vf_set(start);
  for (; j + LANES <= cols; j += LANES)
    for (int v = 0; v < LANE_VECS; v++) lane[v] = take(lane[v], vf_load(x + j + v * VL), s);
  if (j < cols)
    for (int v = 0; v < LANE_VECS; v++) lane[v] = take(lane[v], lane_load(x + j, v, cols - j, fill), s);
  for (int v = 0; v < LANE_VECS; v++) vf_store(joined + v * VL, lane[v]);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) joined[l] = join(joined[l], joined[l + width]);
  return joined[0];
}

static inline real sum_of_row (const real *x, int cols) {
  return row_reduce(take_sum, join_sum, 0, 0, 0, x, cols);
}

static inline real max_of_row (const real *x, int cols) {
  return row_reduce(take_max, join_max, (real)-INFINITY, (real)-INFINITY, 0, x, cols);
}

static void row_sum (real *y, const real *x, int rows, int cols) {
  for (int i = 0; i < rows; i++) y[i] = sum_of_row(x + (size_t)i * (size_t)cols, cols);
}

static void row_max (real *y, const real *x, int rows, int cols) {
  for (int i = 0; i < rows; i++) y[i] = max_of_row(x + (size_t)i * (size_t)cols, cols);
}

/* max + ln sum e^(x - max). An infinite or NaN maximum is not subtracted: inf - inf is NaN. */
static void row_lse (real *y, const real *x, int rows, int cols) {
  for (int i = 0; i < rows; i++, x += cols) {
    const real max = max_of_row(x, cols);
    const real shift = max - max == 0 ? max : 0;
    const real sum = row_reduce(take_exp, join_sum, 0, (real)-INFINITY, shift, x, cols);
    real log_sum_exp[VL];
    vf_store(log_sum_exp, vf_add(vf_set(shift), vf_log(vf_set(sum))));
    y[i] = log_sum_exp[0];
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
