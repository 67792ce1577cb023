/* isa_avx2_map.c: the maps of AVX2 and FMA, two vectors at a time, -mavx2 -mfma. */
#if defined(__x86_64__)
#include "vf_avx2.h"
#include "vf_pair.h"
#include "body_math.h"
#include "body_map.h"
#include "tables.h"

const lurn_map_fn lurn_maps_avx2[LURN_NMAPS] = LURN_MAP_TABLE;
#else
typedef int lurn_nothing_here;       /* ISO C wants a declaration in every file */
#endif
