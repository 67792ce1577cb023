/* data.c: a data set in memory: its checks, its rows, its hash. */
#include "data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const char *const lurn_notes[LURN_NOTES] = {"kind", "level", "source", "licence", "units", "sha256"};

const char *const lurn_column_names[LURN_MAX_COLUMNS] = {"x", "y", "mask", "source", "labels"};

#define PIECE 4096              /* values that pass through the stack at a time */

int lurn_data_column (const lurn_data *d, const char *name) {
  for (int i = 0; i < d->ncolumn; i++)
    if (strcmp(d->column[i].name, name) == 0) return i;
  return -1;
}

const lurn_split *lurn_data_split (const lurn_data *d, const char *name) {
  for (int i = 0; i < d->nsplit; i++)
    if (strcmp(d->split[i].name, name) == 0) return &d->split[i];
  return NULL;
}

static size_t row_size (const lurn_column *c) {
  static const size_t size[] = {1, sizeof(int32_t), sizeof(real)};
  return (size_t)c->cols * size[c->store];
}

/* ------------------------------------------------------------------ rows */

static const lurn_h5_type memory_type[] = {LURN_H5_U8, LURN_H5_I32, LURN_H5_REAL};

/* The slot with that page, filled first when need be at the cost of the one unused for longest. */
static lurn_status find_page (lurn_ctx *ctx, lurn_data *d, lurn_column *c, int64_t page, const char **rows) {
  int slot = 0;
  size_t size = (size_t)c->page_rows * row_size(c);
  for (int i = 0; i < LURN_PAGES && c->page[slot] != page; i++)
    if (c->page[i] == page || c->used[i] < c->used[slot]) slot = i;
  char *to = c->slots + (size_t)slot * size;
  if (c->page[slot] != page) {
    char name[20];
    int64_t first = page * c->page_rows;
    int64_t count = c->rows - first < c->page_rows ? c->rows - first : c->page_rows;
    snprintf(name, sizeof name, "/%s", c->name);
    c->page[slot] = -1;
    lurn_status status = lurn_h5_read(ctx, &d->file, name, memory_type[c->store], first, count, to);
    if (status != LURN_OK) return status;
    c->page[slot] = page;
  }
  c->used[slot] = ++c->clock;
  *rows = to;
  return LURN_OK;
}

/* As many of the rows from `first` on as lie in one piece. */
static lurn_status find_rows (lurn_ctx *ctx, lurn_data *d, lurn_column *c, int64_t first, int64_t *count, const char **rows) {
  if (c->data != NULL) {
    *rows = (const char *)c->data + (size_t)first * row_size(c);
    return LURN_OK;
  }
  int64_t page = first / c->page_rows, skip = first % c->page_rows;
  if (*count > c->page_rows - skip) *count = c->page_rows - skip;
  lurn_status status = find_page(ctx, d, c, page, rows);
  if (status == LURN_OK) *rows += (size_t)skip * row_size(c);
  return status;
}

static void widen (int32_t *out, const uint8_t *in, int64_t n) {
  for (int64_t i = 0; i < n; i++) out[i] = in[i];
}

lurn_status lurn_data_read (lurn_ctx *ctx, lurn_data *d, int column, int64_t first, int64_t count, void *out) {
  lurn_column *c = &d->column[column];
  char *to = out;
  while (count > 0) {
    const char *rows;
    int64_t n = count;
    lurn_status status = find_rows(ctx, d, c, first, &n, &rows);
    if (status != LURN_OK) return status;
    size_t size = (size_t)n * row_size(c);
    if (c->store == LURN_STORE_BYTE) {
      widen((int32_t *)(void *)to, (const uint8_t *)rows, n);
      size *= sizeof(int32_t);
    } else memcpy(to, rows, size);
    to += size;
    first += n;
    count -= n;
  }
  return LURN_OK;
}

/* ------------------------------------------------------------------ checks */

/* The sequence with that frame: the last one that begins at or before it. */
static int64_t sequence_of (const lurn_data *d, const int64_t *offset, int64_t frame) {
  int64_t low = 0, high = d->n;
  while (high - low > 1) {
    int64_t mid = low + (high - low) / 2;
    if (offset[mid] <= frame) low = mid;
    else high = mid;
  }
  return low;
}

static lurn_status bad_value (lurn_ctx *ctx, const lurn_data *d, const lurn_column *c, int64_t i, const char *what) {
  int64_t row = i / c->cols;
  long long col = (long long)(i % c->cols) + 1;
  if (c->axis == LURN_ROW)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s of sequence %lld, column %lld: %s", d->name, c->name, (long long)row + 1, col, what);
  const int64_t *offset = lurn_data_offset(d, c->axis);
  int64_t s = sequence_of(d, offset, row);
  return lurn_fail(ctx, LURN_EFORMAT, "%s: %s of sequence %lld, step %lld, column %lld: %s", d->name, c->name,
                   (long long)s + 1, (long long)(row - offset[s]) + 1, col, what);
}

