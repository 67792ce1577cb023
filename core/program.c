#include "program.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "op.h"

/* ---------- life ---------- */

void lurn_program_init (lurn_ctx *ctx, lurn_program *p) {
  memset(p, 0, sizeof *p);
  p->ctx = ctx;
  p->scan = -1;
}

void lurn_program_free (lurn_program *p) {
  lurn_ctx *ctx = p->ctx;
  if (!ctx) return;
  lurn_free(ctx, p->reg, sizeof *p->reg * (size_t)p->creg);
  lurn_free(ctx, p->instr, sizeof *p->instr * (size_t)p->cinstr);
  lurn_free(ctx, p->scans, sizeof *p->scans * (size_t)p->cscan);
  lurn_free(ctx, p->input, sizeof *p->input * (size_t)p->cinput);
  lurn_free(ctx, p->output, sizeof *p->output * (size_t)p->coutput);
  lurn_free(ctx, p->name, sizeof *p->name * (size_t)p->cname);
  lurn_params_free(ctx, &p->params);
  lurn_program_init(ctx, p);
}

lurn_status lurn_program_status (lurn_program *p) {
  if (p->status == LURN_OK) return LURN_OK;
  return lurn_fail(p->ctx, p->status, "%s", p->error);
}

static lurn_reg fail_with (lurn_program *p, lurn_status status, const char *fmt, va_list args) {
  if (p->status == LURN_OK) {
    p->status = status;
    vsnprintf(p->error, sizeof p->error, fmt, args);
  }
  return -1;
}

lurn_reg lurn_program_fail (lurn_program *p, const char *fmt, ...) {
  va_list args;
  va_start(args, fmt);
  fail_with(p, LURN_EINVAL, fmt, args);
  va_end(args);
  return -1;
}

/* One more element of a growing array; NULL when memory ran out (the error is set). */
static void *grow (lurn_program *p, void *array, int n, int *cap, size_t size) {
  if (n < *cap) return array;
  int want = *cap ? 2 * *cap : 16;
  void *bigger = lurn_realloc(p->ctx, array, size * (size_t)*cap, size * (size_t)want);
  if (!bigger) {
    lurn_program_fail(p, "not enough memory for a program");
    p->status = LURN_ENOMEM;
    return NULL;
  }
  *cap = want;
  return bigger;
}

/* A name is a word of the text form; a mirror's has two, "d lstm1". */
static int is_word (const char *name) {
  size_t n = strcspn(name, " []#");
  for (const char *c = name; *c; c++) if ((unsigned char)*c < ' ' || *c == 127) return 0;
  return n > 0 && name[n] == 0;
}

static int name_fits (lurn_program *p, const char *what, const char *name, size_t size) {
  if (is_word(name) && strlen(name) < size) return 1;
  lurn_program_fail(p, "%s '%.100s': expected a name of at most %zu bytes, without blanks, brackets and #", what, name,
                    size - 1);
  return 0;
}

/* ---------- names that are made of others ---------- */

static const char *const derived[] = {[LURN_DERIVED_GRADIENT] = "d:", [LURN_DERIVED_STATE] = "state:",
  [LURN_STATE_VALUE] = "value:", [LURN_STATE_GRADIENT] = "grad:"};

void lurn_derived_name (char *name, lurn_derived kind, const char *of, const char *state) {
  snprintf(name, LURN_DERIVED, "%s%s%s%s", derived[kind], of, state ? "." : "", state ? state : "");
}

int lurn_is_derived (const char *name, lurn_derived kind) {
  return strncmp(name, derived[kind], strlen(derived[kind])) == 0;
}

int lurn_source_name (lurn_program *p, const char *what, const char *name) {
  for (int k = 0; k < (int)(sizeof derived / sizeof *derived); k++)
    if (lurn_is_derived(name, (lurn_derived)k))
      return lurn_program_fail(p, "%s '%.100s': names that begin with '%s' are the engine's own", what, name,
                               derived[k]), 0;
  return name_fits(p, what, name, LURN_NAME);
}

