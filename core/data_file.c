/* data_file.c: the schema: how a data set lies in an HDF5 document. */
#include "data.h"

#include <stdio.h>
#include <string.h>

#define SCHEMA 1
#define PAGE_BYTES 65536

/* Widths of a value in memory, by lurn_store. */
static const size_t store_size[] = {1, sizeof(int32_t), sizeof(real)};

/* ------------------------------------------------------------------ looking */

static lurn_status get_note (lurn_ctx *ctx, lurn_data *d, const char *key, char text[LURN_NOTE_SIZE]) {
  lurn_h5_value v;
  text[0] = '\0';
  lurn_status status = lurn_h5_attr(ctx, &d->file, "/", key, &v, text, LURN_NOTE_SIZE - 1);
  if (status != LURN_OK || v.type == LURN_H5_NONE) return status;
  if (v.type != LURN_H5_TEXT) return lurn_fail(ctx, LURN_EFORMAT, "%s: attribute %s: expected a text", d->name, key);
  text[v.text ? v.size : 0] = '\0';
  return LURN_OK;
}

static lurn_status get_integer (lurn_ctx *ctx, lurn_data *d, const char *key, int64_t usual, int64_t *value) {
  lurn_h5_value v;
  lurn_status status = lurn_h5_attr(ctx, &d->file, "/", key, &v, NULL, 0);
  *value = v.type == LURN_H5_I64 ? v.i : usual;
  return status;
}

static lurn_status look_column (lurn_ctx *ctx, lurn_data *d, const char *path, const char *name) {
  lurn_h5_info info;
  char shape[96];
  if (!lurn_h5_exists(&d->file, path)) return LURN_OK;
  lurn_status status = lurn_h5_look(ctx, &d->file, path, &info);
  if (status != LURN_OK) return status;
  if (info.rank < 1 || info.rank > 2 || info.type == LURN_H5_TEXT || info.type == LURN_H5_NONE)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected ids (N) or (N, D) numbers, got %s %s", d->name, path,
                     lurn_h5_type_name(info.type), lurn_shape_text(shape, sizeof shape, info.rank, info.dim));
  lurn_column *c = &d->column[d->ncolumn++];
  memset(c, 0, sizeof *c);
  snprintf(c->name, sizeof c->name, "%s", name);
  int64_t cols = info.rank == 2 ? info.dim[1] : 1;
  int reals = info.type == LURN_H5_F32 || info.type == LURN_H5_F64 || cols > 1 || strcmp(name, "mask") == 0;
  if (cols < 1 || cols > INT32_MAX)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: %lld columns", d->name, path, (long long)cols);
  c->store = reals ? LURN_STORE_REAL : info.type == LURN_H5_U8 ? LURN_STORE_BYTE : LURN_STORE_INDEX;
  c->cols = (int)cols;
  c->rows = info.dim[0];
  return LURN_OK;
}

/* Per step or per sequence? The attribute says; without it the number of rows does. */
static lurn_status look_columns (lurn_ctx *ctx, lurn_data *d) {
  char targets[LURN_NOTE_SIZE];
  lurn_status status = get_note(ctx, d, "targets", targets);
  if (status == LURN_OK) status = look_column(ctx, d, "/x", "x");
  if (status == LURN_OK && d->ncolumn == 0) return lurn_fail(ctx, LURN_EFORMAT, "%s: no data set: /x is missing", d->name);
  for (int i = 1; i < LURN_MAX_COLUMNS && status == LURN_OK; i++) {
    char path[20];
    snprintf(path, sizeof path, "/%s", lurn_column_names[i]);
    status = look_column(ctx, d, path, lurn_column_names[i]);
  }
  if (status != LURN_OK) return status;
  d->total = d->column[0].rows;
  int y = lurn_data_column(d, "y");
  for (int i = 0; i < d->ncolumn; i++) {
    const char *name = d->column[i].name;
    int second = strcmp(name, "source") == 0 || strcmp(name, "labels") == 0;
    d->column[i].axis = second ? LURN_TIME2 : LURN_TIME;
    if (second && !lurn_h5_exists(&d->file, "/offsets2"))
      return lurn_fail(ctx, LURN_EFORMAT, "%s: /%s without /offsets2, which says where its sequences begin", d->name, name);
  }
  if (y > 0 && (strcmp(targets, "sequence") == 0 || (targets[0] == '\0' && d->column[y].rows == d->n && d->n != d->total)))
    d->column[y].axis = LURN_ROW;
  d->next = y < 0 && (strcmp(targets, "next") == 0 || (targets[0] == '\0' && strcmp(d->note[LURN_NOTE_KIND], "text") == 0));
  return LURN_OK;
}