static lurn_status check_reals (lurn_ctx *ctx, const lurn_data *d, const lurn_column *c, int64_t first, const real *v, int64_t n) {
  for (int64_t i = 0; i < n; i++)
    if (!isfinite(v[i])) return bad_value(ctx, d, c, first * c->cols + i, isnan(v[i]) ? "not a number" : "infinite");
  return LURN_OK;
}

static lurn_status check_ids (lurn_ctx *ctx, const lurn_data *d, const lurn_column *c, int64_t first, const int32_t *v, int64_t n,
                              int64_t *most) {
  char what[80];
  int64_t lowest = c == &d->column[0] || strcmp(c->name, "source") == 0 ? 0 : -1, limit = c->limit > 0 ? c->limit : INT32_MAX;
  for (int64_t i = 0; i < n; i++) {
    if (v[i] >= *most) *most = (int64_t)v[i] + 1;
    if (v[i] >= lowest && v[i] < limit) continue;
    snprintf(what, sizeof what, "id %ld, expected 0 to %lld", (long)v[i], (long long)limit - 1);
    return bad_value(ctx, d, c, first + i, what);
  }
  return LURN_OK;
}

static lurn_status check_column (lurn_ctx *ctx, lurn_data *d, int column) {
  union { int32_t i[PIECE]; real r[PIECE]; } piece;
  lurn_column *c = &d->column[column];
  int64_t expected = c->axis == LURN_ROW ? d->n : lurn_data_offset(d, c->axis)[d->n], most = 0;
  int64_t step = c->cols <= PIECE ? PIECE / c->cols : 0;
  if (c->cols < 1 || step == 0)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: %d columns, at most %d", d->name, c->name, c->cols, PIECE);
  if (c->store != LURN_STORE_REAL && strcmp(c->name, "mask") == 0)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: mask: expected real numbers, the weights, got ids", d->name);
  if (c->store != LURN_STORE_REAL && c->cols != 1)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: %d ids a %s, expected one; only real numbers have columns", d->name, c->name,
                     c->cols, c->axis == LURN_ROW ? "sequence" : "step");
  if (c->rows != expected)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: %lld rows, expected %lld", d->name, c->name, (long long)c->rows, (long long)expected);
  for (int64_t first = 0; first < c->rows; first += step) {
    int64_t n = c->rows - first < step ? c->rows - first : step;
    lurn_status status = lurn_data_read(ctx, d, column, first, n, &piece);
    if (status == LURN_OK) status = c->store == LURN_STORE_REAL ? check_reals(ctx, d, c, first, piece.r, n * c->cols)
                                                                : check_ids(ctx, d, c, first, piece.i, n, &most);
    if (status != LURN_OK) return status;
  }
  if (c->limit == 0 && c->store != LURN_STORE_REAL) c->limit = most > 0 ? most : 1;
  return LURN_OK;
}

static lurn_status check_split (lurn_ctx *ctx, const lurn_data *d, const lurn_split *s) {
  int64_t most = d->unit == LURN_UNIT_FRAME ? d->total : d->n;
  for (int64_t i = 0; i < s->nrange; i++) {
    int64_t first = s->range[2 * i], last = s->range[2 * i + 1];
    if (first < 0 || first > last || last > most)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: split %s: range %lld to %lld, there are %lld %s", d->name, s->name,
                       (long long)first + 1, (long long)last, (long long)most, d->unit == LURN_UNIT_FRAME ? "frames" : "sequences");
  }
  return LURN_OK;
}

static lurn_status check_offsets (lurn_ctx *ctx, const lurn_data *d, const char *what, const int64_t *offset, int64_t total) {
  if (offset[0] != 0 || offset[d->n] != total)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s go from %lld to %lld, expected 0 to %lld", d->name, what,
                     (long long)offset[0], (long long)offset[d->n], (long long)total);
  for (int64_t i = 0; i < d->n; i++)
    if (offset[i] > offset[i + 1])
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: sequence %lld ends before it begins", d->name, what, (long long)i + 1);
  return LURN_OK;
}

/* Along the second axis a sequence has a step at least: one that says "none" where there is nothing. */
static lurn_status check_second (lurn_ctx *ctx, const lurn_data *d) {
  int64_t total = 0;
  for (int i = 0; i < d->ncolumn; i++) if (d->column[i].axis == LURN_TIME2) total = d->column[i].rows;
  lurn_status status = check_offsets(ctx, d, "offsets2", d->offset2, total);
  for (int64_t i = 0; i < d->n && status == LURN_OK; i++)
    if (d->offset2[i] == d->offset2[i + 1] && d->offset[i] < d->offset[i + 1])
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: offsets2: sequence %lld has no step there, expected at least one", d->name,
                         (long long)i + 1);
  return status;
}

