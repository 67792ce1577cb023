/* rng.h: random numbers as functions of what they are for.
 *
 * Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a block
 * cipher on counters. There is no hidden state to save or to disturb: the same question gives
 * the same answer, in any order, on any thread.
 *
 *   key      = hash of (seed, purpose, name)
 *   counter  = (step, sequence, position, column / 4)
 *
 * Purposes keep uses apart: evaluation draws never touch those of training.
 */
#ifndef LURN_RNG_H
#define LURN_RNG_H

#include "base.h"

typedef enum lurn_purpose {
  LURN_PURPOSE_INIT, LURN_PURPOSE_SHUFFLE, LURN_PURPOSE_TRAIN, LURN_PURPOSE_EVAL,
  LURN_PURPOSE_SAMPLE, LURN_PURPOSE_SCRIPT, LURN_PURPOSE_DATA, LURN_PURPOSE_SEARCH
} lurn_purpose;

typedef struct lurn_key { uint32_t k[2]; } lurn_key;

/* name may be NULL (same as ""). */
lurn_key lurn_key_make (uint64_t seed, lurn_purpose purpose, const char *name);

/* The raw block: 4 words from a 128-bit counter. Reference vectors are in tests/c/check_rng.c. */
void lurn_philox (uint32_t out[4], const uint32_t counter[4], lurn_key key);

/* One word for (step, sequence, position, column). */
uint32_t lurn_random_word (lurn_key key, uint64_t step, uint64_t seq, uint64_t pos, uint32_t col);
/* Where the words of (step, sequence, position) begin: the counter of columns 0..3, to be asked for under the
 * key that is returned. The next four columns are 1 further in counter[3]. */
lurn_key lurn_random_at (uint32_t counter[4], lurn_key key, uint64_t step, uint64_t seq, uint64_t pos);
/* Words for columns 0..n-1: the same as n calls, four at a time. */
void lurn_random_words (uint32_t *out, int n, lurn_key key, uint64_t step, uint64_t seq, uint64_t pos);

/* Flat streams: element i of a named stream. Same values in f32 and f64 builds up to rounding. */
double lurn_random_uniform (lurn_key key, uint64_t i);   /* [0, 1), 53 bits */
double lurn_random_normal (lurn_key key, uint64_t i);    /* mean 0, deviation 1 (Box-Muller) */
/* Elements 0..n-1 of such a stream: the same as n calls, many at a time. */
void lurn_random_uniforms (double *out, size_t n, lurn_key key);
void lurn_random_normals (double *out, size_t n, lurn_key key);
uint64_t lurn_random_below (lurn_key key, uint64_t i, uint64_t n);   /* 0..n-1, unbiased; n > 0 */
/* Fisher-Yates: p becomes a permutation of 0..n-1. */
void lurn_random_permutation (int64_t *p, int64_t n, lurn_key key);

#endif
