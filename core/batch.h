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
 *
 * The same sequences may have more than one time axis: a decoder's steps and an encoder's, frames of speech and
 * their labels. Each has its own lengths and so its own order of rows, longest first: `along` gives, for every
 * further axis, the batch as it is seen along that one. Row r there is row place[r] of the first axis.
 * A batch owns nothing: whoever made it keeps the memory until the next one is asked for.
 */
#ifndef LURN_BATCH_H
#define LURN_BATCH_H

#include "tensor.h"

#define LURN_MAX_FIELDS 16

#define LURN_MAX_AXES 3

/* Rows and steps come in pairs, one for each time axis. */
typedef enum lurn_axis_kind {
  LURN_ONCE, LURN_ROW, LURN_TIME, LURN_ROW2, LURN_TIME2, LURN_ROW3, LURN_TIME3, LURN_NAXES
} lurn_axis_kind;

/* LURN_ONCE, LURN_ROW or LURN_TIME. */
static inline int lurn_axis_level (int axis) { return axis == LURN_ONCE ? LURN_ONCE : axis % 2 ? LURN_ROW : LURN_TIME; }
static inline int lurn_on_time (int axis) { return lurn_axis_level(axis) == LURN_TIME; }
/* Which time axis it belongs to, from 0. */
static inline int lurn_axis_set (int axis) { return axis == LURN_ONCE ? 0 : (axis - 1) / 2; }
/* The rows (steps) of the time axis that `axis` belongs to. */
static inline int lurn_axis_rows (int axis) { return LURN_ROW + 2 * lurn_axis_set(axis); }
static inline int lurn_axis_steps (int axis) { return LURN_TIME + 2 * lurn_axis_set(axis); }
/* The higher of two axes; -1 when they belong to different time axes. */
static inline int lurn_axis_join (int a, int b) {
  if (a == LURN_ONCE || b == LURN_ONCE) return a > b ? a : b;
  return lurn_axis_set(a) != lurn_axis_set(b) ? -1 : a > b ? a : b;
}
/* "once", "row", "time", "row2", "time2" ...; NULL ends. */
extern const char *const lurn_axis_names[LURN_NAXES + 1];

typedef struct lurn_field {
  char name[32];                /* "x", "y", "mask", "reset", or what the model's function asks for */
  lurn_dtype dtype;
  int axis;                     /* LURN_ROW, LURN_TIME, or those of another time axis */
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
  int hand;                     /* steps after which the state is handed to the next batch; 0: at the end */
  int before, onward;           /* of a window (recompute.h): frames before it; rows that go on after it */
  int nfield;
  lurn_field field[LURN_MAX_FIELDS];
  uint64_t serial;              /* grows whenever its memory is filled anew */
  const struct lurn_batch *along[LURN_MAX_AXES - 1];      /* along the second, the third time axis; NULL: there is none */
  const int32_t *place, *rank;  /* (B), of a batch along another axis: its rows on the first, and the inverse */
} lurn_batch;

/* The batch along the time axis that `axis` belongs to; NULL when it has none such. */
static inline const lurn_batch *lurn_batch_along (const lurn_batch *b, int axis) {
  int set = lurn_axis_set(axis);
  return set == 0 ? b : b->along[set - 1];
}

/* How large batches can be: rows, and steps and frames along each time axis. */
typedef struct lurn_extent { int B, T[LURN_MAX_AXES], N[LURN_MAX_AXES]; } lurn_extent;

/* That of one batch; a time axis that it does not have: none of it. */
lurn_extent lurn_extent_of (const lurn_batch *b);
const lurn_field *lurn_batch_field (const lurn_batch *b, const char *name);      /* or NULL */
/* Lengths (B, descending, each >= 1) into live (max length) and start (max length + 1); returns N. */
int lurn_batch_pack (int B, const int32_t *length, int32_t *live, int32_t *start);

#endif
