/* check_lr.c: schedules against PyTorch's (optim_reference.h), warm-up, misuse. */
#include "check.h"
#include "lr.h"
#include "optim.h"
#include "optim_reference.h"

static const lurn_lr step_lr = {.kind = LURN_LR_STEP, .base = 0.4, .gamma = 0.6, .every = 5};
static const lurn_lr exponential = {.kind = LURN_LR_EXPONENTIAL, .base = 0.4, .gamma = 0.93};
static const lurn_lr cosine = {.kind = LURN_LR_COSINE, .base = 0.4, .low = 0.05, .total = REF_RATES};
static const lurn_lr constant = {.kind = LURN_LR_CONSTANT, .base = 0.4};

/* As PyTorch's; and, behind a warm-up, the same curve later. */
static void follows (const char *name, lurn_lr s, const double *want) {
  for (int64_t k = 0; k < REF_RATES; k++)
    check(near(lurn_lr_at(&s, k + 1), want[k], 1e-14), "%s at %d: %.17g", name, (int)k + 1, lurn_lr_at(&s, k + 1));
  s.warmup = 8;
  s.total += 8;
  for (int64_t k = 1; k <= 8; k++) check(near(lurn_lr_at(&s, k), 0.4 * (double)k / 8, 1e-15), "%s warms up", name);
  for (int64_t k = 0; k < REF_RATES; k++) check(near(lurn_lr_at(&s, k + 9), want[k], 1e-14), "%s after warm-up", name);
}

static void ends (void) {
  check(lurn_lr_at(&constant, 1) == 0.4 && lurn_lr_at(&constant, 1000000) == 0.4, "constant");
  check(lurn_lr_at(&cosine, REF_RATES + 1) == 0.05 && lurn_lr_at(&cosine, 1000000) == 0.05, "cosine stays low");
  check(near(lurn_lr_at(&cosine, 1 + REF_RATES / 2), 0.225, 1e-15), "cosine is half way in the middle");
  check(lurn_lr_at(&exponential, INT64_MAX) == 0, "exponential vanishes");
}

static void plateau (const char *name, lurn_lr_plateau o, double sign, const double *want) {
  lurn_lr_plateau_state s;
  double lr = 0.4;
  lurn_lr_plateau_reset(&o, &s);
  for (int k = 0; k < REF_RATES; k++) {
    lr = lurn_lr_plateau_report(&o, &s, sign * ref_metric[k], lr);
    check(near(lr, want[k], 1e-15), "plateau %s at %d: %.17g, PyTorch %.17g", name, k, lr, want[k]);
  }
}

static void plateaus (void) {
  lurn_lr_plateau o;
  lurn_lr_plateau_state s;
  lurn_lr_plateau_defaults(&o);
  check(o.factor == 0.1 && o.patience == 10 && o.threshold == 1e-4 && o.eps == 1e-8 && !o.maximize, "defaults");
  lurn_lr_plateau_reset(&o, &s);
  o.patience = 0;
  check(lurn_lr_plateau_report(&o, &s, (double)NAN, 1) == 0.1, "a NaN is no improvement");
  check(lurn_lr_plateau_report(&o, &s, (double)NAN, 1e-9) == 1e-9, "a change below eps is not made");
  plateau("min", (lurn_lr_plateau){.factor = 0.5, .patience = 2, .threshold = 0.01, .cooldown = 2, .min_lr = 0.03, .eps = 1e-8},
          1, ref_plateau_min);
  plateau("max", (lurn_lr_plateau){.maximize = 1, .factor = 0.3, .patience = 1, .threshold = 0.05,
                             .absolute = 1, .cooldown = 1, .eps = 1e-8},
          -1, ref_plateau_max);
}

static void refused (lurn_lr s, const char *say) {
  lurn_ctx ctx;
  check_heap heap;
  check_ctx(&ctx, &heap);
  check(lurn_lr_check(&ctx, &s) == LURN_EINVAL && strstr(ctx.message, say), "expected '%s', got '%s'", say, ctx.message);
}

static void misuse (void) {
  lurn_ctx ctx;
  check_heap heap;
  check_ctx(&ctx, &heap);
  check(!lurn_lr_check(&ctx, &step_lr) && !lurn_lr_check(&ctx, &cosine) && !lurn_lr_check(&ctx, &constant), "good ones pass");
  refused((lurn_lr){.base = (double)NAN}, "learning rate");
  refused((lurn_lr){.base = 1, .warmup = -1}, "warmup");
  refused((lurn_lr){.kind = LURN_LR_EXPONENTIAL, .base = 1}, "gamma");
  refused((lurn_lr){.kind = LURN_LR_STEP, .base = 1, .gamma = 0.5}, "every");
  refused((lurn_lr){.kind = LURN_LR_COSINE, .base = 1, .warmup = 5, .total = 5}, "total");
  refused((lurn_lr){.kind = LURN_LR_COSINE, .base = 1, .total = 5, .low = -1}, "low");
}

int main (void) {
  follows("step", step_lr, ref_step);
  follows("exponential", exponential, ref_exponential);
  follows("cosine", cosine, ref_cosine);
  ends();
  plateaus();
  misuse();
  return check_done("check_lr");
}
