/* npy.h: arrays as NumPy writes them, .npy (format 1.0, 2.0, 3.0).
 *
 * A file is a magic word, a version, a header that is a Python dictionary,
 *   {'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }
 * and the numbers. Read are little-endian f4, f8, i1 to i8, u1 to u8 and b1 in C and in Fortran order, of up to
 * LURN_MAX_RANK dimensions. Refused, with a message that says what was found: Python objects (they are code),
 * records, texts, complex numbers, big-endian ones, and files that are shorter than their shape says.
 * (NEP 1, "A simple file format for NumPy arrays", and numpy.lib.format.)
 */
#ifndef LURN_NPY_H
#define LURN_NPY_H

#include "sha256.h"
#include "tensor.h"

typedef struct lurn_npy {
  const char *name;             /* for messages; the caller's */
  char kind;                    /* 'f', 'i', 'u', 'b' */
  int size;                     /* bytes of a number */
  int fortran;                  /* the first index runs fastest */
  int rank;
  int64_t dim[LURN_MAX_RANK], count;
  const uint8_t *data;          /* within the bytes that were given */
} lurn_npy;

/* Looks at a whole file in memory. EFORMAT: it is none, or none that is read. */
lurn_status lurn_npy_open (lurn_ctx *ctx, const char *name, const uint8_t *bytes, size_t n, lurn_npy *a);
/* Into count numbers in C order. */
void lurn_npy_reals (const lurn_npy *a, real *out);
/* Integers as they are. EFORMAT: floating-point numbers, or one that has no place in 64 bits. */
lurn_status lurn_npy_integers (lurn_ctx *ctx, const lurn_npy *a, int64_t *out);
/* Ids from 0; -1 is none. EFORMAT: what is no id. */
lurn_status lurn_npy_ids (lurn_ctx *ctx, const lurn_npy *a, int32_t *out);
/* The hash of the content, whatever its order and its width: SHA-256 of the shape, whether the numbers are integers
 * (floating-point numbers and truth values are not), and the numbers in C order, as doubles or in 64 bits. */
void lurn_npy_hash (const lurn_npy *a, char hex[LURN_SHA256_HEX]);

#endif
