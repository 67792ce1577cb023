/* rng.c: Philox, keys, and the streams made of them. */
#include "rng.h"
#include "portable.h"

#include <math.h>

/* The fourth counter word of lurn_random_word is column / 4, below 2^30. Everything else that
 * draws from the same key sets the top bit there, so that no two uses share a block. */
enum { UNIFORM = 1u, NORMAL = 2u, BELOW = 3u, WIDE = 4u };
#define OTHER_USE 0x80000000u

/* --- keys ---------------------------------------------------------------------------------- */

/* The finaliser of SplitMix64 (Steele et al., OOPSLA 2014): every input bit reaches every
 * output bit. */
static uint64_t mix (uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* FNV-1a, 64 bits: bytes of the name in order, the same on either endianness. */
static uint64_t hash_name (const char *name) {
  uint64_t h = 0xcbf29ce484222325u;
  for (; name && *name; name++) h = (h ^ (unsigned char)*name) * 0x100000001b3u;
  return h;
}

/* Mixing between the parts keeps (1, 2) and (2, 1) apart; the odd constant moves the fixed
 * point 0 of mix() away from the common seed 0. */
lurn_key lurn_key_make (uint64_t seed, lurn_purpose purpose, const char *name) {
  uint64_t h = mix(seed + 0x9e3779b97f4a7c15u);
  h = mix(h + (uint64_t)purpose + 1);
  h = mix(h ^ hash_name(name));
  lurn_key key = {{(uint32_t)h, (uint32_t)(h >> 32)}};
  return key;
}

/* --- the block ----------------------------------------------------------------------------- */

/* One round: two 32x32 -> 64 bit products; their high halves meet the other words and the key. */
static inline void round_once (uint32_t *a, uint32_t *b, uint32_t *c, uint32_t *d, lurn_key key) {
  uint64_t p0 = (uint64_t)0xD2511F53u * *a;
  uint64_t p1 = (uint64_t)0xCD9E8D57u * *c;
  *a = (uint32_t)(p1 >> 32) ^ *b ^ key.k[0];
  *b = (uint32_t)p1;
  *c = (uint32_t)(p0 >> 32) ^ *d ^ key.k[1];
  *d = (uint32_t)p0;
}

/* The key of the next round. Weyl sequences: the golden ratio, sqrt 3 - 1. */
static inline lurn_key next_key (lurn_key key) {
  key.k[0] += 0x9E3779B9u;
  key.k[1] += 0xBB67AE85u;
  return key;
}

void lurn_philox (uint32_t out[4], const uint32_t counter[4], lurn_key key) {
  uint32_t c[4] = {counter[0], counter[1], counter[2], counter[3]};
  for (int r = 0; r < 10; r++, key = next_key(key)) round_once(&c[0], &c[1], &c[2], &c[3], key);
  for (int i = 0; i < 4; i++) out[i] = c[i];
}

/* Blocks, and pairs of numbers, that are worked out side by side: rounds and series are chains, which a processor can
 * only hurry through when it has several. */
enum { MANY = 32 };

/* The blocks of MANY counters, in their place. */
static void many_blocks (uint32_t c[4][MANY], lurn_key key) {
  for (int r = 0; r < 10; r++, key = next_key(key))
    for (int l = 0; l < MANY; l++) round_once(&c[0][l], &c[1][l], &c[2][l], &c[3][l], key);
}

/* --- words by coordinates ------------------------------------------------------------------ */

/* The counter has room for the low halves of step, sequence and position. A coordinate beyond
 * 2^32 changes the key instead, by a block of the high halves, so that nothing ever wraps. */
static lurn_key widen (lurn_key key, uint64_t step, uint64_t seq, uint64_t pos) {
  uint32_t high[4] = {(uint32_t)(step >> 32), (uint32_t)(seq >> 32), (uint32_t)(pos >> 32), OTHER_USE + WIDE};
  uint32_t out[4];
  if ((high[0] | high[1] | high[2]) == 0) return key;
  lurn_philox(out, high, key);
  key.k[0] = out[0];
  key.k[1] = out[1];
  return key;
}

lurn_key lurn_random_at (uint32_t counter[4], lurn_key key, uint64_t step, uint64_t seq, uint64_t pos) {
  counter[0] = (uint32_t)step;
  counter[1] = (uint32_t)seq;
  counter[2] = (uint32_t)pos;
  counter[3] = 0;
  return widen(key, step, seq, pos);
}

uint32_t lurn_random_word (lurn_key key, uint64_t step, uint64_t seq, uint64_t pos, uint32_t col) {
  uint32_t counter[4], block[4];
  key = lurn_random_at(counter, key, step, seq, pos);
  counter[3] = col / 4;
  lurn_philox(block, counter, key);
  return block[col % 4];
}

void lurn_random_words (uint32_t *out, int n, lurn_key key, uint64_t step, uint64_t seq, uint64_t pos) {
  uint32_t counter[4], block[4];
  int i = 0;
  key = lurn_random_at(counter, key, step, seq, pos);
  for (; i + 4 <= n; i += 4, counter[3]++) lurn_philox(out + i, counter, key);
  if (i == n) return;
  lurn_philox(block, counter, key);
  for (int k = 0; i < n; i++, k++) out[i] = block[k];
}

/* --- flat streams -------------------------------------------------------------------------- */

/* Block `i` of a use, as two 64-bit words. `attempt` is for draws that may have to be repeated. */
static void pair (uint64_t w[2], lurn_key key, uint64_t i, uint32_t attempt, uint32_t use) {
  uint32_t counter[4] = {(uint32_t)i, (uint32_t)(i >> 32), attempt, OTHER_USE + use}, block[4];
  lurn_philox(block, counter, key);
  w[0] = block[0] | (uint64_t)block[1] << 32;
  w[1] = block[2] | (uint64_t)block[3] << 32;
}

/* The top 53 bits as a multiple of 2^-53: exact, and never 1. */
static double fraction (uint64_t word) {
  return (double)(word >> 11) * 0x1p-53;
}

/* The fractions of both words of blocks i .. i + MANY - 1. */
static void many_pairs (double u[MANY], double v[MANY], lurn_key key, uint64_t i, uint32_t use) {
  uint32_t c[4][MANY];
  for (uint32_t l = 0; l < MANY; l++) {
    c[0][l] = (uint32_t)(i + l);
    c[1][l] = (uint32_t)((i + l) >> 32);
    c[2][l] = 0;
    c[3][l] = OTHER_USE + use;
  }
  many_blocks(c, key);
  for (int l = 0; l < MANY; l++) {
    u[l] = fraction(c[0][l] | (uint64_t)c[1][l] << 32);
    v[l] = fraction(c[2][l] | (uint64_t)c[3][l] << 32);
  }
}

double lurn_random_uniform (lurn_key key, uint64_t i) {
  uint64_t w[2];
  pair(w, key, i / 2, 0, UNIFORM);
  return fraction(w[i % 2]);
}

/* Box & Muller 1958: r = sqrt(-2 ln u), u in (0, 1]; the pair is r cos 2 pi v, r sin 2 pi v. */
double lurn_random_normal (lurn_key key, uint64_t i) {
  uint64_t w[2];
  double sine, cosine;
  pair(w, key, i / 2, 0, NORMAL);
  double r = sqrt(-2.0 * lurn_portable_log(fraction(w[0]) + 0x1p-53));
  lurn_portable_turn(fraction(w[1]), &sine, &cosine);
  return r * (i % 2 ? sine : cosine);
}

static void many_normals (double u[MANY], double v[MANY]) {
  double sine[MANY], cosine[MANY];
  for (int l = 0; l < MANY; l++) u[l] += 0x1p-53;
  lurn_portable_logs(u, MANY);
  lurn_portable_turns(v, sine, cosine, MANY);
  for (int l = 0; l < MANY; l++) {
    double r = sqrt(-2.0 * u[l]);
    u[l] = r * cosine[l];
    v[l] = r * sine[l];
  }
}

static void fill (double *out, size_t n, lurn_key key, uint32_t use) {
  for (size_t i = 0; i < n; i += 2 * MANY) {
    double u[MANY], v[MANY];
    many_pairs(u, v, key, i / 2, use);
    if (use == NORMAL) many_normals(u, v);
    for (size_t l = 0; l < 2 * MANY && i + l < n; l++) out[i + l] = l % 2 ? v[l / 2] : u[l / 2];
  }
}

void lurn_random_uniforms (double *out, size_t n, lurn_key key) { fill(out, n, key, UNIFORM); }
void lurn_random_normals (double *out, size_t n, lurn_key key) { fill(out, n, key, NORMAL); }

/* 2^64 mod n words at the bottom are refused: what remains is a whole number of times n. */
uint64_t lurn_random_below (lurn_key key, uint64_t i, uint64_t n) {
  uint64_t w[2], refused = (0 - n) % n;
  for (uint32_t attempt = 0; ; attempt++) {
    pair(w, key, i, attempt, BELOW);
    if (w[0] >= refused) return w[0] % n;
    if (w[1] >= refused) return w[1] % n;
  }
}

void lurn_random_permutation (int64_t *p, int64_t n, lurn_key key) {
  for (int64_t i = 0; i < n; i++) p[i] = i;
  for (int64_t i = n - 1; i > 0; i--) {
    int64_t j = (int64_t)lurn_random_below(key, (uint64_t)i, (uint64_t)i + 1), t = p[i];
    p[i] = p[j];
    p[j] = t;
  }
}
