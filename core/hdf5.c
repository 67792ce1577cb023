/* hdf5.c: documents in HDF5: made, committed, opened, closed; and the table of what the driver does. */
#include "hdf5_parts.h"

#include <stdio.h>
#include <string.h>

#include "sys.h"

static const char *library (char *text, size_t size) {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  snprintf(text, size, "%u.%u.%u", major, minor, release);
  return text;
}

static hid_t file_access (void) {
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  return access;
}

static lurn_status keep_path (lurn_ctx *ctx, lurn_h5 *f, const char *path) {
  memset(f, 0, sizeof *f);
  if (path[0] == '\0' || strlen(path) >= sizeof f->path)
    return lurn_fail(ctx, LURN_EINVAL, "a path of %zu bytes, expected 1 to %d", strlen(path), LURN_H5_PATH - 1);
  strcpy(f->path, path);
  return LURN_OK;
}

/* The driver stays registered for as long as the file is open. The format of HDF5 1.8 has checksums
 * in its structures: damage becomes a message, where the older format brings HDF5 down. */
static hid_t create_file (lurn_h5 *f) {
  hid_t access = file_access(), plan = H5Pcreate(H5P_FILE_CREATE), driver = lurn_hdf5_disk(), file = -1;
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
  H5Pset_obj_track_times(plan, 0);
  if (driver >= 0 && H5Pset_driver(access, driver, &f) >= 0)
    file = H5Fcreate(f->temp, H5F_ACC_TRUNC, plan, access);
  drop(plan);
  drop(access);
  drop(driver);
  return file;
}

/* Ends the writing, one way or the other. Closing cannot fail for want of room: see hdf5_disk.c. */
static lurn_status finish (lurn_ctx *ctx, lurn_h5 *f, int keep) {
  lurn_ctx nobody;              /* takes the message that nobody reads */
  if (!keep && f->error == 0) f->error = -1;
  if (f->file != 0 && H5Fclose(f->file) < 0 && f->error == 0) f->error = -1;
  int bad = lurn_sys_close(f->fd, keep && f->error == 0);
  if (f->error == 0) f->error = bad;
  lurn_status status = f->error != 0 ? lurn_hdf5_cannot_write(ctx, f, NULL) : lurn_sys_replace(ctx, f->temp, f->path);
  if (status != LURN_OK) lurn_sys_remove(&nobody, f->temp);
  f->file = 0;
  f->writing = 0;
  return status;
}

static void abandon (lurn_h5 *f) {
  lurn_ctx nobody;
  if (!f->writing) return;
  hushed h = hush();
  finish(&nobody, f, 0);
  unhush(h, LURN_OK);
}

static lurn_status create (lurn_ctx *ctx, lurn_h5 *f, const char *path) {
  int64_t size;
  lurn_status status = keep_path(ctx, f, path);
  if (status == LURN_OK && lurn_sys_exists(path)) status = lurn_sys_filesize(ctx, path, &size);
  if (status == LURN_OK) status = lurn_sys_create_temp(ctx, path, f->temp, sizeof f->temp, &f->fd);
  if (status != LURN_OK) return status;
  f->writing = 1;
  hushed h = hush();
  hid_t file = create_file(f);
  if (file >= 0) f->file = file;
  else {
    status = lurn_hdf5_cannot_write(ctx, f, NULL);
    abandon(f);
  }
  return unhush(h, status);
}

static lurn_status commit (lurn_ctx *ctx, lurn_h5 *f) {
  if (f->file == 0 || !f->writing) return lurn_fail(ctx, LURN_EINVAL, "%s: not open for writing", f->path);
  hushed h = hush();
  return unhush(h, finish(ctx, f, 1));
}

static lurn_status open_file (lurn_ctx *ctx, lurn_h5 *f, const char *path) {
  lurn_status status = keep_path(ctx, f, path);
  if (status == LURN_OK) status = lurn_sys_filesize(ctx, path, &f->size);
  if (status != LURN_OK) return status;
  hushed h = hush();
  hid_t access = file_access();
  hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
  drop(access);
  if (file < 0) return unhush(h, lurn_hdf5_fail_as(ctx, f, NULL, LURN_EFORMAT, "open"));
  f->file = file;
  return unhush(h, LURN_OK);
}

static void close_file (lurn_h5 *f) {
  abandon(f);
  if (f->file == 0) return;
  hushed h = hush();
  H5Fclose(f->file);
  f->file = 0;
  unhush(h, LURN_OK);
}

const lurn_h5_driver lurn_hdf5 = {
  library, create, commit, abandon, lurn_hdf5_define, lurn_hdf5_put, lurn_hdf5_write_text, lurn_hdf5_attr_set,
  open_file, close_file, lurn_hdf5_exists, lurn_hdf5_look, lurn_hdf5_read, lurn_hdf5_read_text, lurn_hdf5_child,
  lurn_hdf5_attr_name, lurn_hdf5_attr
};
