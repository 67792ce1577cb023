#include "normalise.h"

#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "tabulate.h"

/* ---------- what each instruction is, whatever the order it was written in ---------- */

typedef struct node {           /* of one instruction of the source */
  int instr;
  int stage;                    /* outside instructions of stage s stand before the scans of stage s */
  uint64_t scan_hash;           /* 0 outside */
  int depth;
  uint64_t hash;
} node;

typedef struct work {
  lurn_ctx *ctx;
  const lurn_program *src;
  lurn_program *dst;
  lurn_variant variant;
  uint64_t *hash;               /* (nreg) */
  int *depth, *stage;           /* (nreg) */
  int *scan_stage;              /* (nscan) */
  uint8_t *need;                /* (nreg) */
  lurn_reg *to;                 /* (nreg) source register -> result register, -1 */
  int *scan_to;                 /* (nscan) */
  node *order;                  /* (ninstr) */
  int norder;
} work;

static uint64_t mix (uint64_t h, uint64_t v) {          /* FNV-1a over words, then a finaliser */
  h = (h ^ v) * 0x100000001b3u;
  return h ^ (h >> 29);
}

static uint64_t mix_text (uint64_t h, const char *s) {
  while (*s) h = mix(h, (unsigned char)*s++);
  return mix(h, 256);
}

static uint64_t double_bits (double x) {
  uint64_t u;
  memcpy(&u, &x, sizeof u);
  return u;
}

static uint64_t leaf_hash (const lurn_program *p, const lurn_register *r) {
  switch (r->kind) {
    case LURN_REG_PARAM: return mix_text(1, p->params.p[r->index].path);
    case LURN_REG_INPUT: return mix_text(2, p->input[r->index].name);
    default: return mix_text(mix_text(3, p->scans[r->scan].name), p->scans[r->scan].state[r->index].name);
  }
}

static uint64_t instr_hash (const work *w, const lurn_instr *i) {
  const lurn_op *op = lurn_op_info(i->op);
  uint64_t in[LURN_MAX_IN], h = mix_text(4, op->name);
  for (int k = 0; k < LURN_MAX_IN; k++) in[k] = i->in[k] >= 0 ? w->hash[i->in[k]] : 5;
  if ((op->flags & LURN_OP_COMMUTES) && in[1] < in[0]) { uint64_t t = in[0]; in[0] = in[1]; in[1] = t; }
  for (int k = 0; k < op->nin; k++) h = mix(h, in[k]);
  h = mix(h, double_bits(i->k));
  for (int k = 0; k < LURN_MAX_IMM; k++) h = mix(h, (uint64_t)i->i[k]);
  if (i->name >= 0) h = mix_text(h, w->src->name[i->name].text);
  return i->scan < 0 ? h : mix_text(h, w->src->scans[i->scan].name);
}

static void hash_all (work *w) {
  const lurn_program *p = w->src;
  for (lurn_reg r = 0; r < p->nreg; r++)
    if (p->reg[r].kind != LURN_REG_VALUE) w->hash[r] = leaf_hash(p, &p->reg[r]);
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    int depth = 0;
    for (int k = 0; k < LURN_MAX_IN; k++)
      if (i->in[k] >= 0 && w->depth[i->in[k]] > depth) depth = w->depth[i->in[k]];
    w->depth[i->out] = depth + 1;
    w->hash[i->out] = instr_hash(w, i);
  }
}

/* ---------- what is needed, and when it can be known ---------- */

static int mark (uint8_t *need, lurn_reg r) {
  if (r < 0 || need[r]) return 0;
  return need[r] = 1;
}

/* One sweep from the end; a state that is read needs its next and its first value. */
static int sweep (const lurn_program *p, uint8_t *need) {
  int changed = 0;
  for (int n = p->ninstr - 1; n >= 0; n--)
    for (int k = 0; need[p->instr[n].out] && k < LURN_MAX_IN; k++) changed |= mark(need, p->instr[n].in[k]);
  for (int s = 0; s < p->nscan; s++)
    for (int k = 0; k < p->scans[s].nstate; k++) {
      const lurn_state *st = &p->scans[s].state[k];
      if (need[st->prev]) changed |= mark(need, st->next) | mark(need, st->init);
    }
  return changed;
}

/* only: the one output that counts, NULL for all. */
static void mark_needed (const lurn_program *p, uint8_t *need, const char *only) {
  for (int k = 0; k < p->noutput; k++)
    if (!only || strcmp(only, p->output[k].name) == 0) mark(need, p->output[k].reg);
  while (sweep(p, need)) { }
}

static int raise_to (int *stage, int want) {
  if (*stage >= want) return 0;
  *stage = want;
  return 1;
}

