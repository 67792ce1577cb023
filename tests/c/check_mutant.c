/* check_mutant.c: programs' texts that nobody printed. Texts are changed by lot, word by word and line by line, and
 * parsed. What the parser takes is played forward and backward, by the twin and by a schedule drawn by lot, every
 * register in memory of its own: under the address sanitizer (make check) whatever is read or written beyond it shows.
 * Both must find the same bits, as of programs that make sense. `check_mutant 1 20000` goes on for longer.
 */
#include <string.h>

#include "check.h"
#include "lots.h"
#include "normalise.h"
#include "op.h"
#include "recompute.h"
#include "wave.h"

enum { MUTANTS = 300, LINES = 80, WIDTH = 240, WORDS = 24, TRIES = 40, T = 4, B = 3, MOST_BYTES = 1 << 22 };

/* ---------- texts ---------- */

typedef struct text { char line[LINES][WIDTH]; int n; } text;

static const char *const seeds[] = {
  "param r0 W (3,4) 3 1 0\nparam r1 U (4,4) 7 1 0\nparam r2 b (4) 0 0 0\ninput r3 x real time (3)\n"
  "input r4 y real time (4)\nr5 = fill [0.5 4 1]\nscan forward s\n  state r6 h from r5\n"
  "  r7 = product r2 r3 r0 [0 0 0]\n  r8 = product r7 r6 r1 [0 0 0]\n  r9 = tanh r8 [0 0 0]\n  next h r9\nend\n"
  "r10 = sub r9 r4 [0 0 0]\nr11 = mul r10 r10 [0 0 0]\nr12 = total r11 [0 0 0]\noutput loss r12\noutput out r9\n",
  "param r0 E (5,4) 2 0 1\nparam r1 V (4,5) 3 1 0\ninput r2 x index time (1)\ninput r3 y index time (1)\n"
  "input r4 i index row (1)\nr5 = gather r0 r2 [0 0 0]\nr6 = dropout r5 [0.5 0 0 drop]\nscan backward s\n"
  "  state r7 i from r4\n  r8 = gather r0 r7 [0 0 0]\n  r9 = add r8 r6 [0 0 0]\n  r10 = product - r9 r1 [0 0 0]\n"
  "  r11 = argmax r10 [0 0 0]\n  next i r11\nend\nr12 = lse r10 [0 0 0]\nr13 = pick r10 r3 [0 0 0]\n"
  "r14 = sub r12 r13 [0 0 0]\nr15 = live r3 [0 0 0]\nr16 = mul r14 r15 [0 0 0]\nr17 = total r16 [0 0 0]\n"
  "r18 = sample r10 [1 0 0 draw]\noutput loss r17\noutput out r18\n",
  "param r0 K (2,2,1,3) 3 1 0\nparam r1 b (3) 0 0 0\ninput r2 x real time (12)\nr3 = reshape r2 [1 3 4]\n"
  "r4 = place r3 [0 1 0 1 1 5 4]\nr5 = conv r1 r4 r0 [0 3 1 1 1 0 0]\nr6 = crop r5 [0 0 0 1 2 2 2]\n"
  "r7 = conv_dx - r6 r0 [0 1 1 1 1 0 0]\nr8 = norm r7 [0.01 0 0]\nr9 = total r8 [0 0 0]\nr10 = rowmax r5 [0 0 0]\n"
  "r11 = expand r10 [0 3 0]\nr12 = last r11 [0 0 0]\nr13 = unlast r12 [0 0 0]\nr14 = total r13 [0 0 0]\n"
  "r15 = add r9 r14 [0 0 0]\noutput loss r15\noutput out r5\n",
  "param r0 u (2) 2 0 1\nparam r1 w (2) 2 0 1\ninput r2 x real time (2)\ninput r3 z real time2 (2)\n"
  "input r4 l index time2 (1)\ninput r5 q real row (2)\nr6 = attend r0 r5 r2 r2 [0 0 0]\n"
  "r7 = attend - r2 r3 r3 [0 0 0]\nr8 = add r6 r7 [0 0 0]\nr9 = lse r8 [0 0 0]\nr10 = expand r9 [0 2 0]\n"
  "r11 = sub r8 r10 [0 0 0]\nr12 = ctc r11 r4 [0 0 0]\nr13 = total r12 [0 0 0]\nr14 = reorder r5 [0 3 0]\n"
  "scan forward2 s\n  state r15 h from r14\n  r16 = mul r15 r1 [0 0 0]\n  r17 = add r16 r3 [0 0 0]\n"
  "  r18 = sin r17 [0 0 0]\n  next h r18\nend\nr19 = total r18 [0 0 0]\nr20 = add r13 r19 [0 0 0]\n"
  "output loss r20\noutput out r12\n",
  "param r0 a (3,2) 2 0 1\ninput r1 x real time (4)\ninput r2 i index time (1)\ninput r3 r real row (1)\n"
  "r4 = shift r1 [0 1 0]\nr5 = fold - r4 [0 1 0]\nr6 = concat r1 r4 [0 0 0]\nr7 = slice r6 [0 2 3]\n"
  "r8 = pad r7 [0 1 5]\nr9 = colsum - r8 [0 0 0]\nr10 = outer - r7 r8 [0 0 0]\nr11 = coldot - r7 r7 [0 0 0]\n"
  "r12 = unpick r3 r2 [0 4 0]\nr13 = mul r12 r1 [0 0 0]\nr14 = slice r1 [0 0 2]\nr15 = scatter r0 r14 r2 [0 3 1]\n"
  "r16 = product - r7 r15 [0 0 0]\nr17 = ifill [0 2 2]\nr18 = iwhere r3 r2 r17 [0 0 0]\n"
  "r19 = gather r15 r18 [0 1 0]\nr20 = where r19 r16 r19 [0 0 0]\nr21 = total r20 [0 0 0]\n"
  "r22 = total r13 [0 0 0]\nr23 = add r21 r22 [0 0 0]\noutput loss r23\noutput out r20\n",
};

