/* hdf5_info.c: what an array is: its type, its shape, and whether the file can hold what they claim.
 *
 * Whoever asks allocates by the answer, so none is given that the file itself belies.
 */
#include "hdf5_parts.h"

#include <string.h>

#define MOST_NUMBERS ((int64_t)1 << 46)
#define MOST_CHUNK ((int64_t)1 << 30)
#define MOST_DEFLATED 1100      /* deflate cannot shrink further than 1032 to 1 */

hid_t lurn_hdf5_native (lurn_h5_type type) {
  switch (type) {
    case LURN_H5_F32: return H5T_NATIVE_FLOAT;
    case LURN_H5_F64: return H5T_NATIVE_DOUBLE;
    case LURN_H5_I32: return H5T_NATIVE_INT32;
    case LURN_H5_I64: return H5T_NATIVE_INT64;
    case LURN_H5_U8:  return H5T_NATIVE_UINT8;
    default:          return -1;
  }
}

lurn_h5_type lurn_hdf5_type_of (hid_t type) {
  size_t size = H5Tget_size(type);
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:   return size <= 4 ? LURN_H5_F32 : LURN_H5_F64;
    case H5T_STRING:  return LURN_H5_TEXT;
    case H5T_INTEGER:
      if (H5Tget_sign(type) == H5T_SGN_NONE) return size == 1 ? LURN_H5_U8 : size < 4 ? LURN_H5_I32 : LURN_H5_I64;
      return size <= 4 ? LURN_H5_I32 : LURN_H5_I64;
    default:          return LURN_H5_NONE;
  }
}

lurn_status lurn_hdf5_shape_of (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t space, lurn_h5_info *info) {
  hsize_t dim[H5S_MAX_RANK];
  int64_t count = 1;
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank > LURN_MAX_RANK)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: %d dimensions, at most %d are read", f->path, name, rank,
                     LURN_MAX_RANK);
  if (rank < 0 || H5Sget_simple_extent_dims(space, dim, NULL) < 0) return lurn_hdf5_cannot_read(ctx, f, name);
  info->rank = rank;
  if (H5Sget_simple_extent_type(space) == H5S_NULL) info->rank = 1;     /* dim is {0} */
  for (int i = 0; i < rank; i++) {
    info->dim[i] = (int64_t)dim[i];
    if (dim[i] > (hsize_t)MOST_NUMBERS || (dim[i] > 0 && count > MOST_NUMBERS / info->dim[i]))
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: absurd size, %llu in dimension %d", f->path, name,
                       (unsigned long long)dim[i], i + 1);
    if (dim[i] > 0) count *= info->dim[i];
  }
  return LURN_OK;
}

int64_t lurn_hdf5_count_of (const lurn_h5_info *info) {
  int64_t n = 1;
  for (int i = 0; i < info->rank; i++) n *= info->dim[i];
  return n;
}

/* How many bytes the numbers of an array may take, given what the file holds for it. */
static int64_t room_for (const lurn_h5 *f, hid_t array, hid_t plan) {
  hsize_t chunk[H5S_MAX_RANK];
  int64_t held = (int64_t)H5Dget_storage_size(array);
  if (held > f->size) held = f->size;
  if (H5Pget_layout(plan) != H5D_CHUNKED) return held;
  int rank = H5Pget_chunk(plan, H5S_MAX_RANK, chunk);
  int64_t one = 1;
  for (int i = 0; i < rank; i++)
    one = chunk[i] > (hsize_t)(MOST_CHUNK / one) ? MOST_CHUNK + 1 : one * (int64_t)chunk[i];
  if (one > MOST_CHUNK) return 0;
  return H5Pget_nfilters(plan) > 0 ? held * MOST_DEFLATED : held;
}

/* Untrusted sizes: nothing may be larger than the bytes that stand for it in this file. */
static lurn_status check_storage (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array, int64_t bytes) {
  hid_t plan = H5Dget_create_plist(array);
  if (plan < 0) return lurn_hdf5_cannot_read(ctx, f, name);
  int elsewhere = H5Pget_layout(plan) == H5D_VIRTUAL || H5Pget_external_count(plan) > 0;
  int64_t room = elsewhere ? 0 : room_for(f, array, plan);
  drop(plan);
  if (elsewhere) return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: its numbers are in other files", f->path, name);
  if (bytes > room)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: claims %lld bytes, the file has %lld for it", f->path, name,
                     (long long)bytes, (long long)room);
  return LURN_OK;
}

static lurn_status look_at (lurn_ctx *ctx, lurn_h5 *f, const char *name, hid_t array, lurn_h5_info *info) {
  hid_t type = H5Dget_type(array), space = H5Dget_space(array);
  lurn_status status = type < 0 || space < 0 ? lurn_hdf5_cannot_read(ctx, f, name)
                                             : lurn_hdf5_shape_of(ctx, f, name, space, info);
  if (status == LURN_OK) {
    info->type = lurn_hdf5_type_of(type);
    if (info->type == LURN_H5_NONE || H5Tget_size(type) == 0)
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: neither numbers nor texts", f->path, name);
  }
  int64_t n = status == LURN_OK ? lurn_hdf5_count_of(info) : 0;
  if (n > 0 && !f->writing) {
    int64_t each = (int64_t)H5Tget_size(type);
    int64_t bytes = each > INT64_MAX / n ? INT64_MAX : n * each;
    status = check_storage(ctx, f, name, array, bytes);
  }
  if (status == LURN_OK && info->type == LURN_H5_TEXT)
    status = lurn_hdf5_measure_text(ctx, f, name, array, type, info);
  drop(type);
  drop(space);
  return status;
}

lurn_status lurn_hdf5_look (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_info *info) {
  hushed h = hush();
  hid_t id;
  memset(info, 0, sizeof *info);
  lurn_status status = lurn_hdf5_open_as(ctx, f, name, H5I_BADID, &id);
  if (status == LURN_OK && H5Iget_type(id) == H5I_DATASET) status = look_at(ctx, f, name, id, info);
  drop(id);
  return unhush(h, status);
}
