/* zip.c: zip archives, and the only place that knows zlib. */
#include "zip.h"

#include <limits.h>
#include <string.h>
#include <zlib.h>

enum { STORED = 0, DEFLATED = 8, ENCRYPTED = 1 };
enum { END = 22, END64 = 56, LOCATOR64 = 20, ENTRY = 46, LOCAL = 30 };    /* sizes without what follows */
enum { MOST_RATIO = 1032 };     /* what deflate can make of a byte */

static uint64_t number (const uint8_t *p, int size) {
  uint64_t u = 0;
  for (int k = size - 1; k >= 0; k--) u = u << 8 | p[k];
  return u;
}

static int is_signed (const lurn_zip *z, uint64_t at, uint64_t size, uint32_t signature) {
  return at <= z->n && size <= z->n - at && number(z->bytes + at, 4) == signature;
}

static lurn_status damaged (lurn_ctx *ctx, const lurn_zip *z, const char *what) {
  return lurn_fail(ctx, LURN_EFORMAT, "%s: damaged zip archive: %s", z->name, what);
}

/* Where the end record begins: it is the last thing but for a comment. n: nowhere. */
static uint64_t find_end (const lurn_zip *z) {
  for (uint64_t back = END; back <= z->n && back <= END + 0xffff; back++)
    if (is_signed(z, z->n - back, END, 0x06054b50)) return z->n - back;
  return z->n;
}

/* Numbers that had no place in the end record are in another one before it. */
static lurn_status open_64 (lurn_ctx *ctx, lurn_zip *z, uint64_t end, uint64_t *size, uint64_t *at) {
  if (end < LOCATOR64 || !is_signed(z, end - LOCATOR64, LOCATOR64, 0x07064b50)) return LURN_OK;
  uint64_t record = number(z->bytes + end - LOCATOR64 + 8, 8);
  if (!is_signed(z, record, END64, 0x06064b50)) return damaged(ctx, z, "no zip64 record");
  z->count = number(z->bytes + record + 32, 8);
  *size = number(z->bytes + record + 40, 8);
  *at = number(z->bytes + record + 48, 8);
  return LURN_OK;
}

lurn_status lurn_zip_open (lurn_ctx *ctx, const char *name, const uint8_t *bytes, size_t n, lurn_zip *z) {
  *z = (lurn_zip){.name = name, .bytes = bytes, .n = n};
  uint64_t end = find_end(z);
  if (end == n) return lurn_fail(ctx, LURN_EFORMAT, "%s: not a zip archive, or cut off", name);
  const uint8_t *p = bytes + end;
  if (number(p + 4, 2) != number(p + 6, 2)) return damaged(ctx, z, "several parts");
  z->count = number(p + 10, 2);
  uint64_t size = number(p + 12, 4), at = number(p + 16, 4);
  lurn_status status = open_64(ctx, z, end, &size, &at);
  if (status != LURN_OK) return status;
  if (at > end || size > end - at || z->count > size / ENTRY) return damaged(ctx, z, "no directory");
  z->at = at;
  z->end = at + size;
  return LURN_OK;
}

/* The sizes and the place that have all bits set are in the extra field 1, in this order. */
static int extend (lurn_zip_member *m, const uint8_t *p, uint64_t n) {
  uint64_t *const wide[] = {&m->size, &m->packed, &m->at};
  int missing = 0;
  for (int k = 0; k < 3; k++) missing += *wide[k] == 0xffffffff;
  while (missing && n >= 4) {
    uint64_t size = number(p + 2, 2), used = 0;
    if (size > n - 4) return 0;
    for (int k = 0; k < 3 && number(p, 2) == 1; k++) {
      if (*wide[k] != 0xffffffff) continue;
      if (used + 8 > size) return 0;
      *wide[k] = number(p + 4 + used, 8);
      used += 8;
      missing--;
    }
    p += 4 + size;
    n -= 4 + size;
  }
  return !missing;
}

