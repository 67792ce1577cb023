/* hdf5_parts.h: what the files behind the driver lurn_hdf5 share, file by file; the only includer of hdf5.h.
 *
 * Every function of the driver hushes HDF5's own printing on entry and restores it on the way out; the
 * reason of a failure is read from its error stack in between. Identifiers live no longer than
 * the function that made them, except the file's, which closes whatever is left (CLOSE_STRONG).
 */
#ifndef LURN_HDF5_PARTS_H
#define LURN_HDF5_PARTS_H

#include <hdf5.h>

#include "h5.h"

typedef struct hushed { H5E_auto2_t print; void *data; } hushed;

/* HDF5's own tidying up at exit trips, with a message, over files it could not open; every
 * document is closed by its owner, so it has nothing to do. It must be told before it starts. */
static inline hushed hush (void) {
  hushed h = {NULL, NULL};
  H5dont_atexit();
  H5Eget_auto2(H5E_DEFAULT, &h.print, &h.data);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  H5Eclear2(H5E_DEFAULT);
  return h;
}

static inline lurn_status unhush (hushed h, lurn_status status) {
  H5Eclear2(H5E_DEFAULT);
  H5Eset_auto2(H5E_DEFAULT, h.print, h.data);
  return status;
}

/* Most calls of HDF5 begin by emptying the error stack; the reason of a failure must outlive the
 * tidying up after it. */
static inline void drop (hid_t id) {
  if (id < 0) return;
  hid_t kept = H5Eget_num(H5E_DEFAULT) > 0 ? H5Eget_current_stack() : -1;
  H5Idec_ref(id);
  if (kept >= 0) H5Eset_current_stack(kept);
}

static inline int is_real (lurn_h5_type type) { return type == LURN_H5_F32 || type == LURN_H5_F64; }

/* From hdf5_disk.c: registers the driver through which HDF5 writes a document: its identifier, which the caller drops,
 * or a negative number. Its information in a file access list is a pointer to the lurn_h5 that is written. */
hid_t lurn_hdf5_disk (void);

/* From hdf5_error.c. They fail with the reason on the error stack. name: of the object, or NULL. */
/* "cannot `doing`", of status `usual` when the stack is no help. */
lurn_status lurn_hdf5_fail_as (lurn_ctx *ctx, const lurn_h5 *f, const char *name, lurn_status usual,
                               const char *doing);
lurn_status lurn_hdf5_cannot_read (lurn_ctx *ctx, const lurn_h5 *f, const char *name);
lurn_status lurn_hdf5_cannot_write (lurn_ctx *ctx, const lurn_h5 *f, const char *name);

/* From hdf5_name.c: */
/* Is the document open for writing, nothing has failed so far, and can `name` be written to? */
lurn_status lurn_hdf5_check_writing (lurn_ctx *ctx, const lurn_h5 *f, const char *name);
/* kind: H5I_DATASET, H5I_GROUP, or H5I_BADID for either. The caller drops *id, which is negative after a failure. */
lurn_status lurn_hdf5_open_as (lurn_ctx *ctx, lurn_h5 *f, const char *name, H5I_type_t kind, hid_t *id);
void lurn_hdf5_make_groups (lurn_h5 *f, const char *name);     /* those on the way to `name` */

/* From hdf5_info.c: */
hid_t lurn_hdf5_native (lurn_h5_type type);                    /* of numbers, as they are in memory */
lurn_h5_type lurn_hdf5_type_of (hid_t type);                   /* NONE: neither numbers nor texts */
/* Rank and dimensions of a space into info. Their product is small enough to count with. */
lurn_status lurn_hdf5_shape_of (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t space, lurn_h5_info *info);
int64_t lurn_hdf5_count_of (const lurn_h5_info *info);

/* From hdf5_array.c: makes an array and, unless data is NULL, fills it; of type `type`, in memory `memory`. */
lurn_status lurn_hdf5_make_array (lurn_ctx *ctx, lurn_h5 *f, const char *name, hid_t type, hid_t space, hid_t plan,
                                  hid_t memory, const void *data);

/* From hdf5_text.c: */
hid_t lurn_hdf5_text_type (size_t width, H5T_cset_t letters);  /* padded with zeros */
/* The width of an array of texts of that type into info, whose shape is known. */
lurn_status lurn_hdf5_measure_text (lurn_ctx *ctx, const lurn_h5 *f, const char *name, hid_t array, hid_t type,
                                    lurn_h5_info *info);

/* The functions of lurn_h5_driver (h5.h), each in the file of its noun. */
lurn_status lurn_hdf5_define (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info, int64_t chunk,
                              int deflate, lurn_h5_type memory, const void *data);
lurn_status lurn_hdf5_put (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory, int64_t first,
                           int64_t count, const void *data);
lurn_status lurn_hdf5_write_text (lurn_ctx *ctx, lurn_h5 *f, const char *name, int64_t n, const char *text,
                                  size_t width);
lurn_status lurn_hdf5_attr_set (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                                const lurn_h5_value *value);
int lurn_hdf5_exists (lurn_h5 *f, const char *name);
lurn_status lurn_hdf5_look (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_info *info);
lurn_status lurn_hdf5_read (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory, int64_t first,
                            int64_t count, void *data);
lurn_status lurn_hdf5_read_text (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info, char *text);
lurn_status lurn_hdf5_child (lurn_ctx *ctx, lurn_h5 *f, const char *group, int64_t i, char name[LURN_H5_NAME]);
lurn_status lurn_hdf5_attr_name (lurn_ctx *ctx, lurn_h5 *f, const char *object, int64_t i, char name[LURN_H5_NAME]);
lurn_status lurn_hdf5_attr (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key, lurn_h5_value *value,
                            char *text, size_t room);

#endif
