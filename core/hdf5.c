/* hdf5.c: documents in HDF5. It and the driver that writes them, h5_disk.c, are the only includers of hdf5.h.
 *
 * Every public function hushes HDF5's own printing on entry and restores it on the way out; the
 * reason of a failure is read from its error stack in between. Identifiers live no longer than
 * the function that made them, except the file's, which closes whatever is left (CLOSE_STRONG).
 */
#include "h5.h"

#include <hdf5.h>
#include <stdio.h>
#include <string.h>

#include "h5_disk.h"
#include "sys.h"

#define MOST_NUMBERS ((int64_t)1 << 46)
#define MOST_CHUNK ((int64_t)1 << 30)
#define MOST_TEXTS ((int64_t)1 << 24)
#define MOST_TEXT_BYTES ((int64_t)1 << 30)
#define MOST_DEFLATED 1100      /* deflate cannot shrink further than 1032 to 1 */

static int is_number (lurn_h5_type type) { return type != LURN_H5_NONE && type != LURN_H5_TEXT; }
                      static int is_real (lurn_h5_type type) { return type == LURN_H5_F32 || type == LURN_H5_F64; }
                      
                      static hid_t native (lurn_h5_type type) {
  switch (type) {
    case LURN_H5_F32: return H5T_NATIVE_FLOAT;
    case LURN_H5_F64: return H5T_NATIVE_DOUBLE;
    case LURN_H5_I32: return H5T_NATIVE_INT32;
    case LURN_H5_I64: return H5T_NATIVE_INT64;
    case LURN_H5_U8:  return H5T_NATIVE_UINT8;
    default:          return -1;
  }
}

/* ------------------------------------------------------------------ errors */

typedef struct hushed { H5E_auto2_t print; void *data; } hushed;

/* HDF5's own tidying up at exit trips, with a message, over files it could not open; every
 * document is closed by its owner, so it has nothing to do. It must be told before it starts. */
static hushed hush (void) {
  hushed h = {NULL, NULL};
  H5dont_atexit();
  H5Eget_auto2(H5E_DEFAULT, &h.print, &h.data);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5Eclear2(H5E_DEFAULT);
  return h;
}

static lurn_status unhush (hushed h, lurn_status status) {
  H5Eclear2(H5E_DEFAULT);
  H5Eset_auto2(H5E_DEFAULT, h.print, h.data);
  return status;
}

/* Most calls of HDF5 begin by emptying the error stack; the reason of a failure must outlive the
 * tidying up after it. */
static void drop (hid_t id) {
  if (id < 0) return;
  hid_t kept = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : -1;
  H5Idec_ref(id);
  if (kept >= 0) H5Eset_current_stack(kept);
}

/* The innermost entry of the stack is the reason, the others say who asked. */
static herr_t keep_first (unsigned n, const H5E_error2_t *error, void *ud) {
  if (n == 0 && error->desc) snprintf(ud, 400, "%s", error->desc);
  return 0;
}

/* What HDF5 says, and what it means to the person whose file it is. */
static const struct { const char *says; lurn_status status; const char *means; int quote; } REASONS[] = {
  {"signature not found", LURN_EFORMAT, "not an HDF5 file", 0},
  {"truncated file",      LURN_EFORMAT, "", 1},
  {"addr overflow",       LURN_EFORMAT, "truncated: ", 1},
  {"unable to lock",      LURN_EIO, "in use by another process, or on a file system without locks "
                                    "(HDF5_USE_FILE_LOCKING=FALSE opens it)", 0},
};

