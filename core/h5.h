/* h5.h: documents: named arrays, texts and attributes in one HDF5 file.
 *
 * hdf5.c and its parts are all that know HDF5. Who opens documents puts &lurn_hdf5 into its context (ctx.h5), as who
 * does not need not load the library (bindings/driver.c). A document is written whole or not at all, and read with the
 * suspicion that a file from elsewhere deserves.
 *
 * Writing   lurn_h5_create makes a hidden temporary file beside `path` (".name.host.pid-k.tmp"); nothing
 *           shows under `path` until lurn_h5_commit has closed it, put it on disk and renamed it.
 *           lurn_h5_abort (or a failed commit) removes it; `path` keeps the old file, whole. After
 *           one failed write there is nothing left to commit: that fails with the same reason.
 * Reading   lurn_h5_open, then ask. Sizes in the file are compared with what the file really holds
 *           before anybody allocates by them. Only plain links inside the file are followed: data
 *           that lies in other files (external, virtual) is refused, so is a soft link.
 *           A group may contain itself: whoever walks a document stops at LURN_H5_DEPTH.
 *
 * Names are paths from the root, "/split/train" or "split/train"; "/" is the root, for attributes.
 * Groups on the way are made when a name is written. Arrays have up to LURN_MAX_RANK dimensions,
 * row-major; "rows" are the first dimension. A rank of 0 is one number. Numbers are converted
 * between memory and file; integers are read as reals when asked, reals as integers never.
 *
 * Texts are UTF-8, stored with a fixed width, padded with zeros (so zeros at the end of a text are lost);
 * texts of variable width, as h5py writes them, can be read.
 *
 * Every failure leaves one message, "path: what is wrong" or "path: /name: what is wrong":
 * EIO when the system said no, EFORMAT when the content is not what it should be.
 */
#ifndef LURN_H5_H
#define LURN_H5_H

#include "base.h"

#define LURN_H5_PATH 1024
#define LURN_H5_NAME 512        /* bytes in the whole name of an object */
#define LURN_H5_DEPTH 16        /* parts in a name */

typedef enum lurn_h5_type {
  LURN_H5_NONE, LURN_H5_F32, LURN_H5_F64, LURN_H5_I32, LURN_H5_I64, LURN_H5_U8, LURN_H5_TEXT
} lurn_h5_type;

#ifdef LURN_F64
#define LURN_H5_REAL LURN_H5_F64
#else
#define LURN_H5_REAL LURN_H5_F32
#endif

/* A handle. All zero is a closed document, on which close and abort are harmless. */
typedef struct lurn_h5 {
  const struct lurn_h5_driver *driver;            /* the one that opened it */
  int64_t file;                 /* HDF5's identifier; 0: closed */
  int writing;
  int64_t size;                 /* of the file, when reading */
  int fd, error;                /* when writing: the temporary file, and the first error number */
  char path[LURN_H5_PATH];
  char temp[LURN_H5_PATH + 128];
} lurn_h5;

/* What an array is. type NONE: a group. Integers that fit neither in 32 signed nor in 8 unsigned bits are I64. */
typedef struct lurn_h5_info {
  lurn_h5_type type;
  int rank;
  int64_t dim[LURN_MAX_RANK];
  int64_t width;                /* of texts: bytes of the longest */
} lurn_h5_info;

/* A single value, for attributes: I64, F64 or TEXT (size bytes at text, no terminator needed). */
typedef struct lurn_h5_value {
  lurn_h5_type type;            /* NONE: there is no such attribute */
  int64_t i;
  double d;
  const char *text;
  size_t size;
} lurn_h5_value;

const char *lurn_h5_type_name (lurn_h5_type type);            /* "f32", ..., "text", "group" */

/* ------------------------------------------------------------------ writing */

lurn_status lurn_h5_create (lurn_ctx *ctx, lurn_h5 *f, const char *path);
lurn_status lurn_h5_commit (lurn_ctx *ctx, lurn_h5 *f);       /* f is closed afterwards, come what may */
void lurn_h5_abort (lurn_h5 *f);

/* An array, its numbers to come. chunk > 0: stored in chunks of so many rows, which lets it grow
 * (dim[0] may be 0) and be compressed (deflate 1-9, 0 not). chunk 0: one piece, fixed. */
lurn_status lurn_h5_define (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info,
                            int64_t chunk, int deflate);
