/* hdf5_attr.c: attributes: single numbers and texts beside an object. */
#include "hdf5_parts.h"

#include <string.h>

/* The end is where HDF5 has no more: its count of attributes has another name in every version. */
lurn_status lurn_hdf5_attr_name (lurn_ctx *ctx, lurn_h5 *f, const char *object, int64_t i, char name[LURN_H5_NAME]) {
  hushed h = hush();
  hid_t id;
  name[0] = '\0';
  lurn_status status = lurn_hdf5_open_as(ctx, f, object, H5I_BADID, &id);
  if (status == LURN_OK) {
    ssize_t n = H5Aget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_INC, (hsize_t)i, name, LURN_H5_NAME, H5P_DEFAULT);
    if (n < 0) name[0] = '\0';
    else if (n >= LURN_H5_NAME)
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: an attribute's name of %lld bytes", f->path, object, (long long)n);
  }
  drop(id);
  return unhush(h, status);
}

/* A text with nothing in it still takes the one byte that HDF5 insists on. */
static herr_t put_value (hid_t object, const char *key, const lurn_h5_value *value) {
  int is_text = value->type == LURN_H5_TEXT;
  hid_t type = is_text ? lurn_hdf5_text_type(value->size, H5T_CSET_UTF8) : H5Tcopy(lurn_hdf5_native(value->type));
  hid_t space = H5Screate(H5S_SCALAR);
  hid_t attr = H5Acreate2(object, key, type, space, H5P_DEFAULT, H5P_DEFAULT);
  const void *data = value->type == LURN_H5_I64 ? (const void *)&value->i : (const void *)&value->d;
  if (is_text) data = value->size > 0 ? value->text : "";
  herr_t rc = attr < 0 ? -1 : H5Awrite(attr, type, data);
  drop(attr);
  drop(space);
  drop(type);
  return rc;
}

lurn_status lurn_hdf5_attr_set (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                                const lurn_h5_value *value) {
  lurn_status status = lurn_hdf5_check_writing(ctx, f, object);
  if (status != LURN_OK) return status;
  hushed h = hush();
  hid_t id;
  status = lurn_hdf5_open_as(ctx, f, object, H5I_BADID, &id);
  if (status == LURN_OK && H5Aexists(id, key) > 0) H5Adelete(id, key);
  if (status == LURN_OK && put_value(id, key, value) < 0) status = lurn_hdf5_cannot_write(ctx, f, object);
  drop(id);
  return unhush(h, status);
}

static herr_t get_text (hid_t attr, hid_t type, lurn_h5_value *value, char *text, size_t room) {
  herr_t rc = 0;
  if (H5Tis_variable_str(type) > 0) {
    char *varying = NULL;
    rc = H5Aread(attr, type, &varying);
    value->size = rc >= 0 && varying ? strlen(varying) : 0;
    if (value->size <= room && varying) memcpy(text, varying, value->size);
    if (varying) H5free_memory(varying);
  } else {
    value->size = H5Tget_size(type);
    hid_t memory = lurn_hdf5_text_type(value->size, H5Tget_cset(type));
    if (value->size <= room) rc = H5Aread(attr, memory, text);
    drop(memory);
  }
  if (value->size > room) return rc;
  value->text = text;
  while (value->size > 0 && text[value->size - 1] == '\0') value->size--;
  return rc;
}

static lurn_status get_value (lurn_ctx *ctx, const lurn_h5 *f, const char *key, hid_t attr,
                              lurn_h5_value *value, char *text, size_t room) {
  hid_t type = H5Aget_type(attr), space = H5Aget_space(attr);
  int single = H5Sget_simple_extent_npoints(space) == 1;
  lurn_h5_type is = lurn_hdf5_type_of(type);
  herr_t rc = 0;
  lurn_status status = LURN_OK;
  if (!single || is == LURN_H5_NONE || (int64_t)H5Tget_size(type) > f->size + LURN_H5_PATH)
    status = lurn_fail(ctx, LURN_EFORMAT, "%s: attribute %s: expected one number or one text", f->path, key);
  else if (is == LURN_H5_TEXT) rc = get_text(attr, type, value, text, room);
  else if (is_real(is)) rc = H5Aread(attr, H5T_NATIVE_DOUBLE, &value->d);
  else rc = H5Aread(attr, H5T_NATIVE_INT64, &value->i);
  if (status == LURN_OK) value->type = is == LURN_H5_TEXT ? is : is_real(is) ? LURN_H5_F64 : LURN_H5_I64;
  if (rc < 0) status = lurn_hdf5_cannot_read(ctx, f, key);
  drop(type);
  drop(space);
  return status;
}

lurn_status lurn_hdf5_attr (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                            lurn_h5_value *value, char *text, size_t room) {
  hushed h = hush();
  hid_t id, attr = -1;
  memset(value, 0, sizeof *value);
  lurn_status status = lurn_hdf5_open_as(ctx, f, object, H5I_BADID, &id);
  if (status == LURN_OK && H5Aexists(id, key) > 0) {
    attr = H5Aopen(id, key, H5P_DEFAULT);
    status = attr < 0 ? lurn_hdf5_cannot_read(ctx, f, key) : get_value(ctx, f, key, attr, value, text, room);
  }
  drop(attr);
  drop(id);
  return unhush(h, status);
}
