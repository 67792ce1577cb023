/* check_text.c: programs as text. What is printed parses to a program that prints and plays the same;
 * what is damaged gives a message and never more: the text of a run file is untrusted.
 */
#include <string.h>

#include "cell.h"
#include "check.h"
#include "normalise.h"
#include "op.h"
#include "schedule.h"

#define CHECK(ok) check(ok, "%s:%d: %s (%s)", __func__, __LINE__, #ok, ctx->message)

enum { DAMAGES = 4000 };

static void build (lurn_program *p) {
  int one = 1, dim[2] = {11, 6};
  lurn_cell_options o;
  lurn_reg x = lurn_input_reg(p, "x", LURN_INDEX, LURN_TIME, 1, &one);
  lurn_reg y = lurn_input_reg(p, "y", LURN_INDEX, LURN_TIME, 1, &one), count;
  lurn_reg h = lurn_emit(p, LURN_OP_GATHER, lurn_param_reg(p, "embedding.W", 2, dim, (lurn_init){LURN_INIT_NORMAL, 0, 1}),
                         x, -1, 0, 0, 0, NULL);
  lurn_cell_defaults(&o);
  o.hidden = 6;
  o.path = "lstm1";
  h = lurn_cell_layer(p, lurn_cell_find("lstm"), &o, h, 0);
  o.path = "gru1";
  h = lurn_cell_layer(p, lurn_cell_find("gru"), &o, lurn_emit(p, LURN_OP_DROPOUT, h, -1, -1, 0.25, 0, 0, "drop"), 1);
  lurn_reg z = lurn_affine(p, "out", NULL, 1, &(lurn_term){h, "Wo"}, 11, "bo", (lurn_init){LURN_INIT_CONSTANT, 0.1, 0});
  lurn_output_reg(p, "loss", lurn_reduce_loss(p, lurn_loss_cross_entropy(p, z, y), -1, "mean", &count));
  lurn_output_reg(p, "out", z);
}

static char *text_of (const lurn_program *p, size_t *n) {
  *n = lurn_program_print(p, NULL, 0);
  char *text = malloc(*n + 1);
  lurn_program_print(p, text, *n + 1);
  return text;
}

/* text -> program -> text, and the canonical form of both. */
static void check_round (lurn_ctx *ctx, const lurn_program *p) {
  const lurn_variant v = {.grad = 1};
  lurn_program back, a, b;
  size_t n, m;
  char *text = text_of(p, &n);
  lurn_program_init(ctx, &back);
  lurn_program_init(ctx, &a);
  lurn_program_init(ctx, &b);
  CHECK(lurn_program_parse(&back, text, n) == LURN_OK);
  CHECK(lurn_normalise(ctx, p, &v, &a) == LURN_OK);
  CHECK(lurn_normalise(ctx, &back, &v, &b) == LURN_OK);
  char *ta = text_of(&a, &n), *tb = text_of(&b, &m);
  CHECK(n == m && memcmp(ta, tb, n) == 0);
  CHECK(lurn_program_hash(&a) == lurn_program_hash(&b));
  free(ta);
  free(tb);
  free(text);
  lurn_program_free(&a);
  lurn_program_free(&b);
  lurn_program_free(&back);
}

static uint64_t lot_state = 1;

static size_t lot (size_t n) {
  lot_state = lot_state * 6364136223846793005u + 1442695040888963407u;
  return (size_t)(lot_state >> 33) % n;
}

/* Bytes changed, cut out, doubled; digits made large. */
static size_t damage (char *text, size_t n) {
  static const char bytes[] = "r0123456789-=[](), \nxpe#.";
  for (size_t k = 1 + lot(3); k > 0; k--) {
    size_t at = lot(n), len = 1 + lot(12);
    if (at + len > n) len = n - at;
    switch (lot(4)) {
      case 0: text[at] = bytes[lot(sizeof bytes - 1)]; break;
      case 1: text[at] = (char)lot(256); break;
      case 2: memmove(text + at, text + at + len, n - at - len); n -= len; break;
      default: memmove(text + at, text + lot(n - len + 1), len); break;
    }
    if (n < 2) return n;
  }
  return n;
}

