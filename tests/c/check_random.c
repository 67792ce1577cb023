/* check_random.c: random programs, played by the naive twin and by schedules drawn by lot, under
 * every instruction set: every output and every gradient must agree bit for bit. The programs
 * have several scans in both directions, several states and index states, row and memory
 * constants, tied weights, dropout, images and convolutions, ragged batches along two time axes, attention, carried
 * states and resets. One to three threads play.
 */
#include <string.h>

#include "cell.h"
#include "check.h"
#include "lots.h"
#include "normalise.h"
#include "op.h"
#include "pool.h"
#include "recompute.h"
#include "wave.h"

enum { V = 9, PROGRAMS = 200, POOL = 64, MAX_T = 9, MAX_B = 14 };

#define CHECK(ok) check(ok, "%s:%d: %s (%s)", __func__, __LINE__, #ok, ctx->message)

static double lot_real (void) { return lot(2001) / 1000.0 - 1; }

/* ---------- a batch ---------- */

typedef struct data {
  int32_t live[MAX_T + 1], start[MAX_T + 2], ids[MAX_T * MAX_B], y[MAX_T * MAX_B];
  real x[MAX_T * MAX_B * 5], r[MAX_B * 8], reset[MAX_T * MAX_B];
  uint64_t seq[MAX_B];
  int64_t pos[MAX_B];
  lurn_batch b;
  int32_t live2[MAX_T + 1], start2[MAX_T + 2], place[MAX_B], rank[MAX_B];
  real s[MAX_T * MAX_B * 5];
  uint64_t seq2[MAX_B];
  lurn_batch along;
} data;

/* The same sequences along a second time axis: lengths of their own, rows in another order. */
static void make_second (data *d) {
  int32_t length[MAX_B];
  int B = d->b.B;
  for (int r = 0; r < B; r++) length[r] = r ? 1 + lot(length[r - 1]) : 1 + lot(MAX_T);
  for (int r = 0; r < B; r++) d->place[r] = r;
  for (int r = B - 1; r > 0; r--) {
    int other = lot(r + 1), t = d->place[r];
    d->place[r] = d->place[other];
    d->place[other] = t;
  }
  for (int r = 0; r < B; r++) { d->rank[d->place[r]] = r; d->seq2[r] = d->seq[d->place[r]]; }
  d->along = (lurn_batch){.T = length[0], .B = B, .live = d->live2, .start = d->start2, .seq = d->seq2, .pos = d->pos,
                          .place = d->place, .rank = d->rank};
  d->along.N = lurn_batch_pack(B, length, d->live2, d->start2);
  for (int n = 0; n < d->along.N * 5; n++) d->s[n] = (real)lot_real();
  d->b.along[0] = &d->along;
  d->b.field[d->b.nfield++] = (lurn_field){"s", LURN_REAL, LURN_TIME2, 5, d->s};
}

static void make_data (data *d) {
  int32_t length[MAX_B];
  int B = 1 + lot(MAX_B), T = 1 + lot(MAX_T);
  memset(d, 0, sizeof *d);
  for (int r = 0; r < B; r++) length[r] = r ? 1 + lot(length[r - 1]) : T;
  d->b = (lurn_batch){.T = T, .B = B, .live = d->live, .start = d->start, .seq = d->seq, .pos = d->pos};
  d->b.N = lurn_batch_pack(B, length, d->live, d->start);
  for (int n = 0; n < d->b.N; n++) {
    d->ids[n] = lot(V + 1) - 1;
    d->y[n] = lot(V + 1) - 1;
    d->reset[n] = lot(4) == 0;
    for (int k = 0; k < 5; k++) d->x[n * 5 + k] = (real)lot_real();
  }
  for (int k = 0; k < B * 8; k++) d->r[k] = (real)lot_real();
  for (int r = 0; r < B; r++) { d->seq[r] = (uint64_t)lot(1000); d->pos[r] = lot(1000); }
  const lurn_field fields[] = {{"ids", LURN_INDEX, LURN_TIME, 1, d->ids}, {"y", LURN_INDEX, LURN_TIME, 1, d->y},
    {"x", LURN_REAL, LURN_TIME, 5, d->x}, {"r", LURN_REAL, LURN_ROW, 8, d->r},
        {"reset", LURN_REAL, LURN_TIME, 1, d->reset}};
  memcpy(d->b.field, fields, sizeof fields);
  d->b.nfield = 5;
  make_second(d);
}