static void split (text *t, const char *from) {
  for (t->n = 0; *from && t->n < LINES; from += strcspn(from, "\n") + 1)
    snprintf(t->line[t->n++], WIDTH, "%.*s", (int)strcspn(from, "\n"), from);
}

static size_t join (const text *t, char *to, size_t size) {
  size_t at = (size_t)snprintf(to, size, "lurn program 1\n");
  for (int k = 0; k < t->n; k++) at += (size_t)snprintf(to + at, size - at, "%s\n", t->line[k]);
  return at;
}

/* Numbers of registers that lines before `end` make. */
static int made_before (const text *t, int end, int *made) {
  int n = 0, r;
  for (int k = 0; k < end; k++)
    if (sscanf(t->line[k], " r%d =", &r) == 1 || sscanf(t->line[k], " %*[a-z] r%d", &r) == 1) made[n++] = r;
  return n;
}

/* ---------- changes ---------- */

static int some_whole (void) {
  static const int wild[] = {-1, -2147483647, 2147483647, 1000000, 65536, 16};
  return lot(8) ? lot(6) : wild[lot(6)];
}

static const char *some_number (void) {
  static const char *const list[] = {"0", "1", "2", "3", "0.5", "-1", "4", "1e300", "nan", "-inf", "1e-30", "0x10"};
  return list[lot(lot(4) ? 5 : 12)];
}

static const char *some_name (void) {
  static const char *const list[] = {"x", "y", "reset", "out", "loss", "weight", "h", "s", "W", "d:W", "state:s.h",
    "grad:s.h", "r1", "-", "[", "d", "a.name.of.as.many.bytes.as.a.word.may.have.or.even.of.some.more.than.that."
    "because.of.it.the.parser.has.to.see.where.it.ends"};
  return list[lot(17)];
}