/* ---------- registers ---------- */

const lurn_register *lurn_reg_info (const lurn_program *p, lurn_reg r) {
  return r >= 0 && r < p->nreg ? &p->reg[r] : NULL;
}

const char *lurn_reg_text (const lurn_program *p, lurn_reg r, char *text, size_t size) {
  const lurn_register *x = lurn_reg_info(p, r);
  char shape[64];
  int64_t dim[LURN_MAX_RANK];
  if (!x) return snprintf(text, size, "nothing"), text;
  for (int i = 0; i < x->rank; i++) dim[i] = x->dim[i];
  snprintf(text, size, "%s %s %s", lurn_axis_names[x->axis], lurn_shape_text(shape, sizeof shape, x->rank, dim),
           x->dtype == LURN_INDEX ? "index" : "real");
  return text;
}

/* Numbers in one row of a register: so many that the bytes of a whole axis can still be counted. */
static int most_cols (int axis) { return axis == LURN_ONCE ? INT32_MAX : 1 << 28; }

/* 0: a dimension is below 1, or the product is too large. */
static int count_cols (int rank, const int *dim) {
  int64_t cols = 1;
  for (int i = 0; i < rank; i++) {
    if (dim[i] < 1 || cols * dim[i] > INT32_MAX) return 0;
    cols *= dim[i];
  }
  return (int)cols;
}

/* What every op may count on, whoever wrote the shape rule. */
static lurn_reg add_register (lurn_program *p, const lurn_register *r) {
  if (r->rank < 1) return lurn_program_fail(p, "a register has at least one dimension");
  if (r->rank > LURN_MAX_RANK) return lurn_program_fail(p, "a register has at most %d dimensions", LURN_MAX_RANK);
  if (r->axis < LURN_ONCE || r->axis >= LURN_NAXES) return lurn_program_fail(p, "there is no axis %d", (int)r->axis);
  int cols = count_cols(r->rank, r->dim), most = most_cols(r->axis);
  if (cols < 1 || cols > most)
    return lurn_program_fail(p, "a register has 1 to %d numbers in a row, with no dimension below 1", most);
  if (r->dtype == LURN_INDEX && (r->rank != 1 || cols != 1))
    return lurn_program_fail(p, "a register of indices has one of them in a row");
  void *array = grow(p, p->reg, p->nreg, &p->creg, sizeof *p->reg);
  if (!array) return -1;
  p->reg = array;
  p->reg[p->nreg] = *r;
  p->reg[p->nreg].cols = cols;
  return p->nreg++;
}

lurn_reg lurn_param_reg (lurn_program *p, const char *path, int rank, const int *dim, lurn_init init) {
  lurn_register r = {.kind = LURN_REG_PARAM, .axis = LURN_ONCE, .scan = -1, .rank = rank};
  int before = p->params.n;
  if (p->status != LURN_OK || !name_fits(p, "parameter", path, LURN_NAME)) return -1;
  if (rank >= 0 && rank <= LURN_MAX_RANK && count_cols(rank, dim) < 1)
    return lurn_program_fail(p, "parameter %s: expected 1 to %d elements, with no dimension below 1", path, INT32_MAX);
  if (lurn_params_declare(p->ctx, &p->params, path, rank, dim, init, &r.index) != LURN_OK)
    return lurn_program_fail(p, "%s", p->ctx->message);
  if (p->params.n == before) {                   /* declared before: tied, the same register */
    for (lurn_reg i = 0; i < p->nreg; i++)
      if (p->reg[i].kind == LURN_REG_PARAM && p->reg[i].index == r.index) return i;
  }
  memcpy(r.dim, dim, sizeof *dim * (size_t)rank);
  return add_register(p, &r);
}

static lurn_reg add_named (lurn_program *p, lurn_named **list, int *n, int *cap, const char *name, lurn_reg reg) {
  void *array = grow(p, *list, *n, cap, sizeof **list);
  if (!array) return -1;
  *list = array;
  snprintf((*list)[*n].name, LURN_DERIVED, "%s", name);
  (*list)[(*n)++].reg = reg;
  return reg;
}

