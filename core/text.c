/* text.c: makes a data set of one long text. */
#include "text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CODES 0x110000
#define CHUNK ((size_t)1 << 20)
#define UNKNOWN "<unk>"
#define WORD 8                  /* bytes of a vocabulary's entry: four of UTF-8, or UNKNOWN */

/* The state between two chunks: a character may begin in one and end in the next. */
typedef struct reader {
  FILE *file;
  const lurn_text_options *o;
  int64_t at;                   /* bytes read before this chunk */
  int need;                     /* bytes that the character still lacks */
  uint32_t code, least;
  uint8_t *in;                  /* (CHUNK) */
  uint32_t *out;                /* (CHUNK) codes */
} reader;

typedef struct tables {
  int64_t count[CODES];
  int32_t id[CODES];            /* -1: not in the vocabulary */
  uint8_t in[CHUNK];
  uint32_t out[CHUNK];
  int32_t ids[CHUNK];
  uint8_t narrow[CHUNK];
  int64_t total, nvocab;
} tables;

/* ------------------------------------------------------------------ reading */

static lurn_status bad_utf8 (lurn_ctx *ctx, const reader *r, int64_t i) {
  return lurn_fail(ctx, LURN_EFORMAT, "%s: not UTF-8 at byte offset %lld (level = \"byte\" takes any file)", r->o->path,
                   (long long)(r->at + i));
}

/* The first byte of a character; 0 when it cannot be one. */
static int begin (reader *r, uint8_t c) {
  static const struct { uint8_t mask, lead, need; uint32_t least; } FORMS[] = {
    {0xe0, 0xc0, 1, 0x80}, {0xf0, 0xe0, 2, 0x800}, {0xf8, 0xf0, 3, 0x10000}
  };
  for (int k = 0; k < 3; k++)
    if ((c & FORMS[k].mask) == FORMS[k].lead) {
      r->need = FORMS[k].need;
      r->code = (uint32_t)(c & ~FORMS[k].mask);
      r->least = FORMS[k].least;
      return 1;
    }
  return 0;
}

/* Overlong forms, surrogates and codes beyond Unicode are refused like stray bytes. */
static lurn_status decode (lurn_ctx *ctx, reader *r, size_t size, size_t *ncode) {
  size_t n = 0;
  for (size_t i = 0; i < size; i++) {
    uint8_t c = r->in[i];
    if (r->o->bytes || (c < 0x80 && r->need == 0)) {
      r->out[n++] = c;
      continue;
    }
    if (r->need == 0) {
      if (!begin(r, c)) return bad_utf8(ctx, r, (int64_t)i);
      continue;
    }
    if ((c & 0xc0) != 0x80) return bad_utf8(ctx, r, (int64_t)i);
    r->code = r->code << 6 | (c & 0x3f);
    if (--r->need > 0) continue;
    if (r->code < r->least || r->code >= CODES || (r->code >= 0xd800 && r->code < 0xe000)) return bad_utf8(ctx, r, (int64_t)i);
    r->out[n++] = r->code;
  }
  *ncode = n;
  r->at += (int64_t)size;
  return LURN_OK;
}

/* The next codes; *n is 0 at the end of the text. */
static lurn_status next (lurn_ctx *ctx, reader *r, size_t *n) {
  *n = 0;
  while (*n == 0) {
    size_t size = fread(r->in, 1, CHUNK, r->file);
    if (size == 0 && ferror(r->file)) return lurn_fail(ctx, LURN_EIO, "%s: cannot read", r->o->path);
    if (size == 0) return r->need > 0 ? bad_utf8(ctx, r, 0) : LURN_OK;
    lurn_status status = decode(ctx, r, size, n);
    if (status != LURN_OK) return status;
  }
  return LURN_OK;
}

static lurn_status count_symbols (lurn_ctx *ctx, reader *r, tables *t) {
  size_t n;
  memset(t->count, 0, sizeof t->count);
  t->total = 0;
  for (;;) {
    lurn_status status = next(ctx, r, &n);
    if (status != LURN_OK) return status;
    if (n == 0) break;
    for (size_t i = 0; i < n; i++) t->count[r->out[i]]++;
    t->total += (int64_t)n;
  }
  if (t->total == 0) return lurn_fail(ctx, LURN_EFORMAT, "%s: empty: there is no text in it", r->o->path);
  return LURN_OK;
}

/* ------------------------------------------------------------------ vocabulary */

static void encode_utf8 (uint32_t code, char *to) {
  if (code < 0x80) to[0] = (char)code;
  else if (code < 0x800) {
    to[0] = (char)(0xc0 | code >> 6);
    to[1] = (char)(0x80 | (code & 0x3f));
  } else if (code < 0x10000) {
    to[0] = (char)(0xe0 | code >> 12);
    to[1] = (char)(0x80 | (code >> 6 & 0x3f));
    to[2] = (char)(0x80 | (code & 0x3f));
  } else {
    to[0] = (char)(0xf0 | code >> 18);
    to[1] = (char)(0x80 | (code >> 12 & 0x3f));
    to[2] = (char)(0x80 | (code >> 6 & 0x3f));
    to[3] = (char)(0x80 | (code & 0x3f));
  }
}

