#include "derive.h"

#include <stdio.h>
#include <string.h>

#include "normalise.h"

/* A reduction that waits for the end of the mirror's loop. */
typedef struct later { lurn_reg to; lurn_instr like; } later;

struct lurn_deriv {
  lurn_ctx *ctx;
  lurn_program *p;
  int nreg;                     /* registers of the forward half */
  uint8_t *need;                /* (nreg) a gradient can and must flow here */
  lurn_reg *grad;               /* (nreg) its gradient so far, outside every loop */
  lurn_reg *body;               /* (nreg) its gradient so far, inside the open mirror */
  int mirror;                   /* 1: a mirror is open */
  int states;                   /* 1: gradients of states are outputs */
  later *wait;
  int nwait, cwait;
};

lurn_program *lurn_grad_program (lurn_deriv *d) { return d->p; }
int lurn_grad_needed (const lurn_deriv *d, lurn_reg r) { return r >= 0 && r < d->nreg && d->need[r]; }

/* ---------- contributions ---------- */

static lurn_reg *slot (lurn_deriv *d, lurn_reg r) { return d->mirror ? &d->body[r] : &d->grad[r]; }

/* Written after the loop: its operands are then whole time registers. Each reduction is a chain of its own, from zero:
 * played in windows (recompute.h), it cannot begin where another one has yet to end. */
static void reduce_now (lurn_deriv *d, const later *l) { lurn_grad_add(d, l->to, lurn_write(d->p, &l->like, NULL)); }

static void reduce (lurn_deriv *d, later l) {
  if (!d->mirror) { reduce_now(d, &l); return; }
  if (d->nwait == d->cwait) {
    int want = d->cwait ? 2 * d->cwait : 32;
    later *more = lurn_realloc(d->ctx, d->wait, sizeof l * (size_t)d->cwait, sizeof l * (size_t)want);
    if (!more) { lurn_program_fail(d->p, "not enough memory to derive a gradient"); return; }
    d->wait = more;
    d->cwait = want;
  }
  d->wait[d->nwait++] = l;
}

void lurn_grad_whole (lurn_deriv *d, lurn_reg to, const lurn_instr *like) {
  if (lurn_grad_needed(d, to)) reduce(d, (later){to, *like});
}

void lurn_grad_reduce (lurn_deriv *d, lurn_reg w, int op, lurn_reg x, lurn_reg dy, int i0) {
  const lurn_instr like = {.op = (int16_t)op, .in = {-1, x, dy, -1, -1, -1}, .i = {i0}};
  if (dy >= 0) lurn_grad_whole(d, w, &like);
}

void lurn_grad_add (lurn_deriv *d, lurn_reg r, lurn_reg g) {
  if (!lurn_grad_needed(d, r) || g < 0) return;
  int have = d->p->reg[g].axis, want = d->p->reg[r].axis;
  if (lurn_axis_level(want) < lurn_axis_level(have)) {
    const lurn_instr like = {.op = want == LURN_ONCE ? LURN_OP_COLSUM : LURN_OP_FOLD, .in = {-1, g, -1, -1, -1, -1}};
    lurn_grad_whole(d, r, &like);
    return;
  }
  g = lurn_spread(d->p, g, want);
  lurn_reg *s = slot(d, r);
  *s = *s < 0 ? g : lurn_map2(d->p, LURN_MAP_add, *s, g);
}

void lurn_grad_chain (lurn_deriv *d, lurn_reg to, const lurn_instr *like) {
  lurn_reg *s = slot(d, to);
  lurn_instr i = *like;
  if (!lurn_grad_needed(d, to)) return;
  i.in[0] = *s;
  *s = lurn_write(d->p, &i, NULL);
}

void lurn_grad_product (lurn_deriv *d, lurn_reg x, lurn_reg dy, lurn_reg w, int trans) {
  const lurn_instr like = {.op = LURN_OP_PRODUCT, .in = {-1, dy, w, -1, -1, -1}, .i = {!trans}};
  lurn_grad_chain(d, x, &like);
}

/* ---------- where gradients flow ---------- */

static int flows (const lurn_deriv *d, const lurn_instr *i) {
  const lurn_op *op = lurn_op_info(i->op);
  if ((op->flags & LURN_OP_NOGRAD) || d->p->reg[i->out].dtype == LURN_INDEX) return 0;
  for (int k = 0; k < LURN_MAX_IN; k++)
    if (i->in[k] >= 0 && d->need[i->in[k]]) return 1;
  return 0;
}

