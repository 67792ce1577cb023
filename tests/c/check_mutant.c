/* check_mutant.c: programs' texts that nobody printed. Texts are changed by lot, word by word and line by line, and
 * parsed. What the parser takes is played forward and backward, by the twin and by a schedule drawn by lot, every
 * register in memory of its own: under the address sanitizer (make check) whatever is read or written beyond it shows.
 * Both must find the same bits, as of programs that make sense. `check_mutant 1 20000` goes on for longer.
 */
#include <string.h>

#include "check.h"
#include "mutants.h"
#include "normalise.h"
#include "recompute.h"
#include "wave.h"

enum { MUTANTS = 300, TRIES = 40, T = 4, B = 3, MOST_BYTES = 1 << 22 };

/* ---------- a batch ---------- */

/* Rows of the second axis are in another order. */
typedef struct data { lurn_batch first, second, third; void *field[LURN_MAX_FIELDS]; } data;

static const int32_t live1[] = {3, 2, 2, 1}, start1[] = {0, 3, 5, 7, 8}, live2[] = {3, 3, 1}, start2[] = {0, 3, 6, 7};
static const int32_t place2[] = {2, 0, 1}, rank2[] = {1, 2, 0};
static const uint64_t seq[] = {5, 1, 7};
static const int64_t pos[] = {0, 10, 3};

static size_t rows_of (const data *d, int axis) {
  const lurn_batch *b = lurn_batch_along(&d->first, axis);
  return (size_t)(axis == LURN_ONCE ? 1 : lurn_on_time(axis) ? b->N : b->B);
}

static size_t bytes_of (const data *d, const lurn_register *x) { return lurn_row_bytes(x) * rows_of(d, x->axis); }

static void *filled (size_t bytes, int with) {
  void *at = malloc(bytes ? bytes : 1);
  if (!at) abort();
  return memset(at, with, bytes);
}

static void fill_field (void *to, const lurn_register *x, size_t n) {
  for (size_t k = 0; k < n; k++)
    if (x->dtype == LURN_INDEX) ((int32_t *)to)[k] = lot(4) - 1;
    else ((real *)to)[k] = (real)(lot(2001) / 1000.0 - 1);
}

/* A field for every input, as long as it must be. 0: the program cannot be played. */
static int make_data (data *d, const lurn_program *p) {
  memset(d, 0, sizeof *d);
  d->first = (lurn_batch){.T = T, .B = B, .N = 8, .live = live1, .start = start1, .seq = seq, .pos = pos};
  d->second = (lurn_batch){.T = 3, .B = B, .N = 7, .live = live2, .start = start2, .seq = seq, .pos = pos,
                           .place = place2, .rank = rank2};
  d->third = d->second;
  d->first.along[0] = &d->second;
  d->first.along[1] = &d->third;
  for (int k = 0; k < p->ninput; k++) {
    const lurn_register *x = &p->reg[p->input[k].reg];
    int n = d->first.nfield;
    if (lurn_is_derived(p->input[k].name, LURN_DERIVED_STATE)) continue;
    if (x->axis == LURN_ONCE || n == LURN_MAX_FIELDS || bytes_of(d, x) > MOST_BYTES) return 0;
    if (strlen(p->input[k].name) >= sizeof d->first.field[0].name) return 0;
    lurn_field *f = &d->first.field[d->first.nfield++];
    *f = (lurn_field){.dtype = (lurn_dtype)x->dtype, .axis = x->axis, .cols = x->cols};
    strcpy(f->name, p->input[k].name);
    f->data = d->field[n] = filled(bytes_of(d, x), 0);
    fill_field(d->field[n], x, rows_of(d, x->axis) * (size_t)x->cols);
  }
  return 1;
}

static void free_data (data *d) {
  for (int k = 0; k < LURN_MAX_FIELDS; k++) free(d->field[k]);
}

/* ---------- playing ---------- */

static int played, with_gradients, in_windows, seen[LURN_NOPS];

/* Where the place of r in the arena ends. */
static size_t end_of (const lurn_wave *w, lurn_reg r) {
  size_t end = w->bytes - w->rest;
  for (lurn_reg o = 0; o < w->program->nreg; o++)
    if (w->offset[o] != SIZE_MAX && w->offset[o] > w->offset[r] && w->offset[o] < end) end = w->offset[o];
  return end;
}