/* ---------- a program ---------- */

typedef struct pool { lurn_reg real[POOL], index[POOL], second; int nreal, nindex; } pool;

static void keep (pool *q, lurn_reg r) { if (r >= 0 && q->nreal < POOL) q->real[q->nreal++] = r; }

/* New values are preferred, so that programs grow deep and not only wide. */
static lurn_reg any (const pool *q) {
  int n = q->nreal, k = lot(n);
  if (lot(2)) k = n - 1 - lot(n < 4 ? n : 4);
  return q->real[k];
}

static lurn_reg like (const lurn_program *p, const pool *q, lurn_reg a) {
  for (int tries = 0; tries < 20; tries++) {
    lurn_reg b = any(q);
    const lurn_register *x = lurn_reg_info(p, a), *y = lurn_reg_info(p, b);
    if (y->cols == x->cols || y->cols == 1 || x->cols == 1) return b;
  }
  return a;
}

static lurn_reg weight (lurn_program *p, int K, int N) {         /* few names: shapes that meet again are tied */
  char path[32];
  int dim[2] = {K, N};
  snprintf(path, sizeof path, "w%d.%dx%d", lot(2), K, N);
  return lurn_param_reg(p, path, 2, dim, (lurn_init){LURN_INIT_NORMAL, 0, 0.5});
}

static lurn_reg affine (lurn_program *p, const pool *q, int n) {
  lurn_reg acc = -1;
  if (lot(2)) acc = lurn_param_reg(p, n == 8 ? "b8" : "b5", 1, &n, (lurn_init){LURN_INIT_NORMAL, 0, 0.5});
  for (int terms = 1 + lot(3); terms > 0; terms--) {
    lurn_reg x = any(q);
    const lurn_register *info = lurn_reg_info(p, x);
    if (acc >= 0 && lurn_reg_info(p, acc)->axis > info->axis) continue;
    int cols = info->cols, trans = lot(3) == 0;
    acc = lurn_matmul(p, acc, x, trans ? weight(p, n, cols) : weight(p, cols, n), trans);
  }
  return acc;
}

/* A factor that all frames share. */
static lurn_reg gain (lurn_program *p, int cols) {
  char path[16];
  snprintf(path, sizeof path, "g%d", cols);
  return lurn_param_reg(p, path, 1, &cols, (lurn_init){LURN_INIT_NORMAL, 0, 1});
}

static const lurn_map pairs[] = {LURN_MAP_add, LURN_MAP_sub, LURN_MAP_mul, LURN_MAP_max, LURN_MAP_min};
static const lurn_map singles[] = {LURN_MAP_tanh, LURN_MAP_sigmoid, LURN_MAP_neg, LURN_MAP_abs, LURN_MAP_sin,
    LURN_MAP_cos, LURN_MAP_erf};

/* Values stay within a few units: what could grow goes through tanh. */
static lurn_reg tame (lurn_program *p, lurn_reg r) { return lurn_map1(p, LURN_MAP_tanh, r); }

/* Few names again, and both directions share them; now and then a matrix that is computed. */
static lurn_reg kernel (lurn_program *p, int kh, int kw, int C, int M) {
  char path[32];
  int dim[4] = {kh, kw, C, M};
  snprintf(path, sizeof path, "k%d.%d%d%d%d", lot(2), kh, kw, C, M);
  lurn_reg w = lurn_param_reg(p, path, 4, dim, (lurn_init){LURN_INIT_NORMAL, 0, 0.5});
  return lot(4) ? w : lurn_emit(p, LURN_OP_DROPOUT, w, -1, -1, 0.3, 0, 0, "drop");
}

static lurn_reg image_op (lurn_program *p, lurn_reg a, int op, const int *i) {
  lurn_instr like = {.op = (int16_t)op, .in = {a, -1, -1, -1, -1, -1}};
  memcpy(like.i, i, sizeof like.i);
  return lurn_write(p, &like, NULL);
}

/* Places that hold n of them, gap apart, and that a kernel moved by `stride` fits exactly. */
static int fitting (int n, int gap, int stride, int taps, int apart) {
  int most = (n - 1) * gap + 1, size = (taps - 1) * apart + 1;
  while (size < most) size += stride;
  return size;
}

