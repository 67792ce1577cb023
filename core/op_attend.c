/* op_attend.c: attention of a query over the steps of another sequence of values, its memory.
 *
 *   s_j = q . k_j                     Luong et al. 2015, "dot" (their "general" is a query times a matrix)
 *   s_j = u . tanh(k_j + q)           Bahdanau et al. 2015, where k = m Wk and q = h Wq were formed before
 *   w = softmax(s)      y = sum_j w_j v_j
 *
 * Keys k and values v are read whole: they must be known before the query's scan begins. They may lie along
 * another time axis than the query. Nothing of the size of queries times steps is stored: scores are worked out
 * again, in the backward pass as well. Sums run in order of steps, by the same lanes, so the bits do not
 * depend on who plays.
 */
#include <math.h>
#include <string.h>

#include "derive.h"

enum { BLOCK = 64, LANES = 16 };      /* scores that are exponentiated together; lanes of a dot product */

/* Operands, counted from the end: u first, in the gradients dy, then these. */
enum { QUERY = 3, KEYS = 2, VALUES = 1 };

static int place_of (const lurn_instr *i, int from_end) { return lurn_op_info(i->op)->nin - from_end; }

static int fail_attend (lurn_program *p, const lurn_instr *i, int operand, const char *want) {
  char have[96];
  lurn_program_fail(p, "%s: operand %d: expected %s, got %s", lurn_op_info(i->op)->name, operand + 1, want,
                    lurn_reg_text(p, i->in[operand], have, sizeof have));
  return 0;
}

static int is_vector (const lurn_register *x, int cols) {
  return x->rank == 1 && x->dtype == LURN_REAL && (cols == 0 || x->cols == cols);
}

/* What all of the family ask of their operands. */
static int check_operands (lurn_program *p, const lurn_instr *i) {
  int qi = place_of(i, QUERY), ki = place_of(i, KEYS), vi = place_of(i, VALUES);
  const lurn_register *q = &p->reg[i->in[qi]], *k = &p->reg[i->in[ki]], *v = &p->reg[i->in[vi]];
  if (!is_vector(k, 0) || lurn_axis_level(k->axis) != LURN_TIME) return fail_attend(p, i, ki, "vectors over time");
  if (!is_vector(v, 0) || v->axis != k->axis) return fail_attend(p, i, vi, "vectors on the keys' axis");
  if (!is_vector(q, k->cols) || q->axis == LURN_ONCE) return fail_attend(p, i, qi, "as many columns as the keys have");
  if (i->in[0] >= 0 && (!is_vector(&p->reg[i->in[0]], k->cols) || p->reg[i->in[0]].axis != LURN_ONCE))
    return fail_attend(p, i, 0, "as many parameters as the keys have columns");
  if (qi == 2 && (!is_vector(&p->reg[i->in[1]], v->cols) || p->reg[i->in[1]].axis != q->axis))
    return fail_attend(p, i, 1, "as many columns as the values have, on the query's axis");
  return 1;
}

static int attend_shape (lurn_program *p, const lurn_instr *i, lurn_register *out) {
  if (!check_operands(p, i)) return 0;
  int values = i->op == LURN_OP_ATTEND || i->op == LURN_OP_ATTEND_DV;
  const lurn_register *k = &p->reg[i->in[place_of(i, KEYS)]], *v = &p->reg[i->in[place_of(i, VALUES)]];
  out->axis = i->op == LURN_OP_ATTEND_DU ? LURN_ONCE
      : i->op == LURN_OP_ATTEND || i->op == LURN_OP_ATTEND_DQ ? p->reg[i->in[place_of(i, QUERY)]].axis : k->axis;
  out->rank = 1;
  out->dim[0] = values ? v->cols : k->cols;
  if (i->op == LURN_OP_ATTEND_DU && i->in[0] < 0) return fail_attend(p, i, 0, "parameters");
  return 1;
}

/* ---------- one query and its memory ---------- */

typedef struct look {           /* at the memory of one row */
  const lurn_kernels *k;
  const real *u;                /* (A), or NULL: dot products */
  const real *key, *value;      /* frame (j) of this row is at start[j] * columns */
  const int32_t *start;
  int steps;
  size_t A, C;                  /* columns of keys, of values */
} look;