/* Every register that has a place gets one of its own, of that size; the twin's are to the byte. */
static void **set_apart (lurn_wave *w, const data *d) {
  const lurn_program *p = w->program;
  void **own = calloc((size_t)p->nreg + 1, sizeof *own);
  for (lurn_reg r = 0; r < p->nreg; r++)
    if (w->offset[r] != SIZE_MAX)
      w->base[r] = own[r] = filled(w->schedule ? end_of(w, r) - w->offset[r] : bytes_of(d, &p->reg[r]), 0xff);
  for (lurn_reg r = 0; w->schedule && r < p->nreg; r++) w->base[r] = w->base[w->schedule->root[r]];
  return own;
}

/* States that are carried on from nowhere are zeros. */
static void bind_states (lurn_wave *w, void **own) {
  const lurn_program *p = w->program;
  for (int k = 0; k < p->ninput; k++)
    if (lurn_is_derived(p->input[k].name, LURN_DERIVED_STATE))
      w->base[p->input[k].reg] = own[p->input[k].reg] = filled(lurn_row_bytes(&p->reg[p->input[k].reg]) * B, 0);
}

typedef struct result { char *bytes; size_t size; } result;

static void append (result *r, const lurn_register *x, const void *from, size_t n) {
  r->bytes = realloc(r->bytes, r->size + n + 1);
  memcpy(r->bytes + r->size, from, n);
  for (size_t k = 0; x->dtype == LURN_REAL && k + sizeof(real) <= n; k += sizeof(real)) {       /* NaNs have no bits */
    real *v = (real *)(void *)(r->bytes + r->size + k), none = 0;
    memcpy(&none, v, sizeof none);
    if (none != none) memset(v, 0xff, sizeof none);
  }
  r->size += n;
}

/* 0: too large to play, or refused with a message. skip: without what windows do not keep. */
static int play (lurn_ctx *ctx, const lurn_program *p, const lurn_schedule *s, real *value, const data *d, int skip,
                 result *out) {
  const lurn_moment moment = {.seed = 3, .step = 5, .purpose = LURN_PURPOSE_TRAIN};
  const lurn_extent most = lurn_extent_of(&d->first);
  lurn_wave w;
  int fine = lurn_wave_plan(ctx, &w, p, s, s ? ctx->kernels : lurn_kernels_find("c"), &most) == LURN_OK;
  if (!fine || w.bytes > MOST_BYTES) { lurn_wave_free(&w); return 0; }
  void *arena = aligned_alloc(LURN_ALIGN, w.bytes + LURN_ALIGN);
  memset(arena, 0xff, w.bytes);
  lurn_wave_place(&w, arena);
  void **own = set_apart(&w, d);
  real *grad = filled(sizeof(real) * p->params.count, 0xff);
  lurn_wave_params(&w, value, grad);
  lurn_wave_pack(&w);
  fine = lurn_wave_bind(&w, &d->first, &moment) == LURN_OK;
  bind_states(&w, own);
  if (fine && s && w.window) fine = lurn_recompute_forward(&w) == LURN_OK && lurn_recompute_backward(&w) == LURN_OK;
  else if (fine) fine = (s ? lurn_conductor_play(&w, 0, s->nunit) : lurn_twin_play(&w, 0, p->ninstr)) == LURN_OK;
  if (fine) lurn_wave_finish_grads(&w);
  for (int k = 0; fine && k < p->noutput; k++) {
    const lurn_register *x = &p->reg[p->output[k].reg];
    if (!skip || x->axis != LURN_TIME) append(out, x, w.base[p->output[k].reg], bytes_of(d, x));
  }
  const lurn_register number = {.dtype = LURN_REAL};
  for (int k = 0; fine && k < p->params.n; k++)
    append(out, &number, grad + p->params.p[k].offset, sizeof(real) * p->params.p[k].count);
  for (lurn_reg r = 0; r < p->nreg; r++) free(own[r]);
  free(own);
  free(grad);
  free(arena);
  lurn_wave_free(&w);
  return fine;
}

