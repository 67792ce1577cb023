/* mutants.h: texts of programs, and what is changed in them by lot. Most changes are an instruction more, of any op,
 * that the builder takes where it is put: so every op is met in places that no script would give it.
 */
#ifndef MUTANTS_H
#define MUTANTS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lots.h"
#include "op.h"

enum { LINES = 80, WIDTH = 240, WORDS = 24 };

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

#endif
