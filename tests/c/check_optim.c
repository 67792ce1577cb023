/* check_optim.c: every rule against PyTorch's numbers (optim_reference.h) and against the formulas
 * written once more, in double and one element at a time; groups, clipping, padding.
 */
#include "check.h"
#include "kernel.h"
#include "optim.h"
#include "optim_reference.h"
#include "pool.h"

#define COUNT(a) (sizeof (a) / sizeof *(a))
enum { ROOM = 4096 };

static double sum_squares (const real *x, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
  return sum;
}

static const lurn_kernels kernels = {.isa = "check", .sum_squares = sum_squares};

/* A table of vectors named as given, laid out. */
static lurn_params table (lurn_ctx *ctx, int n, const char *const *path, const int *size) {
  lurn_params t = {0};
  lurn_init init = {LURN_INIT_CONSTANT, 0, 0};
  int index;
  for (int i = 0; i < n; i++)
    check(lurn_params_declare(ctx, &t, path[i], 1, &size[i], init, &index) == LURN_OK, "%s", ctx->message);
  lurn_params_layout(&t);
  return t;
}

/* Numbers in (-1, 1) that differ by salt. */
static double noise (int salt, size_t i) {
  return 2 * lurn_random_uniform(lurn_key_make((uint64_t)salt, LURN_PURPOSE_DATA, "optim"), i) - 1;
}

static void fill (const lurn_params *t, int salt, real *x) {
  memset(x, 0, t->count * sizeof *x);
  for (int i = 0; i < t->n; i++)
    for (size_t k = 0; k < t->p[i].count; k++) x[t->p[i].offset + k] = (real)noise(salt + 100 * i, k);
}

/* --- PyTorch ------------------------------------------------------------------------------- */

static void pytorch (lurn_ctx *ctx) {
  static const char *const path[] = {"w"};
  static const int size[] = {REF_N};
  lurn_params t = table(ctx, 1, path, size);
  for (size_t r = 0; r < COUNT(ref_optim); r++) {
    const lurn_optim *o = &ref_optim[r].o;
    real w[64] = {0}, g[64] = {0}, m[3 * 64];
    for (int i = 0; i < REF_N; i++) w[i] = (real)ref_start[i];
    lurn_optim_reset(o, &t, m);
    for (int step = 0; step < REF_STEPS; step++) {
      for (int i = 0; i < REF_N; i++) g[i] = (real)ref_grad[step][i];
      lurn_optim_update(ctx, o, &t, NULL, step + 1, 1, w, g, m);
      for (int i = 0; i < REF_N; i++)
        check(near((double)w[i], ref_optim[r].value[step][i], EITHER(1e-6, 1e-12)),
              "rule %zu step %d element %d: %.17g, PyTorch %.17g",
              r, step + 1, i, (double)w[i], ref_optim[r].value[step][i]);
    }
  }
  lurn_params_free(ctx, &t);
}

/* --- the formulas once more ---------------------------------------------------------------- */

/* One element in double, as the documentation of torch.optim states the rules; the moments in the
 * order of lurn_optim_moment_name. */
static void formula (const lurn_optim *o, double lr, double decay, int t, double *w, double grad, double m[3]) {
  double g = o->rule == LURN_RULE_ADAMW ? grad : grad + decay * *w, d, var;
  int centre = o->momentum != 0 ? 2 : 1;
  switch (o->rule) {
    case LURN_RULE_SGD:
      if (o->momentum != 0) {
        m[0] = t == 1 ? g : o->momentum * m[0] + (1 - o->dampening) * g;
        g = o->nesterov ? g + o->momentum * m[0] : m[0];
      }
      *w -= lr * g;
      break;
    case LURN_RULE_RMSPROP:
      var = m[0] = o->alpha * m[0] + (1 - o->alpha) * g * g;
      if (o->centered) {
        m[centre] = o->alpha * m[centre] + (1 - o->alpha) * g;
        var -= m[centre] * m[centre];
      }
      d = g / (sqrt(fmax(var, 0)) + o->eps);
      if (o->momentum != 0) d = m[1] = o->momentum * m[1] + d;
      *w -= lr * d;
      break;
    case LURN_RULE_ADAGRAD:
      m[0] += g * g;
      *w -= lr / (1 + (t - 1) * o->lr_decay) * g / (sqrt(m[0]) + o->eps);
      break;
    case LURN_RULE_ADADELTA:
      m[0] = o->rho * m[0] + (1 - o->rho) * g * g;
      d = sqrt(m[1] + o->eps) / sqrt(m[0] + o->eps) * g;
      m[1] = o->rho * m[1] + (1 - o->rho) * d * d;
      *w -= lr * d;
      break;
    case LURN_RULE_ADAM: case LURN_RULE_ADAMW:
      if (o->rule == LURN_RULE_ADAMW) *w -= lr * decay * *w;
      m[0] = o->beta1 * m[0] + (1 - o->beta1) * g;
      m[1] = o->beta2 * m[1] + (1 - o->beta2) * g * g;
      *w -= lr * (m[0] / (1 - pow(o->beta1, t))) / (sqrt(m[1] / (1 - pow(o->beta2, t))) + o->eps);
      break;
  }
}

