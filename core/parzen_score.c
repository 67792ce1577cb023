/* parzen_score.c: draws from a fitted mixture, and its density at many points. */
#include "parzen.h"
#include "gauss.h"
#include "portable.h"

#include <math.h>

/* Shares beyond so many sigmas are below 1e-23 and count as none: the prior is always nearer. */
#define FAR_OUT 10.0
#define NONE    (-1e6)

static size_t row (const lurn_parzen *p, int a) { return (size_t)a * (size_t)(p->capacity + 1); }

static double clip (double x, double low, double high) { return x < low ? low : x > high ? high : x; }

/* --- draws --------------------------------------------------------------------------------- */

/* Shares of a kernel of choices: its own choice, each of the others. */
static void shares (const lurn_parzen *p, int a, double *hit, double *miss) {
  double even = 1.0 / p->K, sum = 1.0 + (p->axis[a].high + 1) * even;
  *hit = (1.0 + even) / sum;
  *miss = even / sum;
}

static double draw_choice (const lurn_parzen *p, int a, int k, double u) {
  int own = (int)p->mu[row(p, a) + (size_t)k], last = (int)p->axis[a].high;
  double hit, miss, sum = 0;
  shares(p, a, &hit, &miss);
  if (k == p->n) hit = miss = 1.0 / (last + 1);
  for (int c = 0; c < last; c++) {
    sum += c == own ? hit : miss;
    if (u < sum) return c;
  }
  return last;
}

/* The x of a normal, cut off at a <= 0 and b >= 0, that has the share u of it below. Counted from the nearer end. */
static double cut_quantile (double u, double a, double b) {
  double below_a = lurn_gauss_below(a), above_b = lurn_gauss_below(-b);
  double left = 0.5 - below_a, whole = left + 0.5 - above_b, t = u * whole;
  double p = t < left ? below_a + t : above_b + (whole - t);
  double x = lurn_gauss_quantile(clip(p, 1e-300, 0.5));
  return clip(t < left ? x : -x, a, b);
}

static double draw_number (const lurn_parzen *p, int a, int k, double u) {
  const lurn_axis *axis = &p->axis[a];
  double half = axis->kind == LURN_AXIS_STEPS ? axis->step / 2 : 0, low = axis->low - half, high = axis->high + half;
  double mu = p->mu[row(p, a) + (size_t)k], sigma = 0.7071067811865476 / p->inverse[row(p, a) + (size_t)k];
  if (axis->log) {
    low = lurn_portable_log(low);
    high = lurn_portable_log(high);
  }
  double x = mu + sigma * cut_quantile(u, (low - mu) / sigma, (high - mu) / sigma);
  if (axis->log) x = lurn_portable_exp(x);
  if (axis->kind == LURN_AXIS_STEPS) x = axis->low + floor((x - axis->low) / axis->step + 0.5) * axis->step;
  return clip(x, axis->low, axis->high);
}

static int draw_kernel (const lurn_parzen *p, double u) {
  double sum = 0;
  for (int k = 0; k < p->n; k++) {
    sum += p->weight[k];
    if (u < sum) return k;
  }
  return p->n;
}

void lurn_parzen_draw (const lurn_parzen *p, double *out, int C, uint64_t first) {
  for (int c = 0; c < C; c++) {
    int k = draw_kernel(p, lurn_random_uniform(p->key, first + (uint64_t)c));
    for (int a = 0; a < p->A; a++) {
      double u = lurn_random_uniform(p->axis[a].key, first + (uint64_t)c);
      out[c * p->A + a] = p->axis[a].kind == LURN_AXIS_CHOICE ? draw_choice(p, a, k, u) : draw_number(p, a, k, u);
    }
  }
}

/* --- scores -------------------------------------------------------------------------------- */

static void score_choice (const lurn_parzen *p, int a, double x, double *term) {
  const double *mu = p->mu + row(p, a);
  double hit, miss;
  shares(p, a, &hit, &miss);
  hit = lurn_portable_log(hit);
  miss = lurn_portable_log(miss);
  for (int k = 0; k < p->n; k++) term[k] += mu[k] == x ? hit : miss;
  term[p->n] -= lurn_portable_log(p->axis[a].high + 1);
}

