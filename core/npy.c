/* npy.c: NumPy's array files. */
#include "npy.h"

#include <stdio.h>
#include <string.h>

/* ------------------------------------------------------------------ the header */

typedef struct text { const char *at, *end; } text;

static void skip_blanks (text *s) {
  while (s->at < s->end && strchr(" \t\n\r,", *s->at)) s->at++;
}

/* 1: the text goes on with that, which is then behind us. */
static int take (text *s, const char *what) {
  size_t n = strlen(what);
  skip_blanks(s);
  if ((size_t)(s->end - s->at) < n || memcmp(s->at, what, n) != 0) return 0;
  s->at += n;
  return 1;
}

/* 'word' or "word" into at most size - 1 bytes; 0: there is none, or it is longer. */
static int take_word (text *s, char *to, size_t size) {
  skip_blanks(s);
  if (s->at == s->end || (*s->at != '\'' && *s->at != '"')) return 0;
  char quote = *s->at++;
  size_t n = 0;
  for (; s->at < s->end && *s->at != quote; s->at++) {
    if (n + 1 >= size) return 0;
    to[n++] = *s->at;
  }
  to[n] = 0;
  return s->at < s->end && s->at++;
}

/* A dimension; -1: there is none, or it is absurd. */
static int64_t take_size (text *s) {
  int64_t x = 0;
  skip_blanks(s);
  if (s->at == s->end || *s->at < '0' || *s->at > '9') return -1;
  for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++) {
    if (x > INT64_MAX / 16) return -1;
    x = 10 * x + (*s->at - '0');
  }
  if (s->at < s->end && *s->at == 'L') s->at++;          /* as Python 2 wrote them */
  return x;
}

static lurn_status take_shape (lurn_ctx *ctx, text *s, lurn_npy *a) {
  if (!take(s, "(")) return lurn_fail(ctx, LURN_EFORMAT, "%s: damaged .npy header: no shape", a->name);
  for (a->count = 1; !take(s, ")"); a->rank++) {
    int64_t n = take_size(s);
    if (n < 0) return lurn_fail(ctx, LURN_EFORMAT, "%s: damaged .npy header: no dimension %d", a->name, a->rank + 1);
    if (a->rank == LURN_MAX_RANK)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: an array of more than %d dimensions", a->name, LURN_MAX_RANK);
    if (n > 0 && a->count > INT64_MAX / 8 / n) return lurn_fail(ctx, LURN_EFORMAT, "%s: a shape too large", a->name);
    a->dim[a->rank] = n;
    a->count *= n;
  }
  return LURN_OK;
}

static lurn_status take_type (lurn_ctx *ctx, text *s, lurn_npy *a) {
  static const char *const known[] = {"<f4", "<f8", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "|b1"};
  char descr[16] = "";
  skip_blanks(s);
  if (s->at < s->end && *s->at == '[') return lurn_fail(ctx, LURN_EFORMAT, "%s: an array of records", a->name);
  if (!take_word(s, descr, sizeof descr)) return lurn_fail(ctx, LURN_EFORMAT, "%s: damaged .npy header: no type", a->name);
  if (descr[0] == '|' && descr[1] == 'O')
    return lurn_fail(ctx, LURN_EFORMAT, "%s: an array of Python objects, which are code: they are not read", a->name);
  for (size_t k = 0; k < sizeof known / sizeof *known; k++)
    if (strcmp(descr + 1, known[k] + 1) == 0 && (descr[0] == known[k][0] || (descr[2] == '1' && descr[0] == '<'))) {
      a->kind = descr[1];
      a->size = descr[2] - '0';
      return LURN_OK;
    }
  return lurn_fail(ctx, LURN_EFORMAT, "%s: numbers of type '%s': expected little-endian f4, f8, i1 to i8, u1 to u8 or b1",
                   a->name, descr);
}

static lurn_status parse (lurn_ctx *ctx, text s, lurn_npy *a) {
  int order = 0, shape = 0;
  if (!take(&s, "{")) return lurn_fail(ctx, LURN_EFORMAT, "%s: damaged .npy header", a->name);
  while (!take(&s, "}")) {
    char key[16];
    lurn_status status = LURN_OK;
    if (!take_word(&s, key, sizeof key) || !take(&s, ":"))
      return lurn_fail(ctx, LURN_EFORMAT, "%s: damaged .npy header", a->name);
    if (strcmp(key, "descr") == 0) status = take_type(ctx, &s, a);
    else if (strcmp(key, "shape") == 0 && !shape++) status = take_shape(ctx, &s, a);
    else if (strcmp(key, "fortran_order") == 0) order = (a->fortran = take(&s, "True")) || take(&s, "False");
    else status = lurn_fail(ctx, LURN_EFORMAT, "%s: damaged .npy header: '%s'", a->name, key);
    if (status != LURN_OK) return status;
  }
  if (a->size && shape && order) return LURN_OK;
  return lurn_fail(ctx, LURN_EFORMAT, "%s: damaged .npy header: descr, shape or fortran_order is missing", a->name);
}

static uint64_t little_endian (const uint8_t *p, int size) {
  uint64_t u = 0;
  for (int k = size - 1; k >= 0; k--) u = u << 8 | p[k];
  return u;
}

