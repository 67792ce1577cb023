/* isa_c.c: the kernels in plain C, for every machine; the reference of the other tables. */
#include "vf_c.h"
#include "body.h"

const lurn_kernels lurn_kernels_c = LURN_KERNEL_TABLE("c");
