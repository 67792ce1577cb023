/* sha256.h: SHA-256 (FIPS 180-4), for content hashes of data sets and files. The processor's own instructions do it
 * where it has them (kernel.h), five times as fast.
 *
 *   lurn_sha256 s;  lurn_sha256_init(&s);  lurn_sha256_add(&s, bytes, n); ...
 *   char hex[LURN_SHA256_HEX];  lurn_sha256_hex(&s, hex);
 */
#ifndef LURN_SHA256_H
#define LURN_SHA256_H

#include "base.h"

#define LURN_SHA256_HEX 65      /* 64 digits and the terminator */

typedef struct lurn_sha256 {
  uint32_t h[8];
  uint64_t size;                /* bytes so far */
  void (*compress) (uint32_t h[8], const uint8_t *block, size_t n, const uint32_t k[64]);
  uint8_t block[64];
} lurn_sha256;

/* The standard's section 6.2, for any processor: n blocks into h. k is lurn_sha256_k. */
void lurn_sha256_plain (uint32_t h[8], const uint8_t *block, size_t n, const uint32_t k[64]);
extern const uint32_t lurn_sha256_k[64];

void lurn_sha256_init (lurn_sha256 *s);
void lurn_sha256_add (lurn_sha256 *s, const void *bytes, size_t n);
/* The low `size` bytes of v, least significant first, whatever machine this is. */
void lurn_sha256_integer (lurn_sha256 *s, uint64_t v, int size);
/* Ends the sum; s must be initialised again before it is used again. Returns hex. */
const char *lurn_sha256_hex (lurn_sha256 *s, char hex[LURN_SHA256_HEX]);

#endif