static lurn_status look_words (lurn_ctx *ctx, lurn_data *d, const char *path, lurn_words *w) {
  lurn_h5_info info;
  if (!lurn_h5_exists(&d->file, path)) return LURN_OK;
  lurn_status status = lurn_h5_look(ctx, &d->file, path, &info);
  if (status != LURN_OK) return status;
  if (info.type != LURN_H5_TEXT || info.rank != 1)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected a list of texts", d->name, path);
  w->n = info.dim[0];
  w->width = info.width;
  return LURN_OK;
}

static lurn_status look_offsets (lurn_ctx *ctx, lurn_data *d, const char *path, int64_t *n) {
  lurn_h5_info info;
  lurn_status status = lurn_h5_look(ctx, &d->file, path, &info);
  if (status != LURN_OK) return status;
  if (info.rank != 1 || info.dim[0] < 1 || (info.type != LURN_H5_I64 && info.type != LURN_H5_I32))
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected N+1 integers", d->name, path);
  *n = info.dim[0] - 1;
  return LURN_OK;
}

/* Of as many sequences as the first; the pointer says for now only that they are there. */
static lurn_status look_offsets2 (lurn_ctx *ctx, lurn_data *d) {
  static const int64_t there = 0;
  int64_t n = d->n;
  if (!lurn_h5_exists(&d->file, "/offsets2")) return LURN_OK;
  lurn_status status = look_offsets(ctx, d, "/offsets2", &n);
  d->offset2 = &there;
  if (status == LURN_OK && n != d->n)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: /offsets2 is of %lld sequences, /offsets of %lld", d->name, (long long)n,
                     (long long)d->n);
  return status;
}

static lurn_status look_splits (lurn_ctx *ctx, lurn_data *d) {
  char name[LURN_H5_NAME], path[LURN_H5_NAME + 8], unit[LURN_NOTE_SIZE];
  lurn_status status = get_note(ctx, d, "unit", unit);
  d->unit = strcmp(unit, "frame") == 0 ? LURN_UNIT_FRAME : LURN_UNIT_SEQUENCE;
  if (!lurn_h5_exists(&d->file, "/split")) return status;
  for (int64_t i = 0; status == LURN_OK; i++) {
    lurn_h5_info info;
    status = lurn_h5_child(ctx, &d->file, "/split", i, name);
    if (status != LURN_OK || name[0] == '\0') break;
    lurn_split *s = &d->split[d->nsplit];
    if (d->nsplit == LURN_MAX_SPLITS || strlen(name) >= sizeof s->name)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: /split/%s: too many splits or too long a name", d->name, name);
    snprintf(path, sizeof path, "/split/%s", name);
    status = lurn_h5_look(ctx, &d->file, path, &info);
    if (status != LURN_OK) return status;
    if (info.rank != 2 || info.dim[1] != 2 || info.type != LURN_H5_I64)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected (K, 2) integers of 64 bits, the ranges", d->name, path);
    strcpy(s->name, name);
    s->nrange = info.dim[0];
    d->nsplit++;
  }
  return status;
}

/* ------------------------------------------------------------------ memory */

static void lay_out_column (lurn_data *d, lurn_column *c, char *base, size_t *at) {
  size_t row = (size_t)c->cols * store_size[c->store];
  if (c->rows == 0 || (size_t)c->rows <= (size_t)d->whole / row) {
    c->data = lurn_take(base, at, (size_t)c->rows * row);
    return;
  }
  c->page_rows = row < PAGE_BYTES ? (int64_t)(PAGE_BYTES / row) : 1;
  c->page = lurn_take(base, at, LURN_PAGES * sizeof *c->page);
  c->used = lurn_take(base, at, LURN_PAGES * sizeof *c->used);
  c->slots = lurn_take(base, at, LURN_PAGES * (size_t)c->page_rows * row);
}

/* One walk measures and places. */
static int64_t *lay_out (lurn_data *d, char *base) {
  size_t at = 0, many = (size_t)(d->n + 1) * sizeof *d->offset;
  int64_t *offset = lurn_take(base, &at, many);
  if (d->offset2) {
    const int64_t *second = lurn_take(base, &at, many);
    if (base) d->offset2 = second;
  }
  for (int i = 0; i < d->nsplit; i++) d->split[i].range = lurn_take(base, &at, (size_t)d->split[i].nrange * 16);
  d->vocab.text = lurn_take(base, &at, (size_t)(d->vocab.n * d->vocab.width));
  d->classes.text = lurn_take(base, &at, (size_t)(d->classes.n * d->classes.width));
  for (int i = 0; i < d->ncolumn; i++) lay_out_column(d, &d->column[i], base, &at);
  d->bytes = at;
  return offset;
}

/* ------------------------------------------------------------------ opening */