/* -1: an entry of more than one character, such as "<unk>". */
static int64_t code_of (const lurn_words *w, int64_t i) {
  char text[WORD + 1] = {0}, again[WORD + 1] = {0};
  const char *word = w->text + i * w->width;
  size_t size = (size_t)w->width;
  while (size > 0 && word[size - 1] == '\0') size--;
  if (size > 4) return -1;
  memcpy(text, word, size);
  const uint8_t *u = (const uint8_t *)text;
  uint32_t code = u[0];
  if (code >= 0xf0) code = (code & 7u) << 18 | (u[1] & 63u) << 12 | (u[2] & 63u) << 6 | (u[3] & 63u);
  else if (code >= 0xe0) code = (code & 15u) << 12 | (u[1] & 63u) << 6 | (u[2] & 63u);
  else if (code >= 0xc0) code = (code & 31u) << 6 | (u[1] & 63u);
  if (code >= CODES) return -1;
  encode_utf8(code, again);
  return memcmp(text, again, WORD) == 0 ? (int64_t)code : -1;
}

static void use_frozen (const lurn_text_options *o, tables *t) {
  for (int64_t c = 0; c < CODES; c++) t->id[c] = (int32_t)o->unknown;
  for (int64_t i = 0; i < o->vocab->n; i++) {
    int64_t code = i == o->unknown ? -1 : code_of(o->vocab, i);
    if (code >= 0) t->id[code] = (int32_t)i;
  }
  t->nvocab = o->vocab->n;
}

/* Ids in the order of codes; rare symbols share the last one. Returns the id of the unknown, or -1. */
static int64_t use_counts (const lurn_text_options *o, tables *t) {
  int64_t n = 0, rare = 0;
  for (int64_t c = 0; c < CODES; c++) {
    int keep = t->count[c] > 0 && t->count[c] >= o->min_count;
    rare += t->count[c] > 0 && !keep;
    t->id[c] = keep ? (int32_t)n++ : -1;
  }
  for (int64_t c = 0; c < CODES && rare > 0; c++)
    if (t->id[c] < 0) t->id[c] = (int32_t)n;
  t->nvocab = n + (rare > 0);
  return rare > 0 ? n : -1;
}

static lurn_status check_known (lurn_ctx *ctx, const lurn_text_options *o, const tables *t) {
  for (int64_t c = 0; c < CODES; c++)
    if (t->count[c] > 0 && t->id[c] < 0)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: U+%04llX, which it has %lld times, is not in the frozen vocabulary, and that has "
                       "no entry for unknown symbols", o->path, (long long)c, (long long)t->count[c]);
  return LURN_OK;
}

/* words: (nvocab, WORD), cleared. */
static void spell (const tables *t, int64_t unknown, char *words) {
  for (int64_t c = 0; c < CODES; c++)
    if (t->id[c] >= 0 && t->id[c] != unknown) encode_utf8((uint32_t)c, words + WORD * (int64_t)t->id[c]);
  if (unknown >= 0) memcpy(words + WORD * unknown, UNKNOWN, sizeof UNKNOWN - 1);
}

/* ------------------------------------------------------------------ writing */

/* Hashed as lurn_data_hash does: bytes when they fit, else four little-endian ones. */
static void hash_ids (lurn_sha256 *s, const tables *t, size_t n) {
  uint8_t le[4];
  if (t->nvocab <= 256) {
    lurn_sha256_add(s, t->narrow, n);
    return;
  }
  for (size_t i = 0; i < n; i++) {
    for (int k = 0; k < 4; k++) le[k] = (uint8_t)((uint32_t)t->ids[i] >> (8 * k));
    lurn_sha256_add(s, le, 4);
  }
}

static lurn_status write_ids (lurn_ctx *ctx, reader *r, tables *t, lurn_h5 *f, char digest[LURN_SHA256_HEX]) {
  int narrow = t->nvocab <= 256;
  lurn_h5_info info = {.type = narrow ? LURN_H5_U8 : LURN_H5_I32, .rank = 1, .dim = {t->total}};
  lurn_status status = lurn_h5_define(ctx, f, "/x", &info, 0, 0);
  lurn_sha256 s;
  lurn_sha256_init(&s);
  int64_t at = 0;
  for (size_t n = 1; status == LURN_OK; at += (int64_t)n) {
    status = next(ctx, r, &n);
    if (status != LURN_OK || n == 0) break;
    for (size_t i = 0; i < n; i++) {
      t->ids[i] = t->id[r->out[i]];
      t->narrow[i] = (uint8_t)t->ids[i];
      if (t->ids[i] < 0) at = t->total;         /* it was not there when they were counted */
    }
    if (at + (int64_t)n > t->total) return lurn_fail(ctx, LURN_EIO, "%s: changed while it was read", r->o->path);
    hash_ids(&s, t, n);
    status = lurn_h5_put(ctx, f, "/x", info.type, at, (int64_t)n, narrow ? (const void *)t->narrow : t->ids);
  }
  lurn_sha256_hex(&s, digest);
  if (status == LURN_OK && at != t->total) return lurn_fail(ctx, LURN_EIO, "%s: changed while it was read", r->o->path);
  return status;
}

