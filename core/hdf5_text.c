/* hdf5_text.c: texts: of fixed width, as lurn writes them, and of variable width, as h5py does. */
#include "hdf5_parts.h"

#include <string.h>

#define MOST_TEXTS ((int64_t)1 << 24)
#define MOST_TEXT_BYTES ((int64_t)1 << 30)

hid_t lurn_hdf5_text_type (size_t width, H5T_cset_t letters) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, width > 0 ? width : 1);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, letters);
  return type;
}

/* One text of variable width; HDF5 allocates it and the caller gives it back with H5free_memory. */
static char *read_varying (hid_t array, hid_t type, const lurn_h5_info *info, int64_t i) {
  char *text = NULL;
  hsize_t at = (hsize_t)i, one = 1;
  hid_t space = H5Dget_space(array), memory = H5Screate_simple(1, &one, NULL);
  herr_t rc = -1;
  if (info->rank == 1) rc = H5Sselect_hyperslab(space, H5S_SELECT_SET, &at, NULL, &one, NULL);
  else rc = H5Sselect_all(space);
  if (rc >= 0) rc = H5Dread(array, type, memory, space, H5P_DEFAULT, &text);
  drop(space);
  drop(memory);
  return rc >= 0 ? text : NULL;
}

lurn_status lurn_hdf5_measure_text (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array, hid_t type,
                                    lurn_h5_info *info) {
  int64_t n = lurn_hdf5_count_of(info);
  if (info->rank > 1 || n > MOST_TEXTS)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected a list of texts", f->path, name);
  info->width = (int64_t)H5Tget_size(type);
  if (H5Tis_variable_str(type) > 0) {
    info->width = 1;
    for (int64_t i = 0; i < n; i++) {
      char *text = read_varying(array, type, info, i);
      int64_t size = text ? (int64_t)strlen(text) : 0;
      if (size > info->width) info->width = size;
      if (text) H5free_memory(text);
    }
  }
  if (n > 0 && info->width > MOST_TEXT_BYTES / n)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: absurd size, %lld texts of %lld bytes", f->path, name,
                     (long long)n, (long long)info->width);
  return LURN_OK;
}

lurn_status lurn_hdf5_write_text (lurn_ctx *ctx, lurn_h5 *f, const char *name, int64_t n,
                                  const char *text, size_t width) {
  hsize_t dim = n < 0 ? 1 : (hsize_t)n;
  lurn_status status = lurn_hdf5_check_writing(ctx, f, name);
  if (status != LURN_OK) return status;
  hushed h = hush();
  hid_t type = lurn_hdf5_text_type(width, H5T_CSET_UTF8), plan = H5Pcreate(H5P_DATASET_CREATE);
  hid_t space = n < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dim, NULL);
  status = lurn_hdf5_make_array(ctx, f, name, type, space, plan, type, width > 0 ? text : "");
  drop(space);
  drop(plan);
  drop(type);
  return unhush(h, status);
}

static lurn_status read_list (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array, hid_t type,
                              const lurn_h5_info *info, char *text) {
  int64_t n = lurn_hdf5_count_of(info);
  if (H5Tis_variable_str(type) <= 0) {
    hid_t memory = lurn_hdf5_text_type((size_t)info->width, H5Tget_cset(type));
    herr_t rc = n > 0 ? H5Dread(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) : 0;
    drop(memory);
    return rc < 0 ? lurn_hdf5_cannot_read(ctx, f, name) : LURN_OK;
  }
  memset(text, 0, (size_t)(n * info->width));
  for (int64_t i = 0; i < n; i++) {
    char *one = read_varying(array, type, info, i);
    size_t size = one ? strlen(one) : 0;
    if (size > (size_t)info->width) size = (size_t)info->width;
    if (size > 0) memcpy(text + i * info->width, one, size);
    if (one) H5free_memory(one);
  }
  return LURN_OK;
}

lurn_status lurn_hdf5_read_text (lurn_ctx *ctx, lurn_h5 *f, const char *name,
                                 const lurn_h5_info *info, char *text) {
  hushed h = hush();
  hid_t array;
  lurn_status status = lurn_hdf5_open_as(ctx, f, name, H5I_DATASET, &array);
  if (status == LURN_OK) {
    hid_t type = H5Dget_type(array);
    if (lurn_hdf5_type_of(type) != LURN_H5_TEXT)
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected texts, got numbers", f->path, name);
    else status = read_list(ctx, f, name, array, type, info, text);
    drop(type);
  }
  drop(array);
  return unhush(h, status);
}