/* Three parameters: the first by the defaults of the group, the second frozen, the third with a rate
 * and decay of its own. */
static const char *const three[] = {"b.x", "c.x", "a.x"};
static const int sizes[] = {37, 16, 129};

static void compare_element (const lurn_optim *o, const lurn_group *group, size_t at, const lurn_params *t,
                             const real *start, const real *value, const real *moment) {
  double w = (double)start[at], m[3] = {0};
  int moments = lurn_optim_moments(o);
  if (o->rule == LURN_RULE_ADAGRAD) m[0] = o->initial_accumulator;
  for (int step = 1; step <= 20; step++)
    formula(o, o->lr * group->lr_scale, group->weight_decay, step, &w, (double)(real)noise(1000 + step, at), m);
  check(near((double)value[at], w, EITHER(3e-5, 1e-13)), "rule %d element %zu: %.17g, formula %.17g",
        o->rule, at, (double)value[at], w);
  for (int k = 0; k < moments; k++)
    check(near((double)moment[(size_t)k * t->count + at], m[k], EITHER(3e-5, 1e-13)), "rule %d moment %d", o->rule, k);
}

static void one_rule (lurn_ctx *ctx, const lurn_params *t, const lurn_optim *o) {
  static real start[ROOM], value[ROOM], grad[ROOM], moment[3 * ROOM], fresh[3 * ROOM];
  lurn_group groups[] = {{1, o->weight_decay, 0}, {1, 0.5, 1}, {0.25, 0.125, 0}};
  int moments = lurn_optim_moments(o);
  fill(t, 7, start);
  memcpy(value, start, sizeof value);
  lurn_optim_reset(o, t, moment);
  memcpy(fresh, moment, sizeof fresh);
  for (int step = 1; step <= 20; step++) {
    for (size_t i = 0; i < t->count; i++) grad[i] = (real)noise(1000 + step, i);
    lurn_optim_update(ctx, o, t, groups, step, 1, value, grad, moment);
  }
  for (int i = 0; i < t->n; i++) {
    const lurn_param *p = &t->p[i];
    size_t end = p->offset + lurn_align(p->count * sizeof(real)) / sizeof(real);
    size_t still = groups[i].frozen ? p->offset : p->offset + p->count;
    for (size_t at = p->offset; at < still; at++) compare_element(o, &groups[i], at, t, start, value, moment);
    check(memcmp(value + still, start + still, (end - still) * sizeof(real)) == 0, "frozen and padding: values");
    for (size_t k = 0; k < (size_t)moments; k++)
      check(memcmp(moment + k * t->count + still, fresh + k * t->count + still, (end - still) * sizeof(real)) == 0, "and moments");
  }
}

static const lurn_optim rules[] = {
  {.rule = LURN_RULE_SGD, .lr = 0.1},
  {.rule = LURN_RULE_SGD, .lr = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.01},
  {.rule = LURN_RULE_SGD, .lr = 0.1, .momentum = 0.7, .nesterov = 1},
  {.rule = LURN_RULE_RMSPROP, .lr = 0.01, .alpha = 0.9, .eps = 0.01},
  {.rule = LURN_RULE_RMSPROP, .lr = 0.01, .alpha = 0.9, .eps = 0.01, .momentum = 0.5},
  {.rule = LURN_RULE_RMSPROP, .lr = 0.01, .alpha = 0.9, .eps = 0.05, .centered = 1},
  {.rule = LURN_RULE_RMSPROP, .lr = 0.01, .alpha = 0.9, .eps = 0.05, .centered = 1, .momentum = 0.5, .weight_decay = 0.1},
  {.rule = LURN_RULE_ADAGRAD, .lr = 0.1, .lr_decay = 0.1, .initial_accumulator = 0.25, .eps = 1e-3},
  {.rule = LURN_RULE_ADADELTA, .lr = 1, .rho = 0.9, .eps = 1e-3, .weight_decay = 0.02},
  {.rule = LURN_RULE_ADAM, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.1},
  {.rule = LURN_RULE_ADAMW, .lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.1},
};

