/* program_text.c: programs as text: what a checkpoint keeps, what lurn.show prints, and what another
 * precision's core reads. One line per thing, in an order from which a builder could have
 * made it; registers are named by their numbers.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "op.h"
#include "sink.h"

/* ---------- printing ---------- */

static void put_dims (lurn_sink *s, int rank, const int *dim) {
  lurn_sink_text(s, "(");
  for (int k = 0; k < rank; k++) {
    if (k) lurn_sink_text(s, ",");
    lurn_sink_whole(s, dim[k]);
  }
  lurn_sink_text(s, ")");
}

/* As "%.17g" does, most are whole. */
static void put_number (lurn_sink *s, double x) {
  if (x >= -1e9 && x <= 1e9 && x == (int)x && !(x == 0 && signbit(x))) lurn_sink_whole(s, (int)x);
  else lurn_sink_put(s, "%.17g", x);
}

static void put_whole (lurn_sink *s, const char *before, int n) {
  lurn_sink_text(s, before);
  lurn_sink_whole(s, n);
}

static void put_leaf (lurn_sink *s, const lurn_program *p, lurn_reg r) {
  const lurn_register *x = &p->reg[r];
  if (x->kind == LURN_REG_PARAM) {
    const lurn_param *a = &p->params.p[x->index];
    lurn_sink_put(s, "param r%d %s ", r, a->path);
    put_dims(s, x->rank, x->dim);
    lurn_sink_put(s, " %d ", (int)a->init.kind);
    put_number(s, a->init.a);
    lurn_sink_text(s, " ");
    put_number(s, a->init.b);
    lurn_sink_text(s, "\n");
  } else if (x->kind == LURN_REG_INPUT) {
    lurn_sink_put(s, "input r%d %s %s %s ", r, p->input[x->index].name, x->dtype == LURN_INDEX ? "index" : "real",
        lurn_axis_names[x->axis]);
    put_dims(s, x->rank, x->dim);
    lurn_sink_text(s, "\n");
  }
}

/* Two immediates are always written, the others when one of them is not 0: so a name behind them is told apart. */
static int immediates (const lurn_instr *i) {
  int n = LURN_MAX_IMM;
  while (n > 2 && i->i[n - 1] == 0) n--;
  return n > 2 ? LURN_MAX_IMM : 2;
}

static void put_instr (lurn_sink *s, const lurn_program *p, const lurn_instr *i) {
  const lurn_op *op = lurn_op_info(i->op);
  put_whole(s, i->scan >= 0 ? "  r" : "r", i->out);
  lurn_sink_text(s, " = ");
  lurn_sink_text(s, op->name);
  if (op->version > 1) lurn_sink_put(s, "@%d", op->version);
  for (int k = 0; k < op->nin; k++) {
    if (i->in[k] < 0) lurn_sink_text(s, " -");
    else put_whole(s, " r", i->in[k]);
  }
  lurn_sink_text(s, " [");
  put_number(s, i->k);
  for (int k = 0; k < immediates(i); k++) put_whole(s, " ", i->i[k]);
  if (i->name >= 0) lurn_sink_put(s, " %s", p->name[i->name].text);
  lurn_sink_text(s, "]  # ");
  lurn_sink_text(s, lurn_axis_names[p->reg[i->out].axis]);
  lurn_sink_text(s, " ");
  put_dims(s, p->reg[i->out].rank, p->reg[i->out].dim);
  lurn_sink_text(s, "\n");
}

/* The way of a scan; along which time axis, where that is not the first. */
static const char *const ways[] = {"forward", "backward", "forward2", "backward2", "forward3", "backward3"};

static void put_scan (lurn_sink *s, const lurn_program *p, int scan) {
  const lurn_scan *x = &p->scans[scan];
  lurn_sink_put(s, "scan %s %s\n", ways[2 * lurn_axis_set(x->axis) + (x->reverse != 0)], x->name);
  for (int k = 0; k < x->nstate; k++) lurn_sink_put(s, "  state r%d %s from r%d\n", x->state[k].prev, x->state[k].name,
                                          x->state[k].init);
}

static void put_end (lurn_sink *s, const lurn_program *p, int scan) {
  const lurn_scan *x = &p->scans[scan];
  for (int k = 0; k < x->nstate; k++) lurn_sink_put(s, "  next %s r%d\n", x->state[k].name, x->state[k].next);
  lurn_sink_put(s, "end\n");
}

