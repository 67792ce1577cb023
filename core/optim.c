/* optim.c: the update rules of torch.optim, one loop each.
 *
 * In the formulas g is the gradient with L2 decay added, w the value, lr the rate of the group.
 * Scalars are prepared in double and rounded once; elements are computed in `real`, one rounding
 * per operation (no contraction), which a vector unit does with the same bits as a scalar one.
 */
#include "optim.h"
#include "kernel.h"
#include "pool.h"
#include "portable.h"

#include <float.h>
#include <math.h>
#include <string.h>

#ifdef LURN_F64
#define root sqrt
#else
#define root sqrtf
#endif

/* --- options ------------------------------------------------------------------------------- */

void lurn_optim_defaults (lurn_optim *o, lurn_rule rule) {
  static const double lr[] = {1e-3, 1e-2, 1e-2, 1.0, 1e-3, 1e-3};
  static const double eps[] = {0, 1e-8, 1e-10, 1e-6, 1e-8, 1e-8};
  memset(o, 0, sizeof *o);
  o->rule = rule;
  o->lr = lr[rule];
  o->eps = eps[rule];
  o->alpha = 0.99;
  o->rho = 0.9;
  o->beta1 = 0.9;
  o->beta2 = 0.999;
  o->weight_decay = rule == LURN_RULE_ADAMW ? 1e-2 : 0;
}

/* Only what the options use is stored: a list per rule, in the order of torch's own state. */
static int moment_names (const lurn_optim *o, const char *name[3]) {
  int n = 0;
  switch (o->rule) {
    case LURN_RULE_SGD:
      if (o->momentum != 0) name[n++] = "momentum_buffer";
      break;
    case LURN_RULE_RMSPROP:
      name[n++] = "square_avg";
      if (o->momentum != 0) name[n++] = "momentum_buffer";
      if (o->centered) name[n++] = "grad_avg";
      break;
    case LURN_RULE_ADAGRAD:
      name[n++] = "sum";
      break;
    case LURN_RULE_ADADELTA:
      name[n++] = "square_avg";
      name[n++] = "acc_delta";
      break;
    case LURN_RULE_ADAM: case LURN_RULE_ADAMW:
      name[n++] = "exp_avg";
      name[n++] = "exp_avg_sq";
      break;
  }
  return n;
}

int lurn_optim_moments (const lurn_optim *o) {
  const char *name[3];
  return moment_names(o, name);
}

const char *lurn_optim_moment_name (const lurn_optim *o, int i) {
  const char *name[3];
  return i >= 0 && i < moment_names(o, name) ? name[i] : NULL;
}

/* Padding stays zero whatever the accumulator starts from. */
void lurn_optim_reset (const lurn_optim *o, const lurn_params *t, real *moment) {
  memset(moment, 0, (size_t)lurn_optim_moments(o) * t->count * sizeof *moment);
  if (o->rule != LURN_RULE_ADAGRAD) return;
  for (int i = 0; i < t->n; i++)
    for (size_t k = 0; k < t->p[i].count; k++) moment[t->p[i].offset + k] = (real)o->initial_accumulator;
}

/* --- clipping ------------------------------------------------------------------------------ */

/* Blocks lie one after the other in the order of paths, so the next one is the one that starts
 * where this one ends; tables are mostly declared in nearly that order. */
static int block_at (const lurn_params *t, size_t offset, int guess) {
  for (int k = 0; k < t->n; k++) {
    int i = (guess + k) % t->n;
    if (t->p[i].offset == offset) return i;
  }
  return -1;
}

static int is_frozen (const lurn_group *groups, int i) {
  return groups && groups[i].frozen;
}

static size_t block_end (const lurn_params *t, int i) {
  return t->p[i].offset + lurn_align(t->p[i].count * sizeof(real)) / sizeof(real);
}

double lurn_optim_norm (const lurn_ctx *ctx, const lurn_params *t, const lurn_group *groups, const real *grad) {
  double sum = 0;
  int i = 0;
  for (size_t at = 0; at < t->count; at = block_end(t, i)) {
    i = block_at(t, at, i);
    if (!is_frozen(groups, i)) sum += ctx->kernels->sum_squares(grad + at, t->p[i].count);
  }
  return sqrt(sum);
}