static lurn_reg convolve (lurn_program *p, lurn_reg a) {
  const lurn_register x = *lurn_reg_info(p, a);
  int transposed = lot(3) == 0, C = x.dim[2], M = 1 + lot(3), kh = 1 + lot(2), kw = 1 + lot(3), gap = 1 + lot(2);
  lurn_instr like = {.op = transposed ? LURN_OP_CONV_DX : LURN_OP_CONV, .i = {1 + lot(2), 1 + lot(2), 1 + lot(2),
      1 + lot(2)}};
  const int *i = like.i, at[6] = {0, 0, gap, gap, fitting(x.dim[0], gap, i[0], kh, i[2]),
                                  fitting(x.dim[1], gap, i[1], kw, i[3])};
  like.in[0] = lot(2) ? -1 : lurn_param_reg(p, M == 1 ? "m1" : M == 2 ? "m2" : "m3", 1, &M,
                                            (lurn_init){LURN_INIT_NORMAL, 0, 0.5});
  like.in[1] = transposed ? a : image_op(p, a, LURN_OP_PLACE, at);
  for (int terms = 1 + lot(2); terms > 0; terms--) {       /* one chain */
    like.in[2] = transposed ? kernel(p, kh, kw, M, C) : kernel(p, kh, kw, C, M);
    like.in[0] = lurn_write(p, &like, NULL);
  }
  return like.in[0];
}

/* Columns as a small image, one or two convolutions, some of the places, and columns again. */
static lurn_reg images (lurn_program *p, lurn_reg a) {
  static const int shape8[4][3] = {{2, 2, 2}, {2, 4, 1}, {1, 4, 2}, {4, 1, 2}}, shape5[2][3] = {{1, 5, 1}, {5, 1, 1}};
  const lurn_register x = *lurn_reg_info(p, a);
  if (x.cols != 8 && x.cols != 5) return a;
  lurn_reg y = lurn_reshape(p, a, 3, x.cols == 8 ? shape8[lot(4)] : shape5[lot(2)]);
  for (int k = 1 + lot(2); k > 0; k--) y = tame(p, convolve(p, y));
  const lurn_register big = *lurn_reg_info(p, y);
  int h = big.dim[0], w = big.dim[1];
  const int at[6] = {0, w > 1, 1, w > 3 ? 2 : 1, h > 1 ? h - 1 : 1, w > 3 ? 2 : 1};
  y = image_op(p, y, LURN_OP_CROP, at);
  return lurn_reshape(p, y, 1, &lurn_reg_info(p, y)->cols);
}

static lurn_reg piece (lurn_program *p, const pool *q, lurn_reg memory) {
  lurn_reg a = any(q);
  const lurn_register x = *lurn_reg_info(p, a);
  switch (lot(14)) {
    case 0: case 1: return tame(p, affine(p, q, lot(2) ? 8 : 5));
    case 2: case 3: return tame(p, lurn_map2(p, pairs[lot(5)], a, like(p, q, a)));
    case 4: return lurn_map1(p, singles[lot(7)], a);
    case 5: return lot(2) ? lurn_map1k(p, LURN_MAP_rsub_imm, a, 1)
        : tame(p, lurn_map2(p, LURN_MAP_mul, a, gain(p, x.cols)));
    case 6: return lurn_emit(p, LURN_OP_DROPOUT, a, -1, -1, 0.3, 0, 0, lot(2) ? "one" : "two");
    case 7: return tame(p, lurn_emit(p, lot(2) ? LURN_OP_ROWSUM : LURN_OP_LSE, a, -1, -1, 0, 0, 0, NULL));
    case 8: return lurn_map3(p, LURN_MAP_where, lurn_map1k(p, LURN_MAP_gt_imm, a, 0.1), like(p, q, a), a);
    case 9: {
      int dim[2] = {V, 8};
      lurn_reg table = lurn_param_reg(p, "table", 2, dim, (lurn_init){LURN_INIT_NORMAL, 0, 1});
      return lurn_emit(p, LURN_OP_GATHER, table, q->index[lot(q->nindex)], -1, 0, 0, 0, NULL);
    }
    case 10: return x.cols > 2 ? lurn_emit(p, LURN_OP_SLICE, a, -1, -1, 0, lot(2), x.cols == 8 ? 5 : 1, NULL)
        : lurn_map1(p, LURN_MAP_sigmoid, a);
    case 11: {
      lurn_reg y = images(p, a);
      return y == a || y < 0 ? y : tame(p, lurn_matmul(p, -1, y, weight(p, lurn_reg_info(p, y)->cols, 8), 0));
    }
    case 12: return lurn_emit(p, LURN_OP_NORM, a, -1, -1, 0.01, 0, 0, NULL);
    default: {
      if (q->second >= 0 && lot(2)) memory = q->second;
      if (memory < 0) return a;
      int cols = lurn_reg_info(p, memory)->cols;
      lurn_reg query = tame(p, affine(p, q, cols)), u = -1;
      if (query < 0 || lurn_reg_info(p, query)->axis == LURN_ONCE) return a;
      if (lot(2)) u = lurn_param_reg(p, cols == 8 ? "u8" : "u5", 1, &cols, (lurn_init){LURN_INIT_NORMAL, 0, 1});
      const lurn_instr like = {.op = LURN_OP_ATTEND, .in = {u, query, memory, memory}};
      return lurn_write(p, &like, NULL);
    }
  }
}