/* A scan must stand behind everything its body reads from outside. */
static int stage_of_operand (const work *w, lurn_reg r, int reader_scan) {
  const lurn_register *x = &w->src->reg[r];
  if (x->scan >= 0) return x->scan == reader_scan ? 0 : w->scan_stage[x->scan] + 1;
  return w->stage[r];
}

static int stage_once (work *w) {
  const lurn_program *p = w->src;
  int changed = 0;
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    int *stage = i->scan >= 0 ? &w->scan_stage[i->scan] : &w->stage[i->out];
    for (int k = 0; k < LURN_MAX_IN; k++)
      if (i->in[k] >= 0) changed |= raise_to(stage, stage_of_operand(w, i->in[k], i->scan));
  }
  for (int s = 0; s < p->nscan; s++)
    for (int k = 0; k < p->scans[s].nstate; k++)
      changed |= raise_to(&w->scan_stage[s], stage_of_operand(w, p->scans[s].state[k].init, -1));
  return changed;
}

static int compare_nodes (const void *a, const void *b) {
  const node *x = a, *y = b;
  if (x->stage != y->stage) return x->stage < y->stage ? -1 : 1;
  if (x->scan_hash != y->scan_hash) return x->scan_hash < y->scan_hash ? -1 : 1;
  if (x->depth != y->depth) return x->depth < y->depth ? -1 : 1;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  return x->instr - y->instr;
}

static void order_all (work *w) {
  const lurn_program *p = w->src;
  while (stage_once(w)) { }
  for (int n = 0; n < p->ninstr; n++) {
    const lurn_instr *i = &p->instr[n];
    if (!w->need[i->out]) continue;
    node *x = &w->order[w->norder++];
    x->instr = n;
    x->stage = i->scan >= 0 ? w->scan_stage[i->scan] : w->stage[i->out];
    x->scan_hash = i->scan >= 0 ? mix_text(6, p->scans[i->scan].name) | 1 : 0;
    x->depth = w->depth[i->out];
    x->hash = w->hash[i->out];
  }
  qsort(w->order, (size_t)w->norder, sizeof *w->order, compare_nodes);
}

/* ---------- writing the result ---------- */

static int compare_text (const void *a, const void *b) {
  return strcmp((*(const lurn_param *const *)a)->path, (*(const lurn_param *const *)b)->path);
}

/* All parameters, by sorted path, needed or not: the flat arrays are the model's, not the variant's. */
static lurn_status write_params (work *w) {
  const lurn_params *t = &w->src->params;
  size_t bytes = sizeof(lurn_param *) * (size_t)(t->n + 1);
  const lurn_param **sorted = lurn_realloc(w->ctx, NULL, 0, bytes);
  if (!sorted) return LURN_ENOMEM;
  for (int k = 0; k < t->n; k++) sorted[k] = &t->p[k];
  qsort(sorted, (size_t)t->n, sizeof *sorted, compare_text);
  for (int k = 0; k < t->n; k++) lurn_param_reg(w->dst, sorted[k]->path, sorted[k]->rank, sorted[k]->dim,
                                                sorted[k]->init);
  lurn_free(w->ctx, sorted, bytes);
  lurn_params_layout(&w->dst->params);
  for (lurn_reg r = 0; r < w->src->nreg; r++)
    if (w->src->reg[r].kind == LURN_REG_PARAM)
      w->to[r] = lurn_params_find(&w->dst->params, t->p[w->src->reg[r].index].path);
  return lurn_program_status(w->dst);
}

static void write_inputs (work *w) {
  for (;;) {                                       /* by sorted name */
    const lurn_named *best = NULL;
    for (int k = 0; k < w->src->ninput; k++) {
      const lurn_named *x = &w->src->input[k];
      if (w->need[x->reg] && w->to[x->reg] < 0 && (!best || strcmp(x->name, best->name) < 0)) best = x;
    }
    if (!best) return;
    const lurn_register *r = &w->src->reg[best->reg];
    w->to[best->reg] = lurn_input_reg(w->dst, best->name, r->dtype, r->axis, r->rank, r->dim);
    if (w->to[best->reg] < 0) return;
  }
}

/* Where a row starts anew the initial value is selected, never mixed in by a product: a NaN of
 * the sequence before must not get through. */
static lurn_reg with_reset (work *w, lurn_reg flag, lurn_reg prev, lurn_reg init) {
  lurn_program *p = w->dst;
  if (p->reg[prev].dtype == LURN_INDEX) return lurn_emit(p, LURN_OP_IWHERE, flag, init, prev, 0, 0, 0, NULL);
  return lurn_map3(p, LURN_MAP_where, flag, init, prev);
}