/* A NaN stays what it is: both comparisons are false. */
static void clip_value (real *g, size_t n, double limit) {
  real high = (real)limit, low = -high;
  for (size_t i = 0; i < n; i++) {
    real a = g[i] > high ? high : g[i];
    g[i] = a < low ? low : a;
  }
}

/* In double: a scale for huge gradients may be below what a float can hold. */
static void scale (real *g, size_t n, double k) {
  for (size_t i = 0; i < n; i++) g[i] = (real)((double)g[i] * k);
}

/* Whether a norm is to be brought down to c. An infinite one has no direction left to keep, and is left to the
 * caller's check for non-finite numbers. */
static int too_large (double norm, double c) { return c > 0 && norm > c && norm <= DBL_MAX; }

static int same_layer (const char *a, const char *b) {
  size_t n = strcspn(a, ".");
  return n == strcspn(b, ".") && memcmp(a, b, n) == 0;
}

/* The blocks that begin in [from, to). */
static void scale_blocks (const lurn_params *t, const lurn_group *groups, size_t from, size_t to, real *grad, double k) {
  for (int i = 0; i < t->n; i++)
    if (!is_frozen(groups, i) && t->p[i].offset >= from && t->p[i].offset < to)
      scale(grad + t->p[i].offset, t->p[i].count, k);
}

/* Parameters of a layer lie side by side in the order of paths. */
static void clip_layers (const lurn_ctx *ctx, double c, const lurn_params *t, const lurn_group *groups, real *grad) {
  double sum = 0;
  int i = 0;
  for (size_t from = 0, at = 0; at < t->count; ) {
    i = block_at(t, at, i);
    if (!is_frozen(groups, i)) sum += ctx->kernels->sum_squares(grad + at, t->p[i].count);
    at = block_end(t, i);
    if (at < t->count && same_layer(t->p[i].path, t->p[block_at(t, at, i)].path)) continue;
    if (too_large(sqrt(sum), c)) scale_blocks(t, groups, from, at, grad, c / sqrt(sum));
    from = at;
    sum = 0;
  }
}

/* Pascanu et al. 2013: g := g c / |g| where |g| > c; of a layer, of everything. */
double lurn_optim_clip (const lurn_ctx *ctx, const lurn_optim *o, const lurn_params *t,
                        const lurn_group *groups, real *grad, double *factor) {
  for (int i = 0; o->clip_value > 0 && i < t->n; i++)
    if (!is_frozen(groups, i)) clip_value(grad + t->p[i].offset, t->p[i].count, o->clip_value);
  double norm = lurn_optim_norm(ctx, t, groups, grad), left = norm;
  if (o->clip_layer > 0) {
    clip_layers(ctx, o->clip_layer, t, groups, grad);
    left = lurn_optim_norm(ctx, t, groups, grad);
  }
  double k = too_large(left, o->clip_norm) ? o->clip_norm / left : 1;
  if (factor) *factor = k;
  else if (k != 1) scale_blocks(t, groups, 0, t->count, grad, k);
  return norm;
}

/* --- rules --------------------------------------------------------------------------------- */

/* One parameter's share of the flat arrays, with the rate and decay of its group. */
typedef struct span {
  size_t n;
  real *w;                      /* (n) */
  const real *g;                /* (n) */
  real *m[3];                   /* (n) each */
  double lr, decay;
  int64_t step;
} span;

/* SGD (torch.optim.SGD; Nesterov's form of Sutskever et al. 2013):
 *   b := momentum b + (1 - dampening) g, at the first step b := g
 *   w := w - lr (nesterov ? g + momentum b : b)                                              */
static void sgd_momentum (const lurn_optim *o, const span *s) {
  real *restrict w = s->w, *restrict b = s->m[0];
  const real *restrict grad = s->g;
  real lr = (real)s->lr, decay = (real)s->decay, keep = (real)o->momentum;
  real add = (real)(s->step == 1 ? 1 : 1 - o->dampening);
  real own = o->nesterov ? 1 : 0, ahead = o->nesterov ? keep : 1;
  for (size_t i = 0; i < s->n; i++) {
    real g = grad[i] + decay * w[i];
    b[i] = keep * b[i] + add * g;
    w[i] -= lr * (own * g + ahead * b[i]);
  }
}