/* ln N(x; mu, sigma) = -(x - mu)^2 / (2 sigma^2) less what `constant` has already. */
static void score_number (const lurn_parzen *p, int a, double x, double *restrict term) {
  const double *restrict mu = p->mu + row(p, a), *restrict inverse = p->inverse + row(p, a);
  if (p->axis[a].log) x = lurn_portable_log(x);
  for (int k = 0; k < p->K; k++) {
    double z = (x - mu[k]) * inverse[k];
    term[k] -= z * z;
  }
}

/* ln of the share between x - step/2 and x + step/2 of every different kernel along the axis, into share. */
static void step_shares (const lurn_parzen *p, int a, double x, double *share) {
  const double *mu = p->mu + row(p, a), *inverse = p->inverse + row(p, a);
  double left = x - p->axis[a].step / 2, right = x + p->axis[a].step / 2;
  if (p->axis[a].log) {
    left = lurn_portable_log(left);
    right = lurn_portable_log(right);
  }
  for (int i = 0; i < p->count[a]; i++) {
    int k = p->different[row(p, a) + (size_t)i];
    double scale = 1.4142135623730951 * inverse[k], from = (left - mu[k]) * scale, to = (right - mu[k]) * scale;
    double mass = from > FAR_OUT || to < -FAR_OUT ? 0 : lurn_gauss_mass(from, to);
    share[i] = mass > 0 ? lurn_portable_log(mass) : NONE;
  }
}

/* Candidates often share a value: its shares are worked out once. */
static void score_steps (const lurn_parzen *p, int a, const double *x, int C, double *terms, double *share) {
  const int32_t *same = p->same + row(p, a);
  for (int c = 0; c < C; c++) {
    int seen = 0;
    for (int d = 0; d < c; d++) seen |= x[d * p->A + a] == x[c * p->A + a];
    if (seen) continue;
    step_shares(p, a, x[c * p->A + a], share);
    for (int d = c; d < C; d++) {
      double *term = terms + (size_t)d * (size_t)p->K;
      if (x[d * p->A + a] != x[c * p->A + a]) continue;
      for (int k = 0; k < p->K; k++) term[k] += share[same[k]];
    }
  }
}

/* ln of the sum of w e^term; what is e^-37 of the largest term or less is below the last digit of the sum. */
static double log_sum (const double *weight, const double *term, int K) {
  double most = term[0], sum = 0;
  for (int k = 1; k < K; k++) most = term[k] > most ? term[k] : most;
  for (int k = 0; k < K; k++)
    if (term[k] > most - 37.0) sum += weight[k] * lurn_portable_exp(term[k] - most);
  return most + lurn_portable_log(sum);
}

static int inside (const lurn_parzen *p, const double *x) {
  for (int a = 0; a < p->A; a++)
    if (!(x[a] >= p->axis[a].low && x[a] <= p->axis[a].high)) return 0;
  return 1;
}

/* Terms (C,K), and one row more. */
static lurn_status make_room (lurn_ctx *ctx, lurn_parzen *p, int C) {
  size_t size = (size_t)(C + 1) * (size_t)p->K;
  if (size <= p->scratch_size) return LURN_OK;
  size += size / 2;
  double *scratch = lurn_realloc(ctx, p->scratch, p->scratch_size * sizeof *scratch, size * sizeof *scratch);
  if (!scratch) return LURN_ENOMEM;
  p->scratch = scratch;
  p->scratch_size = size;
  return LURN_OK;
}

lurn_status lurn_parzen_score (lurn_ctx *ctx, lurn_parzen *p, double *out, const double *x, int C) {
  size_t K = (size_t)p->K;
  lurn_status status = make_room(ctx, p, C);
  if (status != LURN_OK) return status;
  for (int c = 0; c < C; c++)
    for (size_t k = 0; k < K; k++) p->scratch[(size_t)c * K + k] = p->constant[k];
  for (int a = 0; a < p->A; a++) {
    if (p->axis[a].kind == LURN_AXIS_STEPS) score_steps(p, a, x, C, p->scratch, p->scratch + (size_t)C * K);
    else for (int c = 0; c < C; c++) {
      double *term = p->scratch + (size_t)c * K;
      if (p->axis[a].kind == LURN_AXIS_CHOICE) score_choice(p, a, x[c * p->A + a], term);
      else score_number(p, a, x[c * p->A + a], term);
    }
  }
  for (int c = 0; c < C; c++)
    out[c] = inside(p, x + c * p->A) ? log_sum(p->weight, p->scratch + (size_t)c * K, p->K) : -HUGE_VAL;
  return LURN_OK;
}