static const char *some_word (void) {
  static const char *const list[] = {"real", "index", "once", "row", "time", "row2", "time2", "time3", "forward",
    "backward", "forward2", "param", "input", "scan", "state", "next", "end", "output", "from", "="};
  return list[lot(20)];
}

static void some_dims (char *to, size_t size) {
  size_t at = (size_t)snprintf(to, size, "(%d", 1 + lot(5));
  for (int k = lot(4); k > 0; k--)
    at += (size_t)snprintf(to + at, size - at, ",%d", lot(9) ? 1 + lot(4) : some_whole());
  snprintf(to + at, size - at, ")");
}

/* Registers of the program that the lines before `at` make, and their numbers in the text: an output names each. */
typedef struct known { lurn_program p; int number[LINES], reg[LINES], n; } known;

static void read_before (lurn_ctx *ctx, const text *t, int at, known *k) {
  char all[2 * LINES * WIDTH];
  text before = *t;
  before.n = at;
  size_t used = join(&before, all, sizeof all);
  k->n = made_before(t, at, k->number);
  for (int j = 0; j < k->n; j++)
    used += (size_t)snprintf(all + used, sizeof all - used, "output number%d r%d\n", j, k->number[j]);
  lurn_program_init(ctx, &k->p);
  lurn_program_parse(&k->p, all, used);            /* a scan may be open */
  k->n = k->p.noutput < k->n ? k->p.noutput : k->n;
  for (int j = 0; j < k->n; j++) k->reg[j] = k->p.output[k->p.noutput - k->n + j].reg;
}

/* A dimension, or a whole number. */
static int some_size (const known *k) {
  const lurn_register *x = k->n && lot(3) == 0 ? &k->p.reg[k->reg[lot(k->n)]] : NULL;
  return x ? lot(2) ? x->cols : x->dim[lot(x->rank)] : some_whole();
}

/* An instruction of some op that may stand as line `at` of the text. 0: none was found. */
static int some_instruction (lurn_ctx *ctx, const text *t, int at, int number, char *to) {
  known k;
  int op = lot(LURN_NOPS), found = -1, from[LURN_MAX_IN] = {0};
  const lurn_op *info = lurn_op_info(op);
  lurn_instr i = {.op = (int16_t)op};
  read_before(ctx, t, at, &k);
  for (int tries = 0; tries < 300 && found < 0 && k.n; tries++) {
    for (int j = 0; j < info->nin; j++) {
      from[j] = j == 0 && (info->flags & LURN_OP_OPTIONAL) && lot(2) ? -1 : lot(k.n);
      i.in[j] = from[j] < 0 ? -1 : k.reg[from[j]];
    }
    i.k = strtod(some_number(), NULL);
    for (int j = 0; j < LURN_MAX_IMM; j++) i.i[j] = lot(3) ? lot(3) : some_size(&k);
    k.p.status = LURN_OK;
    found = lurn_write(&k.p, &i, "n");
  }
  size_t used = (size_t)snprintf(to, WIDTH, "r%d = %s", number, info->name);
  for (int j = 0; j < info->nin; j++)
    if (from[j] < 0) used += (size_t)snprintf(to + used, WIDTH - used, " -");
    else used += (size_t)snprintf(to + used, WIDTH - used, " r%d", k.n ? k.number[from[j]] : 0);
  used += (size_t)snprintf(to + used, WIDTH - used, " [%.17g", i.k);
  for (int j = 0; j < LURN_MAX_IMM; j++) used += (size_t)snprintf(to + used, WIDTH - used, " %d", i.i[j]);
  snprintf(to + used, WIDTH - used, " n]");
  lurn_program_free(&k.p);
  return found >= 0;
}

static void insert (text *t, int at, const char *line) {
  if (t->n == LINES) return;
  memmove(t->line[at + 1], t->line[at], sizeof t->line[0] * (size_t)(t->n - at));
  snprintf(t->line[at], WIDTH, "%s", line);
  t->n++;
}