static void check_damage (lurn_ctx *ctx, const lurn_program *p) {
  const lurn_variant v = {.grad = 1, .carry = 1};
  size_t n;
  char *text = text_of(p, &n), *copy = malloc(n);
  int refused = 0, taken = 0;
  for (int k = 0; k < DAMAGES; k++) {
    lurn_program q, normal;
    memcpy(copy, text, n);
    size_t m = damage(copy, n);
    lurn_program_init(ctx, &q);
    lurn_program_init(ctx, &normal);
    ctx->message[0] = 0;
    lurn_status status = lurn_program_parse(&q, copy, m);
    if (status != LURN_OK) { refused++; check(ctx->message[0] != 0, "damage %d: no message", k); }
    else if (lurn_normalise(ctx, &q, &v, &normal) == LURN_OK) taken++;
    lurn_program_free(&normal);
    lurn_program_free(&q);
  }
  CHECK(refused > DAMAGES / 2);
  CHECK(taken > 0);                                /* a changed initialiser is still a program */
  free(text);
  free(copy);
}

/* Text that reads well and asks for what there cannot be. */
static void check_hostile (lurn_ctx *ctx) {
  static const char *const lines[] = {
    "r0 = fill [1 2 77]\n", "r0 = fill [1 -5 2]\n", "r0 = fill [1 0 1]\n", "r0 = ifill [0 1 9]\n",
    "input r0 x real time (65536,65536)\n", "param r0 w (65536,65536) 0 0 0\n",
    "param r0 w (200000000,10) 0 0 0\nr1 = reshape r0 [0 2000000000 0]\nr2 = concat r1 r1 [0 0 0]\n",
    "input r0 x real time (1)\nr1 = expand r0 [0 268435457 0]\n",
    "input r0 x real time (200000000)\nr1 = concat r0 r0 [0 0 0]\n",
    "input r0 x real time (3)\nr1 = copy r0 [0 0 65536]\n",
    "input r0 x real time (4)\nr1 = reshape r0 [0 65536 65536]\n",
    "input r0 x index time (1)\nr1 = fill [1 1 0]\nr2 = unpick r1 r0 [0 -3 0]\n",
    "input r0 x real time (9)\nparam r1 w (3,2) 0 0 0\nr2 = argmax r0 [0 0 0]\nr3 = gather r1 r2 [0 0 0]\n",
    "input r0 x real time (9)\nr1 = sample r0 [1 0 0 s]\nr2 = slice r0 [0 0 3]\nr3 = pick r2 r1 [0 0 0]\n",
    "input r0 x real row (9)\nscan forward s\nstate r1 h from r0\nstate r2 h from r0\n",
    "scan forward s]\n",
  };
  for (size_t k = 0; k < sizeof lines / sizeof *lines; k++) {
    char text[512];
    lurn_program q;
    lurn_program_init(ctx, &q);
    ctx->message[0] = 0;
    int n = snprintf(text, sizeof text, "lurn program 1\n%s", lines[k]);
    check(lurn_program_parse(&q, text, (size_t)n) == LURN_EFORMAT && ctx->message[0], "taken: %s", lines[k]);
    lurn_program_free(&q);
  }
}

int main (void) {
  lurn_ctx real_ctx, *ctx = &real_ctx;
  check_heap heap;
  lurn_program p;
  check_ctx(ctx, &heap);
  lurn_program_init(ctx, &p);
  build(&p);
  CHECK(lurn_program_status(&p) == LURN_OK);
  check_round(ctx, &p);
  check_damage(ctx, &p);
  check_hostile(ctx);
  lurn_program_free(&p);
  check(heap.held == 0, "%zu bytes are still held", heap.held);
  return check_done("check_text");
}