static lurn_reg resize (lurn_program *p, lurn_reg r, int cols) {
  int have = lurn_reg_info(p, r)->cols;
  if (have == cols) return tame(p, r);
  return tame(p, lurn_matmul(p, -1, r, weight(p, have, cols), 0));
}

static lurn_reg first_value (lurn_program *p, pool *q, int cols) {
  if (lot(3) == 0) return lurn_matmul(p, -1, q->real[1], weight(p, 8, cols), 0);      /* from the row input */
  if (lot(2)) return lurn_param_reg(p, cols == 8 ? "h8" : "h5", 1, &cols, (lurn_init){LURN_INIT_NORMAL, 0, 1});
  return lurn_fill(p, 0, LURN_ROW, 1, &cols);
}

/* One scan: states, pieces, next values; what it leaves for those behind it is one of its values. */
static lurn_reg layer (lurn_program *p, pool *outer, int number, lurn_reg memory) {
  char name[32];
  pool q = *outer;
  lurn_reg state[4], index_state = -1;
  int n = 1 + lot(3), cols[4], with_index = lot(3) == 0;
  lurn_reg init[4], index_init = lurn_emit(p, LURN_OP_IFILL, -1, -1, -1, 0, lot(V), LURN_ROW, NULL);
  for (int k = 0; k < n; k++) init[k] = first_value(p, outer, cols[k] = lot(2) ? 8 : 5);
  snprintf(name, sizeof name, "scan%d", number);
  lurn_scan_begin(p, name, lot(3) == 0, LURN_TIME);
  for (int k = 0; k < n; k++) {
    snprintf(name, sizeof name, "s%d", k);
    keep(&q, state[k] = lurn_scan_state(p, name, init[k]));
  }
  if (with_index) q.index[q.nindex++] = index_state = lurn_scan_state(p, "i", index_init);
  int base = q.nreal;
  for (int k = 4 + lot(12); k > 0; k--) keep(&q, piece(p, &q, memory));
  for (int k = 0; k < n; k++) {
    lurn_reg from = q.real[base + lot(q.nreal - base)];
    lurn_scan_next(p, state[k], resize(p, lot(2) ? lurn_map2(p, LURN_MAP_add, resize(p, from, cols[k]), state[k])
                                       : from, cols[k]));
  }
  if (with_index) {
    lurn_reg best = lurn_emit(p, LURN_OP_ARGMAX, lurn_matmul(p, -1, state[0], weight(p, cols[0], V), 0), -1, -1,
                              0, 0, 0, NULL);
    lurn_scan_next(p, index_state, best);
  }
  lurn_scan_end(p);
  return lurn_map1(p, LURN_MAP_copy, p->status == LURN_OK ? p->scans[p->nscan - 1].state[lot(n)].next : -1);
}

