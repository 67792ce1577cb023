/* check_rng.c: the cipher against Random123's vectors; the streams by statistics; portable
 * functions against libm. All draws are fixed, so a statistic passes always or never. */
#include "check.h"
#include "portable.h"
#include "rng.h"

#define COUNT(a) ((int)(sizeof (a) / sizeof *(a)))

/* kat_vectors of Random123 1.14, "philox4x32 10". */
static void philox_vectors (void) {
  static const struct { uint32_t counter[4]; lurn_key key; uint32_t out[4]; } kat[] = {
    {{0, 0, 0, 0}, {{0, 0}}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
    {{~0u, ~0u, ~0u, ~0u}, {{~0u, ~0u}}, {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
    {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {{0xa4093822, 0x299f31d0}},
     {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (int i = 0; i < COUNT(kat); i++) {
    uint32_t out[4];
    lurn_philox(out, kat[i].counter, kat[i].key);
    check(memcmp(out, kat[i].out, sizeof out) == 0, "philox vector %d", i);
  }
}

/* --- keys and words ------------------------------------------------------------------------ */

static int compare_keys (const void *a, const void *b) {
  return memcmp(a, b, sizeof(lurn_key));
}

static void keys_differ (void) {
  static const char *names[] = {"", "a", "b", "ab", "ba", "lstm1.f.Wx", "lstm1.i.Wx"};
  static lurn_key keys[64 * 8 * 7];
  int n = 0;
  for (uint64_t seed = 0; seed < 64; seed++)
    for (int purpose = 0; purpose < 8; purpose++)
      for (int i = 0; i < 7; i++) keys[n++] = lurn_key_make(seed, (lurn_purpose)purpose, names[i]);
  qsort(keys, (size_t)n, sizeof *keys, compare_keys);
  for (int i = 1; i < n; i++) check(compare_keys(&keys[i - 1], &keys[i]) != 0, "two uses have one key");
  lurn_key none = lurn_key_make(1, LURN_PURPOSE_DATA, NULL), empty = lurn_key_make(1, LURN_PURPOSE_DATA, "");
  check(compare_keys(&none, &empty) == 0, "no name is the empty name");
}

static void words_agree (lurn_key key, uint64_t step, uint64_t seq, uint64_t pos) {
  uint32_t out[16];
  for (int n = 0; n <= 13; n++) {
    out[n] = 12345;
    lurn_random_words(out, n, key, step, seq, pos);
    for (int i = 0; i < n; i++)
      check(out[i] == lurn_random_word(key, step, seq, pos, (uint32_t)i), "word %d of %d", i, n);
    check(out[n] == 12345, "%d words write no more", n);
  }
}

/* Every coordinate counts, in its upper half too. */
static void coordinates_differ (lurn_key key) {
  static const uint64_t big = (uint64_t)1 << 32;
  static const uint64_t c[][4] = {
    {0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}, {0, 0, 0, 4},
    {1u << 31, 0, 0, 0}, {big, 0, 0, 0}, {0, big, 0, 0}, {0, 0, big, 0}, {big, big, 0, 0}, {big, 0, big, 0},
  };
  for (int i = 0; i < COUNT(c); i++)
    for (int k = 0; k < i; k++)
      check(lurn_random_word(key, c[i][0], c[i][1], c[i][2], (uint32_t)c[i][3])
            != lurn_random_word(key, c[k][0], c[k][1], c[k][2], (uint32_t)c[k][3]), "coordinates %d, %d", i, k);
}

/* --- streams ------------------------------------------------------------------------------- */

enum { DRAWS = 200000 };

static void uniform_statistics (lurn_key key) {
  double sum = 0, square = 0, lag = 0, last = 0.5, chi = 0;
  int bin[64] = {0};
  for (uint64_t i = 0; i < DRAWS; i++) {
    double u = lurn_random_uniform(key, i), d = u - 0.5;
    check(u >= 0 && u < 1 && floor(u * 0x1p53) == u * 0x1p53, "uniform %g", u);
    sum += d;
    square += d * d;
    lag += d * (last - 0.5);
    last = u;
    bin[(int)(64 * u)]++;
  }
  for (int i = 0; i < 64; i++) chi += (bin[i] - DRAWS / 64.0) * (bin[i] - DRAWS / 64.0) / (DRAWS / 64.0);
  check(fabs(sum / DRAWS) < 4 * sqrt(1 / 12.0 / DRAWS), "uniform mean off by %g", sum / DRAWS);
  check(fabs(square / DRAWS - 1 / 12.0) < 4 * sqrt(1 / 180.0 / DRAWS), "uniform variance %g", square / DRAWS);
  check(fabs(lag / DRAWS) < 4 / 12.0 / sqrt(DRAWS), "uniform neighbours' covariance %g", lag / DRAWS);
  check(chi < 103.4, "uniform chi square %g of 63 (0.999: 103.4)", chi);
}

static int compare_doubles (const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

/* Kolmogorov-Smirnov against the normal distribution, and four moments. */
static void normal_statistics (lurn_key key) {
  static double x[DRAWS];
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, lag = 0, ks = 0;
  for (uint64_t i = 0; i < DRAWS; i++) {
    double z = x[i] = lurn_random_normal(key, i);
    m1 += z / DRAWS;
    m2 += z * z / DRAWS;
    m3 += z * z * z / DRAWS;
    m4 += z * z * z * z / DRAWS;
    if (i > 0) lag += z * x[i - 1] / DRAWS;
  }
  double unit = 1 / sqrt(DRAWS);
  check(fabs(m1) < 4 * unit, "normal mean %g", m1);
  check(fabs(m2 - 1) < 4 * sqrt(2) * unit, "normal variance %g", m2);
  check(fabs(m3) < 4 * sqrt(15) * unit, "normal third moment %g", m3);
  check(fabs(m4 - 3) < 4 * sqrt(96) * unit, "normal fourth moment %g", m4);
  check(fabs(lag) < 4 * unit, "normal neighbours' covariance %g", lag);
  qsort(x, DRAWS, sizeof *x, compare_doubles);
  for (int i = 0; i < DRAWS; i++) ks = fmax(ks, fabs(0.5 * erfc(-x[i] / sqrt(2)) - (i + 0.5) / DRAWS));
  check(ks < 1.95 * unit, "normal KS %g (0.999: %g)", ks, 1.95 * unit);
  check(x[0] < -4 && x[DRAWS - 1] > 4, "normal tails %g %g", x[0], x[DRAWS - 1]);
}

/* The promise of the same bits on every machine: whoever breaks it sees other numbers here. */
static void stream_bits (void) {
  static const double uniform[] = {
    0x1.07ce9bb390cc4p-3, 0x1.3e62f421fbf36p-1, 0x1.0859fe650a0acp-2, 0x1.a5987d522cd75p-1};
  static const double normal[] = {
    -0x1.17ddbe2f1a0dap-1, 0x1.9f044d6074c08p-2, -0x1.509088507040dp-1, 0x1.fe21b065860e1p-2};
  static const uint64_t at[] = {0, 1, 1000, (uint64_t)1 << 40};
  lurn_key key = lurn_key_make(42, LURN_PURPOSE_INIT, "lstm1.f.Wx");
  for (int i = 0; i < COUNT(at); i++) {
    double u = lurn_random_uniform(key, at[i]), z = lurn_random_normal(key, at[i]);
    check(u == uniform[i], "uniform bits: %a, expected %a", u, uniform[i]);
    check(z == normal[i], "normal bits: %a, expected %a", z, normal[i]);
  }
}

/* Elements side by side are those that are asked for one by one. */
static void streams_agree (lurn_key key) {
  static const size_t sizes[] = {0, 1, 2, 3, 63, 64, 65, 127, 300};
  double u[302], z[302];
  for (int k = 0; k < COUNT(sizes); k++) {
    size_t n = sizes[k];
    u[n] = z[n] = 12345;
    lurn_random_uniforms(u, n, key);
    lurn_random_normals(z, n, key);
    for (size_t i = 0; i < n; i++)
      check(u[i] == lurn_random_uniform(key, i) && z[i] == lurn_random_normal(key, i), "element %zu of %zu", i, n);
    check(u[n] == 12345 && z[n] == 12345, "%zu elements write no more", n);
  }
}

static void below_range (lurn_key key) {
  static const uint64_t big[] = {1, 2, 3, ((uint64_t)1 << 63) + 1, ~(uint64_t)0};
  int bin[7] = {0}, high = 0;
  double chi = 0;
  for (int k = 0; k < COUNT(big); k++)
    for (uint64_t i = 0; i < 1000; i++)
      check(lurn_random_below(key, i, big[k]) < big[k], "below %llu", (unsigned long long)big[k]);
  for (uint64_t i = 0; i < 70000; i++) bin[lurn_random_below(key, i, 7)]++;
  for (int i = 0; i < 7; i++) chi += (bin[i] - 1e4) * (bin[i] - 1e4) / 1e4;
  check(chi < 22.5, "below 7: chi square %g of 6 (0.999: 22.5)", chi);
  /* A plain remainder would put the upper third of 3 * 2^62 into the lower: 1/4 instead of 1/3. */
  for (uint64_t i = 0; i < 30000; i++) high += lurn_random_below(key, i, (uint64_t)3 << 62) >= (uint64_t)1 << 63;
  check(abs(high - 10000) < 350, "below 3 * 2^62: %d of 30000 in the upper third", high);
}

static void permutation_uniformity (void) {
  int count[256] = {0}, kinds = 0;
  double chi = 0;
  for (uint64_t seed = 0; seed < 24000; seed++) {
    int64_t p[4];
    lurn_random_permutation(p, 4, lurn_key_make(seed, LURN_PURPOSE_SHUFFLE, "epoch"));
    count[p[0] | p[1] << 2 | p[2] << 4 | p[3] << 6]++;
  }
  for (int i = 0; i < 256; i++)
    if (count[i]) kinds++, chi += (count[i] - 1e3) * (count[i] - 1e3) / 1e3;
  check(kinds == 24, "%d of 24 orders of 4", kinds);
  check(chi < 49.7, "permutations: chi square %g of 23 (0.999: 49.7)", chi);
}

static void permutation_is_one (int64_t n) {
  static int64_t p[1001];
  static int seen[1001];
  memset(seen, 0, sizeof seen);
  p[n] = -7;
  lurn_random_permutation(p, n, lurn_key_make((uint64_t)n, LURN_PURPOSE_SHUFFLE, NULL));
  for (int64_t i = 0; i < n; i++) check(p[i] >= 0 && p[i] < n && seen[p[i]]++ == 0, "permutation of %d", (int)n);
  check(p[n] == -7, "permutation of %d writes no more", (int)n);
}

/* --- portable functions -------------------------------------------------------------------- */

static void portable_log_and_turn (lurn_key key) {
  double log_error = 0, turn_error = 0, sine, cosine;
  for (uint64_t i = 0; i < 100000; i++) {
    double u = lurn_random_uniform(key, i) + 0x1p-53, x = ldexp(u, (int)(i % 200) - 100), l = log(x);
    log_error = fmax(log_error, fabs(lurn_portable_log(x) - l) / fmax(fabs(l), 1e-300));
    lurn_portable_turn(u, &sine, &cosine);
    double angle = 6.283185307179586477 * u;
    turn_error = fmax(turn_error, fmax(fabs(sine - sin(angle)), fabs(cosine - cos(angle))));
  }
  check(log_error < 4.5e-16, "log: relative error %g", log_error);
  check(turn_error < 1.2e-15, "sine and cosine: error %g", turn_error);  /* of the angle, mostly */
  check(lurn_portable_log(1) == 0, "log 1 is 0");
}

static void portable_corners (void) {
  static const double want[][3] = {{0, 0, 1}, {0.25, 1, 0}, {0.5, 0, -1}, {0.75, -1, 0}, {1, 0, 1}};
  for (int i = 0; i < COUNT(want); i++) {
    double sine, cosine;
    lurn_portable_turn(want[i][0], &sine, &cosine);
    check(sine == want[i][1] && cosine == want[i][2], "turn %g is exact", want[i][0]);
  }
  for (int64_t n = 0; n < 3000; n = n * 3 / 2 + 1)
    check(near(lurn_portable_power(0.999, n) / pow(0.999, (double)n), 1, 1e-15 * (double)(n + 1)), "0.999^%d", (int)n);
  check(lurn_portable_power(2, 62) == 0x1p62 && lurn_portable_power(0, 0) == 1, "powers of 2, and 0^0");
  check(lurn_portable_power(0.5, INT64_MAX) == 0, "a power that vanishes");
}

int main (void) {
  lurn_key key = lurn_key_make(2024, LURN_PURPOSE_SCRIPT, "check");
  uint64_t big = (uint64_t)5 << 33;
  philox_vectors();
  keys_differ();
  words_agree(key, 3, 2, 1);
  words_agree(key, big, 2, big + 1);
  coordinates_differ(key);
  uniform_statistics(key);
  normal_statistics(key);
  stream_bits();
  streams_agree(key);
  below_range(key);
  permutation_uniformity();
  for (int64_t n = 0; n <= 1000; n += n < 5 ? 1 : 199) permutation_is_one(n);
  portable_log_and_turn(key);
  portable_corners();
  return check_done("check_rng");
}