static void cut (text *t, int at) {
  memmove(t->line[at], t->line[at + 1], sizeof t->line[0] * (size_t)(--t->n - at));
}

static int new_number (const text *t) {
  int made[LINES], n = made_before(t, t->n, made), most = 0;
  for (int k = 0; k < n; k++) if (made[k] > most) most = made[k];
  return most + 1;
}

/* What register r holds counts in the loss, so that gradients flow through it. */
static void into_loss (text *t, int r) {
  int sum = new_number(t), loss;
  char line[WIDTH];
  for (int k = 0; k < t->n && t->n + 2 <= LINES; k++) {
    if (sscanf(t->line[k], "output loss r%d", &loss) != 1) continue;
    snprintf(t->line[k], WIDTH, "output loss r%d", sum + 1);
    snprintf(line, WIDTH, "r%d = add r%d r%d [0 0 0]", sum + 1, loss, sum);
    insert(t, k, line);
    snprintf(line, WIDTH, "r%d = total r%d [0 0 0]", sum, r);
    insert(t, k, line);
    return;
  }
}

/* One word of a line becomes another of its kind, now and then of any. */
static void change_word (text *t, int at) {
  char copy[WIDTH], *word[WORDS], dims[64], number[16], to[WIDTH] = "";
  int n = 0, made[LINES], regs = made_before(t, at, made);
  strcpy(copy, t->line[at]);
  for (char *w = strtok(copy, " "); w && n < WORDS; w = strtok(NULL, " ")) word[n++] = w;
  if (n == 0) return;
  int k = lot(n), last = word[k][strlen(word[k]) - 1] == ']';
  const char *fresh = some_word();
  if (lot(8) == 0) fresh = some_name();
  else if (word[k][0] == '(') { some_dims(dims, sizeof dims); fresh = dims; }
  else if (word[k][0] == 'r' && regs) { snprintf(number, sizeof number, "r%d", made[lot(regs)]); fresh = number; }
  else if (k > 0 && word[k - 1][0] == '=') fresh = lurn_op_info(lot(LURN_NOPS))->name;
  else if (word[k][0] == '[') { snprintf(dims, sizeof dims, "[%s", some_number()); fresh = dims; }
  else if (strspn(word[k], "0123456789.-") >= strlen(word[k]) - (size_t)last) {
    snprintf(number, sizeof number, "%d%s", some_whole(), last ? "]" : "");
    fresh = number;
  }
  for (int j = 0; j < n; j++) {
    size_t used = strlen(to);
    snprintf(to + used, sizeof to - used, "%s%s", j ? " " : "", j == k ? fresh : word[j]);
  }
  snprintf(t->line[at], WIDTH, "%s", to);
}

static void mutate (lurn_ctx *ctx, text *t) {
  int at = lot(t->n), other = lot(t->n), number = new_number(t);
  char line[WIDTH];
  switch (lot(12)) {
    case 0: snprintf(line, WIDTH, "%.*s", WIDTH - 1, t->line[at]); insert(t, other, line); return;
    case 1:
      memcpy(line, t->line[at], WIDTH);
      memcpy(t->line[at], t->line[other], WIDTH);
      memcpy(t->line[other], line, WIDTH);
      return;
    case 2: if (t->n > 1) cut(t, at); return;
    case 3: snprintf(line, WIDTH, "output %s r%d", some_name(), number - 1 - lot(4)); insert(t, t->n, line); return;
    case 4:
      some_dims(line, 64);
      snprintf(t->line[at], WIDTH, "input r%d %s %s %s %.60s", number, lot(2) ? "x" : some_name(),
               lot(3) ? "real" : "index", some_word(), line);
      return;
    case 5: case 6: change_word(t, at); return;
    default:
      if (!some_instruction(ctx, t, at, number, line)) return;
      insert(t, at, line);
      if (lot(2)) into_loss(t, number);
  }
}

/* ---------- a batch ---------- */

/* Rows of the second axis are in another order. */
typedef struct data { lurn_batch first, second, third; void *field[LURN_MAX_FIELDS]; } data;

