/* hdf5_error.c: what HDF5 says went wrong, in words that help. */
#include "hdf5_parts.h"

#include <stdio.h>
#include <string.h>

#include "sys.h"

#define WHY 400                 /* bytes of a reason */

/* The innermost entry of the stack is the reason, the others say who asked. */
static herr_t keep_first (unsigned n, const H5E_error2_t *error, void *ud) {
  if (n == 0 && error->desc) snprintf(ud, WHY, "%s", error->desc);
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

lurn_status lurn_hdf5_fail_as (lurn_ctx *ctx, const lurn_h5 *f, const char *name, lurn_status usual,
                               const char *doing) {
  char why[WHY] = "no reason given";
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

lurn_status lurn_hdf5_cannot_read (lurn_ctx *ctx, const lurn_h5 *f, const char *name) {
  return lurn_hdf5_fail_as(ctx, f, name, LURN_EFORMAT, "read");
}

/* The system's reason goes before HDF5's, which cannot know it. */
lurn_status lurn_hdf5_cannot_write (lurn_ctx *ctx, const lurn_h5 *f, const char *name) {
  if (f->error == 0) return lurn_hdf5_fail_as(ctx, f, name, LURN_EINVAL, "write");
  return lurn_fail(ctx, LURN_EIO, "%s: cannot write: %s", f->path, lurn_sys_error(f->error));
}