/* Rows first .. first+count-1 from numbers of type `memory`; a chunked array grows as needed. */
lurn_status lurn_h5_put (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory,
                         int64_t first, int64_t count, const void *data);
/* Both at once, for a whole array. */
lurn_status lurn_h5_write (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info,
                           int64_t chunk, int deflate, lurn_h5_type memory, const void *data);
/* n texts of `width` bytes each, padded with zeros, as a list; n < 0: a single text. */
lurn_status lurn_h5_write_text (lurn_ctx *ctx, lurn_h5 *f, const char *name, int64_t n,
                                const char *text, size_t width);
/* Sets or replaces an attribute of an object; object "/" always exists, others are made first. */
lurn_status lurn_h5_attr_set (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                              const lurn_h5_value *value);

/* ------------------------------------------------------------------ reading */

lurn_status lurn_h5_open (lurn_ctx *ctx, lurn_h5 *f, const char *path);
void lurn_h5_close (lurn_h5 *f);                              /* also what is being written: aborts */

int lurn_h5_exists (lurn_h5 *f, const char *name);
lurn_status lurn_h5_look (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_info *info);
/* Rows first .. first+count-1 (a rank of 0 counts as one row) into numbers of type `memory`. */
lurn_status lurn_h5_read (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory,
                          int64_t first, int64_t count, void *data);
/* All texts of an array into text, info->width bytes each, padded with zeros: as lurn_h5_look told. */
lurn_status lurn_h5_read_text (lurn_ctx *ctx, lurn_h5 *f, const char *name,
                               const lurn_h5_info *info, char *text);

/* The i-th name inside a group, in the order in which HDF5 keeps them (to sort them itself it needs a table, which
 * HDF5 1.10 frees unfilled when the group is damaged), or the i-th attribute of an object, in the order of names, into
 * name; an empty name is the end. */
lurn_status lurn_h5_child (lurn_ctx *ctx, lurn_h5 *f, const char *group, int64_t i,
                           char name[LURN_H5_NAME]);
lurn_status lurn_h5_attr_name (lurn_ctx *ctx, lurn_h5 *f, const char *object, int64_t i,
                               char name[LURN_H5_NAME]);
/* An attribute. A text goes into text when its size fits into room (no terminator is added), and
 * value->size tells its size either way: ask with room 0, make room, ask again. */
lurn_status lurn_h5_attr (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                          lurn_h5_value *value, char *text, size_t room);

/* ------------------------------------------------------------------ the library */

/* The functions above, as a library does them. */
typedef struct lurn_h5_driver {
  const char *(*library) (char *text, size_t size);           /* "1.10.8", the one that was loaded; returns text */
  lurn_status (*create) (lurn_ctx *ctx, lurn_h5 *f, const char *path);
  lurn_status (*commit) (lurn_ctx *ctx, lurn_h5 *f);
  void (*abort) (lurn_h5 *f);
  /* data NULL: the numbers are to come */
  lurn_status (*define) (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info, int64_t chunk,
                         int deflate, lurn_h5_type memory, const void *data);
  lurn_status (*put) (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory, int64_t first,
                      int64_t count, const void *data);
  lurn_status (*write_text) (lurn_ctx *ctx, lurn_h5 *f, const char *name, int64_t n, const char *text, size_t width);
  lurn_status (*attr_set) (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key,
                           const lurn_h5_value *value);
  lurn_status (*open) (lurn_ctx *ctx, lurn_h5 *f, const char *path);
  void (*close) (lurn_h5 *f);
  int (*exists) (lurn_h5 *f, const char *name);
  lurn_status (*look) (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_info *info);
  lurn_status (*read) (lurn_ctx *ctx, lurn_h5 *f, const char *name, lurn_h5_type memory, int64_t first,
                       int64_t count, void *data);
  lurn_status (*read_text) (lurn_ctx *ctx, lurn_h5 *f, const char *name, const lurn_h5_info *info, char *text);
  lurn_status (*child) (lurn_ctx *ctx, lurn_h5 *f, const char *group, int64_t i, char name[LURN_H5_NAME]);
  lurn_status (*attr_name) (lurn_ctx *ctx, lurn_h5 *f, const char *object, int64_t i, char name[LURN_H5_NAME]);
  lurn_status (*attr) (lurn_ctx *ctx, lurn_h5 *f, const char *object, const char *key, lurn_h5_value *value,
                       char *text, size_t room);
} lurn_h5_driver;

extern const lurn_h5_driver lurn_hdf5;

#endif
