/* sha256.c: FIPS 180-4, section 6.2, with its letters. */
#include "sha256.h"

#include <string.h>

#include "kernel.h"

const uint32_t lurn_sha256_k[64] = {
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
};

#define ROTR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))

static uint32_t word_at (const uint8_t *p) {
  return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* One round with the letters of the standard. The eight words change places every round; naming
 * them anew eight times over spares the moves. */
#define ROUND(a, b, c, d, e, f, g, h, t) do { \
  uint32_t t1 = h + (ROTR(e, 6) ^ ROTR(e, 11) ^ ROTR(e, 25)) + (g ^ (e & (f ^ g))) + k[t] + w[t]; \
  d += t1; \
  h = t1 + (ROTR(a, 2) ^ ROTR(a, 13) ^ ROTR(a, 22)) + ((a & b) | (c & (a | b))); \
} while (0)

static void compress (uint32_t H[8], const uint8_t *block, const uint32_t k[64]) {
  uint32_t w[64];
  for (int t = 0; t < 16; t++) w[t] = word_at(block + 4 * t);
  for (int t = 16; t < 64; t++) {
    uint32_t s0 = ROTR(w[t-15], 7) ^ ROTR(w[t-15], 18) ^ (w[t-15] >> 3);
    uint32_t s1 = ROTR(w[t-2], 17) ^ ROTR(w[t-2], 19) ^ (w[t-2] >> 10);
    w[t] = w[t-16] + s0 + w[t-7] + s1;
  }
  uint32_t a = H[0], b = H[1], c = H[2], d = H[3], e = H[4], f = H[5], g = H[6], h = H[7];
  for (int t = 0; t < 64; t += 8) {
    ROUND(a, b, c, d, e, f, g, h, t);
    ROUND(h, a, b, c, d, e, f, g, t + 1);
    ROUND(g, h, a, b, c, d, e, f, t + 2);
    ROUND(f, g, h, a, b, c, d, e, t + 3);
    ROUND(e, f, g, h, a, b, c, d, t + 4);
    ROUND(d, e, f, g, h, a, b, c, t + 5);
    ROUND(c, d, e, f, g, h, a, b, t + 6);
    ROUND(b, c, d, e, f, g, h, a, t + 7);
  }
  H[0] += a; H[1] += b; H[2] += c; H[3] += d; H[4] += e; H[5] += f; H[6] += g; H[7] += h;
}

void lurn_sha256_plain (uint32_t h[8], const uint8_t *block, size_t n, const uint32_t k[64]) {
  for (; n > 0; n--, block += 64) compress(h, block, k);
}

void lurn_sha256_init (lurn_sha256 *s) {
  static const uint32_t start[8] = {
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19
  };
  memcpy(s->h, start, sizeof start);
  s->size = 0;
  s->compress = lurn_kernels_sha256();
  if (!s->compress) s->compress = lurn_sha256_plain;
}

void lurn_sha256_add (lurn_sha256 *s, const void *bytes, size_t n) {
  const uint8_t *p = bytes;
  size_t have = s->size % 64;
  s->size += n;
  if (have > 0) {
    size_t take = n < 64 - have ? n : 64 - have;
    memcpy(s->block + have, p, take);
    p += take;
    n -= take;
    if (have + take < 64) return;
    s->compress(s->h, s->block, 1, lurn_sha256_k);
  }
  s->compress(s->h, p, n / 64, lurn_sha256_k);
  if (n % 64 > 0) memcpy(s->block, p + n / 64 * 64, n % 64);
}

void lurn_sha256_integer (lurn_sha256 *s, uint64_t v, int size) {
  uint8_t bytes[8];
  for (int i = 0; i < size; i++) bytes[i] = (uint8_t)(v >> (8 * i));
  lurn_sha256_add(s, bytes, (size_t)size);
}

const char *lurn_sha256_hex (lurn_sha256 *s, char hex[LURN_SHA256_HEX]) {
  static const uint8_t pad[72] = { 0x80 };
  uint8_t length[8];
  uint64_t bits = s->size * 8;
  for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
  lurn_sha256_add(s, pad, 1 + (119 - s->size % 64) % 64);
  lurn_sha256_add(s, length, 8);
  for (int i = 0; i < 64; i++) hex[i] = "0123456789abcdef"[s->h[i / 8] >> (28 - 4 * (i % 8)) & 15];
  hex[64] = '\0';
  return hex;
}
