/* hdf5_name.c: names: the objects they stand for, and the groups on the way to them. */
#include "hdf5_parts.h"

#include <stdio.h>
#include <string.h>

static lurn_status check_name (lurn_ctx *ctx, const lurn_h5 *f, const char *name) {
  size_t n = strlen(name);
  return n > 0 && n < LURN_H5_NAME ? LURN_OK : lurn_fail(ctx, LURN_EINVAL, "%s: a name of %zu bytes", f->path, n);
}

/* Follows the name part by part: HDF5 itself would go through links into other files. */
static lurn_status find (lurn_ctx *ctx, lurn_h5 *f, const char *name) {
  char part[LURN_H5_NAME];
  size_t n = strlen(name);
  int depth = 0;
  if (f->file == 0) return lurn_fail(ctx, LURN_EINVAL, "%s: the document is closed", f->path);
  lurn_status status = check_name(ctx, f, name);
  if (status != LURN_OK || strcmp(name, "/") == 0) return status;
  for (size_t i = 1; i <= n; i++) {
    H5L_info_t link;
    if (name[i] != '/' && name[i] != '\0') continue;
    memcpy(part, name, i);
    part[i] = '\0';
    if (++depth > LURN_H5_DEPTH) return lurn_fail(ctx, LURN_EINVAL, "%s: %s: too deep a name", f->path, name);
    if (H5Lexists(f->file, part, H5P_DEFAULT) <= 0)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: missing", f->path, part);
    if (H5Lget_info(f->file, part, &link, H5P_DEFAULT) < 0) return lurn_hdf5_cannot_read(ctx, f, part);
    if (link.type != H5L_TYPE_HARD)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: a link to elsewhere, expected the thing itself", f->path, part);
  }
  return LURN_OK;
}

lurn_status lurn_hdf5_open_as (lurn_ctx *ctx, lurn_h5 *f, const char *name, H5I_type_t kind, hid_t *id) {
  *id = -1;
  lurn_status status = find(ctx, f, name);
  if (status != LURN_OK) return status;
  *id = H5Oopen(f->file, name, H5P_DEFAULT);
  if (*id < 0) return lurn_hdf5_cannot_read(ctx, f, name);
  H5I_type_t is = H5Iget_type(*id);
  if ((is == H5I_DATASET || is == H5I_GROUP) && (kind == H5I_BADID || is == kind)) return LURN_OK;
  drop(*id);
  *id = -1;
  return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected %s", f->path, name,
                   kind == H5I_GROUP ? "a group" : kind == H5I_DATASET ? "an array" : "an array or a group");
}

int lurn_hdf5_exists (lurn_h5 *f, const char *name) {
  lurn_ctx nobody;
  hushed h = hush();
  return unhush(h, find(&nobody, f, name)) == LURN_OK;
}

lurn_status lurn_hdf5_check_writing (lurn_ctx *ctx, const lurn_h5 *f, const char *name) {
  if (f->file == 0 || !f->writing) return lurn_fail(ctx, LURN_EINVAL, "%s: not open for writing", f->path);
  if (f->error != 0) return lurn_hdf5_cannot_write(ctx, f, name);
  return check_name(ctx, f, name);
}

/* HDF5 would make the groups on the way itself, but put the time into them. */
void lurn_hdf5_make_groups (lurn_h5 *f, const char *name) {
  char path[LURN_H5_NAME];
  hid_t plan = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(plan, 0);
  for (const char *slash = strchr(name + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
    if (H5Lexists(f->file, path, H5P_DEFAULT) == 0) drop(H5Gcreate2(f->file, path, H5P_DEFAULT, plan, H5P_DEFAULT));
  }
  drop(plan);
}

lurn_status lurn_hdf5_child (lurn_ctx *ctx, lurn_h5 *f, const char *group, int64_t i, char name[LURN_H5_NAME]) {
  hushed h = hush();
  hid_t id;
  H5G_info_t info;
  name[0] = '\0';
  lurn_status status = lurn_hdf5_open_as(ctx, f, group, H5I_GROUP, &id);
  if (status == LURN_OK && H5Gget_info(id, &info) < 0) status = lurn_hdf5_cannot_read(ctx, f, group);
  if (status == LURN_OK && (hsize_t)i < info.nlinks) {
    ssize_t n = H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_NATIVE, (hsize_t)i, name, LURN_H5_NAME, H5P_DEFAULT);
    if (n < 0) status = lurn_hdf5_cannot_read(ctx, f, group);
    else if (n >= LURN_H5_NAME)
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: a name of %lld bytes", f->path, group, (long long)n);
  }
  drop(id);
  return unhush(h, status);
}