static const int32_t live1[] = {3, 2, 2, 1}, start1[] = {0, 3, 5, 7, 8}, live2[] = {3, 3, 1}, start2[] = {0, 3, 6, 7};
static const int32_t place2[] = {2, 0, 1}, rank2[] = {1, 2, 0};
static const uint64_t seq[] = {5, 1, 7};
static const int64_t pos[] = {0, 10, 3};

static size_t rows_of (const data *d, int axis) {
  const lurn_batch *b = lurn_batch_along(&d->first, axis);
  return (size_t)(axis == LURN_ONCE ? 1 : lurn_on_time(axis) ? b->N : b->B);
}

static size_t bytes_of (const data *d, const lurn_register *x) { return lurn_row_bytes(x) * rows_of(d, x->axis); }

static void *filled (size_t bytes, int with) {
  void *at = malloc(bytes ? bytes : 1);
  if (!at) abort();
  return memset(at, with, bytes);
}

static void fill_field (void *to, const lurn_register *x, size_t n) {
  for (size_t k = 0; k < n; k++)
    if (x->dtype == LURN_INDEX) ((int32_t *)to)[k] = lot(4) - 1;
    else ((real *)to)[k] = (real)(lot(2001) / 1000.0 - 1);
}

/* A field for every input, as long as it must be. 0: the program cannot be played. */
static int make_data (data *d, const lurn_program *p) {
  memset(d, 0, sizeof *d);
  d->first = (lurn_batch){.T = T, .B = B, .N = 8, .live = live1, .start = start1, .seq = seq, .pos = pos};
  d->second = (lurn_batch){.T = 3, .B = B, .N = 7, .live = live2, .start = start2, .seq = seq, .pos = pos,
                           .place = place2, .rank = rank2};
  d->third = d->second;
  d->first.along[0] = &d->second;
  d->first.along[1] = &d->third;
  for (int k = 0; k < p->ninput; k++) {
    const lurn_register *x = &p->reg[p->input[k].reg];
    int n = d->first.nfield;
    if (lurn_is_derived(p->input[k].name, LURN_DERIVED_STATE)) continue;
    if (x->axis == LURN_ONCE || n == LURN_MAX_FIELDS || bytes_of(d, x) > MOST_BYTES) return 0;
    if (strlen(p->input[k].name) >= sizeof d->first.field[0].name) return 0;
    lurn_field *f = &d->first.field[d->first.nfield++];
    *f = (lurn_field){.dtype = (lurn_dtype)x->dtype, .axis = x->axis, .cols = x->cols};
    strcpy(f->name, p->input[k].name);
    f->data = d->field[n] = filled(bytes_of(d, x), 0);
    fill_field(d->field[n], x, rows_of(d, x->axis) * (size_t)x->cols);
  }
  return 1;
}

static void free_data (data *d) {
  for (int k = 0; k < LURN_MAX_FIELDS; k++) free(d->field[k]);
}

/* ---------- playing ---------- */

static int played, with_gradients, in_windows, seen[LURN_NOPS];

/* Where the place of r in the arena ends. */
static size_t end_of (const lurn_wave *w, lurn_reg r) {
  size_t end = w->bytes - w->rest;
  for (lurn_reg o = 0; o < w->program->nreg; o++)
    if (w->offset[o] != SIZE_MAX && w->offset[o] > w->offset[r] && w->offset[o] < end) end = w->offset[o];
  return end;
}

/* Every register that has a place gets one of its own, of that size; the twin's are to the byte. */
static void **set_apart (lurn_wave *w, const data *d) {
  const lurn_program *p = w->program;
  void **own = calloc((size_t)p->nreg + 1, sizeof *own);
  for (lurn_reg r = 0; r < p->nreg; r++)
    if (w->offset[r] != SIZE_MAX)
      w->base[r] = own[r] = filled(w->schedule ? end_of(w, r) - w->offset[r] : bytes_of(d, &p->reg[r]), 0xff);
  for (lurn_reg r = 0; w->schedule && r < p->nreg; r++) w->base[r] = w->base[w->schedule->root[r]];
  return own;
}