/* Fails with the reason on the stack; `doing` and `usual` tell what it is when the stack is no help. */
static lurn_status fail_as (lurn_ctx *ctx, const lurn_h5 *f, const char *name, lurn_status usual, const char *doing) {
  char why[400] = "no reason given";
  const char *colon = name ? ": " : "", *part = name ? name : "";
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, why);
  char *os = strstr(why, "error message = '");
  if (os != NULL && strstr(why, "unable to lock") == NULL) {
    os += strlen("error message = '");
    os[strcspn(os, "'")] = '\0';
    return lurn_fail(ctx, LURN_EIO, "%s%s%s: cannot %s: %s", f->path, colon, part, doing, os);
  }
  for (size_t i = 0; i < sizeof REASONS / sizeof REASONS[0]; i++)
    if (strstr(why, REASONS[i].says))
      return lurn_fail(ctx, REASONS[i].status, "%s%s%s: %s%s", f->path, colon, part, REASONS[i].means,
                       REASONS[i].quote ? why : "");
  return lurn_fail(ctx, usual, "%s%s%s: cannot %s: %s", f->path, colon, part, doing, why);
}

static lurn_status cannot_read (lurn_ctx *ctx, const lurn_h5 *f, const char *name) {
  return fail_as(ctx, f, name, LURN_EFORMAT, "read");
}

/* The system's reason goes before HDF5's, which cannot know it. */
static lurn_status cannot_write (lurn_ctx *ctx, const lurn_h5 *f, const char *name) {
  if (f->error == 0) return fail_as(ctx, f, name, LURN_EINVAL, "write");
  return lurn_fail(ctx, LURN_EIO, "%s: cannot write: %s", f->path, lurn_sys_error(f->error));
}

/* ------------------------------------------------------------------ documents */

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
  hid_t access = file_access(), plan = H5Pcreate(H5P_FILE_CREATE), driver = lurn_h5_disk(), file = -1;
  H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
  H5Pset_obj_track_times(plan, 0);
  if (driver >= 0 && H5Pset_driver(access, driver, &f) >= 0)
    file = H5Fcreate(f->temp, H5F_ACC_TRUNC, plan, access);
  drop(plan);
  drop(access);
  drop(driver);
  return file;
}

/* Ends the writing, one way or the other. Closing cannot fail for want of room: see h5_disk.c. */
static lurn_status finish (lurn_ctx *ctx, lurn_h5 *f, int keep) {
  lurn_ctx nobody;              /* takes the message that nobody reads */
  if (!keep && f->error == 0) f->error = -1;
  if (f->file != 0 && H5Fclose(f->file) < 0 && f->error == 0) f->error = -1;
  int bad = lurn_sys_close(f->fd, keep && f->error == 0);
  if (f->error == 0) f->error = bad;
  lurn_status status = f->error != 0 ? cannot_write(ctx, f, NULL) : lurn_sys_replace(ctx, f->temp, f->path);
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
    status = cannot_write(ctx, f, NULL);
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
  if (file < 0) return unhush(h, fail_as(ctx, f, NULL, LURN_EFORMAT, "open"));
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

/* ------------------------------------------------------------------ names */

static int is_root (const char *name) { return strcmp(name, "/") == 0; }
                    
                    /* Follows the name part by part: HDF5 itself would go through links into other files. */
                    static lurn_status find (lurn_ctx *ctx, lurn_h5 *f, const char *name) {
  char part[LURN_H5_NAME];
  size_t n = strlen(name);
  int depth = 0;
  if (f->file == 0) return lurn_fail(ctx, LURN_EINVAL, "%s: the document is closed", f->path);
  if (n == 0 || n >= sizeof part) return lurn_fail(ctx, LURN_EINVAL, "%s: a name of %zu bytes", f->path, n);
  if (is_root(name)) return LURN_OK;
  for (size_t i = 1; i <= n; i++) {
    H5L_info_t link;
    if (name[i] != '/' && name[i] != '\0') continue;
    memcpy(part, name, i);
    part[i] = '\0';
    if (++depth > LURN_H5_DEPTH) return lurn_fail(ctx, LURN_EINVAL, "%s: %s: too deep a name", f->path, name);
    if (H5Lexists(f->file, part, H5P_DEFAULT) <= 0)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: missing", f->path, part);
    if (H5Lget_info(f->file, part, &link, H5P_DEFAULT) < 0) return cannot_read(ctx, f, part);
    if (link.type != H5L_TYPE_HARD)
      return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: a link to elsewhere, expected the thing itself", f->path, part);
  }
  return LURN_OK;
}

/* kind: H5I_DATASET, H5I_GROUP, or H5I_BADID for either. */
static lurn_status open_as (lurn_ctx *ctx, lurn_h5 *f, const char *name, H5I_type_t kind, hid_t *id) {
  *id = -1;
  lurn_status status = find(ctx, f, name);
  if (status != LURN_OK) return status;
  *id = H5Oopen(f->file, name, H5P_DEFAULT);
  if (*id < 0) return cannot_read(ctx, f, name);
  H5I_type_t is = H5Iget_type(*id);
  if ((is == H5I_DATASET || is == H5I_GROUP) && (kind == H5I_BADID || is == kind)) return LURN_OK;
  drop(*id);
  *id = -1;
  return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected %s", f->path, name,
                   kind == H5I_GROUP ? "a group" : kind == H5I_DATASET ? "an array" : "an array or a group");
}