/* Layers along the second time axis; what comes of them along the first: a memory, and what is known per row. */
static void second_axis (lurn_program *p, pool *first) {
  int five = 5;
  pool q = {.second = -1};
  keep(&q, lurn_input_reg(p, "s", LURN_REAL, LURN_TIME2, 1, &five));
  keep(&q, tame(p, lurn_reorder(p, first->real[1], LURN_TIME2)));
  lurn_reg h = lurn_fill(p, 0, LURN_ROW2, 1, &five);
  lurn_scan_begin(p, "second", lot(2), LURN_TIME2);
  h = lurn_scan_state(p, "h", lot(2) ? h : lurn_matmul(p, -1, first->real[1], weight(p, 8, 5), 0));
  lurn_reg y = lurn_map2(p, LURN_MAP_add, lurn_matmul(p, -1, q.real[0], weight(p, 5, 5), 0), h);
  y = tame(p, lurn_map2(p, LURN_MAP_add, y, lurn_matmul(p, -1, q.real[1], weight(p, 8, 5), 0)));
  lurn_scan_next(p, h, y);
  lurn_scan_end(p);
  first->second = lurn_emit(p, LURN_OP_DROPOUT, y, -1, -1, 0.2, 0, 0, "second");
  keep(first, lurn_reorder(p, lurn_emit(p, LURN_OP_LAST, y, -1, -1, 0, lot(2), 0, NULL), LURN_TIME));
  keep(first, lurn_reorder(p, tame(p, lurn_emit(p, LURN_OP_FOLD, -1, y, -1, 0, 0, 0, NULL)), LURN_TIME));
}

static void build (lurn_program *p) {
  int one = 1, five = 5, eight = 8;
  pool q = {.second = -1};
  keep(&q, lurn_input_reg(p, "x", LURN_REAL, LURN_TIME, 1, &five));
  keep(&q, lurn_input_reg(p, "r", LURN_REAL, LURN_ROW, 1, &eight));
  q.index[q.nindex++] = lurn_input_reg(p, "ids", LURN_INDEX, LURN_TIME, 1, &one);
  lurn_reg y = lurn_input_reg(p, "y", LURN_INDEX, LURN_TIME, 1, &one), memory = -1, out = -1, count;
  if (lot(2)) second_axis(p, &q);
  for (int k = 1 + lot(3), number = 1; k > 0; k--, number++) {
    out = layer(p, &q, number, memory);
    keep(&q, out);
    if (out >= 0 && lurn_reg_info(p, out)->rank == 1) memory = out;
    if (lot(2)) keep(&q, tame(p, lurn_emit(p, lot(2) ? LURN_OP_SHIFT : LURN_OP_DETACH, out, -1, -1, 0, 1, 0,
                                           NULL)));
    if (lot(2)) keep(&q, lurn_emit(p, LURN_OP_LAST, out, -1, -1, 0, lot(2), 0, NULL));
    if (lot(3) == 0) keep(&q, tame(p, lurn_emit(p, LURN_OP_FOLD, -1, out, -1, 0, 0, 0, NULL)));
    keep(&q, piece(p, &q, memory));
  }
  lurn_reg z = lurn_matmul(p, -1, out, weight(p, p->status == LURN_OK ? lurn_reg_info(p, out)->cols : 1, V), 0);
  lurn_reg live = lurn_emit(p, LURN_OP_LIVE, y, -1, -1, 0, 0, 0, NULL);
  lurn_reg loss = lurn_reduce_loss(p, lurn_loss_cross_entropy(p, z, y), live, lot(2) ? "mean" : "time", &count);
  for (int k = 2; k < q.nreal; k++) {              /* everything made takes part in the loss */
    lurn_reg extra = lurn_emit(p, LURN_OP_TOTAL, tame(p, q.real[k]), -1, -1, 0, 0, 0, NULL);
    loss = lurn_map2(p, LURN_MAP_add, loss, lurn_map1k(p, LURN_MAP_mul_imm, extra, 0.01));
  }
  lurn_output_reg(p, "loss", loss);
  lurn_output_reg(p, "out", z);
}

/* ---------- playing ---------- */

typedef struct result { char *bytes; size_t size; } result;

static void append (result *r, const void *from, size_t n) {
  r->bytes = realloc(r->bytes, r->size + n);
  memcpy(r->bytes + r->size, from, n);
  r->size += n;
}

