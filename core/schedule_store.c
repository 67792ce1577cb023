/* schedule_store.c: where registers are kept, and for how long.
 *
 * Who shares a place with whom, how much of its axis a register needs room for, between which units it is alive, and
 * which weights are packed. wave.c then finds the places.
 */
#include "schedule_work.h"

#include <string.h>

/* An accumulator that only its product reads lives where the product is written. Instructions come
 * in order, so the accumulator's own root is settled: a root's root is itself. */
static void alias_accumulators (work *w) {
  const lurn_program *p = w->p;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    if (w->s->choices.alias && lurn_continues(w, i)) w->s->root[i->out] = w->s->root[i->in[0]];
  }
}

static void need_store (work *w, lurn_reg r, lurn_keep store) {
  uint8_t *have = &w->s->store[w->s->root[r]];
  if (*have < store) *have = (uint8_t)store;
}

/* How far from its writer a reader is decides what storage the register needs. */
static lurn_keep distance (const work *w, int writer, int reader) {
  const lurn_program *p = w->p;
  int same_loop = w->top_of[writer] == w->top_of[reader];
  if (w->unit_of[writer] == w->unit_of[reader]) return LURN_KEEP_STRIP;
  if (w->again[writer] >= 0 && w->again[writer] == w->top_of[reader]) return LURN_KEEP_BLOCK;
  if (p->instr[writer].scan >= 0 && same_loop && w->where[writer] == STEP
      && w->where[reader] == STEP) return LURN_KEEP_STEP;
  return same_loop && w->s->unit[w->top_of[writer]].kind == LURN_SECTION_BLOCK ? LURN_KEEP_BLOCK : LURN_KEEP_FULL;
}

static void store_operand (work *w, int reader, lurn_reg r) {
  const lurn_program *p = w->p;
  const lurn_register *x = &p->reg[r];
  if (x->kind == LURN_REG_VALUE) need_store(w, r, distance(w, x->index, reader));
  else if (x->kind == LURN_REG_STATE)
    need_store(w, r, p->instr[reader].scan == x->scan && w->where[reader] == STEP ? LURN_KEEP_STEP
               : LURN_KEEP_FULL);
}

static void store_all (work *w) {
  const lurn_program *p = w->p;
  for (lurn_reg r = 0; r < p->nreg; r++) {
    int bound = p->reg[r].kind == LURN_REG_PARAM || p->reg[r].kind == LURN_REG_INPUT;
    w->s->store[r] = bound ? LURN_KEEP_BOUND : LURN_KEEP_NONE;
  }
  for (int n = 0; n < p->ninstr; n++) {
    for (int k = 0; k < LURN_MAX_IN; k++) {
      if (p->instr[n].in[k] < 0) continue;
      store_operand(w, n, p->instr[n].in[k]);
      if (w->again[n] >= 0) need_store(w, p->instr[n].in[k], LURN_KEEP_FULL);
    }
    if (w->s->unit[w->unit_of[n]].kind != LURN_SECTION_STRIP) need_store(w, p->instr[n].out, LURN_KEEP_STEP);
    if (w->s->root[p->instr[n].out] != p->instr[n].out) need_store(w, p->instr[n].out, LURN_KEEP_STEP);
  }
  for (int k = 0; k < p->noutput; k++) need_store(w, p->output[k].reg, LURN_KEEP_FULL);
  for (int s = 0; s < p->nscan; s++)
    for (int k = 0; k < p->scans[s].nstate; k++) {
      if (p->reg[p->scans[s].state[k].init].kind == LURN_REG_VALUE) need_store(w, p->scans[s].state[k].init,
          LURN_KEEP_FULL);
      need_store(w, p->scans[s].state[k].next, LURN_KEEP_STEP);
      need_store(w, p->scans[s].state[k].prev, LURN_KEEP_STEP);
    }
  for (lurn_reg r = 0; r < p->nreg; r++)         /* step storage exists inside a loop's step only */
    if (p->reg[r].kind == LURN_REG_VALUE && w->s->store[w->s->root[r]] == LURN_KEEP_STEP
        && w->where[p->reg[r].index] != STEP) need_store(w, r, LURN_KEEP_FULL);
}

/* Instruction m, which reads a register, is done with each row of it when n writes that row. What is played once more
 * is not done yet. */
static int reads_before (const work *w, int m, int n) {
  const lurn_schedule *s = w->s;
  if (w->again[m] >= 0) return 0;
  if (w->top_of[m] != w->top_of[n]) return w->top_of[m] < w->top_of[n];
  if (w->unit_of[m] != w->unit_of[n])
    return w->unit_of[m] < w->unit_of[n] && (lurn_in_strips(&w->p->instr[m]) || w->p->instr[m].op == LURN_OP_PRODUCT);
  for (int k = s->unit[w->unit_of[n]].first; s->order[k] != n; k++) if (s->order[k] == m) return 1;
  return 0;
}