/* The same element alone and inside a long run of a vector loop: the same bits. */
enum { MANY = 70000 };

/* The same bits as when everything is scaled first, however many threads have a share. */
static void one_pass (lurn_ctx *ctx, const lurn_optim *o) {
  static const char *const path[] = {"a", "b"};
  static const int size[] = {MANY - 33, 17};
  static real w[2][MANY], g[2][MANY], m[2][3 * MANY];
  lurn_params t = table(ctx, 2, path, size);
  lurn_optim clipped = *o;
  double factor;
  clipped.clip_norm = 0.5;
  for (int threads = 1; threads <= 3; threads++) {
    for (int k = 0; k < 2; k++) { fill(&t, 11, w[k]); fill(&t, 12, g[k]); lurn_optim_reset(o, &t, m[k]); }
    lurn_optim_clip(ctx, &clipped, &t, NULL, g[0], NULL);
    lurn_optim_update(ctx, &clipped, &t, NULL, 1, 1, w[0], g[0], m[0]);
    ctx->pool = threads > 1 ? lurn_pool_start(ctx, threads) : NULL;
    lurn_optim_clip(ctx, &clipped, &t, NULL, g[1], &factor);
    lurn_optim_update(ctx, &clipped, &t, NULL, 1, factor, w[1], g[1], m[1]);
    lurn_pool_stop(ctx, ctx->pool);
    ctx->pool = NULL;
    check(factor < 1, "there is something to clip");
    check(!memcmp(w[0], w[1], sizeof w[0]) && !memcmp(g[0], g[1], sizeof g[0]) && !memcmp(m[0], m[1], sizeof m[0]),
          "rule %d: clipped and updated in one pass by %d threads", o->rule, threads);
  }
  lurn_params_free(ctx, &t);
}

static void position_does_not_matter (lurn_ctx *ctx, const lurn_optim *o) {
  static const char *const path[] = {"w"};
  static const int size[] = {101}, one[] = {1};
  real w[256] = {0}, g[256] = {0}, m[3 * 256], w1[16] = {0}, g1[16] = {0}, m1[3 * 16];
  lurn_params all = table(ctx, 1, path, size), single = table(ctx, 1, path, one);
  fill(&all, 3, w);
  lurn_optim_reset(o, &all, m);
  for (int step = 1; step <= 3; step++) {
    fill(&all, 20 + step, g);
    lurn_optim_update(ctx, o, &all, NULL, step, 1, w, g, m);
  }
  for (size_t i = 0; i < 101; i++) {
    w1[0] = (real)noise(3, i);
    lurn_optim_reset(o, &single, m1);
    for (int step = 1; step <= 3; step++) {
      g1[0] = (real)noise(20 + step, i);
      lurn_optim_update(ctx, o, &single, NULL, step, 1, w1, g1, m1);
    }
    check(memcmp(&w[i], &w1[0], sizeof *w) == 0, "rule %d: element %zu alone and in a row", o->rule, i);
  }
  lurn_params_free(ctx, &all);
  lurn_params_free(ctx, &single);
}

static void formulas (lurn_ctx *ctx) {
  lurn_params t = table(ctx, 3, three, sizes);
  for (size_t r = 0; r < COUNT(rules); r++) {
    one_rule(ctx, &t, &rules[r]);
    position_does_not_matter(ctx, &rules[r]);
    one_pass(ctx, &rules[r]);
  }
  lurn_params_free(ctx, &t);
}

static void defaults_and_names (void) {
  static const struct { lurn_rule rule; double lr, eps; int moments; const char *last; } want[] = {
    {LURN_RULE_SGD, 1e-3, 0, 0, NULL}, {LURN_RULE_RMSPROP, 1e-2, 1e-8, 1, "square_avg"},
    {LURN_RULE_ADAGRAD, 1e-2, 1e-10, 1, "sum"}, {LURN_RULE_ADADELTA, 1, 1e-6, 2, "acc_delta"},
    {LURN_RULE_ADAM, 1e-3, 1e-8, 2, "exp_avg_sq"}, {LURN_RULE_ADAMW, 1e-3, 1e-8, 2, "exp_avg_sq"},
  };
  lurn_optim o;
  for (size_t i = 0; i < COUNT(want); i++) {
    lurn_optim_defaults(&o, want[i].rule);
    const char *last = lurn_optim_moment_name(&o, want[i].moments - 1);
    check(o.lr == want[i].lr && o.eps == want[i].eps, "defaults of rule %zu", i);
    check(lurn_optim_moments(&o) == want[i].moments, "moments of rule %zu", i);
    check(last == want[i].last || strcmp(last, want[i].last) == 0, "names of rule %zu", i);
    check(lurn_optim_moment_name(&o, want[i].moments) == NULL, "no name past the last");
    check(o.weight_decay == (i == 5 ? 1e-2 : 0), "decay of rule %zu", i);
  }
  lurn_optim_defaults(&o, LURN_RULE_RMSPROP);
  o.centered = 1;
  o.momentum = 0.5;
  check(lurn_optim_moments(&o) == 3 && strcmp(lurn_optim_moment_name(&o, 2), "grad_avg") == 0, "centred, with momentum");
}