static size_t output_bytes (const lurn_wave *w, const lurn_register *x) {
  const lurn_batch *b = lurn_batch_along(w->batch, x->axis);
  size_t rows = (size_t)(lurn_on_time(x->axis) ? b->N : x->axis == LURN_ONCE ? 1 : b->B);
  return rows * (size_t)x->cols * lurn_dtype_size((lurn_dtype)x->dtype);
}

static lurn_pool *pools[3];      /* of two threads, of three; [0] is none */
static int in_windows;           /* programs that could be played in windows */
static int with_tables;          /* programs that look products up (tabulate.h) */
static int with_repeats;         /* schedules that play a product in both halves */
static int with_blocks;          /* schedules that play runs of units in blocks (block.c) */

/* windows: without what windows do not keep. */
static result play (lurn_ctx *ctx, const lurn_program *p, const lurn_choices *c, const lurn_kernels *k,
                    real *value, const data *d, real *states, int windows) {
  const lurn_moment moment = {.seed = 3, .step = 5, .purpose = LURN_PURPOSE_TRAIN};
  lurn_extent most = lurn_extent_of(&d->b);
  result r = {NULL, 0};
  lurn_schedule s;
  lurn_wave w;
  if (c && lurn_schedule_make(ctx, p, c, &s) != LURN_OK) {         /* not every program can be played in windows */
    check(c->window > 0, "%s", ctx->message);
    return r;
  }
  for (int u = 0; c && u < s.nunit; u++) with_blocks += s.unit[u].kind == LURN_SECTION_BLOCK;
  with_repeats += c && s.norder > p->ninstr;
  for (int n = 0; n < LURN_MAX_AXES; n++) { most.T[n] += lot(3); most.N[n] += lot(5); }
  CHECK(lurn_wave_plan(ctx, &w, p, c ? &s : NULL, k, &most) == LURN_OK);
  void *arena = aligned_alloc(LURN_ALIGN, w.bytes + LURN_ALIGN);
  memset(arena, 0xff, w.bytes);                    /* NaN everywhere: what is read before it is written shows */
  lurn_wave_place(&w, arena);
  real *grad = malloc(sizeof(real) * (p->params.count + 1));
  lurn_wave_params(&w, value, grad);
  lurn_wave_pack(&w);
  CHECK(lurn_wave_bind(&w, &d->b, &moment) == LURN_OK);
  for (int n = 0; n < p->ninput; n++)
    if (!strncmp(p->input[n].name, "state:", 6)) lurn_wave_input(&w, p->input[n].name, states);
  if (c && c->window) CHECK(lurn_recompute_forward(&w) == LURN_OK && lurn_recompute_backward(&w) == LURN_OK);
  else CHECK((c ? lurn_conductor_play(&w, 0, s.nunit) : lurn_twin_play(&w, 0, p->ninstr)) == LURN_OK);
  if (c && !c->window)                             /* once more: what the weights alone make has stayed */
    CHECK(lurn_conductor_play(&w, 0, s.nunit) == LURN_OK);
  lurn_wave_finish_grads(&w);
  for (int n = 0; n < p->noutput; n++) {
    const lurn_register *x = &p->reg[p->output[n].reg];
    if (windows && x->axis == LURN_TIME) continue;
    append(&r, w.base[p->output[n].reg], output_bytes(&w, x));
  }
  for (int n = 0; n < p->params.n; n++) append(&r, grad + p->params.p[n].offset,
                                               sizeof(real) * p->params.p[n].count);
  free(grad);
  free(arena);
  lurn_wave_free(&w);
  if (c) lurn_schedule_free(ctx, &s);
  return r;
}

static int finite_loss (const lurn_program *p, const result *r) {
  size_t at = 0;
  for (int n = 0; n < p->noutput && strcmp(p->output[n].name, "loss"); n++) at = SIZE_MAX;
  return at == SIZE_MAX || isfinite(*(const real *)(const void *)r->bytes);
}