size_t lurn_program_print (const lurn_program *p, char *text, size_t size) {
  lurn_sink s = {text, size, 0};
  int open = -1;
  lurn_sink_put(&s, "lurn program %d\n", LURN_PROGRAM_VERSION);
  for (lurn_reg r = 0; r < p->nreg; r++) put_leaf(&s, p, r);
  for (int n = 0; n < p->ninstr; n++) {
    int scan = p->instr[n].scan;
    if (scan != open && open >= 0) put_end(&s, p, open);
    if (scan != open && scan >= 0) put_scan(&s, p, scan);
    if (n == p->forward && n > 0) lurn_sink_put(&s, "# backward\n");
    open = scan;
    put_instr(&s, p, &p->instr[n]);
  }
  if (open >= 0) put_end(&s, p, open);
  for (int k = 0; k < p->noutput; k++) lurn_sink_put(&s, "output %s r%d\n", p->output[k].name, p->output[k].reg);
  return s.at;
}

uint64_t lurn_program_hash (const lurn_program *p) {
  size_t n = lurn_program_print(p, NULL, 0);
  uint64_t h = 0xcbf29ce484222325u;
  char *text = lurn_realloc(p->ctx, NULL, 0, n + 1);
  if (!text) return 0;
  lurn_program_print(p, text, n + 1);
  for (size_t k = 0; k < n; k++) h = (h ^ (unsigned char)text[k]) * 0x100000001b3u;
  lurn_free(p->ctx, text, n + 1);
  return h;
}

/* ---------- parsing ---------- */

typedef struct reader {
  lurn_program *p;
  const char *at, *end;
  int line;
  char word[LURN_DERIVED];
  lurn_reg *to; int nto;        /* register numbers of the text -> of the program */
  size_t bytes;
} reader;

static lurn_status fail_text (reader *r, const char *what) {
  return lurn_fail(r->p->ctx, LURN_EFORMAT, "program text, line %d: %s, got '%.60s'", r->line, what, r->word);
}

static int blank (char c) { return c == ' ' || c == '\t'; }

/* The next word of the line into r->word; 0 at its end. Brackets are words of their own. */
static int word (reader *r) {
  size_t n = 0;
  while (r->at < r->end && blank(*r->at)) r->at++;
  if (r->at < r->end && *r->at == '#') while (r->at < r->end && *r->at != '\n') r->at++;
  if (r->at < r->end && (*r->at == '[' || *r->at == ']')) r->word[n++] = *r->at++;
  else while (r->at < r->end && !blank(*r->at) && *r->at != '\n' && *r->at != ']'
              && n + 1 < sizeof r->word) r->word[n++] = *r->at++;
  r->word[n] = 0;
  return n > 0;
}

static int next_line (reader *r) {
  while (r->at < r->end && *r->at != '\n') r->at++;
  if (r->at < r->end) r->at++;
  r->line++;
  return r->at < r->end;
}

static int number (reader *r, double *x) {
  char *stop;
  if (!word(r)) return 0;
  *x = strtod(r->word, &stop);
  return *stop == 0;
}

static int whole (reader *r, int *x) {
  double d;
  if (!number(r, &d) || !(d >= -2147483647.0 && d <= 2147483647.0) || d != floor(d)) return 0;
  *x = (int)d;
  return 1;
}

/* "r12" of the text; a name that is new in this text when `fresh`. */
static int regname (const reader *r, int *n) {
  char *stop;
  if (r->word[0] != 'r' || r->word[1] < '0' || r->word[1] > '9') return 0;
  long v = strtol(r->word + 1, &stop, 10);
  if (*stop || v < 0 || v >= r->nto) return 0;
  *n = (int)v;
  return 1;
}

static int known (reader *r, lurn_reg *reg) {
  int n;
  if (strcmp(r->word, "-") == 0) { *reg = -1; return 1; }
  if (!regname(r, &n) || r->to[n] < 0) return 0;
  *reg = r->to[n];
  return 1;
}

static int dims (reader *r, int *rank, int *dim) {
  if (!word(r) || r->word[0] != '(') return 0;
  const char *s = r->word + 1;
  for (*rank = 0; *rank < LURN_MAX_RANK; ) {
    char *stop;
    long v = strtol(s, &stop, 10);
    if (stop == s || v < 1 || v > (1 << 28)) return 0;
    dim[(*rank)++] = (int)v;
    if (*stop == ')') return stop[1] == 0;
    if (*stop != ',') return 0;
    s = stop + 1;
  }
  return 0;
}

