/* op_ctc.c: connectionist temporal classification (Graves et al. 2006): the probability that frames spell a
 * sequence of labels, summed over all ways to lay the labels along the frames.
 *
 * l' is the labels with a blank before, between and behind them, S = 2 L + 1 of them. With y_t(k) the probability of
 * class k at step t, in logarithms,
 *   a_t(s) = ln y_t(l'_s) + lse(a_{t-1}(s), a_{t-1}(s-1), a_{t-1}(s-2) unless l'_s is blank or l'_{s-2})
 *   b_t(s) = the same from the end        ln p = lse(a_T(S), a_T(S-1))
 *   d(-ln p) / d ln y_t(k) = - sum over s with l'_s = k of exp(a_t(s) + b_t(s) - ln y_t(k) - ln p)
 * A label of none (-1) is left out, so a sequence without labels has one such. Labels that do not fit into the frames
 * have probability 0: an infinite cost and no gradient, or with `zero_infinity` a cost of 0.
 */
#include <math.h>
#include <string.h>

#include "derive.h"

static const real NEVER = (real)-1e30;           /* ln 0: finite, so that differences of two are no NaN */

static int fail_ctc (lurn_program *p, const lurn_instr *i, int operand, const char *want) {
  char have[96];
  lurn_program_fail(p, "%s: operand %d: expected %s, got %s", lurn_op_info(i->op)->name, operand + 1, want,
                    lurn_reg_text(p, i->in[operand], have, sizeof have));
  return 0;
}

/* Operands: (ln y, labels) and (dy, ln y, labels). i: blank, zero_infinity. */
static int ctc_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  int at = i->op == LURN_OP_CTC ? 0 : 1;
  const lurn_register *x = &p->reg[i->in[at]], *y = &p->reg[i->in[at + 1]];
  if (lurn_axis_level(x->axis) != LURN_TIME || x->rank != 1 || x->dtype != LURN_REAL)
    return fail_ctc(p, i, at, "log probabilities over time");
  if (lurn_axis_level(y->axis) != LURN_TIME || y->axis == x->axis || y->dtype != LURN_INDEX || y->cols != 1)
    return fail_ctc(p, i, at + 1, "labels along another time axis");
  if (!lurn_index_fits(p, i->in[at + 1], x->cols)) return fail_ctc(p, i, at, "a class for every label");
  if (i->i[0] < 0 || i->i[0] >= x->cols)
    return lurn_program_fail(p, "ctc: the blank is class %lld of %d", i->i[0] + 1LL, x->cols), 0;
  out->axis = i->op == LURN_OP_CTC ? (int16_t)lurn_axis_rows(x->axis) : x->axis;
  out->rank = 1;
  out->dim[0] = i->op == LURN_OP_CTC ? 1 : x->cols;
  const lurn_register *dy = &p->reg[i->in[0]];
  if (at == 1 && (dy->axis != lurn_axis_rows(x->axis) || dy->cols != 1 || dy->dtype != LURN_REAL))
    return fail_ctc(p, i, 0, "one number per row");
  return 1;
}

/* ---------- one row ---------- */

typedef struct spelling {
  const lurn_kernels *k;
  const real *y;                /* (N, C): frame t of this row is at start[t] C */
  const int32_t *start;
  int T, C, S, blank;
  int32_t *label;               /* (S): l' */
  real *skip;                   /* (S): 0, or NEVER where s-2 is no neighbour */
  real *a, *b;                  /* a: (T, S) or (2, S); b: (2, S) */
  real *work;                   /* (4, S) */
} spelling;

static size_t most_labels (const lurn_program *p, const lurn_instr *i, const lurn_extent *e) {
  int at = i->op == LURN_OP_CTC ? 1 : 2;
  return 2 * (size_t)e->T[lurn_axis_set(p->reg[i->in[at]].axis)] + 1;
}

static size_t ctc_scratch (const lurn_program *p, const lurn_instr *i, const lurn_extent *e) {
  size_t S = most_labels(p, i, e);
  size_t T = i->op == LURN_OP_CTC ? 2 : (size_t)e->T[lurn_axis_set(p->reg[i->in[1]].axis)] + 1;
  return lurn_align(sizeof(real) * S * (T + 2 + 4 + 1)) + sizeof(int32_t) * S;
}

