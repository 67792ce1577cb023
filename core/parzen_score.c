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
  const lurn_range *axis = &p->axis[a];
  double mu = p->mu[row(p, a) + (size_t)k], sigma = LURN_SQRT_HALF / p->inverse[row(p, a) + (size_t)k], low, high;
  lurn_range_ends(axis, &low, &high);
  double x = mu + sigma * cut_quantile(u, (low - mu) / sigma, (high - mu) / sigma);
  if (axis->log) x = lurn_portable_exp(x);
  if (axis->kind == LURN_RANGE_STEPS) x = axis->low + floor((x - axis->low) / axis->step + 0.5) * axis->step;
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
      out[c * p->A + a] = p->axis[a].kind == LURN_RANGE_CHOICE ? draw_choice(p, a, k, u) : draw_number(p, a, k, u);
    }
  }
}

/* --- scores --------------------------------------------------------------------------------
 *
 * terms (K,C): ln of kernel k at candidate c, without its weight. Candidates are side by side, so that what belongs to
 * a kernel is loaded once for all of them and the loops over them are vectors. x (C) is one coordinate of each.
 */

static void score_choice (const lurn_parzen *p, int a, const double *restrict x, int C, double *restrict terms) {
  const double *mu = p->mu + row(p, a);
  double hit, miss;
  shares(p, a, &hit, &miss);
  hit = lurn_portable_log(hit);
  miss = lurn_portable_log(miss);
  for (int k = 0; k < p->n; k++, terms += C)
    for (int c = 0; c < C; c++) terms[c] += mu[k] == x[c] ? hit : miss;
  double even = lurn_portable_log(p->axis[a].high + 1);
  for (int c = 0; c < C; c++) terms[c] -= even;
}

/* ln N(x; mu, sigma) = -(x - mu)^2 / (2 sigma^2) less what `constant` has already. */
static void score_number (const lurn_parzen *p, int a, double *restrict x, int C, double *restrict terms) {
  const double *mu = p->mu + row(p, a), *inverse = p->inverse + row(p, a);
  for (int c = 0; p->axis[a].log && c < C; c++) x[c] = lurn_portable_log(x[c]);
  for (int k = 0; k < p->K; k++, terms += C) {
    for (int c = 0; c < C; c++) {
      double z = (x[c] - mu[k]) * inverse[k];
      terms[c] -= z * z;
    }
  }
}

/* ln of the share between x - step/2 and x + step/2 of every different kernel along the axis: a column of share. */
static void step_shares (const lurn_parzen *p, int a, double x, int C, double *share) {
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
    share[(size_t)i * (size_t)C] = mass > 0 ? lurn_portable_log(mass) : NONE;
  }
}

static void copy_column (double *share, int rows, int C, int to, int from) {
  for (int i = 0; i < rows; i++, share += C) share[to] = share[from];
}

/* Candidates often share a value: its shares are worked out once. share (different kernels, C). */
static void score_steps (const lurn_parzen *p, int a, const double *x, int C, double *restrict terms,
                         double *restrict share) {
  for (int c = 0; c < C; c++) {
    int d = 0;
    while (x[d] != x[c]) d++;
    if (d == c) step_shares(p, a, x[c], C, share + c);
    else copy_column(share, p->count[a], C, c, d);
  }
  const int32_t *same = p->same + row(p, a);
  for (int k = 0; k < p->K; k++, terms += C) {
    const double *own = share + (size_t)same[k] * (size_t)C;
    for (int c = 0; c < C; c++) terms[c] += own[c];
  }
}

/* out = ln of the sum of w e^term; what is e^-37 of the largest term or less is below the last digit of the sum. */
static void log_sums (const lurn_parzen *p, const double *terms, int C, double *out, double *most) {
  const double *term = terms;
  for (int c = 0; c < C; c++) most[c] = term[c];
  for (int k = 0; k < p->K; k++, term += C)
    for (int c = 0; c < C; c++) most[c] = term[c] > most[c] ? term[c] : most[c];
  for (int c = 0; c < C; c++) out[c] = 0;
  term = terms;
  for (int k = 0; k < p->K; k++, term += C)
    for (int c = 0; c < C; c++)
      if (term[c] > most[c] - 37.0) out[c] += p->weight[k] * lurn_portable_exp(term[c] - most[c]);
  for (int c = 0; c < C; c++) out[c] = most[c] + lurn_portable_log(out[c]);
}

static int inside (const lurn_parzen *p, const double *x) {
  for (int a = 0; a < p->A; a++)
    if (!(x[a] >= p->axis[a].low && x[a] <= p->axis[a].high)) return 0;
  return 1;
}

/* Terms (K,C), shares (K,C), a coordinate (C). */
static lurn_status make_room (lurn_ctx *ctx, lurn_parzen *p, int C) {
  size_t size = (size_t)C * (2 * (size_t)p->K + 1);
  if (size <= p->scratch_size) return LURN_OK;
  size += size / 2;
  double *scratch = lurn_realloc(ctx, p->scratch, p->scratch_size * sizeof *scratch, size * sizeof *scratch);
  if (!scratch) return LURN_ENOMEM;
  p->scratch = scratch;
  p->scratch_size = size;
  return LURN_OK;
}

lurn_status lurn_parzen_score (lurn_ctx *ctx, lurn_parzen *p, double *out, const double *x, int C) {
  lurn_status status = make_room(ctx, p, C);
  if (status != LURN_OK) return status;
  double *terms = p->scratch, *share = terms + (size_t)p->K * (size_t)C, *at = share + (size_t)p->K * (size_t)C;
  for (int k = 0; k < p->K; k++)
    for (int c = 0; c < C; c++) terms[(size_t)k * (size_t)C + (size_t)c] = p->constant[k];
  for (int a = 0; a < p->A; a++) {
    for (int c = 0; c < C; c++) at[c] = x[c * p->A + a];
    switch (p->axis[a].kind) {
      case LURN_RANGE_NUMBER: score_number(p, a, at, C, terms); break;
      case LURN_RANGE_STEPS: score_steps(p, a, at, C, terms, share); break;
      case LURN_RANGE_CHOICE: score_choice(p, a, at, C, terms); break;
    }
  }
  log_sums(p, terms, C, out, at);
  for (int c = 0; c < C; c++)
    if (!inside(p, x + c * p->A)) out[c] = -HUGE_VAL;
  return LURN_OK;
}