static int flow_once (lurn_deriv *d) {
  int changed = 0;
  for (int n = 0; n < d->p->forward; n++) {
    const lurn_instr *i = &d->p->instr[n];
    if (!d->need[i->out] && flows(d, i)) changed = d->need[i->out] = 1;
  }
  for (int s = 0; s < d->p->nscan; s++)
    for (int k = 0; k < d->p->scans[s].nstate; k++) {
      const lurn_state *st = &d->p->scans[s].state[k];
      if (!d->need[st->prev] && (d->need[st->next] || d->need[st->init])) changed = d->need[st->prev] = 1;
    }
  return changed;
}

static void mark_flow (lurn_deriv *d, const lurn_variant *v) {
  for (lurn_reg r = 0; r < d->nreg; r++) {
    const lurn_register *x = &d->p->reg[r];
    if (x->kind == LURN_REG_PARAM) d->need[r] = 1;
    if (x->kind == LURN_REG_INPUT && v->grad_inputs && x->dtype == LURN_REAL
        && strcmp(d->p->input[x->index].name, "x") == 0) d->need[r] = 1;
  }
  while (flow_once(d)) { }
}

/* ---------- one instruction, one scan ---------- */

static void derive_instr (lurn_deriv *d, int n) {
  const lurn_instr i = d->p->instr[n];             /* a copy: the array moves when rules emit */
  lurn_reg dy = *slot(d, i.out);
  const lurn_op *op = lurn_op_info(i.op);
  if (dy >= 0 && d->need[i.out] && op->grad) op->grad(d, &i, dy);
}

/* The gradient of a state's next value: what came from outside, then what the step after it (in
 * the mirror: the step before it) handed on. */
static void open_mirror (lurn_deriv *d, int s, const lurn_scan *scan, lurn_reg *carry) {
  char name[LURN_DERIVED];
  lurn_reg zero[LURN_MAX_STATES];
  for (int k = 0; k < scan->nstate; k++) {
    const lurn_register *x = &d->p->reg[scan->state[k].prev];
    zero[k] = d->need[scan->state[k].prev] ? lurn_fill(d->p, 0, lurn_axis_rows(x->axis), x->rank, x->dim) : -1;
  }
  for (lurn_reg r = 0; r < d->nreg; r++)
    if (d->p->reg[r].scan == s) d->body[r] = d->grad[r];
  snprintf(name, sizeof name, "d %s", scan->name);
  lurn_scan_begin(d->p, name, !scan->reverse, scan->axis);
  d->mirror = 1;
  for (int k = 0; k < scan->nstate; k++) {
    carry[k] = zero[k] < 0 ? -1 : lurn_scan_state(d->p, scan->state[k].name, zero[k]);
    lurn_grad_add(d, scan->state[k].next, carry[k]);
  }
}

static void write_state (lurn_deriv *d, lurn_derived what, const lurn_scan *scan, const lurn_state *st, lurn_reg r) {
  char name[LURN_DERIVED];
  lurn_derived_name(name, what, scan->name, st->name);
  lurn_output_reg(d->p, name, r);
}

/* All that reads a state's next value has been derived: what fell on it is its whole gradient, step by step. */
static void write_states (lurn_deriv *d, const lurn_scan *scan) {
  for (int k = 0; k < scan->nstate; k++) {
    const lurn_state *st = &scan->state[k];
    if (d->body[st->next] < 0) continue;
    write_state(d, LURN_STATE_VALUE, scan, st, st->next);
    write_state(d, LURN_STATE_GRADIENT, scan, st, d->body[st->next]);
  }
}

static void close_mirror (lurn_deriv *d, int s, const lurn_scan *scan, const lurn_reg *carry) {
  lurn_reg last[LURN_MAX_STATES];
  for (int k = 0; k < scan->nstate; k++) {
    const lurn_register *x = &d->p->reg[scan->state[k].prev];
    last[k] = -1;
    if (carry[k] < 0) continue;
    last[k] = d->body[scan->state[k].prev];
    if (last[k] < 0) last[k] = lurn_fill(d->p, 0, x->axis, x->rank, x->dim);
    lurn_scan_next(d->p, carry[k], last[k]);
    if (d->p->status == LURN_OK) last[k] = d->p->scans[d->p->scan].state[d->p->reg[carry[k]].index].next;
  }
  lurn_scan_end(d->p);
  if (d->states) write_states(d, scan);
  d->mirror = 0;
  for (int n = 0; n < d->nwait; n++) reduce_now(d, &d->wait[n]);
  d->nwait = 0;
  for (int k = 0; k < scan->nstate; k++)           /* the mirror of a forward scan ends at step 0 */
    if (last[k] >= 0 && lurn_grad_needed(d, scan->state[k].init))
      lurn_grad_add(d, scan->state[k].init, lurn_emit(d->p, LURN_OP_LAST, last[k], -1, -1, 0, !scan->reverse, 0,
                                                      NULL));
  for (lurn_reg r = 0; r < d->nreg; r++) {
    if (d->body[r] >= 0 && d->p->reg[r].scan != s) lurn_grad_add(d, r, d->body[r]);
    d->body[r] = -1;
  }
}

