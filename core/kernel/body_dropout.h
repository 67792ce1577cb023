/* body_dropout.h: dropout, and the random words that it is drawn by, several blocks at a time. */
#ifndef LURN_BODY_DROPOUT_H
#define LURN_BODY_DROPOUT_H

#include "kernel.h"

/* Blocks of one go, of four words each: two vectors of them hide the latency of the multiplications. */
#define DRAW (2 * QL)

/* Philox4x32-10 as rng.c has it. A lane has a word of a block in its lower half; the upper one may have
 * anything, as the multiplication does not look at it. */
static inline void draw (uint32_t *word, const uint32_t counter[4], const uint32_t key[2]) {
  const vq m0 = vq_set(0xD2511F53u), m1 = vq_set(0xCD9E8D57u);
  vq c[2][4];
  for (int v = 0; v < 2; v++) {
    for (int i = 0; i < 3; i++) c[v][i] = vq_set(counter[i]);
    c[v][3] = vq_add(vq_set(counter[3] + (uint32_t)(v * QL)), vq_count());
  }
  vq k0 = vq_set(key[0]), k1 = vq_set(key[1]);
  for (int r = 0; r < 10; r++, k0 = vq_add(k0, vq_set(0x9E3779B9u)), k1 = vq_add(k1, vq_set(0xBB67AE85u))) {
    for (int v = 0; v < 2; v++) {
      const vq p0 = vq_mul(m0, c[v][0]), p1 = vq_mul(m1, c[v][2]);
      c[v][0] = vq_xor(vq_xor(vq_high(p1), c[v][1]), k0);
      c[v][1] = p1;
      c[v][2] = vq_xor(vq_xor(vq_high(p0), c[v][3]), k1);
      c[v][3] = p0;
    }
  }
  for (int v = 0; v < 2; v++) vq_lay(word + 4 * v * QL, c[v]);
}

static void dropout (real *y, const real *x, real scale, uint32_t highest, const uint32_t counter[4], const uint32_t key[2],
                     int n) {
  uint32_t word[4 * DRAW], at[4] = { counter[0], counter[1], counter[2], counter[3] };
  for (int j = 0; j < n; j += 4 * DRAW, at[3] += DRAW) {
    const int end = n - j < 4 * DRAW ? n - j : 4 * DRAW;
    draw(word, at, key);
    for (int m = 0; m < end; m++) {
      const real kept = x[j + m] * scale;
      y[j + m] = word[m] > highest ? kept : 0;
    }
  }
}

#endif
