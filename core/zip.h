/* zip.h: the members of a zip archive in memory, stored or deflated (zlib's only includer): what numpy.savez writes.
 *
 *   lurn_zip_open(ctx, name, bytes, n, &z)      finds the central directory
 *   lurn_zip_next(ctx, &z, &m)                  z.count times: the next member
 *   lurn_zip_read(ctx, &z, &m, out)             its m.size bytes, checked by their CRC
 *
 * Nothing in the archive is believed before it is compared with the bytes that are there: a member may not promise
 * more than deflate can make of them. Refused: encrypted members, other methods, archives in several parts.
 * (PKWARE, APPNOTE.TXT 6.3.9, with zip64.)
 */
#ifndef LURN_ZIP_H
#define LURN_ZIP_H

#include "base.h"

typedef struct lurn_zip {
  const char *name;             /* for messages; the caller's */
  const uint8_t *bytes;
  uint64_t n, count;            /* of bytes, of members */
  uint64_t at, end;             /* the rest of the directory */
} lurn_zip;

typedef struct lurn_zip_member {
  const char *name; size_t name_size;           /* not terminated */
  int method, flags;
  uint32_t crc;
  uint64_t packed, size, at;    /* bytes in the archive and unpacked; where its local header is */
} lurn_zip_member;

lurn_status lurn_zip_open (lurn_ctx *ctx, const char *name, const uint8_t *bytes, size_t n, lurn_zip *z);
lurn_status lurn_zip_next (lurn_ctx *ctx, lurn_zip *z, lurn_zip_member *m);
lurn_status lurn_zip_read (lurn_ctx *ctx, const lurn_zip *z, const lurn_zip_member *m, uint8_t *out);

#endif
