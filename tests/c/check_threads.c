/* check_threads.c: layers wide enough that threads share their columns (sharing.h), under one, two and three threads and
 * every instruction set, against the naive twin: the same bits. One wave plays batches of several shapes, each of
 * which is shared in its own way. And threads that meet again and again, with a processor each or not; and a fork, which has none of them.
 */
#define _POSIX_C_SOURCE 200809L      /* fork */

#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cell.h"
#include "check.h"
#include "normalise.h"
#include "op.h"
#include "pool.h"
#include "sharing.h"
#include "wave.h"

#define CHECK(ok) check(ok, "%s:%d: %s (%s)", __func__, __LINE__, #ok, ctx->message)

enum { V = 70, E = 24, MAX_T = 5, MAX_B = 20 };

static lurn_pool *pools[3];      /* of two threads, of three; [0] is none */
static int with_columns;         /* plays in which columns were shared */

/* ---------- threads that meet ---------- */

enum { MEETINGS = 2000 };
typedef struct meeting { lurn_pool *pool; int count[3]; atomic_int apart; } meeting;

/* Each counts its own meetings; between two of them nobody's count moves, and all are the same. */
static void keep_meeting (void *arg, int part, int parts) {
  meeting *r = arg;
  for (int k = 0; k < MEETINGS; k++) {
    r->count[part]++;
    lurn_pool_meet(r->pool, part);
    for (int other = 0; other < parts; other++) if (r->count[other] != k + 1) r->apart = 1;
    lurn_pool_meet(r->pool, part);
  }
}

static void check_meetings (lurn_ctx *ctx) {
  for (int n = 1; n < 3; n++) {
    meeting r = {.pool = pools[n]};
    lurn_pool_run(pools[n], keep_meeting, &r);
    CHECK(!r.apart && r.count[0] == MEETINGS && r.count[n] == MEETINGS);
  }
}

/* A fork has the pool and none of its threads. */
static void check_fork (lurn_ctx *ctx) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    meeting r = {.pool = pools[2]};
    alarm(20);
    lurn_pool_run(pools[2], keep_meeting, &r);
    int alone = lurn_pool_threads(pools[2]) == 1 && lurn_pool_crowd(pools[2]) == LURN_CROWD_NONE && r.count[0] == MEETINGS;
    lurn_pool_stop(ctx, pools[2]);
    lurn_pool *own = lurn_pool_start(ctx, 2);
    r = (meeting){.pool = own};
    lurn_pool_run(own, keep_meeting, &r);
    lurn_pool_stop(ctx, own);
    _exit(alone && r.count[1] == MEETINGS ? 7 : 1);
  }
  CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 7);
  CHECK(lurn_pool_threads(pools[2]) == 3);
}

/* ---------- programs ---------- */

static void build (lurn_program *p, const char *cell, int hidden) {
  int one = 1, dim[2] = {V, E};
  lurn_reg x = lurn_input_reg(p, "x", LURN_INDEX, LURN_TIME, 1, &one);
  lurn_reg y = lurn_input_reg(p, "y", LURN_INDEX, LURN_TIME, 1, &one);
  lurn_reg table = lurn_param_reg(p, "embedding.W", 2, dim, (lurn_init){LURN_INIT_NORMAL, 0, 1});
  lurn_reg e = lurn_emit(p, LURN_OP_GATHER, table, x, -1, 0, 0, 0, NULL);
  for (int k = 0; k < 3; k++) {
    lurn_cell_options o;
    char path[32];
    lurn_cell_defaults(&o);
    snprintf(path, sizeof path, "layer%d", k + 1);
    o.path = path;
    o.hidden = hidden;
    e = lurn_cell_layer(p, lurn_cell_find(cell), &o, e, k == 1);
    if (k == 0) e = lurn_emit(p, LURN_OP_DROPOUT, e, -1, -1, 0.25, 0, 0, "dropout");
    if (k == 1) e = lurn_emit(p, LURN_OP_NORM, e, -1, -1, 0.01, 0, 0, NULL);
  }
  lurn_reg z = lurn_affine(p, "out", NULL, 1, &(lurn_term){e, "Wo"}, V, "bo", (lurn_init){LURN_INIT_CONSTANT, 0.1, 0});
  lurn_reg count, live = lurn_emit(p, LURN_OP_LIVE, y, -1, -1, 0, 0, 0, NULL);
  lurn_output_reg(p, "loss", lurn_reduce_loss(p, lurn_loss_cross_entropy(p, z, y), live, "mean", &count));
  lurn_output_reg(p, "out", z);
}

/* ---------- batches ---------- */

typedef struct data {
  int32_t live[MAX_T + 1], start[MAX_T + 2], x[MAX_T * MAX_B], y[MAX_T * MAX_B];
  uint64_t seq[MAX_B];
  int64_t pos[MAX_B];
  lurn_batch b;
} data;

/* Every third row is a step shorter than the one before, down to one step. */
static void make_data (data *d, int T, int B) {
  int32_t length[MAX_B];
  memset(d, 0, sizeof *d);
  for (int r = 0; r < B; r++) length[r] = T - r / 3 > 1 ? T - r / 3 : 1;
  d->b = (lurn_batch){.T = T, .B = B, .live = d->live, .start = d->start, .seq = d->seq, .pos = d->pos, .nfield = 2};
  d->b.N = lurn_batch_pack(B, length, d->live, d->start);
  for (int k = 0; k < d->b.N; k++) { d->x[k] = (k * 7 + 3) % V; d->y[k] = k == 5 ? -1 : (k * 5 + 1) % V; }
  for (int r = 0; r < B; r++) d->seq[r] = (uint64_t)r;
  d->b.field[0] = (lurn_field){"x", LURN_INDEX, LURN_TIME, 1, d->x};
  d->b.field[1] = (lurn_field){"y", LURN_INDEX, LURN_TIME, 1, d->y};
}