lurn_status lurn_zip_next (lurn_ctx *ctx, lurn_zip *z, lurn_zip_member *m) {
  if (z->end - z->at < ENTRY || !is_signed(z, z->at, ENTRY, 0x02014b50)) return damaged(ctx, z, "the directory ends early");
  const uint8_t *p = z->bytes + z->at;
  uint64_t name = number(p + 28, 2), extra = number(p + 30, 2), comment = number(p + 32, 2);
  if (name + extra + comment > z->end - z->at - ENTRY) return damaged(ctx, z, "the directory ends early");
  *m = (lurn_zip_member){.name = (const char *)p + ENTRY, .name_size = (size_t)name, .flags = (int)number(p + 8, 2),
      .method = (int)number(p + 10, 2), .crc = (uint32_t)number(p + 16, 4), .packed = number(p + 20, 4),
      .size = number(p + 24, 4), .at = number(p + 42, 4)};
  if (!extend(m, p + ENTRY + name, extra)) return damaged(ctx, z, "no zip64 field");
  z->at += ENTRY + name + extra + comment;
  if (m->packed > z->n || m->size > (m->method == DEFLATED ? MOST_RATIO * m->packed + 64 : z->n))
    return damaged(ctx, z, "a member promises more than is there");
  return LURN_OK;
}

/* zlib counts in unsigned int, so both sides come in pieces. */
static int inflate_all (const uint8_t *from, uint64_t n, uint8_t *to, uint64_t size) {
  z_stream s;
  memset(&s, 0, sizeof s);
  if (inflateInit2(&s, -MAX_WBITS) != Z_OK) return 0;
  s.next_in = (Bytef *)(uintptr_t)from;
  s.next_out = to;
  int status = Z_OK;
  uint64_t in = n, out = size;
  while (status == Z_OK) {
    if (s.avail_in == 0) in -= s.avail_in = (uInt)(in < INT_MAX ? in : INT_MAX);
    if (s.avail_out == 0) out -= s.avail_out = (uInt)(out < INT_MAX ? out : INT_MAX);
    status = inflate(&s, Z_NO_FLUSH);
  }
  int whole = status == Z_STREAM_END && out == 0 && s.avail_out == 0;
  inflateEnd(&s);
  return whole;
}

static uint32_t checksum (const uint8_t *p, uint64_t n) {
  uLong crc = crc32(0, NULL, 0);
  for (uint64_t k; n > 0; p += k, n -= k) {
    k = n < INT_MAX ? n : INT_MAX;
    crc = crc32(crc, p, (uInt)k);
  }
  return (uint32_t)crc;
}

lurn_status lurn_zip_read (lurn_ctx *ctx, const lurn_zip *z, const lurn_zip_member *m, uint8_t *out) {
  if (m->flags & ENCRYPTED) return lurn_fail(ctx, LURN_EFORMAT, "%s: an encrypted member", z->name);
  if (m->method != STORED && m->method != DEFLATED)
    return lurn_fail(ctx, LURN_EFORMAT, "%s: a member packed by method %d; known are 0 (stored) and 8 (deflated)", z->name,
                     m->method);
  if (!is_signed(z, m->at, LOCAL, 0x04034b50)) return damaged(ctx, z, "a member is not where the directory says");
  uint64_t from = m->at + LOCAL + number(z->bytes + m->at + 26, 2) + number(z->bytes + m->at + 28, 2);
  if (from > z->n || m->packed > z->n - from) return damaged(ctx, z, "a member is cut off");
  if (m->method == STORED && m->packed != m->size) return damaged(ctx, z, "a stored member of two sizes");
  if (m->method == STORED) memcpy(out, z->bytes + from, (size_t)m->size);
  else if (!inflate_all(z->bytes + from, m->packed, out, m->size)) return damaged(ctx, z, "a member cannot be unpacked");
  if (checksum(out, m->size) != m->crc) return damaged(ctx, z, "the checksum of a member is wrong");
  return LURN_OK;
}
