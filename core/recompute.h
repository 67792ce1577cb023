/* recompute.h: long sequences in memory that grows as the square root of their length.
 *
 * What backward needs of the forward pass is not kept but worked out again (Griewank & Walther 2000; Chen et al.
 * 2016; for backpropagation through time Gruslys et al. 2016). Time is cut into windows of S steps. Forward plays
 * window after window and keeps of each only the states at its beginning; backward goes from the last window
 * to the first, plays it forward once more and then back. A register over time has room for one window, so the
 * memory is that of S steps plus T/S states; every step is played forward twice.
 *
 * No bit differs from playing it all at once. Whatever folds time into one number or one matrix goes on, window by
 * window, with the chain of the windows before: gradients from the last step to the first, which is the order in
 * which backward meets them, totals of the forward pass from the first to the last. So a program can be played
 * like this when every scan along the first time axis runs forward and nothing looks from one step at another:
 * no shift, no attention over the same axis, nothing per step that must know the whole sequence first. What stands
 * in the way is named when the schedule is made.
 */
#ifndef LURN_RECOMPUTE_H
#define LURN_RECOMPUTE_H

#include "wave.h"

/* How a top-level unit takes part. */
enum { LURN_PHASE_BEFORE, LURN_PHASE_WINDOW, LURN_PHASE_AFTER };

/* Fills s->phase; EINVAL: the program cannot be played in windows. */
lurn_status lurn_recompute_classify (lurn_ctx *ctx, lurn_schedule *s);

/* Steps of a window for sequences of T steps: what needs the least memory. */
int lurn_recompute_window (const lurn_wave *w, int T);
/* Bytes for the states at the beginnings of windows, the windows' batches and totals; memory NULL measures. */
size_t lurn_recompute_place (lurn_wave *w, char *memory);

/* The wave is bound to the whole batch. After the forward pass every output that is not over time is there. */
lurn_status lurn_recompute_forward (lurn_wave *w);
lurn_status lurn_recompute_backward (lurn_wave *w);

#endif