/* States that are carried on from nowhere are zeros. */
static void bind_states (lurn_wave *w, void **own) {
  const lurn_program *p = w->program;
  for (int k = 0; k < p->ninput; k++)
    if (lurn_is_derived(p->input[k].name, LURN_DERIVED_STATE))
      w->base[p->input[k].reg] = own[p->input[k].reg] = filled(lurn_row_bytes(&p->reg[p->input[k].reg]) * B, 0);
}

typedef struct result { char *bytes; size_t size; } result;

static void append (result *r, const lurn_register *x, const void *from, size_t n) {
  r->bytes = realloc(r->bytes, r->size + n + 1);
  memcpy(r->bytes + r->size, from, n);
  for (size_t k = 0; x->dtype == LURN_REAL && k + sizeof(real) <= n; k += sizeof(real)) {       /* NaNs have no bits */
    real *v = (real *)(void *)(r->bytes + r->size + k), none = 0;
    memcpy(&none, v, sizeof none);
    if (none != none) memset(v, 0xff, sizeof none);
  }
  r->size += n;
}

/* 0: too large to play, or refused with a message. skip: without what windows do not keep. */
static int play (lurn_ctx *ctx, const lurn_program *p, const lurn_schedule *s, real *value, const data *d, int skip,
                 result *out) {
  const lurn_moment moment = {.seed = 3, .step = 5, .purpose = LURN_PURPOSE_TRAIN};
  const lurn_extent most = lurn_extent_of(&d->first);
  lurn_wave w;
  int fine = lurn_wave_plan(ctx, &w, p, s, s ? ctx->kernels : lurn_kernels_find("c"), &most) == LURN_OK;
  if (!fine || w.bytes > MOST_BYTES) { lurn_wave_free(&w); return 0; }
  void *arena = aligned_alloc(LURN_ALIGN, w.bytes + LURN_ALIGN);
  memset(arena, 0xff, w.bytes);
  lurn_wave_place(&w, arena);
  void **own = set_apart(&w, d);
  real *grad = filled(sizeof(real) * p->params.count, 0xff);
  lurn_wave_params(&w, value, grad);
  lurn_wave_pack(&w);
  fine = lurn_wave_bind(&w, &d->first, &moment) == LURN_OK;
  bind_states(&w, own);
  if (fine && s && w.window) fine = lurn_recompute_forward(&w) == LURN_OK && lurn_recompute_backward(&w) == LURN_OK;
  else if (fine) fine = (s ? lurn_conductor_play(&w, 0, s->nunit) : lurn_twin_play(&w, 0, p->ninstr)) == LURN_OK;
  if (fine) lurn_wave_finish_grads(&w);
  for (int k = 0; fine && k < p->noutput; k++) {
    const lurn_register *x = &p->reg[p->output[k].reg];
    if (!skip || x->axis != LURN_TIME) append(out, x, w.base[p->output[k].reg], bytes_of(d, x));
  }
  const lurn_register number = {.dtype = LURN_REAL};
  for (int k = 0; fine && k < p->params.n; k++)
    append(out, &number, grad + p->params.p[k].offset, sizeof(real) * p->params.p[k].count);
  for (lurn_reg r = 0; r < p->nreg; r++) free(own[r]);
  free(own);
  free(grad);
  free(arena);
  lurn_wave_free(&w);
  return fine;
}