/* A constant gradient has variance 0, which rounding makes negative now and then. */
static void centred_stays_finite (lurn_ctx *ctx) {
  static const char *const path[] = {"w"};
  static const int size[] = {50};
  real w[64] = {0}, g[64] = {0}, m[2 * 64];
  lurn_params t = table(ctx, 1, path, size);
  lurn_optim o = {.rule = LURN_RULE_RMSPROP, .lr = 1e-3, .alpha = 0.9, .eps = 1e-8, .centered = 1};
  fill(&t, 5, g);
  lurn_optim_reset(&o, &t, m);
  for (int step = 1; step <= 2000; step++) lurn_optim_update(ctx, &o, &t, NULL, step, 1, w, g, m);
  for (int i = 0; i < 50; i++) check(isfinite((double)w[i]), "element %d is %g", i, (double)w[i]);
  lurn_params_free(ctx, &t);
}

/* --- clipping ------------------------------------------------------------------------------ */

static double clip (lurn_ctx *ctx, const lurn_params *t, const lurn_group *groups, double value, double norm, real *g) {
  lurn_optim o = {.clip_value = value, .clip_norm = norm};
  return lurn_optim_clip(ctx, &o, t, groups, g, NULL);
}

/* What is over the threshold ends on it (not on 1, whatever the threshold), what is under it
 * keeps its bits. */
static void clip_by_norm (lurn_ctx *ctx, const lurn_params *t) {
  static const double limits[] = {0.01, 0.5, 1, 3, 5};
  static real g[ROOM], was[ROOM];
  fill(t, 31, was);
  double norm = lurn_optim_norm(ctx, t, NULL, was);
  for (size_t i = 0; i < COUNT(limits); i++) {
    memcpy(g, was, sizeof g);
    check(clip(ctx, t, NULL, 0, limits[i], g) == norm, "the norm before is returned");
    double now = lurn_optim_norm(ctx, t, NULL, g);
    check(fabs(now / limits[i] - 1) < EITHER(1e-6, 1e-14), "norm %.17g, threshold %g", now, limits[i]);
    for (size_t k = 0; k < t->count; k++)
      check(near((double)g[k], (double)was[k] * (limits[i] / norm), EITHER(1e-7, 1e-15)), "direction kept");
  }
  memcpy(g, was, sizeof g);
  check(clip(ctx, t, NULL, 0, norm, g) == norm && memcmp(g, was, sizeof g) == 0, "at the threshold nothing changes");
  check(clip(ctx, t, NULL, 0, 0, g) == norm && memcmp(g, was, sizeof g) == 0, "0 is off");
}

static void clip_by_value (lurn_ctx *ctx, const lurn_params *t) {
  static real g[ROOM], was[ROOM];
  fill(t, 32, was);
  was[3] = (real)NAN;
  memcpy(g, was, sizeof g);
  clip(ctx, t, NULL, 0.25, 0, g);
  check(isnan((double)g[3]), "a NaN stays");
  for (size_t i = 0; i < t->count; i++)
    check(i == 3 || g[i] == (real)fmax(-0.25, fmin(0.25, (double)was[i])), "element %zu", i);
  fill(t, 32, g);
  double before = clip(ctx, t, NULL, 0.25, 0.5, g);
  check(before > 0.5 && before < 0.25 * sqrt(182) && near(lurn_optim_norm(ctx, t, NULL, g), 0.5, EITHER(1e-6, 1e-14)),
        "value first, then norm: %g", before);
}

