/* l_blas.h: OpenBLAS, for bindings that need it. */
#ifndef L_BLAS_H
#define L_BLAS_H

#include "blas.h"
#include "lb.h"

/* The library, loaded and started when it is first asked for. Raises when it is not there. */
const lurn_blas *l_blas (lua_State *L);

/* The same where it has been loaded, else NULL. */
const lurn_blas *l_blas_loaded (lua_State *L);

#endif
