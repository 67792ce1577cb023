#include "gradcheck.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "normalise.h"
#include "wave.h"

static const double H = 5e-4;

typedef struct work {
  lurn_ctx *ctx;
  lurn_program program;
  lurn_wave wave;
  void *arena;
  size_t arena_bytes;
  real *grad;
  size_t grad_bytes;
} work;

static lurn_status open_work (work *w, lurn_ctx *ctx, const lurn_program *source, const lurn_batch *b,
                              real *value) {
  const lurn_variant v = {.grad = 1};
  lurn_status status;
  memset(w, 0, sizeof *w);
  w->ctx = ctx;
  lurn_program_init(ctx, &w->program);
  if ((status = lurn_normalise(ctx, source, &v, &w->program)) != LURN_OK) return status;
  const lurn_extent most = lurn_extent_of(b);
  if ((status = lurn_wave_plan(ctx, &w->wave, &w->program, NULL, ctx->kernels, &most)) != LURN_OK) return status;
  w->arena_bytes = w->wave.bytes + LURN_ALIGN;
  w->grad_bytes = sizeof(real) * (w->program.params.count + 1);
  w->arena = lurn_realloc(ctx, NULL, 0, w->arena_bytes);
  w->grad = lurn_realloc(ctx, NULL, 0, w->grad_bytes);
  if (!w->arena || !w->grad) return LURN_ENOMEM;
  lurn_wave_place(&w->wave, (void *)(((uintptr_t)w->arena + LURN_ALIGN - 1) & ~(uintptr_t)(LURN_ALIGN - 1)));
  lurn_wave_params(&w->wave, value, w->grad);
  return LURN_OK;
}

static void close_work (work *w) {
  lurn_free(w->ctx, w->arena, w->arena_bytes);
  lurn_free(w->ctx, w->grad, w->grad_bytes);
  lurn_wave_free(&w->wave);
  lurn_program_free(&w->program);
}

static double loss_at (work *w, real *x, double to) {
  *x = (real)to;
  lurn_twin_play(&w->wave, 0, w->program.forward);
  return *(const real *)lurn_wave_output(&w->wave, "loss", NULL);
}

static double difference (work *w, real *x) {
  double at = *x;
  double near = loss_at(w, x, at + H) - loss_at(w, x, at - H);
  double far = loss_at(w, x, at + 2 * H) - loss_at(w, x, at - 2 * H);
  *x = (real)at;
  return (8 * near - far) / (12 * H);
}

static void check_element (work *w, const lurn_param *p, size_t k, double loss, lurn_gradcheck_result *r) {
  double analytic = w->grad[p->offset + k], numeric = difference(w, w->wave.value + p->offset + k);
  double size = fmax(fmax(fabs(analytic), fabs(numeric)), 1e-5 * fmax(1, fabs(loss)));
  double error = fabs(analytic - numeric) / size;
  r->checked++;
  if (error <= r->worst) return;
  r->worst = error;
  r->index = k;
  r->analytic = analytic;
  r->numeric = numeric;
  snprintf(r->path, sizeof r->path, "%s", p->path);
}

lurn_status lurn_gradcheck (lurn_ctx *ctx, const lurn_program *source, const lurn_batch *batch, real *value,
                            size_t most, uint64_t seed, lurn_gradcheck_result *r) {
  const lurn_moment moment = {.seed = seed, .purpose = LURN_PURPOSE_TRAIN};
  work w;
  memset(r, 0, sizeof *r);
  lurn_status status = open_work(&w, ctx, source, batch, value);
  if (status == LURN_OK) status = lurn_wave_bind(&w.wave, batch, &moment);
  if (status == LURN_OK) status = lurn_twin_play(&w.wave, 0, w.program.ninstr);
  if (status == LURN_OK) {
    lurn_wave_finish_grads(&w.wave);
    double loss = *(const real *)lurn_wave_output(&w.wave, "loss", NULL);
    for (int k = 0; k < w.program.params.n; k++) {
      const lurn_param *p = &w.program.params.p[k];
      lurn_key key = lurn_key_make(seed, LURN_PURPOSE_SEARCH, p->path);
      size_t n = most && most < p->count ? most : p->count;
      for (size_t j = 0; j < n; j++)
        check_element(&w, p, n == p->count ? j : (size_t)lurn_random_below(key, j, p->count), loss, r);
    }
    if (lurn_stopped(ctx)) status = lurn_fail(ctx, LURN_EINTR, "interrupted");
  }
  close_work(&w);
  return status;
}
