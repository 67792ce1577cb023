/* hdf5_array.c: arrays of numbers: made, and read and written by rows. */
#include "hdf5_parts.h"

#include <string.h>

static int is_number (lurn_h5_type type) { return type != LURN_H5_NONE && type != LURN_H5_TEXT; }

/* The rows first .. first+count-1 of an array: a selection in the file and its like in memory. */
static lurn_status select_rows (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array,
                                int64_t first, int64_t count, hid_t *in_file, hid_t *in_memory) {
  hsize_t start[LURN_MAX_RANK] = {0}, dim[LURN_MAX_RANK];
  lurn_h5_info info;
  memset(&info, 0, sizeof info);
  *in_memory = -1;
  *in_file = H5Dget_space(array);
  lurn_status status = *in_file < 0 ? lurn_hdf5_cannot_read(ctx, f, name)
                                    : lurn_hdf5_shape_of(ctx, f, name, *in_file, &info);
  if (status != LURN_OK) return status;
  int64_t rows = info.rank == 0 ? 1 : info.dim[0];
  if (first < 0 || count < 0 || first > rows - count)
    return lurn_fail(ctx, LURN_EINVAL, "%s: %s: rows %lld to %lld, it has %lld", f->path, name,
                     (long long)first + 1, (long long)(first + count), (long long)rows);
  if (info.rank == 0) {
    *in_memory = H5Screate(H5S_SCALAR);
    return LURN_OK;
  }
  for (int i = 0; i < info.rank; i++) dim[i] = (hsize_t)info.dim[i];
  start[0] = (hsize_t)first;
  dim[0] = (hsize_t)count;
  *in_memory = H5Screate_simple(info.rank, dim, NULL);
  if (*in_memory < 0 || H5Sselect_hyperslab(*in_file, H5S_SELECT_SET, start, NULL, dim, NULL) < 0)
    return lurn_hdf5_cannot_read(ctx, f, name);
  return LURN_OK;
}

lurn_status lurn_hdf5_read (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory,
                            int64_t first, int64_t count, void *data) {
  hushed h = hush();
  hid_t array, in_file = -1, in_memory = -1;
  lurn_status status = lurn_hdf5_open_as(ctx, f, name, H5I_DATASET, &array);
  if (status == LURN_OK) {
    hid_t type = H5Dget_type(array);
    lurn_h5_type is = lurn_hdf5_type_of(type);
    drop(type);
    if (!is_number(is) || (is_real(is) && !is_real(memory)))
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected %s, got %s", f->path, name,
                         is_real(memory) ? "numbers" : "integers",
                         is == LURN_H5_NONE ? "something else" : lurn_h5_type_name(is));
  }
  if (status == LURN_OK) status = select_rows(ctx, f, name, array, first, count, &in_file, &in_memory);
  if (status == LURN_OK && count > 0
      && H5Dread(array, lurn_hdf5_native(memory), in_memory, in_file, H5P_DEFAULT, data) < 0)
    status = lurn_hdf5_cannot_read(ctx, f, name);
  drop(in_file);
  drop(in_memory);
  drop(array);
  return unhush(h, status);
}

/* What is there already goes in while the array is open: opening one again takes as long as making it.
 * Creation times are left out everywhere so that equal contents are equal bytes. */
lurn_status lurn_hdf5_make_array (lurn_ctx *ctx, lurn_h5 *f, const char *name, hid_t type, hid_t space, hid_t plan,
                                  hid_t memory, const void *data) {
  H5Pset_obj_track_times(plan, 0);
  H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
  lurn_hdf5_make_groups(f, name);
  hid_t array = H5Dcreate2(f->file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
  int bad = array < 0 || (data && H5Sget_simple_extent_npoints(space) > 0
                          && H5Dwrite(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0);
  lurn_status status = bad || f->error != 0 ? lurn_hdf5_cannot_write(ctx, f, name) : LURN_OK;
  drop(array);
  return status;
}

lurn_status lurn_hdf5_define (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info,
                              int64_t chunk, int deflate, lurn_h5_type memory, const void *data) {
  hsize_t dim[LURN_MAX_RANK + 1], most[LURN_MAX_RANK + 1], piece[LURN_MAX_RANK + 1];
  lurn_status status = lurn_hdf5_check_writing(ctx, f, name);
  if (status != LURN_OK) return status;
  hushed h = hush();
  for (int i = 0; i < info->rank; i++) dim[i] = most[i] = piece[i] = (hsize_t)info->dim[i];
  hid_t plan = H5Pcreate(H5P_DATASET_CREATE);
  if (chunk > 0 && info->rank > 0) {
    most[0] = H5S_UNLIMITED;
    piece[0] = (hsize_t)chunk;
    H5Pset_chunk(plan, info->rank, piece);
    if (deflate > 0) H5Pset_shuffle(plan);
    if (deflate > 0) H5Pset_deflate(plan, (unsigned)deflate);
  }
  hid_t space = info->rank == 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(info->rank, dim, most);
  status = lurn_hdf5_make_array(ctx, f, name, lurn_hdf5_native(info->type), space, plan, lurn_hdf5_native(memory),
                                data);
  drop(space);
  drop(plan);
  return unhush(h, status);
}

static lurn_status grow (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array, int64_t rows) {
  hsize_t dim[H5S_MAX_RANK];
  hid_t space = H5Dget_space(array);
  int rank = H5Sget_simple_extent_dims(space, dim, NULL);
  drop(space);
  if (rank < 1 || (int64_t)dim[0] >= rows) return LURN_OK;
  dim[0] = (hsize_t)rows;
  return H5Dset_extent(array, dim) < 0 ? lurn_hdf5_cannot_write(ctx, f, name) : LURN_OK;
}

lurn_status lurn_hdf5_put (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory,
                           int64_t first, int64_t count, const void *data) {
  lurn_status status = lurn_hdf5_check_writing(ctx, f, name);
  if (status != LURN_OK) return status;
  hushed h = hush();
  hid_t array, in_file = -1, in_memory = -1;
  status = lurn_hdf5_open_as(ctx, f, name, H5I_DATASET, &array);
  if (status == LURN_OK) status = grow(ctx, f, name, array, first + count);
  if (status == LURN_OK) status = select_rows(ctx, f, name, array, first, count, &in_file, &in_memory);
  if (status == LURN_OK && count > 0
      && H5Dwrite(array, lurn_hdf5_native(memory), in_memory, in_file, H5P_DEFAULT, data) < 0)
    status = lurn_hdf5_cannot_write(ctx, f, name);
  if (status == LURN_OK && f->error != 0) status = lurn_hdf5_cannot_write(ctx, f, name);
  drop(in_file);
  drop(in_memory);
  drop(array);
  return unhush(h, status);
}