/* Plays a normalised program both ways. */
static void compare (lurn_ctx *ctx, const lurn_program *p, int number, const char *t) {
  lurn_choices c;
  lurn_schedule s;
  data d;
  result twin = {0}, fast = {0};
  lurn_choices_random(&c, (uint64_t)number);
  c.reuse = 0;
  if (lot(4) == 0) c.window = 1 + lot(3);
  if (p->params.count * sizeof(real) > MOST_BYTES) return;
  if (!make_data(&d, p)) { free_data(&d); return; }
  real *value = filled(sizeof(real) * p->params.count, 0);
  for (size_t k = 0; k < p->params.count; k++) value[k] = (real)(lot(2001) / 1000.0 - 1);
  if (play(ctx, p, NULL, value, &d, c.window, &twin) && lurn_schedule_make(ctx, p, &c, &s) == LURN_OK) {
    in_windows += c.window > 0;
    if (play(ctx, p, &s, value, &d, c.window, &fast)) {
      played++;
      for (int k = 0; k < p->ninstr; k++) seen[p->instr[k].op]++;
      check(fast.size == twin.size && !memcmp(fast.bytes, twin.bytes, twin.size),
            "mutant %d: the schedule and the twin differ:\n%s", number, t);
    }
    lurn_schedule_free(ctx, &s);
  }
  free(twin.bytes);
  free(fast.bytes);
  free(value);
  free_data(&d);
}

static void try (lurn_ctx *ctx, const lurn_program *source, int number, const char *t) {
  lurn_variant v = {.grad = lot(4) > 0, .grad_inputs = lot(2), .grad_states = lot(2), .carry = lot(2),
                    .reset = lot(3) == 0};
  v.lean = v.grad && lot(3) == 0;
  v.infer = !v.grad && lot(2);
  for (int again = 1; again; again = v.grad, v = (lurn_variant){.carry = v.carry}) {       /* no gradient: without it */
    lurn_program p;
    lurn_program_init(ctx, &p);
    int fine = lurn_normalise(ctx, source, &v, &p) == LURN_OK;
    if (fine) compare(ctx, &p, number, t);
    with_gradients += fine && v.grad;
    lurn_program_free(&p);
    if (fine) return;
  }
}

/* Parses the text; accepted ones are played. */
static int accepted (lurn_ctx *ctx, const text *t, int number) {
  char all[LINES * WIDTH + 64];
  size_t size = join(t, all, sizeof all);
  char *exact = malloc(size);                      /* nothing is read behind it */
  lurn_program p;
  memcpy(exact, all, size);
  lurn_program_init(ctx, &p);
  int fine = lurn_program_parse(&p, exact, size) == LURN_OK;
  if (fine) try(ctx, &p, number, all);
  lurn_program_free(&p);
  free(exact);
  return fine;
}

/* Changes one text on and on, from what was accepted last. */
static void check_mutant (lurn_ctx *ctx, int number) {
  static text t, next;
  split(&t, seeds[number % (int)(sizeof seeds / sizeof *seeds)]);
  check(accepted(ctx, &t, number), "%s", ctx->message);
  for (int tries = 0; tries < TRIES; tries++) {
    next = t;
    for (int k = 1 + lot(2); k > 0; k--) mutate(ctx, &next);
    if (accepted(ctx, &next, number)) t = next;
  }
}

int main (int argc, char **argv) {
  lurn_ctx ctx;
  check_heap heap;
  int first = argc > 1 ? atoi(argv[1]) : 1, last = argc > 2 ? atoi(argv[2]) : argc > 1 ? first : MUTANTS;
  check_ctx(&ctx, &heap);
  for (int number = first; number <= last; number++) {
    lot_state = (uint64_t)number * 1000003;
    check_mutant(&ctx, number);
  }
  check(argc > 1 || played > MUTANTS, "only %d mutants were played", played);
  check(argc > 1 || with_gradients > MUTANTS / 2, "only %d mutants had gradients", with_gradients);
  check(argc > 1 || in_windows > MUTANTS / 4, "only %d mutants were played in windows", in_windows);
  for (int k = 0; k < LURN_NOPS; k++) check(argc > 1 || seen[k], "%s was never played", lurn_op_info(k)->name);
  check(heap.held == 0, "%zu bytes are still held", heap.held);
  return check_done("check_mutant");
}