/* Nobody needs operand r of map n any more, and it is stored just as the result is. */
static int ends_with (const work *w, lurn_reg r, int n) {
  const lurn_program *p = w->p;
  const lurn_register *x = &p->reg[r], *out = &p->reg[p->instr[n].out];
  lurn_reg root = w->s->root[r];
  if (x->kind != LURN_REG_VALUE || x->axis != out->axis || x->cols != out->cols || lurn_is_output(p, r)
      || lurn_is_next(p, r))
    return 0;
  if (w->s->store[root] != w->s->store[w->s->root[p->instr[n].out]] || w->s->store[root] < LURN_KEEP_STEP) return 0;
  for (int m = 0; m < p->ninstr; m++)
    for (int k = 0; k < LURN_MAX_IN; k++)
      if (p->instr[m].in[k] == r && m != n && !reads_before(w, m, n)) return 0;
  return 1;
}

/* A map's result takes the place of an operand that ends with it: activations that of their sums, gradients in the
 * sums that of the activations. Half as much memory to go through is half as much that falls out of the caches. */
static void alias_maps (work *w) {
  const lurn_program *p = w->p;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    if (!w->s->choices.alias || i->op >= LURN_NMAPS || lurn_axis_level(p->reg[i->out].axis) != LURN_TIME
        || w->s->root[i->out] != i->out) continue;
    for (int k = 0; k < 3; k++) {
      if (i->in[k] < 0 || !ends_with(w, i->in[k], n)) continue;
      lurn_reg root = w->s->root[i->in[k]];
      for (lurn_reg r = 0; r < p->nreg; r++) if (w->s->root[r] == i->out) w->s->root[r] = root;
      break;
    }
  }
}

static void touch (work *w, lurn_reg r, int unit) {
  lurn_schedule *s = w->s;
  lurn_reg x = s->root[r];
  if (s->birth[x] < 0 || unit < s->birth[x]) s->birth[x] = unit;
  if (unit > s->death[x]) s->death[x] = unit;
}

static void live_all (work *w) {
  const lurn_program *p = w->p;
  for (lurn_reg r = 0; r < p->nreg; r++) w->s->birth[r] = w->s->death[r] = -1;
  for (int n = 0; n < p->ninstr; n++) {
    touch(w, p->instr[n].out, w->top_of[n]);
    for (int k = 0; k < LURN_MAX_IN; k++) {
      if (p->instr[n].in[k] < 0) continue;
      touch(w, p->instr[n].in[k], w->top_of[n]);
      if (w->again[n] >= 0) touch(w, p->instr[n].in[k], w->again[n]);
    }
  }
  for (int u = 0; u < w->s->nunit; u++)
    for (int k = 0; w->s->unit[u].kind == LURN_SECTION_LOOP && k < p->scans[w->s->unit[u].scan].nstate; k++) {
      const lurn_state *st = &p->scans[w->s->unit[u].scan].state[k];
      touch(w, st->prev, u);
      touch(w, st->next, u);
      touch(w, st->init, u);
      /* The next window is handed it when this one has been played. */
      if (w->s->choices.window) touch(w, st->next, u < w->s->forward ? w->s->forward : w->s->nunit);
    }
  for (int k = 0; k < p->noutput; k++) touch(w, p->output[k].reg, w->s->nunit);
  for (lurn_reg r = 0; r < p->nreg; r++)
    if (w->known[r]) { touch(w, r, 0); touch(w, r, w->s->nunit); }
  for (lurn_reg r = 0; w->s->choices.window && r < p->nreg; r++) {   /* what windows share is there for all of them */
    if (p->reg[r].axis == LURN_TIME || w->s->birth[r] < 0) continue;
    w->s->birth[r] = 0;
    w->s->death[r] = w->s->nunit;
  }
}

/* Slots of a strip's scratch: a slot is free again after its register's last reader. */
static void slots_of_strip (work *w, const lurn_section *u) {
  lurn_schedule *s = w->s;
  int last[LURN_STRIP_MOST], used = 0;       /* order index after which a slot is free */
  for (int k = u->first; k < u->first + u->count; k++) {
    lurn_reg out = w->p->instr[s->order[k]].out;
    int end = k, slot = 0;
    if (s->store[out] != LURN_KEEP_STRIP && s->store[s->root[out]] != LURN_KEEP_NONE) continue;
    for (int m = k + 1; m < u->first + u->count; m++)
      for (int j = 0; j < LURN_MAX_IN; j++) if (w->p->instr[s->order[m]].in[j] == out) end = m;
    while (slot < used && last[slot] >= k) slot++;
    if (slot == used) used++;
    last[slot] = end;
    s->slot[out] = (int16_t)slot;
  }
  if (used > s->nslot) s->nslot = used;
}

static void find_packs (work *w) {
  const lurn_program *p = w->p;
  lurn_schedule *s = w->s;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    lurn_packing how;
    s->packed[n] = -1;
    if (!lurn_packing_of(p, i, &how)) continue;
    for (int k = 0; k < s->npack; k++)
      if (s->pack[k].w == i->in[2] && !memcmp(&s->pack[k].how, &how, sizeof how)) s->packed[n] = k;
    if (s->packed[n] >= 0) continue;
    s->packed[n] = s->npack;
    s->pack[s->npack++] = (lurn_pack){i->in[2], how};
  }
}

void lurn_schedule_store (work *w) {
  const lurn_schedule *s = w->s;
  alias_accumulators(w);
  store_all(w);
  alias_maps(w);
  live_all(w);
  for (int u = 0; u < s->nunit; u++) if (s->unit[u].kind == LURN_SECTION_STRIP) slots_of_strip(w, &s->unit[u]);
  find_packs(w);
}
