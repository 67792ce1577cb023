/* batch.h: one window of sequences as the engine plays it: packed ragged time.
 *
 * B rows, longest first. Step t plays its live rows 0..live[t]-1 and no others; live never
 * increases. A time-axis array holds the live frames of step 0, then of step 1, and so on:
 * frame (t, r) is at start[t] + r, start[T] == N is the number of frames. When all rows have
 * T steps this is the ordinary (T, B, ...) layout.
 *
 *   x      time axis: indices (N) or reals (N, D)
 *   y      targets: indices or reals, on the time axis or one per row; index -1 is ignored
 *   mask   optional reals (N): weight of each frame in the loss
 *   reset  optional reals (N): 1 where the state before that step is the initial state
 * A batch owns nothing: whoever made it keeps the memory until the next one is asked for.
 */
#ifndef LURN_BATCH_H
#define LURN_BATCH_H

#include "tensor.h"

#define LURN_MAX_FIELDS 16

typedef enum lurn_axis_kind { LURN_ONCE, LURN_ROW, LURN_TIME } lurn_axis_kind;   /* TIME + k: the k-th time axis */

typedef struct lurn_field {
  char name[32];                /* "x", "y", "mask", "reset", or what the model's function asks for */
  lurn_dtype dtype;
  int axis;                     /* LURN_ROW or LURN_TIME */
  int cols;                     /* numbers per row or frame; 1 for indices */
  const void *data;
} lurn_field;

typedef struct lurn_batch {
  int T, B, N;
  const int32_t *live;          /* (T) */
  const int32_t *start;         /* (T+1) */
  const uint64_t *seq;          /* (B) identity of each row's sequence, for random numbers */
  const int64_t *pos;           /* (B) place of each row's first step within its sequence */
  int carry;                    /* 1: rows go on where the previous batch stopped */
  int nfield;
  lurn_field field[LURN_MAX_FIELDS];
  uint64_t serial;              /* grows whenever its memory is filled anew */
} lurn_batch;

const lurn_field *lurn_batch_field (const lurn_batch *b, const char *name);      /* or NULL */
/* Lengths (B, descending, each >= 1) into live (max length) and start (max length + 1); returns N. */
int lurn_batch_pack (int B, const int32_t *length, int32_t *live, int32_t *start);

#endif