static lurn_reg find_named (const lurn_named *list, int n, const char *name) {
  for (int i = 0; i < n; i++)
    if (strcmp(list[i].name, name) == 0) return list[i].reg;
  return -1;
}

lurn_reg lurn_find_input (const lurn_program *p, const char *name) {
  return find_named(p->input, p->ninput, name);
}

lurn_reg lurn_find_output (const lurn_program *p, const char *name) {
  return find_named(p->output, p->noutput, name);
}

lurn_reg lurn_input_reg (lurn_program *p, const char *name, lurn_dtype dtype, int axis, int rank,
                         const int *dim) {
  lurn_register r = {.kind = LURN_REG_INPUT, .dtype = dtype, .axis = (int16_t)axis, .scan = -1, .rank = rank,
      .index = p->ninput};
  if (p->status != LURN_OK || !name_fits(p, "input", name, LURN_DERIVED)) return -1;
  lurn_reg known = lurn_find_input(p, name);
  if (known >= 0) {
    const lurn_register *k = &p->reg[known];
    if (k->dtype != dtype || k->axis != axis || k->cols != count_cols(rank, dim))
      return lurn_program_fail(p, "input '%s' is asked for twice with different shapes", name);
    return known;
  }
  memcpy(r.dim, dim, sizeof *dim * (size_t)rank);
  lurn_reg reg = add_register(p, &r);
  return reg < 0 ? -1 : add_named(p, &p->input, &p->ninput, &p->cinput, name, reg);
}

lurn_reg lurn_output_reg (lurn_program *p, const char *name, lurn_reg r) {
  if (p->status != LURN_OK || !name_fits(p, "output", name, LURN_DERIVED)) return -1;
  if (r < 0 || r >= p->nreg) return lurn_program_fail(p, "output '%s' has no value", name);
  if (lurn_find_output(p, name) >= 0) return lurn_program_fail(p, "output '%s' is given twice", name);
  return add_named(p, &p->output, &p->noutput, &p->coutput, name, r);
}

/* ---------- scans ---------- */

int lurn_scan_begin (lurn_program *p, const char *name, int reverse, int axis) {
  int mirror = strncmp(name, "d ", 2) == 0;
  if (p->status != LURN_OK || !name_fits(p, "layer", name + 2 * mirror, LURN_NAME)) return -1;
  if (p->nscan == INT16_MAX) return lurn_program_fail(p, "more than %d recurrent layers", INT16_MAX);
  if (p->scan >= 0) return lurn_program_fail(p, "scan '%s' inside scan '%s': nested scans are not supported",
                                             name, p->scans[p->scan].name);
  for (int i = 0; i < p->nscan; i++)
    if (strcmp(p->scans[i].name, name) == 0) return lurn_program_fail(p, "two recurrent layers are called '%s'",
        name);
  void *array = grow(p, p->scans, p->nscan, &p->cscan, sizeof *p->scans);
  if (!array) return -1;
  p->scans = array;
  lurn_scan *s = &p->scans[p->nscan];
  memset(s, 0, sizeof *s);
  snprintf(s->name, sizeof s->name, "%s", name);
  s->reverse = reverse;
  s->axis = axis;
  return p->scan = p->nscan++;
}

