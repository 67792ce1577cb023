#include "schedule_work.h"

#include <string.h>

#include "recompute.h"

void lurn_choices_default (lurn_choices *c) {
  *c = (lurn_choices){.hoist = 1, .fuse = 1, .alias = 1, .reuse = 1, .strip = 1024, .span = 0, .rows = 256,
                      .wide = 1024, .worth = 8192, .columns = 65536, .heavy = 1 << 20};
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
  c->columns = toss(&d, 3) ? 1 : 0;
  c->heavy = toss(&d, 2) ? 0 : 1 << 20;
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

/* What can be one strip: the same rows and columns. */
static int same_strip (const lurn_program *p, const lurn_instr *a, const lurn_instr *b) {
  const lurn_register *x = &p->reg[a->out], *y = &p->reg[b->out];
  return lurn_in_strips(a) && lurn_in_strips(b) && x->axis == y->axis && x->cols == y->cols;
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
    if (i->in[0] != w->p->instr[n].out || !lurn_continues(w, i)) continue;
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
      if (lurn_in_strips(&w->p->instr[n])) { if (map < 0) map = n; continue; }
      place_products(w, l, n);
    }
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
  lurn_schedule_store(w);
}

/* An instruction is a unit, and may be one again in a block, which is one too. One walk measures and places. */
static size_t place_tables (lurn_schedule *s, char *block) {
  const lurn_program *p = s->program;
  size_t at = 0, n = (size_t)p->ninstr + 1, r = (size_t)p->nreg + 1, u = 3 * n + (size_t)p->nscan;
  s->pack = lurn_take(block, &at, sizeof *s->pack * n);
  s->unit = lurn_take(block, &at, sizeof *s->unit * u);
  s->order = lurn_take(block, &at, sizeof *s->order * 2 * n);
  s->packed = lurn_take(block, &at, sizeof *s->packed * n);
  s->birth = lurn_take(block, &at, sizeof *s->birth * r);
  s->death = lurn_take(block, &at, sizeof *s->death * r);
  s->root = lurn_take(block, &at, sizeof *s->root * r);
  s->slot = lurn_take(block, &at, sizeof *s->slot * r);
  s->store = lurn_take(block, &at, sizeof *s->store * r);
  s->phase = lurn_take(block, &at, sizeof *s->phase * u);
  s->constant = lurn_take(block, &at, sizeof *s->constant * u);
  return at;
}

static size_t place_scratch (work *w, char *block) {
  size_t at = 0, n = (size_t)w->p->ninstr + 1, r = (size_t)w->p->nreg + 1;
  w->unit_of = lurn_take(block, &at, sizeof *w->unit_of * n);
  w->top_of = lurn_take(block, &at, sizeof *w->top_of * n);
  w->again = lurn_take(block, &at, sizeof *w->again * n);
  w->uses = lurn_take(block, &at, sizeof *w->uses * r);
  w->where = lurn_take(block, &at, sizeof *w->where * n);
  w->flag = lurn_take(block, &at, sizeof *w->flag * n);
  w->known = lurn_take(block, &at, sizeof *w->known * r);
  return at;
}

lurn_status lurn_schedule_make (lurn_ctx *ctx, const lurn_program *p, const lurn_choices *c, lurn_schedule *s) {
  lurn_status status = LURN_OK;
  *s = (lurn_schedule){.program = p, .choices = *c};
  work w = {.p = p, .s = s, .dice = c->dice};
  size_t scratch = place_scratch(&w, NULL);
  s->bytes = place_tables(s, NULL);
  s->block = lurn_realloc(ctx, NULL, 0, s->bytes);
  void *temp = lurn_realloc(ctx, NULL, 0, scratch);
  if (!s->block || !temp) { lurn_free(ctx, temp, scratch); lurn_schedule_free(ctx, s); return LURN_ENOMEM; }
  memset(s->block, 0, s->bytes);
  memset(temp, 0, scratch);
  place_tables(s, s->block);
  place_scratch(&w, temp);
  make(&w);
  lurn_free(ctx, temp, scratch);
  if (c->window && (status = lurn_recompute_classify(ctx, s)) != LURN_OK) lurn_schedule_free(ctx, s);
  return status;
}

void lurn_schedule_free (lurn_ctx *ctx, lurn_schedule *s) {
  lurn_free(ctx, s->block, s->bytes);
  memset(s, 0, sizeof *s);
}