/* Windows follow each other along the first time axis; what runs from the end, or along another axis, has nothing
 * to carry on. */
static int carries (const lurn_scan *s) { return !s->reverse && s->axis == LURN_TIME; }

/* 1 where a scan starts anew. Who comes from behind does so at the last step before a flag: beyond it lies another
 * sequence. At the flag itself it would forget its own. */
static lurn_reg reset_flag (work *w, const lurn_scan *s) {
  int one = 1;
  if (!w->variant.reset || s->axis != LURN_TIME) return -1;
  lurn_reg flag = lurn_input_reg(w->dst, "reset", LURN_REAL, LURN_TIME, 1, &one);
  return s->reverse ? lurn_emit(w->dst, LURN_OP_SHIFT, flag, -1, -1, 0, -1, 0, NULL) : flag;
}

static void open_scan (work *w, int s) {
  const lurn_scan *from = &w->src->scans[s];
  lurn_program *p = w->dst;
  lurn_reg flag = reset_flag(w, from);
  w->scan_to[s] = lurn_scan_begin(p, from->name, from->reverse, from->axis);
  for (int done = 0; done < from->nstate && p->status == LURN_OK; done++) {
    const lurn_state *best = NULL;                 /* by sorted name */
    for (int k = 0; k < from->nstate; k++) {
      const lurn_state *st = &from->state[k];
      if (w->need[st->prev] && w->to[st->prev] < 0 && (!best || strcmp(st->name, best->name) < 0)) best = st;
    }
    if (!best) return;
    lurn_reg init = w->to[best->init], first = init;
    if (w->variant.carry && carries(from)) {
      char name[LURN_DERIVED];
      const lurn_register r = w->src->reg[best->init];
      lurn_derived_name(name, LURN_DERIVED_STATE, from->name, best->name);
      first = lurn_input_reg(p, name, r.dtype, LURN_ROW, r.rank, r.dim);
    }
    lurn_reg prev = lurn_scan_state(p, best->name, first);
    w->to[best->prev] = flag >= 0 && prev >= 0 ? with_reset(w, flag, prev, init) : prev;
  }
}

static void close_scan (work *w, int s) {
  const lurn_scan *from = &w->src->scans[s];
  if (w->dst->status != LURN_OK) return;           /* it may not even be open */
  lurn_scan *to = &w->dst->scans[w->scan_to[s]];
  for (int k = 0; k < to->nstate; k++)
    for (int j = 0; j < from->nstate; j++)
      if (strcmp(from->state[j].name, to->state[k].name) == 0) to->state[k].next = w->to[from->state[j].next];
  lurn_scan_end(w->dst);
}

static void write_instr (work *w, const lurn_instr *i) {
  const lurn_op *op = lurn_op_info(i->op);
  lurn_instr like = *i;
  lurn_reg *in = like.in;
  for (int k = 0; k < LURN_MAX_IN; k++) in[k] = i->in[k] >= 0 ? w->to[i->in[k]] : -1;
  if ((op->flags & LURN_OP_COMMUTES)
      && w->hash[i->in[1]] < w->hash[i->in[0]]) { lurn_reg t = in[0]; in[0] = in[1]; in[1] = t; }
  w->to[i->out] = lurn_write(w->dst, &like, i->name >= 0 ? w->src->name[i->name].text : NULL);
}

static lurn_reg moved (const work *w, lurn_reg r) { return r >= 0 ? w->to[r] : -1; }

/* The table of a product of looked-up rows. */
static lurn_reg write_table (work *w, const lurn_instr *i, const lurn_instr *look) {
  return lurn_table(w->dst, moved(w, i->in[0]), moved(w, look->in[0]), moved(w, i->in[2]), i->i[0]);
}

/* All of them stand before the first scan, where each lookup finds its own again. */
static void write_tables (work *w) {
  for (int n = 0; n < w->norder; n++) {
    const lurn_instr *i = &w->src->instr[w->order[n].instr], *look = lurn_tabulates(w->src, i);
    if (look) write_table(w, i, look);
  }
}

static void write_one (work *w, const lurn_instr *i) {
  const lurn_instr *look = lurn_tabulates(w->src, i);
  if (look) w->to[i->out] = lurn_table_rows(w->dst, write_table(w, i, look), w->to[look->in[1]]);
  else write_instr(w, i);
}

