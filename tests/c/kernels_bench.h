/* kernels_bench.h: check_kernels --bench. Every figure is the best of several runs. Cycles are those of the
 * processor's time-stamp counter, which runs at its nominal speed; elsewhere than on x86-64 they are nanoseconds. */
#ifndef KERNELS_BENCH_H
#define KERNELS_BENCH_H

#include <time.h>
#include "kernels_random.h"
#include "kernel/kernel.h"

static double bench_now (void) {
  struct timespec t;
  timespec_get(&t, TIME_UTC);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- the peak: twelve independent chains of fused multiply-adds in registers ------------- */

#if defined(__x86_64__) && defined(__GNUC__)
#define BENCH_FMA(reg, i) "vfmadd231" BENCH_SUFFIX " %%" reg "12, %%" reg "13, %%" reg i "\n\t"
#define BENCH_FMAS(reg) \
  BENCH_FMA(reg, "0") BENCH_FMA(reg, "1") BENCH_FMA(reg, "2") BENCH_FMA(reg, "3") \
  BENCH_FMA(reg, "4") BENCH_FMA(reg, "5") BENCH_FMA(reg, "6") BENCH_FMA(reg, "7") \
  BENCH_FMA(reg, "8") BENCH_FMA(reg, "9") BENCH_FMA(reg, "10") BENCH_FMA(reg, "11")
#define BENCH_LOOP(reg) \
  __asm__ volatile("vzeroall\n\t" "1:\n\t" BENCH_FMAS(reg) "sub $1, %0\n\t" "jnz 1b\n\t" "vzeroupper" \
    : "+r"(rounds) : : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", \
    "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
#ifdef LURN_F64
#define BENCH_SUFFIX "pd"
#else
#define BENCH_SUFFIX "ps"
#endif
static int bench_chains (const char *isa, long rounds) {
  if (strcmp(isa, "avx512") == 0) {
    BENCH_LOOP("zmm");
    return 64 / (int)sizeof(real);
  }
  if (strcmp(isa, "avx2") == 0) {
    BENCH_LOOP("ymm");
    return 32 / (int)sizeof(real);
  }
  return 0;
}
#else
static int bench_chains (const char *isa, long rounds) { (void)isa, (void)rounds; return 0; }
#endif

static double bench_peak (const char *isa) {
  const long rounds = 1000000;
  double best = 0;
  for (int i = 0; i < 60; i++) {
    const double start = bench_now();
    const double flops = 2.0 * 12 * (double)rounds * bench_chains(isa, rounds);
    const double rate = 1e-9 * flops / (bench_now() - start);
    if (rate > best) best = rate;
  }
  return best;
}

/* ---- products --------------------------------------------------------------------------- */

static const int bench_shapes[][3] = {           /* M, K, N */
  { 1, 128, 512 }, { 2, 128, 512 }, { 4, 128, 512 }, { 16, 64, 256 }, { 32, 128, 512 }, { 50, 128, 512 },
  { 20, 650, 2600 }, { 64, 1024, 4096 }, { 2500, 128, 512 }
};
static const int bench_outers[][3] = { { 16, 64, 256 }, { 2500, 128, 512 }, { 700, 650, 2600 }, { 3200, 1024, 4096 } };

typedef struct bench_job { const lurn_kernels *t; const int *s; real *a, *b, *c, *packed; } bench_job;

static void bench_product (const bench_job *j) {
  const int M = j->s[0], K = j->s[1], N = j->s[2];
  const lurn_product p = { M, N, K, j->a, K, j->packed, NULL, 0, j->c, N };
  j->t->product(&p, 1);
}

static void bench_outer (const bench_job *j) {
  const int M = j->s[0], K = j->s[1], N = j->s[2];
  j->t->outer(M, K, N, j->a, K, j->b, N, j->c, N);
}

static void bench_pack (const bench_job *j) { j->t->pack(j->packed, j->b, j->s[1], j->s[2], 0); }
static void bench_pack_trans (const bench_job *j) { j->t->pack(j->packed, j->b, j->s[1], j->s[2], 1); }

/* Seconds of one call: the best of many within about 100 ms. */
static double bench_time (void (*run) (const bench_job *), const bench_job *j) {
  double best = 1e9, spent = 0;
  int repeat = 1;                    /* calls a clock reading, once one call's time is known */
  for (int i = 0; i < 3 || spent < 0.1; i++) {
    const double start = bench_now();
    for (int r = 0; r < repeat; r++) run(j);
    const double seconds = (bench_now() - start) / repeat;
    spent += seconds * repeat;
    repeat = seconds > 2e-5 ? 1 : 20;
    if (seconds < best) best = seconds;
  }
  return best;
}

static void bench_shape (const lurn_kernels *t, const int *s, double peak, int outer) {
  const size_t M = (size_t)s[0], K = (size_t)s[1], N = (size_t)s[2];
  const double flops = 2e-9 * (double)M * (double)K * (double)N;
  const bench_job j = {
    t, s, numbers(M * K, plain_value), numbers(outer ? M * N : K * N, plain_value), numbers((outer ? K : M) * N, plain_value),
    aligned_alloc(LURN_ALIGN, lurn_align((t->pack_count(s[1], s[2]) + 1) * sizeof(real)))
  };
  if (!outer) t->pack(j.packed, j.b, s[1], s[2], 0);
  const double rate = flops / bench_time(outer ? bench_outer : bench_product, &j);
  printf("%-7s %-8s M %4d K %4d N %4d  %7.1f GF/s", t->isa, outer ? "outer" : "product", s[0], s[1], s[2], rate);
  if (peak > 0) printf("  %3.0f %%", 100 * rate / peak);
  if (!outer) printf("   pack %.2f, transposed %.2f ns/element", 1e9 * bench_time(bench_pack, &j) / (double)(K * N),
                     1e9 * bench_time(bench_pack_trans, &j) / (double)(K * N));
  printf("\n");
  free(j.a), free(j.b), free(j.c), free(j.packed);
}

/* ---- maps and rows ---------------------------------------------------------------------- */

#define BENCH_N 2048                 /* a strip that stays in the first-level cache */
#define BENCH_ROWS (BENCH_N / 64)
#define BENCH_REPEAT 20

#if defined(__x86_64__) && defined(__GNUC__)
#define BENCH_UNIT "cycles"
static double bench_ticks (void) { return (double)__builtin_ia32_rdtsc(); }
#else
#define BENCH_UNIT "ns"
static double bench_ticks (void) { return 1e9 * bench_now(); }
#endif

static real bench_y[BENCH_N];
static int32_t bench_arg[BENCH_ROWS];
static double bench_lanes[16];
static volatile double bench_result;            /* so that no sum is left out as unused */

static void run_row_sum (const lurn_kernels *t, const real *x) { t->row_sum(bench_y, x, BENCH_ROWS, 64); }
static void run_row_max (const lurn_kernels *t, const real *x) { t->row_max(bench_y, x, BENCH_ROWS, 64); }
static void run_row_lse (const lurn_kernels *t, const real *x) { t->row_lse(bench_y, x, BENCH_ROWS, 64); }
static void run_row_argmax (const lurn_kernels *t, const real *x) { t->row_argmax(bench_arg, x, BENCH_ROWS, 64); }
static void run_row_norm (const lurn_kernels *t, const real *x) { t->row_norm(bench_y, x, 1, BENCH_ROWS, 64); }
static void run_row_norm_grad (const lurn_kernels *t, const real *x) {
  t->row_norm_grad(bench_y, x, x, 1, BENCH_ROWS, 64);
}
static void run_sum (const lurn_kernels *t, const real *x) { bench_result = t->sum(x, BENCH_N); }
static void run_sum_squares (const lurn_kernels *t, const real *x) { bench_result = t->sum_squares(x, BENCH_N); }
static void run_sum_on (const lurn_kernels *t, const real *x) { t->sum_on(bench_lanes, 0, x, BENCH_N); }
static void run_sum_up (const lurn_kernels *t, const real *x) {
  (void)x;
  for (int i = 0; i < BENCH_N / 16; i++) bench_result = t->sum_up(bench_lanes);
}
static void run_row_fill (const lurn_kernels *t, const real *x) { t->row_fill(bench_y, x, 1, BENCH_ROWS, 64); }
static void run_scatter (const lurn_kernels *t, const real *x) {
  static const int32_t id[BENCH_ROWS] = { 0, 9, 1, 7, 3, 3, 5, 1 };
  t->scatter(BENCH_ROWS, 64, id, BENCH_ROWS, -1, x, 64, bench_y, 64);
}
static void run_dropout (const lurn_kernels *t, const real *x) {
  const uint32_t counter[4] = {0}, key[2] = {0};
  for (int i = 0; i < BENCH_N; i += 64) t->dropout(bench_y, x + i, 2, 1u << 31, counter, key, 64);
}
static void run_column_sum (const lurn_kernels *t, const real *x) { t->column_sum(BENCH_ROWS, 64, x, 64, bench_y); }
static void run_column_dot (const lurn_kernels *t, const real *x) {
  t->column_dot(BENCH_ROWS, 64, x, 64, x, 64, bench_y);
}

static const struct bench_row { const char *name; void (*run) (const lurn_kernels *t, const real *x); } bench_rows[] = {
  { "row_sum", run_row_sum }, { "row_max", run_row_max }, { "row_lse", run_row_lse }, { "row_argmax", run_row_argmax },
  { "row_norm", run_row_norm }, { "row_norm_grad", run_row_norm_grad }, { "row_fill", run_row_fill }, { "sum", run_sum },
  { "sum_squares", run_sum_squares }, { "sum_on", run_sum_on }, { "sum_up", run_sum_up },
  { "dropout", run_dropout }, { "column_sum", run_column_sum }, { "column_dot", run_column_dot },
  { "scatter", run_scatter },
};

/* Cycles per element of a map, or of row kernel r when the map is LURN_NMAPS. */
static double bench_element (const lurn_kernels *t, int map, const struct bench_row *r, real *y, const real *x) {
  double best = 1e18;
  for (int i = 0; i < 30; i++) {
    const double start = bench_ticks();
    for (int k = 0; k < BENCH_REPEAT; k++)
      if (r) r->run(t, x);
      else t->map[map](y, x, x, x, 1, BENCH_N);
    const double ticks = (bench_ticks() - start) / (BENCH_N * BENCH_REPEAT);
    if (ticks < best) best = ticks;
  }
  return best;
}

static void bench_line (const char *const *list, const char *name, int map, const struct bench_row *r, real *y,
                        const real *x) {
  printf("\n%-15s", name);
  for (int i = 0; list[i]; i++) printf("%9.3f", bench_element(lurn_kernels_find(list[i]), map, r, y, x));
}

static void bench_elements (const char *const *list) {
  real *x = numbers(BENCH_N, plain_value), *y = numbers(BENCH_N, plain_value);
  printf("\n%-15s", BENCH_UNIT "/element");
  for (int i = 0; list[i]; i++) printf("%9s", list[i]);
  for (int m = 0; m < LURN_NMAPS; m++) bench_line(list, lurn_map_name((lurn_map)m), m, NULL, y, x);
  for (size_t r = 0; r < sizeof bench_rows / sizeof *bench_rows; r++)
    bench_line(list, bench_rows[r].name, LURN_NMAPS, &bench_rows[r], y, x);
  printf("\n");
  free(x);
  free(y);
}

static int bench (const char *const *list) {
  for (int i = 0; list[i]; i++) {
    const lurn_kernels *t = lurn_kernels_find(list[i]);
    const double peak = bench_peak(t->isa);
    if (peak > 0) printf("%-7s measured peak %.1f GF/s\n", t->isa, peak);
    /* plain C where fma is a call: the small shapes say enough */
    const int shapes = peak > 0 ? (int)(sizeof bench_shapes / sizeof *bench_shapes) : 6;
    const int outers = peak > 0 ? (int)(sizeof bench_outers / sizeof *bench_outers) : 1;
    for (int s = 0; s < shapes; s++) bench_shape(t, bench_shapes[s], peak, 0);
    for (int s = 0; s < outers; s++) bench_shape(t, bench_outers[s], peak, 1);
  }
  bench_elements(list);
  return EXIT_SUCCESS;
}

#endif