static lurn_status look (lurn_ctx *ctx, lurn_data *d) {
  int64_t schema;
  lurn_status status = get_integer(ctx, d, "lurn_schema", 0, &schema);
  if (status == LURN_OK && schema != SCHEMA)
    return lurn_fail(ctx, LURN_EFORMAT, schema == 0 ? "%s: not a data set: no attribute lurn_schema"
                                                    : "%s: a data set of another schema than this version reads", d->name);
  if (status == LURN_OK) status = get_integer(ctx, d, "unknown", -1, &d->unknown);
  for (int i = 0; i < LURN_NOTES && status == LURN_OK; i++) status = get_note(ctx, d, lurn_notes[i], d->note[i]);
  if (status == LURN_OK) status = look_offsets(ctx, d, "/offsets", &d->n);
  if (status == LURN_OK) status = look_offsets2(ctx, d);
  if (status == LURN_OK) status = look_columns(ctx, d);
  if (status == LURN_OK) status = look_splits(ctx, d);
  if (status == LURN_OK) status = look_words(ctx, d, "/vocab", &d->vocab);
  if (status == LURN_OK) status = look_words(ctx, d, "/classes", &d->classes);
  return status;
}

lurn_status lurn_data_open (lurn_ctx *ctx, lurn_data *d, const char *path, int64_t whole) {
  memset(d, 0, sizeof *d);
  lurn_status status = lurn_h5_open(ctx, &d->file, path);
  if (status != LURN_OK) return status;
  strcpy(d->name, path);
  d->whole = whole;
  status = look(ctx, d);
  if (status == LURN_OK) lay_out(d, NULL);
  else lurn_data_close(d);
  return status;
}

void lurn_data_close (lurn_data *d) { lurn_h5_close(&d->file); }

static lurn_status load_column (lurn_ctx *ctx, lurn_data *d, lurn_column *c) {
  static const lurn_h5_type type[] = {LURN_H5_U8, LURN_H5_I32, LURN_H5_REAL};
  char path[20];
  if (c->page) memset(c->page, -1, LURN_PAGES * sizeof *c->page);
  if (c->used) memset(c->used, 0, LURN_PAGES * sizeof *c->used);
  if (c->page) return LURN_OK;
  snprintf(path, sizeof path, "/%s", c->name);
  return lurn_h5_read(ctx, &d->file, path, type[c->store], 0, c->rows, (void *)(uintptr_t)c->data);
}

static lurn_status load_words (lurn_ctx *ctx, lurn_data *d, const char *path, const lurn_words *w) {
  lurn_h5_info info = {.type = LURN_H5_TEXT, .rank = 1, .dim = {w->n}, .width = w->width};
  if (w->n == 0) return LURN_OK;
  return lurn_h5_read_text(ctx, &d->file, path, &info, (char *)(uintptr_t)w->text);
}

static lurn_status load_splits (lurn_ctx *ctx, lurn_data *d) {
  char path[64];
  lurn_status status = LURN_OK;
  for (int i = 0; i < d->nsplit && status == LURN_OK; i++) {
    snprintf(path, sizeof path, "/split/%s", d->split[i].name);
    status = lurn_h5_read(ctx, &d->file, path, LURN_H5_I64, 0, d->split[i].nrange, d->split[i].range);
  }
  return status;
}

lurn_status lurn_data_load (lurn_ctx *ctx, lurn_data *d, void *memory) {
  int64_t *offset = lay_out(d, memory);
  int streamed = 0, y = lurn_data_column(d, "y");
  d->offset = offset;
  d->column[0].limit = d->vocab.n;
  if (y < 0) y = lurn_data_column(d, "labels");
  if (y > 0) d->column[y].limit = d->classes.n;
  lurn_status status = lurn_h5_read(ctx, &d->file, "/offsets", LURN_H5_I64, 0, d->n + 1, offset);
  if (status == LURN_OK && d->offset2)
    status = lurn_h5_read(ctx, &d->file, "/offsets2", LURN_H5_I64, 0, d->n + 1, (void *)(uintptr_t)d->offset2);
  if (status == LURN_OK) status = load_splits(ctx, d);
  if (status == LURN_OK) status = load_words(ctx, d, "/vocab", &d->vocab);
  if (status == LURN_OK) status = load_words(ctx, d, "/classes", &d->classes);
  for (int i = 0; i < d->ncolumn && status == LURN_OK; i++) {
    status = load_column(ctx, d, &d->column[i]);
    streamed |= d->column[i].page != NULL;
  }
  if (status == LURN_OK) status = lurn_data_check(ctx, d);
  if (!streamed || status != LURN_OK) lurn_data_close(d);
  return status;
}

/* ------------------------------------------------------------------ saving */

