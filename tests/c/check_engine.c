/* check_engine.c: the engine on the built-in cells: gradient checks (f64), and the schedule against
 * the naive twin, bit for bit, on the same programs. */
#include <stdlib.h>
#include <string.h>

#include "cell.h"
#include "check.h"
#include "gradcheck.h"
#include "normalise.h"
#include "op.h"
#include "wave.h"

#define CHECK(ok) check(ok, "%s:%d: %s (%s)", __func__, __LINE__, #ok, ctx->message)

enum { V = 11, E = 5, H = 7, ROWS = 4 };

static const int32_t lengths[ROWS] = {6, 5, 5, 2};

typedef struct data {
  int32_t live[8], start[9], x[32], y[32];
  uint64_t seq[ROWS];
  int64_t pos[ROWS];
  lurn_batch b;
} data;

static void make_data (data *d) {
  memset(d, 0, sizeof *d);
  d->b = (lurn_batch){.T = lengths[0], .B = ROWS, .live = d->live, .start = d->start, .seq = d->seq,
      .pos = d->pos, .nfield = 2};
  d->b.N = lurn_batch_pack(ROWS, lengths, d->live, d->start);
  for (int k = 0; k < d->b.N; k++) { d->x[k] = (k * 7 + 3) % V; d->y[k] = k == 5 ? -1 : (k * 5 + 1) % V; }
  for (int r = 0; r < ROWS; r++) d->seq[r] = (uint64_t)r;
  d->b.field[0] = (lurn_field){"x", LURN_INDEX, LURN_TIME, 1, d->x};
  d->b.field[1] = (lurn_field){"y", LURN_INDEX, LURN_TIME, 1, d->y};
}

static void build (lurn_program *p, const char *cell, const char *activation, int layers, int reverse) {
  int one = 1, dim[2] = {V, E};
  lurn_reg x = lurn_input_reg(p, "x", LURN_INDEX, LURN_TIME, 1, &one);
  lurn_reg y = lurn_input_reg(p, "y", LURN_INDEX, LURN_TIME, 1, &one);
  lurn_reg e = lurn_emit(p, LURN_OP_GATHER, lurn_param_reg(p, "embedding.W", 2, dim,
                                                           (lurn_init){LURN_INIT_NORMAL, 0, 1}), x, -1, 0, 0, 0,
                                                               NULL);
  e = lurn_emit(p, LURN_OP_DROPOUT, e, -1, -1, 0.25, 0, 0, "embedding.dropout");
  for (int k = 0; k < layers; k++) {
    lurn_cell_options o;
    char path[32];
    lurn_cell_defaults(&o);
    snprintf(path, sizeof path, "%s%d", cell, k + 1);
    o.path = path;
    o.hidden = H;
    o.activation = activation;
    o.reset_after = k % 2;
    e = lurn_cell_layer(p, lurn_cell_find(cell), &o, e, reverse && k % 2);
  }
  lurn_reg z = lurn_affine(p, "out", NULL, 1, &(lurn_term){e, "Wo"}, V, "bo",
                           (lurn_init){LURN_INIT_CONSTANT, 0.1, 0});
  lurn_reg count, live = lurn_emit(p, LURN_OP_LIVE, y, -1, -1, 0, 0, 0, NULL);
  lurn_output_reg(p, "loss", lurn_reduce_loss(p, lurn_loss_cross_entropy(p, z, y), live, "mean", &count));
  lurn_output_reg(p, "out", z);
  lurn_output_reg(p, "weight", count);
}

typedef struct played { real *grad; real loss; lurn_program p; } played;

/* schedule NULL: the twin, with the reference kernels. */
static void play (lurn_ctx *ctx, const lurn_program *source, const lurn_variant *v, const lurn_choices *c,
                  const lurn_kernels *k, real *value, const data *d, played *out) {
  lurn_schedule s;
  lurn_wave w;
  const lurn_moment moment = {.seed = 3, .step = 5, .purpose = LURN_PURPOSE_TRAIN};
  const lurn_extent most = lurn_extent_of(&d->b);
  lurn_program_init(ctx, &out->p);
  CHECK(lurn_normalise(ctx, source, v, &out->p) == LURN_OK);
  if (c) CHECK(lurn_schedule_make(ctx, &out->p, c, &s) == LURN_OK);
  CHECK(lurn_wave_plan(ctx, &w, &out->p, c ? &s : NULL, k, &most) == LURN_OK);
  void *arena = aligned_alloc(LURN_ALIGN, w.bytes + LURN_ALIGN);
  memset(arena, 0xff, w.bytes);
  lurn_wave_place(&w, arena);
  out->grad = calloc(out->p.params.count, sizeof(real));
  lurn_wave_params(&w, value, out->grad);
  lurn_wave_pack(&w);
  CHECK(lurn_wave_bind(&w, &d->b, &moment) == LURN_OK);
  CHECK((c ? lurn_conductor_play(&w, 0, s.nunit) : lurn_twin_play(&w, 0, out->p.ninstr)) == LURN_OK);
  lurn_wave_finish_grads(&w);
  out->loss = *(real *)lurn_wave_output(&w, "loss", NULL);
  free(arena);
  lurn_wave_free(&w);
  if (c) lurn_schedule_free(ctx, &s);
}