static void write_instrs (work *w) {
  int open = -1;
  for (int n = 0; n < w->norder && w->dst->status == LURN_OK; n++) {
    const lurn_instr *i = &w->src->instr[w->order[n].instr];
    if (i->scan != open && open >= 0) close_scan(w, open);
    if (i->scan != open && i->scan >= 0) open_scan(w, i->scan);
    open = i->scan;
    write_one(w, i);
  }
  if (open >= 0) close_scan(w, open);
}

static void write_outputs (work *w) {
  const lurn_program *p = w->src;
  for (int k = 0; k < p->noutput; k++)
    if (strcmp(p->output[k].name, "out") == 0 ? !w->variant.lean : !w->variant.infer) lurn_output_reg(w->dst, p->output[k].name,
        w->to[p->output[k].reg]);
  for (int s = 0; w->variant.carry && s < w->dst->nscan; s++) {
    const lurn_scan scan = w->dst->scans[s];
    for (int k = 0; k < scan.nstate && carries(&scan); k++) {
      char name[LURN_DERIVED];
      lurn_derived_name(name, LURN_DERIVED_STATE, scan.name, scan.state[k].name);
      lurn_output_reg(w->dst, name, lurn_emit(w->dst, LURN_OP_LAST, scan.state[k].next, -1, -1, 0, 0, 1, NULL));
    }
  }
}

static lurn_status run (work *w) {
  if (w->variant.lean && !w->variant.grad) w->variant.lean = 0;
  mark_needed(w->src, w->need, w->variant.infer ? "out" : NULL);
  hash_all(w);
  order_all(w);
  w->dst->share = 1;
  lurn_status status = write_params(w);
  if (status != LURN_OK) return status;
  write_inputs(w);
  write_tables(w);
  write_instrs(w);
  write_outputs(w);
  w->dst->forward = w->dst->ninstr;
  if ((status = lurn_program_status(w->dst)) != LURN_OK) return status;
  if (w->variant.grad && (status = lurn_derive(w->ctx, w->dst, &w->variant)) != LURN_OK) return status;
  return lurn_prune(w->ctx, w->dst);
}

/* All scratch arrays in one block, placed in order of their alignment. */
lurn_status lurn_normalise (lurn_ctx *ctx, const lurn_program *source, const lurn_variant *v, lurn_program *out) {
  size_t r = (size_t)source->nreg + 1, n = (size_t)source->ninstr + 1, s = (size_t)source->nscan + 1;
  size_t bytes = sizeof(node) * n + (sizeof(uint64_t) + 3 * sizeof(int) + 1) * r + 2 * sizeof(int) * s;
  if (source->status != LURN_OK) return lurn_fail(ctx, source->status, "%s", source->error);
  char *block = lurn_realloc(ctx, NULL, 0, bytes);
  if (!block) return LURN_ENOMEM;
  memset(block, 0, bytes);
  work w = {.ctx = ctx, .src = source, .dst = out, .variant = *v};
  w.order = (node *)block;
  w.hash = (uint64_t *)(w.order + n);
  w.depth = (int *)(w.hash + r);
  w.stage = w.depth + r;
  w.to = w.stage + r;
  w.scan_stage = w.to + r;
  w.scan_to = w.scan_stage + s;
  w.need = (uint8_t *)(w.scan_to + s);
  for (size_t k = 0; k < r; k++) w.to[k] = -1;
  lurn_status status = run(&w);
  lurn_free(ctx, block, bytes);
  return status;
}

/* ---------- pruning ---------- */

static void keep_needed (lurn_program *p, const uint8_t *need) {
  int kept = 0, forward = p->forward;
  for (int n = 0; n < p->ninstr; n++) {
    if (n == forward) p->forward = kept;
    if (!need[p->instr[n].out]) continue;
    p->reg[p->instr[n].out].index = kept;
    p->instr[kept++] = p->instr[n];
  }
  if (forward >= p->ninstr) p->forward = kept;
  p->ninstr = kept;
}

lurn_status lurn_prune (lurn_ctx *ctx, lurn_program *p) {
  size_t bytes = (size_t)p->nreg + 1;
  uint8_t *need = lurn_realloc(ctx, NULL, 0, bytes);
  if (!need) return LURN_ENOMEM;
  memset(need, 0, bytes);
  mark_needed(p, need, NULL);
  keep_needed(p, need);
  for (int s = 0; s < p->nscan; s++) {             /* a state that nobody reads is none */
    lurn_scan *scan = &p->scans[s];
    int kept = 0;
    for (int k = 0; k < scan->nstate; k++)
      if (need[scan->state[k].prev]) {
        p->reg[scan->state[k].prev].index = kept;
        scan->state[kept++] = scan->state[k];
      }
    scan->nstate = kept;
  }
  lurn_free(ctx, need, bytes);
  return LURN_OK;
}