/* Frames by parts of the whole, each edge rounded up: the first split of a tiny text has it all. */
static void cut (const lurn_text_options *o, int64_t total, lurn_data *d, int64_t range[6]) {
  static const char *const name[] = {"train", "valid", "test"};
  double sum = o->part[0] + o->part[1] + o->part[2], so_far = 0;
  int64_t from = 0;
  for (int i = 0; i < 3; i++) {
    if (o->part[i] <= 0) continue;
    so_far += o->part[i];
    double edge = (double)total * (so_far / sum);
    int64_t to = (int64_t)edge + ((double)(int64_t)edge < edge - 1e-6);
    if (to > total || so_far >= sum) to = total;
    lurn_split *s = &d->split[d->nsplit++];
    snprintf(s->name, sizeof s->name, "%s", name[i]);
    s->nrange = 1;
    s->range = range + 2 * i;
    s->range[0] = from;
    s->range[1] = from = to;
  }
}

static void note (lurn_data *d, int which, const char *text) {
  snprintf(d->note[which], LURN_NOTE_SIZE, "%s", text ? text : "");
}

static lurn_status write_set (lurn_ctx *ctx, reader *r, tables *t, lurn_data *d, lurn_h5 *f) {
  int64_t offset[2] = {0, t->total}, range[6];
  const lurn_text_options *o = r->o;
  lurn_column *x = &d->column[0];
  lurn_status status = write_ids(ctx, r, t, f, x->digest);
  if (status != LURN_OK) return status;
  snprintf(d->name, sizeof d->name, "%s", o->out);
  snprintf(x->name, sizeof x->name, "x");
  x->store = LURN_STORE_INDEX;
  x->cols = 1;
  x->rows = t->total;
  d->n = 1;
  d->total = t->total;
  d->offset = offset;
  d->ncolumn = d->next = 1;
  d->unit = LURN_UNIT_FRAME;
  cut(o, t->total, d, range);
  note(d, LURN_NOTE_KIND, "text");
  note(d, LURN_NOTE_LEVEL, o->bytes ? "byte" : "char");
  note(d, LURN_NOTE_SOURCE, o->source ? o->source : o->path);
  note(d, LURN_NOTE_LICENCE, o->licence);
  return lurn_data_write_head(ctx, d, f);
}

/* Counts, names the symbols, writes. words is allocated here and freed by the caller. */
static lurn_status import (lurn_ctx *ctx, reader *r, tables *t, lurn_h5 *f, lurn_data *d, char **words) {
  const lurn_text_options *o = r->o;
  lurn_status status = count_symbols(ctx, r, t);
  if (status != LURN_OK) return status;
  d->unknown = o->vocab ? o->unknown : use_counts(o, t);
  if (o->vocab) use_frozen(o, t);
  status = check_known(ctx, o, t);
  if (status != LURN_OK) return status;
  if (o->vocab) d->vocab = *o->vocab;
  else {
    size_t size = (size_t)t->nvocab * WORD;
    *words = lurn_realloc(ctx, NULL, 0, size);
    if (*words == NULL) return LURN_ENOMEM;
    memset(*words, 0, size);
    spell(t, d->unknown, *words);
    d->vocab = (lurn_words){t->nvocab, WORD, *words};
  }
  rewind(r->file);
  r->at = 0;
  status = lurn_h5_create(ctx, f, o->out);
  if (status == LURN_OK) status = write_set(ctx, r, t, d, f);
  if (status == LURN_OK) return lurn_h5_commit(ctx, f);
  lurn_h5_abort(f);
  return status;
}

lurn_status lurn_text_import (lurn_ctx *ctx, const lurn_text_options *o) {
  static const lurn_h5 closed;
  lurn_h5 f = closed;
  reader r = {.o = o};
  char *words = NULL;
  r.file = fopen(o->path, "rb");
  if (r.file == NULL) return lurn_fail(ctx, LURN_EIO, "%s: cannot be opened: %s", o->path, strerror(errno));
  tables *t = lurn_realloc(ctx, NULL, 0, sizeof *t);
  lurn_data *d = lurn_realloc(ctx, NULL, 0, sizeof *d);
  lurn_status status = LURN_ENOMEM;
  if (t != NULL && d != NULL) {
    memset(d, 0, sizeof *d);
    r.in = t->in;
    r.out = t->out;
    status = import(ctx, &r, t, &f, d, &words);
  }
  if (words) lurn_free(ctx, words, (size_t)t->nvocab * WORD);
  lurn_free(ctx, d, sizeof *d);
  lurn_free(ctx, t, sizeof *t);
  fclose(r.file);
  return status;
}