lurn_reg lurn_scan_state (lurn_program *p, const char *name, lurn_reg init) {
  const lurn_register *x = lurn_reg_info(p, init);
  if (p->status != LURN_OK || p->scan < 0 || !x) return lurn_program_fail(p,
      "state '%s': no scan is open or no initial value", name);
  lurn_scan *s = &p->scans[p->scan];
  if (!name_fits(p, "state", name, sizeof s->state[0].name)) return -1;
  for (int k = 0; k < s->nstate; k++)
    if (strcmp(s->state[k].name, name) == 0) return lurn_program_fail(p, "two states of '%s' are called '%s'", s->name,
        name);
  if (s->nstate == LURN_MAX_STATES) return lurn_program_fail(p, "scan '%s' has more than %d states", s->name,
                                                             LURN_MAX_STATES);
  int rows = lurn_axis_rows(s->axis);
  if (lurn_on_time(x->axis))
    return lurn_program_fail(p, "state '%s' of '%s': the initial value must not change over time", name, s->name);
  if (x->axis != rows)
    return lurn_scan_state(p, name, x->axis == LURN_ONCE ? lurn_spread(p, init, rows) : lurn_reorder(p, init, rows));
  lurn_register r = *x;
  r.kind = LURN_REG_STATE;
  r.axis = (int16_t)s->axis;
  r.scan = (int16_t)p->scan;
  r.index = s->nstate;
  lurn_state *state = &s->state[s->nstate++];
  snprintf(state->name, sizeof state->name, "%s", name);
  state->init = init;
  state->next = -1;
  lurn_reg prev = add_register(p, &r);
  if (prev < 0) return -1;
  p->scans[p->scan].state[r.index].prev = prev;
  return prev;
}

void lurn_scan_next (lurn_program *p, lurn_reg state, lurn_reg next) {
  const lurn_register *s = lurn_reg_info(p, state), *n = lurn_reg_info(p, next);
  char have[96], want[96];
  if (p->status != LURN_OK) return;
  if (!s || !n || s->kind != LURN_REG_STATE || s->scan != p->scan) {
    lurn_program_fail(p, "next of a register that is no state of the open scan");
    return;
  }
  lurn_state *st = &p->scans[p->scan].state[s->index];
  if (n->kind == LURN_REG_STATE) n = lurn_reg_info(p, next = lurn_map1(p, LURN_MAP_copy, next));
  else if (n->axis != s->axis) n = lurn_reg_info(p, next = lurn_spread(p, next, s->axis));
  else if (n->scan != p->scan) n = lurn_reg_info(p, next = lurn_map1(p, LURN_MAP_copy, next));
  if (!n) return;
  s = &p->reg[state];
  if (n->cols != s->cols || n->dtype != s->dtype || n->axis != s->axis)
    lurn_program_fail(p, "state '%s' of '%s': expected %s, got %s", st->name, p->scans[p->scan].name,
                      lurn_reg_text(p, state, want, sizeof want), lurn_reg_text(p, next, have, sizeof have));
  st->next = next;
}

void lurn_scan_end (lurn_program *p) {
  if (p->scan < 0) return;
  const lurn_scan *s = &p->scans[p->scan];
  for (int i = 0; i < s->nstate; i++)
    if (s->state[i].next < 0) lurn_program_fail(p, "state '%s' of '%s' has no next value", s->state[i].name,
                                                s->name);
  p->scan = -1;
}

/* ---------- instructions ---------- */

static int intern (lurn_program *p, const char *name) {
  if (!name) return -1;
  for (int i = 0; i < p->nname; i++)
    if (strcmp(p->name[i].text, name) == 0) return i;
  void *array = grow(p, p->name, p->nname, &p->cname, sizeof *p->name);
  if (!array) return -1;
  p->name = array;
  snprintf(p->name[p->nname].text, LURN_NAME, "%s", name);
  return p->nname++;
}

static int same_instr (const lurn_instr *a, const lurn_instr *b) {
  return a->op == b->op && a->scan == b->scan && a->name == b->name && !memcmp(&a->k, &b->k, sizeof a->k)
         && !memcmp(a->i, b->i, sizeof a->i) && !memcmp(a->in, b->in, sizeof a->in);
}

/* The result of an equal instruction that stands already, or -1. Random ops are functions of
 * their name and place, so they too are equal when they look equal. */
static lurn_reg common (const lurn_program *p, const lurn_instr *i) {
  for (int n = p->ninstr - 1; p->share && n >= 0; n--)
    if (same_instr(&p->instr[n], i)) return p->instr[n].out;
  return -1;
}