static void check_cell (lurn_ctx *ctx, const char *cell, const char *activation, int layers, int reverse) {
  const lurn_variant v = {.grad = 1};
  lurn_program source;
  data d;
  played twin, fast;
  make_data(&d);
  lurn_program_init(ctx, &source);
  build(&source, cell, activation, layers, reverse);
  CHECK(lurn_program_status(&source) == LURN_OK);
  if (source.status != LURN_OK) { printf("%s\n", source.error); return; }
  lurn_params_layout(&source.params);
  real *value = calloc(source.params.count, sizeof *value);
  CHECK(lurn_params_init(ctx, &source.params, 1, value) == LURN_OK);
  play(ctx, &source, &v, NULL, lurn_kernels_find("c"), value, &d, &twin);
  for (uint64_t dice = 0; dice < 12; dice++) {
    lurn_choices c;
    if (dice) lurn_choices_random(&c, dice); else lurn_choices_default(&c);
    for (const char *const *isa = lurn_kernels_list(); *isa; isa++) {
      play(ctx, &source, &v, &c, lurn_kernels_find(*isa), value, &d, &fast);
      CHECK(memcmp(&twin.loss, &fast.loss, sizeof(real)) == 0);
      CHECK(memcmp(twin.grad, fast.grad, sizeof(real) * source.params.count) == 0);
      free(fast.grad);
      lurn_program_free(&fast.p);
    }
  }
#ifdef LURN_F64
  lurn_gradcheck_result r;
  CHECK(lurn_gradcheck(ctx, &source, &d.b, value, 0, 3, &r) == LURN_OK);
  check(r.worst < 1e-6, "%s %s: %g at %s[%zu]: %.12g, %.12g", cell, activation, r.worst, r.path, r.index,
        r.analytic, r.numeric);
#endif
  free(value);
  free(twin.grad);
  lurn_program_free(&twin.p);
  lurn_program_free(&source);
}

/* Where there is one step, what is known per row may be asked for per step; on another axis, or once, it may not. */
static void check_axes (lurn_ctx *ctx) {
  static const struct { int have, want, fits; } rows[] = {
    {LURN_ROW, LURN_TIME, 1}, {LURN_TIME, LURN_ROW, 1}, {LURN_ROW, LURN_ROW, 1}, {LURN_ROW2, LURN_ONCE, 0},
    {LURN_ROW2, LURN_TIME, 0}, {LURN_TIME, LURN_ONCE, 0}, {LURN_ROW2, LURN_ROW2, 1}};
  static const int32_t length[2] = {1, 1};
  static const real values[2] = {1, 2};
  int one = 1;
  for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
    int32_t live[1], start[2];
    lurn_batch second = {.T = 1, .B = 2, .N = 2, .live = live, .start = start}, b = second;
    const lurn_moment moment = {.purpose = LURN_PURPOSE_TRAIN};
    lurn_program p;
    lurn_wave w;
    lurn_batch_pack(2, length, live, start);
    b.along[0] = &second;
    b.nfield = 1;
    b.field[0] = (lurn_field){"x", LURN_REAL, rows[k].have, 1, values};
    lurn_program_init(ctx, &p);
    lurn_output_reg(&p, "x", lurn_input_reg(&p, "x", LURN_REAL, rows[k].want, 1, &one));
    const lurn_extent most = lurn_extent_of(&b);
    CHECK(lurn_wave_plan(ctx, &w, &p, NULL, ctx->kernels, &most) == LURN_OK);
    check((lurn_wave_bind(&w, &b, &moment) == LURN_OK) == rows[k].fits, "%s for %s: %s", lurn_axis_names[rows[k].have],
          lurn_axis_names[rows[k].want], ctx->message);
    lurn_wave_free(&w);
    lurn_program_free(&p);
  }
}

int main (void) {
  check_heap heap;
  lurn_ctx ctx;
  check_ctx(&ctx, &heap);
  check_cell(&ctx, "rnn", "tanh", 1, 0);
  check_cell(&ctx, "rnn", "tanh", 2, 1);
  check_cell(&ctx, "lstm", "tanh", 1, 0);
  check_cell(&ctx, "lstm", "tanh", 2, 1);
  check_cell(&ctx, "gru", "tanh", 3, 1);
  for (const char *const *a = lurn_activation_list(); *a; a++) check_cell(&ctx, "rnn", *a, 1, 0);
  check_axes(&ctx);
  return check_done("check_engine");
}