static int choice (const reader *r, const char *const *list, int n) {
  for (int k = 0; k < n; k++) if (strcmp(r->word, list[k]) == 0) return k;
  return -1;
}

static lurn_status read_param (reader *r) {
  char path[sizeof r->word];
  int at, rank, dim[LURN_MAX_RANK], kind;
  double a, b;
  if (!word(r) || !regname(r, &at) || !word(r)) return fail_text(r, "expected a register and a path");
  strcpy(path, r->word);
  if (!dims(r, &rank, dim)) return fail_text(r, "expected dimensions");
  if (!whole(r, &kind) || kind < 0 || kind > LURN_INIT_CHRONO || !number(r, &a)
      || !number(r, &b)) return fail_text(r, "expected an initialiser");
  r->to[at] = lurn_param_reg(r->p, path, rank, dim, (lurn_init){(lurn_init_kind)kind, a, b});
  return LURN_OK;
}

static lurn_status read_input (reader *r) {
  static const char *const dtypes[] = {"real", "index"};
  char name[sizeof r->word];
  int at, rank, dim[LURN_MAX_RANK], dtype, axis;
  if (!word(r) || !regname(r, &at) || !word(r)) return fail_text(r, "expected a register and a name");
  strcpy(name, r->word);
  if (!lurn_source_name(r->p, "input", name)) return LURN_OK;
  if (!word(r) || (dtype = choice(r, dtypes, 2)) < 0) return fail_text(r, "expected real or index");
  if (!word(r) || (axis = choice(r, lurn_axis_names, LURN_NAXES)) < 0) return fail_text(r, "expected an axis");
  if (!dims(r, &rank, dim)) return fail_text(r, "expected dimensions");
  r->to[at] = lurn_input_reg(r->p, name, (lurn_dtype)dtype, axis, rank, dim);
  return LURN_OK;
}

static lurn_status read_scan (reader *r) {
  int way;
  if (!word(r) || (way = choice(r, ways, 2 * LURN_MAX_AXES)) < 0 || !word(r)) return fail_text(r,
      "expected a direction and a name");
  char name[sizeof r->word];
  strcpy(name, r->word);
  while (r->at < r->end && *r->at == ' ' && strlen(name) + 2 < sizeof name
         && word(r)) {   /* a mirror's name has two words */
    strncat(name, " ", sizeof name - strlen(name) - 1);
    strncat(name, r->word, sizeof name - strlen(name) - 1);
  }
  lurn_scan_begin(r->p, name, way % 2, LURN_TIME + way / 2 * 2);
  return LURN_OK;
}

static lurn_status read_state (reader *r) {
  char name[sizeof r->word];
  int at;
  lurn_reg init;
  if (!word(r) || !regname(r, &at) || !word(r)) return fail_text(r, "expected a register and a name");
  strcpy(name, r->word);
  if (!word(r) || !word(r) || !known(r, &init)) return fail_text(r, "expected an initial value");
  r->to[at] = lurn_scan_state(r->p, name, init);
  return LURN_OK;
}

static lurn_status read_next (reader *r) {
  char name[sizeof r->word];
  lurn_reg next;
  if (!word(r)) return fail_text(r, "expected a state");
  strcpy(name, r->word);
  if (!word(r) || !known(r, &next) || r->p->scan < 0) return fail_text(r, "expected a register, in a scan");
  const lurn_scan *s = &r->p->scans[r->p->scan];
  for (int k = 0; k < s->nstate; k++)
    if (strcmp(s->state[k].name, name) == 0) { lurn_scan_next(r->p, s->state[k].prev, next); return LURN_OK; }
  return fail_text(r, "expected a state of the open scan");
}

static lurn_status read_output (reader *r) {
  char name[sizeof r->word];
  lurn_reg reg;
  if (!word(r)) return fail_text(r, "expected a name");
  strcpy(name, r->word);
  if (!lurn_source_name(r->p, "output", name)) return LURN_OK;
  if (!word(r) || !known(r, &reg)) return fail_text(r, "expected a register");
  lurn_output_reg(r->p, name, reg);
  return LURN_OK;
}

/* Words before the closing bracket, without reading them. */
static int words_left (const reader *r) {
  reader ahead = *r;
  int n = 0;
  while (word(&ahead) && strcmp(ahead.word, "]") != 0) n++;
  return n;
}

