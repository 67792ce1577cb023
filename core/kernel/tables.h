/* tables.h: the tables there are, for dispatch.c. One per isa_*.c, but for isa_sha.c. */
#ifndef LURN_KERNEL_TABLES_H
#define LURN_KERNEL_TABLES_H

#include "kernel.h"

extern const lurn_kernels lurn_kernels_c;
#if defined(__x86_64__)
extern const lurn_kernels lurn_kernels_avx2;
extern const lurn_map_fn lurn_maps_avx2[LURN_NMAPS];
extern const lurn_kernels lurn_kernels_avx512;
void lurn_sha256_x86 (uint32_t h[8], const uint8_t *block, size_t n, const uint32_t k[64]);
#endif

#endif
