#include "schedule.h"

#include <string.h>

#include "recompute.h"

/* Where an instruction is played. */
enum { TOP, BEFORE, STEP, AFTER };

typedef struct work {
  const lurn_program *p;
  lurn_schedule *s;
  uint64_t dice;
  uint8_t *where;               /* (ninstr) TOP.. */
  uint8_t *flag;                /* (ninstr) scratch of the current pass */
  int *uses;                    /* (nreg) how many operands read it */
  int *unit_of;                 /* (ninstr) the unit it is in */
  int *top_of;                  /* (ninstr) the top-level unit it is in */
  int *again;                   /* (ninstr) the one in which it is played once more, or -1 */
  uint8_t *known;               /* (nreg) worked out of the weights alone: its place is its own */
} work;

void lurn_choices_default (lurn_choices *c) {
  *c = (lurn_choices){.hoist = 1, .fuse = 1, .alias = 1, .reuse = 1, .strip = 1024, .span = 0, .rows = 256,
                      .wide = 1024, .worth = 8192};
}

static int toss (uint64_t *dice, int n) {                /* 0..n-1, splitmix64 */
  uint64_t z = (*dice += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return (int)((z ^ (z >> 31)) % (uint64_t)n);
}

void lurn_choices_random (lurn_choices *c, uint64_t dice) {
  static const int strips[] = {1, 7, 64, 1000, 4096}, blocks[] = {0, 1, 20, 1000};
  uint64_t d = dice;
  c->hoist = toss(&d, 3);       /* 0 never, 1 always, 2 by lot */
  c->fuse = toss(&d, 3);
  c->alias = toss(&d, 2);
  c->reuse = toss(&d, 2);
  c->strip = strips[toss(&d, 5)];
  c->span = toss(&d, 5);
  c->rows = blocks[toss(&d, 4)];
  c->wide = 1;
  c->again = toss(&d, 2);
  c->worth = toss(&d, 2) ? 1 : 40;
  c->window = 0;
  c->dice = dice | 1;
}

/* A lot for a choice that is 0, 1 or 2. */
static int chosen (work *w, int choice) { return choice == 2 ? toss(&w->dice, 2) : choice; }

/* ---------- hoisting ---------- */

static int producer (const lurn_program *p, lurn_reg r, int scan) {
  return r >= 0 && p->reg[r].kind == LURN_REG_VALUE && p->reg[r].scan == scan ? p->reg[r].index : -1;
}

static int reads_state (const lurn_program *p, const lurn_instr *i) {
  for (int k = 0; k < LURN_MAX_IN; k++)
    if (i->in[k] >= 0 && p->reg[i->in[k]].kind == LURN_REG_STATE) return 1;
  return 0;
}

static void classify_before (work *w, int first, int end) {
  const lurn_program *p = w->p;
  for (int n = first; n < end; n++) {
    const lurn_instr *i = &p->instr[n];
    int held = reads_state(p, i) || !chosen(w, w->s->choices.hoist);
    for (int k = 0; k < LURN_MAX_IN; k++) {
      int from = producer(p, i->in[k], i->scan);
      held |= from >= 0 && w->where[from] != BEFORE;
    }
    w->where[n] = held ? STEP : BEFORE;
  }
}

static int takes (const lurn_instr *i) { return i->op == LURN_OP_SLICE || i->op == LURN_OP_CROP; }
static int puts_in (const lurn_instr *i) {
  return i->op == LURN_OP_PAD || i->op == LURN_OP_PLACE || i->op == LURN_OP_RESHAPE;
}

/* Whether instruction n is read in its loop's step and nowhere else. */
static int read_in_step (const work *w, int n) {
  const lurn_program *p = w->p;
  int reads = 0;
  for (int m = 0; m < p->ninstr; m++)
    for (int k = 0; k < LURN_MAX_IN; k++) {
      if (p->instr[m].in[k] != p->instr[n].out) continue;
      if (p->instr[m].scan != p->instr[n].scan || w->where[m] != STEP) return 0;
      reads = 1;
    }
  return reads;
}

/* What puts numbers among zeros makes much of little: it is played next to its reader, one step at a time, or the
 * much would be stored for all steps. Readers come behind, so a chain of such moves follows its end. */
static void keep_small_before (work *w, int first, int end) {
  for (int n = end - 1; n >= first; n--)
    if (w->where[n] == BEFORE && puts_in(&w->p->instr[n]) && read_in_step(w, n)) w->where[n] = STEP;
}

/* flag: something that stays in the loop needs it. What takes a part of a step's value stays, too: only the part is
 * then stored for all steps. */
static void classify_after (work *w, int first, int end) {
  const lurn_program *p = w->p;
  const lurn_scan *scan = &p->scans[p->instr[first].scan];
  for (int n = first; n < end; n++) w->flag[n] = 0;
  for (int k = 0; k < scan->nstate; k++) w->flag[p->reg[scan->state[k].next].index] = 1;
  for (int n = end - 1; n >= first; n--) {
    const lurn_instr *i = &p->instr[n];
    if (w->where[n] == STEP && !w->flag[n] && !takes(i) && chosen(w, w->s->choices.hoist)) w->where[n] = AFTER;
    if (w->where[n] == AFTER) continue;
    for (int k = 0; k < LURN_MAX_IN; k++) {
      int from = producer(p, i->in[k], i->scan);
      if (from >= 0) w->flag[from] = 1;
    }
  }
}

/* ---------- units ---------- */

/* Maps, and what fills a row from one number of it: stored, it would be as large as what is made of it. */
static int in_strips (const lurn_instr *i) {
  return i->op < LURN_NMAPS || i->op == LURN_OP_EXPAND || i->op == LURN_OP_UNPICK;
}

static int is_output (const lurn_program *p, lurn_reg r) {
  for (int k = 0; k < p->noutput; k++) if (p->output[k].reg == r) return 1;
  return 0;
}

static int is_next (const lurn_program *p, lurn_reg r) {
  int scan = p->reg[r].scan;
  for (int k = 0; scan >= 0 && k < p->scans[scan].nstate; k++)
    if (p->scans[scan].state[k].next == r) return 1;
  return 0;
}

/* What can be one strip: the same rows and columns. */
static int same_strip (const lurn_program *p, const lurn_instr *a, const lurn_instr *b) {
  const lurn_register *x = &p->reg[a->out], *y = &p->reg[b->out];
  return in_strips(a) && in_strips(b) && x->axis == y->axis && x->cols == y->cols;
}

typedef struct list { int first, end, where; } list;    /* instructions [first, end) with that place */

static int pending (const work *w, list l, int n) {
  return n >= l.first && n < l.end && w->where[n] == l.where && !w->flag[n];
}

static int ready (const work *w, list l, int n) {
  for (int k = 0; k < LURN_MAX_IN; k++) {
    lurn_reg r = w->p->instr[n].in[k];
    if (r >= 0 && w->p->reg[r].kind == LURN_REG_VALUE && pending(w, l, w->p->reg[r].index)) return 0;
  }
  return 1;
}

static void place (work *w, int unit, int n) {
  lurn_schedule *s = w->s;
  w->flag[n] = 1;
  w->unit_of[n] = unit;
  s->order[s->norder++] = n;
  s->unit[unit].count++;
}

static int open_unit (work *w, int kind) {
  lurn_schedule *s = w->s;
  s->unit[s->nunit] = (lurn_section){.kind = kind, .first = s->norder, .scan = -1};
  return s->nunit++;
}

/* In windows (recompute.h) what all of them need, a constant, is played before them, and what they add up to after
 * them: in one strip both would have to wait for each other. */
static int stays_alone (const work *w, list l, int n) {
  return w->s->choices.window && l.where == TOP && w->p->reg[w->p->instr[n].out].axis != LURN_TIME;
}

/* A strip takes every map that is ready, and those that become ready by it. */
static void place_strip (work *w, list l, int n) {
  int unit = open_unit(w, LURN_SECTION_STRIP), first = n;
  place(w, unit, n);
  if (!chosen(w, w->s->choices.fuse) || stays_alone(w, l, n)) return;
  for (int again = 1; again && w->s->unit[unit].count < LURN_STRIP_MOST; ) {
    again = 0;
    for (int m = l.first; m < l.end && w->s->unit[unit].count < LURN_STRIP_MOST; m++)
      if (pending(w, l, m) && same_strip(w->p, &w->p->instr[first], &w->p->instr[m]) && ready(w, l, m)) {
        place(w, unit, m);
        again = 1;
      }
  }
}

/* An accumulator that nobody but the product reads, and that has its shape. */
static int continues (const work *w, const lurn_instr *i) {
  const lurn_program *p = w->p;
  lurn_reg acc = i->in[0];
  return lurn_accumulates(lurn_op_info(i->op)) && acc >= 0 && p->reg[acc].kind == LURN_REG_VALUE
    && p->reg[acc].axis == p->reg[i->out].axis && p->reg[acc].cols == p->reg[i->out].cols
    && w->uses[acc] == 1 && !is_output(p, acc) && !is_next(p, acc) && w->known[acc] == w->known[i->out];
}

/* Weights that are packed ahead, rows that are vectors, nothing that must be met step by step: what the conductor
 * can hand to the kernels as a list. */
static int is_plain_product (const lurn_program *p, const lurn_instr *i) {
  int acc = i->in[0] < 0 ? LURN_ONCE : p->reg[i->in[0]].axis;
  return i->op == LURN_OP_PRODUCT && p->reg[i->in[2]].kind == LURN_REG_PARAM && p->reg[i->out].rank == 1
    && (acc == LURN_ONCE || acc == p->reg[i->out].axis);
}

/* Reads operand k or a later one from that unit. */
static int reads_unit (const work *w, int unit, const lurn_instr *i, int k) {
  for (; k < LURN_MAX_IN; k++) {
    int from = i->in[k] >= 0 && w->p->reg[i->in[k]].kind == LURN_REG_VALUE ? w->p->reg[i->in[k]].index : -1;
    if (from >= 0 && w->flag[from] && w->unit_of[from] == unit) return 1;
  }
  return 0;
}

/* A product, and those that go on with its sums one after the other: a chain. */
static void place_chain (work *w, list l, int unit, int n) {
  place(w, unit, n);
  for (int m = n + 1; m < l.end && w->s->unit[unit].count < LURN_LIST_MOST; m++) {
    const lurn_instr *i = &w->p->instr[m];
    if (!pending(w, l, m) || !ready(w, l, m) || !is_plain_product(w->p, i) || reads_unit(w, unit, i, 1)) continue;
    if (i->in[0] != w->p->instr[n].out || !continues(w, i)) continue;
    place(w, unit, m);
    n = m;
  }
}

/* With a product go all chains that begin with products of the same rows. */
static void place_products (work *w, list l, int n) {
  const lurn_program *p = w->p;
  int plain = is_plain_product(p, &p->instr[n]), unit = open_unit(w, plain ? LURN_SECTION_LIST : LURN_SECTION_CALL);
  if (!plain || !chosen(w, w->s->choices.fuse) || stays_alone(w, l, n)) { place(w, unit, n); return; }
  place_chain(w, l, unit, n);
  for (int m = n + 1; m < l.end && w->s->unit[unit].count < LURN_LIST_MOST; m++)
    if (pending(w, l, m) && ready(w, l, m) && is_plain_product(p, &p->instr[m])
        && p->instr[m].in[1] == p->instr[n].in[1] && !reads_unit(w, unit, &p->instr[m], 0)) place_chain(w, l, unit, m);
}

/* Products and the like as soon as they can, then maps in runs as long as they come. */
static int place_list (work *w, list l) {
  int before = w->s->nunit;
  for (int n = l.first; n < l.end; n++) if (w->where[n] == l.where) w->flag[n] = 0;
  for (int left = 1; left; ) {
    int map = -1;
    left = 0;
    for (int n = l.first; n < l.end; n++) {
      if (!pending(w, l, n) || !ready(w, l, n)) continue;
      left = 1;
      if (in_strips(&w->p->instr[n])) { if (map < 0) map = n; continue; }
      place_products(w, l, n);
    }
    if (map >= 0 && !pending(w, l, map)) continue;
    if (map >= 0) place_strip(w, l, map);
  }
  return w->s->nunit - before;
}

static void place_scan (work *w, int first, int end) {
  classify_before(w, first, end);
  keep_small_before(w, first, end);
  classify_after(w, first, end);
  int unit = open_unit(w, LURN_SECTION_LOOP);
  w->s->unit[unit].scan = w->p->instr[first].scan;
  int before = place_list(w, (list){first, end, BEFORE});
  int step = place_list(w, (list){first, end, STEP});
  int after = place_list(w, (list){first, end, AFTER});
  lurn_section *u = &w->s->unit[unit];
  u->before = before;
  u->step = step;
  u->after = after;
}

/* Windows are blocks already. */
static void place_top (work *w, int first, int end) {
  int unit = w->s->nunit;
  place_list(w, (list){first, end, TOP});
  if (w->s->choices.rows && !w->s->choices.window) lurn_schedule_blocks(w->s, unit, w->unit_of);
}

static void place_half (work *w, int first, int end) {
  const lurn_program *p = w->p;
  for (int n = first; n < end; ) {
    int m = n;
    while (m < end && p->instr[m].scan == p->instr[n].scan) m++;
    if (p->instr[n].scan >= 0) place_scan(w, n, m);
    else place_top(w, n, m);
    n = m;
  }
}

static void number (work *w, int n, int unit, int top) {
  if (w->unit_of[n] >= 0) { w->again[n] = top; return; }
  w->top_of[n] = top;
  w->unit_of[n] = unit;
}

static void number_tops (work *w) {
  const lurn_schedule *s = w->s;
  for (int n = 0; n < w->p->ninstr; n++) w->unit_of[n] = w->again[n] = -1;
  for (int u = 0; u < s->nunit; u++) {
    int top = u, last = u + s->unit[u].before + s->unit[u].step + s->unit[u].after;
    for (; u <= last; u++)
      for (int k = 0; k < s->unit[u].count; k++) number(w, s->order[s->unit[u].first + k], u, top);
    u--;
  }
}

/* ---------- storage ---------- */

/* An accumulator that only its product reads lives where the product is written. Instructions come
 * in order, so the accumulator's own root is settled: a root's root is itself. */
static void alias_accumulators (work *w) {
  const lurn_program *p = w->p;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    if (w->s->choices.alias && continues(w, i)) w->s->root[i->out] = w->s->root[i->in[0]];
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
    return w->unit_of[m] < w->unit_of[n] && (in_strips(&w->p->instr[m]) || w->p->instr[m].op == LURN_OP_PRODUCT);
  for (int k = s->unit[w->unit_of[n]].first; s->order[k] != n; k++) if (s->order[k] == m) return 1;
  return 0;
}

/* Nobody needs operand r of map n any more, and it is stored just as the result is. */
static int ends_with (const work *w, lurn_reg r, int n) {
  const lurn_program *p = w->p;
  const lurn_register *x = &p->reg[r], *out = &p->reg[p->instr[n].out];
  lurn_reg root = w->s->root[r];
  if (x->kind != LURN_REG_VALUE || x->axis != out->axis || x->cols != out->cols || is_output(p, r) || is_next(p, r))
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

/* ---------- making one ---------- */

static void make (work *w) {
  const lurn_program *p = w->p;
  lurn_schedule *s = w->s;
  for (int n = 0; n < p->ninstr; n++)
    for (int k = 0; k < LURN_MAX_IN; k++) if (p->instr[n].in[k] >= 0) w->uses[p->instr[n].in[k]]++;
  for (int sc = 0; sc < p->nscan; sc++)
    for (int k = 0; k < p->scans[sc].nstate; k++) w->uses[p->scans[sc].state[k].init]++;
  for (lurn_reg r = 0; r < p->nreg; r++) s->root[r] = r;
  place_half(w, 0, p->forward);
  s->forward = s->nunit;
  place_half(w, p->forward, p->ninstr);
  number_tops(w);
  lurn_schedule_constants(s, w->known);
  alias_accumulators(w);
  store_all(w);
  alias_maps(w);
  live_all(w);
  for (int u = 0; u < s->nunit; u++) if (s->unit[u].kind == LURN_SECTION_STRIP) slots_of_strip(w, &s->unit[u]);
  find_packs(w);
}

lurn_status lurn_schedule_make (lurn_ctx *ctx, const lurn_program *p, const lurn_choices *c, lurn_schedule *s) {
  size_t n = (size_t)p->ninstr + 1, r = (size_t)p->nreg + 1, u = 3 * n + (size_t)p->nscan;
  lurn_status status = LURN_OK;
  memset(s, 0, sizeof *s);
  s->bytes = sizeof(lurn_pack) * n + sizeof(lurn_section) * u + sizeof(int) * (3 * n + 2 * r) + sizeof(lurn_reg) * r
             + sizeof(int16_t) * r + r + 2 * u;
  size_t scratch = sizeof(int) * (3 * n + r) + 2 * n + r;
  char *block = s->block = lurn_realloc(ctx, NULL, 0, s->bytes);
  char *temp = lurn_realloc(ctx, NULL, 0, scratch);
  if (!block || !temp) { lurn_free(ctx, temp, scratch); lurn_schedule_free(ctx, s); return LURN_ENOMEM; }
  memset(block, 0, s->bytes);
  memset(temp, 0, scratch);
  s->program = p;
  s->choices = *c;
  s->pack = (lurn_pack *)block;
  s->unit = (lurn_section *)(s->pack + n);
  s->order = (int *)(s->unit + u);
  s->packed = s->order + 2 * n;
  s->birth = s->packed + n;
  s->death = s->birth + r;
  s->root = s->death + r;
  s->slot = (int16_t *)(s->root + r);
  s->store = (uint8_t *)(s->slot + r);
  s->phase = s->store + r;
  s->constant = s->phase + u;
  work w = {.p = p, .s = s, .dice = c->dice, .unit_of = (int *)temp};
  w.top_of = w.unit_of + n;
  w.again = w.top_of + n;
  w.uses = w.again + n;
  w.where = (uint8_t *)(w.uses + r);
  w.flag = w.where + n;
  w.known = w.flag + n;
  make(&w);
  lurn_free(ctx, temp, scratch);
  if (c->window && (status = lurn_recompute_classify(ctx, s)) != LURN_OK) lurn_schedule_free(ctx, s);
  return status;
}

void lurn_schedule_free (lurn_ctx *ctx, lurn_schedule *s) {
  lurn_free(ctx, s->block, s->bytes);
  memset(s, 0, sizeof *s);
}
