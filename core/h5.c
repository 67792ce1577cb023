/* h5.c: documents, whichever library does the work: see lurn_h5_driver. */
#include "h5.h"

const char *lurn_h5_type_name (lurn_h5_type type) {
  static const char *const names[] = {
    [LURN_H5_NONE] = "group", [LURN_H5_F32] = "f32", [LURN_H5_F64] = "f64", [LURN_H5_I32] = "i32",
    [LURN_H5_I64] = "i64", [LURN_H5_U8] = "u8", [LURN_H5_TEXT] = "text"
  };
  return names[type];
}

/* What opens a document says which library it is of. */
static lurn_status check_library (lurn_ctx *ctx, lurn_h5 *f) {
  static const lurn_h5 closed;
  *f = closed;
  return ctx->h5 ? LURN_OK : lurn_fail(ctx, LURN_EINVAL, "documents: the context has no library (ctx.h5)");
}

lurn_status lurn_h5_create (lurn_ctx *ctx, lurn_h5 *f, const char *path) {
  lurn_status status = check_library(ctx, f);
  if (status == LURN_OK) status = ctx->h5->create(ctx, f, path);
  f->driver = ctx->h5;
  return status;
}

lurn_status lurn_h5_open (lurn_ctx *ctx, lurn_h5 *f, const char *path) {
  lurn_status status = check_library(ctx, f);
  if (status == LURN_OK) status = ctx->h5->open(ctx, f, path);
  f->driver = ctx->h5;
  return status;
}

void lurn_h5_abort (lurn_h5 *f) {
  if (f->driver) f->driver->abort(f);
}

void lurn_h5_close (lurn_h5 *f) {
  if (f->driver) f->driver->close(f);
}

lurn_status lurn_h5_commit (lurn_ctx *ctx, lurn_h5 *f) { return f->driver->commit(ctx, f); }

lurn_status lurn_h5_define (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info, int64_t chunk,
                            int deflate) {
  return f->driver->define(ctx, f, name, info, chunk, deflate, info->type, NULL);
}

lurn_status lurn_h5_put (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory, int64_t first,
                         int64_t count, const void *data) {
  return f->driver->put(ctx, f, name, memory, first, count, data);
}

lurn_status lurn_h5_write (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info, int64_t chunk,
                           int deflate, lurn_h5_type memory, const void *data) {
  return f->driver->define(ctx, f, name, info, chunk, deflate, memory, data);
}

lurn_status lurn_h5_write_text (lurn_ctx *ctx, lurn_h5 *f, const char *name, int64_t n, const char *text,
                                size_t width) {
  return f->driver->write_text(ctx, f, name, n, text, width);
}

lurn_status lurn_h5_attr_set (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                              const lurn_h5_value *value) {
  return f->driver->attr_set(ctx, f, object, key, value);
}

int lurn_h5_exists (lurn_h5 *f, const char *name) { return f->driver->exists(f, name); }

lurn_status lurn_h5_look (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_info *info) {
  return f->driver->look(ctx, f, name, info);
}

lurn_status lurn_h5_read (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory, int64_t first,
                          int64_t count, void *data) {
  return f->driver->read(ctx, f, name, memory, first, count, data);
}

lurn_status lurn_h5_read_text (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info, char *text) {
  return f->driver->read_text(ctx, f, name, info, text);
}

lurn_status lurn_h5_child (lurn_ctx *ctx, lurn_h5 *f, const char *group, int64_t i, char name[LURN_H5_NAME]) {
  return f->driver->child(ctx, f, group, i, name);
}

lurn_status lurn_h5_attr_name (lurn_ctx *ctx, lurn_h5 *f, const char *object, int64_t i, char name[LURN_H5_NAME]) {
  return f->driver->attr_name(ctx, f, object, i, name);
}

lurn_status lurn_h5_attr (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key, lurn_h5_value *value,
                          char *text, size_t room) {
  return f->driver->attr(ctx, f, object, key, value, text, room);
}
