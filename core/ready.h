/* ready.h: maps and products, as far as they are the same in every step.
 *
 * A loop plays some instructions over and over, at small sizes for less time than it takes to find out where their
 * operands are. So that is found out once, when the section (or the loop) begins, and a step adds its place.
 */
#ifndef LURN_READY_H
#define LURN_READY_H

#include "wave.h"

/* Fills w->ready for the maps of a strip, or the products of a list. */
void lurn_ready_section (lurn_wave *w, const lurn_section *u);

static inline void *lurn_spot_at (const lurn_spot *s, const char *scratch, int start, int first) {
  uintptr_t rows = (uintptr_t)(intptr_t)first + ((uintptr_t)(intptr_t)start & s->frames);
  return (void *)(s->at + ((uintptr_t)scratch & s->own) + s->row * rows);
}

#endif