static void derive_scan (lurn_deriv *d, int s, int first, int last) {
  const lurn_scan scan = d->p->scans[s];
  lurn_reg carry[LURN_MAX_STATES];
  int any = 0;
  for (int n = first; n <= last; n++) any |= d->grad[d->p->instr[n].out] >= 0;
  for (int k = 0; k < scan.nstate; k++) any |= d->grad[scan.state[k].prev] >= 0;     /* read from outside */
  if (!any) return;
  open_mirror(d, s, &scan, carry);
  for (int n = last; n >= first && d->p->status == LURN_OK; n--) derive_instr(d, n);
  close_mirror(d, s, &scan, carry);
}

static void derive_all (lurn_deriv *d) {
  lurn_program *p = d->p;
  for (int n = p->forward - 1; n >= 0 && p->status == LURN_OK; n--) {
    int s = p->instr[n].scan, last = n;
    if (s < 0) { derive_instr(d, n); continue; }
    while (n > 0 && p->instr[n - 1].scan == s) n--;
    derive_scan(d, s, n, last);
  }
}

static void write_gradients (lurn_deriv *d) {
  char name[LURN_DERIVED];
  for (lurn_reg r = 0; r < d->nreg; r++) {
    const lurn_register *x = &d->p->reg[r];
    if (d->grad[r] < 0 || (x->kind != LURN_REG_PARAM && x->kind != LURN_REG_INPUT)) continue;
    lurn_derived_name(name, LURN_DERIVED_GRADIENT, x->kind == LURN_REG_PARAM ? d->p->params.p[x->index].path
                      : d->p->input[x->index].name, NULL);
    lurn_output_reg(d->p, name, d->grad[r]);
  }
}

/* What a rule wrote in a loop but does not change with time (a zero, a weight's transpose) moves in
 * front of it, so that a body is one run of instructions. */
static void gather_body (lurn_program *p, int s) {
  int first = p->ninstr, last = -1;
  for (int n = p->forward; n < p->ninstr; n++)
    if (p->instr[n].scan == s) { if (n < first) first = n; last = n; }
  for (int n = first, put = first; n <= last; n++) {
    const lurn_instr i = p->instr[n];
    if (i.scan == s) continue;
    memmove(&p->instr[put + 1], &p->instr[put], sizeof i * (size_t)(n - put));
    p->instr[put++] = i;
  }
  for (int n = first; n <= last; n++) p->reg[p->instr[n].out].index = n;
}

lurn_status lurn_derive (lurn_ctx *ctx, lurn_program *p, const lurn_variant *v) {
  lurn_reg loss = lurn_find_output(p, "loss");
  if (loss < 0) return lurn_fail(ctx, LURN_EINVAL,
                                 "no gradient without a loss: the model has no output \"loss\"");
  if (p->reg[loss].axis != LURN_ONCE || p->reg[loss].cols != 1) return lurn_fail(ctx, LURN_EINVAL,
      "a loss is one number: reduce it with mean, sum or time");
  size_t n = (size_t)p->nreg, bytes = n * (2 * sizeof(lurn_reg) + 1);
  char *block = lurn_realloc(ctx, NULL, 0, bytes);
  if (!block) return LURN_ENOMEM;
  lurn_deriv d = {.ctx = ctx, .p = p, .nreg = p->nreg, .states = v->grad_states, .grad = (lurn_reg *)block};
  d.body = d.grad + n;
  d.need = (uint8_t *)(d.body + n);
  for (size_t k = 0; k < 2 * n; k++) d.grad[k] = -1;
  memset(d.need, 0, n);
  mark_flow(&d, v);
  int one = 1;
  d.grad[loss] = lurn_fill(p, 1, LURN_ONCE, 1, &one);
  derive_all(&d);
  for (int s = 0; s < p->nscan; s++) gather_body(p, s);
  write_gradients(&d);
  lurn_free(ctx, d.wait, sizeof *d.wait * (size_t)d.cwait);
  lurn_free(ctx, block, bytes);
  return lurn_program_status(p);
}