lurn_status lurn_data_check (lurn_ctx *ctx, lurn_data *d) {
  if (d->n < 1 || d->total < 1) return lurn_fail(ctx, LURN_EFORMAT, "%s: empty: there is not one frame in it", d->name);
  lurn_status status = check_offsets(ctx, d, "offsets", d->offset, d->total);
  if (status == LURN_OK && d->offset2) status = check_second(ctx, d);
  if (status == LURN_OK && (d->unknown < -1 || (d->vocab.n > 0 && d->unknown >= d->vocab.n)))
    status = lurn_fail(ctx, LURN_EFORMAT, "%s: unknown: id %lld, expected -1 (none) or one of the vocabulary, 0 to %lld", d->name,
                       (long long)d->unknown, (long long)d->vocab.n - 1);
  for (int i = 0; i < d->nsplit && status == LURN_OK; i++) status = check_split(ctx, d, &d->split[i]);
  for (int i = 0; i < d->ncolumn && status == LURN_OK; i++) status = check_column(ctx, d, i);
  return status;
}

/* ------------------------------------------------------------------ hash */

static void add_real (lurn_sha256 *s, real v) {
  double x = (double)v;
  uint64_t bits;
  memcpy(&bits, &x, sizeof bits);
  lurn_sha256_integer(s, bits, 8);
}

/* Ids of x below 256 count as bytes, so that a text is hashed as fast as it is read. */
static lurn_status hash_column (lurn_ctx *ctx, lurn_data *d, int column, char hex[LURN_SHA256_HEX]) {
  union { int32_t i[PIECE]; real r[PIECE]; } piece;
  lurn_column *c = &d->column[column];
  int64_t step = PIECE / c->cols;
  int size = column == 0 && c->limit <= 256 ? 1 : 4;
  lurn_sha256 s;
  lurn_sha256_init(&s);
  for (int64_t first = 0; first < c->rows; first += step) {
    int64_t n = c->rows - first < step ? c->rows - first : step;
    lurn_status status = lurn_data_read(ctx, d, column, first, n, &piece);
    if (status != LURN_OK) return status;
    for (int64_t i = 0; i < n * c->cols; i++) {
      if (c->store == LURN_STORE_REAL) add_real(&s, piece.r[i]);
      else lurn_sha256_integer(&s, (uint64_t)(int64_t)piece.i[i], size);
    }
  }
  lurn_sha256_hex(&s, hex);
  return LURN_OK;
}

static void hash_integers (const int64_t *v, int64_t n, char hex[LURN_SHA256_HEX]) {
  lurn_sha256 s;
  lurn_sha256_init(&s);
  for (int64_t i = 0; i < n; i++) lurn_sha256_integer(&s, (uint64_t)v[i], 8);
  lurn_sha256_hex(&s, hex);
}

static void hash_words (const lurn_words *w, char hex[LURN_SHA256_HEX]) {
  lurn_sha256 s;
  lurn_sha256_init(&s);
  for (int64_t i = 0; i < w->n; i++) {
    const char *text = w->text + i * w->width;
    size_t size = (size_t)w->width;
    while (size > 0 && text[size - 1] == '\0') size--;
    lurn_sha256_add(&s, text, size);
    lurn_sha256_add(&s, "\n", 1);
  }
  lurn_sha256_hex(&s, hex);
}

/* One line of the list of parts. */
static void add_part (lurn_sha256 *s, const char *part, const char *name, long long rows, long long cols, const char *hex) {
  char line[256];
  int n = snprintf(line, sizeof line, "%s %s %lld %lld %s\n", part, name, rows, cols, hex);
  lurn_sha256_add(s, line, (size_t)n);
}

/* The next split in the order of names, which is not always the order in which they were made. */
static const lurn_split *split_after (const lurn_data *d, const char *name) {
  const lurn_split *best = NULL;
  for (int i = 0; i < d->nsplit; i++)
    if (strcmp(d->split[i].name, name) > 0 && (best == NULL || strcmp(d->split[i].name, best->name) < 0)) best = &d->split[i];
  return best;
}

lurn_status lurn_data_hash (lurn_ctx *ctx, lurn_data *d, char hex[LURN_SHA256_HEX]) {
  lurn_sha256 s;
  lurn_sha256_init(&s);
  for (int i = 0; i < d->ncolumn; i++) {
    const lurn_column *c = &d->column[i];
    lurn_status status = c->digest[0] ? LURN_OK : hash_column(ctx, d, i, hex);
    if (status != LURN_OK) return status;
    add_part(&s, c->store == LURN_STORE_REAL ? "reals" : "ids", c->name, c->rows, c->cols, c->digest[0] ? c->digest : hex);
  }
  hash_integers(d->offset, d->n + 1, hex);
  add_part(&s, "offsets", d->next ? "next" : "-", d->n + 1, 1, hex);
  if (d->offset2) {
    hash_integers(d->offset2, d->n + 1, hex);
    add_part(&s, "offsets2", "-", d->n + 1, 1, hex);
  }
  for (const lurn_split *p = split_after(d, ""); p; p = split_after(d, p->name)) {
    hash_integers(p->range, 2 * p->nrange, hex);
    add_part(&s, d->unit == LURN_UNIT_FRAME ? "frames" : "sequences", p->name, p->nrange, 2, hex);
  }
  hash_words(&d->vocab, hex);
  add_part(&s, "words", "vocab", d->vocab.n, 1, hex);
  hash_words(&d->classes, hex);
  add_part(&s, "words", "classes", d->classes.n, 1, hex);
  lurn_sha256_hex(&s, hex);
  return LURN_OK;
}