static const char *library (char *text, size_t size) {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  snprintf(text, size, "%u.%u.%u", major, minor, release);
  return text;
}

static int exists (lurn_h5 *f, const char *name) {
  lurn_ctx nobody;
  hushed h = hush();
  return unhush(h, find(&nobody, f, name)) == LURN_OK;
}

/* ------------------------------------------------------------------ what an array is */

static lurn_h5_type type_of (hid_t type) {
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

static lurn_status shape_of (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t space, lurn_h5_info *info) {
  hsize_t dim[H5S_MAX_RANK];
  int64_t count = 1;
  int rank = H5Sget_simple_extent_ndims(space);
  if (rank > LURN_MAX_RANK)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: %d dimensions, at most %d are read", f->path, name, rank, LURN_MAX_RANK);
  if (rank < 0 || H5Sget_simple_extent_dims(space, dim, NULL) < 0) return cannot_read(ctx, f, name);
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

static int64_t count_of (const lurn_h5_info *info) {
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
  if (plan < 0) return cannot_read(ctx, f, name);
  int elsewhere = H5Pget_layout(plan) == H5D_VIRTUAL || H5Pget_external_count(plan) > 0;
  int64_t room = elsewhere ? 0 : room_for(f, array, plan);
  drop(plan);
  if (elsewhere) return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: its numbers are in other files", f->path, name);
  if (bytes > room)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: %s: claims %lld bytes, the file has %lld for it", f->path, name,
                     (long long)bytes, (long long)room);
  return LURN_OK;
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

static lurn_status measure_text (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array, hid_t type,
                                 lurn_h5_info *info) {
  int64_t n = count_of(info);
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

static lurn_status look_at (lurn_ctx *ctx, lurn_h5 *f, const char *name, hid_t array, lurn_h5_info *info) {
  hid_t type = H5Dget_type(array), space = H5Dget_space(array);
  lurn_status status = type < 0 || space < 0 ? cannot_read(ctx, f, name) : shape_of(ctx, f, name, space, info);
  if (status == LURN_OK) {
    info->type = type_of(type);
    if (info->type == LURN_H5_NONE || H5Tget_size(type) == 0)
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: neither numbers nor texts", f->path, name);
  }
  int64_t n = status == LURN_OK ? count_of(info) : 0;
  if (n > 0 && !f->writing) {
    int64_t each = (int64_t)H5Tget_size(type);
    int64_t bytes = each > INT64_MAX / n ? INT64_MAX : n * each;
    status = check_storage(ctx, f, name, array, bytes);
  }
  if (status == LURN_OK && info->type == LURN_H5_TEXT) status = measure_text(ctx, f, name, array, type, info);
  drop(type);
  drop(space);
  return status;
}

static lurn_status look (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_info *info) {
  hushed h = hush();
  hid_t id;
  memset(info, 0, sizeof *info);
  lurn_status status = open_as(ctx, f, name, H5I_BADID, &id);
  if (status == LURN_OK && H5Iget_type(id) == H5I_DATASET) status = look_at(ctx, f, name, id, info);
  drop(id);
  return unhush(h, status);
}

/* ------------------------------------------------------------------ numbers */

/* The rows first .. first+count-1 of an array: a selection in the file and its like in memory. */
static lurn_status select_rows (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array,
                                int64_t first, int64_t count, hid_t *in_file, hid_t *in_memory) {
  hsize_t start[LURN_MAX_RANK] = {0}, dim[LURN_MAX_RANK];
  lurn_h5_info info;
  memset(&info, 0, sizeof info);
  *in_memory = -1;
  *in_file = H5Dget_space(array);
  lurn_status status = *in_file < 0 ? cannot_read(ctx, f, name) : shape_of(ctx, f, name, *in_file, &info);
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
    return cannot_read(ctx, f, name);
  return LURN_OK;
}

static lurn_status read_rows (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory,
                              int64_t first, int64_t count, void *data) {
  hushed h = hush();
  hid_t array, in_file = -1, in_memory = -1;
  lurn_status status = open_as(ctx, f, name, H5I_DATASET, &array);
  if (status == LURN_OK) {
    hid_t type = H5Dget_type(array);
    lurn_h5_type is = type_of(type);
    drop(type);
    if (!is_number(is) || (is_real(is) && !is_real(memory)))
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected %s, got %s", f->path, name,
                         is_real(memory) ? "numbers" : "integers", is == LURN_H5_NONE ? "something else" : lurn_h5_type_name(is));
  }
  if (status == LURN_OK) status = select_rows(ctx, f, name, array, first, count, &in_file, &in_memory);
  if (status == LURN_OK && count > 0 && H5Dread(array, native(memory), in_memory, in_file, H5P_DEFAULT, data) < 0)
    status = cannot_read(ctx, f, name);
  drop(in_file);
  drop(in_memory);
  drop(array);
  return unhush(h, status);
}

/* HDF5 would make the groups on the way itself, but put the time into them. */
static void make_groups (lurn_h5 *f, const char *name) {
  char path[LURN_H5_NAME];
  hid_t plan = H5Pcreate(H5P_GROUP_CREATE);
  H5Pset_obj_track_times(plan, 0);
  for (const char *slash = strchr(name + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
    snprintf(path, sizeof path, "%.*s", (int)(slash - name), name);
    if (H5Lexists(f->file, path, H5P_DEFAULT) == 0) drop(H5Gcreate2(f->file, path, H5P_DEFAULT, plan, H5P_DEFAULT));
  }
  drop(plan);
}

/* Creation times are left out everywhere so that equal contents are equal bytes. */
static hid_t create_array (lurn_h5 *f, const char *name, hid_t type, hid_t space, hid_t plan) {
  H5Pset_obj_track_times(plan, 0);
  H5Pset_fill_time(plan, H5D_FILL_TIME_NEVER);
  make_groups(f, name);
  return H5Dcreate2(f->file, name, type, space, H5P_DEFAULT, plan, H5P_DEFAULT);
}

static lurn_status check_writing (lurn_ctx *ctx, const lurn_h5 *f, const char *name) {
  if (f->file == 0 || !f->writing) return lurn_fail(ctx, LURN_EINVAL, "%s: not open for writing", f->path);
  if (f->error != 0) return cannot_write(ctx, f, name);
  size_t n = strlen(name);
  if (n == 0 || n >= LURN_H5_NAME) return lurn_fail(ctx, LURN_EINVAL, "%s: a name of %zu bytes", f->path, n);
  return LURN_OK;
}

/* What is there already goes in while the array is open: opening one again takes as long as making it. */
static lurn_status define (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info,
                           int64_t chunk, int deflate, lurn_h5_type memory, const void *data) {
  hsize_t dim[LURN_MAX_RANK + 1], most[LURN_MAX_RANK + 1], piece[LURN_MAX_RANK + 1];
  lurn_status status = check_writing(ctx, f, name);
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
  hid_t array = create_array(f, name, native(info->type), space, plan);
  if (array >= 0 && data && H5Sget_simple_extent_npoints(space) > 0
      && H5Dwrite(array, native(memory), H5S_ALL, H5S_ALL, H5P_DEFAULT, data) < 0) status = cannot_write(ctx, f, name);
  if (array < 0 || f->error != 0) status = cannot_write(ctx, f, name);
  drop(array);
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
  return H5Dset_extent(array, dim) < 0 ? cannot_write(ctx, f, name) : LURN_OK;
}

static lurn_status put_rows (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory,
                             int64_t first, int64_t count, const void *data) {
  lurn_status status = check_writing(ctx, f, name);
  if (status != LURN_OK) return status;
  hushed h = hush();
  hid_t array, in_file = -1, in_memory = -1;
  status = open_as(ctx, f, name, H5I_DATASET, &array);
  if (status == LURN_OK) status = grow(ctx, f, name, array, first + count);
  if (status == LURN_OK) status = select_rows(ctx, f, name, array, first, count, &in_file, &in_memory);
  if (status == LURN_OK && count > 0 && H5Dwrite(array, native(memory), in_memory, in_file, H5P_DEFAULT, data) < 0)
    status = cannot_write(ctx, f, name);
  if (status == LURN_OK && f->error != 0) status = cannot_write(ctx, f, name);
  drop(in_file);
  drop(in_memory);
  drop(array);
  return unhush(h, status);
}

/* ------------------------------------------------------------------ texts */

static hid_t text_type (size_t width, H5T_cset_t letters) {
  hid_t type = H5Tcopy(H5T_C_S1);
  H5Tset_size(type, width > 0 ? width : 1);
  H5Tset_strpad(type, H5T_STR_NULLPAD);
  H5Tset_cset(type, letters);
  return type;
}

static lurn_status write_text (lurn_ctx *ctx, lurn_h5 *f, const char *name, int64_t n,
                               const char *text, size_t width) {
  hsize_t dim = n < 0 ? 1 : (hsize_t)n;
  lurn_status status = check_writing(ctx, f, name);
  if (status != LURN_OK) return status;
  hushed h = hush();
  hid_t type = text_type(width, H5T_CSET_UTF8), plan = H5Pcreate(H5P_DATASET_CREATE);
  hid_t space = n < 0 ? H5Screate(H5S_SCALAR) : H5Screate_simple(1, &dim, NULL);
  hid_t array = create_array(f, name, type, space, plan);
  if (array < 0) status = cannot_write(ctx, f, name);
  else if (dim > 0 && H5Dwrite(array, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, width > 0 ? text : "") < 0)
    status = cannot_write(ctx, f, name);
  drop(array);
  drop(space);
  drop(plan);
  drop(type);
  return unhush(h, status);
}

static lurn_status read_list (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array, hid_t type,
                              const lurn_h5_info *info, char *text) {
  int64_t n = count_of(info);
  if (H5Tis_variable_str(type) <= 0) {
    hid_t memory = text_type((size_t)info->width, H5Tget_cset(type));
    herr_t rc = n > 0 ? H5Dread(array, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) : 0;
    drop(memory);
    return rc < 0 ? cannot_read(ctx, f, name) : LURN_OK;
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

static lurn_status read_text (lurn_ctx *ctx, lurn_h5 *f, const char *name,
                              const lurn_h5_info *info, char *text) {
  hushed h = hush();
  hid_t array;
  lurn_status status = open_as(ctx, f, name, H5I_DATASET, &array);
  if (status == LURN_OK) {
    hid_t type = H5Dget_type(array);
    if (type_of(type) != LURN_H5_TEXT)
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: expected texts, got numbers", f->path, name);
    else status = read_list(ctx, f, name, array, type, info, text);
    drop(type);
  }
  drop(array);
  return unhush(h, status);
}

/* ------------------------------------------------------------------ groups and attributes */

static lurn_status child (lurn_ctx *ctx, lurn_h5 *f, const char *group, int64_t i, char name[LURN_H5_NAME]) {
  hushed h = hush();
  hid_t id;
  H5G_info_t info;
  name[0] = '\0';
  lurn_status status = open_as(ctx, f, group, H5I_GROUP, &id);
  if (status == LURN_OK && H5Gget_info(id, &info) < 0) status = cannot_read(ctx, f, group);
  if (status == LURN_OK && (hsize_t)i < info.nlinks) {
    ssize_t n = H5Lget_name_by_idx(id, ".", H5_INDEX_NAME, H5_ITER_NATIVE, (hsize_t)i, name, LURN_H5_NAME, H5P_DEFAULT);
    if (n < 0) status = cannot_read(ctx, f, group);
    else if (n >= LURN_H5_NAME)
      status = lurn_fail(ctx, LURN_EFORMAT, "%s: %s: a name of %lld bytes", f->path, group, (long long)n);
  }
  drop(id);
  return unhush(h, status);
}

/* The end is where HDF5 has no more: its count of attributes has another name in every version. */
static lurn_status attr_name (lurn_ctx *ctx, lurn_h5 *f, const char *object, int64_t i, char name[LURN_H5_NAME]) {
  hushed h = hush();
  hid_t id;
  name[0] = '\0';
  lurn_status status = open_as(ctx, f, object, H5I_BADID, &id);
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
  hid_t type = is_text ? text_type(value->size, H5T_CSET_UTF8) : H5Tcopy(native(value->type));
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

static lurn_status attr_set (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                             const lurn_h5_value *value) {
  lurn_status status = check_writing(ctx, f, object);
  if (status != LURN_OK) return status;
  hushed h = hush();
  hid_t id;
  status = open_as(ctx, f, object, H5I_BADID, &id);
  if (status == LURN_OK && H5Aexists(id, key) > 0) H5Adelete(id, key);
  if (status == LURN_OK && put_value(id, key, value) < 0) status = cannot_write(ctx, f, object);
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
    hid_t memory = text_type(value->size, H5Tget_cset(type));
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
  lurn_h5_type is = type_of(type);
  herr_t rc = 0;
  lurn_status status = LURN_OK;
  if (!single || is == LURN_H5_NONE || (int64_t)H5Tget_size(type) > f->size + LURN_H5_PATH)
    status = lurn_fail(ctx, LURN_EFORMAT, "%s: attribute %s: expected one number or one text", f->path, key);
  else if (is == LURN_H5_TEXT) rc = get_text(attr, type, value, text, room);
  else if (is_real(is)) rc = H5Aread(attr, H5T_NATIVE_DOUBLE, &value->d);
  else rc = H5Aread(attr, H5T_NATIVE_INT64, &value->i);
  if (status == LURN_OK) value->type = is == LURN_H5_TEXT ? is : is_real(is) ? LURN_H5_F64 : LURN_H5_I64;
  if (rc < 0) status = cannot_read(ctx, f, key);
  drop(type);
  drop(space);
  return status;
}

static lurn_status get_attr (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                             lurn_h5_value *value, char *text, size_t room) {
  hushed h = hush();
  hid_t id, attr = -1;
  memset(value, 0, sizeof *value);
  lurn_status status = open_as(ctx, f, object, H5I_BADID, &id);
  if (status == LURN_OK && H5Aexists(id, key) > 0) {
    attr = H5Aopen(id, key, H5P_DEFAULT);
    status = attr < 0 ? cannot_read(ctx, f, key) : get_value(ctx, f, key, attr, value, text, room);
  }
  drop(attr);
  drop(id);
  return unhush(h, status);
}

const lurn_h5_driver lurn_hdf5 = {
  library, create, commit, abandon, define, put_rows, write_text, attr_set, open_file, close_file, exists,
  look, read_rows, read_text, child, attr_name, get_attr
};
