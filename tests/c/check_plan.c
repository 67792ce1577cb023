/* check_plan.c: the plan is kept. Between the first and the last training step the engine asks the
 * heap for nothing (every allocation of the process is counted), touches its arena to the last
 * byte of the plan and not one byte beyond it.
 */
#include <string.h>

#include "cell.h"
#include "check.h"
#include "normalise.h"
#include "op.h"
#include "optim.h"
#include "wave.h"

#define CHECK(ok) check(ok, "%s:%d: %s (%s)", __func__, __LINE__, #ok, ctx->message)

/* A sanitizer has an allocator of its own; elsewhere than glibc only the engine's own requests
 * are counted. */
#if defined __GLIBC__ && !defined __SANITIZE_ADDRESS__
static long heap_calls;
extern void *__libc_malloc (size_t n);
extern void *__libc_calloc (size_t n, size_t size);
extern void *__libc_realloc (void *p, size_t n);
void *malloc (size_t n) { heap_calls++; return __libc_malloc(n); }
void *calloc (size_t n, size_t size) { heap_calls++; return __libc_calloc(n, size); }
void *realloc (void *p, size_t n) { heap_calls++; return __libc_realloc(p, n); }
#else
static const long heap_calls = 0;
#endif

enum { V = 65, E = 20, H = 24, T = 17, B = 6, STEPS = 20, GUARD = 4096 };

static void build (lurn_program *p) {
  int one = 1, dim[2] = {V, E};
  lurn_reg x = lurn_input_reg(p, "x", LURN_INDEX, LURN_TIME, 1, &one);
  lurn_reg y = lurn_input_reg(p, "y", LURN_INDEX, LURN_TIME, 1, &one), count;
  lurn_reg table = lurn_param_reg(p, "embedding.W", 2, dim, (lurn_init){LURN_INIT_NORMAL, 0, 1});
  lurn_reg h = lurn_emit(p, LURN_OP_GATHER, table, x, -1, 0, 0, 0, NULL);
  lurn_cell_options o;
  lurn_cell_defaults(&o);
  o.hidden = H;
  o.path = "lstm1";
  h = lurn_cell_layer(p, lurn_cell_find("lstm"), &o, h, 0);
  o.path = "gru1";
  h = lurn_cell_layer(p, lurn_cell_find("gru"), &o, lurn_emit(p, LURN_OP_DROPOUT, h, -1, -1, 0.2, 0, 0, "drop"), 1);
  lurn_reg z = lurn_affine(p, "out", NULL, 1, &(lurn_term){h, "Wo"}, V, "bo", (lurn_init){LURN_INIT_CONSTANT, 0, 0});
  lurn_output_reg(p, "loss", lurn_reduce_loss(p, lurn_loss_cross_entropy(p, z, y), -1, "mean", &count));
}

typedef struct data {
  int32_t live[T + 1], start[T + 2], x[T * B], y[T * B];
  uint64_t seq[B];
  int64_t pos[B];
  lurn_batch b;
} data;

static void make_data (data *d) {
  int32_t length[B];
  memset(d, 0, sizeof *d);
  for (int r = 0; r < B; r++) length[r] = T;
  d->b = (lurn_batch){.T = T, .B = B, .live = d->live, .start = d->start, .seq = d->seq, .pos = d->pos, .nfield = 2};
  d->b.N = lurn_batch_pack(B, length, d->live, d->start);
  for (int n = 0; n < T * B; n++) { d->x[n] = n * 7 % V; d->y[n] = n * 11 % V; }
  d->b.field[0] = (lurn_field){"x", LURN_INDEX, LURN_TIME, 1, d->x};
  d->b.field[1] = (lurn_field){"y", LURN_INDEX, LURN_TIME, 1, d->y};
}

static double train (lurn_ctx *ctx, lurn_wave *w, const lurn_schedule *s, const data *d, real *moment) {
  const lurn_params *t = &w->program->params;
  lurn_optim o;
  double loss = 0, factor;
  lurn_optim_defaults(&o, LURN_RULE_ADAM);
  o.lr = 0.01;
  o.clip_norm = 1;
  for (int step = 1; step <= STEPS; step++) {
    const lurn_moment moment_of = {.seed = 1, .step = (uint64_t)step, .purpose = LURN_PURPOSE_TRAIN};
    lurn_wave_pack(w);
    CHECK(lurn_wave_bind(w, &d->b, &moment_of) == LURN_OK);
    CHECK(lurn_conductor_play(w, 0, s->nunit) == LURN_OK);
    lurn_wave_finish_grads(w);
    loss = *(real *)lurn_wave_output(w, "loss", NULL);
    lurn_optim_clip(ctx, &o, t, NULL, w->grad, &factor);
    lurn_optim_update(ctx, &o, t, NULL, step, factor, w->value, w->grad, moment);
  }
  return loss;
}

static size_t last_touched (const unsigned char *arena, size_t bytes) {
  while (bytes > 0 && arena[bytes - 1] == 0xa5) bytes--;
  return bytes;
}

int main (void) {
  lurn_ctx real_ctx, *ctx = &real_ctx;
  check_heap heap;
  lurn_program source, p;
  lurn_schedule s;
  lurn_wave w;
  lurn_choices c;
  static data d;
  const lurn_variant v = {.grad = 1};
  check_ctx(ctx, &heap);
  lurn_program_init(ctx, &source);
  lurn_program_init(ctx, &p);
  lurn_choices_default(&c);
  make_data(&d);
  build(&source);
  CHECK(lurn_normalise(ctx, &source, &v, &p) == LURN_OK);
  CHECK(lurn_schedule_make(ctx, &p, &c, &s) == LURN_OK);
  const lurn_extent most = {.B = B, .T = {T}, .N = {T * B}};
  CHECK(lurn_wave_plan(ctx, &w, &p, &s, ctx->kernels, &most) == LURN_OK);
  unsigned char *arena = aligned_alloc(LURN_ALIGN, lurn_align(w.bytes + GUARD));
  memset(arena, 0xa5, w.bytes + GUARD);
  lurn_wave_place(&w, arena);
  real *value = calloc(5 * (p.params.count + 1), sizeof *value);
  real *grad = value + p.params.count, *moment = grad + p.params.count;
  CHECK(lurn_params_init(ctx, &p.params, 1, value) == LURN_OK);
  lurn_wave_params(&w, value, grad);
  long before = heap_calls;
  double loss = train(ctx, &w, &s, &d, moment);
  long asked = heap_calls - before;
  check(asked == 0, "%ld heap requests between the first and the last step", asked);
  check(loss > 0 && loss < 4.2, "the loss is %g", loss);
  size_t touched = last_touched(arena, w.bytes + GUARD);
  check(touched <= w.bytes, "byte %zu of a plan of %zu was written", touched, w.bytes);
  /* The strips' scratch lies last, and not every block fills its slots. */
  check(touched + (size_t)s.nslot * w.slot_bytes > w.bytes, "the plan says %zu bytes, %zu were used", w.bytes, touched);
  printf("plan %zu bytes, used to byte %zu, %ld heap requests in %d steps\n", w.bytes, touched, asked, STEPS);
  free(value);
  free(arena);
  lurn_wave_free(&w);
  lurn_schedule_free(ctx, &s);
  lurn_program_free(&p);
  lurn_program_free(&source);
  check(heap.held == 0, "%zu bytes are still held", heap.held);
  return check_done("check_plan");
}
