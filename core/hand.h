/* hand.h: one thread's hand in what is played.
 *
 * Threads share a section in one of three ways (sharing.h): one of them plays it alone, each has some of its rows, or each
 * has some columns of all rows. Rows of a frame depend on the same rows only, so whoever has rows [row, end) of every
 * step can play a whole scan without waiting for anybody; columns of a product depend on all columns of what is
 * multiplied, and maps on the same columns.
 */
#ifndef LURN_HAND_H
#define LURN_HAND_H

#include "wave.h"

typedef struct lurn_hand {
  lurn_wave *w;
  int part, parts;
  int in_step;                  /* 1: of rows, those [row, end) of the step; 0: a share of the whole range */
  int row, end;
  int block;                    /* steps [from, to) of a block: 1 the last ones, 2 those before */
  char *scratch;                /* of its strips */
} lurn_hand;

/* Its share of a unit that is no loop and no block, over steps [from, to). */
void lurn_hand_play (const lurn_hand *h, int unit, int from, int to);
/* The states at the beginning of step t, from what the step played before has left. */
void lurn_hand_enter (const lurn_hand *h, const lurn_scan *s, int how, int t);
/* Packs the matrices that the steps of a loop find computed. */
void lurn_hand_pack (const lurn_hand *h, int loop);

#endif