static void compare (lurn_ctx *ctx, const lurn_program *p, int number, real *value, const data *d, real *states) {
  const lurn_kernels *reference = lurn_kernels_find("c");
  result twin = play(ctx, p, NULL, reference, value, d, states, 0);
  CHECK(finite_loss(p, &twin));
  for (int k = 0; k < 4; k++) {
    lurn_choices c;
    if (k) lurn_choices_random(&c, (uint64_t)(number * 8 + k)); else lurn_choices_default(&c);
    for (const char *const *isa = lurn_kernels_list(); *isa; isa++) {
      if (k > 1 && strcmp(*isa, "c") == 0) continue;      /* slow, and the twin plays them too */
      ctx->pool = lot(3) ? NULL : pools[1 + lot(2)];
      result fast = play(ctx, p, &c, lurn_kernels_find(*isa), value, d, states, 0);
      ctx->pool = NULL;
      check(fast.size == twin.size && !memcmp(fast.bytes, twin.bytes, twin.size),
            "program %d, choices %d, %s: the schedule and the twin differ", number, k, *isa);
      free(fast.bytes);
    }
  }
  free(twin.bytes);
}

/* The same in windows, where the program allows it. */
static void compare_windows (lurn_ctx *ctx, const lurn_program *p, int number, real *value, const data *d, real *states) {
  lurn_choices c;
  lurn_choices_random(&c, (uint64_t)number);
  c.window = 1 + lot(4);
  ctx->pool = lot(3) ? NULL : pools[1 + lot(2)];
  result fast = play(ctx, p, &c, lurn_kernels_find(NULL), value, d, states, 1);
  ctx->pool = NULL;
  if (!fast.size) return;
  result twin = play(ctx, p, NULL, lurn_kernels_find("c"), value, d, states, 1);
  check(fast.size == twin.size && !memcmp(fast.bytes, twin.bytes, twin.size),
        "program %d in windows of %d: the schedule and the twin differ", number, c.window);
  in_windows++;
  free(fast.bytes);
  free(twin.bytes);
}

static int has_table (const lurn_program *p) {
  for (int n = 0; n < p->ninstr; n++) if (p->instr[n].op == LURN_OP_GATHER && p->instr[n].i[0]) return 1;
  return 0;
}

static void check_program (lurn_ctx *ctx, int number) {
  const lurn_variant v = {.grad = 1, .grad_inputs = lot(2), .grad_states = lot(2), .carry = lot(2), .reset = lot(2),
                          .lean = lot(3) == 0};
  lurn_program source, p;
  static data d;
  real states[MAX_B * 8];
  lurn_program_init(ctx, &source);
  lurn_program_init(ctx, &p);
  make_data(&d);
  build(&source);
  CHECK(lurn_program_status(&source) == LURN_OK);
  CHECK(lurn_normalise(ctx, &source, &v, &p) == LURN_OK);
  with_tables += has_table(&p);
  real *value = calloc(p.params.count + 1, sizeof *value);
  CHECK(lurn_params_init(ctx, &p.params, (uint64_t)number, value) == LURN_OK);
  memset(states, 0, sizeof states);                /* zeros are good states of any type */
  if (source.status == LURN_OK && p.status == LURN_OK) compare(ctx, &p, number, value, &d, states);
  if (source.status == LURN_OK && p.status == LURN_OK) compare_windows(ctx, &p, number, value, &d, states);
  free(value);
  lurn_program_free(&p);
  lurn_program_free(&source);
}

int main (int argc, char **argv) {
  lurn_ctx ctx;
  check_heap heap;
  int first = argc > 1 ? atoi(argv[1]) : 1, last = argc > 1 ? first : PROGRAMS;
  check_ctx(&ctx, &heap);
  pools[1] = lurn_pool_start(&ctx, 2);
  pools[2] = lurn_pool_start(&ctx, 3);
  for (int number = first; number <= last; number++) {
    lot_state = (uint64_t)number * 1000003;
    check_program(&ctx, number);
  }
  lurn_pool_stop(&ctx, pools[1]);
  lurn_pool_stop(&ctx, pools[2]);
  check(argc > 1 || in_windows > PROGRAMS / 20, "only %d programs were played in windows", in_windows);
  check(argc > 1 || with_tables > PROGRAMS / 10, "only %d programs look products up", with_tables);
  check(argc > 1 || with_blocks > PROGRAMS, "only %d blocks were played", with_blocks);
  check(argc > 1 || with_repeats > PROGRAMS / 4, "only %d schedules play a product again", with_repeats);
  check(heap.held == 0, "%zu bytes are still held", heap.held);
  return check_done("check_random");
}
