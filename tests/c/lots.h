/* lots.h: what checks draw at random, the same in every run: lot_state is set first. */
#ifndef LOTS_H
#define LOTS_H

#include <stdint.h>

static uint64_t lot_state;

/* 0 .. n-1, splitmix64 */
static int lot (int n) {
  uint64_t z = (lot_state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

#endif