/* ---------- playing ---------- */

typedef struct player { lurn_wave w; lurn_schedule s; void *arena; real *grad; } player;

static const lurn_extent most = {.B = MAX_B, .T = {MAX_T}, .N = {MAX_T * MAX_B}};

/* choices NULL: the twin. */
static void open_player (lurn_ctx *ctx, player *y, const lurn_program *p, const lurn_choices *c, const lurn_kernels *k,
                         real *value) {
  if (c) CHECK(lurn_schedule_make(ctx, p, c, &y->s) == LURN_OK);
  CHECK(lurn_wave_plan(ctx, &y->w, p, c ? &y->s : NULL, k, &most) == LURN_OK);
  y->arena = aligned_alloc(LURN_ALIGN, y->w.bytes + LURN_ALIGN);
  lurn_wave_place(&y->w, y->arena);
  y->grad = calloc(p->params.count, sizeof(real));
  lurn_wave_params(&y->w, value, y->grad);
}

static void close_player (lurn_ctx *ctx, player *y, int scheduled) {
  free(y->grad);
  free(y->arena);
  lurn_wave_free(&y->w);
  if (scheduled) lurn_schedule_free(ctx, &y->s);
}

static void play (lurn_ctx *ctx, player *y, const data *d, int scheduled) {
  const lurn_moment moment = {.seed = 3, .step = 5, .purpose = LURN_PURPOSE_TRAIN};
  memset(y->arena, 0xff, y->w.bytes);              /* NaN everywhere: what is read before it is written shows */
  lurn_wave_pack(&y->w);
  CHECK(lurn_wave_bind(&y->w, &d->b, &moment) == LURN_OK);
  CHECK((scheduled ? lurn_conductor_play(&y->w, 0, y->s.nunit) : lurn_twin_play(&y->w, 0, y->w.program->ninstr)) == LURN_OK);
  lurn_wave_finish_grads(&y->w);
  for (int u = 0; scheduled && u < y->s.nunit; u++)
    if (y->w.sharing[u].how == LURN_SHARED_COLUMNS) { with_columns++; break; }
}

static int same (const player *a, const player *b, const data *d) {
  const char *const names[] = {"loss", "out"};
  const size_t bytes[] = {sizeof(real), sizeof(real) * V * (size_t)d->b.N};
  int equal = !memcmp(a->grad, b->grad, sizeof(real) * a->w.program->params.count);
  for (int k = 0; k < 2; k++)
    equal &= !memcmp(lurn_wave_output(&a->w, names[k], NULL), lurn_wave_output(&b->w, names[k], NULL), bytes[k]);
  return equal;
}

static const struct { int T, B; } shapes[] = {{1, 1}, {MAX_T, 1}, {4, 3}, {1, MAX_B}, {MAX_T, MAX_B}, {1, 1}};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void compare (lurn_ctx *ctx, const lurn_program *p, player *twin, const lurn_choices *c, const char *isa,
                     int threads, real *value) {
  player y;
  data d;
  ctx->pool = pools[threads - 1];
  open_player(ctx, &y, p, c, lurn_kernels_find(isa), value);
  for (int k = 0; k < SHAPES; k++) {
    make_data(&d, shapes[k].T, shapes[k].B);
    play(ctx, twin, &d, 0);
    play(ctx, &y, &d, 1);
    check(same(twin, &y, &d), "%d steps, %d rows, %s, %d threads: the schedule and the twin differ", shapes[k].T,
          shapes[k].B, isa, threads);
  }
  close_player(ctx, &y, 1);
  ctx->pool = NULL;
}

static void check_cell (lurn_ctx *ctx, const char *cell, int hidden) {
  const lurn_variant v = {.grad = 1};
  lurn_program source, p;
  player twin;
  lurn_program_init(ctx, &source);
  lurn_program_init(ctx, &p);
  build(&source, cell, hidden);
  CHECK(lurn_program_status(&source) == LURN_OK && lurn_normalise(ctx, &source, &v, &p) == LURN_OK);
  real *value = calloc(p.params.count, sizeof *value);
  CHECK(lurn_params_init(ctx, &p.params, 1, value) == LURN_OK);
  open_player(ctx, &twin, &p, NULL, lurn_kernels_find("c"), value);
  for (int heavy = 0; heavy < 2; heavy++)
    for (const char *const *isa = lurn_kernels_list(); *isa; isa++)
      for (int threads = 1; threads <= 3; threads++) {
        lurn_choices c;
        lurn_choices_default(&c);
        c.columns = c.worth = 1;
        c.dice = 1;                                /* in any crowd */
        c.heavy = heavy ? 0 : 1 << 30;
        compare(ctx, &p, &twin, &c, *isa, threads, value);
      }
  close_player(ctx, &twin, 0);
  free(value);
  lurn_program_free(&p);
  lurn_program_free(&source);
}

int main (void) {
  check_heap heap;
  lurn_ctx ctx;
  check_ctx(&ctx, &heap);
  pools[1] = lurn_pool_start(&ctx, 2);
  pools[2] = lurn_pool_start(&ctx, 3);
  check_meetings(&ctx);
  check_fork(&ctx);
  check_meetings(&ctx);
  check_cell(&ctx, "lstm", 72);
  check_cell(&ctx, "gru", 40);
  check_cell(&ctx, "rnn", 136);
  lurn_pool_stop(&ctx, pools[1]);
  lurn_pool_stop(&ctx, pools[2]);
  check(with_columns > 0, "columns were never shared");
  check(heap.held == 0, "%zu bytes are still held", heap.held);
  return check_done("check_threads");
}