static const real *key (const look *m, int j) { return m->key + (size_t)m->start[j] * m->A; }
static const real *value (const look *m, int j) { return m->value + (size_t)m->start[j] * m->C; }

/* Row `row` of the query's batch, and the same sequence's row along the memory's axis. */
static int memory_row (const lurn_batch *query, const lurn_batch *memory, int row) {
  int first = query->place ? query->place[row] : row;
  return memory->rank ? memory->rank[first] : first;
}

static int steps_of (const lurn_batch *b, int row) {
  int steps = 0;
  while (steps < b->T && b->live[steps] > row) steps++;
  return steps;
}

/* That of the query: the memory's axis may be the higher one, which is then the one that is played. */
static const lurn_batch *query_batch (const lurn_call *c) {
  return lurn_batch_along(c->first, lurn_in_info(c, place_of(c->instr, QUERY))->axis);
}

static look look_at (const lurn_call *c, int row) {
  const lurn_instr *i = c->instr;
  int ki = place_of(i, KEYS), vi = place_of(i, VALUES);
  const lurn_register *k = lurn_in_info(c, ki), *v = lurn_in_info(c, vi);
  const lurn_batch *b = lurn_batch_along(c->first, k->axis);
  size_t A = (size_t)k->cols, C = (size_t)v->cols;
  int r = memory_row(query_batch(c), b, row);
  return (look){c->kernels, c->in[0], (const real *)c->in[ki] + (size_t)r * A, (const real *)c->in[vi] + (size_t)r * C,
                b->start, steps_of(b, r), A, C};
}

static real tree (real lane[LANES]) {
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int l = 0; l < width; l++) lane[l] += lane[l + width];
  return lane[0];
}

static void add_dot (real lane[LANES], const real *a, const real *b, size_t n) {
  size_t k = 0;
  for (; k + LANES <= n; k += LANES)
    for (size_t l = 0; l < LANES; l++) lane[l] += a[k + l] * b[k + l];
  for (size_t l = 0; k < n; k++, l++) lane[l] += a[k] * b[k];
}

static real dot (const real *a, const real *b, size_t n) {
  real lane[LANES] = {0};
  add_dot(lane, a, b, n);
  return tree(lane);
}

/* tanh(k + q) for some columns */
static void inner (const look *m, const real *q, const real *k, real *y, size_t n) {
  for (size_t a = 0; a < n; a++) y[a] = k[a] + q[a];
  m->k->map[LURN_MAP_tanh](y, y, NULL, NULL, 0, n);
}

static real score (const look *m, const real *q, int j) {
  const real *k = key(m, j);
  real lane[LANES] = {0}, y[BLOCK];
  if (!m->u) return dot(q, k, m->A);
  for (size_t a = 0; a < m->A; a += BLOCK) {
    size_t n = m->A - a < BLOCK ? m->A - a : BLOCK;
    inner(m, q + a, k + a, y, n);
    add_dot(lane, m->u + a, y, n);
  }
  return tree(lane);
}

static void add_scaled (real *y, real w, const real *x, size_t n) {
  for (size_t k = 0; k < n; k++) y[k] += w * x[k];
}

/* The largest score, the sum of e^(s_j - most), and the sum of e^(s_j - most) (dy . v_j) when dy is given; y gets the
 * sum of e^(s_j - most) v_j when it is. A block at a time: what was summed before is scaled when a block has a larger
 * score. */
typedef struct weighed { real most, sum, pull; } weighed;

static real exp_of (const look *m, real x) {
  m->k->map[LURN_MAP_exp](&x, &x, NULL, NULL, 0, 1);
  return x;
}

static real block_scores (const look *m, const real *q, int from, int n, real *s) {
  real most = -(real)INFINITY;
  for (int j = 0; j < n; j++) {
    s[j] = score(m, q, from + j);
    if (!(s[j] <= most)) most = s[j];
  }
  return most;
}

