/* ready.h: maps and products, as far as they are the same in every step.
 *
 * A loop plays some instructions over and over, at small sizes for less time than it takes to find out where their
 * operands are. So that is found out once, when a register has moved, and a step adds its place.
 */
#ifndef LURN_READY_H
#define LURN_READY_H

#include "wave.h"

/* Fills w->ready for the maps of strips and the products of lists, unless everything is where it was the last time. */
void lurn_ready_find (lurn_wave *w);

static inline void *lurn_spot_at (const lurn_spot *s, const char *scratch, int start, int first) {
  uintptr_t rows = (uintptr_t)(intptr_t)first + ((uintptr_t)(intptr_t)start & s->frames);
  return (void *)(s->at + ((uintptr_t)scratch & s->own) + s->row * rows);
}

#endif