/* Plays a normalised program both ways. */
static void compare (lurn_ctx *ctx, const lurn_program *p, int number, const char *t) {
  lurn_choices c;
  lurn_schedule s;
  data d;
  result twin = {0}, fast = {0};
  lurn_choices_random(&c, (uint64_t)number);
  c.reuse = 0;
  if (lot(4) == 0) c.window = 1 + lot(3);
  if (p->params.count * sizeof(real) > MOST_BYTES) return;
  if (!make_data(&d, p)) { free_data(&d); return; }
  real *value = filled(sizeof(real) * p->params.count, 0);
  for (size_t k = 0; k < p->params.count; k++) value[k] = (real)(lot(2001) / 1000.0 - 1);
  if (play(ctx, p, NULL, value, &d, c.window, &twin) && lurn_schedule_make(ctx, p, &c, &s) == LURN_OK) {
    in_windows += c.window > 0;
    if (play(ctx, p, &s, value, &d, c.window, &fast)) {
      played++;
      for (int k = 0; k < p->ninstr; k++) seen[p->instr[k].op]++;
      check(fast.size == twin.size && !memcmp(fast.bytes, twin.bytes, twin.size),
            "mutant %d: the schedule and the twin differ:\n%s", number, t);
    }
    lurn_schedule_free(ctx, &s);
  }
  free(twin.bytes);
  free(fast.bytes);
  free(value);
  free_data(&d);
}

static void try (lurn_ctx *ctx, const lurn_program *source, int number, const char *t) {
  lurn_variant v = {.grad = lot(4) > 0, .grad_inputs = lot(2), .grad_states = lot(2), .carry = lot(2),
                    .reset = lot(3) == 0};
  v.lean = v.grad && lot(3) == 0;
  v.infer = !v.grad && lot(2);
  for (int again = 1; again; again = v.grad, v = (lurn_variant){.carry = v.carry}) {       /* no gradient: without it */
    lurn_program p;
    lurn_program_init(ctx, &p);
    int fine = lurn_normalise(ctx, source, &v, &p) == LURN_OK;
    if (fine) compare(ctx, &p, number, t);
    with_gradients += fine && v.grad;
    lurn_program_free(&p);
    if (fine) return;
  }
}

/* Parses the text; accepted ones are played. */
static int accepted (lurn_ctx *ctx, const text *t, int number) {
  char all[LINES * WIDTH + 64];
  size_t size = join(t, all, sizeof all);
  char *exact = malloc(size);                      /* nothing is read behind it */
  lurn_program p;
  memcpy(exact, all, size);
  lurn_program_init(ctx, &p);
  int fine = lurn_program_parse(&p, exact, size) == LURN_OK;
  if (fine) try(ctx, &p, number, all);
  lurn_program_free(&p);
  free(exact);
  return fine;
}

/* Changes one text on and on, from what was accepted last. */
static void check_mutant (lurn_ctx *ctx, int number) {
  static text t, next;
  split(&t, seeds[number % (int)(sizeof seeds / sizeof *seeds)]);
  check(accepted(ctx, &t, number), "%s", ctx->message);
  for (int tries = 0; tries < TRIES; tries++) {
    next = t;
    for (int k = 1 + lot(2); k > 0; k--) mutate(ctx, &next);
    if (accepted(ctx, &next, number)) t = next;
  }
}

int main (int argc, char **argv) {
  lurn_ctx ctx;
  check_heap heap;
  int first = argc > 1 ? atoi(argv[1]) : 1, last = argc > 2 ? atoi(argv[2]) : argc > 1 ? first : MUTANTS;
  check_ctx(&ctx, &heap);
  for (int number = first; number <= last; number++) {
    lot_state = (uint64_t)number * 1000003;
    check_mutant(&ctx, number);
  }
  check(argc > 1 || played > MUTANTS, "only %d mutants were played", played);
  check(argc > 1 || with_gradients > MUTANTS / 2, "only %d mutants had gradients", with_gradients);
  check(argc > 1 || in_windows > MUTANTS / 4, "only %d mutants were played in windows", in_windows);
  for (int k = 0; k < LURN_NOPS; k++) check(argc > 1 || seen[k], "%s was never played", lurn_op_info(k)->name);
  check(heap.held == 0, "%zu bytes are still held", heap.held);
  return check_done("check_mutant");
}