static weighed weigh (const look *m, const real *q, const real *dy, real *y) {
  weighed w = {-(real)INFINITY, 0, 0};
  real s[BLOCK];
  for (int from = 0; from < m->steps; from += BLOCK) {
    int n = m->steps - from < BLOCK ? m->steps - from : BLOCK;
    real most = block_scores(m, q, from, n, s);
    if (!(most <= w.most)) {
      real scale = from == 0 ? 0 : exp_of(m, w.most - most);
      w = (weighed){most, w.sum * scale, w.pull * scale};
      for (size_t k = 0; y && k < m->C; k++) y[k] *= scale;
    }
    m->k->map[LURN_MAP_add_imm](s, s, NULL, NULL, -w.most, (size_t)n);
    m->k->map[LURN_MAP_exp](s, s, NULL, NULL, 0, (size_t)n);
    for (int j = 0; j < n; j++) {
      w.sum += s[j];
      if (dy) w.pull += s[j] * dot(dy, value(m, from + j), m->C);
      if (y) add_scaled(y, s[j], value(m, from + j), m->C);
    }
  }
  return w;
}

static real weight_at (const look *m, const weighed *w, const real *q, int j) {
  return exp_of(m, score(m, q, j) - w->most) / w->sum;
}

/* ds_j = w_j (dy . v_j - sum_k w_k dy . v_k) */
static real slope_at (const look *m, const weighed *w, const real *q, const real *dy, int j) {
  return weight_at(m, w, q, j) * (dot(dy, value(m, j), m->C) - w->pull / w->sum);
}

/* ---------- forward ---------- */

static void attend_play (const lurn_call *c) {
  size_t C = (size_t)lurn_out_info(c)->cols;
  const real *q = c->in[1];
  real *y = c->out;
  for (int r = 0; r < c->rows; r++, y += C, q += c->step[1]) {
    look m = look_at(c, c->row + r);
    memset(y, 0, sizeof *y * C);
    weighed w = weigh(&m, q, NULL, y);
    for (size_t k = 0; k < C; k++) y[k] /= w.sum;
  }
}

/* ---------- backward: operands (u, dy, q, keys, values) ---------- */

/* to += ds_j times ds_j/dq, which is ds_j/dk_j as well: k_j for a query and q for a key (`other`), or for both
 * u (1 - tanh^2). */
static void add_slope (const look *m, const real *q, int j, real ds, const real *other, real *to) {
  real y[BLOCK];
  if (!m->u) { add_scaled(to, ds, other, m->A); return; }
  for (size_t a = 0; a < m->A; a += BLOCK) {
    size_t n = m->A - a < BLOCK ? m->A - a : BLOCK;
    inner(m, q + a, key(m, j) + a, y, n);
    for (size_t k = 0; k < n; k++) to[a + k] += ds * m->u[a + k] * (1 - y[k] * y[k]);
  }
}

static void attend_dq_play (const lurn_call *c) {
  size_t A = (size_t)lurn_out_info(c)->cols;
  const real *dy = c->in[1], *q = c->in[2];
  real *dq = c->out;
  for (int r = 0; r < c->rows; r++, dq += A, dy += c->step[1], q += c->step[2]) {
    look m = look_at(c, c->row + r);
    weighed w = weigh(&m, q, dy, NULL);
    memset(dq, 0, sizeof *dq * A);
    for (int j = 0; j < m.steps; j++) add_slope(&m, q, j, slope_at(&m, &w, q, dy, j), key(&m, j), dq);
  }
}

static void add_dv (const look *m, const weighed *w, const real *q, const real *dy, int j, real *to) {
  add_scaled(to, weight_at(m, w, q, j), dy, m->C);
}

static void add_dk (const look *m, const weighed *w, const real *q, const real *dy, int j, real *to) {
  add_slope(m, q, j, slope_at(m, w, q, dy, j), q, to);
}

/* ds_j/du = tanh(k_j + q) */
static void add_du (const look *m, const weighed *w, const real *q, const real *dy, int j, real *to) {
  real y[BLOCK], ds = slope_at(m, w, q, dy, j);
  for (size_t a = 0; a < m->A; a += BLOCK) {
    size_t n = m->A - a < BLOCK ? m->A - a : BLOCK;
    inner(m, q + a, key(m, j) + a, y, n);
    add_scaled(to + a, ds, y, n);
  }
}

typedef void (*add_fn) (const look *m, const weighed *w, const real *q, const real *dy, int j, real *to);