/* Layers are runs of blocks in the order of paths, whatever the order of declaration; lstm1 is no part of lstm10. */
static void clip_by_layer (lurn_ctx *ctx) {
  static const char *const paths[] = {"lstm10.b", "lstm1.g.b", "out", "lstm1_reverse.b", "lstm1.b"};
  lurn_params t = {0};
  for (int i = 0, n = 3; i < 5; i++, n += 7)
    lurn_params_declare(ctx, &t, paths[i], 1, &n, (lurn_init){LURN_INIT_CONSTANT, 0, 0}, &(int){0});
  lurn_params_layout(&t);
  real g[400] = {0}, was[400];
  for (int i = 0; i < 5; i++)
    for (size_t k = 0; k < t.p[i].count; k++) g[t.p[i].offset + k] = (real)(i + 1) / (real)(k + 2);
  memcpy(was, g, sizeof g);
  double norm[5], all = lurn_optim_norm(ctx, &t, NULL, g);
  for (int i = 0; i < 5; i++) norm[i] = sqrt(ctx->kernels->sum_squares(was + t.p[i].offset, t.p[i].count));
  norm[1] = norm[4] = hypot(norm[1], norm[4]);
  lurn_optim o = {.clip_layer = 2};
  check(t.count <= 400 && lurn_optim_clip(ctx, &o, &t, NULL, g, NULL) == all, "the global norm before is returned");
  for (int i = 0; i < 5; i++)
    for (size_t k = t.p[i].offset; k < t.p[i].offset + t.p[i].count; k++)
      check(near((double)g[k], (double)was[k] * (norm[i] > 2 ? 2 / norm[i] : 1), EITHER(1e-6, 1e-14)),
            "%s is clipped with its layer", paths[i]);
  check(norm[0] < 2 && norm[1] > 2 && norm[2] > 2 && norm[3] > 2, "some are above the limit, one is not");
  o.clip_norm = 1;
  lurn_optim_clip(ctx, &o, &t, NULL, g, NULL);
  check(near(lurn_optim_norm(ctx, &t, NULL, g), 1, EITHER(1e-6, 1e-14)), "by norm after it");
  lurn_params_free(ctx, &t);
}

static void clip_extremes (lurn_ctx *ctx, const lurn_params *t) {
  static real g[ROOM];
  memset(g, 0, sizeof g);
  check(clip(ctx, t, NULL, 0, 1, g) == 0, "a zero gradient has norm 0");
  g[0] = (real)EITHER(3e38, 1e150);
  g[1] = -g[0];
  clip(ctx, t, NULL, 0, 1e-3, g);
  check(near(lurn_optim_norm(ctx, t, NULL, g) * 1e3, 1, EITHER(1e-6, 1e-14)), "huge gradients are clipped, not lost");
  g[1] = (real)HUGE_VAL;
  check(isinf(clip(ctx, t, NULL, 0, 1, g)) && isinf((double)g[1]), "an infinite norm is reported, not hidden");
  g[1] = (real)NAN;
  check(isnan(clip(ctx, t, NULL, 0, 1, g)), "so is a NaN");
}

static void frozen_gradients (lurn_ctx *ctx, const lurn_params *t) {
  static real g[ROOM], was[ROOM];
  lurn_group groups[] = {{1, 0, 0}, {1, 0, 1}, {1, 0, 0}};
  const lurn_param *p = &t->p[1];
  fill(t, 33, was);
  memcpy(g, was, sizeof g);
  double all = lurn_optim_norm(ctx, t, NULL, g), some = lurn_optim_norm(ctx, t, groups, g);
  check(near(all * all, some * some + sum_squares(g + p->offset, p->count), 1e-14), "the frozen are not counted");
  check(clip(ctx, t, groups, 0.5, 0.1, g) < some, "clipped");
  check(memcmp(g + p->offset, was + p->offset, p->count * sizeof(real)) == 0, "the frozen are not clipped");
}

/* Blocks are added by sorted path, whatever the order of declaration. */
static void norm_order (lurn_ctx *ctx) {
  static const char *const other[] = {"a.x", "b.x", "c.x"};
  static const int size[] = {129, 37, 16};
  static real g[ROOM];
  lurn_params t = table(ctx, 3, three, sizes), u = table(ctx, 3, other, size);
  fill(&t, 34, g);
  check(lurn_optim_norm(ctx, &t, NULL, g) == lurn_optim_norm(ctx, &u, NULL, g), "the same bits in any order");
  lurn_params_free(ctx, &t);
  lurn_params_free(ctx, &u);
}

int main (void) {
  lurn_ctx ctx;
  check_heap heap;
  check_ctx(&ctx, &heap);
  ctx.kernels = &kernels;
  pytorch(&ctx);
  formulas(&ctx);
  defaults_and_names();
  centred_stays_finite(&ctx);
  lurn_params t = table(&ctx, 3, three, sizes);
  clip_by_norm(&ctx, &t);
  clip_by_value(&ctx, &t);
  clip_by_layer(&ctx);
  clip_extremes(&ctx, &t);
  frozen_gradients(&ctx, &t);
  norm_order(&ctx);
  lurn_params_free(&ctx, &t);
  check(heap.held == 0, "%zu bytes were not given back", heap.held);
  return check_done("check_optim");
}