static void sgd (const lurn_optim *o, const span *s) {
  real *restrict w = s->w;
  const real *restrict grad = s->g;
  real lr = (real)s->lr, decay = (real)s->decay;
  if (o->momentum != 0) {
    sgd_momentum(o, s);
    return;
  }
  for (size_t i = 0; i < s->n; i++) w[i] -= lr * (grad[i] + decay * w[i]);
}

/* RMSprop (Tieleman & Hinton 2012; centred as in Graves 2013; torch.optim.RMSprop):
 *   v := alpha v + (1 - alpha) g^2       centred: a := alpha a + (1 - alpha) g, v' = v - a^2
 *   d = g / (sqrt(v') + eps)             momentum: b := momentum b + d, d = b
 *   w := w - lr d
 * v' is a variance and rounding alone makes it negative, where the root would be NaN: it is taken
 * as 0 there. The flags are constants in each call below, so that every loop is free of branches. */
static inline void rmsprop_loop (const lurn_optim *o, const span *s, int momentum, int centered) {
  real *restrict w = s->w, *restrict v = s->m[0], *restrict b = s->m[1];
  real *restrict a = s->m[momentum ? 2 : 1];
  const real *restrict grad = s->g;
  real lr = (real)s->lr, decay = (real)s->decay, eps = (real)o->eps, push = (real)o->momentum;
  real keep = (real)o->alpha, add = (real)(1 - o->alpha);
  for (size_t i = 0; i < s->n; i++) {
    real g = grad[i] + decay * w[i], var;
    var = v[i] = keep * v[i] + add * (g * g);
    if (centered) {
      a[i] = keep * a[i] + add * g;
      var -= a[i] * a[i];
      var = var < 0 ? 0 : var;
    }
    real d = g / (root(var) + eps);
    if (momentum) d = b[i] = push * b[i] + d;
    w[i] -= lr * d;
  }
}

static void rmsprop (const lurn_optim *o, const span *s) {
  if (o->momentum != 0 && o->centered) rmsprop_loop(o, s, 1, 1);
  else if (o->momentum != 0) rmsprop_loop(o, s, 1, 0);
  else if (o->centered) rmsprop_loop(o, s, 0, 1);
  else rmsprop_loop(o, s, 0, 0);
}

/* Adagrad (Duchi et al. 2011; torch.optim.Adagrad):
 *   v := v + g^2
 *   w := w - lr / (1 + (step - 1) lr_decay) g / (sqrt(v) + eps)                              */
static void adagrad (const lurn_optim *o, const span *s) {
  real *restrict w = s->w, *restrict v = s->m[0];
  const real *restrict grad = s->g;
  real lr = (real)(s->lr / (1 + (double)(s->step - 1) * o->lr_decay));
  real decay = (real)s->decay, eps = (real)o->eps;
  for (size_t i = 0; i < s->n; i++) {
    real g = grad[i] + decay * w[i];
    v[i] += g * g;
    w[i] -= lr * (g / (root(v[i]) + eps));
  }
}

/* Adadelta (Zeiler 2012; torch.optim.Adadelta):
 *   v := rho v + (1 - rho) g^2           d = sqrt(u + eps) / sqrt(v + eps) g
 *   u := rho u + (1 - rho) d^2           w := w - lr d                                       */
static void adadelta (const lurn_optim *o, const span *s) {
  real *restrict w = s->w, *restrict v = s->m[0], *restrict u = s->m[1];
  const real *restrict grad = s->g;
  real lr = (real)s->lr, decay = (real)s->decay, eps = (real)o->eps;
  real keep = (real)o->rho, add = (real)(1 - o->rho);
  for (size_t i = 0; i < s->n; i++) {
    real g = grad[i] + decay * w[i];
    v[i] = keep * v[i] + add * (g * g);
    real d = root(u[i] + eps) / root(v[i] + eps) * g;
    u[i] = keep * u[i] + add * (d * d);
    w[i] -= lr * d;
  }
}