static lurn_status put_text (lurn_ctx *ctx, lurn_h5 *f, const char *key, const char *text) {
  lurn_h5_value v = {.type = LURN_H5_TEXT, .text = text, .size = strlen(text)};
  return text[0] ? lurn_h5_attr_set(ctx, f, "/", key, &v) : LURN_OK;
}

static lurn_status put_integer (lurn_ctx *ctx, lurn_h5 *f, const char *key, int64_t i) {
  lurn_h5_value v = {.type = LURN_H5_I64, .i = i};
  return lurn_h5_attr_set(ctx, f, "/", key, &v);
}

static const char *targets_of (const lurn_data *d) {
  int y = lurn_data_column(d, "y");
  return d->next ? "next" : y < 0 ? "none" : d->column[y].axis == LURN_ROW ? "sequence" : "step";
}

/* An array (rows) or, with columns, (rows, columns). */
static lurn_status put_integers (lurn_ctx *ctx, lurn_h5 *f, const char *name, int64_t rows, int64_t columns,
                                 const void *values) {
  lurn_h5_info info = {.type = LURN_H5_I64, .rank = columns > 0 ? 2 : 1, .dim = {rows, columns}};
  return lurn_h5_write(ctx, f, name, &info, 0, 0, LURN_H5_I64, values);
}

lurn_status lurn_data_write_head (lurn_ctx *ctx, lurn_data *d, lurn_h5 *f) {
  char path[64];
  lurn_status status = lurn_data_hash(ctx, d, d->note[LURN_NOTE_SHA256]);
  if (status == LURN_OK) status = put_integer(ctx, f, "lurn_schema", SCHEMA);
  if (status == LURN_OK) status = put_integer(ctx, f, "unknown", d->unknown);
  if (status == LURN_OK) status = put_text(ctx, f, "targets", targets_of(d));
  if (status == LURN_OK) status = put_text(ctx, f, "unit", d->unit == LURN_UNIT_FRAME ? "frame" : "sequence");
  for (int i = 0; i < LURN_NOTES && status == LURN_OK; i++) status = put_text(ctx, f, lurn_notes[i], d->note[i]);
  if (status == LURN_OK) status = put_integers(ctx, f, "/offsets", d->n + 1, 0, d->offset);
  if (status == LURN_OK && d->offset2) status = put_integers(ctx, f, "/offsets2", d->n + 1, 0, d->offset2);
  for (int i = 0; i < d->nsplit && status == LURN_OK; i++) {
    snprintf(path, sizeof path, "/split/%s", d->split[i].name);
    status = put_integers(ctx, f, path, d->split[i].nrange, 2, d->split[i].range);
  }
  if (status == LURN_OK && d->vocab.n > 0)
    status = lurn_h5_write_text(ctx, f, "/vocab", d->vocab.n, d->vocab.text, (size_t)d->vocab.width);
  if (status == LURN_OK && d->classes.n > 0)
    status = lurn_h5_write_text(ctx, f, "/classes", d->classes.n, d->classes.text, (size_t)d->classes.width);
  return status;
}

/* Row by row of a few thousand, so that a set that does not fit into memory can be copied too. */
static lurn_status save_column (lurn_ctx *ctx, lurn_data *d, int column, lurn_h5 *f) {
  union { int32_t i[4096]; real r[4096]; } piece;
  const lurn_column *c = &d->column[column];
  int is_real = c->store == LURN_STORE_REAL, narrow = column == 0 && c->limit <= 256;
  lurn_h5_info info = {.type = is_real ? LURN_H5_REAL : narrow ? LURN_H5_U8 : LURN_H5_I32,
                       .rank = is_real ? 2 : 1, .dim = {c->rows, c->cols}};
  char path[20];
  snprintf(path, sizeof path, "/%s", c->name);
  lurn_status status = lurn_h5_define(ctx, f, path, &info, 0, 0);
  int64_t step = 4096 / c->cols;
  for (int64_t first = 0; first < c->rows && status == LURN_OK; first += step) {
    int64_t n = c->rows - first < step ? c->rows - first : step;
    status = lurn_data_read(ctx, d, column, first, n, &piece);
    if (status == LURN_OK) status = lurn_h5_put(ctx, f, path, is_real ? LURN_H5_REAL : LURN_H5_I32, first, n, &piece);
  }
  return status;
}

lurn_status lurn_data_save (lurn_ctx *ctx, lurn_data *d, const char *path) {
  lurn_h5 f;
  lurn_status status = lurn_h5_create(ctx, &f, path);
  if (status != LURN_OK) return status;
  for (int i = 0; i < d->ncolumn && status == LURN_OK; i++) status = save_column(ctx, d, i, &f);
  if (status == LURN_OK) status = lurn_data_write_head(ctx, d, &f);
  if (status == LURN_OK) return lurn_h5_commit(ctx, &f);
  lurn_h5_abort(&f);
  return status;
}