static int steps_of (const lurn_batch *b, int row) {
  int T = 0;
  while (T < b->T && b->live[T] > row) T++;
  return T;
}

/* l' of row `row`, and which of its places can be reached from two places before. */
static void spell (spelling *w, const lurn_batch *b, const int32_t *labels, int row) {
  w->S = 1;
  w->label[0] = w->blank;
  for (int j = 0; j < b->T && b->live[j] > row; j++) {
    int32_t id = labels[b->start[j] + row];
    if (lurn_is_none(id, w->C)) continue;
    w->label[w->S++] = id;
    w->label[w->S++] = w->blank;
  }
  for (int s = 0; s < w->S; s++)
    w->skip[s] = s > 1 && w->label[s] != w->blank && w->label[s] != w->label[s - 2] ? 0 : NEVER;
}

/* The row of the labels' batch that is row r of the frames'. */
static spelling open_row (const lurn_call *c, int r, int at) {
  const lurn_register *x = lurn_in_info(c, at);
  const lurn_batch *b = lurn_batch_along(c->first, x->axis), *l = lurn_batch_along(c->first, lurn_in_info(c, at + 1)->axis);
  int first = b->place ? b->place[r] : r, row = l->rank ? l->rank[first] : first;
  size_t S = 2 * (size_t)l->T + 1;
  spelling w = {.k = c->kernels, .start = b->start, .T = steps_of(b, r), .C = x->cols, .blank = c->instr->i[0]};
  w.y = (const real *)c->in[at] + (size_t)r * (size_t)x->cols;
  w.work = c->scratch;
  w.skip = w.work + 4 * S;
  w.b = w.skip + S;
  w.a = w.b + 2 * S;
  w.label = (int32_t *)(void *)((char *)c->scratch + lurn_align(sizeof(real) * S * ((at == 0 ? 2 : (size_t)b->T + 1) + 7)));
  spell(&w, l, c->in[at + 1], row);
  return w;
}

static const real *frame (const spelling *w, int t) { return w->y + (size_t)w->start[t] * (size_t)w->C; }

/* y = lse(a, b, c), y none of them: sentinels stay about where they are. */
static void lse3 (const spelling *w, real *y, const real *a, const real *b, const real *c, int S) {
  const lurn_map_fn *f = w->k->map;
  size_t n = (size_t)S;
  real *most = w->work + 2 * n, *e = w->work + 3 * n;
  f[LURN_MAP_max](most, a, b, NULL, 0, n);
  f[LURN_MAP_max](most, most, c, NULL, 0, n);
  f[LURN_MAP_sub](e, a, most, NULL, 0, n);
  f[LURN_MAP_exp](e, e, NULL, NULL, 0, n);
  for (int k = 0; k < 2; k++) {
    f[LURN_MAP_sub](y, k ? c : b, most, NULL, 0, n);
    f[LURN_MAP_exp](y, y, NULL, NULL, 0, n);
    f[LURN_MAP_add](e, e, y, NULL, 0, n);
  }
  f[LURN_MAP_log](e, e, NULL, NULL, 0, n);
  f[LURN_MAP_add](y, e, most, NULL, 0, n);
}

static void add_emission (const spelling *w, real *a, int t) {
  const real *y = frame(w, t);
  for (int s = 0; s < w->S; s++) {
    a[s] += y[w->label[s]];
    if (!(a[s] > NEVER)) a[s] = a[s] != a[s] ? a[s] : NEVER;
  }
}

static void begin (const spelling *w, real *a, int first, int second) {
  for (int s = 0; s < w->S; s++) a[s] = NEVER;
  a[first] = 0;
  if (second >= 0 && second < w->S) a[second] = 0;
}

/* From step t-1 to t: a place is reached from itself, from the one before, and over a blank. */
static void rise (const spelling *w, const real *from, real *to, int t) {
  real *one = w->work, *two = w->work + w->S;
  for (int s = 0; s < w->S; s++) {
    one[s] = s > 0 ? from[s - 1] : NEVER;
    two[s] = s > 1 ? from[s - 2] + w->skip[s] : NEVER;
  }
  lse3(w, to, from, one, two, w->S);
  add_emission(w, to, t);
}

