/* isa_avx2.c: the kernels for AVX2 and FMA, -mavx2 -mfma. */
#if defined(__x86_64__)
#include "vf_avx2.h"
#define LURN_MAPS_OF lurn_maps_avx2
#include "body.h"

const lurn_kernels lurn_kernels_avx2 = LURN_KERNEL_TABLE("avx2");
#else
typedef int lurn_nothing_here;       /* ISO C wants a declaration in every file */
#endif
