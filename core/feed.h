/* feed.h: batches from one split of a data set, as pure functions of (seed, epoch, step).
 *
 * Two ways to play a split:
 *
 * LURN_FEED_STREAM, for one long text. The frames of the split, its ranges one after the other,
 *   are cut into B rows, one long piece each. Step k plays the k-th window of `seq` frames of every
 *   row, with carry = 1 but for the first window of an epoch. With targets "next", y is the
 *   frame after x, also across the ends of rows: over an epoch every frame of the split but the very first
 *   is the target exactly once. Rows differ in length by one frame at most; the last window is
 *   shorter than the others, and when only some rows have a frame left it has fewer rows. A split too
 *   small for B rows of one window has fewer rows, in the end one. seq is the row's number, pos the
 *   frame within the row.
 *
 * LURN_FEED_SEQUENCE, for many sequences (with unit "frame": the ranges of the split). B whole
 *   sequences at a time, in an order shuffled anew for every epoch, or as they come. With bucket = n sequences of
 *   like length come together, so that rows of a batch end at about the same time: of that order
 *   every n B sequences are sorted by length, cut into batches, and the batches shuffled (but for the last one, where
 *   it has fewer rows). Every sequence still comes once an epoch, in other company each time. In a batch
 *   the rows are sorted by length, longest first, equals in the order in which they came. With seq > 0 longer
 *   sequences are played in windows: later windows have carry = 1, and rows drop out at the
 *   back as they end. seq is the sequence's number in the set, pos its first step of the window.
 *   With targets "next" a sequence of L frames has L-1 steps; those without a step are left out.
 *
 * With stride < seq windows overlap: truncated backpropagation through time with k1 = stride and k2 = seq (Williams &
 *   Peng 1990). A window ends `stride` frames after the one before it and goes back seq frames at most; only its new
 *   frames have targets (others: none; weight 0 of a mask), and it begins with the state that the window before it had
 *   there (lurn_batch.hand).
 *
 * A set with a second time axis is played in whole sequences; batches then have `along` it.
 *
 * lurn_feed_plan tells the bytes, lurn_feed_place takes them, aligned to LURN_ALIGN; nothing is
 * allocated afterwards. The data set must outlive the feed; feeds of one set may not be used by two threads at once.
 */
#ifndef LURN_FEED_H
#define LURN_FEED_H

#include "data.h"
#include "rng.h"

typedef enum lurn_feed_mode { LURN_FEED_STREAM, LURN_FEED_SEQUENCE } lurn_feed_mode;

typedef struct lurn_feed_options {
  const char *split;            /* NULL: everything */
  lurn_feed_mode mode;
  int B;                        /* rows wanted */
  int seq;                      /* frames in a window; SEQUENCE: 0 is whole sequences */
  int stride;                   /* new frames in a window; 0: seq, all of them */
  int shuffle;                  /* SEQUENCE only */
  int bucket;                   /* SEQUENCE only: batches whose sequences are sorted together; 0: none are */
  uint64_t seed;
} lurn_feed_options;

typedef struct lurn_feed {
  lurn_data *data;
  lurn_feed_options how;
  char split[32];
  int B, T, N;                  /* at most, of any batch */
  int64_t nitem, frames;        /* pieces of the split; STREAM: steps of all rows together */
  int64_t frames2;              /* of all pieces along the second time axis */
  int64_t *item;                /* (nitem, 3): first frame, steps, number */
  int64_t epoch;                /* the one that order and group stand for; -1: none */
  int64_t *order, *scratch;     /* (nitem) */
  int64_t *group;               /* (groups+1): the first step of every group of B sequences */
  int64_t *at, *pos;            /* (B): where each row of the batch begins */
  uint64_t *seq;                /* (B) */
  int32_t *length, *live, *start;
  int32_t old;                  /* frames at the beginning of the window that were new in an earlier one */
  int T2, N2;                   /* along the second time axis; 0: there is none */
  uint64_t *seq2;               /* (B) and so on, as above, in the order of that axis */
  int64_t *pos2;
  int32_t *length2, *live2, *start2, *place, *rank;
  lurn_batch along;
  void *field[LURN_MAX_COLUMNS];
  void *run;                    /* one row of one column */
  size_t bytes;
} lurn_feed;

lurn_status lurn_feed_plan (lurn_ctx *ctx, lurn_feed *f, lurn_data *data, const lurn_feed_options *how);
void lurn_feed_place (lurn_feed *f, void *memory);
/* Batches of that epoch; with windows and a shuffled order epochs may differ. 0: nothing to play. */
int64_t lurn_feed_steps (lurn_feed *f, int64_t epoch);
/* Steps of sequences (targets that can be learnt from) in an epoch. */
int64_t lurn_feed_frames (const lurn_feed *f);
/* The batch's memory is the feed's and is used again for the next one. */
lurn_status lurn_feed_batch (lurn_ctx *ctx, lurn_feed *f, int64_t epoch, int64_t step, lurn_batch *out);

#endif
