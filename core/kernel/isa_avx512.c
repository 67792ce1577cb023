/* isa_avx512.c: the kernels for AVX-512, -mavx512f -mavx512dq -mavx512vl -mavx512bw -mfma. */
#if defined(__x86_64__)
#include "vf_avx512.h"
#include "body.h"

const lurn_kernels lurn_kernels_avx512 = LURN_KERNEL_TABLE("avx512");
#else
typedef int lurn_nothing_here;       /* ISO C wants a declaration in every file */
#endif