/* Adam (Kingma & Ba 2015) and AdamW (Loshchilov & Hutter 2019); torch.optim.Adam, AdamW:
 *   AdamW decays first and apart from the gradient: w := w (1 - lr decay), g without decay
 *   m := beta1 m + (1 - beta1) g          v := beta2 v + (1 - beta2) g^2
 *   w := w - lr / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps)                */
static void adam (const lurn_optim *o, const span *s) {
  real *restrict w = s->w, *restrict m = s->m[0], *restrict v = s->m[1];
  const real *restrict grad = s->g;
  int apart = o->rule == LURN_RULE_ADAMW;
  real shrink = (real)(apart ? 1 - s->lr * s->decay : 1), decay = (real)(apart ? 0 : s->decay);
  real rate = (real)(s->lr / (1 - lurn_portable_power(o->beta1, s->step)));
  real level = (real)(1 / sqrt(1 - lurn_portable_power(o->beta2, s->step)));
  real keep1 = (real)o->beta1, add1 = (real)(1 - o->beta1);
  real keep2 = (real)o->beta2, add2 = (real)(1 - o->beta2), eps = (real)o->eps;
  for (size_t i = 0; i < s->n; i++) {
    real g = grad[i] + decay * w[i];
    m[i] = keep1 * m[i] + add1 * g;
    v[i] = keep2 * v[i] + add2 * (g * g);
    w[i] = w[i] * shrink - rate * (m[i] / (root(v[i]) * level + eps));
  }
}

static void apply (const lurn_optim *o, const span *s) {
  switch (o->rule) {
    case LURN_RULE_SGD:      sgd(o, s); break;
    case LURN_RULE_RMSPROP:  rmsprop(o, s); break;
    case LURN_RULE_ADAGRAD:  adagrad(o, s); break;
    case LURN_RULE_ADADELTA: adadelta(o, s); break;
    case LURN_RULE_ADAM: case LURN_RULE_ADAMW: adam(o, s); break;
  }
}

/* Elements that are scaled and then used at once, while they are near. */
enum { NEAR = 4096 };
/* From how many elements on other threads are woken. */
enum { WORTH = 1 << 16 };

typedef struct update {
  const lurn_optim *o;
  const lurn_params *t;
  const lurn_group *groups;
  int64_t step;
  double factor;
  real *value, *grad, *moment;
} update;

/* Elements [from, to) of the flat arrays, which belong to parameter i. */
static void update_span (const update *u, int i, size_t from, size_t to) {
  const lurn_group *g = u->groups ? &u->groups[i] : NULL;
  span s = {.step = u->step, .lr = g ? u->o->lr * g->lr_scale : u->o->lr,
            .decay = g ? g->weight_decay : u->o->weight_decay};
  for (size_t at = from, n; at < to; at += n) {
    n = u->factor != 1 && to - at > NEAR ? NEAR : to - at;
    if (u->factor != 1) scale(u->grad + at, n, u->factor);
    s.n = n;
    s.w = u->value + at;
    s.g = u->grad + at;
    for (int k = 0; k < lurn_optim_moments(u->o); k++) s.m[k] = u->moment + (size_t)k * u->t->count + at;
    apply(u->o, &s);
  }
}

/* A share of the flat arrays: every element is a matter of its own. */
static void update_part (void *arg, int part, int parts) {
  const update *u = arg;
  size_t count = u->t->count, from = count * (size_t)part / (size_t)parts, to = count * (size_t)(part + 1) / (size_t)parts;
  for (int i = 0; i < u->t->n; i++) {
    size_t first = u->t->p[i].offset, end = first + u->t->p[i].count;
    if (is_frozen(u->groups, i) || first >= to || end <= from) continue;
    update_span(u, i, first > from ? first : from, end < to ? end : to);
  }
}

void lurn_optim_update (const lurn_ctx *ctx, const lurn_optim *o, const lurn_params *t, const lurn_group *groups,
                        int64_t step, double factor, real *value, real *grad, real *moment) {
  update u = {o, t, groups, step, factor, value, grad, moment};
  if (ctx->pool && t->count >= WORTH) lurn_pool_run(ctx->pool, update_part, &u);
  else update_part(&u, 0, 1);
}