/* A body instruction is what changes with time; everything else of a cell stands outside. */
static int place_in_scan (lurn_program *p, const lurn_op *op, const lurn_instr *i, const lurn_register *out) {
  if (p->scan < 0) return -1;
  for (int k = 0; k < op->nin; k++)
    if (lurn_is_memory(i, k) && p->reg[i->in[k]].scan == p->scan) {
      lurn_program_fail(p, "%s: the memory must be complete before the scan '%s' begins", op->name,
                        p->scans[p->scan].name);
      return -1;
    }
  int inside = out->axis == p->scans[p->scan].axis;
  for (int k = 0; k < LURN_MAX_IN; k++) inside |= i->in[k] >= 0 && p->reg[i->in[k]].axis == p->scans[p->scan].axis;
  if (inside && (op->flags & LURN_OP_WHOLE)) {
    lurn_program_fail(p, "%s works on whole sequences: it has no place inside the step of '%s'", op->name,
                      p->scans[p->scan].name);
    return -1;
  }
  return out->axis == p->scans[p->scan].axis ? p->scan : -1;
}

/* A shape rule that fails says why; for one that does not, this does. */
static lurn_reg refused (lurn_program *p, const lurn_op *op) {
  return lurn_program_fail(p, "%s: its operands do not fit", op->name);
}

lurn_reg lurn_write (lurn_program *p, const lurn_instr *like, const char *name) {
  const lurn_op *info = lurn_op_info(like->op);
  lurn_instr i = *like;
  lurn_register out = {.kind = LURN_REG_VALUE, .dtype = LURN_REAL, .scan = -1};
  if (p->status != LURN_OK) return -1;
  i.out = -1;
  for (int n = info->nin; n < LURN_MAX_IN; n++) i.in[n] = -1;
  for (int n = 0; n < info->nin; n++) {
    int optional = n == 0 && (info->flags & LURN_OP_OPTIONAL);
    if (i.in[n] >= p->nreg || (i.in[n] < 0 && !optional))
      return lurn_program_fail(p, "%s: operand %d is missing", info->name, n + 1);
  }
  if ((info->flags & LURN_OP_RANDOM) && !name) return lurn_program_fail(p, "%s: its random stream needs a name",
      info->name);
  if (name && !name_fits(p, info->name, name, LURN_NAME)) return -1;
  if (!info->shape(p, &i, &out)) return refused(p, info);
  i.name = intern(p, name);
  i.scan = out.scan = (int16_t)place_in_scan(p, info, &i, &out);
  out.index = p->ninstr;
  if (p->status != LURN_OK) return -1;
  lurn_reg known = common(p, &i);
  if (known >= 0) return known;
  void *array = grow(p, p->instr, p->ninstr, &p->cinstr, sizeof *p->instr);
  if (!array) return -1;
  p->instr = array;
  if ((i.out = add_register(p, &out)) < 0) return -1;
  p->instr[p->ninstr++] = i;
  return i.out;
}

lurn_reg lurn_emit (lurn_program *p, int op, lurn_reg a, lurn_reg b, lurn_reg c, double k, int i0, int i1,
                    const char *name) {
  const lurn_instr i = {.op = (int16_t)op, .in = {a, b, c, -1, -1, -1}, .k = k, .i = {i0, i1}};
  return lurn_write(p, &i, name);
}

/* ---------- maps ---------- */

/* A single column as often as `like` has columns, and in its shape. */
lurn_reg lurn_widen (lurn_program *p, lurn_reg column, lurn_reg like) {
  const lurn_register *x = lurn_reg_info(p, like);
  if (!x) return -1;
  lurn_register shape = *x;                      /* p->reg may move */
  lurn_reg wide = shape.cols == 1 ? column : lurn_emit(p, LURN_OP_EXPAND, column, -1, -1, 0, shape.cols, 0, NULL);
  return shape.rank == 1 ? wide : lurn_reshape(p, wide, shape.rank, shape.dim);
}