lurn_status lurn_npy_open (lurn_ctx *ctx, const char *name, const uint8_t *bytes, size_t n, lurn_npy *a) {
  memset(a, 0, sizeof *a);
  a->name = name;
  if (n < 12 || memcmp(bytes, "\x93NUMPY", 6) != 0) return lurn_fail(ctx, LURN_EFORMAT, "%s: not a .npy file", name);
  if (bytes[6] < 1 || bytes[6] > 3)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: a .npy file of format %d.%d; known are 1.0, 2.0 and 3.0", name, bytes[6], bytes[7]);
  size_t field = bytes[6] == 1 ? 2 : 4, from = 8 + field, size = (size_t)little_endian(bytes + 8, (int)field);
  if (size > n - from) return lurn_fail(ctx, LURN_EFORMAT, "%s: cut off in its header", name);
  const char *header = (const char *)bytes + from;
  lurn_status status = parse(ctx, (text){header, header + size}, a);
  if (status != LURN_OK) return status;
  a->data = bytes + from + size;
  if ((uint64_t)a->count * (uint64_t)a->size > n - from - size)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: cut off: %lld numbers of %d bytes are promised, %zu bytes are there", name,
                     (long long)a->count, a->size, n - from - size);
  return LURN_OK;
}

/* ------------------------------------------------------------------ the numbers */

/* Where the numbers lie, visited in C order. */
typedef struct walk { const lurn_npy *a; int64_t index[LURN_MAX_RANK], step[LURN_MAX_RANK], at; } walk;

static walk begin (const lurn_npy *a) {
  walk w = {.a = a};
  int64_t step = 1;
  for (int k = 0; k < a->rank; k++) {
    int d = a->fortran ? k : a->rank - 1 - k;
    w.step[d] = step;
    if (a->count > 0) step *= a->dim[d];      /* without numbers the product of the others may have no place */
  }
  return w;
}

static void go_on (walk *w) {
  for (int d = w->a->rank - 1; d >= 0; d--) {
    w->at += w->step[d];
    if (++w->index[d] < w->a->dim[d]) return;
    w->at -= w->step[d] * w->a->dim[d];
    w->index[d] = 0;
  }
}

static uint64_t word_at (const walk *w) { return little_endian(w->a->data + w->at * w->a->size, w->a->size); }

static int64_t signed_word (uint64_t u, int size) {
  uint64_t sign = (uint64_t)1 << (8 * size - 1);
  if (size < 8) u = (u ^ sign) - sign;
  int64_t x;
  memcpy(&x, &u, sizeof x);
  return x;
}

static double number_at (const walk *w) {
  uint64_t u = word_at(w);
  if (w->a->kind == 'i') return (double)signed_word(u, w->a->size);
  if (w->a->kind != 'f') return (double)u;
  if (w->a->size == 8) {
    double x;
    memcpy(&x, &u, sizeof x);
    return x;
  }
  uint32_t half = (uint32_t)u;
  float x;
  memcpy(&x, &half, sizeof x);
  return (double)x;
}

void lurn_npy_reals (const lurn_npy *a, real *out) {
  walk w = begin(a);
  for (int64_t i = 0; i < a->count; i++, go_on(&w)) out[i] = (real)number_at(&w);
}

static lurn_status check_whole (lurn_ctx *ctx, const lurn_npy *a) {
  if (a->kind != 'f') return LURN_OK;
  return lurn_fail(ctx, LURN_EFORMAT, "%s: floating-point numbers where integers are wanted", a->name);
}

lurn_status lurn_npy_integers (lurn_ctx *ctx, const lurn_npy *a, int64_t *out) {
  walk w = begin(a);
  lurn_status status = check_whole(ctx, a);
  for (int64_t i = 0; i < a->count && status == LURN_OK; i++, go_on(&w)) {
    uint64_t u = word_at(&w);
    if (a->kind != 'i' && u > INT64_MAX) return lurn_fail(ctx, LURN_EFORMAT, "%s: an integer beyond 63 bits", a->name);
    out[i] = a->kind == 'i' ? signed_word(u, a->size) : (int64_t)u;
  }
  return status;
}

lurn_status lurn_npy_ids (lurn_ctx *ctx, const lurn_npy *a, int32_t *out) {
  walk w = begin(a);
  lurn_status status = check_whole(ctx, a);
  for (int64_t i = 0; i < a->count && status == LURN_OK; i++, go_on(&w)) {
    double x = number_at(&w);
    if (x < -1 || x >= INT32_MAX)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %.0f is no id: in files ids count from 0, and -1 is none", a->name, x);
    out[i] = (int32_t)x;
  }
  return status;
}

void lurn_npy_hash (const lurn_npy *a, char hex[LURN_SHA256_HEX]) {
  int whole = a->kind == 'i' || a->kind == 'u';
  char line[64];
  lurn_sha256 s;
  walk w = begin(a);
  lurn_sha256_init(&s);
  lurn_sha256_add(&s, line, (size_t)snprintf(line, sizeof line, "%s %d\n", whole ? "integers" : "reals", a->rank));
  for (int d = 0; d < a->rank; d++) lurn_sha256_integer(&s, (uint64_t)a->dim[d], 8);
  for (int64_t i = 0; i < a->count; i++, go_on(&w)) {
    double x = number_at(&w);
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (whole) bits = a->kind == 'i' ? (uint64_t)signed_word(word_at(&w), a->size) : word_at(&w);
    lurn_sha256_integer(&s, bits, 8);
  }
  lurn_sha256_hex(&s, hex);
}