/* From step t+1 to t. */
static void fall (const spelling *w, const real *from, real *to, int t) {
  real *one = w->work, *two = w->work + w->S;
  for (int s = 0; s < w->S; s++) {
    one[s] = s + 1 < w->S ? from[s + 1] : NEVER;
    two[s] = s + 2 < w->S ? from[s + 2] + w->skip[s + 2] : NEVER;
  }
  lse3(w, to, from, one, two, w->S);
  add_emission(w, to, t);
}

/* ln p of the last step's a. */
static real ending (const spelling *w, const real *a) {
  real end[3] = {a[w->S - 1], w->S > 1 ? a[w->S - 2] : NEVER, NEVER}, y[1];
  lse3(w, y, &end[0], &end[1], &end[2], 1);
  return y[0];
}

/* a of every step when keep, of the last one otherwise; returns it. */
static const real *rise_all (const spelling *w, int keep) {
  real *a = w->a;
  begin(w, a, 0, 1);
  add_emission(w, a, 0);
  for (int t = 1; t < w->T; t++) {
    real *next = w->a + (size_t)(keep ? t : t % 2) * (size_t)w->S;
    rise(w, a, next, t);
    a = next;
  }
  return a;
}

/* ---------- the ops ---------- */

static void ctc_play (const lurn_call *c) {
  real *loss = c->out;
  const lurn_batch *b = lurn_batch_along(c->first, lurn_in_info(c, 0)->axis);
  for (int r = 0; r < b->B; r++) {
    spelling w = open_row(c, r, 0);
    real p = ending(&w, rise_all(&w, 0));
    loss[r] = p > NEVER / 2 || p != p ? -p : c->instr->i[1] ? 0 : (real)INFINITY;
  }
}

/* -exp(a + b - y - p) of every place, added up by class; both a and b count y. */
static void add_occupancy (const spelling *w, const real *a, const real *b, real p, real dy, const real *y, real *out) {
  size_t n = (size_t)w->S;
  real *e = w->work;
  for (size_t s = 0; s < n; s++) e[s] = y[w->label[s]] > NEVER ? a[s] + b[s] - y[w->label[s]] - p : NEVER;
  w->k->map[LURN_MAP_exp](e, e, NULL, NULL, 0, n);
  for (size_t s = 0; s < n; s++) out[w->label[s]] -= dy * e[s];
}

static void ctc_grad_play (const lurn_call *c) {
  const lurn_batch *b = lurn_batch_along(c->first, lurn_in_info(c, 1)->axis);
  size_t C = (size_t)lurn_out_info(c)->cols;
  memset(c->out, 0, sizeof(real) * C * (size_t)b->N);
  for (int r = 0; r < b->B; r++) {
    spelling w = open_row(c, r, 1);
    real p = ending(&w, rise_all(&w, 1)), *now = w.b, *next = w.b + w.S;
    if (!(p > NEVER / 2)) continue;
    begin(&w, now, w.S - 1, w.S - 2);
    add_emission(&w, now, w.T - 1);
    for (int t = w.T - 1; t >= 0; t--) {
      real *out = (real *)c->out + ((size_t)b->start[t] + (size_t)r) * C;
      add_occupancy(&w, w.a + (size_t)t * (size_t)w.S, now, p, ((const real *)c->in[0])[r], frame(&w, t), out);
      if (t > 0) fall(&w, now, next, t - 1);
      real *swap = now;
      now = next;
      next = swap;
    }
  }
}

static void ctc_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  const lurn_instr g = {.op = LURN_OP_CTC_GRAD, .in = {dy, i->in[0], i->in[1], -1, -1, -1}, .i = {i->i[0], i->i[1]}};
  if (lurn_grad_needed(d, i->in[0])) lurn_grad_whole(d, i->in[0], &g);
}

const lurn_op lurn_ops_ctc[] = {
  {"ctc", 1, 2, LURN_OP_WHOLE, ctc_shape, ctc_play, ctc_grad, "-ln p(labels) of frames' log probabilities", ctc_scratch},
  {"ctc_grad", 1, 3, LURN_OP_WHOLE | LURN_OP_NOGRAD, ctc_shape, ctc_grad_play, NULL, "its gradient", ctc_scratch},
};