static lurn_reg map (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b, lurn_reg c, double k) {
  lurn_reg in[3] = {a, b, c};
  int n = lurn_map_inputs(m), axis = LURN_ONCE;
  lurn_reg like = a;
  for (int j = 0; j < n; j++) {
    const lurn_register *x = lurn_reg_info(p, in[j]), *y = lurn_reg_info(p, like);
    if (x && y && (x->cols > y->cols || (x->cols == y->cols && x->rank > y->rank))) like = in[j];
    if (x && lurn_axis_level(x->axis) > lurn_axis_level(axis)) axis = x->axis;
  }
  for (int j = 0; j < n; j++) {
    in[j] = lurn_reorder(p, in[j], axis);
    const lurn_register *x = lurn_reg_info(p, in[j]), *y = lurn_reg_info(p, like);
    if (x && y && x->cols == 1 && (y->cols > 1 || y->rank > x->rank)) in[j] = lurn_widen(p, in[j], like);
  }
  return lurn_emit(p, (int)m, in[0], in[1], in[2], k, 0, 0, NULL);
}

lurn_reg lurn_map1 (lurn_program *p, lurn_map m, lurn_reg a) { return map(p, m, a, -1, -1, 0); }
lurn_reg lurn_map1k (lurn_program *p, lurn_map m, lurn_reg a, double k) { return map(p, m, a, -1, -1, k); }
lurn_reg lurn_map2 (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b) { return map(p, m, a, b, -1, 0); }
lurn_reg lurn_map2k (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b,
                     double k) { return map(p, m, a, b, -1, k); }
lurn_reg lurn_map3 (lurn_program *p, lurn_map m, lurn_reg a, lurn_reg b,
                    lurn_reg c) { return map(p, m, a, b, c, 0); }

/* A constant has no operand to take its shape from: i[0] is its number of columns, i[1] its axis;
 * another rank than one is a reshape of that. */
lurn_reg lurn_fill (lurn_program *p, double k, int axis, int rank, const int *dim) {
  int d[LURN_MAX_RANK] = {0};                    /* dim may point into p->reg, which may move */
  memcpy(d, dim, sizeof *d * (size_t)rank);
  lurn_reg r = lurn_emit(p, LURN_MAP_fill, -1, -1, -1, k, count_cols(rank, d), axis, NULL);
  return rank == 1 ? r : lurn_reshape(p, r, rank, d);
}

lurn_reg lurn_reshape (lurn_program *p, lurn_reg a, int rank, const int *dim) {
  lurn_instr i = {.op = LURN_OP_RESHAPE, .in = {a, -1, -1, -1, -1, -1}, .k = rank > 2 ? dim[2] : 0};
  if (rank > 0) i.i[0] = dim[0];
  if (rank > 1) i.i[1] = dim[1];
  if (rank > 3) i.i[2] = dim[3];
  return lurn_write(p, &i, NULL);
}

lurn_reg lurn_reorder (lurn_program *p, lurn_reg a, int axis) {
  const lurn_register *x = lurn_reg_info(p, a);
  if (!x || lurn_axis_level(x->axis) != LURN_ROW || axis == LURN_ONCE
      || lurn_axis_set(x->axis) == lurn_axis_set(axis)) return a;
  return lurn_emit(p, LURN_OP_REORDER, a, -1, -1, 0, lurn_axis_rows(axis), 0, NULL);
}

lurn_reg lurn_spread (lurn_program *p, lurn_reg a, int axis) {
  const lurn_register *x = lurn_reg_info(p, a = lurn_reorder(p, a, axis));
  if (!x || lurn_axis_level(x->axis) >= lurn_axis_level(axis)) return a;
  if (x->dtype == LURN_INDEX) return lurn_program_fail(p, "an index register cannot be spread over rows");
  return lurn_emit(p, LURN_MAP_copy, a, -1, -1, 0, 0, axis, NULL);
}

lurn_reg lurn_matmul (lurn_program *p, lurn_reg acc, lurn_reg a, lurn_reg w, int trans) {
  return lurn_emit(p, LURN_OP_PRODUCT, acc, a, w, 0, trans, 0, NULL);
}