/* One query of row r, at step t: adds to all steps of its memory. */
static void spread_query (const lurn_call *c, add_fn add, int r, int t) {
  const lurn_register *out = lurn_out_info(c), *q = lurn_in_info(c, 2);
  const lurn_batch *b = query_batch(c);
  size_t cols = (size_t)out->cols, at = (size_t)r + (lurn_on_time(q->axis) ? (size_t)b->start[t] : 0);
  const real *dy = (const real *)c->in[1] + at * (size_t)lurn_in_info(c, 1)->cols;
  const real *query = (const real *)c->in[2] + at * (size_t)q->cols;
  real *to = c->out;
  look m = look_at(c, r);
  weighed w = weigh(&m, query, dy, NULL);
  if (out->axis == LURN_ONCE) { for (int j = 0; j < m.steps; j++) add(&m, &w, query, dy, j, to); return; }
  to += (size_t)memory_row(b, lurn_batch_along(c->first, out->axis), r) * cols;
  for (int j = 0; j < m.steps; j++) add(&m, &w, query, dy, j, to + (size_t)m.start[j] * cols);
}

/* Every query, from the last step to the first and in a step from the last row to the first. */
static void spread (const lurn_call *c, add_fn add) {
  const lurn_register *out = lurn_out_info(c);
  const lurn_batch *b = query_batch(c);
  int over_time = lurn_on_time(lurn_in_info(c, 2)->axis);
  size_t frames = out->axis == LURN_ONCE ? 1 : (size_t)lurn_batch_along(c->first, out->axis)->N;
  if (!c->go_on) memset(c->out, 0, sizeof(real) * (size_t)out->cols * frames);
  for (int t = over_time ? b->T - 1 : 0; t >= 0; t--)
    for (int r = (over_time ? b->live[t] : b->B) - 1; r >= 0; r--) spread_query(c, add, r, t);
}

static void attend_dk_play (const lurn_call *c) { spread(c, add_dk); }
static void attend_dv_play (const lurn_call *c) { spread(c, add_dv); }
static void attend_du_play (const lurn_call *c) { spread(c, add_du); }

static void attend_grad (lurn_deriv *d, const lurn_instr *i, lurn_reg dy) {
  lurn_instr g = {.op = LURN_OP_ATTEND_DQ, .in = {i->in[0], dy, i->in[1], i->in[2], i->in[3], -1}};
  if (lurn_grad_needed(d, i->in[1])) lurn_grad_add(d, i->in[1], lurn_write(lurn_grad_program(d), &g, NULL));
  g.op = LURN_OP_ATTEND_DK;
  if (lurn_grad_needed(d, i->in[2])) lurn_grad_whole(d, i->in[2], &g);
  g.op = LURN_OP_ATTEND_DV;
  if (lurn_grad_needed(d, i->in[3])) lurn_grad_whole(d, i->in[3], &g);
  g.op = LURN_OP_ATTEND_DU;
  if (i->in[0] >= 0 && lurn_grad_needed(d, i->in[0])) lurn_grad_whole(d, i->in[0], &g);
}

const lurn_op lurn_ops_attend[] = {
  {"attend", 1, 4, LURN_OP_OPTIONAL | LURN_OP_MEMORY, attend_shape, attend_play, attend_grad, "softmax(score(q, k)) v"},
  {"attend_dq", 1, 5, LURN_OP_OPTIONAL | LURN_OP_MEMORY | LURN_OP_NOGRAD, attend_shape, attend_dq_play, NULL, "its gradient in q"},
  {"attend_dk", 1, 5, LURN_OP_OPTIONAL | LURN_OP_WHOLE | LURN_OP_FALLS | LURN_OP_NOGRAD, attend_shape, attend_dk_play, NULL, "its gradient in k"},
  {"attend_dv", 1, 5, LURN_OP_OPTIONAL | LURN_OP_WHOLE | LURN_OP_FALLS | LURN_OP_NOGRAD, attend_shape, attend_dv_play, NULL, "its gradient in v"},
  {"attend_du", 1, 5, LURN_OP_OPTIONAL | LURN_OP_WHOLE | LURN_OP_FALLS | LURN_OP_NOGRAD, attend_shape, attend_du_play, NULL, "its gradient in u"},
};
