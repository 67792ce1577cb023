/* lr.c: learning-rate schedules. */
#include "lr.h"
#include "portable.h"

#include <math.h>

lurn_status lurn_lr_check (lurn_ctx *ctx, const lurn_lr *s) {
  int decays = s->kind == LURN_LR_STEP || s->kind == LURN_LR_EXPONENTIAL;
  if (!(s->base >= 0 && isfinite(s->base)))
    return lurn_fail(ctx, LURN_EINVAL, "learning rate: expected 0 or more, got %g", s->base);
  if (s->warmup < 0)
    return lurn_fail(ctx, LURN_EINVAL, "warmup: expected 0 or more steps, got %lld", (long long)s->warmup);
  if (decays && !(s->gamma > 0))
    return lurn_fail(ctx, LURN_EINVAL, "gamma: expected more than 0, got %g", s->gamma);
  if (s->kind == LURN_LR_STEP && s->every < 1)
    return lurn_fail(ctx, LURN_EINVAL, "every: expected 1 step or more, got %lld", (long long)s->every);
  if (s->kind == LURN_LR_COSINE && s->total <= s->warmup)
    return lurn_fail(ctx, LURN_EINVAL, "total: expected more steps than the warm-up's %lld, got %lld",
                     (long long)s->warmup, (long long)s->total);
  if (s->kind == LURN_LR_COSINE && !(s->low >= 0))
    return lurn_fail(ctx, LURN_EINVAL, "low: expected 0 or more, got %g", s->low);
  return LURN_OK;
}

/* SGDR (Loshchilov & Hutter 2017) without restarts. The angle pi k / K is k / 2K turns. */
static double cosine_at (const lurn_lr *s, int64_t k) {
  int64_t total = s->total - s->warmup;
  double sine, cosine;
  if (k >= total) return s->low;
  lurn_portable_turn((double)k / (2.0 * (double)total), &sine, &cosine);
  return s->low + (s->base - s->low) * (1 + cosine) / 2;
}

double lurn_lr_at (const lurn_lr *s, int64_t step) {
  int64_t k = step - 1 - s->warmup;
  if (step <= s->warmup) return s->base * (double)step / (double)s->warmup;
  switch (s->kind) {
    case LURN_LR_CONSTANT:    return s->base;
    case LURN_LR_STEP:        return s->base * lurn_portable_power(s->gamma, k / s->every);
    case LURN_LR_EXPONENTIAL: return s->base * lurn_portable_power(s->gamma, k);
    case LURN_LR_COSINE:      return cosine_at(s, k);
  }
  return s->base;
}

/* --- plateau ------------------------------------------------------------------------------- */

void lurn_lr_plateau_defaults (lurn_lr_plateau *o) {
  lurn_lr_plateau d = {.factor = 0.1, .patience = 10, .threshold = 1e-4, .eps = 1e-8};
  *o = d;
}

void lurn_lr_plateau_reset (const lurn_lr_plateau *o, lurn_lr_plateau_state *s) {
  s->best = o->maximize ? -HUGE_VAL : HUGE_VAL;
  s->bad = 0;
  s->cooling = 0;
}

static int better (const lurn_lr_plateau *o, double metric, double best) {
  double by = o->threshold;
  if (o->maximize) return metric > (o->absolute ? best + by : best * (1 + by));
  return metric < (o->absolute ? best - by : best * (1 - by));
}

static double reduce (const lurn_lr_plateau *o, double lr) {
  double next = lr * o->factor > o->min_lr ? lr * o->factor : o->min_lr;
  return lr - next > o->eps ? next : lr;
}

/* The cool-down is counted before patience is judged, and a report that improves counts towards it
 * as well: PyTorch's order. */
double lurn_lr_plateau_report (const lurn_lr_plateau *o, lurn_lr_plateau_state *s, double metric, double lr) {
  if (better(o, metric, s->best)) {
    s->best = metric;
    s->bad = 0;
  } else {
    s->bad++;
  }
  if (s->cooling > 0) {
    s->cooling--;
    s->bad = 0;
  }
  if (s->bad <= o->patience) return lr;
  s->cooling = o->cooldown;
  s->bad = 0;
  return reduce(o, lr);
}