/* [k i0 i1 name] or [k i0 .. i5 name] */
static lurn_status read_immediates (reader *r, lurn_instr *i, char name[LURN_DERIVED]) {
  if (!word(r) || strcmp(r->word, "[") != 0 || !number(r, &i->k)) return fail_text(r, "expected [k i0 i1]");
  int n = words_left(r) < LURN_MAX_IMM ? 2 : LURN_MAX_IMM;
  for (int k = 0; k < n; k++) if (!whole(r, &i->i[k])) return fail_text(r, "expected [k i0 i1]");
  name[0] = 0;
  if (word(r) && strcmp(r->word, "]") != 0) strcpy(name, r->word);
  return LURN_OK;
}

/* "cube", or "cube@2": that version of its meaning and no other. */
static lurn_status read_op (reader *r, int *op) {
  char name[sizeof r->word];
  int version = 1;
  char *at = strcpy(name, r->word), *mark = strchr(at, '@');
  if (mark) *mark = 0, version = atoi(mark + 1);
  *op = lurn_op_find(name);
  if (*op < 0) return fail_text(r, "expected an op; one from outside must be loaded before it is used (lurn.load_op)");
  int have = lurn_op_info(*op)->version;
  if (have == version) return LURN_OK;
  return lurn_fail(r->p->ctx, LURN_EFORMAT,
                   "program text, line %d: it uses version %d of the op '%s'; version %d is here", r->line, version, name,
                   have);
}

/* r7 = op r1 r2 - [k i0 i1 name] */
static lurn_status read_instr (reader *r, int at) {
  lurn_instr i = {.k = 0};
  char name[sizeof r->word];
  int op;
  if (!word(r) || strcmp(r->word, "=") != 0 || !word(r)) return fail_text(r, "expected '= op'");
  lurn_status status = read_op(r, &op);
  if (status != LURN_OK) return status;
  i.op = (int16_t)op;
  for (int j = 0; j < lurn_op_info(op)->nin; j++)
    if (!word(r) || !known(r, &i.in[j])) return fail_text(r, "expected a register");
  if ((status = read_immediates(r, &i, name)) != LURN_OK) return status;
  if ((lurn_op_info(op)->flags & LURN_OP_RANDOM) && !name[0]) return fail_text(r,
      "expected the name of a random stream");
  r->to[at] = lurn_write(r->p, &i, name[0] ? name : NULL);
  return LURN_OK;
}

static lurn_status read_line (reader *r) {
  static const struct { const char *word; lurn_status (*read) (reader *); } kinds[] = {
    {"param", read_param}, {"input", read_input}, {"scan", read_scan}, {"state", read_state},
        {"next", read_next}, {"output", read_output}};
  int at;
  if (!word(r)) return LURN_OK;
  for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++)
    if (strcmp(r->word, kinds[k].word) == 0) return kinds[k].read(r);
  if (strcmp(r->word, "end") == 0) { lurn_scan_end(r->p); return LURN_OK; }
  if (!regname(r, &at)) return fail_text(r, "expected a statement");
  return read_instr(r, at);
}

static lurn_status read_all (reader *r) {
  int version;
  if (!word(r) || strcmp(r->word, "lurn") != 0 || !word(r) || strcmp(r->word, "program") != 0
      || !whole(r, &version))
    return fail_text(r, "expected 'lurn program'");
  if (version != LURN_PROGRAM_VERSION) return fail_text(r, "this lurn reads version 1");
  while (next_line(r)) {
    lurn_status status = read_line(r);
    if (status != LURN_OK) return status;
    if (r->p->status != LURN_OK) return lurn_fail(r->p->ctx, LURN_EFORMAT, "program text, line %d: %s", r->line,
                                                  r->p->error);
  }
  return r->p->scan < 0 ? LURN_OK : fail_text(r, "a scan is not ended");
}

/* As many numbers of registers as the text has bytes: each register has a line, but those that were dropped before it
 * was printed have left gaps. */
lurn_status lurn_program_parse (lurn_program *p, const char *text, size_t size) {
  reader r = {.p = p, .at = text, .end = text + size, .line = 1,
      .nto = (int)(size < (1u << 26) ? size : (1u << 26)) + 16};
  r.bytes = sizeof *r.to * (size_t)r.nto;
  r.to = lurn_realloc(p->ctx, NULL, 0, r.bytes);
  if (!r.to) return LURN_ENOMEM;
  for (int k = 0; k < r.nto; k++) r.to[k] = -1;
  lurn_status status = read_all(&r);
  lurn_free(p->ctx, r.to, r.bytes);
  if (status == LURN_OK) { lurn_params_layout(&p->params); p->forward = p->ninstr; }
  return status;
}
